/*
 * throttle.h -- slows down whoever guesses: one count of failures for each account and address.
 *
 * Pure: time comes as a value. A try counts as failed from its beginning, so that many at once do
 * not slip through; throttle_forgive() takes that back. After 'failures_max' failures each further
 * try has to wait, 'delay_ms' first, then twice as long each time. A try that is refused changes
 * nothing. Unknown accounts are counted like known ones, so the answer tells nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/base/own.h"

#define THROTTLE_KEYS_MAX  4096 /* beyond it the least suspicious key is forgotten */
#define THROTTLE_KEY_SIZE  128
#define THROTTLE_FORGET_MS (15UL * 60 * 1000) /* after the end of its delay */

struct throttle_limits {
    uint64_t failures_max; /* login.failures_max */
    uint64_t delay_ms;     /* login.delay_ms */
    uint64_t delay_max_ms; /* login.delay_max_ms */
};

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);
/* 0: try, and it counts as failed; else the milliseconds to wait, and nothing is counted. */
MUST_CHECK uint64_t throttle_try(struct throttle *throttle, const char *key, uint64_t now_ms,
                                 const struct throttle_limits *limits);
/* The last try was none, it was right or could not be judged: count and delay are as before it. */
void throttle_forgive(struct throttle *throttle, const char *key);
/* The account has proved itself: all its failures are forgotten. */
void throttle_clear(struct throttle *throttle, const char *key);
size_t throttle_count(const struct throttle *throttle);
