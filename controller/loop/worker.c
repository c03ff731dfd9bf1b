#include "controller/loop/worker.h"

#include <pthread.h>
#include <signal.h>

#include "controller/base/check.h"
#include "controller/base/list.h"

struct job {
    struct list node; /* in waiting, ran, or nowhere while it runs */
    worker_run_fn *run;
    worker_done_fn *done;
    void *data;
    bool ran;
};

struct worker {
    struct ev_loop *loop; /* borrowed */
    ev_async wake;        /* the thread has something in 'ran' */
    pthread_t thread;
    pthread_mutex_t mutex; /* for all below */
    pthread_cond_t changed;
    struct list waiting;
    struct list ran;
    size_t waiting_count;
    bool closing;
};

static void *
work(void *data)
{
    struct worker *worker = data;
    (void)pthread_mutex_lock(&worker->mutex);
    while (!worker->closing) {
        if (list_empty(&worker->waiting)) {
            (void)pthread_cond_wait(&worker->changed, &worker->mutex);
            continue;
        }
        struct job *job = CONTAINER_OF(worker->waiting.next, struct job, node);
        list_remove(&job->node);
        worker->waiting_count--;
        (void)pthread_mutex_unlock(&worker->mutex);
        job->run(job->data);
        (void)pthread_mutex_lock(&worker->mutex);
        job->ran = true;
        list_add_tail(&worker->ran, &job->node);
        ev_async_send(worker->loop, &worker->wake);
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* Takes the first job of a list out from under the lock; NULL when there is none. */
static struct job *
take(struct worker *worker, struct list *from)
{
    struct job *job = NULL;
    (void)pthread_mutex_lock(&worker->mutex);
    if (!list_empty(from)) {
        job = CONTAINER_OF(from->next, struct job, node);
        list_remove(&job->node);
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    return job;
}

static void
answer(struct job *job)
{
    job->done(job->data, job->ran);
    free(job);
}

static void
on_wake(struct ev_loop *loop, ev_async *wake, int revents)
{
    (void)loop, (void)revents;
    struct worker *worker = CONTAINER_OF(wake, struct worker, wake);
    struct job *job = take(worker, &worker->ran);
    if (job == NULL)
        return;
    /* One at a time, and then through the loop again: a receiver may close the worker. */
    ev_async_send(worker->loop, &worker->wake);
    answer(job);
}

enum err_code
worker_open(struct ev_loop *loop, struct worker **ret_worker, struct err *err)
{
    struct worker *worker = mem_zero(1, sizeof *worker);
    worker->loop = loop;
    list_init(&worker->waiting);
    list_init(&worker->ran);
    (void)pthread_mutex_init(&worker->mutex, NULL);
    (void)pthread_cond_init(&worker->changed, NULL);
    ev_async_init(&worker->wake, on_wake);

    /* Signals belong to the loop's thread. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&worker->thread, NULL, work, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0) {
        free(worker);
        return err_errno(err, number, "start the worker thread");
    }
    ev_async_start(loop, &worker->wake);
    *ret_worker = worker;
    return ERR_NONE;
}

void
worker_close(struct worker *worker)
{
    if (worker == NULL)
        return;
    (void)pthread_mutex_lock(&worker->mutex);
    worker->closing = true;
    (void)pthread_cond_signal(&worker->changed);
    (void)pthread_mutex_unlock(&worker->mutex);
    (void)pthread_join(worker->thread, NULL);
    ev_async_stop(worker->loop, &worker->wake);

    struct job *job;
    while ((job = take(worker, &worker->ran)) != NULL)
        answer(job);
    while ((job = take(worker, &worker->waiting)) != NULL)
        answer(job);
    (void)pthread_cond_destroy(&worker->changed);
    (void)pthread_mutex_destroy(&worker->mutex);
    free(worker);
}

enum err_code
worker_submit(struct worker *worker, worker_run_fn *run, worker_done_fn *done, void *job,
              struct err *err)
{
    enum err_code code = ERR_NONE;
    struct job *entry = mem_zero(1, sizeof *entry);
    entry->run = run;
    entry->done = done;
    entry->data = job;
    (void)pthread_mutex_lock(&worker->mutex);
    if (worker->closing || worker->waiting_count >= WORKER_QUEUE_MAX) {
        code = err_set(err, ERR_THROTTLED, "busy", "%d slow jobs wait already", WORKER_QUEUE_MAX);
    } else {
        list_add_tail(&worker->waiting, &entry->node);
        worker->waiting_count++;
        (void)pthread_cond_signal(&worker->changed);
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    if (code != ERR_NONE) {
        free(entry);
        return err_mend(err, "try again in a moment");
    }
    return ERR_NONE;
}
