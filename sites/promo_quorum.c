#include "sites/promo_inner.h"

#include <stdio.h>
#include <string.h>

size_t
promo_captured_names(const struct promo *promo, const char *names[PROMO_MEMBERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].captured)
            names[count++] = promo->members[i].name;
    }
    return count;
}

/* Whose note of a later epoch the arbiter has was promoted without him, and has needed nobody's
 * acknowledgement since: then the old primary that we know of is not the last one. Nor when
 * somebody has rows of a later epoch, who had none yet when he was asked. */
bool
promo_old_is_last(const struct promo *promo)
{
    const struct promo_arbiter *arbiter = &promo->arbiter;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (member->captured && epoch_compare(&member->captured_at.epoch, &promo->old_epoch) > 0)
            return false;
    }
    return !arbiter->told || !arbiter->note.given_up ||
           epoch_compare(&arbiter->note.epoch, &promo->old_epoch) <= 0;
}

/* The old primary, when it was captured and nobody had captured it before us: then nobody can have
 * written after it that needs no acknowledgements. Else NULL. */
static const char *
captured_old_primary(const struct promo *promo)
{
    if (!promo_old_is_last(promo))
        return NULL;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (member->captured && strcmp(member->name, promo->old_primary) == 0 &&
            epoch_equal(&member->promised_before, &promo->old_epoch))
            return member->name;
    }
    return NULL;
}

bool
promo_has_quorum(const struct promo *promo)
{
    const char *names[PROMO_MEMBERS_MAX];
    size_t count = promo_captured_names(promo, names);
    const char *old = captured_old_primary(promo);
    /* by the log too: until the names are set, who counted before the note acknowledges */
    return quorum_captured(&promo->record, names, count, old) &&
           quorum_captured(&promo->log, names, count, old);
}

unsigned
promo_acks_possible(const struct promo *promo, const struct quorum_set *set)
{
    unsigned count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        count += !member->self && (member->answered || member->captured) &&
                 promo_would_follow(promo, member) && quorum_has(set, member->name);
    }
    return count;
}

struct promo_acks
promo_count_acks(const struct promo *promo)
{
    const struct quorum_record *record = &promo->record;
    struct promo_acks now = { .wanted = record->now.k,
                              .possible = promo_acks_possible(promo, &record->now) };
    struct promo_acks old = { .wanted = record->old.k,
                              .possible = promo_acks_possible(promo, &record->old) };
    if (record->joint && old.wanted + now.possible > now.wanted + old.possible)
        return old;
    return now;
}

bool
promo_fewer_may_acknowledge(const struct promo *promo)
{
    return promo->order.accept_data_loss ||
           (promo->order.overrides & (1u << PROMO_CHECK_ACKS)) != 0;
}

void
promo_lower_if_told(struct promo *promo)
{
    struct promo_acks acks = promo_count_acks(promo);
    unsigned possible = promo_acks_possible(promo, &promo->record.now);
    if (!promo_fewer_may_acknowledge(promo) ||
        (acks.possible >= acks.wanted && quorum_is_voter(&promo->record, promo->self)))
        return;
    promo->record.joint = promo->record.turned = false;
    if (promo->record.now.k > possible) {
        promo->record.now.k = possible;
        memcpy(promo->record.since, promo->order.time, sizeof promo->record.since);
    }
    (void)!quorum_add(&promo->record.now, promo->self, NULL); /* full: the upkeep makes room */
    promo->degraded = true;
}

/* ------------------------------------------------------------------ the arbiter */

/* The arbiter that our record names has promised. */
static bool
is_promised(const struct promo *promo)
{
    return promo->arbiter.promised && promo->arbiter.row == promo->log.arbiter;
}

bool
promo_goes_by_the_note(const struct promo *promo)
{
    const char *names[PROMO_MEMBERS_MAX];
    size_t count = 0;
    bool asks = promo->state != PROMO_STATE_CAPTURING && promo->state != PROMO_STATE_CATCHING_UP;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (asks ? member->answered : member->captured)
            names[count++] = member->name;
    }
    return promo->arbiter.told &&
           !(promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count));
}

void
promo_find_record(struct promo *promo)
{
    const struct quorum_note *note = promo_goes_by_the_note(promo) ? &promo->arbiter.note : NULL;
    struct quorum_record later = quorum_in_force(&promo->log, note, &promo->own.applied.epoch);
    if (promo->order.accept_data_loss && !quorum_is_voter(&later, promo->self))
        later = promo->log;
    promo->degraded = later.noted > promo->log.noted;
    if (note != NULL && later.noted < note->number)
        later.noted = note->number; /* whatever it said, this is later */
    promo->record = later;
}

bool
promo_needs_arbiter(const struct promo *promo)
{
    return promo->mode != PROMO_RESUMPTION && promo->log.arbiter != 0;
}

bool
promo_arbiter_changes(const struct promo *promo)
{
    return promo->concluded ? promo->arbiter.changes : promo->arbiter.row > promo->log.arbiter;
}

bool
promo_is_sure(const struct promo *promo)
{
    const char *names[PROMO_MEMBERS_MAX];
    size_t count = promo_captured_names(promo, names);
    if (promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count))
        return true;
    return !promo_needs_arbiter(promo) || promo->order.accept_data_loss ||
           (promo->order.overrides & (1u << PROMO_CHECK_ARBITER)) != 0 || is_promised(promo);
}

void
promo_note_arbiter(struct promo *promo, const struct promo_event *event)
{
    struct promo_arbiter *arbiter = &promo->arbiter;
    arbiter->asked = false;
    arbiter->row = event->arbiter;
    arbiter->newest = *epoch_max(&arbiter->newest, &event->promised);
    if (event->ok) {
        arbiter->told = true;
        arbiter->note = *event->note;
        return;
    }
    (void)snprintf(arbiter->text, sizeof arbiter->text, "%s",
                   event->text == NULL ? "the arbiter did not answer in time" : event->text);
}

void
promo_blame_arbiter(struct promo *promo)
{
    (void)err_set(&promo->failure, ERR_UNAVAILABLE, "arbiter_silent",
                  "whether %s went on alone is not known: %s",
                  promo->old_primary[0] == '\0' ? "an earlier primary" : promo->old_primary,
                  promo->arbiter.promised || promo->arbiter.changes
                      ? "another arbiter has been chosen since"
                  : promo->arbiter.text[0] == '\0' ? "no arbiter was known here"
                                                   : promo->arbiter.text);
    (void)err_mend(&promo->failure,
                   "repeat it when the arbiter answers; if nothing can have been written there: "
                   "--override arbiter --reason TEXT");
}

void
promo_blame_quorum(struct promo *promo)
{
    (void)err_set(&promo->failure, ERR_CONFLICT, "quorum_changed",
                  promo->degraded
                      ? "the primary has told the arbiter meanwhile that it goes on without %s"
                      : "the sync set in the log asks for more members than were captured, or does "
                        "not name %s",
                  promo->self);
    (void)err_mend(&promo->failure, "repeat 'baton promote %s': its checks say what is missing",
                   promo->self);
}
