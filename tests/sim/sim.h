/*
 * sim.h -- what a seed is: a cluster, its settings, and what befalls it.
 *
 *   sim.c     runs seeds: storm, calm, storm, ...; sums up
 *   faults.c  chooses the cluster, breaks it, heals it
 */
#pragma once

#include "tests/world/rng.h"
#include "tests/world/world.h"

#define SIM_SECONDS     15   /* of storm for each seed */
#define SIM_LATER_MAX   64   /* faults that end by themselves */
#define SIM_PATIENCE_MS 8000 /* before a person helps */

struct sim;
typedef void sim_end(struct sim *sim, unsigned node);

struct sim_later {
    sim_end *end; /* NULL: unused */
    unsigned node;
    uint64_t at_ms;
};

struct sim {
    struct world *world; /* borrowed */
    struct rng rng;
    unsigned count;    /* of nodes */
    unsigned arbiters; /* to choose from */
    bool loss_allowed; /* promotions may take loss on */
    bool sets_change;
    bool arbiters_change;
    bool arbiters_forget; /* they may lose their record, or have an older one put back */
    bool clocks_jump;
    unsigned fury; /* percent: something breaks during a promotion */
    uint64_t faults;
    uint64_t orders;
    struct sim_later later[SIM_LATER_MAX];
};

/* Everything about the seed but 'world'. */
void sim_choose(struct sim *sim, uint64_t seed, struct world_config *ret_config);
struct buf;
void sim_describe(const struct sim *sim, const struct world_config *config, struct buf *into);
unsigned sim_some_node(struct sim *sim);
/* Storm until then; false when a rule was broken. */
bool sim_blow(struct sim *sim, uint64_t until_ms);
/* All that broke is well again, and runs. */
void sim_heal(struct sim *sim);
