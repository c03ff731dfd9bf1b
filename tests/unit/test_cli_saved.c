/* Saved logins, addresses as people write them, and words for figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/connect.h"
#include "controller/cli/saved.h"
#include "controller/cli/word.h"

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/test-saved-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
    struct err err;
    (void)state;
    return file_remove_tree(folder, &err) == ERR_NONE ? 0 : -1;
}

static void
test_path(void **state)
{
    char *path = NULL;
    struct err err;
    (void)state;
    (void)setenv("HOME", "/home/anna", 1);
    (void)unsetenv("XDG_CONFIG_HOME");
    assert_int_equal(saved_path(&path, &err), ERR_NONE);
    assert_string_equal(path, "/home/anna/.config/baton/credentials.json");
    free(path);
    (void)setenv("XDG_CONFIG_HOME", "/etc/anna", 1);
    assert_int_equal(saved_path(&path, &err), ERR_NONE);
    assert_string_equal(path, "/etc/anna/baton/credentials.json");
    free(path);
    (void)unsetenv("HOME");
    (void)setenv("XDG_CONFIG_HOME", "relative", 1);
    assert_int_equal(saved_path(&path, &err), ERR_INVALID);
    assert_string_equal(err.slug, "no_home");
}

static void
test_store(void **state)
{
    static const struct saved_login anna = { "anna", "admin", "secret", "2026-11-22", "PEM" };
    CLEANUP(freep) char *path = str_printf("%s/baton/credentials.json", folder);
    CLEANUP(json_putp) struct json_object *empty = NULL;
    CLEANUP(json_putp) struct json_object *back = NULL;
    struct saved_login found;
    struct stat about;
    struct err err;
    (void)state;
    assert_int_equal(saved_load(path, &empty, &err), ERR_NONE);
    assert_null(saved_default(empty));
    assert_false(saved_find(empty, "https://a:1", &found));
    saved_put(empty, "https://a:1", &anna);
    saved_put(empty, "https://b:1", &anna);
    assert_int_equal(saved_store(path, empty, &err), ERR_NONE);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    CLEANUP(freep) char *above = str_printf("%s/baton", folder);
    assert_int_equal(stat(above, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);

    assert_int_equal(saved_load(path, &back, &err), ERR_NONE);
    assert_string_equal(saved_default(back), "https://b:1");
    assert_true(saved_find(back, "https://a:1", &found));
    assert_string_equal(found.token, "secret");
    assert_string_equal(found.ca, "PEM");
    assert_true(saved_remove(back, "https://b:1"));
    assert_false(saved_remove(back, "https://b:1"));
    assert_null(saved_default(back));

    /* Tokens that others may have read are not used. */
    struct json_object *refused = NULL;
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(saved_load(path, &refused, &err), ERR_DENIED);
    assert_string_equal(err.slug, "credentials_open");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(
        file_write_atomic(path, "{\"version\":2}", 13, 0600, (uid_t)-1, (gid_t)-1, &err), ERR_NONE);
    assert_int_equal(saved_load(path, &refused, &err), ERR_INVALID);
    assert_null(refused);

    /* Nor is a file that cannot be looked at taken for one that others may read. */
    CLEANUP(freep) char *loop = str_printf("%s/loop", folder);
    CLEANUP(freep) char *beyond = str_printf("%s/credentials.json", loop);
    assert_int_equal(symlink(loop, loop), 0);
    assert_int_equal(saved_load(beyond, &refused, &err), ERR_IO);
    assert_non_null(strstr(err.text, beyond));
    assert_null(refused);
}

static void
test_url(void **state)
{
    static const struct {
        const char *typed;
        const char *url; /* NULL: refused */
    } rows[] = {
        { "east-1", "https://east-1:7443" },
        { "east-1:8000", "https://east-1:8000" },
        { "https://east-1", "https://east-1:7443" },
        { "https://east-1:8000/", "https://east-1:8000" },
        { "https://[2001:db8::1]:8000", "https://[2001:db8::1]:8000" },
        { "10.1.0.1", "https://10.1.0.1:7443" },
        { "http://east-1", NULL },
        { "https://", NULL },
        { "https://east-1/v1", NULL },
        { "https://anna@east-1", NULL },
        { "east-1?x", NULL },
        { "east-1:99999", NULL },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(freep) char *url = NULL;
        struct err err;
        enum err_code code = connect_url(rows[i].typed, &url, &err);
        if (code != (rows[i].url == NULL ? ERR_INVALID : ERR_NONE))
            fail_msg("%s: %s", rows[i].typed, code == ERR_NONE ? url : err.text);
        if (code == ERR_NONE)
            assert_string_equal(url, rows[i].url);
    }
}

static void
test_escape(void **state)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    (void)state;
    buf_add_text(&path, "/v1/config/");
    connect_escape(&path, "app/a b?ü%");
    connect_query(&path, "site", NULL);
    connect_query(&path, "prefix", "a&b");
    connect_query_u64(&path, "limit", 5);
    assert_string_equal(buf_text(&path), "/v1/config/app/a%20b%3F%C3%BC%25?prefix=a%26b&limit=5");
}

static void
test_words(void **state)
{
    char text[WORD_SIZE];
    int64_t ms = 0;
    (void)state;
    assert_string_equal(word_age(99, text), "now");
    assert_string_equal(word_age(100, text), "0.1 s");
    assert_string_equal(word_age(9999, text), "9.9 s");
    assert_string_equal(word_age(10000, text), "10 s");
    assert_string_equal(word_age(119999, text), "119 s");
    assert_string_equal(word_age(120000, text), "2 min");
    assert_string_equal(word_age(7200000, text), "2 h");
    assert_string_equal(word_age(172800000, text), "2 d");
    assert_string_equal(word_duration(0, text), "0 ms");
    assert_string_equal(word_duration(999, text), "999 ms");
    assert_string_equal(word_duration(1000, text), "1 s");
    assert_string_equal(word_duration(1005, text), "1.00 s");
    assert_string_equal(word_duration(61000, text), "1 min 1 s");
    assert_true(clock_wall_parse("1970-01-02T00:00:00.005Z", &ms));
    assert_int_equal(ms, 86400005);
    assert_true(clock_wall_parse("1970-01-01T00:00:01.123456Z", &ms));
    assert_int_equal(ms, 1123);
    assert_false(clock_wall_parse("yesterday", &ms));
    assert_false(clock_wall_parse("2026-11-22T05:40:11+02:00", &ms));
    assert_string_equal(word_time("2026-11-22T05:40:11.020Z", text), "2026-11-22 05:40:11");
    assert_string_equal(word_time("?", text), "?");
    struct json_object *value = json_object_new_string("aé漢");
    char *cut = word_value(value, 5);
    assert_string_equal(cut, "a...");
    free(cut);
    cut = word_value(value, 6);
    assert_string_equal(cut, "aé漢");
    free(cut);
    json_object_put(value);
}

static void
test_brief(void **state)
{
    (void)state;
    static const char text[] =
        "{\"ca\":\"-----BEGIN CERTIFICATE-----\\nMII\",\"list\":[\"-----BEGIN CERTIFICATE-----"
        "-----BEGIN CERTIFICATE-----\"],\"key\":\"-----BEGIN PRIVATE KEY-----\"}";
    struct json_object *value = json_tokener_parse(text);
    char *brief = word_brief(value);
    assert_string_equal(brief,
                        "{\"ca\":\"PEM, 1 certificate\",\"list\":[\"PEM, 2 certificates\"]...");
    free(brief);
    assert_non_null(strstr(json_object_to_json_string(value), "MII")); /* as it was */
    json_object_put(value);
    brief = word_brief(NULL);
    assert_string_equal(brief, "null");
    free(brief);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),   cmocka_unit_test(test_store), cmocka_unit_test(test_url),
        cmocka_unit_test(test_escape), cmocka_unit_test(test_words), cmocka_unit_test(test_brief),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
