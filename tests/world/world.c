#include "tests/world/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/str.h"
#include "tests/world/inner.h"

/* ------------------------------------------------------------------ epochs, positions, text */

struct epoch
code_epoch(const struct world *world, uint64_t code)
{
    if (code == 0)
        return (struct epoch){ 0 };
    return epoch_make(code / 16, world->nodes[code_holder(code)].name);
}

uint64_t
code_from(const struct world *world, const struct epoch *epoch)
{
    if (epoch->number == 0)
        return 0;
    return code_make(epoch->number, world_node(world, epoch->holder));
}

const char *
code_text(const struct world *world, uint64_t code, char text[EPOCH_TEXT_SIZE])
{
    struct epoch epoch = code_epoch(world, code);
    return epoch_text(&epoch, text);
}

struct position
point_position(const struct world *world, const struct point *point)
{
    struct position position = { .epoch = code_epoch(world, point->epoch),
                                 .revision = point->revision };
    for (unsigned i = 0; point->revision > 0 && i < 16; i++)
        position.hash[i] = "0123456789abcdef"[point->hash >> (60 - 4 * i) & 15];
    return position;
}

static uint64_t
hash_from(const char *text)
{
    uint64_t hash = 0;
    for (; *text != '\0'; text++)
        hash = hash << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return hash;
}

struct point
point_from(const struct world *world, const struct position *position)
{
    return (struct point){ .epoch = code_from(world, &position->epoch),
                           .revision = position->revision,
                           .hash = hash_from(position->hash) };
}

bool
point_before(const struct point *a, const struct point *b)
{
    return a->epoch != b->epoch ? a->epoch < b->epoch : a->revision < b->revision;
}

void
say(struct world *world, enum world_topic topic, const char *format, ...)
{
    char line[512];
    va_list arguments;
    if (world->say == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    world->say(world->say_data, topic, line);
}

uint64_t
some_ms(struct world *world, uint64_t ms)
{
    if (world->config.seed == 0)
        return ms;
    if (ms <= 1)
        return 1 + rng_below(&world->rng, 2);
    /* now and then something takes much longer than usual */
    uint64_t most = rng_chance(&world->rng, 2) ? 8 * ms : ms;
    return 1 + rng_below(&world->rng, most);
}

/* ------------------------------------------------------------------ configuration */

struct world_config
world_config_story(void)
{
    return (struct world_config){
        .k = 1,
        .poll_ms = 1000,
        .timeout_ms = 1000,
        .lease = { .ttl_ms = 5000, .renew_ms = 1000 },
        .takeover = { .within_site = TAKEOVER_AUTOMATIC,
                      .across_sites = TAKEOVER_MANUAL,
                      .delay_ms = 500,
                      .cooldown_ms = 60000,
                      .per_hour_max = 2,
                      .fresh_ms = 3000,
                      .digest_ms = 120000 },
        .hold_ms = 5000,
        .lock_ms = 2000,
        .delay_ms = 2,
        .node_limits = { .fresh_ms = 3000,
                         .retry_ms = 500,
                         .freeze_ms = 5000,
                         .challenge_ms = 6000,
                         .stream_ms = 3000 },
        .promo_limits = { .call_ms = 1000,
                          .prepare_ms = 3000,
                          .freeze_ms = 2000,
                          .drain_ms = 1000,
                          .step_ms = 3000,
                          .release_ms = 2000 },
    };
}

struct world_config
world_config_storm(uint64_t seed)
{
    return (struct world_config){
        .k = 1,
        .seed = seed,
        .poll_ms = 400,
        .timeout_ms = 400,
        .lease = { .ttl_ms = 2000, .renew_ms = 400 },
        .takeover = { .within_site = TAKEOVER_AUTOMATIC,
                      .across_sites = TAKEOVER_AUTOMATIC,
                      .delay_ms = 100,
                      .cooldown_ms = 2000,
                      .per_hour_max = 60,
                      .fresh_ms = 1200,
                      .digest_ms = 8000 },
        .hold_ms = 2000,
        .lock_ms = 400,
        .delay_ms = 8,
        .node_limits = { .fresh_ms = 1200,
                         .retry_ms = 200,
                         .freeze_ms = 1500,
                         .challenge_ms = 2000,
                         .stream_ms = 1200 },
        .promo_limits = { .call_ms = 300,
                          .prepare_ms = 1000,
                          .freeze_ms = 500,
                          .drain_ms = 400,
                          .step_ms = 1000,
                          .release_ms = 500 },
    };
}

/* ------------------------------------------------------------------ making */

static void
add_row(struct world *world, unsigned node, const struct row *row)
{
    struct database *db = &world->nodes[node].db;
    log_add(db, row);
    rows_add(&db->stream, row);
}

/* Epoch 1 was opened on the first node by 'baton init', and its rows are everywhere. */
static void
found_cluster(struct world *world)
{
    struct quorum_record record = { .now = { .k = world->config.k } };
    uint64_t epoch = code_make(1, 0);
    struct err err;
    for (unsigned i = 0; i < world->count; i++) {
        if (world->config.voters == 0 || (world->config.voters & (1u << i)) != 0)
            ASSERT(quorum_add(&record.now, world->nodes[i].name, &err) == ERR_NONE);
    }
    world->wanted = record.now;
    struct row first = { .revision = 1, .epoch = epoch, .kind = ROW_EPOCH };
    first.hash = row_hash(0, &first);
    struct row second = {
        .revision = 2, .epoch = epoch, .kind = ROW_RECORD, .record = record_add(world, &record)
    };
    second.hash = row_hash(first.hash, &second);
    struct row third = { .revision = 3, .epoch = epoch, .kind = ROW_NOTE };
    if (world->config.arbiter_count > 0)
        third.note = note_add(world, &(struct note){ .kind = NOTE_ARBITER });
    third.hash = row_hash(second.hash, &third);
    for (unsigned i = 0; i < world->count; i++) {
        struct database *db = &world->nodes[i].db;
        add_row(world, i, &first);
        add_row(world, i, &second);
        if (third.note != 0)
            add_row(world, i, &third);
        db->promised = epoch;
        db->record = second.record;
        db->names_k = record.now.count < 2 ? 0 : record.now.k;
        db->names_mask = set_mask(world, &record.now) & ~(1u << i);
    }
    world->nodes[0].db.epoch = epoch;
    for (unsigned i = 0; i < world->config.arbiter_count; i++) {
        world->arbiters[i].kind = world->config.arbiters[i];
        host_init(world, WORLD_NODES_MAX + i);
    }
    if (world->config.arbiter_count > 0)
        arbiter_found(world, 0, epoch);
    world->outside.active = WORLD_NONE;
}

static bool
everybody_settled(const struct world *world)
{
    for (unsigned i = 0; i < world->count; i++) {
        if (world_state(world, i) != (i == 0 ? NODE_PRIMARY : NODE_STANDBY))
            return false;
    }
    return true;
}

struct world *
world_new(const struct world_config *config)
{
    struct world *world = mem_zero(1, sizeof *world);
    world->config = *config;
    world->count = config->count;
    for (unsigned i = 0; i < world->count; i++) {
        if (config->priorities[i] == 0)
            world->config.priorities[i] = 50;
    }
    rng_init(&world->rng, config->seed);
    for (unsigned i = 0; i < world->count; i++) {
        ASSERT(i == 0 || strcmp(config->names[i - 1], config->names[i]) < 0);
        ASSERT(str_copy(world->nodes[i].name, NODE_NAME_SIZE, config->names[i]));
        world->nodes[i].schema = 1;
        size_t length = strlen(config->names[i]);
        const char *dash = strrchr(config->names[i], '-');
        memcpy(world->nodes[i].site, config->names[i],
               dash == NULL ? length : (size_t)(dash - config->names[i]));
        world->nodes[i].use_alternate = i % 2 != 0;
        host_init(world, i);
    }
    found_cluster(world);
    for (unsigned i = 0; i < world->count; i++) {
        db_start(world, i);
        daemon_start(world, i);
    }
    if (!config->settled)
        return world;
    while (!everybody_settled(world) && world_step(world))
        ASSERT(world->now_ms < 60000);
    world->began_ms = world->now_ms;
    return world;
}

void
world_free(struct world *world)
{
    if (world == NULL)
        return;
    for (unsigned i = 0; i < world->count; i++) {
        struct database *db = &world->nodes[i].db;
        struct op_queue *queues[] = { &db->control, &db->attach };
        for (size_t q = 0; q < ARRAY_COUNT(queues); q++) {
            for (size_t j = 0; j < queues[q]->count; j++)
                free(queues[q]->ops[(queues[q]->first + j) % WORLD_OPS_MAX].message.rows.list);
        }
        free(db->log.list);
        free(db->telling);
        free(db->stream.list);
        free(db->aside.list);
    }
    for (unsigned i = 0; i < WORLD_HOSTS_MAX; i++)
        host_done(world, i);
    queue_done(world);
    check_done(world);
    arbiters_done(world);
    free(world->records);
    free(world->told);
    free(world->notes);
    free(world->writes);
    free(world);
}

void
world_freep(struct world **holder)
{
    world_free(*holder);
    *holder = NULL;
}

void
world_listen(struct world *world, world_say *listener, void *data)
{
    world->say = listener;
    world->say_data = data;
}

/* ------------------------------------------------------------------ time */

uint64_t
world_now_ms(const struct world *world)
{
    return world->now_ms - world->began_ms;
}

uint64_t
world_next_ms(const struct world *world)
{
    const struct event *first = queue_first(world);
    return first == NULL ? UINT64_MAX : first->at_ms - world->began_ms;
}

bool
world_step(struct world *world)
{
    if (world->violation[0] != '\0')
        return false;
    struct event *event = queue_take(world);
    if (event == NULL)
        return false;
    world->now_ms = event->at_ms;
    if (host_defers(world, event))
        return true;
    world->event_count++;
    if (event->actor == ACTOR_DAEMON && world->nodes[event->node].daemon.up)
        lease_turn(world, event->node);
    event->run(world, event);
    queue_release(world, event);
    return world->violation[0] == '\0';
}

bool
world_run(struct world *world, uint64_t until_ms)
{
    const struct event *first;
    until_ms += world->began_ms;
    while ((first = queue_first(world)) != NULL && first->at_ms <= until_ms) {
        if (!world_step(world))
            return false;
    }
    if (world->now_ms < until_ms)
        world->now_ms = until_ms;
    return true;
}

uint64_t
world_event_count(const struct world *world)
{
    return world->event_count;
}

const char *
world_violation(const struct world *world)
{
    return world->violation[0] == '\0' ? NULL : world->violation;
}

/* ------------------------------------------------------------------ commands */

void
world_servers(struct world *world, unsigned node, bool silent)
{
    world->nodes[node].servers_silent = silent;
}

void
world_outside_cut(struct world *world, unsigned node, bool cut)
{
    world->nodes[node].outside_cut = cut;
}

void
world_use_alternate(struct world *world, unsigned node, bool use)
{
    world->nodes[node].use_alternate = use;
    if (world->nodes[node].daemon.up)
        acting_changed(world, node);
}

bool
world_pause(struct world *world, unsigned node, uint64_t for_ms)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    if (!daemon->up || daemon->stopped || daemon->node.state != NODE_PRIMARY)
        return false;
    struct note note = { .kind = NOTE_PAUSE,
                         .wall_ms = host_wall_ms(world, node) + (int64_t)for_ms };
    say(world, WORLD_SAY_WORLD, "%5llu %s is told that nobody takes over for %llu ms", stamp(world),
        world->nodes[node].name, (unsigned long long)for_ms);
    db_write(world, node,
             &(struct write){
                 .source = WRITE_NOTE, .life = daemon->life, .note = note_add(world, &note) });
    return true;
}

bool
world_promote(struct world *world, unsigned node, const struct world_order *order)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct promo_order full = { .mode = PROMO_SWITCHOVER,
                                .dry_run = order->dry_run,
                                .accept_data_loss = order->accept_data_loss,
                                .overrides = order->overrides,
                                .connectors_ready = !order->connectors_fail };
    if (order->connectors_fail)
        ASSERT(str_copy(full.connectors_text, sizeof full.connectors_text,
                        "a connector server does not answer from here"));
    enum node_state state = daemon->node.state;
    if (!daemon->up || !daemon->node.database || promo_is_running(&daemon->promo) ||
        (state != NODE_STANDBY && state != NODE_FENCED && state != NODE_REJOINING)) {
        say(world, WORLD_SAY_WORLD, "%5llu %s does not take the order", stamp(world),
            world->nodes[node].name);
        return false;
    }
    return daemon_begin(world, node, &full);
}

const char *
part_name(enum world_part parts)
{
    return parts == WORLD_DAEMON ? "daemon" : parts == WORLD_DATABASE ? "database" : "both";
}

void
world_crash(struct world *world, unsigned node, enum world_part parts)
{
    say(world, WORLD_SAY_WORLD, "%5llu %s crashes: %s", stamp(world), world->nodes[node].name,
        part_name(parts));
    if (parts & WORLD_DAEMON)
        daemon_crash(world, node);
    if (parts & WORLD_DATABASE)
        db_crash(world, node);
}

void
world_start(struct world *world, unsigned node, enum world_part parts)
{
    say(world, WORLD_SAY_WORLD, "%5llu %s starts: %s", stamp(world), world->nodes[node].name,
        part_name(parts));
    if (world->hosts[node].down) {
        world_power(world, node, true);
        return;
    }
    if (parts & WORLD_DATABASE)
        db_start(world, node);
    if (parts & WORLD_DAEMON)
        daemon_start(world, node);
}

void
world_upgrade(struct world *world, unsigned node)
{
    ASSERT(!world->nodes[node].daemon.up);
    world->nodes[node].schema++;
    say(world, WORLD_SAY_WORLD, "%5llu %s has schema %u", stamp(world), world->nodes[node].name,
        world->nodes[node].schema);
}

void
world_forget(struct world *world, unsigned node, uint64_t rows)
{
    struct database *db = &world->nodes[node].db;
    ASSERT(!db->up);
    rows = rows < db->log.count ? rows : db->log.count;
    say(world, WORLD_SAY_WORLD, "%5llu %s loses %llu rows", stamp(world), world->nodes[node].name,
        (unsigned long long)rows);
    log_cut(db, db->log.count - (size_t)rows);
    db->stream.count -= (size_t)rows; /* a settled database has written no others */
    db->record = db_record_of(db, db->log.count);
    for (unsigned i = 0; i < world->count; i++) {
        struct slot *slot = &db->slots[i];
        slot->confirmed = slot->confirmed < db->stream.count ? slot->confirmed : db->stream.count;
    }
}

void
world_cut(struct world *world, unsigned from, unsigned to, enum world_line lines)
{
    world->cut[from][to] |= (unsigned)lines;
}

void
world_heal(struct world *world)
{
    memset(world->cut, 0, sizeof world->cut);
    world->loss_percent = 0;
    world->double_percent = 0;
    for (unsigned i = 0; i < world->count; i++) {
        for (unsigned j = 0; j < world->count; j++)
            world->nodes[i].db.subs[j].held = false;
    }
}

void
world_set_loss(struct world *world, unsigned percent)
{
    world->loss_percent = percent;
}

void
world_set_double(struct world *world, unsigned percent)
{
    world->double_percent = percent;
}

void
world_hold_stream(struct world *world, unsigned publisher, unsigned subscriber, bool held)
{
    world->nodes[subscriber].db.subs[publisher].held = held;
}

void
world_lock(struct world *world, unsigned node, bool locked)
{
    world->nodes[node].db.locked = locked;
}

void
world_want(struct world *world, unsigned k, unsigned voters)
{
    world->wanted = (struct quorum_set){ .k = k };
    for (unsigned i = 0; i < world->count; i++) {
        if ((voters & (1u << i)) != 0)
            ASSERT(quorum_add(&world->wanted, world->nodes[i].name, NULL) == ERR_NONE);
    }
}

/* ------------------------------------------------------------------ questions */

unsigned
world_node(const struct world *world, const char *name)
{
    for (unsigned i = 0; i < world->count; i++) {
        if (strcmp(world->nodes[i].name, name) == 0)
            return i;
    }
    return WORLD_NONE;
}

const char *
world_name(const struct world *world, unsigned node)
{
    return world->nodes[node].name;
}

size_t
world_count(const struct world *world)
{
    return world->count;
}

enum node_state
world_state(const struct world *world, unsigned node)
{
    return world->nodes[node].daemon.node.state;
}

enum promo_state
world_promo_state(const struct world *world, unsigned node)
{
    return world->nodes[node].daemon.promo.state;
}

enum lease_state
world_lease_state(const struct world *world, unsigned node)
{
    return world->nodes[node].daemon.lease.state;
}

struct world_counts
world_counts(const struct world *world)
{
    struct world_counts counts = world->counts;
    counts.effects = world->outside.accepted;
    counts.refused = world->outside.refused;
    return counts;
}

unsigned
world_arbiter_in_use(const struct world *world, unsigned node)
{
    return world->nodes[node].daemon.arbiter;
}

bool
world_is_up(const struct world *world, unsigned node, enum world_part part)
{
    return part == WORLD_DAEMON ? world->nodes[node].daemon.up : world->nodes[node].db.up;
}

size_t
world_set_aside(const struct world *world, unsigned node)
{
    return world->nodes[node].db.aside.count;
}

size_t
world_epoch_count(const struct world *world)
{
    return world->opened_count;
}

size_t
world_acknowledged_count(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->write_count; i++)
        count += world->writes[i].acknowledged;
    return count;
}

unsigned
world_primary(const struct world *world)
{
    unsigned primary = WORLD_NONE;
    for (unsigned i = 0; i < world->count; i++) {
        const struct world_node *it = &world->nodes[i];
        if (!it->daemon.up || it->daemon.node.state != NODE_PRIMARY)
            continue;
        if (primary == WORLD_NONE || it->db.epoch > world->nodes[primary].db.epoch)
            primary = i;
    }
    return primary;
}

/* What the outside is to be like: the primary acts, and nobody else. */
static const char *
outside_fault(const struct world *world, unsigned node, unsigned primary)
{
    const struct world_node *it = &world->nodes[node];
    if (!world->config.connectors)
        return NULL;
    if (node == primary && !it->daemon.acting.may_act)
        return "is primary, and may not act";
    if (node == primary && (world->outside.active != node || !it->receiver_active))
        return "is primary, and does not act";
    if (node != primary && it->receiver_active)
        return "acts, and is not primary";
    return acting_is_settled(world, node) ? NULL : "has not ended what it does on the outside";
}

static const char *
lease_fault(const struct world *world, unsigned node, unsigned primary)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    const struct lease *lease = &daemon->lease;
    uint64_t epoch = code_from(world, &daemon->node.own.epoch);
    if (node != primary)
        return lease->state == LEASE_STATE_IDLE || lease->state == LEASE_STATE_NONE
                   ? NULL
                   : "is not primary, and has to do with the lease";
    if (daemon->arbiter == WORLD_NONE)
        return lease->state == LEASE_STATE_NONE ? NULL : "has no arbiter, and a lease";
    if (lease->state != LEASE_STATE_HELD || arbiter_holds(world, daemon->arbiter) != epoch)
        return "is primary, and has not the lease";
    return NULL;
}

static bool
node_rests(const struct world *world, unsigned node, unsigned primary, struct buf *why)
{
    const struct world_node *it = &world->nodes[node];
    const struct database *db = &world->nodes[primary].db;
    struct point head = db_head(db);
    struct point own = db_head(&it->db);
    const char *fault = NULL;
    if (!it->daemon.up || !it->db.up)
        fault = "is down";
    else if (promo_is_running(&it->daemon.promo))
        fault = "runs a promotion";
    else if (node == primary && (!db_writable(world, node) || it->daemon.writer != WRITER_IS_OPEN))
        fault = "is primary, but its database takes no writes";
    else if (node != primary && it->daemon.node.state != NODE_STANDBY)
        fault = node_state_name(it->daemon.node.state);
    else if (node != primary && strcmp(it->daemon.node.following, world->nodes[primary].name) != 0)
        fault = "follows another node";
    else if (node != primary && !it->db.subs[primary].connected)
        fault = "does not receive";
    else if (own.revision != head.revision || own.hash != head.hash || it->db.waiter.active)
        fault = "has another log";
    if (fault == NULL)
        fault = lease_fault(world, node, primary);
    if (fault == NULL)
        fault = outside_fault(world, node, primary);
    if (fault != NULL && why != NULL)
        buf_printf(why, "%s %s (%s; lease %s: %s)", it->name, fault, it->daemon.node.reason,
                   lease_state_name(it->daemon.lease.state), it->daemon.lease.reason);
    return fault == NULL;
}

bool
world_at_rest(struct world *world, struct buf *why)
{
    unsigned primary = world_primary(world);
    if (primary == WORLD_NONE) {
        if (why != NULL)
            buf_add_text(why, "nobody is primary");
        return false;
    }
    for (unsigned i = 0; i < world->count; i++) {
        if (!node_rests(world, i, primary, why))
            return false;
    }
    const struct quorum_record *record = daemon_record(world, primary);
    struct quorum_set wanted = upkeep_wanted(world, primary);
    if (record->joint || !quorum_equal(&record->now, &wanted)) {
        if (why != NULL)
            buf_add_text(why, "the sync set is not as wanted");
        return false;
    }
    if (record->since[0] != '\0' || !check_note_is_back(world, primary)) {
        if (why != NULL)
            buf_add_text(why, "fewer acknowledgements count than were promised");
        return false;
    }
    check_rest(world, primary, why);
    return true;
}

void
world_show(struct world *world, struct buf *into)
{
    char text[3][EPOCH_TEXT_SIZE];
    for (unsigned i = 0; i < world->count; i++) {
        const struct world_node *it = &world->nodes[i];
        const struct database *db = &it->db;
        struct point head = db_head(db);
        buf_printf(into, "      %s %s", it->name,
                   !it->daemon.up ? "(daemon down)" : node_state_name(it->daemon.node.state));
        if (!db->up)
            buf_add_text(into, " (database down)");
        buf_printf(into, " epoch %s promised %s log %s:%llu", code_text(world, db->epoch, text[0]),
                   code_text(world, db->promised, text[1]), code_text(world, head.epoch, text[2]),
                   (unsigned long long)head.revision);
        if (it->daemon.up && it->daemon.node.following[0] != '\0')
            buf_printf(into, " follows %s", it->daemon.node.following);
        if (db->aside.count > 0)
            buf_printf(into, " set aside %zu", db->aside.count);
        if (it->daemon.up && it->daemon.acting.may_act)
            buf_add_text(into, " acts");
        if (world->config.arbiter_count > 0)
            buf_printf(into, " lease %s", lease_state_name(it->daemon.lease.state));
        buf_add_text(into, "\n");
    }
}
