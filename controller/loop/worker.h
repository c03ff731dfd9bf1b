/*
 * worker.h -- one thread for what would stall the loop (argon2id: 0.2 s), results on the loop.
 *
 * One thread, so at most one hash's memory is in use, and a bounded queue, so that a flood of
 * log-ins is refused instead of heaped up.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "controller/base/err.h"

#define WORKER_QUEUE_MAX 64

struct worker;

/* On the worker thread: touches nothing but 'job'. */
typedef void worker_run_fn(void *job);
/* On the loop, exactly once for each accepted job. 'ran' is false when the worker was closed
 * before the job's turn came. */
typedef void worker_done_fn(void *job, bool ran);

MUST_CHECK enum err_code worker_open(struct ev_loop *loop, struct worker **ret_worker,
                                     struct err *err);
/* Waits for the job that runs (bounded by the job), answers all, and frees. */
void worker_close(struct worker *worker);
/* ERR_THROTTLED, slug "busy": the queue is full; 'done' is not called. */
MUST_CHECK enum err_code worker_submit(struct worker *worker, worker_run_fn *run,
                                       worker_done_fn *done, void *job, struct err *err);
