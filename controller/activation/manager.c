#include "controller/activation/manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/activation/action.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"

enum phase {
    PHASE_IDLE,
    PHASE_STORING,  /* the intent is being stored */
    PHASE_RUNNING,  /* a driver runs */
    PHASE_STOPPING, /* a driver runs and was told to end */
    PHASE_LOOKING,  /* a driver looks whether all is still as it made it */
    PHASE_LEAVING,  /* the same, and was told to end */
};

enum step_state { STEP_TODO, STEP_DONE, STEP_REFUSED, STEP_FAILED };

/* One connector. */
struct slot {
    struct list node;
    struct activation_manager *manager; /* borrowed */
    char name[CONNECTOR_NAME_SIZE];
    struct connector *used;  /* owned; the document of the last change; NULL before */
    struct connector *newer; /* owned; one that no change has used yet; or NULL */
    uint64_t newest;         /* revision of the newest document that we have; 0 for none */
    bool listed;             /* in the last activation_want() */
    struct activation_change desired;
    struct activation_record record;
    const char *blocked;             /* static */
    struct spread_target *instances; /* owned; those of 'desired' */
    size_t instance_count;
    bool settled;
    bool news;                    /* they are others than the drivers were told */
    bool telling;                 /* the look that goes on tells it */
    bool waiting;                 /* one of them, for a place */
    struct spread_room room;      /* where most of them lack one; zero: none does */
    struct spread_room room_next; /* the same, of the look that goes on */
    /* the last or current try */
    enum phase phase;
    char action_id[ACTIVATION_ID_SIZE];
    enum step_state steps[CONNECTOR_ACTION_COUNT_MAX];
    bool proved[CONNECTOR_ACTION_COUNT_MAX]; /* what the receivers of 'used' said last */
    size_t step;                             /* that runs */
    struct action *action;
    char *drivers;        /* owned; "file+exec" */
    char *text;           /* owned */
    const char *stopping; /* static; why a stop was asked for */
    struct buf output;
    int64_t started_wall_ms;
    int64_t ended_wall_ms;
    uint64_t started_ms;
    uint64_t took_ms;
    /* looking after it */
    uint64_t looked_ms;     /* the last try or look ended then */
    uint64_t again_ms;      /* a driver asked for a look after so long; 0: none did */
    uint64_t again_next_ms; /* the same, of the look that goes on */
    bool overtaken;         /* what we gave up is somebody else's now */
    uint64_t repair_count;
    int64_t repaired_wall_ms;
    char *repair; /* owned; what the last one put right */
};

struct activation_manager {
    struct ev_loop *loop;  /* borrowed */
    struct worker *worker; /* borrowed */
    ev_timer alarm;
    char cluster[ACTIVATION_CLUSTER_SIZE];
    char node[NODE_NAME_SIZE];
    char site[SITE_NAME_SIZE];
    struct activation_settings settings;
    struct activation_ports ports;
    enum activation_gate gate;
    bool wanted; /* activation_want() was called: before it, nobody knows what to undo */
    struct list slots;
    size_t slot_count;
    size_t running_count; /* slots that are not idle */
};

static void run_next_step(struct slot *slot);

/* ---- slots ---- */

static void
slot_free(struct slot *slot)
{
    list_remove(&slot->node);
    action_abandon(slot->action);
    connector_free(slot->used);
    connector_free(slot->newer);
    buf_done(&slot->output);
    free(slot->drivers);
    free(slot->text);
    free(slot->repair);
    free(slot->instances);
    free(slot);
}

static struct slot *
slot_find(const struct activation_manager *manager, const char *name)
{
    list_each (at, &manager->slots) {
        struct slot *slot = CONTAINER_OF(at, struct slot, node);
        if (strcmp(slot->name, name) == 0)
            return slot;
    }
    return NULL;
}

static struct slot *
slot_find_or_add(struct activation_manager *manager, const char *name)
{
    struct slot *slot = slot_find(manager, name);
    if (slot != NULL)
        return slot;
    if (manager->slot_count >= ACTIVATION_CONNECTORS_MAX) {
        log_error("activation.too_many", "connector=%s max=%d", name, ACTIVATION_CONNECTORS_MAX);
        return NULL;
    }
    slot = mem_zero(1, sizeof *slot);
    if (!str_copy(slot->name, sizeof slot->name, name)) {
        free(slot);
        return NULL;
    }
    slot->manager = manager;
    slot->blocked = slot->stopping = "";
    list_add_tail(&manager->slots, &slot->node);
    manager->slot_count++;
    return slot;
}

static void
wake_in(struct activation_manager *manager, uint64_t after_ms)
{
    ev_timer_stop(manager->loop, &manager->alarm);
    ev_timer_set(&manager->alarm, (double)after_ms / 1000, 0.);
    ev_timer_start(manager->loop, &manager->alarm);
}

static struct activation_report
report_of(const struct slot *slot)
{
    const struct activation_record *record = &slot->record;
    struct activation_report report = {
        .connector = slot->name,
        .action_id = slot->action_id,
        .change = record->change,
        .state = record->state,
        .tries = record->tries,
        .driver = slot->drivers == NULL ? "" : slot->drivers,
        .text = slot->text == NULL ? "" : slot->text,
        .output = buf_text(&slot->output),
        .started_ms = slot->started_wall_ms,
        .ended_ms = slot->ended_wall_ms,
        .took_ms = slot->took_ms,
        .repair_count = slot->repair_count,
        .repaired_ms = slot->repaired_wall_ms,
        .repair = slot->repair == NULL ? "" : slot->repair,
        .room = slot->room,
        .blocked = slot->blocked,
    };
    if (record->state == ACTIVATION_FAILED) {
        struct activation_step step =
            activation_plan(&slot->desired, record, slot->manager->gate,
                            &slot->manager->settings.pauses, record->failed_at_ms);
        report.retry_at_ms = step.verdict == ACTIVATION_WAIT ? step.at_ms : 0;
    }
    return report;
}

/* ---- one try ---- */

static void
set_text(struct slot *slot, const char *text)
{
    free(slot->text);
    slot->text = str_dup(text);
}

static void
set_drivers(struct slot *slot)
{
    struct buf names = { 0 };
    for (size_t i = 0; slot->used != NULL && i < slot->used->action_count; i++)
        buf_printf(&names, "%s%s", i == 0 ? "" : "+",
                   connector_driver_name(slot->used->actions[i].driver));
    free(slot->drivers);
    slot->drivers = buf_take(&names);
}

/* The try is over: records and reports it. The loop then asks the plan again. */
static void
finish(struct slot *slot, enum activation_state state)
{
    struct activation_manager *manager = slot->manager;
    ASSERT(slot->phase != PHASE_IDLE && slot->action == NULL);
    ASSERT(state != ACTIVATION_NEVER && state != ACTIVATION_RUNNING);
    slot->phase = PHASE_IDLE;
    manager->running_count--;
    slot->record.state = state;
    slot->record.failed_at_ms = slot->looked_ms = clock_now_ms();
    slot->ended_wall_ms = clock_wall_ms();
    slot->took_ms = clock_now_ms() - slot->started_ms;

    struct activation_report report = report_of(slot);
    wake_in(manager, 0);
    if (manager->ports.report != NULL)
        manager->ports.report(manager->ports.data, &report);
}

static const struct connector_server no_server = { .url = "" };

static const struct connector_server *
server_of(const struct slot *slot)
{
    switch (slot->record.change.server) {
    case EFFECTIVE_MAIN:
        return &slot->used->main;
    case EFFECTIVE_ALTERNATE:
        return &slot->used->alternate;
    case EFFECTIVE_NONE:
        return &no_server;
    case EFFECTIVE_ERROR:
        break;
    }
    ASSERT(false); /* the plan never runs it */
    return &no_server;
}

static enum err_code
start_driver(struct slot *slot, bool check, action_done_fn *done, struct err *err)
{
    const struct activation_change *change = &slot->record.change;
    const struct connector_action *action = &slot->used->actions[slot->step];
    const struct connector_server *server = server_of(slot);
    if (change->server != EFFECTIVE_NONE && !server->set)
        return err_set(err, ERR_INVALID, "no_server", "the connector has no %s server",
                       effective_server_name(change->server));
    char port[8] = "", epoch[24];
    if (server->set)
        (void)snprintf(port, sizeof port, "%u", server->port);
    (void)snprintf(epoch, sizeof epoch, "%" PRIu64, change->epoch.number);
    struct action_order order = {
        .action = action,
        .epoch = change->epoch,
        .server = server,
        .which = change->server,
        .place = slot->step,
        .secret = slot->manager->ports.secret,
        .secret_data = slot->manager->ports.data,
        .given = slot->manager->ports.given,
        .check = check,
        .spread = { .targets = slot->instances,
                    .target_count = slot->instance_count,
                    .settled = slot->settled },
        .news = !check || slot->telling,
        .timeout_ms =
            action->timeout_ms != 0 ? action->timeout_ms : slot->manager->settings.timeout_ms,
        .values = { .text = {
                        [TEMPLATE_CONNECTOR] = slot->name,
                        [TEMPLATE_KIND] =
                            change->server == EFFECTIVE_NONE ? "deactivate" : "activate",
                        [TEMPLATE_SERVER] = effective_server_name(change->server),
                        [TEMPLATE_URL] = server->url,
                        [TEMPLATE_HOST] = server->host,
                        [TEMPLATE_PORT] = port,
                        [TEMPLATE_CREDENTIAL] = server->credential == NULL ? "" : server->credential,
                        [TEMPLATE_EPOCH] = epoch,
                        [TEMPLATE_EPOCH_HOLDER] = change->epoch.holder,
                        [TEMPLATE_ACTION_ID] = slot->action_id,
                        [TEMPLATE_NODE] = slot->manager->node,
                        [TEMPLATE_SITE] = slot->manager->site,
                        [TEMPLATE_CLUSTER] = slot->manager->cluster,
                    } },
    };
    return action_start(slot->manager->worker, &order, done, slot, &slot->action, err);
}

#define NOT_STARTED_SIZE (ERR_TEXT_SIZE + ERR_MEND_SIZE + 4)

static struct action_result
not_started(const struct err *err, char text[NOT_STARTED_SIZE])
{
    (void)snprintf(text, NOT_STARTED_SIZE, "%s%s%s", err->text, err->mend[0] != '\0' ? "; " : "",
                   err->mend);
    return (
        struct action_result){ .end = ACTION_FAILED, .text = text, .output = "", .exit_code = -1 };
}

static void
take_room(struct spread_room *most, const struct spread_room *one)
{
    if (spread_short(one) > spread_short(most))
        *most = *one;
}

/* What a driver said: the newest text, and all in the output. */
static void
file_words(struct slot *slot, const struct action_result *result)
{
    free(slot->text);
    slot->text = str_printf("%s: %s", connector_driver_name(slot->used->actions[slot->step].driver),
                            result->text);
    buf_printf(&slot->output, "%s\n", slot->text);
    size_t room =
        ACTIVATION_OUTPUT_MAX > slot->output.size ? ACTIVATION_OUTPUT_MAX - slot->output.size : 0;
    size_t size = strlen(result->output);
    buf_add(&slot->output, result->output, size < room ? size : room);
    if (size > room || result->truncated)
        buf_add_text(&slot->output, "\n(cut)\n");
}

/* Files what a driver said, and goes on with the next, or ends the try. */
static void
step_ended(struct slot *slot, const struct action_result *result)
{
    static const enum step_state states[] = {
        [ACTION_OK] = STEP_DONE,
        [ACTION_FAILED] = STEP_FAILED,
        [ACTION_REFUSED] = STEP_REFUSED,
        [ACTION_CANCELLED] = STEP_TODO,
    };
    slot->steps[slot->step] = states[result->end];
    if (result->end == ACTION_OK || result->end == ACTION_REFUSED)
        slot->proved[slot->step] = result->proved;
    if (result->again_ms != 0)
        slot->again_ms = result->again_ms;
    slot->waiting = slot->waiting || result->waiting;
    take_room(&slot->room, &result->room);
    file_words(slot, result);

    bool undoes = slot->record.change.server == EFFECTIVE_NONE;
    if (slot->phase == PHASE_STOPPING) {
        set_text(slot, slot->stopping);
        finish(slot, ACTIVATION_CANCELLED);
    } else if (result->end == ACTION_CANCELLED) {
        finish(slot, ACTIVATION_CANCELLED);
    } else if (!undoes && result->end == ACTION_FAILED) {
        finish(slot, ACTIVATION_FAILED);
    } else if (!undoes && result->end == ACTION_REFUSED) {
        finish(slot, ACTIVATION_REFUSED);
    } else {
        run_next_step(slot);
    }
}

static void
on_action_done(void *data, const struct action_result *result)
{
    struct slot *slot = data;
    slot->action = NULL;
    step_ended(slot, result);
}

/* Which driver is next; false when none is left. */
static bool
choose_step(struct slot *slot)
{
    size_t count = slot->used->action_count;
    for (size_t i = 0; i < count; i++) {
        size_t at = slot->record.change.server == EFFECTIVE_NONE ? count - 1 - i : i;
        if (slot->steps[at] == STEP_TODO) {
            slot->step = at;
            return true;
        }
    }
    return false;
}

static bool
any_step(const struct slot *slot, enum step_state state)
{
    for (size_t i = 0; i < slot->used->action_count; i++) {
        if (slot->steps[i] == state)
            return true;
    }
    return false;
}

static void
run_next_step(struct slot *slot)
{
    if (!choose_step(slot)) {
        if (slot->used->action_count == 0)
            set_text(slot, "the connector has no drivers");
        finish(slot, any_step(slot, STEP_FAILED)    ? ACTIVATION_FAILED
                     : any_step(slot, STEP_REFUSED) ? ACTIVATION_REFUSED
                                                    : ACTIVATION_OK);
        return;
    }
    struct err err = { 0 };
    slot->phase = PHASE_RUNNING;
    if (start_driver(slot, false, on_action_done, &err) != ERR_NONE) {
        char text[NOT_STARTED_SIZE];
        struct action_result result = not_started(&err, text);
        step_ended(slot, &result);
    }
}

static void
begin(struct slot *slot, const struct activation_change *change)
{
    struct activation_manager *manager = slot->manager;
    struct activation_record *record = &slot->record;
    bool again = record->state != ACTIVATION_NEVER && !record->before_start &&
                 record->change.sequence == change->sequence;
    for (size_t i = 0; i < ARRAY_COUNT(slot->steps); i++) {
        if (!again || slot->steps[i] == STEP_FAILED)
            slot->steps[i] = STEP_TODO;
    }
    /* A deactivation undoes with the document that was used, so far as we have it. */
    if (slot->newer != NULL && (change->server != EFFECTIVE_NONE || slot->used == NULL)) {
        connector_free(slot->used);
        slot->used = take_ptr(&slot->newer);
        memset(slot->proved, 0, sizeof slot->proved);
    }
    *record = (struct activation_record){ .change = *change,
                                          .state = ACTIVATION_RUNNING,
                                          .tries = again ? record->tries + 1 : 1 };
    (void)activation_id(slot->name, change, slot->action_id);
    buf_clear(&slot->output);
    set_text(slot, "");
    set_drivers(slot);
    slot->blocked = slot->stopping = "";
    slot->started_ms = clock_now_ms();
    slot->started_wall_ms = clock_wall_ms();
    slot->ended_wall_ms = 0;
    slot->took_ms = 0;
    slot->again_ms = 0;
    slot->overtaken = false;
    slot->news = slot->waiting = false;
    slot->room = (struct spread_room){ 0 };
    slot->phase = PHASE_STORING;
    manager->running_count++;

    struct activation_report report = report_of(slot);
    if (manager->ports.store_intent == NULL)
        activation_stored(manager, slot->action_id, true);
    else
        manager->ports.store_intent(manager->ports.data, &report);
}

static void
stop(struct slot *slot, const char *reason)
{
    if (slot->phase == PHASE_STOPPING)
        return;
    slot->stopping = reason;
    if (slot->phase == PHASE_RUNNING) {
        slot->phase = PHASE_STOPPING;
        action_cancel(slot->action);
    } /* PHASE_STORING: step() ends it */
}

/* ---- looking after what was done ---- */

static void look_on(struct slot *slot, size_t from);

static void
leave(struct slot *slot)
{
    if (slot->phase != PHASE_LOOKING)
        return;
    slot->phase = PHASE_LEAVING;
    action_cancel(slot->action);
}

static void
end_look(struct slot *slot, bool told)
{
    slot->phase = PHASE_IDLE;
    slot->news = slot->news || (slot->telling && !told);
    slot->telling = false;
    slot->looked_ms = clock_now_ms();
    slot->manager->running_count--;
    wake_in(slot->manager, 0);
}

/* The change is one that failed, or was refused, from now on; its other drivers are not asked. */
static void
look_failed(struct slot *slot, const struct action_result *result)
{
    bool refused = result->end == ACTION_REFUSED;
    buf_clear(&slot->output);
    file_words(slot, result);
    slot->steps[slot->step] = refused ? STEP_REFUSED : STEP_FAILED;
    slot->record.state = refused ? ACTIVATION_REFUSED : ACTIVATION_FAILED;
    slot->record.tries = 1;
    slot->record.failed_at_ms = clock_now_ms();
    slot->ended_wall_ms = clock_wall_ms();
    end_look(slot, false);
    struct activation_report report = report_of(slot);
    if (slot->manager->ports.report != NULL)
        slot->manager->ports.report(slot->manager->ports.data, &report);
}

static void
repaired(struct slot *slot, const struct action_result *result)
{
    const struct activation_ports *ports = &slot->manager->ports;
    if (slot->output.size > ACTIVATION_OUTPUT_MAX / 2)
        buf_clear(&slot->output);
    file_words(slot, result);
    free(slot->repair);
    slot->repair = str_dup(slot->text);
    slot->repair_count++;
    slot->repaired_wall_ms = clock_wall_ms();
    struct activation_report report = report_of(slot);
    if (ports->repaired != NULL)
        ports->repaired(ports->data, &report);
}

/* What is so now; in the log when it is about other instances than before. */
static void
tell_look(struct slot *slot, const struct action_result *result)
{
    if (slot->telling)
        log_info("activation.spread", "connector=%s text=\"%s\"", slot->name, result->text);
    free(slot->text);
    slot->text = str_printf("%s: %s", connector_driver_name(slot->used->actions[slot->step].driver),
                            result->text);
}

static void
look_ended(struct slot *slot, const struct action_result *result)
{
    bool undone = slot->record.change.server == EFFECTIVE_NONE;
    if (slot->phase == PHASE_LEAVING || result->end == ACTION_CANCELLED) {
        end_look(slot, false);
    } else if (!undone && result->end != ACTION_OK) {
        look_failed(slot, result);
    } else {
        slot->overtaken = slot->overtaken || result->end == ACTION_REFUSED;
        if (result->again_ms != 0)
            slot->again_next_ms = result->again_ms;
        slot->waiting = slot->waiting || result->waiting;
        take_room(&slot->room_next, &result->room);
        if (result->changed)
            repaired(slot, result);
        else if (result->end == ACTION_OK)
            tell_look(slot, result);
        look_on(slot, slot->step + 1);
    }
}

static void
on_look_done(void *data, const struct action_result *result)
{
    struct slot *slot = data;
    slot->action = NULL;
    look_ended(slot, result);
}

/* From this driver on: the first that can tell and was done; 'count' when there is none. */
static size_t
next_look(const struct slot *slot, size_t from)
{
    size_t count = slot->used == NULL ? 0 : slot->used->action_count;
    while (from < count &&
           !(action_can_check(slot->used->actions[from].driver) && slot->steps[from] == STEP_DONE))
        from++;
    return from < count ? from : CONNECTOR_ACTION_COUNT_MAX;
}

static void
look_on(struct slot *slot, size_t from)
{
    struct err err = { 0 };
    slot->step = next_look(slot, from);
    if (slot->step == CONNECTOR_ACTION_COUNT_MAX) {
        slot->again_ms = slot->again_next_ms;
        slot->room = slot->room_next;
        end_look(slot, true);
    } else if (start_driver(slot, true, on_look_done, &err) != ERR_NONE) {
        char text[NOT_STARTED_SIZE];
        struct action_result result = not_started(&err, text);
        look_ended(slot, &result);
    }
}

/* When one may begin; UINT64_MAX: not now. */
static uint64_t
look_at_ms(const struct slot *slot, uint64_t pause_ms)
{
    struct activation_looks looks = { .looked_ms = slot->looked_ms,
                                      .pause_ms = pause_ms,
                                      .again_ms = slot->again_ms,
                                      .news = slot->news };
    if (slot->overtaken || next_look(slot, 0) == CONNECTOR_ACTION_COUNT_MAX)
        return UINT64_MAX;
    return activation_look_at(&slot->desired, &slot->record, slot->manager->gate, &looks);
}

static void
leave_if_it_may_not(struct slot *slot)
{
    if (look_at_ms(slot, 1) == UINT64_MAX)
        leave(slot);
}

/* Begins, ends, or waits with a look. */
static void
look_after(struct slot *slot, uint64_t now_ms, uint64_t *wake_ms)
{
    uint64_t at_ms = look_at_ms(slot, slot->manager->settings.check_ms);
    leave_if_it_may_not(slot);
    if (slot->phase != PHASE_IDLE || at_ms == UINT64_MAX)
        return;
    if (at_ms > now_ms) {
        if (at_ms - now_ms < *wake_ms)
            *wake_ms = at_ms - now_ms;
    } else if (slot->manager->running_count < ACTIVATION_PARALLEL_MAX) {
        slot->phase = PHASE_LOOKING;
        slot->again_next_ms = 0;
        slot->room_next = (struct spread_room){ 0 };
        slot->telling = slot->news || slot->waiting;
        slot->news = slot->waiting = false;
        slot->manager->running_count++;
        look_on(slot, 0);
    } /* else: the end of another wakes us */
}

/* ---- what to do next ---- */

static void
step(struct slot *slot, uint64_t now_ms, uint64_t *wake_ms)
{
    struct activation_manager *manager = slot->manager;
    struct activation_step plan = activation_plan(&slot->desired, &slot->record, manager->gate,
                                                  &manager->settings.pauses, now_ms);
    slot->blocked = plan.verdict == ACTIVATION_BLOCKED ? plan.reason : "";
    look_after(slot, now_ms, wake_ms);
    switch (plan.verdict) {
    case ACTIVATION_REST:
    case ACTIVATION_BLOCKED:
        break;
    case ACTIVATION_WAIT:
        if (plan.at_ms - now_ms < *wake_ms)
            *wake_ms = plan.at_ms - now_ms;
        break;
    case ACTIVATION_STOP:
        stop(slot, plan.reason);
        if (slot->phase == PHASE_STORING) {
            set_text(slot, plan.reason);
            finish(slot, ACTIVATION_CANCELLED);
        }
        break;
    case ACTIVATION_RUN:
        if (slot->phase == PHASE_LEAVING)
            break; /* soon */
        ASSERT(slot->phase == PHASE_IDLE);
        if (manager->running_count < ACTIVATION_PARALLEL_MAX)
            begin(slot, &plan.change);
        else
            slot->blocked = "other connectors come first";
        break;
    }
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct activation_manager *manager = CONTAINER_OF(alarm, struct activation_manager, alarm);
    uint64_t now_ms = clock_now_ms();
    uint64_t wake_ms = UINT64_MAX;
    if (!manager->wanted)
        return;
    list_each (at, &manager->slots)
        step(CONTAINER_OF(at, struct slot, node), now_ms, &wake_ms);
    list_each (at, &manager->slots) {
        struct slot *slot = CONTAINER_OF(at, struct slot, node);
        if (!slot->listed && slot->phase == PHASE_IDLE && slot->again_ms == 0 &&
            activation_settled(&slot->desired, &slot->record)) {
            slot_free(slot);
            manager->slot_count--;
        }
    }
    /* A callback of the walk above may have armed the alarm for now. */
    if (wake_ms != UINT64_MAX && !ev_is_active(&manager->alarm))
        wake_in(manager, wake_ms);
}

/* ---- the outside ---- */

struct activation_manager *
activation_open(struct ev_loop *loop, struct worker *worker, const struct activation_self *self,
                const struct activation_settings *settings, const struct activation_ports *ports)
{
    struct activation_manager *manager = mem_zero(1, sizeof *manager);
    manager->loop = loop;
    manager->worker = worker;
    manager->settings = *settings;
    manager->ports = *ports;
    ASSERT(str_copy(manager->cluster, sizeof manager->cluster, self->cluster));
    ASSERT(str_copy(manager->node, sizeof manager->node, self->node));
    ASSERT(str_copy(manager->site, sizeof manager->site, self->site));
    list_init(&manager->slots);
    ev_timer_init(&manager->alarm, on_alarm, 0., 0.);
    return manager;
}

void
activation_close(struct activation_manager *manager)
{
    if (manager == NULL)
        return;
    ev_timer_stop(manager->loop, &manager->alarm);
    list_each (at, &manager->slots)
        slot_free(CONTAINER_OF(at, struct slot, node));
    free(manager);
}

void
activation_configure(struct activation_manager *manager, const struct activation_settings *settings)
{
    manager->settings = *settings;
    wake_in(manager, 0);
}

enum err_code
activation_restore(struct activation_manager *manager, const char *action_id, const char *state,
                   struct err *err)
{
    struct activation_record record = { .before_start = true, .tries = 1 };
    char name[CONNECTOR_NAME_SIZE];
    if (!activation_id_parse(action_id, name, &record.change) ||
        !activation_state_from_name(state, &record.state) || record.state == ACTIVATION_NEVER)
        return err_set(err, ERR_INVALID, "activation_record",
                       "stored activation '%.100s' with state '%.20s' makes no sense", action_id,
                       state);
    if (record.state == ACTIVATION_RUNNING)
        record.state = ACTIVATION_CANCELLED;
    struct slot *slot = slot_find_or_add(manager, name);
    if (slot == NULL)
        return err_set(err, ERR_LIMIT, "activation_record", "more than %d connectors",
                       ACTIVATION_CONNECTORS_MAX);
    ASSERT(slot->phase == PHASE_IDLE);
    slot->record = record;
    (void)activation_id(name, &record.change, slot->action_id);
    return ERR_NONE;
}

/* False when the document does not read. It is read once; but what only an old primary wrote is set
 * aside, and its revision then somebody else's. */
static bool
take_document(struct slot *slot, const struct activation_desired *desired)
{
    const struct connector *newest = slot->newer != NULL ? slot->newer : slot->used;
    struct connector *connector;
    struct err err;
    if (desired->document == NULL)
        return false;
    if (slot->newest != 0 && slot->newest == desired->revision &&
        json_object_equal(newest->document, desired->document) != 0)
        return true;
    if (connector_read(desired->connector, desired->document, &connector, &err) != ERR_NONE) {
        log_warn("activation.bad_document", "connector=%s reason=\"%s\"", slot->name, err.text);
        return false;
    }
    connector_free(slot->newer);
    slot->newer = connector;
    slot->newest = desired->revision;
    return true;
}

static bool
same_instances(const struct slot *slot, const struct activation_desired *desired)
{
    if (slot->settled != desired->settled || slot->instance_count != desired->instance_count)
        return false;
    for (size_t i = 0; i < slot->instance_count; i++) {
        if (slot->instances[i].takes != desired->instances[i].takes ||
            !spread_address_equal(&slot->instances[i].at, &desired->instances[i].at))
            return false;
    }
    return true;
}

static void
take_instances(struct slot *slot, const struct activation_desired *desired)
{
    size_t count = desired->instance_count;
    if (same_instances(slot, desired))
        return;
    free(slot->instances);
    slot->instances = mem_zero(count + 1, sizeof *slot->instances);
    for (size_t i = 0; i < count; i++)
        slot->instances[i] = desired->instances[i];
    slot->instance_count = count;
    slot->settled = desired->settled;
    slot->news = true;
}

static void
want_one(struct activation_manager *manager, const struct activation_desired *desired)
{
    struct slot *slot = slot_find_or_add(manager, desired->connector);
    if (slot == NULL)
        return;
    slot->listed = true;
    take_instances(slot, desired);
    bool read = take_document(slot, desired);
    if (read || (desired->server != EFFECTIVE_MAIN && desired->server != EFFECTIVE_ALTERNATE))
        slot->desired = (struct activation_change){ .server = desired->server,
                                                    .epoch = desired->epoch,
                                                    .revision = desired->revision };
}

void
activation_want(struct activation_manager *manager, const struct activation_desired *list,
                size_t count)
{
    manager->wanted = true;
    list_each (at, &manager->slots)
        CONTAINER_OF(at, struct slot, node)->listed = false;
    for (size_t i = 0; i < count; i++)
        want_one(manager, &list[i]);
    list_each (at, &manager->slots) {
        struct slot *slot = CONTAINER_OF(at, struct slot, node);
        if (!slot->listed)
            slot->desired.server = EFFECTIVE_NONE;
    }
    wake_in(manager, 0);
}

void
activation_gate(struct activation_manager *manager, enum activation_gate gate)
{
    if (manager->gate != gate)
        log_info("activation.gate", "gate=%s", activation_gate_name(gate));
    manager->gate = gate;
    list_each (at, &manager->slots) {
        struct slot *slot = CONTAINER_OF(at, struct slot, node);
        struct activation_step plan = activation_plan(&slot->desired, &slot->record, gate,
                                                      &manager->settings.pauses, clock_now_ms());
        if (plan.verdict == ACTIVATION_STOP)
            stop(slot, plan.reason);
        leave_if_it_may_not(slot);
    }
    wake_in(manager, 0);
}

void
activation_stored(struct activation_manager *manager, const char *action_id, bool stored)
{
    list_each (at, &manager->slots) {
        struct slot *slot = CONTAINER_OF(at, struct slot, node);
        if (slot->phase != PHASE_STORING || strcmp(slot->action_id, action_id) != 0)
            continue;
        if (slot->stopping[0] != '\0') {
            set_text(slot, slot->stopping);
            finish(slot, ACTIVATION_CANCELLED);
        } else if (!stored) {
            set_text(slot, "its intent could not be stored");
            finish(slot, ACTIVATION_FAILED);
        } else if (slot->used == NULL) {
            set_text(slot, "the connector is configured no more: nobody knows its drivers");
            finish(slot, ACTIVATION_FAILED);
        } else {
            run_next_step(slot);
        }
        return;
    }
}

bool
activation_view(const struct activation_manager *manager, const char *connector,
                struct activation_report *ret)
{
    const struct slot *slot = slot_find(manager, connector);
    if (slot == NULL)
        return false;
    *ret = report_of(slot);
    return true;
}

bool
activation_fencing(const struct activation_manager *manager, const char *connector,
                   char text[FENCING_TEXT_SIZE])
{
    const struct slot *slot = slot_find(manager, connector);
    const struct connector *document = slot == NULL          ? NULL
                                       : slot->newer != NULL ? slot->newer
                                                             : slot->used;
    struct fencing_driver drivers[CONNECTOR_ACTION_COUNT_MAX];
    text[0] = '\0';
    if (document == NULL || document->action_count == 0)
        return false;
    for (size_t i = 0; i < document->action_count; i++) {
        const struct connector_action *action = &document->actions[i];
        drivers[i] = (struct fencing_driver){ .name = connector_driver_name(action->driver),
                                              .kind = action_fencing(action->driver),
                                              .told = action->refuses,
                                              .proved = document == slot->used && slot->proved[i] };
    }
    return fencing_judge(drivers, document->action_count, text);
}

bool
activation_all_settled(const struct activation_manager *manager)
{
    list_each (at, &manager->slots) {
        const struct slot *slot = CONTAINER_OF(at, struct slot, node);
        bool runs = slot->phase != PHASE_IDLE && slot->phase != PHASE_LOOKING &&
                    slot->phase != PHASE_LEAVING; /* record.state is that of the change */
        if (runs || !activation_settled(&slot->desired, &slot->record))
            return false;
    }
    return true;
}
