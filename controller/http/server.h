/*
 * server.h -- HTTPS/1.1 on the loop: whole requests in, answers at once or later, event streams.
 *
 *   accept -> HANDSHAKE -> HEADER -> BODY -> PENDING -> WRITE -> IDLE -> HEADER ...
 *                             |        |        '-> STREAM (server-sent events, until one side
 * ends)
 *                             '--------'-> refused: answer, LINGER, close
 *
 *   H1  A handler gets a request only when all of it has arrived and passed every check.
 *   H2  Each phase ends by an absolute deadline, armed when it begins and never by a read.
 *   H3  A handle is ended by exactly one of http_reply*(), http_drop() and http_stream_start(),
 *       and is valid until then, whatever the client does meanwhile.
 *   H4  No callback of the owner runs inside a call that the owner makes; they come from the loop.
 *       (Inside the handler an answer may be given at once.)
 *   H5  One connection has at most one request at its handler; what is pipelined behind it waits.
 *
 * All functions belong to the thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "controller/loop/tls.h"

struct ev_loop;
struct json_object;
struct http_server;
struct http_stream;

#define HTTP_HEADER_SIZE_MAX   (16UL * 1024) /* request line and header lines together */
#define HTTP_HEADER_COUNT_MAX  100
#define HTTP_URL_SIZE_MAX      2048
#define HTTP_QUERY_COUNT_MAX   32
#define HTTP_BODY_SIZE_MAX     (1024UL * 1024)      /* default of body_size_max */
#define HTTP_HELD_SIZE_MAX     (64UL * 1024 * 1024) /* all requests of a server together */
#define HTTP_AHEAD_SIZE_MAX    (16UL * 1024)        /* pipelined bytes kept while one is pending */
#define HTTP_BACKLOG_SIZE_MAX  (64UL * 1024) /* of a stream; beyond it the client is dropped */
#define HTTP_LINGER_SIZE_MAX   (4UL * 1024 * 1024) /* thrown away after a refusal */
#define HTTP_WRITE_STEP_SIZE   (64UL * 1024)       /* least that moves in each write_ms */
#define HTTP_CONNECTIONS_MAX   4096
#define HTTP_PENDING_MAX       1024
#define HTTP_STREAMS_MAX       1024
#define HTTP_REPLY_HEADERS_MAX 4096 /* bytes of headers that a handler may add */
#define HTTP_ADDRESS_SIZE      64

enum http_verb {
    HTTP_VERB_GET,
    HTTP_VERB_HEAD,
    HTTP_VERB_POST,
    HTTP_VERB_PUT,
    HTTP_VERB_PATCH,
    HTTP_VERB_DELETE,
    HTTP_VERB_OPTIONS,
};
#define HTTP_VERB_COUNT 7
const char *http_verb_name(enum http_verb verb); /* "GET" */

/* What the server refuses by itself; each is counted.
 *    symbol       status  slug                  text */
#define HTTP_REFUSAL_TABLE(X)                                                                      \
    X(SYNTAX, 400, "bad_request", "this is not HTTP")                                              \
    X(LINE_END, 400, "bad_line_end", "a line does not end with CR LF")                             \
    X(HEADER, 400, "bad_header", "a header line is not 'name: value'")                             \
    X(FOLDED, 400, "folded_header", "a header is folded over two lines")                           \
    X(HOST, 400, "bad_host", "exactly one Host header is needed")                                  \
    X(TWICE, 400, "header_twice", "a header that counts once stands twice")                        \
    X(LENGTH, 400, "bad_length", "Content-Length is not one decimal number")                       \
    X(FRAMING, 400, "bad_framing", "Content-Length and Transfer-Encoding do not say one length")   \
    X(TARGET, 400, "bad_target", "the path or query is not valid")                                 \
    X(URL_SIZE, 414, "url_too_long", "the URL is too long")                                        \
    X(HEADER_SIZE, 431, "headers_too_large", "the headers are too large")                          \
    X(HEADER_COUNT, 431, "too_many_headers", "there are too many headers")                         \
    X(BODY_SIZE, 413, "body_too_large", "the body is too large")                                   \
    X(EXPECT, 417, "bad_expect", "only 'Expect: 100-continue' is known")                           \
    X(VERB, 501, "bad_method", "the method is not known")                                          \
    X(VERSION, 505, "bad_version", "only HTTP/1.0 and HTTP/1.1 are spoken here")                   \
    X(TIMEOUT, 408, "request_timeout", "the request did not arrive in time")                       \
    X(PENDING, 503, "too_many_requests", "too many requests are waiting for an answer")            \
    X(HELD, 503, "out_of_room", "too many bytes of requests are held")                             \
    X(STREAMS, 503, "too_many_streams", "too many event streams are open")                         \
    X(CONNECTIONS, 503, "too_many_connections", "too many connections; closed without an answer")  \
    X(UNANSWERED, 504, "unanswered", "no answer in time: perhaps done, perhaps not")

enum http_refusal {
    HTTP_REFUSE_NONE,
#define X(symbol, status, slug, text) HTTP_REFUSE_##symbol,
    HTTP_REFUSAL_TABLE(X)
#undef X
};
#define HTTP_REFUSAL_COUNT (HTTP_REFUSE_UNANSWERED + 1)
const char *http_refusal_slug(enum http_refusal refusal); /* "none" for HTTP_REFUSE_NONE */
int http_refusal_status(enum http_refusal refusal);
const char *http_refusal_text(enum http_refusal refusal);

/* Read-only for the handler, but 'owner'. All texts live as long as the handle. */
struct http_request {
    enum http_verb verb;
    const char *method;          /* "GET" */
    const char *path;            /* decoded: "/v1/config/app/a b"; starts with '/', valid UTF-8, no
                                  * control characters, no "." or ".." or empty segment (but a last
                                  * '/' may stand); %2F counts as '/' */
    const char *query;           /* raw, without '?'; "" when there is none; well formed */
    const char *body;            /* not followed by a NUL */
    size_t body_size;            /* bytes */
    const char *address;         /* of the client: "192.0.2.1", "2001:db8::1" */
    const struct tls_peer *peer; /* NULL: no client certificate */
    void *owner;                 /* the handler's own, NULL at first */
};

/* First header of that name (any case), or NULL. Host, Content-Length, Content-Type, Authorization,
 * Cookie, If-Match, If-None-Match, Last-Event-ID, Origin and all Baton-* never stand twice. */
const char *http_header(const struct http_request *request, const char *name);
/* The decoded value ('+' is a space); false when the name is not there. No name stands twice. */
MUST_CHECK bool http_query(const struct http_request *request, const char *name,
                           const char **ret_text);
/* The value of one cookie, copied; false when it is missing or does not fit. */
MUST_CHECK bool http_cookie(const struct http_request *request, const char *name, char *to,
                            size_t to_size);

/*
 * The answer. Each ends the handle; when the client is gone it only frees it.
 * Always sent: Date, Content-Length, X-Content-Type-Options, Referrer-Policy,
 * Strict-Transport-Security; Cache-Control (no-store) and Content-Security-Policy (nothing
 * allowed) unless the handler adds its own. For HEAD the body is counted and left out.
 */
/* Copied; CR, LF and other control characters become '?'. Beyond HTTP_REPLY_HEADERS_MAX bytes the
 * header is left out and logged. */
void http_add_header(struct http_request *request, const char *name, const char *value);
/* 'type' is the Content-Type, NULL without a body. The body is copied. */
void http_reply(struct http_request *request, int status, const char *type, const void *body,
                size_t size);
/* Takes the reference of 'document'. */
void http_reply_json(struct http_request *request, int status, struct json_object *document);
/* A problem document (RFC 9457) with the status of err->code: type, title, status, detail, code
 * (the slug), kind (the name of the code) and mend. */
void http_reply_err(struct http_request *request, const struct err *err);
/* The same document, for those who need it elsewhere; the caller's. */
struct json_object *http_problem(int status, const struct err *err);
/* Closes the connection without an answer. */
void http_drop(struct http_request *request);

/* Asks to be told once, from the loop, when the client goes away or the reply deadline passes
 * before the answer. The handle stays valid and still has to be ended. One callback a request. */
typedef void http_gone(void *data, struct http_request *request);
void http_on_gone(struct http_request *request, http_gone *gone, void *data);
bool http_is_gone(const struct http_request *request);

/*
 * Server-sent events. http_stream_start() ends the request and answers 200; NULL when the client is
 * gone, for HEAD (the head was sent), or when there are too many streams (a 503 was). A ": ping"
 * goes out in every silence of ping_ms. Resuming after Last-Event-ID is the caller's.
 *
 * 'gone' is called once, from the loop, when the stream ends by the client, the backlog, a stuck
 * client or the stop of the server; the handle is invalid when it returns. Not after
 * http_stream_end().
 */
typedef void http_stream_gone(void *data, struct http_stream *stream);
struct http_stream *http_stream_start(struct http_request *request, http_stream_gone *gone,
                                      void *data);
/* 'event' and 'id' may be NULL and hold no line ends; 'text' may. Once the stream is lost it does
 * nothing, until 'gone' comes. */
void http_stream_send(struct http_stream *stream, const char *event, const char *id,
                      const char *text);
/* The frame of http_stream_send() appended to 'into', for one that goes to many... */
void http_stream_frame(struct buf *into, const char *event, const char *id, const char *text);
/* ...by this. */
void http_stream_send_frame(struct http_stream *stream, const void *frame, size_t size);
/* Sends what is left and closes; the handle is invalid. */
void http_stream_end(struct http_stream *stream);

typedef void http_handler(void *data, struct http_request *request);

/* A zero means the default. Everything is copied. */
struct http_options {
    const char *listen;             /* "ADDR:PORT", "[ADDR6]:PORT"; no names; port 0: any */
    const struct tls_identity *tls; /* NULL: plain HTTP, for an agent's /healthz, and for tests */
    http_handler *handler;          /* required */
    void *data;                     /* borrowed, for the handler */
    size_t body_size_max;           /* bytes */
    unsigned connections_max;       /* beyond it the oldest idle one is closed, or the new one; at
                                     * most half of RLIMIT_NOFILE */
    unsigned pending_max;           /* requests at their handlers */
    unsigned streams_max;
    unsigned handshake_ms; /* 10 s */
    unsigned header_ms;    /* 10 s, from the first byte, or from the end of the handshake */
    unsigned body_ms;      /* 30 s */
    unsigned reply_ms;     /* 120 s that a handler has; then 504 and 'gone' */
    unsigned write_ms;     /* 30 s to take HTTP_WRITE_STEP_SIZE bytes of an answer */
    unsigned idle_ms;      /* 60 s */
    unsigned linger_ms;    /* 2 s */
    unsigned ping_ms;      /* 15 s */
};

/*
 * Listens at once. '*ret' is the caller's (http_server_close).
 * ERR_INVALID slug "listen_address", "tls_material"; ERR_UNAVAILABLE slug "listen": in use.
 */
MUST_CHECK enum err_code http_server_open(struct ev_loop *loop, const struct http_options *options,
                                          struct http_server **ret, struct err *err);
/* Closes everything now and frees. Handles of requests stay valid and must still be ended; their
 * 'gone', and that of streams, is called before this returns (the exception to H4). Not from inside
 * a callback of the server. */
void http_server_close(struct http_server *server);

/* Accepts no more, closes idle connections and streams, lets pending requests finish for at most
 * 'within_ms', then closes the rest. 'stopped' is called once from the loop; NULL for none. */
typedef void http_stopped(void *data);
void http_server_stop(struct http_server *server, unsigned within_ms, http_stopped *stopped,
                      void *data);
/* New certificates for new connections; on error the old ones stay. */
MUST_CHECK enum err_code http_server_reload(struct http_server *server,
                                            const struct tls_identity *tls, struct err *err);
/* "127.0.0.1:7443", with the real port; borrowed. */
const char *http_server_address(const struct http_server *server);

/* For /metrics; all but the 'now' ones only grow. */
struct http_counters {
    uint64_t connections_now;
    uint64_t connections;
    uint64_t handshake_failures;
    uint64_t requests; /* that reached the handler */
    uint64_t pending_now;
    uint64_t streams_now;
    uint64_t streams;
    uint64_t streams_dropped; /* backlog or stuck */
    uint64_t replies[6];      /* by first digit of the status */
    uint64_t gone;            /* clients that left before their answer */
    uint64_t timeouts;        /* connections closed by a deadline, idle ones not counted */
    uint64_t accept_failures; /* out of file descriptors and the like */
    uint64_t held_size_now;   /* bytes */
    uint64_t received_size;   /* bytes of requests, without TLS */
    uint64_t sent_size;       /* bytes of answers, without TLS */
    uint64_t refused[HTTP_REFUSAL_COUNT];
};
const struct http_counters *http_server_counters(const struct http_server *server);
