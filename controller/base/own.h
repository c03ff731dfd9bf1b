/*
 * own.h -- who frees what: scope-bound cleanup and the hand-over of ownership.
 *
 *     CLEANUP(freep) char *text = str_dup(source);
 *     ...
 *     *ret_text = take_ptr(&text);   // from here on it is the caller's
 */
#pragma once

#include <stddef.h>

#include <stdlib.h>

#define CLEANUP(function)        __attribute__((cleanup(function)))
#define MUST_CHECK               __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* Empties the variable that holds the pointer and returns what it held. */
#define take_ptr(holder)                                                                           \
    __extension__({                                                                                \
        __typeof__(*(holder)) taken_ = *(holder);                                                  \
        *(holder) = NULL;                                                                          \
        taken_;                                                                                    \
    })

/* The object of 'type' that contains 'member' at 'pointer'. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline void
freep(void *holder)
{
    void **pointer = holder;
    free(*pointer);
    *pointer = NULL;
}
