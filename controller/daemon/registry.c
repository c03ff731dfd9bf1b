#include "controller/daemon/registry.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/view.h"
#include "controller/daemon/writer.h"

#define KEY_SIZE        (INSTANCE_NAME_SIZE + 32)
#define KEY_PREFIX      "instance/"
#define RECORD_PAUSE_MS (REGISTRY_TICK_MS - 100) /* timers may be early */

struct registry {
    struct core *core; /* borrowed */
    struct instance_set set;
    ev_timer tick;
    struct cache_watcher watcher;
    uint64_t started_ms;
    int64_t started_wall_ms;
    enum writer_mode mode; /* as last looked at */
    bool settled;          /* the same */
    bool dirty;            /* a record may have to be written */
    bool writing;
    uint64_t written;    /* revision; until the cache shows it, no record is compared */
    uint64_t written_ms; /* the last record began then; 0: none yet */
    struct registry_counters counters;
};

/* ---- what is on record ---- */

static const struct cache_entry *
record_of(const struct registry *registry, const char *connector)
{
    char key[KEY_SIZE];
    (void)snprintf(key, sizeof key, KEY_PREFIX "%.63s/known", connector);
    return cache_get(registry->core->cache, key, "");
}

static struct instance_rules
rules_of(const struct registry *registry, const char *connector)
{
    const char *admitted = NULL;
    const struct cache_entry *entry = record_of(registry, connector);
    if (entry != NULL)
        (void)!json_get_string(cache_value(entry), "version", &admitted);
    return (struct instance_rules){
        .admitted = admitted,
        .next = setting_next_version(connector, cache_settings(registry->core->cache)),
    };
}

static unsigned
expected_of(const struct registry *registry, const char *connector)
{
    return setting_instances_expected(connector, cache_settings(registry->core->cache));
}

bool
registry_settled(const struct registry *registry)
{
    const struct setting_source *source = cache_settings(registry->core->cache);
    return clock_now_ms() - registry->started_ms >=
           setting_u64(SETTING_INSTANCE_SILENCE_MS, source);
}

/* ---- names ---- */

/* Most come in order: those that do not are found when all are there. */
static void
add_name(struct json_object *list, const char *name)
{
    size_t count = json_object_array_length(list);
    if (count == 0 ||
        strcmp(json_object_get_string(json_object_array_get_idx(list, count - 1)), name) != 0)
        (void)json_object_array_add(list, json_object_new_string(name));
}

static int
by_text(const void *one, const void *other)
{
    struct json_object *const *a = one;
    struct json_object *const *b = other;
    return strcmp(json_object_get_string(*a), json_object_get_string(*b));
}

struct json_object *
registry_names(const struct registry *registry)
{
    struct json_object *list = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(registry->core->cache, KEY_PREFIX, "", &at)) != NULL;) {
        const char *name = entry->key + strlen(KEY_PREFIX);
        CLEANUP(freep) char *cut = str_printf("%.*s", (int)strcspn(name, "/"), name);
        add_name(list, cut);
    }
    for (size_t i = 0; i < registry->set.count; i++)
        add_name(list, registry->set.sorted[i]->connector);
    json_object_array_sort(list, by_text);
    struct json_object *names = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(list); i++)
        add_name(names, json_object_get_string(json_object_array_get_idx(list, i)));
    (void)json_object_put(list);
    return names;
}

size_t
registry_spread(const struct registry *registry, const char *connector,
                struct spread_target list[SPREAD_COUNT_MAX])
{
    return instance_spread(&registry->set, connector, list);
}

/* ---- recording ---- */

/* Somebody came, went, or is not as before. */
static void
changed(struct registry *registry)
{
    registry->dirty = true;
    acting_look(registry->core->acting);
}

static void
on_recorded(void *data, const struct writer_result *result, const struct err *err)
{
    struct registry *registry = data;
    registry->writing = false;
    if (err == NULL) {
        registry->written = result->revision;
        registry->counters.records++;
        return;
    }
    registry->dirty = true;
    log_debug("instances.record", "reason=\"%s\"", err->text);
}

/* Adds the record to the group when it is not the one that is there. */
static bool
add_record(struct registry *registry, const char *connector, struct json_object *group)
{
    char key[KEY_SIZE];
    const struct cache_entry *entry = record_of(registry, connector);
    struct json_object *old = entry == NULL ? NULL : cache_value(entry);
    struct instance_rules rules = rules_of(registry, connector);
    const char *version =
        instance_admits(&registry->set, connector, &rules, expected_of(registry, connector));
    if (*version != '\0' && rules.admitted != NULL)
        log_info("instances.version", "connector=%s version=%s before=%s", connector, version,
                 rules.admitted);
    if (*version == '\0')
        version = rules.admitted;
    if (version == NULL) /* it only ought to have instances */
        return false;
    struct json_object *record =
        instance_record(&registry->set, connector, old, version, registry->settled,
                        registry->started_wall_ms, clock_wall_ms());
    if (json_object_equal(old, record)) {
        (void)json_object_put(record);
        return false;
    }
    (void)snprintf(key, sizeof key, KEY_PREFIX "%.63s/known", connector);
    writer_group_put(group, key, "", record, entry == NULL ? 0 : entry->revision);
    return true;
}

/* G1, G2. The first change is written at once, those of the next second together. */
static void
record(struct registry *registry)
{
    const struct core *core = registry->core;
    uint64_t now_ms = clock_now_ms();
    struct err err;
    if (registry->written_ms != 0 && now_ms - registry->written_ms < RECORD_PAUSE_MS)
        return; /* the tick comes again */
    if (!registry->dirty || registry->writing || core->stopping || !cache_loaded(core->cache) ||
        registry->mode != WRITER_OPEN || cache_position(core->cache)->revision < registry->written)
        return;
    bool any = false;
    struct json_object *group = writer_group(core->home->node, "instances");
    CLEANUP(json_putp) struct json_object *names = registry_names(registry);
    for (size_t i = 0; i < json_object_array_length(names); i++)
        any = add_record(registry, json_object_get_string(json_object_array_get_idx(names, i)),
                         group) ||
              any;
    registry->dirty = false;
    if (!any) {
        (void)json_object_put(group);
        return;
    }
    registry->writing = true;
    registry->written_ms = now_ms;
    if (writer_submit(core->writer, group, 0, on_recorded, registry, NULL, &err) != ERR_NONE) {
        registry->writing = false;
        registry->dirty = true; /* at the next tick */
    }
}

/* ---- who is there ---- */

bool
registry_token_holds(const struct registry *registry, const char *id, const char *connector)
{
    char key[KEY_SIZE];
    int64_t expires_ms = 0;
    const char *whose = "";
    (void)snprintf(key, sizeof key, "agent/%.40s", id);
    const struct cache_entry *entry = cache_get(registry->core->cache, key, "");
    return entry != NULL && json_get_string(cache_value(entry), "connector", &whose) &&
           strcmp(whose, connector) == 0 &&
           (!json_get_i64(cache_value(entry), "expires_ms", &expires_ms) ||
            clock_wall_ms() < expires_ms);
}

/* G3 */
static void
end_without_token(struct registry *registry)
{
    if (!cache_loaded(registry->core->cache))
        return;
    list_each (at, &registry->set.all) {
        struct instance *instance = CONTAINER_OF(at, struct instance, node);
        if (!instance->connected ||
            registry_token_holds(registry, instance->token, instance->connector))
            continue;
        log_warn("instance.ended", "connector=%s instance=%s reason=\"its token is gone\"",
                 instance->connector, instance->name);
        instance_end(instance);
        changed(registry);
    }
}

static void
on_tick(struct ev_loop *loop, ev_timer *tick, int revents)
{
    (void)loop, (void)revents;
    struct registry *registry = CONTAINER_OF(tick, struct registry, tick);
    const struct setting_source *source = cache_settings(registry->core->cache);
    enum writer_mode mode = writer_mode(registry->core->writer);
    bool settled = registry_settled(registry);
    end_without_token(registry);
    size_t lapsed = instance_lapse(&registry->set, setting_u64(SETTING_INSTANCE_SILENCE_MS, source),
                                   clock_now_ms());
    if (lapsed > 0)
        log_warn("instances.silent", "count=%zu", lapsed);
    if (lapsed > 0 || mode != registry->mode || settled != registry->settled)
        changed(registry);
    registry->mode = mode;
    registry->settled = settled;
    record(registry);
}

static void
on_change(struct cache_watcher *watcher, enum cache_change change, const char *key,
          const char *site)
{
    (void)site;
    struct registry *registry = CONTAINER_OF(watcher, struct registry, watcher);
    if (change == CACHE_RELOAD || (change == CACHE_SHARED && str_starts(key, KEY_PREFIX)))
        registry->dirty = true;
}

enum err_code
registry_hear(struct registry *registry, const struct instance_hello *hello, struct err *err)
{
    bool news = false;
    struct instance_rules rules = rules_of(registry, hello->connector);
    enum err_code code =
        instance_hear(&registry->set, &rules, hello, clock_now_ms(), clock_wall_ms(), &news, err);
    registry->counters.heartbeats++;
    registry->counters.refused += code != ERR_NONE;
    if (code == ERR_NONE && news)
        log_info("instance.heard", "connector=%s instance=%s version=%s healthy=%d session=%s",
                 hello->connector, hello->name, hello->version, hello->healthy, hello->session);
    if (code != ERR_NONE && news)
        log_warn("instance.ended", "connector=%s instance=%s reason=\"%s\"", hello->connector,
                 hello->name, err->text);
    if (news) {
        changed(registry);
        record(registry);
    }
    return code;
}

void
registry_leave(struct registry *registry, const char *connector, const char *name,
               const char *session)
{
    if (!instance_leave(&registry->set, connector, name, session))
        return;
    log_info("instance.left", "connector=%s instance=%s", connector, name);
    changed(registry);
    record(registry);
}

/* ---- documents ---- */

static void
add_time(struct json_object *object, const char *name, bool known, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    json_add_string(object, name, known ? clock_wall_text(wall_ms, text) : NULL);
}

static struct json_object *
session_json(const struct instance *instance)
{
    struct json_object *session = json_object_new_object();
    struct json_object *metadata = json_object_new_object();
    if (instance->metadata != NULL) {
        json_object_object_foreach (instance->metadata, name, value)
            json_add(metadata, name, json_object_get(value));
    }
    json_add_string(metadata, "connector_version", instance->version); /* A5 */
    json_add_string(session, "id", instance->session);
    json_add(session, "metadata", metadata);
    add_time(session, "last_connected_time", true, instance->last_connected_ms);
    return session;
}

static struct json_object *
instance_json(const struct registry *registry, const char *connector, struct json_object *row)
{
    const char *name = "";
    const char *version = "";
    bool connected = false;
    int64_t last_ms = 0;
    char address[SPREAD_ADDRESS_SIZE];
    struct json_object *object = json_object_new_object();
    (void)!json_get_string(row, "name", &name);
    (void)!json_get_string(row, "version", &version);
    (void)!json_get_bool(row, "connected", &connected);
    bool known = json_get_i64(row, "last_connected_ms", &last_ms);
    const struct instance *here = instance_find(&registry->set, connector, name);
    bool session = here != NULL && here->connected;
    if (here != NULL) {
        known = true;
        last_ms = here->last_connected_ms;
    }
    json_add_string(object, "name", name);
    json_add_string(object, "status", connected ? "CONNECTED" : "DISCONNECTED");
    json_add_string(object, "version", version);
    json_add_string(
        object, "address",
        session && here->address.port != 0 ? spread_address_text(&here->address, address) : NULL);
    json_add(object, "healthy", session ? json_object_new_boolean(here->healthy) : NULL);
    json_add_string(object, "text", session ? here->text : "");
    add_time(object, "last_connected", known, last_ms);
    json_add(object, "session", session ? session_json(here) : NULL);
    return object;
}

bool
registry_alarm(const struct registry *registry, const char *connector,
               struct instance_alarm *ret_alarm)
{
    struct instance_rules rules = rules_of(registry, connector);
    struct instance_counts counts = instance_count(&registry->set, connector, &rules);
    return registry_settled(registry) &&
           instance_alarm(connector, &counts, &rules, expected_of(registry, connector), ret_alarm);
}

struct json_object *
registry_connector(const struct registry *registry, const char *connector)
{
    struct instance_alarm alarm;
    struct instance_rules rules = rules_of(registry, connector);
    const struct cache_entry *entry = record_of(registry, connector);
    CLEANUP(json_putp)
    struct json_object *record =
        instance_record(&registry->set, connector, entry == NULL ? NULL : cache_value(entry), "",
                        registry_settled(registry), registry->started_wall_ms, clock_wall_ms());
    struct json_object *rows = json_get(record, "instances");
    struct json_object *list = json_object_new_array();
    struct json_object *object = json_object_new_object();
    const char *last = NULL;
    bool connected = false;
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *one =
            instance_json(registry, connector, json_object_array_get_idx(rows, i));
        const char *status = "";
        const char *when = NULL;
        (void)!json_get_string(one, "status", &status);
        connected = connected || strcmp(status, "CONNECTED") == 0;
        if (json_get_string(one, "last_connected", &when) &&
            (last == NULL || strcmp(when, last) > 0))
            last = when;
        (void)json_object_array_add(list, one);
    }
    bool upgrading =
        rules.next != NULL && (rules.admitted == NULL || strcmp(rules.next, rules.admitted) != 0);
    json_add_string(object, "connector", connector);
    json_add_string(object, "status", connected ? "CONNECTED" : "DISCONNECTED");
    json_add_string(object, "version", rules.admitted);
    json_add_string(object, "next_version", upgrading ? rules.next : NULL);
    json_add_bool(object, "is_latest_version", !upgrading);
    json_add_string(object, "last_connected", last);
    json_add_u64(object, "expected", expected_of(registry, connector));
    bool alarmed = registry_alarm(registry, connector, &alarm) ||
                   acting_room_alarm(registry->core->acting, connector, &alarm);
    json_add_string(object, "alarm", alarmed ? alarm.text : NULL);
    json_add(object, "instances", list);
    return object;
}

struct json_object *
registry_brief(const struct registry *registry)
{
    struct json_object *list = json_object_new_array();
    CLEANUP(json_putp) struct json_object *names = registry_names(registry);
    for (size_t i = 0; i < json_object_array_length(names); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(names, i));
        struct instance_rules rules = rules_of(registry, name);
        struct instance_counts counts = instance_count(&registry->set, name, &rules);
        struct json_object *one = json_object_new_object();
        json_add_string(one, "connector", name);
        json_add_string(one, "status", counts.connected > 0 ? "CONNECTED" : "DISCONNECTED");
        json_add_u64(one, "working", counts.working);
        json_add_u64(one, "expected", expected_of(registry, name));
        (void)json_object_array_add(list, one);
    }
    return list;
}

void
registry_alarms(const struct registry *registry, struct json_object *list)
{
    CLEANUP(json_putp) struct json_object *names = registry_names(registry);
    for (size_t i = 0; i < json_object_array_length(names); i++) {
        struct instance_alarm alarm;
        const char *name = json_object_get_string(json_object_array_get_idx(names, i));
        if (registry_alarm(registry, name, &alarm))
            view_add_alarm(list, alarm.name, "%s", alarm.text);
    }
}

struct registry_counters
registry_counters(const struct registry *registry)
{
    struct registry_counters counters = registry->counters;
    list_each (at, &registry->set.all) {
        const struct instance *instance = CONTAINER_OF(at, struct instance, node);
        counters.connected_now += instance->connected;
        counters.unhealthy_now += instance->connected && !instance->healthy;
        counters.disconnected_now += !instance->connected;
    }
    return counters;
}

/* ---- life ---- */

struct registry *
registry_new(struct core *core)
{
    struct registry *registry = mem_zero(1, sizeof *registry);
    registry->core = core;
    registry->started_ms = clock_now_ms();
    registry->started_wall_ms = clock_wall_ms();
    registry->mode = WRITER_CLOSED;
    instance_set_init(&registry->set);
    registry->watcher.changed = on_change;
    cache_watch(core->cache, &registry->watcher);
    ev_timer_init(&registry->tick, on_tick, REGISTRY_TICK_MS / 1000.0, REGISTRY_TICK_MS / 1000.0);
    ev_timer_start(core->loop, &registry->tick);
    return registry;
}

void
registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    ev_timer_stop(registry->core->loop, &registry->tick);
    cache_unwatch(&registry->watcher);
    instance_set_done(&registry->set);
    free(registry);
}
