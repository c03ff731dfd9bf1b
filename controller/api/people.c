/*
 * people.c -- logging in and out, and who may.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/password.h"

/* ---- log in, log out ---- */

static void
on_login(void *data, const struct auth_session *session, uint64_t wait_ms, const struct err *err)
{
    struct call *call = data;
    char text[256];
    if (err != NULL) {
        if (wait_ms > 0) {
            (void)snprintf(text, sizeof text, "%llu", (unsigned long long)(wait_ms + 999) / 1000);
            http_add_header(call->request, "Retry-After", text);
        }
        call_fail(call, err);
        return;
    }
    struct json_object *document = json_object_new_object();
    const char *user = "";
    char when[CLOCK_TEXT_SIZE];
    (void)!json_get_string(call->body, "user", &user);
    json_add_string(document, "token", session->text);
    json_add_string(document, "user", user);
    json_add_string(document, "role", caller_role_name(session->role));
    json_add_string(document, "expires_at", clock_wall_text(session->expires_ms, when));
    (void)snprintf(text, sizeof text,
                   AUTH_COOKIE "=%s; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Strict",
                   session->text, (long long)session->max_age_s);
    http_add_header(call->request, "Set-Cookie", text);
    sodium_memzero(text, sizeof text);
    call_reply(call, 200, document);
}

/* The text belongs to the body, which is not used for it any more. */
static void
wipe(const char *secret)
{
    sodium_memzero((char *)(uintptr_t)secret, strlen(secret));
}

static const struct shape login_members[] = {
    { .name = "user", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 63 },
    { .name = "password",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = PASSWORD_SIZE_MAX },
    { .name = NULL },
};
static const struct shape login_shape = { .type = SHAPE_OBJECT, .inside = login_members };

void
serve_login(struct call *call)
{
    const char *user = "";
    const char *password = "";
    if (call_unloaded(call) || call_body(call, &login_shape, false) == NULL)
        return;
    (void)!json_get_string(call->body, "user", &user);
    (void)!json_get_string(call->body, "password", &password);
    CLEANUP(cert_secret_freep) char *copy = str_dup(password);
    wipe(password); /* the call may be over when auth_login() returns */
    auth_login(call->api->auth, user, copy, call->request->address, on_login, call);
}

void
serve_logout(struct call *call)
{
    auth_logout(call->api->auth, call->caller.session);
    http_add_header(call->request, "Set-Cookie",
                    AUTH_COOKIE "=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict");
    call_reply(call, 200, json_object_new_object());
}

/* ---- users ---- */

void
serve_user_list(struct call *call)
{
    struct json_object *document = json_object_new_object();
    struct json_object *users = json_object_new_array();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(call_cache(call), "user/", "", &at)) != NULL;) {
        const char *role = "viewer";
        struct json_object *user = json_object_new_object();
        (void)!json_get_string(cache_value(entry), "role", &role);
        json_add_string(user, "name", entry->key + strlen("user/")); /* A2: never the hash */
        json_add_string(user, "role", role);
        json_add_string(user, "changed_at", entry->at);
        json_add_string(user, "changed_by", entry->author);
        (void)json_object_array_add(users, user);
    }
    json_add(document, "users", users);
    call_reply(call, 200, document);
}

static const struct cache_entry *
find_user(struct call *call, char key[ROUTE_PARAM_SIZE + 8])
{
    (void)snprintf(key, ROUTE_PARAM_SIZE + 8, "user/%s", call_param(call));
    return cache_get(call_cache(call), key, "");
}

static bool
is_admin(const struct cache_entry *user)
{
    const char *role = "";
    return user != NULL && json_get_string(cache_value(user), "role", &role) &&
           strcmp(role, caller_role_name(CALLER_ADMIN)) == 0;
}

/* Would nobody be administrator without this one? */
static bool
is_last_admin(struct call *call, const struct cache_entry *user)
{
    const struct cache_entry *entry;
    size_t others = 0;
    for (size_t at = 0; (entry = cache_next(call_cache(call), "user/", "", &at)) != NULL;) {
        if (entry != user && is_admin(entry))
            others++;
    }
    return is_admin(user) && others == 0;
}

struct user_change {
    char key[ROUTE_PARAM_SIZE + 8];
    char role[16];
    uint64_t revision; /* 0: a new user */
    char *reason;      /* owned */
};

static void
user_change_free(void *state)
{
    struct user_change *change = state;
    free(change->reason);
    free(change);
}

static void
write_user(struct call *call, const char *hash)
{
    struct user_change *change = call->state;
    struct json_object *value = json_object_new_object();
    struct json_object *group = writer_group(call->caller.author, change->reason);
    json_add_string(value, "hash", hash);
    json_add_string(value, "role", change->role);
    writer_group_put(group, change->key, "", value, change->revision);
    call_write(call, group, NULL);
}

static void
on_hashed(void *data, const char *hash, const struct err *err)
{
    struct call *call = data;
    if (err != NULL)
        call_fail(call, err);
    else
        write_user(call, hash);
}

static const struct shape user_members[] = {
    { .name = "password", .type = SHAPE_TEXT, .min = 1, .max = 4096 },
    { .name = "role", .type = SHAPE_CHOICE, .choices = "viewer|operator|admin" },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape user_shape = { .type = SHAPE_OBJECT, .inside = user_members };

/* False: refused and ended. */
static bool
check_user_set(struct call *call, const struct cache_entry *user, const char *password,
               const char *role)
{
    struct err err;
    const char *name = call_param(call);
    bool own = call->caller.session[0] != '\0' && strcmp(call->caller.author, name) == 0;
    if (!str_is_name(name)) {
        call_refuse(call, ERR_INVALID, "name_invalid", "'%.63s' is not a name", name);
        return false;
    }
    if (call->caller.role < CALLER_ADMIN && (!own || role != NULL)) {
        call_refuse(call, ERR_DENIED, "role_needed",
                    "%s is %s: only the own password may be changed", call->caller.author,
                    caller_role_name(call->caller.role));
        return false;
    }
    if (password == NULL && role == NULL) {
        call_refuse(call, ERR_INVALID, "body_invalid", "neither a password nor a role");
        return false;
    }
    if (user == NULL && (password == NULL || role == NULL)) {
        call_refuse(call, ERR_INVALID, "body_invalid", "a new user needs a password and a role");
        return false;
    }
    if (role != NULL && strcmp(role, "admin") != 0 && is_last_admin(call, user)) {
        call_refuse(call, ERR_CONFLICT, "last_admin", "'%s' is the last administrator", name);
        return false;
    }
    if (password != NULL && password_check(password, &err) != ERR_NONE) {
        call_fail(call, &err);
        return false;
    }
    return true;
}

void
serve_user_set(struct call *call)
{
    const char *password = NULL;
    const char *role = NULL;
    const char *hash = NULL;
    CLEANUP(freep) char *reason = NULL;
    if (call_body(call, &user_shape, false) == NULL || !call_reason(call, &reason))
        return;
    (void)!json_get_string(call->body, "password", &password);
    (void)!json_get_string(call->body, "role", &role);
    struct user_change *change = mem_zero(1, sizeof *change);
    call->state = change;
    call->state_free = user_change_free;
    const struct cache_entry *user = find_user(call, change->key);
    if (!check_user_set(call, user, password, role))
        return;
    change->reason = take_ptr(&reason);
    change->revision = user == NULL ? 0 : user->revision;
    if (role == NULL && !json_get_string(cache_value(user), "role", &role))
        role = "viewer";
    ASSERT(str_copy(change->role, sizeof change->role, role));
    if (password != NULL) {
        CLEANUP(cert_secret_freep) char *copy = str_dup(password);
        wipe(password);
        auth_hash(call->api->auth, copy, on_hashed, call);
    } else if (json_get_string(cache_value(user), "hash", &hash)) {
        write_user(call, hash);
    } else {
        call_refuse(call, ERR_INVALID, "body_invalid", "this user has no password yet: give one");
    }
}

static void
on_user_deleted(struct call *call, const struct writer_result *result)
{
    auth_end_user(call->api->auth, call_param(call));
    call_reply_written(call, 200, result);
}

void
serve_user_delete(struct call *call)
{
    char key[ROUTE_PARAM_SIZE + 8];
    CLEANUP(freep) char *reason = NULL;
    if (!call_reason(call, &reason))
        return;
    const struct cache_entry *user = find_user(call, key);
    if (user == NULL) {
        call_refuse(call, ERR_NOT_FOUND, "user_not_found", "no user '%.63s'", call_param(call));
    } else if (is_last_admin(call, user)) {
        call_refuse(call, ERR_CONFLICT, "last_admin", "'%s' is the last administrator",
                    call_param(call));
    } else {
        struct json_object *group = writer_group(call->caller.author, reason);
        writer_group_delete(group, key, "", user->revision);
        call_write(call, group, on_user_deleted);
    }
}
