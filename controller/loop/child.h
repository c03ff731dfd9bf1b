/*
 * child.h -- runs another program: deadline, captured output, other user, nothing inherited
 * unasked.
 *
 * The child gets an empty signal mask, default handlers, a session of its own, no descriptor but
 * 0, 1, 2 and those of 'keep', no way to more rights (NO_NEW_PRIVS), and a signal when we die. At
 * the deadline its whole group gets SIGTERM, CHILD_GRACE_MS later SIGKILL.
 *
 * Fork from the main thread only: the signal at our death follows the thread that forked.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controller/base/err.h"

#define CHILD_OUTPUT_SIZE_MAX                                                                      \
    65536 /* default of output_max; what is beyond is read and dropped                             \
           */
#define CHILD_GRACE_MS      2000
#define CHILD_ARGUMENTS_MAX 64
#define CHILD_KEEP_FIRST    4
#define CHILD_KEEP_MAX      16

enum child_end {
    CHILD_EXITED,    /* 'status' is the exit code */
    CHILD_SIGNALLED, /* 'status' is the signal */
    CHILD_TIMEOUT,   /* ended by us at its deadline */
    CHILD_CANCELLED, /* ended by child_cancel() */
};

struct child_result {
    enum child_end end;
    int status;
    const char *output; /* standard output and error together, NUL-terminated; borrowed */
    size_t output_size;
    bool truncated;
    uint64_t took_ms;
};

struct child_options {
    const char *const *argv; /* argv[0] is a path; NULL-terminated */
    const char *const *envp; /* the whole environment; NULL: PATH and LC_ALL=C only */
    const char *folder;      /* working folder; NULL: "/" */
    const char *run_as;      /* user name; NULL: as we are. Needs root, or to be that user. */
    const char *input;       /* for standard input, at most 64 KiB; NULL: /dev/null */
    size_t input_size;
    uint32_t deadline_ms;    /* 0: none */
    size_t output_max;       /* bytes; 0: CHILD_OUTPUT_SIZE_MAX */
    const int *keep;         /* inherited as CHILD_KEEP_FIRST and following, in their order */
    size_t keep_count;       /* at most CHILD_KEEP_MAX */
    int death_signal;        /* that it gets when we die; 0: SIGKILL */
    const char *output_path; /* append output to this file instead of capturing it */
};

struct child;

typedef void child_done_fn(void *data, const struct child_result *result);

/*
 * On the default loop (ev_child works nowhere else). 'done' is called once, after the child has
 * ended; '*ret_child' is ours and gone then.
 * ERR_NOT_FOUND, ERR_DENIED, ERR_IO: it could not be started ("exec '/x': no such file").
 */
MUST_CHECK enum err_code child_start(const struct child_options *options, child_done_fn *done,
                                     void *data, struct child **ret_child, struct err *err);
/* SIGTERM now, SIGKILL after the grace; 'done' comes when it is gone. */
void child_cancel(struct child *child);
/* Any signal, to the child alone. */
void child_signal(struct child *child, int number);
pid_t child_pid(const struct child *child);
/* SIGKILL for its group, reaps it, frees; 'done' is not called. For shutdown. */
void child_abandon(struct child *child);

/*
 * Blocking, for the CLI and before the loop runs. '*ret_output' is the caller's.
 * Success is exit code 0; else ERR_IO (or ERR_TIMEOUT) with the last line of output in the text.
 */
MUST_CHECK enum err_code child_run(const struct child_options *options, char **ret_output,
                                   struct err *err);
/* Blocking start of a child that stays; waiting for it is the caller's. */
MUST_CHECK enum err_code child_spawn(const struct child_options *options, pid_t *ret_pid,
                                     struct err *err);
