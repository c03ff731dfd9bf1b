/* The prober against real HTTPS servers: good ones, and one for each way to be bad. */
#include "activation_world.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <signal.h>
#include <sys/wait.h>

#include "controller/activation/probe.h"
#include "controller/loop/tls.h"

#define CHANGES_MAX 64
#define CROWD       48

struct change {
    char connector[CONNECTOR_NAME_SIZE];
    enum effective_server server;
    enum probe_state state;
};

struct bench {
    struct world *world;
    pid_t pid;
    FILE *to;
    FILE *from;
    struct json_object *ports;
    char *ca;    /* PEM */
    char *other; /* PEM of a CA that nobody here trusts */
    struct prober *prober;
    struct change changes[CHANGES_MAX];
    size_t change_count;
};

static struct bench bench;

static struct json_object *
read_line(void)
{
    char *line = NULL;
    size_t size = 0;
    struct json_object *object = NULL;
    struct err err;
    ssize_t length = getline(&line, &size, bench.from);
    assert_true(length > 0);
    assert_int_equal(json_read(line, (size_t)length - 1, &object, &err), ERR_NONE);
    free(line);
    return object;
}

static struct json_object *
command(const char *text)
{
    assert_true(fprintf(bench.to, "%s\n", text) > 0 && fflush(bench.to) == 0);
    return read_line();
}

static uint64_t
command_number(const char *text, const char *name)
{
    uint64_t number = 0;
    struct json_object *answer = command(text);
    assert_true(json_get_u64(answer, name, &number));
    json_object_put(answer);
    return number;
}

static int
start_servers(void **state)
{
    (void)state;
    int to[2], from[2];
    bench.world = world_new();
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        return -1;
    bench.pid = fork();
    if (bench.pid == 0) {
        (void)dup2(to[0], 0);
        (void)dup2(from[1], 1);
        (void)execl("/usr/bin/python3", "python3", SOURCE_DIR "/tests/unit/probe_servers.py",
                    bench.world->folder, (char *)NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    bench.to = fdopen(to[1], "w");
    bench.from = fdopen(from[0], "r");
    bench.ports = read_line();
    bench.ca = world_get(bench.world, "ca.crt");
    bench.other = world_get(bench.world, "other.crt");
    return 0;
}

static int
stop_servers(void **state)
{
    (void)state;
    int status = 0;
    (void)fclose(bench.to); /* its standard input ends, and with it the script */
    (void)fclose(bench.from);
    (void)waitpid(bench.pid, &status, 0);
    json_object_put(bench.ports);
    free(bench.ca);
    free(bench.other);
    world_free(bench.world);
    return status;
}

static unsigned
port_of(const char *name)
{
    uint64_t port = 0;
    assert_true(json_get_u64(bench.ports, name, &port));
    return (unsigned)port;
}

static void
on_changed(void *data, const char *connector, enum effective_server server,
           const struct probe_result *result)
{
    (void)data;
    assert_true(bench.change_count < CHANGES_MAX);
    struct change *change = &bench.changes[bench.change_count++];
    assert_true(str_copy(change->connector, sizeof change->connector, connector));
    change->server = server;
    change->state = result->state;
}

static int
open_prober(void **state)
{
    (void)state;
    struct probe_settings settings = { .interval_ms = 30000, .timeout_ms = 10000 };
    bench.change_count = 0;
    bench.prober = probe_open(bench.world->loop, &settings, 42, on_changed, NULL);
    json_object_put(command("release"));
    return 0;
}

static int
close_prober(void **state)
{
    (void)state;
    probe_close(bench.prober);
    return 0;
}

/* ---- documents ---- */

/* {"url", "ca", "pin"}; the caller's. */
static struct json_object *
server_json(const char *kind, const char *path, const char *ca, const char *pin)
{
    struct json_object *server = json_object_new_object();
    char *url = str_printf("https://127.0.0.1:%u%s", port_of(kind), path);
    json_add_string(server, "url", url);
    free(url);
    if (ca != NULL)
        json_add_string(server, "ca", ca);
    if (pin != NULL)
        json_add_string(server, "pin", pin);
    return server;
}

static struct json_object *
document(const char *kind, const char *ca, const char *pin, const char *probe)
{
    struct json_object *made = json_object_new_object();
    json_add(made, "main", server_json(kind, "/", ca, pin));
    if (probe != NULL) {
        struct json_object *inner = NULL;
        struct err err;
        assert_int_equal(json_read(probe, strlen(probe), &inner, &err), ERR_NONE);
        json_add(made, "probe", inner);
    }
    return made;
}

/* Takes the reference. */
static void
want(struct json_object *made)
{
    struct probe_desired desired = { .connector = "pam", .document = made };
    probe_want(bench.prober, &desired, 1);
    json_object_put(made);
}

static enum probe_state
state_of(enum effective_server server)
{
    struct probe_result result;
    probe_view(bench.prober, "pam", server, &result);
    return result.state;
}

static bool
main_is_known(void *data)
{
    (void)data;
    return state_of(EFFECTIVE_MAIN) != PROBE_UNKNOWN;
}

static bool
main_is(void *data)
{
    const enum probe_state *state = data;
    return state_of(EFFECTIVE_MAIN) == *state;
}

static struct probe_result
probe_once(struct json_object *made)
{
    struct probe_result result;
    want(made);
    assert_true(world_until(bench.world, main_is_known, NULL));
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    assert_int_equal(result.ok, result.state == PROBE_OK);
    assert_true(result.at_ms > 0 && result.at_ms <= clock_now_ms());
    return result;
}

static bool
has_changes(void *data)
{
    const size_t *count = data;
    return bench.change_count >= *count;
}

static void
wait_changes(size_t count)
{
    assert_true(world_until(bench.world, has_changes, &count));
    assert_int_equal(bench.change_count, count);
}

static void
assert_failed(struct probe_result result, const char *text)
{
    if (result.state != PROBE_FAILED || strcasestr(result.text, text) == NULL)
        fail_msg("not failed with '%s' but %s: '%s'", text, probe_state_name(result.state),
                 result.text);
}

/* ---- tests ---- */

static void
a_good_server_is_good(void **state)
{
    (void)state;
    struct probe_result result;
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    assert_int_equal(result.state, PROBE_UNKNOWN);
    assert_string_equal(result.text, "no such server");
    want(document("good", bench.ca, NULL, "{\"path\":\"/health?deep=1\"}"));
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    assert_string_equal(result.text, "not probed yet");
    assert_false(result.ok);

    json_object_put(command("stats"));
    assert_true(world_until(bench.world, main_is_known, NULL));
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    if (result.state != PROBE_OK)
        fail_msg("%s", result.text);
    assert_true(str_starts(result.text, "200 in "));
    struct json_object *stats = command("stats");
    assert_string_equal(json_text(json_get(stats, "paths")), "[\"/health?deep=1\"]");
    json_object_put(stats);
    wait_changes(1);
    assert_int_equal(bench.changes[0].state, PROBE_OK);
}

static void
each_cause_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        const char *text;
    } rows[] = {
        { "refused", "connect to" },
        { "expired", "expired" },
        { "name", "no alternative certificate subject name matches" },
        { "foreign", "issuer" },
        { "s503", "status 503, wanted 200 to 399" },
        { "plain", "" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_failed(probe_once(document(rows[i].kind, bench.ca, NULL, NULL)), rows[i].text);
}

/* How far it came: what stands before the step that failed was well. */
static void
the_step_that_failed_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        enum probe_step step;
    } rows[] = {
        { "good", PROBE_STEP_ALL },  { "refused", PROBE_STEP_REACH }, { "expired", PROBE_STEP_TLS },
        { "name", PROBE_STEP_TLS },  { "foreign", PROBE_STEP_TLS },   { "s503", PROBE_STEP_HEALTH },
        { "plain", PROBE_STEP_TLS }, { "big", PROBE_STEP_HEALTH },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct probe_result result = probe_once(document(rows[i].kind, bench.ca, NULL, NULL));
        if (result.step != rows[i].step)
            fail_msg("%s: step %d: %s", rows[i].kind, (int)result.step, result.text);
        assert_int_equal(result.ok, rows[i].step == PROBE_STEP_ALL);
        assert_false(result.targets_asked);
    }
}

/* Days left are known of who answers, also of one that only its pin vouches for. */
static void
the_certificates_end_and_a_version_are_kept(void **state)
{
    (void)state;
    int64_t now_s = clock_wall_ms() / 1000;
    struct probe_result result =
        probe_once(document("good", bench.ca, NULL, "{\"path\":\"/version\"}"));
    assert_in_range(result.not_after_s, now_s + 3600, now_s + 86400);
    assert_string_equal(result.version, "2.19.1-rc+1");
    result = probe_once(document("good", bench.ca, NULL, "{\"path\":\"/version-bad\"}"));
    assert_string_equal(result.version, ""); /* what it says otherwise is nobody's business */
    assert_true(result.ok);
    result = probe_once(document("expired", bench.ca, NULL, NULL));
    assert_int_equal(result.not_after_s, 0);
}

/* P5: every target connector has to be on the server. */
static void
every_target_connector_is_looked_for(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *targets;
        const char *text; /* NULL: all is well */
    } rows[] = {
        { "/names", "[\"oracle\",\"as400\"]", NULL },
        { "/objects", "[\"oracle\",\"as400\"]", NULL },
        { "/names", "[\"as400\",\"active-directory\",\"as40\"]",
          "it lacks target connector active-directory, as40" },
        { "/no-list", "[\"oracle\"]", "its list of target connectors is not one" },
        { "/other", "[\"oracle\"]", "its list of target connectors is not one" },
        { "/gone", "[\"oracle\"]", "its list of target connectors: status 404" },
        { "/names", "[]", NULL }, /* nothing is wanted, so nothing is asked */
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct json_object *made = document("good", bench.ca, NULL, "{\"path\":\"/version\"}");
        struct json_object *targets = NULL;
        struct err err;
        assert_int_equal(json_read(rows[i].targets, strlen(rows[i].targets), &targets, &err),
                         ERR_NONE);
        json_add(made, "target_connectors", targets);
        json_add_string(json_get(made, "probe"), "targets_path", rows[i].path);
        json_object_put(command("stats"));
        struct probe_result result = probe_once(made);
        if (rows[i].text != NULL) {
            assert_string_equal(result.text, rows[i].text);
            assert_int_equal(result.step, PROBE_STEP_TARGETS);
            assert_false(result.ok);
        } else if (!result.ok || !str_starts(result.text, "200 in ")) {
            fail_msg("row %zu: %s", i, result.text);
        }
        struct json_object *stats = command("stats");
        assert_int_equal(json_object_array_length(json_get(stats, "paths")),
                         i + 1 == ARRAY_COUNT(rows) ? 1 : 2);
        json_object_put(stats);
        assert_string_equal(result.version, "2.19.1-rc+1");
    }
}

static bool
is_probed_after(void *data)
{
    struct probe_result result;
    const uint64_t *at_ms = data;
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    return result.at_ms > *at_ms;
}

/* A node proves its servers every ready.interval_ms, whatever a connector says. */
static void
no_interval_is_longer_than_allowed(void **state)
{
    (void)state;
    struct probe_settings settings = { .interval_ms = 30000,
                                       .timeout_ms = 10000,
                                       .longest_ms = 50 };
    probe_configure(bench.prober, &settings);
    (void)probe_once(document("good", bench.ca, NULL, "{\"interval_ms\":3600000}"));
    struct probe_result first;
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &first);
    assert_true(world_until(bench.world, is_probed_after, &first.at_ms));
}

static void
silence_ends_at_the_timeout(void **state)
{
    (void)state;
    static const char *const kinds[] = { "silent", "mute" };
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        uint64_t before_ms = clock_now_ms();
        assert_failed(probe_once(document(kinds[i], bench.ca, NULL,
                                          "{\"timeout_ms\":200,\"interval_ms\":600000}")),
                      "");
        assert_true(clock_now_ms() - before_ms >= 190);
    }
}

static void
the_status_decides(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        const char *probe;
        bool ok;
    } rows[] = {
        { "good", "{\"expect_status\":200}", true },
        { "s204", "{}", true },
        { "s204", "{\"expect_status\":200}", false },
        { "s503", "{\"expect_status\":503}", true },
        { "redirect", "{}", true },
        { "redirect", "{\"expect_status\":200}", false }, /* it is not followed */
        { "redirect", "{\"expect_status\":302}", true },
    };
    json_object_put(command("stats"));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct probe_result result =
            probe_once(document(rows[i].kind, bench.ca, NULL, rows[i].probe));
        if (result.ok != rows[i].ok)
            fail_msg("row %zu: %s", i, result.text);
    }
    struct json_object *stats = command("stats");
    assert_null(strstr(json_text(stats), "stolen"));
    json_object_put(stats);
}

static char *
pin_text(const char *name)
{
    uint8_t pin[TLS_PIN_SIZE];
    char hex[2 * TLS_PIN_SIZE + 1];
    char *path = world_path(bench.world, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert_true(tls_pin_x509(certificate, pin));
    X509_free(certificate);
    assert_int_equal(fclose(file), 0);
    free(path);
    str_hex(hex, pin, sizeof pin);
    return str_printf("sha256:%s", hex);
}

static void
trust_is_what_the_connector_says(void **state)
{
    (void)state;
    char *good = pin_text("good.crt");
    char *wrong = pin_text("foreign.crt");
    assert_true(probe_once(document("good", NULL, good, NULL)).ok);
    assert_true(probe_once(document("good", bench.ca, good, NULL)).ok);
    assert_failed(probe_once(document("good", NULL, wrong, NULL)), "pin");
    assert_failed(probe_once(document("good", bench.ca, wrong, NULL)), "pin");
    /* The pin is right, the CA is not: both must hold. */
    assert_failed(probe_once(document("good", bench.other, good, NULL)), "");
    /* Nothing said: the system's CAs, which do not know ours. */
    assert_failed(probe_once(document("good", NULL, NULL, NULL)), "issuer");
    free(good);
    free(wrong);
}

static bool
both_are_known(void *data)
{
    (void)data;
    return state_of(EFFECTIVE_MAIN) != PROBE_UNKNOWN &&
           state_of(EFFECTIVE_ALTERNATE) != PROBE_UNKNOWN;
}

/* P1, P5: the one that is not in use is tried all the same. */
static void
main_and_alternate_are_both_probed(void **state)
{
    (void)state;
    struct json_object *made = document("good", bench.ca, NULL, NULL);
    json_add(made, "alternate", server_json("s503", "/base/", bench.ca, NULL));
    struct json_object *kept = json_object_get(made);
    want(made);
    assert_true(world_until(bench.world, both_are_known, NULL));
    assert_int_equal(state_of(EFFECTIVE_MAIN), PROBE_OK);
    assert_int_equal(state_of(EFFECTIVE_ALTERNATE), PROBE_FAILED);
    wait_changes(2);

    /* The same list again forgets nothing; a changed server starts anew; a missing one is gone. */
    want(kept);
    assert_int_equal(state_of(EFFECTIVE_ALTERNATE), PROBE_FAILED);
    made = document("good", bench.ca, NULL, NULL);
    json_add(made, "alternate", server_json("s204", "/base/", bench.ca, NULL));
    want(made);
    assert_int_equal(state_of(EFFECTIVE_MAIN), PROBE_OK);
    assert_int_equal(state_of(EFFECTIVE_ALTERNATE), PROBE_UNKNOWN);
    assert_true(world_until(bench.world, both_are_known, NULL));
    assert_int_equal(state_of(EFFECTIVE_ALTERNATE), PROBE_OK);
    want(document("good", bench.ca, NULL, NULL));
    assert_int_equal(state_of(EFFECTIVE_ALTERNATE), PROBE_UNKNOWN);
    probe_want(bench.prober, NULL, 0);
    assert_int_equal(state_of(EFFECTIVE_MAIN), PROBE_UNKNOWN);
}

static void
what_happens_to_a_server_is_seen(void **state)
{
    (void)state;
    enum probe_state ok = PROBE_OK, failed = PROBE_FAILED;
    struct probe_settings fast = { .interval_ms = 20, .timeout_ms = 5000 };
    probe_configure(bench.prober, &fast);
    want(document("switch", bench.ca, NULL, NULL));
    assert_true(world_until(bench.world, main_is, &ok));
    json_object_put(command("stop"));
    assert_true(world_until(bench.world, main_is, &failed));
    json_object_put(command("start"));
    assert_true(world_until(bench.world, main_is, &ok));

    /* Its certificate is replaced by one that has expired: every probe is a new connection. */
    json_object_put(command("swap"));
    assert_true(world_until(bench.world, main_is, &failed));
    struct probe_result result;
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    assert_failed(result, "expired");
    assert_true(result.failure_count >= 1);
    json_object_put(command("stop"));
    json_object_put(command("start"));
    assert_true(world_until(bench.world, main_is, &ok));
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    assert_int_equal(result.failure_count, 0);
    wait_changes(5);
}

static void
an_old_result_is_stale_and_not_good(void **state)
{
    (void)state;
    enum probe_state stale = PROBE_STALE;
    struct probe_settings fast = { .interval_ms = 50, .timeout_ms = 60000 };
    probe_configure(bench.prober, &fast);
    want(document("switch", bench.ca, NULL, NULL));
    assert_true(world_until(bench.world, main_is_known, NULL));
    json_object_put(command("hold"));
    assert_true(world_until(bench.world, main_is, &stale));
    struct probe_result result;
    probe_view(bench.prober, "pam", EFFECTIVE_MAIN, &result);
    assert_false(result.ok);
    assert_true(clock_now_ms() - result.at_ms > 3 * 50);
    assert_true(str_starts(result.text, "200 in "));
}

static bool
crowd_is_known(void *data)
{
    (void)data;
    for (size_t i = 0; i < CROWD; i++) {
        char name[16];
        struct probe_result result;
        (void)snprintf(name, sizeof name, "c%zu", i);
        probe_view(bench.prober, name, EFFECTIVE_MAIN, &result);
        if (result.state == PROBE_UNKNOWN)
            return false;
    }
    return true;
}

/* The server answers only when PROBE_PARALLEL_MAX requests wait, and counts the most at once. */
static void
many_are_probed_side_by_side_within_a_bound(void **state)
{
    (void)state;
    struct probe_desired list[CROWD];
    char names[CROWD][16];
    for (size_t i = 0; i < CROWD; i++) {
        (void)snprintf(names[i], sizeof names[i], "c%zu", i);
        list[i].connector = names[i];
        list[i].document = document("crowd", bench.ca, NULL, NULL);
        list[i].revision = 7;
    }
    struct probe_settings patient = { .interval_ms = 600000, .timeout_ms = 60000 };
    probe_configure(bench.prober, &patient);
    probe_want(bench.prober, list, CROWD);
    assert_true(world_until(bench.world, crowd_is_known, NULL));
    assert_int_equal(command_number("stats", "most"), PROBE_PARALLEL_MAX);
    probe_want(bench.prober, list, CROWD); /* nothing new: nothing is forgotten */
    assert_true(crowd_is_known(NULL));
    for (size_t i = 0; i < CROWD; i++) {
        struct probe_result result;
        probe_view(bench.prober, names[i], EFFECTIVE_MAIN, &result);
        if (!result.ok)
            fail_msg("%s: %s", names[i], result.text);
        json_object_put(list[i].document);
    }
}

static void
a_large_answer_is_not_read_to_its_end(void **state)
{
    (void)state;
    assert_failed(probe_once(document("big", bench.ca, NULL, NULL)), "");
}

static void
some_addresses_are_never_probed(void **state)
{
    (void)state;
    struct json_object *made = json_object_new_object();
    struct json_object *server = json_object_new_object();
    json_add_string(server, "url", "https://169.254.169.254/latest/meta-data");
    json_add(made, "main", server);
    assert_failed(probe_once(made), "not probed");
}

static void
on_changed_edit(void *data, const char *connector, enum effective_server server,
                const struct probe_result *result)
{
    (void)connector, (void)server, (void)result;
    unsigned *calls = data;
    (*calls)++;
    probe_want(bench.prober, NULL, 0);
}

static bool
was_called(void *data)
{
    const unsigned *calls = data;
    return *calls > 0;
}

static void
a_receiver_may_change_the_list(void **state)
{
    (void)state;
    unsigned calls = 0;
    struct probe_settings settings = { .interval_ms = 30000, .timeout_ms = 10000 };
    probe_close(bench.prober);
    bench.prober = probe_open(bench.world->loop, &settings, 0, on_changed_edit, &calls);
    struct json_object *made = document("good", bench.ca, NULL, NULL);
    json_add(made, "alternate", server_json("s204", "/", bench.ca, NULL));
    want(made);
    assert_true(world_until(bench.world, was_called, &calls));
    assert_int_equal(calls, 1);
    assert_int_equal(state_of(EFFECTIVE_MAIN), PROBE_UNKNOWN);
}

static bool
is_asked(void *data)
{
    uint64_t *before = data;
    return command_number("stats", "requests") > *before;
}

static void
closing_with_probes_under_way_is_clean(void **state)
{
    (void)state;
    uint64_t before = command_number("stats", "requests");
    want(document("silent", bench.ca, NULL, "{\"timeout_ms\":60000,\"interval_ms\":60000}"));
    assert_true(world_until(bench.world, is_asked, &before));
    /* A change of the server ends the probe of the old one; then probe_close() ends this one. */
    before = command_number("stats", "requests");
    want(document("silent", bench.ca, NULL,
                  "{\"path\":\"/other\",\"timeout_ms\":60000,"
                  "\"interval_ms\":60000}"));
    assert_true(world_until(bench.world, is_asked, &before));
    assert_int_equal(bench.change_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_prober, close_prober)

int
main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(a_good_server_is_good),
        TEST(each_cause_is_named),
        TEST(the_step_that_failed_is_told),
        TEST(the_certificates_end_and_a_version_are_kept),
        TEST(every_target_connector_is_looked_for),
        TEST(no_interval_is_longer_than_allowed),
        TEST(silence_ends_at_the_timeout),
        TEST(the_status_decides),
        TEST(trust_is_what_the_connector_says),
        TEST(main_and_alternate_are_both_probed),
        TEST(what_happens_to_a_server_is_seen),
        TEST(an_old_result_is_stale_and_not_good),
        TEST(many_are_probed_side_by_side_within_a_bound),
        TEST(a_large_answer_is_not_read_to_its_end),
        TEST(some_addresses_are_never_probed),
        TEST(a_receiver_may_change_the_list),
        TEST(closing_with_probes_under_way_is_clean),
    };
    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
