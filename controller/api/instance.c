/*
 * instance.c -- instances of connectors: tokens for their agents, what agents say, who is there.
 *
 *   agent token create -> agent/ID {hash, connector, expires_ms}       the secret is shown once
 *   agent beat, leave  -> token checked each time, then the registry; answers with the nodes
 *
 * An agent has no role: with its token it may say of its own connector what it says here, and read
 * where the nodes are. No other route takes the token.
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/invite.h"
#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/registry.h"

#define TTL_S_MIN      60
#define TTL_S_MAX      315360000 /* ten years */
#define PAGE_MAX       1000
#define PAGE           100
#define TOKEN_KEY_SIZE (ROUTE_PARAM_SIZE + 16)

/* ---- who is there ---- */

static bool
status_fits(const char *wanted, const char *status)
{
    size_t length = strlen(status);
    for (const char *at = wanted; (at = strstr(at, status)) != NULL; at++) {
        if ((at == wanted || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* A list of states, each once or more: "CONNECTED,DISCONNECTED". */
static bool
status_is_list(const char *text)
{
    while (true) {
        size_t length = strcspn(text, ",");
        if ((length != strlen("CONNECTED") || strncmp(text, "CONNECTED", length) != 0) &&
            (length != strlen("DISCONNECTED") || strncmp(text, "DISCONNECTED", length) != 0))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

void
serve_instance_list(struct call *call)
{
    uint64_t limit = PAGE;
    const char *after = "";
    const char *wanted = "CONNECTED,DISCONNECTED";
    const struct registry *registry = call->api->core->registry;
    if (!call_query_number(call, "limit", 1, PAGE_MAX, &limit))
        return;
    if (http_query(call->request, "status", &wanted) && !status_is_list(wanted)) {
        call_refuse(call, ERR_INVALID, "query_invalid",
                    "'status' must be CONNECTED, DISCONNECTED, or both with a comma");
        return;
    }
    if (http_query(call->request, "page_token", &after) && !str_is_name(after)) {
        call_refuse(call, ERR_INVALID, "query_invalid",
                    "'page_token' must be the next_page_token of the page before");
        return;
    }
    CLEANUP(json_putp) struct json_object *names = registry_names(registry);
    struct json_object *list = json_object_new_array();
    const char *next = NULL;
    const char *last = NULL;
    for (size_t i = 0; i < json_object_array_length(names); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(names, i));
        const char *status = "";
        if (strcmp(name, after) <= 0)
            continue;
        struct json_object *one = registry_connector(registry, name);
        (void)!json_get_string(one, "status", &status);
        bool fits = status_fits(wanted, status);
        if (fits && json_object_array_length(list) == limit)
            next = last;
        if (!fits || next != NULL) {
            (void)json_object_put(one);
            if (next != NULL)
                break;
            continue;
        }
        last = name;
        (void)json_object_array_add(list, one);
    }
    struct json_object *document = json_object_new_object();
    json_add_string(document, "node", call->api->core->home->node);
    json_add_bool(document, "settled", registry_settled(registry));
    json_add(document, "connectors", list);
    json_add_string(document, "next_page_token", next);
    call_reply_read(call, document);
}

void
serve_instance_get(struct call *call)
{
    const char *name = call_param(call);
    const struct registry *registry = call->api->core->registry;
    CLEANUP(json_putp) struct json_object *names = registry_names(registry);
    for (size_t i = 0; i < json_object_array_length(names); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(names, i)), name) == 0) {
            call_reply_read(call, registry_connector(registry, name));
            return;
        }
    }
    call_refuse(call, ERR_NOT_FOUND, "connector_not_found", "connector '%.63s' has no instances",
                name);
}

/* ---- tokens ---- */

static bool
connector_exists(const struct call *call, const char *name)
{
    char key[TOKEN_KEY_SIZE];
    size_t at = 0;
    const struct cache_entry *entry;
    (void)snprintf(key, sizeof key, "connector/%.63s", name);
    while ((entry = cache_next(call_cache(call), key, NULL, &at)) != NULL) {
        if (strcmp(entry->key, key) == 0)
            return true;
    }
    return false;
}

void
serve_agent_token_list(struct call *call)
{
    struct json_object *document = json_object_new_object();
    struct json_object *tokens = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(call_cache(call), "agent/", "", &at)) != NULL;) {
        struct json_object *value = cache_value(entry);
        struct json_object *token = json_object_new_object();
        int64_t expires_ms = 0;
        char when[CLOCK_TEXT_SIZE];
        const char *connector = "";
        const char *id = entry->key + strlen("agent/");
        (void)!json_get_string(value, "connector", &connector);
        bool ends = json_get_i64(value, "expires_ms", &expires_ms);
        json_add_string(token, "id", id); /* A2 of api.h: never the hash */
        json_add_string(token, "connector", connector);
        json_add_string(token, "state",
                        registry_token_holds(call->api->core->registry, id, connector) ? "open"
                                                                                       : "expired");
        json_add_string(token, "expires_at", ends ? clock_wall_text(expires_ms, when) : NULL);
        json_add_string(token, "created_by", entry->author);
        json_add_string(token, "created_at", entry->at);
        (void)json_object_array_add(tokens, token);
    }
    json_add(document, "tokens", tokens);
    call_reply(call, 200, document);
}

static const struct shape token_members[] = {
    { .name = "connector", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63 },
    { .name = "ttl_s", .type = SHAPE_INTEGER, .min = TTL_S_MIN, .max = TTL_S_MAX },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape token_shape = { .type = SHAPE_OBJECT, .inside = token_members };

void
serve_agent_token_create(struct call *call)
{
    struct err err;
    uint64_t ttl_s = 0;
    const char *connector = "";
    char hash[TOKEN_HASH_SIZE];
    char key[TOKEN_KEY_SIZE];
    CLEANUP(freep) char *reason = NULL;
    if (call_body(call, &token_shape, false) == NULL || !call_reason(call, &reason))
        return;
    (void)!json_get_string(call->body, "connector", &connector);
    (void)!json_get_u64(call->body, "ttl_s", &ttl_s);
    if (!connector_exists(call, connector)) { /* A3: the id is that of an existing one */
        call_refuse(call, ERR_NOT_FOUND, "connector_not_found", "no connector '%.63s'", connector);
        return;
    }
    struct invite *made = invite_new(call);
    made->token.connector = str_dup(connector);
    made->expires_ms = ttl_s == 0 ? 0 : clock_wall_ms() + (int64_t)ttl_s * 1000;
    if (invite_fill(call, made, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    ASSERT(token_hash(made->token.secret, hash));
    struct json_object *value = json_object_new_object();
    json_add_string(value, "hash", hash);
    json_add_string(value, "connector", connector);
    if (made->expires_ms > 0)
        json_add_i64(value, "expires_ms", made->expires_ms);
    (void)snprintf(key, sizeof key, "agent/%s", made->token.id);
    struct json_object *group = writer_group(call->caller.author, reason);
    writer_group_put(group, key, "", value, 0);
    call_write(call, group, invite_reply);
}

void
serve_agent_token_revoke(struct call *call)
{
    char key[TOKEN_KEY_SIZE];
    CLEANUP(freep) char *reason = NULL;
    if (!call_reason(call, &reason))
        return;
    (void)snprintf(key, sizeof key, "agent/%s", call_param(call));
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry == NULL) {
        call_refuse(call, ERR_NOT_FOUND, "token_not_found", "no token '%.63s' of an agent",
                    call_param(call));
        return;
    }
    struct json_object *group = writer_group(call->caller.author, reason);
    writer_group_delete(group, key, "", entry->revision);
    call_write(call, group, NULL);
}

/* ---- agents ---- */

#define WHO                                                                                        \
    { .name = "token_id", .type = SHAPE_TEXT, .required = true, .min = 16, .max = 16 },            \
        { .name = "secret", .type = SHAPE_TEXT, .required = true, .min = 64, .max = 64 },          \
        { .name = "connector", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63 },        \
        { .name = "instance", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63 },         \
    {                                                                                              \
        .name = "session", .type = SHAPE_TEXT, .required = true, .min = 32, .max = 32              \
    }
#define WALL_MS_MAX 253402300799999 /* the year 9999 */

static const struct shape beat_members[] = {
    WHO,
    { .name = "version", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63 },
    { .name = "began_ms", .type = SHAPE_INTEGER, .required = true, .min = 0, .max = WALL_MS_MAX },
    { .name = "healthy", .type = SHAPE_BOOL, .required = true },
    { .name = "text", .type = SHAPE_TEXT, .min = 0, .max = INSTANCE_TEXT_SIZE - 1 },
    { .name = "address", .type = SHAPE_TEXT, .min = 1, .max = SPREAD_ADDRESS_SIZE - 1 },
    { .name = "metadata", .type = SHAPE_ANY },
    { .name = NULL },
};
static const struct shape beat_shape = { .type = SHAPE_OBJECT, .inside = beat_members };
static const struct shape leave_members[] = { WHO, { .name = NULL } };
static const struct shape leave_shape = { .type = SHAPE_OBJECT, .inside = leave_members };

/* What an agent that shows another's name, a wrong secret or a revoked token hears is one text. */
static void
refuse_token(struct call *call, const char *connector)
{
    struct err err;
    log_warn("agent.refused", "connector=%.63s address=%s", connector, call->request->address);
    (void)err_set(&err, ERR_LOGIN, "token_invalid",
                  "the agent's token is unknown, revoked, expired, or not for connector '%.63s'",
                  connector);
    (void)err_mend(&err, "make a new one on a member: baton connector token create %.63s",
                   connector);
    call_fail(call, &err);
}

/* Of one token at one address: others there go on. False: refused and ended. */
static bool
may_try(struct call *call, const char *what)
{
    uint64_t wait_ms = auth_try(call->api->auth, "agent", what);
    if (wait_ms == 0)
        return true;
    char seconds[24];
    (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(wait_ms + 999) / 1000);
    http_add_header(call->request, "Retry-After", seconds);
    call_refuse(call, ERR_THROTTLED, "throttled", "too many refused tokens from this address");
    return false;
}

/* False: refused and ended. */
static bool
check_agent(struct call *call, const struct shape *shape, struct instance_hello *hello)
{
    char what[HTTP_ADDRESS_SIZE + TOKEN_ID_SIZE];
    char key[TOKEN_KEY_SIZE];
    const char *secret = "";
    const char *hash = "";
    *hello = (struct instance_hello){ .connector = "", .name = "", .session = "", .token = "" };
    if (call_unloaded(call) || call_body(call, shape, false) == NULL)
        return false;
    (void)!json_get_string(call->body, "token_id", &hello->token);
    (void)!json_get_string(call->body, "secret", &secret);
    (void)!json_get_string(call->body, "connector", &hello->connector);
    (void)!json_get_string(call->body, "instance", &hello->name);
    (void)!json_get_string(call->body, "session", &hello->session);
    (void)snprintf(what, sizeof what, "%s %.16s", call->request->address, hello->token);
    if (!may_try(call, what))
        return false;
    (void)snprintf(key, sizeof key, "agent/%.16s", hello->token);
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry == NULL || !json_get_string(cache_value(entry), "hash", &hash) ||
        !token_matches(secret, hash) ||
        !registry_token_holds(call->api->core->registry, hello->token, hello->connector)) {
        refuse_token(call, hello->connector);
        return false;
    }
    auth_forgive(call->api->auth, "agent", what);
    return true;
}

/* Where the agent is to be heard from now on: it has learned of new members, and of those gone. */
static struct json_object *
nodes_json(const struct call *call)
{
    struct json_object *list = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(call_cache(call), "node/", "", &at)) != NULL;) {
        bool removed = false;
        const char *address;
        if ((json_get_bool(cache_value(entry), "removed", &removed) && removed) ||
            !json_get_string(cache_value(entry), "address", &address))
            continue;
        struct json_object *node = json_object_new_object();
        json_add_string(node, "node", entry->key + strlen("node/"));
        json_add_string(node, "address", address);
        (void)json_object_array_add(list, node);
    }
    return list;
}

void
serve_agent_beat(struct call *call)
{
    struct err err;
    struct instance_hello hello;
    const struct setting_source *source = cache_settings(call_cache(call));
    if (!check_agent(call, &beat_shape, &hello))
        return;
    hello.version = "";
    hello.text = "";
    hello.address = NULL;
    hello.metadata = json_get(call->body, "metadata");
    (void)!json_get_string(call->body, "version", &hello.version);
    (void)!json_get_string(call->body, "text", &hello.text);
    (void)!json_get_string(call->body, "address", &hello.address);
    (void)!json_get_i64(call->body, "began_ms", &hello.began_ms);
    (void)!json_get_bool(call->body, "healthy", &hello.healthy);
    if (registry_hear(call->api->core->registry, &hello, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    struct json_object *document = json_object_new_object();
    json_add_string(document, "node", call->api->core->home->node);
    json_add_u64(document, "heartbeat_ms", setting_u64(SETTING_INSTANCE_HEARTBEAT_MS, source));
    json_add_u64(document, "silence_ms", setting_u64(SETTING_INSTANCE_SILENCE_MS, source));
    json_add(document, "nodes", nodes_json(call));
    call_reply(call, 200, document);
}

void
serve_agent_leave(struct call *call)
{
    struct instance_hello hello;
    if (!check_agent(call, &leave_shape, &hello))
        return;
    registry_leave(call->api->core->registry, hello.connector, hello.name, hello.session);
    struct json_object *document = json_object_new_object();
    json_add_bool(document, "ended", true);
    call_reply(call, 200, document);
}
