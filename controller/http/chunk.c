#include "controller/http/chunk.h"

#include "controller/http/server.h"

static bool
is_hex(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

static bool
is_text(char byte)
{
    return ((unsigned char)byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

static bool
go(struct http_chunks *chunks, bool allowed, enum http_chunk_state next)
{
    chunks->state = next;
    return allowed;
}

static bool
read_size(struct http_chunks *chunks, char byte)
{
    if (++chunks->line_size > HTTP_CHUNK_LINE_SIZE_MAX)
        return false;
    if (chunks->state == HTTP_CHUNK_SIZE_FIRST) {
        chunks->has_data = byte != '0';
        return go(chunks, is_hex(byte), HTTP_CHUNK_SIZE);
    }
    if (byte == '\r')
        return go(chunks, true, HTTP_CHUNK_SIZE_LF);
    if (chunks->state == HTTP_CHUNK_EXTENSION)
        return is_text(byte);
    if (byte == ';')
        return go(chunks, true, HTTP_CHUNK_EXTENSION);
    chunks->has_data = chunks->has_data || byte != '0';
    return is_hex(byte);
}

static bool
read_trailer(struct http_chunks *chunks, char byte)
{
    if (++chunks->trailer_size > HTTP_HEADER_SIZE_MAX)
        return false;
    if (byte == '\r')
        return go(chunks, true,
                  chunks->state == HTTP_CHUNK_TRAILER_FIRST ? HTTP_CHUNK_END_LF
                                                            : HTTP_CHUNK_TRAILER_LF);
    return go(chunks, is_text(byte), HTTP_CHUNK_TRAILER);
}

static bool
step(struct http_chunks *chunks, char byte)
{
    switch (chunks->state) {
    case HTTP_CHUNK_SIZE_FIRST:
    case HTTP_CHUNK_SIZE:
    case HTTP_CHUNK_EXTENSION:
        return read_size(chunks, byte);
    case HTTP_CHUNK_SIZE_LF:
        chunks->line_size = 0;
        return go(chunks, byte == '\n',
                  chunks->has_data ? HTTP_CHUNK_DATA_CR : HTTP_CHUNK_TRAILER_FIRST);
    case HTTP_CHUNK_DATA_CR:
        return go(chunks, byte == '\r', HTTP_CHUNK_DATA_LF);
    case HTTP_CHUNK_DATA_LF:
        return go(chunks, byte == '\n', HTTP_CHUNK_SIZE_FIRST);
    case HTTP_CHUNK_TRAILER_FIRST:
    case HTTP_CHUNK_TRAILER:
        return read_trailer(chunks, byte);
    case HTTP_CHUNK_TRAILER_LF:
        return go(chunks, byte == '\n', HTTP_CHUNK_TRAILER_FIRST);
    case HTTP_CHUNK_END_LF:
        return go(chunks, byte == '\n', HTTP_CHUNK_END);
    case HTTP_CHUNK_END:
        return false;
    }
    return false;
}

bool
http_chunks_scan(struct http_chunks *chunks, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!step(chunks, bytes[i]))
            return false;
    }
    return true;
}
