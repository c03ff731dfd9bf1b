/*
 * arbiter_inner.h -- what arbiter.c and the kinds share: a kind is a table of four functions.
 */
#pragma once

#include <ev.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/list.h"

/* What the arbiter has; for kinds that decide here and compare there. */
struct arbiter_record {
    struct epoch epoch;
    struct epoch suspect; /* number 0: none; else this one was acknowledged and is not here (A3) */
    uint32_t lease_ms;
    bool alive; /* neither released nor expired */
    bool released;
    bool clean;
    uint64_t grant;
    struct epoch promised;
    uint64_t number;
    char note[ARBITER_NOTE_SIZE];
};

#define ARBITER_SLICE_MS_MAX 1500 /* for one endpoint while others are left */

struct arbiter_port {
    size_t call_size; /* of the kind's own struct, which begins with struct arbiter_call */
    /* Begins; ends with arbiter_finish() or arbiter_fail(), even from inside. */
    void (*start)(struct arbiter_call *call);
    /* Forgets what is under way for this call. Called at its deadline and when it is cancelled. */
    void (*stop)(struct arbiter_call *call);
    /* All calls are stopped by then. */
    void (*close)(struct arbiter *arbiter);
};

struct arbiter {
    const struct arbiter_port *port;
    struct ev_loop *loop; /* borrowed */
    char *cluster_id;     /* owned */
    char *node;           /* owned */
    struct list calls;
    unsigned call_count;
    bool inside; /* a 'done' is running */
};

struct arbiter_call {
    struct list node; /* in the arbiter's calls */
    struct arbiter *arbiter;
    struct arbiter_ask ask;
    char *note;                 /* owned; of the ask, never NULL */
    struct arbiter_reply reply; /* in the making */
    arbiter_done_fn *done;
    void *data;
    ev_timer alarm;       /* first to begin, then at the deadline */
    uint64_t deadline_ms; /* clock_now_ms() */
    unsigned tried;       /* endpoints */
    bool begun;
};

/* The kinds. Each allocates its own struct, which begins with struct arbiter. */
MUST_CHECK enum err_code arbiter_postgres_open(const struct arbiter_options *options,
                                               struct arbiter **ret_arbiter, struct err *err);
MUST_CHECK enum err_code arbiter_etcd_open(const struct arbiter_options *options,
                                           struct arbiter **ret_arbiter, struct err *err);
/* Says whether it can be asked at all; for arbiter_config_read(). */
MUST_CHECK enum err_code arbiter_postgres_check(const struct arbiter_config *config,
                                                struct err *err);
MUST_CHECK enum err_code arbiter_etcd_check(const struct arbiter_config *config, struct err *err);

/* Pure: what the record (NULL: none) says to the ask, before anything is changed. GRANTED and DONE
 * mean that it may be carried out. witness.ask() in schema/witness says the same. */
enum arbiter_result arbiter_decide(const struct arbiter_ask *ask,
                                   const struct arbiter_record *record);

/* Milliseconds that the next endpoint may take, when 'left' are not tried yet, it included. */
uint32_t arbiter_slice_ms(const struct arbiter_call *call, unsigned left);
/* Answers and frees the call. */
void arbiter_finish(struct arbiter_call *call, enum arbiter_result result);
/* The same as UNCLEAR. */
void arbiter_fail(struct arbiter_call *call, const struct err *err);
