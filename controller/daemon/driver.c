#include "controller/daemon/driver_inner.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/loop/pq.h"
#include "sites/setting.h"
#include "sites/upgrade.h"
#include "sql.h"

/* ------------------------------------------------------------------ events and steps */

static void
run_promo(struct driver *driver, struct driver_queued *queued)
{
    struct promo_effects effects;
    struct err err;
    enum promo_state before = driver->promo.state;
    queued->promo.now_ms = clock_now_ms();
    if (promo_step(&driver->promo, &queued->promo, &effects, &err) != ERR_NONE) {
        log_debug("promo.refused", "event=%s reason=\"%s\"", promo_event_name(queued->promo.kind),
                  err.text);
        return;
    }
    if (driver->promo.state != before) {
        log_info("promo.step", "from=%s to=%s id=%s", promo_state_name(before),
                 promo_state_name(driver->promo.state), driver->id);
        driver_touch(driver);
    }
    for (size_t i = 0; i < effects.count; i++)
        driver_do_promo(driver, &effects.list[i]);
    if (driver->promo.state == before)
        return;
    driver_emit(driver, "promotion", driver_promo_json(driver));
    if (driver->promo.state == PROMO_STATE_DRAINING)
        driver_drain_look(driver);
}

void
driver_act(struct driver *driver)
{
    enum node_state state = driver->node.state;
    bool primary = state == NODE_PRIMARY;
    if (!primary || driver->claims_ms == 0)
        driver->claims_ms = primary ? clock_now_ms() : 0;
    enum effective_role role = EFFECTIVE_ROLE_FENCED;
    if (primary)
        role = EFFECTIVE_ROLE_PRIMARY;
    else if (state == NODE_STANDBY ||
             (state == NODE_CANDIDATE && driver->node.before == NODE_STANDBY))
        role = EFFECTIVE_ROLE_STANDBY;
    struct driver_primary now = driver_primary(driver);
    struct driver_peer *peer = driver_peer(driver, now.name);
    const char *site = now.self ? driver->core->home->site : peer == NULL ? "" : peer->site;
    acting_knows(driver->core->acting,
                 epoch_max(&driver->node.own.epoch, &driver->node.following_epoch));
    acting_role(driver->core->acting, role, site, &driver->node.own.epoch,
                primary && driver->may_act && driver->leased);
}

/* A switchover or a renewal that is given up leaves the primary what it was. */
static bool
may_act_again(const struct node *node)
{
    return node->state == NODE_PRIMARY || node->state == NODE_DRAINING ||
           (node->state == NODE_CANDIDATE && node->before == NODE_PRIMARY);
}

static void
run_node(struct driver *driver, struct driver_queued *queued)
{
    struct node_effects effects;
    struct err err;
    enum node_state before = driver->node.state;
    struct quorum_record record;
    driver_record_in_force(driver, &record);
    queued->node.record = &record;
    queued->node.now_ms = clock_now_ms();
    if (node_step(&driver->node, &queued->node, &effects, &err) != ERR_NONE) {
        log_debug("node.refused", "event=%s reason=\"%s\"", node_event_name(queued->node.kind),
                  err.text);
        return;
    }
    bool changed = driver->node.state != before;
    if (changed) {
        log_info("node.state", "from=%s to=%s reason=\"%s\"", node_state_name(before),
                 node_state_name(driver->node.state), driver->node.reason);
        driver_touch(driver);
    }
    driver_takeover_state(driver, queued->node.kind);
    for (size_t i = 0; i < effects.count; i++)
        driver_do_node(driver, &effects.list[i]);
    /* promised to another, or following one: there is nothing to hold, or to ask for, any more */
    if (queued->node.kind == NODE_EV_CAPTURED || (changed && driver->node.state == NODE_REJOINING))
        driver_lease_close(driver);
    bool down = driver->node.state == NODE_FENCED || driver->node.state == NODE_REJOINING;
    if (changed && down && queued->node.kind != NODE_EV_FAILED &&
        promo_is_running(&driver->promo)) /* a promotion that nobody would open for any more */
        driver_post_promo(
            driver, &(struct promo_event){ .kind = PROMO_EV_LOST, .text = driver->node.reason });
    if (changed) {
        if (!may_act_again(&driver->node))
            driver->may_act = false;
        driver_act(driver);
        struct json_object *document = json_object_new_object();
        json_add_string(document, "node", driver->node.self);
        json_add_string(document, "state", node_state_name(driver->node.state));
        json_add_string(document, "reason", driver->node.reason);
        driver_emit(driver, "role", document);
    }
}

static void
run_queue(struct driver *driver)
{
    if (driver->stepping)
        return;
    driver->stepping = true;
    while (driver->queue_count > 0) {
        struct driver_queued queued = driver->queue[driver->queue_first];
        driver->queue_count--;
        /* an empty queue begins anew: going round it would touch a megabyte of memory for one event
         */
        driver->queue_first =
            driver->queue_count == 0 ? 0 : (driver->queue_first + 1) % DRIVER_QUEUE_MAX;
        /* the copies moved with the element: point at them again */
        queued.node.facts = queued.node.facts == NULL ? NULL : &queued.facts;
        queued.promo.facts = queued.promo.facts == NULL ? NULL : &queued.facts;
        queued.promo.record = queued.promo.record == NULL ? NULL : &queued.record;
        queued.promo.note = queued.promo.note == NULL ? NULL : &queued.note;
        queued.promo.order = queued.promo.order == NULL ? NULL : &queued.order;
        queued.promo.node = queued.promo.node == NULL ? NULL : queued.name;
        queued.promo.text = queued.promo.text == NULL ? NULL : queued.text;
        queued.node.text = queued.node.text == NULL ? NULL : queued.text;
        if (queued.to_promo)
            run_promo(driver, &queued);
        else
            run_node(driver, &queued);
    }
    driver->stepping = false;
}

static struct driver_queued *
queue_room(struct driver *driver)
{
    ASSERT(driver->queue_count < DRIVER_QUEUE_MAX); /* each source has few outstanding answers */
    size_t at = (driver->queue_first + driver->queue_count++) % DRIVER_QUEUE_MAX;
    memset(&driver->queue[at], 0, sizeof driver->queue[at]);
    return &driver->queue[at];
}

void
driver_post_node(struct driver *driver, const struct node_event *event)
{
    if (!driver->running)
        return;
    struct driver_queued *queued = queue_room(driver);
    queued->node = *event;
    if (event->facts != NULL)
        queued->facts = *event->facts;
    if (event->text != NULL)
        (void)snprintf(queued->text, sizeof queued->text, "%s", event->text);
    run_queue(driver);
}

void
driver_post_promo(struct driver *driver, const struct promo_event *event)
{
    if (!driver->running)
        return;
    struct driver_queued *queued = queue_room(driver);
    queued->to_promo = true;
    queued->promo = *event;
    if (event->facts != NULL)
        queued->facts = *event->facts;
    if (event->record != NULL)
        queued->record = *event->record;
    if (event->note != NULL)
        queued->note = *event->note;
    if (event->order != NULL)
        queued->order = *event->order;
    if (event->node != NULL)
        (void)snprintf(queued->name, sizeof queued->name, "%s", event->node);
    if (event->text != NULL)
        (void)snprintf(queued->text, sizeof queued->text, "%s", event->text);
    run_queue(driver);
}

void
driver_touch(struct driver *driver)
{
    driver->generation++;
}

void
driver_emit(struct driver *driver, const char *kind, struct json_object *document)
{
    if (driver->listener != NULL)
        driver->listener(driver->listener_data, kind, document);
    (void)json_object_put(document);
}

/* ------------------------------------------------------------------ our own database */

bool
driver_read_position(const PGresult *result, struct node_facts *facts)
{
    static const char *const names[] = { "applied", "applied_epoch", "epoch", "promised" };
    uint64_t numbers[4];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *text = pq_text(result, 0, names[i]);
        if (text == NULL || !str_to_u64(text, 0, INT64_MAX, &numbers[i]))
            return false;
    }
    const char *applied_holder = pq_text(result, 0, "applied_holder");
    const char *epoch_holder = pq_text(result, 0, "epoch_holder");
    const char *promised_holder = pq_text(result, 0, "promised_holder");
    const char *hash = pq_text(result, 0, "applied_hash");
    if (applied_holder == NULL || epoch_holder == NULL || promised_holder == NULL || hash == NULL)
        return false;
    facts->applied.revision = numbers[0];
    facts->applied.epoch = epoch_make(numbers[1], applied_holder);
    facts->epoch = epoch_make(numbers[2], epoch_holder);
    facts->promised = epoch_make(numbers[3], promised_holder);
    return str_copy(facts->applied.hash, sizeof facts->applied.hash, hash);
}

bool
driver_read_before(const PGresult *result, struct epoch *ret_before)
{
    const char *number = pq_text(result, 0, "before");
    const char *holder = pq_text(result, 0, "before_holder");
    uint64_t value;
    if (number == NULL || holder == NULL || !str_to_u64(number, 0, INT64_MAX, &value))
        return false;
    *ret_before = epoch_make(value, holder);
    return true;
}

struct node_facts
driver_own_facts(const struct driver *driver)
{
    struct node_facts facts = driver->node.own;
    const struct cache_position *position = cache_position(driver->core->cache);
    facts.state = driver->node.state;
    facts.schema = driver->core->schema;
    facts.streaming = driver->streaming;
    (void)snprintf(facts.name, sizeof facts.name, "%s", driver->core->home->node);
    (void)snprintf(facts.site, sizeof facts.site, "%s", driver->core->home->site);
    (void)snprintf(facts.following, sizeof facts.following, "%s", driver->node.following);
    if (position->revision > 0) {
        facts.applied.revision = position->revision;
        facts.applied.epoch = epoch_make(position->epoch, position->holder);
        (void)snprintf(facts.applied.hash, sizeof facts.applied.hash, "%s", position->hash);
    }
    return facts;
}

void
driver_record(const struct driver *driver, struct quorum_record *ret)
{
    const struct cache_entry *entry = cache_get(driver->core->cache, "sync/set", "");
    if (entry != NULL && quorum_from_json(cache_value(entry), ret, NULL) == ERR_NONE)
        return;
    *ret = (struct quorum_record){ 0 };
    (void)!quorum_add(&ret->now, driver->core->home->node, NULL);
    for (size_t i = 0; i < driver->peer_count; i++)
        (void)!quorum_add(&ret->now, driver->peers[i].name, NULL);
}

void
driver_record_in_force(const struct driver *driver, struct quorum_record *ret)
{
    const struct node_facts *own = &driver->node.own;
    struct quorum_record log;
    driver_record(driver, &log);
    *ret = quorum_in_force(&log,
                           quorum_note_named(driver_note(driver), &log, driver->arbiter_revision),
                           epoch_max(&own->epoch, &own->applied.epoch));
}

static void
on_start_position(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    struct node_facts facts = { 0 };
    (void)warned;
    driver->database_asked = false;
    if (err != NULL || !driver_read_position(result, &facts)) {
        log_warn("driver.position", "reason=\"%s\"", err == NULL ? "no row" : err->text);
        return; /* the connection's next READY, or the upkeep, asks again */
    }
    (void)snprintf(facts.name, sizeof facts.name, "%s", driver->core->home->node);
    (void)snprintf(facts.site, sizeof facts.site, "%s", driver->core->home->site);
    facts.schema = driver->core->schema;
    driver->names_known = false;
    driver->server_names.settled = false;
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_START, .facts = &facts });
    driver_poll_peers(driver);
    driver->rehearses = true;
}

static void
on_waiters_cancelled(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)data, (void)result, (void)err, (void)warned;
}

void
driver_database(struct driver *driver, bool ready, const struct err *err)
{
    if (!driver->running)
        return;
    if (!ready) {
        /* each failed attempt to connect says what is wrong now */
        if (driver->node.database || driver->node.state != NODE_FENCED || err != NULL)
            driver_post_node(driver,
                             &(struct node_event){ .kind = NODE_EV_LOST,
                                                   .text = err == NULL ? NULL : err->text });
        return;
    }
    if (!driver->core->database_fit || !cache_loaded(driver->core->cache) || driver->database_asked)
        return;
    /* I11: what the row says of before proves nothing. A COMMIT of before that still waits for
     * standbys would hold the row. */
    driver->database_asked = true;
    driver_load_key_rules(driver);
    driver_lease_load(driver);
    (void)pq_query(driver->core->ctl, sql_waiters_cancel, 0, NULL, on_waiters_cancelled, NULL);
    (void)pq_query(driver->core->ctl, sql_fence, 0, NULL, on_start_position, driver);
}

void
driver_unfit(struct driver *driver, const char *why)
{
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_LOST, .ok = true, .text = why });
}

bool
driver_may_upgrade(const struct driver *driver, const struct node_facts *own,
                   const PGresult *members, unsigned to, char *text)
{
    const char *names[NODE_MEMBERS_MAX];
    size_t count = 0;
    CLEANUP(freep) struct node *peers = mem_zero(1, sizeof *peers);
    for (int row = 0; row < PQntuples(members) && count < ARRAY_COUNT(names); row++) {
        const char *name = pq_text(members, row, "node");
        if (name != NULL && str_is_name(name))
            names[count++] = name;
    }
    *peers = driver->node;
    node_set_peers(peers, names, count); /* what was heard from them stays */
    return upgrade_may_begin(peers, own, to, clock_now_ms(), text);
}

static void
on_applied(struct tail_listener *listener, const struct cache_position *position)
{
    struct driver *driver = CONTAINER_OF(listener, struct driver, tail);
    struct position applied = { .revision = position->revision,
                                .epoch = epoch_make(position->epoch, position->holder) };
    (void)snprintf(applied.hash, sizeof applied.hash, "%s", position->hash);
    node_note(&driver->node, &applied, NULL);
    driver_touch(driver);
    if (promo_is_running(&driver->promo))
        driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_APPLIED,
                                                         .position = driver->node.own.applied });
}

static void
on_row(struct tail_listener *listener, const struct tail_row *row)
{
    struct driver *driver = CONTAINER_OF(listener, struct driver, tail);
    if (str_starts(row->key, "node/"))
        driver_read_members(driver);
    bool arbiter = strcmp(row->key, "arbiter") == 0;
    if (arbiter || str_starts(row->key, "lease."))
        driver_lease_configure(driver);
    if (arbiter || strcmp(row->key, "sync/set") == 0 || strcmp(row->key, "durability") == 0 ||
        str_starts(row->key, "sync."))
        driver_set_changed(driver);
}

static void
on_reloaded(struct tail_listener *listener, const struct cache_position *position)
{
    struct driver *driver = CONTAINER_OF(listener, struct driver, tail);
    driver_read_members(driver);
    driver_lease_configure(driver);
    on_applied(listener, position);
    if (!driver->node.database && pq_state(driver->core->ctl) == PQ_READY)
        driver_database(driver, true, NULL);
}

/* ------------------------------------------------------------------ time */

static void
on_poll(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct driver *driver = CONTAINER_OF(timer, struct driver, poll);
    (void)revents;
    driver_poll_peers(driver);
    uint64_t poll_ms = cache_loaded(driver->core->cache)
                           ? setting_check_interval_ms(cache_settings(driver->core->cache))
                           : DRIVER_FAST_POLL_MS;
    bool fast = driver->node.state == NODE_FENCED || driver->node.state == NODE_DRAINING;
    if (fast && poll_ms > DRIVER_FAST_POLL_MS)
        poll_ms = DRIVER_FAST_POLL_MS;
    timer->repeat = (double)poll_ms / 1000.0;
    ev_timer_again(loop, timer);
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_TICK });
}

static void
on_node_alarm(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    driver_post_node(CONTAINER_OF(timer, struct driver, node_alarm),
                     &(struct node_event){ .kind = NODE_EV_TICK });
}

static void
on_promo_alarm(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    driver_post_promo(CONTAINER_OF(timer, struct driver, promo_alarm),
                      &(struct promo_event){ .kind = PROMO_EV_TIMEOUT });
}

static void
on_drain(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    driver_drain_look(CONTAINER_OF(timer, struct driver, drain));
}

static void
on_upkeep(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct driver *driver = CONTAINER_OF(timer, struct driver, upkeep);
    (void)loop, (void)revents;
    if (!driver->node.database && pq_state(driver->core->ctl) == PQ_READY)
        driver_database(driver, true, NULL);
    driver_upkeep(driver);
    driver_lease_upkeep(driver);
    driver_takeover_look(driver);
    driver_act(driver);
    driver_alarms_look(driver);
}

/* ------------------------------------------------------------------ life */

static struct node_limits
node_limits(const struct driver *driver)
{
    uint64_t stale_ms = setting_u64(SETTING_PEER_STALE_MS, cache_settings(driver->core->cache));
    uint64_t step_ms = setting_u64(SETTING_PROMOTE_STEP_MS, cache_settings(driver->core->cache));
    uint64_t call_ms = setting_u64(SETTING_PROMOTE_CALL_MS, cache_settings(driver->core->cache));
    return (struct node_limits){
        .fresh_ms = stale_ms,
        .retry_ms = 500,
        /* a candidate that lives gives up or captures before this */
        .freeze_ms = setting_u64(SETTING_PROMOTE_FREEZE_MS, cache_settings(driver->core->cache)) +
                     setting_u64(SETTING_PROMOTE_DRAIN_MS, cache_settings(driver->core->cache)) +
                     2 * call_ms,
        .challenge_ms = 2 * step_ms,
        .stream_ms = stale_ms,
    };
}

struct promo_limits
driver_promo_limits(const struct driver *driver)
{
    uint64_t step_ms = setting_u64(SETTING_PROMOTE_STEP_MS, cache_settings(driver->core->cache));
    return (struct promo_limits){
        .call_ms = setting_u64(SETTING_PROMOTE_CALL_MS, cache_settings(driver->core->cache)),
        .prepare_ms = step_ms + 5000,
        .freeze_ms = setting_u64(SETTING_PROMOTE_FREEZE_MS, cache_settings(driver->core->cache)),
        .drain_ms = setting_u64(SETTING_PROMOTE_DRAIN_MS, cache_settings(driver->core->cache)),
        .step_ms = step_ms,
        .release_ms = step_ms,
    };
}

static void port_query(void *data, const char *sql, size_t count, const char *const *values,
                       repl_result_fn *done, void *context);
static void port_after(void *data, unsigned ms, repl_timer_fn *done, void *context);

struct pending_query {
    repl_result_fn *done;
    void *context;
};

static void
on_port_result(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct pending_query *pending = data;
    struct pending_query copy = *pending;
    (void)warned;
    free(pending);
    copy.done(copy.context, result, err);
}

static void
port_query(void *data, const char *sql, size_t count, const char *const *values,
           repl_result_fn *done, void *context)
{
    struct driver *driver = data;
    struct pending_query *pending = mem_zero(1, sizeof *pending);
    *pending = (struct pending_query){ .done = done, .context = context };
    struct pq_request request = { .sql = sql,
                                  .count = count,
                                  .values = values,
                                  .deadline_ms = sql == sql_sub_attach ? REPL_SUBSCRIBE_MS : 0,
                                  .done = on_port_result,
                                  .data = pending };
    (void)pq_send(driver->core->attach, &request);
}

struct pending_timer {
    ev_timer timer;
    repl_timer_fn *done;
    void *context;
};

static void
on_port_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct pending_timer *pending = CONTAINER_OF(timer, struct pending_timer, timer);
    struct pending_timer copy = *pending;
    (void)revents;
    ev_timer_stop(loop, timer);
    free(pending);
    copy.done(copy.context);
}

static void
port_after(void *data, unsigned ms, repl_timer_fn *done, void *context)
{
    struct driver *driver = data;
    struct pending_timer *pending = mem_zero(1, sizeof *pending);
    pending->done = done;
    pending->context = context;
    ev_now_update(driver->core->loop);
    ev_timer_init(&pending->timer, on_port_timer, ms / 1000.0, 0);
    ev_timer_start(driver->core->loop, &pending->timer);
}

static void
port_ask(void *data, const char *member, const char *path, struct json_object *body,
         unsigned timeout_ms, repl_reply_fn *done, void *context)
{
    driver_ask(data, member, path, body, timeout_ms, done, context);
}

struct driver *
driver_new(struct core *core)
{
    struct driver *driver = mem_zero(1, sizeof *driver);
    driver->core = core;
    driver->certificate_days = -1;
    list_init(&driver->tasks);
    driver->queue = mem_zero(DRIVER_QUEUE_MAX, sizeof *driver->queue);
    driver->port = (struct repl_port){
        .data = driver, .query = port_query, .ask = port_ask, .after = port_after
    };
    struct node_limits limits = node_limits(driver);
    struct promo_limits promo_limits = driver_promo_limits(driver);
    node_init(&driver->node, core->home->node, &limits);
    promo_init(&driver->promo, core->home->node, &promo_limits);
    ev_timer_init(&driver->poll, on_poll, 0.0, DRIVER_FAST_POLL_MS / 1000.0);
    ev_timer_init(&driver->node_alarm, on_node_alarm, 0.0, 0.0);
    ev_timer_init(&driver->promo_alarm, on_promo_alarm, 0.0, 0.0);
    ev_timer_init(&driver->drain, on_drain, DRIVER_DRAIN_POLL_MS / 1000.0, 0.0);
    ev_timer_init(&driver->upkeep, on_upkeep, 1.0, 1.0);
    driver->tail.row = on_row;
    driver->tail.applied = on_applied;
    driver->tail.reloaded = on_reloaded;
    return driver;
}

void
driver_start(struct driver *driver)
{
    driver->running = true;
    driver_lease_start(driver);
    driver_set_start(driver);
    driver_takeover_start(driver);
    tail_listen(driver->core->tail, &driver->tail);
    driver_read_members(driver);
    ev_timer_again(driver->core->loop, &driver->poll);
    ev_timer_start(driver->core->loop, &driver->upkeep);
    writer_close(driver->core->writer, "this node has just started and is fenced");
    writer_set_late(driver->core->writer, driver_wake_standbys, driver);
    if (pq_state(driver->core->ctl) == PQ_READY)
        driver_database(driver, true, NULL);
}

void
driver_certificate(struct driver *driver, int days)
{
    driver->certificate_days = days;
    driver_touch(driver);
}

void
driver_refresh_limits(struct driver *driver)
{
    driver->node.limits = node_limits(driver);
    if (!promo_is_running(&driver->promo))
        driver->promo.limits = driver_promo_limits(driver);
}

static void
stop_tasks(struct driver *driver)
{
    struct err err;
    (void)err_set(&err, ERR_UNAVAILABLE, "stopping", "this node stops");
    (void)err_mend(&err, "ask another member");
    while (!list_empty(&driver->tasks)) {
        struct driver_task *task = CONTAINER_OF(driver->tasks.next, struct driver_task, node);
        list_remove(&task->node);
        task->stop(task, &err);
    }
}

void
driver_stop(struct driver *driver)
{
    if (!driver->running)
        return;
    driver->running = false;
    driver_serve_stop(driver);
    stop_tasks(driver);
    driver_lease_stop(driver);
    driver_set_stop(driver);
    driver_takeover_stop(driver);
    tail_unlisten(&driver->tail);
    ev_timer_stop(driver->core->loop, &driver->poll);
    ev_timer_stop(driver->core->loop, &driver->node_alarm);
    ev_timer_stop(driver->core->loop, &driver->promo_alarm);
    ev_timer_stop(driver->core->loop, &driver->drain);
    ev_timer_stop(driver->core->loop, &driver->upkeep);
    repl_attach_cancel(take_ptr(&driver->attach));
    repl_attach_cancel(take_ptr(&driver->pull));
    repl_arm_cancel(take_ptr(&driver->arm));
    writer_set_late(driver->core->writer, NULL, NULL);
    writer_close(driver->core->writer, "this node is stopping");
}

void
driver_free(struct driver *driver)
{
    if (driver == NULL)
        return;
    driver_stop(driver);
    acting_unwait(driver->core->acting); /* may be for us, and would come too late */
    ev_timer_stop(driver->core->loop, &driver->give_up);
    driver_peers_done(driver);
    (void)json_object_put(driver->standbys);
    (void)json_object_put(driver->alarms);
    free(driver->queue);
    free(driver);
}

const struct node *
driver_node(const struct driver *driver)
{
    return &driver->node;
}

const struct promo *
driver_promo(const struct driver *driver)
{
    return &driver->promo;
}

const struct driver_counters *
driver_counters(const struct driver *driver)
{
    return &driver->counters;
}

uint64_t
driver_generation(const struct driver *driver)
{
    return driver->generation + cache_generation(driver->core->cache);
}

void
driver_on_event(struct driver *driver, driver_event *listener, void *data)
{
    driver->listener = listener;
    driver->listener_data = data;
}

struct driver_primary
driver_primary(const struct driver *driver)
{
    struct driver_primary primary = { 0 };
    enum node_state state = driver->node.state;
    if (state == NODE_PRIMARY || state == NODE_CLOSED || state == NODE_DRAINING) {
        (void)snprintf(primary.name, sizeof primary.name, "%s", driver->node.self);
        (void)snprintf(primary.address, sizeof primary.address, "%s",
                       driver->core->home->advertise);
        primary.epoch = driver->node.own.epoch;
        primary.self = true;
        return primary;
    }
    const struct node_peer *peer = node_find_primary(&driver->node, clock_now_ms());
    if (peer == NULL)
        return primary;
    (void)snprintf(primary.name, sizeof primary.name, "%s", peer->name);
    primary.epoch = peer->facts.epoch;
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(driver->peers[i].name, peer->name) == 0)
            (void)snprintf(primary.address, sizeof primary.address, "%s", driver->peers[i].address);
    }
    return primary;
}
