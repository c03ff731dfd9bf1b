/*
 * member.c -- nodes, sites, join tokens, and a new machine that becomes a member.
 *
 *   token create -> token/ID {hash, site, host, expires_at}            the secret is shown once
 *   join         -> check, sign, one write: token used (if_match: only once, ever) and node/NAME
 *   node remove  -> one write: node/NAME removed                  refused from then on (auth.h U1)
 */
#include <stdio.h>
#include <string.h>

#include "controller/api/invite.h"
#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/setup.h"
#include "controller/daemon/token.h"
#include "controller/daemon/view.h"
#include "controller/loop/cert.h"

#define TOKEN_TTL_S     3600
#define TOKEN_TTL_S_MIN 60
#define TOKEN_TTL_S_MAX 604800

void
serve_node_list(struct call *call)
{
    call_reply_read(call, view_nodes(call->api->core));
}

void
serve_site_list(struct call *call)
{
    call_reply_read(call, view_sites(call->api->core));
}

static bool
is_removed(struct json_object *node)
{
    bool removed = false;
    return json_get_bool(node, "removed", &removed) && removed;
}

/* The group for one system key; 'value' is taken. */
static struct json_object *
group_of(struct call *call, const char *reason, const char *key, struct json_object *value,
         uint64_t if_match)
{
    struct json_object *group = writer_group(call->caller.author, reason);
    if (value != NULL)
        writer_group_put(group, key, "", value, if_match);
    else
        writer_group_delete(group, key, "", if_match);
    return group;
}

/* node/NAME of one that is no member any more. The value is shared with the cache: a copy changes.
 */
static void
put_removed(struct json_object *group, const struct cache_entry *node)
{
    struct json_object *value = NULL;
    ASSERT(json_object_deep_copy(cache_value(node), &value, NULL) == 0);
    json_add_bool(value, "removed", true);
    writer_group_put(group, node->key, "", value, node->revision);
}

void
serve_node_remove(struct call *call)
{
    char key[ROUTE_PARAM_SIZE + 16];
    const char *name = call_param(call);
    CLEANUP(freep) char *reason = NULL;
    if (!call_reason(call, &reason))
        return;
    (void)snprintf(key, sizeof key, "node/%s", name);
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry == NULL || is_removed(cache_value(entry))) {
        call_refuse(call, ERR_NOT_FOUND, "node_not_found", "no member '%.63s'", name);
        return;
    }
    if (strcmp(driver_primary(call->api->core->driver).name, name) == 0) {
        struct err err;
        (void)err_set(&err, ERR_CONFLICT, "node_is_primary", "%s is the primary", name);
        (void)err_mend(&err, "promote another node first: baton promote");
        call_fail(call, &err);
        return;
    }
    struct json_object *group = writer_group(call->caller.author, reason);
    put_removed(group, entry);
    call_write(call, group, NULL);
}

/* ---- tokens ---- */

static const char *
token_state(struct json_object *value, int64_t now_ms)
{
    int64_t expires_ms = 0;
    const char *used_by;
    if (json_get_string(value, "used_by", &used_by))
        return "used";
    if (!json_get_i64(value, "expires_ms", &expires_ms) || now_ms >= expires_ms)
        return "expired";
    return "open";
}

void
serve_token_list(struct call *call)
{
    struct json_object *document = json_object_new_object();
    struct json_object *tokens = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(call_cache(call), "token/", "", &at)) != NULL;) {
        struct json_object *value = cache_value(entry);
        struct json_object *token = json_object_new_object();
        int64_t expires_ms = 0;
        char when[CLOCK_TEXT_SIZE];
        const char *site = "";
        const char *host = NULL;
        const char *used_by = NULL;
        const char *created_by = entry->author;
        const char *created_at = entry->at;
        (void)!json_get_string(value, "site", &site);
        (void)!json_get_string(value, "host", &host);
        (void)!json_get_string(value, "used_by", &used_by);
        (void)!json_get_string(value, "created_by", &created_by);
        (void)!json_get_string(value, "created_at", &created_at);
        (void)!json_get_i64(value, "expires_ms", &expires_ms);
        json_add_string(token, "id", entry->key + strlen("token/")); /* A2: never the hash */
        json_add_string(token, "site", site);
        json_add_string(token, "host", host);
        json_add_string(token, "state", token_state(value, clock_wall_ms()));
        json_add_string(token, "expires_at", clock_wall_text(expires_ms, when));
        json_add_string(token, "created_by", created_by);
        json_add_string(token, "created_at", created_at);
        json_add_string(token, "used_by", used_by);
        (void)json_object_array_add(tokens, token);
    }
    json_add(document, "tokens", tokens);
    call_reply(call, 200, document);
}

static const struct shape token_members[] = {
    { .name = "site", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63 },
    { .name = "host", .type = SHAPE_TEXT, .min = 1, .max = 253 },
    { .name = "ttl_s", .type = SHAPE_INTEGER, .min = TOKEN_TTL_S_MIN, .max = TOKEN_TTL_S_MAX },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape token_shape = { .type = SHAPE_OBJECT, .inside = token_members };

void
serve_token_create(struct call *call)
{
    struct err err;
    uint64_t ttl_s = TOKEN_TTL_S;
    const char *site = "";
    const char *host = NULL;
    char hash[TOKEN_HASH_SIZE];
    char now[CLOCK_TEXT_SIZE];
    char key[TOKEN_ID_SIZE + 16];
    CLEANUP(freep) char *reason = NULL;
    if (call_body(call, &token_shape, false) == NULL || !call_reason(call, &reason))
        return;
    (void)!json_get_string(call->body, "site", &site);
    (void)!json_get_u64(call->body, "ttl_s", &ttl_s);
    if (!str_is_name(site)) {
        call_refuse(call, ERR_INVALID, "name_invalid", "'%.63s' is not a name for a site", site);
        return;
    }
    if (json_get_string(call->body, "host", &host) && !home_is_host(host)) {
        call_refuse(call, ERR_INVALID, "host_invalid", "'%.63s' is no name or address of a host",
                    host);
        return;
    }
    struct invite *made = invite_new(call);
    made->token.site = str_dup(site);
    made->token.host = host == NULL ? NULL : str_dup(host);
    made->expires_ms = clock_wall_ms() + (int64_t)ttl_s * 1000;
    if (invite_fill(call, made, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    ASSERT(token_hash(made->token.secret, hash));
    struct json_object *value = json_object_new_object();
    json_add_string(value, "hash", hash);
    json_add_string(value, "site", site);
    json_add_string(value, "host", host);
    json_add_i64(value, "expires_ms", made->expires_ms);
    json_add_string(value, "used_by", NULL);
    json_add_string(value, "created_by", call->caller.author);
    json_add_string(value, "created_at", clock_wall_text(clock_wall_ms(), now));
    (void)snprintf(key, sizeof key, "token/%s", made->token.id);
    call_write(call, group_of(call, reason, key, value, 0), invite_reply);
}

void
serve_token_revoke(struct call *call)
{
    char key[ROUTE_PARAM_SIZE + 16];
    CLEANUP(freep) char *reason = NULL;
    if (!call_reason(call, &reason))
        return;
    (void)snprintf(key, sizeof key, "token/%s", call_param(call));
    const struct cache_entry *entry = cache_get(call_cache(call), key, "");
    if (entry == NULL)
        call_refuse(call, ERR_NOT_FOUND, "token_not_found", "no token '%.63s'", call_param(call));
    else
        call_write(call, group_of(call, reason, key, NULL, entry->revision), NULL);
}

/* ---- joining ---- */

struct join {
    char *certificate; /* owned */
    char *site;        /* owned */
    char *node;        /* owned */
    unsigned generation;
};

static void
join_free(void *state)
{
    struct join *join = state;
    free(join->certificate);
    free(join->site);
    free(join->node);
    free(join);
}

static void
refuse_token(struct call *call)
{
    struct err err;
    (void)err_set(&err, ERR_LOGIN, "token_invalid",
                  "the join token is unknown, used, revoked or expired");
    (void)err_mend(&err, "make a new one on a member: baton token create");
    call_fail(call, &err);
}

static struct json_object *
list_members(const struct cache *cache)
{
    struct json_object *members = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;) {
        struct json_object *value = cache_value(entry);
        struct json_object *member = json_object_new_object();
        if (is_removed(value)) {
            (void)json_object_put(member);
            continue;
        }
        json_add_string(member, "node", entry->key + strlen("node/"));
        json_add(member, "site", json_object_get(json_get(value, "site")));
        json_add(member, "address", json_object_get(json_get(value, "address")));
        json_add(member, "pg", json_object_get(json_get(value, "pg")));
        (void)json_object_array_add(members, member);
    }
    return members;
}

static void
on_joined(struct call *call, const struct writer_result *result)
{
    (void)result;
    struct err err;
    struct join *join = call->state;
    const struct home *home = call->api->core->home;
    struct json_object *reply = NULL;
    log_info("join.done", "node=%s site=%s address=%s", join->node, join->site,
             call->request->address);
    auth_forgive(call->api->auth, "join", call->request->address);
    if (setup_make_reply(home->folder, home->cluster, home->cluster_id, join->site,
                         join->certificate, list_members(call_cache(call)), &reply,
                         &err) != ERR_NONE)
        call_fail(call, &err);
    else
        call_reply(call, 201, reply);
}

/* node/NAME of the new member. */
static struct json_object *
node_value(const struct setup_request *request, const char *site, unsigned generation)
{
    char now[CLOCK_TEXT_SIZE];
    struct json_object *value = json_object_new_object();
    struct json_object *pg = json_object_new_object();
    json_add_string(pg, "host", request->pg_host);
    json_add_u64(pg, "port", request->pg_port);
    json_add_string(pg, "dbname", request->pg_dbname);
    json_add_string(value, "site", site);
    json_add_string(value, "address", request->address);
    json_add(value, "pg", pg);
    json_add_u64(value, "generation", generation);
    json_add_string(value, "joined_at", clock_wall_text(clock_wall_ms(), now));
    json_add_bool(value, "removed", false);
    return value;
}

/* The token's row and the node's: both are as they were looked at, or nothing is written. 'lost':
 * the member whose place it takes, or NULL. */
static struct json_object *
join_group(struct call *call, const struct cache_entry *token, const struct cache_entry *node,
           const struct cache_entry *lost, const struct setup_request *request)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    char author[AUTH_AUTHOR_SIZE];
    struct join *join = call->state;
    struct json_object *used = NULL;
    ASSERT(json_object_deep_copy(cache_value(token), &used, NULL) == 0);
    json_add_string(used, "used_by", request->node);
    (void)snprintf(author, sizeof author, "%.63s", request->node);
    struct json_object *group = writer_group(author, "join");
    writer_group_put(group, token->key, "", used, token->revision);
    (void)snprintf(key, sizeof key, "node/%s", request->node);
    writer_group_put(group, key, "", node_value(request, join->site, join->generation),
                     node == NULL ? 0 : node->revision);
    if (lost != NULL)
        put_removed(group, lost);
    return group;
}

static const struct shape join_any = { .type = SHAPE_ANY };

static void
join_checked(struct call *call, const struct setup_request *request,
             const struct cache_entry *token, const char *site)
{
    struct err err;
    char key[SETTING_KEY_SIZE_MAX + 1];
    const struct home *home = call->api->core->home;
    (void)snprintf(key, sizeof key, "node/%.63s", request->node);
    const struct cache_entry *node = cache_get(call_cache(call), key, "");
    if (node != NULL && !is_removed(cache_value(node))) {
        (void)err_set(&err, ERR_CONFLICT, "node_exists", "there is a member '%s' already",
                      request->node);
        (void)err_mend(&err, "choose another name, or first: baton node remove %s", request->node);
        call_fail(call, &err);
        return;
    }
    char name[NODE_NAME_SIZE];
    if (driver_admit(call->api->core->driver, name, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    (void)snprintf(key, sizeof key, "node/%s", name);
    const struct cache_entry *lost = name[0] == '\0' ? NULL : cache_get(call_cache(call), key, "");
    if (lost != NULL)
        log_warn("join.replaces", "node=%s lost=%s", request->node, name);
    struct join *join = mem_zero(1, sizeof *join);
    call->state = join;
    call->state_free = join_free;
    join->site = str_dup(site);
    join->node = str_dup(request->node);
    join->generation = node == NULL ? 1 : setup_generation(cache_value(node)) + 1;
    if (setup_sign_join(home->folder, home->cluster_id, request, join->generation,
                        &join->certificate, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    call_write(call, join_group(call, token, node, lost, request), on_joined);
}

void
serve_join(struct call *call)
{
    struct err err;
    struct setup_request request = { 0 };
    char key[SETTING_KEY_SIZE_MAX + 1];
    const char *site = NULL;
    if (call_unloaded(call))
        return;
    uint64_t wait_ms = auth_try(call->api->auth, "join", call->request->address);
    if (wait_ms > 0) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(wait_ms + 999) / 1000);
        http_add_header(call->request, "Retry-After", seconds);
        call_refuse(call, ERR_THROTTLED, "throttled", "too many wrong tokens from this address");
        return;
    }
    if (call_body(call, &join_any, false) == NULL)
        return;
    if (setup_read_request(call->body, &request, &err) != ERR_NONE) {
        call_fail(call, &err);
        return;
    }
    if (strlen(request.token_id) >= TOKEN_ID_SIZE) {
        refuse_token(call);
        return;
    }
    (void)snprintf(key, sizeof key, "token/%s", request.token_id);
    const struct cache_entry *token = cache_get(call_cache(call), key, "");
    if (token == NULL ||
        setup_check_token(cache_value(token), &request, clock_wall_ms(), &site, &err) != ERR_NONE) {
        log_warn("join.refused", "node=%.63s address=%s", request.node, call->request->address);
        refuse_token(call);
        return;
    }
    const char *host = NULL;
    (void)!json_get_string(cache_value(token), "host", &host);
    if (setup_check_host(host, request.address, &err) != ERR_NONE) {
        log_warn("join.refused", "node=%.63s address=%s host=%s", request.node,
                 call->request->address, host);
        call_fail(call, &err);
        return;
    }
    join_checked(call, &request, token, site);
}
