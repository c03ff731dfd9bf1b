/*
 * check.h -- assertions for our own mistakes. They stay on in every build, because a controller
 * that goes on after it has broken its own rule is worse than one that stops (and starts fenced).
 * What peers, operators, files and databases say is never asserted: it is checked and refused.
 */
#pragma once

#include <stddef.h>

#define ASSERT(condition)                                                                          \
    ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__, __func__))

/* Prints where and what, then aborts. */
_Noreturn void check_failed(const char *condition, const char *file, int line,
                            const char *function);

/* malloc family that aborts when out of memory; sizes from outside are bounded before. */
void *mem_alloc(size_t size)
    __attribute__((malloc, returns_nonnull, alloc_size(1), warn_unused_result));
void *mem_zero(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, alloc_size(1, 2), warn_unused_result));
void *mem_grow(void *old, size_t count, size_t size)
    __attribute__((returns_nonnull, alloc_size(2, 3), warn_unused_result));
