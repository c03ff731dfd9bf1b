#include "replication/repl_attach.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "replication/repl_arm.h"
#include "replication/repl_pull.h"
#include "sql.h"

/*
 * One operation is outstanding at any time: its answer takes the next step, or frees a cancelled
 * one. The steps are written in their order.
 */
struct repl_attach {
    const struct repl_port *port; /* borrowed */
    char self[NODE_NAME_SIZE];
    char primary[NODE_NAME_SIZE];
    struct epoch epoch;
    char *ca;          /* owned */
    char *certificate; /* owned */
    char *key;         /* owned */
    char *login;       /* owned */
    bool prepare_only;
    bool catch_up_only;
    struct repl_pull *pull; /* ours until it answers */

    struct buf detach; /* names of subscriptions to drop, each ended by a NUL */
    size_t detach_at;
    bool subscribed; /* our subscription to the primary stands */
    uint64_t applied;
    uint64_t low;  /* the logs are the same up to here */
    uint64_t high; /* and differ from here on, if at all */
    bool bounded;  /* 'high' is known to differ */
    unsigned rounds;
    uint64_t setaside;
    bool forked;
    uint64_t head;                  /* of the primary, when its slot for us stood */
    struct json_object *connection; /* owned */
    unsigned waited_ms;
    repl_attach_fn *done; /* NULL once cancelled */
    void *data;
};

static void
finish(struct repl_attach *attach, const struct position *position, const struct err *err)
{
    if (attach->done != NULL)
        attach->done(attach->data, position, attach->setaside, err);
    buf_done(&attach->detach);
    json_putp(&attach->connection);
    free(attach->ca);
    free(attach->certificate);
    free(attach->key);
    free(attach->login);
    free(attach);
}

static void
finish_protocol(struct repl_attach *attach, const char *what)
{
    struct err err;
    (void)err_set(&err, ERR_PROTOCOL, "attach_answer", "%s answered without %s", attach->primary,
                  what);
    finish(attach, NULL, &err);
}

/* True when the caller goes on; otherwise it is freed. */
static bool
goes_on(struct repl_attach *attach, const struct err *err, const char *what)
{
    if (attach->done != NULL && err == NULL)
        return true;
    struct err wrapped;
    if (err != NULL) {
        wrapped = *err;
        (void)err_wrap(&wrapped, "%s", what);
    }
    finish(attach, NULL, err == NULL ? NULL : &wrapped);
    return false;
}

static void
query(struct repl_attach *attach, const char *sql, size_t count, const char *const *values,
      repl_result_fn *done)
{
    attach->port->query(attach->port->data, sql, count, values, done, attach);
}

static bool
text_u64(const PGresult *result, int row, const char *column, uint64_t *ret)
{
    int at = PQfnumber(result, column);
    return at >= 0 && row < PQntuples(result) &&
           str_to_u64(PQgetvalue(result, row, at), 0, INT64_MAX, ret);
}

/* ------------------------------------------------------------------ last: position */

static void
on_position(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    struct position position = { 0 };
    uint64_t number;
    if (!goes_on(attach, err, "position"))
        return;
    int holder = PQfnumber(result, "applied_holder");
    int hash = PQfnumber(result, "applied_hash");
    if (!text_u64(result, 0, "applied", &position.revision) ||
        !text_u64(result, 0, "applied_epoch", &number) || holder < 0 || hash < 0 ||
        !str_copy(position.hash, sizeof position.hash, PQgetvalue(result, 0, hash))) {
        finish_protocol(attach, "a position");
        return;
    }
    position.epoch = epoch_make(number, PQgetvalue(result, 0, holder));
    finish(attach, &position, NULL);
}

/* ------------------------------------------------------------------ 6: until it streams */

static void poll_stream(void *context);

static void
on_subs_streaming(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    char name[REPL_NAME_SIZE];
    if (!goes_on(attach, err, "subscriptions"))
        return;
    (void)repl_name(attach->primary, name);
    int at_name = PQfnumber(result, "name");
    int at_running = PQfnumber(result, "running");
    int at_received = PQfnumber(result, "received");
    for (int row = 0; at_name >= 0 && row < PQntuples(result); row++) {
        if (strcmp(PQgetvalue(result, row, at_name), name) == 0 &&
            PQgetvalue(result, row, at_running)[0] == 't' &&
            !PQgetisnull(result, row, at_received)) {
            query(attach, sql_position, 0, NULL, on_position);
            return;
        }
    }
    attach->waited_ms += REPL_STREAM_POLL_MS;
    if (attach->waited_ms < REPL_STREAM_MS) {
        attach->port->after(attach->port->data, REPL_STREAM_POLL_MS, poll_stream, attach);
        return;
    }
    struct err fault;
    (void)err_set(&fault, ERR_TIMEOUT, "not_streaming",
                  "the subscription to %s does not receive after %d ms", attach->primary,
                  REPL_STREAM_MS);
    (void)err_mend(&fault, "see the PostgreSQL log of this node for what its apply worker says");
    finish(attach, NULL, &fault);
}

static void
poll_stream(void *context)
{
    struct repl_attach *attach = context;
    if (goes_on(attach, NULL, ""))
        query(attach, sql_subs, 0, NULL, on_subs_streaming);
}

/* ------------------------------------------------------------------ 5: subscribe */

static void
on_subscribed(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    (void)result;
    if (goes_on(attach, err, "subscribe"))
        poll_stream(attach);
}

static void
add_conninfo(struct buf *into, const char *name, const char *value)
{
    buf_printf(into, "%s%s='", into->size == 0 ? "" : " ", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_add(into, "\\", 1);
        buf_add(into, value, 1);
    }
    buf_add(into, "'", 1);
}

static void
subscribe(struct repl_attach *attach)
{
    const char *host;
    const char *dbname;
    uint64_t port;
    char slot[REPL_NAME_SIZE];
    char name[REPL_NAME_SIZE];
    char text[NODE_NAME_SIZE + 16];
    if (attach->subscribed) {
        poll_stream(attach);
        return;
    }
    if (!json_get_string(attach->connection, "host", &host) ||
        !json_get_string(attach->connection, "dbname", &dbname) ||
        !json_get_u64(attach->connection, "port", &port)) {
        finish_protocol(attach, "host, port and dbname of its database");
        return;
    }
    CLEANUP(buf_done) struct buf conninfo = { 0 };
    add_conninfo(&conninfo, "host", host);
    (void)snprintf(text, sizeof text, "%" PRIu64, port);
    add_conninfo(&conninfo, "port", text);
    add_conninfo(&conninfo, "dbname", dbname);
    CLEANUP(freep) char *user = str_printf("baton_n_%s", attach->login);
    add_conninfo(&conninfo, "user", user);
    add_conninfo(&conninfo, "application_name", attach->self);
    add_conninfo(&conninfo, "sslmode", "verify-full");
    add_conninfo(&conninfo, "sslrootcert", attach->ca);
    add_conninfo(&conninfo, "sslcert", attach->certificate);
    add_conninfo(&conninfo, "sslkey", attach->key);
    buf_add_text(&conninfo, " connect_timeout=2 keepalives_idle=2 keepalives_interval=1 "
                            "keepalives_count=3 tcp_user_timeout=3000");
    const char *values[] = { repl_name(attach->primary, name), buf_text(&conninfo),
                             repl_name(attach->self, slot), "true" };
    query(attach, sql_sub_attach, 4, values, on_subscribed);
}

/* ------------------------------------------------------------------ 4: pull to its head */

static void start_pull(struct repl_attach *attach);

static void
on_snapshot_loaded(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    if (!goes_on(attach, err, "load snapshot"))
        return;
    if (PQntuples(result) != 1 ||
        !str_to_u64(PQgetvalue(result, 0, 0), 0, INT64_MAX, &attach->applied)) {
        finish_protocol(attach, "a snapshot's revision");
        return;
    }
    start_pull(attach);
}

static void
on_snapshot(void *context, struct json_object *document, const struct err *err)
{
    struct repl_attach *attach = context;
    if (!goes_on(attach, err, "fetch snapshot"))
        return;
    const char *values[] = { json_text(document) };
    query(attach, sql_snapshot_load, 1, values, on_snapshot_loaded);
}

static void
on_pulled(void *data, uint64_t applied, const struct err *err)
{
    struct repl_attach *attach = data;
    attach->pull = NULL;
    if (attach->done != NULL && err != NULL && strcmp(err->slug, "needs_snapshot") == 0) {
        attach->port->ask(attach->port->data, attach->primary, "/v1/peer/snapshot", NULL,
                          REPL_SNAPSHOT_MS, on_snapshot, attach);
        return;
    }
    if (!goes_on(attach, err, "pull"))
        return;
    attach->applied = applied;
    if (attach->catch_up_only)
        query(attach, sql_position, 0, NULL, on_position);
    else
        subscribe(attach);
}

static void
start_pull(struct repl_attach *attach)
{
    attach->pull = repl_pull_start(attach->port, attach->primary, &attach->epoch, attach->applied,
                                   attach->head, on_pulled, attach);
}

/* ------------------------------------------------------------------ 3: the slot over there */

static void
on_slot_made(void *context, struct json_object *document, const struct err *err)
{
    struct repl_attach *attach = context;
    if (!goes_on(attach, err, "slot at the primary"))
        return;
    if (!json_get_u64(document, "head", &attach->head)) {
        finish_protocol(attach, "'head'");
        return;
    }
    json_putp(&attach->connection);
    attach->connection = json_object_get(document);
    start_pull(attach);
}

static void
ask_slot(struct repl_attach *attach)
{
    char text[EPOCH_TEXT_SIZE];
    if (attach->catch_up_only) {
        start_pull(attach);
        return;
    }
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add_string(body, "epoch", epoch_text(&attach->epoch, text));
    attach->port->ask(attach->port->data, attach->primary, "/v1/peer/attach", body, REPL_ASK_MS,
                      on_slot_made, attach);
}

/* ------------------------------------------------------------------ 2: set the fork aside */

static void
on_all_set_aside(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    if (!goes_on(attach, err, "set everything aside"))
        return;
    if (PQntuples(result) == 1)
        (void)!str_to_u64(PQgetvalue(result, 0, 0), 0, INT64_MAX, &attach->setaside);
    attach->applied = 0;
    repl_drop_slots(attach->port);
    ask_slot(attach);
}

static void
on_set_aside(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    char number[2][24];
    if (attach->done != NULL && err != NULL && strcmp(err->slug, "needs_snapshot") == 0) {
        (void)snprintf(number[0], sizeof number[0], "%" PRIu64, attach->low);
        (void)snprintf(number[1], sizeof number[1], "%" PRIu64, attach->epoch.number);
        const char *values[] = { number[0], number[1], attach->epoch.holder };
        query(attach, sql_setaside_all, 3, values, on_all_set_aside);
        return;
    }
    if (!goes_on(attach, err, "set the fork aside"))
        return;
    if (PQntuples(result) == 1)
        (void)!str_to_u64(PQgetvalue(result, 0, 0), 0, INT64_MAX, &attach->setaside);
    attach->applied = attach->low;
    repl_drop_slots(attach->port);
    ask_slot(attach);
}

static void
set_aside(struct repl_attach *attach)
{
    char number[2][24];
    (void)snprintf(number[0], sizeof number[0], "%" PRIu64, attach->low);
    (void)snprintf(number[1], sizeof number[1], "%" PRIu64, attach->epoch.number);
    const char *values[] = { number[0], number[1], attach->epoch.holder };
    query(attach, sql_setaside_tail, 3, values, on_set_aside);
}

static void
on_own_detached(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    (void)result;
    if (!goes_on(attach, err, "detach"))
        return;
    attach->subscribed = false;
    set_aside(attach);
}

/* ------------------------------------------------------------------ 1: where do our logs part? */

static void ask_points(struct repl_attach *attach);

static void
conclude_match(struct repl_attach *attach)
{
    char name[REPL_NAME_SIZE];
    if (attach->low >= attach->applied) {
        ask_slot(attach);
        return;
    }
    attach->forked = true;
    if (!attach->subscribed) {
        set_aside(attach);
        return;
    }
    const char *values[] = { repl_name(attach->primary, name) };
    query(attach, sql_sub_detach, 1, values, on_own_detached);
}

static void
on_match(void *context, struct json_object *document, const struct err *err)
{
    struct repl_attach *attach = context;
    uint64_t common;
    uint64_t above;
    if (!goes_on(attach, err, "compare logs"))
        return;
    /* 'common': the largest of our points that it has; 'above': the smallest of ours beyond it */
    if (!json_get_u64(document, "common", &common))
        common = 0;
    if (common > attach->low)
        attach->low = common;
    if (json_get_u64(document, "above", &above)) {
        attach->high = above;
        attach->bounded = true;
    }
    if (attach->low >= attach->applied || !attach->bounded || attach->high <= attach->low + 1 ||
        ++attach->rounds > REPL_ROUNDS_MAX)
        conclude_match(attach);
    else
        ask_points(attach);
}

/* Our head is a row of the very epoch that we attach to: it came from that primary. */
static bool
head_is_theirs(const struct repl_attach *attach, struct json_object *points)
{
    struct json_object *head = json_object_array_get_idx(points, 0);
    struct epoch epoch = { 0 };
    const char *holder;
    return json_get_u64(head, "epoch", &epoch.number) && json_get_string(head, "holder", &holder) &&
           str_copy(epoch.holder, sizeof epoch.holder, holder) &&
           epoch_equal(&epoch, &attach->epoch);
}

static void
on_points(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    struct json_object *points = NULL;
    if (!goes_on(attach, err, "points of our log"))
        return;
    if (PQntuples(result) != 1 ||
        json_read(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0), &points, NULL) !=
            ERR_NONE) {
        finish_protocol(attach, "points");
        return;
    }
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add(body, "points", points);
    if (!attach->bounded && json_object_is_type(points, json_type_array) &&
        !json_get_u64(json_object_array_get_idx(points, 0), "revision", &attach->applied))
        attach->applied = 0;
    if (json_object_is_type(points, json_type_array) && head_is_theirs(attach, points)) {
        attach->low = attach->applied;
        ask_slot(attach);
        return;
    }
    attach->port->ask(attach->port->data, attach->primary, "/v1/peer/match", body, REPL_ASK_MS,
                      on_match, attach);
}

static void
ask_points(struct repl_attach *attach)
{
    char low[24];
    char high[24];
    if (!attach->bounded) {
        const char *none[] = { NULL, NULL };
        query(attach, sql_points, 2, none, on_points);
        return;
    }
    (void)snprintf(low, sizeof low, "%" PRIu64, attach->low);
    (void)snprintf(high, sizeof high, "%" PRIu64, attach->high - 1);
    const char *values[] = { low, high };
    query(attach, sql_points, 2, values, on_points);
}

/* ------------------------------------------------------------------ 0: other subscriptions */

static void detach_next(struct repl_attach *attach);

static void
on_detached(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    (void)result;
    if (goes_on(attach, err, "detach"))
        detach_next(attach);
}

static void
detach_next(struct repl_attach *attach)
{
    if (attach->detach_at < attach->detach.size) {
        const char *values[] = { attach->detach.data + attach->detach_at };
        attach->detach_at += strlen(values[0]) + 1;
        query(attach, sql_sub_detach, 1, values, on_detached);
        return;
    }
    if (attach->prepare_only)
        subscribe(attach);
    else
        ask_points(attach);
}

static void
on_subs(void *context, const PGresult *result, const struct err *err)
{
    struct repl_attach *attach = context;
    char ours[REPL_NAME_SIZE];
    if (!goes_on(attach, err, "subscriptions"))
        return;
    (void)repl_name(attach->primary, ours);
    int at_name = PQfnumber(result, "name");
    for (int row = 0; at_name >= 0 && row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, at_name);
        bool same = strcmp(name, ours) == 0 && !attach->catch_up_only;
        if (same && !attach->prepare_only)
            attach->subscribed = true;
        /* A standing subscription is made anew for its new slot; a switchover keeps the others. */
        if (same == attach->prepare_only)
            buf_add(&attach->detach, name, strlen(name) + 1);
    }
    detach_next(attach);
}

static struct repl_attach *
start(const struct repl_port *port, const char *self, const char *primary,
      const struct repl_attach_tls *tls, repl_attach_fn *done, void *data)
{
    struct repl_attach *attach = mem_zero(1, sizeof *attach);
    attach->port = port;
    attach->done = done;
    attach->data = data;
    attach->ca = str_dup(tls == NULL ? NULL : tls->ca);
    attach->certificate = str_dup(tls == NULL ? NULL : tls->certificate);
    attach->key = str_dup(tls == NULL ? NULL : tls->key);
    attach->login = str_dup(tls == NULL ? NULL : tls->login);
    ASSERT(str_copy(attach->self, sizeof attach->self, self));
    ASSERT(str_copy(attach->primary, sizeof attach->primary, primary));
    return attach;
}

struct repl_attach *
repl_attach_start(const struct repl_port *port, const char *self, const char *primary,
                  const struct epoch *epoch, const struct repl_attach_tls *tls,
                  repl_attach_fn *done, void *data)
{
    struct repl_attach *attach = start(port, self, primary, tls, done, data);
    attach->epoch = *epoch;
    query(attach, sql_subs, 0, NULL, on_subs);
    return attach;
}

struct repl_attach *
repl_prepare_start(const struct repl_port *port, const char *self, const char *publisher,
                   struct json_object *connection, const struct repl_attach_tls *tls,
                   repl_attach_fn *done, void *data)
{
    struct repl_attach *attach = start(port, self, publisher, tls, done, data);
    attach->prepare_only = true;
    attach->connection = json_object_get(connection);
    query(attach, sql_subs, 0, NULL, on_subs);
    return attach;
}

struct repl_attach *
repl_catch_up_start(const struct repl_port *port, const char *self, const char *member,
                    const struct epoch *epoch, uint64_t until, repl_attach_fn *done, void *data)
{
    struct repl_attach *attach = start(port, self, member, NULL, done, data);
    attach->epoch = *epoch;
    attach->catch_up_only = true;
    attach->head = until;
    query(attach, sql_subs, 0, NULL, on_subs);
    return attach;
}

void
repl_attach_cancel(struct repl_attach *attach)
{
    if (attach != NULL)
        attach->done = NULL; /* the one outstanding answer frees it */
}
