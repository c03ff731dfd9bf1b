/* Tables: wide characters, narrow terminals, colour only where it is wanted. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/table.h"

static char *
draw(unsigned width, bool color, const char *value)
{
    char *out = NULL;
    size_t size;
    struct table_look look = { .width = width, .color = color };
    look.out = open_memstream(&out, &size);
    struct table *table = table_new(&look);
    table_column(table, "NAME", 0);
    table_column(table, "N", TABLE_RIGHT);
    table_column(table, "VALUE", TABLE_CUT);
    table_column(table, "NOTE", TABLE_WRAP);
    table_row(table);
    table_cell(table, TABLE_PLAIN, "a");
    table_cell(table, TABLE_PLAIN, "12345");
    table_cell(table, TABLE_BAD, "%s", value);
    table_cell(table, TABLE_PLAIN, "it is so");
    table_row(table);
    table_cell(table, TABLE_PLAIN, "longer");
    table_cell(table, TABLE_PLAIN, "7");
    table_cell(table, TABLE_PLAIN, "x");
    table_cell(table, TABLE_PLAIN, "%s", "");
    assert_int_equal(table_row_count(table), 2);
    table_print(table);
    table_freep(&table);
    assert_null(table);
    (void)fclose(look.out);
    return out;
}

static void
check(unsigned width, bool color, const char *value, const char *expected)
{
    CLEANUP(freep) char *out = draw(width, color, value);
    assert_string_equal(out, expected);
}

static void
test_wide(void **state)
{
    (void)state;
    check(0, false, "青い空",
          "NAME        N  VALUE   NOTE\n"
          "a       12345  青い空  it is so\n"
          "longer      7  x       \n");
    check(0, false, "e\xcc\x81",
          "NAME        N  VALUE  NOTE\n"
          "a       12345  e\xcc\x81      it is so\n"
          "longer      7  x      \n");
}

/* What is cut says so, and never in the middle of a character. */
static void
test_narrow(void **state)
{
    (void)state;
    check(32, false, "0123456789",
          "NAME        N  VALUE    NOTE\n"
          "a       12345  0123...  it is so\n"
          "longer      7  x        \n");
    check(28, false, "青い空と海",
          "NAME        N  VALUE  NOTE\n"
          "a       12345  青...  it is\n"
          "                      so\n"
          "longer      7  x      \n");
    /* Narrower than what cannot give way: nothing is lost for it. */
    check(10, false, "0123456789",
          "NAME        N  VALUE   NOTE\n"
          "a       12345  012...  it is\n"
          "                       so\n"
          "longer      7  x       \n");
}

static void
test_color(void **state)
{
    (void)state;
    check(0, true, "red",
          "NAME        N  VALUE  NOTE\n"
          "a       12345  \033[1;31mred  \033[0m  it is so\n"
          "longer      7  x      \n");
}

/* A value must not steer the terminal, not even where colours are written. */
static void
test_harmless(void **state)
{
    char *out = NULL;
    size_t size;
    struct table_look look = { .color = true };
    (void)state;
    look.out = open_memstream(&out, &size);
    table_text(&look, TABLE_GOOD, "a\033[2Jb\rc\x7f\xc2\x9b\nd\n");
    (void)fclose(look.out);
    assert_string_equal(out, "\033[32ma?[2Jb?c???\nd\033[0m\n");
    free(out);
    out = draw(0, false, "\033[2J");
    assert_null(strchr(out, '\033'));
    assert_non_null(strstr(out, "\\x1b[2J"));
    free(out);
}

static void
test_empty(void **state)
{
    char *out = NULL;
    size_t size;
    struct table_look look = { .width = 80 };
    (void)state;
    look.out = open_memstream(&out, &size);
    struct table *table = table_new(&look);
    table_column(table, "NAME", 0);
    table_print(table);
    table_freep(&table);
    (void)fclose(look.out);
    assert_string_equal(out, "");
    free(out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide),  cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_color), cmocka_unit_test(test_harmless),
        cmocka_unit_test(test_empty),
    };
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
