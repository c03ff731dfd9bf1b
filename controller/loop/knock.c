#include "controller/loop/knock.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/own.h"
#include "controller/loop/resolve.h"

struct knock {
    struct ev_loop *loop; /* borrowed */
    struct resolve *resolve;
    uint16_t port;
    int socket; /* -1 before */
    ev_io io;
    ev_timer timer; /* the deadline, or at once when there is nothing to wait for */
    enum knock_result early;
    knock_done_fn *done;
    void *data;
};

static void
release(struct knock *knock)
{
    ev_io_stop(knock->loop, &knock->io);
    ev_timer_stop(knock->loop, &knock->timer);
    resolve_cancel(knock->resolve);
    if (knock->socket >= 0)
        (void)close(knock->socket);
    free(knock);
}

static void
finish(struct knock *knock, enum knock_result result)
{
    knock_done_fn *done = knock->done;
    void *data = knock->data;
    release(knock);
    done(data, result);
}

static enum knock_result
result_of(int number)
{
    if (number == 0)
        return KNOCK_OPEN;
    return number == ECONNREFUSED || number == ECONNRESET ? KNOCK_REFUSED : KNOCK_SILENT;
}

static void
on_writable(struct ev_loop *loop, ev_io *io, int revents)
{
    struct knock *knock = io->data;
    int number = 0;
    socklen_t size = sizeof number;
    (void)loop, (void)revents;
    if (getsockopt(knock->socket, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        number = errno;
    finish(knock, result_of(number));
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct knock *knock = timer->data;
    (void)loop, (void)revents;
    finish(knock, knock->early);
}

/* It is known already; told in the next turn. */
static void
finish_soon(struct knock *knock, enum knock_result result)
{
    knock->early = result;
    ev_timer_stop(knock->loop, &knock->timer);
    ev_timer_set(&knock->timer, 0.0, 0.0);
    ev_timer_start(knock->loop, &knock->timer);
}

static void
connect_to(struct knock *knock, const char *address)
{
    char port[8];
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    struct linger at_once = { .l_onoff = 1 };
    (void)snprintf(port, sizeof port, "%u", knock->port);
    if (getaddrinfo(address, port, &hints, &found) != 0) {
        finish_soon(knock, KNOCK_SILENT);
        return;
    }
    knock->socket = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int number = knock->socket < 0 ? errno : 0;
    if (number == 0) {
        /* reset instead of a farewell: no port of ours stays busy for a minute */
        (void)setsockopt(knock->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (connect(knock->socket, found->ai_addr, found->ai_addrlen) != 0)
            number = errno;
    }
    freeaddrinfo(found);
    if (number != EINPROGRESS) {
        finish_soon(knock, result_of(number));
        return;
    }
    ev_io_set(&knock->io, knock->socket, EV_WRITE);
    ev_io_start(knock->loop, &knock->io);
}

static void
on_resolved(void *data, const char *address, const struct err *err)
{
    struct knock *knock = data;
    (void)err;
    knock->resolve = NULL;
    if (address == NULL)
        finish_soon(knock, KNOCK_SILENT);
    else
        connect_to(knock, address);
}

struct knock *
knock_start(struct ev_loop *loop, const char *host, uint16_t port, unsigned timeout_ms,
            knock_done_fn *done, void *data)
{
    struct knock *knock = mem_zero(1, sizeof *knock);
    *knock = (struct knock){
        .loop = loop, .port = port, .socket = -1, .early = KNOCK_SILENT, .done = done, .data = data
    };
    ev_init(&knock->io, on_writable);
    ev_now_update(loop);
    ev_timer_init(&knock->timer, on_timer, timeout_ms / 1000.0, 0.0);
    knock->io.data = knock;
    knock->timer.data = knock;
    ev_timer_start(loop, &knock->timer);
    if (resolve_is_address(host))
        connect_to(knock, host);
    else if (resolve_start(loop, host, on_resolved, knock, &knock->resolve, NULL) != ERR_NONE)
        finish_soon(knock, KNOCK_SILENT);
    return knock;
}

void
knock_cancel(struct knock *knock)
{
    if (knock != NULL)
        release(knock);
}
