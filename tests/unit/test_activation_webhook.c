/* The webhook driver (A11), and probes that are signed, against a real HTTPS server on the same
 * loop. */
#include "activation_world.h"

#include <openssl/crypto.h>

#include "controller/activation/action.h"
#include "controller/activation/probe.h"
#include "controller/http/server.h"
#include "tests/unit/raw_client.h"

#define KEY_TEXT "0123456789abcdef0123456789abcdef"
#define SEEN_MAX 32

/* What the receiver answers, one entry for each request; the last one stays. */
struct answer {
    int status; /* 0: closes the connection without an answer; -1: never answers */
    const char *body;
    const char *fenced; /* an epoch to prove; NULL: no proof */
    bool forged;        /* the proof is of another key */
};

struct seen {
    char delivery[256];
    char signature[96];
    char body[1024];
    enum err_code checked; /* by sign_check() */
    char epoch[EPOCH_TEXT_SIZE];
};

struct bench {
    struct world *world;
    struct raw_pki pki;
    struct raw_pki other;
    struct http_server *server;
    struct sign_key key;
    char *key_path;
    const struct answer *answers;
    size_t answer_count;
    struct seen seen[SEEN_MAX];
    size_t count;
    struct http_request *silent;
    /* the call */
    struct json_object *document;
    struct connector *connector;
    struct action *action;
    unsigned done;
    enum action_end end;
    bool proved;
    char text[ERR_TEXT_SIZE + ERR_MEND_SIZE];
};

static struct bench bench;

static void
on_gone(void *data, struct http_request *request)
{
    (void)data;
    bench.silent = NULL;
    http_drop(request);
}

static void
note(const struct http_request *request)
{
    struct seen *seen = &bench.seen[bench.count++];
    struct sign_claim claim = { 0 };
    const struct sign_key *key;
    struct err err;
    struct sign_received received = {
        .method = request->method,
        .target = request->path,
        .cluster = http_header(request, "Baton-Cluster"),
        .epoch = http_header(request, "Baton-Epoch"),
        .node = http_header(request, "Baton-Node"),
        .delivery = http_header(request, "Baton-Delivery"),
        .digest = http_header(request, "Content-Digest"),
        .input = http_header(request, "Signature-Input"),
        .signature = http_header(request, "Signature"),
    };
    seen->checked =
        sign_check(&received, &bench.key, 1, clock_wall_ms() / 1000, 60, &claim, &key, &err);
    if (request->body_size > 0) {
        CLEANUP(freep) char *digest = sign_digest(request->body, request->body_size);
        assert_string_equal(digest, received.digest);
    }
    (void)snprintf(seen->epoch, sizeof seen->epoch, "%s", received.epoch);
    (void)snprintf(seen->delivery, sizeof seen->delivery, "%s",
                   received.delivery == NULL ? "" : received.delivery);
    (void)snprintf(seen->signature, sizeof seen->signature, "%s",
                   received.signature == NULL ? "" : received.signature);
    (void)snprintf(seen->body, sizeof seen->body, "%.*s", (int)request->body_size, request->body);
}

static void
handler(void *data, struct http_request *request)
{
    (void)data;
    const struct answer *answer =
        &bench.answers[bench.count < bench.answer_count ? bench.count : bench.answer_count - 1];
    assert_true(bench.count < SEEN_MAX);
    note(request);
    if (answer->status < 0) {
        bench.silent = request;
        http_on_gone(request, on_gone, NULL);
    } else if (answer->status == 0) {
        http_drop(request);
    } else {
        if (answer->fenced != NULL) {
            struct epoch epoch;
            struct sign_key other = bench.key;
            other.bytes[0] ^= 1;
            assert_true(epoch_parse(answer->fenced, &epoch));
            CLEANUP(freep)
            char *proof = sign_proof(answer->forged ? &other : &bench.key, &epoch,
                                     bench.seen[bench.count - 1].signature);
            http_add_header(request, "Baton-Fenced", proof);
        }
        if (answer->status / 100 == 3)
            http_add_header(request, "Location", "/elsewhere");
        http_reply(request, answer->status, answer->body == NULL ? NULL : "application/json",
                   answer->body, answer->body == NULL ? 0 : strlen(answer->body));
    }
}

static int
open_bench(void **state)
{
    (void)state;
    struct err err;
    bench.world = world_new();
    raw_pki_make(&bench.pki, "west-1");
    raw_pki_make(&bench.other, "west-1");
    assert_int_equal(sign_key_make("k1", KEY_TEXT, 32, &bench.key, &err), ERR_NONE);
    world_put(bench.world, "key", KEY_TEXT "\n", 0600);
    bench.key_path = world_path(bench.world, "key");
    struct tls_identity identity = { .cert = bench.pki.node.certificate,
                                     .key = bench.pki.node.key,
                                     .ca = bench.pki.ca.certificate };
    struct http_options options = { .listen = "127.0.0.1:0", .tls = &identity, .handler = handler };
    if (http_server_open(bench.world->loop, &options, &bench.server, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return 0;
}

static int
close_bench(void **state)
{
    (void)state;
    http_server_close(bench.server);
    raw_pki_done(&bench.pki);
    raw_pki_done(&bench.other);
    free(bench.key_path);
    world_free(bench.world);
    return 0;
}

static int
forget(void **state)
{
    (void)state;
    connector_free(bench.connector);
    json_object_put(bench.document);
    bench.connector = NULL;
    bench.document = NULL;
    bench.count = 0;
    bench.done = 0;
    return 0;
}

static void
on_done(void *data, const struct action_result *result)
{
    (void)data;
    bench.done++;
    bench.action = NULL;
    bench.end = result->end;
    bench.proved = result->proved;
    assert_string_equal(result->output, "");
    (void)snprintf(bench.text, sizeof bench.text, "%s", result->text);
}

static const char *
url(const char *path)
{
    static char text[256];
    (void)snprintf(text, sizeof text, "https://%s%s", http_server_address(bench.server), path);
    return text;
}

/* A document with one webhook; 'more' are members of it, each with a comma before. */
static void
configure(const char *at, const char *ca, const char *more)
{
    struct err err;
    (void)forget(NULL);
    CLEANUP(freep)
    char *action = str_printf(
        "{\"driver\":\"webhook\",\"url\":\"%s\",\"sign\":{\"key_id\":\"k1\",\"key_file\":"
        "\"%s\"}%s}",
        at, bench.key_path, more);
    bench.document = world_document(action);
    struct json_object *item = json_object_array_get_idx(json_get(bench.document, "activation"), 0);
    if (ca != NULL)
        json_add_string(item, "ca", ca);
    if (connector_read("pam", bench.document, &bench.connector, &err) != ERR_NONE)
        fail_msg("%s", err.text);
}

static enum err_code
start(uint64_t number, uint64_t timeout_ms, struct err *err)
{
    char epoch[24];
    (void)snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)number);
    struct action_order order = {
        .action = &bench.connector->actions[0],
        .epoch = epoch_make(number, "west-1"),
        .timeout_ms = timeout_ms,
        .place = 2,
        .values = { .text = { [TEMPLATE_CONNECTOR] = "pam",
                              [TEMPLATE_KIND] = "activate",
                              [TEMPLATE_SERVER] = "main",
                              [TEMPLATE_URL] = "https://tcf1.east:8443/",
                              [TEMPLATE_HOST] = "tcf1.east",
                              [TEMPLATE_PORT] = "8443",
                              [TEMPLATE_CREDENTIAL] = "secret/pam-main",
                              [TEMPLATE_EPOCH] = epoch,
                              [TEMPLATE_EPOCH_HOLDER] = "west-1",
                              [TEMPLATE_ACTION_ID] = "pam:7:west-1:main:1:1",
                              [TEMPLATE_NODE] = "west-1",
                              [TEMPLATE_SITE] = "west",
                              [TEMPLATE_CLUSTER] = RAW_CLUSTER_ID } },
    };
    return action_start(bench.world->worker, &order, on_done, NULL, &bench.action, err);
}

static bool
is_done(void *data)
{
    (void)data;
    return bench.done > 0;
}

static void
run(const struct answer *answers, size_t count, uint64_t timeout_ms)
{
    struct err err;
    bench.answers = answers;
    bench.answer_count = count;
    bench.count = 0;
    bench.done = 0;
    if (start(7, timeout_ms, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_int_equal(bench.done, 0); /* never from inside */
    assert_true(world_until(bench.world, is_done, NULL));
    assert_int_equal(bench.done, 1);
}

#define RUN(timeout_ms, ...)                                                                       \
    run((const struct answer[]){ __VA_ARGS__ },                                                    \
        sizeof((const struct answer[]){ __VA_ARGS__ }) / sizeof(struct answer), timeout_ms)

static void
assert_end(enum action_end end, const char *part)
{
    if (bench.end != end || strstr(bench.text, part) == NULL)
        fail_msg("wanted %s with '%s', got %s: %s", action_end_name(end), part,
                 action_end_name(bench.end), bench.text);
}

static void
what_is_posted(void **state)
{
    (void)state;
    configure(url("/baton"), bench.pki.ca.certificate, "");
    RUN(10000, { .status = 204 });
    assert_end(ACTION_OK, "status 204 in ");
    assert_false(bench.proved);
    assert_int_equal(bench.count, 1);
    const struct seen *seen = &bench.seen[0];
    assert_int_equal(seen->checked,
                     ERR_NONE); /* method, path, epoch, delivery and body are signed */
    assert_string_equal(seen->epoch, "7/west-1");
    assert_string_equal(seen->delivery, RAW_CLUSTER_ID "/pam:7:west-1:main:1:1/2");
    struct err err;
    CLEANUP(json_putp) struct json_object *body = NULL;
    assert_int_equal(json_read(seen->body, strlen(seen->body), &body, &err), ERR_NONE);
    static const char *const texts[][2] = {
        { "delivery_id", RAW_CLUSTER_ID "/pam:7:west-1:main:1:1/2" },
        { "cluster", RAW_CLUSTER_ID },
        { "connector", "pam" },
        { "kind", "activate" },
        { "server", "main" },
        { "url", "https://tcf1.east:8443/" },
        { "node", "west-1" },
        { "site", "west" },
        { "action_id", "pam:7:west-1:main:1:1" },
    };
    const char *text;
    uint64_t number;
    int64_t at_ms;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_true(json_get_string(body, texts[i][0], &text));
        assert_string_equal(text, texts[i][1]);
    }
    assert_true(json_get_u64(json_get(body, "epoch"), "number", &number) && number == 7);
    assert_true(json_get_string(json_get(body, "epoch"), "holder", &text));
    assert_string_equal(text, "west-1");
    assert_true(json_get_string(body, "time", &text) && clock_wall_parse(text, &at_ms));
}

/* Row 22 of the fault matrix: whatever becomes of a try, the next says the same delivery. */
static void
one_delivery_for_all_tries(void **state)
{
    (void)state;
    configure(url("/baton"), bench.pki.ca.certificate, "");
    RUN(20000, { .status = 503 }, { .status = 0 }, { .status = 429 }, { .status = 200 });
    assert_end(ACTION_OK, "(try 4)");
    assert_int_equal(bench.count, 4);
    for (size_t i = 0; i < bench.count; i++) {
        assert_int_equal(bench.seen[i].checked, ERR_NONE);
        assert_string_equal(bench.seen[i].delivery, bench.seen[0].delivery);
        assert_string_equal(bench.seen[i].body, bench.seen[0].body);
    }
    /* and so does the manager's next try, and that of another batond */
    char first[256];
    (void)snprintf(first, sizeof first, "%s", bench.seen[0].delivery);
    configure(url("/baton"), bench.pki.ca.certificate, "");
    RUN(20000, { .status = 200 });
    assert_string_equal(bench.seen[0].delivery, first);
}

static void
it_fails_when_the_deadline_is_over(void **state)
{
    (void)state;
    configure(url("/baton"), bench.pki.ca.certificate, "");
    RUN(2500, { .status = 503 }); /* a first answer takes long on a busy machine */
    assert_end(ACTION_FAILED, "status 503");
    assert_true(bench.count >= 1 && bench.count <= 4); /* after 0, 200, 600 and 1400 ms */
    RUN(2000, { .status = -1 });
    assert_end(ACTION_FAILED, "perhaps it was done and perhaps not");
    assert_int_equal(bench.count, 1);
}

static void
validators(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        struct answer answer;
        enum action_end end;
        const char *part;
    } rows[] = {
        { "", { .status = 299 }, ACTION_OK, "299" },
        { "", { .status = 302 }, ACTION_FAILED, "status 302" }, /* and nobody goes there */
        { "", { .status = 404 }, ACTION_FAILED, "status 404" },
        { ",\"expect_status\":202", { .status = 202 }, ACTION_OK, "202" },
        { ",\"expect_status\":202", { .status = 200 }, ACTION_FAILED, "status 200, wanted 202" },
        { ",\"expect_body\":{\"contains\":\"done\"}",
          { .status = 200, .body = "all is done" },
          ACTION_OK,
          "200" },
        { ",\"expect_body\":{\"contains\":\"done\"}",
          { .status = 200, .body = "not yet" },
          ACTION_FAILED,
          "does not hold the text" },
        { ",\"expect_body\":{\"field\":\"/a/status\",\"equals\":\"up\"}",
          { .status = 200, .body = "{\"a\":{\"status\":\"up\"}}" },
          ACTION_OK,
          "200" },
        { ",\"expect_body\":{\"field\":\"/a/status\",\"equals\":\"up\"}",
          { .status = 200, .body = "{\"a\":{\"status\":\"down\"}}" },
          ACTION_FAILED,
          "has another value" },
        { ",\"expect_body\":{\"field\":\"/a\",\"equals\":1}",
          { .status = 200, .body = "{\"a\":\"1\"}" },
          ACTION_FAILED,
          "has another value" },
        { ",\"expect_body\":{\"field\":\"/a\",\"equals\":true}",
          { .status = 200, .body = "{}" },
          ACTION_FAILED,
          "has not the field" },
        { ",\"expect_body\":{\"field\":\"/a\",\"equals\":true}",
          { .status = 200, .body = "<html>" },
          ACTION_FAILED,
          "is not JSON" },
        { "", { .status = 409 }, ACTION_REFUSED, "a later epoch" },
        { "", { .status = 412 }, ACTION_REFUSED, "a later epoch" },
        { ",\"refused_status\":410", { .status = 410 }, ACTION_REFUSED, "a later epoch" },
        { ",\"refused_status\":410", { .status = 409 }, ACTION_FAILED, "status 409" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        configure(url("/baton"), bench.pki.ca.certificate, rows[i].more);
        run(&rows[i].answer, 1, 10000);
        assert_end(rows[i].end, rows[i].part);
        assert_int_equal(bench.count, 1);
        assert_null(strstr(bench.text, "down")); /* what a receiver says is nobody's to read */
    }
}

/* I10: what is a proof that the receiver refuses lower epochs, and what is not. */
static void
proof_of_the_fence(void **state)
{
    (void)state;
    static const struct {
        struct answer answer;
        enum action_end end;
        bool proved;
    } rows[] = {
        { { .status = 200, .fenced = "7/west-1" }, ACTION_OK, true },
        { { .status = 200, .fenced = "7/west-1", .forged = true }, ACTION_OK, false },
        { { .status = 200, .fenced = "6/west-1" }, ACTION_OK, false }, /* it let us by unseen */
        { { .status = 403, .fenced = "8/east-1" }, ACTION_REFUSED, true },
        { { .status = 403, .fenced = "7/west-2" }, ACTION_REFUSED, true }, /* the later pair */
        { { .status = 403, .fenced = "8/east-1", .forged = true }, ACTION_FAILED, false },
        { { .status = 403 }, ACTION_FAILED, false },
        { { .status = 200, .fenced = "8/east-1" }, ACTION_REFUSED, true },
        { { .status = 409 }, ACTION_REFUSED, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        configure(url("/baton"), bench.pki.ca.certificate, "");
        run(&rows[i].answer, 1, 10000);
        if (bench.end != rows[i].end || bench.proved != rows[i].proved)
            fail_msg("row %zu: %s, proved %d: %s", i, action_end_name(bench.end), bench.proved,
                     bench.text);
    }
    assert_non_null(strstr(bench.text, "a later epoch"));
}

static void
only_whom_we_trust(void **state)
{
    (void)state;
    struct err err;
    configure(url("/baton"), bench.other.ca.certificate, "");
    RUN(60000, { .status = 200 });
    assert_end(ACTION_FAILED, "check that this is the right server and the right CA");
    assert_int_equal(bench.count, 0);
    configure(url("/baton"), NULL, ""); /* the system's CAs do not know it */
    RUN(60000, { .status = 200 });
    assert_end(ACTION_FAILED, "right CA");
    CLEANUP(freep) char *wrong = str_printf(",\"pin\":\"sha256:%064d\"", 0);
    configure(url("/baton"), NULL, wrong);
    RUN(60000, { .status = 200 });
    assert_end(ACTION_FAILED, "it is another server, or it has a new key");
    struct cert_info info;
    char hex[CERT_HEX_SIZE];
    assert_int_equal(cert_read(bench.pki.node.certificate, &info, &err), ERR_NONE);
    str_hex(hex, info.pin, sizeof info.pin);
    CLEANUP(freep) char *right = str_printf(",\"pin\":\"sha256:%s\"", hex);
    configure(url("/baton"), NULL, right);
    RUN(60000, { .status = 200 });
    assert_end(ACTION_OK, "200");
}

/* RELIABILITY: requests do not go where a document should not send them. */
static void
some_addresses_get_nothing(void **state)
{
    (void)state;
    static const char *const places[] = { "https://169.254.169.254/latest", "https://224.0.0.1/",
                                          "https://0.0.0.0/", "https://[fe80::1]/",
                                          "https://[::ffff:169.254.169.254]/" };
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        struct err err;
        configure(places[i], NULL, "");
        assert_int_equal(start(7, 1000, &err), ERR_DENIED);
        assert_string_equal(err.slug, "address_denied");
    }
}

static void
a_key_is_needed(void **state)
{
    (void)state;
    struct err err;
    world_put(bench.world, "key", KEY_TEXT "\n", 0644);
    configure(url("/baton"), bench.pki.ca.certificate, "");
    assert_int_equal(start(7, 1000, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, "others than its owner may use it"));
    world_put(bench.world, "key", KEY_TEXT "\n", 0600);
}

static bool
is_silent(void *data)
{
    (void)data;
    return bench.silent != NULL;
}

static void
a_cancelled_one_says_so(void **state)
{
    (void)state;
    struct err err;
    static const struct answer never = { .status = -1 };
    configure(url("/baton"), bench.pki.ca.certificate, "");
    bench.answers = &never;
    bench.answer_count = 1;
    assert_int_equal(start(7, 15000, &err), ERR_NONE);
    assert_true(world_until(bench.world, is_silent, NULL));
    action_cancel(bench.action);
    action_cancel(bench.action);
    assert_int_equal(bench.done, 0);
    assert_true(world_until(bench.world, is_done, NULL));
    assert_end(ACTION_CANCELLED, "cancelled");
    /* and one that is abandoned says nothing */
    (void)forget(NULL);
    configure(url("/baton"), bench.pki.ca.certificate, "");
    bench.silent = NULL;
    assert_int_equal(start(7, 15000, &err), ERR_NONE);
    assert_true(world_until(bench.world, is_silent, NULL));
    action_abandon(bench.action);
    assert_int_equal(bench.done, 0);
}

/* ---- probes ---- */

struct watched {
    struct prober *prober;
    struct probe_result result;
};

static bool
is_probed(void *data)
{
    struct watched *watched = data;
    probe_view(watched->prober, "pam", EFFECTIVE_MAIN, &watched->result);
    return watched->result.state != PROBE_UNKNOWN;
}

/* The answer to one probe of a server with, or without, a key. */
static struct probe_result
probe_once(bool signs, uint64_t number, const struct answer *answer)
{
    static const struct probe_settings settings = { .interval_ms = 30000, .timeout_ms = 10000 };
    struct probe_self self = { .cluster = RAW_CLUSTER_ID, .node = "west-1" };
    struct epoch epoch = epoch_make(number, "west-1");
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    struct json_object *server = json_object_new_object();
    json_add_string(server, "url", url("/"));
    json_add_string(server, "ca", bench.pki.ca.certificate);
    json_add(document, "main", server);
    if (signs) {
        struct json_object *sign = json_object_new_object();
        json_add_string(sign, "key_id", "k1");
        json_add_string(sign, "key_file", bench.key_path);
        json_add(document, "sign", sign);
    }
    struct probe_desired desired = { .connector = "pam", .document = document, .revision = 1 };
    struct watched watched = { 0 };
    bench.count = 0;
    bench.answers = answer;
    bench.answer_count = 1;
    watched.prober = probe_open(bench.world->loop, &settings, 1, NULL, NULL);
    probe_identify(watched.prober, &self);
    probe_epoch(watched.prober, &epoch);
    probe_want(watched.prober, &desired, 1);
    assert_true(world_until(bench.world, is_probed, &watched));
    probe_close(watched.prober);
    return watched.result;
}

static void
probes_say_who_asks(void **state)
{
    (void)state;
    static const struct answer plain = { .status = 200 };
    static const struct answer fenced = { .status = 200, .fenced = "6/east-1" };
    static const struct answer forged = { .status = 200, .fenced = "6/east-1", .forged = true };
    static const struct answer later = { .status = 403, .fenced = "8/east-1" };
    struct probe_result result = probe_once(true, 7, &plain);
    assert_true(result.ok && !result.fenced);
    assert_int_equal(bench.seen[0].checked, ERR_NONE);
    assert_string_equal(bench.seen[0].epoch, "7/west-1");
    assert_string_equal(bench.seen[0].delivery, ""); /* no activation: it raises nobody's epoch */
    result = probe_once(true, 7, &fenced);
    assert_true(result.ok && result.fenced);
    result = probe_once(true, 7, &forged);
    assert_true(result.ok && !result.fenced);
    result = probe_once(true, 7, &later);
    assert_false(result.ok);
    assert_string_equal(result.text, "status 403: it has seen epoch 8/east-1, and refuses our "
                                     "7/west-1");
    /* without a key it is said and not proved, and nothing that comes back is a proof */
    result = probe_once(false, 7, &fenced);
    assert_true(result.ok && !result.fenced);
    assert_int_equal(bench.seen[0].checked, ERR_LOGIN);
    assert_string_equal(bench.seen[0].epoch, "7/west-1");
    /* a key that is not there is a fault of the node, and no request leaves it */
    world_put(bench.world, "key", KEY_TEXT "\n", 0644);
    result = probe_once(true, 7, &plain);
    assert_true(!result.ok && bench.count == 0);
    assert_non_null(strstr(result.text, "others than its owner"));
    world_put(bench.world, "key", KEY_TEXT "\n", 0600);
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_posted),
        TEST(one_delivery_for_all_tries),
        TEST(it_fails_when_the_deadline_is_over),
        TEST(validators),
        TEST(proof_of_the_fence),
        TEST(only_whom_we_trust),
        TEST(some_addresses_get_nothing),
        TEST(a_key_is_needed),
        TEST(a_cancelled_one_says_so),
        TEST(probes_say_who_asks),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
