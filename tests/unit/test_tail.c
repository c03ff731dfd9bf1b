#include "controller/daemon/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/daemon_world.h"

static struct daemon_world world;

struct ear {
    struct tail_listener listener;
    struct cache *cache;
    struct tail *tail;
    unsigned rows;
    unsigned applied;
    unsigned reloads;
    uint64_t last; /* revision of the last row */
    bool in_order; /* each row followed the one before, and the cache showed it */
    uint64_t wanted;
    uint64_t number; /* of a reading of the local settings */
};

static void
on_row(struct tail_listener *listener, const struct tail_row *row)
{
    struct ear *ear = CONTAINER_OF(listener, struct ear, listener);
    const struct cache_entry *entry = cache_get(ear->cache, row->key, row->site);
    ear->rows++;
    ear->in_order =
        ear->in_order && (ear->last == 0 || row->revision == ear->last + 1) &&
        cache_position(ear->cache)->revision == row->revision &&
        (row->text == NULL ? entry == NULL : entry != NULL && strcmp(entry->text, row->text) == 0);
    ear->last = row->revision;
}

static void
on_applied(struct tail_listener *listener, const struct cache_position *position)
{
    struct ear *ear = CONTAINER_OF(listener, struct ear, listener);
    ear->applied++;
    ear->in_order = ear->in_order && position->revision == ear->last;
}

static void
on_reloaded(struct tail_listener *listener, const struct cache_position *position)
{
    struct ear *ear = CONTAINER_OF(listener, struct ear, listener);
    ear->reloads++;
    ear->last = position->revision;
}

static uint64_t
revision_now(void)
{
    return strtoull(world_sql(&world, "select revision from local.head"), NULL, 10);
}

static bool
is_there(void *data)
{
    struct ear *ear = data;
    return cache_position(ear->cache)->revision >= ear->wanted;
}

static void
open_tail(struct ear *ear)
{
    *ear =
        (struct ear){ .listener = { .row = on_row, .applied = on_applied, .reloaded = on_reloaded },
                      .in_order = true };
    ear->cache = cache_new("east-1", "east");
    pg_fixture_must(tail_new(world.loop, world.conninfo, ear->cache, &ear->tail, &world.err),
                    &world.err, "tail");
    tail_listen(ear->tail, &ear->listener);
    ear->wanted = revision_now();
    assert_true(world_until(&world, is_there, ear));
}

static void
close_tail(struct ear *ear)
{
    tail_unlisten(&ear->listener);
    tail_free(ear->tail);
    cache_free(ear->cache);
}

static void
write_keys(unsigned from, unsigned count)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql,
                   "select shared.write((select jsonb_agg(jsonb_build_object('author', 'anna', "
                   "'reason', 'why', 'changes', jsonb_build_array(jsonb_build_object('key', "
                   "'app/k' || i, 'value', i)))) from generate_series(%u, %u) i))",
                   from, from + count - 1);
    (void)world_sql(&world, sql);
}

static void
loads_and_follows(void **state)
{
    (void)state;
    struct ear ear;
    write_keys(1, 3);
    open_tail(&ear);
    assert_int_equal(ear.reloads, 1);
    assert_int_equal(ear.rows, 0);
    assert_true(cache_loaded(ear.cache));
    assert_string_equal(cache_get(ear.cache, "app/k2", "")->text, "2");
    assert_string_equal(cache_get(ear.cache, "app/k2", "")->author, "anna");
    assert_int_equal(strlen(cache_get(ear.cache, "app/k2", "")->at),
                     strlen("2026-11-22T05:41:03.123Z"));

    write_keys(2, 700); /* more than two pages */
    write_keys(702, 500);
    write_keys(7, 1);
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    assert_int_equal(ear.rows, 1201);
    assert_true(ear.in_order);
    assert_int_equal(ear.reloads, 1);
    assert_string_equal(cache_position(ear.cache)->hash,
                        world_sql(&world, "select encode(hash, 'hex') from local.head"));

    (void)world_sql(&world, "select shared.unset('app/k2')");
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    assert_null(cache_get(ear.cache, "app/k2", ""));
    assert_true(ear.in_order);
    close_tail(&ear);
}

/* T2: the same revision with another row, reached between two looks. */
static void
a_replaced_tail_is_loaded_anew(void **state)
{
    (void)state;
    struct ear ear;
    write_keys(1, 5);
    open_tail(&ear);
    uint64_t head = revision_now();
    char sql[300];
    /* while nobody looks, the last two rows are set aside and others take their place */
    (void)snprintf(sql, sizeof sql,
                   "begin; select local.fence(); select local.setaside_tail(%llu, 99, 'west-1')",
                   (unsigned long long)head - 2);
    (void)world_sql(&world, sql);
    world_open_epoch(
        &world,
        (unsigned)strtoull(world_sql(&world, "select promised + 1 from local.node"), NULL, 10));
    write_keys(100, 7);
    (void)world_sql(&world, "commit");
    ear.wanted = head + 6;
    assert_true(world_until(&world, is_there, &ear));
    assert_int_equal(ear.reloads, 2);
    assert_string_equal(cache_get(ear.cache, "app/k105", "")->text, "105");
    assert_string_equal(cache_position(ear.cache)->hash,
                        world_sql(&world, "select encode(hash, 'hex') from local.head"));
    write_keys(1, 1);
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    assert_int_equal(ear.reloads, 2); /* from here on it follows again */
    close_tail(&ear);
}

static bool
has_reloaded(void *data)
{
    return ((struct ear *)data)->reloads >= 2;
}

static void
a_shorter_log_is_loaded_anew(void **state)
{
    (void)state;
    struct ear ear;
    write_keys(1, 5);
    open_tail(&ear);
    uint64_t head = revision_now();
    char sql[200];
    (void)world_sql(&world, "select local.fence()");
    (void)snprintf(sql, sizeof sql, "select local.setaside_tail(%llu, 1000, 'west-1')",
                   (unsigned long long)head - 5);
    (void)world_sql(&world, sql);
    tail_poke(ear.tail);
    assert_true(world_until(&world, has_reloaded, &ear));
    assert_int_equal(cache_position(ear.cache)->revision, head - 5);
    world_open_epoch(
        &world,
        (unsigned)strtoull(world_sql(&world, "select promised + 1 from local.node"), NULL, 10));
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    close_tail(&ear);
}

static void
a_pruned_log_goes_on(void **state)
{
    (void)state;
    struct ear ear;
    open_tail(&ear);
    write_keys(1, 50);
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    (void)world_sql(&world, "select local.log_prune(0, 0)");
    write_keys(1, 3);
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    assert_int_equal(ear.reloads, 1);
    assert_true(ear.in_order);
    close_tail(&ear);
}

static bool
is_debug(void *data)
{
    return strcmp(setting_text(SETTING_LOG_LEVEL, cache_settings(data)), "debug") == 0;
}

static bool
was_read(void *data)
{
    const struct ear *ear = data;
    return tail_local_read(ear->tail) >= ear->number;
}

static void
reads_local_settings(void **state)
{
    (void)state;
    struct ear ear;
    open_tail(&ear);
    (void)world_sql(&world, "select local.set('log.level', '\"debug\"', 'root@east-1')");
    ear.number = tail_poke_local(ear.tail);
    assert_true(world_until(&world, was_read, &ear));
    assert_true(is_debug(ear.cache)); /* what was written before that number was given is shown */
    uint64_t generation = cache_generation(ear.cache);
    /* a reading is under way: what is asked for meanwhile is another one */
    ear.number = tail_poke_local(ear.tail);
    uint64_t later = tail_poke_local(ear.tail);
    assert_int_equal(later, ear.number + 1);
    ear.number = later;
    assert_true(world_until(&world, was_read, &ear));
    assert_int_equal(cache_generation(ear.cache), generation); /* nothing new, nothing said */
    (void)world_sql(&world, "select local.unset('log.level', 'root@east-1')");
    close_tail(&ear);
}

static bool
is_lost(void *data)
{
    return !tail_connected(data);
}

static void
comes_back(void **state)
{
    (void)state;
    struct ear ear;
    open_tail(&ear);
    (void)world_sql(&world, "select pg_terminate_backend(pid) from pg_stat_activity where usename "
                            "= 'baton'");
    assert_true(world_until(&world, is_lost, ear.tail));
    write_keys(1, 3);
    ear.wanted = revision_now();
    assert_true(world_until(&world, is_there, &ear));
    assert_int_equal(ear.rows, 3);
    assert_int_equal(ear.reloads, 1);
    close_tail(&ear);
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
        cmocka_unit_test(loads_and_follows),
        cmocka_unit_test(a_replaced_tail_is_loaded_anew),
        cmocka_unit_test(a_shorter_log_is_loaded_anew),
        cmocka_unit_test(a_pruned_log_goes_on),
        cmocka_unit_test(reads_local_settings),
        cmocka_unit_test(comes_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
