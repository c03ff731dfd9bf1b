#include "controller/activation/sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controller/activation/sign_inner.h"
#include "controller/base/check.h"
#include "controller/base/str.h"

static void
add(struct sign_headers *headers, const char *name, char *value)
{
    ASSERT(headers->count < SIGN_HEADERS_MAX);
    headers->list[headers->count].name = name;
    headers->list[headers->count++].value = value;
}

void
sign_headers_done(struct sign_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
        free(headers->list[i].value);
    *headers = (struct sign_headers){ 0 };
}

const char *
sign_headers_get(const struct sign_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (strcasecmp(headers->list[i].name, name) == 0)
            return headers->list[i].value;
    }
    return NULL;
}

const char *
sign_target(const char *url)
{
    const char *place = strstr(url, "://");
    place = place == NULL ? url : place + 3;
    place += strcspn(place, "/");
    return *place == '\0' ? "/" : place;
}

char *
sign_digest(const void *body, size_t size)
{
    uint8_t digest[DIGEST_SIZE];
    char text[DIGEST_BASE64_SIZE];
    digest_sha256(body, size, digest);
    digest_base64(digest, text);
    return str_printf("sha-256=:%s:", text);
}

/* One line of what is signed (RFC 9421 section 2.5). */
void
sign_base_add(struct buf *base, const char *name, const char *value)
{
    buf_printf(base, "\"%s\": %s\n", name, value);
}

void
sign_base_mac(const struct sign_key *key, struct buf *base, const char *parameters,
              uint8_t ret_mac[DIGEST_SIZE])
{
    buf_printf(base, "\"@signature-params\": %s", parameters);
    digest_hmac(key->bytes, key->size, base->data, base->size, ret_mac);
}

static void
sign(const struct sign_message *message, const struct sign_key *key, struct sign_headers *headers)
{
    CLEANUP(buf_done) struct buf base = { 0 };
    CLEANUP(buf_done) struct buf parameters = { 0 };
    char name[32];
    buf_add_text(&parameters, "(\"@method\" \"@request-target\"");
    sign_base_add(&base, "@method", message->method);
    sign_base_add(&base, "@request-target", message->target);
    for (size_t i = 0; i < headers->count; i++) {
        size_t length = strlen(headers->list[i].name);
        ASSERT(length < sizeof name);
        for (size_t j = 0; j <= length; j++) {
            char letter = headers->list[i].name[j];
            name[j] = (char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
        }
        buf_printf(&parameters, " \"%s\"", name);
        sign_base_add(&base, name, headers->list[i].value);
    }
    buf_printf(&parameters, ");created=%" PRId64 ";keyid=\"%s\";alg=\"hmac-sha256\"",
               message->now_s, key->id);
    uint8_t mac[DIGEST_SIZE];
    char text[DIGEST_BASE64_SIZE];
    sign_base_mac(key, &base, buf_text(&parameters), mac);
    digest_base64(mac, text);
    add(headers, "Signature-Input", str_printf("baton=%s", buf_text(&parameters)));
    add(headers, "Signature", str_printf("baton=:%s:", text));
}

void
sign_headers(const struct sign_message *message, const struct sign_key *key,
             struct sign_headers *ret)
{
    char epoch[EPOCH_TEXT_SIZE];
    *ret = (struct sign_headers){ 0 };
    add(ret, "Baton-Cluster", str_dup(message->claim.cluster));
    add(ret, "Baton-Epoch", str_dup(epoch_text(&message->claim.epoch, epoch)));
    add(ret, "Baton-Node", str_dup(message->claim.node));
    if (message->claim.delivery != NULL)
        add(ret, "Baton-Delivery", str_dup(message->claim.delivery));
    if (key->size == 0)
        return;
    if (message->body != NULL)
        add(ret, "Content-Digest", sign_digest(message->body, message->body_size));
    sign(message, key, ret);
}

/* ---- the receiver's proof ---- */

static void
proof_mac(const struct sign_key *key, const char *epoch, const char *signature,
          uint8_t ret_mac[DIGEST_SIZE])
{
    CLEANUP(freep) char *text = str_printf("baton-fenced\n%s\n%s\n", epoch, signature);
    digest_hmac(key->bytes, key->size, text, strlen(text), ret_mac);
}

char *
sign_proof(const struct sign_key *key, const struct epoch *epoch, const char *signature)
{
    char text[EPOCH_TEXT_SIZE];
    char base64[DIGEST_BASE64_SIZE];
    uint8_t mac[DIGEST_SIZE];
    proof_mac(key, epoch_text(epoch, text), signature, mac);
    digest_base64(mac, base64);
    return str_printf("%s %s", text, base64);
}

bool
sign_proof_check(const struct sign_key *key, const char *signature, const char *proof,
                 struct epoch *ret_epoch)
{
    char text[EPOCH_TEXT_SIZE];
    uint8_t wanted[DIGEST_SIZE];
    uint8_t given[DIGEST_SIZE];
    struct epoch epoch;
    if (proof == NULL || signature == NULL || key->size == 0)
        return false;
    size_t length = strcspn(proof, " ");
    if (proof[length] == '\0' || length >= sizeof text)
        return false;
    memcpy(text, proof, length);
    text[length] = '\0';
    const char *base64 = proof + length + 1;
    if (!epoch_parse(text, &epoch) || epoch.number == 0 ||
        !digest_from_base64(base64, strlen(base64), given))
        return false;
    proof_mac(key, text, signature, wanted);
    if (!digest_equal(wanted, given))
        return false;
    *ret_epoch = epoch;
    return true;
}
