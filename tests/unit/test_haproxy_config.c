/* The configuration that is printed for HAProxy: what it says, and that HAProxy takes it. */
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/haproxy_config.h"
#include "controller/loop/child.h"

/* Parsed, and no more: nothing is bound. */
static void
haproxy_takes(const struct buf *text)
{
    char folder[] = "/tmp/test-haproxy-config-XXXXXX";
    struct err err;
    char *output = NULL;
    assert_non_null(mkdtemp(folder));
    CLEANUP(freep) char *path = str_printf("%s/haproxy.cfg", folder);
    const char *const argv[] = { "/usr/sbin/haproxy", "-c", "-q", "-f", path, NULL };
    const struct child_options options = { .argv = argv, .deadline_ms = 60000 };
    assert_int_equal(
        file_write_atomic(path, text->data, text->size, 0600, (uid_t)-1, (gid_t)-1, &err),
        ERR_NONE);
    if (child_run(&options, &output, &err) != ERR_NONE)
        fail_msg("%s\n%s", err.text, buf_text(text));
    free(output);
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
}

/* Owned by the caller. */
static char *
config_of(const char *document_text)
{
    struct json_object *document = NULL;
    struct connector *connector = NULL;
    struct buf text = { 0 };
    struct err err;
    if (json_read(document_text, strlen(document_text), &document, &err) != ERR_NONE ||
        connector_read("pam", document, &connector, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    const struct connector *connectors[] = { connector };
    struct haproxy_config config = { .connectors = connectors,
                                     .count = 1,
                                     .group = getgrgid(getgid())->gr_name,
                                     .address = "127.0.0.1",
                                     .port = HAPROXY_CONFIG_PORT,
                                     .instances = 2,
                                     .http = true };
    assert_int_equal(haproxy_config_write(&config, &text, &err), ERR_NONE);
    haproxy_takes(&text);
    connector_free(connector);
    json_object_put(document);
    return buf_take(&text);
}

/* A server that gets a name that it has not, or none that is one, answers 400: it would be down. */
static void
health_is_asked_for_under_the_name_of_the_server(void **state)
{
    static const struct {
        const char *document;
        const char *host;
    } rows[] = {
        { "{\"main\":{\"url\":\"https://tcf1.east:8443\"}}", "hdr Host tcf1.east\n" },
        { "{\"main\":{\"url\":\"https://192.0.2.1:8443\"}}", "hdr Host 192.0.2.1\n" },
        { "{\"main\":{\"url\":\"https://[2001:db8::7]:8443\"}}", "hdr Host [2001:db8::7]\n" },
        { "{\"alternate\":{\"url\":\"https://tcf2.west\"}}", "hdr Host tcf2.west\n" },
        { "{}", "hdr Host localhost\n" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(freep) char *text = config_of(rows[i].document);
        if (strstr(text, rows[i].host) == NULL)
            fail_msg("no '%s' in:\n%s", rows[i].host, text);
    }
}

static void
a_path_is_one_word_for_haproxy(void **state)
{
    (void)state;
    CLEANUP(freep)
    char *text = config_of("{\"main\":{\"url\":\"https://a\"},\"probe\":{\"path\":"
                           "\"/it's?a=\\\"b\\\"&c=\\\\d\"}}");
    assert_non_null(strstr(text, "uri /it\\'s?a=\\\"b\\\"&c=\\\\d ver "));
}

/* HAProxy cannot compare a number with what a certificate says. */
static void
it_says_whose_name_is_not_checked(void **state)
{
    static const char unchecked[] = "# its url is a number: any name that the CA signed is fine";
    (void)state;
    CLEANUP(freep) char *number = config_of("{\"main\":{\"url\":\"https://[2001:db8::7]\"}}");
    CLEANUP(freep) char *name = config_of("{\"main\":{\"url\":\"https://tcf1.east\"}}");
    assert_non_null(strstr(number, unchecked));
    assert_null(strstr(number, "verifyhost"));
    assert_null(strstr(name, unchecked));
    assert_non_null(strstr(name, "verifyhost tcf1.east"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_is_asked_for_under_the_name_of_the_server),
        cmocka_unit_test(a_path_is_one_word_for_haproxy),
        cmocka_unit_test(it_says_whose_name_is_not_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
