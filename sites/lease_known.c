#include "sites/lease_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "sites/setting.h"

void
lease_set_reason(struct lease *lease, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(lease->reason, sizeof lease->reason, format, arguments);
    va_end(arguments);
}

uint64_t
lease_guard_ms(uint64_t ttl_ms)
{
    return lease_max_u64(LEASE_GUARD_MS, ttl_ms / 10);
}

uint64_t
lease_end_of(uint64_t sent_ms, uint64_t ttl_ms)
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

bool
lease_is_acting(const struct lease *lease)
{
    return lease->state == LEASE_STATE_HELD || lease->state == LEASE_STATE_FAILSAFE ||
           (lease->state == LEASE_STATE_NONE && lease->epoch.number != 0);
}

bool
lease_may_act(const struct lease *lease, uint64_t now_ms)
{
    return lease_is_acting(lease) &&
           (!lease_has_deadline(lease->state) || now_ms < lease->deadline_ms);
}

bool
lease_is_granted(const struct lease *lease, const struct epoch *epoch, uint64_t now_ms)
{
    if (lease->state == LEASE_STATE_NONE)
        return true;
    return lease_has_deadline(lease->state) && epoch_equal(&lease->epoch, epoch) &&
           now_ms < lease->deadline_ms;
}

bool
lease_needs_later_epoch(const struct lease *lease)
{
    if (lease->epoch.number == 0 ||
        (lease->state == LEASE_STATE_FAILSAFE && lease_counts_members(lease)))
        return false;
    return epoch_equal(&lease->given_up, &lease->epoch) ||
           (lease->known && lease->record.released &&
            epoch_equal(&lease->record.epoch, &lease->epoch));
}

bool
lease_may_change_arbiter(const struct lease *lease, uint64_t now_ms)
{
    return lease->state == LEASE_STATE_NONE || lease_may_act(lease, now_ms);
}

struct lease_config
lease_config_from(const struct setting_source *source, uint64_t arbiter)
{
    struct lease_config config = { .arbiter = arbiter,
                                   .ttl_ms = setting_u64(SETTING_LEASE_TTL_MS, source),
                                   .renew_ms = setting_u64(SETTING_LEASE_RENEW_MS, source) };
    /* what was refused together may still stand in two rows that were written apart */
    config.renew_ms =
        lease_min_u64(config.renew_ms, (config.ttl_ms - lease_guard_ms(config.ttl_ms)) / 2);
    return config;
}

/* ------------------------------------------------------------------ what the arbiter says */

void
lease_note_unclear(struct lease *lease, struct lease_step_context *context, const char *why)
{
    if (lease->unclear_ms == 0)
        lease->unclear_ms = context->event->now_ms;
    (void)snprintf(lease->trouble, sizeof lease->trouble, "%s", why == NULL ? "no answer" : why);
    lease->ask_ms = lease_max_u64(lease->asked_ms + lease->config.renew_ms,
                                  context->event->now_ms + LEASE_AGAIN_MS);
}

static bool
is_over(const struct lease_record *record)
{
    return record->released || record->remaining_ms == 0;
}

static void
note_record(struct lease *lease, struct lease_step_context *context,
            const struct lease_reply *reply)
{
    if (!is_over(&reply->record))
        lease->over_ms = 0;
    else if (lease->over_ms == 0 || !epoch_equal(&lease->record.epoch, &reply->record.epoch))
        lease->over_ms = context->event->now_ms;
    lease->known = true;
    lease->record = reply->record;
    lease->record_ms = reply->sent_ms;
    uint64_t now_ms = context->event->now_ms;
    if (reply->record.lease_ms >= lease->longest_ms ||
        now_ms - lease->longest_seen_ms >= lease->longest_ms)
        lease->longest_ms = reply->record.lease_ms;
    if (reply->record.lease_ms == lease->longest_ms)
        lease->longest_seen_ms = now_ms;
    if (epoch_compare(&reply->record.epoch, &lease->memory.seen) > 0) {
        lease->memory.seen = reply->record.epoch;
        context->memory_changed = true;
    }
    if (epoch_compare(&reply->record.epoch, &lease->epoch) < 0 &&
        epoch_compare(&reply->record.epoch, &lease->prior) > 0)
        lease->prior = reply->record.epoch;
}

uint64_t
lease_look_again_ms(const struct lease *lease, const struct lease_record *record)
{
    if (record->remaining_ms == 0)
        return lease->config.renew_ms;
    return lease_min_u64(lease->config.renew_ms,
                         lease_max_u64(record->remaining_ms, LEASE_AGAIN_MS));
}

bool
lease_take_reply(struct lease *lease, struct lease_step_context *context,
                 enum lease_result *ret_result)
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

bool
lease_could_acquire(const struct lease *lease, const struct lease_record *record)
{
    if (epoch_equal(&lease->given_up, &lease->epoch))
        return false;
    if (epoch_equal(&record->epoch, &lease->epoch))
        return !record->released;
    return is_over(record);
}

bool
lease_is_our_last(const struct lease *lease, const struct lease_record *record)
{
    return lease->stopped && epoch_equal(&record->epoch, &lease->memory.cleared) &&
           !epoch_equal(&record->epoch, &lease->epoch);
}

void
lease_learn_last(struct lease *lease, uint64_t now_ms)
{
    lease->last_known = lease->at_ms != 0 && now_ms - lease->at_ms <= LEASE_READ_MS &&
                        !epoch_equal(&lease->at.epoch, &lease->epoch);
    lease->last = *epoch_max(&lease->before, &lease->at.epoch);
}

uint64_t
lease_others_end_ms(const struct lease *lease)
{
    if (epoch_equal(&lease->memory.cleared, &lease->epoch) &&
        lease->granted_ms <= lease->wanted_ms + lease->ttl_ms / 2)
        return 0; /* we acted under this very epoch, and it was confirmed so lately that nobody who
                     took a later one can have waited for us */
    bool over = lease->clean || /* who released was the last one, or came after him */
                (lease->last_known &&
                 (epoch_equal(&lease->last, &lease->memory.cleared) || /* we ourselves */
                  epoch_equal(&lease->last, &lease->proved)));
    return lease_max_u64(over ? 0 : lease->wait_ms, lease->sworn_ms);
}

bool
lease_take_grant(struct lease *lease, const struct lease_step_context *context)
{
    lease->ttl_ms = lease->asked_ttl_ms;
    lease->again = false;
    if (context->event->reply->known)
        lease->grant = context->event->reply->record.grant;
    uint64_t deadline_ms = lease_end_of(context->event->reply->sent_ms, lease->ttl_ms);
    if (deadline_ms <= context->event->now_ms)
        return false;
    lease->deadline_ms = deadline_ms;
    return true;
}

void
lease_note_read(struct lease *lease, struct lease_step_context *context, enum lease_result result)
{
    uint64_t now_ms = context->event->now_ms;
    char text[EPOCH_TEXT_SIZE];
    lease->at_ms = 0;
    lease->ask_ms = now_ms + lease_look_again_ms(lease, &lease->record);
    if (result == LEASE_RESULT_EXPIRED ||
        result == LEASE_RESULT_GRANTED) /* so late that it is over */
        lease->ask_ms = now_ms + LEASE_AGAIN_MS;
    if (result != LEASE_RESULT_DONE || !context->event->reply->known)
        return;
    lease->at = lease->record;
    lease->at_ms = lease->record_ms;
    if (lease_needs_later_epoch(lease) && lease->state == LEASE_STATE_WANTED)
        lease_set_reason(lease, "epoch %s was released: only a later one can be granted",
                         epoch_text(&lease->epoch, text));
    if (lease_could_acquire(lease, &lease->at) || lease_is_our_last(lease, &lease->at))
        lease->ask_ms = now_ms;
}

/* ------------------------------------------------------------------ what the members say */

uint64_t
lease_members_deadline_ms(const struct lease *lease, uint64_t now_ms)
{
    uint64_t oldest_ms = now_ms;
    for (size_t i = 0; i < lease->member_count; i++)
        oldest_ms = lease_min_u64(oldest_ms, lease->members[i].asked_ms);
    return oldest_ms == 0 ? 0 : lease_end_of(oldest_ms, lease->ttl_ms);
}

bool
lease_counts_members(const struct lease *lease)
{
    return lease->unclear_ms != 0 || (lease->hold && lease->config.ttl_ms != 0);
}
