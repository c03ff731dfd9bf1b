/*
 * Whether a node is ready to be promoted: each rule broken alone, with its code and weight; every
 * rule has its row. Then drift, and sites.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/own.h"
#include "sites/ready.h"

#define INTERVAL_MS 60000

/* A standby of two connectors, of which all is known and well. */
struct bench {
    struct ready_view view;
    struct ready_record records[2];
    struct ready_wanted wanted[2];
    struct ready_drift drifts[3];
};

static void
set(struct ready_record *record, enum ready_check check, enum ready_outcome outcome,
    const char *text)
{
    record->checks[check].outcome = outcome;
    record->checks[check].text = text;
}

static void
bench_init(struct bench *bench)
{
    static const char *const names[] = { "pam", "sap" };
    *bench = (struct bench){ 0 };
    for (size_t i = 0; i < 2; i++) {
        bench->wanted[i] =
            (struct ready_wanted){ .connector = names[i], .revision = 7 + i, .any_server = true };
        bench->records[i] = (struct ready_record){
            .connector = names[i], .server = EFFECTIVE_ALTERNATE, .revision = 7 + i, .age_ms = 9000
        };
        for (unsigned check = 0; check < READY_CHECK_COUNT; check++)
            set(&bench->records[i], (enum ready_check)check, READY_OUTCOME_OK, "");
    }
    bench->view = (struct ready_view){
        .node = "west-1",
        .heard = true,
        .deaf = "",
        .state = NODE_STANDBY,
        .reason = "",
        .receiving = true,
        .primary_known = true,
        .revision = 90,
        .head = 100,
        .lag_max = 10,
        .voter = true,
        .digest = READY_DIGEST_SAME,
        .schema = 11,
        .primary_schema = 11,
        .version = "1.0",
        .primary_version = "1.0",
        .proved = true,
        .unproved = "",
        .age_ms = 30000,
        .interval_ms = INTERVAL_MS,
        .database = true,
        .arbiter = "",
        .disk_known = true,
        .disk_free_mb = 100,
        .disk_least_mb = 100,
        .wal_known = true,
        .wal_apart = true,
        .wal_free_mb = 100,
        .slot = { .name = "baton_west_2",
                  .state = "extended",
                  .active = false,
                  .kept_mb = 800,
                  .most_mb = 900 },
        .certificate_known = true,
        .certificate_days = 30,
        .certificate_warn_days = 30,
        .postgres = 15,
        .primary_postgres = 15,
        .records = bench->records,
        .record_count = 2,
        .wanted = bench->wanted,
        .wanted_count = 2,
        .drifts = bench->drifts,
    };
}

/* ---- one rule at a time ---- */

#define ARRANGE(name, ...)                                                                         \
    static void name(struct bench *bench)                                                          \
    {                                                                                              \
        struct ready_view *view = &bench->view;                                                    \
        struct ready_record *record = &bench->records[1];                                          \
        (void)view, (void)record;                                                                  \
        __VA_ARGS__;                                                                               \
    }

ARRANGE(nothing, (void)0)
ARRANGE(silent, view->heard = false; view->deaf = "connect: refused"; view->state = NODE_FENCED)
ARRANGE(no_proof, view->proved = false; view->unproved = "its signature is not its own")
ARRANGE(old_proof, view->age_ms = 3 * INTERVAL_MS + 1; record->age_ms = 0)
ARRANGE(proof_just_in_time, view->age_ms = 3 * INTERVAL_MS; bench->records[0].age_ms = 0;
        record->age_ms = 0)
ARRANGE(fenced, view->state = NODE_FENCED; view->reason = "it has just started")
ARRANGE(rejoining, view->state = NODE_REJOINING; view->reason = "pulling")
ARRANGE(draining, view->state = NODE_DRAINING; view->reason = "for west-2")
ARRANGE(acts, view->state = NODE_PRIMARY; view->receiving = false; view->primary_known = false;
        view->voter = false; view->digest = READY_DIGEST_UNKNOWN)
ARRANGE(no_database, view->database = false)
ARRANGE(deaf, view->receiving = false)
ARRANGE(no_primary, view->primary_known = false; view->head = 0)
ARRANGE(behind, view->revision = 89)
ARRANGE(ahead, view->revision = 101) /* heard before the primary was */
ARRANGE(no_voter, view->voter = false)
ARRANGE(other_history, view->digest = READY_DIGEST_DIFFERENT)
ARRANGE(no_digest, view->digest = READY_DIGEST_UNKNOWN)
ARRANGE(older_schema, view->schema = 10)
ARRANGE(newer_schema, view->schema = 12)
ARRANGE(schema_of_nobody, view->primary_schema = 0)
ARRANGE(other_version, view->version = "1.1")
ARRANGE(version_of_nobody, view->primary_version = "")
ARRANGE(other_postgres, view->postgres = 16)
ARRANGE(no_arbiter, view->arbiter = "connect to witness: refused")
ARRANGE(full_disk, view->disk_free_mb = 99)
ARRANGE(unknown_disk, view->disk_free_mb = 0; view->disk_known = false)
ARRANGE(full_wal, view->wal_free_mb = 99; view->slot.active = true)
ARRANGE(same_disk, view->wal_free_mb = 99; view->wal_apart = false; view->slot.active = true)
ARRANGE(unknown_wal, view->wal_free_mb = 0; view->wal_known = false)
ARRANGE(full_slot, view->slot.most_mb = 1000; view->slot.kept_mb = 900)
ARRANGE(slot_just_in_time, view->slot.most_mb = 1000; view->slot.kept_mb = 899;
        view->wal_free_mb = 101)
ARRANGE(lost_slot, view->slot.state = "lost"; view->slot.kept_mb = 0)
ARRANGE(slot_at_its_end, view->slot.state = "unreserved")
ARRANGE(slot_without_bound, view->slot.most_mb = 0)
ARRANGE(no_slot, view->slot = (struct ready_slot){ .name = "", .state = "lost" })
ARRANGE(no_room_for_slot, view->slot.kept_mb = 799)
ARRANGE(certificate_over, view->certificate_days = -1)
ARRANGE(certificate_soon, view->certificate_days = 29)
ARRANGE(paused, view->paused = true)
ARRANGE(drifts, view->drift_count = 2;
        bench->drifts[0] = (struct ready_drift){ "pg.max_connections", "east-2", "east-1", true };
        bench->drifts[1] = (struct ready_drift){ "pg.wal_keep_mb", "west-1", "east-1", true })
ARRANGE(same_server, view->drift_count = 1;
        bench->drifts[0] = (struct ready_drift){ "connector/pam/use_alternate_server", "west-1",
                                                 "east-1", false })
ARRANGE(no_record, view->record_count = 1)
ARRANGE(other_document, record->revision = 7)
ARRANGE(old_record, record->age_ms = 150001)
ARRANGE(record_just_in_time, record->age_ms = 150000)
ARRANGE(flag, record->server = EFFECTIVE_ERROR;
        set(record, READY_CHECK_SERVER, READY_OUTCOME_FAILED, "the flag is set"))
ARRANGE(no_server, record->server = EFFECTIVE_NONE;
        set(record, READY_CHECK_SERVER, READY_OUTCOME_FAILED, "no main server"))
ARRANGE(nothing_to_use, record->server = EFFECTIVE_NONE; bench->wanted[1].any_server = false)
ARRANGE(unreachable, set(record, READY_CHECK_REACH, READY_OUTCOME_FAILED, "refused");
        set(record, READY_CHECK_TLS, READY_OUTCOME_UNKNOWN, "");
        set(record, READY_CHECK_HEALTH, READY_OUTCOME_UNKNOWN, "");
        set(record, READY_CHECK_TARGETS, READY_OUTCOME_UNKNOWN, ""))
ARRANGE(untrusted, set(record, READY_CHECK_TLS, READY_OUTCOME_FAILED, "certificate has expired");
        set(record, READY_CHECK_CERTIFICATE, READY_OUTCOME_UNKNOWN, ""))
ARRANGE(ended, set(record, READY_CHECK_CERTIFICATE, READY_OUTCOME_FAILED, "ended 2 days ago"))
ARRANGE(ends_soon, set(record, READY_CHECK_CERTIFICATE, READY_OUTCOME_WARN, "ends in 2 days"))
ARRANGE(no_secret, set(record, READY_CHECK_CREDENTIAL, READY_OUTCOME_FAILED, "not here"))
ARRANGE(ill, set(record, READY_CHECK_HEALTH, READY_OUTCOME_FAILED, "no answer in time");
        set(record, READY_CHECK_CERTIFICATE, READY_OUTCOME_UNKNOWN, "not seen"))
ARRANGE(lacks, set(record, READY_CHECK_TARGETS, READY_OUTCOME_FAILED, "it lacks oracle"))
ARRANGE(not_asked, set(record, READY_CHECK_TARGETS, READY_OUTCOME_UNKNOWN, "nothing says where"))
ARRANGE(nothing_to_check, set(record, READY_CHECK_TARGETS, READY_OUTCOME_NONE, "");
        set(record, READY_CHECK_CREDENTIAL, READY_OUTCOME_NONE, ""))
ARRANGE(no_version, set(record, READY_CHECK_VERSION, READY_OUTCOME_UNKNOWN, ""))

static const struct {
    const char *name;
    void (*arrange)(struct bench *bench);
    enum ready_verdict verdict;
    const char *codes;     /* in their order, each with a blank */
    const char *text;      /* of the first; NULL: not looked at */
    const char *connector; /* of the first */
} rows[] = {
    { "all is well", nothing, READY_YES, "", NULL, "" },
    { "silent", silent, READY_UNKNOWN, "unheard ", "connect: refused", "" },
    { "without proof", no_proof, READY_UNKNOWN, "unproved ", "its signature is not its own", "" },
    { "old proof", old_proof, READY_UNKNOWN, "stale ", "what it told last is 180 s old", "" },
    { "proof just in time", proof_just_in_time, READY_YES, "", NULL, "" },
    { "fenced", fenced, READY_NO, "state ", "it is FENCED: it has just started", "" },
    { "rejoining", rejoining, READY_NO, "state ", NULL, "" },
    { "draining", draining, READY_NO, "state ", NULL, "" },
    { "primary", acts, READY_YES, "", NULL, "" },
    { "no database", no_database, READY_NO, "database ", NULL, "" },
    { "not receiving", deaf, READY_NO, "receiving ", NULL, "" },
    { "no primary", no_primary, READY_UNKNOWN, "no_primary ", NULL, "" },
    { "behind", behind, READY_NO, "lag ", "it is 11 revisions behind the primary, more than 10",
      "" },
    { "ahead", ahead, READY_YES, "", NULL, "" },
    { "I13: no voter", no_voter, READY_NO, "sync ", NULL, "" },
    { "other history", other_history, READY_NO, "digest ", NULL, "" },
    { "history not compared", no_digest, READY_UNKNOWN, "digest_unknown ", NULL, "" },
    { "older schema", older_schema, READY_NO, "schema ", "its schema is 10, that of the primary 11",
      "" },
    { "I14: newer schema", newer_schema, READY_NO, "schema ", NULL, "" },
    { "schema of nobody", schema_of_nobody, READY_YES, "", NULL, "" },
    { "other version", other_version, READY_YES, "version ", NULL, "" },
    { "version of nobody", version_of_nobody, READY_YES, "", NULL, "" },
    { "other postgres", other_postgres, READY_YES, "postgres ", NULL, "" },
    { "no arbiter", no_arbiter, READY_NO, "arbiter ", "the arbiter: connect to witness: refused",
      "" },
    { "S60: full disk", full_disk, READY_NO, "disk ", "99 MB are free, fewer than 100", "" },
    { "unknown disk", unknown_disk, READY_YES, "", NULL, "" },
    { "full pg_wal", full_wal, READY_NO, "wal_disk ",
      "99 MB are free for its write-ahead log, fewer than 100", "" },
    { "pg_wal on the same disk", same_disk, READY_YES, "", NULL, "" },
    { "unknown pg_wal", unknown_wal, READY_YES, "", NULL, "" },
    { "full slot", full_slot, READY_NO, "slot ",
      "slot baton_west_2 keeps 900 of at most 1000 MB of write-ahead log (extended)", "" },
    { "slot just in time", slot_just_in_time, READY_YES, "", NULL, "" },
    { "lost slot", lost_slot, READY_NO, "slot ", NULL, "" },
    { "slot at its end", slot_at_its_end, READY_NO, "slot ", NULL, "" },
    { "slot without bound", slot_without_bound, READY_YES, "", NULL, "" },
    { "no slot", no_slot, READY_YES, "", NULL, "" },
    { "no room for a slot", no_room_for_slot, READY_YES, "wal_room ",
      "slot baton_west_2 may keep 101 MB more, and 100 MB are free", "" },
    { "S49: own certificate over", certificate_over, READY_NO, "node_certificate ", NULL, "" },
    { "S60: own certificate ends", certificate_soon, READY_YES, "node_certificate_soon ",
      "the node's certificate ends in 29 days", "" },
    { "paused", paused, READY_YES, "paused ", NULL, "" },
    { "drift", drifts, READY_NO, "drift ", "pg.wal_keep_mb is not as on east-1", "" },
    { "P4: flag forgotten", same_server, READY_YES, "drift_sites ", NULL, "" },
    { "no record", no_record, READY_UNKNOWN, "no_record ", NULL, "sap" },
    { "other document", other_document, READY_UNKNOWN, "revision ",
      "told of revision 7 of its document, not 8", "sap" },
    { "old record", old_record, READY_UNKNOWN, "old_record ",
      "the alternate server was asked 180 s ago", "sap" },
    { "record just in time", record_just_in_time, READY_YES, "", NULL, "" },
    { "flag without alternate", flag, READY_NO, "flag ", "the flag is set", "sap" },
    { "no main", no_server, READY_NO, "no_server ", "no main server", "sap" },
    { "P6: no server yet", nothing_to_use, READY_YES, "", NULL, "" },
    { "unreachable", unreachable, READY_NO, "reach ", "refused", "sap" },
    { "untrusted", untrusted, READY_NO, "tls ", "certificate has expired", "sap" },
    { "S49: certificate over", ended, READY_NO, "certificate ", NULL, "sap" },
    { "certificate ends", ends_soon, READY_YES, "certificate_soon ", NULL, "sap" },
    { "no credential", no_secret, READY_NO, "credential ", NULL, "sap" },
    { "ill", ill, READY_NO, "health ", NULL, "sap" },
    { "P5: target missing", lacks, READY_NO, "targets ", "it lacks oracle", "sap" },
    { "P5: not asked", not_asked, READY_UNKNOWN, "untried ", "targets: nothing says where", "sap" },
    { "nothing to check", nothing_to_check, READY_YES, "", NULL, "" },
    { "no version", no_version, READY_YES, "", NULL, "" },
};

static void
each_rule_alone(void **state)
{
    bool met[READY_RULE_COUNT] = { false };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct bench bench;
        struct ready ready;
        char codes[256] = "";
        bench_init(&bench);
        rows[i].arrange(&bench);
        ready_decide(&bench.view, &ready);
        for (size_t j = 0; j < ready.count; j++) {
            met[ready.list[j].rule] = true;
            (void)snprintf(codes + strlen(codes), sizeof codes - strlen(codes), "%s ",
                           ready_rule_code(ready.list[j].rule));
        }
        if (ready.verdict != rows[i].verdict || strcmp(codes, rows[i].codes) != 0)
            fail_msg("%s: %s by %s", rows[i].name, ready_verdict_name(ready.verdict), codes);
        if (rows[i].text != NULL)
            assert_string_equal(ready.list[0].text, rows[i].text);
        if (ready.count > 0)
            assert_string_equal(ready.list[0].connector, rows[i].connector);
        assert_int_equal(ready.more, 0);
    }
    for (unsigned rule = 0; rule < READY_RULE_COUNT; rule++) {
        if (!met[rule])
            fail_msg("no row for %s", ready_rule_code((enum ready_rule)rule));
        assert_true(ready_rule_mend((enum ready_rule)rule)[0] != '\0');
        for (unsigned other = 0; other < rule; other++)
            assert_string_not_equal(ready_rule_code((enum ready_rule)rule),
                                    ready_rule_code((enum ready_rule)other));
    }
}

static void
what_is_kept_for_who_is_away_is_an_alarm(void **state)
{
    static const enum ready_rule alarming[] = { READY_RULE_SLOT, READY_RULE_WAL_DISK,
                                                READY_RULE_WAL_ROOM };
    static const char *const names[] = { "wal_slot", "wal_disk", "wal_room" };
    size_t count = 0;
    (void)state;
    for (unsigned rule = 0; rule < READY_RULE_COUNT; rule++)
        count += ready_rule_alarm((enum ready_rule)rule) != NULL;
    assert_int_equal(count, ARRAY_COUNT(alarming));
    for (size_t i = 0; i < ARRAY_COUNT(alarming); i++)
        assert_string_equal(ready_rule_alarm(alarming[i]), names[i]);
}

/* A reason that blocks is not hidden by one that is unknown, nor by those that found no place. */
static void
what_blocks_weighs_most(void **state)
{
    struct bench bench;
    static struct ready_wanted many[READY_REASONS_MAX + 8];
    struct ready ready;
    (void)state;
    bench_init(&bench);
    no_digest(&bench);
    ends_soon(&bench);
    behind(&bench);
    not_asked(&bench);
    paused(&bench);
    ready_decide(&bench.view, &ready);
    assert_int_equal(ready.verdict, READY_NO);
    assert_int_equal(ready.count, 5);

    bench_init(&bench);
    ill(&bench); /* the last of all that is judged */
    for (size_t i = 0; i < ARRAY_COUNT(many); i++)
        many[i] = (struct ready_wanted){ .connector = "none", .revision = 1 };
    many[ARRAY_COUNT(many) - 1] = bench.wanted[1];
    bench.view.wanted = many;
    bench.view.wanted_count = ARRAY_COUNT(many);
    ready_decide(&bench.view, &ready);
    assert_int_equal(ready.verdict, READY_NO);
    assert_int_equal(ready.count, READY_REASONS_MAX);
    assert_int_equal(ready.count + ready.more, ARRAY_COUNT(many));
}

static void
a_site_is_as_ready_as_its_best_node(void **state)
{
    static const struct {
        size_t count;
        enum ready_verdict nodes[3];
        enum ready_verdict site;
    } sites[] = {
        { 0, { READY_YES }, READY_UNKNOWN },
        { 1, { READY_YES }, READY_YES },
        { 1, { READY_NO }, READY_NO },
        { 2, { READY_NO, READY_YES }, READY_YES },
        { 2, { READY_UNKNOWN, READY_NO }, READY_UNKNOWN },
        { 3, { READY_NO, READY_NO, READY_NO }, READY_NO },
        { 3, { READY_UNKNOWN, READY_NO, READY_YES }, READY_YES },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sites); i++)
        assert_int_equal(ready_site(sites[i].nodes, sites[i].count), sites[i].site);
}

static void
names_are_read_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= READY_OUTCOME_FAILED; i++)
        assert_int_equal(ready_outcome_parse(ready_outcome_name((enum ready_outcome)i)), i);
    assert_int_equal(ready_outcome_parse("splendid"), READY_OUTCOME_UNKNOWN);
    assert_string_equal(ready_verdict_name(READY_NO), "not_ready");
    assert_string_equal(ready_rule_weight(READY_RULE_PAUSED), "warns");
    assert_string_equal(ready_rule_weight(READY_RULE_UNHEARD), "unknown");
    assert_string_equal(ready_rule_weight(READY_RULE_LAG), "blocks");
}

/* ---- drift ---- */

#define V(node, site, key, digest, rule)                                                           \
    {                                                                                              \
        node, site, key, digest, SETTING_DRIFT_##rule                                              \
    }

static const struct {
    const char *name;
    const char *primary;
    struct ready_value values[5];
    const char *found; /* "key node/other!, ...": "!" blocks */
} drift_rows[] = {
    { "free", "e1", { V("w1", "w", "k", "1", FREE), V("e1", "e", "k", "2", FREE) }, "" },
    { "all match", "e1", { V("w1", "w", "k", "1", MATCH), V("e1", "e", "k", "1", MATCH) }, "" },
    { "one differs from the primary",
      "e2",
      { V("w1", "w", "k", "2", MATCH), V("e2", "e", "k", "1", MATCH),
        V("e1", "e", "k", "1", MATCH) },
      "k w1/e2! " },
    { "the primary differs from all",
      "e1",
      { V("w1", "w", "k", "2", MATCH), V("e1", "e", "k", "1", MATCH),
        V("e2", "e", "k", "2", MATCH) },
      "k e2/e1! k w1/e1! " },
    { "nobody knows which one is right",
      "",
      { V("w1", "w", "k", "2", MATCH), V("e1", "e", "k", "1", MATCH) },
      "k w1/e1! k e1/w1! " },
    { "keys are apart",
      "e1",
      { V("w1", "w", "a", "1", MATCH), V("e1", "e", "b", "2", MATCH),
        V("w1", "w", "b", "2", MATCH) },
      "" },
    { "P4: each site its own",
      "e1",
      { V("w1", "w", "k", "2", DIFFER), V("w2", "w", "k", "2", DIFFER),
        V("e1", "e", "k", "1", DIFFER), V("e2", "e", "k", "1", DIFFER) },
      "" },
    { "P4: forgotten at one node",
      "e1",
      { V("w1", "w", "k", "2", DIFFER), V("w2", "w", "k", "1", DIFFER),
        V("e1", "e", "k", "1", DIFFER) },
      "k w2/w1! k w1/w2! k w2/e1 " },
    { "P4: forgotten at a site",
      "e1",
      { V("w1", "w", "k", "1", DIFFER), V("w2", "w", "k", "1", DIFFER),
        V("e1", "e", "k", "1", DIFFER) },
      "k w1/e1 k w2/e1 " },
    { "beside the primary",
      "e1",
      { V("e1", "e", "k", "1", DIFFER), V("e2", "e", "k", "2", DIFFER),
        V("w1", "w", "k", "2", DIFFER) },
      "k e2/e1! " },
    { "sites are not compared without a primary",
      "",
      { V("w1", "w", "k", "1", DIFFER), V("e1", "e", "k", "1", DIFFER) },
      "" },
    { "one node", "e1", { V("e1", "e", "k", "1", MATCH) }, "" },
    { "none", "e1", { { 0 } }, "" },
};

static void
each_drift(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(drift_rows); i++) {
        struct ready_value values[5];
        struct ready_drift found[8];
        char text[256] = "";
        size_t count = 0;
        memcpy(values, drift_rows[i].values, sizeof values);
        while (count < ARRAY_COUNT(values) && values[count].node != NULL)
            count++;
        size_t all = ready_drift(values, count, drift_rows[i].primary, found, ARRAY_COUNT(found));
        for (size_t j = 0; j < all; j++)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s/%s%s ",
                           found[j].key, found[j].node, found[j].other, found[j].blocks ? "!" : "");
        if (strcmp(text, drift_rows[i].found) != 0)
            fail_msg("%s: %s", drift_rows[i].name, text);
        memcpy(values, drift_rows[i].values, sizeof values);
        assert_int_equal(ready_drift(values, count, drift_rows[i].primary, found, 0), all);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_alone),
        cmocka_unit_test(what_is_kept_for_who_is_away_is_an_alarm),
        cmocka_unit_test(what_blocks_weighs_most),
        cmocka_unit_test(a_site_is_as_ready_as_its_best_node),
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(each_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
