#include "sites/notice_queue.h"

#include <stdio.h>

#include "controller/base/check.h"
#include "controller/base/own.h"

struct notice_item *
notice_queue_add(struct notice_queue *queue, uint64_t now_ms)
{
    if (queue->count == NOTICE_QUEUE_MAX)
        return NULL;
    struct notice_item *item = &queue->items[(queue->first + queue->count++) % NOTICE_QUEUE_MAX];
    *item = (struct notice_item){ .since_ms = now_ms };
    return item;
}

const struct notice_item *
notice_queue_old(const struct notice_queue *queue, uint64_t now_ms)
{
    const struct notice_item *first = &queue->items[queue->first];
    return queue->count > 0 && !queue->under_way && now_ms - first->since_ms > NOTICE_QUEUE_KEEP_MS
               ? first
               : NULL;
}

void
notice_queue_drop(struct notice_queue *queue)
{
    ASSERT(queue->count > 0 && !queue->under_way);
    free(take_ptr(&queue->items[queue->first].body));
    queue->first = (queue->first + 1) % NOTICE_QUEUE_MAX;
    queue->count--;
    queue->again_ms = 0;
    queue->pause_ms = 0;
    queue->trouble[0] = '\0';
}

const struct notice_item *
notice_queue_next(struct notice_queue *queue, uint64_t now_ms)
{
    if (queue->count == 0 || queue->under_way || now_ms < queue->again_ms)
        return NULL;
    queue->under_way = true;
    return &queue->items[queue->first];
}

const struct notice_item *
notice_queue_sent(const struct notice_queue *queue)
{
    ASSERT(queue->under_way);
    return &queue->items[queue->first];
}

void
notice_queue_ended(struct notice_queue *queue, bool heard, const char *text, uint64_t now_ms)
{
    ASSERT(queue->under_way);
    queue->under_way = false;
    if (heard) {
        notice_queue_drop(queue);
        return;
    }
    queue->pause_ms = queue->pause_ms == 0 ? NOTICE_QUEUE_PAUSE_MS_FIRST : 2 * queue->pause_ms;
    if (queue->pause_ms > NOTICE_QUEUE_PAUSE_MS_MAX)
        queue->pause_ms = NOTICE_QUEUE_PAUSE_MS_MAX;
    queue->again_ms = now_ms + queue->pause_ms;
    (void)snprintf(queue->trouble, sizeof queue->trouble, "%s", text);
}

void
notice_queue_done(struct notice_queue *queue)
{
    queue->under_way = false;
    while (queue->count > 0)
        notice_queue_drop(queue);
}
