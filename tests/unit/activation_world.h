/*
 * activation_world.h -- what the activation tests share: a folder, scripts, a connector, the loop.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/worker.h"
#include "sites/connector.h"

#define WORLD_PATIENCE_MS 90000

struct world {
    struct ev_loop *loop;
    struct worker *worker;
    char folder[64];
};

static inline struct world *
world_new(void)
{
    struct world *world = mem_zero(1, sizeof *world);
    struct err err;
    world->loop = ev_default_loop(EVFLAG_AUTO);
    assert_int_equal(worker_open(world->loop, &world->worker, &err), ERR_NONE);
    assert_true(str_copy(world->folder, sizeof world->folder, "/tmp/baton-act-XXXXXX"));
    assert_non_null(mkdtemp(world->folder));
    return world;
}

static inline void
world_free(struct world *world)
{
    struct err err;
    worker_close(world->worker);
    assert_int_equal(file_remove_tree(world->folder, &err), ERR_NONE);
    free(world);
}

/* Owned by the caller. */
static inline char *
world_path(const struct world *world, const char *name)
{
    return str_printf("%s/%s", world->folder, name);
}

static inline void
world_put(const struct world *world, const char *name, const char *text, mode_t mode)
{
    struct err err;
    char *path = world_path(world, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode, (uid_t)-1, (gid_t)-1, &err),
                     ERR_NONE);
    free(path);
}

/* "" when there is no such file; owned by the caller. */
static inline char *
world_get(const struct world *world, const char *name)
{
    struct err err;
    struct buf text = { 0 };
    char *path = world_path(world, name);
    enum err_code code = file_read(path, 1 << 20, &text, &err);
    assert_true(code == ERR_NONE || code == ERR_NOT_FOUND);
    free(path);
    return buf_take(&text);
}

static inline bool
world_has(const struct world *world, const char *name, const char *text)
{
    char *now = world_get(world, name);
    bool has = strstr(now, text) != NULL;
    free(now);
    return has;
}

static inline void
world_on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)alarm, (void)revents;
}

/* Runs the loop until the condition holds; false when it does not within WORLD_PATIENCE_MS. The
 * tick only looks again: what is waited for comes by its own event. */
static inline bool
world_until(struct world *world, bool (*holds)(void *data), void *data)
{
    uint64_t end_ms = clock_now_ms() + WORLD_PATIENCE_MS;
    ev_timer tick;
    ev_timer_init(&tick, world_on_alarm, 0.01, 0.01);
    ev_timer_start(world->loop, &tick);
    bool held;
    while (!(held = holds(data)) && clock_now_ms() < end_ms)
        (void)ev_run(world->loop, EVRUN_ONCE);
    ev_timer_stop(world->loop, &tick);
    return held;
}

/* A connector with both servers and these actions (the inside of a JSON list). */
static inline struct json_object *
world_document(const char *actions)
{
    struct json_object *document = NULL;
    struct err err;
    char *text = str_printf("{\"main\":{\"url\":\"https://tcf1.east:8443/\","
                            "\"credential\":\"secret/pam-main\"},"
                            "\"alternate\":{\"url\":\"https://tcf2.west/\"},\"activation\":[%s]}",
                            actions);
    assert_int_equal(json_read(text, strlen(text), &document, &err), ERR_NONE);
    free(text);
    return document;
}
