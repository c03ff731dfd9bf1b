/*
 * notices.h -- tells those whom notice/NAME names when a connector is in trouble (A11):
 * sites/notice.h decides what is told and by which node, sites/notice_queue.h when it is sent,
 * activation/post.h carries it.
 *
 *   every second: connectors, instances, primary -> notice_judge, notice_step -> queue -> post
 *
 * The queues are in memory: a restart, as any new teller, tells anew how all is (O2).
 */
#pragma once

#include <json-c/json.h>

struct core;
struct notices;

#define NOTICES_TICK_MS 1000
#define NOTICES_MAX     16 /* more are not heeded, and alarmed */

/* Needs core->{loop, home, cache}, and core->{driver, acting, registry, secrets} from the first
 * turn of the loop on. */
struct notices *notices_new(struct core *core);
/* Ends what is under way; what still waits is not told. */
void notices_free(struct notices *notices);
/* Adds to view_alarms()' list: whom nothing reaches. */
void notices_alarms(const struct notices *notices, struct json_object *list);
