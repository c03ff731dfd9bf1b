/*
 * pg_fixture.h -- a real PostgreSQL for one test program: made in a temporary folder, run as
 * postgres when we are root, stopped and removed at the end.
 */
#pragma once

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/pq.h"
#include "controller/postgres/managed.h"

#define FIXTURE_CLUSTER_ID "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"

struct pg_fixture {
    char folder[64];
    char pg[80];
    char socket[96];
    char conninfo[256]; /* of the owner, database postgres */
    struct managed_config config;
    struct cert_pair ca;
    struct cert_pair node;
    pid_t pid; /* 0: stopped */
};

/*
 * A port for a server of this program alone. The socket that stays bound to it keeps it from every
 * other program of tests, and not from a server, which binds with SO_REUSEADDR as well. The kernel
 * gives none of them to an outgoing connection; the system tests have theirs above.
 */
static inline uint16_t
pg_fixture_port(void)
{
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(sock >= 0);
    for (;;) {
        uint16_t port;
        cert_random(&port, sizeof port);
        port = (uint16_t)(10000 + port % 10000);
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
        if (bind(sock, (struct sockaddr *)&address, sizeof address) != 0)
            continue;
        int on = 1;
        ASSERT(setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
        return port;
    }
}

static inline void
pg_fixture_must(enum err_code code, const struct err *err, const char *what)
{
    if (code != ERR_NONE) {
        (void)fprintf(stderr, "%s: %s (%s)\n", what, err->text, err->mend);
        abort();
    }
}

static inline void
pg_fixture_certificates(struct pg_fixture *fixture)
{
    struct err err = { 0 };
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    struct cert_subject subject = { .node = "east-1",
                                    .cluster_id = FIXTURE_CLUSTER_ID,
                                    .hosts = hosts,
                                    .host_count = ARRAY_COUNT(hosts) };
    char *csr = NULL;
    pg_fixture_must(cert_make_ca("demo", FIXTURE_CLUSTER_ID, &fixture->ca, &err), &err, "ca");
    pg_fixture_must(cert_make_key(&fixture->node.key, &err), &err, "key");
    pg_fixture_must(cert_make_csr(fixture->node.key, "east-1", &csr, &err), &err, "csr");
    pg_fixture_must(cert_sign(&fixture->ca, csr, &subject, &fixture->node.certificate, &err), &err,
                    "certificate");
    free(csr);
}

static inline void
pg_fixture_start(struct pg_fixture *fixture)
{
    struct err err = { 0 };
    pg_fixture_must(managed_start_blocking(&fixture->config, &fixture->pid, &err), &err, "start");
}

static inline void
pg_fixture_stop(struct pg_fixture *fixture)
{
    struct err err = { 0 };
    if (fixture->pid != 0)
        pg_fixture_must(managed_stop_blocking(&fixture->config, fixture->pid, &err), &err, "stop");
    fixture->pid = 0;
}

/* Folder, certificates, initdb; not started. */
static inline void
pg_fixture_make(struct pg_fixture *fixture)
{
    struct err err = { 0 };
    memset(fixture, 0, sizeof *fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/baton-test-XXXXXX");
    ASSERT(mkdtemp(fixture->folder) != NULL);
    ASSERT(chmod(fixture->folder, 0711) == 0);
    (void)snprintf(fixture->pg, sizeof fixture->pg, "%s/pg", fixture->folder);
    (void)snprintf(fixture->socket, sizeof fixture->socket, "%s/run", fixture->pg);
    fixture->config = (struct managed_config){
        .folder = fixture->pg,
        .socket = fixture->socket,
        .listen = "127.0.0.1",
        .port = pg_fixture_port(),
        .run_as = geteuid() == 0 ? "postgres" : NULL,
    };
    (void)snprintf(fixture->conninfo, sizeof fixture->conninfo,
                   "host=%s port=%u user=" MANAGED_OWNER " dbname=postgres", fixture->socket,
                   fixture->config.port);
    pg_fixture_certificates(fixture);
    pg_fixture_must(managed_make(&fixture->config, &err), &err, "make");
    pg_fixture_must(managed_install_tls(&fixture->config, fixture->ca.certificate,
                                        fixture->node.certificate, fixture->node.key, &err),
                    &err, "tls");
}

static inline void
pg_fixture_remove(struct pg_fixture *fixture)
{
    struct err err = { 0 };
    pg_fixture_stop(fixture);
    cert_pair_done(&fixture->ca);
    cert_pair_done(&fixture->node);
    pg_fixture_must(file_remove_tree(fixture->folder, &err), &err, "remove");
}

/* Runs the loop until '*flag' or the deadline; true when the flag is set. */
struct pg_fixture_wait {
    ev_check check;
    ev_timer alarm;
    const bool *flag;
    bool late;
};

static inline void
pg_fixture_on_check(struct ev_loop *loop, ev_check *check, int revents)
{
    (void)revents;
    struct pg_fixture_wait *wait = CONTAINER_OF(check, struct pg_fixture_wait, check);
    if (*wait->flag)
        ev_break(loop, EVBREAK_ALL);
}

static inline void
pg_fixture_on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)revents;
    CONTAINER_OF(alarm, struct pg_fixture_wait, alarm)->late = true;
    ev_break(loop, EVBREAK_ALL);
}

static inline bool
pg_fixture_until(struct ev_loop *loop, const bool *flag, unsigned ms)
{
    struct pg_fixture_wait wait = { .flag = flag };
    if (*flag)
        return true;
    ev_now_update(loop);
    ev_check_init(&wait.check, pg_fixture_on_check);
    ev_timer_init(&wait.alarm, pg_fixture_on_alarm, ms / 1000.0, 0.0);
    ev_check_start(loop, &wait.check);
    ev_timer_start(loop, &wait.alarm);
    while (!*flag && !wait.late)
        ev_run(loop, EVRUN_ONCE);
    ev_check_stop(loop, &wait.check);
    ev_timer_stop(loop, &wait.alarm);
    return *flag;
}
