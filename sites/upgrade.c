#include "sites/upgrade.h"

#include <stdio.h>
#include <string.h>

/* Nothing later than our own epoch is known to our row. */
static bool
was_primary_last(const struct node_facts *own)
{
    return own->epoch.number != 0 && strcmp(own->epoch.holder, own->name) == 0 &&
           epoch_equal(&own->promised, &own->epoch) &&
           epoch_compare(&own->applied.epoch, &own->epoch) <= 0;
}

static bool
is_fresh(const struct node *node, const struct node_peer *peer, uint64_t now_ms)
{
    return peer->heard && now_ms - peer->heard_ms <= node->limits.fresh_ms;
}

/* Somebody opened a later epoch than ours: we are a secondary. */
static bool
is_overtaken(const struct node *peers, const struct node_facts *own, uint64_t now_ms)
{
    for (size_t i = 0; i < peers->peer_count; i++) {
        const struct node_peer *peer = &peers->peers[i];
        if (is_fresh(peers, peer, now_ms) &&
            (epoch_compare(&peer->facts.epoch, &own->epoch) > 0 ||
             epoch_compare(&peer->facts.applied.epoch, &own->epoch) > 0))
            return true;
    }
    return false;
}

bool
upgrade_may_begin(const struct node *peers, const struct node_facts *own, unsigned to,
                  uint64_t now_ms, char text[UPGRADE_TEXT_SIZE])
{
    text[0] = '\0';
    if (!was_primary_last(own) || is_overtaken(peers, own, now_ms))
        return true;
    char list[UPGRADE_TEXT_SIZE / 2] = "";
    size_t used = 0;
    for (size_t i = 0; i < peers->peer_count; i++) {
        const struct node_peer *peer = &peers->peers[i];
        bool fresh = is_fresh(peers, peer, now_ms);
        if (fresh && peer->facts.schema >= to)
            continue;
        const char *comma = used == 0 ? "" : ", ";
        int length = fresh && peer->facts.schema != 0
                         ? snprintf(list + used, sizeof list - used, "%s%s has %u", comma,
                                    peer->name, peer->facts.schema)
                         : snprintf(list + used, sizeof list - used, "%s%s does not answer", comma,
                                    peer->name);
        used += (size_t)length;
        if (used >= sizeof list)
            break;
    }
    if (used == 0)
        return true;
    (void)snprintf(text, UPGRADE_TEXT_SIZE,
                   "%s was primary last, so the others get schema %u before it: %s", own->name, to,
                   list);
    return false;
}
