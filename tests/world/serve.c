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
    if (world->nodes[node].daemon.node.database)
        agree(world, node, ticket, &message);
    else
        refuse(world, node, ticket, "the database does not answer");
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
    bool newly = op->message.flag;
    net_reply(world, node, &op->ticket, op->message.reply, &op->message);
    if (!granted || !newly)
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
serve_match(struct world *world, unsigned node, unsigned from, const struct ticket *ticket)
{
    const struct database *ours = &world->nodes[node].db;
    const struct database *theirs = &world->nodes[from].db;
    size_t common = db_visible(ours) < db_visible(theirs) ? db_visible(ours) : db_visible(theirs);
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
    job_prepare(world, node, from, world->now_ms + world->config.promo_limits.prepare_ms, ticket);
}

static void
serve_follow(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
             const struct message *message)
{
    struct node_facts facts = facts_of(world, from, &message->facts);
    agree(world, node, ticket, NULL);
    world->nodes[node].daemon.heard |= 1u << from;
    daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_HEARD, .facts = &facts });
}

static void
serve_release(struct world *world, unsigned node, const struct ticket *ticket,
              const struct message *message)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (daemon->node.state == NODE_PRIMARY &&
        message->epoch <= code_from(world, &daemon->node.own.epoch)) {
        refuse(world, node, ticket, "still primary");
        return;
    }
    daemon->may_act = false;
    agree(world, node, ticket, NULL);
}

void
serve(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
      const struct message *message)
{
    switch (message->call) {
    case CALL_STATE:
    case CALL_ASK:
        serve_state(world, node, ticket);
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
        serve_match(world, node, from, ticket);
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
