#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/fetch.h"
#include "controller/loop/pq.h"
#include "controller/postgres/migrate.h"
#include "sites/upgrade.h"
#include "sql.h"

#define ASK_MS         3000 /* one other member */
#define STATE_SIZE_MAX 65536
#define STATE_FRESH_MS (ASK_MS * (NODE_MEMBERS_MAX + 1)) /* they are asked one after the other */

/* ---- in what order ---- */

static enum err_code
ask(const struct home *home, const char *address, struct node_facts *ret_facts, struct err *err)
{
    CLEANUP(freep) char *url = str_printf("https://%s/v1/peer/state", address);
    CLEANUP(freep) char *ca = home_path(home, "ca.crt");
    CLEANUP(freep) char *certificate = home_path(home, "node.crt");
    CLEANUP(freep) char *key = home_path(home, "node.key");
    CLEANUP(json_putp) struct json_object *document = NULL;
    const struct fetch_trust trust = { .tls = { .ca = ca, .cert = certificate, .key = key } };
    const struct fetch_request request = {
        .method = "GET", .url = url, .timeout_ms = ASK_MS, .reply_size_max = STATE_SIZE_MAX
    };
    struct fetch_reply reply = { 0 };
    enum err_code code = fetch_once(&trust, &request, &reply, err);
    if (code == ERR_NONE)
        code = fetch_reply_err(&reply, err);
    if (code == ERR_NONE)
        code = json_read(buf_text(&reply.body), reply.body.size, &document, err);
    if (code == ERR_NONE && !driver_facts_from_json(document, ret_facts))
        code = err_set(err, ERR_PROTOCOL, "member_answer", "a member's answer makes no sense");
    fetch_reply_done(&reply);
    return code;
}

/* What the others say of themselves, as a fenced node would hear it. */
static void
hear_peers(const struct home *home, const PGresult *members, struct node *node)
{
    static const struct node_limits limits = { .fresh_ms = STATE_FRESH_MS };
    const char *names[NODE_MEMBERS_MAX];
    const char *addresses[NODE_MEMBERS_MAX];
    size_t count = 0;
    for (int row = 0; row < PQntuples(members) && count < ARRAY_COUNT(names); row++) {
        names[count] = pq_text(members, row, "node");
        addresses[count] = pq_text(members, row, "address");
        count += names[count] != NULL && str_is_name(names[count]) && addresses[count] != NULL;
    }
    node_init(node, home->node, &limits);
    node_set_peers(node, names, count);
    for (size_t i = 0; i < count; i++) {
        struct node_facts facts;
        struct node_effects effects;
        struct err err;
        struct node_event event = { .kind = NODE_EV_HEARD, .facts = &facts };
        if (ask(home, addresses[i], &facts, &err) != ERR_NONE || strcmp(facts.name, names[i]) != 0)
            continue;
        event.now_ms = clock_now_ms();
        (void)!node_step(node, &event, &effects, &err);
    }
}

static enum err_code
check_order(struct setup *setup, PGconn *connection, const PGresult *position, unsigned from,
            struct err *err)
{
    struct node_facts own = { 0 };
    char text[UPGRADE_TEXT_SIZE];
    CLEANUP(freep) struct node *node = mem_zero(1, sizeof *node);
    CLEANUP(pq_clearp) PGresult *members = NULL;
    enum err_code code = setup_step(setup, err, "ask the other members");
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, sql_members, 0, NULL, &members, err);
    if (code != ERR_NONE)
        return code;
    if (!driver_read_position(position, &own))
        return err_set(err, ERR_PROTOCOL, "database", "the database did not tell its position");
    (void)snprintf(own.name, sizeof own.name, "%s", setup->home->node);
    own.schema = from;
    hear_peers(setup->home, members, node);
    if (upgrade_may_begin(node, &own, migrate_newest(), clock_now_ms(), text))
        return ERR_NONE;
    (void)err_set(err, ERR_CONFLICT, "upgrade_order", "%s", text);
    return err_mend(err, "upgrade those first, or promote one of them; --any-order if they are gone"
                         " for good");
}

/* ---- the database ---- */

/* A superuser's DSN may well lead to the database of another node. */
static enum err_code
require_own(const struct home *home, const PGresult *position, struct err *err)
{
    const char *cluster = pq_text(position, 0, "cluster_id");
    const char *name = pq_text(position, 0, "name");
    if (cluster != NULL && name != NULL && strcmp(cluster, home->cluster_id) == 0 &&
        strcmp(name, home->node) == 0)
        return ERR_NONE;
    (void)err_set(err, ERR_CONFLICT, "other_database",
                  "that database belongs to node '%.64s', and this node is '%s'",
                  name == NULL ? "?" : name, home->node);
    return err_mend(err, "give the DSN of this node's server, or another --data-dir");
}

static enum err_code
migrate(struct setup *setup, PGconn *connection, const struct setup_upgrade *upgrade,
        struct setup_upgraded *ret, struct err *err)
{
    CLEANUP(pq_clearp) PGresult *position = NULL;
    enum err_code code = migrate_version(connection, &ret->from, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, sql_position, 0, NULL, &position, err);
    if (code == ERR_NONE)
        code = require_own(setup->home, position, err);
    ret->to = migrate_newest();
    if (code == ERR_NONE && ret->from < ret->to && !upgrade->any_order)
        code = check_order(setup, connection, position, ret->from, err);
    if (code == ERR_NONE && ret->from < ret->to)
        code = setup_step(setup, err, "migrate the schema from %u to %u", ret->from, ret->to);
    return code == ERR_NONE ? migrate_run(connection, NULL, err) : code;
}

static enum err_code
upgrade_managed(struct setup *setup, const struct setup_upgrade *upgrade,
                struct setup_upgraded *ret, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    struct err stopping;
    enum err_code code = setup_step(setup, err, "start PostgreSQL on port %u", setup->managed.port);
    if (code == ERR_NONE)
        code = managed_start_blocking(&setup->managed, &setup->pid, err);
    if (code != ERR_NONE)
        return code;
    code = setup_connect_owner(setup, MANAGED_DATABASE, &connection, err);
    if (code == ERR_NONE)
        code = migrate(setup, connection, upgrade, ret, err);
    pq_finishp(&connection);
    if (managed_stop_blocking(&setup->managed, setup->pid, &stopping) != ERR_NONE)
        log_warn("schema.stop", "reason=\"%s\"", stopping.text); /* batond waits for it */
    return code;
}

static enum err_code
upgrade_external(struct setup *setup, const struct setup_upgrade *upgrade,
                 struct setup_upgraded *ret, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "connect to the database server");
    if (code == ERR_NONE)
        code = setup_external_connect(setup, &connection, err);
    return code == ERR_NONE ? migrate(setup, connection, upgrade, ret, err) : code;
}

static enum err_code
check_options(const struct home *home, const struct setup_upgrade *upgrade, struct err *err)
{
    bool named = upgrade->database != NULL && strcmp(upgrade->database, HOME_MANAGED) != 0;
    if (named != home_managed(home))
        return ERR_NONE;
    if (named)
        return err_set(err, ERR_INVALID, "database_managed",
                       "--database: the database of this node is managed, batond owns it");
    (void)err_set(err, ERR_INVALID, "option_missing", "the database of this node is external");
    return err_mend(err, "--database DSN: connection string of a superuser of its server");
}

enum err_code
setup_upgrade(const struct setup_upgrade *upgrade, struct setup_upgraded *ret, struct err *err)
{
    CLEANUP(home_freep) struct home *home = NULL;
    struct setup_node node = { .say = upgrade->say, .data = upgrade->data };
    int lock = -1;
    enum err_code code = home_load(upgrade->folder, &home, err);
    if (code == ERR_NONE)
        code = check_options(home, upgrade, err);
    if (code == ERR_NONE)
        code = home_lock(home, &lock, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(freep) char *folder = home_path(home, "pg");
    CLEANUP(cert_secret_freep) char *admin = str_dup(upgrade->database);
    struct setup setup = { .node = &node,
                           .home = home,
                           .admin = admin,
                           .managed = { .folder = folder,
                                        .socket = home->pg.socket,
                                        .listen = home->pg.listen,
                                        .port = home->pg.port,
                                        .run_as = home->pg.run_as } };
    code = home_managed(home) ? upgrade_managed(&setup, upgrade, ret, err)
                              : upgrade_external(&setup, upgrade, ret, err);
    (void)close(lock);
    return code;
}

unsigned
setup_schema(void)
{
    return sql_migrations[sql_migration_count - 1].version;
}
