/* Over which instances of a connector requests are spread (A1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "controller/base/own.h"
#include "sites/spread.h"

static void
an_address_is_a_number_with_its_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *read; /* NULL: refused */
    } rows[] = {
        { "192.0.2.7:8443", "192.0.2.7:8443" },
        { "[2001:DB8:0:0::7]:8443", "[2001:db8::7]:8443" }, /* as a proxy writes it */
        { "[::1]:1", "[::1]:1" },
        { "127.0.0.1:65535", "127.0.0.1:65535" },
        { "gate-1:8443", NULL },
        { "192.0.2.7", NULL },
        { "192.0.2.7:", NULL },
        { "192.0.2.7:0", NULL },
        { "192.0.2.7:65536", NULL },
        { "192.0.2.7:8443;disable", NULL },
        { "192.0.2:8443", NULL },
        { "2001:db8::7:8443", NULL },
        { "[2001:db8::7]8443", NULL },
        { "[2001:db8::7", NULL },
        { "[192.0.2.7]:8443", NULL },
        { "", NULL },
        { ":8443", NULL },
        { "[fe80::1%eth0]:8443", NULL },
        { "1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:1234:80", NULL },
        /* no server stands there */
        { "0.0.0.0:80", NULL },
        { "169.254.169.254:80", NULL },
        { "224.0.0.1:80", NULL },
        { "255.255.255.255:80", NULL },
        { "[::]:80", NULL },
        { "[fe80::1]:80", NULL },
        { "[ff02::1]:80", NULL },
        { "[::ffff:169.254.169.254]:80", NULL },
        { "[64:ff9b::169.254.169.254]:80", NULL },
        { "[::ffff:192.0.2.7]:80", NULL },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct spread_address address = { .port = 0 };
        char text[SPREAD_ADDRESS_SIZE];
        const char *fault = spread_address_read(rows[i].text, &address);
        if ((fault == NULL) != (rows[i].read != NULL))
            fail_msg("'%s': %s", rows[i].text, fault == NULL ? "is taken" : fault);
        assert_string_equal(spread_address_text(&address, text),
                            rows[i].read == NULL ? "" : rows[i].read);
    }
}

/* ---- places ---- */

/*
 * An address is a letter. A target that is sick or gone has '!'. A place is 'a' in, 'a~300'
 * draining for so long, '-a' out. Of each place then: '.' stays, '+a' let in, '~' drain, 'x' cut.
 */
struct row {
    const char *targets;
    const char *places;
    const char *steps;
    size_t placed;
    size_t left_out;
    uint64_t again_ms;
    bool heard_of_few; /* not settled */
    bool unused;       /* the connector is not in use */
    char server;       /* in use beside them */
    uint64_t drain_ms;
};

static struct spread_address
letter(char name)
{
    struct spread_address address = { .port = 8443 };
    (void)snprintf(address.host, sizeof address.host, "192.0.2.%d", name - 'a' + 1);
    return address;
}

static size_t
read_targets(const char *text, struct spread_target *targets)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (*text == '!')
            targets[count - 1].takes = false;
        else
            targets[count++] = (struct spread_target){ .at = letter(*text), .takes = true };
    }
    return count;
}

static size_t
read_places(const char *text, struct spread_place *places)
{
    size_t count = 0;
    while (*text != '\0') {
        bool out = *text == '-';
        struct spread_place *place = &places[count++];
        *place =
            (struct spread_place){ .state = out ? SPREAD_OUT : SPREAD_IN, .at = letter(text[out]) };
        text += 1 + out;
        if (*text == '~') {
            char *end;
            place->state = SPREAD_DRAINING;
            place->since_ms = strtoull(text + 1, &end, 10);
            text = end;
        }
        text += *text == ' ';
    }
    return count;
}

static void
expect_steps(const struct row *row)
{
    struct spread_target targets[SPREAD_COUNT_MAX];
    struct spread_place places[SPREAD_COUNT_MAX];
    struct spread_step steps[SPREAD_COUNT_MAX];
    struct spread_address server = letter(row->server);
    const struct spread_goal goal = { .targets = targets,
                                      .target_count = read_targets(row->targets, targets),
                                      .settled = !row->heard_of_few,
                                      .in_use = !row->unused,
                                      .server = row->server == '\0' ? NULL : &server,
                                      .drain_ms = row->drain_ms };
    size_t count = read_places(row->places, places);
    struct spread_sum sum = spread_plan(&goal, places, count, steps);
    struct buf text = { 0 };
    for (size_t i = 0; i < count; i++) {
        const char *space = i == 0 ? "" : " ";
        if (steps[i].act == SPREAD_LET_IN)
            buf_printf(&text, "%s+%c", space, (char)('a' + atoi(steps[i].at.host + 8) - 1));
        else
            buf_printf(&text, "%s%c", space, ".+~x"[steps[i].act]);
    }
    if (strcmp(buf_text(&text), row->steps) != 0)
        fail_msg("targets '%s', places '%s': '%s', expected '%s'", row->targets, row->places,
                 buf_text(&text), row->steps);
    assert_int_equal(sum.placed, row->placed);
    assert_int_equal(sum.left_out, row->left_out);
    assert_int_equal(sum.again_ms, row->again_ms);
    buf_done(&text);
}

static void
requests_go_to_who_is_there_and_well(void **state) /* A1, A4, A10 */
{
    (void)state;
    static const struct row rows[] = {
        { .targets = "", .places = "", .steps = "" },
        { .targets = "ab", .places = "-x -y -z", .steps = "+a +b .", .placed = 2 },
        { .targets = "ab", .places = "a b -z", .steps = ". . .", .placed = 2 },
        { .targets = "ab!", .places = "a b -z", .steps = ". x .", .placed = 1 },
        { .targets = "a", .places = "a b -z", .steps = ". x .", .placed = 1 },
        { .targets = "ab", .places = "a -b -z", .steps = ". +b .", .placed = 2 },
        { .targets = "a!b!", .places = "-a -b", .steps = ". ." },
        /* in his old place, whoever else comes */
        { .targets = "cab", .places = "a -b -z", .steps = ". +b +c", .placed = 3 },
        /* nothing is in use here */
        { .targets = "ab", .places = "a b -z", .steps = "x x .", .unused = true },
        { .targets = "", .places = "a -b", .steps = "x .", .unused = true, .heard_of_few = true },
        /* more than there are places */
        { .targets = "abc", .places = "-x b", .steps = "+a .", .placed = 2, .left_out = 1 },
        { .targets = "ab", .places = "", .steps = "", .left_out = 2 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        expect_steps(&rows[i]);
}

static void
who_was_not_heard_yet_stays(void **state) /* A4, A10: the daemon was started again */
{
    (void)state;
    static const struct row rows[] = {
        { .targets = "", .places = "a b -c", .steps = ". . .", .heard_of_few = true },
        { .targets = "a!", .places = "a b -c", .steps = "x . .", .heard_of_few = true },
        { .targets = "d",
          .places = "a b -c",
          .steps = ". . +d",
          .heard_of_few = true,
          .placed = 1 },
        { .targets = "c", .places = "a b", .steps = ". .", .heard_of_few = true, .left_out = 1 },
        { .targets = "", .places = "a b -c", .steps = "x x ." },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        expect_steps(&rows[i]);
}

static void
who_goes_may_finish(void **state) /* S11 */
{
    (void)state;
    static const struct row rows[] = {
        { .targets = "b",
          .places = "a b",
          .steps = "~ .",
          .placed = 1,
          .drain_ms = 500,
          .again_ms = 500 },
        { .targets = "b",
          .places = "a~200 b",
          .steps = ". .",
          .placed = 1,
          .drain_ms = 500,
          .again_ms = 300 },
        { .targets = "b", .places = "a~500 b", .steps = "x .", .placed = 1, .drain_ms = 500 },
        { .targets = "b", .places = "a~9 b", .steps = "x .", .placed = 1 },
        { .targets = "",
          .places = "a~100 b~400",
          .steps = ". .",
          .drain_ms = 500,
          .again_ms = 100 },
        /* back before it is over */
        { .targets = "ab", .places = "a~200 b", .steps = "+a .", .placed = 2, .drain_ms = 500 },
        /* who comes waits for a place in which somebody finishes, and gets it then */
        { .targets = "bc",
          .places = "a~200 b",
          .steps = ". .",
          .placed = 1,
          .left_out = 1,
          .drain_ms = 500,
          .again_ms = 300 },
        { .targets = "bc", .places = "a~500 b", .steps = "+c .", .placed = 2, .drain_ms = 500 },
        { .targets = "bc", .places = "a b", .steps = "+c .", .placed = 2 },
        { .targets = "bc", .places = "a -z b", .steps = "x +c .", .placed = 2 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        expect_steps(&rows[i]);
}

static void
nobody_gets_twice_his_share(void **state) /* A1 */
{
    (void)state;
    static const struct row rows[] = {
        { .targets = "ab", .places = "a a b", .steps = ". x .", .placed = 2 },
        { .targets = "ab", .places = "-a a b", .steps = ". . .", .placed = 2 },
        { .targets = "ab",
          .places = "a~100 a b",
          .steps = ". . .",
          .placed = 2,
          .drain_ms = 500,
          .again_ms = 400 },
        { .targets = "ab", .places = "a b -z", .steps = "x . .", .placed = 1, .server = 'a' },
        { .targets = "ab", .places = "-x -y", .steps = "+b .", .placed = 1, .server = 'a' },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        expect_steps(&rows[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_go_to_who_is_there_and_well),
        cmocka_unit_test(who_was_not_heard_yet_stays),
        cmocka_unit_test(who_goes_may_finish),
        cmocka_unit_test(nobody_gets_twice_his_share),
        cmocka_unit_test(an_address_is_a_number_with_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
