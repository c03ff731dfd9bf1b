/*
 * pq.h -- one asynchronous connection to PostgreSQL on the loop, which comes back by itself.
 *
 *   CONNECTING --ok, setup done--> READY --lost--> WAITING --back-off over--> CONNECTING
 *        `--------failed--------> WAITING
 *
 * Statements wait in a bounded queue and are sent one at a time, in order.
 *
 *   Q1  Every accepted request is answered exactly once, and never from inside pq_send(),
 *       unless pq_forget() was called for it.
 *   Q2  ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELLED: it was not sent, so it is surely not done.
 *       ERR_UNKNOWN_OUTCOME: it was sent and no result came. Any other error is the server's own
 *       answer: surely not done.
 *   Q3  A WARNING that arrives with a statement is handed to its receiver: after a COMMIT it means
 *       that the outcome is unknown (I4).
 *   Q4  Nothing is cancelled at the server. A deadline that passes closes the connection, or with
 *       'keep' leaves it alone: PQcancel() blocks, and a cancelled COMMIT that waits for standbys
 *       answers "success" and becomes visible though no standby has it. Sessions set
 *       client_connection_check_interval, so the server ends what we have left within a second,
 *       except a COMMIT that waits for standbys, which goes on as it must.
 *
 * libpq looks names up blocking, so a conninfo needs hostaddr= or a socket folder: see
 * pq_resolve().
 */
#pragma once

#include <ev.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define PQ_QUEUE_MAX        1024 /* requests waiting; option queue_max */
#define PQ_CONNECT_MS_MAX   5000 /* one attempt, setup included */
#define PQ_RETRY_MS_MIN     50   /* pause after the first failure; doubles each time */
#define PQ_RETRY_MS_MAX     2000
#define PQ_WARNING_SIZE_MAX 512
#define PQ_VALUES_MAX       64
#define PQ_PREPARED_MAX     8 /* statements of a connection; further ones are sent as they are */

enum pq_state {
    PQ_CONNECTING,
    PQ_READY,
    PQ_WAITING, /* for the next attempt */
};

struct pq;

/* Borrowed for the call. 'err' says why a connection was lost or not made; NULL when READY. */
typedef void pq_state_fn(void *data, enum pq_state state, const struct err *err);
typedef void pq_notify_fn(void *data, const char *channel, const char *payload);
/*
 * The answer; everything is borrowed for the call.
 * 'err' NULL: done; 'result' is PGRES_TUPLES_OK or PGRES_COMMAND_OK.
 * Else 'result' is the server's error (pq_sqlstate()), or NULL when there was none from it.
 * 'warned': at least one WARNING came with it; pq_warning() has the texts.
 * The receiver may send, forget and close.
 */
typedef void pq_done_fn(void *data, const PGresult *result, const struct err *err, bool warned);

struct pq_options {
    struct ev_loop *loop;     /* borrowed */
    const char *name;         /* in log lines: "writer" */
    const char *conninfo;     /* with hostaddr= or a socket folder in host= */
    const char *const *setup; /* statements run at each connect, before anything else */
    size_t setup_count;
    pq_state_fn *on_state;   /* may be NULL */
    pq_notify_fn *on_notify; /* may be NULL */
    void *data;              /* for on_state and on_notify */
    uint32_t queue_max;      /* 0: PQ_QUEUE_MAX */
};

/*
 * Copies the options and begins to connect; on_state tells how it goes.
 * ERR_INVALID: the conninfo does not parse, or names a host without hostaddr.
 */
MUST_CHECK enum err_code pq_open(const struct pq_options *options, struct pq **ret_pq,
                                 struct err *err);
/* Answers all requests (ERR_CANCELLED, or ERR_UNKNOWN_OUTCOME when sent) and frees. */
void pq_close(struct pq *pq);

struct pq_request {
    const char *sql;           /* one statement; several only when 'count' is 0 */
    size_t count;              /* parameters $1.., at most PQ_VALUES_MAX */
    const char *const *values; /* text; NULL is SQL NULL */
    uint32_t deadline_ms;      /* from now to the answer; 0: none */
    bool keep;        /* at the deadline only tell the receiver; the connection stays busy */
    bool prepare;     /* sent often: the server reads it once in each connection. 'sql' is one
                       * statement, is known by its address and outlives the pq */
    pq_done_fn *done; /* may be NULL: nobody wants to know; errors are logged */
    void *data;
};

/*
 * Copies the request. The returned id (never 0) is for pq_forget(). A full queue is answered like
 * all else, through 'done': ERR_UNAVAILABLE, slug "database_busy".
 */
uint64_t pq_send(struct pq *pq, const struct pq_request *request);
/* The same without a deadline. */
uint64_t pq_query(struct pq *pq, const char *sql, size_t count, const char *const *values,
                  pq_done_fn *done, void *data);
/* The receiver is gone. A request that was not sent is dropped, another goes on unheard.
 * An id that is not there any more is fine. */
void pq_forget(struct pq *pq, uint64_t id);

enum pq_state pq_state(const struct pq *pq);
/* Requests that have no answer yet, the one in flight included. */
size_t pq_pending(const struct pq *pq);
/* Drops the connection and connects again at once (a restarted server, new certificates). */
void pq_reset(struct pq *pq);
/* The WARNING texts of the statement whose receiver is running; "" when there are none. */
const char *pq_warning(const struct pq *pq);
/* What the server reported ("server_version"), or NULL; borrowed until the connection is lost. */
const char *pq_parameter(const struct pq *pq, const char *name);

/* "25006"; "" when the result holds none (NULL, or no error). */
const char *pq_sqlstate(const PGresult *result);
/*
 * Error of a result in our words. Codes of Baton's own SQLSTATEs (BT...) and of PostgreSQL's come
 * from one table; the slug is the error's CONSTRAINT field if the function gave one; HINT is the
 * mend. Never holds the statement or its values.
 */
enum err_code pq_result_err(const PGresult *result, struct err *err);
/* Text of a column by name; NULL for SQL NULL, no such row or column. */
const char *pq_text(const PGresult *result, int row, const char *column);
/* The number in a column; 0 for SQL NULL, a negative one, what is none, no such row or column. */
uint64_t pq_u64(const PGresult *result, int row, const char *column);

/* Appends " keyword='value'" to a conninfo, quoted. Of two equal keywords the later one counts. */
void pq_add_pair(struct buf *conninfo, const char *keyword, const char *value);
/* The part that says where and how to connect, without who and to what: no user, password,
 * database. '*ret_host' and '*ret_port' (may be NULL) are its first host and its port. All are the
 * caller's. */
MUST_CHECK enum err_code pq_server_part(const char *conninfo, char **ret_part, char **ret_host,
                                        uint16_t *ret_port, struct err *err);
/*
 * Blocking; only before the loop runs: adds hostaddr= for host names. The result is the caller's.
 * ERR_UNAVAILABLE: the name does not resolve.
 */
MUST_CHECK enum err_code pq_resolve(const char *conninfo, char **ret_conninfo, struct err *err);

/* ---- blocking use, for `baton init` and `baton join`, never on the loop ---- */

/* ERR_UNAVAILABLE with libpq's text. The connection is the caller's (PQfinish). */
MUST_CHECK enum err_code pq_connect_blocking(const char *conninfo, PGconn **ret_connection,
                                             struct err *err);
/* '*ret_result' (may be NULL) is the caller's (PQclear). */
MUST_CHECK enum err_code pq_run_blocking(PGconn *connection, const char *sql, size_t count,
                                         const char *const *values, PGresult **ret_result,
                                         struct err *err);
void pq_finishp(PGconn **holder);
void pq_clearp(PGresult **holder);
