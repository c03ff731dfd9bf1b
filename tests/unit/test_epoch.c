/*
 * Epochs are compared as pairs, positions epoch first; their text is read back, and nothing else
 * is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/own.h"
#include "sites/epoch.h"

static const struct {
    uint64_t number;
    const char *holder;
} ascending[] = {
    { 0, "" },  { 1, "a" }, { 1, "a-1" }, { 1, "b" },
    { 2, "a" }, { 9, "z" }, { 10, "a" },  { 10, "b" },
};

static void
test_pairs_are_ordered_by_number_then_by_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ascending); i++) {
        struct epoch a = epoch_make(ascending[i].number, ascending[i].holder);
        for (size_t j = 0; j < ARRAY_COUNT(ascending); j++) {
            struct epoch b = epoch_make(ascending[j].number, ascending[j].holder);
            int order = epoch_compare(&a, &b);
            assert_int_equal(order < 0, i < j);
            assert_int_equal(order > 0, i > j);
            assert_int_equal(epoch_equal(&a, &b), i == j);
            assert_true(epoch_equal(epoch_max(&a, &b), i > j ? &a : &b));
        }
    }
}

static void
test_a_longer_log_of_an_older_epoch_is_older(void **state)
{
    (void)state;
    struct position older = { .epoch = epoch_make(1, "z"), .revision = 900 };
    struct position newer = { .epoch = epoch_make(2, "a"), .revision = 3 };
    struct position further = { .epoch = epoch_make(2, "a"), .revision = 4 };
    assert_true(position_compare(&older, &newer) < 0);
    assert_true(position_compare(&newer, &older) > 0);
    assert_true(position_compare(&newer, &further) < 0);
    assert_true(position_compare(&further, &newer) > 0);
    assert_int_equal(position_compare(&newer, &newer), 0);
}

static void
test_text_is_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ascending); i++) {
        struct epoch epoch = epoch_make(ascending[i].number, ascending[i].holder);
        struct epoch again = epoch_make(77, "x");
        char text[EPOCH_TEXT_SIZE];
        assert_true(epoch_parse(epoch_text(&epoch, text), &again));
        assert_true(epoch_equal(&epoch, &again));
    }
}

static void
test_nothing_else_is_read(void **state)
{
    static const char *const wrong[] = {
        "",
        "1",
        "/a",
        "1/",
        "0/a",
        "-1/a",
        "1/A",
        "1/a/",
        "1/a/b",
        " 1/a",
        "1 /a",
        "1/-a",
        "+1/a",
        "1.0/a",
        "--",
        "0x1/a",
        "1/a ",
        "1/\xc3\xa4",
        "18446744073709551616/a",
        "99999999999999999999999999/a",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct epoch epoch = epoch_make(77, "x");
        assert_false(epoch_parse(wrong[i], &epoch));
        assert_int_equal(epoch.number, 77);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_are_ordered_by_number_then_by_bytes),
        cmocka_unit_test(test_a_longer_log_of_an_older_epoch_is_older),
        cmocka_unit_test(test_text_is_read_back),
        cmocka_unit_test(test_nothing_else_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
