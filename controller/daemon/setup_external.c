#include <openssl/crypto.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/pq.h"
#include "controller/postgres/inspect.h"

#define NODES_EXPECTED 3 /* sizes are checked for a cluster of this many */
#define PASSWORD_BYTES 24
#define DAEMON_ROLE    "baton"
#define PEER_RULE      "hostssl " MANAGED_DATABASE " +baton_peers all cert map=baton_peer"
#define PEER_IDENT     "baton_peer /^(.*)$ baton_n_\\1"

/* Made by us or by the migrations when they are missing, in an order in which they can go. */
static const char *const roles[] = { DAEMON_ROLE, "baton_peers", "baton_writer", "baton_reader",
                                     MANAGED_OWNER };

static enum err_code
connect_admin(const struct setup *setup, const char *database, PGconn **ret_connection,
              struct err *err)
{
    CLEANUP(cert_secret_freep) char *resolved = NULL;
    enum err_code code = pq_resolve(setup->admin, &resolved, err);
    if (code != ERR_NONE)
        return err_wrap(err, "--database");
    struct buf text = { 0 };
    buf_add_text(&text, resolved);
    if (database != NULL)
        pq_add_pair(&text, "dbname", database);
    if (setup->home->folder != NULL)
        code = home_add_roots(setup->home, setup->admin, &text, err);
    if (code == ERR_NONE)
        code = pq_connect_blocking(buf_text(&text), ret_connection, err);
    OPENSSL_cleanse(text.data, text.size);
    buf_done(&text);
    return code;
}

static enum err_code
exists(PGconn *connection, const char *sql, const char *name, bool *ret, struct err *err)
{
    CLEANUP(pq_clearp) PGresult *result = NULL;
    const char *values[] = { name };
    enum err_code code = pq_run_blocking(connection, sql, 1, values, &result, err);
    if (code == ERR_NONE)
        *ret = PQntuples(result) > 0;
    return code;
}

/* Fails on the first fault; the others and the warnings are told. */
static enum err_code
inspect(struct setup *setup, PGconn *connection, enum inspect_role role, struct err *err)
{
    struct inspect_report report;
    enum err_code code = inspect_blocking(connection, role, NODES_EXPECTED, &report, err);
    for (size_t i = 0; code == ERR_NONE && i < report.count; i++) {
        const struct inspect_check *check = &report.list[i];
        if (check->state != INSPECT_OK)
            code = setup_step(setup, err, "%s: %s; mend: %s", inspect_state_name(check->state),
                              check->text, check->mend);
    }
    return code != ERR_NONE ? code : inspect_require(&report, err);
}

/* Whether the members' replication will be let in is the server's own file to say. */
static enum err_code
look_at_peer_rule(struct setup *setup, PGconn *connection, struct err *err)
{
    bool found = false;
    enum err_code code = exists(connection,
                                "select from pg_hba_file_rules where $1 = any (user_name)"
                                " and auth_method = 'cert' and type like 'host%'",
                                "+baton_peers", &found, err);
    if (code != ERR_NONE || found)
        return code;
    code = setup_step(setup, err,
                      "warn: other members cannot replicate from here yet; mend: add"
                      " to pg_hba.conf: " PEER_RULE);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "warn: and to pg_ident.conf: " PEER_IDENT);
    return code;
}

static enum err_code
make_database(struct setup *setup, PGconn *connection, struct err *err)
{
    bool found = false;
    enum err_code code = exists(connection, "select from pg_database where datname = $1",
                                MANAGED_DATABASE, &found, err);
    if (code == ERR_NONE && found) {
        (void)err_set(err, ERR_CONFLICT, "database_exists",
                      "the server has a database '" MANAGED_DATABASE "' already");
        return err_mend(
            err, "use a server of its own for each node, or DROP DATABASE " MANAGED_DATABASE);
    }
    for (size_t i = 0; code == ERR_NONE && i < ARRAY_COUNT(roles); i++) {
        code = exists(connection, "select from pg_roles where rolname = $1", roles[i], &found, err);
        if (code == ERR_NONE && !found)
            setup->roles_made |= 1u << i;
    }
    if (code == ERR_NONE && (setup->roles_made & (1u << (ARRAY_COUNT(roles) - 1))) != 0)
        code = pq_run_blocking(connection, "create role " MANAGED_OWNER " login superuser", 0, NULL,
                               NULL, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection,
                               "create database " MANAGED_DATABASE " owner " MANAGED_OWNER
                               " encoding 'UTF8' locale 'C' template template0",
                               0, NULL, NULL, err);
    setup->database_made = code == ERR_NONE;
    return code;
}

enum err_code
setup_external_make(struct setup *setup, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "check the database server");
    if (code == ERR_NONE)
        code = connect_admin(setup, NULL, &connection, err);
    if (code == ERR_NONE)
        code = inspect(setup, connection, INSPECT_ADMIN, err);
    if (code == ERR_NONE)
        code = look_at_peer_rule(setup, connection, err);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "make the database");
    if (code == ERR_NONE)
        code = make_database(setup, connection, err);
    return code;
}

enum err_code
setup_external_connect(struct setup *setup, PGconn **ret_connection, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = connect_admin(setup, MANAGED_DATABASE, &connection, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, "set role " MANAGED_OWNER, 0, NULL, NULL, err);
    if (code == ERR_NONE)
        *ret_connection = take_ptr(&connection);
    return code;
}

enum err_code
setup_external_password(struct setup *setup, PGconn *connection, struct err *err)
{
    uint8_t bytes[PASSWORD_BYTES];
    char password[2 * PASSWORD_BYTES + 1];
    cert_random(bytes, sizeof bytes);
    str_hex(password, bytes, sizeof bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    /* Hashed here, so that no log of the server can hold it. */
    char *hash = PQencryptPasswordConn(connection, password, DAEMON_ROLE, "scram-sha-256");
    enum err_code code = ERR_NONE;
    if (hash == NULL) {
        code = err_set(err, ERR_INTERNAL, "db_password", "hash the password of role baton");
    } else {
        CLEANUP(freep)
        char *sql = str_printf("alter role " DAEMON_ROLE " password '%s'", hash);
        code = pq_run_blocking(connection, sql, 0, NULL, NULL, err);
        PQfreemem(hash);
    }
    CLEANUP(freep) char *path = home_path(setup->home, "db.password");
    if (code == ERR_NONE)
        code = file_write_atomic(path, password, strlen(password), 0400, (uid_t)-1, (gid_t)-1, err);
    OPENSSL_cleanse(password, sizeof password);
    return code;
}

enum err_code
setup_external_check(struct setup *setup, struct err *err)
{
    CLEANUP(cert_secret_freep) char *conninfo = NULL;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "check the daemon's access");
    if (code == ERR_NONE)
        code = home_conninfo(setup->home, DAEMON_ROLE, &conninfo, err);
    if (code != ERR_NONE)
        return code;
    code = pq_connect_blocking(conninfo, &connection, err);
    if (code != ERR_NONE) {
        (void)err_wrap(err, "log in as role baton");
        return err_mend(
            err, "add to pg_hba.conf, before broader lines, and reload: hostssl " MANAGED_DATABASE
                 " " DAEMON_ROLE " ADDRESS/32 scram-sha-256");
    }
    return inspect(setup, connection, INSPECT_DAEMON, err);
}

void
setup_external_undo(struct setup *setup)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    struct err err = { 0 };
    if (!setup->database_made && setup->roles_made == 0)
        return;
    enum err_code code = connect_admin(setup, NULL, &connection, &err);
    if (code == ERR_NONE && setup->database_made)
        code = pq_run_blocking(connection, "drop database " MANAGED_DATABASE " with (force)", 0,
                               NULL, NULL, &err);
    /* Rights on the server's parameters and functions go with the role only when taken back. */
    if (code == ERR_NONE && (setup->roles_made & 1u) != 0)
        code = pq_run_blocking(connection,
                               "do $$ begin if to_regrole('" DAEMON_ROLE "') is not null then"
                               " drop owned by " DAEMON_ROLE "; end if; end $$",
                               0, NULL, NULL, &err);
    for (size_t i = 0; code == ERR_NONE && i < ARRAY_COUNT(roles); i++) {
        CLEANUP(freep) char *sql = str_printf("drop role if exists %s", roles[i]);
        if ((setup->roles_made & (1u << i)) != 0)
            code = pq_run_blocking(connection, sql, 0, NULL, NULL, &err);
    }
    if (code != ERR_NONE)
        log_error("setup.undo", "reason=\"%s\"", err.text);
}
