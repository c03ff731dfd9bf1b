#include "sites/ready.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/own.h"

/* ---- names ---- */

static const char *const check_names[] = {
#define X(symbol, name) [READY_CHECK_##symbol] = name,
    READY_CHECK_TABLE(X)
#undef X
};

const char *
ready_check_name(enum ready_check check)
{
    return check_names[check];
}

static const char *const outcome_names[] = {
    [READY_OUTCOME_UNKNOWN] = "unknown", [READY_OUTCOME_NONE] = "none",
    [READY_OUTCOME_OK] = "ok",           [READY_OUTCOME_WARN] = "warn",
    [READY_OUTCOME_FAILED] = "failed",
};

const char *
ready_outcome_name(enum ready_outcome outcome)
{
    return outcome_names[outcome];
}

enum ready_outcome
ready_outcome_parse(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(outcome_names); i++) {
        if (strcmp(name, outcome_names[i]) == 0)
            return (enum ready_outcome)i;
    }
    return READY_OUTCOME_UNKNOWN;
}

#define WARNS_WEIGHT   READY_WARNS
#define UNKNOWN_WEIGHT READY_UNKNOWN_IS
#define BLOCKS_WEIGHT  READY_BLOCKS

static const struct {
    const char *code;
    enum ready_weight weight;
    const char *mend;
} rules[] = {
#define X(symbol, code, weight, mend) [READY_RULE_##symbol] = { code, weight##_WEIGHT, mend },
    READY_RULE_TABLE(X)
#undef X
};

const char *
ready_rule_code(enum ready_rule rule)
{
    return rules[rule].code;
}

const char *
ready_rule_weight(enum ready_rule rule)
{
    static const char *const names[] = { "warns", "unknown", "blocks" };
    return names[rules[rule].weight];
}

const char *
ready_rule_mend(enum ready_rule rule)
{
    return rules[rule].mend;
}

const char *
ready_rule_alarm(enum ready_rule rule)
{
    static const char *const names[READY_RULE_COUNT] = {
        [READY_RULE_SLOT] = "wal_slot",
        [READY_RULE_WAL_DISK] = "wal_disk",
        [READY_RULE_WAL_ROOM] = "wal_room",
    };
    return names[rule];
}

const char *
ready_verdict_name(enum ready_verdict verdict)
{
    static const char *const names[] = { "ready", "unknown", "not_ready" };
    return names[verdict];
}

/* ---- reasons ---- */

struct judge {
    const struct ready_view *view;
    struct ready *ret;
    const char *connector; /* "" while the node itself is judged */
};

static void add(struct judge *judge, enum ready_rule rule, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void
add(struct judge *judge, enum ready_rule rule, const char *format, ...)
{
    struct ready *ret = judge->ret;
    enum ready_verdict verdict = rules[rule].weight == READY_BLOCKS       ? READY_NO
                                 : rules[rule].weight == READY_UNKNOWN_IS ? READY_UNKNOWN
                                                                          : READY_YES;
    if (verdict > ret->verdict)
        ret->verdict = verdict;
    if (ret->count == READY_REASONS_MAX) {
        ret->more++;
        return;
    }
    struct ready_reason *reason = &ret->list[ret->count++];
    va_list arguments;
    reason->rule = rule;
    (void)snprintf(reason->connector, sizeof reason->connector, "%s", judge->connector);
    va_start(arguments, format);
    (void)vsnprintf(reason->text, sizeof reason->text, format, arguments);
    va_end(arguments);
}

/* ---- the node ---- */

static bool
is_primary(enum node_state state)
{
    return state == NODE_PRIMARY;
}

/* What members tell each other every second. */
static void
judge_state(struct judge *judge)
{
    const struct ready_view *view = judge->view;
    if (view->state != NODE_PRIMARY && view->state != NODE_STANDBY) {
        add(judge, READY_RULE_STATE, "it is %s: %s", node_state_name(view->state), view->reason);
        return;
    }
    if (is_primary(view->state))
        return;
    if (!view->receiving)
        add(judge, READY_RULE_RECEIVING, "its subscription does not receive");
    if (!view->primary_known)
        add(judge, READY_RULE_NO_PRIMARY, "nobody is known to be primary");
    else if (view->head > view->revision && view->head - view->revision > view->lag_max)
        add(judge, READY_RULE_LAG,
            "it is %" PRIu64 " revisions behind the primary, more than %" PRIu64,
            view->head - view->revision, view->lag_max);
    if (!view->voter)
        add(judge, READY_RULE_SYNC, "it is not among the members whose acknowledgement counts");
    if (view->digest == READY_DIGEST_DIFFERENT)
        add(judge, READY_RULE_DIGEST, "its history is another one");
    if (view->digest == READY_DIGEST_UNKNOWN)
        add(judge, READY_RULE_DIGEST_UNKNOWN, "its history is not compared yet");
}

static void
judge_versions(struct judge *judge)
{
    const struct ready_view *view = judge->view;
    if (view->primary_schema != 0 && view->schema != view->primary_schema)
        add(judge, READY_RULE_SCHEMA, "its schema is %u, that of the primary %u", view->schema,
            view->primary_schema);
    if (view->primary_version[0] != '\0' && strcmp(view->version, view->primary_version) != 0)
        add(judge, READY_RULE_VERSION, "it runs Baton %s, the primary %s", view->version,
            view->primary_version);
    if (view->postgres != 0 && view->primary_postgres != 0 &&
        view->postgres != view->primary_postgres)
        add(judge, READY_RULE_POSTGRES, "its PostgreSQL is %u, that of the primary %u",
            view->postgres, view->primary_postgres);
}

bool
ready_slot_is_full(const struct ready_slot *slot)
{
    if (slot->name[0] == '\0')
        return false;
    return strcmp(slot->state, "lost") == 0 || strcmp(slot->state, "unreserved") == 0 ||
           (slot->most_mb != 0 && slot->kept_mb >= slot->most_mb - slot->most_mb / 10);
}

/* A full pg_wal ends the database; a slot that reached its bound ends the following of one. */
static void
judge_wal(struct judge *judge)
{
    const struct ready_view *view = judge->view;
    const struct ready_slot *slot = &view->slot;
    if (view->wal_known && view->wal_apart && view->disk_known &&
        view->wal_free_mb < view->disk_least_mb)
        add(judge, READY_RULE_WAL_DISK,
            "%" PRIu64 " MB are free for its write-ahead log, fewer than %" PRIu64,
            view->wal_free_mb, view->disk_least_mb);
    if (ready_slot_is_full(slot))
        add(judge, READY_RULE_SLOT,
            "slot %.63s keeps %" PRIu64 " of at most %" PRIu64 " MB of write-ahead log (%.16s)",
            slot->name, slot->kept_mb, slot->most_mb, slot->state);
    else if (slot->name[0] != '\0' && !slot->active && view->wal_known && slot->most_mb != 0 &&
             view->wal_free_mb < slot->most_mb - slot->kept_mb)
        add(judge, READY_RULE_WAL_ROOM,
            "slot %.63s may keep %" PRIu64 " MB more, and %" PRIu64 " MB are free", slot->name,
            slot->most_mb - slot->kept_mb, view->wal_free_mb);
}

/* What its statement says of the node. */
static void
judge_told(struct judge *judge)
{
    const struct ready_view *view = judge->view;
    if (!view->database)
        add(judge, READY_RULE_DATABASE, "its database does not answer");
    if (view->arbiter[0] != '\0')
        add(judge, READY_RULE_ARBITER, "the arbiter: %s", view->arbiter);
    if (view->disk_known && view->disk_free_mb < view->disk_least_mb)
        add(judge, READY_RULE_DISK, "%" PRIu64 " MB are free, fewer than %" PRIu64,
            view->disk_free_mb, view->disk_least_mb);
    judge_wal(judge);
    if (!view->certificate_known)
        return;
    if (view->certificate_days < 0)
        add(judge, READY_RULE_NODE_CERTIFICATE, "the node's certificate has ended");
    else if ((uint64_t)view->certificate_days < view->certificate_warn_days)
        add(judge, READY_RULE_NODE_CERTIFICATE_SOON,
            "the node's certificate ends in %" PRId64 " days", view->certificate_days);
}

static void
judge_drift(struct judge *judge)
{
    const struct ready_view *view = judge->view;
    for (size_t i = 0; i < view->drift_count; i++) {
        const struct ready_drift *drift = &view->drifts[i];
        if (strcmp(drift->node, view->node) != 0)
            continue;
        if (drift->blocks)
            add(judge, READY_RULE_DRIFT, "%.100s is not as on %s", drift->key, drift->other);
        else
            add(judge, READY_RULE_DRIFT_SITES, "%.100s is as on %s, of the primary's site",
                drift->key, drift->other);
    }
}

/* ---- its connectors ---- */

/* Which rule a failed check breaks; the rest only informs. */
static const struct {
    enum ready_check check;
    enum ready_rule failed;
    enum ready_rule warns;
} check_rules[] = {
    { READY_CHECK_REACH, READY_RULE_REACH, READY_RULE_COUNT },
    { READY_CHECK_TLS, READY_RULE_TLS, READY_RULE_COUNT },
    { READY_CHECK_CERTIFICATE, READY_RULE_CERTIFICATE, READY_RULE_CERTIFICATE_SOON },
    { READY_CHECK_CREDENTIAL, READY_RULE_CREDENTIAL, READY_RULE_COUNT },
    { READY_CHECK_HEALTH, READY_RULE_HEALTH, READY_RULE_COUNT },
    { READY_CHECK_TARGETS, READY_RULE_TARGETS, READY_RULE_COUNT },
};

static void
judge_checks(struct judge *judge, const struct ready_record *record)
{
    bool failed = false;
    for (size_t i = 0; i < ARRAY_COUNT(check_rules); i++)
        failed = failed || record->checks[check_rules[i].check].outcome == READY_OUTCOME_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(check_rules); i++) {
        enum ready_check check = check_rules[i].check;
        const char *text = record->checks[check].text;
        switch (record->checks[check].outcome) {
        case READY_OUTCOME_FAILED:
            add(judge, check_rules[i].failed, "%s", text);
            break;
        case READY_OUTCOME_WARN:
            if (check_rules[i].warns != READY_RULE_COUNT)
                add(judge, check_rules[i].warns, "%s", text);
            break;
        case READY_OUTCOME_UNKNOWN:
            if (!failed) /* beside a failure it could not be tried */
                add(judge, READY_RULE_UNTRIED, "%s: %s", check_names[check],
                    text[0] == '\0' ? "not known" : text);
            break;
        case READY_OUTCOME_NONE:
        case READY_OUTCOME_OK:
            break;
        }
    }
}

static const struct ready_record *
find_record(const struct ready_view *view, const char *connector)
{
    for (size_t i = 0; i < view->record_count; i++) {
        if (strcmp(view->records[i].connector, connector) == 0)
            return &view->records[i];
    }
    return NULL;
}

static void
judge_connector(struct judge *judge, const struct ready_wanted *wanted)
{
    const struct ready_view *view = judge->view;
    const struct ready_record *record = find_record(view, wanted->connector);
    if (record == NULL) {
        add(judge, READY_RULE_NO_RECORD, "it has told nothing of this connector");
        return;
    }
    if (record->revision != wanted->revision) {
        add(judge, READY_RULE_REVISION,
            "told of revision %" PRIu64 " of its document, not %" PRIu64, record->revision,
            wanted->revision);
        return;
    }
    const char *why = record->checks[READY_CHECK_SERVER].text;
    if (record->server == EFFECTIVE_ERROR) {
        add(judge, READY_RULE_FLAG, "%s", why);
        return;
    }
    if (record->server == EFFECTIVE_NONE) {
        if (wanted->any_server)
            add(judge, READY_RULE_NO_SERVER, "%s", why);
        return;
    }
    if (record->age_ms + view->age_ms > READY_STALE_INTERVALS * view->interval_ms)
        add(judge, READY_RULE_OLD_RECORD, "the %s server was asked %" PRIu64 " s ago",
            effective_server_name(record->server), (record->age_ms + view->age_ms) / 1000);
    else
        judge_checks(judge, record);
}

/* ---- all of it ---- */

void
ready_decide(const struct ready_view *view, struct ready *ret)
{
    struct judge judge = { .view = view, .ret = ret, .connector = "" };
    ret->verdict = READY_YES;
    ret->count = ret->more = 0;
    if (!view->heard) { /* what was known of it once is not known any more */
        add(&judge, READY_RULE_UNHEARD, "%s", view->deaf);
        return;
    }
    judge_state(&judge);
    judge_versions(&judge);
    if (view->paused)
        add(&judge, READY_RULE_PAUSED, "nobody takes over by itself; a person can promote");
    if (!view->proved) {
        add(&judge, READY_RULE_UNPROVED, "%s", view->unproved);
        return;
    }
    if (view->age_ms > READY_STALE_INTERVALS * view->interval_ms) {
        add(&judge, READY_RULE_STALE, "what it told last is %" PRIu64 " s old",
            view->age_ms / 1000);
        return;
    }
    judge_told(&judge);
    judge_drift(&judge);
    for (size_t i = 0; i < view->wanted_count; i++) {
        judge.connector = view->wanted[i].connector;
        judge_connector(&judge, &view->wanted[i]);
    }
}

enum ready_verdict
ready_site(const enum ready_verdict *nodes, size_t count)
{
    enum ready_verdict best = count == 0 ? READY_UNKNOWN : READY_NO;
    for (size_t i = 0; i < count; i++)
        best = nodes[i] < best ? nodes[i] : best;
    return best;
}

/* ---- drift ---- */

struct drifts {
    struct ready_drift *list;
    size_t max;
    size_t count;
};

static int
by_key_site_node(const void *left, const void *right)
{
    const struct ready_value *a = left;
    const struct ready_value *b = right;
    int order = strcmp(a->key, b->key);
    if (order == 0)
        order = strcmp(a->site, b->site);
    return order != 0 ? order : strcmp(a->node, b->node);
}

static void
note(struct drifts *drifts, const struct ready_value *value, const struct ready_value *other,
     bool blocks)
{
    if (drifts->count < drifts->max)
        drifts->list[drifts->count] = (struct ready_drift){
            .key = value->key, .node = value->node, .other = other->node, .blocks = blocks
        };
    drifts->count++;
}

/* The primary's value, or else the first one. */
static const struct ready_value *
leading(const struct ready_value *values, size_t count, const char *primary)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(values[i].node, primary) == 0)
            return &values[i];
    }
    return &values[0];
}

/* Whoever is not as 'lead'. The lead itself is the one to be believed when it is the primary; of
 * others nobody knows which one is right, so it stands there as well. */
static void
must_match(struct drifts *drifts, const struct ready_value *values, size_t count,
           const char *primary)
{
    const struct ready_value *lead = leading(values, count, primary);
    const struct ready_value *other = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(values[i].digest, lead->digest) == 0)
            continue;
        other = &values[i];
        note(drifts, other, lead, true);
    }
    if (other != NULL && strcmp(lead->node, primary) != 0)
        note(drifts, lead, other, true);
}

static size_t
run_of_site(const struct ready_value *values, size_t count)
{
    size_t length = 1;
    while (length < count && strcmp(values[length].site, values[0].site) == 0)
        length++;
    return length;
}

static void
must_differ(struct drifts *drifts, const struct ready_value *values, size_t count,
            const char *primary)
{
    const struct ready_value *lead = leading(values, count, primary);
    bool known = strcmp(lead->node, primary) == 0;
    for (size_t i = 0; i < count;) {
        size_t length = run_of_site(values + i, count - i);
        must_match(drifts, values + i, length, primary);
        for (size_t j = i; known && j < i + length; j++) {
            if (strcmp(values[j].site, lead->site) != 0 &&
                strcmp(values[j].digest, lead->digest) == 0)
                note(drifts, &values[j], lead, false);
        }
        i += length;
    }
}

size_t
ready_drift(struct ready_value *values, size_t count, const char *primary, struct ready_drift *ret,
            size_t max)
{
    struct drifts drifts = { .list = ret, .max = max };
    if (count > 0)
        qsort(values, count, sizeof *values, by_key_site_node);
    for (size_t i = 0; i < count;) {
        size_t length = 1;
        while (i + length < count && strcmp(values[i + length].key, values[i].key) == 0)
            length++;
        switch (values[i].rule) {
        case SETTING_DRIFT_FREE:
            break;
        case SETTING_DRIFT_MATCH:
            must_match(&drifts, values + i, length, primary);
            break;
        case SETTING_DRIFT_DIFFER:
            must_differ(&drifts, values + i, length, primary);
            break;
        }
        i += length;
    }
    return drifts.count;
}
