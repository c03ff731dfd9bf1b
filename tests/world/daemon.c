/*
 * One daemon: it feeds the shipped machines with what happens, one event at a time, and never
 * decides.
 */
#include <string.h>

#include "tests/world/inner.h"

const struct quorum_record *
daemon_record(const struct world *world, unsigned node)
{
    static const struct quorum_record none;
    uint32_t record = world->nodes[node].db.record;
    return record == 0 ? &none : &world->records[record - 1];
}

struct node_facts
facts_of(const struct world *world, unsigned node, const struct facts *facts)
{
    struct node_facts full = { .state = facts->state,
                               .epoch = code_epoch(world, facts->epoch),
                               .promised = code_epoch(world, facts->promised),
                               .applied = point_position(world, &facts->applied),
                               .schema = world->nodes[node].schema,
                               .streaming = facts->streaming };
    memcpy(full.name, world->nodes[node].name, sizeof full.name);
    memcpy(full.site, world->nodes[node].site, sizeof full.site);
    if (facts->following != WORLD_NONE)
        memcpy(full.following, world->nodes[facts->following].name, sizeof full.following);
    return full;
}

/* What it says of itself: what the machine knows, and the head of the log. */
struct facts
daemon_facts(const struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    return (struct facts){ .state = daemon->node.state,
                           .epoch = code_from(world, &daemon->node.own.epoch),
                           .promised = code_from(world, &daemon->node.own.promised),
                           .applied = point_from(world, &daemon->node.own.applied),
                           .following = daemon->node.following[0] == '\0'
                                            ? WORLD_NONE
                                            : world_node(world, daemon->node.following),
                           .streaming = daemon->streaming,
                           .acts = acting_says(world, node),
                           .primary = WORLD_NONE };
}

/* ------------------------------------------------------------------ steps */

static void
say_effects(struct world *world, const struct node_effects *node, const struct promo_effects *promo)
{
    char text[EPOCH_TEXT_SIZE];
    for (size_t i = 0; node != NULL && i < node->count; i++) {
        const struct node_effect *effect = &node->list[i];
        if (effect->kind != NODE_DO_ALARM)
            say(world, WORLD_SAY_NODE, "      %s%s%s%s%s", node_effect_name(effect->kind),
                effect->node[0] == '\0' ? "" : " ", effect->node,
                effect->epoch.number == 0 ? "" : " epoch ",
                effect->epoch.number == 0 ? "" : epoch_text(&effect->epoch, text));
    }
    for (size_t i = 0; promo != NULL && i < promo->count; i++) {
        const struct promo_effect *effect = &promo->list[i];
        if (effect->kind != PROMO_DO_ALARM)
            say(world, WORLD_SAY_PROMO, "      %s%s%s%s%s%s%s", promo_effect_name(effect->kind),
                effect->node[0] == '\0' ? "" : " ", effect->node,
                effect->epoch.number == 0 ? "" : " epoch ",
                effect->epoch.number == 0 ? "" : epoch_text(&effect->epoch, text),
                effect->remake ? " remake" : "", effect->resume ? " resume" : "");
    }
}

static bool
may_act_again(const struct node *node)
{
    return node->state == NODE_PRIMARY || node->state == NODE_DRAINING ||
           (node->state == NODE_CANDIDATE && node->before == NODE_PRIMARY);
}

static void
run_node(struct world *world, struct posted *posted)
{
    struct node *node = &world->nodes[posted->node].daemon.node;
    struct node_event *event = &posted->node_event;
    struct node_effects effects;
    struct err err;
    enum node_state before = node->state;
    event->now_ms = host_now_ms(world, posted->node);
    struct quorum_record record = daemon_in_force(world, posted->node);
    event->record = &record;
    event->facts = event->facts == NULL ? NULL : &posted->facts;
    if (node_step(node, event, &effects, &err) != ERR_NONE) {
        say(world, WORLD_SAY_NODE, "%5llu %s %s: refused in %s", stamp(world), node->self,
            node_event_name(event->kind), node_state_name(before));
        return;
    }
    if (node->state != before || effects.count > 0) {
        bool failed =
            !event->ok && (event->kind == NODE_EV_ATTACHED || event->kind == NODE_EV_REOPENED);
        say(world, WORLD_SAY_NODE, "%5llu %s %s%s%s: %s -> %s", stamp(world), node->self,
            node_event_name(event->kind), failed ? " not ok, " : "",
            failed && event->text != NULL ? event->text : "", node_state_name(before),
            node_state_name(node->state));
        say_effects(world, &effects, NULL);
    }
    for (size_t i = 0; i < effects.count; i++)
        effect_node(world, posted->node, &effects.list[i]);
    if (event->kind == NODE_EV_CAPTURED || (node->state != before && node->state == NODE_REJOINING))
        lease_close(world, posted->node);
    if (node->state == before)
        return;
    check_became(world, posted->node, before);
    bool down = node->state == NODE_FENCED || node->state == NODE_REJOINING;
    if (down && event->kind != NODE_EV_FAILED &&
        promo_is_running(&world->nodes[posted->node].daemon.promo))
        daemon_post_promo(world, posted->node,
                          &(struct promo_event){ .kind = PROMO_EV_LOST, .text = node->reason });
    if (!may_act_again(node))
        world->nodes[posted->node].daemon.may_act = false;
    acting_look(world, posted->node);
}

static void
run_promo(struct world *world, struct posted *posted)
{
    struct promo *promo = &world->nodes[posted->node].daemon.promo;
    struct promo_event *event = &posted->promo_event;
    struct promo_effects effects;
    struct err err;
    enum promo_state before = promo->state;
    event->now_ms = host_now_ms(world, posted->node);
    event->facts = event->facts == NULL ? NULL : &posted->facts;
    event->record = event->record == NULL ? NULL : &posted->record;
    event->order = event->order == NULL ? NULL : &posted->order;
    event->note = event->note == NULL ? NULL : &posted->note;
    if (promo_step(promo, event, &effects, &err) != ERR_NONE)
        return;
    if (promo->state != before || effects.count > 0) {
        say(world, WORLD_SAY_PROMO, "%5llu %s promo %s%s%s%s: %s -> %s", stamp(world), promo->self,
            promo_event_name(event->kind), event->node == NULL ? "" : " ",
            event->node == NULL ? "" : event->node,
            event->ok || event->kind == PROMO_EV_ORDER || event->kind == PROMO_EV_TIMEOUT ||
                    event->kind == PROMO_EV_APPLIED || event->kind == PROMO_EV_SUPERSEDED ||
                    event->kind == PROMO_EV_LOST
                ? ""
                : " not ok",
            promo_state_name(before), promo_state_name(promo->state));
        say_effects(world, NULL, &effects);
        if (promo->state == PROMO_STATE_FAILED && before != PROMO_STATE_FAILED)
            say(world, WORLD_SAY_PROMO, "      because: %s", promo->failure.text);
    }
    for (size_t i = 0; i < effects.count; i++)
        effect_promo(world, posted->node, &effects.list[i]);
}

void
daemon_run_posted(struct world *world)
{
    if (world->stepping)
        return;
    world->stepping = true;
    while (world->posted_count > 0) {
        struct posted *posted = &world->posted[world->posted_first];
        if (!world->nodes[posted->node].daemon.up)
            (void)0;
        else if (posted->to_promo)
            run_promo(world, posted);
        else
            run_node(world, posted);
        world->posted_first = (world->posted_first + 1) % WORLD_POSTED_MAX;
        world->posted_count--;
    }
    world->stepping = false;
}

static struct posted *
posted_room(struct world *world, unsigned node)
{
    ASSERT(world->posted_count < WORLD_POSTED_MAX);
    struct posted *posted =
        &world->posted[(world->posted_first + world->posted_count++) % WORLD_POSTED_MAX];
    posted->node = node;
    return posted;
}

void
daemon_post_node(struct world *world, unsigned node, const struct node_event *event)
{
    struct posted *posted = posted_room(world, node);
    posted->to_promo = false;
    posted->node_event = *event;
    if (event->facts != NULL)
        posted->facts = *event->facts;
    daemon_run_posted(world);
}

void
daemon_post_promo(struct world *world, unsigned node, const struct promo_event *event)
{
    struct posted *posted = posted_room(world, node);
    posted->to_promo = true;
    posted->promo_event = *event;
    if (event->facts != NULL)
        posted->facts = *event->facts;
    if (event->record != NULL)
        posted->record = *event->record;
    if (event->order != NULL)
        posted->order = *event->order;
    if (event->note != NULL)
        posted->note = *event->note;
    daemon_run_posted(world);
}

/* ------------------------------------------------------------------ our own database */

void
daemon_started(struct world *world, unsigned node, const struct op *op)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    daemon->database_asked = false;
    if (op->message.reply != REPLY_OK || !world->nodes[node].db.up)
        return;
    struct facts own = { .epoch = world->nodes[node].db.epoch,
                         .promised = world->nodes[node].db.promised,
                         .applied = op->message.point,
                         .following = WORLD_NONE };
    struct node_facts facts = facts_of(world, node, &own);
    daemon->boot_seen = world->nodes[node].db.boot;
    daemon->streaming = false;
    lease_load(world, node, &op->memory);
    daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_START, .facts = &facts });
    daemon_look(world, node);
}

static void
ask_database(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (daemon->database_asked)
        return;
    daemon->database_asked = true;
    db_submit(world, node, true, &(struct op){ .kind = OP_START });
}

static void
on_database(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (!daemon->up || daemon->life != event->life ||
        world->nodes[event->node].db.boot != event->id)
        return;
    if (event->message.flag) {
        ask_database(world, event->node);
        return;
    }
    daemon->database_asked = false;
    daemon_post_node(world, event->node,
                     &(struct node_event){ .kind = NODE_EV_LOST, .text = "connection lost" });
}

/* The connection comes or goes; the daemon hears of it a moment later. */
void
daemon_database(struct world *world, unsigned node, bool up)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    if (!daemon->up)
        return;
    struct event *event = queue_daemon(world, up ? some_ms(world, 20) : 2, on_database, node);
    event->life = daemon->life;
    event->id = world->nodes[node].db.boot;
    event->message.flag = up;
}

void
daemon_applied(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (!daemon->up || !daemon->node.database)
        return;
    struct point head = db_head(&world->nodes[node].db);
    struct position applied = point_position(world, &head);
    node_note(&daemon->node, &applied, NULL);
    if (promo_is_running(&daemon->promo))
        daemon_post_promo(world, node,
                          &(struct promo_event){ .kind = PROMO_EV_APPLIED,
                                                 .position = daemon->node.own.applied });
}

/* ------------------------------------------------------------------ time */

void
daemon_look(struct world *world, unsigned node)
{
    struct watch *watch = &world->nodes[node].daemon.watch;
    struct message message = { .call = CALL_STATE,
                               .flag = watch->suspects,
                               .facts = { .primary = watch->primary } };
    bool frozen = world->nodes[node].daemon.node.state == NODE_DRAINING;
    /* it gives a candidate up too soon rather than late: both must be safe */
    uint64_t timeout_ms = frozen ? world->config.timeout_ms / 8 : world->config.timeout_ms;
    for (unsigned i = 0; i < world->count; i++) {
        if (i == node || watch->peers[i].polling)
            continue;
        watch->peers[i].polling = true;
        net_call(world, node, i, timeout_ms, &message);
    }
}

/* Beside the looks of always, until it is frozen no more. */
static void
on_frozen_look(struct world *world, struct event *event)
{
    const struct daemon *daemon = &world->nodes[event->node].daemon;
    if (!daemon->up || daemon->life != event->life || daemon->node.state != NODE_DRAINING)
        return;
    daemon_look(world, event->node);
    daemon_look_frozen(world, event->node);
}

void
daemon_look_frozen(struct world *world, unsigned node)
{
    queue_timer(world, world->config.poll_ms / 4 + 1, on_frozen_look, node)->life =
        world->nodes[node].daemon.life;
}

static void
on_look(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (!daemon->up || daemon->life != event->life)
        return;
    daemon_look(world, event->node);
    client_tick(world, event->node);
    if (world->config.managed && !world->nodes[event->node].db.up)
        world_start(world, event->node, WORLD_DATABASE);
    uint64_t after_ms = world->config.poll_ms;
    if (daemon->node.state == NODE_FENCED)
        after_ms = after_ms / 4 + 1;
    queue_timer(world, after_ms, on_look, event->node)->life = daemon->life;
    daemon_post_node(world, event->node, &(struct node_event){ .kind = NODE_EV_TICK });
}

static void
on_upkeep(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (!daemon->up || daemon->life != event->life)
        return;
    queue_timer(world, WORLD_UPKEEP_MS, on_upkeep, event->node)->life = daemon->life;
    if (!daemon->node.database && world->nodes[event->node].db.up)
        ask_database(world, event->node);
    upkeep(world, event->node);
    lease_upkeep(world, event->node);
    takeover_look(world, event->node);
    acting_look(world, event->node);
}

/* ------------------------------------------------------------------ life */

void
daemon_start(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    const char *others[WORLD_NODES_MAX];
    size_t count = 0;
    if (daemon->up)
        return;
    uint32_t life = daemon->life + 1;
    *daemon = (struct daemon){ .up = true, .life = life };
    host_daemon_started(world, node);
    world->nodes[node].daemon_down_ms = world->now_ms;
    acting_start(world, node);
    takeover_start(world, node);
    node_init(&daemon->node, world->nodes[node].name, &world->config.node_limits);
    promo_init(&daemon->promo, world->nodes[node].name, &world->config.promo_limits);
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node)
            others[count++] = world->nodes[i].name;
    }
    node_set_peers(&daemon->node, others, count);
    lease_start(world, node);
    queue_timer(world, some_ms(world, world->config.poll_ms), on_look, node)->life = life;
    queue_timer(world, some_ms(world, WORLD_UPKEEP_MS), on_upkeep, node)->life = life;
    if (world->nodes[node].db.up)
        ask_database(world, node);
}

void
daemon_crash(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (!daemon->up)
        return;
    client_daemon_gone(world, node);
    acting_end(world, node);
    daemon->up = false;
    daemon->stopped = false;
    world->nodes[node].permitted = false;
    host_wake(world, node);
}

/* As the daemon takes an order: BEGIN for the node, then ORDER for the promotion. */
bool
daemon_begin(struct world *world, unsigned node, const struct promo_order *order)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    const char *members[WORLD_NODES_MAX];
    struct err err;
    for (unsigned i = 0; i < world->count; i++)
        members[i] = world->nodes[i].name;
    struct facts facts = daemon_facts(world, node);
    struct node_facts own = facts_of(world, node, &facts);
    daemon->began_wall_ms = host_wall_ms(world, node);
    daemon->began_ms = world->now_ms;
    if (promo_set(&daemon->promo, &own, members, world->count, daemon_record(world, node), &err) !=
        ERR_NONE) {
        say(world, WORLD_SAY_PROMO, "%5llu %s order refused: %s", stamp(world),
            world->nodes[node].name, err.text);
        return false;
    }
    bool ours = order->mode == PROMO_RESUMPTION;
    promo_set_note(&daemon->promo, ours ? note_named(world, node) : NULL);
    struct promo_order timed = *order;
    memcpy(timed.time, "then", sizeof "then");
    if (!order->dry_run)
        daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_BEGIN });
    daemon_post_promo(world, node,
                      &(struct promo_event){ .kind = PROMO_EV_ORDER, .order = &timed, .ok = true });
    return true;
}
