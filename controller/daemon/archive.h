/*
 * archive.h -- the file of a backup: proved and opened by its password, and made from what a node
 * answers to POST /v1/backup. Blocking and slow (passkey.h): for the CLI. What a backup holds and
 * when it may be used is in sites/backup.h.
 *
 *   password -scrypt, salt-> a key that seals -> goes to the node, which seals by it
 *                         -> a key that proves -> stays here
 */
#pragma once

#include <json-c/json.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "controller/loop/passkey.h"
#include "sites/backup.h"

struct archive {
    struct backup_frame frame;
    struct passkey key;           /* secret */
    struct json_object *document; /* owned */
    struct backup backup;         /* owned; its texts are the document's */
    char digest[BACKUP_DIGEST_SIZE];
};

/* ERR_INVALID slug "password_weak": it has fewer than BACKUP_PASSWORD_MIN bytes. */
MUST_CHECK enum err_code archive_check_password(const char *password, struct err *err);
/* Draws a salt and makes the keys of a new backup. */
MUST_CHECK enum err_code archive_begin(const char *password, struct archive *archive,
                                       struct err *err);
/* The file of 'document', which a node has made by the archive's key; to 'to'. It is read back as
 * archive_read() does, all that is sealed in it included. ERR_LIMIT slug "backup_large": it has
 * more than BACKUP_SIZE_MAX bytes. */
MUST_CHECK enum err_code archive_finish(struct archive *archive, struct json_object *document,
                                        struct buf *to, struct err *err);

/*
 * All of a file that can be checked is checked: its form, its last line, the password, the proof
 * over every byte, the document, and that each sealed value opens.
 *
 * ERR_DENIED slug "backup_password": another password has sealed it. ERR_INVALID "backup_altered";
 * "backup_form", "backup_cut", and ERR_CONFLICT "backup_newer" as in backup.h.
 */
MUST_CHECK enum err_code archive_read(const char *path, const char *password,
                                      struct archive *ret_archive, struct err *err);
/* Wipes and frees; a zeroed one is fine. */
void archive_done(struct archive *archive);

/* Appends what the row of a sealed key holds, which the caller wipes (seal_wipe()). */
MUST_CHECK enum err_code archive_open(const struct archive *archive, struct json_object *row,
                                      struct buf *to, struct err *err);
