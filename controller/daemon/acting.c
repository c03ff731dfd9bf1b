#include "controller/daemon/acting.h"

#include <ev.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/activation/action.h"
#include "controller/activation/manager.h"
#include "controller/activation/probe.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/prover.h"
#include "controller/daemon/registry.h"
#include "controller/daemon/secrets.h"
#include "controller/loop/pq.h"
#include "sites/explain.h"
#include "sites/ready.h"
#include "sites/setting.h"
#include "sql.h"

#define ACTING_CONNECTORS_MAX 1000
#define ACTING_RESTORE_ROWS   "4000"

struct acting_one {
    char name[CONNECTOR_NAME_SIZE];
    struct effective_choice choice;
    struct json_object *document; /* owned; NULL when not set or not valid */
    uint64_t revision;
};

struct acting {
    struct core *core; /* borrowed */
    struct prober *prober;
    struct activation_manager *manager;
    struct cache_watcher watcher;
    ev_timer soon; /* one look for many changes */

    struct acting_one *list; /* owned */
    size_t count;

    enum effective_role role;
    char primary_site[SITE_NAME_SIZE];
    struct epoch epoch;
    bool may_act;
    bool giving_up; /* this node was told, or knows, that another one acts now */
    bool restore_asked;
    bool restored; /* what an earlier batond did is known */

    acting_done *release_done; /* waits until all is deactivated; NULL for nobody */
    void *release_data;
};

/* ------------------------------------------------------------------ what is wanted */

static bool
is_single_site(const struct acting *acting)
{
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(acting->core->cache, "node/", "", &at)) != NULL;) {
        struct json_object *value = cache_value(entry);
        const char *site;
        bool removed = false;
        if (json_get_bool(value, "removed", &removed) && removed)
            continue;
        if (json_get_string(value, "site", &site) && strcmp(site, acting->core->home->site) != 0)
            return false;
    }
    return true;
}

static struct explain_view
view_now(const struct acting *acting)
{
    const struct home *home = acting->core->home;
    return (struct explain_view){
        .node = home->node,
        .site = home->site,
        .site_primary = strcmp(acting->primary_site, home->site) == 0,
        .single_site = is_single_site(acting),
        .role = acting->role,
    };
}

static void
forget_list(struct acting *acting)
{
    for (size_t i = 0; i < acting->count; i++)
        json_putp(&acting->list[i].document);
    acting->count = 0;
}

static bool
is_listed(const struct acting *acting, const char *name)
{
    return acting->count > 0 && strcmp(acting->list[acting->count - 1].name, name) == 0;
}

static void
read_list(struct acting *acting)
{
    const struct cache *cache = acting->core->cache;
    const struct cache_entry *entry;
    struct explain_view view = view_now(acting);
    forget_list(acting);
    for (size_t at = 0; (entry = cache_next(cache, "connector/", NULL, &at)) != NULL;) {
        char name[CONNECTOR_NAME_SIZE];
        bool ours = entry->site[0] == '\0' || strcmp(entry->site, acting->core->home->site) == 0;
        if (!ours || acting->count == ACTING_CONNECTORS_MAX ||
            !connector_name_of_key(entry->key, name) || is_listed(acting, name))
            continue; /* entries come in order of key: the same name twice stands together */
        struct acting_one *one = &acting->list[acting->count++];
        struct setting_value value;
        (void)snprintf(one->name, sizeof one->name, "%s", name);
        one->choice = explain_connector(name, &view, cache_settings(cache), &value);
        one->document = value.set ? json_object_get(value.value) : NULL;
        one->revision = value.stored.revision;
        setting_value_done(&value);
    }
}

static void
want(struct acting *acting)
{
    struct registry *registry = acting->core->registry;
    struct spread_target(*instances)[SPREAD_COUNT_MAX] =
        mem_zero(acting->count + 1, sizeof *instances);
    struct activation_desired *desired = mem_zero(acting->count, sizeof *desired);
    struct probe_desired *probes = mem_zero(acting->count, sizeof *probes);
    for (size_t i = 0; i < acting->count; i++) {
        const struct acting_one *one = &acting->list[i];
        desired[i] = (struct activation_desired){ .connector = one->name,
                                                  .server = one->choice.in_use,
                                                  .epoch = acting->epoch,
                                                  .revision = one->revision,
                                                  .document = one->document,
                                                  .instances = instances[i],
                                                  .settled = registry_settled(registry) };
        desired[i].instance_count = registry_spread(registry, one->name, instances[i]);
        probes[i] = (struct probe_desired){ .connector = one->name, .document = one->document };
    }
    probe_want(acting->prober, probes, acting->count);
    if (acting->restored) {
        activation_want(acting->manager, desired, acting->count);
        activation_gate(acting->manager, acting->may_act     ? ACTIVATION_GATE_OPEN
                                         : acting->giving_up ? ACTIVATION_GATE_RELEASE
                                                             : ACTIVATION_GATE_CLOSED);
    }
    free(desired);
    free(probes);
    free(instances);
}

static void
answer_release(struct acting *acting, bool ok, const char *text)
{
    acting_done *done = take_ptr(&acting->release_done);
    if (done != NULL)
        done(acting->release_data, ok, text);
}

static void
check_released(struct acting *acting)
{
    if (acting->release_done != NULL && acting->restored && activation_all_settled(acting->manager))
        answer_release(acting, true, "all connector servers are given up");
}

static void
configure(struct acting *acting)
{
    const struct setting_source *source = cache_settings(acting->core->cache);
    struct activation_settings settings = {
        .pauses = { .first_ms = setting_u64(SETTING_ACTIVATION_RETRY_MS, source),
                    .max_ms = setting_u64(SETTING_ACTIVATION_RETRY_MAX_MS, source) },
        .timeout_ms = setting_u64(SETTING_ACTIVATION_TIMEOUT_MS, source),
        .check_ms = setting_u64(SETTING_ACTIVATION_CHECK_MS, source),
    };
    struct probe_settings probes = {
        .interval_ms = setting_u64(SETTING_PROBE_INTERVAL_MS, source),
        .timeout_ms = setting_u64(SETTING_PROBE_TIMEOUT_MS, source),
        .longest_ms = setting_u64(SETTING_READY_INTERVAL_MS, source),
    };
    activation_configure(acting->manager, &settings);
    probe_configure(acting->prober, &probes);
}

static void
on_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct acting *acting = CONTAINER_OF(timer, struct acting, soon);
    (void)loop, (void)revents;
    if (!cache_loaded(acting->core->cache))
        return;
    configure(acting);
    read_list(acting);
    want(acting);
    check_released(acting);
}

static void
look_soon(struct acting *acting)
{
    if (!ev_is_active(&acting->soon)) {
        ev_timer_set(&acting->soon, 0.0, 0.0);
        ev_timer_start(acting->core->loop, &acting->soon);
    }
}

void
acting_look(struct acting *acting)
{
    look_soon(acting);
}

static void
on_changed(struct cache_watcher *watcher, enum cache_change change, const char *key,
           const char *site)
{
    (void)change, (void)key, (void)site;
    look_soon(CONTAINER_OF(watcher, struct acting, watcher));
}

/* ------------------------------------------------------------------ what was done */

struct intent {
    struct acting *acting; /* borrowed; outlives the control connection's answers */
    char id[ACTIVATION_ID_SIZE];
};

static void
on_intent_stored(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct intent *intent = data;
    (void)result, (void)warned;
    if (err != NULL)
        log_warn("activation.store", "id=%s reason=\"%s\"", intent->id, err->text);
    activation_stored(intent->acting->manager, intent->id, err == NULL);
    free(intent);
}

static void
store_intent(void *data, const struct activation_report *report)
{
    struct acting *acting = data;
    struct intent *intent = mem_zero(1, sizeof *intent);
    char epoch[24];
    intent->acting = acting;
    (void)snprintf(intent->id, sizeof intent->id, "%s", report->action_id);
    (void)snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)report->change.epoch.number);
    const char *values[] = {
        report->connector,
        report->action_id,
        epoch,
        report->change.epoch.holder,
        effective_server_name(report->change.server),
        report->change.server == EFFECTIVE_NONE ? "deactivate" : "activate",
        report->driver,
    };
    (void)pq_query(acting->core->ctl, sql_activation_add, ARRAY_COUNT(values), values,
                   on_intent_stored, intent);
}

static void
on_report_stored(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)data, (void)result, (void)warned;
    if (err != NULL)
        log_warn("activation.store", "reason=\"%s\"", err->text);
}

static void
on_report(void *data, const struct activation_report *report)
{
    struct acting *acting = data;
    const char *values[] = { report->action_id, activation_state_name(report->state),
                             report->output };
    char epoch[EPOCH_TEXT_SIZE];
    log_info("activation.end", "connector=%s server=%s epoch=%s state=%s ms=%llu text=\"%s\"",
             report->connector, effective_server_name(report->change.server),
             epoch_text(&report->change.epoch, epoch), activation_state_name(report->state),
             (unsigned long long)report->took_ms, report->text);
    (void)pq_query(acting->core->ctl, sql_activation_finish, ARRAY_COUNT(values), values,
                   on_report_stored, NULL);
    if (acting->release_done != NULL && report->state == ACTIVATION_FAILED)
        answer_release(acting, false, report->text);
    look_soon(acting);
}

static void
on_repaired(void *data, const struct activation_report *report)
{
    struct acting *acting = data;
    char epoch[EPOCH_TEXT_SIZE];
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    json_add_string(document, "connector", report->connector);
    json_add_string(document, "server", effective_server_name(report->change.server));
    json_add_string(document, "epoch", epoch_text(&report->change.epoch, epoch));
    json_add_string(document, "text", report->repair);
    json_add_u64(document, "count", report->repair_count);
    log_warn("activation.repaired", "connector=%s server=%s epoch=%s count=%llu text=\"%s\"",
             report->connector, effective_server_name(report->change.server), epoch,
             (unsigned long long)report->repair_count, report->repair);
    const char *values[] = { "repair", json_text(document) };
    (void)pq_query(acting->core->ctl, sql_event_add, ARRAY_COUNT(values), values, on_report_stored,
                   NULL);
}

/* Who was given what stands in the node's own events; never the value. */
static void
on_given(void *data, const struct action_order *order)
{
    struct acting *acting = data;
    const char *const *values = order->values.text;
    char epoch[EPOCH_TEXT_SIZE];
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    struct json_object *names = json_object_new_array();
    for (size_t i = 0; i < order->action->secret_count; i++)
        (void)json_object_array_add(names, json_object_new_string(order->action->secrets[i]));
    json_add_string(document, "connector", values[TEMPLATE_CONNECTOR]);
    json_add_string(document, "program", order->action->command[0]);
    json_add(document, "secrets", names);
    json_add_string(document, "action_id", values[TEMPLATE_ACTION_ID]);
    json_add_string(document, "epoch", epoch_text(&order->epoch, epoch));
    log_info("secret.given", "connector=%s program=\"%s\" secrets=%zu action_id=%s",
             values[TEMPLATE_CONNECTOR], order->action->command[0], order->action->secret_count,
             values[TEMPLATE_ACTION_ID]);
    const char *event[] = { "secret_given", json_text(document) };
    (void)pq_query(acting->core->ctl, sql_event_add, ARRAY_COUNT(event), event, on_report_stored,
                   NULL);
}

static void
on_restored(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct acting *acting = data;
    (void)warned;
    acting->restore_asked = false;
    if (err != NULL) {
        log_warn("activation.restore", "reason=\"%s\"", err->text);
        return; /* the next look asks again */
    }
    for (int row = PQntuples(result) - 1; row >= 0; row--) { /* newest first, wanted oldest first */
        struct err fault;
        const char *id = pq_text(result, row, "action_id");
        if (activation_restore(acting->manager, id, pq_text(result, row, "state"), &fault) !=
            ERR_NONE)
            log_warn("activation.restore", "id=%s reason=\"%s\"", id, fault.text);
    }
    acting->restored = true;
    look_soon(acting);
}

static void
restore(struct acting *acting)
{
    static const char *const values[] = { "", ACTING_RESTORE_ROWS };
    if (acting->restored || acting->restore_asked || pq_state(acting->core->ctl) != PQ_READY)
        return;
    acting->restore_asked = true;
    (void)pq_query(acting->core->ctl, sql_activation_list, ARRAY_COUNT(values), values, on_restored,
                   acting);
}

static void
on_probe_changed(void *data, const char *connector, enum effective_server server,
                 const struct probe_result *result)
{
    const struct acting *acting = data;
    prover_soon(acting->core->prover);
    log_info("probe.changed", "connector=%s server=%s state=%s text=\"%s\"", connector,
             effective_server_name(server), probe_state_name(result->state), result->text);
}

/* ------------------------------------------------------------------ life */

static enum err_code
read_secret(void *data, const char *name, struct buf *to, struct err *err)
{
    const struct acting *acting = data;
    return secrets_read(acting->core->secrets, name, to, err);
}

struct acting *
acting_new(struct core *core)
{
    struct acting *acting = mem_zero(1, sizeof *acting);
    struct probe_settings probes = { .interval_ms = 10000, .timeout_ms = 2000 };
    struct activation_settings settings = { .pauses = { .first_ms = 1000, .max_ms = 60000 },
                                            .timeout_ms = 30000 };
    struct activation_ports ports = {
        .store_intent = store_intent,
        .report = on_report,
        .secret = read_secret,
        .repaired = on_repaired,
        .given = on_given,
        .data = acting,
    };
    uint64_t seed = 1;
    (void)RAND_bytes((unsigned char *)&seed, sizeof seed);
    acting->core = core;
    acting->role = EFFECTIVE_ROLE_FENCED;
    acting->list = mem_zero(ACTING_CONNECTORS_MAX, sizeof *acting->list);
    struct probe_self asker = { .cluster = core->home->cluster_id,
                                .node = core->home->node,
                                .secret = read_secret,
                                .data = acting };
    acting->prober = probe_open(core->loop, &probes, seed, on_probe_changed, acting);
    probe_identify(acting->prober, &asker);
    struct activation_self self = { .cluster = core->home->cluster_id,
                                    .node = core->home->node,
                                    .site = core->home->site };
    acting->manager = activation_open(core->loop, core->worker, &self, &settings, &ports);
    ev_timer_init(&acting->soon, on_soon, 0.0, 0.0);
    acting->watcher.changed = on_changed;
    cache_watch(core->cache, &acting->watcher);
    return acting;
}

void
acting_free(struct acting *acting)
{
    if (acting == NULL)
        return;
    cache_unwatch(&acting->watcher);
    ev_timer_stop(acting->core->loop, &acting->soon);
    acting_unwait(acting);
    activation_close(take_ptr(&acting->manager));
    probe_close(acting->prober);
    forget_list(acting);
    free(acting->list);
    free(acting);
}

/* What runs, or is about to, and may not any more ends now, not in the next turn. */
static void
end_now(struct acting *acting)
{
    activation_gate(acting->manager, acting->restored && acting->giving_up
                                         ? ACTIVATION_GATE_RELEASE
                                         : ACTIVATION_GATE_CLOSED);
}

void
acting_role(struct acting *acting, enum effective_role role, const char *primary_site,
            const struct epoch *epoch, bool may_act)
{
    bool same = acting->role == role && acting->may_act == may_act &&
                strcmp(acting->primary_site, primary_site) == 0 &&
                epoch_equal(&acting->epoch, epoch);
    restore(acting);
    acting->role = role;
    acting->epoch = *epoch;
    acting->may_act = may_act;
    (void)snprintf(acting->primary_site, sizeof acting->primary_site, "%s", primary_site);
    if (may_act)
        acting->giving_up = false;
    else if (role == EFFECTIVE_ROLE_STANDBY)
        acting->giving_up = true;
    if (same)
        return;
    if (!may_act)
        end_now(acting);
    look_soon(acting);
}

void
acting_knows(struct acting *acting, const struct epoch *epoch)
{
    probe_epoch(acting->prober, epoch);
}

void
acting_release(struct acting *acting, acting_done *done, void *data)
{
    answer_release(acting, false, "asked again");
    acting->giving_up = true;
    acting->may_act = false;
    acting->release_done = done;
    acting->release_data = data;
    if (acting->role == EFFECTIVE_ROLE_PRIMARY)
        acting->role = EFFECTIVE_ROLE_FENCED;
    end_now(acting);
    look_soon(acting);
}

void
acting_unwait(struct acting *acting)
{
    answer_release(acting, false, "this node is stopping");
}

/* ------------------------------------------------------------------ for people */

bool
acting_ready(const struct acting *acting, char text[ACTING_TEXT_SIZE])
{
    size_t used = 0;
    size_t asked = 0;
    text[0] = '\0';
    for (size_t i = 0; i < acting->count; i++) {
        const struct acting_one *one = &acting->list[i];
        struct probe_result probe = { 0 };
        const char *why = NULL;
        if (one->choice.would_use == EFFECTIVE_NONE)
            continue;
        asked++;
        if (one->choice.would_use == EFFECTIVE_ERROR) {
            why = one->choice.hint;
        } else {
            probe_view(acting->prober, one->name, one->choice.would_use, &probe);
            if (!probe.ok)
                why = probe.state == PROBE_UNKNOWN ? "not probed yet" : probe.text;
        }
        if (why != NULL && used < ACTING_TEXT_SIZE)
            used += (size_t)snprintf(text + used, ACTING_TEXT_SIZE - used, "%s%s (%s): %s",
                                     used == 0 ? "" : "; ", one->name,
                                     effective_server_name(one->choice.would_use), why);
    }
    if (used > 0)
        return false;
    (void)snprintf(text, ACTING_TEXT_SIZE,
                   asked == 0 ? "no connector has a server to use"
                              : "the servers that would be used answer");
    return true;
}

static struct json_object *
probe_json(const struct acting *acting, const struct acting_one *one, enum effective_server server)
{
    struct probe_result probe;
    if (server != EFFECTIVE_MAIN && server != EFFECTIVE_ALTERNATE)
        return NULL;
    probe_view(acting->prober, one->name, server, &probe);
    struct json_object *object = json_object_new_object();
    bool known = probe.state == PROBE_OK || probe.state == PROBE_FAILED;
    json_add(object, "ok", known ? json_object_new_boolean(probe.ok) : NULL);
    json_add(object, "age_ms",
             probe.at_ms == 0 ? NULL : json_object_new_uint64(clock_now_ms() - probe.at_ms));
    json_add_string(object, "text",
                    probe.state == PROBE_UNKNOWN ? "not probed yet"
                    : probe.state == PROBE_STALE ? "the last answer is too old to count"
                                                 : probe.text);
    return object;
}

static struct json_object *
activation_json(const struct acting *acting, const struct acting_one *one)
{
    struct activation_report report;
    const char *state = "none";
    if (!activation_view(acting->manager, one->name, &report) || report.action_id[0] == '\0')
        return NULL;
    switch (report.state) {
    case ACTIVATION_NEVER:
        break;
    case ACTIVATION_RUNNING:
        state = "running";
        break;
    case ACTIVATION_OK:
        state = "done";
        break;
    case ACTIVATION_FAILED:
        state = "failed";
        break;
    case ACTIVATION_REFUSED:
        /* the receiver has heard of a later epoch: it is not ours any more, which is what giving it
         * up was for */
        state = report.change.server == EFFECTIVE_NONE ? "done" : "failed";
        break;
    case ACTIVATION_CANCELLED:
        state = "waiting";
        break;
    }
    struct json_object *object = json_object_new_object();
    struct json_object *epoch = json_object_new_object();
    json_add_u64(epoch, "number", report.change.epoch.number);
    json_add_string(epoch, "holder", report.change.epoch.holder);
    json_add_string(object, "state", state);
    json_add_string(object, "action_id", report.action_id);
    json_add(object, "epoch", epoch);
    json_add_string(object, "text", report.blocked[0] != '\0' ? report.blocked : report.text);
    return object;
}

/* NULL: nothing was put right since batond started. */
static struct json_object *
repair_json(const struct acting *acting, const struct acting_one *one)
{
    struct activation_report report;
    char at[CLOCK_TEXT_SIZE];
    if (!activation_view(acting->manager, one->name, &report) || report.repair_count == 0)
        return NULL;
    struct json_object *object = json_object_new_object();
    json_add_u64(object, "count", report.repair_count);
    json_add_string(object, "at", clock_wall_text(report.repaired_ms, at));
    json_add_string(object, "text", report.repair);
    return object;
}

/* NULL where there is nothing to fence, or nothing is known of it. */
static struct json_object *
fencing_json(const struct acting *acting, const struct acting_one *one)
{
    char text[FENCING_TEXT_SIZE];
    struct probe_result probe = { 0 };
    bool fenced = activation_fencing(acting->manager, one->name, text);
    if (text[0] == '\0')
        return NULL;
    if (one->choice.would_use == EFFECTIVE_MAIN || one->choice.would_use == EFFECTIVE_ALTERNATE)
        probe_view(acting->prober, one->name, one->choice.would_use, &probe);
    struct json_object *object = json_object_new_object();
    json_add_bool(object, "fenced", fenced);
    json_add_bool(object, "server",
                  probe.fenced && (probe.state == PROBE_OK || probe.state == PROBE_FAILED));
    json_add_string(object, "text", text);
    return object;
}

static const char *
url_of(const struct acting_one *one, enum effective_server server)
{
    const char *url = NULL;
    if (server == EFFECTIVE_MAIN || server == EFFECTIVE_ALTERNATE)
        (void)!json_get_string(json_get(one->document, effective_server_name(server)), "url", &url);
    return url;
}

/* The secret of the server that is or would be used, as it is here; NULL: it names none. */
static struct json_object *
credential_json(const struct acting *acting, const struct acting_one *one)
{
    const char *name;
    enum effective_server server = one->choice.would_use;
    if ((server != EFFECTIVE_MAIN && server != EFFECTIVE_ALTERNATE) ||
        !json_get_string(json_get(one->document, effective_server_name(server)), "credential",
                         &name))
        return NULL;
    struct json_object *json = json_object_new_object();
    json_add_string(json, "name", name);
    json_add_string(json, "state", secrets_state_name(secrets_state(acting->core->secrets, name)));
    return json;
}

static struct json_object *
one_json(const struct acting *acting, const struct acting_one *one)
{
    struct json_object *object = json_object_new_object();
    const struct effective_choice *choice = &one->choice;
    bool in_use = choice->in_use == EFFECTIVE_MAIN || choice->in_use == EFFECTIVE_ALTERNATE;
    json_add_string(object, "name", one->name);
    json_add_string(object, "node", acting->core->home->node);
    json_add_string(object, "effective", effective_server_name(choice->in_use));
    json_add_string(object, "url", url_of(one, in_use ? choice->in_use : choice->would_use));
    json_add_string(object, "would_use", effective_server_name(choice->would_use));
    json_add(object, "latent_probe", in_use ? NULL : probe_json(acting, one, choice->would_use));
    json_add(object, "probe", in_use ? probe_json(acting, one, choice->in_use) : NULL);
    json_add(object, "activation", activation_json(acting, one));
    struct json_object *repair = repair_json(acting, one);
    if (repair != NULL)
        json_add(object, "repair", repair);
    json_add(object, "credential", credential_json(acting, one));
    json_add_string(object, "hint", choice->hint);
    struct json_object *fencing = fencing_json(acting, one);
    if (fencing != NULL)
        json_add(object, "fencing", fencing);
    return object;
}

/* ------------------------------------------------------------------ proofs */

static void add_check(struct json_object *checks, enum ready_check check,
                      enum ready_outcome outcome, const char *format, ...) PRINTF_LIKE(4, 5);

static void
add_check(struct json_object *checks, enum ready_check check, enum ready_outcome outcome,
          const char *format, ...)
{
    char text[READY_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct json_object *object = json_object_new_object();
    json_add_string(object, "outcome", ready_outcome_name(outcome));
    json_add_string(object, "text", text);
    json_add(checks, ready_check_name(check), object);
}

/* What stands before the step that failed was well, and what stands behind it was not tried. */
static void
add_step(struct json_object *checks, enum ready_check check, const struct probe_result *probe,
         enum probe_step step)
{
    bool known = probe->state == PROBE_OK || probe->state == PROBE_FAILED;
    if (!known)
        add_check(checks, check, READY_OUTCOME_UNKNOWN, "%s",
                  probe->state == PROBE_STALE ? "the last answer is too old to count"
                                              : "not probed yet");
    else if (probe->step == step)
        add_check(checks, check, READY_OUTCOME_FAILED, "%s", probe->text);
    else
        add_check(checks, check, probe->step > step ? READY_OUTCOME_OK : READY_OUTCOME_UNKNOWN,
                  "%s",
                  probe->step == PROBE_STEP_ALL && step == PROBE_STEP_HEALTH ? probe->text : "");
}

static void
add_certificate(struct json_object *checks, const struct probe_result *probe, uint64_t warn_days)
{
    int64_t left_s = probe->not_after_s - clock_wall_ms() / 1000;
    int64_t days = left_s / 86400;
    if (probe->not_after_s == 0)
        add_check(checks, READY_CHECK_CERTIFICATE, READY_OUTCOME_UNKNOWN, "not seen");
    else if (left_s < 0)
        add_check(checks, READY_CHECK_CERTIFICATE, READY_OUTCOME_FAILED,
                  "its certificate ended %lld days ago", (long long)-days);
    else
        add_check(checks, READY_CHECK_CERTIFICATE,
                  (uint64_t)days < warn_days ? READY_OUTCOME_WARN : READY_OUTCOME_OK,
                  "its certificate ends in %lld days", (long long)days);
}

/* Is what it names here, and can this node open it? */
static void
add_credential(const struct acting *acting, struct json_object *checks, struct json_object *server)
{
    const char *name = NULL;
    if (!json_get_string(server, "credential", &name)) {
        add_check(checks, READY_CHECK_CREDENTIAL, READY_OUTCOME_NONE, "it names none");
        return;
    }
    switch (secrets_state(acting->core->secrets, name)) {
    case SECRETS_HERE:
        add_check(checks, READY_CHECK_CREDENTIAL, READY_OUTCOME_OK, "%s", name);
        break;
    case SECRETS_LOCKED:
        add_check(checks, READY_CHECK_CREDENTIAL, READY_OUTCOME_FAILED,
                  "%s cannot be opened: this node has not got its key", name);
        break;
    case SECRETS_MISSING:
        add_check(checks, READY_CHECK_CREDENTIAL, READY_OUTCOME_FAILED, "%s is not stored", name);
        break;
    }
}

/* P5. */
static void
add_targets(struct json_object *checks, const struct acting_one *one,
            const struct probe_result *probe)
{
    struct json_object *wanted = json_get(one->document, "target_connectors");
    size_t count = wanted == NULL ? 0 : json_object_array_length(wanted);
    bool asked = json_get(json_get(one->document, "probe"), "targets_path") != NULL;
    if (count == 0)
        add_check(checks, READY_CHECK_TARGETS, READY_OUTCOME_NONE, "it names none");
    else if (!asked)
        add_check(checks, READY_CHECK_TARGETS, READY_OUTCOME_UNKNOWN,
                  "nothing says where the server lists its target connectors");
    else
        add_step(checks, READY_CHECK_TARGETS, probe, PROBE_STEP_TARGETS);
}

static struct json_object *
checks_json(const struct acting *acting, const struct acting_one *one)
{
    enum effective_server server = one->choice.would_use;
    struct json_object *checks = json_object_new_object();
    struct probe_result probe;
    if (server != EFFECTIVE_MAIN && server != EFFECTIVE_ALTERNATE) {
        add_check(checks, READY_CHECK_SERVER, READY_OUTCOME_FAILED, "%s", one->choice.hint);
        return checks;
    }
    probe_view(acting->prober, one->name, server, &probe);
    add_check(checks, READY_CHECK_SERVER, READY_OUTCOME_OK, "%s", effective_server_name(server));
    add_step(checks, READY_CHECK_REACH, &probe, PROBE_STEP_REACH);
    add_step(checks, READY_CHECK_TLS, &probe, PROBE_STEP_TLS);
    add_certificate(checks, &probe,
                    setting_u64(SETTING_ALARM_CERT_DAYS, cache_settings(acting->core->cache)));
    add_credential(acting, checks, json_get(one->document, effective_server_name(server)));
    add_step(checks, READY_CHECK_HEALTH, &probe, PROBE_STEP_HEALTH);
    add_targets(checks, one, &probe);
    add_check(checks, READY_CHECK_VERSION,
              probe.version[0] == '\0' ? READY_OUTCOME_NONE : READY_OUTCOME_OK, "%s",
              probe.version);
    return checks;
}

struct json_object *
acting_records(const struct acting *acting)
{
    struct json_object *list = json_object_new_array();
    uint64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < acting->count; i++) {
        const struct acting_one *one = &acting->list[i];
        struct probe_result probe;
        struct json_object *record = json_object_new_object();
        probe_view(acting->prober, one->name, one->choice.would_use, &probe);
        json_add_string(record, "connector", one->name);
        json_add_string(record, "server", effective_server_name(one->choice.would_use));
        json_add_string(record, "url", url_of(one, one->choice.would_use));
        json_add_bool(record, "alternate", json_get(one->document, "alternate") != NULL);
        json_add_u64(record, "revision", one->revision);
        json_add_u64(record, "age_ms", probe.at_ms == 0 ? 0 : now_ms - probe.at_ms);
        json_add(record, "checks", checks_json(acting, one));
        (void)json_object_array_add(list, record);
    }
    return list;
}

/* ------------------------------------------------------------------ all of them */

struct json_object *
acting_connectors(const struct acting *acting)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < acting->count; i++)
        (void)json_object_array_add(list, one_json(acting, &acting->list[i]));
    return list;
}

struct json_object *
acting_connector(const struct acting *acting, const char *name)
{
    for (size_t i = 0; i < acting->count; i++) {
        if (strcmp(acting->list[i].name, name) == 0)
            return one_json(acting, &acting->list[i]);
    }
    return NULL;
}

bool
acting_room_alarm(const struct acting *acting, const char *connector,
                  struct instance_alarm *ret_alarm)
{
    struct activation_report report;
    return activation_view(acting->manager, connector, &report) &&
           instance_room_alarm(connector, &report.room, ret_alarm);
}
