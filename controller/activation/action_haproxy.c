/*
 * action_haproxy.c -- the haproxy driver: carries the lines of haproxy.h to a stats socket.
 *
 *     ask -> (look the server's name up) -> plan -> order, and ask in the same line -> plan: done?
 *
 * One connection for each line: HAProxy answers and closes. It is told done only when what HAProxy
 * says afterwards leaves nothing to do.
 */
#include <stdio.h>
#include <string.h>

#include "controller/activation/action_inner.h"
#include "controller/activation/haproxy.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"
#include "controller/loop/exchange.h"
#include "controller/loop/resolve.h"

enum phase { PHASE_ASK, PHASE_ORDER };

struct haproxy_inner {
    struct action *action; /* borrowed: ours is its member 'inner' */
    enum phase phase;
    bool check;
    bool cancelled;
    char *place;    /* owned; the socket */
    char *names[3]; /* owned; backend, main, alternate */
    char host[CONNECTOR_HOST_SIZE];
    char address[HAPROXY_ADDRESS_SIZE];
    struct haproxy_goal goal;      /* its texts are ours */
    struct haproxy_view view;      /* the answer before the order */
    struct spread_target *targets; /* owned; of the goal */
    bool more;                     /* the last order was not all */
    unsigned orders;
    struct buf why;    /* what was different */
    struct buf answer; /* HAProxy's last */
    struct exchange *exchange;
    struct resolve *resolve;
    ev_timer deadline;
};

static void
inner_free(struct haproxy_inner *inner)
{
    exchange_cancel(inner->exchange);
    ev_timer_stop(EV_DEFAULT_UC_ & inner->deadline);
    resolve_cancel(inner->resolve);
    for (size_t i = 0; i < ARRAY_COUNT(inner->names); i++)
        free(inner->names[i]);
    free(inner->place);
    free(inner->targets);
    buf_done(&inner->why);
    buf_done(&inner->answer);
    free(inner);
}

static void
end(struct haproxy_inner *inner, struct action_result *result)
{
    struct action *action = inner->action;
    CLEANUP(buf_done) struct buf output = inner->answer;
    inner->answer = (struct buf){ 0 };
    result->exit_code = -1;
    result->output = "";
    if (result->end == ACTION_FAILED && output.size > 0) {
        result->truncated = output.size > ACTION_OUTPUT_SIZE_MAX;
        if (result->truncated)
            output.data[ACTION_OUTPUT_SIZE_MAX] = '\0';
        result->output = buf_text(&output);
    }
    inner_free(inner);
    action_finish(action, result);
}

static void
fail(struct haproxy_inner *inner, const struct err *err)
{
    char text[ERR_TEXT_SIZE + ERR_MEND_SIZE + 4];
    (void)snprintf(text, sizeof text, "%s%s%s", err->text, err->mend[0] != '\0' ? "; " : "",
                   err->mend);
    struct action_result result = { .end = ACTION_FAILED, .text = text };
    end(inner, &result);
}

/* ---- one line to HAProxy, and its answer ---- */

static void take_answer(struct haproxy_inner *inner);

/* Says how to let us in. */
static enum err_code
mend(const struct haproxy_inner *inner, struct err *err)
{
    (void)err_wrap(err, "HAProxy");
    if (err->code == ERR_DENIED)
        return err_mend(err,
                        "let batond's user in: 'stats socket %s mode 660 group GROUP level "
                        "admin'",
                        inner->place);
    return err_mend(err,
                    "start HAProxy with 'stats socket %s level admin', or change 'socket' of "
                    "the driver",
                    inner->place);
}

static void
on_answer(void *data, struct buf *answer, const struct err *err)
{
    struct haproxy_inner *inner = data;
    inner->exchange = NULL;
    if (err != NULL) {
        struct err told = *err;
        (void)mend(inner, &told);
        fail(inner, &told);
        return;
    }
    buf_done(&inner->answer);
    inner->answer = *answer;
    *answer = (struct buf){ 0 };
    take_answer(inner);
}

/* Asks after the order, in the same line; without an order it only asks. */
static enum err_code
send_line(struct haproxy_inner *inner, const char *order, struct err *err)
{
    CLEANUP(buf_done) struct buf line = { 0 };
    buf_printf(&line, "%s%s", order, order[0] != '\0' ? ";" : "");
    haproxy_question(inner->goal.backend, &line);
    buf_add_text(&line, "\n");
    enum err_code code =
        exchange_start(EV_DEFAULT_UC, inner->place, buf_text(&line), HAPROXY_REPLY_SIZE_MAX,
                       on_answer, inner, &inner->exchange, err);
    return code == ERR_NONE ? code : mend(inner, err);
}

/* ---- what it means ---- */

static enum err_code
make_plan(struct haproxy_inner *inner, struct haproxy_plan *ret_plan, struct err *err)
{
    return haproxy_plan(&inner->view, &inner->goal, clock_wall_ms(), ret_plan, err);
}

static void
refuse(struct haproxy_inner *inner)
{
    char seen[EPOCH_TEXT_SIZE], ours[EPOCH_TEXT_SIZE];
    CLEANUP(freep)
    char *text =
        str_printf("backend '%s' was switched under epoch %s, ours is %s", inner->goal.backend,
                   epoch_text(&inner->view.mark.epoch, seen), epoch_text(&inner->goal.epoch, ours));
    struct action_result result = { .end = ACTION_REFUSED, .text = text };
    end(inner, &result);
}

static void
tell_use(const struct haproxy_inner *inner, struct buf *text)
{
    const struct haproxy_goal *goal = &inner->goal;
    const struct haproxy_server *used =
        goal->server == EFFECTIVE_MAIN ? &inner->view.main : &inner->view.alternate;
    if (goal->server == EFFECTIVE_NONE)
        buf_printf(text, "backend '%s' uses no server", goal->backend);
    else if (goal->instances == CONNECTOR_INSTANCES_ONLY)
        buf_printf(text, "backend '%s' uses its instances alone", goal->backend);
    else
        buf_printf(text, "backend '%s' uses '%s', %s port %u%s", goal->backend,
                   goal->server == EFFECTIVE_MAIN ? goal->main : goal->alternate, used->address,
                   used->port, used->up ? "" : ", which HAProxy's own check finds down");
}

static void
tell_instances(const struct haproxy_inner *inner, const struct haproxy_plan *plan, struct buf *text)
{
    const struct haproxy_goal *goal = &inner->goal;
    size_t in = plan->in_count;
    size_t down = in - plan->up_count;
    if (goal->server == EFFECTIVE_NONE || goal->instances == CONNECTOR_INSTANCES_NONE ||
        (goal->instances == CONNECTOR_INSTANCES_BESIDE && in + plan->spread.left_out == 0))
        return;
    buf_printf(text, "; %zu instance%s", in, in == 1 ? " gets requests" : "s get requests");
    if (down > 0)
        buf_printf(text, ", of which HAProxy's own check finds %zu down", down);
    if (plan->spread.left_out > 0)
        buf_printf(text,
                   "; %zu wait%s for a server '" CONNECTOR_HAPROXY_INSTANCE
                   "N' in the backend, which has %zu: 'baton connector haproxy-config "
                   "--instances' makes more",
                   plan->spread.left_out, plan->spread.left_out == 1 ? "s" : "",
                   inner->view.place_count);
}

/* HAProxy's state leaves nothing to do. */
static void
succeed(struct haproxy_inner *inner, const struct haproxy_plan *plan)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    tell_use(inner, &text);
    tell_instances(inner, plan, &text);
    if (plan->again_ms > 0)
        buf_printf(&text, "; what is connected to another may stay for %llu ms",
                   (unsigned long long)plan->again_ms);
    if (inner->check && inner->why.size > 0)
        buf_printf(&text, "; put right: %s", buf_text(&inner->why));
    struct action_result result = { .end = ACTION_OK,
                                    .text = buf_text(&text),
                                    .changed = inner->why.size > 0,
                                    .again_ms = plan->again_ms,
                                    .waiting = plan->spread.left_out > 0,
                                    .room = { .takers = plan->spread.placed + plan->spread.left_out,
                                              .places = inner->view.place_count } };
    end(inner, &result);
}

static void
decide(struct haproxy_inner *inner)
{
    struct err err = { 0 };
    CLEANUP(haproxy_plan_done) struct haproxy_plan plan;
    enum err_code code = make_plan(inner, &plan, &err);
    if (code == ERR_NONE && plan.refused) {
        refuse(inner);
    } else if (code == ERR_NONE && plan.line.size == 0) {
        succeed(inner, &plan);
    } else if (code == ERR_NONE && inner->phase == PHASE_ORDER &&
               (!inner->more || inner->orders == HAPROXY_LINES_MAX)) {
        (void)err_set(&err, ERR_PROTOCOL, "haproxy_state", "HAProxy was told, and %s%s",
                      plan.different ? "still: " : "keeps no mark", buf_text(&plan.why));
        (void)err_mend(&err, "what it said stands below; it must be HAProxy 2.6 or later, and no "
                             "'track' or 'no-name' may hold the server");
        fail(inner, &err);
    } else if (code == ERR_NONE) {
        if (inner->phase == PHASE_ASK) {
            inner->why = plan.why;
            plan.why = (struct buf){ 0 };
        }
        inner->phase = PHASE_ORDER;
        inner->more = plan.more;
        inner->orders++;
        inner->goal.news = false; /* what is different now was ordered */
        code = send_line(inner, buf_text(&plan.line), &err);
    }
    if (code != ERR_NONE)
        fail(inner, &err);
}

static void
on_resolved(void *data, const char *address, const struct err *err)
{
    struct haproxy_inner *inner = data;
    inner->resolve = NULL;
    if (address == NULL) {
        fail(inner, err);
        return;
    }
    ASSERT(str_copy(inner->address, sizeof inner->address, address));
    decide(inner);
}

/* HAProxy takes numbers only. A check keeps to the number that was found when the server came into
 * use: a name with several addresses is no reason to move. */
static void
find_address(struct haproxy_inner *inner)
{
    struct err err = { 0 };
    const char *marked = haproxy_marked_address(&inner->view, &inner->goal);
    if (inner->goal.server == EFFECTIVE_NONE || inner->phase == PHASE_ORDER ||
        inner->goal.instances == CONNECTOR_INSTANCES_ONLY) {
        decide(inner);
    } else if (resolve_is_address(inner->host)) {
        ASSERT(str_copy(inner->address, sizeof inner->address, inner->host));
        decide(inner);
    } else if (inner->check && marked != NULL) {
        ASSERT(str_copy(inner->address, sizeof inner->address, marked));
        decide(inner);
    } else if (resolve_start(EV_DEFAULT_UC, inner->host, on_resolved, inner, &inner->resolve,
                             &err) != ERR_NONE) {
        fail(inner, &err);
    }
}

static void
take_answer(struct haproxy_inner *inner)
{
    struct err err = { 0 };
    if (haproxy_read(buf_text(&inner->answer), &inner->goal, &inner->view, &err) != ERR_NONE)
        fail(inner, &err);
    else
        find_address(inner);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct haproxy_inner *inner = CONTAINER_OF(timer, struct haproxy_inner, deadline);
    (void)loop, (void)revents;
    CLEANUP(freep)
    char *text = inner->cancelled
                     ? str_dup("cancelled")
                     : str_printf("HAProxy at '%s' has not answered in time", inner->place);
    struct action_result result = { .end = inner->cancelled ? ACTION_CANCELLED : ACTION_FAILED,
                                    .text = text };
    end(inner, &result);
}

/* ---- the driver ---- */

static void
set_goal(struct haproxy_inner *inner, const struct action_order *order)
{
    const struct connector_haproxy *haproxy = &order->action->haproxy;
    inner->place = str_dup(haproxy->socket);
    inner->names[0] = str_dup(haproxy->backend != NULL ? haproxy->backend
                                                       : order->values.text[TEMPLATE_CONNECTOR]);
    inner->names[1] = str_dup(haproxy->main);
    inner->names[2] = str_dup(haproxy->alternate);
    inner->goal = (struct haproxy_goal){ .backend = inner->names[0],
                                         .main = inner->names[1],
                                         .alternate = inner->names[2],
                                         .server = order->which,
                                         .address = inner->address,
                                         .epoch = order->epoch,
                                         .drain_ms = haproxy->drain_ms,
                                         .instances = haproxy->instances,
                                         .spread = order->spread,
                                         .news = order->news };
    inner->targets = mem_zero(order->spread.target_count + 1, sizeof *inner->targets);
    for (size_t i = 0; i < order->spread.target_count; i++)
        inner->targets[i] = order->spread.targets[i];
    inner->goal.spread.targets = inner->targets;
    if (order->which != EFFECTIVE_NONE) {
        inner->goal.port = order->server->port;
        ASSERT(str_copy(inner->host, sizeof inner->host, order->server->host));
    }
}

static enum err_code
haproxy_start(struct action *action, struct worker *worker, const struct action_order *order,
              struct err *err)
{
    (void)worker;
    struct haproxy_inner *inner = mem_zero(1, sizeof *inner);
    inner->action = action;
    inner->check = order->check;
    ev_now_update(EV_DEFAULT_UC);
    ev_timer_init(&inner->deadline, on_deadline, (double)order->timeout_ms / 1000, 0.);
    ev_timer_start(EV_DEFAULT_UC_ & inner->deadline);
    set_goal(inner, order);
    enum err_code code = send_line(inner, "", err);
    if (code != ERR_NONE) {
        inner_free(inner);
        return code;
    }
    action->inner = inner;
    return ERR_NONE;
}

/* What was sent may have been done. */
static void
haproxy_cancel(struct action *action)
{
    struct haproxy_inner *inner = action->inner;
    if (inner->cancelled)
        return;
    inner->cancelled = true;
    exchange_cancel(take_ptr(&inner->exchange));
    resolve_cancel(take_ptr(&inner->resolve));
    ev_timer_stop(EV_DEFAULT_UC_ & inner->deadline);
    ev_timer_set(&inner->deadline, 0., 0.);
    ev_timer_start(EV_DEFAULT_UC_ & inner->deadline);
}

static void
haproxy_abandon(struct action *action)
{
    inner_free(action->inner);
}

const struct action_driver action_haproxy_driver = { .name = "haproxy",
                                                     .can_check = true,
                                                     .fencing = FENCING_NEVER,
                                                     .start = haproxy_start,
                                                     .cancel = haproxy_cancel,
                                                     .abandon = haproxy_abandon };
