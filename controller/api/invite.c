#include "controller/api/invite.h"

#include <string.h>

#include "controller/api/serve.h"
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

enum err_code
invite_fill(const struct call *call, struct token *token, struct err *err)
{
    const struct home *home = call->api->core->home;
    token_draw(token);
    token->cluster = str_dup(home->cluster);
    token->cluster_id = str_dup(home->cluster_id);
    add_addresses(call, token);
    return read_pin(call, token->pin, err);
}
