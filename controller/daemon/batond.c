/*
 * batond -- the daemon of one node: settings, wiring, signals. What it decides is in sites/.
 */
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "controller/api/api.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/admit.h"
#include "controller/daemon/batond_certificate.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/keeper.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/prover.h"
#include "controller/daemon/registry.h"
#include "controller/daemon/secrets.h"
#include "controller/daemon/tail.h"
#include "controller/daemon/tuning.h"
#include "controller/daemon/will.h"
#include "controller/daemon/writer.h"
#include "controller/http/server.h"
#include "controller/loop/fetch.h"
#include "controller/loop/notify.h"
#include "controller/loop/pq.h"
#include "controller/loop/worker.h"
#include "controller/postgres/managed.h"
#include "sites/setting.h"

#define BATOND_STOP_MS 3000 /* for requests that are under way */

struct batond {
    struct core core;
    const char *folder; /* borrowed */
    struct managed_config managed;
    char *pg_folder; /* owned; what 'managed' borrows */
    char *owner_conninfo;
    char *conninfo;
    struct batond_certificate *certificate;
    struct tuning *tuning;
    struct notify *notify;
    enum log_level level; /* of the command line */
    int lock;
    ev_signal term;
    ev_signal interrupt;
    ev_signal hangup;
    struct cache_watcher watcher;
    bool told;
    bool http_stopped;
    bool database_stopped;
    int exit_code;
};

/* ------------------------------------------------------------------ database */

static void
on_ctl_state(void *data, enum pq_state state, const struct err *err)
{
    struct batond *batond = data;
    admit_connection(batond->core.admit, state, err);
}

static void
tell_ready(void *data)
{
    struct batond *batond = data;
    if (batond->told)
        return;
    batond->told = true;
    notify_ready("fenced until the peers have told the epoch");
    log_info("batond.ready", "address=%s version=%s", http_server_address(batond->core.server),
             BATON_VERSION);
}

static void
on_unusable(void *data, const struct err *err)
{
    struct batond *batond = data;
    log_error("batond.database", "reason=\"%s\" mend=\"%s\"", err->text, err->mend);
    batond->exit_code = err_code_exit(err->code);
    ev_feed_signal_event(batond->core.loop, SIGTERM);
}

static void stopped_one(struct batond *batond);

static void
on_managed(void *data, enum managed_state state, const struct err *err)
{
    struct batond *batond = data;
    if (err != NULL)
        log_warn("postgres.state", "state=%s reason=\"%s\"", managed_state_name(state), err->text);
    else
        log_info("postgres.state", "state=%s", managed_state_name(state));
    if (state == MANAGED_READY && !batond->core.stopping) {
        pq_reset(batond->core.ctl);
        pq_reset(batond->core.attach);
        /* Each would try again by itself, up to PQ_RETRY_MS_MAX later. */
        tail_reconnect(batond->core.tail);
        writer_reconnect(batond->core.writer);
        api_reconnect(batond->core.api);
    }
    if (state == MANAGED_BACKOFF)
        keeper_despair();
    if (state == MANAGED_STOPPED) {
        batond->database_stopped = true;
        stopped_one(batond);
    }
}

static enum err_code
open_database(struct batond *batond, struct err *err)
{
    static const char *const setup[] = { "set synchronous_commit = local",
                                         "set idle_in_transaction_session_timeout = '10s'" };
    struct core *core = &batond->core;
    struct pq_options options = { .loop = core->loop,
                                  .name = "ctl",
                                  .conninfo = batond->conninfo,
                                  .setup = setup,
                                  .setup_count = ARRAY_COUNT(setup),
                                  .on_state = on_ctl_state,
                                  .data = batond };
    enum err_code code = pq_open(&options, &core->ctl, err);
    options.name = "attach";
    options.on_state = NULL;
    if (code == ERR_NONE)
        code = pq_open(&options, &core->attach, err);
    if (code == ERR_NONE)
        code = writer_new(core->loop, batond->conninfo, &core->writer, err);
    if (code == ERR_NONE)
        code = tail_new(core->loop, batond->conninfo, core->cache, &core->tail, err);
    if (code == ERR_NONE)
        batond->tuning = tuning_open(core, batond->level);
    return code;
}

static enum err_code
start_managed(struct batond *batond, struct err *err)
{
    const struct home *home = batond->core.home;
    batond->pg_folder = home_path(home, "pg");
    batond->managed = (struct managed_config){
        .folder = batond->pg_folder,
        .socket = home->pg.socket,
        .listen = home->pg.listen,
        .port = home->pg.port,
        .run_as = home->pg.run_as,
    };
    return managed_open(batond->core.loop, &batond->managed, on_managed, batond,
                        &batond->core.managed, err);
}

/* The node's own settings of its PostgreSQL lie in that PostgreSQL: they are kept in a file that
 * the next start reads, and what needs no restart is in force at once. */
static void
on_setting(struct cache_watcher *watcher, enum cache_change change, const char *key,
           const char *site)
{
    struct batond *batond = CONTAINER_OF(watcher, struct batond, watcher);
    const struct setting_source *source = cache_settings(batond->core.cache);
    bool changed = false;
    struct err err;
    (void)site;
    if (change == CACHE_SHARED || (change == CACHE_LOCAL && !str_starts(key, "pg.")))
        return;
    struct managed_tune tune = {
        .shared_buffers_mb = setting_u64(SETTING_PG_SHARED_BUFFERS_MB, source),
        .connections_max = setting_u64(SETTING_PG_MAX_CONNECTIONS, source),
        .slot_wal_keep_mb = setting_u64(SETTING_PG_WAL_KEEP_MB, source),
    };
    if (managed_tune(&batond->managed, &tune, &changed, &err) != ERR_NONE)
        log_warn("postgres.tune", "reason=\"%s\"", err.text);
    else if (changed)
        managed_reload(batond->core.managed);
}

/* ------------------------------------------------------------------ start */

/* The api is younger than who writes by it, and writes nothing before it is there. */
static void
write_by_api(void *data, struct json_object *group, writer_done_fn *done, void *done_data)
{
    const struct core *core = data;
    api_write(core->api, group, done, done_data);
}

static enum err_code
open_server(struct batond *batond, struct err *err)
{
    struct core *core = &batond->core;
    CLEANUP(freep) char *ca = home_path(core->home, "ca.crt");
    CLEANUP(freep) char *certificate = home_path(core->home, "node.crt");
    CLEANUP(freep) char *key = home_path(core->home, "node.key");
    struct tls_identity tls = { .ca = ca, .cert = certificate, .key = key };
    struct fetch_trust trust = { .tls = tls };
    enum err_code code = fetch_client_open(core->loop, &trust, &core->peers, err);
    if (code != ERR_NONE)
        return code;
    core->secrets = secrets_new(core, write_by_api, core);
    core->acting = acting_new(core);
    core->driver = driver_new(core);
    core->prover = prover_new(core);
    core->registry = registry_new(core);
    core->notices = notices_new(core);
    code = api_new(core, &core->api, err);
    if (code != ERR_NONE)
        return code;
    struct http_options options = { .listen = core->home->listen,
                                    .tls = &tls,
                                    .handler = api_handle,
                                    .data = core->api,
                                    .body_size_max = API_SERVER_BODY_SIZE_MAX };
    return http_server_open(core->loop, &options, &core->server, err);
}

static void on_stop_signal(struct ev_loop *loop, ev_signal *signal, int revents);

static void
on_hangup(struct ev_loop *loop, ev_signal *signal, int revents)
{
    struct batond *batond = signal->data;
    (void)loop, (void)revents;
    notify_reloading();
    batond_certificate_reload(batond->certificate);
    notify_ready("reloaded");
}

static void
watch_signals(struct batond *batond)
{
    struct ev_loop *loop = batond->core.loop;
    (void)signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&batond->term, on_stop_signal, SIGTERM);
    ev_signal_init(&batond->interrupt, on_stop_signal, SIGINT);
    ev_signal_init(&batond->hangup, on_hangup, SIGHUP);
    batond->term.data = batond->interrupt.data = batond->hangup.data = batond;
    ev_signal_start(loop, &batond->term);
    ev_signal_start(loop, &batond->interrupt);
    ev_signal_start(loop, &batond->hangup);
}

static enum err_code
start(struct batond *batond, struct err *err)
{
    struct core *core = &batond->core;
    enum err_code code = home_load(batond->folder, &core->home, err);
    if (code == ERR_NONE)
        code = home_lock(core->home, &batond->lock, err);
    if (code != ERR_NONE)
        return code;
    core->loop = ev_default_loop(EVFLAG_AUTO);
    watch_signals(batond);
    core->cache = cache_new(core->home->node, core->home->site);
    code = worker_open(core->loop, &core->worker, err);
    if (code == ERR_NONE)
        code = home_conninfo(core->home, "baton", &batond->conninfo, err);
    if (code == ERR_NONE && home_managed(core->home))
        code = home_conninfo(core->home, MANAGED_OWNER, &batond->owner_conninfo, err);
    core->admit = admit_new(&(struct admit_options){ .core = core,
                                                     .owner_conninfo = batond->owner_conninfo,
                                                     .concluded = tell_ready,
                                                     .stop = on_unusable,
                                                     .data = batond });
    if (code == ERR_NONE)
        code = open_database(batond, err);
    if (code == ERR_NONE)
        code = open_server(batond, err);
    if (code == ERR_NONE && home_managed(core->home))
        code = start_managed(batond, err);
    if (code != ERR_NONE)
        return code;
    if (core->managed != NULL) {
        batond->watcher.changed = on_setting;
        cache_watch(core->cache, &batond->watcher);
    }
    batond->certificate = batond_certificate_new(core, &batond->managed);
    batond->notify = notify_open(core->loop);
    driver_start(core->driver);
    if (core->managed == NULL) /* it may be away for long */
        tell_ready(batond);
    return ERR_NONE;
}

/* ------------------------------------------------------------------ stop */

static void
stopped_one(struct batond *batond)
{
    if (batond->http_stopped && batond->database_stopped)
        ev_break(batond->core.loop, EVBREAK_ALL);
}

static void
on_http_stopped(void *data)
{
    struct batond *batond = data;
    batond->http_stopped = true;
    writer_stop(batond->core.writer);
    if (batond->core.managed != NULL && !batond->database_stopped)
        managed_stop(batond->core.managed);
    stopped_one(batond);
}

static void
on_stop_signal(struct ev_loop *loop, ev_signal *signal, int revents)
{
    struct batond *batond = signal->data;
    struct core *core = &batond->core;
    (void)loop, (void)revents;
    if (core->stopping)
        return;
    core->stopping = true;
    log_info("batond.stopping", "signal=%d", signal->signum);
    notify_stopping();
    driver_stop(core->driver);
    api_stop(core->api);
    batond->database_stopped = core->managed == NULL;
    http_server_stop(core->server, BATOND_STOP_MS, on_http_stopped, batond);
}

static void
finish(struct batond *batond)
{
    struct core *core = &batond->core;
    batond_certificate_free(batond->certificate);
    tuning_close(batond->tuning);
    if (batond->watcher.changed != NULL)
        cache_unwatch(&batond->watcher);
    if (core->server != NULL)
        http_server_close(core->server);
    if (core->writer != NULL)
        writer_free(core->writer);
    if (core->worker != NULL)
        worker_close(core->worker);
    if (core->peers != NULL)
        fetch_client_close(core->peers);
    if (core->attach != NULL)
        pq_close(core->attach);
    if (core->ctl != NULL)
        pq_close(core->ctl);
    if (core->api != NULL)
        api_free(core->api);
    prover_free(take_ptr(&core->prover));
    notices_free(take_ptr(&core->notices));
    driver_free(core->driver);
    registry_free(core->registry);
    admit_free(core->admit);
    acting_free(core->acting);
    secrets_free(core->secrets);
    if (core->tail != NULL)
        tail_free(core->tail);
    cache_free(core->cache);
    if (core->managed != NULL)
        managed_close(core->managed);
    if (batond->notify != NULL)
        notify_close(batond->notify);
    home_free(core->home);
    free(batond->pg_folder);
    free(batond->conninfo);
    free(batond->owner_conninfo);
}

/* ------------------------------------------------------------------ main */

static void
print_help(void)
{
    (void)printf("batond %s: the daemon of one Baton node\n"
                 "\n"
                 "usage: batond --data-dir D [--log-level error|warn|info|debug]\n"
                 "\n"
                 "  --data-dir D      the node's folder, made by 'baton init' or 'baton join'\n"
                 "                    (or BATON_DATA_DIR)\n"
                 "  --log-level L     how much goes to standard error; info\n"
                 "  --version, --help\n"
                 "\n"
                 "example: batond --data-dir /var/lib/baton\n"
                 "signals: SIGTERM and SIGINT stop it, SIGHUP reads certificates again\n",
                 BATON_VERSION);
}

/* Under the keeper, in a process of its own. */
static int
run(void *data)
{
    struct batond *batond = data;
    struct err err;
    /* What is in our memory stays there: no core file, whatever the limits and the pattern say. The
     * programs that we start are not ours, and leave theirs as they are told to. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    enum err_code code = start(batond, &err);
    if (code != ERR_NONE) {
        (void)fprintf(stderr, "batond: %s\n", err.text);
        if (err.mend[0] != '\0')
            (void)fprintf(stderr, "  mend: %s\n", err.mend);
        finish(batond);
        return err_code_exit(code);
    }
    log_init(batond->core.home->node, batond->level);
    (void)ev_run(batond->core.loop, 0);
    finish(batond);
    return batond->exit_code;
}

/* The same, for one that died. */
static int
release(void *data, const struct keeper_will *will, const char *arbiter)
{
    const struct batond *batond = data;
    return will_carry_out(batond->folder, batond->level, will, arbiter);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "data-dir", required_argument, NULL, 'd' },
        { "log-level", required_argument, NULL, 'l' },
        { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct batond batond = { .folder = getenv("BATON_DATA_DIR"),
                             .lock = -1,
                             .level = LOG_LEVEL_INFO };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd') {
            batond.folder = optarg;
        } else if (option == 'v') {
            (void)printf("batond %s\n", BATON_VERSION);
            return 0;
        } else if (option == 'h') {
            print_help();
            return 0;
        } else if (option != 'l' || !log_level_from_name(optarg, &batond.level)) {
            (void)fprintf(stderr, "batond: see batond --help\n");
            return err_code_exit(ERR_INVALID);
        }
    }
    if (batond.folder == NULL || optind != argc) {
        (void)fprintf(stderr, "batond: --data-dir D is needed\n  mend: batond --help\n");
        return err_code_exit(ERR_INVALID);
    }
    log_init(NULL, batond.level);
    return keeper_run(run, release, &batond);
}
