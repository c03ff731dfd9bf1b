/*
 * notices.h -- tells those whom notice/NAME names when a connector is in trouble (A11):
 * sites/notice.h decides what is told and by which node, activation/post.h carries it.
 *
 *   every second: connectors, instances, primary -> notice_judge, notice_step -> queue -> post
 *
 *   O4  What was taken into a queue goes out in its order under one delivery id, a try at a time,
 *       until it is answered, refused or NOTICES_KEEP_MS old; the queue is in memory. A restart, as
 *       any new teller, tells anew how all is (O2).
 */
#pragma once

#include <json-c/json.h>

struct core;
struct notices;

#define NOTICES_TICK_MS        1000
#define NOTICES_MAX            16 /* more are not heeded, and alarmed */
#define NOTICES_QUEUE_MAX      64 /* for each; what does not fit any more is not told, and logged */
#define NOTICES_KEEP_MS        3600000
#define NOTICES_PAUSE_MS_FIRST 5000
#define NOTICES_PAUSE_MS_MAX   300000

/* Needs core->{loop, home, cache}, and core->{driver, acting, registry, secrets} from the first
 * turn of the loop on. */
struct notices *notices_new(struct core *core);
/* Ends what is under way; what still waits is not told. */
void notices_free(struct notices *notices);
/* Adds to view_alarms()' list: whom nothing reaches. */
void notices_alarms(const struct notices *notices, struct json_object *list);
