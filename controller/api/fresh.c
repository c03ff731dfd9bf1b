#include "controller/api/fresh.h"

#include <ev.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/tail.h"
#include "sites/epoch.h"

struct fresh {
    struct core *core; /* borrowed */
    struct tail_listener tail;
    struct list waiters;
    ev_timer limit;                  /* runs while somebody waits */
    uint64_t revision;               /* of the last write that was noted; 0: none */
    uint64_t epoch;                  /* and its epoch */
    char holder[WRITER_HOLDER_SIZE]; /* of that */
    uint64_t local;                  /* number of the reading that shows the last local write */
};

static bool
is_shown(const struct fresh *fresh)
{
    if (tail_local_read(fresh->core->tail) < fresh->local)
        return false;
    const struct cache_position *position = cache_position(fresh->core->cache);
    struct epoch shown = epoch_make(position->epoch, position->holder);
    struct epoch noted = epoch_make(fresh->epoch, fresh->holder);
    return position->revision >= fresh->revision || epoch_compare(&shown, &noted) > 0;
}

static void
let_go(struct fresh *fresh)
{
    ev_timer_stop(fresh->core->loop, &fresh->limit);
    while (!list_empty(&fresh->waiters)) {
        struct fresh_waiter *waiter = CONTAINER_OF(fresh->waiters.next, struct fresh_waiter, node);
        list_remove(&waiter->node);
        waiter->go_on(waiter);
    }
}

static void
look(struct fresh *fresh)
{
    if (!list_empty(&fresh->waiters) && is_shown(fresh))
        let_go(fresh);
}

static void
on_applied(struct tail_listener *tail, const struct cache_position *position)
{
    (void)position;
    look(CONTAINER_OF(tail, struct fresh, tail));
}

static void
on_local_read(struct tail_listener *tail)
{
    look(CONTAINER_OF(tail, struct fresh, tail));
}

static void
on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct fresh *fresh = CONTAINER_OF(timer, struct fresh, limit);
    fresh->revision = 0; /* F2 */
    fresh->local = 0;
    let_go(fresh);
}

struct fresh *
fresh_new(struct core *core)
{
    struct fresh *fresh = mem_zero(1, sizeof *fresh);
    fresh->core = core;
    list_init(&fresh->waiters);
    ev_timer_init(&fresh->limit, on_limit, FRESH_WAIT_MS / 1000.0, 0);
    fresh->tail.applied = on_applied;
    fresh->tail.reloaded = on_applied;
    fresh->tail.local_read = on_local_read;
    tail_listen(core->tail, &fresh->tail);
    return fresh;
}

void
fresh_stop(struct fresh *fresh)
{
    fresh->revision = 0;
    fresh->local = 0;
    let_go(fresh);
}

void
fresh_free(struct fresh *fresh)
{
    if (fresh == NULL)
        return;
    fresh_stop(fresh);
    tail_unlisten(&fresh->tail);
    free(fresh);
}

void
fresh_note(struct fresh *fresh, const struct writer_result *result)
{
    struct epoch noted = epoch_make(fresh->epoch, fresh->holder);
    struct epoch epoch = epoch_make(result->epoch, result->holder);
    int order = epoch_compare(&epoch, &noted);
    if (order < 0 || (order == 0 && result->revision <= fresh->revision))
        return;
    fresh->revision = result->revision;
    fresh->epoch = result->epoch;
    memcpy(fresh->holder, result->holder, sizeof fresh->holder);
}

void
fresh_note_local(struct fresh *fresh)
{
    fresh->local = tail_poke_local(fresh->core->tail);
}

bool
fresh_wait(struct fresh *fresh, struct fresh_waiter *waiter)
{
    if (is_shown(fresh))
        return false;
    if (list_empty(&fresh->waiters)) {
        ev_timer_set(&fresh->limit, FRESH_WAIT_MS / 1000.0, 0);
        ev_timer_start(fresh->core->loop, &fresh->limit);
    }
    list_add_tail(&fresh->waiters, &waiter->node);
    return true;
}
