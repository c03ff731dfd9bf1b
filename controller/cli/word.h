/*
 * word.h -- how figures and documents read in a line of text: ages, times, positions, JSON values.
 * Everything that a document lacks reads as "?", never as a good value.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/own.h"

#define WORD_SIZE           64
#define WORD_BRIEF_SIZE_MAX 60 /* of a value in a table; --json has it whole */

/* "now", "0.3 s", "52 s", "3 min", "2 h", "5 d" */
const char *word_age(uint64_t age_ms, char text[WORD_SIZE]);
/* "8 ms", "1.25 s", "10 s", "3 min 5 s" */
const char *word_duration(uint64_t duration_ms, char text[WORD_SIZE]);
/* "2026-11-22 05:40:11" of an RFC 3339 text in UTC; what is no time stays as it is. */
const char *word_time(const char *time, char text[WORD_SIZE]);

/* Members of a document as text: "?" when missing, null, or of another type. */
const char *word_string(struct json_object *object, const char *name);
/* The member's text, or 'otherwise'. */
const char *word_or(struct json_object *object, const char *name, const char *otherwise);
uint64_t word_number(struct json_object *object, const char *name, uint64_t otherwise);
const char *word_u64(struct json_object *object, const char *name, char text[WORD_SIZE]);
/* "3/west-1" of {"number","holder"} */
const char *word_epoch(struct json_object *object, const char *name, char text[WORD_SIZE]);
/* A string as itself, else compact JSON, cut with "..." beyond 'size_max' bytes (not in the middle
 * of a character); the caller's. */
char *word_value(struct json_object *value, size_t size_max);
/* A value to be recognised, not read: PEM texts in it become "PEM, 1 certificate", a secret (as the
 * API shows it) "(sealed, key ID)", and the rest is cut as word_value() does; the caller's. */
char *word_brief(struct json_object *value);
/* The items of an array member; 0 when there is none. */
size_t word_count(struct json_object *object, const char *name);
struct json_object *word_item(struct json_object *object, const char *name, size_t index);
