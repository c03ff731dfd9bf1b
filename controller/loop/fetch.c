#include "controller/loop/fetch.h"

#include <ev.h>
#include <signal.h>

#include "controller/base/check.h"
#include "controller/base/list.h"
#include "controller/loop/fetch_transfer.h"

struct fetch_client {
    struct ev_loop *loop; /* borrowed */
    struct fetch_trusted trusted;
    CURLM *multi;
    ev_timer timer;  /* curl's */
    ev_timer failed; /* only ever fed: ends those that could not begin */
    struct list fetches;
    unsigned count;
    bool forget_due;
    bool inside; /* a 'done' is running */
};

struct fetch {
    struct fetch_client *client; /* borrowed */
    struct list in_client;
    struct transfer transfer;
    bool begun; /* curl has it */
    struct err failure;
    fetch_done *done;
    void *data;
};

/* One socket that curl has asked us to watch. */
struct watch {
    struct fetch_client *client;
    ev_io io;
};

static void
fetch_free(struct fetch *fetch)
{
    if (fetch->begun)
        ASSERT(curl_multi_remove_handle(fetch->client->multi, fetch->transfer.easy) == CURLM_OK);
    list_remove(&fetch->in_client);
    fetch->client->count--;
    fetch_transfer_done(&fetch->transfer);
    free(fetch);
}

/* The one call of 'done'. */
static void
finish(struct fetch *fetch, const struct fetch_reply *reply, const struct err *err)
{
    struct fetch_client *client = fetch->client;
    list_remove(&fetch->in_client); /* so that it cannot be found while 'done' runs */
    bool was_inside = client->inside;
    client->inside = true;
    fetch->done(fetch->data, reply, err);
    client->inside = was_inside;
    fetch_free(fetch);
}

/* Nothing of it was sent: on a new connection, of which that cannot be said again. */
static void
begin_again(struct fetch *fetch)
{
    CURL *easy = fetch->transfer.easy;
    CURLM *multi = fetch->client->multi;
    fetch->transfer.stale = false;
    ASSERT(curl_multi_remove_handle(multi, easy) == CURLM_OK &&
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl_multi_add_handle(multi, easy) == CURLM_OK);
}

static void open_multi(struct fetch_client *client);

static void
take_results(struct fetch_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        ASSERT(message->msg == CURLMSG_DONE);
        struct transfer *transfer;
        CURLcode result = message->data.result; /* the message dies with its handle */
        ASSERT(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer) ==
               CURLE_OK);
        struct fetch *fetch = CONTAINER_OF(transfer, struct fetch, transfer);
        struct err err;
        if (transfer->stale) {
            begin_again(fetch);
            continue;
        }
        if (fetch_transfer_end(transfer, result, &err) == ERR_NONE)
            finish(fetch, &transfer->reply, NULL);
        else
            finish(fetch, NULL, &err);
    }
    if (client->forget_due && client->count == 0) {
        client->forget_due = false;
        ASSERT(curl_multi_cleanup(client->multi) == CURLM_OK);
        open_multi(client);
    }
}

static void
on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop;
    struct fetch_client *client = CONTAINER_OF(io, struct watch, io)->client;
    int running;
    int what =
        ((revents & EV_READ) ? CURL_CSELECT_IN : 0) | ((revents & EV_WRITE) ? CURL_CSELECT_OUT : 0);
    ASSERT(curl_multi_socket_action(client->multi, io->fd, what, &running) == CURLM_OK);
    take_results(client);
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct fetch_client *client = CONTAINER_OF(timer, struct fetch_client, timer);
    int running;
    ASSERT(curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK);
    take_results(client);
}

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *assigned)
{
    (void)easy;
    struct fetch_client *client = data;
    struct watch *watch = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL)
            ev_io_stop(client->loop, &watch->io);
        free(watch);
        return 0;
    }
    int events = ((what & CURL_POLL_IN) ? EV_READ : 0) | ((what & CURL_POLL_OUT) ? EV_WRITE : 0);
    if (watch == NULL) {
        watch = mem_zero(1, sizeof *watch);
        watch->client = client;
        ev_io_init(&watch->io, on_socket, fd, events);
        ASSERT(curl_multi_assign(client->multi, fd, watch) == CURLM_OK);
    } else {
        ev_io_stop(client->loop, &watch->io); /* libev wants that before every change */
        ev_io_set(&watch->io, fd, events);
    }
    ev_io_start(client->loop, &watch->io);
    return 0;
}

/* 0 means soon, not now: curl must not be called from here. */
static int
watch_time(CURLM *multi, long wait_ms, void *data)
{
    (void)multi;
    struct fetch_client *client = data;
    ev_timer_stop(client->loop, &client->timer);
    if (wait_ms < 0)
        return 0;
    ev_timer_set(&client->timer, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(client->loop, &client->timer);
    return 0;
}

#define SET_MULTI(multi, option, value)                                                            \
    ASSERT(curl_multi_setopt((multi), (option), (value)) == CURLM_OK)

static void
open_multi(struct fetch_client *client)
{
    client->multi = curl_multi_init();
    ASSERT(client->multi != NULL);
    SET_MULTI(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    SET_MULTI(client->multi, CURLMOPT_SOCKETDATA, client);
    SET_MULTI(client->multi, CURLMOPT_TIMERFUNCTION, watch_time);
    SET_MULTI(client->multi, CURLMOPT_TIMERDATA, client);
    SET_MULTI(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)FETCH_HOST_CONNECTIONS);
    SET_MULTI(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

/* Those that could not begin are told so from the loop, like all others. */
static void
on_failed(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct fetch_client *client = CONTAINER_OF(timer, struct fetch_client, failed);
    for (;;) {
        struct fetch *failed = NULL;
        list_each (at, &client->fetches) {
            struct fetch *fetch = CONTAINER_OF(at, struct fetch, in_client);
            if (!fetch->begun) {
                failed = fetch;
                break;
            }
        }
        if (failed == NULL)
            return;
        struct err err = failed->failure;
        finish(failed, NULL, &err); /* which may change the list: begin again */
    }
}

enum err_code
fetch_client_open(struct ev_loop *loop, const struct fetch_trust *trust, struct fetch_client **ret,
                  struct err *err)
{
    struct fetch_trusted trusted;
    enum err_code code = fetch_trusted_copy(trust, &trusted, err);
    if (code != ERR_NONE)
        return code;
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    struct fetch_client *client = mem_zero(1, sizeof *client);
    client->loop = loop;
    client->trusted = trusted;
    list_init(&client->fetches);
    ev_timer_init(&client->timer, on_timer, 0.0, 0.0);
    ev_timer_init(&client->failed, on_failed, 0.0, 0.0);
    open_multi(client);
    *ret = client;
    return ERR_NONE;
}

void
fetch_client_close(struct fetch_client *client)
{
    if (client == NULL)
        return;
    ASSERT(!client->inside);
    while (!list_empty(&client->fetches)) {
        struct err err;
        struct fetch *fetch = CONTAINER_OF(client->fetches.next, struct fetch, in_client);
        (void)err_set(&err, ERR_CANCELLED, "cancelled", "%s: cancelled",
                      fetch->transfer.name == NULL ? "request" : fetch->transfer.name);
        finish(fetch, NULL, &err);
    }
    ASSERT(client->count == 0);
    ASSERT(curl_multi_cleanup(client->multi) == CURLM_OK);
    ev_timer_stop(client->loop, &client->timer);
    ev_timer_stop(client->loop, &client->failed);
    fetch_trusted_done(&client->trusted);
    free(client);
    curl_global_cleanup();
}

/* curl cannot forget its connections: it gets a new handle when nothing uses the old one. */
void
fetch_client_forget(struct fetch_client *client)
{
    client->forget_due = true;
    if (client->count == 0)
        take_results(client);
}

struct fetch *
fetch_start(struct fetch_client *client, const struct fetch_request *request, fetch_done *done,
            void *data)
{
    struct fetch *fetch = mem_zero(1, sizeof *fetch);
    fetch->client = client;
    fetch->done = done;
    fetch->data = data;
    list_add_tail(&client->fetches, &fetch->in_client);
    client->count++;

    enum err_code code;
    if (client->count > FETCH_PENDING_MAX)
        code = err_set(&fetch->failure, ERR_THROTTLED, "fetch_pending",
                       "%s: more than %d requests are under way", request->url, FETCH_PENDING_MAX);
    else
        code = fetch_transfer_init(&fetch->transfer, &client->trusted, request, &fetch->failure);
    if (code != ERR_NONE) {
        ev_feed_event(client->loop, &client->failed, EV_TIMER);
        return fetch;
    }
    if (client->forget_due)
        ASSERT(curl_easy_setopt(fetch->transfer.easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK);
    ASSERT(curl_multi_add_handle(client->multi, fetch->transfer.easy) == CURLM_OK);
    fetch->begun = true;
    return fetch;
}

void
fetch_cancel(struct fetch *fetch)
{
    if (fetch == NULL)
        return;
    struct fetch_client *client = fetch->client;
    fetch_free(fetch);
    if (client->forget_due && !client->inside)
        take_results(client);
}
