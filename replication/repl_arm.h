/*
 * repl_arm.h -- readies our database to be primary: one slot for each other member, then
 * synchronous_standby_names, read back.
 *
 *   I12 Slots stand before the first row of an epoch: a slot waits for every running writer, and a
 *       COMMIT that waits for a standby which has no slot would wait for ever.
 *   I4  Names that a session reads back make no COMMIT wait yet when there were none before:
 * whether to look at them at all is a flag of shared memory that only the checkpointer sets, once
 * it has seen the reload (docs/decisions/0013).
 */
#pragma once

#include <stdbool.h>

#include "replication/repl_port.h"
#include "sites/quorum.h"

typedef void repl_arm_fn(void *data, const struct err *err);

struct repl_arm;

/* What is known of the names of our server. The caller keeps it for as long as the server runs, and
 * clears it when the server may have been started anew: all zero is "nothing". May be NULL when
 * 'set' is. */
struct repl_names {
    bool settled;  /* every COMMIT waits for the names that are in force, whichever they are */
    bool changing; /* others were given to the server and not read back yet */
};

/*
 * 'remake' drops slots that are there. 'set' may be NULL: then only slots. 'names' is borrowed
 * until 'done' or repl_arm_cancel(); everything else is copied. The first names after none cost a
 * checkpoint, those that are in force nothing.
 */
struct repl_arm *repl_arm_start(const struct repl_port *port, const char *self,
                                const char *const *members, size_t count, bool remake,
                                const struct quorum_set *set, struct repl_names *names,
                                repl_arm_fn *done, void *data);
void repl_arm_cancel(struct repl_arm *arm);

/* Slots of our own that nobody reads any more: dropped, best effort, when we are no primary. */
void repl_drop_idle_slots(const struct repl_port *port);
/* All of them, whoever reads: after a fork was set aside. */
void repl_drop_slots(const struct repl_port *port);
