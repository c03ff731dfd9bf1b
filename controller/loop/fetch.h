/*
 * fetch.h -- HTTPS requests to others: on the loop (curl multi on libev), or blocking for the CLI.
 *
 * HTTP/1.1 with keep-alive, TLS by tls.h; no redirects, no proxy, no cookies, no environment.
 * One client serves one purpose: all its requests share the CA and our certificate.
 *
 * An answer of any status is a reply, not an error; fetch_reply_err() makes an error of a bad one.
 * An error says what may have happened at the other side, for the caller's invariants:
 *
 *   ERR_UNAVAILABLE      nothing was sent: no such host, refused, unreachable, connect timed out
 *                        (slugs "dns", "connect", "connect_timeout"); or a GET or HEAD whose
 *                        connection broke ("connection_lost")
 *   ERR_PROTOCOL         not the server that we trust ("tls_untrusted", "pin_mismatch",
 *                        "tls_handshake") or not HTTP ("bad_reply"; only for GET and HEAD)
 *   ERR_TIMEOUT          a GET or HEAD got no answer in time ("timeout")
 *   ERR_LIMIT            the answer is larger than reply_size_max ("reply_too_large")
 *   ERR_UNKNOWN_OUTCOME  any other method whose request may have left us and that got no whole
 *                        answer: perhaps done, perhaps not. Such a request is never sent twice;
 *                        GET and HEAD are repeated once when a kept connection turns out dead.
 *   ERR_DENIED           nothing was sent: 'address_allowed' wants no such address
 *                        ("address_denied")
 *   ERR_CANCELLED        the client was closed ("cancelled")
 *   ERR_INVALID          the request itself is wrong ("url", "header"), or our certificate, key or
 *                        CA ("tls_material")
 *   ERR_THROTTLED        FETCH_PENDING_MAX requests are under way ("fetch_pending")
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "controller/loop/tls.h"

struct ev_loop;
struct fetch;
struct fetch_client;
struct fetch_roots;

#define FETCH_PENDING_MAX        256
#define FETCH_HOST_CONNECTIONS   8               /* kept or in use, for each host of a client */
#define FETCH_KEEP_S             45              /* less than the server's idle deadline */
#define FETCH_REPLY_SIZE_MAX     (1024UL * 1024) /* default of reply_size_max */
#define FETCH_TIMEOUT_MS         10000           /* defaults */
#define FETCH_CONNECT_TIMEOUT_MS 3000

/* Copied by fetch_client_open() and read again for each new connection when they are paths, so a
 * renewed certificate is taken up by new connections. */
struct fetch_trust {
    struct tls_identity tls; /* 'ca' NULL: none, then one of the next three is needed */
    const uint8_t *pin;      /* TLS_PIN_SIZE bytes: the server's key must be this one, also if no CA
                              * says so; with 'ca' both must hold. NULL: none */
    bool system_trust;       /* the CAs of the operating system */
    struct fetch_roots *roots; /* what 'ca' or 'system_trust' says, already read; NULL: each
                                * connection reads it. The client takes a share */
    bool untrusted;            /* takes any server: only to read its pin before it is trusted */
    bool plain_http;           /* "http://" too, for servers of others that we probe */
};

struct fetch_header {
    const char *name;
    const char *value;
};

/* All borrowed, and only for the call; a zero means the default. */
struct fetch_request {
    const char *method; /* NULL: "GET" */
    const char *url;    /* "https://west-1:7443/v1/peer/state" */
    const char
        *connect_to; /* "ADDR:PORT" to connect to, while name checks use the URL; may be NULL */
    /* Asked with the address ("192.0.2.1") of each connection before it is made: what the name says
     * at another time does not count. NULL: any. */
    bool (*address_allowed)(const char *address);
    const struct fetch_header *headers;
    size_t header_count;
    const void *body; /* NULL: none */
    size_t body_size;
    const char *type;    /* Content-Type of the body; NULL: "application/json" */
    unsigned timeout_ms; /* for all of it, connecting included */
    unsigned connect_timeout_ms;
    size_t reply_size_max;
};

struct fetch_reply {
    int status;
    const char *type; /* Content-Type, "" when there is none */
    struct buf body;
    uint64_t total_us;
    uint64_t connect_us;       /* TLS included; 0: a kept connection was used */
    char address[64];          /* of the server: "192.0.2.1" */
    uint8_t pin[TLS_PIN_SIZE]; /* of the server's key; zero on a plain connection */
    int64_t not_after_s;       /* end of its certificate, since 1970; 0 on a plain connection */
    void *handle;              /* private */
};

/*
 * CAs, read once for many connections: reading one certificate costs a tenth of a handshake, and
 * the operating system has some 140.
 *
 * 'ca' is PEM text, or NULL for those of the operating system. The caller's first share; NULL: they
 * cannot be read so, and are left to each connection, which says what is wrong.
 */
struct fetch_roots *fetch_roots_read(const char *ca);
/* One more share of the same, to be freed; NULL is fine, for both. */
struct fetch_roots *fetch_roots_share(struct fetch_roots *roots);
void fetch_roots_free(struct fetch_roots *roots);
/* False: the operating system has others by now. */
bool fetch_roots_current(const struct fetch_roots *roots);

/* The value of a header (any case) or NULL; borrowed from the reply. */
const char *fetch_reply_header(const struct fetch_reply *reply, const char *name);
/* ERR_NONE for 2xx. Otherwise the error that the problem document says ('kind', 'code', 'detail',
 * 'mend'), or one made from the status. */
MUST_CHECK enum err_code fetch_reply_err(const struct fetch_reply *reply, struct err *err);

/* One of 'reply' and 'err' is NULL; both are borrowed for the call. */
typedef void fetch_done(void *data, const struct fetch_reply *reply, const struct err *err);

/* '*ret' is the caller's. ERR_INVALID slug "fetch_trust": nothing says whom to trust. */
MUST_CHECK enum err_code fetch_client_open(struct ev_loop *loop, const struct fetch_trust *trust,
                                           struct fetch_client **ret, struct err *err);
/* Requests under way end with ERR_CANCELLED before this returns. Not from inside a 'done'. */
void fetch_client_close(struct fetch_client *client);
/* Forgets kept connections, so that the next request makes a new one (after new certificates). */
void fetch_client_forget(struct fetch_client *client);

/* 'done' is called exactly once, from the loop, never from inside this; wrong requests too end
 * there. The handle is valid until 'done' is called. New requests may be started inside 'done'. */
struct fetch *fetch_start(struct fetch_client *client, const struct fetch_request *request,
                          fetch_done *done, void *data);
/* 'done' will not be called. NULL is fine. Not from inside the 'done' of the same request. */
void fetch_cancel(struct fetch *fetch);

/* Blocks; for the CLI only. '*ret' is the caller's (fetch_reply_done) and must be zeroed before. */
MUST_CHECK enum err_code fetch_once(const struct fetch_trust *trust,
                                    const struct fetch_request *request, struct fetch_reply *ret,
                                    struct err *err);
void fetch_reply_done(struct fetch_reply *reply);

/* Blocks and hands over the body of a 2xx answer as it comes (event streams); 'ret->body' then
 * stays empty, while it holds that of any other status. 'chunk' returns false to end: that is
 * ERR_NONE. timeout_ms bounds the longest silence instead of the whole. */
typedef bool fetch_chunk(void *data, const char *bytes, size_t size);
MUST_CHECK enum err_code fetch_stream(const struct fetch_trust *trust,
                                      const struct fetch_request *request, fetch_chunk *chunk,
                                      void *data, struct fetch_reply *ret, struct err *err);
