#include "controller/loop/signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/own.h"
#include "controller/base/str.h"
#include "controller/loop/digest.h"

#define SCALAR_SIZE 32 /* of P-256 */

static void
key_freep(EVP_PKEY **holder)
{
    EVP_PKEY_free(*holder);
}

static void
context_freep(EVP_MD_CTX **holder)
{
    EVP_MD_CTX_free(*holder);
}

static void
x509_freep(X509 **holder)
{
    X509_free(*holder);
}

static int
no_password(char *buffer, int size, int writing, void *data)
{
    (void)buffer, (void)size, (void)writing, (void)data;
    return -1; /* or OpenSSL asks at the terminal */
}

static enum err_code
read_key(const char *pem, EVP_PKEY **ret, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    ASSERT(bio != NULL);
    *ret = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free_all(bio);
    ERR_clear_error();
    return *ret != NULL ? ERR_NONE : err_set(err, ERR_INVALID, "tls_material", "not a key");
}

/* What is signed: a line with what it is, then the text. */
static char *
framed(const char *what, const char *text)
{
    return str_printf("baton %s\n%s", what, text);
}

enum err_code
signature_make(const char *key_pem, const char *what, const char *text, char **ret, struct err *err)
{
    CLEANUP(key_freep) EVP_PKEY *key = NULL;
    CLEANUP(freep) char *all = framed(what, text);
    uint8_t bytes[256];
    size_t size = sizeof bytes;
    if (read_key(key_pem, &key, err) != ERR_NONE)
        return err->code;
    CLEANUP(context_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    ASSERT(context != NULL);
    if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, bytes, &size, (const uint8_t *)all, strlen(all)) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "tls_material", "the key does not sign");
    }
    *ret = str_base64url(bytes, size);
    return ERR_NONE;
}

enum err_code
signature_check(const char *certificate_pem, const char *what, const char *text,
                const char *signature, struct err *err)
{
    BIO *bio = BIO_new_mem_buf(certificate_pem, -1);
    ASSERT(bio != NULL);
    CLEANUP(x509_freep) X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    BIO_free_all(bio);
    CLEANUP(freep) char *all = framed(what, text);
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size = 0;
    EVP_PKEY *key = certificate == NULL ? NULL : X509_get0_pubkey(certificate);
    if (key == NULL) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "tls_material", "not a certificate");
    }
    CLEANUP(context_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
    ASSERT(context != NULL);
    bool good = str_from_base64url(signature, &bytes, &size) &&
                EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(context, bytes, size, (const uint8_t *)all, strlen(all)) == 1;
    ERR_clear_error();
    return good ? ERR_NONE
                : err_set(err, ERR_DENIED, "signature", "the signature is not of this certificate");
}

enum err_code
signature_subkey(const char *key_pem, const char *what, uint8_t ret[SIGNATURE_KEY_SIZE],
                 struct err *err)
{
    CLEANUP(key_freep) EVP_PKEY *key = NULL;
    BIGNUM *scalar = NULL;
    uint8_t bytes[SCALAR_SIZE];
    CLEANUP(freep) char *label = framed(what, "");
    if (read_key(key_pem, &key, err) != ERR_NONE)
        return err->code;
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
                BN_bn2binpad(scalar, bytes, sizeof bytes) == (int)sizeof bytes;
    BN_clear_free(scalar);
    ERR_clear_error();
    if (!good)
        return err_set(err, ERR_INVALID, "tls_material", "not a key of EC P-256");
    digest_hmac(bytes, sizeof bytes, label, strlen(label), ret);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return ERR_NONE;
}

void
signature_digest(const uint8_t key[SIGNATURE_KEY_SIZE], const char *name, const char *value,
                 char ret[SIGNATURE_DIGEST_SIZE])
{
    CLEANUP(freep) char *all = str_printf("%s\n%s", name, value);
    uint8_t bytes[DIGEST_SIZE];
    digest_hmac(key, SIGNATURE_KEY_SIZE, all, strlen(all), bytes);
    str_hex(ret, bytes, sizeof bytes);
}
