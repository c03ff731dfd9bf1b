/*
 * writer.h -- every write of this node while it is primary: collects groups of changes, sends them
 * to the database as one statement, and says of each what became of it.
 *
 *            submit                 statement sent              reply
 *   client --------> queue (bound) ------------> in flight ------------> acknowledged
 *                      |  CLOSED, 25006                |  WARNING, connection lost, deadline,
 *                      v                               v  another epoch
 *                 ERR_FENCED: surely not done      ERR_UNKNOWN_OUTCOME
 *
 * While one statement is in flight the next collects, so that clients share a commit. A group is
 * atomic; a group that the database refuses harms no other group.
 *
 *   I4  Acknowledged means: COMMIT without any WARNING, on a connection whose synchronous_commit
 *       was read back as "on" in that very statement, and the epoch of the reply is the one that
 *       is open here now. Everything else after the statement was sent is an unknown outcome,
 *       except what the database itself refused: that is surely not done.
 *   W1  'done' is called exactly once for each group, never from inside writer_submit().
 *   W2  HELD sends nothing but groups marked WRITER_FIRST; OPEN sends in order of arrival. What a
 *       freeze turned back waits while HELD; a WRITER_FIRST that the database turns back does not.
 */
#pragma once

#include <ev.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"

#define WRITER_BATCH_CHANGES_MAX 1000
#define WRITER_BATCH_SIZE_MAX    (1024 * 1024)     /* bytes of JSON; one larger group goes alone */
#define WRITER_GROUP_SIZE_MAX    (4 * 1024 * 1024) /* bytes of JSON */
#define WRITER_REASON_SIZE_MAX   1000              /* bytes */
#define WRITER_RETRIES_MAX       5                 /* after a serialization failure */
#define WRITER_TICK_MS           20                /* how exact deadlines are */
#define WRITER_LATE_MS           50                /* in flight for longer is late ... */
#define WRITER_LATE_SOON_MS      1000              /* ... told so often for so long, */
#define WRITER_LATE_AGAIN_MS     1000              /* then so often */
#define WRITER_HOLDER_SIZE       64

enum writer_mode {
    WRITER_CLOSED, /* not primary: refuses with ERR_FENCED and the reason given */
    WRITER_HELD,   /* a switchover runs: queues, sends nothing new */
    WRITER_OPEN,
};

struct writer_result {
    uint64_t epoch;
    char holder[WRITER_HOLDER_SIZE];
    uint64_t first;    /* first revision of the group, which names its transaction */
    uint64_t revision; /* last revision of the group */
};

/* 'err' is NULL when it was acknowledged; 'result' is NULL otherwise. Both borrowed. */
typedef void writer_done_fn(void *data, const struct writer_result *result, const struct err *err);

struct writer;

struct writer_limits {
    uint64_t queue_max;      /* groups waiting; write.queue_max */
    uint64_t hold_ms;        /* from submit until it is sent, else ERR_TIMEOUT; write.hold_ms */
    uint64_t commit_wait_ms; /* from sent to an answer, else unknown; sync.commit_wait_ms */
};

/* Connects by itself and again when lost. ERR_INVALID: the conninfo is wrong. */
MUST_CHECK enum err_code writer_new(struct ev_loop *loop, const char *conninfo,
                                    struct writer **ret_writer, struct err *err);
/* The database is about to be stopped by us: closed for good, and the loss of it is no news. */
void writer_stop(struct writer *writer);
/* Our database was started anew. */
void writer_reconnect(struct writer *writer);
/* Groups still there get ERR_CANCELLED (queued) or ERR_UNKNOWN_OUTCOME (in flight). */
void writer_free(struct writer *writer);
void writer_set_limits(struct writer *writer, struct writer_limits limits);
/* 'late' is called while a statement in flight is late. NULL: nobody is told. */
typedef void writer_late_fn(void *data);
void writer_set_late(struct writer *writer, writer_late_fn *late, void *data);

/*
 * A group of changes:
 *     {"author": TEXT, "reason": TEXT|null, "changes":
 * [{"site","key","value"|"delete","if_match"}]}
 */
struct json_object *writer_group(const char *author, const char *reason);
/* Takes the reference of 'value'. 'if_match' UINT64_MAX is none, 0 is "must not exist". */
void writer_group_put(struct json_object *group, const char *key, const char *site,
                      struct json_object *value, uint64_t if_match);
void writer_group_delete(struct json_object *group, const char *key, const char *site,
                         uint64_t if_match);
#define WRITER_ANY_REVISION UINT64_MAX

enum writer_flag {
    WRITER_FIRST = 1,   /* before all others, and even while HELD: the epoch row. The epoch of its
                         * result is for the receiver to compare */
    WRITER_PATIENT = 2, /* no deadline: 'done' comes when the statement ends */
};

/*
 * Takes the reference of 'group'. On success '*ret_id' (may be NULL) names it for writer_forget().
 * ERR_FENCED: not primary, nothing was queued. ERR_UNAVAILABLE, slug "busy": the queue is full.
 * ERR_LIMIT "too_many_changes", "write_too_large". On error 'done' is not called.
 */
MUST_CHECK enum err_code writer_submit(struct writer *writer, struct json_object *group,
                                       unsigned flags, writer_done_fn *done, void *data,
                                       uint64_t *ret_id, struct err *err);
/* The one who asked is gone: 'done' will not be called. The write goes on, or is dropped when it
 * was not sent yet. */
void writer_forget(struct writer *writer, uint64_t id);

/* Lets the database play what a switchover will ask of this connection, now and after each loss
 * while CLOSED: the first row of an epoch then takes one millisecond and not ten. */
void writer_rehearse(struct writer *writer);

/* Modes. A statement in flight goes on in every mode. */
void writer_open(struct writer *writer, uint64_t epoch, const char *holder);
void writer_hold(struct writer *writer);
/* What was not sent gets ERR_FENCED with 'reason' ("west-1 is primary since epoch 7"): the caller
 * of submit may pass it on to the new primary, for it surely was not done here. */
void writer_close(struct writer *writer, const char *reason);
enum writer_mode writer_mode(const struct writer *writer);

struct writer_stats {
    uint64_t groups_done;
    uint64_t groups_failed;
    uint64_t groups_unknown;
    uint64_t batches;
    uint64_t changes;
    size_t queued;
    size_t in_flight;
    uint64_t in_flight_ms;   /* age of the statement in flight, 0 when there is none */
    uint64_t latency_us_sum; /* submit to acknowledged */
};
struct writer_stats writer_stats(const struct writer *writer);
bool writer_connected(const struct writer *writer);
