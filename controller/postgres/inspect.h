/*
 * inspect.h -- is this PostgreSQL set as Baton needs it? Each wrong setting and missing right by
 * name, with the statement that mends it. For an external database at init and at each start, and
 * for `baton doctor` with either kind.
 *
 * The facts come from one query (sql_inspect, one row, one JSON column); the judgement is pure.
 */
#pragma once

#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "controller/base/err.h"
#include "controller/loop/pq.h"

#define INSPECT_CHECKS_MAX 40
#define INSPECT_NAME_SIZE  48
#define INSPECT_TEXT_SIZE  256
#define INSPECT_MEND_SIZE  384

enum inspect_state { INSPECT_OK, INSPECT_WARN, INSPECT_FAIL };

struct inspect_check {
    char name[INSPECT_NAME_SIZE]; /* "pg.wal_level" */
    enum inspect_state state;
    char text[INSPECT_TEXT_SIZE]; /* "wal_level is 'replica', needs 'logical'" */
    char mend[INSPECT_MEND_SIZE]; /* "ALTER SYSTEM SET wal_level = 'logical'; then restart" */
};

struct inspect_report {
    struct inspect_check list[INSPECT_CHECKS_MAX];
    size_t count;
    size_t failed;
    size_t warned;
};

enum inspect_role {
    INSPECT_ADMIN,  /* the connection of `baton init --database DSN`: must be superuser */
    INSPECT_DAEMON, /* the role baton: must not be */
};

const char *inspect_state_name(enum inspect_state state);

/* 'facts' as sql_inspect gave them. 'node_count': members, at least 1. A missing or senseless fact
 * is a failed check, never a good one. */
void inspect_judge(struct json_object *facts, enum inspect_role role, size_t node_count,
                   struct inspect_report *ret_report);
/* From the answer of sql_inspect. */
MUST_CHECK enum err_code inspect_read(const PGresult *result, enum inspect_role role,
                                      size_t node_count, struct inspect_report *ret_report,
                                      struct err *err);
MUST_CHECK enum err_code inspect_blocking(PGconn *connection, enum inspect_role role,
                                          size_t node_count, struct inspect_report *ret_report,
                                          struct err *err);
/* On the loop: asks through 'pq'; read the answer with inspect_read(). Returns pq's id. */
uint64_t inspect_send(struct pq *pq, pq_done_fn *done, void *data);
/* ERR_CONFLICT, slug "database_unfit", with the first failed check and how many there are. */
MUST_CHECK enum err_code inspect_require(const struct inspect_report *report, struct err *err);
