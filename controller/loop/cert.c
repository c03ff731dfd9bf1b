#include "controller/loop/cert.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"

#define SERIAL_BYTES  16
#define SKEW_S        300 /* clocks of two sites may differ by this much */
#define DAY_S         86400
#define HOST_SIZE_MAX 253

#define DEFINE_FREEP(type, name, release)                                                          \
    static void name(type **holder)                                                                \
    {                                                                                              \
        release(*holder);                                                                          \
    }
DEFINE_FREEP(EVP_PKEY, key_freep, EVP_PKEY_free)
DEFINE_FREEP(X509, x509_freep, X509_free)
DEFINE_FREEP(X509_REQ, request_freep, X509_REQ_free)
DEFINE_FREEP(X509_STORE, store_freep, X509_STORE_free)
DEFINE_FREEP(X509_STORE_CTX, store_ctx_freep, X509_STORE_CTX_free)
DEFINE_FREEP(X509_EXTENSION, extension_freep, X509_EXTENSION_free)
DEFINE_FREEP(BIO, bio_freep, BIO_free_all)
DEFINE_FREEP(BIGNUM, bignum_freep, BN_free)
DEFINE_FREEP(GENERAL_NAMES, general_names_freep, GENERAL_NAMES_free)

/* OpenSSL's newest reason, and an empty error queue for the next one (LIBRARIES: its queue is the
 * thread's, and what is left in it is taken for another connection's error). */
static enum err_code
openssl_err(struct err *err, enum err_code code, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return err_set(err, code, "certificate", "%s: %s", what,
                   reason != NULL ? reason : "unknown reason");
}

void
cert_random(void *bytes, size_t count)
{
    ASSERT(count <= INT32_MAX);
    ASSERT(RAND_bytes(bytes, (int)count) == 1);
}

void
cert_secret_freep(char **holder)
{
    if (*holder != NULL)
        OPENSSL_cleanse(*holder, strlen(*holder));
    freep(holder);
}

void
cert_pair_done(struct cert_pair *pair)
{
    freep(&pair->certificate);
    cert_secret_freep(&pair->key);
}

bool
cert_pin_equal(const uint8_t left[CERT_PIN_SIZE], const uint8_t right[CERT_PIN_SIZE])
{
    return CRYPTO_memcmp(left, right, CERT_PIN_SIZE) == 0;
}

bool
cert_renewal_due(const struct cert_info *info, int64_t now_s)
{
    return now_s >= info->not_before_s + (info->not_after_s - info->not_before_s) / 3 * 2;
}

/* ---- PEM in and out ---- */

static BIO *
text_bio(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    ASSERT(bio != NULL);
    return bio;
}

/* The caller's copy of what was written into a memory BIO; the BIO's own memory is wiped. */
static char *
bio_text(BIO *bio)
{
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    ASSERT(size > 0);
    char *text = mem_alloc((size_t)size + 1);
    memcpy(text, bytes, (size_t)size);
    text[size] = '\0';
    OPENSSL_cleanse(bytes, (size_t)size);
    return text;
}

static enum err_code
check_pem_size(const char *pem, struct err *err)
{
    if (strnlen(pem, CERT_PEM_SIZE_MAX + 1) > CERT_PEM_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "certificate", "PEM text has more than %d bytes",
                       CERT_PEM_SIZE_MAX);
    return ERR_NONE;
}

/* An encrypted key asks for a password on the terminal unless somebody answers for it. */
static int
no_password(char *password, int size, int writing, void *data)
{
    (void)password, (void)size, (void)writing, (void)data;
    return -1;
}

static enum err_code
read_key(const char *pem, EVP_PKEY **ret_key, struct err *err)
{
    if (check_pem_size(pem, err) != ERR_NONE)
        return err_wrap(err, "private key");
    CLEANUP(bio_freep) BIO *bio = text_bio(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (key == NULL)
        return openssl_err(err, ERR_INVALID, "read private key");
    *ret_key = key;
    return ERR_NONE;
}

static enum err_code
read_x509(const char *pem, X509 **ret_certificate, struct err *err)
{
    if (check_pem_size(pem, err) != ERR_NONE)
        return err_wrap(err, "certificate");
    CLEANUP(bio_freep) BIO *bio = text_bio(pem);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (certificate == NULL)
        return openssl_err(err, ERR_INVALID, "read certificate");
    *ret_certificate = certificate;
    return ERR_NONE;
}

static char *
key_text(const EVP_PKEY *key)
{
    CLEANUP(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio != NULL);
    ASSERT(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    return bio_text(bio);
}

static char *
x509_text(const X509 *certificate)
{
    CLEANUP(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio != NULL);
    ASSERT(PEM_write_bio_X509(bio, certificate) == 1);
    return bio_text(bio);
}

/* ---- keys and requests ---- */

static enum err_code
make_key(EVP_PKEY **ret_key, struct err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (key == NULL)
        return openssl_err(err, ERR_INTERNAL, "make a key");
    *ret_key = key;
    return ERR_NONE;
}

enum err_code
cert_make_key(char **ret_key, struct err *err)
{
    CLEANUP(key_freep) EVP_PKEY *key = NULL;
    if (make_key(&key, err) != ERR_NONE)
        return err->code;
    *ret_key = key_text(key);
    return ERR_NONE;
}

static bool
name_add(X509_NAME *name, const char *field, const char *value)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                      -1, 0) == 1;
}

enum err_code
cert_make_csr(const char *key_pem, const char *node, char **ret_csr, struct err *err)
{
    CLEANUP(key_freep) EVP_PKEY *key = NULL;
    if (read_key(key_pem, &key, err) != ERR_NONE)
        return err->code;
    CLEANUP(request_freep) X509_REQ *request = X509_REQ_new();
    ASSERT(request != NULL);
    if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        !name_add(X509_REQ_get_subject_name(request), "CN", node) ||
        X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, EVP_sha256()) <= 0)
        return openssl_err(err, ERR_INTERNAL, "make a certificate request");

    CLEANUP(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio != NULL);
    ASSERT(PEM_write_bio_X509_REQ(bio, request) == 1);
    *ret_csr = bio_text(bio);
    return ERR_NONE;
}

/* The entry of a name as text; false when it is missing, double, too long or has a NUL inside. */
static bool
name_text(const X509_NAME *name, int field, char to[CERT_NAME_SIZE])
{
    to[0] = '\0';
    int at = X509_NAME_get_index_by_NID(name, field, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, field, at) >= 0)
        return false;
    unsigned char *utf8 = NULL;
    int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    bool fits = size >= 0 && size < CERT_NAME_SIZE && memchr(utf8, '\0', (size_t)size) == NULL;
    if (fits) {
        memcpy(to, utf8, (size_t)size);
        to[size] = '\0';
    }
    if (size >= 0)
        OPENSSL_free(utf8);
    return fits;
}

static bool
is_p256(const EVP_PKEY *key)
{
    char group[64];
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static enum err_code
read_csr(const char *pem, const char *node, X509_REQ **ret_request, struct err *err)
{
    if (check_pem_size(pem, err) != ERR_NONE)
        return err_wrap(err, "certificate request");
    CLEANUP(bio_freep) BIO *bio = text_bio(pem);
    CLEANUP(request_freep)
    X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, no_password, NULL);
    if (request == NULL)
        return openssl_err(err, ERR_INVALID, "read certificate request");

    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (key == NULL || !is_p256(key)) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "certificate",
                       "certificate request: the key is not on the curve P-256");
    }
    if (X509_REQ_verify(request, key) != 1)
        return openssl_err(err, ERR_INVALID, "certificate request: its own signature");
    char name[CERT_NAME_SIZE];
    if (!name_text(X509_REQ_get_subject_name(request), NID_commonName, name) ||
        strcmp(name, node) != 0)
        return err_set(err, ERR_INVALID, "certificate",
                       "certificate request: it is not made for node '%s'", node);
    *ret_request = take_ptr(&request);
    return ERR_NONE;
}

/* ---- certificates ---- */

static bool
set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    cert_random(bytes, sizeof bytes);
    bytes[0] &= 0x7f; /* positive */
    bytes[0] |= 0x40; /* always the same length */
    CLEANUP(bignum_freep) BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    return number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
}

static bool
add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    CLEANUP(extension_freep)
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    return extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
}

/* Version, serial and life; never beyond 'not_after_max_s' (0: no bound). */
static bool
begin_certificate(X509 *certificate, unsigned days, int64_t not_after_max_s)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    time_t not_before = now - SKEW_S;
    time_t not_after = now + (time_t)days * DAY_S;
    if (not_after_max_s != 0 && not_after > not_after_max_s)
        not_after = (time_t)not_after_max_s;
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           ASN1_TIME_set(X509_getm_notBefore(certificate), not_before) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), not_after) != NULL;
}

enum err_code
cert_make_ca(const char *cluster, const char *cluster_id, struct cert_pair *ret_pair,
             struct err *err)
{
    CLEANUP(key_freep) EVP_PKEY *key = NULL;
    if (make_key(&key, err) != ERR_NONE)
        return err->code;
    CLEANUP(x509_freep) X509 *ca = X509_new();
    ASSERT(ca != NULL);
    /* X.509 bounds a common name to 64 characters. */
    CLEANUP(freep) char *common_name = str_printf("%.60s CA", cluster);
    X509_NAME *name = X509_get_subject_name(ca);
    if (!begin_certificate(ca, CERT_CA_DAYS, 0) || !name_add(name, "CN", common_name) ||
        !name_add(name, "O", cluster_id) || X509_set_issuer_name(ca, name) != 1 ||
        X509_set_pubkey(ca, key) != 1 ||
        !add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(ca, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(ca, ca, NID_authority_key_identifier, "keyid:always") ||
        X509_sign(ca, key, EVP_sha256()) <= 0)
        return openssl_err(err, ERR_INTERNAL, "make the cluster's CA");
    ret_pair->certificate = x509_text(ca);
    ret_pair->key = key_text(key);
    return ERR_NONE;
}

static bool
is_dns_name(const char *host)
{
    size_t length = strlen(host);
    if (length == 0 || length > HOST_SIZE_MAX || host[0] == '.' || host[length - 1] == '.' ||
        strstr(host, "..") != NULL)
        return false;
    for (const char *at = host; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
            return false;
    }
    /* All digits and dots is an address that does not parse, not a name. */
    return strspn(host, "0123456789.") != length;
}

/* One subject alternative name, built by hand: no text of a peer goes through OpenSSL's
 * configuration syntax, where a comma would add another name. */
static enum err_code
add_host(GENERAL_NAMES *names, const char *host, struct err *err)
{
    uint8_t address[16];
    size_t size = 0;
    if (inet_pton(AF_INET, host, address) == 1)
        size = 4;
    else if (inet_pton(AF_INET6, host, address) == 1)
        size = 16;
    else if (!str_is_name(host) && !is_dns_name(host))
        return err_set(err, ERR_INVALID, "certificate",
                       "'%.64s' is neither an IP address nor a host name", host);

    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = size > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    ASSERT(name != NULL && value != NULL);
    ASSERT(size > 0 ? ASN1_STRING_set(value, address, (int)size) == 1
                    : ASN1_STRING_set(value, host, -1) == 1);
    GENERAL_NAME_set0_value(name, size > 0 ? GEN_IPADD : GEN_DNS, value);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0) {
            GENERAL_NAME_free(name);
            return ERR_NONE;
        }
    }
    ASSERT(sk_GENERAL_NAME_push(names, name) > 0);
    return ERR_NONE;
}

static enum err_code
add_hosts(X509 *certificate, const struct cert_subject *subject, struct err *err)
{
    CLEANUP(general_names_freep) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    ASSERT(names != NULL);
    if (subject->host_count > CERT_HOSTS_MAX)
        return err_set(err, ERR_LIMIT, "certificate", "a certificate names at most %d hosts",
                       CERT_HOSTS_MAX);
    if (add_host(names, subject->node, err) != ERR_NONE)
        return err->code;
    for (size_t i = 0; i < subject->host_count; i++) {
        if (add_host(names, subject->hosts[i], err) != ERR_NONE)
            return err->code;
    }
    if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        return openssl_err(err, ERR_INTERNAL, "add the host names");
    return ERR_NONE;
}

enum err_code
cert_sign(const struct cert_pair *ca_pair, const char *csr, const struct cert_subject *subject,
          char **ret_certificate, struct err *err)
{
    CLEANUP(x509_freep) X509 *ca = NULL;
    CLEANUP(key_freep) EVP_PKEY *ca_key = NULL;
    CLEANUP(request_freep) X509_REQ *request = NULL;
    struct cert_info ca_info;
    if (read_x509(ca_pair->certificate, &ca, err) != ERR_NONE ||
        cert_read_x509(ca, &ca_info, err) != ERR_NONE ||
        read_key(ca_pair->key, &ca_key, err) != ERR_NONE)
        return err_wrap(err, "cluster CA");
    if (X509_check_private_key(ca, ca_key) != 1)
        return openssl_err(err, ERR_INVALID, "cluster CA: the key is another's");
    if (read_csr(csr, subject->node, &request, err) != ERR_NONE)
        return err->code;

    CLEANUP(x509_freep) X509 *certificate = X509_new();
    ASSERT(certificate != NULL);
    X509_NAME *name = X509_get_subject_name(certificate);
    char login[CERT_NAME_SIZE];
    unsigned days = subject->days == 0 ? CERT_NODE_DAYS : subject->days;
    if (!begin_certificate(certificate, days, ca_info.not_after_s) ||
        !name_add(name, "CN", cert_login(subject->node, subject->generation, login)) ||
        !name_add(name, "O", subject->cluster_id) ||
        X509_set_issuer_name(certificate, X509_get_subject_name(ca)) != 1 ||
        X509_set_pubkey(certificate, X509_REQ_get0_pubkey(request)) != 1 ||
        !add_extension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(certificate, ca, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(certificate, ca, NID_ext_key_usage, "serverAuth,clientAuth") ||
        !add_extension(certificate, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(certificate, ca, NID_authority_key_identifier, "keyid:always"))
        return openssl_err(err, ERR_INTERNAL, "make the certificate");
    if (add_hosts(certificate, subject, err) != ERR_NONE)
        return err->code;
    if (X509_sign(certificate, ca_key, EVP_sha256()) <= 0)
        return openssl_err(err, ERR_INTERNAL, "sign the certificate");
    *ret_certificate = x509_text(certificate);
    return ERR_NONE;
}

/* ---- logins ---- */

const char *
cert_login(const char *node, unsigned generation, char to[CERT_NAME_SIZE])
{
    if (generation > 1)
        (void)snprintf(to, CERT_NAME_SIZE, "%s.%u", node, generation);
    else
        (void)snprintf(to, CERT_NAME_SIZE, "%s", node);
    return to;
}

bool
cert_login_read(const char *login, char ret_node[CERT_NAME_SIZE], unsigned *ret_generation)
{
    char node[CERT_NAME_SIZE];
    const char *dot = strchr(login, '.');
    size_t length = dot == NULL ? strlen(login) : (size_t)(dot - login);
    uint64_t generation = 1;
    if (length >= sizeof node ||
        (dot != NULL &&
         (dot[1] == '0' || !str_to_u64(dot + 1, 2, CERT_GENERATION_MAX, &generation))))
        return false;
    memcpy(node, login, length);
    node[length] = '\0';
    if (!str_is_name(node))
        return false;
    memcpy(ret_node, node, sizeof node);
    *ret_generation = (unsigned)generation;
    return true;
}

/* ---- reading and judging ---- */

static bool
time_s(const ASN1_TIME *time, int64_t *ret_s)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *ret_s = (int64_t)timegm(&parts);
    return true;
}

static bool
serial_text(const X509 *certificate, char to[CERT_SERIAL_SIZE])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    const uint8_t *bytes = ASN1_STRING_get0_data(serial);
    int size = ASN1_STRING_length(serial);
    if (size <= 0 || 2 * size + 1 > CERT_SERIAL_SIZE)
        return false;
    str_hex(to, bytes, (size_t)size);
    return true;
}

enum err_code
cert_read_x509(const X509 *certificate, struct cert_info *ret_info, struct err *err)
{
    struct cert_info info = { 0 };
    const X509_NAME *name = X509_get_subject_name(certificate);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!name_text(name, NID_commonName, info.common_name) ||
        !name_text(name, NID_organizationName, info.organization) ||
        !serial_text(certificate, info.serial) ||
        !time_s(X509_get0_notBefore(certificate), &info.not_before_s) ||
        !time_s(X509_get0_notAfter(certificate), &info.not_after_s))
        return openssl_err(err, ERR_INVALID, "certificate: name, serial or time");
    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1)
        return openssl_err(err, ERR_INVALID, "certificate: digest");
    str_hex(info.fingerprint, digest, size);

    unsigned char *spki = NULL;
    int spki_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    bool hashed = spki_size > 0 &&
                  EVP_Digest(spki, (size_t)spki_size, info.pin, &size, EVP_sha256(), NULL) == 1;
    OPENSSL_free(spki);
    if (!hashed)
        return openssl_err(err, ERR_INVALID, "certificate: public key");
    /* The cached flags are computed on first use, so this needs a non-const pointer. */
    info.is_ca = (X509_get_extension_flags((X509 *)(uintptr_t)certificate) & EXFLAG_CA) != 0;
    *ret_info = info;
    return ERR_NONE;
}

enum err_code
cert_read(const char *pem, struct cert_info *ret_info, struct err *err)
{
    CLEANUP(x509_freep) X509 *certificate = NULL;
    if (read_x509(pem, &certificate, err) != ERR_NONE)
        return err->code;
    return cert_read_x509(certificate, ret_info, err);
}

static enum err_code
verify_purpose(X509_STORE *store, X509 *certificate, int purpose, int64_t now_s, struct err *err)
{
    CLEANUP(store_ctx_freep) X509_STORE_CTX *context = X509_STORE_CTX_new();
    ASSERT(context != NULL);
    if (X509_STORE_CTX_init(context, store, certificate, NULL) != 1)
        return openssl_err(err, ERR_INTERNAL, "verify a certificate");
    X509_STORE_CTX_set_time(context, 0, (time_t)now_s);
    if (X509_STORE_CTX_set_purpose(context, purpose) != 1)
        return openssl_err(err, ERR_INTERNAL, "verify a certificate");
    if (X509_verify_cert(context) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_DENIED, "certificate", "certificate refused: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    }
    return ERR_NONE;
}

enum err_code
cert_verify(const char *ca_pem, const char *pem, int64_t now_s, struct err *err)
{
    CLEANUP(x509_freep) X509 *ca = NULL;
    CLEANUP(x509_freep) X509 *certificate = NULL;
    if (read_x509(ca_pem, &ca, err) != ERR_NONE)
        return err_wrap(err, "cluster CA");
    if (read_x509(pem, &certificate, err) != ERR_NONE)
        return err->code;
    CLEANUP(store_freep) X509_STORE *store = X509_STORE_new();
    ASSERT(store != NULL);
    if (X509_STORE_add_cert(store, ca) != 1)
        return openssl_err(err, ERR_INTERNAL, "verify a certificate");
    if (verify_purpose(store, certificate, X509_PURPOSE_SSL_SERVER, now_s, err) != ERR_NONE)
        return err->code;
    return verify_purpose(store, certificate, X509_PURPOSE_SSL_CLIENT, now_s, err);
}

enum err_code
cert_check_key(const char *pem, const char *key_pem, struct err *err)
{
    CLEANUP(x509_freep) X509 *certificate = NULL;
    CLEANUP(key_freep) EVP_PKEY *key = NULL;
    if (read_x509(pem, &certificate, err) != ERR_NONE || read_key(key_pem, &key, err) != ERR_NONE)
        return err->code;
    if (X509_check_private_key(certificate, key) != 1)
        return openssl_err(err, ERR_INVALID, "the key belongs to another certificate");
    return ERR_NONE;
}
