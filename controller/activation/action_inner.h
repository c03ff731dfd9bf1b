/*
 * action_inner.h -- what action.c and its drivers share.
 */
#pragma once

#include "controller/activation/action.h"

struct action_driver {
    const char *name;
    bool can_check; /* start() heeds order->check */
    enum fencing_kind fencing;
    /* Sets action->inner. */
    enum err_code (*start)(struct action *action, struct worker *worker,
                           const struct action_order *order, struct err *err);
    void (*cancel)(struct action *action);
    /* Ends it without an answer, and frees what the driver holds. */
    void (*abandon)(struct action *action);
};

struct action {
    const struct action_driver *driver; /* borrowed */
    action_done_fn *done;
    void *data;  /* borrowed */
    void *inner; /* owned by the driver */
    uint64_t started_ms;
};

extern const struct action_driver action_file_driver;
extern const struct action_driver action_exec_driver;
extern const struct action_driver action_haproxy_driver;
extern const struct action_driver action_dns_driver;
extern const struct action_driver action_webhook_driver;

/* Answers and frees the action; the driver has let go of 'inner'. */
void action_finish(struct action *action, struct action_result *result);
