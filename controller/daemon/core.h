/*
 * core.h -- the parts of a running batond, and who reaches whom. Made by batond.c, borrowed by all.
 *
 *   http server -> api -> { cache, writer, driver, view }      (requests)
 *   driver <-> { node, promo }                                 (decisions, pure)
 *   driver -> { ctl, peers, writer, activation }               (effects)
 *   tail -> { cache, driver, api }                             (what is committed here)
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "controller/base/err.h"
#include "controller/daemon/home.h"

struct acting;
struct admit;
struct api;
struct cache;
struct driver;
struct fetch_client;
struct http_server;
struct managed;
struct notices;
struct pq;
struct prover;
struct secrets;
struct registry;
struct tail;
struct worker;
struct writer;

struct core {
    struct ev_loop *loop;       /* borrowed: the default loop */
    struct home *home;          /* owned, as the rest */
    struct worker *worker;      /* slow hashing, fsync of rendered files */
    struct managed *managed;    /* NULL when the database is external */
    struct admit *admit;        /* is the database fit? */
    unsigned schema;            /* what our database has, as last looked at; 0 before */
    bool database_fit;          /* admit says so; false while it is away */
    struct pq *ctl;             /* role baton, synchronous_commit=local: local.* only */
    struct pq *attach;          /* the same, for slots and subscriptions, which may take seconds */
    struct fetch_client *peers; /* to the other members, with our certificate */
    struct cache *cache;
    struct tail *tail;
    struct writer *writer;
    struct driver *driver;
    struct secrets *secrets;
    struct acting *acting;     /* which connector server, and making it so */
    struct prover *prover;     /* what each member has proved of its servers */
    struct registry *registry; /* instances of the connectors */
    struct notices *notices;   /* who is told when one is in trouble */
    struct api *api;
    struct http_server *server;
    bool stopping;
};
