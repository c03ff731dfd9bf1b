#include "sites/promo.h"

#include <string.h>

#define X(name) #name,
static const char *const state_names[] = { PROMO_STATE_TABLE(X) };
static const char *const event_names[] = { PROMO_EVENT_TABLE(X) };
static const char *const effect_names[] = { PROMO_EFFECT_TABLE(X) };
#undef X
static const char *const mode_names[] = { "switchover", "failover", "renewal", "resumption" };
static const char *const proof_names[] = { "none", "fenced-proved", "unreachable", "asserted" };
static const char *const verdict_names[] = { "ok", "warn", "stop", "overridden" };
static const struct {
    const char *name;
    bool may_override;
} check_rows[] = {
#define X(symbol, text, may) [PROMO_CHECK_##symbol] = { text, may },
    PROMO_CHECK_TABLE(X)
#undef X
};

const char *
promo_mode_name(enum promo_mode mode)
{
    return mode_names[mode];
}

const char *
promo_proof_name(enum promo_proof proof)
{
    return proof_names[proof];
}

const char *
promo_state_name(enum promo_state state)
{
    return state_names[state];
}

const char *
promo_event_name(enum promo_event_kind kind)
{
    return event_names[kind];
}

const char *
promo_effect_name(enum promo_effect_kind kind)
{
    return effect_names[kind];
}

const char *
promo_verdict_name(enum promo_verdict verdict)
{
    return verdict_names[verdict];
}

const char *
promo_check_name(enum promo_check check)
{
    return check_rows[check].name;
}

bool
promo_check_may_override(enum promo_check check)
{
    return check_rows[check].may_override;
}

bool
promo_check_parse(const char *name, enum promo_check *ret_check)
{
    for (size_t i = 0; i < ARRAY_COUNT(check_rows); i++) {
        if (strcmp(check_rows[i].name, name) == 0) {
            *ret_check = (enum promo_check)i;
            return true;
        }
    }
    return false;
}

bool
promo_is_running(const struct promo *promo)
{
    return promo->state != PROMO_STATE_IDLE && promo->state != PROMO_STATE_DONE &&
           promo->state != PROMO_STATE_FAILED;
}

bool
promo_awaits(const struct promo *promo, uint64_t number, const struct epoch *epoch)
{
    return promo_is_running(promo) && number == promo->number && epoch_equal(epoch, &promo->epoch);
}

bool
promo_is_beyond_return(const struct promo *promo)
{
    switch (promo->state) {
    case PROMO_STATE_CAPTURING:
    case PROMO_STATE_CATCHING_UP:
    case PROMO_STATE_OPENING:
    case PROMO_STATE_ACKNOWLEDGING:
    case PROMO_STATE_RELEASING:
        return true;
    case PROMO_STATE_ARMING:
        return promo->mode != PROMO_SWITCHOVER || promo->concluded;
    case PROMO_STATE_IDLE:
    case PROMO_STATE_ASKING:
    case PROMO_STATE_PREPARING:
    case PROMO_STATE_FREEZING:
    case PROMO_STATE_DRAINING:
    case PROMO_STATE_THAWING:
    case PROMO_STATE_DONE:
    case PROMO_STATE_FAILED:
    case PROMO_STATE_COUNT:
        break;
    }
    return false;
}

struct epoch
promo_known_before(const struct promo *promo)
{
    struct epoch before = promo->old_epoch;
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].captured)
            before = *epoch_max(&before, &promo->members[i].promised_before);
    }
    return before;
}
