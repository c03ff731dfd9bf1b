/*
 * log.h -- one call for the log: a stable event name, then key=value pairs.
 *
 *     log_warn("peer.refused", "node=%s reason=\"%s\"", name, err.text);
 *
 * Lines go to standard error as logfmt, or to the journal when standard error is the journal
 * (JOURNAL_STREAM). Never a secret, never a password, token or key.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/own.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Once, before the first line: the name shown as node=; NULL for none. Default level is info. */
void log_init(const char *node, enum log_level level);
void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug"; false, and '*ret' left alone, for any other. */
bool log_level_from_name(const char *name, enum log_level *ret);
void log_line(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
