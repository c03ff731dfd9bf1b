#include "controller/daemon/writer.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/pq.h"
#include "sql.h"

struct item {
    struct list node; /* in 'queue' or in 'in_flight' */
    uint64_t id;
    char *text; /* owned; the group as JSON */
    size_t size;
    size_t changes;
    unsigned flags;
    bool alone;       /* its batch was refused as a whole: it is tried by itself */
    unsigned retries; /* after serialization failures */
    uint64_t submitted_ms;
    uint64_t submitted_us;
    writer_done_fn *done; /* NULL: answered, or forgotten */
    void *data;
};

struct writer {
    struct ev_loop *loop;
    struct pq *pq; /* owned */
    bool connected;
    bool stopping;
    bool rehearses; /* at each connect */
    enum writer_mode mode;
    char reason[ERR_TEXT_SIZE]; /* why CLOSED */
    uint64_t epoch;             /* 0: none yet */
    char holder[WRITER_HOLDER_SIZE];
    struct writer_limits limits;
    struct list queue; /* of struct item, oldest first */
    size_t queued;
    struct list in_flight; /* of struct item, in the order of the statement */
    size_t in_flight_count;
    uint64_t sent_ms;
    uint64_t late_ms;     /* when 'late' was last told, or the statement was sent */
    writer_late_fn *late; /* may be NULL */
    void *late_data;      /* borrowed */
    uint64_t last_id;
    ev_timer tick; /* runs while there are items */
    struct writer_stats stats;
};

static void pump(struct writer *writer);

/* ---- groups ---- */

struct json_object *
writer_group(const char *author, const char *reason)
{
    struct json_object *group = json_object_new_object();
    json_add_string(group, "author", author);
    json_add_string(group, "reason", reason);
    json_add(group, "changes", json_object_new_array());
    return group;
}

static struct json_object *
add_change(struct json_object *group, const char *key, const char *site, uint64_t if_match)
{
    struct json_object *change = json_object_new_object();
    json_add_string(change, "site", site == NULL ? "" : site);
    json_add_string(change, "key", key);
    if (if_match != WRITER_ANY_REVISION)
        json_add_u64(change, "if_match", if_match);
    ASSERT(json_object_array_add(json_get(group, "changes"), change) == 0);
    return change;
}

void
writer_group_put(struct json_object *group, const char *key, const char *site,
                 struct json_object *value, uint64_t if_match)
{
    json_add(add_change(group, key, site, if_match), "value", value);
}

void
writer_group_delete(struct json_object *group, const char *key, const char *site, uint64_t if_match)
{
    json_add_bool(add_change(group, key, site, if_match), "delete", true);
}

/* ---- answers ---- */

static void
item_free(struct item *item)
{
    list_remove(&item->node);
    free(item->text);
    free(item);
}

/* Tells the receiver, if there still is one; the item stays where it is. */
static void
answer(struct item *item, const struct writer_result *result, const struct err *err)
{
    writer_done_fn *done = item->done;
    item->done = NULL;
    if (done != NULL)
        done(item->data, result, err);
}

static void
finish(struct writer *writer, struct item *item, const struct writer_result *result,
       const struct err *err)
{
    list_remove(&item->node);
    if (result != NULL) {
        writer->stats.groups_done++;
        writer->stats.changes += item->changes;
        writer->stats.latency_us_sum += clock_now_us() - item->submitted_us;
    } else if (item->done != NULL && err->code == ERR_UNKNOWN_OUTCOME) {
        writer->stats.groups_unknown++;
    } else if (item->done != NULL) {
        writer->stats.groups_failed++;
    }
    answer(item, result, err);
    item_free(item);
}

static void
set_fenced(struct writer *writer, struct err *err)
{
    (void)err_set(err, ERR_FENCED, "fenced", "this node takes no writes: %s", writer->reason);
    (void)err_mend(err, "ask the primary, or look at: baton status");
}

static void
set_unknown(struct writer *writer, struct err *err, const char *cause)
{
    (void)err_set(err, ERR_UNKNOWN_OUTCOME, "unknown_outcome",
                  "the write was sent under epoch %llu of %s and may or may not be kept: %s",
                  (unsigned long long)writer->epoch, writer->holder, cause);
    (void)err_mend(err, "read the keys again before you repeat it");
}

static void
back_to_queue(struct writer *writer, struct item *item)
{
    list_remove(&item->node);
    if (item->done == NULL) {
        /* nobody waits for it any more and it surely was not done: it is dropped */
        item_free(item);
        return;
    }
    /* the caller walks from the last to the first, so that the order stays */
    struct list *first = writer->queue.next;
    list_add_tail(first, &item->node);
    writer->queued++;
}

static void
requeue_all(struct writer *writer, bool alone, bool retry)
{
    while (!list_empty(&writer->in_flight)) {
        struct item *item = CONTAINER_OF(writer->in_flight.prev, struct item, node);
        item->alone = item->alone || alone;
        item->retries += retry;
        back_to_queue(writer, item);
    }
}

/* W2: the freeze came first, and what was sent before it waits with the others. A first row waits
 * for nobody: sent again at once, it would be refused as often as the database can. */
static void
requeue_held(struct writer *writer, const struct err *err)
{
    struct list refused;
    list_init(&refused);
    while (!list_empty(&writer->in_flight)) {
        struct item *item = CONTAINER_OF(writer->in_flight.prev, struct item, node);
        if ((item->flags & WRITER_FIRST) == 0) {
            back_to_queue(writer, item);
            continue;
        }
        list_remove(&item->node);
        list_add_tail(&refused, &item->node);
    }
    while (!list_empty(&refused))
        finish(writer, CONTAINER_OF(refused.next, struct item, node), NULL, err);
}

static void
finish_all(struct writer *writer, const struct err *err)
{
    while (!list_empty(&writer->in_flight))
        finish(writer, CONTAINER_OF(writer->in_flight.next, struct item, node), NULL, err);
}

/* One group's part of the reply. */
static void
finish_group(struct writer *writer, struct item *item, struct json_object *reply, bool acknowledged,
             const char *doubt)
{
    struct err err;
    struct writer_result result = { 0 };
    const char *holder = "";
    bool ok = false;
    if (!json_get_bool(reply, "ok", &ok)) {
        set_unknown(writer, &err, "the database answered something senseless");
        finish(writer, item, NULL, &err);
        return;
    }
    if (!ok) {
        const char *code = "invalid";
        const char *slug = "";
        const char *text = "refused by the database";
        const char *mend = "";
        (void)(json_get_string(reply, "code", &code) && json_get_string(reply, "slug", &slug));
        (void)(json_get_string(reply, "text", &text) && json_get_string(reply, "mend", &mend));
        (void)err_set(&err, err_code_from_name(code), *slug == '\0' ? code : slug, "%s", text);
        (void)err_mend(&err, "%s", mend);
        finish(writer, item, NULL, &err);
        return;
    }
    bool whole = json_get_u64(reply, "epoch", &result.epoch) &&
                 json_get_string(reply, "holder", &holder) &&
                 json_get_u64(reply, "txn", &result.first) &&
                 json_get_u64(reply, "revision", &result.revision) &&
                 str_copy(result.holder, sizeof result.holder, holder);
    bool same_epoch = (item->flags & WRITER_FIRST) != 0 ||
                      (writer->mode != WRITER_CLOSED && result.epoch == writer->epoch &&
                       strcmp(result.holder, writer->holder) == 0);
    if (whole && acknowledged && same_epoch) { /* I4 */
        finish(writer, item, &result, NULL);
        return;
    }
    set_unknown(writer, &err,
                !whole         ? "the database answered something senseless"
                : acknowledged ? "another epoch began before it was acknowledged"
                               : doubt);
    finish(writer, item, NULL, &err);
}

static void
on_reply(struct writer *writer, const PGresult *result, bool warned)
{
    struct err err;
    CLEANUP(json_putp) struct json_object *reply = NULL;
    const char *text = PQgetvalue(result, 0, 0);
    const char *synchronous = "";
    char doubt[PQ_WARNING_SIZE_MAX + 64];
    struct json_object *groups = NULL;
    if (PQntuples(result) == 1 && json_read(text, strlen(text), &reply, &err) == ERR_NONE)
        groups = json_get(reply, "groups");
    if (!json_object_is_type(groups, json_type_array) ||
        json_object_array_length(groups) != writer->in_flight_count) {
        log_error("writer.reply", "text=\"not one answer for each of %zu groups\"",
                  writer->in_flight_count);
        set_unknown(writer, &err, "the database answered something senseless");
        finish_all(writer, &err);
        return;
    }
    bool is_on = json_get_string(reply, "synchronous_commit", &synchronous) &&
                 strcmp(synchronous, "on") == 0;
    if (warned)
        (void)snprintf(doubt, sizeof doubt, "the database warned: %s", pq_warning(writer->pq));
    else
        (void)snprintf(doubt, sizeof doubt, "synchronous_commit is '%s' and not 'on'", synchronous);
    if (warned || !is_on)
        log_warn("writer.doubt", "groups=%zu text=\"%s\"", writer->in_flight_count, doubt);
    for (size_t i = 0; !list_empty(&writer->in_flight); i++)
        finish_group(writer, CONTAINER_OF(writer->in_flight.next, struct item, node),
                     json_object_array_get_idx(groups, i), !warned && is_on, doubt);
}

static bool
may_retry(const struct writer *writer)
{
    return CONTAINER_OF(writer->in_flight.next, struct item, node)->retries < WRITER_RETRIES_MAX;
}

/* The server's own error for the statement as a whole, or none came. */
static void
on_failure(struct writer *writer, const PGresult *result, const struct err *cause, bool warned)
{
    struct err err;
    const char *state = pq_sqlstate(result);
    bool answered = *state != '\0' && !str_starts(state, "57P") && !str_starts(state, "08");
    bool not_sent = result == NULL && (cause->code == ERR_UNAVAILABLE ||
                                       cause->code == ERR_CANCELLED || cause->code == ERR_TIMEOUT);
    if (warned || (!answered && !not_sent)) {
        log_warn("writer.unknown", "groups=%zu reason=\"%s\"", writer->in_flight_count,
                 cause->text);
        set_unknown(writer, &err, cause->text);
        finish_all(writer, &err);
    } else if (not_sent) {
        requeue_all(writer, false, false);
    } else if (strcmp(state, "25006") == 0) {
        (void)err_set(&err, ERR_FENCED, "fenced", "the database of this node takes no writes: %s",
                      cause->text);
        (void)err_mend(&err, "look at: baton status");
        if (writer->mode == WRITER_HELD)
            requeue_held(writer, &err);
        else
            finish_all(writer, &err);
    } else if (str_starts(state, "40") && may_retry(writer)) {
        requeue_all(writer, false, true); /* somebody else's transaction came between */
    } else if (writer->in_flight_count > 1) {
        requeue_all(writer, true, false); /* one of them is to blame: find out which */
    } else {
        finish_all(writer, cause);
    }
}

static void
close_queue(struct writer *writer)
{
    struct err err;
    set_fenced(writer, &err);
    /* the receivers may do anything, so the list that is walked is not the one they see */
    struct list refused;
    list_init(&refused);
    while (!list_empty(&writer->queue)) {
        struct list *node = writer->queue.next;
        list_remove(node);
        list_add_tail(&refused, node);
    }
    writer->queued = 0;
    while (!list_empty(&refused))
        finish(writer, CONTAINER_OF(refused.next, struct item, node), NULL, &err);
}

static void
on_done(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct writer *writer = data;
    if (err == NULL)
        on_reply(writer, result, warned);
    else
        on_failure(writer, result, err, warned);
    ASSERT(list_empty(&writer->in_flight));
    writer->in_flight_count = 0;
    if (writer->mode == WRITER_CLOSED)
        close_queue(writer);
    pump(writer);
}

/* ---- the queue ---- */

/* Moves what shares the next statement to 'in_flight' and appends it to 'text'. */
static void
take_batch(struct writer *writer, struct buf *text)
{
    size_t changes = 0;
    list_each (at, &writer->queue) {
        struct item *item = CONTAINER_OF(at, struct item, node);
        bool first = writer->in_flight_count == 0;
        if (writer->mode == WRITER_HELD && (item->flags & WRITER_FIRST) == 0)
            continue;
        if (!first && (item->alone || changes + item->changes > WRITER_BATCH_CHANGES_MAX ||
                       text->size + item->size > WRITER_BATCH_SIZE_MAX))
            break;
        list_remove(&item->node);
        list_add_tail(&writer->in_flight, &item->node);
        writer->queued--;
        writer->in_flight_count++;
        changes += item->changes;
        buf_add_text(text, first ? "[" : ",");
        buf_add(text, item->text, item->size);
        if (item->alone)
            break;
    }
    if (writer->in_flight_count > 0)
        buf_add_text(text, "]");
}

static void
pump(struct writer *writer)
{
    if (writer->mode == WRITER_CLOSED || !writer->connected || writer->in_flight_count > 0)
        return;
    CLEANUP(buf_done) struct buf text = { 0 };
    take_batch(writer, &text);
    if (writer->in_flight_count == 0)
        return;
    writer->sent_ms = clock_now_ms();
    writer->late_ms = writer->sent_ms;
    writer->stats.batches++;
    const char *values[] = { buf_text(&text) };
    struct pq_request request = { .sql = sql_write,
                                  .count = 1,
                                  .values = values,
                                  /* a switchover waits for its first row: no round trip more */
                                  .prepare = writer->mode == WRITER_OPEN,
                                  .done = on_done,
                                  .data = writer };
    (void)pq_send(writer->pq, &request);
}

/* False when nothing (more) has expired. One at a time: its receiver may change the queue. */
static bool
expire_queued(struct writer *writer, uint64_t now_ms)
{
    struct err err;
    list_each (at, &writer->queue) {
        struct item *item = CONTAINER_OF(at, struct item, node);
        if ((item->flags & WRITER_PATIENT) != 0)
            continue;
        if (now_ms - item->submitted_ms < writer->limits.hold_ms)
            return false;
        (void)err_set(&err, ERR_TIMEOUT, "timeout",
                      "not sent within %llu ms and surely not done: %s",
                      (unsigned long long)writer->limits.hold_ms,
                      writer->mode == WRITER_HELD   ? "a promotion holds all writes"
                      : writer->in_flight_count > 0 ? "an earlier commit waits for its standbys"
                                                    : "the database does not answer");
        (void)err_mend(&err, "look at baton status, then try again");
        writer->queued--;
        finish(writer, item, NULL, &err);
        return true;
    }
    return false;
}

static void
expire_in_flight(struct writer *writer, uint64_t now_ms)
{
    if (writer->in_flight_count == 0 || now_ms - writer->sent_ms < writer->limits.commit_wait_ms)
        return;
    struct err err;
    char cause[96];
    (void)snprintf(cause, sizeof cause, "not acknowledged within %llu ms",
                   (unsigned long long)writer->limits.commit_wait_ms);
    set_unknown(writer, &err, cause);
    list_each (at, &writer->in_flight) {
        /* the item stays until the statement ends; only its receiver goes */
        struct item *item = CONTAINER_OF(at, struct item, node);
        if ((item->flags & WRITER_PATIENT) != 0 || item->done == NULL)
            continue;
        writer->stats.groups_unknown++;
        answer(item, NULL, &err);
    }
}

static void
tell_late(struct writer *writer, uint64_t now_ms)
{
    bool soon = now_ms - writer->sent_ms < WRITER_LATE_SOON_MS;
    uint64_t pause_ms = soon ? WRITER_LATE_MS : WRITER_LATE_AGAIN_MS;
    if (writer->late == NULL || writer->in_flight_count == 0 || now_ms - writer->late_ms < pause_ms)
        return;
    writer->late_ms = now_ms;
    writer->late(writer->late_data);
}

static void
on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct writer *writer = CONTAINER_OF(timer, struct writer, tick);
    uint64_t now_ms = clock_now_ms();
    tell_late(writer, now_ms);
    expire_in_flight(writer, now_ms);
    while (expire_queued(writer, now_ms))
        continue;
    if (writer->queued == 0 && writer->in_flight_count == 0)
        ev_timer_stop(loop, timer);
}

static void
rehearse(struct writer *writer)
{
    if (writer->connected && writer->mode == WRITER_CLOSED)
        (void)pq_query(writer->pq, sql_rehearse, 0, NULL, NULL, NULL);
}

static void
on_state(void *data, enum pq_state state, const struct err *err)
{
    struct writer *writer = data;
    /* once for each loss: while PostgreSQL starts, every try fails, and that is no news */
    if (err != NULL && writer->connected && !writer->stopping)
        log_warn("writer.connection", "reason=\"%s\"", err->text);
    writer->connected = state == PQ_READY;
    if (writer->rehearses)
        rehearse(writer);
    pump(writer);
}

/* ---- interface ---- */

enum err_code
writer_new(struct ev_loop *loop, const char *conninfo, struct writer **ret_writer, struct err *err)
{
    static const char *const setup[] = { "set synchronous_commit = on" };
    struct writer *writer = mem_zero(1, sizeof *writer);
    writer->loop = loop;
    writer->limits =
        (struct writer_limits){ .queue_max = 10000, .hold_ms = 15000, .commit_wait_ms = 10000 };
    (void)snprintf(writer->reason, sizeof writer->reason, "it has just started");
    list_init(&writer->queue);
    list_init(&writer->in_flight);
    ev_timer_init(&writer->tick, on_tick, WRITER_TICK_MS / 1000.0, WRITER_TICK_MS / 1000.0);
    struct pq_options options = { .loop = loop,
                                  .name = "writer",
                                  .conninfo = conninfo,
                                  .setup = setup,
                                  .setup_count = ARRAY_COUNT(setup),
                                  .on_state = on_state,
                                  .data = writer };
    if (pq_open(&options, &writer->pq, err) != ERR_NONE) {
        free(writer);
        return err->code;
    }
    *ret_writer = writer;
    return ERR_NONE;
}

void
writer_stop(struct writer *writer)
{
    writer->stopping = true;
    writer_close(writer, "this node stops");
}

void
writer_reconnect(struct writer *writer)
{
    pq_reset(writer->pq);
}

void
writer_free(struct writer *writer)
{
    if (writer == NULL)
        return;
    writer_stop(writer);
    pq_close(writer->pq); /* answers the statement in flight */
    ASSERT(list_empty(&writer->queue) && list_empty(&writer->in_flight));
    ev_timer_stop(writer->loop, &writer->tick);
    free(writer);
}

void
writer_set_limits(struct writer *writer, struct writer_limits limits)
{
    writer->limits = limits;
}

void
writer_set_late(struct writer *writer, writer_late_fn *late, void *data)
{
    writer->late = late;
    writer->late_data = data;
}

static enum err_code
check_room(struct writer *writer, const struct item *item, struct err *err)
{
    if (writer->mode == WRITER_CLOSED) {
        set_fenced(writer, err);
        return err->code;
    }
    if (item->changes > WRITER_BATCH_CHANGES_MAX)
        return err_set(err, ERR_LIMIT, "too_many_changes", "%zu changes in one write, at most %d",
                       item->changes, WRITER_BATCH_CHANGES_MAX);
    if (item->size > WRITER_GROUP_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "write_too_large", "a write of %zu bytes, at most %d",
                       item->size, WRITER_GROUP_SIZE_MAX);
    if (writer->queued >= writer->limits.queue_max && (item->flags & WRITER_FIRST) == 0) {
        uint64_t waits_ms = writer->in_flight_count == 0 ? 0 : clock_now_ms() - writer->sent_ms;
        (void)err_set(err, ERR_UNAVAILABLE, "busy",
                      "%zu writes wait already (write.queue_max); a commit waits for its standbys "
                      "since %llu ms",
                      writer->queued, (unsigned long long)waits_ms);
        return err_mend(err, "see which members acknowledge: baton status");
    }
    return ERR_NONE;
}

enum err_code
writer_submit(struct writer *writer, struct json_object *group, unsigned flags,
              writer_done_fn *done, void *data, uint64_t *ret_id, struct err *err)
{
    struct item *item = mem_zero(1, sizeof *item);
    list_init(&item->node);
    item->text = str_dup(json_text(group));
    item->size = strlen(item->text);
    item->changes = json_object_array_length(json_get(group, "changes"));
    item->flags = flags;
    item->done = done;
    item->data = data;
    (void)json_object_put(group);
    if (check_room(writer, item, err) != ERR_NONE) {
        item_free(item);
        return err->code;
    }
    item->id = ++writer->last_id;
    item->submitted_us = clock_now_us();
    item->submitted_ms = clock_now_ms();
    if ((flags & WRITER_FIRST) != 0)
        list_add_tail(writer->queue.next, &item->node); /* before the first */
    else
        list_add_tail(&writer->queue, &item->node);
    writer->queued++;
    if (ret_id != NULL)
        *ret_id = item->id;
    if (!ev_is_active(&writer->tick))
        ev_timer_again(writer->loop, &writer->tick);
    pump(writer);
    return ERR_NONE;
}

void
writer_forget(struct writer *writer, uint64_t id)
{
    list_each (at, &writer->queue) {
        struct item *item = CONTAINER_OF(at, struct item, node);
        if (item->id == id) {
            writer->queued--;
            item_free(item);
            return;
        }
    }
    list_each (at_flight, &writer->in_flight) {
        struct item *item = CONTAINER_OF(at_flight, struct item, node);
        if (item->id == id)
            item->done = NULL;
    }
}

void
writer_rehearse(struct writer *writer)
{
    writer->rehearses = true;
    rehearse(writer);
}

void
writer_open(struct writer *writer, uint64_t epoch, const char *holder)
{
    ASSERT(epoch > 0 && str_copy(writer->holder, sizeof writer->holder, holder));
    writer->epoch = epoch;
    writer->mode = WRITER_OPEN;
    pump(writer);
}

void
writer_hold(struct writer *writer)
{
    writer->mode = WRITER_HELD;
    pump(writer);
}

void
writer_close(struct writer *writer, const char *reason)
{
    writer->mode = WRITER_CLOSED;
    (void)snprintf(writer->reason, sizeof writer->reason, "%s", reason);
    close_queue(writer);
}

enum writer_mode
writer_mode(const struct writer *writer)
{
    return writer->mode;
}

struct writer_stats
writer_stats(const struct writer *writer)
{
    struct writer_stats stats = writer->stats;
    stats.queued = writer->queued;
    stats.in_flight = writer->in_flight_count;
    stats.in_flight_ms = writer->in_flight_count == 0 ? 0 : clock_now_ms() - writer->sent_ms;
    return stats;
}

bool
writer_connected(const struct writer *writer)
{
    return writer->connected;
}
