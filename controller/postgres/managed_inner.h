/*
 * managed_inner.h -- what managed.c (on the loop) and managed_make.c (blocking) share.
 */
#pragma once

#include "controller/loop/child.h"
#include "controller/postgres/managed.h"

#define MANAGED_ARGUMENTS 6

/* The command that runs the server; the texts live as long as this. */
struct managed_command {
    const char *argv[MANAGED_ARGUMENTS];
    char *texts[4]; /* owned */
    struct child_options options;
};

/* ERR_DENIED when it would run as root or may not change to run_as. */
MUST_CHECK enum err_code managed_check_user(const struct managed_config *config, struct err *err);
MUST_CHECK enum err_code managed_command_init(struct managed_command *command,
                                              const struct managed_config *config, struct err *err);
void managed_command_done(struct managed_command *command);
/* Configuration, socket folder, an empty start.log: all that a start needs. */
MUST_CHECK enum err_code managed_prepare(const struct managed_config *config, struct err *err);
/* What postmaster.pid says. False: there is no such file, or it makes no sense. */
bool managed_read_pid(const struct managed_config *config, pid_t *ret_pid, bool *ret_ready);
/* True when 'pid' is a process that works in this server's data folder. */
bool managed_is_ours(const struct managed_config *config, pid_t pid);
/* Why the server ended: its last FATAL or PANIC line, else where to look. */
enum err_code managed_ended(const struct managed_config *config, bool exited, int status,
                            struct err *err);
