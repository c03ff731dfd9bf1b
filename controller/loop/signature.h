/*
 * signature.h -- signs texts with a node's key, checks such signatures, and makes keyed digests.
 *
 * ECDSA with SHA-256 by the key of the node's certificate. TLS proves to the one at the other end
 * who speaks now; a signature can be shown to a third one later. What is signed begins with a line
 * that says what it is, so that no other use of the key can be taken for it.
 *
 * A keyed digest (HMAC-SHA-256) tells whether two values are the same and nothing else: without the
 * key even a value that is "true" or "false" cannot be guessed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"

#define SIGNATURE_KEY_SIZE    32
#define SIGNATURE_DIGEST_SIZE 65 /* as hexadecimal text */

/* All texts are PEM or end with a NUL. '*ret' is the caller's: base64url. 'what' is a word. */
MUST_CHECK enum err_code signature_make(const char *key, const char *what, const char *text,
                                        char **ret, struct err *err);
/* ERR_INVALID: the certificate does not parse. ERR_DENIED slug "signature": it is not of this key,
 * this text or this 'what'. Whether the certificate counts is the caller's question. */
MUST_CHECK enum err_code signature_check(const char *certificate, const char *what,
                                         const char *text, const char *signature, struct err *err);

/* A key for digests, the same wherever the EC key is the same; it says nothing about that key. */
MUST_CHECK enum err_code signature_subkey(const char *key, const char *what,
                                          uint8_t ret[SIGNATURE_KEY_SIZE], struct err *err);
/* Of a name and its value; the same value under another name has another digest. */
void signature_digest(const uint8_t key[SIGNATURE_KEY_SIZE], const char *name, const char *value,
                      char ret[SIGNATURE_DIGEST_SIZE]);
