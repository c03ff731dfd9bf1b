/*
 * Durability "available": what is done next, in every circumstance. That nothing acknowledged is
 * lost by it is for the simulator (docs/simulation.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "sites/degrade.h"

#define SINCE "2026-11-22T03:02:00.000Z"
#define NOW   "2026-11-22T03:09:00.000Z"

/* "a" of {a, b, c}, primary of epoch 3. */
struct bench {
    struct quorum_record record;
    struct quorum_set names;
    struct quorum_set wanted;
    struct quorum_set acking;
    struct quorum_note note;
    struct degrade_view view;
    char text[512];
};

typedef void arrange_fn(struct bench *bench);

static struct quorum_set
set_of(unsigned k, const char *letters)
{
    struct quorum_set set = { .k = k };
    for (; *letters != '\0'; letters++)
        assert_int_equal(quorum_add(&set, (char[]){ *letters, '\0' }, NULL), ERR_NONE);
    return set;
}

static void
begin(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    bench->record = (struct quorum_record){ .now = set_of(1, "abc"), .arbiter = 7, .agreed = true };
    bench->names = set_of(1, "abc");
    bench->wanted = set_of(1, "abc");
    bench->acking = set_of(0, "abc");
    bench->view = (struct degrade_view){ .self = "a",
                                         .epoch = epoch_make(3, "a"),
                                         .record = &bench->record,
                                         .acknowledged = true,
                                         .names = &bench->names,
                                         .wanted = &bench->wanted,
                                         .acking = &bench->acking,
                                         .wait_ms = 2000,
                                         .arbiter = 7,
                                         .why = "no arbiter",
                                         .leased = true,
                                         .note = &bench->note,
                                         .revision = 120,
                                         .time = NOW };
}

static void
add_set(struct buf *into, const struct quorum_set *set)
{
    buf_printf(into, "%u{", set->k);
    for (size_t i = 0; i < set->count; i++)
        buf_printf(into, "%s", set->voters[i]);
    buf_add_text(into, "}");
}

static void
render(struct bench *bench, const struct degrade_action *action)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    switch (action->step) {
    case DEGRADE_STEP_NONE:
        buf_printf(&text, "%s%s", action->obstacle[0] == '\0' ? "-" : "! ", action->obstacle);
        break;
    case DEGRADE_STEP_NAMES:
        buf_add_text(&text, "NAMES ");
        add_set(&text, &action->set);
        break;
    case DEGRADE_STEP_RECORD:
        buf_add_text(&text, "RECORD ");
        if (action->record.joint) {
            add_set(&text, &action->record.old);
            buf_add_text(&text, action->record.turned ? ">" : "+");
        }
        add_set(&text, &action->record.now);
        buf_printf(&text, " arbiter=%u%s noted=%u%s%s", (unsigned)action->record.arbiter,
                   action->record.agreed ? "" : "?", (unsigned)action->record.noted,
                   action->record.since[0] == '\0' ? "" : " since ", action->record.since);
        break;
    case DEGRADE_STEP_NOTE:
        buf_printf(&text, "NOTE %u ", (unsigned)action->note.number);
        if (!action->note.given_up) {
            buf_add_text(&text, "back");
            break;
        }
        assert_true(epoch_equal(&action->note.epoch, &bench->view.epoch));
        assert_int_equal(action->note.revision, 120);
        add_set(&text, &action->note.set);
        buf_printf(&text, " since %s", action->note.since);
        break;
    }
    (void)snprintf(bench->text, sizeof bench->text, "%s", buf_text(&text));
}

/* ------------------------------------------------------------------ circumstances */

static void
waits(struct bench *bench)
{
    bench->view.waited_ms = 2000;
    bench->acking = set_of(0, "a");
}

static void
waits_not_long(struct bench *bench)
{
    waits(bench);
    bench->view.waited_ms = 1999;
}

static void
waits_though_one_acknowledges(struct bench *bench)
{
    waits(bench);
    bench->acking = set_of(0, "ac");
}

static void
strangers_acknowledge(struct bench *bench)
{
    waits(bench);
    bench->acking = set_of(0, "axy");
}

static void
two_are_needed(struct bench *bench)
{
    waits(bench);
    bench->record.now = bench->names = bench->wanted = set_of(2, "abc");
    bench->acking = set_of(0, "ab");
}

static void
waits_while_the_set_changes(struct bench *bench)
{
    waits(bench);
    bench->record = (struct quorum_record){
        .joint = true, .old = set_of(1, "ab"), .now = set_of(1, "abc"), .arbiter = 7, .agreed = true
    };
    bench->view.writing = true;
    bench->view.writing_arbiter = 7;
}

static void
nobody_may_be_told(struct bench *bench)
{
    waits(bench);
    bench->view.arbiter = 0;
}

static void
not_agreed_yet(struct bench *bench)
{
    waits(bench);
    bench->record.agreed = false;
    bench->view.acknowledged = false;
}

static void
just_agreed(struct bench *bench)
{
    waits(bench);
    bench->record.agreed = false;
}

static void
agreed_before(struct bench *bench)
{
    waits(bench);
    bench->view.acknowledged = false;
}

static void
agreed_on_another_arbiter(struct bench *bench)
{
    waits(bench);
    bench->record.arbiter = 6;
}

static void
another_arbiter_is_being_written(struct bench *bench)
{
    waits(bench);
    bench->view.writing = true;
    bench->view.writing_arbiter = 6;
}

static void
not_leased(struct bench *bench)
{
    waits(bench);
    bench->view.leased = false;
}

static void
note_not_known(struct bench *bench)
{
    waits(bench);
    bench->view.note = NULL;
}

static void
promised_to_another(struct bench *bench)
{
    waits(bench);
    bench->view.promised = epoch_make(4, "b");
}

static void
promised_to_ourselves(struct bench *bench)
{
    waits(bench);
    bench->view.promised = epoch_make(3, "a");
}

static void
after_other_notes(struct bench *bench)
{
    waits(bench);
    bench->note.number = 4;
    bench->record.noted = 3;
}

static void
after_an_arbiter_was_made_anew(struct bench *bench)
{
    waits(bench);
    bench->record.noted = 8;
}

static void
note_holds(struct bench *bench, struct quorum_set set)
{
    bench->note = (struct quorum_note){
        .number = 5, .given_up = true, .epoch = epoch_make(3, "a"), .since = SINCE, .set = set
    };
}

static void
told(struct bench *bench)
{
    waits(bench);
    note_holds(bench, set_of(0, "a"));
}

static void
told_while_writing(struct bench *bench)
{
    told(bench);
    bench->view.writing = true;
}

static void
told_before_the_record_that_is_written(struct bench *bench)
{
    told_while_writing(bench);
    bench->view.writing_arbiter = 7;
    bench->view.recorded = 5;
}

static void
told_after_the_record_that_is_written(struct bench *bench)
{
    told_before_the_record_that_is_written(bench);
    bench->view.recorded = 4;
}

static void
recorded_later_than_is_told(struct bench *bench)
{
    told_before_the_record_that_is_written(bench);
    bench->view.recorded = 8;
}

/* Carried to an arbiter that was chosen since: who has our record asks the one before. */
static void
told_and_another_is_recorded(struct bench *bench)
{
    told(bench);
    bench->record.arbiter = 6;
}

static void
told_and_nobody_has_agreed(struct bench *bench)
{
    told(bench);
    bench->record.agreed = false;
    bench->view.acknowledged = false;
}

/* Carried, and then a change of the set began: it does not go back. */
static void
carried_and_the_set_changes(struct bench *bench)
{
    told(bench);
    bench->view.waited_ms = 0;
    bench->record.joint = true;
    bench->record.old = set_of(1, "ab");
    bench->record.now = set_of(1, "abc");
    bench->note.set = bench->names = bench->record.old;
}

static void
carried_and_the_set_turns(struct bench *bench)
{
    carried_and_the_set_changes(bench);
    bench->note.set = bench->names = bench->record.now;
}

static void
told_without_a_lease_any_more(struct bench *bench)
{
    told(bench);
    bench->view.leased = false;
}

static void
told_and_even_less_is_left(struct bench *bench)
{
    two_are_needed(bench);
    note_holds(bench, set_of(1, "ab"));
    bench->acking = set_of(0, "a");
}

static void
told_and_more_is_left(struct bench *bench)
{
    two_are_needed(bench);
    note_holds(bench, set_of(0, "a"));
}

static void
told_by_another(struct bench *bench)
{
    told(bench);
    bench->note.epoch = epoch_make(2, "b");
}

static void
names_are_loose(struct bench *bench)
{
    note_holds(bench, set_of(0, "a"));
    bench->names = set_of(0, "a");
    bench->acking = set_of(0, "a");
}

static void
names_are_loose_in_a_change(struct bench *bench)
{
    names_are_loose(bench);
    bench->record.joint = true;
    bench->record.old = set_of(1, "ab");
}

static void
names_are_loose_while_writing(struct bench *bench)
{
    names_are_loose(bench);
    bench->view.writing = true;
}

static void
came_back_before_the_names(struct bench *bench)
{
    note_holds(bench, set_of(0, "a"));
}

static void
opened_after_a_note(struct bench *bench)
{
    note_holds(bench, set_of(1, "abc"));
    bench->note.epoch = epoch_make(2, "b");
}

static void
degraded(struct bench *bench)
{
    names_are_loose(bench);
    bench->record = (struct quorum_record){
        .now = set_of(0, "a"), .arbiter = 7, .agreed = true, .noted = 5, .since = SINCE
    };
    bench->wanted = set_of(1, "a");
}

static void
degraded_and_one_is_back(struct bench *bench)
{
    degraded(bench);
    bench->wanted = set_of(1, "ab");
    bench->acking = set_of(0, "ab");
}

static void
degraded_and_one_only_streams(struct bench *bench)
{
    degraded_and_one_is_back(bench);
    bench->acking = set_of(0, "a");
}

static void
degraded_and_one_of_two_is_back(struct bench *bench)
{
    degraded_and_one_is_back(bench);
    bench->wanted.k = 2;
}

static void
both_count(struct bench *bench)
{
    degraded_and_one_is_back(bench);
    bench->record.joint = true;
    bench->record.old = set_of(0, "a");
    bench->record.now = set_of(1, "ab");
}

static void
both_count_and_the_names_are_set(struct bench *bench)
{
    both_count(bench);
    bench->names = set_of(1, "ab");
}

static void
the_new_one_acknowledges(struct bench *bench)
{
    both_count_and_the_names_are_set(bench);
    bench->record.turned = true;
}

static void
one_of_two_counts_again(struct bench *bench)
{
    the_new_one_acknowledges(bench);
    bench->wanted = set_of(2, "ab");
}

static void
the_strict_way_back(struct bench *bench)
{
    the_new_one_acknowledges(bench);
    bench->view.arbiter = 0;
}

static void
went_away_again(struct bench *bench)
{
    both_count_and_the_names_are_set(bench);
    waits(bench);
    bench->view.writing = true;
    bench->view.writing_arbiter = 7;
}

static void
whole_again(struct bench *bench)
{
    both_count_and_the_names_are_set(bench);
    bench->record.joint = false;
    bench->record.since[0] = '\0';
}

static void
whole_again_everywhere(struct bench *bench)
{
    whole_again(bench);
    bench->view.everywhere = true;
}

static void
whole_everywhere_not_acknowledged(struct bench *bench)
{
    whole_again_everywhere(bench);
    bench->view.acknowledged = false;
    bench->view.writing = true;
}

static void
whole_everywhere_without_a_lease(struct bench *bench)
{
    whole_again_everywhere(bench);
    bench->view.leased = false;
}

static void
whole_everywhere_but_promised(struct bench *bench)
{
    whole_again_everywhere(bench);
    bench->view.promised = epoch_make(4, "b");
}

static void
degraded_everywhere(struct bench *bench)
{
    degraded(bench);
    bench->view.everywhere = true;
}

static void
the_arbiter_has_forgotten(struct bench *bench)
{
    degraded(bench);
    bench->note = (struct quorum_note){ .number = 0 };
}

/* An older copy of its record was put back. */
static void
the_arbiter_remembers_an_earlier_one(struct bench *bench)
{
    degraded(bench);
    bench->note.number = 3;
}

static void
whole_again_and_forgotten(struct bench *bench)
{
    whole_again(bench);
    bench->note = (struct quorum_note){ .number = 3 };
}

static void
whole_again_and_forgotten_by_settings_strict(struct bench *bench)
{
    whole_again_and_forgotten(bench);
    bench->record.arbiter = bench->view.arbiter = 0;
    bench->record.agreed = false;
}

static void
whole_everywhere_and_forgotten(struct bench *bench)
{
    whole_again_and_forgotten(bench);
    bench->view.everywhere = true;
}

static void
few_again_and_told_once_more(struct bench *bench)
{
    degraded(bench);
    bench->record.now = bench->names = set_of(1, "ab");
    bench->wanted = set_of(2, "ab");
    bench->view.waited_ms = 2000;
}

static void
set_to_available(struct bench *bench)
{
    bench->record.arbiter = 0;
    bench->record.agreed = false;
}

static void
available_is_acknowledged(struct bench *bench)
{
    bench->record.agreed = false;
}

static void
set_to_another_arbiter(struct bench *bench)
{
    bench->view.arbiter = 8;
}

static void
set_to_strict(struct bench *bench)
{
    bench->view.arbiter = 0;
}

static void
another_wanted(struct bench *bench)
{
    bench->wanted = set_of(1, "abcd");
    bench->record.noted = 5;
}

static void
another_wanted_while_writing(struct bench *bench)
{
    another_wanted(bench);
    bench->view.writing = true;
}

static void
asynchronous(struct bench *bench)
{
    waits(bench);
    bench->record.now = bench->names = bench->wanted = set_of(0, "abc");
}

/* ------------------------------------------------------------------ the table */

#define LEFT  "the arbiter is not heard, or has not granted the lease to this node"
#define UNSET "the members have not acknowledged yet that fewer may count"

static const struct {
    arrange_fn *arrange;
    const char *text;
} cases[] = {
    { NULL, "-" },
    /* whole */
    { waits_not_long, "-" },
    { waits_though_one_acknowledges, "-" },
    { waits, "NOTE 1 0{a} since " NOW },
    { strangers_acknowledge, "NOTE 1 0{a} since " NOW },
    { two_are_needed, "NOTE 1 1{ab} since " NOW },
    { waits_while_the_set_changes, "NOTE 1 0{a} since " NOW },
    { asynchronous, "-" },
    { after_other_notes, "NOTE 5 0{a} since " NOW },
    { after_an_arbiter_was_made_anew, "NOTE 9 0{a} since " NOW },
    { promised_to_ourselves, "NOTE 1 0{a} since " NOW },
    { nobody_may_be_told, "! no arbiter" },
    { not_agreed_yet, "! " UNSET },
    { just_agreed, "NOTE 1 0{a} since " NOW },
    { agreed_before, "NOTE 1 0{a} since " NOW },
    { agreed_on_another_arbiter, "! " UNSET },
    { another_arbiter_is_being_written, "! " UNSET },
    { not_leased, "! " LEFT },
    { note_not_known, "! " LEFT },
    { promised_to_another, "! the arbiter was told of a promotion that was begun" },
    /* the arbiter has the note */
    { told, "NAMES 0{a}" },
    { told_while_writing, "NAMES 0{a}" },
    { told_before_the_record_that_is_written, "NOTE 6 0{a} since " NOW },
    { told_after_the_record_that_is_written, "NAMES 0{a}" },
    { recorded_later_than_is_told, "NOTE 9 0{a} since " NOW },
    { told_and_another_is_recorded,
      "! the members have not acknowledged yet that fewer may count" },
    { told_and_nobody_has_agreed, "! the members have not acknowledged yet that fewer may count" },
    { carried_and_the_set_changes, "RECORD 1{ab}+1{abc} arbiter=7 noted=5" },
    { carried_and_the_set_turns, "RECORD 1{ab}+1{abc} arbiter=7 noted=5" },
    { told_without_a_lease_any_more, "NAMES 0{a}" },
    { told_and_even_less_is_left, "NOTE 6 0{a} since " NOW },
    { told_and_more_is_left, "NAMES 0{a}" },
    { told_by_another, "NOTE 6 0{a} since " NOW },
    { names_are_loose, "RECORD 0{a} arbiter=7 noted=5 since " SINCE },
    { names_are_loose_in_a_change, "RECORD 0{a} arbiter=7 noted=5 since " SINCE },
    { names_are_loose_while_writing, "-" },
    { came_back_before_the_names, "RECORD 1{abc} arbiter=7 noted=5" },
    { opened_after_a_note, "RECORD 1{abc} arbiter=7 noted=5" },
    /* degraded */
    { degraded, "-" },
    { degraded_everywhere, "-" },
    { degraded_and_one_only_streams, "-" },
    { degraded_and_one_is_back, "RECORD 0{a}+1{ab} arbiter=7 noted=5 since " SINCE },
    { degraded_and_one_of_two_is_back, "RECORD 0{a}+1{ab} arbiter=7 noted=5 since " SINCE },
    { the_arbiter_has_forgotten, "NOTE 6 0{a} since " SINCE },
    { the_arbiter_remembers_an_earlier_one, "NOTE 6 0{a} since " SINCE },
    { few_again_and_told_once_more, "NOTE 6 0{a} since " SINCE },
    /* the way back */
    { both_count, "NAMES 1{ab}" },
    { both_count_and_the_names_are_set, "RECORD 0{a}>1{ab} arbiter=7 noted=5 since " SINCE },
    { the_new_one_acknowledges, "RECORD 1{ab} arbiter=7 noted=5" },
    { one_of_two_counts_again, "RECORD 1{ab} arbiter=7 noted=5 since " SINCE },
    { the_strict_way_back, "RECORD 1{ab} arbiter=0? noted=5" },
    { went_away_again, "NOTE 6 0{a} since " SINCE },
    { whole_again, "-" },
    { whole_again_everywhere, "NOTE 6 back" },
    { whole_everywhere_not_acknowledged, "-" },
    { whole_everywhere_without_a_lease, "-" },
    { whole_everywhere_but_promised, "-" },
    { whole_again_and_forgotten, "NOTE 5 1{ab} since " },
    { whole_again_and_forgotten_by_settings_strict, "NOTE 5 1{ab} since " },
    { whole_everywhere_and_forgotten, "-" },
    /* the settings */
    { set_to_available, "RECORD 1{abc} arbiter=7? noted=0" },
    { available_is_acknowledged, "RECORD 1{abc} arbiter=7 noted=0" },
    { set_to_another_arbiter, "RECORD 1{abc} arbiter=8? noted=0" },
    { set_to_strict, "RECORD 1{abc} arbiter=0? noted=0" },
    { another_wanted, "RECORD 1{abc}+1{abcd} arbiter=7 noted=5" },
    { another_wanted_while_writing, "-" },
};

static void
test_every_case(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bench bench;
        struct degrade_action action;
        begin(&bench);
        if (cases[i].arrange != NULL)
            cases[i].arrange(&bench);
        degrade_next(&bench.view, &action);
        render(&bench, &action);
        if (strcmp(bench.text, cases[i].text) == 0)
            continue;
        print_message("case %zu: \"%s\", not \"%s\"\n", i, bench.text, cases[i].text);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* Others than "a", each with '+' when it streams; "all" are the voters of the record. */
static void
test_who_is_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *others;
        unsigned record_k;
        const char *all;
        bool degraded;
        struct setting_durability durability;
        unsigned k;
        const char *wanted;
    } rows[] = {
        /* nobody set anything: from two that stream on, one acknowledges */
        { "b+c+", 0, "abc", false, { .strict = true, .k = 1, .derived = true }, 1, "abc" },
        { "b+c-", 0, "abc", false, { .strict = true, .k = 1, .derived = true }, 0, "abc" },
        { "b+", 0, "ab", false, { .strict = true, .k = 1 }, 1, "ab" },
        { "b-", 0, "ab", false, { .strict = true, .k = 1 }, 0, "ab" },
        /* once it counts it stays, streaming or not; a new one has to stream first */
        { "b-c-", 1, "abc", false, { .strict = true, .k = 1 }, 1, "abc" },
        { "b+c+d-", 1, "abc", false, { .strict = true, .k = 1 }, 1, "abc" },
        { "b+c+d+", 1, "abc", false, { .strict = true, .k = 1 }, 1, "abcd" },
        { "c+", 1, "abc", false, { .strict = true, .k = 1 }, 1, "ac" }, /* b was removed */
        /* never more than there are */
        { "b+c+", 1, "abc", false, { .strict = true, .k = 5 }, 2, "abc" },
        /* while fewer count than were promised: those who stream, and k of all */
        { "b+c-", 0, "a", true, { .strict = true, .k = 2 }, 2, "ab" },
        { "b-c-", 0, "a", true, { .strict = true, .k = 1 }, 1, "a" },
        /* nobody is waited for */
        { "b-c+", 1, "abc", false, { .k = 1 }, 0, "abc" },
    };
    unsigned wrong = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct quorum_record record = { .now = set_of(rows[i].record_k, rows[i].all) };
        struct degrade_member members[4];
        char names[4][2] = { "" };
        size_t count = 0;
        if (rows[i].degraded)
            (void)snprintf(record.since, sizeof record.since, "%s", SINCE);
        for (const char *at = rows[i].others; *at != '\0'; at += 2) {
            names[count][0] = *at;
            members[count] = (struct degrade_member){ names[count], at[1] == '+' };
            count++;
        }
        struct quorum_set wanted =
            degrade_wanted("a", members, count, &record, &rows[i].durability);
        struct quorum_set expected = set_of(rows[i].k, rows[i].wanted);
        if (quorum_equal(&wanted, &expected))
            continue;
        print_message("row %zu: k=%u of %zu\n", i, wanted.k, wanted.count);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void
test_what_the_next_arbiter_has_to_know(void **state)
{
    (void)state;
    struct epoch epoch = epoch_make(3, "a");
    struct quorum_record record = { .now = set_of(1, "abc") };
    struct quorum_note known = { .number = 4, .since = NOW };

    struct quorum_note note = degrade_note_to_carry(&record, NULL, &epoch, 120);
    assert_false(note.given_up); /* nothing was ever given up */
    assert_int_equal(note.number, 0);

    note = degrade_note_to_carry(&record, &known, &epoch, 120);
    assert_true(note.given_up); /* not every member may know that it was taken back */
    assert_int_equal(note.number, 4);
    assert_string_equal(note.since, NOW);
    assert_true(quorum_equal(&note.set, &record.now));
    assert_true(epoch_equal(&note.epoch, &epoch));
    assert_int_equal(note.revision, 120);

    record.noted = 6;
    (void)snprintf(record.since, sizeof record.since, "%s", SINCE);
    note = degrade_note_to_carry(&record, &known, &epoch, 120);
    assert_int_equal(note.number, 6); /* the record is the later one */
    assert_string_equal(note.since, SINCE);

    record.noted = 0; /* a person has accepted a loss, and no arbiter was ever told */
    note = degrade_note_to_carry(&record, NULL, &epoch, 120);
    assert_true(quorum_note_holds(&note, &(struct quorum_record){ 0 }, &epoch));
    assert_string_equal(note.since, SINCE);
}

/* A change of the set holds the choice of an arbiter up when there is something to carry. */
static void
test_when_no_arbiter_can_be_chosen(void **state)
{
    (void)state;
    struct epoch epoch = epoch_make(3, "a");
    struct quorum_record record = { .now = set_of(1, "abc"), .old = set_of(1, "ab"), .arbiter = 7 };
    struct quorum_note known = { .number = 0 };
    record.joint = true;
    assert_false(degrade_is_telling(&record, NULL, &epoch));
    assert_false(degrade_is_telling(&record, &known, &epoch));
    known.number = 1;
    assert_true(degrade_is_telling(&record, &known, &epoch));
    record.noted = 1;
    assert_true(degrade_is_telling(&record, NULL, &epoch));
    record.noted = 0;
    (void)snprintf(record.since, sizeof record.since, "%s", SINCE);
    assert_true(degrade_is_telling(&record, NULL, &epoch));
    record.arbiter = 0; /* nobody asks one */
    assert_false(degrade_is_telling(&record, &known, &epoch));

    record = (struct quorum_record){ .now = set_of(1, "abc"), .arbiter = 7, .noted = 1 };
    assert_false(degrade_is_telling(&record, &known, &epoch));
    known = (struct quorum_note){ .number = 2, .given_up = true, .epoch = epoch };
    assert_true(degrade_is_telling(&record, &known, &epoch)); /* its record is to be written */
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_no_arbiter_can_be_chosen),
        cmocka_unit_test(test_every_case),
        cmocka_unit_test(test_who_is_wanted),
        cmocka_unit_test(test_what_the_next_arbiter_has_to_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
