/*
 * The server against clients that mean it ill: silence, trickles, half of things, floods. Each case
 * asserts two things: what the client gets, and that the loop did not spin meanwhile.
 */
#include "controller/http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <sys/resource.h>

#include "tests/unit/raw_client.h"

#define H            "Host: a\r\n"
#define DEADLINE_MS  120
#define SPIN_MAX     60 /* turns of the loop beyond one each tick of WAIT_UNTIL */
#define GARBAGE_RUNS 400

struct world {
    struct ev_loop *loop;
    struct http_server *server;
    struct raw_pki pki;
    struct tls_identity identity;
    SSL_CTX *client;
    struct http_request *kept[4];
    unsigned kept_count;
    unsigned gone;
    unsigned turns_at;
    uint64_t started_ms;
};

static void
on_gone(void *data, struct http_request *request)
{
    (void)request;
    ((struct world *)data)->gone++;
}

static void
handler(void *data, struct http_request *request)
{
    struct world *world = data;
    if (strcmp(request->path, "/later") == 0) {
        assert_true(world->kept_count < ARRAY_COUNT(world->kept));
        world->kept[world->kept_count++] = request;
        http_on_gone(request, on_gone, world);
    } else if (strcmp(request->path, "/stream") == 0) {
        assert_non_null(http_stream_start(request, NULL, NULL));
    } else if (strcmp(request->path, "/big") == 0) {
        struct buf big = { 0 };
        memset(buf_reserve(&big, 20000000), 'b', 20000000);
        buf_grew(&big, 20000000);
        http_reply(request, 200, "text/plain", big.data, big.size);
        buf_done(&big);
    } else {
        http_reply(request, 200, "text/plain", "good", 4);
    }
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
        struct tls_identity nobody = { .ca = world->identity.ca };
        world->client = raw_context(&nobody);
    }
    struct err err;
    if (http_server_open(world->loop, &options, &world->server, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    world->turns_at = ev_iteration(world->loop);
    world->started_ms = clock_now_ms();
    return world;
}

static int
end(void **state)
{
    struct world *world = *state;
    http_server_close(world->server);
    for (unsigned i = 0; i < world->kept_count; i++)
        http_drop(world->kept[i]);
    tls_freep(&world->client);
    ev_loop_destroy(world->loop);
    raw_pki_done(&world->pki);
    free(world);
    return 0;
}

/* The loop turned about as often as the clock of WAIT_UNTIL ticked since the last look. */
static void
assert_calm(struct world *world)
{
    unsigned turns = ev_iteration(world->loop) - world->turns_at;
    uint64_t ticks = (clock_now_ms() - world->started_ms) / 20;
    if (turns > ticks + SPIN_MAX)
        fail_msg("the loop turned %u times in %llu ticks", turns, (unsigned long long)ticks);
    world->turns_at = ev_iteration(world->loop);
    world->started_ms = clock_now_ms();
}

static const struct http_counters *
counters(const struct world *world)
{
    return http_server_counters(world->server);
}

static struct raw *
open_to(struct world *world)
{
    return raw_open(world->loop, http_server_address(world->server), world->client);
}

/* Sends one byte at each turn until the server has had enough. */
static void
trickle(struct world *world, struct raw *raw, const char *forever)
{
    uint64_t give_up = clock_now_ms() + RAW_PATIENCE_MS;
    uint64_t next = 0;
    ev_timer tick;
    ev_timer_init(&tick, raw_tick, 0.01, 0.01);
    ev_timer_start(world->loop, &tick);
    for (size_t i = 0; !raw->ended;) {
        assert_true(clock_now_ms() < give_up);
        if (clock_now_ms() >= next) {
            raw_send_bytes(raw, &forever[i++ % strlen(forever)], 1);
            next = clock_now_ms() + 10;
        }
        ev_run(world->loop, EVRUN_ONCE);
    }
    ev_timer_stop(world->loop, &tick);
}

static void
silence_is_closed(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .header_ms = DEADLINE_MS });
    uint64_t begun = clock_now_ms();
    struct raw *raw = open_to(world);
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(clock_now_ms() - begun >= DEADLINE_MS - 5);
    assert_int_equal(raw->in.size, 0);
    assert_int_equal(counters(world)->timeouts, 1);
    assert_calm(world);
    raw_close(raw);
}

static void
trickled_headers_are_closed(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .header_ms = DEADLINE_MS });
    struct raw *raw = open_to(world);
    raw_send(raw, "GET / HTTP/1.1\r\n" H);
    trickle(world, raw, "X: y\r\n");
    assert_true(raw_has(raw, "HTTP/1.1 408 "));
    assert_int_equal(counters(world)->refused[HTTP_REFUSE_TIMEOUT], 1);
    raw_close(raw);

    /* on a kept connection the time starts with the first byte */
    raw = open_to(world);
    raw_send(raw, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(raw, "good"));
    trickle(world, raw, "GET / HTTP/1.1\r\nX:");
    assert_true(raw_has(raw, "HTTP/1.1 408 "));
    raw_close(raw);
}

static void
trickled_bodies_are_closed(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .body_ms = DEADLINE_MS });
    struct raw *raw = open_to(world);
    raw_send(raw, "PUT / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    trickle(world, raw, "x");
    assert_true(raw_has(raw, "HTTP/1.1 408 "));
    raw_close(raw);
    raw = open_to(world);
    raw_send(raw, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
    trickle(world, raw, "1\r\nx\r\n");
    assert_true(raw_has(raw, "HTTP/1.1 408 "));
    raw_close(raw);
    assert_int_equal(counters(world)->timeouts, 2);
}

static void
half_a_handshake_is_closed(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ .handshake_ms = DEADLINE_MS });
    SSL_CTX *client = take_ptr(&world->client);
    /* a ClientHello of 300 bytes is announced, ten come: other servers spin on it */
    static const char hello[] = "\x16\x03\x01\x01\x2c\x01\x00\x01\x28\x03\x03\x00\x00\x00\x00";
    struct raw *half = open_to(world);
    raw_send_bytes(half, hello, sizeof hello - 1);
    struct raw *silent = open_to(world);
    WAIT_UNTIL(world->loop, half->ended && silent->ended);
    assert_calm(world);
    assert_int_equal(counters(world)->timeouts, 2);
    raw_close(half);
    raw_close(silent);
    struct raw *slow = open_to(world);
    raw_send_bytes(slow, hello, sizeof hello - 1);
    trickle(world, slow, "\x01");
    raw_close(slow);
    assert_int_equal(counters(world)->timeouts, 3);
    world->client = client;
}

/* Sends only the first bytes of the record that TLS would send. */
static void
send_half_a_record(struct raw *raw, const char *text)
{
    BIO *pipe = BIO_new(BIO_s_mem());
    BIO *socket_bio = SSL_get_wbio(raw->ssl);
    BIO_up_ref(socket_bio);
    SSL_set0_wbio(raw->ssl, pipe);
    assert_int_equal(SSL_write(raw->ssl, text, (int)strlen(text)), (int)strlen(text));
    char *record;
    long size = BIO_get_mem_data(pipe, &record);
    assert_true(size > 10);
    assert_int_equal(send(raw->fd, record, 10, MSG_NOSIGNAL), 10);
    SSL_set0_wbio(raw->ssl, socket_bio);
}

static void
half_a_record_does_not_spin(void **state)
{
    struct world *world =
        begin(state, true,
              (struct http_options){
                  .header_ms = DEADLINE_MS, .reply_ms = DEADLINE_MS, .idle_ms = DEADLINE_MS });
    struct raw *fresh = open_to(world);
    WAIT_UNTIL(world->loop, fresh->shaken);
    send_half_a_record(fresh, "GET / HTTP/1.1\r\n" H "\r\n");
    struct raw *idle = open_to(world);
    raw_send(idle, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(idle, "good"));
    send_half_a_record(idle, "GET / HTTP/1.1\r\n" H "\r\n");
    struct raw *pending = open_to(world);
    raw_send(pending, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 1);
    send_half_a_record(pending, "GET / HTTP/1.1\r\n" H "\r\n");
    struct raw *stream = open_to(world);
    raw_send(stream, "GET /stream HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(stream, "event-stream"));
    send_half_a_record(stream, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, fresh->ended && idle->ended && pending->ended);
    assert_false(stream->ended);
    assert_calm(world);
    raw_close(fresh);
    raw_close(idle);
    raw_close(pending);
    raw_close(stream);
}

static void
idle_connections_are_closed(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ .idle_ms = DEADLINE_MS });
    struct raw *raw = open_to(world);
    raw_send(raw, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "good"));
    assert_int_equal(SSL_get_shutdown(raw->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(counters(world)->timeouts, 0);
    assert_calm(world);
    raw_close(raw);
}

static void
who_does_not_read_the_answer_is_closed(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ .write_ms = DEADLINE_MS });
    struct raw *raw = open_to(world);
    raw_send(raw, "GET /big HTTP/1.1\r\n" H "\r\n");
    ev_io_stop(world->loop, &raw->reader);
    WAIT_UNTIL(world->loop, counters(world)->timeouts == 1);
    WAIT_UNTIL(world->loop, counters(world)->connections_now == 0);
    assert_calm(world);
    raw_close(raw);
}

static void
who_leaves_or_talks_while_waiting_does_not_spin(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ 0 });
    struct raw *leaves = open_to(world);
    raw_send(leaves, "GET /later HTTP/1.1\r\n" H "\r\n");
    struct raw *talks = open_to(world);
    raw_send(talks, "GET /later HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, world->kept_count == 2);
    raw_close(leaves);
    char flood[3 * HTTP_AHEAD_SIZE_MAX];
    memset(flood, 'x', sizeof flood);
    raw_send_bytes(talks, flood, sizeof flood);
    WAIT_UNTIL(world->loop,
               world->gone == 1 && counters(world)->received_size >= HTTP_AHEAD_SIZE_MAX);
    uint64_t until = clock_now_ms() + DEADLINE_MS;
    WAIT_UNTIL(world->loop, clock_now_ms() > until);
    assert_calm(world);
    assert_int_equal(counters(world)->connections_now, 1);
    raw_close(talks);
}

/* The answer must reach a client that is still sending: no reset may overtake it. */
static void
refusals_reach_who_is_still_sending(void **state)
{
    static const struct {
        bool tls;
        const char *begin;
        const char *status;
    } cases[] = {
        { false, "GET / HTTP/1.1\r\n" H "X: ", "HTTP/1.1 431 " },
        { true, "GET / HTTP/1.1\r\n" H "X: ", "HTTP/1.1 431 " },
        { false, "GET /", "HTTP/1.1 414 " },
        { false, "PUT / HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n", "HTTP/1.1 413 " },
        { true, "PUT / HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n", "HTTP/1.1 413 " },
    };
    static char megabyte[1000000];
    memset(megabyte, 'x', sizeof megabyte);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (i > 0)
            (void)end(state);
        struct world *world = begin(state, cases[i].tls, (struct http_options){ 0 });
        struct raw *raw = open_to(world);
        raw_send(raw, cases[i].begin);
        ev_io_stop(world->loop, &raw->reader); /* it looks for an answer only when all is sent */
        raw_send_bytes(raw, megabyte, sizeof megabyte);
        ev_io_start(world->loop, &raw->reader);
        WAIT_UNTIL(world->loop, raw->ended);
        if (!raw_has(raw, cases[i].status))
            fail_msg("case %zu: expected %s, got '%.60s'", i, cases[i].status, buf_text(&raw->in));
        assert_int_equal(raw_count(raw, "HTTP/1.1"), 1);
        raw_close(raw);
    }
}

static void
nothing_behind_a_refusal_is_read(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n" H H "\r\n",
        "GET / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "A : b\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n",
        "GET /%2e%2e/ HTTP/1.1\r\n" H "\r\n",
        "GET / HTTP/3.7\r\n" H "\r\n",
    };
    struct world *world = begin(state, false, (struct http_options){ 0 });
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct raw *raw = open_to(world);
        raw_send(raw, bad[i]);
        raw_send(raw, "GET /smuggled HTTP/1.1\r\n" H "\r\n");
        WAIT_UNTIL(world->loop, raw->ended);
        assert_int_equal(raw_count(raw, "\r\nDate: "), 1);
        assert_true(raw_has(raw, "Connection: close"));
        assert_true(raw_has(raw, "application/problem+json"));
        assert_int_equal(counters(world)->requests, 0);
        raw_close(raw);
    }
}

static void
an_offered_upgrade_changes_nothing(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *raw = open_to(world);
    for (unsigned i = 0; i < 2; i++) {
        raw_send(raw, "GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\n"
                      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
        WAIT_UNTIL(world->loop, raw_count(raw, "good") == i + 1);
    }
    assert_false(raw_has(raw, "101"));
    raw_close(raw);
}

static void
plain_http_on_the_tls_port_is_told(void **state)
{
    struct world *world = begin(state, true, (struct http_options){ 0 });
    struct raw *raw = raw_open(world->loop, http_server_address(world->server), NULL);
    raw_send(raw, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw->ended);
    assert_true(raw_has(raw, "HTTP/1.1 400 "));
    assert_true(raw_has(raw, "https://"));
    raw_close(raw);

    raw = raw_open(world->loop, http_server_address(world->server), NULL);
    static const char nonsense[] = "\x16\x03\x01\x00\x05hello, this is no handshake at all";
    raw_send_bytes(raw, nonsense, sizeof nonsense - 1);
    WAIT_UNTIL(world->loop, raw->ended);
    assert_false(raw_has(raw, "HTTP"));
    assert_int_equal(counters(world)->handshake_failures, 2);
    raw_close(raw);
}

static void
connections_are_bounded(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ .connections_max = 3 });
    struct raw *idle = open_to(world);
    raw_send(idle, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(idle, "good"));
    struct raw *busy[3];
    for (unsigned i = 0; i < 3; i++) {
        busy[i] = open_to(world);
        raw_send(busy[i], "GET /later HTTP/1.1\r\n" H "\r\n");
        WAIT_UNTIL(world->loop, world->kept_count == i + 1);
    }
    WAIT_UNTIL(world->loop, idle->ended); /* made room for the third */
    struct raw *late = open_to(world);
    WAIT_UNTIL(world->loop, late->ended);
    assert_int_equal(counters(world)->refused[HTTP_REFUSE_CONNECTIONS], 1);
    assert_int_equal(counters(world)->connections_now, 3);
    http_reply(world->kept[0], 200, NULL, NULL, 0);
    world->kept[0] = world->kept[--world->kept_count];
    raw_close(late);
    late = open_to(world);
    raw_send(late, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(late, "good"));
    raw_close(late);
    raw_close(idle);
    for (unsigned i = 0; i < 3; i++)
        raw_close(busy[i]);
}

static void
held_bytes_are_bounded(void **state)
{
    enum { BIG = 12000000, CLIENTS = 8 };
    struct world *world = begin(state, false, (struct http_options){ .body_size_max = 2 * BIG });
    static char part[100000];
    memset(part, 'x', sizeof part);
    struct raw *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = open_to(world);
        raw_send(clients[i], "PUT / HTTP/1.1\r\n" H "Content-Length: 12000001\r\n\r\n");
        for (unsigned sent = 0; sent < BIG && !clients[i]->ended; sent += sizeof part)
            raw_send_bytes(clients[i], part, sizeof part);
    }
    WAIT_UNTIL(world->loop, counters(world)->refused[HTTP_REFUSE_HELD] > 0);
    assert_true(counters(world)->held_size_now <= HTTP_HELD_SIZE_MAX);
    for (unsigned i = 0; i < CLIENTS; i++)
        raw_close(clients[i]);
    WAIT_UNTIL(world->loop, counters(world)->connections_now == 0);
    assert_int_equal(counters(world)->held_size_now, 0);
}

static void
running_out_of_file_descriptors_is_survived(void **state)
{
    struct world *world = begin(state, false, (struct http_options){ 0 });
    struct raw *first = open_to(world);
    struct raw *second = open_to(world); /* both are in the queue; one descriptor is left */
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    assert_true(next >= 0);
    (void)close(next);
    struct rlimit tight = before;
    tight.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    WAIT_UNTIL(world->loop, counters(world)->accept_failures >= 2);
    assert_calm(world);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    raw_send(second, "GET / HTTP/1.1\r\n" H "\r\n");
    WAIT_UNTIL(world->loop, raw_has(second, "good"));
    raw_close(first);
    raw_close(second);
}

/* Connections that say nothing take at most half of the descriptors. */
static void
descriptors_are_left_for_the_node(void **state)
{
    enum { FILES = 40 };
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit tight = before;
    tight.rlim_cur = FILES;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct world *world = begin(state, false, (struct http_options){ 0 });
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    struct raw *silent[FILES / 2];
    for (unsigned i = 0; i < ARRAY_COUNT(silent); i++)
        silent[i] = open_to(world);
    struct raw *late = open_to(world);
    WAIT_UNTIL(world->loop, late->ended);
    assert_int_equal(counters(world)->refused[HTTP_REFUSE_CONNECTIONS], 1);
    assert_int_equal(counters(world)->connections_now, FILES / 2);
    raw_close(late);
    for (unsigned i = 0; i < ARRAY_COUNT(silent); i++)
        raw_close(silent[i]);
}

/* xorshift: the seed in the failure line repeats the run. */
static uint32_t
next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void
garbage_is_survived(void **state)
{
    static const char good[] = "PUT /x?a=b HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
                               "Baton-Reason: x\r\nCookie: a=b\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    struct world *world = begin(
        state, false, (struct http_options){ .header_ms = DEADLINE_MS, .body_ms = DEADLINE_MS });
    uint32_t seed = 20261122;
    struct raw *open[16];
    unsigned open_count = 0;
    for (unsigned run = 0; run < GARBAGE_RUNS; run++) {
        char bytes[sizeof good];
        memcpy(bytes, good, sizeof good);
        for (unsigned i = next_random(&seed) % 4 + 1; i > 0; i--)
            bytes[next_random(&seed) % (sizeof good - 1)] = (char)next_random(&seed);
        struct raw *raw = open_to(world);
        raw_send_bytes(raw, bytes, next_random(&seed) % (sizeof good - 1) + 1);
        open[open_count++] = raw;
        if (open_count == ARRAY_COUNT(open)) {
            ev_run(world->loop, EVRUN_NOWAIT);
            while (open_count > 0)
                raw_close(open[--open_count]);
        }
    }
    while (open_count > 0)
        raw_close(open[--open_count]);
    struct raw *raw = open_to(world);
    raw_send_bytes(raw, good, sizeof good - 1);
    WAIT_UNTIL(world->loop, raw_has(raw, "good"));
    raw_close(raw);
    WAIT_UNTIL(world->loop, counters(world)->connections_now == 0);
    assert_int_equal(counters(world)->held_size_now, 0);
    assert_int_equal(counters(world)->connections, GARBAGE_RUNS + 1);
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(silence_is_closed),
        TEST(trickled_headers_are_closed),
        TEST(trickled_bodies_are_closed),
        TEST(half_a_handshake_is_closed),
        TEST(half_a_record_does_not_spin),
        TEST(idle_connections_are_closed),
        TEST(who_does_not_read_the_answer_is_closed),
        TEST(who_leaves_or_talks_while_waiting_does_not_spin),
        TEST(refusals_reach_who_is_still_sending),
        TEST(nothing_behind_a_refusal_is_read),
        TEST(an_offered_upgrade_changes_nothing),
        TEST(plain_http_on_the_tls_port_is_told),
        TEST(connections_are_bounded),
        TEST(descriptors_are_left_for_the_node),
        TEST(held_bytes_are_bounded),
        TEST(running_out_of_file_descriptors_is_survived),
        TEST(garbage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
