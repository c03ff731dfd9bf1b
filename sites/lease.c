#include "sites/lease_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/setting.h"

/* ------------------------------------------------------------------ small tools */

/* ------------------------------------------------------------------ permission, given and taken */

/* HELD or FAILSAFE until the deadline, NONE without one. */
static void
permit(struct lease *lease, struct lease_step_context *context)
{
    if (!epoch_equal(&lease->memory.cleared, &lease->epoch)) {
        lease->memory.cleared = lease->epoch;
        context->memory_changed = true;
    }
    struct lease_effect *watchdog = lease_emit(context, LEASE_DO_WATCHDOG);
    watchdog->epoch = lease->epoch;
    watchdog->at_ms = lease->deadline_ms;
    lease_emit(context, LEASE_DO_GATE)->at_ms = lease->deadline_ms;
    struct lease_effect *effect = lease_emit(context, LEASE_DO_MAY_ACT);
    effect->may = true;
    effect->epoch = lease->epoch;
    effect->at_ms = lease->deadline_ms;
}

static void
forbid(struct lease *lease, struct lease_step_context *context)
{
    if (!lease_is_acting(lease))
        return;
    lease->stopped = false;
    lease_emit(context, LEASE_DO_MAY_ACT)->epoch = lease->epoch;
}

static enum lease_state
enter_none(struct lease *lease, struct lease_step_context *context)
{
    lease->deadline_ms = 0;
    lease->asking = false;
    if (lease->epoch.number != 0)
        permit(lease, context);
    lease_set_reason(lease, "there is no arbiter: who is promoted may act");
    return LEASE_STATE_NONE;
}

/* Nothing is held and nothing wanted. */
static enum lease_state
rest(struct lease *lease)
{
    lease->epoch = (struct epoch){ 0 };
    lease->deadline_ms = 0;
    lease->asking = false;
    lease->ask_ms = 0;
    lease_set_reason(lease, "nothing to hold here");
    return lease->config.arbiter == 0 && !lease->hold ? LEASE_STATE_NONE : LEASE_STATE_IDLE;
}

static enum lease_state
enter_lost(struct lease *lease, struct lease_step_context *context)
{
    forbid(lease, context);
    lease_emit(context, LEASE_DO_FENCE)->epoch = lease->epoch;
    lease->repeat_ms = context->event->now_ms + lease->config.renew_ms;
    lease->deadline_ms = 0;
    lease->asking = false;
    return LEASE_STATE_LOST;
}

static enum lease_state
enter_held(struct lease *lease, struct lease_step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    permit(lease, context);
    lease_set_reason(lease, "holds the lease of epoch %s", epoch_text(&lease->epoch, text));
    return LEASE_STATE_HELD;
}

static enum lease_state
enter_wanted(struct lease *lease, struct lease_step_context *context)
{
    lease->deadline_ms = 0;
    lease->asking = false;
    lease->ask_ms = context->event->now_ms;
    lease->at_ms = 0;
    return LEASE_STATE_WANTED;
}

/* A new epoch, or the same one once more: nothing that was granted or confirmed before counts. Its
 * rows are safe without a lease: by the promises that it was opened with. */
static enum lease_state
start_wanting(struct lease *lease, struct lease_step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    forbid(lease, context);
    lease->epoch = context->event->epoch;
    lease->before = context->event->before;
    lease->wanted_ms = context->event->now_ms;
    lease->ttl_ms = lease->config.ttl_ms;
    lease->grant = 0;
    lease->wait_ms = 0;
    lease->clean = false;
    lease->last_known = false;
    lease->prior = (struct epoch){ 0 };
    lease->gather_ms = context->event->now_ms;
    for (size_t i = 0; i < lease->member_count; i++)
        lease->members[i].asked_ms = 0;
    (void)lease_emit(context, LEASE_DO_WATCHDOG);
    (void)lease_emit(context, LEASE_DO_GATE);
    lease_set_reason(lease, "asking for the lease of epoch %s", epoch_text(&lease->epoch, text));
    return enter_wanted(lease, context);
}

/* ------------------------------------------------------------------ what both answers lead to */

static enum lease_state
superseded(struct lease *lease, struct lease_step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    lease_set_reason(lease, "the arbiter has granted the later epoch %s",
                     epoch_text(&lease->memory.seen, text));
    return enter_lost(lease, context);
}

/* What outlived a process of ours took this one for dead. */
static enum lease_state
released_for_us(struct lease *lease, struct lease_step_context *context)
{
    lease_set_reason(lease, "the lease was released in our name");
    return enter_lost(lease, context);
}

static enum lease_state
enter_failsafe(struct lease *lease, struct lease_step_context *context, uint64_t deadline_ms)
{
    char text[EPOCH_TEXT_SIZE];
    lease->deadline_ms = deadline_ms;
    permit(lease, context);
    lease_set_reason(lease, "the arbiter is not heard (%s), and all members follow epoch %s",
                     lease->trouble[0] == '\0' ? "it is being changed" : lease->trouble,
                     epoch_text(&lease->epoch, text));
    return LEASE_STATE_FAILSAFE;
}

static enum lease_state
judge_members(struct lease *lease, struct lease_step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    uint64_t deadline_ms = lease_members_deadline_ms(lease, now_ms);
    if (lease->state == LEASE_STATE_WAITING)
        return deadline_ms == 0 ? LEASE_STATE_WAITING : enter_held(lease, context);
    bool later = deadline_ms > now_ms && deadline_ms > lease->deadline_ms;
    if (!later || (lease->state != LEASE_STATE_FAILSAFE && !lease_counts_members(lease)))
        return lease->state;
    return enter_failsafe(lease, context, deadline_ms);
}

/* ------------------------------------------------------------------ actions, one for each row */

static void
forget_arbiter(struct lease *lease, struct lease_step_context *context)
{
    lease->asking = false;
    lease->ask_ms = context->event->now_ms;
    lease->known = false;
    lease->over_ms = 0;
    lease->unclear_ms = 0;
    lease->trouble[0] = '\0';
    lease->empty = false;
    lease->restored = false;
    lease->again = true;
    lease->grant = 0;
    lease->at_ms = 0;
    lease->prior = (struct epoch){ 0 };
    lease->wait_ms = 0;
    lease->clean = false;
    lease->last_known = false;
    if (lease->config.arbiter == 0 || lease->memory.arbiter == lease->config.arbiter)
        return;
    lease->memory.arbiter = lease->config.arbiter;
    lease->memory.seen = (struct epoch){ 0 };
    context->memory_changed = true;
}

/* True: it is another arbiter. A shorter lease counts at once, also for what we hold: a renewal
 * that shortens it at the arbiter may be answered by nobody. */
static bool
configure(struct lease *lease, struct lease_step_context *context)
{
    bool changed = context->event->config->arbiter != lease->config.arbiter;
    ASSERT(context->event->config->ttl_ms > LEASE_GUARD_MS);
    lease->config = *context->event->config;
    lease->hold = false;
    if (!lease->configured) /* nobody knows what was said before the start */
        lease->sworn_ms =
            lease_max_u64(lease->sworn_ms, context->event->now_ms + lease->config.ttl_ms);
    lease->configured = true;
    lease->ttl_ms = lease_min_u64(lease->ttl_ms, lease->config.ttl_ms);
    if (changed)
        forget_arbiter(lease, context);
    uint64_t shorter_ms = lease_end_of(context->event->now_ms, lease->config.ttl_ms);
    if (lease->deadline_ms > shorter_ms) {
        lease->deadline_ms = shorter_ms;
        if (lease_is_acting(lease) && lease->config.arbiter != 0)
            permit(lease, context);
    }
    return changed;
}

static enum lease_state
on_configure_none(struct lease *lease, struct lease_step_context *context)
{
    (void)configure(lease, context);
    if (lease->config.arbiter == 0)
        return LEASE_STATE_NONE;
    if (lease->epoch.number == 0)
        return rest(lease);
    forbid(lease, context);
    lease->wanted_ms = context->event->now_ms; /* it acted until now */
    lease->ttl_ms = lease->config.ttl_ms;
    lease->gather_ms = context->event->now_ms;
    lease_set_reason(lease, "an arbiter was configured: asking it");
    return enter_wanted(lease, context);
}

static enum lease_state
on_configure_idle(struct lease *lease, struct lease_step_context *context)
{
    (void)configure(lease, context);
    return rest(lease);
}

static enum lease_state
on_configure(struct lease *lease, struct lease_step_context *context)
{
    bool changed = configure(lease, context);
    if (lease->config.arbiter == 0)
        return enter_none(lease, context);
    if (lease->state == LEASE_STATE_WANTED || (lease->state == LEASE_STATE_WAITING && changed))
        return enter_wanted(lease, context);
    return lease->state;
}

static enum lease_state
on_configure_lost(struct lease *lease, struct lease_step_context *context)
{
    (void)configure(lease, context);
    return LEASE_STATE_LOST;
}

static enum lease_state
on_configure_releasing(struct lease *lease, struct lease_step_context *context)
{
    /* the lease of another arbiter runs out by itself */
    return configure(lease, context) ? rest(lease) : LEASE_STATE_RELEASING;
}

static enum lease_state
on_want_none(struct lease *lease, struct lease_step_context *context)
{
    lease->epoch = context->event->epoch;
    lease->before = context->event->before;
    return enter_none(lease, context);
}

static enum lease_state
on_want_new(struct lease *lease, struct lease_step_context *context)
{
    return start_wanting(lease, context);
}

static enum lease_state
on_want(struct lease *lease, struct lease_step_context *context)
{
    if (!epoch_equal(&lease->epoch, &context->event->epoch))
        return start_wanting(lease, context);
    lease->wanted_ms = context->event->now_ms;
    return lease->state;
}

static enum lease_state
on_reply_idle(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (lease_take_reply(lease, context, &result) && lease->unclear_ms == 0)
        lease->ask_ms = context->event->now_ms + lease_look_again_ms(lease, &lease->record);
    return lease->state;
}

static enum lease_state
on_granted(struct lease *lease, struct lease_step_context *context)
{
    const struct lease_reply *reply = context->event->reply;
    uint64_t now_ms = context->event->now_ms;
    char text[EPOCH_TEXT_SIZE];
    if (!lease_take_grant(lease, context))
        return enter_wanted(lease, context);
    lease->granted_ms = now_ms;
    if (lease->wait_ms == 0) {
        lease_learn_last(lease, now_ms);
        lease->clean = reply->known && reply->record.clean &&
                       epoch_compare(&lease->prior, &lease->before) >= 0;
        lease->wait_ms = now_ms + lease_max_u64(lease_max_u64(lease->ttl_ms, lease->config.ttl_ms),
                                                lease->longest_ms);
    }
    if (now_ms >= lease_others_end_ms(lease))
        return enter_held(lease, context);
    lease->gather_ms = now_ms;
    lease_set_reason(lease,
                     "has the lease of epoch %s; who acted before has not said that he stopped",
                     epoch_text(&lease->epoch, text));
    return LEASE_STATE_WAITING;
}

static enum lease_state
on_reply_wanted(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (!lease_take_reply(lease, context, &result))
        return LEASE_STATE_WANTED;
    if (lease->unclear_ms != 0)
        return judge_members(lease, context);
    if (result == LEASE_RESULT_STALE || epoch_compare(&lease->memory.seen, &lease->epoch) > 0)
        return superseded(lease, context);
    if (result == LEASE_RESULT_GRANTED)
        return on_granted(lease, context);
    lease_note_read(lease, context, result);
    return LEASE_STATE_WANTED;
}

/* While we hold it: anything but a grant leaves the deadline where it is. */
static enum lease_state
on_reply_holding(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (!lease_take_reply(lease, context, &result))
        return lease->state;
    if (lease->unclear_ms != 0)
        return judge_members(lease, context);
    if (result == LEASE_RESULT_STALE || epoch_compare(&lease->memory.seen, &lease->epoch) > 0)
        return superseded(lease, context);
    if (lease_needs_later_epoch(lease) && lease->state != LEASE_STATE_FAILSAFE)
        return released_for_us(lease, context);
    if (result == LEASE_RESULT_GRANTED && lease_take_grant(lease, context))
        return lease->state == LEASE_STATE_WAITING ? LEASE_STATE_WAITING
                                                   : enter_held(lease, context);
    lease->again = true;
    lease_note_read(lease, context, result);
    return lease->state;
}

static enum lease_state
on_reply_releasing(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (!lease_take_reply(lease, context, &result) || lease->unclear_ms != 0)
        return LEASE_STATE_RELEASING;
    return rest(lease);
}

static enum lease_state
on_confirm(struct lease *lease, struct lease_step_context *context)
{
    const struct lease_event *event = context->event;
    if (!epoch_equal(&event->epoch, &lease->epoch))
        return lease->state; /* an answer about what we were before */
    for (size_t i = 0; i < lease->member_count; i++) {
        struct lease_member *member = &lease->members[i];
        if (strcmp(member->name, event->node) == 0)
            member->asked_ms = event->ok ? lease_max_u64(member->asked_ms, event->asked_ms) : 0;
    }
    return judge_members(lease, context);
}

static enum lease_state
on_proved(struct lease *lease, struct lease_step_context *context)
{
    lease->proved = *epoch_max(&lease->proved, &context->event->epoch);
    if (epoch_equal(&lease->sworn, &context->event->epoch))
        lease->sworn_ms = 0;
    if (lease->state == LEASE_STATE_WANTED) /* he has given it back, as a rule */
        lease->ask_ms = context->event->now_ms;
    if (lease->state == LEASE_STATE_WAITING && context->event->now_ms >= lease_others_end_ms(lease))
        return enter_held(lease, context);
    return lease->state;
}

static enum lease_state
on_nothing(struct lease *lease, struct lease_step_context *context)
{
    (void)context;
    return lease->state;
}

static enum lease_state
on_tick_waiting(struct lease *lease, struct lease_step_context *context)
{
    if (context->event->now_ms >= lease_others_end_ms(lease))
        return enter_held(lease, context);
    return judge_members(lease, context);
}

static enum lease_state
on_tick(struct lease *lease, struct lease_step_context *context)
{
    return judge_members(lease, context);
}

static enum lease_state
on_tick_lost(struct lease *lease, struct lease_step_context *context)
{
    if (context->event->now_ms >= lease->repeat_ms) {
        lease_emit(context, LEASE_DO_FENCE)->epoch = lease->epoch;
        lease->repeat_ms = context->event->now_ms + lease->config.renew_ms;
    }
    return LEASE_STATE_LOST;
}

static enum lease_state
on_tick_releasing(struct lease *lease, struct lease_step_context *context)
{
    return context->event->now_ms >= lease->repeat_ms ? rest(lease) : LEASE_STATE_RELEASING;
}

static enum lease_state
on_expire_waiting(struct lease *lease, struct lease_step_context *context)
{
    lease_set_reason(lease, "the lease ran out before it could be used: asking again");
    lease->wait_ms = 0; /* nobody knows who had it in between */
    return enter_wanted(lease, context);
}

static enum lease_state
on_expire(struct lease *lease, struct lease_step_context *context)
{
    if (lease->state == LEASE_STATE_FAILSAFE)
        lease_set_reason(lease, "the arbiter is not heard, and not all members have said that they "
                                "follow us");
    else
        lease_set_reason(lease, "the lease was not renewed in time: %s",
                         lease->trouble[0] == '\0' ? "this process did not run" : lease->trouble);
    return enter_lost(lease, context);
}

static enum lease_state
on_hold(struct lease *lease, struct lease_step_context *context)
{
    lease->hold = true;
    lease->asking = false;
    lease->gather_ms = context->event->now_ms;
    return lease->state;
}

/* Who takes it next waits until it has run out. */
static enum lease_state
on_hold_releasing(struct lease *lease, struct lease_step_context *context)
{
    (void)on_hold(lease, context);
    return rest(lease);
}

static enum lease_state
on_close_none(struct lease *lease, struct lease_step_context *context)
{
    forbid(lease, context);
    return rest(lease);
}

static enum lease_state
on_close_wanting(struct lease *lease, struct lease_step_context *context)
{
    (void)context;
    return rest(lease); /* not released, if it was granted: who acted before may still act */
}

/* What was granted and is released is free at once. */
static enum lease_state
on_close(struct lease *lease, struct lease_step_context *context)
{
    forbid(lease, context);
    (void)lease_emit(context, LEASE_DO_WATCHDOG);
    lease->deadline_ms = 0;
    lease->asking = false;
    lease->ask_ms = context->event->now_ms;
    lease->repeat_ms = context->event->now_ms + lease->ttl_ms;
    if (lease->hold)
        return rest(lease);
    lease_set_reason(lease, "gave up; the lease is released when nothing acts here any more");
    return LEASE_STATE_RELEASING;
}

/* Not released: we may want the same epoch again, and what is released is not granted again. */
static enum lease_state
on_close_lost(struct lease *lease, struct lease_step_context *context)
{
    (void)lease_emit(context, LEASE_DO_WATCHDOG);
    return rest(lease);
}

static enum lease_state
on_word(struct lease *lease, struct lease_step_context *context)
{
    lease->sworn = context->event->epoch;
    lease->sworn_ms =
        lease_max_u64(lease->sworn_ms, context->event->now_ms + context->event->lease_ms);
    return lease->state;
}

/* Who follows another wants nothing any more, even if nobody has said so. */
static enum lease_state
on_word_wanting(struct lease *lease, struct lease_step_context *context)
{
    (void)on_word(lease, context);
    bool later = epoch_compare(&context->event->epoch, &lease->epoch) > 0;
    return later ? on_close_wanting(lease, context) : lease->state;
}

static enum lease_state
on_word_holding(struct lease *lease, struct lease_step_context *context)
{
    (void)on_word(lease, context);
    bool later = epoch_compare(&context->event->epoch, &lease->epoch) > 0;
    return later ? on_close(lease, context) : lease->state;
}

static enum lease_state
on_stopped(struct lease *lease, struct lease_step_context *context)
{
    (void)context;
    lease->stopped = true;
    return lease->state;
}

/* ------------------------------------------------------------------ the table */

#define TO(name) (1u << LEASE_STATE_##name)

static const struct lease_rule {
    enum lease_state from;
    enum lease_event_kind on;
    enum lease_state (*action)(struct lease *, struct lease_step_context *);
    unsigned to;
} lease_rules[] = {
    { LEASE_STATE_NONE, LEASE_EV_CONFIGURE, on_configure_none, TO(NONE) | TO(IDLE) | TO(WANTED) },
    { LEASE_STATE_NONE, LEASE_EV_WANT, on_want_none, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_REPLY, on_nothing, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_CONFIRM, on_nothing, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_WORD, on_word, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_PROVED, on_proved, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_TICK, on_nothing, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_HOLD, on_nothing, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_CLOSE, on_close_none, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_STOPPED, on_stopped, TO(NONE) },

    { LEASE_STATE_IDLE, LEASE_EV_CONFIGURE, on_configure_idle, TO(IDLE) | TO(NONE) },
    { LEASE_STATE_IDLE, LEASE_EV_WANT, on_want_new, TO(WANTED) },
    { LEASE_STATE_IDLE, LEASE_EV_REPLY, on_reply_idle, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_CONFIRM, on_nothing, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_WORD, on_word, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_PROVED, on_proved, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_TICK, on_nothing, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_HOLD, on_hold, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_CLOSE, on_nothing, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_STOPPED, on_stopped, TO(IDLE) },

    { LEASE_STATE_WANTED, LEASE_EV_CONFIGURE, on_configure, TO(WANTED) | TO(NONE) },
    { LEASE_STATE_WANTED, LEASE_EV_WANT, on_want, TO(WANTED) },
    { LEASE_STATE_WANTED, LEASE_EV_REPLY, on_reply_wanted,
      TO(WANTED) | TO(WAITING) | TO(HELD) | TO(FAILSAFE) | TO(LOST) },
    { LEASE_STATE_WANTED, LEASE_EV_CONFIRM, on_confirm, TO(WANTED) | TO(FAILSAFE) },
    { LEASE_STATE_WANTED, LEASE_EV_WORD, on_word_wanting, TO(WANTED) | TO(IDLE) },
    { LEASE_STATE_WANTED, LEASE_EV_PROVED, on_proved, TO(WANTED) },
    { LEASE_STATE_WANTED, LEASE_EV_TICK, on_tick, TO(WANTED) | TO(FAILSAFE) },
    { LEASE_STATE_WANTED, LEASE_EV_HOLD, on_hold, TO(WANTED) },
    { LEASE_STATE_WANTED, LEASE_EV_CLOSE, on_close_wanting, TO(IDLE) },
    { LEASE_STATE_WANTED, LEASE_EV_STOPPED, on_stopped, TO(WANTED) },

    { LEASE_STATE_WAITING, LEASE_EV_CONFIGURE, on_configure, TO(WAITING) | TO(WANTED) | TO(NONE) },
    { LEASE_STATE_WAITING, LEASE_EV_WANT, on_want, TO(WAITING) | TO(WANTED) },
    { LEASE_STATE_WAITING, LEASE_EV_REPLY, on_reply_holding, TO(WAITING) | TO(HELD) | TO(LOST) },
    { LEASE_STATE_WAITING, LEASE_EV_CONFIRM, on_confirm, TO(WAITING) | TO(HELD) },
    { LEASE_STATE_WAITING, LEASE_EV_WORD, on_word_wanting, TO(WAITING) | TO(IDLE) },
    { LEASE_STATE_WAITING, LEASE_EV_PROVED, on_proved, TO(WAITING) | TO(HELD) },
    { LEASE_STATE_WAITING, LEASE_EV_TICK, on_tick_waiting, TO(WAITING) | TO(HELD) },
    { LEASE_STATE_WAITING, LEASE_EV_EXPIRE, on_expire_waiting, TO(WANTED) },
    { LEASE_STATE_WAITING, LEASE_EV_HOLD, on_hold, TO(WAITING) },
    { LEASE_STATE_WAITING, LEASE_EV_CLOSE, on_close_wanting, TO(IDLE) },
    { LEASE_STATE_WAITING, LEASE_EV_STOPPED, on_stopped, TO(WAITING) },

    { LEASE_STATE_HELD, LEASE_EV_CONFIGURE, on_configure, TO(HELD) | TO(NONE) },
    { LEASE_STATE_HELD, LEASE_EV_WANT, on_want, TO(HELD) | TO(WANTED) },
    { LEASE_STATE_HELD, LEASE_EV_REPLY, on_reply_holding, TO(HELD) | TO(FAILSAFE) | TO(LOST) },
    { LEASE_STATE_HELD, LEASE_EV_CONFIRM, on_confirm, TO(HELD) | TO(FAILSAFE) },
    { LEASE_STATE_HELD, LEASE_EV_WORD, on_word_holding, TO(HELD) | TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_HELD, LEASE_EV_PROVED, on_proved, TO(HELD) },
    { LEASE_STATE_HELD, LEASE_EV_TICK, on_tick, TO(HELD) | TO(FAILSAFE) },
    { LEASE_STATE_HELD, LEASE_EV_EXPIRE, on_expire, TO(LOST) },
    { LEASE_STATE_HELD, LEASE_EV_HOLD, on_hold, TO(HELD) },
    { LEASE_STATE_HELD, LEASE_EV_CLOSE, on_close, TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_HELD, LEASE_EV_STOPPED, on_nothing, TO(HELD) },

    { LEASE_STATE_FAILSAFE, LEASE_EV_CONFIGURE, on_configure, TO(FAILSAFE) | TO(NONE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_WANT, on_want, TO(FAILSAFE) | TO(WANTED) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_REPLY, on_reply_holding, TO(FAILSAFE) | TO(HELD) | TO(LOST) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_CONFIRM, on_confirm, TO(FAILSAFE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_WORD, on_word_holding,
      TO(FAILSAFE) | TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_PROVED, on_proved, TO(FAILSAFE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_TICK, on_tick, TO(FAILSAFE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_EXPIRE, on_expire, TO(LOST) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_HOLD, on_hold, TO(FAILSAFE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_CLOSE, on_close, TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_FAILSAFE, LEASE_EV_STOPPED, on_nothing, TO(FAILSAFE) },

    { LEASE_STATE_LOST, LEASE_EV_CONFIGURE, on_configure_lost, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_WANT, on_want_new, TO(WANTED) },
    { LEASE_STATE_LOST, LEASE_EV_REPLY, on_nothing, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_CONFIRM, on_nothing, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_WORD, on_word, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_PROVED, on_proved, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_TICK, on_tick_lost, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_HOLD, on_hold, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_CLOSE, on_close_lost, TO(IDLE) | TO(NONE) },
    { LEASE_STATE_LOST, LEASE_EV_STOPPED, on_stopped, TO(LOST) },

    { LEASE_STATE_RELEASING, LEASE_EV_CONFIGURE, on_configure_releasing,
      TO(RELEASING) | TO(IDLE) | TO(NONE) },
    { LEASE_STATE_RELEASING, LEASE_EV_WANT, on_want_new, TO(WANTED) },
    { LEASE_STATE_RELEASING, LEASE_EV_REPLY, on_reply_releasing, TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_RELEASING, LEASE_EV_CONFIRM, on_nothing, TO(RELEASING) },
    { LEASE_STATE_RELEASING, LEASE_EV_WORD, on_word, TO(RELEASING) },
    { LEASE_STATE_RELEASING, LEASE_EV_PROVED, on_proved, TO(RELEASING) },
    { LEASE_STATE_RELEASING, LEASE_EV_TICK, on_tick_releasing, TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_RELEASING, LEASE_EV_HOLD, on_hold_releasing, TO(IDLE) },
    { LEASE_STATE_RELEASING, LEASE_EV_CLOSE, on_nothing, TO(RELEASING) },
    { LEASE_STATE_RELEASING, LEASE_EV_STOPPED, on_stopped, TO(RELEASING) },
};

static const struct lease_rule *
find_rule(enum lease_state from, enum lease_event_kind on)
{
    for (size_t i = 0; i < ARRAY_COUNT(lease_rules); i++) {
        if (lease_rules[i].from == from && lease_rules[i].on == on)
            return &lease_rules[i];
    }
    return NULL;
}

static void
run_rule(struct lease *lease, struct lease_step_context *context, enum lease_event_kind kind)
{
    const struct lease_rule *rule = find_rule(lease->state, kind);
    ASSERT(rule != NULL);
    enum lease_state next = rule->action(lease, context);
    ASSERT((rule->to & (1u << next)) != 0);
    ASSERT(lease_has_deadline(next) == (lease->deadline_ms != 0));
    lease->state = next;
}

static bool
is_expired(const struct lease *lease, uint64_t now_ms)
{
    return lease_has_deadline(lease->state) && now_ms >= lease->deadline_ms;
}

void
lease_init(struct lease *lease, const char *self, const struct lease_memory *memory)
{
    *lease = (struct lease){ .state = LEASE_STATE_IDLE, .hold = true, .stopped = true };
    ASSERT(str_copy(lease->self, sizeof lease->self, self));
    if (memory != NULL)
        lease->memory = *memory;
    lease_set_reason(lease, "started; the settings are not yet read");
}

void
lease_set_members(struct lease *lease, const char *const *names, size_t count)
{
    struct lease_member members[LEASE_MEMBERS_MAX] = { 0 };
    ASSERT(count <= LEASE_MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < lease->member_count; j++) {
            if (strcmp(lease->members[j].name, names[i]) == 0)
                members[i] = lease->members[j];
        }
        ASSERT(str_copy(members[i].name, sizeof members[i].name, names[i]));
    }
    memcpy(lease->members, members, sizeof members);
    lease->member_count = count;
}

enum err_code
lease_step(struct lease *lease, const struct lease_event *event, struct lease_effects *ret_effects,
           struct err *err)
{
    ret_effects->count = 0;
    bool expired = is_expired(lease, event->now_ms);
    if (event->kind == LEASE_EV_EXPIRE && !expired)
        return err_set(err, ERR_CONFLICT, "lease_no_rule", "%s has no place in %s",
                       lease_event_name(event->kind), lease_state_name(lease->state));

    struct lease_step_context context = { .event = event, .effects = ret_effects };
    enum lease_state before = lease->state;
    if (expired)
        run_rule(lease, &context, LEASE_EV_EXPIRE);
    if (event->kind != LEASE_EV_EXPIRE)
        run_rule(lease, &context, event->kind);
    ASSERT(!is_expired(lease, event->now_ms)); /* I9: nothing is begun that is over */

    lease_ask(lease, &context, before);
    return ERR_NONE;
}

void
lease_print_table(struct buf *into)
{
    for (unsigned from = 0; from < LEASE_STATE_COUNT; from++) {
        for (unsigned on = 0; on < LEASE_EV_COUNT; on++) {
            const struct lease_rule *rule =
                find_rule((enum lease_state)from, (enum lease_event_kind)on);
            buf_printf(into, "%-9s %-9s ", lease_state_name((enum lease_state)from),
                       lease_event_name((enum lease_event_kind)on));
            if (rule == NULL) {
                buf_add_text(into, "refused\n");
                continue;
            }
            const char *separator = "-> ";
            for (unsigned to = 0; to < LEASE_STATE_COUNT; to++) {
                if ((rule->to & (1u << to)) == 0)
                    continue;
                buf_printf(into, "%s%s", separator, lease_state_name((enum lease_state)to));
                separator = " | ";
            }
            buf_add_text(into, "\n");
        }
    }
}
