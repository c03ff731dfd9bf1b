/*
 * transfer.h -- the shared configuration as a file that people keep in git, and the way back.
 *
 *     baton_config: 1
 *     revision: 1042                 what it was taken at; for the reader only
 *     cluster: {KEY: VALUE, ...}
 *     sites: {SITE: {KEY: VALUE, ...}}
 *
 * An import is the difference to what holds now, each change bound to the revision that was read,
 * so that nothing is overwritten that somebody changed in between.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define TRANSFER_SIZE_MAX (64UL * 1024 * 1024)

/* 'list': answer of GET /v1/config. Without the secrets, which nobody can read. The result is the
 * caller's. */
struct json_object *transfer_export(struct json_object *list);
/*
 * '*ret_changes' (the caller's): the "changes" of POST /v1/config, maybe empty. 'prefix' "" is all:
 * keys outside of it are left alone. With 'prune' keys that the file lacks are deleted,
 * secrets excepted.
 * ERR_INVALID slug "config_file" names the member at fault.
 */
MUST_CHECK enum err_code transfer_diff(struct json_object *file, struct json_object *list,
                                       const char *prefix, bool prune,
                                       struct json_object **ret_changes, struct err *err);

/* Reads JSON or YAML: 'format' "json", "yaml", or NULL for what the name ends in (else JSON);
 * "-" is standard input. '*ret' is the caller's. Errors begin with the name and LINE:COLUMN. */
MUST_CHECK enum err_code transfer_read(const char *path, const char *format,
                                       struct json_object **ret, struct err *err);
/* "yaml" or "json", by 'format' or the name; both may be NULL. */
const char *transfer_format(const char *path, const char *format);
/* Appends the document in that format, with a last line end. */
void transfer_write(struct json_object *document, const char *format, struct buf *into);
