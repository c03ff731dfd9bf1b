/*
 * arbiter_world.h -- for tests: a real PostgreSQL with the schema of the witness, and a real etcd,
 * both over TLS, behind one table of what can befall them.
 *
 * The PostgreSQL runs under libfaketime, so that its clock can be put forward and back. etcd's
 * cannot (it is no C program): there a lease runs out because it is revoked, or in its own time.
 */
#pragma once

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/json.h"
#include "controller/loop/child.h"
#include "controller/loop/fetch.h"
#include "controller/postgres/managed_inner.h"
#include "controller/postgres/migrate.h"
#include "tests/unit/pg_fixture.h"

#define WORLD_CLUSTER      FIXTURE_CLUSTER_ID
#define WORLD_OTHER        "0b9d8a3e-5c2f-4b7e-8f3a-6d1c2b3a4f5e"
#define WORLD_LEASE_MS     5000
#define WORLD_DEADLINE_MS  20000 /* of calls that must succeed on a busy machine */
#define WORLD_PATIENCE_MS  90000
#define WORLD_DSN_SIZE     256
#define WORLD_STEP_MS      10
#define WORLD_FAKETIME     "/usr/lib/*/faketime/libfaketime.so.1"
#define WORLD_ETCD_PROGRAM "/usr/bin/etcd"

/* Certificate and key as files. */
struct world_identity {
    char cert[128];
    char key[128];
};

struct world {
    const char *name;
    struct ev_loop *loop; /* borrowed */
    char folder[64];
    struct cert_pair arbiter_ca; /* signs the server */
    struct cert_pair cluster_ca; /* signs the nodes */
    struct cert_pair other_ca;   /* of another cluster, which shares the witness */
    struct world_identity east;
    struct world_identity west;
    struct world_identity other;  /* a node east-1 of the other cluster */
    struct world_identity nobody; /* an east-1 of a CA that the arbiter does not know */
    char server_cert[128];
    char server_key[128];
    uint16_t port;

    void (*start)(struct world *world);
    void (*stop)(struct world *world);
    void (*backup)(struct world *world);  /* as it is now */
    void (*restore)(struct world *world); /* what was backed up */
    void (*wipe)(struct world *world);
    void (*expire)(struct world *world);                   /* the lease that is there */
    void (*put_clock)(struct world *world, int64_t by_ms); /* NULL: not possible here */
    void (*hang)(struct world *world, bool on);            /* does not answer */
    void (*spoil)(struct world *world);                    /* NULL: not possible here */
    void (*config)(const struct world *world, const char *hosts[], const uint16_t ports[],
                   size_t count, struct arbiter_config *ret);

    /* of the PostgreSQL */
    struct pg_fixture pg;
    char clock_path[128];
    int64_t clock_ms;
    PGconn *owner;   /* owned */
    PGconn *blocker; /* owned; holds the row */
    /* of the etcd */
    pid_t pid;
    uint16_t peer_port;
    int start_count;
};

/* ---- files and certificates ---- */

static inline void
world_write(const char *path, const char *text, mode_t mode)
{
    struct err err = { 0 };
    pg_fixture_must(file_write_atomic(path, text, strlen(text), mode, (uid_t)-1, (gid_t)-1, &err),
                    &err, path);
}

static inline void
world_identity_make(struct world *world, struct world_identity *identity,
                    const struct cert_pair *ca, const char *cluster, const char *node,
                    const char *file)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    struct cert_subject subject = {
        .node = node, .cluster_id = cluster, .hosts = hosts, .host_count = ARRAY_COUNT(hosts)
    };
    struct err err = { 0 };
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(freep) char *csr = NULL;
    CLEANUP(freep) char *certificate = NULL;
    pg_fixture_must(cert_make_key(&key, &err), &err, "key");
    pg_fixture_must(cert_make_csr(key, node, &csr, &err), &err, "csr");
    pg_fixture_must(cert_sign(ca, csr, &subject, &certificate, &err), &err, "sign");
    (void)snprintf(identity->cert, sizeof identity->cert, "%s/%s.crt", world->folder, file);
    (void)snprintf(identity->key, sizeof identity->key, "%s/%s.key", world->folder, file);
    world_write(identity->cert, certificate, 0444);
    world_write(identity->key, key, 0400);
}

static inline char *
world_read(const char *path)
{
    struct buf text = { 0 };
    struct err err = { 0 };
    pg_fixture_must(file_read(path, 1 << 20, &text, &err), &err, path);
    return buf_take(&text);
}

static inline void
world_certificates(struct world *world)
{
    struct err err = { 0 };
    struct cert_pair stranger = { 0 };
    struct world_identity server;
    pg_fixture_must(cert_make_ca("third", "third-place", &world->arbiter_ca, &err), &err, "ca");
    pg_fixture_must(cert_make_ca("demo", WORLD_CLUSTER, &world->cluster_ca, &err), &err, "ca");
    pg_fixture_must(cert_make_ca("other", WORLD_OTHER, &world->other_ca, &err), &err, "ca");
    pg_fixture_must(cert_make_ca("stranger", WORLD_CLUSTER, &stranger, &err), &err, "ca");
    world_identity_make(world, &server, &world->arbiter_ca, "third-place", "third", "server");
    world_identity_make(world, &world->east, &world->cluster_ca, WORLD_CLUSTER, "east-1", "east");
    world_identity_make(world, &world->west, &world->cluster_ca, WORLD_CLUSTER, "west-1", "west");
    world_identity_make(world, &world->other, &world->other_ca, WORLD_OTHER, "east-1", "other");
    world_identity_make(world, &world->nobody, &stranger, WORLD_CLUSTER, "east-1", "nobody");
    memcpy(world->server_cert, server.cert, sizeof server.cert);
    memcpy(world->server_key, server.key, sizeof server.key);
    cert_pair_done(&stranger);
}

static inline void
world_run(const char *const *argv)
{
    struct err err = { 0 };
    char *output = NULL;
    struct child_options options = { .argv = argv, .deadline_ms = WORLD_PATIENCE_MS };
    pg_fixture_must(child_run(&options, &output, &err), &err, argv[0]);
    free(output);
}

static inline void
world_copy(const char *from, const char *to)
{
    struct err err = { 0 };
    pg_fixture_must(file_remove_tree(to, &err), &err, to);
    world_run((const char *const[]){ "/bin/cp", "-a", from, to, NULL });
}

/* One look at a condition that has a deadline and cannot be waited for. */
static inline void
world_look_again(uint64_t until_ms, const char *what)
{
    if (clock_now_ms() >= until_ms) {
        (void)fprintf(stderr, "not in time: %s\n", what);
        abort();
    }
    (void)poll(NULL, 0, WORLD_STEP_MS);
}

/* ---- PostgreSQL ---- */

static inline void
world_sql(struct world *world, const char *sql)
{
    struct err err = { 0 };
    pg_fixture_must(pq_run_blocking(world->owner, sql, 0, NULL, NULL, &err), &err, sql);
}

static inline void
world_pg_connect(struct world *world, PGconn **ret)
{
    struct err err = { 0 };
    CLEANUP(freep) char *conninfo = str_printf("%s dbname=baton", world->pg.conninfo);
    pg_fixture_must(pq_connect_blocking(conninfo, ret, &err), &err, "connect");
}

/* As managed_start_blocking(), with another clock. */
static inline void
world_pg_spawn(struct world *world)
{
    struct managed_command command;
    struct err err = { 0 };
    glob_t found = { 0 };
    bool ready = false;
    pid_t pid = 0;
    if (glob(WORLD_FAKETIME, 0, NULL, &found) != 0) {
        (void)fprintf(stderr, "libfaketime is missing: make deps\n");
        abort();
    }
    CLEANUP(freep) char *preload = str_printf("LD_PRELOAD=%s", found.gl_pathv[0]);
    CLEANUP(freep) char *clock = str_printf("FAKETIME_TIMESTAMP_FILE=%s", world->clock_path);
    const char *const environment[] = { "PATH=/usr/bin:/bin",
                                        "LC_ALL=C",
                                        "FAKETIME_NO_CACHE=1",
                                        "FAKETIME_DONT_FAKE_MONOTONIC=1",
                                        "DONT_FAKE_MONOTONIC=1",
                                        preload,
                                        clock,
                                        NULL };
    globfree(&found);
    pg_fixture_must(managed_prepare(&world->pg.config, &err), &err, "prepare");
    pg_fixture_must(managed_command_init(&command, &world->pg.config, &err), &err, "command");
    command.options.envp = environment;
    pg_fixture_must(child_spawn(&command.options, &world->pg.pid, &err), &err, "spawn");
    managed_command_done(&command);
    for (uint64_t until = clock_now_ms() + WORLD_PATIENCE_MS;
         !managed_read_pid(&world->pg.config, &pid, &ready) || pid != world->pg.pid || !ready;)
        world_look_again(until, "PostgreSQL is ready");
}

static inline void
world_pg_start(struct world *world)
{
    world_pg_spawn(world);
    world_pg_connect(world, &world->owner);
}

static inline void
world_pg_stop(struct world *world)
{
    pq_finishp(&world->blocker);
    pq_finishp(&world->owner);
    pg_fixture_stop(&world->pg);
}

static inline void
world_pg_backup(struct world *world)
{
    CLEANUP(freep) char *from = str_printf("%s/data", world->pg.pg);
    CLEANUP(freep) char *to = str_printf("%s/backup", world->pg.folder);
    world_pg_stop(world);
    world_copy(from, to);
    world_pg_start(world);
}

static inline void
world_pg_restore(struct world *world)
{
    CLEANUP(freep) char *to = str_printf("%s/data", world->pg.pg);
    CLEANUP(freep) char *from = str_printf("%s/backup", world->pg.folder);
    world_pg_stop(world);
    world_copy(from, to);
    world_pg_start(world);
}

static inline void
world_pg_wipe(struct world *world)
{
    world_sql(world, "truncate witness.lease");
}

static inline void
world_pg_put_clock(struct world *world, int64_t by_ms)
{
    char text[64];
    world->clock_ms += by_ms;
    (void)snprintf(text, sizeof text, "%+.3f\n", (double)world->clock_ms / 1000);
    world_write(world->clock_path, text, 0444);
}

static inline void
world_pg_expire(struct world *world)
{
    world_pg_put_clock(world, WORLD_LEASE_MS + 1);
}

/* Somebody holds the row: the ask waits, like one that a full disk or a lost route keeps. */
static inline void
world_pg_hang(struct world *world, bool on)
{
    struct err err = { 0 };
    pq_finishp(&world->blocker);
    if (!on)
        return;
    world_pg_connect(world, &world->blocker);
    pg_fixture_must(pq_run_blocking(world->blocker, "begin; select from witness.lease for update",
                                    0, NULL, NULL, &err),
                    &err, "block");
}

static inline void
world_pg_config(const struct world *world, const char *hosts[], const uint16_t ports[],
                size_t count, struct arbiter_config *ret)
{
    char dsn[WORLD_DSN_SIZE] = "host=";
    size_t used = strlen(dsn);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(dsn + used, sizeof dsn - used, "%s%s", i > 0 ? "," : "", hosts[i]);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(dsn + used, sizeof dsn - used, "%s%u",
                                 i > 0 ? "," : " port=", ports[i]);
    *ret = (struct arbiter_config){ .kind = ARBITER_POSTGRES,
                                    .dsn = str_dup(dsn),
                                    .ca = str_dup(world->arbiter_ca.certificate) };
}

static inline void
world_pg_open(struct world *world)
{
    struct err err = { 0 };
    pg_fixture_make(&world->pg);
    world->pg.config.witness = true;
    world->port = world->pg.config.port;
    (void)snprintf(world->clock_path, sizeof world->clock_path, "%s/clock", world->pg.folder);
    world_pg_put_clock(world, 0);
    CLEANUP(freep)
    char *trusted = str_printf("%s%s", world->cluster_ca.certificate, world->other_ca.certificate);
    CLEANUP(freep) char *cert = world_read(world->server_cert);
    CLEANUP(freep) char *key = world_read(world->server_key);
    pg_fixture_must(managed_install_tls(&world->pg.config, trusted, cert, key, &err), &err, "tls");
    world_pg_spawn(world);
    PGconn *first = NULL;
    pg_fixture_must(pq_connect_blocking(world->pg.conninfo, &first, &err), &err, "connect");
    pg_fixture_must(pq_run_blocking(first, "create database baton", 0, NULL, NULL, &err), &err,
                    "create");
    PQfinish(first);
    world_pg_connect(world, &world->owner);
    pg_fixture_must(migrate_run_witness(world->owner, NULL, &err), &err, "schema");
}

/* ---- etcd ---- */

static inline void
world_etcd_ask(struct world *world, const char *path, const char *body, struct fetch_reply *reply,
               struct err *err)
{
    char url[128];
    struct fetch_trust trust = { .tls = { .ca = world->arbiter_ca.certificate,
                                          .cert = world->east.cert,
                                          .key = world->east.key } };
    struct fetch_request request = { .method = "POST",
                                     .url = url,
                                     .body = body,
                                     .body_size = strlen(body),
                                     .timeout_ms = WORLD_DEADLINE_MS };
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u%s", world->port, path);
    memset(reply, 0, sizeof *reply);
    (void)err_set(err, ERR_NONE, "", "%s", "");
    if (fetch_once(&trust, &request, reply, err) == ERR_NONE && reply->status != 200)
        (void)err_set(err, ERR_IO, "etcd", "status %d: %s", reply->status, buf_text(&reply->body));
}

static inline void
world_etcd_must(struct world *world, const char *path, const char *body, struct fetch_reply *reply)
{
    struct err err;
    world_etcd_ask(world, path, body, reply, &err);
    pg_fixture_must(err.code, &err, path);
}

static inline void
world_etcd_start(struct world *world)
{
    char own[64];
    char peer[64];
    CLEANUP(freep) char *data = str_printf("%s/etcd", world->folder);
    CLEANUP(freep) char *log = str_printf("%s/etcd.log", world->folder);
    CLEANUP(freep) char *trusted = str_printf("%s/trusted.crt", world->folder);
    CLEANUP(freep) char *cluster = str_printf("third=http://127.0.0.1:%u", world->peer_port);
    (void)snprintf(own, sizeof own, "https://127.0.0.1:%u", world->port);
    (void)snprintf(peer, sizeof peer, "http://127.0.0.1:%u", world->peer_port);
    const char *argv[] = { WORLD_ETCD_PROGRAM,
                           "--name",
                           "third",
                           "--data-dir",
                           data,
                           "--listen-client-urls",
                           own,
                           "--advertise-client-urls",
                           own,
                           "--listen-peer-urls",
                           peer,
                           "--initial-advertise-peer-urls",
                           peer,
                           "--initial-cluster",
                           cluster,
                           "--heartbeat-interval",
                           "20",
                           "--election-timeout",
                           "200",
                           "--cert-file",
                           world->server_cert,
                           "--key-file",
                           world->server_key,
                           "--client-cert-auth",
                           "--trusted-ca-file",
                           trusted,
                           "--logger",
                           "zap",
                           NULL };
    struct child_options options = { .argv = argv, .output_path = log };
    struct err err = { 0 };
    struct fetch_reply reply;
    CLEANUP(freep)
    char *both = str_printf("%s%s", world->cluster_ca.certificate, world->arbiter_ca.certificate);
    world_write(trusted, both, 0444); /* its gateway is a client of its own, by the same key */
    pg_fixture_must(child_spawn(&options, &world->pid, &err), &err, "etcd");
    for (uint64_t until = clock_now_ms() + WORLD_PATIENCE_MS;;) {
        world_etcd_ask(world, "/v3/kv/range", "{\"key\":\"YQ==\"}", &reply, &err);
        fetch_reply_done(&reply);
        if (err.code == ERR_NONE)
            return;
        world_look_again(until, err.text);
    }
}

static inline void
world_etcd_stop(struct world *world)
{
    int status;
    (void)kill(world->pid, SIGCONT);
    (void)kill(world->pid, SIGKILL);
    ASSERT(waitpid(world->pid, &status, 0) == world->pid);
    world->pid = 0;
}

static inline void
world_etcd_backup(struct world *world)
{
    CLEANUP(freep) char *from = str_printf("%s/etcd", world->folder);
    CLEANUP(freep) char *to = str_printf("%s/etcd.backup", world->folder);
    world_etcd_stop(world);
    world_copy(from, to);
    world_etcd_start(world);
}

static inline void
world_etcd_restore(struct world *world)
{
    CLEANUP(freep) char *to = str_printf("%s/etcd", world->folder);
    CLEANUP(freep) char *from = str_printf("%s/etcd.backup", world->folder);
    world_etcd_stop(world);
    world_copy(from, to);
    world_etcd_start(world);
}

static inline void
world_etcd_wipe(struct world *world)
{
    struct fetch_reply reply; /* "baton/" up to "baton0" */
    world_etcd_must(world, "/v3/kv/deleterange",
                    "{\"key\":\"YmF0b24v\",\"range_end\":\"YmF0b24w\"}", &reply);
    fetch_reply_done(&reply);
}

/* All leases: there are no others. */
static inline void
world_etcd_expire(struct world *world)
{
    struct fetch_reply reply;
    struct json_object *answer = NULL;
    struct err err = { 0 };
    world_etcd_must(world, "/v3/lease/leases", "{}", &reply);
    pg_fixture_must(json_read(buf_text(&reply.body), reply.body.size, &answer, &err), &err,
                    "leases");
    fetch_reply_done(&reply);
    struct json_object *leases = json_get(answer, "leases");
    for (size_t i = 0; leases != NULL && i < json_object_array_length(leases); i++) {
        const char *id = NULL;
        assert_true(json_get_string(json_object_array_get_idx(leases, i), "ID", &id));
        CLEANUP(freep) char *body = str_printf("{\"ID\":\"%s\"}", id);
        world_etcd_ask(world, "/v3/lease/revoke", body, &reply, &err); /* or it just ran out */
        fetch_reply_done(&reply);
    }
    json_object_put(answer);
}

static inline void
world_etcd_hang(struct world *world, bool on)
{
    (void)kill(world->pid, on ? SIGSTOP : SIGCONT);
}

static inline void
world_etcd_spoil(struct world *world)
{
    struct fetch_reply reply; /* baton/CLUSTER/record = {"epoch":true} */
    uint8_t key[] = "baton/" WORLD_CLUSTER "/record";
    CLEANUP(freep) char *text = str_base64url(key, sizeof key - 1);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '-' ? '+' : *at == '_' ? '/' : *at;
    CLEANUP(freep)
    char *body = str_printf("{\"key\":\"%s%.*s\",\"value\":\"eyJlcG9jaCI6dHJ1ZX0=\"}", text,
                            (int)((4 - strlen(text) % 4) % 4), "===");
    world_etcd_must(world, "/v3/kv/put", body, &reply);
    fetch_reply_done(&reply);
}

static inline void
world_etcd_config(const struct world *world, const char *hosts[], const uint16_t ports[],
                  size_t count, struct arbiter_config *ret)
{
    *ret = (struct arbiter_config){ .kind = ARBITER_ETCD,
                                    .ca = str_dup(world->arbiter_ca.certificate) };
    for (size_t i = 0; i < count; i++)
        ret->endpoints[ret->endpoint_count++] = str_printf("https://%s:%u", hosts[i], ports[i]);
}

/* ---- both ---- */

static inline struct world *
world_open(const char *name)
{
    struct world *world = mem_zero(1, sizeof *world);
    bool postgres = strcmp(name, "postgres") == 0;
    world->name = name;
    world->loop = ev_default_loop(EVFLAG_AUTO);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/baton-test-XXXXXX");
    ASSERT(mkdtemp(world->folder) != NULL);
    world_certificates(world);
    if (postgres) {
        world->start = world_pg_start;
        world->stop = world_pg_stop;
        world->backup = world_pg_backup;
        world->restore = world_pg_restore;
        world->wipe = world_pg_wipe;
        world->expire = world_pg_expire;
        world->put_clock = world_pg_put_clock;
        world->hang = world_pg_hang;
        world->config = world_pg_config;
        world_pg_open(world);
        return world;
    }
    world->start = world_etcd_start;
    world->stop = world_etcd_stop;
    world->backup = world_etcd_backup;
    world->restore = world_etcd_restore;
    world->wipe = world_etcd_wipe;
    world->expire = world_etcd_expire;
    world->hang = world_etcd_hang;
    world->spoil = world_etcd_spoil;
    world->config = world_etcd_config;
    world->port = pg_fixture_port();
    do
        world->peer_port = pg_fixture_port();
    while (world->peer_port == world->port);
    world->start(world);
    return world;
}

static inline void
world_close(struct world *world)
{
    struct err err = { 0 };
    world->stop(world);
    if (world->put_clock != NULL)
        pg_fixture_remove(&world->pg);
    pg_fixture_must(file_remove_tree(world->folder, &err), &err, "remove");
    cert_pair_done(&world->arbiter_ca);
    cert_pair_done(&world->cluster_ca);
    cert_pair_done(&world->other_ca);
    free(world);
}
