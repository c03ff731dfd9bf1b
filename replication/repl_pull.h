/*
 * repl_pull.h -- brings rows of the shared log from any member, page by page, through the gate of
 * our own database, older epochs than our promise included (only the daemon pulls, and it knows
 * from whom). It ends when a later epoch is promised than the one on whose behalf it pulls.
 */
#pragma once

#include "replication/repl_port.h"
#include "sites/epoch.h"

/* 'applied' is our revision now. ERR_CONFLICT slug "needs_snapshot": the member's log starts later
 * than what we have. */
typedef void repl_pull_fn(void *data, uint64_t applied, const struct err *err);

struct repl_pull;

/* Until our revision is 'until' or more. 'done' is called once, then it is freed. */
struct repl_pull *repl_pull_start(const struct repl_port *port, const char *member,
                                  const struct epoch *epoch, uint64_t applied, uint64_t until,
                                  repl_pull_fn *done, void *data);
void repl_pull_cancel(struct repl_pull *pull);
