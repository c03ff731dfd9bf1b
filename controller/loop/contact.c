#include "controller/loop/contact.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"
#include "controller/loop/tls.h"

#define NAP_MS 20

static void
bio_freep(BIO **holder)
{
    BIO_free_all(*holder);
    *holder = NULL;
}

static char *
pem_of(X509 *certificate)
{
    CLEANUP(bio_freep) BIO *memory = BIO_new(BIO_s_mem());
    char *data = NULL;
    ASSERT(memory != NULL && PEM_write_bio_X509(memory, certificate) == 1);
    long size = BIO_get_mem_data(memory, &data);
    struct buf text = { 0 };
    buf_add(&text, data, (size_t)size);
    return buf_take(&text);
}

static enum err_code
choose(const SSL *ssl, const uint8_t pin[CERT_PIN_SIZE], const char *address, char **ret_pem,
       struct err *err)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        uint8_t found[CERT_PIN_SIZE];
        if (tls_pin_x509(certificate, found) && cert_pin_equal(found, pin) &&
            X509_check_ca(certificate) > 0) {
            *ret_pem = pem_of(certificate);
            return ERR_NONE;
        }
    }
    return err_set(err, ERR_DENIED, "pin_mismatch",
                   "%s: none of its %d certificates is a CA with this key", address,
                   sk_X509_num(chain) > 0 ? sk_X509_num(chain) : 0);
}

enum err_code
contact_find_ca(const char *address, const uint8_t pin[CERT_PIN_SIZE], char **ret_pem,
                struct err *err)
{
    CLEANUP(tls_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ASSERT(context != NULL);
    tls_policy(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* the pin decides */
    CLEANUP(bio_freep) BIO *bio = BIO_new_ssl_connect(context);
    SSL *ssl = NULL;
    ASSERT(bio != NULL && BIO_get_ssl(bio, &ssl) > 0 && ssl != NULL);
    (void)BIO_set_conn_hostname(bio, address);
    (void)BIO_set_nbio(bio, 1);
    if (BIO_do_connect_retry(bio, CONTACT_CONNECT_S, NAP_MS) <= 0) {
        char cause[256];
        return err_set(err, ERR_UNAVAILABLE, "connect", "%s: %s", address, tls_error_text(cause));
    }
    return choose(ssl, pin, address, ret_pem, err);
}

/* ---- who is there? ---- */

struct asking {
    pthread_t thread;
    bool started;
    const char *cluster_id; /* borrowed */
    struct contact *contact;
};

/* False: the deadline is over. */
static bool
wait_for(int socket, short events, uint64_t until_ms)
{
    struct pollfd poll_one = { .fd = socket, .events = events };
    for (;;) {
        uint64_t now_ms = clock_now_ms();
        if (now_ms >= until_ms)
            return false;
        int ready = poll(&poll_one, 1, (int)(until_ms - now_ms));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static bool
is_connected(int socket, const struct addrinfo *to, uint64_t until_ms)
{
    int number = 0;
    socklen_t size = sizeof number;
    if (connect(socket, to->ai_addr, to->ai_addrlen) == 0)
        return true;
    return errno == EINPROGRESS && wait_for(socket, POLLOUT, until_ms) &&
           getsockopt(socket, SOL_SOCKET, SO_ERROR, &number, &size) == 0 && number == 0;
}

static bool
names_cluster(SSL *ssl, const char *cluster_id)
{
    struct err ignored;
    struct cert_info info;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    bool named = certificate != NULL && cert_read_x509(certificate, &info, &ignored) == ERR_NONE &&
                 strcmp(info.organization, cluster_id) == 0;
    X509_free(certificate);
    return named;
}

static enum contact_answer
shake_hands(int socket, const char *cluster_id, uint64_t until_ms)
{
    CLEANUP(tls_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ASSERT(context != NULL);
    tls_policy(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* see contact.h */
    SSL *ssl = SSL_new(context);
    ASSERT(ssl != NULL && SSL_set_fd(ssl, socket) == 1);
    bool more = true;
    while (more && SSL_connect(ssl) != 1) {
        int want = SSL_get_error(ssl, -1);
        more = (want == SSL_ERROR_WANT_READ && wait_for(socket, POLLIN, until_ms)) ||
               (want == SSL_ERROR_WANT_WRITE && wait_for(socket, POLLOUT, until_ms));
    }
    bool member = names_cluster(ssl, cluster_id);
    SSL_free(ssl);
    ERR_clear_error();
    return member ? CONTACT_MEMBER : CONTACT_OTHER;
}

static enum contact_answer
ask_one(const struct addrinfo *to, const char *cluster_id)
{
    enum contact_answer answer = CONTACT_SILENT;
    uint64_t until_ms = clock_now_ms() + CONTACT_ASK_MS;
    int one = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (one >= 0 && is_connected(one, to, until_ms))
        answer = shake_hands(one, cluster_id, until_ms);
    if (one >= 0)
        (void)close(one);
    return answer;
}

/* A name may have several addresses: the worst of them counts. */
static void *
ask_all_of(void *data)
{
    struct asking *asking = data;
    struct contact *contact = asking->contact;
    CLEANUP(freep) char *host = str_dup(contact->address);
    char *colon = strrchr(host, ':');
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    contact->answer = CONTACT_UNASKED;
    if (colon == NULL)
        return NULL;
    *colon = '\0';
    char *bare = host;
    if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        bare = host + 1;
    }
    if (getaddrinfo(bare, colon + 1, &hints, &found) != 0)
        return NULL;
    contact->answer = CONTACT_SILENT;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        enum contact_answer answer = ask_one(at, asking->cluster_id);
        if (answer > contact->answer)
            contact->answer = answer;
    }
    freeaddrinfo(found);
    return NULL;
}

void
contact_ask(const char *cluster_id, struct contact *contacts, size_t count)
{
    sigset_t all;
    sigset_t before;
    ASSERT(count <= CONTACT_ASK_MAX);
    CLEANUP(freep) struct asking *askings = mem_zero(count + 1, sizeof *askings);
    (void)sigfillset(&all); /* also SIGPIPE, of a peer that goes in the middle */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < count; i++) {
        askings[i].cluster_id = cluster_id;
        askings[i].contact = &contacts[i];
        askings[i].started = pthread_create(&askings[i].thread, NULL, ask_all_of, &askings[i]) == 0;
        if (!askings[i].started)
            (void)ask_all_of(&askings[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (askings[i].started)
            (void)pthread_join(askings[i].thread, NULL);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
