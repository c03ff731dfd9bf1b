/*
 * str.h -- text that is bounded, encodings, and comparison that tells nothing by its time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/own.h"

char *str_dup(const char *text); /* owned by the caller; NULL gives NULL */
char *str_printf(const char *format, ...) PRINTF_LIKE(1, 2); /* owned by the caller */
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
/* Copies with the NUL; false, and "" in 'to', when it does not fit. */
MUST_CHECK bool str_copy(char *to, size_t to_size, const char *from);
/* The whole text is a decimal number without sign in [min, max]. */
MUST_CHECK bool str_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);
/* "90s", "5m", "1h", "30d", "250ms"; a bare number is seconds. */
MUST_CHECK bool str_to_duration_ms(const char *text, uint64_t max_ms, uint64_t *ret_ms);
/* A name of a cluster, site, node, connector: [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])? (RFC 1123). */
bool str_is_name(const char *text);
bool str_is_utf8(const char *text, size_t size);
/* Takes out what is no UTF-8: a text that was cut to fit may hold a piece of a character. */
void str_keep_utf8(char *text);

/* Lower-case hexadecimal; 'to' holds 2 * size + 1 bytes. */
void str_hex(char *to, const uint8_t *bytes, size_t size);
MUST_CHECK bool str_from_hex(const char *text, uint8_t *to, size_t size);
/* base64url without padding (RFC 4648 section 5); the results are the caller's. */
char *str_base64url(const uint8_t *bytes, size_t size);
MUST_CHECK bool str_from_base64url(const char *text, uint8_t **ret_bytes, size_t *ret_size);
