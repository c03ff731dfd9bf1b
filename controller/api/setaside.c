/*
 * setaside.c -- what this node wrote alone while it was an outdated primary: shown, written again
 * as a normal audited change, or marked as not wanted. Nothing of it is ever deleted.
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/pq.h"
#include "sites/setting.h"
#include "sql.h"

/* ---- reading ---- */

static void
on_list(struct call *call, const PGresult *result)
{
    static const char *const counts[] = { "rows", "kept", "applied", "discarded" };
    char when[32];
    struct json_object *document = json_object_new_object();
    struct json_object *batches = json_object_new_array();
    for (int i = 0; i < PQntuples(result); i++) {
        struct json_object *batch = json_object_new_object();
        json_add_u64(batch, "id", pq_u64(result, i, "batch"));
        json_add_string(batch, "taken_at", doc_time(pq_text(result, i, "taken_at"), when));
        json_add(
            batch, "against",
            doc_epoch(pq_u64(result, i, "against_epoch"), pq_text(result, i, "against_holder")));
        for (size_t j = 0; j < ARRAY_COUNT(counts); j++)
            json_add_u64(batch, counts[j], pq_u64(result, i, counts[j]));
        (void)json_object_array_add(batches, batch);
    }
    json_add_string(document, "node", cache_node(call_cache(call)));
    json_add(document, "batches", batches);
    call_reply(call, 200, document);
}

void
serve_setaside_list(struct call *call)
{
    call_sql(call, sql_setaside_list, 0, NULL, on_list);
}

static struct json_object *
row_document(const struct cache *cache, const PGresult *result, int at)
{
    char when[32];
    struct json_object *row = json_object_new_object();
    const char *key = pq_text(result, at, "key");
    const char *site = pq_text(result, at, "site");
    const char *value = pq_text(result, at, "value");
    const char *decided = pq_text(result, at, "decided_revision");
    bool hidden = doc_is_system(key); /* A2 */
    const struct cache_entry *now = hidden ? NULL : cache_get(cache, key, site);
    json_add_u64(row, "revision", pq_u64(result, at, "revision"));
    json_add(row, "epoch", doc_epoch(pq_u64(result, at, "epoch"), pq_text(result, at, "holder")));
    json_add_string(row, "site", site);
    json_add_string(row, "key", key);
    json_add(row, "value", doc_value(key, value));
    json_add_bool(row, "deleted", value == NULL);
    json_add_bool(row, "hidden", hidden);
    json_add_string(row, "author", pq_text(result, at, "author"));
    json_add_string(row, "at", doc_time(pq_text(result, at, "at"), when));
    json_add_string(row, "reason", pq_text(result, at, "reason"));
    json_add_string(row, "state", pq_text(result, at, "state"));
    json_add_string(row, "decided_by", pq_text(result, at, "decided_by"));
    json_add_string(row, "decided_at", doc_time(pq_text(result, at, "decided_at"), when));
    json_add(row, "decided_revision",
             decided == NULL ? NULL
                             : json_object_new_uint64(pq_u64(result, at, "decided_revision")));
    json_add(row, "current", now == NULL ? NULL : doc_entry(now));
    return row;
}

static bool
refuse_empty(struct call *call, const PGresult *result)
{
    if (PQntuples(result) > 0)
        return false;
    call_refuse(call, ERR_NOT_FOUND, "setaside_not_found", "no batch %.20s on this node",
                call_param(call));
    return true;
}

static void
on_show(struct call *call, const PGresult *result)
{
    char when[32];
    if (refuse_empty(call, result))
        return;
    struct json_object *document = json_object_new_object();
    struct json_object *rows = json_object_new_array();
    for (int i = 0; i < PQntuples(result); i++)
        (void)json_object_array_add(rows, row_document(call_cache(call), result, i));
    json_add_u64(document, "id", pq_u64(result, 0, "batch"));
    json_add_string(document, "node", cache_node(call_cache(call)));
    json_add_string(document, "taken_at", doc_time(pq_text(result, 0, "taken_at"), when));
    json_add(document, "against",
             doc_epoch(pq_u64(result, 0, "against_epoch"), pq_text(result, 0, "against_holder")));
    json_add(document, "rows", rows);
    call_reply(call, 200, document);
}

static bool
check_batch(struct call *call)
{
    uint64_t batch;
    if (str_to_u64(call_param(call), 1, INT64_MAX, &batch))
        return true;
    call_refuse(call, ERR_NOT_FOUND, "setaside_not_found", "no batch '%.20s'", call_param(call));
    return false;
}

static void
show(struct call *call, call_rows *rows)
{
    const char *values[] = { call_param(call) };
    call_sql(call, sql_setaside_show, ARRAY_COUNT(values), values, rows);
}

void
serve_setaside_get(struct call *call)
{
    if (check_batch(call))
        show(call, on_show);
}

/* ---- deciding ---- */

struct decision {
    bool apply;
    bool all;          /* no rows were named */
    char *reason;      /* owned */
    struct buf wanted; /* the decided revisions as "{1,2}" */
    struct buf own;    /* kept rows of Baton's own keys: they cannot be applied */
    size_t count;
    struct writer_result result; /* of the write; revision 0: there was none */
};

static void
decision_free(void *state)
{
    struct decision *decision = state;
    free(decision->reason);
    buf_done(&decision->wanted);
    buf_done(&decision->own);
    free(decision);
}

static void
add_revision(struct buf *to, uint64_t revision)
{
    buf_printf(to, "%s%llu", to->size == 0 ? "{" : ",", (unsigned long long)revision);
}

static void
reply_decided(struct call *call)
{
    struct decision *decision = call->state;
    struct json_object *document = json_object_new_object();
    bool written = decision->result.revision > 0;
    json_add_u64(document, "count", decision->count);
    json_add(document, "revision",
             written ? json_object_new_uint64(decision->result.revision) : NULL);
    json_add(document, "epoch",
             written ? doc_epoch(decision->result.epoch, decision->result.holder) : NULL);
    call_reply(call, 200, document);
}

static void
mark(struct call *call, const char *state, const struct buf *revisions, uint64_t revision,
     call_rows *rows)
{
    char number[24];
    CLEANUP(freep) char *list = str_printf("%s}", buf_text(revisions));
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)revision);
    const char *values[] = { call_param(call), state, call->caller.author,
                             revision == 0 ? NULL : number, list };
    call_sql(call, sql_setaside_mark, ARRAY_COUNT(values), values, rows);
}

static void
on_all_marked(struct call *call, const PGresult *result)
{
    (void)result;
    reply_decided(call);
}

static void
on_marked(struct call *call, const PGresult *result)
{
    struct decision *decision = call->state;
    decision->count = (size_t)pq_u64(result, 0, "marked");
    if (decision->own.size == 0)
        reply_decided(call);
    else /* rows of an epoch that lost have no meaning any more */
        mark(call, "discarded", &decision->own, 0, on_all_marked);
}

static void
on_applied(struct call *call, const struct writer_result *result)
{
    struct decision *decision = call->state;
    decision->result = *result;
    mark(call, "applied", &decision->wanted, result->revision, on_marked);
}

/* False: the row was named and may not be decided: refused and ended. */
static bool
take_row(struct call *call, const PGresult *result, int at, bool *ret_take)
{
    struct decision *decision = call->state;
    struct json_object *named = json_get(call->body, "rows");
    uint64_t revision = pq_u64(result, at, "revision");
    const char *key = pq_text(result, at, "key");
    bool kept = strcmp(pq_text(result, at, "state"), "kept") == 0;
    bool is_named = decision->all;
    for (size_t i = 0; !is_named && i < json_object_array_length(named); i++)
        is_named = json_object_get_uint64(json_object_array_get_idx(named, i)) == revision;
    *ret_take = false;
    if (!is_named || (decision->all && !kept))
        return true;
    if (!kept) {
        call_refuse(call, ERR_CONFLICT, "setaside_decided", "revision %llu was %s already",
                    (unsigned long long)revision, pq_text(result, at, "state"));
        return false;
    }
    if (decision->apply && doc_is_system(key)) {
        if (decision->all) {
            add_revision(&decision->own, revision);
            return true;
        }
        call_refuse(call, ERR_INVALID, "key_scope", "'%s' is written by Baton itself", key);
        return false;
    }
    *ret_take = true;
    add_revision(&decision->wanted, revision);
    return true;
}

/* Of several rows of one key the last one counts; each key must still be as it is shown now. */
static void
put_row(struct call *call, struct json_object *changes, const PGresult *result, int at)
{
    const char *key = pq_text(result, at, "key");
    const char *site = pq_text(result, at, "site");
    const char *value = pq_text(result, at, "value");
    const struct cache_entry *now = cache_get(call_cache(call), key, site);
    for (size_t i = 0; i < json_object_array_length(changes); i++) {
        struct json_object *other = json_object_array_get_idx(changes, i);
        const char *other_key = "";
        const char *other_site = "";
        if (json_get_string(other, "key", &other_key) &&
            json_get_string(other, "site", &other_site) && strcmp(other_key, key) == 0 &&
            strcmp(other_site, site) == 0) {
            (void)json_object_array_del_idx(changes, i, 1);
            break;
        }
    }
    if (value == NULL && now == NULL)
        return; /* what is to be deleted is not there */
    struct json_object *change = json_object_new_object();
    json_add_string(change, "site", site);
    json_add_string(change, "key", key);
    json_add_u64(change, "if_match", now == NULL ? 0 : now->revision);
    if (value == NULL)
        json_add_bool(change, "delete", true);
    else
        json_add(change, "value", doc_raw(value));
    (void)json_object_array_add(changes, change);
}

static void
on_decide(struct call *call, const PGresult *result)
{
    struct decision *decision = call->state;
    if (refuse_empty(call, result))
        return;
    CLEANUP(json_putp) struct json_object *changes = json_object_new_array();
    for (int i = 0; i < PQntuples(result); i++) {
        bool take;
        if (!take_row(call, result, i, &take))
            return;
        if (take && decision->apply)
            put_row(call, changes, result, i);
    }
    size_t count = json_object_array_length(changes);
    if (decision->wanted.size == 0 && !decision->all) {
        call_refuse(call, ERR_NOT_FOUND, "setaside_not_found", "no such row in batch %s",
                    call_param(call));
    } else if (decision->wanted.size == 0 && decision->own.size == 0) {
        reply_decided(call);
    } else if (count > SETTING_CHANGE_COUNT_MAX) {
        call_refuse(call, ERR_LIMIT, "too_many_changes",
                    "%zu keys, at most %d in one write: name the rows", count,
                    SETTING_CHANGE_COUNT_MAX);
    } else if (count == 0) {
        if (decision->wanted.size == 0)
            buf_add_text(&decision->wanted, "{");
        mark(call, decision->apply ? "applied" : "discarded", &decision->wanted, 0, on_marked);
    } else {
        struct json_object *group = json_object_new_object();
        CLEANUP(freep)
        char *reason = str_printf("set aside on %s, batch %s%s%s", cache_node(call_cache(call)),
                                  call_param(call), decision->reason == NULL ? "" : ": ",
                                  decision->reason == NULL ? "" : decision->reason);
        json_add_string(group, "author", call->caller.author);
        json_add_string(group, "reason", reason);
        json_add(group, "changes", take_ptr(&changes));
        call_write(call, group, on_applied);
    }
}

static const struct shape revision_list[] = {
    { .type = SHAPE_INTEGER, .min = 1, .max = INT64_MAX },
};
static const struct shape decide_members[] = {
    { .name = "rows", .type = SHAPE_LIST, .min = 1, .max = 1000, .inside = revision_list },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape decide_shape = { .type = SHAPE_OBJECT, .inside = decide_members };

static void
decide(struct call *call, bool apply)
{
    CLEANUP(freep) char *reason = NULL;
    if (!check_batch(call) || call_body(call, &decide_shape, true) == NULL ||
        !call_reason(call, &reason))
        return;
    struct decision *decision = mem_zero(1, sizeof *decision);
    decision->apply = apply;
    decision->all = json_get(call->body, "rows") == NULL;
    decision->reason = take_ptr(&reason);
    call->state = decision;
    call->state_free = decision_free;
    show(call, on_decide);
}

void
serve_setaside_apply(struct call *call)
{
    decide(call, true);
}

void
serve_setaside_discard(struct call *call)
{
    decide(call, false);
}
