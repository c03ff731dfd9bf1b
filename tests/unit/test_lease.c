/*
 * Every rule of the lease: each row of the printed table is reached by a case here, and each state
 * that it may lead to. What they are good for together is shown by tests/unit/test_lease_pair.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "tests/unit/lease_bench.h"

struct lease_case {
    enum lease_state from;
    enum lease_event_kind on;
    arrange_fn *arrange; /* may be NULL */
    enum lease_state to;
    const char *effects;
};

/* ------------------------------------------------------------------ the cases */

#define CASE(from, on, arrange, to, effects)                                                       \
    {                                                                                              \
        LEASE_STATE_##from, LEASE_EV_##on, arrange, LEASE_STATE_##to, effects                      \
    }

/* clang-format off */
static const struct lease_case cases[] = {
    CASE(NONE, CONFIGURE, no_arbiter, NONE, ""),
    CASE(NONE, CONFIGURE, gets_an_arbiter, IDLE, "READ REPORT ALARM+1000"),
    CASE(NONE, CONFIGURE, acting_gets_an_arbiter, WANTED, "STOP READ REPORT ALARM+1000"),
    CASE(NONE, WANT, NULL, NONE, "WATCHDOG:0 GATE:0 MAY_ACT:0 NOTE"),
    CASE(NONE, REPLY, of_an_earlier_question, NONE, "ALARM+900"),
    CASE(NONE, CONFIRM, NULL, NONE, ""),
    CASE(NONE, WORD, NULL, NONE, ""),
    CASE(NONE, PROVED, NULL, NONE, ""),
    CASE(NONE, TICK, NULL, NONE, ""),
    CASE(NONE, HOLD, NULL, NONE, ""),
    CASE(NONE, CLOSE, acting, NONE, "STOP"),
    CASE(NONE, CLOSE, NULL, NONE, ""),
    CASE(NONE, STOPPED, NULL, NONE, ""),

    CASE(IDLE, CONFIGURE, NULL, IDLE, "READ ALARM+1000"),
    CASE(IDLE, CONFIGURE, no_arbiter, NONE, "REPORT"),
    CASE(IDLE, CONFIGURE, another_arbiter, IDLE, "READ NOTE ALARM+1000"),
    CASE(IDLE, WANT, NULL, WANTED, "WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(IDLE, REPLY, read_a_lease, IDLE, "ALARM+400"),
    CASE(IDLE, REPLY, read_a_later, IDLE, "NOTE ALARM+400"),
    CASE(IDLE, REPLY, restored, IDLE, "REPORT ALARM+900"),
    CASE(IDLE, REPLY, empty, IDLE, "REPORT ALARM+900"),
    CASE(IDLE, REPLY, unclear, IDLE, "ALARM+900"),
    CASE(IDLE, REPLY, unclear_for_long, IDLE, "REPORT ALARM+900"),
    CASE(IDLE, CONFIRM, NULL, IDLE, "ALARM+900"),
    CASE(IDLE, WORD, NULL, IDLE, "ALARM+900"),
    CASE(IDLE, PROVED, NULL, IDLE, "ALARM+900"),
    CASE(IDLE, TICK, NULL, IDLE, "ALARM+900"),
    CASE(IDLE, TICK, due, IDLE, "READ ALARM+1000"),
    CASE(IDLE, HOLD, NULL, IDLE, ""),
    CASE(IDLE, CLOSE, NULL, IDLE, "ALARM+900"),
    CASE(IDLE, STOPPED, NULL, IDLE, "ALARM+900"),

    CASE(WANTED, CONFIGURE, NULL, WANTED, "READ ALARM+1000"),
    CASE(WANTED, CONFIGURE, another_arbiter, WANTED, "READ NOTE ALARM+1000"),
    CASE(WANTED, CONFIGURE, no_arbiter, NONE, "WATCHDOG:0 GATE:0 MAY_ACT:0 NOTE REPORT"),
    CASE(WANTED, WANT, NULL, WANTED, "ALARM+900"),
    CASE(WANTED, WANT, renewed_epoch, WANTED, "WATCHDOG:0 GATE:0 READ ALARM+1000"),
    CASE(WANTED, REPLY, read_a_lease, WANTED, "ALARM+400"),
    CASE(WANTED, REPLY, read_what_ran_out, WANTED, "ACQUIRE ALARM+1000"),
    CASE(WANTED, REPLY, read_our_own, WANTED, "NOTE ALARM+400"),
    CASE(WANTED, REPLY, read_our_own_that_acts, WANTED, "NOTE ALARM+400"),
    CASE(WANTED, REPLY, read_our_own_that_stopped, WANTED, "RELEASE NOTE ALARM+1000"),
    CASE(WANTED, REPLY, released_our_own, WANTED, "ACQUIRE NOTE ALARM+1000"),
    CASE(WANTED, REPLY, read_that_it_was_released, WANTED, "NOTE ALARM+1000"),
    CASE(WANTED, REPLY, read_a_later, LOST, "FENCE NOTE REPORT ALARM+1000"),
    CASE(WANTED, REPLY, granted, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_a_longer_lease, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_clean, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_clean_of_too_early_a_record, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_clean_but_sworn, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+600"),
    CASE(WANTED, REPLY, granted_clean_and_sworn_long_ago, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_proof, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_proof_of_another, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_proof_long_after_reading, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_ourselves, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_once_more, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_once_more_long_after_it_was_confirmed, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_once_more_to_one_who_never_acted, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_to_one_who_has_waited, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_too_late, WANTED, "READ NOTE ALARM+1000"),
    CASE(WANTED, REPLY, of_an_earlier_question, WANTED, "ALARM+900"),
    CASE(WANTED, REPLY, restored_but_granted, WANTED, "REPORT ALARM+800"),
    CASE(WANTED, REPLY, taken, WANTED, "ALARM+700"),
    CASE(WANTED, REPLY, stale, LOST, "FENCE NOTE REPORT ALARM+1000"),
    CASE(WANTED, REPLY, restored, WANTED, "REPORT ALARM+800"),
    CASE(WANTED, REPLY, empty, WANTED, "REPORT ALARM+800"),
    CASE(WANTED, REPLY, unclear, WANTED, "ALARM+800"),
    CASE(WANTED, REPLY, unclear_and_confirmed, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 NOTE REPORT ALARM+800"),
    CASE(WANTED, CONFIRM, NULL, WANTED, "ALARM+900"),
    CASE(WANTED, CONFIRM, confirms_last, WANTED, "ALARM+900"),
    CASE(WANTED, CONFIRM, confirms_last_and_unclear, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 NOTE REPORT ALARM+800"),
    CASE(WANTED, CONFIRM, confirms_too_old, WANTED, "ALARM+800"),
    CASE(WANTED, CONFIRM, confirms_what_we_were, WANTED, "ALARM+800"),
    CASE(WANTED, CONFIRM, follows_another, WANTED, "ALARM+800"),
    CASE(WANTED, WORD, follows_a_later, IDLE, "READ REPORT ALARM+1000"),
    CASE(WANTED, WORD, NULL, WANTED, "ALARM+900"),
    CASE(WANTED, PROVED, NULL, WANTED, "READ ALARM+1000"),
    CASE(WANTED, TICK, NULL, WANTED, "ALARM+900"),
    CASE(WANTED, TICK, due, WANTED, "READ ALARM+1000"),
    CASE(WANTED, TICK, due_while_empty, WANTED, "READ REPORT ALARM+800"),
    CASE(WANTED, TICK, alone_and_unclear, FAILSAFE, "WATCHDOG+4500 GATE+4500 MAY_ACT+4500 NOTE REPORT ALARM+900"),
    CASE(WANTED, HOLD, NULL, WANTED, "ASK_MEMBERS ALARM+1000"),
    CASE(WANTED, CLOSE, NULL, IDLE, "READ REPORT ALARM+1000"),
    CASE(WANTED, STOPPED, NULL, WANTED, "ALARM+900"),

    CASE(WAITING, CONFIGURE, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, CONFIGURE, another_arbiter, WANTED, "READ NOTE REPORT ALARM+1000"),
    CASE(WAITING, CONFIGURE, no_arbiter, NONE, "WATCHDOG:0 GATE:0 MAY_ACT:0 NOTE REPORT"),
    CASE(WAITING, WANT, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, WANT, renewed_epoch, WANTED, "WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(WAITING, REPLY, renewed, WAITING, "NOTE ALARM+800"),
    CASE(WAITING, REPLY, unclear, WAITING, "ALARM+800"),
    CASE(WAITING, REPLY, unclear_and_confirmed, HELD, "WATCHDOG+4000 GATE+4000 MAY_ACT+4000 NOTE REPORT ALARM+800"),
    CASE(WAITING, REPLY, expired, WAITING, "NOTE ALARM+50"),
    CASE(WAITING, REPLY, stale, LOST, "FENCE NOTE REPORT ALARM+1000"),
    CASE(WAITING, CONFIRM, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, CONFIRM, confirms_last, HELD, "WATCHDOG+4000 GATE+4000 MAY_ACT+4000 NOTE REPORT ALARM+900"),
    CASE(WAITING, WORD, follows_a_later, IDLE, "READ REPORT ALARM+1000"),
    CASE(WAITING, WORD, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, PROVED, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, PROVED, proved_who_was_last, HELD, "WATCHDOG+4000 GATE+4000 MAY_ACT+4000 NOTE REPORT ALARM+900"),
    CASE(WAITING, PROVED, proved_who_was_sworn, HELD, "WATCHDOG+4000 GATE+4000 MAY_ACT+4000 NOTE REPORT ALARM+900"),
    CASE(WAITING, PROVED, proved_while_sworn_to_another, WAITING, "ALARM+600"),
    CASE(WAITING, TICK, waited_but_sworn, WAITING, "ALARM+600"),
    CASE(WAITING, TICK, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, TICK, waited, HELD, "WATCHDOG+4000 GATE+4000 MAY_ACT+4000 NOTE REPORT ALARM+900"),
    CASE(WAITING, TICK, due, WAITING, "RENEW ALARM+800"),
    CASE(WAITING, TICK, due_once_more, WAITING, "ACQUIRE ALARM+800"),
    CASE(WAITING, TICK, woke_too_late, WANTED, "READ REPORT ALARM+1000"),
    CASE(WAITING, EXPIRE, woke_too_late, WANTED, "READ REPORT ALARM+1000"),
    CASE(WAITING, HOLD, NULL, WAITING, "ASK_MEMBERS ALARM+1000"),
    CASE(WAITING, CLOSE, NULL, IDLE, "READ REPORT ALARM+1000"),
    CASE(WAITING, STOPPED, NULL, WAITING, "ALARM+800"),

    CASE(HELD, CONFIGURE, NULL, HELD, "ALARM+900"),
    CASE(HELD, CONFIGURE, shorter, HELD, "WATCHDOG+1500 GATE+1500 MAY_ACT+1500 ALARM+900"),
    CASE(HELD, CONFIGURE, another_arbiter, HELD, "ACQUIRE NOTE ALARM+1000"),
    CASE(HELD, CONFIGURE, no_arbiter, NONE, "WATCHDOG:0 GATE:0 MAY_ACT:0 REPORT"),
    CASE(HELD, WANT, NULL, HELD, "ALARM+900"),
    CASE(HELD, WANT, renewed_epoch, WANTED, "STOP WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(HELD, REPLY, renewed, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 ALARM+900"),
    CASE(HELD, REPLY, renewed_too_late, HELD, "ALARM+50"),
    CASE(HELD, REPLY, of_an_earlier_question, HELD, "ALARM+900"),
    CASE(HELD, REPLY, unclear, HELD, "ALARM+800"),
    CASE(HELD, REPLY, unclear_for_long, HELD, "REPORT ALARM+800"),
    CASE(HELD, REPLY, unclear_and_confirmed, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 REPORT ALARM+800"),
    CASE(HELD, REPLY, expired, HELD, "ALARM+50"),
    CASE(HELD, REPLY, expired_and_released, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(HELD, REPLY, taken, HELD, "ALARM+700"),
    CASE(HELD, REPLY, stale, LOST, "STOP FENCE NOTE REPORT ALARM+1000"),
    CASE(HELD, REPLY, restored, HELD, "REPORT ALARM+800"),
    CASE(HELD, REPLY, read_what_holds_again, HELD, "ACQUIRE ALARM+1000"),
    CASE(HELD, REPLY, read_a_later, LOST, "STOP FENCE NOTE REPORT ALARM+1000"),
    CASE(HELD, REPLY, woke_too_late_to_a_grant, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(HELD, CONFIRM, confirms_last, HELD, "ALARM+900"),
    CASE(HELD, CONFIRM, confirms_last_and_unclear, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 REPORT ALARM+800"),
    CASE(HELD, CONFIRM, confirms_last_on_hold, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 REPORT ALARM+800"),
    CASE(HELD, CONFIRM, confirms_too_old, HELD, "ALARM+800"),
    CASE(HELD, CONFIRM, confirms_what_we_were, HELD, "ALARM+800"),
    CASE(HELD, CONFIRM, follows_another, HELD, "ALARM+800"),
    CASE(HELD, CONFIRM, woke_too_late_and_confirmed, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(HELD, WORD, follows_a_later, RELEASING, "STOP WATCHDOG:0 REPORT ALARM+5000"),
    CASE(HELD, WORD, follows_a_later_on_hold, IDLE, "STOP WATCHDOG:0 REPORT"),
    CASE(HELD, WORD, NULL, HELD, "ALARM+900"),
    CASE(HELD, PROVED, NULL, HELD, "ALARM+900"),
    CASE(HELD, TICK, NULL, HELD, "ALARM+900"),
    CASE(HELD, TICK, due, HELD, "RENEW ALARM+1000"),
    CASE(HELD, TICK, due_while_empty, HELD, "READ REPORT ALARM+800"),
    CASE(HELD, TICK, near_the_end, HELD, "ALARM+100"),
    CASE(HELD, TICK, due_on_hold, HELD, "ALARM+800"),
    CASE(HELD, TICK, due_once_more, HELD, "ACQUIRE ALARM+1000"),
    CASE(HELD, TICK, unanswered, HELD, "ASK_MEMBERS ALARM+50"),
    CASE(HELD, TICK, alone_and_unclear, FAILSAFE, "WATCHDOG+4500 GATE+4500 MAY_ACT+4500 REPORT ALARM+900"),
    CASE(HELD, EXPIRE, woke_too_late, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(HELD, HOLD, NULL, HELD, "ASK_MEMBERS ALARM+1000"),
    CASE(HELD, CLOSE, NULL, RELEASING, "STOP WATCHDOG:0 REPORT ALARM+5000"),
    CASE(HELD, CLOSE, on_hold, IDLE, "STOP WATCHDOG:0 REPORT"),
    CASE(HELD, STOPPED, NULL, HELD, "ALARM+900"),

    CASE(FAILSAFE, CONFIGURE, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, CONFIGURE, no_arbiter, NONE, "WATCHDOG:0 GATE:0 MAY_ACT:0 REPORT"),
    CASE(FAILSAFE, WANT, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, WANT, renewed_epoch, WANTED, "STOP WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(FAILSAFE, REPLY, granted, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(FAILSAFE, REPLY, read_what_ran_out, FAILSAFE, "ACQUIRE ALARM+800"),
    CASE(FAILSAFE, REPLY, read_a_lease, FAILSAFE, "ALARM+400"),
    CASE(FAILSAFE, REPLY, read_that_it_was_released, FAILSAFE, "NOTE ALARM+800"),
    CASE(FAILSAFE, REPLY, unclear, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, REPLY, taken, FAILSAFE, "ALARM+700"),
    CASE(FAILSAFE, REPLY, stale, LOST, "STOP FENCE NOTE REPORT ALARM+1000"),
    CASE(FAILSAFE, CONFIRM, confirms_last_and_unclear, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 ALARM+800"),
    CASE(FAILSAFE, CONFIRM, follows_another, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, WORD, follows_a_later, RELEASING, "STOP WATCHDOG:0 REPORT ALARM+5000"),
    CASE(FAILSAFE, WORD, follows_a_later_on_hold, IDLE, "STOP WATCHDOG:0 REPORT"),
    CASE(FAILSAFE, WORD, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, PROVED, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, TICK, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, TICK, due, FAILSAFE, "READ ALARM+800"),
    CASE(FAILSAFE, TICK, woke_too_late, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(FAILSAFE, EXPIRE, woke_too_late, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(FAILSAFE, HOLD, NULL, FAILSAFE, "ASK_MEMBERS ALARM+1000"),
    CASE(FAILSAFE, CLOSE, NULL, RELEASING, "STOP WATCHDOG:0 REPORT ALARM+5000"),
    CASE(FAILSAFE, CLOSE, on_hold, IDLE, "STOP WATCHDOG:0 REPORT"),
    CASE(FAILSAFE, STOPPED, NULL, FAILSAFE, "ALARM+800"),

    CASE(LOST, CONFIGURE, no_arbiter, LOST, "REPORT ALARM+700"),
    CASE(LOST, WANT, NULL, WANTED, "WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(LOST, REPLY, of_an_earlier_question, LOST, "REPORT ALARM+700"),
    CASE(LOST, CONFIRM, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, WORD, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, PROVED, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, TICK, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, TICK, repeats, LOST, "FENCE REPORT ALARM+1000"),
    CASE(LOST, HOLD, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, CLOSE, NULL, IDLE, "WATCHDOG:0 READ REPORT ALARM+1000"),
    CASE(LOST, CLOSE, no_arbiter_any_more, NONE, "WATCHDOG:0 REPORT"),
    CASE(LOST, STOPPED, NULL, LOST, "REPORT ALARM+700"),

    CASE(RELEASING, CONFIGURE, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, CONFIGURE, another_arbiter, IDLE, "READ NOTE REPORT ALARM+1000"),
    CASE(RELEASING, CONFIGURE, no_arbiter, NONE, "REPORT"),
    CASE(RELEASING, WANT, NULL, WANTED, "WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(RELEASING, REPLY, released, IDLE, "READ REPORT ALARM+1000"),
    CASE(RELEASING, REPLY, unclear, RELEASING, "ALARM+700"),
    CASE(RELEASING, CONFIRM, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, WORD, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, PROVED, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, TICK, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, TICK, stopped, RELEASING, "RELEASE ALARM+700"),
    CASE(RELEASING, TICK, repeats, IDLE, "READ REPORT ALARM+1000"),
    CASE(RELEASING, HOLD, NULL, IDLE, "REPORT"),
    CASE(RELEASING, CLOSE, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, STOPPED, due, RELEASING, "RELEASE ALARM+700"),
};
/* clang-format on */

static void
test_every_case(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct lease_case *it = &cases[i];
        struct bench bench;
        struct lease_effects effects;
        struct err err;
        begin(&bench, it->from, it->on);
        if (it->arrange != NULL)
            it->arrange(&bench);
        assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, &err), ERR_NONE);
        render(&bench, &effects);
        assert_true(bench.lease.reason[0] != '\0');
        if (bench.lease.state == it->to && strcmp(bench.text, it->effects) == 0)
            continue;
        print_message("case %zu, %s in %s: came to %s with \"%s\", not to %s with \"%s\"\n", i,
                      lease_event_name(it->on), lease_state_name(it->from),
                      lease_state_name(bench.lease.state), bench.text, lease_state_name(it->to),
                      it->effects);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static bool
is_reached(enum lease_state from, enum lease_event_kind on, enum lease_state to)
{
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (cases[i].from == from && cases[i].on == on && cases[i].to == to)
            return true;
    }
    return false;
}

/* The printed table promises no more and no less than the cases reach. */
static void
test_every_row_and_every_target_is_reached(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf table = { 0 };
    lease_print_table(&table);
    char *line = table.data;
    for (unsigned from = 0; from < LEASE_STATE_COUNT; from++) {
        for (unsigned on = 0; on < LEASE_EV_COUNT; on++) {
            char *end = strchr(line, '\n');
            *end = '\0';
            char targets[128];
            const char *arrow = strstr(line, "-> ");
            (void)snprintf(targets, sizeof targets, " %s ", arrow == NULL ? "" : arrow + 3);
            for (unsigned to = 0; to < LEASE_STATE_COUNT; to++) {
                char name[32];
                (void)snprintf(name, sizeof name, " %s ", lease_state_name((enum lease_state)to));
                bool promised = strstr(targets, name) != NULL;
                /* TICK finds the deadline passed: the row of EXPIRE, then that of TICK */
                bool by_expiry =
                    is_reached((enum lease_state)from, LEASE_EV_EXPIRE, (enum lease_state)to);
                if (promised != is_reached((enum lease_state)from, (enum lease_event_kind)on,
                                           (enum lease_state)to) &&
                    (promised || !by_expiry))
                    fail_msg("'%s': %s is %sreached by a case", line, name, promised ? "not " : "");
            }
            line = end + 1;
        }
    }
}

/* Total: every pair has a row, but for the end of a lease that is not there. */
static void
test_only_an_end_that_is_not_due_is_refused(void **state)
{
    (void)state;
    for (unsigned from = 0; from < LEASE_STATE_COUNT; from++) {
        struct bench bench;
        struct lease_effects effects = { .count = 7 };
        struct err err;
        begin(&bench, (enum lease_state)from, LEASE_EV_EXPIRE);
        struct lease before = bench.lease;
        assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, &err), ERR_CONFLICT);
        assert_int_equal(effects.count, 0);
        assert_string_equal(err.slug, "lease_no_rule");
        assert_memory_equal(&before, &bench.lease, sizeof before);
    }
    CLEANUP(buf_done) struct buf table = { 0 };
    lease_print_table(&table);
    for (char *line = strtok(table.data, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_true(strstr(line, "refused") == NULL || strstr(line, " EXPIRE ") != NULL);
}

/* Whatever is heard first after a deadline that was slept through: what acts stops, then the fence,
 * before anything else, and the event brings nothing back. */
static void
test_who_wakes_after_the_deadline_fences_first(void **state)
{
    (void)state;
    static arrange_fn *const arrange[] = { NULL, renewed, confirms_last_and_unclear, due, waited };
    static const enum lease_state states[] = { LEASE_STATE_HELD, LEASE_STATE_FAILSAFE };
    for (unsigned i = 0; i < 2 * LEASE_EV_COUNT * ARRAY_COUNT(arrange); i++) {
        enum lease_event_kind on = (enum lease_event_kind)(i / 2 % LEASE_EV_COUNT);
        struct bench bench;
        struct lease_effects effects;
        begin(&bench, states[i % 2], on);
        bench.reply.serial = 99; /* of no question, unless arranged */
        if (arrange[i / 2 / LEASE_EV_COUNT] != NULL)
            arrange[i / 2 / LEASE_EV_COUNT](&bench);
        bench.lease.deadline_ms = NOW - 1;
        assert_false(lease_may_act(&bench.lease, NOW));
        assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
        assert_true(effects.count >= 2);
        assert_int_equal(effects.list[0].kind, LEASE_DO_MAY_ACT);
        assert_false(effects.list[0].may);
        assert_int_equal(effects.list[1].kind, LEASE_DO_FENCE);
        assert_false(lease_may_act(&bench.lease, NOW));
    }
}

static void
test_nothing_is_allowed_before_the_settings_are_read(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    struct epoch epoch = ours();
    begin(&bench, LEASE_STATE_NONE, LEASE_EV_WANT);
    lease_init(&bench.lease, "b-1", NULL);
    assert_false(lease_is_granted(&bench.lease, &epoch, NOW));
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    render(&bench, &effects);
    assert_string_equal(bench.text, "WATCHDOG:0 GATE:0 REPORT");
    assert_false(lease_may_act(&bench.lease, NOW));
    bench.event.kind = LEASE_EV_TICK;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(effects.count, 0);

    bench.event.kind = LEASE_EV_CONFIGURE; /* no arbiter */
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_true(lease_may_act(&bench.lease, NOW));
    assert_true(lease_is_granted(&bench.lease, &epoch, NOW));
}

/* What goes on under an epoch has to be granted that one. */
static void
test_granted_is_said_of_one_epoch(void **state)
{
    (void)state;
    struct bench bench;
    struct epoch epoch = ours();
    struct epoch other = theirs();
    begin(&bench, LEASE_STATE_WAITING, LEASE_EV_TICK);
    assert_true(lease_is_granted(&bench.lease, &epoch, NOW));
    assert_false(lease_is_granted(&bench.lease, &other, NOW));
    assert_false(lease_is_granted(&bench.lease, &epoch, NOW + 4000));
    assert_false(lease_may_act(&bench.lease, NOW));
    begin(&bench, LEASE_STATE_HELD, LEASE_EV_TICK);
    assert_true(lease_may_act(&bench.lease, NOW + 3999));
    assert_false(lease_may_act(&bench.lease, NOW + 4000));
}

/* I9: the word of a member lets the holder act; so the member does not, for so long as it holds,
 * whoever released in between. What was said before a start is not known. */
static void
test_a_word_is_kept(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_IDLE, LEASE_EV_WORD);
    bench.event.lease_ms = 7000;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.sworn_ms, NOW + 7000);
    bench.event.lease_ms = 1000;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.sworn_ms, NOW + 7000);

    lease_init(&bench.lease, "b-1", NULL);
    bench.event.kind = LEASE_EV_CONFIGURE;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.sworn_ms, NOW + TTL);
    bench.event.now_ms += 100;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.sworn_ms, NOW + TTL);
}

static uint64_t
step_and_see_grant(struct bench *bench, enum lease_event_kind on, enum lease_op op)
{
    struct lease_effects effects;
    bench->event.kind = on;
    assert_int_equal(lease_step(&bench->lease, &bench->event, &effects, NULL), ERR_NONE);
    for (size_t i = 0; i < effects.count; i++) {
        if (effects.list[i].kind == LEASE_DO_ASK_ARBITER && effects.list[i].op == op)
            return effects.list[i].grant;
    }
    return UINT64_MAX;
}

/* What comes late to the arbiter must find that it belongs to an earlier grant. */
static void
test_a_question_names_its_grant(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, LEASE_STATE_WANTED, LEASE_EV_REPLY);
    granted_clean(&bench);
    bench.reply.record.grant = 7;
    (void)step_and_see_grant(&bench, LEASE_EV_REPLY, LEASE_OP_RENEW);
    assert_int_equal(bench.lease.state, LEASE_STATE_HELD);
    bench.lease.ask_ms = NOW;
    assert_int_equal(step_and_see_grant(&bench, LEASE_EV_TICK, LEASE_OP_RENEW), 7);

    expired(&bench); /* of another grant: it is acquired anew, as which no grant is named */
    bench.reply.record.grant = 8;
    (void)step_and_see_grant(&bench, LEASE_EV_REPLY, LEASE_OP_RENEW);
    bench.lease.ask_ms = NOW;
    assert_int_equal(step_and_see_grant(&bench, LEASE_EV_TICK, LEASE_OP_ACQUIRE), 0);
    granted_clean(&bench);
    bench.reply.record.grant = 9;
    (void)step_and_see_grant(&bench, LEASE_EV_REPLY, LEASE_OP_RENEW);
    (void)step_and_see_grant(&bench, LEASE_EV_CLOSE, LEASE_OP_RELEASE);
    assert_int_equal(step_and_see_grant(&bench, LEASE_EV_STOPPED, LEASE_OP_RELEASE), 9);

    begin(&bench, LEASE_STATE_WANTED, LEASE_EV_REPLY); /* of our epoch before: as it was read */
    bench.lease.grant = 3;
    read_our_own_that_stopped(&bench);
    bench.reply.record.grant = 2;
    assert_int_equal(step_and_see_grant(&bench, LEASE_EV_REPLY, LEASE_OP_RELEASE), 2);

    begin(&bench, LEASE_STATE_HELD, LEASE_EV_WANT); /* nothing is known of the next epoch's */
    bench.lease.grant = 3;
    renewed_epoch(&bench);
    (void)step_and_see_grant(&bench, LEASE_EV_WANT, LEASE_OP_READ);
    assert_int_equal(bench.lease.grant, 0);
    begin(&bench, LEASE_STATE_HELD, LEASE_EV_CONFIGURE); /* nor of another arbiter's */
    bench.lease.grant = 3;
    another_arbiter(&bench);
    (void)step_and_see_grant(&bench, LEASE_EV_CONFIGURE, LEASE_OP_ACQUIRE);
    assert_int_equal(bench.lease.grant, 0);
}

static void
test_members_that_stay_keep_what_they_confirmed(void **state)
{
    static const char *const others[] = { "c-1", "d-1" };
    (void)state;
    struct bench bench;
    begin(&bench, LEASE_STATE_HELD, LEASE_EV_TICK);
    all_confirmed(&bench);
    lease_set_members(&bench.lease, others, 2);
    assert_int_equal(bench.lease.members[0].asked_ms, NOW - 200);
    assert_int_equal(bench.lease.members[1].asked_ms, 0);
}

static void
test_what_was_released_needs_a_later_epoch(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_WANTED, LEASE_EV_REPLY);
    read_what_ran_out(&bench);
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_false(lease_needs_later_epoch(&bench.lease));
    begin(&bench, LEASE_STATE_WANTED, LEASE_EV_REPLY);
    read_that_it_was_released(&bench);
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_true(lease_needs_later_epoch(&bench.lease));
    assert_string_equal(bench.lease.reason,
                        "epoch 2/b-1 was released: only a later one can be granted");
}

/* A RELEASE that was asked may be carried out late: the epoch is over, whatever the record says. */
static void
test_what_is_being_released_needs_a_later_epoch(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_RELEASING, LEASE_EV_STOPPED);
    bench.lease.ask_ms = NOW;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    bench.event.kind = LEASE_EV_WANT;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_true(lease_needs_later_epoch(&bench.lease));
    uint32_t serial = bench.lease.serial;
    read_what_ran_out(&bench);
    bench.lease.serial = bench.reply.serial = serial;
    bench.reply.record.epoch = ours();
    bench.event.kind = LEASE_EV_REPLY;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.state, LEASE_STATE_WANTED);
    assert_false(bench.lease.asking);
}

static void
test_failsafe_needs_a_later_epoch_when_the_arbiter_is_heard(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_FAILSAFE, LEASE_EV_TICK);
    bench.lease.given_up = bench.lease.epoch;
    bench.lease.unclear_ms = NOW - 100;
    assert_false(lease_needs_later_epoch(&bench.lease));
    begin(&bench, LEASE_STATE_FAILSAFE, LEASE_EV_REPLY);
    read_that_it_was_released(&bench);
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.state, LEASE_STATE_FAILSAFE);
    assert_true(lease_needs_later_epoch(&bench.lease));
}

static uint64_t
waits_after_ms(uint64_t shown_ms)
{
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_WANTED, LEASE_EV_REPLY);
    read_a_lease(&bench);
    bench.reply.record.lease_ms = 20000;
    bench.event.now_ms = NOW - shown_ms;
    bench.reply.sent_ms = NOW - shown_ms - 10;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    granted(&bench);
    bench.event.now_ms = NOW;
    bench.reply.record.lease_ms = TTL;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.state, LEASE_STATE_WAITING);
    return bench.lease.wait_ms - NOW;
}

/* An arbiter that was put back shows how long an earlier lease was, not the one that is held. */
static void
test_a_longer_lease_that_was_shown_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(waits_after_ms(1000), 20000);
    assert_int_equal(waits_after_ms(19999), 20000);
    assert_int_equal(waits_after_ms(20000), TTL); /* it has run out, or would have been renewed */
}

/* Nobody knows who had the lease in between: the arbiter may have been put back. */
static void
test_a_wait_that_was_interrupted_begins_anew(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_WAITING, LEASE_EV_TICK);
    woke_too_late(&bench);
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.state, LEASE_STATE_WANTED);
    assert_int_equal(bench.lease.wait_ms, 0);
}

/* The members' word holds as long as the lease that was granted last, not as one that is set. */
static void
test_the_members_word_is_as_long_as_the_last_grant(void **state)
{
    (void)state;
    struct bench bench;
    struct lease_effects effects;
    begin(&bench, LEASE_STATE_HELD, LEASE_EV_REPLY);
    renewed(&bench);
    bench.lease.config.ttl_ms = bench.lease.asked_ttl_ms = 8000;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.deadline_ms, NOW - 100 + 7200);
    bench.lease.config.ttl_ms = 20000;
    bench.lease.unclear_ms = NOW - 10;
    bench.event.kind = LEASE_EV_CONFIRM;
    bench.event.now_ms = bench.event.asked_ms = NOW + 1000;
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    bench.event.node = "c-1";
    assert_int_equal(lease_step(&bench.lease, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.lease.state, LEASE_STATE_FAILSAFE);
    assert_int_equal(bench.lease.deadline_ms, NOW + 1000 + 7200);
}

static void
test_who_may_change_the_arbiter(void **state)
{
    (void)state;
    for (unsigned from = 0; from < LEASE_STATE_COUNT; from++) {
        struct bench bench;
        begin(&bench, (enum lease_state)from, LEASE_EV_TICK);
        bool expected =
            from == LEASE_STATE_NONE || from == LEASE_STATE_HELD || from == LEASE_STATE_FAILSAFE;
        assert_int_equal(lease_may_change_arbiter(&bench.lease, NOW), expected);
        if (from != LEASE_STATE_NONE)
            assert_false(lease_may_change_arbiter(&bench.lease, NOW + 4000));
    }
}

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(lease_alarm_name(LEASE_ALARM_NONE), "");
    assert_string_equal(lease_alarm_name(LEASE_ALARM_RESTORED), "arbiter_restored");
    assert_string_equal(lease_result_name(LEASE_RESULT_UNCLEAR), "UNCLEAR");
    assert_int_equal(lease_guard_ms(2000), 500);
    assert_int_equal(lease_guard_ms(20000), 2000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case),
        cmocka_unit_test(test_every_row_and_every_target_is_reached),
        cmocka_unit_test(test_only_an_end_that_is_not_due_is_refused),
        cmocka_unit_test(test_who_wakes_after_the_deadline_fences_first),
        cmocka_unit_test(test_nothing_is_allowed_before_the_settings_are_read),
        cmocka_unit_test(test_granted_is_said_of_one_epoch),
        cmocka_unit_test(test_a_word_is_kept),
        cmocka_unit_test(test_a_question_names_its_grant),
        cmocka_unit_test(test_members_that_stay_keep_what_they_confirmed),
        cmocka_unit_test(test_what_was_released_needs_a_later_epoch),
        cmocka_unit_test(test_what_is_being_released_needs_a_later_epoch),
        cmocka_unit_test(test_failsafe_needs_a_later_epoch_when_the_arbiter_is_heard),
        cmocka_unit_test(test_a_longer_lease_that_was_shown_is_waited_for),
        cmocka_unit_test(test_a_wait_that_was_interrupted_begins_anew),
        cmocka_unit_test(test_the_members_word_is_as_long_as_the_last_grant),
        cmocka_unit_test(test_who_may_change_the_arbiter),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
