/*
 * promo_inner.h -- what the files of promo share; nobody else includes it.
 */
#pragma once

#include "sites/promo.h"

/* The answering member that calls itself primary of the newest epoch, or NULL. */
const struct promo_member *promo_find_primary(const struct promo *promo);
/* The newest epoch that any answer shows, promises included. */
struct epoch promo_newest_epoch(const struct promo *promo);
/* The newest epoch that was opened, as far as the answers show. */
struct epoch promo_newest_applied_epoch(const struct promo *promo);
/* Fills 'findings'. 'primary' is NULL unless the mode is a switchover. */
void promo_run_checks(struct promo *promo, const struct promo_member *primary);
/* False: its schema is older than ours, so it will not follow before it is upgraded (I14). */
bool promo_would_follow(const struct promo *promo, const struct promo_member *member);
/* Acknowledgements that a write needs, and members that could give one now: of the set that is
 * shorter of them, while both the old and the new one count. */
struct promo_acks {
    unsigned wanted;
    unsigned possible;
};
struct promo_acks promo_count_acks(const struct promo *promo);
