/*
 * promo_asking.h -- a promotion where a primary may have given up its promise: "b" of {a, b, c}; a
 * was primary of epoch 3. For test_promo_arbiter.c and test_promo_voters.c.
 */
#pragma once

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

static inline struct quorum_set
set_of(unsigned k, const char *letters)
{
    struct quorum_set set = { .k = k };
    for (; *letters != '\0'; letters++)
        assert_int_equal(quorum_add(&set, (char[]){ *letters, '\0' }, NULL), ERR_NONE);
    return set;
}

static inline struct position
at(uint64_t revision)
{
    return (struct position){ .epoch = epoch_make(3, "a"), .revision = revision, .hash = "x" };
}

static inline struct node_facts
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

static inline struct quorum_note
note_of(unsigned k, const char *letters)
{
    return (struct quorum_note){ .number = 5,
                                 .given_up = true,
                                 .epoch = epoch_make(3, "a"),
                                 .revision = 120,
                                 .since = SINCE,
                                 .set = set_of(k, letters) };
}

static inline void
step(struct bench *bench, struct promo_event event)
{
    struct err err = { 0 };
    event.now_ms = bench->now_ms;
    if (promo_step(&bench->promo, &event, &bench->effects, &err) != ERR_NONE)
        fail_msg("%s: %s", promo_event_name(event.kind), err.text);
}

static inline const struct promo_effect *
effect_of(const struct bench *bench, enum promo_effect_kind kind)
{
    for (size_t i = 0; i < bench->effects.count; i++) {
        if (bench->effects.list[i].kind == kind)
            return &bench->effects.list[i];
    }
    return NULL;
}

static inline void
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

static inline void
answers(struct bench *bench, const struct node_facts *facts)
{
    step(bench, (struct promo_event){
                    .kind = PROMO_EV_ANSWER, .node = facts->name, .ok = true, .facts = facts });
}

static inline void
members_answer(struct bench *bench)
{
    struct node_facts facts = facts_of("c", NODE_STANDBY);
    step(bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
    answers(bench, &facts);
}

static inline void
arbiter_says(struct bench *bench, enum promo_event_kind kind, const struct quorum_note *note)
{
    step(bench, (struct promo_event){ .kind = kind, .ok = true, .arbiter = ROW, .note = note });
}

static inline void
captured(struct bench *bench, const char *node, const struct quorum_record *record)
{
    step(bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                      .node = node,
                                      .ok = true,
                                      .position = at(117),
                                      .promised = epoch_make(3, "a"),
                                      .record = record });
}

static inline struct quorum_record
available(void)
{
    return (struct quorum_record){ .now = set_of(1, "abc"), .arbiter = ROW, .agreed = true };
}

static inline struct promo_order
order_of(unsigned overrides, bool loss)
{
    return (struct promo_order){ .mode = PROMO_SWITCHOVER,
                                 .accept_data_loss = loss,
                                 .overrides = overrides,
                                 .connectors_ready = true,
                                 .time = NOW };
}

/* Up to CAPTURING, with the arbiter's answer: 'note' NULL, it has none. */
static inline void
begin_capture(struct bench *bench, const struct promo_order *order, const struct quorum_note *note)
{
    struct quorum_record record = available();
    struct quorum_note none = { .number = 4 };
    begin(bench, &record, order);
    arbiter_says(bench, PROMO_EV_TOLD, note == NULL ? &none : note);
    members_answer(bench);
    assert_int_equal(bench->promo.state, PROMO_STATE_CAPTURING);
}

static inline enum promo_verdict
verdict(const struct bench *bench, enum promo_check check)
{
    return bench->promo.findings[check].verdict;
}

static inline void
failed_with(const struct bench *bench, const char *slug)
{
    assert_int_equal(bench->promo.state, PROMO_STATE_FAILED);
    assert_string_equal(bench->promo.failure.slug, slug);
}

/* A switchover, from ARMING to CAPTURING: a has stopped to write. */
static inline void
freezes(struct bench *bench)
{
    struct promo_event frozen = { .kind = PROMO_EV_FROZEN, .ok = true, .position = at(117) };
    step(bench, (struct promo_event){ .kind = PROMO_EV_ARMED, .ok = true });
    step(bench, (struct promo_event){ .kind = PROMO_EV_PREPARED, .node = "a", .ok = true });
    step(bench, (struct promo_event){ .kind = PROMO_EV_PREPARED, .node = "c", .ok = true });
    step(bench, frozen);
    assert_int_equal(bench->promo.state, PROMO_STATE_CAPTURING);
}
