/*
 * The simulator: seeded storms in the invented world. In a storm anything may break, and nothing
 * may be unsafe for a moment; then calm, in which the cluster must come to rest with all that was
 * promised: one primary, all others follow it, it alone has the lease and acts on the outside.
 *
 *     sim [--verbose] [--seconds S] [--failures N] [FIRST [COUNT]]
 *         seeds FIRST .. FIRST + COUNT - 1, until N have failed (5)
 *
 * A seed is a cluster, its settings and its faults, event for event the same each time. What fails
 * prints its seed and how to see it again.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "tests/sim/sim.h"

#define ROUND_MS     15000  /* of storm, before each calm */
#define CALM_MS_MAX  180000 /* people, who come after a while, included */
#define CALM_STEP_MS 500
#define RENEWAL_MS   1000 /* a primary that tries one is none meanwhile */
#define MS_PER_HOUR  3600000.0

static unsigned long long seed_now;
static uint64_t seconds_now;

static struct {
    uint64_t events;
    uint64_t simulated_ms;
    uint64_t faults;
    uint64_t orders;
    uint64_t epochs;
    uint64_t acknowledged;
    uint64_t calms;
    uint64_t unaided; /* calms in which nobody had to do anything */
    struct world_counts counts;
} total;

/* ------------------------------------------------------------------ calm */

/* What a person does when nothing breaks any more: orders a promotion while nobody is primary, and
 * looks after an arbiter that says it has to be. */
struct person {
    unsigned asked;
    unsigned orders;     /* while nobody is primary */
    uint64_t without_ms; /* since when nobody is primary */
    uint64_t unwell_ms;  /* since when the arbiter grants nothing */
    bool helped;
};

static void
help(struct sim *sim, struct person *person)
{
    struct world *world = sim->world;
    uint64_t now_ms = world_now_ms(world);
    unsigned primary = world_primary(world);
    if (primary == WORLD_NONE) {
        /* for the moment of a renewal that fails, he does not forget what he was looking at */
        if (now_ms - person->without_ms > RENEWAL_MS)
            person->unwell_ms = now_ms;
        if (now_ms - person->without_ms < SIM_PATIENCE_MS)
            return;
        person->asked = (person->asked + 1) % sim->count;
        /* each member refused it: an arbiter that has forgotten says of nobody that he stopped */
        struct world_order order = { 0 };
        if (person->orders++ > 2 * sim->count)
            order.overrides = 1u << PROMO_CHECK_ARBITER;
        (void)world_promote(world, person->asked, &order);
        person->without_ms = now_ms - SIM_PATIENCE_MS + 2000;
        person->helped = true;
        return;
    }
    person->without_ms = now_ms;
    person->orders = 0;
    unsigned arbiter = world_arbiter_in_use(world, primary);
    if (arbiter == WORLD_NONE || world_arbiter_is_well(world, arbiter)) {
        person->unwell_ms = now_ms;
    } else if (now_ms - person->unwell_ms > SIM_PATIENCE_MS) {
        (void)world_choose_arbiter(world, primary, arbiter, true);
        person->unwell_ms = now_ms;
        person->helped = true;
    }
}

static bool
calm(struct sim *sim, struct buf *why)
{
    struct world *world = sim->world;
    uint64_t began_ms = world_now_ms(world);
    struct person person = { .asked = sim_some_node(sim),
                             .without_ms = began_ms,
                             .unwell_ms = began_ms };
    sim_heal(sim);
    total.calms++;
    while (world_now_ms(world) - began_ms < CALM_MS_MAX) {
        if (!world_run(world, world_now_ms(world) + CALM_STEP_MS))
            return false;
        buf_clear(why);
        if (world_at_rest(world, why)) {
            total.unaided += !person.helped;
            return world_violation(world) == NULL;
        }
        if (world_violation(world) != NULL)
            return false;
        help(sim, &person);
    }
    return false;
}

/* ------------------------------------------------------------------ one seed */

static void
count_seed(const struct sim *sim)
{
    const struct world *world = sim->world;
    struct world_counts counts = world_counts(world);
    total.events += world_event_count(world);
    total.simulated_ms += world_now_ms(world);
    total.faults += sim->faults;
    total.orders += sim->orders;
    total.epochs += world_epoch_count(world);
    total.acknowledged += world_acknowledged_count(world);
    total.counts.takeovers += counts.takeovers;
    total.counts.grants += counts.grants;
    total.counts.effects += counts.effects;
    total.counts.refused += counts.refused;
}

static void
say_how_to_repeat(void)
{
    printf("repeat it: tests/sim/sim --verbose --seconds %llu %llu 1\n",
           (unsigned long long)seconds_now, seed_now);
}

static bool
run_seed(uint64_t seed, uint64_t seconds, world_say *listener, struct buf *why)
{
    struct sim sim = { 0 };
    struct world_config config;
    sim_choose(&sim, seed, &config);
    CLEANUP(world_freep) struct world *world = world_new(&config);
    sim.world = world;
    if (listener != NULL) {
        CLEANUP(buf_done) struct buf text = { 0 };
        sim_describe(&sim, &config, &text);
        fputs(buf_text(&text), stdout);
        world_listen(world, listener, NULL);
    }
    bool fine = true;
    for (uint64_t end_ms = seconds * 1000; fine && world_now_ms(world) < end_ms;)
        fine = sim_blow(&sim, world_now_ms(world) + ROUND_MS) && calm(&sim, why);
    count_seed(&sim);
    if (fine)
        return true;
    CLEANUP(buf_done) struct buf text = { 0 };
    sim_describe(&sim, &config, &text);
    world_show(world, &text);
    printf("seed %llu, event %llu, at %llu ms: %s\n%s", (unsigned long long)seed,
           (unsigned long long)world_event_count(world), (unsigned long long)world_now_ms(world),
           world_violation(world) != NULL ? world_violation(world) : buf_text(why),
           buf_text(&text));
    say_how_to_repeat();
    return false;
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
    char text[160];
    int size =
        snprintf(text, sizeof text,
                 "aborted in seed %llu\nrepeat it: tests/sim/sim --verbose --seconds %llu %llu 1\n",
                 seed_now, (unsigned long long)seconds_now, seed_now);
    (void)!write(STDERR_FILENO, text, (size_t)size);
    (void)signal(number, SIG_DFL);
}

static void
sum_up(uint64_t first, uint64_t count, unsigned failed)
{
    double hours = (double)total.simulated_ms / MS_PER_HOUR;
    double cpu_hours = (double)clock() / CLOCKS_PER_SEC / 3600.0;
    printf("seeds %llu to %llu: %.1f simulated hours in %.1f s of CPU (%.0f an hour), %llu events, "
           "%llu faults, %llu promotions, %llu takeovers by itself, %llu permissions to act, %llu "
           "effects and %llu refused, %llu writes acknowledged, %llu of %llu calms unaided, "
           "%u violations\n",
           (unsigned long long)first, (unsigned long long)(first + count - 1), hours,
           cpu_hours * 3600.0, hours / cpu_hours, (unsigned long long)total.events,
           (unsigned long long)total.faults, (unsigned long long)total.epochs,
           (unsigned long long)total.counts.takeovers, (unsigned long long)total.counts.grants,
           (unsigned long long)total.counts.effects, (unsigned long long)total.counts.refused,
           (unsigned long long)total.acknowledged, (unsigned long long)total.unaided,
           (unsigned long long)total.calms, failed);
}

int
main(int count, char **arguments)
{
    uint64_t numbers[2] = { 1, 1000 };
    size_t given = 0;
    unsigned failed = 0;
    bool verbose = false;
    bool usage = false;
    CLEANUP(buf_done) struct buf why = { 0 };
    uint64_t failures_max = 5;
    seconds_now = SIM_SECONDS;
    for (int i = 1; i < count && !usage; i++) {
        if (strcmp(arguments[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(arguments[i], "--seconds") == 0 && i + 1 < count)
            usage = !str_to_u64(arguments[++i], 1, 1000000, &seconds_now);
        else if (strcmp(arguments[i], "--failures") == 0 && i + 1 < count)
            usage = !str_to_u64(arguments[++i], 1, 1000000, &failures_max);
        else
            usage = given == 2 || !str_to_u64(arguments[i], 1, UINT32_MAX, &numbers[given++]);
    }
    if (usage) {
        fputs("usage: sim [--verbose] [--seconds S] [--failures N] [FIRST [COUNT]]\n", stderr);
        return 2;
    }
    (void)signal(SIGABRT, on_abort);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t i = 0; i < numbers[1] && failed < failures_max; i++) {
        seed_now = numbers[0] + i;
        failed += !run_seed(seed_now, seconds_now, verbose ? print_line : NULL, &why);
    }
    sum_up(numbers[0], numbers[1], failed);
    return failed == 0 ? 0 : 1;
}
