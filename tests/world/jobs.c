/*
 * What takes several steps (replication/repl_*.c): arm, attach, prepare, pull. A later job of the
 * same kind takes the place of an earlier one, whose answers are then dropped.
 */
#include <string.h>

#include "tests/world/inner.h"

#define CALL_MS        1000
#define STREAM_POLL_MS 25
#define STREAM_MS      2000 /* until a subscription receives */

static struct daemon *
daemon_of(struct world *world, unsigned node)
{
    return &world->nodes[node].daemon;
}

static void
ask(struct world *world, unsigned node, unsigned to, enum call_kind kind, uint32_t serial,
    uint64_t epoch, uint64_t revision)
{
    struct message message = {
        .call = kind, .serial = serial, .epoch = epoch, .revision = revision
    };
    net_call(world, node, to, CALL_MS, &message);
}

static void
do_op(struct world *world, unsigned node, enum job job, enum op_kind kind, uint32_t serial,
      unsigned peer)
{
    db_submit(
        world, node, false,
        &(struct op){ .kind = kind, .job = job, .peer = peer, .message = { .serial = serial } });
}

/* What only this node has goes aside before anything of an epoch's primary is taken (I8). */
static void
set_aside(struct world *world, unsigned node, enum job job, uint32_t serial, uint64_t epoch,
          uint64_t common)
{
    struct op op = { .kind = OP_SETASIDE,
                     .job = job,
                     .message = { .serial = serial, .epoch = epoch, .revision = common } };
    db_submit(world, node, false, &op);
}

/* Where our log and that of 'to' part, by the points of ours that it has now (local.points()): the
 * answer says nothing of what becomes visible before it comes. */
static void
ask_match(struct world *world, unsigned node, unsigned to, uint32_t serial, uint64_t epoch,
          struct point *ret_compared)
{
    *ret_compared = db_head(&world->nodes[node].db);
    ask(world, node, to, CALL_MATCH, serial, epoch, ret_compared->revision);
}

/* ------------------------------------------------------------------ arm: slots, then names */

static void
arm_next(struct world *world, unsigned node)
{
    struct arm *arm = &daemon_of(world, node)->arm;
    struct op op = { .job = JOB_ARM, .message = { .serial = arm->serial } };
    if (arm->at == node)
        arm->at++;
    if (arm->at < world->count) {
        op.kind = OP_SLOT;
        op.peer = arm->at++;
        op.remake = arm->remake;
    } else {
        const struct quorum_set *set = &arm->set;
        op.kind = OP_NAMES;
        op.names_k = set->count < 2 ? 0 : set->k;
        op.names_mask = set_mask(world, set) & ~(1u << node);
    }
    db_submit(world, node, false, &op);
}

void
job_arm(struct world *world, unsigned node, bool remake)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->arm = (struct arm){ .active = true,
                                .serial = ++daemon->serial_last,
                                .remake = remake,
                                .set = daemon->promo.armed_for };
    daemon->acked = 0;
    arm_next(world, node);
}

static void
arm_done(struct world *world, unsigned node, const struct op *op)
{
    struct arm *arm = &daemon_of(world, node)->arm;
    if (!arm->active || arm->serial != op->message.serial)
        return;
    if (op->message.reply == REPLY_OK && op->kind != OP_NAMES) {
        arm_next(world, node);
        return;
    }
    arm->active = false;
    daemon_post_promo(world, node,
                      &(struct promo_event){ .kind = PROMO_EV_ARMED,
                                             .ok = op->message.reply == REPLY_OK,
                                             .text = op->message.text });
}

/* ------------------------------------------------------------------ attach */

static bool
is_primary_fault(const char *fault)
{
    return strcmp(fault, gate_name(GATE_PRIMARY)) == 0;
}

static void
attach_end(struct world *world, unsigned node, const char *fault)
{
    struct daemon *daemon = daemon_of(world, node);
    struct point head = db_head(&world->nodes[node].db);
    daemon->attach.active = false;
    if (fault == NULL) {
        daemon->streaming = true;
        daemon->watch.streaming_ms = host_now_ms(world, node);
    }
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_ATTACHED,
                                           .ok = fault == NULL,
                                           .position = point_position(world, &head),
                                           .is_primary = fault != NULL && is_primary_fault(fault),
                                           .text = fault });
}

/* The machine has waited for the fence of its own. batond waits for one of the lease as well, which
 * nothing rests on. */
void
job_attach(struct world *world, unsigned node, unsigned primary, uint64_t epoch)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->attach = (struct attach){
        .active = true, .serial = ++daemon->serial_last, .primary = primary, .epoch = epoch
    };
    if (daemon->writer != WRITER_IS_CLOSED)
        client_set_writer(world, node, WRITER_IS_CLOSED);
    do_op(world, node, JOB_ATTACH, OP_DETACH, daemon->attach.serial, primary);
}

static void
attach_pull(struct world *world, unsigned node)
{
    struct attach *attach = &daemon_of(world, node)->attach;
    uint64_t applied = db_head(&world->nodes[node].db).revision;
    if (applied < attach->head)
        ask(world, node, attach->primary, CALL_ROWS, attach->serial, attach->epoch, applied);
    else
        do_op(world, node, JOB_ATTACH, OP_SUBSCRIBE, attach->serial, attach->primary);
}

static void
on_stream_poll(struct world *world, struct event *event)
{
    struct daemon *daemon = daemon_of(world, event->node);
    struct attach *attach = &daemon->attach;
    if (!daemon->up || daemon->life != event->life || !attach->active ||
        attach->serial != event->id)
        return;
    if (world->nodes[event->node].db.subs[attach->primary].connected) {
        attach_end(world, event->node, NULL);
        return;
    }
    attach->waited_ms += STREAM_POLL_MS;
    if (attach->waited_ms >= STREAM_MS) {
        attach_end(world, event->node, "the subscription does not receive");
        return;
    }
    struct event *again = queue_timer(world, STREAM_POLL_MS, on_stream_poll, event->node);
    again->life = event->life;
    again->id = event->id;
}

static void
attach_op_done(struct world *world, unsigned node, struct op *op)
{
    struct daemon *daemon = daemon_of(world, node);
    struct attach *attach = &daemon->attach;
    if (!attach->active || attach->serial != op->message.serial)
        return;
    if (op->message.reply != REPLY_OK) {
        attach_end(world, node, op->message.text);
        return;
    }
    if (op->kind == OP_DETACH) {
        ask_match(world, node, attach->primary, attach->serial, attach->epoch, &attach->compared);
    } else if (op->kind == OP_DETACH_OWN) {
        set_aside(world, node, JOB_ATTACH, attach->serial, attach->epoch, attach->low);
    } else if (op->kind == OP_SETASIDE) {
        do_op(world, node, JOB_ATTACH, OP_DROP_SLOTS, attach->serial, 0);
    } else if (op->kind == OP_DROP_SLOTS) {
        ask(world, node, attach->primary, CALL_SLOT, attach->serial, attach->epoch, 0);
    } else if (op->kind == OP_CATCHUP) {
        attach_pull(world, node);
    } else {
        ASSERT(op->kind == OP_SUBSCRIBE);
        struct event *event = queue_timer(world, 1, on_stream_poll, node);
        event->life = daemon->life;
        event->id = attach->serial;
    }
}

/* Rows that came: into our database, for the epoch on whose behalf they were asked. */
static void
take_rows(struct world *world, unsigned node, enum job job, uint32_t serial, uint64_t epoch,
          struct message *answer)
{
    struct op op = { .kind = OP_CATCHUP,
                     .job = job,
                     .message = { .serial = serial, .epoch = epoch, .rows = answer->rows } };
    answer->rows = (struct row_list){ 0 };
    db_submit(world, node, false, &op);
}

static void
attach_call_done(struct world *world, unsigned node, const struct call *call,
                 struct message *answer)
{
    struct attach *attach = &daemon_of(world, node)->attach;
    if (answer->reply != REPLY_OK) {
        attach_end(world, node, answer->text);
        return;
    }
    if (call->kind == CALL_MATCH) {
        /* Rows of its own epoch came from the primary, even those that it does not see yet itself
         * because their COMMIT still waits: they are no fork (I2). */
        const struct point *head = &attach->compared;
        attach->low = head->epoch == attach->epoch ? head->revision : answer->revision;
        if (attach->low < head->revision)
            do_op(world, node, JOB_ATTACH, OP_DETACH_OWN, attach->serial, attach->primary);
        else
            ask(world, node, attach->primary, CALL_SLOT, attach->serial, attach->epoch, 0);
    } else if (call->kind == CALL_SLOT) {
        attach->head = answer->revision;
        attach_pull(world, node);
    } else if (answer->rows.count == 0) {
        attach_end(world, node, "the primary has no more rows");
    } else {
        take_rows(world, node, JOB_ATTACH, attach->serial, attach->epoch, answer);
    }
}

/* ------------------------------------------------------------------ prepare */

static void
prepare_end(struct world *world, unsigned node, enum reply reply)
{
    struct prepare *prepare = &daemon_of(world, node)->prepare;
    prepare->active = false;
    net_reply(world, node, &prepare->ticket, reply, NULL);
}

static void
on_prepare_poll(struct world *world, struct event *event)
{
    struct daemon *daemon = daemon_of(world, event->node);
    struct prepare *prepare = &daemon->prepare;
    if (!daemon->up || daemon->life != event->life || !prepare->active ||
        prepare->serial != event->id)
        return;
    if (world->nodes[event->node].db.subs[prepare->candidate].connected) {
        prepare_end(world, event->node, REPLY_OK);
        return;
    }
    if (host_now_ms(world, event->node) >= prepare->until_ms) {
        prepare_end(world, event->node, REPLY_REFUSED);
        return;
    }
    struct event *again = queue_timer(world, STREAM_POLL_MS, on_prepare_poll, event->node);
    again->life = event->life;
    again->id = event->id;
}

void
job_prepare(struct world *world, unsigned node, unsigned candidate, uint64_t until_ms,
            const struct ticket *ticket)
{
    struct daemon *daemon = daemon_of(world, node);
    if (daemon->prepare.active)
        prepare_end(world, node, REPLY_REFUSED);
    daemon->prepare = (struct prepare){ .active = true,
                                        .serial = ++daemon->serial_last,
                                        .candidate = candidate,
                                        .until_ms = until_ms,
                                        .ticket = *ticket };
    do_op(world, node, JOB_PREPARE, OP_DETACH_OWN, daemon->prepare.serial, candidate);
}

static void
prepare_op_done(struct world *world, unsigned node, const struct op *op)
{
    struct daemon *daemon = daemon_of(world, node);
    struct prepare *prepare = &daemon->prepare;
    if (!prepare->active || prepare->serial != op->message.serial)
        return;
    if (op->message.reply != REPLY_OK) {
        prepare_end(world, node, REPLY_REFUSED);
    } else if (op->kind == OP_DETACH_OWN) {
        do_op(world, node, JOB_PREPARE, OP_SUBSCRIBE, prepare->serial, prepare->candidate);
    } else {
        struct event *event = queue_timer(world, 1, on_prepare_poll, node);
        event->life = daemon->life;
        event->id = prepare->serial;
    }
}

/* ------------------------------------------------------------------ pull, for a promotion */

static void
pull_end(struct world *world, unsigned node, const char *fault)
{
    struct daemon *daemon = daemon_of(world, node);
    struct point head = db_head(&world->nodes[node].db);
    daemon->pull.active = false;
    if (!promo_is_running(&daemon->promo) ||
        code_from(world, &daemon->promo.epoch) != daemon->pull.epoch)
        return;
    daemon_post_promo(world, node,
                      &(struct promo_event){ .kind = PROMO_EV_PULLED,
                                             .ok = fault == NULL,
                                             .text = fault,
                                             .position = point_position(world, &head),
                                             .record = daemon_record(world, node) });
}

static void
pull_next(struct world *world, unsigned node)
{
    struct pull *pull = &daemon_of(world, node)->pull;
    uint64_t applied = db_head(&world->nodes[node].db).revision;
    if (applied < pull->until)
        ask(world, node, pull->member, CALL_ROWS, pull->serial, pull->epoch, applied);
    else
        pull_end(world, node, NULL);
}

void
job_pull(struct world *world, unsigned node, unsigned member, uint64_t until, uint64_t epoch)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->pull = (struct pull){ .active = true,
                                  .serial = ++daemon->serial_last,
                                  .member = member,
                                  .until = until,
                                  .epoch = epoch,
                                  .arbiter_changes = check_arbiter_changes(world, node) };
    /* A row that we pull must not come again from somebody who counts it as acknowledged. */
    do_op(world, node, JOB_PULL, OP_DETACH, daemon->pull.serial, WORLD_NONE);
}

static void
pull_op_done(struct world *world, unsigned node, const struct op *op)
{
    struct pull *pull = &daemon_of(world, node)->pull;
    if (!pull->active || pull->serial != op->message.serial)
        return;
    if (op->message.reply != REPLY_OK)
        pull_end(world, node, op->message.text);
    else if (op->kind == OP_DETACH)
        ask_match(world, node, pull->member, pull->serial, pull->epoch, &pull->compared);
    else if (op->kind == OP_SETASIDE)
        do_op(world, node, JOB_PULL, OP_DROP_SLOTS, pull->serial, 0);
    else
        pull_next(world, node);
}

static void
pull_call_done(struct world *world, unsigned node, const struct call *call, struct message *answer)
{
    struct pull *pull = &daemon_of(world, node)->pull;
    if (answer->reply != REPLY_OK)
        pull_end(world, node, answer->text);
    else if (call->kind == CALL_ROWS && answer->rows.count == 0)
        pull_end(world, node, "the member has no more rows");
    else if (call->kind == CALL_ROWS)
        take_rows(world, node, JOB_PULL, pull->serial, pull->epoch, answer);
    else if (answer->revision < pull->compared.revision)
        set_aside(world, node, JOB_PULL, pull->serial, pull->epoch, answer->revision);
    else
        pull_next(world, node);
}

/* ------------------------------------------------------------------ answers */

void
job_op_done(struct world *world, unsigned node, struct op *op)
{
    switch (op->job) {
    case JOB_ARM:
        arm_done(world, node, op);
        break;
    case JOB_ATTACH:
        attach_op_done(world, node, op);
        break;
    case JOB_PREPARE:
        prepare_op_done(world, node, op);
        break;
    case JOB_PULL:
        pull_op_done(world, node, op);
        break;
    case JOB_NONE:
    case JOB_NODE:
    case JOB_SLOT:
    case JOB_SYNC:
    case JOB_PROMO:
    case JOB_LEASE:
    case JOB_ACTING:
        break;
    }
}

void
job_call_done(struct world *world, unsigned node, const struct call *call, struct message *answer)
{
    const struct daemon *daemon = daemon_of(world, node);
    if (daemon->attach.active && daemon->attach.serial == call->serial)
        attach_call_done(world, node, call, answer);
    else if (daemon->pull.active && daemon->pull.serial == call->serial)
        pull_call_done(world, node, call, answer);
}
