/*
 * Kills one part of one node at every event of a promotion, heals, repeats the command while nobody
 * is primary, and demands that the cluster comes to rest with all that was acknowledged.
 *
 *     kill [EVERY [SEEDS]]    each EVERY-th event only (1), with the delays of seeds 0 .. SEEDS - 1
 *                             (1)
 *
 * Cases: switchover and failover, on two, three and five nodes, with and without a lagging
 * candidate, and takeovers that Baton begins by itself, beside an arbiter of each kind; a primary
 * that goes on alone, and its way back. Each node x {daemon, database, both}. The world repeats
 * itself event for event, so the n-th event of one run is the n-th of the next.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "tests/world/world.h"

#define AFTER_DONE_MS 400   /* events after the promotion's end are killed at too */
#define DOWN_MS       1500  /* before what was killed is started again */
#define RUN_MS_MAX    20000 /* of one promotion without a fault */
#define CALM_MS_MAX   90000
#define ALONE_WAIT_MS 600  /* a COMMIT waits so long, then the primary goes on alone */
#define ALONE_MS      1600 /* until it does, and has recorded it */
#define BACK_MS       4000 /* until all count again, and the arbiter knows */
#define BACK_EVERY    4    /* much happens meanwhile that has nothing to do with it */
#define FAILURES_MAX  5

enum kill_phase { KILL_PROMOTION, KILL_ALONE, KILL_BACK };

struct kill_case {
    const char *name;
    size_t count;
    unsigned k;
    bool failover;              /* the old primary is dead when the order comes */
    bool lagging;               /* the candidate lacks rows that others have */
    enum world_arbiter arbiter; /* with one the primary loses its power, and Baton takes over */
    enum kill_phase phase;
};

static const struct kill_case cases[] = {
    { "switchover of three", 3, 1, false, false, WORLD_ARBITER_NONE, KILL_PROMOTION },
    { "failover of three", 3, 1, true, false, WORLD_ARBITER_NONE, KILL_PROMOTION },
    { "failover of three, lagging", 3, 1, true, true, WORLD_ARBITER_NONE, KILL_PROMOTION },
    { "switchover of two, async", 2, 0, false, false, WORLD_ARBITER_NONE, KILL_PROMOTION },
    { "switchover of five", 5, 2, false, false, WORLD_ARBITER_NONE, KILL_PROMOTION },
    { "failover of five, lagging", 5, 2, true, true, WORLD_ARBITER_NONE, KILL_PROMOTION },
    { "takeover of three, witness", 3, 1, true, false, WORLD_ARBITER_WITNESS, KILL_PROMOTION },
    { "takeover of five, etcd", 5, 2, true, false, WORLD_ARBITER_ETCD, KILL_PROMOTION },
    { "alone of three, witness", 3, 1, false, false, WORLD_ARBITER_WITNESS, KILL_ALONE },
    { "alone of three, etcd", 3, 2, false, false, WORLD_ARBITER_ETCD, KILL_ALONE },
    { "back to three, witness", 3, 1, false, false, WORLD_ARBITER_WITNESS, KILL_BACK },
    { "back to three, etcd", 3, 2, false, false, WORLD_ARBITER_ETCD, KILL_BACK },
};

static const char *const names[] = { "a-1", "b-1", "c-1", "d-1", "e-1" };
static char now[160]; /* for who asks after an abort */
static uint64_t seed;

static bool
promotes(const struct world *world, unsigned node)
{
    enum promo_state state = world_promo_state(world, node);
    return state != PROMO_STATE_IDLE && state != PROMO_STATE_DONE && state != PROMO_STATE_FAILED;
}

/* The primary's host loses its power; until somebody takes over. */
static unsigned
lose_primary(struct world *world)
{
    world_power(world, 0, false);
    while (world_step(world)) {
        for (unsigned i = 1; i < world_count(world); i++) {
            if (promotes(world, i))
                return i;
        }
        ASSERT(world_now_ms(world) < RUN_MS_MAX);
    }
    return 1;
}

/* Nobody is left to acknowledge. KILL_BACK: the primary goes on alone, and now they come back. */
static void
leave_alone(struct world *world, enum kill_phase phase)
{
    (void)world_run(world, world_now_ms(world) + ALONE_MS); /* whom to ask is agreed on */
    for (unsigned i = 1; i < world_count(world); i++)
        world_power(world, i, false);
    (void)world_write(world, 0, false);
    if (phase == KILL_ALONE)
        return;
    (void)world_run(world, world_now_ms(world) + ALONE_MS);
    for (unsigned i = 1; i < world_count(world); i++)
        world_power(world, i, true);
}

static struct world *
start_case(const struct kill_case *it, unsigned *ret_candidate)
{
    struct world_config config = world_config_storm(seed);
    config.count = it->count;
    config.k = it->k;
    config.settled = true;
    config.arbiters[0] = it->arbiter;
    config.arbiter_count = it->arbiter != WORLD_ARBITER_NONE;
    config.sync_wait_ms = it->phase != KILL_PROMOTION ? ALONE_WAIT_MS : 0;
    config.connectors = config.records = config.keeper = config.arbiter_count > 0;
    for (size_t i = 0; i < it->count; i++)
        config.names[i] = names[i];
    struct world *world = world_new(&config);
    unsigned candidate = (unsigned)it->count - 1;
    *ret_candidate = candidate;
    if (it->lagging)
        world_hold_stream(world, 0, candidate, true);
    for (unsigned i = 0; i < 4; i++)
        (void)world_write(world, i % (unsigned)it->count, false);
    (void)world_run(world, 200);
    if (it->phase != KILL_PROMOTION) {
        leave_alone(world, it->phase);
        *ret_candidate = 0;
        return world;
    }
    if (it->arbiter != WORLD_ARBITER_NONE) {
        *ret_candidate = lose_primary(world);
        return world;
    }
    if (it->failover) {
        (void)world_write(world, 0, true);
        (void)world_run(world, 202);
        world_crash(world, 0, WORLD_BOTH);
    }
    (void)world_write(world, candidate, false);
    (void)world_promote(world, candidate, &(struct world_order){ 0 });
    return world;
}

/* How many events until the promotion has ended, and a little longer. */
static uint64_t
count_events(const struct kill_case *it)
{
    unsigned candidate;
    CLEANUP(world_freep) struct world *world = start_case(it, &candidate);
    uint64_t first = world_event_count(world);
    uint64_t done_ms = 0;
    if (it->phase != KILL_PROMOTION)
        (void)world_run(world,
                        world_now_ms(world) + (it->phase == KILL_ALONE ? ALONE_MS : BACK_MS));
    while (it->phase == KILL_PROMOTION && world_step(world)) {
        if (done_ms == 0 && world_promo_state(world, candidate) == PROMO_STATE_DONE)
            done_ms = world_now_ms(world);
        if (done_ms != 0 && world_now_ms(world) > done_ms + AFTER_DONE_MS)
            break;
        ASSERT(world_now_ms(world) < RUN_MS_MAX);
    }
    return world_event_count(world) - first;
}

static bool
come_to_rest(struct world *world, unsigned candidate, struct buf *why)
{
    uint64_t began_ms = world_now_ms(world);
    uint64_t without_ms = began_ms;
    unsigned asked = candidate;
    world_heal(world);
    for (unsigned i = 0; i < world_count(world); i++)
        world_start(world, i, WORLD_BOTH);
    while (world_now_ms(world) - began_ms < CALM_MS_MAX) {
        if (!world_run(world, world_now_ms(world) + 250))
            return false;
        buf_clear(why);
        if (world_at_rest(world, why))
            return world_violation(world) == NULL;
        if (world_violation(world) != NULL)
            return false;
        if (world_primary(world) != WORLD_NONE)
            without_ms = world_now_ms(world);
        if (world_now_ms(world) - without_ms < 3000)
            continue;
        (void)world_promote(world, asked, &(struct world_order){ 0 });
        asked = (asked + 1) % (unsigned)world_count(world);
        without_ms = world_now_ms(world) - 1000;
    }
    return false;
}

static bool
run_one(const struct kill_case *it, uint64_t at, unsigned victim, enum world_part part)
{
    static const char *const parts[] = { "", "daemon", "database", "both" };
    unsigned candidate;
    CLEANUP(buf_done) struct buf why = { 0 };
    CLEANUP(world_freep) struct world *world = start_case(it, &candidate);
    uint64_t first = world_event_count(world);
    (void)snprintf(now, sizeof now, "%s: seed %llu, event %llu, %s of %s\n", it->name,
                   (unsigned long long)seed, (unsigned long long)at, parts[part], names[victim]);
    while (world_event_count(world) - first < at && world_step(world))
        continue;
    world_crash(world, victim, part);
    (void)world_write(world, candidate, false);
    bool fine =
        world_run(world, world_now_ms(world) + DOWN_MS) && come_to_rest(world, candidate, &why);
    if (!fine) {
        CLEANUP(buf_done) struct buf text = { 0 };
        world_show(world, &text);
        printf("%s  %s\n%s", now,
               world_violation(world) != NULL ? world_violation(world) : buf_text(&why),
               buf_text(&text));
    }
    return fine;
}

static void
on_abort(int number)
{
    size_t size = 0;
    while (now[size] != '\0')
        size++;
    (void)!write(STDERR_FILENO, now, size);
    (void)signal(number, SIG_DFL);
}

static void
run_case(const struct kill_case *it, uint64_t every, uint64_t *runs, unsigned *failed)
{
    uint64_t events = count_events(it);
    uint64_t before = *runs;
    if (it->phase == KILL_BACK)
        every *= BACK_EVERY;
    for (uint64_t at = 0; at <= events && *failed < FAILURES_MAX; at += every) {
        for (unsigned victim = 0; victim < it->count; victim++) {
            for (unsigned part = 1; part <= 3; part++, ++*runs)
                *failed += !run_one(it, at, victim, (enum world_part)part);
        }
    }
    printf("%s: %llu events, %llu runs\n", it->name, (unsigned long long)events,
           (unsigned long long)(*runs - before));
}

int
main(int count, char **arguments)
{
    uint64_t numbers[2] = { 1, 1 };
    uint64_t runs = 0;
    unsigned failed = 0;
    for (int i = 1; i < count && i < 3; i++) {
        if (!str_to_u64(arguments[i], 1, 100000, &numbers[i - 1])) {
            fputs("usage: kill [EVERY [SEEDS]]\n", stderr);
            return 2;
        }
    }
    (void)signal(SIGABRT, on_abort);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (seed = 0; seed < numbers[1]; seed++) {
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
            run_case(&cases[i], numbers[0], &runs, &failed);
    }
    printf("%llu runs, %u failed\n", (unsigned long long)runs, failed);
    return failed == 0 ? 0 : 1;
}
