#include "controller/api/throttle.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"

struct suspect {
    char key[THROTTLE_KEY_SIZE];
    uint64_t failures;
    uint64_t next_ms;   /* no try before it */
    uint64_t before_ms; /* what that was before the last try */
};

struct throttle {
    struct suspect *list; /* owned, 'count' of 'capacity' */
    size_t count;
    size_t capacity;
};

struct throttle *
throttle_new(void)
{
    return mem_zero(1, sizeof(struct throttle));
}

void
throttle_free(struct throttle *throttle)
{
    if (throttle == NULL)
        return;
    free(throttle->list);
    free(throttle);
}

static struct suspect *
find(struct throttle *throttle, const char *key)
{
    for (size_t i = 0; i < throttle->count; i++) {
        if (strncmp(throttle->list[i].key, key, THROTTLE_KEY_SIZE - 1) == 0)
            return &throttle->list[i];
    }
    return NULL;
}

static void
forget(struct throttle *throttle, struct suspect *suspect)
{
    *suspect = throttle->list[--throttle->count];
}

static void
forget_old(struct throttle *throttle, uint64_t now_ms)
{
    for (size_t i = throttle->count; i-- > 0;) {
        if (now_ms > throttle->list[i].next_ms + THROTTLE_FORGET_MS)
            forget(throttle, &throttle->list[i]);
    }
}

static struct suspect *
add(struct throttle *throttle, const char *key, uint64_t now_ms)
{
    if (throttle->count == THROTTLE_KEYS_MAX) {
        forget_old(throttle, now_ms);
        if (throttle->count == THROTTLE_KEYS_MAX) {
            struct suspect *least = &throttle->list[0];
            for (size_t i = 1; i < throttle->count; i++) {
                struct suspect *other = &throttle->list[i];
                if (other->failures < least->failures ||
                    (other->failures == least->failures && other->next_ms < least->next_ms))
                    least = other;
            }
            forget(throttle, least);
        }
    }
    if (throttle->count == throttle->capacity) {
        throttle->capacity = throttle->capacity == 0 ? 16 : throttle->capacity * 2;
        throttle->list = mem_grow(throttle->list, throttle->capacity, sizeof(struct suspect));
    }
    struct suspect *suspect = &throttle->list[throttle->count++];
    *suspect = (struct suspect){ .next_ms = now_ms };
    (void)snprintf(suspect->key, sizeof suspect->key, "%s", key);
    return suspect;
}

uint64_t
throttle_try(struct throttle *throttle, const char *key, uint64_t now_ms,
             const struct throttle_limits *limits)
{
    struct suspect *suspect = find(throttle, key);
    if (suspect != NULL && now_ms > suspect->next_ms + THROTTLE_FORGET_MS) {
        forget(throttle, suspect);
        suspect = NULL;
    }
    if (suspect != NULL && now_ms < suspect->next_ms)
        return suspect->next_ms - now_ms;
    if (suspect == NULL)
        suspect = add(throttle, key, now_ms);
    suspect->failures++;
    suspect->before_ms = suspect->next_ms;
    suspect->next_ms = now_ms;
    if (suspect->failures >= limits->failures_max) {
        uint64_t doublings = suspect->failures - limits->failures_max;
        uint64_t delay_ms = limits->delay_max_ms;
        if (doublings < 32 && limits->delay_ms << doublings < delay_ms)
            delay_ms = limits->delay_ms << doublings;
        suspect->next_ms = now_ms + delay_ms;
    }
    return 0;
}

void
throttle_forgive(struct throttle *throttle, const char *key)
{
    struct suspect *suspect = find(throttle, key);
    if (suspect == NULL)
        return;
    suspect->next_ms = suspect->before_ms;
    if (--suspect->failures == 0)
        forget(throttle, suspect);
}

void
throttle_clear(struct throttle *throttle, const char *key)
{
    struct suspect *suspect = find(throttle, key);
    if (suspect != NULL)
        forget(throttle, suspect);
}

size_t
throttle_count(const struct throttle *throttle)
{
    return throttle->count;
}
