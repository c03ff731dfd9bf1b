/*
 * What a primary tells the arbiter, and what a candidate asks it beside the lease
 * (controller/daemon/driver_note.c, driver_set.c): carries out what sites/degrade decides.
 */
#include <string.h>

#include "tests/world/inner.h"

#define SAMPLE_MS     400
#define SAMPLE_MS_MAX 5000

static struct daemon *
daemon_of(struct world *world, unsigned node)
{
    return &world->nodes[node].daemon;
}

uint32_t
told_add(struct world *world, const struct quorum_note *note)
{
    world->told = mem_grow(world->told, world->told_count + 1, sizeof *world->told);
    world->told[world->told_count++] = *note;
    return (uint32_t)world->told_count;
}

/* As an arbiter has it: the text, and its number beside it. */
struct quorum_note
told_read(const struct world *world, uint64_t number, uint32_t told)
{
    struct quorum_note note = { 0 };
    if (told != 0)
        note = world->told[told - 1];
    note.number = number;
    return note;
}

/* ------------------------------------------------------------------ what is known of it */

void
note_heard(struct world *world, unsigned node, const struct question *question,
           const struct wire *wire)
{
    struct daemon *daemon = daemon_of(world, node);
    bool believed = wire->has_record && wire->result != LEASE_RESULT_EMPTY &&
                    wire->result != LEASE_RESULT_RESTORED && wire->result != LEASE_RESULT_UNCLEAR;
    bool old = daemon->note_known && wire->number < daemon->note.number &&
               question->sent_ms < daemon->note_ms;
    if (!believed || old)
        return;
    daemon->note = told_read(world, wire->number, wire->told);
    daemon->arbiter_promised = wire->promised;
    daemon->note_ms = host_now_ms(world, node);
    daemon->note_known = true;
}

/* Another arbiter: nothing is known. */
void
note_stop(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->questions[QUESTION_PROMO].id = 0;
    daemon->questions[QUESTION_NOTE].id = 0;
    daemon->telling = false;
    daemon->note_known = false;
    daemon->note_ms = 0;
    daemon->arbiter_promised = 0;
}

const struct quorum_note *
note_named(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    return quorum_note_named(daemon->note_known ? &daemon->note : NULL, daemon_record(world, node),
                             daemon->arbiter_revision);
}

struct quorum_record
daemon_in_force(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    const struct node_facts *own = &daemon->node.own;
    return quorum_in_force(daemon_record(world, node), note_named(world, node),
                           epoch_max(&own->epoch, &own->applied.epoch));
}

/* ------------------------------------------------------------------ a candidate asks */

static void
tell_promo(struct world *world, unsigned node, bool promise, uint64_t row, bool ok,
           const struct quorum_note *note, uint64_t promised)
{
    struct promo_event event = { .kind = promise ? PROMO_EV_PROMISED : PROMO_EV_TOLD,
                                 .ok = ok,
                                 .note = note,
                                 .arbiter = row,
                                 .promised = code_epoch(world, promised),
                                 .text = "the arbiter does not say so" };
    daemon_post_promo(world, node, &event);
}

static void
inquiry_answered(struct world *world, unsigned node, const struct wire *wire)
{
    const struct daemon *daemon = daemon_of(world, node);
    struct quorum_note note = told_read(world, wire->number, wire->told);
    uint64_t promised = 0;
    if (!effect_is_current(world, node, daemon->inquiry_promo, daemon->inquiry_epoch))
        return;
    if (wire->result == LEASE_RESULT_STALE || (wire->op == WIRE_READ && wire->has_record))
        promised = wire->record_epoch > wire->promised ? wire->record_epoch : wire->promised;
    tell_promo(world, node, wire->op == WIRE_PROMISE, daemon->inquiry_row,
               wire->result == LEASE_RESULT_DONE, &note, promised);
}

void
note_inquire(struct world *world, unsigned node, const struct promo_effect *effect)
{
    struct daemon *daemon = daemon_of(world, node);
    bool promise = effect->kind == PROMO_DO_PROMISE;
    daemon->inquiry_promo = daemon->promo.number;
    daemon->inquiry_epoch = code_from(world, &daemon->promo.epoch);
    daemon->inquiry_row = daemon->arbiter_revision;
    if (daemon->arbiter == WORLD_NONE) {
        tell_promo(world, node, promise, daemon->inquiry_row, false, &(struct quorum_note){ 0 }, 0);
        return;
    }
    struct wire wire = { .op = promise ? WIRE_PROMISE : WIRE_READ,
                         .epoch = code_from(world, &effect->epoch),
                         .known = code_from(world, &daemon->lease.memory.seen) };
    arbiter_ask(world, node, QUESTION_PROMO, 0, daemon->arbiter, &wire,
                daemon->promo.limits.call_ms);
}

/* ------------------------------------------------------------------ the primary tells */

static void
note_told(struct world *world, unsigned node)
{
    daemon_of(world, node)->telling = false;
    note_advance(world, node);
}

static void
tell(struct world *world, unsigned node, const struct quorum_note *note)
{
    struct daemon *daemon = daemon_of(world, node);
    struct wire wire = { .op = WIRE_NOTE,
                         .epoch = code_from(world, &note->epoch),
                         .known = code_from(world, &daemon->lease.memory.seen),
                         .grant = daemon->lease.grant,
                         .ask_number = note->number };
    if (note->given_up)
        wire.ask_told = told_add(world, note);
    wire.epoch = code_from(world, &daemon->node.own.epoch);
    say(world, WORLD_SAY_WORLD, "%5llu %s tells the arbiter: note %llu, %s k=%u of 0x%x",
        stamp(world), world->nodes[node].name, (unsigned long long)note->number,
        note->given_up ? "goes on with" : "as promised again", note->set.k,
        set_mask(world, &note->set));
    daemon->telling = true;
    arbiter_ask(world, node, QUESTION_NOTE, 0, daemon->arbiter, &wire,
                daemon->lease.config.renew_ms);
}

void
note_answered(struct world *world, unsigned node, unsigned which, const struct wire *wire)
{
    if (which == QUESTION_PROMO)
        inquiry_answered(world, node, wire);
    else
        note_told(world, node);
}

/* What an arbiter that is chosen now has to know. */
void
note_carry(struct world *world, unsigned node, struct wire *wire)
{
    const struct daemon *daemon = daemon_of(world, node);
    const struct quorum_record *record = daemon_record(world, node);
    struct quorum_note note =
        degrade_note_to_carry(record, daemon->note_known ? &daemon->note : NULL,
                              &daemon->node.own.epoch, daemon->node.own.applied.revision);
    wire->ask_number = note.number;
    if (note.given_up)
        wire->ask_told = told_add(world, &note);
}

bool
note_is_telling(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    const struct quorum_record *record = daemon_record(world, node);
    return daemon->telling || degrade_is_telling(record, daemon->note_known ? &daemon->note : NULL,
                                                 &daemon->node.own.epoch);
}

/* ------------------------------------------------------------------ what is done next */

/* The set whose names are in force; one that nobody knows when it cannot be told. */
static struct quorum_set
names_in_force(const struct world *world, unsigned node)
{
    const struct database *db = &world->nodes[node].db;
    const struct quorum_record *record = daemon_record(world, node);
    const struct quorum_set *sets[] = { &record->now, &record->old };
    for (size_t i = 0; i < (record->joint ? 2u : 1u); i++) {
        unsigned k = sets[i]->count < 2 ? 0 : sets[i]->k;
        if (db->names_k == k && db->names_mask == (set_mask(world, sets[i]) & ~(1u << node)))
            return *sets[i];
    }
    struct quorum_set set = { .k = db->names_k };
    for (unsigned i = 0; i < world->count; i++) {
        if (i == node || (db->names_mask & (1u << i)) != 0)
            ASSERT(quorum_add(&set, world->nodes[i].name, NULL) == ERR_NONE);
    }
    return set;
}

/* Who stands still keeps its connection: what counts is what it has of what there was a while ago.
 */
static struct quorum_set
who_acknowledges(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    const struct database *db = &world->nodes[node].db;
    uint64_t now_ms = host_now_ms(world, node);
    struct quorum_set acking = { 0 };
    if (daemon->sample_ms == 0 || now_ms - daemon->sample_ms >= SAMPLE_MS) {
        daemon->mark_known = daemon->sample_ms != 0 && now_ms - daemon->sample_ms <= SAMPLE_MS_MAX;
        daemon->mark = daemon->sample;
        daemon->sample = db->stream.count;
        daemon->sample_ms = now_ms;
    }
    for (unsigned i = 0; i < world->count; i++) {
        const struct sub *sub = &world->nodes[i].db.subs[node];
        if (i != node && sub->connected && (!daemon->mark_known || sub->acked >= daemon->mark))
            ASSERT(quorum_add(&acking, world->nodes[i].name, NULL) == ERR_NONE);
    }
    return acking;
}

static bool
is_everywhere(const struct world *world, unsigned node, uint64_t revision)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    for (unsigned i = 0; i < world->count; i++) {
        const struct acquaintance *peer = &daemon->watch.peers[i];
        if (i != node && (!peer->heard || peer->facts.applied.revision < revision ||
                          !epoch_equal(&peer->facts.applied.epoch, &daemon->node.own.epoch)))
            return false;
    }
    return true;
}

static void
write_record(struct world *world, unsigned node, const struct quorum_record *record)
{
    struct daemon *daemon = daemon_of(world, node);
    if (daemon->node.state != NODE_PRIMARY)
        return;
    daemon->set_writing = true;
    daemon->writing_arbiter = record->arbiter;
    if (daemon->recorded < record->noted)
        daemon->recorded = record->noted;
    say(world, WORLD_SAY_WORLD, "%5llu %s records the sync set: %s k=%u of 0x%x%s", stamp(world),
        world->nodes[node].name,
        !record->joint   ? "only"
        : record->turned ? "both, acknowledged by"
                         : "both, old and",
        record->now.k, set_mask(world, &record->now),
        record->since[0] == '\0' ? "" : ", fewer than were promised");
    db_write(world, node,
             &(struct write){ .source = WRITE_RECORD,
                              .life = daemon->life,
                              .record = record_add(world, record) });
}

static void
set_names(struct world *world, unsigned node, const struct quorum_set *set)
{
    daemon_of(world, node)->names_busy = true;
    say(world, WORLD_SAY_WORLD, "%5llu %s names k=%u of 0x%x", stamp(world),
        world->nodes[node].name, set->k, set_mask(world, set));
    db_submit(world, node, false,
              &(struct op){ .kind = OP_NAMES,
                            .job = JOB_SYNC,
                            .names_k = set->count < 2 ? 0 : set->k,
                            .names_mask = set_mask(world, set) & ~(1u << node) });
}

/* Who is primary, or would be but for the acknowledgement of its first row. */
static bool
is_to_advance(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    enum node_state state = daemon->node.state;
    bool waits = state == NODE_CLOSED && daemon->promo.state == PROMO_STATE_ACKNOWLEDGING;
    return (waits || (state == NODE_PRIMARY && !promo_is_running(&daemon->promo))) &&
           daemon->node.database && !daemon->names_busy && !daemon->telling;
}

static bool
is_leased(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    return daemon->lease.state != LEASE_STATE_FAILSAFE && daemon->lease.state != LEASE_STATE_NONE &&
           !daemon->changes &&
           lease_is_granted(&daemon->lease, &daemon->node.own.epoch, host_now_ms(world, node));
}

void
note_advance(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    const struct database *db = &world->nodes[node].db;
    struct degrade_action action;
    if (!is_to_advance(world, node))
        return;
    bool asks = world->config.sync_wait_ms != 0 && daemon->arbiter != WORLD_NONE;
    struct quorum_record record = *daemon_record(world, node);
    struct quorum_set names = names_in_force(world, node);
    struct quorum_set wanted = upkeep_wanted(world, node);
    struct quorum_set acking = who_acknowledges(world, node);
    uint64_t revision = db_record_revision(db);
    uint64_t waited_ms = host_now_ms(world, node) - db->waiter.since_ms;
    struct degrade_view view = {
        .self = world->nodes[node].name,
        .epoch = daemon->node.own.epoch,
        .record = &record,
        .acknowledged = revision <= daemon->acked,
        .names = &names,
        .wanted = &wanted,
        .writing = daemon->set_writing,
        .writing_arbiter = daemon->writing_arbiter,
        .recorded = daemon->recorded,
        .acking = &acking,
        .waited_ms = db->waiter.active ? waited_ms + 1 : 0,
        .wait_ms = asks ? world->config.sync_wait_ms : UINT64_MAX,
        .arbiter = asks ? daemon->arbiter_revision : 0,
        .why = "durability is strict",
        .leased = is_leased(world, node),
        .promised = code_epoch(world, daemon->arbiter_promised),
        .note = daemon->note_known ? &daemon->note : NULL,
        .everywhere = is_everywhere(world, node, revision),
        .revision = daemon->node.own.applied.revision,
        .time = "then",
    };
    degrade_next(&view, &action);
    switch (action.step) {
    case DEGRADE_STEP_NONE:
        break;
    case DEGRADE_STEP_RECORD:
        write_record(world, node, &action.record);
        break;
    case DEGRADE_STEP_NAMES:
        set_names(world, node, &action.set);
        break;
    case DEGRADE_STEP_NOTE:
        tell(world, node, &action.note);
        break;
    }
}
