#include "controller/daemon/tail.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/pq.h"
#include "sql.h"

#define TAIL_ANSWER_MS 10000

struct tail {
    struct ev_loop *loop;
    struct pq *pq;       /* owned */
    struct cache *cache; /* borrowed */
    struct list listeners;
    ev_timer look;
    bool connected;
    bool reading;          /* rows or all: a statement is under way */
    bool again;            /* look once more when it ends */
    bool proved;           /* false: load all before the next row */
    bool reading_local;    /* the same for local settings */
    uint64_t local_wanted; /* numbers of readings: the last that somebody waits for, */
    uint64_t local_sent;   /* what the one under way will have shown, */
    uint64_t local_read;   /* and what was shown */
    bool failing;
};

static void read_next(struct tail *tail);
static void read_local(struct tail *tail);

static bool
position_of(const PGresult *result, int row, const char *prefix, struct cache_position *ret)
{
    bool head = *prefix != '\0';
    *ret = (struct cache_position){ 0 };
    ret->revision = pq_u64(result, row, head ? "applied" : "revision");
    ret->log_base = pq_u64(result, row, "log_base");
    ret->epoch = pq_u64(result, row, head ? "applied_epoch" : "epoch");
    const char *holder = pq_text(result, row, head ? "applied_holder" : "holder");
    const char *hash = pq_text(result, row, head ? "applied_hash" : "hash");
    return holder != NULL && hash != NULL && str_copy(ret->holder, sizeof ret->holder, holder) &&
           str_copy(ret->hash, sizeof ret->hash, hash);
}

static void
failed(struct tail *tail, const char *text)
{
    if (!tail->failing)
        log_warn("tail.failed", "reason=\"%s\"", text);
    tail->failing = true; /* said once; the timer tries again */
}

static void
tell_row(struct tail *tail, const struct tail_row *row)
{
    list_each (at, &tail->listeners) {
        struct tail_listener *listener = CONTAINER_OF(at, struct tail_listener, node);
        if (listener->row != NULL)
            listener->row(listener, row);
    }
}

static void
tell_local(struct tail *tail)
{
    list_each (at, &tail->listeners) {
        struct tail_listener *listener = CONTAINER_OF(at, struct tail_listener, node);
        if (listener->local_read != NULL)
            listener->local_read(listener);
    }
}

static void
tell_position(struct tail *tail, bool reloaded)
{
    list_each (at, &tail->listeners) {
        struct tail_listener *listener = CONTAINER_OF(at, struct tail_listener, node);
        if (reloaded && listener->reloaded != NULL)
            listener->reloaded(listener, cache_position(tail->cache));
        else if (!reloaded && listener->applied != NULL)
            listener->applied(listener, cache_position(tail->cache));
    }
}

/* ---- all of it ---- */

static void
take_all(struct tail *tail, const PGresult *result)
{
    struct cache_position position;
    if (PQntuples(result) == 0 || !position_of(result, 0, "applied", &position)) {
        failed(tail, "the database has no node");
        return;
    }
    cache_reload_begin(tail->cache, true, false);
    for (int row = 0; row < PQntuples(result); row++) {
        const char *key = pq_text(result, row, "key");
        const char *value = pq_text(result, row, "value");
        if (key == NULL || value == NULL)
            continue;
        cache_put(tail->cache, &(struct cache_row){ .key = key,
                                                    .site = pq_text(result, row, "site"),
                                                    .text = value,
                                                    .revision = pq_u64(result, row, "revision"),
                                                    .epoch = pq_u64(result, row, "epoch"),
                                                    .at = pq_text(result, row, "at"),
                                                    .author = pq_text(result, row, "author") });
    }
    cache_set_position(tail->cache, &position);
    cache_reload_end(tail->cache);
    tail->proved = true;
    tail->failing = false;
    log_info("tail.loaded", "revision=%llu entries=%zu", (unsigned long long)position.revision,
             cache_count(tail->cache));
    tell_position(tail, true);
}

static void
on_all(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)warned;
    struct tail *tail = data;
    tail->reading = false;
    if (err != NULL)
        failed(tail, err->text);
    else
        take_all(tail, result);
    if (tail->again && err == NULL)
        read_next(tail);
}

/* ---- new rows ---- */

/* T2: is what we saw last still what the log holds there? */
static bool
is_proved(const struct cache_position *seen, const PGresult *result)
{
    uint64_t base = pq_u64(result, 0, "log_base");
    const char *base_hash = pq_text(result, 0, "log_base_hash");
    const char *hash = pq_text(result, 0, "hash");
    if (pq_u64(result, 0, "applied") < seen->revision)
        return false;
    if (seen->revision == base)
        return base_hash != NULL && strcmp(base_hash, seen->hash) == 0;
    return hash != NULL && pq_u64(result, 0, "revision") == seen->revision &&
           strcmp(hash, seen->hash) == 0;
}

/* How many rows came, the proof not counted. */
static unsigned
take_rows(struct tail *tail, const PGresult *result)
{
    unsigned count = 0;
    for (int at = 0; at < PQntuples(result); at++) {
        struct cache_position position;
        if (pq_text(result, at, "revision") == NULL || !position_of(result, at, "", &position) ||
            position.revision <= cache_position(tail->cache)->revision)
            continue;
        struct tail_row row = { .revision = position.revision,
                                .epoch = position.epoch,
                                .holder = position.holder,
                                .txn = pq_u64(result, at, "txn"),
                                .site = pq_text(result, at, "site"),
                                .key = pq_text(result, at, "key"),
                                .text = pq_text(result, at, "value"),
                                .at = pq_text(result, at, "at"),
                                .author = pq_text(result, at, "author"),
                                .reason = pq_text(result, at, "reason") };
        cache_set_position(tail->cache, &position);
        cache_put(tail->cache, &(struct cache_row){ .key = row.key,
                                                    .site = row.site,
                                                    .text = row.text,
                                                    .revision = row.revision,
                                                    .epoch = row.epoch,
                                                    .at = row.at,
                                                    .author = row.author });
        count++;
        tell_row(tail, &row);
    }
    return count;
}

static void
on_rows(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)warned;
    struct tail *tail = data;
    tail->reading = false;
    if (err != NULL) {
        failed(tail, err->text);
        return;
    }
    if (PQntuples(result) == 0 || !is_proved(cache_position(tail->cache), result)) {
        tail->proved = false;
        read_next(tail);
        return;
    }
    tail->failing = false;
    if (take_rows(tail, result) > 0)
        tell_position(tail, false);
    if (tail->again || PQntuples(result) == TAIL_PAGE_ROWS)
        read_next(tail);
}

static void
read_next(struct tail *tail)
{
    if (!tail->connected)
        return;
    if (tail->reading) {
        tail->again = true;
        return;
    }
    tail->reading = true;
    tail->again = false;
    char revision[24];
    char rows[24];
    (void)snprintf(revision, sizeof revision, "%llu",
                   (unsigned long long)cache_position(tail->cache)->revision);
    (void)snprintf(rows, sizeof rows, "%d", TAIL_PAGE_ROWS);
    const char *values[] = { revision, rows };
    struct pq_request request = { .sql = tail->proved ? sql_tail_rows : sql_tail_load,
                                  .count = tail->proved ? 2 : 0,
                                  .values = values,
                                  .deadline_ms = TAIL_ANSWER_MS,
                                  .prepare = true,
                                  .done = tail->proved ? on_rows : on_all,
                                  .data = tail };
    (void)pq_send(tail->pq, &request);
}

/* ---- local settings ---- */

static bool
local_is_same(const struct tail *tail, const PGresult *result)
{
    size_t at = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *when = pq_text(result, row, "at");
        const struct cache_entry *entry = cache_local_next(tail->cache, "", &at);
        const char *key = pq_text(result, row, "key");
        const char *value = pq_text(result, row, "value");
        if (entry == NULL || key == NULL || value == NULL || strcmp(entry->key, key) != 0 ||
            strcmp(entry->text, value) != 0 || when == NULL || strcmp(entry->at, when) != 0)
            return false;
    }
    return cache_local_next(tail->cache, "", &at) == NULL;
}

static void
on_local(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)warned;
    struct tail *tail = data;
    tail->reading_local = false;
    if (err != NULL) {
        failed(tail, err->text);
        return;
    }
    if (!local_is_same(tail, result)) {
        cache_reload_begin(tail->cache, false, true);
        for (int row = 0; row < PQntuples(result); row++)
            cache_put_local(tail->cache,
                            &(struct cache_row){ .key = pq_text(result, row, "key"),
                                                 .text = pq_text(result, row, "value"),
                                                 .at = pq_text(result, row, "at"),
                                                 .author = pq_text(result, row, "author") });
        cache_reload_end(tail->cache);
    }
    tail->local_read = tail->local_sent;
    tell_local(tail);
    if (tail->local_wanted > tail->local_read)
        read_local(tail);
}

static void
read_local(struct tail *tail)
{
    if (!tail->connected || tail->reading_local)
        return;
    tail->reading_local = true;
    tail->local_sent = tail->local_wanted;
    struct pq_request request = {
        .sql = sql_tail_local, .deadline_ms = TAIL_ANSWER_MS, .done = on_local, .data = tail
    };
    (void)pq_send(tail->pq, &request);
}

/* ---- connection ---- */

static void
on_state(void *data, enum pq_state state, const struct err *err)
{
    struct tail *tail = data;
    (void)err; /* pq logs it */
    tail->connected = state == PQ_READY;
    if (!tail->connected)
        return;
    read_local(tail);
    read_next(tail);
}

static void
on_notify(void *data, const char *channel, const char *payload)
{
    (void)channel, (void)payload;
    read_next(data);
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tail *tail = CONTAINER_OF(timer, struct tail, look);
    read_local(tail);
    read_next(tail);
}

enum err_code
tail_new(struct ev_loop *loop, const char *conninfo, struct cache *cache, struct tail **ret_tail,
         struct err *err)
{
    /* Rows are read after every commit, and that costs less than planning it: one plan for all, by
     * the index, however small the log was when it was made. */
    static const char *const setup[] = {
        "set synchronous_commit = local", "set plan_cache_mode = force_generic_plan",
        "set enable_seqscan = off",       "set enable_bitmapscan = off",
        "set enable_sort = off",          "listen baton_log"
    };
    struct tail *tail = mem_zero(1, sizeof *tail);
    tail->loop = loop;
    tail->cache = cache;
    list_init(&tail->listeners);
    struct pq_options options = { .loop = loop,
                                  .name = "tail",
                                  .conninfo = conninfo,
                                  .setup = setup,
                                  .setup_count = ARRAY_COUNT(setup),
                                  .on_state = on_state,
                                  .on_notify = on_notify,
                                  .data = tail };
    if (pq_open(&options, &tail->pq, err) != ERR_NONE) {
        free(tail);
        return err->code;
    }
    ev_timer_init(&tail->look, on_look, TAIL_LOOK_MS / 1000.0, TAIL_LOOK_MS / 1000.0);
    ev_timer_start(loop, &tail->look);
    *ret_tail = tail;
    return ERR_NONE;
}

void
tail_free(struct tail *tail)
{
    if (tail == NULL)
        return;
    ASSERT(list_empty(&tail->listeners));
    ev_timer_stop(tail->loop, &tail->look);
    tail->connected = false;
    pq_close(tail->pq);
    free(tail);
}

void
tail_listen(struct tail *tail, struct tail_listener *listener)
{
    list_init(&listener->node);
    list_add_tail(&tail->listeners, &listener->node);
}

void
tail_unlisten(struct tail_listener *listener)
{
    list_remove(&listener->node);
}

void
tail_poke(struct tail *tail)
{
    read_next(tail);
}

uint64_t
tail_poke_local(struct tail *tail)
{
    tail->local_wanted++;
    read_local(tail);
    return tail->local_wanted;
}

uint64_t
tail_local_read(const struct tail *tail)
{
    return tail->local_read;
}

void
tail_reconnect(struct tail *tail)
{
    pq_reset(tail->pq);
}

bool
tail_connected(const struct tail *tail)
{
    return tail->connected;
}
