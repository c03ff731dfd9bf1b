/*
 * haproxy.h -- what to say to a running HAProxy so that one server of a backend is the one in use:
 * a pure function of what it answers and of what is wanted. Speaks the runtime API of HAProxy 2.6
 * and later; action_haproxy.c carries the lines.
 *
 *     haproxy_question() --HAProxy--> haproxy_read() --> haproxy_plan() --HAProxy--> haproxy_read()
 *                                                            |                            |
 *                                            "" nothing to do, or one line       plan again: ""
 *
 *     server        drain_ms 0, or it is over              drain_ms, for that long after the change
 *     wanted        its address, then ready                the same, and first of all
 *     not wanted    maint and its connections ended,       drain: what is connected stays, nobody
 *                   before the wanted one is ready         new comes (S11)
 *     none wanted   both maint                             both drain, then maint
 *
 * Instances (sites/spread.h) stand in the servers "instance1", "instance2", ... of the backend,
 * beside that server, or alone. Each is an instance's place while it has its address, and follows
 * the same order: with a cut whoever goes is gone before anybody comes.
 *
 * So with a cut no two of main and alternate ever work at once, and with a drain there is always
 * one. All is one line with ';': HAProxy runs it without anybody between but its own traffic.
 *
 * HAProxy keeps a mark in a variable of its process: epoch, server, when that was decided, and the
 * address. It tells a restarted HAProxy (no mark) from one that somebody else changed, when a drain
 * is over though batond was restarted, and a node that is late that a later epoch was here.
 *
 * HAProxy cannot compare: a node that read the mark just before a later one wrote it is not kept
 * out. Driver haproxy is therefore not fenced at the resource; the check of the later one
 * (activation.check_ms) puts right what such a node did.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "sites/connector.h"
#include "sites/effective.h"
#include "sites/epoch.h"
#include "sites/spread.h"

#define HAPROXY_ADDRESS_SIZE   64
#define HAPROXY_REPLY_SIZE_MAX (1UL << 20)
#define HAPROXY_VARIABLE_SIZE  256
#define HAPROXY_LINE_SIZE      8000 /* then all that is left waits for the next line */
#define HAPROXY_LINES_MAX      32   /* all places, under the longest names, need 16 */

enum haproxy_state { HAPROXY_READY, HAPROXY_DRAIN, HAPROXY_MAINT };

struct haproxy_server {
    bool known; /* the backend has it */
    enum haproxy_state state;
    bool up; /* by HAProxy's own health check, where it has one */
    char address[HAPROXY_ADDRESS_SIZE];
    uint16_t port;
};

struct haproxy_mark {
    bool known;
    struct epoch epoch;
    enum effective_server server;
    int64_t changed_ms;                 /* wall clock: 'server' was decided then */
    char address[HAPROXY_ADDRESS_SIZE]; /* of the server then; "" for none */
};

/* What HAProxy says of itself. */
struct haproxy_view {
    struct haproxy_server main;
    struct haproxy_server alternate;
    struct haproxy_mark mark;
    size_t place_count; /* servers for instances */
    struct spread_place places[SPREAD_COUNT_MAX];
    unsigned numbers[SPREAD_COUNT_MAX]; /* of a place: 3 is server "instance3" */
    bool up[SPREAD_COUNT_MAX];          /* of a place, by HAProxy's own check */
};

/* What has to be; texts are borrowed. */
struct haproxy_goal {
    const char *backend;
    const char *main; /* names of the servers */
    const char *alternate;
    enum effective_server server; /* MAIN, ALTERNATE or NONE */
    const char *address;          /* of the server, a number; not looked at for NONE */
    uint16_t port;
    struct epoch epoch;
    uint64_t drain_ms;
    enum connector_instances instances;
    struct spread_goal spread; /* targets and settled; the rest follows from the above */
    bool news;                 /* of instances: then a place that is different is no repair */
};

struct haproxy_plan {
    bool refused;   /* a later epoch was here */
    bool different; /* a server was not as it has to be; the end of a drain is no difference */
    bool more;      /* the line is full: plan again after it, at most HAPROXY_LINES_MAX times */
    struct spread_sum spread;
    size_t in_count;   /* places that get requests after it; also who is not heard yet (R2) */
    size_t up_count;   /* of those, by HAProxy's own check */
    uint64_t again_ms; /* look again after so long, when a drain is over; 0: no drain */
    struct buf line;   /* what to send, without its end; empty: nothing to do */
    struct buf why;    /* for people, what was different: "main was in maint" */
};

/* The line that asks for all of a view. */
void haproxy_question(const char *backend, struct buf *line);

/*
 * Reads the answer to haproxy_question(), or to a line of haproxy_plan() followed by one.
 * ERR_NOT_FOUND: no such backend. ERR_DENIED: the socket has not level admin. ERR_PROTOCOL: this is
 * not HAProxy's answer. Each with its mend.
 */
MUST_CHECK enum err_code haproxy_read(const char *answer, const struct haproxy_goal *goal,
                                      struct haproxy_view *ret_view, struct err *err);

/* The address that the check expects: that of the mark, where it is of this very change. NULL: it
 * has to be looked up. */
const char *haproxy_marked_address(const struct haproxy_view *view,
                                   const struct haproxy_goal *goal);

/*
 * 'now_ms' is the wall clock. '*ret_plan' is zeroed first; haproxy_plan_done() frees it.
 * ERR_NOT_FOUND: the backend lacks the wanted server, with its mend.
 */
MUST_CHECK enum err_code haproxy_plan(const struct haproxy_view *view,
                                      const struct haproxy_goal *goal, int64_t now_ms,
                                      struct haproxy_plan *ret_plan, struct err *err);
void haproxy_plan_done(struct haproxy_plan *plan);

const char *haproxy_state_name(enum haproxy_state state);
