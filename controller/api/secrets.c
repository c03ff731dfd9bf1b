/*
 * secrets.c -- secrets: set, listed, rotated, deleted, and never read. What a person sends is
 * sealed on this node before it goes anywhere (daemon/secrets.h), and wiped when the handler ends.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/secrets.h"
#include "controller/loop/seal.h"
#include "sites/sealing.h"

#define VALUE_TEXT_MAX (SEALING_VALUE_SIZE_MAX * 4L / 3 + 4) /* base64url of the longest */

void
serve_secret_list(struct call *call)
{
    call_reply_read(call, secrets_view(call->api->core->secrets));
}

/* ---- set ---- */

static const struct shape secret_members[] = {
    { .name = "value", .type = SHAPE_TEXT, .min = 1, .max = VALUE_TEXT_MAX },
    { .name = "base64url", .type = SHAPE_TEXT, .min = 1, .max = VALUE_TEXT_MAX },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape secret_shape = { .type = SHAPE_OBJECT, .inside = secret_members };

/* Wherever it stands here: the parsed document, and the request that it came in. */
static void
wipe_request(struct call *call)
{
    const char *text;
    const struct http_request *request = call->request;
    if (json_get_string(call->body, "value", &text))
        seal_wipe_text(text);
    if (json_get_string(call->body, "base64url", &text))
        seal_wipe_text(text);
    OPENSSL_cleanse((char *)(uintptr_t)request->body, request->body_size);
}

/* False: refused and ended; else the value is the caller's to wipe. */
static bool
take_value(struct call *call, struct buf *to)
{
    const char *text = "";
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct json_object *value = json_get(call->body, "value");
    bool encoded = json_get_string(call->body, "base64url", &text);
    if ((value != NULL) == encoded) {
        call_refuse(call, ERR_INVALID, "body_invalid",
                    "exactly one of value and base64url is needed");
        return false;
    }
    if (value != NULL) { /* its length is its own: a text may hold a NUL */
        buf_add(to, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        return true;
    }
    if (!str_from_base64url(text, &bytes, &size)) {
        call_refuse(call, ERR_INVALID, "body_invalid",
                    "'base64url' is not base64url without padding (RFC 4648 section 5)");
        return false;
    }
    buf_add(to, bytes, size);
    OPENSSL_cleanse(bytes, size);
    free(bytes);
    return true;
}

void
serve_secret_set(struct call *call)
{
    struct err err;
    uint64_t if_match;
    CLEANUP(freep) char *reason = NULL;
    CLEANUP(seal_wipe) struct buf value = { 0 };
    struct secrets *secrets = call->api->core->secrets;
    if (call_unloaded(call) || call_body(call, &secret_shape, false) == NULL ||
        !call_reason(call, &reason) || !call_if_match(call, &if_match) || !take_value(call, &value))
        return;
    wipe_request(call);
    CLEANUP(json_putp) struct json_object *group = writer_group(call->caller.author, reason);
    if (secrets_put(secrets, call_param(call), value.data, value.size, if_match, group, &err) !=
        ERR_NONE)
        call_fail(call, &err);
    else
        call_write(call, take_ptr(&group), NULL);
}

/* ---- delete ---- */

void
serve_secret_delete(struct call *call)
{
    struct err err;
    uint64_t if_match;
    char key[ROUTE_PARAM_SIZE + 16];
    CLEANUP(freep) char *reason = NULL;
    if (call_unloaded(call) || !call_reason(call, &reason) || !call_if_match(call, &if_match))
        return;
    (void)snprintf(key, sizeof key, "%s%s", SEALING_PREFIX, call_param(call));
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry == NULL) {
        call_refuse(call, ERR_NOT_FOUND, "secret_not_found", "there is no secret '%.63s'",
                    call_param(call));
        return;
    }
    CLEANUP(json_putp) struct json_object *uses = secrets_uses(call->api->core->secrets);
    struct json_object *used_by = json_get(uses, key);
    if (used_by != NULL) {
        (void)err_set(&err, ERR_CONFLICT, "secret_used", "'%s' names the secret '%.63s'",
                      json_object_get_string(json_object_array_get_idx(used_by, 0)),
                      call_param(call));
        (void)err_mend(&err, "take it out there first: baton config set");
        call_fail(call, &err);
        return;
    }
    struct json_object *group = writer_group(call->caller.author, reason);
    writer_group_delete(group, key, "",
                        if_match == WRITER_ANY_REVISION ? entry->revision : if_match);
    call_write(call, group, NULL);
}

/* ---- rotate ---- */

struct rotation {
    char key[SEALING_ID_SIZE];
    size_t count;
};

static void
on_rotated(struct call *call, const struct writer_result *result)
{
    const struct rotation *rotation = call->state;
    struct json_object *document = json_object_new_object();
    json_add_u64(document, "revision", result->revision);
    json_add(document, "epoch", doc_epoch(result->epoch, result->holder));
    json_add_string(document, "key_id", rotation->key);
    json_add_u64(document, "count", rotation->count);
    call_reply(call, 200, document);
}

static const struct shape rotate_members[] = {
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape rotate_shape = { .type = SHAPE_OBJECT, .inside = rotate_members };

void
serve_secret_rotate(struct call *call)
{
    struct err err;
    CLEANUP(freep) char *reason = NULL;
    if (call_unloaded(call) || call_body(call, &rotate_shape, true) == NULL ||
        !call_reason(call, &reason))
        return;
    struct rotation *rotation = mem_zero(1, sizeof *rotation);
    call->state = rotation;
    call->state_free = free;
    CLEANUP(json_putp) struct json_object *group = writer_group(call->caller.author, reason);
    if (secrets_rotate(call->api->core->secrets, group, rotation->key, &rotation->count, &err) !=
        ERR_NONE)
        call_fail(call, &err);
    else
        call_write(call, take_ptr(&group), on_rotated);
}
