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
/* Acknowledgements that a write needs under the record, and members that could give one now. */
unsigned promo_acks_wanted(const struct promo *promo);
unsigned promo_acks_possible(const struct promo *promo);
