#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/shape.h"

static void
test_pointers(void **state)
{
    (void)state;
    char pointer[FAULT_POINTER_SIZE];
    fault_pointer(pointer, "", "a/b~c");
    assert_string_equal(pointer, "/a~1b~0c");
    char inner[FAULT_POINTER_SIZE];
    fault_pointer_index(inner, pointer, 12);
    assert_string_equal(inner, "/a~1b~0c/12");
    fault_pointer(inner, pointer, "");
    assert_string_equal(inner, "/a~1b~0c/");
    fault_pointer(inner, pointer, "x\033y\n");
    assert_string_equal(inner, "/a~1b~0c/x?y?");
}

/* Whatever the length of the names: bounded, and never half a character. */
static void
test_long_pointers_are_cut_between_characters(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 8; lead++) {
        for (size_t count = 40; count < 120; count++) {
            char name[256] = "aaaaaaaa";
            name[lead] = '\0';
            for (size_t i = 0; i < count; i++)
                memcpy(name + lead + 2 * i, "\xc3\xbc", 3);
            char once[FAULT_POINTER_SIZE];
            char twice[FAULT_POINTER_SIZE];
            fault_pointer(once, "", name);
            fault_pointer(twice, once, name);
            assert_true(strlen(twice) < FAULT_POINTER_SIZE);
            assert_true(str_is_utf8(twice, strlen(twice)));
            assert_true(str_is_utf8(once, strlen(once)));
            fault_pointer(once, twice, "");
            assert_true(str_is_utf8(once, strlen(once)));
            char clip[FAULT_CLIP_SIZE];
            fault_clip(clip, name);
            assert_true(strlen(clip) < FAULT_CLIP_SIZE && str_is_utf8(clip, strlen(clip)));
        }
    }
}

static void
test_no_fault_is_no_error(void **state)
{
    (void)state;
    struct fault_list faults = { 0 };
    struct err err = { 0 };
    assert_int_equal(fault_err(&faults, "bad_value", "x", &err), ERR_NONE);
    assert_string_equal(err.text, "");
}

static void
test_faults_as_json_and_as_one_line(void **state)
{
    (void)state;
    struct fault_list faults = { 0 };
    struct err err = { 0 };
    fault_add(&faults, "/a", "is %d", 1);
    fault_add(&faults, "", "is late");
    CLEANUP(json_putp) struct json_object *json = fault_json(&faults);
    assert_string_equal(json_text(json), "[{\"pointer\":\"/a\",\"text\":\"is 1\"},"
                                         "{\"pointer\":\"\",\"text\":\"is late\"}]");
    assert_int_equal(fault_err(&faults, "bad_value", "doc", &err), ERR_INVALID);
    assert_string_equal(err.text, "doc: /a: is 1; is late");

    struct fault_list cut = { 0 };
    fault_add(&cut, "/a", "'%.1s'", "\xc3\xbc");
    assert_string_equal(cut.list[0].text, "''");

    for (unsigned i = 0; i < 100; i++)
        fault_add(&faults, "/some/quite/long/pointer/in/a/document", "is wrong in some way");
    assert_int_equal(faults.count, FAULT_COUNT_MAX);
    assert_int_equal(faults.more, 102 - FAULT_COUNT_MAX);
    assert_int_equal(fault_err(&faults, "bad_value", "doc", &err), ERR_INVALID);
    assert_true(strlen(err.text) < ERR_TEXT_SIZE - 1);
    unsigned shown = 0;
    for (const char *at = err.text; (at = strstr(at, ": is ")) != NULL; at++)
        shown++;
    /* "doc: /a: is 1; is late; ..." shows one fault without a pointer */
    CLEANUP(freep) char *end = str_printf("; and %u more", 102 - shown - 1);
    assert_true(str_ends(err.text, end));
}

static void
test_distance(void **state)
{
    (void)state;
    assert_int_equal(fault_distance("probe", "probe"), 0);
    assert_int_equal(fault_distance("prob", "probe"), 1);
    assert_int_equal(fault_distance("mian", "main"), 2);
    assert_int_equal(fault_distance("port", "url"), FAULT_FAR);
    assert_int_equal(fault_distance("x", "main"), FAULT_FAR);
    assert_int_equal(fault_distance("", "main"), FAULT_FAR);
    char word[100];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_int_equal(fault_distance(word, word), FAULT_FAR);
}

static void
test_choices(void **state)
{
    (void)state;
    assert_true(shape_is_choice("json|env|template", "json"));
    assert_true(shape_is_choice("json|env|template", "env"));
    assert_true(shape_is_choice("json|env|template", "template"));
    assert_false(shape_is_choice("json|env|template", ""));
    assert_false(shape_is_choice("json|env|template", "jso"));
    assert_false(shape_is_choice("json|env|template", "nv"));
    assert_false(shape_is_choice("json|env|template", "json|env"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_long_pointers_are_cut_between_characters),
        cmocka_unit_test(test_no_fault_is_no_error),
        cmocka_unit_test(test_faults_as_json_and_as_one_line),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
