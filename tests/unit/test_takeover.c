/*
 * Why a node takes over by itself, and why it does not: each rule passed, failed and waited for,
 * with the sentence that "baton why" shows; then views by chance, of which none may start that a
 * rule forbids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/str.h"
#include "sites/takeover.h"
#include "tests/world/rng.h"

#define NOW        1000000
#define SEEDS      20000
#define DELAY_MS   500
#define STALE_MS   5000
#define LONG_AGO   (NOW - 2000) /* the primary went */
#define WITHIN_KEY "takeover.within_site"

/* b-1 of east, whose primary a-1 is gone; c-1 of east and d-1 of west see it, too. k = 2: two of
 * the voters have to promise. */
struct bench {
    struct takeover_view view;
    struct takeover_peer peers[3];
    struct quorum_record record;
    struct lease lease;
};

typedef void arrange_fn(struct bench *bench);

static struct takeover_sight
sight(enum takeover_path_kind https, enum takeover_path_kind postgres)
{
    return (struct takeover_sight){ .https = { https, LONG_AGO, NOW - 100 },
                                    .postgres = { postgres, LONG_AGO, NOW - 100 } };
}

static struct node_facts
make_facts(const char *name, const char *site, enum node_state state)
{
    struct node_facts facts = { .state = state,
                                .applied = { .epoch = epoch_make(3, "a-1"), .revision = 40 } };
    assert_true(str_copy(facts.name, sizeof facts.name, name));
    assert_true(str_copy(facts.site, sizeof facts.site, site));
    return facts;
}

static void
begin(struct bench *bench)
{
    static const char *const names[] = { "a-1", "b-1", "c-1", "d-1" };
    memset(bench, 0, sizeof *bench);
    bench->record.now.k = 2;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(quorum_add(&bench->record.now, names[i], NULL), ERR_NONE);
    lease_init(&bench->lease, "b-1", NULL);
    bench->lease.config = (struct lease_config){ .arbiter = 7, .ttl_ms = 5000, .renew_ms = 1000 };
    bench->lease.hold = false;
    bench->lease.known = true;
    bench->lease.record_ms = NOW - 700;
    bench->lease.record = (struct lease_record){ .epoch = epoch_make(3, "a-1"),
                                                 .lease_ms = 5000,
                                                 .remaining_ms = 2500 };
    for (size_t i = 0; i < 3; i++)
        bench->peers[i] = (struct takeover_peer){
            .heard = true,
            .heard_ms = i == 0 ? LONG_AGO - 100 : NOW - 300,
            .facts = make_facts(names[i == 0 ? 0 : i + 1], i == 2 ? "west" : "east",
                                i == 0 ? NODE_PRIMARY : NODE_STANDBY),
            .priority = 50,
            .able = i != 0,
            .sight = sight(TAKEOVER_PATH_REFUSED, TAKEOVER_PATH_REFUSED),
        };
    bench->view = (struct takeover_view){
        .now_ms = NOW,
        .settings = { .within_site = TAKEOVER_AUTOMATIC,
                      .across_sites = TAKEOVER_MANUAL,
                      .delay_ms = DELAY_MS,
                      .cooldown_ms = 60000,
                      .per_hour_max = 2,
                      .priority = 50,
                      .fresh_ms = STALE_MS,
                      .digest_ms = 120000 },
        .own = make_facts("b-1", "east", NODE_STANDBY),
        .database = true,
        .primary = "a-1",
        .primary_site = "east",
        .primary_ms = LONG_AGO - 100,
        .sight = sight(TAKEOVER_PATH_REFUSED, TAKEOVER_PATH_REFUSED),
        .streamed_ms = LONG_AGO - 50,
        .digest = TAKEOVER_DIGEST_SAME,
        .digest_ms = LONG_AGO - 30000,
        .peers = bench->peers,
        .peer_count = 3,
        .record = &bench->record,
        .lease = &bench->lease,
        .connectors_ready = true,
        .connectors_text = "2 servers answer",
    };
}

/* ------------------------------------------------------------------ circumstances */

#define ARRANGE(name, statement)                                                                   \
    static void name(struct bench *bench)                                                          \
    {                                                                                              \
        statement;                                                                                 \
    }

ARRANGE(as_it_is, (void)bench)
ARRANGE(is_primary_here, bench->view.own.state = NODE_PRIMARY)
ARRANGE(is_candidate_here, bench->view.own.state = NODE_CANDIDATE)
ARRANGE(fell_back_to_fenced, bench->view.own.state = NODE_FENCED)
ARRANGE(no_database, bench->view.database = false)
ARRANGE(no_primary_known, bench->view.primary[0] = '\0')
ARRANGE(set_to_manual, bench->view.settings.within_site = TAKEOVER_MANUAL)
ARRANGE(from_another_site, bench->view.own = make_facts("d-1", "west", NODE_STANDBY))
ARRANGE(no_arbiter, bench->lease.config.arbiter = 0)
ARRANGE(unguarded_beside_an_arbiter, bench->view.settings.within_site = TAKEOVER_UNGUARDED)
ARRANGE(arbiter_silent, bench->lease.record_ms = NOW - STALE_MS - 1;
        assert_true(str_copy(bench->lease.trouble, LEASE_TEXT_SIZE, "connection refused")))
ARRANGE(arbiter_empty, bench->lease.empty = true)
ARRANGE(arbiter_restored, bench->lease.restored = true)
ARRANGE(arbiter_changing, bench->lease.hold = true)
ARRANGE(no_priority, bench->view.settings.priority = 0)
ARRANGE(no_voter, quorum_remove(&bench->record.now, "b-1"))
ARRANGE(excluded, quorum_remove(&bench->record.now, "b-1");
        (void)!str_copy(bench->record.since, sizeof bench->record.since, "2026-11-22T10:00:00Z"))
ARRANGE(never_streamed, bench->view.streamed_ms = 0)
ARRANGE(had_stopped_streaming, bench->view.streamed_ms = bench->view.primary_ms - STALE_MS - 1)
ARRANGE(another_history, bench->view.digest = TAKEOVER_DIGEST_DIFFERENT)
ARRANGE(never_compared, bench->view.digest = TAKEOVER_DIGEST_UNKNOWN)
ARRANGE(compared_long_ago, bench->view.digest_ms = bench->view.primary_ms - 120001)
ARRANGE(connector_down, bench->view.connectors_ready = false;
        bench->view.connectors_text = "pam: connection refused")
ARRANGE(needs_more_voters, bench->record.now.k = 1; bench->peers[1].heard = false)
ARRANGE(promoted_elsewhere, bench->peers[1].facts.state = NODE_CANDIDATE)
ARRANGE(it_renews_its_epoch, bench->peers[0].facts.state = NODE_CANDIDATE;
        bench->peers[0].heard_ms = NOW - 300; bench->lease.record.remaining_ms = 0;
        bench->view.sight.https.kind = TAKEOVER_PATH_ANSWERS)
ARRANGE(it_renewed_when_it_was_lost, it_renews_its_epoch(bench);
        bench->view.sight.https.kind = TAKEOVER_PATH_REFUSED)
ARRANGE(another_is_primary, bench->peers[2].facts.state = NODE_CLOSED)
ARRANGE(paused, bench->view.paused_until_ms = NOW + 600000;
        bench->view.pause_text = "anna: network work")
ARRANGE(pause_is_over, bench->view.paused_until_ms = NOW)
ARRANGE(just_did, bench->view.recent_ago_ms[0] = 59000; bench->view.recent_count = 1)
ARRANGE(did_a_minute_ago, bench->view.recent_ago_ms[0] = 60000; bench->view.recent_count = 1)
ARRANGE(did_twice, bench->view.recent_ago_ms[0] = 600000; bench->view.recent_ago_ms[1] = 3000000;
        bench->view.recent_count = 2)
ARRANGE(did_twice_but_long_ago, bench->view.recent_ago_ms[0] = 600000;
        bench->view.recent_ago_ms[1] = 3600000; bench->view.recent_count = 2)
ARRANGE(went_just_now, bench->view.sight.postgres.since_ms = NOW - 499)
ARRANGE(another_saw_it_just_now, bench->peers[2].sight.https.since_ms = NOW - 100)
ARRANGE(another_meets_it, bench->peers[1].sight.https.kind = TAKEOVER_PATH_ACTS)
ARRANGE(another_hears_silence, bench->peers[1].sight.https.kind = TAKEOVER_PATH_SILENT)
ARRANGE(another_has_not_looked, bench->peers[1].sight = (struct takeover_sight){ 0 })
ARRANGE(its_database_lives, bench->view.sight.postgres.kind = TAKEOVER_PATH_ANSWERS)
ARRANGE(its_database_is_not_tried, bench->view.sight.postgres = (struct takeover_path){ 0 })
ARRANGE(nobody_else_answers, bench->record.now.k = 3; bench->peers[1].heard_ms = NOW - STALE_MS - 1;
        bench->peers[2].heard = false)
ARRANGE(not_asked_lately, bench->view.sight.https.asked_ms = NOW - STALE_MS - 1)
ARRANGE(asked_just_lately_enough, bench->view.sight.https.asked_ms = NOW - STALE_MS)
ARRANGE(its_database_not_asked_lately, bench->view.sight.postgres.asked_ms = NOW - STALE_MS - 1)
ARRANGE(another_has_not_asked_lately, bench->peers[1].sight.https.asked_ms = NOW - STALE_MS - 1)
ARRANGE(not_yet_asked, bench->view.sight = (struct takeover_sight){ 0 })
ARRANGE(silent, bench->view.sight = sight(TAKEOVER_PATH_SILENT, TAKEOVER_PATH_SILENT))
ARRANGE(better_can, bench->peers[1].priority = 60)
ARRANGE(better_could, bench->peers[1].priority = 60; bench->view.now_ms += 1000;
        bench->peers[1].heard_ms += 1000)
ARRANGE(better_cannot, bench->peers[1].priority = 60; bench->peers[1].able = false)
ARRANGE(better_is_not_heard, bench->peers[1].priority = 60;
        bench->peers[1].heard_ms = NOW - STALE_MS - 1)
ARRANGE(further_can, bench->peers[1].facts.applied.revision = 41;
        bench->view.sight.https.since_ms = NOW - 600)
ARRANGE(named_before_can, bench->peers[1].facts = make_facts("b-1", "east", NODE_STANDBY);
        bench->view.own = make_facts("c-1", "east", NODE_STANDBY);
        bench->view.sight.https.since_ms = NOW - 600)
ARRANGE(nearer_can, from_another_site(bench);
        bench->view.settings.across_sites = TAKEOVER_AUTOMATIC; bench->view.settings.priority = 100;
        bench->view.sight.https.since_ms = NOW - 600; bench->peers[2].heard = false)

static void
silent_with_the_lease_over(struct bench *bench)
{
    silent(bench);
    bench->lease.record.remaining_ms = 0;
    bench->peers[1].sight = sight(TAKEOVER_PATH_SILENT, TAKEOVER_PATH_SILENT);
}

static void
silent_with_the_lease_over_long_ago(struct bench *bench)
{
    silent_with_the_lease_over(bench);
    arbiter_silent(bench);
}

/* All of them see that at once. */
static void
better_can_since_the_lease_is_over(struct bench *bench)
{
    silent_with_the_lease_over(bench);
    better_can(bench);
    bench->lease.over_ms = NOW - 100;
}

static void
better_can_since_the_pause_is_over(struct bench *bench)
{
    better_can(bench);
    bench->view.paused_until_ms = NOW - 200;
}

static void
better_can_since_the_last_is_long_ago(struct bench *bench)
{
    better_can(bench);
    bench->view.recent_ago_ms[0] = 60300;
    bench->view.recent_count = 1;
}

static void
lease_released_and_it_says_fenced(struct bench *bench)
{
    bench->view.sight = sight(TAKEOVER_PATH_ANSWERS, TAKEOVER_PATH_ANSWERS);
    bench->lease.record.released = true;
}

static void
silent_here_but_met_there(struct bench *bench)
{
    silent_with_the_lease_over(bench);
    another_meets_it(bench);
}

static void
silent_and_the_arbiter_too(struct bench *bench)
{
    silent(bench);
    bench->lease.known = false;
}

static void
unguarded(struct bench *bench)
{
    no_arbiter(bench);
    bench->view.settings.within_site = TAKEOVER_UNGUARDED;
    bench->view.peer_count = 1;
    bench->record.now = (struct quorum_set){ 0 };
    assert_int_equal(quorum_add(&bench->record.now, "a-1", NULL), ERR_NONE);
    assert_int_equal(quorum_add(&bench->record.now, "b-1", NULL), ERR_NONE);
}

static void
unguarded_and_silent(struct bench *bench)
{
    unguarded(bench);
    silent(bench);
}

static void
unguarded_and_silent_for_long(struct bench *bench)
{
    unguarded(bench);
    silent(bench);
    bench->view.sight.https.since_ms = NOW - STALE_MS;
}

static void
unguarded_and_silent_for_a_timeout(struct bench *bench)
{
    unguarded_and_silent_for_long(bench);
    bench->view.sight.https.asked_ms = NOW - 2 * STALE_MS;
}

/* It stood still: nobody looked. */
static void
unguarded_and_silent_long_ago(struct bench *bench)
{
    unguarded_and_silent_for_long(bench);
    bench->view.sight.https.asked_ms = NOW - 2 * STALE_MS - 1;
}

static void
silent_long_ago_with_the_lease_over(struct bench *bench)
{
    silent_with_the_lease_over(bench);
    bench->view.sight.https.asked_ms = NOW - 2 * STALE_MS - 1;
}

static void
unguarded_but_it_answers(struct bench *bench)
{
    unguarded(bench);
    bench->view.sight = sight(TAKEOVER_PATH_ANSWERS, TAKEOVER_PATH_ANSWERS);
}

static void
fenced_primary_makes_the_quorum(struct bench *bench)
{
    lease_released_and_it_says_fenced(bench);
    bench->peers[0].heard_ms = NOW - 100;
    bench->peers[0].facts.state = NODE_FENCED;
    nobody_else_answers(bench);
    bench->record.now.k = 2;
}

/* ------------------------------------------------------------------ the cases */

struct takeover_case {
    arrange_fn *arrange;
    enum takeover_rule rule;
    enum takeover_verdict verdict;
    const char *text;
    enum takeover_decision decision;
    long long until_ms; /* WAIT: after NOW */
};

#define PASS  TAKEOVER_PASS
#define FAIL  TAKEOVER_FAIL
#define WAITS TAKEOVER_WAITS

static const struct takeover_case cases[] = {
    { as_it_is, TAKEOVER_RULE_EVIDENCE, PASS,
      "every path to it is refused, for all that answer, for 2.0 s", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_ROLE, PASS, "this node is a standby", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_PRIMARY, PASS, "a-1 of east was primary, heard 2.1 s ago",
      TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_SETTING, PASS, "takeover.within_site is automatic", TAKEOVER_START,
      0 },
    { as_it_is, TAKEOVER_RULE_ARBITER, PASS, "it answered 0.7 s ago", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_PRIORITY, PASS, "takeover.priority of this node is 50",
      TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_SYNC, PASS, "this node is in the recorded sync set", TAKEOVER_START,
      0 },
    { as_it_is, TAKEOVER_RULE_STREAMING, PASS, "this node received until 2.0 s ago", TAKEOVER_START,
      0 },
    { as_it_is, TAKEOVER_RULE_DIGEST, PASS, "same history as a-1, compared 32 s ago",
      TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_CONNECTORS, PASS, "2 servers answer", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_QUORUM, PASS, "enough voters answer", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_PROMOTION, PASS, "no other promotion runs", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_PAUSE, PASS, "not paused", TAKEOVER_START, 0 },
    { as_it_is, TAKEOVER_RULE_COOLDOWN, PASS, "there was no automatic takeover yet", TAKEOVER_START,
      0 },
    { as_it_is, TAKEOVER_RULE_RATE, PASS, "automatic takeovers within the hour: 0", TAKEOVER_START,
      0 },
    { as_it_is, TAKEOVER_RULE_ORDER, PASS, "place 1: no other node that can goes before this one",
      TAKEOVER_START, 0 },
    { is_primary_here, TAKEOVER_RULE_ROLE, FAIL, "this node is the primary", TAKEOVER_NEVER, 0 },
    { is_candidate_here, TAKEOVER_RULE_ROLE, FAIL, "a promotion already runs here", TAKEOVER_NEVER,
      0 },
    { fell_back_to_fenced, TAKEOVER_RULE_ROLE, PASS, "this node is a standby", TAKEOVER_START, 0 },
    { no_database, TAKEOVER_RULE_ROLE, FAIL, "the database of this node does not answer",
      TAKEOVER_NEVER, 0 },
    { no_primary_known, TAKEOVER_RULE_PRIMARY, FAIL,
      "no primary was heard of since this node started: a person decides", TAKEOVER_NEVER, 0 },
    { set_to_manual, TAKEOVER_RULE_SETTING, FAIL,
      "takeover.within_site is manual: a person decides", TAKEOVER_NEVER, 0 },
    { from_another_site, TAKEOVER_RULE_SETTING, FAIL,
      "takeover.across_sites is manual: a person decides", TAKEOVER_NEVER, 0 },
    { no_arbiter, TAKEOVER_RULE_SETTING, FAIL,
      "takeover.within_site is automatic, but there is no arbiter: baton arbiter set",
      TAKEOVER_NEVER, 0 },
    { unguarded_beside_an_arbiter, TAKEOVER_RULE_SETTING, FAIL,
      "takeover.within_site is unguarded, but there is an arbiter: set it to automatic",
      TAKEOVER_NEVER, 0 },
    { arbiter_silent, TAKEOVER_RULE_ARBITER, FAIL, "it does not answer: connection refused",
      TAKEOVER_NEVER, 0 },
    { arbiter_empty, TAKEOVER_RULE_ARBITER, FAIL,
      "it has no record of this cluster: baton arbiter set, after a look at why", TAKEOVER_NEVER,
      0 },
    { arbiter_restored, TAKEOVER_RULE_ARBITER, FAIL,
      "it has forgotten an epoch that it had granted: baton arbiter set --adopt", TAKEOVER_NEVER,
      0 },
    { arbiter_changing, TAKEOVER_RULE_ARBITER, FAIL, "it is being changed", TAKEOVER_NEVER, 0 },
    { no_priority, TAKEOVER_RULE_PRIORITY, FAIL, "takeover.priority of this node is 0",
      TAKEOVER_NEVER, 0 },
    { no_voter, TAKEOVER_RULE_SYNC, FAIL,
      "this node is not in the recorded sync set: what was acknowledged may not be here",
      TAKEOVER_NEVER, 0 },
    { excluded, TAKEOVER_RULE_SYNC, FAIL,
      "the primary goes on without this node since 2026-11-22T10:00:00Z: what was acknowledged is "
      "not here",
      TAKEOVER_NEVER, 0 },
    { never_streamed, TAKEOVER_RULE_STREAMING, FAIL,
      "this node has received nothing from a-1 since it started", TAKEOVER_NEVER, 0 },
    { had_stopped_streaming, TAKEOVER_RULE_STREAMING, FAIL,
      "this node had received nothing for 5.0 s when a-1 was last heard", TAKEOVER_NEVER, 0 },
    { another_history, TAKEOVER_RULE_DIGEST, FAIL, "this node holds another history than a-1",
      TAKEOVER_NEVER, 0 },
    { never_compared, TAKEOVER_RULE_DIGEST, FAIL, "the history was never compared with that of a-1",
      TAKEOVER_NEVER, 0 },
    { compared_long_ago, TAKEOVER_RULE_DIGEST, FAIL,
      "the history was last compared 2 min before a-1 was lost", TAKEOVER_NEVER, 0 },
    { connector_down, TAKEOVER_RULE_CONNECTORS, FAIL, "pam: connection refused", TAKEOVER_NEVER,
      0 },
    { needs_more_voters, TAKEOVER_RULE_QUORUM, FAIL,
      "too few voters answer without a-1: what it acknowledged may be nowhere here", TAKEOVER_NEVER,
      0 },
    { fenced_primary_makes_the_quorum, TAKEOVER_RULE_QUORUM, PASS, "enough voters answer",
      TAKEOVER_START, 0 },
    { promoted_elsewhere, TAKEOVER_RULE_PROMOTION, FAIL, "a promotion runs on c-1", TAKEOVER_NEVER,
      0 },
    { it_renews_its_epoch, TAKEOVER_RULE_PROMOTION, FAIL, "a promotion runs on a-1", TAKEOVER_NEVER,
      0 },
    { it_renewed_when_it_was_lost, TAKEOVER_RULE_PROMOTION, PASS, "no other promotion runs",
      TAKEOVER_START, 0 },
    { another_is_primary, TAKEOVER_RULE_PROMOTION, FAIL, "d-1 is primary", TAKEOVER_NEVER, 0 },
    { paused, TAKEOVER_RULE_PAUSE, WAITS, "paused for 10 min more: anna: network work",
      TAKEOVER_WAIT, 600000 },
    { pause_is_over, TAKEOVER_RULE_PAUSE, PASS, "not paused", TAKEOVER_START, 0 },
    { just_did, TAKEOVER_RULE_COOLDOWN, WAITS,
      "the last automatic takeover was 59 s ago: takeover.cooldown_ms", TAKEOVER_WAIT, 1000 },
    { did_a_minute_ago, TAKEOVER_RULE_COOLDOWN, PASS, "the last automatic takeover was 60 s ago",
      TAKEOVER_START, 0 },
    { did_twice, TAKEOVER_RULE_RATE, WAITS,
      "automatic takeovers within the hour: 2, so a person decides now", TAKEOVER_WAIT, 600000 },
    { did_twice_but_long_ago, TAKEOVER_RULE_RATE, PASS, "automatic takeovers within the hour: 1",
      TAKEOVER_START, 0 },
    { went_just_now, TAKEOVER_RULE_EVIDENCE, WAITS,
      "every path to it is refused, for all that answer, for 0.4 s: not yet long enough",
      TAKEOVER_WAIT, 1 },
    { another_saw_it_just_now, TAKEOVER_RULE_EVIDENCE, WAITS,
      "every path to it is refused, for all that answer, for 0.1 s: not yet long enough",
      TAKEOVER_WAIT, 400 },
    { another_meets_it, TAKEOVER_RULE_EVIDENCE, FAIL, "c-1 meets a-1 as primary", TAKEOVER_NEVER,
      0 },
    { another_hears_silence, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { another_has_not_looked, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { its_database_lives, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { its_database_is_not_tried, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { nobody_else_answers, TAKEOVER_RULE_EVIDENCE, WAITS,
      "no other member answers that could confirm it; its lease runs out in 1.8 s at most",
      TAKEOVER_WAIT, 1800 },
    { not_yet_asked, TAKEOVER_RULE_EVIDENCE, FAIL, "a-1 was not yet asked", TAKEOVER_NEVER, 0 },
    { not_asked_lately, TAKEOVER_RULE_EVIDENCE, FAIL, "a-1 was not asked for 5.0 s", TAKEOVER_NEVER,
      0 },
    { asked_just_lately_enough, TAKEOVER_RULE_EVIDENCE, PASS,
      "every path to it is refused, for all that answer, for 2.0 s", TAKEOVER_START, 0 },
    { its_database_not_asked_lately, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { another_has_not_asked_lately, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { silent_long_ago_with_the_lease_over, TAKEOVER_RULE_EVIDENCE, FAIL,
      "a-1 was not asked for 10 s", TAKEOVER_NEVER, 0 },
    { unguarded_and_silent_for_a_timeout, TAKEOVER_RULE_EVIDENCE, PASS,
      "unguarded: nobody has an answer of it, for 5.0 s", TAKEOVER_START, 0 },
    { unguarded_and_silent_long_ago, TAKEOVER_RULE_EVIDENCE, FAIL, "a-1 was not asked for 10 s",
      TAKEOVER_NEVER, 0 },
    { silent, TAKEOVER_RULE_EVIDENCE, WAITS,
      "silence is no proof; its lease runs out in 1.8 s at most", TAKEOVER_WAIT, 1800 },
    { silent_and_the_arbiter_too, TAKEOVER_RULE_EVIDENCE, FAIL,
      "silence is no proof, and the arbiter does not say that its lease is over", TAKEOVER_NEVER,
      0 },
    { silent_with_the_lease_over, TAKEOVER_RULE_EVIDENCE, PASS,
      "its lease is over, and nobody meets it as primary, for 2.0 s", TAKEOVER_START, 0 },
    { silent_with_the_lease_over_long_ago, TAKEOVER_RULE_EVIDENCE, FAIL,
      "silence is no proof, and the arbiter does not say that its lease is over", TAKEOVER_NEVER,
      0 },
    { lease_released_and_it_says_fenced, TAKEOVER_RULE_EVIDENCE, PASS,
      "its lease is over, and nobody meets it as primary, for 2.0 s", TAKEOVER_START, 0 },
    { silent_here_but_met_there, TAKEOVER_RULE_EVIDENCE, FAIL, "c-1 meets a-1 as primary",
      TAKEOVER_NEVER, 0 },
    { unguarded, TAKEOVER_RULE_EVIDENCE, PASS,
      "every path to it is refused, for all that answer, for 2.0 s", TAKEOVER_START, 0 },
    { unguarded, TAKEOVER_RULE_QUORUM, PASS,
      "unguarded: without enough voters; what only a-1 has is set aside later", TAKEOVER_START, 0 },
    { unguarded, TAKEOVER_RULE_ARBITER, PASS, "there is none to ask", TAKEOVER_START, 0 },
    { unguarded, TAKEOVER_RULE_SETTING, PASS,
      "takeover.within_site is unguarded: two primaries may come of it", TAKEOVER_START, 0 },
    { unguarded_and_silent, TAKEOVER_RULE_EVIDENCE, WAITS,
      "unguarded: nobody has an answer of it, for 2.0 s: not yet long enough", TAKEOVER_WAIT,
      3000 },
    { unguarded_and_silent_for_long, TAKEOVER_RULE_EVIDENCE, PASS,
      "unguarded: nobody has an answer of it, for 5.0 s", TAKEOVER_START, 0 },
    { unguarded_but_it_answers, TAKEOVER_RULE_EVIDENCE, FAIL,
      "unguarded, but b-1 has an answer of a-1", TAKEOVER_NEVER, 0 },
    { better_can, TAKEOVER_RULE_ORDER, PASS, "place 2: c-1 goes first, and had its time",
      TAKEOVER_START, 0 },
    { better_could, TAKEOVER_RULE_ORDER, PASS, "place 2: c-1 goes first, and had its time",
      TAKEOVER_START, 0 },
    { better_can_since_the_lease_is_over, TAKEOVER_RULE_ORDER, WAITS, "place 2: c-1 goes first",
      TAKEOVER_WAIT, 400 },
    { better_can_since_the_pause_is_over, TAKEOVER_RULE_ORDER, WAITS, "place 2: c-1 goes first",
      TAKEOVER_WAIT, 300 },
    { better_can_since_the_last_is_long_ago, TAKEOVER_RULE_ORDER, WAITS, "place 2: c-1 goes first",
      TAKEOVER_WAIT, 200 },
    { better_cannot, TAKEOVER_RULE_ORDER, PASS,
      "place 1: no other node that can goes before this one", TAKEOVER_START, 0 },
    { better_is_not_heard, TAKEOVER_RULE_ORDER, PASS,
      "place 1: no other node that can goes before this one", TAKEOVER_START, 0 },
    { further_can, TAKEOVER_RULE_ORDER, WAITS, "place 2: c-1 goes first", TAKEOVER_WAIT, 400 },
    { named_before_can, TAKEOVER_RULE_ORDER, WAITS, "place 2: b-1 goes first", TAKEOVER_WAIT, 400 },
    { nearer_can, TAKEOVER_RULE_ORDER, WAITS, "place 2: c-1 goes first", TAKEOVER_WAIT, 400 },
};

/* S85. */
static void
test_every_rule(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct takeover_case *it = &cases[i];
        struct bench bench;
        struct takeover takeover;
        begin(&bench);
        it->arrange(&bench);
        takeover_decide(&bench.view, &takeover);
        const struct takeover_finding *finding = &takeover.findings[it->rule];
        long long until_ms =
            takeover.decision == TAKEOVER_WAIT ? (long long)takeover.until_ms - NOW : 0;
        if (finding->verdict == it->verdict && strcmp(finding->text, it->text) == 0 &&
            takeover.decision == it->decision && until_ms == it->until_ms)
            continue;
        print_message("case %zu: %s %s \"%s\" %s %lld because %s\n", i,
                      takeover_rule_name(it->rule), takeover_verdict_name(finding->verdict),
                      finding->text, takeover_decision_name(takeover.decision), until_ms,
                      takeover_rule_name(takeover.because));
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* Each rule is passed by one case and stood in the way in another. */
static void
test_every_rule_has_its_cases(void **state)
{
    (void)state;
    for (unsigned rule = 0; rule < TAKEOVER_RULE_COUNT; rule++) {
        bool passed = false;
        bool stopped = false;
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
            passed |= cases[i].rule == rule && cases[i].verdict == PASS;
            stopped |= cases[i].rule == rule && cases[i].verdict != PASS;
        }
        if (!passed || !stopped)
            fail_msg("rule %s", takeover_rule_name((enum takeover_rule)rule));
    }
}

/* Only what makes a candidate, not what becomes of the others: or none would wait for a better. */
static void
test_able_is_said_before_the_primary_goes(void **state)
{
    (void)state;
    static arrange_fn *const unable[] = { is_primary_here, no_database,    set_to_manual,
                                          no_priority,     no_voter,       never_streamed,
                                          another_history, connector_down, no_primary_known };
    static arrange_fn *const able[] = {
        as_it_is, paused,         did_twice,         better_can,
        silent,   arbiter_silent, needs_more_voters, not_yet_asked
    };
    struct bench bench;
    struct takeover takeover;
    for (size_t i = 0; i < ARRAY_COUNT(unable); i++) {
        begin(&bench);
        unable[i](&bench);
        takeover_decide(&bench.view, &takeover);
        assert_false(takeover.able);
    }
    for (size_t i = 0; i < ARRAY_COUNT(able); i++) {
        begin(&bench);
        able[i](&bench);
        takeover_decide(&bench.view, &takeover);
        assert_true(takeover.able);
    }
}

/* Loss is taken on only where a person has chosen so, and only without a quorum. */
static void
test_loss_is_accepted_only_unguarded(void **state)
{
    (void)state;
    struct bench bench;
    struct takeover takeover;
    begin(&bench);
    takeover_decide(&bench.view, &takeover);
    assert_false(takeover.accept_data_loss);
    begin(&bench);
    unguarded(&bench); /* k = 0 */
    takeover_decide(&bench.view, &takeover);
    assert_int_equal(takeover.decision, TAKEOVER_START);
    assert_true(takeover.accept_data_loss);
    bench.record.now.k = 1; /* everything that was acknowledged is here */
    takeover_decide(&bench.view, &takeover);
    assert_int_equal(takeover.decision, TAKEOVER_START);
    assert_false(takeover.accept_data_loss);
}

static void
test_names(void **state)
{
    (void)state;
    enum takeover_path_kind kind;
    for (unsigned i = 0; i < TAKEOVER_PATH_COUNT; i++) {
        assert_true(takeover_path_parse(takeover_path_name((enum takeover_path_kind)i), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(takeover_path_parse("dead", &kind));
    assert_string_equal(takeover_verdict_name(TAKEOVER_WAITS), "wait");
    assert_string_equal(takeover_decision_name(TAKEOVER_NEVER), "never");
}

/* ------------------------------------------------------------------ views by chance */

static struct takeover_path
some_path(struct rng *rng)
{
    static const enum takeover_path_kind kinds[] = { TAKEOVER_PATH_REFUSED, TAKEOVER_PATH_REFUSED,
                                                     TAKEOVER_PATH_REFUSED, TAKEOVER_PATH_SILENT,
                                                     TAKEOVER_PATH_UNTRIED, TAKEOVER_PATH_ANSWERS,
                                                     TAKEOVER_PATH_ACTS };
    return (struct takeover_path){ .kind = kinds[rng_below(rng, ARRAY_COUNT(kinds))],
                                   .since_ms = NOW - rng_below(rng, 3000),
                                   .asked_ms = NOW - rng_below(rng, STALE_MS + 500) };
}

static void
shuffle(struct bench *bench, struct rng *rng)
{
    static const enum takeover_how hows[] = { TAKEOVER_AUTOMATIC, TAKEOVER_AUTOMATIC,
                                              TAKEOVER_MANUAL, TAKEOVER_UNGUARDED };
    struct takeover_view *view = &bench->view;
    begin(bench);
    view->settings.within_site = hows[rng_below(rng, 4)];
    view->settings.across_sites = hows[rng_below(rng, 4)];
    view->settings.delay_ms = rng_below(rng, 1000);
    if (rng_chance(rng, 30))
        from_another_site(bench);
    if (rng_chance(rng, 70))
        view->sight = (struct takeover_sight){ some_path(rng), some_path(rng) };
    view->peer_count = 1 + rng_below(rng, 3);
    for (size_t i = 1; i < view->peer_count; i++) {
        struct takeover_peer *peer = &bench->peers[i];
        peer->heard = rng_chance(rng, 90);
        peer->heard_ms = NOW - rng_below(rng, 6000);
        peer->priority = (unsigned)rng_below(rng, 101);
        peer->able = rng_chance(rng, 70);
        if (rng_chance(rng, 50))
            peer->sight = (struct takeover_sight){ some_path(rng), some_path(rng) };
        if (rng_chance(rng, 10))
            peer->facts.state = (enum node_state)rng_below(rng, NODE_STATE_COUNT);
    }
    bench->lease.config.arbiter = rng_below(rng, 3) == 0 ? 0 : 7;
    bench->lease.record_ms = NOW - rng_below(rng, 6000);
    bench->lease.record.remaining_ms = rng_below(rng, 3) * 1000;
    bench->lease.record.released = rng_chance(rng, 20);
    bench->lease.restored = rng_chance(rng, 5);
    bench->lease.empty = rng_chance(rng, 5);
    bench->record.now.k = (unsigned)rng_below(rng, 4);
    if (rng_chance(rng, 5))
        view->paused_until_ms = NOW - 100 + rng_below(rng, 200);
    if (rng_chance(rng, 5))
        just_did(bench);
    if (rng_chance(rng, 5))
        no_voter(bench);
}

static bool
is_refused_now(const struct takeover_sight *sight)
{
    return sight->https.kind == TAKEOVER_PATH_REFUSED &&
           sight->postgres.kind == TAKEOVER_PATH_REFUSED &&
           NOW - sight->https.asked_ms <= STALE_MS && NOW - sight->postgres.asked_ms <= STALE_MS;
}

/* What must be so when a node starts, said once more and in another way than the code does. */
static void
check_start(const struct bench *bench, const struct takeover *takeover)
{
    const struct takeover_view *view = &bench->view;
    bool within = strcmp(view->own.site, "east") == 0;
    enum takeover_how how = within ? view->settings.within_site : view->settings.across_sites;
    bool arbiter = bench->lease.config.arbiter != 0;
    assert_int_not_equal(how, TAKEOVER_MANUAL);
    assert_true(arbiter == (how == TAKEOVER_AUTOMATIC));
    assert_true(quorum_is_voter(&bench->record, view->own.name));
    assert_true(view->paused_until_ms <= NOW && view->recent_count == 0);
    assert_true(!takeover->accept_data_loss || how == TAKEOVER_UNGUARDED);
    assert_int_not_equal(view->sight.https.kind, TAKEOVER_PATH_ACTS);
    assert_int_not_equal(view->sight.https.kind, TAKEOVER_PATH_UNTRIED);
    assert_true(NOW - view->sight.https.since_ms >= view->settings.delay_ms);
    assert_true(NOW - view->sight.https.asked_ms <= 2 * STALE_MS);
    bool refused = is_refused_now(&view->sight);
    bool over = arbiter && (bench->lease.record.released || bench->lease.record.remaining_ms == 0);
    unsigned heard = 0;
    for (size_t i = 1; i < view->peer_count; i++) {
        const struct takeover_peer *peer = &bench->peers[i];
        if (!peer->heard || NOW - peer->heard_ms > STALE_MS)
            continue;
        heard++;
        assert_int_not_equal(peer->sight.https.kind, TAKEOVER_PATH_ACTS);
        refused &= is_refused_now(&peer->sight);
    }
    assert_true((refused && (heard > 0 || view->peer_count == 1)) || over ||
                how == TAKEOVER_UNGUARDED);
}

static void
look_on(struct takeover_sight *sight, uint64_t for_ms)
{
    sight->https.asked_ms += for_ms;
    sight->postgres.asked_ms += for_ms;
}

static void
test_views_by_chance(void **state)
{
    (void)state;
    unsigned started = 0;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct rng rng;
        struct bench bench;
        struct takeover takeover;
        rng_init(&rng, seed);
        shuffle(&bench, &rng);
        takeover_decide(&bench.view, &takeover);
        unsigned counts[3] = { 0 };
        for (unsigned rule = 0; rule < TAKEOVER_RULE_COUNT; rule++) {
            counts[takeover.findings[rule].verdict]++;
            assert_true(takeover.findings[rule].text[0] != '\0');
            if (takeover.findings[rule].verdict == WAITS)
                assert_true(takeover.findings[rule].until_ms > NOW);
        }
        enum takeover_decision expected = counts[FAIL] > 0    ? TAKEOVER_NEVER
                                          : counts[WAITS] > 0 ? TAKEOVER_WAIT
                                                              : TAKEOVER_START;
        assert_int_equal(takeover.decision, expected);
        if (expected == TAKEOVER_NEVER)
            assert_int_equal(takeover.findings[takeover.because].verdict, FAIL);
        if (expected == TAKEOVER_WAIT)
            assert_int_equal(takeover.findings[takeover.because].until_ms, takeover.until_ms);
        if (expected == TAKEOVER_START)
            check_start(&bench, &takeover);
        started += expected == TAKEOVER_START;
        /* it waits for nothing but time: then it starts, or something else stands in the way */
        if (expected == TAKEOVER_WAIT && takeover.because == TAKEOVER_RULE_ORDER &&
            takeover.findings[TAKEOVER_RULE_EVIDENCE].verdict == PASS) {
            look_on(&bench.view.sight, takeover.until_ms - NOW);
            for (size_t i = 0; i < bench.view.peer_count; i++) {
                bench.peers[i].heard_ms += takeover.until_ms - NOW;
                look_on(&bench.peers[i].sight, takeover.until_ms - NOW);
            }
            bench.lease.record_ms += takeover.until_ms - NOW;
            for (size_t i = 0; i < bench.view.recent_count; i++)
                bench.view.recent_ago_ms[i] += takeover.until_ms - NOW;
            bench.view.now_ms = takeover.until_ms;
            takeover_decide(&bench.view, &takeover);
            assert_int_equal(takeover.findings[TAKEOVER_RULE_ORDER].verdict, PASS);
        }
    }
    assert_true(started > SEEDS / 50);
}

/* The clock of 'since' goes on while somebody looks, and begins anew when nobody did. */
static void
test_what_is_seen_counts_while_somebody_looks(void **state)
{
    (void)state;
    struct takeover_path path = { 0 };
    takeover_see(&path, TAKEOVER_PATH_REFUSED, 1000, 1010, 500);
    assert_int_equal(path.since_ms, 1010);
    takeover_see(&path, TAKEOVER_PATH_REFUSED, 1500, 1510, 500);
    assert_int_equal(path.since_ms, 1010);
    assert_int_equal(path.asked_ms, 1500);
    assert_true(takeover_path_is_fresh(&path, 2000, 500));
    assert_false(takeover_path_is_fresh(&path, 2001, 500));
    /* asked before it stood still, heard afterwards: it says nothing of now */
    takeover_see(&path, TAKEOVER_PATH_REFUSED, 1600, 9000, 500);
    assert_int_equal(path.since_ms, 1010);
    assert_false(takeover_path_is_fresh(&path, 9000, 500));
    /* asked since: refused now, and who knows what was in between */
    takeover_see(&path, TAKEOVER_PATH_REFUSED, 9001, 9010, 500);
    assert_int_equal(path.since_ms, 9010);
    assert_true(takeover_path_is_fresh(&path, 9010, 500));
    takeover_see(&path, TAKEOVER_PATH_SILENT, 9020, 9520, 500);
    assert_int_equal(path.since_ms, 9520);
    assert_true(takeover_path_is_fresh(&path, 10020, 500));
    assert_false(takeover_path_is_fresh(&path, 10021, 500));
    /* an answer that was long on its way takes nothing back */
    takeover_see(&path, TAKEOVER_PATH_SILENT, 9000, 9530, 500);
    assert_int_equal(path.asked_ms, 9020);
}

static void
test_nothing_starts_unjudged(void **state)
{
    (void)state;
    struct takeover takeover = { 0 };
    assert_int_equal(takeover.decision, TAKEOVER_NEVER);
    takeover.able = true;
    takeover_withhold("nothing was read yet", &takeover);
    assert_int_equal(takeover.decision, TAKEOVER_NEVER);
    assert_false(takeover.able);
    for (unsigned rule = 0; rule < TAKEOVER_RULE_COUNT; rule++) {
        assert_int_equal(takeover.findings[rule].verdict, FAIL);
        assert_string_equal(takeover.findings[rule].text, "nothing was read yet");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_seen_counts_while_somebody_looks),
        cmocka_unit_test(test_nothing_starts_unjudged),
        cmocka_unit_test(test_every_rule),
        cmocka_unit_test(test_every_rule_has_its_cases),
        cmocka_unit_test(test_able_is_said_before_the_primary_goes),
        cmocka_unit_test(test_loss_is_accepted_only_unguarded),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_views_by_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
