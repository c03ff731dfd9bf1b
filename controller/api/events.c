#include "controller/api/events.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/tail.h"
#include "controller/daemon/view.h"
#include "controller/loop/cert.h"
#include "controller/loop/pq.h"
#include "sql.h"

#define EVENT_ID_SIZE    64
#define EVENT_START_SIZE 9 /* 4 random bytes, hexadecimal */
#define EVENT_HASH_SIZE  9

struct event {
    uint64_t number;
    uint64_t revision;          /* of a row of the log; 0 for the other kinds */
    uint64_t shown;             /* the revision in its id */
    char hash[EVENT_HASH_SIZE]; /* the beginning of that revision's hash */
    const char *kind;           /* static */
    char *text;                 /* owned */
};

struct listener {
    struct list node;
    struct events *events;
    struct http_stream *stream;
    struct caller caller;
    uint64_t sent_revision; /* rows up to it were sent */
};

struct events {
    struct core *core; /* borrowed */
    struct pq *pq;     /* borrowed */
    struct tail_listener tail;
    struct list listeners;
    ev_timer check;
    char start[EVENT_START_SIZE];
    struct event ring[EVENTS_RING_MAX];
    size_t ring_count;
    uint64_t last_number;
    bool stopped;
    struct events_counters counters;
};

/* The id of an event says what this node's log shows at its moment. */
static struct event
event_now(const struct events *events, uint64_t number, const char *kind, char *text)
{
    const struct cache_position *position = cache_position(events->core->cache);
    struct event event = {
        .number = number, .shown = position->revision, .kind = kind, .text = text
    };
    (void)snprintf(event.hash, sizeof event.hash, "%.8s", position->hash);
    return event;
}

static const struct event *
ring_at(const struct events *events, uint64_t number)
{
    return &events->ring[number % EVENTS_RING_MAX];
}

static void
event_id(const struct events *events, const struct event *event, char id[EVENT_ID_SIZE])
{
    (void)snprintf(id, EVENT_ID_SIZE, "%llu-%s-%llu-%s", (unsigned long long)event->shown,
                   event->hash, (unsigned long long)event->number, events->start);
}

static void
send_event(struct listener *listener, const struct event *event)
{
    char id[EVENT_ID_SIZE];
    if (event->revision > 0 && event->revision <= listener->sent_revision)
        return; /* V1 */
    if (event->revision > 0)
        listener->sent_revision = event->revision;
    event_id(listener->events, event, id);
    http_stream_send(listener->stream, event->kind, id, event->text);
}

/* Takes 'text'. */
static void
publish(struct events *events, const char *kind, uint64_t revision, char *text)
{
    events->last_number++;
    struct event *event = &events->ring[events->last_number % EVENTS_RING_MAX];
    free(event->text);
    *event = event_now(events, events->last_number, kind, text);
    event->revision = revision;
    if (events->ring_count < EVENTS_RING_MAX)
        events->ring_count++;
    events->counters.events++;

    char id[EVENT_ID_SIZE];
    CLEANUP(buf_done) struct buf frame = { 0 };
    list_each (at, &events->listeners) {
        struct listener *listener = CONTAINER_OF(at, struct listener, node);
        if (revision > 0 && revision <= listener->sent_revision)
            continue; /* V1 */
        if (revision > 0)
            listener->sent_revision = revision;
        if (frame.size == 0) {
            event_id(events, event, id);
            http_stream_frame(&frame, kind, id, text);
        }
        http_stream_send_frame(listener->stream, frame.data, frame.size);
    }
}

/* ---- what happens ---- */

static struct json_object *
row_document(const struct tail_row *row)
{
    struct json_object *document = json_object_new_object();
    bool hidden = doc_is_system(row->key); /* A2 */
    json_add_u64(document, "revision", row->revision);
    json_add(document, "epoch", doc_epoch(row->epoch, row->holder));
    json_add_u64(document, "txn", row->txn);
    json_add_string(document, "site", row->site);
    json_add_string(document, "key", row->key);
    json_add(document, "value", doc_value(row->key, row->text));
    json_add_bool(document, "deleted", row->text == NULL);
    json_add_bool(document, "hidden", hidden);
    json_add_string(document, "author", row->author);
    json_add_string(document, "at", row->at);
    json_add_string(document, "reason", row->reason);
    return document;
}

static void
on_row(struct tail_listener *tail, const struct tail_row *row)
{
    struct events *events = CONTAINER_OF(tail, struct events, tail);
    CLEANUP(json_putp) struct json_object *document = row_document(row);
    publish(events, "config", row->revision, str_dup(json_text(document)));
}

static void
on_reloaded(struct tail_listener *tail, const struct cache_position *position)
{
    struct events *events = CONTAINER_OF(tail, struct events, tail);
    if (events->ring_count == 0 && list_empty(&events->listeners))
        return; /* the first load */
    /* rows that were shown may be gone: nobody may resume from before */
    events->ring_count = 0;
    events->counters.resets++;
    list_each (at, &events->listeners)
        CONTAINER_OF(at, struct listener, node)->sent_revision = position->revision;
    publish(events, "reset", 0, str_dup("{}"));
}

static void
on_driver(void *data, const char *kind, struct json_object *document)
{
    static const char *const kinds[] = { "role",  "promotion", "connector", "node",
                                         "lease", "takeover",  "alarm" };
    struct events *events = data;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(kinds[i], kind) == 0)
            publish(events, kinds[i], 0, str_dup(json_text(document)));
    }
}

/* ---- listeners ---- */

static void
listener_free(struct listener *listener)
{
    list_remove(&listener->node);
    listener->events->counters.listeners_now--;
    free(listener);
}

static void
on_gone(void *data, struct http_stream *stream)
{
    (void)stream;
    listener_free(data);
}

/* Ends the call; NULL when the client has gone. */
static struct listener *
listen(struct call *call)
{
    struct events *events = call->api->events;
    struct listener *listener = mem_zero(1, sizeof *listener);
    list_init(&listener->node);
    listener->events = events;
    listener->caller = call->caller;
    listener->sent_revision = cache_position(events->core->cache)->revision;
    events->counters.listeners_now++;
    listener->stream = http_stream_start(call->request, on_gone, listener);
    call_forget(call);
    if (listener->stream == NULL) {
        listener_free(listener);
        return NULL;
    }
    list_add_tail(&events->listeners, &listener->node);
    return listener;
}

static void
on_check(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct events *events = CONTAINER_OF(timer, struct events, check);
    list_each (at, &events->listeners) {
        struct listener *listener = CONTAINER_OF(at, struct listener, node);
        if (auth_holds(events->core->api->auth, &listener->caller))
            continue;
        http_stream_end(listener->stream);
        listener_free(listener);
    }
}

/* ---- coming back ---- */

static void
send_reset(struct listener *listener)
{
    struct events *events = listener->events;
    char text[] = "{}";
    struct event reset = event_now(events, events->last_number, "reset", text);
    events->counters.resets++;
    send_event(listener, &reset);
}

/* From the ring, what is newer than 'number'. */
static void
replay(struct listener *listener, uint64_t number)
{
    struct events *events = listener->events;
    for (number++; number <= events->last_number; number++)
        send_event(listener, ring_at(events, number));
}

static void
send_each(struct listener *listener, const char *kind, struct json_object *list)
{
    struct events *events = listener->events;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        CLEANUP(freep) char *text = str_dup(json_text(json_object_array_get_idx(list, i)));
        struct event event = event_now(events, events->last_number, kind, text);
        send_event(listener, &event);
    }
}

/* What replaces the missed events of the other kinds. */
static void
send_state(struct listener *listener)
{
    struct core *core = listener->events->core;
    CLEANUP(json_putp) struct json_object *nodes = view_nodes(core);
    CLEANUP(json_putp) struct json_object *connectors = view_connectors(core);
    if (json_object_is_type(json_get(nodes, "nodes"), json_type_array))
        send_each(listener, "node", json_get(nodes, "nodes"));
    if (json_object_is_type(json_get(connectors, "connectors"), json_type_array))
        send_each(listener, "connector", json_get(connectors, "connectors"));
}

static void
send_log_row(struct listener *listener, const PGresult *result, int at)
{
    char when[32];
    struct tail_row row = { .revision = pq_u64(result, at, "revision"),
                            .epoch = pq_u64(result, at, "epoch"),
                            .holder = pq_text(result, at, "holder"),
                            .txn = pq_u64(result, at, "txn"),
                            .site = pq_text(result, at, "site"),
                            .key = pq_text(result, at, "key"),
                            .text = pq_text(result, at, "value"),
                            .author = pq_text(result, at, "author"),
                            .at = doc_time(pq_text(result, at, "at"), when),
                            .reason = pq_text(result, at, "reason") };
    CLEANUP(json_putp) struct json_object *document = row_document(&row);
    CLEANUP(freep) char *text = str_dup(json_text(document));
    struct event event = { .number = listener->events->last_number,
                           .revision = row.revision,
                           .shown = row.revision,
                           .kind = "config",
                           .text = text };
    (void)snprintf(event.hash, sizeof event.hash, "%.8s", pq_text(result, at, "hash"));
    send_event(listener, &event);
}

struct resume {
    uint64_t seen;              /* revision that the client saw last */
    char hash[EVENT_HASH_SIZE]; /* the beginning of its hash; "" when the client did not tell */
};

/* Does the log here go on where the client stopped? '*ret_first' is the first row after it. */
static bool
goes_on(const struct resume *resume, const struct cache_position *position, const PGresult *result,
        int *ret_first)
{
    int count = PQntuples(result);
    *ret_first = count > 0 && pq_u64(result, 0, "revision") == resume->seen ? 1 : 0;
    const char *hash = *ret_first == 1                      ? pq_text(result, 0, "hash")
                       : resume->seen == position->revision ? position->hash
                                                            : NULL;
    if (hash != NULL && !str_starts(hash, resume->hash))
        return false; /* that row was set aside: what was shown is not in this log */
    if (count > *ret_first)
        return pq_u64(result, *ret_first, "revision") == resume->seen + 1;
    return *ret_first == 1 || resume->seen == position->revision;
}

/* The row that the client saw last, and those after it. */
static void
on_log(struct call *call, const PGresult *result)
{
    int first;
    struct resume resume = *(struct resume *)call->state;
    struct cache_position position = *cache_position(call_cache(call));
    bool whole = goes_on(&resume, &position, result, &first);
    struct listener *listener = listen(call);
    if (listener == NULL)
        return;
    if (!whole || PQntuples(result) - first > EVENTS_RESUME_MAX) {
        send_reset(listener);
        return;
    }
    struct events *events = listener->events;
    events->counters.resumed++;
    listener->sent_revision = resume.seen;
    for (int row = first; row < PQntuples(result); row++)
        send_log_row(listener, result, row);
    /* the rows are of a moment ago: the ring has what the tail has seen since */
    if (events->ring_count > 0)
        replay(listener, events->last_number - events->ring_count);
    if (listener->sent_revision < position.revision)
        send_reset(listener);
    send_state(listener);
}

/* "42", "42-5d1e0a77", or a whole id: "42-5d1e0a77-7-0a1b2c3d". '*ret_number' is 0 when the ring
 * does not know it. */
static bool
parse_id(const struct events *events, const char *text, struct resume *ret, uint64_t *ret_number)
{
    char part[4][24] = { "", "", "", "" };
    size_t count = 0;
    for (; count < ARRAY_COUNT(part); count++) {
        size_t length = strcspn(text, "-");
        if (length >= sizeof part[0] || (length == 0 && count != 1))
            return false;
        memcpy(part[count], text, length);
        text += length;
        if (*text == '\0') {
            count++;
            break;
        }
        text++;
    }
    *ret = (struct resume){ 0 };
    *ret_number = 0;
    if (*text != '\0' || count == 3 || !str_to_u64(part[0], 0, INT64_MAX, &ret->seen) ||
        !str_copy(ret->hash, sizeof ret->hash, part[1]))
        return false;
    if (count == 4 && strcmp(part[3], events->start) == 0)
        return str_to_u64(part[2], 0, INT64_MAX, ret_number);
    return true;
}

void
serve_events(struct call *call)
{
    struct events *events = call->api->events;
    const char *last = http_header(call->request, "Last-Event-ID");
    struct resume resume;
    uint64_t number = 0;
    if (last == NULL || *last == '\0') {
        (void)listen(call);
        return;
    }
    if (!parse_id(events, last, &resume, &number)) {
        call_refuse(call, ERR_INVALID, "header_invalid",
                    "Last-Event-ID is not an id that was sent from here");
        return;
    }
    if (number > 0 && number <= events->last_number &&
        number + events->ring_count >= events->last_number) {
        struct listener *listener = listen(call);
        if (listener == NULL)
            return;
        events->counters.resumed++;
        listener->sent_revision = resume.seen;
        replay(listener, number);
        return;
    }
    char after[24];
    char limit[24];
    (void)snprintf(after, sizeof after, "%llu",
                   (unsigned long long)(resume.seen == 0 ? 0 : resume.seen - 1));
    (void)snprintf(limit, sizeof limit, "%d", EVENTS_RESUME_MAX + 2);
    const char *values[] = { "", after, limit };
    call->state = mem_alloc(sizeof resume);
    call->state_free = free;
    memcpy(call->state, &resume, sizeof resume);
    call_sql(call, sql_history, ARRAY_COUNT(values), values, on_log);
}

/* ---- life ---- */

struct events *
events_new(struct core *core, struct pq *pq)
{
    uint8_t random[4];
    struct events *events = mem_zero(1, sizeof *events);
    events->core = core;
    events->pq = pq;
    list_init(&events->listeners);
    cert_random(random, sizeof random);
    str_hex(events->start, random, sizeof random);
    events->tail.row = on_row;
    events->tail.reloaded = on_reloaded;
    tail_listen(core->tail, &events->tail);
    driver_on_event(core->driver, on_driver, events);
    ev_timer_init(&events->check, on_check, EVENTS_CHECK_S, EVENTS_CHECK_S);
    ev_timer_start(core->loop, &events->check);
    return events;
}

void
events_stop(struct events *events)
{
    if (events->stopped)
        return;
    events->stopped = true;
    ev_timer_stop(events->core->loop, &events->check);
    tail_unlisten(&events->tail);
    driver_on_event(events->core->driver, NULL, NULL);
    while (!list_empty(&events->listeners)) {
        struct listener *listener = CONTAINER_OF(events->listeners.next, struct listener, node);
        http_stream_end(listener->stream);
        listener_free(listener);
    }
}

void
events_free(struct events *events)
{
    if (events == NULL)
        return;
    events_stop(events);
    for (size_t i = 0; i < EVENTS_RING_MAX; i++)
        free(events->ring[i].text);
    free(events);
}

struct events_counters
events_counters(const struct events *events)
{
    return events->counters;
}
