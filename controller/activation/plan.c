#include "controller/activation/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

#define ACTIVATION_DOUBLINGS_MAX 20

static const char *const state_names[] = {
#define X(symbol, name) [ACTIVATION_##symbol] = name,
    ACTIVATION_STATE_TABLE(X)
#undef X
};

const char *
activation_state_name(enum activation_state state)
{
    ASSERT((size_t)state < ARRAY_COUNT(state_names));
    return state_names[state];
}

bool
activation_state_from_name(const char *name, enum activation_state *ret_state)
{
    for (size_t i = 0; i < ARRAY_COUNT(state_names); i++) {
        if (strcmp(state_names[i], name) == 0) {
            *ret_state = (enum activation_state)i;
            return true;
        }
    }
    return false;
}

const char *
activation_gate_name(enum activation_gate gate)
{
    static const char *const names[] = { "closed", "release", "open" };
    return names[gate];
}

const char *
activation_verdict_name(enum activation_verdict verdict)
{
    static const char *const names[] = { "rest", "run", "wait", "stop", "blocked" };
    return names[verdict];
}

/* What the change would be if it is not the recorded one again. */
static struct activation_change
wanted_change(const struct activation_change *desired, const struct activation_record *recorded)
{
    struct activation_change change = *desired;
    if (desired->server != EFFECTIVE_MAIN && desired->server != EFFECTIVE_ALTERNATE) {
        change.server = EFFECTIVE_NONE;
        change.epoch = recorded->change.epoch;
        change.revision = recorded->change.revision;
    }
    change.sequence = recorded->change.sequence + 1;
    return change;
}

/* Is the wanted change the recorded one? For a deactivation any recorded deactivation is. */
static bool
is_recorded(const struct activation_change *wanted, const struct activation_record *recorded)
{
    if (recorded->state == ACTIVATION_NEVER || wanted->server != recorded->change.server)
        return false;
    return wanted->server == EFFECTIVE_NONE ||
           (epoch_equal(&wanted->epoch, &recorded->change.epoch) &&
            wanted->revision == recorded->change.revision);
}

static uint64_t
pause_ms(unsigned tries, const struct activation_pauses *pauses)
{
    unsigned doublings = tries > 0 ? tries - 1 : 0;
    if (doublings > ACTIVATION_DOUBLINGS_MAX)
        doublings = ACTIVATION_DOUBLINGS_MAX;
    uint64_t pause = pauses->first_ms << doublings;
    return pause < pauses->max_ms ? pause : pauses->max_ms;
}

/* The recorded change is the wanted one and does not run: is it to be run again, and when? */
static struct activation_step
plan_again(const struct activation_record *recorded, const struct activation_pauses *pauses,
           uint64_t now_ms)
{
    struct activation_step step = { .change = recorded->change, .reason = "" };
    switch (recorded->state) {
    case ACTIVATION_OK:
        step.verdict = recorded->before_start && recorded->change.server != EFFECTIVE_NONE
                           ? ACTIVATION_RUN
                           : ACTIVATION_REST;
        break;
    case ACTIVATION_REFUSED:
        step.verdict = ACTIVATION_REST;
        step.reason = "a receiver has seen a later epoch";
        break;
    case ACTIVATION_CANCELLED:
        step.verdict = ACTIVATION_RUN;
        break;
    case ACTIVATION_FAILED:
        step.at_ms = recorded->failed_at_ms + pause_ms(recorded->tries, pauses);
        step.verdict = step.at_ms <= now_ms ? ACTIVATION_RUN : ACTIVATION_WAIT;
        break;
    case ACTIVATION_NEVER:
    case ACTIVATION_RUNNING:
        ASSERT(false);
    }
    return step;
}

/* NULL when the gate lets the change through. */
static const char *
gate_refuses(enum activation_gate gate, enum effective_server server)
{
    switch (gate) {
    case ACTIVATION_GATE_OPEN:
        return NULL;
    case ACTIVATION_GATE_RELEASE:
        return server == EFFECTIVE_NONE ? NULL : "this node is not the primary";
    case ACTIVATION_GATE_CLOSED:
        return "this node is fenced";
    }
    ASSERT(false);
    return "";
}

static struct activation_step
rest(void)
{
    return (struct activation_step){ .verdict = ACTIVATION_REST, .reason = "" };
}

static struct activation_step
blocked(const char *reason)
{
    return (struct activation_step){ .verdict = ACTIVATION_BLOCKED, .reason = reason };
}

static struct activation_step
stop(const char *reason)
{
    return (struct activation_step){ .verdict = ACTIVATION_STOP, .reason = reason };
}

struct activation_step
activation_plan(const struct activation_change *desired, const struct activation_record *recorded,
                enum activation_gate gate, const struct activation_pauses *pauses, uint64_t now_ms)
{
    struct activation_change wanted = wanted_change(desired, recorded);
    bool same = is_recorded(&wanted, recorded);
    bool running = recorded->state == ACTIVATION_RUNNING;

    if (running && gate_refuses(gate, recorded->change.server) != NULL)
        return stop(gate_refuses(gate, recorded->change.server));
    if (running && same)
        return rest();
    if (wanted.server == EFFECTIVE_NONE && recorded->state == ACTIVATION_NEVER)
        return rest();

    struct activation_step step = { .verdict = ACTIVATION_RUN, .change = wanted, .reason = "" };
    if (same)
        step = plan_again(recorded, pauses, now_ms);
    if (step.verdict == ACTIVATION_REST)
        return step;
    if (epoch_compare(&wanted.epoch, &recorded->change.epoch) < 0)
        return blocked("the epoch is older than one that this node has acted under");
    if (wanted.epoch.number == 0)
        return blocked("there is no epoch");
    if (gate_refuses(gate, wanted.server) != NULL)
        return blocked(gate_refuses(gate, wanted.server));
    return running ? stop("superseded") : step;
}

bool
activation_settled(const struct activation_change *desired,
                   const struct activation_record *recorded)
{
    static const struct activation_pauses pauses = { 0 };
    struct activation_step step =
        activation_plan(desired, recorded, ACTIVATION_GATE_OPEN, &pauses, 0);
    return step.verdict == ACTIVATION_REST && recorded->state != ACTIVATION_RUNNING;
}

uint64_t
activation_look_at(const struct activation_change *desired,
                   const struct activation_record *recorded, enum activation_gate gate,
                   const struct activation_looks *looks)
{
    uint64_t pause_ms = looks->pause_ms != 0 ? looks->pause_ms : UINT64_MAX;
    if (recorded->state != ACTIVATION_OK || !activation_settled(desired, recorded) ||
        gate_refuses(gate, recorded->change.server) != NULL)
        return UINT64_MAX;
    if (looks->news && recorded->change.server != EFFECTIVE_NONE)
        return looks->looked_ms;
    if (looks->again_ms != 0 && looks->again_ms < pause_ms)
        pause_ms = looks->again_ms;
    return pause_ms == UINT64_MAX ? UINT64_MAX : looks->looked_ms + pause_ms;
}

const char *
activation_id(const char *connector, const struct activation_change *change,
              char text[ACTIVATION_ID_SIZE])
{
    (void)snprintf(text, ACTIVATION_ID_SIZE, "%s:%" PRIu64 ":%s:%s:%" PRIu64 ":%" PRIu64, connector,
                   change->epoch.number, change->epoch.holder,
                   effective_server_name(change->server), change->revision, change->sequence);
    return text;
}

/* Copies up to the next ':' or the end; false when it does not fit. */
static bool
take_field(const char **at, char *to, size_t to_size)
{
    size_t length = strcspn(*at, ":");
    if (length >= to_size)
        return false;
    memcpy(to, *at, length);
    to[length] = '\0';
    *at += length;
    if (**at == ':')
        (*at)++;
    return true;
}

static bool
take_number(const char **at, uint64_t *ret_number)
{
    char text[24];
    return take_field(at, text, sizeof text) && str_to_u64(text, 0, INT64_MAX, ret_number);
}

bool
activation_id_parse(const char *text, char connector[CONNECTOR_NAME_SIZE],
                    struct activation_change *ret_change)
{
    struct activation_change change = { 0 };
    char server[16];
    char again[ACTIVATION_ID_SIZE];
    char name[CONNECTOR_NAME_SIZE];
    const char *at = text;
    if (!take_field(&at, name, sizeof name) || !take_number(&at, &change.epoch.number) ||
        !take_field(&at, change.epoch.holder, sizeof change.epoch.holder) ||
        !take_field(&at, server, sizeof server) || !take_number(&at, &change.revision) ||
        !take_number(&at, &change.sequence))
        return false;
    static const enum effective_server servers[] = { EFFECTIVE_NONE, EFFECTIVE_MAIN,
                                                     EFFECTIVE_ALTERNATE };
    size_t i = 0;
    while (i < ARRAY_COUNT(servers) && strcmp(effective_server_name(servers[i]), server) != 0)
        i++;
    if (i == ARRAY_COUNT(servers) || !str_is_name(name))
        return false;
    change.server = servers[i];
    if (strcmp(activation_id(name, &change, again), text) != 0)
        return false;
    memcpy(connector, name, sizeof name);
    *ret_change = change;
    return true;
}
