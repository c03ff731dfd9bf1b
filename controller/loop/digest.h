/*
 * digest.h -- SHA-256, HMAC-SHA256 and base64, as HTTP headers use them (RFC 4648 section 4,
 * padded).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/own.h"

#define DIGEST_SIZE        32
#define DIGEST_BASE64_SIZE 45 /* of a digest, with its NUL */

void digest_sha256(const void *bytes, size_t size, uint8_t ret_digest[DIGEST_SIZE]);
void digest_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
                 uint8_t ret_mac[DIGEST_SIZE]);
void digest_base64(const uint8_t digest[DIGEST_SIZE], char to[DIGEST_BASE64_SIZE]);
/* Reads 'length' characters of that form; false when they are anything else. */
MUST_CHECK bool digest_from_base64(const char *text, size_t length, uint8_t to[DIGEST_SIZE]);
/* Takes as long whether they are equal or not. */
bool digest_equal(const uint8_t a[DIGEST_SIZE], const uint8_t b[DIGEST_SIZE]);
