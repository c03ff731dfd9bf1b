/* Stories of one node's activations, with real files, real programs and the real loop. */
#include "activation_world.h"

#include <errno.h>
#include <signal.h>

#include "controller/activation/manager.h"

#define REPORTS_MAX 256

/* One report, as it would stand in the database. */
struct entry {
    char action_id[ACTIVATION_ID_SIZE];
    enum activation_state state;
    enum effective_server server;
    struct epoch epoch;
    unsigned tries;
    char driver[64];
    char text[512];
    char output[2048];
    bool intent;
};

struct node {
    struct world *world;
    struct activation_manager *manager;
    struct json_object *document;
    struct entry entries[REPORTS_MAX];
    size_t count;
    enum { STORE_NOW, STORE_FAILS, STORE_NEVER } store;
    size_t want; /* how many ends are waited for */
};

static void
note(struct node *node, const struct activation_report *report, bool intent)
{
    assert_true(node->count < REPORTS_MAX);
    struct entry *entry = &node->entries[node->count++];
    *entry = (struct entry){ .state = report->state,
                             .server = report->change.server,
                             .epoch = report->change.epoch,
                             .tries = report->tries,
                             .intent = intent };
    assert_true(str_copy(entry->action_id, sizeof entry->action_id, report->action_id));
    (void)snprintf(entry->text, sizeof entry->text, "%s", report->text);
    (void)snprintf(entry->output, sizeof entry->output, "%s", report->output);
    assert_string_equal(report->connector, "pam");
    assert_int_equal(report->state == ACTIVATION_RUNNING, intent);
    assert_int_equal(report->ended_ms == 0, intent);
    (void)snprintf(entry->driver, sizeof entry->driver, "%s", report->driver);
}

static void
on_intent(void *data, const struct activation_report *report)
{
    struct node *node = data;
    note(node, report, true);
    if (node->store == STORE_NEVER)
        return;
    char action_id[ACTIVATION_ID_SIZE];
    assert_true(str_copy(action_id, sizeof action_id, report->action_id));
    activation_stored(node->manager, action_id, node->store == STORE_NOW);
}

static void
on_report(void *data, const struct activation_report *report)
{
    note(data, report, false);
}

static const struct activation_settings settings = { .pauses = { .first_ms = 20, .max_ms = 80 },
                                                     .timeout_ms = 10000 };

static void
node_start(struct node *node)
{
    struct activation_ports ports = { .store_intent = on_intent,
                                      .report = on_report,
                                      .data = node };
    struct activation_self self = { .cluster = "prod-id", .node = "west-1", .site = "west" };
    node->manager =
        activation_open(node->world->loop, node->world->worker, &self, &settings, &ports);
}

static void
node_stop(struct node *node)
{
    activation_close(node->manager);
    node->manager = NULL;
}

static void
node_configure(struct node *node, const char *actions)
{
    json_object_put(node->document);
    node->document = world_document(actions);
}

static void
node_want(struct node *node, enum effective_server server, uint64_t number, uint64_t revision)
{
    struct activation_desired desired = { .connector = "pam",
                                          .server = server,
                                          .epoch = epoch_make(number, "west-1"),
                                          .revision = revision,
                                          .document = node->document };
    activation_want(node->manager, &desired, 1);
}

static size_t
ends(const struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->count; i++)
        count += !node->entries[i].intent;
    return count;
}

static const struct entry *
last(const struct node *node)
{
    assert_true(node->count > 0);
    return &node->entries[node->count - 1];
}

static bool
has_ends(void *data)
{
    struct node *node = data;
    return ends(node) >= node->want;
}

static void
wait_ends(struct node *node, size_t count)
{
    node->want = count;
    assert_true(world_until(node->world, has_ends, node));
    assert_int_equal(ends(node), count);
}

static bool
is_settled(void *data)
{
    struct node *node = data;
    return activation_all_settled(node->manager);
}

/* The loop has done all that it can without new events. */
static void
settle(struct node *node)
{
    assert_true(world_until(node->world, is_settled, node));
}

static bool
is_there(void *data)
{
    return file_exists(data);
}

static void
wait_file(struct node *node, const char *name)
{
    char *path = world_path(node->world, name);
    assert_true(world_until(node->world, is_there, path));
    free(path);
}

static bool
next_turn(void *data)
{
    unsigned *turns = data;
    return (*turns)++ >= 3;
}

/* Some turns of the loop, for what must not happen. */
static void
turn(struct node *node)
{
    unsigned turns = 0;
    assert_true(world_until(node->world, next_turn, &turns));
}

/* Scripts get the folder as $1 and log what they see. */
static char *
actions_of(struct node *node, const char *script)
{
    char *text = str_printf(
        "#!/bin/sh\necho \"$BATON_KIND $BATON_SERVER $BATON_EPOCH $BATON_HOST\" >>\"$1/log\"\n%s\n",
        script);
    world_put(node->world, "script", text, 0755);
    free(text);
    return str_printf("{\"driver\":\"file\",\"path\":\"%s/out\",\"format\":\"template\","
                      "\"template\":\"${server} ${epoch}\\n\"},"
                      "{\"driver\":\"exec\",\"command\":[\"%s/script\",\"%s\"]}",
                      node->world->folder, node->world->folder, node->world->folder);
}

static void
configure_script(struct node *node, const char *script)
{
    char *actions = actions_of(node, script);
    node_configure(node, actions);
    free(actions);
}

static void
assert_log(struct node *node, const char *expect)
{
    char *log = world_get(node->world, "log");
    assert_string_equal(log, expect);
    free(log);
}

static void
a_promotion_activates_and_a_demotion_undoes(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    node_want(node, EFFECTIVE_NONE, 1, 40);
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    settle(node);
    assert_int_equal(node->count, 0);

    /* Promoted: epoch 2 is ours. */
    node_want(node, EFFECTIVE_ALTERNATE, 2, 40);
    turn(node);
    assert_int_equal(node->count, 0); /* wanted, but the gate does not let it through */
    struct activation_report report;
    assert_true(activation_view(node->manager, "pam", &report));
    assert_string_equal(report.blocked, "this node is not the primary");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    wait_ends(node, 1);
    assert_int_equal(node->count, 2); /* the intent came first */
    assert_true(node->entries[0].intent);
    assert_string_equal(node->entries[0].driver, "file+exec");
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:alternate:40:1");
    assert_non_null(strstr(last(node)->output, "file: wrote 12 bytes to '"));
    assert_non_null(strstr(last(node)->output, "exec: exit code 0\n"));
    assert_true(world_has(node->world, "out", "alternate 2\n"));
    settle(node);

    /* The same wish again runs nothing. */
    node_want(node, EFFECTIVE_ALTERNATE, 2, 40);
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    turn(node);
    assert_int_equal(node->count, 2);

    /* west-2 is the primary of epoch 3; we undo our own epoch 2, last driver first. */
    node_want(node, EFFECTIVE_NONE, 3, 41);
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    wait_ends(node, 2);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:none:40:2");
    assert_true(str_starts(last(node)->output, "exec: exit code 0\nfile: wrote"));
    assert_true(world_has(node->world, "out", "none 2\n"));
    assert_log(node, "activate alternate 2 tcf2.west\ndeactivate none 2 \n");
    settle(node);
}

/* P3: ticking the box makes the alternate active at once, un-ticking goes back. */
static void
a_change_of_the_choice_runs_at_once(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 1);
    node_want(node, EFFECTIVE_ALTERNATE, 2, 40);
    wait_ends(node, 2);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 3);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:main:40:3"); /* not the id of the
                                                                             first: it is new */
    node_want(node, EFFECTIVE_MAIN, 2, 44);
    wait_ends(node, 4);
    node_want(node, EFFECTIVE_MAIN, 5, 44);
    wait_ends(node, 5);
    assert_log(node, "activate main 2 tcf1.east\nactivate alternate 2 tcf2.west\n"
                     "activate main 2 tcf1.east\nactivate main 2 tcf1.east\n"
                     "activate main 5 tcf1.east\n");
}

static void
a_failure_is_tried_again_until_it_succeeds(void **state)
{
    struct node *node = *state;
    configure_script(node, "[ -e \"$1/allowed\" ] || { echo no vip; exit 4; }");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    node->want = 3;
    assert_true(world_until(node->world, has_ends, node));
    for (size_t i = 0; i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        assert_string_equal(entry->action_id, "pam:2:west-1:main:40:1"); /* one key, many tries */
        assert_int_equal(entry->tries, i / 2 + 1);
        if (!entry->intent) {
            assert_int_equal(entry->state, ACTIVATION_FAILED);
            assert_string_equal(entry->text, "exec: exit code 4: no vip");
            assert_non_null(strstr(entry->output, "no vip\n"));
        }
        if (i > 1) /* what has succeeded is not done again */
            assert_null(strstr(entry->output, "file:"));
    }
    struct activation_report report;
    assert_true(activation_view(node->manager, "pam", &report));
    assert_true(report.state == ACTIVATION_RUNNING || report.retry_at_ms > 0);
    world_put(node->world, "allowed", "", 0600);
    settle(node);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
}

/* An activation stops at the first failure: nothing is built on what is not there. */
static void
a_failed_driver_stops_an_activation_but_not_a_deactivation(void **state)
{
    struct node *node = *state;
    char *actions = str_printf("{\"driver\":\"file\",\"path\":\"%s/first\",\"format\":\"env\"},"
                               "{\"driver\":\"file\",\"path\":\"%s/no/such\",\"format\":\"env\"},"
                               "{\"driver\":\"file\",\"path\":\"%s/third\",\"format\":\"env\"}",
                               node->world->folder, node->world->folder, node->world->folder);
    node_configure(node, actions);
    free(actions);
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    node->want = 2;
    assert_true(world_until(node->world, has_ends, node));
    assert_true(world_has(node->world, "first", "BATON_SERVER=\"main\""));
    assert_false(world_has(node->world, "third", "BATON"));

    node_want(node, EFFECTIVE_NONE, 2, 40);
    node->want = ends(node) + 3;
    assert_true(world_until(node->world, has_ends, node));
    assert_int_equal(last(node)->state, ACTIVATION_FAILED);
    assert_true(world_has(node->world, "first", "BATON_SERVER=\"none\""));
    assert_true(world_has(node->world, "third", "BATON_SERVER=\"none\""));
}

static void
a_newer_wish_ends_what_runs(void **state)
{
    struct node *node = *state;
    configure_script(node, "[ $BATON_SERVER = main ] || exit 0; mkfifo \"$1/fifo\"; "
                           "echo >\"$1/begun\"; read x <\"$1/fifo\"; echo late >>\"$1/log\"");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_file(node, "begun");
    node_want(node, EFFECTIVE_MAIN, 2, 40); /* the same: it goes on */
    turn(node);
    assert_int_equal(ends(node), 0);
    node_want(node, EFFECTIVE_ALTERNATE, 2, 40);
    wait_ends(node, 2);
    assert_int_equal(node->entries[1].state, ACTIVATION_CANCELLED);
    assert_string_equal(node->entries[1].text, "superseded");
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:alternate:40:2");
    assert_log(node, "activate main 2 tcf1.east\nactivate alternate 2 tcf2.west\n");
    assert_true(world_has(node->world, "out", "alternate 2\n"));
}

static bool
is_gone(void *data)
{
    const pid_t *pid = data;
    return kill(*pid, 0) != 0 && errno == ESRCH;
}

static void
a_fence_kills_what_runs_and_starts_nothing(void **state)
{
    struct node *node = *state;
    configure_script(node, "trap '' TERM; mkfifo \"$1/fifo\"; echo $$ >\"$1/pid.new\"; "
                           "mv \"$1/pid.new\" \"$1/pid\"; read x <\"$1/fifo\"");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_file(node, "pid");
    char *text = world_get(node->world, "pid");
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    free(text);
    assert_int_equal(kill(pid, 0), 0);

    activation_gate(node->manager, ACTIVATION_GATE_CLOSED);
    assert_true(world_until(node->world, is_gone, &pid));
    wait_ends(node, 1);
    assert_int_equal(last(node)->state, ACTIVATION_CANCELLED);
    assert_string_equal(last(node)->text, "this node is fenced");

    /* Whatever is wanted now: nothing starts, not even a deactivation. */
    size_t count = node->count;
    node_want(node, EFFECTIVE_ALTERNATE, 9, 50);
    turn(node);
    node_want(node, EFFECTIVE_NONE, 9, 50);
    turn(node);
    assert_int_equal(node->count, count);
    struct activation_report report;
    assert_true(activation_view(node->manager, "pam", &report));
    assert_string_equal(report.blocked, "this node is fenced");

    /* Standby again: what was perhaps done is undone. */
    world_put(node->world, "script", "#!/bin/sh\nexit 0\n", 0755);
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    wait_ends(node, 2);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_int_equal(last(node)->server, EFFECTIVE_NONE);
    assert_int_equal(last(node)->epoch.number, 2);
}

static void
a_fence_while_the_intent_is_stored_starts_nothing(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    node->store = STORE_NEVER;
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    turn(node);
    assert_int_equal(node->count, 1);
    activation_gate(node->manager, ACTIVATION_GATE_CLOSED);
    activation_stored(node->manager, node->entries[0].action_id, true);
    assert_int_equal(last(node)->state, ACTIVATION_CANCELLED);
    activation_stored(node->manager, node->entries[0].action_id, true); /* twice, and unknown */
    activation_stored(node->manager, "pam:9:west-1:main:40:1", true);
    turn(node);
    assert_int_equal(node->count, 2);
    assert_log(node, "");

    node->store = STORE_NOW;
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    wait_ends(node, 2);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:main:40:1");
}

static void
no_effect_without_a_stored_intent(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    node->store = STORE_FAILS;
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    node->want = 2;
    assert_true(world_until(node->world, has_ends, node));
    assert_int_equal(last(node)->state, ACTIVATION_FAILED);
    assert_string_equal(last(node)->text, "its intent could not be stored");
    assert_log(node, "");
    node->store = STORE_NOW;
    settle(node);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
}

/* I10 at the receiver: another node has written the file under a later epoch. */
static void
a_lower_epoch_is_refused_by_the_file(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    world_put(node->world, "out.baton",
              "{\"epoch\":7,\"holder\":\"east-1\",\"connector\":\"pam\",\"action_id\":\"x\"}\n",
              0644);
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 1);
    assert_int_equal(last(node)->state, ACTIVATION_REFUSED);
    assert_log(node, ""); /* the program after it did not run */
    turn(node);
    assert_int_equal(ends(node), 1); /* and it is not tried again */
    settle(node);

    /* Going back to standby runs what it can and is done. */
    node_want(node, EFFECTIVE_NONE, 7, 40);
    wait_ends(node, 2);
    assert_int_equal(last(node)->state, ACTIVATION_REFUSED);
    assert_log(node, "deactivate none 2 \n");
    settle(node);

    node_want(node, EFFECTIVE_MAIN, 8, 40);
    wait_ends(node, 3);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
}

/* I10 at the node: a wish under an epoch below the one that we acted under. */
static void
a_lower_epoch_is_blocked_by_the_node(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 5, 40);
    wait_ends(node, 1);
    node_want(node, EFFECTIVE_ALTERNATE, 4, 41);
    turn(node);
    assert_int_equal(ends(node), 1);
    struct activation_report report;
    assert_true(activation_view(node->manager, "pam", &report));
    assert_string_equal(report.blocked,
                        "the epoch is older than one that this node has acted under");
}

/* A node that died while an activation ran comes back as a standby, and undoes it. */
static void
a_restart_undoes_what_was_left(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    struct err err;
    assert_int_equal(activation_restore(node->manager, "pam:1:west-1:main:30:1", "done", &err),
                     ERR_NONE);
    assert_int_equal(activation_restore(node->manager, "pam:2:west-1:main:40:2", "running", &err),
                     ERR_NONE);
    assert_int_equal(activation_restore(node->manager, "pam:2:west-1", "running", &err),
                     ERR_INVALID);
    assert_int_equal(activation_restore(node->manager, "pam:2:west-1:main:40:2", "green", &err),
                     ERR_INVALID);
    /* Before anybody said what is wanted, nothing is undone. */
    activation_gate(node->manager, ACTIVATION_GATE_RELEASE);
    turn(node);
    assert_int_equal(node->count, 0);
    node_want(node, EFFECTIVE_NONE, 3, 41);
    wait_ends(node, 1);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:none:40:3");
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_true(world_has(node->world, "out", "none 2\n"));
}

static void
a_restarted_primary_proves_its_activation(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    struct err err;
    assert_int_equal(activation_restore(node->manager, "pam:2:west-1:main:40:7", "done", &err),
                     ERR_NONE);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    turn(node);
    assert_int_equal(node->count, 0); /* I11: fenced until somebody says otherwise */
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    wait_ends(node, 1);
    assert_string_equal(last(node)->action_id, "pam:2:west-1:main:40:7");
    turn(node);
    assert_int_equal(ends(node), 1);
}

static void
a_connector_that_is_deleted_is_deactivated(void **state)
{
    struct node *node = *state;
    configure_script(node, "exit 0");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 1);
    activation_want(node->manager, NULL, 0);
    wait_ends(node, 2);
    assert_int_equal(last(node)->server, EFFECTIVE_NONE);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    turn(node);
    struct activation_report report;
    assert_false(activation_view(node->manager, "pam", &report));

    /* Deleted while batond was down: nobody knows the drivers, and that is said. */
    struct err err;
    assert_int_equal(activation_restore(node->manager, "pam:2:west-1:main:40:7", "done", &err),
                     ERR_NONE);
    activation_want(node->manager, NULL, 0);
    node->want = 3;
    assert_true(world_until(node->world, has_ends, node));
    assert_int_equal(last(node)->state, ACTIVATION_FAILED);
    assert_non_null(strstr(last(node)->text, "nobody knows its drivers"));
}

/* The document that activated is the one that undoes, whatever was edited meanwhile. */
static void
an_edit_does_not_hide_what_has_to_be_undone(void **state)
{
    struct node *node = *state;
    char *actions = str_printf("{\"driver\":\"file\",\"path\":\"%s/old\",\"format\":\"env\"}",
                               node->world->folder);
    node_configure(node, actions);
    free(actions);
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 1);
    actions = str_printf("{\"driver\":\"file\",\"path\":\"%s/new\",\"format\":\"env\"}",
                         node->world->folder);
    node_configure(node, actions);
    free(actions);
    node_want(node, EFFECTIVE_NONE, 3, 41);
    wait_ends(node, 2);
    assert_true(world_has(node->world, "old", "BATON_SERVER=\"none\""));
    assert_false(world_has(node->world, "new", "BATON"));
    node_want(node, EFFECTIVE_MAIN, 4, 41);
    wait_ends(node, 3);
    assert_true(world_has(node->world, "new", "BATON_SERVER=\"main\""));
}

/* What only an old primary wrote is set aside; its successor gives the revision to something else.
 */
static void
a_revision_that_is_another_document_now_is_read(void **state)
{
    struct node *node = *state;
    node_configure(node, "{\"driver\":\"exec\",\"command\":[\"/bin/true\"]}");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 1);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    node_configure(node, "{\"driver\":\"exec\",\"command\":[\"/bin/false\"]}");
    node_want(node, EFFECTIVE_MAIN, 3, 40);
    wait_ends(node, 2);
    assert_int_equal(last(node)->state, ACTIVATION_FAILED);
    assert_non_null(strstr(last(node)->text, "exit code 1"));
}

static void
what_cannot_work_is_said_and_not_hidden(void **state)
{
    struct node *node = *state;
    struct err err;
    node_configure(node, "");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_ends(node, 1);
    assert_int_equal(last(node)->state, ACTIVATION_OK);
    assert_string_equal(last(node)->text, "the connector has no drivers");

    /* A document that does not read changes nothing. */
    json_object_put(node->document);
    node->document = NULL;
    assert_int_equal(json_read("{\"main\":5}", 10, &node->document, &err), ERR_NONE);
    node_want(node, EFFECTIVE_MAIN, 2, 41);
    turn(node);
    assert_int_equal(ends(node), 1);

    /* Main is wanted and the document has none: the driver is not run with nothing. */
    json_object_put(node->document);
    char *text = str_printf("{\"alternate\":{\"url\":\"https://b/\"},\"activation\":[{\"driver\":"
                            "\"file\",\"path\":\"%s/out\",\"format\":\"env\"}]}",
                            node->world->folder);
    assert_int_equal(json_read(text, strlen(text), &node->document, &err), ERR_NONE);
    free(text);
    node_want(node, EFFECTIVE_MAIN, 2, 42);
    node->want = 2;
    assert_true(world_until(node->world, has_ends, node));
    assert_int_equal(last(node)->state, ACTIVATION_FAILED);
    assert_string_equal(last(node)->text, "file: the connector has no main server");
}

/* ---- many connectors ---- */

struct crowd {
    struct activation_manager *manager;
    unsigned running;
    unsigned running_max;
    unsigned ended;
};

static void
crowd_intent(void *data, const struct activation_report *report)
{
    struct crowd *crowd = data;
    if (++crowd->running > crowd->running_max)
        crowd->running_max = crowd->running;
    char action_id[ACTIVATION_ID_SIZE];
    assert_true(str_copy(action_id, sizeof action_id, report->action_id));
    activation_stored(crowd->manager, action_id, true);
}

static void
crowd_report(void *data, const struct activation_report *report)
{
    struct crowd *crowd = data;
    crowd->running--;
    crowd->ended++;
    assert_int_equal(report->state, ACTIVATION_OK);
}

static bool
crowd_settled(void *data)
{
    struct crowd *crowd = data;
    return activation_all_settled(crowd->manager);
}

#define CROWD 50

/* What is known of drivers is told, also before anything was activated. */
static void
it_tells_what_is_fenced(void **state)
{
    struct node *node = *state;
    char text[FENCING_TEXT_SIZE];
    assert_false(activation_fencing(node->manager, "pam", text));
    assert_string_equal(text, "");
    node_configure(node, "{\"driver\":\"file\",\"path\":\"/tmp/x\",\"format\":\"env\"}");
    node_want(node, EFFECTIVE_NONE, 1, 1);
    assert_true(activation_fencing(node->manager, "pam", text));
    node_configure(node, "{\"driver\":\"exec\",\"command\":[\"/bin/true\"],\"fenced\":true}");
    node_want(node, EFFECTIVE_NONE, 1, 2);
    assert_true(activation_fencing(node->manager, "pam", text));
    node_configure(node, "{\"driver\":\"exec\",\"command\":[\"/bin/true\"]}");
    node_want(node, EFFECTIVE_NONE, 1, 3);
    assert_false(activation_fencing(node->manager, "pam", text));
    assert_string_equal(text, "not fenced at the resource: exec (nobody says that it is)");
    node_configure(node, "");
    node_want(node, EFFECTIVE_NONE, 1, 4);
    assert_false(activation_fencing(node->manager, "pam", text));
    assert_string_equal(text, "");
}

static void
many_connectors_go_side_by_side_within_a_bound(void **state)
{
    struct node *node = *state;
    struct crowd crowd = { 0 };
    struct activation_ports ports = { .store_intent = crowd_intent,
                                      .report = crowd_report,
                                      .data = &crowd };
    struct activation_self self = { .cluster = "prod-id", .node = "west-1", .site = "west" };
    crowd.manager =
        activation_open(node->world->loop, node->world->worker, &self, &settings, &ports);
    struct activation_desired list[CROWD];
    char names[CROWD][16];
    for (size_t i = 0; i < CROWD; i++) {
        (void)snprintf(names[i], sizeof names[i], "c%zu", i);
        char *actions = str_printf("{\"driver\":\"file\",\"path\":\"%s/%s\",\"format\":\"env\"}",
                                   node->world->folder, names[i]);
        list[i] = (struct activation_desired){ .connector = names[i],
                                               .server = EFFECTIVE_MAIN,
                                               .epoch = epoch_make(2, "west-1"),
                                               .revision = i,
                                               .document = world_document(actions) };
        free(actions);
    }
    activation_gate(crowd.manager, ACTIVATION_GATE_OPEN);
    activation_want(crowd.manager, list, CROWD);
    assert_true(world_until(node->world, crowd_settled, &crowd));
    assert_int_equal(crowd.ended, CROWD);
    assert_int_equal(crowd.running_max, ACTIVATION_PARALLEL_MAX);
    for (size_t i = 0; i < CROWD; i++) {
        assert_true(world_has(node->world, names[i], "BATON_SERVER=\"main\""));
        json_object_put(list[i].document);
    }
    activation_close(crowd.manager);
}

static void
closing_while_things_run_leaves_nothing_behind(void **state)
{
    struct node *node = *state;
    configure_script(node, "mkfifo \"$1/fifo\"; echo $$ >\"$1/pid.new\"; "
                           "mv \"$1/pid.new\" \"$1/pid\"; read x <\"$1/fifo\"");
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    wait_file(node, "pid");
    char *text = world_get(node->world, "pid");
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    free(text);
    node_stop(node);
    assert_true(is_gone(&pid));
    assert_int_equal(ends(node), 0);

    /* And while the worker has a file of ours. */
    node_start(node);
    activation_gate(node->manager, ACTIVATION_GATE_OPEN);
    node_want(node, EFFECTIVE_MAIN, 2, 40);
    (void)ev_run(node->world->loop, EVRUN_ONCE);
    node_stop(node);
}

static int
setup(void **state)
{
    struct node *node = mem_zero(1, sizeof *node);
    node->world = world_new();
    node_start(node);
    *state = node;
    return 0;
}

static int
teardown(void **state)
{
    struct node *node = *state;
    node_stop(node);
    json_object_put(node->document);
    world_free(node->world);
    free(node);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_promotion_activates_and_a_demotion_undoes),
        TEST(a_change_of_the_choice_runs_at_once),
        TEST(a_failure_is_tried_again_until_it_succeeds),
        TEST(a_failed_driver_stops_an_activation_but_not_a_deactivation),
        TEST(a_newer_wish_ends_what_runs),
        TEST(a_fence_kills_what_runs_and_starts_nothing),
        TEST(a_fence_while_the_intent_is_stored_starts_nothing),
        TEST(no_effect_without_a_stored_intent),
        TEST(a_lower_epoch_is_refused_by_the_file),
        TEST(a_lower_epoch_is_blocked_by_the_node),
        TEST(a_restart_undoes_what_was_left),
        TEST(a_restarted_primary_proves_its_activation),
        TEST(a_connector_that_is_deleted_is_deactivated),
        TEST(an_edit_does_not_hide_what_has_to_be_undone),
        TEST(a_revision_that_is_another_document_now_is_read),
        TEST(what_cannot_work_is_said_and_not_hidden),
        TEST(it_tells_what_is_fenced),
        TEST(many_connectors_go_side_by_side_within_a_bound),
        TEST(closing_while_things_run_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
