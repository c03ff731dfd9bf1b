/*
 * exchange.h -- says one text to a stream socket of this host and hears all of the answer, until
 * the other side closes. For programs that are ruled by such a socket, HAProxy's for one.
 */
#pragma once

#include <ev.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

struct exchange;

/* 'answer' is NULL when 'err' says why there is none. Borrowed; 'done' may take its memory. */
typedef void exchange_done_fn(void *data, struct buf *answer, const struct err *err);

/*
 * 'place' is an absolute path of at most 107 bytes, or "127.0.0.1:PORT", "localhost:PORT",
 * "[::1]:PORT". 'text' is copied. 'done' is called once, from the loop, never from inside;
 * '*ret_exchange' is gone then. There is no deadline but exchange_cancel().
 *
 * ERR_NOT_FOUND, ERR_DENIED, ERR_IO: nobody is there, or we are not let in. An answer of more than
 * 'answer_max' bytes is ERR_LIMIT.
 */
MUST_CHECK enum err_code exchange_start(struct ev_loop *loop, const char *place, const char *text,
                                        size_t answer_max, exchange_done_fn *done, void *data,
                                        struct exchange **ret_exchange, struct err *err);
/* 'done' will not be called. What was said may be done all the same. NULL is fine. */
void exchange_cancel(struct exchange *exchange);
