/*
 * admit.h -- may this node's database be used? Looked at each time the daemon's connection has
 * come, before anything else is done with it.
 *
 *   connected -> schema as this program knows it? -> settings, rights -> certificate there -> fit
 *                 | older, managed: migrate, when the order of upgrades allows it
 *                 | older, external: a person runs `baton schema upgrade`
 *                 | newer, or of another text: the daemon ends
 *
 * What is external is checked and gets its certificate; a managed server is as we set it. Until
 * the database is fit the node stays fenced, says why, and looks again: what a person mends needs
 * no restart.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/err.h"
#include "controller/loop/pq.h"

struct core;

#define ADMIT_AGAIN_MS       500
#define ADMIT_PROBE_AFTER_MS 10000 /* by then the role for it was made */
#define ADMIT_PROBE_S        "2"   /* a connection as another member would make it */

struct admit;

struct admit_options {
    struct core *core;          /* borrowed; with ctl, driver and worker when it is asked first */
    const char *owner_conninfo; /* borrowed; managed only */
    /* The first time that it is known whether the database is fit. */
    void (*concluded)(void *data);
    /* This program must not go on with this database. */
    void (*stop)(void *data, const struct err *err);
    void *data;
};

struct admit *admit_new(const struct admit_options *options);
/* After the connections and the worker are closed: nothing of it is under way then. */
void admit_free(struct admit *admit);

/* The state of core->ctl. */
void admit_connection(struct admit *admit, enum pq_state state, const struct err *err);
/* The node's certificate is another now. */
void admit_certificate(struct admit *admit);
/* Why the database is not fit, or NULL; borrowed until the next look. */
const struct err *admit_fault(const struct admit *admit);
/* The certificate could not be given to the server: why, or NULL. */
const struct err *admit_tls_fault(const struct admit *admit);

/*
 * May other members come in? A connection to the advertised address of our own database, with our
 * own certificate, as they would make it. 'err' NULL: yes. 'done' once, on the loop.
 */
typedef void admit_probe_fn(void *data, const struct err *err);
void admit_probe(struct core *core, admit_probe_fn *done, void *data);
