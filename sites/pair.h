/*
 * pair.h -- members.mode: may one more node join, and whose place does it take? Pure.
 *
 *   cluster  as many as like, up to NODE_MEMBERS_MAX: with more nobody could be promoted, and a
 *            primary that is started anew could not go on
 *   pair     the primary and one standby. Another may join only when that standby is lost: nothing
 *            was heard of it for three check intervals. It takes the lost one's place, so that
 * there are never two; the lost one is removed by the same write, and refused when it returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/node.h"

#define PAIR_LOST_CHECKS 3 /* that a standby has missed before it counts as lost */

/* A member beside the primary. */
struct pair_member {
    char name[NODE_NAME_SIZE];
    uint64_t silent_ms;   /* how long ago it was last heard of */
    uint64_t interval_ms; /* of its checks, as it has told */
};

/*
 * 'standbys': all members but the primary, as the primary knows them. '*ret_lost' is the one whose
 * place is taken, NULL for none; borrowed from 'standbys'.
 * ERR_CONFLICT, slug "pair_full", names who is there and for how long it must be silent.
 * ERR_CONFLICT, slug "cluster_full": in either mode.
 */
MUST_CHECK enum err_code pair_admit(bool pair, const struct pair_member *standbys, size_t count,
                                    uint64_t stale_ms, const struct pair_member **ret_lost,
                                    struct err *err);
