/*
 * intake.h -- takes a write on any node and brings it to the primary, wherever that is by then.
 *
 *   submit -> our own writer (OPEN or HELD) ---------------------------> done
 *      ^  \-> POST /v1/peer/write at the primary, many in one ---------> done
 *      |  \-> nobody is primary: wait, at most write.hold_ms ----------> done (ERR_UNAVAILABLE)
 *      |--- fenced meanwhile, not sent: surely not done, so try again
 *      '--- sent, no answer, and another node is primary by now ------> done (unknown outcome)
 *
 *   N1  A write is sent a second time only when it surely was not done the first time (I4).
 *   N2  What another member forwarded to us is never forwarded again.
 *   N3  'done' is called exactly once, perhaps from inside intake_submit().
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/daemon/writer.h"

#define INTAKE_WAITING_MAX    10000
#define INTAKE_POSTS_MAX      4  /* under way at once; what comes meanwhile shares the next */
#define INTAKE_POST_GROUPS    64 /* in one */
#define INTAKE_POST_SIZE_MAX  (2UL * 1024 * 1024)
#define INTAKE_TICK_MS        5
#define INTAKE_RETRY_MS       50 /* after a try that failed, unless the primary changes first */
#define INTAKE_POST_MARGIN_MS 2000
#define INTAKE_LOOK_MS        50   /* whether who was asked is still primary */
#define INTAKE_MOVED_MS       1000 /* so long he may still answer when another is, */
#define INTAKE_GONE_MS        300  /* unless he has answered nothing for so long */

struct core;
struct fetch_client;
struct intake;

/* 'peers' is borrowed. */
struct intake *intake_new(struct core *core, struct fetch_client *peers);
/* Ends what waits with ERR_CANCELLED and takes nothing any more. */
void intake_stop(struct intake *intake);
void intake_free(struct intake *intake);

enum intake_flag {
    INTAKE_HERE = 1, /* only our own writer (N2): ERR_FENCED when it is closed */
};

/* Takes the reference of 'group' (writer.h). */
void intake_submit(struct intake *intake, struct json_object *group, unsigned flags,
                   writer_done_fn *done, void *data);

struct intake_counters {
    uint64_t forwarded;
    uint64_t posts;
    uint64_t retries;
    size_t waiting_now;
};
struct intake_counters intake_counters(const struct intake *intake);
