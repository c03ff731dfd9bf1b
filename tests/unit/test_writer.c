#include "controller/daemon/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/daemon_world.h"

static struct daemon_world world;

static bool
is_connected(void *data)
{
    return writer_connected(data);
}

static struct writer *
open_writer(void)
{
    struct writer *writer = NULL;
    pg_fixture_must(writer_new(world.loop, world.conninfo, &writer, &world.err), &world.err,
                    "writer");
    assert_true(world_until(&world, is_connected, writer));
    return writer;
}

static void
submit(struct writer *writer, struct json_object *group, unsigned flags, struct world_write *write)
{
    pg_fixture_must(writer_submit(writer, group, flags, world_on_write, write, NULL, &world.err),
                    &world.err, "submit");
    assert_false(write->done); /* W1 */
}

static uint64_t
epoch_now(void)
{
    return strtoull(world_sql(&world, "select epoch from local.node"), NULL, 10);
}

static const char *
value_of(const char *key)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql,
                   "select coalesce((select value #>> '{}' from shared.config where key = '%s'), "
                   "'none')",
                   key);
    return world_sql(&world, sql);
}

static void
acknowledges(void **state)
{
    (void)state;
    struct world_write write = { 0 };
    struct writer *writer = open_writer();
    writer_open(writer, epoch_now(), "east-1");
    submit(writer, world_group("app/one", "red"), 0, &write);
    assert_true(world_until(&world, world_write_is_done, &write));
    assert_int_equal(write.err.code, ERR_NONE);
    assert_int_equal(write.result.epoch, epoch_now());
    assert_string_equal(write.result.holder, "east-1");
    assert_string_equal(value_of("app/one"), "red");
    writer_free(writer);
    assert_int_equal(write.count, 1);
}

static void
collects_while_one_is_in_flight(void **state)
{
    (void)state;
    static struct world_write writes[200];
    char key[32];
    struct writer *writer = open_writer();
    memset(writes, 0, sizeof writes);
    writer_open(writer, epoch_now(), "east-1");
    for (size_t i = 0; i < ARRAY_COUNT(writes); i++) {
        (void)snprintf(key, sizeof key, "app/many/%zu", i);
        submit(writer, world_group(key, "x"), 0, &writes[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(writes); i++) {
        assert_true(world_until(&world, world_write_is_done, &writes[i]));
        assert_int_equal(writes[i].err.code, ERR_NONE);
        if (i > 0) /* in order of arrival, without a gap */
            assert_int_equal(writes[i].result.revision, writes[i - 1].result.revision + 1);
    }
    /* the first went alone, at once; all others shared the next commit */
    assert_int_equal(writer_stats(writer).batches, 2);
    writer_free(writer);
}

static void
splits_by_count_of_changes(void **state)
{
    (void)state;
    static struct world_write writes[6];
    struct writer *writer = open_writer();
    memset(writes, 0, sizeof writes);
    writer_open(writer, epoch_now(), "east-1");
    for (unsigned i = 0; i < ARRAY_COUNT(writes); i++) {
        struct json_object *group = writer_group("anna", NULL);
        for (unsigned j = 0; j < 400; j++) {
            char key[40];
            (void)snprintf(key, sizeof key, "app/wide/%u/%u", i, j);
            writer_group_put(group, key, "", json_object_new_int(1), WRITER_ANY_REVISION);
        }
        submit(writer, group, 0, &writes[i]);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(writes); i++) {
        assert_true(world_until(&world, world_write_is_done, &writes[i]));
        assert_int_equal(writes[i].err.code, ERR_NONE);
        assert_int_equal(writes[i].result.revision - writes[i].result.first, 399);
    }
    assert_int_equal(writer_stats(writer).batches, 4); /* 1, 2, 2, 1 groups */

    struct json_object *wide = writer_group("anna", NULL);
    for (unsigned j = 0; j < WRITER_BATCH_CHANGES_MAX + 1; j++)
        writer_group_put(wide, "app/x", "", json_object_new_int(1), WRITER_ANY_REVISION);
    assert_int_equal(writer_submit(writer, wide, 0, world_on_write, NULL, NULL, &world.err),
                     ERR_LIMIT);
    assert_string_equal(world.err.slug, "too_many_changes");
    writer_free(writer);
}

static void
one_bad_group_harms_no_other(void **state)
{
    (void)state;
    struct world_write good = { 0 };
    struct world_write stale = { 0 };
    struct world_write unknown = { 0 };
    struct world_write late = { 0 };
    struct writer *writer = open_writer();
    writer_hold(writer); /* so that all share one statement */
    struct json_object *group = writer_group("anna", NULL);
    writer_group_put(group, "app/half", "", json_object_new_int(1), WRITER_ANY_REVISION);
    writer_group_put(group, "app/one", "", json_object_new_int(1), 999999);
    submit(writer, world_group("app/good", "1"), 0, &good);
    submit(writer, group, 0, &stale);
    submit(writer, world_group("nonsense", "1"), 0, &unknown);
    submit(writer, world_group("app/late", "1"), 0, &late);
    writer_open(writer, epoch_now(), "east-1");
    assert_true(world_until(&world, world_write_is_done, &late));
    assert_int_equal(good.err.code, ERR_NONE);
    assert_int_equal(stale.err.code, ERR_STALE);
    assert_string_equal(stale.err.slug, "precondition_failed");
    assert_int_equal(unknown.err.code, ERR_INVALID);
    assert_int_equal(late.err.code, ERR_NONE);
    assert_string_equal(value_of("app/half"), "none");
    assert_int_equal(writer_stats(writer).batches, 1);
    writer_free(writer);
}

static void
a_statement_that_fails_as_a_whole_is_tried_group_by_group(void **state)
{
    (void)state;
    struct world_write before = { 0 };
    struct world_write poison = { 0 };
    struct world_write after = { 0 };
    struct writer *writer = open_writer();
    /* an error that shared.write() does not catch: the whole statement fails */
    (void)world_sql(&world, "create function public.trip() returns trigger language plpgsql as "
                            "$$ begin if new.key = 'app/poison' then raise division_by_zero; "
                            "end if; return new; end $$");
    (void)world_sql(&world, "create trigger aaa_trip before insert on shared.log for each row "
                            "execute function public.trip()");
    writer_hold(writer);
    submit(writer, world_group("app/before", "1"), 0, &before);
    submit(writer, world_group("app/poison", "1"), 0, &poison);
    submit(writer, world_group("app/after", "1"), 0, &after);
    writer_open(writer, epoch_now(), "east-1");
    assert_true(world_until(&world, world_write_is_done, &after));
    assert_int_equal(before.err.code, ERR_NONE);
    assert_int_not_equal(poison.err.code, ERR_NONE);
    assert_int_not_equal(poison.err.code, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(after.err.code, ERR_NONE);
    assert_true(before.result.revision < after.result.revision);
    (void)world_sql(&world, "drop trigger aaa_trip on shared.log");
    (void)world_sql(&world, "drop function public.trip()");
    writer_free(writer);
}

static void
a_serialization_failure_is_tried_again(void **state)
{
    (void)state;
    struct world_write write = { 0 };
    struct writer *writer = open_writer();
    /* fails twice, then lets it pass: a sequence is not rolled back */
    (void)world_sql(&world, "create sequence public.tries");
    (void)world_sql(&world, "create function public.trip() returns trigger language plpgsql as "
                            "$$ begin if nextval('public.tries') < 3 then raise "
                            "serialization_failure; end if; return new; end $$");
    (void)world_sql(&world, "grant usage on sequence public.tries to public");
    (void)world_sql(&world, "create trigger aaa_trip before insert on shared.log for each row "
                            "execute function public.trip()");
    writer_open(writer, epoch_now(), "east-1");
    submit(writer, world_group("app/again", "1"), 0, &write);
    assert_true(world_until(&world, world_write_is_done, &write));
    assert_int_equal(write.err.code, ERR_NONE);
    assert_int_equal(writer_stats(writer).batches, 3);
    (void)world_sql(&world, "drop trigger aaa_trip on shared.log");
    (void)world_sql(&world, "drop function public.trip()");
    writer_free(writer);
}

static void
a_warning_is_an_unknown_outcome(void **state)
{
    (void)state;
    struct world_write good = { 0 };
    struct world_write refused = { 0 };
    struct writer *writer = open_writer();
    (void)world_sql(&world, "create function public.warn() returns trigger language plpgsql as "
                            "$$ begin raise warning 'standbys may not have it'; return new; "
                            "end $$");
    (void)world_sql(&world, "create trigger aaa_warn before insert on shared.log for each row "
                            "execute function public.warn()");
    writer_hold(writer);
    submit(writer, world_group("app/warned", "1"), 0, &good);
    submit(writer, world_group("nonsense", "1"), 0, &refused);
    writer_open(writer, epoch_now(), "east-1");
    assert_true(world_until(&world, world_write_is_done, &refused));
    assert_int_equal(good.err.code, ERR_UNKNOWN_OUTCOME); /* though it is there: I4 */
    assert_non_null(strstr(good.err.text, "standbys may not have it"));
    assert_true(good.err.mend[0] != '\0');
    assert_int_equal(refused.err.code, ERR_INVALID); /* what was refused surely is not done */
    assert_int_equal(writer_stats(writer).groups_unknown, 1);
    (void)world_sql(&world, "drop trigger aaa_warn on shared.log");
    (void)world_sql(&world, "drop function public.warn()");
    writer_free(writer);
}

static bool
is_in_flight(void *data)
{
    return writer_stats(data).in_flight > 0;
}

static void
count_late(void *data)
{
    (*(unsigned *)data)++;
}

static bool
nothing_is_in_flight(void *data)
{
    return writer_stats(data).in_flight == 0;
}

static void
a_commit_that_hangs_is_bounded_and_goes_on(void **state)
{
    (void)state;
    struct world_write hung = { 0 };
    struct world_write queued = { 0 };
    struct world_write over = { 0 };
    unsigned late = 0;
    struct writer *writer = open_writer();
    writer_set_late(writer, count_late, &late);
    writer_set_limits(
        writer, (struct writer_limits){ .queue_max = 1, .hold_ms = 700, .commit_wait_ms = 200 });
    writer_open(writer, epoch_now(), "east-1");
    world_nobody_acknowledges(&world);
    submit(writer, world_group("app/hung", "1"), 0, &hung);
    assert_true(world_until(&world, is_in_flight, writer));
    submit(writer, world_group("app/queued", "1"), 0, &queued);
    assert_int_equal(writer_submit(writer, world_group("app/over", "1"), 0, world_on_write, &over,
                                   NULL, &world.err),
                     ERR_UNAVAILABLE);
    assert_string_equal(world.err.slug, "busy");
    assert_non_null(strstr(world.err.text, "standbys"));

    assert_true(world_until(&world, world_write_is_done, &hung));
    assert_int_equal(hung.err.code, ERR_UNKNOWN_OUTCOME);
    assert_true(world_until(&world, world_write_is_done, &queued));
    assert_int_equal(queued.err.code, ERR_TIMEOUT); /* surely not done */
    /* told since it is late, and not with every tick */
    assert_in_range(late, 1, writer_stats(writer).in_flight_ms / WRITER_LATE_MS);
    assert_int_equal(writer_stats(writer).in_flight, 1);

    world_all_acknowledge(&world);
    assert_true(world_until(&world, nothing_is_in_flight, writer));
    assert_string_equal(value_of("app/hung"), "1");
    assert_string_equal(value_of("app/queued"), "none");
    assert_false(over.done);
    assert_int_equal(hung.count, 1);
    writer_free(writer);
}

static void
a_cancelled_wait_is_an_unknown_outcome(void **state)
{
    (void)state;
    struct world_write before = { 0 };
    struct world_write write = { 0 };
    struct writer *writer = open_writer();
    writer_open(writer, epoch_now(), "east-1");
    /* the loop stands still below: the statement must be at the server by then, and not its PREPARE
     */
    submit(writer, world_group("app/before", "1"), 0, &before);
    assert_true(world_until(&world, world_write_is_done, &before));
    world_nobody_acknowledges(&world);
    submit(writer, world_group("app/cancelled", "1"), 0, &write);
    assert_true(world_until(&world, is_in_flight, writer));
    (void)world_sql(&world, "set synchronous_commit = local");
    while (strcmp(world_sql(&world, "select count(pg_cancel_backend(pid)) from pg_stat_activity "
                                    "where wait_event = 'SyncRep'"),
                  "0") == 0)
        continue;
    assert_true(world_until(&world, world_write_is_done, &write));
    assert_int_equal(write.err.code, ERR_UNKNOWN_OUTCOME); /* though COMMIT said success */
    world_all_acknowledge(&world);
    writer_free(writer);
}

static void
holds_and_opens(void **state)
{
    (void)state;
    struct world_write held = { 0 };
    struct world_write first = { 0 };
    struct writer *writer = open_writer();
    writer_hold(writer);
    submit(writer, world_group("app/held", "1"), 0, &held);
    submit(writer, world_group("app/first", "1"), WRITER_FIRST, &first);
    assert_true(world_until(&world, world_write_is_done, &first));
    assert_int_equal(first.err.code, ERR_NONE); /* W2 */
    assert_false(held.done);
    assert_string_equal(value_of("app/held"), "none");
    writer_open(writer, epoch_now(), "east-1");
    assert_true(world_until(&world, world_write_is_done, &held));
    assert_int_equal(held.err.code, ERR_NONE);
    assert_true(held.result.revision > first.result.revision);
    writer_free(writer);
}

static void
what_a_freeze_turned_back_is_held(void **state)
{
    (void)state;
    struct world_write write = { 0 };
    struct writer *writer = open_writer();
    uint64_t epoch = epoch_now();
    writer_open(writer, epoch, "east-1");
    (void)world_sql(&world, "select * from local.freeze()");
    submit(writer, world_group("app/frozen", "1"), 0, &write);
    writer_hold(writer); /* the statement is in flight and will be refused */
    assert_true(world_until(&world, is_in_flight, writer));
    assert_true(world_until(&world, nothing_is_in_flight, writer));
    assert_false(write.done);
    char sql[80];
    (void)snprintf(sql, sizeof sql, "select * from local.thaw(%llu, 'east-1')",
                   (unsigned long long)epoch);
    (void)world_sql(&world, sql);
    writer_open(writer, epoch, "east-1");
    assert_true(world_until(&world, world_write_is_done, &write));
    assert_int_equal(write.err.code, ERR_NONE);
    assert_string_equal(value_of("app/frozen"), "1");
    writer_free(writer);
}

/* It would be refused again, at once and for ever, by a database that was fenced after it was
 * opened. */
static void
a_first_row_that_is_refused_comes_back(void **state)
{
    (void)state;
    struct world_write held = { 0 };
    struct world_write first = { 0 };
    struct writer *writer = open_writer();
    uint64_t epoch = epoch_now();
    (void)world_sql(&world, "select * from local.fence()");
    writer_hold(writer);
    submit(writer, world_group("app/later", "1"), 0, &held);
    submit(writer, world_group("app/refused", "1"), WRITER_FIRST | WRITER_PATIENT, &first);
    assert_true(world_until(&world, world_write_is_done, &first));
    assert_int_equal(first.err.code, ERR_FENCED);
    assert_int_equal(first.count, 1);
    assert_false(held.done); /* W2 */
    assert_int_equal(writer_stats(writer).queued, 1);
    assert_int_equal(writer_stats(writer).batches, 1);
    char sql[80];
    (void)snprintf(sql, sizeof sql, "select * from local.resume(%llu, 'east-1')",
                   (unsigned long long)epoch);
    (void)world_sql(&world, sql);
    writer_open(writer, epoch, "east-1");
    assert_true(world_until(&world, world_write_is_done, &held));
    assert_int_equal(held.err.code, ERR_NONE);
    assert_string_equal(value_of("app/refused"), "none");
    writer_free(writer);
}

static void
closed_says_why_and_gives_back(void **state)
{
    (void)state;
    struct world_write held = { 0 };
    struct writer *writer = open_writer();
    assert_int_equal(writer_submit(writer, world_group("app/x", "1"), 0, world_on_write, &held,
                                   NULL, &world.err),
                     ERR_FENCED);
    writer_hold(writer);
    submit(writer, world_group("app/x", "1"), 0, &held);
    writer_close(writer, "west-1 is primary since epoch 7");
    assert_true(held.done);
    assert_int_equal(held.err.code, ERR_FENCED);
    assert_non_null(strstr(held.err.text, "west-1 is primary since epoch 7"));
    writer_free(writer);
}

static void
another_epoch_is_no_acknowledgement(void **state)
{
    (void)state;
    struct world_write write = { 0 };
    struct writer *writer = open_writer();
    writer_open(writer, epoch_now() + 1, "east-1"); /* not what the database holds */
    submit(writer, world_group("app/other", "1"), 0, &write);
    assert_true(world_until(&world, world_write_is_done, &write));
    assert_int_equal(write.err.code, ERR_UNKNOWN_OUTCOME);
    writer_free(writer);
}

static void
a_lost_connection_is_an_unknown_outcome(void **state)
{
    (void)state;
    struct world_write lost = { 0 };
    struct world_write next = { 0 };
    struct writer *writer = open_writer();
    writer_open(writer, epoch_now(), "east-1");
    (void)world_sql(&world, "begin");
    (void)world_sql(&world, "select one from local.node for update"); /* it will wait for us */
    submit(writer, world_group("app/lost", "1"), 0, &lost);
    submit(writer, world_group("app/next", "1"), 0, &next);
    while (strcmp(world_sql(&world, "select count(pg_terminate_backend(pid)) from "
                                    "pg_stat_activity where usename = 'baton' and query like "
                                    "'%shared.write%' and wait_event_type = 'Lock'"),
                  "0") == 0) {
        (void)pg_fixture_until(world.loop, &lost.done, 2);
        (void)world_sql(&world, "select pg_stat_clear_snapshot()");
    }
    (void)world_sql(&world, "rollback");
    assert_true(world_until(&world, world_write_is_done, &lost));
    assert_int_equal(lost.err.code, ERR_UNKNOWN_OUTCOME);
    assert_true(world_until(&world, world_write_is_done, &next)); /* after it has connected again */
    assert_int_equal(next.err.code, ERR_NONE);
    assert_string_equal(value_of("app/lost"), "none");
    writer_free(writer);
}

static void
forgets(void **state)
{
    (void)state;
    uint64_t id = 0;
    struct world_write gone = { 0 };
    struct world_write other = { 0 };
    struct writer *writer = open_writer();
    writer_hold(writer);
    pg_fixture_must(writer_submit(writer, world_group("app/gone", "1"), 0, world_on_write, &gone,
                                  &id, &world.err),
                    &world.err, "submit");
    writer_forget(writer, id);
    submit(writer, world_group("app/stays", "1"), 0, &other);
    writer_open(writer, epoch_now(), "east-1");
    assert_true(world_until(&world, world_write_is_done, &other));
    assert_false(gone.done);
    assert_string_equal(value_of("app/gone"), "none");
    writer_free(writer);
}

static void
freed_with_work_answers_all(void **state)
{
    (void)state;
    struct world_write flying = { 0 };
    struct world_write queued = { 0 };
    struct writer *writer = open_writer();
    writer_open(writer, epoch_now(), "east-1");
    submit(writer, world_group("app/flying", "1"), 0, &flying);
    submit(writer, world_group("app/queued2", "1"), 0, &queued);
    writer_free(writer);
    assert_int_equal(flying.count, 1);
    assert_int_equal(flying.err.code, ERR_UNKNOWN_OUTCOME);
    assert_int_equal(queued.count, 1);
    assert_int_equal(queued.err.code, ERR_FENCED);
}

static int
set_up(void **state)
{
    (void)state;
    world_make(&world);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    world_remove(&world);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledges),
        cmocka_unit_test(collects_while_one_is_in_flight),
        cmocka_unit_test(splits_by_count_of_changes),
        cmocka_unit_test(one_bad_group_harms_no_other),
        cmocka_unit_test(a_statement_that_fails_as_a_whole_is_tried_group_by_group),
        cmocka_unit_test(a_serialization_failure_is_tried_again),
        cmocka_unit_test(a_warning_is_an_unknown_outcome),
        cmocka_unit_test(a_commit_that_hangs_is_bounded_and_goes_on),
        cmocka_unit_test(a_cancelled_wait_is_an_unknown_outcome),
        cmocka_unit_test(holds_and_opens),
        cmocka_unit_test(what_a_freeze_turned_back_is_held),
        cmocka_unit_test(a_first_row_that_is_refused_comes_back),
        cmocka_unit_test(closed_says_why_and_gives_back),
        cmocka_unit_test(another_epoch_is_no_acknowledgement),
        cmocka_unit_test(a_lost_connection_is_an_unknown_outcome),
        cmocka_unit_test(forgets),
        cmocka_unit_test(freed_with_work_answers_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
