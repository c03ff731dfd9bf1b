#include "controller/api/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/own.h"

static void
finds_every_route_by_its_pattern(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        struct err err;
        struct route_match match;
        char allow[ROUTE_ALLOW_SIZE];
        char path[256];
        const char *brace = strchr(routes[i].pattern, '{');
        if (brace == NULL) {
            (void)snprintf(path, sizeof path, "%s", routes[i].pattern);
        } else {
            const char *end = strchr(brace, '}');
            (void)snprintf(path, sizeof path, "%.*s%s%s", (int)(brace - routes[i].pattern),
                           routes[i].pattern, end[-1] == '.' ? "app/a b/c" : "west-1", end + 1);
        }
        assert_int_equal(route_find(routes[i].verb, path, &match, allow, &err), ERR_NONE);
        assert_string_equal(routes[match.id].operation, routes[i].operation);
        assert_string_equal(match.param, brace == NULL                 ? ""
                                         : strstr(path, "a b") != NULL ? "app/a b/c"
                                                                       : "west-1");
    }
}

static void
refuses_what_is_not_there(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/",
        "/v1",
        "/v1/",
        "/v1/nodes/",
        "/v1/nodes/a/b",
        "/v1/config/",
        "/v1/setaside/1/",
        "/v1/setaside/1/applyx",
        "/healthz/",
        "/v2/status",
        "/v1/peer/",
        "/v1/explain/",
    };
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct err err;
        struct route_match match;
        char allow[ROUTE_ALLOW_SIZE];
        assert_int_equal(route_find(HTTP_VERB_GET, paths[i], &match, allow, &err), ERR_NOT_FOUND);
        assert_string_equal(err.slug, "route_not_found");
        assert_string_equal(allow, "");
    }
}

static void
tells_the_methods_of_a_path(void **state)
{
    (void)state;
    struct err err;
    struct route_match match;
    char allow[ROUTE_ALLOW_SIZE];
    assert_int_equal(route_find(HTTP_VERB_POST, "/v1/config/app/x", &match, allow, &err),
                     ERR_INVALID);
    assert_string_equal(err.slug, "method_not_allowed");
    assert_string_equal(allow, "GET, HEAD, PUT, DELETE");
    assert_int_equal(route_find(HTTP_VERB_OPTIONS, "/v1/login", &match, allow, &err), ERR_INVALID);
    assert_string_equal(allow, "POST");
    assert_int_equal(route_find(HTTP_VERB_HEAD, "/v1/status", &match, allow, &err), ERR_NONE);
    assert_int_equal(match.id, ROUTE_status);
}

static void
checks_names_of_query_parameters(void **state)
{
    (void)state;
    struct err err;
    const struct route *history = &routes[ROUTE_history];
    assert_int_equal(route_check_query(history, "", &err), ERR_NONE);
    assert_int_equal(route_check_query(history, "key=app/x&after=3&limit=2", &err), ERR_NONE);
    assert_int_equal(route_check_query(history, "limit", &err), ERR_NONE);
    assert_int_equal(route_check_query(history, "limi=2", &err), ERR_INVALID);
    assert_string_equal(err.slug, "query_invalid");
    assert_int_equal(route_check_query(history, "limits=2", &err), ERR_INVALID);
    assert_int_equal(route_check_query(history, "=2", &err), ERR_INVALID);
    assert_int_equal(route_check_query(&routes[ROUTE_status], "x", &err), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_route_by_its_pattern),
        cmocka_unit_test(refuses_what_is_not_there),
        cmocka_unit_test(tells_the_methods_of_a_path),
        cmocka_unit_test(checks_names_of_query_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
