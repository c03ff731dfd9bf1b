/* Driver dns: what it says, and on a real name server (knot) with real dig and nsupdate. */
#include "activation_world.h"

#include <signal.h>

#include "controller/activation/action.h"
#include "controller/activation/dns.h"
#include "controller/loop/child.h"

#define PORT       5453
#define PATIENT_MS 20000

/* ---- what it says ---- */

#define ASKED      ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1\n"
#define MARK(text) "_baton.pam.example.\t30\tIN\tTXT\t\"" text "\"\n"
#define HEAD       "server 127.0.0.1 53\nzone example\n"
#define TAKE(text)                                                                                 \
    "update delete _baton.pam.example. TXT\nupdate add _baton.pam.example. 30 TXT \"" text "\"\n"

static const struct told {
    const char *answer;
    const char *type;
    enum effective_server server;
    bool remove;
    const char *script;
} tells[] = {
    /* nothing there yet */
    { ";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 1\n", "A", EFFECTIVE_MAIN, false,
      HEAD "prereq nxrrset _baton.pam.example. IN TXT\n" TAKE(
          "3:west-1:main") "update delete pam.example. A\nupdate add pam.example. 30 A "
                           "192.0.2.1\nsend\n" },
    /* as it has to be */
    { ASKED MARK("3:west-1:main") "pam.example. 30 IN A 192.0.2.1\n", "A", EFFECTIVE_MAIN, false,
      "" },
    /* a later epoch takes what an earlier one left, and only that */
    { ASKED MARK("2:east-1:main") "pam.example. 30 IN A 192.0.2.1\n", "A", EFFECTIVE_MAIN, false,
      HEAD "prereq yxrrset _baton.pam.example. IN TXT \"2:east-1:main\"\n" TAKE(
          "3:west-1:main") "send\n" },
    /* somebody added another server */
    { ASKED MARK(
          "3:west-1:main") "pam.example. 30 IN A 192.0.2.1\npam.example. 30 IN A 192.0.2.9\n",
      "A", EFFECTIVE_MAIN, false,
      HEAD "prereq yxrrset _baton.pam.example. IN TXT \"3:west-1:main\"\n" TAKE(
          "3:west-1:main") "update delete pam.example. A\nupdate add pam.example. 30 A "
                           "192.0.2.1\nsend\n" },
    { ASKED MARK("3:west-1:main") "pam.example. 30 IN CNAME 192.0.2.1.\n", "CNAME", EFFECTIVE_MAIN,
      false, "" },
    /* given up: the record stays, or goes */
    { ASKED MARK("3:west-1:main") "pam.example. 30 IN A 192.0.2.1\n", "A", EFFECTIVE_NONE, false,
      HEAD "prereq yxrrset _baton.pam.example. IN TXT \"3:west-1:main\"\n" TAKE(
          "3:west-1:none") "send\n" },
    { ASKED MARK("3:west-1:main") "pam.example. 30 IN A 192.0.2.1\n", "A", EFFECTIVE_NONE, true,
      HEAD "prereq yxrrset _baton.pam.example. IN TXT \"3:west-1:main\"\n" TAKE(
          "3:west-1:none") "update delete pam.example. A\nsend\n" },
};

static void
each_answer_has_its_update(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(tells); i++) {
        const struct told *told = &tells[i];
        struct connector_dns options = { .server = "127.0.0.1",
                                         .zone = "example",
                                         .name = "pam.example",
                                         .type = told->type,
                                         .ttl = 30,
                                         .remove = told->remove };
        struct dns_goal goal = { .options = &options,
                                 .server = told->server,
                                 .value = "192.0.2.1",
                                 .epoch = epoch_make(3, "west-1") };
        struct dns_view view;
        struct err err;
        assert_int_equal(dns_read(told->answer, &options, &view, &err), ERR_NONE);
        struct dns_plan plan = dns_plan(&view, &goal);
        assert_string_equal(buf_text(&plan.script), told->script);
        assert_false(plan.refused);
        buf_done(&plan.script);
    }
}

static void
servers_are_taken_apart(void **state)
{
    (void)state;
    static const char *const servers[][3] = {
        { "ns.example", "ns.example", "53" },
        { "ns.example:5353", "ns.example", "5353" },
        { "[2001:db8::1]:5353", "2001:db8::1", "5353" },
        { "[2001:db8::1]", "2001:db8::1", "53" },
        { "2001:db8::1", "2001:db8::1", "53" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(servers); i++) {
        char host[CONNECTOR_HOST_SIZE], port[8];
        dns_server(servers[i][0], host, port);
        assert_string_equal(host, servers[i][1]);
        assert_string_equal(port, servers[i][2]);
    }
}

/* ---- on a real name server ---- */

struct name_server {
    struct world *world;
    struct child *child;
    char address[32];
    bool ended;
};

static void
on_ended(void *data, const struct child_result *result)
{
    struct name_server *server = data;
    if (result->end == CHILD_EXITED && result->status != 0)
        print_message("knotd: %s\n", result->output);
    server->ended = true;
}

static bool
has_ended(void *data)
{
    return ((struct name_server *)data)->ended;
}

static char *
output_of(const char *const argv[], const char *input)
{
    struct child_options options = { .argv = argv,
                                     .input = input,
                                     .input_size = input == NULL ? 0 : strlen(input) };
    char *output = NULL;
    struct err err;
    if (child_run(&options, &output, &err) != ERR_NONE)
        return str_dup("");
    return output;
}

/* Every record of a type at a name, as dig +short prints them; owned by the caller. */
static char *
records(struct name_server *server, const char *name, const char *type)
{
    char *at = str_printf("@%s", server->address);
    const char *const argv[] = { "/usr/bin/dig", "-r",       at,   "-p", "5453", "+tcp",
                                 "+short",       "+tries=1", name, type, NULL };
    char *output = output_of(argv, NULL);
    free(at);
    return output;
}

static void
has(struct name_server *server, const char *name, const char *type, const char *wanted)
{
    char *found = records(server, name, type);
    assert_string_equal(found, wanted);
    free(found);
}

static bool
answers(void *data)
{
    char *found = records(data, "example.", "NS");
    bool there = strcmp(found, "ns.example.\n") == 0;
    free(found);
    return there || has_ended(data);
}

#define SECRET "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="

static void
put_key(struct world *world, const char *file, const char *name, mode_t mode)
{
    char *text =
        str_printf("key \"%s\" {\n algorithm hmac-sha256;\n secret \"%s\";\n};\n", name, SECRET);
    world_put(world, file, text, mode);
    free(text);
}

static int
setup(void **state)
{
    struct name_server *server = mem_zero(1, sizeof *server);
    struct world *world = server->world = world_new();
    unsigned pid = (unsigned)getpid(); /* an address of our own, so the port is free */
    (void)snprintf(server->address, sizeof server->address, "127.%u.%u.%u", 64 + pid / 62500 % 64,
                   pid / 250 % 250, 1 + pid % 250);
    put_key(world, "key", "baton", 0600);
    put_key(world, "wrong", "nobody", 0600);
    put_key(world, "open", "baton", 0644);
    world_put(world, "zone",
              "$TTL 30\n@ IN SOA ns.example. h.example. 1 60 60 60 30\n@ IN NS ns.example.\n"
              "ns IN A 127.0.0.1\nother IN TXT \"x\"\n_baton.taken IN TXT \"theirs\"\n",
              0644);
    char *text = str_printf(
        "server:\n    rundir: %s\n    listen: %s@%d\n    udp-workers: 1\n    tcp-workers: 1\n"
        "    background-workers: 1\ndatabase:\n    storage: %s/db\n"
        "key:\n  - id: baton\n    algorithm: hmac-sha256\n    secret: %s\n"
        "acl:\n  - id: baton\n    key: baton\n    action: update\n"
        "zone:\n  - domain: example.\n    storage: %s\n    file: zone\n    acl: baton\n"
        "    zonefile-sync: -1\n    journal-content: all\n",
        world->folder, server->address, PORT, world->folder, SECRET, world->folder);
    world_put(world, "knot.conf", text, 0600);
    free(text);
    char *journal = world_path(world, "db");
    assert_int_equal(mkdir(journal, 0700), 0);
    free(journal);
    char *path = world_path(world, "knot.conf");
    const char *const argv[] = { "/usr/sbin/knotd", "-c", path, NULL };
    struct child_options options = { .argv = argv };
    struct err err;
    if (child_start(&options, on_ended, server, &server->child, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    free(path);
    assert_true(world_until(world, answers, server));
    assert_false(server->ended);
    *state = server;
    return 0;
}

static int
teardown(void **state)
{
    struct name_server *server = *state;
    child_signal(server->child, SIGKILL);
    assert_true(world_until(server->world, has_ended, server));
    world_free(server->world);
    free(server);
    return 0;
}

struct call {
    unsigned answers;
    enum action_end end;
    bool changed;
    char text[1600];
};

static void
on_done(void *data, const struct action_result *result)
{
    struct call *call = data;
    call->answers++;
    call->end = result->end;
    call->changed = result->changed;
    (void)snprintf(call->text, sizeof call->text, "%s %s", result->text, result->output);
}

static bool
is_answered(void *data)
{
    return ((struct call *)data)->answers > 0;
}

struct wish {
    enum effective_server server;
    uint64_t epoch;
    bool check;
    bool cancel;
    const char *name; /* NULL: "pam.example" */
    const char *key;  /* file; NULL: "key" */
    const char *more;
    const char *place; /* NULL: the server's */
};

static struct call
run(struct name_server *server, const struct wish *wish)
{
    struct call call = { 0 };
    struct connector *connector;
    struct action *action;
    struct err err = { 0 };
    char *json =
        str_printf("{\"driver\":\"dns\",\"server\":\"%s:%d\",\"zone\":\"example\",\"name\":\"%s\","
                   "\"type\":\"A\",\"key_file\":\"%s/%s\",\"alternate\":\"192.0.2.2\"%s}",
                   wish->place == NULL ? server->address : wish->place, PORT,
                   wish->name == NULL ? "pam.example" : wish->name, server->world->folder,
                   wish->key == NULL ? "key" : wish->key, wish->more == NULL ? "" : wish->more);
    struct json_object *document = world_document(json);
    free(json);
    json_add_string(json_get(document, "main"), "url", "https://192.0.2.1:8443/");
    if (connector_read("pam", document, &connector, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    json_object_put(document);
    struct action_order order = {
        .action = &connector->actions[0],
        .epoch = epoch_make(wish->epoch == 0 ? 3 : wish->epoch, "west-1"),
        .timeout_ms = PATIENT_MS,
        .server = wish->server == EFFECTIVE_MAIN ? &connector->main : &connector->alternate,
        .which = wish->server,
        .check = wish->check,
    };
    for (size_t i = 0; i < TEMPLATE_COUNT; i++)
        order.values.text[i] = "";
    if (action_start(server->world->worker, &order, on_done, &call, &action, &err) != ERR_NONE) {
        call.end = ACTION_FAILED;
        (void)snprintf(call.text, sizeof call.text, "%s; %s", err.text, err.mend);
        connector_free(connector);
        return call;
    }
    connector_free(connector); /* nothing of it is needed any more */
    if (wish->cancel)
        action_cancel(action);
    assert_int_equal(call.answers, 0);
    assert_true(world_until(server->world, is_answered, &call));
    return call;
}

static void
expect(struct call call, enum action_end end, const char *part)
{
    if (call.end != end || strstr(call.text, part) == NULL)
        fail_msg("%s: %s", action_end_name(call.end), call.text);
}

/* P3, P2: main, alternate, none; idempotent, and put right when somebody changed it. */
static void
a_record_follows(void **state)
{
    struct name_server *server = *state;
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN }), ACTION_OK,
           "'pam.example' is A 192.0.2.1");
    has(server, "pam.example.", "A", "192.0.2.1\n");
    has(server, "_baton.pam.example.", "TXT", "\"3:west-1:main\"\n");
    assert_false(run(server, &(struct wish){ .server = EFFECTIVE_MAIN }).changed);
    expect(run(server, &(struct wish){ .server = EFFECTIVE_ALTERNATE }), ACTION_OK, "192.0.2.2");
    has(server, "pam.example.", "A", "192.0.2.2\n");

    char *key = world_path(server->world, "key");
    char *script = str_printf("server %s %d\nzone example\nupdate delete pam.example. A\n"
                              "update add pam.example. 30 A 192.0.2.66\nsend\n",
                              server->address, PORT);
    const char *const argv[] = { "/usr/bin/nsupdate", "-v", "-k", key, NULL };
    free(output_of(argv, script));
    free(script);
    free(key);
    has(server, "pam.example.", "A", "192.0.2.66\n");
    struct call call = run(server, &(struct wish){ .server = EFFECTIVE_ALTERNATE, .check = true });
    expect(call, ACTION_OK, "put right: it was '192.0.2.66'");
    assert_true(call.changed);
    has(server, "pam.example.", "A", "192.0.2.2\n");

    expect(run(server, &(struct wish){ .server = EFFECTIVE_NONE }), ACTION_OK, "its record stays");
    has(server, "pam.example.", "A", "192.0.2.2\n");
    expect(run(server,
               &(struct wish){ .server = EFFECTIVE_NONE, .more = ",\"when_none\":\"remove\"" }),
           ACTION_OK, "belongs to no server");
    has(server, "pam.example.", "A", "");
}

/* I10, at the name server: also for one that read before the later epoch wrote. */
static void
a_lower_epoch_is_refused_by_the_name_server(void **state)
{
    struct name_server *server = *state;
    expect(run(server, &(struct wish){ .server = EFFECTIVE_ALTERNATE, .epoch = 7 }), ACTION_OK, "");
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .epoch = 6 }), ACTION_REFUSED,
           "was changed under epoch 7/west-1, ours is 6/west-1");
    /* what epoch 6 would have sent, had it read before */
    struct connector_dns options = {
        .server = server->address, .zone = "example", .name = "pam.example", .type = "A", .ttl = 30
    };
    struct dns_goal goal = { .options = &options,
                             .server = EFFECTIVE_MAIN,
                             .value = "192.0.2.1",
                             .epoch = epoch_make(6, "west-1") };
    struct dns_view view = { .mark = "5:east-1:main", .epoch = epoch_make(5, "east-1") };
    struct dns_plan plan = dns_plan(&view, &goal);
    char *at = strstr(plan.script.data, " 53\n");
    char *script = str_printf("server %s %d%s", server->address, PORT, at + strlen(" 53"));
    char *key = world_path(server->world, "key");
    const char *const argv[] = { "/usr/bin/nsupdate", "-v", "-k", key, NULL };
    char *output = NULL;
    struct err err;
    struct child_options child = { .argv = argv, .input = script, .input_size = strlen(script) };
    assert_int_equal(child_run(&child, &output, &err), ERR_IO);
    assert_non_null(strstr(err.text, "NXRRSET"));
    free(script);
    free(key);
    buf_done(&plan.script);
    assert_int_equal(action_fencing(CONNECTOR_DRIVER_DNS), FENCING_ALWAYS);
    assert_int_equal(action_fencing(CONNECTOR_DRIVER_HAPROXY), FENCING_NEVER);
    has(server, "pam.example.", "A", "192.0.2.2\n");
    has(server, "_baton.pam.example.", "TXT", "\"7:west-1:alternate\"\n");
}

static void
what_is_wrong_is_named_with_its_mend(void **state)
{
    struct name_server *server = *state;
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .key = "none" }), ACTION_FAILED,
           "No such file or directory; make it by 'tsig-keygen NAME'");
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .key = "open" }), ACTION_FAILED,
           "others than its owner may use it (mode 0644); chmod 600");
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .key = "wrong" }), ACTION_FAILED,
           "it does not know the key");
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .name = "taken.example" }),
           ACTION_FAILED, "the TXT record at '_baton.taken.example.' is not Baton's; remove it");
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .place = "127.0.0.255" }),
           ACTION_FAILED, "does not answer; see 'server'");
    expect(run(server, &(struct wish){ .server = EFFECTIVE_MAIN, .cancel = true }),
           ACTION_CANCELLED, "cancelled");
    has(server, "pam.example.", "A", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_update),
        cmocka_unit_test(servers_are_taken_apart),
        cmocka_unit_test_setup_teardown(a_record_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lower_epoch_is_refused_by_the_name_server, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_named_with_its_mend, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
