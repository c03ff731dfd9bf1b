/*
 * A promotion where a primary may have given up its promise: what the arbiter is asked, and what
 * follows from its answers. "b" of {a, b, c}; a was primary of epoch 3, and does not answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/promo.h"

#define SINCE "2026-11-22T03:02:00.000Z"
#define NOW   "2026-11-22T03:09:00.000Z"
#define ROW   7 /* that chose the arbiter */

struct bench {
    struct promo promo;
    struct promo_effects effects;
    uint64_t now_ms;
};

static struct quorum_set
set_of(unsigned k, const char *letters)
{
    struct quorum_set set = { .k = k };
    for (; *letters != '\0'; letters++)
        assert_int_equal(quorum_add(&set, (char[]){ *letters, '\0' }, NULL), ERR_NONE);
    return set;
}

static struct position
at(uint64_t revision)
{
    return (struct position){ .epoch = epoch_make(3, "a"), .revision = revision, .hash = "x" };
}

static struct node_facts
facts_of(const char *name, enum node_state state)
{
    struct node_facts facts = { .state = state,
                                .epoch = epoch_make(state == NODE_PRIMARY ? 3 : 0,
                                                    state == NODE_PRIMARY ? name : ""),
                                .promised = epoch_make(3, "a"),
                                .applied = at(117),
                                .schema = 1,
                                .streaming = true,
                                .following = "a",
                                .site = "east" };
    assert_true(str_copy(facts.name, sizeof facts.name, name));
    return facts;
}

static struct quorum_note
note_of(unsigned k, const char *letters)
{
    return (struct quorum_note){ .number = 5,
                                 .given_up = true,
                                 .epoch = epoch_make(3, "a"),
                                 .revision = 120,
                                 .since = SINCE,
                                 .set = set_of(k, letters) };
}

static void
step(struct bench *bench, struct promo_event event)
{
    struct err err = { 0 };
    event.now_ms = bench->now_ms;
    if (promo_step(&bench->promo, &event, &bench->effects, &err) != ERR_NONE)
        fail_msg("%s: %s", promo_event_name(event.kind), err.text);
}

static const struct promo_effect *
effect_of(const struct bench *bench, enum promo_effect_kind kind)
{
    for (size_t i = 0; i < bench->effects.count; i++) {
        if (bench->effects.list[i].kind == kind)
            return &bench->effects.list[i];
    }
    return NULL;
}

static void
begin(struct bench *bench, const struct quorum_record *record, const struct promo_order *order)
{
    static const char *const members[] = { "a", "b", "c" };
    static const struct promo_limits limits = { 1000, 1000, 1000, 1000, 1000, 1000 };
    struct node_facts own = facts_of("b", NODE_STANDBY);
    memset(bench, 0, sizeof *bench);
    bench->now_ms = 1000;
    promo_init(&bench->promo, "b", &limits);
    assert_int_equal(promo_set(&bench->promo, &own, members, 3, record, NULL), ERR_NONE);
    step(bench, (struct promo_event){ .kind = PROMO_EV_ORDER, .order = order });
}

static void
answers(struct bench *bench, const struct node_facts *facts)
{
    step(bench, (struct promo_event){
                    .kind = PROMO_EV_ANSWER, .node = facts->name, .ok = true, .facts = facts });
}

static void
members_answer(struct bench *bench)
{
    struct node_facts facts = facts_of("c", NODE_STANDBY);
    step(bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
    answers(bench, &facts);
}

static void
arbiter_says(struct bench *bench, enum promo_event_kind kind, const struct quorum_note *note)
{
    step(bench, (struct promo_event){ .kind = kind, .ok = true, .arbiter = ROW, .note = note });
}

static void
captured(struct bench *bench, const char *node, const struct quorum_record *record)
{
    step(bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                      .node = node,
                                      .ok = true,
                                      .position = at(117),
                                      .promised = epoch_make(3, "a"),
                                      .record = record });
}

static struct quorum_record
available(void)
{
    return (struct quorum_record){ .now = set_of(1, "abc"), .arbiter = ROW, .agreed = true };
}

static struct promo_order
order_of(unsigned overrides, bool loss)
{
    return (struct promo_order){ .mode = PROMO_SWITCHOVER,
                                 .accept_data_loss = loss,
                                 .overrides = overrides,
                                 .connectors_ready = true,
                                 .time = NOW };
}

/* Up to CAPTURING, with the arbiter's answer: 'note' NULL, it has none. */
static void
begin_capture(struct bench *bench, const struct promo_order *order, const struct quorum_note *note)
{
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    begin(bench, &record, order);
    arbiter_says(bench, PROMO_EV_TOLD, note == NULL ? &none : note);
    members_answer(bench);
    assert_int_equal(bench->promo.state, PROMO_STATE_CAPTURING);
}

static enum promo_verdict
verdict(const struct bench *bench, enum promo_check check)
{
    return bench->promo.findings[check].verdict;
}

static void
failed_with(const struct bench *bench, const char *slug)
{
    assert_int_equal(bench->promo.state, PROMO_STATE_FAILED);
    assert_string_equal(bench->promo.failure.slug, slug);
}

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
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ARMED, .ok = true });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_PREPARED, .node = "a", .ok = true });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_PREPARED, .node = "c", .ok = true });
    step(&bench, (struct promo_event){ .kind = PROMO_EV_FROZEN, .ok = true, .position = at(117) });
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
        cmocka_unit_test(test_while_it_changes_every_voter_has_to_promise),
        cmocka_unit_test(test_while_it_changes_the_log_says_who_counts),
        cmocka_unit_test(test_an_arbiter_of_a_row_that_goes_aside_has_promised_nothing),
        cmocka_unit_test(test_who_was_not_changing_needs_the_promise_after_the_pull),
        cmocka_unit_test(test_what_is_pulled_may_ask_for_an_arbiter),
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
