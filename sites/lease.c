#include "sites/lease_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/setting.h"

/* ------------------------------------------------------------------ small tools */

static void set_reason(struct lease *lease, const char *format, ...) PRINTF_LIKE(2, 3);

static void
set_reason(struct lease *lease, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(lease->reason, sizeof lease->reason, format, arguments);
    va_end(arguments);
}

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t
lease_guard_ms(uint64_t ttl_ms)
{
    return max_u64(LEASE_GUARD_MS, ttl_ms / 10);
}

/* When a lease that was asked for at 'sent_ms' ends here. */
static uint64_t
end_of(uint64_t sent_ms, uint64_t ttl_ms)
{
    uint64_t guard_ms = lease_guard_ms(ttl_ms);
    return ttl_ms > guard_ms ? sent_ms + ttl_ms - guard_ms : sent_ms;
}

bool
lease_has_deadline(enum lease_state state)
{
    return state == LEASE_STATE_WAITING || state == LEASE_STATE_HELD ||
           state == LEASE_STATE_FAILSAFE;
}

static bool
is_acting(const struct lease *lease)
{
    return lease->state == LEASE_STATE_HELD || lease->state == LEASE_STATE_FAILSAFE ||
           (lease->state == LEASE_STATE_NONE && lease->epoch.number != 0);
}

bool
lease_may_act(const struct lease *lease, uint64_t now_ms)
{
    return is_acting(lease) && (!lease_has_deadline(lease->state) || now_ms < lease->deadline_ms);
}

bool
lease_is_granted(const struct lease *lease, const struct epoch *epoch, uint64_t now_ms)
{
    if (lease->state == LEASE_STATE_NONE)
        return true;
    return lease_has_deadline(lease->state) && epoch_equal(&lease->epoch, epoch) &&
           now_ms < lease->deadline_ms;
}

struct lease_config
lease_config_from(const struct setting_source *source, uint64_t arbiter)
{
    struct lease_config config = { .arbiter = arbiter,
                                   .ttl_ms = setting_u64(SETTING_LEASE_TTL_MS, source),
                                   .renew_ms = setting_u64(SETTING_LEASE_RENEW_MS, source) };
    /* what was refused together may still stand in two rows that were written apart */
    config.renew_ms = min_u64(config.renew_ms, (config.ttl_ms - lease_guard_ms(config.ttl_ms)) / 2);
    return config;
}

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
    if (!is_acting(lease))
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
    set_reason(lease, "there is no arbiter: who is promoted may act");
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
    set_reason(lease, "nothing to hold here");
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
    set_reason(lease, "holds the lease of epoch %s", epoch_text(&lease->epoch, text));
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
    lease->ttl_ms = lease->config.ttl_ms;
    lease->wait_ms = 0;
    lease->last_known = false;
    lease->prior = (struct epoch){ 0 };
    lease->gather_ms = context->event->now_ms;
    for (size_t i = 0; i < lease->member_count; i++)
        lease->members[i].asked_ms = 0;
    (void)lease_emit(context, LEASE_DO_WATCHDOG);
    (void)lease_emit(context, LEASE_DO_GATE);
    set_reason(lease, "asking for the lease of epoch %s", epoch_text(&lease->epoch, text));
    return enter_wanted(lease, context);
}

/* ------------------------------------------------------------------ what the arbiter says */

void
lease_note_unclear(struct lease *lease, struct lease_step_context *context, const char *why)
{
    if (lease->unclear_ms == 0)
        lease->unclear_ms = context->event->now_ms;
    (void)snprintf(lease->trouble, sizeof lease->trouble, "%s", why == NULL ? "no answer" : why);
    lease->ask_ms =
        max_u64(lease->asked_ms + lease->config.renew_ms, context->event->now_ms + LEASE_AGAIN_MS);
}

static void
note_record(struct lease *lease, struct lease_step_context *context,
            const struct lease_reply *reply)
{
    lease->known = true;
    lease->record = reply->record;
    lease->record_ms = reply->sent_ms;
    if (epoch_compare(&reply->record.epoch, &lease->memory.seen) > 0) {
        lease->memory.seen = reply->record.epoch;
        context->memory_changed = true;
    }
    if (epoch_compare(&reply->record.epoch, &lease->epoch) < 0 &&
        epoch_compare(&reply->record.epoch, &lease->prior) > 0)
        lease->prior = reply->record.epoch;
}

/* How soon the record is worth another look. */
static uint64_t
look_again_ms(const struct lease *lease, const struct lease_record *record)
{
    if (record->remaining_ms == 0)
        return lease->config.renew_ms;
    return min_u64(lease->config.renew_ms, max_u64(record->remaining_ms, LEASE_AGAIN_MS));
}

/* Takes the answer to the question that is out, and says what may be concluded from it. False: it
 * is the answer to an earlier one. */
static bool
take_reply(struct lease *lease, struct lease_step_context *context, enum lease_result *ret_result)
{
    const struct lease_reply *reply = context->event->reply;
    if (!lease->asking || reply->serial != lease->serial)
        return false;
    ASSERT(reply->sent_ms <= context->event->now_ms);
    lease->asking = false;
    lease->ask_ms = reply->sent_ms + lease->config.renew_ms;
    *ret_result = reply->result;
    if (reply->known && epoch_compare(&reply->record.epoch, &lease->memory.seen) < 0)
        *ret_result = LEASE_RESULT_RESTORED;
    if (*ret_result != LEASE_RESULT_UNCLEAR) { /* else it is as bad as it was */
        lease->empty = *ret_result == LEASE_RESULT_EMPTY;
        lease->restored = *ret_result == LEASE_RESULT_RESTORED;
    }
    switch (*ret_result) {
    case LEASE_RESULT_EMPTY:
        lease_note_unclear(lease, context, "the arbiter has no record of this cluster");
        return true;
    case LEASE_RESULT_RESTORED:
        lease_note_unclear(lease, context,
                           "the arbiter has forgotten an epoch that it had granted");
        return true;
    case LEASE_RESULT_UNCLEAR:
        lease_note_unclear(lease, context, reply->text);
        return true;
    case LEASE_RESULT_GRANTED:
    case LEASE_RESULT_DONE:
    case LEASE_RESULT_TAKEN:
    case LEASE_RESULT_STALE:
    case LEASE_RESULT_EXPIRED:
    case LEASE_RESULT_COUNT:
        break;
    }
    lease->unclear_ms = 0;
    lease->trouble[0] = '\0';
    if (reply->known)
        note_record(lease, context, reply);
    return true;
}

static bool
is_over(const struct lease_record *record)
{
    return record->released || record->remaining_ms == 0;
}

/* Whether an ACQUIRE could be granted on what was read. */
bool
lease_could_acquire(const struct lease *lease, const struct lease_record *record)
{
    return is_over(record) || epoch_equal(&record->epoch, &lease->epoch) ||
           strcmp(record->epoch.holder, lease->self) == 0;
}

static enum lease_state
superseded(struct lease *lease, struct lease_step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    set_reason(lease, "the arbiter has granted the later epoch %s",
               epoch_text(&lease->memory.seen, text));
    return enter_lost(lease, context);
}

/* Who could act last before us, if what was read is so new that nobody can have come between. */
static void
learn_last(struct lease *lease, uint64_t now_ms)
{
    lease->last_known = lease->at_ms != 0 && now_ms - lease->at_ms <= LEASE_READ_MS &&
                        !epoch_equal(&lease->at.epoch, &lease->epoch);
    lease->last = *epoch_max(&lease->before, &lease->at.epoch);
}

/* I9: nobody who acted before us can act any more, as far as is known now. */
static bool
is_cleared(const struct lease *lease, const struct lease_record *granted)
{
    if (epoch_equal(&lease->memory.cleared, &lease->epoch))
        return true; /* we acted under this very epoch, and no later one was granted since */
    if (granted != NULL && granted->clean && epoch_compare(&lease->prior, &lease->before) >= 0)
        return true; /* who released was the last one, or came after him */
    return lease->last_known &&
           (epoch_equal(&lease->last, &lease->memory.cleared) || /* we ourselves */
            epoch_equal(&lease->last, &lease->proved));
}

/* An ACQUIRE or RENEW was granted. False: it was so long under way that it has run out here. */
static bool
take_grant(struct lease *lease, const struct lease_step_context *context)
{
    lease->ttl_ms = lease->asked_ttl_ms;
    lease->again = false;
    uint64_t deadline_ms = end_of(context->event->reply->sent_ms, lease->ttl_ms);
    if (deadline_ms <= context->event->now_ms)
        return false;
    lease->deadline_ms = deadline_ms;
    return true;
}

/* ------------------------------------------------------------------ what the members say */

/* Until when we may act because all other members follow us; 0: not all have said so. Counted from
 * the oldest question: nobody can have promised anything later before that. */
static uint64_t
members_deadline_ms(const struct lease *lease, uint64_t now_ms)
{
    uint64_t oldest_ms = now_ms;
    for (size_t i = 0; i < lease->member_count; i++)
        oldest_ms = min_u64(oldest_ms, lease->members[i].asked_ms);
    return oldest_ms == 0 ? 0 : end_of(oldest_ms, lease->ttl_ms);
}

bool
lease_counts_members(const struct lease *lease)
{
    return lease->unclear_ms != 0 || (lease->hold && lease->config.ttl_ms != 0);
}

static enum lease_state
enter_failsafe(struct lease *lease, struct lease_step_context *context, uint64_t deadline_ms)
{
    char text[EPOCH_TEXT_SIZE];
    lease->deadline_ms = deadline_ms;
    permit(lease, context);
    set_reason(lease, "the arbiter is not heard (%s), and all members follow epoch %s",
               lease->trouble[0] == '\0' ? "it is being changed" : lease->trouble,
               epoch_text(&lease->epoch, text));
    return LEASE_STATE_FAILSAFE;
}

static enum lease_state
judge_members(struct lease *lease, struct lease_step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    uint64_t deadline_ms = members_deadline_ms(lease, now_ms);
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
    lease->unclear_ms = 0;
    lease->trouble[0] = '\0';
    lease->empty = false;
    lease->restored = false;
    lease->again = true;
    lease->at_ms = 0;
    lease->prior = (struct epoch){ 0 };
    lease->wait_ms = 0;
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
    lease->ttl_ms = min_u64(lease->ttl_ms, lease->config.ttl_ms);
    if (changed)
        forget_arbiter(lease, context);
    uint64_t shorter_ms = end_of(context->event->now_ms, lease->config.ttl_ms);
    if (lease->deadline_ms > shorter_ms) {
        lease->deadline_ms = shorter_ms;
        if (is_acting(lease) && lease->config.arbiter != 0)
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
    lease->ttl_ms = lease->config.ttl_ms;
    lease->gather_ms = context->event->now_ms;
    set_reason(lease, "an arbiter was configured: asking it");
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
    if (epoch_equal(&lease->epoch, &context->event->epoch))
        return lease->state;
    return start_wanting(lease, context);
}

static enum lease_state
on_reply_idle(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (take_reply(lease, context, &result) && lease->unclear_ms == 0)
        lease->ask_ms = context->event->now_ms + look_again_ms(lease, &lease->record);
    return lease->state;
}

static enum lease_state
on_granted(struct lease *lease, struct lease_step_context *context)
{
    const struct lease_reply *reply = context->event->reply;
    uint64_t now_ms = context->event->now_ms;
    char text[EPOCH_TEXT_SIZE];
    if (!take_grant(lease, context))
        return enter_wanted(lease, context);
    if (lease->wait_ms == 0) {
        learn_last(lease, now_ms);
        lease->wait_ms = now_ms + max_u64(max_u64(lease->ttl_ms, lease->config.ttl_ms),
                                          lease->at_ms == 0 ? 0 : lease->at.lease_ms);
    }
    if (is_cleared(lease, reply->known ? &reply->record : NULL) || now_ms >= lease->wait_ms)
        return enter_held(lease, context);
    lease->gather_ms = now_ms;
    set_reason(lease, "has the lease of epoch %s; who acted before has not said that he stopped",
               epoch_text(&lease->epoch, text));
    return LEASE_STATE_WAITING;
}

static enum lease_state
on_reply_wanted(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (!take_reply(lease, context, &result))
        return LEASE_STATE_WANTED;
    if (lease->unclear_ms != 0)
        return judge_members(lease, context);
    if (result == LEASE_RESULT_STALE || epoch_compare(&lease->memory.seen, &lease->epoch) > 0)
        return superseded(lease, context);
    if (result == LEASE_RESULT_GRANTED)
        return on_granted(lease, context);
    lease->at_ms = 0;
    if (result == LEASE_RESULT_DONE && context->event->reply->known) {
        lease->at = lease->record;
        lease->at_ms = lease->record_ms;
        lease->ask_ms = context->event->now_ms;
        if (lease_could_acquire(lease, &lease->at))
            return LEASE_STATE_WANTED;
    }
    lease->ask_ms = context->event->now_ms + look_again_ms(lease, &lease->record);
    return LEASE_STATE_WANTED;
}

/* While we hold it: anything but a grant leaves the deadline where it is. */
static enum lease_state
on_reply_holding(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (!take_reply(lease, context, &result))
        return lease->state;
    if (lease->unclear_ms != 0)
        return judge_members(lease, context);
    if (result == LEASE_RESULT_STALE || epoch_compare(&lease->memory.seen, &lease->epoch) > 0)
        return superseded(lease, context);
    if (result == LEASE_RESULT_GRANTED && take_grant(lease, context))
        return lease->state == LEASE_STATE_WAITING ? LEASE_STATE_WAITING
                                                   : enter_held(lease, context);
    lease->again = true;
    lease->ask_ms =
        context->event->now_ms +
        (result == LEASE_RESULT_TAKEN ? look_again_ms(lease, &lease->record) : LEASE_AGAIN_MS);
    return lease->state;
}

static enum lease_state
on_reply_releasing(struct lease *lease, struct lease_step_context *context)
{
    enum lease_result result;
    if (!take_reply(lease, context, &result) || lease->unclear_ms != 0)
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
            member->asked_ms = event->ok ? max_u64(member->asked_ms, event->asked_ms) : 0;
    }
    return judge_members(lease, context);
}

static enum lease_state
on_proved(struct lease *lease, struct lease_step_context *context)
{
    lease->proved = *epoch_max(&lease->proved, &context->event->epoch);
    if (lease->state == LEASE_STATE_WAITING && is_cleared(lease, NULL))
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
    if (context->event->now_ms >= lease->wait_ms)
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
    set_reason(lease, "the lease ran out before it could be used: asking again");
    return enter_wanted(lease, context);
}

static enum lease_state
on_expire(struct lease *lease, struct lease_step_context *context)
{
    if (lease->state == LEASE_STATE_FAILSAFE)
        set_reason(lease, "the arbiter is not heard, and not all members have said that they "
                          "follow us");
    else
        set_reason(lease, "the lease was not renewed in time: %s",
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
start_releasing(struct lease *lease, struct lease_step_context *context)
{
    (void)lease_emit(context, LEASE_DO_WATCHDOG);
    lease->deadline_ms = 0;
    lease->asking = false;
    lease->ask_ms = context->event->now_ms;
    lease->repeat_ms = context->event->now_ms + lease->ttl_ms;
    if (lease->config.arbiter == 0 || lease->hold ||
        !epoch_equal(&lease->memory.cleared, &lease->epoch))
        return rest(lease);
    set_reason(lease, "gave up; the lease is released when nothing acts here any more");
    return LEASE_STATE_RELEASING;
}

static enum lease_state
on_close(struct lease *lease, struct lease_step_context *context)
{
    forbid(lease, context);
    return start_releasing(lease, context);
}

static enum lease_state
on_close_lost(struct lease *lease, struct lease_step_context *context)
{
    return start_releasing(lease, context);
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
    { LEASE_STATE_NONE, LEASE_EV_PROVED, on_proved, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_TICK, on_nothing, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_HOLD, on_nothing, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_CLOSE, on_close_none, TO(NONE) },
    { LEASE_STATE_NONE, LEASE_EV_STOPPED, on_stopped, TO(NONE) },

    { LEASE_STATE_IDLE, LEASE_EV_CONFIGURE, on_configure_idle, TO(IDLE) | TO(NONE) },
    { LEASE_STATE_IDLE, LEASE_EV_WANT, on_want_new, TO(WANTED) },
    { LEASE_STATE_IDLE, LEASE_EV_REPLY, on_reply_idle, TO(IDLE) },
    { LEASE_STATE_IDLE, LEASE_EV_CONFIRM, on_nothing, TO(IDLE) },
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
    { LEASE_STATE_WANTED, LEASE_EV_PROVED, on_proved, TO(WANTED) },
    { LEASE_STATE_WANTED, LEASE_EV_TICK, on_tick, TO(WANTED) | TO(FAILSAFE) },
    { LEASE_STATE_WANTED, LEASE_EV_HOLD, on_hold, TO(WANTED) },
    { LEASE_STATE_WANTED, LEASE_EV_CLOSE, on_close_wanting, TO(IDLE) },
    { LEASE_STATE_WANTED, LEASE_EV_STOPPED, on_stopped, TO(WANTED) },

    { LEASE_STATE_WAITING, LEASE_EV_CONFIGURE, on_configure, TO(WAITING) | TO(WANTED) | TO(NONE) },
    { LEASE_STATE_WAITING, LEASE_EV_WANT, on_want, TO(WAITING) | TO(WANTED) },
    { LEASE_STATE_WAITING, LEASE_EV_REPLY, on_reply_holding, TO(WAITING) | TO(HELD) | TO(LOST) },
    { LEASE_STATE_WAITING, LEASE_EV_CONFIRM, on_confirm, TO(WAITING) | TO(HELD) },
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
    { LEASE_STATE_LOST, LEASE_EV_PROVED, on_proved, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_TICK, on_tick_lost, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_HOLD, on_hold, TO(LOST) },
    { LEASE_STATE_LOST, LEASE_EV_CLOSE, on_close_lost, TO(RELEASING) | TO(IDLE) | TO(NONE) },
    { LEASE_STATE_LOST, LEASE_EV_STOPPED, on_stopped, TO(LOST) },

    { LEASE_STATE_RELEASING, LEASE_EV_CONFIGURE, on_configure_releasing,
      TO(RELEASING) | TO(IDLE) | TO(NONE) },
    { LEASE_STATE_RELEASING, LEASE_EV_WANT, on_want_new, TO(WANTED) },
    { LEASE_STATE_RELEASING, LEASE_EV_REPLY, on_reply_releasing, TO(RELEASING) | TO(IDLE) },
    { LEASE_STATE_RELEASING, LEASE_EV_CONFIRM, on_nothing, TO(RELEASING) },
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
    set_reason(lease, "started; the settings are not yet read");
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
