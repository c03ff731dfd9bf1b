/*
 * file.h -- whole files: read with a bound, write so that a crash leaves the old or the new one.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

/* Appends the file's bytes to 'into'. ERR_LIMIT when it is larger than 'size_max'. */
MUST_CHECK enum err_code file_read(const char *path, size_t size_max, struct buf *into,
                                   struct err *err);
/* Writes beside the file, fsyncs, renames over it, fsyncs the folder. The owner is left alone
 * when 'uid' is (uid_t)-1. On error the old file is untouched and nothing is left behind. */
MUST_CHECK enum err_code file_write_atomic(const char *path, const void *bytes, size_t size,
                                           mode_t mode, uid_t uid, gid_t gid, struct err *err);
bool file_exists(const char *path);
/* Like mkdir -p for the last component only; an existing folder is fine. */
MUST_CHECK enum err_code file_make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid,
                                          struct err *err);
/* Removes a folder with all that is in it; a missing one is fine. Never follows symbolic links. */
MUST_CHECK enum err_code file_remove_tree(const char *path, struct err *err);
