/*
 * invite.h -- what every token tells of us: who the cluster is, where it is reached, and how its CA
 * is recognised. Only for controller/api.
 */
#pragma once

#include "controller/base/err.h"
#include "controller/daemon/token.h"

struct call;

/* Fills all of a new token but for whom it is: 'site' or 'connector', and 'host'. It is the
 * caller's (token_done), on error too. */
MUST_CHECK enum err_code invite_fill(const struct call *call, struct token *token, struct err *err);
