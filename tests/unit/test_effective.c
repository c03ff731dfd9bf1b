/* The derived decision table of the alternate connector server, row by row, and its rules P1-P6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/own.h"
#include "sites/effective.h"

/* A node that acts: primary node of the primary site, of a cluster with two sites. */
static const struct effective_facts acting = {
    .site_primary = true,
    .role = EFFECTIVE_ROLE_PRIMARY,
};

static struct effective_choice
decide(struct effective_facts facts, bool main_set, bool alternate_set, bool use_alternate)
{
    facts.main_set = main_set;
    facts.alternate_set = alternate_set;
    facts.use_alternate = use_alternate;
    return effective_decide(&facts);
}

static void
expect(struct effective_choice choice, enum effective_server in_use,
       enum effective_server would_use)
{
    assert_string_equal(effective_server_name(choice.in_use), effective_server_name(in_use));
    assert_string_equal(effective_server_name(choice.would_use), effective_server_name(would_use));
}

/* primary | main yes | alternate any | off -> main */
static void
test_primary_with_main_uses_main(void **state)
{
    (void)state;
    for (int alternate = 0; alternate < 2; alternate++) {
        struct effective_choice choice = decide(acting, true, alternate != 0, false);
        expect(choice, EFFECTIVE_MAIN, EFFECTIVE_MAIN);
        assert_string_equal(choice.hint, "");
        assert_false(choice.refuses_work);
    }
}

/* primary | main any | alternate yes | on -> alternate */
static void
test_primary_with_flag_uses_alternate(void **state)
{
    (void)state;
    for (int has_main = 0; has_main < 2; has_main++) {
        struct effective_choice choice = decide(acting, has_main != 0, true, true);
        expect(choice, EFFECTIVE_ALTERNATE, EFFECTIVE_ALTERNATE);
        assert_string_equal(choice.hint, "");
    }
}

/* primary | main yes | alternate no | on -> error; and without a main all the more */
static void
test_flag_without_alternate_is_an_error(void **state)
{
    (void)state;
    for (int has_main = 0; has_main < 2; has_main++) {
        struct effective_choice choice = decide(acting, has_main != 0, false, true);
        expect(choice, EFFECTIVE_ERROR, EFFECTIVE_ERROR);
        assert_non_null(strstr(choice.hint, "no alternate is configured"));
    }
}

/* primary | main no | alternate yes | off -> none, with a hint that an alternate exists */
static void
test_alternate_alone_is_not_used_but_hinted_at(void **state)
{
    (void)state;
    struct effective_choice choice = decide(acting, false, true, false);
    expect(choice, EFFECTIVE_NONE, EFFECTIVE_NONE);
    assert_non_null(strstr(choice.hint, "an alternate is"));
}

/* The one combination that the table leaves out. */
static void
test_nothing_configured(void **state)
{
    (void)state;
    struct effective_choice choice = decide(acting, false, false, false);
    expect(choice, EFFECTIVE_NONE, EFFECTIVE_NONE);
    assert_string_equal(choice.hint, "no server is configured");
}

/* P2: secondary | any | any | any -> none in use; it reports what it would use */
static void
test_p2_secondary_uses_nothing_and_says_what_it_would(void **state)
{
    (void)state;
    struct effective_facts secondary = { .role = EFFECTIVE_ROLE_STANDBY };
    for (unsigned bits = 0; bits < 8; bits++) {
        bool has_main = (bits & 1u) != 0;
        bool has_alternate = (bits & 2u) != 0;
        bool flag = (bits & 4u) != 0;
        struct effective_choice there = decide(secondary, has_main, has_alternate, flag);
        struct effective_choice were_it_primary = decide(acting, has_main, has_alternate, flag);
        expect(there, EFFECTIVE_NONE, were_it_primary.in_use);
        assert_string_equal(there.hint, were_it_primary.hint);
        assert_false(there.refuses_work);
    }
}

/* P2: the box may be ticked in advance; the promotion makes it count. */
static void
test_p2_flag_set_in_advance_counts_after_promotion(void **state)
{
    (void)state;
    struct effective_facts node = { .role = EFFECTIVE_ROLE_STANDBY };
    expect(decide(node, true, true, true), EFFECTIVE_NONE, EFFECTIVE_ALTERNATE);
    node = acting;
    expect(decide(node, true, true, true), EFFECTIVE_ALTERNATE, EFFECTIVE_ALTERNATE);
}

/* A second node of the primary site acts no more than one of a secondary site. */
static void
test_standby_of_the_primary_site_uses_nothing(void **state)
{
    (void)state;
    struct effective_facts standby = { .site_primary = true, .role = EFFECTIVE_ROLE_STANDBY };
    expect(decide(standby, true, true, false), EFFECTIVE_NONE, EFFECTIVE_MAIN);
    expect(decide(standby, true, true, true), EFFECTIVE_NONE, EFFECTIVE_ALTERNATE);
}

/* P1, P4: the servers are the same everywhere, the flag is each node's own. */
static void
test_p1_p4_same_servers_and_own_flags(void **state)
{
    (void)state;
    struct effective_facts east = acting;
    struct effective_facts west = { .role = EFFECTIVE_ROLE_STANDBY };
    expect(decide(east, true, true, false), EFFECTIVE_MAIN, EFFECTIVE_MAIN);
    expect(decide(west, true, true, true), EFFECTIVE_NONE, EFFECTIVE_ALTERNATE);
    /* west is promoted, and neither the servers nor the flags change */
    east = (struct effective_facts){ .role = EFFECTIVE_ROLE_STANDBY };
    west = acting;
    expect(decide(east, true, true, false), EFFECTIVE_NONE, EFFECTIVE_MAIN);
    expect(decide(west, true, true, true), EFFECTIVE_ALTERNATE, EFFECTIVE_ALTERNATE);
}

/* P3: single site: ticking makes the alternate active at once, un-ticking goes back; whatever is
 * said about the role of the site. */
static void
test_p3_single_site_switches_at_once(void **state)
{
    (void)state;
    for (int site_primary = 0; site_primary < 2; site_primary++) {
        struct effective_facts single = { .single_site = true,
                                          .site_primary = site_primary != 0,
                                          .role = EFFECTIVE_ROLE_PRIMARY };
        expect(decide(single, true, true, false), EFFECTIVE_MAIN, EFFECTIVE_MAIN);
        expect(decide(single, true, true, true), EFFECTIVE_ALTERNATE, EFFECTIVE_ALTERNATE);
        expect(decide(single, true, true, false), EFFECTIVE_MAIN, EFFECTIVE_MAIN);
        /* all eight combinations are those of a primary site */
        for (unsigned bits = 0; bits < 8; bits++) {
            struct effective_choice here =
                decide(single, (bits & 1u) != 0, (bits & 2u) != 0, (bits & 4u) != 0);
            struct effective_choice multi =
                decide(acting, (bits & 1u) != 0, (bits & 2u) != 0, (bits & 4u) != 0);
            expect(here, multi.in_use, multi.would_use);
            assert_string_equal(here.hint, multi.hint);
        }
    }
}

/* P5 is about the servers' own configuration: one list of target connectors serves both servers, so
 * the choice does not look at it. test_connector.c has the list. */

/* P6: single site, main not configured: save main, tick, fill alternate, untick, save. */
static void
test_p6_single_site_procedure(void **state)
{
    (void)state;
    struct effective_facts single = { .single_site = true, .role = EFFECTIVE_ROLE_PRIMARY };
    expect(decide(single, false, false, false), EFFECTIVE_NONE, EFFECTIVE_NONE);
    expect(decide(single, true, false, false), EFFECTIVE_MAIN, EFFECTIVE_MAIN);
    expect(decide(single, true, false, true), EFFECTIVE_ERROR, EFFECTIVE_ERROR);
    expect(decide(single, true, true, true), EFFECTIVE_ALTERNATE, EFFECTIVE_ALTERNATE);
    expect(decide(single, true, true, false), EFFECTIVE_MAIN, EFFECTIVE_MAIN);
}

/* fenced or quarantined | any -> none, refuses work */
static void
test_fenced_refuses_work(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 32; bits++) {
        struct effective_facts fenced = { .site_primary = (bits & 8u) != 0,
                                          .single_site = (bits & 16u) != 0,
                                          .role = EFFECTIVE_ROLE_FENCED };
        struct effective_choice choice =
            decide(fenced, (bits & 1u) != 0, (bits & 2u) != 0, (bits & 4u) != 0);
        assert_int_equal(choice.in_use, EFFECTIVE_NONE);
        assert_true(choice.refuses_work);
        assert_non_null(strstr(choice.hint, "fenced"));
    }
}

/* Over everything there is: only an acting node uses a server, and never main with the flag set. */
static void
test_no_combination_acts_wrongly(void **state)
{
    (void)state;
    static const enum effective_role roles[] = { EFFECTIVE_ROLE_PRIMARY, EFFECTIVE_ROLE_STANDBY,
                                                 EFFECTIVE_ROLE_FENCED };
    for (unsigned bits = 0; bits < 32; bits++) {
        for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
            struct effective_facts facts = { .site_primary = (bits & 8u) != 0,
                                             .single_site = (bits & 16u) != 0,
                                             .role = roles[i],
                                             .main_set = (bits & 1u) != 0,
                                             .alternate_set = (bits & 2u) != 0,
                                             .use_alternate = (bits & 4u) != 0 };
            struct effective_choice choice = effective_decide(&facts);
            bool acts =
                roles[i] == EFFECTIVE_ROLE_PRIMARY && (facts.site_primary || facts.single_site);
            if (!acts)
                assert_int_equal(choice.in_use, EFFECTIVE_NONE);
            else
                assert_int_equal(choice.in_use, choice.would_use);
            if (choice.would_use == EFFECTIVE_MAIN)
                assert_true(facts.main_set && !facts.use_alternate);
            if (choice.would_use == EFFECTIVE_ALTERNATE)
                assert_true(facts.alternate_set && facts.use_alternate);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primary_with_main_uses_main),
        cmocka_unit_test(test_primary_with_flag_uses_alternate),
        cmocka_unit_test(test_flag_without_alternate_is_an_error),
        cmocka_unit_test(test_alternate_alone_is_not_used_but_hinted_at),
        cmocka_unit_test(test_nothing_configured),
        cmocka_unit_test(test_p2_secondary_uses_nothing_and_says_what_it_would),
        cmocka_unit_test(test_p2_flag_set_in_advance_counts_after_promotion),
        cmocka_unit_test(test_standby_of_the_primary_site_uses_nothing),
        cmocka_unit_test(test_p1_p4_same_servers_and_own_flags),
        cmocka_unit_test(test_p3_single_site_switches_at_once),
        cmocka_unit_test(test_p6_single_site_procedure),
        cmocka_unit_test(test_fenced_refuses_work),
        cmocka_unit_test(test_no_combination_acts_wrongly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
