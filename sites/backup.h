/*
 * backup.h -- what a backup of a cluster's configuration holds, and when it may become a cluster
 * again. Pure: no key, no file and no clock is seen here (controller/daemon/archive.h has those).
 *
 *     baton-backup 1 scrypt 17 8 1 SALT        how the password becomes the keys
 *     {"cluster", "head", "config", ...}       the document, as many lines as it likes
 *     hmac-sha256 MAC                          over every byte before this line
 *
 *   B1  No secret and no hash of a password stands in it but sealed by the password, and nothing
 *       that gives a right by itself stands in it at all: no join token, no agent's token, no
 *       private key, no box of a data key. A key of Baton's own that is not named here is left out.
 *   B2  What an unproved file says costs a bounded amount of memory and time: its size, and what
 *       scrypt is asked for, are checked first.
 *   B3  Only a program as new as the one that made a backup, or newer, restores it (S71).
 *   B4  Two clusters never run from one (S71): who restores asks every address that the backup
 *       names, and goes on only when none of them answers as a member. What answers there and is
 *       no member has to be named by a person, and so has an address that could not be asked.
 *   B5  A restored cluster begins under an epoch above every one that the cluster of the backup may
 *       have reached since, so that whoever keeps the highest epoch (gates, arbiters, files)
 *       refuses the old one.
 *
 * Sources: FACTS S70, S71; issue #4 "Instances"; RFC 7914 (scrypt); RFC 2104 (HMAC).
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define BACKUP_FORMAT       1
#define BACKUP_SIZE_MAX     (64UL * 1024 * 1024)
#define BACKUP_SALT_SIZE    16
#define BACKUP_MAC_SIZE     32 /* HMAC-SHA256 */
#define BACKUP_LOG_N        17 /* of a new one: 128 MiB, some 0.4 s */
#define BACKUP_LOG_N_MIN    14
#define BACKUP_LOG_N_MAX    18 /* 256 MiB (B2) */
#define BACKUP_BLOCK        8  /* scrypt's r */
#define BACKUP_PARALLEL_MAX 4  /* scrypt's p: how many times the time */
#define BACKUP_PASSWORD_MIN 12 /* bytes */
#define BACKUP_CONFIG_MAX   200000
#define BACKUP_LOCAL_MAX    10000
#define BACKUP_MEMBERS_MAX  64
#define BACKUP_EPOCH_STEP   1000 /* B5: who promotes more often between backup and restore? */
#define BACKUP_DIGEST_SIZE  65   /* SHA-256 of the file, hexadecimal, with its NUL */

/* ---- the file ---- */

struct backup_frame {
    unsigned log_n; /* scrypt's N is 2^log_n */
    unsigned block;
    unsigned parallel;
    uint8_t salt[BACKUP_SALT_SIZE];
    uint8_t mac[BACKUP_MAC_SIZE];
    size_t proved_size; /* bytes from the first on that 'mac' proves */
    size_t document_at; /* where the document begins, and its bytes */
    size_t document_size;
};

/*
 * ERR_INVALID slug "backup_form": it is no backup, or asks for more than B2 allows; "backup_cut":
 * its last line is missing. ERR_CONFLICT "backup_newer": a later format.
 */
MUST_CHECK enum err_code backup_frame_read(const char *bytes, size_t size,
                                           struct backup_frame *ret_frame, struct err *err);
/* The first line, of the frame's scrypt and salt; and the last, of 'mac'. */
void backup_frame_begin(const struct backup_frame *frame, struct buf *to);
void backup_frame_end(const uint8_t mac[BACKUP_MAC_SIZE], struct buf *to);

/* ---- the document ---- */

struct backup_member {
    const char *name;    /* borrowed from the list's document */
    const char *site;    /* borrowed */
    const char *address; /* borrowed; HOST:PORT */
    unsigned generation;
    bool removed;
    struct json_object *value; /* owned; of node/NAME */
};

struct backup {
    struct json_object *document; /* borrowed; the texts below are its own */
    const char *cluster;
    const char *cluster_id;
    const char *node; /* that it was taken at */
    const char *site; /* of that node */
    const char *baton;
    const char *taken_at;
    const char *taken_by;
    const char *key; /* id of the key that its secrets are sealed by */
    uint64_t schema;
    uint64_t revision; /* of the head */
    uint64_t epoch;    /* the same, without its holder */
    const char *holder;
    const char *hash;
    struct json_object *epochs; /* [{"epoch", "holder", "revision"}] */
    struct json_object
        *config;               /* [{"site", "key", "value", "revision", "epoch", "author", "at"}] */
    struct json_object *local; /* [{"key", "value", "author"}] */
    struct backup_member *members; /* owned */
    size_t member_count;
    size_t live_count; /* of members that were not removed; at most BACKUP_MEMBERS_MAX */
    size_t secret_count;
    size_t user_count;
};

/* ERR_INVALID slug "backup_form" names the member at fault. */
MUST_CHECK enum err_code backup_read(struct json_object *document, struct backup *ret_backup,
                                     struct err *err);
void backup_done(struct backup *backup);
/* NULL: it was no member. */
const struct backup_member *backup_member(const struct backup *backup, const char *name);

enum backup_kind {
    BACKUP_PLAIN,    /* as it is */
    BACKUP_SEALED,   /* sealed by the password: secrets, users */
    BACKUP_LEFT_OUT, /* B1 */
};
enum backup_kind backup_kind_of(const char *key);
/* What a sealed value is bound to (controller/loop/seal.h, L3). The caller's. */
char *backup_bound(const char *cluster_id, const char *key);

/* ---- may it be restored? ---- */

/* B3. ERR_CONFLICT slug "backup_newer" with both versions. */
MUST_CHECK enum err_code backup_check_version(const struct backup *backup, const char *version,
                                              unsigned schema, struct err *err);

enum backup_answer {
    BACKUP_SILENT,  /* nobody answers there, or the host says that nobody listens */
    BACKUP_UNASKED, /* its name cannot be looked up: nobody was asked */
    BACKUP_OTHER,   /* somebody answers, and does not say that he is a member */
    BACKUP_MEMBER,  /* a certificate of this cluster, by whatever CA: one restored is a twin, too */
};
struct backup_asked {
    const char *node;
    const char *address;
    enum backup_answer answer;
};
/*
 * B4. 'excused': addresses of which a person says that no member is there; nobody is excused for a
 * member. ERR_CONFLICT slug "twin_lives", "twin_unclear"; ERR_INVALID "not_a_member":
 * the backup does not know the address that is excused.
 */
MUST_CHECK enum err_code backup_check_twins(const struct backup *backup,
                                            const struct backup_asked *asked, size_t count,
                                            const char *const *excused, size_t excused_count,
                                            struct err *err);

/* B5. */
uint64_t backup_epoch(const struct backup *backup);
/* Local settings are a node's own: they fit only the node that they were taken from. */
bool backup_local_fits(const struct backup *backup, const char *node);
