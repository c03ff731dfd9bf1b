/*
 * Writes: a client asks any daemon, which writes, holds, passes on or refuses; or it writes into a
 * database itself. What the client hears must be true: refused is surely not done.
 */
#include "tests/world/inner.h"

static struct daemon *
daemon_of(struct world *world, unsigned node)
{
    return &world->nodes[node].daemon;
}

static const char *
outcome_name(enum outcome outcome)
{
    static const char *const names[] = { "waiting", "acknowledged", "unknown", "refused" };
    return names[outcome];
}

const char *
world_write_outcome(const struct world *world, uint64_t write)
{
    return outcome_name(world->writes[write - 1].outcome);
}

/* What the client hears. */
void
client_end(struct world *world, const struct write *write, enum outcome outcome)
{
    if (write->number == 0)
        return;
    struct client_write *client = &world->writes[write->number - 1];
    if (client->outcome != OUTCOME_WAITING)
        return;
    client->outcome = outcome;
    if (outcome == OUTCOME_ACKNOWLEDGED && !client->acknowledged)
        check_fail(world, "I4: write %llu was told acknowledged, and no COMMIT said so",
                   (unsigned long long)write->number);
    say(world, WORLD_SAY_WRITE, "%5llu write %llu: %s", stamp(world),
        (unsigned long long)write->number, outcome_name(outcome));
}

static void
tell(struct world *world, unsigned node, const struct write *write, enum outcome outcome)
{
    struct ticket ticket = write->ticket;
    enum reply reply = outcome == OUTCOME_ACKNOWLEDGED ? REPLY_OK
                       : outcome == OUTCOME_REFUSED    ? REPLY_REFUSED
                                                       : REPLY_TIMEOUT;
    if (ticket.open)
        net_reply(world, node, &ticket, reply, NULL);
    else
        client_end(world, write, outcome);
}

/* ------------------------------------------------------------------ the daemon's half */

static void
pass_on(struct world *world, unsigned node, const struct write *write)
{
    struct daemon *daemon = daemon_of(world, node);
    const struct node_peer *primary = node_find_primary(&daemon->node, host_now_ms(world, node));
    if (primary == NULL || write->ticket.open) {
        tell(world, node, write, OUTCOME_REFUSED);
        return;
    }
    struct message message = { .call = CALL_WRITE, .write = *write };
    net_call(world, node, world_node(world, primary->name), world->config.hold_ms, &message);
}

void
client_ask(struct world *world, unsigned node, const struct write *write)
{
    struct daemon *daemon = daemon_of(world, node);
    struct write copy = *write;
    copy.life = daemon->life;
    copy.source = WRITE_CLIENT;
    switch (daemon->writer) {
    case WRITER_IS_OPEN:
        db_write(world, node, &copy);
        break;
    case WRITER_IS_HELD:
        copy.deadline_ms = host_now_ms(world, node) + world->config.hold_ms;
        if (daemon->held_count < WORLD_WRITES_MAX)
            daemon->held[daemon->held_count++] = copy;
        else
            tell(world, node, &copy, OUTCOME_REFUSED);
        break;
    case WRITER_IS_CLOSED:
        pass_on(world, node, &copy);
        break;
    }
}

void
client_set_writer(struct world *world, unsigned node, enum writer_mode mode)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->writer = mode;
    if (mode == WRITER_IS_HELD)
        return;
    struct write held[WORLD_WRITES_MAX];
    size_t count = daemon->held_count;
    for (size_t i = 0; i < count; i++)
        held[i] = daemon->held[i];
    daemon->held_count = 0;
    for (size_t i = 0; i < count; i++)
        client_ask(world, node, &held[i]);
}

void
client_tick(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    size_t kept = 0;
    for (size_t i = 0; i < daemon->held_count; i++) {
        if (daemon->held[i].deadline_ms > now_ms)
            daemon->held[kept++] = daemon->held[i];
        else
            tell(world, node, &daemon->held[i], OUTCOME_REFUSED);
    }
    daemon->held_count = kept;
}

static void
own_row_done(struct world *world, unsigned node, const struct write *write, enum outcome outcome,
             uint64_t revision)
{
    struct daemon *daemon = daemon_of(world, node);
    if (!daemon->up || daemon->life != write->life)
        return;
    if (outcome == OUTCOME_ACKNOWLEDGED && revision > daemon->acked)
        daemon->acked = revision;
    if (write->source == WRITE_RECORD) {
        daemon->set_writing = false;
        return;
    }
    if (write->source == WRITE_NOTE) {
        if (write->changes_arbiter)
            lease_choice_written(world, node);
        return;
    }
    if (effect_is_current(world, node, write->promo, write->epoch))
        daemon_post_promo(
            world, node,
            &(struct promo_event){ .kind = PROMO_EV_ACKNOWLEDGED,
                                   .ok = outcome == OUTCOME_ACKNOWLEDGED,
                                   .fenced = write->fenced && daemon->node.state == NODE_CLOSED,
                                   .text = outcome_name(outcome) });
}

static void
on_own_row(struct world *world, struct event *event)
{
    own_row_done(world, event->node, &event->message.write, (enum outcome)event->id,
                 event->message.revision);
}

/* The database says what became of a write. */
void
client_write_done(struct world *world, unsigned node, const struct write *write,
                  enum outcome outcome, uint64_t revision)
{
    struct daemon *daemon = daemon_of(world, node);
    if (write->number != 0 && outcome == OUTCOME_ACKNOWLEDGED)
        world->writes[write->number - 1].acknowledged = true;
    switch (write->source) {
    case WRITE_DIRECT:
        client_end(world, write, outcome);
        break;
    case WRITE_CLIENT:
        if (daemon->up && daemon->life == write->life) {
            if (outcome == OUTCOME_ACKNOWLEDGED && revision > daemon->acked)
                daemon->acked = revision;
            tell(world, node, write, outcome);
        }
        break;
    case WRITE_FIRST:
    case WRITE_NOTE:
    case WRITE_RECORD: {
        struct event *event = queue_daemon(world, 0, on_own_row, node);
        event->id = (uint32_t)outcome;
        event->message.write = *write;
        event->message.revision = revision;
        break;
    }
    }
}

/* The daemon that we passed a write on to has answered, or not. */
void
client_passed_on(struct world *world, unsigned node, const struct call *call,
                 const struct message *answer)
{
    enum outcome outcome = answer->reply == REPLY_OK        ? OUTCOME_ACKNOWLEDGED
                           : answer->reply == REPLY_TIMEOUT ? OUTCOME_UNKNOWN
                                                            : OUTCOME_REFUSED;
    tell(world, node, &call->write, outcome);
}

/* Its clients lose their connection: they cannot know. */
void
client_daemon_gone(struct world *world, unsigned node)
{
    uint32_t life = daemon_of(world, node)->life;
    for (size_t i = 0; i < world->write_count; i++) {
        struct client_write *client = &world->writes[i];
        if (client->outcome == OUTCOME_WAITING && !client->direct && client->entry == node &&
            client->life == life)
            client_end(world, &(struct write){ .number = i + 1 }, OUTCOME_UNKNOWN);
    }
}

/* ------------------------------------------------------------------ the client's half */

static void
on_ask(struct world *world, struct event *event)
{
    unsigned node = event->node;
    struct client_write *client = &world->writes[event->message.write.number - 1];
    if (client->outcome != OUTCOME_WAITING)
        return;
    if (client->direct) {
        db_write(world, node, &event->message.write);
        return;
    }
    if (!daemon_of(world, node)->up) {
        client_end(world, &event->message.write, OUTCOME_REFUSED);
        return;
    }
    client->life = daemon_of(world, node)->life;
    client_ask(world, node, &event->message.write);
}

uint64_t
world_write(struct world *world, unsigned node, bool direct)
{
    if (world->write_count == world->write_capacity) {
        world->write_capacity = world->write_capacity == 0 ? 64 : world->write_capacity * 2;
        world->writes = mem_grow(world->writes, world->write_capacity, sizeof *world->writes);
    }
    uint64_t number = world->write_count + 1;
    world->writes[world->write_count++] = (struct client_write){ .entry = node, .direct = direct };
    struct event *event = queue_add(world, some_ms(world, world->config.delay_ms), on_ask, node);
    event->actor = direct ? ACTOR_DATABASE : ACTOR_DAEMON;
    event->message.write =
        (struct write){ .number = number, .source = direct ? WRITE_DIRECT : WRITE_CLIENT };
    return number;
}
