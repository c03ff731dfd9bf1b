#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/setting.h"

/* ---- a store of values in memory ---- */

struct store_row {
    enum setting_layer layer;
    const char *site;
    const char *key;
    struct json_object *value; /* owned */
};

struct store {
    struct store_row rows[16];
    size_t count;
};

static struct json_object *
parse(const char *text)
{
    struct json_object *value = NULL;
    struct err err;
    if (json_read(text, strlen(text), &value, &err) != ERR_NONE)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static void
put(struct store *store, enum setting_layer layer, const char *site, const char *key,
    const char *text)
{
    assert_true(store->count < ARRAY_COUNT(store->rows));
    store->rows[store->count++] = (struct store_row){ layer, site, key, parse(text) };
}

static void
store_done(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        json_putp(&store->rows[i].value);
}

static bool
find(void *data, enum setting_layer layer, const char *site, const char *key,
     struct setting_stored *ret)
{
    struct store *store = data;
    assert_int_not_equal(layer, SETTING_LAYER_DEFAULT);
    for (size_t i = 0; i < store->count; i++) {
        const struct store_row *row = &store->rows[i];
        if (row->layer != layer || strcmp(row->site, site) != 0 || strcmp(row->key, key) != 0)
            continue;
        ret->value = row->value;
        ret->revision = i + 1;
        return true;
    }
    return false;
}

static struct setting_source
source_of(struct store *store, const char *site)
{
    return (struct setting_source){ .find = find, .data = store, .site = site, .node_known = true };
}

/* ---- the table itself ---- */

static void
test_rows_are_sound(void **state)
{
    (void)state;
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct setting_row *row = setting_row(id);
        assert_int_equal(row->id, id);
        assert_true(strlen(row->text) > 0);
        assert_true(row->min <= row->max);
        assert_true((row->choices != NULL) == (row->type == SETTING_TYPE_CHOICE));
        if (row->type == SETTING_TYPE_INTEGER)
            assert_true(row->unit[0] != '\0' && row->min >= 0 && row->default_text != NULL);
        for (enum setting_id other = 0; other < id; other++)
            assert_string_not_equal(row->name, setting_row(other)->name);
        if (strchr(row->name, '*') == NULL)
            assert_ptr_equal(setting_find(row->name), row);
        /* a default obeys the limits of its own row */
        CLEANUP(json_putp) struct json_object *value = setting_default(row);
        if (row->default_text == NULL || strchr(row->name, '*') != NULL)
            continue;
        struct err err = { 0 };
        if (setting_check_value(row->name, value, &err) != ERR_NONE)
            fail_msg("%s", err.text);
    }
}

/* How values of several nodes go together is said of every key of node scope, and of no other. */
static void
test_each_local_key_says_how_it_goes_together(void **state)
{
    static const enum setting_id told[] = {
#define X(id, rule) SETTING_##id,
        SETTING_DRIFT_TABLE(X)
#undef X
    };
    (void)state;
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        size_t count = 0;
        for (size_t i = 0; i < ARRAY_COUNT(told); i++)
            count += told[i] == id;
        if (count != (setting_row(id)->scope == SETTING_SCOPE_NODE))
            fail_msg("SETTING_DRIFT_TABLE has %s %zu times", setting_row(id)->name, count);
    }
    assert_int_equal(setting_drift(SETTING_USE_ALTERNATE), SETTING_DRIFT_DIFFER); /* P4 */
    assert_int_equal(setting_drift(SETTING_SYNC_K), SETTING_DRIFT_FREE);
    assert_string_equal(setting_drift_name(SETTING_DRIFT_MATCH), "match");
}

static void
expect_row(const char *key, int id)
{
    const struct setting_row *row = setting_find(key);
    if (id < 0)
        assert_null(row);
    else if (row == NULL || (int)row->id != id)
        fail_msg("'%s' has the row of '%s'", key, row == NULL ? "-" : row->name);
}

static void
test_find(void **state)
{
    (void)state;
    expect_row("durability", SETTING_DURABILITY);
    expect_row("peer.poll_ms", SETTING_PEER_POLL_MS);
    expect_row("connector/pam", SETTING_CONNECTOR);
    expect_row("connector/pam/use_alternate_server", SETTING_USE_ALTERNATE);
    expect_row("app/a", SETTING_APP);
    expect_row("app/a/B/c", SETTING_APP);
    expect_row("node/west-1", SETTING_SYSTEM_NODE);
    expect_row("sync/set", SETTING_SYSTEM_SYNC);
    expect_row("promotion/3/west-1", SETTING_SYSTEM_PROMOTION);
    expect_row("", -1);
    expect_row("app", -1);
    expect_row("app/", -1);
    expect_row("Durability", -1);
    expect_row("durability2", -1);
    expect_row("connector/", -1);
    expect_row("connector/PAM", -1);
    expect_row("connector/pam/", -1);
    expect_row("connector/pam/use_alternate", -1);
    expect_row("connector/a/b/use_alternate_server", -1);
}

/* The database knows the same rules, by LIKE. */
static void
test_rules_for_sql(void **state)
{
    (void)state;
    CLEANUP(json_putp) struct json_object *rules = setting_rules_json();
    assert_int_equal(json_object_array_length(rules), SETTING_COUNT);
    const char *text = json_text(rules);
    assert_non_null(
        strstr(text, "{\"pattern\":\"connector/%/use_alternate_server\",\"scope\":\"node\"}"));
    assert_non_null(strstr(text, "{\"pattern\":\"connector/%\",\"scope\":\"site\"}"));
    assert_non_null(strstr(text, "{\"pattern\":\"app/%\",\"scope\":\"site\"}"));
    assert_non_null(strstr(text, "{\"pattern\":\"durability\",\"scope\":\"cluster\"}"));
    assert_non_null(strstr(text, "{\"pattern\":\"node/%\",\"scope\":\"system\"}"));
}

/* ---- checks ---- */

static void
expect_key(const char *key, const char *slug, const char *part)
{
    const struct setting_row *row = NULL;
    struct err err = { 0 };
    enum err_code code = setting_check_key(key, &row, &err);
    if (slug == NULL) {
        assert_int_equal(code, ERR_NONE);
        return;
    }
    assert_int_not_equal(code, ERR_NONE);
    assert_null(row);
    assert_string_equal(err.slug, slug);
    if (strstr(err.text, part) == NULL && strstr(err.mend, part) == NULL)
        fail_msg("'%s' is not in: %s; %s", part, err.text, err.mend);
    assert_true(str_is_utf8(err.text, strlen(err.text)));
}

static void
test_check_key(void **state)
{
    (void)state;
    expect_key("durability", NULL, NULL);
    expect_key("app/Any.thing~@:+-_", NULL, NULL);
    expect_key("", "key_spelling", "not made of words");
    expect_key("app/a b", "key_spelling", "'app/a b'");
    expect_key("app//b", "key_spelling", "words");
    expect_key("/app", "key_spelling", "words");
    expect_key("app/x/", "key_spelling", "words");
    expect_key("app/\033[2J", "key_spelling", "'app/?[2J'");
    expect_key("app/b\xc3\xbc", "key_spelling", "letters, digits");
    expect_key("app/\xff", "key_spelling", "letters, digits");
    expect_key("durabilty", "key_unknown", "did you mean 'durability'?");
    expect_key("peer.poll", "key_unknown", "did you mean 'peer.poll_ms'?");
    expect_key("conector/pam", "key_unknown", "did you mean 'connector/*'?");
    expect_key("conector/pam/use_alternate_server", "key_unknown",
               "did you mean 'connector/*/use_alternate_server'?");
    expect_key("xyz", "key_unknown", "your own keys go under app/");

    char key[300] = "app/";
    memset(key + 4, 'a', sizeof key - 5);
    key[SETTING_KEY_SIZE_MAX] = '\0';
    expect_key(key, NULL, NULL);
    key[SETTING_KEY_SIZE_MAX] = 'a';
    key[SETTING_KEY_SIZE_MAX + 1] = '\0';
    expect_key(key, "key_too_long", "256 bytes, at most 255");
}

static void
expect_place(const char *key, enum setting_layer layer, const char *site, const char *slug)
{
    struct err err = { 0 };
    enum err_code code = setting_check_place(key, layer, site, &err);
    assert_int_equal(code == ERR_NONE, slug == NULL);
    if (slug != NULL)
        assert_string_equal(err.slug, slug);
}

static void
test_check_place(void **state)
{
    (void)state;
    const enum setting_layer shared = SETTING_LAYER_CLUSTER;
    const enum setting_layer site = SETTING_LAYER_SITE;
    const enum setting_layer local = SETTING_LAYER_NODE;
    expect_place("durability", shared, "", NULL);
    expect_place("durability", site, "west", "key_scope");
    expect_place("durability", local, "", "key_scope");
    expect_place("probe.interval_ms", shared, "", NULL);
    expect_place("probe.interval_ms", site, "west", NULL);
    expect_place("probe.interval_ms", site, "We st", "site_spelling");
    expect_place("connector/pam", site, "west", NULL);
    /* P1: the flag is never replicated, the servers are */
    expect_place("connector/pam", local, "", "key_scope");
    expect_place("connector/pam/use_alternate_server", local, "", NULL);
    expect_place("connector/pam/use_alternate_server", shared, "", "key_scope");
    expect_place("connector/pam/use_alternate_server", site, "west", "key_scope");
    expect_place("log.level", shared, "", "key_scope");
    expect_place("app/x", shared, "", NULL);
    expect_place("app/x", local, "", "key_scope");
    expect_place("node/west-1", shared, "", "key_system");
    expect_place("epoch", local, "", "key_system");
    expect_place("nonsense", shared, "", "key_unknown");
}

static void
expect_fault(const char *key, const char *text, const char *fault)
{
    CLEANUP(json_putp) struct json_object *value = parse(text);
    struct err err = { 0 };
    enum err_code code = setting_check_value(key, value, &err);
    if (fault == NULL) {
        if (code != ERR_NONE)
            fail_msg("%s", err.text);
        return;
    }
    assert_int_equal(code, ERR_INVALID);
    assert_string_equal(err.slug, "bad_value");
    assert_string_equal(err.text, fault);
}

static void
test_check_value(void **state)
{
    (void)state;
    expect_fault("durability", "\"strict\"", NULL);
    expect_fault("durability", "\"available\"", NULL);
    expect_fault("durability", "\"async\"", NULL);
    expect_fault("durability", "\"\"", "durability: '' is not one of strict|available|async");
    expect_fault("durability", "\"strict|async\"",
                 "durability: 'strict|async' is not one of strict|available|async");
    expect_fault("durability", "1", "durability: must be a text, one of strict|available|async");
    expect_fault("sync.k", "1", NULL);
    expect_fault("sync.k", "0", "sync.k: 0 members is not from 1 to 8");
    expect_fault("sync.k", "1.0", "sync.k: must be an integer (members) from 1 to 8");
    expect_fault("sync.k", "\"1\"", "sync.k: must be an integer (members) from 1 to 8");
    expect_fault("sync.k", "null", "sync.k: must be an integer (members) from 1 to 8");
    expect_fault("peer.poll_ms", "-1", "peer.poll_ms: -1 ms is not from 100 to 60000");
    expect_fault("metrics.public", "true", NULL);
    expect_fault("metrics.public", "\"true\"", "metrics.public: must be true or false");
    expect_fault("connector/pam/use_alternate_server", "1",
                 "connector/pam/use_alternate_server: must be true or false");
    expect_fault("connector/pam", "{}", NULL);
    expect_fault("connector/pam", "{\"main\":{\"url\":\"http://x\"},\"prob\":{}}",
                 "connector/pam: /main/url: must begin with https://; /prob: not known here; did "
                 "you mean 'probe'?");
    expect_fault("app/x", "null", NULL);
    expect_fault("app/x", "[1,{\"a\":\"b\"}]", NULL);
}

static void
test_value_size(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_add_text(&text, "\"");
    while (text.size < SETTING_VALUE_SIZE_MAX - 1)
        buf_add_text(&text, "x");
    buf_add_text(&text, "\"");
    expect_fault("app/x", buf_text(&text), NULL);

    buf_clear(&text);
    buf_add_text(&text, "\"");
    while (text.size < SETTING_VALUE_SIZE_MAX)
        buf_add_text(&text, "x");
    buf_add_text(&text, "\"");
    CLEANUP(json_putp) struct json_object *value = parse(buf_text(&text));
    struct err err = { 0 };
    assert_int_equal(setting_check_value("app/x", value, &err), ERR_LIMIT);
    assert_string_equal(err.slug, "value_too_large");

    static const char *const vast[] = { "1e131000", "[0, 1E+65]", "{\"a\": [-2.5e-65]}",
                                        "1e99999999999999999999" };
    for (size_t i = 0; i < ARRAY_COUNT(vast); i++) {
        CLEANUP(json_putp) struct json_object *number = NULL;
        assert_int_equal(json_read(vast[i], strlen(vast[i]), &number, &err), ERR_NONE);
        assert_int_equal(setting_check_value("app/x", number, &err), ERR_LIMIT);
        assert_string_equal(err.slug, "number_too_long");
        assert_non_null(strstr(err.text, "'app/x'"));
    }
    CLEANUP(json_putp) struct json_object *small = NULL;
    assert_int_equal(json_read("[1.5e3, 2e-60]", 14, &small, &err), ERR_NONE);
    assert_int_equal(setting_check_value("app/x", small, &err), ERR_NONE);
    buf_done(&text);
}

static void
test_check_change(void **state)
{
    (void)state;
    CLEANUP(json_putp) struct json_object *bad = parse("\"often\"");
    struct err err = { 0 };
    assert_int_equal(setting_check_change("sync.k", SETTING_LAYER_CLUSTER, "", false, bad, &err),
                     ERR_INVALID);
    assert_string_equal(err.slug, "bad_value");
    /* a deletion has no value to check, yet its place must be right */
    assert_int_equal(setting_check_change("sync.k", SETTING_LAYER_CLUSTER, "", true, bad, &err),
                     ERR_NONE);
    assert_int_equal(setting_check_change("sync.k", SETTING_LAYER_NODE, "", true, NULL, &err),
                     ERR_INVALID);
}

/* ---- one value against another ---- */

static void
expect_bound(const char *key, const char *value, const char *fault)
{
    struct store store = { 0 };
    struct fault_list faults = { 0 };
    put(&store, SETTING_LAYER_CLUSTER, "", key, value);
    struct setting_source source = source_of(&store, "west");
    setting_bound_faults(&source, &faults);
    assert_int_equal(faults.count, fault == NULL ? 0 : 1);
    if (fault != NULL) {
        char text[FAULT_POINTER_SIZE + FAULT_TEXT_SIZE + 2];
        (void)snprintf(text, sizeof text, "%s: %s", faults.list[0].pointer, faults.list[0].text);
        assert_string_equal(text, fault);
    }
    store_done(&store);
}

/* S5. */
static void
test_bounds_between_keys(void **state)
{
    (void)state;
    expect_bound("lease.renew_ms", "2250", NULL);
    expect_bound("lease.renew_ms", "2251",
                 "/lease.renew_ms: 2251 ms, but at most 2250: a lease of lease.ttl_ms must see two "
                 "renewals before its guard begins");
    expect_bound("lease.ttl_ms", "2500", NULL);
    expect_bound("lease.ttl_ms", "2499",
                 "/lease.renew_ms: 1000 ms, but at most 999: a lease of lease.ttl_ms must see two "
                 "renewals before its guard begins");
    expect_bound("peer.stale_ms", "4000", NULL);
    expect_bound("peer.stale_ms", "3999",
                 "/peer.poll_ms: 1000 ms, but at most 999: two pauses and a peer.timeout_ms must "
                 "fit in peer.stale_ms, or one lost answer makes a fact unknown; raise "
                 "peer.stale_ms, or lower peer.timeout_ms or this");
    expect_bound("peer.stale_ms", "2199",
                 "/peer.timeout_ms: 2000 ms, but at most 1999: peer.stale_ms must leave room for "
                 "two looks beside a lost one; raise it, or lower this");
    expect_bound("peer.timeout_ms", "3000", NULL);
    expect_bound("instance.silence_ms", "20000", NULL);
    expect_bound("instance.silence_ms", "19999",
                 "/instance.heartbeat_ms: 10000 ms, but at most 9999: one lost heartbeat is no "
                 "silence: two must fit in instance.silence_ms; raise it, or lower this");
    expect_bound("probe.interval_ms", "2000", NULL);
    expect_bound("probe.interval_ms", "1999",
                 "/probe.timeout_ms: 2000 ms, but at most 1999: a probe must be over when the next "
                 "is due; raise probe.interval_ms, or lower this");
    expect_bound("sync.commit_wait_ms", "1000",
                 "/sync.wait_ms: 2000 ms, but at most 1000: after sync.commit_wait_ms a write is "
                 "answered with outcome unknown");
    expect_bound("takeover.within_site", "\"unguarded\"", NULL);
    expect_bound("arbiter", "{\"kind\":\"etcd\"}", NULL);
}

/* A node's own pause must fit as well, and it does not weigh on the cluster's. */
static void
test_bounds_of_a_local_setting(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct fault_list faults = { 0 };
    struct setting_source source = source_of(&store, "west");
    put(&store, SETTING_LAYER_NODE, "", "check.interval_ms", "1500");
    setting_bound_faults(&source, &faults);
    assert_int_equal(faults.count, 0);
    json_putp(&store.rows[0].value);
    store.rows[0].value = parse("1501");
    setting_bound_faults(&source, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].pointer, "/check.interval_ms");
    assert_non_null(strstr(faults.list[0].text, "1501 ms, but at most 1500: two pauses"));
    store_done(&store);
}

static void
test_unguarded_is_for_clusters_without_an_arbiter(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct fault_list faults = { 0 };
    put(&store, SETTING_LAYER_CLUSTER, "", "takeover.across_sites", "\"unguarded\"");
    put(&store, SETTING_LAYER_CLUSTER, "", "arbiter", "{\"kind\":\"manual\"}");
    struct setting_source source = source_of(&store, "west");
    setting_bound_faults(&source, &faults);
    assert_int_equal(faults.count, 0);
    put(&store, SETTING_LAYER_CLUSTER, "", "takeover.within_site", "\"unguarded\"");
    json_putp(&store.rows[1].value);
    store.rows[1].value = parse("{\"kind\":\"postgres\"}");
    setting_bound_faults(&source, &faults);
    assert_int_equal(faults.count, 2);
    assert_string_equal(faults.list[0].pointer, "/takeover.within_site");
    assert_string_equal(faults.list[0].text,
                        "'unguarded' is for clusters without an arbiter, and this one has one; "
                        "choose automatic");
    assert_string_equal(faults.list[1].pointer, "/takeover.across_sites");
    store_done(&store);
}

/* ---- effective values ---- */

static void
test_layers_of_a_site_key(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store store = { 0 };
    struct setting_source east = source_of(&store, "east");
    struct setting_source west = source_of(&store, "west");
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, &east), 10000);
    put(&store, SETTING_LAYER_CLUSTER, "", "probe.interval_ms", "20000");
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, &east), 20000);
    put(&store, SETTING_LAYER_SITE, "west", "probe.interval_ms", "30000");
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, &east), 20000);
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, &west), 30000);
    /* a layer that the scope does not have is not looked at, whatever stands there */
    put(&store, SETTING_LAYER_NODE, "", "probe.interval_ms", "40000");
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, &west), 30000);
}

static void
test_layers_of_cluster_and_node_keys(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store store = { 0 };
    struct setting_source east = source_of(&store, "east");
    put(&store, SETTING_LAYER_SITE, "east", "metrics.public", "true");
    put(&store, SETTING_LAYER_NODE, "", "metrics.public", "true");
    put(&store, SETTING_LAYER_CLUSTER, "", "log.level", "\"debug\"");
    assert_false(setting_bool(SETTING_METRICS_PUBLIC, &east));
    assert_string_equal(setting_text(SETTING_LOG_LEVEL, &east), "info");
    put(&store, SETTING_LAYER_CLUSTER, "", "metrics.public", "true");
    put(&store, SETTING_LAYER_NODE, "", "log.level", "\"warn\"");
    assert_true(setting_bool(SETTING_METRICS_PUBLIC, &east));
    assert_string_equal(setting_text(SETTING_LOG_LEVEL, &east), "warn");
}

static void
test_resolved_value_says_where_it_is_from(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store store = { 0 };
    struct setting_source east = source_of(&store, "east");
    CLEANUP(setting_value_done) struct setting_value none;
    setting_resolve(setting_row(SETTING_APP), "app/x", &east, &none);
    assert_false(none.set);
    assert_int_equal(none.layer, SETTING_LAYER_DEFAULT);

    put(&store, SETTING_LAYER_CLUSTER, "", "app/y", "1");
    put(&store, SETTING_LAYER_CLUSTER, "", "app/x", "null");
    CLEANUP(setting_value_done) struct setting_value null;
    setting_resolve(setting_row(SETTING_APP), "app/x", &east, &null);
    assert_true(null.set);
    assert_null(null.value);
    assert_int_equal(null.layer, SETTING_LAYER_CLUSTER);
    assert_int_equal(null.stored.revision, 2);
}

/* psql users write without our check: what the table does not allow is passed over for the
 * default, and never for a wider layer, which might name another connector server. */
static void
test_stored_nonsense_is_never_used(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store store = { 0 };
    struct setting_source east = source_of(&store, "east");
    put(&store, SETTING_LAYER_CLUSTER, "", "probe.interval_ms", "20000");
    put(&store, SETTING_LAYER_SITE, "east", "probe.interval_ms", "\"soon\"");
    put(&store, SETTING_LAYER_CLUSTER, "", "durability", "\"sometimes\"");
    put(&store, SETTING_LAYER_CLUSTER, "", "connector/pam", "{\"main\":{\"url\":\"https://a\"}}");
    put(&store, SETTING_LAYER_SITE, "east", "connector/pam", "{\"main\":{}}");
    assert_int_equal(setting_u64(SETTING_PROBE_INTERVAL_MS, &east), 10000);
    assert_null(setting_text(SETTING_DURABILITY, &east));
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(setting_row(SETTING_CONNECTOR), "connector/pam", &east, &value);
    assert_true(value.refused);
    assert_false(value.set);
    assert_null(value.value);
}

static void
test_flag_of_another_node_is_unknown(void **state)
{
    (void)state;
    CLEANUP(store_done) struct store store = { 0 };
    const char *key = "connector/pam/use_alternate_server";
    put(&store, SETTING_LAYER_NODE, "", key, "true");
    struct setting_source here = source_of(&store, "east");
    assert_true(setting_use_alternate("pam", &here));
    assert_false(setting_use_alternate("sap", &here));

    struct setting_source there = here;
    there.node_known = false;
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(setting_row(SETTING_USE_ALTERNATE), key, &there, &value);
    assert_false(value.known);
    assert_int_equal(value.layer, SETTING_LAYER_DEFAULT);
}

static void
test_durability(void **state)
{
    (void)state;
    static const struct {
        const char *chosen;
        unsigned k;
        unsigned standbys;
        bool strict;
        unsigned waits_for;
        bool arbiter;
        bool available;
    } cases[] = {
        { NULL, 1, 0, false, 0, false, false },      { NULL, 1, 1, false, 0, false, false },
        { NULL, 1, 2, true, 1, false, false },       { NULL, 1, 7, true, 1, false, false },
        { NULL, 2, 2, true, 2, false, false },       { "strict", 1, 0, true, 1, false, false },
        { "strict", 1, 1, true, 1, false, false },   { "strict", 3, 2, true, 3, false, false },
        { "async", 1, 0, false, 0, false, false },   { "async", 2, 5, false, 0, false, false },
        { NULL, 1, 1, false, 0, true, false },       { NULL, 1, 2, true, 1, true, true },
        { "strict", 1, 2, true, 1, true, false },    { "async", 1, 2, false, 0, true, false },
        { "available", 1, 1, true, 1, true, true },  { "available", 2, 5, true, 2, true, true },
        { "available", 1, 2, true, 1, false, true }, /* is asked for, and cannot be had */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct setting_durability durability = setting_durability_effective(
            cases[i].chosen, cases[i].k, cases[i].standbys, cases[i].arbiter);
        assert_int_equal(durability.available, cases[i].available);
        assert_int_equal(durability.strict, cases[i].strict);
        assert_int_equal(durability.k, cases[i].waits_for);
        assert_int_equal(durability.derived, cases[i].chosen == NULL);
    }
    CLEANUP(store_done) struct store store = { 0 };
    struct setting_source east = source_of(&store, "east");
    assert_true(setting_durability(&east, 2, false).strict);
    assert_true(setting_durability(&east, 2, true).available);
    put(&store, SETTING_LAYER_CLUSTER, "", "sync.k", "2");
    put(&store, SETTING_LAYER_CLUSTER, "", "durability", "\"strict\"");
    assert_int_equal(setting_durability(&east, 1, false).k, 2);
    assert_false(setting_durability(&east, 1, false).derived);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_sound),
        cmocka_unit_test(test_each_local_key_says_how_it_goes_together),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_rules_for_sql),
        cmocka_unit_test(test_check_key),
        cmocka_unit_test(test_check_place),
        cmocka_unit_test(test_check_value),
        cmocka_unit_test(test_value_size),
        cmocka_unit_test(test_check_change),
        cmocka_unit_test(test_bounds_between_keys),
        cmocka_unit_test(test_bounds_of_a_local_setting),
        cmocka_unit_test(test_unguarded_is_for_clusters_without_an_arbiter),
        cmocka_unit_test(test_layers_of_a_site_key),
        cmocka_unit_test(test_layers_of_cluster_and_node_keys),
        cmocka_unit_test(test_resolved_value_says_where_it_is_from),
        cmocka_unit_test(test_stored_nonsense_is_never_used),
        cmocka_unit_test(test_flag_of_another_node_is_unknown),
        cmocka_unit_test(test_durability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
