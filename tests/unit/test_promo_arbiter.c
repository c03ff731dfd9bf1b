/*
 * A promotion where a primary may have given up its promise: what the arbiter is asked, and what
 * follows from its answers. "b" of {a, b, c}; a was primary of epoch 3, and does not answer.
 */
#include "tests/unit/promo_asking.h"

/* ------------------------------------------------------------------ asking */

static void
test_a_strict_primary_never_goes_on_alone(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = { .now = set_of(1, "abc"), .noted = 4 };
    struct promo_order order = order_of(0, false);
    begin(&bench, &record, &order);
    assert_null(effect_of(&bench, PROMO_DO_ASK_ARBITER));
    members_answer(&bench);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    assert_null(effect_of(&bench, PROMO_DO_PROMISE));
    assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER), PROMO_OK);
}

/* A host that is silent would be waited for, for as long as a call may take. */
static void
test_a_takeover_does_not_wait_for_who_is_gone(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = { .now = set_of(1, "abc"), .noted = 4 };
    struct promo_order order = order_of(0, false);
    struct node_facts facts = facts_of("c", NODE_STANDBY);
    bool captures = false;
    order.takeover = true;
    assert_true(str_copy(order.gone, sizeof order.gone, "a"));
    begin(&bench, &record, &order);
    assert_string_equal(effect_of(&bench, PROMO_DO_ASK)->node, "c");
    answers(&bench, &facts);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    for (size_t i = 0; i < bench.effects.count; i++)
        captures = captures || (bench.effects.list[i].kind == PROMO_DO_CAPTURE &&
                                strcmp(bench.effects.list[i].node, "a") == 0);
    assert_true(captures); /* its promise would be a proof */
    captured(&bench, "b", &record);
    captured(&bench, "c", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING); /* and it is not waited for */

    order.takeover = false; /* a person's order trusts nobody's eyes */
    begin(&bench, &record, &order);
    answers(&bench, &facts);
    assert_int_equal(bench.promo.state, PROMO_STATE_ASKING);
}

static void
test_the_arbiter_is_asked_and_promises(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct quorum_note none = { .number = 4 };
    begin(&bench, &record, &order);
    assert_non_null(effect_of(&bench, PROMO_DO_ASK_ARBITER));
    members_answer(&bench);
    assert_int_equal(bench.promo.state, PROMO_STATE_ASKING); /* waits for it */
    arbiter_says(&bench, PROMO_EV_TOLD, &none);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    const struct promo_effect *promise = effect_of(&bench, PROMO_DO_PROMISE);
    assert_non_null(promise);
    assert_true(epoch_equal(&promise->epoch, &bench.promo.epoch));
    captured(&bench, "b", &record);
    captured(&bench, "c", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING); /* enough members, and not it */
    arbiter_says(&bench, PROMO_EV_PROMISED, &none);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    assert_false(bench.promo.degraded);
    assert_int_equal(bench.promo.record.noted, 4);
}

/* Left by a promotion that died before any member had promised it anything. */
static void
test_the_epoch_is_later_than_what_the_arbiter_has_promised(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct quorum_note none = { .number = 4 };
    begin(&bench, &record, &order);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_TOLD,
                                       .ok = true,
                                       .arbiter = ROW,
                                       .note = &none,
                                       .promised = epoch_make(9, "c") });
    members_answer(&bench);
    assert_int_equal(effect_of(&bench, PROMO_DO_PROMISE)->epoch.number, 10);
    assert_int_equal(bench.promo.old_epoch.number, 3); /* nobody was primary of it */
}

static void
test_a_note_that_excludes_us_stops(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct quorum_note note = note_of(0, "a");
    begin(&bench, &record, &order);
    members_answer(&bench);
    arbiter_says(&bench, PROMO_EV_TOLD, &note);
    failed_with(&bench, "check_failed");
    assert_int_equal(verdict(&bench, PROMO_CHECK_SYNC), PROMO_STOP);
    assert_int_equal(verdict(&bench, PROMO_CHECK_QUORUM), PROMO_STOP);
    assert_string_equal(bench.promo.findings[PROMO_CHECK_SYNC].text,
                        "a goes on without b since " SINCE
                        "; at revision 120 then, 117 are here: at least 3 are missing");
    assert_non_null(strstr(bench.promo.failure.mend, "--accept-data-loss"));

    /* also where another is left, and we are not */
    note = note_of(1, "ac");
    begin(&bench, &record, &order);
    members_answer(&bench);
    arbiter_says(&bench, PROMO_EV_TOLD, &note);
    assert_int_equal(verdict(&bench, PROMO_CHECK_SYNC), PROMO_STOP);
}

/* The record in our log is the later one, or somebody has been primary since. */
static void
test_a_note_of_before_stops_nobody(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_note note = note_of(0, "a");
    struct quorum_record record = available();
    record.noted = 5;
    begin(&bench, &record, &order);
    members_answer(&bench);
    arbiter_says(&bench, PROMO_EV_TOLD, &note);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);

    record = available();
    note.epoch = epoch_make(2, "c");
    begin(&bench, &record, &order);
    members_answer(&bench);
    arbiter_says(&bench, PROMO_EV_TOLD, &note);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    assert_int_equal(bench.promo.record.noted, 5); /* what it writes is later */
}

static void
test_who_is_left_takes_over_alone(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_note note = note_of(1, "ab");
    struct quorum_record record = available();
    begin_capture(&bench, &order, &note);
    assert_int_equal(verdict(&bench, PROMO_CHECK_ACKS), PROMO_WARN); /* until it may give up, too */
    captured(&bench, "b", &record);
    arbiter_says(&bench, PROMO_EV_PROMISED, &note);
    /* until the names were set, b and c acknowledged without each other */
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    captured(&bench, "c", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    assert_true(bench.promo.degraded); /* nobody else has it */
    assert_true(quorum_equal(&bench.promo.record.now, &note.set));
    assert_int_equal(bench.promo.record.noted, 5);
    assert_string_equal(bench.promo.record.since, SINCE);
}

static void
test_an_arbiter_that_is_silent_stops(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    for (unsigned i = 0; i < 2; i++) {
        struct promo_order order = order_of(i == 0 ? 0 : 1u << PROMO_CHECK_ARBITER, false);
        begin(&bench, &record, &order);
        members_answer(&bench);
        if (i == 0) {
            bench.now_ms += 1000;
            step(&bench, (struct promo_event){ .kind = PROMO_EV_TIMEOUT });
        } else {
            step(&bench, (struct promo_event){ .kind = PROMO_EV_TOLD, .text = "refused" });
        }
        assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER),
                         i == 0 ? PROMO_STOP : PROMO_OVERRIDDEN);
        if (i == 0) {
            failed_with(&bench, "check_failed");
            assert_non_null(strstr(bench.promo.failure.mend, "--override arbiter"));
            continue;
        }
        captured(&bench, "b", &record);
        captured(&bench, "c", NULL);
        assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    }
}

/* ------------------------------------------------------------------ the promise */

/* Between the question and the promise the primary went on alone. */
static void
test_a_note_that_came_between_stops(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_note note = note_of(0, "a");
    struct quorum_record record = available();
    begin_capture(&bench, &order, NULL);
    captured(&bench, "b", &record);
    captured(&bench, "c", NULL);
    arbiter_says(&bench, PROMO_EV_PROMISED, &note);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING); /* a may still promise */
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "a" });
    failed_with(&bench, "quorum_lost");
}

static void
test_an_arbiter_that_does_not_promise_stops(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    for (unsigned i = 0; i < 2; i++) {
        begin_capture(&bench, &order, NULL);
        captured(&bench, "b", &record);
        captured(&bench, "c", NULL);
        step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "a" });
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        if (i == 0) {
            step(&bench, (struct promo_event){ .kind = PROMO_EV_PROMISED, .text = "refused" });
        } else {
            bench.now_ms += 1000;
            step(&bench, (struct promo_event){ .kind = PROMO_EV_TIMEOUT });
        }
        failed_with(&bench, "arbiter_silent");
    }
    begin_capture(&bench, &order, NULL);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_PROMISED, .promised = epoch_make(5, "c") });
    failed_with(&bench, "later_epoch");
    assert_non_null(strstr(bench.promo.failure.text, "the arbiter has promised"));
}

/* Somebody may have been promoted without it, and have gone on alone since. */
static void
test_the_old_primarys_own_promise_is_not_enough(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    struct quorum_note later = note_of(0, "c");
    later.epoch = epoch_make(4, "c");
    for (unsigned i = 0; i < 2; i++) {
        begin_capture(&bench, &order, NULL);
        captured(&bench, "a", NULL);
        captured(&bench, "b", &record);
        step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "c" });
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        arbiter_says(&bench, PROMO_EV_PROMISED, i == 0 ? &none : &later);
        if (i == 0)
            assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
        else
            failed_with(&bench, "quorum_lost");
    }
}

/* Another candidate has opened a later epoch, and nobody has heard of it: that does not make what
 * the primary told any older. */
static void
test_an_epoch_that_nobody_heard_of_ends_no_note(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct quorum_note note = note_of(1, "ac");
    struct node_facts opened = facts_of("c", NODE_FENCED);
    opened.epoch = opened.promised = opened.applied.epoch = epoch_make(4, "c");
    opened.applied.revision = 118;
    begin(&bench, &record, &order);
    arbiter_says(&bench, PROMO_EV_TOLD, &note);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
    answers(&bench, &opened);
    assert_int_equal(verdict(&bench, PROMO_CHECK_SYNC), PROMO_STOP);
    assert_non_null(
        strstr(bench.promo.findings[PROMO_CHECK_SYNC].text, "a goes on without b since " SINCE));
    assert_true(quorum_equal(&bench.promo.record.now, &note.set));
    failed_with(&bench, "check_failed");
}

/* What was pulled says that another arbiter is told by now; or it does not say that yet of the one
 * that is chosen, and those who have not heard of it may have told the one before. */
static void
test_the_arbiter_of_the_newest_record_counts(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    for (unsigned i = 0; i < 3; i++) {
        begin_capture(&bench, &order, NULL);
        arbiter_says(&bench, PROMO_EV_PROMISED, &none);
        captured(&bench, "b", &record);
        step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                           .node = "c",
                                           .ok = true,
                                           .position = at(118),
                                           .promised = epoch_make(3, "a") });
        assert_int_equal(bench.promo.state, PROMO_STATE_CATCHING_UP);
        struct quorum_record newer = record;
        newer.arbiter = ROW + 1 - i;
        step(&bench,
             (struct promo_event){
                 .kind = PROMO_EV_PULLED, .ok = true, .position = at(118), .record = &newer });
        if (i == 1)
            assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
        else
            failed_with(&bench, "arbiter_silent");
    }
    record.arbiter = ROW - 1; /* known before: nobody has to promise anything */
    begin(&bench, &record, &order);
    arbiter_says(&bench, PROMO_EV_TOLD, &none);
    members_answer(&bench);
    failed_with(&bench, "check_failed");
    assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER), PROMO_STOP);
}

/* ------------------------------------------------------------------ a person's word */

static void
test_an_accepted_loss_goes_on(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, true);
    struct quorum_note note = note_of(0, "a");
    struct quorum_record record = available();
    begin_capture(&bench, &order, &note);
    assert_int_equal(verdict(&bench, PROMO_CHECK_SYNC), PROMO_OVERRIDDEN);
    captured(&bench, "b", &record);
    captured(&bench, "c", NULL);
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING); /* without the arbiter's answer */
    assert_true(quorum_equal(&bench.promo.record.now, &record.now)); /* one could acknowledge */
    assert_int_equal(bench.promo.record.noted, 5);
    assert_false(bench.promo.degraded);
}

static void
test_an_accepted_loss_alone_is_recorded_as_degraded(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, true);
    struct quorum_record record = available();
    begin(&bench, &record, &order);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_TOLD, .text = "refused" });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "c" });
    assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER), PROMO_OVERRIDDEN);
    captured(&bench, "b", &record);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "a" });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "c" });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_PROMISED, .text = "refused" });
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    assert_true(bench.promo.degraded);
    assert_int_equal(bench.promo.record.now.k, 0);
    assert_string_equal(bench.promo.record.since, NOW);
}

/* ------------------------------------------------------------------ others */

/* Nobody who could acknowledge is left: that is no reason to stop where it may be told. */
static void
test_a_lone_candidate_waits_for_the_lease(void **state)
{
    (void)state;
    static const struct {
        bool agreed;
        uint64_t arbiter;
        enum promo_verdict verdict;
    } cases[] = {
        { true, ROW, PROMO_WARN },
        { false, ROW, PROMO_STOP }, /* not all would ask it */
        { false, 0, PROMO_STOP },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bench bench;
        struct quorum_record record = { .now = set_of(1, "ab"),
                                        .arbiter = cases[i].arbiter,
                                        .agreed = cases[i].agreed };
        struct promo_order order = order_of(0, false);
        struct quorum_note none = { .number = 4 };
        begin(&bench, &record, &order);
        if (cases[i].arbiter != 0)
            arbiter_says(&bench, PROMO_EV_TOLD, &none);
        step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
        step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "c" });
        assert_int_equal(verdict(&bench, PROMO_CHECK_ACKS), cases[i].verdict);
        assert_int_equal(bench.promo.state, cases[i].verdict == PROMO_WARN ? PROMO_STATE_CAPTURING
                                                                           : PROMO_STATE_FAILED);
    }
}

/* The primary that helps may have been overtaken, and not know it yet. */
static void
test_a_switchover_asks_too(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct node_facts primary = facts_of("a", NODE_PRIMARY);
    struct node_facts other = facts_of("c", NODE_STANDBY);
    struct quorum_note none = { .number = 4 };
    for (unsigned i = 0; i < 2; i++) {
        begin(&bench, &record, &order);
        if (i == 0)
            step(&bench, (struct promo_event){ .kind = PROMO_EV_TOLD, .text = "refused" });
        else
            arbiter_says(&bench, PROMO_EV_TOLD, &none);
        answers(&bench, &primary);
        answers(&bench, &other);
        assert_int_equal(bench.promo.mode, PROMO_SWITCHOVER);
        assert_int_equal(verdict(&bench, PROMO_CHECK_ARBITER), i == 0 ? PROMO_STOP : PROMO_OK);
        assert_int_equal(bench.promo.state, i == 0 ? PROMO_STATE_FAILED : PROMO_STATE_ARMING);
    }
    freezes(&bench);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    assert_non_null(effect_of(&bench, PROMO_DO_PROMISE));
    captured(&bench, "a", NULL);
    captured(&bench, "b", &record);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    arbiter_says(&bench, PROMO_EV_PROMISED, &none);
    assert_int_equal(bench.promo.state, PROMO_STATE_OPENING);
}

/* So does a primary that takes a later epoch of its own. */
static void
test_a_renewal_asks_too(void **state)
{
    (void)state;
    struct bench bench;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct quorum_note later = note_of(0, "c");
    later.epoch = epoch_make(4, "c");
    order.mode = PROMO_RENEWAL;
    begin(&bench, &record, &order);
    assert_non_null(effect_of(&bench, PROMO_DO_ASK_ARBITER));
    arbiter_says(&bench, PROMO_EV_TOLD, &later);
    members_answer(&bench);
    assert_int_equal(verdict(&bench, PROMO_CHECK_SYNC), PROMO_STOP);
    failed_with(&bench, "check_failed");

    struct quorum_note none = { .number = 4 };
    begin(&bench, &record, &order);
    arbiter_says(&bench, PROMO_EV_TOLD, &none);
    members_answer(&bench);
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
    assert_non_null(effect_of(&bench, PROMO_DO_PROMISE));
    captured(&bench, "b", &record);
    captured(&bench, "c", NULL);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "a" });
    assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
}

/* The holder goes on from its own note, also when its log does not have it yet. */
static void
test_a_restarted_holder_goes_on_from_its_note(void **state)
{
    (void)state;
    static const char *const members[] = { "a", "b", "c" };
    static const struct promo_limits limits = { 1000, 1000, 1000, 1000, 1000, 1000 };
    struct bench bench = { .now_ms = 1000 };
    struct node_facts own = facts_of("a", NODE_PRIMARY);
    struct quorum_record record = available();
    struct quorum_note note = note_of(0, "a");
    struct promo_order order = order_of(0, false);
    order.mode = PROMO_RESUMPTION;
    promo_init(&bench.promo, "a", &limits);
    assert_int_equal(promo_set(&bench.promo, &own, members, 3, &record, NULL), ERR_NONE);
    promo_set_note(&bench.promo, &note);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ORDER, .order = &order });
    assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    assert_true(quorum_equal(&bench.promo.armed_for, &note.set));
    assert_true(bench.promo.degraded);
    assert_int_equal(bench.promo.record.noted, 5);

    record.noted = 5; /* it has come back since */
    assert_int_equal(promo_set(&bench.promo, &own, members, 3, &record, NULL), ERR_CONFLICT);
    promo_init(&bench.promo, "a", &limits);
    assert_int_equal(promo_set(&bench.promo, &own, members, 3, &record, NULL), ERR_NONE);
    promo_set_note(&bench.promo, &note);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ORDER, .order = &order });
    assert_true(quorum_equal(&bench.promo.armed_for, &record.now));
    assert_false(bench.promo.degraded);
}

/* Async by the note: who was the last primary has all that was acknowledged. The one that the
 * members show is not, when the arbiter has heard of one after him. */
static void
test_an_old_primary_of_before_the_note_is_no_proof(void **state)
{
    (void)state;
    struct quorum_record record = available();
    struct promo_order order = order_of(0, false);
    struct quorum_note none = { .number = 4 };
    struct node_facts a = facts_of("a", NODE_FENCED);
    struct node_facts c = facts_of("c", NODE_STANDBY);
    for (unsigned i = 0; i < 3; i++) {
        struct bench bench;
        struct quorum_note note = note_of(0, "abc");
        note.epoch = i == 0 ? epoch_make(3, "a") : epoch_make(4, "c");
        begin(&bench, &record, &order);
        answers(&bench, &a);
        if (i < 2)
            answers(&bench, &c);
        else
            step(&bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "c" });
        arbiter_says(&bench, PROMO_EV_TOLD, i < 2 ? &none : &note);
        if (i == 2) { /* known before: one who is not there is the last one */
            failed_with(&bench, "check_failed");
            assert_int_equal(verdict(&bench, PROMO_CHECK_QUORUM), PROMO_STOP);
            continue;
        }
        assert_int_equal(bench.promo.state, PROMO_STATE_CAPTURING);
        captured(&bench, "b", &record);
        captured(&bench, "a", NULL);
        arbiter_says(&bench, PROMO_EV_PROMISED, &note);
        assert_int_equal(bench.promo.state, i == 0 ? PROMO_STATE_ARMING : PROMO_STATE_CAPTURING);
        if (i == 1)
            captured(&bench, "c", NULL);
        assert_int_equal(bench.promo.state, PROMO_STATE_ARMING);
    }
}

/* Async by the log that is pulled. Who was asked had no row of another primary yet, and has some
 * when it is captured: the old primary that we know of has not all that was acknowledged. */
static void
test_an_old_primary_of_before_a_row_is_no_proof(void **state)
{
    (void)state;
    struct quorum_record record = { .now = set_of(0, "abc") };
    struct node_facts a = facts_of("a", NODE_FENCED);
    struct node_facts c = facts_of("c", NODE_STANDBY);
    for (unsigned i = 0; i < 4; i++) {
        struct bench bench;
        bool later = i % 2 == 1;
        struct promo_order order = order_of(0, i >= 2);
        struct promo_event rows = { .kind = PROMO_EV_CAPTURED,
                                    .node = "c",
                                    .ok = true,
                                    .position = at(118),
                                    .promised = epoch_make(4, "d") };
        if (later)
            rows.position.epoch = epoch_make(4, "d");
        begin(&bench, &record, &order);
        answers(&bench, &a);
        answers(&bench, &c);
        bench.promo.record.now = bench.promo.log.now = set_of(0, "abcd"); /* d is not there */
        captured(&bench, "b", NULL);
        step(&bench, rows);
        captured(&bench, "a", NULL);
        if (later && i < 2) {
            failed_with(&bench, "quorum_lost");
            continue;
        }
        assert_int_equal(bench.promo.state, PROMO_STATE_CATCHING_UP);
        assert_int_equal(bench.promo.proof, later ? PROMO_ASSERTED : PROMO_FENCED_PROVED);
    }
}

/* Its lease lapsed while the database was being opened, and what fenced it came after that: it
 * would refuse the first row for ever. One of which nobody knows what became is tried again. */
static void
test_a_first_row_that_is_refused_ends_it(void **state)
{
    (void)state;
    struct bench bench;
    struct promo_order order = order_of(0, false);
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    begin_capture(&bench, &order, NULL);
    captured(&bench, "b", &record);
    captured(&bench, "c", NULL);
    arbiter_says(&bench, PROMO_EV_PROMISED, &none);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ARMED, .ok = true });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_OPENED, .ok = true });
    assert_non_null(effect_of(&bench, PROMO_DO_FIRST_ROW));
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ACKNOWLEDGED, .text = "unknown" });
    assert_int_equal(bench.promo.state, PROMO_STATE_ACKNOWLEDGING);
    bench.now_ms += 1000;
    step(&bench, (struct promo_event){ .kind = PROMO_EV_TIMEOUT });
    assert_non_null(effect_of(&bench, PROMO_DO_FIRST_ROW));

    step(&bench, (struct promo_event){
                     .kind = PROMO_EV_ACKNOWLEDGED, .fenced = true, .text = "not primary" });
    failed_with(&bench, "first_row_refused");
    assert_non_null(effect_of(&bench, PROMO_DO_FINISHED));
    assert_null(effect_of(&bench, PROMO_DO_WRITES_OPEN));
    assert_non_null(strstr(bench.promo.failure.text, "not primary"));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_strict_primary_never_goes_on_alone),
        cmocka_unit_test(test_a_takeover_does_not_wait_for_who_is_gone),
        cmocka_unit_test(test_the_arbiter_is_asked_and_promises),
        cmocka_unit_test(test_the_epoch_is_later_than_what_the_arbiter_has_promised),
        cmocka_unit_test(test_a_note_that_excludes_us_stops),
        cmocka_unit_test(test_a_note_of_before_stops_nobody),
        cmocka_unit_test(test_who_is_left_takes_over_alone),
        cmocka_unit_test(test_an_arbiter_that_is_silent_stops),
        cmocka_unit_test(test_a_note_that_came_between_stops),
        cmocka_unit_test(test_an_arbiter_that_does_not_promise_stops),
        cmocka_unit_test(test_the_old_primarys_own_promise_is_not_enough),
        cmocka_unit_test(test_the_arbiter_of_the_newest_record_counts),
        cmocka_unit_test(test_an_accepted_loss_goes_on),
        cmocka_unit_test(test_an_accepted_loss_alone_is_recorded_as_degraded),
        cmocka_unit_test(test_a_lone_candidate_waits_for_the_lease),
        cmocka_unit_test(test_an_epoch_that_nobody_heard_of_ends_no_note),
        cmocka_unit_test(test_a_switchover_asks_too),
        cmocka_unit_test(test_a_renewal_asks_too),
        cmocka_unit_test(test_a_restarted_holder_goes_on_from_its_note),
        cmocka_unit_test(test_an_old_primary_of_before_the_note_is_no_proof),
        cmocka_unit_test(test_an_old_primary_of_before_a_row_is_no_proof),
        cmocka_unit_test(test_a_first_row_that_is_refused_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
