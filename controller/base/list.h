/*
 * list.h -- an intrusive doubly linked ring. A node inside an object is unlinked before the
 * object is freed. list_init() makes an empty head, or a node that is in no list.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/own.h"

struct list {
    struct list *next; /* borrowed */
    struct list *prev; /* borrowed */
};

static inline void
list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool
list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void
list_add_tail(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Safe to call on a node that is in no list. */
static inline void
list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The body may remove 'at', and nothing else. */
#define list_each(at, head)                                                                        \
    for (struct list *at = (head)->next, *at##_next = at->next; at != (head);                      \
         at = at##_next, at##_next = at->next)
