/*
 * Answers to the other daemons (controller/daemon/driver_serve.c).
 */
#include "tests/world/inner.h"

static void
refuse(struct world *world, unsigned node, const struct ticket *ticket, const char *text)
{
    struct ticket copy = *ticket;
    net_reply(world, node, &copy, REPLY_REFUSED, &(struct message){ .text = text });
}

static void
agree(struct world *world, unsigned node, const struct ticket *ticket,
      const struct message *message)
{
    struct ticket copy = *ticket;
    net_reply(world, node, &copy, REPLY_OK, message);
}

static void
serve_state(struct world *world, unsigned node, const struct ticket *ticket)
{
    struct message message = { .facts = daemon_facts(world, node) };
    takeover_tell(world, node, &message.facts);
    agree(world, node, ticket, &message);
}

static void
serve_capture(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
              const struct message *message)
{
    if (code_holder(message->epoch) != from) { /* I1 */
        refuse(world, node, ticket, "only its holder may ask for an epoch");
        return;
    }
    db_submit(world, node, true,
              &(struct op){
                  .kind = OP_CAPTURE, .ticket = *ticket, .message = { .epoch = message->epoch } });
}

static void
captured(struct world *world, unsigned node, struct op *op)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct epoch epoch = code_epoch(world, op->message.epoch);
    bool granted = op->message.reply == REPLY_OK;
    net_reply(world, node, &op->ticket, op->message.reply, &op->message);
    if (!granted)
        return;
    if (promo_is_running(&daemon->promo))
        daemon_post_promo(world, node,
                          &(struct promo_event){ .kind = PROMO_EV_SUPERSEDED, .promised = epoch });
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_CAPTURED,
                                           .epoch = epoch,
                                           .ok = promo_is_running(&daemon->promo) });
}

static void
serve_freeze(struct world *world, unsigned node, const struct ticket *ticket,
             const struct message *message)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct epoch epoch = code_epoch(world, message->epoch);
    enum node_state state = daemon->node.state;
    if (state != NODE_PRIMARY && state != NODE_DRAINING) {
        refuse(world, node, ticket, "not primary");
        return;
    }
    if (state == NODE_DRAINING && !epoch_equal(&daemon->node.freeze_epoch, &epoch)) {
        refuse(world, node, ticket, "frozen for another candidate");
        return;
    }
    net_reply(world, node, &daemon->frozen_for, REPLY_REFUSED, NULL);
    daemon->frozen_for = *ticket;
    daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_FREEZE, .epoch = epoch });
}

static void
serve_thaw(struct world *world, unsigned node, const struct ticket *ticket,
           const struct message *message)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    struct epoch epoch = code_epoch(world, message->epoch);
    if (daemon->node.state == NODE_DRAINING && !epoch_equal(&daemon->node.freeze_epoch, &epoch)) {
        refuse(world, node, ticket, "frozen for another candidate");
        return;
    }
    agree(world, node, ticket, NULL);
    daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_THAW, .epoch = epoch });
}

static void
serve_match(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
            const struct message *message)
{
    const struct database *ours = &world->nodes[node].db;
    const struct database *theirs = &world->nodes[from].db;
    size_t asked = message->revision < theirs->log.count ? message->revision : theirs->log.count;
    size_t common = db_visible(ours) < asked ? db_visible(ours) : asked;
    if (!ours->up) {
        refuse(world, node, ticket, "the database does not answer");
        return;
    }
    while (common > 0 && ours->log.list[common - 1].hash != theirs->log.list[common - 1].hash)
        common--;
    agree(world, node, ticket, &(struct message){ .revision = common });
}

static void
serve_rows(struct world *world, unsigned node, const struct ticket *ticket,
           const struct message *message)
{
    const struct database *db = &world->nodes[node].db;
    struct message answer = { 0 };
    if (!db->up) {
        refuse(world, node, ticket, "the database does not answer");
        return;
    }
    for (size_t i = message->revision; i < db_visible(db) && answer.rows.count < WORLD_PAGE_ROWS;
         i++)
        rows_add(&answer.rows, &db->log.list[i]);
    agree(world, node, ticket, &answer);
}

/* A slot for a member that attaches to us. */
static void
serve_slot(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
           const struct message *message)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    enum node_state state = daemon->node.state;
    if ((state != NODE_PRIMARY && state != NODE_CLOSED) ||
        code_from(world, &daemon->node.own.epoch) != message->epoch) {
        refuse(world, node, ticket, "not primary of this epoch");
        return;
    }
    if (world->nodes[node].db.slots[from].exists) {
        uint64_t head = db_head(&world->nodes[node].db).revision;
        agree(world, node, ticket, &(struct message){ .revision = head });
        return;
    }
    db_submit(world, node, false,
              &(struct op){ .kind = OP_SLOT, .job = JOB_SLOT, .peer = from, .ticket = *ticket });
}

static void
serve_prepare(struct world *world, unsigned node, unsigned from, const struct ticket *ticket)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    enum node_state state = daemon->node.state;
    if (daemon->attach.active || (state != NODE_STANDBY && state != NODE_PRIMARY)) {
        refuse(world, node, ticket, "not settled");
        return;
    }
    if (!node_may_follow(&daemon->node, world->nodes[from].name)) {
        refuse(world, node, ticket, "a newer schema");
        return;
    }
    job_prepare(world, node, from, host_now_ms(world, node) + world->config.promo_limits.prepare_ms,
                ticket);
}

static void
serve_follow(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
             const struct message *message)
{
    struct node_facts facts = facts_of(world, from, &message->facts);
    struct daemon *daemon = &world->nodes[node].daemon;
    struct acquaintance *peer = &daemon->watch.peers[from];
    agree(world, node, ticket, NULL);
    daemon->heard |= 1u << from;
    peer->heard = true;
    peer->heard_ms = host_now_ms(world, node);
    peer->facts = facts;
    daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_HEARD, .facts = &facts });
    takeover_told(world, node, from, message->facts.state);
}

static void
answer_released(struct world *world, unsigned node, struct ticket *ticket, bool ok)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    if (ok)
        check_gave_up(world, node);
    struct message message = { .flag = ok,
                               .epoch = code_from(world, &daemon->lease.memory.cleared) };
    net_reply(world, node, ticket, REPLY_OK, &message);
}

void
serve_released(struct world *world, unsigned node)
{
    answer_released(world, node, &world->nodes[node].daemon.released_for, true);
}

/* Who takes over may act at once when the lease was given back, too; not when we may act again: we
 * were promoted while something was still being given up. */
void
serve_given_up(struct world *world, unsigned node, struct ticket *ticket, bool ok)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (daemon->leased)
        ok = false;
    if (ok)
        lease_stopped(world, node);
    if (!ok || daemon->lease.state != LEASE_STATE_RELEASING || daemon->released_for.open)
        answer_released(world, node, ticket, ok);
    else
        daemon->released_for = *ticket;
}

static void
serve_release(struct world *world, unsigned node, const struct ticket *ticket,
              const struct message *message)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct epoch epoch = code_epoch(world, message->epoch);
    if (!node_is_succeeded(&daemon->node, &epoch)) {
        refuse(world, node, ticket, "still primary");
        return;
    }
    daemon->may_act = false;
    lease_close(world, node);
    acting_release(world, node, ASKER_DEACTIVATE, ticket);
}

void
serve(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
      const struct message *message)
{
    switch (message->call) {
    case CALL_STATE:
        if (message->flag)
            takeover_suspected(world, node, message->facts.primary);
        serve_state(world, node, ticket);
        break;
    case CALL_ASK:
        serve_state(world, node, ticket);
        break;
    case CALL_CONFIRM:
        agree(world, node, ticket,
              &(struct message){ .flag = lease_give_word(world, node, from, message) });
        break;
    case CALL_PREPARE:
        serve_prepare(world, node, from, ticket);
        break;
    case CALL_FREEZE:
        serve_freeze(world, node, ticket, message);
        break;
    case CALL_THAW:
        serve_thaw(world, node, ticket, message);
        break;
    case CALL_CAPTURE:
        serve_capture(world, node, from, ticket, message);
        break;
    case CALL_FOLLOW:
        serve_follow(world, node, from, ticket, message);
        break;
    case CALL_RELEASE:
        serve_release(world, node, ticket, message);
        break;
    case CALL_MATCH:
        serve_match(world, node, from, ticket, message);
        break;
    case CALL_SLOT:
        serve_slot(world, node, from, ticket, message);
        break;
    case CALL_ROWS:
        serve_rows(world, node, ticket, message);
        break;
    case CALL_WRITE: {
        struct write write = message->write;
        write.ticket = *ticket;
        client_ask(world, node, &write);
        break;
    }
    }
}

void
serve_op_done(struct world *world, unsigned node, struct op *op)
{
    if (op->kind == OP_CAPTURE) {
        captured(world, node, op);
        return;
    }
    op->message.revision = op->message.point.revision;
    op->message.rows = (struct row_list){ 0 };
    net_reply(world, node, &op->ticket, op->message.reply, &op->message);
}
