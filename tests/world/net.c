/*
 * Questions between daemons over HTTPS: each has exactly one answer, if only that none came.
 */
#include "tests/world/inner.h"

bool
net_is_cut(const struct world *world, unsigned from, unsigned to, enum world_line line)
{
    return (world->cut[from][to] & (unsigned)line) != 0;
}

static bool
passes(struct world *world, unsigned from, unsigned to)
{
    return !net_is_cut(world, from, to, WORLD_HTTPS) &&
           !(world->loss_percent > 0 && rng_chance(&world->rng, world->loss_percent));
}

static void
end_call(struct world *world, unsigned node, uint32_t life, uint32_t id, struct message *answer)
{
    struct daemon *daemon = &world->nodes[node].daemon;
    if (!daemon->up || daemon->life != life)
        return;
    struct call *at = &daemon->calls[id % WORLD_CALLS_MAX];
    if (at->id != id)
        return;
    struct call call = *at;
    at->id = 0;
    effect_call_done(world, node, &call, answer);
}

/* Its place follows from its number. */
static struct call *
free_call(struct daemon *daemon)
{
    for (size_t i = 0; i < WORLD_CALLS_MAX; i++) {
        struct call *at = &daemon->calls[++daemon->call_last % WORLD_CALLS_MAX];
        if (at->id != 0)
            continue;
        at->id = daemon->call_last;
        return at;
    }
    ASSERT(false);
    return NULL;
}

static void
on_timeout(struct world *world, struct event *event)
{
    event->message.reply = REPLY_TIMEOUT;
    event->message.text = "no answer in time";
    end_call(world, event->node, event->life, event->id, &event->message);
}

static void
on_answer(struct world *world, struct event *event)
{
    end_call(world, event->node, event->life, event->id, &event->message);
}

static void
send_answer(struct world *world, unsigned node, const struct ticket *ticket,
            const struct message *message)
{
    struct row_list rows = message->rows;
    if (!passes(world, node, ticket->from)) {
        free(rows.list);
        return; /* its deadline ends the call */
    }
    struct event *event =
        queue_daemon(world, some_ms(world, world->config.delay_ms), on_answer, ticket->from);
    event->life = ticket->life;
    event->id = ticket->id;
    event->message = *message;
}

static void
on_question(struct world *world, struct event *event)
{
    const struct daemon *daemon = &world->nodes[event->node].daemon;
    struct ticket ticket = {
        .open = true, .from = event->peer, .life = event->life, .id = event->id
    };
    if (daemon->up) {
        serve(world, event->node, event->peer, &ticket, &event->message);
        return;
    }
    if (!host_answers(world, event->node))
        return;
    struct message message = { .reply = REPLY_UNREACHABLE, .text = "connection refused" };
    send_answer(world, event->node, &ticket, &message);
}

void
net_call(struct world *world, unsigned from, unsigned to, uint64_t timeout_ms,
         const struct message *message)
{
    struct daemon *daemon = &world->nodes[from].daemon;
    struct call *call = free_call(daemon);
    *call = (struct call){ .id = call->id,
                           .kind = message->call,
                           .to = to,
                           .promo = daemon->promo.number,
                           .epoch = message->call == CALL_CONFIRM
                                        ? message->epoch
                                        : code_from(world, &daemon->promo.epoch),
                           .asked_ms = host_now_ms(world, from),
                           .serial = message->serial,
                           .write = message->write };
    struct event *timeout = queue_timer(world, timeout_ms, on_timeout, from);
    timeout->life = daemon->life;
    timeout->id = call->id;
    if (!passes(world, from, to))
        return;
    /* HTTPS repeats nothing that was sent: a daemon may ask twice, a client's write is passed on
     * once */
    bool twice = message->call != CALL_WRITE && world->double_percent > 0 &&
                 rng_chance(&world->rng, world->double_percent);
    for (unsigned i = 0; i < 1u + twice; i++) {
        struct event *event =
            queue_daemon(world, some_ms(world, world->config.delay_ms), on_question, to);
        event->peer = from;
        event->life = daemon->life;
        event->id = call->id;
        event->message = *message;
    }
}

/* The message's rows are given away. */
void
net_reply(struct world *world, unsigned node, struct ticket *ticket, enum reply reply,
          const struct message *message)
{
    struct message answer = message == NULL ? (struct message){ 0 } : *message;
    if (!ticket->open) {
        free(answer.rows.list);
        return;
    }
    ticket->open = false;
    answer.reply = reply;
    send_answer(world, node, ticket, &answer);
}
