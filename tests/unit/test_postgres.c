#include "controller/postgres/managed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <json-c/json.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "controller/base/json.h"
#include "controller/loop/child.h"
#include "controller/loop/worker.h"
#include "controller/postgres/inspect.h"
#include "controller/postgres/managed_inner.h"
#include "controller/postgres/migrate.h"
#include "tests/unit/pg_fixture.h"

#define PATIENCE_MS 60000

static struct pg_fixture fixture;
static struct ev_loop *loop;

static PGconn *
connect_as(const char *conninfo)
{
    PGconn *connection = NULL;
    struct err err = { 0 };
    if (pq_connect_blocking(conninfo, &connection, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return connection;
}

static void
run_sql(PGconn *connection, const char *sql)
{
    struct err err = { 0 };
    if (pq_run_blocking(connection, sql, 0, NULL, NULL, &err) != ERR_NONE)
        fail_msg("%s: %s", sql, err.text);
}

static char *
ask(PGconn *connection, const char *sql)
{
    CLEANUP(pq_clearp) PGresult *result = NULL;
    struct err err = { 0 };
    if (pq_run_blocking(connection, sql, 0, NULL, &result, &err) != ERR_NONE)
        fail_msg("%s: %s", sql, err.text);
    return str_dup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
}

/* ---- the server as a child on the loop ---- */

struct seen {
    bool ready;
    bool backoff;
    bool stopped;
    unsigned ready_count;
    char reason[ERR_TEXT_SIZE];
};

static void
on_managed(void *data, enum managed_state state, const struct err *err)
{
    struct seen *seen = data;
    seen->ready = state == MANAGED_READY;
    seen->ready_count += state == MANAGED_READY;
    seen->stopped = state == MANAGED_STOPPED;
    if (state == MANAGED_BACKOFF) {
        seen->backoff = true;
        (void)snprintf(seen->reason, sizeof seen->reason, "%s", err->text);
    }
}

static struct managed *
open_managed(struct seen *seen)
{
    struct managed *managed = NULL;
    struct err err = { 0 };
    if (managed_open(loop, &fixture.config, on_managed, seen, &managed, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return managed;
}

static void
it_starts_restarts_and_stops(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct managed *managed = open_managed(&seen);
    assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
    pid_t first = managed_pid(managed);
    PGconn *connection = connect_as(fixture.conninfo);
    CLEANUP(freep) char *before = ask(connection, "select pg_postmaster_start_time()");

    /* A crash of one backend ends the whole server (M3), which comes back with another start
     * time: that is what fences the database. */
    CLEANUP(freep) char *pid = ask(connection, "select pg_backend_pid()");
    assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), SIGKILL), 0);
    PQfinish(connection);
    assert_true(pg_fixture_until(loop, &seen.backoff, PATIENCE_MS));
    assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
    assert_int_equal(managed_restarts(managed), 1);
    assert_int_not_equal(managed_pid(managed), first);
    connection = connect_as(fixture.conninfo);
    CLEANUP(freep) char *after = ask(connection, "select pg_postmaster_start_time()");
    assert_string_not_equal(before, after);
    PQfinish(connection);

    managed_stop(managed);
    assert_true(pg_fixture_until(loop, &seen.stopped, PATIENCE_MS));
    assert_int_equal(managed_pid(managed), 0);
    managed_close(managed);
}

static void
it_says_why_it_cannot_start(void **state)
{
    (void)state;
    CLEANUP(freep) char *path = str_printf("%s/conf/custom.conf", fixture.pg);
    static const char wrong[] = "max_connections = many\n";
    struct err err = { 0 };
    assert_int_equal(
        file_write_atomic(path, wrong, sizeof wrong - 1, 0644, (uid_t)-1, (gid_t)-1, &err),
        ERR_NONE);
    struct seen seen = { 0 };
    struct managed *managed = open_managed(&seen);
    assert_true(pg_fixture_until(loop, &seen.backoff, PATIENCE_MS));
    assert_non_null(strstr(seen.reason, "configuration file"));
    assert_int_equal(unlink(path), 0);
    assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
    managed_stop(managed);
    assert_true(pg_fixture_until(loop, &seen.stopped, PATIENCE_MS));
    managed_close(managed);
}

/* An operator may tune, and cannot undo what safety rests on (M2). */
static void
custom_settings_cannot_undo_ours(void **state)
{
    (void)state;
    CLEANUP(freep) char *path = str_printf("%s/conf/custom.conf", fixture.pg);
    static const char text[] = "work_mem = 7MB\nfsync = off\nrestart_after_crash = on\n";
    struct err err = { 0 };
    assert_int_equal(
        file_write_atomic(path, text, sizeof text - 1, 0644, (uid_t)-1, (gid_t)-1, &err), ERR_NONE);
    pg_fixture_start(&fixture);
    PGconn *connection = connect_as(fixture.conninfo);
    CLEANUP(freep)
    char *shown = ask(connection, "select current_setting('work_mem') || ' ' ||"
                                  " current_setting('fsync') || ' ' ||"
                                  " current_setting('restart_after_crash')");
    assert_string_equal(shown, "7MB on off");
    PQfinish(connection);
    pg_fixture_stop(&fixture);
    assert_int_equal(unlink(path), 0);
}

/* A server that was killed is back soon: it does not write out a thousand files one by one, unless
 * the kernel would hide that one of them could not be. */
static void
a_killed_server_is_back_soon(void **state)
{
    (void)state;
    struct utsname name;
    assert_int_equal(uname(&name), 0);
    char *dot;
    unsigned long major = strtoul(name.release, &dot, 10);
    bool new_enough = major > 5 || (major == 5 && strtoul(dot + 1, NULL, 10) >= 8);
    pg_fixture_start(&fixture);
    PGconn *connection = connect_as(fixture.conninfo);
    CLEANUP(freep) char *shown = ask(connection, "show recovery_init_sync_method");
    assert_string_equal(shown, new_enough ? "syncfs" : "fsync");
    PQfinish(connection);
    pg_fixture_stop(&fixture);
}

/* The settings lie in the database that is to be started, so they are kept beside it. */
static void
tuning_is_kept_for_the_next_start(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct managed_tune tune = { .shared_buffers_mb = 17, .connections_max = 33 };
    bool changed = false;
    assert_int_equal(managed_tune(&fixture.config, &tune, &changed, &err), ERR_NONE);
    assert_true(changed);
    assert_int_equal(managed_tune(&fixture.config, &tune, &changed, &err), ERR_NONE);
    assert_false(changed);
    pg_fixture_start(&fixture);
    PGconn *connection = connect_as(fixture.conninfo);
    CLEANUP(freep)
    char *shown = ask(connection, "select current_setting('shared_buffers') || ' ' ||"
                                  " current_setting('max_connections') || ' ' ||"
                                  " current_setting('max_slot_wal_keep_size')");
    assert_string_equal(shown, "17MB 33 2GB");
    PQfinish(connection);
    pg_fixture_stop(&fixture);
    tune = (struct managed_tune){ 0 };
    assert_int_equal(managed_tune(&fixture.config, &tune, &changed, &err), ERR_NONE);
    assert_true(changed);
}

/* The batond that ran it was killed: its postmaster is still there when the next one starts. */
static void
an_old_postmaster_is_waited_for(void **state)
{
    (void)state;
    pid_t middle = fork();
    if (middle == 0) {
        pid_t pid;
        struct err err;
        _exit(managed_start_blocking(&fixture.config, &pid, &err) == ERR_NONE ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(middle, &status, 0), middle); /* its end told the postmaster */
    assert_int_equal(status, 0);
    struct seen seen = { 0 };
    struct managed *managed = open_managed(&seen);
    assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
    assert_false(seen.backoff);
    /* Closed without a stop: the server is killed, and recovers at the next start. */
    managed_close(managed);
    pg_fixture_start(&fixture);
    pg_fixture_stop(&fixture);
}

/* Until what is left is of that kind; asked anew each time. */
static struct managed_old
until_old(enum managed_old_kind kind)
{
    uint64_t until = clock_now_ms() + PATIENCE_MS;
    for (;;) {
        struct managed_old old = managed_find_old(&fixture.config);
        if (old.kind == kind)
            return old;
        assert_true(clock_now_ms() < until);
        (void)poll(NULL, 0, MANAGED_POLL_MS);
    }
}

/* Some rounds of the loop, in which nothing is started. */
static void
it_waits(struct managed *managed)
{
    for (unsigned i = 0; i < 20; i++) {
        ev_run(loop, EVRUN_ONCE);
        assert_int_equal(managed_pid(managed), 0);
    }
}

/* It has ended, but its parent looks away: to PostgreSQL, its pid says that it runs. */
static void
an_old_postmaster_is_waited_for_until_it_is_reaped(void **state)
{
    (void)state;
    int told[2];
    int go[2];
    struct err err = { 0 };
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(go), 0);
    pid_t middle = fork();
    if (middle == 0) {
        pid_t pid;
        char word;
        (void)close(go[1]);
        if (managed_start_blocking(&fixture.config, &pid, &err) != ERR_NONE ||
            write(told[1], &pid, sizeof pid) != sizeof pid || read(go[0], &word, 1) != 0)
            _exit(1);
        _exit(waitpid(pid, NULL, 0) == pid ? 0 : 1);
    }
    (void)close(told[1]);
    (void)close(go[0]);
    pid_t pid;
    assert_int_equal(read(told[0], &pid, sizeof pid), sizeof pid);
    assert_int_equal(managed_find_old(&fixture.config).kind, MANAGED_OLD_RUNS);
    assert_int_equal(kill(pid, SIGKILL), 0);
    struct managed_old old = until_old(MANAGED_OLD_UNREAPED);
    assert_int_equal(old.pid, pid);
    assert_int_equal(old.parent, middle);
    assert_int_equal(managed_old_err(&fixture.config, &old, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "postgresql_unreaped");
    managed_end_old(&fixture.config, &old); /* nobody can */

    struct seen seen = { 0 };
    struct managed *managed = open_managed(&seen);
    it_waits(managed);
    (void)close(go[1]);
    assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
    assert_false(seen.backoff);
    (void)waitpid(middle, NULL, 0); /* unless the loop has */
    (void)close(told[0]);
    managed_stop(managed);
    assert_true(pg_fixture_until(loop, &seen.stopped, PATIENCE_MS));
    managed_close(managed);
}

/* Its processes see the end of a killed postmaster when they next wait; one may never wait. */
static void
what_a_killed_postmaster_left_is_waited_for(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct err err = { 0 };
    struct managed *managed = open_managed(&seen);
    for (unsigned round = 0; round < 2; round++) {
        assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
        PGconn *connection = connect_as(fixture.conninfo);
        pid_t backend = PQbackendPID(connection);
        assert_int_equal(kill(backend, SIGSTOP), 0);
        assert_int_equal(kill(managed_pid(managed), SIGKILL), 0);
        seen.backoff = false;
        assert_true(pg_fixture_until(loop, &seen.backoff, PATIENCE_MS));
        it_waits(managed);
        struct managed_old old = until_old(MANAGED_OLD_BACKENDS);
        assert_int_equal(managed_old_err(&fixture.config, &old, &err), ERR_CONFLICT);
        assert_string_equal(err.slug, "postgresql_remains");
        if (round == 0)
            assert_int_equal(kill(backend, SIGCONT), 0);
        else
            managed_end_old(&fixture.config, &old);
        assert_true(pg_fixture_until(loop, &seen.ready, PATIENCE_MS));
        assert_int_equal(managed_restarts(managed), round + 1); /* no start was in vain */
        PQfinish(connection);
    }
    managed_stop(managed);
    assert_true(pg_fixture_until(loop, &seen.stopped, PATIENCE_MS));
    managed_close(managed);
}

/* In a container that shares our processes, the folder of the same name is another one. */
static bool
sees_nothing_from_a_container(const char *data, const struct stat *owner)
{
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0)
            _exit(errno == EPERM ? 0 : 2); /* not ours to try here */
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", data, "tmpfs", 0, NULL) != 0 ||
            chown(data, owner->st_uid, owner->st_gid) != 0)
            _exit(2);
        _exit(managed_find_old(&fixture.config).kind == MANAGED_OLD_GONE ? 0 : 1);
    }
    int status = -1;
    return waitpid(child, &status, 0) == child && status == 0;
}

static void
the_server_of_a_namesake_is_left_alone(void **state)
{
    (void)state;
    struct stat owner;
    struct err err = { 0 };
    CLEANUP(freep) char *data = str_printf("%s/data", fixture.pg);
    pid_t pid = 0;
    assert_int_equal(stat(data, &owner), 0);
    assert_int_equal(managed_start_blocking(&fixture.config, &pid, &err), ERR_NONE);
    assert_int_equal(managed_find_old(&fixture.config).kind, MANAGED_OLD_RUNS);
    assert_true(sees_nothing_from_a_container(data, &owner));
    assert_int_equal(managed_stop_blocking(&fixture.config, pid, &err), ERR_NONE);
}

static void
stop_works_in_every_state(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct managed *managed = open_managed(&seen);
    managed_stop(managed); /* before the first tick: nothing runs */
    assert_true(pg_fixture_until(loop, &seen.stopped, PATIENCE_MS));
    managed_close(managed);
    seen = (struct seen){ 0 };
    managed = open_managed(&seen);
    while (managed_pid(managed) == 0)
        ev_run(loop, EVRUN_ONCE);
    managed_stop(managed); /* while it starts */
    managed_stop(managed);
    assert_true(pg_fixture_until(loop, &seen.stopped, PATIENCE_MS));
    managed_close(managed);
    managed_close(NULL);
}

static void
root_and_strangers_are_refused(void **state)
{
    (void)state;
    struct managed_config config = fixture.config;
    struct managed *managed = NULL;
    struct err err = { 0 };
    config.run_as = "no-such-user-here";
    assert_int_equal(managed_open(loop, &config, NULL, NULL, &managed, &err), ERR_NOT_FOUND);
    config.run_as = "root";
    assert_int_equal(managed_open(loop, &config, NULL, NULL, &managed, &err), ERR_DENIED);
    if (geteuid() == 0) {
        config.run_as = NULL;
        assert_int_equal(managed_make(&config, &err), ERR_DENIED);
        assert_string_equal(err.slug, "postgresql_as_root");
    }
    config = fixture.config;
    config.folder = "/nowhere";
    assert_int_equal(managed_open(loop, &config, NULL, NULL, &managed, &err), ERR_NOT_FOUND);
    assert_null(managed);
    char socket[200];
    memset(socket, 'x', sizeof socket);
    socket[0] = '/';
    socket[sizeof socket - 1] = '\0';
    config = fixture.config;
    config.socket = socket;
    assert_int_equal(managed_make(&config, &err), ERR_INVALID);
    assert_string_equal(err.slug, "path_too_long");
}

static void
a_folder_nobody_may_pass_is_named(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char folder[] = "/tmp/baton-test-XXXXXX";
    assert_non_null(mkdtemp(folder)); /* 0700, root */
    CLEANUP(freep) char *pg = str_printf("%s/pg", folder);
    CLEANUP(freep) char *socket = str_printf("%s/run", pg);
    struct managed_config config = fixture.config;
    config.folder = pg;
    config.socket = socket;
    struct err err = { 0 };
    assert_int_equal(managed_make(&config, &err), ERR_DENIED);
    assert_non_null(strstr(err.mend, "chmod o+x"));
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
}

/* ---- who may connect ---- */

static enum err_code
try_connect(const char *conninfo, struct err *err)
{
    PGconn *connection = NULL;
    enum err_code code = pq_connect_blocking(conninfo, &connection, err);
    PQfinish(connection);
    return code;
}

static char *
write_file(const char *name, const char *text)
{
    struct err err;
    char *path = str_printf("%s/%s", fixture.folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, &err),
                     ERR_NONE);
    return path;
}

static void
peers_come_by_certificate_only(void **state)
{
    (void)state;
    PGconn *owner = connect_as(fixture.conninfo);
    run_sql(owner, "create database baton");
    run_sql(owner, "create role baton_peers nologin");
    run_sql(owner, "create role baton_writer nologin");
    run_sql(owner, "create role \"baton_n_east-1\" login replication in role baton_peers");
    run_sql(owner, "create role \"baton_n_west-1\" login replication in role baton_peers");
    run_sql(owner, "create role ann login password 'long enough' in role baton_writer");
    run_sql(owner, "create role bob login password 'long enough'");
    PQfinish(owner);
    CLEANUP(freep) char *ca = write_file("ca.crt", fixture.ca.certificate);
    CLEANUP(freep) char *certificate = write_file("node.crt", fixture.node.certificate);
    CLEANUP(freep) char *key = write_file("node.key", fixture.node.key);
    CLEANUP(freep)
    char *tls = str_printf("host=localhost hostaddr=127.0.0.1 port=%u dbname=baton "
                           "sslmode=verify-full sslrootcert=%s",
                           fixture.config.port, ca);
    static const struct {
        const char *extra; /* with %s: certificate and key */
        bool with_certificate;
        bool good;
    } rows[] = {
        { "user=baton_n_east-1", true, true },
        { "user=baton_n_east-1 replication=database", true, true },
        { "user=baton_n_west-1", true, false }, /* the certificate is east-1's */
        { "user=baton_n_east-1", false, false },
        { "user=baton_n_east-1 dbname=postgres", true, false },
        { "user=baton_owner", true, false },
        { "user=ann password='long enough'", false, true },
        { "user=ann password='wrong'", false, false },
        { "user=ann password='long enough' sslmode=disable", false, false },
        { "user=bob password='long enough'", false, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct err err = { 0 };
        CLEANUP(freep)
        char *conninfo = str_printf("%s %s%s%s%s%s", tls, rows[i].extra,
                                    rows[i].with_certificate ? " sslcert=" : " sslcert=/none",
                                    rows[i].with_certificate ? certificate : "",
                                    rows[i].with_certificate ? " sslkey=" : "",
                                    rows[i].with_certificate ? key : "");
        enum err_code code = try_connect(conninfo, &err);
        if ((code == ERR_NONE) != rows[i].good)
            fail_msg("row %zu: %s", i, code == ERR_NONE ? "was let in" : err.text);
    }
    /* By the socket: only the service's users, whoever they say they are. */
    struct err err = { 0 };
    CLEANUP(freep)
    char *socket = str_printf("host=%s port=%u dbname=baton user=ann password='long enough'",
                              fixture.socket, fixture.config.port);
    assert_int_equal(try_connect(socket, &err), ERR_UNAVAILABLE);
    if (geteuid() == 0) {
        CLEANUP(freep) char *output = NULL;
        CLEANUP(freep)
        char *as_owner = str_printf("host=%s port=%u dbname=baton user=baton_owner", fixture.socket,
                                    fixture.config.port);
        const char *argv[] = { "/usr/bin/psql", "-X", as_owner, "-c", "select 1", NULL };
        struct child_options options = { .argv = argv, .run_as = "nobody" };
        assert_int_equal(child_run(&options, &output, &err), ERR_IO);
        options.run_as = "postgres";
        if (child_run(&options, &output, &err) != ERR_NONE)
            fail_msg("%s", err.text);
    }
}

static char *
shown_serial(void)
{
    CLEANUP(freep)
    char *conninfo = str_printf("host=localhost hostaddr=127.0.0.1 port=%u dbname=baton user=ann "
                                "password='long enough' sslmode=require",
                                fixture.config.port);
    struct cert_info info;
    struct err err = { 0 };
    PGconn *connection = connect_as(conninfo);
    X509 *certificate = SSL_get0_peer_certificate(PQsslStruct(connection, "OpenSSL"));
    assert_int_equal(cert_read_x509(certificate, &info, &err), ERR_NONE);
    PQfinish(connection);
    return str_dup(info.serial);
}

/* A renewed certificate is shown to new connections without a restart. Uses role ann of before. */
static void
renewed_certificates_need_no_restart(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct cert_info info;
    CLEANUP(freep) char *csr = NULL;
    CLEANUP(freep) char *renewed = NULL;
    CLEANUP(freep) char *before = shown_serial();
    struct cert_subject subject = { .node = "east-1", .cluster_id = FIXTURE_CLUSTER_ID };
    assert_int_equal(cert_make_csr(fixture.node.key, "east-1", &csr, &err), ERR_NONE);
    assert_int_equal(cert_sign(&fixture.ca, csr, &subject, &renewed, &err), ERR_NONE);
    assert_int_equal(cert_read(renewed, &info, &err), ERR_NONE);
    assert_string_not_equal(before, info.serial);
    assert_int_equal(managed_install_tls(&fixture.config, fixture.ca.certificate, renewed,
                                         fixture.node.key, &err),
                     ERR_NONE);
    assert_int_equal(kill(fixture.pid, SIGHUP), 0);
    uint64_t until = clock_now_ms() + PATIENCE_MS;
    for (bool shown = false; !shown;) { /* a reload is a signal */
        CLEANUP(freep) char *now = shown_serial();
        shown = strcmp(now, info.serial) == 0;
        assert_true(shown || clock_now_ms() < until);
    }
}

/* ---- migrations ---- */

static PGconn *
fresh_database(const char *name)
{
    PGconn *owner = connect_as(fixture.conninfo);
    CLEANUP(freep)
    char *drop = str_printf("drop database if exists %s with (force)", name);
    CLEANUP(freep)
    char *create = str_printf("create database %s encoding UTF8 template template0", name);
    run_sql(owner, drop);
    run_sql(owner, create);
    PQfinish(owner);
    CLEANUP(freep)
    char *conninfo = str_printf("host=%s port=%u user=" MANAGED_OWNER " dbname=%s", fixture.socket,
                                fixture.config.port, name);
    return connect_as(conninfo);
}

static void
migrations_run_once(void **state)
{
    (void)state;
    PGconn *connection = fresh_database("m1");
    struct err err = { 0 };
    unsigned version = 77;
    unsigned applied = 0;
    assert_int_equal(migrate_version(connection, &version, &err), ERR_NONE);
    assert_int_equal(version, 0);
    if (migrate_run(connection, &applied, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_true(applied >= 1);
    assert_int_equal(migrate_version(connection, &version, &err), ERR_NONE);
    assert_int_equal(version, migrate_newest());
    assert_int_equal(migrate_run(connection, &applied, &err), ERR_NONE);
    assert_int_equal(applied, 0);
    PQfinish(connection);
}

static void
a_newer_or_other_schema_is_refused(void **state)
{
    (void)state;
    PGconn *connection = fresh_database("m2");
    struct err err = { 0 };
    if (migrate_run(connection, NULL, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    run_sql(connection, "insert into local.migration (version, name, checksum)"
                        " values (9999, 'future', repeat('a', 64))");
    assert_int_equal(migrate_run(connection, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "schema_newer");
    assert_non_null(strstr(err.text, "9999 (future)"));
    run_sql(connection, "delete from local.migration where version = 9999");
    run_sql(connection, "update local.migration set checksum = repeat('b', 64) where version = 1");
    assert_int_equal(migrate_run(connection, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "schema_changed");
    assert_non_null(err.mend[0] != '\0' ? err.mend : NULL);
    /* The lock is free again. */
    CLEANUP(freep)
    char *locks = ask(connection, "select count(*) from pg_locks where locktype = 'advisory'");
    assert_string_equal(locks, "0");
    PQfinish(connection);
}

/* A migration that fails leaves nothing of itself. */
static void
a_failed_migration_leaves_nothing(void **state)
{
    (void)state;
    PGconn *connection = fresh_database("m3");
    struct err err = { 0 };
    run_sql(connection, "create schema shared"); /* in the way */
    assert_int_not_equal(migrate_run(connection, NULL, &err), ERR_NONE);
    assert_true(str_starts(err.text, "migration "));
    unsigned version = 77;
    assert_int_equal(migrate_version(connection, &version, &err), ERR_NONE);
    assert_int_equal(version, 0);
    run_sql(connection, "drop schema shared");
    if (migrate_run(connection, NULL, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    PQfinish(connection);
}

struct migrated {
    bool done;
    unsigned applied;
    struct err err;
};

static void
on_migrated(void *data, unsigned applied, const struct err *err)
{
    struct migrated *migrated = data;
    migrated->done = true;
    migrated->applied = applied;
    if (err != NULL)
        migrated->err = *err;
}

static void
migrations_run_beside_the_loop(void **state)
{
    (void)state;
    PQfinish(fresh_database("m4"));
    struct worker *worker = NULL;
    struct err err = { 0 };
    assert_int_equal(worker_open(loop, &worker, &err), ERR_NONE);
    CLEANUP(freep)
    char *conninfo = str_printf("host=%s port=%u user=" MANAGED_OWNER " dbname=m4", fixture.socket,
                                fixture.config.port);
    struct migrated good = { 0 };
    struct migrated bad = { 0 };
    assert_int_equal(migrate_start(worker, conninfo, on_migrated, &good, &err), ERR_NONE);
    assert_int_equal(
        migrate_start(worker, "host=/nowhere user=x dbname=x", on_migrated, &bad, &err), ERR_NONE);
    assert_true(pg_fixture_until(loop, &good.done, PATIENCE_MS));
    assert_true(pg_fixture_until(loop, &bad.done, PATIENCE_MS));
    assert_int_equal(good.err.code, ERR_NONE);
    assert_true(good.applied >= 1);
    assert_int_equal(bad.err.code, ERR_UNAVAILABLE);
    worker_close(worker);
}

/* ---- checks ---- */

static void
print_failures(const struct inspect_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        if (report->list[i].state != INSPECT_OK)
            print_message("%s: %s (%s)\n", report->list[i].name, report->list[i].text,
                          report->list[i].mend);
    }
}

static void
our_own_server_is_fit(void **state)
{
    (void)state;
    PGconn *connection = fresh_database("m5");
    struct err err = { 0 };
    struct inspect_report report;
    assert_int_equal(migrate_run(connection, NULL, &err), ERR_NONE);
    assert_int_equal(inspect_blocking(connection, INSPECT_ADMIN, 20, &report, &err), ERR_NONE);
    print_failures(&report);
    assert_int_equal(report.failed, 0);
    assert_int_equal(report.warned, 0);
    assert_int_equal(inspect_require(&report, &err), ERR_NONE);
    PQfinish(connection);
    CLEANUP(freep)
    char *conninfo =
        str_printf("host=%s port=%u user=baton dbname=m5", fixture.socket, fixture.config.port);
    connection = connect_as(conninfo);
    assert_int_equal(inspect_blocking(connection, INSPECT_DAEMON, 20, &report, &err), ERR_NONE);
    print_failures(&report);
    assert_int_equal(report.failed, 0);
    assert_int_equal(report.warned, 0);
    PQfinish(connection);
}

static const struct inspect_check *
find(const struct inspect_report *report, const char *name)
{
    for (size_t i = 0; i < report->count; i++) {
        if (strcmp(report->list[i].name, name) == 0)
            return &report->list[i];
    }
    fail_msg("no check '%s'", name);
    return NULL;
}

/* Each mend is a statement that really mends: it is run, and the check passes. */
static void
each_wrong_setting_is_named_with_its_mend(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *wrong;
        enum inspect_state state;
    } rows[] = {
        { "fsync", "off", INSPECT_FAIL },
        { "full_page_writes", "off", INSPECT_FAIL },
        { "default_transaction_read_only", "on", INSPECT_FAIL },
        { "session_replication_role", "replica", INSPECT_FAIL },
        { "synchronous_commit", "on", INSPECT_WARN },
        { "password_encryption", "md5", INSPECT_WARN },
        { "default_transaction_isolation", "serializable", INSPECT_WARN },
        { "restart_after_crash", "on", INSPECT_WARN },
        { "wal_retrieve_retry_interval", "5000", INSPECT_WARN },
        { "wal_sender_timeout", "0", INSPECT_WARN },
        { "synchronous_standby_names", "somebody_else", INSPECT_FAIL },
        { "max_slot_wal_keep_size", "-1", INSPECT_WARN },
    };
    PGconn *connection = connect_as(fixture.conninfo);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct inspect_report report;
        struct err err = { 0 };
        CLEANUP(freep) char *full = str_printf("pg.%s", rows[i].name);
        for (unsigned round = 0; round < 2; round++) {
            char sql[INSPECT_MEND_SIZE];
            if (round == 0) {
                (void)snprintf(sql, sizeof sql, "alter system set %s = '%s'", rows[i].name,
                               rows[i].wrong);
            } else {
                const struct inspect_check *check = find(&report, full);
                assert_int_equal(check->state, rows[i].state);
                assert_non_null(strstr(check->text, rows[i].wrong));
                (void)snprintf(sql, sizeof sql, "%s", check->mend);
                char *end = strchr(sql, ';');
                assert_non_null(end);
                *end = '\0';
                run_sql(connection, "set default_transaction_read_only = off");
            }
            run_sql(connection, sql);
            run_sql(connection, "select pg_reload_conf()");
            /* A reload is a signal: until a new session sees it. */
            uint64_t until = clock_now_ms() + PATIENCE_MS;
            enum inspect_state want = round == 0 ? rows[i].state : INSPECT_OK;
            do {
                PGconn *other = connect_as(fixture.conninfo);
                assert_int_equal(inspect_blocking(other, INSPECT_ADMIN, 3, &report, &err),
                                 ERR_NONE);
                PQfinish(other);
            } while (find(&report, full)->state != want && clock_now_ms() < until);
            assert_int_equal(find(&report, full)->state, want);
        }
        CLEANUP(freep) char *reset = str_printf("alter system reset %s", rows[i].name);
        run_sql(connection, reset);
    }
    run_sql(connection, "select pg_reload_conf()");
    PQfinish(connection);
}

static void
look_as_daemon(const char *database, struct inspect_report *report)
{
    struct err err = { 0 };
    CLEANUP(freep)
    char *conninfo = str_printf("host=%s port=%u user=baton dbname=%s", fixture.socket,
                                fixture.config.port, database);
    PGconn *connection = connect_as(conninfo);
    if (inspect_blocking(connection, INSPECT_DAEMON, 3, report, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    PQfinish(connection);
}

/* The same for rights, and for what the migrations made: each mend is run as the owner. */
static void
each_missing_right_is_named_with_its_mend(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *harm;
        enum inspect_state state;
    } rows[] = {
        { "pg.alter_system",
          "revoke alter system on parameter synchronous_standby_names from baton", INSPECT_FAIL },
        { "pg.reload", "revoke execute on function pg_reload_conf() from baton", INSPECT_FAIL },
        { "pg.schema_local", "revoke usage on schema local from baton", INSPECT_FAIL },
        { "pg.schema_shared", "revoke usage on schema shared from baton", INSPECT_FAIL },
        { "pg.no_superuser", "alter role baton superuser", INSPECT_FAIL },
        { "pg.triggers", "alter table shared.log disable trigger log_insert", INSPECT_FAIL },
        { "pg.triggers", "alter table shared.log enable trigger log_insert", INSPECT_FAIL },
        { "pg.triggers", "alter table shared.config disable trigger config_made", INSPECT_FAIL },
        { "pg.triggers", "alter table shared.log enable always trigger log_immutable",
          INSPECT_FAIL },
        { "pg.triggers", "alter table local.node enable trigger log_config", INSPECT_FAIL },
        { "pg.publication", "alter publication baton add table shared.config", INSPECT_FAIL },
        { "pg.publication", "drop publication baton", INSPECT_FAIL },
        { "pg.statement_timeout", "alter role baton set statement_timeout = '1s'", INSPECT_WARN },
        { "pg.idle_session_timeout", "alter role baton set idle_session_timeout = '1h'",
          INSPECT_WARN },
    };
    PGconn *owner = fresh_database("m6");
    struct err err = { 0 };
    assert_int_equal(migrate_run(owner, NULL, &err), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct inspect_report report;
        run_sql(owner, rows[i].harm);
        look_as_daemon("m6", &report);
        const struct inspect_check *check = find(&report, rows[i].name);
        assert_int_equal(check->state, rows[i].state);
        CLEANUP(freep) char *sql = str_dup(check->mend);
        char *person = strstr(sql, "; then");
        if (person != NULL)
            *person = '\0';
        run_sql(owner, sql);
        look_as_daemon("m6", &report);
        if (report.failed + report.warned > 0) {
            print_failures(&report);
            fail_msg("%s does not mend %s", sql, rows[i].harm);
        }
    }
    PQfinish(owner);
}

static void
an_owner_without_its_rights_is_named(void **state)
{
    (void)state;
    static const char text[] = "{\"owner\":false,\"checkpoint\":false}";
    CLEANUP(json_putp) struct json_object *facts = NULL;
    struct err err = { 0 };
    struct inspect_report report;
    assert_int_equal(json_read(text, sizeof text - 1, &facts, &err), ERR_NONE);
    inspect_judge(facts, INSPECT_DAEMON, 3, &report);
    assert_string_equal(find(&report, "pg.owner")->mend, "ALTER ROLE baton_owner SUPERUSER LOGIN");
    assert_string_equal(find(&report, "pg.checkpoint")->mend, "GRANT pg_checkpoint TO baton_owner");
}

static void
unknown_is_never_good(void **state)
{
    (void)state;
    static const char *const facts[] = { "null", "{}", "[]", "{\"settings\":7}",
                                         "{\"settings\":{\"fsync\":null,\"wal_level\":3}}" };
    for (size_t i = 0; i < ARRAY_COUNT(facts); i++) {
        CLEANUP(json_putp) struct json_object *object = NULL;
        struct err err = { 0 };
        assert_int_equal(json_read(facts[i], strlen(facts[i]), &object, &err), ERR_NONE);
        for (enum inspect_role role = INSPECT_ADMIN; role <= INSPECT_DAEMON; role++) {
            struct inspect_report report;
            inspect_judge(object, role, 3, &report);
            assert_true(report.count >= 20);
            assert_int_equal(report.failed + report.warned, report.count);
            for (size_t at = 0; at < report.count; at++) {
                assert_true(report.list[at].text[0] != '\0');
                assert_true(report.list[at].mend[0] != '\0');
            }
            assert_int_equal(inspect_require(&report, &err), ERR_CONFLICT);
            assert_string_equal(err.slug, "database_unfit");
        }
    }
}

static void
more_nodes_need_more_slots(void **state)
{
    (void)state;
    static const char text[] = "{\"settings\":{\"max_wal_senders\":\"10\","
                               "\"max_replication_slots\":\"10\"}}";
    CLEANUP(json_putp) struct json_object *facts = NULL;
    struct err err = { 0 };
    struct inspect_report report;
    assert_int_equal(json_read(text, sizeof text - 1, &facts, &err), ERR_NONE);
    inspect_judge(facts, INSPECT_ADMIN, 2, &report);
    assert_int_equal(find(&report, "pg.max_replication_slots")->state, INSPECT_OK);
    inspect_judge(facts, INSPECT_ADMIN, 3, &report);
    assert_int_equal(find(&report, "pg.max_wal_senders")->state, INSPECT_OK);
    assert_int_equal(find(&report, "pg.max_replication_slots")->state, INSPECT_FAIL);
    assert_string_equal(find(&report, "pg.max_replication_slots")->mend,
                        "ALTER SYSTEM SET max_replication_slots = '11'; then restart PostgreSQL");
}

static int
make(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    loop = ev_default_loop(EVFLAG_AUTO);
    pg_fixture_make(&fixture);
    return 0;
}

static int
make_started(void **state)
{
    (void)state;
    pg_fixture_start(&fixture);
    return 0;
}

static int
drop(void **state)
{
    (void)state;
    pg_fixture_remove(&fixture);
    ev_loop_destroy(loop);
    return 0;
}

static int
stay(void **state)
{
    (void)state;
    return 0;
}

int
main(void)
{
    const struct CMUnitTest child[] = {
        cmocka_unit_test(root_and_strangers_are_refused),
        cmocka_unit_test(a_folder_nobody_may_pass_is_named),
        cmocka_unit_test(it_starts_restarts_and_stops),
        cmocka_unit_test(it_says_why_it_cannot_start),
        cmocka_unit_test(custom_settings_cannot_undo_ours),
        cmocka_unit_test(a_killed_server_is_back_soon),
        cmocka_unit_test(tuning_is_kept_for_the_next_start),
        cmocka_unit_test(an_old_postmaster_is_waited_for),
        cmocka_unit_test(an_old_postmaster_is_waited_for_until_it_is_reaped),
        cmocka_unit_test(what_a_killed_postmaster_left_is_waited_for),
        cmocka_unit_test(the_server_of_a_namesake_is_left_alone),
        cmocka_unit_test(stop_works_in_every_state),
    };
    const struct CMUnitTest server[] = {
        cmocka_unit_test(peers_come_by_certificate_only),
        cmocka_unit_test(renewed_certificates_need_no_restart),
        cmocka_unit_test(migrations_run_once),
        cmocka_unit_test(a_newer_or_other_schema_is_refused),
        cmocka_unit_test(a_failed_migration_leaves_nothing),
        cmocka_unit_test(migrations_run_beside_the_loop),
        cmocka_unit_test(our_own_server_is_fit),
        cmocka_unit_test(each_wrong_setting_is_named_with_its_mend),
        cmocka_unit_test(each_missing_right_is_named_with_its_mend),
        cmocka_unit_test(an_owner_without_its_rights_is_named),
        cmocka_unit_test(unknown_is_never_good),
        cmocka_unit_test(more_nodes_need_more_slots),
    };
    int failed = cmocka_run_group_tests(child, make, stay);
    return failed + cmocka_run_group_tests(server, make_started, drop);
}
