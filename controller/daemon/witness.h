/*
 * witness.h -- a witness: a small PostgreSQL in a third place that grants leases and does nothing
 * else. `baton witness init` makes it, `baton witness run` keeps it running.
 *
 *   witness.json           where it listens, and how it is reached
 *   ca.crt ca.key          a CA of its own, that signs nothing but this witness; ca.key 0400
 *   node.crt node.key      its certificate, which it renews itself
 *   clusters/ID.crt        the CAs of the clusters that it serves, a file each
 *   arbiter.json           what a cluster is given to find it: no secret
 *   batond.pid pg/         as in a node's data directory
 *
 *   W6  It holds no key of any cluster, and no cluster holds one of its keys: what crosses between
 *       them, once each way, is a certificate. It needs nothing of a cluster afterwards, and a
 *       cluster that has burnt down does not keep it from running, nor from renewing itself.
 *   W7  A CA that is let in must not be able to make another CA, and has a cluster's name that no
 *       other has: by that name, in the certificate of the one who asks, a row is given.
 *
 * Blocking, for the command line; witness_run() has the process for itself.
 */
#pragma once

#include <stddef.h>

#include "controller/base/err.h"
#include "controller/daemon/setup.h"

#define WITNESS_PORT         7445
#define WITNESS_CLUSTERS_MAX 64

struct witness_init {
    const char *folder;
    const char *listen;    /* ADDR:PORT; NULL: 0.0.0.0:7445 */
    const char *advertise; /* HOST[:PORT]; NULL: of 'listen', or the host's name */
    const char *run_as;    /* for PostgreSQL; NULL: ourselves, "postgres" when we are root */
    const char *const *cluster_ca; /* paths of the clusters' ca.crt */
    size_t cluster_ca_count;       /* at least 1 */
    setup_say_fn *say;
    void *data;
};

struct witness_answer {
    char *address; /* owned; HOST:PORT */
    char *arbiter; /* owned; path of arbiter.json */
    char pin[CERT_HEX_SIZE];
};
void witness_answer_done(struct witness_answer *answer);

/* All or nothing, as setup_init(). */
MUST_CHECK enum err_code witness_init(const struct witness_init *init,
                                      struct witness_answer *ret_answer, struct err *err);
/* One cluster more; a witness that runs takes it up by itself. '*ret_cluster' (its id) is the
 * caller's. ERR_CONFLICT: another CA of that name is there. */
MUST_CHECK enum err_code witness_add(const char *folder, const char *cluster_ca, char **ret_cluster,
                                     struct err *err);
/* Until SIGTERM or SIGINT: ERR_NONE. SIGHUP reads certificates again. */
MUST_CHECK enum err_code witness_run(const char *folder, struct err *err);
/* The schema for a PostgreSQL of one's own; the caller's. */
char *witness_schema(void);
