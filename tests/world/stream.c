/*
 * A subscription of one database to another: it connects, rows come in order, each is taken by the
 * gate or ends the connection, and what was flushed is acknowledged. The connection is made by the
 * subscriber's database, whatever its daemon does.
 */
#include "tests/world/inner.h"

static struct sub *
sub_of(struct world *world, unsigned subscriber, unsigned publisher)
{
    return &world->nodes[subscriber].db.subs[publisher];
}

static bool
is_cut(const struct world *world, unsigned from, unsigned to)
{
    return (world->cut[from][to] & WORLD_REPLICATION) != 0;
}

static bool
sends(const struct world *world, unsigned publisher)
{
    const struct world_node *node = &world->nodes[publisher];
    return !node->db.stopped && host_answers(world, publisher);
}

static void on_try(struct world *world, struct event *event);

static void
try_after(struct world *world, unsigned subscriber, unsigned publisher, uint64_t after_ms)
{
    struct sub *sub = sub_of(world, subscriber, publisher);
    if (sub->trying)
        return;
    sub->trying = true;
    struct event *event = queue_database(world, after_ms, on_try, subscriber);
    event->peer = publisher;
}

/* ------------------------------------------------------------------ rows and acknowledgements */

static bool
still_runs(struct world *world, const struct event *event, unsigned subscriber, unsigned publisher)
{
    const struct sub *sub = sub_of(world, subscriber, publisher);
    return sub->connected && sub->connection == event->id;
}

/* A stream over a cut waits for it to end, but not for ever. True: it waits, or is broken. */
static bool
waits_for_line(struct world *world, struct event *event, unsigned subscriber, unsigned publisher,
               bool cut)
{
    struct sub *sub = sub_of(world, subscriber, publisher);
    if (!cut) {
        sub->broken_ms = 0;
        return false;
    }
    if (sub->broken_ms == 0)
        sub->broken_ms = world->now_ms;
    if (world->now_ms - sub->broken_ms > WORLD_STREAM_MS) {
        stream_break(world, subscriber, publisher);
        try_after(world, subscriber, publisher, WORLD_RECONNECT_MS);
        return true;
    }
    struct event *again = queue_database(world, 100, event->run, event->node);
    again->peer = event->peer;
    again->id = event->id;
    again->message.revision = event->message.revision;
    return true;
}

static void
on_acknowledgement(struct world *world, struct event *event)
{
    unsigned publisher = event->node;
    unsigned subscriber = event->peer;
    struct sub *sub = sub_of(world, subscriber, publisher);
    if (!still_runs(world, event, subscriber, publisher) ||
        waits_for_line(world, event, subscriber, publisher, is_cut(world, subscriber, publisher)))
        return;
    if (event->message.revision < sub->acked)
        return; /* the same again counts: a connection that was made anew says where it stands */
    sub->acked = event->message.revision;
    world->nodes[publisher].db.slots[subscriber].confirmed = sub->acked;
    db_check_waiter(world, publisher);
}

static void
acknowledge(struct world *world, unsigned subscriber, unsigned publisher)
{
    struct sub *sub = sub_of(world, subscriber, publisher);
    struct event *event = queue_database(world, some_ms(world, world->config.delay_ms),
                                         on_acknowledgement, publisher);
    event->peer = subscriber;
    event->id = sub->connection;
    event->message.revision = sub->origin;
}

static void send_rows(struct world *world, unsigned subscriber, unsigned publisher);

static void
on_rows(struct world *world, struct event *event)
{
    unsigned subscriber = event->node;
    unsigned publisher = event->peer;
    struct sub *sub = sub_of(world, subscriber, publisher);
    if (!still_runs(world, event, subscriber, publisher) ||
        waits_for_line(world, event, subscriber, publisher,
                       sub->held || is_cut(world, publisher, subscriber)))
        return;
    sub->sending = false;
    size_t before = sub->origin;
    while (sub->origin < event->message.revision) {
        const struct row *row = &world->nodes[publisher].db.stream.list[sub->origin];
        enum gate gate = db_take(world, subscriber, row, 0);
        if (gate == GATE_LOCKED) {
            sub->sending = true;
            struct event *again = queue_database(world, 5, on_rows, subscriber);
            again->peer = publisher;
            again->id = event->id;
            again->message.revision = event->message.revision;
            return;
        }
        if (gate != GATE_TAKEN && gate != GATE_DUPLICATE) {
            if (sub->origin > before)
                acknowledge(world, subscriber, publisher);
            stream_break(world, subscriber, publisher);
            try_after(world, subscriber, publisher, WORLD_RECONNECT_MS);
            return;
        }
        sub->origin++;
    }
    acknowledge(world, subscriber, publisher);
    send_rows(world, subscriber, publisher);
}

static void
send_rows(struct world *world, unsigned subscriber, unsigned publisher)
{
    struct sub *sub = sub_of(world, subscriber, publisher);
    size_t count = world->nodes[publisher].db.stream.count;
    if (!sub->connected || sub->sending || sub->origin >= count || !sends(world, publisher))
        return;
    sub->sending = true;
    struct event *event =
        queue_database(world, some_ms(world, world->config.delay_ms), on_rows, subscriber);
    event->peer = publisher;
    event->id = sub->connection;
    event->message.revision = count;
}

void
stream_wake(struct world *world, unsigned publisher)
{
    for (unsigned i = 0; i < world->count; i++)
        send_rows(world, i, publisher);
}

/* ------------------------------------------------------------------ connections */

void
stream_break(struct world *world, unsigned subscriber, unsigned publisher)
{
    struct sub *sub = sub_of(world, subscriber, publisher);
    if (!sub->connected)
        return;
    sub->connected = false;
    sub->sending = false;
    sub->broken_ms = 0;
    world->nodes[publisher].db.slots[subscriber].active = false;
}

static void
on_try(struct world *world, struct event *event)
{
    unsigned subscriber = event->node;
    unsigned publisher = event->peer;
    struct sub *sub = sub_of(world, subscriber, publisher);
    struct slot *slot = &world->nodes[publisher].db.slots[subscriber];
    sub->trying = false;
    if (!sub->exists || sub->connected || !world->nodes[subscriber].db.up)
        return;
    if (!world->nodes[publisher].db.up || !sends(world, publisher) || !slot->exists ||
        slot->active || is_cut(world, publisher, subscriber) ||
        is_cut(world, subscriber, publisher)) {
        try_after(world, subscriber, publisher, 4 * WORLD_RECONNECT_MS);
        return;
    }
    slot->active = true;
    sub->connected = true;
    sub->connection++;
    sub->broken_ms = 0;
    /* The publisher starts where its slot stands, at the least; all before counts as taken. */
    if (sub->origin < slot->confirmed)
        sub->origin = slot->confirmed;
    sub->acked = slot->confirmed;
    acknowledge(world, subscriber, publisher);
    send_rows(world, subscriber, publisher);
}

void
stream_connect(struct world *world, unsigned subscriber, unsigned publisher)
{
    try_after(world, subscriber, publisher, some_ms(world, world->config.delay_ms));
}

void
stream_start(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < world->count; i++) {
        if (world->nodes[node].db.subs[i].exists)
            stream_connect(world, node, i);
    }
}

void
stream_stop(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < world->count; i++) {
        stream_break(world, node, i);
        if (sub_of(world, i, node)->connected) {
            stream_break(world, i, node);
            try_after(world, i, node, WORLD_RECONNECT_MS);
        }
    }
}
