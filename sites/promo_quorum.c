#include "sites/promo_inner.h"

#include <string.h>

size_t
promo_captured_names(const struct promo *promo, const char *names[PROMO_MEMBERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].captured)
            names[count++] = promo->members[i].name;
    }
    return count;
}

const char *
promo_captured_old_primary(const struct promo *promo)
{
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (member->captured && strcmp(member->name, promo->old_primary) == 0 &&
            epoch_equal(&member->promised_before, &promo->old_epoch))
            return member->name;
    }
    return NULL;
}

bool
promo_has_quorum(const struct promo *promo)
{
    const char *names[PROMO_MEMBERS_MAX];
    size_t count = promo_captured_names(promo, names);
    return quorum_captured(&promo->record, names, count, promo_captured_old_primary(promo));
}

unsigned
promo_acks_possible(const struct promo *promo, const struct quorum_set *set)
{
    unsigned count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        count += !member->self && (member->answered || member->captured) &&
                 promo_would_follow(promo, member) && quorum_has(set, member->name);
    }
    return count;
}

struct promo_acks
promo_count_acks(const struct promo *promo)
{
    const struct quorum_record *record = &promo->record;
    struct promo_acks now = { .wanted = record->now.k,
                              .possible = promo_acks_possible(promo, &record->now) };
    struct promo_acks old = { .wanted = record->old.k,
                              .possible = promo_acks_possible(promo, &record->old) };
    if (record->joint && old.wanted + now.possible > now.wanted + old.possible)
        return old;
    return now;
}

bool
promo_fewer_may_acknowledge(const struct promo *promo)
{
    return promo->order.accept_data_loss ||
           (promo->order.overrides & (1u << PROMO_CHECK_ACKS)) != 0;
}

void
promo_lower_if_told(struct promo *promo)
{
    struct promo_acks acks = promo_count_acks(promo);
    unsigned possible = promo_acks_possible(promo, &promo->record.now);
    if (!promo_fewer_may_acknowledge(promo) ||
        (acks.possible >= acks.wanted && quorum_is_voter(&promo->record, promo->self)))
        return;
    promo->record.joint = false;
    if (promo->record.now.k > possible)
        promo->record.now.k = possible;
    (void)!quorum_add(&promo->record.now, promo->self, NULL); /* full: the upkeep makes room */
    promo->degraded = true;
}
