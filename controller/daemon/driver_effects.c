#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/http/server.h"
#include "controller/loop/pq.h"
#include "sql.h"

#define PREPARED_LOOK_MS 5

/* An answer that belongs to one member of one promotion: a late one of an earlier promotion must
 * not be taken for this one's. */
struct call {
    struct driver *driver; /* borrowed */
    char node[NODE_NAME_SIZE];
    uint64_t number;
    struct epoch epoch;
    struct position position;
};

static struct call *
call_new(struct driver *driver, const char *node)
{
    struct call *call = mem_zero(1, sizeof *call);
    call->driver = driver;
    call->number = driver->promo.number;
    call->epoch = driver->promo.epoch;
    ASSERT(str_copy(call->node, sizeof call->node, node));
    return call;
}

/* Frees the call; false when its promotion is over. */
static bool
call_end(struct call *call, struct driver **ret_driver, char node[NODE_NAME_SIZE])
{
    struct driver *driver = call->driver;
    bool current = driver->running && promo_awaits(&driver->promo, call->number, &call->epoch);
    *ret_driver = driver;
    memcpy(node, call->node, NODE_NAME_SIZE);
    free(call);
    return current;
}

static void
set_alarm(struct driver *driver, ev_timer *timer, uint64_t at_ms)
{
    uint64_t now_ms = clock_now_ms();
    /* a millisecond late is on time, a millisecond early would be asked again */
    double after = at_ms <= now_ms ? 0.0 : (double)(at_ms - now_ms + 1) / 1000.0;
    ev_timer_stop(driver->core->loop, timer);
    ev_now_update(driver->core->loop);
    ev_timer_set(timer, after, 0.0);
    ev_timer_start(driver->core->loop, timer);
}

/* ------------------------------------------------------------------ effects of the node */

static void start_attach(struct driver *driver);

/* Of the lease, which needs no answer. */
static void
on_fenced(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    enum node_state state = driver->node.state;
    (void)result, (void)warned;
    driver->fences--;
    if (driver->fences == 0 && driver->attach_waits && driver->running)
        start_attach(driver);
    if (err != NULL)
        log_warn("node.fence", "reason=\"%s\"", err->text);
    else if (state == NODE_FENCED || state == NODE_REJOINING || state == NODE_STANDBY)
        driver_lease_close(driver);
}

static void
on_fenced_for_node(void *data, const PGresult *result, const struct err *err, bool warned)
{
    on_fenced(data, result, err, warned);
    bool ok = err == NULL && PQntuples(result) == 1;
    driver_post_node(data, &(struct node_event){ .kind = NODE_EV_FENCED,
                                                 .ok = ok,
                                                 .text = err == NULL ? NULL : err->text });
}

void
driver_fence_database(struct driver *driver)
{
    driver->fences++;
    (void)pq_query(driver->core->ctl, sql_fence, 0, NULL, on_fenced, driver);
}

static void
answer_freeze(struct driver *driver, const struct node_facts *facts, const struct err *err)
{
    struct http_request *request = take_ptr(&driver->frozen_for);
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_FROZEN, .ok = err == NULL });
    if (request == NULL)
        return;
    if (err != NULL) {
        http_reply_err(request, err);
        return;
    }
    struct json_object *document = json_object_new_object();
    char text[EPOCH_TEXT_SIZE];
    json_add_u64(document, "revision", facts->applied.revision);
    json_add_string(document, "epoch", epoch_text(&facts->applied.epoch, text));
    json_add_string(document, "hash", facts->applied.hash);
    http_reply_json(request, 200, document);
}

/* What counts is whether it writes: it does also when there was nothing to thaw, because the freeze
 * gave up on a writer that waits for acknowledgements, and so would each thaw. */
static void
on_thawed_position(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    const char *writable = err == NULL ? pq_text(result, 0, "writable") : NULL;
    (void)warned;
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_REOPENED,
                                                   .ok = writable != NULL && writable[0] == 't' });
}

static void
on_frozen_position(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    struct node_facts facts = { 0 };
    struct err fault;
    (void)warned;
    const char *is_frozen = err == NULL ? pq_text(result, 0, "frozen") : NULL;
    if (is_frozen != NULL && is_frozen[0] == 't' && driver_read_position(result, &facts)) {
        answer_freeze(driver, &facts, NULL);
        return;
    }
    if (err == NULL)
        (void)err_set(&fault, ERR_CONFLICT, "not_frozen", "the database is not primary any more");
    answer_freeze(driver, NULL, err == NULL ? &fault : err);
}

static void
on_frozen(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    if (err == NULL && PQntuples(result) == 0) { /* frozen already: where does it stand? */
        (void)pq_query(driver->core->ctl, sql_position, 0, NULL, on_frozen_position, driver);
        return;
    }
    on_frozen_position(data, result, err, warned);
}

static void
on_thawed_here(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    (void)result, (void)err, (void)warned;
    (void)pq_query(driver->core->ctl, sql_position, 0, NULL, on_thawed_position, driver);
}

static void
on_attached(void *data, const struct position *position, uint64_t setaside, const struct err *err)
{
    struct driver *driver = data;
    driver->attach = NULL;
    if (setaside > 0) { /* whether a person has to decide is told by the upkeep */
        driver->lost_rows = setaside;
        log_info("node.setaside", "rows=%llu", (unsigned long long)setaside);
    }
    struct node_event event = { .kind = NODE_EV_ATTACHED, .ok = err == NULL };
    if (err != NULL) {
        log_warn("node.attach", "to=%s reason=\"%s\"", driver->node.following, err->text);
        event.text = err->text;
        event.is_primary = strcmp(err->slug, REPL_ATTACH_PRIMARY) == 0;
    } else {
        event.position = *position;
        driver->streaming = true;
        driver->streaming_ms = clock_now_ms();
    }
    driver_post_node(driver, &event);
}

static void
start_attach(struct driver *driver)
{
    char *paths[3];
    char login[CERT_NAME_SIZE];
    const struct home *home = driver->core->home;
    driver->attach_waits = false;
    if (driver->node.state != NODE_REJOINING)
        return;
    home_database_tls(home, paths);
    struct repl_attach_tls tls = { .ca = paths[0],
                                   .certificate = paths[1],
                                   .key = paths[2],
                                   .login = cert_login(home->node, home->generation, login) };
    driver->attach = repl_attach_start(&driver->port, home->node, driver->node.following,
                                       &driver->node.following_epoch, &tls, on_attached, driver);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        free(paths[i]);
}

/* A fence that is under way ends whoever has the lock of our row or waits for it (local.seize()),
 * and would end what is set aside and pulled as well. */
static void
do_attach(struct driver *driver, const struct node_effect *effect)
{
    repl_attach_cancel(take_ptr(&driver->attach));
    /* what is held here belongs to the new primary: it goes back to who asked, and on from there */
    if (writer_mode(driver->core->writer) != WRITER_CLOSED) {
        CLEANUP(freep)
        char *reason = str_printf("%s is primary since epoch %llu", effect->node,
                                  (unsigned long long)effect->epoch.number);
        writer_close(driver->core->writer, reason);
    }
    driver->attach_waits = true;
    if (driver->fences == 0)
        start_attach(driver);
}

void
driver_start_promo(struct driver *driver, const struct promo_order *order, const char *who,
                   const char *why)
{
    const char *members[NODE_MEMBERS_MAX + 1];
    size_t count = 0;
    struct quorum_record record;
    struct err err;
    struct node_facts own = driver_own_facts(driver);
    members[count++] = driver->core->home->node;
    for (size_t i = 0; i < driver->peer_count; i++)
        members[count++] = driver->peers[i].name;
    driver_record(driver, &record);
    driver_refresh_limits(driver);
    if (promo_set(&driver->promo, &own, members, count, &record, &err) != ERR_NONE) {
        log_warn("promo.order", "reason=\"%s\"", err.text);
        return;
    }
    promo_set_note(&driver->promo,
                   order->mode == PROMO_RESUMPTION
                       ? quorum_note_named(driver_note(driver), &record, driver->arbiter_revision)
                       : NULL);
    (void)snprintf(driver->who, sizeof driver->who, "%s", who);
    (void)snprintf(driver->why, sizeof driver->why, "%s", why);
    driver->began_wall_ms = clock_wall_ms();
    driver->began_ms = clock_now_ms();
    driver->detach_wanted = false;
    if (!order->dry_run)
        driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_BEGIN });
    struct promo_order timed = *order;
    (void)clock_wall_text(driver->began_wall_ms, timed.time);
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_ORDER, .order = &timed });
}

static void
do_own_promo(struct driver *driver, enum promo_mode mode)
{
    if (promo_is_running(&driver->promo))
        return;
    struct promo_order order = { .mode = mode, .connectors_ready = true };
    const char *why = driver->node.released
                          ? "the lease of this epoch was given back"
                          : "members, or the arbiter, hold a later promise of a promotion that was "
                            "given up";
    if (mode == PROMO_RESUMPTION)
        why = driver->peer_count == 0
                  ? "started; there is no other member to ask"
                  : "restarted; the peers confirmed that this epoch is the current one";
    driver_new_id(driver);
    driver_start_promo(driver, &order, "baton", why);
}

void
driver_do_node(struct driver *driver, const struct node_effect *effect)
{
    struct core *core = driver->core;
    char number[24];
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)effect->epoch.number);
    const char *pair[] = { number, effect->epoch.holder };
    switch (effect->kind) {
    case NODE_DO_FENCE_DATABASE:
        driver->fences++;
        (void)pq_query(core->ctl, sql_fence, 0, NULL, on_fenced_for_node, driver);
        break;
    case NODE_DO_FREEZE_DATABASE:
        (void)pq_query(core->ctl, sql_freeze, 0, NULL, on_frozen, driver);
        driver_poll_soon(driver);
        break;
    case NODE_DO_THAW_DATABASE:
        (void)pq_query(core->ctl, sql_thaw, 2, pair, on_thawed_here, driver);
        break;
    case NODE_DO_WRITES_OPEN:
        writer_open(core->writer, driver->node.own.epoch.number, driver->node.own.epoch.holder);
        break;
    case NODE_DO_WRITES_HOLD:
        writer_hold(core->writer);
        break;
    case NODE_DO_WRITES_CLOSE:
        writer_close(core->writer, driver->node.reason);
        break;
    case NODE_DO_ATTACH:
        do_attach(driver, effect);
        break;
    case NODE_DO_ATTACH_END:
        repl_attach_cancel(take_ptr(&driver->attach));
        driver->attach_waits = false;
        break;
    case NODE_DO_DEACTIVATE:
        driver->may_act = false;
        acting_release(core->acting, NULL, NULL);
        break;
    case NODE_DO_RESUME:
        do_own_promo(driver, PROMO_RESUMPTION);
        break;
    case NODE_DO_RENEW:
        do_own_promo(driver, PROMO_RENEWAL);
        break;
    case NODE_DO_WANT:
        driver_want_lease(driver, &effect->epoch);
        break;
    case NODE_DO_ALARM:
        set_alarm(driver, &driver->node_alarm, effect->at_ms);
        break;
    case NODE_DO_COUNT:
        break;
    }
}

/* ------------------------------------------------------------------ effects of the promotion */

static void
on_answer(void *context, struct json_object *document, const struct err *err)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    struct node_facts facts = { 0 };
    if (!call_end(context, &driver, node))
        return;
    bool ok = err == NULL && driver_facts_from_json(document, &facts);
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_ANSWER,
                                                     .node = node,
                                                     .ok = ok,
                                                     .facts = &facts,
                                                     .text = err == NULL ? NULL : err->text });
}

static void
on_armed(void *data, const struct err *err)
{
    struct driver *driver = data;
    driver->arm = NULL;
    driver->names_known = err == NULL;
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_ARMED,
                                                     .ok = err == NULL,
                                                     .text = err == NULL ? NULL : err->text });
}

static void
do_arm(struct driver *driver, const struct promo_effect *effect)
{
    const char *members[NODE_MEMBERS_MAX];
    for (size_t i = 0; i < driver->peer_count; i++)
        members[i] = driver->peers[i].name;
    driver->names = driver->promo.armed_for;
    driver->acked_revision = 0;
    repl_arm_cancel(take_ptr(&driver->arm));
    driver->arm =
        repl_arm_start(&driver->port, driver->core->home->node, members, driver->peer_count,
                       effect->remake, &driver->names, &driver->server_names, on_armed, driver);
}

static void look_at_stream(void *context);

static void
tell_prepared(struct call *call, bool ok, const char *text)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    if (call_end(call, &driver, node))
        driver_post_promo(driver,
                          &(struct promo_event){
                              .kind = PROMO_EV_PREPARED, .node = node, .ok = ok, .text = text });
}

static void
on_stream(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct call *call = data;
    struct driver *driver = call->driver;
    bool streams = false;
    (void)warned;
    for (int row = 0; err == NULL && row < PQntuples(result); row++) {
        const char *name = pq_text(result, row, "name");
        const char *state = pq_text(result, row, "state");
        streams = streams || (name != NULL && strcmp(name, call->node) == 0 && state != NULL &&
                              strcmp(state, "streaming") == 0);
    }
    if (!streams && driver->running && driver->promo.state == PROMO_STATE_PREPARING)
        driver->port.after(driver, PREPARED_LOOK_MS, look_at_stream, call);
    else
        tell_prepared(call, streams, NULL);
}

/* It receives, but acknowledges nothing before it has what was written since its slot was made. */
static void
look_at_stream(void *context)
{
    struct call *call = context;
    (void)pq_query(call->driver->core->ctl, sql_standbys, 0, NULL, on_stream, call);
}

static void
on_prepared(void *context, struct json_object *document, const struct err *err)
{
    struct call *call = context;
    (void)document;
    if (err == NULL) {
        look_at_stream(call);
        return;
    }
    log_warn("promo.prepare", "node=%s reason=\"%s\"", call->node, err->text);
    tell_prepared(call, false, err->text);
}

static bool
position_from_json(struct json_object *document, struct position *ret)
{
    const char *epoch;
    const char *hash;
    return json_get_u64(document, "revision", &ret->revision) &&
           json_get_string(document, "epoch", &epoch) && epoch_parse(epoch, &ret->epoch) &&
           json_get_string(document, "hash", &hash) && str_copy(ret->hash, sizeof ret->hash, hash);
}

static void
on_frozen_there(void *context, struct json_object *document, const struct err *err)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    struct promo_event event = { .kind = PROMO_EV_FROZEN };
    if (!call_end(context, &driver, node))
        return;
    event.ok = err == NULL && position_from_json(document, &event.position);
    event.text = err == NULL ? NULL : err->text;
    driver_post_promo(driver, &event);
}

static void
on_thawed_there(void *context, struct json_object *document, const struct err *err)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    (void)document;
    if (call_end(context, &driver, node))
        driver_post_promo(driver,
                          &(struct promo_event){ .kind = PROMO_EV_THAWED, .ok = err == NULL });
}

/* 'sync_set' of the row, as the database has it now: the cache follows a moment later. */
static bool
read_record(const PGresult *result, struct quorum_record *ret)
{
    CLEANUP(json_putp) struct json_object *value = NULL;
    const char *text = pq_text(result, 0, "sync_set");
    return text != NULL && json_read(text, strlen(text), &value, NULL) == ERR_NONE &&
           quorum_from_json(value, ret, NULL) == ERR_NONE;
}

/* 'record' may be NULL: not known, or another member's. */
static void
post_captured(struct driver *driver, const char *node, bool ok, const struct position *position,
              const struct epoch *promised, const struct quorum_record *record)
{
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                                     .node = node,
                                                     .ok = ok,
                                                     .position = *position,
                                                     .promised = *promised,
                                                     .record = record });
}

static void
on_captured_there(void *context, struct json_object *document, const struct err *err)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    struct position position = { 0 };
    struct epoch promised = { 0 };
    const char *text;
    bool granted = false;
    if (!call_end(context, &driver, node))
        return;
    if (err != NULL)
        log_info("promo.capture", "node=%s reason=\"%s\"", node, err->text);
    else if (json_get_bool(document, "granted", &granted) &&
             json_get_string(document, granted ? "before" : "promised", &text))
        (void)!epoch_parse(text, &promised);
    bool ok = granted && position_from_json(document, &position);
    post_captured(driver, node, ok, &position, &promised, NULL);
}

static void
on_captured_here(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = ((struct call *)data)->driver;
    char node[NODE_NAME_SIZE];
    struct node_facts facts = { 0 };
    (void)warned;
    bool read = err == NULL && driver_read_position(result, &facts);
    if (read) /* whatever has become of the promotion: this is what our row says now */
        node_note(&driver->node, NULL, &facts.promised);
    if (!call_end(data, &driver, node))
        return;
    if (!read) {
        log_warn("promo.capture", "node=%s reason=\"%s\"", node,
                 err == NULL ? "no position" : err->text);
        post_captured(driver, node, false, &facts.applied, &(struct epoch){ 0 }, NULL);
        return;
    }
    bool granted = strcmp(pq_text(result, 0, "granted"), "t") == 0;
    struct epoch before;
    if (!driver_read_before(result, &before))
        before = facts.promised;
    struct quorum_record record;
    bool known = read_record(result, &record);
    post_captured(driver, node, granted, &facts.applied, granted ? &before : &facts.promised,
                  known ? &record : NULL);
}

static void
do_capture(struct driver *driver, const struct promo_effect *effect)
{
    struct call *call = call_new(driver, effect->node);
    char text[EPOCH_TEXT_SIZE];
    if (strcmp(effect->node, driver->node.self) == 0) {
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)effect->epoch.number);
        const char *values[] = { text, effect->epoch.holder };
        (void)pq_query(driver->core->ctl, sql_capture, 2, values, on_captured_here, call);
        return;
    }
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add_string(body, "epoch", epoch_text(&effect->epoch, text));
    driver_ask(driver, effect->node, "/v1/peer/capture", body,
               (unsigned)(driver->promo.limits.call_ms + driver->promo.limits.step_ms),
               on_captured_there, call);
}

struct pulled {
    struct call *call;
    struct position position;
};

static void
on_pulled_record(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct pulled pulled = *(struct pulled *)data;
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    struct quorum_record record;
    (void)warned;
    free(data);
    if (!call_end(pulled.call, &driver, node))
        return;
    bool known = err == NULL && read_record(result, &record);
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_PULLED,
                                                     .ok = err == NULL,
                                                     .position = pulled.position,
                                                     .record = known ? &record : NULL,
                                                     .text = err == NULL ? NULL : err->text });
}

static void
on_pulled(void *data, const struct position *position, uint64_t setaside, const struct err *err)
{
    struct driver *driver = data;
    driver->pull = NULL;
    if (setaside > 0)
        driver->lost_rows = setaside;
    if (err != NULL) {
        driver_post_promo(driver,
                          &(struct promo_event){ .kind = PROMO_EV_PULLED, .text = err->text });
        return;
    }
    tail_poke(driver->core->tail);
    /* The cache follows a moment later: what counts is what the rows have brought. */
    struct pulled *pulled = mem_zero(1, sizeof *pulled);
    *pulled = (struct pulled){ .call = call_new(driver, driver->node.self), .position = *position };
    (void)pq_query(driver->core->ctl, sql_sync_set, 0, NULL, on_pulled_record, pulled);
}

static void
on_opened(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    struct node_facts facts = { 0 };
    (void)warned;
    if (!call_end(data, &driver, node))
        return;
    bool ok = err == NULL && driver_read_position(result, &facts);
    if (ok) {
        struct epoch before = promo_known_before(&driver->promo);
        driver_lease_opened(driver, &facts.epoch, &before);
        driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_OPENED,
                                                       .epoch = facts.epoch,
                                                       .position = facts.applied });
    }
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_OPENED,
                                                     .ok = ok,
                                                     .text = err == NULL ? NULL : err->text });
}

static void
on_first_row(void *data, const struct writer_result *result, const struct err *err)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    if (!call_end(data, &driver, node))
        return;
    bool ok = err == NULL && result->epoch == driver->promo.epoch.number;
    /* else it is our writer that was closed, and the node knows why */
    bool fenced = err != NULL && err->code == ERR_FENCED && driver->node.state == NODE_CLOSED;
    if (ok)
        driver->acked_revision = result->revision;
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_ACKNOWLEDGED,
                                                     .ok = ok,
                                                     .fenced = fenced,
                                                     .text = err == NULL ? NULL : err->text });
}

/* The row of an epoch that goes on after a restart still says who began it, why and when; NULL when
 * the row that we know is of another epoch. */
static struct json_object *
resumed_row(struct driver *driver)
{
    const struct cache_entry *entry = cache_get(driver->core->cache, "epoch", "");
    struct json_object *before = entry == NULL ? NULL : cache_value(entry);
    struct json_object *value = NULL;
    const char *holder;
    const char *kind = "";
    uint64_t number;
    if (!json_get_u64(before, "number", &number) || !json_get_string(before, "holder", &holder) ||
        number != driver->promo.epoch.number || strcmp(holder, driver->promo.epoch.holder) != 0)
        return NULL;
    ASSERT(json_object_deep_copy(before, &value, NULL) == 0);
    (void)!json_get_string(before, "kind", &kind);
    bool founded = strcmp(kind, "init") == 0 || strcmp(kind, "restore") == 0;
    bool first_start = founded && json_get(before, "since") == NULL;
    if (json_get(value, "since") == NULL)
        json_add_string(value, "since", entry->at);
    if (!first_start)
        json_add_bool(value, "resumed", true); /* at the time of the row */
    return value;
}

static struct json_object *
epoch_row(struct driver *driver)
{
    const struct promo *promo = &driver->promo;
    struct json_object *value = promo->mode == PROMO_RESUMPTION ? resumed_row(driver) : NULL;
    if (value != NULL)
        return value;
    value = json_object_new_object();
    json_add_u64(value, "number", promo->epoch.number);
    json_add_string(value, "holder", promo->epoch.holder);
    json_add_string(value, "kind", promo_mode_name(promo->mode));
    json_add_string(value, "who", driver->who);
    json_add_string(value, "why", driver->why);
    json_add_string(value, "proof", promo_proof_name(promo->proof));
    json_add_string(value, "site", driver->core->home->site);
    return value;
}

static void
do_first_row(struct driver *driver)
{
    const struct promo *promo = &driver->promo;
    struct err err;
    struct json_object *value = epoch_row(driver);
    struct json_object *group = writer_group(driver->who, driver->why);
    writer_group_put(group, "epoch", "", value, WRITER_ANY_REVISION);
    if (promo->degraded)
        writer_group_put(group, "sync/set", "", quorum_to_json(&promo->record),
                         WRITER_ANY_REVISION);
    struct call *call = call_new(driver, driver->node.self);
    writer_hold(driver->core->writer);
    if (writer_submit(driver->core->writer, group, WRITER_FIRST | WRITER_PATIENT, on_first_row,
                      call, NULL, &err) == ERR_NONE)
        return;
    free(call);
    driver_post_promo(driver,
                      &(struct promo_event){ .kind = PROMO_EV_ACKNOWLEDGED, .text = err.text });
}

static void
on_followed(void *context, struct json_object *document, const struct err *err)
{
    (void)context, (void)document, (void)err; /* a hint: the next poll says the same */
}

static void
on_released(void *context, struct json_object *document, const struct err *err)
{
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    bool ok = false;
    if (!call_end(context, &driver, node))
        return;
    if (err == NULL && !json_get_bool(document, "released", &ok))
        ok = false;
    const char *acted;
    struct epoch epoch;
    if (ok && json_get_string(document, "acted", &acted) && epoch_parse(acted, &epoch))
        driver_lease_proved(driver, &epoch);
    driver_post_promo(driver, &(struct promo_event){ .kind = PROMO_EV_RELEASED, .ok = ok });
}

static void
on_detached(void *context, const PGresult *result, const struct err *err)
{
    (void)context, (void)result;
    if (err != NULL)
        log_warn("promo.detach", "reason=\"%s\"", err->text);
}

static void
on_subs_to_detach(void *context, const PGresult *result, const struct err *err)
{
    struct driver *driver = context;
    if (err != NULL)
        return;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *values[] = { pq_text(result, row, "name") };
        if (values[0] != NULL)
            driver->port.query(driver, sql_sub_detach, 1, values, on_detached, driver);
    }
}

/* A primary receives from nobody. Off the path of the promotion: rows of an earlier epoch are
 * refused by the gate anyhow. */
static void
detach_all(struct driver *driver)
{
    driver->streaming = false;
    driver->port.query(driver, sql_subs, 0, NULL, on_subs_to_detach, driver);
}

static void
do_call(struct driver *driver, const struct promo_effect *effect)
{
    struct call *call = call_new(driver, effect->node);
    unsigned call_ms = (unsigned)driver->promo.limits.call_ms;
    char text[EPOCH_TEXT_SIZE];
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add_string(body, "epoch", epoch_text(&driver->promo.epoch, text));
    if (effect->kind == PROMO_DO_ASK) {
        driver_ask(driver, effect->node, "/v1/peer/state", NULL, call_ms, on_answer, call);
    } else if (effect->kind == PROMO_DO_PREPARE) {
        driver_ask(driver, effect->node, "/v1/peer/prepare", body,
                   (unsigned)driver->promo.limits.prepare_ms, on_prepared, call);
    } else if (effect->kind == PROMO_DO_FREEZE) {
        driver_ask(driver, effect->node, "/v1/peer/freeze", body,
                   (unsigned)driver->promo.limits.freeze_ms, on_frozen_there, call);
    } else if (effect->kind == PROMO_DO_THAW) {
        driver_ask(driver, effect->node, "/v1/peer/thaw", body, call_ms, on_thawed_there, call);
    } else {
        ASSERT(effect->kind == PROMO_DO_RELEASE);
        driver_ask(driver, effect->node, "/v1/peer/deactivate", body,
                   (unsigned)driver->promo.limits.release_ms, on_released, call);
    }
}

static void
do_open(struct driver *driver, const struct promo_effect *effect)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)effect->epoch.number);
    const char *values[] = { number, effect->epoch.holder };
    if (!effect->resume)
        driver->gate_ms = 0; /* what is left of an earlier epoch */
    driver_gate_database(driver);
    (void)pq_query(driver->core->ctl, effect->resume ? sql_resume : sql_open, 2, values, on_opened,
                   call_new(driver, driver->node.self));
}

static void
do_follow(struct driver *driver, const struct promo_effect *effect)
{
    CLEANUP(json_putp) struct json_object *state = driver_state_json(driver);
    driver_ask(driver, effect->node, "/v1/peer/follow", state,
               (unsigned)driver->promo.limits.call_ms, on_followed, NULL);
}

void
driver_do_promo(struct driver *driver, const struct promo_effect *effect)
{
    switch (effect->kind) {
    case PROMO_DO_ASK:
    case PROMO_DO_PREPARE:
    case PROMO_DO_FREEZE:
    case PROMO_DO_THAW:
    case PROMO_DO_RELEASE:
        do_call(driver, effect);
        break;
    case PROMO_DO_ASK_ARBITER:
    case PROMO_DO_PROMISE:
        driver_note_inquire(driver, effect);
        break;
    case PROMO_DO_ARM:
        do_arm(driver, effect);
        break;
    case PROMO_DO_CAPTURE:
        do_capture(driver, effect);
        break;
    case PROMO_DO_PULL:
        repl_attach_cancel(take_ptr(&driver->pull));
        driver->streaming = false;
        driver->pull =
            repl_catch_up_start(&driver->port, driver->core->home->node, effect->node,
                                &driver->promo.epoch, effect->position.revision, on_pulled, driver);
        break;
    case PROMO_DO_DETACH:
        driver->detach_wanted = true; /* once the path is free */
        break;
    case PROMO_DO_OPEN:
        do_open(driver, effect);
        break;
    case PROMO_DO_FOLLOW:
        do_follow(driver, effect);
        break;
    case PROMO_DO_FIRST_ROW:
        do_first_row(driver);
        break;
    case PROMO_DO_WRITES_OPEN:
        driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_ACKED });
        detach_all(driver);
        break;
    case PROMO_DO_ACTIVATE:
        driver->may_act = true;
        driver_act(driver);
        driver_touch(driver);
        break;
    case PROMO_DO_ALARM:
        set_alarm(driver, &driver->promo_alarm, effect->at_ms);
        break;
    case PROMO_DO_FINISHED:
        driver_promo_finished(driver);
        break;
    case PROMO_DO_COUNT:
        break;
    }
}

/* ------------------------------------------------------------------ draining */

static void
on_drain_position(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    struct node_facts facts = { 0 };
    (void)warned;
    if (driver->promo.state != PROMO_STATE_DRAINING)
        return;
    if (err == NULL && driver_read_position(result, &facts))
        driver_post_promo(
            driver, &(struct promo_event){ .kind = PROMO_EV_APPLIED, .position = facts.applied });
    if (driver->promo.state == PROMO_STATE_DRAINING)
        set_alarm(driver, &driver->drain, clock_now_ms());
}

/* Every millisecond counts here, and NOTIFY comes some of them later. */
void
driver_drain_look(struct driver *driver)
{
    if (driver->promo.state == PROMO_STATE_DRAINING)
        (void)pq_query(driver->core->ctl, sql_position, 0, NULL, on_drain_position, driver);
}
