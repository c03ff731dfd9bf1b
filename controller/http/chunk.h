/*
 * chunk.h -- what stands between the pieces of a chunked body, read strictly.
 *
 * The library takes any byte for the LF behind a chunk's size. Another reader of the same bytes may
 * not, and then the two disagree where the request ends; so each byte of the framing passes here
 * too. The data of the chunks does not: which bytes those are is for the library to say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_CHUNK_LINE_SIZE_MAX 256 /* a size with its extensions */

enum http_chunk_state {
    HTTP_CHUNK_SIZE_FIRST,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_EXTENSION,
    HTTP_CHUNK_SIZE_LF,
    HTTP_CHUNK_DATA_CR,
    HTTP_CHUNK_DATA_LF,
    HTTP_CHUNK_TRAILER_FIRST,
    HTTP_CHUNK_TRAILER,
    HTTP_CHUNK_TRAILER_LF,
    HTTP_CHUNK_END_LF,
    HTTP_CHUNK_END,
};

/* A zeroed struct is the start. */
struct http_chunks {
    enum http_chunk_state state;
    bool has_data;       /* the size is not 0 */
    size_t line_size;    /* bytes of a size line */
    size_t trailer_size; /* bytes of all trailers */
};

/* False when one of these bytes may not stand there; the state is lost then. */
bool http_chunks_scan(struct http_chunks *chunks, const char *bytes, size_t size);
