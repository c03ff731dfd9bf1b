/*
 * invite.h -- a new token, for joining or for an agent: what it tells of us (who the cluster is,
 * where it is reached, how its CA is recognised), and the one answer that shows it. Only for
 * controller/api.
 */
#pragma once

#include "controller/base/err.h"
#include "controller/daemon/token.h"

struct call;
struct writer_result;

struct invite {
    struct token token;
    int64_t expires_ms; /* wall clock; 0: never */
};

/* Empty, and the call's state: it is freed with the call. */
struct invite *invite_new(struct call *call);
/* Fills all of the token but for whom it is: 'site' or 'connector', and 'host'. */
MUST_CHECK enum err_code invite_fill(const struct call *call, struct invite *invite,
                                     struct err *err);
/* For call_write(): it was written, and is shown once. */
void invite_reply(struct call *call, const struct writer_result *result);
