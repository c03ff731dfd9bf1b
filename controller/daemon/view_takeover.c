/*
 * What this node knows of the arbiter, the lease and taking over by itself, as documents.
 */
#include "controller/daemon/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/daemon/driver_inner.h"
#include "sites/budget.h"
#include "sites/setting.h"

struct json_object *
view_pause(struct core *core)
{
    const struct cache_entry *entry = cache_get(core->cache, "pause", "");
    struct json_object *value = entry == NULL ? NULL : cache_value(entry);
    struct json_object *object = json_object_new_object();
    const char *until = NULL;
    const char *reason = NULL;
    const char *by = NULL;
    int64_t until_ms = 0;
    int64_t now_ms = clock_wall_ms();
    bool paused = json_get_string(value, "until", &until) && clock_wall_parse(until, &until_ms) &&
                  until_ms > now_ms;
    if (paused) {
        (void)!json_get_string(value, "reason", &reason);
        (void)!json_get_string(value, "by", &by);
    }
    json_add_bool(object, "paused", paused);
    json_add_string(object, "until", paused ? until : NULL);
    json_add_string(object, "reason", reason);
    json_add_string(object, "by", by);
    json_add_string(object, "at", paused ? entry->at : NULL);
    json_add(object, "left_ms", paused ? json_object_new_int64(until_ms - now_ms) : NULL);
    return object;
}

/* ------------------------------------------------------------------ the arbiter */

static bool
is_known(const struct core *core, const struct driver_peer *peer)
{
    return peer->heard_ms != 0 &&
           clock_now_ms() - peer->heard_ms <=
               setting_u64(SETTING_PEER_STALE_MS, cache_settings(core->cache));
}

/* NULL: not known yet, else "manual" and so on. */
static const char *
kind_of(const struct core *core)
{
    const struct cache_entry *entry = cache_get(core->cache, "arbiter", "");
    const char *kind = cache_loaded(core->cache) ? arbiter_kind_name(ARBITER_MANUAL) : NULL;
    if (entry != NULL)
        (void)!json_get_string(cache_value(entry), "kind", &kind);
    return kind;
}

static bool
is_manual(const char *kind)
{
    return kind != NULL && strcmp(kind, arbiter_kind_name(ARBITER_MANUAL)) == 0;
}

/* The lease of the primary: as it is here, or as it said when it was heard. NULL: not known. */
static struct json_object *
primary_lease(struct core *core)
{
    struct driver_primary primary = driver_primary(core->driver);
    const struct driver_peer *peer = driver_peer(core->driver, primary.name);
    struct json_object *news = NULL;
    struct json_object *lease = NULL;
    uint64_t age_ms = 0;
    uint64_t left_ms;
    if (primary.self) {
        news = driver_lease_news(core->driver);
    } else if (peer != NULL && is_known(core, peer)) {
        news = json_object_get(json_get(peer->document, "lease"));
        age_ms = clock_now_ms() - peer->heard_ms;
    }
    if (!json_object_is_type(news, json_type_object)) { /* none, or of a version that we are not */
        (void)json_object_put(news);
        return NULL;
    }
    bool ends = json_get_u64(news, "left_ms", &left_ms);
    ASSERT(json_object_deep_copy(news, &lease, NULL) == 0);
    json_add_string(lease, "node", primary.name);
    if (ends)
        json_add_u64(lease, "left_ms", left_ms > age_ms ? left_ms - age_ms : 0);
    (void)json_object_put(news);
    return lease;
}

struct json_object *
view_arbiter(struct core *core)
{
    const struct lease *lease = &core->driver->lease;
    const char *kind = kind_of(core);
    struct json_object *object = json_object_new_object();
    bool asked = kind != NULL && !is_manual(kind);
    uint64_t age_ms = lease->known ? clock_now_ms() - lease->record_ms : 0;
    json_add_string(object, "kind", kind);
    json_add(object, "answers",
             asked && (lease->known || lease->trouble[0] != '\0')
                 ? json_object_new_boolean(lease->trouble[0] == '\0')
                 : NULL);
    json_add(object, "age_ms", asked && lease->known ? json_object_new_uint64(age_ms) : NULL);
    json_add_string(object, "alarm", lease_alarm_name(lease->alarm));
    json_add_string(object, "text", lease->trouble);
    json_add(object, "lease", asked ? primary_lease(core) : NULL);
    return object;
}

/* ------------------------------------------------------------------ taking over */

static struct json_object *
able_members(const struct core *core)
{
    const struct driver *driver = core->driver;
    struct json_object *list = json_object_new_array();
    if (driver->takeover.able)
        (void)json_object_array_add(list, json_object_new_string(driver->node.self));
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (is_known(core, &driver->peers[i]) && driver->peers[i].able)
            (void)json_object_array_add(list, json_object_new_string(driver->peers[i].name));
    }
    return list;
}

/* What would happen if the primary were lost now, and why. */
struct mode {
    const char *name;
    char text[TAKEOVER_TEXT_SIZE + 64];
};

static void say(struct mode *mode, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);

static void
say(struct mode *mode, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(mode->text, sizeof mode->text, format, arguments);
    va_end(arguments);
    mode->name = name;
}

/* Who decides by the settings alone; false: a person. */
static bool
is_set(const struct takeover_settings *settings, const char *kind, struct mode *mode)
{
    enum takeover_how wanted = is_manual(kind) ? TAKEOVER_UNGUARDED : TAKEOVER_AUTOMATIC;
    bool within = settings->within_site == wanted;
    bool across = settings->across_sites == wanted;
    if (!within && !across && is_manual(kind))
        say(mode, "manual", "there is no arbiter: people promote; see baton arbiter set --help");
    else if (!within && !across)
        say(mode, "manual", "takeover.within_site and takeover.across_sites leave it to people");
    else
        say(mode, is_manual(kind) ? "unguarded" : "automatic", "%s",
            within && across ? "within the site and across sites"
            : within         ? "within the site of the primary"
                             : "across sites");
    return within || across;
}

static bool
is_blocked(const struct core *core, struct json_object *able, struct mode *mode)
{
    const struct driver *driver = core->driver;
    static const enum takeover_rule rules[] = { TAKEOVER_RULE_COOLDOWN, TAKEOVER_RULE_RATE };
    CLEANUP(json_putp) struct json_object *pause = view_pause(driver->core);
    const char *until = "";
    if (json_get_string(pause, "until", &until)) {
        say(mode, "paused", "until %.10s %.8s UTC", until, strlen(until) > 11 ? until + 11 : "");
        return true;
    }
    if (driver->lease.alarm != LEASE_ALARM_NONE) {
        say(mode, "blocked", "%s: %.160s", lease_alarm_name(driver->lease.alarm),
            driver->lease.trouble);
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        const struct takeover_finding *finding = &driver->takeover.findings[rules[i]];
        if (finding->verdict != TAKEOVER_PASS) {
            say(mode, "blocked", "%s", finding->text);
            return true;
        }
    }
    if (json_object_array_length(able) == 0) {
        say(mode, "blocked", "no member could: baton why");
        return true;
    }
    return false;
}

struct json_object *
view_takeover(struct core *core)
{
    static const char *const names[] = { "automatic", "manual", "unguarded" };
    struct takeover_settings settings = takeover_settings_from(cache_settings(core->cache));
    const char *kind = kind_of(core);
    struct json_object *object = json_object_new_object();
    struct json_object *able = able_members(core);
    struct mode mode;
    if (kind == NULL)
        say(&mode, "unknown", "the settings are not read yet");
    else if (is_set(&settings, kind, &mode))
        (void)is_blocked(core, able, &mode);
    json_add_string(object, "mode", mode.name);
    json_add_string(object, "text", mode.text);
    json_add_string(object, "within_site", names[settings.within_site]);
    json_add_string(object, "across_sites", names[settings.across_sites]);
    json_add(object, "able", able);
    return object;
}

/* ------------------------------------------------------------------ alarms */

/* Ours, or the one that the primary has and we have not. */
static void
add_lease_alarm(struct core *core, struct json_object *list)
{
    const struct lease *lease = &core->driver->lease;
    CLEANUP(json_putp) struct json_object *primary = NULL;
    const char *node = core->home->node;
    const char *alarm = lease_alarm_name(lease->alarm);
    const char *why = lease->alarm == LEASE_ALARM_LOST ? lease->reason : lease->trouble;
    if (alarm[0] == '\0') {
        primary = primary_lease(core);
        (void)!json_get_string(primary, "node", &node);
        (void)!json_get_string(primary, "alarm", &alarm);
        (void)!json_get_string(primary, "trouble", &why);
    }
    if (alarm[0] != '\0')
        view_add_alarm(list, alarm, "%s%s%s", node, why[0] == '\0' ? "" : ": ", why);
}

static void
add_pause_alarm(struct core *core, struct json_object *list)
{
    CLEANUP(json_putp) struct json_object *pause = view_pause(core);
    const char *until = "";
    const char *by = "";
    const char *reason = "";
    if (!json_get_string(pause, "until", &until))
        return;
    (void)!json_get_string(pause, "by", &by);
    (void)!json_get_string(pause, "reason", &reason);
    view_add_alarm(list, "paused",
                   "nobody takes over by itself until %.10s %.8s UTC, by %.64s: %.256s", until,
                   strlen(until) > 11 ? until + 11 : "", by, reason);
}

/* An arbiter was set, or a member came, after rto_ms was declared. */
static void
add_rto_alarm(struct core *core, struct json_object *list)
{
    struct budget budget;
    struct fault_list faults = { 0 };
    const char *kind = kind_of(core);
    budget_compute(cache_settings(core->cache), kind != NULL && !is_manual(kind),
                   (unsigned)core->driver->peer_count + 1, &budget);
    budget_faults(&budget, &faults);
    if (faults.count > 0)
        view_add_alarm(list, "rto_exceeded", "%s; see baton budget", faults.list[0].text);
}

void
view_takeover_alarms(struct core *core, struct json_object *list)
{
    add_lease_alarm(core, list);
    add_pause_alarm(core, list);
    add_rto_alarm(core, list);
}
