/* YAML as a notation of JSON: what is taken, what is refused and where, and back again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/yaml.h"

static void
test_taken(void **state)
{
    static const struct {
        const char *yaml;
        const char *json;
    } rows[] = {
        { "a: 1", "{\"a\":1}" },
        { "a: [1, -2.5, 1e3]", "{\"a\":[1,-2.5,1e3]}" },
        { "- true\n- false\n- null\n- ~\n-", "[true,false,null,null,null]" },
        { "a: 'true'\nb: \"5\"\nc: \"yes\"", "{\"a\":\"true\",\"b\":\"5\",\"c\":\"yes\"}" },
        { "a: red and blue\nb: 1.2.3\nc: https://x.east:8443/a", "{\"a\":\"red and blue\",\"b\":"
                                                                 "\"1.2.3\",\"c\":\"https://"
                                                                 "x.east:8443/a\"}" },
        { "a: |\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\"}" },
        { "a: 2026-11-22\nb: 10.1.0.1:7443\nc: 1a", "{\"a\":\"2026-11-22\",\"b\":\"10.1.0.1:7443\","
                                                    "\"c\":\"1a\"}" },
        { "{}", "{}" },
        { "", "null" },
        { "# only a comment\n", "null" },
        { "---\n'söme': wörd\n", "{\"söme\":\"wörd\"}" },
        { "a: -0\nb: 0.50", "{\"a\":0,\"b\":0.50}" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(json_putp) struct json_object *value = NULL;
        struct err err;
        err_clear(&err);
        if (yaml_read(rows[i].yaml, strlen(rows[i].yaml), &value, &err) != ERR_NONE)
            fail_msg("%s: %s", rows[i].yaml, err.text);
        assert_string_equal(json_text(value), rows[i].json);
    }
}

static void
test_refused(void **state)
{
    static const struct {
        const char *yaml;
        const char *text;
    } rows[] = {
        { "a: 1\nb: yes\n",
          "2:4: 'yes' is not the same to every reader of YAML: write true, false or "
          "a decimal number, or put it in quotes" },
        { "a: No", "1:4: 'No' is not" },
        { "a: on", "1:4: 'on' is not" },
        { "a: 012", "1:4: '012' is not" },
        { "a: 0x1f", "1:4: '0x1f' is not" },
        { "a: 0o17", "1:4: '0o17' is not" },
        { "a: 1_000", "1:4: '1_000' is not" },
        { "a: 12:30", "1:4: '12:30' is not" },
        { "a: +1", "1:4: '+1' is not" },
        { "a: .5", "1:4: '.5' is not" },
        { "a: 1.", "1:4: '1.' is not" },
        { "a: .inf", "1:4: '.inf' is not" },
        { "a: 99999999999999999999", "1:4: '99999999999999999999': number out of range" },
        { "a: &x 1\nb: *x", "1:4: anchors are not taken" },
        { "a: &x [*x]", "1:4: anchors and tags are not taken" },
        { "a: *x", "1:4: aliases are not taken: write it out" },
        { "a: !!int 5", "1:4: tags are not taken" },
        { "a: !!map {}", "1:4: anchors and tags are not taken" },
        { "a: 1\nb: 2\na: 3\n", "3:1: 'a' stands here twice" },
        { "? [1]\n: 2\n", "1:3: a key must be text" },
        { "--- 1\n--- 2\n", "2:1: a second document; only one is taken" },
        { "a:\n  b: 1\n c: 2\n", "3:2: did not find expected key" },
        { "a: [1, 2\n", "2:1: did not find expected ',' or ']'" },
        { "a: \"x", "1:6: found unexpected end of stream" },
        { "a:\n\tb: 1\n", "2:1: found character that cannot start any token" },
        { "a: \"\\0\"", "1:4: a NUL in a text" },
        { "a: \xff", "1:1: not UTF-8" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct json_object *value = NULL;
        struct err err;
        err_clear(&err);
        assert_int_equal(yaml_read(rows[i].yaml, strlen(rows[i].yaml), &value, &err), ERR_INVALID);
        assert_null(value);
        assert_string_equal(err.slug, "yaml");
        if (strncmp(err.text, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("%s: '%s' and not '%s'", rows[i].yaml, err.text, rows[i].text);
    }
}

static void
test_depth(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    struct json_object *value = NULL;
    struct err err;
    (void)state;
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(yaml_read(text, 2 * (JSON_DEPTH_MAX + 1), &value, &err), ERR_INVALID);
    assert_string_equal(err.text, "1:33: deeper than 32 levels");
    assert_int_equal(yaml_read(text + 1, 2 * JSON_DEPTH_MAX, &value, &err), ERR_NONE);
    json_object_put(value);
}

/* The billion laughs: nothing is expanded, and it ends at once. */
static void
test_laughs(void **state)
{
    struct buf text = { 0 };
    struct json_object *value = NULL;
    struct err err;
    (void)state;
    buf_add_text(&text, "a: &a [ha, ha]\n");
    for (char at = 'b'; at <= 'z'; at++)
        buf_printf(&text, "%c: &%c [*%c, *%c]\n", at, at, at - 1, at - 1);
    assert_int_equal(yaml_read(text.data, text.size, &value, &err), ERR_INVALID);
    buf_done(&text);
}

static void
test_written(void **state)
{
    static const char json[] =
        "{\"plain\":\"red\",\"true\":\"true\",\"no\":\"no\",\"number\":\"012\",\"empty\":\"\","
        "\"lines\":\"one\\ntwo\\n\",\"list\":[1,[],{}],\"null\":null,\"flag\":false}";
    static const char yaml[] = "plain: red\n"
                               "\"true\": \"true\"\n"
                               "\"no\": \"no\"\n"
                               "number: \"012\"\n"
                               "empty: \"\"\n"
                               "lines: |\n"
                               "  one\n"
                               "  two\n"
                               "list:\n"
                               "- 1\n"
                               "- []\n"
                               "- {}\n"
                               "\"null\": null\n"
                               "flag: false\n";
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(buf_done) struct buf text = { 0 };
    struct err err;
    (void)state;
    assert_int_equal(json_read(json, strlen(json), &value, &err), ERR_NONE);
    yaml_write(value, &text);
    assert_string_equal(buf_text(&text), yaml);
}

/* ---- there and back, for values made of nasty pieces ---- */

static uint64_t seed;

static unsigned
pick(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static struct json_object *
make_text(void)
{
    static const char *const pieces[] = { "a",  " ",    "\n",   ":",        "#",
                                          "'",  "\"",   "\\",   "- ",       "yes",
                                          "0x", "1",    "\t",   "é",        "漢",
                                          "|",  ">",    "&",    "*",        "!",
                                          "%",  "@",    "`",    "{",        "}",
                                          "[",  "]",    ",",    "?",        "~",
                                          "\r", "\x01", "\x7f", "\xc2\x85", "\xe2\x80\xa8",
                                          "." };
    char text[256] = "";
    for (unsigned i = pick(8); i > 0; i--)
        (void)strcat(text, pieces[pick(ARRAY_COUNT(pieces))]);
    return json_object_new_string(text);
}

static struct json_object *
make_value(unsigned depth)
{
    struct json_object *value;
    switch (pick(depth > 0 ? 7 : 5)) {
    case 0:
        return NULL;
    case 1:
        return json_object_new_boolean(pick(2) == 0);
    case 2:
        return json_object_new_int64((int64_t)seed);
    case 5:
        value = json_object_new_array();
        for (unsigned i = pick(4); i > 0; i--)
            (void)json_object_array_add(value, make_value(depth - 1));
        return value;
    case 6:
        value = json_object_new_object();
        for (unsigned i = pick(4); i > 0; i--) {
            struct json_object *key = make_text();
            json_add(value, json_object_get_string(key), make_value(depth - 1));
            json_object_put(key);
        }
        return value;
    default:
        return make_text();
    }
}

static void
test_round_trip(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        seed = i;
        CLEANUP(json_putp) struct json_object *value = make_value(4);
        CLEANUP(json_putp) struct json_object *back = NULL;
        CLEANUP(buf_done) struct buf text = { 0 };
        struct err err;
        err_clear(&err);
        yaml_write(value, &text);
        if (yaml_read(buf_text(&text), text.size, &back, &err) != ERR_NONE ||
            !json_object_equal(value, back))
            fail_msg("seed %u: %s\n%s\nbecame %s: %s", i, json_text(value), buf_text(&text),
                     json_text(back), err.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_laughs),
        cmocka_unit_test(test_written), cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
