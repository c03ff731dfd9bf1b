/* What the drivers write: placeholders, JSON and env content, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "controller/activation/template.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

static const struct template_values values = { .text = {
                                                   [TEMPLATE_CONNECTOR] = "pam",
                                                   [TEMPLATE_KIND] = "activate",
                                                   [TEMPLATE_SERVER] = "alternate",
                                                   [TEMPLATE_URL] =
                                                       "https://tcf2.west:8443/a\"b$c`d\\e'f",
                                                   [TEMPLATE_HOST] = "tcf2.west",
                                                   [TEMPLATE_PORT] = "8443",
                                                   [TEMPLATE_CREDENTIAL] = "secret/pam-alt",
                                                   [TEMPLATE_EPOCH] = "9223372036854775807",
                                                   [TEMPLATE_EPOCH_HOLDER] = "west-1",
                                                   [TEMPLATE_ACTION_ID] =
                                                       "pam.3.west-1.1.alternate.1",
                                                   [TEMPLATE_NODE] = "west-1",
                                                   [TEMPLATE_SITE] = "west",
                                                   [TEMPLATE_CLUSTER] = "6f2f1f6e",
                                               } };

static void
placeholders_are_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expect;
    } rows[] = {
        { "", "" },
        { "plain", "plain" },
        { "${host}:${port}", "tcf2.west:8443" },
        { "a${connector}b${server}c", "apambalternatec" },
        { "$${host} $$ $ $x {} }", "${host} $$ $ $x {} }" },
        { "$$${host}", "$${host}" },
        { "${epoch}/${epoch_holder}", "9223372036854775807/west-1" },
        { "${kind} ${node} ${site} ${action_id}",
          "activate west-1 west pam.3.west-1.1.alternate.1" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf buf = { 0 };
        struct err err;
        assert_int_equal(template_text(rows[i].text, &values, &buf, &err), ERR_NONE);
        assert_string_equal(buf_text(&buf), rows[i].expect);
        buf_done(&buf);
    }
}

static void
mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expect;
    } rows[] = {
        { "ab${passwort}", "unknown placeholder '${passwort}' at byte 2" },
        { "${}", "unknown placeholder '${}' at byte 0" },
        { "${HOST}", "unknown placeholder '${HOST}' at byte 0" },
        { "${ host}", "unknown placeholder '${ host}' at byte 0" },
        { "x${host", "'${' at byte 1 has no '}'" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf buf = { 0 };
        struct err err;
        assert_int_equal(template_text(rows[i].text, NULL, &buf, &err), ERR_INVALID);
        assert_string_equal(err.text, rows[i].expect);
        assert_string_equal(err.slug, "template");
        assert_true(err.mend[0] != '\0');
        assert_int_equal(template_text(rows[i].text, &values, &buf, &err), ERR_INVALID);
        buf_done(&buf);
    }
}

static void
the_result_is_bounded(void **state)
{
    (void)state;
    struct buf text = { 0 };
    for (unsigned i = 0; i < TEMPLATE_TEXT_MAX / 8; i++)
        buf_add_text(&text, "${url}");
    struct buf buf = { 0 };
    struct err err;
    assert_int_equal(template_text(buf_text(&text), &values, &buf, &err), ERR_LIMIT);
    assert_true(buf.size <= TEMPLATE_TEXT_MAX);
    buf_done(&buf);
    buf_done(&text);
}

static struct json_object *
parse(const char *text)
{
    struct json_object *object = NULL;
    struct err err;
    assert_int_equal(json_read(text, strlen(text), &object, &err), ERR_NONE);
    return object;
}

static void
json_is_built_and_not_pasted(void **state)
{
    (void)state;
    struct template_values none = values;
    none.text[TEMPLATE_PORT] = "";
    struct buf buf = { 0 };
    template_json(&none, &buf);
    struct json_object *back = parse(buf_text(&buf));
    assert_int_equal(json_object_object_length(back), TEMPLATE_COUNT);
    uint64_t number;
    const char *text;
    assert_true(json_get_u64(back, "epoch", &number) && number == INT64_MAX);
    assert_true(json_get_string(back, "url", &text));
    assert_string_equal(text, values.text[TEMPLATE_URL]);
    assert_true(json_object_object_get_ex(back, "port", NULL));
    assert_null(json_get(back, "port"));
    json_object_put(back);
    buf_done(&buf);
}

/* The shell is the judge: what it reads back is the value, byte for byte. */
static void
env_is_read_back_by_a_shell(void **state)
{
    (void)state;
    struct buf buf = { 0 };
    template_env(&values, &buf);
    char path[] = "/tmp/baton-env-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    FILE *stream = fdopen(file, "w");
    assert_int_equal(fwrite(buf.data, 1, buf.size, stream), buf.size);
    assert_int_equal(fclose(stream), 0);
    buf_done(&buf);

    char *command =
        str_printf(". %s && printf '%%s|%%s' \"$BATON_URL\" \"$BATON_EPOCH_HOLDER\"", path);
    FILE *shell = popen(command, "r");
    char line[512] = "";
    assert_non_null(fgets(line, sizeof line, shell));
    assert_int_equal(pclose(shell), 0);
    free(command);
    assert_int_equal(remove(path), 0);
    assert_string_equal(line, "https://tcf2.west:8443/a\"b$c`d\\e'f|west-1");
}

static void
values_that_leave_their_line_are_refused(void **state)
{
    (void)state;
    struct template_values bad = values;
    struct err err;
    assert_int_equal(template_values_check(&bad, &err), ERR_NONE);
    bad.text[TEMPLATE_URL] = "https://x/\nX-Evil: 1";
    assert_int_equal(template_values_check(&bad, &err), ERR_INVALID);
    assert_string_equal(err.text, "the value of 'url' holds a control character or is not UTF-8");
    bad.text[TEMPLATE_URL] = "https://x/\xff";
    assert_int_equal(template_values_check(&bad, &err), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_are_replaced),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_result_is_bounded),
        cmocka_unit_test(json_is_built_and_not_pasted),
        cmocka_unit_test(env_is_read_back_by_a_shell),
        cmocka_unit_test(values_that_leave_their_line_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
