/*
 * notice_queue.h -- what one receiver of notices (notice.h) still has to be told, and when the next
 * try is. Pure: who sends it, and over what, is daemon/notices.h's.
 *
 *   O4  What was taken goes out in its order under one delivery id, a try at a time, until it is
 *       answered, refused or NOTICE_QUEUE_KEEP_MS old. What is under way is never given up: its
 *       answer is of the first, whenever it comes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/notice.h"

#define NOTICE_QUEUE_MAX            64
#define NOTICE_QUEUE_KEEP_MS        3600000
#define NOTICE_QUEUE_PAUSE_MS_FIRST 5000
#define NOTICE_QUEUE_PAUSE_MS_MAX   300000

/* One thing to tell. */
struct notice_item {
    char delivery[NOTICE_DELIVERY_SIZE];
    char connector[CONNECTOR_NAME_SIZE];
    enum notice_status status;
    char *body;        /* owned; JSON */
    uint64_t since_ms; /* monotonic */
};

/* Zero in the beginning. */
struct notice_queue {
    struct notice_item items[NOTICE_QUEUE_MAX]; /* a ring */
    size_t first;
    size_t count;
    bool under_way;              /* the first is being sent */
    uint64_t again_ms;           /* not before; 0: at once */
    uint64_t pause_ms;           /* the last one; 0: there was none */
    char trouble[ERR_TEXT_SIZE]; /* why the first was not heard at its last try; "": it may be */
};

/* A new last item for the caller to fill in; NULL: it is full. */
struct notice_item *notice_queue_add(struct notice_queue *queue, uint64_t now_ms);
/* The first, which has been there for too long and is not under way; NULL: it has not. */
const struct notice_item *notice_queue_old(const struct notice_queue *queue, uint64_t now_ms);
void notice_queue_drop(struct notice_queue *queue);
/* The first, when it is to be sent now: then it is under way until notice_queue_ended(). */
const struct notice_item *notice_queue_next(struct notice_queue *queue, uint64_t now_ms);
/* What is under way. */
const struct notice_item *notice_queue_sent(const struct notice_queue *queue);
/* It was heard, and is dropped; or not, for the reason in 'text', and is tried again after
 * 'pause_ms'. */
void notice_queue_ended(struct notice_queue *queue, bool heard, const char *text, uint64_t now_ms);
/* Frees what is in it, and empties it. */
void notice_queue_done(struct notice_queue *queue);
