#include "controller/daemon/view_ready.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/prover.h"
#include "controller/daemon/view.h"
#include "sites/ready.h"
#include "sites/setting.h"

#define DRIFTS_MAX       256
#define DRIFT_ALARMS_MAX 8
#define ALARM_AFTER_MS   5000 /* what was just changed is being proved anew */

/* One member, as it is judged. */
struct member {
    const char *name;
    const char *site;
    const struct driver_peer *peer; /* NULL: ourselves */
    struct node_facts facts;
    struct prover_view proof;
    struct ready *ready; /* owned */
};

struct readiness {
    struct core *core;
    uint64_t now_ms;
    struct driver_primary primary;
    const char *primary_site; /* "" when not known */
    struct quorum_record record;
    bool paused;
    uint64_t interval_ms;
    struct member *members; /* owned; by site, then by name */
    size_t count;
    struct ready_drift drifts[DRIFTS_MAX];
    size_t drift_count;
};

/* ------------------------------------------------------------------ gathering */

static int
by_site_and_name(const void *left, const void *right)
{
    const struct member *a = left;
    const struct member *b = right;
    int order = strcmp(a->site, b->site);
    return order != 0 ? order : strcmp(a->name, b->name);
}

static const struct member *
find_member(const struct readiness *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->members[i].name, name) == 0)
            return &all->members[i];
    }
    return NULL;
}

static bool
is_heard(const struct readiness *all, const struct member *member)
{
    uint64_t stale_ms = setting_u64(SETTING_PEER_STALE_MS, cache_settings(all->core->cache));
    return member->peer == NULL ||
           (member->peer->heard_ms != 0 && all->now_ms - member->peer->heard_ms <= stale_ms);
}

static void
gather_members(struct readiness *all)
{
    const struct driver *driver = all->core->driver;
    all->members = mem_zero(driver->peer_count + 1, sizeof *all->members);
    all->count = driver->peer_count + 1;
    all->members[0] = (struct member){ .name = all->core->home->node,
                                       .site = all->core->home->site,
                                       .facts = driver_own_facts(driver) };
    for (size_t i = 0; i < driver->peer_count; i++)
        all->members[i + 1] = (struct member){ .name = driver->peers[i].name,
                                               .site = driver->peers[i].site,
                                               .peer = &driver->peers[i],
                                               .facts = driver->peers[i].facts };
    qsort(all->members, all->count, sizeof *all->members, by_site_and_name);
    for (size_t i = 0; i < all->count; i++) {
        struct member *member = &all->members[i];
        member->proof = prover_view(all->core->prover, member->name);
        member->ready = mem_zero(1, sizeof *member->ready);
        if (strcmp(member->name, all->primary.name) == 0)
            all->primary_site = member->site;
    }
}

static size_t
count_keys(const struct readiness *all)
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        struct json_object *keys = json_get(all->members[i].proof.statement, "keys");
        count += json_object_is_type(keys, json_type_array) ? json_object_array_length(keys) : 0;
    }
    return count;
}

static void
gather_drifts(struct readiness *all)
{
    struct ready_value *values = mem_zero(count_keys(all), sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct member *member = &all->members[i];
        struct json_object *keys = json_get(member->proof.statement, "keys");
        if (!json_object_is_type(keys, json_type_array) || !is_heard(all, member))
            continue;
        for (size_t j = 0; j < json_object_array_length(keys); j++) {
            struct json_object *key = json_object_array_get_idx(keys, j);
            struct ready_value *value = &values[count];
            *value = (struct ready_value){ .node = member->name, .site = member->site };
            if (!json_get_string(key, "key", &value->key) ||
                !json_get_string(key, "digest", &value->digest))
                continue;
            const struct setting_row *row = setting_find(value->key);
            if (row == NULL) /* of a later version */
                continue;
            value->rule = setting_drift(row->id);
            count++;
        }
    }
    all->drift_count =
        ready_drift(values, count, all->primary.name, all->drifts, ARRAY_COUNT(all->drifts));
    if (all->drift_count > ARRAY_COUNT(all->drifts))
        all->drift_count = ARRAY_COUNT(all->drifts);
    free(values);
}

/* ------------------------------------------------------------------ what a node told */

static struct ready_record
read_record(struct json_object *object)
{
    struct ready_record record = { .connector = "" };
    struct json_object *checks = json_get(object, "checks");
    const char *server = "";
    (void)!json_get_string(object, "connector", &record.connector);
    (void)!json_get_string(object, "server", &server);
    (void)!json_get_u64(object, "revision", &record.revision);
    (void)!json_get_u64(object, "age_ms", &record.age_ms);
    for (unsigned i = EFFECTIVE_NONE; i <= EFFECTIVE_ERROR; i++) {
        if (strcmp(effective_server_name((enum effective_server)i), server) == 0)
            record.server = (enum effective_server)i;
    }
    for (unsigned i = 0; i < READY_CHECK_COUNT; i++) {
        struct json_object *check = json_get(checks, ready_check_name((enum ready_check)i));
        const char *outcome = "";
        record.checks[i].text = "";
        (void)!json_get_string(check, "outcome", &outcome);
        (void)!json_get_string(check, "text", &record.checks[i].text);
        record.checks[i].outcome = ready_outcome_parse(outcome);
    }
    return record;
}

static struct ready_record *
read_records(struct json_object *statement, size_t *ret_count)
{
    struct json_object *list = json_get(statement, "records");
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    struct ready_record *records = mem_zero(count, sizeof *records);
    for (size_t i = 0; i < count; i++)
        records[i] = read_record(json_object_array_get_idx(list, i));
    *ret_count = count;
    return records;
}

/* The connectors of a site: its own document of one, else that of the cluster. The cache has both
 * beside each other, the cluster's first. */
static struct ready_wanted *
read_wanted(const struct core *core, const char *site, size_t *ret_count)
{
    struct ready_wanted *list = mem_zero(cache_count(core->cache), sizeof *list);
    const struct cache_entry *entry;
    const char *before = "";
    size_t count = 0;
    for (size_t at = 0; (entry = cache_next(core->cache, "connector/", NULL, &at)) != NULL;) {
        char name[CONNECTOR_NAME_SIZE];
        if ((entry->site[0] != '\0' && strcmp(entry->site, site) != 0) ||
            !connector_name_of_key(entry->key, name))
            continue;
        if (count > 0 && strcmp(before, entry->key) == 0)
            count--;
        before = entry->key;
        struct json_object *document = cache_value(entry);
        list[count++] = (struct ready_wanted){
            .connector = entry->key + strlen("connector/"),
            .revision = entry->revision,
            .any_server =
                json_get(document, "main") != NULL || json_get(document, "alternate") != NULL,
        };
    }
    *ret_count = count;
    return list;
}

/* ------------------------------------------------------------------ judging */

static enum ready_digest
digest_of(const struct readiness *all, const struct member *member)
{
    const struct driver_peer *peer = member->peer;
    if (peer == NULL) /* as whose? */
        peer = driver_peer(all->core->driver, all->primary.name);
    if (peer == NULL)
        return READY_DIGEST_UNKNOWN;
    return peer->digest == DRIVER_DIGEST_SAME        ? READY_DIGEST_SAME
           : peer->digest == DRIVER_DIGEST_DIFFERENT ? READY_DIGEST_DIFFERENT
                                                     : READY_DIGEST_UNKNOWN;
}

static unsigned
number_of(struct json_object *object, const char *name)
{
    uint64_t number = 0;
    return json_get_u64(object, name, &number) && number < UINT32_MAX ? (unsigned)number : 0;
}

/* What members tell each other every second. */
static void
add_facts(const struct readiness *all, const struct member *member, struct ready_view *view)
{
    const struct driver *driver = all->core->driver;
    const struct member *primary = find_member(all, all->primary.name);
    view->node = member->name;
    view->heard = is_heard(all, member);
    view->deaf = member->peer != NULL && member->peer->error[0] != '\0' ? member->peer->error
                                                                        : "it has not answered yet";
    view->state = member->facts.state;
    view->reason = "";
    if (member->peer == NULL)
        view->reason = driver->node.reason;
    else
        (void)!json_get_string(member->peer->document, "reason", &view->reason);
    view->receiving = member->facts.streaming;
    view->primary_known = primary != NULL && is_heard(all, primary);
    view->revision = member->facts.applied.revision;
    view->head = view->primary_known ? primary->facts.applied.revision : 0;
    view->voter = quorum_is_voter(&all->record, member->name);
    view->digest = digest_of(all, member);
    view->schema = member->facts.schema;
    view->primary_schema = view->primary_known ? primary->facts.schema : 0;
    view->paused = all->paused;
}

/* What it has proved. */
static void
add_proof(const struct readiness *all, const struct member *member, struct ready_view *view)
{
    const struct setting_source *source = cache_settings(all->core->cache);
    const struct member *primary = find_member(all, all->primary.name);
    struct json_object *told = member->proof.statement;
    struct json_object *others = primary == NULL ? NULL : primary->proof.statement;
    view->proved = told != NULL;
    view->unproved = member->proof.fault;
    view->age_ms = member->proof.age_ms;
    view->interval_ms = all->interval_ms;
    view->lag_max = setting_u64(SETTING_READY_LAG_MAX, source);
    view->certificate_warn_days = setting_u64(SETTING_ALARM_CERT_DAYS, source);
    view->arbiter = view->version = view->primary_version = "";
    (void)!json_get_bool(told, "database", &view->database);
    (void)!json_get_string(told, "arbiter", &view->arbiter);
    (void)!json_get_string(told, "version", &view->version);
    (void)!json_get_string(others, "version", &view->primary_version);
    view->disk_known = json_get_u64(told, "disk_free_mb", &view->disk_free_mb) &&
                       json_get_u64(told, "disk_least_mb", &view->disk_least_mb);
    struct json_object *wal = json_get(told, "wal");
    struct json_object *slot = json_get(wal, "slot");
    view->wal_known = json_get_u64(wal, "free_mb", &view->wal_free_mb) &&
                      json_get_bool(wal, "apart", &view->wal_apart);
    view->slot.name = view->slot.state = "";
    if (json_get_string(slot, "state", &view->slot.state) &&
        json_get_bool(slot, "active", &view->slot.active))
        (void)!json_get_string(slot, "name", &view->slot.name);
    view->slot.kept_mb = number_of(slot, "kept_mb");
    view->slot.most_mb = number_of(slot, "most_mb");
    view->certificate_known = json_get_i64(told, "certificate_days", &view->certificate_days);
    view->postgres = number_of(told, "postgres");
    view->primary_postgres = number_of(others, "postgres");
    if (told == NULL) /* its version is not known */
        view->primary_version = "";
}

static void
judge(const struct readiness *all, struct member *member)
{
    struct ready_view view = { 0 };
    size_t count;
    struct ready_wanted *wanted = read_wanted(all->core, member->site, &count);
    struct ready_record *records = read_records(member->proof.statement, &view.record_count);
    add_facts(all, member, &view);
    add_proof(all, member, &view);
    view.records = records;
    view.wanted = wanted;
    view.wanted_count = count;
    view.drifts = all->drifts;
    view.drift_count = all->drift_count;
    ready_decide(&view, member->ready);
    free(records);
    free(wanted);
}

static void
readiness_done(struct readiness *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->members[i].ready);
    free(all->members);
}

static void
look(struct core *core, struct readiness *ret)
{
    CLEANUP(json_putp) struct json_object *pause = view_pause(core);
    *ret = (struct readiness){ .core = core,
                               .now_ms = clock_now_ms(),
                               .primary = driver_primary(core->driver),
                               .primary_site = "" };
    (void)!json_get_bool(pause, "paused", &ret->paused);
    ret->interval_ms = setting_u64(SETTING_READY_INTERVAL_MS, cache_settings(core->cache));
    driver_record_in_force(core->driver, &ret->record);
    gather_members(ret);
    gather_drifts(ret);
    for (size_t i = 0; i < ret->count; i++)
        judge(ret, &ret->members[i]);
}

/* How many members from this one on stand in the same site, and what they come to. */
static size_t
site_from(const struct readiness *all, size_t first, enum ready_verdict *ret)
{
    enum ready_verdict nodes[NODE_MEMBERS_MAX + 1];
    size_t count = 0;
    while (first + count < all->count &&
           strcmp(all->members[first + count].site, all->members[first].site) == 0) {
        nodes[count] = all->members[first + count].ready->verdict;
        count++;
    }
    *ret = ready_site(nodes, count);
    return count;
}

/* ------------------------------------------------------------------ documents */

static struct json_object *
reasons_json(const struct ready *ready)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < ready->count; i++) {
        const struct ready_reason *reason = &ready->list[i];
        struct json_object *object = json_object_new_object();
        json_add_string(object, "code", ready_rule_code(reason->rule));
        json_add_string(object, "weight", ready_rule_weight(reason->rule));
        json_add_string(object, "connector",
                        reason->connector[0] == '\0' ? NULL : reason->connector);
        json_add_string(object, "text", reason->text);
        json_add_string(object, "mend", ready_rule_mend(reason->rule));
        (void)json_object_array_add(list, object);
    }
    return list;
}

/* Each with its age now; nothing of what was proved too long ago to be told as known. */
static struct json_object *
records_json(const struct member *member)
{
    struct json_object *list = json_object_new_array();
    struct json_object *told = json_get(member->proof.statement, "records");
    size_t count = json_object_is_type(told, json_type_array) ? json_object_array_length(told) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *record = NULL;
        uint64_t age_ms = 0;
        if (json_object_deep_copy(json_object_array_get_idx(told, i), &record, NULL) != 0)
            continue;
        (void)!json_get_u64(record, "age_ms", &age_ms);
        json_add_u64(record, "age_ms", age_ms + member->proof.age_ms);
        (void)json_object_array_add(list, record);
    }
    return list;
}

static struct json_object *
verdict_json(const struct member *member)
{
    struct json_object *object = json_object_new_object();
    json_add_string(object, "name", member->name);
    json_add_string(object, "verdict", ready_verdict_name(member->ready->verdict));
    json_add(object, "reasons", reasons_json(member->ready));
    json_add_u64(object, "more", member->ready->more);
    return object;
}

static struct json_object *
node_json(const struct member *member, bool evidence)
{
    struct json_object *object = verdict_json(member);
    struct json_object *told = member->proof.statement;
    const char *text = NULL;
    (void)!json_get_string(told, "version", &text);
    json_add_string(object, "version", text);
    json_add(object, "schema", told == NULL ? NULL : json_object_get(json_get(told, "schema")));
    json_add(object, "postgres", told == NULL ? NULL : json_object_get(json_get(told, "postgres")));
    json_add(object, "age_ms", told == NULL ? NULL : json_object_new_uint64(member->proof.age_ms));
    json_add(object, "connectors", records_json(member));
    if (evidence)
        json_add(object, "evidence", json_object_get(member->proof.signed_as));
    return object;
}

static struct json_object *
drifts_json(const struct readiness *all)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < all->drift_count; i++) {
        struct json_object *object = json_object_new_object();
        json_add_string(object, "key", all->drifts[i].key);
        json_add_string(object, "node", all->drifts[i].node);
        json_add_string(object, "other", all->drifts[i].other);
        json_add_string(
            object, "weight",
            ready_rule_weight(all->drifts[i].blocks ? READY_RULE_DRIFT : READY_RULE_DRIFT_SITES));
        (void)json_object_array_add(list, object);
    }
    return list;
}

struct json_object *
view_ready_document(struct core *core, const char *site, bool evidence)
{
    CLEANUP(freep) struct readiness *all = mem_zero(1, sizeof *all);
    struct json_object *sites = json_object_new_array();
    enum ready_verdict worst = READY_YES;
    enum ready_verdict verdict;
    look(core, all);
    for (size_t i = 0, count; i < all->count; i += count) {
        const char *name = all->members[i].site;
        count = site_from(all, i, &verdict);
        if (site != NULL && strcmp(name, site) != 0)
            continue;
        struct json_object *object = json_object_new_object();
        struct json_object *nodes = json_object_new_array();
        for (size_t j = i; j < i + count; j++)
            (void)json_object_array_add(nodes, node_json(&all->members[j], evidence));
        worst = verdict > worst ? verdict : worst;
        json_add_string(object, "name", name);
        json_add_string(object, "role",
                        all->primary_site[0] == '\0'           ? "unknown"
                        : strcmp(all->primary_site, name) == 0 ? "primary"
                                                               : "secondary");
        json_add_string(object, "verdict", ready_verdict_name(verdict));
        json_add(object, "nodes", nodes);
        (void)json_object_array_add(sites, object);
    }
    struct json_object *document = NULL;
    if (site != NULL && json_object_array_length(sites) == 0) {
        (void)json_object_put(sites);
    } else {
        document = json_object_new_object();
        json_add_string(document, "verdict", ready_verdict_name(worst));
        json_add_string(document, "this_node", core->home->node);
        json_add_u64(document, "interval_ms", all->interval_ms);
        json_add(document, "sites", sites);
        json_add(document, "drift", drifts_json(all));
    }
    readiness_done(all);
    return document;
}

struct json_object *
view_ready_node(struct core *core, const char *node)
{
    CLEANUP(freep) struct readiness *all = mem_zero(1, sizeof *all);
    look(core, all);
    const struct member *member = find_member(all, node);
    struct json_object *object = member == NULL ? NULL : verdict_json(member);
    readiness_done(all);
    return object;
}

/* The gravest reason of the members from 'first' on, which are as ready as their site. */
static void
add_site_alarm(const struct readiness *all, size_t first, enum ready_verdict verdict,
               struct json_object *list)
{
    const struct member *member = &all->members[first];
    while (member->ready->verdict != verdict)
        member++;
    const struct ready *ready = member->ready;
    for (size_t i = 0; i < ready->count; i++) {
        const struct ready_reason *reason = &ready->list[i];
        if (strcmp(ready_rule_weight(reason->rule), verdict == READY_NO ? "blocks" : "unknown") !=
            0)
            continue;
        view_add_alarm(list, "not_ready", "%s: %s: %s%s%s; see baton ready", member->site,
                       member->name, reason->connector, reason->connector[0] == '\0' ? "" : ": ",
                       reason->text);
        return;
    }
}

/* A primary is asked to be ready by nobody, and it is the one that keeps for who is away. */
static void
add_own_alarms(const struct readiness *all, struct json_object *list)
{
    const struct member *self = find_member(all, all->core->home->node);
    for (size_t i = 0; i < self->ready->count; i++) {
        const struct ready_reason *reason = &self->ready->list[i];
        const char *name = ready_rule_alarm(reason->rule);
        if (name != NULL)
            view_add_alarm(list, name, "%s: %s; see baton ready", self->name, reason->text);
    }
}

void
view_ready_alarms(struct core *core, struct json_object *list)
{
    CLEANUP(freep) struct readiness *all = mem_zero(1, sizeof *all);
    enum ready_verdict verdict;
    size_t drifts = 0;
    look(core, all);
    for (size_t i = 0, count; i < all->count; i += count) {
        const char *site = all->members[i].site;
        count = site_from(all, i, &verdict);
        if (prover_lasts(core->prover, site, verdict != READY_YES) >= ALARM_AFTER_MS &&
            strcmp(site, all->primary_site) != 0)
            add_site_alarm(all, i, verdict, list);
    }
    add_own_alarms(all, list);
    for (size_t i = 0; i < all->drift_count && drifts < DRIFT_ALARMS_MAX; i++) {
        const struct ready_drift *drift = &all->drifts[i];
        if (drift->blocks && drifts++ < DRIFT_ALARMS_MAX)
            view_add_alarm(list, "drift", "%s of %s: is not as on %s", drift->key, drift->node,
                           drift->other);
    }
    readiness_done(all);
}
