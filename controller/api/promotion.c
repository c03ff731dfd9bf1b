/*
 * promotion.c -- orders to promote and what became of them; connectors, which they are about.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/view.h"
#include "controller/daemon/view_ready.h"
#include "controller/loop/pq.h"
#include "sites/setting.h"
#include "sql.h"

#define PROMOTIONS_LIMIT     20
#define PROMOTIONS_LIMIT_MAX 100
#define ACTIVATIONS_SHOWN    50

/* ---- orders ---- */

/* What "baton ready" says of who would become primary, beside the plan of a dry run. */
static void
add_ready(struct core *core, struct json_object *plan)
{
    const char *node = "";
    (void)!json_get_string(json_get(plan, "to"), "node", &node);
    json_add(plan, "ready", view_ready_node(core, node));
}

static void
on_order(void *data, struct json_object *document, const struct err *err)
{
    struct call *call = data;
    const char *id;
    if (err != NULL) {
        struct json_object *checks = json_get(document, "checks");
        call_fail_with(call, err, checks == NULL ? NULL : "checks", json_object_get(checks));
        return;
    }
    bool begun = json_get_string(document, "id", &id);
    if (begun) {
        CLEANUP(freep) char *location = str_printf("/v1/promotions/%s", id);
        http_add_header(call->request, "Location", location);
    }
    if (!begun)
        add_ready(call->api->core, document);
    call_reply(call, begun ? 202 : 200, json_object_get(document));
}

static const struct shape promote_shape = { .type = SHAPE_OBJECT, .inside = driver_order_members };

void
serve_promote(struct call *call)
{
    struct json_object *order = call_body(call, &promote_shape, false);
    CLEANUP(freep) char *reason = NULL;
    if (order == NULL || !call_reason(call, &reason))
        return;
    if (reason != NULL)
        json_add_string(order, "reason", reason);
    driver_promote(call->api->core->driver, order, call->caller.author, on_order, call);
}

/* ---- what became of them ---- */

static void
on_promotion(void *data, struct json_object *document, const struct err *err)
{
    struct call *call = data;
    if (err != NULL)
        call_fail(call, err);
    else
        call_reply(call, 200, json_object_get(document));
}

static bool
has_id(struct json_object *promotion, const char *id)
{
    const char *its;
    return json_get_string(promotion, "id", &its) && strcmp(its, id) == 0;
}

static void
on_events_get(struct call *call, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        struct err err;
        CLEANUP(json_putp) struct json_object *document = NULL;
        const char *text = pq_text(result, i, "doc");
        if (json_read(text, strlen(text), &document, &err) == ERR_NONE &&
            has_id(document, call_param(call))) {
            call_reply(call, 200, json_object_get(document));
            return;
        }
    }
    driver_promotion(call->api->core->driver, call_param(call), on_promotion, call);
}

void
serve_promotion_get(struct call *call)
{
    const struct cache_entry *entry;
    const char *node = call->api->core->home->node;
    const char *dot = strchr(call_param(call), '.');
    for (size_t at = 0; (entry = cache_next(call_cache(call), "promotion/", "", &at)) != NULL;) {
        if (has_id(cache_value(entry), call_param(call))) {
            call_reply(call, 200, doc_raw(entry->text));
            return;
        }
    }
    /* one that runs, or one that failed here and is in no log */
    const struct promo *promo = driver_promo(call->api->core->driver);
    bool here = dot != NULL && strlen(node) == (size_t)(dot - call_param(call)) &&
                str_starts(call_param(call), node);
    if (!here || promo_is_running(promo)) {
        driver_promotion(call->api->core->driver, call_param(call), on_promotion, call);
        return;
    }
    const char *values[] = { "100" };
    call_sql(call, sql_promotion_events, ARRAY_COUNT(values), values, on_events_get);
}

static int
by_start(const void *left, const void *right)
{
    struct json_object *const *one = left;
    struct json_object *const *other = right;
    const char *starts[2] = { "", "" };
    (void)!json_get_string(*one, "started_at", &starts[0]);
    (void)!json_get_string(*other, "started_at", &starts[1]);
    return strcmp(starts[1], starts[0]); /* newest first */
}

static bool
is_listed(struct json_object *list, struct json_object *promotion)
{
    const char *id;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (json_get_string(promotion, "id", &id) && has_id(json_object_array_get_idx(list, i), id))
            return true;
    }
    return false;
}

static void
on_events_list(struct call *call, const PGresult *result)
{
    uint64_t limit = *(uint64_t *)call->state;
    struct json_object *all = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(call_cache(call), "promotion/", "", &at)) != NULL;) {
        if (cache_value(entry) != NULL)
            (void)json_object_array_add(all, json_object_get(cache_value(entry)));
    }
    for (int i = 0; i < PQntuples(result); i++) {
        struct err err;
        CLEANUP(json_putp) struct json_object *document = NULL;
        const char *text = pq_text(result, i, "doc");
        if (json_read(text, strlen(text), &document, &err) == ERR_NONE && !is_listed(all, document))
            (void)json_object_array_add(all, json_object_get(document));
    }
    json_object_array_sort(all, by_start);
    if (json_object_array_length(all) > limit)
        (void)json_object_array_del_idx(all, limit, json_object_array_length(all) - limit);
    struct json_object *document = json_object_new_object();
    json_add(document, "promotions", all);
    call_reply(call, 200, document);
}

void
serve_promotion_list(struct call *call)
{
    uint64_t limit = PROMOTIONS_LIMIT;
    char text[24];
    if (!call_query_number(call, "limit", 1, PROMOTIONS_LIMIT_MAX, &limit))
        return;
    call->state = mem_alloc(sizeof limit);
    call->state_free = free;
    memcpy(call->state, &limit, sizeof limit);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    const char *values[] = { text };
    call_sql(call, sql_promotion_events, ARRAY_COUNT(values), values, on_events_list);
}

/* ---- connectors ---- */

void
serve_connector_list(struct call *call)
{
    call_reply_read(call, view_connectors(call->api->core));
}

static void
on_activations(struct call *call, const PGresult *result)
{
    static const char *const texts[] = { "action_id", "kind", "server", "driver", "state" };
    char when[32];
    struct json_object *document = take_ptr(&call->body);
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < PQntuples(result); i++) {
        struct json_object *row = json_object_new_object();
        const char *output = pq_text(result, i, "output");
        for (size_t j = 0; j < ARRAY_COUNT(texts); j++)
            json_add_string(row, texts[j], pq_text(result, i, texts[j]));
        json_add(row, "epoch", doc_epoch(pq_u64(result, i, "epoch"), pq_text(result, i, "holder")));
        json_add_string(row, "output", output == NULL ? "" : output);
        json_add_string(row, "started_at", doc_time(pq_text(result, i, "started_at"), when));
        json_add_string(row, "ended_at", doc_time(pq_text(result, i, "ended_at"), when));
        (void)json_object_array_add(list, row);
    }
    json_add(document, "activations", list);
    call_reply_read(call, document);
}

void
serve_connector_get(struct call *call)
{
    char limit[16];
    char key[ROUTE_PARAM_SIZE + 16];
    struct json_object *shown = view_connector(call->api->core, call_param(call));
    if (shown == NULL) {
        call_refuse(call, ERR_NOT_FOUND, "connector_not_found", "no connector '%.63s'",
                    call_param(call));
        return;
    }
    (void)snprintf(key, sizeof key, "connector/%s", call_param(call));
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(setting_row(SETTING_CONNECTOR), key, cache_settings(call_cache(call)), &value);
    json_add(shown, "config", json_object_get(value.value));
    call->body = shown; /* completed when the activations are read */
    (void)snprintf(limit, sizeof limit, "%d", ACTIVATIONS_SHOWN);
    const char *values[] = { call_param(call), limit };
    call_sql(call, sql_activation_list, ARRAY_COUNT(values), values, on_activations);
}
