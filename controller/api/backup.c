/*
 * backup.c -- what baton backup writes: the configuration as this node has it at one moment, its
 * own local settings, and the secrets sealed anew by a key that only the asker has.
 *
 * The key is made from a password at the asker's (controller/loop/passkey.h); the password never
 * comes here. No plain value leaves this node, and what is left out is left out here
 * (sites/backup.h, B1). Each answer is noted in the log of the daemon and in local.event: it is
 * the one way on which secrets leave the cluster.
 *
 *   loop:    ask the database --.      .-- seal --.      .-- note, answer
 *   thread:                     '-sift-'          '-print'
 *
 * A configuration may have tens of MiB: to read and to print so much takes a second, which is too
 * long for the loop. What belongs to the loop, the data keys, stays there: sealed are few rows.
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

/* The thread has all of it but 'call' and 'key' while it works on it. */
struct backing_up {
    struct call *call;            /* borrowed; it has us as its state */
    struct seal_key key;          /* secret */
    char *text;                   /* owned; what the database said, and then the answer */
    struct json_object *read;     /* owned; the same, without what may not leave */
    struct json_object *to_seal;  /* owned; rows of it */
    struct json_object *document; /* owned; the answer */
    struct err err;
    uint64_t revision; /* of the head */
    size_t sealed_count;
};

static void
backing_up_free(void *state)
{
    struct backing_up *work = state;
    seal_key_done(&work->key);
    (void)json_object_put(work->to_seal);
    (void)json_object_put(work->read);
    (void)json_object_put(work->document);
    free(work->text);
    free(work);
}

/* The call goes on in 'done', or has failed. */
static void
give_to_thread(struct backing_up *work, worker_run_fn *run, worker_done_fn *done)
{
    struct err err;
    struct api *api = work->call->api;
    enum err_code code = ERR_NONE;
    if (api->slow == NULL)
        code = worker_open(api->core->loop, &api->slow, &err);
    if (code == ERR_NONE)
        code = worker_submit(api->slow, run, done, work, &err);
    if (code != ERR_NONE)
        call_fail(work->call, &err);
}

/* What the thread came to; false: the call has failed. */
static bool
is_well(struct backing_up *work, bool ran)
{
    if (!ran)
        (void)err_set(&work->err, ERR_UNAVAILABLE, "busy", "this node stops");
    if (work->err.code == ERR_NONE)
        return true;
    call_fail(work->call, &work->err);
    return false;
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

/* On the thread. What may not leave is not kept. */
static void
run_sifting(void *job)
{
    struct backing_up *work = job;
    CLEANUP(freep) char *text = take_ptr(&work->text);
    if (json_read(text, strlen(text), &work->read, &work->err) != ERR_NONE)
        return;
    struct json_object *config = json_get(work->read, "config");
    struct json_object *rows = json_object_new_array();
    work->to_seal = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(config); i++) {
        struct json_object *row = json_object_array_get_idx(config, i);
        const char *key = "";
        (void)!json_get_string(row, "key", &key);
        enum backup_kind kind = backup_kind_of(key);
        if (kind == BACKUP_SEALED)
            (void)json_object_array_add(work->to_seal, json_object_get(row));
        if (kind != BACKUP_LEFT_OUT)
            (void)json_object_array_add(rows, json_object_get(row));
    }
    json_add(work->read, "config", rows);
}

static enum err_code
seal_rows(struct backing_up *work, struct err *err)
{
    enum err_code code = ERR_NONE;
    for (size_t i = 0; code == ERR_NONE && i < json_object_array_length(work->to_seal); i++) {
        struct json_object *row = json_object_array_get_idx(work->to_seal, i);
        const char *key = "";
        (void)!json_get_string(row, "key", &key);
        code = seal_row(work->call, work, row, key, err);
    }
    json_putp(&work->to_seal);
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
    const struct backing_up *work = call->state;
    call_reply_text(call, 200, "application/json", work->text, strlen(work->text));
}

/* Nobody gets it before it is noted that he does. */
static void
note(struct call *call, const struct backing_up *work)
{
    CLEANUP(json_putp) struct json_object *event = json_object_new_object();
    json_add_string(event, "by", call->caller.author);
    json_add_string(event, "from", call->request->address);
    json_add_string(event, "key", work->key.id);
    json_add_u64(event, "revision", work->revision);
    json_add_u64(event, "sealed", work->sealed_count);
    log_info("backup.taken", "by=%s from=%s revision=%llu sealed=%zu key=%s", call->caller.author,
             call->request->address, (unsigned long long)work->revision, work->sealed_count,
             work->key.id);
    const char *values[] = { "backup", json_text(event) };
    call_sql(call, sql_event_add, ARRAY_COUNT(values), values, on_noted);
}

/* On the thread. */
static void
run_printing(void *job)
{
    struct backing_up *work = job;
    work->text = str_dup(json_text(work->document));
    json_putp(&work->document);
}

static void
on_printed(void *job, bool ran)
{
    struct backing_up *work = job;
    if (is_well(work, ran))
        note(work->call, work);
}

static void
on_sifted(void *job, bool ran)
{
    struct err err;
    struct backing_up *work = job;
    static const char *const names[] = { "head", "epochs", "config", "local" };
    if (!is_well(work, ran))
        return;
    if (seal_rows(work, &err) != ERR_NONE) {
        call_fail(work->call, &err);
        return;
    }
    (void)!json_get_u64(json_get(work->read, "head"), "revision", &work->revision);
    work->document = make_document(work->call, work);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        json_add(work->document, names[i], json_object_get(json_get(work->read, names[i])));
    json_putp(&work->read);
    give_to_thread(work, run_printing, on_printed);
}

static void
on_read(struct call *call, const PGresult *result)
{
    struct backing_up *work = call->state;
    const char *text = pq_text(result, 0, "doc");
    if (text == NULL) {
        call_refuse(call, ERR_UNAVAILABLE, "database_unavailable",
                    "the database of this node has no position");
        return;
    }
    work->text = str_dup(text);
    give_to_thread(work, run_sifting, on_sifted);
}

void
serve_backup(struct call *call)
{
    if (call_body(call, &backup_shape, false) == NULL)
        return;
    struct backing_up *work = mem_zero(1, sizeof *work);
    work->call = call;
    call->state = work;
    call->state_free = backing_up_free;
    if (take_key(call, &work->key))
        call_sql(call, sql_backup_make, 0, NULL, on_read);
}
