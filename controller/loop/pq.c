#include "controller/loop/pq.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/pq_inner.h"

#define NEVER_MS UINT64_MAX

/* From version 14 on: the server looks each second whether we are still there (Q4). */
#define CHECK_VERSION 140000
#define CHECK_SQL     "SET client_connection_check_interval = '1s';"

enum phase {
    PHASE_WAIT,    /* no connection; 'act_ms' is the next attempt */
    PHASE_CONNECT, /* PQconnectPoll; 'act_ms' is the deadline */
    PHASE_SETUP,   /* session settings; the same deadline */
    PHASE_IDLE,
    PHASE_BUSY, /* 'current' is at the server; NULL while its receiver runs */
};

struct request {
    struct list node; /* in queue or refused; none while it is 'current' */
    uint64_t id;
    char *sql;           /* owned */
    const char *prepare; /* borrowed; the same text to be prepared, or NULL */
    const char **values; /* owned, one block with the texts behind; NULL: none */
    size_t count;
    uint64_t deadline_ms; /* NEVER_MS: none */
    bool keep;
    pq_done_fn *done; /* NULL: nobody listens */
    void *data;
};

struct pq {
    struct ev_loop *loop; /* borrowed */
    char *name;           /* owned */
    char *conninfo;       /* owned */
    char *setup;          /* owned; one text of several statements, or NULL */
    pq_state_fn *on_state;
    pq_notify_fn *on_notify;
    void *data;
    uint32_t queue_max;

    PGconn *connection; /* owned; NULL in PHASE_WAIT */
    ev_io io;
    ev_timer alarm;
    uint64_t alarm_ms; /* when it rings; NEVER_MS: stopped */
    enum phase phase;
    uint64_t act_ms;
    uint32_t retry_ms;
    bool broken; /* a send failed; told from the alarm, not from inside pq_send() */

    struct list queue;
    struct list refused; /* to be answered by the alarm: they did not fit */
    size_t queued;
    struct request *current; /* owned; in PHASE_BUSY */
    bool preparing;          /* what is at the server is not yet 'current' but its PREPARE */
    const char *prepared[PQ_PREPARED_MAX]; /* borrowed; statement "pN" of this connection */
    size_t prepared_count;
    PGresult *result; /* owned; of 'current' or the setup: the first error, else the last */
    char warnings[PQ_WARNING_SIZE_MAX];
    bool warned;
    uint64_t last_id;

    unsigned depth; /* callbacks of ours on the stack: a closed pq is freed below the last */
    bool closed;
};

static void on_io(struct ev_loop *loop, ev_io *io, int revents);

/* ---- requests ---- */

static struct request *
request_new(const struct pq_request *from)
{
    ASSERT(from->count <= PQ_VALUES_MAX);
    struct request *request = mem_zero(1, sizeof *request);
    list_init(&request->node);
    request->sql = str_dup(from->sql);
    request->count = from->count;
    request->deadline_ms = from->deadline_ms == 0 ? NEVER_MS : clock_now_ms() + from->deadline_ms;
    request->keep = from->keep;
    request->prepare = from->prepare ? from->sql : NULL;
    request->done = from->done;
    request->data = from->data;
    if (from->count == 0)
        return request;

    size_t size = from->count * sizeof(char *);
    for (size_t i = 0; i < from->count; i++)
        size += from->values[i] == NULL ? 0 : strlen(from->values[i]) + 1;
    request->values = mem_alloc(size);
    char *text = (char *)(request->values + from->count);
    for (size_t i = 0; i < from->count; i++) {
        request->values[i] = NULL;
        if (from->values[i] == NULL)
            continue;
        size_t text_size = strlen(from->values[i]) + 1;
        request->values[i] = memcpy(text, from->values[i], text_size);
        text += text_size;
    }
    return request;
}

static void
request_free(struct request *request)
{
    free(request->sql);
    free((void *)request->values);
    free(request);
}

/* Receiver of a request that was answered or forgotten while the server still works on it. */
static void
nobody(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)data, (void)result, (void)err, (void)warned;
}

/* Tells the receiver, once. Afterwards 'pq' may be closed. */
static void
tell(struct pq *pq, struct request *request, const PGresult *result, const struct err *err)
{
    pq_done_fn *done = request->done;
    request->done = NULL;
    if (done != NULL)
        done(request->data, result, err, pq->warned);
    else if (err != NULL && err->code != ERR_CANCELLED)
        log_warn("pq.unheard", "connection=%s code=%s reason=\"%s\"", pq->name, err->slug,
                 err->text);
}

static struct request *
list_take(struct list *list)
{
    if (list_empty(list))
        return NULL;
    struct request *request = CONTAINER_OF(list->next, struct request, node);
    list_remove(&request->node);
    return request;
}

/* The first request of the queue that was sent before 'id_end' and whose deadline is over at
 * 'now'; taken out. It is searched anew after each answer, for a receiver may forget others. */
static struct request *
take_expired(struct pq *pq, uint64_t id_end, uint64_t now)
{
    list_each (at, &pq->queue) {
        struct request *request = CONTAINER_OF(at, struct request, node);
        if (request->id >= id_end)
            return NULL;
        if (request->deadline_ms > now)
            continue;
        list_remove(&request->node);
        pq->queued--;
        return request;
    }
    return NULL;
}

/* Answers what waits in the queue and is older than 'id_end'. */
static void
fail_queue(struct pq *pq, uint64_t id_end, uint64_t now, const struct err *err)
{
    struct request *request;
    pq->warned = false;
    while ((request = take_expired(pq, id_end, now)) != NULL) {
        tell(pq, request, NULL, err);
        request_free(request);
    }
}

/* ---- the alarm: next attempt, deadlines of connection and requests ---- */

static void
wake_at(struct pq *pq, uint64_t at_ms)
{
    if (at_ms >= pq->alarm_ms || pq->closed)
        return;
    uint64_t now = clock_now_ms();
    pq->alarm_ms = at_ms;
    ev_timer_stop(pq->loop, &pq->alarm);
    ev_now_update(pq->loop);
    ev_timer_set(&pq->alarm, at_ms > now ? (double)(at_ms - now) / 1000.0 : 0.0, 0.0);
    ev_timer_start(pq->loop, &pq->alarm);
}

static void
set_alarm(struct pq *pq)
{
    if (pq->closed)
        return;
    ev_timer_stop(pq->loop, &pq->alarm);
    pq->alarm_ms = NEVER_MS;
    if (!list_empty(&pq->refused) || pq->broken)
        wake_at(pq, 0);
    wake_at(pq, pq->act_ms);
    if (pq->current != NULL)
        wake_at(pq, pq->current->deadline_ms);
    list_each (at, &pq->queue) {
        wake_at(pq, CONTAINER_OF(at, struct request, node)->deadline_ms);
    }
}

/* ---- the connection ---- */

static void
watch(struct pq *pq, int events)
{
    int descriptor = PQsocket(pq->connection);
    ev_io_stop(pq->loop, &pq->io);
    ev_io_set(&pq->io, descriptor, events);
    ev_io_start(pq->loop, &pq->io);
}

static void
say_state(struct pq *pq, enum pq_state state, const struct err *err)
{
    if (pq->on_state != NULL && !pq->closed)
        pq->on_state(pq->data, state, err);
}

static void
forget_results(struct pq *pq)
{
    PQclear(pq->result); /* NULL is fine */
    pq->result = NULL;
    pq->warned = false;
    pq->warnings[0] = '\0';
}

static void
disconnect(struct pq *pq)
{
    ev_io_stop(pq->loop, &pq->io); /* before libpq closes the descriptor */
    PQfinish(pq->connection);
    pq->connection = NULL;
    pq->broken = false;
    pq->preparing = false;
    pq->prepared_count = 0;
}

/*
 * The connection is gone, or given up. Who was sent does not know; who was not is told so, unless
 * we hung up ourselves ('keep_queue'): then the next connection is made at once.
 */
static void
lose(struct pq *pq, const struct err *reason, bool keep_queue)
{
    struct request *current = pq->current;
    struct err err = *reason;
    uint64_t id_end = pq->last_id + 1; /* what receivers send from here on is for the next one */
    pq->current = NULL;
    disconnect(pq);
    pq->phase = PHASE_WAIT;
    pq->act_ms = clock_now_ms() + (keep_queue ? 0 : pq->retry_ms);
    if (!keep_queue)
        pq->retry_ms = pq->retry_ms * 2 > PQ_RETRY_MS_MAX ? PQ_RETRY_MS_MAX : pq->retry_ms * 2;
    if (current != NULL) {
        struct err unknown = err;
        unknown.code = ERR_UNKNOWN_OUTCOME;
        tell(pq, current, NULL, &unknown);
        request_free(current);
    }
    forget_results(pq);
    if (pq->closed)
        return;
    if (!keep_queue) {
        struct err not_sent = err;
        not_sent.code = ERR_UNAVAILABLE;
        fail_queue(pq, id_end, NEVER_MS, &not_sent);
    }
    say_state(pq, PQ_WAITING, &err);
    set_alarm(pq);
}

/* With libpq's own words, or the server's last ones. */
static void
lose_broken(struct pq *pq)
{
    char text[ERR_TEXT_SIZE / 2];
    struct err err = { 0 };
    const char *message = PQresultErrorField(pq->result, PG_DIAG_MESSAGE_PRIMARY);
    pq_one_line(message != NULL ? message : PQerrorMessage(pq->connection), text, sizeof text);
    (void)err_set(&err, ERR_UNAVAILABLE, "database_down", "database: %s",
                  text[0] != '\0' ? text : "the connection was lost");
    lose(pq, &err, false);
}

static void
on_notice(void *data, const PGresult *notice)
{
    struct pq *pq = data;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == NULL || strcmp(severity, "WARNING") != 0)
        return;
    char text[PQ_WARNING_SIZE_MAX];
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    pq_one_line(message, text, sizeof text);
    if (pq->phase != PHASE_BUSY) {
        log_warn("pq.warning", "connection=%s text=\"%s\"", pq->name, text);
        return;
    }
    size_t used = strlen(pq->warnings);
    (void)snprintf(pq->warnings + used, sizeof pq->warnings - used, "%s%s", used > 0 ? "; " : "",
                   text);
    pq->warned = true;
}

static void
connect_now(struct pq *pq)
{
    struct pq_conninfo conninfo;
    struct err err = { 0 };
    pq->act_ms = clock_now_ms() + PQ_CONNECT_MS_MAX;
    pq->phase = PHASE_CONNECT;
    enum err_code code = pq_conninfo_init(&conninfo, pq->conninfo, &err);
    ASSERT(code == ERR_NONE); /* it parsed in pq_open() */
    pq->connection = PQconnectStartParams(conninfo.keywords, conninfo.values, 0);
    pq_conninfo_done(&conninfo);
    ASSERT(pq->connection != NULL);
    if (PQstatus(pq->connection) == CONNECTION_BAD) {
        lose_broken(pq);
        return;
    }
    (void)PQsetNoticeReceiver(pq->connection, on_notice, pq);
    watch(pq, EV_WRITE);
    say_state(pq, PQ_CONNECTING, NULL);
    set_alarm(pq);
}

/* Writes what libpq still holds; true when nothing is wrong. */
static bool
flush(struct pq *pq)
{
    int left = PQflush(pq->connection);
    if (left < 0)
        return false;
    watch(pq, left > 0 ? EV_READ | EV_WRITE : EV_READ);
    return true;
}

#define STATEMENT_NAME_SIZE 24

/* Sends a request whose statement is prepared, or first its PREPARE. */
static int
send_prepared(struct pq *pq, const struct request *request)
{
    char name[STATEMENT_NAME_SIZE];
    size_t at = 0;
    while (at < pq->prepared_count && pq->prepared[at] != request->prepare)
        at++;
    (void)snprintf(name, sizeof name, "p%zu", at);
    pq->preparing = at == pq->prepared_count;
    if (pq->preparing)
        return PQsendPrepare(pq->connection, name, request->sql, 0, NULL);
    return PQsendQueryPrepared(pq->connection, name, (int)request->count, request->values, NULL,
                               NULL, 0);
}

static bool
has_room(const struct pq *pq, const char *sql)
{
    for (size_t i = 0; i < pq->prepared_count; i++) {
        if (pq->prepared[i] == sql)
            return true;
    }
    return pq->prepared_count < PQ_PREPARED_MAX;
}

static void
send_current(struct pq *pq)
{
    const struct request *request = pq->current;
    int sent;
    if (request->prepare != NULL)
        sent = send_prepared(pq, request);
    else if (request->count == 0)
        sent = PQsendQuery(pq->connection, request->sql);
    else
        sent = PQsendQueryParams(pq->connection, request->sql, (int)request->count, NULL,
                                 request->values, NULL, NULL, 0);
    pq->broken = sent != 1 || !flush(pq);
}

/* Sends the next request when the server has nothing to do. Calls nobody. */
static void
send_next(struct pq *pq)
{
    if (pq->phase != PHASE_IDLE || pq->broken || list_empty(&pq->queue))
        return;
    struct request *request = list_take(&pq->queue);
    pq->queued--;
    pq->current = request;
    pq->phase = PHASE_BUSY;
    forget_results(pq);
    if (request->prepare != NULL && !has_room(pq, request->prepare))
        request->prepare = NULL;
    send_current(pq);
}

static void
become_ready(struct pq *pq)
{
    pq->phase = PHASE_IDLE;
    pq->act_ms = NEVER_MS;
    pq->retry_ms = PQ_RETRY_MS_MIN;
    forget_results(pq);
    say_state(pq, PQ_READY, NULL);
    if (!pq->closed)
        send_next(pq);
}

static void
begin_setup(struct pq *pq)
{
    (void)PQsetnonblocking(pq->connection, 1);
    bool check = PQserverVersion(pq->connection) >= CHECK_VERSION;
    CLEANUP(freep)
    char *sql = str_printf("%s%s", check ? CHECK_SQL : "", pq->setup == NULL ? "" : pq->setup);
    pq->phase = PHASE_SETUP;
    if (sql[0] == '\0')
        become_ready(pq);
    else if (PQsendQuery(pq->connection, sql) != 1 || !flush(pq))
        lose_broken(pq);
}

/* The statement has ended: everything up to ReadyForQuery is here. */
static void
finish(struct pq *pq)
{
    ExecStatusType status = PQresultStatus(pq->result);
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    struct err err = { 0 };
    if (status == PGRES_EMPTY_QUERY)
        (void)err_set(&err, ERR_INVALID, "empty_statement", "the statement is empty");
    else if (!good)
        (void)pq_result_err(pq->result, &err);

    if (pq->phase == PHASE_SETUP) {
        if (!good) {
            (void)err_wrap(&err, "prepare the session");
            lose(pq, &err, false);
            return;
        }
        become_ready(pq);
        return;
    }
    if (pq->preparing && good) {
        pq->preparing = false;
        pq->prepared[pq->prepared_count++] = pq->current->prepare;
        PQclear(take_ptr(&pq->result)); /* a warning stays: it came with this request */
        send_current(pq);
        return;
    }
    pq->preparing = false;
    /* Busy until the receiver returns: result and warnings are its own even if it sends. */
    struct request *request = take_ptr(&pq->current);
    CLEANUP(pq_clearp) PGresult *result = take_ptr(&pq->result);
    tell(pq, request, result, good ? NULL : &err);
    request_free(request);
    if (pq->closed || pq->phase != PHASE_BUSY)
        return;
    pq->phase = PHASE_IDLE;
    send_next(pq);
}

/* Keeps the first error, else the last result. False for a COPY, which nobody may start here. */
static bool
keep_result(struct pq *pq, PGresult *result)
{
    ExecStatusType kept = PQresultStatus(pq->result);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        PQclear(result);
        return false;
    }
    if (pq->result != NULL && kept != PGRES_TUPLES_OK && kept != PGRES_COMMAND_OK) {
        PQclear(result);
        return true;
    }
    PQclear(pq->result);
    pq->result = result;
    return true;
}

static void
drain_notifies(struct pq *pq)
{
    PGnotify *notify;
    while (!pq->closed && pq->connection != NULL && (notify = PQnotifies(pq->connection)) != NULL) {
        if (pq->on_notify != NULL)
            pq->on_notify(pq->data, notify->relname, notify->extra);
        PQfreemem(notify);
    }
}

static void
on_input(struct pq *pq)
{
    /* Even when the connection has ended, what came before the end counts. */
    bool alive = PQconsumeInput(pq->connection) == 1;
    while ((pq->phase == PHASE_BUSY || pq->phase == PHASE_SETUP) && !pq->broken &&
           !PQisBusy(pq->connection)) {
        PGresult *result = PQgetResult(pq->connection);
        if (PQstatus(pq->connection) == CONNECTION_BAD) {
            /* Not an answer but libpq's report of the end; the server's own words come first. */
            if (pq->result == NULL && result != NULL)
                pq->result = take_ptr(&result);
            PQclear(result);
            alive = false;
            break;
        }
        if (result != NULL && !keep_result(pq, result)) {
            struct err err = { 0 };
            (void)err_set(&err, ERR_INTERNAL, "copy", "COPY is not possible here");
            lose(pq, &err, false);
            return;
        }
        if (result == NULL)
            finish(pq);
        if (pq->closed || pq->connection == NULL)
            return;
    }
    drain_notifies(pq);
    if (pq->closed || pq->connection == NULL)
        return;
    if (!alive || PQstatus(pq->connection) == CONNECTION_BAD)
        lose_broken(pq);
    else
        set_alarm(pq);
}

static void
on_connect_step(struct pq *pq)
{
    switch (PQconnectPoll(pq->connection)) {
    case PGRES_POLLING_READING:
        watch(pq, EV_READ);
        return;
    case PGRES_POLLING_WRITING:
        watch(pq, EV_WRITE);
        return;
    case PGRES_POLLING_OK:
        begin_setup(pq);
        return;
    case PGRES_POLLING_ACTIVE:
    case PGRES_POLLING_FAILED:
        break;
    }
    lose_broken(pq);
}

static void
free_pq(struct pq *pq)
{
    forget_results(pq);
    free(pq->name);
    free(pq->conninfo);
    free(pq->setup);
    free(pq);
}

/* Around everything that may call a receiver, which may close us. */
static void
enter(struct pq *pq)
{
    pq->depth++;
}

static void
leave(struct pq *pq)
{
    if (--pq->depth == 0 && pq->closed)
        free_pq(pq);
}

static void
on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop;
    struct pq *pq = CONTAINER_OF(io, struct pq, io);
    enter(pq);
    if (pq->phase == PHASE_CONNECT)
        on_connect_step(pq);
    else if ((revents & EV_WRITE) != 0 && !flush(pq))
        lose_broken(pq);
    else if ((revents & EV_READ) != 0)
        on_input(pq);
    leave(pq);
}

static void
refuse_waiting(struct pq *pq)
{
    struct err err = { 0 };
    (void)err_set(&err, ERR_UNAVAILABLE, "database_busy", "%u statements wait already",
                  pq->queue_max);
    struct request *request;
    pq->warned = false;
    while (!pq->closed && (request = list_take(&pq->refused)) != NULL) {
        tell(pq, request, NULL, &err);
        request_free(request);
    }
}

static void
expire_current(struct pq *pq)
{
    struct err err = { 0 };
    (void)err_set(&err, ERR_UNKNOWN_OUTCOME, "deadline", "the database did not answer in time");
    if (!pq->current->keep) {
        lose(pq, &err, true);
        return;
    }
    pq_done_fn *done = pq->current->done;
    pq->current->deadline_ms = NEVER_MS;
    pq->current->done = nobody;
    if (done != NULL)
        done(pq->current->data, NULL, &err, false);
}

static void
on_act_time(struct pq *pq)
{
    if (pq->phase == PHASE_WAIT) {
        connect_now(pq);
        return;
    }
    struct err err = { 0 };
    (void)err_set(&err, ERR_UNAVAILABLE, "database_down", "database: no answer within %d ms",
                  PQ_CONNECT_MS_MAX);
    lose(pq, &err, false);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct pq *pq = CONTAINER_OF(alarm, struct pq, alarm);
    enter(pq);
    uint64_t now = clock_now_ms();
    struct err late = { 0 };
    (void)err_set(&late, ERR_TIMEOUT, "deadline", "the database was not free in time");
    pq->alarm_ms = NEVER_MS;
    refuse_waiting(pq);
    fail_queue(pq, pq->last_id + 1, now, &late);
    if (!pq->closed && pq->broken)
        lose_broken(pq);
    if (!pq->closed && pq->current != NULL && pq->current->deadline_ms <= now)
        expire_current(pq);
    if (!pq->closed && pq->act_ms <= now)
        on_act_time(pq);
    if (!pq->closed)
        set_alarm(pq);
    leave(pq);
}

/* ---- the interface ---- */

enum err_code
pq_open(const struct pq_options *options, struct pq **ret_pq, struct err *err)
{
    struct pq_conninfo conninfo;
    enum err_code code = pq_conninfo_init(&conninfo, options->conninfo, err);
    if (code != ERR_NONE)
        return code;
    bool numeric = pq_conninfo_is_numeric(&conninfo);
    pq_conninfo_done(&conninfo);
    if (!numeric)
        return err_set(err, ERR_INVALID, "database_address",
                       "connection '%s': the host has no address yet", options->name);

    struct pq *pq = mem_zero(1, sizeof *pq);
    pq->loop = options->loop;
    pq->name = str_dup(options->name);
    pq->conninfo = str_dup(options->conninfo);
    pq->on_state = options->on_state;
    pq->on_notify = options->on_notify;
    pq->data = options->data;
    pq->queue_max = options->queue_max == 0 ? PQ_QUEUE_MAX : options->queue_max;
    list_init(&pq->queue);
    list_init(&pq->refused);
    struct buf setup = { 0 };
    for (size_t i = 0; i < options->setup_count; i++)
        buf_printf(&setup, "%s;\n", options->setup[i]);
    pq->setup = options->setup_count > 0 ? buf_take(&setup) : NULL;
    buf_done(&setup);
    ev_init(&pq->io, on_io);
    ev_init(&pq->alarm, on_alarm);
    pq->phase = PHASE_WAIT;
    pq->retry_ms = PQ_RETRY_MS_MIN;
    pq->act_ms = clock_now_ms();
    pq->alarm_ms = NEVER_MS;
    set_alarm(pq);
    *ret_pq = pq;
    return ERR_NONE;
}

void
pq_close(struct pq *pq)
{
    if (pq == NULL || pq->closed)
        return;
    pq->closed = true;
    enter(pq);
    struct err err = { 0 };
    struct request *current = take_ptr(&pq->current);
    disconnect(pq);
    ev_timer_stop(pq->loop, &pq->alarm);
    (void)err_set(&err, ERR_UNKNOWN_OUTCOME, "shutdown", "the database connection was closed");
    if (current != NULL) {
        tell(pq, current, NULL, &err);
        request_free(current);
    }
    err.code = ERR_CANCELLED;
    pq->warned = false;
    struct request *request;
    while ((request = list_take(&pq->refused)) != NULL ||
           (request = list_take(&pq->queue)) != NULL) {
        tell(pq, request, NULL, &err);
        request_free(request);
    }
    leave(pq);
}

uint64_t
pq_send(struct pq *pq, const struct pq_request *from)
{
    struct request *request = request_new(from);
    request->id = ++pq->last_id;
    uint64_t id = request->id;
    if (pq->queued >= pq->queue_max) {
        list_add_tail(&pq->refused, &request->node);
        wake_at(pq, 0);
        return id;
    }
    list_add_tail(&pq->queue, &request->node);
    pq->queued++;
    if (pq->closed)
        return id; /* pq_close() is on the stack and answers it */
    send_next(pq);
    wake_at(pq, pq->broken ? 0 : request->deadline_ms);
    return id;
}

uint64_t
pq_query(struct pq *pq, const char *sql, size_t count, const char *const *values, pq_done_fn *done,
         void *data)
{
    return pq_send(pq,
                   &(struct pq_request){
                       .sql = sql, .count = count, .values = values, .done = done, .data = data });
}

void
pq_forget(struct pq *pq, uint64_t id)
{
    if (pq->current != NULL && pq->current->id == id) {
        pq->current->done = nobody;
        return;
    }
    struct list *lists[] = { &pq->queue, &pq->refused };
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        list_each (at, lists[i]) {
            struct request *request = CONTAINER_OF(at, struct request, node);
            if (request->id != id)
                continue;
            list_remove(&request->node);
            if (i == 0)
                pq->queued--;
            request_free(request);
            return;
        }
    }
}

enum pq_state
pq_state(const struct pq *pq)
{
    switch (pq->phase) {
    case PHASE_WAIT:
        return PQ_WAITING;
    case PHASE_CONNECT:
    case PHASE_SETUP:
        return PQ_CONNECTING;
    case PHASE_IDLE:
    case PHASE_BUSY:
        break;
    }
    return PQ_READY;
}

size_t
pq_pending(const struct pq *pq)
{
    return pq->queued + (pq->current != NULL);
}

void
pq_reset(struct pq *pq)
{
    struct err err = { 0 };
    (void)err_set(&err, ERR_UNAVAILABLE, "database_reset", "the database connection was renewed");
    enter(pq);
    if (pq->connection != NULL)
        lose(pq, &err, true);
    if (!pq->closed) {
        pq->act_ms = clock_now_ms();
        set_alarm(pq);
    }
    leave(pq);
}

const char *
pq_warning(const struct pq *pq)
{
    return pq->warned ? pq->warnings : "";
}

const char *
pq_parameter(const struct pq *pq, const char *name)
{
    return pq->connection == NULL ? NULL : PQparameterStatus(pq->connection, name);
}
