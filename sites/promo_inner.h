/*
 * promo_inner.h -- what the files of promo share; nobody else includes it.
 *
 *   promo.c          the rules
 *   promo_capture.c  the rules of capturing and catching up
 *   promo_step.c     what every rule does: effects, notes, the end
 *   promo_checks.c   what is looked at before anything is touched
 *   promo_quorum.c   who was captured, who would acknowledge
 *   promo_words.c    names
 */
#pragma once

#include "sites/promo.h"

/* The answering member that calls itself primary of the newest epoch, or NULL. */
const struct promo_member *promo_find_primary(const struct promo *promo);
/* The newest epoch that any answer shows, promises included. */
struct epoch promo_newest_epoch(const struct promo *promo);
/* The newest epoch that was opened, as far as the answers show. */
struct epoch promo_newest_applied_epoch(const struct promo *promo);
/* Fills 'findings'. 'primary' is NULL unless the mode is a switchover. */
void promo_run_checks(struct promo *promo, const struct promo_member *primary);
/* False: its schema is older than ours, so it will not follow before it is upgraded (I14). */
bool promo_would_follow(const struct promo *promo, const struct promo_member *member);
/* Acknowledgements that a write needs, and members that could give one now: of the set that is
 * shorter of them, while both the old and the new one count. */
struct promo_acks {
    unsigned wanted;
    unsigned possible;
};
struct promo_acks promo_count_acks(const struct promo *promo);
/* Members of the set that could give one. */
unsigned promo_acks_possible(const struct promo *promo, const struct quorum_set *set);
/* The operator has said that too few will acknowledge. */
bool promo_fewer_may_acknowledge(const struct promo *promo);
/* From this epoch on as many count as there are, if he has. They come back into the set by
 * themselves, like any member that streams again. A node that was no voter becomes one. */
void promo_lower_if_told(struct promo *promo);

/* Returns how many; borrowed. */
size_t promo_captured_names(const struct promo *promo, const char *names[PROMO_MEMBERS_MAX]);
bool promo_has_quorum(const struct promo *promo);
/* False: the arbiter, or a member that was captured, knows of a primary after the one that the
 * members showed when they were asked. */
bool promo_old_is_last(const struct promo *promo);

/* What the arbiter was told counts. Not while it changes, once every voter is there (has answered,
 * from CAPTURING on has promised): the record that is opened with would name fewer, and who asks
 * the arbiter that ours names would not hear of it. */
bool promo_goes_by_the_note(const struct promo *promo);
/* Takes the later of log and note for the record; what a person has accepted to lose does not
 * count. */
void promo_find_record(struct promo *promo);
/* The arbiter has to be asked, or this promotion cannot know what counts. */
bool promo_needs_arbiter(const struct promo *promo);
/* Our log has chosen another than its record names: nobody else may have heard of that choice. Once
 * the captures are counted that stands: what is pulled may set the row aside that chose it, and
 * have another of the same number. */
bool promo_arbiter_changes(const struct promo *promo);
/* It has said all that has to be known of the old primary, or it need not, or a person wants to go
 * on all the same. While it changes nobody knows which one was told; but who could have gone on
 * alone is a voter, and when every voter is captured, so is he. */
bool promo_is_sure(const struct promo *promo);
/* TOLD, PROMISED, or that nothing came. */
void promo_note_arbiter(struct promo *promo, const struct promo_event *event);
/* Why it ends here. */
void promo_blame_arbiter(struct promo *promo);
void promo_blame_quorum(struct promo *promo);

/* ---- one step: an event, and what comes of it ---- */

struct promo_step_context {
    const struct promo_event *event;
    struct promo_effects *effects;
};

/* 'node' may be NULL. The effect is borrowed, to be filled in. */
struct promo_effect *promo_emit(struct promo_step_context *context, enum promo_effect_kind kind,
                                const char *node);
void promo_arm_alarm(struct promo *promo, struct promo_step_context *context, uint64_t after_ms);
/* What the record says of the state that was entered last. */
void promo_step_note(struct promo *promo, const char *format, ...) PRINTF_LIKE(2, 3);
/* NULL: no such member, or no name. */
struct promo_member *promo_member_find(struct promo *promo, const char *name);
struct promo_member *promo_member_self(struct promo *promo);
/* Ends with 'failure', which the caller has filled in. */
enum promo_state promo_finish_failed(struct promo *promo, struct promo_step_context *context);
/* Says how to go on after the point of no return: only forward. */
void promo_mend_repeat(struct promo *promo);
bool promo_nobody_is_asked(const struct promo *promo);
/* Nor the arbiter. */
bool promo_asking_is_over(const struct promo *promo);

/* ---- rules of promo_capture.c, and what they go on with ---- */

enum promo_state promo_enter_capturing(struct promo *promo, struct promo_step_context *context);
enum promo_state promo_on_captured(struct promo *promo, struct promo_step_context *context);
enum promo_state promo_on_captured_late(struct promo *promo, struct promo_step_context *context);
enum promo_state promo_on_promised(struct promo *promo, struct promo_step_context *context);
enum promo_state promo_on_pulled(struct promo *promo, struct promo_step_context *context);
/* Time is up: goes on with who has promised, waits once more for those who were there when they
 * were asked, or fails: then nobody is primary. */
enum promo_state promo_on_capture_timeout(struct promo *promo, struct promo_step_context *context);
/* Somebody has promised the epoch of this promotion, or a later one, to another. */
enum promo_state promo_fail_refused(struct promo *promo, struct promo_step_context *context,
                                    const struct epoch *later);
/* All that the captured members had is here: what is still to do before the first row. */
enum promo_state promo_go_on_caught_up(struct promo *promo, struct promo_step_context *context);
