#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "sites/promo_inner.h"

bool
promo_nobody_is_asked(const struct promo *promo)
{
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].asked)
            return false;
    }
    return true;
}

bool
promo_asking_is_over(const struct promo *promo)
{
    return promo_nobody_is_asked(promo) && !promo->arbiter.asked;
}

enum promo_state
promo_enter_capturing(struct promo *promo, struct promo_step_context *context)
{
    promo->patient = false;
    promo->arbiter.promised = false;
    promo->arbiter.asked = promo_needs_arbiter(promo);
    if (promo->arbiter.asked)
        promo_emit(context, PROMO_DO_PROMISE, NULL)->epoch = promo->epoch;
    for (size_t i = 0; i < promo->member_count; i++) {
        struct promo_member *member = &promo->members[i];
        member->asked = true;
        member->captured = false;
        promo_emit(context, PROMO_DO_CAPTURE, member->name)->epoch = promo->epoch;
    }
    promo_arm_alarm(promo, context, promo->limits.call_ms);
    return PROMO_STATE_CAPTURING;
}

enum promo_state
promo_fail_refused(struct promo *promo, struct promo_step_context *context,
                   const struct epoch *later)
{
    char text[EPOCH_TEXT_SIZE];
    const char *who = context->event->node == NULL ? promo->self : context->event->node;
    (void)err_set(&promo->failure, ERR_CONFLICT, "later_epoch",
                  "%s has promised %s %s: another promotion came before this one",
                  context->event->kind == PROMO_EV_PROMISED ? "the arbiter" : who,
                  epoch_compare(later, &promo->epoch) > 0 ? "the later epoch" : "epoch",
                  epoch_text(later, text));
    (void)err_mend(&promo->failure, "look at 'baton status' first; repeat if you still want it");
    return promo_finish_failed(promo, context);
}

/* Enough promises: find who is furthest. */
static enum promo_state
conclude_capture(struct promo *promo, struct promo_step_context *context)
{
    const struct promo_member *best = promo_member_self(promo);
    const struct promo_member *old = promo_member_find(promo, promo->old_primary);
    size_t captured = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (!member->captured)
            continue;
        captured++;
        if (position_compare(&member->captured_at, &best->captured_at) > 0)
            best = member;
    }
    if (old != NULL && old->captured && promo_old_is_last(promo))
        promo->proof = PROMO_FENCED_PROVED;
    else
        promo->proof = promo_has_quorum(promo) ? PROMO_UNREACHABLE : PROMO_ASSERTED;
    promo->arbiter.changes = promo_arbiter_changes(promo);
    promo->arbiter.promised &= !promo->arbiter.changes; /* it is of a row that may be set aside */
    promo->concluded = true;
    promo->target = best->captured_at;
    promo_step_note(promo, "%zu captured, furthest %s at revision %llu, old primary %s", captured,
                    best->name, (unsigned long long)promo->target.revision,
                    promo_proof_name(promo->proof));
    for (size_t i = 0; i < promo->member_count; i++)
        promo->members[i].asked = false;
    promo->arbiter.asked = false;
    promo->own.applied = promo_member_self(promo)->captured_at;
    if (best->self)
        return promo_go_on_caught_up(promo, context);
    promo_emit(context, PROMO_DO_PULL, best->name)->position = promo->target;
    promo_arm_alarm(promo, context, promo->limits.step_ms);
    return PROMO_STATE_CATCHING_UP;
}

/* The quorum, ourselves, and what only the arbiter knows. */
static bool
is_enough(struct promo *promo)
{
    return promo_member_self(promo)->captured &&
           (promo_has_quorum(promo) || promo->order.accept_data_loss) && promo_is_sure(promo);
}

/* Whether to go on now: it is enough, and everybody has promised who answered a moment ago and
 * matters. The last is for the proof, and costs nothing while they live. */
static bool
capture_is_complete(struct promo *promo)
{
    const struct promo_member *old = promo_member_find(promo, promo->old_primary);
    if (!is_enough(promo) || !promo_has_quorum(promo))
        return false;
    return promo->patient || old == NULL || !old->answered || !old->asked;
}

/* What has come is all that will. */
static enum promo_state
judge_captured(struct promo *promo, struct promo_step_context *context)
{
    const char *names[PROMO_MEMBERS_MAX];
    if (is_enough(promo))
        return conclude_capture(promo, context);
    if (promo_member_self(promo)->captured &&
        (promo_has_quorum(promo) || promo->order.accept_data_loss)) {
        promo_blame_arbiter(promo);
        return promo_finish_failed(promo, context);
    }
    (void)err_set(&promo->failure, ERR_CONFLICT, "quorum_lost",
                  "promises given: %zu, needed to hold every acknowledged write: %zu",
                  promo_captured_names(promo, names), quorum_needed(&promo->record.now));
    (void)err_mend(&promo->failure,
                   "bring the missing members back and repeat, or add --accept-data-loss");
    return promo_finish_failed(promo, context);
}

static bool
somebody_is_late(const struct promo *promo)
{
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (member->asked && member->answered)
            return true;
    }
    return false;
}

enum promo_state
promo_on_capture_timeout(struct promo *promo, struct promo_step_context *context)
{
    bool again = !promo->patient && somebody_is_late(promo);
    if (promo->arbiter.asked)
        promo_note_arbiter(promo, &(struct promo_event){ .arbiter = promo->arbiter.row });
    if (!again || is_enough(promo))
        return judge_captured(promo, context);
    promo->patient = true;
    promo_arm_alarm(promo, context, promo->limits.step_ms);
    return PROMO_STATE_CAPTURING;
}

static enum promo_state
go_on_capturing(struct promo *promo, struct promo_step_context *context)
{
    promo_find_record(promo); /* by what the arbiter and the members have promised by now */
    if (capture_is_complete(promo))
        return conclude_capture(promo, context);
    return promo_asking_is_over(promo) ? judge_captured(promo, context) : PROMO_STATE_CAPTURING;
}

enum promo_state
promo_on_captured(struct promo *promo, struct promo_step_context *context)
{
    const struct promo_event *event = context->event;
    struct promo_member *member = promo_member_find(promo, event->node);
    if (!member->asked)
        return promo->state;
    if (!event->ok && epoch_compare(&event->promised, &promo->epoch) >= 0)
        return promo_fail_refused(promo, context, &event->promised);
    member->asked = false;
    member->captured = event->ok;
    member->lost = !event->ok;
    member->captured_at = event->position;
    member->promised_before = event->promised;
    if (event->record != NULL)
        promo->log = *event->record;
    return go_on_capturing(promo, context);
}

enum promo_state
promo_on_promised(struct promo *promo, struct promo_step_context *context)
{
    const struct promo_event *event = context->event;
    if (!event->ok && epoch_compare(&event->promised, &promo->epoch) >= 0)
        return promo_fail_refused(promo, context, &event->promised);
    promo_note_arbiter(promo, event);
    promo->arbiter.promised = event->ok;
    return go_on_capturing(promo, context);
}

enum promo_state
promo_on_captured_late(struct promo *promo, struct promo_step_context *context)
{
    (void)context;
    return promo->state; /* it holds nothing acknowledged that the quorum does not */
}

enum promo_state
promo_on_pulled(struct promo *promo, struct promo_step_context *context)
{
    const struct promo_event *event = context->event;
    if (!event->ok || position_compare(&event->position, &promo->target) < 0) {
        (void)err_set(&promo->failure, ERR_UNAVAILABLE, "pull_failed",
                      "the rows up to revision %llu could not be fetched: %s",
                      (unsigned long long)promo->target.revision,
                      event->text == NULL ? "incomplete" : event->text);
        promo_mend_repeat(promo);
        return promo_finish_failed(promo, context);
    }
    promo->own.applied = event->position;
    promo->armed = false; /* our slots are gone if something was set aside */
    if (event->record != NULL) {
        promo->log = *event->record;
        promo_find_record(promo);
    }
    return promo_go_on_caught_up(promo, context);
}
