/*
 * peer.c -- what other members ask. All but forwarded writes is the driver's business.
 */
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/daemon/driver.h"

static void
hand_over(struct call *call)
{
    struct http_request *request = call->request;
    struct driver *driver = call->api->core->driver;
    struct caller caller = call->caller;
    call_forget(call);
    driver_serve_peer(driver, request, caller.node);
}

#define X(operation)                                                                               \
    void serve_##operation(struct call *call)                                                      \
    {                                                                                              \
        hand_over(call);                                                                           \
    }
X(peer_state)
X(peer_capture)
X(peer_freeze)
X(peer_thaw)
X(peer_prepare)
X(peer_attach)
X(peer_follow)
X(peer_deactivate)
X(peer_word)
X(peer_order)
X(peer_arbiter)
X(peer_arbiter_test)
X(peer_why)
X(peer_ready)
X(peer_promotion)
X(peer_log)
X(peer_match)
X(peer_snapshot)
#undef X

/* ---- forwarded writes ---- */

struct peer_write {
    struct call *call;
    size_t pending;              /* groups without an answer, and one for the handler itself */
    struct json_object *answers; /* owned */
};

struct peer_group {
    struct peer_write *write;
    size_t place;
};

static void
settle(struct peer_write *write)
{
    if (--write->pending > 0)
        return;
    struct json_object *document = json_object_new_object();
    json_add(document, "groups", write->answers);
    call_reply(write->call, 200, document);
    free(write);
}

static void
on_group(void *data, const struct writer_result *result, const struct err *err)
{
    struct peer_group *group = data;
    struct json_object *answer = json_object_new_object();
    json_add_bool(answer, "ok", err == NULL);
    if (err == NULL) {
        fresh_note(group->write->call->api->fresh, result); /* A4 */
        json_add_u64(answer, "epoch", result->epoch);
        json_add_string(answer, "holder", result->holder);
        json_add_u64(answer, "txn", result->first);
        json_add_u64(answer, "revision", result->revision);
    } else {
        json_add_string(answer, "code", err_code_name(err->code));
        json_add_string(answer, "slug", err->slug);
        json_add_string(answer, "text", err->text);
        json_add_string(answer, "mend", err->mend);
    }
    (void)json_object_array_put_idx(group->write->answers, group->place, answer);
    settle(group->write);
    free(group);
}

static void
check_reason(struct json_object *value, const char *pointer, struct fault_list *faults)
{
    static const struct shape text = { .type = SHAPE_TEXT, .max = WRITER_REASON_SIZE_MAX };
    if (value != NULL) /* null: none was given */
        shape_check(&text, value, pointer, faults);
}

static const struct shape group_members[] = {
    { .name = "author", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 255 },
    { .name = "reason", .type = SHAPE_ANY, .more = check_reason },
    { .name = "changes",
      .type = SHAPE_LIST,
      .required = true,
      .min = 1,
      .max = WRITER_BATCH_CHANGES_MAX,
      .inside = serve_change_list },
    { .name = NULL },
};
static const struct shape group_list[] = {
    { .type = SHAPE_OBJECT, .inside = group_members },
};
static const struct shape write_members[] = {
    { .name = "groups",
      .type = SHAPE_LIST,
      .required = true,
      .min = 1,
      .max = INTAKE_POST_GROUPS,
      .inside = group_list },
    { .name = NULL },
};
static const struct shape write_shape = { .type = SHAPE_OBJECT, .inside = write_members };

void
serve_peer_write(struct call *call)
{
    if (call_body(call, &write_shape, false) == NULL)
        return;
    struct json_object *groups = json_get(call->body, "groups");
    size_t count = json_object_array_length(groups);
    struct peer_write *write = mem_zero(1, sizeof *write);
    write->call = call;
    write->pending = 1;
    write->answers = json_object_new_array();
    struct intake *intake = call->api->intake;
    for (size_t i = 0; i < count; i++) {
        struct peer_group *group = mem_zero(1, sizeof *group);
        *group = (struct peer_group){ .write = write, .place = i };
        write->pending++;
        intake_submit(intake, json_object_get(json_object_array_get_idx(groups, i)), INTAKE_HERE,
                      on_group, group);
    }
    settle(write);
}
