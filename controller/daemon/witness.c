#include "controller/daemon/witness.h"

#include <ev.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/witness_inner.h"
#include "controller/loop/notify.h"
#include "controller/loop/worker.h"
#include "controller/postgres/migrate.h"

#define LOOK_S   3600.0 /* at the certificate */
#define SETTLE_S 1.02   /* a folder that changes twice within a second looks as if it did once */

struct witness {
    struct witness_home at;
    struct ev_loop *loop; /* borrowed; the default loop */
    struct worker *worker;
    struct managed *managed;
    struct notify *notify;
    char *owner_conninfo; /* owned */
    char *clusters;       /* owned; the folder that is watched */
    ev_signal term;
    ev_signal interrupt;
    ev_signal hangup;
    ev_timer look;
    ev_stat watch;
    ev_timer settle;
    int lock;
    bool migrating;
    bool ready;
    bool stopping;
    enum err_code code; /* that it ends with */
    struct err err;
};

/* ---- certificates ---- */

static void
reload(struct witness *witness)
{
    struct err err;
    if (witness_install_tls(&witness->at, &err) != ERR_NONE) {
        log_error("witness.reload", "reason=\"%s\"", err.text);
        return;
    }
    managed_reload(witness->managed);
    log_info("witness.reload", "ok=1");
}

static enum err_code
read_text(const struct home *home, const char *name, struct buf *into, struct err *err)
{
    CLEANUP(freep) char *path = home_path(home, name);
    return file_read(path, CERT_PEM_SIZE_MAX, into, err);
}

/* For the key that is there, so that one file changes and a crash leaves a pair that fits. */
static enum err_code
renew(const struct home *home, struct err *err)
{
    CLEANUP(buf_done) struct buf ca = { 0 };
    CLEANUP(buf_done) struct buf ca_key = { 0 };
    CLEANUP(buf_done) struct buf key = { 0 };
    CLEANUP(freep) char *chain = NULL;
    CLEANUP(freep) char *path = home_path(home, "node.crt");
    enum err_code code = read_text(home, "ca.crt", &ca, err);
    if (code == ERR_NONE)
        code = read_text(home, "ca.key", &ca_key, err);
    if (code == ERR_NONE)
        code = read_text(home, "node.key", &key, err);
    if (code == ERR_NONE) {
        struct cert_pair pair = { .certificate = ca.data, .key = ca_key.data };
        code = witness_sign(home, &pair, buf_text(&key), &chain, err);
    }
    if (code == ERR_NONE)
        code = file_write_atomic(path, chain, strlen(chain), 0444, (uid_t)-1, (gid_t)-1, err);
    if (ca_key.data != NULL)
        explicit_bzero(ca_key.data, ca_key.size);
    if (key.data != NULL)
        explicit_bzero(key.data, key.size);
    return code;
}

/* True when there is another one now. */
static bool
renew_if_due(struct witness *witness)
{
    CLEANUP(buf_done) struct buf own = { 0 };
    struct cert_info info;
    struct err err;
    enum err_code code = read_text(witness->at.home, "node.crt", &own, &err);
    if (code == ERR_NONE)
        code = cert_read(buf_text(&own), &info, &err);
    if (code == ERR_NONE && !cert_renewal_due(&info, clock_wall_ms() / 1000))
        return false;
    if (code == ERR_NONE)
        code = renew(witness->at.home, &err);
    if (code != ERR_NONE) {
        log_error("witness.certificate", "reason=\"%s\"", err.text);
        return false;
    }
    log_info("witness.certificate", "renewed=1");
    return true;
}

static void
on_look(struct ev_loop *loop, ev_timer *look, int revents)
{
    (void)loop, (void)revents;
    struct witness *witness = CONTAINER_OF(look, struct witness, look);
    if (renew_if_due(witness))
        reload(witness);
}

/* `baton witness add` has put a file there, or somebody has removed one. */
static void
on_watch(struct ev_loop *loop, ev_stat *watch, int revents)
{
    (void)revents;
    struct witness *witness = CONTAINER_OF(watch, struct witness, watch);
    reload(witness);
    ev_timer_stop(loop, &witness->settle);
    ev_timer_set(&witness->settle, SETTLE_S, 0.0);
    ev_timer_start(loop, &witness->settle);
}

static void
on_settle(struct ev_loop *loop, ev_timer *settle, int revents)
{
    (void)loop, (void)revents;
    reload(CONTAINER_OF(settle, struct witness, settle));
}

/* ---- PostgreSQL ---- */

static void
stop(struct witness *witness)
{
    if (witness->stopping)
        return;
    witness->stopping = true;
    notify_stopping();
    managed_stop(witness->managed);
}

static void
on_migrated(void *data, unsigned applied, const struct err *err)
{
    struct witness *witness = data;
    witness->migrating = false;
    if (witness->stopping)
        return;
    if (err != NULL && err->code != ERR_UNAVAILABLE && err->code != ERR_UNKNOWN_OUTCOME) {
        witness->code = err->code;
        witness->err = *err;
        stop(witness);
        return;
    }
    if (err != NULL) { /* it went away again: READY comes once more */
        log_warn("witness.schema", "reason=\"%s\"", err->text);
        return;
    }
    witness->ready = true;
    notify_ready("grants leases");
    log_info("witness.ready", "address=%s migrations=%u version=%s", witness->at.home->advertise,
             applied, BATON_VERSION);
}

static void
on_managed(void *data, enum managed_state state, const struct err *err)
{
    struct witness *witness = data;
    struct err why;
    if (err != NULL)
        log_warn("postgres.state", "state=%s reason=\"%s\"", managed_state_name(state), err->text);
    else
        log_info("postgres.state", "state=%s", managed_state_name(state));
    if (state == MANAGED_STOPPED)
        ev_break(witness->loop, EVBREAK_ALL);
    if (state != MANAGED_READY || witness->ready || witness->migrating || witness->stopping)
        return;
    witness->migrating = migrate_start_witness(witness->worker, witness->owner_conninfo,
                                               on_migrated, witness, &why) == ERR_NONE;
    if (!witness->migrating)
        on_migrated(witness, 0, &why);
}

/* ---- signals ---- */

static void
on_stop_signal(struct ev_loop *loop, ev_signal *received, int revents)
{
    (void)loop, (void)revents;
    log_info("witness.stopping", "signal=%d", received->signum);
    stop(received->data);
}

static void
on_hangup(struct ev_loop *loop, ev_signal *received, int revents)
{
    (void)loop, (void)revents;
    struct witness *witness = received->data;
    notify_reloading();
    reload(witness);
    notify_ready("reloaded");
}

static void
watch_all(struct witness *witness)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&witness->term, on_stop_signal, SIGTERM);
    ev_signal_init(&witness->interrupt, on_stop_signal, SIGINT);
    ev_signal_init(&witness->hangup, on_hangup, SIGHUP);
    witness->term.data = witness->interrupt.data = witness->hangup.data = witness;
    ev_signal_start(witness->loop, &witness->term);
    ev_signal_start(witness->loop, &witness->interrupt);
    ev_signal_start(witness->loop, &witness->hangup);
    ev_timer_init(&witness->look, on_look, LOOK_S, LOOK_S);
    ev_timer_start(witness->loop, &witness->look);
    witness->clusters = home_path(witness->at.home, "clusters");
    ev_stat_init(&witness->watch, on_watch, witness->clusters, 0.0);
    ev_stat_start(witness->loop, &witness->watch);
    ev_init(&witness->settle, on_settle);
}

/* ---- */

static enum err_code
start(struct witness *witness, const char *folder, struct err *err)
{
    enum err_code code = witness_home_load(folder, &witness->at, err);
    if (code == ERR_NONE && home_lock(witness->at.home, &witness->lock, err) != ERR_NONE) {
        code = err->code;
        if (code == ERR_CONFLICT)
            (void)err_mend(err, "this witness runs already; stop that process first");
    }
    if (code != ERR_NONE)
        return code;
    witness->loop = ev_default_loop(EVFLAG_AUTO);
    (void)renew_if_due(witness);
    code = witness_install_tls(&witness->at, err);
    if (code == ERR_NONE)
        code = home_conninfo(witness->at.home, MANAGED_OWNER, &witness->owner_conninfo, err);
    if (code == ERR_NONE)
        code = worker_open(witness->loop, &witness->worker, err);
    if (code == ERR_NONE)
        code = managed_open(witness->loop, &witness->at.managed, on_managed, witness,
                            &witness->managed, err);
    if (code != ERR_NONE)
        return code;
    watch_all(witness);
    witness->notify = notify_open(witness->loop);
    return ERR_NONE;
}

static void
finish(struct witness *witness)
{
    if (witness->notify != NULL)
        notify_close(witness->notify);
    worker_close(witness->worker);
    managed_close(witness->managed);
    if (witness->clusters != NULL) {
        ev_stat_stop(witness->loop, &witness->watch);
        ev_timer_stop(witness->loop, &witness->settle);
        ev_timer_stop(witness->loop, &witness->look);
        ev_signal_stop(witness->loop, &witness->term);
        ev_signal_stop(witness->loop, &witness->interrupt);
        ev_signal_stop(witness->loop, &witness->hangup);
    }
    free(witness->clusters);
    free(witness->owner_conninfo);
    witness_home_done(&witness->at);
    if (witness->lock >= 0)
        (void)close(witness->lock);
}

enum err_code
witness_run(const char *folder, struct err *err)
{
    struct witness witness = { .lock = -1 };
    log_init(WITNESS_NAME, LOG_LEVEL_INFO);
    enum err_code code = start(&witness, folder, err);
    if (code == ERR_NONE) {
        (void)ev_run(witness.loop, 0);
        code = witness.code;
        if (code != ERR_NONE)
            *err = witness.err;
    }
    finish(&witness);
    return code;
}
