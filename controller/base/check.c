#include "controller/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
check_failed(const char *condition, const char *file, int line, const char *function)
{
    (void)fprintf(stderr, "ASSERT failed: %s at %s:%d in %s()\n", condition, file, line, function);
    abort();
}

void *
mem_alloc(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    ASSERT(memory != NULL);
    return memory;
}

void *
mem_zero(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    ASSERT(memory != NULL);
    return memory;
}

void *
mem_grow(void *old, size_t count, size_t size)
{
    size_t total;
    ASSERT(!__builtin_mul_overflow(count, size, &total));
    void *memory = realloc(old, total == 0 ? 1 : total);
    ASSERT(memory != NULL);
    return memory;
}
