/*
 * A database as the daemons and the subscriptions see it: schema/migrations in C. What SQL does
 * under the lock of local.node happens here within one event; what it does in between takes time.
 */
#include <string.h>

#include "tests/world/inner.h"

#define TENURE_BACK_MS 500
#define LEFT_BEHIND_MS 100

const char *
gate_name(enum gate gate)
{
    static const char *const names[] = { "taken",          "duplicate",  "locked",
                                         "BT009 primary",  "BT001 gap",  "BT002 stale epoch",
                                         "BT003 promised", "BT004 hash", "BT008 fork" };
    return names[gate];
}

void
rows_add(struct row_list *rows, const struct row *row)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 64 : rows->capacity * 2;
        rows->list = mem_grow(rows->list, rows->capacity, sizeof *rows->list);
    }
    rows->list[rows->count++] = *row;
}

void
log_add(struct database *db, const struct row *row)
{
    rows_add(&db->log, row);
    if (row->kind == ROW_PLAIN && row->record == 0 && row->note == 0)
        return;
    if (db->telling_count == db->telling_capacity) {
        db->telling_capacity = db->telling_capacity == 0 ? 16 : 2 * db->telling_capacity;
        db->telling = mem_grow(db->telling, db->telling_capacity, sizeof *db->telling);
    }
    db->telling[db->telling_count++] = db->log.count - 1;
}

void
log_cut(struct database *db, size_t count)
{
    db->log.count = count;
    while (db->telling_count > 0 && db->telling[db->telling_count - 1] >= count)
        db->telling_count--;
}

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29);
}

uint64_t
row_hash(uint64_t before, const struct row *row)
{
    uint64_t hash = mix(before, row->revision);
    hash = mix(hash, row->epoch);
    hash = mix(hash, row->value);
    hash = mix(hash, row->record);
    hash = mix(hash, row->note);
    return mix(hash, (uint64_t)row->kind);
}

/* ------------------------------------------------------------------ what is there */

size_t
db_visible(const struct database *db)
{
    return db->log.count - (db->waiter.active ? 1 : 0);
}

static struct point
point_at(const struct database *db, size_t count)
{
    if (count == 0)
        return (struct point){ 0 };
    const struct row *row = &db->log.list[count - 1];
    return (struct point){ .epoch = row->epoch, .revision = row->revision, .hash = row->hash };
}

struct point
db_head(const struct database *db)
{
    return point_at(db, db_visible(db));
}

struct point
db_durable(const struct database *db)
{
    return point_at(db, db->log.count);
}

/* local.tenure_holds() */
static bool
tenure_holds(const struct world *world, unsigned node)
{
    const struct database *db = &world->nodes[node].db;
    int64_t wall_ms = host_wall_ms(world, node);
    return !db->tenure ||
           (wall_ms < db->tenure_until_ms && wall_ms > db->tenure_since_ms - TENURE_BACK_MS);
}

bool
db_writable(const struct world *world, unsigned node)
{
    const struct database *db = &world->nodes[node].db;
    return db->is_primary && !db->frozen && db->opened_boot == db->boot &&
           db->promised == db->epoch && tenure_holds(world, node);
}

const struct row *
db_telling(const struct database *db, size_t count, size_t *at)
{
    while (*at > 0) {
        size_t index = db->telling[--*at];
        if (index < count)
            return &db->log.list[index];
    }
    return NULL;
}

/* The last record within the first 'count' rows. */
static const struct row *
last_record(const struct database *db, size_t count)
{
    const struct row *row;
    for (size_t at = db->telling_count; (row = db_telling(db, count, &at)) != NULL;) {
        if (row->record != 0)
            return row;
    }
    return NULL;
}

uint32_t
db_record_of(const struct database *db, size_t count)
{
    const struct row *row = last_record(db, count);
    return row == NULL ? 0 : row->record;
}

uint64_t
db_record_revision(const struct database *db)
{
    const struct row *row = last_record(db, db_visible(db));
    return row == NULL ? 0 : row->revision;
}

/* Something that reads and the daemon may see has changed. */
static void
became_visible(struct world *world, unsigned node)
{
    struct database *db = &world->nodes[node].db;
    const struct row *row = &db->log.list[db_visible(db) - 1];
    if (row->record != 0)
        db->record = row->record;
    daemon_applied(world, node);
    if (row->note != 0 && world->notes[row->note - 1].kind == NOTE_ARBITER)
        lease_configure(world, node);
}

static void
append(struct world *world, unsigned node, const struct row *row, bool local)
{
    struct database *db = &world->nodes[node].db;
    log_add(db, row);
    rows_add(&db->stream, row);
    check_row(world, node, row, local);
    stream_wake(world, node);
}

/* ------------------------------------------------------------------ writes of its own */

static void pump(struct world *world, struct event *event);

static void
pump_soon(struct world *world, unsigned node)
{
    struct database *db = &world->nodes[node].db;
    if (db->pumping || db->waiter.active || db->queue_count == 0 || !db->up)
        return;
    db->pumping = true;
    queue_database(world, some_ms(world, 1), pump, node)->life = db->boot;
}

static void
end_wait(struct world *world, unsigned node, enum outcome outcome)
{
    struct database *db = &world->nodes[node].db;
    struct write write = db->waiter.write;
    uint64_t revision = db->log.list[db->log.count - 1].revision;
    db->waiter.active = false;
    if (outcome == OUTCOME_ACKNOWLEDGED)
        check_acknowledged(world, node, revision);
    became_visible(world, node);
    client_write_done(world, node, &write, outcome, revision);
    pump_soon(world, node);
}

/* waiters_cancel(): its client gets a COMMIT with a warning (I4). */
static void
cancel_wait(struct world *world, unsigned node)
{
    if (world->nodes[node].db.waiter.active)
        end_wait(world, node, OUTCOME_UNKNOWN);
}

void
db_check_waiter(struct world *world, unsigned node)
{
    struct database *db = &world->nodes[node].db;
    unsigned count = 0;
    if (!db->waiter.active)
        return;
    for (unsigned i = 0; i < world->count; i++) {
        const struct sub *sub = &world->nodes[i].db.subs[node];
        count += (db->names_mask & (1u << i)) != 0 && sub->connected &&
                 sub->acked > db->waiter.stream_index;
    }
    if (count >= db->names_k)
        end_wait(world, node, OUTCOME_ACKNOWLEDGED);
}

static bool
local_write_passes(const struct world *world, unsigned node, const struct write *write)
{
    const struct database *db = &world->nodes[node].db;
    uint64_t applied = db_head(db).epoch;
    return db_writable(world, node) && (applied == db->epoch || write->source == WRITE_FIRST);
}

static void
pump(struct world *world, struct event *event)
{
    unsigned node = event->node;
    struct database *db = &world->nodes[node].db;
    if (!db->up || db->boot != event->life)
        return;
    db->pumping = false;
    if (db->waiter.active || db->queue_count == 0)
        return;
    struct write write = db->queue[db->queue_first];
    db->queue_first = (db->queue_first + 1) % WORLD_WRITES_MAX;
    db->queue_count--;
    if (!local_write_passes(world, node, &write)) {
        write.fenced = true;
        client_write_done(world, node, &write, OUTCOME_REFUSED, 0);
        pump_soon(world, node);
        return;
    }
    if (write.source == WRITE_FIRST)
        check_first_row(world, node);
    struct point head = db_head(db);
    struct row row = { .revision = head.revision + 1,
                       .epoch = db->epoch,
                       .value = write.number,
                       .record = write.record,
                       .note = write.note,
                       .kind = write.source == WRITE_FIRST    ? ROW_EPOCH
                               : write.source == WRITE_RECORD ? ROW_RECORD
                               : write.source == WRITE_NOTE   ? ROW_NOTE
                                                              : ROW_PLAIN };
    row.hash = row_hash(head.hash, &row);
    db->waiter.active = true;
    db->waiter.write = write;
    db->waiter.stream_index = db->stream.count;
    db->waiter.since_ms = host_now_ms(world, node);
    append(world, node, &row, true);
    if (db->waiter.active)
        db_check_waiter(world, node);
}

void
db_write(struct world *world, unsigned node, const struct write *write)
{
    struct database *db = &world->nodes[node].db;
    if (!db->up || db->queue_count == WORLD_WRITES_MAX) {
        client_write_done(world, node, write, OUTCOME_REFUSED, 0);
        return;
    }
    db->queue[(db->queue_first + db->queue_count++) % WORLD_WRITES_MAX] = *write;
    pump_soon(world, node);
}

/* ------------------------------------------------------------------ rows of others */

/* A row from a stream ('catchup_for' 0), or pulled on behalf of an epoch. */
enum gate
db_take(struct world *world, unsigned node, const struct row *row, uint64_t catchup_for)
{
    struct database *db = &world->nodes[node].db;
    struct point head = db_head(db);
    if (row->revision <= head.revision)
        return db->log.list[row->revision - 1].hash == row->hash ? GATE_DUPLICATE : GATE_FORK;
    if (db->waiter.active)
        return GATE_LOCKED;
    if (db->is_primary)
        return GATE_PRIMARY;
    if (row->revision != head.revision + 1)
        return GATE_GAP;
    if (row->epoch < head.epoch)
        return GATE_STALE;
    if (row->epoch < db->promised && (catchup_for == 0 || catchup_for < db->promised))
        return GATE_PROMISED;
    if (row->hash != row_hash(head.hash, row))
        return GATE_HASH;
    if (row->epoch > db->promised)
        db->promised = row->epoch;
    append(world, node, row, false);
    became_visible(world, node);
    return GATE_TAKEN;
}

/* ------------------------------------------------------------------ functions for the daemon */

/* A daemon's connection, which ends with either of the two. */
static uint64_t
session_of(const struct database *db, const struct op *op)
{
    return (uint64_t)db->boot << 32 | op->life;
}

static bool
op_fence(struct world *world, unsigned node, const struct op *op)
{
    struct database *db = &world->nodes[node].db;
    cancel_wait(world, node);
    db->is_primary = db->frozen = false;
    db->fenced_by = session_of(db, op);
    return true;
}

static bool
op_freeze(struct database *db, struct op *op)
{
    if (!db->is_primary) {
        op->message.text = "not primary";
        return false;
    }
    db->frozen = true;
    return true;
}

/* No row of SQL, which is no error, but not thawed. */
static bool
op_thaw(struct database *db, struct op *op)
{
    if (!db->is_primary || db->epoch != op->message.epoch || db->promised != db->epoch) {
        op->message.text = "another epoch is promised";
        return false;
    }
    db->frozen = false;
    return true;
}

static bool
op_capture(struct world *world, unsigned node, struct op *op)
{
    struct database *db = &world->nodes[node].db;
    cancel_wait(world, node);
    op->message.promised = db->promised; /* as it was before */
    op->message.flag = db->promised != op->message.epoch;
    if (db->promised > op->message.epoch)
        return false;
    if (op->message.flag) {
        db->promised = op->message.epoch;
        db->is_primary = db->frozen = false;
    }
    return true;
}

static bool
op_open(struct world *world, unsigned node, struct op *op)
{
    struct database *db = &world->nodes[node].db;
    uint64_t epoch = op->message.epoch;
    bool resume = op->kind == OP_RESUME;
    ASSERT(epoch != 0);
    if (db->promised != epoch || code_holder(epoch) != node) {
        op->message.text = "another epoch is promised";
        return false;
    }
    if (db->fenced_by != 0 && db->fenced_by != session_of(db, op)) {
        op->message.text = "another session has fenced";
        return false;
    }
    if (resume ? db->epoch != epoch : db->epoch >= epoch || db_head(db).epoch >= epoch) {
        op->message.text =
            resume ? "the epoch was never opened here" : "the epoch was opened before";
        return false;
    }
    db->is_primary = true;
    db->frozen = false;
    db->epoch = epoch;
    db->opened_boot = db->boot;
    check_opened(world, node, op);
    return true;
}

void
world_reopen(struct world *world, unsigned node)
{
    struct database *db = &world->nodes[node].db;
    if (!db->up)
        return;
    db->is_primary = true;
    db->opened_boot = 0; /* which by hand nobody thinks of: it takes no writes */
    say(world, WORLD_SAY_WORLD, "%5llu %s: its database is made primary by hand", stamp(world),
        world->nodes[node].name);
}

static bool
op_slot(struct world *world, unsigned node, struct op *op)
{
    struct database *db = &world->nodes[node].db;
    struct slot *slot = &db->slots[op->peer];
    if (slot->exists && !op->remake)
        return true;
    if (slot->exists) {
        if (slot->active)
            stream_break(world, op->peer, node);
        *slot = (struct slot){ 0 };
    }
    *slot = (struct slot){ .exists = true, .confirmed = db->stream.count };
    return true;
}

static bool
op_detach(struct world *world, unsigned node, const struct op *op)
{
    struct database *db = &world->nodes[node].db;
    for (unsigned i = 0; i < world->count; i++) {
        if (!db->subs[i].exists || (op->kind == OP_DETACH_OWN) != (i == op->peer))
            continue;
        if (db->subs[i].connected)
            stream_break(world, node, i);
        bool held = db->subs[i].held;
        bool trying = db->subs[i].trying;
        uint32_t connection = db->subs[i].connection;
        db->subs[i] = (struct sub){ .held = held, .trying = trying, .connection = connection };
    }
    return true;
}

static bool
op_setaside(struct world *world, unsigned node, struct op *op)
{
    struct database *db = &world->nodes[node].db;
    if (db->is_primary) {
        op->message.text = gate_name(GATE_PRIMARY);
        return false;
    }
    if (op->message.epoch < db->promised) {
        op->message.text = "a later epoch is promised";
        return false;
    }
    if (op->message.revision < db->log.count && db_head(db).epoch >= op->message.epoch) {
        op->message.text = "rows of that epoch are no fork";
        return false;
    }
    for (size_t i = op->message.revision; i < db->log.count; i++)
        rows_add(&db->aside, &db->log.list[i]);
    op->message.flag = op->message.revision < db->log.count;
    if (op->message.flag) {
        say(world, WORLD_SAY_WORLD, "%5llu %s sets %zu rows aside, above revision %llu",
            stamp(world), world->nodes[node].name, db->log.count - op->message.revision,
            (unsigned long long)op->message.revision);
        /* who has given rows up for an epoch goes back to no earlier one */
        if (db->promised < op->message.epoch)
            db->promised = op->message.epoch;
        log_cut(db, op->message.revision);
        db->record = db_record_of(db, db->log.count);
        check_what_if(world, true);
        lease_configure(world, node);
    }
    daemon_applied(world, node);
    return true;
}

static bool
op_catchup(struct world *world, unsigned node, struct op *op)
{
    const struct row_list *rows = &op->message.rows;
    for (size_t i = 0; i < rows->count; i++) {
        enum gate gate = db_take(world, node, &rows->list[i], op->message.epoch);
        if (gate != GATE_TAKEN && gate != GATE_DUPLICATE) {
            op->message.text = gate_name(gate);
            return false;
        }
    }
    return true;
}

/* What nobody but its daemon reads. */
static bool
op_daemons_own(struct world *world, unsigned node, struct op *op)
{
    struct database *db = &world->nodes[node].db;
    if (op->kind == OP_GATE) {
        db->tenure = op->message.flag;
        db->tenure_since_ms = host_wall_ms(world, node);
        db->tenure_until_ms = db->tenure_since_ms + (int64_t)op->message.revision;
    } else if (op->kind == OP_NOTE) {
        db->memory = op->memory;
    } else if (op->kind == OP_ACTS) {
        op->change = db->change;
        op->activation = db->activation;
    } else if (op->kind == OP_INTENT) {
        db->change = op->change;
        db->activation = op->activation;
    } else if (db->change.sequence == op->change.sequence) {
        db->activation = op->activation;
    }
    return true;
}

static bool
op_run(struct world *world, unsigned node, struct op *op)
{
    struct database *db = &world->nodes[node].db;
    switch (op->kind) {
    case OP_START:
        op->memory = db->memory;
        return op_fence(world, node, op);
    case OP_FENCE:
        return op_fence(world, node, op);
    case OP_FREEZE:
        return op_freeze(db, op);
    case OP_THAW:
        return op_thaw(db, op);
    case OP_CAPTURE:
        return op_capture(world, node, op);
    case OP_OPEN:
    case OP_RESUME:
        return op_open(world, node, op);
    case OP_SLOT:
        cancel_wait(world, node); /* a slot would wait for it (I12) */
        return op_slot(world, node, op);
    case OP_NAMES:
        db->names_k = op->names_k;
        db->names_mask = op->names_mask;
        db_check_waiter(world, node);
        return true;
    case OP_DETACH:
    case OP_DETACH_OWN:
        return op_detach(world, node, op);
    case OP_SETASIDE:
        return op_setaside(world, node, op);
    case OP_DROP_SLOTS:
        for (unsigned i = 0; i < world->count; i++) {
            if (db->slots[i].active)
                stream_break(world, i, node);
            db->slots[i] = (struct slot){ 0 };
        }
        return true;
    case OP_CATCHUP:
        return op_catchup(world, node, op);
    case OP_SUBSCRIBE:
        db->subs[op->peer].exists = true;
        stream_connect(world, node, op->peer);
        return true;
    case OP_GATE:
    case OP_NOTE:
    case OP_ACTS:
    case OP_INTENT:
    case OP_REPORT:
        return op_daemons_own(world, node, op);
    }
    return false;
}

/* ------------------------------------------------------------------ one operation after the other
 */

static struct op_queue *
queue_of(struct world *world, const struct event *event)
{
    struct database *db = &world->nodes[event->node].db;
    return event->control ? &db->control : &db->attach;
}

static void next_op(struct world *world, unsigned node, bool control);

static void
on_answered(struct world *world, struct event *event)
{
    struct database *db = &world->nodes[event->node].db;
    if (!db->up || db->boot != event->life)
        return;
    struct op_queue *queue = queue_of(world, event);
    struct op op = queue->ops[queue->first];
    queue->first = (queue->first + 1) % WORLD_OPS_MAX;
    queue->count--;
    next_op(world, event->node, event->control);
    if (world->nodes[event->node].daemon.up && world->nodes[event->node].daemon.life == op.life)
        effect_op_done(world, event->node, &op);
    free(op.message.rows.list);
}

/* A fence and a capture end a COMMIT that waits, but nobody whose lock of the table is another. */
static bool
waits_for_lock(const struct database *db, enum op_kind kind)
{
    bool ends = kind == OP_FENCE || kind == OP_START || kind == OP_CAPTURE;
    bool takes = kind == OP_FREEZE || kind == OP_THAW || kind == OP_OPEN || kind == OP_RESUME ||
                 kind == OP_SETASIDE || kind == OP_CATCHUP;
    return (db->waiter.active && takes) || (db->locked && (takes || ends));
}

/* The server goes on with what a daemon that died has sent, whoever connects meanwhile. */
static void
on_left_behind(struct world *world, struct event *event)
{
    const struct database *db = &world->nodes[event->node].db;
    struct op op = { .kind = (enum op_kind)event->id,
                     .life = event->message.serial,
                     .loss = event->message.flag,
                     .message = { .epoch = event->message.epoch } };
    if (!db->up || db->boot != event->life)
        return;
    (void)op_run(world, event->node, &op);
    check_node(world, event->node);
}

static bool
is_left_behind(const struct world *world, unsigned node, const struct op *op)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    return (op->kind == OP_OPEN || op->kind == OP_RESUME) &&
           (!daemon->up || op->life != daemon->life);
}

static void
leave_behind(struct world *world, unsigned node, const struct op *op)
{
    struct database *db = &world->nodes[node].db;
    struct event *event =
        queue_database(world, some_ms(world, LEFT_BEHIND_MS), on_left_behind, node);
    event->life = db->boot;
    event->id = (uint32_t)op->kind;
    event->message.serial = op->life;
    event->message.flag = op->loss;
    event->message.epoch = op->message.epoch;
}

static void
on_op(struct world *world, struct event *event)
{
    unsigned node = event->node;
    struct database *db = &world->nodes[node].db;
    if (!db->up || db->boot != event->life)
        return;
    struct op_queue *queue = queue_of(world, event);
    struct op *op = &queue->ops[queue->first];
    bool waits = waits_for_lock(db, op->kind);
    if (waits && op->wait_until_ms == 0)
        op->wait_until_ms = world->now_ms + world->config.lock_ms;
    if (waits && world->now_ms < op->wait_until_ms) {
        struct event *again = queue_database(world, 10, on_op, node);
        again->life = event->life;
        again->control = event->control;
        return;
    }
    if (op->kind != OP_GATE)
        op->message.flag = false;
    bool left = !waits && is_left_behind(world, node, op);
    if (left)
        leave_behind(world, node, op);
    bool fine = !waits && !left && op_run(world, node, op);
    if (waits)
        op->message.text = "55P03 a writer did not end in time";
    if (op->kind == OP_THAW) /* what counts is whether it writes: see on_thawed_position() */
        fine = db_writable(world, node);
    op->message.reply = fine ? REPLY_OK : REPLY_REFUSED;
    op->message.point = db_head(db);
    op->message.record = db->record;
    op->ended = true;
    if (op->kind != OP_CAPTURE)
        op->message.promised = db->promised;
    check_node(world, node);
    struct event *answer = queue_daemon(world, some_ms(world, 1) - 1, on_answered, node);
    answer->life = event->life;
    answer->control = event->control;
}

static void
next_op(struct world *world, unsigned node, bool control)
{
    struct database *db = &world->nodes[node].db;
    struct op_queue *queue = control ? &db->control : &db->attach;
    if (queue->count == 0)
        return;
    struct event *event = queue_database(world, some_ms(world, control ? 1 : 3), on_op, node);
    event->life = db->boot;
    event->control = control;
}

static void
on_no_database(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    struct op op = { .kind = (enum op_kind)event->id,
                     .job = (enum job)event->peer,
                     .ticket = event->message.write.ticket,
                     .message = event->message };
    op.message.write = (struct write){ 0 };
    op.message.rows = (struct row_list){ 0 };
    op.message.reply = REPLY_UNREACHABLE;
    op.message.text = "no connection to the database";
    if (daemon->up && daemon->life == event->life)
        effect_op_done(world, event->node, &op);
}

static void
fail_op(struct world *world, unsigned node, const struct op *op)
{
    struct event *event = queue_daemon(world, 1, on_no_database, node);
    event->life = op->life;
    event->id = (uint32_t)op->kind;
    event->peer = (unsigned)op->job;
    event->message = op->message;
    event->message.rows = (struct row_list){ 0 };
    event->message.write.ticket = op->ticket;
}

void
db_submit(struct world *world, unsigned node, bool control, const struct op *op)
{
    struct database *db = &world->nodes[node].db;
    struct op_queue *queue = control ? &db->control : &db->attach;
    struct op copy = *op;
    copy.life = world->nodes[node].daemon.life;
    if (!db->up || queue->count == WORLD_OPS_MAX) {
        fail_op(world, node, &copy);
        free(copy.message.rows.list);
        return;
    }
    queue->ops[(queue->first + queue->count++) % WORLD_OPS_MAX] = copy;
    if (queue->count == 1)
        next_op(world, node, control);
}

/* ------------------------------------------------------------------ crash, start */

static void
drop_ops(struct world *world, unsigned node, struct op_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct op *op = &queue->ops[(queue->first + i) % WORLD_OPS_MAX];
        fail_op(world, node, op);
        free(op->message.rows.list);
    }
    *queue = (struct op_queue){ 0 };
}

void
db_crash(struct world *world, unsigned node)
{
    struct database *db = &world->nodes[node].db;
    if (!db->up)
        return;
    stream_stop(world, node);
    db->up = false;
    db->stopped = false;
    host_wake(world, node);
    drop_ops(world, node, &db->control);
    drop_ops(world, node, &db->attach);
    struct waiter waiter = db->waiter;
    db->waiter.active = false; /* the row is there: it was flushed before the wait */
    db->record = db_record_of(db, db->log.count);
    if (waiter.active)
        client_write_done(world, node, &waiter.write, OUTCOME_UNKNOWN, 0);
    while (db->queue_count > 0) {
        struct write write = db->queue[db->queue_first];
        db->queue_first = (db->queue_first + 1) % WORLD_WRITES_MAX;
        db->queue_count--;
        client_write_done(world, node, &write, OUTCOME_UNKNOWN, 0);
    }
    db->pumping = false;
    daemon_database(world, node, false);
}

void
db_start(struct world *world, unsigned node)
{
    struct database *db = &world->nodes[node].db;
    if (db->up)
        return;
    db->up = true;
    db->boot++;
    world->nodes[node].database_down_ms = world->now_ms;
    stream_start(world, node);
    daemon_database(world, node, true);
}
