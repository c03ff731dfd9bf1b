/*
 * tuning.h -- settings that a part of batond keeps a copy of: handed over when they change. All
 * other parts ask the cache when they need a value.
 *
 *   log.level                                          the log; the command line's where not set
 *   write.queue_max, write.hold_ms, sync.commit_wait_ms   the writer
 */
#pragma once

#include "controller/base/log.h"

struct core;
struct tuning;

/* Needs the cache and the writer of 'core', which outlive it. Never NULL. */
struct tuning *tuning_open(struct core *core, enum log_level level);
void tuning_close(struct tuning *tuning);
