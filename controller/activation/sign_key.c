#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/activation/sign.h"
#include "controller/base/check.h"
#include "controller/base/str.h"

#define SECRET_PREFIX "secret/"

static void
closep(int *file)
{
    if (*file >= 0)
        (void)close(*file);
}

void
sign_key_wipe(struct sign_key *key)
{
    explicit_bzero(key, sizeof *key);
}

enum err_code
sign_key_make(const char *id, const void *bytes, size_t size, struct sign_key *ret_key,
              struct err *err)
{
    const char *text = bytes;
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
        size--;
    if (size < SIGN_KEY_SIZE_MIN || size > SIGN_KEY_SIZE_MAX) {
        (void)err_set(err, ERR_INVALID, "sign_key", "key '%s' has %zu bytes, not %d to %d", id,
                      size, SIGN_KEY_SIZE_MIN, SIGN_KEY_SIZE_MAX);
        return err_mend(err, "make one: openssl rand -hex 32");
    }
    if (!str_is_name(id) || !str_copy(ret_key->id, sizeof ret_key->id, id))
        return err_set(err, ERR_INVALID, "sign_key", "'%.80s' is no name for a key", id);
    memcpy(ret_key->bytes, bytes, size);
    ret_key->size = size;
    return ERR_NONE;
}

static enum err_code
check_file(int file, const char *path, struct err *err)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return err_errno(err, errno, "look at '%s'", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_INVALID, "sign_key", "'%s' is not a file", path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)err_set(err, ERR_DENIED, "sign_key",
                      "'%s' holds a key, and others than its owner may use it (mode %04o)", path,
                      (unsigned)status.st_mode & 07777);
        return err_mend(err, "chmod 600 '%s'", path);
    }
    return ERR_NONE;
}

enum err_code
sign_key_file(const char *id, const char *path, struct sign_key *ret_key, struct err *err)
{
    char bytes[SIGN_KEY_SIZE_MAX + 64];
    size_t size = 0;
    CLEANUP(closep) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return err_errno(err, errno, "open '%s'", path);
    enum err_code code = check_file(file, path, err);
    if (code != ERR_NONE)
        return code;
    for (;;) {
        ssize_t got = read(file, bytes + size, sizeof bytes - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            code = err_errno(err, errno, "read '%s'", path);
            break;
        }
        size += (size_t)got;
        if (got > 0 && size < sizeof bytes)
            continue;
        code = sign_key_make(id, bytes, size, ret_key, err);
        break;
    }
    explicit_bzero(bytes, sizeof bytes);
    return code == ERR_NONE ? code : err_wrap(err, "key_file '%s'", path);
}

enum err_code
sign_key_read(const struct connector_sign *sign, sign_secret_fn *secret, void *data,
              struct sign_key *ret_key, struct err *err)
{
    *ret_key = (struct sign_key){ 0 };
    if (!sign->set)
        return ERR_NONE;
    if (sign->key_file != NULL)
        return sign_key_file(sign->key_id, sign->key_file, ret_key, err);
    if (secret == NULL) {
        (void)err_set(err, ERR_UNAVAILABLE, "sign_key", "'%s': secrets are not available here",
                      sign->key);
        return err_mend(err, "use 'key_file'");
    }
    CLEANUP(buf_done) struct buf bytes = { 0 };
    enum err_code code = secret(data, sign->key + strlen(SECRET_PREFIX), &bytes, err);
    if (code == ERR_NONE)
        code = sign_key_make(sign->key_id, buf_text(&bytes), bytes.size, ret_key, err);
    if (bytes.data != NULL)
        explicit_bzero(bytes.data, bytes.capacity);
    return code == ERR_NONE ? code : err_wrap(err, "'%s'", sign->key);
}
