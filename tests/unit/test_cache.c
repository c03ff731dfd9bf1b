#include "controller/daemon/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct cache *
filled(void)
{
    struct cache *cache = cache_new("east-1", "east");
    cache_reload_begin(cache, true, true);
    cache_put(cache, &(struct cache_row){ .key = "node/east-1", .text = "{\"site\": \"east\"}" });
    cache_put(cache, &(struct cache_row){ .key = "app/b", .text = "1", .revision = 3 });
    cache_put(cache, &(struct cache_row){ .key = "app/b", .site = "west", .text = "2" });
    cache_put(cache, &(struct cache_row){ .key = "app/a", .text = "\"x\"", .author = "anna" });
    cache_put(cache, &(struct cache_row){ .key = "app", .text = "0" });
    cache_reload_end(cache);
    return cache;
}

static void
finds_by_key_and_site(void **state)
{
    (void)state;
    struct cache *cache = filled();
    assert_int_equal(cache_count(cache), 5);
    assert_string_equal(cache_get(cache, "app/b", "")->text, "1");
    assert_string_equal(cache_get(cache, "app/b", "west")->text, "2");
    assert_null(cache_get(cache, "app/b", "east"));
    assert_null(cache_get(cache, "app/c", ""));
    assert_string_equal(cache_get(cache, "app/a", "")->author, "anna");
    assert_string_equal(json_object_get_string(cache_value(cache_get(cache, "app/a", ""))), "x");
    cache_free(cache);
}

static void
walks_a_prefix_in_order(void **state)
{
    (void)state;
    struct cache *cache = filled();
    char seen[256] = "";
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(cache, "app/", NULL, &at)) != NULL;) {
        (void)strcat(seen, entry->key);
        (void)strcat(seen, "@");
        (void)strcat(seen, entry->site);
        (void)strcat(seen, " ");
    }
    assert_string_equal(seen, "app/a@ app/b@ app/b@west ");
    size_t count = 0;
    for (size_t at = 0; cache_next(cache, "", "", &at) != NULL;)
        count++;
    assert_int_equal(count, 4);
    size_t at = 0;
    assert_null(cache_next(cache, "zzz", NULL, &at));
    cache_free(cache);
}

static void
keeps_order_through_changes(void **state)
{
    (void)state;
    struct cache *cache = cache_new("east-1", "east");
    char key[32];
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(key, sizeof key, "app/%03u", i * 263 % 500);
        cache_put(cache, &(struct cache_row){ .key = key, .text = "1", .revision = i });
    }
    for (unsigned i = 0; i < 500; i += 2) {
        (void)snprintf(key, sizeof key, "app/%03u", i);
        cache_put(cache, &(struct cache_row){ .key = key });
    }
    cache_put(cache, &(struct cache_row){ .key = "app/never" }); /* removing nothing is fine */
    unsigned wanted = 1;
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(cache, "app/", NULL, &at)) != NULL; wanted += 2) {
        (void)snprintf(key, sizeof key, "app/%03u", wanted);
        assert_string_equal(entry->key, key);
    }
    assert_int_equal(wanted, 501);
    cache_free(cache);
}

struct ear {
    struct cache_watcher watcher;
    struct cache *cache;
    unsigned count;
    enum cache_change last;
    char key[64];
    bool shown; /* the cache showed the change when we heard of it */
};

static void
on_change(struct cache_watcher *watcher, enum cache_change change, const char *key,
          const char *site)
{
    struct ear *ear = CONTAINER_OF(watcher, struct ear, watcher);
    ear->count++;
    ear->last = change;
    (void)snprintf(ear->key, sizeof ear->key, "%s", key == NULL ? "-" : key);
    ear->shown = key == NULL || change == CACHE_LOCAL || cache_get(ear->cache, key, site) != NULL;
}

static void
tells_after_it_shows(void **state)
{
    (void)state;
    struct cache *cache = filled();
    struct ear ear = { .watcher.changed = on_change, .cache = cache };
    cache_watch(cache, &ear.watcher);
    uint64_t generation = cache_generation(cache);
    cache_put(cache, &(struct cache_row){ .key = "app/new", .text = "1" });
    assert_int_equal(ear.count, 1);
    assert_int_equal(ear.last, CACHE_SHARED);
    assert_string_equal(ear.key, "app/new");
    assert_true(ear.shown);
    assert_true(cache_generation(cache) > generation);
    cache_put_local(cache, &(struct cache_row){ .key = "log.level", .text = "\"debug\"" });
    assert_int_equal(ear.last, CACHE_LOCAL);

    cache_reload_begin(cache, true, false);
    for (unsigned i = 0; i < 10; i++)
        cache_put(cache, &(struct cache_row){ .key = "app/again", .text = "1" });
    assert_int_equal(ear.count, 2);
    cache_reload_end(cache);
    assert_int_equal(ear.count, 3);
    assert_int_equal(ear.last, CACHE_RELOAD);
    assert_null(cache_get(cache, "app/new", ""));
    assert_non_null(cache_local(cache, "log.level")); /* only shared was loaded anew */
    cache_unwatch(&ear.watcher);
    cache_free(cache);
}

static void
resolves_settings(void **state)
{
    (void)state;
    struct cache *cache = cache_new("east-1", "east");
    const struct setting_source *source = cache_settings(cache);
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, source), 10000);
    cache_put(cache, &(struct cache_row){ .key = "probe.interval_ms", .text = "5000" });
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, source), 5000);
    cache_put(cache,
              &(struct cache_row){ .key = "probe.interval_ms", .site = "west", .text = "1000" });
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, source), 5000);
    cache_put(cache,
              &(struct cache_row){ .key = "probe.interval_ms", .site = "east", .text = "2000" });
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, source), 2000);
    /* what psql wrote past our checks is passed over */
    cache_put(cache,
              &(struct cache_row){ .key = "probe.interval_ms", .site = "east", .text = "\"no\"" });
    assert_int_not_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, source), 2000);
    cache_put_local(cache, &(struct cache_row){ .key = "log.level", .text = "\"debug\"" });
    assert_string_equal(setting_text(SETTING_LOG_LEVEL, source), "debug");
    cache_free(cache);
}

static void
is_loaded_by_shared_only(void **state)
{
    (void)state;
    struct cache *cache = cache_new("east-1", "east");
    cache_reload_begin(cache, false, true);
    cache_reload_end(cache);
    assert_false(cache_loaded(cache));
    cache_reload_begin(cache, true, false);
    cache_reload_end(cache);
    assert_true(cache_loaded(cache));
    cache_free(cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_key_and_site),       cmocka_unit_test(walks_a_prefix_in_order),
        cmocka_unit_test(keeps_order_through_changes), cmocka_unit_test(tells_after_it_shows),
        cmocka_unit_test(resolves_settings),           cmocka_unit_test(is_loaded_by_shared_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
