#include "controller/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"

#define BUF_CAPACITY_MIN 128

void
buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){ 0 };
}

void
buf_clear(struct buf *buf)
{
    buf->size = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

char *
buf_reserve(struct buf *buf, size_t size)
{
    size_t needed;
    ASSERT(!__builtin_add_overflow(buf->size, size, &needed) && needed < SIZE_MAX / 2);
    if (needed + 1 > buf->capacity) {
        size_t capacity = buf->capacity < BUF_CAPACITY_MIN ? BUF_CAPACITY_MIN : buf->capacity;
        while (capacity < needed + 1)
            capacity *= 2;
        buf->data = mem_grow(buf->data, capacity, 1);
        buf->capacity = capacity;
        buf->data[buf->size] = '\0'; /* also while nothing is added to the room */
    }
    return buf->data + buf->size;
}

void
buf_grew(struct buf *buf, size_t size)
{
    ASSERT(buf->size + size < buf->capacity);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void
buf_add(struct buf *buf, const void *bytes, size_t size)
{
    char *room = buf_reserve(buf, size);
    if (size > 0)
        memcpy(room, bytes, size);
    buf_grew(buf, size);
}

void
buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ASSERT(length >= 0);
    char *room = buf_reserve(buf, (size_t)length);
    (void)vsnprintf(room, (size_t)length + 1, format, again);
    va_end(again);
    buf_grew(buf, (size_t)length);
}

void
buf_drop(struct buf *buf, size_t size)
{
    ASSERT(size <= buf->size);
    if (size == 0)
        return;
    memmove(buf->data, buf->data + size, buf->size - size);
    buf->size -= size;
    buf->data[buf->size] = '\0';
}

const char *
buf_text(const struct buf *buf)
{
    return buf->data == NULL ? "" : buf->data;
}

char *
buf_take(struct buf *buf)
{
    (void)buf_reserve(buf, 0);
    buf_grew(buf, 0);
    char *data = buf->data;
    *buf = (struct buf){ 0 };
    return data;
}
