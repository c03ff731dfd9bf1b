/*
 * will.h -- gives the lease of a daemon that died back to the arbiter; see keeper.h, which says
 * when.
 */
#pragma once

#include "controller/base/log.h"
#include "controller/daemon/keeper.h"

/* Waits for the answer, KEEPER_RELEASE_MS at most. 0: it is released; else it runs out by itself.
 */
int will_carry_out(const char *folder, enum log_level level, const struct keeper_will *will,
                   const char *arbiter);
