/*
 * yaml.h -- YAML for people's files, as a notation of JSON and nothing more.
 *
 * Refused, with line and column: anchors, aliases, tags, several documents, a key that is no text,
 * a key twice, depth beyond JSON_DEPTH_MAX, and plain words that YAML readers disagree about (yes,
 * no, on, off, 012, 0x1f, 1_000, 12:30): write true or false, or put quotes.
 */
#pragma once

#include <json-c/json.h>
#include <stdio.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

/* '*ret' is the caller's, NULL for null and for an empty document. ERR_INVALID slug "yaml":
 * "LINE:COLUMN: cause". */
MUST_CHECK enum err_code yaml_read(const char *text, size_t size, struct json_object **ret,
                                   struct err *err);
/* Appends block style that yaml_read() reads back as the same value. */
void yaml_write(struct json_object *value, struct buf *into);
