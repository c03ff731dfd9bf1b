/*
 * Arbiters, by the rules A1 to A6 of controller/arbiter/arbiter.h, with what happens to real ones.
 *
 *   witness  one call is one transaction under the lock of its row (schema/witness); its clock is a
 *            wall clock, which somebody may set
 *   etcd     a call looks first, then changes something if nobody has meanwhile (arbiter_etcd.c);
 *            its leases may be revoked too early, and live longer after a restart
 *
 * Whatever does not come back in time is UNCLEAR, done or not.
 */
#include "tests/world/inner.h"

#define CLOCK_BACK_MS 1000 /* a clock that went back so far grants nothing */

static unsigned
host_index(unsigned arbiter)
{
    return WORLD_NODES_MAX + arbiter;
}

static int64_t
clock_of(const struct world *world, unsigned at)
{
    if (world->arbiters[at].kind == WORLD_ARBITER_ETCD)
        return (int64_t)host_now_ms(world, host_index(at));
    return host_wall_ms(world, host_index(at));
}

static bool
is_alive(const struct world *world, unsigned at)
{
    const struct arbiter *it = &world->arbiters[at];
    return it->there && !it->released && clock_of(world, at) < it->ends_ms;
}

/* ------------------------------------------------------------------ what an answer says */

static void
tell(const struct world *world, unsigned at, struct wire *wire, enum lease_result result)
{
    const struct arbiter *it = &world->arbiters[at];
    wire->result = result;
    wire->has_record = it->there;
    if (!it->there)
        return;
    wire->record_epoch = it->epoch;
    wire->record_lease_ms = it->lease_ms;
    wire->remaining_ms = is_alive(world, at) ? (uint64_t)(it->ends_ms - clock_of(world, at)) : 0;
    wire->released = it->released;
    wire->clean = it->clean;
    wire->record_grant = it->grant;
    wire->promised = it->promised;
    wire->number = it->number;
    wire->told = it->told;
}

/* The same note once more is no other one. */
static bool
is_newer(const struct world *world, const struct arbiter *it, const struct wire *wire)
{
    if (wire->ask_number != it->number || it->told == 0 || wire->ask_told == 0)
        return wire->ask_number > it->number ||
               (wire->ask_number == it->number && wire->ask_told == it->told);
    const struct quorum_note *old = &world->told[it->told - 1];
    const struct quorum_note *new = &world->told[wire->ask_told - 1];
    return quorum_equal(&old->set, &new->set) && epoch_equal(&old->epoch, &new->epoch) &&
           old->revision == new->revision;
}

static enum lease_result
decide_known(const struct world *world, unsigned at, const struct wire *wire)
{
    const struct arbiter *it = &world->arbiters[at];
    bool alive = is_alive(world, at);
    bool ours = wire->grant == 0 || wire->grant == it->grant; /* A6 */
    if (wire->op == WIRE_READ)
        return LEASE_RESULT_DONE;
    if (wire->op == WIRE_PROMISE)
        return wire->epoch > it->epoch && wire->epoch >= it->promised ? LEASE_RESULT_DONE
                                                                      : LEASE_RESULT_STALE;
    if (wire->epoch < it->epoch)
        return LEASE_RESULT_STALE;
    if (wire->op == WIRE_NOTE) /* A5 */
        return wire->epoch == it->epoch && wire->epoch < it->promised ? LEASE_RESULT_STALE
               : wire->epoch == it->epoch && alive && ours && is_newer(world, it, wire)
                   ? LEASE_RESULT_DONE
                   : LEASE_RESULT_EXPIRED;
    if (wire->op == WIRE_ACQUIRE)
        return wire->epoch > it->epoch && alive           ? LEASE_RESULT_TAKEN
               : wire->epoch == it->epoch && it->released ? LEASE_RESULT_EXPIRED /* A8 */
                                                          : LEASE_RESULT_GRANTED;
    if (wire->epoch > it->epoch)
        return LEASE_RESULT_EXPIRED;
    if (wire->op == WIRE_RENEW)
        return ours && alive ? LEASE_RESULT_GRANTED : LEASE_RESULT_EXPIRED;
    return ours ? LEASE_RESULT_DONE : LEASE_RESULT_EXPIRED;
}

/* As arbiter_decide(): nothing is changed. */
static enum lease_result
decide(const struct world *world, unsigned at, const struct wire *wire)
{
    const struct arbiter *it = &world->arbiters[at];
    if (wire->op == WIRE_CREATE)
        return !it->there || wire->adopt ? LEASE_RESULT_DONE : LEASE_RESULT_TAKEN;
    if (!it->there)
        return LEASE_RESULT_EMPTY;
    if (it->suspect != 0 || it->epoch < wire->known)
        return LEASE_RESULT_RESTORED;
    return decide_known(world, at, wire);
}

/* ------------------------------------------------------------------ what is changed */

static void
grant(struct world *world, unsigned at, const struct wire *wire)
{
    struct arbiter *it = &world->arbiters[at];
    if (!is_alive(world, at))
        it->over_ms = world->now_ms;
    if (wire->epoch > it->epoch)
        it->clean = it->released;
    if (wire->op == WIRE_CREATE) {
        it->clean = true;
        it->suspect = 0;
        it->clock_ms = clock_of(world, at);
        it->promised = 0;
        if (wire->ask_number > it->number || !it->there) { /* A5 */
            it->number = wire->ask_number;
            it->told = wire->ask_told;
        }
        it->carried = true;
    }
    ASSERT(it->epoch <= wire->epoch || wire->op == WIRE_CREATE); /* A1 */
    if (it->epoch < wire->epoch || !it->there)
        it->epoch = wire->epoch;
    it->there = true;
    it->lease_ms = wire->lease_ms;
    it->ends_ms = clock_of(world, at) + (int64_t)wire->lease_ms;
    it->released = false;
    it->grant += wire->op == WIRE_CREATE || wire->op == WIRE_ACQUIRE;
    it->changes++;
}

static void
carry_out(struct world *world, unsigned at, const struct wire *wire)
{
    struct arbiter *it = &world->arbiters[at];
    if (wire->op == WIRE_CREATE || wire->op == WIRE_ACQUIRE || wire->op == WIRE_RENEW) {
        grant(world, at, wire);
    } else if (wire->op == WIRE_RELEASE) {
        it->released = true;
        it->changes++;
    } else if (wire->op == WIRE_PROMISE) {
        it->promised = wire->epoch;
        it->carried = false;
        if (it->promised_once < wire->epoch)
            it->promised_once = wire->epoch;
        it->changes++;
    } else if (wire->op == WIRE_NOTE) {
        it->carried = false;
        it->number = wire->ask_number;
        it->told = wire->ask_told;
        it->changes++;
    }
}

static void
suspect(struct arbiter *it, uint64_t known)
{
    if (it->suspect >= known)
        return;
    it->suspect = known;
    it->changes++;
}

/* ------------------------------------------------------------------ messages */

/* Something that stands still or is not there gives no answer; what comes back may be lost. */
static bool
is_lost(struct world *world, unsigned cut, unsigned node)
{
    return (cut & (1u << node)) != 0 ||
           (world->loss_percent > 0 && rng_chance(&world->rng, world->loss_percent));
}

static void
on_reply(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (!daemon->up || daemon->life != event->life)
        return;
    for (unsigned i = 0; i < ARRAY_COUNT(daemon->questions); i++) {
        struct question question = daemon->questions[i];
        if (question.id == 0 || question.id != event->id)
            continue;
        daemon->questions[i].id = 0;
        lease_answered(world, event->node, i, &question, &event->wire);
        return;
    }
}

static void
reply(struct world *world, const struct event *to, unsigned at, const struct wire *wire)
{
    if (is_lost(world, world->arbiters[at].unheard, to->peer))
        return;
    struct event *event =
        queue_daemon(world, some_ms(world, world->config.delay_ms), on_reply, to->peer);
    event->life = to->life;
    event->id = to->id;
    event->wire = *wire;
}

static void on_change(struct world *world, struct event *event);

/* etcd has shown its keys to the asker, who now asks for the change. */
static void
on_looked(struct world *world, struct event *event)
{
    unsigned at = event->message.record;
    struct daemon *daemon = &world->nodes[event->node].daemon;
    bool waits = false;
    if (!daemon->up || daemon->life != event->life)
        return;
    for (unsigned i = 0; i < ARRAY_COUNT(daemon->questions); i++)
        waits |= daemon->questions[i].id == event->id;
    if (!waits || is_lost(world, world->arbiters[at].unreachable, event->node))
        return;
    struct event *change =
        queue_add(world, some_ms(world, world->config.delay_ms), on_change, host_index(at));
    change->actor = ACTOR_HOST;
    change->peer = event->node;
    change->life = event->life;
    change->id = event->id;
    change->wire = event->wire;
}

static void
on_change(struct world *world, struct event *event)
{
    unsigned at = event->node - WORLD_NODES_MAX;
    struct arbiter *it = &world->arbiters[at];
    struct wire *wire = &event->wire;
    if (world->hosts[event->node].down)
        return;
    if (wire->op == WIRE_RENEW) { /* keeps the lease alive that was seen */
        bool kept = it->there && it->lease == wire->lease && is_alive(world, at);
        if (kept)
            it->ends_ms = clock_of(world, at) + (int64_t)wire->lease_ms;
        tell(world, at, wire, kept ? LEASE_RESULT_GRANTED : LEASE_RESULT_EXPIRED);
        if (!kept)
            wire->remaining_ms = 0;
    } else if (it->changes != wire->changes || is_alive(world, at) != (wire->lease != 0)) {
        wire->result = LEASE_RESULT_UNCLEAR; /* somebody was faster */
    } else if (wire->result == LEASE_RESULT_RESTORED) {
        suspect(it, wire->known);
        tell(world, at, wire, LEASE_RESULT_RESTORED);
    } else {
        carry_out(world, at, wire);
        it->lease = ++it->lease_last;
        tell(world, at, wire, wire->result);
    }
    reply(world, event, at, wire);
}

static void
etcd_look(struct world *world, struct event *event, unsigned at)
{
    const struct arbiter *it = &world->arbiters[at];
    struct wire *wire = &event->wire;
    enum lease_result result = decide(world, at, wire);
    bool changes =
        (result == LEASE_RESULT_GRANTED || result == LEASE_RESULT_DONE) && wire->op != WIRE_READ;
    changes |= result == LEASE_RESULT_RESTORED && it->suspect < wire->known;
    tell(world, at, wire, result);
    if (!changes) {
        reply(world, event, at, wire);
        return;
    }
    wire->changes = it->changes;
    wire->lease = is_alive(world, at) ? it->lease : 0;
    if (is_lost(world, it->unheard, event->peer))
        return;
    struct event *looked =
        queue_daemon(world, some_ms(world, world->config.delay_ms), on_looked, event->peer);
    looked->life = event->life;
    looked->id = event->id;
    looked->message.record = at;
    looked->wire = *wire;
}

static void
witness_ask(struct world *world, struct event *event, unsigned at)
{
    struct arbiter *it = &world->arbiters[at];
    struct wire *wire = &event->wire;
    int64_t now_ms = clock_of(world, at);
    enum lease_result result = LEASE_RESULT_UNCLEAR;
    if (!it->there || wire->op == WIRE_CREATE || now_ms >= it->clock_ms - CLOCK_BACK_MS) {
        result = decide(world, at, wire);
        if (result == LEASE_RESULT_RESTORED)
            suspect(it, wire->known);
        if (result == LEASE_RESULT_GRANTED || result == LEASE_RESULT_DONE)
            carry_out(world, at, wire);
        bool changed = wire->op != WIRE_READ;
        if (changed && now_ms > it->clock_ms &&
            (result == LEASE_RESULT_GRANTED || result == LEASE_RESULT_DONE))
            it->clock_ms = now_ms;
    }
    if (result == LEASE_RESULT_UNCLEAR)
        wire->result = result;
    else
        tell(world, at, wire, result);
    reply(world, event, at, wire);
}

static void
on_asked(struct world *world, struct event *event)
{
    unsigned at = event->node - WORLD_NODES_MAX;
    if (world->hosts[event->node].down)
        return;
    if (world->arbiters[at].kind == WORLD_ARBITER_ETCD)
        etcd_look(world, event, at);
    else
        witness_ask(world, event, at);
}

/* The port gives up: perhaps done, perhaps not. */
static void
on_late(struct world *world, struct event *event)
{
    event->wire.result = LEASE_RESULT_UNCLEAR;
    event->wire.has_record = false;
    on_reply(world, event);
}

void
arbiter_ask(struct world *world, unsigned node, unsigned which, uint32_t serial, unsigned at,
            const struct wire *wire, uint64_t timeout_ms)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct question *question = &daemon->questions[which];
    *question = (struct question){ .id = ++daemon->question_last,
                                   .serial = serial,
                                   .arbiter = at,
                                   .sent_ms = host_now_ms(world, node) };
    struct event *late = queue_timer(world, timeout_ms, on_late, node);
    late->life = daemon->life;
    late->id = question->id;
    late->wire = *wire;
    if (is_lost(world, world->arbiters[at].unreachable, node))
        return;
    struct event *event =
        queue_add(world, some_ms(world, world->config.delay_ms), on_asked, host_index(at));
    event->actor = ACTOR_HOST;
    event->peer = node;
    event->life = daemon->life;
    event->id = question->id;
    event->wire = *wire;
}

/* ------------------------------------------------------------------ what befalls them */

static void
say_arbiter(struct world *world, unsigned at, const char *what)
{
    say(world, WORLD_SAY_WORLD, "%5llu arbiter %u %s", stamp(world), at + 1, what);
}

void
world_arbiter_cut(struct world *world, unsigned at, unsigned node, bool ask, bool answer)
{
    struct arbiter *it = &world->arbiters[at];
    unsigned bit = 1u << node;
    it->unreachable = ask ? it->unreachable | bit : it->unreachable & ~bit;
    it->unheard = answer ? it->unheard | bit : it->unheard & ~bit;
}

void
world_arbiter_power(struct world *world, unsigned at, bool on)
{
    struct arbiter *it = &world->arbiters[at];
    struct host *host = &world->hosts[host_index(at)];
    if (host->down != on)
        return;
    host->down = !on;
    say_arbiter(world, at, on ? "starts" : "is down");
    /* a leader that is new counts the leases from the start */
    if (on && it->kind == WORLD_ARBITER_ETCD && it->there && is_alive(world, at))
        it->ends_ms = clock_of(world, at) + (int64_t)it->lease_ms;
}

void
world_arbiter_stop(struct world *world, unsigned at, bool stopped)
{
    if (world->hosts[host_index(at)].suspended == stopped)
        return;
    say_arbiter(world, at, stopped ? "stands still" : "goes on");
    host_suspend(world, host_index(at), stopped);
}

void
world_arbiter_revoke(struct world *world, unsigned at)
{
    struct arbiter *it = &world->arbiters[at];
    if (!is_alive(world, at))
        return;
    say_arbiter(world, at, "lets the lease end too early");
    it->ends_ms = clock_of(world, at);
}

void
world_arbiter_step(struct world *world, unsigned at, int64_t by_ms)
{
    say(world, WORLD_SAY_WORLD, "%5llu arbiter %u: its wall clock is set by %lld ms", stamp(world),
        at + 1, (long long)by_ms);
    if (!is_alive(world, at)) /* set back, it runs again, and who has just seen it over was right */
        world->arbiters[at].over_ms = world->now_ms;
    world->hosts[host_index(at)].wall_offset_ms += by_ms;
}

void
world_arbiter_wipe(struct world *world, unsigned at)
{
    struct arbiter *it = &world->arbiters[at];
    say_arbiter(world, at, "loses its record");
    it->there = false;
    it->epoch = 0;
    it->suspect = 0;
    it->changes++;
}

void
world_arbiter_backup(struct world *world, unsigned at)
{
    struct arbiter *it = &world->arbiters[at];
    if (it->backup == NULL)
        it->backup = mem_alloc(sizeof *it->backup);
    *it->backup = *it;
    it->backup->alive = is_alive(world, at);
}

void
world_arbiter_restore(struct world *world, unsigned at)
{
    struct arbiter *it = &world->arbiters[at];
    struct arbiter now = *it;
    bool was_alive = is_alive(world, at);
    if (now.backup == NULL)
        return;
    say_arbiter(world, at, "has an older copy put back");
    *it = *now.backup;
    /* What it was told since then only its holder can tell it again. */
    if (it->number < now.number || it->promised < now.promised)
        world->loss_accepted = true;
    it->backup = now.backup;
    it->unreachable = now.unreachable;
    it->unheard = now.unheard;
    it->changes = now.changes + 1;
    it->lease_last = now.lease_last;
    it->promised_once = now.promised_once;
    it->over_ms = was_alive ? now.over_ms : world->now_ms;
    if (it->kind == WORLD_ARBITER_ETCD) /* its leases live anew */
        it->ends_ms = clock_of(world, at) + (it->alive ? (int64_t)it->lease_ms : 0);
}

bool
world_arbiter_is_well(const struct world *world, unsigned at)
{
    const struct arbiter *it = &world->arbiters[at];
    return it->there && it->suspect == 0 && clock_of(world, at) >= it->clock_ms - CLOCK_BACK_MS;
}

/* The epoch of a lease that runs; 0: none. */
uint64_t
arbiter_holds(const struct world *world, unsigned at)
{
    return is_alive(world, at) ? world->arbiters[at].epoch : 0;
}

void
arbiter_found(struct world *world, unsigned at, uint64_t epoch)
{
    struct wire wire = { .op = WIRE_CREATE,
                         .epoch = epoch,
                         .lease_ms = world->config.lease.ttl_ms };
    grant(world, at, &wire);
    world->arbiters[at].ends_ms = clock_of(world, at);
    world->arbiters[at].lease = ++world->arbiters[at].lease_last;
}

void
arbiters_done(struct world *world)
{
    for (unsigned i = 0; i < WORLD_ARBITERS_MAX; i++)
        free(world->arbiters[i].backup);
}
