/*
 * Who may join a pair (S7, S42): one standby, and another only when it is lost. And a cluster: as
 * many as can be counted in a promotion.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sites/pair.h"

static const struct pair_member two[] = {
    { .name = "west-1", .silent_ms = 3000, .interval_ms = 1000 },
    { .name = "west-2", .silent_ms = 90000, .interval_ms = 1000 },
};

static void
test_a_cluster_takes_all(void **state)
{
    struct err err;
    const struct pair_member *lost = &two[0];
    (void)state;
    assert_int_equal(pair_admit(false, two, 2, 0, &lost, &err), ERR_NONE);
    assert_null(lost);
}

static void
test_a_pair_takes_its_first_standby(void **state)
{
    struct err err;
    const struct pair_member *lost = &two[0];
    (void)state;
    assert_int_equal(pair_admit(true, two, 0, 0, &lost, &err), ERR_NONE);
    assert_null(lost);
}

/* S42: and no second one; S7: before three intervals are over. */
static void
test_a_second_is_declined_until_the_first_is_lost(void **state)
{
    struct err err;
    struct pair_member one = two[0];
    const struct pair_member *lost;
    (void)state;
    assert_int_equal(pair_admit(true, &one, 1, 0, &lost, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "pair_full");
    assert_string_equal(err.text, "members.mode is pair, and west-1 is the standby: it was heard "
                                  "3.0 s ago, and is lost after 3.0 s of silence");
    one.silent_ms++;
    assert_int_equal(pair_admit(true, &one, 1, 0, &lost, &err), ERR_NONE);
    assert_ptr_equal(lost, &one);
    /* its own interval counts, and what is not stale yet is not lost */
    one.interval_ms = 60000;
    assert_int_equal(pair_admit(true, &one, 1, 0, &lost, &err), ERR_CONFLICT);
    one.interval_ms = 1000;
    assert_int_equal(pair_admit(true, &one, 1, 5000, &lost, &err), ERR_CONFLICT);
}

static void
test_more_than_a_pair_takes_nobody(void **state)
{
    struct err err;
    const struct pair_member *lost;
    (void)state;
    assert_int_equal(pair_admit(true, two, 2, 0, &lost, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "pair_full");
}

/* One more, and promo_set() would refuse every promotion. */
static void
test_a_cluster_ends_where_nobody_could_be_promoted(void **state)
{
    struct err err;
    struct pair_member standbys[NODE_MEMBERS_MAX] = { 0 };
    const struct pair_member *lost;
    (void)state;
    assert_int_equal(pair_admit(false, standbys, NODE_MEMBERS_MAX - 2, 0, &lost, &err), ERR_NONE);
    assert_int_equal(pair_admit(false, standbys, NODE_MEMBERS_MAX - 1, 0, &lost, &err),
                     ERR_CONFLICT);
    assert_string_equal(err.slug, "cluster_full");
    assert_string_equal(err.text, "there are 16 members, and a cluster has at most 16");
    assert_int_equal(pair_admit(true, standbys, NODE_MEMBERS_MAX, 0, &lost, &err), ERR_CONFLICT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cluster_takes_all),
        cmocka_unit_test(test_a_pair_takes_its_first_standby),
        cmocka_unit_test(test_a_second_is_declined_until_the_first_is_lost),
        cmocka_unit_test(test_more_than_a_pair_takes_nobody),
        cmocka_unit_test(test_a_cluster_ends_where_nobody_could_be_promoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
