#include "controller/postgres/migrate.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/pq.h"
#include "sql.h"

/* Made by CMake from a folder of schema/, in order of their numbers. */
struct list {
    const struct sql_migration *migrations; /* borrowed */
    size_t count;
};

static struct list
list_of_node(void)
{
    return (struct list){ sql_migrations, sql_migration_count };
}

static struct list
list_of_witness(void)
{
    return (struct list){ sql_witness_migrations, sql_witness_migration_count };
}

static unsigned
newest_of(const struct list *list)
{
    unsigned newest = 0;
    for (size_t i = 0; i < list->count; i++)
        newest = list->migrations[i].version > newest ? list->migrations[i].version : newest;
    return newest;
}

unsigned
migrate_newest(void)
{
    struct list list = list_of_node();
    return newest_of(&list);
}

static enum err_code
run(PGconn *connection, const char *sql, struct err *err)
{
    return pq_run_blocking(connection, sql, 0, NULL, NULL, err);
}

static enum err_code
read_number(PGconn *connection, const char *sql, uint64_t *ret_number, struct err *err)
{
    CLEANUP(pq_clearp) PGresult *result = NULL;
    enum err_code code = pq_run_blocking(connection, sql, 0, NULL, &result, err);
    if (code != ERR_NONE)
        return code;
    const char *text = pq_text(result, 0, "n");
    if (text == NULL || !str_to_u64(text, 0, UINT32_MAX, ret_number))
        return err_set(err, ERR_PROTOCOL, "schema", "local.migration holds no version number");
    return ERR_NONE;
}

enum err_code
migrate_version(PGconn *connection, unsigned *ret_version, struct err *err)
{
    uint64_t number = 0;
    enum err_code code =
        read_number(connection, "select count(to_regclass('local.migration')) as n", &number, err);
    if (code == ERR_NONE && number > 0)
        code = read_number(connection, "select coalesce(max(version), 0) as n from local.migration",
                           &number, err);
    if (code == ERR_NONE)
        *ret_version = (unsigned)number;
    return code;
}

/* What this program knows, as migration_check.sql takes it. The caller's. */
static struct json_object *
known(const struct list *list)
{
    struct json_object *entries = json_object_new_array();
    for (size_t i = 0; i < list->count; i++) {
        struct json_object *entry = json_object_new_object();
        json_add_u64(entry, "version", list->migrations[i].version);
        json_add_string(entry, "name", list->migrations[i].name);
        json_add_string(entry, "checksum", list->migrations[i].checksum);
        json_object_array_add(entries, entry);
    }
    return entries;
}

static enum err_code
say_problem(const struct list *list, const PGresult *result, struct err *err)
{
    const char *version = pq_text(result, 0, "version");
    const char *name = pq_text(result, 0, "name");
    const char *problem = pq_text(result, 0, "problem");
    if (version == NULL || name == NULL || problem == NULL)
        return err_set(err, ERR_PROTOCOL, "schema", "the check of migrations gave no reason");
    if (strcmp(problem, "newer") == 0) {
        (void)err_set(err, ERR_CONFLICT, "schema_newer",
                      "the database has migration %s (%s), this program knows %u at most", version,
                      name, newest_of(list));
        return err_mend(err, "install the newer version of Baton here");
    }
    (void)err_set(err, ERR_CONFLICT, "schema_changed",
                  strcmp(problem, "changed") == 0
                      ? "migration %s (%s) was applied with another text than this program has"
                      : "migration %s (%s) was left out, a later one is there",
                  version, name);
    return err_mend(err, "install the version of Baton that this database was made with");
}

static enum err_code
check(const struct list *list, PGconn *connection, struct err *err)
{
    CLEANUP(json_putp) struct json_object *entries = known(list);
    CLEANUP(pq_clearp) PGresult *result = NULL;
    const char *values[] = { json_text(entries) };
    enum err_code code = pq_run_blocking(connection, sql_migration_check, 1, values, &result, err);
    if (code != ERR_NONE)
        return code;
    return PQntuples(result) == 0 ? ERR_NONE : say_problem(list, result, err);
}

/* The migration and its record in one transaction. */
static enum err_code
apply(PGconn *connection, const struct sql_migration *migration, struct err *err)
{
    CLEANUP(freep) char *version = str_printf("%u", migration->version);
    const char *values[] = { version, migration->name, migration->checksum };
    enum err_code code = run(connection, "begin", err);
    if (code == ERR_NONE)
        code = run(connection, migration->text, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, sql_migration_record, 3, values, NULL, err);
    if (code == ERR_NONE)
        code = run(connection, "commit", err);
    if (code == ERR_NONE)
        return code;
    struct err ignored = { 0 };
    if (run(connection, "rollback", &ignored) != ERR_NONE)
        log_warn("migrate.rollback", "reason=\"%s\"", ignored.text);
    return err_wrap(err, "migration %u (%s)", migration->version, migration->name);
}

static enum err_code
run_list(const struct list *list, PGconn *connection, unsigned *ret_applied, struct err *err)
{
    /* DDL too would wait for standbys, and there may be none: local. Two programs that start at
     * once take turns. */
    static const char session[] = "set synchronous_commit = local;"
                                  "set lock_timeout = '60s';"
                                  "set search_path = pg_catalog, pg_temp;"
                                  "select pg_advisory_lock(hashtext('baton migration'))";
    unsigned applied = 0;
    unsigned version = 0;
    enum err_code code = run(connection, session, err);
    if (code == ERR_NONE)
        code = run(connection, sql_migration_prepare, err);
    if (code == ERR_NONE)
        code = check(list, connection, err);
    if (code == ERR_NONE)
        code = migrate_version(connection, &version, err);
    for (size_t i = 0; code == ERR_NONE && i < list->count; i++) {
        if (list->migrations[i].version <= version)
            continue;
        code = apply(connection, &list->migrations[i], err);
        applied += code == ERR_NONE;
    }
    struct err ignored = { 0 };
    if (run(connection, "select pg_advisory_unlock(hashtext('baton migration'))", &ignored) !=
        ERR_NONE)
        log_warn("migrate.unlock", "reason=\"%s\"", ignored.text);
    if (code == ERR_NONE && ret_applied != NULL)
        *ret_applied = applied;
    return code;
}

enum err_code
migrate_run(PGconn *connection, unsigned *ret_applied, struct err *err)
{
    struct list list = list_of_node();
    return run_list(&list, connection, ret_applied, err);
}

enum err_code
migrate_run_witness(PGconn *connection, unsigned *ret_applied, struct err *err)
{
    struct list list = list_of_witness();
    enum err_code code = run_list(&list, connection, ret_applied, err);
    return code == ERR_NONE ? run(connection, sql_witness_own, err) : code;
}

/* ---- for the loop ---- */

struct look {
    struct pq *pq; /* borrowed */
    migrate_look_fn *done;
    void *data;
};

static void
end_look(struct look *look, unsigned version, const struct err *err)
{
    struct look copy = *look;
    free(look);
    copy.done(copy.data, version, err);
}

static void
on_version(void *data, const PGresult *result, const struct err *err, bool warned)
{
    uint64_t version = 0;
    struct err fault;
    (void)warned;
    const char *text = err == NULL ? pq_text(result, 0, "version") : NULL;
    if (err == NULL && (text == NULL || !str_to_u64(text, 0, UINT32_MAX, &version))) {
        (void)err_set(&fault, ERR_PROTOCOL, "schema", "local.migration holds no version number");
        err = &fault;
    }
    end_look(data, (unsigned)version, err);
}

static void
on_checked(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct look *look = data;
    struct list list = list_of_node();
    struct err fault;
    (void)warned;
    if (err == NULL && PQntuples(result) > 0) {
        (void)say_problem(&list, result, &fault);
        err = &fault;
    }
    if (err != NULL)
        end_look(look, 0, err);
    else
        (void)pq_query(look->pq, sql_migration_version, 0, NULL, on_version, look);
}

void
migrate_look(struct pq *pq, migrate_look_fn *done, void *data)
{
    struct list list = list_of_node();
    CLEANUP(json_putp) struct json_object *entries = known(&list);
    const char *values[] = { json_text(entries) };
    struct look *look = mem_zero(1, sizeof *look);
    *look = (struct look){ .pq = pq, .done = done, .data = data };
    (void)pq_query(pq, sql_migration_check, 1, values, on_checked, look);
}

typedef enum err_code run_fn(PGconn *connection, unsigned *ret_applied, struct err *err);

struct job {
    run_fn *run;
    char *conninfo; /* owned, may be secret */
    migrate_done_fn *done;
    void *data;
    unsigned applied;
    enum err_code code;
    struct err err;
};

static void
work(void *data)
{
    struct job *job = data;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    job->code = pq_connect_blocking(job->conninfo, &connection, &job->err);
    if (job->code == ERR_NONE)
        job->code = job->run(connection, &job->applied, &job->err);
}

static void
finish(void *data, bool ran)
{
    struct job *job = data;
    if (!ran)
        job->code = err_set(&job->err, ERR_CANCELLED, "shutdown", "migrations did not start");
    job->done(job->data, job->applied, job->code == ERR_NONE ? NULL : &job->err);
    cert_secret_freep(&job->conninfo);
    free(job);
}

static enum err_code
submit(struct worker *worker, run_fn *run_it, const char *conninfo, migrate_done_fn *done,
       void *data, struct err *err)
{
    struct job *job = mem_zero(1, sizeof *job);
    job->run = run_it;
    job->conninfo = str_dup(conninfo);
    job->done = done;
    job->data = data;
    enum err_code code = worker_submit(worker, work, finish, job, err);
    if (code != ERR_NONE) {
        cert_secret_freep(&job->conninfo);
        free(job);
    }
    return code;
}

enum err_code
migrate_start(struct worker *worker, const char *conninfo, migrate_done_fn *done, void *data,
              struct err *err)
{
    return submit(worker, migrate_run, conninfo, done, data, err);
}

enum err_code
migrate_start_witness(struct worker *worker, const char *conninfo, migrate_done_fn *done,
                      void *data, struct err *err)
{
    return submit(worker, migrate_run_witness, conninfo, done, data, err);
}
