/*
 * registry.h -- which instances of the connectors are there, as this node hears it from their
 * agents (sites/instance.h decides).
 *
 *   agent --heartbeat--> every node: memory --shown--> /v1/instances, status, alarms, metrics
 *                            '- who takes requests --> acting.h
 *                            '- on the primary, when somebody came or went --> instance/NAME/known
 *
 *   G1  A heartbeat writes nothing. The shared log learns when an instance is new, comes, goes or
 *       changes its version, and which version is admitted (docs/decisions/0025): at once, and then
 *       at most once in REGISTRY_TICK_MS, however many come and go.
 *   G2  Only the primary writes it, and only once it had instance.silence_ms to hear of those that
 *       the record has: a node that has just started does not call anybody gone.
 *   G3  A session lives no longer than its token: revoked or expired, it ends within
 *       REGISTRY_TICK_MS, without waiting for the agent.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/instance.h"

#define REGISTRY_TICK_MS 1000

struct core;
struct registry;

/* Needs core->{loop, home, cache, writer, acting}. */
struct registry *registry_new(struct core *core);
void registry_free(struct registry *registry);

/* As instance_hear() and instance_leave(). The token was checked. */
MUST_CHECK enum err_code registry_hear(struct registry *registry,
                                       const struct instance_hello *hello, struct err *err);
void registry_leave(struct registry *registry, const char *connector, const char *name,
                    const char *session);

/* Is the token there and for this connector? What 'agent/ID' holds; expired is not there. */
bool registry_token_holds(const struct registry *registry, const char *id, const char *connector);

/* Names of the connectors that have, had or ought to have instances, in order. The caller's: an
 * array of texts. */
struct json_object *registry_names(const struct registry *registry);
/* One connector with its instances and their sessions, as docs/api.yaml has it; the caller's. */
struct json_object *registry_connector(const struct registry *registry, const char *connector);
/* For /v1/status: [{"connector","status","working","expected"}]; the caller's. */
struct json_object *registry_brief(const struct registry *registry);
/* This node has listened long enough to know who is there. */
bool registry_settled(const struct registry *registry);
/* That of one connector; false: none, or this node has not listened long enough. */
MUST_CHECK bool registry_alarm(const struct registry *registry, const char *connector,
                               struct instance_alarm *ret_alarm);
/* As instance_spread(). */
size_t registry_spread(const struct registry *registry, const char *connector,
                       struct spread_target list[SPREAD_COUNT_MAX]);
/* Adds them to view_alarms()' list. */
void registry_alarms(const struct registry *registry, struct json_object *list);

struct registry_counters {
    uint64_t connected_now;
    uint64_t unhealthy_now; /* of these */
    uint64_t disconnected_now;
    uint64_t heartbeats;
    uint64_t refused;
    uint64_t records; /* written */
};
struct registry_counters registry_counters(const struct registry *registry);
