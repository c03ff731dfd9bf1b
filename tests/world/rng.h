/*
 * rng.h -- chance from one seed (xorshift64*). The same seed gives the same numbers for ever.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline void
rng_init(struct rng *rng, uint64_t seed)
{
    rng->state = (seed + 1) * 0x9E3779B97F4A7C15ULL | 1;
}

static inline uint64_t
rng_next(struct rng *rng)
{
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return rng->state * 0x2545F4914F6CDD1DULL;
}

/* In [0, bound); 0 for a bound of 0. */
static inline uint64_t
rng_below(struct rng *rng, uint64_t bound)
{
    return bound == 0 ? 0 : (rng_next(rng) >> 16) % bound;
}

static inline bool
rng_chance(struct rng *rng, unsigned percent)
{
    return rng_below(rng, 100) < percent;
}
