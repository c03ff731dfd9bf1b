#include "controller/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/http/conn.h"

static void
arm(struct http_server *server, uint64_t deadline_ms, uint64_t now_ms)
{
    if (ev_is_active(&server->alarm) && server->alarm_ms <= deadline_ms)
        return;
    ev_timer_stop(server->loop, &server->alarm);
    uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    ev_timer_set(&server->alarm, (double)wait_ms / 1000.0, 0.0);
    ev_timer_start(server->loop, &server->alarm);
    server->alarm_ms = deadline_ms;
}

void
http_phase_enter(struct http_conn *conn, enum http_phase phase)
{
    struct http_server *server = conn->server;
    uint64_t now = clock_now_ms();
    list_remove(&conn->in_phase);
    list_add_tail(&server->phases[phase].conns, &conn->in_phase);
    conn->phase = phase;
    conn->deadline_ms = now + server->phases[phase].ms;
    conn->out_total_at_phase = conn->out_total;
    arm(server, conn->deadline_ms, now);
}

static struct http_conn *
first_of(struct http_server *server, enum http_phase phase)
{
    struct list *head = &server->phases[phase].conns;
    return list_empty(head) ? NULL : CONTAINER_OF(head->next, struct http_conn, in_phase);
}

/* The loop's timers know no suspend and round: the deadlines themselves are compared here. */
static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct http_server *server = CONTAINER_OF(alarm, struct http_server, alarm);
    uint64_t now = clock_now_ms();
    for (unsigned phase = 0; phase < HTTP_PHASE_COUNT; phase++) {
        struct http_conn *conn;
        while ((conn = first_of(server, (enum http_phase)phase)) != NULL &&
               conn->deadline_ms <= now)
            http_conn_expired(conn); /* closes it, or moves it to a later place */
    }
    for (unsigned phase = 0; phase < HTTP_PHASE_COUNT; phase++) {
        const struct http_conn *conn = first_of(server, (enum http_phase)phase);
        if (conn != NULL)
            arm(server, conn->deadline_ms, now);
    }
}

struct http_exchange *
http_exchange_take(struct http_server *server)
{
    struct http_exchange *exchange;
    if (server->spare_count > 0) {
        struct list *first = server->spares.next;
        list_remove(first);
        server->spare_count--;
        exchange = CONTAINER_OF(first, struct http_exchange, in_server);
    } else {
        exchange = mem_zero(1, sizeof *exchange);
        list_init(&exchange->in_server);
        list_init(&exchange->in_late);
        exchange->server = server;
    }
    http_message_reset(&exchange->message, server->options.body_size_max);
    return exchange;
}

void
http_exchange_release(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    list_remove(&exchange->in_late);
    list_remove(&exchange->in_server);
    if (server != NULL) {
        server->counters.held_size_now -= exchange->held;
        server->counters.pending_now -= exchange->dispatched ? 1 : 0;
    }
    exchange->held = 0;
    exchange->dispatched = false;
    exchange->own_cache_control = exchange->own_security_policy = false;
    exchange->conn = NULL;
    exchange->gone = NULL;
    buf_clear(&exchange->headers);
    if (server != NULL && server->spare_count < HTTP_SPARE_COUNT_MAX &&
        exchange->message.bytes.capacity <= HTTP_SPARE_SIZE_MAX) {
        list_add_tail(&server->spares, &exchange->in_server);
        server->spare_count++;
        return;
    }
    http_message_done(&exchange->message);
    buf_done(&exchange->headers);
    free(exchange);
}

void
http_exchange_detach(struct http_exchange *exchange)
{
    exchange->conn = NULL;
    http_gone *gone = take_ptr(&exchange->gone);
    if (gone != NULL)
        gone(exchange->gone_data, &exchange->request);
}

struct buf *
http_buffer_lend(struct http_server *server, struct buf *out)
{
    if (out->data == NULL) {
        *out = server->spare_out;
        server->spare_out = (struct buf){ 0 };
    }
    return out;
}

void
http_buffer_return(struct http_server *server, struct buf *out)
{
    if (server->spare_out.data == NULL && out->capacity <= HTTP_SPARE_SIZE_MAX) {
        buf_clear(out);
        server->spare_out = *out;
        *out = (struct buf){ 0 };
    }
    buf_done(out);
}

/* Those whose client had gone before they asked to be told. */
static void
on_late(struct ev_loop *loop, ev_timer *late, int revents)
{
    (void)loop, (void)revents;
    struct http_server *server = CONTAINER_OF(late, struct http_server, late);
    while (!list_empty(&server->lates)) {
        struct list *first = server->lates.next;
        list_remove(first);
        http_exchange_detach(CONTAINER_OF(first, struct http_exchange, in_late));
    }
    if (server->stopping && server->counters.connections_now == 0) {
        http_stopped *stopped = take_ptr(&server->stopped);
        ev_timer_stop(server->loop, &server->stop_alarm);
        if (stopped != NULL)
            stopped(server->stopped_data); /* may close the server: nothing after it */
    }
}

void
http_check_stopped(struct http_server *server)
{
    if (server->stopping && server->counters.connections_now == 0)
        ev_feed_event(server->loop, &server->late, EV_TIMER);
}

static void
on_accept_again(struct ev_loop *loop, ev_timer *pause, int revents)
{
    (void)revents;
    struct http_server *server = CONTAINER_OF(pause, struct http_server, accept_pause);
    ev_io_start(loop, &server->acceptor);
}

/* Makes room by closing the connection that has been idle for longest. */
static bool
evict(struct http_server *server)
{
    struct http_conn *idle = first_of(server, HTTP_PHASE_IDLE);
    if (idle == NULL)
        return false;
    http_conn_close(idle);
    return true;
}

static void
on_accept(struct ev_loop *loop, ev_io *acceptor, int revents)
{
    (void)revents;
    struct http_server *server = CONTAINER_OF(acceptor, struct http_server, acceptor);
    for (unsigned i = 0; i < HTTP_ACCEPT_BATCH; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int fd =
            accept4(server->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            server->counters.accept_failures++;
            (void)evict(server);
            ev_io_stop(loop, acceptor); /* or the loop would spin on it */
            ev_timer_set(&server->accept_pause, HTTP_ACCEPT_PAUSE_S, 0.0);
            ev_timer_start(loop, &server->accept_pause);
            return;
        }
        if (fd < 0)
            continue; /* that one has gone again */
        if (server->counters.connections_now >= server->options.connections_max && !evict(server)) {
            server->counters.refused[HTTP_REFUSE_CONNECTIONS]++;
            (void)close(fd);
            continue;
        }
        http_conn_open(server, fd, &address);
    }
}

/* "127.0.0.1:7443" or "[::1]:7443". */
static enum err_code
read_address(const char *listen, struct addrinfo **ret, struct err *err)
{
    char host[HTTP_ADDRESS_SIZE];
    const char *colon = strrchr(listen, ':');
    uint64_t port;
    if (colon == NULL || !str_to_u64(colon + 1, 0, UINT16_MAX, &port) ||
        (size_t)(colon - listen) >= sizeof host)
        goto bad;
    size_t length = (size_t)(colon - listen);
    bool brackets = length >= 2 && listen[0] == '[' && colon[-1] == ']';
    memcpy(host, listen + (brackets ? 1 : 0), length - (brackets ? 2 : 0));
    host[length - (brackets ? 2 : 0)] = '\0';
    if (!brackets && strchr(host, ':') != NULL)
        goto bad;
    struct addrinfo hints = { .ai_family = brackets ? AF_INET6 : AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
    if (host[0] != '\0' && getaddrinfo(host, colon + 1, &hints, ret) == 0)
        return ERR_NONE;
bad:
    (void)err_set(err, ERR_INVALID, "listen_address", "'%s' is not an address to listen on",
                  listen);
    return err_mend(err, "write it like 192.0.2.1:7443, 0.0.0.0:7443 or [2001:db8::1]:7443");
}

static void
name_address(struct http_server *server)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[HTTP_ADDRESS_SIZE - 16];
    char port[8];
    ASSERT(getsockname(server->fd, (struct sockaddr *)&address, &size) == 0);
    ASSERT(getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                       NI_NUMERICHOST | NI_NUMERICSERV) == 0);
    (void)snprintf(server->address, sizeof server->address,
                   address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static enum err_code
start_listening(struct http_server *server, const char *listen_on, struct err *err)
{
    struct addrinfo *found = NULL;
    if (read_address(listen_on, &found, err) != ERR_NONE)
        return err->code;
    server->fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    int no = 0;
    bool done = server->fd >= 0 &&
                setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                (found->ai_family != AF_INET6 ||
                 setsockopt(server->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == 0) &&
                bind(server->fd, found->ai_addr, found->ai_addrlen) == 0 &&
                listen(server->fd, SOMAXCONN) == 0;
    int number = errno;
    freeaddrinfo(found);
    if (!done) {
        (void)err_set(err, ERR_UNAVAILABLE, "listen", "cannot listen on %s: %s", listen_on,
                      strerror(number));
        return err_mend(err, number == EADDRINUSE ? "another program has the port: stop it, or "
                                                    "choose another port"
                                                  : "check the address and the permission");
    }
    name_address(server);
    return ERR_NONE;
}

/* Half of the descriptors are left for what the node itself opens: its database, its peers, the
 * arbiter. Who only holds connections open must not cost it the lease. */
static void
keep_descriptors(struct http_options *options)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < options->connections_max)
        options->connections_max = (unsigned)(files.rlim_cur / 2);
}

static void
fill_options(struct http_server *server, const struct http_options *options)
{
    struct http_options *ours = &server->options;
    *ours = *options;
    ours->listen = NULL;
    ours->tls = NULL;
#define DEFAULT(name, value) ours->name = ours->name != 0 ? ours->name : (value)
    DEFAULT(body_size_max, HTTP_BODY_SIZE_MAX);
    DEFAULT(connections_max, HTTP_CONNECTIONS_MAX);
    keep_descriptors(ours);
    DEFAULT(pending_max, HTTP_PENDING_MAX);
    DEFAULT(streams_max, HTTP_STREAMS_MAX);
    DEFAULT(handshake_ms, 10000);
    DEFAULT(header_ms, 10000);
    DEFAULT(body_ms, 30000);
    DEFAULT(reply_ms, 120000);
    DEFAULT(write_ms, 30000);
    DEFAULT(idle_ms, 60000);
    DEFAULT(linger_ms, 2000);
    DEFAULT(ping_ms, 15000);
#undef DEFAULT
    const unsigned times[HTTP_PHASE_COUNT] = {
        [HTTP_PHASE_HANDSHAKE] = ours->handshake_ms, [HTTP_PHASE_HEADER] = ours->header_ms,
        [HTTP_PHASE_BODY] = ours->body_ms,           [HTTP_PHASE_PENDING] = ours->reply_ms,
        [HTTP_PHASE_WRITE] = ours->write_ms,         [HTTP_PHASE_IDLE] = ours->idle_ms,
        [HTTP_PHASE_LINGER] = ours->linger_ms,       [HTTP_PHASE_STREAM] = ours->ping_ms,
    };
    for (unsigned phase = 0; phase < HTTP_PHASE_COUNT; phase++) {
        list_init(&server->phases[phase].conns);
        server->phases[phase].ms = times[phase];
    }
}

static void
on_stop_deadline(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct http_server *server = CONTAINER_OF(alarm, struct http_server, stop_alarm);
    for (unsigned phase = 0; phase < HTTP_PHASE_COUNT; phase++) {
        struct http_conn *conn;
        while ((conn = first_of(server, (enum http_phase)phase)) != NULL)
            http_conn_close(conn);
    }
}

static void
server_freep(struct http_server **holder)
{
    struct http_server *server = *holder;
    if (server == NULL)
        return;
    if (server->fd >= 0)
        (void)close(server->fd);
    tls_freep(&server->tls);
    free(server);
    *holder = NULL;
}

enum err_code
http_server_open(struct ev_loop *loop, const struct http_options *options, struct http_server **ret,
                 struct err *err)
{
    struct err local;
    err = err == NULL ? &local : err;
    ASSERT(options->handler != NULL);
    CLEANUP(server_freep) struct http_server *server = mem_zero(1, sizeof *server);
    server->loop = loop;
    server->fd = -1;
    server->common_second = -1;
    fill_options(server, options);
    list_init(&server->exchanges);
    list_init(&server->lates);
    list_init(&server->spares);
    if (options->tls != NULL && tls_server_new(options->tls, &server->tls, err) != ERR_NONE)
        return err->code;
    if (start_listening(server, options->listen, err) != ERR_NONE)
        return err->code;

    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    ev_io_init(&server->acceptor, on_accept, server->fd, EV_READ);
    ev_timer_init(&server->accept_pause, on_accept_again, HTTP_ACCEPT_PAUSE_S, 0.0);
    ev_timer_init(&server->alarm, on_alarm, 0.0, 0.0);
    ev_timer_init(&server->late, on_late, 0.0, 0.0);
    ev_timer_init(&server->stop_alarm, on_stop_deadline, 0.0, 0.0);
    ev_io_start(loop, &server->acceptor);
    *ret = take_ptr(&server);
    return ERR_NONE;
}

static void
stop_accepting(struct http_server *server)
{
    ev_io_stop(server->loop, &server->acceptor);
    ev_timer_stop(server->loop, &server->accept_pause);
    if (server->fd >= 0)
        (void)close(server->fd);
    server->fd = -1;
}

void
http_server_close(struct http_server *server)
{
    if (server == NULL)
        return;
    server->stopping = false; /* nobody is to be told any more */
    server->stopped = NULL;
    stop_accepting(server);
    on_stop_deadline(server->loop, &server->stop_alarm, 0);
    ev_timer_stop(server->loop, &server->alarm);
    ev_timer_stop(server->loop, &server->stop_alarm);
    while (!list_empty(&server->exchanges)) {
        struct list *first = server->exchanges.next;
        struct http_exchange *exchange = CONTAINER_OF(first, struct http_exchange, in_server);
        list_remove(first);
        list_remove(&exchange->in_late);
        exchange->server = NULL;
        http_exchange_detach(exchange);
    }
    ev_timer_stop(server->loop, &server->late); /* and takes back what was fed */
    while (!list_empty(&server->spares)) {
        struct list *first = server->spares.next;
        struct http_exchange *exchange = CONTAINER_OF(first, struct http_exchange, in_server);
        exchange->server = NULL;
        http_exchange_release(exchange);
    }
    buf_done(&server->spare_out);
    server_freep(&server);
}

void
http_server_stop(struct http_server *server, unsigned within_ms, http_stopped *stopped, void *data)
{
    server->stopping = true;
    server->stopped = stopped;
    server->stopped_data = data;
    stop_accepting(server);
    for (unsigned phase = 0; phase < HTTP_PHASE_COUNT; phase++) {
        list_each (at, &server->phases[phase].conns) {
            struct http_conn *conn = CONTAINER_OF(at, struct http_conn, in_phase);
            bool arriving = conn->exchange != NULL || conn->ahead.size > 0;
            bool waits = phase == HTTP_PHASE_IDLE || phase == HTTP_PHASE_HEADER;
            bool ends = phase == HTTP_PHASE_STREAM || phase == HTTP_PHASE_HANDSHAKE;
            if (!ends && (!waits || arriving))
                continue;
            conn->doomed = conn->doomed || ends;
            conn->leaving = waits && !conn->closing;
            conn->closing = conn->closing || waits;
            ev_feed_event(server->loop, &conn->reader, EV_READ); /* H4: the loop does it */
        }
    }
    ev_timer_set(&server->stop_alarm, within_ms / 1000.0, 0.0);
    ev_timer_start(server->loop, &server->stop_alarm);
    http_check_stopped(server);
}

enum err_code
http_server_reload(struct http_server *server, const struct tls_identity *tls, struct err *err)
{
    SSL_CTX *context;
    enum err_code code = tls_server_new(tls, &context, err);
    if (code != ERR_NONE)
        return code;
    tls_freep(&server->tls);
    server->tls = context;
    return ERR_NONE;
}

const char *
http_server_address(const struct http_server *server)
{
    return server->address;
}

const struct http_counters *
http_server_counters(const struct http_server *server)
{
    return &server->counters;
}
