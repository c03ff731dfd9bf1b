/*
 * buf.h -- a growing run of bytes, always followed by a NUL that is not counted in 'size'.
 * A zeroed struct is an empty buffer.
 */
#pragma once

#include <stdint.h>

#include "controller/base/own.h"

struct buf {
    char *data;      /* owned; NULL while nothing was added */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated, the NUL included */
};

void buf_done(struct buf *buf);
/* Keeps the memory, forgets the content. */
void buf_clear(struct buf *buf);
void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for 'size' more bytes at the returned place; call buf_grew() with what was used. */
char *buf_reserve(struct buf *buf, size_t size);
void buf_grew(struct buf *buf, size_t size);
/* Removes the first 'size' bytes. */
void buf_drop(struct buf *buf, size_t size);
/* The content as a C string, "" when empty; borrowed until the next change. */
const char *buf_text(const struct buf *buf);
/* Hands the memory over (never NULL); the buffer is empty afterwards. */
char *buf_take(struct buf *buf);
