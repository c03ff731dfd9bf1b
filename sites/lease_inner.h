/*
 * lease_inner.h -- what the files of lease share; nobody else includes it.
 *
 *   lease.c        the rules
 *   lease_ask.c    after each step: what is asked next, and when to wake
 *   lease_words.c  names
 */
#pragma once

#include "sites/lease.h"

struct lease_step_context {
    const struct lease_event *event;
    struct lease_effects *effects;
    bool memory_changed;
};

struct lease_effect *lease_emit(struct lease_step_context *context, enum lease_effect_kind kind);

bool lease_has_deadline(enum lease_state state);
/* Whether an ACQUIRE could be granted on what was read. */
bool lease_could_acquire(const struct lease *lease, const struct lease_record *record);
/* Whether the members' word is sought in the place of the arbiter's. */
bool lease_counts_members(const struct lease *lease);
void lease_note_unclear(struct lease *lease, struct lease_step_context *context, const char *why);

/* Ends a step that began in 'before': asks, notes, reports, arms. */
void lease_ask(struct lease *lease, struct lease_step_context *context, enum lease_state before);
