#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/contact.h"
#include "controller/loop/fetch.h"
#include "controller/loop/pq.h"

#define JOIN_TIMEOUT_MS     30000
#define JOIN_REPLY_SIZE_MAX 262144

struct joining {
    struct setup setup;
    struct token token;
    char *key; /* owned, secret */
    char *csr; /* owned */
    struct setup_identity identity;
};

static void
joining_done(struct joining *joining)
{
    token_done(&joining->token);
    cert_secret_freep(&joining->key);
    free(joining->csr);
    cert_pair_done(&joining->identity.ca);
    free(joining->identity.chain);
}

/* ---- all that can fail here, before the primary is asked (S4) ---- */

/* The server needs some certificate to start with TLS; nobody sees this one. */
static enum err_code
make_provisional(struct joining *joining, struct cert_pair *ca, char **ret_certificate,
                 struct err *err)
{
    const struct home *home = joining->setup.home;
    struct cert_subject subject = { .node = home->node, .cluster_id = home->cluster_id, .days = 1 };
    enum err_code code = cert_make_ca("provisional", home->cluster_id, ca, err);
    if (code == ERR_NONE)
        code = cert_sign(ca, joining->csr, &subject, ret_certificate, err);
    return code;
}

static enum err_code
prepare(struct joining *joining, struct err *err)
{
    struct setup *setup = &joining->setup;
    struct cert_pair ca = { 0 };
    CLEANUP(freep) char *certificate = NULL;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "make our key");
    if (code == ERR_NONE)
        code = cert_make_key(&joining->key, err);
    if (code == ERR_NONE)
        code = cert_make_csr(joining->key, setup->home->node, &joining->csr, err);
    if (code == ERR_NONE)
        code = make_provisional(joining, &ca, &certificate, err);
    if (code == ERR_NONE)
        code =
            setup_make_database(setup, ca.certificate, certificate, joining->key, &connection, err);
    pq_finishp(&connection);
    if (code == ERR_NONE)
        code = setup_leave_database(setup, err);
    cert_pair_done(&ca);
    return code;
}

/* ---- asking ---- */

static struct json_object *
make_body(const struct joining *joining)
{
    const struct setup *setup = &joining->setup;
    struct json_object *body = json_object_new_object();
    json_add_string(body, "token_id", joining->token.id);
    json_add_string(body, "secret", joining->token.secret);
    json_add_string(body, "node", setup->home->node);
    json_add_string(body, "csr", joining->csr);
    json_add_string(body, "address", setup->home->advertise);
    json_add(body, "pg", setup_pg_json(setup));
    return body;
}

/* One address. ERR_UNAVAILABLE and ERR_PROTOCOL: surely not joined there, the next may be asked. */
static enum err_code
ask(const struct joining *joining, const char *address, const char *ca, struct fetch_reply *reply,
    struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = make_body(joining);
    CLEANUP(freep) char *url = str_printf("https://%s/v1/join", address);
    const char *text = json_text(body);
    const struct fetch_trust trust = { .tls = { .ca = ca } };
    const struct fetch_request request = {
        .method = "POST",
        .url = url,
        .body = text,
        .body_size = strlen(text),
        .timeout_ms = JOIN_TIMEOUT_MS,
        .reply_size_max = JOIN_REPLY_SIZE_MAX,
    };
    enum err_code code = fetch_once(&trust, &request, reply, err);
    if (code == ERR_NONE)
        code = fetch_reply_err(reply, err);
    if (code == ERR_UNKNOWN_OUTCOME)
        (void)err_mend(err,
                       "see 'baton node list' on a member; if '%s' is there: baton node remove"
                       " %s, then join with a new token",
                       joining->setup.home->node, joining->setup.home->node);
    return code;
}

/* Before minutes of work: is the cluster there at all, and is it the token's? */
static enum err_code
reach(struct joining *joining, struct err *err)
{
    const struct token *token = &joining->token;
    enum err_code code =
        setup_step(&joining->setup, err, "look for cluster %s", joining->setup.home->cluster);
    if (code != ERR_NONE)
        return code;
    bool denied = false;
    for (size_t i = 0; i < token->address_count; i++) {
        CLEANUP(freep) char *ca = NULL;
        struct err now = { 0 };
        code = contact_find_ca(token->addresses[i], token->pin, &ca, &now);
        if (code == ERR_NONE)
            return code;
        if (!denied) /* somebody else sits there: worse to know than "unreachable" */
            *err = now;
        denied = denied || code == ERR_DENIED;
    }
    return err_mend(err, denied ? "was the token made by another cluster, or is the address taken?"
                                : "is batond running there, and the port open to this host?");
}

static bool
may_ask_next(enum err_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_PROTOCOL || code == ERR_FENCED;
}

static enum err_code
ask_any(struct joining *joining, struct fetch_reply *reply, struct err *err)
{
    const struct token *token = &joining->token;
    enum err_code code = ERR_UNAVAILABLE;
    for (size_t i = 0; i < token->address_count && may_ask_next(code); i++) {
        CLEANUP(freep) char *ca = NULL;
        code = setup_step(&joining->setup, err, "ask %s", token->addresses[i]);
        if (code != ERR_NONE)
            return code;
        code = contact_find_ca(token->addresses[i], token->pin, &ca, err);
        if (code == ERR_DENIED)
            code = ERR_UNAVAILABLE; /* not the cluster: the next address may be */
        if (code == ERR_NONE) {
            fetch_reply_done(reply);
            memset(reply, 0, sizeof *reply);
            code = ask(joining, token->addresses[i], ca, reply, err);
        }
    }
    return code == ERR_NONE ? code : err->code;
}

/* ---- the answer ---- */

static enum err_code
bad_answer(struct err *err, const char *what)
{
    return err_set(err, ERR_PROTOCOL, "join_answer", "the primary's answer has %s", what);
}

static enum err_code
take_certificate(struct json_object *answer, const struct token *token, const char *key,
                 struct home *home, struct setup_identity *identity, struct err *err)
{
    const char *certificate;
    const char *ca;
    const char *ca_key;
    struct cert_info info;
    struct cert_info ca_info;
    if (!json_get_string(answer, "certificate", &certificate) ||
        !json_get_string(answer, "ca", &ca) || !json_get_string(answer, "ca_key", &ca_key))
        return bad_answer(err, "no certificate");
    enum err_code code = cert_read(ca, &ca_info, err);
    if (code == ERR_NONE && !cert_pin_equal(ca_info.pin, token->pin))
        return bad_answer(err, "another CA than the token");
    if (code == ERR_NONE)
        code = cert_check_key(ca, ca_key, err);
    if (code == ERR_NONE)
        code = cert_check_key(certificate, key, err);
    if (code == ERR_NONE)
        code = cert_verify(ca, certificate, clock_wall_ms() / 1000, err);
    if (code == ERR_NONE)
        code = cert_read(certificate, &info, err);
    if (code != ERR_NONE)
        return err_wrap(err, "the primary's answer");
    char node[CERT_NAME_SIZE];
    if (!cert_login_read(info.common_name, node, &home->generation) ||
        strcmp(node, home->node) != 0 || strcmp(info.organization, home->cluster_id) != 0)
        return bad_answer(err, "a certificate for another node");
    identity->ca.certificate = str_dup(ca);
    identity->ca.key = str_dup(ca_key);
    identity->chain = str_printf("%s%s", certificate, ca);
    return ERR_NONE;
}

static enum err_code
take_members(struct json_object *answer, struct home *home, struct err *err)
{
    struct json_object *list = json_get(answer, "members");
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > HOME_PEERS_MAX)
        return bad_answer(err, "no list of members");
    size_t count = json_object_array_length(list);
    home->peers = mem_zero(count + 1, sizeof *home->peers);
    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        CLEANUP(freep) char *host = NULL;
        uint16_t port;
        const char *node;
        const char *address;
        if (!json_get_string(entry, "node", &node) || !str_is_name(node) ||
            !json_get_string(entry, "address", &address) ||
            home_split_address(address, HOME_PORT, &host, &port, err) != ERR_NONE)
            return bad_answer(err, "a member without name or address");
        if (strcmp(node, home->node) == 0)
            continue;
        home->peers[home->peer_count].node = str_dup(node);
        home->peers[home->peer_count++].address = str_dup(address);
    }
    return ERR_NONE;
}

enum err_code
setup_take_answer(struct json_object *answer, const struct token *token, const char *key,
                  struct home *home, struct setup_identity *ret_identity, struct err *err)
{
    const char *site;
    if (!json_get_string(answer, "site", &site) || strcmp(site, home->site) != 0)
        return bad_answer(err, "another site than the token");
    enum err_code code = take_members(answer, home, err);
    return code == ERR_NONE ? take_certificate(answer, token, key, home, ret_identity, err) : code;
}

static enum err_code
read_answer(struct joining *joining, const struct fetch_reply *reply, struct err *err)
{
    CLEANUP(json_putp) struct json_object *answer = NULL;
    enum err_code code = json_read(buf_text(&reply->body), reply->body.size, &answer, err);
    if (code != ERR_NONE)
        return err_wrap(err, "the primary's answer");
    return setup_take_answer(answer, &joining->token, joining->key, joining->setup.home,
                             &joining->identity, err);
}

static enum err_code
save(struct joining *joining, struct err *err)
{
    struct setup *setup = &joining->setup;
    const struct setup_identity *identity = &joining->identity;
    enum err_code code =
        setup_save_identity(setup, &identity->ca, identity->chain, joining->key, err);
    if (code == ERR_NONE && home_managed(setup->home))
        code = managed_install_tls(&setup->managed, identity->ca.certificate, identity->chain,
                                   joining->key, err);
    if (code == ERR_NONE)
        code = home_save(setup->home, err); /* last: with node.json it is a node */
    if (code == ERR_NONE)
        return code;
    return err_mend(err, "the cluster knows '%s' already: baton node remove %s, then join again",
                    setup->home->node, setup->home->node);
}

static void
fill_answer(const struct joining *joining, struct setup_answer *answer)
{
    const struct home *home = joining->setup.home;
    memset(answer, 0, sizeof *answer);
    (void)snprintf(answer->cluster_id, sizeof answer->cluster_id, "%s", home->cluster_id);
    (void)snprintf(answer->cluster, sizeof answer->cluster, "%s", home->cluster);
    (void)snprintf(answer->site, sizeof answer->site, "%s", home->site);
    str_hex(answer->pin, joining->token.pin, sizeof joining->token.pin);
}

static enum err_code
join(struct joining *joining, struct err *err)
{
    struct fetch_reply reply = { 0 };
    enum err_code code = reach(joining, err);
    if (code == ERR_NONE)
        code = prepare(joining, err);
    if (code == ERR_NONE)
        code = ask_any(joining, &reply, err);
    if (code == ERR_NONE)
        code = read_answer(joining, &reply, err);
    if (code == ERR_NONE)
        code = save(joining, err);
    if (reply.body.data != NULL) /* it held the CA's key */
        OPENSSL_cleanse(reply.body.data, reply.body.capacity);
    fetch_reply_done(&reply);
    return code;
}

enum err_code
setup_join(const struct setup_node *node, const char *token, struct setup_answer *ret_answer,
           struct err *err)
{
    struct joining joining = { 0 };
    enum err_code code = token_decode(token, &joining.token, err);
    if (code != ERR_NONE)
        return code;
    code = setup_plan(&joining.setup, node, joining.token.cluster, joining.token.site, err);
    if (code == ERR_NONE)
        code = setup_check_host(joining.token.host, joining.setup.home->advertise, err);
    if (code == ERR_NONE)
        code = setup_take_folder(&joining.setup, err);
    if (code == ERR_NONE) {
        joining.setup.home->cluster_id = str_dup(joining.token.cluster_id);
        code = join(&joining, err);
    }
    if (code == ERR_NONE)
        fill_answer(&joining, ret_answer);
    setup_end(&joining.setup, code);
    joining_done(&joining);
    return code;
}
