/*
 * Any acknowledgement meets any capture (I5), by brute force over small clusters: every set, every
 * k, every primary, every acknowledgement, every capture; also at every instant of a change of the
 * set. Nodes are bits here: bit 0 is "a".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "controller/base/json.h"
#include "sites/quorum.h"

#define NODES_MAX 5

static const char *const names[NODES_MAX] = { "a", "b", "c", "d", "e" };

static unsigned
count_bits(unsigned mask)
{
    return (unsigned)__builtin_popcount(mask);
}

static struct quorum_set
make_set(unsigned k, unsigned mask)
{
    struct quorum_set set = { .k = k };
    for (unsigned i = 0; i < NODES_MAX; i++) {
        if ((mask & (1u << i)) != 0)
            assert_int_equal(quorum_add(&set, names[i], NULL), ERR_NONE);
    }
    return set;
}

static size_t
list_names(unsigned mask, const char *list[NODES_MAX])
{
    size_t count = 0;
    for (unsigned i = 0; i < NODES_MAX; i++) {
        if ((mask & (1u << i)) != 0)
            list[count++] = names[i];
    }
    return count;
}

static bool
captured(const struct quorum_record *record, unsigned mask, const char *old_primary)
{
    const char *list[NODES_MAX];
    return quorum_captured(record, list, list_names(mask, list), old_primary);
}

static bool
confirmed(const struct quorum_record *record, unsigned self, unsigned mask)
{
    const char *list[NODES_MAX];
    return quorum_confirmed(record, names[self], list, list_names(mask, list));
}

/* ------------------------------------------------------------------ captures */

/* A write of 'primary' that is acknowledged and that 'capture' would not learn of. */
static bool
can_miss(unsigned voters, unsigned k, unsigned primary, unsigned capture)
{
    unsigned others = voters & ~(1u << primary);
    if ((capture & (1u << primary)) != 0)
        return false; /* it tells its last revision */
    return count_bits(others & ~capture) >= k;
}

static void
test_every_acknowledgement_meets_every_capture(void **state)
{
    (void)state;
    for (unsigned voters = 1; voters < 1u << NODES_MAX; voters++) {
        for (unsigned k = 1; k < count_bits(voters); k++) {
            struct quorum_record record = { .now = make_set(k, voters) };
            for (unsigned capture = 0; capture < 1u << NODES_MAX; capture++) {
                bool missed = false;
                for (unsigned primary = 0; primary < NODES_MAX; primary++) {
                    if ((voters & (1u << primary)) != 0)
                        missed |= can_miss(voters, k, primary, capture);
                }
                /* exactly: no capture that would be good is refused either */
                assert_int_equal(captured(&record, capture, NULL), !missed);
            }
        }
    }
}

static void
test_without_acknowledgements_all_or_the_old_primary(void **state)
{
    (void)state;
    for (unsigned voters = 1; voters < 1u << NODES_MAX; voters++) {
        struct quorum_record record = { .now = make_set(0, voters) };
        for (unsigned capture = 0; capture < 1u << NODES_MAX; capture++) {
            assert_int_equal(captured(&record, capture, NULL), (capture & voters) == voters);
            for (unsigned old = 0; old < NODES_MAX; old++)
                assert_int_equal(captured(&record, capture, names[old]),
                                 (capture & voters) == voters ||
                                     (capture & voters & (1u << old)) != 0);
        }
    }
}

static void
test_both_sets_are_captured_while_they_change(void **state)
{
    (void)state;
    for (unsigned old = 1; old < 16; old++) {
        for (unsigned now = 1; now < 16; now++) {
            for (unsigned k = 0; k < 16; k++) {
                unsigned old_k = k / 4;
                unsigned now_k = k % 4;
                struct quorum_record joint = { .joint = true,
                                               .old = make_set(old_k, old),
                                               .now = make_set(now_k, now) };
                struct quorum_record first = { .now = joint.old };
                struct quorum_record second = { .now = joint.now };
                for (unsigned capture = 0; capture < 16; capture++)
                    assert_int_equal(captured(&joint, capture, "a"),
                                     captured(&first, capture, "a") &&
                                         captured(&second, capture, "a"));
            }
        }
    }
}

/* ------------------------------------------------------------------ confirmations (I11) */

static void
test_a_confirmed_holder_was_not_captured_past(void **state)
{
    (void)state;
    for (unsigned voters = 1; voters < 1u << NODES_MAX; voters++) {
        for (unsigned k = 0; k < count_bits(voters); k++) {
            struct quorum_record record = { .now = make_set(k, voters) };
            for (unsigned self = 0; self < NODES_MAX; self++) {
                if ((voters & (1u << self)) == 0)
                    continue;
                for (unsigned who = 0; who < 1u << NODES_MAX; who++) {
                    if ((who & (1u << self)) != 0 || !confirmed(&record, self, who))
                        continue;
                    /* whoever promised something later is among the rest: too few for a capture */
                    unsigned rest = ~who & ((1u << NODES_MAX) - 1) & ~(1u << self);
                    assert_false(captured(&record, rest, NULL));
                }
            }
        }
    }
}

static void
test_confirmation_needs_no_more_than_it_must(void **state)
{
    (void)state;
    struct quorum_record alone = { .now = make_set(0, 1) };
    struct quorum_record three = { .now = make_set(1, 7) };
    struct quorum_record async = { .now = make_set(0, 7) };
    struct quorum_record joint = { .joint = true, .old = make_set(1, 7), .now = make_set(1, 3) };
    assert_true(confirmed(&alone, 0, 0));
    assert_false(confirmed(&three, 0, 0));
    assert_true(confirmed(&three, 0, 4));
    assert_false(confirmed(&three, 0, 8)); /* no voter */
    assert_false(confirmed(&async, 0, 2));
    assert_true(confirmed(&async, 0, 6));
    assert_false(confirmed(&joint, 0, 4)); /* enough for the old set only */
    assert_true(confirmed(&joint, 0, 2));
}

/* ------------------------------------------------------------------ a change of the set, step by
 * step */

/* The primary is always "a" here, and there are four nodes. A log is the list of records in it:
 * 'known' bit i set means that node has the row of records[i], and all before. */
#define WALK_NODES 4
#define ALL        ((1u << WALK_NODES) - 1)
#define WALK_MAX   8

struct walk {
    struct quorum_record records[WALK_MAX]; /* in the order of their rows */
    size_t count;
    bool acknowledged; /* the last one */
    struct quorum_set names;
    unsigned holders[WALK_MAX]; /* who surely has each acknowledged row: a smallest choice */
    struct {
        struct quorum_set names; /* in force when it was acknowledged */
        size_t after;            /* records before it */
    } writes[2 * WALK_MAX];      /* one for each instant so far */
    size_t write_count;
};

static const struct quorum_record *
record_of(const struct walk *walk, unsigned node, const unsigned known[WALK_MAX])
{
    size_t at = walk->count - 1;
    while (at > 0 && (known[at] & (1u << node)) == 0)
        at--;
    return &walk->records[at];
}

/* A write that 'has' have, and that came after the record 'after', is missed by a capture that the
 * rule allows. 'known' says who has which record's row. */
static bool
is_missed(const struct walk *walk, unsigned has, const unsigned known[WALK_MAX])
{
    for (unsigned capture = 1; capture <= ALL; capture++) {
        if ((capture & has) != 0)
            continue;
        unsigned best = 0;
        size_t best_at = 0;
        for (unsigned node = 0; node < WALK_NODES; node++) {
            if ((capture & (1u << node)) == 0)
                continue;
            size_t at = (size_t)(record_of(walk, node, known) - walk->records);
            if (best == 0 || at >= best_at) {
                best = node + 1;
                best_at = at;
            }
        }
        if (!captured(&walk->records[best_at], capture, NULL))
            continue;
        for (unsigned node = 0; node < WALK_NODES; node++) {
            if ((capture & (1u << node)) != 0 &&
                captured(record_of(walk, node, known), capture, NULL))
                return true;
        }
    }
    return false;
}

static unsigned
set_mask(const struct quorum_set *set)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < NODES_MAX; i++)
        mask |= quorum_has(set, names[i]) ? 1u << i : 0;
    return mask;
}

/* Whoever acknowledged the write, and whoever has heard of the last record: no capture that is
 * allowed now misses it. Who has a row has all rows before it. */
static void
check_write(const struct walk *walk, const struct quorum_set *set, size_t after)
{
    unsigned named = set_mask(set) & ~1u;
    for (unsigned acks = named;; acks = (acks - 1) & named) {
        bool enough = count_bits(acks) >= (set->count < 2 ? 0 : set->k);
        for (unsigned more = 0; enough && more <= ALL; more++) { /* has the last record's row */
            unsigned known[WALK_MAX];
            unsigned has = acks | 1u;
            unsigned later = 1u | more | walk->holders[walk->count - 1];
            for (size_t i = walk->count; i > 0; i--) {
                later |= walk->holders[i - 1];
                if (i - 1 < after)
                    later |= has; /* the write came after this record */
                else
                    has |= later;
                known[i - 1] = later;
            }
            assert_false(is_missed(walk, has, known));
        }
        if (acks == 0)
            break;
    }
}

static void
check_instant(struct walk *walk)
{
    walk->writes[walk->write_count].names = walk->names;
    walk->writes[walk->write_count++].after = walk->count;
    for (size_t i = 0; i < walk->write_count; i++)
        check_write(walk, &walk->writes[i].names, walk->writes[i].after);
}

/* The fewest that acknowledge a row under the names in force; different ones each time would do. */
static unsigned
fewest(const struct quorum_set *set, unsigned turn)
{
    unsigned others = set_mask(set) & ~1u;
    unsigned taken = 1u;
    for (unsigned i = 0; i < NODES_MAX && count_bits(taken) <= set->k; i++) {
        unsigned node = (i + turn) % NODES_MAX;
        if ((others & (1u << node)) != 0)
            taken |= 1u << node;
    }
    return taken;
}

static void
walk_to(const struct quorum_set *from, const struct quorum_set *wanted, unsigned turn)
{
    struct walk walk = { .count = 1, .acknowledged = true, .names = *from };
    struct quorum_record next;
    struct quorum_set set;
    walk.records[0] = (struct quorum_record){ .now = *from };
    walk.holders[0] = ALL;
    for (unsigned steps = 0; steps < 2 * WALK_MAX; steps++) {
        const struct quorum_record *record = &walk.records[walk.count - 1];
        check_instant(&walk);
        enum quorum_step step =
            quorum_next(record, walk.acknowledged, &walk.names, wanted, &next, &set);
        if (step == QUORUM_STEP_NONE) {
            assert_false(record->joint);
            assert_true(quorum_equal(&record->now, wanted));
            assert_true(quorum_equal(&walk.names, wanted));
            return;
        }
        if (step == QUORUM_STEP_NAMES) {
            walk.names = set;
            continue;
        }
        assert_true(walk.count < WALK_MAX);
        walk.records[walk.count] = next;
        walk.holders[walk.count++] = 1u;
        walk.acknowledged = false;
        check_instant(&walk);
        walk.acknowledged = true;
        walk.holders[walk.count - 1] = fewest(&walk.names, turn);
    }
    fail_msg("the walk does not end");
}

static void
test_a_change_is_safe_at_every_instant(void **state)
{
    (void)state;
    for (unsigned from = 1; from <= ALL; from += 2) { /* "a" is in both */
        for (unsigned to = 1; to <= ALL; to += 2) {
            for (unsigned from_k = 0; from_k < count_bits(from); from_k++) {
                for (unsigned to_k = 0; to_k < count_bits(to); to_k++) {
                    struct quorum_set first = make_set(from_k, from);
                    struct quorum_set second = make_set(to_k, to);
                    for (unsigned turn = 0; turn < WALK_NODES; turn++)
                        walk_to(&first, &second, turn);
                }
            }
        }
    }
}

static void
test_a_step_is_repeated_until_it_is_acknowledged(void **state)
{
    (void)state;
    struct quorum_set old = make_set(1, 7);
    struct quorum_set now = make_set(1, 13);
    struct quorum_record joint = { .joint = true, .old = old, .now = now };
    struct quorum_record next;
    struct quorum_set set;
    assert_int_equal(quorum_next(&joint, false, &old, &now, &next, &set), QUORUM_STEP_RECORD);
    assert_true(next.joint && quorum_equal(&next.old, &old) && quorum_equal(&next.now, &now));
    assert_int_equal(quorum_next(&joint, false, &now, &now, &next, &set), QUORUM_STEP_NAMES);
    assert_true(quorum_equal(&set, &old));
    assert_int_equal(quorum_next(&joint, true, &old, &now, &next, &set), QUORUM_STEP_NAMES);
    assert_true(quorum_equal(&set, &now));
    assert_int_equal(quorum_next(&joint, true, &now, &now, &next, &set), QUORUM_STEP_RECORD);
    assert_true(next.joint && next.turned);
    assert_true(quorum_equal(&next.old, &old) && quorum_equal(&next.now, &now));
    struct quorum_record turned = next;
    assert_int_equal(quorum_next(&turned, false, &old, &old, &next, &set), QUORUM_STEP_NAMES);
    assert_true(quorum_equal(&set, &now)); /* never back */
    assert_int_equal(quorum_next(&turned, false, &now, &old, &next, &set), QUORUM_STEP_RECORD);
    assert_true(next.joint && next.turned);
    assert_int_equal(quorum_next(&turned, true, &old, &old, &next, &set), QUORUM_STEP_NAMES);
    assert_true(quorum_equal(&set, &now));
    assert_int_equal(quorum_next(&turned, true, &now, &old, &next, &set), QUORUM_STEP_RECORD);
    assert_true(!next.joint && !next.turned && quorum_equal(&next.now, &now));
}

/* ------------------------------------------------------------------ sets, names, JSON */

static void
test_voters_are_sorted_and_bounded(void **state)
{
    (void)state;
    struct quorum_set set = { .k = 1 };
    struct err err;
    char name[16];
    assert_int_equal(quorum_add(&set, "m", NULL), ERR_NONE);
    assert_int_equal(quorum_add(&set, "b", NULL), ERR_NONE);
    assert_int_equal(quorum_add(&set, "z", NULL), ERR_NONE);
    assert_int_equal(quorum_add(&set, "b", NULL), ERR_NONE);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.voters[0], "b");
    assert_string_equal(set.voters[2], "z");
    quorum_remove(&set, "nobody");
    quorum_remove(&set, "m");
    assert_int_equal(set.count, 2);
    assert_string_equal(set.voters[1], "z");
    for (unsigned i = 0; set.count < QUORUM_VOTERS_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(quorum_add(&set, name, &err), ERR_NONE);
    }
    assert_int_equal(quorum_add(&set, "one-more", &err), ERR_LIMIT);
    assert_string_equal(err.slug, "too_many_voters");
}

static void
test_a_voter_of_both_sets(void **state)
{
    (void)state;
    struct quorum_record joint = { .joint = true, .old = make_set(0, 3), .now = make_set(1, 6) };
    assert_false(quorum_is_voter(&joint, "a"));
    assert_true(quorum_is_voter(&joint, "b"));
    assert_false(quorum_is_voter(&joint, "c"));
    assert_true(quorum_equal(quorum_acknowledging(&joint), &joint.old));
    joint.turned = true;
    assert_false(quorum_is_voter(&joint, "a"));
    assert_true(quorum_equal(quorum_acknowledging(&joint), &joint.now));
    joint.joint = joint.turned = false;
    assert_true(quorum_is_voter(&joint, "c"));
    assert_true(quorum_equal(quorum_acknowledging(&joint), &joint.now));
}

static void
test_names_as_postgresql_reads_them(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text = { 0 };
    struct quorum_set set = make_set(2, 13);
    quorum_standby_names(&set, "c", &text);
    assert_string_equal(buf_text(&text), "ANY 2 (\"a\", \"d\")");
    buf_clear(&text);
    quorum_standby_names(&set, "b", &text); /* no voter: all of them */
    assert_string_equal(buf_text(&text), "ANY 2 (\"a\", \"c\", \"d\")");
    buf_clear(&text);
    set.k = 0;
    quorum_standby_names(&set, "c", &text);
    assert_string_equal(buf_text(&text), "");
    set = make_set(1, 1);
    quorum_standby_names(&set, "a", &text);
    assert_string_equal(buf_text(&text), "");
}

static void
test_json_is_read_back(void **state)
{
    (void)state;
    struct quorum_record records[] = {
        { .now = make_set(1, 7) },
        { .joint = true, .old = make_set(2, 31), .now = make_set(0, 1) },
        { .joint = true, .turned = true, .old = make_set(2, 31), .now = make_set(0, 1) },
        { .now = make_set(0, 1),
          .arbiter = 12,
          .agreed = true,
          .noted = INT64_MAX,
          .since = "then" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(records); i++) {
        struct quorum_record again;
        CLEANUP(json_putp) struct json_object *value = quorum_to_json(&records[i]);
        assert_int_equal(quorum_from_json(value, &again, NULL), ERR_NONE);
        assert_int_equal(again.joint, records[i].joint);
        assert_int_equal(again.turned, records[i].turned);
        assert_true(quorum_equal(&again.now, &records[i].now));
        if (again.joint)
            assert_true(quorum_equal(&again.old, &records[i].old));
        assert_int_equal(again.arbiter, records[i].arbiter);
        assert_int_equal(again.agreed, records[i].agreed);
        assert_int_equal(again.noted, records[i].noted);
        assert_string_equal(again.since, records[i].since);
    }
}

static void
test_a_change_keeps_what_goes_with_the_set(void **state)
{
    (void)state;
    struct quorum_record record = {
        .now = make_set(1, 3), .arbiter = 12, .noted = 4, .since = "then"
    };
    struct quorum_set wanted = make_set(1, 7);
    struct quorum_set names_in_force = record.now;
    struct quorum_record next;
    struct quorum_set set;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(quorum_next(&record, true, &names_in_force, &wanted, &next, &set),
                         QUORUM_STEP_RECORD);
        assert_int_equal(next.joint, i < 2);
        assert_int_equal(next.turned, i == 1);
        assert_int_equal(next.arbiter, 12);
        assert_int_equal(next.noted, 4);
        assert_string_equal(next.since, "then");
        record = next;
        names_in_force = wanted;
    }
}

/* ------------------------------------------------------------------ notes */

static struct quorum_note
make_note(uint64_t number, uint64_t epoch, const char *holder)
{
    return (struct quorum_note){ .number = number,
                                 .given_up = true,
                                 .epoch = epoch_make(epoch, holder),
                                 .revision = 120,
                                 .since = "2026-11-22T03:02:00.000Z",
                                 .set = make_set(1, 3) };
}

static void
test_the_later_of_record_and_note(void **state)
{
    (void)state;
    struct quorum_record record = { .now = make_set(1, 7), .arbiter = 12, .noted = 4 };
    static const struct {
        uint64_t number;
        uint64_t epoch;
        const char *holder;
        bool taken_back;
        bool holds;
    } cases[] = {
        { 5, 3, "b", false, true },  /* of the newest epoch, and the record does not know of it */
        { 4, 3, "b", false, false }, /* it knows: it was written later */
        { 3, 3, "b", false, false },
        { 5, 3, "a", false, false }, /* of an earlier epoch, by its holder */
        { 5, 2, "b", false, false },
        { 5, 4, "a", false, true }, /* of one that nobody who answers has heard of */
        { 5, 3, "b", true, false },
    };
    struct epoch opened = epoch_make(3, "b");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct quorum_note note = make_note(cases[i].number, cases[i].epoch, cases[i].holder);
        note.given_up = !cases[i].taken_back;
        assert_int_equal(quorum_note_holds(&note, &record, &opened), cases[i].holds);
        struct quorum_record later = quorum_in_force(&record, &note, &opened);
        assert_true(quorum_equal(&later.now, cases[i].holds ? &note.set : &record.now));
        assert_int_equal(later.noted, cases[i].holds ? 5 : 4);
        assert_int_equal(later.arbiter, 12);
        assert_string_equal(later.since, cases[i].holds ? note.since : "");
    }
    struct quorum_record same = quorum_in_force(&record, NULL, &opened);
    assert_true(quorum_equal(&same.now, &record.now));
}

/* While the arbiter changes, who has the record asks the one that it names. */
static void
test_a_note_is_of_the_arbiter_that_the_record_names(void **state)
{
    (void)state;
    struct quorum_record record = { .now = make_set(1, 7), .arbiter = 12 };
    struct quorum_note note = make_note(5, 3, "b");
    assert_ptr_equal(quorum_note_named(&note, &record, 12), &note);
    assert_null(quorum_note_named(&note, &record, 13));
    assert_null(quorum_note_named(NULL, &record, 12));
}

static void
test_a_note_replaces_both_sets_of_a_change(void **state)
{
    (void)state;
    struct quorum_record record = {
        .joint = true, .old = make_set(1, 3), .now = make_set(1, 7), .arbiter = 12
    };
    struct quorum_note note = make_note(1, 3, "b");
    struct quorum_record later = quorum_in_force(&record, &note, &note.epoch);
    assert_false(later.joint);
    assert_true(quorum_equal(&later.now, &note.set));
}

static void
test_a_note_is_read_back(void **state)
{
    (void)state;
    struct quorum_note note = make_note(7, 3, "b");
    CLEANUP(freep) char *text = quorum_note_text(&note);
    struct quorum_note again = quorum_note_read(7, text);
    assert_true(again.given_up && again.number == 7 && again.revision == 120);
    assert_true(epoch_equal(&again.epoch, &note.epoch));
    assert_true(quorum_equal(&again.set, &note.set));
    assert_string_equal(again.since, note.since);

    note.given_up = false;
    CLEANUP(freep) char *empty = quorum_note_text(&note);
    assert_string_equal(empty, "");
    again = quorum_note_read(7, empty);
    assert_true(!again.given_up && again.number == 7);
}

/* The longest that there can be has its place at the arbiter. */
static void
test_a_note_has_a_bound(void **state)
{
    (void)state;
    char name[NODE_NAME_SIZE];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct quorum_note note = make_note(INT64_MAX, INT64_MAX, name);
    memset(note.since, '9', sizeof note.since - 1);
    note.revision = INT64_MAX;
    note.set.count = 0;
    for (unsigned i = 0; i < QUORUM_VOTERS_MAX; i++) {
        name[0] = (char)('a' + i);
        assert_int_equal(quorum_add(&note.set, name, NULL), ERR_NONE);
    }
    CLEANUP(freep) char *text = quorum_note_text(&note);
    assert_true(strlen(text) < 4096);
    struct quorum_note again = quorum_note_read(1, text);
    assert_true(quorum_equal(&again.set, &note.set));
}

/* What nobody can read might say anything: it excludes every candidate. */
static void
test_a_note_without_sense_excludes_everybody(void **state)
{
    static const char *const wrong[] = {
        "x",
        "{}",
        "{\"k\":0,\"voters\":[\"a\"]}",
        "{\"k\":0,\"voters\":[\"a\"],\"epoch\":\"3\",\"revision\":1}",
        "{\"k\":0,\"voters\":[\"a\"],\"epoch\":\"3/a\"}",
        "{\"k\":0,\"voters\":[\"a\"],\"epoch\":\"3/a\",\"revision\":1,\"since\":5}",
        ("{\"k\":0,\"voters\":[\"a\"],\"epoch\":\"3/a\",\"revision\":1,\"since\":"
         "\"a time that is longer than any that we write\"}"),
    };
    (void)state;
    struct quorum_record record = { .now = make_set(0, 1), .noted = 1 };
    struct epoch opened = epoch_make(INT64_MAX, "z");
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct quorum_note note = quorum_note_read(2, wrong[i]);
        assert_true(quorum_note_holds(&note, &record, &opened));
        struct quorum_record later = quorum_in_force(&record, &note, &opened);
        assert_false(quorum_is_voter(&later, "a"));
    }
}

static void
test_json_of_others_is_checked(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "[]",
        "{\"now\":{}}",
        "{\"now\":{\"k\":1}}",
        "{\"now\":{\"k\":-1,\"voters\":[]}}",
        "{\"now\":{\"k\":17,\"voters\":[]}}",
        "{\"now\":{\"k\":\"1\",\"voters\":[]}}",
        "{\"now\":{\"k\":1,\"voters\":[\"A\"]}}",
        "{\"now\":{\"k\":1,\"voters\":[1]}}",
        "{\"now\":{\"k\":1,\"voters\":{}}}",
        "{\"now\":{\"k\":1,\"voters\":[]},\"old\":{}}",
        "{\"now\":{\"k\":1,\"voters\":[]},\"old\":[]}",
        "{\"now\":{\"k\":1,\"voters\":[]},\"arbiter\":\"x\"}",
        "{\"now\":{\"k\":1,\"voters\":[]},\"noted\":-1}",
        "{\"now\":{\"k\":1,\"voters\":[]},\"agreed\":1}",
        "{\"now\":{\"k\":1,\"voters\":[]},\"since\":5}",
        "{\"now\":{\"k\":0,\"voters\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\","
        "\"k\","
        "\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CLEANUP(json_putp) struct json_object *value = NULL;
        struct quorum_record record = { .now = { .k = 9 } };
        struct err err;
        assert_int_equal(json_read(wrong[i], strlen(wrong[i]), &value, NULL), ERR_NONE);
        assert_int_not_equal(quorum_from_json(value, &record, &err), ERR_NONE);
        assert_int_equal(record.now.k, 9);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_acknowledgement_meets_every_capture),
        cmocka_unit_test(test_without_acknowledgements_all_or_the_old_primary),
        cmocka_unit_test(test_both_sets_are_captured_while_they_change),
        cmocka_unit_test(test_a_confirmed_holder_was_not_captured_past),
        cmocka_unit_test(test_confirmation_needs_no_more_than_it_must),
        cmocka_unit_test(test_a_change_is_safe_at_every_instant),
        cmocka_unit_test(test_a_step_is_repeated_until_it_is_acknowledged),
        cmocka_unit_test(test_voters_are_sorted_and_bounded),
        cmocka_unit_test(test_a_voter_of_both_sets),
        cmocka_unit_test(test_names_as_postgresql_reads_them),
        cmocka_unit_test(test_a_change_keeps_what_goes_with_the_set),
        cmocka_unit_test(test_the_later_of_record_and_note),
        cmocka_unit_test(test_a_note_is_of_the_arbiter_that_the_record_names),
        cmocka_unit_test(test_a_note_replaces_both_sets_of_a_change),
        cmocka_unit_test(test_a_note_is_read_back),
        cmocka_unit_test(test_a_note_has_a_bound),
        cmocka_unit_test(test_a_note_without_sense_excludes_everybody),
        cmocka_unit_test(test_json_is_read_back),
        cmocka_unit_test(test_json_of_others_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
