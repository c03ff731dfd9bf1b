#include "controller/loop/cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"

#define CLUSTER_ID "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"

static int64_t
now_s(void)
{
    return clock_wall_ms() / 1000;
}

static struct cert_pair
make_ca(void)
{
    struct cert_pair ca;
    struct err err;
    assert_int_equal(cert_make_ca("demo", CLUSTER_ID, &ca, &err), ERR_NONE);
    return ca;
}

/* A node's certificate and key, signed by 'ca'. */
static struct cert_pair
make_node(const struct cert_pair *ca, const char *node, const char *const *hosts, size_t count)
{
    struct cert_pair pair = { 0 };
    struct err err = { 0 };
    CLEANUP(freep) char *csr = NULL;
    struct cert_subject subject = {
        .node = node, .cluster_id = CLUSTER_ID, .hosts = hosts, .host_count = count
    };
    assert_int_equal(cert_make_key(&pair.key, &err), ERR_NONE);
    assert_int_equal(cert_make_csr(pair.key, node, &csr, &err), ERR_NONE);
    if (cert_sign(ca, csr, &subject, &pair.certificate, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return pair;
}

static X509 *
parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

static void
ca_says_who_it_is(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    struct cert_info info;
    struct err err;
    assert_int_equal(cert_read(ca.certificate, &info, &err), ERR_NONE);
    assert_string_equal(info.common_name, "demo CA");
    assert_string_equal(info.organization, CLUSTER_ID);
    assert_true(info.is_ca);
    assert_int_equal(strlen(info.serial), 32);
    assert_int_equal(strlen(info.fingerprint), 64);
    assert_in_range(info.not_before_s, now_s() - 310, now_s() - 290);
    assert_in_range(info.not_after_s, now_s() + 3649LL * 86400, now_s() + 3650LL * 86400);
    assert_int_equal(cert_check_key(ca.certificate, ca.key, &err), ERR_NONE);
    cert_pair_done(&ca);
}

static void
ca_takes_the_longest_cluster_name(void **state)
{
    (void)state;
    char cluster[64];
    memset(cluster, 'c', 63);
    cluster[63] = '\0';
    struct cert_pair ca;
    struct err err;
    assert_int_equal(cert_make_ca(cluster, CLUSTER_ID, &ca, &err), ERR_NONE);
    cert_pair_done(&ca);
}

static void
node_is_named_by_the_signer(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    const char *hosts[] = { "192.0.2.7", "fd00::7",   "east.example.com",
                            "localhost", "127.0.0.1", "east.example.com" };
    struct cert_pair node = make_node(&ca, "east-1", hosts, ARRAY_COUNT(hosts));
    struct cert_info info;
    struct err err;
    assert_int_equal(cert_read(node.certificate, &info, &err), ERR_NONE);
    assert_string_equal(info.common_name, "east-1");
    assert_string_equal(info.organization, CLUSTER_ID);
    assert_false(info.is_ca);
    assert_in_range(info.not_after_s, now_s() + 89LL * 86400, now_s() + 90LL * 86400);

    X509 *certificate = parse(node.certificate);
    assert_int_equal(X509_check_host(certificate, "east-1", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "east.example.com", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "192.0.2.7", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "fd00::7", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "192.0.2.8", 0), 0);
    assert_int_equal(X509_check_host(certificate, "west-1", 0, 0, NULL), 0);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 6); /* the double one is there once */
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    cert_pair_done(&node);
    cert_pair_done(&ca);
}

static void
two_certificates_never_share_a_serial(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    struct cert_pair one = make_node(&ca, "east-1", NULL, 0);
    struct cert_pair two = make_node(&ca, "east-1", NULL, 0);
    struct cert_info info_one;
    struct cert_info info_two;
    struct err err;
    assert_int_equal(cert_read(one.certificate, &info_one, &err), ERR_NONE);
    assert_int_equal(cert_read(two.certificate, &info_two, &err), ERR_NONE);
    assert_string_not_equal(info_one.serial, info_two.serial);
    assert_int_equal(cert_check_key(one.certificate, two.key, &err), ERR_INVALID);
    cert_pair_done(&one);
    cert_pair_done(&two);
    cert_pair_done(&ca);
}

static void
verify_knows_ca_time_and_purpose(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    struct cert_pair other = make_ca();
    struct cert_pair node = make_node(&ca, "east-1", NULL, 0);
    struct err err;
    assert_int_equal(cert_verify(ca.certificate, node.certificate, now_s(), &err), ERR_NONE);
    assert_int_equal(cert_verify(other.certificate, node.certificate, now_s(), &err), ERR_DENIED);
    assert_int_equal(cert_verify(ca.certificate, node.certificate, now_s() + 91LL * 86400, &err),
                     ERR_DENIED);
    assert_non_null(strstr(err.text, "expired"));
    assert_int_equal(cert_verify(ca.certificate, node.certificate, now_s() - 3600, &err),
                     ERR_DENIED);
    /* A node must not pass for a CA. */
    struct cert_pair below = make_node(&node, "west-1", NULL, 0);
    assert_int_equal(cert_verify(node.certificate, below.certificate, now_s(), &err), ERR_DENIED);
    cert_pair_done(&below);
    cert_pair_done(&node);
    cert_pair_done(&other);
    cert_pair_done(&ca);
}

static void
no_certificate_outlives_its_ca(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    struct err err;
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(freep) char *csr = NULL;
    CLEANUP(freep) char *certificate = NULL;
    struct cert_subject subject = { .node = "east-1", .cluster_id = CLUSTER_ID, .days = 9000 };
    assert_int_equal(cert_make_key(&key, &err), ERR_NONE);
    assert_int_equal(cert_make_csr(key, "east-1", &csr, &err), ERR_NONE);
    assert_int_equal(cert_sign(&ca, csr, &subject, &certificate, &err), ERR_NONE);
    struct cert_info ca_info;
    struct cert_info info;
    assert_int_equal(cert_read(ca.certificate, &ca_info, &err), ERR_NONE);
    assert_int_equal(cert_read(certificate, &info, &err), ERR_NONE);
    assert_int_equal(info.not_after_s, ca_info.not_after_s);
    cert_pair_done(&ca);
}

/* A CSR with any key and any name, and optionally a broken signature. */
static char *
odd_csr(EVP_PKEY *key, const char *name, bool broken)
{
    X509_REQ *request = X509_REQ_new();
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_REQ_set_pubkey(request, key);
    EVP_PKEY *signer = broken ? EVP_EC_gen("P-256") : key;
    assert_true(X509_REQ_sign(request, signer, EVP_sha256()) > 0);
    if (broken)
        EVP_PKEY_free(signer);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509_REQ(bio, request);
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = str_printf("%.*s", (int)size, bytes);
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return text;
}

static void
bad_requests_are_refused(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    const struct {
        char *csr;
        const char *text;
    } rows[] = {
        { odd_csr(EVP_EC_gen("P-256"), "east-2", false), "not made for node 'east-1'" },
        { odd_csr(EVP_EC_gen("P-256"), "east-1", true), "its own signature" },
        { odd_csr(EVP_EC_gen("P-384"), "east-1", false), "not on the curve P-256" },
        { odd_csr(EVP_EC_gen("secp256k1"), "east-1", false), "not on the curve P-256" },
        { odd_csr(EVP_RSA_gen(2048), "east-1", false), "not on the curve P-256" },
        { str_dup("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
          "read certificate request" },
        { str_dup(""), "read certificate request" },
        { str_dup(ca.certificate), "read certificate request" },
    };
    struct cert_subject subject = { .node = "east-1", .cluster_id = CLUSTER_ID };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *certificate = NULL;
        struct err err;
        assert_int_equal(cert_sign(&ca, rows[i].csr, &subject, &certificate, &err), ERR_INVALID);
        if (strstr(err.text, rows[i].text) == NULL)
            fail_msg("row %zu: '%s'", i, err.text);
        assert_null(certificate);
        assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next connection to find */
        free(rows[i].csr);
    }
    CLEANUP(freep) char *huge = mem_zero(1, CERT_PEM_SIZE_MAX + 2);
    memset(huge, 'A', CERT_PEM_SIZE_MAX + 1);
    char *certificate = NULL;
    struct err err;
    assert_int_equal(cert_sign(&ca, huge, &subject, &certificate, &err), ERR_LIMIT);
    cert_pair_done(&ca);
}

static void
a_host_is_one_name_and_no_syntax(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    static const char *const bad[] = {
        "",   "a,DNS:evil", "DNS:evil", "a b",  "*.example.com", "192.0.2.1.9", "host\nDNS:evil",
        ".a", "a.",         "a..b",     "::zz", "ä.example"
    };
    struct err err;
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(freep) char *csr = NULL;
    assert_int_equal(cert_make_key(&key, &err), ERR_NONE);
    assert_int_equal(cert_make_csr(key, "east-1", &csr, &err), ERR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct cert_subject subject = {
            .node = "east-1", .cluster_id = CLUSTER_ID, .hosts = &bad[i], .host_count = 1
        };
        char *certificate = NULL;
        if (cert_sign(&ca, csr, &subject, &certificate, &err) != ERR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
    }
    cert_pair_done(&ca);
}

static void
renewal_is_due_after_two_thirds(void **state)
{
    (void)state;
    struct cert_info info = { .not_before_s = 1000, .not_after_s = 4000 };
    assert_false(cert_renewal_due(&info, 2999));
    assert_true(cert_renewal_due(&info, 3000));
}

static void
a_pin_is_the_key_not_the_certificate(void **state)
{
    (void)state;
    struct cert_pair ca = make_ca();
    struct cert_pair other = make_ca();
    struct cert_info info;
    struct cert_info info_other;
    struct err err;
    assert_int_equal(cert_read(ca.certificate, &info, &err), ERR_NONE);
    assert_int_equal(cert_read(other.certificate, &info_other, &err), ERR_NONE);
    assert_false(cert_pin_equal(info.pin, info_other.pin));

    X509 *certificate = parse(ca.certificate);
    unsigned char *spki = NULL;
    int size = i2d_PUBKEY(X509_get0_pubkey(certificate), &spki);
    uint8_t digest[CERT_PIN_SIZE];
    assert_int_equal(EVP_Digest(spki, (size_t)size, digest, NULL, EVP_sha256(), NULL), 1);
    assert_true(cert_pin_equal(info.pin, digest));
    OPENSSL_free(spki);
    X509_free(certificate);
    cert_pair_done(&other);
    cert_pair_done(&ca);
}

static void
a_login_is_read_as_it_is_written(void **state)
{
    (void)state;
    static const char *const bad[] = { "",         ".2",         "west-1.",
                                       "west-1.0", "west-1.1",   "west-1.02",
                                       "west-1.x", "west-1.2.3", "west-1.1000",
                                       "West-1",   "*",          "west 1" };
    char login[CERT_NAME_SIZE];
    char node[CERT_NAME_SIZE] = "as before";
    unsigned generation = 7;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(cert_login_read(bad[i], node, &generation));
    assert_string_equal(node, "as before");
    assert_int_equal(generation, 7);
    assert_string_equal(cert_login("west-1", 0, login), "west-1");
    assert_string_equal(cert_login("west-1", 1, login), "west-1");
    assert_true(cert_login_read(login, node, &generation));
    assert_int_equal(generation, 1);
    assert_string_equal(cert_login("west-1", CERT_GENERATION_MAX, login), "west-1.999");
    assert_true(cert_login_read(login, node, &generation));
    assert_string_equal(node, "west-1");
    assert_int_equal(generation, CERT_GENERATION_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ca_says_who_it_is),
        cmocka_unit_test(ca_takes_the_longest_cluster_name),
        cmocka_unit_test(node_is_named_by_the_signer),
        cmocka_unit_test(two_certificates_never_share_a_serial),
        cmocka_unit_test(verify_knows_ca_time_and_purpose),
        cmocka_unit_test(no_certificate_outlives_its_ca),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(a_host_is_one_name_and_no_syntax),
        cmocka_unit_test(renewal_is_due_after_two_thirds),
        cmocka_unit_test(a_pin_is_the_key_not_the_certificate),
        cmocka_unit_test(a_login_is_read_as_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
