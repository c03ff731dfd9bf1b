/*
 * The invariants, looked at from outside: none of this is known to any node.
 *
 * The acknowledged history is a log of its own: the rows up to the newest acknowledged one, as they
 * stood in the log of the node that acknowledged. Every later acknowledgement must extend it, and
 * every node that becomes primary must hold it (I4, I5, I6). When somebody has taken a loss on,
 * nothing is promised until the cluster is at rest again; then the primary's log is the history.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/world/inner.h"

#define WHAT_IF_EVERY 8

void
check_fail(struct world *world, const char *format, ...)
{
    va_list arguments;
    if (world->violation[0] != '\0')
        return;
    va_start(arguments, format);
    (void)vsnprintf(world->violation, sizeof world->violation, format, arguments);
    va_end(arguments);
    say(world, WORLD_SAY_WORLD, "%5llu VIOLATION %s", stamp(world), world->violation);
}

static const char *
name_of(const struct world *world, unsigned node)
{
    return world->nodes[node].name;
}

/* ------------------------------------------------------------------ rows: I2, I7 */

static void
known_insert(struct known_row *table, size_t capacity, const struct known_row *row)
{
    size_t at = (size_t)((row->epoch * 0x9E3779B97F4A7C15ULL + row->revision) % capacity);
    while (table[at].epoch != 0)
        at = (at + 1) % capacity;
    table[at] = *row;
}

static const struct known_row *
known_find(const struct world *world, uint64_t epoch, uint64_t revision)
{
    size_t capacity = world->known_capacity;
    size_t at = (size_t)((epoch * 0x9E3779B97F4A7C15ULL + revision) % capacity);
    for (; world->known[at].epoch != 0; at = (at + 1) % capacity) {
        if (world->known[at].epoch == epoch && world->known[at].revision == revision)
            return &world->known[at];
    }
    return NULL;
}

static void
known_grow(struct world *world)
{
    size_t capacity = world->known_capacity == 0 ? 1021 : world->known_capacity * 2 + 1;
    struct known_row *table = mem_zero(capacity, sizeof *table);
    for (size_t i = 0; i < world->known_capacity; i++) {
        if (world->known[i].epoch != 0)
            known_insert(table, capacity, &world->known[i]);
    }
    free(world->known);
    world->known = table;
    world->known_capacity = capacity;
}

void
check_row(struct world *world, unsigned node, const struct row *row, bool local)
{
    char text[EPOCH_TEXT_SIZE];
    if (world->known_count * 2 >= world->known_capacity)
        known_grow(world);
    const struct known_row *known = known_find(world, row->epoch, row->revision);
    if (known != NULL && known->hash != row->hash)
        check_fail(world, "I7: revision %llu of epoch %s is one row in one place and another on %s",
                   (unsigned long long)row->revision, code_text(world, row->epoch, text),
                   name_of(world, node));
    if (known == NULL) {
        known_insert(world->known, world->known_capacity,
                     &(struct known_row){
                         .epoch = row->epoch, .revision = row->revision, .hash = row->hash });
        world->known_count++;
    }
    if (!local)
        return;
    if (code_holder(row->epoch) != node)
        check_fail(world, "I2: %s wrote a row of epoch %s", name_of(world, node),
                   code_text(world, row->epoch, text));
    if (row->value != 0)
        rows_add(&world->written, row);
}

/* ------------------------------------------------------------------ the acknowledged history */

static bool
holds_history(const struct world *world, const struct database *db, size_t count)
{
    return count <= db->log.count &&
           (count == 0 || db->log.list[count - 1].hash == world->acked[count - 1]);
}

static void
extend_history(struct world *world, const struct database *db, size_t count)
{
    while (world->acked_capacity < count) {
        world->acked_capacity = world->acked_capacity == 0 ? 256 : world->acked_capacity * 2;
        world->acked = mem_grow(world->acked, world->acked_capacity, sizeof *world->acked);
    }
    for (; world->acked_count < count; world->acked_count++)
        world->acked[world->acked_count] = db->log.list[world->acked_count].hash;
}

void
check_acknowledged(struct world *world, unsigned node, uint64_t revision)
{
    const struct database *db = &world->nodes[node].db;
    size_t count = (size_t)revision;
    if (world->loss_accepted)
        return;
    if (!holds_history(world, db, count < world->acked_count ? count : world->acked_count))
        check_fail(world,
                   "I5: %s has revision %llu acknowledged in a log that is not the acknowledged "
                   "history",
                   name_of(world, node), (unsigned long long)revision);
    extend_history(world, db, count);
    check_what_if(world, false);
}

/* ------------------------------------------------------------------ what if somebody promoted now?
 */

static uint64_t
newest_opened(const struct world *world, unsigned set)
{
    uint64_t newest = 0;
    for (unsigned i = 0; i < world->count; i++) {
        if ((set & (1u << i)) == 0)
            continue;
        uint64_t applied = db_durable(&world->nodes[i].db).epoch;
        uint64_t epoch = world->nodes[i].db.epoch;
        newest = newest < applied ? applied : newest;
        newest = newest < epoch ? epoch : newest;
    }
    return newest;
}

/* What the arbiter would say to 'candidate' of the note in force beside 'record', if it promised
 * now. False: it would not, and a promotion goes no further. */
static bool
would_promise(const struct world *world, unsigned candidate, const struct quorum_record *record,
              struct quorum_note *ret_note)
{
    uint64_t row;
    unsigned at = arbiter_of_log(world, candidate, &row);
    *ret_note = (struct quorum_note){ 0 };
    if (record->arbiter == 0)
        return true;
    if (row != record->arbiter || at == WORLD_NONE)
        return false;
    const struct arbiter *it = &world->arbiters[at];
    *ret_note = told_read(world, it->number, it->told);
    return it->there && it->suspect == 0;
}

/* The arbiter that 'record' names, by the row that chose it, has promised the epoch of the
 * promotion that runs, or a later one: once, whatever it has forgotten since. */
static bool
has_promised(const struct world *world, unsigned candidate, const struct quorum_record *record)
{
    const struct row_list *log = &world->nodes[candidate].db.log;
    uint64_t epoch = code_from(world, &world->nodes[candidate].daemon.promo.epoch);
    if (record->arbiter == 0)
        return true;
    if (record->arbiter > log->count || log->list[record->arbiter - 1].note == 0)
        return false;
    const struct note *note = &world->notes[log->list[record->arbiter - 1].note - 1];
    return note->kind == NOTE_ARBITER && note->arbiter != WORLD_NONE &&
           world->arbiters[note->arbiter].promised_once >= epoch;
}

bool
check_arbiter_changes(const struct world *world, unsigned node)
{
    uint64_t row;
    (void)arbiter_of_log(world, node, &row);
    return row > daemon_record(world, node)->arbiter;
}

static bool
would_capture(const struct world *world, unsigned set, unsigned candidate,
              const struct database *of)
{
    const char *names[WORLD_NODES_MAX];
    size_t count = 0;
    struct quorum_note note;
    uint32_t record = db_record_of(of, of->log.count);
    if (record == 0)
        return false;
    for (unsigned i = 0; i < world->count; i++) {
        if ((set & (1u << i)) != 0)
            names[count++] = name_of(world, i);
    }
    uint64_t newest = newest_opened(world, set);
    unsigned old = code_holder(newest);
    bool proves = (set & (1u << old)) != 0 && world->nodes[old].db.promised == newest;
    const struct quorum_record *log = &world->records[record - 1];
    bool promised = would_promise(world, candidate, log, &note);
    bool all = quorum_is_all(log, names, count); /* whether it changes or not: the proof is sound */
    struct epoch opened = code_epoch(world, db_durable(of).epoch);
    struct quorum_record in_force = quorum_in_force(log, &note, &opened);
    uint64_t noted = note.given_up ? code_from(world, &note.epoch) : 0;
    proves = proves && noted <= newest;
    return (promised || all) && quorum_is_voter(&in_force, name_of(world, candidate)) &&
           quorum_captured(&in_force, names, count, proves ? name_of(world, old) : NULL) &&
           quorum_captured(log, names, count, proves ? name_of(world, old) : NULL);
}

/* A promotion that reaches exactly 'set' and is allowed by the shipped rule must find all that was
 * acknowledged. The rule is asked twice, as the machine does: with the candidate's record, and with
 * the one in the log that it has caught up on. */
static void
what_if(struct world *world, unsigned set)
{
    unsigned best = WORLD_NONE;
    bool allowed = false;
    for (unsigned i = 0; i < world->count; i++) {
        if ((set & (1u << i)) == 0)
            continue;
        struct point point = db_durable(&world->nodes[i].db);
        struct point top = { 0 };
        if (best != WORLD_NONE)
            top = db_durable(&world->nodes[best].db);
        if (best == WORLD_NONE || point_before(&top, &point))
            best = i;
    }
    const struct database *db = &world->nodes[best].db;
    if (holds_history(world, db, world->acked_count))
        return;
    for (unsigned i = 0; i < world->count && !allowed; i++) {
        const struct database *own = &world->nodes[i].db;
        allowed = (set & (1u << i)) != 0 && would_capture(world, set, i, db) &&
                  would_capture(world, set, i, own);
    }
    if (allowed)
        check_fail(world,
                   "I5: a promotion that captures the nodes 0x%x would be allowed, and would lose "
                   "acknowledged revision %zu: the furthest, %s, has %zu rows",
                   set, world->acked_count, name_of(world, best), db->log.count);
}

void
check_what_if(struct world *world, bool always)
{
    if (world->loss_accepted ||
        (!always && world->config.seed != 0 && ++world->what_if_skipped % WHAT_IF_EVERY != 0))
        return;
    for (unsigned set = 1; set < 1u << world->count; set++)
        what_if(world, set);
}

/* ------------------------------------------------------------------ opening: I1, I5, I6, I11, I12
 */

void
check_resuming(struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    struct quorum_record in_force = daemon_in_force(world, node);
    const struct quorum_record *record = &in_force;
    const struct quorum_set *sets[] = { &record->now, &record->old };
    bool leased = daemon->lease.state != LEASE_STATE_NONE;
    if (leased &&
        !lease_is_granted(&daemon->lease, &daemon->node.own.epoch, host_now_ms(world, node)))
        check_fail(world, "I11: %s goes on under its epoch without the lease",
                   name_of(world, node));
    if (!leased && record->since[0] != '\0' &&
        (unsigned)__builtin_popcount(daemon->heard) + 1 < world->count)
        check_fail(world, "I11: %s counts fewer than were promised, and goes on unconfirmed",
                   name_of(world, node));
    for (size_t i = 0; i < (record->joint ? 2u : 1u); i++) {
        unsigned others = set_mask(world, sets[i]) & ~(1u << node);
        unsigned heard = others & world->nodes[node].daemon.heard;
        unsigned needed = sets[i]->k == 0 ? (unsigned)__builtin_popcount(others) : sets[i]->k;
        if (needed > (unsigned)__builtin_popcount(others))
            needed = (unsigned)__builtin_popcount(others);
        if ((unsigned)__builtin_popcount(heard) < needed)
            check_fail(world, "I11: %s goes on under its epoch, confirmed by nobody",
                       name_of(world, node));
    }
}

/* By the log that it captured with: what it has pulled since may know nothing of that change. */
static bool
began_while_it_changed(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    return daemon->pull.epoch == code_from(world, &daemon->promo.epoch)
               ? daemon->pull.arbiter_changes
               : check_arbiter_changes(world, node);
}

/* The epoch's first row is about to be written: what the node says that it is primary of. */
void
check_goes_on(struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    char text[2][EPOCH_TEXT_SIZE];
    if (!epoch_equal(&daemon->node.own.epoch, &daemon->promo.epoch))
        check_fail(world, "I1: %s has opened epoch %s, and goes on under %s", name_of(world, node),
                   epoch_text(&daemon->promo.epoch, text[0]),
                   epoch_text(&daemon->node.own.epoch, text[1]));
}

/* Nobody but a person says so, who knows that no other node can begin to act. */
static bool
is_carried(const struct world *world, unsigned node)
{
    uint64_t row;
    unsigned at = arbiter_of_log(world, node, &row);
    return at != WORLD_NONE && world->arbiters[at].carried &&
           world->nodes[node].daemon.promo.arbiter.promised;
}

bool
check_opening(struct world *world, unsigned node)
{
    const struct promo *promo = &world->nodes[node].daemon.promo;
    const struct quorum_record *log = daemon_record(world, node);
    const char *names[WORLD_NODES_MAX];
    const char *old = NULL;
    size_t count = 0;
    struct quorum_note note;
    unsigned word = promo->order.overrides & (1u << PROMO_CHECK_ARBITER);
    struct point head = db_head(&world->nodes[node].db);
    if (world->nodes[node].db.promised > code_from(world, &promo->epoch))
        return false; /* its daemon stood still since: the gate refuses, and the log is of another
                       */
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (!member->captured)
            continue;
        struct point at = point_from(world, &member->captured_at);
        names[count++] = member->name;
        if (strcmp(member->name, promo->old_primary) == 0 &&
            epoch_equal(&member->promised_before, &promo->old_epoch))
            old = member->name;
        if (point_before(&head, &at))
            check_fail(world, "I6: %s opens at revision %llu, %s was captured at %llu", promo->self,
                       (unsigned long long)head.revision, member->name,
                       (unsigned long long)at.revision);
    }
    bool knows = has_promised(world, node, log);
    bool there = would_promise(world, node, log, &note);
    if ((!there || is_carried(world, node)) && knows && log->arbiter != 0)
        note = promo->arbiter.note; /* it has lost its record since, or a person has made it anew */
    knows |= began_while_it_changed(world, node) && quorum_is_all(log, names, count);
    if (knows && note.given_up && epoch_compare(&note.epoch, &promo->old_epoch) > 0)
        old = NULL;
    struct quorum_record record = *log;
    if (knows && epoch_compare(&note.epoch, &promo->epoch) < 0) /* else we are overtaken */
        record = quorum_in_force(log, &note, &promo->own.applied.epoch);
    bool enough = knows && quorum_captured(&record, names, count, old);
    if (!enough && !promo->order.accept_data_loss && word == 0)
        check_fail(world, "I5: %s opens without a quorum of captures", promo->self);
    bool told =
        promo->order.accept_data_loss || (promo->order.overrides & (1u << PROMO_CHECK_ACKS)) != 0;
    return !enough || (told && promo->degraded) ||
           ((word != 0 || promo->order.accept_data_loss) && log->arbiter != 0) ||
           !quorum_is_voter(&record, promo->self);
}

void
check_opened(struct world *world, unsigned node, const struct op *op)
{
    char text[EPOCH_TEXT_SIZE];
    uint64_t epoch = op->message.epoch;
    if (code_holder(epoch) != node)
        check_fail(world, "I1: %s opened epoch %s", name_of(world, node),
                   code_text(world, epoch, text));
    if (op->kind == OP_RESUME)
        return;
    if (op->loss)
        world->loss_accepted = true;
    for (size_t i = 0; i < world->opened_count; i++) {
        if (world->opened[i] == epoch)
            check_fail(world, "I1: epoch %s was opened twice", code_text(world, epoch, text));
    }
    world->opened = mem_grow(world->opened, world->opened_count + 1, sizeof *world->opened);
    world->opened[world->opened_count++] = epoch;
}

void
check_first_row(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node && !world->nodes[node].db.slots[i].exists)
            check_fail(world, "I12: %s writes the first row of its epoch without a slot for %s",
                       name_of(world, node), name_of(world, i));
    }
}

/* What a node says of itself, once the answers to its fences are there. */
static void
check_fenced(struct world *world, unsigned node)
{
    const struct database *db = &world->nodes[node].db;
    const struct daemon *daemon = &world->nodes[node].daemon;
    const struct node *it = &daemon->node;
    bool down =
        it->state == NODE_FENCED || it->state == NODE_REJOINING || it->state == NODE_STANDBY;
    bool connected = daemon->up && it->database && !daemon->database_asked && db->up &&
                     daemon->boot_seen == db->boot;
    if (connected && down && it->fencing == 0 && !it->unfenced && db->is_primary &&
        db->opened_boot == db->boot)
        check_fail(world, "I11: %s is %s, and its database is open", it->self,
                   node_state_name(it->state));
}

void
check_node(struct world *world, unsigned node)
{
    struct world_node *it = &world->nodes[node];
    check_fenced(world, node);
    if (it->db.promised < it->promise_seen)
        check_fail(world, "I3: the promise of %s fell", it->name);
    it->promise_seen = it->db.promised;
}

static uint64_t
newest_epoch(const struct world *world)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < world->opened_count; i++)
        newest = newest < world->opened[i] ? world->opened[i] : newest;
    return newest;
}

void
check_became(struct world *world, unsigned node, enum node_state before)
{
    const struct world_node *it = &world->nodes[node];
    check_fenced(world, node);
    if (it->daemon.node.state != NODE_PRIMARY)
        return;
    if (before != NODE_CLOSED && before != NODE_DRAINING && before != NODE_CANDIDATE)
        check_fail(world, "I11: %s became primary out of %s", it->name, node_state_name(before));
    /* a database that has just died under it refuses all writes; that it did is yet to be heard */
    if (it->db.up && it->db.is_primary && it->db.opened_boot != it->db.boot &&
        it->daemon.boot_seen == it->db.boot)
        check_fail(world, "I11: %s is primary on a database that was restarted", it->name);
    if (before == NODE_CLOSED && it->daemon.acked == 0)
        check_fail(world, "I4: %s is primary, and its first row was not acknowledged", it->name);
    /* One that thaws, gives a renewal up, or stood still may have been overtaken and not know it
     * yet: then nobody acknowledges for it. Who has the newest epoch may not. */
    if (before == NODE_CLOSED && !world->loss_accepted && it->db.up && it->db.is_primary &&
        it->db.epoch == newest_epoch(world) && !holds_history(world, &it->db, world->acked_count))
        check_fail(world, "I6: %s is primary and lacks acknowledged revision %zu", it->name,
                   world->acked_count);
}

/* ------------------------------------------------------------------ at rest: I8 */

static bool
is_aside(const struct world *world, const struct row *row)
{
    for (unsigned i = 0; i < world->count; i++) {
        const struct row_list *aside = &world->nodes[i].db.aside;
        for (size_t j = 0; j < aside->count; j++) {
            if (aside->list[j].hash == row->hash)
                return true;
        }
    }
    return false;
}

static void
check_written(struct world *world, const struct database *primary, const struct row *row)
{
    const struct client_write *write = &world->writes[row->value - 1];
    bool kept = row->revision <= primary->log.count &&
                primary->log.list[row->revision - 1].hash == row->hash;
    if (!kept && !is_aside(world, row))
        check_fail(world, "I8: write %llu vanished: neither in the log nor set aside",
                   (unsigned long long)row->value);
    if (!kept && write->acknowledged && !world->loss_accepted)
        check_fail(world, "I4: acknowledged write %llu is not in the log",
                   (unsigned long long)row->value);
    if (write->outcome == OUTCOME_REFUSED)
        check_fail(world, "I4: write %llu was told refused, and was written",
                   (unsigned long long)row->value);
}

bool
check_note_is_back(const struct world *world, unsigned primary)
{
    unsigned at = world->nodes[primary].daemon.arbiter;
    return at == WORLD_NONE || !world->arbiters[at].there || world->arbiters[at].told == 0;
}

void
check_rest(struct world *world, unsigned primary, struct buf *why)
{
    const struct database *db = &world->nodes[primary].db;
    (void)why;
    for (size_t i = 0; i < world->written.count; i++)
        check_written(world, db, &world->written.list[i]);
    if (!world->loss_accepted && !holds_history(world, db, world->acked_count))
        check_fail(world, "I6: at rest, revision %zu of the acknowledged history is not in the log",
                   world->acked_count);
    if (!world->loss_accepted)
        return;
    /* The loss was taken on: what the primary has now is the history. */
    world->acked_count = 0;
    extend_history(world, db, db_visible(db));
    world->loss_accepted = false;
    world->written.count = 0;
}

void
check_done(struct world *world)
{
    free(world->acked);
    free(world->opened);
    free(world->known);
    free(world->written.list);
}
