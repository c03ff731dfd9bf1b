/*
 * parse.h -- from bytes to one whole, checked request. No socket, no clock.
 *
 * The library (llhttp, or http-parser where the system has no llhttp) decides where a message ends.
 * It is lenient, and the two differ, so the header block is also read by a strict scan of our own:
 * what both accept is a request, and all that the rest of the program sees comes from the scan.
 *
 *   P1  The outcome depends on the bytes only, never on how they were cut into reads.
 *   P2  A message never holds more than HTTP_HEADER_SIZE_MAX + body_size_max + what one read
 * brought.
 */
#pragma once

#ifdef BATON_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/http/chunk.h"
#include "controller/http/server.h"
#include "controller/http/target.h"

enum http_step {
    HTTP_STEP_MORE,     /* all is well so far; add bytes */
    HTTP_STEP_COMPLETE, /* a whole request stands there; what follows it begins at 'rest_at' */
    HTTP_STEP_REFUSED,  /* 'refusal' says why; the connection cannot go on */
};

struct http_message {
    struct buf bytes; /* owned; the reader appends, the parser cuts NULs into the header block */
    size_t body_size_max;

    /* valid once 'headers_done' */
    bool headers_done;
    bool expects_continue;
    bool version_1_0;
    bool keep_alive;
    enum http_verb verb;
    size_t path_at; /* offsets into 'bytes', which moves while it grows */
    size_t query_at;
    struct http_pairs query;
    unsigned header_count;
    uint16_t name_at[HTTP_HEADER_COUNT_MAX];
    uint16_t value_at[HTTP_HEADER_COUNT_MAX];

    /* valid once complete */
    size_t body_at;
    size_t body_size;
    size_t rest_at;

    enum http_refusal refusal;

    /* private */
    size_t fed;    /* bytes that the library has seen */
    size_t start;  /* of the request line, behind empty lines */
    uint32_t seen; /* headers that may stand once */
    bool chunked;
    size_t framing_at; /* first byte between chunks that was not scanned */
    struct http_chunks chunks;
    bool has_length;
    uint64_t length;
    bool complete;
#ifdef BATON_LLHTTP
    llhttp_t parser;
#else
    struct http_parser parser;
#endif
};

/* In place; for a message that is zeroed or was done with. Keeps memory of the one before. */
void http_message_reset(struct http_message *message, size_t body_size_max);
void http_message_done(struct http_message *message);
/* Reads what was appended to 'bytes' since the last call. Not again after COMPLETE or REFUSED. */
enum http_step http_message_feed(struct http_message *message);
/* First value of that header, any case; NULL when there is none. Needs 'headers_done'. */
const char *http_message_header(const struct http_message *message, const char *name);
/* True while nothing but empty lines has come. */
bool http_message_is_empty(const struct http_message *message);
