/*
 * The receiver's side: reads the three headers of a signature, and believes nothing of the rest
 * before the signature holds.
 */
#include <inttypes.h>
#include <string.h>

#include "controller/activation/sign_inner.h"
#include "controller/base/str.h"

/* What a signature may cover; those with 'needed' it must. */
static const struct part {
    const char *name;
    size_t place; /* in struct sign_received */
    bool needed;
} parts[] = {
    { "@method", offsetof(struct sign_received, method), true },
    { "@request-target", offsetof(struct sign_received, target), true },
    { "baton-cluster", offsetof(struct sign_received, cluster), true },
    { "baton-epoch", offsetof(struct sign_received, epoch), true },
    { "baton-node", offsetof(struct sign_received, node), true },
    { "baton-delivery", offsetof(struct sign_received, delivery), false },
    { "content-digest", offsetof(struct sign_received, digest), false },
};
_Static_assert(ARRAY_COUNT(parts) == SIGN_PARTS_MAX, "SIGN_PARTS_MAX");

static const char *
value_of(const struct sign_received *received, const struct part *part)
{
    return *(const char *const *)(const void *)((const char *)received + part->place);
}

static enum err_code
bad(const char *what, struct err *err)
{
    return err_set(err, ERR_LOGIN, "signature_bad",
                   "the request's signature is not one of Baton's: "
                   "%s",
                   what);
}

/* Moves past 'text' when it stands at '*at'. */
static bool
skip(const char **at, const char *text)
{
    if (!str_starts(*at, text))
        return false;
    *at += strlen(text);
    return true;
}

/* Reads what stands up to the next '"', and moves past that. */
static bool
take_quoted(const char **at, char *to, size_t to_size)
{
    size_t length = strcspn(*at, "\"");
    if ((*at)[length] != '"' || length >= to_size)
        return false;
    memcpy(to, *at, length);
    to[length] = '\0';
    *at += length + 1;
    return true;
}

struct input {
    const char *parameters; /* borrowed; from '(' on, which is signed as it stands */
    unsigned covered;       /* a bit for each of 'parts' */
    size_t order[SIGN_PARTS_MAX];
    size_t count;
    uint64_t created_s;
    char key_id[CONNECTOR_NAME_SIZE];
};

static bool
take_part(const char **at, struct input *input)
{
    char name[32];
    if (!take_quoted(at, name, sizeof name))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (strcmp(parts[i].name, name) != 0)
            continue;
        if ((input->covered & (1u << i)) != 0)
            return false;
        input->covered |= 1u << i;
        input->order[input->count++] = i;
        return true;
    }
    return false;
}

static bool
take_parts(const char **at, struct input *input)
{
    if (!skip(at, "("))
        return false;
    while (!skip(at, ")")) {
        if ((input->count > 0 && !skip(at, " ")) || !skip(at, "\"") || !take_part(at, input))
            return false;
    }
    return true;
}

/* baton=("part" ...);created=N;keyid="K";alg="hmac-sha256", the last three in any order. */
static bool
read_input(const char *text, struct input *ret)
{
    struct input input = { 0 };
    bool algorithm = false;
    if (!skip(&text, "baton="))
        return false;
    input.parameters = text;
    if (!take_parts(&text, &input))
        return false;
    while (skip(&text, ";")) {
        char value[24];
        if (skip(&text, "created=")) {
            size_t length = strspn(text, "0123456789");
            if (input.created_s != 0 || length >= sizeof value)
                return false;
            memcpy(value, text, length);
            value[length] = '\0';
            text += length;
            if (!str_to_u64(value, 1, INT64_MAX, &input.created_s))
                return false;
        } else if (skip(&text, "keyid=\"")) {
            if (input.key_id[0] != '\0' || !take_quoted(&text, input.key_id, sizeof input.key_id) ||
                !str_is_name(input.key_id))
                return false;
        } else if (skip(&text, "alg=\"hmac-sha256\"")) {
            if (algorithm)
                return false;
            algorithm = true;
        } else {
            return false;
        }
    }
    *ret = input;
    return *text == '\0' && algorithm && input.created_s != 0 && input.key_id[0] != '\0';
}

static const struct sign_key *
find_key(const char *id, const struct sign_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].size > 0 && strcmp(keys[i].id, id) == 0)
            return &keys[i];
    }
    return NULL;
}

static bool
is_signed(const struct sign_received *received, const struct input *input,
          const struct sign_key *key)
{
    static const char prefix[] = "baton=:";
    uint8_t given[DIGEST_SIZE];
    uint8_t wanted[DIGEST_SIZE];
    CLEANUP(buf_done) struct buf base = { 0 };
    size_t length = strlen(received->signature);
    if (length != sizeof prefix - 1 + DIGEST_BASE64_SIZE - 1 + 1 ||
        !str_starts(received->signature, prefix) || received->signature[length - 1] != ':' ||
        !digest_from_base64(received->signature + sizeof prefix - 1, DIGEST_BASE64_SIZE - 1, given))
        return false;
    for (size_t i = 0; i < input->count; i++) {
        const struct part *part = &parts[input->order[i]];
        sign_base_add(&base, part->name, value_of(received, part));
    }
    sign_base_mac(key, &base, input->parameters, wanted);
    return digest_equal(given, wanted);
}

/* Each is there and covered, or neither; and short enough to be worth the look. */
static enum err_code
check_parts(const struct sign_received *received, const struct input *input, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        const char *value = value_of(received, &parts[i]);
        bool covered = (input->covered & (1u << i)) != 0;
        if (parts[i].needed && value == NULL)
            return err_set(err, ERR_LOGIN, "signature_missing", "the request has no '%s'",
                           parts[i].name);
        if (covered != (value != NULL))
            return err_set(err, ERR_LOGIN, "signature_bad", "the request's signature %s '%s'",
                           covered ? "covers, but the request lacks," : "does not cover",
                           parts[i].name);
    }
    return ERR_NONE;
}

static enum err_code
check_time(const struct input *input, int64_t now_s, int64_t window_s, struct err *err)
{
    int64_t created_s = (int64_t)input->created_s;
    if (created_s <= now_s + window_s && created_s >= now_s - window_s)
        return ERR_NONE;
    (void)err_set(err, ERR_LOGIN, "signature_old",
                  "the request was signed at %" PRId64 ", and here it is %" PRId64
                  " (seconds since 1970); at most %" PRId64 " s may lie between",
                  created_s, now_s, window_s);
    return err_mend(err, "set the clocks of both hosts");
}

enum err_code
sign_check(const struct sign_received *received, const struct sign_key *keys, size_t key_count,
           int64_t now_s, int64_t window_s, struct sign_claim *ret_claim,
           const struct sign_key **ret_key, struct err *err)
{
    struct input input;
    struct sign_claim claim = { .cluster = received->cluster,
                                .node = received->node,
                                .delivery = received->delivery };
    if (received->input == NULL || received->signature == NULL) {
        (void)err_set(err, ERR_LOGIN, "signature_missing", "the request is not signed");
        return err_mend(err, "set 'sign' in the connector's document");
    }
    if (strlen(received->input) > SIGN_FIELD_MAX || !read_input(received->input, &input))
        return bad("its Signature-Input is not written as we write it", err);
    enum err_code code = check_parts(received, &input, err);
    if (code != ERR_NONE)
        return code;
    const struct sign_key *key = find_key(input.key_id, keys, key_count);
    if (key == NULL)
        return err_set(err, ERR_LOGIN, "key_unknown", "there is no key '%s' here", input.key_id);
    if (!is_signed(received, &input, key))
        return bad("it does not fit what it covers, or was made with another key", err);
    code = check_time(&input, now_s, window_s, err);
    if (code != ERR_NONE)
        return code;
    if (!epoch_parse(received->epoch, &claim.epoch) || claim.epoch.number == 0)
        return bad("it covers no epoch", err);
    *ret_claim = claim;
    *ret_key = key;
    return ERR_NONE;
}
