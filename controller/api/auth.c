#include "controller/api/auth.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "controller/api/session.h"
#include "controller/api/throttle.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/setup.h"
#include "controller/loop/cert.h"
#include "controller/loop/password.h"
#include "controller/loop/worker.h"

struct auth {
    struct core *core; /* borrowed */
    struct sessions *sessions;
    struct throttle *throttle;
    size_t logins_now;
    struct auth_counters counters;
};

static const char *const role_names[] = {
    [CALLER_NONE] = "nobody", [CALLER_VIEWER] = "viewer", [CALLER_OPERATOR] = "operator",
    [CALLER_ADMIN] = "admin", [CALLER_NODE] = "node",
};

const char *
caller_role_name(enum caller_role role)
{
    return role_names[role];
}

bool
caller_role_parse(const char *name, enum caller_role *ret_role)
{
    for (enum caller_role role = CALLER_VIEWER; role <= CALLER_ADMIN; role++) {
        if (strcmp(role_names[role], name) == 0) {
            *ret_role = role;
            return true;
        }
    }
    return false;
}

struct auth *
auth_new(struct core *core)
{
    struct auth *auth = mem_zero(1, sizeof *auth);
    auth->core = core;
    auth->sessions = sessions_new();
    auth->throttle = throttle_new();
    return auth;
}

void
auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    ASSERT(auth->logins_now == 0);
    sessions_free(auth->sessions);
    throttle_free(auth->throttle);
    free(auth);
}

/* ---- certificates ---- */

/* A member that our copy of the config does not know yet has joined lately: only a member can have
 * signed its certificate. One that was removed, or whose name another has now, is known to be. */
static bool
is_out(const struct auth *auth, const char *node, unsigned generation)
{
    char key[CERT_NAME_SIZE + 8];
    bool removed = false;
    (void)snprintf(key, sizeof key, "node/%s", node);
    const struct cache_entry *entry = cache_get(auth->core->cache, key, "");
    if (entry == NULL)
        return false;
    uint64_t now = setup_generation(cache_value(entry));
    if (!json_get_bool(cache_value(entry), "removed", &removed))
        removed = false;
    return generation < now || (removed && generation == now);
}

static enum err_code
check_member(struct auth *auth, const struct tls_peer *peer, struct err *err)
{
    if (strcmp(peer->organization, auth->core->home->cluster_id) != 0)
        return err_set(err, ERR_DENIED, "not_a_member",
                       "the certificate of '%s' is of another cluster", peer->name);
    if (peer->generation == 0)
        return err_set(err, ERR_DENIED, "not_a_member", "the certificate names no node");
    if (is_out(auth, peer->name, peer->generation))
        return err_set(err, ERR_DENIED, "not_a_member", "'%s' was removed from the cluster",
                       peer->name);
    return ERR_NONE;
}

static enum err_code
by_certificate(struct auth *auth, const struct tls_peer *peer, struct caller *ret_caller,
               struct err *err)
{
    const char *self = auth->core->home->node;
    if (check_member(auth, peer, err) != ERR_NONE) {
        auth->counters.refused_certificates++;
        return err_mend(err, "join the cluster again with a new token");
    }
    ret_caller->is_node = true;
    ret_caller->is_self = strcmp(peer->name, self) == 0;
    ret_caller->generation = peer->generation;
    ret_caller->role = ret_caller->is_self ? CALLER_ADMIN : CALLER_VIEWER;
    (void)snprintf(ret_caller->node, sizeof ret_caller->node, "%.63s", peer->name);
    (void)snprintf(ret_caller->author, sizeof ret_caller->author, "%s%.63s",
                   ret_caller->is_self ? "root@" : "", peer->name);
    return ERR_NONE;
}

/* ---- sessions ---- */

static const struct cache_entry *
find_user(const struct auth *auth, const char *user, enum caller_role *ret_role)
{
    char key[SESSION_USER_SIZE + 8];
    const char *role;
    (void)snprintf(key, sizeof key, "user/%s", user);
    const struct cache_entry *entry = cache_get(auth->core->cache, key, "");
    if (entry == NULL || !json_get_string(cache_value(entry), "role", &role) ||
        !caller_role_parse(role, ret_role))
        return NULL;
    return entry;
}

static enum err_code
by_session(struct auth *auth, const char *text, struct caller *ret_caller, struct err *err)
{
    const struct setting_source *source = cache_settings(auth->core->cache);
    struct session_limits limits = { .idle_ms = setting_u64(SETTING_SESSION_IDLE_MS, source),
                                     .max_ms = setting_u64(SETTING_SESSION_MAX_MS, source) };
    const struct session *session = sessions_find(auth->sessions, text, clock_now_ms(), &limits);
    enum caller_role role;
    const struct cache_entry *user = session == NULL ? NULL : find_user(auth, session->user, &role);
    if (user == NULL || user->revision != session->user_revision) { /* U2 */
        sessions_end(auth->sessions, text);
        (void)err_set(err, ERR_LOGIN, "session_expired",
                      "the session has ended, or never was here");
        return err_mend(err, "log in again: baton login");
    }
    ret_caller->role = role;
    (void)snprintf(ret_caller->author, sizeof ret_caller->author, "%s", session->user);
    ASSERT(str_copy(ret_caller->session, sizeof ret_caller->session, text));
    return ERR_NONE;
}

bool
auth_holds(const struct auth *auth, const struct caller *caller)
{
    const struct setting_source *source = cache_settings(auth->core->cache);
    struct session_limits limits = { .idle_ms = UINT64_MAX,
                                     .max_ms = setting_u64(SETTING_SESSION_MAX_MS, source) };
    enum caller_role role;
    if (caller->session[0] == '\0')
        return !caller->is_node || !is_out(auth, caller->node, caller->generation);
    uint64_t now_ms = clock_now_ms();
    const struct session *session = sessions_look(auth->sessions, caller->session, now_ms, &limits);
    const struct cache_entry *user = session == NULL ? NULL : find_user(auth, session->user, &role);
    return user != NULL && user->revision == session->user_revision && role >= CALLER_VIEWER;
}

/* U3: browsers send Origin with everything that may change something. */
static enum err_code
check_origin(const struct http_request *request, struct err *err)
{
    const char *origin = http_header(request, "Origin");
    const char *host = http_header(request, "Host");
    if (request->verb == HTTP_VERB_GET || request->verb == HTTP_VERB_HEAD)
        return ERR_NONE;
    if (origin != NULL && host != NULL && str_starts(origin, "https://") &&
        strcmp(origin + strlen("https://"), host) == 0)
        return ERR_NONE;
    (void)err_set(err, ERR_DENIED, "origin",
                  "a cookie counts for a change only from our own pages");
    return err_mend(err, "programs send the session as bearer token");
}

enum err_code
auth_caller(struct auth *auth, const struct http_request *request, struct caller *ret_caller,
            struct err *err)
{
    char cookie[AUTH_TEXT_SIZE];
    const char *header = http_header(request, "Authorization");
    *ret_caller = (struct caller){ .role = CALLER_NONE };
    err_clear(err);
    if (request->peer != NULL && by_certificate(auth, request->peer, ret_caller, err) != ERR_NONE)
        return err->code; /* U1 */
    if (header != NULL) {
        if (strncasecmp(header, "Bearer ", 7) != 0 || strlen(header + 7) >= AUTH_TEXT_SIZE)
            return err_set(err, ERR_LOGIN, "session_expired", "Authorization is no bearer token");
        *ret_caller = (struct caller){ .role = CALLER_NONE };
        return by_session(auth, header + 7, ret_caller, err);
    }
    if (request->peer == NULL && http_cookie(request, AUTH_COOKIE, cookie, sizeof cookie)) {
        if (by_session(auth, cookie, ret_caller, err) != ERR_NONE)
            return err->code;
        return check_origin(request, err);
    }
    return ERR_NONE;
}

enum err_code
auth_require(const struct caller *caller, enum caller_role need, struct err *err)
{
    if (need == CALLER_NODE ? caller->is_node : caller->role >= need)
        return ERR_NONE;
    if (caller->role == CALLER_NONE) {
        (void)err_set(err, ERR_LOGIN, "login_needed", "no session and no member certificate");
        return err_mend(err, "log in: baton login");
    }
    if (need == CALLER_NODE)
        return err_set(err, ERR_DENIED, "role_needed", "this is between members only");
    (void)err_set(err, ERR_DENIED, "role_needed", "%s is %s, this needs %s", caller->author,
                  caller_role_name(caller->role), caller_role_name(need));
    return err_mend(err, "ask an administrator");
}

/* ---- logging in ---- */

struct login {
    struct auth *auth;
    char user[SESSION_USER_SIZE];
    char address[HTTP_ADDRESS_SIZE];
    char password[PASSWORD_SIZE_MAX + 1]; /* wiped */
    char hash[PASSWORD_HASH_SIZE];        /* "" for an unknown user */
    uint64_t revision;                    /* of the user's row that 'hash' is from */
    bool right;
    auth_done *done;
    void *data;
};

static struct throttle_limits
login_limits(const struct auth *auth)
{
    const struct setting_source *source = cache_settings(auth->core->cache);
    return (struct throttle_limits){
        .failures_max = setting_u64(SETTING_LOGIN_FAILURES_MAX, source),
        .delay_ms = setting_u64(SETTING_LOGIN_DELAY_MS, source),
        .delay_max_ms = setting_u64(SETTING_LOGIN_DELAY_MAX_MS, source),
    };
}

static void
suspect_key(char key[THROTTLE_KEY_SIZE], const char *what, const char *whom)
{
    (void)snprintf(key, THROTTLE_KEY_SIZE, "%s %.100s", what, whom);
}

uint64_t
auth_try(struct auth *auth, const char *what, const char *address)
{
    char key[THROTTLE_KEY_SIZE];
    struct throttle_limits limits = login_limits(auth);
    suspect_key(key, what, address);
    return throttle_try(auth->throttle, key, clock_now_ms(), &limits);
}

void
auth_forgive(struct auth *auth, const char *what, const char *address)
{
    char key[THROTTLE_KEY_SIZE];
    suspect_key(key, what, address);
    throttle_forgive(auth->throttle, key);
}

static void
login_free(struct login *login)
{
    sodium_memzero(login, sizeof *login);
    free(login);
}

static void
login_run(void *job)
{
    struct login *login = job;
    login->right = password_verify(login->password, *login->hash == '\0' ? NULL : login->hash);
    sodium_memzero(login->password, sizeof login->password);
}

static void
login_good(struct login *login, enum caller_role role)
{
    struct auth *auth = login->auth;
    struct auth_session session = { .role = role };
    const struct setting_source *source = cache_settings(auth->core->cache);
    uint64_t max_ms = setting_u64(SETTING_SESSION_MAX_MS, source);
    char key[THROTTLE_KEY_SIZE];
    suspect_key(key, "user", login->user);
    throttle_clear(auth->throttle, key);
    /* the address is only forgiven this one: else a known account would reset a guesser's count */
    auth_forgive(auth, "address", login->address);
    sessions_begin(auth->sessions, login->user, login->revision, clock_now_ms(), session.text);
    session.expires_ms = clock_wall_ms() + (int64_t)max_ms;
    session.max_age_s = (int64_t)(max_ms / 1000);
    auth->counters.logins++;
    log_info("login.good", "user=%s address=%s role=%s", login->user, login->address,
             caller_role_name(role));
    login->done(login->data, &session, 0, NULL);
    sodium_memzero(&session, sizeof session);
}

static void
login_done(void *job, bool ran)
{
    struct login *login = job;
    struct auth *auth = login->auth;
    struct err err;
    enum caller_role role;
    auth->logins_now--;
    const struct cache_entry *user = find_user(auth, login->user, &role);
    if (!ran) {
        (void)err_set(&err, ERR_UNAVAILABLE, "busy", "this node stops");
        auth_forgive(auth, "user", login->user);
        auth_forgive(auth, "address", login->address);
        login->done(login->data, NULL, 0, &err);
    } else if (login->right && user != NULL && user->revision == login->revision) {
        login_good(login, role);
    } else {
        auth->counters.failures++;
        /* what cannot be a name may be a password, or a line of its own */
        log_warn("login.failed", "user=%s address=%s", str_is_name(login->user) ? login->user : "?",
                 login->address);
        (void)err_set(&err, ERR_LOGIN, "login_failed", "user or password is wrong");
        login->done(login->data, NULL, 0, &err);
    }
    login_free(login);
}

/* 0: go on, and both counts have risen. */
static uint64_t
login_wait(struct auth *auth, const char *user, const char *address)
{
    uint64_t wait_ms = auth_try(auth, "address", address);
    if (wait_ms > 0)
        return wait_ms;
    wait_ms = auth_try(auth, "user", user);
    if (wait_ms > 0)
        auth_forgive(auth, "address", address);
    return wait_ms;
}

void
auth_login(struct auth *auth, const char *user, const char *password, const char *address,
           auth_done *done, void *data)
{
    struct err err;
    enum caller_role role;
    uint64_t wait_ms = login_wait(auth, user, address);
    if (wait_ms > 0) {
        auth->counters.throttled++;
        (void)err_set(&err, ERR_THROTTLED, "login_throttled",
                      "too many wrong passwords for this account or from this address");
        (void)err_mend(&err, "wait %llu s", (unsigned long long)(wait_ms + 999) / 1000);
        done(data, NULL, wait_ms, &err);
        return;
    }
    struct login *login = mem_zero(1, sizeof *login);
    const char *hash = NULL;
    login->auth = auth;
    login->done = done;
    login->data = data;
    ASSERT(str_copy(login->user, sizeof login->user, user));
    ASSERT(str_copy(login->password, sizeof login->password, password));
    (void)snprintf(login->address, sizeof login->address, "%s", address);
    const struct cache_entry *entry = find_user(auth, user, &role);
    if (entry != NULL && json_get_string(cache_value(entry), "hash", &hash) &&
        str_copy(login->hash, sizeof login->hash, hash))
        login->revision = entry->revision;
    enum err_code code = ERR_THROTTLED;
    if (auth->logins_now < AUTH_LOGINS_MAX)
        code = worker_submit(auth->core->worker, login_run, login_done, login, &err);
    if (code == ERR_NONE) {
        auth->logins_now++;
        return;
    }
    auth_forgive(auth, "user", user);
    auth_forgive(auth, "address", address);
    (void)err_set(&err, ERR_THROTTLED, "throttled", "too many people log in at this moment");
    (void)err_mend(&err, "try again in a second");
    login_free(login);
    done(data, NULL, 1000, &err);
}

void
auth_logout(struct auth *auth, const char *session)
{
    sessions_end(auth->sessions, session);
}

void
auth_end_user(struct auth *auth, const char *user)
{
    sessions_end_user(auth->sessions, user);
}

/* ---- new hashes ---- */

struct hashing {
    char password[PASSWORD_SIZE_MAX + 1]; /* wiped */
    char hash[PASSWORD_HASH_SIZE];
    struct err err;
    auth_hashed *done;
    void *data;
};

static void
hashing_run(void *job)
{
    struct hashing *hashing = job;
    (void)!password_hash(hashing->password, hashing->hash, &hashing->err);
    sodium_memzero(hashing->password, sizeof hashing->password);
}

static void
hashing_done(void *job, bool ran)
{
    struct hashing *hashing = job;
    if (!ran)
        (void)err_set(&hashing->err, ERR_UNAVAILABLE, "busy", "this node stops");
    bool good = hashing->err.code == ERR_NONE;
    hashing->done(hashing->data, good ? hashing->hash : NULL, good ? NULL : &hashing->err);
    sodium_memzero(hashing, sizeof *hashing);
    free(hashing);
}

void
auth_hash(struct auth *auth, const char *password, auth_hashed *done, void *data)
{
    struct err err;
    struct hashing *hashing = mem_zero(1, sizeof *hashing);
    ASSERT(str_copy(hashing->password, sizeof hashing->password, password));
    hashing->done = done;
    hashing->data = data;
    if (worker_submit(auth->core->worker, hashing_run, hashing_done, hashing, &err) == ERR_NONE)
        return;
    sodium_memzero(hashing, sizeof *hashing);
    free(hashing);
    done(data, NULL, &err);
}

struct auth_counters
auth_counters(const struct auth *auth)
{
    struct auth_counters counters = auth->counters;
    counters.sessions_now = sessions_count(auth->sessions);
    return counters;
}
