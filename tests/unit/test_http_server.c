/* The server on real sockets: what a well-meaning client sees. */
#include "controller/http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "controller/base/json.h"
#include "tests/unit/raw_client.h"

#define H "Host: a\r\n"

/* A server whose handler does what the path says. */
struct world {
    struct ev_loop *loop;
    struct http_server *server;
    struct raw_pki pki;
    struct tls_identity identity;
    struct http_request *kept[8]; /* "/later" */
    unsigned kept_count;
    struct http_stream *stream; /* "/stream" */
    unsigned gone;
    unsigned stream_gone;
    bool stopped;
    bool inside; /* a call of ours into the server: no callback may come (H4) */
    struct buf seen;
};

static void
on_gone(void *data, struct http_request *request)
{
    struct world *world = data;
    assert_false(world->inside);
    assert_true(http_is_gone(request));
    world->gone++;
}

static void
on_stream_gone(void *data, struct http_stream *stream)
{
    struct world *world = data;
    assert_false(world->inside);
    assert_ptr_equal(stream, world->stream);
    world->stream = NULL;
    world->stream_gone++;
}

static void
echo(struct world *world, struct http_request *request)
{
    const char *name = "-";
    const char *header = http_header(request, "x-test");
    char cookie[16] = "-";
    (void)!http_query(request, "name", &name);
    (void)!http_cookie(request, "baton", cookie, sizeof cookie);
    buf_clear(&world->seen);
    buf_printf(&world->seen, "%s %s ?%s name=%s x=%s cookie=%s body=%.*s from=%s peer=%s/%s",
               request->method, request->path, request->query, name, header == NULL ? "-" : header,
               cookie, (int)request->body_size, request->body, request->address,
               request->peer == NULL ? "-" : request->peer->name,
               request->peer == NULL ? "-" : request->peer->organization);
    http_add_header(request, "Baton-Epoch", "3/west-1\r\nEvil: 1");
    http_reply(request, 200, "text/plain", world->seen.data, world->seen.size);
}

static void
handler(void *data, struct http_request *request)
{
    struct world *world = data;
    assert_false(world->inside);
    assert_null(request->owner);
    if (strcmp(request->path, "/later") == 0) {
        http_on_gone(request, on_gone, world);
        assert_true(world->kept_count < ARRAY_COUNT(world->kept));
        world->kept[world->kept_count++] = request;
    } else if (strcmp(request->path, "/stream") == 0) {
        world->stream = http_stream_start(request, on_stream_gone, world);
        if (world->stream != NULL)
            http_stream_send(world->stream, "hello", "1", "a\nb");
    } else if (strcmp(request->path, "/error") == 0) {
        struct err err;
        (void)err_set(&err, ERR_STALE, "precondition_failed", "key 'a' has changed");
        (void)err_mend(&err, "read it again");
        http_reply_err(request, &err);
    } else if (strcmp(request->path, "/big") == 0) {
        struct buf big = { 0 };
        memset(buf_reserve(&big, 3000000), 'b', 3000000);
        buf_grew(&big, 3000000);
        http_add_header(request, "Cache-Control", "max-age=1");
        http_reply(request, 200, "text/plain", big.data, big.size);
        buf_done(&big);
    } else if (strcmp(request->path, "/none") == 0) {
        http_reply(request, 204, NULL, NULL, 0);
    } else if (strcmp(request->path, "/drop") == 0) {
        http_drop(request);
    } else {
        echo(world, request);
    }
}

static void
answer(struct world *world, unsigned which, const char *text)
{
    world->inside = true;
    http_reply(world->kept[which], 200, "text/plain", text, strlen(text));
    world->inside = false;
}

static struct world *
begin(void **state, bool tls, struct http_options options)
{
    struct world *world = mem_zero(1, sizeof *world);
    *state = world;
    world->loop = ev_loop_new(0);
    options.listen = "127.0.0.1:0";
    options.handler = handler;
    options.data = world;
    if (tls) {
        raw_pki_make(&world->pki, "west-1");
        world->identity = (struct tls_identity){ .ca = world->pki.ca.certificate,
                                                 .cert = world->pki.node.certificate,
                                                 .key = world->pki.node.key };
        options.tls = &world->identity;
    }
    struct err err;
    if (http_server_open(world->loop, &options, &world->server, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return world;
}

static int
end(void **state)
{
    struct world *world = *state;
    http_server_close(world->server);
    for (unsigned i = 0; i < world->kept_count; i++) {
        if (world->kept[i] != NULL)
            http_drop(world->kept[i]);
    }
    ev_loop_destroy(world->loop);
    raw_pki_done(&world->pki);
    buf_done(&world->seen);
    free(world);
    return 0;
}

static struct raw *
open_plain(struct world *world)
{
    return raw_open(world->loop, http_server_address(world->server), NULL);
}

static const struct http_counters *
counters(const struct world *world)
{
    return http_server_counters(world->server);
}

static void
a_request_is_seen_whole(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "PUT /v1/a%20b?name=x%20y HTTP/1.1\r\n" H "X-Test: hi\r\n"
                  "Cookie: a=b; baton=secret; c=d\r\nContent-Length: 4\r\n\r\nbo");
    raw_send(raw, "dy");
    WAIT_UNTIL(world->loop, raw_has(raw, "peer=-/-"));
    assert_true(raw_has(raw, "HTTP/1.1 200 OK\r\n"));
    assert_true(raw_has(raw, "PUT /v1/a b ?name=x%20y name=x y x=hi cookie=secret body=body "
                             "from=127.0.0.1 peer=-/-"));
    assert_true(raw_has(raw, "\r\nBaton-Epoch: 3/west-1??Evil: 1\r\n"));
    assert_true(raw_has(raw, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_true(raw_has(raw, "\r\nCache-Control: no-store\r\n"));
    assert_true(raw_has(raw, "\r\nContent-Security-Policy: default-src 'none'"));
    assert_true(raw_has(raw, "\r\nDate: "));
    assert_false(raw_has(raw, "Strict-Transport-Security")); /* not without TLS */
    assert_int_equal(counters(world)->requests, 1);
    assert_int_equal(counters(world)->replies[2], 1);
    assert_int_equal(counters(world)->pending_now, 0);
    assert_int_equal(counters(world)->held_size_now, 0);
    raw_close(raw);
}

static void
answers_of_every_kind(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /error HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "again\"}"));
    assert_true(raw_has(raw, "HTTP/1.1 412 Precondition Failed\r\n"));
    assert_true(raw_has(raw, "Content-Type: application/problem+json\r\n"));
    struct json_object *problem;
    struct err err;
    const char *body = strstr(raw->in.data, "\r\n\r\n") + 4;
    assert_int_equal(json_read(body, strlen(body), &problem, &err), ERR_NONE);
    const char *text;
    assert_true(json_get_string(problem, "code", &text));
    assert_string_equal(text, "precondition_failed");
    assert_true(json_get_string(problem, "kind", &text));
    assert_string_equal(text, "precondition_failed");
    (void)json_object_put(problem);

    buf_clear(&raw->in);
    raw_send(raw, "GET /none HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "\r\n\r\n"));
    assert_true(raw_has(raw, "204 No Content"));
    assert_false(raw_has(raw, "Content-Length"));

    buf_clear(&raw->in);
    raw_send(raw, "HEAD /x HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "\r\n\r\n"));
    char length[64];
    (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", world->seen.size);
    assert_true(raw_has(raw, length));
    assert_true(str_ends(raw->in.data, "\r\n\r\n"));

    struct raw *head = open_plain(world);
    raw_send(head, "HEAD /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, head->ended);
    assert_true(raw_has(head, "HTTP/1.1 200 OK\r\n") && raw_has(head, "text/event-stream\r\n"));
    assert_true(str_ends(head->in.data, "\r\n\r\n"));
    assert_int_equal(counters(world)->streams_now, 0);
    raw_close(head);

    buf_clear(&raw->in);
    raw_send(raw, "GET /big HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "Connection: close\r\n"));
    assert_true(raw_has(raw, "Cache-Control: max-age=1\r\n"));
    assert_false(raw_has(raw, "no-store"));
    assert_true(raw->in.size > 3000000);
    WAIT_UNTIL(world->loop, counters(world)->connections_now == 0 || raw->ended);
    raw_close(raw);

    raw = open_plain(world);
    raw_send(raw, "GET /drop HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_int_equal(raw->in.size, 0);
    raw_close(raw);
}

static void
old_clients_are_served(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "peer="));
    assert_true(raw_has(raw, "Connection: keep-alive\r\n"));
    raw_send(raw, "GET /y HTTP/1.0\r\n\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "GET /y"));
    raw_close(raw);
}

static void
pipelined_requests_wait_for_their_turn(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /1 HTTP/1.1\r\n" H "\r\nGET /later HTTP/1.1\r\n" H
                  "\r\nGET /3 HTTP/1.1\r\n" H "\r\nGET /la");
    WAIT_UNTIL(world->loop, world->kept_count == 1 && raw_has(raw, "GET /1"));
    assert_int_equal(counters(world)->requests, 2);
    raw_send(raw, "ter HTTP/1.1\r\n" H "\r\n");
    answer(world, 0, "second");
    WAIT_UNTIL(world->loop, world->kept_count == 2);
    WAIT_UNTIL(world->loop, raw_has(raw, "GET /3"));
    answer(world, 1, "fourth");
    WAIT_UNTIL(world->loop, raw_has(raw, "fourth"));
    world->kept_count = 0;
    const char *second = strstr(raw->in.data, "second");
    assert_true(strstr(raw->in.data, "GET /1") < second);
    assert_true(second < strstr(raw->in.data, "GET /3"));
    assert_int_equal(raw_count(raw, "HTTP/1.1 200"), 4);
    raw_close(raw);

    /* many at once, and an answer larger than the socket takes in the middle */
    raw = open_plain(world);
    struct buf many = { 0 };
    for (unsigned i = 0; i < 300; i++)
        buf_printf(&many, "GET /%s HTTP/1.1\r\n" H "\r\n", i == 150 ? "big" : "x");
    buf_add_text(&many, "GET /last HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    raw_send_bytes(raw, many.data, many.size);
    WAIT_UNTIL(world->loop, raw->ended);
    assert_int_equal(raw_count(raw, "HTTP/1.1 200"), 301);
    buf_done(&many);
    raw_close(raw);
}

static void
what_is_pipelined_is_bounded(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1);
    /* much more than is kept, less than the kernel buffers: nobody hangs, nothing is lost */
    struct buf many = { 0 };
    unsigned count = 0;
    for (; many.size < 3 * HTTP_AHEAD_SIZE_MAX; count++)
        buf_add_text(&many, "GET /x HTTP/1.1\r\n" H "\r\n");
    raw_send_bytes(raw, many.data, many.size);
    uint64_t received = 0;
    while (received != counters(world)->received_size) {
        received = counters(world)->received_size;
        ev_run(world->loop, EVRUN_NOWAIT);
    }
    assert_true(received < 100 + HTTP_AHEAD_SIZE_MAX);
    answer(world, 0, "first");
    world->kept_count = 0;
    WAIT_UNTIL(world->loop, raw_count(raw, "HTTP/1.1 200") == count + 1);
    assert_int_equal(counters(world)->requests, count + 1);
    buf_done(&many);
    raw_close(raw);
}

static void
a_client_may_leave_before_its_answer(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    for (unsigned i = 0; i < 2; i++) {
        struct raw *raw = open_plain(world);
        raw_send(raw, "POST /later HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab");
        WAIT_UNTIL(world->loop, world->kept_count == 1);
        raw_close(raw);
        WAIT_UNTIL(world->loop, world->gone == i + 1);
        assert_true(http_is_gone(world->kept[0]));
        assert_memory_equal(world->kept[0]->body, "ab", 2); /* the handle is still good */
        assert_string_equal(http_header(world->kept[0], "host"), "a");
        assert_int_equal(counters(world)->pending_now, 1);
        if (i == 0)
            answer(world, 0, "too late");
        else
            http_drop(world->kept[0]);
        world->kept_count = 0;
        assert_int_equal(counters(world)->pending_now, 0);
    }
    assert_int_equal(counters(world)->connections_now, 0);

    /* who asks to be told when it has happened already is told all the same */
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1);
    http_on_gone(world->kept[0], NULL, NULL);
    raw_close(raw);
    WAIT_UNTIL(world->loop, http_is_gone(world->kept[0]));
    assert_int_equal(world->gone, 2);
    world->inside = true;
    http_on_gone(world->kept[0], on_gone, world);
    world->inside = false;
    WAIT_UNTIL(world->loop, world->gone == 3);
    assert_null(http_stream_start(world->kept[0], on_stream_gone, world));
    world->kept_count = 0;
    assert_int_equal(counters(world)->gone, 3);
}

static void
a_handler_has_a_deadline(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .reply_ms = 50 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "HTTP/1.1 504 "));
    assert_true(raw_has(raw, "\"kind\":\"unknown_outcome\""));
    assert_int_equal(world->gone, 1);
    answer(world, 0, "too late");
    world->kept_count = 0;
    raw_close(raw);
}

static void
bodies_may_be_asked_for(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .body_size_max = 100000 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "PUT /x HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "\r\n\r\n"));
    assert_string_equal(raw->in.data, "HTTP/1.1 100 Continue\r\n\r\n");
    raw_send(raw, "ab");
    WAIT_UNTIL(world->loop, raw_has(raw, "body=ab"));

    /* one that is too large is refused before it is sent */
    buf_clear(&raw->in);
    raw_send(raw, "PUT /x HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "HTTP/1.1 413 "));
    assert_false(raw_has(raw, "100 Continue"));
    raw_close(raw);

    raw = open_plain(world);
    struct buf chunked = { 0 };
    buf_add_text(&chunked, "PUT /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
    for (unsigned i = 0; i < 10000; i++)
        buf_add_text(&chunked, "a\r\n0123456789\r\n");
    raw_send_bytes(raw, chunked.data, chunked.size);
    WAIT_UNTIL(world->loop, counters(world)->received_size > 150000);
    raw_send(raw, "0\r\n\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "from="));
    assert_true(raw_has(raw, "body=01234567890123456789"));
    assert_true(raw->in.size > 100000);
    buf_done(&chunked);
    raw_close(raw);
}

static void
streams_carry_events(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .ping_ms = 40 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "data: b\n\n"));
    assert_true(raw_has(raw, "Content-Type: text/event-stream\r\n"));
    assert_true(raw_has(raw, "event: hello\nid: 1\ndata: a\ndata: b\n\n"));
    WAIT_UNTIL(world->loop, raw_count(raw, ": ping\n\n") >= 2);
    assert_int_equal(counters(world)->streams_now, 1);
    world->inside = true;
    http_stream_send(world->stream, NULL, NULL, "{\"x\":1}");
    http_stream_end(world->stream);
    world->inside = false;
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "\ndata: {\"x\":1}\n\n"));
    assert_int_equal(world->stream_gone, 0); /* we ended it, and know */
    raw_close(raw);

    raw = open_plain(world);
    raw_send(raw, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "hello"));
    raw_send(raw, "nobody listens to this");
    raw_close(raw);
    WAIT_UNTIL(world->loop, world->stream_gone == 1);
    assert_int_equal(counters(world)->streams_now, 0);
    assert_int_equal(counters(world)->streams_dropped, 0);
}

static void
frames_have_one_line_for_each(void **state)
{
    (void)state;
    struct buf frame = { 0 };
    http_stream_frame(&frame, "e", "7", "");
    assert_string_equal(frame.data, "event: e\nid: 7\ndata: \n\n");
    buf_clear(&frame);
    http_stream_frame(&frame, NULL, NULL, "a\r\nb\rc\n");
    assert_string_equal(frame.data, "data: a\ndata: b\ndata: c\ndata: \n\n");
    buf_done(&frame);
    *state = NULL;
}

static void
a_client_that_does_not_read_its_stream_is_dropped(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "hello"));
    ev_io_stop(world->loop, &raw->reader);
    char text[8192];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (unsigned i = 0; i < 10000 && counters(world)->streams_dropped == 0; i++) {
        world->inside = true;
        http_stream_send(world->stream, NULL, NULL, text);
        world->inside = false;
    }
    assert_int_equal(counters(world)->streams_dropped, 1);
    http_stream_send(world->stream, NULL, NULL, text); /* does nothing, until we are told */
    WAIT_UNTIL(world->loop, world->stream_gone == 1);
    raw_close(raw);
}

static void
streams_are_bounded(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .streams_max = 1 });
    struct raw *first = open_plain(world);
    raw_send(first, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(first, "hello"));
    struct http_stream *stream = world->stream;
    struct raw *second = open_plain(world);
    raw_send(second, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, second->ended);
    assert_true(raw_has(second, "503"));
    assert_true(raw_has(second, "too_many_streams"));
    assert_int_equal(counters(world)->refused[HTTP_REFUSE_STREAMS], 1);
    world->stream = stream;
    raw_close(first);
    raw_close(second);
    WAIT_UNTIL(world->loop, world->stream_gone == 1);
}

static void
pending_requests_are_bounded(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .pending_max = 1 });
    struct raw *first = open_plain(world);
    raw_send(first, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1);
    struct raw *second = open_plain(world);
    raw_send(second, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, second->ended);
    assert_true(raw_has(second, "503"));
    answer(world, 0, "done");
    world->kept_count = 0;
    WAIT_UNTIL(world->loop, raw_has(first, "done"));
    raw_close(first);
    raw_close(second);
}

static void
on_stopped(void *data)
{
    struct world *world = data;
    assert_false(world->inside);
    world->stopped = true;
}

static void
stop(struct world *world, unsigned within_ms)
{
    world->inside = true;
    http_server_stop(world->server, within_ms, on_stopped, world);
    world->inside = false;
}

static void
stopping_lets_requests_finish(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .linger_ms = 20000 });
    struct raw *idle = open_plain(world);
    raw_send(idle, "GET /x HTTP/1.1\r\n" H "\r\n");
    struct raw *silent = open_plain(world);
    struct raw *stream = open_plain(world);
    raw_send(stream, "GET /stream HTTP/1.1\r\n" H "\r\n");
    struct raw *arriving = open_plain(world);
    raw_send(arriving, "PUT /y HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\na");
    struct raw *pending = open_plain(world);
    raw_send(pending, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1 && raw_has(idle, "GET /x") &&
                                raw_has(stream, "hello") && counters(world)->connections_now == 5);
    stop(world, 20000);
    WAIT_UNTIL(world->loop, idle->ended && silent->ended && stream->ended);
    assert_int_equal(world->stream_gone, 1);
    assert_int_equal(counters(world)->connections_now, 2); /* those are not waited for */
    assert_false(pending->ended || arriving->ended || world->stopped);
    raw_send(arriving, "b");
    WAIT_UNTIL(world->loop, raw_has(arriving, "body=ab"));
    assert_true(raw_has(arriving, "Connection: close\r\n"));
    answer(world, 0, "done");
    world->kept_count = 0;
    WAIT_UNTIL(world->loop, pending->ended);
    assert_true(raw_has(pending, "Connection: close\r\n"));
    struct raw *all[] = { idle, silent, stream, arriving, pending };
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        raw_close(all[i]);
    WAIT_UNTIL(world->loop, world->stopped);
}

static void
stopping_has_a_deadline(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *pending = open_plain(world);
    raw_send(pending, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1);
    stop(world, 50);
    WAIT_UNTIL(world->loop, world->stopped);
    assert_int_equal(world->gone, 1);
    assert_int_equal(counters(world)->connections_now, 0);
    raw_close(pending);

    /* with nobody connected it is over at once, and still told by the loop */
    (void)end(state);
    world = begin(state, false, (struct http_options){ 0 });
    stop(world, 20000);
    assert_false(world->stopped);
    WAIT_UNTIL(world->loop, world->stopped);
}

static void
handles_outlive_the_server(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_plain(world);
    raw_send(raw, "GET /later HTTP/1.1\r\n" H "\r\n");
    struct raw *stream = open_plain(world);
    raw_send(stream, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1 && world->stream != NULL);
    http_server_close(world->server);
    world->server = NULL;
    assert_int_equal(world->gone, 1);
    assert_int_equal(world->stream_gone, 1);
    assert_string_equal(world->kept[0]->path, "/later");
    answer(world, 0, "to nobody");
    world->kept_count = 0;
    raw_close(raw);
    raw_close(stream);
}

static void
addresses_are_checked(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct http_options options = { .handler = handler };
    static const char *const bad[] = { "",          "7443",          "localhost:7443", "1.2.3.4",
                                       "1.2.3.4:x", "1.2.3.4:70000", "::1:7443",       "[::1]",
                                       ":7443",     "[1.2.3.4]:1" };
    struct http_server *server = NULL;
    struct err err;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        options.listen = bad[i];
        if (http_server_open(world->loop, &options, &server, &err) != ERR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
        assert_string_equal(err.slug, "listen_address");
    }
    options.listen = http_server_address(world->server);
    assert_int_equal(http_server_open(world->loop, &options, &server, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.slug, "listen");
    assert_null(server);
    options.listen = "[::1]:0";
    if (http_server_open(world->loop, &options, &server, &err) == ERR_NONE) {
        assert_true(str_starts(http_server_address(server), "[::1]:"));
        http_server_close(server);
    }
}

static void
peers_are_known_by_their_certificates(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ .idle_ms = 5000 });
    SSL_CTX *known = raw_context(&world->identity);
    struct tls_identity nobody = { .ca = world->identity.ca };
    SSL_CTX *unknown = raw_context(&nobody);

    struct raw *raw = raw_open(world->loop, http_server_address(world->server), known);
    raw_send(raw, "GET /x HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "peer="));
    assert_true(raw_has(raw, "peer=west-1/" RAW_CLUSTER_ID));
    assert_true(raw_has(raw, "\r\nStrict-Transport-Security: max-age="));
    raw_close(raw);

    raw = raw_open(world->loop, http_server_address(world->server), unknown);
    raw_send(raw, "GET /x HTTP/1.1\r\n" H "\r\nGET /big HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw->in.size > 3000000);
    assert_true(raw_has(raw, "peer=-/-"));
    raw_close(raw);

    /* a certificate of somebody else's CA is not "no certificate": it ends the handshake */
    struct raw_pki other = { 0 };
    raw_pki_make(&other, "west-1");
    struct tls_identity stranger = { .ca = world->identity.ca,
                                     .cert = other.node.certificate,
                                     .key = other.node.key };
    SSL_CTX *bad = raw_context(&stranger);
    raw = raw_open(world->loop, http_server_address(world->server), bad);
    raw_send(raw, "GET /x HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_int_equal(raw->in.size, 0);
    assert_int_equal(counters(world)->handshake_failures, 1);
    assert_int_equal(counters(world)->requests, 3);
    raw_close(raw);
    raw_pki_done(&other);
    tls_freep(&bad);
    tls_freep(&known);
    tls_freep(&unknown);
}

static void
a_session_is_resumed_with_its_peer_until_the_reload(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ 0 });
    SSL_CTX *context = raw_context(&world->identity);
    const char *address = http_server_address(world->server);
    struct raw *raw = raw_open(world->loop, address, context);
    raw_send(raw, "GET /1 HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "peer=west-1"));
    SSL_SESSION *session = SSL_get1_session(raw->ssl);
    assert_non_null(session);
    raw_close(raw);

    for (unsigned reloaded = 0; reloaded <= 1; reloaded++) {
        if (reloaded) {
            struct tls_identity broken = world->identity;
            broken.key = world->pki.ca.key; /* of another certificate */
            struct err err;
            assert_int_equal(http_server_reload(world->server, &broken, &err), ERR_INVALID);
            assert_string_equal(err.slug, "tls_material");
            assert_int_equal(http_server_reload(world->server, &world->identity, &err), ERR_NONE);
        }
        raw = raw_open(world->loop, address, NULL); /* the session is set before the hello */
        raw->ssl = SSL_new(context);
        assert_int_equal(SSL_set_fd(raw->ssl, raw->fd), 1);
        assert_int_equal(SSL_set_session(raw->ssl, session), 1);
        SSL_set_connect_state(raw->ssl);
        raw_read(raw);
        raw_send(raw, "GET /2 HTTP/1.1\r\n" H "\r\n");
        WAIT_UNTIL(world->loop, raw_has(raw, "peer="));
        assert_true(raw_has(raw, "peer=west-1/" RAW_CLUSTER_ID));
        assert_int_equal(SSL_session_reused(raw->ssl), reloaded ? 0 : 1);
        raw_close(raw);
    }
    SSL_SESSION_free(session);
    tls_freep(&context);
}

static void
the_protocol_is_agreed(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ 0 });
    struct tls_identity nobody = { .ca = world->identity.ca };
    SSL_CTX *context = raw_context(&nobody);
    static const unsigned char offer[] = "\x02h2\x08http/1.1";
    assert_int_equal(SSL_CTX_set_alpn_protos(context, offer, sizeof offer - 1), 0);
    struct raw *raw = raw_open(world->loop, http_server_address(world->server), context);
    WAIT_UNTIL(world->loop, raw->shaken);
    const unsigned char *chosen;
    unsigned size;
    SSL_get0_alpn_selected(raw->ssl, &chosen, &size);
    assert_int_equal(size, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    assert_int_equal(SSL_version(raw->ssl), TLS1_3_VERSION);
    raw_close(raw);
    tls_freep(&context);
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_seen_whole),
        TEST(answers_of_every_kind),
        TEST(old_clients_are_served),
        TEST(pipelined_requests_wait_for_their_turn),
        TEST(what_is_pipelined_is_bounded),
        TEST(a_client_may_leave_before_its_answer),
        TEST(a_handler_has_a_deadline),
        TEST(bodies_may_be_asked_for),
        TEST(streams_carry_events),
        cmocka_unit_test(frames_have_one_line_for_each),
        TEST(a_client_that_does_not_read_its_stream_is_dropped),
        TEST(streams_are_bounded),
        TEST(pending_requests_are_bounded),
        TEST(stopping_lets_requests_finish),
        TEST(stopping_has_a_deadline),
        TEST(handles_outlive_the_server),
        TEST(addresses_are_checked),
        TEST(peers_are_known_by_their_certificates),
        TEST(a_session_is_resumed_with_its_peer_until_the_reload),
        TEST(the_protocol_is_agreed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
