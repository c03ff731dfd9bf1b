#include "sites/pair.h"

enum err_code
pair_admit(bool pair, const struct pair_member *standbys, size_t count, uint64_t stale_ms,
           const struct pair_member **ret_lost, struct err *err)
{
    *ret_lost = NULL;
    if (1 + count >= NODE_MEMBERS_MAX) {
        (void)err_set(err, ERR_CONFLICT, "cluster_full",
                      "there are %zu members, and a cluster has at most %d", 1 + count,
                      NODE_MEMBERS_MAX);
        return err_mend(err, "remove one that is not needed first: baton node remove");
    }
    if (!pair || count == 0)
        return ERR_NONE;
    const struct pair_member *member = &standbys[0];
    if (count > 1) {
        (void)err_set(err, ERR_CONFLICT, "pair_full",
                      "members.mode is pair, and there are %zu members beside the primary", count);
        return err_mend(err, "remove all but one of them (baton node remove), or: baton config set "
                             "members.mode cluster");
    }
    uint64_t lost_ms = PAIR_LOST_CHECKS * member->interval_ms;
    if (lost_ms < stale_ms) /* what may be an old fact is no proof that somebody is away */
        lost_ms = stale_ms;
    if (member->silent_ms > lost_ms) {
        *ret_lost = member;
        return ERR_NONE;
    }
    (void)err_set(err, ERR_CONFLICT, "pair_full",
                  "members.mode is pair, and %s is the standby: it was heard %llu.%llu s ago, and "
                  "is lost after %llu.%llu s of silence",
                  member->name, (unsigned long long)(member->silent_ms / 1000),
                  (unsigned long long)(member->silent_ms % 1000 / 100),
                  (unsigned long long)(lost_ms / 1000), (unsigned long long)(lost_ms % 1000 / 100));
    return err_mend(err,
                    "remove it first (baton node remove %s), or: baton config set "
                    "members.mode cluster",
                    member->name);
}
