/*
 * witness_inner.h -- what making and running a witness share: its folder and its certificates.
 */
#pragma once

#include "controller/daemon/home.h"
#include "controller/daemon/witness.h"
#include "controller/postgres/managed.h"

/* The name of its certificate, and of what has no better one. */
#define WITNESS_NAME "witness"

/* 'home' has what a node's has where it means the same. */
struct witness_home {
    struct home *home;             /* owned */
    char *pg_folder;               /* owned */
    struct managed_config managed; /* borrows from both */
};

MUST_CHECK enum err_code witness_home_load(const char *folder, struct witness_home *ret_home,
                                           struct err *err);
MUST_CHECK enum err_code witness_home_save(const struct home *home, struct err *err);
void witness_home_done(struct witness_home *home);

/* Reads and checks a cluster's CA (W7). The text, of the first certificate alone, and the cluster's
 * id are the caller's. */
MUST_CHECK enum err_code witness_read_ca(const char *path, char **ret_text, char **ret_cluster,
                                         struct err *err);
MUST_CHECK enum err_code witness_keep_ca(const struct home *home, const char *text,
                                         const char *cluster, struct err *err);
/* Signs for the key that is there, or for 'key' (NULL), in the name of 'advertise'. */
MUST_CHECK enum err_code witness_sign(const struct home *home, const struct cert_pair *ca,
                                      const char *key, char **ret_chain, struct err *err);
/* All clusters' CAs, our certificate and our key, to where PostgreSQL reads them. */
MUST_CHECK enum err_code witness_install_tls(const struct witness_home *witness, struct err *err);
