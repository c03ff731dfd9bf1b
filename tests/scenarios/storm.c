/*
 * Seeded storms: anything may break, and nothing may be unsafe for a moment; then calm, in which
 * the cluster must come to rest with all that was promised.
 *
 *     storm [FIRST [COUNT [SECONDS]]]        seeds FIRST .. FIRST + COUNT - 1
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "tests/world/rng.h"
#include "tests/world/world.h"

#define ROUND_MS     15000 /* of storm, before each calm */
#define CALM_MS_MAX  90000
#define CALM_STEP_MS 500

static unsigned long long seed_now;

struct storm {
    struct world *world;
    struct rng rng;
    unsigned count;
    bool loss_allowed;
    bool sets_change;
    unsigned fury; /* percent: something breaks during a promotion */
    uint64_t orders;
};

static struct {
    uint64_t events;
    uint64_t orders;
    uint64_t epochs;
    uint64_t acknowledged;
} total;

static unsigned
some_node(struct storm *storm)
{
    return (unsigned)rng_below(&storm->rng, storm->count);
}

static enum world_part
some_part(struct storm *storm)
{
    return (enum world_part)(1 + rng_below(&storm->rng, 3));
}

static void
promote_somewhere(struct storm *storm)
{
    struct world_order order = { 0 };
    if (storm->loss_allowed && rng_chance(&storm->rng, 15))
        order.accept_data_loss = true;
    if (rng_chance(&storm->rng, 15))
        order.overrides |= 1u << PROMO_CHECK_FREEZE;
    if (rng_chance(&storm->rng, 40))
        order.overrides |= 1u << PROMO_CHECK_STREAMING;
    storm->orders += world_promote(storm->world, some_node(storm), &order);
}

static void
change_set(struct storm *storm)
{
    unsigned voters = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < storm->count; i++) {
        if (!rng_chance(&storm->rng, 70))
            continue;
        voters |= 1u << i;
        count++;
    }
    if (count == 0) {
        voters = 1u << some_node(storm);
        count = 1;
    }
    world_want(storm->world, (unsigned)rng_below(&storm->rng, count), voters);
}

static void
cut_something(struct storm *storm)
{
    unsigned a = some_node(storm);
    unsigned b = some_node(storm);
    enum world_line lines = (enum world_line)(1 + rng_below(&storm->rng, 3));
    if (rng_chance(&storm->rng, 30)) { /* one node from all others */
        for (unsigned i = 0; i < storm->count; i++) {
            if (i != a) {
                world_cut(storm->world, a, i, lines);
                world_cut(storm->world, i, a, lines);
            }
        }
        return;
    }
    if (a == b)
        return;
    world_cut(storm->world, a, b, lines);
    if (rng_chance(&storm->rng, 60))
        world_cut(storm->world, b, a, lines);
}

static void
break_something(struct storm *storm)
{
    struct world *world = storm->world;
    unsigned node = some_node(storm);
    switch (rng_below(&storm->rng, 12)) {
    case 0:
    case 1:
        world_crash(world, node, some_part(storm));
        break;
    case 2:
    case 3:
    case 4:
        world_start(world, node, WORLD_BOTH);
        break;
    case 5:
        cut_something(storm);
        break;
    case 6:
    case 7:
        world_heal(world);
        break;
    case 8:
        world_set_loss(world, (unsigned)rng_below(&storm->rng, 10));
        break;
    case 9:
        world_hold_stream(world, node, some_node(storm), rng_chance(&storm->rng, 50));
        break;
    case 10:
        if (storm->sets_change)
            change_set(storm);
        break;
    default:
        promote_somewhere(storm);
        break;
    }
}

static bool
promotion_runs(const struct storm *storm)
{
    for (unsigned i = 0; i < storm->count; i++) {
        enum promo_state state = world_promo_state(storm->world, i);
        if (state != PROMO_STATE_IDLE && state != PROMO_STATE_DONE && state != PROMO_STATE_FAILED)
            return true;
    }
    return false;
}

/* Ends the round at 'until_ms'. Most of it happens while somebody is being promoted. */
static bool
blow(struct storm *storm, uint64_t until_ms)
{
    struct world *world = storm->world;
    while (world_now_ms(world) < until_ms) {
        bool busy = promotion_runs(storm);
        uint64_t next_ms = world_now_ms(world) + 1 + rng_below(&storm->rng, busy ? 15 : 250);
        if (!world_run(world, next_ms < until_ms ? next_ms : until_ms))
            return false;
        if (rng_chance(&storm->rng, busy ? 20 : 60))
            (void)world_write(world, some_node(storm), rng_chance(&storm->rng, 20));
        if (rng_chance(&storm->rng, busy ? storm->fury : 35))
            break_something(storm);
        if (rng_chance(&storm->rng, busy ? 1 : 20))
            promote_somewhere(storm);
    }
    return true;
}

/* Nothing breaks any more; a person repeats the command while nobody is primary. */
static bool
calm(struct storm *storm, struct buf *why)
{
    struct world *world = storm->world;
    unsigned asked = some_node(storm);
    uint64_t began_ms = world_now_ms(world);
    uint64_t without_ms = began_ms;
    world_heal(world);
    for (unsigned i = 0; i < storm->count; i++)
        world_start(world, i, WORLD_BOTH);
    while (world_now_ms(world) - began_ms < CALM_MS_MAX) {
        if (!world_run(world, world_now_ms(world) + CALM_STEP_MS))
            return false;
        buf_clear(why);
        if (world_at_rest(world, why))
            return world_violation(world) == NULL;
        if (world_violation(world) != NULL)
            return false;
        if (world_primary(world) != WORLD_NONE)
            without_ms = world_now_ms(world);
        if (world_now_ms(world) - without_ms < 4000)
            continue;
        asked = (asked + 1) % storm->count;
        (void)world_promote(world, asked, &(struct world_order){ 0 });
        without_ms = world_now_ms(world) - 2000;
    }
    return false;
}

static bool
run_seed(uint64_t seed, uint64_t seconds, world_say *listener, struct buf *why)
{
    static const char *const names[] = { "a-1", "b-1", "c-1", "d-1", "e-1" };
    struct storm storm = { 0 };
    struct world_config config = world_config_storm(seed);
    rng_init(&storm.rng, seed ^ 0x5DEECE66DULL);
    storm.count = 2 + (unsigned)rng_below(&storm.rng, 4);
    storm.loss_allowed = rng_chance(&storm.rng, 25);
    storm.sets_change = rng_chance(&storm.rng, 40);
    storm.fury = 1 + (unsigned)rng_below(&storm.rng, 12);
    config.count = storm.count;
    for (unsigned i = 0; i < storm.count; i++)
        config.names[i] = names[i];
    config.k = (unsigned)rng_below(&storm.rng, storm.count);
    if (config.k > 2)
        config.k = 2;
    config.settled = true;
    CLEANUP(world_freep) struct world *world = world_new(&config);
    storm.world = world;
    if (listener != NULL)
        world_listen(world, listener, NULL);
    bool fine = true;
    for (uint64_t end_ms = seconds * 1000; fine && world_now_ms(world) < end_ms;)
        fine = blow(&storm, world_now_ms(world) + ROUND_MS) && calm(&storm, why);
    total.events += world_event_count(world);
    total.orders += storm.orders;
    total.epochs += world_epoch_count(world);
    total.acknowledged += world_acknowledged_count(world);
    if (!fine) {
        printf("seed %llu: nodes %u, k %u, at %llu ms: %s\n", (unsigned long long)seed, storm.count,
               config.k, (unsigned long long)world_now_ms(world),
               world_violation(world) != NULL ? world_violation(world) : buf_text(why));
        CLEANUP(buf_done) struct buf text = { 0 };
        world_show(world, &text);
        fputs(buf_text(&text), stdout);
    }
    return fine;
}

static void
print_line(void *data, enum world_topic topic, const char *line)
{
    (void)data, (void)topic;
    puts(line);
}

/* An assertion of the code under test: say which seed it was. */
static void
on_abort(int number)
{
    char text[64];
    int size = snprintf(text, sizeof text, "aborted in seed %llu\n", seed_now);
    (void)!write(STDERR_FILENO, text, (size_t)size);
    signal(number, SIG_DFL);
}

int
main(int count, char **arguments)
{
    uint64_t numbers[3] = { 1, 300, 60 };
    unsigned failed = 0;
    bool loud = getenv("STORM_LOUD") != NULL;
    CLEANUP(buf_done) struct buf why = { 0 };
    for (int i = 1; i < count && i < 4; i++) {
        if (!str_to_u64(arguments[i], 0, UINT32_MAX, &numbers[i - 1])) {
            fputs("usage: storm [FIRST [COUNT [SECONDS]]]\n", stderr);
            return 2;
        }
    }
    signal(SIGABRT, on_abort);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t i = 0; i < numbers[1] && failed < 5; i++) {
        seed_now = numbers[0] + i;
        failed += !run_seed(seed_now, numbers[2], loud ? print_line : NULL, &why);
    }
    printf("%llu storms of %llu s: %llu events, %llu orders, %llu epochs opened, %llu writes "
           "acknowledged, %u failed\n",
           (unsigned long long)numbers[1], (unsigned long long)numbers[2],
           (unsigned long long)total.events, (unsigned long long)total.orders,
           (unsigned long long)total.epochs, (unsigned long long)total.acknowledged, failed);
    return failed == 0 ? 0 : 1;
}
