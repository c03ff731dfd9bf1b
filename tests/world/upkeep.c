/*
 * Once in a while: says whether our subscription receives, and brings the sync set to what is
 * wanted (controller/daemon/driver_sync.c, driver_set.c).
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

/* Whoever is primary is a voter. */
struct quorum_set
upkeep_wanted(const struct world *world, unsigned primary)
{
    struct quorum_set wanted = world->wanted;
    ASSERT(quorum_add(&wanted, world->nodes[primary].name, NULL) == ERR_NONE);
    return wanted;
}

void
upkeep_op_done(struct world *world, unsigned node, const struct op *op)
{
    (void)op;
    world->nodes[node].daemon.names_busy = false;
}

void
upkeep(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (world->config.records && daemon->node.database)
        takeover_compare(world, node);
    note_advance(world, node);
    if (daemon->node.state != NODE_STANDBY || !daemon->node.database)
        return;
    unsigned primary = world_node(world, daemon->node.following);
    daemon->streaming = primary != WORLD_NONE && world->nodes[node].db.subs[primary].connected;
    if (daemon->streaming)
        daemon->watch.streaming_ms = host_now_ms(world, node);
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_STREAM, .ok = daemon->streaming });
}
