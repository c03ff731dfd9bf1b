#include "controller/http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void
paths_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *decoded; /* NULL: refused */
    } cases[] = {
        { "/", "/" },
        { "/v1/config/app/a%20b", "/v1/config/app/a b" },
        { "/v1/config/connector%2Feast", "/v1/config/connector/east" },
        { "/a+b", "/a+b" },
        { "/%e2%82%ac", "/\xe2\x82\xac" },
        { "/console/", "/console/" },
        { "/a/...", "/a/..." },
        { "/a/.well-known", "/a/.well-known" },
        { "", NULL },
        { "a", NULL },
        { "*", NULL },
        { "//", NULL },
        { "/a//b", NULL },
        { "/a/%2f", NULL },
        { "/.", NULL },
        { "/a/./b", NULL },
        { "/a/..", NULL },
        { "/../etc", NULL },
        { "/a/%2e%2e/b", NULL },
        { "/a/%2E./b", NULL },
        { "/a%2f..%2fb", NULL },
        { "/a%00b", NULL },
        { "/a%0ab", NULL },
        { "/a%7f", NULL },
        { "/a%", NULL },
        { "/a%4", NULL },
        { "/a%4g", NULL },
        { "/a%zz", NULL },
        { "/%ff", NULL },
        { "/%c0%ae%c0%ae/", NULL }, /* an overlong ".." */
        { "/%ed%a0%80", NULL },     /* half of a surrogate pair */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char path[64];
        (void)strcpy(path, cases[i].raw);
        bool taken = http_path_decode(path);
        if (taken != (cases[i].decoded != NULL))
            fail_msg("%s: taken=%d", cases[i].raw, taken);
        if (taken)
            assert_string_equal(path, cases[i].decoded);
    }
}

static void
queries_are_decoded(void **state)
{
    (void)state;
    struct http_pairs pairs = { 0 };
    assert_true(http_pairs_read(&pairs, "prefix=app%2F&site=&flag&x=a+b%2B%3D=c"));
    assert_string_equal(http_pairs_find(&pairs, "prefix"), "app/");
    assert_string_equal(http_pairs_find(&pairs, "site"), "");
    assert_string_equal(http_pairs_find(&pairs, "flag"), "");
    assert_string_equal(http_pairs_find(&pairs, "x"), "a b+==c");
    assert_null(http_pairs_find(&pairs, "y"));
    assert_true(http_pairs_read(&pairs, "&&a=1&"));
    assert_string_equal(http_pairs_find(&pairs, "a"), "1");
    assert_null(http_pairs_find(&pairs, "prefix"));
    assert_true(http_pairs_read(&pairs, ""));
    assert_int_equal(pairs.count, 0);

    static const char *const refused[] = {
        "a=1&a=2", "=1", "a=%", "a=%0", "a=%00", "a=%0d", "%=1", "a=%ff", "a=1&%61=2",
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        if (http_pairs_read(&pairs, refused[i]))
            fail_msg("'%s' was taken", refused[i]);
    }
    http_pairs_done(&pairs);
}

static void
queries_are_bounded(void **state)
{
    (void)state;
    struct http_pairs pairs = { 0 };
    struct buf query = { 0 };
    for (unsigned i = 0; i < HTTP_QUERY_COUNT_MAX; i++)
        buf_printf(&query, "%sn%u", i == 0 ? "" : "&", i);
    assert_true(http_pairs_read(&pairs, query.data));
    assert_int_equal(pairs.count, HTTP_QUERY_COUNT_MAX);
    buf_add_text(&query, "&more");
    assert_false(http_pairs_read(&pairs, query.data));

    buf_clear(&query);
    buf_add_text(&query, "a=");
    while (query.size < HTTP_URL_SIZE_MAX)
        buf_add_text(&query, "x");
    assert_true(http_pairs_read(&pairs, query.data));
    buf_add_text(&query, "x");
    assert_false(http_pairs_read(&pairs, query.data));
    buf_done(&query);
    http_pairs_done(&pairs);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded),
        cmocka_unit_test(queries_are_decoded),
        cmocka_unit_test(queries_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
