/* A11: what notice/NAME may say, how a connector is, when that is told, and by which node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/notice.h"

#define SIGN "\"sign\":{\"key_id\":\"k1\",\"key\":\"secret/ops\"}"

static struct json_object *
parse(const char *text)
{
    struct json_object *value = NULL;
    struct err err;
    if (json_read(text, strlen(text), &value, &err) != ERR_NONE)
        fail_msg("%s: %s", text, err.text);
    return value;
}

static struct notice *
read_one(const char *text)
{
    CLEANUP(json_putp) struct json_object *document = parse(text);
    struct notice *notice = NULL;
    struct err err;
    if (notice_read("ops", document, &notice, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return notice;
}

static void
test_a_document_says_whom_to_tell_of_what(void **state)
{
    (void)state;
    struct notice *notice = read_one("{\"url\":\"https://ops.example/hook\"," SIGN "}");
    assert_true(notice_names(notice, "pam") && notice_names(notice, "any"));
    assert_true(notice_wants(notice, NOTICE_WARNING) && notice_wants(notice, NOTICE_ERROR));
    assert_false(notice_wants(notice, NOTICE_ACTIVE) || notice_wants(notice, NOTICE_DISABLED));
    assert_int_equal(notice->timeout_ms, NOTICE_TIMEOUT_MS);
    assert_int_equal(notice->after_ms, NOTICE_AFTER_MS);
    assert_string_equal(notice->receiver.receiver.host, "ops.example");
    assert_string_equal(notice->receiver.sign.key, "secret/ops");
    notice_free(notice);

    notice = read_one("{\"url\":\"https://ops.example/hook\"," SIGN ",\"events\":[\"active\"],"
                      "\"connectors\":[\"pam\"],\"after_ms\":0,\"timeout_ms\":500,"
                      "\"expect_status\":204,\"expect_body\":{\"field\":\"/ok\",\"equals\":true}}");
    assert_true(notice_names(notice, "pam"));
    assert_false(notice_names(notice, "any"));
    assert_true(notice_wants(notice, NOTICE_ACTIVE));
    assert_false(notice_wants(notice, NOTICE_ERROR));
    assert_int_equal(notice->after_ms, 0);
    assert_int_equal(notice->timeout_ms, 500);
    assert_int_equal(notice->receiver.expect_status, 204);
    assert_string_equal(notice->receiver.field, "/ok");
    notice_free(notice);
}

static void
test_every_fault_of_a_document_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *faults;
    } rows[] = {
        { "{}", "/url: missing, a text is needed\n/sign: missing, an object is needed\n" },
        { "{\"url\":\"http://ops.example\"," SIGN "}", "/url: must begin with https://\n" },
        { "{\"url\":\"https://ops.example\"," SIGN ",\"events\":[\"worried\"]}",
          "/events/0: must be one of active|warning|error|disabled\n" },
        { "{\"url\":\"https://ops.example\"," SIGN ",\"events\":[]}",
          "/events: 0 items, but 1 to 4 are allowed\n" },
        { "{\"url\":\"https://ops.example\"," SIGN ",\"connectors\":[\"Not a name\"]}",
          "/connectors/0: must be the name of a connector: a-z, 0-9 and '-'\n" },
        { "{\"url\":\"https://ops.example\",\"sign\":{\"key_id\":\"k1\"}}",
          "/sign: needs exactly one of 'key_file' and 'key'\n" },
        { "{\"url\":\"https://ops.example\"," SIGN ",\"expect_body\":{}}",
          "/expect_body: needs 'contains', or 'field' and 'equals'\n" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(json_putp) struct json_object *document = parse(rows[i].text);
        CLEANUP(buf_done) struct buf lines = { 0 };
        struct fault_list faults = { 0 };
        notice_faults(document, &faults);
        for (size_t j = 0; j < faults.count; j++)
            buf_printf(&lines, "%s: %s\n", faults.list[j].pointer, faults.list[j].text);
        assert_string_equal(buf_text(&lines), rows[i].faults);
    }
}

static void
test_a_connector_is_as_bad_as_its_worst_issue(void **state)
{
    (void)state;
    struct notice_facts facts = { 0 };
    assert_int_equal(notice_judge(&facts), NOTICE_DISABLED);
    facts.wanted = true;
    assert_int_equal(notice_judge(&facts), NOTICE_ACTIVE);
    facts.pending = true;
    assert_int_equal(notice_judge(&facts), NOTICE_INITIALIZING);
    facts.issues[NOTICE_ISSUE_INSTANCES_FEW] = "1 of 2";
    assert_int_equal(notice_judge(&facts), NOTICE_WARNING);
    facts.issues[NOTICE_ISSUE_SERVER_UNREACHABLE] = "status 503";
    assert_int_equal(notice_judge(&facts), NOTICE_ERROR);
    facts.wanted = false;
    assert_int_equal(notice_judge(&facts), NOTICE_DISABLED);
    for (enum notice_issue i = 0; i < NOTICE_ISSUE_COUNT; i++)
        assert_int_equal(notice_issue_parse(notice_issue_code(i)), i);
    assert_int_equal(notice_issue_parse("none"), NOTICE_ISSUE_COUNT);
}

static void
test_a_body_is_as_a11_has_it(void **state)
{
    (void)state;
    struct notice_facts facts = { .wanted = true };
    facts.issues[NOTICE_ISSUE_SERVER_UNREACHABLE] = "status 503";
    facts.issues[NOTICE_ISSUE_CREDENTIAL] = "secret/pam";
    CLEANUP(json_putp)
    struct json_object *body = notice_body("pam", NOTICE_ERROR, &facts, "2023-11-14T22:13:20.000Z");
    assert_string_equal(
        json_text(body),
        "{\"event_type\":\"connector_error\",\"event_time\":\"2023-11-14T22:13:20.000Z\","
        "\"data\":{\"id\":\"pam\",\"name\":\"pam\",\"type\":\"connector\",\"status\":\"Error\","
        "\"issues\":[{\"code\":\"server_unreachable\",\"text\":\"status 503\"},"
        "{\"code\":\"credential\",\"text\":\"secret/pam\"}]}}");
    /* what nobody uses is no issue when nobody is primary */
    facts.issues[NOTICE_ISSUE_NO_PRIMARY] = "nobody";
    CLEANUP(json_putp)
    struct json_object *alone =
        notice_body("pam", NOTICE_ERROR, &facts, "2023-11-14T22:13:20.000Z");
    assert_non_null(strstr(json_text(alone), "\"issues\":[{\"code\":\"no_primary\","
                                             "\"text\":\"nobody\"}]"));
}

static void
test_what_stands_is_told_once(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        enum notice_status status;
        bool teller;
        bool told;
    } rows[] = {
        { 0, NOTICE_INITIALIZING, true, false },
        { 5000, NOTICE_INITIALIZING, true, false }, /* not known: never told */
        { 6000, NOTICE_ACTIVE, true, false },       /* O3 */
        { 8000, NOTICE_ACTIVE, true, true },        /* O2: a new teller says how it is */
        { 9000, NOTICE_ACTIVE, true, false },
        { 10000, NOTICE_ERROR, true, false },
        { 11000, NOTICE_ACTIVE, true, false }, /* passed */
        { 20000, NOTICE_ACTIVE, true, false },
        { 21000, NOTICE_WARNING, true, false },
        { 23000, NOTICE_WARNING, true, true },
        { 24000, NOTICE_ERROR, true, false },
        { 26000, NOTICE_ERROR, true, true },
        { 27000, NOTICE_INITIALIZING, true, false },
        { 30000, NOTICE_ERROR, true, false },
        { 33000, NOTICE_ERROR, true, false }, /* it was told */
        /* another node tells from here on; the end of what we told is ours (O2) */
        { 34000, NOTICE_ERROR, false, false },
        { 35000, NOTICE_ACTIVE, false, false },
        { 37000, NOTICE_ACTIVE, false, true },
        { 38000, NOTICE_ERROR, false, false },
        { 48000, NOTICE_ERROR, false, false },
        /* and again ours: whatever it is, it is said */
        { 49000, NOTICE_ERROR, true, false },
        { 51000, NOTICE_ERROR, true, true },
        { 52000, NOTICE_WARNING, false, false },
        { 54000, NOTICE_WARNING, false, false }, /* the teller's to tell */
        { 55000, NOTICE_ACTIVE, false, false },
        { 58000, NOTICE_ACTIVE, false, false },
        { 59000, NOTICE_DISABLED, true, false },
        { 61000, NOTICE_DISABLED, true, true },
    };
    struct notice_track track = { 0 };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (notice_step(&track, rows[i].status, rows[i].teller, 2000, rows[i].at_ms) !=
            rows[i].told)
            fail_msg("row %zu", i);
    }
    struct notice_track at_once = { 0 };
    assert_true(notice_step(&at_once, NOTICE_ERROR, true, 0, 1));
}

/* An activation that fails, and is tried again, and fails: that is one trouble, however long
 * 'after_ms' is. */
static void
test_a_try_in_between_ends_no_trouble(void **state)
{
    (void)state;
    struct notice_track track = { 0 };
    assert_false(notice_step(&track, NOTICE_ACTIVE, true, 15000, 0));
    assert_true(notice_step(&track, NOTICE_ACTIVE, true, 15000, 15000));
    assert_false(notice_step(&track, NOTICE_ERROR, true, 15000, 16000));
    assert_false(notice_step(&track, NOTICE_INITIALIZING, true, 15000, 26000));
    assert_false(notice_step(&track, NOTICE_ERROR, true, 15000, 30000));
    assert_false(notice_step(&track, NOTICE_INITIALIZING, true, 15000, 31000));
    assert_true(notice_step(&track, NOTICE_ERROR, true, 15000, 32000));
    assert_false(notice_step(&track, NOTICE_INITIALIZING, true, 15000, 42000));
    assert_false(notice_step(&track, NOTICE_ACTIVE, true, 15000, 43000));
    assert_false(notice_step(&track, NOTICE_INITIALIZING, true, 15000, 44000));
    assert_true(notice_step(&track, NOTICE_ACTIVE, true, 15000, 58000));
}

static void
test_one_node_tells(void **state)
{
    (void)state;
    static const char *const others[] = { "east-2", "west-1" };
    /* the primary, whoever else is there, and whether or not they are heard */
    assert_true(notice_teller("west-1", "west-1", others, 1));
    assert_false(notice_teller("east-1", "west-1", others, 2));
    assert_false(notice_teller("east-1", "west-1", NULL, 0));
    /* nobody is: of those that hear each other the first by name, and every node agrees on it */
    assert_true(notice_teller("east-1", "", others, 2));
    assert_true(notice_teller("east-2", "", &others[1], 1));
    assert_false(notice_teller("west-1", "", others, 1));
    assert_true(notice_teller("west-1", "", NULL, 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_document_says_whom_to_tell_of_what),
        cmocka_unit_test(test_every_fault_of_a_document_is_told),
        cmocka_unit_test(test_a_connector_is_as_bad_as_its_worst_issue),
        cmocka_unit_test(test_a_body_is_as_a11_has_it),
        cmocka_unit_test(test_what_stands_is_told_once),
        cmocka_unit_test(test_a_try_in_between_ends_no_trouble),
        cmocka_unit_test(test_one_node_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
