/*
 * raw_client.h -- for tests: raw bytes to a real socket, with or without TLS, on the loop under
 * test.
 *
 * Nothing sleeps: WAIT_UNTIL() runs the loop until the condition holds, and fails the test when
 * that takes longer than RAW_PATIENCE_MS.
 */
#pragma once

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/tls.h"

#define RAW_PATIENCE_MS 90000
#define RAW_CLUSTER_ID  "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"

struct raw {
    struct ev_loop *loop;
    ev_io reader;
    int fd;
    SSL *ssl; /* NULL: plain */
    struct buf in;
    bool shaken;
    bool ended; /* EOF or an error */
};

static inline void
raw_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
}

#define WAIT_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        uint64_t give_up_ = clock_now_ms() + RAW_PATIENCE_MS;                                      \
        ev_timer tick_;                                                                            \
        ev_timer_init(&tick_, raw_tick, 0.02, 0.02);                                               \
        ev_timer_start(loop, &tick_);                                                              \
        while (!(condition)) {                                                                     \
            if (clock_now_ms() > give_up_)                                                         \
                fail_msg("waited in vain for: %s", #condition);                                    \
            ev_run(loop, EVRUN_ONCE);                                                              \
        }                                                                                          \
        ev_timer_stop(loop, &tick_);                                                               \
    } while (0)

static inline void
raw_read(struct raw *raw)
{
    while (!raw->ended) {
        char bytes[4096];
        size_t got = 0;
        if (raw->ssl != NULL) {
            ERR_clear_error();
            int result = raw->shaken ? SSL_read_ex(raw->ssl, bytes, sizeof bytes, &got)
                                     : SSL_do_handshake(raw->ssl);
            if (result == 1 && !raw->shaken) {
                raw->shaken = true;
                continue;
            }
            if (result != 1) {
                int error = SSL_get_error(raw->ssl, result);
                raw->ended = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
                return;
            }
        } else {
            ssize_t size = recv(raw->fd, bytes, sizeof bytes, 0);
            if (size < 0 && errno == EAGAIN)
                return;
            raw->ended = size <= 0;
            got = size > 0 ? (size_t)size : 0;
        }
        buf_add(&raw->in, bytes, got);
    }
}

static inline void
raw_on_io(struct ev_loop *loop, ev_io *watcher, int revents)
{
    (void)revents;
    struct raw *raw = watcher->data;
    raw_read(raw);
    if (raw->ended)
        ev_io_stop(loop, watcher);
}

/* A context for a client with (or, for NULL, without) a certificate. */
static inline SSL_CTX *
raw_context(const struct tls_identity *identity)
{
    SSL_CTX *context;
    struct err err;
    if (tls_client_new(identity, &context, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return context;
}

/* 'address' is "127.0.0.1:PORT". The TLS handshake is only begun. */
static inline struct raw *
raw_open(struct ev_loop *loop, const char *address, SSL_CTX *context)
{
    struct raw *raw = mem_zero(1, sizeof *raw);
    raw->loop = loop;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(raw->fd >= 0);
    assert_int_equal(connect(raw->fd, (struct sockaddr *)&to, sizeof to), 0);
    int flags = fcntl(raw->fd, F_GETFL);
    assert_int_equal(fcntl(raw->fd, F_SETFL, flags | O_NONBLOCK), 0);
    ev_io_init(&raw->reader, raw_on_io, raw->fd, EV_READ);
    raw->reader.data = raw;
    ev_io_start(loop, &raw->reader);
    if (context != NULL) {
        raw->ssl = SSL_new(context);
        assert_int_equal(SSL_set_fd(raw->ssl, raw->fd), 1);
        SSL_set_connect_state(raw->ssl);
        raw_read(raw);
    }
    return raw;
}

static inline void
raw_close(struct raw *raw)
{
    ev_io_stop(raw->loop, &raw->reader);
    if (raw->shaken)
        (void)SSL_shutdown(raw->ssl); /* or its session could not be resumed */
    SSL_free(raw->ssl);
    (void)close(raw->fd);
    buf_done(&raw->in);
    free(raw);
}

static inline void
raw_send_bytes(struct raw *raw, const char *bytes, size_t size)
{
    if (raw->ssl != NULL)
        WAIT_UNTIL(raw->loop, raw->shaken || raw->ended);
    uint64_t give_up = clock_now_ms() + RAW_PATIENCE_MS;
    while (size > 0 && !raw->ended) {
        size_t sent = 0;
        if (raw->ssl != NULL) {
            ERR_clear_error();
            (void)SSL_write_ex(raw->ssl, bytes, size, &sent);
        } else {
            ssize_t result = send(raw->fd, bytes, size, MSG_NOSIGNAL);
            if (result < 0 && errno != EAGAIN)
                return; /* refused and closed meanwhile: the answer tells */
            sent = result > 0 ? (size_t)result : 0;
        }
        bytes += sent;
        size -= sent;
        if (size > 0)
            ev_run(raw->loop, EVRUN_NOWAIT);
        assert_true(clock_now_ms() < give_up);
    }
}

static inline void
raw_send(struct raw *raw, const char *text)
{
    raw_send_bytes(raw, text, strlen(text));
}

static inline bool
raw_has(const struct raw *raw, const char *text)
{
    return strstr(buf_text(&raw->in), text) != NULL;
}

static inline unsigned
raw_count(const struct raw *raw, const char *text)
{
    unsigned count = 0;
    for (const char *at = buf_text(&raw->in); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* A CA, and what it signed. */
struct raw_pki {
    struct cert_pair ca;
    struct cert_pair node;
};

/* A node's certificate by that CA. */
static inline void
raw_pki_sign(const struct cert_pair *ca, const char *node, struct cert_pair *ret)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    struct cert_subject subject = {
        .node = node, .cluster_id = RAW_CLUSTER_ID, .hosts = hosts, .host_count = ARRAY_COUNT(hosts)
    };
    struct err err;
    char *csr = NULL;
    if (cert_make_key(&ret->key, &err) != ERR_NONE ||
        cert_make_csr(ret->key, node, &csr, &err) != ERR_NONE ||
        cert_sign(ca, csr, &subject, &ret->certificate, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    free(csr);
}

static inline void
raw_pki_make(struct raw_pki *pki, const char *node)
{
    struct err err;
    if (cert_make_ca("test", RAW_CLUSTER_ID, &pki->ca, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    raw_pki_sign(&pki->ca, node, &pki->node);
}

static inline void
raw_pki_done(struct raw_pki *pki)
{
    cert_pair_done(&pki->ca);
    cert_pair_done(&pki->node);
}
