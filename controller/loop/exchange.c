#include "controller/loop/exchange.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

#define READ_SIZE 8192

struct exchange {
    struct ev_loop *loop; /* borrowed */
    char *place;          /* owned */
    int socket;
    ev_io io;
    struct buf text; /* still to be said */
    struct buf answer;
    size_t answer_max;
    exchange_done_fn *done;
    void *data;
};

union place {
    struct sockaddr any;
    struct sockaddr_un path;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t
read_place(const char *text, union place *ret_place)
{
    uint64_t port = 0;
    *ret_place = (union place){ 0 };
    if (text[0] == '/') {
        ret_place->path.sun_family = AF_UNIX;
        ASSERT(str_copy(ret_place->path.sun_path, sizeof ret_place->path.sun_path, text));
        return sizeof ret_place->path;
    }
    ASSERT(str_to_u64(strrchr(text, ':') + 1, 1, UINT16_MAX, &port));
    if (text[0] == '[') {
        ret_place->v6.sin6_family = AF_INET6;
        ret_place->v6.sin6_addr = in6addr_loopback;
        ret_place->v6.sin6_port = htons((uint16_t)port);
        return sizeof ret_place->v6;
    }
    ret_place->v4.sin_family = AF_INET;
    ret_place->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ret_place->v4.sin_port = htons((uint16_t)port);
    return sizeof ret_place->v4;
}

void
exchange_cancel(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    ev_io_stop(exchange->loop, &exchange->io);
    if (exchange->socket >= 0)
        (void)close(exchange->socket);
    buf_done(&exchange->text);
    buf_done(&exchange->answer);
    free(exchange->place);
    free(exchange);
}

static void
finish(struct exchange *exchange, const struct err *err)
{
    exchange_done_fn *done = exchange->done;
    void *data = exchange->data;
    CLEANUP(buf_done) struct buf answer = exchange->answer;
    exchange->answer = (struct buf){ 0 };
    struct err kept = err == NULL ? (struct err){ 0 } : *err;
    exchange_cancel(exchange);
    done(data, err == NULL ? &answer : NULL, err == NULL ? NULL : &kept);
}

static enum err_code
say(struct exchange *exchange, struct err *err)
{
    ssize_t size = send(exchange->socket, exchange->text.data, exchange->text.size, MSG_NOSIGNAL);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR
                   ? ERR_NONE
                   : err_errno(err, errno, "connect to '%s'", exchange->place);
    buf_drop(&exchange->text, (size_t)size);
    if (exchange->text.size == 0) {
        ev_io_stop(exchange->loop, &exchange->io);
        ev_io_set(&exchange->io, exchange->socket, EV_READ);
        ev_io_start(exchange->loop, &exchange->io);
    }
    return ERR_NONE;
}

static enum err_code
hear(struct exchange *exchange, bool *ret_all, struct err *err)
{
    struct buf *answer = &exchange->answer;
    ssize_t size = recv(exchange->socket, buf_reserve(answer, READ_SIZE), READ_SIZE, 0);
    *ret_all = size == 0;
    if (size < 0)
        return errno == EAGAIN || errno == EINTR
                   ? ERR_NONE
                   : err_errno(err, errno, "read from '%s'", exchange->place);
    buf_grew(answer, (size_t)size);
    if (answer->size > exchange->answer_max)
        return err_set(err, ERR_LIMIT, "answer", "'%s' answers more than %zu bytes",
                       exchange->place, exchange->answer_max);
    return ERR_NONE;
}

static void
on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    struct exchange *exchange = CONTAINER_OF(io, struct exchange, io);
    struct err err = { 0 };
    bool all = false;
    (void)loop, (void)revents;
    enum err_code code = exchange->text.size > 0 ? say(exchange, &err) : hear(exchange, &all, &err);
    if (code != ERR_NONE)
        finish(exchange, &err);
    else if (all)
        finish(exchange, NULL);
}

enum err_code
exchange_start(struct ev_loop *loop, const char *place, const char *text, size_t answer_max,
               exchange_done_fn *done, void *data, struct exchange **ret_exchange, struct err *err)
{
    union place name;
    socklen_t size = read_place(place, &name);
    int handle = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (handle < 0)
        return err_errno(err, errno, "make a socket");
    if (connect(handle, &name.any, size) != 0 && errno != EINPROGRESS) {
        int number = errno;
        (void)close(handle);
        return err_errno(err, number, "connect to '%s'", place);
    }
    struct exchange *exchange = mem_zero(1, sizeof *exchange);
    *exchange = (struct exchange){ .loop = loop,
                                   .place = str_dup(place),
                                   .socket = handle,
                                   .answer_max = answer_max,
                                   .done = done,
                                   .data = data };
    buf_add_text(&exchange->text, text);
    ev_io_init(&exchange->io, on_io, handle, EV_WRITE);
    ev_io_start(loop, &exchange->io);
    *ret_exchange = exchange;
    return ERR_NONE;
}
