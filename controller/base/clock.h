/*
 * clock.h -- the only place that time comes from. Pure code takes it as a value.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/own.h"

#define CLOCK_TEXT_SIZE 32

/* Milliseconds that never go back and count suspend (CLOCK_BOOTTIME); for deadlines and ages. */
uint64_t clock_now_ms(void);
/* The same clock in microseconds, for measured durations. */
uint64_t clock_now_us(void);
/* Milliseconds since 1970 UTC, for people only: it may jump, so nothing is decided by it. */
int64_t clock_wall_ms(void);
/* "2026-11-22T05:41:03.123Z" */
const char *clock_wall_text(int64_t wall_ms, char text[CLOCK_TEXT_SIZE]);
/* Reads that; the fraction may be missing. False: it is no such time. */
MUST_CHECK bool clock_wall_parse(const char *text, int64_t *ret_wall_ms);
