/*
 * The invariants of acting on the outside, and of taking over by itself, looked at from outside:
 * real time, all clocks and all records at once.
 *
 * I9 is about permissions with an end. One without an end is a person's, in a cluster without an
 * arbiter; the moment an arbiter is chosen is the person's, too. So is a promotion that takes loss
 * on: it goes by the arbiter of its own log, and what is lost may be that another one was chosen.
 */
#include <string.h>

#include "tests/world/inner.h"

/* What a member says of itself, or of the arbiter, is a little old when it is decided upon. */
#define EVIDENCE_MS 3000
/* Until an effect that runs when its permission ends has been ended: by the keeper, at the latest.
 */
#define EFFECT_LATE_MS 60

static const char *
name_of(const struct world *world, unsigned node)
{
    return world->nodes[node].name;
}

/* Beside 'other', who may act. */
static bool
may_still_act(const struct world *world, unsigned node, unsigned other)
{
    const struct world_node *it = &world->nodes[node];
    if (world->loss_accepted && it->permit_arbiter != world->nodes[other].permit_arbiter)
        return false;
    return it->permitted && it->daemon.up && it->permit_ms != 0 &&
           host_now_ms(world, node) < it->permit_ms;
}

void
check_permit(struct world *world, unsigned node, const struct lease_effect *effect)
{
    struct world_node *it = &world->nodes[node];
    uint64_t epoch = code_from(world, &effect->epoch);
    char text[2][EPOCH_TEXT_SIZE];
    world->counts.grants += effect->may && !it->permitted;
    it->permitted = effect->may;
    it->permit_ms = effect->at_ms;
    it->permit_epoch = epoch;
    it->permit_arbiter = it->daemon.arbiter;
    if (!effect->may || effect->at_ms == 0)
        return;
    if (code_holder(epoch) != node)
        check_fail(world, "I10: %s may act under epoch %s", name_of(world, node),
                   code_text(world, epoch, text[0]));
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node && may_still_act(world, i, node))
            check_fail(world,
                       "I9: %s may act under epoch %s for %llu ms more, and %s under %s for %llu",
                       name_of(world, node), code_text(world, epoch, text[0]),
                       (unsigned long long)(it->permit_ms - host_now_ms(world, node)),
                       name_of(world, i), code_text(world, world->nodes[i].permit_epoch, text[1]),
                       (unsigned long long)(world->nodes[i].permit_ms - host_now_ms(world, i)));
    }
}

/* A daemon looks at the clock before it begins. What runs by then is ended by its alarm, which
 * rings within the next millisecond, or by the keeper a while later: there is the guard for that.
 * So what arrives in time to be within it is only wrong when somebody else may act by then. */
void
check_effect(struct world *world, unsigned node, uint64_t epoch, bool begins)
{
    const struct world_node *it = &world->nodes[node];
    uint64_t now_ms = host_now_ms(world, node);
    char text[EPOCH_TEXT_SIZE];
    if (!it->permitted || it->permit_epoch != epoch)
        check_fail(world, "I10: %s acts under epoch %s without permission", name_of(world, node),
                   code_text(world, epoch, text));
    if (it->permit_ms == 0 || now_ms < it->permit_ms)
        return;
    if (begins || now_ms - it->permit_ms >= EFFECT_LATE_MS)
        check_fail(world, "I9: %s acts %llu ms after its permission has ended",
                   name_of(world, node), (unsigned long long)(now_ms - it->permit_ms));
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node && may_still_act(world, i, node))
            check_fail(world, "I9: %s acts %llu ms after its permission has ended, and %s may",
                       name_of(world, node), (unsigned long long)(now_ms - it->permit_ms),
                       name_of(world, i));
    }
}

/* Who hears it may act at once. */
void
check_gave_up(struct world *world, unsigned node)
{
    char text[EPOCH_TEXT_SIZE];
    if (world->nodes[node].permitted)
        check_fail(world, "I9: %s says that it acts no more, and may act under epoch %s",
                   name_of(world, node), code_text(world, world->nodes[node].permit_epoch, text));
}

/* ------------------------------------------------------------------ taking over */

/* A primary is gone when nothing of it listens, or when the arbiter lets it go. */
static bool
is_gone(const struct world *world, unsigned primary)
{
    const struct world_node *it = &world->nodes[primary];
    uint64_t now_ms = world->now_ms;
    bool closed = (!it->daemon.up || now_ms - it->daemon_down_ms < EVIDENCE_MS) &&
                  (!it->db.up || now_ms - it->database_down_ms < EVIDENCE_MS);
    return closed;
}

static bool
is_over(const struct world *world, unsigned arbiter)
{
    return arbiter_holds(world, arbiter) == 0 ||
           world->now_ms - world->arbiters[arbiter].over_ms < EVIDENCE_MS;
}

/* Whether its log tells of the takeover that opened that epoch: by the record of it, or by the
 * first row of the epoch while no later one has come. What was not recorded before a person
 * promoted somebody is forgotten: that person has looked. */
static bool
knows_takeover(const struct world *world, unsigned node, uint64_t epoch)
{
    const struct database *db = &world->nodes[node].db;
    bool epoch_seen = false;
    const struct row *row;
    for (size_t at = db->telling_count; (row = db_telling(db, db_visible(db), &at)) != NULL;) {
        const struct note *note = row->note == 0 ? NULL : &world->notes[row->note - 1];
        if (note != NULL && note->kind == NOTE_TAKEOVER && note->epoch == epoch)
            return true;
        if (row->kind == ROW_EPOCH && !epoch_seen && row->epoch == epoch)
            return true;
        epoch_seen |= row->kind == ROW_EPOCH;
    }
    return false;
}

/* Promotions of Baton's own that opened an epoch, not long ago. Wall clocks tell, which somebody
 * may have set. */
static void
check_rest_between(struct world *world, unsigned node)
{
    const struct takeover_settings *settings = &world->config.takeover;
    uint64_t newest_ms = 0;
    unsigned count = 0;
    /* what the wall clocks of two hosts differ by, at most, as nobody sets them */
    uint64_t apart_ms = world->now_ms * 2 * world->config.drift_ppm / 1000000;
    if (world->walls_set)
        return;
    for (size_t i = 0; i < world->takeover_count; i++) {
        uint64_t at_ms = world->takeovers[i].began_ms;
        if (!knows_takeover(world, node, world->takeovers[i].epoch))
            continue;
        newest_ms = at_ms > newest_ms ? at_ms : newest_ms;
        count += world->now_ms - at_ms < TAKEOVER_HOUR_MS * 9 / 10;
    }
    if (newest_ms != 0 && world->now_ms - newest_ms + apart_ms < settings->cooldown_ms * 9 / 10)
        check_fail(world, "%s takes over %llu ms after the last one did", name_of(world, node),
                   (unsigned long long)(world->now_ms - newest_ms));
    if (count >= settings->per_hour_max)
        check_fail(world, "%s takes over, and %u have within the hour", name_of(world, node),
                   count);
    if (world->paused_ms > world->now_ms * 10 / 9)
        check_fail(world, "%s takes over though that is paused", name_of(world, node));
}

void
check_took_over(struct world *world, uint64_t began_ms, uint64_t epoch)
{
    if (world->takeover_count == ARRAY_COUNT(world->takeovers))
        memmove(world->takeovers, world->takeovers + 1,
                --world->takeover_count * sizeof world->takeovers[0]);
    world->takeovers[world->takeover_count++] =
        (struct took_over){ .began_ms = began_ms, .epoch = epoch };
}

void
check_takeover(struct world *world, unsigned node, unsigned primary, bool loss)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    world->counts.takeovers++;
    check_rest_between(world, node);
    if (daemon->arbiter == WORLD_NONE) {
        if (world->config.takeover.within_site != TAKEOVER_UNGUARDED &&
            world->config.takeover.across_sites != TAKEOVER_UNGUARDED)
            check_fail(world, "I13: %s takes over without an arbiter", name_of(world, node));
        return;
    }
    if (loss)
        check_fail(world, "I13: %s takes over and takes loss on", name_of(world, node));
    if (!is_gone(world, primary) && !is_over(world, daemon->arbiter))
        check_fail(world, "%s takes over while %s listens and has the lease", name_of(world, node),
                   name_of(world, primary));
}
