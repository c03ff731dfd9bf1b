/*
 * local.c -- this node's own settings, which need nobody else; and why a key has its value.
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/view.h"
#include "controller/loop/fetch.h"
#include "sites/connector.h"
#include "sites/explain.h"
#include "sites/setting.h"
#include "sql.h"

#define EXPLAIN_ASK_MS 2000

static struct json_object *
local_entry(const char *key, const char *text, const char *author, const char *at)
{
    struct json_object *document = json_object_new_object();
    json_add_string(document, "key", key);
    json_add(document, "value", doc_raw(text));
    json_add_string(document, "author", author);
    json_add_string(document, "at", at);
    return document;
}

void
serve_local_list(struct call *call)
{
    struct json_object *document = json_object_new_object();
    struct json_object *entries = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_local_next(call_cache(call), "", &at)) != NULL;)
        (void)json_object_array_add(entries,
                                    local_entry(entry->key, entry->text, entry->author, entry->at));
    json_add_string(document, "node", cache_node(call_cache(call)));
    json_add(document, "entries", entries);
    call_reply(call, 200, document);
}

/* NULL: refused and ended. */
static const struct cache_entry *
find_local(struct call *call)
{
    struct err err;
    const char *key = call_param(call);
    const struct cache_entry *entry = cache_local(call_cache(call), key);
    if (entry != NULL)
        return entry;
    if (setting_check_place(key, SETTING_LAYER_NODE, "", &err) != ERR_NONE)
        call_fail(call, &err);
    else
        call_refuse(call, ERR_NOT_FOUND, "key_not_found", "'%s' is not set on this node", key);
    return NULL;
}

void
serve_local_get(struct call *call)
{
    const struct cache_entry *entry = find_local(call);
    if (entry != NULL)
        call_reply(call, 200, local_entry(entry->key, entry->text, entry->author, entry->at));
}

/* ---- changing ---- */

struct local_change {
    struct json_object *answer; /* owned */
};

static void
local_change_free(void *state)
{
    struct local_change *change = state;
    (void)json_object_put(change->answer);
    free(change);
}

/* Takes 'answer'. */
static void
remember_answer(struct call *call, struct json_object *answer)
{
    struct local_change *change = mem_zero(1, sizeof *change);
    change->answer = answer;
    call->state = change;
    call->state_free = local_change_free;
}

static void
on_changed(struct call *call, const PGresult *result)
{
    (void)result;
    struct local_change *change = call->state;
    fresh_note_local(call->api->fresh);
    call_reply(call, 200, take_ptr(&change->answer));
}

/* An alternate that is not configured is never fallen back from in silence: the flag is refused. */
static bool
check_alternate(struct call *call, const char *key, struct json_object *value)
{
    char name[CONNECTOR_NAME_SIZE];
    char connector[SETTING_KEY_SIZE_MAX + 1];
    struct err err;
    if (!str_ends(key, "/use_alternate_server") || !json_object_get_boolean(value) ||
        !connector_name_of_key(key, name))
        return true;
    (void)snprintf(connector, sizeof connector, "connector/%s", name);
    CLEANUP(setting_value_done) struct setting_value document;
    setting_resolve(setting_row(SETTING_CONNECTOR), connector, cache_settings(call_cache(call)),
                    &document);
    if (json_get(document.value, "alternate") != NULL)
        return true;
    (void)err_set(&err, ERR_CONFLICT, "no_alternate", "connector '%s' has no alternate server%s",
                  name, document.set ? "" : ", and is not configured at all");
    (void)err_mend(&err, "set 'alternate' in connector/%s first", name);
    call_fail(call, &err);
    return false;
}

void
serve_local_set(struct call *call)
{
    struct err err;
    struct fault_list faults = { 0 };
    bool dry_run = false;
    char now[CLOCK_TEXT_SIZE];
    const char *key = call_param(call);
    if (!call_query_bool(call, "dry_run", &dry_run) ||
        call_body(call, &serve_value_shape, false) == NULL)
        return;
    struct json_object *value = json_get(call->body, "value");
    if (setting_check_change(key, SETTING_LAYER_NODE, "", false, value, &err) != ERR_NONE) {
        if (strcmp(err.slug, "bad_value") == 0)
            setting_faults(key, value, &faults);
        call_fail_with(call, &err, faults.count > 0 ? "faults" : NULL,
                       faults.count > 0 ? fault_json(&faults) : NULL);
        return;
    }
    if (!check_alternate(call, key, value) || !call_check_local_bounds(call, key, value))
        return;
    const char *text = value == NULL ? "null" : json_text(value);
    struct json_object *answer =
        local_entry(key, text, call->caller.author, clock_wall_text(clock_wall_ms(), now));
    if (dry_run) {
        call_reply(call, 200, answer);
        return;
    }
    remember_answer(call, answer);
    const char *values[] = { key, text, call->caller.author };
    call_sql(call, sql_local_set, ARRAY_COUNT(values), values, on_changed);
}

void
serve_local_delete(struct call *call)
{
    const struct cache_entry *entry = find_local(call);
    if (entry == NULL)
        return;
    remember_answer(call, local_entry(entry->key, entry->text, entry->author, entry->at));
    const char *values[] = { entry->key, call->caller.author };
    call_sql(call, sql_local_unset, ARRAY_COUNT(values), values, on_changed);
}

/* ---- explain ---- */

struct explain {
    struct json_object *now; /* owned */
    struct driver_candidate candidate;
};

static void
explain_free(void *state)
{
    struct explain *explain = state;
    (void)json_object_put(explain->now);
    free(explain);
}

/* Takes 'then'; NULL for none. */
static void
reply_explain(struct call *call, struct json_object *then)
{
    struct explain *explain = call->state;
    struct json_object *document = json_object_new_object();
    json_add(document, "now", take_ptr(&explain->now));
    json_add(document, "if_promoted", then);
    call_reply_read(call, document);
}

static bool
is_member(struct json_object *value)
{
    bool removed = false;
    return value != NULL && (!json_get_bool(value, "removed", &removed) || !removed);
}

static const char *
site_of_node(const struct cache *cache, const char *node)
{
    char key[NODE_NAME_SIZE + 8];
    const char *site = "";
    (void)snprintf(key, sizeof key, "node/%s", node);
    const struct cache_entry *entry = cache_get(cache, key, "");
    if (entry != NULL)
        (void)!json_get_string(cache_value(entry), "site", &site);
    return site;
}

static bool
has_one_site(const struct cache *cache)
{
    const char *first = NULL;
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;) {
        const char *site;
        if (!is_member(cache_value(entry)) || !json_get_string(cache_value(entry), "site", &site))
            continue;
        if (first != NULL && strcmp(first, site) != 0)
            return false;
        first = site;
    }
    return true;
}

/* This node as it is now. */
static struct explain_view
view_now(struct core *core)
{
    enum node_state state = driver_node(core->driver)->state;
    struct driver_primary primary = driver_primary(core->driver);
    struct explain_view view = { .node = cache_node(core->cache),
                                 .site = cache_site(core->cache),
                                 .single_site = has_one_site(core->cache),
                                 .role = EFFECTIVE_ROLE_FENCED };
    view.site_primary = primary.name[0] != '\0' && strcmp(site_of_node(core->cache, primary.name),
                                                          cache_site(core->cache)) == 0;
    if (state == NODE_PRIMARY || state == NODE_DRAINING)
        view.role = EFFECTIVE_ROLE_PRIMARY;
    else if (state == NODE_STANDBY || state == NODE_CANDIDATE)
        view.role = EFFECTIVE_ROLE_STANDBY;
    return view;
}

/* The candidate's own answer; without one, what can be told from here. */
static void
on_candidate(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct call *call = data;
    struct explain *explain = call->state;
    struct core *core = call->api->core;
    struct err ignored;
    CLEANUP(json_putp) struct json_object *document = NULL;
    struct json_object *then = NULL;
    (void)err;
    if (reply != NULL && reply->status == 200 &&
        json_read(buf_text(&reply->body), reply->body.size, &document, &ignored) == ERR_NONE)
        then = json_object_get(json_get(document, "if_promoted"));
    if (then == NULL) {
        struct setting_source source = *cache_settings(core->cache);
        struct explain_view view = view_now(core);
        source.site = explain->candidate.site;
        source.node_known = false;
        view.node = explain->candidate.node;
        view.site = explain->candidate.site;
        view.role = EFFECTIVE_ROLE_STANDBY;
        view = explain_promoted(&view, explain->candidate.site, explain->candidate.node);
        (void)!explain_key(call_param(call), &view, &source, &then, &ignored);
    }
    reply_explain(call, then);
}

static void
ask_candidate(struct call *call)
{
    struct explain *explain = call->state;
    char key[NODE_NAME_SIZE + 8];
    const char *address = NULL;
    (void)snprintf(key, sizeof key, "node/%s", explain->candidate.node);
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry == NULL || !json_get_string(cache_value(entry), "address", &address) ||
        (call->caller.is_node && !call->caller.is_self)) { /* a member asks: one step is enough */
        on_candidate(call, NULL, NULL);
        return;
    }
    CLEANUP(freep)
    char *url = str_printf("https://%s/v1/explain/%s?if_promoted=%s", address, call_param(call),
                           explain->candidate.node);
    struct fetch_request request = { .url = url, .timeout_ms = EXPLAIN_ASK_MS };
    (void)fetch_start(call->api->peers, &request, on_candidate, call);
}

void
serve_explain(struct call *call)
{
    struct err err;
    struct core *core = call->api->core;
    const char *target = NULL;
    struct explain *explain = mem_zero(1, sizeof *explain);
    struct explain_view view = view_now(core);
    const struct setting_source *source = cache_settings(core->cache);
    call->state = explain;
    call->state_free = explain_free;
    if (explain_key(call_param(call), &view, source, &explain->now, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    if (!http_query(call->request, "if_promoted", &target)) {
        reply_explain(call, NULL);
        return;
    }
    if (driver_candidate(core->driver, target, &explain->candidate, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    if (strcmp(explain->candidate.node, core->home->node) != 0) {
        ask_candidate(call);
        return;
    }
    struct json_object *then = NULL;
    struct explain_view promoted =
        explain_promoted(&view, explain->candidate.site, explain->candidate.node);
    (void)!explain_key(call_param(call), &promoted, source, &then, &err);
    reply_explain(call, then);
}
