#include "controller/http/conn.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/log.h"

enum io { IO_SOME, IO_WAIT, IO_END };

static enum io
tls_result(struct http_conn *conn, int result)
{
    int error = SSL_get_error(conn->ssl, result);
    conn->tls_wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return IO_WAIT;
    ERR_clear_error();
    return IO_END;
}

static enum io
plain_result(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINTR) ? IO_WAIT : IO_END;
}

static enum io
receive(struct http_conn *conn, char *to, size_t size, size_t *ret_size)
{
    if (conn->ssl == NULL) {
        ssize_t got = recv(conn->fd, to, size, 0);
        if (got <= 0)
            return plain_result(got);
        *ret_size = (size_t)got;
        return IO_SOME;
    }
    ERR_clear_error(); /* or SSL_get_error() tells of another connection */
    conn->tls_wants_write = false;
    int result = SSL_read_ex(conn->ssl, to, size, ret_size);
    return result == 1 ? IO_SOME : tls_result(conn, result);
}

static enum io
transmit(struct http_conn *conn, const char *from, size_t size, size_t *ret_size)
{
    if (conn->ssl == NULL) {
        ssize_t sent = send(conn->fd, from, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return plain_result(sent);
        *ret_size = (size_t)sent;
        return IO_SOME;
    }
    ERR_clear_error();
    conn->tls_wants_write = false;
    int result = SSL_write_ex(conn->ssl, from, size, ret_size);
    return result == 1 ? IO_SOME : tls_result(conn, result);
}

/* OpenSSL may hold bytes that the kernel will not wake us for. */
static bool
has_more(const struct http_conn *conn)
{
    return conn->ssl != NULL && SSL_has_pending(conn->ssl) == 1;
}

static bool
has_out(const struct http_conn *conn)
{
    return conn->out_at < conn->out.size;
}

/* A request may arrive now. */
static bool
is_arriving(const struct http_conn *conn)
{
    return conn->phase == HTTP_PHASE_IDLE || conn->phase == HTTP_PHASE_HEADER ||
           conn->phase == HTTP_PHASE_BODY;
}

static void
set_watcher(struct ev_loop *loop, ev_io *watcher, bool wanted)
{
    if (wanted && !ev_is_active(watcher))
        ev_io_start(loop, watcher);
    else if (!wanted && ev_is_active(watcher))
        ev_io_stop(loop, watcher);
}

/* A level-triggered watcher whose bytes nobody takes would keep a processor busy. */
static void
set_watchers(struct http_conn *conn)
{
    bool reads = conn->phase != HTTP_PHASE_WRITE &&
                 (conn->phase != HTTP_PHASE_PENDING || conn->ahead.size < HTTP_AHEAD_SIZE_MAX);
    set_watcher(conn->server->loop, &conn->reader, reads);
    set_watcher(conn->server->loop, &conn->writer, has_out(conn) || conn->tls_wants_write);
}

void
http_conn_flush(struct http_conn *conn)
{
    while (has_out(conn) && !conn->doomed) {
        size_t sent = 0;
        enum io io =
            transmit(conn, conn->out.data + conn->out_at, conn->out.size - conn->out_at, &sent);
        if (io == IO_WAIT)
            return;
        if (io == IO_END) {
            conn->doomed = true;
            return;
        }
        conn->out_at += sent;
        conn->out_total += sent;
        conn->server->counters.sent_size += sent;
    }
    conn->out_at = 0;
    buf_clear(&conn->out);
    http_buffer_return(conn->server, &conn->out);
}

static void
say_goodbye(struct http_conn *conn)
{
    if (conn->ssl != NULL && conn->established) {
        ERR_clear_error();
        (void)SSL_shutdown(conn->ssl);
    }
}

/* Says that no more comes, and waits a moment for the client to have read it: a close with unread
 * bytes resets the connection, and the answer could be lost with it. */
static void
start_linger(struct http_conn *conn)
{
    say_goodbye(conn);
    if (shutdown(conn->fd, SHUT_WR) != 0)
        conn->doomed = true;
    conn->tls_wants_write = false;
    http_phase_enter(conn, HTTP_PHASE_LINGER);
}

static void
linger(struct http_conn *conn)
{
    char waste[4096];
    for (unsigned round = 0; round < HTTP_READ_ROUNDS_MAX; round++) {
        ssize_t got = recv(conn->fd, waste, sizeof waste, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        conn->lingered += got > 0 ? (size_t)got : 0;
        if (got <= 0 || conn->lingered > HTTP_LINGER_SIZE_MAX) {
            conn->doomed = true;
            return;
        }
    }
}

static void
drop_arriving(struct http_conn *conn)
{
    if (conn->exchange != NULL && !conn->exchange->dispatched)
        http_exchange_release(take_ptr(&conn->exchange));
}

static void
refuse(struct http_conn *conn, enum http_refusal refusal)
{
    http_compose_refusal(conn, refusal);
    drop_arriving(conn);
    buf_done(&conn->ahead);
}

/* Where a connection goes that waits for nobody's answer. */
static void
choose_phase(struct http_conn *conn)
{
    if (has_out(conn)) {
        if (conn->phase != HTTP_PHASE_WRITE)
            http_phase_enter(conn, HTTP_PHASE_WRITE);
    } else if (conn->leaving) {
        say_goodbye(conn); /* it has read its last answer, and may notice only with the next one */
        conn->doomed = true;
    } else if (conn->closing || (conn->server->stopping && conn->exchange == NULL)) {
        start_linger(conn);
    } else if (!is_arriving(conn)) {
        /* a request may be half here: then its "100 Continue" was what we wrote */
        http_phase_enter(conn, conn->exchange == NULL ? HTTP_PHASE_IDLE : HTTP_PHASE_BODY);
    }
}

void
http_conn_settle(struct http_conn *conn, bool from_owner)
{
    uint64_t sent_before = conn->out_total;
    http_conn_flush(conn);
    bool owned = conn->streaming || (conn->exchange != NULL && conn->exchange->dispatched);
    if (!conn->doomed && !owned && conn->phase != HTTP_PHASE_LINGER && conn->established)
        choose_phase(conn);
    if (conn->streaming && conn->out_total != sent_before)
        http_phase_enter(conn, HTTP_PHASE_STREAM); /* silence begins anew */
    set_watchers(conn);
    /* has_more() may mean half a TLS record: one look at it, or we would look for ever */
    if ((is_arriving(conn) && conn->ahead.size > 0) ||
        (from_owner && (conn->doomed || (is_arriving(conn) && has_more(conn)))))
        ev_feed_event(conn->server->loop, &conn->reader, EV_READ);
}

void
http_conn_answered(struct http_conn *conn)
{
    conn->exchange = NULL;
    if (!conn->in_handler)
        http_conn_settle(conn, true);
}

static void
fill_request(struct http_exchange *exchange)
{
    const struct http_conn *conn = exchange->conn;
    const struct http_message *message = &exchange->message;
    const char *base = message->bytes.data;
    memcpy(exchange->address, conn->address, sizeof exchange->address);
    if (conn->has_peer)
        exchange->peer = conn->peer;
    exchange->request = (struct http_request){
        .verb = message->verb,
        .method = http_verb_name(message->verb),
        .path = base + message->path_at,
        .query = base + message->query_at,
        .body = base + message->body_at,
        .body_size = message->body_size,
        .address = exchange->address,
        .peer = conn->has_peer ? &exchange->peer : NULL,
    };
}

/* The request is whole: to its handler with it. */
static void
dispatch(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    struct http_exchange *exchange = conn->exchange;
    if (server->counters.pending_now >= server->options.pending_max) {
        refuse(conn, HTTP_REFUSE_PENDING);
        return;
    }
    const struct http_message *message = &exchange->message;
    if (message->rest_at < message->bytes.size)
        buf_add(&conn->ahead, message->bytes.data + message->rest_at,
                message->bytes.size - message->rest_at);
    conn->closing = conn->closing || !message->keep_alive || server->stopping;
    fill_request(exchange);
    exchange->dispatched = true;
    list_add_tail(&server->exchanges, &exchange->in_server);
    server->counters.pending_now++;
    server->counters.requests++;
    http_phase_enter(conn, HTTP_PHASE_PENDING);
    conn->in_handler = true;
    server->options.handler(server->options.data, &exchange->request);
    conn->in_handler = false;
}

/* Counts the memory that a request takes; false when all of them together take too much. */
static bool
account(struct http_exchange *exchange)
{
    uint64_t *held = &exchange->server->counters.held_size_now;
    *held += exchange->message.bytes.capacity - exchange->held;
    exchange->held = exchange->message.bytes.capacity;
    return *held <= HTTP_HELD_SIZE_MAX;
}

static void
want_more(struct http_conn *conn)
{
    const struct http_message *message = &conn->exchange->message;
    if (!message->headers_done) {
        if (conn->phase == HTTP_PHASE_IDLE && !http_message_is_empty(message))
            http_phase_enter(conn, HTTP_PHASE_HEADER);
        return;
    }
    if (conn->phase == HTTP_PHASE_BODY)
        return;
    http_phase_enter(conn, HTTP_PHASE_BODY);
    if (message->expects_continue && message->body_size == 0)
        buf_add_text(http_buffer_lend(conn->server, &conn->out), "HTTP/1.1 100 Continue\r\n\r\n");
}

/* Reads requests out of what has come, until one waits for its answer or bytes are missing. */
static void
parse(struct http_conn *conn)
{
    while (is_arriving(conn) && !conn->doomed) {
        if (conn->exchange == NULL) {
            if (conn->ahead.size == 0 || conn->out.size - conn->out_at > HTTP_PIPELINE_OUT_MAX)
                return;
            conn->exchange = http_exchange_take(conn->server);
            conn->exchange->conn = conn;
        }
        struct http_message *message = &conn->exchange->message;
        if (conn->ahead.size > 0) {
            buf_add(&message->bytes, conn->ahead.data, conn->ahead.size);
            buf_done(&conn->ahead);
        }
        enum http_step step = http_message_feed(message);
        if (step == HTTP_STEP_REFUSED) {
            refuse(conn, message->refusal);
            return;
        }
        if (!account(conn->exchange)) {
            refuse(conn, HTTP_REFUSE_HELD);
            return;
        }
        if (step == HTTP_STEP_MORE) {
            want_more(conn);
            return;
        }
        dispatch(conn);
        if (conn->exchange != NULL || conn->streaming || conn->closing)
            return;
        http_phase_enter(conn, HTTP_PHASE_IDLE);
    }
}

static bool
may_read(const struct http_conn *conn)
{
    return is_arriving(conn) && conn->ahead.size == 0 && !conn->closing && !conn->doomed;
}

static void
read_requests(struct http_conn *conn)
{
    if (conn->ahead.size > 0)
        parse(conn); /* what was pipelined */
    for (unsigned round = 0; may_read(conn); round++) {
        if (round == HTTP_READ_ROUNDS_MAX) {
            ev_feed_event(conn->server->loop, &conn->reader, EV_READ);
            break;
        }
        if (conn->exchange == NULL) {
            conn->exchange = http_exchange_take(conn->server);
            conn->exchange->conn = conn;
        }
        struct http_message *message = &conn->exchange->message;
        size_t room = message->headers_done ? HTTP_READ_BODY_SIZE : HTTP_READ_SIZE;
        size_t got = 0;
        enum io io = receive(conn, buf_reserve(&message->bytes, room), room, &got);
        if (io == IO_END)
            conn->doomed = true;
        if (io != IO_SOME)
            break;
        buf_grew(&message->bytes, got);
        conn->server->counters.received_size += got;
        parse(conn);
        if (got < room && !has_more(conn))
            break;
    }
    if (conn->exchange != NULL && http_message_is_empty(&conn->exchange->message))
        drop_arriving(conn); /* a silent connection holds no buffers */
}

/* While a request waits for its answer the client may pipeline a little, or go away. */
static void
read_ahead(struct http_conn *conn)
{
    while (conn->ahead.size < HTTP_AHEAD_SIZE_MAX) {
        size_t got = 0;
        size_t room = HTTP_AHEAD_SIZE_MAX - conn->ahead.size;
        room = room < HTTP_READ_SIZE ? room : HTTP_READ_SIZE;
        enum io io = receive(conn, buf_reserve(&conn->ahead, room), room, &got);
        if (io == IO_END)
            conn->doomed = true;
        if (io != IO_SOME)
            break;
        buf_grew(&conn->ahead, got);
        conn->server->counters.received_size += got;
    }
    if (conn->ahead.size == 0)
        buf_done(&conn->ahead);
}

/* Nothing that a client says into a stream is of interest, but that it has left. */
static void
read_waste(struct http_conn *conn)
{
    char waste[1024];
    size_t got;
    enum io io = IO_SOME;
    for (unsigned round = 0; round < HTTP_READ_ROUNDS_MAX && io == IO_SOME; round++)
        io = receive(conn, waste, sizeof waste, &got);
    if (io == IO_END)
        conn->doomed = true;
    else if (io == IO_SOME && has_more(conn))
        ev_feed_event(conn->server->loop, &conn->reader, EV_READ);
}

/* One line a second at most: anyone who reaches the port can cause it. */
static void
log_handshake(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    char reason[256];
    (void)tls_error_text(reason);
    uint64_t now = clock_now_ms();
    if (server->handshake_log_ms != 0 && now - server->handshake_log_ms < 1000) {
        server->handshake_log_left_out++;
        return;
    }
    log_info("http.handshake_failed", "address=%s reason=\"%s\" not_logged=%llu", conn->address,
             reason, (unsigned long long)server->handshake_log_left_out);
    server->handshake_log_ms = now;
    server->handshake_log_left_out = 0;
}

static void
handshake(struct http_conn *conn)
{
    ERR_clear_error();
    int result = SSL_accept(conn->ssl);
    if (result == 1) {
        conn->established = true;
        conn->tls_wants_write = false;
        conn->has_peer = tls_peer_read(conn->ssl, &conn->peer);
        http_phase_enter(conn, HTTP_PHASE_HEADER);
        return;
    }
    int error = SSL_get_error(conn->ssl, result);
    conn->tls_wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return;

    conn->server->counters.handshake_failures++;
    if (ERR_peek_last_error() == 0) { /* hung up, as those do that only look if the port is open */
        conn->doomed = true;
        return;
    }
    bool plain = ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_SSL &&
                 ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_HTTP_REQUEST;
    log_handshake(conn);
    if (!plain) {
        conn->doomed = true;
        return;
    }
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                                 "Connection: close\r\n\r\n"
                                 "This port speaks HTTPS: use https://\n";
    (void)send(conn->fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    start_linger(conn);
}

static void
progress(struct http_conn *conn)
{
    if (conn->phase == HTTP_PHASE_HANDSHAKE)
        handshake(conn);
    if (conn->phase == HTTP_PHASE_WRITE)
        http_conn_settle(conn, false);
    if (conn->doomed || conn->phase == HTTP_PHASE_HANDSHAKE)
        return;
    if (conn->phase == HTTP_PHASE_LINGER)
        linger(conn);
    else if (conn->phase == HTTP_PHASE_STREAM)
        read_waste(conn);
    else if (conn->phase == HTTP_PHASE_PENDING)
        read_ahead(conn);
    else if (is_arriving(conn))
        read_requests(conn);
}

static void
on_io(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)loop, (void)revents;
    struct http_conn *conn = watcher->data;
    if (!conn->doomed)
        progress(conn);
    if (!conn->doomed)
        http_conn_settle(conn, false);
    if (conn->doomed)
        http_conn_close(conn);
}

void
http_conn_open(struct http_server *server, int fd, const struct sockaddr_storage *address)
{
    struct http_conn *conn = mem_zero(1, sizeof *conn);
    conn->server = server;
    conn->fd = fd;
    list_init(&conn->in_phase);
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo((const struct sockaddr *)address, size, conn->address, sizeof conn->address,
                    NULL, 0, NI_NUMERICHOST) != 0)
        conn->address[0] = '\0';
    if (strncmp(conn->address, "::ffff:", 7) == 0)
        memmove(conn->address, conn->address + 7, strlen(conn->address + 7) + 1);
    int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* a dead client acknowledges nothing, and the kernel alone would wait a quarter of an hour */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &server->options.write_ms,
                     sizeof server->options.write_ms);

    ev_io_init(&conn->reader, on_io, fd, EV_READ);
    ev_io_init(&conn->writer, on_io, fd, EV_WRITE);
    conn->reader.data = conn->writer.data = conn;
    server->counters.connections++;
    server->counters.connections_now++;
    if (server->tls != NULL) {
        conn->ssl = SSL_new(server->tls);
        ASSERT(conn->ssl != NULL && SSL_set_fd(conn->ssl, fd) == 1);
        SSL_set_accept_state(conn->ssl);
    }
    conn->established = conn->ssl == NULL;
    http_phase_enter(conn, conn->ssl != NULL ? HTTP_PHASE_HANDSHAKE : HTTP_PHASE_HEADER);
    set_watchers(conn);
}

void
http_conn_close(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    ASSERT(!conn->in_handler);
    ev_io_stop(server->loop, &conn->reader);
    ev_io_stop(server->loop, &conn->writer);
    list_remove(&conn->in_phase);
    server->counters.connections_now--;
    drop_arriving(conn);
    if (conn->exchange != NULL) {
        server->counters.gone++;
        http_exchange_detach(take_ptr(&conn->exchange));
    }
    if (conn->streaming) {
        server->counters.streams_now--;
        if (conn->stream.gone != NULL)
            conn->stream.gone(conn->stream.data, &conn->stream);
    }
    SSL_free(conn->ssl);
    (void)close(conn->fd);
    buf_done(&conn->ahead);
    http_buffer_return(server, &conn->out);
    free(conn);
    http_check_stopped(server);
}

/* Nothing was sent for a while: there was nothing to send, or the client takes nothing. */
static void
stream_expired(struct http_conn *conn)
{
    if (has_out(conn)) {
        conn->server->counters.streams_dropped++;
        conn->doomed = true;
        return;
    }
    http_phase_enter(conn, HTTP_PHASE_STREAM);
    buf_add_text(http_buffer_lend(conn->server, &conn->out), ": ping\n\n");
    http_conn_settle(conn, false);
}

static void
unanswered(struct http_conn *conn)
{
    struct http_exchange *exchange = take_ptr(&conn->exchange);
    refuse(conn, HTTP_REFUSE_UNANSWERED);
    http_conn_settle(conn, false);
    http_exchange_detach(exchange);
}

void
http_conn_expired(struct http_conn *conn)
{
    switch (conn->phase) {
    case HTTP_PHASE_HEADER:
    case HTTP_PHASE_BODY:
        conn->server->counters.timeouts++;
        if (conn->exchange == NULL || http_message_is_empty(&conn->exchange->message)) {
            conn->doomed = true;
            break;
        }
        refuse(conn, HTTP_REFUSE_TIMEOUT);
        http_conn_settle(conn, false);
        break;
    case HTTP_PHASE_PENDING:
        conn->server->counters.timeouts++;
        unanswered(conn);
        break;
    case HTTP_PHASE_STREAM:
        stream_expired(conn);
        break;
    case HTTP_PHASE_WRITE:
        if (conn->out_total - conn->out_total_at_phase >= HTTP_WRITE_STEP_SIZE) {
            http_phase_enter(conn, HTTP_PHASE_WRITE);
            break;
        }
        conn->server->counters.timeouts++;
        conn->doomed = true;
        break;
    case HTTP_PHASE_HANDSHAKE:
        conn->server->counters.timeouts++;
        conn->doomed = true;
        break;
    case HTTP_PHASE_IDLE:
        start_linger(conn);
        set_watchers(conn);
        break;
    case HTTP_PHASE_LINGER:
        conn->doomed = true;
        break;
    }
    if (conn->doomed)
        http_conn_close(conn);
}
