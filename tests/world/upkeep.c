/*
 * Once in a while: says whether our subscription receives, and brings the sync set to what is
 * wanted (controller/daemon/driver_sync.c).
 */
#include <string.h>

#include "tests/world/inner.h"

unsigned
set_mask(const struct world *world, const struct quorum_set *set)
{
    unsigned mask = 0;
    for (size_t i = 0; i < set->count; i++)
        mask |= 1u << world_node(world, set->voters[i]);
    return mask;
}

uint32_t
record_add(struct world *world, const struct quorum_record *record)
{
    world->records = mem_grow(world->records, world->record_count + 1, sizeof *world->records);
    world->records[world->record_count++] = *record;
    return (uint32_t)world->record_count;
}

uint32_t
note_add(struct world *world, const struct note *note)
{
    world->notes = mem_grow(world->notes, world->note_count + 1, sizeof *world->notes);
    world->notes[world->note_count++] = *note;
    return (uint32_t)world->note_count;
}

/* The set whose names are in force, or false when they are none of the record's. */
static bool
set_in_force(const struct world *world, unsigned node, const struct quorum_record *record,
             struct quorum_set *ret_set)
{
    const struct database *db = &world->nodes[node].db;
    const struct quorum_set *sets[] = { &record->now, &record->old };
    for (size_t i = 0; i < (record->joint ? 2u : 1u); i++) {
        unsigned k = sets[i]->count < 2 ? 0 : sets[i]->k;
        if (db->names_k != k || db->names_mask != (set_mask(world, sets[i]) & ~(1u << node)))
            continue;
        *ret_set = *sets[i];
        return true;
    }
    return false;
}

/* Whoever is primary is a voter. */
struct quorum_set
upkeep_wanted(const struct world *world, unsigned primary)
{
    struct quorum_set wanted = world->wanted;
    ASSERT(quorum_add(&wanted, world->nodes[primary].name, NULL) == ERR_NONE);
    return wanted;
}

static void
advance_sync(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    const struct quorum_record *record = daemon_record(world, node);
    struct quorum_set in_force = { .k = UINT_MAX };
    struct quorum_record next;
    struct quorum_set set;
    struct quorum_set wanted = upkeep_wanted(world, node);
    if (daemon->sync_busy || promo_is_running(&daemon->promo))
        return;
    (void)set_in_force(world, node, record, &in_force);
    uint64_t revision = db_record_revision(&world->nodes[node].db);
    switch (quorum_next(record, revision <= daemon->acked, &in_force, &wanted, &next, &set)) {
    case QUORUM_STEP_NONE:
        break;
    case QUORUM_STEP_RECORD:
        daemon->sync_busy = true;
        say(world, WORLD_SAY_WORLD, "%5llu %s records the sync set: %s k=%u of 0x%x", stamp(world),
            world->nodes[node].name,
            !next.joint   ? "only"
            : next.turned ? "both, acknowledged by"
                          : "both, old and",
            next.now.k, set_mask(world, &next.now));
        db_write(world, node,
                 &(struct write){ .source = WRITE_RECORD,
                                  .life = daemon->life,
                                  .record = record_add(world, &next) });
        break;
    case QUORUM_STEP_NAMES:
        daemon->sync_busy = true;
        say(world, WORLD_SAY_WORLD, "%5llu %s names k=%u of 0x%x", stamp(world),
            world->nodes[node].name, set.k, set_mask(world, &set));
        db_submit(world, node, false,
                  &(struct op){ .kind = OP_NAMES,
                                .job = JOB_SYNC,
                                .names_k = set.count < 2 ? 0 : set.k,
                                .names_mask = set_mask(world, &set) & ~(1u << node) });
        break;
    }
}

void
upkeep_op_done(struct world *world, unsigned node, const struct op *op)
{
    (void)op;
    world->nodes[node].daemon.sync_busy = false;
}

void
upkeep(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (world->config.records && daemon->node.database)
        takeover_compare(world, node);
    if (daemon->node.state == NODE_PRIMARY && daemon->node.database)
        advance_sync(world, node);
    if (daemon->node.state != NODE_STANDBY || !daemon->node.database)
        return;
    unsigned primary = world_node(world, daemon->node.following);
    daemon->streaming = primary != WORLD_NONE && world->nodes[node].db.subs[primary].connected;
    if (daemon->streaming)
        daemon->watch.streaming_ms = host_now_ms(world, node);
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_STREAM, .ok = daemon->streaming });
}
