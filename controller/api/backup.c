/*
 * backup.c -- what baton backup writes: the configuration as this node has it at one moment, its
 * own local settings, and the secrets sealed anew by a key that only the asker has.
 *
 * The key is made from a password at the asker's (controller/loop/passkey.h); the password never
 * comes here. No plain value leaves this node, and what is left out is left out here
 * (sites/backup.h, B1). Each answer is noted in the log of the daemon and in local.event: it is
 * the one way on which secrets leave the cluster.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/secrets.h"
#include "controller/daemon/setup.h"
#include "controller/loop/pq.h"
#include "controller/loop/seal.h"
#include "sites/backup.h"
#include "sites/sealing.h"
#include "sql.h"

#define KEY_LENGTH 43 /* base64url of SEAL_KEY_SIZE bytes */

struct backing_up {
    struct seal_key key;          /* secret */
    struct json_object *document; /* owned */
    size_t sealed_count;
};

static void
backing_up_free(void *state)
{
    struct backing_up *work = state;
    seal_key_done(&work->key);
    (void)json_object_put(work->document);
    free(work);
}

static const struct shape backup_members[] = {
    { .name = "key", .type = SHAPE_TEXT, .required = true, .min = KEY_LENGTH, .max = KEY_LENGTH },
    { .name = NULL },
};
static const struct shape backup_shape = { .type = SHAPE_OBJECT, .inside = backup_members };

/* False: refused and ended. */
static bool
take_key(struct call *call, struct seal_key *key)
{
    const char *text = "";
    uint8_t *bytes = NULL;
    size_t size = 0;
    const struct http_request *request = call->request;
    (void)!json_get_string(call->body, "key", &text);
    bool ok = str_from_base64url(text, &bytes, &size) && size == SEAL_KEY_SIZE;
    if (ok)
        seal_key_take(bytes, key);
    if (bytes != NULL)
        OPENSSL_cleanse(bytes, size);
    free(bytes);
    seal_wipe_text(text);
    OPENSSL_cleanse((char *)(uintptr_t)request->body, request->body_size);
    if (!ok)
        call_refuse(call, ERR_INVALID, "body_invalid",
                    "'key' is not 32 bytes as base64url without padding (RFC 4648 section 5)");
    return ok;
}

/* ---- the rows ---- */

static enum err_code
seal_row(struct call *call, struct backing_up *work, struct json_object *row, const char *key,
         struct err *err)
{
    const char *text = "";
    struct json_object *sealed = NULL;
    CLEANUP(freep) char *bound = backup_bound(call->api->core->home->cluster_id, key);
    (void)!json_get_string(row, "value", &text);
    if (sealing_is_secret(key)) {
        CLEANUP(json_putp) struct json_object *value = NULL;
        enum err_code code = json_read(text, strlen(text), &value, err);
        if (code == ERR_NONE)
            code = secrets_reseal(call->api->core->secrets, key, value, &work->key, bound, &sealed,
                                  err);
        if (code != ERR_NONE)
            return code;
    } else {
        CLEANUP(buf_done) struct buf bytes = { 0 };
        seal_close(&work->key, bound, text, strlen(text), &bytes);
        sealed = sealing_write(work->key.id, (const uint8_t *)bytes.data, bytes.size);
    }
    json_add_string(row, "value", json_text(sealed));
    (void)json_object_put(sealed);
    work->sealed_count++;
    return ERR_NONE;
}

/* What may leave: the rows of 'config', sealed where they have to be. '*ret' is the caller's. */
static enum err_code
choose_rows(struct call *call, struct backing_up *work, struct json_object *config,
            struct json_object **ret, struct err *err)
{
    enum err_code code = ERR_NONE;
    struct json_object *rows = json_object_new_array();
    for (size_t i = 0; code == ERR_NONE && i < json_object_array_length(config); i++) {
        struct json_object *row = json_object_array_get_idx(config, i);
        const char *key = "";
        (void)!json_get_string(row, "key", &key);
        enum backup_kind kind = backup_kind_of(key);
        if (kind == BACKUP_LEFT_OUT)
            continue;
        if (kind == BACKUP_SEALED)
            code = seal_row(call, work, row, key, err);
        (void)json_object_array_add(rows, json_object_get(row));
    }
    if (code == ERR_NONE)
        *ret = rows;
    else
        (void)json_object_put(rows);
    return code;
}

static struct json_object *
make_document(struct call *call, const struct backing_up *work)
{
    char now[CLOCK_TEXT_SIZE];
    const struct home *home = call->api->core->home;
    struct json_object *document = json_object_new_object();
    json_add_string(document, "cluster", home->cluster);
    json_add_string(document, "cluster_id", home->cluster_id);
    json_add_string(document, "node", home->node);
    json_add_string(document, "site", home->site);
    json_add_string(document, "baton", BATON_VERSION);
    json_add_u64(document, "schema", setup_schema());
    json_add_string(document, "taken_at", clock_wall_text(clock_wall_ms(), now));
    json_add_string(document, "taken_by", call->caller.author);
    json_add_string(document, "key", work->key.id);
    return document;
}

/* ---- the call ---- */

static void
on_noted(struct call *call, const PGresult *result)
{
    (void)result;
    struct backing_up *work = call->state;
    call_reply(call, 200, take_ptr(&work->document));
}

/* Nobody gets it before it is noted that he does. */
static void
note(struct call *call, const struct backing_up *work)
{
    uint64_t revision = 0;
    CLEANUP(json_putp) struct json_object *event = json_object_new_object();
    (void)!json_get_u64(json_get(work->document, "head"), "revision", &revision);
    json_add_string(event, "by", call->caller.author);
    json_add_string(event, "from", call->request->address);
    json_add_string(event, "key", work->key.id);
    json_add_u64(event, "revision", revision);
    json_add_u64(event, "sealed", work->sealed_count);
    log_info("backup.taken", "by=%s from=%s revision=%llu sealed=%zu key=%s", call->caller.author,
             call->request->address, (unsigned long long)revision, work->sealed_count,
             work->key.id);
    const char *values[] = { "backup", json_text(event) };
    call_sql(call, sql_event_add, ARRAY_COUNT(values), values, on_noted);
}

static void
on_read(struct call *call, const PGresult *result)
{
    struct err err;
    struct backing_up *work = call->state;
    struct json_object *rows = NULL;
    CLEANUP(json_putp) struct json_object *read = NULL;
    const char *text = pq_text(result, 0, "doc");
    if (text == NULL) {
        call_refuse(call, ERR_UNAVAILABLE, "database_unavailable",
                    "the database of this node has no position");
        return;
    }
    enum err_code code = json_read(text, strlen(text), &read, &err);
    if (code == ERR_NONE)
        code = choose_rows(call, work, json_get(read, "config"), &rows, &err);
    if (code != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    work->document = make_document(call, work);
    json_add(work->document, "head", json_object_get(json_get(read, "head")));
    json_add(work->document, "epochs", json_object_get(json_get(read, "epochs")));
    json_add(work->document, "config", rows);
    json_add(work->document, "local", json_object_get(json_get(read, "local")));
    note(call, work);
}

void
serve_backup(struct call *call)
{
    if (call_body(call, &backup_shape, false) == NULL)
        return;
    struct backing_up *work = mem_zero(1, sizeof *work);
    call->state = work;
    call->state_free = backing_up_free;
    if (take_key(call, &work->key))
        call_sql(call, sql_backup_make, 0, NULL, on_read);
}
