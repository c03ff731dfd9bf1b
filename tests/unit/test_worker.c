#include "controller/loop/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>

struct sum {
    sem_t *gate; /* NULL: run at once */
    unsigned input;
    unsigned output;
    unsigned done_count;
    unsigned not_ran_count;
    struct ev_loop *stop; /* when done */
    struct worker *close; /* when done */
};

static void
run_sum(void *job)
{
    struct sum *sum = job;
    if (sum->gate != NULL)
        (void)sem_wait(sum->gate);
    sum->output = sum->input * 2;
}

static void
sum_done(void *job, bool ran)
{
    struct sum *sum = job;
    sum->done_count++;
    if (!ran)
        sum->not_ran_count++;
    if (sum->close != NULL)
        worker_close(sum->close);
    if (sum->stop != NULL)
        ev_break(sum->stop, EVBREAK_ALL);
}

static void
results_come_on_the_loop_in_order(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct worker *worker;
    struct err err;
    assert_int_equal(worker_open(loop, &worker, &err), ERR_NONE);
    struct sum sums[8] = { 0 };
    for (unsigned i = 0; i < 8; i++) {
        sums[i].input = i;
        sums[i].stop = i == 7 ? loop : NULL;
        assert_int_equal(worker_submit(worker, run_sum, sum_done, &sums[i], &err), ERR_NONE);
    }
    ev_run(loop, 0);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(sums[i].output, 2 * i);
        assert_int_equal(sums[i].done_count, 1);
        assert_int_equal(sums[i].not_ran_count, 0);
    }
    worker_close(worker);
    ev_loop_destroy(loop);
}

static void
a_full_queue_refuses_and_close_answers_all(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct worker *worker;
    struct err err;
    sem_t gate;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(worker_open(loop, &worker, &err), ERR_NONE);
    static struct sum sums[WORKER_QUEUE_MAX + 2];
    unsigned accepted = 0;
    /* One may run (and wait at the gate), WORKER_QUEUE_MAX may queue: one more never fits. */
    for (unsigned i = 0; i < WORKER_QUEUE_MAX + 2; i++) {
        sums[i] = (struct sum){ .gate = &gate };
        if (worker_submit(worker, run_sum, sum_done, &sums[i], &err) == ERR_NONE)
            accepted++;
    }
    assert_in_range(accepted, WORKER_QUEUE_MAX, WORKER_QUEUE_MAX + 1);
    assert_int_equal(err.code, ERR_THROTTLED);
    assert_string_equal(err.slug, "busy");
    for (unsigned i = 0; i < accepted; i++)
        (void)sem_post(&gate);
    worker_close(worker);
    unsigned done = 0;
    for (unsigned i = 0; i < WORKER_QUEUE_MAX + 2; i++)
        done += sums[i].done_count;
    assert_int_equal(done, accepted);
    (void)sem_destroy(&gate);
    ev_loop_destroy(loop);
}

static void
a_receiver_may_close_the_worker(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct worker *worker;
    struct err err;
    assert_int_equal(worker_open(loop, &worker, &err), ERR_NONE);
    struct sum first = { .stop = loop };
    struct sum second = { 0 };
    first.close = worker;
    assert_int_equal(worker_submit(worker, run_sum, sum_done, &first, &err), ERR_NONE);
    assert_int_equal(worker_submit(worker, run_sum, sum_done, &second, &err), ERR_NONE);
    ev_run(loop, 0);
    assert_int_equal(first.done_count, 1);
    assert_int_equal(second.done_count, 1);
    ev_loop_destroy(loop);
}

static void
nothing_to_close_is_fine(void **state)
{
    (void)state;
    worker_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_on_the_loop_in_order),
        cmocka_unit_test(a_full_queue_refuses_and_close_answers_all),
        cmocka_unit_test(a_receiver_may_close_the_worker),
        cmocka_unit_test(nothing_to_close_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
