/* A real gate: asked by HTTP, killed and started again, without its state, without its disk. */
#include "activation_world.h"

#include <signal.h>
#include <sys/wait.h>

#include "controller/activation/sign.h"
#include "controller/daemon/gate.h"
#include "controller/loop/fetch.h"
#include "tests/unit/raw_client.h"

#define KEY_TEXT "0123456789abcdef0123456789abcdef"
#define CLUSTER  "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"

struct bench {
    struct world *world;
    struct fetch_client *client;
    char *state; /* path */
    char *key;   /* "k1=PATH" */
    struct sign_key keys[2];
    pid_t pid;
    char address[64];
    /* the newest answer */
    unsigned answered;
    int status;
    char slug[ERR_SLUG_SIZE];
    char epoch[EPOCH_TEXT_SIZE]; /* that was proved; "" for no proof */
    char signature[96];
};

static struct bench bench;

static struct gate_options
options(const char *state, const char *const *key)
{
    return (struct gate_options){
        .state = state, .listen = "127.0.0.1:0", .keys = key, .key_count = 1
    };
}

static int
be_gate(const char *state, const char *key)
{
    struct gate_options all = options(state, &key);
    struct err err;
    return gate_run(&all, &err) == ERR_NONE ? 0 : 1;
}

/* This very program once more, since we have threads; its log says where it listens. */
static void
start_gate(void)
{
    int log[2];
    char line[1024];
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    bench.pid = fork();
    if (bench.pid == 0) {
        char *words[] = { "test_gate", bench.state, bench.key, NULL };
        (void)dup2(log[1], 2);
        (void)execv("/proc/self/exe", words);
        _exit(127);
    }
    (void)close(log[1]);
    FILE *from = fdopen(log[0], "r");
    bench.address[0] = '\0';
    while (bench.address[0] == '\0' && fgets(line, sizeof line, from) != NULL) {
        const char *at = strstr(line, "gate.ready");
        at = at == NULL ? NULL : strstr(at, "address=");
        if (at != NULL)
            (void)snprintf(bench.address, sizeof bench.address, "%.*s", (int)strcspn(at + 8, " "),
                           at + 8);
    }
    (void)fclose(from);
    assert_true(bench.address[0] != '\0');
}

static int
stop_gate(int number)
{
    int status = 0;
    assert_int_equal(kill(bench.pid, number), 0);
    assert_int_equal(waitpid(bench.pid, &status, 0), bench.pid);
    return status;
}

static int
open_bench(void **state)
{
    (void)state;
    struct err err;
    struct fetch_trust trust = { .plain_http = true };
    bench.world = world_new();
    bench.state = world_path(bench.world, "gate.json");
    world_put(bench.world, "key", KEY_TEXT "\n", 0600);
    bench.key = str_printf("k1=%s/key", bench.world->folder);
    assert_int_equal(sign_key_make("k1", KEY_TEXT, 32, &bench.keys[0], &err), ERR_NONE);
    assert_int_equal(sign_key_make("k1", KEY_TEXT "x", 33, &bench.keys[1], &err), ERR_NONE);
    assert_int_equal(fetch_client_open(bench.world->loop, &trust, &bench.client, &err), ERR_NONE);
    return 0;
}

static int
close_bench(void **state)
{
    (void)state;
    fetch_client_close(bench.client);
    free(bench.state);
    free(bench.key);
    world_free(bench.world);
    return 0;
}

static void
on_done(void *data, const struct fetch_reply *reply, const struct err *err)
{
    (void)data;
    struct err problem = { 0 };
    struct epoch seen;
    bench.answered++;
    if (reply == NULL)
        fail_msg("%s", err->text);
    bench.status = reply->status;
    (void)!fetch_reply_err(reply, &problem);
    (void)snprintf(bench.slug, sizeof bench.slug, "%s", problem.slug);
    bench.epoch[0] = '\0';
    if (sign_proof_check(&bench.keys[0], bench.signature, fetch_reply_header(reply, "Baton-Fenced"),
                         &seen))
        (void)epoch_text(&seen, bench.epoch);
}

struct question {
    const char *epoch;
    const char *delivery;       /* NULL: a probe */
    const char *cluster;        /* NULL: ours */
    const struct sign_key *key; /* NULL: ours */
    bool unsaid;                /* X-Original-Method is missing */
    int64_t age_s;
};

static void
ask(struct question question)
{
    struct fetch_header headers[SIGN_HEADERS_MAX + 2];
    struct sign_headers said;
    struct sign_message message = {
        .method = "POST",
        .target = "/baton?a=b",
        .claim = { .cluster = question.cluster == NULL ? CLUSTER : question.cluster,
                   .node = "west-1",
                   .delivery = question.delivery },
        .now_s = clock_wall_ms() / 1000 - question.age_s,
    };
    assert_true(epoch_parse(question.epoch, &message.claim.epoch));
    sign_headers(&message, question.key == NULL ? &bench.keys[0] : question.key, &said);
    size_t count = 0;
    for (size_t i = 0; i < said.count; i++)
        headers[count++] = (struct fetch_header){ said.list[i].name, said.list[i].value };
    headers[count++] = (struct fetch_header){ "X-Original-URI", "/baton?a=b" };
    if (!question.unsaid)
        headers[count++] = (struct fetch_header){ "X-Original-Method", "POST" };
    const char *signature = sign_headers_get(&said, "Signature");
    (void)snprintf(bench.signature, sizeof bench.signature, "%s",
                   signature == NULL ? "" : signature);
    CLEANUP(freep) char *url = str_printf("http://%s/check", bench.address);
    struct fetch_request request = { .url = url, .headers = headers, .header_count = count };
    unsigned before = bench.answered;
    (void)fetch_start(bench.client, &request, on_done, NULL);
    WAIT_UNTIL(bench.world->loop, bench.answered > before);
    sign_headers_done(&said);
}

static void
expect(struct question question, int status, const char *slug, const char *proved)
{
    ask(question);
    if (bench.status != status || strcmp(bench.slug, slug) != 0 || strcmp(bench.epoch, proved) != 0)
        fail_msg("epoch %s: %d '%s' proves '%s', wanted %d '%s' '%s'", question.epoch, bench.status,
                 bench.slug, bench.epoch, status, slug, proved);
}

static bool
holds(const char *epoch)
{
    CLEANUP(freep) char *text = str_printf("\"epoch\":\"%s\"", epoch);
    return world_has(bench.world, "gate.json", text);
}

static void
a_gate_without_its_state_does_not_start(void **state)
{
    (void)state;
    struct gate_options all = options(bench.state, (const char *const *)&bench.key);
    struct err err;
    assert_int_equal(gate_run(&all, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, bench.state));
    assert_non_null(strstr(err.mend, "baton gate init"));
    world_put(bench.world, "gate.json", "{\"cluster\":\"x\",\"number\":7}", 0600);
    assert_int_equal(gate_run(&all, &err), ERR_INVALID);
    assert_non_null(strstr(err.mend, "--epoch"));
    assert_int_equal(gate_init(bench.state, CLUSTER, NULL, &err), ERR_CONFLICT);
    assert_int_equal(unlink(bench.state), 0);
    assert_int_equal(gate_init(bench.state, CLUSTER, "7", &err), ERR_INVALID);
    assert_int_equal(gate_init(bench.state, "", NULL, &err), ERR_INVALID);
    assert_int_equal(gate_init(bench.state, CLUSTER, "7/west-1", &err), ERR_NONE);
    assert_true(holds("7/west-1"));
    all.listen = "0.0.0.0:0";
    assert_int_equal(gate_run(&all, &err), ERR_INVALID);
    assert_non_null(strstr(err.mend, "--cert"));
    all = options(bench.state, (const char *const *)&bench.key);
    all.key_count = 0;
    assert_int_equal(gate_run(&all, &err), ERR_INVALID);
    assert_int_equal(unlink(bench.state), 0);
}

/* Two primaries that were forced, one gate: whatever the order, the earlier one is out for good. */
static void
only_the_later_of_two_primaries_gets_past(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(gate_init(bench.state, CLUSTER, NULL, &err), ERR_NONE);
    start_gate();
    /* who only asks raises nothing, and there is nothing to prove yet */
    expect((struct question){ .epoch = "9/east-1" }, 204, "", "");
    assert_true(holds("-"));
    expect((struct question){ .epoch = "7/east-1", .delivery = "d1" }, 204, "", "7/east-1");
    assert_true(holds("7/east-1"));
    /* west-1 was forced under the same number, and later under another */
    expect((struct question){ .epoch = "7/west-1", .delivery = "d2" }, 204, "", "7/west-1");
    expect((struct question){ .epoch = "7/east-1", .delivery = "d1" }, 403, "stale_epoch",
           "7/west-1");
    expect((struct question){ .epoch = "8/west-1", .delivery = "d3" }, 204, "", "8/west-1");
    expect((struct question){ .epoch = "7/west-1", .delivery = "d2" }, 403, "stale_epoch",
           "8/west-1");
    expect((struct question){ .epoch = "7/west-1" }, 403, "stale_epoch", "8/west-1");
    /* the gate dies without a word, and has forgotten nothing */
    (void)stop_gate(SIGKILL);
    start_gate();
    expect((struct question){ .epoch = "7/east-1", .delivery = "d4" }, 403, "stale_epoch",
           "8/west-1");
    expect((struct question){ .epoch = "8/west-1", .delivery = "d3" }, 204, "", "8/west-1");
    struct gate_options all = options(bench.state, (const char *const *)&bench.key);
    assert_int_equal(gate_run(&all, &err), ERR_CONFLICT); /* one gate for one state */
    assert_int_equal(stop_gate(SIGTERM), 0);
    assert_int_equal(unlink(bench.state), 0);
}

static void
nobody_else_gets_past(void **state)
{
    (void)state;
    struct err err;
    struct sign_key none = { 0 };
    assert_int_equal(gate_init(bench.state, CLUSTER, "7/west-1", &err), ERR_NONE);
    start_gate();
    expect((struct question){ .epoch = "9/west-1", .delivery = "d", .key = &none }, 401,
           "signature_missing", "");
    expect((struct question){ .epoch = "9/west-1", .delivery = "d", .key = &bench.keys[1] }, 401,
           "signature_bad", "");
    expect((struct question){ .epoch = "9/west-1", .delivery = "d", .age_s = 400 }, 401,
           "signature_old", "");
    expect((struct question){ .epoch = "9/west-1", .delivery = "d", .age_s = -400 }, 401,
           "signature_old", "");
    expect((struct question){ .epoch = "9/west-1", .delivery = "d", .cluster = "another" }, 403,
           "other_cluster", "");
    expect((struct question){ .epoch = "9/west-1", .delivery = "d", .unsaid = true }, 400,
           "gate_setup", "");
    assert_true(holds("7/west-1"));
    /* what cannot be kept is not let past: the folder is away */
    CLEANUP(freep) char *away = str_printf("%s.away", bench.world->folder);
    assert_int_equal(rename(bench.world->folder, away), 0);
    expect((struct question){ .epoch = "9/west-1", .delivery = "d" }, 503, "gate_state", "");
    expect((struct question){ .epoch = "7/west-1", .delivery = "d" }, 204, "", "7/west-1");
    assert_int_equal(rename(away, bench.world->folder), 0);
    expect((struct question){ .epoch = "9/west-1", .delivery = "d" }, 204, "", "9/west-1");
    assert_true(holds("9/west-1"));
    assert_int_equal(stop_gate(SIGTERM), 0);
    assert_int_equal(unlink(bench.state), 0);
}

int
main(int count, char **words)
{
    if (count == 3)
        return be_gate(words[1], words[2]);
    (void)unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gate_without_its_state_does_not_start),
        cmocka_unit_test(only_the_later_of_two_primaries_gets_past),
        cmocka_unit_test(nobody_else_gets_past),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
