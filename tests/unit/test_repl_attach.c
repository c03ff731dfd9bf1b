/*
 * What is set aside, as the port is asked for it: our database and the primary are played.
 */
#include "replication/repl_attach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "sql.h"

/* ---- the port: at most one question is open, to our database or to the primary ---- */

static struct {
    const char *sql;  /* NULL: to the primary */
    const char *path; /* NULL: to our database */
    char first[64];   /* of the values */
    repl_result_fn *on_result;
    repl_reply_fn *on_reply;
    void *context;
} asked;

static void
port_query(void *data, const char *sql, size_t count, const char *const *values,
           repl_result_fn *done, void *context)
{
    (void)data;
    memset(&asked, 0, sizeof asked);
    asked.sql = sql;
    asked.on_result = done;
    asked.context = context;
    if (count > 0 && values[0] != NULL)
        (void)snprintf(asked.first, sizeof asked.first, "%s", values[0]);
}

static void
port_ask(void *data, const char *member, const char *path, struct json_object *body,
         unsigned timeout_ms, repl_reply_fn *done, void *context)
{
    (void)data, (void)body, (void)timeout_ms;
    assert_string_equal(member, "west-1");
    memset(&asked, 0, sizeof asked);
    asked.path = path;
    asked.on_reply = done;
    asked.context = context;
}

static void
port_after(void *data, unsigned ms, repl_timer_fn *done, void *context)
{
    (void)data, (void)ms, (void)done, (void)context;
    fail_msg("nothing is waited for here");
}

static const struct repl_port port = { .query = port_query, .ask = port_ask, .after = port_after };

/* Our database answers with one column; 'text' NULL: with no row. */
static void
result(const char *sql, char *column, char *text)
{
    PGresAttDesc attribute = { .name = column };
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_ptr_equal(asked.sql, sql);
    assert_int_equal(PQsetResultAttrs(rows, 1, &attribute), 1);
    if (text != NULL)
        assert_int_equal(PQsetvalue(rows, 0, 0, text, (int)strlen(text)), 1);
    asked.on_result(asked.context, rows, NULL);
    PQclear(rows);
}

static void
reply(const char *path, const char *text)
{
    struct json_object *document = NULL;
    assert_non_null(asked.path);
    assert_string_equal(asked.path, path);
    assert_int_equal(json_read(text, strlen(text), &document, NULL), ERR_NONE);
    asked.on_reply(asked.context, document, NULL);
    json_object_put(document);
}

static void
on_done(void *data, const struct position *position, uint64_t setaside, const struct err *err)
{
    (void)data, (void)position, (void)setaside;
    fail_msg("it is done: %s", err == NULL ? "attached" : err->text);
}

/* ---- until the logs were compared ---- */

static struct repl_attach *
compare(char *points, const char *answer)
{
    struct epoch epoch = epoch_make(2, "west-1");
    struct repl_attach *attach =
        repl_attach_start(&port, "east-1", "west-1", &epoch, NULL, on_done, NULL);
    result(sql_subs, "name", NULL);
    result(sql_points, "points", points);
    reply("/v1/peer/match", answer);
    return attach;
}

static void
give_up(struct repl_attach *attach)
{
    struct err err;
    (void)err_set(&err, ERR_UNAVAILABLE, "over", "over");
    repl_attach_cancel(attach);
    if (asked.path != NULL)
        asked.on_reply(asked.context, NULL, &err);
    else
        asked.on_result(asked.context, NULL, &err);
}

static char points_to_31[] =
    "[{\"revision\": 31, \"hash\": \"c1\", \"epoch\": 1, \"holder\": \"east-1\"},"
    " {\"revision\": 30, \"hash\": \"c0\", \"epoch\": 1, \"holder\": \"east-1\"}]";

/* I5: while it was asked up to where the logs are the same, a COMMIT waited for acknowledgements
 * above the head that our queries see. Its row may be acknowledged by now, and the primary has it.
 */
static void
test_what_was_not_compared_is_not_set_aside(void **state)
{
    (void)state;
    struct repl_attach *attach = compare(points_to_31, "{\"common\": 31}");
    assert_non_null(asked.path);
    assert_string_equal(asked.path, "/v1/peer/attach");
    give_up(attach);
}

/* I8: who has not the head that was compared has nothing that lies above it. */
static void
test_what_the_primary_has_not_is_set_aside(void **state)
{
    (void)state;
    struct repl_attach *attach = compare(points_to_31, "{\"common\": 30, \"above\": 31}");
    assert_ptr_equal(asked.sql, sql_setaside_tail);
    assert_string_equal(asked.first, "30");
    give_up(attach);
}

/* I2: it may not see its own row yet. */
static void
test_rows_of_the_primary_s_epoch_are_not_compared(void **state)
{
    (void)state;
    static char points[] =
        "[{\"revision\": 31, \"hash\": \"c1\", \"epoch\": 2, \"holder\": \"west-1\"}]";
    struct epoch epoch = epoch_make(2, "west-1");
    struct repl_attach *attach =
        repl_attach_start(&port, "east-1", "west-1", &epoch, NULL, on_done, NULL);
    result(sql_subs, "name", NULL);
    result(sql_points, "points", points);
    assert_non_null(asked.path);
    assert_string_equal(asked.path, "/v1/peer/attach");
    give_up(attach);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_not_compared_is_not_set_aside),
        cmocka_unit_test(test_what_the_primary_has_not_is_set_aside),
        cmocka_unit_test(test_rows_of_the_primary_s_epoch_are_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
