/* Signatures of node keys, and digests that tell equality and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/own.h"
#include "controller/loop/cert.h"
#include "controller/loop/signature.h"

static struct cert_pair ca;
static struct cert_pair other;

static int
make_pairs(void **state)
{
    struct err err;
    (void)state;
    return cert_make_ca("prod", "id", &ca, &err) != ERR_NONE ||
           cert_make_ca("test", "id", &other, &err) != ERR_NONE;
}

static int
free_pairs(void **state)
{
    (void)state;
    cert_pair_done(&ca);
    cert_pair_done(&other);
    return 0;
}

static void
a_signature_is_of_one_key_one_text_and_one_use(void **state)
{
    static const struct {
        bool other;
        const char *what;
        const char *text;
        bool cut;
        enum err_code code;
    } rows[] = {
        { false, "statement", "{\"a\":1}", false, ERR_NONE },
        { true, "statement", "{\"a\":1}", false, ERR_DENIED },
        { false, "statement", "{\"a\":2}", false, ERR_DENIED },
        { false, "statement", "", false, ERR_DENIED },
        { false, "order", "{\"a\":1}", false, ERR_DENIED },
        { false, "statement", "{\"a\":1}", true, ERR_DENIED },
    };
    struct err err;
    CLEANUP(freep) char *signature = NULL;
    (void)state;
    assert_int_equal(signature_make(ca.key, "statement", "{\"a\":1}", &signature, &err), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "%s", signature + (rows[i].cut ? 2 : 0));
        if (signature_check(rows[i].other ? other.certificate : ca.certificate, rows[i].what,
                            rows[i].text, text, &err) != rows[i].code)
            fail_msg("row %zu", i);
    }
    assert_int_equal(signature_check(ca.certificate, "statement", "{\"a\":1}", "not base64!", &err),
                     ERR_DENIED);
    assert_int_equal(signature_check(ca.certificate, "statement", "{\"a\":1}", "", &err),
                     ERR_DENIED);
    assert_int_equal(signature_check("nothing", "statement", "{}", signature, &err), ERR_INVALID);
    char *none;
    assert_int_equal(signature_make("nothing", "statement", "{}", &none, &err), ERR_INVALID);
}

static void
a_digest_depends_on_key_name_and_value(void **state)
{
    uint8_t keys[4][SIGNATURE_KEY_SIZE];
    char digests[5][SIGNATURE_DIGEST_SIZE];
    struct err err;
    (void)state;
    assert_int_equal(signature_subkey(ca.key, "drift", keys[0], &err), ERR_NONE);
    assert_int_equal(signature_subkey(ca.key, "drift", keys[1], &err), ERR_NONE);
    assert_int_equal(signature_subkey(ca.key, "other", keys[2], &err), ERR_NONE);
    assert_int_equal(signature_subkey(other.key, "drift", keys[3], &err), ERR_NONE);
    assert_memory_equal(keys[0], keys[1], SIGNATURE_KEY_SIZE);
    assert_memory_not_equal(keys[0], keys[2], SIGNATURE_KEY_SIZE);
    assert_memory_not_equal(keys[0], keys[3], SIGNATURE_KEY_SIZE);
    assert_int_equal(signature_subkey("nothing", "drift", keys[0], &err), ERR_INVALID);
    signature_digest(keys[1], "a", "true", digests[0]);
    signature_digest(keys[1], "a", "true", digests[1]);
    signature_digest(keys[1], "a", "false", digests[2]);
    signature_digest(keys[1], "b", "true", digests[3]);
    signature_digest(keys[3], "a", "true", digests[4]);
    assert_string_equal(digests[0], digests[1]);
    assert_int_equal(strlen(digests[0]), SIGNATURE_DIGEST_SIZE - 1);
    for (size_t i = 2; i < ARRAY_COUNT(digests); i++)
        assert_string_not_equal(digests[0], digests[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_of_one_key_one_text_and_one_use),
        cmocka_unit_test(a_digest_depends_on_key_name_and_value),
    };
    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
