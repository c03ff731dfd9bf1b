/*
 * setup.h -- the work behind `baton init` and `baton join`, and the primary's half of a join.
 * Blocking: called by the CLI, never by the daemon, except setup_sign_join().
 *
 *   S1  All or nothing: what a failed run has made is removed, and nothing else is.
 *   S2  The data directory is empty or absent before; a node never overwrites another.
 *   S3  The node is left stopped, and fenced until batond has learned the epoch from its peers.
 *   S4  A join asks the primary last, when all that may fail here has worked: a token is not used
 *       up by a full disk.
 */
#pragma once

#include <json-c/json.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/daemon/token.h"
#include "controller/loop/cert.h"

#define SETUP_PASSWORD_SIZE     64
#define SETUP_PASSWORD_SIZE_MIN 12
#define SETUP_ADMIN             "admin"
#define SETUP_NODE_LENGTH_MAX   51 /* baton_n_NAME.999 is a role; PostgreSQL cuts names at 63 */

/* One line for each step, for a person who waits: "make the database". May be NULL. */
typedef void setup_say_fn(void *data, const char *text);

/* Of a new node; NULL and 0 mean the default. */
struct setup_node {
    const char *folder;       /* the data directory; needed */
    const char *node;         /* needed */
    const char *listen;       /* ADDR:PORT; 0.0.0.0:7443 */
    const char *advertise;    /* HOST:PORT; the listen address, or the host's name if that is any */
    const char *database;     /* "managed" or the DSN of a superuser; managed */
    const char *pg_listen;    /* address; the one of 'listen' */
    const char *pg_advertise; /* HOST[:PORT] of the database that others use; that of 'advertise',
                                 or of the DSN */
    uint16_t pg_port;         /* 7444 */
    const char *run_as;       /* user for PostgreSQL; ourselves, "postgres" when we are root */
    setup_say_fn *say;
    void *data;
};

struct setup_init {
    struct setup_node node;
    const char *cluster;        /* needed */
    const char *site;           /* needed */
    const char *admin_password; /* NULL: drawn, and returned */
};

struct setup_answer {
    char admin_password[SETUP_PASSWORD_SIZE]; /* "" when it was given */
    char cluster_id[40];
    char pin[CERT_HEX_SIZE]; /* of the CA, hexadecimal */
    char site[64];
    char cluster[64];
};

/* Founds a cluster: CA, node, database, schema, epoch 1, administrator. */
MUST_CHECK enum err_code setup_init(const struct setup_init *init, struct setup_answer *ret_answer,
                                    struct err *err);

/*
 * Adds this host to a cluster. The first address of the token that answers, with a CA of the
 * token's pin, is asked. ERR_DENIED: the token is unknown, used or expired, or the CA is another.
 */
MUST_CHECK enum err_code setup_join(const struct setup_node *node, const char *token,
                                    struct setup_answer *ret_answer, struct err *err);

/* ---- a cluster from a backup ---- */

struct archive;

struct setup_restore {
    struct setup_node node;
    const struct archive *archive; /* borrowed; proved, and may be restored (sites/backup.h) */
    const char *site;              /* NULL: that of the node of this name in the backup */
    const char *by;                /* who restores, for the log */
};

struct setup_restored {
    uint64_t epoch;
    size_t secrets; /* sealed anew */
    size_t users;   /* with their passwords */
    size_t locals;  /* local settings; none when the backup is of another node */
    bool arbiter;   /* there was one, and there is none now */
};

/*
 * Founds the cluster of the backup anew: the same name, id, configuration and revisions; another
 * CA, another data key, an epoch above all that were (B5). Its other members are removed from it:
 * their certificates are of the CA before. The first rows say what it was restored from.
 * ERR_INVALID slug "site_unknown": the backup knows no node of this name.
 */
MUST_CHECK enum err_code setup_restore(const struct setup_restore *restore,
                                       struct setup_answer *ret_answer,
                                       struct setup_restored *ret_restored, struct err *err);

/* ---- a newer Baton ---- */

struct setup_upgrade {
    const char *folder;   /* the data directory; batond is not running */
    const char *database; /* DSN of a superuser when it is external, else NULL */
    bool any_order;       /* also as the last primary, before the others */
    setup_say_fn *say;
    void *data;
};

struct setup_upgraded {
    unsigned from;
    unsigned to; /* equal: there was nothing to do */
};

/* The newest schema that this program knows. */
unsigned setup_schema(void);

/*
 * Migrates the schema of a stopped node: an external one, for batond has not the owner's rights, or
 * a managed one whose turn has not come. ERR_CONFLICT, slugs "in_use", "upgrade_order",
 * "schema_newer", "schema_changed", "other_database".
 */
MUST_CHECK enum err_code setup_upgrade(const struct setup_upgrade *upgrade,
                                       struct setup_upgraded *ret, struct err *err);

/* ---- the primary's half ---- */

/* What POST /v1/join carries, checked; texts are borrowed from the request. */
struct setup_request {
    const char *token_id;
    const char *secret;
    const char *node;
    const char *csr;
    const char *address; /* HOST:PORT that others will use */
    const char *pg_host;
    uint16_t pg_port;
    const char *pg_dbname;
};

/* ERR_INVALID names the member at fault. */
MUST_CHECK enum err_code setup_read_request(struct json_object *body,
                                            struct setup_request *ret_request, struct err *err);
/* The value of token/ID, as the log has it: {"hash","site","expires_ms","used_by"}. ERR_LOGIN says
 * only that it is refused, whatever the reason; '*ret_site' is borrowed from 'token'. */
MUST_CHECK enum err_code setup_check_token(struct json_object *token,
                                           const struct setup_request *request, int64_t now_ms,
                                           const char **ret_site, struct err *err);
/* A token may be good for one host alone: ERR_DENIED names it and the one of 'address' (HOST:PORT).
 * 'host' NULL or "" is any. */
MUST_CHECK enum err_code setup_check_host(const char *host, const char *address, struct err *err);
/*
 * Signs the CSR with the CA of data directory 'folder'. The certificate names the node, the hosts
 * of its address and PostgreSQL address, localhost and loopback, and nothing else from the asker.
 * 'generation' counts the nodes of this name (cert.h). '*ret_certificate' is the caller's.
 * ERR_LIMIT: the name has had too many.
 */
MUST_CHECK enum err_code setup_sign_join(const char *folder, const char *cluster_id,
                                         const struct setup_request *request, unsigned generation,
                                         char **ret_certificate, struct err *err);
/* Of the value of a key node/NAME. */
unsigned setup_generation(struct json_object *node);
/*
 * The answer to the new node; carries the CA's key, so it goes nowhere but into this TLS reply
 * (and must not be logged or cached). 'members': [{"node","address"}], reference taken.
 */
MUST_CHECK enum err_code setup_make_reply(const char *folder, const char *cluster,
                                          const char *cluster_id, const char *site,
                                          const char *certificate, struct json_object *members,
                                          struct json_object **ret_reply, struct err *err);
/* Renews our own certificate in 'folder' with the CA we hold, for the same key, so that one file
 * changes and a crash leaves a pair that fits. For the worker thread. */
MUST_CHECK enum err_code setup_renew(const char *folder, struct err *err);
