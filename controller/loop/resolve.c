#include "controller/loop/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

struct resolve {
    struct ev_loop *loop; /* borrowed */
    ev_async wake;
    char *host; /* owned; not changed while the thread runs */
    resolve_done_fn *done;
    void *data;
    pthread_mutex_t mutex; /* for all below */
    bool cancelled;
    bool ended; /* the thread will not touch it any more */
    int failure;
    char address[RESOLVE_ADDRESS_SIZE]; /* "": none */
};

bool
resolve_is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static void
resolve_free(struct resolve *resolve)
{
    (void)pthread_mutex_destroy(&resolve->mutex);
    free(resolve->host);
    free(resolve);
}

static int
look_up(const char *host, char address[RESOLVE_ADDRESS_SIZE])
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int number = getaddrinfo(host, NULL, &hints, &found);
    if (number == 0)
        number = getnameinfo(found->ai_addr, found->ai_addrlen, address, RESOLVE_ADDRESS_SIZE, NULL,
                             0, NI_NUMERICHOST);
    if (found != NULL)
        freeaddrinfo(found);
    return number;
}

static void *
work(void *data)
{
    struct resolve *resolve = data;
    char address[RESOLVE_ADDRESS_SIZE] = "";
    int failure = look_up(resolve->host, address);
    (void)pthread_mutex_lock(&resolve->mutex);
    resolve->failure = failure;
    memcpy(resolve->address, address, sizeof resolve->address);
    resolve->ended = true;
    bool last = resolve->cancelled;
    if (!last)
        ev_async_send(resolve->loop, &resolve->wake);
    (void)pthread_mutex_unlock(&resolve->mutex);
    if (last)
        resolve_free(resolve);
    return NULL;
}

static void
on_wake(struct ev_loop *loop, ev_async *wake, int revents)
{
    (void)revents;
    struct resolve *resolve = CONTAINER_OF(wake, struct resolve, wake);
    struct err err = { 0 };
    ev_async_stop(loop, wake);
    (void)pthread_mutex_lock(&resolve->mutex); /* the thread has left it when we have it */
    int failure = resolve->failure;
    (void)pthread_mutex_unlock(&resolve->mutex);
    if (failure == 0) {
        resolve->done(resolve->data, resolve->address, NULL);
    } else {
        (void)err_set(&err, ERR_UNAVAILABLE, "dns", "look up '%s': %s", resolve->host,
                      gai_strerror(failure));
        resolve->done(resolve->data, NULL, &err);
    }
    resolve_free(resolve);
}

enum err_code
resolve_start(struct ev_loop *loop, const char *host, resolve_done_fn *done, void *data,
              struct resolve **ret_resolve, struct err *err)
{
    struct resolve *resolve = mem_zero(1, sizeof *resolve);
    resolve->loop = loop;
    resolve->host = str_dup(host);
    resolve->done = done;
    resolve->data = data;
    (void)pthread_mutex_init(&resolve->mutex, NULL);
    ev_async_init(&resolve->wake, on_wake);
    ev_async_start(loop, &resolve->wake);

    /* Signals belong to the loop's thread. */
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&thread, NULL, work, resolve);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0) {
        ev_async_stop(loop, &resolve->wake);
        resolve_free(resolve);
        return err_errno(err, number, "start a thread to look up '%s'", host);
    }
    (void)pthread_detach(thread);
    *ret_resolve = resolve;
    return ERR_NONE;
}

void
resolve_cancel(struct resolve *resolve)
{
    if (resolve == NULL)
        return;
    ev_async_stop(resolve->loop, &resolve->wake);
    (void)pthread_mutex_lock(&resolve->mutex);
    resolve->cancelled = true;
    bool last = resolve->ended;
    (void)pthread_mutex_unlock(&resolve->mutex);
    if (last)
        resolve_free(resolve);
}
