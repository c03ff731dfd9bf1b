/* Which connectors are kept from a primary that cannot be stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/own.h"
#include "sites/fencing.h"

static void
only_what_is_known_is_fenced(void **state)
{
    (void)state;
    static const struct fencing_driver file = { .name = "file", .kind = FENCING_ALWAYS };
    static const struct fencing_driver haproxy = { .name = "haproxy", .kind = FENCING_NEVER };
    static const struct fencing_driver exec = { .name = "exec", .kind = FENCING_TOLD };
    static const struct fencing_driver told = { .name = "exec",
                                                .kind = FENCING_TOLD,
                                                .told = true };
    static const struct fencing_driver hook = { .name = "webhook", .kind = FENCING_PROVED };
    static const struct fencing_driver proved = { .name = "webhook",
                                                  .kind = FENCING_PROVED,
                                                  .proved = true };
    const struct {
        struct fencing_driver drivers[3];
        size_t count;
        const char *text;
    } rows[] = {
        { { file }, 1, "fenced at the resource" },
        { { told }, 1, "fenced at the resource" },
        { { proved, file, told }, 3, "fenced at the resource" },
        { { haproxy }, 1, "not fenced at the resource: haproxy" },
        { { exec }, 1, "not fenced at the resource: exec (nobody says that it is)" },
        { { hook }, 1, "not fenced at the resource: webhook (its receiver has not proved it)" },
        { { proved, haproxy, file }, 3, "not fenced at the resource: haproxy" },
        { { hook, file, haproxy },
          3,
          "not fenced at the resource: webhook (its receiver has not proved it), haproxy" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[FENCING_TEXT_SIZE];
        bool fenced = fencing_judge(rows[i].drivers, rows[i].count, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(fenced, strcmp(text, "fenced at the resource") == 0);
    }
}

/* As many as a connector may have, with the longest words: the text ends, and says no. */
static void
the_text_is_bounded(void **state)
{
    (void)state;
    struct fencing_driver drivers[16];
    char text[FENCING_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(drivers); i++)
        drivers[i] = (struct fencing_driver){ .name = "webhook", .kind = FENCING_PROVED };
    assert_false(fencing_judge(drivers, ARRAY_COUNT(drivers), text));
    assert_int_equal(strlen(text), FENCING_TEXT_SIZE - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_known_is_fenced),
        cmocka_unit_test(the_text_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
