/*
 * Carries out what the machines decide, as batond does: each effect starts something that answers
 * later with an event.
 */
#include <string.h>

#include "tests/world/inner.h"

static void
do_own_promo(struct world *world, unsigned node, enum promo_mode mode)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct promo_order order = { .mode = mode, .connectors_ready = true };
    if (promo_is_running(&daemon->promo))
        return;
    if (mode == PROMO_RESUMPTION)
        check_resuming(world, node);
    (void)daemon_begin(world, node, &order);
}

/* ------------------------------------------------------------------ alarms */

static void
on_node_alarm(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (daemon->up && daemon->life == event->life && daemon->node_alarm == event->id)
        daemon_post_node(world, event->node, &(struct node_event){ .kind = NODE_EV_TICK });
}

static void
on_promo_alarm(struct world *world, struct event *event)
{
    struct daemon *daemon = &world->nodes[event->node].daemon;
    if (daemon->up && daemon->life == event->life && daemon->promo_alarm == event->id)
        daemon_post_promo(world, event->node, &(struct promo_event){ .kind = PROMO_EV_TIMEOUT });
}

static void
set_alarm(struct world *world, unsigned node, bool promo, uint64_t at_ms)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    uint32_t *last = promo ? &daemon->promo_alarm : &daemon->node_alarm;
    uint64_t now_ms = host_now_ms(world, node);
    uint64_t after_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    struct event *event =
        queue_timer(world, after_ms, promo ? on_promo_alarm : on_node_alarm, node);
    event->life = daemon->life;
    event->id = ++*last;
}

/* ------------------------------------------------------------------ effects of the node */

void
effect_node(struct world *world, unsigned node, const struct node_effect *effect)
{
    uint64_t epoch = code_from(world, &effect->epoch);
    switch (effect->kind) {
    case NODE_DO_FENCE_DATABASE:
        db_submit(world, node, true, &(struct op){ .kind = OP_FENCE, .job = JOB_NODE });
        break;
    case NODE_DO_FREEZE_DATABASE:
        db_submit(world, node, true, &(struct op){ .kind = OP_FREEZE });
        daemon_look_frozen(world, node);
        break;
    case NODE_DO_THAW_DATABASE:
        db_submit(world, node, true,
                  &(struct op){ .kind = OP_THAW, .message = { .epoch = epoch } });
        break;
    case NODE_DO_WRITES_OPEN:
        client_set_writer(world, node, WRITER_IS_OPEN);
        break;
    case NODE_DO_WRITES_HOLD:
        client_set_writer(world, node, WRITER_IS_HELD);
        break;
    case NODE_DO_WRITES_CLOSE:
        client_set_writer(world, node, WRITER_IS_CLOSED);
        break;
    case NODE_DO_ATTACH:
        job_attach(world, node, world_node(world, effect->node), epoch);
        break;
    case NODE_DO_ATTACH_END:
        world->nodes[node].daemon.attach.active = false;
        break;
    case NODE_DO_DEACTIVATE:
        world->nodes[node].daemon.may_act = false;
        acting_release(world, node, ASKER_NOBODY, NULL);
        break;
    case NODE_DO_RESUME:
        do_own_promo(world, node, PROMO_RESUMPTION);
        break;
    case NODE_DO_RENEW:
        do_own_promo(world, node, PROMO_RENEWAL);
        break;
    case NODE_DO_WANT: {
        /* After a restart it is not known who acted before: the latest that it can have been. */
        struct epoch before = epoch_make(effect->epoch.number - 1, "~");
        lease_want(world, node, &effect->epoch, &before);
        break;
    }
    case NODE_DO_ALARM:
        set_alarm(world, node, false, effect->at_ms);
        break;
    case NODE_DO_COUNT:
        break;
    }
}

/* ------------------------------------------------------------------ effects of the promotion */

static void
ask_member(struct world *world, unsigned node, const char *name, enum call_kind kind,
           uint64_t timeout_ms)
{
    struct message message = { .call = kind,
                               .epoch = code_from(world, &world->nodes[node].daemon.promo.epoch) };
    if (kind == CALL_FOLLOW)
        message.facts = daemon_facts(world, node);
    net_call(world, node, world_node(world, name), timeout_ms, &message);
}

static void
do_capture(struct world *world, unsigned node, const struct promo_effect *effect)
{
    const struct promo *promo = &world->nodes[node].daemon.promo;
    struct op op = { .kind = OP_CAPTURE,
                     .job = JOB_PROMO,
                     .promo = promo->number,
                     .message = { .epoch = code_from(world, &effect->epoch) } };
    if (world_node(world, effect->node) == node)
        db_submit(world, node, true, &op);
    else
        ask_member(world, node, effect->node, CALL_CAPTURE,
                   promo->limits.call_ms + promo->limits.step_ms);
}

static bool
took_over(const struct promo *promo)
{
    return promo->order.takeover && promo->mode == PROMO_FAILOVER;
}

/* Of the epoch's own row in our log; 0: it has none. */
static uint32_t
note_of_epoch(const struct world *world, unsigned node, uint64_t epoch)
{
    const struct database *db = &world->nodes[node].db;
    const struct row *row;
    for (size_t at = db->telling_count; (row = db_telling(db, db_visible(db), &at)) != NULL;) {
        if (row->kind == ROW_EPOCH)
            return row->epoch == epoch ? row->note : 0;
    }
    return 0;
}

static void
do_first_row(struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    struct write write = { .source = WRITE_FIRST,
                           .life = daemon->life,
                           .promo = daemon->promo.number,
                           .epoch = code_from(world, &daemon->promo.epoch) };
    struct note note = { .kind = NOTE_EPOCH,
                         .epoch = write.epoch,
                         .wall_ms = daemon->began_wall_ms };
    if (daemon->promo.degraded)
        write.record = record_add(world, &daemon->promo.record);
    if (world->config.records && daemon->promo.mode == PROMO_RESUMPTION)
        write.note = note_of_epoch(world, node, write.epoch); /* says again what it said */
    else if (world->config.records && took_over(&daemon->promo))
        write.note = note_add(world, &note);
    check_goes_on(world, node);
    client_set_writer(world, node, WRITER_IS_HELD);
    db_write(world, node, &write);
}

/* Whether the promotion had asked for a promise: then only forward (batond: went_beyond). */
static bool
went_beyond(const struct promo *promo)
{
    for (size_t i = 0; i < promo->step_count; i++) {
        if (promo->steps[i].state == PROMO_STATE_CAPTURING ||
            promo->steps[i].state == PROMO_STATE_OPENING)
            return true;
    }
    return false;
}

/* Baton's own failovers are counted by what the log says of them. */
static void
record_promotion(struct world *world, unsigned node)
{
    const struct daemon *daemon = &world->nodes[node].daemon;
    if (!world->config.records || daemon->promo.mode == PROMO_RESUMPTION)
        return;
    struct write write = { .source = WRITE_NOTE, .life = daemon->life };
    uint64_t epoch = code_from(world, &daemon->promo.epoch);
    struct note note = { .kind = NOTE_TAKEOVER, .epoch = epoch, .wall_ms = daemon->began_wall_ms };
    if (took_over(&daemon->promo)) {
        write.note = note_add(world, &note);
        check_took_over(world, daemon->began_ms, epoch);
    }
    db_write(world, node, &write);
}

static void
do_finished(struct world *world, unsigned node)
{
    const struct promo *promo = &world->nodes[node].daemon.promo;
    if (promo->order.dry_run)
        return;
    if (promo->state == PROMO_STATE_DONE) {
        record_promotion(world, node);
        return;
    }
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_FAILED,
                                           .beyond = went_beyond(promo),
                                           .text = promo->failure.text });
}

static void
do_open(struct world *world, unsigned node, const struct promo_effect *effect)
{
    if (!effect->resume)
        world->nodes[node].daemon.gate_ms = 0; /* what is left of an earlier epoch */
    lease_gate_database(world, node);
    db_submit(world, node, true,
              &(struct op){ .kind = effect->resume ? OP_RESUME : OP_OPEN,
                            .job = JOB_PROMO,
                            .promo = world->nodes[node].daemon.promo.number,
                            .loss = !effect->resume && check_opening(world, node),
                            .message = { .epoch = code_from(world, &effect->epoch) } });
}

void
effect_promo(struct world *world, unsigned node, const struct promo_effect *effect)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    const struct promo_limits *limits = &daemon->promo.limits;
    switch (effect->kind) {
    case PROMO_DO_ASK:
        ask_member(world, node, effect->node, CALL_ASK, limits->call_ms);
        break;
    case PROMO_DO_ASK_ARBITER:
    case PROMO_DO_PROMISE:
        note_inquire(world, node, effect);
        break;
    case PROMO_DO_ARM:
        job_arm(world, node, effect->remake);
        break;
    case PROMO_DO_PREPARE:
        ask_member(world, node, effect->node, CALL_PREPARE, limits->prepare_ms);
        break;
    case PROMO_DO_FREEZE:
        ask_member(world, node, effect->node, CALL_FREEZE, limits->freeze_ms);
        break;
    case PROMO_DO_THAW:
        ask_member(world, node, effect->node, CALL_THAW, limits->call_ms);
        break;
    case PROMO_DO_CAPTURE:
        do_capture(world, node, effect);
        break;
    case PROMO_DO_PULL:
        job_pull(world, node, world_node(world, effect->node), effect->position.revision,
                 code_from(world, &daemon->promo.epoch));
        break;
    case PROMO_DO_DETACH:
        break; /* off the path: when the writes open */
    case PROMO_DO_OPEN:
        do_open(world, node, effect);
        break;
    case PROMO_DO_FOLLOW:
        ask_member(world, node, effect->node, CALL_FOLLOW, limits->call_ms);
        break;
    case PROMO_DO_FIRST_ROW:
        do_first_row(world, node);
        break;
    case PROMO_DO_WRITES_OPEN:
        daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_ACKED });
        db_submit(world, node, false, &(struct op){ .kind = OP_DETACH, .peer = WORLD_NONE });
        break;
    case PROMO_DO_RELEASE:
        ask_member(world, node, effect->node, CALL_RELEASE, limits->release_ms);
        break;
    case PROMO_DO_ACTIVATE:
        daemon->may_act = true;
        acting_look(world, node);
        break;
    case PROMO_DO_ALARM:
        set_alarm(world, node, true, effect->at_ms);
        break;
    case PROMO_DO_FINISHED:
        do_finished(world, node);
        break;
    case PROMO_DO_COUNT:
        break;
    }
}

/* ------------------------------------------------------------------ answers of our own database */

bool
effect_is_current(const struct world *world, unsigned node, uint64_t number, uint64_t epoch)
{
    struct epoch asked = code_epoch(world, epoch);
    return promo_awaits(&world->nodes[node].daemon.promo, number, &asked);
}

static void
post_captured(struct world *world, unsigned node, unsigned from, const struct message *answer)
{
    daemon_post_promo(world, node,
                      &(struct promo_event){
                          .kind = PROMO_EV_CAPTURED,
                          .node = world->nodes[from].name,
                          .ok = answer->reply == REPLY_OK,
                          .position = point_position(world, &answer->point),
                          .promised = code_epoch(world, answer->promised),
                          .record = from == node ? daemon_record(world, node) : NULL,
                      });
}

static void
promo_op_done(struct world *world, unsigned node, const struct op *op)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    struct point point = op->message.point;
    bool ok = op->message.reply == REPLY_OK;
    if (op->kind == OP_CAPTURE) { /* whatever has become of the promotion */
        struct epoch promised = code_epoch(world, ok ? op->message.epoch : op->message.promised);
        node_note(&daemon->node, NULL, &promised);
    }
    if (!effect_is_current(world, node, op->promo, op->message.epoch))
        return;
    if (op->kind == OP_CAPTURE) {
        post_captured(world, node, node, &op->message);
        return;
    }
    if (ok) {
        struct epoch opened = code_epoch(world, op->message.epoch);
        struct epoch before = promo_known_before(&daemon->promo);
        lease_want(world, node, &opened, &before);
        daemon_post_node(world, node,
                         &(struct node_event){ .kind = NODE_EV_OPENED,
                                               .epoch = code_epoch(world, op->message.epoch),
                                               .position = point_position(world, &point) });
    }
    daemon_post_promo(
        world, node,
        &(struct promo_event){ .kind = PROMO_EV_OPENED, .ok = ok, .text = op->message.text });
}

static void
frozen(struct world *world, unsigned node, const struct op *op)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    net_reply(world, node, &daemon->frozen_for, op->message.reply, &op->message);
    daemon_post_node(
        world, node,
        &(struct node_event){ .kind = NODE_EV_FROZEN, .ok = op->message.reply == REPLY_OK });
}

static void
fenced(struct world *world, unsigned node, const struct op *op)
{
    enum node_state state = world->nodes[node].daemon.node.state;
    bool ok = op->message.reply == REPLY_OK;
    if (ok && (state == NODE_FENCED || state == NODE_REJOINING || state == NODE_STANDBY))
        lease_close(world, node);
    if (op->job == JOB_NODE) /* else the lease's own, which needs no answer */
        daemon_post_node(
            world, node,
            &(struct node_event){ .kind = NODE_EV_FENCED, .ok = ok, .text = op->message.text });
}

void
effect_op_done(struct world *world, unsigned node, struct op *op)
{
    switch (op->job) {
    case JOB_ARM:
    case JOB_ATTACH:
    case JOB_PREPARE:
    case JOB_PULL:
        job_op_done(world, node, op);
        return;
    case JOB_SLOT:
        serve_op_done(world, node, op);
        return;
    case JOB_SYNC:
        upkeep_op_done(world, node, op);
        return;
    case JOB_PROMO:
        promo_op_done(world, node, op);
        return;
    case JOB_ACTING:
        acting_op_done(world, node, op);
        return;
    case JOB_LEASE:
        return; /* nothing waits for it */
    case JOB_NODE:
    case JOB_NONE:
        break;
    }
    if (op->ticket.open)
        serve_op_done(world, node, op);
    else if (op->kind == OP_START)
        daemon_started(world, node, op);
    else if (op->kind == OP_FENCE)
        fenced(world, node, op);
    else if (op->kind == OP_FREEZE)
        frozen(world, node, op);
    else if (op->kind == OP_THAW)
        daemon_post_node(
            world, node,
            &(struct node_event){ .kind = NODE_EV_REOPENED, .ok = op->message.reply == REPLY_OK });
}

/* ------------------------------------------------------------------ answers of other daemons */

static void
heard(struct world *world, unsigned node, unsigned from, const struct facts *facts)
{
    struct node_facts full = facts_of(world, from, facts);
    if (facts->promised != 0) /* else it does not know itself yet */
        world->nodes[node].daemon.heard |= 1u << from;
    daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_HEARD, .facts = &full });
}

/* As look_at_candidate() of the driver. */
static void
look_at_candidate(struct world *world, unsigned node, const struct call *call,
                  const struct message *answer)
{
    const struct node *us = &world->nodes[node].daemon.node;
    if (us->state != NODE_DRAINING || call->asked_ms < us->since_ms ||
        strcmp(us->freeze_epoch.holder, world->nodes[call->to].name) != 0 ||
        answer->reply == REPLY_REFUSED ||
        (answer->reply == REPLY_OK && answer->facts.state == NODE_CANDIDATE))
        return;
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_THAW, .epoch = us->freeze_epoch });
}

static void
post_answer(struct world *world, unsigned node, const struct call *call,
            const struct message *answer, enum promo_event_kind kind)
{
    struct node_facts facts = facts_of(world, call->to, &answer->facts);
    struct promo_event event = { .kind = kind,
                                 .node = world->nodes[call->to].name,
                                 .ok = answer->reply == REPLY_OK,
                                 .text = answer->text,
                                 .facts = &facts,
                                 .position = point_position(world, &answer->point) };
    if (kind == PROMO_EV_FROZEN || kind == PROMO_EV_THAWED || kind == PROMO_EV_RELEASED)
        event.node = NULL;
    daemon_post_promo(world, node, &event);
}

static void
released(struct world *world, unsigned node, const struct call *call, struct message *answer)
{
    struct epoch acted = code_epoch(world, answer->epoch);
    if (!answer->flag && answer->reply == REPLY_OK)
        answer->reply = REPLY_REFUSED;
    if (answer->reply == REPLY_OK && acted.number != 0)
        lease_proved(world, node, &acted);
    post_answer(world, node, call, answer, PROMO_EV_RELEASED);
}

void
effect_call_done(struct world *world, unsigned node, const struct call *call,
                 struct message *answer)
{
    bool current = effect_is_current(world, node, call->promo, call->epoch);
    switch (call->kind) {
    case CALL_STATE:
        world->nodes[node].daemon.watch.peers[call->to].polling = false;
        if (answer->reply == REPLY_OK)
            heard(world, node, call->to, &answer->facts);
        takeover_heard(world, node, call->to, answer, call->asked_ms);
        look_at_candidate(world, node, call, answer);
        break;
    case CALL_CONFIRM:
        lease_confirmed(world, node, call, answer);
        break;
    case CALL_ASK:
        if (current)
            post_answer(world, node, call, answer, PROMO_EV_ANSWER);
        break;
    case CALL_PREPARE:
        if (current)
            post_answer(world, node, call, answer, PROMO_EV_PREPARED);
        break;
    case CALL_FREEZE:
        if (current)
            post_answer(world, node, call, answer, PROMO_EV_FROZEN);
        break;
    case CALL_THAW:
        if (current)
            post_answer(world, node, call, answer, PROMO_EV_THAWED);
        break;
    case CALL_RELEASE:
        if (current)
            released(world, node, call, answer);
        break;
    case CALL_CAPTURE:
        if (current)
            post_captured(world, node, call->to, answer);
        break;
    case CALL_FOLLOW:
        break; /* a hint: the next look says the same */
    case CALL_MATCH:
    case CALL_SLOT:
    case CALL_ROWS:
        job_call_done(world, node, call, answer);
        break;
    case CALL_WRITE:
        client_passed_on(world, node, call, answer);
        break;
    }
}
