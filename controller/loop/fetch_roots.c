#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/base/check.h"
#include "controller/loop/fetch_transfer.h"

/* As many as there are users of; nobody changes them. */
struct fetch_roots {
    unsigned users;
    X509_STORE *store; /* owned */
    bool system;
    struct stat seen; /* of the system's file, before it was read */
};

/* As curl itself would read it: a text that holds a key or a list of revoked ones is fine too. */
static bool
read_all(X509_STORE *store, BIO *bio)
{
    bool any = false;
    STACK_OF(X509_INFO) *list = bio == NULL ? NULL : PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
    for (int i = 0; list != NULL && i < sk_X509_INFO_num(list); i++) {
        const X509_INFO *info = sk_X509_INFO_value(list, i);
        any = (info->x509 != NULL && X509_STORE_add_cert(store, info->x509) == 1) || any;
        if (info->crl != NULL)
            (void)X509_STORE_add_crl(store, info->crl);
    }
    sk_X509_INFO_pop_free(list, X509_INFO_free);
    BIO_free(bio);
    ERR_clear_error();
    return any;
}

static bool
read_system(struct fetch_roots *roots)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    roots->system = true;
    if (info->cainfo == NULL || stat(info->cainfo, &roots->seen) != 0 ||
        !read_all(roots->store, BIO_new_file(info->cainfo, "r")))
        return false;
    if (info->capath != NULL)
        (void)X509_STORE_load_path(roots->store, info->capath);
    return true;
}

struct fetch_roots *
fetch_roots_read(const char *ca)
{
    struct fetch_roots *roots = mem_zero(1, sizeof *roots);
    roots->users = 1;
    roots->store = X509_STORE_new();
    ASSERT(roots->store != NULL);
    /* as curl does: an intermediate that is trusted is enough */
    ASSERT(X509_STORE_set_flags(roots->store,
                                X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN) == 1);
    if (ca == NULL ? read_system(roots)
                   : tls_is_pem(ca) && read_all(roots->store, BIO_new_mem_buf(ca, -1)))
        return roots;
    fetch_roots_free(roots);
    return NULL;
}

struct fetch_roots *
fetch_roots_share(struct fetch_roots *roots)
{
    if (roots != NULL)
        roots->users++;
    return roots;
}

void
fetch_roots_free(struct fetch_roots *roots)
{
    if (roots == NULL || --roots->users > 0)
        return;
    X509_STORE_free(roots->store);
    free(roots);
}

bool
fetch_roots_current(const struct fetch_roots *roots)
{
    struct stat now;
    const struct stat *seen = &roots->seen;
    if (!roots->system)
        return true;
    return stat(curl_version_info(CURLVERSION_NOW)->cainfo, &now) == 0 &&
           now.st_ino == seen->st_ino && now.st_size == seen->st_size &&
           now.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
}

X509_STORE *
fetch_roots_store(struct fetch_roots *roots)
{
    return roots->store;
}
