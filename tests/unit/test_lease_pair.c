/*
 * I9 by chance: three nodes with a lease each and one arbiter, invented, on one real time that none
 * of them sees. Clocks run apart by a tenth, messages are late, lost or double, nodes stop, crash
 * and come back, the arbiter is unreachable, slow, restored, emptied, ends leases early and late,
 * and is changed; nodes promise, open, resume and close as the daemon does. At no moment may two
 * nodes be busy on the outside; afterwards, in calm, somebody must come to act.
 *
 *     test_lease_pair [FIRST COUNT]     seeds FIRST .. FIRST + COUNT - 1
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/lease_world.h"

#define STORM_US 60000000ULL
#define CALM_US  60000000ULL
#define SEEDS    1500

/* ------------------------------------------------------------------ promotions, as the daemon's */

static void
promote(struct world *world, unsigned at)
{
    struct node *node = &world->nodes[at];
    if (!is_awake(world, at) || node->taking.number != 0)
        return;
    uint64_t newest = node->promised.number;
    for (unsigned i = 0; i < NODES; i++) {
        if (!world->cut[at][i] && world->nodes[i].up && world->nodes[i].promised.number > newest)
            newest = world->nodes[i].promised.number;
    }
    node->taking = epoch_make(newest + 1, names[at]);
    node->captured = 0;
    node->before = (struct epoch){ 0 };
    node->newest = node->row;
    for (unsigned i = 0; i < NODES; i++) {
        struct event event = make(world, EV_CAPTURE, i, 100);
        event.epoch = node->taking;
        event.serial = node->life;
        event.from = at;
        if (i == at)
            put(world, &event);
        else
            send(world, at, event);
    }
}

static void
on_capture(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    struct event answer = make(world, EV_CAPTURED, event->from, 100);
    if (epoch_compare(&node->promised, &event->epoch) >= 0)
        return;
    answer.life = event->serial;
    answer.epoch = event->epoch;
    answer.before = node->promised;
    answer.row = node->row;
    node->promised = event->epoch;
    node->following = (struct epoch){ 0 };
    node->wanted = (struct row){ 0 };
    node->primary = false;
    step(world, event->node, (struct lease_event){ .kind = LEASE_EV_CLOSE });
    if (node->taking.number != 0 && epoch_compare(&node->taking, &event->epoch) < 0)
        node->taking = (struct epoch){ 0 };
    answer.from = event->node;
    if (event->node == event->from)
        put(world, &answer);
    else
        send(world, event->node, answer);
}

static void
on_captured(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (!epoch_equal(&node->taking, &event->epoch))
        return;
    node->captured |= 1u << event->from;
    node->before = *epoch_max(&node->before, &event->before);
    if (is_newer(&event->row, &node->newest))
        node->newest = event->row;
    if ((node->captured & (1u << event->node)) == 0 || (node->captured & (node->captured - 1)) == 0)
        return; /* itself and one more: V - k of three with k = 1 */
    if (epoch_compare(&node->promised, &node->taking) > 0)
        return;
    node->opened = node->taking;
    node->taking = (struct epoch){ 0 };
    node->primary = true;
    node->acked = false;
    node->row = node->newest;
    node->row.epoch = node->opened; /* the first row, which others have to have */
    node->row.revision = ++world->revision;
    configure(world, event->node, &node->row);
    for (unsigned i = 0; i < NODES; i++) {
        struct event follow = make(world, EV_FOLLOW, i, 0);
        follow.epoch = node->opened;
        follow.row = node->row;
        follow.serial = node->life;
        if (i != event->node)
            send(world, event->node, follow);
    }
}

/* The first row is acknowledged: then the lease is asked for. */
static void
on_followed(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (!node->primary || node->acked || !epoch_equal(&node->opened, &event->epoch))
        return;
    node->acked = true;
    step(world, event->node,
         (struct lease_event){
             .kind = LEASE_EV_WANT, .epoch = node->opened, .before = node->before });
}

/* Attached: it promises what it follows, if it has not, and takes what the log says. */
static void
on_follow(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (epoch_compare(&node->promised, &event->epoch) > 0)
        return;
    if (node->primary) {
        node->primary = false;
        step(world, event->node, (struct lease_event){ .kind = LEASE_EV_CLOSE });
    }
    if (node->taking.number != 0 && epoch_compare(&node->taking, &event->epoch) < 0)
        node->taking = (struct epoch){ 0 };
    node->promised = event->epoch;
    node->following = event->epoch;
    node->wanted = (struct row){ 0 };
    node->row = event->row;
    configure(world, event->node, &node->row);
    struct event answer = make(world, EV_FOLLOWED, event->from, 0);
    answer.life = event->serial;
    answer.epoch = event->epoch;
    send(world, event->node, answer);
}

/* A holder that was fenced and that one more node confirms goes on, when it is granted. */
static void
resume(struct world *world, unsigned at)
{
    struct node *node = &world->nodes[at];
    unsigned other = (at + 1 + (unsigned)rng_below(&world->rng, NODES - 1)) % NODES;
    const struct node *peer = &world->nodes[other];
    if (!is_awake(world, at) || node->primary || node->opened.number == 0 ||
        !epoch_equal(&node->opened, &node->promised) || !is_awake(world, other) ||
        world->cut[at][other] || epoch_compare(&peer->promised, &node->opened) > 0)
        return;
    if (is_newer(&node->row, &world->nodes[other].row)) { /* its first row is acknowledged, and */
        world->nodes[other].row = node->row;              /* so is everything before it */
        configure(world, other, &node->row);
    }
    configure(world, at, &node->row);
    struct epoch before = epoch_make(node->opened.number - 1, "~");
    step(world, at,
         (struct lease_event){ .kind = LEASE_EV_WANT, .epoch = node->opened, .before = before });
    node->primary = lease_is_granted(&node->lease, &node->opened, local_ms(world, at));
    node->acked = true;
    if (lease_needs_later_epoch(&node->lease)) {
        promote(world, at); /* a renewal */
        return;
    }
    struct event event = make(world, EV_RESUME, at, some_us(world, at, 500));
    if (!node->primary)
        put(world, &event);
}

static void
on_confirm_question(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    struct event answer = make(world, EV_CONFIRM, event->from, 0);
    answer.life = event->serial;
    answer.epoch = event->epoch;
    answer.asked_ms = event->asked_ms;
    answer.ok = epoch_equal(&node->promised, &event->epoch) &&
                epoch_equal(&node->following, &event->epoch) && !node->primary && !node->busy;
    if (answer.ok)
        step(world, event->node,
             (struct lease_event){
                 .kind = LEASE_EV_WORD, .epoch = event->epoch, .lease_ms = event->lease_ms });
    send(world, event->node, answer);
}

/* What acted has stopped: whoever promises may hear it. */
static void
on_stopped(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (node->permitted)
        return; /* it may act again */
    node->busy = false;
    step(world, event->node, (struct lease_event){ .kind = LEASE_EV_STOPPED });
    for (unsigned i = 0; i < NODES; i++) {
        struct event proof = make(world, EV_PROVED, i, 0);
        proof.epoch = event->epoch;
        if (i != event->node && epoch_compare(&node->promised, &event->epoch) > 0)
            send(world, event->node, proof);
    }
}

/* ------------------------------------------------------------------ the row "arbiter" */

static void
change_row(struct world *world, unsigned at)
{
    static const uint64_t ttls[] = { 2000, 5000, 8000 };
    struct node *node = &world->nodes[at];
    if (!is_awake(world, at) || !node->primary || !node->acked || node->wanted.revision != 0)
        return;
    struct row row = node->row;
    row.epoch = node->opened;
    row.revision = ++world->revision;
    if (rng_chance(&world->rng, 50) &&
        lease_may_change_arbiter(&node->lease, local_ms(world, at))) {
        row.arbiter = 1 + rng_below(&world->rng, ARBITERS);
        create(world, row.arbiter, &node->opened, row.ttl_ms);
        step(world, at, (struct lease_event){ .kind = LEASE_EV_HOLD });
    } else {
        row.ttl_ms = ttls[rng_below(&world->rng, ARRAY_COUNT(ttls))];
        row.renew_ms = row.ttl_ms / 5;
    }
    bool same = row.arbiter == node->row.arbiter;
    node->wanted = row;
    node->row = row; /* our own log has it before anybody else */
    if (same)
        configure(world, at, &row);
    for (unsigned i = 0; i < NODES; i++) {
        struct event event = make(world, EV_ROW, i, 0);
        event.row = row;
        event.serial = node->life;
        if (i != at)
            send(world, at, event);
    }
}

static void
on_row(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (!epoch_equal(&node->following, &event->row.epoch) ||
        !epoch_equal(&node->promised, &event->row.epoch))
        return;
    if (is_newer(&event->row, &node->row)) {
        node->row = event->row;
        configure(world, event->node, &node->row);
    }
    struct event answer = make(world, EV_ROW_ACKED, event->from, 0);
    answer.life = event->serial;
    answer.row = event->row;
    send(world, event->node, answer);
}

static void
on_row_acked(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    if (node->wanted.revision != event->row.revision)
        return;
    node->wanted = (struct row){ 0 };
    if (!node->primary || !epoch_equal(&node->opened, &event->row.epoch))
        return;
    node->row = event->row;
    configure(world, event->node, &node->row);
}

/* ------------------------------------------------------------------ what breaks */

static void
break_arbiter(struct world *world, unsigned how)
{
    struct arbiter *arbiter = &world->arbiters[rng_below(&world->rng, ARBITERS)];
    switch (how) {
    case 0:
        arbiter->up = !arbiter->up;
        break;
    case 1:
        arbiter->record.end_ms = 0; /* an early end */
        break;
    case 2:
        arbiter->record.end_ms =
            arbiter_ms(world, arbiter) + arbiter->record.lease_ms; /* a late one */
        break;
    case 3:
        arbiter->backup = arbiter->record;
        break;
    case 4:
        if (arbiter->backup.exists &&
            rng_chance(&world->rng, (world->mode & MODE_RESTORE) != 0 ? 100 : 30))
            arbiter->record = arbiter->backup;
        break;
    case 5:
        if (rng_chance(&world->rng, 10))
            arbiter->record.exists = false;
        break;
    default:
        arbiter->up = true;
        break;
    }
}

static void
cut_something(struct world *world, unsigned at)
{
    unsigned other = (unsigned)rng_below(&world->rng, NODES);
    if (rng_chance(&world->rng, 50))
        world->cut_off[at] = true;
    else
        world->cut[at][other] = at != other;
}

static void
heal(struct world *world)
{
    memset(world->cut, 0, sizeof world->cut);
    memset(world->cut_off, 0, sizeof world->cut_off);
}

static void
close_one(struct world *world, unsigned at)
{
    struct event event = make(world, EV_CLOSE, at, 100);
    put(world, &event);
    event = make(world, EV_RESUME, at, rng_below(&world->rng, 3000000));
    put(world, &event);
}

/* Who may act goes on alone, mostly with the arbiter, and the others choose another. */
static void
isolate_holder(struct world *world)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (!world->nodes[i].permitted)
            continue;
        unsigned other = (i + 1 + (unsigned)rng_below(&world->rng, NODES - 1)) % NODES;
        if ((world->mode & MODE_ROWS) != 0)
            change_row(world, i); /* which arrives there, and its acknowledgement does not */
        if ((world->mode & MODE_RESTORE) != 0)
            break_arbiter(world, 4);
        if (rng_chance(&world->rng, 30))
            world->nodes[i].stalled_us = world->now_us + rng_below(&world->rng, 12000000);
        for (unsigned j = 0; j < NODES; j++)
            world->cut[i][j] = world->cut[j][i] = i != j;
        world->cut_off[i] = rng_chance(&world->rng, 30);
        world->cut_off[other] = false;
        promote(world, other);
    }
}

/* What this world is fond of; false: nothing of that now. */
static bool
break_as_liked(struct world *world, unsigned at)
{
    unsigned mode = 1u << rng_below(&world->rng, MODE_COUNT);
    switch (world->mode & mode) {
    case MODE_EAGER:
        promote(world, at);
        return true;
    case MODE_ROWS:
        change_row(world, at);
        return true;
    case MODE_RESTORE:
        break_arbiter(world, 3 + (unsigned)rng_below(&world->rng, 2));
        return true;
    case MODE_CRASH:
        crash(world, at);
        return true;
    case MODE_CUT:
        world->cut_off[at] = true;
        return true;
    case MODE_ISLAND:
        isolate_holder(world);
        return true;
    default:
        return false;
    }
}

static void
break_something(struct world *world)
{
    unsigned at = (unsigned)rng_below(&world->rng, NODES);
    if (break_as_liked(world, at))
        return;
    switch (rng_below(&world->rng, 12)) {
    case 0:
        crash(world, at);
        break;
    case 1:
        world->nodes[at].stalled_us = world->now_us + rng_below(&world->rng, 12000000);
        break;
    case 2:
    case 3:
        cut_something(world, at);
        break;
    case 4:
    case 5:
        heal(world);
        break;
    case 6:
        resume(world, at);
        break;
    case 7:
        change_row(world, at);
        break;
    case 8:
    case 9:
        break_arbiter(world, (unsigned)rng_below(&world->rng, 7));
        break;
    case 10:
        close_one(world, at);
        break;
    default:
        promote(world, at);
        break;
    }
}

static void
chaos(struct world *world)
{
    if (world->calm)
        return;
    break_something(world);
    struct event event = make(world, EV_CHAOS, 0, rng_below(&world->rng, 2500000));
    put(world, &event);
}

/* ------------------------------------------------------------------ running */

static void
run_event(struct world *world, const struct event *event)
{
    struct node *node = &world->nodes[event->node];
    switch (event->kind) {
    case EV_ALARM:
        if (event->serial == node->alarm)
            step(world, event->node, (struct lease_event){ .kind = LEASE_EV_TICK });
        break;
    case EV_REPLY:
        step(world, event->node,
             (struct lease_event){ .kind = LEASE_EV_REPLY, .reply = &event->reply });
        break;
    case EV_CONFIRM:
        step(world, event->node,
             (struct lease_event){ .kind = LEASE_EV_CONFIRM,
                                   .node = names[event->from],
                                   .epoch = event->epoch,
                                   .asked_ms = event->asked_ms,
                                   .ok = event->ok });
        break;
    case EV_PROVED:
        step(world, event->node,
             (struct lease_event){ .kind = LEASE_EV_PROVED, .epoch = event->epoch });
        break;
    case EV_CLOSE:
        node->primary = false;
        step(world, event->node, (struct lease_event){ .kind = LEASE_EV_CLOSE });
        break;
    case EV_CONFIRM_Q:
        on_confirm_question(world, event);
        break;
    case EV_CAPTURE:
        on_capture(world, event);
        break;
    case EV_CAPTURED:
        on_captured(world, event);
        break;
    case EV_FOLLOW:
        on_follow(world, event);
        break;
    case EV_FOLLOWED:
        on_followed(world, event);
        break;
    case EV_STOPPED:
        on_stopped(world, event);
        break;
    case EV_NOTE:
        node->memory = event->memory;
        break;
    case EV_ROW:
        on_row(world, event);
        break;
    case EV_ROW_ACKED:
        on_row_acked(world, event);
        break;
    case EV_RESUME:
        resume(world, event->node);
        break;
    case EV_ASK:
    case EV_START:
    case EV_CHAOS:
        break;
    }
}

static void
advance(struct world *world)
{
    struct event event = take(world);
    struct node *node = &world->nodes[event.node];
    world->now_us = event.at_us;
    check(world); /* a deadline may have passed, or not, since the last one */
    if (event.kind == EV_CHAOS) {
        chaos(world);
    } else if (event.kind == EV_ASK) {
        on_ask(world, &event);
    } else if (event.kind == EV_START) {
        if (!node->up)
            start(world, event.node);
    } else if (!node->up || node->life != event.life) {
        return;
    } else if (node->stalled_us > world->now_us) {
        event.at_us = node->stalled_us + rng_below(&world->rng, 100);
        event.order = world->order++;
        put(world, &event);
        return;
    } else {
        run_event(world, &event);
    }
    check(world);
}

static uint64_t
some_rate(struct world *world)
{
    return 1000000 - RATE_PPM + rng_below(&world->rng, 3) * RATE_PPM;
}

static void
begin(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    rng_init(&world->rng, seed);
    for (unsigned i = 0; i < MODE_COUNT; i++)
        world->mode |= rng_chance(&world->rng, 40) ? 1u << i : 0;
    world->slow = (unsigned)rng_below(&world->rng, NODES);
    world->now_us = 1000000;
    for (unsigned i = 0; i < ARBITERS; i++) {
        world->arbiters[i].rate_ppm = some_rate(world);
        world->arbiters[i].up = true;
    }
    struct epoch first = epoch_make(1, names[0]);
    struct row row = {
        .epoch = first, .revision = 1, .arbiter = 1, .ttl_ms = 5000, .renew_ms = 1000
    };
    world->revision = 1;
    create(world, 1, &first, 5000);
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = &world->nodes[i];
        node->rate_ppm = some_rate(world);
        node->offset_us = rng_below(&world->rng, 1000000000);
        node->promised = first;
        node->row = row;
        start(world, i);
        node->following = first;
    }
    world->nodes[0].opened = first;
    world->nodes[0].primary = world->nodes[0].acked = true;
    step(world, 0, (struct lease_event){ .kind = LEASE_EV_WANT, .epoch = first });
    struct event event = make(world, EV_CHAOS, 0, 1000000);
    put(world, &event);
}

static void
run_until(struct world *world, uint64_t end_us)
{
    while (world->count > 0 && world->heap[0].at_us < end_us)
        advance(world);
    world->now_us = end_us;
}

/* Everything heals, a person puts the arbiter right, and orders a promotion: then one acts. */
static void
calm_down(struct world *world)
{
    struct row row = {
        .arbiter = 1, .ttl_ms = 5000, .renew_ms = 1000, .revision = ++world->revision
    };
    world->calm = true;
    heal(world);
    run_until(world, world->now_us + CALM_US / 4); /* what the storm has left under way */
    struct epoch newest = { 0 };
    for (unsigned i = 0; i < NODES; i++) {
        newest = *epoch_max(&newest, &world->nodes[i].promised);
        newest = *epoch_max(&newest, &world->nodes[i].lease.memory.seen);
    }
    newest.number++;
    for (unsigned i = 0; i < ARBITERS; i++) {
        world->arbiters[i].up = true;
        create(world, i + 1, &newest, 2000);
    }
    for (unsigned i = 0; i < NODES; i++) {
        world->nodes[i].taking = (struct epoch){ 0 };
        world->nodes[i].promised.number = newest.number;
        row.epoch = world->nodes[i].row.epoch;
        world->nodes[i].row = row;
    }
    promote(world, (unsigned)rng_below(&world->rng, NODES));
    run_until(world, world->now_us + CALM_US);
}

static void
run_seed(uint64_t seed, struct world *world)
{
    seed_now = seed;
    begin(world, seed);
    run_until(world, STORM_US);
    calm_down(world);
    unsigned acting = 0;
    for (unsigned i = 0; i < NODES; i++)
        acting += lease_may_act(&world->nodes[i].lease, local_ms(world, i));
    if (acting != 1)
        fail_msg("seed %llu: nobody acts in calm: %s, %s, %s", seed_now,
                 world->nodes[0].lease.reason, world->nodes[1].lease.reason,
                 world->nodes[2].lease.reason);
}

static uint64_t seed_first = 1;
static uint64_t seed_count = SEEDS;

static void
test_never_two_act(void **state)
{
    (void)state;
    struct world *world = mem_alloc(sizeof *world);
    unsigned grants = 0;
    unsigned failsafes = 0;
    for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
        run_seed(seed, world);
        grants += world->grants;
        failsafes += world->failsafes;
    }
    print_message("%llu seeds, %u grants, %u times by the members' word\n",
                  (unsigned long long)seed_count, grants, failsafes);
    assert_true(grants > seed_count && failsafes > seed_count / 10);
    free(world);
}

int
main(int argc, char **argv)
{
    if (argc == 3) {
        seed_first = strtoull(argv[1], NULL, 10);
        seed_count = strtoull(argv[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_two_act),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
