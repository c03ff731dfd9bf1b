/*
 * action.h -- one call of one driver: make a server of a connector the one in use, or none.
 *
 *     driver   does                                                      refuses a lower epoch by
 *     file     renders a file atomically, off the loop                   its sidecar, PATH.baton
 *     exec     runs a program, BATON_* variables and nothing else        exit code 88
 *     haproxy  switches the servers of a backend of a running HAProxy    its mark (haproxy.h)
 *     webhook  posts signed JSON over HTTPS                              status 409, 412, a proof
 *     dns      changes a record by RFC 2136, through nsupdate            the record _baton.NAME
 *
 * Every driver is idempotent, has a deadline and answers exactly once, from the loop, never from
 * inside action_start(). A new driver is a row in the table of action.c, and a name in
 * sites/connector.h.
 *
 * I10  A receiver of an effect refuses an epoch below the highest that it has seen. The sidecar is
 *      durable before the file is touched, so a crash between leaves a file that is too old, never
 *      an epoch that may be forgotten. Who holds the lock on the folder may write either.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/activation/sign.h"
#include "controller/activation/template.h"
#include "controller/base/err.h"
#include "controller/loop/worker.h"
#include "sites/connector.h"
#include "sites/effective.h"
#include "sites/epoch.h"
#include "sites/fencing.h"
#include "sites/spread.h"

#define ACTION_OUTPUT_SIZE_MAX 16384 /* kept of what a program prints */
#define ACTION_EXIT_REFUSED    88    /* a program's way to say "I have seen a later epoch" */

/* All borrowed, and only for the call. */
struct action_order {
    const struct connector_action *action;
    struct template_values values;
    struct epoch epoch; /* as in 'values' */
    uint64_t timeout_ms;
    const struct connector_server *server; /* in use from now on; 'set' is false for none */
    enum effective_server which;           /* MAIN, ALTERNATE or NONE */
    bool check;   /* it was done before: look whether all still is so, and put right what is not */
    size_t place; /* of the action in the connector's list, from 0 */
    struct spread_goal spread; /* the connector's instances: targets and settled alone */
    bool news;                 /* they are not those of the call before */
    sign_secret_fn *secret;    /* NULL: no secrets here */
    void *secret_data;         /* borrowed */
    /* The program has started and was given action->secrets; NULL: nobody wants to know. */
    void (*given)(void *secret_data, const struct action_order *order);
};

enum action_end {
    ACTION_OK,
    ACTION_FAILED,    /* may be tried again */
    ACTION_REFUSED,   /* the receiver has seen a later epoch */
    ACTION_CANCELLED, /* by action_cancel(): perhaps done, perhaps not */
};

/* Borrowed for the callback. */
struct action_result {
    enum action_end end;
    const char *text;   /* one line for people: "wrote 212 bytes to /etc/x", "exit code 1" */
    const char *output; /* what the program printed, bounded; "" when nothing */
    bool truncated;     /* it printed more */
    int exit_code;      /* exec that ended by itself; else -1 */
    bool proved;        /* the receiver has proved that it refuses lower epochs (sign.h) */
    uint64_t took_ms;
    bool changed;      /* of a check: something was not as it had to be, and is now */
    uint64_t again_ms; /* check again after so long, because of what was begun; 0: no need */
    bool waiting;      /* an instance waits for a place: when it gets one, that is news, too */
    struct spread_room room; /* zero for a driver that spreads nothing */
};

struct action;

typedef void action_done_fn(void *data, const struct action_result *result);

/*
 * '*ret' is ours, and gone when 'done' was called. On the default loop.
 * On error nothing was started and 'done' is not called: the template, a program that is not there,
 * a full worker queue.
 */
MUST_CHECK enum err_code action_start(struct worker *worker, const struct action_order *order,
                                      action_done_fn *done, void *data, struct action **ret,
                                      struct err *err);
/* At once: a program and all in its process group get SIGKILL; a file that is not yet touched
 * stays as it is. 'done' comes when it is over. */
void action_cancel(struct action *action);
/* The same, but 'done' is not called. For shutdown; the worker may still be finishing. */
void action_abandon(struct action *action);

/* The driver can tell whether all still is as it made it (order->check). */
bool action_can_check(enum connector_driver driver);

const char *action_end_name(enum action_end end);
/* What is known of a driver without asking its receiver. */
enum fencing_kind action_fencing(enum connector_driver driver);
