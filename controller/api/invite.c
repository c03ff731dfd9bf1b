#include "controller/api/invite.h"

#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"

/* Ourselves first, then the others: the new machine asks them in this order. */
static void
add_addresses(const struct call *call, struct token *token)
{
    const struct cache_entry *entry;
    token->addresses[token->address_count++] = str_dup(call->api->core->home->advertise);
    for (size_t at = 0; (entry = cache_next(call_cache(call), "node/", "", &at)) != NULL;) {
        const char *address;
        if (token->address_count == TOKEN_ADDRESSES_MAX)
            return;
        bool removed = false;
        if ((json_get_bool(cache_value(entry), "removed", &removed) && removed) ||
            !json_get_string(cache_value(entry), "address", &address) ||
            strcmp(address, token->addresses[0]) == 0)
            continue;
        token->addresses[token->address_count++] = str_dup(address);
    }
}

static enum err_code
read_pin(const struct call *call, uint8_t pin[CERT_PIN_SIZE], struct err *err)
{
    struct cert_info info;
    CLEANUP(buf_done) struct buf pem = { 0 };
    CLEANUP(freep) char *path = home_path(call->api->core->home, "ca.crt");
    if (file_read(path, CERT_PEM_SIZE_MAX, &pem, err) != ERR_NONE ||
        cert_read(buf_text(&pem), &info, err) != ERR_NONE)
        return err->code;
    memcpy(pin, info.pin, CERT_PIN_SIZE);
    return ERR_NONE;
}

static void
invite_free(void *state)
{
    struct invite *invite = state;
    token_done(&invite->token);
    free(invite);
}

struct invite *
invite_new(struct call *call)
{
    struct invite *invite = mem_zero(1, sizeof *invite);
    call->state = invite;
    call->state_free = invite_free;
    return invite;
}

void
invite_reply(struct call *call, const struct writer_result *result)
{
    (void)result;
    const struct invite *invite = call->state;
    const struct token *token = &invite->token;
    char when[CLOCK_TEXT_SIZE];
    CLEANUP(cert_secret_freep) char *text = token_encode(token);
    struct json_object *document = json_object_new_object();
    json_add_string(document, "id", token->id);
    json_add_string(document, "token", text);
    if (token->connector != NULL) {
        json_add_string(document, "connector", token->connector);
    } else {
        json_add_string(document, "site", token->site);
        json_add_string(document, "host", token->host);
    }
    json_add_string(document, "expires_at",
                    invite->expires_ms == 0 ? NULL : clock_wall_text(invite->expires_ms, when));
    call_reply(call, 201, document);
}

enum err_code
invite_fill(const struct call *call, struct invite *invite, struct err *err)
{
    const struct home *home = call->api->core->home;
    struct token *token = &invite->token;
    token_draw(token);
    token->cluster = str_dup(home->cluster);
    token->cluster_id = str_dup(home->cluster_id);
    add_addresses(call, token);
    return read_pin(call, token->pin, err);
}
