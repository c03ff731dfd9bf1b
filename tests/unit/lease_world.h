/*
 * lease_world.h -- for test_lease_pair.c: nodes with a lease each, arbiters, clocks and messages,
 * invented, on one real time that none of them sees.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/check.h"
#include "sites/lease.h"
#include "tests/world/rng.h"

#define NODES      3
#define ARBITERS   2
#define EVENTS_MAX 4096
#define RATE_PPM   47000 /* so much faster or slower than real time, at most: a tenth between two */

/* What a world is fond of; each seed has some of them. */
#define MODE_SLOW    (1u << 0) /* messages of one node take long */
#define MODE_HASTY   (1u << 1) /* leases end early at the arbiter */
#define MODE_EAGER   (1u << 2) /* promotions */
#define MODE_ROWS    (1u << 3) /* the settings change */
#define MODE_RESTORE (1u << 4) /* arbiters are put back from copies */
#define MODE_CRASH   (1u << 5)
#define MODE_CUT     (1u << 6) /* from the arbiters */
#define MODE_ISLAND  (1u << 7) /* who may act is cut off, and another one promoted */
#define MODE_COUNT   8

static const char *const names[NODES] = { "a-1", "b-1", "c-1" };

/* A row of the shared log that says which arbiter there is, and its times. */
struct row {
    struct epoch epoch;
    uint64_t revision;
    uint64_t arbiter;
    uint64_t ttl_ms;
    uint64_t renew_ms;
};

struct record {
    bool exists;
    struct epoch epoch;
    uint64_t lease_ms;
    uint64_t end_ms; /* the arbiter's clock */
    bool released;
    bool clean;
    uint64_t grant;
    struct epoch suspect;
};

struct arbiter {
    uint64_t rate_ppm;
    bool up;
    struct record record;
    struct record backup;
};

struct node {
    /* kept in a crash */
    struct epoch promised;
    struct epoch opened;
    struct row row;
    struct lease_memory memory;
    /* not kept */
    bool up;
    unsigned life;
    uint64_t stalled_us; /* does nothing before */
    struct lease lease;
    bool primary;
    bool acked; /* its first row is */
    struct epoch following;
    struct epoch taking; /* a promotion runs */
    unsigned captured;   /* bit of each node */
    struct epoch before;
    struct row newest;
    bool permitted;
    bool busy; /* what was begun with a permission has not yet ended */
    uint64_t until_ms;
    unsigned alarm;
    struct row wanted; /* being written: acknowledged by another, it is in force */
    /* the clock */
    uint64_t rate_ppm;
    uint64_t offset_us;
};

enum kind {
    EV_ALARM,
    EV_ASK,       /* at the arbiter */
    EV_REPLY,     /* at the node */
    EV_CONFIRM_Q, /* at a member */
    EV_CONFIRM,   /* at the node */
    EV_CAPTURE,
    EV_CAPTURED,
    EV_FOLLOW,
    EV_FOLLOWED,
    EV_PROVED,
    EV_STOPPED,
    EV_CLOSE,
    EV_NOTE,
    EV_ROW, /* replicated to a member */
    EV_ROW_ACKED,
    EV_RESUME,
    EV_START,
    EV_CHAOS,
};

struct event {
    uint64_t at_us;
    uint64_t order;
    enum kind kind;
    unsigned node; /* where it happens */
    unsigned life; /* of that node, when it must be the same one */
    unsigned from;
    struct epoch epoch;
    struct epoch before;
    struct row row;
    uint64_t asked_ms;
    bool ok;
    enum lease_op op;
    uint32_t serial;
    uint64_t arbiter;
    uint64_t lease_ms;
    uint64_t grant;
    struct epoch known;
    struct lease_reply reply;
    struct lease_memory memory;
};

struct world {
    struct rng rng;
    uint64_t now_us;
    uint64_t order;
    struct node nodes[NODES];
    struct arbiter arbiters[ARBITERS];
    struct event heap[EVENTS_MAX];
    size_t count;
    unsigned mode;
    unsigned slow; /* node; MODE_SLOW */
    bool calm;
    bool cut[NODES][NODES];
    bool cut_off[NODES]; /* from the arbiters */
    uint64_t revision;
    uint64_t acted_us; /* for the figures: somebody could act */
    unsigned grants;
    unsigned failsafes;
};

static unsigned long long seed_now;

/* ------------------------------------------------------------------ time and events */

static uint64_t
clock_us(uint64_t now_us, uint64_t rate_ppm)
{
    return now_us / 1000 * rate_ppm / 1000 + now_us % 1000;
}

static uint64_t
local_ms(const struct world *world, unsigned at)
{
    const struct node *node = &world->nodes[at];
    return (clock_us(world->now_us, node->rate_ppm) + node->offset_us) / 1000;
}

static uint64_t
real_us(const struct world *world, unsigned at, uint64_t at_ms)
{
    const struct node *node = &world->nodes[at];
    uint64_t local = at_ms * 1000 > node->offset_us ? at_ms * 1000 - node->offset_us : 0;
    uint64_t when =
        local / node->rate_ppm * 1000000 + local % node->rate_ppm * 1000000 / node->rate_ppm;
    return (when > world->now_us ? when : world->now_us) + 1000;
}

static bool
is_before(const struct event *a, const struct event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void
put(struct world *world, const struct event *event)
{
    ASSERT(world->count < EVENTS_MAX);
    size_t at = world->count++;
    while (at > 0 && is_before(event, &world->heap[(at - 1) / 2])) {
        world->heap[at] = world->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->heap[at] = *event;
}

static struct event
take(struct world *world)
{
    struct event first = world->heap[0];
    struct event last = world->heap[--world->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->count)
            break;
        if (child + 1 < world->count && is_before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!is_before(&world->heap[child], &last))
            break;
        world->heap[at] = world->heap[child];
        at = child;
    }
    if (world->count > 0)
        world->heap[at] = last;
    return first;
}

/* What something takes at a node: mostly little, now and then very much. */
static uint64_t
some_us(struct world *world, unsigned at, uint64_t usual_ms)
{
    bool slow = !world->calm && (world->mode & MODE_SLOW) != 0 && world->slow == at;
    uint64_t most_ms = slow ? 40 * usual_ms : usual_ms;
    if (!world->calm && rng_chance(&world->rng, 5))
        most_ms = 8000;
    return 100 + rng_below(&world->rng, most_ms * 1000);
}

static struct event
make(struct world *world, enum kind kind, unsigned node, uint64_t after_us)
{
    return (struct event){ .at_us = world->now_us + after_us,
                           .order = world->order++,
                           .kind = kind,
                           .node = node,
                           .life = world->nodes[node].life };
}

/* A message between nodes: lost, late, or double. */
static void
send(struct world *world, unsigned from, struct event event)
{
    event.from = from;
    if (world->cut[from][event.node] || (!world->calm && rng_chance(&world->rng, 5)))
        return;
    event.at_us =
        world->now_us + some_us(world, rng_chance(&world->rng, 50) ? from : event.node, 20);
    put(world, &event);
    if (!world->calm && rng_chance(&world->rng, 3)) {
        event.order = world->order++;
        event.at_us += some_us(world, from, 500);
        put(world, &event);
    }
}

static bool
is_awake(const struct world *world, unsigned at)
{
    return world->nodes[at].up && world->nodes[at].stalled_us <= world->now_us;
}

/* ------------------------------------------------------------------ the invariant */

static bool
is_busy(const struct world *world, unsigned at)
{
    const struct node *node = &world->nodes[at];
    return node->up && node->busy && local_ms(world, at) < node->until_ms;
}

static void
check(struct world *world)
{
    unsigned count = 0;
    for (unsigned i = 0; i < NODES; i++) {
        const struct node *node = &world->nodes[i];
        bool believes = node->up && lease_may_act(&node->lease, local_ms(world, i));
        /* the machine never believes more than it has said */
        if (believes && !(node->permitted && local_ms(world, i) < node->until_ms))
            fail_msg("seed %llu at %llu ms: %s would act beyond what it said", seed_now,
                     (unsigned long long)world->now_us / 1000, names[i]);
        count += is_busy(world, i) || believes;
    }
    if (count > 1)
        fail_msg("seed %llu at %llu ms: two act (I9): %s %s, %s %s, %s %s", seed_now,
                 (unsigned long long)world->now_us / 1000, names[0],
                 lease_state_name(world->nodes[0].lease.state), names[1],
                 lease_state_name(world->nodes[1].lease.state), names[2],
                 lease_state_name(world->nodes[2].lease.state));
}

/* ------------------------------------------------------------------ a node and its lease */

/* The port's own answer comes at its deadline, mostly; else the machine finds out by itself. */
static void
ask(struct world *world, unsigned at, const struct lease_effect *effect)
{
    const struct node *node = &world->nodes[at];
    struct event event = make(world, EV_ASK, at, some_us(world, at, 20));
    event.op = effect->op;
    event.epoch = effect->epoch;
    event.serial = effect->serial;
    event.lease_ms = effect->lease_ms;
    event.grant = effect->grant;
    event.known = effect->memory.seen;
    event.arbiter = node->lease.config.arbiter;
    event.asked_ms = local_ms(world, at);
    if (!world->cut_off[at] && (world->calm || !rng_chance(&world->rng, 4)))
        put(world, &event);
    if (rng_chance(&world->rng, 70)) {
        event = make(world, EV_REPLY, at, 0);
        event.at_us = real_us(world, at, effect->at_ms);
        event.reply = (struct lease_reply){ .result = LEASE_RESULT_UNCLEAR,
                                            .serial = effect->serial,
                                            .sent_ms = local_ms(world, at) };
        put(world, &event);
    }
}

static void
carry_out(struct world *world, unsigned at, const struct lease_effect *effect)
{
    struct node *node = &world->nodes[at];
    struct event event;
    switch (effect->kind) {
    case LEASE_DO_ASK_ARBITER:
        ask(world, at, effect);
        break;
    case LEASE_DO_ASK_MEMBERS:
        for (unsigned i = 0; i < NODES; i++) {
            event = make(world, EV_CONFIRM_Q, i, 0);
            event.epoch = effect->epoch;
            event.asked_ms = local_ms(world, at);
            event.serial = node->life;
            event.lease_ms = effect->lease_ms;
            if (i != at)
                send(world, at, event);
        }
        break;
    case LEASE_DO_MAY_ACT:
        node->permitted = effect->may;
        if (effect->may) {
            ASSERT(effect->at_ms != 0 && epoch_equal(&effect->epoch, &node->lease.epoch)); /* I10 */
            node->busy = true;
            node->until_ms = effect->at_ms;
        } else {
            event = make(world, EV_STOPPED, at, some_us(world, at, 200));
            event.epoch = effect->epoch;
            put(world, &event);
        }
        break;
    case LEASE_DO_FENCE:
        ASSERT(!node->permitted); /* what acts is stopped first */
        node->primary = false;
        event = make(world, EV_CLOSE, at, some_us(world, at, 20));
        put(world, &event);
        break;
    case LEASE_DO_NOTE:
        event = make(world, EV_NOTE, at, some_us(world, at, 50));
        event.memory = effect->memory;
        put(world, &event);
        break;
    case LEASE_DO_ALARM:
        event = make(world, EV_ALARM, at, 0);
        event.at_us = real_us(world, at, effect->at_ms) + rng_below(&world->rng, 3000);
        event.serial = ++node->alarm;
        put(world, &event);
        break;
    case LEASE_DO_GATE:
    case LEASE_DO_WATCHDOG:
    case LEASE_DO_REPORT:
    case LEASE_DO_COUNT:
        break;
    }
}

static void
step(struct world *world, unsigned at, struct lease_event event)
{
    struct node *node = &world->nodes[at];
    struct lease_effects effects;
    enum lease_state before = node->lease.state;
    bool acted_before = lease_may_act(&node->lease, local_ms(world, at));
    event.now_ms = local_ms(world, at);
    if (lease_step(&node->lease, &event, &effects, NULL) != ERR_NONE)
        fail_msg("seed %llu: refused", seed_now);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(world, at, &effects.list[i]);
    /* I9: a permission is never found again where it had run out */
    if (!acted_before && lease_may_act(&node->lease, event.now_ms))
        ASSERT(before == LEASE_STATE_WANTED || before == LEASE_STATE_WAITING);
    if (before == LEASE_STATE_WANTED && node->lease.state != before)
        world->grants++;
    if (before != LEASE_STATE_FAILSAFE && node->lease.state == LEASE_STATE_FAILSAFE)
        world->failsafes++;
}

static void
configure(struct world *world, unsigned at, const struct row *row)
{
    struct lease_config config = { .arbiter = row->arbiter,
                                   .ttl_ms = row->ttl_ms,
                                   .renew_ms = row->renew_ms };
    step(world, at, (struct lease_event){ .kind = LEASE_EV_CONFIGURE, .config = &config });
}

static bool
is_newer(const struct row *a, const struct row *b)
{
    int order = epoch_compare(&a->epoch, &b->epoch);
    return order > 0 || (order == 0 && a->revision > b->revision);
}

static void
start(struct world *world, unsigned at)
{
    struct node *node = &world->nodes[at];
    static const char *const others[NODES][NODES - 1] = { { "b-1", "c-1" },
                                                          { "a-1", "c-1" },
                                                          { "a-1", "b-1" } };
    node->up = true;
    lease_init(&node->lease, names[at], &node->memory);
    lease_set_members(&node->lease, others[at], NODES - 1);
    configure(world, at, &node->row);
}

static void
crash(struct world *world, unsigned at)
{
    struct node *node = &world->nodes[at];
    if (!node->up)
        return;
    struct event released = make(world, EV_ASK, at, some_us(world, at, 20));
    if (node->permitted && node->lease.grant != 0 && rng_chance(&world->rng, 50)) {
        released.op = LEASE_OP_RELEASE; /* by its keeper, which outlives it */
        released.epoch = node->lease.epoch;
        released.grant = node->lease.grant;
        released.arbiter = node->lease.config.arbiter;
        released.known = node->lease.memory.seen;
        put(world, &released);
    }
    node->up = false;
    node->life++;
    node->primary = node->permitted = node->busy = false;
    node->taking = (struct epoch){ 0 };
    node->following = (struct epoch){ 0 };
    node->wanted = (struct row){ 0 };
    struct event event = make(world, EV_START, at, rng_below(&world->rng, 3000000));
    put(world, &event);
}

/* ------------------------------------------------------------------ the arbiter */

static uint64_t
arbiter_ms(const struct world *world, const struct arbiter *arbiter)
{
    return clock_us(world->now_us, arbiter->rate_ppm) / 1000 + 1000000;
}

static enum lease_result
grant(struct record *record, const struct event *event, uint64_t now_ms)
{
    bool alive = !record->released && now_ms < record->end_ms;
    int order = epoch_compare(&event->epoch, &record->epoch);
    bool ours = event->grant == 0 || event->grant == record->grant;
    if (epoch_compare(&record->epoch, &event->known) < 0 &&
        epoch_compare(&record->suspect, &event->known) < 0)
        record->suspect = event->known;
    if (record->suspect.number != 0)
        return LEASE_RESULT_RESTORED;
    if (event->op == LEASE_OP_READ)
        return LEASE_RESULT_DONE;
    if (order < 0)
        return LEASE_RESULT_STALE;
    if (event->op == LEASE_OP_RELEASE) {
        if (order > 0 || !ours)
            return LEASE_RESULT_EXPIRED;
        record->released = true;
        return LEASE_RESULT_DONE;
    }
    if (event->op == LEASE_OP_RENEW && (order > 0 || !alive || !ours))
        return LEASE_RESULT_EXPIRED;
    if (event->op == LEASE_OP_ACQUIRE && order == 0 && record->released)
        return LEASE_RESULT_EXPIRED; /* A8 */
    if (order > 0 && alive)
        return LEASE_RESULT_TAKEN;
    if (order > 0)
        record->clean = record->released;
    if (event->op == LEASE_OP_ACQUIRE)
        record->grant++;
    record->epoch = event->epoch;
    record->released = false;
    record->lease_ms = event->lease_ms;
    record->end_ms = now_ms + event->lease_ms;
    return LEASE_RESULT_GRANTED;
}

static void
on_ask(struct world *world, const struct event *event)
{
    struct arbiter *arbiter = &world->arbiters[event->arbiter - 1];
    struct record *record = &arbiter->record;
    uint64_t now_ms = arbiter_ms(world, arbiter);
    if (!arbiter->up)
        return;
    struct event answer = make(world, EV_REPLY, event->node, some_us(world, event->node, 20));
    answer.life = event->life;
    answer.reply = (struct lease_reply){ .serial = event->serial, .sent_ms = event->asked_ms };
    answer.reply.result = record->exists ? grant(record, event, now_ms) : LEASE_RESULT_EMPTY;
    bool hasty = !world->calm && (world->mode & MODE_HASTY) != 0 && rng_chance(&world->rng, 20);
    if (record->exists) {
        bool alive = !record->released && now_ms < record->end_ms;
        answer.reply.known = true;
        answer.reply.record =
            (struct lease_record){ .epoch = record->epoch,
                                   .lease_ms = record->lease_ms,
                                   .remaining_ms = alive ? record->end_ms - now_ms : 0,
                                   .released = record->released,
                                   .clean = record->clean,
                                   .grant = record->grant };
    }
    if ((world->mode & MODE_RESTORE) != 0 && event->op == LEASE_OP_RELEASE)
        arbiter->backup = *record;
    if (hasty && answer.reply.result == LEASE_RESULT_GRANTED)
        record->end_ms = now_ms + rng_below(&world->rng, 300);
    if (!world->cut_off[event->node] && (world->calm || !rng_chance(&world->rng, 4)))
        put(world, &answer);
    if (!world->calm && rng_chance(&world->rng, 2)) { /* the question comes a second time */
        struct event again = *event;
        again.at_us = world->now_us + some_us(world, event->node, 2000);
        again.order = world->order++;
        put(world, &again);
    }
}

static void
create(struct world *world, uint64_t which, const struct epoch *floor, uint64_t lease_ms)
{
    struct arbiter *arbiter = &world->arbiters[which - 1];
    struct record *record = &arbiter->record;
    struct epoch epoch = record->exists ? *epoch_max(&record->epoch, floor) : *floor;
    *record = (struct record){ .exists = true,
                               .epoch = epoch,
                               .lease_ms = lease_ms,
                               .clean = true,
                               .grant = record->grant + 1 };
    record->end_ms = arbiter_ms(world, arbiter) + lease_ms;
}
