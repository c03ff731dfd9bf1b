#include "controller/loop/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "controller/base/check.h"

void
digest_sha256(const void *bytes, size_t size, uint8_t ret_digest[DIGEST_SIZE])
{
    ASSERT(EVP_Digest(bytes, size, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}

void
digest_hmac(const void *key, size_t key_size, const void *bytes, size_t size,
            uint8_t ret_mac[DIGEST_SIZE])
{
    unsigned mac_size = DIGEST_SIZE;
    ASSERT(key_size <= INT32_MAX);
    ASSERT(HMAC(EVP_sha256(), key, (int)key_size, bytes, size, ret_mac, &mac_size) != NULL &&
           mac_size == DIGEST_SIZE);
}

void
digest_base64(const uint8_t digest[DIGEST_SIZE], char to[DIGEST_BASE64_SIZE])
{
    ASSERT(EVP_EncodeBlock((unsigned char *)to, digest, DIGEST_SIZE) == DIGEST_BASE64_SIZE - 1);
}

bool
digest_from_base64(const char *text, size_t length, uint8_t to[DIGEST_SIZE])
{
    /* EVP_DecodeBlock() takes blanks around and any bits in the last digit: only what we would
     * write ourselves is taken. */
    unsigned char bytes[DIGEST_BASE64_SIZE];
    char again[DIGEST_BASE64_SIZE];
    if (length != DIGEST_BASE64_SIZE - 1 ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length) < DIGEST_SIZE)
        return false;
    digest_base64(bytes, again);
    if (memcmp(again, text, length) != 0)
        return false;
    memcpy(to, bytes, DIGEST_SIZE);
    return true;
}

bool
digest_equal(const uint8_t a[DIGEST_SIZE], const uint8_t b[DIGEST_SIZE])
{
    return CRYPTO_memcmp(a, b, DIGEST_SIZE) == 0;
}
