#include "controller/loop/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"

#define BOX_SIZE           (SEAL_KEY_SIZE + crypto_box_SEALBYTES)
#define IDENTITY_FILE_SIZE 128

_Static_assert(SEAL_KEY_SIZE == crypto_box_SECRETKEYBYTES, "one size for all keys");
_Static_assert(SEAL_KEY_SIZE == crypto_box_PUBLICKEYBYTES, "one size for all keys");

static void
name_key(const uint8_t bytes[SEAL_KEY_SIZE], char id[SEAL_ID_SIZE])
{
    static const char purpose[] = "baton data key";
    uint8_t text[sizeof purpose + SEAL_KEY_SIZE];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    memcpy(text, purpose, sizeof purpose);
    memcpy(text + sizeof purpose, bytes, SEAL_KEY_SIZE);
    (void)SHA256(text, sizeof text, digest);
    OPENSSL_cleanse(text, sizeof text);
    str_hex(id, digest, SEAL_ID_SIZE / 2);
}

void
seal_key_draw(struct seal_key *key)
{
    cert_random(key->bytes, sizeof key->bytes);
    name_key(key->bytes, key->id);
}

void
seal_key_take(const uint8_t bytes[SEAL_KEY_SIZE], struct seal_key *ret_key)
{
    memcpy(ret_key->bytes, bytes, SEAL_KEY_SIZE);
    name_key(ret_key->bytes, ret_key->id);
}

void
seal_key_done(struct seal_key *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

void
seal_wipe(struct buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->capacity);
    buf_done(buf);
}

void
seal_wipe_text(const char *text)
{
    if (text != NULL)
        OPENSSL_cleanse((char *)(uintptr_t)text, strlen(text));
}

/* ---- values ---- */

static void
context_freep(EVP_CIPHER_CTX **holder)
{
    EVP_CIPHER_CTX_free(*holder); /* wipes its key schedule */
}

/* Lengths are bounded by those who call: SEALING_VALUE_SIZE_MAX, and the size of a key in the
 * config. */
void
seal_close(const struct seal_key *key, const char *bound, const void *value, size_t size,
           struct buf *to)
{
    CLEANUP(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t nonce[SEAL_NONCE_SIZE];
    int count = 0;
    ASSERT(context != NULL && size <= INT32_MAX);
    cert_random(nonce, sizeof nonce); /* L2 */
    buf_add(to, nonce, sizeof nonce);
    uint8_t *place = (uint8_t *)buf_reserve(to, size + SEAL_TAG_SIZE);
    ASSERT(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1);
    ASSERT(EVP_EncryptUpdate(context, NULL, &count, (const uint8_t *)bound, (int)strlen(bound)) ==
           1);
    ASSERT(EVP_EncryptUpdate(context, place, &count, value, (int)size) == 1);
    ASSERT((size_t)count == size);
    ASSERT(EVP_EncryptFinal_ex(context, place + size, &count) == 1 && count == 0);
    ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, place + size) == 1);
    buf_grew(to, size + SEAL_TAG_SIZE);
}

static enum err_code
broken(struct err *err)
{
    return err_set(err, ERR_INVALID, "seal_broken",
                   "the sealed value was altered, or is of another name, cluster or key");
}

enum err_code
seal_open(const struct seal_key *key, const char *bound, const uint8_t *bytes, size_t size,
          struct buf *to, struct err *err)
{
    CLEANUP(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t tag[SEAL_TAG_SIZE];
    int count = 0;
    ASSERT(context != NULL);
    if (size < SEAL_NONCE_SIZE + SEAL_TAG_SIZE || size > INT32_MAX)
        return broken(err);
    size_t length = size - SEAL_NONCE_SIZE - SEAL_TAG_SIZE;
    memcpy(tag, bytes + size - SEAL_TAG_SIZE, SEAL_TAG_SIZE);
    uint8_t *place = (uint8_t *)buf_reserve(to, length + 1);
    ASSERT(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, bytes) == 1);
    ASSERT(EVP_DecryptUpdate(context, NULL, &count, (const uint8_t *)bound, (int)strlen(bound)) ==
           1);
    ASSERT(EVP_DecryptUpdate(context, place, &count, bytes + SEAL_NONCE_SIZE, (int)length) == 1);
    ASSERT(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, tag) == 1);
    if (EVP_DecryptFinal_ex(context, place + length, &count) != 1) {
        OPENSSL_cleanse(place, length); /* nobody may use what was not proved */
        return broken(err);
    }
    buf_grew(to, length);
    return ERR_NONE;
}

/* ---- the node's own key ---- */

static bool
read_public(const char *text, uint8_t key[SEAL_KEY_SIZE])
{
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size;
    if (!str_from_base64url(text, &bytes, &size) || size != SEAL_KEY_SIZE)
        return false;
    memcpy(key, bytes, SEAL_KEY_SIZE);
    return true;
}

static void
derive_public(struct seal_identity *identity)
{
    uint8_t public_key[SEAL_KEY_SIZE];
    ASSERT(crypto_scalarmult_base(public_key, identity->secret) == 0);
    CLEANUP(freep) char *text = str_base64url(public_key, sizeof public_key);
    ASSERT(str_copy(identity->public_key, sizeof identity->public_key, text));
}

static enum err_code
read_identity(const char *path, struct seal_identity *identity, struct err *err)
{
    CLEANUP(seal_wipe) struct buf text = { 0 };
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum err_code code = file_read(path, IDENTITY_FILE_SIZE, &text, err);
    if (code != ERR_NONE && code != ERR_LIMIT)
        return code;
    if (code == ERR_NONE && text.size > 0 && text.data[text.size - 1] == '\n')
        text.data[text.size - 1] = '\0';
    bool ok = code == ERR_NONE && str_from_base64url(buf_text(&text), &bytes, &size) &&
              size == SEAL_KEY_SIZE;
    if (ok) {
        memcpy(identity->secret, bytes, SEAL_KEY_SIZE);
        derive_public(identity);
    }
    if (bytes != NULL)
        OPENSSL_cleanse(bytes, size);
    free(bytes);
    if (ok)
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "seal_key", "'%s' does not hold the key of a node", path);
    return err_mend(err, "put it back from a backup; or remove it and start batond again: the node "
                         "makes a new one, and a member that has the data key gives it on");
}

static enum err_code
make_identity(const char *path, struct seal_identity *identity, struct err *err)
{
    cert_random(identity->secret, sizeof identity->secret);
    derive_public(identity);
    CLEANUP(cert_secret_freep) char *text = str_base64url(identity->secret, SEAL_KEY_SIZE);
    return file_write_atomic(path, text, strlen(text), 0400, (uid_t)-1, (gid_t)-1, err);
}

enum err_code
seal_identity_load(const char *path, struct seal_identity *ret_identity, struct err *err)
{
    struct seal_identity identity;
    ASSERT(sodium_init() >= 0);
    enum err_code code = read_identity(path, &identity, err);
    if (code == ERR_NOT_FOUND)
        code = make_identity(path, &identity, err);
    if (code == ERR_NONE)
        *ret_identity = identity;
    seal_identity_done(&identity);
    return code;
}

void
seal_identity_done(struct seal_identity *identity)
{
    OPENSSL_cleanse(identity, sizeof *identity);
}

enum err_code
seal_box(const struct seal_key *key, const char *public_key, char **ret_box, struct err *err)
{
    uint8_t to[SEAL_KEY_SIZE];
    uint8_t box[BOX_SIZE];
    ASSERT(sodium_init() >= 0);
    if (!read_public(public_key, to) ||
        crypto_box_seal(box, key->bytes, sizeof key->bytes, to) != 0)
        return err_set(err, ERR_INVALID, "seal_public", "'%.64s' is no public key of a node",
                       public_key);
    *ret_box = str_base64url(box, sizeof box);
    return ERR_NONE;
}

enum err_code
seal_unbox(const struct seal_identity *identity, const char *box, const char *id,
           struct seal_key *ret_key, struct err *err)
{
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size = 0;
    struct seal_key key;
    uint8_t own[SEAL_KEY_SIZE];
    ASSERT(sodium_init() >= 0);
    bool ok = read_public(identity->public_key, own) && str_from_base64url(box, &bytes, &size) &&
              size == BOX_SIZE &&
              crypto_box_seal_open(key.bytes, bytes, size, own, identity->secret) == 0;
    if (ok) {
        name_key(key.bytes, key.id);
        ok = strcmp(key.id, id) == 0; /* L1 */
    }
    if (ok)
        *ret_key = key;
    seal_key_done(&key);
    if (ok)
        return ERR_NONE;
    return err_set(err, ERR_INVALID, "seal_box",
                   "the box of data key %.16s is not for this node, or was altered", id);
}
