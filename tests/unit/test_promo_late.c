/*
 * Promises that come late, or not at all: how long a promotion waits when without them nobody would
 * be primary. "b" of {a, b, c} is to be primary after a; durability is strict.
 */
#include "tests/unit/promo_asking.h"

static void
begin_capturing(struct bench *bench, bool old_answers)
{
    struct quorum_record record = { .now = set_of(1, "abc") };
    struct promo_order order = order_of(0, false);
    struct node_facts old = facts_of("a", NODE_FENCED);
    begin(bench, &record, &order);
    if (old_answers) {
        struct node_facts other = facts_of("c", NODE_STANDBY);
        answers(bench, &old);
        answers(bench, &other);
    } else {
        members_answer(bench);
    }
    assert_int_equal(bench->promo.state, PROMO_STATE_CAPTURING);
}

static uint64_t
time_runs_out(struct bench *bench)
{
    uint64_t before_ms = bench->now_ms;
    bench->now_ms = bench->promo.deadline_ms;
    step(bench, (struct promo_event){ .kind = PROMO_EV_TIMEOUT });
    return bench->now_ms - before_ms;
}

static void
test_who_answered_a_moment_ago_is_waited_for(void **state)
{
    (void)state;
    struct bench bench;
    for (unsigned i = 0; i < 3; i++) {
        begin_capturing(&bench, true);
        bench.promo.limits.step_ms = 9000;
        captured(&bench, i == 2 ? "c" : "b", NULL);
        assert_int_equal(time_runs_out(&bench), bench.promo.limits.call_ms);
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        assert_int_equal(bench.promo.deadline_ms, bench.now_ms + 9000);
        if (i == 0) {
            (void)time_runs_out(&bench); /* not without end */
            failed_with(&bench, "quorum_lost");
        } else { /* and the first that is enough will do: a is not waited for any more */
            captured(&bench, i == 2 ? "b" : "c", NULL);
            assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
        }
    }
    begin_capturing(&bench, true);
    captured(&bench, "b", NULL);
    (void)time_runs_out(&bench);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "a" });
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "c" });
    failed_with(&bench, "quorum_lost");
}

static void
test_nobody_is_waited_for_when_it_is_enough(void **state)
{
    (void)state;
    struct bench bench;
    begin_capturing(&bench, true);
    captured(&bench, "b", NULL);
    captured(&bench, "c", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING); /* a answered, and is the proof */
    (void)time_runs_out(&bench);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);

    struct promo_order loss = order_of(0, true);
    struct quorum_record record = { .now = set_of(1, "abc") };
    struct node_facts other = facts_of("c", NODE_STANDBY);
    begin(&bench, &record, &loss);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
    answers(&bench, &other);
    captured(&bench, "b", NULL);
    (void)time_runs_out(&bench);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
}

static void
test_who_was_not_there_is_not_waited_for(void **state)
{
    (void)state;
    struct bench bench;
    begin_capturing(&bench, false);
    captured(&bench, "b", NULL);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "c" });
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    (void)time_runs_out(&bench);
    failed_with(&bench, "quorum_lost");
}

/* The next one has its own time again. */
static void
test_patience_ends_with_the_promotion(void **state)
{
    (void)state;
    struct bench bench;
    static const char *const members[] = { "a", "b", "c" };
    struct quorum_record record = { .now = set_of(1, "abc") };
    struct promo_order order = order_of(0, false);
    struct node_facts own = facts_of("b", NODE_FENCED);
    struct node_facts old = facts_of("a", NODE_FENCED);
    struct node_facts other = facts_of("c", NODE_STANDBY);
    begin_capturing(&bench, true);
    (void)time_runs_out(&bench);
    (void)time_runs_out(&bench);
    failed_with(&bench, "quorum_lost");
    assert_int_equal(promo_set(&bench.promo, &own, members, 3, &record, NULL), ERR_NONE);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ORDER, .order = &order });
    answers(&bench, &old);
    answers(&bench, &other);
    captured(&bench, "b", NULL);
    captured(&bench, "c", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    captured(&bench, "a", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_answered_a_moment_ago_is_waited_for),
        cmocka_unit_test(test_nobody_is_waited_for_when_it_is_enough),
        cmocka_unit_test(test_who_was_not_there_is_not_waited_for),
        cmocka_unit_test(test_patience_ends_with_the_promotion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
