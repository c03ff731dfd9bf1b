/*
 * view.h -- what this node knows, as documents: the one screen that tells who is primary, why, and
 * how we know. What was not heard of lately is "unknown", and unknown is never shown as good.
 *
 * All results are owned by the caller.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "controller/base/own.h"

struct core;

/* The answer of GET /v1/status. */
struct json_object *view_status(struct core *core);
/* GET /v1/nodes and /v1/sites: {"nodes":[...]}, {"sites":[...]}. */
struct json_object *view_nodes(struct core *core);
struct json_object *view_sites(struct core *core);
/* {"connectors":[...]} of this node, and one of it; NULL when there is none of that name. */
struct json_object *view_connectors(struct core *core);
struct json_object *view_connector(struct core *core, const char *name);
/* Of view_status(): {"kind","answers","age_ms","alarm","text","lease":{"node","state","alarm",
 * "trouble","left_ms"}|null}, the lease being the primary's. */
struct json_object *view_arbiter(struct core *core);
/* Of view_status(), what happens when the primary is lost: {"mode","text","within_site",
 * "across_sites","able":[NODE]}. */
struct json_object *view_takeover(struct core *core);
/* GET /v1/pause: {"paused","until","reason","by","at","left_ms"}. */
struct json_object *view_pause(struct core *core);
/* Of view_status(): {"mode","k","members","satisfied","degraded_since","text"}. */
struct json_object *view_durability(struct core *core);
/* Alarms as {"name","text"} objects; the array is part of view_status(). */
struct json_object *view_alarms(struct core *core);
/* Of a connector's "repair": it was a short while ago. It is over when it is told; whoever looks
 * soon after shall see that somebody else has a hand in it. */
bool view_repair_is_fresh(struct json_object *repair);
/* For /readyz: the node is primary with writes open, or a standby that receives. */
bool view_ready(struct core *core, const char **ret_reason);

/* ---- between the files of the view ---- */

void view_add_alarm(struct json_object *list, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Of the arbiter, the lease, the pause and the declared rto_ms. */
void view_takeover_alarms(struct core *core, struct json_object *list);
