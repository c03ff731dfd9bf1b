#include "controller/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a line looks like on standard error, from its event on. */
static void
assert_logged(const char *text, const char *wanted)
{
    char line[512] = "";
    int ends[2];
    int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_warn("login.failed", "user=%s", text);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    assert_int_equal(close(ends[0]) + close(ends[1]) + close(kept), 0);
    const char *event = strstr(line, "login.failed ");
    assert_non_null(event);
    assert_string_equal(event, wanted);
}

/* Who is not logged in yet chooses a part of the line. */
static void
a_line_gives_no_orders(void **state)
{
    (void)state;
    assert_logged("anna", "login.failed user=anna\n");
    assert_logged("a\nb\rc\td", "login.failed user=a b c d\n");
    assert_logged("\x1b[2Jx\x7f", "login.failed user= [2Jx \n");
    assert_logged("\xc2\x9b"
                  "2J \xc3\xa9 \xc2\xa0",
                  "login.failed user=  2J \xc3\xa9 \xc2\xa0\n");
    assert_logged("\xc2", "login.failed user=\xc2\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_gives_no_orders),
    };
    (void)unsetenv("JOURNAL_STREAM");
    log_init("", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
