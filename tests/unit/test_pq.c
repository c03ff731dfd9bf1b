#include "controller/loop/pq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "controller/loop/pq_inner.h"
#include "tests/unit/pg_fixture.h"

#define PATIENCE_MS 90000

static struct pg_fixture fixture;
static struct ev_loop *loop;

struct answer {
    bool done;
    unsigned count;
    struct err err; /* code ERR_NONE: it was done */
    char value[256];
    char state[8];
    char warning[256];
    bool warned;
    struct pq *pq; /* for pq_warning(), and to close or send from inside */
    bool close;
    uint64_t forget;
    struct answer *next; /* to send to from inside */
};

static void
on_answer(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct answer *answer = data;
    answer->count++;
    answer->done = true;
    answer->warned = warned;
    if (err != NULL)
        answer->err = *err;
    (void)snprintf(answer->state, sizeof answer->state, "%s", pq_sqlstate(result));
    if (answer->next != NULL)
        (void)pq_query(answer->pq, "select 'next'", 0, NULL, on_answer, answer->next);
    if (answer->pq != NULL)
        (void)snprintf(answer->warning, sizeof answer->warning, "%s", pq_warning(answer->pq));
    if (answer->forget != 0)
        pq_forget(answer->pq, answer->forget);
    if (answer->close)
        pq_close(answer->pq);
    if (err == NULL && PQntuples(result) == 1)
        (void)snprintf(answer->value, sizeof answer->value, "%s", PQgetvalue(result, 0, 0));
}

struct states {
    bool ready;
    bool lost;
    unsigned ready_count;
    unsigned lost_count;
    char reason[ERR_TEXT_SIZE];
    char channel[64];
    char payload[64];
    bool notified;
};

static void
on_state(void *data, enum pq_state state, const struct err *err)
{
    struct states *states = data;
    states->ready = state == PQ_READY;
    states->ready_count += state == PQ_READY;
    if (state == PQ_WAITING) {
        states->lost = true;
        states->lost_count++;
        (void)snprintf(states->reason, sizeof states->reason, "%s", err->text);
    }
}

static void
on_notify(void *data, const char *channel, const char *payload)
{
    struct states *states = data;
    (void)snprintf(states->channel, sizeof states->channel, "%s", channel);
    (void)snprintf(states->payload, sizeof states->payload, "%s", payload);
    states->notified = true;
}

static struct pq *
open_pq(struct states *states, const char *conninfo, const char *const *setup, size_t count,
        uint32_t queue_max)
{
    struct pq *pq = NULL;
    struct err err = { 0 };
    struct pq_options options = {
        .loop = loop,
        .name = "test",
        .conninfo = conninfo,
        .setup = setup,
        .setup_count = count,
        .on_state = on_state,
        .on_notify = on_notify,
        .data = states,
        .queue_max = queue_max,
    };
    if (pq_open(&options, &pq, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return pq;
}

static struct pq *
ready_pq(struct states *states)
{
    struct pq *pq = open_pq(states, fixture.conninfo, NULL, 0, 0);
    assert_true(pg_fixture_until(loop, &states->ready, PATIENCE_MS));
    return pq;
}

static void
wait_answer(struct answer *answer)
{
    assert_true(pg_fixture_until(loop, &answer->done, PATIENCE_MS));
    assert_int_equal(answer->count, 1);
}

/* ---- */

static void
queries_before_ready_run_in_order(void **state)
{
    (void)state;
    struct states states = { 0 };
    const char *setup[] = { "set synchronous_commit = local", "set application_name = 'abc'" };
    struct pq *pq = open_pq(&states, fixture.conninfo, setup, 2, 0);
    struct answer one = { .pq = pq };
    struct answer two = { .pq = pq };
    const char *values[] = { "4", NULL };
    (void)pq_query(pq, "select $1::int + 1 || coalesce($2, '-null')", 2, values, on_answer, &one);
    (void)pq_query(pq,
                   "select current_setting('synchronous_commit') || ' ' ||"
                   " current_setting('application_name') || ' ' ||"
                   " current_setting('client_connection_check_interval') || ' ' ||"
                   " current_setting('client_encoding')",
                   0, NULL, on_answer, &two);
    assert_int_equal(one.count, 0);
    assert_int_equal(pq_pending(pq), 2);
    wait_answer(&two);
    assert_int_equal(one.count, 1);
    assert_string_equal(one.value, "5-null");
    assert_string_equal(two.value, "local abc 1s UTF8");
    assert_int_equal(pq_state(pq), PQ_READY);
    assert_int_equal(states.ready_count, 1);
    assert_int_equal(pq_pending(pq), 0);
    assert_non_null(pq_parameter(pq, "server_version"));
    pq_close(pq);
}

static void
errors_keep_the_connection(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    static const struct {
        const char *sql;
        const char *state;
        enum err_code code;
        const char *slug;
        const char *text;
    } rows[] = {
        { "select 1/0", "22012", ERR_INVALID, "value", "division by zero" },
        { "do $$ begin raise exception using errcode='25006', message='fenced: west'; end $$",
          "25006", ERR_FENCED, "fenced", "fenced: west" },
        { "do $$ begin raise exception using errcode='BT006', constraint='key_too_long',"
          " message='key x', hint='shorten it'; end $$",
          "BT006", ERR_LIMIT, "key_too_long", "key x" },
        { "select from nowhere.nothing", "42P01", ERR_INTERNAL, "database", "does not exist" },
        { "do $$ begin perform pg_cancel_backend(pg_backend_pid()); perform pg_sleep(1); end $$",
          "57014", ERR_TIMEOUT, "database_cancelled", "cancel" },
        { "copy (select 1) to stdout", "", ERR_UNKNOWN_OUTCOME, "copy", "COPY" },
        { "", "", ERR_INVALID, "empty_statement", "empty" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct answer answer = { .pq = pq };
        (void)pq_query(pq, rows[i].sql, 0, NULL, on_answer, &answer);
        wait_answer(&answer);
        assert_int_equal(answer.err.code, rows[i].code);
        assert_string_equal(answer.state, rows[i].state);
        assert_string_equal(answer.err.slug, rows[i].slug);
        if (strstr(answer.err.text, rows[i].text) == NULL)
            fail_msg("'%s'", answer.err.text);
        if (i == 2)
            assert_string_equal(answer.err.mend, "shorten it");
    }
    struct answer last = { 0 };
    (void)pq_query(pq, "select 'fine'", 0, NULL, on_answer, &last);
    wait_answer(&last);
    assert_string_equal(last.value, "fine");
    assert_int_equal(states.lost_count, 1); /* by the COPY, which we do not speak */
    pq_close(pq);
}

/* The first error of several statements counts, whatever else came. */
static void
a_script_is_one_answer(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer good = { 0 };
    struct answer bad = { 0 };
    (void)pq_query(pq, "select 1; select 2; select 3", 0, NULL, on_answer, &good);
    (void)pq_query(pq, "select 1; select 1/0; select 3", 0, NULL, on_answer, &bad);
    wait_answer(&good);
    wait_answer(&bad);
    assert_string_equal(good.value, "3");
    assert_string_equal(bad.state, "22012");
    pq_close(pq);
}

static void
warnings_come_with_their_statement(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer next = { 0 };
    struct answer warned = { .pq = pq, .next = &next };
    struct answer noticed = { .pq = pq };
    (void)pq_query(pq, "do $$ begin raise warning 'one'; raise warning 'two'; end $$", 0, NULL,
                   on_answer, &warned);
    (void)pq_query(pq, "do $$ begin raise notice 'three'; end $$", 0, NULL, on_answer, &noticed);
    wait_answer(&next);
    assert_int_equal(warned.err.code, ERR_NONE);
    assert_true(warned.warned);
    /* It was read after the receiver had sent another statement. */
    assert_string_equal(warned.warning, "one; two");
    assert_int_equal(noticed.err.code, ERR_NONE);
    assert_false(noticed.warned);
    assert_string_equal(noticed.warning, "");
    assert_false(next.warned);
    pq_close(pq);
}

/* I4: the wait for a standby is cancelled, and COMMIT says success with a warning. */
/* Returns when the postmaster has begun it, and so is through with any before. */
static void
reload(struct pq *pq)
{
    struct answer before = { 0 };
    struct answer now = { 0 };
    (void)pq_query(pq, "select pg_conf_load_time(), pg_reload_conf()", 0, NULL, on_answer, &before);
    wait_answer(&before);
    do {
        now = (struct answer){ 0 };
        (void)pq_query(pq, "select pg_conf_load_time()", 0, NULL, on_answer, &now);
        wait_answer(&now);
    } while (strcmp(now.value, before.value) == 0);
}

static void
a_commit_that_warns_is_told(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct states other_states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct pq *other = ready_pq(&other_states);
    struct answer made = { 0 };
    struct answer commit = { .pq = pq };
    (void)pq_query(other, "create table if not exists warned(i int)", 0, NULL, on_answer, &made);
    (void)pq_query(other, "alter system set synchronous_standby_names = 'nobody'", 0, NULL, NULL,
                   NULL);
    reload(other);
    reload(other);
    /* a COMMIT waits once the checkpointer has seen the reload, and a checkpoint begins with that;
     * the postmaster is through with signalling it when it has begun the second */
    struct answer seen_there = { 0 };
    (void)pq_query(other, "checkpoint", 0, NULL, on_answer, &seen_there);
    wait_answer(&seen_there);
    (void)pq_query(pq, "set synchronous_commit = on", 0, NULL, NULL, NULL);
    (void)pq_query(pq, "insert into warned values (1)", 0, NULL, on_answer, &commit);
    for (bool waits = false; !waits;) {
        struct answer seen = { 0 };
        (void)pq_query(other,
                       "select count(pg_cancel_backend(pid)) from pg_stat_activity"
                       " where wait_event = 'SyncRep'",
                       0, NULL, on_answer, &seen);
        wait_answer(&seen);
        waits = strcmp(seen.value, "1") == 0;
    }
    wait_answer(&commit);
    assert_int_equal(commit.err.code, ERR_NONE);
    assert_true(commit.warned);
    assert_non_null(strstr(commit.warning, "synchronous replication"));
    struct answer back = { 0 };
    (void)pq_query(other, "alter system reset synchronous_standby_names", 0, NULL, NULL, NULL);
    (void)pq_query(other, "select pg_reload_conf()", 0, NULL, on_answer, &back);
    wait_answer(&back);
    pq_close(other);
    pq_close(pq);
}

static void
notifications_arrive(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct states other_states = { 0 };
    const char *setup[] = { "listen baton_log" };
    struct pq *pq = open_pq(&states, fixture.conninfo, setup, 1, 0);
    assert_true(pg_fixture_until(loop, &states.ready, PATIENCE_MS));
    struct pq *other = ready_pq(&other_states);
    (void)pq_query(other, "select pg_notify('baton_log', '42')", 0, NULL, NULL, NULL);
    assert_true(pg_fixture_until(loop, &states.notified, PATIENCE_MS));
    assert_string_equal(states.channel, "baton_log");
    assert_string_equal(states.payload, "42");
    pq_close(other);
    pq_close(pq);
}

static void
a_lost_connection_tells_sent_from_not_sent(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct states other_states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct pq *other = ready_pq(&other_states);
    struct answer pid = { 0 };
    (void)pq_query(pq, "select pg_backend_pid()", 0, NULL, on_answer, &pid);
    wait_answer(&pid);
    struct answer sent = { 0 };
    struct answer waiting = { 0 };
    (void)pq_query(pq, "select pg_sleep(600)", 0, NULL, on_answer, &sent);
    (void)pq_query(pq, "select 1", 0, NULL, on_answer, &waiting);
    const char *values[] = { pid.value };
    (void)pq_query(other, "select pg_terminate_backend($1::int)", 1, values, NULL, NULL);
    wait_answer(&sent);
    wait_answer(&waiting);
    assert_int_equal(sent.err.code, ERR_UNKNOWN_OUTCOME);
    assert_non_null(strstr(sent.err.text, "terminating connection"));
    assert_int_equal(waiting.err.code, ERR_UNAVAILABLE);
    assert_true(pg_fixture_until(loop, &states.ready, PATIENCE_MS));
    assert_int_equal(states.lost_count, 1);
    struct answer again = { 0 };
    (void)pq_query(pq, "select 'again'", 0, NULL, on_answer, &again);
    wait_answer(&again);
    assert_string_equal(again.value, "again");
    pq_close(other);
    pq_close(pq);
}

static void
a_killed_server_is_lost_and_found(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer sent = { 0 };
    (void)pq_query(pq, "select pg_sleep(600)", 0, NULL, on_answer, &sent);
    assert_int_equal(kill(fixture.pid, SIGQUIT), 0);
    wait_answer(&sent);
    assert_int_equal(sent.err.code, ERR_UNKNOWN_OUTCOME);
    (void)waitpid(fixture.pid, NULL, 0);
    fixture.pid = 0;
    struct answer refused = { 0 };
    (void)pq_query(pq, "select 1", 0, NULL, on_answer, &refused);
    wait_answer(&refused);
    assert_int_equal(refused.err.code, ERR_UNAVAILABLE);
    assert_int_equal(pq_state(pq), PQ_WAITING);
    pg_fixture_start(&fixture);
    assert_true(pg_fixture_until(loop, &states.ready, PATIENCE_MS));
    pq_close(pq);
}

static void
a_deadline_hangs_up_and_the_queue_goes_on(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer slow = { 0 };
    struct answer next = { 0 };
    (void)pq_send(pq, &(struct pq_request){ .sql = "select pg_sleep(600) /* left behind */",
                                            .deadline_ms = 50,
                                            .done = on_answer,
                                            .data = &slow });
    (void)pq_query(pq, "select 'next'", 0, NULL, on_answer, &next);
    wait_answer(&slow);
    assert_int_equal(slow.err.code, ERR_UNKNOWN_OUTCOME);
    assert_string_equal(slow.err.slug, "deadline");
    wait_answer(&next);
    assert_string_equal(next.value, "next");
    /* The server notices that nobody waits for the answer (Q4). */
    for (bool gone = false; !gone;) {
        struct answer left = { 0 };
        (void)pq_query(pq,
                       "select count(*) from pg_stat_activity where query like '%left behind%'"
                       " and pid <> pg_backend_pid()",
                       0, NULL, on_answer, &left);
        wait_answer(&left);
        gone = strcmp(left.value, "0") == 0;
    }
    pq_close(pq);
}

static void
a_kept_deadline_only_tells(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct states other_states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct pq *other = ready_pq(&other_states);
    struct answer locked = { 0 };
    struct answer slow = { 0 };
    struct answer late = { 0 };
    struct answer next = { 0 };
    (void)pq_query(other, "select pg_advisory_lock(7)", 0, NULL, on_answer, &locked);
    wait_answer(&locked);
    (void)pq_send(pq, &(struct pq_request){ .sql = "select pg_advisory_xact_lock(7)",
                                            .deadline_ms = 50,
                                            .keep = true,
                                            .done = on_answer,
                                            .data = &slow });
    (void)pq_send(pq, &(struct pq_request){
                          .sql = "select 1", .deadline_ms = 60, .done = on_answer, .data = &late });
    (void)pq_query(pq, "select 'next'", 0, NULL, on_answer, &next);
    wait_answer(&slow);
    wait_answer(&late);
    assert_int_equal(slow.err.code, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(late.err.code, ERR_TIMEOUT); /* it was never sent */
    assert_int_equal(next.count, 0);
    (void)pq_query(other, "select pg_advisory_unlock(7)", 0, NULL, NULL, NULL);
    wait_answer(&next);
    assert_int_equal(slow.count, 1);
    assert_int_equal(states.lost_count, 0);
    pq_close(other);
    pq_close(pq);
}

static void
a_full_queue_refuses_from_the_loop(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = open_pq(&states, fixture.conninfo, NULL, 0, 2);
    struct answer answers[4] = { 0 };
    for (size_t i = 0; i < 4; i++)
        (void)pq_query(pq, "select 'in'", 0, NULL, on_answer, &answers[i]);
    assert_int_equal(answers[3].count, 0); /* Q1: not from inside */
    for (size_t i = 0; i < 4; i++)
        wait_answer(&answers[i]);
    assert_string_equal(answers[1].value, "in");
    assert_int_equal(answers[2].err.code, ERR_UNAVAILABLE);
    assert_string_equal(answers[2].err.slug, "database_busy");
    pq_close(pq);
}

static void
the_forgotten_hear_nothing(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer flying = { 0 };
    struct answer queued = { 0 };
    struct answer last = { 0 };
    uint64_t one = pq_query(pq, "select 1", 0, NULL, on_answer, &flying);
    uint64_t two = pq_query(pq, "select 2", 0, NULL, on_answer, &queued);
    (void)pq_query(pq, "select 3", 0, NULL, on_answer, &last);
    pq_forget(pq, one);
    pq_forget(pq, two);
    pq_forget(pq, 0);
    pq_forget(pq, 12345);
    wait_answer(&last);
    assert_int_equal(flying.count, 0);
    assert_int_equal(queued.count, 0);
    pq_close(pq);
}

/* One receiver forgets another that would be told in the same breath. */
static void
a_receiver_may_forget_its_neighbour(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = open_pq(&states, "host=/nowhere port=1 user=x dbname=x", NULL, 0, 0);
    struct answer first = { .pq = pq };
    struct answer second = { 0 };
    struct answer third = { 0 };
    (void)pq_query(pq, "select 1", 0, NULL, on_answer, &first);
    first.forget = pq_query(pq, "select 2", 0, NULL, on_answer, &second);
    (void)pq_query(pq, "select 3", 0, NULL, on_answer, &third);
    wait_answer(&third);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 0);
    assert_int_equal(third.err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(states.reason, "/nowhere"));
    pq_close(pq);
}

static void
a_receiver_may_close(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer rest = { 0 };
    struct answer closing = { .pq = pq, .close = true };
    (void)pq_query(pq, "select 'bye'", 0, NULL, on_answer, &closing);
    (void)pq_query(pq, "select 2", 0, NULL, on_answer, &rest);
    wait_answer(&closing);
    assert_string_equal(closing.value, "bye");
    assert_int_equal(rest.count, 1);
    assert_int_equal(rest.err.code, ERR_CANCELLED);
}

static void
close_answers_everybody(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer sent = { 0 };
    struct answer queued = { 0 };
    (void)pq_query(pq, "select pg_sleep(600)", 0, NULL, on_answer, &sent);
    (void)pq_query(pq, "select 1", 0, NULL, on_answer, &queued);
    pq_close(pq);
    assert_int_equal(sent.err.code, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(queued.err.code, ERR_CANCELLED);
    pq_close(NULL);
}

static void
reset_connects_again_and_keeps_the_queue(void **state)
{
    (void)state;
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    struct answer sent = { 0 };
    struct answer queued = { 0 };
    (void)pq_query(pq, "select pg_sleep(600)", 0, NULL, on_answer, &sent);
    (void)pq_query(pq, "select 'kept'", 0, NULL, on_answer, &queued);
    pq_reset(pq);
    assert_int_equal(sent.err.code, ERR_UNKNOWN_OUTCOME);
    wait_answer(&queued);
    assert_string_equal(queued.value, "kept");
    assert_int_equal(states.ready_count, 2);
    pq_close(pq);
}

static void
a_bad_session_setting_is_a_lost_connection(void **state)
{
    (void)state;
    struct states states = { 0 };
    const char *setup[] = { "set nonsense.is = 1", "set work_mem = 'much'" };
    struct pq *pq = open_pq(&states, fixture.conninfo, setup, 2, 0);
    assert_true(pg_fixture_until(loop, &states.lost, PATIENCE_MS));
    assert_non_null(strstr(states.reason, "prepare the session"));
    assert_int_equal(states.ready_count, 0);
    pq_close(pq);
}

/* A host that accepts and says nothing: the attempt has a bound of its own. */
static void
a_silent_server_is_given_up(void **state)
{
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    CLEANUP(freep)
    char *conninfo = str_printf("hostaddr=127.0.0.1 port=%u user=x dbname=x sslmode=disable",
                                ntohs(address.sin_port));
    struct states states = { 0 };
    struct pq *pq = open_pq(&states, conninfo, NULL, 0, 0);
    struct answer answer = { 0 };
    (void)pq_query(pq, "select 1", 0, NULL, on_answer, &answer);
    wait_answer(&answer);
    assert_int_equal(answer.err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(answer.err.text, "no answer within"));
    pq_close(pq);
    (void)close(listener);
}

static void
a_conninfo_needs_an_address(void **state)
{
    (void)state;
    static const char *const bad[] = { "host=db.example.com", "dbname=x", "host='", "nonsense",
                                       "host=127.0.0.1,db.example.com" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct pq *pq = NULL;
        struct err err = { 0 };
        struct pq_options options = { .loop = loop, .name = "test", .conninfo = bad[i] };
        assert_int_equal(pq_open(&options, &pq, &err), ERR_INVALID);
        assert_string_equal(err.slug, "database_address");
        assert_null(pq);
    }
}

static void
resolve_adds_addresses_and_keeps_the_rest(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(freep) char *plain = NULL;
    CLEANUP(freep) char *resolved = NULL;
    char *none = NULL;
    assert_int_equal(pq_resolve("host=/run/x password='it''s\\\\'", &plain, &err), ERR_INVALID);
    assert_int_equal(pq_resolve("host=/run/x password='it\\'s \\\\'", &plain, &err), ERR_NONE);
    assert_string_equal(plain, "password='it\\'s \\\\' host='/run/x'");
    assert_int_equal(pq_resolve("postgresql://me@localhost:5/db", &resolved, &err), ERR_NONE);
    assert_true(strstr(resolved, "hostaddr='127.0.0.1'") != NULL ||
                strstr(resolved, "hostaddr='::1'") != NULL);
    assert_non_null(strstr(resolved, "host='localhost'"));
    assert_int_equal(pq_resolve("host=name.invalid", &none, &err), ERR_UNAVAILABLE);
    assert_null(none);
}

static struct answer
ask_prepared(struct pq *pq, const char *sql, const char *value)
{
    struct answer answer = { 0 };
    (void)pq_send(pq, &(struct pq_request){ .sql = sql,
                                            .count = 1,
                                            .values = &value,
                                            .prepare = true,
                                            .done = on_answer,
                                            .data = &answer });
    wait_answer(&answer);
    assert_int_equal(answer.count, 1);
    return answer;
}

static void
a_prepared_statement_is_read_once_in_each_connection(void **state)
{
    (void)state;
    static const char count[] = "select count(*) from pg_prepared_statements where $1::int > 0";
    static const char share[] = "select 12 / $1::int";
    static const char wrong[] = "select nothing from nowhere where $1 = 1";
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    for (unsigned turn = 0; turn < 2; turn++) {
        assert_string_equal(ask_prepared(pq, count, "1").value, "1");
        assert_string_equal(ask_prepared(pq, share, "4").value, "3");
        assert_string_equal(ask_prepared(pq, share, "6").value, "2");
        assert_string_equal(ask_prepared(pq, share, "0").state, "22012");
        assert_string_equal(ask_prepared(pq, wrong, "1").state, "42P01");
        assert_string_equal(ask_prepared(pq, count, "1").value, "2");
        states.ready = false;
        pq_reset(pq);
        assert_true(pg_fixture_until(loop, &states.ready, PATIENCE_MS));
    }
    pq_close(pq);
}

static void
too_many_prepared_statements_are_sent_as_they_are(void **state)
{
    (void)state;
    static const char *const texts[PQ_PREPARED_MAX + 2] = {
        "select $1 || '0'", "select $1 || '1'",
        "select $1 || '2'", "select $1 || '3'",
        "select $1 || '4'", "select $1 || '5'",
        "select $1 || '6'", "select $1 || '7'",
        "select $1 || '8'", "select count(*)::text || $1 from pg_prepared_statements",
    };
    struct states states = { 0 };
    struct pq *pq = ready_pq(&states);
    for (unsigned i = 0; i < ARRAY_COUNT(texts) - 1; i++) {
        char expected[] = { 'x', (char)('0' + i), '\0' };
        assert_string_equal(ask_prepared(pq, texts[i], "x").value, expected);
    }
    assert_string_equal(ask_prepared(pq, texts[ARRAY_COUNT(texts) - 1], "x").value, "8x");
    pq_close(pq);
}

static void
blocking_use_says_the_same_errors(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    CLEANUP(pq_clearp) PGresult *result = NULL;
    assert_int_equal(pq_connect_blocking(fixture.conninfo, &connection, &err), ERR_NONE);
    const char *values[] = { "7" };
    assert_int_equal(pq_run_blocking(connection, "select $1::int as n, null as nothing", 1, values,
                                     &result, &err),
                     ERR_NONE);
    assert_string_equal(pq_text(result, 0, "n"), "7");
    assert_null(pq_text(result, 0, "nothing"));
    assert_null(pq_text(result, 0, "other"));
    assert_null(pq_text(result, 1, "n"));
    assert_int_equal(pq_run_blocking(connection, "select 1/0", 0, NULL, NULL, &err), ERR_INVALID);
    PGconn *none = NULL;
    assert_int_equal(pq_connect_blocking("host=/nowhere dbname=x user=x", &none, &err),
                     ERR_UNAVAILABLE);
    assert_null(none);
    assert_null(strchr(err.text, '\n'));
}

static int
make(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    loop = ev_default_loop(EVFLAG_AUTO);
    pg_fixture_make(&fixture);
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

static void
a_message_is_its_cause_alone(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "connection to server on socket \"/x\" failed: No such file or directory\n\tIs the "
          "server "
          "running locally and accepting connections on that socket?\n",
          "connection to server on socket \"/x\" failed: No such file or directory" },
        { "server closed the connection unexpectedly\n\tThis probably means the server terminated "
          "abnormally\n\tbefore or while processing the request.\n",
          "server closed the connection unexpectedly" },
        { "one\n\tguess\ntwo\n", "one two" },
        { "  a\tb\r\n  c", "a b c" },
        { "", "" },
    };
    char text[128];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        pq_one_line(rows[i][0], text, sizeof text);
        assert_string_equal(text, rows[i][1]);
    }
    pq_one_line(NULL, text, sizeof text);
    assert_string_equal(text, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_before_ready_run_in_order),
        cmocka_unit_test(errors_keep_the_connection),
        cmocka_unit_test(a_script_is_one_answer),
        cmocka_unit_test(warnings_come_with_their_statement),
        cmocka_unit_test(a_commit_that_warns_is_told),
        cmocka_unit_test(notifications_arrive),
        cmocka_unit_test(a_lost_connection_tells_sent_from_not_sent),
        cmocka_unit_test(a_killed_server_is_lost_and_found),
        cmocka_unit_test(a_deadline_hangs_up_and_the_queue_goes_on),
        cmocka_unit_test(a_kept_deadline_only_tells),
        cmocka_unit_test(a_full_queue_refuses_from_the_loop),
        cmocka_unit_test(the_forgotten_hear_nothing),
        cmocka_unit_test(a_receiver_may_forget_its_neighbour),
        cmocka_unit_test(a_receiver_may_close),
        cmocka_unit_test(close_answers_everybody),
        cmocka_unit_test(reset_connects_again_and_keeps_the_queue),
        cmocka_unit_test(a_bad_session_setting_is_a_lost_connection),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(a_conninfo_needs_an_address),
        cmocka_unit_test(resolve_adds_addresses_and_keeps_the_rest),
        cmocka_unit_test(a_prepared_statement_is_read_once_in_each_connection),
        cmocka_unit_test(too_many_prepared_statements_are_sent_as_they_are),
        cmocka_unit_test(blocking_use_says_the_same_errors),
        cmocka_unit_test(a_message_is_its_cause_alone),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
