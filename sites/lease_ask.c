#include "sites/lease_inner.h"

#include "controller/base/check.h"

struct lease_effect *
lease_emit(struct lease_step_context *context, enum lease_effect_kind kind)
{
    ASSERT(context->effects->count < LEASE_EFFECTS_MAX);
    struct lease_effect *effect = &context->effects->list[context->effects->count++];
    *effect = (struct lease_effect){ .kind = kind };
    return effect;
}

/* The question that the state asks now; false: none. */
static bool
choose_op(const struct lease *lease, uint64_t now_ms, enum lease_op *ret_op)
{
    if (lease->config.arbiter == 0 || lease->hold)
        return false;
    *ret_op = LEASE_OP_READ;
    switch (lease->state) {
    case LEASE_STATE_NONE:
    case LEASE_STATE_LOST:
    case LEASE_STATE_COUNT:
        return false;
    case LEASE_STATE_IDLE:
        return true;
    case LEASE_STATE_RELEASING:
        *ret_op = LEASE_OP_RELEASE;
        return lease->stopped;
    case LEASE_STATE_WANTED:
    case LEASE_STATE_FAILSAFE:
        if (lease->at_ms == 0 || now_ms - lease->at_ms > LEASE_READ_MS)
            break;
        if (lease_could_acquire(lease, &lease->at))
            *ret_op = LEASE_OP_ACQUIRE;
        else if (lease_is_our_last(lease, &lease->at))
            *ret_op = LEASE_OP_RELEASE;
        break;
    case LEASE_STATE_WAITING:
    case LEASE_STATE_HELD:
        *ret_op = lease->again ? LEASE_OP_ACQUIRE : LEASE_OP_RENEW;
        break;
    }
    if (lease->empty || lease->restored)
        *ret_op = LEASE_OP_READ; /* until a person has said what holds */
    return true;
}

static void
ask_arbiter(struct lease *lease, struct lease_step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    if (lease->asking && now_ms >= lease->asked_ms + lease->config.renew_ms) {
        lease->asking = false;
        lease_note_unclear(lease, context, "it did not answer in time");
    }
    enum lease_op op;
    if (lease->asking || now_ms < lease->ask_ms || !choose_op(lease, now_ms, &op))
        return;
    lease->asking = true;
    lease->op = op;
    lease->serial++;
    lease->asked_ms = now_ms;
    lease->asked_ttl_ms = lease->config.ttl_ms;
    struct lease_effect *effect = lease_emit(context, LEASE_DO_ASK_ARBITER);
    effect->op = op;
    effect->serial = lease->serial;
    effect->epoch = lease->epoch;
    if (op == LEASE_OP_RELEASE && lease->state == LEASE_STATE_WANTED)
        effect->epoch = lease->at.epoch;
    if (op == LEASE_OP_RELEASE)
        lease->given_up = effect->epoch;
    if (op == LEASE_OP_RENEW || op == LEASE_OP_RELEASE)
        effect->grant = epoch_equal(&effect->epoch, &lease->epoch) ? lease->grant : lease->at.grant;
    effect->lease_ms = lease->asked_ttl_ms;
    effect->at_ms = now_ms + lease->config.renew_ms;
    effect->memory = lease->memory;
}

static bool
asks_members(const struct lease *lease)
{
    if (lease->member_count == 0)
        return false;
    return lease->state == LEASE_STATE_WAITING || lease->state == LEASE_STATE_FAILSAFE ||
           ((lease->state == LEASE_STATE_WANTED || lease->state == LEASE_STATE_HELD) &&
            lease_counts_members(lease));
}

static void
ask_members(struct lease *lease, struct lease_step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    if (!asks_members(lease) || now_ms < lease->gather_ms)
        return;
    lease->gather_ms = now_ms + lease->config.renew_ms;
    struct lease_effect *effect = lease_emit(context, LEASE_DO_ASK_MEMBERS);
    effect->epoch = lease->epoch;
    effect->lease_ms = lease->ttl_ms;
}

static void
wake_at(uint64_t *next_ms, uint64_t at_ms)
{
    if (at_ms != 0 && (*next_ms == 0 || at_ms < *next_ms))
        *next_ms = at_ms;
}

static void
arm_alarm(struct lease *lease, struct lease_step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    uint64_t next_ms = 0;
    enum lease_op op;
    if (lease_has_deadline(lease->state))
        wake_at(&next_ms, lease->deadline_ms);
    if (lease->state == LEASE_STATE_WAITING)
        wake_at(&next_ms, lease_others_end_ms(lease));
    if (lease->state == LEASE_STATE_LOST || lease->state == LEASE_STATE_RELEASING)
        wake_at(&next_ms, lease->repeat_ms);
    if (lease->asking)
        wake_at(&next_ms, lease->asked_ms + lease->config.renew_ms);
    else if (choose_op(lease, now_ms, &op))
        wake_at(&next_ms, lease->ask_ms);
    if (asks_members(lease))
        wake_at(&next_ms, lease->gather_ms);
    if (next_ms != 0 && (next_ms != lease->alarm_ms || context->event->kind == LEASE_EV_TICK))
        lease_emit(context, LEASE_DO_ALARM)->at_ms = next_ms;
    lease->alarm_ms = next_ms;
}

/* A single lost answer is no alarm. */
static enum lease_alarm
find_alarm(const struct lease *lease, uint64_t now_ms)
{
    if (lease->state == LEASE_STATE_LOST)
        return LEASE_ALARM_LOST;
    if (lease->state == LEASE_STATE_NONE)
        return LEASE_ALARM_NONE;
    if (lease->empty)
        return LEASE_ALARM_EMPTY;
    if (lease->restored)
        return LEASE_ALARM_RESTORED;
    bool long_unclear =
        lease->unclear_ms != 0 && now_ms - lease->unclear_ms >= 2 * lease->config.renew_ms;
    return long_unclear ? LEASE_ALARM_UNREACHABLE : LEASE_ALARM_NONE;
}

void
lease_ask(struct lease *lease, struct lease_step_context *context, enum lease_state before)
{
    ask_arbiter(lease, context);
    ask_members(lease, context);
    if (context->memory_changed)
        lease_emit(context, LEASE_DO_NOTE)->memory = lease->memory;
    enum lease_alarm alarm = find_alarm(lease, context->event->now_ms);
    if (alarm != lease->alarm || lease->state != before)
        (void)lease_emit(context, LEASE_DO_REPORT);
    lease->alarm = alarm;
    arm_alarm(lease, context);
}
