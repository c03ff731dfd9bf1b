/*
 * The lease of one daemon (controller/daemon/driver_lease.c, driver_arbiter.c): carries out what
 * sites/lease decides, and tells it what happens here.
 */
#include <string.h>

#include "tests/world/inner.h"

#define GIVE_UP_AGAIN_MS 1000
#define CHANGE_CREATE_MS 5000

static struct daemon *
daemon_of(struct world *world, unsigned node)
{
    return &world->nodes[node].daemon;
}

static void post(struct world *world, unsigned node, const struct lease_event *from);

/* ------------------------------------------------------------------ questions */

static void
ask_arbiter(struct world *world, unsigned node, const struct lease_effect *effect)
{
    struct daemon *daemon = daemon_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    daemon->questions[QUESTION_LEASE].id = 0; /* of before: nobody waits for it any more */
    if (daemon->arbiter == WORLD_NONE)
        return;
    struct wire wire = { .op = (enum wire_op)effect->op,
                         .epoch = code_from(world, &effect->epoch),
                         .known = code_from(world, &effect->memory.seen),
                         .lease_ms = effect->lease_ms,
                         .grant = effect->grant };
    arbiter_ask(world, node, QUESTION_LEASE, effect->serial, daemon->arbiter, &wire,
                effect->at_ms > now_ms ? effect->at_ms - now_ms : 1);
}

static void change_answered(struct world *world, unsigned node, const struct wire *wire);

void
lease_answered(struct world *world, unsigned node, unsigned which, const struct question *question,
               const struct wire *wire)
{
    if (which == QUESTION_CHANGE) {
        change_answered(world, node, wire);
        return;
    }
    note_heard(world, node, question, wire);
    if (which != QUESTION_LEASE) {
        note_answered(world, node, which, wire);
        return;
    }
    struct lease_reply reply = {
        .result = wire->result,
        .serial = question->serial,
        .sent_ms = question->sent_ms,
        .known = wire->has_record && wire->result != LEASE_RESULT_EMPTY &&
                 wire->result != LEASE_RESULT_UNCLEAR,
        .record = { .epoch = code_epoch(world, wire->record_epoch),
                    .lease_ms = wire->record_lease_ms,
                    .remaining_ms = wire->remaining_ms,
                    .released = wire->released,
                    .clean = wire->clean,
                    .grant = wire->record_grant },
        .text = "the arbiter did not answer in time",
    };
    post(world, node, &(struct lease_event){ .kind = LEASE_EV_REPLY, .reply = &reply });
}

static void
ask_members(struct world *world, unsigned node, const struct lease_effect *effect)
{
    struct message message = { .call = CALL_CONFIRM,
                               .epoch = code_from(world, &effect->epoch),
                               .revision = effect->lease_ms };
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node)
            net_call(world, node, i, daemon_of(world, node)->lease.config.renew_ms, &message);
    }
}

/* No answer is neither yes nor no. */
void
lease_confirmed(struct world *world, unsigned node, const struct call *call,
                const struct message *answer)
{
    if (answer->reply != REPLY_OK)
        return;
    post(world, node,
         &(struct lease_event){ .kind = LEASE_EV_CONFIRM,
                                .epoch = code_epoch(world, call->epoch),
                                .node = world->nodes[call->to].name,
                                .asked_ms = call->asked_ms,
                                .ok = answer->flag });
}

/* Asked by 'from', who wants to act because all members follow it. Our word is given before it is
 * sent. */
bool
lease_give_word(struct world *world, unsigned node, unsigned from, const struct message *message)
{
    struct facts facts = daemon_facts(world, node);
    if (facts.promised != message->epoch || facts.state != NODE_STANDBY ||
        facts.following != from || facts.acts)
        return false;
    post(world, node,
         &(struct lease_event){ .kind = LEASE_EV_WORD,
                                .epoch = code_epoch(world, message->epoch),
                                .lease_ms = message->revision });
    return true;
}

/* ------------------------------------------------------------------ our own effects */

void
lease_gate_database(struct world *world, unsigned node)
{
    const struct daemon *daemon = daemon_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    struct op op = { .kind = OP_GATE, .job = JOB_LEASE };
    if (world->config.arbiter_count == 0)
        return;
    op.message.flag = daemon->gate_ms != 0;
    op.message.revision = daemon->gate_ms > now_ms ? daemon->gate_ms - now_ms : 0;
    db_submit(world, node, true, &op);
}

static void
on_give_up_again(struct world *world, struct event *event)
{
    struct daemon *daemon = daemon_of(world, event->node);
    if (!daemon->up || daemon->life != event->life || daemon->give_up != event->id)
        return;
    bool waited_for =
        daemon->lease.state == LEASE_STATE_LOST || daemon->lease.state == LEASE_STATE_RELEASING;
    if (waited_for && !daemon->lease.stopped)
        acting_release(world, event->node, ASKER_LEASE, NULL);
}

/* What acting_release() came to, for the lease. */
void
lease_given_up(struct world *world, unsigned node, bool ok)
{
    struct daemon *daemon = daemon_of(world, node);
    if (ok && !daemon->leased) {
        lease_stopped(world, node);
        return;
    }
    struct event *event = queue_timer(world, GIVE_UP_AGAIN_MS, on_give_up_again, node);
    event->life = daemon->life;
    event->id = ++daemon->give_up;
}

static void
allow(struct world *world, unsigned node, const struct lease_effect *effect)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->leased = effect->may;
    check_permit(world, node, effect);
    acting_look(world, node);
    if (!effect->may && daemon->lease.state != LEASE_STATE_WANTED)
        acting_release(world, node, ASKER_LEASE, NULL);
}

static void
on_alarm(struct world *world, struct event *event)
{
    struct daemon *daemon = daemon_of(world, event->node);
    if (daemon->up && daemon->life == event->life && daemon->lease_alarm == event->id)
        post(world, event->node, &(struct lease_event){ .kind = LEASE_EV_TICK });
}

static void
set_alarm(struct world *world, unsigned node, uint64_t at_ms)
{
    struct daemon *daemon = daemon_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    struct event *event = queue_timer(world, at_ms > now_ms ? at_ms - now_ms : 0, on_alarm, node);
    event->life = daemon->life;
    event->id = ++daemon->lease_alarm;
}

static void
fence(struct world *world, unsigned node)
{
    const struct daemon *daemon = daemon_of(world, node);
    daemon_post_node(world, node,
                     &(struct node_event){ .kind = NODE_EV_LAPSED, .text = daemon->lease.reason });
    if (daemon->node.state != NODE_PRIMARY && daemon->node.state != NODE_CLOSED &&
        daemon->node.state != NODE_DRAINING)
        db_submit(world, node, true, &(struct op){ .kind = OP_FENCE });
}

static void
carry_out(struct world *world, unsigned node, const struct lease_effect *effect)
{
    switch (effect->kind) {
    case LEASE_DO_ASK_ARBITER:
        ask_arbiter(world, node, effect);
        break;
    case LEASE_DO_ASK_MEMBERS:
        ask_members(world, node, effect);
        break;
    case LEASE_DO_MAY_ACT:
        allow(world, node, effect);
        break;
    case LEASE_DO_GATE:
        daemon_of(world, node)->gate_ms = effect->at_ms;
        lease_gate_database(world, node);
        break;
    case LEASE_DO_WATCHDOG:
        host_deadline(world, node, effect->at_ms);
        break;
    case LEASE_DO_FENCE:
        fence(world, node);
        break;
    case LEASE_DO_NOTE:
        db_submit(world, node, true,
                  &(struct op){ .kind = OP_NOTE, .job = JOB_LEASE, .memory = effect->memory });
        break;
    case LEASE_DO_ALARM:
        set_alarm(world, node, effect->at_ms);
        break;
    case LEASE_DO_REPORT:
    case LEASE_DO_COUNT:
        break;
    }
}

static void
say_step(struct world *world, unsigned node, const struct lease_event *event,
         enum lease_state before)
{
    const struct lease *lease = &daemon_of(world, node)->lease;
    if (lease->state != before)
        say(world, WORLD_SAY_LEASE, "%5llu %s lease %s%s%s: %s -> %s (%s)", stamp(world),
            world->nodes[node].name, lease_event_name(event->kind),
            event->kind == LEASE_EV_REPLY ? " " : "",
            event->kind == LEASE_EV_REPLY ? lease_result_name(event->reply->result) : "",
            lease_state_name(before), lease_state_name(lease->state), lease->reason);
}

static void
post(struct world *world, unsigned node, const struct lease_event *from)
{
    struct daemon *daemon = daemon_of(world, node);
    struct lease_event event = *from;
    struct lease_effects effects;
    struct err err;
    if (!daemon->up || !daemon->lease_loaded)
        return;
    enum lease_state before = daemon->lease.state;
    event.now_ms = host_now_ms(world, node);
    if (lease_step(&daemon->lease, &event, &effects, &err) != ERR_NONE)
        return;
    if (world->say != NULL && world->config.arbiter_count > 0)
        say_step(world, node, &event, before);
    const struct epoch *granted = NULL;
    if (lease_is_granted(&daemon->lease, &daemon->lease.epoch, event.now_ms))
        granted = &daemon->lease.epoch;
    node_note_lease(&daemon->node, daemon->lease.state != LEASE_STATE_NONE, granted);
    node_note_released(&daemon->node, lease_needs_later_epoch(&daemon->lease));
    struct epoch promised = code_epoch(world, daemon->arbiter_promised);
    node_note_arbiter(&daemon->node, daemon->lease.unclear_ms == 0 ? &promised : NULL);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(world, node, &effects.list[i]);
    if (before == LEASE_STATE_RELEASING && daemon->lease.state != before)
        serve_released(world, node);
    if (granted != NULL && daemon->node.state == NODE_FENCED && daemon->lease.state != before)
        daemon_post_node(world, node, &(struct node_event){ .kind = NODE_EV_TICK });
}

/* ------------------------------------------------------------------ what happens here */

void
lease_want(struct world *world, unsigned node, const struct epoch *epoch,
           const struct epoch *before)
{
    post(world, node,
         &(struct lease_event){ .kind = LEASE_EV_WANT, .epoch = *epoch, .before = *before });
}

void
lease_close(struct world *world, unsigned node)
{
    post(world, node, &(struct lease_event){ .kind = LEASE_EV_CLOSE });
}

void
lease_stopped(struct world *world, unsigned node)
{
    post(world, node, &(struct lease_event){ .kind = LEASE_EV_STOPPED });
}

void
lease_proved(struct world *world, unsigned node, const struct epoch *epoch)
{
    post(world, node, &(struct lease_event){ .kind = LEASE_EV_PROVED, .epoch = *epoch });
}

/* A primary whose database stays away is none. */
void
lease_upkeep(struct world *world, unsigned node)
{
    const struct daemon *daemon = daemon_of(world, node);
    if (daemon->node.state == NODE_FENCED && !daemon->node.database &&
        daemon->lease.deadline_ms != 0 &&
        host_now_ms(world, node) - daemon->node.since_ms > daemon->lease.config.ttl_ms)
        lease_close(world, node);
}

/* Before anything else that the daemon does: it may have stood still for longer than the lease. */
void
lease_turn(struct world *world, unsigned node)
{
    const struct daemon *daemon = daemon_of(world, node);
    if (daemon->lease.deadline_ms != 0 && host_now_ms(world, node) >= daemon->lease.deadline_ms)
        post(world, node, &(struct lease_event){ .kind = LEASE_EV_TICK });
}

/* ------------------------------------------------------------------ which arbiter */

unsigned
arbiter_of_log(const struct world *world, unsigned node, uint64_t *ret_revision)
{
    const struct database *db = &world->nodes[node].db;
    *ret_revision = 0;
    const struct row *row;
    for (size_t at = db->telling_count; (row = db_telling(db, db_visible(db), &at)) != NULL;) {
        if (row->note == 0 || world->notes[row->note - 1].kind != NOTE_ARBITER)
            continue;
        *ret_revision = row->revision;
        return world->notes[row->note - 1].arbiter;
    }
    return WORLD_NONE;
}

void
lease_configure(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    uint64_t revision;
    if (!daemon->lease_loaded)
        return;
    unsigned arbiter = arbiter_of_log(world, node, &revision);
    if (revision != daemon->arbiter_revision) {
        daemon->arbiter_revision = revision;
        daemon->arbiter = arbiter;
        daemon->questions[QUESTION_LEASE].id = 0;
        note_stop(world, node);
    }
    struct lease_config config = world->config.lease;
    config.arbiter = arbiter == WORLD_NONE ? 0 : revision;
    post(world, node, &(struct lease_event){ .kind = LEASE_EV_CONFIGURE, .config = &config });
}

void
lease_load(struct world *world, unsigned node, const struct lease_memory *memory)
{
    struct daemon *daemon = daemon_of(world, node);
    const char *names[WORLD_NODES_MAX];
    size_t count = 0;
    if (daemon->lease_loaded)
        return;
    for (unsigned i = 0; i < world->count; i++) {
        if (i != node)
            names[count++] = world->nodes[i].name;
    }
    lease_init(&daemon->lease, world->nodes[node].name, memory);
    daemon->lease_loaded = true;
    lease_set_members(&daemon->lease, names, count);
    lease_configure(world, node);
}

void
lease_start(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    daemon->arbiter = WORLD_NONE;
    lease_init(&daemon->lease, world->nodes[node].name, NULL);
    node_note_lease(&daemon->node, true, NULL); /* until it is known that there is no arbiter */
}

/* ------------------------------------------------------------------ choosing another arbiter */

static void
end_change(struct world *world, unsigned node)
{
    daemon_of(world, node)->changes = false;
    lease_configure(world, node); /* ends the HOLD, whichever arbiter it is */
}

static void
write_choice(struct world *world, unsigned node)
{
    struct daemon *daemon = daemon_of(world, node);
    struct note note = { .kind = NOTE_ARBITER, .arbiter = daemon->change_to };
    db_write(world, node,
             &(struct write){ .source = WRITE_NOTE,
                              .life = daemon->life,
                              .note = note_add(world, &note),
                              .changes_arbiter = true });
}

static void
change_answered(struct world *world, unsigned node, const struct wire *wire)
{
    if (wire->result == LEASE_RESULT_DONE)
        write_choice(world, node);
    else
        end_change(world, node);
}

void
lease_choice_written(struct world *world, unsigned node)
{
    end_change(world, node);
}

bool
world_acts_alone(const struct world *world, unsigned node)
{
    for (unsigned i = 0; i < world->count; i++) {
        const struct daemon *daemon = &world->nodes[i].daemon;
        bool rests = daemon->lease.state == LEASE_STATE_IDLE ||
                     (daemon->lease.state == LEASE_STATE_NONE && !daemon->leased);
        if (i != node && daemon->up && !rests)
            return false;
    }
    return true;
}

bool
world_choose_arbiter(struct world *world, unsigned node, unsigned arbiter, bool adopt)
{
    struct daemon *daemon = daemon_of(world, node);
    if (!daemon->up || daemon->stopped || daemon->node.state != NODE_PRIMARY || daemon->changes ||
        note_is_telling(world, node))
        return false;
    if (!adopt && !daemon->leased) {
        say(world, WORLD_SAY_WORLD, "%5llu %s may not act, so it does not turn to another arbiter",
            stamp(world), world->nodes[node].name);
        return true;
    }
    if (arbiter == WORLD_NONE)
        say(world, WORLD_SAY_WORLD, "%5llu %s is told to do without an arbiter", stamp(world),
            world->nodes[node].name);
    else
        say(world, WORLD_SAY_WORLD, "%5llu %s is told to use arbiter %u%s", stamp(world),
            world->nodes[node].name, arbiter + 1, adopt ? ", whatever it says" : "");
    daemon->changes = true;
    daemon->change_to = arbiter;
    if (arbiter == WORLD_NONE) {
        write_choice(world, node);
        return true;
    }
    struct wire wire = { .op = WIRE_CREATE,
                         .adopt = adopt,
                         .epoch = code_from(world, &daemon->node.own.epoch),
                         .lease_ms = world->config.lease.ttl_ms };
    note_carry(world, node, &wire);
    post(world, node, &(struct lease_event){ .kind = LEASE_EV_HOLD });
    arbiter_ask(world, node, QUESTION_CHANGE, 0, arbiter, &wire, CHANGE_CREATE_MS);
    return true;
}
