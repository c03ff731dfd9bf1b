#include "controller/daemon/setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "controller/base/json.h"
#include "controller/daemon/home.h"
#include "controller/daemon/setup_inner.h"
#include "controller/http/server.h"
#include "tests/unit/pg_fixture.h"

#define CLUSTER_ID FIXTURE_CLUSTER_ID

static char folder[64];
static char data[96];
static struct cert_pair ca;
static struct cert_pair member;
static char *member_chain; /* owned; what the server shows: certificate and CA */

/* ---- the primary's half, without a primary ---- */

static struct token
new_token(uint16_t port)
{
    struct cert_info info;
    struct err err = { 0 };
    struct token token = { .cluster = str_dup("demo"),
                           .cluster_id = str_dup(CLUSTER_ID),
                           .site = str_dup("west"),
                           .addresses = { str_printf("127.0.0.1:%u", port) },
                           .address_count = 1 };
    token_draw(&token);
    assert_int_equal(cert_read(ca.certificate, &info, &err), ERR_NONE);
    memcpy(token.pin, info.pin, sizeof token.pin);
    return token;
}

static char *
sign_key(const struct cert_pair *signer, const char *node, const char *key)
{
    struct err err = { 0 };
    CLEANUP(freep) char *csr = NULL;
    char *certificate = NULL;
    struct cert_subject subject = { .node = node, .cluster_id = CLUSTER_ID };
    assert_int_equal(cert_make_csr(key, node, &csr, &err), ERR_NONE);
    assert_int_equal(cert_sign(signer, csr, &subject, &certificate, &err), ERR_NONE);
    return certificate;
}

static char *
certificate_for(const struct cert_pair *signer, const char *node, char **ret_key)
{
    struct err err = { 0 };
    assert_int_equal(cert_make_key(ret_key, &err), ERR_NONE);
    return sign_key(signer, node, *ret_key);
}

static struct json_object *
token_row(const struct token *token, int64_t expires_ms, const char *used_by)
{
    char hash[TOKEN_HASH_SIZE];
    struct json_object *row = json_object_new_object();
    assert_true(token_hash(token->secret, hash));
    json_add_string(row, "hash", hash);
    json_add_string(row, "site", "west");
    json_add_i64(row, "expires_ms", expires_ms);
    json_add_string(row, "used_by", used_by);
    return row;
}

struct primary {
    struct ev_loop *loop;
    struct json_object *row; /* of the only token */
};

static void
answer_join(struct primary *primary, struct http_request *request, struct json_object *body)
{
    struct err err = { 0 };
    struct setup_request join;
    const char *site;
    CLEANUP(freep) char *certificate = NULL;
    struct json_object *reply = NULL;
    enum err_code code = setup_read_request(body, &join, &err);
    if (code == ERR_NONE)
        code = setup_check_token(primary->row, &join, clock_wall_ms(), &site, &err);
    if (code == ERR_NONE)
        code = setup_sign_join(folder, CLUSTER_ID, &join, 2, &certificate, &err);
    if (code == ERR_NONE) {
        struct json_object *members = NULL;
        static const char text[] = "[{\"node\":\"east-1\",\"site\":\"east\",\"address\":"
                                   "\"127.0.0.1:7443\"},{\"node\":\"west-1\",\"site\":\"west\","
                                   "\"address\":\"127.0.0.96:21453\"}]";
        ASSERT(json_read(text, sizeof text - 1, &members, &err) == ERR_NONE);
        code =
            setup_make_reply(folder, "demo", CLUSTER_ID, site, certificate, members, &reply, &err);
    }
    if (code != ERR_NONE) {
        http_reply_err(request, &err);
        return;
    }
    json_add_string(primary->row, "used_by", join.node);
    http_reply_json(request, 201, reply);
}

static void
on_request(void *data_, struct http_request *request)
{
    struct err err = { 0 };
    CLEANUP(json_putp) struct json_object *body = NULL;
    if (strcmp(request->path, "/v1/join") != 0 || request->verb != HTTP_VERB_POST)
        http_reply(request, 404, NULL, NULL, 0);
    else if (json_read(request->body, request->body_size, &body, &err) != ERR_NONE)
        http_reply_err(request, &err);
    else
        answer_join(data_, request, body);
}

/* In a process of its own, for a join blocks. */
static pid_t
start_primary(struct json_object *row, uint16_t *ret_port)
{
    *ret_port = pg_fixture_port();
    CLEANUP(freep) char *listen = str_printf("127.0.0.1:%u", *ret_port);
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = { 0 };
        struct http_server *server = NULL;
        struct primary primary = { .loop = ev_default_loop(EVFLAG_AUTO), .row = row };
        struct tls_identity tls = { .ca = ca.certificate, .cert = member_chain, .key = member.key };
        struct http_options options = {
            .listen = listen, .tls = &tls, .handler = on_request, .data = &primary
        };
        if (http_server_open(primary.loop, &options, &server, &err) != ERR_NONE)
            _exit(1);
        (void)!write(ready[1], "r", 1);
        ev_run(primary.loop, 0);
        _exit(0);
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static void
stop_primary(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- the joining half ---- */

struct steps {
    unsigned count;
    bool initdb;
};

static void
on_step(void *opaque, const char *text)
{
    struct steps *steps = opaque;
    steps->count++;
    steps->initdb = steps->initdb || strstr(text, "initdb") != NULL;
}

static struct setup_node
new_node(struct steps *steps)
{
    return (struct setup_node){ .folder = data,
                                .node = "west-1",
                                .listen = "127.0.0.96:21453",
                                .pg_port = pg_fixture_port(),
                                .say = on_step,
                                .data = steps };
}

static enum err_code
try_join(const struct token *token, struct steps *steps, struct setup_answer *answer,
         struct err *err)
{
    struct setup_node node = new_node(steps);
    CLEANUP(freep) char *text = token_encode(token);
    return setup_join(&node, text, answer, err);
}

static char *
read_text(const char *name)
{
    struct err err = { 0 };
    CLEANUP(freep) char *path = str_printf("%s/%s", data, name);
    struct buf text = { 0 };
    if (file_read(path, 65536, &text, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    return buf_take(&text);
}

static void
check_node(void)
{
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(freep) char *chain = read_text("node.crt");
    CLEANUP(freep) char *server = read_text("pg/tls/server.crt");
    CLEANUP(freep) char *ca_here = read_text("ca.crt");
    CLEANUP(freep) char *ca_key = read_text("ca.key");
    CLEANUP(freep) char *key = read_text("node.key");
    CLEANUP(freep) char *server_key = read_text("pg/tls/server.key");
    assert_string_equal(ca_here, ca.certificate);
    assert_string_equal(ca_key, ca.key);
    assert_string_equal(server, chain);
    assert_string_equal(server_key, key);
    assert_int_equal(cert_verify(ca.certificate, chain, clock_wall_ms() / 1000, &err), ERR_NONE);
    assert_int_equal(cert_check_key(chain, key, &err), ERR_NONE);
    assert_int_equal(home_load(data, &home, &err), ERR_NONE);
    assert_string_equal(home->node, "west-1");
    assert_string_equal(home->site, "west");
    assert_string_equal(home->cluster_id, CLUSTER_ID);
    assert_int_equal(home->peer_count, 1); /* without ourselves */
    assert_string_equal(home->peers[0].node, "east-1");

    /* Another had the name before; a renewal does not forget it. */
    struct cert_info info;
    assert_int_equal(home->generation, 2);
    assert_int_equal(setup_renew(data, &err), ERR_NONE);
    CLEANUP(freep) char *renewed = read_text("node.crt");
    assert_string_not_equal(renewed, chain);
    assert_int_equal(cert_read(renewed, &info, &err), ERR_NONE);
    assert_string_equal(info.common_name, "west-1.2");
}

/* The new database belongs to this node, has the schema, and no row: it is fenced. */
static void
check_database(void)
{
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(freep) char *conninfo = NULL;
    assert_int_equal(home_load(data, &home, &err), ERR_NONE);
    CLEANUP(freep) char *pg = home_path(home, "pg");
    struct managed_config config = { .folder = pg,
                                     .socket = home->pg.socket,
                                     .listen = home->pg.listen,
                                     .port = home->pg.port,
                                     .run_as = home->pg.run_as };
    pid_t pid = 0;
    PGconn *connection = NULL;
    CLEANUP(pq_clearp) PGresult *result = NULL;
    assert_int_equal(managed_start_blocking(&config, &pid, &err), ERR_NONE);
    assert_int_equal(home_conninfo(home, "baton", &conninfo, &err), ERR_NONE);
    assert_int_equal(pq_connect_blocking(conninfo, &connection, &err), ERR_NONE);
    assert_int_equal(pq_run_blocking(connection,
                                     "select name || ' ' || site || ' ' || cluster_id || ' ' ||"
                                     " is_primary || ' ' || writable as t from local.position()",
                                     0, NULL, &result, &err),
                     ERR_NONE);
    assert_string_equal(pq_text(result, 0, "t"), "west-1 west " CLUSTER_ID " false false");
    PQfinish(connection);
    assert_int_equal(managed_stop_blocking(&config, pid, &err), ERR_NONE);
}

static void
a_token_makes_a_node_once(void **state)
{
    (void)state;
    struct steps steps = { 0 };
    struct setup_answer answer;
    struct err err = { 0 };
    struct token token = new_token(0);
    CLEANUP(json_putp) struct json_object *row = token_row(&token, clock_wall_ms() + 600000, NULL);
    uint16_t port;
    pid_t primary = start_primary(row, &port);
    /* The first address is of nobody, the second is the cluster's. */
    free(token.addresses[0]);
    token.addresses[0] = str_printf("127.0.0.1:%u", pg_fixture_port());
    token.addresses[1] = str_printf("127.0.0.1:%u", port);
    token.address_count = 2;
    if (try_join(&token, &steps, &answer, &err) != ERR_NONE)
        fail_msg("%s (%s)", err.text, err.mend);
    assert_string_equal(answer.site, "west");
    assert_string_equal(answer.cluster, "demo");
    check_node();
    check_database();

    /* Again, elsewhere: the primary says no, and what was made here goes. */
    assert_int_equal(file_remove_tree(data, &err), ERR_NONE);
    assert_int_equal(try_join(&token, &steps, &answer, &err), ERR_LOGIN);
    assert_string_equal(err.slug, "token_invalid");
    assert_non_null(strstr(err.mend, "baton token create"));
    assert_false(file_exists(data));
    stop_primary(primary);
    token_done(&token);
}

/* Nobody there, or somebody else: told at once, before the long work. */
static void
a_stranger_is_not_asked(void **state)
{
    (void)state;
    struct steps steps = { 0 };
    struct setup_answer answer;
    struct err err = { 0 };
    uint16_t port;
    pid_t primary = start_primary(NULL, &port);
    struct token token = new_token(port);
    token.pin[5] ^= 1;
    assert_int_equal(try_join(&token, &steps, &answer, &err), ERR_DENIED);
    assert_string_equal(err.slug, "pin_mismatch");
    stop_primary(primary);
    assert_int_equal(try_join(&token, &steps, &answer, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.slug, "connect");
    assert_false(steps.initdb);
    assert_false(file_exists(data));
    token_done(&token);

    struct setup_node node = new_node(&steps);
    assert_int_equal(setup_join(&node, "baton1.nonsense", &answer, &err), ERR_INVALID);
    assert_string_equal(err.slug, "token");
}

/* The pin of a key that only signs for the cluster must not be satisfied by the server's own. */
static void
a_pin_of_the_server_itself_is_no_ca(void **state)
{
    (void)state;
    struct steps steps = { 0 };
    struct setup_answer answer;
    struct err err = { 0 };
    struct cert_info info;
    uint16_t port;
    pid_t primary = start_primary(NULL, &port);
    struct token token = new_token(port);
    assert_int_equal(cert_read(member.certificate, &info, &err), ERR_NONE);
    memcpy(token.pin, info.pin, sizeof token.pin);
    assert_int_equal(try_join(&token, &steps, &answer, &err), ERR_DENIED);
    stop_primary(primary);
    token_done(&token);
}

/* Each row but the first spoils one member of a good answer. */
static void
an_answer_is_checked_before_it_becomes_us(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct cert_pair other = { 0 };
    struct token token = new_token(1);
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(cert_secret_freep) char *stranger = NULL;
    assert_int_equal(cert_make_ca("demo", CLUSTER_ID, &other, &err), ERR_NONE);
    CLEANUP(freep) char *ours = certificate_for(&ca, "west-1", &key);
    CLEANUP(freep) char *theirs = certificate_for(&ca, "west-1", &stranger);
    CLEANUP(freep) char *forged = sign_key(&other, "west-1", key);
    CLEANUP(freep) char *renamed = sign_key(&ca, "west-9", key);
    const struct {
        const char *member; /* NULL: nothing is spoiled */
        const char *value;  /* NULL: it is left out */
        const char *text;
    } rows[] = {
        { NULL, NULL, NULL },
        { "certificate", theirs, "belongs to another certificate" },
        { "certificate", forged, "certificate refused" },
        { "certificate", renamed, "a certificate for another node" },
        { "certificate", "nonsense", "read certificate" },
        { "certificate", NULL, "no certificate" },
        { "ca", other.certificate, "another CA than the token" },
        { "ca", NULL, "no certificate" },
        { "ca_key", other.key, "belongs to another certificate" },
        { "ca_key", NULL, "no certificate" },
        { "site", "north", "another site than the token" },
        { "site", NULL, "another site than the token" },
        { "members", "none", "no list of members" },
        { "members", NULL, "no list of members" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(json_putp) struct json_object *answer = json_object_new_object();
        CLEANUP(home_freep) struct home *home = mem_zero(1, sizeof *home);
        struct setup_identity identity = { 0 };
        home->node = str_dup("west-1");
        home->site = str_dup("west");
        home->cluster_id = str_dup(CLUSTER_ID);
        json_add_string(answer, "certificate", ours);
        json_add_string(answer, "ca", ca.certificate);
        json_add_string(answer, "ca_key", ca.key);
        json_add_string(answer, "site", "west");
        json_add(answer, "members", json_object_new_array());
        if (rows[i].member != NULL)
            json_add_string(answer, rows[i].member, rows[i].value);
        enum err_code code = setup_take_answer(answer, &token, key, home, &identity, &err);
        assert_int_equal(code == ERR_NONE, i == 0);
        if (i > 0 && strstr(err.text, rows[i].text) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        cert_pair_done(&identity.ca);
        free(identity.chain);
    }
    cert_pair_done(&other);
    token_done(&token);
}

/* ---- pure parts of the primary's half ---- */

static void
requests_are_read_strictly(void **state)
{
    (void)state;
    static const char good[] =
        "{\"token_id\":\"a\",\"secret\":\"s\",\"node\":\"west-1\",\"csr\":\"c\",\"address\":"
        "\"west.example:7443\",\"pg\":{\"host\":\"west.example\",\"port\":7444,\"dbname\":\"b\"}}";
    static const struct {
        const char *from;
        const char *to;
        const char *member;
    } rows[] = {
        { "\"token_id\":\"a\"", "\"token_id\":\"\"", "token_id" },
        { "\"secret\":\"s\"", "\"secret\":7", "secret" },
        { "west-1", "West", "node" },
        { "\"csr\":\"c\",", "", "csr" },
        { "\"west.example:7443\"", "\"west example\"", "address" },
        { "\"west.example:7443\"", "\"0.0.0.0:7443\"", "address" },
        { "\"west.example\"", "\"/run/postgresql\"", "pg.host" },
        { "7444", "70000", "pg.port" },
        { "\"b\"", "\"\"", "pg.dbname" },
    };
    for (size_t i = 0; i <= ARRAY_COUNT(rows); i++) {
        const char *at = i == 0 ? good : strstr(good, rows[i - 1].from);
        CLEANUP(freep)
        char *text = i == 0 ? str_dup(good)
                            : str_printf("%.*s%s%s", (int)(at - good), good, rows[i - 1].to,
                                         at + strlen(rows[i - 1].from));
        CLEANUP(json_putp) struct json_object *body = NULL;
        struct setup_request request;
        struct err err = { 0 };
        assert_int_equal(json_read(text, strlen(text), &body, &err), ERR_NONE);
        enum err_code code = setup_read_request(body, &request, &err);
        assert_int_equal(code, i == 0 ? ERR_NONE : ERR_INVALID);
        if (i > 0) {
            CLEANUP(freep) char *named = str_printf("'%s'", rows[i - 1].member);
            assert_true(str_starts(err.text, named));
        }
    }
    struct setup_request request;
    struct err err = { 0 };
    assert_int_equal(setup_read_request(NULL, &request, &err), ERR_INVALID);
}

static void
a_token_counts_once_in_time_and_with_its_secret(void **state)
{
    (void)state;
    struct token token = new_token(1);
    struct token other = new_token(1);
    struct setup_request right = { .secret = token.secret };
    struct setup_request wrong = { .secret = other.secret };
    const char *site = NULL;
    struct err err = { 0 };
    CLEANUP(json_putp) struct json_object *fresh = token_row(&token, 1000, NULL);
    CLEANUP(json_putp) struct json_object *used = token_row(&token, 1000, "west-1");
    assert_int_equal(setup_check_token(fresh, &right, 999, &site, &err), ERR_NONE);
    assert_string_equal(site, "west");
    assert_int_equal(setup_check_token(fresh, &right, 1000, &site, &err), ERR_LOGIN);
    assert_int_equal(setup_check_token(fresh, &wrong, 999, &site, &err), ERR_LOGIN);
    assert_int_equal(setup_check_token(used, &right, 999, &site, &err), ERR_LOGIN);
    assert_int_equal(setup_check_token(NULL, &right, 999, &site, &err), ERR_LOGIN);
    assert_null(strstr(err.text, token.secret));
    token_done(&token);
    token_done(&other);
}

/* Whatever the CSR asks for, the certificate says what we say. */
static void
a_certificate_says_what_the_signer_says(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct cert_info info;
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(freep) char *csr = NULL;
    CLEANUP(freep) char *certificate = NULL;
    assert_int_equal(cert_make_key(&key, &err), ERR_NONE);
    assert_int_equal(cert_make_csr(key, "west-1", &csr, &err), ERR_NONE);
    struct setup_request request = {
        .node = "west-1", .csr = csr, .address = "192.0.2.9:7443", .pg_host = "db.west.example"
    };
    assert_int_equal(setup_sign_join(folder, CLUSTER_ID, &request, 1, &certificate, &err),
                     ERR_NONE);
    assert_int_equal(cert_read(certificate, &info, &err), ERR_NONE);
    assert_string_equal(info.common_name, "west-1");
    assert_string_equal(info.organization, CLUSTER_ID);
    assert_int_equal(cert_verify(ca.certificate, certificate, clock_wall_ms() / 1000, &err),
                     ERR_NONE);
    request.node = "east-1"; /* the token's holder asks for a name that its CSR is not made for */
    freep(&certificate);
    assert_int_equal(setup_sign_join(folder, CLUSTER_ID, &request, 1, &certificate, &err),
                     ERR_INVALID);
    assert_int_equal(
        setup_sign_join(folder, CLUSTER_ID, &request, CERT_GENERATION_MAX + 1, &certificate, &err),
        ERR_LIMIT);
    assert_null(certificate);
}

static int
make(void **state)
{
    (void)state;
    struct err err = { 0 };
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    struct cert_subject subject = {
        .node = "east-1", .cluster_id = CLUSTER_ID, .hosts = hosts, .host_count = 2
    };
    CLEANUP(freep) char *csr = NULL;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(folder, sizeof folder, "/tmp/baton-test-XXXXXX");
    if (mkdtemp(folder) == NULL || chmod(folder, 0711) != 0)
        return 1;
    (void)snprintf(data, sizeof data, "%s/d", folder);
    if (cert_make_ca("demo", CLUSTER_ID, &ca, &err) != ERR_NONE ||
        cert_make_key(&member.key, &err) != ERR_NONE ||
        cert_make_csr(member.key, "east-1", &csr, &err) != ERR_NONE ||
        cert_sign(&ca, csr, &subject, &member.certificate, &err) != ERR_NONE)
        return 1;
    member_chain = str_printf("%s%s", member.certificate, ca.certificate);
    const struct {
        const char *name;
        const char *text;
    } files[] = { { "ca.crt", ca.certificate }, { "ca.key", ca.key } };
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        CLEANUP(freep) char *path = str_printf("%s/%s", folder, files[i].name);
        if (file_write_atomic(path, files[i].text, strlen(files[i].text), 0400, (uid_t)-1,
                              (gid_t)-1, &err) != ERR_NONE)
            return 1;
    }
    return 0;
}

static int
drop(void **state)
{
    (void)state;
    struct err err;
    cert_pair_done(&ca);
    cert_pair_done(&member);
    freep(&member_chain);
    return file_remove_tree(folder, &err) != ERR_NONE;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read_strictly),
        cmocka_unit_test(a_token_counts_once_in_time_and_with_its_secret),
        cmocka_unit_test(a_certificate_says_what_the_signer_says),
        cmocka_unit_test(a_stranger_is_not_asked),
        cmocka_unit_test(a_pin_of_the_server_itself_is_no_ca),
        cmocka_unit_test(a_token_makes_a_node_once),
        cmocka_unit_test(an_answer_is_checked_before_it_becomes_us),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
