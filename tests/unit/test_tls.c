#include "controller/loop/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <openssl/err.h>

#include "controller/base/file.h"
#include "tests/unit/raw_client.h"

struct pair {
    SSL *server;
    SSL *client;
};

/* Both ends on a pair of memory BIOs: a whole handshake without a socket. */
static struct pair
connect_pair(SSL_CTX *server, SSL_CTX *client)
{
    struct pair pair = { SSL_new(server), SSL_new(client) };
    BIO *to_server = BIO_new(BIO_s_mem());
    BIO *to_client = BIO_new(BIO_s_mem());
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(pair.server, to_server, to_client);
    SSL_set_bio(pair.client, to_client, to_server);
    SSL_set_accept_state(pair.server);
    SSL_set_connect_state(pair.client);
    return pair;
}

/* Both have finished. In TLS 1.3 the client believes so before the server has looked at it. */
static bool
shake(struct pair pair)
{
    int server = 0;
    int client = 0;
    for (unsigned i = 0; i < 10 && (server != 1 || client != 1); i++) {
        client = SSL_do_handshake(pair.client);
        server = SSL_do_handshake(pair.server);
    }
    ERR_clear_error();
    return server == 1 && client == 1;
}

static void
pair_done(struct pair pair)
{
    SSL_free(pair.server);
    SSL_free(pair.client);
}

static SSL_CTX *
server_of(const struct tls_identity *identity)
{
    SSL_CTX *context;
    struct err err;
    if (tls_server_new(identity, &context, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return context;
}

static struct tls_identity
identity_of(const struct raw_pki *pki)
{
    return (struct tls_identity){ .ca = pki->ca.certificate,
                                  .cert = pki->node.certificate,
                                  .key = pki->node.key };
}

static void
only_modern_tls_is_spoken(void **state)
{
    (void)state;
    struct raw_pki pki = { 0 };
    raw_pki_make(&pki, "west-1");
    struct tls_identity identity = identity_of(&pki);
    static const struct {
        int version;
        const char *ciphers;
        bool taken;
    } cases[] = {
        { TLS1_3_VERSION, NULL, true },
        { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true },
        { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", false },
        { TLS1_2_VERSION, "AES128-GCM-SHA256:AES256-SHA", false },
        { TLS1_1_VERSION, "ALL:@SECLEVEL=0", false },
        { TLS1_VERSION, "ALL:@SECLEVEL=0", false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        SSL_CTX *server = server_of(&identity);
        SSL_CTX *client = SSL_CTX_new(TLS_client_method());
        assert_int_equal(SSL_CTX_set_min_proto_version(client, cases[i].version), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(client, cases[i].version), 1);
        if (cases[i].ciphers != NULL)
            assert_int_equal(SSL_CTX_set_cipher_list(client, cases[i].ciphers), 1);
        struct pair pair = connect_pair(server, client);
        if (shake(pair) != cases[i].taken)
            fail_msg("case %zu", i);
        pair_done(pair);
        tls_freep(&server);
        tls_freep(&client);
    }
    raw_pki_done(&pki);
}

static void
a_peer_is_who_its_certificate_says(void **state)
{
    (void)state;
    struct raw_pki ours = { 0 };
    struct raw_pki other = { 0 };
    raw_pki_make(&ours, "west-1");
    raw_pki_make(&other, "west-1");
    struct tls_identity identity = identity_of(&ours);
    struct tls_identity none = { .ca = ours.ca.certificate };
    struct tls_identity stranger = identity_of(&other);
    stranger.ca = ours.ca.certificate;
    struct tls_identity deceived = none;
    deceived.ca = other.ca.certificate;
    const struct {
        const struct tls_identity *client;
        bool taken;
        bool known;
    } cases[] = {
        { &identity, true, true },
        { &none, true, false },
        { &stranger, false, false }, /* fails closed: it does not become "no certificate" */
        { &deceived, false, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        SSL_CTX *server = server_of(&identity);
        SSL_CTX *client = raw_context(cases[i].client);
        struct pair pair = connect_pair(server, client);
        struct tls_peer peer = { 0 };
        if (shake(pair) != cases[i].taken)
            fail_msg("case %zu", i);
        assert_int_equal(tls_peer_read(pair.server, &peer), cases[i].known);
        if (cases[i].known) {
            struct cert_info info;
            struct err err;
            assert_int_equal(cert_read(ours.node.certificate, &info, &err), ERR_NONE);
            assert_string_equal(peer.name, "west-1");
            assert_string_equal(peer.organization, RAW_CLUSTER_ID);
            assert_int_equal(peer.generation, 1);
            uint8_t pin[TLS_PIN_SIZE];
            assert_true(tls_pin_x509(SSL_get0_peer_certificate(pair.server), pin));
            assert_memory_equal(pin, info.pin, sizeof pin);
        }
        pair_done(pair);
        tls_freep(&server);
        tls_freep(&client);
    }
    raw_pki_done(&ours);
    raw_pki_done(&other);
}

static void
a_server_may_ask_for_no_certificate(void **state)
{
    (void)state;
    struct raw_pki pki = { 0 };
    raw_pki_make(&pki, "west-1");
    struct tls_identity identity = identity_of(&pki);
    SSL_CTX *client = raw_context(&identity);
    identity.ca = NULL;
    SSL_CTX *server = server_of(&identity);
    struct pair pair = connect_pair(server, client);
    struct tls_peer peer;
    assert_true(shake(pair));
    assert_false(tls_peer_read(pair.server, &peer));
    pair_done(pair);
    tls_freep(&server);
    tls_freep(&client);
    raw_pki_done(&pki);
}

static void
material_is_checked(void **state)
{
    (void)state;
    struct raw_pki ours = { 0 };
    struct raw_pki other = { 0 };
    raw_pki_make(&ours, "west-1");
    raw_pki_make(&other, "west-1");
    char folder[] = "/tmp/baton-tls-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = str_printf("%s/node.crt", folder);
    struct err err;
    assert_int_equal(file_write_atomic(path, ours.node.certificate, strlen(ours.node.certificate),
                                       0600, (uid_t)-1, (gid_t)-1, &err),
                     ERR_NONE);
    const char *ca = ours.ca.certificate;
    const char *cert = ours.node.certificate;
    const char *key = ours.node.key;
    char *chain = str_printf("%s%s", cert, ca);
    char *torn = str_printf("%s%.200s", cert, ca);
    char *bundle = str_printf("%s%s", ca, other.ca.certificate);
    const struct {
        struct tls_identity identity;
        enum err_code code;
        const char *text; /* is in the error */
    } cases[] = {
        { { ca, cert, key }, ERR_NONE, NULL },
        { { ca, path, key }, ERR_NONE, NULL },
        { { ca, chain, key }, ERR_NONE, NULL },
        { { bundle, cert, key }, ERR_NONE, NULL },
        { { NULL, cert, key }, ERR_NONE, NULL },
        { { ca, cert, other.node.key }, ERR_INVALID, "does not belong" },
        { { ca, key, key }, ERR_INVALID, "certificate" },
        { { ca, cert, cert }, ERR_INVALID, "private key" },
        { { key, cert, key }, ERR_INVALID, "CA" },
        { { ca, torn, key }, ERR_INVALID, "chain" },
        { { torn, cert, key }, ERR_INVALID, "CA" },
        { { ca, "-----BEGIN CERTIFICATE-----\nx\n", key }, ERR_INVALID, "the PEM given" },
        { { ca, "/nowhere/node.crt", key }, ERR_NOT_FOUND, "/nowhere/node.crt" },
        { { ca, cert, "/nowhere/node.key" }, ERR_NOT_FOUND, "/nowhere/node.key" },
        { { "/nowhere/ca.crt", cert, key }, ERR_NOT_FOUND, "/nowhere/ca.crt" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        SSL_CTX *context = NULL;
        enum err_code code = tls_server_new(&cases[i].identity, &context, &err);
        if (code != cases[i].code)
            fail_msg("case %zu: %s: %s", i, err_code_name(code), err.text);
        assert_int_equal(ERR_peek_error(), 0); /* or another connection would find it */
        assert_int_equal(context != NULL, code == ERR_NONE);
        if (code != ERR_NONE && strstr(err.text, cases[i].text) == NULL)
            fail_msg("case %zu: '%s' is not in: %s", i, cases[i].text, err.text);
        if (code != ERR_NONE)
            assert_null(strstr(err.text, "PRIVATE KEY")); /* no secret in it */
        tls_freep(&context);
    }
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
    free(path);
    free(chain);
    free(torn);
    free(bundle);
    raw_pki_done(&ours);
    raw_pki_done(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_modern_tls_is_spoken),
        cmocka_unit_test(a_peer_is_who_its_certificate_says),
        cmocka_unit_test(a_server_may_ask_for_no_certificate),
        cmocka_unit_test(material_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
