#include "sites/lease.h"

#define X(name) #name,
static const char *const op_names[] = { LEASE_OP_TABLE(X) };
static const char *const result_names[] = { LEASE_RESULT_TABLE(X) };
static const char *const state_names[] = { LEASE_STATE_TABLE(X) };
static const char *const event_names[] = { LEASE_EVENT_TABLE(X) };
static const char *const effect_names[] = { LEASE_EFFECT_TABLE(X) };
#undef X
#define X(name, text) text,
static const char *const alarm_names[] = { LEASE_ALARM_TABLE(X) };
#undef X

const char *
lease_op_name(enum lease_op op)
{
    return op_names[op];
}

const char *
lease_result_name(enum lease_result result)
{
    return result_names[result];
}

const char *
lease_state_name(enum lease_state state)
{
    return state_names[state];
}

const char *
lease_event_name(enum lease_event_kind kind)
{
    return event_names[kind];
}

const char *
lease_effect_name(enum lease_effect_kind kind)
{
    return effect_names[kind];
}

const char *
lease_alarm_name(enum lease_alarm alarm)
{
    return alarm_names[alarm];
}
