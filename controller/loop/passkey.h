/*
 * passkey.h -- keys made of a password that a person keeps elsewhere (scrypt, RFC 7914): one that
 * seals, and one that proves a file whole.
 *
 * Slow and large on purpose, some 0.4 s and 128 MiB with 2^17: for the CLI, never on the loop. The
 * two keys are the halves of one output, so neither tells the other. Both are wiped by
 * passkey_done().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/loop/digest.h"
#include "controller/loop/seal.h"

/* The caller bounds these when they come from outside: memory is 128 * block << log_n bytes. */
struct passkey_work {
    unsigned log_n;
    unsigned block;    /* scrypt's r */
    unsigned parallel; /* scrypt's p */
    const uint8_t *salt;
    size_t salt_size;
};

struct passkey {
    struct seal_key seal;
    uint8_t prove[SEAL_KEY_SIZE]; /* secret */
};

/* ERR_INTERNAL: there is no memory for it. */
MUST_CHECK enum err_code passkey_make(const char *password, const struct passkey_work *work,
                                      struct passkey *ret_key, struct err *err);
/* Wipes. */
void passkey_done(struct passkey *key);
