#include <string.h>

#include "tests/world/inner.h"

static bool
comes_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void
sift_up(struct world *world, size_t at)
{
    while (at > 0 && comes_before(world->heap[at], world->heap[(at - 1) / 2])) {
        struct event *event = world->heap[at];
        world->heap[at] = world->heap[(at - 1) / 2];
        world->heap[(at - 1) / 2] = event;
        at = (at - 1) / 2;
    }
}

static void
sift_down(struct world *world)
{
    size_t at = 0;
    for (;;) {
        size_t least = 2 * at + 1;
        if (least >= world->heap_count)
            return;
        if (least + 1 < world->heap_count &&
            comes_before(world->heap[least + 1], world->heap[least]))
            least++;
        if (!comes_before(world->heap[least], world->heap[at]))
            return;
        struct event *event = world->heap[at];
        world->heap[at] = world->heap[least];
        world->heap[least] = event;
        at = least;
    }
}

void
queue_put(struct world *world, struct event *event)
{
    event->order = ++world->order_last;
    if (world->heap_count == world->heap_capacity) {
        world->heap_capacity = world->heap_capacity == 0 ? 256 : world->heap_capacity * 2;
        world->heap = mem_grow(world->heap, world->heap_capacity, sizeof(struct event *));
    }
    world->heap[world->heap_count++] = event;
    sift_up(world, world->heap_count - 1);
}

struct event *
queue_add(struct world *world, uint64_t after_ms, event_fn *run, unsigned node)
{
    struct event *event = world->unused;
    if (event != NULL)
        world->unused = event->next;
    else
        event = mem_alloc(sizeof *event);
    memset(event, 0, sizeof *event);
    event->at_ms = world->now_ms + after_ms;
    event->run = run;
    event->node = node;
    queue_put(world, event);
    return event;
}

struct event *
queue_daemon(struct world *world, uint64_t after_ms, event_fn *run, unsigned node)
{
    struct event *event = queue_add(world, after_ms, run, node);
    event->actor = ACTOR_DAEMON;
    return event;
}

struct event *
queue_database(struct world *world, uint64_t after_ms, event_fn *run, unsigned node)
{
    struct event *event = queue_add(world, after_ms, run, node);
    event->actor = ACTOR_DATABASE;
    return event;
}

const struct event *
queue_first(const struct world *world)
{
    return world->heap_count == 0 ? NULL : world->heap[0];
}

struct event *
queue_take(struct world *world)
{
    if (world->heap_count == 0)
        return NULL;
    struct event *event = world->heap[0];
    world->heap[0] = world->heap[--world->heap_count];
    sift_down(world);
    return event;
}

void
queue_release(struct world *world, struct event *event)
{
    free(event->message.rows.list);
    event->next = world->unused;
    world->unused = event;
}

void
queue_done(struct world *world)
{
    for (size_t i = 0; i < world->heap_count; i++) {
        free(world->heap[i]->message.rows.list);
        free(world->heap[i]);
    }
    while (world->unused != NULL) {
        struct event *event = world->unused;
        world->unused = event->next;
        free(event);
    }
    free(world->heap);
}
