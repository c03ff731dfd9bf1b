/*
 * What may befall a cluster, and how often. Each call draws at most one number: in which order
 * arguments are evaluated is the compiler's choice, and a seed is the same with each.
 */
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "tests/sim/sim.h"

static uint64_t
below(struct sim *sim, uint64_t bound)
{
    return rng_below(&sim->rng, bound);
}

static bool
chance(struct sim *sim, unsigned percent)
{
    return rng_chance(&sim->rng, percent);
}

unsigned
sim_some_node(struct sim *sim)
{
    return (unsigned)below(sim, sim->count);
}

static enum world_part
some_part(struct sim *sim)
{
    return (enum world_part)(1 + below(sim, 3));
}

static unsigned
some_arbiter(struct sim *sim)
{
    return (unsigned)below(sim, sim->arbiters);
}

/* Short as a rule, now and then longer than every lease. */
static uint64_t
some_span_ms(struct sim *sim)
{
    return chance(sim, 70) ? 20 + below(sim, 600) : 500 + below(sim, 9000);
}

/* ------------------------------------------------------------------ faults that end */

static void
end_later(struct sim *sim, sim_end *end, unsigned node)
{
    for (size_t i = 0; i < SIM_LATER_MAX; i++) {
        if (sim->later[i].end != NULL)
            continue;
        sim->later[i] = (struct sim_later){ .end = end,
                                            .node = node,
                                            .at_ms = world_now_ms(sim->world) + some_span_ms(sim) };
        return;
    }
    end(sim, node);
}

static void
end_those_due(struct sim *sim, uint64_t now_ms)
{
    for (size_t i = 0; i < SIM_LATER_MAX; i++) {
        struct sim_later later = sim->later[i];
        if (later.end == NULL || later.at_ms > now_ms)
            continue;
        sim->later[i].end = NULL;
        later.end(sim, later.node);
    }
}

static void
go_on(struct sim *sim, unsigned node)
{
    world_continue(sim->world, node, WORLD_BOTH);
}

static void
wake(struct sim *sim, unsigned node)
{
    world_resume(sim->world, node);
}

static void
power_on(struct sim *sim, unsigned node)
{
    world_power(sim->world, node, true);
}

static void
start(struct sim *sim, unsigned node)
{
    world_start(sim->world, node, WORLD_BOTH);
}

static void
join_outside(struct sim *sim, unsigned node)
{
    world_outside_cut(sim->world, node, false);
}

static void
servers_answer(struct sim *sim, unsigned node)
{
    world_servers(sim->world, node, false);
}

static void
arbiter_on(struct sim *sim, unsigned arbiter)
{
    world_arbiter_power(sim->world, arbiter, true);
}

static void
arbiter_goes_on(struct sim *sim, unsigned arbiter)
{
    world_arbiter_stop(sim->world, arbiter, false);
}

static void
arbiter_heard(struct sim *sim, unsigned arbiter)
{
    for (unsigned i = 0; i < sim->count; i++)
        world_arbiter_cut(sim->world, arbiter, i, false, false);
}

/* ------------------------------------------------------------------ people */

static void
promote_somewhere(struct sim *sim)
{
    struct world_order order = { 0 };
    if (sim->loss_allowed && chance(sim, 15))
        order.accept_data_loss = true;
    if (chance(sim, 15))
        order.overrides |= 1u << PROMO_CHECK_FREEZE;
    if (chance(sim, 40))
        order.overrides |= 1u << PROMO_CHECK_STREAMING;
    if (sim->loss_allowed && chance(sim, 10))
        order.overrides |= 1u << PROMO_CHECK_ARBITER;
    sim->orders += world_promote(sim->world, sim_some_node(sim), &order);
}

static void
change_set(struct sim *sim)
{
    unsigned voters = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < sim->count; i++) {
        if (!chance(sim, 70))
            continue;
        voters |= 1u << i;
        count++;
    }
    if (count == 0) {
        voters = 1u << sim_some_node(sim);
        count = 1;
    }
    world_want(sim->world, (unsigned)below(sim, count), voters);
}

static void
choose_arbiter(struct sim *sim)
{
    unsigned primary = world_primary(sim->world);
    unsigned to = chance(sim, 10) ? WORLD_NONE : some_arbiter(sim);
    bool adopt = chance(sim, 70);
    if (primary != WORLD_NONE && sim->arbiters_change)
        (void)world_choose_arbiter(sim->world, primary, to,
                                   adopt && world_acts_alone(sim->world, primary));
}

static void
administer(struct sim *sim)
{
    unsigned primary = world_primary(sim->world);
    unsigned node;
    switch (below(sim, 4)) {
    case 0:
        if (sim->sets_change)
            change_set(sim);
        break;
    case 1:
        if (sim->arbiters > 0)
            choose_arbiter(sim);
        break;
    case 2:
        node = sim_some_node(sim);
        world_use_alternate(sim->world, node, chance(sim, 50));
        break;
    default:
        if (primary != WORLD_NONE && chance(sim, 20))
            (void)world_pause(sim->world, primary, below(sim, 5000));
        break;
    }
}

/* ------------------------------------------------------------------ networks */

static void
cut_something(struct sim *sim)
{
    unsigned a = sim_some_node(sim);
    unsigned b = sim_some_node(sim);
    enum world_line lines = (enum world_line)(1 + below(sim, 3));
    if (chance(sim, 30)) { /* one node from all others, and perhaps from the arbiters */
        for (unsigned i = 0; i < sim->count; i++) {
            if (i != a) {
                world_cut(sim->world, a, i, lines);
                world_cut(sim->world, i, a, lines);
            }
        }
        for (unsigned i = 0; i < sim->arbiters && chance(sim, 60); i++) {
            world_arbiter_cut(sim->world, i, a, true, true);
            end_later(sim, arbiter_heard, i);
        }
        return;
    }
    if (a == b)
        return;
    world_cut(sim->world, a, b, lines);
    if (chance(sim, 60))
        world_cut(sim->world, b, a, lines);
}

static void
disturb_network(struct sim *sim)
{
    unsigned node = sim_some_node(sim);
    unsigned other = sim_some_node(sim);
    switch (below(sim, 9)) {
    case 0:
    case 1:
        cut_something(sim);
        break;
    case 2:
    case 3:
    case 4:
        world_heal(sim->world);
        break;
    case 5:
        world_set_loss(sim->world, (unsigned)below(sim, 10));
        break;
    case 6:
        world_set_double(sim->world, (unsigned)below(sim, 20));
        break;
    case 7:
        world_outside_cut(sim->world, node, true);
        end_later(sim, join_outside, node);
        break;
    default:
        world_hold_stream(sim->world, node, other, chance(sim, 50));
        break;
    }
}

/* ------------------------------------------------------------------ machines */

static void
stop_something(struct sim *sim)
{
    unsigned node = sim_some_node(sim);
    if (chance(sim, 70)) {
        world_stop(sim->world, node, some_part(sim));
        end_later(sim, go_on, node);
    } else {
        world_suspend(sim->world, node);
        end_later(sim, wake, node);
    }
}

static void
move_clock(struct sim *sim)
{
    unsigned node = sim_some_node(sim);
    int64_t by_ms = (int64_t)below(sim, 2000) - 1000;
    if (chance(sim, 10))
        by_ms *= 3600;
    if (!sim->clocks_jump)
        return;
    if (sim->arbiters > 0 && chance(sim, 30))
        world_arbiter_step(sim->world, some_arbiter(sim), by_ms);
    else
        world_step_wall(sim->world, node, by_ms);
}

static void
break_machine(struct sim *sim)
{
    unsigned node = sim_some_node(sim);
    switch (below(sim, 12)) {
    case 0:
    case 1:
        world_crash(sim->world, node, some_part(sim));
        break;
    case 2:
        world_kill(sim->world, node);
        break;
    case 3:
        world_power(sim->world, node, false);
        end_later(sim, power_on, node);
        break;
    case 4:
    case 5:
        stop_something(sim);
        break;
    case 6:
        move_clock(sim);
        break;
    case 7:
        world_servers(sim->world, node, true);
        end_later(sim, servers_answer, node);
        break;
    default:
        world_start(sim->world, node, some_part(sim));
        break;
    }
}

/* ------------------------------------------------------------------ arbiters */

static void
disturb_arbiter(struct sim *sim)
{
    if (sim->arbiters == 0)
        return;
    unsigned arbiter = some_arbiter(sim);
    unsigned node = sim_some_node(sim);
    bool unreachable = chance(sim, 60);
    struct world *world = sim->world;
    switch (below(sim, 10)) {
    case 0:
    case 1:
    case 2:
        world_arbiter_cut(world, arbiter, node, unreachable, chance(sim, 60));
        end_later(sim, arbiter_heard, arbiter);
        break;
    case 3:
        world_arbiter_power(world, arbiter, false);
        end_later(sim, arbiter_on, arbiter);
        break;
    case 4:
    case 5:
        world_arbiter_stop(world, arbiter, true);
        end_later(sim, arbiter_goes_on, arbiter);
        break;
    case 6:
        world_arbiter_revoke(world, arbiter);
        break;
    case 7:
        world_arbiter_backup(world, arbiter);
        break;
    case 8:
        if (sim->arbiters_forget)
            world_arbiter_restore(world, arbiter);
        break;
    default:
        if (sim->arbiters_forget && chance(sim, 30))
            world_arbiter_wipe(world, arbiter);
        break;
    }
}

static void
break_something(struct sim *sim)
{
    sim->faults++;
    switch (below(sim, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
        break_machine(sim);
        break;
    case 4:
    case 5:
        disturb_network(sim);
        break;
    case 6:
    case 7:
        disturb_arbiter(sim);
        break;
    case 8:
        administer(sim);
        break;
    default:
        promote_somewhere(sim);
        break;
    }
}

/* ------------------------------------------------------------------ storm, and its end */

static bool
promotion_runs(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        enum promo_state state = world_promo_state(sim->world, i);
        if (state != PROMO_STATE_IDLE && state != PROMO_STATE_DONE && state != PROMO_STATE_FAILED)
            return true;
    }
    return false;
}

static void
write_somewhere(struct sim *sim)
{
    unsigned node = sim_some_node(sim);
    (void)world_write(sim->world, node, chance(sim, 20));
}

/* Most of it happens while somebody is being promoted. */
bool
sim_blow(struct sim *sim, uint64_t until_ms)
{
    struct world *world = sim->world;
    while (world_now_ms(world) < until_ms) {
        bool busy = promotion_runs(sim);
        uint64_t next_ms = world_now_ms(world) + 1 + below(sim, busy ? 15 : 250);
        if (!world_run(world, next_ms < until_ms ? next_ms : until_ms))
            return false;
        end_those_due(sim, world_now_ms(world));
        if (chance(sim, busy ? 20 : 60))
            write_somewhere(sim);
        if (chance(sim, busy ? sim->fury : 35))
            break_something(sim);
        if (chance(sim, busy ? 1 : 4))
            promote_somewhere(sim);
    }
    return true;
}

void
sim_heal(struct sim *sim)
{
    end_those_due(sim, UINT64_MAX);
    world_heal(sim->world);
    for (unsigned i = 0; i < sim->arbiters; i++) {
        arbiter_goes_on(sim, i);
        arbiter_on(sim, i);
        arbiter_heard(sim, i);
    }
    for (unsigned i = 0; i < sim->count; i++) {
        wake(sim, i);
        go_on(sim, i);
        start(sim, i);
        join_outside(sim, i);
        servers_answer(sim, i);
    }
}

/* ------------------------------------------------------------------ what a seed is */

static enum takeover_how
some_how(struct sim *sim, bool arbiter)
{
    if (chance(sim, arbiter ? 75 : 30))
        return arbiter ? TAKEOVER_AUTOMATIC : TAKEOVER_UNGUARDED;
    return chance(sim, 50) ? TAKEOVER_AUTOMATIC : TAKEOVER_MANUAL;
}

static void
choose_lease(struct sim *sim, struct world_config *config)
{
    static const uint64_t ttls_ms[] = { 2000, 3000, 5000 };
    config->lease.ttl_ms = ttls_ms[below(sim, ARRAY_COUNT(ttls_ms))];
    config->lease.renew_ms = config->lease.ttl_ms / 5;
    config->drift_ppm = chance(sim, 30) ? 0 : (unsigned)below(sim, 50001);
    if (chance(sim, 25)) /* as it was before there were arbiters */
        return;
    config->arbiter_count = 1 + below(sim, WORLD_ARBITERS_MAX);
    for (size_t i = 0; i < config->arbiter_count; i++)
        config->arbiters[i] = chance(sim, 50) ? WORLD_ARBITER_WITNESS : WORLD_ARBITER_ETCD;
    sim->arbiters = (unsigned)config->arbiter_count;
    sim->arbiters_change = chance(sim, 40);
    sim->arbiters_forget = chance(sim, 40);
}

static void
choose_takeover(struct sim *sim, struct world_config *config)
{
    bool arbiter = config->arbiter_count > 0;
    config->takeover.within_site = some_how(sim, arbiter);
    config->takeover.across_sites = some_how(sim, arbiter);
    config->takeover.delay_ms = below(sim, 500);
    config->takeover.cooldown_ms = chance(sim, 20) ? 60000 : below(sim, 5000);
    config->takeover.per_hour_max = chance(sim, 20) ? 2 : 60;
    for (unsigned i = 0; i < sim->count; i++)
        config->priorities[i] = (unsigned)(chance(sim, 60) ? 50 : 1 + below(sim, 99));
    if (config->takeover.within_site == TAKEOVER_UNGUARDED ||
        config->takeover.across_sites == TAKEOVER_UNGUARDED)
        sim->loss_allowed = true;
}

void
sim_choose(struct sim *sim, uint64_t seed, struct world_config *ret_config)
{
    static const char *const names[] = { "a-1", "a-2", "b-1", "b-2", "c-1" };
    struct world_config config = world_config_storm(seed);
    rng_init(&sim->rng, seed ^ 0x5DEECE66DULL);
    sim->count = 2 + (unsigned)below(sim, 4);
    sim->loss_allowed = chance(sim, 25);
    sim->sets_change = chance(sim, 40);
    sim->clocks_jump = chance(sim, 30);
    sim->fury = 1 + (unsigned)below(sim, 12);
    config.count = sim->count;
    for (unsigned i = 0; i < sim->count; i++)
        config.names[i] = names[i];
    config.k = (unsigned)below(sim, sim->count);
    if (config.k > 2)
        config.k = 2;
    config.settled = true;
    config.connectors = true;
    config.records = true;
    config.keeper = chance(sim, 80);
    config.managed = chance(sim, 50);
    choose_lease(sim, &config);
    choose_takeover(sim, &config);
    if (config.arbiter_count > 0 && config.k > 0 && chance(sim, 60))
        config.sync_wait_ms = 300 + below(sim, 1500);
    *ret_config = config;
}

void
sim_describe(const struct sim *sim, const struct world_config *config, struct buf *into)
{
    static const char *const kinds[] = { "none", "witness", "etcd" };
    static const char *const hows[] = { "automatic", "manual", "unguarded" };
    buf_printf(into, "%zu nodes, k %u, %s, %s, drift %u ppm, arbiters", config->count, config->k,
               config->keeper ? "keeper" : "no keeper",
               config->managed ? "managed database" : "database of its own", config->drift_ppm);
    for (size_t i = 0; i < config->arbiter_count; i++)
        buf_printf(into, " %s", kinds[config->arbiters[i]]);
    if (config->sync_wait_ms != 0)
        buf_printf(into, ", durability available after %llu ms",
                   (unsigned long long)config->sync_wait_ms);
    buf_printf(into, ", lease %llu ms, takeover %s within a site and %s across, after %llu ms%s\n",
               (unsigned long long)config->lease.ttl_ms, hows[config->takeover.within_site],
               hows[config->takeover.across_sites], (unsigned long long)config->takeover.delay_ms,
               sim->loss_allowed ? ", losses are taken on" : "");
}
