#include "controller/http/parse.h"

#include <string.h>
#include <strings.h>

#include "controller/base/check.h"

#define EMPTY_LINES_SIZE_MAX 4 /* before a request line (RFC 9112 2.2) */
#define LENGTH_DIGITS_MAX    15

/* Headers that count once: with two of them, two readers might each believe another. */
enum once {
    ONCE_HOST,
    ONCE_CONTENT_LENGTH,
    ONCE_TRANSFER_ENCODING,
    ONCE_CONTENT_TYPE,
    ONCE_AUTHORIZATION,
    ONCE_COOKIE,
    ONCE_EXPECT,
    ONCE_IF_MATCH,
    ONCE_IF_NONE_MATCH,
    ONCE_LAST_EVENT_ID,
    ONCE_ORIGIN,
    ONCE_COUNT
};
#define ONCE_NAME(text)                                                                            \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct {
    const char *name;
    size_t length;
} once_names[ONCE_COUNT] = {
    [ONCE_HOST] = ONCE_NAME("host"),
    [ONCE_CONTENT_LENGTH] = ONCE_NAME("content-length"),
    [ONCE_TRANSFER_ENCODING] = ONCE_NAME("transfer-encoding"),
    [ONCE_CONTENT_TYPE] = ONCE_NAME("content-type"),
    [ONCE_AUTHORIZATION] = ONCE_NAME("authorization"),
    [ONCE_COOKIE] = ONCE_NAME("cookie"),
    [ONCE_EXPECT] = ONCE_NAME("expect"),
    [ONCE_IF_MATCH] = ONCE_NAME("if-match"),
    [ONCE_IF_NONE_MATCH] = ONCE_NAME("if-none-match"),
    [ONCE_LAST_EVENT_ID] = ONCE_NAME("last-event-id"),
    [ONCE_ORIGIN] = ONCE_NAME("origin"),
};

static const char *const verb_names[HTTP_VERB_COUNT] = {
    [HTTP_VERB_GET] = "GET",         [HTTP_VERB_HEAD] = "HEAD",   [HTTP_VERB_POST] = "POST",
    [HTTP_VERB_PUT] = "PUT",         [HTTP_VERB_PATCH] = "PATCH", [HTTP_VERB_DELETE] = "DELETE",
    [HTTP_VERB_OPTIONS] = "OPTIONS",
};

const char *
http_verb_name(enum http_verb verb)
{
    ASSERT((unsigned)verb < HTTP_VERB_COUNT);
    return verb_names[verb];
}

static bool
refuse(struct http_message *message, enum http_refusal refusal)
{
    if (message->refusal == HTTP_REFUSE_NONE)
        message->refusal = refusal;
    return false;
}

/* What RFC 9110 calls a token. */
static bool
is_token_char(char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(others, c) != NULL);
}

/*
 * The end of the line at 'line' (its CR), or NULL when the first CR or LF is not a CR LF. Never
 * looks further: the library takes a CR alone for the end of some lines, and may have stopped
 * there, so that what follows may or may not have come yet (P1).
 */
static char *
line_end(char *line, const char *end)
{
    while (line < end && *line != '\r' && *line != '\n')
        line++;
    return end - line >= 2 && line[0] == '\r' && line[1] == '\n' ? line : NULL;
}

/* "http://host/path" becomes "/path": RFC 9112 wants it taken. NULL when it is neither form. */
static char *
origin_form(char *target)
{
    if (target[0] == '/')
        return target;
    size_t scheme = strncasecmp(target, "https://", 8) == 0  ? 8
                    : strncasecmp(target, "http://", 7) == 0 ? 7
                                                             : 0;
    if (scheme == 0)
        return NULL;
    char *authority = target + scheme;
    char *path = authority + strcspn(authority, "/?");
    if (*path == '/')
        return path;
    path[-1] = '/'; /* no path: over the last byte of the authority, or a slash again */
    return path - 1;
}

static bool
read_target(struct http_message *message, char *target)
{
    char *base = message->bytes.data;
    char *path = origin_form(target);
    if (path == NULL)
        return refuse(message, HTTP_REFUSE_TARGET);
    char *question = strchr(path, '?');
    if (question == NULL) {
        message->query_at = (size_t)(path - base) + strlen(path); /* its NUL: "" */
    } else {
        *question = '\0';
        message->query_at = (size_t)(question + 1 - base);
    }
    message->path_at = (size_t)(path - base);
    const char *query = base + message->query_at;
    /* the end of the raw path is kept in place only when there is a query: decode it last */
    if (!http_pairs_read(&message->query, query) || !http_path_decode(path))
        return refuse(message, HTTP_REFUSE_TARGET);
    return true;
}

/* 'line' is METHOD SP TARGET SP VERSION, its CR at 'end'. */
static bool
read_request_line(struct http_message *message, char *line, char *end)
{
    char *method_end = memchr(line, ' ', (size_t)(end - line));
    if (method_end == NULL)
        return refuse(message, HTTP_REFUSE_SYNTAX);
    char *target = method_end + 1;
    char *target_end = memchr(target, ' ', (size_t)(end - target));
    if (target_end == NULL || target_end == target)
        return refuse(message, HTTP_REFUSE_SYNTAX);
    static const size_t version_size = sizeof "HTTP/1.1" - 1;
    if ((size_t)(end - target_end - 1) != version_size ||
        memcmp(target_end + 1, "HTTP/1.", version_size - 1) != 0)
        return refuse(message, HTTP_REFUSE_SYNTAX);
    if ((size_t)(target_end - target) > HTTP_URL_SIZE_MAX)
        return refuse(message, HTTP_REFUSE_URL_SIZE);
    for (const char *at = target; at < target_end; at++) {
        if (*at <= 0x20 || *at >= 0x7f || *at == '#')
            return refuse(message, HTTP_REFUSE_TARGET);
    }

    message->version_1_0 = end[-1] == '0';
    *method_end = *target_end = '\0';
    for (unsigned verb = 0; verb < HTTP_VERB_COUNT; verb++) {
        if (strcmp(line, verb_names[verb]) == 0) {
            message->verb = (enum http_verb)verb;
            return read_target(message, target);
        }
    }
    return refuse(message, HTTP_REFUSE_VERB);
}

static bool
host_is_valid(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-_:[]%~";
    return *host != '\0' && strspn(host, allowed) == strlen(host);
}

static bool
read_length(struct http_message *message, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || value[digits] != '\0')
        return refuse(message, HTTP_REFUSE_LENGTH);
    if (digits > LENGTH_DIGITS_MAX)
        return refuse(message, HTTP_REFUSE_BODY_SIZE);
    message->has_length = true;
    message->length = strtoull(value, NULL, 10);
    return true;
}

static bool
read_once(struct http_message *message, enum once which, const char *value)
{
    if (message->seen & (1u << which)) {
        if (which == ONCE_HOST)
            return refuse(message, HTTP_REFUSE_HOST);
        return refuse(message, which == ONCE_CONTENT_LENGTH      ? HTTP_REFUSE_LENGTH
                               : which == ONCE_TRANSFER_ENCODING ? HTTP_REFUSE_FRAMING
                                                                 : HTTP_REFUSE_TWICE);
    }
    message->seen |= 1u << which;
    if (which == ONCE_HOST)
        return host_is_valid(value) || refuse(message, HTTP_REFUSE_HOST);
    if (which == ONCE_CONTENT_LENGTH)
        return read_length(message, value);
    if (which == ONCE_TRANSFER_ENCODING) {
        message->chunked = true;
        return strcasecmp(value, "chunked") == 0 || refuse(message, HTTP_REFUSE_FRAMING);
    }
    if (which == ONCE_EXPECT && !message->version_1_0) {
        message->expects_continue = true;
        return strcasecmp(value, "100-continue") == 0 || refuse(message, HTTP_REFUSE_EXPECT);
    }
    return true;
}

/* Our own headers carry orders and reasons: none of them may stand twice. */
static bool
own_header_is_new(const struct http_message *message, const char *name)
{
    for (unsigned i = 0; i < message->header_count; i++) {
        if (strcasecmp(message->bytes.data + message->name_at[i], name) == 0)
            return false;
    }
    return true;
}

static bool
read_header(struct http_message *message, char *line, char *end)
{
    if (*line == ' ' || *line == '\t')
        return refuse(message, HTTP_REFUSE_FOLDED);
    char *colon = line;
    while (is_token_char(*colon))
        colon++;
    if (colon == line || *colon != ':')
        return refuse(message, HTTP_REFUSE_HEADER);
    char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (const char *at = value; at < end; at++) {
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
            return refuse(message, HTTP_REFUSE_HEADER);
    }
    if (message->header_count == HTTP_HEADER_COUNT_MAX)
        return refuse(message, HTTP_REFUSE_HEADER_COUNT);
    *colon = *end = '\0';

    size_t length = (size_t)(colon - line);
    for (unsigned which = 0; which < ONCE_COUNT; which++) {
        if (once_names[which].length == length && strcasecmp(line, once_names[which].name) == 0 &&
            !read_once(message, (enum once)which, value))
            return false;
    }
    if (strncasecmp(line, "baton-", 6) == 0 && !own_header_is_new(message, line))
        return refuse(message, HTTP_REFUSE_TWICE);

    message->name_at[message->header_count] = (uint16_t)(line - message->bytes.data);
    message->value_at[message->header_count] = (uint16_t)(value - message->bytes.data);
    message->header_count++;
    return true;
}

static bool
check_framing(struct http_message *message)
{
    if (!message->version_1_0 && (message->seen & (1u << ONCE_HOST)) == 0)
        return refuse(message, HTTP_REFUSE_HOST);
    if (message->chunked && (message->has_length || message->version_1_0))
        return refuse(message, HTTP_REFUSE_FRAMING);
    if (message->has_length && message->length > message->body_size_max)
        return refuse(message, HTTP_REFUSE_BODY_SIZE);
    return true;
}

/* The strict reading of the whole header block, which the library has just accepted. */
static bool
scan_headers(struct http_message *message, unsigned major, unsigned minor)
{
    if (major != 1 || minor > 1)
        return refuse(message, HTTP_REFUSE_VERSION);
    char *line = message->bytes.data + message->start;
    const char *limit = message->bytes.data + message->bytes.size;
    char *end = line_end(line, limit);
    if (end == NULL)
        return refuse(message, HTTP_REFUSE_LINE_END);
    if (!read_request_line(message, line, end))
        return false;
    for (;;) {
        line = end + 2;
        end = line_end(line, limit);
        if (end == NULL)
            return refuse(message, HTTP_REFUSE_LINE_END);
        if (end == line)
            break;
        if ((size_t)(end - message->bytes.data) - message->start >= HTTP_HEADER_SIZE_MAX)
            return refuse(message, HTTP_REFUSE_HEADER_SIZE);
        if (!read_header(message, line, end))
            return false;
    }
    message->body_at = message->framing_at = (size_t)(end + 2 - message->bytes.data);
    if (message->body_at - message->start > HTTP_HEADER_SIZE_MAX)
        return refuse(message, HTTP_REFUSE_HEADER_SIZE);
    return check_framing(message);
}

/* The framing of chunks up to 'end', which the library has just accepted. */
static bool
scan_framing(struct http_message *message, size_t end)
{
    if (!message->headers_done || !message->chunked || message->framing_at >= end)
        return true;
    size_t begin = message->framing_at;
    message->framing_at = end;
    return http_chunks_scan(&message->chunks, message->bytes.data + begin, end - begin) ||
           refuse(message, HTTP_REFUSE_FRAMING);
}

/* Moves a piece of the body behind the one before it, over the framing of chunks. */
static bool
take_body(struct http_message *message, const char *at, size_t size)
{
    char *place = message->bytes.data + message->body_at + message->body_size;
    /* then the library and the scan do not agree where the headers end */
    if (place > at || (!message->chunked && place != at))
        return refuse(message, HTTP_REFUSE_SYNTAX);
    size_t offset = (size_t)(at - message->bytes.data);
    if (!scan_framing(message, offset))
        return false;
    message->framing_at = offset + size;
    if (message->body_size + size > message->body_size_max)
        return refuse(message, HTTP_REFUSE_BODY_SIZE);
    if (place != at)
        memmove(place, at, size);
    message->body_size += size;
    return true;
}

/* In words of our own; refusals of our callbacks are known already. */
static enum http_refusal
library_refusal(int result)
{
    return result == HPE_INVALID_VERSION             ? HTTP_REFUSE_VERSION
           : result == HPE_INVALID_HEADER_TOKEN      ? HTTP_REFUSE_HEADER
           : result == HPE_INVALID_CONTENT_LENGTH    ? HTTP_REFUSE_LENGTH
           : result == HPE_UNEXPECTED_CONTENT_LENGTH ? HTTP_REFUSE_FRAMING
           : result == HPE_INVALID_TRANSFER_ENCODING ? HTTP_REFUSE_FRAMING
                                                     : HTTP_REFUSE_SYNTAX;
}

/*
 * The library behind one seam: three callbacks, and library_execute(), which says how many of the
 * bytes it took, up to the end of the message, and what it has against the next one.
 */
#ifdef BATON_LLHTTP

static int
on_headers(llhttp_t *parser)
{
    struct http_message *message = parser->data;
    if (!scan_headers(message, parser->http_major, parser->http_minor))
        return -1;
    parser->upgrade = 0; /* an offer that we do not take: RFC 9110 7.8 */
    message->keep_alive = llhttp_should_keep_alive(parser) != 0;
    message->headers_done = true;
    return 0;
}

static int
on_body(llhttp_t *parser, const char *at, size_t size)
{
    return take_body(parser->data, at, size) ? 0 : -1;
}

static int
on_complete(llhttp_t *parser)
{
    ((struct http_message *)parser->data)->complete = true;
    return HPE_PAUSED;
}

static void
library_start(struct http_message *message)
{
    static llhttp_settings_t settings;
    if (settings.on_body == NULL) {
        llhttp_settings_init(&settings);
        settings.on_headers_complete = on_headers;
        settings.on_body = on_body;
        settings.on_message_complete = on_complete;
    }
    llhttp_init(&message->parser, HTTP_REQUEST, &settings);
    message->parser.data = message;
}

static enum http_refusal
library_execute(struct http_message *message, const char *bytes, size_t size, size_t *ret_taken)
{
    llhttp_errno_t result = llhttp_execute(&message->parser, bytes, size);
    *ret_taken = result == HPE_OK ? size : (size_t)(llhttp_get_error_pos(&message->parser) - bytes);
    if (result == HPE_OK || message->complete)
        return HTTP_REFUSE_NONE;
    /* a version that we speak, and then no CR LF */
    if (result == HPE_INVALID_VERSION && message->parser.http_major == 1 &&
        message->parser.http_minor <= 1)
        return HTTP_REFUSE_LINE_END;
    return library_refusal((int)result);
}

#else

static int
on_headers(struct http_parser *parser)
{
    struct http_message *message = parser->data;
    if (!scan_headers(message, parser->http_major, parser->http_minor))
        return -1;
    parser->upgrade = 0; /* an offer that we do not take: RFC 9110 7.8 */
    message->keep_alive = http_should_keep_alive(parser) != 0;
    message->headers_done = true;
    return 0;
}

static int
on_body(struct http_parser *parser, const char *at, size_t size)
{
    return take_body(parser->data, at, size) ? 0 : -1;
}

static int
on_complete(struct http_parser *parser)
{
    ((struct http_message *)parser->data)->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

static void
library_start(struct http_message *message)
{
    http_parser_init(&message->parser, HTTP_REQUEST);
    message->parser.data = message;
}

static enum http_refusal
library_execute(struct http_message *message, const char *bytes, size_t size, size_t *ret_taken)
{
    static const struct http_parser_settings settings = {
        .on_headers_complete = on_headers,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    *ret_taken = http_parser_execute(&message->parser, &settings, bytes, size);
    enum http_errno result = HTTP_PARSER_ERRNO(&message->parser);
    if (message->complete || (result == HPE_OK && *ret_taken == size))
        return HTTP_REFUSE_NONE;
    return library_refusal((int)result);
}

#endif

void
http_message_reset(struct http_message *message, size_t body_size_max)
{
    struct buf bytes = message->bytes;
    struct http_pairs query = message->query;
    buf_clear(&bytes);
    http_pairs_clear(&query);
    /* the arrays of headers are large and their count says what is valid */
    message->header_count = 0;
    message->bytes = bytes;
    message->query = query;
    message->body_size_max = body_size_max;
    message->headers_done = message->expects_continue = message->version_1_0 = false;
    message->keep_alive = message->chunked = message->has_length = message->complete = false;
    message->verb = HTTP_VERB_GET;
    message->path_at = message->query_at = 0;
    message->body_at = message->body_size = message->rest_at = 0;
    message->refusal = HTTP_REFUSE_NONE;
    message->fed = message->start = 0;
    message->seen = 0;
    message->length = 0;
    message->framing_at = 0;
    message->chunks = (struct http_chunks){ 0 };
    library_start(message);
}

void
http_message_done(struct http_message *message)
{
    buf_done(&message->bytes);
    http_pairs_done(&message->query);
}

bool
http_message_is_empty(const struct http_message *message)
{
    return message->bytes.size == message->start;
}

/* Steps over empty lines; they belong to no message. */
static bool
skip_empty_lines(struct http_message *message)
{
    const char *bytes = message->bytes.data;
    while (message->start < message->bytes.size &&
           (bytes[message->start] == '\r' || bytes[message->start] == '\n')) {
        if (message->start == EMPTY_LINES_SIZE_MAX)
            return refuse(message, HTTP_REFUSE_SYNTAX);
        message->start++;
    }
    message->fed = message->start;
    return true;
}

/* Where the header block is checked on its way, so that what comes of it does not depend on how the
 * bytes were cut (P1). */
static const size_t check_points[] = {
    HTTP_URL_SIZE_MAX + sizeof "OPTIONS  HTTP/1.1\r\n",
    HTTP_HEADER_SIZE_MAX,
};

static size_t
size_to_check_point(const struct http_message *message)
{
    size_t all = message->bytes.size - message->fed;
    size_t behind = message->fed - message->start;
    for (size_t i = 0; i < ARRAY_COUNT(check_points) && !message->headers_done; i++) {
        if (behind < check_points[i])
            return all < check_points[i] - behind ? all : check_points[i] - behind;
    }
    return all;
}

static bool
check_unfinished(struct http_message *message)
{
    const char *line = message->bytes.data + message->start;
    size_t size = message->fed - message->start;
    if (size == check_points[0] && memchr(line, '\n', size) == NULL)
        return refuse(message, HTTP_REFUSE_URL_SIZE);
    if (size == check_points[1])
        return refuse(message, HTTP_REFUSE_HEADER_SIZE);
    return true;
}

enum http_step
http_message_feed(struct http_message *message)
{
    ASSERT(!message->complete && message->refusal == HTTP_REFUSE_NONE);
    if (message->fed == message->start && !skip_empty_lines(message))
        return HTTP_STEP_REFUSED;
    while (message->fed < message->bytes.size) {
        size_t taken;
        enum http_refusal refusal = library_execute(message, message->bytes.data + message->fed,
                                                    size_to_check_point(message), &taken);
        message->fed += taken;
        if (!scan_framing(message, message->fed))
            return HTTP_STEP_REFUSED;
        if (refusal != HTTP_REFUSE_NONE) {
            (void)refuse(message, refusal);
            return HTTP_STEP_REFUSED;
        }
        if (message->complete && message->chunked && message->chunks.state != HTTP_CHUNK_END) {
            (void)refuse(message, HTTP_REFUSE_FRAMING);
            return HTTP_STEP_REFUSED;
        }
        if (message->complete) {
            message->rest_at = message->fed;
            return HTTP_STEP_COMPLETE;
        }
        if (!message->headers_done && !check_unfinished(message))
            return HTTP_STEP_REFUSED;
    }
    if (message->headers_done) {
        /* what stands behind the body so far is framing, and has done its work */
        message->bytes.size = message->fed = message->framing_at =
            message->body_at + message->body_size;
        message->bytes.data[message->bytes.size] = '\0';
    }
    return HTTP_STEP_MORE;
}

const char *
http_message_header(const struct http_message *message, const char *name)
{
    for (unsigned i = 0; i < message->header_count; i++) {
        if (strcasecmp(message->bytes.data + message->name_at[i], name) == 0)
            return message->bytes.data + message->value_at[i];
    }
    return NULL;
}
