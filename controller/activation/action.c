#include "controller/activation/action.h"

#include "controller/activation/action_inner.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"

static const struct action_driver *const drivers[] = {
    [CONNECTOR_DRIVER_FILE] = &action_file_driver,
    [CONNECTOR_DRIVER_EXEC] = &action_exec_driver,
    [CONNECTOR_DRIVER_HAPROXY] = &action_haproxy_driver,
    [CONNECTOR_DRIVER_WEBHOOK] = &action_webhook_driver,
    [CONNECTOR_DRIVER_DNS] = &action_dns_driver,
};

bool
action_can_check(enum connector_driver driver)
{
    return drivers[driver]->can_check;
}

enum fencing_kind
action_fencing(enum connector_driver driver)
{
    return drivers[driver]->fencing;
}

const char *
action_end_name(enum action_end end)
{
    static const char *const names[] = { "ok", "failed", "refused", "cancelled" };
    return names[end];
}

enum err_code
action_start(struct worker *worker, const struct action_order *order, action_done_fn *done,
             void *data, struct action **ret, struct err *err)
{
    enum err_code code = template_values_check(&order->values, err);
    if (code != ERR_NONE)
        return code;
    ASSERT((size_t)order->action->driver < ARRAY_COUNT(drivers));

    CLEANUP(freep) struct action *action = mem_zero(1, sizeof *action);
    action->driver = drivers[order->action->driver];
    action->done = done;
    action->data = data;
    action->started_ms = clock_now_ms();
    code = action->driver->start(action, worker, order, err);
    if (code != ERR_NONE)
        return code;
    *ret = take_ptr(&action);
    return ERR_NONE;
}

void
action_cancel(struct action *action)
{
    action->driver->cancel(action);
}

void
action_abandon(struct action *action)
{
    if (action == NULL)
        return;
    action->driver->abandon(action);
    free(action);
}

void
action_finish(struct action *action, struct action_result *result)
{
    result->took_ms = clock_now_ms() - action->started_ms;
    action->done(action->data, result);
    free(action);
}
