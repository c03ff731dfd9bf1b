/*
 * daemon_world.h -- the database of one node for a test: PostgreSQL, schema, epoch 1 opened.
 */
#pragma once

#include <libpq-fe.h>

#include "controller/base/json.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/tail.h"
#include "controller/daemon/writer.h"
#include "controller/postgres/migrate.h"
#include "sites/setting.h"
#include "sql.h"
#include "tests/unit/pg_fixture.h"

#define WORLD_PATIENCE_MS 90000

struct daemon_world {
    struct pg_fixture fixture;
    struct ev_loop *loop;
    PGconn *owner;      /* database baton, as its owner */
    char conninfo[256]; /* of role baton */
    struct err err;
};

/* One statement as the owner; the first column of the first row, "" when there is none. */
static inline char *
world_sql(struct daemon_world *world, const char *sql)
{
    static char value[16384];
    PGresult *result = NULL;
    pg_fixture_must(pq_run_blocking(world->owner, sql, 0, NULL, &result, &world->err), &world->err,
                    sql);
    (void)snprintf(value, sizeof value, "%s",
                   PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

/* Returns when the postmaster has begun it, and so is through with any before. */
static inline void
world_reload(struct daemon_world *world)
{
    CLEANUP(freep)
    char *before =
        str_printf("%s", world_sql(world, "select pg_conf_load_time(), pg_reload_conf()"));
    while (strcmp(world_sql(world, "select pg_conf_load_time()"), before) == 0)
        continue;
}

/* From here on every COMMIT waits: the checkpointer has seen the names when a checkpoint has begun
 * after the reload. */
static inline void
world_nobody_acknowledges(struct daemon_world *world)
{
    (void)world_sql(world, "alter system set synchronous_standby_names = 'nobody'");
    world_reload(world);
    world_reload(world);
    (void)world_sql(world, "checkpoint");
}

static inline void
world_all_acknowledge(struct daemon_world *world)
{
    (void)world_sql(world, "alter system reset synchronous_standby_names");
    world_reload(world);
}

static inline void
world_open_epoch(struct daemon_world *world, unsigned epoch)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "select * from local.capture(%u, 'east-1')", epoch);
    (void)world_sql(world, sql);
    (void)snprintf(sql, sizeof sql, "select * from local.open(%u, 'east-1')", epoch);
    (void)world_sql(world, sql);
    (void)snprintf(sql, sizeof sql,
                   "select shared.write('[{\"author\":\"east-1\",\"changes\":[{\"key\":\"epoch\","
                   "\"value\":{\"number\":%u,\"holder\":\"east-1\"}}]}]')",
                   epoch);
    (void)world_sql(world, sql);
}

static inline void
world_make(struct daemon_world *world)
{
    struct err *err = &world->err;
    char conninfo[256];
    PGconn *postgres = NULL;
    memset(world, 0, sizeof *world);
    pg_fixture_make(&world->fixture);
    pg_fixture_start(&world->fixture);
    pg_fixture_must(pq_connect_blocking(world->fixture.conninfo, &postgres, err), err, "connect");
    pg_fixture_must(pq_run_blocking(postgres, "create database baton", 0, NULL, NULL, err), err,
                    "database");
    PQfinish(postgres);
    (void)snprintf(conninfo, sizeof conninfo, "host=%s port=%u dbname=baton user=" MANAGED_OWNER,
                   world->fixture.socket, world->fixture.config.port);
    (void)snprintf(world->conninfo, sizeof world->conninfo,
                   "host=%s port=%u dbname=baton user=baton", world->fixture.socket,
                   world->fixture.config.port);
    pg_fixture_must(pq_connect_blocking(conninfo, &world->owner, err), err, "owner");
    pg_fixture_must(migrate_run(world->owner, NULL, err), err, "migrate");

    struct json_object *rules = setting_rules_json();
    const char *loaded[] = { json_text(rules) };
    pg_fixture_must(pq_run_blocking(world->owner, sql_key_rules_load, 1, loaded, NULL, err), err,
                    "rules");
    (void)json_object_put(rules);
    const char *node[] = { FIXTURE_CLUSTER_ID, "east-1", "east" };
    pg_fixture_must(pq_run_blocking(world->owner, sql_node_init, 3, node, NULL, err), err, "node");
    world_open_epoch(world, 1);
    world->loop = ev_default_loop(0);
}

static inline void
world_remove(struct daemon_world *world)
{
    PQfinish(world->owner);
    pg_fixture_remove(&world->fixture);
    ev_loop_destroy(world->loop);
}

/* Runs the loop until the function says yes; false: the deadline came first. */
static inline bool
world_until(struct daemon_world *world, bool (*is_so)(void *data), void *data)
{
    uint64_t end_ms = clock_now_ms() + WORLD_PATIENCE_MS;
    bool never = false;
    while (!is_so(data)) {
        if (clock_now_ms() > end_ms)
            return false;
        (void)pg_fixture_until(world->loop, &never, 2);
    }
    return true;
}

/* ---- one write and what became of it ---- */

struct world_write {
    bool done;
    unsigned count;
    struct writer_result result;
    struct err err; /* code ERR_NONE: acknowledged */
};

static inline void
world_on_write(void *data, const struct writer_result *result, const struct err *err)
{
    struct world_write *write = data;
    write->count++;
    write->done = true;
    write->err = err == NULL ? (struct err){ .code = ERR_NONE } : *err;
    if (result != NULL)
        write->result = *result;
}

static inline bool
world_write_is_done(void *data)
{
    return ((struct world_write *)data)->done;
}

static inline struct json_object *
world_group(const char *key, const char *value)
{
    struct json_object *group = writer_group("anna", "test");
    writer_group_put(group, key, "", json_object_new_string(value), WRITER_ANY_REVISION);
    return group;
}
