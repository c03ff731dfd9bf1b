/*
 * knock.h -- does anybody listen on a port? Opens a TCP connection and closes it at once.
 *
 * What it tells apart: a host that says "nothing listens here" (a process that is gone, on a
 * machine that is not) from one that says nothing (a machine that is gone, or a network between):
 * the first is a proof, the second is not.
 */
#pragma once

#include <ev.h>
#include <stdint.h>

enum knock_result {
    KNOCK_OPEN,    /* it was accepted, by the host at least */
    KNOCK_REFUSED, /* the host itself refused it */
    KNOCK_SILENT,  /* no answer in time, no way there, no address for the name */
};

struct knock;

/* Called once, from the loop, never from inside knock_start(). */
typedef void knock_done_fn(void *data, enum knock_result result);

/* Copies 'host', a name or an address. */
struct knock *knock_start(struct ev_loop *loop, const char *host, uint16_t port,
                          unsigned timeout_ms, knock_done_fn *done, void *data);
/* 'done' will not be called. NULL is fine. Not from inside 'done'. */
void knock_cancel(struct knock *knock);
