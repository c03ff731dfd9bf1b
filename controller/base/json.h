/*
 * json.h -- strict reading of JSON from outside, on json-c, and getters that check the type.
 *
 * json-c's own parser takes trailing bytes, single quotes, NaN and numbers out of range; here
 * text must be RFC 8259: UTF-8, depth at most JSON_DEPTH_MAX, nothing after the value, no
 * duplicate member, no integer beyond int64. Getters return false when the member is missing or
 * of another type, and leave '*ret' alone; strings are borrowed from the object.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"

#define JSON_DEPTH_MAX 32

/* Any JSON value, a bare "text" or number too. '*ret' is the caller's (json_object_put).
 * JSON null is a valid value and comes back as a NULL pointer.
 * ERR_INVALID with slug "json": what is wrong and at which byte. */
MUST_CHECK enum err_code json_read(const char *text, size_t size, struct json_object **ret,
                                   struct err *err);
void json_putp(struct json_object **holder); /* for CLEANUP */

MUST_CHECK bool json_get_string(struct json_object *object, const char *name, const char **ret);
MUST_CHECK bool json_get_u64(struct json_object *object, const char *name, uint64_t *ret);
MUST_CHECK bool json_get_i64(struct json_object *object, const char *name, int64_t *ret);
MUST_CHECK bool json_get_bool(struct json_object *object, const char *name, bool *ret);
/* Borrowed; NULL when the member is missing. */
struct json_object *json_get(struct json_object *object, const char *name);

/* Adders for building answers; a NULL text becomes null. What is no UTF-8 (a word that somebody
 * typed, a text that was cut to fit) is left out, for JSON knows nothing else. */
void json_add_string(struct json_object *object, const char *name, const char *text);
void json_add_u64(struct json_object *object, const char *name, uint64_t number);
void json_add_i64(struct json_object *object, const char *name, int64_t number);
void json_add_bool(struct json_object *object, const char *name, bool flag);
/* Takes the reference of 'value'. */
void json_add(struct json_object *object, const char *name, struct json_object *value);
/* Compact text without escaped slashes; borrowed from the object. */
const char *json_text(struct json_object *object);
