/* Whose statement counts: signed by the member it is about, as it logs in now, and by nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/own.h"
#include "controller/daemon/prover.h"
#include "controller/loop/cert.h"
#include "controller/loop/signature.h"

#define CLUSTER "6f1f7f0e-6c39-4a53-9d2a-0f6a5f0f8a11"
#define SAID    "{\"cluster\":\"" CLUSTER "\",\"node\":\"west-1\",\"records\":[]}"

static struct cert_pair ca;
static struct cert_pair foreign; /* the CA of another cluster */

/* Who signs: a certificate for 'node' from 'by', and its key. */
static struct cert_pair
make_node(const struct cert_pair *by, const char *node, unsigned generation, const char *cluster_id)
{
    struct cert_pair pair = { 0 };
    struct err err;
    CLEANUP(freep) char *csr = NULL;
    struct cert_subject subject = { .node = node,
                                    .generation = generation,
                                    .cluster_id = cluster_id };
    assert_int_equal(cert_make_key(&pair.key, &err), ERR_NONE);
    assert_int_equal(cert_make_csr(pair.key, node, &csr, &err), ERR_NONE);
    if (cert_sign(by, csr, &subject, &pair.certificate, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return pair;
}

static struct json_object *
answer_of(const struct cert_pair *node, const char *text)
{
    struct err err;
    CLEANUP(freep) char *signature = NULL;
    struct json_object *answer = json_object_new_object();
    assert_int_equal(signature_make(node->key, "statement", text, &signature, &err), ERR_NONE);
    json_add_u64(answer, "age_ms", 7);
    json_add_string(answer, "statement", text);
    json_add_string(answer, "signature", signature);
    json_add_string(answer, "certificate", node->certificate);
    return answer;
}

static int
make_authorities(void **state)
{
    struct err err;
    (void)state;
    return cert_make_ca("prod", CLUSTER, &ca, &err) != ERR_NONE ||
           cert_make_ca("prod", CLUSTER, &foreign, &err) != ERR_NONE;
}

static int
free_authorities(void **state)
{
    (void)state;
    cert_pair_done(&ca);
    cert_pair_done(&foreign);
    return 0;
}

static struct prover_signer
west_1(void)
{
    static char login[CERT_NAME_SIZE];
    return (struct prover_signer){ .ca = ca.certificate,
                                   .cluster_id = CLUSTER,
                                   .node = "west-1",
                                   .login = cert_login("west-1", 1, login),
                                   .now_s = clock_wall_ms() / 1000 };
}

static void
expect(struct json_object *answer, const struct prover_signer *signer, enum err_code code,
       const char *text)
{
    struct json_object *statement = NULL;
    struct err err = { 0 };
    enum err_code got = prover_read(answer, signer, &statement, &err);
    if (got != code || (text != NULL && strstr(err.text, text) == NULL))
        fail_msg("%s, wanted %s: %s", err_code_name(got), err_code_name(code), err.text);
    assert_int_equal(statement != NULL, code == ERR_NONE);
    json_object_put(statement);
    json_object_put(answer);
}

static void
it_counts_when_its_member_has_signed_it(void **state)
{
    struct cert_pair node = make_node(&ca, "west-1", 1, CLUSTER);
    struct prover_signer signer = west_1();
    (void)state;
    expect(answer_of(&node, SAID), &signer, ERR_NONE, NULL);
    cert_pair_done(&node);
}

static void
it_does_not_count_otherwise(void **state)
{
    struct cert_pair node = make_node(&ca, "west-1", 1, CLUSTER);
    struct cert_pair other = make_node(&ca, "east-1", 1, CLUSTER);
    struct cert_pair later = make_node(&ca, "west-1", 2, CLUSTER);
    struct cert_pair stranger = make_node(&foreign, "west-1", 1, CLUSTER);
    struct cert_pair elsewhere = make_node(&ca, "west-1", 1, "another cluster");
    struct prover_signer signer = west_1();
    (void)state;

    /* changed on its way, or taken from another one's */
    struct json_object *answer = answer_of(&node, SAID);
    json_add_string(answer, "statement",
                    "{\"cluster\":\"" CLUSTER "\",\"node\":\"west-1\",\"records\":[1]}");
    expect(answer, &signer, ERR_DENIED, "signature");
    answer = answer_of(&node, SAID);
    json_add_string(answer, "certificate", later.certificate);
    expect(answer, &signer, ERR_DENIED, "signed by");

    /* another member, who is allowed to talk to us all the same */
    expect(answer_of(&other, SAID), &signer, ERR_DENIED, "signed by 'east-1");
    /* one whose name was given again after it was removed, and the reverse */
    expect(answer_of(&later, SAID), &signer, ERR_DENIED, "signed by");
    char login[CERT_NAME_SIZE];
    signer.login = cert_login("west-1", 2, login);
    expect(answer_of(&node, SAID), &signer, ERR_DENIED, "signed by");
    expect(answer_of(&later, SAID), &signer, ERR_NONE, NULL);
    signer.login = "";
    expect(answer_of(&node, SAID), &signer, ERR_DENIED, "not known as a member");
    signer = west_1();

    expect(answer_of(&stranger, SAID), &signer, ERR_DENIED, "certificate of its statement");
    expect(answer_of(&elsewhere, SAID), &signer, ERR_DENIED, "signed by");
    signer.now_s += 200LL * 86400;
    expect(answer_of(&node, SAID), &signer, ERR_DENIED, "certificate of its statement");
    signer = west_1();

    /* its own signature below what is about another one */
    expect(answer_of(&node, "{\"cluster\":\"" CLUSTER "\",\"node\":\"west-2\"}"), &signer,
           ERR_DENIED, "about another one");
    expect(answer_of(&node, "{\"cluster\":\"x\",\"node\":\"west-1\"}"), &signer, ERR_DENIED,
           "about another one");
    expect(answer_of(&node, "[]"), &signer, ERR_DENIED, "about another one");
    expect(answer_of(&node, "{"), &signer, ERR_PROTOCOL, "not JSON");
    expect(json_object_new_object(), &signer, ERR_PROTOCOL, "no signed statement");
    expect(NULL, &signer, ERR_PROTOCOL, "no signed statement");
    cert_pair_done(&node);
    cert_pair_done(&other);
    cert_pair_done(&later);
    cert_pair_done(&stranger);
    cert_pair_done(&elsewhere);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_when_its_member_has_signed_it),
        cmocka_unit_test(it_does_not_count_otherwise),
    };
    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
