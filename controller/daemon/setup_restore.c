/*
 * setup_restore.c -- a cluster founded anew from a backup (sites/backup.h).
 *
 *   head of the backup     revision R of epoch E: the log goes on after it, as after a snapshot
 *   what was plain, users  its state at R, each row with its own revision, author and time
 *   R+1 ...                one group under epoch E + BACKUP_EPOCH_STEP: epoch (says from what, by
 *                          whom), this node, the quorum, the other members removed, the arbiter
 *                          gone, the secrets under a data key of this node's own
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/archive.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/pq.h"
#include "controller/loop/seal.h"
#include "sites/sealing.h"
#include "sites/setting.h"
#include "sql.h"

#define AUTHOR      "restore"
#define KEY_ARBITER "arbiter"

struct restoring {
    const struct setup_restore *restore; /* borrowed */
    const struct backup *backup;         /* borrowed */
    struct setup setup;
    struct setup_founding founding;
    struct seal_identity identity; /* secret; made when there are secrets */
    struct seal_key data_key;      /* secret; the same */
    struct json_object *base;      /* owned; the state at the head */
    struct json_object *changes;   /* owned; the first rows after it */
    struct setup_restored done;
};

static const char *
text_of(struct json_object *object, const char *name)
{
    const char *text = "";
    (void)!json_get_string(object, name, &text);
    return text;
}

static struct json_object *
copy_of(struct json_object *value)
{
    struct json_object *copy = NULL;
    ASSERT(json_object_deep_copy(value, &copy, NULL) == 0);
    return copy;
}

/* ---- what it is restored as ---- */

static enum err_code
choose_site(const struct setup_restore *restore, const char **ret_site, struct err *err)
{
    const struct backup *backup = &restore->archive->backup;
    const struct backup_member *member =
        restore->node.node == NULL ? NULL : backup_member(backup, restore->node.node);
    *ret_site = restore->site != NULL ? restore->site : member == NULL ? NULL : member->site;
    if (*ret_site != NULL || restore->node.node == NULL)
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "site_unknown", "the backup knows no node '%.64s'",
                  restore->node.node);
    return err_mend(err, "say where it stands: --site SITE");
}

/* Who has a certificate of a node of this name is not it. */
static unsigned
generation_of(const struct backup *backup, const char *node)
{
    const struct backup_member *member = backup_member(backup, node);
    return member == NULL || member->generation >= CERT_GENERATION_MAX ? 1 : member->generation + 1;
}

/* ---- rows ---- */

static struct json_object *
epoch_value(const struct restoring *restoring)
{
    const struct backup *backup = restoring->backup;
    struct json_object *value = json_object_new_object();
    struct json_object *from = copy_of(json_get(backup->document, "head"));
    json_add_string(from, "digest", restoring->restore->archive->digest);
    json_add_string(from, "taken_at", backup->taken_at);
    json_add_string(from, "taken_by", backup->taken_by);
    json_add_string(from, "node", backup->node);
    json_add_u64(value, "number", backup_epoch(backup));
    json_add_string(value, "holder", restoring->setup.home->node);
    json_add_string(value, "kind", "restore");
    json_add_string(value, "who", restoring->restore->by);
    json_add_string(value, "why", "the cluster was restored from a backup");
    json_add_string(value, "proof", "first");
    json_add_string(value, "site", restoring->setup.home->site);
    json_add(value, "restored", from);
    return value;
}

static enum err_code
make_keys(struct restoring *restoring, struct err *err)
{
    CLEANUP(freep) char *path = home_path(restoring->setup.home, "seal.key");
    seal_key_draw(&restoring->data_key);
    return seal_identity_load(path, &restoring->identity, err);
}

static enum err_code
add_data_key(struct restoring *restoring, struct err *err)
{
    char now[CLOCK_TEXT_SIZE];
    struct json_object *keys = NULL;
    CLEANUP(freep) char *box = NULL;
    const char *node = restoring->setup.home->node;
    struct sealing_step give = { .kind = SEALING_GIVE };
    memcpy(give.key, restoring->data_key.id, sizeof give.key);
    memcpy(give.public_key, restoring->identity.public_key, sizeof give.public_key);
    ASSERT(str_copy(give.node, sizeof give.node, node));
    enum err_code code = seal_box(&restoring->data_key, restoring->identity.public_key, &box, err);
    if (code != ERR_NONE)
        return code;
    sealing_add_key(&keys, give.key, clock_wall_text(clock_wall_ms(), now), node);
    sealing_apply(keys, &give, box);
    setup_add_new(restoring->changes, SEALING_KEYS, keys);
    return ERR_NONE;
}

static enum err_code
add_secret(struct restoring *restoring, struct json_object *row, struct err *err)
{
    const char *key = text_of(row, "key");
    const struct seal_key *seal = &restoring->data_key;
    CLEANUP(seal_wipe) struct buf plain = { 0 };
    CLEANUP(buf_done) struct buf sealed = { 0 };
    enum err_code code = archive_open(restoring->restore->archive, row, &plain, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(freep) char *bound = sealing_bound(restoring->backup->cluster_id, key, seal->id);
    seal_close(seal, bound, plain.data, plain.size, &sealed);
    setup_add_new(restoring->changes, key,
                  sealing_write(seal->id, (const uint8_t *)sealed.data, sealed.size));
    restoring->done.secrets++;
    return ERR_NONE;
}

/* user/NAME is at the head what it was. */
static enum err_code
add_user(struct restoring *restoring, struct json_object *row, struct err *err)
{
    CLEANUP(seal_wipe) struct buf plain = { 0 };
    enum err_code code = archive_open(restoring->restore->archive, row, &plain, err);
    if (code != ERR_NONE)
        return code;
    struct json_object *copy = copy_of(row);
    json_add_string(copy, "value", buf_text(&plain));
    (void)json_object_array_add(restoring->base, copy);
    restoring->done.users++;
    return ERR_NONE;
}

static void
add_plain(struct restoring *restoring, struct json_object *row)
{
    const char *key = text_of(row, "key");
    (void)json_object_array_add(restoring->base, json_object_get(row));
    if (strcmp(key, KEY_ARBITER) != 0)
        return;
    /* It knows the members by certificates that nobody has any more. */
    struct json_object *change = json_object_new_object();
    json_add_string(change, "key", key);
    json_add_bool(change, "delete", true);
    (void)json_object_array_add(restoring->changes, change);
    restoring->done.arbiter = true;
}

static void
remove_others(struct restoring *restoring)
{
    const struct backup *backup = restoring->backup;
    for (size_t i = 0; i < backup->member_count; i++) {
        const struct backup_member *member = &backup->members[i];
        if (member->removed || strcmp(member->name, restoring->setup.home->node) == 0)
            continue;
        CLEANUP(freep) char *key = str_printf("node/%s", member->name);
        struct json_object *value = copy_of(member->value);
        json_add_bool(value, "removed", true);
        setup_add_change(restoring->changes, key, value);
    }
}

/* 'base' and 'changes', all of them. */
static enum err_code
make_rows(struct restoring *restoring, struct err *err)
{
    char now[CLOCK_TEXT_SIZE];
    enum err_code code = ERR_NONE;
    const struct home *home = restoring->setup.home;
    struct json_object *config = restoring->backup->config;
    bool secrets = restoring->backup->secret_count > 0;
    CLEANUP(freep) char *node_key = str_printf("node/%s", home->node);
    struct json_object *node =
        setup_node_value(&restoring->setup, clock_wall_text(clock_wall_ms(), now));
    restoring->base = json_object_new_array();
    restoring->changes = json_object_new_array();
    setup_add_change(restoring->changes, "epoch", epoch_value(restoring));
    if (secrets)
        code = make_keys(restoring, err);
    if (secrets && code == ERR_NONE)
        json_add_string(node, "seal_key", restoring->identity.public_key);
    setup_add_change(restoring->changes, node_key, node);
    setup_add_change(restoring->changes, "sync/set", setup_quorum_value(home));
    remove_others(restoring);
    if (secrets && code == ERR_NONE)
        code = add_data_key(restoring, err);
    for (size_t i = 0; code == ERR_NONE && i < json_object_array_length(config); i++) {
        struct json_object *row = json_object_array_get_idx(config, i);
        const char *key = text_of(row, "key");
        if (backup_kind_of(key) == BACKUP_PLAIN)
            add_plain(restoring, row);
        else if (sealing_is_secret(key))
            code = add_secret(restoring, row, err);
        else
            code = add_user(restoring, row, err);
    }
    return code;
}

/* ---- the database ---- */

static enum err_code
load_base(struct restoring *restoring, PGconn *connection, struct err *err)
{
    const struct backup *backup = restoring->backup;
    CLEANUP(json_putp) struct json_object *snapshot = copy_of(json_get(backup->document, "head"));
    json_add_string(snapshot, "cluster_id", backup->cluster_id);
    json_add(snapshot, "epochs", json_object_get(backup->epochs));
    json_add(snapshot, "config", json_object_get(restoring->base));
    const char *values[] = { json_text(snapshot) };
    return pq_run_blocking(connection, sql_backup_load, 1, values, NULL, err);
}

/* What this program does not know any more is left out: nobody could read it. */
static enum err_code
load_locals(struct restoring *restoring, PGconn *connection, struct err *err)
{
    const struct setting_row *row;
    struct err unknown;
    struct json_object *local = restoring->backup->local;
    CLEANUP(json_putp) struct json_object *rules = setting_rules_json();
    const char *loaded[] = { json_text(rules) };
    enum err_code code = pq_run_blocking(connection, sql_key_rules_load, 1, loaded, NULL, err);
    if (!backup_local_fits(restoring->backup, restoring->setup.home->node))
        return code;
    for (size_t i = 0; code == ERR_NONE && i < json_object_array_length(local); i++) {
        struct json_object *one = json_object_array_get_idx(local, i);
        const char *values[] = { text_of(one, "key"), text_of(one, "value"),
                                 text_of(one, "author") };
        if (setting_check_key(values[0], &row, &unknown) != ERR_NONE)
            continue;
        code = pq_run_blocking(connection, sql_local_set, ARRAY_COUNT(values), values, NULL, err);
        restoring->done.locals += code == ERR_NONE;
    }
    return code;
}

static enum err_code
write_first(struct restoring *restoring, PGconn *connection, struct err *err)
{
    const struct backup *backup = restoring->backup;
    CLEANUP(freep)
    char *reason = str_printf(
        "restored from the backup of %s, taken by %.255s at %s, revision %llu of epoch %llu/%s, "
        "sha256:%s; restored by %.255s",
        backup->taken_at, backup->taken_by, backup->node, (unsigned long long)backup->revision,
        (unsigned long long)backup->epoch, backup->holder, restoring->restore->archive->digest,
        restoring->restore->by);
    const struct setup_first first = { .epoch = backup_epoch(backup),
                                       .holder = restoring->setup.home->node,
                                       .author = AUTHOR,
                                       .reason = reason,
                                       .changes = restoring->changes };
    return setup_write_first(connection, &first, err);
}

/* ---- */

static enum err_code
found(struct restoring *restoring, struct err *err)
{
    struct setup *setup = &restoring->setup;
    struct setup_founding *founding = &restoring->founding;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "make a new CA and our certificate");
    if (code == ERR_NONE)
        code = setup_founding_make(setup, founding, err);
    if (code == ERR_NONE)
        code = setup_save_identity(setup, &founding->ca, founding->chain, founding->key, err);
    if (code == ERR_NONE)
        code = make_rows(restoring, err);
    if (code == ERR_NONE)
        code = setup_make_database(setup, founding->ca.certificate, founding->chain, founding->key,
                                   &connection, err);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "load revision %llu, and write epoch %llu",
                          (unsigned long long)restoring->backup->revision,
                          (unsigned long long)backup_epoch(restoring->backup));
    if (code == ERR_NONE)
        code = load_base(restoring, connection, err);
    if (code == ERR_NONE)
        code = load_locals(restoring, connection, err);
    if (code == ERR_NONE)
        code = write_first(restoring, connection, err);
    pq_finishp(&connection);
    if (code == ERR_NONE)
        code = setup_leave_database(setup, err);
    if (code == ERR_NONE)
        code = home_save(setup->home, err); /* last: with node.json it is a node */
    return code;
}

static void
restoring_done(struct restoring *restoring)
{
    seal_identity_done(&restoring->identity);
    seal_key_done(&restoring->data_key);
    setup_founding_done(&restoring->founding);
    (void)json_object_put(restoring->base);
    (void)json_object_put(restoring->changes);
}

enum err_code
setup_restore(const struct setup_restore *restore, struct setup_answer *ret_answer,
              struct setup_restored *ret_restored, struct err *err)
{
    struct restoring restoring = { .restore = restore, .backup = &restore->archive->backup };
    struct setup *setup = &restoring.setup;
    const char *site = NULL;
    enum err_code code = choose_site(restore, &site, err);
    if (code != ERR_NONE)
        return code;
    code = setup_plan(setup, &restore->node, restoring.backup->cluster, site, err);
    if (code == ERR_NONE)
        code = setup_take_folder(setup, err);
    if (code == ERR_NONE) {
        setup->home->cluster_id = str_dup(restoring.backup->cluster_id);
        setup->home->generation = generation_of(restoring.backup, setup->home->node);
        code = found(&restoring, err);
    }
    if (code == ERR_NONE) {
        setup_fill_answer(setup, &restoring.founding, "", ret_answer);
        restoring.done.epoch = backup_epoch(restoring.backup);
        *ret_restored = restoring.done;
    }
    restoring_done(&restoring);
    setup_end(setup, code);
    return code;
}
