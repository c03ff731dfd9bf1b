/*
 * resolve.h -- looks a host's name up beside the loop: the system's resolver blocks, for half a
 * minute when nobody answers it.
 *
 * One thread for each look-up, gone when it is done. A cancelled one is left to end by itself, so
 * whoever asks keeps to one look-up for each name.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "controller/base/err.h"

#define RESOLVE_ADDRESS_SIZE 64

struct resolve;

/* 'address' is the first one, as a number; NULL: 'err' says why there is none. Borrowed. */
typedef void resolve_done_fn(void *data, const char *address, const struct err *err);

/* 'done' is called once, from the loop; '*ret_resolve' is gone then. ERR_IO: no thread. */
MUST_CHECK enum err_code resolve_start(struct ev_loop *loop, const char *host,
                                       resolve_done_fn *done, void *data,
                                       struct resolve **ret_resolve, struct err *err);
/* 'done' will not be called. NULL is fine. */
void resolve_cancel(struct resolve *resolve);
/* The text is an address, not a name. */
bool resolve_is_address(const char *host);
