/*
 * serve.h -- what the handlers share: the request in work, and the ways to end it. Only for
 * controller/api.
 */
#pragma once

#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/api/api.h"
#include "controller/api/auth.h"
#include "controller/api/fresh.h"
#include "controller/api/intake.h"
#include "controller/api/route.h"
#include "controller/base/buf.h"
#include "controller/base/list.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/writer.h"
#include "controller/http/server.h"
#include "controller/loop/worker.h"
#include "sites/epoch.h"
#include "sites/fault.h"
#include "sites/shape.h"

#define CALLS_MAX 2048 /* requests in work; the server has its own, lower bound */

struct events;
struct fetch_client;
struct status_page;

struct api {
    struct core *core;          /* borrowed */
    struct pq *pq;              /* owned; reads of this node and its local settings */
    struct fetch_client *peers; /* owned; forwarded writes and questions to other members */
    struct auth *auth;          /* owned */
    struct intake *intake;      /* owned */
    struct fresh *fresh;        /* owned */
    struct events *events;      /* owned */
    struct status_page *page;   /* owned */
    struct worker *slow;        /* owned; for what takes longer than a hash; NULL: not yet needed */
    struct list calls;
    bool stopping;
    uint64_t calls_served[ROUTE_COUNT];
    uint64_t calls_failed[ROUTE_COUNT]; /* answered with 500 or more */
    uint64_t calls_us[ROUTE_COUNT];
};

struct call;
typedef void call_rows(struct call *call, const PGresult *result);
typedef void call_written(struct call *call, const struct writer_result *result);

/* One request in work. Ended by exactly one call_reply*() or call_fail*(), which free it. */
struct call {
    struct list node; /* in api->calls */
    struct api *api;  /* borrowed */
    struct fresh_waiter waiter;
    bool waited; /* call_waits() */
    struct http_request *request;
    struct route_match match;
    struct caller caller;
    struct json_object *body; /* owned; after call_body() */
    uint64_t started_us;
    call_rows *rows;       /* gets the answer of call_sql() */
    call_written *written; /* gets the answer of call_write(); NULL: the usual answer */
    void *state;           /* of the handler; freed by 'state_free' */
    void (*state_free)(void *state);
};

/* ---- reading ---- */

const char *
call_param(const struct call *call); /* {name}, {id} or {key...}; "" when there is none */
struct cache *call_cache(const struct call *call);
/* The body, checked against a shape; NULL: it was refused, and the call has ended. A missing body
 * counts as {} when 'optional'. */
struct json_object *call_body(struct call *call, const struct shape *shape, bool optional);
/* False: refused and ended. The parameter is absent: '*ret' stays. */
MUST_CHECK bool call_query_number(struct call *call, const char *name, uint64_t min, uint64_t max,
                                  uint64_t *ret);
MUST_CHECK bool call_query_bool(struct call *call, const char *name, bool *ret);
/* The site parameter: '*ret' NULL when absent. */
MUST_CHECK bool call_query_site(struct call *call, const char **ret);
/* If-Match; WRITER_ANY_REVISION when absent. */
MUST_CHECK bool call_if_match(struct call *call, uint64_t *ret_revision);
/* From the body's "reason", else the header Baton-Reason; '*ret' is the caller's, NULL for none. */
MUST_CHECK bool call_reason(struct call *call, char **ret_reason);

/* True: what was written here before is not in the cache yet (A4). The handler leaves the call at
 * once, and is called anew when it is, or when it is late; only once. */
MUST_CHECK bool call_waits(struct call *call);

/* Where the changes stand in the body that was sent. */
enum call_body_form { CALL_BODY_NONE, CALL_BODY_VALUE, CALL_BODY_CHANGES };
/* Is there one among them that other settings bound? 'changes' as in POST /v1/config. */
bool call_are_bounded(struct json_object *changes);
/* May the settings become so? False: refused and ended. */
MUST_CHECK bool call_check_bounds(struct call *call, struct json_object *changes,
                                  enum call_body_form form);
/* The same for one local setting of this node. */
MUST_CHECK bool call_check_local_bounds(struct call *call, const char *key,
                                        struct json_object *value);

/* ---- ending ---- */

/* Takes the reference of 'document'. */
void call_reply(struct call *call, int status, struct json_object *document);
/* The same with Baton-Epoch and Baton-Revision of the cache. */
void call_reply_read(struct call *call, struct json_object *document);
void call_reply_text(struct call *call, int status, const char *type, const char *text,
                     size_t size);
void call_fail(struct call *call, const struct err *err);
/* Adds the faults, or another member, to the problem document; takes 'extra'. */
void call_fail_with(struct call *call, const struct err *err, const char *name,
                    struct json_object *extra);
/* True: it was refused, for this node has read nothing yet: what is not in the cache may well be
 * there. Nothing that somebody shows is judged before, nor counted against him. */
MUST_CHECK bool call_unloaded(struct call *call);
void call_refuse(struct call *call, enum err_code code, const char *slug, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Ends the call without an answer: the request was handed to somebody else. */
void call_forget(struct call *call);

/* ---- working ---- */

/* One statement on this node's database; an error ends the call, else 'rows' goes on. */
void call_sql(struct call *call, const char *sql, size_t count, const char *const *values,
              call_rows *rows);
/* A write through the primary, wherever it is; an error ends the call. Takes 'group'. */
void call_write(struct call *call, struct json_object *group, call_written *written);
/* {"revision","epoch"} with the headers of a write. */
void call_reply_written(struct call *call, int status, const struct writer_result *result);

/* ---- documents ---- */

/* A value that prints as 'text', which is JSON already. */
struct json_object *doc_raw(const char *text);
struct json_object *doc_epoch(uint64_t number, const char *holder); /* null for number 0 */
struct json_object *doc_entry(const struct cache_entry *entry);
/* PostgreSQL's "2026-11-22 05:41:03.12345+00" as "2026-11-22T05:41:03.123Z"; NULL stays NULL. */
const char *doc_time(const char *text, char to[32]);
/* A key that only Baton writes: its value is not shown. */
bool doc_is_system(const char *key);
/* What people are shown of a value, 'text' being JSON: nothing of a system key, {"sealed": ID} of a
 * secret, else the value (A2). NULL stays NULL. */
struct json_object *doc_value(const char *key, const char *text);
/* Nodes of the cluster, at least one. */
size_t doc_member_count(const struct cache *cache);

/* {"value","reason"}: the body of a PUT. */
extern const struct shape serve_value_shape;

/* One item: a change of a write; for lists of them. */
extern const struct shape serve_change_list[];

/* Handlers: serve_NAME for each row of the table. */
#define X(operation, verb, pattern, role, query) void serve_##operation(struct call *call);
ROUTE_TABLE(X)
#undef X
