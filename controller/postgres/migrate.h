/*
 * migrate.h -- brings the schema of this node's database to what this program needs.
 *
 * Forward only: each migration is one transaction that also records its checksum in
 * local.migration. Refused, with nothing changed: a database that is newer than this program, and
 * a recorded migration whose text was edited since.
 *
 * Secondaries are migrated before the primary: rows of a newer schema must find their columns. When
 * a node's turn has come is said by sites/upgrade.h; nobody follows a newer one (I14,
 * sites/node.h).
 */
#pragma once

#include <libpq-fe.h>

#include "controller/base/err.h"
#include "controller/loop/worker.h"

/* The version that this program needs. */
unsigned migrate_newest(void);

/* Blocking. 0: nothing was ever migrated here. */
MUST_CHECK enum err_code migrate_version(PGconn *connection, unsigned *ret_version,
                                         struct err *err);
/*
 * Blocking, as the owner. '*ret_applied' (may be NULL) counts what was applied now.
 * ERR_CONFLICT, slug "schema_newer" or "schema_changed"; else the database's error, with the
 * migration's name.
 */
MUST_CHECK enum err_code migrate_run(PGconn *connection, unsigned *ret_applied, struct err *err);

/*
 * On the loop, through the daemon's own connection: what the database has. 'version' below
 * migrate_newest(): it is to be migrated first. 'err': as migrate_run(), or nothing came.
 */
struct pq;
typedef void migrate_look_fn(void *data, unsigned version, const struct err *err);
void migrate_look(struct pq *pq, migrate_look_fn *done, void *data);

/* The same for the loop: connects and runs on the worker thread; 'done' is called once. */
typedef void migrate_done_fn(void *data, unsigned applied, const struct err *err);
MUST_CHECK enum err_code migrate_start(struct worker *worker, const char *conninfo,
                                       migrate_done_fn *done, void *data, struct err *err);

/* The same for the database of a witness: its own list, and nodes come by certificate. */
MUST_CHECK enum err_code migrate_run_witness(PGconn *connection, unsigned *ret_applied,
                                             struct err *err);
MUST_CHECK enum err_code migrate_start_witness(struct worker *worker, const char *conninfo,
                                               migrate_done_fn *done, void *data, struct err *err);
