/*
 * managed.h -- our own PostgreSQL: made by initdb, configured by us, run as a child of batond.
 *
 *   (open) -> OLD --gone--> STARTING --ready--> READY --exit--> BACKOFF --over--> STARTING
 *                              `------exit or deadline-----------^
 *   any -> STOPPING --exit--> STOPPED
 *
 * OLD: what a server left that is not our child any more: a postmaster whose batond was killed, and
 * which got SIGINT by that; one that has ended and that its parent has not reaped; processes whose
 * postmaster was killed. A new one would not start beside them. We wait for them to go, then make
 * them.
 *
 *   M1  PostgreSQL never runs as root.
 *   M2  The configuration files are ours and are written anew before each start. What an operator
 *       adds goes to pg/conf/custom.conf; it may tune, and cannot undo what safety rests on.
 *   M3  restart_after_crash is off: after a crash the postmaster ends and we start it, so that
 *       pg_postmaster_start_time() changes and the database is fenced by itself.
 *   M4  We write into no folder that the database's user owns: as root we might be led elsewhere.
 *
 *   pg/       ours, and open for passing through:  conf/ tls/ (ours; the files are the user's)
 *             the database user's own:             data/ log/ run/
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controller/base/err.h"

#define MANAGED_MAJOR_MIN       15
#define MANAGED_MAJOR_MAX       18
#define MANAGED_OLD_MS_MAX      60000  /* for an old server to end */
#define MANAGED_OLD_PATIENCE_MS 5000   /* then we end it */
#define MANAGED_READY_MS_MAX    120000 /* for crash recovery */
#define MANAGED_STOP_MS_MAX     30000  /* for a fast stop; then SIGQUIT */
#define MANAGED_POLL_MS         10
#define MANAGED_RESTART_MS_MIN  100
#define MANAGED_RESTART_MS_MAX  10000
#define MANAGED_SOCKET_SIZE_MAX 107
#define MANAGED_DATABASE        "baton"
#define MANAGED_OWNER           "baton_owner"   /* superuser that owns everything */
#define MANAGED_WITNESS         "baton_witness" /* role of nodes that ask a witness */

/* All borrowed; managed_open() copies. */
struct managed_config {
    const char *folder; /* absolute; D/pg */
    const char *socket; /* folder of the socket; made if missing */
    const char *listen; /* address */
    uint16_t port;
    const char *run_as; /* user; NULL: as we are */
    bool witness;       /* it grants leases and does nothing else: no replication, and the nodes of
                           several clusters come by certificate, all as one role */
};

/* What the node's own settings say; a zero leaves the default. */
struct managed_tune {
    uint64_t shared_buffers_mb;
    uint64_t connections_max;
    uint64_t slot_wal_keep_mb; /* that a standby which is away may hold back */
};

enum managed_state {
    MANAGED_OLD,
    MANAGED_STARTING,
    MANAGED_READY,
    MANAGED_BACKOFF,
    MANAGED_STOPPING,
    MANAGED_STOPPED,
};

struct managed;

/* 'err' says why in BACKOFF, else NULL. Not called from inside the functions below. */
typedef void managed_state_fn(void *data, enum managed_state state, const struct err *err);

/* Begins to start it, on the default loop. ERR_DENIED: it would run as root, or we may not change
 * to 'run_as'. ERR_NOT_FOUND: no PostgreSQL program, or no data. */
MUST_CHECK enum err_code managed_open(struct ev_loop *loop, const struct managed_config *config,
                                      managed_state_fn *on_state, void *data,
                                      struct managed **ret_managed, struct err *err);
/* Fast stop, escalating; on_state says STOPPED. */
void managed_stop(struct managed *managed);
/* Frees; a server that still runs is stopped the hard way (it recovers at the next start). */
void managed_close(struct managed *managed);
/* Reads configuration and TLS files again. */
void managed_reload(struct managed *managed);
enum managed_state managed_state(const struct managed *managed);
const char *managed_state_name(enum managed_state state);
pid_t managed_pid(const struct managed *managed);         /* 0: none */
uint64_t managed_restarts(const struct managed *managed); /* since managed_open() */

/* ---- blocking, for `baton init`, `baton join` and before the loop runs ---- */

/* "/usr/lib/postgresql/15/bin", newest first. Caller's. ERR_NOT_FOUND with the package to install.
 */
MUST_CHECK enum err_code managed_find_programs(char **ret_folder, unsigned *ret_major,
                                               struct err *err);
/* Makes the folders, D/pg included, and runs initdb. */
MUST_CHECK enum err_code managed_make(const struct managed_config *config, struct err *err);
/* pg/tls: also for renewed certificates, followed by managed_reload(). */
MUST_CHECK enum err_code managed_install_tls(const struct managed_config *config,
                                             const char *ca_certificate, const char *certificate,
                                             const char *key, struct err *err);
MUST_CHECK enum err_code managed_write_config(const struct managed_config *config, struct err *err);
/*
 * Keeps the values in conf/tuned.conf, which every start reads: the settings themselves lie in the
 * database that is to be started. In force after managed_reload(), or the next start where
 * PostgreSQL needs one. '*ret_changed' (may be NULL): the file is another now.
 */
MUST_CHECK enum err_code managed_tune(const struct managed_config *config,
                                      const struct managed_tune *tune, bool *ret_changed,
                                      struct err *err);
/* Writes the configuration, starts, waits until it takes connections. */
MUST_CHECK enum err_code managed_start_blocking(const struct managed_config *config, pid_t *ret_pid,
                                                struct err *err);
MUST_CHECK enum err_code managed_stop_blocking(const struct managed_config *config, pid_t pid,
                                               struct err *err);
