/* What to do about one connector: the table of plan.h row by row, then every combination. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "controller/activation/plan.h"
#include "controller/base/own.h"

#define NOW 100000

static const struct activation_pauses pauses = { .first_ms = 1000, .max_ms = 60000 };

static struct activation_change
change(enum effective_server server, uint64_t number, const char *holder, uint64_t revision,
       uint64_t sequence)
{
    return (struct activation_change){ .server = server,
                                       .epoch = epoch_make(number, holder),
                                       .revision = revision,
                                       .sequence = sequence };
}

static struct activation_record
record(enum activation_state state, struct activation_change of)
{
    return (struct activation_record){ .state = state, .change = of };
}

static struct activation_step
plan(struct activation_change desired, struct activation_record recorded, enum activation_gate gate)
{
    return activation_plan(&desired, &recorded, gate, &pauses, NOW);
}

static void
a_first_activation_runs(void **state)
{
    (void)state;
    struct activation_record never = { 0 };
    struct activation_change desired = change(EFFECTIVE_MAIN, 3, "west-1", 42, 0);
    struct activation_step step = plan(desired, never, ACTIVATION_GATE_OPEN);
    assert_int_equal(step.verdict, ACTIVATION_RUN);
    assert_int_equal(step.change.server, EFFECTIVE_MAIN);
    assert_int_equal(step.change.sequence, 1);
    assert_true(epoch_equal(&step.change.epoch, &desired.epoch));

    assert_int_equal(plan(desired, never, ACTIVATION_GATE_CLOSED).verdict, ACTIVATION_BLOCKED);
    assert_int_equal(plan(desired, never, ACTIVATION_GATE_RELEASE).verdict, ACTIVATION_BLOCKED);
    desired.epoch = (struct epoch){ 0 };
    assert_int_equal(plan(desired, never, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_BLOCKED);
}

static void
what_is_done_rests_and_what_changed_runs(void **state)
{
    (void)state;
    struct activation_record done =
        record(ACTIVATION_OK, change(EFFECTIVE_MAIN, 3, "west-1", 42, 7));
    static const struct {
        enum effective_server server;
        uint64_t number;
        const char *holder;
        uint64_t revision;
        enum activation_verdict verdict;
    } rows[] = {
        { EFFECTIVE_MAIN, 3, "west-1", 42, ACTIVATION_REST },
        { EFFECTIVE_ALTERNATE, 3, "west-1", 42, ACTIVATION_RUN }, /* P3: at once */
        { EFFECTIVE_MAIN, 4, "west-1", 42, ACTIVATION_RUN },      /* receivers learn the epoch */
        { EFFECTIVE_MAIN, 3, "west-1", 43, ACTIVATION_RUN },      /* the connector was edited */
        { EFFECTIVE_MAIN, 3, "west-2", 42, ACTIVATION_RUN },
        { EFFECTIVE_MAIN, 3, "east-1", 42, ACTIVATION_BLOCKED }, /* a lower pair */
        { EFFECTIVE_ALTERNATE, 2, "west-9", 99, ACTIVATION_BLOCKED },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct activation_step step =
            plan(change(rows[i].server, rows[i].number, rows[i].holder, rows[i].revision, 0), done,
                 ACTIVATION_GATE_OPEN);
        assert_int_equal(step.verdict, rows[i].verdict);
        if (step.verdict == ACTIVATION_RUN)
            assert_int_equal(step.change.sequence, 8);
    }
}

static void
a_failure_is_tried_again_with_the_same_id(void **state)
{
    (void)state;
    struct activation_change desired = change(EFFECTIVE_MAIN, 3, "west-1", 42, 0);
    struct activation_record failed =
        record(ACTIVATION_FAILED, change(EFFECTIVE_MAIN, 3, "west-1", 42, 7));
    static const struct {
        unsigned tries;
        uint64_t pause_ms;
    } rows[] = { { 1, 1000 },  { 2, 2000 },  { 3, 4000 },      { 6, 32000 },
                 { 7, 60000 }, { 8, 60000 }, { 100000, 60000 } };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        failed.tries = rows[i].tries;
        failed.failed_at_ms = NOW - rows[i].pause_ms + 1;
        struct activation_step step = plan(desired, failed, ACTIVATION_GATE_OPEN);
        assert_int_equal(step.verdict, ACTIVATION_WAIT);
        assert_int_equal(step.at_ms, NOW + 1);
        failed.failed_at_ms--;
        step = plan(desired, failed, ACTIVATION_GATE_OPEN);
        assert_int_equal(step.verdict, ACTIVATION_RUN);
        assert_int_equal(step.change.sequence, 7);
    }
    /* A new wish does not wait for the pause of the old one. */
    desired.server = EFFECTIVE_ALTERNATE;
    failed.failed_at_ms = NOW;
    assert_int_equal(plan(desired, failed, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_RUN);
}

static void
what_was_cut_short_runs_at_once(void **state)
{
    (void)state;
    struct activation_change desired = change(EFFECTIVE_MAIN, 3, "west-1", 42, 0);
    struct activation_record cut =
        record(ACTIVATION_CANCELLED, change(EFFECTIVE_MAIN, 3, "west-1", 42, 7));
    cut.tries = 5;
    struct activation_step step = plan(desired, cut, ACTIVATION_GATE_OPEN);
    assert_int_equal(step.verdict, ACTIVATION_RUN);
    assert_int_equal(step.change.sequence, 7);
}

static void
a_refused_activation_rests(void **state)
{
    (void)state;
    struct activation_record refused =
        record(ACTIVATION_REFUSED, change(EFFECTIVE_MAIN, 3, "west-1", 42, 7));
    assert_int_equal(
        plan(change(EFFECTIVE_MAIN, 3, "west-1", 42, 0), refused, ACTIVATION_GATE_OPEN).verdict,
        ACTIVATION_REST);
    assert_int_equal(
        plan(change(EFFECTIVE_MAIN, 5, "west-1", 42, 0), refused, ACTIVATION_GATE_OPEN).verdict,
        ACTIVATION_RUN);
}

static void
after_a_restart_an_activation_is_proved_again(void **state)
{
    (void)state;
    struct activation_record done =
        record(ACTIVATION_OK, change(EFFECTIVE_MAIN, 3, "west-1", 42, 7));
    done.before_start = true;
    struct activation_step step =
        plan(change(EFFECTIVE_MAIN, 3, "west-1", 42, 0), done, ACTIVATION_GATE_OPEN);
    assert_int_equal(step.verdict, ACTIVATION_RUN);
    assert_int_equal(step.change.sequence, 7);

    done.change.server = EFFECTIVE_NONE;
    assert_int_equal(plan(change(EFFECTIVE_NONE, 0, "", 0, 0), done, ACTIVATION_GATE_OPEN).verdict,
                     ACTIVATION_REST);
}

static void
a_deactivation_undoes_under_the_epoch_of_the_activation(void **state)
{
    (void)state;
    static const enum activation_state undone[] = { ACTIVATION_OK, ACTIVATION_FAILED,
                                                    ACTIVATION_REFUSED, ACTIVATION_CANCELLED };
    for (size_t i = 0; i < ARRAY_COUNT(undone); i++) {
        struct activation_record old =
            record(undone[i], change(EFFECTIVE_MAIN, 1, "east-1", 42, 7));
        /* The node knows of epoch 2 by now, and of a newer document. */
        struct activation_change none = change(EFFECTIVE_NONE, 2, "west-1", 50, 0);
        struct activation_step step = plan(none, old, ACTIVATION_GATE_RELEASE);
        assert_int_equal(step.verdict, ACTIVATION_RUN);
        assert_int_equal(step.change.server, EFFECTIVE_NONE);
        assert_int_equal(step.change.epoch.number, 1);
        assert_string_equal(step.change.epoch.holder, "east-1");
        assert_int_equal(step.change.revision, 42);
        assert_int_equal(step.change.sequence, 8);
        assert_int_equal(plan(none, old, ACTIVATION_GATE_CLOSED).verdict, ACTIVATION_BLOCKED);

        none.server = EFFECTIVE_ERROR; /* the flag without an alternate: nothing is in use */
        assert_int_equal(plan(none, old, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_RUN);
    }
    struct activation_record never = { 0 };
    assert_int_equal(
        plan(change(EFFECTIVE_NONE, 2, "west-1", 50, 0), never, ACTIVATION_GATE_RELEASE).verdict,
        ACTIVATION_REST);
}

static void
what_runs_is_stopped_only_for_something_newer(void **state)
{
    (void)state;
    struct activation_record running =
        record(ACTIVATION_RUNNING, change(EFFECTIVE_MAIN, 3, "west-1", 42, 7));
    struct activation_change same = change(EFFECTIVE_MAIN, 3, "west-1", 42, 0);
    assert_int_equal(plan(same, running, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_REST);
    assert_int_equal(plan(same, running, ACTIVATION_GATE_CLOSED).verdict, ACTIVATION_STOP);
    assert_int_equal(plan(same, running, ACTIVATION_GATE_RELEASE).verdict, ACTIVATION_STOP);
    struct activation_change other = change(EFFECTIVE_ALTERNATE, 3, "west-1", 42, 0);
    assert_int_equal(plan(other, running, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_STOP);
    struct activation_change none = change(EFFECTIVE_NONE, 4, "east-1", 42, 0);
    assert_int_equal(plan(none, running, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_STOP);
    struct activation_change stale = change(EFFECTIVE_ALTERNATE, 2, "west-1", 42, 0);
    assert_int_equal(plan(stale, running, ACTIVATION_GATE_OPEN).verdict, ACTIVATION_BLOCKED);

    /* A deactivation is not stopped by a wish that may not run anyway. */
    running.change.server = EFFECTIVE_NONE;
    assert_int_equal(plan(same, running, ACTIVATION_GATE_RELEASE).verdict, ACTIVATION_BLOCKED);
}

/* Every wish against every record, behind every gate: what must hold whatever the table says. */
static void
check_combination(struct activation_change desired, struct activation_record recorded,
                  enum activation_gate gate)
{
    struct activation_step step = plan(desired, recorded, gate);
    bool acts = step.verdict == ACTIVATION_RUN || step.verdict == ACTIVATION_WAIT;
    assert_non_null(step.reason);
    if (step.verdict == ACTIVATION_BLOCKED || step.verdict == ACTIVATION_STOP)
        assert_true(step.reason[0] != '\0');
    if (!acts)
        return;
    assert_int_not_equal(recorded.state, ACTIVATION_RUNNING); /* one at a time */
    assert_int_not_equal(gate, ACTIVATION_GATE_CLOSED);
    if (gate == ACTIVATION_GATE_RELEASE)
        assert_int_equal(step.change.server, EFFECTIVE_NONE);
    assert_true(epoch_compare(&step.change.epoch, &recorded.change.epoch) >= 0); /* I10 */
    assert_true(step.change.server != EFFECTIVE_ERROR);
    bool again = step.change.sequence == recorded.change.sequence;
    if (again) {
        assert_int_equal(step.change.server, recorded.change.server);
        assert_int_equal(step.change.revision, recorded.change.revision);
        assert_true(epoch_equal(&step.change.epoch, &recorded.change.epoch));
    } else {
        assert_int_equal(step.change.sequence, recorded.change.sequence + 1);
        assert_int_equal(step.verdict, ACTIVATION_RUN);
    }

    /* Run it, and all is well: then it is settled, and stays so. */
    struct activation_record after = record(ACTIVATION_OK, step.change);
    assert_true(activation_settled(&desired, &after));
    assert_int_equal(plan(desired, after, gate).verdict, ACTIVATION_REST);
    assert_false(activation_settled(&desired, &recorded));
}

static void
every_combination_is_safe(void **state)
{
    (void)state;
    static const char *const holders[] = { "east-1", "west-1" };
    for (unsigned bits = 0; bits < 1u << 14; bits++) {
        struct activation_change desired =
            change((enum effective_server)(bits & 3), 1 + (bits >> 2 & 1), holders[bits >> 3 & 1],
                   40 + (bits >> 4 & 1), 0);
        for (unsigned at = 0; at <= ACTIVATION_CANCELLED; at++) {
            struct activation_record recorded =
                record((enum activation_state)at,
                       change((enum effective_server)((bits >> 5 & 3) % 3), 1 + (bits >> 7 & 1),
                              holders[bits >> 8 & 1], 40 + (bits >> 9 & 1), 7));
            if (at == ACTIVATION_NEVER)
                recorded = (struct activation_record){ 0 };
            recorded.before_start = bits >> 10 & 1 && at == ACTIVATION_OK;
            recorded.tries = bits >> 11 & 1;
            recorded.failed_at_ms = bits >> 12 & 1 ? NOW : 0;
            for (unsigned gate = 0; gate <= ACTIVATION_GATE_OPEN; gate++)
                check_combination(desired, recorded, (enum activation_gate)gate);
        }
    }
}

static void
ids_are_read_back(void **state)
{
    (void)state;
    struct activation_change of = change(EFFECTIVE_ALTERNATE, 3, "west-1", 42, 7);
    char text[ACTIVATION_ID_SIZE];
    char connector[CONNECTOR_NAME_SIZE];
    struct activation_change back;
    assert_string_equal(activation_id("pam", &of, text), "pam:3:west-1:alternate:42:7");
    assert_true(activation_id_parse(text, connector, &back));
    assert_string_equal(connector, "pam");
    assert_true(epoch_equal(&back.epoch, &of.epoch));
    assert_int_equal(back.server, EFFECTIVE_ALTERNATE);
    assert_int_equal(back.revision, 42);
    assert_int_equal(back.sequence, 7);

    static const char *const wrong[] = { "",
                                         "pam",
                                         "pam:3:west-1:alternate:42",
                                         "pam:3:west-1:alternate:42:7:",
                                         "pam:3:west-1:error:42:7",
                                         "pam:x:west-1:main:42:7",
                                         "pam:03:west-1:main:42:7",
                                         "pam:-3:west-1:main:42:7",
                                         "PAM:3:west-1:main:42:7",
                                         ":3:west-1:main:42:7" };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_false(activation_id_parse(wrong[i], connector, &back));

    enum activation_state at;
    assert_true(activation_state_from_name("cancelled", &at) && at == ACTIVATION_CANCELLED);
    assert_false(activation_state_from_name("green", &at));
}

/* Only what succeeded and is still wanted, by who may do it, is looked after. */
static void
what_was_done_is_looked_after(void **state)
{
    (void)state;
    struct activation_change used = {
        .server = EFFECTIVE_MAIN, .epoch = epoch_make(3, "west-1"), .revision = 7, .sequence = 1
    };
    struct activation_change other = used;
    other.server = EFFECTIVE_ALTERNATE;
    struct activation_record record = { .change = used, .state = ACTIVATION_OK };
    struct activation_looks looks = { .looked_ms = 1000, .pause_ms = 50 };
#define LOOK(desired, gate) activation_look_at(&(desired), &record, ACTIVATION_GATE_##gate, &looks)
    assert_int_equal(LOOK(used, OPEN), 1050);
    assert_int_equal(LOOK(used, RELEASE), UINT64_MAX);
    assert_int_equal(LOOK(used, CLOSED), UINT64_MAX);
    assert_int_equal(LOOK(other, OPEN), UINT64_MAX);
    looks.again_ms = 20; /* a drain is over before */
    assert_int_equal(LOOK(used, OPEN), 1020);
    looks.pause_ms = 0; /* switched off, but for that */
    assert_int_equal(LOOK(used, OPEN), 1020);
    looks.again_ms = 0;
    assert_int_equal(LOOK(used, OPEN), UINT64_MAX);
    looks.news = true; /* A1: instances that come and go are told at once */
    assert_int_equal(LOOK(used, OPEN), 1000);
    assert_int_equal(LOOK(used, CLOSED), UINT64_MAX);
    assert_int_equal(LOOK(other, OPEN), UINT64_MAX);
    looks.pause_ms = 50;
    static const enum activation_state never[] = { ACTIVATION_NEVER, ACTIVATION_RUNNING,
                                                   ACTIVATION_FAILED, ACTIVATION_REFUSED,
                                                   ACTIVATION_CANCELLED };
    for (size_t i = 0; i < ARRAY_COUNT(never); i++) {
        record.state = never[i];
        assert_int_equal(LOOK(used, OPEN), UINT64_MAX);
    }
    /* what an earlier batond activated is proved again first */
    record.state = ACTIVATION_OK;
    record.before_start = true;
    assert_int_equal(LOOK(used, OPEN), UINT64_MAX);
    record.before_start = false;
    /* what was given up, by a standby as well: instances do not matter to it */
    record.change.server = EFFECTIVE_NONE;
    used.server = EFFECTIVE_NONE;
    assert_int_equal(LOOK(used, RELEASE), 1050);
    assert_int_equal(LOOK(used, CLOSED), UINT64_MAX);
#undef LOOK
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_activation_runs),
        cmocka_unit_test(what_is_done_rests_and_what_changed_runs),
        cmocka_unit_test(a_failure_is_tried_again_with_the_same_id),
        cmocka_unit_test(what_was_cut_short_runs_at_once),
        cmocka_unit_test(a_refused_activation_rests),
        cmocka_unit_test(after_a_restart_an_activation_is_proved_again),
        cmocka_unit_test(a_deactivation_undoes_under_the_epoch_of_the_activation),
        cmocka_unit_test(what_runs_is_stopped_only_for_something_newer),
        cmocka_unit_test(every_combination_is_safe),
        cmocka_unit_test(ids_are_read_back),
        cmocka_unit_test(what_was_done_is_looked_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
