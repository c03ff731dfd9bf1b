/*
 * A machine: its clock, which goes a little too fast or too slow; processes that stand still; and
 * the keeper of batond (controller/daemon/keeper.c).
 *
 * What comes for somebody who stands still waits, in its order, until he goes on. Timers are
 * counted as libev does, by a clock that stands still while the machine is suspended; the deadlines
 * of the machines of sites/ by one that does not.
 */
#include "tests/world/inner.h"

#define KEEPER_GRACE_MS   50
#define KEEPER_LOOK_MS    1000
#define KEEPER_QUICK_MS   5000
#define KEEPER_PAUSE_MS   1000
#define KEEPER_DEATHS_MAX 5
#define SERVICE_PAUSE_MS  2000 /* of the service manager, when the keeper has given up */
#define BOOT_MS_MAX       1000000
#define RATE_PPM          1000000

static struct host *
host_of(struct world *world, unsigned node)
{
    return &world->hosts[node];
}

/* ------------------------------------------------------------------ clocks */

static uint64_t
passed_us(const struct world *world, const struct host *host)
{
    return (world->now_ms - host->seen_ms) * host->rate_ppm / 1000;
}

static uint64_t
boot_us(const struct world *world, const struct host *host)
{
    return host->boot_us + passed_us(world, host);
}

static uint64_t
mono_us(const struct world *world, const struct host *host)
{
    return host->mono_us + (host->suspended ? 0 : passed_us(world, host));
}

/* Before anything changes that the clocks depend on. */
static void
settle_clocks(struct world *world, struct host *host)
{
    uint64_t boot = boot_us(world, host);
    host->mono_us = mono_us(world, host);
    host->boot_us = boot;
    host->seen_ms = world->now_ms;
}

uint64_t
host_now_ms(const struct world *world, unsigned node)
{
    return boot_us(world, &world->hosts[node]) / 1000;
}

int64_t
host_wall_ms(const struct world *world, unsigned node)
{
    return (int64_t)host_now_ms(world, node) + world->hosts[node].wall_offset_ms;
}

/* When the timers of the host come to 'due_us', as things are. */
static uint64_t
when_ms(const struct world *world, const struct host *host, uint64_t due_us)
{
    uint64_t mono = mono_us(world, host);
    uint64_t left_us = due_us > mono ? due_us - mono : 0;
    return world->now_ms + (left_us * 1000 + host->rate_ppm - 1) / host->rate_ppm;
}

struct event *
queue_timer(struct world *world, uint64_t after_ms, event_fn *run, unsigned node)
{
    const struct host *host = host_of(world, node);
    uint64_t due_us = mono_us(world, host) + after_ms * 1000;
    struct event *event =
        queue_daemon(world, when_ms(world, host, due_us) - world->now_ms, run, node);
    event->due_us = due_us;
    return event;
}

void
world_set_rate(struct world *world, unsigned node, unsigned rate_ppm)
{
    struct host *host = host_of(world, node);
    settle_clocks(world, host);
    host->rate_ppm = rate_ppm;
}

void
world_step_wall(struct world *world, unsigned node, int64_t by_ms)
{
    say(world, WORLD_SAY_WORLD, "%5llu %s: its wall clock is set by %lld ms", stamp(world),
        world->nodes[node].name, (long long)by_ms);
    host_of(world, node)->wall_offset_ms += by_ms;
    world->walls_set = true;
}

void
host_init(struct world *world, unsigned node)
{
    struct host *host = host_of(world, node);
    *host = (struct host){ .rate_ppm = RATE_PPM };
    if (world->config.seed == 0)
        return;
    host->boot_us = host->mono_us = rng_below(&world->rng, BOOT_MS_MAX) * 1000;
    /* wall clocks agree within what NTP leaves */
    host->wall_offset_ms = BOOT_MS_MAX - (int64_t)(host->boot_us / 1000);
    unsigned most = world->config.drift_ppm;
    host->rate_ppm = RATE_PPM - most + (unsigned)rng_below(&world->rng, 2 * (uint64_t)most + 1);
}

void
host_done(struct world *world, unsigned node)
{
    struct host *host = host_of(world, node);
    while (host->waiting != NULL) {
        struct event *event = host->waiting;
        host->waiting = event->next;
        queue_release(world, event);
    }
}

/* ------------------------------------------------------------------ standing still */

static bool
stands_still(const struct world *world, const struct event *event)
{
    const struct host *host = &world->hosts[event->node];
    switch (event->actor) {
    case ACTOR_NOBODY:
        return false;
    case ACTOR_HOST:
        break;
    case ACTOR_DAEMON:
        return host->suspended || world->nodes[event->node].daemon.stopped;
    case ACTOR_DATABASE:
        return host->suspended || world->nodes[event->node].db.stopped;
    }
    return host->suspended;
}

bool
host_defers(struct world *world, struct event *event)
{
    if (event->actor == ACTOR_NOBODY)
        return false;
    struct host *host = host_of(world, event->node);
    if (stands_still(world, event)) {
        event->next = NULL;
        if (host->waiting == NULL)
            host->waiting = event;
        else
            host->waiting_last->next = event;
        host->waiting_last = event;
        return true;
    }
    if (event->due_us <= mono_us(world, host))
        return false;
    event->at_ms = when_ms(world, host, event->due_us);
    queue_put(world, event);
    return true;
}

void
host_wake(struct world *world, unsigned node)
{
    struct host *host = host_of(world, node);
    struct event *event = host->waiting;
    host->waiting = host->waiting_last = NULL;
    while (event != NULL) {
        struct event *next = event->next;
        event->next = NULL;
        event->at_ms = world->now_ms;
        queue_put(world, event);
        event = next;
    }
}

bool
host_answers(const struct world *world, unsigned node)
{
    const struct host *host = &world->hosts[node];
    return !host->down && !host->suspended;
}

static void
set_stopped(struct world *world, unsigned node, enum world_part parts, bool stopped)
{
    struct world_node *it = &world->nodes[node];
    if ((parts & WORLD_DAEMON) != 0 && it->daemon.up)
        it->daemon.stopped = stopped;
    if ((parts & WORLD_DATABASE) != 0 && it->db.up)
        it->db.stopped = stopped;
    if (stopped)
        return;
    host_wake(world, node);
    if (it->db.up)
        stream_wake(world, node);
}

void
world_stop(struct world *world, unsigned node, enum world_part parts)
{
    say(world, WORLD_SAY_WORLD, "%5llu %s stands still: %s", stamp(world), world->nodes[node].name,
        part_name(parts));
    set_stopped(world, node, parts, true);
}

void
world_continue(struct world *world, unsigned node, enum world_part parts)
{
    say(world, WORLD_SAY_WORLD, "%5llu %s goes on: %s", stamp(world), world->nodes[node].name,
        part_name(parts));
    set_stopped(world, node, parts, false);
}

void
host_suspend(struct world *world, unsigned index, bool suspended)
{
    struct host *host = host_of(world, index);
    settle_clocks(world, host);
    host->suspended = suspended;
    if (!suspended)
        host_wake(world, index);
}

void
world_suspend(struct world *world, unsigned node)
{
    const struct host *host = host_of(world, node);
    if (host->suspended || host->down)
        return;
    say(world, WORLD_SAY_WORLD, "%5llu %s is suspended", stamp(world), world->nodes[node].name);
    host_suspend(world, node, true);
}

void
world_resume(struct world *world, unsigned node)
{
    if (!host_of(world, node)->suspended)
        return;
    say(world, WORLD_SAY_WORLD, "%5llu %s wakes", stamp(world), world->nodes[node].name);
    host_suspend(world, node, false);
    stream_wake(world, node);
}

/* ------------------------------------------------------------------ power */

void
world_power(struct world *world, unsigned node, bool on)
{
    struct host *host = host_of(world, node);
    if (host->down != on)
        return;
    if (on) {
        say(world, WORLD_SAY_WORLD, "%5llu %s has power again", stamp(world),
            world->nodes[node].name);
        host->down = false;
        host->quick_deaths = 0;
        world_start(world, node, world->config.managed ? WORLD_DAEMON : WORLD_BOTH);
        return;
    }
    if (host->suspended)
        world_resume(world, node);
    host->restart++;
    host->down = true;
    world_crash(world, node, WORLD_BOTH);
}

/* ------------------------------------------------------------------ the keeper */

static void on_watch(struct world *world, struct event *event);

static void
watch(struct world *world, unsigned node)
{
    struct host *host = host_of(world, node);
    uint64_t now_ms = host_now_ms(world, node);
    uint64_t until_ms = host->deadline_ms + KEEPER_GRACE_MS;
    uint64_t after_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    struct event *event =
        queue_timer(world, after_ms < KEEPER_LOOK_MS ? after_ms : KEEPER_LOOK_MS, on_watch, node);
    event->actor = ACTOR_HOST;
    event->id = ++host->watch;
}

static void
on_watch(struct world *world, struct event *event)
{
    struct host *host = host_of(world, event->node);
    if (event->id != host->watch)
        return;
    host->watch++;
    host->watching = false;
    if (host->deadline_ms == 0 || !world->nodes[event->node].daemon.up)
        return;
    if (host_now_ms(world, event->node) < host->deadline_ms + KEEPER_GRACE_MS) {
        host->watching = true;
        watch(world, event->node);
        return;
    }
    say(world, WORLD_SAY_WORLD, "%5llu %s did not give up in time", stamp(world),
        world->nodes[event->node].name);
    world_kill(world, event->node);
}

void
host_deadline(struct world *world, unsigned node, uint64_t deadline_ms)
{
    struct host *host = host_of(world, node);
    host->deadline_ms = deadline_ms;
    if (deadline_ms == 0 || host->watching || !world->config.keeper)
        return;
    host->watching = true;
    watch(world, node);
}

void
host_daemon_started(struct world *world, unsigned node)
{
    struct host *host = host_of(world, node);
    host->deadline_ms = 0;
    host->started_ms = host_now_ms(world, node);
    host->restart++;
}

static void
on_restart(struct world *world, struct event *event)
{
    if (event->id == host_of(world, event->node)->restart)
        world_start(world, event->node, WORLD_DAEMON);
}

static void
plan_restart(struct world *world, unsigned node)
{
    struct host *host = host_of(world, node);
    uint64_t pause_ms = 0;
    bool quick = host_now_ms(world, node) - host->started_ms < KEEPER_QUICK_MS;
    host->quick_deaths = quick ? host->quick_deaths + 1 : 0;
    if (quick)
        pause_ms = KEEPER_PAUSE_MS;
    if (host->quick_deaths > KEEPER_DEATHS_MAX) {
        host->quick_deaths = 0;
        pause_ms = SERVICE_PAUSE_MS;
    }
    struct event *event = queue_timer(world, pause_ms + some_ms(world, 20), on_restart, node);
    event->actor = ACTOR_HOST;
    event->id = ++host->restart;
}

void
world_kill(struct world *world, unsigned node)
{
    if (!world->nodes[node].daemon.up)
        return;
    /* what the daemon has started dies with it */
    world_crash(world, node, world->config.managed ? WORLD_BOTH : WORLD_DAEMON);
    if (world->config.keeper)
        plan_restart(world, node);
}
