#include "sites/promo_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/str.h"

/* ------------------------------------------------------------------ small tools */

static void
record_state(struct promo *promo, enum promo_state state, uint64_t now_ms)
{
    if (promo->step_count > 0 && promo->steps[promo->step_count - 1].ended_ms == 0)
        promo->steps[promo->step_count - 1].ended_ms = now_ms;
    if (state == PROMO_STATE_DONE || state == PROMO_STATE_FAILED || state == PROMO_STATE_IDLE)
        return;
    ASSERT(promo->step_count < PROMO_STEPS_MAX);
    promo->steps[promo->step_count++] =
        (struct promo_step_record){ .state = state, .started_ms = now_ms };
}

/* ------------------------------------------------------------------ entering states */

/* The first finding that stops, or PROMO_CHECK_COUNT. */
static enum promo_check
first_stop(const struct promo *promo)
{
    unsigned check = 0;
    while (check < PROMO_CHECK_COUNT && promo->findings[check].verdict != PROMO_STOP)
        check++;
    return (enum promo_check)check;
}

static enum promo_state
enter_arming(struct promo *promo, struct promo_step_context *context)
{
    /* a slot that was made for this promotion stays: somebody may receive from it already */
    bool remake = (promo->mode == PROMO_SWITCHOVER || promo->mode == PROMO_FAILOVER) &&
                  promo->armed_for.count == 0;
    promo->armed = false;
    promo->armed_for = *quorum_acknowledging(&promo->record);
    promo_emit(context, PROMO_DO_ARM, NULL)->remake = remake;
    promo_arm_alarm(promo, context,
                    promo->mode == PROMO_SWITCHOVER ? promo->limits.prepare_ms
                                                    : promo->limits.step_ms);
    return PROMO_STATE_ARMING;
}

static enum promo_state
enter_opening(struct promo *promo, struct promo_step_context *context)
{
    struct promo_effect *effect = promo_emit(context, PROMO_DO_OPEN, NULL);
    effect->epoch = promo->epoch;
    effect->resume = promo->mode == PROMO_RESUMPTION;
    promo_arm_alarm(promo, context, promo->limits.step_ms);
    return PROMO_STATE_OPENING;
}

static enum promo_state
enter_thawing(struct promo *promo, struct promo_step_context *context)
{
    (void)promo_emit(context, PROMO_DO_THAW, promo->old_primary);
    promo_arm_alarm(promo, context, promo->limits.call_ms);
    return PROMO_STATE_THAWING;
}

enum promo_state
promo_go_on_caught_up(struct promo *promo, struct promo_step_context *context)
{
    if ((!promo_has_quorum(promo) || !quorum_is_voter(&promo->record, promo->self)) &&
        !promo->order.accept_data_loss)
        promo_blame_quorum(promo);
    else if (!promo_is_sure(promo))
        promo_blame_arbiter(promo);
    if (promo->failure.code != ERR_NONE)
        return promo_finish_failed(promo, context);
    promo_lower_if_told(promo);
    if (promo->armed && quorum_equal(&promo->armed_for, quorum_acknowledging(&promo->record)))
        return enter_opening(promo, context);
    if (promo->mode != PROMO_SWITCHOVER)
        (void)promo_emit(context, PROMO_DO_DETACH, NULL);
    return enter_arming(promo, context);
}

static enum promo_state
decide(struct promo *promo, struct promo_step_context *context)
{
    promo->arbiter.asked = false;
    struct epoch newest = promo_newest_epoch(promo);
    const struct promo_member *primary = promo_find_primary(promo);
    promo->epoch = epoch_make(newest.number + 1, promo->self);
    promo->old_epoch = promo_newest_applied_epoch(promo);
    if (promo->order.mode == PROMO_RENEWAL) {
        promo->mode = PROMO_RENEWAL;
        ASSERT(str_copy(promo->old_primary, sizeof promo->old_primary, promo->self));
    } else if (primary != NULL && epoch_compare(&primary->facts.epoch, &promo->old_epoch) >= 0 &&
               (promo->order.overrides & (1u << PROMO_CHECK_FREEZE)) == 0) {
        promo->mode = PROMO_SWITCHOVER;
        ASSERT(str_copy(promo->old_primary, sizeof promo->old_primary, primary->name));
    } else {
        promo->mode = PROMO_FAILOVER;
        ASSERT(str_copy(promo->old_primary, sizeof promo->old_primary, promo->old_epoch.holder));
    }
    promo_find_record(promo);
    promo_run_checks(promo, primary);
    promo_step_note(promo, "%s to epoch %llu", promo_mode_name(promo->mode),
                    (unsigned long long)promo->epoch.number);

    enum promo_check stop = first_stop(promo);
    if (promo->order.dry_run || stop != PROMO_CHECK_COUNT) {
        promo->deadline_ms = 0;
        (void)promo_emit(context, PROMO_DO_FINISHED, NULL);
        if (stop == PROMO_CHECK_COUNT)
            return PROMO_STATE_DONE;
        (void)err_set(&promo->failure, ERR_CONFLICT, "check_failed", "check '%s': %s",
                      promo_check_name(stop), promo->findings[stop].text);
        if (stop == PROMO_CHECK_QUORUM || stop == PROMO_CHECK_SYNC)
            (void)err_mend(&promo->failure,
                           "bring the missing members back, or take the possible loss on with "
                           "--accept-data-loss --reason TEXT; what the old primary wrote alone is "
                           "set aside when it returns");
        else if (promo_check_may_override(stop))
            (void)err_mend(&promo->failure, "mend it, or --override %s --reason TEXT",
                           promo_check_name(stop));
        return PROMO_STATE_FAILED;
    }
    if (promo->mode == PROMO_SWITCHOVER)
        return enter_arming(promo, context);
    return promo_enter_capturing(promo, context);
}

/* ------------------------------------------------------------------ actions, one for each row */

static enum promo_state
on_order(struct promo *promo, struct promo_step_context *context)
{
    promo->number++;
    promo->order = *context->event->order;
    promo->mode = promo->order.mode;
    promo->armed = false;
    promo->armed_for.count = 0;
    promo->concluded = false;
    promo->arbiter.asked = false;
    promo->arbiter.promised = promo->arbiter.changes = false;
    promo->proof = PROMO_PROOF_NONE;
    promo->step_count = 0;
    promo->old_primary[0] = '\0';
    promo->started_at = promo->own.applied;
    memset(promo->findings, 0, sizeof promo->findings);
    err_clear(&promo->failure);
    if (promo->mode == PROMO_RESUMPTION) {
        promo->epoch = promo->old_epoch = promo->own.epoch;
        promo->proof = PROMO_FENCED_PROVED;
        promo_find_record(promo);
        return enter_arming(promo, context);
    }
    promo_member_self(promo)->answered = true;
    promo_member_self(promo)->facts = promo->own;
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].self)
            continue;
        if (promo->order.takeover && strcmp(promo->members[i].name, promo->order.gone) == 0) {
            promo->members[i].lost = true;
            continue;
        }
        promo->members[i].asked = true;
        (void)promo_emit(context, PROMO_DO_ASK, promo->members[i].name);
    }
    if (promo->log.arbiter != 0) {
        promo->arbiter.asked = true;
        (void)promo_emit(context, PROMO_DO_ASK_ARBITER, NULL);
    }
    if (promo_asking_is_over(promo)) {
        record_state(promo, PROMO_STATE_ASKING, context->event->now_ms);
        return decide(promo, context);
    }
    promo_arm_alarm(promo, context, promo->limits.call_ms);
    return PROMO_STATE_ASKING;
}

static enum promo_state
on_answer(struct promo *promo, struct promo_step_context *context)
{
    struct promo_member *member = promo_member_find(promo, context->event->node);
    if (!member->asked)
        return promo->state;
    member->asked = false;
    member->answered = context->event->ok;
    member->lost = !context->event->ok;
    if (context->event->ok)
        member->facts = *context->event->facts;
    return promo_asking_is_over(promo) ? decide(promo, context) : PROMO_STATE_ASKING;
}

static enum promo_state
on_told(struct promo *promo, struct promo_step_context *context)
{
    promo_note_arbiter(promo, context->event);
    return promo_asking_is_over(promo) ? decide(promo, context) : PROMO_STATE_ASKING;
}

static enum promo_state
on_answer_late(struct promo *promo, struct promo_step_context *context)
{
    (void)context;
    return promo->state; /* decided without it */
}

static enum promo_state
on_ask_timeout(struct promo *promo, struct promo_step_context *context)
{
    if (promo->arbiter.asked)
        promo_note_arbiter(promo, &(struct promo_event){ .text = NULL });
    for (size_t i = 0; i < promo->member_count; i++) {
        promo->members[i].lost |= promo->members[i].asked;
        promo->members[i].asked = false;
    }
    return decide(promo, context);
}

static enum promo_state
on_armed(struct promo *promo, struct promo_step_context *context)
{
    if (!context->event->ok) {
        (void)err_set(&promo->failure, ERR_UNAVAILABLE, "arming_failed",
                      "slots or synchronous_standby_names: %s",
                      context->event->text == NULL ? "failed" : context->event->text);
        if (promo_is_beyond_return(promo))
            promo_mend_repeat(promo);
        return promo_finish_failed(promo, context);
    }
    promo->armed = true;
    if (promo->mode != PROMO_SWITCHOVER || promo->concluded)
        return enter_opening(promo, context);
    for (size_t i = 0; i < promo->member_count; i++) {
        struct promo_member *member = &promo->members[i];
        if (member->self || !member->answered)
            continue;
        member->asked = true;
        (void)promo_emit(context, PROMO_DO_PREPARE, member->name);
    }
    promo_arm_alarm(promo, context, promo->limits.prepare_ms);
    return PROMO_STATE_PREPARING;
}

static enum promo_state
on_arm_timeout(struct promo *promo, struct promo_step_context *context)
{
    (void)err_set(&promo->failure, ERR_TIMEOUT, "arming_timeout",
                  "slots and synchronous_standby_names did not stand in time");
    (void)err_mend(&promo->failure,
                   "look for a long transaction in this node's database, then repeat");
    return promo_finish_failed(promo, context);
}

static unsigned
count_prepared(const struct promo *promo, const struct quorum_set *set)
{
    unsigned count = 0;
    for (size_t i = 0; i < promo->member_count; i++)
        count += promo->members[i].prepared && quorum_has(set, promo->members[i].name);
    return count;
}

/* Enough of the others receive from us already, so that our first row is acknowledged without
 * waiting: k of each set that counts. */
static enum promo_state
judge_prepared(struct promo *promo, struct promo_step_context *context)
{
    const struct quorum_set *set = &promo->record.now;
    if (promo->record.joint && count_prepared(promo, &promo->record.old) < promo->record.old.k)
        set = &promo->record.old;
    unsigned prepared = count_prepared(promo, set);
    unsigned possible = promo_acks_possible(promo, set);
    unsigned needed = promo_fewer_may_acknowledge(promo) && possible < set->k ? possible : set->k;
    if (prepared < needed) {
        const char *why = promo->steps[promo->step_count - 1].text; /* the last refusal */
        (void)err_set(&promo->failure, ERR_TIMEOUT, "prepare_failed",
                      "receiving from %s: %u members, needed: %u; nothing was changed%s%s",
                      promo->self, prepared, needed, *why == '\0' ? "" : "; ", why);
        (void)err_mend(&promo->failure, "see 'baton doctor' on the members, then repeat");
        return promo_finish_failed(promo, context);
    }
    promo_step_note(promo, "members that receive from here: %u", prepared);
    promo_emit(context, PROMO_DO_FREEZE, promo->old_primary)->epoch = promo->epoch;
    promo_arm_alarm(promo, context, promo->limits.freeze_ms);
    return PROMO_STATE_FREEZING;
}

static enum promo_state
on_prepared(struct promo *promo, struct promo_step_context *context)
{
    struct promo_member *member = promo_member_find(promo, context->event->node);
    if (!member->asked)
        return promo->state;
    member->asked = false;
    member->prepared = context->event->ok;
    if (!member->prepared && context->event->text != NULL)
        promo_step_note(promo, "%s: %s", member->name, context->event->text);
    return promo_nobody_is_asked(promo) ? judge_prepared(promo, context) : PROMO_STATE_PREPARING;
}

static enum promo_state
on_prepare_timeout(struct promo *promo, struct promo_step_context *context)
{
    for (size_t i = 0; i < promo->member_count; i++)
        promo->members[i].asked = false;
    return judge_prepared(promo, context);
}

static enum promo_state
on_frozen(struct promo *promo, struct promo_step_context *context)
{
    const struct promo_event *event = context->event;
    if (!event->ok) {
        (void)err_set(&promo->failure, ERR_CONFLICT, "freeze_failed",
                      "%s did not stop taking writes: %s", promo->old_primary,
                      event->text == NULL ? "no answer" : event->text);
        (void)err_mend(&promo->failure, "if %s is broken: --override freeze --reason TEXT",
                       promo->old_primary);
        return enter_thawing(promo, context);
    }
    promo->target = event->position;
    promo_step_note(promo, "%s stopped at revision %llu", promo->old_primary,
                    (unsigned long long)event->position.revision);
    if (position_compare(&promo->own.applied, &promo->target) >= 0)
        return promo_enter_capturing(promo, context);
    promo_arm_alarm(promo, context, promo->limits.drain_ms);
    return PROMO_STATE_DRAINING;
}

static enum promo_state
on_freeze_timeout(struct promo *promo, struct promo_step_context *context)
{
    (void)err_set(&promo->failure, ERR_TIMEOUT, "freeze_timeout",
                  "%s did not say in time that it stopped taking writes", promo->old_primary);
    (void)err_mend(&promo->failure, "if %s is broken: --override freeze --reason TEXT",
                   promo->old_primary);
    return enter_thawing(promo, context);
}

static enum promo_state
on_applied(struct promo *promo, struct promo_step_context *context)
{
    if (position_compare(&context->event->position, &promo->own.applied) > 0)
        promo->own.applied = context->event->position;
    if (promo->state == PROMO_STATE_DRAINING &&
        position_compare(&promo->own.applied, &promo->target) >= 0)
        return promo_enter_capturing(promo, context);
    return promo->state;
}

static enum promo_state
on_drain_timeout(struct promo *promo, struct promo_step_context *context)
{
    (void)err_set(&promo->failure, ERR_TIMEOUT, "drain_timeout",
                  "revision %llu of %s did not arrive in time, %llu is here",
                  (unsigned long long)promo->target.revision, promo->old_primary,
                  (unsigned long long)promo->own.applied.revision);
    (void)err_mend(&promo->failure, "see the lag in 'baton status', then repeat");
    return enter_thawing(promo, context);
}

static enum promo_state
on_thawed(struct promo *promo, struct promo_step_context *context)
{
    promo_step_note(promo,
                    context->event->ok ? "%s takes writes again under its old epoch"
                                       : "%s did not answer; it reopens by itself",
                    promo->old_primary);
    return promo_finish_failed(promo, context);
}

static enum promo_state
on_thaw_timeout(struct promo *promo, struct promo_step_context *context)
{
    promo_step_note(promo, "%s did not answer; it reopens by itself", promo->old_primary);
    return promo_finish_failed(promo, context);
}

static enum promo_state
on_step_timeout(struct promo *promo, struct promo_step_context *context)
{
    (void)err_set(&promo->failure, ERR_TIMEOUT, "step_timeout", "%s took longer than %llu ms",
                  promo_state_name(promo->state), (unsigned long long)promo->limits.step_ms);
    promo_mend_repeat(promo);
    return promo_finish_failed(promo, context);
}

/*
 * Tells those who were prepared, or the others, that we are primary; returns how many. Who was
 * prepared receives from us already and will acknowledge the first row; what it has to clear away
 * after the old primary shall not take the time of the writers who wait for that.
 */
static unsigned
emit_follow(const struct promo *promo, struct promo_step_context *context, bool prepared)
{
    unsigned count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].self || promo->members[i].prepared != prepared)
            continue;
        promo_emit(context, PROMO_DO_FOLLOW, promo->members[i].name)->epoch = promo->epoch;
        count++;
    }
    return count;
}

static enum promo_state
on_opened(struct promo *promo, struct promo_step_context *context)
{
    if (!context->event->ok) {
        (void)err_set(&promo->failure, ERR_CONFLICT, "open_refused",
                      "this node's database did not take the epoch: %s",
                      context->event->text == NULL ? "refused" : context->event->text);
        promo_mend_repeat(promo);
        return promo_finish_failed(promo, context);
    }
    promo_emit(context, PROMO_DO_FIRST_ROW, NULL)->epoch = promo->epoch;
    unsigned told = emit_follow(promo, context, false);
    bool all = told + 1 == promo->member_count;
    promo_arm_alarm(promo, context, all ? promo->limits.step_ms : promo->limits.call_ms);
    return PROMO_STATE_ACKNOWLEDGING;
}

/* It was fenced after it had taken the epoch, for a lease that lapsed meanwhile: however often it
 * is asked, it takes no row before it is opened anew. */
static enum promo_state
fail_fenced(struct promo *promo, struct promo_step_context *context)
{
    (void)err_set(&promo->failure, ERR_FENCED, "first_row_refused",
                  "this node's database took the epoch, and then not its first row: %s",
                  context->event->text == NULL ? "fenced" : context->event->text);
    (void)err_mend(&promo->failure,
                   "it begins again by itself once the others confirm its epoch; if it does not, "
                   "repeat 'baton promote %s'",
                   promo->self);
    return promo_finish_failed(promo, context);
}

static enum promo_state
on_acknowledged(struct promo *promo, struct promo_step_context *context)
{
    const struct promo_event *event = context->event;
    if (event->fenced)
        return fail_fenced(promo, context);
    if (!event->ok) {
        /* Unknown is not acknowledged (I4). The alarm tries again, so that a database that
         * refuses at once does not make us spin. */
        promo_step_note(promo, "not acknowledged yet: %s",
                        event->text == NULL ? "unknown outcome" : event->text);
        promo->armed = false;
        return PROMO_STATE_ACKNOWLEDGING;
    }
    (void)promo_emit(context, PROMO_DO_WRITES_OPEN, NULL);
    (void)emit_follow(promo, context, true);
    const struct promo_member *old = promo_member_find(promo, promo->old_primary);
    if (old == NULL || old->self || !(old->captured || old->answered) ||
        promo->mode == PROMO_RESUMPTION) {
        (void)promo_emit(context, PROMO_DO_ACTIVATE, NULL);
        (void)promo_emit(context, PROMO_DO_FINISHED, NULL);
        promo->deadline_ms = 0;
        return PROMO_STATE_DONE;
    }
    (void)promo_emit(context, PROMO_DO_RELEASE, old->name);
    promo_arm_alarm(promo, context, promo->limits.release_ms);
    return PROMO_STATE_RELEASING;
}

static enum promo_state
on_acknowledge_timeout(struct promo *promo, struct promo_step_context *context)
{
    promo_step_note(promo, "acknowledgements that are waited for: %u", promo->record.now.k);
    if (!promo->armed) { /* the last try came back without one */
        promo->armed = true;
        promo_emit(context, PROMO_DO_FIRST_ROW, NULL)->epoch = promo->epoch;
    }
    for (size_t i = 0; i < promo->member_count; i++) {
        if (!promo->members[i].self)
            promo_emit(context, PROMO_DO_FOLLOW, promo->members[i].name)->epoch = promo->epoch;
    }
    promo_arm_alarm(promo, context, promo->limits.step_ms);
    return PROMO_STATE_ACKNOWLEDGING;
}

static enum promo_state
on_released(struct promo *promo, struct promo_step_context *context)
{
    bool ok = context->event->kind == PROMO_EV_RELEASED && context->event->ok;
    promo_step_note(promo,
                    ok ? "%s has released its connector servers"
                       : "%s did not say that it released its connector servers",
                    promo->old_primary);
    (void)promo_emit(context, PROMO_DO_ACTIVATE, NULL);
    (void)promo_emit(context, PROMO_DO_FINISHED, NULL);
    promo->deadline_ms = 0;
    return PROMO_STATE_DONE;
}

/* Whose epoch is the later one goes on: it has asked for promises, and will get them. */
static enum promo_state
on_superseded(struct promo *promo, struct promo_step_context *context)
{
    if (epoch_compare(&context->event->promised, &promo->epoch) <= 0)
        return promo->state;
    return promo_fail_refused(promo, context, &context->event->promised);
}

/* Nobody has promised us anything yet, and the primary that we were to take over from is none any
 * more: what was prepared would wait for it in vain, though our epoch would be the later one. */
static enum promo_state
on_superseded_early(struct promo *promo, struct promo_step_context *context)
{
    if (promo_is_beyond_return(promo) ||
        (promo->state != PROMO_STATE_ASKING &&
         epoch_compare(&context->event->promised, &promo->old_epoch) <= 0))
        return on_superseded(promo, context);
    return promo_fail_refused(promo, context, &context->event->promised);
}

/* Nobody would hear our answers any more, and nothing that we wait for would come. */
static enum promo_state
on_lost(struct promo *promo, struct promo_step_context *context)
{
    (void)err_set(&promo->failure, ERR_UNAVAILABLE, "candidate_lost", "%s cannot go on: %s",
                  promo->self, context->event->text == NULL ? "fenced" : context->event->text);
    if (promo_is_beyond_return(promo))
        promo_mend_repeat(promo);
    if (promo->state == PROMO_STATE_FREEZING || promo->state == PROMO_STATE_DRAINING)
        return enter_thawing(promo, context);
    return promo_finish_failed(promo, context);
}

/* ------------------------------------------------------------------ the table */

#define TO(name)      (1u << PROMO_STATE_##name)
#define AFTER_CAPTURE (TO(CATCHING_UP) | TO(ARMING) | TO(OPENING) | TO(FAILED))
#define AFTER_ASK     (TO(ARMING) | TO(CAPTURING) | TO(DONE) | TO(FAILED))

/* Every pair that may happen. A pair that is not here is refused and changes nothing. */
static const struct promo_rule {
    enum promo_state from;
    enum promo_event_kind on;
    enum promo_state (*action)(struct promo *, struct promo_step_context *);
    unsigned to; /* the only states that 'action' may answer */
} promo_rules[] = {
    { PROMO_STATE_IDLE, PROMO_EV_ORDER, on_order, TO(ASKING) | AFTER_ASK },
    { PROMO_STATE_DONE, PROMO_EV_ORDER, on_order, TO(ASKING) | AFTER_ASK },
    { PROMO_STATE_FAILED, PROMO_EV_ORDER, on_order, TO(ASKING) | AFTER_ASK },

    { PROMO_STATE_ASKING, PROMO_EV_ANSWER, on_answer, TO(ASKING) | AFTER_ASK },
    { PROMO_STATE_ASKING, PROMO_EV_TOLD, on_told, TO(ASKING) | AFTER_ASK },
    { PROMO_STATE_ASKING, PROMO_EV_APPLIED, on_applied, TO(ASKING) },
    { PROMO_STATE_ASKING, PROMO_EV_TIMEOUT, on_ask_timeout, AFTER_ASK },
    { PROMO_STATE_ASKING, PROMO_EV_SUPERSEDED, on_superseded_early, TO(FAILED) },
    { PROMO_STATE_ASKING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_ARMING, PROMO_EV_ARMED, on_armed, TO(PREPARING) | TO(OPENING) | TO(FAILED) },
    { PROMO_STATE_ARMING, PROMO_EV_ANSWER, on_answer_late, TO(ARMING) },
    { PROMO_STATE_ARMING, PROMO_EV_APPLIED, on_applied, TO(ARMING) },
    { PROMO_STATE_ARMING, PROMO_EV_CAPTURED, promo_on_captured_late, TO(ARMING) },
    { PROMO_STATE_ARMING, PROMO_EV_TIMEOUT, on_arm_timeout, TO(FAILED) },
    { PROMO_STATE_ARMING, PROMO_EV_SUPERSEDED, on_superseded_early, TO(ARMING) | TO(FAILED) },
    { PROMO_STATE_ARMING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_PREPARING, PROMO_EV_PREPARED, on_prepared,
      TO(PREPARING) | TO(FREEZING) | TO(FAILED) },
    { PROMO_STATE_PREPARING, PROMO_EV_ANSWER, on_answer_late, TO(PREPARING) },
    { PROMO_STATE_PREPARING, PROMO_EV_APPLIED, on_applied, TO(PREPARING) },
    { PROMO_STATE_PREPARING, PROMO_EV_TIMEOUT, on_prepare_timeout, TO(FREEZING) | TO(FAILED) },
    { PROMO_STATE_PREPARING, PROMO_EV_SUPERSEDED, on_superseded_early, TO(PREPARING) | TO(FAILED) },
    { PROMO_STATE_PREPARING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_FREEZING, PROMO_EV_FROZEN, on_frozen,
      TO(DRAINING) | TO(CAPTURING) | TO(THAWING) },
    { PROMO_STATE_FREEZING, PROMO_EV_PREPARED, on_answer_late, TO(FREEZING) },
    { PROMO_STATE_FREEZING, PROMO_EV_APPLIED, on_applied, TO(FREEZING) },
    { PROMO_STATE_FREEZING, PROMO_EV_TIMEOUT, on_freeze_timeout, TO(THAWING) },
    { PROMO_STATE_FREEZING, PROMO_EV_SUPERSEDED, on_superseded, TO(FREEZING) | TO(FAILED) },
    { PROMO_STATE_FREEZING, PROMO_EV_LOST, on_lost, TO(THAWING) },

    { PROMO_STATE_DRAINING, PROMO_EV_APPLIED, on_applied, TO(DRAINING) | TO(CAPTURING) },
    { PROMO_STATE_DRAINING, PROMO_EV_TIMEOUT, on_drain_timeout, TO(THAWING) },
    { PROMO_STATE_DRAINING, PROMO_EV_SUPERSEDED, on_superseded, TO(DRAINING) | TO(FAILED) },
    { PROMO_STATE_DRAINING, PROMO_EV_LOST, on_lost, TO(THAWING) },

    { PROMO_STATE_CAPTURING, PROMO_EV_CAPTURED, promo_on_captured, TO(CAPTURING) | AFTER_CAPTURE },
    { PROMO_STATE_CAPTURING, PROMO_EV_PROMISED, promo_on_promised, TO(CAPTURING) | AFTER_CAPTURE },
    { PROMO_STATE_CAPTURING, PROMO_EV_APPLIED, on_applied, TO(CAPTURING) },
    { PROMO_STATE_CAPTURING, PROMO_EV_TIMEOUT, promo_on_capture_timeout,
      TO(CAPTURING) | AFTER_CAPTURE },
    { PROMO_STATE_CAPTURING, PROMO_EV_SUPERSEDED, on_superseded, TO(CAPTURING) | TO(FAILED) },
    { PROMO_STATE_CAPTURING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_CATCHING_UP, PROMO_EV_PULLED, promo_on_pulled,
      TO(ARMING) | TO(OPENING) | TO(FAILED) },
    { PROMO_STATE_CATCHING_UP, PROMO_EV_CAPTURED, promo_on_captured_late, TO(CATCHING_UP) },
    { PROMO_STATE_CATCHING_UP, PROMO_EV_APPLIED, on_applied, TO(CATCHING_UP) },
    { PROMO_STATE_CATCHING_UP, PROMO_EV_TIMEOUT, on_step_timeout, TO(FAILED) },
    { PROMO_STATE_CATCHING_UP, PROMO_EV_SUPERSEDED, on_superseded, TO(CATCHING_UP) | TO(FAILED) },
    { PROMO_STATE_CATCHING_UP, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_OPENING, PROMO_EV_OPENED, on_opened, TO(ACKNOWLEDGING) | TO(FAILED) },
    { PROMO_STATE_OPENING, PROMO_EV_CAPTURED, promo_on_captured_late, TO(OPENING) },
    { PROMO_STATE_OPENING, PROMO_EV_APPLIED, on_applied, TO(OPENING) },
    { PROMO_STATE_OPENING, PROMO_EV_TIMEOUT, on_step_timeout, TO(FAILED) },
    { PROMO_STATE_OPENING, PROMO_EV_SUPERSEDED, on_superseded, TO(OPENING) | TO(FAILED) },
    { PROMO_STATE_OPENING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_ACKNOWLEDGED, on_acknowledged,
      TO(ACKNOWLEDGING) | TO(RELEASING) | TO(DONE) | TO(FAILED) },
    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_CAPTURED, promo_on_captured_late, TO(ACKNOWLEDGING) },
    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_APPLIED, on_applied, TO(ACKNOWLEDGING) },
    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_TIMEOUT, on_acknowledge_timeout, TO(ACKNOWLEDGING) },
    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_SUPERSEDED, on_superseded,
      TO(ACKNOWLEDGING) | TO(FAILED) },
    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_RELEASING, PROMO_EV_RELEASED, on_released, TO(DONE) },
    { PROMO_STATE_RELEASING, PROMO_EV_APPLIED, on_applied, TO(RELEASING) },
    { PROMO_STATE_RELEASING, PROMO_EV_TIMEOUT, on_released, TO(DONE) },
    { PROMO_STATE_RELEASING, PROMO_EV_SUPERSEDED, on_superseded, TO(RELEASING) | TO(FAILED) },
    { PROMO_STATE_RELEASING, PROMO_EV_LOST, on_lost, TO(FAILED) },

    { PROMO_STATE_THAWING, PROMO_EV_THAWED, on_thawed, TO(FAILED) },
    { PROMO_STATE_THAWING, PROMO_EV_FROZEN, on_answer_late, TO(THAWING) },
    { PROMO_STATE_THAWING, PROMO_EV_APPLIED, on_applied, TO(THAWING) },
    { PROMO_STATE_THAWING, PROMO_EV_TIMEOUT, on_thaw_timeout, TO(FAILED) },
    { PROMO_STATE_THAWING, PROMO_EV_SUPERSEDED, on_superseded, TO(THAWING) | TO(FAILED) },
    { PROMO_STATE_THAWING, PROMO_EV_LOST, on_answer_late, TO(THAWING) },
};

static const struct promo_rule *
find_rule(enum promo_state from, enum promo_event_kind on)
{
    for (size_t i = 0; i < ARRAY_COUNT(promo_rules); i++) {
        if (promo_rules[i].from == from && promo_rules[i].on == on)
            return &promo_rules[i];
    }
    return NULL;
}

void
promo_init(struct promo *promo, const char *self, const struct promo_limits *limits)
{
    *promo = (struct promo){ .limits = *limits, .state = PROMO_STATE_IDLE };
    ASSERT(str_copy(promo->self, sizeof promo->self, self));
}

enum err_code
promo_set(struct promo *promo, const struct node_facts *own, const char *const *members,
          size_t member_count, const struct quorum_record *record, struct err *err)
{
    bool self_is_member = false;
    if (promo_is_running(promo))
        return err_set(err, ERR_CONFLICT, "promotion_running",
                       "a promotion to epoch %llu is under way here (%s)",
                       (unsigned long long)promo->epoch.number, promo_state_name(promo->state));
    if (member_count > PROMO_MEMBERS_MAX)
        return err_set(err, ERR_LIMIT, "too_many_members", "%zu members, at most %d", member_count,
                       PROMO_MEMBERS_MAX);
    for (size_t i = 0; i < member_count; i++)
        self_is_member |= strcmp(members[i], promo->self) == 0;
    if (!self_is_member)
        return err_set(err, ERR_CONFLICT, "not_a_member", "%s is not a member of this cluster",
                       promo->self);
    memset(promo->members, 0, sizeof promo->members);
    promo->member_count = member_count;
    for (size_t i = 0; i < member_count; i++) {
        ASSERT(str_copy(promo->members[i].name, NODE_NAME_SIZE, members[i]));
        promo->members[i].self = strcmp(members[i], promo->self) == 0;
    }
    promo->own = *own;
    promo->log = promo->record = *record;
    promo->arbiter = (struct promo_arbiter){ 0 };
    return ERR_NONE;
}

void
promo_set_note(struct promo *promo, const struct quorum_note *note)
{
    ASSERT(!promo_is_running(promo));
    promo->arbiter.told = note != NULL;
    if (note != NULL)
        promo->arbiter.note = *note;
}

static enum err_code
refuse(const struct promo *promo, const struct promo_event *event, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "promo_no_rule", "%s has no place in %s",
                   promo_event_name(event->kind), promo_state_name(promo->state));
}

enum err_code
promo_step(struct promo *promo, const struct promo_event *event, struct promo_effects *ret_effects,
           struct err *err)
{
    ret_effects->count = 0;
    if (event->node != NULL && promo_member_find(promo, event->node) == NULL)
        return err_set(err, ERR_INVALID, "not_a_member", "'%s' is not a member", event->node);
    const struct promo_rule *rule = find_rule(promo->state, event->kind);
    if (rule == NULL)
        return refuse(promo, event, err);
    if (event->kind == PROMO_EV_TIMEOUT &&
        (promo->deadline_ms == 0 || event->now_ms < promo->deadline_ms))
        return ERR_NONE; /* an alarm of an earlier state */

    struct promo_step_context context = { .event = event, .effects = ret_effects };
    struct epoch epoch_before = promo->epoch;
    bool fresh = event->kind == PROMO_EV_ORDER;
    enum promo_state next = rule->action(promo, &context);
    ASSERT((rule->to & (1u << next)) != 0);
    ASSERT(fresh || event->kind == PROMO_EV_ANSWER || event->kind == PROMO_EV_TIMEOUT ||
           event->kind == PROMO_EV_TOLD ||
           epoch_equal(&promo->epoch, &epoch_before)); /* I1: chosen once */
    if (next != promo->state || (fresh && promo->step_count == 0))
        record_state(promo, next, event->now_ms);
    promo->state = next;
    return ERR_NONE;
}

void
promo_print_table(struct buf *into)
{
    for (unsigned from = 0; from < PROMO_STATE_COUNT; from++) {
        for (unsigned on = 0; on < PROMO_EV_COUNT; on++) {
            const struct promo_rule *rule =
                find_rule((enum promo_state)from, (enum promo_event_kind)on);
            buf_printf(into, "%-14s %-13s ", promo_state_name((enum promo_state)from),
                       promo_event_name((enum promo_event_kind)on));
            if (rule == NULL) {
                buf_add_text(into, "refused\n");
                continue;
            }
            const char *separator = "-> ";
            for (unsigned to = 0; to < PROMO_STATE_COUNT; to++) {
                if ((rule->to & (1u << to)) == 0)
                    continue;
                buf_printf(into, "%s%s", separator, promo_state_name((enum promo_state)to));
                separator = " | ";
            }
            buf_add_text(into, "\n");
        }
    }
}
