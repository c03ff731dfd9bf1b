/*
 * takeover.c -- who grants the lease, why a node takes over by itself or does not, and the pause.
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/view.h"

#define CHECK_REQUESTS 10
#define PAUSE_S_MAX    86400 /* one that outlives the shift is forgotten; it can be said again */

/* What a driver's answer comes to. */
static void
on_answer(void *data, struct json_object *document, const struct err *err)
{
    struct call *call = data;
    if (err != NULL)
        call_fail(call, err);
    else
        call_reply(call, 200, json_object_get(document));
}

/* The member that the query names, NULL for all. False: there is none, refused and ended. */
static bool
query_node(struct call *call, const char **ret)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    bool removed = false;
    *ret = NULL;
    if (!http_query(call->request, "node", ret))
        return true;
    (void)snprintf(key, sizeof key, "node/%.63s", *ret);
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry != NULL && (!json_get_bool(cache_value(entry), "removed", &removed) || !removed))
        return true;
    call_refuse(call, ERR_NOT_FOUND, "node_not_found", "no member '%.63s'", *ret);
    return false;
}

/* ---- the arbiter ---- */

void
serve_arbiter_get(struct call *call)
{
    call_reply_read(call, driver_lease_json(call->api->core->driver));
}

static const struct shape arbiter_shape = { .type = SHAPE_OBJECT,
                                            .inside = driver_arbiter_members };

void
serve_arbiter_set(struct call *call)
{
    struct json_object *change = call_body(call, &arbiter_shape, false);
    CLEANUP(freep) char *reason = NULL;
    if (change == NULL || !call_reason(call, &reason))
        return;
    if (reason != NULL)
        json_add_string(change, "reason", reason);
    driver_set_arbiter(call->api->core->driver, change, call->caller.author, on_answer, call);
}

static const struct shape test_shape = { .type = SHAPE_OBJECT, .inside = driver_test_members };

void
serve_arbiter_test(struct call *call)
{
    const char *node;
    struct err err;
    if (!query_node(call, &node) || call_body(call, &test_shape, true) == NULL)
        return;
    /* who names an address makes every member connect to it */
    if (json_get(call->body, "arbiter") != NULL &&
        auth_require(&call->caller, CALLER_ADMIN, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    driver_test_arbiter(call->api->core->driver, node, call->body, on_answer, call);
}

/* ---- why ---- */

void
serve_why(struct call *call)
{
    const char *node;
    if (query_node(call, &node))
        driver_why(call->api->core->driver, node, on_answer, call);
}

/* ---- the time-outs ---- */

static const struct shape check_members[] = {
    { .name = "requests", .type = SHAPE_INTEGER, .min = 1, .max = DRIVER_CHECK_MAX },
    { .name = NULL },
};
static const struct shape check_shape = { .type = SHAPE_OBJECT, .inside = check_members };

void
serve_check_timeouts(struct call *call)
{
    uint64_t requests = CHECK_REQUESTS;
    if (call_body(call, &check_shape, true) == NULL)
        return;
    (void)!json_get_u64(call->body, "requests", &requests);
    driver_check_timeouts(call->api->core->driver, requests, on_answer, call);
}

/* ---- the pause ---- */

void
serve_pause_get(struct call *call)
{
    call_reply_read(call, view_pause(call->api->core));
}

static void
pause_rules(struct json_object *value, const char *pointer, struct fault_list *faults)
{
    if ((json_get(value, "for_s") == NULL) == (json_get(value, "until") == NULL))
        fault_add(faults, pointer, "exactly one of for_s and until is needed");
}

static const char *
time_fault(const char *value)
{
    int64_t wall_ms;
    return clock_wall_parse(value, &wall_ms) ? NULL : "no time like 2026-11-22T05:41:03Z";
}

static const struct shape pause_members[] = {
    { .name = "for_s", .type = SHAPE_INTEGER, .min = 1, .max = PAUSE_S_MAX },
    { .name = "until", .type = SHAPE_TEXT, .min = 1, .max = 32, .text_fault = time_fault },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape pause_shape = { .type = SHAPE_OBJECT,
                                          .inside = pause_members,
                                          .more = pause_rules };

/* False: refused and ended. */
static bool
read_until(struct call *call, int64_t *ret_until_ms)
{
    const char *until;
    uint64_t for_s = 0;
    int64_t now_ms = clock_wall_ms();
    if (json_get_u64(call->body, "for_s", &for_s)) {
        *ret_until_ms = now_ms + (int64_t)for_s * 1000;
        return true;
    }
    if (json_get_string(call->body, "until", &until) && clock_wall_parse(until, ret_until_ms) &&
        *ret_until_ms > now_ms && *ret_until_ms <= now_ms + PAUSE_S_MAX * 1000LL)
        return true;
    call_refuse(call, ERR_INVALID, "pause_range",
                "'until' must be a time of the next %d hours, by the clock of this node",
                PAUSE_S_MAX / 3600);
    return false;
}

void
serve_pause_set(struct call *call)
{
    char text[CLOCK_TEXT_SIZE];
    int64_t until_ms;
    CLEANUP(freep) char *reason = NULL;
    if (call_body(call, &pause_shape, false) == NULL || !call_reason(call, &reason))
        return;
    if (reason == NULL || reason[0] == '\0') {
        call_refuse(call, ERR_INVALID, "reason_needed", "a pause needs a reason");
        return;
    }
    if (!read_until(call, &until_ms))
        return;
    struct json_object *value = json_object_new_object();
    json_add_string(value, "until", clock_wall_text(until_ms, text));
    json_add_string(value, "reason", reason);
    json_add_string(value, "by", call->caller.author);
    struct json_object *group = writer_group(call->caller.author, reason);
    writer_group_put(group, "pause", "", value, WRITER_ANY_REVISION);
    call_write(call, group, NULL);
}

void
serve_pause_delete(struct call *call)
{
    CLEANUP(freep) char *reason = NULL;
    if (!call_reason(call, &reason))
        return;
    if (cache_get(call_cache(call), "pause", "") == NULL) {
        call_refuse(call, ERR_NOT_FOUND, "pause_not_found", "nothing is paused");
        return;
    }
    struct json_object *group = writer_group(call->caller.author, reason);
    writer_group_delete(group, "pause", "", WRITER_ANY_REVISION);
    call_write(call, group, NULL);
}
