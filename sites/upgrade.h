/*
 * upgrade.h -- may the schema of this node's database be migrated now? Pure.
 *
 * Secondaries first (I14): nobody follows a primary whose schema is newer than its own, so a node
 * that was primary last waits until the others have the new schema, or until another is primary.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sites/node.h"

#define UPGRADE_TEXT_SIZE 256

/*
 * 'own': our database's row, schema included. 'peers': the other members, as 'node' has heard of
 * them by 'now_ms'. False: not yet, and 'text' says for whom it waits.
 */
MUST_CHECK bool upgrade_may_begin(const struct node *peers, const struct node_facts *own,
                                  unsigned to, uint64_t now_ms, char text[UPGRADE_TEXT_SIZE]);
