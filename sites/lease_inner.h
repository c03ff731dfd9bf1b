/*
 * lease_inner.h -- what the files of lease share; nobody else includes it.
 *
 *   lease.c        the rules
 *   lease_known.c  what is known of the arbiter and the others, and what follows from it
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

static inline uint64_t
lease_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
lease_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void lease_set_reason(struct lease *lease, const char *format, ...) PRINTF_LIKE(2, 3);
struct lease_effect *lease_emit(struct lease_step_context *context, enum lease_effect_kind kind);

/* ---- lease_known.c ---- */

bool lease_has_deadline(enum lease_state state);
bool lease_is_acting(const struct lease *lease);
/* When a lease that was asked for at 'sent_ms' ends here. */
uint64_t lease_end_of(uint64_t sent_ms, uint64_t ttl_ms);

/* Takes the answer to the question that is out, and says what may be concluded from it. False: it
 * is the answer to an earlier one. */
bool lease_take_reply(struct lease *lease, struct lease_step_context *context,
                      enum lease_result *ret_result);
void lease_note_unclear(struct lease *lease, struct lease_step_context *context, const char *why);
/* An ACQUIRE or RENEW was granted. False: it was so long under way that it has run out here. */
bool lease_take_grant(struct lease *lease, const struct lease_step_context *context);
/* No grant: what was read says whether to ask for one now, or when to look again. */
void lease_note_read(struct lease *lease, struct lease_step_context *context,
                     enum lease_result result);
/* How soon the record is worth another look. */
uint64_t lease_look_again_ms(const struct lease *lease, const struct lease_record *record);
/* Whether an ACQUIRE could be granted on what was read. */
bool lease_could_acquire(const struct lease *lease, const struct lease_record *record);
/* Whether what was read is a lease of this node's own, under an earlier epoch: no use waiting for
 * its end. */
bool lease_is_our_last(const struct lease *lease, const struct lease_record *record);

/* Who could act last before us, if what was read is so new that nobody can have come between. */
void lease_learn_last(struct lease *lease, uint64_t now_ms);
/* I9: until when somebody who acted before us may still act, as far as is known now. */
uint64_t lease_others_end_ms(const struct lease *lease);
/* Until when we may act because all other members follow us; 0: not all have said so. Counted from
 * the oldest question: nobody can have promised anything later before that. */
uint64_t lease_members_deadline_ms(const struct lease *lease, uint64_t now_ms);
/* Whether the members' word is sought in the place of the arbiter's. */
bool lease_counts_members(const struct lease *lease);

/* ---- lease_ask.c ---- */

/* Ends a step that began in 'before': asks, notes, reports, arms. */
void lease_ask(struct lease *lease, struct lease_step_context *context, enum lease_state before);
