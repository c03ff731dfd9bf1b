#include "controller/daemon/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/file.h"
#include "controller/base/str.h"
#include "controller/daemon/token.h"

#define UUID "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/baton-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int
drop_folder(void **state)
{
    (void)state;
    struct err err;
    return file_remove_tree(folder, &err) != ERR_NONE;
}

static void
write_text(const char *name, const char *text)
{
    struct err err;
    CLEANUP(freep) char *path = str_printf("%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, &err),
                     ERR_NONE);
}

static const char managed_json[] =
    "{\"cluster\":\"demo\",\"cluster_id\":\"" UUID "\",\"node\":\"east-1\",\"site\":\"east\","
    "\"listen\":\"0.0.0.0:7443\",\"advertise\":\"east-1.example:7443\",\"database\":\"managed\","
    "\"pg\":{\"port\":7444,\"listen\":\"0.0.0.0\",\"run_as\":null,\"socket\":\"/run/x's\","
    "\"dbname\":\"baton\"},\"peers\":[{\"node\":\"west-1\",\"address\":\"192.0.2.1:7443\"}]}";

static void
what_is_saved_is_loaded(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(home_freep) struct home *again = NULL;
    write_text("node.json", managed_json);
    assert_int_equal(home_load(folder, &home, &err), ERR_NONE);
    assert_string_equal(home->node, "east-1");
    assert_int_equal(home->generation, 1);
    home->generation = 3;
    assert_null(home->pg.run_as);
    assert_true(home_managed(home));
    const struct home_peer peers[] = {
        { .node = (char *)"west-1", .address = (char *)"192.0.2.1:7443" },
        { .node = (char *)"west-2", .address = (char *)"[2001:db8::1]:7443" }
    };
    assert_int_equal(home_set_peers(home, peers, 2, &err), ERR_NONE);
    assert_int_equal(home_load(folder, &again, &err), ERR_NONE);
    assert_string_equal(again->cluster, "demo");
    assert_string_equal(again->cluster_id, UUID);
    assert_string_equal(again->site, "east");
    assert_int_equal(again->generation, 3);
    assert_string_equal(again->listen, "0.0.0.0:7443");
    assert_string_equal(again->advertise, "east-1.example:7443");
    assert_int_equal(again->pg.port, 7444);
    assert_string_equal(again->pg.socket, "/run/x's");
    assert_int_equal(again->peer_count, 2);
    assert_string_equal(again->peers[1].address, "[2001:db8::1]:7443");
    CLEANUP(freep) char *path = home_path(again, "node.json");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    ino_t inode = status.st_ino;
    assert_int_equal(home_set_peers(again, peers, 2, &err), ERR_NONE); /* nothing new, no write */
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_ino, inode);
}

static void
each_faulty_member_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *member;
    } rows[] = {
        { "\"demo\"", "\"De mo\"", "cluster" },
        { "\"east-1\"", "7", "node" },
        { "\"east-1\"", "\"east-1\",\"generation\":0", "generation" },
        { "\"east-1\"", "\"east-1\",\"generation\":1000", "generation" },
        { "\"site\":\"east\",", "", "site" },
        { "0.0.0.0:7443", "0.0.0.0:77777", "listen" },
        { "east-1.example:7443", "a b:1", "advertise" },
        { "\"managed\"", "\"\"", "database" },
        { "\"port\":7444", "\"port\":0", "pg.port" },
        { "\"/run/x's\"", "\"run\"", "pg.socket" },
        { "\"run_as\":null", "\"run_as\":7", "pg.run_as" },
        { "\"west-1\"", "\"WEST\"", "peers" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *at = strstr(managed_json, rows[i].from);
        assert_non_null(at);
        CLEANUP(freep)
        char *text = str_printf("%.*s%s%s", (int)(at - managed_json), managed_json, rows[i].to,
                                at + strlen(rows[i].from));
        CLEANUP(freep) char *named = str_printf("'%s' is missing or wrong", rows[i].member);
        struct home *home = NULL;
        struct err err = { 0 };
        write_text("node.json", text);
        assert_int_equal(home_load(folder, &home, &err), ERR_INVALID);
        if (strstr(err.text, named) == NULL)
            fail_msg("%s", err.text);
        assert_null(home);
    }
    struct home *home = NULL;
    struct err err = { 0 };
    write_text("node.json", "{");
    assert_int_equal(home_load(folder, &home, &err), ERR_INVALID);
    write_text("node.json", "null");
    assert_int_equal(home_load(folder, &home, &err), ERR_INVALID);
}

static void
no_node_says_what_to_do(void **state)
{
    (void)state;
    struct home *home = NULL;
    struct err err = { 0 };
    assert_int_equal(home_load("/nowhere/at/all", &home, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.mend, "baton init"));
    assert_int_equal(home_load("/usr", &home, &err), ERR_NOT_FOUND);
    assert_string_equal(err.slug, "node_not_found");
}

static void
conninfo_is_by_socket_or_with_the_password(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(freep) char *managed = NULL;
    CLEANUP(freep) char *external = NULL;
    write_text("node.json", managed_json);
    assert_int_equal(home_load(folder, &home, &err), ERR_NONE);
    assert_int_equal(home_conninfo(home, "baton_owner", &managed, &err), ERR_NONE);
    assert_string_equal(managed, "host='/run/x\\'s' port='7444' user='baton_owner' dbname='baton'");
    free(home->database);
    home->database = str_dup("postgresql://other@127.0.0.1:5433/elsewhere");
    assert_int_equal(home_conninfo(home, "baton", &external, &err), ERR_NOT_FOUND);
    write_text("db.password", "");
    assert_int_equal(home_conninfo(home, "baton", &external, &err), ERR_INVALID);
    write_text("db.password", "it's\n");
    assert_int_equal(home_conninfo(home, "baton", &external, &err), ERR_NONE);
    assert_true(str_ends(external, "user='baton' dbname='baton' password='it\\'s'"));
    assert_non_null(strstr(external, "port='5433'"));
}

/* The server may come to show the cluster's certificate: both CAs are believed then. */
static void
an_external_server_is_believed_by_either_ca(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(freep) char *conninfo = NULL;
    CLEANUP(freep) char *again = NULL;
    CLEANUP(freep) char *unreadable = NULL;
    CLEANUP(freep) char *ours = str_printf("%s/db.ca", folder);
    CLEANUP(buf_done) struct buf roots = { 0 };
    write_text("node.json", managed_json);
    write_text("db.password", "x");
    write_text("theirs.crt", "THEIRS");
    assert_int_equal(home_load(folder, &home, &err), ERR_NONE);
    free(home->database);
    home->database =
        str_printf("host=127.0.0.1 sslmode=verify-full sslrootcert=%s/theirs.crt", folder);
    CLEANUP(freep) char *wanted = str_printf("sslrootcert='%s'", ours);
    assert_int_equal(home_conninfo(home, "baton", &conninfo, &err), ERR_NONE);
    assert_false(str_ends(conninfo, wanted)); /* it has no CA yet: it is being made */
    write_text("ca.crt", "OURS\n");
    assert_int_equal(home_conninfo(home, "baton", &again, &err), ERR_NONE);
    assert_true(str_ends(again, wanted));
    assert_int_equal(file_read(ours, 4096, &roots, &err), ERR_NONE);
    assert_string_equal(buf_text(&roots), "THEIRS\nOURS\n");
    free(home->database);
    home->database = str_dup("host=127.0.0.1 sslmode=verify-full sslrootcert=/nowhere/at.all");
    assert_int_equal(home_conninfo(home, "baton", &unreadable, &err), ERR_NONE);
    assert_false(str_ends(unreadable, wanted)); /* libpq says that it is not there */
}

/* Files of a managed server have a path; an external one finds them in its data directory. */
static void
each_server_names_its_files(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    char *paths[3];
    write_text("node.json", managed_json);
    assert_int_equal(home_load(folder, &home, &err), ERR_NONE);
    CLEANUP(freep) char *key = home_path(home, "pg/tls/server.key");
    home_database_tls(home, paths);
    assert_string_equal(paths[2], key);
    for (size_t i = 0; i < 3; i++)
        free(paths[i]);
    free(home->database);
    home->database = str_dup("host=127.0.0.1");
    home_database_tls(home, paths);
    assert_string_equal(paths[0], "baton_tls/ca.crt");
    assert_string_equal(paths[1], "baton_tls/server.crt");
    assert_string_equal(paths[2], "baton_tls/server.key");
    for (size_t i = 0; i < 3; i++)
        free(paths[i]);
}

static void
one_process_holds_the_lock(void **state)
{
    (void)state;
    struct err err = { 0 };
    CLEANUP(home_freep) struct home *home = NULL;
    int lock = -1;
    write_text("node.json", managed_json);
    assert_int_equal(home_load(folder, &home, &err), ERR_NONE);
    assert_int_equal(home_lock(home, &lock, &err), ERR_NONE);
    int second = -1;
    assert_int_equal(home_lock(home, &second, &err), ERR_CONFLICT);
    CLEANUP(freep) char *pid = str_printf("process %d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    /* One that was killed holds it until the kernel has taken it apart. */
    pid_t holder = fork();
    if (holder == 0)
        (void)pause();
    (void)close(lock);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(home_lock(home, &second, &err), ERR_NONE);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    (void)close(second);
}

static void
addresses_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        uint16_t port;
    } rows[] = {
        { "192.0.2.1:80", "192.0.2.1", 80 },
        { "192.0.2.1", "192.0.2.1", 7443 },
        { "east.example", "east.example", 7443 },
        { "east.example:1", "east.example", 1 },
        { "[2001:db8::1]:7443", "2001:db8::1", 7443 },
        { "[2001:db8::1]", "2001:db8::1", 7443 },
        { "2001:db8::1", "2001:db8::1", 7443 },
        { "[::]:65535", "::", 65535 },
        { "", NULL, 0 },
        { ":7443", NULL, 0 },
        { "a:", NULL, 0 },
        { "a:0", NULL, 0 },
        { "a:65536", NULL, 0 },
        { "a:1:2", NULL, 0 },
        { "[::1", NULL, 0 },
        { "[::1]x", NULL, 0 },
        { "[::1]:", NULL, 0 },
        { "a b:1", NULL, 0 },
        { "https://a:1", NULL, 0 },
        { "a/b", NULL, 0 },
        { "a,b:1", NULL, 0 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(freep) char *host = NULL;
        uint16_t port = 0;
        struct err err = { 0 };
        enum err_code code = home_split_address(rows[i].text, 7443, &host, &port, &err);
        if ((code == ERR_NONE) != (rows[i].host != NULL))
            fail_msg("'%s': %s", rows[i].text, code == ERR_NONE ? host : err.text);
        if (code != ERR_NONE)
            continue;
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

/* ---- join tokens ---- */

static struct token
sample(void)
{
    struct token token = { .cluster = str_dup("demo"),
                           .cluster_id = str_dup(UUID),
                           .site = str_dup("west"),
                           .addresses = { str_dup("192.0.2.1:7443"), str_dup("[::1]:7443") },
                           .address_count = 2 };
    token_draw(&token);
    memset(token.pin, 0xab, sizeof token.pin);
    return token;
}

static void
a_token_comes_back_whole(void **state)
{
    (void)state;
    struct token token = sample();
    struct token back;
    struct err err = { 0 };
    CLEANUP(freep) char *text = token_encode(&token);
    CLEANUP(freep) char *padded = str_printf(" \n%s\r\n ", text);
    assert_true(str_starts(text, "baton1."));
    assert_int_equal(token_decode(padded, &back, &err), ERR_NONE);
    assert_string_equal(back.cluster, "demo");
    assert_string_equal(back.cluster_id, UUID);
    assert_string_equal(back.site, "west");
    assert_string_equal(back.id, token.id);
    assert_string_equal(back.secret, token.secret);
    assert_int_equal(back.address_count, 2);
    assert_string_equal(back.addresses[1], "[::1]:7443");
    assert_memory_equal(back.pin, token.pin, sizeof token.pin);
    token_done(&back);
    token_done(&token);
    assert_string_equal(token.secret, "");
}

/* A3: for a connector, and neither kind is taken for the other. */
static void
a_token_of_an_agent_is_none_for_joining(void **state)
{
    (void)state;
    struct token token = sample();
    struct token back;
    struct err err = { 0 };
    CLEANUP(freep) char *joining = token_encode(&token);
    freep(&token.site);
    token.connector = str_dup("pam");
    CLEANUP(freep) char *text = token_encode(&token);
    assert_true(str_starts(text, "batona1."));
    assert_int_equal(token_decode_agent(text, &back, &err), ERR_NONE);
    assert_string_equal(back.connector, "pam");
    assert_null(back.site);
    assert_string_equal(back.secret, token.secret);
    assert_memory_equal(back.pin, token.pin, sizeof token.pin);
    token_done(&back);
    assert_int_equal(token_decode(text, &back, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "this is no join token"));
    assert_int_equal(token_decode_agent(joining, &back, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "no token for an agent"));
    /* the body of one behind the prefix of the other */
    CLEANUP(freep) char *mixed = str_printf("batona1.%s", joining + strlen("baton1."));
    assert_int_equal(token_decode_agent(mixed, &back, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "it has no connector"));
    token_done(&token);
}

static void
two_tokens_differ(void **state)
{
    (void)state;
    struct token one = { 0 };
    struct token two = { 0 };
    token_draw(&one);
    token_draw(&two);
    assert_string_not_equal(one.id, two.id);
    assert_string_not_equal(one.secret, two.secret);
    assert_int_equal(strlen(one.secret), 64);
}

/* Every text that is one byte off is refused, or is another token: never a crash, never half. */
static void
a_damaged_token_is_refused(void **state)
{
    (void)state;
    struct token token = sample();
    CLEANUP(freep) char *text = token_encode(&token);
    size_t length = strlen(text);
    for (size_t at = 0; at < length; at++) {
        for (unsigned change = 0; change < 3; change++) {
            CLEANUP(freep) char *bad = str_dup(text);
            struct token back;
            struct err err = { 0 };
            if (change == 0)
                bad[at] = bad[at] == 'A' ? 'B' : 'A';
            else if (change == 1)
                bad[at] = '!';
            else
                bad[at] = '\0';
            if (token_decode(bad, &back, &err) == ERR_NONE) {
                token_done(&back);
                continue;
            }
            assert_int_equal(err.code, ERR_INVALID);
            assert_string_equal(err.slug, "token");
            assert_null(strstr(err.text, token.secret));
        }
    }
    token_done(&token);
}

static void
odd_tokens_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{\"cluster\":\"demo\",\"cluster_id\":\"" UUID "\",\"site\":\"west\",\"id\":"
        "\"0011223344556677\",\"secret\":\"short\",\"addresses\":[\"a:1\"],\"pin\":\"00\"}",
        "{\"cluster\":\"demo\",\"cluster_id\":\"not-a-uuid\"}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        CLEANUP(freep)
        char *body = str_base64url((const uint8_t *)bodies[i], strlen(bodies[i]));
        CLEANUP(freep) char *text = str_printf("baton1.%s", body);
        struct token token;
        struct err err = { 0 };
        assert_int_equal(token_decode(text, &token, &err), ERR_INVALID);
    }
    struct token token = sample();
    struct err err = { 0 };
    struct token back;
    for (size_t i = 0; i < token.address_count; i++)
        freep(&token.addresses[i]);
    token.address_count = 0;
    CLEANUP(freep) char *nowhere = token_encode(&token);
    assert_int_equal(token_decode(nowhere, &back, &err), ERR_INVALID);
    token_done(&token);
    CLEANUP(freep) char *huge = str_printf("baton1.%0*d", TOKEN_TEXT_SIZE_MAX, 0);
    assert_int_equal(token_decode(huge, &back, &err), ERR_INVALID);
    assert_int_equal(token_decode("baton2.AAAA", &back, &err), ERR_INVALID);
    assert_non_null(strstr(err.mend, "baton token create"));
}

static void
only_the_hash_is_kept(void **state)
{
    (void)state;
    struct token token = { 0 };
    char hash[TOKEN_HASH_SIZE];
    token_draw(&token);
    assert_true(token_hash(token.secret, hash));
    assert_string_not_equal(hash, token.secret);
    assert_true(token_matches(token.secret, hash));
    struct token other = { 0 };
    token_draw(&other);
    assert_false(token_matches(other.secret, hash));
    assert_false(token_matches("", hash));
    assert_false(token_matches(token.secret, ""));
    assert_false(token_hash("zz", hash));
    /* A vector from outside: SHA-256 of 32 zero bytes. */
    assert_true(
        token_hash("0000000000000000000000000000000000000000000000000000000000000000", hash));
    assert_string_equal(hash, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(each_faulty_member_is_named),
        cmocka_unit_test(no_node_says_what_to_do),
        cmocka_unit_test(conninfo_is_by_socket_or_with_the_password),
        cmocka_unit_test(an_external_server_is_believed_by_either_ca),
        cmocka_unit_test(each_server_names_its_files),
        cmocka_unit_test(one_process_holds_the_lock),
        cmocka_unit_test(addresses_are_split),
        cmocka_unit_test(a_token_comes_back_whole),
        cmocka_unit_test(a_token_of_an_agent_is_none_for_joining),
        cmocka_unit_test(two_tokens_differ),
        cmocka_unit_test(a_damaged_token_is_refused),
        cmocka_unit_test(odd_tokens_are_refused),
        cmocka_unit_test(only_the_hash_is_kept),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
