#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/pq.h"
#include "sql.h"

#define ORDER_CALL_MS     20000
#define ORDER_REASON_SIZE PROMO_TEXT_SIZE

/* ------------------------------------------------------------------ documents */

static struct json_object *
node_site_json(const struct driver *driver, const char *node)
{
    const char *site = "";
    if (node[0] == '\0')
        return NULL;
    if (strcmp(node, driver->core->home->node) == 0)
        site = driver->core->home->site;
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(driver->peers[i].name, node) == 0)
            site = driver->peers[i].site;
    }
    if (site[0] == '\0')
        return NULL;
    struct json_object *object = json_object_new_object();
    json_add_string(object, "node", node);
    json_add_string(object, "site", site);
    return object;
}

static struct json_object *
epoch_json(const struct epoch *epoch)
{
    if (epoch->number == 0)
        return NULL;
    struct json_object *object = json_object_new_object();
    json_add_u64(object, "number", epoch->number);
    json_add_string(object, "holder", epoch->holder);
    return object;
}

static void
add_time(struct json_object *object, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    json_add_string(object, name, wall_ms == 0 ? NULL : clock_wall_text(wall_ms, text));
}

static uint64_t
state_deadline(const struct promo *promo, enum promo_state state)
{
    const struct promo_limits *limits = &promo->limits;
    switch (state) {
    case PROMO_STATE_ASKING:
    case PROMO_STATE_THAWING:
        return limits->call_ms;
    case PROMO_STATE_CAPTURING:
        return limits->call_ms + (promo->patient ? limits->step_ms : 0);
    case PROMO_STATE_PREPARING:
        return limits->prepare_ms;
    case PROMO_STATE_FREEZING:
        return limits->freeze_ms;
    case PROMO_STATE_DRAINING:
        return limits->drain_ms;
    case PROMO_STATE_RELEASING:
        return limits->release_ms;
    case PROMO_STATE_ARMING:
        return promo->mode == PROMO_SWITCHOVER ? limits->prepare_ms : limits->step_ms;
    case PROMO_STATE_CATCHING_UP:
    case PROMO_STATE_OPENING:
    case PROMO_STATE_ACKNOWLEDGING:
        return limits->step_ms;
    case PROMO_STATE_IDLE:
    case PROMO_STATE_DONE:
    case PROMO_STATE_FAILED:
    case PROMO_STATE_COUNT:
        break;
    }
    return 0;
}

static struct json_object *
steps_json(const struct driver *driver)
{
    const struct promo *promo = &driver->promo;
    struct json_object *steps = json_object_new_array();
    uint64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < promo->step_count; i++) {
        const struct promo_step_record *record = &promo->steps[i];
        bool last = i + 1 == promo->step_count;
        struct json_object *step = json_object_new_object();
        json_add_string(step, "name", promo_state_name(record->state));
        json_add_string(step, "state",
                        record->ended_ms == 0                        ? "running"
                        : last && promo->state == PROMO_STATE_FAILED ? "failed"
                                                                     : "done");
        json_add_u64(step, "started_ms",
                     record->started_ms < driver->began_ms ? 0
                                                           : record->started_ms - driver->began_ms);
        json_add_u64(step, "duration_ms",
                     (record->ended_ms == 0 ? now_ms : record->ended_ms) - record->started_ms);
        json_add_u64(step, "deadline_ms", state_deadline(promo, record->state));
        json_add_string(step, "text", record->text);
        (void)json_object_array_add(steps, step);
    }
    return steps;
}

static bool
went_beyond(const struct promo *promo)
{
    for (size_t i = 0; i < promo->step_count; i++) {
        if (promo->steps[i].state == PROMO_STATE_CAPTURING ||
            promo->steps[i].state == PROMO_STATE_OPENING)
            return true;
    }
    return false;
}

static const char *
state_word(const struct promo *promo)
{
    if (promo->state == PROMO_STATE_DONE)
        return "done";
    if (promo->state != PROMO_STATE_FAILED)
        return "running";
    bool other = strcmp(promo->failure.slug, "later_epoch") == 0; /* nothing goes on as before */
    return other || went_beyond(promo) ? "failed" : "reverted";
}

static uint64_t
last_ended_ms(const struct promo *promo)
{
    return promo->step_count == 0 ? 0 : promo->steps[promo->step_count - 1].ended_ms;
}

/* From the freeze to the acknowledged first row; only a switchover knows when writes closed. */
static struct json_object *
writes_closed_json(const struct promo *promo)
{
    uint64_t from_ms = 0;
    for (size_t i = 0; i < promo->step_count; i++) {
        const struct promo_step_record *step = &promo->steps[i];
        if (step->state == PROMO_STATE_FREEZING)
            from_ms = step->started_ms;
        if (step->state == PROMO_STATE_ACKNOWLEDGING && from_ms != 0 && step->ended_ms != 0)
            return json_object_new_uint64(step->ended_ms - from_ms);
    }
    return NULL;
}

static struct json_object *
overrides_json(const struct promo *promo)
{
    struct json_object *list = json_object_new_array();
    for (unsigned check = 0; check < PROMO_CHECK_COUNT; check++) {
        if ((promo->order.overrides & (1u << check)) != 0)
            (void)json_object_array_add(
                list, json_object_new_string(promo_check_name((enum promo_check)check)));
    }
    return list;
}

static struct json_object *
failure_json(const struct promo *promo)
{
    if (promo->state != PROMO_STATE_FAILED)
        return NULL;
    struct json_object *object = json_object_new_object();
    json_add_string(object, "code", promo->failure.slug);
    json_add_string(object, "kind", err_code_name(promo->failure.code));
    json_add_string(object, "detail", promo->failure.text);
    json_add_string(object, "mend", promo->failure.mend);
    return object;
}

struct json_object *
driver_promo_json(const struct driver *driver)
{
    const struct promo *promo = &driver->promo;
    struct json_object *object = json_object_new_object();
    uint64_t end_ms = promo_is_running(promo) ? clock_now_ms() : last_ended_ms(promo);
    uint64_t duration_ms = end_ms > driver->began_ms ? end_ms - driver->began_ms : 0;
    json_add_string(object, "id", driver->id);
    json_add_string(object, "kind", promo_mode_name(promo->mode));
    json_add_string(object, "state", state_word(promo));
    json_add(object, "from", node_site_json(driver, promo->old_primary));
    json_add(object, "to", node_site_json(driver, promo->self));
    json_add(object, "epoch", epoch_json(&promo->epoch));
    json_add_string(object, "by", driver->who);
    json_add_string(object, "reason", driver->why);
    json_add_bool(object, "accept_data_loss", promo->order.accept_data_loss);
    json_add(object, "overrides", overrides_json(promo));
    add_time(object, "started_at", driver->began_wall_ms);
    add_time(object, "ended_at",
             promo_is_running(promo) ? 0 : driver->began_wall_ms + (int64_t)duration_ms);
    json_add_u64(object, "duration_ms", duration_ms);
    json_add(object, "writes_closed_ms", writes_closed_json(promo));
    json_add_string(object, "old_primary", promo_proof_name(promo->proof));
    json_add(object, "revision",
             promo->state == PROMO_STATE_DONE && !promo->order.dry_run
                 ? json_object_new_uint64(driver->node.own.applied.revision)
                 : NULL);
    json_add(object, "steps", steps_json(driver));
    json_add(object, "error", failure_json(promo));
    return object;
}

static struct json_object *
checks_json(const struct promo *promo)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < PROMO_CHECK_COUNT; i++) {
        struct json_object *check = json_object_new_object();
        json_add_string(check, "name", promo_check_name((enum promo_check)i));
        json_add_string(check, "verdict", promo_verdict_name(promo->findings[i].verdict));
        json_add_string(check, "text", promo->findings[i].text);
        json_add_bool(check, "overridable", promo_check_may_override((enum promo_check)i));
        (void)json_object_array_add(list, check);
    }
    return list;
}

static struct json_object *
planned_steps_json(const struct promo *promo)
{
    static const enum promo_state planned[] = {
        PROMO_STATE_ARMING,        PROMO_STATE_PREPARING, PROMO_STATE_FREEZING,
        PROMO_STATE_DRAINING,      PROMO_STATE_CAPTURING, PROMO_STATE_OPENING,
        PROMO_STATE_ACKNOWLEDGING, PROMO_STATE_RELEASING,
    };
    static const enum promo_state unplanned[] = {
        PROMO_STATE_CAPTURING, PROMO_STATE_CATCHING_UP,   PROMO_STATE_ARMING,
        PROMO_STATE_OPENING,   PROMO_STATE_ACKNOWLEDGING,
    };
    bool switchover = promo->mode == PROMO_SWITCHOVER;
    const enum promo_state *states = switchover ? planned : unplanned;
    size_t count = switchover ? ARRAY_COUNT(planned) : ARRAY_COUNT(unplanned);
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        struct json_object *step = json_object_new_object();
        json_add_string(step, "name", promo_state_name(states[i]));
        json_add_u64(step, "deadline_ms", state_deadline(promo, states[i]));
        (void)json_object_array_add(list, step);
    }
    return list;
}

static struct json_object *
planned_connectors_json(const struct driver *driver)
{
    struct json_object *list = json_object_new_array();
    CLEANUP(json_putp) struct json_object *all = acting_connectors(driver->core->acting);
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *from = json_object_array_get_idx(all, i);
        struct json_object *to = json_object_new_object();
        json_add(to, "name", json_object_get(json_get(from, "name")));
        json_add(to, "now", json_object_get(json_get(from, "effective")));
        json_add(to, "then", json_object_get(json_get(from, "would_use")));
        const char *text = "";
        struct json_object *probe = json_get(from, "latent_probe");
        if (!json_get_string(probe, "text", &text))
            text = "not probed";
        json_add_string(to, "text", text);
        (void)json_object_array_add(list, to);
    }
    return list;
}

/* The check that says best what might be lost; PROMO_CHECK_COUNT: nothing. */
static enum promo_check
find_unsafe(const struct promo *promo)
{
    static const enum promo_check checks[] = { PROMO_CHECK_SYNC, PROMO_CHECK_QUORUM,
                                               PROMO_CHECK_ARBITER };
    for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
        if (promo->findings[checks[i]].verdict != PROMO_OK)
            return checks[i];
    }
    return PROMO_CHECK_COUNT;
}

static struct json_object *
plan_json(const struct driver *driver)
{
    const struct promo *promo = &driver->promo;
    struct json_object *plan = json_object_new_object();
    struct json_object *loss = json_object_new_object();
    bool possible = promo->state == PROMO_STATE_DONE;
    enum promo_check unsafe = find_unsafe(promo);
    bool safe = unsafe == PROMO_CHECK_COUNT;
    json_add_string(plan, "kind", promo_mode_name(promo->mode));
    json_add_bool(plan, "possible", possible);
    json_add(plan, "from", node_site_json(driver, promo->old_primary));
    json_add(plan, "to", node_site_json(driver, promo->self));
    json_add(plan, "epoch_now", epoch_json(&promo->old_epoch));
    json_add(plan, "checks", checks_json(promo));
    json_add(plan, "steps", planned_steps_json(promo));
    json_add_bool(loss, "possible", !safe);
    json_add_string(loss, "text",
                    safe ? "every acknowledged change is on a member that would be captured"
                         : promo->findings[unsafe].text);
    json_add(plan, "data_loss", loss);
    json_add(plan, "connectors", planned_connectors_json(driver));
    return plan;
}

/* ------------------------------------------------------------------ the end of a promotion */

static void
on_recorded(void *data, const struct writer_result *result, const struct err *err)
{
    (void)data, (void)result;
    if (err != NULL)
        log_warn("promo.record", "reason=\"%s\"", err->text);
}

static void
on_event_added(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)data, (void)result, (void)warned;
    if (err != NULL)
        log_warn("promo.record", "reason=\"%s\"", err->text);
}

static void
record_promotion(struct driver *driver)
{
    CLEANUP(json_putp) struct json_object *document = driver_promo_json(driver);
    const char *values[] = { "promotion", json_text(document) };
    (void)pq_query(driver->core->ctl, sql_event_add, 2, values, on_event_added, NULL);
    if (driver->promo.state != PROMO_STATE_DONE || driver->promo.mode == PROMO_RESUMPTION)
        return;
    struct err err;
    char key[48];
    (void)snprintf(key, sizeof key, "promotion/%llu",
                   (unsigned long long)driver->promo.epoch.number);
    struct json_object *group = writer_group(driver->who, driver->why);
    writer_group_put(group, key, "", json_object_get(document), WRITER_ANY_REVISION);
    if (writer_submit(driver->core->writer, group, WRITER_PATIENT, on_recorded, NULL, NULL, &err) !=
        ERR_NONE)
        log_warn("promo.record", "reason=\"%s\"", err.text);
}

void
driver_promo_finished(struct driver *driver)
{
    struct promo *promo = &driver->promo;
    ev_timer_stop(driver->core->loop, &driver->promo_alarm);
    driver_touch(driver);
    if (promo->order.dry_run) {
        driver_answer *done = take_ptr(&driver->dry_done);
        CLEANUP(json_putp) struct json_object *plan = plan_json(driver);
        if (done != NULL)
            done(driver->dry_data, plan, NULL);
        return;
    }
    bool done = promo->state == PROMO_STATE_DONE;
    log_info("promo.finished", "id=%s kind=%s state=%s ms=%llu proof=%s reason=\"%s\"", driver->id,
             promo_mode_name(promo->mode), state_word(promo),
             (unsigned long long)(clock_now_ms() - driver->began_ms),
             promo_proof_name(promo->proof), done ? "" : promo->failure.text);
    if (!done)
        driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_FAILED,
                                                       .beyond = went_beyond(promo),
                                                       .text = promo->failure.text });
    record_promotion(driver);
}

/* ------------------------------------------------------------------ orders */

static const struct shape override_list[] = {
    { .type = SHAPE_TEXT, .min = 1, .max = 64 },
};
const struct shape driver_order_members[] = {
    { .name = "target", .type = SHAPE_TEXT, .required = true, .min = 1, .max = NODE_NAME_SIZE - 1 },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = "dry_run", .type = SHAPE_BOOL },
    { .name = "accept_data_loss", .type = SHAPE_BOOL },
    { .name = "overrides", .type = SHAPE_LIST, .min = 0, .max = 32, .inside = override_list },
    { .name = NULL },
};

static enum err_code
read_order(struct json_object *document, struct promo_order *order, const char **ret_target,
           const char **ret_reason, struct err *err)
{
    struct json_object *overrides = json_get(document, "overrides");
    if (!json_get_string(document, "target", ret_target) || !str_is_name(*ret_target))
        return err_set(err, ERR_INVALID, "body_invalid", "'target' is not a site or a node");
    if (!json_get_string(document, "reason", ret_reason))
        *ret_reason = "";
    if (!json_get_bool(document, "dry_run", &order->dry_run))
        order->dry_run = false;
    if (!json_get_bool(document, "accept_data_loss", &order->accept_data_loss))
        order->accept_data_loss = false;
    for (size_t i = 0; overrides != NULL && i < json_object_array_length(overrides); i++) {
        enum promo_check check;
        const char *name = json_object_get_string(json_object_array_get_idx(overrides, i));
        if (name == NULL || !promo_check_parse(name, &check))
            return err_set(err, ERR_INVALID, "override_unknown", "'%s' is not a check",
                           name == NULL ? "null" : name);
        if (!promo_check_may_override(check)) {
            (void)err_set(err, ERR_INVALID, "override_refused",
                          "check '%s' cannot be overridden by name", name);
            return err_mend(err, "see the plan: baton promote %s --dry-run", *ret_target);
        }
        order->overrides |= 1u << check;
    }
    if ((order->overrides != 0 || order->accept_data_loss) && (*ret_reason)[0] == '\0' &&
        !order->dry_run) {
        (void)err_set(err, ERR_INVALID, "reason_needed",
                      "an override or an accepted loss needs a reason, for the record");
        return err_mend(err, "add --reason TEXT");
    }
    return ERR_NONE;
}

static bool
answers(const struct driver_peer *peer)
{
    return peer->heard_ms != 0 && peer->error[0] == '\0';
}

/* NULL: the site has no other member. */
static const struct driver_peer *
furthest_of_site(const struct driver *driver, const char *site)
{
    const struct driver_peer *best = NULL;
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        if (strcmp(peer->site, site) != 0)
            continue;
        if (best == NULL || (answers(peer) && !answers(best)) ||
            (answers(peer) && position_compare(&peer->facts.applied, &best->facts.applied) > 0))
            best = peer;
    }
    return best;
}

enum err_code
driver_candidate(struct driver *driver, const char *target, struct driver_candidate *ret,
                 struct err *err)
{
    const struct home *home = driver->core->home;
    struct driver_primary primary = driver_primary(driver);
    const struct driver_peer *of_primary = driver_peer(driver, primary.name);
    const struct driver_peer *peer = driver_peer(driver, target);
    bool self = strcmp(target, home->node) == 0;
    if (!self && peer == NULL && of_primary != NULL && strcmp(of_primary->site, target) == 0)
        peer = of_primary;
    if (!self && peer == NULL)
        self = strcmp(target, home->site) == 0;
    if (!self && peer == NULL)
        peer = furthest_of_site(driver, target);
    if (!self && peer == NULL) {
        (void)err_set(err, ERR_NOT_FOUND, "target_not_found", "'%s' is neither a site nor a node",
                      target);
        return err_mend(err, "baton site list and baton node list show the names");
    }
    (void)snprintf(ret->node, sizeof ret->node, "%s", self ? home->node : peer->name);
    (void)snprintf(ret->site, sizeof ret->site, "%s", self ? home->site : peer->site);
    return ERR_NONE;
}

void
driver_new_id(struct driver *driver)
{
    uint8_t chance[4];
    char hex[2 * sizeof chance + 1];
    ASSERT(RAND_bytes(chance, sizeof chance) == 1);
    str_hex(hex, chance, sizeof chance);
    (void)snprintf(driver->id, sizeof driver->id, "%s.%s", driver->node.self, hex);
}

static void
run_order(struct driver *driver, struct promo_order *order, const char *author, const char *reason,
          driver_answer *done, void *data)
{
    struct err err;
    enum node_state state = driver->node.state;
    if (promo_is_running(&driver->promo)) {
        (void)err_set(&err, ERR_CONFLICT, "promotion_running",
                      "a promotion to epoch %llu is under way on %s (%s)",
                      (unsigned long long)driver->promo.epoch.number, driver->node.self,
                      promo_state_name(driver->promo.state));
        (void)err_mend(&err, "baton promotion show %s", driver->id);
        done(data, NULL, &err);
        return;
    }
    if (!driver->node.database ||
        (state != NODE_STANDBY && state != NODE_FENCED && state != NODE_REJOINING)) {
        (void)err_set(&err, ERR_CONFLICT, "not_settled", "%s cannot take the role now: %s",
                      driver->node.self, driver->node.reason);
        done(data, NULL, &err);
        return;
    }
    order->mode = PROMO_SWITCHOVER;
    struct driver_primary primary = driver_primary(driver);
    const struct driver_peer *peer = driver_peer(driver, primary.name);
    order->history_differs = peer != NULL && peer->digest == DRIVER_DIGEST_DIFFERENT;
    order->connectors_ready = acting_ready(driver->core->acting, order->connectors_text);
    driver_new_id(driver);
    if (order->dry_run) {
        driver->dry_done = done;
        driver->dry_data = data;
        driver_start_promo(driver, order, author, reason);
        return;
    }
    CLEANUP(json_putp) struct json_object *answer = json_object_new_object();
    json_add_string(answer, "id", driver->id);
    driver_start_promo(driver, order, author, reason);
    done(data, answer, NULL);
}

struct forward {
    driver_answer *done;
    void *data;
};

static void
on_forwarded(void *context, struct json_object *document, const struct err *err)
{
    struct forward forward = *(struct forward *)context;
    free(context);
    forward.done(forward.data, document, err);
}

void
driver_promote(struct driver *driver, struct json_object *document, const char *author,
               driver_answer *done, void *data)
{
    struct promo_order order = { 0 };
    const char *target;
    const char *reason;
    struct err err;
    if (read_order(document, &order, &target, &reason, &err) != ERR_NONE) {
        done(data, NULL, &err);
        return;
    }
    struct driver_candidate candidate;
    struct driver_primary primary = driver_primary(driver);
    enum err_code code = driver_candidate(driver, target, &candidate, &err);
    if (code == ERR_NONE && strcmp(primary.name, candidate.node) == 0)
        code = err_set(&err, ERR_CONFLICT, "already_primary", "%s is primary already (epoch %llu)",
                       primary.name, (unsigned long long)primary.epoch.number);
    if (code != ERR_NONE) {
        done(data, NULL, &err);
        return;
    }
    if (strcmp(candidate.node, driver->core->home->node) == 0) {
        run_order(driver, &order, author, reason, done, data);
        return;
    }
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    struct forward *forward = mem_zero(1, sizeof *forward);
    *forward = (struct forward){ .done = done, .data = data };
    json_add_string(body, "author", author);
    json_add(body, "order", json_object_get(document));
    driver_ask(driver, candidate.node, "/v1/peer/order", body, ORDER_CALL_MS, on_forwarded,
               forward);
}

void
driver_promotion(struct driver *driver, const char *id, driver_answer *done, void *data)
{
    struct err err;
    char node[NODE_NAME_SIZE];
    const char *dot = strchr(id, '.');
    if (strcmp(id, driver->id) == 0) {
        CLEANUP(json_putp) struct json_object *document = driver_promo_json(driver);
        done(data, document, NULL);
        return;
    }
    if (dot != NULL && (size_t)(dot - id) < sizeof node && strlen(id) < DRIVER_ID_SIZE &&
        strspn(dot + 1, "0123456789abcdefghijklmnopqrstuvwxyz-") == strlen(dot + 1)) {
        memcpy(node, id, (size_t)(dot - id));
        node[dot - id] = '\0';
        if (driver_peer(driver, node) != NULL) {
            CLEANUP(freep) char *path = str_printf("/v1/peer/promotion?id=%s", id);
            struct forward *forward = mem_zero(1, sizeof *forward);
            *forward = (struct forward){ .done = done, .data = data };
            driver_ask(driver, node, path, NULL, 2000, on_forwarded, forward);
            return;
        }
    }
    (void)err_set(&err, ERR_NOT_FOUND, "promotion_not_found", "no promotion '%s' is known here",
                  id);
    (void)err_mend(&err, "baton promotion list");
    done(data, NULL, &err);
}
