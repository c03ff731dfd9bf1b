/*
 * setup_inner.h -- what the parts of setup share: a node in the making, and how it is undone.
 */
#pragma once

#include <libpq-fe.h>
#include <sys/types.h>

#include "controller/daemon/home.h"
#include "controller/daemon/setup.h"
#include "controller/postgres/managed.h"

#define SETUP_HOSTS_MAX 8

struct setup {
    const struct setup_node *node; /* borrowed; as asked for */
    struct home *home;             /* owned */
    char *pg_folder;               /* owned; D/pg */
    struct managed_config managed; /* borrows from home and pg_folder */
    pid_t pid;                     /* of the temporary PostgreSQL; 0: none */
    bool folder_made;              /* the data directory did not exist before */
    bool folder_taken;             /* what is in it now is ours */
    mode_t folder_mode;            /* that an existing one had */
    char *admin;                   /* owned, secret; conninfo of an external server's superuser */
    char *pg_host;                 /* owned; that other members use */
    uint16_t pg_port;
    bool database_made;  /* external: ours to drop */
    unsigned roles_made; /* external: one bit for each of its roles */
};

/*
 * setup_init.c: a cluster's beginning, from nothing (init) or from a backup (restore): its CA and
 * the certificate of its first node.
 */
struct setup_founding {
    struct cert_pair ca; /* owned */
    char *key;           /* owned, secret */
    char *certificate;   /* owned */
    char *chain;         /* owned; certificate and CA */
    struct cert_info ca_info;
};
MUST_CHECK enum err_code setup_founding_make(struct setup *setup, struct setup_founding *founding,
                                             struct err *err);
void setup_founding_done(struct setup_founding *founding);
/* {"key","value"} at the end of a list: of a key that must not exist, or whatever it was. Take
 * 'value'. */
void setup_add_new(struct json_object *changes, const char *key, struct json_object *value);
void setup_add_change(struct json_object *changes, const char *key, struct json_object *value);
/* node/NAME of this node, and sync/set with nobody else in it; the caller's. */
struct json_object *setup_node_value(const struct setup *setup, const char *now);
struct json_object *setup_quorum_value(const struct home *home);

struct setup_first {
    uint64_t epoch;
    const char *holder;
    const char *author;
    const char *reason;
    struct json_object *changes; /* borrowed; that of 'epoch' is the first */
};
/* Opens the epoch and writes its first rows, as one group: a cluster is there whole or not at all.
 * The node is fenced afterwards (S3). */
MUST_CHECK enum err_code setup_write_first(PGconn *connection, const struct setup_first *first,
                                           struct err *err);
/* 'password' "" when nobody is to be told of one. */
void setup_fill_answer(const struct setup *setup, const struct setup_founding *founding,
                       const char *password, struct setup_answer *answer);

/* What a node has from its cluster. */
struct setup_identity {
    struct cert_pair ca; /* owned */
    char *chain;         /* owned; the node's certificate and the CA's */
};

/*
 * setup_join.c: the primary's answer. The primary is authenticated by then; the answer is checked
 * all the same, for it becomes our identity. Fills the peers of 'home'. ERR_PROTOCOL, ERR_INVALID,
 * ERR_DENIED: what is wrong with it.
 */
MUST_CHECK enum err_code setup_take_answer(struct json_object *answer, const struct token *token,
                                           const char *key, struct home *home,
                                           struct setup_identity *ret_identity, struct err *err);

/* Checks what was asked for and fills 'home' (without cluster id); makes nothing. */
MUST_CHECK enum err_code setup_plan(struct setup *setup, const struct setup_node *node,
                                    const char *cluster, const char *site, struct err *err);
/* Takes the data directory, which must be empty or absent (S2). */
MUST_CHECK enum err_code setup_take_folder(struct setup *setup, struct err *err);
/* Frees; unless 'code' is ERR_NONE, first undoes all that was made (S1). */
void setup_end(struct setup *setup, enum err_code code);
/* Tells the person, and stops here with ERR_CANCELLED when a signal came meanwhile. */
MUST_CHECK enum err_code setup_step(struct setup *setup, struct err *err, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Certificates and keys into the data directory; 'chain' is our certificate and then the CA's. */
MUST_CHECK enum err_code setup_save_identity(const struct setup *setup, const struct cert_pair *ca,
                                             const char *chain, const char *key, struct err *err);
/* Names that a certificate of this node carries; the texts borrow from 'hosts_text'. */
size_t setup_hosts(const char *address, const char *pg_host, char *owned[2],
                   const char *hosts[SETUP_HOSTS_MAX]);
/* False for a name of an external server that means only this host to itself. */
bool setup_host_is_public(const char *host);
/* {"host","port","dbname"} of the database, for node/NAME. */
struct json_object *setup_pg_json(const struct setup *setup);

/*
 * Makes the database with its schema and the row of this node, and connects as its owner. A
 * managed server needs TLS files to start: 'identity' and 'ca' may be provisional.
 */
MUST_CHECK enum err_code setup_make_database(struct setup *setup, const char *ca_certificate,
                                             const char *certificate, const char *key,
                                             PGconn **ret_connection, struct err *err);
/* To a managed server that runs. */
MUST_CHECK enum err_code setup_connect_owner(const struct setup *setup, const char *database,
                                             PGconn **ret_connection, struct err *err);
/* Stops a managed server; checks that the daemon's role may log in to an external one. */
MUST_CHECK enum err_code setup_leave_database(struct setup *setup, struct err *err);
void setup_undo_database(struct setup *setup);

/*
 * setup_external.c: the same on a server that is not ours, with a superuser's connection string.
 *
 * It gets the roles and the database; batond gives it the node's certificate when it starts, and
 * whenever that is renewed.
 */
MUST_CHECK enum err_code setup_external_make(struct setup *setup, struct err *err);
MUST_CHECK enum err_code setup_external_connect(struct setup *setup, PGconn **ret_connection,
                                                struct err *err);
/* Draws the password of role baton and keeps it in D/db.password. */
MUST_CHECK enum err_code setup_external_password(struct setup *setup, PGconn *connection,
                                                 struct err *err);
/* The daemon's role can log in and has what it needs. */
MUST_CHECK enum err_code setup_external_check(struct setup *setup, struct err *err);
void setup_external_undo(struct setup *setup);
