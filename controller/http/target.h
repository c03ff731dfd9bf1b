/*
 * target.h -- the request target: percent-decoding of the path and of the query. No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/http/server.h"

/* Decoded names and values, each followed by a NUL. A zeroed struct is empty. */
struct http_pairs {
    struct buf text; /* owned */
    uint16_t name_at[HTTP_QUERY_COUNT_MAX];
    uint16_t value_at[HTTP_QUERY_COUNT_MAX];
    unsigned count;
};

/*
 * Decodes in place. False, and 'path' is to be thrown away, unless it begins with '/', every escape
 * is right, and what comes out is UTF-8 without control characters and without an empty, "." or
 * ".." segment; the last may be empty. A decoded '/' counts like any other.
 */
MUST_CHECK bool http_path_decode(char *path);

/* "name=value&..."; a name without '=' has the value "". False for a bad escape, bad UTF-8, control
 * characters, a name that stands twice or is empty, or more than HTTP_QUERY_COUNT_MAX. */
MUST_CHECK bool http_pairs_read(struct http_pairs *pairs, const char *query);
/* Borrowed; NULL when the name is not there. */
const char *http_pairs_find(const struct http_pairs *pairs, const char *name);
void http_pairs_clear(struct http_pairs *pairs);
void http_pairs_done(struct http_pairs *pairs);
