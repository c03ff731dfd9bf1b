#include "controller/loop/fetch_transfer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define SET(easy, option, value) ASSERT(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

enum err_code
fetch_trusted_copy(const struct fetch_trust *trust, struct fetch_trusted *ret, struct err *err)
{
    if (trust->tls.ca == NULL && trust->pin == NULL && !trust->system_trust && !trust->untrusted &&
        !trust->plain_http)
        return err_set(err, ERR_INVALID, "fetch_trust", "nothing says which server to trust");
    if ((trust->tls.cert == NULL) != (trust->tls.key == NULL))
        return err_set(err, ERR_INVALID, "fetch_trust",
                       "a client certificate and its key go together");
    *ret = (struct fetch_trusted){
        .ca = str_dup(trust->tls.ca),
        .cert = str_dup(trust->tls.cert),
        .key = str_dup(trust->tls.key),
        .roots = fetch_roots_share(trust->roots),
        .system_trust = trust->system_trust,
        .untrusted = trust->untrusted,
        .plain_http = trust->plain_http,
    };
    if (trust->pin != NULL) {
        static const char prefix[] = "sha256//";
        memcpy(ret->pin, prefix, sizeof prefix - 1);
        (void)EVP_EncodeBlock((unsigned char *)ret->pin + sizeof prefix - 1, trust->pin,
                              TLS_PIN_SIZE);
    }
    return ERR_NONE;
}

void
fetch_trusted_done(struct fetch_trusted *trusted)
{
    free(trusted->ca);
    free(trusted->cert);
    cert_secret_freep(&trusted->key);
    fetch_roots_free(trusted->roots);
    *trusted = (struct fetch_trusted){ 0 };
}

static size_t
on_body(char *bytes, size_t one, size_t size, void *data)
{
    (void)one;
    struct transfer *transfer = data;
    long status = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->chunk != NULL && status >= 200 && status <= 299) {
        transfer->chunk_ended = !transfer->chunk(transfer->chunk_data, bytes, size);
        return transfer->chunk_ended ? CURL_WRITEFUNC_ERROR : size;
    }
    transfer->too_large = transfer->reply.body.size + size > transfer->reply_size_max;
    if (transfer->too_large)
        return CURL_WRITEFUNC_ERROR;
    buf_add(&transfer->reply.body, bytes, size);
    return size;
}

/* The connection that the request has now; NULL when it has none, or it is plain. */
static SSL *
tls_of(const struct transfer *transfer)
{
    struct curl_tlssessioninfo *session = NULL;
    if (curl_easy_getinfo(transfer->easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK ||
        session == NULL || session->backend != CURLSSLBACKEND_OPENSSL)
        return NULL;
    return session->internals;
}

/* A kept connection that the server has closed meanwhile. curl takes the goodbye of TLS, which
 * waits there unread, for a sign of life. */
static bool
has_ended(const struct transfer *transfer)
{
    long connects = 0;
    SSL *ssl = tls_of(transfer);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
    if (connects > 0 || ssl == NULL)
        return false;
    char byte;
    ERR_clear_error();
    int result = SSL_peek(ssl, &byte, 1);
    bool ended = result <= 0 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return ended;
}

/* The end of a certificate in seconds since 1970; 0 when it does not say so readably. */
static int64_t
end_of(const X509 *certificate)
{
    struct tm end = { 0 };
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return 0;
    return (int64_t)timegm(&end);
}

/* With the first line of the answer the connection is at hand, and with it the server's key. */
static size_t
on_header(char *bytes, size_t one, size_t size, void *data)
{
    (void)one;
    struct transfer *transfer = data;
    if (size < 5 || strncmp(bytes, "HTTP/", 5) != 0)
        return size;
    const SSL *ssl = tls_of(transfer);
    X509 *certificate = ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);
    if (certificate == NULL || !tls_pin_x509(certificate, transfer->reply.pin))
        memset(transfer->reply.pin, 0, sizeof transfer->reply.pin);
    transfer->reply.not_after_s = certificate == NULL ? 0 : end_of(certificate);
    return size;
}

/*
 * Called each time that a request is about to leave. curl sends it again by itself when a kept
 * connection breaks before the first byte of an answer; the server may have carried it out by then,
 * so what changes something is not sent twice.
 */
static int
on_send(void *data, char *server, char *client, int server_port, int client_port)
{
    (void)server, (void)client, (void)server_port, (void)client_port;
    struct transfer *transfer = data;
    if (transfer->sendings > 0 && !transfer->safe) {
        transfer->resend_denied = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->stale = transfer->sendings == 0 && has_ended(transfer);
    if (transfer->stale)
        return CURL_PREREQFUNC_ABORT; /* nothing has left us: our caller begins anew */
    transfer->sendings++;
    return CURL_PREREQFUNC_OK;
}

/* A new connection, to an address that is known by now. curl tries the next one when this is none.
 */
static curl_socket_t
on_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct transfer *transfer = data;
    char text[INET6_ADDRSTRLEN] = "";
    const void *bytes =
        address->family == AF_INET
            ? (const void *)&((struct sockaddr_in *)(void *)&address->addr)->sin_addr
            : &((struct sockaddr_in6 *)(void *)&address->addr)->sin6_addr;
    if (inet_ntop(address->family, bytes, text, sizeof text) == NULL ||
        !transfer->address_allowed(text)) {
        (void)!str_copy(transfer->denied, sizeof transfer->denied, text);
        errno = EACCES;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode
on_tls(CURL *easy, void *context, void *data)
{
    (void)easy;
    struct fetch_roots *roots = data;
    tls_policy(context);
    if (roots != NULL)
        SSL_CTX_set1_cert_store(context, fetch_roots_store(roots));
    return CURLE_OK;
}

static void
set_material(CURL *easy, CURLoption path_option, CURLoption blob_option, char *text)
{
    if (!tls_is_pem(text)) {
        SET(easy, path_option, text);
        return;
    }
    struct curl_blob blob = { .data = text, .len = strlen(text), .flags = CURL_BLOB_COPY };
    SET(easy, blob_option, &blob);
}

static void
set_trust(CURL *easy, const struct fetch_trusted *trusted)
{
    bool any = trusted->ca != NULL || trusted->pin[0] != '\0' || trusted->system_trust ||
               trusted->untrusted;
    SET(easy, CURLOPT_PROTOCOLS_STR, !trusted->plain_http ? "https" : any ? "http,https" : "http");
    SET(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    SET(easy, CURLOPT_SSL_CTX_DATA, trusted->roots);
    if (trusted->ca != NULL || trusted->roots != NULL) {
        /* or the CAs of the system would be trusted beside ours */
        SET(easy, CURLOPT_CAPATH, NULL);
        SET(easy, CURLOPT_CAINFO, NULL);
        SET(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* a renewed file counts at once */
    }
    if (trusted->ca != NULL && trusted->roots == NULL) /* else on_tls() brings them */
        set_material(easy, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, trusted->ca);
    if (trusted->ca == NULL && !trusted->system_trust) {
        SET(easy, CURLOPT_SSL_VERIFYPEER, 0L); /* the pin alone decides, or nothing does */
        SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (trusted->pin[0] != '\0')
        SET(easy, CURLOPT_PINNEDPUBLICKEY, trusted->pin);
    if (trusted->cert != NULL) {
        set_material(easy, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, trusted->cert);
        set_material(easy, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, trusted->key);
    }
}

static bool
is_one_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return false;
    }
    return true;
}

static bool
is_token(const char *text)
{
    return *text != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
               strlen(text);
}

static bool
add_header(struct transfer *transfer, const char *name, const char *value)
{
    if (!is_token(name) || !is_one_line(value))
        return false;
    /* curl's way to send an empty value is a semicolon */
    char *line = *value == '\0' ? str_printf("%s;", name) : str_printf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    ASSERT(longer != NULL);
    transfer->headers = longer;
    free(line);
    return true;
}

static enum err_code
set_headers(struct transfer *transfer, const struct fetch_request *request, struct err *err)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (!add_header(transfer, request->headers[i].name, request->headers[i].value))
            return err_set(err, ERR_INVALID, "header", "%s: header '%s' is not one line of text",
                           transfer->name, request->headers[i].name);
    }
    if (!transfer->safe && request->body != NULL) {
        const char *type = request->type == NULL ? "application/json" : request->type;
        if (!add_header(transfer, "Content-Type", type))
            return err_set(err, ERR_INVALID, "header", "%s: bad Content-Type", transfer->name);
    } else if (!transfer->safe) {
        transfer->headers = curl_slist_append(transfer->headers, "Content-Type:");
    }
    /* our servers say at once what they refuse: waiting for a "100 Continue" gains nothing */
    transfer->headers = curl_slist_append(transfer->headers, "Expect:");
    ASSERT(transfer->headers != NULL);
    SET(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    return ERR_NONE;
}

static void
set_method(struct transfer *transfer, const struct fetch_request *request, const char *method)
{
    CURL *easy = transfer->easy;
    if (strcmp(method, "HEAD") == 0) {
        SET(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(method, "GET") == 0) {
        SET(easy, CURLOPT_HTTPGET, 1L);
    } else {
        SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        SET(easy, CURLOPT_COPYPOSTFIELDS, request->body == NULL ? "" : request->body);
        SET(easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

static void
set_bounds(struct transfer *transfer, const struct fetch_request *request)
{
    CURL *easy = transfer->easy;
    unsigned timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : FETCH_TIMEOUT_MS;
    unsigned connect_ms =
        request->connect_timeout_ms != 0 ? request->connect_timeout_ms : FETCH_CONNECT_TIMEOUT_MS;
    transfer->reply_size_max =
        request->reply_size_max != 0 ? request->reply_size_max : FETCH_REPLY_SIZE_MAX;
    SET(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    if (request->method == NULL || strcmp(request->method, "HEAD") != 0)
        SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->reply_size_max);
    SET(easy, CURLOPT_MAXAGE_CONN, (long)FETCH_KEEP_S);
}

static void
set_habits(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    SET(easy, CURLOPT_PRIVATE, transfer);
    SET(easy, CURLOPT_ERRORBUFFER, transfer->error);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(easy, CURLOPT_USERAGENT, "baton/" BATON_VERSION);
    SET(easy, CURLOPT_NOPROXY, "*"); /* what the environment says about proxies is not for us */
    SET(easy, CURLOPT_PROXY, "");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PATH_AS_IS, 1L); /* what was signed is what is sent */
    SET(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(easy, CURLOPT_WRITEDATA, transfer);
    SET(easy, CURLOPT_HEADERFUNCTION, on_header);
    SET(easy, CURLOPT_HEADERDATA, transfer);
    SET(easy, CURLOPT_PREREQFUNCTION, on_send);
    SET(easy, CURLOPT_PREREQDATA, transfer);
}

enum err_code
fetch_transfer_init(struct transfer *transfer, const struct fetch_trusted *trusted,
                    const struct fetch_request *request, struct err *err)
{
    const char *method = request->method == NULL ? "GET" : request->method;
    *transfer = (struct transfer){ 0 };
    transfer->name = str_printf("%s %s", method, request->url);
    transfer->safe = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    transfer->easy = curl_easy_init();
    ASSERT(transfer->easy != NULL && !(transfer->safe && request->body != NULL));
    if (!is_token(method) || !is_one_line(request->url))
        return err_set(err, ERR_INVALID, "url", "%s: not one line of text", transfer->name);
    if (curl_easy_setopt(transfer->easy, CURLOPT_URL, request->url) != CURLE_OK)
        return err_set(err, ERR_INVALID, "url", "%s: the URL is too long", transfer->name);
    set_habits(transfer);
    set_trust(transfer->easy, trusted);
    set_method(transfer, request, method);
    set_bounds(transfer, request);
    if (request->connect_to != NULL) {
        char *line = str_printf("::%s", request->connect_to); /* whatever the URL says */
        transfer->connect_to = curl_slist_append(NULL, line);
        free(line);
        ASSERT(transfer->connect_to != NULL);
        SET(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to);
    }
    if (request->address_allowed != NULL) {
        transfer->address_allowed = request->address_allowed;
        SET(transfer->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
        SET(transfer->easy, CURLOPT_OPENSOCKETDATA, transfer);
    }
    return set_headers(transfer, request, err);
}

void
fetch_transfer_done(struct transfer *transfer)
{
    transfer->reply.handle = transfer->easy; /* one owner: NULL when it was handed over */
    fetch_reply_done(&transfer->reply);
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->connect_to);
    free(transfer->name);
    *transfer = (struct transfer){ 0 };
}

/* What each failure of curl means, when nothing else is known; in the order that matters. */
static const struct {
    CURLcode result;
    enum err_code code;
    const char *slug;
    const char *mend;
} failures[] = {
    { CURLE_URL_MALFORMAT, ERR_INVALID, "url", "write it like https://HOST:PORT/PATH" },
    { CURLE_UNSUPPORTED_PROTOCOL, ERR_INVALID, "url", "write it like https://HOST:PORT/PATH" },
    { CURLE_LOGIN_DENIED, ERR_INVALID, "url", "leave the user name out of the URL" },
    { CURLE_COULDNT_RESOLVE_HOST, ERR_UNAVAILABLE, "dns", "check the host name" },
    { CURLE_COULDNT_CONNECT, ERR_UNAVAILABLE, "connect",
      "check that the server runs and that no firewall is between" },
    { CURLE_PEER_FAILED_VERIFICATION, ERR_PROTOCOL, "tls_untrusted",
      "check that this is the right server and the right CA" },
    { CURLE_SSL_PINNEDPUBKEYNOTMATCH, ERR_PROTOCOL, "pin_mismatch",
      "it is another server, or it has a new key: find out which before you trust it" },
    { CURLE_SSL_CONNECT_ERROR, ERR_PROTOCOL, "tls_handshake", NULL },
    { CURLE_SSL_CERTPROBLEM, ERR_INVALID, "tls_material", "check the certificate and its key" },
    { CURLE_SSL_CACERT_BADFILE, ERR_INVALID, "tls_material", "check the CA file" },
    { CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, "timeout", NULL },
    { CURLE_FILESIZE_EXCEEDED, ERR_LIMIT, "reply_too_large", NULL },
    { CURLE_SEND_ERROR, ERR_UNAVAILABLE, "connection_lost", NULL },
    { CURLE_RECV_ERROR, ERR_UNAVAILABLE, "connection_lost", NULL },
    { CURLE_GOT_NOTHING, ERR_UNAVAILABLE, "connection_lost", NULL },
    { CURLE_PARTIAL_FILE, ERR_UNAVAILABLE, "connection_lost", NULL },
};

static enum err_code
explain(const struct transfer *transfer, CURLcode result, struct err *err)
{
    const char *text = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result);
    if (!transfer->safe && transfer->sendings > 0) {
        (void)err_set(err, ERR_UNKNOWN_OUTCOME, "unknown_outcome",
                      "%s: no whole answer, so perhaps it was done and perhaps not: %s",
                      transfer->name, transfer->resend_denied ? "the kept connection broke" : text);
        return err_mend(err, "look at the state before you do it again");
    }
    if (transfer->denied[0] != '\0' && result == CURLE_COULDNT_CONNECT)
        return err_set(err, ERR_DENIED, "address_denied", "%s: no request is made to address %s",
                       transfer->name, transfer->denied);
    if (transfer->too_large || result == CURLE_FILESIZE_EXCEEDED)
        return err_set(err, ERR_LIMIT, "reply_too_large", "%s: the answer has more than %zu bytes",
                       transfer->name, transfer->reply_size_max);
    if (result == CURLE_OPERATION_TIMEDOUT && transfer->sendings == 0)
        return err_set(err, ERR_UNAVAILABLE, "connect_timeout", "%s: %s", transfer->name, text);
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        if (failures[i].result != result)
            continue;
        (void)err_set(err, failures[i].code, failures[i].slug, "%s: %s", transfer->name, text);
        return failures[i].mend == NULL ? failures[i].code : err_mend(err, "%s", failures[i].mend);
    }
    return err_set(err, ERR_PROTOCOL, "bad_reply", "%s: %s", transfer->name, text);
}

enum err_code
fetch_transfer_end(struct transfer *transfer, CURLcode result, struct err *err)
{
    struct fetch_reply *reply = &transfer->reply;
    if (result != CURLE_OK && !(transfer->chunk_ended && result == CURLE_WRITE_ERROR))
        return explain(transfer, result, err);
    long status = 0;
    long connects = 0;
    curl_off_t total = 0;
    curl_off_t connect = 0;
    const char *text = NULL;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_APPCONNECT_TIME_T, &connect);
    if (connect == 0)
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connect);
    reply->status = (int)status;
    reply->total_us = (uint64_t)total;
    reply->connect_us = connects == 0 ? 0 : (uint64_t)connect;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &text);
    reply->type = text == NULL ? "" : text;
    text = NULL;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &text);
    if (text == NULL || !str_copy(reply->address, sizeof reply->address, text))
        reply->address[0] = '\0';
    reply->handle = transfer->easy;
    return ERR_NONE;
}

void
fetch_reply_done(struct fetch_reply *reply)
{
    if (reply->handle != NULL)
        curl_easy_cleanup(reply->handle);
    buf_done(&reply->body);
    *reply = (struct fetch_reply){ 0 };
}

const char *
fetch_reply_header(const struct fetch_reply *reply, const char *name)
{
    struct curl_header *header;
    if (curl_easy_header(reply->handle, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

static enum err_code
code_of(int status)
{
    static const enum err_code codes[] = { ERR_INVALID,  ERR_LOGIN,      ERR_DENIED, ERR_NOT_FOUND,
                                           ERR_CONFLICT, ERR_STALE,      ERR_LIMIT,  ERR_THROTTLED,
                                           ERR_PROTOCOL, ERR_UNAVAILABLE };
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        if (err_code_http(codes[i]) == status)
            return codes[i];
    }
    /* a gateway that gave up waiting does not know either */
    return status == 504 ? ERR_UNKNOWN_OUTCOME : status < 500 ? ERR_INVALID : ERR_INTERNAL;
}

/* What a server says may end up on a terminal: it gets one line, and no escape sequence. */
static void
clean(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
    }
}

enum err_code
fetch_reply_err(const struct fetch_reply *reply, struct err *err)
{
    if (reply->status >= 200 && reply->status <= 299)
        return ERR_NONE;
    struct err local;
    err = err == NULL ? &local : err;
    enum err_code code = code_of(reply->status);
    const char *slug = "";
    const char *detail = NULL;
    const char *mend = "";
    const char *kind;
    CLEANUP(json_putp) struct json_object *problem = NULL;
    if (str_starts(reply->type, "application/problem+json") &&
        json_read(buf_text(&reply->body), reply->body.size, &problem, NULL) == ERR_NONE) {
        if (json_get_string(problem, "kind", &kind)) {
            enum err_code said = err_code_from_name(kind);
            code = said == ERR_NONE ? code : said;
        }
        (void)!json_get_string(problem, "code", &slug);
        (void)!json_get_string(problem, "detail", &detail);
        (void)!json_get_string(problem, "mend", &mend);
    }
    if (!is_token(slug) || strlen(slug) >= ERR_SLUG_SIZE)
        slug = "http_status";
    if (detail == NULL)
        (void)err_set(err, code, slug, "the server answered with status %d", reply->status);
    else
        (void)err_set(err, code, slug, "%s", detail);
    if (*mend != '\0')
        (void)err_mend(err, "%s", mend);
    clean(err->text);
    clean(err->mend);
    return code;
}
