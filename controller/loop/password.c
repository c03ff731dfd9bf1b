#include "controller/loop/password.h"

#include <sodium.h>
#include <string.h>

#include "controller/base/check.h"

#define PASSWORD_PASSES      2
#define PASSWORD_MEMORY_SIZE (64UL * 1024 * 1024)

/* Of no password that anybody knows, made with the two numbers above. */
static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$YmF0b24gbm9ib2R5IDE2Yg$"
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

_Static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "a hash fits");

enum err_code
password_check(const char *password, struct err *err)
{
    size_t size = strlen(password);
    if (size < PASSWORD_SIZE_MIN || size > PASSWORD_SIZE_MAX)
        return err_set(err, ERR_INVALID, "password_weak",
                       "the password has %zu bytes, needed are %d to %d", size, PASSWORD_SIZE_MIN,
                       PASSWORD_SIZE_MAX);
    for (size_t i = 1; i < size; i++) {
        if (password[i] != password[0])
            return ERR_NONE;
    }
    return err_set(err, ERR_INVALID, "password_weak", "the password is one character repeated");
}

enum err_code
password_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE], struct err *err)
{
    char hash[crypto_pwhash_STRBYTES];
    ASSERT(sodium_init() >= 0);
    if (crypto_pwhash_str_alg(hash, password, strlen(password), PASSWORD_PASSES,
                              PASSWORD_MEMORY_SIZE, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return err_set(err, ERR_INTERNAL, "internal", "no memory to hash a password");
    memcpy(ret_hash, hash, sizeof hash);
    return ERR_NONE;
}

bool
password_verify(const char *password, const char *hash)
{
    ASSERT(sodium_init() >= 0);
    /* both ways take the same time, so the answer does not tell whether the user exists */
    bool equal =
        crypto_pwhash_str_verify(hash == NULL ? nobody : hash, password, strlen(password)) == 0;
    return equal && hash != NULL;
}
