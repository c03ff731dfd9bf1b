/*
 * lease_bench.h -- for test_lease.c: a lease in every state, and the circumstances that an event
 * may meet it in.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
    lease->configured = true;
    lease->state = from;
    lease->ttl_ms = TTL;
    lease->ask_ms = NOW + 900;
    lease->gather_ms = NOW + 800;
    lease->wanted_ms = NOW - 50;
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
                                         .lease_ms = TTL,
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
read_our_own_that_acts(struct bench *bench)
{
    read_our_own(bench);
    bench->lease.memory.cleared = epoch_make(1, "b-1");
    bench->lease.stopped = false;
}

static void
read_our_own_that_stopped(struct bench *bench)
{
    read_our_own_that_acts(bench);
    bench->lease.stopped = true;
}

static void
released_our_own(struct bench *bench)
{
    read_our_own_that_stopped(bench);
    bench->lease.op = LEASE_OP_RELEASE;
    bench->reply.record.remaining_ms = 0;
    bench->reply.record.released = true;
}

static void
read_that_it_was_released(struct bench *bench)
{
    read_a_lease(bench);
    bench->reply.record.epoch = ours();
    bench->reply.record.remaining_ms = 0;
    bench->reply.record.released = true;
    bench->lease.memory.cleared = ours();
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
    bench->lease.longest_ms = 20000;
    bench->lease.longest_seen_ms = NOW - 1000;
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
granted_clean_but_sworn(struct bench *bench)
{
    granted_clean(bench);
    bench->lease.sworn = theirs();
    bench->lease.sworn_ms = NOW + 600;
}

static void
granted_clean_and_sworn_long_ago(struct bench *bench)
{
    granted_clean_but_sworn(bench);
    bench->lease.sworn_ms = NOW;
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
granted_once_more_long_after_it_was_confirmed(struct bench *bench)
{
    granted_once_more(bench);
    bench->lease.wanted_ms = NOW - TTL / 2 - 1;
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
expired_and_released(struct bench *bench)
{
    expired(bench);
    bench->reply.record.released = true;
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
follows_a_later(struct bench *bench)
{
    bench->event.epoch = epoch_make(3, "c-1");
}

static void
follows_a_later_on_hold(struct bench *bench)
{
    follows_a_later(bench);
    bench->lease.hold = true;
}

static void
proved_who_was_last(struct bench *bench)
{
    bench->lease.last_known = true;
    bench->lease.last = theirs();
}

static void
proved_who_was_sworn(struct bench *bench)
{
    proved_who_was_last(bench);
    bench->lease.sworn = theirs();
    bench->lease.sworn_ms = NOW + 600;
}

static void
proved_while_sworn_to_another(struct bench *bench)
{
    proved_who_was_sworn(bench);
    bench->lease.sworn = epoch_make(1, "c-1");
}

static void
waited(struct bench *bench)
{
    bench->lease.wait_ms = NOW;
}

static void
waited_but_sworn(struct bench *bench)
{
    waited(bench);
    bench->lease.sworn_ms = NOW + 600;
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
near_the_end(struct bench *bench)
{
    bench->lease.deadline_ms = NOW + 100;
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
no_arbiter_any_more(struct bench *bench)
{
    bench->lease.config.arbiter = 0;
}

static void
on_hold(struct bench *bench)
{
    bench->lease.hold = true;
}
