#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/password.h"
#include "controller/loop/pq.h"
#include "sites/quorum.h"
#include "sql.h"

#define AUTHOR          "init"
#define PASSWORD_GROUPS 4
#define PASSWORD_GROUP  5 /* characters; 32 of them to choose from, so 100 bits in all */

static void
draw_uuid(char to[40])
{
    uint8_t bytes[16];
    char hex[33];
    cert_random(bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    str_hex(hex, bytes, sizeof bytes);
    (void)snprintf(to, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* Without letters that look like digits: it is read aloud and typed. */
static void
draw_password(char to[SETUP_PASSWORD_SIZE])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t bytes[PASSWORD_GROUPS * PASSWORD_GROUP];
    size_t used = 0;
    cert_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i > 0 && i % PASSWORD_GROUP == 0)
            to[used++] = '-';
        to[used++] = letters[bytes[i] % (sizeof letters - 1)];
    }
    to[used] = '\0';
    OPENSSL_cleanse(bytes, sizeof bytes);
}

/* ---- certificates ---- */

void
setup_founding_done(struct setup_founding *identity)
{
    cert_pair_done(&identity->ca);
    cert_secret_freep(&identity->key);
    free(identity->certificate);
    free(identity->chain);
}

enum err_code
setup_founding_make(struct setup *setup, struct setup_founding *identity, struct err *err)
{
    const struct home *home = setup->home;
    CLEANUP(freep) char *csr = NULL;
    char *owned[2];
    const char *hosts[SETUP_HOSTS_MAX];
    struct cert_subject subject = { .node = home->node,
                                    .generation = home->generation,
                                    .cluster_id = home->cluster_id,
                                    .hosts = hosts,
                                    .host_count = setup_hosts(home->advertise, setup->pg_host,
                                                              owned, hosts) };
    enum err_code code = cert_make_ca(home->cluster, home->cluster_id, &identity->ca, err);
    if (code == ERR_NONE)
        code = cert_make_key(&identity->key, err);
    if (code == ERR_NONE)
        code = cert_make_csr(identity->key, home->node, &csr, err);
    if (code == ERR_NONE)
        code = cert_sign(&identity->ca, csr, &subject, &identity->certificate, err);
    if (code == ERR_NONE)
        code = cert_read(identity->ca.certificate, &identity->ca_info, err);
    if (code == ERR_NONE)
        identity->chain = str_printf("%s%s", identity->certificate, identity->ca.certificate);
    free(owned[0]);
    free(owned[1]);
    return code;
}

/* ---- the first rows ---- */

void
setup_add_change(struct json_object *changes, const char *key, struct json_object *value)
{
    struct json_object *change = json_object_new_object();
    json_add_string(change, "key", key);
    json_add(change, "value", value);
    (void)json_object_array_add(changes, change);
}

void
setup_add_new(struct json_object *changes, const char *key, struct json_object *value)
{
    setup_add_change(changes, key, value);
    json_add_u64(json_object_array_get_idx(changes, json_object_array_length(changes) - 1),
                 "if_match", 0);
}

static struct json_object *
epoch_value(const struct home *home)
{
    struct json_object *value = json_object_new_object();
    json_add_u64(value, "number", 1);
    json_add_string(value, "holder", home->node);
    json_add_string(value, "kind", "init");
    json_add_string(value, "who", AUTHOR);
    json_add_string(value, "why", "the cluster was founded");
    json_add_string(value, "proof", "first");
    json_add_string(value, "site", home->site);
    return value;
}

struct json_object *
setup_node_value(const struct setup *setup, const char *now)
{
    struct json_object *value = json_object_new_object();
    json_add_string(value, "site", setup->home->site);
    json_add_string(value, "address", setup->home->advertise);
    json_add(value, "pg", setup_pg_json(setup));
    json_add_u64(value, "generation", setup->home->generation);
    json_add_string(value, "joined_at", now);
    json_add_bool(value, "removed", false);
    return value;
}

struct json_object *
setup_quorum_value(const struct home *home)
{
    struct quorum_record record = { 0 };
    ASSERT(quorum_add(&record.now, home->node, NULL) == ERR_NONE);
    return quorum_to_json(&record);
}

/* The epoch's row is the first. */
static struct json_object *
first_changes(const struct setup *setup, const char *hash)
{
    char now[CLOCK_TEXT_SIZE];
    const struct home *home = setup->home;
    struct json_object *changes = json_object_new_array();
    CLEANUP(freep) char *node_key = str_printf("node/%s", home->node);
    (void)clock_wall_text(clock_wall_ms(), now);
    struct json_object *cluster = json_object_new_object();
    json_add_string(cluster, "id", home->cluster_id);
    json_add_string(cluster, "name", home->cluster);
    json_add_string(cluster, "created_at", now);
    struct json_object *admin = json_object_new_object();
    json_add_string(admin, "hash", hash);
    json_add_string(admin, "role", "admin");
    setup_add_new(changes, "epoch", epoch_value(home));
    setup_add_new(changes, "cluster", cluster);
    setup_add_new(changes, node_key, setup_node_value(setup, now));
    setup_add_new(changes, "sync/set", setup_quorum_value(home));
    setup_add_new(changes, "user/" SETUP_ADMIN, admin);
    return changes;
}

static enum err_code
check_answer(const PGresult *result, struct err *err)
{
    CLEANUP(json_putp) struct json_object *answer = NULL;
    const char *text = pq_text(result, 0, "answer");
    const char *why = "no reason given";
    bool ok = false;
    if (text == NULL || json_read(text, strlen(text), &answer, err) != ERR_NONE)
        return err_set(err, ERR_PROTOCOL, "database", "the first write gave no answer");
    struct json_object *groups = json_get(answer, "groups");
    struct json_object *group =
        json_object_is_type(groups, json_type_array) ? json_object_array_get_idx(groups, 0) : NULL;
    if (json_get_bool(group, "ok", &ok) && ok)
        return ERR_NONE;
    (void)!json_get_string(group, "text", &why);
    return err_set(err, ERR_INTERNAL, "database", "the first write was refused: %s", why);
}

enum err_code
setup_write_first(PGconn *connection, const struct setup_first *first, struct err *err)
{
    char number[24];
    CLEANUP(pq_clearp) PGresult *result = NULL;
    CLEANUP(json_putp) struct json_object *batch = json_object_new_array();
    struct json_object *group = json_object_new_object();
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)first->epoch);
    json_add_string(group, "author", first->author);
    json_add_string(group, "reason", first->reason);
    json_add(group, "changes", json_object_get(first->changes));
    (void)json_object_array_add(batch, group);
    /* As any primary does it: promise, open, the epoch's row first. */
    const char *epoch[] = { number, first->holder };
    enum err_code code = pq_run_blocking(connection, sql_capture, 2, epoch, NULL, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, sql_open, 2, epoch, NULL, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, "set synchronous_commit = on", 0, NULL, NULL, err);
    if (code == ERR_NONE) {
        const char *values[] = { json_text(batch) };
        code = pq_run_blocking(connection, sql_write, 1, values, &result, err);
    }
    if (code == ERR_NONE)
        code = check_answer(result, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, sql_fence, 0, NULL, NULL, err);
    return code;
}

static enum err_code
write_first(const struct setup *setup, const char *password, PGconn *connection, struct err *err)
{
    char hash[PASSWORD_HASH_SIZE];
    enum err_code code = password_hash(password, hash, err);
    if (code == ERR_NONE) {
        CLEANUP(json_putp) struct json_object *changes = first_changes(setup, hash);
        const struct setup_first first = { .epoch = 1,
                                           .holder = setup->home->node,
                                           .author = AUTHOR,
                                           .reason = "the cluster was founded",
                                           .changes = changes };
        code = setup_write_first(connection, &first, err);
    }
    OPENSSL_cleanse(hash, sizeof hash);
    return code;
}

/* ---- */

static enum err_code
found(struct setup *setup, struct setup_founding *identity, const char *password, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "make the cluster's CA and our certificate");
    if (code == ERR_NONE)
        code = setup_founding_make(setup, identity, err);
    if (code == ERR_NONE)
        code = setup_save_identity(setup, &identity->ca, identity->chain, identity->key, err);
    if (code == ERR_NONE)
        code = setup_make_database(setup, identity->ca.certificate, identity->chain, identity->key,
                                   &connection, err);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "write epoch 1");
    if (code == ERR_NONE)
        code = write_first(setup, password, connection, err);
    pq_finishp(&connection);
    if (code == ERR_NONE)
        code = setup_leave_database(setup, err);
    if (code == ERR_NONE)
        code = home_save(setup->home, err); /* last: with node.json it is a node */
    return code;
}

void
setup_fill_answer(const struct setup *setup, const struct setup_founding *identity,
                  const char *password, struct setup_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    (void)snprintf(answer->admin_password, sizeof answer->admin_password, "%s", password);
    (void)snprintf(answer->cluster_id, sizeof answer->cluster_id, "%s", setup->home->cluster_id);
    (void)snprintf(answer->cluster, sizeof answer->cluster, "%s", setup->home->cluster);
    (void)snprintf(answer->site, sizeof answer->site, "%s", setup->home->site);
    str_hex(answer->pin, identity->ca_info.pin, sizeof identity->ca_info.pin);
}

enum err_code
setup_init(const struct setup_init *init, struct setup_answer *ret_answer, struct err *err)
{
    struct setup setup;
    struct setup_founding identity = { 0 };
    char drawn[SETUP_PASSWORD_SIZE] = "";
    char cluster_id[40];
    enum err_code code = setup_plan(&setup, &init->node, init->cluster, init->site, err);
    if (code == ERR_NONE && init->admin_password != NULL)
        code = password_check(init->admin_password, err);
    if (code == ERR_NONE)
        code = setup_take_folder(&setup, err);
    if (code == ERR_NONE) {
        draw_uuid(cluster_id);
        setup.home->cluster_id = str_dup(cluster_id);
        if (init->admin_password == NULL)
            draw_password(drawn);
        code = found(&setup, &identity, drawn[0] != '\0' ? drawn : init->admin_password, err);
    }
    if (code == ERR_NONE)
        setup_fill_answer(&setup, &identity, drawn, ret_answer);
    OPENSSL_cleanse(drawn, sizeof drawn);
    setup_founding_done(&identity);
    setup_end(&setup, code);
    return code;
}
