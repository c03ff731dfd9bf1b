#include "sites/degrade.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

/* Who of the set acknowledges, ourselves included; k is how many others. */
static struct quorum_set
rest_of(const struct degrade_view *view, const struct quorum_set *set)
{
    struct quorum_set rest = { 0 };
    (void)!quorum_add(&rest, view->self, NULL);
    for (size_t i = 0; i < set->count; i++) {
        if (quorum_has(view->acking, set->voters[i]))
            (void)!quorum_add(&rest, set->voters[i], NULL);
    }
    rest.k = (unsigned)rest.count - 1;
    return rest;
}

static bool
is_held_up(const struct degrade_view *view)
{
    return view->names->k > 0 && view->waited_ms >= view->wait_ms &&
           rest_of(view, view->names).k < view->names->k;
}

/* The arbiter has a note of ours that no record knows of. */
static bool
is_told(const struct degrade_view *view)
{
    return view->note != NULL && view->note->given_up &&
           epoch_equal(&view->note->epoch, &view->epoch) &&
           view->note->number > view->record->noted;
}

static uint64_t
next_number(const struct degrade_view *view)
{
    uint64_t number = view->record->noted;
    number = number > view->recorded ? number : view->recorded;
    return (number > view->note->number ? number : view->note->number) + 1;
}

/* D2: whoever is captured will ask the arbiter that we tell. */
static bool
is_agreed(const struct degrade_view *view)
{
    const struct quorum_record *record = view->record;
    return record->arbiter == view->arbiter && (record->agreed || view->acknowledged);
}

/* D1, D2. NULL: it may be told. */
static const char *
find_obstacle(const struct degrade_view *view)
{
    if (view->arbiter == 0)
        return view->why;
    if (!is_agreed(view) || (view->writing && view->writing_arbiter != view->arbiter))
        return "the members have not acknowledged yet that fewer may count";
    if (!view->leased || view->note == NULL)
        return "the arbiter is not heard, or has not granted the lease to this node";
    if (epoch_compare(&view->promised, &view->epoch) > 0)
        return "the arbiter was told of a promotion that was begun";
    return NULL;
}

static void
give_up(const struct degrade_view *view, const struct quorum_set *set, struct degrade_action *ret)
{
    ret->step = DEGRADE_STEP_NOTE;
    ret->note = (struct quorum_note){ .number = next_number(view),
                                      .given_up = true,
                                      .epoch = view->epoch,
                                      .revision = view->revision,
                                      .set = *set };
    const char *since = view->record->since[0] != '\0' ? view->record->since : view->time;
    ASSERT(str_copy(ret->note.since, sizeof ret->note.since, since));
}

/* Somebody waits, and too few acknowledge. */
static void
let_go(const struct degrade_view *view, struct degrade_action *ret)
{
    struct quorum_set rest = rest_of(view, view->names);
    /* D2: what was carried to an arbiter that is chosen now spares nobody who asks the one before
     */
    bool told = is_told(view) && is_agreed(view) && view->note->number > view->recorded; /* D3 */
    for (size_t i = 0; told && i < view->note->set.count; i++)
        told = quorum_has(&rest, view->note->set.voters[i]); /* else even less is left by now */
    if (told) {
        ret->step = DEGRADE_STEP_NAMES;
        ret->set = view->note->set;
        return;
    }
    const char *obstacle = find_obstacle(view);
    if (obstacle != NULL)
        (void)snprintf(ret->obstacle, sizeof ret->obstacle, "%s", obstacle);
    else
        give_up(view, &rest, ret);
}

static void
write_record(const struct degrade_view *view, struct degrade_action *ret)
{
    if (view->writing)
        return;
    ret->step = DEGRADE_STEP_RECORD;
    ret->record.arbiter = view->arbiter;
    ret->record.agreed = view->arbiter != 0 && is_agreed(view);
    if (ret->record.noted < view->record->noted)
        ret->record.noted = view->record->noted;
}

/* What was told has happened, or was not needed in the end; or somebody before us told it. */
static void
record_note(const struct degrade_view *view, struct degrade_action *ret)
{
    const struct quorum_set *set = &view->note->set;
    ret->record = *view->record;
    /* a change of the set that came after what was carried to this arbiter does not go back */
    bool carried = ret->record.joint &&
                   (quorum_equal(set, &ret->record.old) || quorum_equal(set, &ret->record.now));
    if (is_told(view) && quorum_equal(view->names, set) && !carried) {
        ret->record.joint = ret->record.turned = false;
        ret->record.now = *set;
        memcpy(ret->record.since, view->note->since, sizeof ret->record.since);
    }
    ret->record.noted = view->note->number;
    write_record(view, ret);
}

/* The set to come to next: while fewer count, as many as acknowledge by now. */
static struct quorum_set
find_wanted(const struct degrade_view *view)
{
    const struct quorum_record *record = view->record;
    if (record->since[0] == '\0')
        return *view->wanted;
    struct quorum_set rest = rest_of(view, view->wanted);
    if (rest.k >= view->wanted->k)
        return *view->wanted;
    return rest.k > record->now.k ? rest : record->now;
}

/* As every change of the set, and what goes with it. */
static void
go_on(const struct degrade_view *view, struct degrade_action *ret)
{
    struct quorum_set wanted = find_wanted(view);
    switch (quorum_next(view->record, view->acknowledged, view->names, &wanted, &ret->record,
                        &ret->set)) {
    case QUORUM_STEP_NAMES:
        if (!view->writing)
            ret->step = DEGRADE_STEP_NAMES;
        return;
    case QUORUM_STEP_RECORD:
        if (!ret->record.joint && quorum_equal(&ret->record.now, view->wanted))
            ret->record.since[0] = '\0';
        write_record(view, ret);
        return;
    case QUORUM_STEP_NONE:
        break;
    }
    ret->record = *view->record;
    if (quorum_equal(&ret->record.now, view->wanted))
        ret->record.since[0] = '\0';
    bool changed = strcmp(ret->record.since, view->record->since) != 0 ||
                   view->record->arbiter != view->arbiter ||
                   view->record->agreed != (view->arbiter != 0 && is_agreed(view));
    if (changed)
        write_record(view, ret);
}

/* What the arbiter should say, and does not. */
static void
tell(const struct degrade_view *view, struct degrade_action *ret)
{
    const struct quorum_record *record = view->record;
    bool degraded = record->since[0] != '\0';
    bool known = view->acknowledged && view->everywhere;
    if (!view->leased || view->note == NULL || record->joint ||
        epoch_compare(&view->promised, &view->epoch) > 0)
        return;
    bool forgotten = view->note->number < record->noted; /* a copy of its record was put back */
    if (degraded && (forgotten || !view->note->given_up)) {
        if (view->arbiter != 0)
            give_up(view, &record->now, ret);
    } else if (!degraded && forgotten && !known) {
        ret->step = DEGRADE_STEP_NOTE; /* what was told is still needed */
        ret->note = degrade_note_to_carry(record, view->note, &view->epoch, view->revision);
    } else if (!degraded && view->note->given_up && known) {
        ret->step = DEGRADE_STEP_NOTE;
        ret->note = (struct quorum_note){ .number = next_number(view) };
    }
}

void
degrade_next(const struct degrade_view *view, struct degrade_action *ret)
{
    *ret = (struct degrade_action){ .step = DEGRADE_STEP_NONE };
    if (is_held_up(view)) {
        let_go(view, ret);
        return;
    }
    if (view->note != NULL && view->note->given_up && view->note->number > view->record->noted) {
        record_note(view, ret);
        return;
    }
    go_on(view, ret);
    if (ret->step == DEGRADE_STEP_NONE && !view->writing)
        tell(view, ret);
}

struct quorum_set
degrade_wanted(const char *self, const struct degrade_member *members, size_t count,
               const struct quorum_record *record, const struct setting_durability *durability)
{
    bool degraded = record->since[0] != '\0';
    struct quorum_set wanted = { 0 };
    unsigned streaming = 0;
    (void)!quorum_add(&wanted, self, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct degrade_member *member = &members[i];
        streaming += member->streams;
        if (member->streams || !durability->strict ||
            (record->now.k > 0 && quorum_has(&record->now, member->name)))
            (void)!quorum_add(&wanted, member->name, NULL);
    }
    size_t others = degraded ? count : wanted.count - 1;
    wanted.k = durability->strict ? durability->k : 0;
    if (!degraded && record->now.k == 0 && streaming < (durability->derived ? 2 : wanted.k))
        wanted.k = 0; /* not yet: those who would have to acknowledge are not there */
    if (wanted.k > others)
        wanted.k = (unsigned)others;
    if (wanted.k == 0) {
        for (size_t i = 0; i < count; i++)
            (void)!quorum_add(&wanted, members[i].name, NULL);
    }
    return wanted;
}

bool
degrade_is_telling(const struct quorum_record *record, const struct quorum_note *known,
                   const struct epoch *opened)
{
    bool ever =
        record->noted > 0 || record->since[0] != '\0' || (known != NULL && known->number > 0);
    return (record->joint && record->arbiter != 0 && ever) ||
           (known != NULL && quorum_note_holds(known, record, opened));
}

struct quorum_note
degrade_note_to_carry(const struct quorum_record *record, const struct quorum_note *known,
                      const struct epoch *epoch, uint64_t revision)
{
    struct quorum_note note = { .number = record->noted };
    if (known != NULL && known->number > note.number)
        note.number = known->number;
    if (note.number == 0 && record->since[0] == '\0')
        return note;
    if (note.number == 0)
        note.number = 1; /* with 0 it would hold for nobody: every record knows of that */
    note.given_up = true;
    note.epoch = *epoch;
    note.revision = revision;
    note.set = record->now;
    const char *since = record->since[0] == '\0' && known != NULL ? known->since : record->since;
    memcpy(note.since, since, sizeof note.since);
    return note;
}
