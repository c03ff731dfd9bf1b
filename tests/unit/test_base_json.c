#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/json.h"

/* Reads from memory of exactly that size, so that a step beyond it is seen by the sanitizer. */
static enum err_code
read_exact(const char *text, size_t size, struct json_object **ret, struct err *err)
{
    CLEANUP(freep) char *exact = mem_alloc(size);
    memcpy(exact, text, size);
    return json_read(exact, size, ret, err);
}

static void
test_takes_what_the_standard_allows(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        { "{}", "{}" },
        { " [ ] \r\n\t", "[]" },
        { "\"\"", "\"\"" },
        { "true", "true" },
        { "false", "false" },
        { "0", "0" },
        { "-0", "0" },
        { "9223372036854775807", "9223372036854775807" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "1.5e-3", "1.5e-3" },
        { "{\"a\":[1,{\"a\":null}],\"b\":\"x:y\"}", "{\"a\":[1,{\"a\":null}],\"b\":\"x:y\"}" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fc\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xbc\"" },
        { "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct json_object *value = NULL;
        struct err err = { 0 };
        if (read_exact(good[i][0], strlen(good[i][0]), &value, &err) != ERR_NONE)
            fail_msg("%s: %s", good[i][0], err.text);
        assert_string_equal(json_text(value), good[i][1]);
        json_putp(&value);
    }
}

static void
test_null_is_a_value(void **state)
{
    (void)state;
    struct json_object *value = json_object_new_object();
    struct json_object *old = value;
    struct err err = { 0 };
    assert_int_equal(read_exact("null", 4, &value, &err), ERR_NONE);
    assert_null(value);
    assert_string_equal(json_text(value), "null");
    json_putp(&old);
}

static const char *const bad[] = {
    "",
    " ",
    "{",
    "[",
    "\"",
    "}",
    "{]",
    "[}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{'a':1}",
    "'a'",
    "{1:1}",
    "True",
    "TRUE",
    "nul",
    "nulll",
    "NaN",
    "Infinity",
    "-Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1e",
    "1e+",
    "0x10",
    "1 1",
    "{} {}",
    "{}x",
    "[1]]",
    "// x\n1",
    "/* x */1",
    "1//",
    "\"\n\"",
    "\"\x01\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u0000\"",
    "\"\\",
    "\"\\u",
    "\"\\u1234",
    "\"\\u123",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999",
    /* a member twice, also deep down and with the same name in other spelling */
    "{\"a\":1,\"a\":1}",
    "[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]",
    "{\"a\":1,\"\\u0061\":2}",
    /* not UTF-8: stray, cut, overlong, surrogate, beyond the last character */
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xc0\x80\"",
    "\"\xe0\x80\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\xef\xbb\xbf{}",
};

static void
test_refuses_everything_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct json_object *value = NULL;
        struct err err = { 0 };
        if (read_exact(bad[i], strlen(bad[i]), &value, &err) == ERR_NONE)
            fail_msg("taken: %s", bad[i]);
        assert_null(value);
        assert_string_equal(err.slug, "json");
        assert_true(err.code == ERR_INVALID);
    }
    /* a NUL is no end of the text */
    struct json_object *value = NULL;
    assert_int_equal(read_exact("{}\0x", 4, &value, NULL), ERR_INVALID);
    assert_int_equal(read_exact("1\0", 2, &value, NULL), ERR_INVALID);
    assert_int_equal(read_exact("\"\0\"", 3, &value, NULL), ERR_INVALID);
}

static void
test_says_what_and_where(void **state)
{
    (void)state;
    struct json_object *value = NULL;
    struct err err = { 0 };
    assert_int_equal(read_exact("{\"a\": tru}", 10, &value, &err), ERR_INVALID);
    assert_string_equal(err.text, "not valid JSON: unexpected character at byte 6");
    assert_int_equal(read_exact("{\"a\":1,\"a\":1}", 13, &value, &err), ERR_INVALID);
    assert_string_equal(err.text, "not valid JSON: a member name stands twice");
}

static void
nest(struct buf *text, unsigned depth)
{
    buf_clear(text);
    for (unsigned i = 0; i < depth; i++)
        buf_add_text(text, i % 2 == 0 ? "[" : "{\"a\":");
    buf_add_text(text, "1");
    for (unsigned i = depth; i > 0; i--)
        buf_add_text(text, i % 2 == 1 ? "]" : "}");
}

static void
test_depth_is_bounded(void **state)
{
    (void)state;
    struct buf text = { 0 };
    struct json_object *value = NULL;
    struct err err = { 0 };
    nest(&text, JSON_DEPTH_MAX);
    assert_int_equal(json_read(text.data, text.size, &value, &err), ERR_NONE);
    json_putp(&value);
    nest(&text, JSON_DEPTH_MAX + 1);
    assert_int_equal(json_read(text.data, text.size, &value, &err), ERR_INVALID);
    nest(&text, 100000);
    assert_int_equal(json_read(text.data, text.size, &value, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "nested too deeply"));
    buf_done(&text);
}

/* What is taken comes out as text that is taken again and is the same. */
static void
test_any_bytes(void **state)
{
    (void)state;
    static const char letters[] = "{}[]\",:0123456789.eE+-truefalsn\\u \xc3\xbc";
    uint64_t seed = 7;
    unsigned taken = 0;
    for (unsigned i = 0; i < 200000; i++) {
        char text[12];
        size_t size = i % sizeof text;
        for (size_t j = 0; j < size; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[j] = letters[(seed >> 33) % (sizeof letters - 1)];
        }
        CLEANUP(json_putp) struct json_object *value = NULL;
        CLEANUP(json_putp) struct json_object *again = NULL;
        if (read_exact(text, size, &value, NULL) != ERR_NONE)
            continue;
        taken++;
        const char *printed = json_text(value);
        assert_int_equal(json_read(printed, strlen(printed), &again, NULL), ERR_NONE);
        assert_string_equal(json_text(again), printed);
    }
    assert_true(taken > 100);
}

static void
test_getters_check_the_type(void **state)
{
    (void)state;
    static const char text[] =
        "{\"s\":\"x\",\"n\":-5,\"u\":5,\"b\":true,\"d\":5.0,\"z\":null,\"o\":{}}";
    CLEANUP(json_putp) struct json_object *object = NULL;
    assert_int_equal(json_read(text, strlen(text), &object, NULL), ERR_NONE);
    const char *string = "old";
    uint64_t u64 = 77;
    int64_t i64 = 77;
    bool flag = false;
    assert_true(json_get_string(object, "s", &string));
    assert_string_equal(string, "x");
    assert_false(json_get_string(object, "n", &string));
    assert_false(json_get_string(object, "z", &string));
    assert_string_equal(string, "x");
    assert_true(json_get_i64(object, "n", &i64) && i64 == -5);
    assert_false(json_get_u64(object, "n", &u64));
    assert_true(json_get_u64(object, "u", &u64) && u64 == 5);
    assert_false(json_get_u64(object, "d", &u64));
    assert_false(json_get_u64(object, "s", &u64));
    assert_true(json_get_bool(object, "b", &flag) && flag);
    assert_false(json_get_bool(object, "u", &flag));
    assert_false(json_get_bool(object, "nothing", &flag));
    assert_null(json_get(object, "nothing"));
    assert_null(json_get(NULL, "s"));
    assert_null(json_get(json_get(object, "s"), "s"));
    assert_non_null(json_get(object, "o"));
}

static void
test_adders(void **state)
{
    (void)state;
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    json_add_string(object, "s", "a/\"b\"\n");
    json_add_string(object, "null", NULL);
    json_add_string(object, "cut", "\xc3\xa9\xc3");
    json_add_u64(object, "u", UINT64_MAX);
    json_add_i64(object, "i", INT64_MIN);
    json_add_bool(object, "b", false);
    json_add(object, "o", json_object_new_array());
    assert_string_equal(
        json_text(object),
        "{\"s\":\"a/\\\"b\\\"\\n\",\"null\":null,\"cut\":\"\xc3\xa9\","
        "\"u\":18446744073709551615,\"i\":-9223372036854775808,\"b\":false,\"o\":[]}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_the_standard_allows),
        cmocka_unit_test(test_null_is_a_value),
        cmocka_unit_test(test_refuses_everything_else),
        cmocka_unit_test(test_says_what_and_where),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_getters_check_the_type),
        cmocka_unit_test(test_adders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
