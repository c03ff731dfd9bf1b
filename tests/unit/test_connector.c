#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/connector.h"

#define PEM   "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n"
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char whole[] =
    "{\"main\":{\"url\":\"https://tcf1.east:8443/\",\"ca\":\"" PEM "\","
    "\"credential\":\"secret/pam-main\"},"
    "\"alternate\":{\"url\":\"https://[2001:DB8:0::7]\",\"pin\":\"sha256:" HEX64 "\"},"
    "\"target_connectors\":[\"active-directory\",\"oracle\",\"as400\"],"
    "\"probe\":{\"path\":\"/health\",\"interval_ms\":10000,\"timeout_ms\":2000,"
    "\"expect_status\":204,\"targets_path\":\"/list\"},"
    "\"activation\":["
    "{\"driver\":\"file\",\"path\":\"/etc/pam/x.env\",\"format\":\"template\","
    "\"template\":\"url=${url}\\n\",\"mode\":\"0600\",\"owner\":\"pam:pam\"},"
    "{\"driver\":\"file\",\"path\":\"/etc/pam/x.json\",\"format\":\"json\"},"
    "{\"driver\":\"exec\",\"command\":[\"/usr/bin/pamctl\",\"use\"],\"timeout_ms\":5000,"
    "\"env\":{\"LANG\":\"C\"}}]}";

static struct json_object *
parse(const char *text)
{
    struct json_object *value = NULL;
    struct err err;
    if (json_read(text, strlen(text), &value, &err) != ERR_NONE)
        fail_msg("%s: %s", text, err.text);
    return value;
}

/* The document's faults as lines "pointer: text". */
static char *
faults_of(const char *text)
{
    CLEANUP(json_putp) struct json_object *document = parse(text);
    struct fault_list faults = { 0 };
    struct buf lines = { 0 };
    connector_faults(document, &faults);
    for (size_t i = 0; i < faults.count; i++)
        buf_printf(&lines, "%s: %s\n", faults.list[i].pointer, faults.list[i].text);
    return buf_take(&lines);
}

static void
expect(const char *text, const char *lines)
{
    CLEANUP(freep) char *got = faults_of(text);
    assert_string_equal(got, lines);
}

static void
test_whole_document(void **state)
{
    (void)state;
    CLEANUP(json_putp) struct json_object *document = parse(whole);
    CLEANUP(connector_freep) struct connector *connector = NULL;
    struct err err = { 0 };
    assert_int_equal(connector_read("pam", document, &connector, &err), ERR_NONE);
    assert_string_equal(connector->name, "pam");
    assert_true(connector->main.set && connector->alternate.set);
    assert_string_equal(connector->main.host, "tcf1.east");
    assert_int_equal(connector->main.port, 8443);
    assert_string_equal(connector->main.credential, "secret/pam-main");
    assert_true(str_starts(connector->main.ca, "-----BEGIN CERTIFICATE-----\nMIIB\n"));
    assert_false(connector->main.pin_set);
    assert_string_equal(connector->alternate.host, "2001:db8::7");
    assert_int_equal(connector->alternate.port, 443);
    assert_true(connector->alternate.pin_set);
    assert_int_equal(connector->alternate.pin[1], 0x11);
    assert_int_equal(connector->alternate.pin[31], 0xff);

    assert_string_equal(connector->probe.path, "/health");
    assert_int_equal(connector->probe.interval_ms, 10000);
    assert_int_equal(connector->probe.timeout_ms, 2000);
    assert_int_equal(connector->probe.expect_status, 204);
    assert_string_equal(connector->probe.targets_path, "/list");

    assert_int_equal(connector->action_count, 3);
    assert_int_equal(connector->actions[0].driver, CONNECTOR_DRIVER_FILE);
    assert_int_equal(connector->actions[0].format, CONNECTOR_FORMAT_TEMPLATE);
    assert_string_equal(connector->actions[0].template, "url=${url}\n");
    assert_int_equal(connector->actions[0].mode, 0600);
    assert_string_equal(connector->actions[0].owner, "pam:pam");
    assert_int_equal(connector->actions[1].format, CONNECTOR_FORMAT_JSON);
    assert_int_equal(connector->actions[1].mode, 0640);
    assert_int_equal(connector->actions[2].driver, CONNECTOR_DRIVER_EXEC);
    assert_string_equal(connector->actions[2].command[0], "/usr/bin/pamctl");
    assert_string_equal(connector->actions[2].command[1], "use");
    assert_null(connector->actions[2].command[2]);
    assert_int_equal(connector->actions[2].timeout_ms, 5000);
    assert_non_null(json_get(connector->actions[2].env, "LANG"));
}

/* P6 begins with a connector that has no server yet. */
static void
test_p6_empty_document_has_no_server(void **state)
{
    (void)state;
    CLEANUP(json_putp) struct json_object *document = parse("{}");
    CLEANUP(connector_freep) struct connector *connector = NULL;
    struct err err = { 0 };
    assert_int_equal(connector_read("pam", document, &connector, &err), ERR_NONE);
    assert_false(connector->main.set || connector->alternate.set);
    assert_string_equal(connector->probe.path, "/");
    assert_int_equal(connector->probe.interval_ms, 0);
    assert_int_equal(connector->action_count, 0);
}

/* P5: one list of target connectors for both servers, so one cannot lack what the other has. */
static void
test_p5_targets_are_one_list(void **state)
{
    (void)state;
    CLEANUP(json_putp) struct json_object *document = parse(whole);
    CLEANUP(connector_freep) struct connector *connector = NULL;
    struct err err = { 0 };
    assert_int_equal(connector_read("pam", document, &connector, &err), ERR_NONE);
    assert_int_equal(connector->target_count, 3);
    assert_string_equal(connector->targets[2], "as400");
    expect("{\"main\":{\"url\":\"https://a\",\"target_connectors\":[\"oracle\"]}}",
           "/main/target_connectors: not known here\n");
    expect("{\"target_connectors\":[\"oracle\",\"sap\",\"oracle\",\"A\",5]}",
           "/target_connectors/2: 'oracle' stands twice\n"
           "/target_connectors/3: must be a name of a-z, 0-9 and '-', at most 63 bytes\n"
           "/target_connectors/4: must be a text\n");
    /* what stands twice and is no text has nothing to quote */
    expect("{\"target_connectors\":[null,null]}", "/target_connectors/0: must be a text\n"
                                                  "/target_connectors/1: must be a text\n");
}

static void
test_all_faults_at_once(void **state)
{
    (void)state;
    expect("{\"mian\":{},\"main\":{\"url\":\"http://a\",\"port\":1},\"alternate\":{},"
           "\"probe\":{\"interval_ms\":1,\"timeout_ms\":\"2s\",\"expect_status\":99,"
           "\"path\":\"health\"},\"activation\":[{\"driver\":\"exec\"},7]}",
           "/mian: not known here; did you mean 'main'?\n"
           "/main/url: must begin with https://\n"
           "/main/port: not known here\n"
           "/alternate/url: missing, a text is needed\n"
           "/probe/interval_ms: 1 is not from 500 to 3600000\n"
           "/probe/timeout_ms: must be an integer\n"
           "/probe/expect_status: 99 is not from 100 to 599\n"
           "/probe/path: must begin with /\n"
           "/activation/0/command: missing, a list is needed\n"
           "/activation/1: must be an object\n");
    expect("[]", ": must be an object\n");
    expect("null", ": must be an object\n");
    expect("{\"main\":null}", "/main: must be an object\n");
}

static void
test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *fault;
    } cases[] = {
        { "https://a", NULL },
        { "https://tcf1.east.example:8443/path/x", NULL },
        { "https://192.0.2.7:1", NULL },
        { "https://[::1]:65535/", NULL },
        { "https://", "has no valid host" },
        { "https://:8443", "has no valid host" },
        { "https:///x", "has no valid host" },
        { "HTTPS://a", "must begin with https://" },
        { "ftp://a/", "must begin with https://" },
        { "https://a:0", "has no valid port" },
        { "https://a:65536", "has no valid port" },
        { "https://a:", "has no valid port" },
        { "https://a:8x", "has no valid port" },
        { "https://u:p@a", "must not hold a user" },
        { "https://a?x", "must not have a query" },
        { "https://a/#x", "must not have a query" },
        { "https://a b", "has a blank" },
        { "https://b\\u00fccher", "has a blank" },
        { "https://-a", "has no valid host" },
        { "https://a..b", "has no valid host" },
        { "https://a_b", "has no valid host" },
        { "https://[::1", "has no host" },
        { "https://[1]", "has no valid address" },
        { "https://[::::]", "has no valid address" },
        { "https://[1:2]", "has no valid address" },
        { "https://[::1:10000]", "has no valid address" },
        { "https://[::1]x", "has no valid port" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CLEANUP(freep) char *text = str_printf("{\"main\":{\"url\":\"%s\"}}", cases[i].url);
        CLEANUP(freep) char *got = faults_of(text);
        if (cases[i].fault == NULL)
            assert_string_equal(got, "");
        else if (strstr(got, cases[i].fault) == NULL)
            fail_msg("%s: %s", cases[i].url, got);
    }
}

static void
test_trust_and_credential(void **state)
{
    (void)state;
    expect(
        "{\"main\":{\"url\":\"https://a\",\"ca\":\"/etc/ca.pem\",\"pin\":\"sha256:00\","
        "\"credential\":\"hunter2\"}}",
        "/main/ca: must be PEM text, from '-----BEGIN CERTIFICATE-----' on (not a path: it is "
        "the same on every node)\n"
        "/main/pin: must be 'sha256:' and the 64 hexadecimal digits of the public key's SHA-256\n"
        "/main/credential: must be 'secret/NAME', the name of a secret and never the secret "
        "itself\n");
    expect("{\"main\":{\"url\":\"https://a\",\"ca\":\"" PEM "-----BEGIN PRIVATE KEY-----\"}}",
           "/main/ca: must not hold a private key\n");
}

#define SIGN "\"sign\":{\"key_id\":\"k1\",\"key_file\":\"/etc/baton/k1\"}"
#define HOOK "\"driver\":\"webhook\",\"url\":\"https://a:8443/x\""

/* A11: what a webhook may say. */
static void
test_a11_webhook(void **state)
{
    (void)state;
    expect("{\"activation\":[{" HOOK "," SIGN "},{" HOOK "}]}",
           "/activation/1/sign: missing, here or as 'sign' of the connector: the receiver has to "
           "know who calls\n");
    expect("{" SIGN ",\"activation\":[{" HOOK ",\"expect_status\":204,\"refused_status\":410,"
           "\"timeout_ms\":5000,\"pin\":\"sha256:" HEX64 "\",\"expect_body\":"
           "{\"contains\":\"ok\",\"field\":\"/a~1b/0\",\"equals\":true}}]}",
           "");
    expect("{" SIGN ",\"activation\":[{\"driver\":\"webhook\",\"url\":\"http://a\","
           "\"expect_status\":302,\"refused_status\":200,\"expect_body\":{}},{" HOOK
           ",\"expect_body\":{\"field\":\"status\",\"equals\":1.5}},{" HOOK
           ",\"expect_body\":{\"equals\":{}}},{" HOOK ",\"urll\":1}]}",
           "/activation/0/url: must begin with https://\n"
           "/activation/0/expect_status: 302 is not from 200 to 299\n"
           "/activation/0/refused_status: 200 is not from 400 to 499\n"
           "/activation/0/expect_body: needs 'contains', or 'field' and 'equals'\n"
           "/activation/1/expect_body/field: must be a JSON pointer, such as /status\n"
           "/activation/1/expect_body/equals: must be a text, a whole number, true or false\n"
           "/activation/2/expect_body/equals: must be a text, a whole number, true or false\n"
           "/activation/2/expect_body: 'field' and 'equals' go together\n"
           "/activation/3/urll: not known here; did you mean 'url'?\n");
    expect("{\"sign\":{\"key_id\":\"K\",\"key_file\":\"kk\",\"key\":\"hunter2\"}}",
           "/sign/key_id: must be a name of a-z, 0-9 and '-', at most 63 bytes\n"
           "/sign/key_file: must be the absolute path of a file\n"
           "/sign/key: must be 'secret/NAME', the name of a secret and never the secret itself\n"
           "/sign: needs exactly one of 'key_file' and 'key'\n");
}

/* Whom a webhook trusts, and whose key signs it, where it does not say so itself. */
static void
test_webhook_takes_what_the_connector_says(void **state)
{
    (void)state;
    CLEANUP(json_putp)
    struct json_object *document =
        parse("{\"main\":{\"url\":\"https://a:8443/\",\"ca\":\"" PEM "\"},"
              "\"alternate\":{\"url\":\"https://b:8443/\",\"pin\":\"sha256:" HEX64 "\"}," SIGN ","
              "\"activation\":[{" HOOK "},{\"driver\":\"webhook\",\"url\":\"https://b:8443/y\","
              "\"sign\":{\"key_id\":\"own\",\"key\":\"secret/own\"}},"
              "{\"driver\":\"webhook\",\"url\":\"https://a:8444/\"}]}");
    CLEANUP(connector_freep) struct connector *connector = NULL;
    struct err err = { 0 };
    assert_int_equal(connector_read("pam", document, &connector, &err), ERR_NONE);
    const struct connector_webhook *first = &connector->actions[0].webhook;
    const struct connector_webhook *second = &connector->actions[1].webhook;
    const struct connector_webhook *third = &connector->actions[2].webhook;
    assert_ptr_equal(first->receiver.ca, connector->main.ca);
    assert_string_equal(first->sign.key_id, "k1");
    assert_string_equal(first->sign.key_file, "/etc/baton/k1");
    assert_true(second->receiver.ca == NULL && second->receiver.pin_set);
    assert_string_equal(second->sign.key, "secret/own");
    assert_true(third->receiver.ca == NULL && !third->receiver.pin_set); /* another port */
}

/* P3: main and alternate are two servers. */
static void
test_p3_alternate_is_another_server(void **state)
{
    (void)state;
    expect("{\"main\":{\"url\":\"https://a:1\"},\"alternate\":{\"url\":\"https://a:1\"}}",
           "/alternate/url: is the same as that of main\n");
}

static void
test_drivers_with_a_place(void **state)
{
    (void)state;
    expect(
        "{\"activation\":[{\"driver\":\"dns\",\"server\":\"ns:0\",\"zone\":\"a..b\","
        "\"name\":\"x y\",\"type\":\"MX\",\"key_file\":\"k/f\"},"
        "{\"driver\":\"dns\",\"server\":\"ns\",\"zone\":\"ple.com\",\"name\":\"pam.example.com\","
        "\"type\":\"A\",\"main\":\"2001:db8::1\",\"alternate\":\"192.0.2.2\","
        "\"key_file\":\"/k\",\"ttl\":0}]}",
        "/activation/0/server: has no valid port, a number from 1 to 65535\n"
        "/activation/0/zone: must be a name as 'pam.example.com'\n"
        "/activation/0/name: must be a name as 'pam.example.com'\n"
        "/activation/0/type: 'MX' is not one of A|AAAA|CNAME\n"
        "/activation/0/key_file: must be the absolute path of a file\n"
        "/activation/0/name: is not within the zone\n"
        "/activation/1/ttl: 0 is not from 1 to 86400\n"
        "/activation/1/name: is not within the zone\n"
        "/activation/1/main: is no value of a record of this type\n");
    expect("{\"activation\":[{\"driver\":\"haproxy\"},"
           "{\"driver\":\"haproxy\",\"socket\":\"10.0.0.1:9999\",\"drain_ms\":-1},"
           "{\"driver\":\"haproxy\",\"socket\":\"127.0.0.1:0\",\"backend\":\"a b\"},"
           "{\"driver\":\"haproxy\",\"socket\":\"/run/s\",\"main\":\"alternate\"}]}",
           "/activation/0/socket: missing, a text is needed\n"
           "/activation/1/socket: must be the absolute path of HAProxy's stats socket, or "
           "127.0.0.1:PORT or [::1]:PORT (whoever reaches it rules HAProxy, so not beyond this "
           "host)\n"
           "/activation/1/drain_ms: -1 is not from 0 to 86400000\n"
           "/activation/2/socket: has no valid port, a number from 1 to 65535\n"
           "/activation/2/backend: must be a name as HAProxy has them: letters, digits, '-', '_', "
           "'.' and ':'\n"
           "/activation/3/main: main and alternate are two servers of the backend\n");
    /* it stands in haproxy.cfg, and in a line for a shell */
    static const char *const sockets[] = { "/run/a b", "/run/a\\n    lua-load /x",
                                           "/run/a'",  "/run/$HOME",
                                           "/run/a;b", "/run/a#" };
    for (size_t i = 0; i < ARRAY_COUNT(sockets); i++) {
        CLEANUP(freep)
        char *text =
            str_printf("{\"activation\":[{\"driver\":\"haproxy\",\"socket\":\"%s\"}]}", sockets[i]);
        expect(text, "/activation/0/socket: must be a path of letters, digits and '/._-'\n");
    }
}

static void
test_drivers(void **state)
{
    (void)state;
    expect(
        "{\"activation\":[{\"driver\":\"webhook\"},{\"driver\":\"dns\"},"
        "{\"driver\":\"fil\\u0007e\"},{}]}",
        "/activation/0/url: missing, a text is needed\n"
        "/activation/1/server: missing, a text is needed\n"
        "/activation/1/zone: missing, a text is needed\n"
        "/activation/1/name: missing, a text is needed\n"
        "/activation/1/type: missing, a text is needed\n"
        "/activation/1/key_file: missing, a text is needed\n"
        "/activation/2/driver: 'fil?e' is not one of file|exec|haproxy|webhook|dns\n"
        "/activation/3/driver: missing, one of file|exec|haproxy|webhook|dns is needed\n"
        "/activation/0/sign: missing, here or as 'sign' of the connector: the receiver has to know "
        "who calls\n");
    expect("{\"activation\":[{\"driver\":\"file\",\"path\":\"x\",\"format\":\"yaml\"},"
           "{\"driver\":\"file\",\"path\":\"/a/../b\",\"format\":\"template\"},"
           "{\"driver\":\"file\",\"path\":\"/a/\",\"format\":\"json\",\"template\":\"\","
           "\"mode\":\"4755\",\"owner\":\"a:\"}]}",
           "/activation/0/path: a text of 1 bytes, but 2 to 4096 are allowed\n"
           "/activation/0/format: 'yaml' is not one of json|env|template\n"
           "/activation/1/path: must not have '..' in it\n"
           "/activation/1/template: missing, a text is needed with format 'template'\n"
           "/activation/2/path: must be the absolute path of a file\n"
           "/activation/2/mode: must be an octal text such as '0640'\n"
           "/activation/2/owner: must be 'user' or 'user:group'\n"
           "/activation/2/template: is used with format 'template' only\n");
    expect("{\"activation\":[{\"driver\":\"exec\",\"command\":[\"sh\",\"\"],\"timeout_ms\":99,"
           "\"env\":{\"BATON_EPOCH\":\"1\",\"a\":\"\",\"X\":1}},"
           "{\"driver\":\"exec\",\"command\":[]},"
           "{\"driver\":\"exec\",\"command\":[\"/x\"],\"secrets\":[\"pam\"]}]}",
           "/activation/0/command/1: is empty\n"
           "/activation/0/timeout_ms: 99 is not from 100 to 600000\n"
           "/activation/0/env/BATON_EPOCH: names that begin with BATON_ are Baton's own\n"
           "/activation/0/env/a: must be a name of A-Z, 0-9 and '_'\n"
           "/activation/0/env/X: must be a text\n"
           "/activation/0/command/0: must be the absolute path of a program\n"
           "/activation/1/command: 0 items, but 1 to 64 are allowed\n"
           "/activation/2/secrets/0: must be 'secret/NAME', the name of a secret and never the "
           "secret itself\n");
    expect("{\"activation\":[{\"driver\":\"file\",\"path\":\"/a\",\"format\":\"json\"},"
           "{\"driver\":\"file\",\"path\":\"/a\",\"format\":\"env\"}]}",
           "/activation/1/path: is written by item 0 as well\n");
    expect("{\"probe\":{\"interval_ms\":1000,\"timeout_ms\":1001}}",
           "/probe/timeout_ms: must not be longer than interval_ms\n");
}

static void
test_bounds(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_add_text(&text, "{\"activation\":[");
    for (unsigned i = 0; i <= CONNECTOR_ACTION_COUNT_MAX; i++)
        buf_printf(&text, "%s{\"driver\":\"file\",\"path\":\"/%u\",\"format\":\"json\"}",
                   i == 0 ? "" : ",", i);
    buf_add_text(&text, "]}");
    expect(buf_text(&text), "/activation: 17 items, but 0 to 16 are allowed\n");

    buf_clear(&text);
    buf_add_text(&text, "{");
    for (unsigned i = 0; i < FAULT_COUNT_MAX + 5; i++)
        buf_printf(&text, "%s\"strange-%u\":1", i == 0 ? "" : ",", i);
    buf_add_text(&text, "}");
    CLEANUP(json_putp) struct json_object *document = parse(buf_text(&text));
    struct fault_list faults = { 0 };
    connector_faults(document, &faults);
    assert_int_equal(faults.count, FAULT_COUNT_MAX);
    assert_int_equal(faults.more, 5);

    struct connector *connector = NULL;
    struct err err = { 0 };
    assert_int_equal(connector_read("pam", document, &connector, &err), ERR_INVALID);
    assert_null(connector);
    assert_string_equal(err.slug, "bad_value");
    assert_true(str_starts(err.text, "pam: /strange-0: not known here; /strange-1: "));
    assert_non_null(strstr(err.text, " more"));
    buf_done(&text);
}

static void
test_names_of_keys(void **state)
{
    (void)state;
    char name[CONNECTOR_NAME_SIZE];
    assert_true(connector_name_of_key("connector/pam", name));
    assert_string_equal(name, "pam");
    assert_true(connector_name_of_key("connector/sap-1/use_alternate_server", name));
    assert_string_equal(name, "sap-1");
    assert_false(connector_name_of_key("connector/", name));
    assert_false(connector_name_of_key("connector/pam/x", name));
    assert_false(connector_name_of_key("connector/-", name));
    assert_false(connector_name_of_key("connectors/pam", name));
    assert_false(connector_name_of_key(
        "connector/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", name));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_document),
        cmocka_unit_test(test_p6_empty_document_has_no_server),
        cmocka_unit_test(test_p5_targets_are_one_list),
        cmocka_unit_test(test_all_faults_at_once),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_trust_and_credential),
        cmocka_unit_test(test_p3_alternate_is_another_server),
        cmocka_unit_test(test_drivers),
        cmocka_unit_test(test_drivers_with_a_place),
        cmocka_unit_test(test_a11_webhook),
        cmocka_unit_test(test_webhook_takes_what_the_connector_says),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_names_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
