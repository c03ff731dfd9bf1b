#include "sites/spread.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/address.h"

/* ---- addresses ---- */

static const char no_address[] =
    "must be an address as a number, with its port: 192.0.2.7:8443 or [2001:db8::7]:8443";
static const char no_server[] = "is an address at which no server can stand";

const char *
spread_address_read(const char *text, struct spread_address *ret)
{
    struct in_addr four;
    struct in6_addr six;
    uint64_t port;
    char host[SPREAD_ADDRESS_SIZE];
    bool is_v6 = text[0] == '[';
    if (!str_copy(host, sizeof host, text + is_v6))
        return no_address;
    char *end = strrchr(host, is_v6 ? ']' : ':');
    if (end == NULL || (is_v6 && end[1] != ':') ||
        !str_to_u64(end + 1 + is_v6, 1, UINT16_MAX, &port))
        return no_address;
    *end = '\0';
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, is_v6 ? (void *)&six : (void *)&four) != 1)
        return no_address;
    if (!address_allowed(host) || (is_v6 && IN6_IS_ADDR_V4MAPPED(&six)))
        return no_server; /* mapped: it has a usual writing, and R5 compares */
    struct spread_address address = { .port = (uint16_t)port };
    (void)inet_ntop(is_v6 ? AF_INET6 : AF_INET, is_v6 ? (void *)&six : (void *)&four, address.host,
                    sizeof address.host);
    *ret = address;
    return NULL;
}

const char *
spread_address_text(const struct spread_address *address, char text[SPREAD_ADDRESS_SIZE])
{
    bool is_v6 = strchr(address->host, ':') != NULL;
    if (address->host[0] == '\0')
        text[0] = '\0';
    else
        (void)snprintf(text, SPREAD_ADDRESS_SIZE, is_v6 ? "[%s]:%u" : "%s:%u", address->host,
                       address->port);
    return text;
}

bool
spread_address_equal(const struct spread_address *one, const struct spread_address *other)
{
    return one->port == other->port && strcmp(one->host, other->host) == 0;
}

/* ---- places ---- */

/* What is to be of one place or target while the plan is made. */
struct plan {
    const struct spread_goal *goal;
    const struct spread_place *places;
    size_t count;
    struct spread_step *steps;
    bool kept[SPREAD_COUNT_MAX]; /* of a place: somebody is in it, and stays */
    bool has[SPREAD_COUNT_MAX];  /* of a target: a place */
    struct spread_sum sum;
};

static bool
is_wanted(const struct spread_goal *goal, const struct spread_target *target)
{
    return goal->in_use && target->takes &&
           (goal->server == NULL || !spread_address_equal(&target->at, goal->server)); /* R1, R5 */
}

/* Which target is at that address; 'target_count' for none. */
static size_t
find_target(const struct spread_goal *goal, const struct spread_address *at)
{
    size_t i = 0;
    while (i < goal->target_count && !spread_address_equal(&goal->targets[i].at, at))
        i++;
    return i;
}

static void
look_again_in(struct plan *plan, uint64_t after_ms)
{
    if (plan->sum.again_ms == 0 || after_ms < plan->sum.again_ms)
        plan->sum.again_ms = after_ms;
}

/* R4 */
static void
put_out(struct plan *plan, size_t i)
{
    const struct spread_place *place = &plan->places[i];
    uint64_t drain_ms = plan->goal->drain_ms;
    uint64_t passed_ms = place->state == SPREAD_DRAINING ? place->since_ms : 0;
    if (place->state == SPREAD_OUT)
        return;
    if (passed_ms >= drain_ms) {
        plan->steps[i].act = SPREAD_CUT;
        return;
    }
    plan->kept[i] = true;
    if (place->state == SPREAD_IN)
        plan->steps[i].act = SPREAD_DRAIN;
    look_again_in(plan, drain_ms - passed_ms);
}

static void
let_in(struct plan *plan, size_t i, size_t target)
{
    const struct spread_address *at = &plan->goal->targets[target].at;
    plan->kept[i] = plan->has[target] = true;
    plan->sum.placed++;
    if (plan->places[i].state != SPREAD_IN || !spread_address_equal(&plan->places[i].at, at))
        plan->steps[i] = (struct spread_step){ .act = SPREAD_LET_IN, .at = *at };
}

/* Who is in, or on his way out, has his place before any other with his address. */
static void
plan_place(struct plan *plan, size_t i)
{
    const struct spread_goal *goal = plan->goal;
    size_t target = find_target(goal, &plan->places[i].at);
    bool known = target < goal->target_count;
    if (known && is_wanted(goal, &goal->targets[target]) && !plan->has[target]) {
        let_in(plan, i, target); /* R3 */
    } else if (!known && !goal->settled && goal->in_use && plan->places[i].state == SPREAD_IN) {
        plan->kept[i] = true; /* R2 */
    } else {
        put_out(plan, i);
    }
}

/* One that nobody uses, before one whose last user has just been cut; 'count' for none. */
static size_t
find_free(const struct plan *plan)
{
    size_t free_place = plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->kept[i])
            continue;
        if (plan->places[i].state == SPREAD_OUT)
            return i;
        if (free_place == plan->count)
            free_place = i;
    }
    return free_place;
}

struct spread_sum
spread_plan(const struct spread_goal *goal, const struct spread_place *places, size_t count,
            struct spread_step *steps)
{
    struct plan plan = { .goal = goal, .places = places, .count = count, .steps = steps };
    ASSERT(count <= SPREAD_COUNT_MAX && goal->target_count <= SPREAD_COUNT_MAX);
    for (size_t i = 0; i < count; i++)
        steps[i] = (struct spread_step){ .act = SPREAD_STAY };
    for (int state = SPREAD_IN; state <= SPREAD_OUT; state++) {
        for (size_t i = 0; i < count; i++) {
            if (places[i].state == (enum spread_state)state)
                plan_place(&plan, i);
        }
    }
    for (size_t target = 0; target < goal->target_count; target++) {
        if (plan.has[target] || !is_wanted(goal, &goal->targets[target]))
            continue;
        size_t i = find_free(&plan);
        if (i < count)
            let_in(&plan, i, target);
        else
            plan.sum.left_out++;
    }
    return plan.sum;
}

size_t
spread_short(const struct spread_room *room)
{
    return room->takers > room->places ? room->takers - room->places : 0;
}

_Static_assert(SPREAD_IN < SPREAD_DRAINING && SPREAD_DRAINING < SPREAD_OUT, "in this order");
