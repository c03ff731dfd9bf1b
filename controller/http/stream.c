#include <string.h>

#include "controller/base/check.h"
#include "controller/http/conn.h"

static struct http_conn *
conn_of(struct http_stream *stream)
{
    return CONTAINER_OF(stream, struct http_conn, stream);
}

struct http_stream *
http_stream_start(struct http_request *request, http_stream_gone *gone, void *data)
{
    struct http_exchange *exchange = CONTAINER_OF(request, struct http_exchange, request);
    struct http_conn *conn = exchange->conn;
    if (conn == NULL) {
        http_exchange_release(exchange);
        return NULL;
    }
    struct http_server *server = conn->server;
    bool refused = server->stopping || server->counters.streams_now >= server->options.streams_max;
    bool begins = !refused && exchange->message.verb != HTTP_VERB_HEAD;
    if (refused)
        http_compose_refusal(conn, HTTP_REFUSE_STREAMS);
    else
        http_compose_stream(conn, exchange);
    if (begins) {
        conn->streaming = true;
        conn->stream = (struct http_stream){ .gone = gone, .data = data };
        server->counters.streams++;
        server->counters.streams_now++;
        buf_done(&conn->ahead);
        http_phase_enter(conn, HTTP_PHASE_STREAM);
    }
    http_exchange_release(exchange);
    http_conn_answered(conn);
    return begins ? &conn->stream : NULL;
}

void
http_stream_frame(struct buf *into, const char *event, const char *id, const char *text)
{
    if (event != NULL) {
        ASSERT(strpbrk(event, "\r\n") == NULL);
        buf_add_text(into, "event: ");
        buf_add_text(into, event);
        buf_add_text(into, "\n");
    }
    if (id != NULL) {
        ASSERT(strpbrk(id, "\r\n") == NULL);
        buf_add_text(into, "id: ");
        buf_add_text(into, id);
        buf_add_text(into, "\n");
    }
    for (;;) { /* each line of the text has its own field; CR and CR LF end lines too */
        size_t size = strcspn(text, "\r\n");
        buf_add_text(into, "data: ");
        buf_add(into, text, size);
        buf_add_text(into, "\n");
        text += size;
        if (*text == '\0')
            break;
        text += text[0] == '\r' && text[1] == '\n' ? 2 : 1;
    }
    buf_add_text(into, "\n");
}

void
http_stream_send_frame(struct http_stream *stream, const void *frame, size_t size)
{
    struct http_conn *conn = conn_of(stream);
    ASSERT(conn->streaming);
    if (conn->doomed)
        return;
    if (conn->out.size - conn->out_at + size > HTTP_BACKLOG_SIZE_MAX) {
        conn->server->counters.streams_dropped++;
        conn->doomed = true;
    } else {
        buf_add(http_buffer_lend(conn->server, &conn->out), frame, size);
    }
    http_conn_settle(conn, true);
}

void
http_stream_send(struct http_stream *stream, const char *event, const char *id, const char *text)
{
    struct buf frame = { 0 };
    http_stream_frame(&frame, event, id, text);
    http_stream_send_frame(stream, frame.data, frame.size);
    buf_done(&frame);
}

void
http_stream_end(struct http_stream *stream)
{
    struct http_conn *conn = conn_of(stream);
    ASSERT(conn->streaming);
    conn->streaming = false;
    conn->server->counters.streams_now--;
    http_conn_settle(conn, true);
}
