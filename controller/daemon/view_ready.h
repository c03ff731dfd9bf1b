/*
 * view_ready.h -- which members and sites could do the work if they were promoted now, as this node
 * knows it: sites/ready.h, fed with what members tell and what they have proved (prover.h).
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "controller/base/own.h"

struct core;

/*
 * GET /v1/ready: {"verdict","this_node","interval_ms","sites":[{"name","role","verdict","nodes":[
 * ...]}],"drift":[{"key","node","other","weight"}]}; 'site' NULL is all of them. The verdict is the
 * worst of the sites shown. 'evidence': with each node's signed statement. Owned by the caller;
 * NULL: there is no such site.
 */
struct json_object *view_ready_document(struct core *core, const char *site, bool evidence);
/* The same of one node, without what it proved: {"name","verdict","reasons"}; NULL: no such node.
 */
struct json_object *view_ready_node(struct core *core, const char *node);
/* Alarm not_ready, for each site that is not the primary's. */
void view_ready_alarms(struct core *core, struct json_object *list);
