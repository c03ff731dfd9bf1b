/*
 * Taking over by itself (controller/daemon/driver_takeover.c): gathers what sites/takeover decides
 * by, and begins the promotion when it says so.
 */
#include <string.h>

#include "tests/world/inner.h"

#define LOOK_MS     100   /* between two looks while the primary is missing */
#define HASTE_MS    60000 /* so long; then at the usual pace */
#define AGAIN_MS    1000  /* after a takeover that failed */
#define UNREACHABLE "every path to it is closed"

enum door { DOOR_HTTPS, DOOR_POSTGRES };

static struct watch *
watch_of(struct world *world, unsigned node)
{
    return &world->nodes[node].daemon.watch;
}

/* ------------------------------------------------------------------ what we see of the primary */

static void
see(struct world *world, unsigned node, struct takeover_path *path, enum takeover_path_kind kind,
    uint64_t asked_ms)
{
    takeover_see(path, kind, asked_ms, host_now_ms(world, node), world->config.takeover.fresh_ms);
}

static bool
is_fresh(const struct world *world, unsigned node, const struct takeover_path *path)
{
    return takeover_path_is_fresh(path, host_now_ms(world, node), world->config.takeover.fresh_ms);
}

static bool
is_primary_state(enum node_state state)
{
    return state == NODE_PRIMARY || state == NODE_CLOSED || state == NODE_DRAINING;
}

static bool
acts(const struct world *world, unsigned node)
{
    return is_primary_state(world->nodes[node].daemon.node.state);
}

static void
forget_knocks(struct watch *watch)
{
    watch->knock[DOOR_HTTPS] = watch->knock[DOOR_POSTGRES] = 0;
}

static void on_suspicion(struct world *world, struct event *event);

static void
look_again(struct world *world, unsigned node, uint64_t after_ms)
{
    struct event *event = queue_timer(world, after_ms, on_suspicion, node);
    event->life = world->nodes[node].daemon.life;
    event->id = ++watch_of(world, node)->alarm;
}

static void
set_pace(struct world *world, unsigned node, bool suspects)
{
    struct watch *watch = watch_of(world, node);
    if (suspects == watch->suspects)
        return;
    watch->suspects = suspects;
    watch->suspects_ms = host_now_ms(world, node);
    if (suspects) {
        look_again(world, node, 0);
    } else {
        watch->alarm++;
        watch->postgres = (struct takeover_path){ .kind = TAKEOVER_PATH_UNTRIED };
        forget_knocks(watch);
    }
}

static void
note_primary(struct world *world, unsigned node)
{
    struct watch *watch = watch_of(world, node);
    const struct daemon *daemon = &world->nodes[node].daemon;
    const struct node_peer *peer = node_find_primary(&daemon->node, host_now_ms(world, node));
    if (peer == NULL || acts(world, node))
        return;
    unsigned primary = world_node(world, peer->name);
    if (primary != watch->primary) {
        watch->primary = primary;
        watch->postgres = (struct takeover_path){ .kind = TAKEOVER_PATH_UNTRIED };
        forget_knocks(watch);
    }
    watch->primary_ms = peer->heard_ms;
}

/* ------------------------------------------------------------------ knocks */

/* What a connection to it comes to; a process that stands still has its kernel answer. */
static enum takeover_path_kind
knock_result(const struct world *world, unsigned from, unsigned to, enum door door)
{
    enum world_line line = door == DOOR_HTTPS ? WORLD_HTTPS : WORLD_REPLICATION;
    if (net_is_cut(world, from, to, line) || net_is_cut(world, to, from, line) ||
        !host_answers(world, to))
        return TAKEOVER_PATH_SILENT;
    bool up = door == DOOR_HTTPS ? world->nodes[to].daemon.up : world->nodes[to].db.up;
    return up ? TAKEOVER_PATH_ANSWERS : TAKEOVER_PATH_REFUSED;
}

static void
on_knocked(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    struct watch *watch = &daemon->watch;
    enum door door = (enum door)event->message.revision;
    enum takeover_path_kind result = (enum takeover_path_kind)event->message.record;
    if (!daemon->up || daemon->life != event->life || watch->knock[door] != event->id)
        return;
    watch->knock[door] = 0;
    if (door == DOOR_POSTGRES)
        see(world, event->node, &watch->postgres, result, watch->knock_ms[door]);
    else if (result == TAKEOVER_PATH_REFUSED)
        see(world, event->node, &watch->peers[watch->primary].https, result, watch->knock_ms[door]);
    takeover_look(world, event->node);
}

static void
knock(struct world *world, unsigned node, enum door door)
{
    struct watch *watch = watch_of(world, node);
    if (watch->knock[door] != 0)
        return;
    enum takeover_path_kind result = knock_result(world, node, watch->primary, door);
    struct event *event =
        result == TAKEOVER_PATH_SILENT
            ? queue_timer(world, world->config.timeout_ms, on_knocked, node)
            : queue_daemon(world, some_ms(world, 2 * world->config.delay_ms), on_knocked, node);
    event->life = world->nodes[node].daemon.life;
    event->id = watch->knock[door] = ++watch->knock_last;
    watch->knock_ms[door] = host_now_ms(world, node);
    event->message.revision = (uint64_t)door;
    event->message.record = (uint32_t)result;
}

/* ------------------------------------------------------------------ answers */

static void
read_peer(struct world *world, unsigned node, unsigned from, const struct facts *facts,
          uint64_t asked_ms)
{
    struct acquaintance *peer = &watch_of(world, node)->peers[from];
    const struct sight *sights[] = { &facts->https, &facts->postgres };
    struct takeover_path *paths[] = { &peer->sight.https, &peer->sight.postgres };
    uint64_t now_ms = host_now_ms(world, node);
    peer->heard = true;
    peer->heard_ms = now_ms;
    peer->facts = facts_of(world, from, facts);
    peer->able = facts->able;
    peer->priority = facts->priority;
    peer->primary = facts->primary;
    for (size_t i = 0; i < ARRAY_COUNT(sights); i++)
        *paths[i] = (struct takeover_path){ .kind = sights[i]->kind,
                                            .asked_ms = asked_ms,
                                            .since_ms = sights[i]->for_ms < now_ms
                                                            ? now_ms - sights[i]->for_ms
                                                            : 0 };
}

static void
noticed(struct world *world, unsigned node, unsigned from, bool answers, enum node_state state,
        uint64_t asked_ms)
{
    struct watch *watch = watch_of(world, node);
    struct acquaintance *peer = &watch->peers[from];
    if (answers)
        see(world, node, &peer->https,
            is_primary_state(state) ? TAKEOVER_PATH_ACTS : TAKEOVER_PATH_ANSWERS, asked_ms);
    else if (peer->https.kind != TAKEOVER_PATH_REFUSED || !is_fresh(world, node, &peer->https))
        see(world, node, &peer->https, TAKEOVER_PATH_SILENT, asked_ms);
    note_primary(world, node);
    if (from == watch->primary && !acts(world, node)) {
        set_pace(world, node, peer->https.kind != TAKEOVER_PATH_ACTS);
        if (!answers)
            knock(world, node, DOOR_HTTPS);
        if (watch->suspects)
            knock(world, node, DOOR_POSTGRES);
    }
    if (watch->suspects)
        takeover_look(world, node);
}

/* A look at a peer was answered, or not. */
void
takeover_heard(struct world *world, unsigned node, unsigned from, const struct message *answer,
               uint64_t asked_ms)
{
    bool answers = answer->reply == REPLY_OK;
    if (!world->config.records)
        return;
    if (answers)
        read_peer(world, node, from, &answer->facts, asked_ms);
    noticed(world, node, from, answers, answer->facts.state, asked_ms);
}

/* A peer says by itself what it is. */
void
takeover_told(struct world *world, unsigned node, unsigned from, enum node_state state)
{
    if (world->config.records)
        noticed(world, node, from, true, state, host_now_ms(world, node));
}

/* Another member has no answer of the primary: look for ourselves, at once. */
void
takeover_suspected(struct world *world, unsigned node, unsigned primary)
{
    const struct watch *watch = watch_of(world, node);
    if (world->config.records && !watch->suspects && primary == watch->primary &&
        !watch->peers[primary].polling && !acts(world, node))
        daemon_look(world, node);
}

static void
on_suspicion(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    struct watch *watch = &daemon->watch;
    if (!daemon->up || daemon->life != event->life || watch->alarm != event->id)
        return;
    if (watch->suspects && acts(world, event->node))
        set_pace(world, event->node, false);
    else if (watch->suspects && host_now_ms(world, event->node) - watch->suspects_ms < HASTE_MS)
        daemon_look(world, event->node);
    if (watch->suspects)
        look_again(world, event->node, LOOK_MS);
    takeover_look(world, event->node);
}

/* ------------------------------------------------------------------ what members tell each other
 */

static struct sight
sight_of(const struct world *world, unsigned node, const struct takeover_path *path)
{
    uint64_t now_ms = host_now_ms(world, node);
    if (!is_fresh(world, node, path))
        return (struct sight){ .kind = TAKEOVER_PATH_UNTRIED };
    return (struct sight){ .kind = path->kind,
                           .for_ms =
                               path->kind == TAKEOVER_PATH_UNTRIED ? 0 : now_ms - path->since_ms };
}

void
takeover_tell(const struct world *world, unsigned node, struct facts *facts)
{
    const struct watch *watch = &world->nodes[node].daemon.watch;
    facts->able = watch->able;
    facts->priority = world->config.priorities[node];
    facts->primary = watch->primary;
    facts->postgres = sight_of(world, node, &watch->postgres);
    if (watch->primary != WORLD_NONE)
        facts->https = sight_of(world, node, &watch->peers[watch->primary].https);
}

/* ------------------------------------------------------------------ the decision */

static void
add_recent(struct takeover_view *view, uint64_t ago_ms)
{
    size_t at = view->recent_count;
    if (at == TAKEOVER_RECENT_MAX)
        return;
    for (; at > 0 && view->recent_ago_ms[at - 1] > ago_ms; at--)
        view->recent_ago_ms[at] = view->recent_ago_ms[at - 1];
    view->recent_ago_ms[at] = ago_ms;
    view->recent_count++;
}

/* What the log says of earlier takeovers and of a pause. */
static void
view_notes(const struct world *world, unsigned node, struct takeover_view *view)
{
    const struct database *db = &world->nodes[node].db;
    int64_t wall_ms = host_wall_ms(world, node);
    bool paused = false;
    bool epoch_seen = false;
    uint64_t recorded = 0;
    const struct row *row;
    for (size_t at = db->telling_count; (row = db_telling(db, db_visible(db), &at)) != NULL;) {
        const struct note *note = row->note == 0 ? NULL : &world->notes[row->note - 1];
        if (note != NULL && note->kind == NOTE_PAUSE && !paused) {
            paused = true;
            int64_t until_ms = (int64_t)view->now_ms + note->wall_ms - wall_ms;
            view->paused_until_ms = until_ms < 0 ? 0 : (uint64_t)until_ms;
        }
        /* the epoch's own row counts when the promotion was not recorded */
        bool counts =
            note != NULL && (note->kind == NOTE_TAKEOVER ||
                             (note->kind == NOTE_EPOCH && !epoch_seen && note->epoch != recorded));
        epoch_seen |= row->kind == ROW_EPOCH;
        if (!counts)
            continue;
        if (recorded == 0)
            recorded = note->epoch;
        uint64_t ago_ms = note->wall_ms < wall_ms ? (uint64_t)(wall_ms - note->wall_ms) : 0;
        if (ago_ms < TAKEOVER_HOUR_MS)
            add_recent(view, ago_ms);
    }
}

static struct takeover_peer
view_peer(const struct world *world, unsigned node, unsigned of)
{
    const struct watch *watch = &world->nodes[node].daemon.watch;
    const struct acquaintance *peer = &watch->peers[of];
    struct takeover_peer view = { .heard = peer->heard,
                                  .heard_ms = peer->heard_ms,
                                  .facts = peer->facts,
                                  .priority = peer->priority,
                                  .able = peer->able };
    if (!view.heard)
        memcpy(view.facts.name, world->nodes[of].name, sizeof view.facts.name);
    if (peer->primary == watch->primary)
        view.sight = peer->sight;
    return view;
}

static void
begin(struct world *world, unsigned node, const struct takeover *takeover)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct promo_order order = { .mode = PROMO_SWITCHOVER,
                                 .takeover = true,
                                 .accept_data_loss = takeover->accept_data_loss,
                                 .connectors_ready = !world->nodes[node].servers_silent };
    daemon->watch.again_ms = host_now_ms(world, node) + AGAIN_MS;
    say(world, WORLD_SAY_WORLD, "%5llu %s takes over by itself: %s", stamp(world),
        world->nodes[node].name, takeover->findings[TAKEOVER_RULE_EVIDENCE].text);
    check_takeover(world, node, daemon->watch.primary, takeover->accept_data_loss);
    (void)daemon_begin(world, node, &order);
}

static void
fill_view(const struct world *world, unsigned node, struct takeover_view *view)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    const struct watch *watch = &daemon->watch;
    struct facts facts = daemon_facts(world, node);
    view->now_ms = host_now_ms(world, node);
    view->settings = world->config.takeover;
    view->settings.priority = world->config.priorities[node];
    view->own = facts_of(world, node, &facts);
    view->database = daemon->node.database;
    view->primary_ms = watch->primary_ms;
    view->streamed_ms = watch->streaming_ms;
    view->lease = &daemon->lease;
    view->connectors_ready = !world->nodes[node].servers_silent;
    view->sight.postgres = watch->postgres;
    if (watch->primary == WORLD_NONE)
        return;
    const struct acquaintance *primary = &watch->peers[watch->primary];
    memcpy(view->primary, world->nodes[watch->primary].name, sizeof view->primary);
    memcpy(view->primary_site, world->nodes[watch->primary].site, sizeof view->primary_site);
    view->sight.https = primary->https;
    view->digest = primary->digest;
    view->digest_ms = primary->digest_ms;
}

void
takeover_look(struct world *world, unsigned node)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct watch *watch = &daemon->watch;
    struct takeover_peer peers[WORLD_NODES_MAX];
    struct quorum_record record = daemon_in_force(world, node);
    struct takeover_view view = { .peers = peers, .record = &record };
    struct takeover takeover;
    if (!world->config.records || !daemon->lease_loaded)
        return;
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node)
            peers[view.peer_count++] = view_peer(world, node, i);
    }
    fill_view(world, node, &view);
    view_notes(world, node, &view);
    takeover_decide(&view, &takeover);
    watch->able = takeover.able;
    if (promo_is_running(&daemon->promo) || daemon->node.state != NODE_STANDBY)
        return;
    if (takeover.decision == TAKEOVER_START && view.now_ms >= watch->again_ms)
        begin(world, node, &takeover);
    else if (takeover.decision == TAKEOVER_WAIT && !watch->suspects)
        look_again(world, node,
                   takeover.until_ms > view.now_ms ? takeover.until_ms - view.now_ms + 1 : 1);
}

/* ------------------------------------------------------------------ upkeep */

/* Whether what a peer says is its last row stands in our log, too; one that we have not yet tells
 * nothing. */
void
takeover_compare(struct world *world, unsigned node)
{
    const struct database *db = &world->nodes[node].db;
    struct watch *watch = watch_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    for (unsigned i = 0; i < world->count; i++) {
        struct acquaintance *peer = &watch->peers[i];
        const struct position *at = &peer->facts.applied;
        bool due = peer->digest != TAKEOVER_DIGEST_SAME ||
                   now_ms - peer->digest_ms >= world->config.takeover.digest_ms / 2;
        if (i == node || !peer->heard || !due || at->revision == 0 || at->revision > db_visible(db))
            continue;
        bool same = db->log.list[at->revision - 1].hash == point_from(world, at).hash;
        peer->digest = same ? TAKEOVER_DIGEST_SAME : TAKEOVER_DIGEST_DIFFERENT;
        peer->digest_ms = now_ms;
    }
}

void
takeover_start(struct world *world, unsigned node)
{
    struct watch *watch = watch_of(world, node);
    watch->primary = WORLD_NONE;
    for (unsigned i = 0; i < world->count; i++)
        watch->peers[i].primary = WORLD_NONE;
}
