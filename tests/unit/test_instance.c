/*
 * Instances of a connector (A1 to A10): who may register, who is there, what is recorded, and when
 * somebody has to look. Each row of a story is one event and what comes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "sites/instance.h"

#define SILENCE_MS 30000
#define WALL_MS    1700000000000LL

#define S1 "00000000000000000000000000000001"
#define S2 "00000000000000000000000000000002"
#define S3 "00000000000000000000000000000003"

enum act { HEAR, SICK, LEAVE, LAPSE, ADMIT };

struct row {
    enum act act;
    uint64_t at_ms;
    const char *name;
    const char *session;
    int64_t began_ms;
    const char *version;
    const char *next;    /* named by the operator at this moment */
    unsigned expected;   /* ADMIT */
    const char *outcome; /* slug; "new": changed; "-": not; of ADMIT the version */
    const char *there;   /* who is connected afterwards, in order of arrival; '!' is not healthy */
};

struct bench {
    struct instance_set set;
    char admitted[INSTANCE_VERSION_SIZE];
    struct err err;
};

static struct bench
begin(const char *admitted)
{
    struct bench bench = { 0 };
    (void)snprintf(bench.admitted, sizeof bench.admitted, "%s", admitted);
    return bench;
}

static const char *
hear(struct bench *bench, const struct row *row)
{
    bool changed = false;
    struct instance_rules rules = { .admitted = bench->admitted, .next = row->next };
    struct instance_hello hello = { .connector = "pam",
                                    .name = row->name,
                                    .session = row->session,
                                    .token = "t",
                                    .version = row->version,
                                    .began_ms = row->began_ms,
                                    .healthy = row->act == HEAR,
                                    .text = "503" };
    enum err_code code = instance_hear(&bench->set, &rules, &hello, row->at_ms,
                                       WALL_MS + (int64_t)row->at_ms, &changed, &bench->err);
    if (code != ERR_NONE)
        return bench->err.slug;
    return changed ? "new" : "-";
}

static const char *
play(struct bench *bench, const struct row *row)
{
    struct instance_rules rules = { .admitted = bench->admitted, .next = row->next };
    const char *version;
    switch (row->act) {
    case HEAR:
    case SICK:
        return hear(bench, row);
    case LEAVE:
        return instance_leave(&bench->set, "pam", row->name, row->session) ? "new" : "-";
    case LAPSE:
        return instance_lapse(&bench->set, SILENCE_MS, row->at_ms) > 0 ? "new" : "-";
    case ADMIT:
        break;
    }
    version = instance_admits(&bench->set, "pam", &rules, row->expected);
    if (*version == '\0')
        return "-";
    (void)snprintf(bench->admitted, sizeof bench->admitted, "%s", version);
    return bench->admitted;
}

static void
expect_there(const struct bench *bench, const char *there)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    list_each (at, &bench->set.all) {
        const struct instance *it = CONTAINER_OF(at, struct instance, node);
        if (it->connected)
            buf_printf(&text, "%s%s%s", text.size > 0 ? " " : "", it->name, it->healthy ? "" : "!");
    }
    assert_string_equal(buf_text(&text), there);
}

static void
run(const char *admitted, const struct row *rows, size_t count)
{
    struct bench bench = begin(admitted);
    instance_set_init(&bench.set);
    for (size_t i = 0; i < count; i++) {
        const char *outcome = play(&bench, &rows[i]);
        if (strcmp(outcome, rows[i].outcome) != 0)
            fail_msg("row %zu: '%s', expected '%s' (%s)", i, outcome, rows[i].outcome,
                     bench.err.text);
        expect_there(&bench, rows[i].there);
    }
    instance_set_done(&bench.set);
}

#define RUN(admitted, rows) run(admitted, rows, ARRAY_COUNT(rows))

/* ------------------------------------------------------------------ stories */

static void
several_stand_under_one_id(void **state) /* A1, A5 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", NULL, 0, "new", "a" },
        { HEAR, 10, "b", S2, 1, "1", NULL, 0, "new", "a b" },
        { HEAR, 5000, "a", S1, 1, "1", NULL, 0, "-", "a b" },
        { SICK, 6000, "b", S2, 1, "1", NULL, 0, "new", "a b!" },
        { SICK, 7000, "b", S2, 1, "1", NULL, 0, "-", "a b!" },
        { HEAR, 8000, "b", S2, 1, "1", NULL, 0, "new", "a b" },
    };
    RUN("1", rows);
}

static void
silence_ends_a_session(void **state) /* A4, A5, A10 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", NULL, 0, "new", "a" },
        { HEAR, 20000, "b", S2, 1, "1", NULL, 0, "new", "a b" },
        { LAPSE, 29999, NULL, NULL, 0, NULL, NULL, 0, "-", "a b" },
        { LAPSE, 30000, NULL, NULL, 0, NULL, NULL, 0, "new", "b" },
        { LAPSE, 30001, NULL, NULL, 0, NULL, NULL, 0, "-", "b" },
        { HEAR, 31000, "a", S1, 1, "1", NULL, 0, "new", "a b" }, /* back by itself, the same */
    };
    RUN("1", rows);
}

static void
who_left_does_not_come_back(void **state) /* A5, N3 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", NULL, 0, "new", "a" },
        { LEAVE, 10, "a", S2, 0, NULL, NULL, 0, "-", "a" }, /* not its session */
        { LEAVE, 20, "a", S1, 0, NULL, NULL, 0, "new", "" },
        { LEAVE, 30, "a", S1, 0, NULL, NULL, 0, "-", "" },
        { HEAR, 40, "a", S1, 1, "1", NULL, 0, "instance_left", "" }, /* was on its way */
        { HEAR, 50, "a", S2, 2, "1", NULL, 0, "new", "a" },
        { LEAVE, 60, "x", S1, 0, NULL, NULL, 0, "-", "a" },
    };
    RUN("1", rows);
}

static void
another_version_is_refused(void **state) /* A2, N1 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", NULL, 0, "new", "a" },
        { HEAR, 10, "b", S2, 1, "2", NULL, 0, "instance_version", "a" },
        { HEAR, 20, "b", S2, 1, "2", "3", 0, "instance_version", "a" },
        { HEAR, 30, "a", S1, 1, "2", NULL, 0, "instance_version", "" }, /* it has changed */
    };
    RUN("1", rows);
}

static void
the_first_sets_the_version(void **state) /* A2 */
{
    (void)state;
    static const struct row rows[] = {
        { ADMIT, 0, NULL, NULL, 0, NULL, NULL, 1, "-", "" },
        { HEAR, 0, "a", S1, 1, "1", NULL, 0, "new", "a" },
        { HEAR, 10, "b", S2, 1, "2", NULL, 0, "instance_version", "a" },
        { LEAVE, 20, "a", S1, 0, NULL, NULL, 0, "new", "" },
        { HEAR, 30, "b", S2, 1, "2", NULL, 0, "new", "b" }, /* nothing was on record yet */
        { ADMIT, 40, NULL, NULL, 0, NULL, NULL, 1, "2", "b" },
        { ADMIT, 50, NULL, NULL, 0, NULL, NULL, 1, "-", "b" },
    };
    RUN("", rows);
}

static void
upgrade_by_new_ones_beside_the_old(void **state) /* A2, A9, N2 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", NULL, 0, "new", "a" },
        { HEAR, 0, "b", S2, 1, "1", NULL, 0, "new", "a b" },
        { ADMIT, 1, NULL, NULL, 0, NULL, "2", 2, "-", "a b" },
        { HEAR, 2, "c", S3, 1, "2", "2", 0, "new", "a b c" },
        { ADMIT, 3, NULL, NULL, 0, NULL, "2", 2, "-", "a b c" }, /* one of two */
        { SICK, 4, "d", "00000000000000000000000000000004", 1, "2", "2", 0, "new", "a b c d!" },
        { ADMIT, 5, NULL, NULL, 0, NULL, "2", 2, "-", "a b c d!" }, /* it does not work yet */
        { HEAR, 6, "a", S1, 1, "1", "2", 0, "-", "a b c d!" },      /* the old one is still in */
        { HEAR, 7, "d", "00000000000000000000000000000004", 1, "2", "2", 0, "new", "a b c d" },
        { ADMIT, 8, NULL, NULL, 0, NULL, "2", 2, "2", "a b c d" },
        { HEAR, 9, "a", S1, 1, "1", "2", 0, "instance_version", "b c d" }, /* it is told to go */
    };
    RUN("1", rows);
}

static void
upgrade_in_place(void **state) /* A2, A9, N2 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", "2", 0, "new", "a" },
        { HEAR, 0, "b", S2, 1, "1", "2", 0, "new", "a b" },
        { LEAVE, 1, "a", S1, 0, NULL, "2", 0, "new", "b" },
        { HEAR, 2, "a", S3, 2, "2", "2", 0, "new", "a b" },
        { ADMIT, 3, NULL, NULL, 0, NULL, "2", 2, "-", "a b" },
        { LEAVE, 4, "b", S2, 0, NULL, "2", 0, "new", "a" },
        { ADMIT, 5, NULL, NULL, 0, NULL, "2", 2, "2", "a" }, /* no old one is left */
    };
    RUN("1", rows);
}

static void
the_last_old_one_gone_is_no_upgrade(void **state) /* A2, N2 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", "2", 0, "new", "a" },
        { LEAVE, 1, "a", S1, 0, NULL, "2", 0, "new", "" },
        { ADMIT, 2, NULL, NULL, 0, NULL, "2", 1, "-", "" }, /* nobody has the new one */
        { SICK, 3, "a", S2, 2, "2", "2", 0, "new", "a!" },
        { ADMIT, 4, NULL, NULL, 0, NULL, "2", 1, "-", "a!" }, /* and the new one does not work */
        { HEAR, 5, "b", S3, 1, "1", NULL, 0, "new", "a! b" }, /* so back, by naming none */
        { SICK, 6, "a", S2, 2, "2", NULL, 0, "instance_version", "b" },
    };
    RUN("1", rows);
}

static void
of_two_with_one_name_the_later_stays(void **state) /* A3, N4 */
{
    (void)state;
    static const struct row rows[] = {
        { HEAR, 0, "a", S1, 100, "1", NULL, 0, "new", "a" },
        { HEAR, 10, "a", S2, 200, "1", NULL, 0, "new", "a" },
        { HEAR, 20, "a", S1, 100, "1", NULL, 0, "instance_taken", "a" },
        { HEAR, 30, "a", S2, 200, "1", NULL, 0, "-", "a" },
        { HEAR, 40, "a", S3, 200, "1", NULL, 0, "new", "a" }, /* a draw: the ids decide */
        { HEAR, 50, "a", S2, 200, "1", NULL, 0, "instance_taken", "a" },
        { LAPSE, 40000, NULL, NULL, 0, NULL, NULL, 0, "new", "" },
        { HEAR, 40010, "a", S1, 100, "1", NULL, 0, "new", "a" }, /* the other is gone */
    };
    RUN("1", rows);
}

/* ------------------------------------------------------------------ words */

static void
a_refusal_names_both_versions_and_the_order(void **state) /* A2 */
{
    (void)state;
    struct bench bench = begin("1.7.0");
    instance_set_init(&bench.set);
    struct row row = { HEAR, 0, "b", S1, 1, "1.8.0", NULL, 0, NULL, NULL };
    assert_string_equal(hear(&bench, &row), "instance_version");
    assert_non_null(strstr(bench.err.text, "b has version 1.8.0"));
    assert_non_null(strstr(bench.err.text, "connector pam have 1.7.0"));
    assert_non_null(strstr(bench.err.mend, "instance/pam/next_version 1.8.0"));
    assert_non_null(strstr(bench.err.mend, "install 1.7.0"));
    instance_set_done(&bench.set);
}

static void
what_an_agent_says_is_checked(void **state) /* A3, A4 */
{
    (void)state;
    static const struct {
        const char *connector, *name, *session, *version, *metadata;
        bool good;
    } rows[] = {
        { "pam", "a-1", S1, "1.7.0-rc1+b_2", "{\"region\":\"eu\"}", true },
        { "pam", "a", S1, "1", NULL, true },
        { "PAM", "a", S1, "1", NULL, false },
        { "pam", "a.b", S1, "1", NULL, false },
        { "pam", "", S1, "1", NULL, false },
        { "pam", "a", "1", "1", NULL, false },
        { "pam", "a", "0000000000000000000000000000000G", "1", NULL, false },
        { "pam", "a", S1, "", NULL, false },
        { "pam", "a", S1, "1 2", NULL, false },
        { "pam", "a", S1, "0123456789012345678901234567890123456789012345678901234567890123", NULL,
          false },
        { "pam", "a", S1, "1", "[]", false },
        { "pam", "a", S1, "1", "{\"zone\":1}", false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct bench bench = begin("");
        bool changed;
        CLEANUP(json_putp) struct json_object *metadata = NULL;
        instance_set_init(&bench.set);
        if (rows[i].metadata != NULL)
            assert_int_equal(
                json_read(rows[i].metadata, strlen(rows[i].metadata), &metadata, &bench.err),
                ERR_NONE);
        struct instance_rules rules = { 0 };
        struct instance_hello hello = { .connector = rows[i].connector,
                                        .name = rows[i].name,
                                        .session = rows[i].session,
                                        .token = "t",
                                        .version = rows[i].version,
                                        .healthy = true,
                                        .metadata = metadata };
        enum err_code code =
            instance_hear(&bench.set, &rules, &hello, 0, WALL_MS, &changed, &bench.err);
        assert_int_equal(code, rows[i].good ? ERR_NONE : ERR_INVALID);
        instance_set_done(&bench.set);
    }
}

/* Where it takes requests is news, too, and may be nowhere. */
static void
an_address_comes_with_the_heartbeat(void **state) /* A1 */
{
    (void)state;
    static const struct {
        const char *address;
        const char *outcome;
        const char *kept;
    } rows[] = {
        { NULL, "new", "" },
        { "192.0.2.7:8443", "new", "192.0.2.7:8443" },
        { "192.0.2.7:8443", "-", "192.0.2.7:8443" },
        { "192.0.2.7:8444", "new", "192.0.2.7:8444" },
        { "gate-1:8443", "instance_invalid", "192.0.2.7:8444" },
        { NULL, "new", "" },
    };
    struct bench bench = begin("1");
    instance_set_init(&bench.set);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool changed = false;
        char text[SPREAD_ADDRESS_SIZE];
        struct instance_rules rules = { .admitted = "1" };
        struct instance_hello hello = { .connector = "pam",
                                        .name = "a",
                                        .session = S1,
                                        .token = "t",
                                        .version = "1",
                                        .address = rows[i].address,
                                        .healthy = true };
        enum err_code code =
            instance_hear(&bench.set, &rules, &hello, i, WALL_MS, &changed, &bench.err);
        assert_string_equal(code != ERR_NONE ? bench.err.slug
                            : changed        ? "new"
                                             : "-",
                            rows[i].outcome);
        const struct instance *it = instance_find(&bench.set, "pam", "a");
        assert_string_equal(spread_address_text(&it->address, text), rows[i].kept);
    }
    assert_non_null(strstr(bench.err.text, "address 'gate-1:8443' must be an address as a number"));
    instance_set_done(&bench.set);
}

static void
those_with_an_address_may_get_requests(void **state) /* A1, A10 */
{
    (void)state;
    static const struct {
        const char *name;
        const char *address;
        bool healthy;
        bool leaves;
    } rows[] = {
        { "a", "192.0.2.1:8443", true, false },  { "b", "192.0.2.2:8443", false, false },
        { "c", "192.0.2.3:8443", true, true },   { "d", NULL, true, false },
        { "e", "192.0.2.2:8443", true, false }, /* where b is, too */
        { "f", "192.0.2.1:8443", false, false },
    };
    struct bench bench = begin("1");
    struct spread_target list[SPREAD_COUNT_MAX];
    instance_set_init(&bench.set);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool changed = false;
        struct instance_rules rules = { .admitted = "1" };
        struct instance_hello hello = { .connector = "pam",
                                        .name = rows[i].name,
                                        .session = S1,
                                        .token = "t",
                                        .version = "1",
                                        .address = rows[i].address,
                                        .healthy = rows[i].healthy };
        assert_int_equal(
            instance_hear(&bench.set, &rules, &hello, 0, WALL_MS, &changed, &bench.err), ERR_NONE);
        if (rows[i].leaves)
            assert_true(instance_leave(&bench.set, "pam", rows[i].name, S1));
    }
    assert_int_equal(instance_spread(&bench.set, "sap", list), 0);
    assert_int_equal(instance_spread(&bench.set, "pam", list), 3);
    assert_true(strcmp(list[0].at.host, "192.0.2.1") == 0 && list[0].takes);
    assert_true(strcmp(list[1].at.host, "192.0.2.2") == 0 && list[1].takes);
    assert_true(strcmp(list[2].at.host, "192.0.2.3") == 0 && !list[2].takes);
    instance_set_done(&bench.set);
}

static void
alarms_name_the_connector(void **state) /* A9, A10 */
{
    (void)state;
    static const struct {
        struct instance_counts counts;
        const char *next;
        unsigned expected;
        const char *name;
        const char *text;
    } rows[] = {
        { { 0 }, NULL, 1, "instances_none", "connector pam: no instance works (0 connected, 1" },
        { { .connected = 2 }, NULL, 2, "instances_none", "(2 connected, 2 expected)" },
        { { .connected = 1, .working = 1 }, NULL, 1, NULL, "" },
        { { .connected = 2, .working = 1 }, NULL, 1, NULL, "" },
        { { .connected = 2, .working = 1 },
          NULL,
          2,
          "instances_few",
          "1 of 2 expected instances works: when it stops too" },
        { { .connected = 2, .working = 2 },
          NULL,
          3,
          "instances_few",
          "2 of 3 expected instances work" },
        { { .connected = 1, .working = 1 },
          "2",
          1,
          "instances_alone",
          "upgraded to 2: start a se" },
        { { .connected = 1, .working = 1 }, "1", 1, NULL, "" },
        { { .connected = 2, .working = 2 }, "2", 1, NULL, "" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct instance_alarm alarm;
        struct instance_rules rules = { .admitted = "1", .next = rows[i].next };
        bool raised = instance_alarm("pam", &rows[i].counts, &rules, rows[i].expected, &alarm);
        assert_int_equal(raised, rows[i].name != NULL);
        if (raised) {
            assert_string_equal(alarm.name, rows[i].name);
            if (strstr(alarm.text, rows[i].text) == NULL)
                fail_msg("'%s' is not in '%s'", rows[i].text, alarm.text);
        }
    }
}

static void
who_has_no_place_is_an_alarm(void **state) /* A1 */
{
    (void)state;
    static const struct {
        struct spread_room room;
        const char *text; /* NULL: none */
    } rows[] = {
        { { .takers = 0, .places = 0 }, NULL },
        { { .takers = 0, .places = 4 }, NULL },
        { { .takers = 4, .places = 4 }, NULL },
        { { .takers = 5, .places = 4 },
          "connector pam: 5 instances take requests, and HAProxy has 4 places: 1 gets no requests; "
          "'baton connector haproxy-config --instances' makes more" },
        { { .takers = 4, .places = 1 }, "and HAProxy has 1 place: 3 get no requests" },
        { { .takers = 1, .places = 0 }, "1 instance takes requests, and HAProxy has 0 places" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct instance_alarm alarm;
        bool raised = instance_room_alarm("pam", &rows[i].room, &alarm);
        assert_int_equal(raised, rows[i].text != NULL);
        if (raised) {
            assert_string_equal(alarm.name, "instances_many");
            assert_non_null(strstr(alarm.text, rows[i].text));
        }
    }
}

static void
only_who_works_counts_as_working(void **state) /* A8 */
{
    (void)state;
    struct bench bench = begin("1");
    instance_set_init(&bench.set);
    struct row rows[] = {
        { HEAR, 0, "a", S1, 1, "1", "2", 0, "new", NULL },
        { SICK, 0, "b", S2, 1, "1", "2", 0, "new", NULL },
        { HEAR, 0, "c", S3, 1, "2", "2", 0, "new", NULL },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(play(&bench, &rows[i]), rows[i].outcome);
    struct instance_rules rules = { .admitted = "1", .next = "2" };
    struct instance_counts counts = instance_count(&bench.set, "pam", &rules);
    assert_int_equal(counts.connected, 3);
    assert_int_equal(counts.working, 2);
    assert_int_equal(counts.next_working, 1);
    assert_int_equal(counts.old, 2);
    counts = instance_count(&bench.set, "sap", &rules);
    assert_int_equal(counts.connected, 0);
    instance_set_done(&bench.set);
}

/* ------------------------------------------------------------------ the record */

static void
expect_record(const struct bench *bench, const char *old, bool settled, int64_t at_ms,
              const char *expected)
{
    struct err err;
    CLEANUP(json_putp) struct json_object *before = NULL;
    if (old != NULL)
        assert_int_equal(json_read(old, strlen(old), &before, &err), ERR_NONE);
    CLEANUP(json_putp)
    struct json_object *record =
        instance_record(&bench->set, "pam", before, "1", settled, 5, at_ms);
    assert_string_equal(json_text(record), expected);
}

static void
the_record_changes_with_who_is_there(void **state) /* A4, A5 */
{
    (void)state;
    struct bench bench = begin("1");
    instance_set_init(&bench.set);
    struct row rows[] = {
        { HEAR, 0, "b", S1, 1, "1", NULL, 0, "new", "b" },
        { HEAR, 7, "a", S2, 1, "1", NULL, 0, "new", "b a" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_string_equal(play(&bench, &rows[i]), "new");
    static const char *const two =
        "{\"version\":\"1\",\"instances\":["
        "{\"name\":\"a\",\"version\":\"1\",\"connected\":true,\"last_connected_ms\":null},"
        "{\"name\":\"b\",\"version\":\"1\",\"connected\":true,\"last_connected_ms\":null}]}";
    expect_record(&bench, NULL, true, WALL_MS, two);
    rows[1].at_ms = 900;
    assert_string_equal(hear(&bench, &rows[1]), "-");
    expect_record(&bench, two, true, WALL_MS, two); /* a heartbeat writes nothing */
    assert_true(instance_leave(&bench.set, "pam", "a", S2));
    expect_record(&bench, two, true, WALL_MS + 1000,
                  "{\"version\":\"1\",\"instances\":["
                  "{\"name\":\"a\",\"version\":\"1\",\"connected\":false,"
                  "\"last_connected_ms\":1700000000900},"
                  "{\"name\":\"b\",\"version\":\"1\",\"connected\":true,"
                  "\"last_connected_ms\":null}]}");
    instance_set_done(&bench.set);
}

static void
who_was_not_heard_is_gone_when_it_had_time(void **state) /* A4 */
{
    (void)state;
    struct bench bench = begin("1");
    instance_set_init(&bench.set);
#define OLD(connected, last)                                                                       \
    "{\"version\":\"1\",\"instances\":[{\"name\":\"z\",\"version\":\"1\",\"connected\":" connected \
    ",\"last_connected_ms\":" last "}]}"
#define NONE "{\"version\":\"1\",\"instances\":[]}"
    expect_record(&bench, OLD("true", "null"), false, 10, OLD("true", "null"));
    expect_record(&bench, OLD("true", "null"), true, 10, OLD("false", "5"));
    expect_record(&bench, OLD("false", "3"), true, 10, OLD("false", "3"));
    expect_record(&bench, OLD("false", "3"), true, 604800003, OLD("false", "3"));
    expect_record(&bench, OLD("false", "3"), true, 604800004, NONE);
    expect_record(&bench, NONE, true, 10, NONE);
    instance_set_done(&bench.set);
}

static void
there_is_room_for_so_many(void **state)
{
    (void)state;
    struct bench bench = begin("1");
    char name[INSTANCE_NAME_SIZE];
    instance_set_init(&bench.set);
    struct row row = { HEAR, 0, name, S1, 1, "1", NULL, 0, NULL, NULL };
    for (unsigned i = 0; i < INSTANCE_CONNECTOR_MAX; i++) {
        (void)snprintf(name, sizeof name, "a%u", i);
        row.at_ms = i;
        assert_string_equal(hear(&bench, &row), "new");
    }
    (void)snprintf(name, sizeof name, "b");
    assert_string_equal(hear(&bench, &row), "too_many_instances");
    assert_true(instance_leave(&bench.set, "pam", "a7", S1));
    assert_string_equal(hear(&bench, &row), "new"); /* who is gone makes room */
    assert_null(instance_find(&bench.set, "pam", "a7"));
    assert_int_equal(bench.set.count, INSTANCE_CONNECTOR_MAX);
    instance_set_done(&bench.set);
}

static void
connectors_with_like_names_are_kept_apart(void **state)
{
    (void)state;
    static const char *const connectors[] = { "pam", "pam-2", "pa", "pam2", "sap" };
    struct bench bench = begin("1");
    instance_set_init(&bench.set);
    for (size_t i = 0; i < 60; i++) { /* in no order, and more than there is room for at first */
        char name[INSTANCE_NAME_SIZE];
        (void)snprintf(name, sizeof name, "i%zu", i * 7 % 12);
        bool changed = false;
        struct instance_rules rules = { .admitted = bench.admitted };
        struct instance_hello hello = { .connector = connectors[i % 5],
                                        .name = name,
                                        .session = S1,
                                        .token = "t",
                                        .version = "1",
                                        .healthy = true };
        assert_int_equal(
            instance_hear(&bench.set, &rules, &hello, i, WALL_MS, &changed, &bench.err), ERR_NONE);
        assert_true(changed);
    }
    for (size_t i = 0; i < ARRAY_COUNT(connectors); i++) {
        struct instance_rules rules = { .admitted = bench.admitted };
        assert_int_equal(instance_count(&bench.set, connectors[i], &rules).connected, 12);
        assert_true(instance_leave(&bench.set, connectors[i], "i11", S1));
        assert_int_equal(instance_count(&bench.set, connectors[i], &rules).connected, 11);
    }
    assert_null(instance_find(&bench.set, "pam", "i12"));
    assert_null(instance_find(&bench.set, "p", "i1"));
    assert_null(instance_find(&bench.set, "zoo", "i1"));
    assert_string_equal(instance_find(&bench.set, "pam-2", "i1")->connector, "pam-2");
    instance_set_done(&bench.set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_stand_under_one_id),
        cmocka_unit_test(silence_ends_a_session),
        cmocka_unit_test(who_left_does_not_come_back),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(the_first_sets_the_version),
        cmocka_unit_test(upgrade_by_new_ones_beside_the_old),
        cmocka_unit_test(upgrade_in_place),
        cmocka_unit_test(the_last_old_one_gone_is_no_upgrade),
        cmocka_unit_test(of_two_with_one_name_the_later_stays),
        cmocka_unit_test(a_refusal_names_both_versions_and_the_order),
        cmocka_unit_test(what_an_agent_says_is_checked),
        cmocka_unit_test(an_address_comes_with_the_heartbeat),
        cmocka_unit_test(those_with_an_address_may_get_requests),
        cmocka_unit_test(alarms_name_the_connector),
        cmocka_unit_test(who_has_no_place_is_an_alarm),
        cmocka_unit_test(only_who_works_counts_as_working),
        cmocka_unit_test(the_record_changes_with_who_is_there),
        cmocka_unit_test(who_was_not_heard_is_gone_when_it_had_time),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(connectors_with_like_names_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
