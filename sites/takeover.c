#include "sites/takeover.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "sites/setting.h"

#define X(name, text) text,
static const char *const path_names[] = { TAKEOVER_PATH_TABLE(X) };
static const char *const rule_names[] = { TAKEOVER_RULE_TABLE(X) };
#undef X

const char *
takeover_path_name(enum takeover_path_kind kind)
{
    return path_names[kind];
}

bool
takeover_path_parse(const char *name, enum takeover_path_kind *ret_kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(path_names); i++) {
        if (strcmp(path_names[i], name) == 0) {
            *ret_kind = (enum takeover_path_kind)i;
            return true;
        }
    }
    return false;
}

const char *
takeover_rule_name(enum takeover_rule rule)
{
    return rule_names[rule];
}

const char *
takeover_verdict_name(enum takeover_verdict verdict)
{
    static const char *const names[] = { "pass", "wait", "fail" };
    return names[verdict];
}

const char *
takeover_decision_name(enum takeover_decision decision)
{
    static const char *const names[] = { "never", "wait", "start" };
    return names[decision];
}

static enum takeover_how
how_from(enum setting_id id, const struct setting_source *source)
{
    const char *text = setting_text(id, source);
    if (strcmp(text, "automatic") == 0)
        return TAKEOVER_AUTOMATIC;
    return strcmp(text, "unguarded") == 0 ? TAKEOVER_UNGUARDED : TAKEOVER_MANUAL;
}

uint64_t
takeover_delay_ms(const struct setting_source *source)
{
    uint64_t own_ms = setting_u64(SETTING_CHECK_TAKEOVER_DELAY_MS, source);
    return own_ms != 0 ? own_ms : setting_u64(SETTING_TAKEOVER_DELAY_MS, source);
}

struct takeover_settings
takeover_settings_from(const struct setting_source *source)
{
    return (struct takeover_settings){
        .within_site = how_from(SETTING_TAKEOVER_WITHIN_SITE, source),
        .across_sites = how_from(SETTING_TAKEOVER_ACROSS_SITES, source),
        .delay_ms = takeover_delay_ms(source),
        .cooldown_ms = setting_u64(SETTING_TAKEOVER_COOLDOWN_MS, source),
        .per_hour_max = setting_u64(SETTING_TAKEOVER_PER_HOUR_MAX, source),
        .priority = (unsigned)setting_u64(SETTING_TAKEOVER_PRIORITY, source),
        .fresh_ms = setting_u64(SETTING_PEER_STALE_MS, source),
        /* one comparison may be lost */
        .digest_ms = 2 * setting_u64(SETTING_DIGEST_INTERVAL_MS, source),
    };
}

/* ------------------------------------------------------------------ what is seen */

void
takeover_see(struct takeover_path *path, enum takeover_path_kind kind, uint64_t asked_ms,
             uint64_t now_ms, uint64_t fresh_ms)
{
    bool unbroken = path->kind == kind && path->asked_ms + fresh_ms >= asked_ms;
    if (!unbroken)
        path->since_ms = now_ms;
    path->kind = kind;
    if (path->asked_ms < asked_ms)
        path->asked_ms = asked_ms;
}

bool
takeover_path_is_fresh(const struct takeover_path *path, uint64_t now_ms, uint64_t fresh_ms)
{
    uint64_t for_ms = path->kind == TAKEOVER_PATH_REFUSED ? fresh_ms : 2 * fresh_ms;
    return path->asked_ms + for_ms >= now_ms;
}

/* ------------------------------------------------------------------ small tools */

struct judge {
    const struct takeover_view *view;
    struct takeover *takeover;
    enum takeover_rule rule;
};

static void pass(struct judge *judge, const char *format, ...) PRINTF_LIKE(2, 3);
static void fail(struct judge *judge, const char *format, ...) PRINTF_LIKE(2, 3);
static void wait_until(struct judge *judge, uint64_t until_ms, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void
find(struct judge *judge, enum takeover_verdict verdict, uint64_t until_ms, const char *format,
     va_list arguments)
{
    struct takeover_finding *finding = &judge->takeover->findings[judge->rule];
    finding->verdict = verdict;
    finding->until_ms = until_ms;
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
}

static void
pass(struct judge *judge, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    find(judge, TAKEOVER_PASS, 0, format, arguments);
    va_end(arguments);
}

static void
fail(struct judge *judge, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    find(judge, TAKEOVER_FAIL, 0, format, arguments);
    va_end(arguments);
}

static void
wait_until(struct judge *judge, uint64_t until_ms, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    find(judge, TAKEOVER_WAITS, until_ms, format, arguments);
    va_end(arguments);
}

#define SPAN_SIZE 32

/* "0.4 s", "12 s", "8 min" */
static const char *
span(uint64_t ms, char text[SPAN_SIZE])
{
    if (ms < 10000)
        (void)snprintf(text, SPAN_SIZE, "%llu.%llu s", (unsigned long long)(ms / 1000),
                       (unsigned long long)(ms % 1000 / 100));
    else if (ms < 120000)
        (void)snprintf(text, SPAN_SIZE, "%llu s", (unsigned long long)(ms / 1000));
    else
        (void)snprintf(text, SPAN_SIZE, "%llu min", (unsigned long long)(ms / 60000));
    return text;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How long ago; 0 for what is to come. */
static uint64_t
ago(const struct takeover_view *view, uint64_t at_ms)
{
    return at_ms < view->now_ms ? view->now_ms - at_ms : 0;
}

static bool
is_fresh(const struct takeover_view *view, const struct takeover_peer *peer)
{
    return peer->heard && ago(view, peer->heard_ms) <= view->settings.fresh_ms;
}

static bool
is_path_fresh(const struct takeover_view *view, const struct takeover_path *path)
{
    return takeover_path_is_fresh(path, view->now_ms, view->settings.fresh_ms);
}

static bool
is_primary(const struct takeover_view *view, const struct takeover_peer *peer)
{
    return strcmp(peer->facts.name, view->primary) == 0;
}

static enum takeover_how
how_to(const struct takeover_view *view)
{
    return strcmp(view->own.site, view->primary_site) == 0 ? view->settings.within_site
                                                           : view->settings.across_sites;
}

static bool
is_unguarded(const struct takeover_view *view)
{
    return how_to(view) == TAKEOVER_UNGUARDED && view->lease->config.arbiter == 0;
}

/* ------------------------------------------------------------------ what this node is */

static void
judge_role(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    switch (view->own.state) {
    case NODE_PRIMARY:
    case NODE_CLOSED:
    case NODE_DRAINING:
        fail(judge, "this node is the primary");
        return;
    case NODE_CANDIDATE:
        fail(judge, "a promotion already runs here");
        return;
    case NODE_FENCED:
    case NODE_REJOINING:
    case NODE_STANDBY:
    case NODE_STATE_COUNT:
        break;
    }
    if (!view->database)
        fail(judge, "the database of this node does not answer");
    else
        pass(judge, "this node is a standby");
}

static void
judge_primary(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    char text[SPAN_SIZE];
    if (view->primary[0] == '\0')
        fail(judge, "no primary was heard of since this node started: a person decides");
    else
        pass(judge, "%s of %s was primary, heard %s ago", view->primary, view->primary_site,
             span(ago(view, view->primary_ms), text));
}

static void
judge_setting(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    bool within = strcmp(view->own.site, view->primary_site) == 0;
    const char *key =
        setting_row(within ? SETTING_TAKEOVER_WITHIN_SITE : SETTING_TAKEOVER_ACROSS_SITES)->name;
    bool arbiter = view->lease->config.arbiter != 0;
    switch (how_to(view)) {
    case TAKEOVER_MANUAL:
        fail(judge, "%s is manual: a person decides", key);
        return;
    case TAKEOVER_AUTOMATIC:
        if (arbiter)
            pass(judge, "%s is automatic", key);
        else
            fail(judge, "%s is automatic, but there is no arbiter: baton arbiter set", key);
        return;
    case TAKEOVER_UNGUARDED:
        if (arbiter)
            fail(judge, "%s is unguarded, but there is an arbiter: set it to automatic", key);
        else
            pass(judge, "%s is unguarded: two primaries may come of it", key);
        return;
    }
}

static void
judge_arbiter(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    const struct lease *lease = view->lease;
    char text[SPAN_SIZE];
    if (lease->config.arbiter == 0)
        pass(judge, "there is none to ask");
    else if (lease->empty)
        fail(judge, "it has no record of this cluster: baton arbiter set, after a look at why");
    else if (lease->restored)
        fail(judge, "it has forgotten an epoch that it had granted: baton arbiter set --adopt");
    else if (lease->hold)
        fail(judge, "it is being changed");
    else if (!lease->known || ago(view, lease->record_ms) > view->settings.fresh_ms)
        fail(judge, "it does not answer%s%s", lease->trouble[0] == '\0' ? "" : ": ",
             lease->trouble);
    else
        pass(judge, "it answered %s ago", span(ago(view, lease->record_ms), text));
}

static void
judge_priority(struct judge *judge)
{
    if (judge->view->settings.priority == 0)
        fail(judge, "takeover.priority of this node is 0");
    else
        pass(judge, "takeover.priority of this node is %u", judge->view->settings.priority);
}

static void
judge_sync(struct judge *judge)
{
    if (quorum_is_voter(judge->view->record, judge->view->own.name))
        pass(judge, "this node is in the recorded sync set");
    else if (judge->view->record->since[0] != '\0')
        fail(judge,
             "the primary goes on without this node since %s: what was acknowledged is not "
             "here",
             judge->view->record->since);
    else
        fail(judge, "this node is not in the recorded sync set: what was acknowledged may not be "
                    "here");
}

/* I13. What was received until the primary was lost; afterwards nothing can be. */
static void
judge_streaming(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    char text[SPAN_SIZE];
    if (view->streamed_ms == 0)
        fail(judge, "this node has received nothing from %s since it started", view->primary);
    else if (view->streamed_ms + view->settings.fresh_ms < view->primary_ms)
        fail(judge, "this node had received nothing for %s when %s was last heard",
             span(view->primary_ms - view->streamed_ms, text), view->primary);
    else
        pass(judge, "this node received until %s ago", span(ago(view, view->streamed_ms), text));
}

static void
judge_digest(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    char text[SPAN_SIZE];
    switch (view->digest) {
    case TAKEOVER_DIGEST_DIFFERENT:
        fail(judge, "this node holds another history than %s", view->primary);
        return;
    case TAKEOVER_DIGEST_UNKNOWN:
        fail(judge, "the history was never compared with that of %s", view->primary);
        return;
    case TAKEOVER_DIGEST_SAME:
        break;
    }
    uint64_t age_ms = view->primary_ms > view->digest_ms ? view->primary_ms - view->digest_ms : 0;
    if (age_ms > view->settings.digest_ms)
        fail(judge, "the history was last compared %s before %s was lost", span(age_ms, text),
             view->primary);
    else
        pass(judge, "same history as %s, compared %s ago", view->primary,
             span(ago(view, view->digest_ms), text));
}

static void
judge_connectors(struct judge *judge)
{
    const char *text = judge->view->connectors_text == NULL ? "" : judge->view->connectors_text;
    if (judge->view->connectors_ready)
        pass(judge, "%s", text);
    else
        fail(judge, "%s", text);
}

/* ------------------------------------------------------------------ what the others are */

static bool
has_quorum(const struct takeover_view *view)
{
    const char *names[QUORUM_VOTERS_MAX + 1];
    size_t count = 0;
    names[count++] = view->own.name;
    for (size_t i = 0; i < view->peer_count && count <= QUORUM_VOTERS_MAX; i++) {
        /* one that answers, but not as primary any more, can be asked for its promise as well */
        bool asked =
            !is_primary(view, &view->peers[i]) || view->sight.https.kind == TAKEOVER_PATH_ANSWERS;
        if (asked && is_fresh(view, &view->peers[i]))
            names[count++] = view->peers[i].facts.name;
    }
    return quorum_captured(view->record, names, count, NULL);
}

static void
judge_quorum(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    if (has_quorum(view)) {
        pass(judge, "enough voters answer");
    } else if (is_unguarded(view)) {
        judge->takeover->accept_data_loss = true;
        pass(judge, "unguarded: without enough voters; what only %s has is set aside later",
             view->primary);
    } else {
        fail(judge, "too few voters answer without %s: what it acknowledged may be nowhere here",
             view->primary);
    }
}

static void
judge_promotion(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    for (size_t i = 0; i < view->peer_count; i++) {
        const struct takeover_peer *peer = &view->peers[i];
        /* of the primary itself what it answered last counts only while it answers */
        bool said = is_fresh(view, peer) &&
                    (!is_primary(view, peer) || view->sight.https.kind == TAKEOVER_PATH_ANSWERS);
        if (said && peer->facts.state == NODE_CANDIDATE) {
            fail(judge, "a promotion runs on %s", peer->facts.name);
            return;
        }
        if (!said || is_primary(view, peer))
            continue;
        if (peer->facts.state == NODE_CLOSED || peer->facts.state == NODE_PRIMARY ||
            peer->facts.state == NODE_DRAINING) {
            fail(judge, "%s is primary", peer->facts.name);
            return;
        }
    }
    pass(judge, "no other promotion runs");
}

/* ------------------------------------------------------------------ not too often */

static void
judge_pause(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    char text[SPAN_SIZE];
    if (view->paused_until_ms <= view->now_ms)
        pass(judge, "not paused");
    else
        wait_until(judge, view->paused_until_ms, "paused for %s more%s%s",
                   span(view->paused_until_ms - view->now_ms, text),
                   view->pause_text == NULL ? "" : ": ",
                   view->pause_text == NULL ? "" : view->pause_text);
}

static void
judge_cooldown(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    char text[SPAN_SIZE];
    if (view->recent_count == 0)
        pass(judge, "there was no automatic takeover yet");
    else if (view->recent_ago_ms[0] >= view->settings.cooldown_ms)
        pass(judge, "the last automatic takeover was %s ago", span(view->recent_ago_ms[0], text));
    else
        wait_until(judge, view->now_ms + view->settings.cooldown_ms - view->recent_ago_ms[0],
                   "the last automatic takeover was %s ago: takeover.cooldown_ms",
                   span(view->recent_ago_ms[0], text));
}

static void
judge_rate(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    size_t count = 0;
    while (count < view->recent_count && view->recent_ago_ms[count] < TAKEOVER_HOUR_MS)
        count++;
    if (count < view->settings.per_hour_max) {
        pass(judge, "automatic takeovers within the hour: %zu", count);
        return;
    }
    uint64_t oldest_ms = view->recent_ago_ms[view->settings.per_hour_max - 1];
    wait_until(judge, view->now_ms + TAKEOVER_HOUR_MS - oldest_ms,
               "automatic takeovers within the hour: %zu, so a person decides now", count);
}

/* ------------------------------------------------------------------ the primary is gone */

enum eyes { EYES_NONE, EYES_ACT, EYES_OPEN, EYES_SILENT, EYES_GONE };

/* What one member's sight comes to, and since when. */
static enum eyes
look(const struct takeover_view *view, const struct takeover_sight *sight, uint64_t *ret_since_ms)
{
    *ret_since_ms = sight->https.since_ms;
    switch (sight->https.kind) {
    case TAKEOVER_PATH_UNTRIED:
    case TAKEOVER_PATH_COUNT:
        return EYES_NONE;
    case TAKEOVER_PATH_ACTS:
        return EYES_ACT;
    case TAKEOVER_PATH_ANSWERS:
        return EYES_OPEN;
    case TAKEOVER_PATH_SILENT:
        return EYES_SILENT;
    case TAKEOVER_PATH_REFUSED:
        break;
    }
    if (!is_path_fresh(view, &sight->https) || !is_path_fresh(view, &sight->postgres))
        return EYES_NONE;
    *ret_since_ms = later(sight->https.since_ms, sight->postgres.since_ms);
    return sight->postgres.kind == TAKEOVER_PATH_REFUSED ? EYES_GONE : EYES_SILENT;
}

/* What all members that answer see, this one included. */
struct observed {
    const char *acts;   /* who still meets it as primary; NULL: nobody */
    const char *unlike; /* who does not say that it is gone; NULL: nobody */
    const char *open;   /* who has any answer of it; NULL: nobody */
    uint64_t since_ms;  /* since when it is so, for all of them */
    size_t others;      /* that could see it */
    size_t answering;   /* of them that answer */
};

static void
add_eyes(const struct takeover_view *view, struct observed *observed, const char *name,
         const struct takeover_sight *sight)
{
    uint64_t since_ms;
    enum eyes eyes = look(view, sight, &since_ms);
    observed->since_ms = later(observed->since_ms, since_ms);
    if (eyes == EYES_ACT && observed->acts == NULL)
        observed->acts = name;
    if (eyes != EYES_GONE && observed->unlike == NULL)
        observed->unlike = name;
    if ((eyes == EYES_ACT || eyes == EYES_OPEN) && observed->open == NULL)
        observed->open = name;
}

static struct observed
observe(const struct takeover_view *view)
{
    struct observed observed = { 0 };
    add_eyes(view, &observed, view->own.name, &view->sight);
    for (size_t i = 0; i < view->peer_count; i++) {
        const struct takeover_peer *peer = &view->peers[i];
        if (is_primary(view, peer))
            continue;
        observed.others++;
        if (!is_fresh(view, peer))
            continue;
        observed.answering++;
        add_eyes(view, &observed, peer->facts.name, &peer->sight);
    }
    return observed;
}

/* What the arbiter said lately of the lease; NULL: nothing that can be believed. */
static const struct lease_record *
lease_record(const struct takeover_view *view)
{
    const struct lease *lease = view->lease;
    bool believed = lease->config.arbiter != 0 && lease->known && !lease->empty &&
                    !lease->restored && ago(view, lease->record_ms) <= view->settings.fresh_ms;
    return believed ? &lease->record : NULL;
}

/* When it runs out, if it is not renewed, or when to look again. */
static uint64_t
lease_end_ms(const struct takeover_view *view)
{
    return later(view->lease->record_ms + view->lease->record.remaining_ms,
                 view->now_ms + TAKEOVER_STEP_MS_MIN);
}

static void
hold_for(struct judge *judge, uint64_t since_ms, uint64_t hold_ms, const char *what)
{
    const struct takeover_view *view = judge->view;
    char text[SPAN_SIZE];
    if (view->now_ms >= since_ms + hold_ms)
        pass(judge, "%s for %s", what, span(ago(view, since_ms), text));
    else
        wait_until(judge, since_ms + hold_ms, "%s for %s: not yet long enough", what,
                   span(ago(view, since_ms), text));
    judge->takeover->findings[judge->rule].until_ms = since_ms + hold_ms;
}

static const char *
no_proof(const struct observed *seen)
{
    return seen->unlike == NULL ? "no other member answers that could confirm it"
                                : "silence is no proof";
}

static void
judge_evidence(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    struct observed seen = observe(view);
    uint64_t delay_ms = view->settings.delay_ms;
    bool seen_by_others = seen.others == 0 || seen.answering > 0;
    const struct lease_record *record = lease_record(view);
    char text[SPAN_SIZE];
    if (seen.acts != NULL)
        fail(judge, "%s meets %s as primary", seen.acts, view->primary);
    else if (view->sight.https.kind == TAKEOVER_PATH_UNTRIED)
        fail(judge, "%s was not yet asked", view->primary);
    else if (!is_path_fresh(view, &view->sight.https))
        fail(judge, "%s was not asked for %s", view->primary,
             span(ago(view, view->sight.https.asked_ms), text));
    else if (seen.unlike == NULL && seen_by_others)
        hold_for(judge, seen.since_ms, delay_ms,
                 "every path to it is refused, for all that answer,");
    else if (record != NULL && (record->released || record->remaining_ms == 0))
        hold_for(judge, seen.since_ms, delay_ms,
                 "its lease is over, and nobody meets it as primary,");
    else if (is_unguarded(view) && seen.open == NULL)
        hold_for(judge, seen.since_ms, later(delay_ms, view->settings.fresh_ms),
                 "unguarded: nobody has an answer of it,");
    else if (is_unguarded(view))
        fail(judge, "unguarded, but %s has an answer of %s", seen.open, view->primary);
    else if (record != NULL)
        wait_until(judge, lease_end_ms(view), "%s; its lease runs out in %s at most",
                   no_proof(&seen), span(lease_end_ms(view) - view->now_ms, text));
    else
        fail(judge, "%s, and the arbiter does not say that its lease is over", no_proof(&seen));
}

/* ------------------------------------------------------------------ the order */

struct candidate {
    const struct node_facts *facts;
    unsigned priority;
};

/* Whether 'a' should be primary rather than 'b': the site that clients are near to, then what
 * people prefer, then what spares a pull. */
static bool
is_better(const struct takeover_view *view, struct candidate a, struct candidate b)
{
    bool near_a = strcmp(a.facts->site, view->primary_site) == 0;
    bool near_b = strcmp(b.facts->site, view->primary_site) == 0;
    if (near_a != near_b)
        return near_a;
    if (a.priority != b.priority)
        return a.priority > b.priority;
    int order = position_compare(&a.facts->applied, &b.facts->applied);
    if (order != 0)
        return order > 0;
    return strcmp(a.facts->name, b.facts->name) < 0;
}

/* Since when nothing but the order is in the way: what all had to wait for ended for all at once.
 */
static uint64_t
open_since_ms(const struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    uint64_t since_ms = later(judge->takeover->findings[TAKEOVER_RULE_EVIDENCE].until_ms,
                              later(view->primary_ms, view->paused_until_ms));
    if (lease_record(view) != NULL)
        since_ms = later(since_ms, view->lease->over_ms);
    if (view->recent_count > 0 && view->recent_ago_ms[0] < view->now_ms)
        since_ms =
            later(since_ms, view->now_ms - view->recent_ago_ms[0] + view->settings.cooldown_ms);
    return since_ms;
}

static void
judge_order(struct judge *judge)
{
    const struct takeover_view *view = judge->view;
    const struct takeover_finding *evidence = &judge->takeover->findings[TAKEOVER_RULE_EVIDENCE];
    struct candidate self = { .facts = &view->own, .priority = view->settings.priority };
    struct candidate best = self;
    unsigned rank = 0;
    for (size_t i = 0; i < view->peer_count; i++) {
        const struct takeover_peer *peer = &view->peers[i];
        struct candidate other = { .facts = &peer->facts, .priority = peer->priority };
        if (!is_fresh(view, peer) || is_primary(view, peer) || !peer->able ||
            !is_better(view, other, self))
            continue;
        rank++;
        if (is_better(view, other, best))
            best = other;
    }
    judge->takeover->rank = rank;
    if (rank == 0) {
        pass(judge, "place 1: no other node that can goes before this one");
        return;
    }
    uint64_t extra_ms = rank * later(view->settings.delay_ms, TAKEOVER_STEP_MS_MIN);
    uint64_t until_ms = open_since_ms(judge) + extra_ms;
    if (evidence->verdict == TAKEOVER_FAIL)
        pass(judge, "place %u: %s would go first", rank + 1, best.facts->name);
    else if (view->now_ms >= until_ms)
        pass(judge, "place %u: %s goes first, and had its time", rank + 1, best.facts->name);
    else
        wait_until(judge, until_ms, "place %u: %s goes first", rank + 1, best.facts->name);
}

/* ------------------------------------------------------------------ the decision */

/* In the order of the table. */
static void (*const judges[])(struct judge *judge) = {
    [TAKEOVER_RULE_ROLE] = judge_role,
    [TAKEOVER_RULE_PRIMARY] = judge_primary,
    [TAKEOVER_RULE_SETTING] = judge_setting,
    [TAKEOVER_RULE_ARBITER] = judge_arbiter,
    [TAKEOVER_RULE_PRIORITY] = judge_priority,
    [TAKEOVER_RULE_SYNC] = judge_sync,
    [TAKEOVER_RULE_STREAMING] = judge_streaming,
    [TAKEOVER_RULE_DIGEST] = judge_digest,
    [TAKEOVER_RULE_CONNECTORS] = judge_connectors,
    [TAKEOVER_RULE_QUORUM] = judge_quorum,
    [TAKEOVER_RULE_PROMOTION] = judge_promotion,
    [TAKEOVER_RULE_PAUSE] = judge_pause,
    [TAKEOVER_RULE_COOLDOWN] = judge_cooldown,
    [TAKEOVER_RULE_RATE] = judge_rate,
    [TAKEOVER_RULE_EVIDENCE] = judge_evidence,
    [TAKEOVER_RULE_ORDER] = judge_order,
};

/* What makes a candidate, whatever the others are. */
static bool
is_able(const struct takeover *takeover)
{
    static const enum takeover_rule rules[] = { TAKEOVER_RULE_ROLE,    TAKEOVER_RULE_PRIMARY,
                                                TAKEOVER_RULE_SETTING, TAKEOVER_RULE_PRIORITY,
                                                TAKEOVER_RULE_SYNC,    TAKEOVER_RULE_STREAMING,
                                                TAKEOVER_RULE_DIGEST,  TAKEOVER_RULE_CONNECTORS };
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if (takeover->findings[rules[i]].verdict != TAKEOVER_PASS)
            return false;
    }
    return true;
}

void
takeover_decide(const struct takeover_view *view, struct takeover *ret)
{
    *ret = (struct takeover){ .decision = TAKEOVER_START };
    for (unsigned rule = 0; rule < TAKEOVER_RULE_COUNT; rule++) {
        struct judge judge = { .view = view, .takeover = ret, .rule = (enum takeover_rule)rule };
        judges[rule](&judge);
        const struct takeover_finding *finding = &ret->findings[rule];
        if (finding->verdict == TAKEOVER_FAIL && ret->decision != TAKEOVER_NEVER) {
            ret->decision = TAKEOVER_NEVER;
            ret->because = (enum takeover_rule)rule;
        }
        if (finding->verdict == TAKEOVER_WAITS && ret->decision != TAKEOVER_NEVER) {
            ret->decision = TAKEOVER_WAIT;
            if (finding->until_ms > ret->until_ms) {
                ret->until_ms = finding->until_ms;
                ret->because = (enum takeover_rule)rule;
            }
        }
    }
    ret->able = is_able(ret);
    if (ret->decision != TAKEOVER_START)
        ret->accept_data_loss = false;
    if (ret->decision != TAKEOVER_WAIT)
        ret->until_ms = 0;
}

void
takeover_withhold(const char *reason, struct takeover *ret)
{
    *ret = (struct takeover){ .decision = TAKEOVER_NEVER };
    for (unsigned rule = 0; rule < TAKEOVER_RULE_COUNT; rule++) {
        struct judge judge = { .takeover = ret, .rule = (enum takeover_rule)rule };
        fail(&judge, "%s", reason);
    }
}
