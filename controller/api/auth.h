/*
 * auth.h -- who asks, and what may they: certificates of members, sessions, logging in.
 *
 *   certificate of this very node    the local administrator, author "root@NODE"
 *   certificate of another member    NODE for peer routes, else VIEWER; author is the node
 *   bearer token, or the cookie      the user's role as the shared config has it now
 *
 *   U1  A certificate of a removed member is refused at once, also one that it renewed itself, and
 *       also when another node has joined under its name; so is one of another cluster.
 *   U2  A session ends with any change of its user, here and on every node, by the row's revision.
 *   U3  A cookie may change something only from our own origin (CSRF).
 */
#pragma once

#include <stdbool.h>

#include "controller/base/err.h"
#include "controller/http/server.h"

#define AUTH_COOKIE      "__Host-baton"
#define AUTH_AUTHOR_SIZE 72 /* "root@" and a node */
#define AUTH_TEXT_SIZE   64
#define AUTH_LOGINS_MAX  8 /* passwords that wait for their check; more are refused */

enum caller_role {
    CALLER_NONE,
    CALLER_VIEWER,
    CALLER_OPERATOR,
    CALLER_ADMIN,
    CALLER_NODE, /* as a need of a route: a member's certificate */
};

struct caller {
    enum caller_role role;     /* NONE to ADMIN */
    bool is_node;              /* shows a member's certificate */
    bool is_self;              /* that of this very node */
    char node[AUTH_TEXT_SIZE]; /* whose certificate; "" when there is none */
    unsigned generation;       /* of its login (cert.h) */
    char author[AUTH_AUTHOR_SIZE];
    char session[AUTH_TEXT_SIZE]; /* the session's text; "" when there is none */
};

struct auth;
struct core;

struct auth *auth_new(struct core *core);
void auth_free(struct auth *auth);

/* ERR_LOGIN only when something was shown that does not hold ("session_expired"); nobody at all is
 * CALLER_NONE. ERR_DENIED "not_a_member", "origin". */
MUST_CHECK enum err_code auth_caller(struct auth *auth, const struct http_request *request,
                                     struct caller *ret_caller, struct err *err);
/* Whether what auth_caller() found still holds; does not count as use of a session. */
bool auth_holds(const struct auth *auth, const struct caller *caller);
/* ERR_LOGIN "login_needed", ERR_DENIED "role_needed". */
MUST_CHECK enum err_code auth_require(const struct caller *caller, enum caller_role need,
                                      struct err *err);

struct auth_session {
    char text[AUTH_TEXT_SIZE];
    enum caller_role role;
    int64_t expires_ms; /* wall clock */
    int64_t max_age_s;
};
/* 'wait_ms' > 0 with ERR_THROTTLED: for Retry-After. */
typedef void auth_done(void *data, const struct auth_session *session, uint64_t wait_ms,
                       const struct err *err);
/* Checks the password on the worker thread; 'done' is called once, perhaps from inside this. */
void auth_login(struct auth *auth, const char *user, const char *password, const char *address,
                auth_done *done, void *data);
void auth_logout(struct auth *auth, const char *session);
void auth_end_user(struct auth *auth, const char *user);
/* One more try of something that could be guessed (join tokens). 0: go on. */
MUST_CHECK uint64_t auth_try(struct auth *auth, const char *what, const char *address);
void auth_forgive(struct auth *auth, const char *what, const char *address);

/* Hashes on the worker thread. 'hash' NULL with 'err' when it failed. */
typedef void auth_hashed(void *data, const char *hash, const struct err *err);
void auth_hash(struct auth *auth, const char *password, auth_hashed *done, void *data);

const char *caller_role_name(enum caller_role role);
/* False when it is no role of a person. */
MUST_CHECK bool caller_role_parse(const char *name, enum caller_role *ret_role);

struct auth_counters {
    uint64_t logins;
    uint64_t failures;
    uint64_t throttled;
    uint64_t refused_certificates;
    uint64_t sessions_now;
};
struct auth_counters auth_counters(const struct auth *auth);
