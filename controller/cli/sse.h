/*
 * sse.h -- server-sent events out of bytes that arrive in any pieces.
 *
 * Lines end with LF, CR or CR LF; a comment (": ping") is nothing; an empty line ends an event.
 * An event without data is not told. A zeroed struct is a new parser.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define SSE_LINE_SIZE_MAX (1024UL * 1024)
#define SSE_WORD_SIZE     96

struct sse_event {
    const char *kind; /* "message" when the server named none */
    const char *id;   /* the last one sent, "" before the first */
    const char *data;
    size_t size;
};

struct sse {
    struct buf line;
    struct buf data;
    char kind[SSE_WORD_SIZE];
    char id[SSE_WORD_SIZE];
    bool has_data;
    bool after_cr;
    bool started;
};

/* False ends the feeding. */
typedef bool sse_found(void *data, const struct sse_event *event);

void sse_done(struct sse *sse);
/* ERR_LIMIT: a line or an event is longer than SSE_LINE_SIZE_MAX. '*ret_wanted' false: 'found'
 * wanted no more. */
MUST_CHECK enum err_code sse_feed(struct sse *sse, const char *bytes, size_t size, sse_found *found,
                                  void *data, bool *ret_wanted, struct err *err);
/* The connection was lost in the middle of an event: its rest will not come. The id stays. */
void sse_reset(struct sse *sse);
