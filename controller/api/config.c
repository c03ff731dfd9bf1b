/*
 * config.c -- the shared configuration: reading it from the cache, changing it through the primary.
 * Every change is checked here before the database sees it, so that a person learns of all faults
 * at once, each with its JSON pointer; the database checks scope and limits again. How settings
 * bound each other is in budget.c.
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/pq.h"
#include "sites/sealing.h"
#include "sites/setting.h"
#include "sql.h"

#define HISTORY_LIMIT     100
#define HISTORY_LIMIT_MAX 1000

/* ---- reading ---- */

void
serve_config_list(struct call *call)
{
    const char *site;
    const char *prefix = "";
    (void)!http_query(call->request, "prefix", &prefix);
    if (!call_query_site(call, &site) || call_unloaded(call))
        return;
    struct cache *cache = call_cache(call);
    struct json_object *document = json_object_new_object();
    struct json_object *entries = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(cache, prefix, site, &at)) != NULL;) {
        if (!doc_is_system(entry->key))
            (void)json_object_array_add(entries, doc_entry(entry));
    }
    json_add_u64(document, "revision", cache_position(cache)->revision);
    json_add(document, "entries", entries);
    call_reply_read(call, document);
}

static void
fail_not_found(struct call *call, const char *key, const char *site)
{
    if (*site == '\0')
        call_refuse(call, ERR_NOT_FOUND, "key_not_found", "no key '%s'", key);
    else
        call_refuse(call, ERR_NOT_FOUND, "key_not_found", "no key '%s' of site '%s'", key, site);
}

/* The entry that the path and the site name; NULL: refused and ended. */
static const struct cache_entry *
find_entry(struct call *call, const char **ret_site)
{
    struct err err;
    const struct setting_row *row;
    const char *key = call_param(call);
    if (!call_query_site(call, ret_site) || call_unloaded(call))
        return NULL;
    if (*ret_site == NULL)
        *ret_site = "";
    if (setting_check_key(key, &row, &err) != ERR_NONE && err.code == ERR_LIMIT) {
        call_fail(call, &err);
        return NULL;
    }
    if (doc_is_system(key)) { /* A2 */
        call_refuse(call, ERR_INVALID, "key_system", "key '%s' is Baton's own", key);
        return NULL;
    }
    const struct cache_entry *entry = cache_get(call_cache(call), key, *ret_site);
    if (entry == NULL)
        fail_not_found(call, key, *ret_site);
    return entry;
}

void
serve_config_get(struct call *call)
{
    const char *site;
    char tag[32];
    const struct cache_entry *entry = find_entry(call, &site);
    if (entry == NULL)
        return;
    (void)snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long)entry->revision);
    http_add_header(call->request, "ETag", tag);
    call_reply_read(call, doc_entry(entry));
}

/* ---- changing ---- */

/* Every fault of one change, with the pointer of the change before its own. */
static void
check_change(struct fault_list *faults, struct err *ret_first, const char *pointer,
             struct json_object *change)
{
    struct err err;
    const char *key = "";
    const char *site = "";
    struct json_object *value = json_get(change, "value");
    bool is_delete = json_object_object_get_ex(change, "delete", NULL);
    char at[FAULT_POINTER_SIZE];
    (void)!json_get_string(change, "key", &key);
    (void)!json_get_string(change, "site", &site);
    if (setting_check_change(key, SETTING_LAYER_CLUSTER, site, is_delete, value, &err) == ERR_NONE)
        return;
    if (ret_first->code == ERR_NONE)
        *ret_first = err;
    struct fault_list inner = { 0 };
    if (!is_delete && strcmp(err.slug, "bad_value") == 0)
        setting_faults(key, value, &inner);
    if (inner.count == 0) {
        bool of_value =
            strcmp(err.slug, "value_too_large") == 0 || strcmp(err.slug, "number_too_long") == 0;
        fault_pointer(at, pointer, of_value ? "value" : "key");
        fault_add(faults, at, "%s", err.text);
    }
    for (size_t i = 0; i < inner.count; i++) {
        char whole[2 * FAULT_POINTER_SIZE];
        (void)snprintf(whole, sizeof whole, "%.*s/value%s", FAULT_POINTER_SIZE - 8, pointer,
                       inner.list[i].pointer);
        fault_add(faults, whole, "%s", inner.list[i].text);
    }
}

/* False: refused and ended. */
static bool
check_changes(struct call *call, struct json_object *changes, bool single)
{
    struct err first = { .code = ERR_NONE };
    CLEANUP(freep) struct fault_list *faults = mem_zero(1, sizeof *faults);
    char pointer[FAULT_POINTER_SIZE] = "";
    for (size_t i = 0; i < json_object_array_length(changes); i++) {
        if (!single)
            fault_pointer_index(pointer, "/changes", i);
        check_change(faults, &first, pointer, json_object_array_get_idx(changes, i));
    }
    if (first.code == ERR_NONE)
        return true;
    call_fail_with(call, &first, "faults", fault_json(faults));
    return false;
}

/* Takes 'changes'; the call ends when the primary has answered. */
static void
write_changes(struct call *call, struct json_object *changes, const char *reason,
              call_written *written)
{
    struct json_object *group = json_object_new_object();
    json_add_string(group, "author", call->caller.author);
    json_add_string(group, "reason", reason);
    json_add(group, "changes", changes);
    call_write(call, group, written);
}

static struct json_object *
make_change(const char *key, const char *site, uint64_t if_match)
{
    struct json_object *change = json_object_new_object();
    json_add_string(change, "site", site);
    json_add_string(change, "key", key);
    if (if_match != WRITER_ANY_REVISION)
        json_add_u64(change, "if_match", if_match);
    return change;
}

static const struct shape value_members[] = {
    { .name = "value", .type = SHAPE_ANY, .required = true },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
const struct shape serve_value_shape = { .type = SHAPE_OBJECT, .inside = value_members };

void
serve_config_set(struct call *call)
{
    const char *site;
    uint64_t if_match;
    CLEANUP(freep) char *reason = NULL;
    if (!call_query_site(call, &site) || !call_if_match(call, &if_match) ||
        call_body(call, &serve_value_shape, false) == NULL || !call_reason(call, &reason))
        return;
    struct json_object *changes = json_object_new_array();
    struct json_object *change = make_change(call_param(call), site == NULL ? "" : site, if_match);
    json_add(change, "value", json_object_get(json_get(call->body, "value")));
    (void)json_object_array_add(changes, change);
    if (check_changes(call, changes, true) && call_check_bounds(call, changes, CALL_BODY_VALUE))
        write_changes(call, changes, reason, NULL);
    else
        (void)json_object_put(changes);
}

void
serve_config_delete(struct call *call)
{
    const char *site;
    uint64_t if_match;
    CLEANUP(freep) char *reason = NULL;
    if (!call_if_match(call, &if_match))
        return;
    const struct cache_entry *entry = find_entry(call, &site);
    if (entry == NULL || !call_reason(call, &reason))
        return;
    struct err err;
    if (sealing_is_secret(entry->key)) {
        (void)err_set(&err, ERR_INVALID, "key_secret", "key '%s' is a secret", entry->key);
        (void)err_mend(&err, "use: baton secret delete %s", entry->key + strlen(SEALING_PREFIX));
        call_fail(call, &err);
        return;
    }
    struct json_object *changes = json_object_new_array();
    struct json_object *change = make_change(entry->key, entry->site, if_match);
    json_add_bool(change, "delete", true);
    (void)json_object_array_add(changes, change);
    if (call_check_bounds(call, changes, CALL_BODY_NONE))
        write_changes(call, changes, reason, NULL);
    else
        (void)json_object_put(changes);
}

static const char *
site_fault(const char *site)
{
    return *site == '\0' || str_is_name(site) ? NULL : "must be empty or the name of a site";
}

static void
change_rules(struct json_object *value, const char *pointer, struct fault_list *faults)
{
    bool has_value = json_object_object_get_ex(value, "value", NULL);
    struct json_object *is_delete = json_get(value, "delete");
    if (has_value == json_object_object_get_ex(value, "delete", NULL))
        fault_add(faults, pointer, "exactly one of value and delete is needed");
    else if (!has_value && !json_object_get_boolean(is_delete))
        fault_add(faults, pointer, "delete can only be true");
}

static const struct shape change_members[] = {
    { .name = "site", .type = SHAPE_TEXT, .min = 0, .max = 63, .text_fault = site_fault },
    { .name = "key", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 65536 },
    { .name = "value", .type = SHAPE_ANY },
    { .name = "delete", .type = SHAPE_BOOL },
    { .name = "if_match", .type = SHAPE_INTEGER, .min = 0, .max = INT64_MAX },
    { .name = NULL },
};
const struct shape serve_change_list[] = {
    { .type = SHAPE_OBJECT, .inside = change_members, .more = change_rules },
};
static const struct shape changes_members[] = {
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = "changes",
      .type = SHAPE_LIST,
      .required = true,
      .min = 1,
      .max = 100000,
      .inside = serve_change_list },
    { .name = NULL },
};
static const struct shape changes_shape = { .type = SHAPE_OBJECT, .inside = changes_members };

void
serve_config_write(struct call *call)
{
    CLEANUP(freep) char *reason = NULL;
    if (call_body(call, &changes_shape, false) == NULL)
        return;
    if (call_are_bounded(json_get(call->body, "changes")) && call_waits(call))
        return;
    if (!call_reason(call, &reason))
        return;
    struct json_object *changes = json_get(call->body, "changes");
    size_t count = json_object_array_length(changes);
    if (count > SETTING_CHANGE_COUNT_MAX) {
        call_refuse(call, ERR_LIMIT, "too_many_changes", "%zu changes in one write, at most %d",
                    count, SETTING_CHANGE_COUNT_MAX);
        return;
    }
    if (check_changes(call, changes, false) && call_check_bounds(call, changes, CALL_BODY_CHANGES))
        write_changes(call, json_object_get(changes), reason, NULL);
}

/* ---- history ---- */

struct history {
    bool newest;
    uint64_t limit;
};

static struct json_object *
history_row(const PGresult *result, int at)
{
    char when[32];
    struct json_object *row = json_object_new_object();
    const char *key = pq_text(result, at, "key");
    const char *value = pq_text(result, at, "value");
    bool hidden = key == NULL || doc_is_system(key); /* A2 */
    json_add_u64(row, "revision", pq_u64(result, at, "revision"));
    json_add(row, "epoch", doc_epoch(pq_u64(result, at, "epoch"), pq_text(result, at, "holder")));
    json_add_u64(row, "txn", pq_u64(result, at, "txn"));
    json_add_string(row, "site", pq_text(result, at, "site"));
    json_add_string(row, "key", key);
    json_add(row, "value", doc_value(key, value));
    json_add_bool(row, "deleted", value == NULL);
    json_add_bool(row, "hidden", hidden);
    json_add_string(row, "author", pq_text(result, at, "author"));
    json_add_string(row, "at", doc_time(pq_text(result, at, "at"), when));
    json_add_string(row, "reason", pq_text(result, at, "reason"));
    return row;
}

static void
on_history(struct call *call, const PGresult *result)
{
    const struct history *history = call->state;
    struct json_object *rows = json_object_new_array();
    int count = PQntuples(result);
    bool more = (uint64_t)count > history->limit;
    if (more)
        count--;
    for (int i = 0; i < count; i++)
        (void)json_object_array_add(rows, history_row(result, history->newest ? count - 1 - i : i));
    struct json_object *document = json_object_new_object();
    json_add_u64(document, "revision", cache_position(call_cache(call))->revision);
    json_add_u64(document, "log_base", cache_position(call_cache(call))->log_base);
    /* of the newest rows nothing follows the last one */
    json_add_bool(document, "more", more && !history->newest);
    json_add(document, "rows", rows);
    call_reply_read(call, document);
}

void
serve_history(struct call *call)
{
    const char *key = "";
    uint64_t after = 0;
    struct history history = { .limit = HISTORY_LIMIT };
    const char *ignored;
    (void)!http_query(call->request, "key", &key);
    history.newest = !http_query(call->request, "after", &ignored);
    if (!call_query_number(call, "after", 0, INT64_MAX, &after) ||
        !call_query_number(call, "limit", 1, HISTORY_LIMIT_MAX, &history.limit))
        return;
    char after_text[24];
    char limit_text[24];
    (void)snprintf(after_text, sizeof after_text, "%llu", (unsigned long long)after);
    (void)snprintf(limit_text, sizeof limit_text, "%llu", (unsigned long long)history.limit + 1);
    const char *values[] = { key, after_text, limit_text };
    call->state = mem_alloc(sizeof history);
    call->state_free = free;
    memcpy(call->state, &history, sizeof history);
    call_sql(call, history.newest ? sql_history_newest : sql_history, ARRAY_COUNT(values), values,
             on_history);
}

/* ---- rollback ---- */

struct rollback {
    bool dry_run;
    char *reason;                /* owned */
    struct json_object *changes; /* owned */
};

static void
rollback_free(void *state)
{
    struct rollback *rollback = state;
    free(rollback->reason);
    (void)json_object_put(rollback->changes);
    free(rollback);
}

static void
reply_rollback(struct call *call, const struct writer_result *result)
{
    struct rollback *rollback = call->state;
    struct json_object *document = json_object_new_object();
    json_add(document, "revision",
             result == NULL ? NULL : json_object_new_uint64(result->revision));
    json_add(document, "epoch", result == NULL ? NULL : doc_epoch(result->epoch, result->holder));
    json_add(document, "changes", take_ptr(&rollback->changes));
    call_reply(call, 200, document);
}

static void
on_rollback(struct call *call, const PGresult *result)
{
    struct err err;
    struct rollback *rollback = call->state;
    const char *text = pq_text(result, 0, "changes");
    if (text == NULL) {
        call_refuse(call, ERR_INTERNAL, "internal", "the database did not tell the changes");
        return;
    }
    if (json_read(text, strlen(text), &rollback->changes, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    size_t count = json_object_array_length(rollback->changes);
    if (count > SETTING_CHANGE_COUNT_MAX) {
        (void)err_set(&err, ERR_LIMIT, "too_many_changes",
                      "%zu keys differ, at most %d may change in one write", count,
                      SETTING_CHANGE_COUNT_MAX);
        (void)err_mend(&err, "go back in parts, with a prefix each");
        call_fail(call, &err);
    } else if (rollback->dry_run || count == 0) {
        reply_rollback(call, NULL);
    } else if (call_check_bounds(call, rollback->changes, CALL_BODY_NONE)) {
        write_changes(call, json_object_get(rollback->changes), rollback->reason, reply_rollback);
    }
}

static const struct shape rollback_members[] = {
    { .name = "revision", .type = SHAPE_INTEGER, .required = true, .min = 0, .max = INT64_MAX },
    { .name = "prefix", .type = SHAPE_TEXT, .min = 0, .max = SETTING_KEY_SIZE_MAX },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = "dry_run", .type = SHAPE_BOOL },
    { .name = NULL },
};
static const struct shape rollback_shape = { .type = SHAPE_OBJECT, .inside = rollback_members };

void
serve_rollback(struct call *call)
{
    uint64_t revision = 0;
    const char *prefix = "";
    CLEANUP(freep) char *reason = NULL;
    if (call_body(call, &rollback_shape, false) == NULL || !call_reason(call, &reason))
        return;
    (void)!json_get_u64(call->body, "revision", &revision);
    (void)!json_get_string(call->body, "prefix", &prefix);
    uint64_t head = cache_position(call_cache(call))->revision;
    if (revision > head) {
        call_refuse(call, ERR_NOT_FOUND, "revision_not_found",
                    "revision %llu is ahead of the log here, which ends at %llu",
                    (unsigned long long)revision, (unsigned long long)head);
        return;
    }
    struct rollback *rollback = mem_zero(1, sizeof *rollback);
    (void)!json_get_bool(call->body, "dry_run", &rollback->dry_run);
    if (reason == NULL)
        reason = str_printf("back to revision %llu", (unsigned long long)revision);
    rollback->reason = take_ptr(&reason);
    call->state = rollback;
    call->state_free = rollback_free;
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)revision);
    const char *values[] = { text, prefix };
    call_sql(call, sql_rollback_changes, ARRAY_COUNT(values), values, on_rollback);
}
