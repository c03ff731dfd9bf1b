/*
 * repl_port.h -- what replication needs from outside: our own database, the other members, time.
 *
 * Each call answers exactly once, later, never from inside itself. 'context' comes back unread.
 */
#pragma once

#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdint.h>

#include "controller/base/err.h"

/* 'err' NULL: done. 'result' may be NULL on an error. Both borrowed for the call. */
typedef void repl_result_fn(void *context, const PGresult *result, const struct err *err);
/* 'document' is the answer's JSON, borrowed; NULL on an error or an empty answer. */
typedef void repl_reply_fn(void *context, struct json_object *document, const struct err *err);
typedef void repl_timer_fn(void *context);

struct repl_port {
    void *data;
    /* One statement on our own database, as role baton with synchronous_commit = local. They wait
     * for each other, so sql_sub_attach has REPL_SUBSCRIBE_MS. */
    void (*query)(void *data, const char *sql, size_t count, const char *const *values,
                  repl_result_fn *done, void *context);
    /* One request to a member; 'body' is borrowed, NULL for a GET. */
    void (*ask)(void *data, const char *member, const char *path, struct json_object *body,
                unsigned timeout_ms, repl_reply_fn *done, void *context);
    void (*after)(void *data, unsigned ms, repl_timer_fn *done, void *context);
};

/* "baton_west_1": names of slots and subscriptions know no '-'. */
#define REPL_NAME_SIZE 72
const char *repl_name(const char *node, char name[REPL_NAME_SIZE]);
