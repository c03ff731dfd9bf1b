/*
 * budget.c -- how long an outage may last by the settings, and what a change of settings may not
 * do: leave no room for another one, or let an outage last longer than declared.
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/daemon/driver.h"
#include "sites/budget.h"
#include "sites/setting.h"

static struct budget_view
view_of(const struct call *call, const struct setting_source *source)
{
    struct setting_stored stored = { 0 };
    const char *kind;
    bool has_arbiter = source->find(source->data, SETTING_LAYER_CLUSTER, "",
                                    setting_row(SETTING_SYSTEM_ARBITER)->name, &stored) &&
                       json_get_string(stored.value, "kind", &kind) && strcmp(kind, "manual") != 0;
    return (struct budget_view){ .source = source,
                                 .has_arbiter = has_arbiter,
                                 .member_count = (unsigned)doc_member_count(call_cache(call)) };
}

/* ---- GET /v1/budget ---- */

static struct json_object *
case_json(const struct budget *budget, enum budget_case which)
{
    const struct budget_path *path = &budget->paths[which];
    struct json_object *object = json_object_new_object();
    struct json_object *until = json_object_new_object();
    struct json_object *terms = json_object_new_array();
    json_add_string(object, "name", budget_case_name(which));
    json_add_string(object, "text", budget_case_text(which));
    for (unsigned phase = 0; phase < BUDGET_PHASE_COUNT; phase++)
        json_add_u64(until, budget_phase_name((enum budget_phase)phase), path->until_ms[phase]);
    json_add(object, "until_ms", until);
    json_add(object, "within_rto",
             budget->rto_ms == 0
                 ? NULL
                 : json_object_new_boolean(path->until_ms[BUDGET_ACT] <= budget->rto_ms));
    for (size_t i = 0; i < path->count; i++) {
        struct json_object *term = json_object_new_object();
        json_add_string(term, "phase", budget_phase_name(path->terms[i].phase));
        json_add_u64(term, "ms", path->terms[i].ms);
        json_add_string(term, "settings", path->terms[i].settings);
        json_add_string(term, "text", path->terms[i].text);
        (void)json_object_array_add(terms, term);
    }
    json_add(object, "terms", terms);
    return object;
}

void
serve_budget(struct call *call)
{
    const char *site;
    struct budget budget;
    if (!call_query_site(call, &site))
        return;
    struct setting_source source = *cache_settings(call_cache(call));
    if (site != NULL && *site != '\0')
        source.site = site;
    struct budget_view view = view_of(call, &source);
    budget_compute(&source, view.has_arbiter, view.member_count, &budget);
    CLEANUP(freep) struct fault_list *faults = mem_zero(1, sizeof *faults);
    struct json_object *document = json_object_new_object();
    struct json_object *cases = json_object_new_array();
    json_add_string(document, "site", source.site);
    json_add_bool(document, "automatic", budget.automatic);
    json_add_string(document, "why",
                    budget.automatic        ? ""
                    : view.member_count < 2 ? "there is no other member"
                    : !view.has_arbiter     ? "there is no arbiter: a person decides"
                                            : "takeover.within_site and takeover.across_sites "
                                              "leave it to a person");
    json_add(document, "rto_ms", budget.rto_ms == 0 ? NULL : json_object_new_uint64(budget.rto_ms));
    for (unsigned i = 0; budget.automatic && i < BUDGET_CASE_COUNT; i++)
        (void)json_object_array_add(cases, case_json(&budget, (enum budget_case)i));
    json_add(document, "cases", cases);
    setting_bound_faults(&source, faults);
    json_add(document, "faults", fault_json(faults));
    call_reply_read(call, document);
}

/* ---- before a change ---- */

/* The settings of a member as they would be after it. */
struct overlay {
    const struct setting_source *base; /* borrowed */
    struct json_object *changes;       /* borrowed; NULL: as they are */
    bool local;                        /* the changes are of this node alone */
    const char *member;                /* borrowed; NULL: this node */
    struct json_object *interval;      /* owned; how often 'member' says that it looks, or NULL */
};

static void
overlay_done(struct overlay *overlay)
{
    json_putp(&overlay->interval);
}

/* Of another member's local settings we know only what it tells. */
static bool
find_told(const struct overlay *overlay, const char *key, struct setting_stored *ret)
{
    if (overlay->interval == NULL || strcmp(key, setting_row(SETTING_CHECK_INTERVAL_MS)->name) != 0)
        return false;
    *ret = (struct setting_stored){ .value = overlay->interval };
    return true;
}

static bool
find_changed(void *data, enum setting_layer layer, const char *site, const char *key,
             struct setting_stored *ret)
{
    const struct overlay *overlay = data;
    size_t count = overlay->changes == NULL ? 0 : json_object_array_length(overlay->changes);
    if (layer == SETTING_LAYER_NODE && overlay->member != NULL)
        return find_told(overlay, key, ret);
    for (size_t i = 0; overlay->local == (layer == SETTING_LAYER_NODE) && i < count; i++) {
        struct json_object *change = json_object_array_get_idx(overlay->changes, i);
        const char *its_key = "";
        const char *its_site = "";
        (void)!json_get_string(change, "key", &its_key);
        (void)!json_get_string(change, "site", &its_site);
        if (strcmp(its_key, key) != 0 || strcmp(its_site, site) != 0)
            continue;
        *ret = (struct setting_stored){ .value = json_get(change, "value") };
        return !json_object_object_get_ex(change, "delete", NULL);
    }
    return overlay->base->find(overlay->base->data, layer, site, key, ret);
}

static const char *
key_of(struct json_object *changes, size_t at)
{
    const char *key = "";
    (void)!json_get_string(json_object_array_get_idx(changes, at), "key", &key);
    return key;
}

/* Free keys and connectors bound nothing. */
bool
call_are_bounded(struct json_object *changes)
{
    for (size_t i = 0; i < json_object_array_length(changes); i++) {
        const struct setting_row *row = setting_find(key_of(changes, i));
        if (row != NULL && row->id != SETTING_APP && row->id != SETTING_CONNECTOR)
            return true;
    }
    return false;
}

/* Where the fault is in the body that was sent: at the key to be mended, when the change names it.
 */
static void
place_fault(char to[FAULT_POINTER_SIZE], struct json_object *changes, enum call_body_form form,
            const char *key)
{
    to[0] = '\0';
    if (form == CALL_BODY_VALUE)
        (void)snprintf(to, FAULT_POINTER_SIZE, "/value");
    if (form == CALL_BODY_CHANGES)
        (void)snprintf(to, FAULT_POINTER_SIZE, "/changes");
    for (size_t i = 0; form == CALL_BODY_CHANGES && i < json_object_array_length(changes); i++) {
        if (strcmp(key_of(changes, i), key) == 0)
            (void)snprintf(to, FAULT_POINTER_SIZE, "/changes/%zu/value", i);
    }
}

/* 'member': whose local setting it may be; NULL: this node's. */
static void
take_faults(struct fault_list *into, const struct fault_list *from, struct json_object *changes,
            enum call_body_form form, const char *member)
{
    for (size_t i = 0; i < from->count; i++) {
        char pointer[FAULT_POINTER_SIZE];
        char text[FAULT_TEXT_SIZE];
        const char *key = from->list[i].pointer + 1;
        const struct setting_row *row = setting_find(key);
        bool theirs = member != NULL && row != NULL && row->scope == SETTING_SCOPE_NODE;
        bool told = false;
        place_fault(pointer, changes, form, key);
        (void)snprintf(text, sizeof text, "%.64s%s%.64s: %.180s", key, theirs ? " of " : "",
                       theirs ? member : "", from->list[i].text);
        for (size_t k = 0; k < into->count; k++)
            told = told || strcmp(into->list[k].text, text) == 0;
        if (!told) /* what holds for the whole cluster is told once, not for each site */
            fault_add(into, pointer, "%s", text);
    }
}

/* As 'member' of 'site' would have it; NULL: this node. */
static void
check_member(struct call *call, const struct overlay *changes, const char *site, const char *member,
             enum call_body_form form, struct fault_list *faults)
{
    struct setting_source base = *cache_settings(call_cache(call));
    CLEANUP(freep) struct fault_list *inner = mem_zero(1, sizeof *inner);
    CLEANUP(overlay_done) struct overlay now = { .base = &base, .member = member };
    struct overlay then;
    uint64_t told_ms = member == NULL ? 0 : driver_check_own_ms(call->api->core->driver, member);
    if (told_ms != 0)
        now.interval = json_object_new_uint64(told_ms);
    then = now;
    then.changes = changes->changes;
    then.local = changes->local;
    struct setting_source is = base;
    is.site = site;
    is.find = find_changed;
    is.data = &now;
    struct setting_source would_be = is;
    would_be.data = &then;
    struct budget_view before = view_of(call, &is);
    struct budget_view after = view_of(call, &would_be);
    budget_change_faults(&before, &after, inner);
    take_faults(faults, inner, changes->changes, form, member);
}

static bool
end_check(struct call *call, const struct fault_list *faults)
{
    struct err err;
    if (fault_err(faults, "value_bounds", "the settings as they would be", &err) == ERR_NONE)
        return true;
    call_fail_with(call, &err, "faults", fault_json(faults));
    return false;
}

bool
call_check_bounds(struct call *call, struct json_object *changes, enum call_body_form form)
{
    CLEANUP(freep) struct fault_list *faults = mem_zero(1, sizeof *faults);
    struct cache *cache = call_cache(call);
    const struct overlay overlay = { .changes = changes };
    const struct cache_entry *entry;
    if (!call_are_bounded(changes))
        return true;
    for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;) {
        const char *site;
        const char *member = entry->key + strlen("node/");
        bool removed = false;
        if (!json_get_string(cache_value(entry), "site", &site) ||
            (json_get_bool(cache_value(entry), "removed", &removed) && removed))
            continue;
        check_member(call, &overlay, site, strcmp(member, cache_node(cache)) == 0 ? NULL : member,
                     form, faults);
    }
    return end_check(call, faults);
}

bool
call_check_local_bounds(struct call *call, const char *key, struct json_object *value)
{
    CLEANUP(freep) struct fault_list *faults = mem_zero(1, sizeof *faults);
    CLEANUP(json_putp) struct json_object *changes = json_object_new_array();
    struct json_object *change = json_object_new_object();
    const struct overlay overlay = { .changes = changes, .local = true };
    json_add_string(change, "key", key);
    json_add(change, "value", json_object_get(value));
    (void)json_object_array_add(changes, change);
    if (!call_are_bounded(changes))
        return true;
    check_member(call, &overlay, cache_site(call_cache(call)), NULL, CALL_BODY_VALUE, faults);
    return end_check(call, faults);
}
