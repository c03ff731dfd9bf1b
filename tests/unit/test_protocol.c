/*
 * The whole matrix of states and events of every machine, refusals included, as
 * docs/protocol-table.txt shows it: a change of the protocol is a diff that a person reads.
 * --rewrite writes the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "controller/base/file.h"
#include "sites/lease.h"
#include "sites/node.h"
#include "sites/promo.h"

#define TABLE_PATH     SOURCE_DIR "/docs/protocol-table.txt"
#define TABLE_SIZE_MAX (1024UL * 1024)

static bool rewrite;

static void
print_tables(struct buf *into)
{
    buf_add_text(
        into,
        "Printed from the code by tests/unit/test_protocol.c --rewrite. A pair that is refused "
        "changes nothing.\n\nA node (sites/node.c)\n\n");
    node_print_table(into);
    buf_add_text(into, "\nA promotion, on the node that is to become primary (sites/promo.c)\n\n");
    promo_print_table(into);
    buf_add_text(into,
                 "\nThe lease (sites/lease.c). A deadline that has passed is dealt with first: "
                 "EXPIRE\n\n");
    lease_print_table(into);
}

static void
the_tables_are_as_printed(void **state)
{
    (void)state;
    struct buf now = { 0 };
    struct buf before = { 0 };
    struct err err;
    print_tables(&now);
    if (rewrite)
        assert_int_equal(
            file_write_atomic(TABLE_PATH, now.data, now.size, 0644, (uid_t)-1, (gid_t)-1, &err),
            ERR_NONE);
    assert_int_equal(file_read(TABLE_PATH, TABLE_SIZE_MAX, &before, &err), ERR_NONE);
    assert_string_equal(buf_text(&now), buf_text(&before));
    buf_done(&now);
    buf_done(&before);
}

/* I11, I3: what a fenced node can come to, and that nothing but a promotion makes a primary. */
static void
only_an_acknowledged_row_or_a_freeze_undone_makes_a_primary(void **state)
{
    (void)state;
    struct buf table = { 0 };
    node_print_table(&table);
    for (char *line = strtok(table.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *arrow = strstr(line, "-> ");
        if (arrow == NULL || strstr(arrow, "PRIMARY") == NULL || strncmp(line, "PRIMARY", 7) == 0)
            continue;
        assert_true(strncmp(line, "CLOSED     ACKED", 16) == 0 ||
                    strncmp(line, "DRAINING   REOPENED", 19) == 0 ||
                    strncmp(line, "DRAINING   FROZEN", 17) == 0 ||
                    strncmp(line, "CANDIDATE  FAILED", 17) == 0 ||
                    strncmp(line, "CLOSED     FAILED", 17) == 0);
    }
    buf_done(&table);
}

/* I9: only a grant, the word of all members, or of the one before gives the permission; what ends
 * it is followed by nothing that gives it back. */
static void
only_a_grant_or_the_members_permit(void **state)
{
    (void)state;
    struct buf table = { 0 };
    lease_print_table(&table);
    for (char *line = strtok(table.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *arrow = strstr(line, "-> ");
        bool held = arrow != NULL && strstr(arrow, "HELD") != NULL;
        bool failsafe = arrow != NULL && strstr(arrow, "FAILSAFE") != NULL;
        bool before = strncmp(line, "HELD", 4) == 0 || strncmp(line, "FAILSAFE", 8) == 0;
        if (strncmp(line, "LOST", 4) == 0 || strncmp(line, "RELEASING", 9) == 0)
            assert_false(held || failsafe);
        if (held && !before)
            assert_true(strncmp(line, "WANTED    REPLY", 15) == 0 ||
                        strncmp(line, "WAITING", 7) == 0);
        if (failsafe && !before)
            assert_true(strncmp(line, "WANTED", 6) == 0);
    }
    buf_done(&table);
}

int
main(int argc, char **argv)
{
    rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_as_printed),
        cmocka_unit_test(only_an_acknowledged_row_or_a_freeze_undone_makes_a_primary),
        cmocka_unit_test(only_a_grant_or_the_members_permit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
