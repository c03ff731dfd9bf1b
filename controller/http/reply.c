#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/http/conn.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" },
    { 425, "Too Early" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 499, "Client Closed Request" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 507, "Insufficient Storage" },
};

static const char *
reason_of(int status)
{
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}

static struct http_exchange *
exchange_of(const struct http_request *request)
{
    return CONTAINER_OF(request, struct http_exchange, request);
}

/* RFC 9110 wants a Date; it changes once a second, and so does this. */
static void
refresh_common(struct http_server *server)
{
    int64_t second = clock_wall_ms() / 1000;
    if (second == server->common_second)
        return;
    server->common_second = second;
    time_t seconds = (time_t)second;
    struct tm parts;
    char date[64];
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    ASSERT(gmtime_r(&seconds, &parts) != NULL);
    (void)snprintf(date, sizeof date, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday],
                   parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                   parts.tm_min, parts.tm_sec);
    int size = snprintf(
        server->common, sizeof server->common,
        "Date: %s\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "%s",
        date, server->tls == NULL ? "" : "Strict-Transport-Security: max-age=31536000\r\n");
    ASSERT(size > 0 && (size_t)size < sizeof server->common);
    server->common_size = (size_t)size;
}

#define ADD_LITERAL(out, literal) buf_add((out), (literal), sizeof(literal) - 1)

static void
add_number(struct buf *out, uint64_t number)
{
    char text[24];
    char *at = text + sizeof text;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_add(out, at, (size_t)(text + sizeof text - at));
}

static struct buf *
begin(struct http_conn *conn, const struct http_exchange *exchange, int status)
{
    struct http_server *server = conn->server;
    ASSERT(status >= 200 && status <= 599);
    refresh_common(server);
    server->counters.replies[status / 100]++;
    struct buf *out = http_buffer_lend(server, &conn->out);
    if (status == 200) {
        ADD_LITERAL(out, "HTTP/1.1 200 OK\r\n");
    } else {
        ADD_LITERAL(out, "HTTP/1.1 ");
        add_number(out, (uint64_t)status);
        ADD_LITERAL(out, " ");
        buf_add_text(out, reason_of(status));
        ADD_LITERAL(out, "\r\n");
    }
    buf_add(out, server->common, server->common_size);
    if (exchange == NULL || !exchange->own_cache_control)
        ADD_LITERAL(out, "Cache-Control: no-store\r\n");
    if (exchange == NULL || !exchange->own_security_policy)
        ADD_LITERAL(out, "Content-Security-Policy: default-src 'none'; "
                         "frame-ancestors 'none'\r\n");
    if (exchange != NULL && exchange->headers.size > 0)
        buf_add(out, exchange->headers.data, exchange->headers.size);
    return out;
}

void
http_compose(struct http_conn *conn, const struct http_exchange *exchange, int status,
             const char *type, const void *body, size_t size)
{
    struct buf *out = begin(conn, exchange, status);
    if (type != NULL) {
        ADD_LITERAL(out, "Content-Type: ");
        buf_add_text(out, type);
        ADD_LITERAL(out, "\r\n");
    }
    bool bodyless = status == 204 || status == 304;
    if (!bodyless) {
        ADD_LITERAL(out, "Content-Length: ");
        add_number(out, size);
        ADD_LITERAL(out, "\r\n");
    }
    conn->closing = conn->closing || conn->server->stopping;
    if (conn->closing)
        ADD_LITERAL(out, "Connection: close\r\n");
    else if (exchange != NULL && exchange->message.version_1_0)
        ADD_LITERAL(out, "Connection: keep-alive\r\n");
    ADD_LITERAL(out, "\r\n");
    bool head = exchange != NULL && exchange->message.verb == HTTP_VERB_HEAD;
    if (!bodyless && !head && size > 0)
        buf_add(out, body, size);
}

void
http_compose_stream(struct http_conn *conn, const struct http_exchange *exchange)
{
    conn->closing = true; /* the end of the stream is the end of the connection */
    ADD_LITERAL(begin(conn, exchange, 200), "Content-Type: text/event-stream\r\n"
                                            "X-Accel-Buffering: no\r\n"
                                            "Connection: close\r\n\r\n");
}

static enum err_code
code_of(int status)
{
    switch (status) {
    case 408:
        return ERR_TIMEOUT;
    case 413:
    case 414:
    case 431:
        return ERR_LIMIT;
    case 503:
        return ERR_THROTTLED;
    case 504:
        return ERR_UNKNOWN_OUTCOME;
    default:
        return ERR_INVALID;
    }
}

void
http_compose_refusal(struct http_conn *conn, enum http_refusal refusal)
{
    struct err err;
    int status = http_refusal_status(refusal);
    conn->server->counters.refused[refusal]++;
    conn->closing = true;
    (void)err_set(&err, code_of(status), http_refusal_slug(refusal), "%s",
                  http_refusal_text(refusal));
    struct json_object *document = http_problem(status, &err);
    const char *text = json_text(document);
    http_compose(conn, NULL, status, "application/problem+json", text, strlen(text));
    (void)json_object_put(document);
}

struct json_object *
http_problem(int status, const struct err *err)
{
    struct json_object *document = json_object_new_object();
    ASSERT(document != NULL);
    json_add_string(document, "type", "about:blank");
    json_add_string(document, "title", reason_of(status));
    json_add_i64(document, "status", status);
    json_add_string(document, "detail", err->text);
    json_add_string(document, "code", err->slug);
    json_add_string(document, "kind", err_code_name(err->code));
    if (err->mend[0] != '\0')
        json_add_string(document, "mend", err->mend);
    return document;
}

/* What comes from elsewhere must not begin a line of its own. */
static void
add_cleaned(struct buf *to, const char *text)
{
    size_t size = strlen(text);
    char *at = buf_reserve(to, size);
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    buf_grew(to, size);
}

void
http_add_header(struct http_request *request, const char *name, const char *value)
{
    struct http_exchange *exchange = exchange_of(request);
    if (exchange->headers.size + strlen(name) + strlen(value) + 4 > HTTP_REPLY_HEADERS_MAX) {
        log_warn("http.header_left_out", "name=%s size=%zu", name, strlen(value));
        return;
    }
    add_cleaned(&exchange->headers, name);
    ADD_LITERAL(&exchange->headers, ": ");
    add_cleaned(&exchange->headers, value);
    ADD_LITERAL(&exchange->headers, "\r\n");
    if (strcasecmp(name, "Cache-Control") == 0)
        exchange->own_cache_control = true;
    else if (strcasecmp(name, "Content-Security-Policy") == 0)
        exchange->own_security_policy = true;
}

void
http_reply(struct http_request *request, int status, const char *type, const void *body,
           size_t size)
{
    struct http_exchange *exchange = exchange_of(request);
    struct http_conn *conn = exchange->conn;
    if (conn != NULL)
        http_compose(conn, exchange, status, type, body, size);
    http_exchange_release(exchange);
    if (conn != NULL)
        http_conn_answered(conn);
}

void
http_reply_json(struct http_request *request, int status, struct json_object *document)
{
    const char *text = json_text(document);
    http_reply(request, status, "application/json", text, strlen(text));
    (void)json_object_put(document);
}

void
http_reply_err(struct http_request *request, const struct err *err)
{
    int status = err_code_http(err->code);
    struct json_object *document = http_problem(status, err);
    const char *text = json_text(document);
    http_reply(request, status, "application/problem+json", text, strlen(text));
    (void)json_object_put(document);
}

void
http_drop(struct http_request *request)
{
    struct http_exchange *exchange = exchange_of(request);
    struct http_conn *conn = exchange->conn;
    http_exchange_release(exchange);
    if (conn == NULL)
        return;
    conn->doomed = true;
    http_conn_answered(conn);
}

const char *
http_header(const struct http_request *request, const char *name)
{
    return http_message_header(&exchange_of(request)->message, name);
}

bool
http_query(const struct http_request *request, const char *name, const char **ret_text)
{
    const char *value = http_pairs_find(&exchange_of(request)->message.query, name);
    if (value == NULL)
        return false;
    *ret_text = value;
    return true;
}

bool
http_cookie(const struct http_request *request, const char *name, char *to, size_t to_size)
{
    const char *at = http_header(request, "Cookie");
    size_t length = strlen(name);
    while (at != NULL && *at != '\0') {
        at += strspn(at, "; ");
        size_t size = strcspn(at, ";");
        if (size > length && strncmp(at, name, length) == 0 && at[length] == '=') {
            size -= length + 1;
            if (size >= to_size)
                return false;
            memcpy(to, at + length + 1, size);
            to[size] = '\0';
            return true;
        }
        at += size;
    }
    return false;
}

void
http_on_gone(struct http_request *request, http_gone *gone, void *data)
{
    struct http_exchange *exchange = exchange_of(request);
    exchange->gone = gone;
    exchange->gone_data = data;
    if (exchange->conn != NULL || exchange->server == NULL)
        return;
    list_add_tail(&exchange->server->lates, &exchange->in_late);
    ev_feed_event(exchange->server->loop, &exchange->server->late, EV_TIMER);
}

bool
http_is_gone(const struct http_request *request)
{
    return exchange_of(request)->conn == NULL;
}
