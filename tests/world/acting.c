/*
 * Acting on the outside: one connector on each node (controller/daemon/acting.c and
 * controller/activation/manager.c), decided by the shipped activation/plan.c, and what it acts on.
 *
 * A node acts on two receivers at once: one that all nodes share, and one of its own. Both refuse
 * an epoch below the highest that they have heard (I10), and within one the change before the last:
 * each is told its number. What is ended while it is on its way may
 * be done all the same: on the node's own at once, on the shared one when it arrives.
 */
#include <string.h>

#include "tests/world/inner.h"

#define RETRY_MS        1000
#define RETRY_MAX_MS    10000
#define EFFECT_MS       20
#define EFFECT_FAILS_MS 500 /* when the outside does not answer */
#define STOPPING_MS     3

static const struct activation_pauses pauses = { .first_ms = RETRY_MS, .max_ms = RETRY_MAX_MS };

static struct acting *
acting_of(struct world *world, unsigned node)
{
    return &world->nodes[node].daemon.acting;
}

/* ------------------------------------------------------------------ the outside */

/* False: refused. */
static bool
hear(struct heard *heard, uint64_t epoch, uint64_t sequence)
{
    if (epoch < heard->epoch || (epoch == heard->epoch && sequence < heard->sequence))
        return false;
    *heard = (struct heard){ .epoch = epoch, .sequence = sequence };
    return true;
}

static void on_effect_done(struct world *world, struct event *event);

static void
on_effect(struct world *world, struct event *event)
{
    unsigned node = event->node;
    struct world_node *it = &world->nodes[node];
    struct outside *outside = &world->outside;
    const struct daemon *daemon = &it->daemon;
    bool activates = event->message.flag;
    bool runs = daemon->up && daemon->life == event->life && daemon->acting.effect == event->id;
    bool escaped = !runs && world->config.seed != 0 && rng_chance(&world->rng, 50);
    bool lost = it->outside_cut || world->hosts[node].down;
    if ((!runs && !escaped) || lost)
        return;
    if (runs && activates)
        check_effect(world, node, event->message.epoch, false);
    bool own = runs && hear(&it->receiver, event->message.epoch, event->message.revision);
    bool shared = hear(&outside->heard, event->message.epoch, event->message.revision);
    if (own)
        it->receiver_active = activates;
    if (shared && (activates || outside->active == node))
        outside->active = activates ? node : WORLD_NONE;
    outside->accepted += shared;
    outside->refused += !shared;
    if (!shared)
        say(world, WORLD_SAY_ACT, "%5llu the outside refuses what %s does", stamp(world), it->name);
    struct event *done = queue_daemon(world, some_ms(world, 2), on_effect_done, node);
    done->life = event->life;
    done->id = event->id;
    done->message.flag = own && shared;
}

/* ------------------------------------------------------------------ one change */

static void plan_soon(struct world *world, unsigned node, uint64_t after_ms);
static void look_soon(struct world *world, unsigned node);
static void answer_release(struct world *world, unsigned node, bool ok);

static void
finish(struct world *world, unsigned node, enum activation_state state)
{
    struct acting *acting = acting_of(world, node);
    acting->phase = ACTING_IDLE;
    acting->effect = ++world->effect_last; /* what runs has escaped */
    acting->record.state = state;
    acting->record.failed_at_ms = host_now_ms(world, node);
    plan_soon(world, node, 0);
    say(world, WORLD_SAY_ACT, "%5llu %s %s: %s", stamp(world), world->nodes[node].name,
        acting->record.change.server == EFFECTIVE_NONE ? "gives its server up" : "uses its server",
        activation_state_name(state));
    db_submit(world, node, true,
              &(struct op){ .kind = OP_REPORT,
                            .job = JOB_ACTING,
                            .change = acting->record.change,
                            .activation = state });
    if (acting->asker != ASKER_NOBODY && state == ACTIVATION_FAILED)
        answer_release(world, node, false);
    look_soon(world, node);
}

static void
on_effect_done(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    struct acting *acting = &daemon->acting;
    if (!daemon->up || daemon->life != event->life || acting->effect != event->id)
        return;
    if (acting->phase == ACTING_STOPPING)
        finish(world, event->node, ACTIVATION_CANCELLED);
    else if (event->message.record != 0)
        finish(world, event->node, ACTIVATION_FAILED);
    else
        finish(world, event->node, event->message.flag ? ACTIVATION_OK : ACTIVATION_REFUSED);
}

static void
start_effect(struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    struct acting *acting = acting_of(world, node);
    bool activates = acting->record.change.server != EFFECTIVE_NONE;
    acting->phase = ACTING_RUNNING;
    acting->effect = ++world->effect_last;
    if (activates)
        check_effect(world, node, code_from(world, &acting->record.change.epoch), true);
    struct event *event = queue_add(world, some_ms(world, EFFECT_MS), on_effect, node);
    event->life = daemon->life;
    event->id = acting->effect;
    event->message.flag = activates;
    event->message.epoch = code_from(world, &acting->record.change.epoch);
    event->message.revision = acting->record.change.sequence;
    struct event *late = queue_timer(world, EFFECT_FAILS_MS, on_effect_done, node);
    late->life = daemon->life;
    late->id = acting->effect;
    late->message.record = 1; /* failed */
}

static void
begin(struct world *world, unsigned node, const struct activation_change *change)
{
    struct acting *acting = acting_of(world, node);
    struct activation_record *record = &acting->record;
    bool again = record->state != ACTIVATION_NEVER && !record->before_start &&
                 record->change.sequence == change->sequence;
    *record = (struct activation_record){ .change = *change,
                                          .state = ACTIVATION_RUNNING,
                                          .tries = again ? record->tries + 1 : 1 };
    acting->phase = ACTING_STORING;
    db_submit(world, node, true,
              &(struct op){ .kind = OP_INTENT,
                            .job = JOB_ACTING,
                            .change = *change,
                            .activation = ACTIVATION_RUNNING,
                            .message = { .serial = (uint32_t)change->sequence } });
}

/* What runs gets SIGKILL. */
void
acting_end(struct world *world, unsigned node)
{
    struct world_node *it = &world->nodes[node];
    const struct activation_change *change = &it->daemon.acting.record.change;
    if (it->daemon.acting.phase == ACTING_RUNNING && world->config.seed != 0 &&
        rng_chance(&world->rng, 50) &&
        hear(&it->receiver, code_from(world, &change->epoch), change->sequence))
        it->receiver_active = change->server != EFFECTIVE_NONE;
}

static void
stop(struct world *world, unsigned node)
{
    struct acting *acting = acting_of(world, node);
    if (acting->phase == ACTING_STORING) {
        finish(world, node, ACTIVATION_CANCELLED);
    } else if (acting->phase == ACTING_RUNNING) { /* it has got SIGKILL; its end is seen later */
        acting_end(world, node);
        acting->phase = ACTING_STOPPING;
        acting->effect = ++world->effect_last;
        struct event *event = queue_timer(world, STOPPING_MS, on_effect_done, node);
        event->life = world->nodes[node].daemon.life;
        event->id = acting->effect;
    }
}

/* ------------------------------------------------------------------ what to do next */

static void
plan(struct world *world, unsigned node)
{
    struct acting *acting = acting_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    if (!acting->wanted)
        return;
    struct activation_step step =
        activation_plan(&acting->desired, &acting->record, acting->gate, &pauses, now_ms);
    switch (step.verdict) {
    case ACTIVATION_REST:
    case ACTIVATION_BLOCKED:
        break;
    case ACTIVATION_WAIT:
        plan_soon(world, node, step.at_ms - now_ms);
        break;
    case ACTIVATION_STOP:
        stop(world, node);
        break;
    case ACTIVATION_RUN:
        ASSERT(acting->phase == ACTING_IDLE);
        begin(world, node, &step.change);
        break;
    }
}

static void
on_plan(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (daemon->up && daemon->life == event->life && daemon->acting.alarm == event->id)
        plan(world, event->node);
}

static void
plan_soon(struct world *world, unsigned node, uint64_t after_ms)
{
    struct event *event = queue_timer(world, after_ms, on_plan, node);
    event->life = world->nodes[node].daemon.life;
    event->id = ++acting_of(world, node)->alarm;
}

static void
set_gate(struct world *world, unsigned node, enum activation_gate gate)
{
    struct acting *acting = acting_of(world, node);
    acting->gate = gate;
    struct activation_step step =
        activation_plan(&acting->desired, &acting->record, gate, &pauses, host_now_ms(world, node));
    if (step.verdict == ACTIVATION_STOP) /* at once, not in the next turn */
        stop(world, node);
    plan_soon(world, node, 0);
}

static struct effective_choice
choose(const struct world *world, unsigned node)
{
    const struct world_node *it = &world->nodes[node];
    const struct acting *acting = &it->daemon.acting;
    bool single_site = true;
    for (unsigned i = 0; i < world->count; i++)
        single_site &= strcmp(world->nodes[i].site, it->site) == 0;
    struct effective_facts facts = { .site_primary = acting->primary_site != NULL &&
                                                     strcmp(acting->primary_site, it->site) == 0,
                                     .single_site = single_site,
                                     .role = acting->role,
                                     .main_set = true,
                                     .alternate_set = true,
                                     .use_alternate = it->use_alternate };
    return effective_decide(&facts);
}

bool
acting_is_settled(const struct world *world, unsigned node)
{
    const struct acting *acting = &world->nodes[node].daemon.acting;
    return !world->config.connectors ||
           (acting->phase == ACTING_IDLE && activation_settled(&acting->desired, &acting->record));
}

/* As the daemon says of itself to others. */
bool
acting_says(const struct world *world, unsigned node)
{
    return world->config.connectors && choose(world, node).in_use != EFFECTIVE_NONE;
}

static void
on_soon(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    struct acting *acting = &daemon->acting;
    if (!daemon->up || daemon->life != event->life)
        return;
    acting->soon = false;
    if (acting->restored && world->config.connectors) {
        acting->desired = (struct activation_change){ .server = choose(world, event->node).in_use,
                                                      .epoch = acting->epoch,
                                                      .revision = 1 };
        acting->wanted = true;
        set_gate(world, event->node,
                 acting->may_act     ? ACTIVATION_GATE_OPEN
                 : acting->giving_up ? ACTIVATION_GATE_RELEASE
                                     : ACTIVATION_GATE_CLOSED);
    }
    if (acting->asker != ASKER_NOBODY && acting->restored && acting_is_settled(world, event->node))
        answer_release(world, event->node, true);
}

static void
look_soon(struct world *world, unsigned node)
{
    struct acting *acting = acting_of(world, node);
    if (acting->soon)
        return;
    acting->soon = true;
    queue_timer(world, 0, on_soon, node)->life = world->nodes[node].daemon.life;
}

/* ------------------------------------------------------------------ what an earlier daemon did */

static void
restore(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct acting *acting = &daemon->acting;
    if (acting->restored || acting->restore_asked)
        return;
    if (!world->config.connectors) {
        acting->restored = true;
        look_soon(world, node);
        return;
    }
    if (!daemon->node.database)
        return;
    acting->restore_asked = true;
    db_submit(world, node, true, &(struct op){ .kind = OP_ACTS, .job = JOB_ACTING });
}

static void
restored(struct world *world, unsigned node, const struct op *op)
{
    struct acting *acting = acting_of(world, node);
    acting->restore_asked = false;
    if (op->message.reply != REPLY_OK)
        return; /* the next look asks again */
    acting->record = (struct activation_record){
        .change = op->change, .state = op->activation, .before_start = true, .tries = 1
    };
    if (op->activation == ACTIVATION_RUNNING)
        acting->record.state = ACTIVATION_CANCELLED;
    acting->restored = true;
    look_soon(world, node);
}

void
acting_op_done(struct world *world, unsigned node, const struct op *op)
{
    struct acting *acting = acting_of(world, node);
    if (op->kind == OP_ACTS) {
        restored(world, node, op);
        return;
    }
    if (op->kind != OP_INTENT || acting->phase != ACTING_STORING ||
        acting->record.change.sequence != op->message.serial)
        return;
    if (op->message.reply != REPLY_OK)
        finish(world, node, ACTIVATION_FAILED);
    else
        start_effect(world, node);
}

/* ------------------------------------------------------------------ what the driver says */

static void
answer_release(struct world *world, unsigned node, bool ok)
{
    struct acting *acting = acting_of(world, node);
    enum acting_asker asker = acting->asker;
    struct ticket ticket = acting->ticket;
    acting->asker = ASKER_NOBODY;
    if (asker == ASKER_LEASE)
        lease_given_up(world, node, ok);
    else if (asker == ASKER_DEACTIVATE)
        serve_given_up(world, node, &ticket, ok);
}

static void
end_now(struct world *world, unsigned node)
{
    const struct acting *acting = acting_of(world, node);
    set_gate(world, node,
             acting->restored && acting->giving_up ? ACTIVATION_GATE_RELEASE
                                                   : ACTIVATION_GATE_CLOSED);
}

/* driver_act(): what we are, and whether we may act. */
void
acting_look(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct acting *acting = &daemon->acting;
    enum node_state state = daemon->node.state;
    bool primary = state == NODE_PRIMARY;
    enum effective_role role = EFFECTIVE_ROLE_FENCED;
    if (primary)
        role = EFFECTIVE_ROLE_PRIMARY;
    else if (state == NODE_STANDBY ||
             (state == NODE_CANDIDATE && daemon->node.before == NODE_STANDBY))
        role = EFFECTIVE_ROLE_STANDBY;
    const char *site = "";
    if (primary || state == NODE_CLOSED || state == NODE_DRAINING) {
        site = world->nodes[node].site;
    } else {
        const struct node_peer *peer = node_find_primary(&daemon->node, host_now_ms(world, node));
        if (peer != NULL)
            site = world->nodes[world_node(world, peer->name)].site;
    }
    bool may_act = primary && daemon->may_act && daemon->leased;
    bool same = acting->role == role && acting->may_act == may_act &&
                acting->primary_site != NULL && strcmp(acting->primary_site, site) == 0 &&
                epoch_equal(&acting->epoch, &daemon->node.own.epoch);
    restore(world, node);
    acting->role = role;
    acting->epoch = daemon->node.own.epoch;
    acting->may_act = may_act;
    acting->primary_site = site;
    if (may_act)
        acting->giving_up = false;
    else if (role == EFFECTIVE_ROLE_STANDBY)
        acting->giving_up = true;
    if (same)
        return;
    if (!may_act)
        end_now(world, node);
    look_soon(world, node);
}

void
acting_changed(struct world *world, unsigned node)
{
    look_soon(world, node);
}

void
acting_release(struct world *world, unsigned node, enum acting_asker asker,
               const struct ticket *ticket)
{
    struct acting *acting = acting_of(world, node);
    answer_release(world, node, false);
    acting->giving_up = true;
    acting->may_act = false;
    acting->asker = asker;
    if (ticket != NULL)
        acting->ticket = *ticket;
    if (acting->role == EFFECTIVE_ROLE_PRIMARY)
        acting->role = EFFECTIVE_ROLE_FENCED;
    end_now(world, node);
    look_soon(world, node);
}

void
acting_start(struct world *world, unsigned node)
{
    acting_of(world, node)->role = EFFECTIVE_ROLE_FENCED;
    acting_of(world, node)->primary_site = "";
}
