#include "controller/daemon/archive.h"

#include <openssl/crypto.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/digest.h"
#include "sites/sealing.h"

_Static_assert(BACKUP_MAC_SIZE == DIGEST_SIZE, "the proof is an HMAC-SHA256");

static enum err_code
make_key(const char *password, struct archive *archive, struct err *err)
{
    const struct passkey_work work = { .log_n = archive->frame.log_n,
                                       .block = archive->frame.block,
                                       .parallel = archive->frame.parallel,
                                       .salt = archive->frame.salt,
                                       .salt_size = sizeof archive->frame.salt };
    return passkey_make(password, &work, &archive->key, err);
}

enum err_code
archive_check_password(const char *password, struct err *err)
{
    if (strlen(password) >= BACKUP_PASSWORD_MIN)
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "password_weak", "the password has fewer than %d bytes",
                  BACKUP_PASSWORD_MIN);
    return err_mend(err, "take a longer one: who has the file can try as many as he likes");
}

enum err_code
archive_begin(const char *password, struct archive *archive, struct err *err)
{
    *archive = (struct archive){
        .frame = { .log_n = BACKUP_LOG_N, .block = BACKUP_BLOCK, .parallel = 1 }
    };
    enum err_code code = archive_check_password(password, err);
    cert_random(archive->frame.salt, sizeof archive->frame.salt);
    return code == ERR_NONE ? make_key(password, archive, err) : code;
}

enum err_code
archive_open(const struct archive *archive, struct json_object *row, struct buf *to,
             struct err *err)
{
    const char *key = "";
    const char *text = "";
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(sealing_value_done) struct sealing_value sealed = { 0 };
    (void)!json_get_string(row, "key", &key);
    (void)!json_get_string(row, "value", &text);
    CLEANUP(freep) char *bound = backup_bound(archive->backup.cluster_id, key);
    enum err_code code = json_read(text, strlen(text), &value, err);
    if (code == ERR_NONE && !sealing_read(value, &sealed))
        code = err_set(err, ERR_INVALID, "backup_form", "it is not sealed");
    if (code == ERR_NONE)
        code = seal_open(&archive->key.seal, bound, sealed.bytes, sealed.size, to, err);
    return code == ERR_NONE ? code : err_wrap(err, "backup: %s", key);
}

/* A backup whose secrets do not open is none: better known today. */
static enum err_code
check_sealed(const struct archive *archive, struct err *err)
{
    struct json_object *config = archive->backup.config;
    for (size_t i = 0; i < json_object_array_length(config); i++) {
        const char *key = "";
        CLEANUP(seal_wipe) struct buf plain = { 0 };
        struct json_object *row = json_object_array_get_idx(config, i);
        (void)!json_get_string(row, "key", &key);
        if (backup_kind_of(key) != BACKUP_SEALED)
            continue;
        enum err_code code = archive_open(archive, row, &plain, err);
        if (code != ERR_NONE)
            return code;
    }
    return ERR_NONE;
}

/* 'bytes' is proved. */
static enum err_code
read_document(struct archive *archive, const struct buf *bytes, struct err *err)
{
    uint8_t digest[DIGEST_SIZE];
    enum err_code code = json_read(bytes->data + archive->frame.document_at,
                                   archive->frame.document_size, &archive->document, err);
    if (code == ERR_NONE)
        code = backup_read(archive->document, &archive->backup, err);
    if (code == ERR_NONE && strcmp(archive->backup.key, archive->key.seal.id) != 0)
        code = err_set(err, ERR_INVALID, "backup_form", "backup: it is sealed by another key");
    if (code == ERR_NONE)
        code = check_sealed(archive, err);
    digest_sha256(bytes->data, bytes->size, digest);
    str_hex(archive->digest, digest, sizeof digest);
    return code;
}

/* Which of two is told apart by the id of the key, which an altered file may say wrongly, too: so
 * it only chooses the words. */
static enum err_code
refuse(const struct archive *archive, const struct buf *bytes, struct err *err)
{
    CLEANUP(freep) char *said = str_printf("\"%s\"", archive->key.seal.id);
    if (memmem(bytes->data, bytes->size, said, strlen(said)) != NULL) {
        (void)err_set(err, ERR_INVALID, "backup_altered",
                      "the backup is not as it was written: some of its bytes were changed");
        return err_mend(err, "copy it again from where it is kept, or take another one");
    }
    (void)err_set(err, ERR_DENIED, "backup_password",
                  "the password is not the one of this backup, or its first line was changed");
    return err_mend(err, "give the password that baton backup was given");
}

static enum err_code
prove(const struct archive *archive, const struct buf *bytes, struct err *err)
{
    uint8_t mac[DIGEST_SIZE];
    digest_hmac(archive->key.prove, sizeof archive->key.prove, bytes->data,
                archive->frame.proved_size, mac);
    return digest_equal(mac, archive->frame.mac) ? ERR_NONE : refuse(archive, bytes, err);
}

enum err_code
archive_finish(struct archive *archive, struct json_object *document, struct buf *to,
               struct err *err)
{
    uint8_t mac[DIGEST_SIZE];
    backup_frame_begin(&archive->frame, to);
    buf_add_text(to, json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY |
                                                                  JSON_C_TO_STRING_SPACED |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
    buf_add_text(to, "\n");
    digest_hmac(archive->key.prove, sizeof archive->key.prove, to->data, to->size, mac);
    backup_frame_end(mac, to);
    if (to->size > BACKUP_SIZE_MAX) {
        (void)err_set(err, ERR_LIMIT, "backup_large",
                      "the backup would have %zu bytes, and may have %lu", to->size,
                      BACKUP_SIZE_MAX);
        return err_mend(err, "keep large values elsewhere, and in the cluster where they are");
    }
    enum err_code code = backup_frame_read(to->data, to->size, &archive->frame, err);
    if (code == ERR_NONE)
        code = prove(archive, to, err);
    if (code == ERR_NONE)
        code = read_document(archive, to, err);
    return code == ERR_NONE ? code : err_wrap(err, "what the node answered");
}

enum err_code
archive_read(const char *path, const char *password, struct archive *ret_archive, struct err *err)
{
    CLEANUP(buf_done) struct buf bytes = { 0 };
    CLEANUP(archive_done) struct archive archive = { 0 };
    enum err_code code = file_read(path, BACKUP_SIZE_MAX, &bytes, err);
    if (code != ERR_NONE)
        return code;
    code = backup_frame_read(buf_text(&bytes), bytes.size, &archive.frame, err);
    if (code == ERR_NONE)
        code = make_key(password, &archive, err);
    if (code == ERR_NONE)
        code = prove(&archive, &bytes, err);
    if (code == ERR_NONE)
        code = read_document(&archive, &bytes, err);
    if (code != ERR_NONE)
        return err_wrap(err, "%s", path);
    *ret_archive = archive;
    archive = (struct archive){ 0 };
    return ERR_NONE;
}

void
archive_done(struct archive *archive)
{
    passkey_done(&archive->key);
    backup_done(&archive->backup);
    (void)json_object_put(archive->document);
    archive->document = NULL;
}
