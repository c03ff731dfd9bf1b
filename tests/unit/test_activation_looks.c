/* What was activated is looked after: the manager, driver haproxy and a real HAProxy. */
#include "haproxy_world.h"

#include "controller/activation/manager.h"

struct node {
    struct proxy *proxy;
    struct spread_target instances[4]; /* that the next want() has */
    size_t instance_count;
    const char *line;        /* that has to stand in HAProxy's answer */
    struct spread_room room; /* that has to be reported */
    struct activation_manager *manager;
    struct json_object *document;
    unsigned ends; /* reports of a try that has ended */
    unsigned repairs;
    enum activation_state state;
    char repair[1024];
    char text[1024];
    /* what is waited for */
    unsigned ends_wanted;
    unsigned repairs_wanted;
    const char *main;
    const char *alternate;
};

static void
on_report(void *data, const struct activation_report *report)
{
    struct node *node = data;
    node->ends++;
    node->state = report->state;
    (void)snprintf(node->text, sizeof node->text, "%s", report->text);
}

static void
on_repaired(void *data, const struct activation_report *report)
{
    struct node *node = data;
    node->repairs++;
    assert_int_equal(report->repair_count, node->repairs);
    assert_true(report->repaired_ms > 0);
    assert_int_equal(report->state, ACTIVATION_OK);
    (void)snprintf(node->repair, sizeof node->repair, "%s", report->repair);
}

static void
want(struct node *node, enum effective_server server, uint64_t number)
{
    struct activation_desired desired = { .connector = "pam",
                                          .server = server,
                                          .epoch = epoch_make(number, "west-1"),
                                          .revision = 7,
                                          .document = node->document,
                                          .instances = node->instances,
                                          .instance_count = node->instance_count,
                                          .settled = true };
    activation_want(node->manager, &desired, 1);
}

static bool
has_ends(void *data)
{
    struct node *node = data;
    return node->ends >= node->ends_wanted;
}

static void
wait_end(struct node *node)
{
    node->ends_wanted = node->ends + 1;
    assert_true(world_until(node->proxy->world, has_ends, node));
}

static bool
has_repairs(void *data)
{
    struct node *node = data;
    return node->repairs >= node->repairs_wanted;
}

static void
wait_repair(struct node *node)
{
    node->repairs_wanted = node->repairs + 1;
    assert_true(world_until(node->proxy->world, has_repairs, node));
}

static bool
stands(void *data)
{
    struct node *node = data;
    char *answer = ask(node->proxy->place, "show servers state pam");
    bool so = strstr(answer, node->main) != NULL && strstr(answer, node->alternate) != NULL;
    free(answer);
    return so;
}

static void
wait_stands(struct node *node, const char *main, const char *alternate)
{
    node->main = main;
    node->alternate = alternate;
    assert_true(world_until(node->proxy->world, stands, node));
}

static int
setup(void **state)
{
    struct node *node = mem_zero(1, sizeof *node);
    void *proxy;
    static const struct activation_settings settings = { .pauses = { .first_ms = 20, .max_ms = 80 },
                                                         .timeout_ms = 20000,
                                                         .check_ms = 20 };
    static const struct activation_self self = { .cluster = "c", .node = "west-1", .site = "west" };
    struct activation_ports ports = { .report = on_report, .repaired = on_repaired, .data = node };
    assert_int_equal(proxy_setup(&proxy), 0);
    node->proxy = proxy;
    node->manager = activation_open(node->proxy->world->loop, node->proxy->world->worker, &self,
                                    &settings, &ports);
    char *json =
        str_printf("{\"driver\":\"haproxy\",\"socket\":\"%s\",\"drain_ms\":0}", node->proxy->place);
    node->document = world_document(json);
    free(json);
    json_add_string(json_get(node->document, "main"), "url", "https://127.0.0.1:8443/");
    json_add_string(json_get(node->document, "alternate"), "url", "https://127.0.0.2:8444/");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    *state = node;
    return 0;
}

static int
teardown(void **state)
{
    struct node *node = *state;
    void *proxy = node->proxy;
    activation_close(node->manager);
    json_object_put(node->document);
    free(node);
    return proxy_teardown(&proxy);
}

static void
use_main(struct node *node)
{
    want(node, EFFECTIVE_MAIN, 3);
    wait_end(node);
    assert_int_equal(node->state, ACTIVATION_OK);
    says(node->proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
}

/* P3, by hand at HAProxy instead of by the flag: it does not stay. */
static void
what_somebody_changed_is_put_right(void **state)
{
    struct node *node = *state;
    use_main(node);
    tell(node->proxy, "set server pam/main state maint;set server pam/alternate state ready");
    wait_repair(node);
    assert_string_equal(node->repair,
                        "haproxy: backend 'pam' uses 'main', 127.0.0.1 port 8443; put "
                        "right: alternate was ready, main was in maint");
    says(node->proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
    assert_int_equal(node->ends, 1); /* no new activation */
    struct activation_report report;
    assert_true(activation_view(node->manager, "pam", &report));
    assert_int_equal(report.repair_count, 1);
    assert_true(activation_all_settled(node->manager));
}

static void
a_restarted_haproxy_works_again(void **state)
{
    struct node *node = *state;
    use_main(node);
    proxy_stop(node->proxy);
    wait_end(node);
    assert_int_equal(node->state, ACTIVATION_FAILED); /* and so alarmed */
    assert_non_null(strstr(node->text, "haproxy: HAProxy: connect to"));
    proxy_start(node->proxy);
    wait_stands(node, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
    while (node->state != ACTIVATION_OK)
        wait_end(node);
}

/* P2: given up stays given up; and a HAProxy that is gone gives traffic to nobody. */
static void
what_was_given_up_is_looked_after(void **state)
{
    struct node *node = *state;
    use_main(node);
    want(node, EFFECTIVE_NONE, 3);
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    wait_end(node);
    assert_int_equal(node->state, ACTIVATION_OK);
    tell(node->proxy, "set server pam/main state ready");
    wait_repair(node);
    says(node->proxy, "main 127.0.0.1 0 5 ", "alternate 127.0.0.1 0 5 ");
    proxy_stop(node->proxy);
    proxy_start(node->proxy);
    tell(node->proxy, "set server pam/alternate state ready");
    wait_repair(node);
    assert_int_equal(node->ends, 2);
}

static bool
has_ticked(void *data)
{
    unsigned *ticks = data;
    return (*ticks)++ >= 20;
}

/* Another node has acted since, on a HAProxy that both use: nothing of it is undone. */
static void
what_a_later_epoch_did_is_left_alone(void **state)
{
    struct node *node = *state;
    use_main(node);
    want(node, EFFECTIVE_NONE, 3);
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    wait_end(node);
    tell(node->proxy, "experimental-mode on;set var proc.baton_pam str(4:east-1:main:1:127.0.0.1);"
                      "set server pam/main state ready");
    struct activation_report report;
    unsigned ticks = 0; /* ten times as long as the pause between two looks */
    assert_true(world_until(node->proxy->world, has_ticked, &ticks));
    assert_true(activation_view(node->manager, "pam", &report));
    assert_int_equal(report.state, ACTIVATION_OK);
    says(node->proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
    assert_int_equal(node->repairs, 0);
    assert_true(activation_all_settled(node->manager));
}

static struct spread_target
instance_at(const char *text, bool takes)
{
    struct spread_target target = { .takes = takes };
    assert_null(spread_address_read(text, &target.at));
    return target;
}

static bool
has_line(void *data)
{
    struct node *node = data;
    char *answer = ask(node->proxy->place, "show servers state pam");
    bool has = strstr(answer, node->line) != NULL;
    free(answer);
    return has;
}

static void
wait_line(struct node *node, const char *line)
{
    node->line = line;
    if (!world_until(node->proxy->world, has_line, node))
        fail_msg("HAProxy never said '%s'", line);
}

static bool
has_room(void *data)
{
    struct node *node = data;
    struct activation_report report;
    assert_true(activation_view(node->manager, "pam", &report));
    return report.room.takers == node->room.takers && report.room.places == node->room.places;
}

static void
wait_room(struct node *node, size_t takers, size_t places)
{
    node->room = (struct spread_room){ .takers = takers, .places = places };
    if (!world_until(node->proxy->world, has_room, node))
        fail_msg("it was never told that %zu want %zu places", takers, places);
}

/* A1, A10: at once, without a new activation, and no repair; but who changes it by hand is one. */
static void
instances_come_and_go(void **state)
{
    struct node *node = *state;
    static const struct activation_settings seldom = { .pauses = { .first_ms = 20, .max_ms = 80 },
                                                       .timeout_ms = 20000,
                                                       .check_ms = 3600000 };
    static const struct activation_settings often = { .pauses = { .first_ms = 20, .max_ms = 80 },
                                                      .timeout_ms = 20000,
                                                      .check_ms = 20 };
    activation_configure(node->manager, &seldom);
    node->instances[0] = instance_at("127.0.0.3:8001", true);
    node->instance_count = 1;
    use_main(node);
    wait_line(node, " instance1 127.0.0.3 2 4 ");
    node->instances[1] = instance_at("[::1]:8002", true);
    node->instance_count = 2;
    want(node, EFFECTIVE_MAIN, 3);
    wait_line(node, " instance2 ::1 2 4 ");
    node->instances[0].takes = false;
    want(node, EFFECTIVE_MAIN, 3);
    wait_line(node, " instance1 127.0.0.3 0 5 ");
    node->instances[0].takes = true;
    want(node, EFFECTIVE_MAIN, 3);
    wait_line(node, " instance1 127.0.0.3 2 4 ");
    assert_int_equal(node->ends, 1);
    assert_int_equal(node->repairs, 0);

    activation_configure(node->manager, &often);
    tell(node->proxy, "set server pam/instance2 state maint");
    wait_repair(node);
    assert_non_null(strstr(node->repair, "put right: 1 place of an instance was different"));
    wait_line(node, " instance2 ::1 2 4 ");
    proxy_stop(node->proxy);
    wait_end(node);
    proxy_start(node->proxy);
    wait_line(node, " instance1 127.0.0.3 2 4 ");
    wait_line(node, " instance2 ::1 2 4 ");

    node->instances[2] = instance_at("127.0.0.3:8003", true);
    node->instances[3] = instance_at("127.0.0.3:8004", true);
    node->instance_count = 4; /* one more than there are places */
    want(node, EFFECTIVE_MAIN, 3);
    wait_line(node, " instance3 127.0.0.3 2 4 ");
    wait_room(node, 4, 3);
    unsigned repairs = node->repairs;
    node->instances[1].takes = false;
    want(node, EFFECTIVE_MAIN, 3);
    wait_line(node, " instance2 127.0.0.3 2 4 "); /* who waited has it */
    wait_room(node, 0, 0);
    assert_int_equal(node->repairs, repairs);
    node->instances[1].takes = true;
    want(node, EFFECTIVE_MAIN, 3);
    wait_room(node, 4, 3);
    want(node, EFFECTIVE_NONE, 3); /* P2 */
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    wait_room(node, 0, 0);
    wait_line(node, " instance3 127.0.0.3 0 5 ");
    wait_line(node, " instance1 127.0.0.3 0 5 ");
}

/* I11: a closed gate ends a look, too. */
static void
a_fenced_node_repairs_nothing(void **state)
{
    struct node *node = *state;
    use_main(node);
    activation_gate(node->manager, ACTIVATION_GATE_CLOSED);
    tell(node->proxy, "set server pam/main state maint");
    for (unsigned i = 0; i < 5; i++)
        (void)ev_run(node->proxy->world->loop, EVRUN_NOWAIT);
    says(node->proxy, "main 127.0.0.1 0 5 ", "alternate 127.0.0.1 0 5 ");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    wait_repair(node);
    says(node->proxy, "main 127.0.0.1 2 4 ", "alternate 127.0.0.1 0 5 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_somebody_changed_is_put_right, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restarted_haproxy_works_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_given_up_is_looked_after, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_later_epoch_did_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fenced_node_repairs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(instances_come_and_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
