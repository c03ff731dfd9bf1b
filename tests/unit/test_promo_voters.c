/*
 * What goes for the arbiter's answer while another is chosen: that of every voter. "b" of {a, b, c}
 * is to be primary after a.
 */
#include "tests/unit/promo_asking.h"

/* Our log has chosen another, and nobody else may know: only who is captured is known not to have
 * gone on alone. */
static void
test_while_it_changes_every_voter_has_to_promise(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    struct node_facts old = facts_of("a", NODE_FENCED);
    struct node_facts other = facts_of("c", NODE_STANDBY);
    record.arbiter = ROW - 1;
    for (unsigned i = 0; i < 3; i++) {
        begin(&bench, &record, &order);
        if (i == 2) /* the new one does not even answer */
            step(&bench, (struct promo_event){ .kind = PROMO_EV_TOLD, .arbiter = ROW });
        else
            arbiter_says(&bench, PROMO_EV_TOLD, &none);
        answers(&bench, &old);
        answers(&bench, &other);
        assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER), PROMO_OK);
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        captured(&bench, "b", &record);
        captured(&bench, "a", NULL);
        if (i == 1)
            arbiter_says(&bench, PROMO_EV_PROMISED, &none);
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        if (i == 0) {
            captured(&bench, "c", NULL); /* whatever the arbiter says */
            assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
        } else if (i == 1) {
            step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "c" });
            failed_with(&bench, "arbiter_silent");
        } else {
            captured(&bench, "c", NULL);
            assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
        }
    }
    struct quorum_record joint = record; /* "d" of the old set does not answer: it is no member */
    joint.joint = true;
    joint.old = set_of(1, "abcd");
    begin(&bench, &joint, &order);
    arbiter_says(&bench, PROMO_EV_TOLD, &none);
    answers(&bench, &old);
    answers(&bench, &other);
    assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER), PROMO_STOP);
}

/* Who counted when it was chosen, as the new one knows it, need not be who counts; and who has not
 * heard of it asks the one before, which has no such note. */
static void
test_while_it_changes_the_log_says_who_counts(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct node_facts old = facts_of("a", NODE_FENCED);
    struct node_facts other = facts_of("c", NODE_STANDBY);
    record.arbiter = ROW - 1;
    for (unsigned i = 0; i < 4; i++) {
        struct quorum_note note = i < 2 ? note_of(1, "ab") : note_of(1, "ac");
        order.overrides = i == 3 ? 1u << PROMO_CHECK_ARBITER : 0;
        begin(&bench, &record, &order);
        arbiter_says(&bench, PROMO_EV_TOLD, &note);
        answers(&bench, &old);
        answers(&bench, &other);
        assert_int_equal(verdict(&bench, PROMO_CHECK_SYNC), PROMO_OK);
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        captured(&bench, "b", &record);
        captured(&bench, "a", NULL);
        if (i == 3) { /* not every voter, and a person's word for the rest: it excludes us */
            failed_with(&bench, "quorum_changed");
            continue;
        }
        if (i != 1)
            arbiter_says(&bench, PROMO_EV_PROMISED, &note);
        captured(&bench, "c", NULL);
        assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
        assert_false(bench.promo.degraded);
        assert_true(quorum_equal(&bench.promo.record.now, &record.now));
        assert_int_equal(bench.promo.record.noted, record.noted);
    }
}

/* The row that chose it was the old primary's alone, and goes aside with the pull. Then another of
 * its number may have chosen another: what was promised counts no more, and of a number nothing
 * follows. */
static void
test_an_arbiter_of_a_row_that_goes_aside_has_promised_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_note none = { .number = 4 };
    struct node_facts old = facts_of("a", NODE_FENCED);
    struct node_facts other = facts_of("c", NODE_STANDBY);
    for (unsigned i = 0; i < 6; i++) {
        struct quorum_record record = available();
        record.arbiter = ROW - 1;
        begin(&bench, &record, &order);
        arbiter_says(&bench, PROMO_EV_TOLD, &none);
        answers(&bench, &old);
        answers(&bench, &other);
        arbiter_says(&bench, PROMO_EV_PROMISED, &none);
        captured(&bench, "b", &record);
        captured(&bench, "a", NULL);
        step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                           .node = "c",
                                           .ok = true,
                                           .position = at(118),
                                           .promised = epoch_make(3, "a") });
        assert_int_equal(bench.promo.state, PROMO_STATE_CATCHING_UP);
        if (i < 3) /* "d" has joined since; it may have been promoted, and have gone on alone */
            record.now = set_of(1, "abcd");
        record.arbiter = ROW - 1 + i % 3;
        step(&bench,
             (struct promo_event){
                 .kind = PROMO_EV_PULLED, .ok = true, .position = at(118), .record = &record });
        if (i < 3)
            failed_with(&bench, "arbiter_silent");
        else
            assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    }
}

/* Nor does a switchover ask again: its members are those that it captured. */
static void
test_a_switchover_while_it_changes_goes_on_after_the_pull(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    struct node_facts old = facts_of("a", NODE_PRIMARY);
    struct node_facts other = facts_of("c", NODE_STANDBY);
    record.arbiter = ROW - 1;
    begin(&bench, &record, &order);
    arbiter_says(&bench, PROMO_EV_TOLD, &none);
    answers(&bench, &old);
    answers(&bench, &other);
    freezes(&bench);
    captured(&bench, "a", NULL);
    captured(&bench, "b", &record);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                       .node = "c",
                                       .ok = true,
                                       .position = at(118),
                                       .promised = epoch_make(3, "a") });
    assert_int_equal(bench.promo.state, PROMO_STATE_CATCHING_UP);
    record.arbiter = ROW;
    step(&bench, (struct promo_event){
                     .kind = PROMO_EV_PULLED, .ok = true, .position = at(118), .record = &record });
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
}

/* Its record named who was asked; that a record which it pulls names one before is no change. */
static void
test_who_was_not_changing_needs_the_promise_after_the_pull(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    begin_capture(&bench, &order, NULL);
    captured(&bench, "b", &record);
    captured(&bench, "a", NULL);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                       .node = "c",
                                       .ok = true,
                                       .position = at(118),
                                       .promised = epoch_make(3, "a") });
    arbiter_says(&bench, PROMO_EV_PROMISED, &none);
    assert_int_equal(bench.promo.state, PROMO_STATE_CATCHING_UP);
    record.arbiter = ROW - 1;
    step(&bench, (struct promo_event){
                     .kind = PROMO_EV_PULLED, .ok = true, .position = at(118), .record = &record });
    failed_with(&bench, "arbiter_silent");
}

/* It was strict as far as we knew, and is not: nobody was asked. */
static void
test_what_is_pulled_may_ask_for_an_arbiter(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record strict = { .now = set_of(1, "abc") };
    struct quorum_record newer = available();
    begin(&bench, &strict, &order);
    members_answer(&bench);
    captured(&bench, "b", &strict);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                       .node = "c",
                                       .ok = true,
                                       .position = at(118),
                                       .promised = epoch_make(3, "a") });
    step(&bench, (struct promo_event){
                     .kind = PROMO_EV_PULLED, .ok = true, .position = at(118), .record = &newer });
    failed_with(&bench, "arbiter_silent");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_it_changes_every_voter_has_to_promise),
        cmocka_unit_test(test_while_it_changes_the_log_says_who_counts),
        cmocka_unit_test(test_an_arbiter_of_a_row_that_goes_aside_has_promised_nothing),
        cmocka_unit_test(test_a_switchover_while_it_changes_goes_on_after_the_pull),
        cmocka_unit_test(test_who_was_not_changing_needs_the_promise_after_the_pull),
        cmocka_unit_test(test_what_is_pulled_may_ask_for_an_arbiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
