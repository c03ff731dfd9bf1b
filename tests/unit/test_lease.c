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
#include "controller/base/str.h"
#include "sites/lease.h"

#define NOW 100000
#define TTL 5000

/* b-1 of {a-1, b-1, c-1}: primary of epoch 2 after a-1 was of epoch 1. */
struct bench {
    struct lease lease;
    struct lease_event event;
    struct lease_reply reply;
    struct lease_config config;
    char text[512]; /* the effects */
};

typedef void arrange_fn(struct bench *bench);

struct lease_case {
    enum lease_state from;
    enum lease_event_kind on;
    arrange_fn *arrange; /* may be NULL */
    enum lease_state to;
    const char *effects;
};

static struct epoch
ours(void)
{
    return epoch_make(2, "b-1");
}

static struct epoch
theirs(void)
{
    return epoch_make(1, "a-1");
}

static void
begin(struct bench *bench, enum lease_state from, enum lease_event_kind on)
{
    static const char *const members[] = { "a-1", "c-1" };
    struct lease_memory memory = { .arbiter = 7, .seen = theirs() };
    bool later = from == LEASE_STATE_HELD || from == LEASE_STATE_FAILSAFE ||
                 from == LEASE_STATE_LOST || from == LEASE_STATE_RELEASING;
    memset(bench, 0, sizeof *bench);
    lease_init(&bench->lease, "b-1", &memory);
    lease_set_members(&bench->lease, members, 2);
    struct lease *lease = &bench->lease;
    bench->config = (struct lease_config){ .arbiter = from == LEASE_STATE_NONE ? 0 : 7,
                                           .ttl_ms = TTL,
                                           .renew_ms = 1000 };
    lease->config = bench->config;
    lease->hold = false;
    lease->state = from;
    lease->ttl_ms = TTL;
    lease->ask_ms = NOW + 900;
    lease->gather_ms = NOW + 800;
    lease->repeat_ms = NOW + 700;
    if (from != LEASE_STATE_NONE && from != LEASE_STATE_IDLE) {
        lease->epoch = ours();
        lease->before = theirs();
    }
    if (later)
        lease->memory.cleared = ours();
    if (later && from != LEASE_STATE_FAILSAFE)
        lease->memory.seen = ours();
    lease->stopped = from != LEASE_STATE_LOST && from != LEASE_STATE_RELEASING;
    if (from == LEASE_STATE_WAITING || from == LEASE_STATE_HELD || from == LEASE_STATE_FAILSAFE)
        lease->deadline_ms = NOW + 4000;
    if (from == LEASE_STATE_WAITING)
        lease->wait_ms = NOW + 3000;
    bench->event = (struct lease_event){ .kind = on,
                                         .now_ms = NOW,
                                         .config = &bench->config,
                                         .epoch = on == LEASE_EV_PROVED ? theirs() : ours(),
                                         .before = theirs(),
                                         .reply = &bench->reply,
                                         .node = "a-1",
                                         .asked_ms = NOW - 300,
                                         .ok = true };
}

static void
render(struct bench *bench, const struct lease_effects *effects)
{
    size_t used = 0;
    bench->text[0] = '\0';
    for (size_t i = 0; i < effects->count; i++) {
        const struct lease_effect *effect = &effects->list[i];
        char more[64] = "";
        const char *word = lease_effect_name(effect->kind);
        long long after_ms = (long long)effect->at_ms - NOW;
        if (effect->kind == LEASE_DO_ASK_ARBITER)
            word = lease_op_name(effect->op);
        else if (effect->kind == LEASE_DO_MAY_ACT && !effect->may)
            word = "STOP";
        else if (effect->at_ms == 0 && effect->kind <= LEASE_DO_WATCHDOG)
            (void)snprintf(more, sizeof more, "%s",
                           effect->kind == LEASE_DO_ASK_MEMBERS ? "" : ":0");
        else if (effect->at_ms != 0)
            (void)snprintf(more, sizeof more, "+%lld", after_ms);
        used += (size_t)snprintf(bench->text + used, sizeof bench->text - used, "%s%s%s",
                                 used == 0 ? "" : " ", word, more);
        assert_true(used < sizeof bench->text);
    }
}

/* ------------------------------------------------------------------ circumstances */

static void
no_arbiter(struct bench *bench)
{
    bench->config.arbiter = 0;
}

static void
another_arbiter(struct bench *bench)
{
    bench->config.arbiter = 8;
}

static void
shorter(struct bench *bench)
{
    bench->config.ttl_ms = 2000;
    bench->config.renew_ms = 500;
}

static void
acting(struct bench *bench)
{
    bench->lease.epoch = ours();
    bench->lease.memory.cleared = ours();
}

static void
acting_gets_an_arbiter(struct bench *bench)
{
    acting(bench);
    bench->config.arbiter = 7;
}

static void
gets_an_arbiter(struct bench *bench)
{
    bench->config.arbiter = 7;
}

static void
renewed_epoch(struct bench *bench)
{
    bench->event.epoch = epoch_make(3, "b-1");
    bench->event.before = ours();
}

static void
answer(struct bench *bench, enum lease_op op, enum lease_result result)
{
    struct lease *lease = &bench->lease;
    lease->asking = true;
    lease->op = op;
    lease->serial = 5;
    lease->asked_ms = NOW - 100;
    lease->asked_ttl_ms = TTL;
    bench->reply =
        (struct lease_reply){ .result = result, .serial = 5, .sent_ms = NOW - 100, .known = true };
    bench->reply.record = (struct lease_record){ .epoch = ours(), .lease_ms = TTL };
    if (result == LEASE_RESULT_GRANTED)
        bench->reply.record.remaining_ms = TTL;
    if (result == LEASE_RESULT_UNCLEAR || result == LEASE_RESULT_EMPTY)
        bench->reply.known = false;
}

static void
read_a_lease(struct bench *bench)
{
    answer(bench, LEASE_OP_READ, LEASE_RESULT_DONE);
    bench->reply.record.epoch = theirs();
    bench->reply.record.remaining_ms = 400;
}

static void
read_what_ran_out(struct bench *bench)
{
    read_a_lease(bench);
    bench->reply.record.remaining_ms = 0;
}

static void
read_our_own(struct bench *bench)
{
    read_a_lease(bench);
    bench->reply.record.epoch = epoch_make(1, "b-1");
}

static void
read_a_later(struct bench *bench)
{
    read_a_lease(bench);
    bench->reply.record.epoch = epoch_make(3, "c-1");
}

static void
read_what_holds_again(struct bench *bench)
{
    read_a_lease(bench);
    bench->lease.restored = true;
    bench->lease.unclear_ms = NOW - 3000;
    bench->reply.record.epoch = ours();
}

static void
unclear(struct bench *bench)
{
    answer(bench, LEASE_OP_RENEW, LEASE_RESULT_UNCLEAR);
}

static void
unclear_for_long(struct bench *bench)
{
    unclear(bench);
    bench->lease.unclear_ms = NOW - 2000;
}

static void
all_confirmed(struct bench *bench)
{
    bench->lease.members[0].asked_ms = NOW - 300;
    bench->lease.members[1].asked_ms = NOW - 200;
}

static void
unclear_and_confirmed(struct bench *bench)
{
    unclear(bench);
    all_confirmed(bench);
}

static void
empty(struct bench *bench)
{
    answer(bench, LEASE_OP_READ, LEASE_RESULT_EMPTY);
}

static void
restored(struct bench *bench)
{
    bench->lease.memory.seen = epoch_make(3, "c-1");
    read_a_lease(bench);
}

static void
restored_but_granted(struct bench *bench)
{
    bench->lease.memory.seen = epoch_make(3, "c-1");
    answer(bench, LEASE_OP_ACQUIRE, LEASE_RESULT_GRANTED);
}

static void
of_an_earlier_question(struct bench *bench)
{
    answer(bench, LEASE_OP_ACQUIRE, LEASE_RESULT_GRANTED);
    bench->reply.serial = 4;
}

static void
granted(struct bench *bench)
{
    answer(bench, LEASE_OP_ACQUIRE, LEASE_RESULT_GRANTED);
    bench->lease.at = (struct lease_record){ .epoch = theirs(), .lease_ms = TTL };
    bench->lease.at_ms = NOW - 200;
    bench->lease.prior = theirs();
}

static void
granted_after_a_longer_lease(struct bench *bench)
{
    granted(bench);
    bench->lease.at.lease_ms = 20000;
}

static void
granted_clean(struct bench *bench)
{
    granted(bench);
    bench->reply.record.clean = true;
}

static void
granted_clean_of_too_early_a_record(struct bench *bench)
{
    granted_clean(bench);
    bench->lease.before = epoch_make(1, "c-1"); /* opened, and never granted */
}

static void
granted_after_proof(struct bench *bench)
{
    granted(bench);
    bench->lease.proved = theirs();
}

static void
granted_after_proof_of_another(struct bench *bench)
{
    granted_after_proof(bench);
    bench->lease.before = epoch_make(1, "c-1");
}

static void
granted_after_proof_long_after_reading(struct bench *bench)
{
    granted_after_proof(bench);
    bench->lease.at_ms = NOW - 501;
}

static void
granted_after_ourselves(struct bench *bench)
{
    granted(bench);
    bench->lease.at.epoch = epoch_make(1, "b-1");
    bench->lease.before = epoch_make(1, "b-1");
    bench->lease.memory.cleared = epoch_make(1, "b-1");
}

static void
granted_once_more(struct bench *bench)
{
    granted(bench);
    bench->lease.at.epoch = ours();
    bench->lease.memory.cleared = ours();
}

static void
granted_once_more_to_one_who_never_acted(struct bench *bench)
{
    granted_once_more(bench);
    bench->lease.memory.cleared = (struct epoch){ 0 };
    bench->lease.proved = theirs();
}

static void
granted_to_one_who_has_waited(struct bench *bench)
{
    granted(bench);
    bench->lease.wait_ms = NOW;
}

static void
granted_too_late(struct bench *bench)
{
    granted_clean(bench);
    bench->reply.sent_ms = NOW - 4500;
}

static void
taken(struct bench *bench)
{
    answer(bench, LEASE_OP_ACQUIRE, LEASE_RESULT_TAKEN);
    bench->reply.record.epoch = theirs();
    bench->reply.record.remaining_ms = 700;
    bench->lease.memory.seen = theirs();
}

static void
stale(struct bench *bench)
{
    answer(bench, LEASE_OP_ACQUIRE, LEASE_RESULT_STALE);
    bench->reply.record.epoch = epoch_make(3, "c-1");
}

static void
renewed(struct bench *bench)
{
    answer(bench, LEASE_OP_RENEW, LEASE_RESULT_GRANTED);
}

static void
renewed_too_late(struct bench *bench)
{
    renewed(bench);
    bench->reply.sent_ms = NOW - 4500;
}

static void
expired(struct bench *bench)
{
    answer(bench, LEASE_OP_RENEW, LEASE_RESULT_EXPIRED);
}

static void
released(struct bench *bench)
{
    answer(bench, LEASE_OP_RELEASE, LEASE_RESULT_DONE);
}

static void
confirms_last(struct bench *bench)
{
    bench->lease.members[1].asked_ms = NOW - 200;
}

static void
confirms_last_and_unclear(struct bench *bench)
{
    confirms_last(bench);
    bench->lease.unclear_ms = NOW - 500;
    assert_true(str_copy(bench->lease.trouble, LEASE_TEXT_SIZE, "connection refused"));
}

static void
confirms_last_on_hold(struct bench *bench)
{
    confirms_last(bench);
    bench->lease.hold = true;
}

static void
confirms_too_old(struct bench *bench)
{
    confirms_last_and_unclear(bench);
    bench->event.asked_ms = NOW - 4600;
}

static void
confirms_what_we_were(struct bench *bench)
{
    confirms_last_and_unclear(bench);
    bench->event.epoch = epoch_make(1, "b-1");
}

static void
follows_another(struct bench *bench)
{
    confirms_last_and_unclear(bench);
    bench->event.ok = false;
}

static void
proved_who_was_last(struct bench *bench)
{
    bench->lease.last_known = true;
    bench->lease.last = theirs();
}

static void
waited(struct bench *bench)
{
    bench->lease.wait_ms = NOW;
}

static void
due(struct bench *bench)
{
    bench->lease.ask_ms = NOW;
}

static void
due_while_empty(struct bench *bench)
{
    due(bench);
    bench->lease.empty = true;
    bench->lease.unclear_ms = NOW - 10;
}

static void
due_on_hold(struct bench *bench)
{
    due(bench);
    bench->lease.hold = true;
}

static void
due_once_more(struct bench *bench)
{
    due(bench);
    bench->lease.again = true;
}

static void
unanswered(struct bench *bench)
{
    renewed(bench);
    bench->lease.asked_ms = NOW - 1000;
    bench->lease.gather_ms = NOW;
}

static void
alone_and_unclear(struct bench *bench)
{
    lease_set_members(&bench->lease, NULL, 0);
    bench->lease.unclear_ms = NOW - 10;
}

static void
woke_too_late(struct bench *bench)
{
    bench->lease.deadline_ms = NOW;
}

static void
woke_too_late_to_a_grant(struct bench *bench)
{
    renewed(bench);
    woke_too_late(bench);
}

static void
woke_too_late_and_confirmed(struct bench *bench)
{
    confirms_last_and_unclear(bench);
    woke_too_late(bench);
}

static void
repeats(struct bench *bench)
{
    bench->lease.repeat_ms = NOW;
}

static void
stopped(struct bench *bench)
{
    bench->lease.stopped = true;
    bench->lease.ask_ms = NOW;
}

static void
never_acted(struct bench *bench)
{
    bench->lease.memory.cleared = (struct epoch){ 0 };
}

static void
never_acted_and_no_arbiter(struct bench *bench)
{
    never_acted(bench);
    bench->lease.config.arbiter = 0;
}

static void
on_hold(struct bench *bench)
{
    bench->lease.hold = true;
}

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
    CASE(WANTED, REPLY, read_our_own, WANTED, "ACQUIRE NOTE ALARM+1000"),
    CASE(WANTED, REPLY, read_a_later, LOST, "FENCE NOTE REPORT ALARM+1000"),
    CASE(WANTED, REPLY, granted, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_a_longer_lease, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_clean, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_clean_of_too_early_a_record, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_proof, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_proof_of_another, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_proof_long_after_reading, WAITING, "ASK_MEMBERS NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_after_ourselves, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
    CASE(WANTED, REPLY, granted_once_more, HELD, "WATCHDOG+4400 GATE+4400 MAY_ACT+4400 NOTE REPORT ALARM+900"),
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
    CASE(WANTED, PROVED, NULL, WANTED, "ALARM+900"),
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
    CASE(WAITING, PROVED, NULL, WAITING, "ALARM+800"),
    CASE(WAITING, PROVED, proved_who_was_last, HELD, "WATCHDOG+4000 GATE+4000 MAY_ACT+4000 NOTE REPORT ALARM+900"),
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
    CASE(HELD, REPLY, taken, HELD, "ALARM+700"),
    CASE(HELD, REPLY, stale, LOST, "STOP FENCE NOTE REPORT ALARM+1000"),
    CASE(HELD, REPLY, restored, HELD, "REPORT ALARM+800"),
    CASE(HELD, REPLY, read_what_holds_again, HELD, "ALARM+50"),
    CASE(HELD, REPLY, read_a_later, LOST, "STOP FENCE NOTE REPORT ALARM+1000"),
    CASE(HELD, REPLY, woke_too_late_to_a_grant, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(HELD, CONFIRM, confirms_last, HELD, "ALARM+900"),
    CASE(HELD, CONFIRM, confirms_last_and_unclear, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 REPORT ALARM+800"),
    CASE(HELD, CONFIRM, confirms_last_on_hold, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 REPORT ALARM+800"),
    CASE(HELD, CONFIRM, confirms_too_old, HELD, "ALARM+800"),
    CASE(HELD, CONFIRM, confirms_what_we_were, HELD, "ALARM+800"),
    CASE(HELD, CONFIRM, follows_another, HELD, "ALARM+800"),
    CASE(HELD, CONFIRM, woke_too_late_and_confirmed, LOST, "STOP FENCE REPORT ALARM+1000"),
    CASE(HELD, PROVED, NULL, HELD, "ALARM+900"),
    CASE(HELD, TICK, NULL, HELD, "ALARM+900"),
    CASE(HELD, TICK, due, HELD, "RENEW ALARM+1000"),
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
    CASE(FAILSAFE, REPLY, unclear, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, REPLY, taken, FAILSAFE, "ALARM+700"),
    CASE(FAILSAFE, REPLY, stale, LOST, "STOP FENCE NOTE REPORT ALARM+1000"),
    CASE(FAILSAFE, CONFIRM, confirms_last_and_unclear, FAILSAFE, "WATCHDOG+4200 GATE+4200 MAY_ACT+4200 ALARM+800"),
    CASE(FAILSAFE, CONFIRM, follows_another, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, PROVED, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, TICK, NULL, FAILSAFE, "ALARM+800"),
    CASE(FAILSAFE, TICK, due, FAILSAFE, "ACQUIRE ALARM+800"),
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
    CASE(LOST, PROVED, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, TICK, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, TICK, repeats, LOST, "FENCE REPORT ALARM+1000"),
    CASE(LOST, HOLD, NULL, LOST, "REPORT ALARM+700"),
    CASE(LOST, CLOSE, NULL, RELEASING, "WATCHDOG:0 REPORT ALARM+5000"),
    CASE(LOST, CLOSE, stopped, RELEASING, "WATCHDOG:0 RELEASE REPORT ALARM+1000"),
    CASE(LOST, CLOSE, never_acted, IDLE, "WATCHDOG:0 READ REPORT ALARM+1000"),
    CASE(LOST, CLOSE, never_acted_and_no_arbiter, NONE, "WATCHDOG:0 REPORT"),
    CASE(LOST, STOPPED, NULL, LOST, "REPORT ALARM+700"),

    CASE(RELEASING, CONFIGURE, NULL, RELEASING, "ALARM+700"),
    CASE(RELEASING, CONFIGURE, another_arbiter, IDLE, "READ NOTE REPORT ALARM+1000"),
    CASE(RELEASING, CONFIGURE, no_arbiter, NONE, "REPORT"),
    CASE(RELEASING, WANT, NULL, WANTED, "WATCHDOG:0 GATE:0 READ REPORT ALARM+1000"),
    CASE(RELEASING, REPLY, released, IDLE, "READ REPORT ALARM+1000"),
    CASE(RELEASING, REPLY, unclear, RELEASING, "ALARM+700"),
    CASE(RELEASING, CONFIRM, NULL, RELEASING, "ALARM+700"),
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
        cmocka_unit_test(test_members_that_stay_keep_what_they_confirmed),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
