/*
 * conn.h -- inside the HTTP server: connections, exchanges and their phases.
 *
 * An exchange is one request and its answer. It belongs to its connection while the request
 * arrives; from the handler on it lives until the owner ends it, with 'conn' NULL once the client
 * is gone.
 *
 *   C1  Only http_conn_close() frees a connection, and only callbacks of the loop call it: all else
 *       marks it 'doomed', and where an owner's call did that, wakes the loop.
 *   C2  A connection is in the list of its phase; the lists are ordered by deadline, because within
 *       a phase all have the same time.
 */
#pragma once

#include <ev.h>
#include <netinet/in.h>

#include "controller/base/list.h"
#include "controller/http/parse.h"
#include "controller/http/server.h"

#define HTTP_READ_SIZE        4000  /* fits a buffer of 4096 */
#define HTTP_READ_BODY_SIZE   16000 /* about one TLS record */
#define HTTP_READ_ROUNDS_MAX  8     /* then others get their turn */
#define HTTP_ACCEPT_BATCH     64
#define HTTP_ACCEPT_PAUSE_S   0.1 /* when file descriptors ran out */
#define HTTP_SPARE_COUNT_MAX  64
#define HTTP_SPARE_SIZE_MAX   (16UL * 1024) /* larger buffers are not kept for the next request */
#define HTTP_PIPELINE_OUT_MAX (64UL * 1024) /* answers waiting before pipelining stops */
#define HTTP_COMMON_SIZE      256

enum http_phase {
    HTTP_PHASE_HANDSHAKE,
    HTTP_PHASE_HEADER,
    HTTP_PHASE_BODY,
    HTTP_PHASE_PENDING,
    HTTP_PHASE_WRITE,
    HTTP_PHASE_IDLE,
    HTTP_PHASE_LINGER,
    HTTP_PHASE_STREAM,
};
#define HTTP_PHASE_COUNT 8

struct http_stream {
    http_stream_gone *gone; /* NULL: the owner has ended it */
    void *data;
};

struct http_exchange {
    struct http_request request; /* public */
    struct http_message message;
    struct http_server *server; /* borrowed; NULL when it was closed */
    struct http_conn *conn;     /* borrowed; NULL when the client is gone */
    struct list in_server;      /* exchanges at their handlers, or spare ones */
    struct list in_late;        /* 'gone' is due */
    size_t held;                /* bytes accounted for in held_size_now */
    struct buf headers;         /* that the handler added */
    bool own_cache_control;
    bool own_security_policy;
    bool dispatched;
    http_gone *gone;
    void *gone_data;
    struct tls_peer peer;
    char address[HTTP_ADDRESS_SIZE];
};

struct http_conn {
    struct http_server *server; /* borrowed */
    ev_io reader;
    ev_io writer;
    int fd;
    SSL *ssl; /* NULL: plain */
    enum http_phase phase;
    struct list in_phase;
    uint64_t deadline_ms;
    struct http_exchange *exchange; /* arriving (owned) or at its handler (borrowed); NULL: none */
    struct buf ahead;               /* bytes behind the request that is at its handler */
    struct buf out;                 /* what is to be sent, from 'out_at' on */
    size_t out_at;
    uint64_t out_total; /* bytes ever sent */
    uint64_t out_total_at_phase;
    size_t lingered;
    struct http_stream stream;
    bool streaming;
    bool established; /* the handshake is done */
    bool closing;     /* after what is in 'out' */
    bool leaving;     /* closing, and nothing was said that is to be read yet */
    bool doomed;
    bool in_handler;
    bool tls_wants_write;
    bool has_peer;
    struct tls_peer peer;
    char address[HTTP_ADDRESS_SIZE];
};

struct http_server {
    struct ev_loop *loop;
    struct http_options options; /* defaults filled in; 'listen' and 'tls' not kept */
    SSL_CTX *tls;
    int fd;
    ev_io acceptor;
    ev_timer accept_pause;
    ev_timer alarm;
    uint64_t alarm_ms; /* when 'alarm' will fire, valid while it is active */
    ev_timer late;     /* only ever fed: works through 'lates' */
    ev_timer stop_alarm;
    struct {
        struct list conns;
        uint64_t ms;
    } phases[HTTP_PHASE_COUNT];
    struct list exchanges;
    struct list lates;
    struct list spares;
    unsigned spare_count;
    struct buf spare_out; /* one is enough: most answers leave at once */
    bool stopping;
    http_stopped *stopped;
    void *stopped_data;
    uint64_t handshake_log_ms;
    uint64_t handshake_log_left_out;
    char address[HTTP_ADDRESS_SIZE + 8];
    int64_t common_second;
    char common[HTTP_COMMON_SIZE]; /* headers that every answer of this second has */
    size_t common_size;
    struct http_counters counters;
};

/* server.c */
void http_phase_enter(struct http_conn *conn, enum http_phase phase);
struct http_exchange *http_exchange_take(struct http_server *server);
/* Frees it or keeps it for the next request; no callback. */
void http_exchange_release(struct http_exchange *exchange);
/* The client has gone: tells the owner, who still has to end it. */
void http_exchange_detach(struct http_exchange *exchange);
/* Buffers for 'out' go from hand to hand, so that idle connections hold none. */
struct buf *http_buffer_lend(struct http_server *server, struct buf *out);
void http_buffer_return(struct http_server *server, struct buf *out);
void http_check_stopped(struct http_server *server);

/* conn.c */
void http_conn_open(struct http_server *server, int fd, const struct sockaddr_storage *address);
void http_conn_close(struct http_conn *conn);
/* The deadline of its phase has passed. May close it. */
void http_conn_expired(struct http_conn *conn);
/* The exchange at the handler was answered, into 'out'. */
void http_conn_answered(struct http_conn *conn);
/* Sends what 'out' holds, as far as the socket takes it; may doom it. */
void http_conn_flush(struct http_conn *conn);
/* Sends, enters the phase that follows, sets the watchers; where 'from_owner', only wakes the loop
 * for all that is left to do. */
void http_conn_settle(struct http_conn *conn, bool from_owner);

/* reply.c */
/* One whole answer appended to 'out'; 'exchange' may be NULL. Sets 'closing' when it must. */
void http_compose(struct http_conn *conn, const struct http_exchange *exchange, int status,
                  const char *type, const void *body, size_t size);
/* The head of an event stream. */
void http_compose_stream(struct http_conn *conn, const struct http_exchange *exchange);
/* Counts it and appends its problem document; the connection will close. */
void http_compose_refusal(struct http_conn *conn, enum http_refusal refusal);
