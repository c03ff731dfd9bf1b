#include "controller/daemon/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "controller/base/buf.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/registry.h"
#include "controller/daemon/secrets.h"
#include "controller/daemon/view_ready.h"
#include "sites/setting.h"

#define REPAIR_SHOWN_MS 60000 /* how long a repair is an alarm */

#define NOT_RECEIVING "its subscription does not receive"

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

static uint64_t
stale_ms(const struct core *core)
{
    return setting_u64(SETTING_PEER_STALE_MS, cache_settings(core->cache));
}

static bool
is_known(const struct core *core, const struct driver_peer *peer, uint64_t now_ms)
{
    return peer->heard_ms != 0 && now_ms - peer->heard_ms <= stale_ms(core);
}

static const char *
role_word(enum node_state state)
{
    switch (state) {
    case NODE_PRIMARY:
    case NODE_CLOSED:
    case NODE_DRAINING:
        return "primary";
    case NODE_STANDBY:
    case NODE_CANDIDATE:
        return "standby";
    case NODE_FENCED:
    case NODE_REJOINING:
    case NODE_STATE_COUNT:
        break;
    }
    return "fenced";
}

/* ------------------------------------------------------------------ nodes */

/* The newest revision that the primary is known to have; 0 when nobody knows. */
static uint64_t
primary_revision(const struct core *core, const char *primary, uint64_t now_ms)
{
    const struct driver *driver = core->driver;
    if (strcmp(primary, core->home->node) == 0)
        return driver->node.own.applied.revision;
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(driver->peers[i].name, primary) == 0 &&
            is_known(core, &driver->peers[i], now_ms))
            return driver->peers[i].facts.applied.revision;
    }
    return 0;
}

static void
add_lag(struct json_object *object, uint64_t revision, uint64_t head)
{
    json_add(object, "lag_revisions",
             head == 0 ? NULL : json_object_new_uint64(head > revision ? head - revision : 0));
}

/* What a node goes by when it judges the primary: its own settings, which no other node has. */
static void
add_checks(struct json_object *object, uint64_t interval_ms, uint64_t delay_ms)
{
    bool known = interval_ms != 0;
    json_add(object, "check_interval_ms", known ? json_object_new_uint64(interval_ms) : NULL);
    json_add(object, "takeover_delay_ms", known ? json_object_new_uint64(delay_ms) : NULL);
}

static struct json_object *
own_node(const struct core *core, uint64_t head)
{
    const struct driver *driver = core->driver;
    struct node_facts facts = driver_own_facts(driver);
    struct json_object *object = json_object_new_object();
    bool well = facts.state == NODE_PRIMARY || (facts.state == NODE_STANDBY && facts.streaming);
    const struct epoch *epoch = facts.state == NODE_STANDBY || facts.state == NODE_REJOINING
                                    ? &driver->node.following_epoch
                                    : &facts.epoch;
    json_add_string(object, "name", facts.name);
    json_add_string(object, "site", facts.site);
    json_add_string(object, "role", role_word(facts.state));
    json_add_string(object, "state", node_state_name(facts.state));
    json_add(object, "epoch", epoch_json(epoch));
    json_add_u64(object, "revision", facts.applied.revision);
    add_lag(object, facts.applied.revision, head);
    json_add_string(object, "digest", head == 0 ? "unknown" : "same"); /* as whose? */
    add_checks(object, setting_check_interval_ms(cache_settings(core->cache)),
               takeover_delay_ms(cache_settings(core->cache)));
    json_add_u64(object, "age_ms", 0);
    json_add_string(object, "address", core->home->advertise);
    json_add_string(object, "version", BATON_VERSION);
    json_add_string(object, "reason",
                    well                          ? ""
                    : facts.state == NODE_STANDBY ? NOT_RECEIVING
                                                  : driver->node.reason);
    return object;
}

static void
add_unknown(struct json_object *object, const struct driver_peer *peer)
{
    json_add_string(object, "role", "unknown");
    json_add_string(object, "state", "UNKNOWN");
    json_add(object, "epoch", NULL);
    json_add(object, "revision", NULL);
    json_add(object, "lag_revisions", NULL);
    json_add_string(object, "digest", "unknown");
    json_add_string(object, "reason",
                    peer->error[0] == '\0' ? "it has not answered yet" : peer->error);
}

static void
add_known(struct json_object *object, const struct driver_peer *peer, uint64_t head)
{
    const struct node_facts *facts = &peer->facts;
    const char *reason = "";
    bool well = facts->state == NODE_PRIMARY || (facts->state == NODE_STANDBY && facts->streaming);
    (void)!json_get_string(peer->document, "reason", &reason);
    json_add_string(object, "role", role_word(facts->state));
    json_add_string(object, "state", node_state_name(facts->state));
    json_add(object, "epoch",
             epoch_json(facts->state == NODE_STANDBY ? &facts->applied.epoch : &facts->epoch));
    json_add_u64(object, "revision", facts->applied.revision);
    add_lag(object, facts->applied.revision, head);
    json_add_string(object, "digest",
                    peer->digest == DRIVER_DIGEST_SAME        ? "same"
                    : peer->digest == DRIVER_DIGEST_DIFFERENT ? "different"
                                                              : "unknown");
    json_add_string(object, "reason",
                    well                           ? ""
                    : facts->state == NODE_STANDBY ? NOT_RECEIVING
                                                   : reason);
}

static struct json_object *
peer_node(const struct core *core, const struct driver_peer *peer, uint64_t head, uint64_t now_ms)
{
    struct json_object *object = json_object_new_object();
    const char *version = NULL;
    json_add_string(object, "name", peer->name);
    json_add_string(object, "site", peer->site);
    if (is_known(core, peer, now_ms))
        add_known(object, peer, head);
    else
        add_unknown(object, peer);
    add_checks(object, peer->check_interval_ms, peer->takeover_delay_ms);
    json_add(object, "age_ms",
             peer->heard_ms == 0 ? NULL : json_object_new_uint64(now_ms - peer->heard_ms));
    json_add_string(object, "address", peer->address);
    (void)!json_get_string(peer->document, "version", &version);
    json_add_string(object, "version", version);
    return object;
}

static int
by_site_and_name(const void *a, const void *b)
{
    struct json_object *left = *(struct json_object *const *)a;
    struct json_object *right = *(struct json_object *const *)b;
    int order = strcmp(json_object_get_string(json_get(left, "site")),
                       json_object_get_string(json_get(right, "site")));
    if (order != 0)
        return order;
    return strcmp(json_object_get_string(json_get(left, "name")),
                  json_object_get_string(json_get(right, "name")));
}

static struct json_object *
node_list(const struct core *core)
{
    const struct driver *driver = core->driver;
    uint64_t now_ms = clock_now_ms();
    struct driver_primary primary = driver_primary(driver);
    uint64_t head = primary_revision(core, primary.name, now_ms);
    struct json_object *list = json_object_new_array();
    (void)json_object_array_add(list, own_node(core, head));
    for (size_t i = 0; i < driver->peer_count; i++)
        (void)json_object_array_add(list, peer_node(core, &driver->peers[i], head, now_ms));
    json_object_array_sort(list, by_site_and_name);
    return list;
}

struct json_object *
view_nodes(struct core *core)
{
    struct json_object *document = json_object_new_object();
    json_add(document, "nodes", node_list(core));
    return document;
}

/* ------------------------------------------------------------------ sites */

/* From the sorted nodes: one entry for each run of the same site. */
static struct json_object *
site_list(struct json_object *nodes, bool with_nodes)
{
    struct json_object *list = json_object_new_array();
    bool any_primary = false;
    for (size_t i = 0; i < json_object_array_length(nodes); i++)
        any_primary |=
            strcmp(json_object_get_string(json_get(json_object_array_get_idx(nodes, i), "role")),
                   "primary") == 0;
    for (size_t i = 0; i < json_object_array_length(nodes);) {
        const char *site =
            json_object_get_string(json_get(json_object_array_get_idx(nodes, i), "site"));
        const char *role = any_primary ? "secondary" : "unknown";
        struct json_object *names = json_object_new_array();
        for (; i < json_object_array_length(nodes); i++) {
            struct json_object *node = json_object_array_get_idx(nodes, i);
            if (strcmp(json_object_get_string(json_get(node, "site")), site) != 0)
                break;
            if (strcmp(json_object_get_string(json_get(node, "role")), "primary") == 0)
                role = "primary";
            (void)json_object_array_add(names, json_object_get(json_get(node, "name")));
        }
        struct json_object *object = json_object_new_object();
        json_add_string(object, "name", site);
        json_add_string(object, "role", role);
        if (with_nodes)
            json_add(object, "nodes", names);
        else
            (void)json_object_put(names);
        (void)json_object_array_add(list, object);
    }
    return list;
}

struct json_object *
view_sites(struct core *core)
{
    CLEANUP(json_putp) struct json_object *nodes = node_list(core);
    struct json_object *document = json_object_new_object();
    json_add(document, "sites", site_list(nodes, true));
    return document;
}

/* ------------------------------------------------------------------ primary, durability */

static struct json_object *
primary_json(const struct core *core)
{
    struct driver_primary primary = driver_primary(core->driver);
    const struct cache_entry *entry = cache_get(core->cache, "epoch", "");
    const struct driver_peer *peer = driver_peer(core->driver, primary.name);
    uint64_t number = 0;
    const char *kind = "";
    const char *who = "";
    const char *why = "";
    const char *since = NULL;
    bool resumed = false;
    if (primary.name[0] == '\0')
        return NULL;
    struct json_object *object = json_object_new_object();
    json_add_string(object, "node", primary.name);
    json_add_string(object, "site",
                    primary.self   ? core->home->site
                    : peer == NULL ? ""
                                   : peer->site);
    struct json_object *value = entry == NULL ? NULL : cache_value(entry);
    bool told = json_get_u64(value, "number", &number) && number == primary.epoch.number;
    if (told) {
        (void)!json_get_string(value, "kind", &kind);
        (void)!json_get_string(value, "who", &who);
        (void)!json_get_string(value, "why", &why);
        (void)!json_get_bool(value, "resumed", &resumed);
        if (!json_get_string(value, "since", &since)) /* a resumed epoch began before its row */
            since = entry->at;
    }
    if (strcmp(who, kind) == 0) /* "init by init" */
        who = "";
    CLEANUP(freep)
    char *text = str_printf("%s%s%s%s%s", kind, who[0] == '\0' ? "" : " by ", who,
                            why[0] == '\0' ? "" : ": ", why);
    json_add_string(object, "since", since);
    json_add_string(object, "why", text);
    json_add_string(object, "resumed_at", resumed ? entry->at : NULL);
    json_add(object, "epoch", epoch_json(&primary.epoch));
    return object;
}

/* How many voters receive from the primary, as it says itself; -1 when that is not known here. */
static int
count_streaming(const struct core *core, const struct quorum_set *set)
{
    struct driver_primary primary = driver_primary(core->driver);
    const struct driver_peer *peer = driver_peer(core->driver, primary.name);
    struct json_object *standbys = NULL;
    int count = 0;
    if (primary.self)
        standbys = core->driver->standbys;
    else if (peer != NULL && is_known(core, peer, clock_now_ms()))
        standbys = json_get(peer->document, "standbys");
    if (!json_object_is_type(standbys, json_type_array))
        return -1;
    for (size_t i = 0; i < json_object_array_length(standbys); i++) {
        struct json_object *row = json_object_array_get_idx(standbys, i);
        const char *name;
        const char *state;
        if (json_get_string(row, "name", &name) && json_get_string(row, "state", &state) &&
            strcmp(state, "streaming") == 0 && quorum_has(set, name))
            count++;
    }
    return count;
}

/* By the settings writes should go on with fewer acknowledgements, and nobody can be told. */
static bool
wants_arbiter(const struct core *core)
{
    const char *chosen = setting_text(SETTING_DURABILITY, cache_settings(core->cache));
    return chosen != NULL && strcmp(chosen, "available") == 0 &&
           core->driver->arbiter_kind == ARBITER_MANUAL;
}

/* For people. 'streaming' -1: not known here. */
static char *
durability_text(const struct core *core, const struct quorum_record *record, int streaming)
{
    const struct quorum_set *set = quorum_acknowledging(record);
    const struct driver *driver = core->driver;
    bool waits = streaming >= 0 && (unsigned)streaming < set->k;
    const char *obstacle = waits && driver_primary(driver).self ? driver->obstacle : "";
    const char *changes = record->joint ? "; the set changes" : "";
    if (record->since[0] != '\0' && set->k == 0)
        return str_printf("since %s a write is acknowledged when the primary alone has it, "
                          "until enough others have caught up%s",
                          record->since, changes);
    if (record->since[0] != '\0')
        return str_printf("since %s only %u of %zu beside the primary must have a write, "
                          "until enough others have caught up%s",
                          record->since, set->k, set->count - 1, changes);
    if (set->k == 0)
        return str_dup(
            "a write is acknowledged when the primary alone has it; a failover may leave "
            "writes behind, set aside on the old primary");
    if (streaming < 0)
        return str_printf("%u of %zu beside the primary must have a write; how many receive is not "
                          "known here",
                          set->k, set->count - 1);
    bool reason = obstacle[0] != '\0';
    return str_printf("%u of %zu beside the primary must have a write; %d receive%s%s%s%s%s%s",
                      set->k, set->count - 1, streaming, changes, waits ? ": writes wait" : "",
                      reason ? " (" : "", obstacle, reason ? ")" : "",
                      wants_arbiter(core) ? "; 'available' needs an arbiter, and there is none"
                                          : "");
}

static struct json_object *
durability_json(const struct core *core, bool *ret_short)
{
    struct quorum_record record;
    struct json_object *object = json_object_new_object();
    struct json_object *members = json_object_new_array();
    driver_record_in_force(core->driver, &record);
    const struct quorum_set *set = quorum_acknowledging(&record);
    int streaming = count_streaming(core, set);
    bool known =
        cache_get(core->cache, "sync/set", "") != NULL; /* a node that has only joined: no */
    for (size_t i = 0; i < set->count; i++)
        (void)json_object_array_add(members, json_object_new_string(set->voters[i]));
    bool degraded = known && record.since[0] != '\0';
    bool available = record.arbiter != 0 && (set->k > 0 || degraded);
    json_add_string(object, "mode",
                    !known                   ? "unknown"
                    : available              ? "available"
                    : set->k > 0 || degraded ? "strict"
                                             : "async");
    json_add_u64(object, "k", set->k);
    json_add(object, "members", members);
    json_add(object, "satisfied",
             !known || streaming < 0 ? NULL
                                     : json_object_new_boolean((unsigned)streaming >= set->k));
    *ret_short = known && streaming >= 0 && (unsigned)streaming < set->k;
    json_add_string(object, "degraded_since", degraded ? record.since : NULL);
    CLEANUP(freep)
    char *text = known ? durability_text(core, &record, streaming) : str_dup("not known here");
    json_add_string(object, "text", text);
    return object;
}

/* ------------------------------------------------------------------ alarms */

void
view_add_alarm(struct json_object *list, const char *name, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct json_object *alarm = json_object_new_object();
    json_add_string(alarm, "name", name);
    json_add_string(alarm, "text", text);
    (void)json_object_array_add(list, alarm);
}

static void
add_disk_alarm(const struct core *core, struct json_object *list)
{
    struct statvfs disk;
    uint64_t least = setting_u64(SETTING_ALARM_DISK_FREE_MB, cache_settings(core->cache));
    if (statvfs(core->home->folder, &disk) != 0)
        return;
    uint64_t free_mb = (uint64_t)disk.f_bavail * disk.f_frsize / (1024 * 1024);
    if (free_mb < least)
        view_add_alarm(list, "disk_free", "%s: %llu MB are left under %s", core->home->node,
                       (unsigned long long)free_mb, core->home->folder);
}

bool
view_repair_is_fresh(struct json_object *repair)
{
    const char *at;
    int64_t at_ms;
    return json_get_string(repair, "at", &at) && clock_wall_parse(at, &at_ms) &&
           clock_wall_ms() - at_ms <= REPAIR_SHOWN_MS;
}

static void
add_repair_alarm(struct json_object *list, const char *name, struct json_object *repair)
{
    const char *text = "";
    if (json_get_string(repair, "text", &text) && view_repair_is_fresh(repair))
        view_add_alarm(list, "activation_repaired", "%s: %s", name, text);
}

static void
add_connector_alarms(const struct core *core, struct json_object *list,
                     struct json_object *connectors)
{
    struct instance_alarm room;
    for (size_t i = 0; i < json_object_array_length(connectors); i++) {
        struct json_object *connector = json_object_array_get_idx(connectors, i);
        const char *name = "?";
        const char *text = "";
        const char *state = "";
        bool ok;
        (void)!json_get_string(connector, "name", &name);
        struct json_object *activation = json_get(connector, "activation");
        if (json_get_string(activation, "state", &state) && strcmp(state, "failed") == 0) {
            (void)!json_get_string(activation, "text", &text);
            view_add_alarm(list, "activation_failed", "%s: %s", name, text);
        }
        add_repair_alarm(list, name, json_get(connector, "repair"));
        if (acting_room_alarm(core->acting, name, &room))
            view_add_alarm(list, room.name, "%s", room.text);
        struct json_object *probe = json_get(connector, "probe");
        if (probe == NULL)
            probe = json_get(connector, "latent_probe");
        if (json_get_bool(probe, "ok", &ok) && !ok) {
            (void)!json_get_string(probe, "text", &text);
            view_add_alarm(list, "server_unreachable", "%s: %s", name, text);
        }
    }
}

/* One that says that it is primary, and since when somebody does. */
struct claim {
    const char *name;
    const struct epoch *epoch;
    uint64_t since_ms;
    uint64_t heard_ms;
};

/* What the earlier one said before the later one was there is no contradiction: it is gone, or will
 * yield when they meet. */
static bool
is_contradicted(const struct claim *a, const struct claim *b)
{
    const struct claim *later = epoch_compare(a->epoch, b->epoch) > 0 ? a : b;
    const struct claim *earlier = later == a ? b : a;
    return earlier->heard_ms > later->since_ms;
}

/* Who meets a later epoch yields at once; what is seen here is a cut that somebody else bridges, or
 * a moment. */
static void
add_two_primaries(const struct core *core, struct json_object *list)
{
    const struct driver *driver = core->driver;
    uint64_t now_ms = clock_now_ms();
    struct claim first = { 0 };
    if (driver->node.state == NODE_PRIMARY)
        first =
            (struct claim){ core->home->node, &driver->node.own.epoch, driver->claims_ms, now_ms };
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        if (!is_known(core, peer, now_ms) || peer->claims_ms == 0 || peer->error[0] != '\0')
            continue;
        struct claim claim = { peer->name, &peer->facts.epoch, peer->claims_ms, peer->heard_ms };
        if (first.name != NULL && is_contradicted(&first, &claim))
            view_add_alarm(
                list, "two_primaries",
                "%s and %s are both primary: the later epoch stays, and what the other wrote "
                "is set aside there",
                first.name, peer->name);
        if (first.name == NULL || epoch_compare(claim.epoch, first.epoch) > 0)
            first = claim;
    }
}

static void
add_degraded(const struct core *core, struct json_object *list)
{
    struct quorum_record record;
    driver_record_in_force(core->driver, &record);
    if (record.since[0] != '\0')
        view_add_alarm(list, "degraded",
                       "since %s fewer acknowledgements count than were promised: %u of %zu beside "
                       "the primary",
                       record.since, record.now.k, core->driver->peer_count);
}

static struct json_object *
alarm_list(struct core *core, struct json_object *connectors, bool short_of_acks)
{
    const struct driver *driver = core->driver;
    struct json_object *list = json_object_new_array();
    uint64_t now_ms = clock_now_ms();
    if (driver_primary(driver).name[0] == '\0')
        view_add_alarm(list, "no_primary",
                       "nobody is known to be primary; see baton promote --help");
    if (driver->node.state == NODE_FENCED)
        view_add_alarm(list, "fenced", "%s: %s", core->home->node, driver->node.reason);
    if (driver->node.state == NODE_STANDBY && !driver->streaming)
        view_add_alarm(list, "not_receiving", "%s: " NOT_RECEIVING, core->home->node);
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        if (!is_known(core, peer, now_ms))
            view_add_alarm(list, "member_silent", "%s: %s", peer->name,
                           peer->error[0] == '\0' ? "it has not answered yet" : peer->error);
        else if (peer->facts.state == NODE_STANDBY && !peer->facts.streaming)
            view_add_alarm(list, "not_receiving", "%s: " NOT_RECEIVING, peer->name);
        if (peer->digest == DRIVER_DIGEST_DIFFERENT)
            view_add_alarm(list, "digest_different", "%s holds another history than %s", peer->name,
                           core->home->node);
    }
    add_two_primaries(core, list);
    add_degraded(core, list);
    if (short_of_acks)
        view_add_alarm(list, "writes_wait",
                       "too few members receive: writes wait for acknowledgement%s%s",
                       driver->obstacle[0] == '\0' || !driver_primary(driver).self ? "" : "; ",
                       driver_primary(driver).self ? driver->obstacle : "");
    view_takeover_alarms(core, list);
    if (driver->setaside_kept > 0)
        view_add_alarm(list, "setaside",
                       "%s: %llu rows are set aside and not decided on; see baton "
                       "setaside list",
                       core->home->node, (unsigned long long)driver->setaside_kept);
    if (driver->certificate_days >= 0 &&
        (uint64_t)driver->certificate_days <
            setting_u64(SETTING_ALARM_CERT_DAYS, cache_settings(core->cache)))
        view_add_alarm(list, "certificate", "%s: the node's certificate ends in %d days",
                       core->home->node, driver->certificate_days);
    add_disk_alarm(core, list);
    if (core->secrets != NULL)
        secrets_alarms(core->secrets, list);
    add_connector_alarms(core, list, connectors);
    view_ready_alarms(core, list);
    registry_alarms(core->registry, list);
    notices_alarms(core->notices, list);
    return list;
}

struct json_object *
view_durability(struct core *core)
{
    bool short_of_acks;
    return durability_json(core, &short_of_acks);
}

struct json_object *
view_alarms(struct core *core)
{
    bool short_of_acks;
    CLEANUP(json_putp) struct json_object *connectors = acting_connectors(core->acting);
    (void)json_object_put(durability_json(core, &short_of_acks));
    return alarm_list(core, connectors, short_of_acks);
}

/* ------------------------------------------------------------------ the one screen */

/* Ours as they are now; those of others as they last said, without those who are silent. */
static struct json_object *
connector_list(struct core *core)
{
    const struct driver *driver = core->driver;
    uint64_t now_ms = clock_now_ms();
    struct json_object *list = acting_connectors(core->acting);
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        struct json_object *theirs = json_get(peer->document, "connectors");
        if (!is_known(core, peer, now_ms) || !json_object_is_type(theirs, json_type_array))
            continue;
        for (size_t j = 0; j < json_object_array_length(theirs); j++)
            (void)json_object_array_add(list,
                                        json_object_get(json_object_array_get_idx(theirs, j)));
    }
    return list;
}

struct json_object *
view_status(struct core *core)
{
    struct json_object *document = json_object_new_object();
    struct json_object *cluster = json_object_new_object();
    struct json_object *setaside = json_object_new_object();
    struct json_object *nodes = node_list(core);
    struct json_object *connectors = connector_list(core);
    CLEANUP(json_putp) struct json_object *own = acting_connectors(core->acting);
    char now[CLOCK_TEXT_SIZE];
    bool short_of_acks;
    json_add_string(cluster, "name", core->home->cluster);
    json_add_string(cluster, "id", core->home->cluster_id);
    json_add(document, "cluster", cluster);
    json_add_string(document, "this_node", core->home->node);
    json_add_string(document, "time", clock_wall_text(clock_wall_ms(), now));
    json_add(document, "primary", primary_json(core));
    json_add(document, "revision",
             cache_loaded(core->cache)
                 ? json_object_new_uint64(cache_position(core->cache)->revision)
                 : NULL);
    json_add(document, "durability", durability_json(core, &short_of_acks));
    json_add(document, "arbiter", view_arbiter(core));
    json_add(document, "takeover", view_takeover(core));
    json_add(document, "pause", view_pause(core));
    json_add(document, "nodes", nodes);
    json_add(document, "sites", site_list(nodes, false));
    json_add(document, "connectors", connectors);
    json_add(document, "instances", registry_brief(core->registry));
    json_add_u64(setaside, "count", core->driver->setaside_kept);
    json_add(document, "setaside", setaside);
    json_add(document, "alarms", alarm_list(core, own, short_of_acks));
    return document;
}

struct json_object *
view_connectors(struct core *core)
{
    struct json_object *document = json_object_new_object();
    json_add(document, "connectors", connector_list(core));
    return document;
}

struct json_object *
view_connector(struct core *core, const char *name)
{
    CLEANUP(json_putp) struct json_object *all = connector_list(core);
    struct json_object *nodes = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *one = json_object_array_get_idx(all, i);
        const char *its_name;
        if (json_get_string(one, "name", &its_name) && strcmp(its_name, name) == 0)
            (void)json_object_array_add(nodes, json_object_get(one));
    }
    if (json_object_array_length(nodes) == 0) {
        (void)json_object_put(nodes);
        return NULL;
    }
    struct json_object *document = json_object_new_object();
    json_add_string(document, "name", name);
    json_add(document, "nodes", nodes);
    return document;
}

bool
view_ready(struct core *core, const char **ret_reason)
{
    const struct driver *driver = core->driver;
    *ret_reason = "";
    if (driver->node.state == NODE_PRIMARY ||
        (driver->node.state == NODE_STANDBY && driver->streaming))
        return true;
    *ret_reason = driver->node.state == NODE_STANDBY ? "the subscription does not receive"
                                                     : driver->node.reason;
    return false;
}
