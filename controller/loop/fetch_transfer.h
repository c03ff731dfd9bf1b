/*
 * fetch_transfer.h -- inside fetch: one request as a curl handle, and what its end means.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "controller/loop/fetch.h"

/* A copy of struct fetch_trust that owns its texts. */
struct fetch_trusted {
    char *ca;
    char *cert;
    char *key;                 /* secret when it is PEM */
    char pin[64];              /* as curl wants it; "" for none */
    struct fetch_roots *roots; /* a share, or NULL */
    bool system_trust;
    bool untrusted;
    bool plain_http;
};

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *name; /* "GET https://west-1:7443/v1/status", for errors */
    size_t reply_size_max;
    bool safe;          /* GET or HEAD: may be sent twice */
    unsigned sendings;  /* how often the request began to leave us */
    bool resend_denied; /* the kept connection broke, and curl would have sent it again */
    bool stale;         /* the kept connection had ended before: to be begun again on a new one */
    bool too_large;
    bool (*address_allowed)(const char *address); /* NULL: any */
    char denied[64];                              /* an address that was not; "" */
    fetch_chunk *chunk;                           /* NULL: the body is collected */
    void *chunk_data;
    bool chunk_ended;
    struct fetch_reply reply;
    char error[CURL_ERROR_SIZE];
};

/* Borrowed from the roots. */
X509_STORE *fetch_roots_store(struct fetch_roots *roots);

MUST_CHECK enum err_code fetch_trusted_copy(const struct fetch_trust *trust,
                                            struct fetch_trusted *ret, struct err *err);
void fetch_trusted_done(struct fetch_trusted *trusted);

/* In place; the address must not change until fetch_transfer_done(), which is due also on error. */
MUST_CHECK enum err_code fetch_transfer_init(struct transfer *transfer,
                                             const struct fetch_trusted *trusted,
                                             const struct fetch_request *request, struct err *err);
/* Fills in 'reply', or says what went wrong and what may have happened. */
MUST_CHECK enum err_code fetch_transfer_end(struct transfer *transfer, CURLcode result,
                                            struct err *err);
void fetch_transfer_done(struct transfer *transfer);
