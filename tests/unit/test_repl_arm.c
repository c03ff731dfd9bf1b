#include "replication/repl_arm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>

#include "controller/loop/pq.h"
#include "tests/unit/daemon_world.h"

static struct daemon_world world;
static struct pq *ctl;
static struct repl_port port;
static struct repl_names known;

/* ---- the port: our database and the loop ---- */

struct query {
    repl_result_fn *done;
    void *context;
};

static void
on_result(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct query query = *(struct query *)data;
    (void)warned;
    free(data);
    query.done(query.context, result, err);
}

static void
port_query(void *data, const char *sql, size_t count, const char *const *values,
           repl_result_fn *done, void *context)
{
    struct query *query = mem_zero(1, sizeof *query);
    (void)data;
    *query = (struct query){ .done = done, .context = context };
    (void)pq_query(ctl, sql, count, values, on_result, query);
}

struct later {
    ev_timer timer;
    repl_timer_fn *done;
    void *context;
};

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct later *later = (struct later *)timer;
    (void)revents;
    ev_timer_stop(loop, timer);
    later->done(later->context);
    free(later);
}

static void
port_after(void *data, unsigned ms, repl_timer_fn *done, void *context)
{
    struct later *later = mem_zero(1, sizeof *later);
    (void)data;
    later->done = done;
    later->context = context;
    ev_timer_init(&later->timer, on_timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(world.loop, &later->timer);
}

static void
on_state(void *data, enum pq_state state, const struct err *err)
{
    (void)err;
    *(bool *)data = state == PQ_READY;
}

/* ---- arming ---- */

struct arming {
    struct repl_arm *arm; /* until it is done */
    bool done;
    struct err err;
};

static void
on_armed(void *data, const struct err *err)
{
    struct arming *arming = data;
    arming->done = true;
    arming->err = err == NULL ? (struct err){ .code = ERR_NONE } : *err;
}

static bool
is_done(void *data)
{
    return ((struct arming *)data)->done;
}

static void
arm(struct arming *arming, const char *standby)
{
    struct quorum_set set = { .k = standby == NULL ? 0 : 1 };
    *arming = (struct arming){ 0 };
    assert_int_equal(quorum_add(&set, "east-1", NULL), ERR_NONE);
    if (standby != NULL)
        assert_int_equal(quorum_add(&set, standby, NULL), ERR_NONE);
    arming->arm = repl_arm_start(&port, "east-1", NULL, 0, false, &set, &known, on_armed, arming);
}

static void
arm_and_wait(const char *standby)
{
    struct arming arming;
    arm(&arming, standby);
    assert_true(world_until(&world, is_done, &arming));
    assert_int_equal(arming.err.code, ERR_NONE);
}

static pid_t
checkpointer(void)
{
    return (pid_t)strtol(
        world_sql(&world, "select pid from pg_stat_activity where backend_type = 'checkpointer'"),
        NULL, 10);
}

static pid_t
postmaster(void)
{
    const char *sql = "select split_part(pg_read_file('postmaster.pid'), E'\n', 1)";
    return (pid_t)strtol(world_sql(&world, sql), NULL, 10);
}

static bool
is_shown(void *data)
{
    return strstr(world_sql(&world, "show synchronous_standby_names"), data) != NULL;
}

static bool
is_exactly(void *data)
{
    return strcmp(world_sql(&world, "show synchronous_standby_names"), data) == 0;
}

/* Each session learns of a reload by itself: that of this test may do so after the one that armed.
 */
static void
assert_shown(char *names)
{
    assert_true(world_until(&world, is_exactly, names));
}

static bool
waits_for_the_checkpointer(void *data)
{
    (void)data;
    return strcmp(world_sql(&world, "select count(*) from pg_stat_activity where state = 'active'"
                                    " and query like '%names_settle%' and pid <> pg_backend_pid()"),
                  "1") == 0;
}

static bool
somebody_waits(void *data)
{
    (void)data;
    return strcmp(world_sql(&world, "select count(*) from pg_stat_activity"
                                    " where wait_event = 'SyncRep'"),
                  "1") == 0;
}

/* A write as anybody's session would make it; its COMMIT waits, or returns. */
static PGconn *
begin_write(void)
{
    PGconn *writer = PQconnectdb(world.conninfo);
    assert_int_equal(PQstatus(writer), CONNECTION_OK);
    PQclear(PQexec(writer, "set synchronous_commit = on"));
    assert_int_equal(PQsendQuery(writer, "select shared.write('[{\"author\":\"anna\",\"changes\":"
                                         "[{\"key\":\"app/x\",\"value\":1}]}]')"),
                     1);
    return writer;
}

static ExecStatusType
finish_write(PGconn *writer)
{
    PGresult *result = PQgetResult(writer);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    PQfinish(writer);
    return status;
}

/* I4: that the names are shown proves nothing while the checkpointer has not seen them. */
static void
first_names_are_in_force_when_the_checkpointer_has_seen_them(void **state)
{
    struct arming arming;
    pid_t pid = checkpointer();
    (void)state;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    arm(&arming, "west-1");
    assert_true(world_until(&world, is_shown, "west-1"));
    assert_int_equal(finish_write(begin_write()), PGRES_TUPLES_OK); /* acknowledged by nobody */
    assert_true(world_until(&world, waits_for_the_checkpointer, NULL));
    assert_false(arming.done);
    assert_false(known.settled);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_true(world_until(&world, is_done, &arming));
    assert_int_equal(arming.err.code, ERR_NONE);
    assert_true(known.settled);

    PGconn *writer = begin_write();
    assert_true(world_until(&world, somebody_waits, NULL));
    (void)world_sql(&world, "select local.waiters_cancel()");
    (void)finish_write(writer);
}

/* A promotion has no time for a checkpoint: other names for those that are in force need none. */
static void
other_names_need_no_checkpoint(void **state)
{
    pid_t pid = checkpointer();
    (void)state;
    assert_true(known.settled);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    arm_and_wait("east-2");
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_shown("ANY 1 (\"east-2\")");
    PGconn *writer = begin_write();
    assert_true(world_until(&world, somebody_waits, NULL));
    (void)world_sql(&world, "select local.waiters_cancel()");
    (void)finish_write(writer);
}

static bool
is_changing(void *data)
{
    (void)data;
    return known.changing;
}

static char *
load_time(void)
{
    return str_dup(world_sql(&world, "select pg_conf_load_time()::text"));
}

static bool
is_reloaded(void *before)
{
    CLEANUP(freep) char *now = load_time();
    return strcmp(now, before) != 0;
}

/* Nor has it time for a reload that changes nothing, unless one before it was broken off. */
static void
names_in_force_need_no_reload(void **state)
{
    (void)state;
    assert_true(known.settled);
    CLEANUP(freep) char *before = load_time();
    arm_and_wait("east-2");
    CLEANUP(freep) char *after = load_time();
    assert_string_equal(after, before);

    struct arming arming;
    pid_t pid = postmaster();
    assert_int_equal(kill(pid, SIGSTOP), 0); /* nobody reloads before it is broken off */
    arm(&arming, "west-1");
    assert_true(world_until(&world, is_changing, NULL));
    repl_arm_cancel(arming.arm);
    assert_int_equal(kill(pid, SIGCONT), 0);
    arm_and_wait("east-2");
    assert_false(known.changing);
    assert_true(world_until(&world, is_reloaded, before));
    assert_shown("ANY 1 (\"east-2\")");
}

static void
go_on(void *context)
{
    assert_int_equal(kill(*(pid_t *)context, SIGCONT), 0);
}

/* On a busy machine it is not given up because the postmaster comes to it late. */
static void
a_reload_may_take_its_time(void **state)
{
    struct arming arming;
    static pid_t pid; /* the timer may outlive a test that failed */
    (void)state;
    pid = postmaster();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    arm(&arming, "west-1");
    port_after(NULL, 1500, go_on, &pid);
    assert_true(world_until(&world, is_done, &arming));
    assert_int_equal(arming.err.code, ERR_NONE);
    assert_shown("ANY 1 (\"west-1\")");
    arm_and_wait("east-2");
}

static void
no_names_settle_nothing(void **state)
{
    (void)state;
    arm_and_wait(NULL);
    assert_false(known.settled);
    assert_shown("");
    arm_and_wait("west-1");
    assert_true(known.settled);
    arm_and_wait(NULL);
}

/* ---- slots ---- */

/* A session with a transaction that has a number, which a new slot has to wait for. */
static PGconn *
begin_transaction(char number[32])
{
    PGconn *session = PQconnectdb(world.conninfo);
    assert_int_equal(PQstatus(session), CONNECTION_OK);
    PQclear(PQexec(session, "begin"));
    PGresult *result = PQexec(session, "select txid_current()");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    (void)snprintf(number, 32, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return session;
}

static void
end_transaction(PGconn *session)
{
    PQclear(PQexec(session, "commit"));
    PQfinish(session);
}

static bool
is_waited_for(void *number)
{
    CLEANUP(freep)
    char *sql = str_printf("select count(*) from pg_locks where locktype = 'transactionid' and not "
                           "granted and transactionid::text = '%s'",
                           (const char *)number);
    return strcmp(world_sql(&world, sql), "1") == 0;
}

/* PostgreSQL 15 ends the making of a slot with an error of its own ("snapshot reference is not
 * owned by resource owner") when a catalog was changed at the wrong moment. That is no reason to
 * end a promotion. */
static void
a_slot_is_made_though_a_catalog_changes_meanwhile(void **state)
{
    static const char *const members[] = { "east-1", "west-1" };
    char first[32], second[32];
    (void)state;
    for (int remake = 0; remake < 2; remake++) {
        struct arming arming = { 0 };
        PGconn *before = begin_transaction(first);
        arming.arm = repl_arm_start(&port, "east-1", members, ARRAY_COUNT(members), remake == 1,
                                    NULL, &known, on_armed, &arming);
        assert_true(world_until(&world, is_waited_for, first));
        PGconn *during = begin_transaction(second);
        end_transaction(before);
        assert_true(world_until(&world, is_waited_for, second));
        (void)world_sql(&world, "create table local.moment()");
        end_transaction(during);
        assert_true(world_until(&world, is_done, &arming));
        if (arming.err.code != ERR_NONE)
            fail_msg("%s", arming.err.text);
        assert_string_equal(world_sql(&world, "select string_agg(slot_name, ' ') from "
                                              "pg_replication_slots where not active"),
                            "baton_west_1");
        (void)world_sql(&world, "drop table local.moment");
    }
    (void)world_sql(&world, "select pg_drop_replication_slot('baton_west_1')");
}

static int
set_up(void **state)
{
    static bool ready;
    static const char *const setup[] = { "set synchronous_commit = local" };
    (void)state;
    world_make(&world);
    struct pq_options options = { .loop = world.loop,
                                  .name = "test",
                                  .conninfo = world.conninfo,
                                  .setup = setup,
                                  .setup_count = 1,
                                  .on_state = on_state,
                                  .data = &ready };
    pg_fixture_must(pq_open(&options, &ctl, &world.err), &world.err, "pq_open");
    port = (struct repl_port){ .query = port_query, .after = port_after };
    while (!ready)
        (void)pg_fixture_until(world.loop, &ready, 100);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pq_close(ctl);
    world_remove(&world);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_names_are_in_force_when_the_checkpointer_has_seen_them),
        cmocka_unit_test(other_names_need_no_checkpoint),
        cmocka_unit_test(names_in_force_need_no_reload),
        cmocka_unit_test(a_reload_may_take_its_time),
        cmocka_unit_test(no_names_settle_nothing),
        cmocka_unit_test(a_slot_is_made_though_a_catalog_changes_meanwhile),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
