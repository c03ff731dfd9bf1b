#include "controller/postgres/managed.h"

#include <signal.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/postgres/managed_inner.h"

#define QUIT_MS_MAX   10000 /* after SIGQUIT; then SIGKILL */
#define STEADY_MS_MIN 10000 /* ready for this long: the next restart is soon again */

struct managed {
    struct ev_loop *loop; /* borrowed; the default loop */
    struct managed_config config;
    char *texts[4]; /* owned; of 'config' */
    managed_state_fn *on_state;
    void *data;
    enum managed_state state;
    ev_timer timer;
    struct child *child; /* owned; NULL when no server of ours runs */
    uint64_t since_ms;   /* when this state began */
    uint32_t restart_ms;
    uint64_t restarts;
    int stop_signal; /* last one sent while STOPPING, or for a start that took too long */
    enum managed_old_kind old_told; /* which was made to go */
    bool stop_wanted;
};

const char *
managed_state_name(enum managed_state state)
{
    static const char *const names[] = {
        [MANAGED_OLD] = "old",           [MANAGED_STARTING] = "starting",
        [MANAGED_READY] = "ready",       [MANAGED_BACKOFF] = "backoff",
        [MANAGED_STOPPING] = "stopping", [MANAGED_STOPPED] = "stopped",
    };
    return names[state];
}

static void
tick_in(struct managed *managed, uint32_t ms)
{
    ev_timer_stop(managed->loop, &managed->timer);
    ev_now_update(managed->loop);
    ev_timer_set(&managed->timer, ms / 1000.0, 0.0);
    ev_timer_start(managed->loop, &managed->timer);
}

static void
enter(struct managed *managed, enum managed_state state, const struct err *err)
{
    managed->state = state;
    managed->since_ms = clock_now_ms();
    if (managed->on_state != NULL)
        managed->on_state(managed->data, state, err);
}

/* The next try comes later each time, until it has run steadily for a while. */
static void
back_off(struct managed *managed, const struct err *err)
{
    uint32_t ms = managed->restart_ms;
    managed->restart_ms =
        ms * 2 > MANAGED_RESTART_MS_MAX ? (uint32_t)MANAGED_RESTART_MS_MAX : ms * 2;
    managed->restarts++;
    tick_in(managed, ms);
    enter(managed, MANAGED_BACKOFF, err);
}

static void
on_ended(void *data, const struct child_result *result)
{
    struct managed *managed = data;
    managed->child = NULL;
    if (managed->stop_wanted) {
        ev_timer_stop(managed->loop, &managed->timer);
        enter(managed, MANAGED_STOPPED, NULL);
        return;
    }
    struct err err = { 0 };
    (void)managed_ended(&managed->config, result->end == CHILD_EXITED, result->status, &err);
    if (managed->state == MANAGED_READY && clock_now_ms() - managed->since_ms >= STEADY_MS_MIN)
        managed->restart_ms = MANAGED_RESTART_MS_MIN;
    back_off(managed, &err);
}

static void
start(struct managed *managed)
{
    struct managed_command command;
    struct err err = { 0 };
    managed->stop_signal = 0;
    enum err_code code = managed_prepare(&managed->config, &err);
    if (code != ERR_NONE) {
        back_off(managed, &err);
        return;
    }
    code = managed_command_init(&command, &managed->config, &err);
    if (code == ERR_NONE)
        code = child_start(&command.options, on_ended, managed, &managed->child, &err);
    managed_command_done(&command);
    if (code != ERR_NONE) {
        back_off(managed, &err);
        return;
    }
    tick_in(managed, MANAGED_POLL_MS);
    enter(managed, MANAGED_STARTING, NULL);
}

/* What a killed batond or a killed postmaster left behind is on its way out. */
static void
tick_old(struct managed *managed)
{
    struct managed_old old = managed_find_old(&managed->config);
    if (old.kind == MANAGED_OLD_GONE) {
        managed->old_told = old.kind;
        start(managed);
        return;
    }
    uint64_t waited = clock_now_ms() - managed->since_ms;
    if (waited >= MANAGED_OLD_MS_MAX) {
        struct err err = { 0 };
        managed->old_told = MANAGED_OLD_GONE;
        (void)managed_old_err(&managed->config, &old, &err);
        back_off(managed, &err);
        return;
    }
    if (waited >= MANAGED_OLD_PATIENCE_MS && managed->old_told != old.kind) {
        managed->old_told = old.kind;
        managed_end_old(&managed->config, &old);
    }
    tick_in(managed, MANAGED_POLL_MS);
}

static void
tick_starting(struct managed *managed)
{
    pid_t pid;
    bool ready;
    if (managed_read_pid(&managed->config, &pid, &ready) && pid == child_pid(managed->child) &&
        ready) {
        enter(managed, MANAGED_READY, NULL);
        return;
    }
    if (clock_now_ms() - managed->since_ms >= MANAGED_READY_MS_MAX && managed->stop_signal == 0) {
        managed->stop_signal = SIGQUIT;
        child_signal(managed->child, SIGQUIT);
    }
    tick_in(managed, MANAGED_POLL_MS);
}

static void
tick_stopping(struct managed *managed)
{
    if (managed->child == NULL) { /* it never ran */
        enter(managed, MANAGED_STOPPED, NULL);
        return;
    }
    managed->stop_signal = managed->stop_signal == SIGINT ? SIGQUIT : SIGKILL;
    log_warn("postgres.stop", "pid=%d signal=%d", (int)managed_pid(managed), managed->stop_signal);
    child_signal(managed->child, managed->stop_signal);
    tick_in(managed, QUIT_MS_MAX);
}

static void
on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct managed *managed = CONTAINER_OF(timer, struct managed, timer);
    switch (managed->state) {
    case MANAGED_OLD:
        tick_old(managed);
        return;
    case MANAGED_STARTING:
        tick_starting(managed);
        return;
    case MANAGED_BACKOFF:
        managed->since_ms = clock_now_ms();
        managed->state = MANAGED_OLD;
        tick_old(managed);
        return;
    case MANAGED_STOPPING:
        tick_stopping(managed);
        return;
    case MANAGED_READY:
    case MANAGED_STOPPED:
        return;
    }
}

enum err_code
managed_open(struct ev_loop *loop, const struct managed_config *config, managed_state_fn *on_state,
             void *data, struct managed **ret_managed, struct err *err)
{
    struct managed_command command;
    enum err_code code = managed_check_user(config, err);
    if (code != ERR_NONE)
        return code;
    code = managed_command_init(&command, config, err);
    managed_command_done(&command);
    if (code != ERR_NONE)
        return code;

    struct managed *managed = mem_zero(1, sizeof *managed);
    managed->loop = loop;
    managed->texts[0] = str_dup(config->folder);
    managed->texts[1] = str_dup(config->socket);
    managed->texts[2] = str_dup(config->listen);
    managed->texts[3] = str_dup(config->run_as);
    managed->config = (struct managed_config){
        .folder = managed->texts[0],
        .socket = managed->texts[1],
        .listen = managed->texts[2],
        .port = config->port,
        .run_as = managed->texts[3],
        .witness = config->witness,
    };
    managed->on_state = on_state;
    managed->data = data;
    managed->restart_ms = MANAGED_RESTART_MS_MIN;
    managed->state = MANAGED_OLD;
    managed->since_ms = clock_now_ms();
    ev_init(&managed->timer, on_tick);
    tick_in(managed, 0);
    *ret_managed = managed;
    return ERR_NONE;
}

void
managed_stop(struct managed *managed)
{
    if (managed->stop_wanted)
        return;
    managed->stop_wanted = true;
    managed->stop_signal = SIGINT;
    managed->state = MANAGED_STOPPING;
    managed->since_ms = clock_now_ms();
    if (managed->child != NULL)
        child_signal(managed->child, SIGINT);
    tick_in(managed, managed->child == NULL ? 0 : MANAGED_STOP_MS_MAX);
}

void
managed_close(struct managed *managed)
{
    if (managed == NULL)
        return;
    ev_timer_stop(managed->loop, &managed->timer);
    child_abandon(managed->child);
    for (size_t i = 0; i < ARRAY_COUNT(managed->texts); i++)
        free(managed->texts[i]);
    free(managed);
}

void
managed_reload(struct managed *managed)
{
    struct err err = { 0 };
    if (managed_write_config(&managed->config, &err) != ERR_NONE)
        log_warn("postgres.config", "reason=\"%s\"", err.text);
    if (managed->child != NULL)
        child_signal(managed->child, SIGHUP);
}

enum managed_state
managed_state(const struct managed *managed)
{
    return managed->state;
}

pid_t
managed_pid(const struct managed *managed)
{
    return managed->child == NULL ? 0 : child_pid(managed->child);
}

uint64_t
managed_restarts(const struct managed *managed)
{
    return managed->restarts;
}
