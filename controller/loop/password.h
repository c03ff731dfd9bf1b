/*
 * password.h -- argon2id hashes of passwords, as PHC text. Slow on purpose (some 0.1 s and 64 MiB):
 * never on the loop.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/err.h"

#define PASSWORD_SIZE_MIN  12 /* bytes; for new ones */
#define PASSWORD_SIZE_MAX  256
#define PASSWORD_HASH_SIZE 128

/* ERR_INVALID, slug "password_weak": too short, too long, or one character over and over. */
MUST_CHECK enum err_code password_check(const char *password, struct err *err);
/* ERR_INTERNAL: no memory for it. */
MUST_CHECK enum err_code password_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE],
                                       struct err *err);
/* 'hash' NULL: works as long as for any hash, and says no. */
bool password_verify(const char *password, const char *hash);
