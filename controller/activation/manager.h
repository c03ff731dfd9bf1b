/*
 * manager.h -- runs the activations of one node: the right server of every connector, until it is.
 *
 *     activation_want() --> plan.h --RUN--> store the intent --> driver, driver, ... --> report
 *     activation_gate()       ^                                                            |
 *                             '----------- again: a failure, a newer wish, the gate -------'
 *
 * One change at a time for each connector; connectors go on side by side, ACTIVATION_PARALLEL_MAX
 * at most. A newer wish ends what runs. An activation runs its drivers in their order and stops at
 * the first failure; a deactivation runs them in the reverse order and goes on after a failure. The
 * next try runs only what did not succeed.
 *
 * What was done is looked after: a driver that can tell (action_can_check()) is asked from time to
 * time whether all is still as it made it, and puts right what somebody changed: a repair. A look
 * that fails makes the change a failed one, which is then tried again as any other; but for a
 * deactivation, where nobody answering is as good as nothing in use. A look gives way to a wish.
 *
 * Instances that come and go are no change: no id, no intent. A driver that can look is asked at
 * once, with the new list.
 *
 * The intent is stored before the first effect, so that a node that dies in between knows, when it
 * comes back, what it has to undo. A manager starts with its gate closed.
 *
 * I10  No effect of a lower epoch: here by the plan, at the receiver by the driver (action.h).
 * I11  Nothing runs before activation_gate() says so; what an earlier batond left running counts as
 *      cut short.
 *
 * All on the default loop; callbacks come from the loop, never from inside a call, but for
 * 'store_intent' and 'report' from activation_stored(). A callback may call everything here but
 * activation_close().
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/activation/plan.h"
#include "controller/activation/sign.h"
#include "controller/loop/worker.h"
#include "sites/fencing.h"
#include "sites/spread.h"

#define ACTIVATION_PARALLEL_MAX   16
#define ACTIVATION_CONNECTORS_MAX 1000
#define ACTIVATION_OUTPUT_MAX     32768 /* bytes kept of what the drivers of one try said */
#define ACTIVATION_CLUSTER_SIZE   64

struct activation_settings {
    struct activation_pauses pauses;
    uint64_t timeout_ms; /* of a driver, where its row sets none */
    uint64_t check_ms;   /* pause between two looks; 0: none */
};

/* What one connector of this node shall be. The document is kept by reference and must not be
 * changed any more; it is read once for each revision. The rest is copied. */
struct activation_desired {
    const char *connector;
    enum effective_server server; /* effective_decide(): in_use */
    struct epoch epoch;
    uint64_t revision;            /* of the document; not 0 */
    struct json_object *document; /* of connector/NAME; NULL: none, or none that is allowed */
    /* Its instances, as this node hears them. */
    const struct spread_target *instances;
    size_t instance_count; /* at most SPREAD_COUNT_MAX */
    bool settled;          /* no other is there */
};

/* The newest change of a connector and how it stands. Texts are borrowed, for the call. */
struct activation_report {
    const char *connector;
    const char *action_id; /* "" for none */
    struct activation_change change;
    enum activation_state state;
    unsigned tries;
    const char *driver; /* of the connector: "file+exec"; "" for none */
    const char *text;   /* one line for people: "exec: exit code 1: no such address" */
    const char *output; /* all that the drivers of this try said */
    int64_t started_ms; /* wall clock, of this try */
    int64_t ended_ms;   /* wall clock; 0 while it runs */
    uint64_t took_ms;
    uint64_t retry_at_ms;    /* FAILED: clock_now_ms() of the next try; else 0 */
    uint64_t repair_count;   /* since this batond started */
    int64_t repaired_ms;     /* wall clock of the last one; 0: none */
    const char *repair;      /* what it put right; "" */
    struct spread_room room; /* that its instances lack; zero: all have a place */
    const char *blocked;     /* static; why nothing runs although something is wanted; "" */
};

struct action_order;

struct activation_ports {
    /* Stores the report (state running) durably, then calls activation_stored(). NULL: nothing is
     * stored. */
    void (*store_intent)(void *data, const struct activation_report *report);
    /* A try has ended: done, failed, refused or cancelled. */
    void (*report)(void *data, const struct activation_report *report);
    /* What secret/NAME holds (sign.h), at once. NULL: secrets are not available here. */
    sign_secret_fn *secret;
    /* A program was given the secrets of order->action (handout.h). May be NULL. */
    void (*given)(void *data, const struct action_order *order);
    /* Something was not as it had to be any more, and is again: 'repair'. May be NULL. */
    void (*repaired)(void *data, const struct activation_report *report);
    void *data; /* borrowed */
};

struct activation_manager;

/* Who we are; copied. */
struct activation_self {
    const char *cluster; /* id of the cluster */
    const char *node;
    const char *site;
};

/* The loop is the default one. */
struct activation_manager *activation_open(struct ev_loop *loop, struct worker *worker,
                                           const struct activation_self *self,
                                           const struct activation_settings *settings,
                                           const struct activation_ports *ports);
/* Programs that run are killed; a file that is being written is finished by the worker. */
void activation_close(struct activation_manager *manager);

void activation_configure(struct activation_manager *manager,
                          const struct activation_settings *settings);

/* What was stored by an earlier batond, oldest first, before the first activation_want().
 * ERR_INVALID: not such an id or state. */
MUST_CHECK enum err_code activation_restore(struct activation_manager *manager,
                                            const char *action_id, const char *state,
                                            struct err *err);
/* The whole list; a connector that is not in it is wanted as none. Without a document that reads
 * the connector stays as it is, unless it is wanted as none. */
void activation_want(struct activation_manager *manager, const struct activation_desired *list,
                     size_t count);
/* Which effects are allowed from now on. What is no longer allowed is ended before this returns:
 * programs have got SIGKILL. */
void activation_gate(struct activation_manager *manager, enum activation_gate gate);
/* The answer to 'store_intent'. An id that nobody waits for is ignored. */
void activation_stored(struct activation_manager *manager, const char *action_id, bool stored);

/* false when the manager does not know the connector. Texts are borrowed until the loop goes on. */
MUST_CHECK bool activation_view(const struct activation_manager *manager, const char *connector,
                                struct activation_report *ret);
/* Are this connector's drivers fenced at the resource (sites/fencing.h)? 'text' says so. False also
 * for a connector without drivers, or one that is not known: then 'text' is "". */
bool activation_fencing(const struct activation_manager *manager, const char *connector,
                        char text[FENCING_TEXT_SIZE]);
/* Nothing runs and nothing is left to do for any connector. */
bool activation_all_settled(const struct activation_manager *manager);
