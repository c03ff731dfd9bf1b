/*
 * probe.h -- asks every connector server, in use or not, whether it would answer.
 *
 * Main and alternate of each connector are probed alike: the alternate that was never tried is the
 * one that fails on the day it is needed. A probe is one GET of url + probe.path over a new TLS
 * connection, so that an expired certificate shows at the next probe and not at the next failover;
 * and where the connector says probe.targets_path, one more over the same connection: every one of
 * its target connectors has to be listed there (P5). HTTPS only; no redirect is followed, no proxy
 * asked. Of the answers nothing is kept but the status, a version that the first tells as JSON
 * ("version"), and which of the wanted names the second lacks: who may read probes does not so
 * learn what else a server says. The connector says whom to trust: its CA, its pin, both, or else
 * the system's CAs.
 *
 * A result older than PROBE_STALE_INTERVALS intervals says nothing any more: it is shown as stale
 * and never as good. At most PROBE_PARALLEL_MAX probes run at once, the most overdue first.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/activation/sign.h"
#include "controller/base/err.h"
#include "sites/connector.h"
#include "sites/effective.h"
#include "sites/epoch.h"

#define PROBE_PARALLEL_MAX    16
#define PROBE_STALE_INTERVALS 3
#define PROBE_TEXT_SIZE       ERR_TEXT_SIZE
#define PROBE_REPLY_SIZE_MAX  (256UL * 1024)
#define PROBE_TARGETS_MAX     2000
#define PROBE_VERSION_SIZE    33

enum probe_state {
    PROBE_UNKNOWN, /* not probed yet, or not configured */
    PROBE_OK,
    PROBE_FAILED,
    PROBE_STALE, /* the last result is too old to count */
};

/* How far a probe came: what stands before the step that failed was well, the rest is not known. */
enum probe_step {
    PROBE_STEP_REACH, /* name, address, connection */
    PROBE_STEP_TLS,   /* chain and pin */
    PROBE_STEP_HEALTH,
    PROBE_STEP_TARGETS,
    PROBE_STEP_ALL, /* nothing failed */
};

struct probe_result {
    bool ok; /* state is PROBE_OK */
    enum probe_state state;
    char text[PROBE_TEXT_SIZE]; /* "200 in 12 ms", "connection refused", ... */
    uint64_t latency_ms;        /* 0 when nothing answered */
    uint64_t at_ms;             /* clock_now_ms() at its end; 0 for never */
    unsigned failure_count;     /* in a row */
    enum probe_step step;       /* OK, FAILED: the one that failed */
    bool targets_asked;         /* the connector names target connectors and where to ask */
    int64_t not_after_s;        /* end of the server's certificate, since 1970; 0: not known */
    char version[PROBE_VERSION_SIZE]; /* as the server tells; "" when it tells none */
    bool fenced; /* the last answer proved that the server refuses lower epochs (sign.h) */
};

/* What requests say of us (sign.h). */
struct probe_self {
    const char *cluster;    /* id of the cluster */
    const char *node;       /* copied, both */
    sign_secret_fn *secret; /* NULL: no secrets here */
    void *data;             /* borrowed, for 'secret' */
};

struct probe_settings {
    uint64_t interval_ms; /* where the connector sets none */
    uint64_t timeout_ms;
    uint64_t longest_ms; /* a longer interval of a connector is cut to it; 0: it is not */
};

/* A result that differs from the one before in 'state' or 'step'; called from the loop, and may
 * call everything here but probe_close(). 'server' is MAIN or ALTERNATE. */
typedef void probe_changed_fn(void *data, const char *connector, enum effective_server server,
                              const struct probe_result *result);

struct prober;

/* 'changed' may be NULL. 'seed' spreads the probes of several nodes. */
struct prober *probe_open(struct ev_loop *loop, const struct probe_settings *settings,
                          uint64_t seed, probe_changed_fn *changed, void *data);
void probe_close(struct prober *prober);
void probe_configure(struct prober *prober, const struct probe_settings *settings);
/* Before the first probe_want(); without it requests say nothing of us. */
void probe_identify(struct prober *prober, const struct probe_self *self);
/* The epoch that requests carry from now on; a receiver may refuse one that is over. */
void probe_epoch(struct prober *prober, const struct epoch *epoch);

/* The whole list; documents are not kept. A server whose address, trust or path changed starts anew
 * as unknown, and is probed at once. */
struct probe_desired {
    const char *connector;
    struct json_object *document; /* NULL: none, or none that is allowed */
    uint64_t revision;            /* of the document, which is read once for each; 0: every time */
};
void probe_want(struct prober *prober, const struct probe_desired *list, size_t count);

/* Always fills '*ret'; PROBE_UNKNOWN for what is not probed. */
void probe_view(const struct prober *prober, const char *connector, enum effective_server server,
                struct probe_result *ret);

const char *probe_state_name(enum probe_state state);
