#include "controller/daemon/admit.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/loop/cert.h"
#include "controller/loop/worker.h"
#include "controller/postgres/inspect.h"
#include "controller/postgres/migrate.h"
#include "sites/upgrade.h"
#include "sql.h"

#define NODES_MIN 3 /* sizes are checked for a cluster of at least this many */

struct admit {
    struct admit_options options;
    struct core *core; /* borrowed */
    ev_timer again;
    ev_timer probe;
    bool connected;
    bool looking;     /* an answer is to come */
    bool look_again;  /* the connection came anew meanwhile */
    bool concluded;   /* once */
    unsigned version; /* of this look */
    struct node_facts own;
    struct err looked;
    struct err fault;
    struct err tls_fault;
};

/* ------------------------------------------------------------------ the end of a look */

static void look(struct admit *admit);

/* False: what came belongs to a connection that is gone. */
static bool
goes_on(struct admit *admit)
{
    if (admit->connected && !admit->look_again && !admit->core->stopping)
        return true;
    admit->looking = false;
    if (admit->connected && !admit->core->stopping)
        look(admit);
    return false;
}

static void
conclude(struct admit *admit)
{
    admit->looking = false;
    if (admit->concluded)
        return;
    admit->concluded = true;
    admit->options.concluded(admit->options.data);
}

static void
refuse(struct admit *admit, const struct err *err)
{
    if (strcmp(admit->fault.text, err->text) != 0)
        log_warn("database.unfit", "reason=\"%s\" mend=\"%s\"", err->text, err->mend);
    admit->fault = *err;
    admit->core->database_fit = false;
    conclude(admit);
    driver_unfit(admit->core->driver, err->text);
    ev_timer_again(admit->core->loop, &admit->again);
}

static void
stop(struct admit *admit, const struct err *err)
{
    admit->looking = false;
    admit->fault = *err;
    admit->options.stop(admit->options.data, err);
}

static void
accept_it(struct admit *admit)
{
    struct core *core = admit->core;
    if (core->schema == 0 && core->managed == NULL)
        ev_timer_again(core->loop, &admit->probe);
    core->schema = admit->version;
    core->database_fit = true;
    if (admit->fault.code != ERR_NONE)
        log_info("database.fit", "schema=%u", admit->version);
    err_clear(&admit->fault);
    conclude(admit);
    driver_database(core->driver, true, NULL);
}

/* ------------------------------------------------------------------ certificate */

static enum err_code
read_pem(const struct core *core, const char *name, struct buf *into, struct err *err)
{
    CLEANUP(freep) char *path = home_path(core->home, name);
    return file_read(path, CERT_PEM_SIZE_MAX, into, err);
}

static void
note_tls(struct admit *admit, const struct err *err)
{
    if (err == NULL) {
        err_clear(&admit->tls_fault);
        return;
    }
    admit->tls_fault = *err;
    if (err->mend[0] == '\0')
        (void)err_mend(&admit->tls_fault, "let PostgreSQL write to its data directory, and run sh");
    log_error("certificate.postgres", "reason=\"%s\"", err->text);
}

/* 'true' when something changed: the server itself may show it. */
static void
note_installed(struct admit *admit, const PGresult *result, const struct err *err)
{
    const char *changed = err == NULL ? pq_text(result, 0, "changed") : NULL;
    note_tls(admit, err);
    if (changed != NULL && strcmp(changed, "t") == 0)
        (void)pq_query(admit->core->ctl, "select pg_reload_conf()", 0, NULL, NULL, NULL);
}

static void
on_installed(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct admit *admit = data;
    (void)warned;
    if (!goes_on(admit))
        return;
    note_installed(admit, result, err);
    accept_it(admit); /* without it nobody replicates, and all else works */
}

static void
on_installed_anew(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)warned;
    note_installed(data, result, err);
}

static enum err_code
install(struct admit *admit, pq_done_fn *done, struct err *err)
{
    static const char *const names[] = { "ca.crt", "node.crt", "node.key" };
    struct buf texts[ARRAY_COUNT(names)] = { 0 };
    const char *values[ARRAY_COUNT(names)];
    enum err_code code = ERR_NONE;
    for (size_t i = 0; code == ERR_NONE && i < ARRAY_COUNT(names); i++) {
        code = read_pem(admit->core, names[i], &texts[i], err);
        values[i] = buf_text(&texts[i]);
    }
    if (code == ERR_NONE)
        (void)pq_query(admit->core->ctl, sql_tls_install, ARRAY_COUNT(values), values, done, admit);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (texts[i].data != NULL)
            explicit_bzero(texts[i].data, texts[i].size);
        buf_done(&texts[i]);
    }
    return code;
}

void
admit_certificate(struct admit *admit)
{
    struct err err;
    if (!admit->core->database_fit) /* the next look brings it */
        return;
    if (install(admit, on_installed_anew, &err) != ERR_NONE)
        note_tls(admit, &err);
}

/* ------------------------------------------------------------------ settings and rights */

static size_t
count_nodes(const struct core *core)
{
    size_t count = 0;
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(core->cache, "node/", "", &at)) != NULL;) {
        bool removed = false;
        count += !json_get_bool(cache_value(entry), "removed", &removed) || !removed;
    }
    return count > NODES_MIN ? count : NODES_MIN;
}

static void
say_checks(const struct admit *admit, const struct inspect_report *report)
{
    bool known = admit->core->schema != 0 || admit->fault.code != ERR_NONE;
    for (size_t i = 0; i < report->count; i++) {
        const struct inspect_check *check = &report->list[i];
        if (check->state != INSPECT_OK && !known)
            log_warn("database.check", "name=%s state=%s text=\"%s\" mend=\"%s\"", check->name,
                     inspect_state_name(check->state), check->text, check->mend);
    }
}

static void
on_inspected(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct admit *admit = data;
    struct err fault;
    (void)warned;
    if (!goes_on(admit))
        return;
    CLEANUP(freep) struct inspect_report *report = mem_zero(1, sizeof *report);
    if (err == NULL && (inspect_read(result, INSPECT_DAEMON, count_nodes(admit->core), report,
                                     &fault) != ERR_NONE))
        err = &fault;
    if (err == NULL) {
        say_checks(admit, report);
        if (inspect_require(report, &fault) != ERR_NONE)
            err = &fault;
    }
    if (err == NULL && admit->looked.code != ERR_NONE)
        err = &admit->looked;
    if (err == NULL && install(admit, on_installed, &fault) == ERR_NONE)
        return;
    refuse(admit, err == NULL ? &fault : err);
}

/* ------------------------------------------------------------------ schema */

static void
refuse_older(struct admit *admit)
{
    struct err err;
    (void)err_set(&err, ERR_CONFLICT, "schema_older", "its schema is %u, this program needs %u",
                  admit->version, migrate_newest());
    (void)err_mend(&err,
                   "stop batond; baton schema upgrade --data-dir %s --database DSN (a superuser's);"
                   " start batond",
                   admit->core->home->folder);
    refuse(admit, &err);
}

static void
on_migrated(void *data, unsigned applied, const struct err *err)
{
    struct admit *admit = data;
    if (admit->core->stopping)
        return;
    if (err != NULL && err->code != ERR_UNAVAILABLE) {
        stop(admit, err);
        return;
    }
    if (applied > 0)
        log_info("database.migrated", "count=%u schema=%u", applied, migrate_newest());
    if (!goes_on(admit))
        return;
    admit->looking = false;
    if (err != NULL)
        refuse(admit, err);
    else
        look(admit);
}

static void
on_members(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct admit *admit = data;
    struct err fault;
    char text[UPGRADE_TEXT_SIZE];
    (void)warned;
    if (!goes_on(admit))
        return;
    if (err == NULL &&
        !driver_may_upgrade(admit->core->driver, &admit->own, result, migrate_newest(), text)) {
        (void)err_set(&fault, ERR_CONFLICT, "upgrade_order", "%s", text);
        (void)err_mend(&fault,
                       "upgrade those first, or promote one of them; if they are gone for good:"
                       " stop batond; baton schema upgrade --any-order; start batond");
        err = &fault;
    }
    if (err == NULL && migrate_start(admit->core->worker, admit->options.owner_conninfo,
                                     on_migrated, admit, &fault) == ERR_NONE)
        return;
    refuse(admit, err == NULL ? &fault : err);
}

/* Secondaries first. */
static void
on_position(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct admit *admit = data;
    struct err fault;
    (void)warned;
    if (!goes_on(admit))
        return;
    if (err == NULL && !driver_read_position(result, &admit->own)) {
        (void)err_set(&fault, ERR_PROTOCOL, "position", "the database did not tell its position");
        err = &fault;
    }
    if (err != NULL) {
        refuse(admit, err);
        return;
    }
    (void)snprintf(admit->own.name, sizeof admit->own.name, "%s", admit->core->home->node);
    admit->own.schema = admit->version;
    (void)pq_query(admit->core->ctl, sql_members, 0, NULL, on_members, admit);
}

static void
on_looked(void *data, unsigned version, const struct err *err)
{
    struct admit *admit = data;
    if (!goes_on(admit))
        return;
    if (err != NULL && str_starts(err->slug, "schema_")) {
        stop(admit, err);
        return;
    }
    admit->version = version;
    err_clear(&admit->looked);
    if (err != NULL)
        admit->looked = *err;
    if (err == NULL && version < migrate_newest() && admit->core->managed != NULL)
        (void)pq_query(admit->core->ctl, sql_position, 0, NULL, on_position, admit);
    else if (err == NULL && version < migrate_newest())
        refuse_older(admit);
    else if (admit->core->managed == NULL)
        (void)inspect_send(admit->core->ctl, on_inspected, admit); /* names a right that lacks */
    else if (err != NULL)
        refuse(admit, err);
    else
        accept_it(admit);
}

static void
look(struct admit *admit)
{
    ev_timer_stop(admit->core->loop, &admit->again);
    admit->look_again = admit->looking;
    if (admit->looking)
        return;
    admit->looking = true;
    migrate_look(admit->core->ctl, on_looked, admit);
}

static void
on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct admit *admit = CONTAINER_OF(timer, struct admit, again);
    (void)revents;
    ev_timer_stop(loop, timer);
    if (admit->connected)
        look(admit);
}

/* ------------------------------------------------------------------ as other members come */

struct probe {
    struct core *core; /* borrowed */
    char *conninfo;    /* owned */
    admit_probe_fn *done;
    void *data;
    enum err_code code;
    struct err err;
};

static void
run_probe(void *data)
{
    struct probe *probe = data;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    probe->code = pq_connect_blocking(probe->conninfo, &connection, &probe->err);
}

/* What members meet first is mended first; then the next is seen. */
static const struct probe_mend {
    const char *text; /* part of libpq's */
    const char *mend;
} probe_mends[] = {
    { "no pg_hba.conf entry",
      "add to pg_hba.conf, and reload: hostssl baton +baton_peers all cert map=baton_peer" },
    { "certificate authentication failed",
      "add to pg_ident.conf, and reload: baton_peer /^(.*)$ baton_n_\\1" },
    { "unknown ca",
      "ALTER SYSTEM SET ssl_ca_file = 'baton_tls/ca.crt'; then SELECT pg_reload_conf()" },
    { "client certificates can only be checked",
      "ALTER SYSTEM SET ssl_ca_file = 'baton_tls/ca.crt'; then SELECT pg_reload_conf()" },
    { "certificate", "ALTER SYSTEM SET ssl_cert_file = 'baton_tls/server.crt'; ALTER SYSTEM SET"
                     " ssl_key_file = 'baton_tls/server.key'; then SELECT pg_reload_conf()" },
    { "", "let PostgreSQL listen at that address (listen_addresses, port)" },
};

static void
end_probe(void *data, bool ran)
{
    struct probe *probe = data;
    if (!ran) {
        probe->code = err_set(&probe->err, ERR_CANCELLED, "shutdown", "not looked at");
    } else if (probe->code != ERR_NONE) {
        const struct probe_mend *mend = probe_mends;
        while (strstr(probe->err.text, mend->text) == NULL)
            mend++;
        (void)err_wrap(&probe->err, "as another member would connect");
        (void)err_mend(&probe->err, "%s", mend->mend);
    }
    probe->done(probe->data, probe->code == ERR_NONE ? NULL : &probe->err);
    free(probe->conninfo);
    free(probe);
}

static char *
probe_conninfo(const struct core *core)
{
    static const char *const files[][2] = { { "sslrootcert", "ca.crt" },
                                            { "sslcert", "node.crt" },
                                            { "sslkey", "node.key" } };
    const char *host;
    const char *dbname;
    uint64_t port;
    char text[24];
    CLEANUP(freep) char *key = str_printf("node/%s", core->home->node);
    const struct cache_entry *entry = cache_get(core->cache, key, "");
    struct json_object *pg = entry == NULL ? NULL : json_get(cache_value(entry), "pg");
    if (!json_get_string(pg, "host", &host) || !json_get_string(pg, "dbname", &dbname) ||
        !json_get_u64(pg, "port", &port))
        return NULL;
    struct buf conninfo = { 0 };
    (void)snprintf(text, sizeof text, "%u", (unsigned)port);
    pq_add_pair(&conninfo, "host", host);
    pq_add_pair(&conninfo, "port", text);
    pq_add_pair(&conninfo, "dbname", dbname);
    (void)snprintf(text, sizeof text, ADMIT_PROBE_S);
    pq_add_pair(&conninfo, "connect_timeout", text);
    pq_add_pair(&conninfo, "sslmode", "verify-full");
    char login[CERT_NAME_SIZE];
    CLEANUP(freep)
    char *user =
        str_printf("baton_n_%s", cert_login(core->home->node, core->home->generation, login));
    pq_add_pair(&conninfo, "user", user);
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        CLEANUP(freep) char *path = home_path(core->home, files[i][1]);
        pq_add_pair(&conninfo, files[i][0], path);
    }
    return buf_take(&conninfo);
}

void
admit_probe(struct core *core, admit_probe_fn *done, void *data)
{
    struct err err;
    struct probe *probe = mem_zero(1, sizeof *probe);
    *probe = (struct probe){ .core = core, .done = done, .data = data };
    probe->conninfo = probe_conninfo(core);
    if (probe->conninfo != NULL &&
        worker_submit(core->worker, run_probe, end_probe, probe, &err) == ERR_NONE)
        return;
    if (probe->conninfo == NULL)
        (void)err_set(&err, ERR_UNAVAILABLE, "no_address",
                      "the address of our own database is not known yet");
    done(data, &err);
    free(probe->conninfo);
    free(probe);
}

static void
on_probed(void *data, const struct err *err)
{
    (void)data;
    if (err != NULL && err->code != ERR_CANCELLED)
        log_warn("database.members", "reason=\"%s\" mend=\"%s\"", err->text, err->mend);
}

static void
on_probe(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct admit *admit = CONTAINER_OF(timer, struct admit, probe);
    (void)revents;
    if (!cache_loaded(admit->core->cache)) /* our own address is in it */
        return;
    ev_timer_stop(loop, timer);
    admit_probe(admit->core, on_probed, NULL);
}

/* ------------------------------------------------------------------ life */

struct admit *
admit_new(const struct admit_options *options)
{
    struct admit *admit = mem_zero(1, sizeof *admit);
    admit->options = *options;
    admit->core = options->core;
    ev_timer_init(&admit->again, on_again, 0.0, ADMIT_AGAIN_MS / 1000.0);
    ev_timer_init(&admit->probe, on_probe, 0.0, ADMIT_PROBE_AFTER_MS / 1000.0);
    return admit;
}

void
admit_free(struct admit *admit)
{
    if (admit == NULL)
        return;
    ev_timer_stop(admit->core->loop, &admit->again);
    ev_timer_stop(admit->core->loop, &admit->probe);
    free(admit);
}

void
admit_connection(struct admit *admit, enum pq_state state, const struct err *err)
{
    struct core *core = admit->core;
    if (core->driver == NULL || core->stopping)
        return;
    if (state == PQ_READY) {
        admit->connected = true;
        look(admit);
        return;
    }
    admit->connected = false;
    core->database_fit = false;
    if (err != NULL)
        driver_database(core->driver, false, err);
}

const struct err *
admit_fault(const struct admit *admit)
{
    return admit->fault.code == ERR_NONE ? NULL : &admit->fault;
}

const struct err *
admit_tls_fault(const struct admit *admit)
{
    return admit->tls_fault.code == ERR_NONE ? NULL : &admit->tls_fault;
}
