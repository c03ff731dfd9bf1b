/*
 * The lease: carries out what sites/lease decides, and tells it what happens here. The arbiter is
 * controller/arbiter, the record of which one the key "arbiter" of the shared log.
 */
#include <stdio.h>
#include <string.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/keeper.h"
#include "controller/loop/pq.h"
#include "sql.h"

#define LEASE_GIVE_UP_AGAIN_MS 1000

static void post(struct driver *driver, const struct lease_event *event);

/* ------------------------------------------------------------------ the arbiter */

struct question {
    struct driver *driver; /* borrowed */
    uint32_t serial;
    enum lease_op op;
    uint64_t began_us;
};

static enum lease_result
result_of(enum arbiter_result result)
{
    switch (result) {
    case ARBITER_GRANTED:
        return LEASE_RESULT_GRANTED;
    case ARBITER_DONE:
        return LEASE_RESULT_DONE;
    case ARBITER_HELD:
        return LEASE_RESULT_TAKEN;
    case ARBITER_STALE:
        return LEASE_RESULT_STALE;
    case ARBITER_EXPIRED:
        return LEASE_RESULT_EXPIRED;
    case ARBITER_EMPTY:
        return LEASE_RESULT_EMPTY;
    case ARBITER_RESTORED:
        return LEASE_RESULT_RESTORED;
    case ARBITER_EXISTS: /* of CREATE only */
    case ARBITER_UNCLEAR:
        break;
    }
    return LEASE_RESULT_UNCLEAR;
}

static void
on_reply(void *data, const struct arbiter_reply *from)
{
    struct question *question = data;
    struct driver *driver = question->driver;
    struct lease_reply reply = {
        .result = result_of(from->result),
        .serial = question->serial,
        .sent_ms = from->sent_ms,
        .known =
            from->has_record && from->result != ARBITER_EMPTY && from->result != ARBITER_UNCLEAR,
        .record = { .epoch = from->epoch,
                    .lease_ms = from->lease_ms,
                    .remaining_ms = from->remaining_ms,
                    .released = from->released,
                    .clean = from->clean,
                    .grant = from->grant },
        .text = from->err.text,
    };
    driver->lease_call = NULL;
    driver->lease_question = NULL;
    driver->counters.arbiter_replies[question->op][reply.result]++;
    driver->counters.arbiter_us += clock_now_us() - question->began_us;
    free(question);
    driver_note_heard(driver, from);
    log_debug("lease.reply", "op=%s result=%s text=\"%s\"", arbiter_op_name(from->op),
              arbiter_result_name(from->result), from->err.text);
    post(driver, &(struct lease_event){ .kind = LEASE_EV_REPLY, .reply = &reply });
}

static enum arbiter_op
op_of(enum lease_op op)
{
    switch (op) {
    case LEASE_OP_ACQUIRE:
        return ARBITER_OP_ACQUIRE;
    case LEASE_OP_RENEW:
        return ARBITER_OP_RENEW;
    case LEASE_OP_RELEASE:
        return ARBITER_OP_RELEASE;
    case LEASE_OP_READ:
    case LEASE_OP_COUNT:
        break;
    }
    return ARBITER_OP_READ;
}

static void
ask_arbiter(struct driver *driver, const struct lease_effect *effect)
{
    uint64_t now_ms = clock_now_ms();
    if (driver->lease_call != NULL) { /* of before: nobody waits for it any more */
        arbiter_cancel(take_ptr(&driver->lease_call));
        free(take_ptr(&driver->lease_question));
    }
    if (driver->arbiter == NULL)
        return; /* its time runs out, and that is what the machine takes it for */
    struct question *question = mem_zero(1, sizeof *question);
    *question = (struct question){
        .driver = driver, .serial = effect->serial, .op = effect->op, .began_us = clock_now_us()
    };
    struct arbiter_ask ask = {
        .op = op_of(effect->op),
        .epoch = effect->epoch,
        .known = effect->memory.seen,
        .lease_ms = (uint32_t)effect->lease_ms,
        .grant = effect->grant,
        .deadline_ms = effect->at_ms > now_ms ? (uint32_t)(effect->at_ms - now_ms) : 1,
    };
    driver->lease_question = question;
    driver->lease_call = arbiter_start(driver->arbiter, &ask, on_reply, question);
}

/* ------------------------------------------------------------------ the members */

struct confirmation {
    struct driver *driver; /* borrowed */
    char node[NODE_NAME_SIZE];
    struct epoch epoch;
    uint64_t asked_ms;
};

static void
on_confirmed(void *context, struct json_object *document, const struct err *err)
{
    struct confirmation confirmation = *(struct confirmation *)context;
    struct driver *driver = confirmation.driver;
    bool given;
    free(context);
    if (err != NULL || !json_get_bool(document, "given", &given))
        return; /* no answer is neither yes nor no */
    post(driver, &(struct lease_event){ .kind = LEASE_EV_CONFIRM,
                                        .epoch = confirmation.epoch,
                                        .node = confirmation.node,
                                        .asked_ms = confirmation.asked_ms,
                                        .ok = given });
}

static void
ask_members(struct driver *driver, const struct epoch *epoch, uint64_t lease_ms)
{
    char text[EPOCH_TEXT_SIZE];
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add_string(body, "epoch", epoch_text(epoch, text));
    json_add_u64(body, "lease_ms", lease_ms);
    for (size_t i = 0; i < driver->peer_count; i++) {
        struct confirmation *confirmation = mem_zero(1, sizeof *confirmation);
        confirmation->driver = driver;
        confirmation->epoch = *epoch;
        confirmation->asked_ms = clock_now_ms();
        ASSERT(str_copy(confirmation->node, sizeof confirmation->node, driver->peers[i].name));
        driver_ask(driver, confirmation->node, "/v1/peer/word", body,
                   (unsigned)driver->lease.config.renew_ms, on_confirmed, confirmation);
    }
}

/* Does this node use a connector server? */
static bool
acts_outside(const struct driver *driver)
{
    CLEANUP(json_putp)
    struct json_object *list = acting_connectors(driver->core->acting);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *effective;
        if (!json_get_string(json_object_array_get_idx(list, i), "effective", &effective) ||
            strcmp(effective, "none") != 0)
            return true;
    }
    return false;
}

bool
driver_lease_give_word(struct driver *driver, const char *node, const struct epoch *epoch,
                       uint64_t lease_ms)
{
    if (!driver->lease_loaded || driver->node.state != NODE_STANDBY ||
        strcmp(driver->node.following, node) != 0 ||
        !epoch_equal(&driver->node.own.promised, epoch) || acts_outside(driver))
        return false;
    post(driver,
         &(struct lease_event){ .kind = LEASE_EV_WORD, .epoch = *epoch, .lease_ms = lease_ms });
    return true;
}

/* ------------------------------------------------------------------ our own effects */

static void
on_noted(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)data, (void)result, (void)warned;
    if (err != NULL)
        log_warn("lease.note", "reason=\"%s\"", err->text);
}

static void
note_memory(struct driver *driver, const struct lease_memory *memory)
{
    char number[3][24];
    (void)snprintf(number[0], sizeof number[0], "%llu", (unsigned long long)memory->arbiter);
    (void)snprintf(number[1], sizeof number[1], "%llu", (unsigned long long)memory->seen.number);
    (void)snprintf(number[2], sizeof number[2], "%llu", (unsigned long long)memory->cleared.number);
    const char *values[] = { number[0], number[1], memory->seen.holder, number[2],
                             memory->cleared.holder };
    (void)pq_query(driver->core->ctl, sql_tenure_note, 5, values, on_noted, NULL);
}

static void
on_gate_none(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    driver->gate_none = err == NULL && driver->gate_ms == 0;
    on_noted(NULL, result, err, warned);
}

/* The database counts by a clock of its own, from when the statement arrives: later than now by
 * less than the guard, or the gate of the daemon holds. */
void
driver_gate_database(struct driver *driver)
{
    char text[24];
    uint64_t now_ms = clock_now_ms();
    uint64_t left_ms = driver->gate_ms > now_ms ? driver->gate_ms - now_ms : 0;
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)left_ms);
    const char *values[] = { driver->gate_ms == 0 ? NULL : text };
    if (driver->gate_ms == 0) {
        /* where there was none, a switchover that opens the database waits for nothing here */
        if (!driver->gate_none)
            (void)pq_query(driver->core->ctl, sql_tenure_set, 1, values, on_gate_none, driver);
        return;
    }
    driver->gate_none = false;
    (void)pq_query(driver->core->ctl, sql_tenure_set, 1, values, on_noted, NULL);
}

static void give_up(struct driver *driver);

static void
on_given_up(void *data, bool ok, const char *text)
{
    struct driver *driver = data;
    if (ok && !driver->leased) {
        driver_lease_stopped(driver);
        return;
    }
    log_info("lease.stopping", "reason=\"%s\"", text == NULL ? "" : text);
    ev_timer_stop(driver->core->loop, &driver->give_up);
    ev_timer_set(&driver->give_up, LEASE_GIVE_UP_AGAIN_MS / 1000.0, 0.0);
    ev_timer_start(driver->core->loop, &driver->give_up);
}

static void
give_up(struct driver *driver)
{
    acting_release(driver->core->acting, on_given_up, driver);
}

static void
on_give_up_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct driver *driver = timer->data;
    (void)loop, (void)revents;
    bool waited_for =
        driver->lease.state == LEASE_STATE_LOST || driver->lease.state == LEASE_STATE_RELEASING;
    if (driver->running && waited_for && !driver->lease.stopped)
        give_up(driver);
}

static void
allow(struct driver *driver, const struct lease_effect *effect)
{
    driver->leased = effect->may;
    driver_touch(driver);
    driver_act(driver);
    /* While it only has to be asked for anew, what is in use stays, and nothing new begins. */
    if (!effect->may && driver->lease.state != LEASE_STATE_WANTED)
        give_up(driver);
}

static void
set_alarm(struct driver *driver, uint64_t at_ms)
{
    uint64_t now_ms = clock_now_ms();
    double after = at_ms <= now_ms ? 0.0 : (double)(at_ms - now_ms) / 1000.0;
    ev_timer_stop(driver->core->loop, &driver->lease_alarm);
    ev_now_update(driver->core->loop);
    ev_timer_set(&driver->lease_alarm, after, 0.0);
    ev_timer_start(driver->core->loop, &driver->lease_alarm);
}

/* A database that is not our own outlives us, and takes writes until its gate closes: then nothing
 * is released for us. */
static void
set_watchdog(struct driver *driver, const struct lease_effect *effect)
{
    struct keeper_will will = { .epoch = effect->epoch,
                                .known = driver->lease.memory.seen,
                                .grant = driver->lease.grant };
    if (effect->epoch.number != 0)
        keeper_will(home_managed(driver->core->home) ? &will : NULL);
    keeper_deadline(effect->at_ms);
}

static void
carry_out(struct driver *driver, const struct lease_effect *effect)
{
    switch (effect->kind) {
    case LEASE_DO_ASK_ARBITER:
        ask_arbiter(driver, effect);
        break;
    case LEASE_DO_ASK_MEMBERS:
        ask_members(driver, &effect->epoch, effect->lease_ms);
        break;
    case LEASE_DO_MAY_ACT:
        allow(driver, effect);
        break;
    case LEASE_DO_GATE:
        driver->gate_ms = effect->at_ms;
        driver_gate_database(driver);
        break;
    case LEASE_DO_WATCHDOG:
        set_watchdog(driver, effect);
        break;
    case LEASE_DO_FENCE:
        driver_post_node(
            driver, &(struct node_event){ .kind = NODE_EV_LAPSED, .text = driver->lease.reason });
        if (driver->node.state != NODE_PRIMARY && driver->node.state != NODE_CLOSED &&
            driver->node.state != NODE_DRAINING)
            driver_fence_database(driver);
        break;
    case LEASE_DO_NOTE:
        note_memory(driver, &effect->memory);
        break;
    case LEASE_DO_REPORT:
        log_info("lease.state", "state=%s alarm=%s reason=\"%s\"",
                 lease_state_name(driver->lease.state), lease_alarm_name(driver->lease.alarm),
                 driver->lease.reason);
        driver_touch(driver);
        break;
    case LEASE_DO_ALARM:
        set_alarm(driver, effect->at_ms);
        break;
    case LEASE_DO_COUNT:
        break;
    }
}

struct json_object *
driver_lease_news(const struct driver *driver)
{
    const struct lease *lease = &driver->lease;
    struct json_object *object = json_object_new_object();
    uint64_t now_ms = clock_now_ms();
    json_add_string(object, "state", driver->lease_loaded ? lease_state_name(lease->state) : NULL);
    json_add_string(object, "alarm", lease_alarm_name(lease->alarm));
    json_add_string(object, "trouble", lease->trouble);
    json_add(object, "left_ms",
             lease->deadline_ms <= now_ms ? NULL
                                          : json_object_new_uint64(lease->deadline_ms - now_ms));
    return object;
}

/* For people who listen. */
static void
tell(struct driver *driver)
{
    char text[EPOCH_TEXT_SIZE];
    const struct lease *lease = &driver->lease;
    struct json_object *document = json_object_new_object();
    json_add_string(document, "node", driver->node.self);
    json_add_string(document, "state", lease_state_name(lease->state));
    json_add_string(document, "epoch",
                    lease->epoch.number == 0 ? NULL : epoch_text(&lease->epoch, text));
    json_add_string(document, "alarm", lease_alarm_name(lease->alarm));
    json_add_string(document, "reason", lease->reason);
    driver_emit(driver, "lease", document);
}

static void
post(struct driver *driver, const struct lease_event *from)
{
    struct lease_event event = *from;
    struct lease_effects effects;
    struct err err;
    enum lease_alarm alarm = driver->lease.alarm;
    if (!driver->running || !driver->lease_loaded)
        return;
    enum lease_state before = driver->lease.state;
    event.now_ms = clock_now_ms();
    if (lease_step(&driver->lease, &event, &effects, &err) != ERR_NONE) {
        log_debug("lease.refused", "event=%s reason=\"%s\"", lease_event_name(event.kind),
                  err.text);
        return;
    }
    const struct epoch *granted = NULL;
    if (lease_is_granted(&driver->lease, &driver->lease.epoch, event.now_ms))
        granted = &driver->lease.epoch;
    node_note_lease(&driver->node, driver->lease.state != LEASE_STATE_NONE, granted);
    node_note_released(&driver->node, lease_needs_later_epoch(&driver->lease));
    node_note_arbiter(&driver->node,
                      driver->lease.unclear_ms == 0 ? &driver->arbiter_promised : NULL);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(driver, &effects.list[i]);
    if (driver->lease.state != before) {
        log_info("lease.step", "from=%s to=%s reason=\"%s\"", lease_state_name(before),
                 lease_state_name(driver->lease.state), driver->lease.reason);
        driver_touch(driver);
        driver->counters.leases_lost += driver->lease.state == LEASE_STATE_LOST;
    }
    if (driver->lease.state != before || driver->lease.alarm != alarm)
        tell(driver);
    if (before == LEASE_STATE_RELEASING && driver->lease.state != before)
        driver_released(driver);
    if (granted != NULL && driver->node.state == NODE_FENCED && driver->lease.state != before)
        driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_TICK });
}

/* ------------------------------------------------------------------ what the driver tells */

void
driver_want_lease(struct driver *driver, const struct epoch *epoch)
{
    /* After a restart it is not known who acted before: the latest that it can have been. */
    struct epoch before = epoch_make(epoch->number - 1, "~");
    post(driver, &(struct lease_event){ .kind = LEASE_EV_WANT, .epoch = *epoch, .before = before });
}

void
driver_lease_opened(struct driver *driver, const struct epoch *epoch, const struct epoch *before)
{
    post(driver,
         &(struct lease_event){ .kind = LEASE_EV_WANT, .epoch = *epoch, .before = *before });
}

void
driver_lease_close(struct driver *driver)
{
    post(driver, &(struct lease_event){ .kind = LEASE_EV_CLOSE });
}

void
driver_lease_stopped(struct driver *driver)
{
    post(driver, &(struct lease_event){ .kind = LEASE_EV_STOPPED });
}

bool
driver_lease_is_releasing(const struct driver *driver)
{
    return driver->lease.state == LEASE_STATE_RELEASING;
}

void
driver_lease_hold(struct driver *driver)
{
    post(driver, &(struct lease_event){ .kind = LEASE_EV_HOLD });
}

void
driver_lease_proved(struct driver *driver, const struct epoch *epoch)
{
    post(driver, &(struct lease_event){ .kind = LEASE_EV_PROVED, .epoch = *epoch });
}

/* A primary whose database stays away is none: after a whole lease its database takes no writes any
 * more, if it ever comes back, and somebody else may have it. */
void
driver_lease_upkeep(struct driver *driver)
{
    const struct node *node = &driver->node;
    if (node->state == NODE_FENCED && !node->database && driver->lease.deadline_ms != 0 &&
        clock_now_ms() - node->since_ms > driver->lease.config.ttl_ms)
        driver_lease_close(driver);
    driver_bar_look(driver);
}

/* ------------------------------------------------------------------ which arbiter */

static void
open_arbiter(struct driver *driver, struct json_object *value)
{
    const struct home *home = driver->core->home;
    struct arbiter_config config = { 0 };
    struct err err;
    CLEANUP(freep) char *cert = home_path(home, "node.crt");
    CLEANUP(freep) char *key = home_path(home, "node.key");
    struct arbiter_options options = {
        .loop = driver->core->loop,
        .config = &config,
        .cluster_id = home->cluster_id,
        .node = home->node,
        .cert = cert,
        .key = key,
    };
    if (arbiter_config_read(value, &config, &err) == ERR_NONE && config.kind != ARBITER_MANUAL &&
        arbiter_open(&options, &driver->arbiter, &err) != ERR_NONE)
        log_error("arbiter.open", "reason=\"%s\"", err.text);
    driver->arbiter_kind = config.kind;
    keeper_arbiter(driver->arbiter == NULL ? NULL : json_text(value));
    arbiter_config_done(&config);
}

static void
close_arbiter(struct driver *driver)
{
    driver_note_stop(driver);
    driver_bar_stop(driver);
    if (driver->lease_call != NULL) {
        arbiter_cancel(take_ptr(&driver->lease_call));
        free(take_ptr(&driver->lease_question));
    }
    arbiter_close(take_ptr(&driver->arbiter));
    keeper_arbiter(NULL);
    driver->arbiter_kind = ARBITER_MANUAL;
}

void
driver_lease_configure(struct driver *driver)
{
    const struct cache_entry *entry = cache_get(driver->core->cache, "arbiter", "");
    uint64_t revision = entry == NULL ? 0 : entry->revision;
    if (!driver->lease_loaded || !cache_loaded(driver->core->cache))
        return;
    if (revision != driver->arbiter_revision) {
        driver->arbiter_revision = revision;
        close_arbiter(driver);
        if (entry != NULL)
            open_arbiter(driver, cache_value(entry));
    }
    struct lease_config config = lease_config_from(
        cache_settings(driver->core->cache), driver->arbiter_kind == ARBITER_MANUAL ? 0 : revision);
    post(driver, &(struct lease_event){ .kind = LEASE_EV_CONFIGURE, .config = &config });
}

void
driver_lease_members(struct driver *driver)
{
    const char *names[NODE_MEMBERS_MAX];
    for (size_t i = 0; i < driver->peer_count; i++)
        names[i] = driver->peers[i].name;
    lease_set_members(&driver->lease, names, driver->peer_count);
}

/* ------------------------------------------------------------------ life */

static bool
read_memory(const PGresult *result, struct lease_memory *ret)
{
    static const char *const names[] = { "arbiter", "seen", "cleared" };
    uint64_t numbers[3];
    if (PQntuples(result) != 1)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *text = pq_text(result, 0, names[i]);
        if (text == NULL || !str_to_u64(text, 0, INT64_MAX, &numbers[i]))
            return false;
    }
    const char *seen = pq_text(result, 0, "seen_holder");
    const char *cleared = pq_text(result, 0, "cleared_holder");
    if (seen == NULL || cleared == NULL)
        return false;
    *ret = (struct lease_memory){ .arbiter = numbers[0],
                                  .seen = epoch_make(numbers[1], seen),
                                  .cleared = epoch_make(numbers[2], cleared) };
    return true;
}

static void
on_memory(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    struct lease_memory memory;
    (void)warned;
    if (driver->lease_loaded || err != NULL || !read_memory(result, &memory))
        return;
    lease_init(&driver->lease, driver->core->home->node, &memory);
    driver->lease_loaded = true;
    driver_lease_members(driver);
    driver_lease_configure(driver);
}

void
driver_lease_load(struct driver *driver)
{
    if (!driver->lease_loaded)
        (void)pq_query(driver->core->ctl, sql_tenure_show, 0, NULL, on_memory, driver);
}

static void
on_lease_alarm(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    post(timer->data, &(struct lease_event){ .kind = LEASE_EV_TICK });
}

/* Before anything else of this turn of the loop: the process may have been stopped for longer than
 * the lease lasts, and what is pending now was decided before. */
static void
on_turn(struct ev_loop *loop, ev_check *check, int revents)
{
    struct driver *driver = check->data;
    (void)loop, (void)revents;
    if (driver->lease.deadline_ms != 0 && clock_now_ms() >= driver->lease.deadline_ms)
        post(driver, &(struct lease_event){ .kind = LEASE_EV_TICK });
}

void
driver_lease_start(struct driver *driver)
{
    struct ev_loop *loop = driver->core->loop;
    lease_init(&driver->lease, driver->core->home->node, NULL);
    node_note_lease(&driver->node, true, NULL); /* until it is known that there is no arbiter */
    ev_init(&driver->lease_alarm, on_lease_alarm);
    ev_init(&driver->give_up, on_give_up_again);
    ev_check_init(&driver->turn, on_turn);
    driver->lease_alarm.data = driver;
    driver->give_up.data = driver;
    driver->turn.data = driver;
    ev_set_priority(&driver->turn, EV_MAXPRI);
    ev_check_start(loop, &driver->turn);
}

void
driver_lease_stop(struct driver *driver)
{
    struct ev_loop *loop = driver->core->loop;
    ev_timer_stop(loop, &driver->lease_alarm);
    ev_timer_stop(loop, &driver->give_up);
    ev_check_stop(loop, &driver->turn);
    driver_released(driver);
    close_arbiter(driver);
    keeper_deadline(0);
}
