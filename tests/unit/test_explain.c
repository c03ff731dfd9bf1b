/*
 * What explain says, and its promise: explain --if-promoted S before equals explain after.
 *
 * The property is tried on invented clusters. What a promotion does to them is written here a
 * second time, in terms of sites and nodes, and not with the function under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/json.h"
#include "sites/explain.h"

#define SITE_COUNT_MAX 3
#define NODE_COUNT_MAX 6
#define ENTRY_COUNT    24
#define WORLD_COUNT    500

/* ---- an invented cluster ---- */

struct entry {
    enum setting_layer layer;
    unsigned owner; /* SITE: the site, NODE: the node */
    const char *key;
    const char *text;
    struct json_object *value; /* owned */
};

struct world {
    unsigned site_count;
    unsigned node_count;
    unsigned node_site[NODE_COUNT_MAX];
    bool node_fenced[NODE_COUNT_MAX];
    unsigned primary; /* node */
    struct entry entries[ENTRY_COUNT];
    size_t entry_count;
};

struct eye {
    struct world *world;
    unsigned node;
};

static const char *const site_names[] = { "east", "west", "north" };
static const char *const node_names[] = { "n-0", "n-1", "n-2", "n-3", "n-4", "n-5" };

static const struct {
    const char *key;
    const char *values[5];
} vocabulary[] = {
    { "connector/pam",
      { "{}", "{\"main\":{\"url\":\"https://m.east\"}}",
        "{\"alternate\":{\"url\":\"https://a.west\"}}",
        "{\"main\":{\"url\":\"https://m.east\"},\"alternate\":{\"url\":\"https://a.west\"}}",
        "{\"main\":{\"url\":\"telnet://broken\"}}" } },
    { "connector/pam/use_alternate_server", { "true", "false", "true", "false", "\"maybe\"" } },
    { "probe.interval_ms", { "1000", "2000", "3000", "\"soon\"", "null" } },
    { "durability", { "\"strict\"", "\"async\"", "\"strict\"", "\"available\"", "1" } },
    { "app/colour", { "\"red\"", "null", "{\"a\":[1]}", "7", "true" } },
};

static uint64_t
next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static unsigned
pick(uint64_t *seed, size_t count)
{
    return (unsigned)(next_random(seed) % count);
}

static bool
world_find(void *data, enum setting_layer layer, const char *site, const char *key,
           struct setting_stored *ret)
{
    const struct eye *eye = data;
    for (size_t i = 0; i < eye->world->entry_count; i++) {
        const struct entry *entry = &eye->world->entries[i];
        if (entry->layer != layer || strcmp(entry->key, key) != 0 ||
            (layer == SETTING_LAYER_NODE && entry->owner != eye->node) ||
            (layer == SETTING_LAYER_SITE && strcmp(site_names[entry->owner], site) != 0))
            continue;
        ret->value = entry->value;
        ret->revision = layer == SETTING_LAYER_NODE ? 0 : i + 1;
        ret->author = "anna";
        ret->at = "2026-11-22 05:41:03+00";
        return true;
    }
    return false;
}

static void
make_world(struct world *world, uint64_t *seed)
{
    *world = (struct world){ .site_count = 1 + pick(seed, SITE_COUNT_MAX) };
    world->node_count = world->site_count + pick(seed, NODE_COUNT_MAX - world->site_count + 1);
    for (unsigned i = 0; i < world->node_count; i++) {
        world->node_site[i] = i < world->site_count ? i : pick(seed, world->site_count);
        world->node_fenced[i] = pick(seed, 5) == 0;
    }
    world->primary = pick(seed, world->node_count);
    world->node_fenced[world->primary] = false;
    world->entry_count = pick(seed, ENTRY_COUNT);
    for (size_t i = 0; i < world->entry_count; i++) {
        unsigned word = pick(seed, ARRAY_COUNT(vocabulary));
        struct entry *entry = &world->entries[i];
        entry->key = vocabulary[word].key;
        entry->text = vocabulary[word].values[pick(seed, 5)];
        entry->layer = (enum setting_layer)pick(seed, 3);
        entry->owner =
            pick(seed, entry->layer == SETTING_LAYER_NODE ? world->node_count : world->site_count);
        struct err err;
        assert_int_equal(json_read(entry->text, strlen(entry->text), &entry->value, &err),
                         ERR_NONE);
    }
}

static void
free_world(struct world *world)
{
    for (size_t i = 0; i < world->entry_count; i++)
        json_putp(&world->entries[i].value);
}

/* What a promotion does: the candidate is the primary, the old one a standby. */
static void
promote(struct world *world, unsigned candidate)
{
    world->primary = candidate;
    world->node_fenced[candidate] = false;
}

static struct explain_view
view_of(const struct world *world, unsigned node)
{
    struct explain_view view = {
        .node = node_names[node],
        .site = site_names[world->node_site[node]],
        .site_primary = world->node_site[node] == world->node_site[world->primary],
        .single_site = world->site_count == 1,
        .role = EFFECTIVE_ROLE_STANDBY,
    };
    if (node == world->primary)
        view.role = EFFECTIVE_ROLE_PRIMARY;
    else if (world->node_fenced[node])
        view.role = EFFECTIVE_ROLE_FENCED;
    return view;
}

static struct json_object *
explain(struct world *world, unsigned node, const struct explain_view *view, const char *key,
        bool node_known)
{
    struct eye eye = { .world = world, .node = node };
    struct setting_source source = { .find = world_find,
                                     .data = &eye,
                                     .site = site_names[world->node_site[node]],
                                     .node_known = node_known };
    struct json_object *json = NULL;
    struct err err;
    if (explain_key(key, view, &source, &json, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return json;
}

/* Every node, every key: what is said before about the promotion is what is said after it. */
static unsigned
check_world(struct world *world, unsigned candidate)
{
    struct world after = *world;
    unsigned servers_in_use = 0;
    promote(&after, candidate);
    for (unsigned node = 0; node < world->node_count; node++) {
        struct explain_view now = view_of(world, node);
        struct explain_view promised =
            explain_promoted(&now, site_names[world->node_site[candidate]], node_names[candidate]);
        struct explain_view then = view_of(&after, node);
        bool known = node % 2 == 0;
        for (size_t i = 0; i < ARRAY_COUNT(vocabulary); i++) {
            CLEANUP(json_putp)
            struct json_object *before = explain(world, node, &promised, vocabulary[i].key, known);
            CLEANUP(json_putp)
            struct json_object *later = explain(&after, node, &then, vocabulary[i].key, known);
            assert_string_equal(json_text(before), json_text(later));
            const char *in_use;
            if (i == 0 && json_get_string(json_get(later, "connector"), "in_use", &in_use) &&
                (strcmp(in_use, "main") == 0 || strcmp(in_use, "alternate") == 0))
                servers_in_use++;
        }
    }
    return servers_in_use;
}

static void
test_if_promoted_before_equals_explain_after(void **state)
{
    (void)state;
    uint64_t seed = 0x5eedULL;
    unsigned served = 0;
    for (unsigned i = 0; i < WORLD_COUNT; i++) {
        struct world world;
        make_world(&world, &seed);
        unsigned servers_in_use = check_world(&world, pick(&seed, world.node_count));
        /* one node at most has a server in use */
        assert_true(servers_in_use <= 1);
        served += servers_in_use;
        free_world(&world);
    }
    /* the invented worlds are not all empty ones */
    assert_true(served > WORLD_COUNT / 20);
}

/* ---- what it says, word by word ---- */

static void
test_document_of_a_connector(void **state)
{
    (void)state;
    struct world world = { .site_count = 2, .node_count = 2, .node_site = { 0, 1 } };
    struct entry entries[] = {
        { SETTING_LAYER_CLUSTER, 0, vocabulary[0].key, vocabulary[0].values[3], NULL },
        { SETTING_LAYER_NODE, 1, vocabulary[1].key, "true", NULL },
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        world.entries[i] = entries[i];
        assert_int_equal(
            json_read(entries[i].text, strlen(entries[i].text), &world.entries[i].value, &err),
            ERR_NONE);
    }
    world.entry_count = ARRAY_COUNT(entries);

    /* P1, P2: ticked in advance at the secondary, ignored until its site becomes primary */
    struct explain_view west = view_of(&world, 1);
    CLEANUP(json_putp) struct json_object *now = explain(&world, 1, &west, vocabulary[1].key, true);
    assert_string_equal(
        json_text(now),
        "{\"key\":\"connector/pam/use_alternate_server\",\"scope\":\"node\",\"type\":\"bool\","
        "\"unit\":\"\",\"reload\":\"live\",\"text\":\"whether this node, when it acts, uses the "
        "alternate server of the connector\",\"node\":\"n-1\",\"site\":\"west\",\"value\":true,"
        "\"from\":\"node\",\"known\":true,\"refused\":false,\"layers\":["
        "{\"layer\":\"node\",\"site\":\"\",\"value\":true,\"revision\":0,\"author\":\"anna\","
        "\"at\":\"2026-11-22 05:41:03+00\",\"used\":true},"
        "{\"layer\":\"default\",\"site\":\"\",\"value\":false,\"revision\":0,\"author\":null,"
        "\"at\":null,\"used\":false}],"
        "\"connector\":{\"name\":\"pam\",\"role\":\"standby\",\"site_primary\":false,"
        "\"in_use\":\"none\",\"would_use\":\"alternate\",\"url\":\"https://a.west\","
        "\"use_alternate_server\":true,\"hint\":\"\"}}");

    struct explain_view promoted = explain_promoted(&west, "west", "n-1");
    CLEANUP(json_putp)
    struct json_object *then = explain(&world, 1, &promoted, vocabulary[0].key, true);
    const char *in_use = NULL;
    assert_true(json_get_string(json_get(then, "connector"), "in_use", &in_use));
    assert_string_equal(in_use, "alternate");
    free_world(&world);
}

static void
test_unknown_is_never_shown_as_good(void **state)
{
    (void)state;
    struct world world = { .site_count = 2, .node_count = 2, .node_site = { 0, 1 } };
    struct explain_view west = view_of(&world, 1);
    CLEANUP(json_putp)
    struct json_object *flag = explain(&world, 1, &west, vocabulary[1].key, false);
    bool known = true;
    const char *text;
    assert_true(json_get_bool(flag, "known", &known));
    assert_false(known);
    assert_null(json_get(flag, "value"));
    assert_null(json_get(flag, "from"));
    assert_true(json_get_string(json_get(flag, "connector"), "would_use", &text));
    assert_string_equal(text, "unknown");
}

/* A secret is shown by its key alone; and a connector says whether the one that it names is there.
 */
static void
test_secrets(void **state)
{
    (void)state;
    struct world world = { .site_count = 2, .node_count = 2, .node_site = { 0, 1 } };
    struct entry entries[] = {
        { SETTING_LAYER_CLUSTER, 0, "connector/pam",
          "{\"main\":{\"url\":\"https://m\",\"credential\":\"secret/pam-main\"},"
          "\"alternate\":{\"url\":\"https://a\",\"credential\":\"secret/pam-alt\"}}",
          NULL },
        { SETTING_LAYER_NODE, 1, "connector/pam/use_alternate_server", "true", NULL },
        { SETTING_LAYER_CLUSTER, 0, "secret/pam-main",
          "{\"key\":\"0123456789abcdef\",\"sealed\":\"AAAAAAAA\"}", NULL },
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        world.entries[i] = entries[i];
        assert_int_equal(
            json_read(entries[i].text, strlen(entries[i].text), &world.entries[i].value, &err),
            ERR_NONE);
    }
    world.entry_count = ARRAY_COUNT(entries);
    static const char *const wanted[] = { "{\"name\":\"secret/pam-main\",\"there\":true}",
                                          "{\"name\":\"secret/pam-alt\",\"there\":false}" };
    for (unsigned node = 0; node < 2; node++) {
        struct explain_view view = view_of(&world, node);
        CLEANUP(json_putp)
        struct json_object *json = explain(&world, node, &view, "connector/pam", true);
        struct json_object *credential = json_get(json_get(json, "connector"), "credential");
        assert_string_equal(json_text(credential), wanted[node]);
    }
    struct explain_view view = view_of(&world, 0);
    CLEANUP(json_putp)
    struct json_object *json = explain(&world, 0, &view, "secret/pam-main", true);
    assert_string_equal(json_text(json_get(json, "value")), "{\"sealed\":\"0123456789abcdef\"}");
    assert_null(strstr(json_text(json), "AAAAAAAA"));
    free_world(&world);
}

static void
test_refusals(void **state)
{
    (void)state;
    struct world world = { .site_count = 1, .node_count = 1 };
    struct explain_view view = view_of(&world, 0);
    struct eye eye = { .world = &world };
    struct setting_source source = {
        .find = world_find, .data = &eye, .site = "east", .node_known = true
    };
    struct json_object *json = NULL;
    struct err err = { 0 };
    assert_int_equal(explain_key("user/anna", &view, &source, &json, &err), ERR_INVALID);
    assert_string_equal(err.slug, "key_system");
    assert_int_equal(explain_key("durabilty", &view, &source, &json, &err), ERR_INVALID);
    assert_string_equal(err.slug, "key_unknown");
    assert_null(json);
}

static void
test_promoted_view(void **state)
{
    (void)state;
    struct explain_view view = {
        .node = "a", .site = "east", .site_primary = true, .role = EFFECTIVE_ROLE_PRIMARY
    };
    struct explain_view then = explain_promoted(&view, "west", "b");
    assert_int_equal(then.role, EFFECTIVE_ROLE_STANDBY);
    assert_false(then.site_primary);
    /* another node of the same site takes over */
    then = explain_promoted(&view, "east", "c");
    assert_int_equal(then.role, EFFECTIVE_ROLE_STANDBY);
    assert_true(then.site_primary);
    view.role = EFFECTIVE_ROLE_FENCED;
    then = explain_promoted(&view, "west", "b");
    assert_int_equal(then.role, EFFECTIVE_ROLE_FENCED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if_promoted_before_equals_explain_after),
        cmocka_unit_test(test_document_of_a_connector),
        cmocka_unit_test(test_unknown_is_never_shown_as_good),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_promoted_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
