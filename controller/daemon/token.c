#include "controller/daemon/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/home.h"

#define ID_BYTES     8
#define SECRET_BYTES 32
#define UUID_LENGTH  36

void
token_draw(struct token *token)
{
    uint8_t bytes[SECRET_BYTES];
    cert_random(bytes, ID_BYTES);
    str_hex(token->id, bytes, ID_BYTES);
    cert_random(bytes, sizeof bytes);
    str_hex(token->secret, bytes, sizeof bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
}

void
token_done(struct token *token)
{
    freep(&token->cluster);
    freep(&token->cluster_id);
    freep(&token->site);
    freep(&token->connector);
    freep(&token->host);
    for (size_t i = 0; i < token->address_count; i++)
        freep(&token->addresses[i]);
    token->address_count = 0;
    OPENSSL_cleanse(token->secret, sizeof token->secret);
}

char *
token_encode(const struct token *token)
{
    char pin[2 * CERT_PIN_SIZE + 1];
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    struct json_object *addresses = json_object_new_array();
    str_hex(pin, token->pin, CERT_PIN_SIZE);
    for (size_t i = 0; i < token->address_count; i++)
        (void)json_object_array_add(addresses, json_object_new_string(token->addresses[i]));
    json_add_string(object, "cluster", token->cluster);
    json_add_string(object, "cluster_id", token->cluster_id);
    if (token->connector != NULL)
        json_add_string(object, "connector", token->connector);
    else
        json_add_string(object, "site", token->site);
    if (token->host != NULL)
        json_add_string(object, "host", token->host);
    json_add_string(object, "id", token->id);
    json_add_string(object, "secret", token->secret);
    json_add(object, "addresses", addresses);
    json_add_string(object, "pin", pin);
    const char *text = json_text(object);
    CLEANUP(cert_secret_freep) char *body = str_base64url((const uint8_t *)text, strlen(text));
    return str_printf("%s%s", token->connector != NULL ? TOKEN_AGENT_PREFIX : TOKEN_PREFIX, body);
}

static enum err_code
wrong(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "token", "%s", what);
}

static bool
is_uuid(const char *text)
{
    for (size_t i = 0; i < UUID_LENGTH; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL || text[i] == '\0')
            return false;
    }
    return text[UUID_LENGTH] == '\0';
}

static bool
is_hex(const char *text, size_t bytes)
{
    return strlen(text) == 2 * bytes && strspn(text, "0123456789abcdef") == 2 * bytes;
}

static enum err_code
take_addresses(struct json_object *object, struct token *token, struct err *err)
{
    struct json_object *list = json_get(object, "addresses");
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0 ||
        json_object_array_length(list) > TOKEN_ADDRESSES_MAX)
        return wrong(err, "it has no list of addresses");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        CLEANUP(freep) char *host = NULL;
        uint16_t port;
        struct err ignored;
        if (!json_object_is_type(entry, json_type_string) ||
            home_split_address(json_object_get_string(entry), HOME_PORT, &host, &port, &ignored) !=
                ERR_NONE)
            return wrong(err, "an address in it does not parse");
        token->addresses[token->address_count++] = str_dup(json_object_get_string(entry));
    }
    return ERR_NONE;
}

static enum err_code
take_members(struct json_object *object, bool agent, struct token *token, struct err *err)
{
    const char *cluster;
    const char *cluster_id;
    const char *whose;
    const char *id;
    const char *secret;
    const char *pin;
    const char *host;
    if (!json_get_string(object, "cluster", &cluster) || !str_is_name(cluster))
        return wrong(err, "it has no cluster name");
    if (!json_get_string(object, "cluster_id", &cluster_id) || !is_uuid(cluster_id))
        return wrong(err, "it has no cluster id");
    if (!json_get_string(object, agent ? "connector" : "site", &whose) || !str_is_name(whose))
        return wrong(err, agent ? "it has no connector" : "it has no site");
    if (!json_get_string(object, "id", &id) || !is_hex(id, ID_BYTES) ||
        !str_copy(token->id, sizeof token->id, id))
        return wrong(err, "it has no id");
    if (!json_get_string(object, "secret", &secret) || !is_hex(secret, SECRET_BYTES) ||
        !str_copy(token->secret, sizeof token->secret, secret))
        return wrong(err, "it has no secret");
    if (!json_get_string(object, "pin", &pin) || !str_from_hex(pin, token->pin, CERT_PIN_SIZE))
        return wrong(err, "it has no pin");
    token->cluster = str_dup(cluster);
    token->cluster_id = str_dup(cluster_id);
    *(agent ? &token->connector : &token->site) = str_dup(whose);
    if (!agent && json_get_string(object, "host", &host)) {
        if (!home_is_host(host))
            return wrong(err, "its host is none");
        token->host = str_dup(host);
    }
    return take_addresses(object, token, err);
}

static enum err_code
decode(const char *text, bool agent, struct token *ret_token, struct err *err)
{
    const char *prefix = agent ? TOKEN_AGENT_PREFIX : TOKEN_PREFIX;
    text += strspn(text, " \t\r\n");
    size_t length = strnlen(text, TOKEN_TEXT_SIZE_MAX + 1);
    if (length > TOKEN_TEXT_SIZE_MAX)
        return wrong(err, "it is too long");
    while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    CLEANUP(cert_secret_freep) char *trimmed = str_printf("%.*s", (int)length, text);
    if (!str_starts(trimmed, prefix))
        return err_set(err, ERR_INVALID, "token", "it does not begin with '%s'", prefix);

    uint8_t *bytes = NULL;
    size_t size = 0;
    CLEANUP(json_putp) struct json_object *object = NULL;
    struct err inner;
    if (!str_from_base64url(trimmed + strlen(prefix), &bytes, &size))
        return wrong(err, "a character is wrong or missing");
    enum err_code code = json_read((const char *)bytes, size, &object, &inner);
    OPENSSL_cleanse(bytes, size);
    free(bytes);
    if (code != ERR_NONE)
        return wrong(err, "a part is wrong or missing");

    struct token token = { 0 };
    code = take_members(object, agent, &token, err);
    if (code != ERR_NONE) {
        token_done(&token);
        return code;
    }
    *ret_token = token;
    return ERR_NONE;
}

enum err_code
token_decode(const char *text, struct token *ret_token, struct err *err)
{
    if (decode(text, false, ret_token, err) == ERR_NONE)
        return ERR_NONE;
    (void)err_wrap(err, "this is no join token");
    return err_mend(err, "copy the whole line that 'baton token create' printed");
}

enum err_code
token_decode_agent(const char *text, struct token *ret_token, struct err *err)
{
    if (decode(text, true, ret_token, err) == ERR_NONE)
        return ERR_NONE;
    (void)err_wrap(err, "this is no token for an agent");
    return err_mend(err, "copy the whole line that 'baton connector token create' printed");
}

bool
token_hash(const char *secret, char ret_hash[TOKEN_HASH_SIZE])
{
    uint8_t bytes[SECRET_BYTES];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!is_hex(secret, SECRET_BYTES) || !str_from_hex(secret, bytes, sizeof bytes))
        return false;
    ASSERT(EVP_Digest(bytes, sizeof bytes, digest, &size, EVP_sha256(), NULL) == 1);
    str_hex(ret_hash, digest, size);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return true;
}

bool
token_matches(const char *secret, const char *hash)
{
    char ours[TOKEN_HASH_SIZE];
    return token_hash(secret, ours) && strlen(hash) == TOKEN_HASH_SIZE - 1 &&
           CRYPTO_memcmp(ours, hash, TOKEN_HASH_SIZE - 1) == 0;
}
