/*
 * home.h -- the data directory of a node, and node.json in it.
 *
 *   node.json             who we are; below
 *   ca.crt ca.key         of the cluster; ca.key 0400
 *   node.crt node.key     ours; node.key 0400
 *   seal.key              0400; the node's own key to the secrets (secrets.h)
 *   batond.pid            locked while batond runs
 *   db.password           external database only, 0400
 *   db.ca                 external database only: sslrootcert of its DSN, and our ca.crt
 *   pg/data pg/run pg/log pg/tls/{ca.crt,server.crt,server.key}   managed database only; belong to
 *                         its user
 *
 * The folder is 0700, or 0711 when a managed database runs as another user, who must pass through.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define HOME_PEERS_MAX     64
#define HOME_JSON_SIZE_MAX 65536
#define HOME_PG_PORT       7444
#define HOME_PORT          7443
#define HOME_MANAGED       "managed"

struct home_peer {
    char *node;    /* owned */
    char *address; /* owned; HOST:PORT of its HTTPS API */
};

struct home {
    char *folder;        /* owned; absolute */
    char *cluster;       /* owned */
    char *cluster_id;    /* owned; UUID */
    char *node;          /* owned */
    unsigned generation; /* of our login (cert.h); from 1 */
    char *site;          /* owned */
    char *listen;        /* owned; ADDR:PORT */
    char *advertise;     /* owned; HOST:PORT that others use */
    char *database;      /* owned; HOME_MANAGED, or the conninfo of an external server */
    struct {
        uint16_t port;
        char *listen; /* owned; address that PostgreSQL listens on */
        char *run_as; /* owned; user that PostgreSQL runs as; NULL: as we are */
        char *socket; /* owned; folder of its socket */
        char *dbname; /* owned */
        char *host;   /* owned; that other members use; NULL: the one of 'advertise' */
    } pg;
    struct home_peer *peers; /* owned; last known members without us */
    size_t peer_count;
};

/*
 * ERR_NOT_FOUND: no node here (mend: baton init, baton join). ERR_INVALID: node.json is wrong,
 * with the member at fault. ERR_DENIED: not ours to read.
 */
MUST_CHECK enum err_code home_load(const char *folder, struct home **ret_home, struct err *err);
/* Writes node.json; a crash leaves the old or the new one. */
MUST_CHECK enum err_code home_save(const struct home *home, struct err *err);
void home_free(struct home *home);
void home_freep(struct home **holder);
/* Copies; saves only when something changed. */
MUST_CHECK enum err_code home_set_peers(struct home *home, const struct home_peer *peers,
                                        size_t count, struct err *err);

bool home_managed(const struct home *home);
/* "D/name"; the caller's. */
char *home_path(const struct home *home, const char *name);
/*
 * Connection string for a role of the local database ("baton", "baton_owner"): socket folder when
 * managed, else the external server with the password of db.password. The caller's, may be secret.
 */
MUST_CHECK enum err_code home_conninfo(const struct home *home, const char *role,
                                       char **ret_conninfo, struct err *err);
/*
 * To a connection string made of 'dsn', whose sslrootcert may know nothing of our cluster: db.ca
 * instead, with both. When a server shows the node's certificate, as other members ask it to, our
 * own connections must believe it, too. What cannot be read is left to libpq, which says so.
 */
MUST_CHECK enum err_code home_add_roots(const struct home *home, const char *dsn,
                                        struct buf *conninfo, struct err *err);
/* CA, certificate and key as the database's server names them in its subscriptions: absolute paths
 * when managed, else below the server's data directory, see local.tls_install(). The caller's. */
void home_database_tls(const struct home *home, char *ret_paths[3]);
/*
 * Takes D/batond.pid: at most one batond, or one offline command, uses the folder. The lock ends
 * with the descriptor (close) or the process. Blocks for up to a second while another has it.
 * ERR_CONFLICT names the pid that holds it.
 */
MUST_CHECK enum err_code home_lock(const struct home *home, int *ret_descriptor, struct err *err);

/* A name or an address, without brackets and port. */
bool home_is_host(const char *host);
/* "ADDR:PORT", "[v6]:PORT", "HOST:PORT"; a missing port is 'port_default'. '*ret_host' is the
 * caller's, without brackets. */
MUST_CHECK enum err_code home_split_address(const char *text, uint16_t port_default,
                                            char **ret_host, uint16_t *ret_port, struct err *err);
