#include "controller/loop/passkey.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define MEMORY_SPARE (1024UL * 1024) /* what OpenSSL counts beside the big table */

enum err_code
passkey_make(const char *password, const struct passkey_work *work, struct passkey *ret_key,
             struct err *err)
{
    uint8_t keys[2 * SEAL_KEY_SIZE];
    uint64_t n = (uint64_t)1 << work->log_n;
    uint64_t memory = (uint64_t)128 * work->block * (n + work->parallel) + MEMORY_SPARE;
    bool ok = EVP_PBE_scrypt(password, strlen(password), work->salt, work->salt_size, n,
                             work->block, work->parallel, memory, keys, sizeof keys) == 1;
    if (ok) {
        seal_key_take(keys, &ret_key->seal);
        memcpy(ret_key->prove, keys + SEAL_KEY_SIZE, SEAL_KEY_SIZE);
    }
    OPENSSL_cleanse(keys, sizeof keys);
    if (ok)
        return ERR_NONE;
    (void)err_set(err, ERR_INTERNAL, "no_memory", "no %llu MiB of memory for the password's key",
                  (unsigned long long)(memory >> 20));
    return err_mend(err, "end other programs, or do it on another host");
}

void
passkey_done(struct passkey *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}
