/*
 * gate.h -- the highest epoch that a connector server has acted under, and who gets past it.
 *
 *     asked with        by an activation    by anything else
 *     a later epoch     raise, then pass    pass: who only asks raises nothing
 *     the same epoch    pass                pass
 *     an earlier epoch  refuse              refuse
 *
 * Later and earlier as epoch.h has it: by number, then by holder. So of two primaries that two
 * people forced under one number exactly one gets past, the one that stays when they meet.
 *
 * I10  A raise is durable before the activation passes. What was once raised is never lower again:
 *      a state that does not read is an error, never "nothing seen".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controller/base/err.h"
#include "sites/epoch.h"

#define GATE_CLUSTER_SIZE   64
#define GATE_STATE_SIZE_MAX 4096

struct gate_state {
    char cluster[GATE_CLUSTER_SIZE]; /* id of the only cluster that is let past */
    struct epoch highest;            /* number 0: none yet */
};

enum gate_verdict { GATE_PASS, GATE_RAISE, GATE_REFUSE };

enum gate_verdict gate_decide(const struct gate_state *state, const struct epoch *asked,
                              bool activation);
const char *gate_verdict_name(enum gate_verdict verdict);

/* What is kept on disk: JSON, the epoch written in two ways, which have to agree. The caller's. */
char *gate_state_text(const struct gate_state *state);
/* ERR_INVALID "gate_state": it is not what gate_state_text() writes. */
MUST_CHECK enum err_code gate_state_read(const char *text, size_t size,
                                         struct gate_state *ret_state, struct err *err);
