#include "controller/daemon/setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>

#include "controller/base/json.h"
#include "controller/daemon/home.h"
#include "controller/loop/password.h"
#include "tests/unit/pg_fixture.h"

static char folder[64];
static char data[96];

struct steps {
    unsigned count;
    unsigned signal_at; /* 0: never */
    char last[256];
};

static void
on_step(void *opaque, const char *text)
{
    struct steps *steps = opaque;
    (void)snprintf(steps->last, sizeof steps->last, "%s", text);
    if (++steps->count == steps->signal_at)
        (void)raise(SIGINT); /* what Ctrl-C does */
}

static struct setup_init
sample(struct steps *steps)
{
    return (struct setup_init){
        .node = { .folder = data,
                  .node = "east-1",
                  .listen = "127.0.0.97:21443",
                  .pg_port = pg_fixture_port(),
                  .say = on_step,
                  .data = steps },
        .cluster = "demo",
        .site = "east",
        .admin_password = "correct horse battery",
    };
}

static char *
read_text(const char *name)
{
    struct err err = { 0 };
    CLEANUP(freep) char *path = str_printf("%s/%s", data, name);
    struct buf text = { 0 };
    if (file_read(path, 65536, &text, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return buf_take(&text);
}

static unsigned
mode_of(const char *name)
{
    struct stat status;
    CLEANUP(freep) char *path = str_printf("%s%s", data, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static bool
is_empty(const char *path)
{
    DIR *list = opendir(path);
    assert_non_null(list);
    unsigned count = 0;
    while (readdir(list) != NULL)
        count++;
    (void)closedir(list);
    return count == 2;
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

static void
check_rows(PGconn *connection)
{
    static const struct {
        const char *sql;
        const char *answer;
    } rows[] = {
        { "select string_agg(key, ' ' order by revision) from shared.log",
          "epoch cluster node/east-1 sync/set user/admin" },
        { "select string_agg(distinct epoch || '/' || holder || '/' || txn, ' ') from shared.log",
          "1/east-1/1" },
        { "select (value->>'number') || (value->>'kind') from shared.config where key = 'epoch'",
          "1init" },
        { "select (value->>'address') || ' ' || (value->'pg'->>'dbname') || ' ' ||"
          " (value->>'removed') from shared.config where key = 'node/east-1'",
          "127.0.0.97:21443 baton false" },
        { "select value->'now'->'voters'->>0 from shared.config where key = 'sync/set'", "east-1" },
        { "select value->>'role' from shared.config where key = 'user/admin'", "admin" },
        { "select name || site || is_primary || epoch || epoch_holder from local.position()",
          "east-1eastfalse1east-1" },
        { "select datcollate || pg_encoding_to_char(encoding) from pg_database"
          " where datname = current_database()",
          "CUTF8" },
        { "show data_checksums", "on" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(freep) char *answer = ask(connection, rows[i].sql);
        assert_string_equal(answer, rows[i].answer);
    }
    CLEANUP(freep)
    char *hash =
        ask(connection, "select value->>'hash' from shared.config where key = 'user/admin'");
    assert_true(password_verify("correct horse battery", hash));
    assert_false(password_verify("correct horse", hash));
}

static void
check_certificates(const struct setup_answer *answer)
{
    struct err err = { 0 };
    struct cert_info info;
    CLEANUP(freep) char *ca = read_text("ca.crt");
    CLEANUP(freep) char *ca_key = read_text("ca.key");
    CLEANUP(freep) char *chain = read_text("node.crt");
    CLEANUP(freep) char *key = read_text("node.key");
    assert_int_equal(cert_verify(ca, chain, clock_wall_ms() / 1000, &err), ERR_NONE);
    assert_int_equal(cert_check_key(chain, key, &err), ERR_NONE);
    assert_int_equal(cert_check_key(ca, ca_key, &err), ERR_NONE);
    assert_true(str_ends(chain, ca)); /* who joins finds the CA in the handshake */
    assert_int_equal(cert_read(ca, &info, &err), ERR_NONE);
    char pin[2 * CERT_PIN_SIZE + 1];
    str_hex(pin, info.pin, CERT_PIN_SIZE);
    assert_string_equal(pin, answer->pin);
    assert_string_equal(info.organization, answer->cluster_id);
}

static void
init_makes_a_whole_node(void **state)
{
    (void)state;
    struct steps steps = { 0 };
    struct setup_init init = sample(&steps);
    struct setup_answer answer;
    struct err err = { 0 };
    if (setup_init(&init, &answer, &err) != ERR_NONE)
        fail_msg("%s (%s)", err.text, err.mend);
    assert_string_equal(answer.admin_password, "");
    assert_string_equal(answer.cluster, "demo");
    assert_string_equal(answer.site, "east");
    check_certificates(&answer);
    bool root = geteuid() == 0;
    assert_int_equal(mode_of(""), root ? 0711 : 0700);
    assert_int_equal(mode_of("/ca.key"), 0400);
    assert_int_equal(mode_of("/node.key"), 0400);
    assert_int_equal(mode_of("/node.json"), 0600);
    assert_int_equal(mode_of("/pg/tls/server.key"), 0600);
    assert_int_equal(mode_of("/pg/data"), 0700);

    CLEANUP(home_freep) struct home *home = NULL;
    assert_int_equal(home_load(data, &home, &err), ERR_NONE);
    assert_string_equal(home->cluster_id, answer.cluster_id);
    assert_string_equal(home->advertise, "127.0.0.97:21443");
    assert_string_equal(home->pg.listen, "127.0.0.97");
    CLEANUP(freep) char *pg = home_path(home, "pg");
    CLEANUP(freep) char *conninfo = NULL;
    struct managed_config config = { .folder = pg,
                                     .socket = home->pg.socket,
                                     .listen = home->pg.listen,
                                     .port = home->pg.port,
                                     .run_as = home->pg.run_as };
    pid_t pid = 0;
    assert_int_equal(home_conninfo(home, "baton_owner", &conninfo, &err), ERR_NONE);
    assert_int_equal(managed_start_blocking(&config, &pid, &err), ERR_NONE);
    PGconn *connection = NULL;
    assert_int_equal(pq_connect_blocking(conninfo, &connection, &err), ERR_NONE);
    check_rows(connection);
    PQfinish(connection);
    assert_int_equal(managed_stop_blocking(&config, pid, &err), ERR_NONE);
}

/* Uses the node of the test before. */
static void
a_node_is_never_overwritten(void **state)
{
    (void)state;
    struct steps steps = { 0 };
    struct setup_init init = sample(&steps);
    struct setup_answer answer;
    struct err err = { 0 };
    CLEANUP(freep) char *before = read_text("node.key");
    assert_int_equal(setup_init(&init, &answer, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "not_empty");
    CLEANUP(freep) char *after = read_text("node.key");
    assert_string_equal(before, after);
    assert_int_equal(steps.count, 0);
}

/* Also the node of before. */
static void
renewal_changes_the_certificate_and_not_the_key(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct cert_info old_info;
    struct cert_info new_info;
    CLEANUP(freep) char *key = read_text("node.key");
    CLEANUP(freep) char *before = read_text("node.crt");
    if (setup_renew(data, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    CLEANUP(freep) char *after = read_text("node.crt");
    CLEANUP(freep) char *ca = read_text("ca.crt");
    assert_int_equal(cert_read(before, &old_info, &err), ERR_NONE);
    assert_int_equal(cert_read(after, &new_info, &err), ERR_NONE);
    assert_string_not_equal(old_info.serial, new_info.serial);
    assert_int_equal(cert_check_key(after, key, &err), ERR_NONE);
    assert_int_equal(cert_verify(ca, after, clock_wall_ms() / 1000, &err), ERR_NONE);
    assert_true(str_ends(after, ca));
    assert_int_equal(file_remove_tree(data, &err), ERR_NONE);
}

/* Ctrl-C after each step: what was made is gone, and no PostgreSQL is left. */
static void
an_interrupted_init_leaves_nothing(void **state)
{
    (void)state;
    static const unsigned signal_at[] = { 1, 3, 5 };
    for (size_t i = 0; i < ARRAY_COUNT(signal_at); i++) {
        struct steps steps = { .signal_at = signal_at[i] };
        struct setup_init init = sample(&steps);
        struct setup_answer answer = { 0 };
        struct err err = { 0 };
        bool before = i == 1; /* it was there, and empty */
        if (before)
            assert_int_equal(mkdir(data, 0750), 0);
        assert_int_equal(setup_init(&init, &answer, &err), ERR_CANCELLED);
        assert_int_equal(steps.count, signal_at[i]);
        assert_string_equal(answer.pin, "");
        if (before) {
            assert_true(is_empty(data));
            assert_int_equal(mode_of(""), 0750);
            assert_int_equal(rmdir(data), 0);
        } else {
            assert_false(file_exists(data));
        }
    }
    struct sigaction action;
    assert_int_equal(sigaction(SIGINT, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

static void
bad_input_is_named_and_makes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *cluster;
        const char *site;
        const char *node;
        const char *listen;
        const char *advertise;
        const char *password;
        const char *database;
        const char *text;
    } rows[] = {
        { NULL, "east", "east-1", NULL, "a:1", NULL, NULL, "cluster name '' is missing" },
        { "De mo", "east", "east-1", NULL, "a:1", NULL, NULL, "cluster name 'De mo'" },
        { "demo", "-east", "east-1", NULL, "a:1", NULL, NULL, "site name '-east'" },
        { "demo", "east", "east_1", NULL, "a:1", NULL, NULL, "node name 'east_1'" },
        { "demo", "east", "east-1", "eth0", "a:1", NULL, NULL, "--listen: 'eth0'" },
        { "demo", "east", "east-1", "1.2.3.4:x", "a:1", NULL, NULL, "--listen" },
        { "demo", "east", "east-1", NULL, "a b", NULL, NULL, "'a b' is no address" },
        { "demo", "east", "east-1", NULL, "0.0.0.0", NULL, NULL, "'0.0.0.0' is no address" },
        { "demo", "east", "east-1", NULL, "a:1", "short", NULL, "the password has 5 bytes" },
        { "demo", "east", "east-1", NULL, "a:1", NULL, "dbname=x", "names no host" },
        { "demo", "east", "east-1", NULL, "a:1", NULL, "host=x port=1,2", "the port is no" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct setup_init init = { .node = { .folder = data,
                                             .node = rows[i].node,
                                             .listen = rows[i].listen == NULL ? "127.0.0.99:21443"
                                                                              : rows[i].listen,
                                             .advertise = rows[i].advertise,
                                             .database = rows[i].database },
                                   .cluster = rows[i].cluster,
                                   .site = rows[i].site,
                                   .admin_password = rows[i].password };
        struct setup_answer answer;
        struct err err = { 0 };
        assert_int_equal(setup_init(&init, &answer, &err), ERR_INVALID);
        if (strstr(err.text, rows[i].text) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        assert_false(file_exists(data));
    }
    struct setup_answer answer;
    struct err err = { 0 };
    struct setup_init init = { .node = { .folder = "/nowhere/at/all",
                                         .node = "east-1",
                                         .listen = "127.0.0.99:21443",
                                         .pg_port = pg_fixture_port(),
                                         .advertise = "a:1",
                                         .run_as = "no-such-user-here" },
                               .cluster = "demo",
                               .site = "east" };
    assert_int_equal(setup_init(&init, &answer, &err), ERR_NOT_FOUND);
    init.node.folder = data;
    assert_int_equal(setup_init(&init, &answer, &err), ERR_NOT_FOUND);
    assert_string_equal(err.slug, "user_not_found");
    assert_false(file_exists(data));
}

/* ---- on a server that is not ours ---- */

static struct pg_fixture fixture;

static void
external_server_gets_a_database_or_nothing(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct setup_answer answer;
    pg_fixture_make(&fixture);
    pg_fixture_start(&fixture);
    PGconn *owner = NULL;
    assert_int_equal(pq_connect_blocking(fixture.conninfo, &owner, &err), ERR_NONE);

    /* Interrupted at the last step, and undone. */
    struct steps steps = { .signal_at = 5 };
    struct setup_init init = sample(&steps);
    init.node.database = fixture.conninfo;
    assert_int_equal(setup_init(&init, &answer, &err), ERR_CANCELLED);
    assert_false(file_exists(data));
    static const char left[] = "select (select count(*) from pg_database where datname = 'baton')"
                               " + (select count(*) from pg_roles where rolname like 'baton%')";
    CLEANUP(freep) char *nothing = ask(owner, left);
    assert_string_equal(nothing, "1"); /* baton_owner, who was there before */

    /* Made, and the daemon's role comes in with its own password. */
    steps = (struct steps){ 0 };
    if (setup_init(&init, &answer, &err) != ERR_NONE)
        fail_msg("%s (%s)", err.text, err.mend);
    CLEANUP(home_freep) struct home *home = NULL;
    assert_int_equal(home_load(data, &home, &err), ERR_NONE);
    assert_false(home_managed(home));
    assert_null(strstr(home->database, "user="));
    assert_int_equal(home->pg.port, fixture.config.port);
    CLEANUP(freep) char *conninfo = NULL;
    assert_int_equal(home_conninfo(home, "baton", &conninfo, &err), ERR_NONE);
    PGconn *daemon = NULL;
    assert_int_equal(pq_connect_blocking(conninfo, &daemon, &err), ERR_NONE);
    CLEANUP(freep) char *who = ask(daemon, "select current_user || current_database()");
    assert_string_equal(who, "batonbaton");
    PQfinish(daemon);
    CLEANUP(freep)
    char *scram = ask(owner, "select left(rolpassword, 13) from pg_authid where rolname = 'baton'");
    assert_string_equal(scram, "SCRAM-SHA-256");
    assert_int_equal(mode_of("/db.password"), 0400);

    /* A second node finds the place taken, and takes nothing away. */
    assert_int_equal(file_remove_tree(data, &err), ERR_NONE);
    assert_int_equal(setup_init(&init, &answer, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "database_exists");
    CLEANUP(freep) char *still = ask(owner, left);
    assert_string_equal(still, "6");

    /* A wrong setting is named. */
    assert_int_equal(pq_run_blocking(owner, "drop database baton", 0, NULL, NULL, &err), ERR_NONE);
    assert_int_equal(
        pq_run_blocking(owner, "alter role baton_owner set default_transaction_read_only = on", 0,
                        NULL, NULL, &err),
        ERR_NONE);
    assert_int_equal(setup_init(&init, &answer, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "database_unfit");
    assert_non_null(strstr(err.text, "default_transaction_read_only"));
    assert_non_null(strstr(err.mend, "ALTER SYSTEM SET default_transaction_read_only"));
    PQfinish(owner);
    pg_fixture_remove(&fixture);
}

static int
make(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/baton-test-XXXXXX");
    if (mkdtemp(folder) == NULL || chmod(folder, 0711) != 0)
        return 1;
    (void)snprintf(data, sizeof data, "%s/d", folder);
    return 0;
}

static int
drop(void **state)
{
    (void)state;
    struct err err;
    return file_remove_tree(folder, &err) != ERR_NONE;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_input_is_named_and_makes_nothing),
        cmocka_unit_test(init_makes_a_whole_node),
        cmocka_unit_test(a_node_is_never_overwritten),
        cmocka_unit_test(renewal_changes_the_certificate_and_not_the_key),
        cmocka_unit_test(an_interrupted_init_leaves_nothing),
        cmocka_unit_test(external_server_gets_a_database_or_nothing),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
