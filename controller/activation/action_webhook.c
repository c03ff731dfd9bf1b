/*
 * action_webhook.c -- the webhook driver: the change as signed JSON, posted (post.h).
 *
 * All tries of one change, also those of a batond that was started again, have one delivery id.
 */
#include "controller/activation/action_inner.h"
#include "controller/activation/post.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

static char *
make_body(const struct action_order *order, const char *delivery)
{
    const char *const *values = order->values.text;
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    struct json_object *epoch = json_object_new_object();
    char time[CLOCK_TEXT_SIZE];
    json_add_u64(epoch, "number", order->epoch.number);
    json_add_string(epoch, "holder", order->epoch.holder);
    json_add_string(body, "delivery_id", delivery);
    json_add_string(body, "cluster", values[TEMPLATE_CLUSTER]);
    json_add_string(body, "connector", values[TEMPLATE_CONNECTOR]);
    json_add_string(body, "kind", values[TEMPLATE_KIND]);
    json_add_string(body, "server", values[TEMPLATE_SERVER]);
    json_add_string(body, "url", values[TEMPLATE_URL][0] == '\0' ? NULL : values[TEMPLATE_URL]);
    json_add(body, "epoch", epoch);
    json_add_string(body, "node", values[TEMPLATE_NODE]);
    json_add_string(body, "site", values[TEMPLATE_SITE]);
    json_add_string(body, "action_id", values[TEMPLATE_ACTION_ID]);
    json_add_string(body, "time", clock_wall_text(clock_wall_ms(), time));
    return str_dup(json_text(body));
}

static void
on_done(void *data, const struct post_result *posted)
{
    struct action_result result = { .end = posted->end,
                                    .text = posted->text,
                                    .output = "",
                                    .exit_code = -1,
                                    .proved = posted->proved };
    action_finish(data, &result);
}

static enum err_code
webhook_start(struct action *action, struct worker *worker, const struct action_order *order,
              struct err *err)
{
    (void)worker;
    const char *const *values = order->values.text;
    CLEANUP(freep)
    char *delivery =
        str_printf("%s/%s/%zu", values[TEMPLATE_CLUSTER], values[TEMPLATE_ACTION_ID], order->place);
    CLEANUP(freep) char *body = make_body(order, delivery);
    struct post_order message = { .wanted = &order->action->webhook,
                                  .cluster = values[TEMPLATE_CLUSTER],
                                  .node = values[TEMPLATE_NODE],
                                  .delivery = delivery,
                                  .body = body,
                                  .epoch = order->epoch,
                                  .timeout_ms = order->timeout_ms,
                                  .secret = order->secret,
                                  .secret_data = order->secret_data };
    struct post *post;
    enum err_code code = post_start(&message, on_done, action, &post, err);
    if (code == ERR_NONE)
        action->inner = post;
    return code;
}

static void
webhook_cancel(struct action *action)
{
    post_cancel(action->inner);
}

static void
webhook_abandon(struct action *action)
{
    post_abandon(action->inner);
}

const struct action_driver action_webhook_driver = { .name = "webhook",
                                                     .fencing = FENCING_PROVED,
                                                     .start = webhook_start,
                                                     .cancel = webhook_cancel,
                                                     .abandon = webhook_abandon };
