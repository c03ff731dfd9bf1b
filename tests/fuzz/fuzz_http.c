/*
 * From bytes to requests, as a connection does it: one message after the other, until bytes are
 * missing or one is refused. The same bytes in other pieces must end the same way (P1 of parse.h).
 *
 * The first byte of the input seeds how it is cut.
 */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/http/parse.h"
#include "tests/fuzz/fuzz.h"

#define BODY_SIZE_MAX    8192
#define MESSAGES_MAX     64
#define READ_SIZE_MAX    4096 /* of the server */
#define PIECE_SIZE_SMALL 7

static void
check_path(const char *path)
{
    ASSERT(path[0] == '/' && str_is_utf8(path, strlen(path)));
    for (const char *at = path; *at != '\0'; at++)
        ASSERT((unsigned char)*at >= 0x20 && *at != 0x7f);
    ASSERT(strstr(path, "//") == NULL && strstr(path, "/../") == NULL &&
           strstr(path, "/./") == NULL && !str_ends(path, "/..") && !str_ends(path, "/."));
}

static void
check_whole(const struct http_message *message)
{
    const char *base = message->bytes.data;
    ASSERT(message->headers_done && message->header_count <= HTTP_HEADER_COUNT_MAX);
    check_path(base + message->path_at);
    ASSERT(strlen(base + message->query_at) <= HTTP_URL_SIZE_MAX);
    ASSERT(message->query.count <= HTTP_QUERY_COUNT_MAX);
    for (unsigned i = 0; i < message->header_count; i++) {
        const char *name = base + message->name_at[i];
        const char *value = base + message->value_at[i];
        ASSERT(name[0] != '\0' && strpbrk(name, " \t\r\n:") == NULL);
        ASSERT(strpbrk(value, "\r\n") == NULL);
        ASSERT(value + strlen(value) < base + message->body_at);
        ASSERT(http_message_header(message, name) != NULL);
    }
    ASSERT(message->version_1_0 || http_message_header(message, "Host") != NULL);
    ASSERT(message->body_size <= BODY_SIZE_MAX);
    ASSERT(message->body_at + message->body_size <= message->rest_at);
    ASSERT(message->rest_at <= message->bytes.size);
}

static void
describe(const struct http_message *message, struct buf *to)
{
    const char *base = message->bytes.data;
    buf_printf(to, "%s %s ?%s keep=%d 1.0=%d expects=%d", http_verb_name(message->verb),
               base + message->path_at, base + message->query_at, message->keep_alive,
               message->version_1_0, message->expects_continue);
    for (unsigned i = 0; i < message->header_count; i++)
        buf_printf(to, " [%s=%s]", base + message->name_at[i], base + message->value_at[i]);
    for (unsigned i = 0; i < message->query.count; i++)
        buf_printf(to, " (%s=%s)", message->query.text.data + message->query.name_at[i],
                   message->query.text.data + message->query.value_at[i]);
    buf_add(to, base + message->body_at, message->body_size);
}

/* The size of the next piece; 0 in 'cut' means that pieces are as large as reads can be. */
static size_t
next_piece(uint32_t *cut, size_t left)
{
    if (*cut == 0)
        return left < READ_SIZE_MAX ? left : READ_SIZE_MAX;
    *cut ^= *cut << 13;
    *cut ^= *cut >> 17;
    *cut ^= *cut << 5;
    size_t most = (*cut & 0x100) != 0 ? PIECE_SIZE_SMALL : READ_SIZE_MAX;
    size_t piece = 1 + *cut % most;
    return piece < left ? piece : left;
}

/* Everything that comes of these bytes, as one text. */
static void
serve(const uint8_t *data, size_t size, uint32_t cut, struct buf *to)
{
    struct http_message message = { 0 };
    struct buf ahead = { 0 };
    http_message_reset(&message, BODY_SIZE_MAX);
    size_t at = 0;
    unsigned whole = 0;
    while (whole < MESSAGES_MAX) {
        if (ahead.size > 0) {
            buf_add(&message.bytes, ahead.data, ahead.size);
            buf_clear(&ahead);
        } else if (at < size) {
            size_t piece = next_piece(&cut, size - at);
            buf_add(&message.bytes, data + at, piece);
            at += piece;
        } else {
            break;
        }
        enum http_step step = http_message_feed(&message);
        ASSERT(message.bytes.size <= HTTP_HEADER_SIZE_MAX + BODY_SIZE_MAX + 2 * READ_SIZE_MAX);
        if (step == HTTP_STEP_REFUSED) {
            ASSERT(message.refusal != HTTP_REFUSE_NONE);
            buf_printf(to, "refused %s", http_refusal_slug(message.refusal));
            break;
        }
        if (step == HTTP_STEP_MORE)
            continue;
        check_whole(&message);
        describe(&message, to);
        buf_add(to, "\n", 1);
        whole++;
        buf_add(&ahead, message.bytes.data + message.rest_at, message.bytes.size - message.rest_at);
        http_message_reset(&message, BODY_SIZE_MAX);
    }
    buf_done(&ahead);
    http_message_done(&message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buf large = { 0 };
    struct buf small = { 0 };
    serve(data + 1, size - 1, 0, &large);
    serve(data + 1, size - 1, 1 + (uint32_t)data[0] * 2654435761u, &small);
    ASSERT(large.size == small.size);
    ASSERT(large.size == 0 || memcmp(large.data, small.data, large.size) == 0);
    buf_done(&large);
    buf_done(&small);
    return 0;
}
