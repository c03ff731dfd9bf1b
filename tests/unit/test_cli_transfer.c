/* Files of the configuration: what is exported is imported as nothing; every fault is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/transfer.h"

static const char list_text[] =
    "{\"revision\":9,\"entries\":["
    "{\"site\":\"\",\"key\":\"app/a\",\"value\":1,\"revision\":4},"
    "{\"site\":\"west\",\"key\":\"app/a\",\"value\":{\"x\":[1,null]},\"revision\":5},"
    "{\"site\":\"\",\"key\":\"app/b\",\"value\":\"yes\",\"revision\":6},"
    "{\"site\":\"\",\"key\":\"sync.k\",\"value\":2,\"revision\":7}]}";

static struct json_object *
read_json(const char *text)
{
    struct json_object *value = NULL;
    struct err err;
    if (json_read(text, strlen(text), &value, &err) != ERR_NONE)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static void
test_export(void **state)
{
    CLEANUP(json_putp) struct json_object *list = read_json(list_text);
    CLEANUP(json_putp) struct json_object *file = transfer_export(list);
    CLEANUP(buf_done) struct buf text = { 0 };
    (void)state;
    transfer_write(file, "yaml", &text);
    assert_string_equal(buf_text(&text), "baton_config: 1\n"
                                         "revision: 9\n"
                                         "cluster:\n"
                                         "  app/a: 1\n"
                                         "  app/b: \"yes\"\n"
                                         "  sync.k: 2\n"
                                         "sites:\n"
                                         "  west:\n"
                                         "    app/a:\n"
                                         "      x:\n"
                                         "      - 1\n"
                                         "      - null\n");
    /* It is the difference to itself: none, in both notations, by way of a file. */
    static const char *const formats[] = { "yaml", "json" };
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        CLEANUP(json_putp) struct json_object *back = NULL;
        CLEANUP(json_putp) struct json_object *changes = NULL;
        CLEANUP(buf_done) struct buf bytes = { 0 };
        char path[64];
        struct err err;
        (void)snprintf(path, sizeof path, "/tmp/test-transfer-%d.%s", getpid(), formats[i]);
        transfer_write(file, formats[i], &bytes);
        assert_int_equal(
            file_write_atomic(path, bytes.data, bytes.size, 0600, (uid_t)-1, (gid_t)-1, &err),
            ERR_NONE);
        assert_int_equal(transfer_read(path, NULL, &back, &err), ERR_NONE);
        assert_int_equal(transfer_diff(back, list, "", true, &changes, &err), ERR_NONE);
        assert_int_equal(json_object_array_length(changes), 0);
        assert_int_equal(unlink(path), 0);
    }
}

static void
check_diff(const char *file_text, const char *prefix, bool prune, const char *expected)
{
    CLEANUP(json_putp) struct json_object *list = read_json(list_text);
    CLEANUP(json_putp) struct json_object *file = read_json(file_text);
    CLEANUP(json_putp) struct json_object *changes = NULL;
    struct err err;
    assert_int_equal(transfer_diff(file, list, prefix, prune, &changes, &err), ERR_NONE);
    assert_string_equal(json_text(changes), expected);
}

/* Each change is bound to what was read: its revision, or 0 for a key that is new. */
static void
test_diff(void **state)
{
    (void)state;
    check_diff("{\"baton_config\":1,\"cluster\":{\"app/a\":2,\"app/new\":null}}", "", false,
               "[{\"key\":\"app/a\",\"if_match\":4,\"value\":2},"
               "{\"key\":\"app/new\",\"if_match\":0,\"value\":null}]");
    check_diff("{\"baton_config\":1,\"sites\":{\"west\":{\"app/a\":1},\"east\":{\"app/a\":1}}}", "",
               false,
               "[{\"site\":\"west\",\"key\":\"app/a\",\"if_match\":5,\"value\":1},"
               "{\"site\":\"east\",\"key\":\"app/a\",\"if_match\":0,\"value\":1}]");
    /* 1 and "1" are not the same. */
    check_diff("{\"baton_config\":1,\"cluster\":{\"app/a\":\"1\"}}", "", false,
               "[{\"key\":\"app/a\",\"if_match\":4,\"value\":\"1\"}]");
    check_diff("{\"baton_config\":1,\"cluster\":{\"app/b\":\"yes\",\"sync.k\":3}}", "app/", true,
               "[{\"key\":\"app/a\",\"if_match\":4,\"delete\":true},"
               "{\"site\":\"west\",\"key\":\"app/a\",\"if_match\":5,\"delete\":true}]");
    check_diff("{\"baton_config\":1,\"cluster\":null,\"sites\":null}", "", false, "[]");
}

static void
test_faults(void **state)
{
    static const struct {
        const char *file;
        const char *text;
    } rows[] = {
        { "[]", "(whole file): must be an object" },
        { "{}", "baton_config: must be 1: is this a file of baton config export?" },
        { "{\"baton_config\":2}",
          "baton_config: must be 1: is this a file of baton config export?" },
        { "{\"baton_config\":1,\"clusters\":{}}",
          "clusters: unknown member; known are cluster and sites" },
        { "{\"baton_config\":1,\"cluster\":[]}", "cluster: must be an object" },
        { "{\"baton_config\":1,\"sites\":{\"West\":{}}}", "sites.West: not the name of a site" },
        { "{\"baton_config\":1,\"sites\":{\"west\":5}}", "sites.west: must be an object" },
    };
    CLEANUP(json_putp) struct json_object *list = read_json(list_text);
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(json_putp) struct json_object *file = read_json(rows[i].file);
        struct json_object *changes = NULL;
        struct err err;
        assert_int_equal(transfer_diff(file, list, "", false, &changes, &err), ERR_INVALID);
        assert_null(changes);
        assert_string_equal(err.slug, "config_file");
        assert_string_equal(err.text, rows[i].text);
    }
}

static void
test_read(void **state)
{
    char path[64];
    struct json_object *value = NULL;
    struct err err;
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/test-transfer-%d.yml", getpid());
    assert_int_equal(transfer_read(path, NULL, &value, &err), ERR_NOT_FOUND);
    assert_int_equal(file_write_atomic(path, "a:\n  - on\n", 10, 0600, (uid_t)-1, (gid_t)-1, &err),
                     ERR_NONE);
    assert_int_equal(transfer_read(path, NULL, &value, &err), ERR_INVALID);
    CLEANUP(freep) char *begin = str_printf("%s: 2:5: 'on' is not the same", path);
    assert_int_equal(strncmp(err.text, begin, strlen(begin)), 0);
    assert_int_equal(transfer_read(path, "json", &value, &err), ERR_INVALID);
    assert_string_equal(err.slug, "json");
    assert_int_equal(unlink(path), 0);
    assert_string_equal(transfer_format("x.yaml", NULL), "yaml");
    assert_string_equal(transfer_format("x.yaml", "json"), "json");
    assert_string_equal(transfer_format("x", NULL), "json");
    assert_string_equal(transfer_format(NULL, NULL), "json");
}

/* What a person typed behind KEY. */
static void
test_typed_values(void **state)
{
    static const struct {
        const char *typed;
        bool is_text;
        const char *json; /* NULL: refused */
    } rows[] = {
        { "5", false, "5" },
        { "5", true, "\"5\"" },
        { "true", false, "true" },
        { "null", false, "null" },
        { "red", false, "\"red\"" },
        { "two words", false, "\"two words\"" },
        { "1.2.3", false, "\"1.2.3\"" },
        { "007", false, "\"007\"" },
        { "https://x:1/", false, "\"https://x:1/\"" },
        { "{\"a\": 1}", false, "{\"a\":1}" },
        { "{a: 1}", false, NULL },
        { "[1", false, NULL },
        { "\"x", false, NULL },
        { "\"x", true, "\"\\\"x\"" },
        { "", false, NULL },
        { "", true, "\"\"" },
        { "\xff", false, NULL },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(json_putp) struct json_object *value = NULL;
        struct err err;
        enum err_code code = ask_value(rows[i].typed, rows[i].is_text, &value, &err);
        assert_int_equal(code, rows[i].json == NULL ? ERR_INVALID : ERR_NONE);
        if (rows[i].json != NULL)
            assert_string_equal(json_object_to_json_string_ext(
                                    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                                rows[i].json);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_export),       cmocka_unit_test(test_diff),
        cmocka_unit_test(test_faults),       cmocka_unit_test(test_read),
        cmocka_unit_test(test_typed_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
