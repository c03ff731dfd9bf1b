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
/* Why the server ended: its last FATAL or PANIC line, else where to look. */
enum err_code managed_ended(const struct managed_config *config, bool exited, int status,
                            struct err *err);

/* What a server that is not our child left in the data folder, and that a new one would stumble on.
 */
struct managed_old {
    enum managed_old_kind {
        MANAGED_OLD_GONE,     /* nothing */
        MANAGED_OLD_RUNS,     /* its postmaster: it is on its way out */
        MANAGED_OLD_UNREAPED, /* it has ended; only its parent can make the pid free */
        MANAGED_OLD_BACKENDS, /* it was killed; some of its processes have not seen that yet */
    } kind;
    pid_t pid;    /* one that is in the way */
    pid_t parent; /* UNREAPED */
};

struct managed_old managed_find_old(const struct managed_config *config);
/* Once it had the time to go by itself: SIGINT for a postmaster, SIGKILL for what a dead one left.
 */
void managed_end_old(const struct managed_config *config, const struct managed_old *old);
/* That it is still there; ERR_NONE when it is gone. */
enum err_code managed_old_err(const struct managed_config *config, const struct managed_old *old,
                              struct err *err);
