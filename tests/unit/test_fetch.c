/* The client against our own server, and against servers that break. */
#include "controller/loop/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <pthread.h>
#include <stdatomic.h>

#include "controller/base/file.h"
#include "controller/http/server.h"
#include "tests/unit/raw_client.h"

struct world {
    struct ev_loop *loop;
    struct http_server *server;
    struct raw_pki pki;
    struct tls_identity identity;
    uint8_t pin[TLS_PIN_SIZE];
    struct fetch_client *client;
    struct http_request *kept;
    unsigned served; /* requests that came to the handler */
    struct buf seen;
    /* the end of the newest request */
    unsigned ended;
    bool inside; /* a call of ours: 'done' must not come */
    int status;
    struct buf body;
    char header[64];
    char type[64];
    uint64_t connect_us;
    uint8_t reply_pin[TLS_PIN_SIZE];
    struct err err;
};

static void
on_gone(void *data, struct http_request *request)
{
    ((struct world *)data)->kept = NULL;
    http_drop(request);
}

static void
handler(void *data, struct http_request *request)
{
    struct world *world = data;
    world->served++;
    if (strcmp(request->path, "/later") == 0) {
        world->kept = request;
        http_on_gone(request, on_gone, world);
    } else if (strcmp(request->path, "/drop") == 0) {
        http_drop(request);
    } else if (strcmp(request->path, "/big") == 0) {
        char *big = mem_zero(1, 100000);
        memset(big, 'b', 99999);
        http_reply(request, 200, "text/plain", big, 100000);
        free(big);
    } else if (strcmp(request->path, "/redirect") == 0) {
        http_add_header(request, "Location", "/x");
        http_reply(request, 302, NULL, NULL, 0);
    } else if (strcmp(request->path, "/problem") == 0) {
        struct err err;
        (void)err_set(&err, ERR_FENCED, "no_primary", "nobody\nmay \x1b[31mwrite");
        (void)err_mend(&err, "promote a site");
        http_reply_err(request, &err);
    } else if (strcmp(request->path, "/plain-404") == 0) {
        http_reply(request, 404, "text/html", "<html>", 6);
    } else if (strcmp(request->path, "/stream") == 0) {
        struct http_stream *stream = http_stream_start(request, NULL, NULL);
        for (unsigned i = 0; i < 3; i++)
            http_stream_send(stream, "count", NULL, "x");
        http_stream_end(stream);
    } else {
        const char *type = http_header(request, "Content-Type");
        const char *reason = http_header(request, "Baton-Reason");
        buf_clear(&world->seen);
        buf_printf(
            &world->seen, "%s %s %.*s type=%s reason=%s host=%s length=%s peer=%s", request->method,
            request->path, (int)request->body_size, request->body, type == NULL ? "-" : type,
            reason == NULL ? "-" : reason, http_header(request, "Host"),
            http_header(request, "Content-Length") == NULL ? "-"
                                                           : http_header(request, "Content-Length"),
            request->peer == NULL ? "-" : request->peer->name);
        http_add_header(request, "Baton-Epoch", "3/west-1");
        http_reply(request, 200, "text/plain", world->seen.data, world->seen.size);
    }
}

static struct world *
begin(void **state, struct http_options options)
{
    struct world *world = mem_zero(1, sizeof *world);
    *state = world;
    world->loop = ev_loop_new(0);
    raw_pki_make(&world->pki, "west-1");
    world->identity = (struct tls_identity){ .ca = world->pki.ca.certificate,
                                             .cert = world->pki.node.certificate,
                                             .key = world->pki.node.key };
    struct cert_info info;
    struct err err;
    assert_int_equal(cert_read(world->pki.node.certificate, &info, &err), ERR_NONE);
    memcpy(world->pin, info.pin, sizeof world->pin);
    options.listen = "127.0.0.1:0";
    options.handler = handler;
    options.data = world;
    options.tls = &world->identity;
    if (http_server_open(world->loop, &options, &world->server, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return world;
}

static void
open_client(struct world *world, struct fetch_trust trust)
{
    struct err err;
    fetch_client_close(world->client);
    if (fetch_client_open(world->loop, &trust, &world->client, &err) != ERR_NONE)
        fail_msg("%s", err.text);
}

static int
end(void **state)
{
    struct world *world = *state;
    fetch_client_close(world->client);
    http_server_close(world->server);
    ev_loop_destroy(world->loop);
    raw_pki_done(&world->pki);
    buf_done(&world->seen);
    buf_done(&world->body);
    free(world);
    return 0;
}

static void
on_done(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct world *world = data;
    assert_false(world->inside);
    assert_true((reply == NULL) != (err == NULL));
    world->ended++;
    buf_clear(&world->body);
    world->status = 0;
    if (err != NULL) {
        world->err = *err;
        return;
    }
    err_clear(&world->err);
    world->status = reply->status;
    buf_add(&world->body, reply->body.data, reply->body.size);
    const char *epoch = fetch_reply_header(reply, "baton-epoch");
    assert_true(str_copy(world->header, sizeof world->header, epoch == NULL ? "-" : epoch));
    assert_true(str_copy(world->type, sizeof world->type, reply->type));
    world->connect_us = reply->connect_us;
    memcpy(world->reply_pin, reply->pin, sizeof world->reply_pin);
    assert_string_equal(reply->address, "127.0.0.1");
    assert_true(reply->total_us > 0);
}

static struct fetch *
start(struct world *world, struct fetch_request request, const char *path)
{
    char url[128];
    (void)snprintf(url, sizeof url, "https://%s%s", http_server_address(world->server), path);
    request.url = request.url == NULL ? url : request.url;
    world->inside = true;
    struct fetch *fetch = fetch_start(world->client, &request, on_done, world);
    world->inside = false;
    return fetch;
}

static void
fetch_path(struct world *world, struct fetch_request request, const char *path)
{
    unsigned before = world->ended;
    (void)start(world, request, path);
    WAIT_UNTIL(world->loop, world->ended == before + 1);
}

/* The error of the newest request. */
static void
assert_failed(const struct world *world, enum err_code code, const char *slug)
{
    if (world->err.code != code || strcmp(world->err.slug, slug) != 0)
        fail_msg("expected %s %s, got %d %s %s: %s", err_code_name(code), slug, world->status,
                 err_code_name(world->err.code), world->err.slug, world->err.text);
}

static void
requests_are_answered(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    fetch_path(world, (struct fetch_request){ 0 }, "/a?b=c");
    assert_int_equal(world->status, 200);
    assert_string_equal(world->header, "3/west-1");
    assert_string_equal(world->type, "text/plain");
    assert_true(str_starts(world->body.data, "GET /a  type=- reason=- "));
    assert_true(str_ends(world->body.data, "length=- peer=west-1"));
    assert_true(world->connect_us > 0);
    assert_memory_equal(world->reply_pin, world->pin, sizeof world->pin);

    struct fetch_header headers[] = { { "Baton-Reason", "why%20not" } };
    fetch_path(world,
               (struct fetch_request){ .method = "PUT",
                                       .body = "{\"a\":1}",
                                       .body_size = 7,
                                       .headers = headers,
                                       .header_count = 1 },
               "/put");
    assert_true(str_starts(world->body.data,
                           "PUT /put {\"a\":1} type=application/json reason=why%20not host="));
    assert_int_equal(world->connect_us, 0); /* the connection was kept */
    fetch_path(world, (struct fetch_request){ .method = "POST" }, "/post");
    assert_true(str_starts(world->body.data, "POST /post  type=- "));
    assert_true(str_ends(world->body.data, "length=0 peer=west-1"));
    fetch_path(world, (struct fetch_request){ .method = "DELETE" }, "/delete");
    assert_true(str_starts(world->body.data, "DELETE /delete "));
    fetch_path(world, (struct fetch_request){ .method = "HEAD" }, "/head");
    assert_int_equal(world->status, 200);
    assert_int_equal(world->body.size, 0);
    fetch_path(world, (struct fetch_request){ 0 }, "/redirect");
    assert_int_equal(world->status, 302);
    assert_int_equal(http_server_counters(world->server)->connections, 1);
}

static bool
nothing_of_127(const char *address)
{
    return !str_starts(address, "127.");
}

/* A name may lead anywhere: the address that is connected to is the one that was looked at. */
static void
an_address_is_looked_at_before_it_is_connected_to(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    const char *port = strrchr(http_server_address(world->server), ':');
    char url[64];
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    (void)snprintf(url, sizeof url, "https://localhost%s/x", port);
    fetch_path(world, (struct fetch_request){ .url = url, .address_allowed = nothing_of_127 }, "");
    if (strstr(world->err.text, "address 127.0.0.1") == NULL)
        fail_msg("%s", world->err.text);
    assert_failed(world, ERR_DENIED, "address_denied");
    assert_int_equal(http_server_counters(world->server)->connections, 0);
    fetch_path(world, (struct fetch_request){ .url = url }, "");
    assert_int_equal(world->status, 200);
}

static void
a_name_is_checked_and_an_address_connected_to(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    const char *address = http_server_address(world->server);
    fetch_path(world,
               (struct fetch_request){ .url = "https://west-1:7443/x", .connect_to = address }, "");
    assert_int_equal(world->status, 200);
    assert_non_null(strstr(world->body.data, "host=west-1:7443"));
    /* at that address answers west-1, and we want east-1 */
    fetch_path(world,
               (struct fetch_request){ .url = "https://east-1:7443/x", .connect_to = address }, "");
    assert_failed(world, ERR_PROTOCOL, "tls_untrusted");
}

static void
roots_are_read_once_and_shared(void **state)
{
    (void)state;
    struct raw_pki pki = { 0 };
    raw_pki_make(&pki, "west-1");
    assert_null(fetch_roots_read("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"));
    assert_null(fetch_roots_read("/nowhere/ca.crt")); /* a path may hold others next time */
    struct fetch_roots *roots = fetch_roots_read(pki.ca.certificate);
    struct fetch_roots *share = fetch_roots_share(roots);
    assert_ptr_equal(roots, share);
    fetch_roots_free(roots);
    assert_true(fetch_roots_current(share));
    fetch_roots_free(share);
    assert_null(fetch_roots_share(NULL));
    fetch_roots_free(NULL);
    raw_pki_done(&pki);
}

static void
only_the_right_server_is_trusted(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    struct raw_pki other = { 0 };
    raw_pki_make(&other, "west-1");
    uint8_t wrong[TLS_PIN_SIZE];
    memcpy(wrong, world->pin, sizeof wrong);
    wrong[0] ^= 1;
    const char *ca = world->identity.ca;
    const struct {
        struct fetch_trust trust;
        enum err_code code;
        const char *slug;
    } cases[] = {
        { { .tls.ca = ca }, ERR_NONE, "" },
        { { .tls.ca = ca, .pin = world->pin }, ERR_NONE, "" },
        { { .tls.ca = ca, .pin = wrong }, ERR_PROTOCOL, "pin_mismatch" },
        { { .pin = world->pin }, ERR_NONE, "" },
        { { .pin = wrong }, ERR_PROTOCOL, "pin_mismatch" },
        { { .tls.ca = other.ca.certificate }, ERR_PROTOCOL, "tls_untrusted" },
        { { .tls.ca = other.ca.certificate, .pin = world->pin }, ERR_PROTOCOL, "tls_untrusted" },
        { { .system_trust = true }, ERR_PROTOCOL, "tls_untrusted" },
        { { .untrusted = true }, ERR_NONE, "" },
        { { .plain_http = true }, ERR_INVALID, "url" },
        { { .tls = { .ca = ca, .cert = world->identity.cert, .key = other.node.key } },
          ERR_INVALID,
          "tls_material" },
        { { .tls.ca = "/nowhere/ca.crt" }, ERR_INVALID, "tls_material" },
    };
    for (size_t i = 0; i < 2 * ARRAY_COUNT(cases); i++) { /* then with roots that are read once */
        size_t which = i % ARRAY_COUNT(cases);
        const char *text = cases[which].trust.tls.ca;
        struct fetch_trust trust = cases[which].trust;
        if (i >= ARRAY_COUNT(cases) && (text != NULL || trust.system_trust))
            trust.roots = fetch_roots_read(text);
        open_client(world, trust);
        fetch_roots_free(trust.roots); /* the client has its own share */
        fetch_path(world, (struct fetch_request){ 0 }, "/x");
        if (world->err.code != cases[which].code || strcmp(world->err.slug, cases[which].slug) != 0)
            fail_msg("case %zu: %s %s: %s", i, err_code_name(world->err.code), world->err.slug,
                     world->err.text);
        if (cases[which].code == ERR_NONE)
            assert_memory_equal(world->reply_pin, world->pin, sizeof world->pin);
    }

    /* our own certificate is of a CA that the server does not know */
    open_client(world,
                (struct fetch_trust){
                    .tls = { .ca = ca, .cert = other.node.certificate, .key = other.node.key } });
    fetch_path(world, (struct fetch_request){ 0 }, "/x");
    assert_failed(world, ERR_UNAVAILABLE, "connection_lost");

    struct fetch_client *client;
    struct err err;
    assert_int_equal(fetch_client_open(world->loop, &(struct fetch_trust){ 0 }, &client, &err),
                     ERR_INVALID);
    assert_string_equal(err.slug, "fetch_trust");
    raw_pki_done(&other);
}

static void
what_is_wrong_is_told_from_the_loop(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    static const char *const urls[] = { "http://127.0.0.1/", "ftp://127.0.0.1/", "https://",
                                        "https://user@127.0.0.1/", "https://a\r\nb/" };
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        fetch_path(world, (struct fetch_request){ .url = urls[i] }, "");
        assert_failed(world, ERR_INVALID, "url");
    }
    struct fetch_header injected = { "Baton-Reason", "a\r\nEvil: 1" };
    fetch_path(world, (struct fetch_request){ .headers = &injected, .header_count = 1 }, "/x");
    assert_failed(world, ERR_INVALID, "header");
    fetch_path(world, (struct fetch_request){ .url = "https://no-such-host.invalid/" }, "");
    assert_int_equal(world->err.code, ERR_UNAVAILABLE); /* "dns", or no resolver answered in time */
    assert_int_equal(world->served, 0);
}

static void
a_refused_connection_did_nothing(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    char url[128];
    (void)snprintf(url, sizeof url, "https://%s/x", http_server_address(world->server));
    http_server_close(world->server);
    world->server = NULL;
    unsigned before = world->ended;
    (void)fetch_start(world->client, &(struct fetch_request){ .method = "POST", .url = url },
                      on_done, world);
    WAIT_UNTIL(world->loop, world->ended == before + 1);
    assert_failed(world, ERR_UNAVAILABLE, "connect");
}

/* A socket that is listened on, and nobody accepts: the handshake never comes. */
static void
a_silent_server_did_nothing(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", ntohs(address.sin_port));
    fetch_path(world,
               (struct fetch_request){ .method = "POST", .url = url, .connect_timeout_ms = 60 },
               "");
    assert_failed(world, ERR_UNAVAILABLE, "connect_timeout");
    fetch_path(world, (struct fetch_request){ .method = "POST", .url = url, .timeout_ms = 60 }, "");
    assert_failed(world, ERR_UNAVAILABLE, "connect_timeout");
    (void)close(fd);
}

static void
no_answer_in_time(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    fetch_path(world, (struct fetch_request){ 0 }, "/x");
    fetch_path(world, (struct fetch_request){ .timeout_ms = 100 }, "/later");
    assert_failed(world, ERR_TIMEOUT, "timeout");
    /* over a new connection, which takes a while on a busy machine */
    fetch_path(world, (struct fetch_request){ .method = "POST", .timeout_ms = 2000 }, "/later");
    assert_failed(world, ERR_UNKNOWN_OUTCOME, "unknown_outcome");
}

/* A kept connection that breaks: what changes something must not be sent again by itself. */
static void
nothing_is_done_twice(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH" };
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        fetch_path(world, (struct fetch_request){ 0 }, "/x");
        world->served = 0;
        fetch_path(world, (struct fetch_request){ .method = methods[i] }, "/drop");
        assert_failed(world, ERR_UNKNOWN_OUTCOME, "unknown_outcome");
        assert_int_equal(world->served, 1);

        fetch_path(world, (struct fetch_request){ 0 }, "/x");
        world->served = 0;
        fetch_path(world,
                   (struct fetch_request){ .method = methods[i], .body = "1", .body_size = 1 },
                   "/drop");
        assert_failed(world, ERR_UNKNOWN_OUTCOME, "unknown_outcome");
        assert_int_equal(world->served, 1);
    }
    /* and on a new connection */
    world->served = 0;
    fetch_path(world, (struct fetch_request){ .method = "POST" }, "/drop");
    assert_failed(world, ERR_UNKNOWN_OUTCOME, "unknown_outcome");
    assert_int_equal(world->served, 1);

    fetch_path(world, (struct fetch_request){ 0 }, "/x");
    world->served = 0;
    fetch_path(world, (struct fetch_request){ 0 }, "/drop");
    assert_failed(world, ERR_UNAVAILABLE, "connection_lost");
    assert_int_equal(world->served, 2);
}

/* The server closes what was idle for long, or all when it stops: nothing was sent, so it is no
 * failure, also for what must not be sent twice. */
static void
a_connection_closed_while_idle_is_no_failure(void **state)
{
    struct world *world = begin(state, (struct http_options){ .idle_ms = 40, .linger_ms = 40 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    for (unsigned i = 0; i < 3; i++) {
        fetch_path(world, (struct fetch_request){ .method = "POST" }, "/x");
        if (world->status != 200)
            fail_msg("%s", world->err.text);
        assert_true(world->connect_us > 0);
        WAIT_UNTIL(world->loop, http_server_counters(world->server)->connections_now == 0);
    }
    assert_int_equal(world->served, 3);
}

static void
answers_are_bounded(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    fetch_path(world, (struct fetch_request){ .reply_size_max = 100000 }, "/big");
    assert_int_equal(world->body.size, 100000);
    fetch_path(world, (struct fetch_request){ .reply_size_max = 99999 }, "/big");
    assert_failed(world, ERR_LIMIT, "reply_too_large");
    fetch_path(world, (struct fetch_request){ .method = "POST", .reply_size_max = 10 }, "/big");
    assert_failed(world, ERR_UNKNOWN_OUTCOME, "unknown_outcome");
    fetch_path(world, (struct fetch_request){ .reply_size_max = 20 }, "/stream"); /* no length */
    assert_failed(world, ERR_LIMIT, "reply_too_large");
}

struct chain {
    struct world *world;
    unsigned left;
};

static void
on_chain(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct chain *chain = data;
    assert_null(err);
    assert_int_equal(reply->status, 200);
    if (--chain->left == 0)
        return;
    char url[128];
    (void)snprintf(url, sizeof url, "https://%s/x", http_server_address(chain->world->server));
    (void)fetch_start(chain->world->client, &(struct fetch_request){ .url = url }, on_chain, chain);
}

static void
many_at_once_and_one_after_another(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    for (unsigned i = 0; i < FETCH_PENDING_MAX; i++)
        (void)start(world, (struct fetch_request){ 0 }, "/x");
    (void)start(world, (struct fetch_request){ 0 }, "/x");
    WAIT_UNTIL(world->loop, world->ended == 1);
    assert_failed(world, ERR_THROTTLED, "fetch_pending");
    WAIT_UNTIL(world->loop, world->ended == FETCH_PENDING_MAX + 1);
    assert_int_equal(world->served, FETCH_PENDING_MAX);
    assert_true(http_server_counters(world->server)->connections <= FETCH_HOST_CONNECTIONS);

    struct chain chain = { .world = world, .left = 50 };
    char url[128];
    (void)snprintf(url, sizeof url, "https://%s/x", http_server_address(world->server));
    (void)fetch_start(world->client, &(struct fetch_request){ .url = url }, on_chain, &chain);
    WAIT_UNTIL(world->loop, chain.left == 0);
}

static void
cancelled_and_closed(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    open_client(world, (struct fetch_trust){ .tls = world->identity });
    struct fetch *fetch = start(world, (struct fetch_request){ 0 }, "/later");
    fetch_cancel(fetch); /* before it began */
    fetch = start(world, (struct fetch_request){ 0 }, "/later");
    WAIT_UNTIL(world->loop, world->kept != NULL);
    fetch_cancel(fetch);
    WAIT_UNTIL(world->loop, world->kept == NULL); /* the server has heard of it */
    assert_int_equal(world->ended, 0);
    fetch_cancel(NULL);

    (void)start(world, (struct fetch_request){ 0 }, "/later");
    (void)start(world, (struct fetch_request){ .url = "bad url" }, "");
    WAIT_UNTIL(world->loop, world->kept != NULL && world->ended == 1);
    (void)start(world, (struct fetch_request){ .url = "bad url" }, "");
    fetch_client_close(world->client);
    world->client = NULL;
    assert_int_equal(world->ended, 3);
    assert_failed(world, ERR_CANCELLED, "cancelled");
}

static void
forgetting_takes_up_new_certificates(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    char folder[] = "/tmp/baton-fetch-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *cert = str_printf("%s/node.crt", folder);
    char *key = str_printf("%s/node.key", folder);
    char *ca = str_printf("%s/ca.crt", folder);
    struct err err;
    const uid_t nobody = (uid_t)-1;
    assert_int_equal(file_write_atomic(ca, world->identity.ca, strlen(world->identity.ca), 0600,
                                       nobody, (gid_t)-1, &err),
                     ERR_NONE);
    static const char *const nodes[] = { "west-1", "west-2" };
    for (unsigned i = 0; i < 2; i++) {
        struct raw_pki pki = { 0 };
        raw_pki_sign(&world->pki.ca, nodes[i], &pki.node);
        assert_int_equal(file_write_atomic(cert, pki.node.certificate, strlen(pki.node.certificate),
                                           0600, nobody, (gid_t)-1, &err),
                         ERR_NONE);
        assert_int_equal(file_write_atomic(key, pki.node.key, strlen(pki.node.key), 0600, nobody,
                                           (gid_t)-1, &err),
                         ERR_NONE);
        raw_pki_done(&pki);
        if (i == 0)
            open_client(world,
                        (struct fetch_trust){ .tls = { .ca = ca, .cert = cert, .key = key } });
        if (i == 1) { /* also while one is under way */
            (void)start(world, (struct fetch_request){ 0 }, "/later");
            WAIT_UNTIL(world->loop, world->kept != NULL);
            fetch_client_forget(world->client);
        }
        fetch_path(world, (struct fetch_request){ 0 }, "/x");
        assert_int_equal(world->status, 200);
        assert_true(str_ends(world->body.data, nodes[i]));
        if (i == 1) {
            unsigned before = world->ended;
            http_reply(take_ptr(&world->kept), 200, NULL, NULL, 0);
            WAIT_UNTIL(world->loop, world->ended == before + 1);
            fetch_path(world, (struct fetch_request){ 0 }, "/x");
            assert_true(str_ends(world->body.data, nodes[i]));
        }
    }
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
    free(cert);
    free(key);
    free(ca);
}

/* For what blocks, the server has a thread with its own loop. */
struct elsewhere {
    struct world *world;
    pthread_t thread;
    ev_async quit;
};

static void
on_quit(struct ev_loop *loop, ev_async *watcher, int revents)
{
    (void)watcher, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void *
run_loop(void *data)
{
    ev_run(((struct elsewhere *)data)->world->loop, 0);
    return NULL;
}

static void
go_elsewhere(struct elsewhere *elsewhere, struct world *world)
{
    elsewhere->world = world;
    ev_async_init(&elsewhere->quit, on_quit);
    ev_async_start(world->loop, &elsewhere->quit);
    assert_int_equal(pthread_create(&elsewhere->thread, NULL, run_loop, elsewhere), 0);
}

static void
come_back(struct elsewhere *elsewhere)
{
    ev_async_send(elsewhere->world->loop, &elsewhere->quit);
    assert_int_equal(pthread_join(elsewhere->thread, NULL), 0);
    ev_async_stop(elsewhere->world->loop, &elsewhere->quit);
}

static void
blocking_requests(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    struct fetch_trust trust = { .tls = world->identity };
    char *base = str_printf("https://%s", http_server_address(world->server));
    struct elsewhere elsewhere;
    go_elsewhere(&elsewhere, world);

    struct fetch_reply reply = { 0 };
    struct err err;
    char *url = str_printf("%s/x", base);
    struct fetch_request request = { .method = "PUT", .url = url, .body = "ab", .body_size = 2 };
    if (fetch_once(&trust, &request, &reply, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_int_equal(fetch_reply_err(&reply, &err), ERR_NONE);
    assert_true(str_starts(reply.body.data, "PUT /x ab type=application/json"));
    assert_string_equal(fetch_reply_header(&reply, "Baton-Epoch"), "3/west-1");
    assert_null(fetch_reply_header(&reply, "Baton-None"));
    assert_string_equal(reply.type, "text/plain");
    fetch_reply_done(&reply);
    free(url);

    url = str_printf("%s/problem", base);
    request = (struct fetch_request){ .url = url };
    assert_int_equal(fetch_once(&trust, &request, &reply, &err), ERR_NONE);
    assert_int_equal(fetch_reply_err(&reply, &err), ERR_FENCED);
    assert_string_equal(err.slug, "no_primary");
    assert_string_equal(err.text, "nobody may  [31mwrite"); /* no escape reaches a terminal */
    assert_string_equal(err.mend, "promote a site");
    fetch_reply_done(&reply);
    free(url);

    url = str_printf("%s/plain-404", base);
    request = (struct fetch_request){ .url = url };
    assert_int_equal(fetch_once(&trust, &request, &reply, &err), ERR_NONE);
    assert_int_equal(fetch_reply_err(&reply, &err), ERR_NOT_FOUND);
    assert_string_equal(err.slug, "http_status");
    fetch_reply_done(&reply);
    free(url);

    request = (struct fetch_request){ .url = "https://127.0.0.1:1/" };
    assert_int_equal(fetch_once(&trust, &request, &reply, &err), ERR_UNAVAILABLE);
    assert_null(reply.handle);
    come_back(&elsewhere);
    free(base);
}

static bool
on_chunk(void *data, const char *bytes, size_t size)
{
    struct buf *got = data;
    buf_add(got, bytes, size);
    return strstr(got->data, "event: last") == NULL;
}

static bool
on_one_chunk(void *data, const char *bytes, size_t size)
{
    buf_add(data, bytes, size);
    return false;
}

static void
blocking_streams(void **state)
{
    struct world *world = begin(state, (struct http_options){ 0 });
    struct fetch_trust trust = { .tls = world->identity };
    struct elsewhere elsewhere;
    char *url = str_printf("https://%s/stream", http_server_address(world->server));
    char *problem = str_printf("https://%s/problem", http_server_address(world->server));
    go_elsewhere(&elsewhere, world);
    struct fetch_request request = { .url = url };
    struct fetch_reply reply = { 0 };
    struct err err;
    struct buf got = { 0 };
    if (fetch_stream(&trust, &request, on_chunk, &got, &reply, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_string_equal(reply.type, "text/event-stream");
    assert_string_equal(got.data, "event: count\ndata: x\n\nevent: count\ndata: x\n\n"
                                  "event: count\ndata: x\n\n");
    assert_int_equal(reply.body.size, 0);
    fetch_reply_done(&reply);

    buf_clear(&got);
    assert_int_equal(fetch_stream(&trust, &request, on_one_chunk, &got, &reply, &err), ERR_NONE);
    assert_true(got.size > 0);
    assert_int_equal(reply.status, 200);
    fetch_reply_done(&reply);

    buf_clear(&got);
    request.url = problem;
    assert_int_equal(fetch_stream(&trust, &request, on_chunk, &got, &reply, &err), ERR_NONE);
    assert_int_equal(got.size, 0);
    assert_int_equal(fetch_reply_err(&reply, &err), ERR_FENCED);
    fetch_reply_done(&reply);
    come_back(&elsewhere);
    buf_done(&got);
    free(url);
    free(problem);
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_answered),
        TEST(an_address_is_looked_at_before_it_is_connected_to),
        TEST(a_name_is_checked_and_an_address_connected_to),
        cmocka_unit_test(roots_are_read_once_and_shared),
        TEST(only_the_right_server_is_trusted),
        TEST(what_is_wrong_is_told_from_the_loop),
        TEST(a_refused_connection_did_nothing),
        TEST(a_silent_server_did_nothing),
        TEST(no_answer_in_time),
        TEST(nothing_is_done_twice),
        TEST(a_connection_closed_while_idle_is_no_failure),
        TEST(answers_are_bounded),
        TEST(many_at_once_and_one_after_another),
        TEST(cancelled_and_closed),
        TEST(forgetting_takes_up_new_certificates),
        TEST(blocking_requests),
        TEST(blocking_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
