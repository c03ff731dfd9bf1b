#include "sites/sealing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define K1 "1111111111111111"
#define K2 "2222222222222222"
#define K3 "3333333333333333"

static struct json_object *
parsed(const char *text)
{
    struct json_object *value = NULL;
    struct err err;
    if (json_read(text, strlen(text), &value, &err) != ERR_NONE)
        fail_msg("%s: %s", text, err.text);
    return value;
}

/* ---- the shape ---- */

static void
test_shape_is_read_back(void **state)
{
    (void)state;
    uint8_t bytes[SEALING_NONCE_SIZE + SEALING_TAG_SIZE + 5];
    memset(bytes, 7, sizeof bytes);
    CLEANUP(json_putp) struct json_object *value = sealing_write(K1, bytes, sizeof bytes);
    CLEANUP(sealing_value_done) struct sealing_value read = { 0 };
    assert_true(sealing_read(value, &read));
    assert_string_equal(read.key, K1);
    assert_int_equal(read.size, sizeof bytes);
    assert_memory_equal(read.bytes, bytes, sizeof bytes);
    assert_string_equal(sealing_key_of(value), K1);
}

static void
test_what_is_no_sealed_value(void **state)
{
    (void)state;
    static const char good[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"; /* 29 bytes */
    static const char *const shapes[] = {
        "null",
        "\"hunter2\"",
        "{}",
        "[\"" K1 "\",\"%s\"]",
        "{\"key\":\"" K1 "\"}",
        "{\"sealed\":\"%s\"}",
        "{\"key\":\"" K1 "\",\"sealed\":\"%s\",\"plain\":\"hunter2\"}",
        "{\"key\":\"" K1 "\",\"sealed\":5}",
        "{\"key\":\"1111\",\"sealed\":\"%s\"}",
        "{\"key\":\"111111111111111G\",\"sealed\":\"%s\"}",
        "{\"key\":\"" K1 "\",\"sealed\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", /* empty */
        "{\"key\":\"" K1 "\",\"sealed\":\"%s=\"}",
        "{\"key\":\"" K1 "\",\"sealed\":\"+%s\"}",
    };
    char text[256];
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        struct sealing_value read = { 0 };
        const char *mark = strstr(shapes[i], "%s");
        (void)snprintf(text, sizeof text, "%.*s%s%s",
                       mark == NULL ? (int)strlen(shapes[i]) : (int)(mark - shapes[i]), shapes[i],
                       mark == NULL ? "" : good, mark == NULL ? "" : mark + 2);
        CLEANUP(json_putp) struct json_object *value = parsed(text);
        if (sealing_read(value, &read))
            fail_msg("taken for sealed: %s", text);
        assert_null(read.bytes);
    }
    struct sealing_value read = { 0 };
    (void)snprintf(text, sizeof text, "{\"key\":\"" K1 "\",\"sealed\":\"%s\"}", good);
    CLEANUP(json_putp) struct json_object *value = parsed(text);
    assert_true(sealing_read(value, &read));
    sealing_value_done(&read);
}

static void
test_size_is_bounded(void **state)
{
    (void)state;
    const size_t most = SEALING_NONCE_SIZE + SEALING_TAG_SIZE + SEALING_VALUE_SIZE_MAX;
    CLEANUP(freep) uint8_t *bytes = mem_zero(1, most + 1);
    CLEANUP(json_putp) struct json_object *fits = sealing_write(K1, bytes, most);
    CLEANUP(json_putp) struct json_object *large = sealing_write(K1, bytes, most + 1);
    CLEANUP(sealing_value_done) struct sealing_value read = { 0 };
    struct sealing_value none = { 0 };
    assert_true(sealing_read(fits, &read));
    assert_false(sealing_read(large, &none));
}

static void
test_names(void **state)
{
    (void)state;
    assert_true(sealing_is_secret("secret/pam-main"));
    assert_false(sealing_is_secret("secret/"));
    assert_false(sealing_is_secret("secret/a/b"));
    assert_false(sealing_is_secret("secrets/a"));
    assert_false(sealing_is_secret("secret/A"));
}

/* ---- who is given what ---- */

struct world {
    struct json_object *keys; /* owned */
    struct sealing_member members[4];
    size_t count;
    const char *used[3];
    size_t used_count;
};

static void
world_done(struct world *world)
{
    (void)json_object_put(world->keys);
}

/* Three members, one key, everybody has it. */
static struct world
three(void)
{
    struct world world = {
        .members = { { "east-1", "PE1", false },
                     { "east-2", "PE2", false },
                     { "west-1", "PW1", false } },
        .count = 3,
        .used = { K1 },
        .used_count = 1,
    };
    sealing_add_key(&world.keys, K1, "2026-11-22T10:00:00.000Z", "anna");
    return world;
}

/* "give KEY NODE PUBLIC; take KEY NODE; forget KEY" */
static char *
plan_text(const struct world *world)
{
    struct sealing_step steps[16];
    size_t count = sealing_plan(world->keys, world->members, world->count, world->used,
                                world->used_count, steps, ARRAY_COUNT(steps));
    struct buf {
        char text[1024];
        size_t size;
    } to = { .size = 0 };
    to.text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        static const char *const kinds[] = {
            [SEALING_GIVE] = "give", [SEALING_TAKE] = "take", [SEALING_FORGET] = "forget"
        };
        to.size += (size_t)snprintf(
            to.text + to.size, sizeof to.text - to.size, "%s%s %.1s%s%s%s%s", i == 0 ? "" : "; ",
            kinds[steps[i].kind], steps[i].key, steps[i].node[0] == '\0' ? "" : " ", steps[i].node,
            steps[i].public_key[0] == '\0' ? "" : " ", steps[i].public_key);
    }
    return str_dup(to.text);
}

static void
assert_plan(const struct world *world, const char *wanted)
{
    CLEANUP(freep) char *text = plan_text(world);
    assert_string_equal(text, wanted);
}

/* Until nothing is left to do. */
static void
settle(struct world *world)
{
    struct sealing_step steps[16];
    for (unsigned round = 0; round < 3; round++) {
        size_t count = sealing_plan(world->keys, world->members, world->count, world->used,
                                    world->used_count, steps, ARRAY_COUNT(steps));
        for (size_t i = 0; i < count; i++) {
            CLEANUP(freep) char *box = str_printf("box-of-%s", steps[i].public_key);
            sealing_apply(world->keys, &steps[i], box);
        }
    }
    assert_plan(world, "");
}

static void
assert_left(const struct world *world, const char *key, const char *wanted)
{
    struct json_object *names = NULL;
    CLEANUP(freep) char *text = str_dup("");
    size_t count = sealing_left(world->keys, key, &names);
    for (size_t i = 0; i < count; i++) {
        char *more = str_printf("%s%s%s", text, i == 0 ? "" : " ",
                                json_object_get_string(json_object_array_get_idx(names, i)));
        free(text);
        text = more;
    }
    assert_string_equal(text, wanted);
}

static void
test_everybody_is_given_the_key(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    assert_string_equal(sealing_current(world.keys), K1);
    assert_plan(&world, "give 1 east-1 PE1; give 1 east-2 PE2; give 1 west-1 PW1");
    settle(&world);
    const char *to;
    assert_string_equal(sealing_box(world.keys, K1, "west-1", &to), "box-of-PW1");
    assert_string_equal(to, "PW1");
    assert_null(sealing_box(world.keys, K1, "west-2", &to));
    assert_left(&world, K1, "");
}

static void
test_who_has_told_no_public_key_waits(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    world.members[1].public_key = "";
    assert_plan(&world, "give 1 east-1 PE1; give 1 west-1 PW1");
    settle(&world);
    world.members[1].public_key = "PE2";
    assert_plan(&world, "give 1 east-2 PE2");
}

static void
test_who_joins_is_given_it_and_nobody_else_again(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    settle(&world);
    world.members[world.count++] = (struct sealing_member){ "west-2", "PW2", false };
    assert_plan(&world, "give 1 west-2 PW2");
    settle(&world);
    assert_left(&world, K1, "");
}

/* Z2 */
static void
test_who_is_removed_loses_it_and_is_remembered(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    settle(&world);
    world.members[2].removed = true;
    assert_plan(&world, "take 1 west-1");
    settle(&world);
    assert_null(sealing_box(world.keys, K1, "west-1", NULL));
    assert_left(&world, K1, "west-1");
    sealing_add_key(&world.keys, K2, "2026-11-22T11:00:00.000Z", "anna");
    world.used[0] = K2; /* rotated: all is sealed again, and the old key goes with what it knew */
    assert_plan(&world, "forget 1; give 2 east-1 PE1; give 2 east-2 PE2");
    settle(&world);
    assert_left(&world, K2, "");
}

/* A name is given again before anybody tidied up: what is there is for the removed node's key. */
static void
test_a_name_that_was_given_again(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    settle(&world);
    world.members[2].public_key = "";
    assert_plan(&world, "");
    world.members[2].public_key = "PW1-second";
    assert_plan(&world, "give 1 west-1 PW1-second");
    settle(&world);
    assert_string_equal(sealing_box(world.keys, K1, "west-1", NULL), "box-of-PW1-second");
    assert_left(&world, K1, "west-1");
}

static void
test_an_old_key_stays_while_something_is_sealed_by_it(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    settle(&world);
    sealing_add_key(&world.keys, K2, "2026-11-22T11:00:00.000Z", "anna");
    world.used[world.used_count++] = K2;
    settle(&world);
    assert_non_null(sealing_box(world.keys, K1, "east-1", NULL));
    world.members[world.count++] = (struct sealing_member){ "west-2", "PW2", false };
    assert_plan(&world, "give 1 west-2 PW2; give 2 west-2 PW2");
    settle(&world);
    world.used[0] = K2;
    world.used_count = 1;
    assert_plan(&world, "forget 1");
    settle(&world);
    assert_null(sealing_box(world.keys, K1, "east-1", NULL));
    assert_non_null(sealing_box(world.keys, K2, "east-1", NULL));
}

/* Z3: the last secret was deleted; the next one is sealed by the same key. */
static void
test_the_current_key_stays_unused(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    world.used_count = 0;
    settle(&world);
    assert_string_equal(sealing_current(world.keys), K1);
    assert_non_null(sealing_box(world.keys, K1, "east-1", NULL));
}

/* What others wrote is looked at, not trusted. */
static void
test_documents_that_make_no_sense_are_left_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "5",
        "{\"keys\":[]}",
        "{\"current\":\"x\",\"keys\":{\"" K1 "\":{\"boxes\":{}}}}",
        "{\"current\":\"" K1 "\",\"keys\":{\"" K1 "\":5,\"bad\":{}}}",
        "{\"current\":\"" K1 "\",\"keys\":{\"" K1 "\":{\"boxes\":[],\"left\":5}}}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        CLEANUP(world_done) struct world world = three();
        (void)json_object_put(world.keys);
        world.keys = parsed(texts[i]);
        world.used_count = 0;
        CLEANUP(freep) char *text = plan_text(&world);
        assert_null(strstr(text, "forget"));
        assert_int_equal(sealing_left(world.keys, K1, NULL), 0);
    }
    CLEANUP(world_done) struct world none = three();
    (void)json_object_put(take_ptr(&none.keys));
    assert_plan(&none, "");
    assert_null(sealing_current(NULL));
}

static void
test_a_plan_is_bounded(void **state)
{
    (void)state;
    struct sealing_step steps[2];
    CLEANUP(world_done) struct world world = three();
    assert_int_equal(sealing_plan(world.keys, world.members, 3, world.used, 1, steps, 2), 2);
    world.members[0].name = "a-name-that-no-member-can-have-because-it-is-longer-than-the-limit-is";
    assert_plan(&world, "give 1 east-2 PE2; give 1 west-1 PW1");
}

static void
test_turns(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    assert_int_equal(sealing_turn(NULL, world.members, 3, "east-2", "west-1"), 0);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-2", "west-1"), 0);
    settle(&world);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-2", "east-2"), 0);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-2", "east-1"), 1);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-2", "west-1"), 2);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "west-1", "west-1"), 0);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "", "west-1"), 2);
    world.members[0].removed = true;
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-2", "west-1"), 1);
}

/* Who alone has it, waits for nobody: the first secret was taken by a standby. */
static void
test_only_those_who_have_the_key_come_before(void **state)
{
    (void)state;
    CLEANUP(world_done) struct world world = three();
    world.members[0].public_key = "";
    world.members[1].public_key = "";
    settle(&world);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-1", "west-1"), 0);
    world.members[0].public_key = "PE1";
    settle(&world);
    assert_int_equal(sealing_turn(world.keys, world.members, 3, "east-1", "west-1"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_is_read_back),
        cmocka_unit_test(test_what_is_no_sealed_value),
        cmocka_unit_test(test_size_is_bounded),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_everybody_is_given_the_key),
        cmocka_unit_test(test_who_has_told_no_public_key_waits),
        cmocka_unit_test(test_who_joins_is_given_it_and_nobody_else_again),
        cmocka_unit_test(test_who_is_removed_loses_it_and_is_remembered),
        cmocka_unit_test(test_a_name_that_was_given_again),
        cmocka_unit_test(test_an_old_key_stays_while_something_is_sealed_by_it),
        cmocka_unit_test(test_the_current_key_stays_unused),
        cmocka_unit_test(test_documents_that_make_no_sense_are_left_alone),
        cmocka_unit_test(test_a_plan_is_bounded),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_only_those_who_have_the_key_come_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
