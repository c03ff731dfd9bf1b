#include "controller/arbiter/arbiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/json.h"

static struct json_object *
object(const char *text)
{
    struct json_object *ret = NULL;
    struct err err = { 0 };
    assert_int_equal(json_read(text, strlen(text), &ret, &err), ERR_NONE);
    return ret;
}

static void
expect(const char *told_text, const char *wanted_text, const char *next_text)
{
    CLEANUP(json_putp) struct json_object *told = told_text == NULL ? NULL : object(told_text);
    CLEANUP(json_putp) struct json_object *wanted = object(wanted_text);
    CLEANUP(json_putp) struct json_object *next = arbiter_bar_next(told, wanted);
    if (next_text == NULL)
        assert_null(next);
    else
        assert_string_equal(json_text(next), next_text);
}

static void
tells_what_is_not_told(void **state)
{
    (void)state;
    expect(NULL, "{}", NULL);
    expect(NULL, "{\"east-2\":2}", "{\"east-2\":2}");
    expect("{\"east-2\":2}", "{\"east-2\":2}", NULL);
    expect("{\"east-2\":2}", "{\"east-2\":3,\"west-1\":2}", "{\"east-2\":3,\"west-1\":2}");
    expect("{\"east-2\":3}", "{\"east-2\":2}", NULL); /* a generation never goes back */
}

/* A cluster that lost many nodes in its life: the last name is told as well as the first. */
static void
many_are_told_in_several_calls(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    CLEANUP(json_putp) struct json_object *wanted = json_object_new_object();
    CLEANUP(json_putp) struct json_object *told = json_object_new_object();
    struct json_object *next;
    unsigned calls = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%060u", i); /* about as long as a name may be */
        json_add_u64(wanted, name, INT64_MAX);
    }
    while ((next = arbiter_bar_next(told, wanted)) != NULL) {
        assert_in_range(++calls, 1, COUNT);
        assert_true(strlen(json_text(next)) < ARBITER_NOTE_SIZE);
        json_object_object_foreach (next, name, first) {
            json_add(told, name, json_object_get(first));
        }
        json_object_put(next);
    }
    assert_true(calls > COUNT * 60 / ARBITER_NOTE_SIZE);
    assert_true(json_object_equal(told, wanted));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_is_not_told),
        cmocka_unit_test(many_are_told_in_several_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
