/* What requests say of themselves, and that nobody believes what is not signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/activation/sign.h"
#include "controller/base/check.h"
#include "controller/base/str.h"

#define KEY_TEXT "0123456789abcdef0123456789abcdef"
#define NOW_S    1763822576

static struct sign_key keys[2];

static int
make_keys(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(sign_key_make("k1", KEY_TEXT "\n", sizeof KEY_TEXT, &keys[0], &err), ERR_NONE);
    assert_int_equal(keys[0].size, 32);
    assert_int_equal(sign_key_make("k2", KEY_TEXT "2", sizeof KEY_TEXT, &keys[1], &err), ERR_NONE);
    return 0;
}

static const struct sign_message post = {
    .method = "POST",
    .target = "/baton?x=1",
    .claim = { .cluster = "6f2f1f6e",
               .epoch = { .number = 7, .holder = "west-1" },
               .node = "west-1",
               .delivery = "6f2f1f6e/pam:7:west-1:main:4:1/0" },
    .body = "{}",
    .body_size = 2,
    .now_s = NOW_S,
};

static struct sign_received
received_of(const struct sign_message *message, const struct sign_headers *headers)
{
    return (struct sign_received){ .method = message->method,
                                   .target = message->target,
                                   .cluster = sign_headers_get(headers, "baton-cluster"),
                                   .epoch = sign_headers_get(headers, "baton-epoch"),
                                   .node = sign_headers_get(headers, "baton-node"),
                                   .delivery = sign_headers_get(headers, "baton-delivery"),
                                   .digest = sign_headers_get(headers, "content-digest"),
                                   .input = sign_headers_get(headers, "signature-input"),
                                   .signature = sign_headers_get(headers, "signature") };
}

static enum err_code
check_at(const struct sign_received *received, int64_t now_s, struct err *err)
{
    struct sign_claim claim;
    const struct sign_key *key;
    return sign_check(received, keys, ARRAY_COUNT(keys), now_s, 300, &claim, &key, err);
}

/* The bytes themselves, so that another implementation can be held against ours: computed with
 * `openssl dgst -sha256 -hmac` from the text of RFC 9421 section 2.5. */
static void
the_headers_are_these(void **state)
{
    (void)state;
    struct sign_headers headers;
    sign_headers(&post, &keys[0], &headers);
    assert_int_equal(headers.count, 7);
    assert_string_equal(sign_headers_get(&headers, "Baton-Epoch"), "7/west-1");
    assert_string_equal(sign_headers_get(&headers, "Content-Digest"),
                        "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:");
    assert_string_equal(sign_headers_get(&headers, "Signature-Input"),
                        "baton=(\"@method\" \"@request-target\" \"baton-cluster\" \"baton-epoch\" "
                        "\"baton-node\" \"baton-delivery\" \"content-digest\");created=1763822576;"
                        "keyid=\"k1\";alg=\"hmac-sha256\"");
    assert_string_equal(sign_headers_get(&headers, "Signature"),
                        "baton=:P/fuAT5NKx+16MnPisbS98oTAH+n6rPDbwHsFHrYPms=:");
    sign_headers_done(&headers);
}

static void
a_key_is_asked_for_what_it_signed(void **state)
{
    (void)state;
    struct sign_message probe = post;
    probe.method = "GET";
    probe.body = NULL;
    probe.claim.delivery = NULL;
    const struct sign_message *const messages[] = { &post, &probe };
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct sign_headers headers;
        struct sign_claim claim;
        const struct sign_key *key;
        struct err err;
        sign_headers(messages[i], &keys[1], &headers);
        struct sign_received received = received_of(messages[i], &headers);
        assert_int_equal(sign_check(&received, keys, 2, NOW_S + 299, 300, &claim, &key, &err),
                         ERR_NONE);
        assert_ptr_equal(key, &keys[1]);
        assert_true(epoch_equal(&claim.epoch, &post.claim.epoch));
        assert_string_equal(claim.cluster, "6f2f1f6e");
        assert_string_equal(claim.node, "west-1");
        sign_headers_done(&headers);
    }
}

/* Each member of what was received, changed or gone, ends it. */
static void
what_was_changed_is_refused(void **state)
{
    (void)state;
    static const size_t places[] = {
        offsetof(struct sign_received, method),   offsetof(struct sign_received, target),
        offsetof(struct sign_received, cluster),  offsetof(struct sign_received, epoch),
        offsetof(struct sign_received, node),     offsetof(struct sign_received, delivery),
        offsetof(struct sign_received, digest),   offsetof(struct sign_received, input),
        offsetof(struct sign_received, signature)
    };
    struct sign_headers headers;
    struct err err;
    sign_headers(&post, &keys[0], &headers);
    struct sign_received whole = received_of(&post, &headers);
    assert_int_equal(check_at(&whole, NOW_S, &err), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        struct sign_received changed = whole;
        const char **place = (const char **)(void *)((char *)&changed + places[i]);
        CLEANUP(freep) char *text = str_dup(*place);
        text[strlen(text) / 2] ^= 1;
        *place = text;
        assert_int_equal(check_at(&changed, NOW_S, &err), ERR_LOGIN);
        *place = NULL;
        assert_int_equal(check_at(&changed, NOW_S, &err), ERR_LOGIN);
        *place = "";
        assert_int_equal(check_at(&changed, NOW_S, &err), ERR_LOGIN);
    }
    sign_headers_done(&headers);
}

static void
a_signature_ends(void **state)
{
    (void)state;
    struct sign_headers headers;
    struct err err;
    sign_headers(&post, &keys[0], &headers);
    struct sign_received received = received_of(&post, &headers);
    assert_int_equal(check_at(&received, NOW_S + 300, &err), ERR_NONE);
    assert_int_equal(check_at(&received, NOW_S - 300, &err), ERR_NONE);
    assert_int_equal(check_at(&received, NOW_S + 301, &err), ERR_LOGIN);
    assert_string_equal(err.slug, "signature_old");
    assert_non_null(strstr(err.text, "1763822576"));
    assert_non_null(strstr(err.text, "1763822877"));
    assert_int_equal(check_at(&received, NOW_S - 301, &err), ERR_LOGIN);
    sign_headers_done(&headers);
}

/* A part that the request has, and the signature does not cover, was put there by another. */
static void
all_that_counts_is_covered(void **state)
{
    (void)state;
    struct sign_message bare = post;
    struct sign_headers headers;
    struct err err;
    bare.body = NULL;
    bare.claim.delivery = NULL;
    sign_headers(&bare, &keys[0], &headers);
    struct sign_received received = received_of(&bare, &headers);
    assert_int_equal(check_at(&received, NOW_S, &err), ERR_NONE);
    received.delivery = "another";
    assert_int_equal(check_at(&received, NOW_S, &err), ERR_LOGIN);
    assert_string_equal(err.text, "the request's signature does not cover 'baton-delivery'");
    received.delivery = NULL;
    received.digest = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:";
    assert_int_equal(check_at(&received, NOW_S, &err), ERR_LOGIN);
    sign_headers_done(&headers);
}

static void
other_inputs_are_not_ours(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "sig=(\"@method\");created=1;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=(\"@method\" \"@method\");created=1;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=(\"@method\"\"@request-target\");created=1;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=(\"@authority\");created=1;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=(\"@method\";created=1;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=();created=1;keyid=\"k1\";alg=\"hmac-sha512\"",
        "baton=();created=1;created=2;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=();created=-1;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=();created=99999999999999999999;keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=();keyid=\"k1\";alg=\"hmac-sha256\"",
        "baton=();created=1;alg=\"hmac-sha256\"",
        "baton=();created=1;keyid=\"k1\"",
        "baton=();created=1;keyid=\"k1;alg=hmac-sha256",
        "baton=();created=1;keyid=\"k1\";alg=\"hmac-sha256\", x=()",
    };
    struct sign_headers headers;
    struct err err;
    sign_headers(&post, &keys[0], &headers);
    struct sign_received received = received_of(&post, &headers);
    for (size_t i = 0; i < ARRAY_COUNT(inputs); i++) {
        received.input = inputs[i];
        if (check_at(&received, 1, &err) != ERR_LOGIN || strcmp(err.slug, "signature_bad") != 0 ||
            strstr(err.text, "not written as we write it") == NULL)
            fail_msg("%s: %s", inputs[i], err.text);
    }
    /* with parameters that are fine, but cover too little */
    received.input = "baton=();created=1;keyid=\"k1\";alg=\"hmac-sha256\"";
    assert_int_equal(check_at(&received, 1, &err), ERR_LOGIN);
    received = received_of(&post, &headers);
    received.input = NULL;
    assert_int_equal(check_at(&received, NOW_S, &err), ERR_LOGIN);
    assert_string_equal(err.slug, "signature_missing");
    sign_headers_done(&headers);
}

static void
without_a_key_nothing_is_signed(void **state)
{
    (void)state;
    struct sign_key none = { 0 };
    struct sign_headers headers;
    struct err err;
    sign_headers(&post, &none, &headers);
    assert_int_equal(headers.count, 4);
    struct sign_received received = received_of(&post, &headers);
    assert_int_equal(check_at(&received, NOW_S, &err), ERR_LOGIN);
    sign_headers_done(&headers);
}

static void
an_unknown_key_is_named(void **state)
{
    (void)state;
    struct sign_key other;
    struct sign_headers headers;
    struct err err;
    assert_int_equal(sign_key_make("k3", KEY_TEXT, 32, &other, &err), ERR_NONE);
    sign_headers(&post, &other, &headers);
    struct sign_received received = received_of(&post, &headers);
    assert_int_equal(check_at(&received, NOW_S, &err), ERR_LOGIN);
    assert_string_equal(err.text, "there is no key 'k3' here");
    sign_headers_done(&headers);
}

static void
a_proof_is_of_one_request_and_one_epoch(void **state)
{
    (void)state;
    struct epoch epoch = epoch_make(9, "east-1");
    struct epoch seen;
    CLEANUP(freep) char *proof = sign_proof(&keys[0], &epoch, "baton=:A:");
    assert_true(str_starts(proof, "9/east-1 "));
    assert_true(sign_proof_check(&keys[0], "baton=:A:", proof, &seen));
    assert_true(epoch_equal(&seen, &epoch));
    assert_false(sign_proof_check(&keys[1], "baton=:A:", proof, &seen));
    assert_false(sign_proof_check(&keys[0], "baton=:B:", proof, &seen));
    assert_false(sign_proof_check(&keys[0], NULL, proof, &seen));
    assert_false(sign_proof_check(&keys[0], "baton=:A:", NULL, &seen));
    assert_false(sign_proof_check(&(struct sign_key){ 0 }, "baton=:A:", proof, &seen));
    proof[0] = '8';
    assert_false(sign_proof_check(&keys[0], "baton=:A:", proof, &seen));
    static const char *const bad[] = { "", "9/east-1", "9/east-1 ", "9/east-1 x", "- x", " x" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(sign_proof_check(&keys[0], "baton=:A:", bad[i], &seen));
}

static void
the_target_is_what_is_sent(void **state)
{
    (void)state;
    assert_string_equal(sign_target("https://a"), "/");
    assert_string_equal(sign_target("https://a:8443/b/c?d=e"), "/b/c?d=e");
}

/* ---- keys ---- */

static enum err_code
no_secret(void *data, const char *name, struct buf *to, struct err *err)
{
    (void)data;
    if (strcmp(name, "pam-key") != 0)
        return err_set(err, ERR_NOT_FOUND, "secret", "no such secret");
    buf_add_text(to, KEY_TEXT "\n");
    return ERR_NONE;
}

static void
a_key_comes_from_its_owner_only(void **state)
{
    (void)state;
    char path[] = "/tmp/baton-key-XXXXXX";
    struct sign_key key;
    struct err err;
    int file = mkstemp(path);
    struct connector_sign sign = { .set = true, .key_id = "k1", .key_file = path };
    assert_true(file >= 0 && write(file, KEY_TEXT "\n", 33) == 33);
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_NONE);
    assert_true(key.size == 32 && memcmp(key.bytes, KEY_TEXT, 32) == 0);
    assert_int_equal(fchmod(file, 0640), 0);
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.mend, "chmod 600"));
    assert_int_equal(fchmod(file, 0600), 0);
    assert_int_equal(ftruncate(file, 31), 0);
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_INVALID);
    assert_int_equal(ftruncate(file, 2000), 0);
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_INVALID);
    (void)close(file);
    (void)unlink(path);
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_NOT_FOUND);
    sign.key_file = "/tmp";
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_INVALID);
    sign = (struct connector_sign){ .set = true, .key_id = "k1", .key = "secret/pam-key" };
    assert_int_equal(sign_key_read(&sign, NULL, NULL, &key, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "secrets are not available here"));
    assert_int_equal(sign_key_read(&sign, no_secret, NULL, &key, &err), ERR_NONE);
    assert_int_equal(key.size, 32);
    sign.key = "secret/other";
    assert_int_equal(sign_key_read(&sign, no_secret, NULL, &key, &err), ERR_NOT_FOUND);
    assert_int_equal(sign_key_read(&(struct connector_sign){ 0 }, no_secret, NULL, &key, &err),
                     ERR_NONE);
    assert_int_equal(key.size, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_headers_are_these),
        cmocka_unit_test(a_key_is_asked_for_what_it_signed),
        cmocka_unit_test(what_was_changed_is_refused),
        cmocka_unit_test(a_signature_ends),
        cmocka_unit_test(all_that_counts_is_covered),
        cmocka_unit_test(other_inputs_are_not_ours),
        cmocka_unit_test(without_a_key_nothing_is_signed),
        cmocka_unit_test(an_unknown_key_is_named),
        cmocka_unit_test(a_proof_is_of_one_request_and_one_epoch),
        cmocka_unit_test(the_target_is_what_is_sent),
        cmocka_unit_test(a_key_comes_from_its_owner_only),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
