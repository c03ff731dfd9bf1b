/*
 * world.h -- an invented world with its own time, in which nodes run the shipped machines of
 * sites/.
 *
 *   node   = daemon (sites/node, sites/promo, and an executor that does what batond does)
 *          + database (the rules of schema/migrations, in C)
 *   world  = nodes + network (delay, loss, cuts of one direction) + clients + one queue of events
 *
 * One seed and one list of commands make one history, event for event. Seed 0 has no chance in it:
 * every delay is the same each time, for stories that people read.
 *
 * After each event the invariants I1 to I8, I11 and I12 of docs/protocol.md are checked (check.c).
 * The first that breaks stops the world: world_violation() says which and how.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "sites/lease.h"
#include "sites/node.h"
#include "sites/promo.h"
#include "sites/quorum.h"
#include "sites/takeover.h"

#define WORLD_NODES_MAX    7
#define WORLD_ARBITERS_MAX 3
#define WORLD_NONE         UINT_MAX

/* Parts of a node, to crash and start. */
enum world_part { WORLD_DAEMON = 1, WORLD_DATABASE = 2, WORLD_BOTH = 3 };

/* What a cut separates: the daemons (HTTPS), the databases (replication), or both. */
enum world_line { WORLD_HTTPS = 1, WORLD_REPLICATION = 2, WORLD_LINES = 3 };

enum world_topic {
    WORLD_SAY_NODE,
    WORLD_SAY_PROMO,
    WORLD_SAY_WRITE,
    WORLD_SAY_WORLD,
    WORLD_SAY_LEASE,
    WORLD_SAY_ACT,
    WORLD_TOPICS
};

enum world_arbiter { WORLD_ARBITER_NONE, WORLD_ARBITER_WITNESS, WORLD_ARBITER_ETCD };

struct world_config {
    const char *names[WORLD_NODES_MAX]; /* ascending by bytes; borrowed while the world lives */
    size_t count;
    unsigned k;
    unsigned voters; /* bit of each voter; 0: all */
    uint64_t seed;
    bool settled;       /* begins at rest: the first node is primary of epoch 1 and all follow it */
    uint64_t poll_ms;   /* between two looks at the peers */
    uint64_t hold_ms;   /* a held write is given up after this */
    uint64_t lock_ms;   /* lock_timeout of the database's functions */
    uint64_t delay_ms;  /* of one message, at most 4 times that by chance */
    unsigned drift_ppm; /* a host's clock goes at most so much too fast or too slow */
    bool keeper;        /* a daemon that was killed is started again */
    bool managed;       /* the database is started by its daemon, and dies with it */
    bool connectors;    /* each node acts on the outside when it may */
    bool records;       /* promotions are recorded in the log, and Baton takes over by itself */
    enum world_arbiter arbiters[WORLD_ARBITERS_MAX];
    size_t arbiter_count;      /* the first is in use from the start; 0: a person decides */
    struct lease_config lease; /* but for 'arbiter' */
    uint64_t sync_wait_ms;     /* durability is 'available': fewer count after so long; 0: strict */
    struct takeover_settings takeover;    /* but for 'priority' ... */
    unsigned priorities[WORLD_NODES_MAX]; /* ... which each node has for itself */
    uint64_t timeout_ms;                  /* of one look at a peer */
    struct node_limits node_limits;
    struct promo_limits promo_limits;
};

/* Delays and deadlines for stories (long, round) or for storms (short). */
struct world_config world_config_story(void);
struct world_config world_config_storm(uint64_t seed);

struct world;
typedef void world_say(void *data, enum world_topic topic, const char *line);

struct world *world_new(const struct world_config *config);
void world_free(struct world *world);
void world_freep(struct world **holder);
void world_listen(struct world *world, world_say *say, void *data);

uint64_t world_now_ms(const struct world *world);
/* When the next event is; UINT64_MAX for never. */
uint64_t world_next_ms(const struct world *world);
/* The next event; false when a rule was broken before or by it. */
bool world_step(struct world *world);
/* All events up to and including 'until_ms'. */
bool world_run(struct world *world, uint64_t until_ms);
uint64_t world_event_count(const struct world *world);
/* NULL while nothing is broken. */
const char *world_violation(const struct world *world);

/* ---- commands: each takes effect at once ---- */

struct world_order {
    bool accept_data_loss;
    bool dry_run;
    bool connectors_fail; /* the servers that the target would use do not answer */
    unsigned overrides;   /* bit 1u << enum promo_check */
};
/* False when the node does not take the order (its daemon is down, or it runs one). */
bool world_promote(struct world *world, unsigned node, const struct world_order *order);
void world_crash(struct world *world, unsigned node, enum world_part parts);
void world_start(struct world *world, unsigned node, enum world_part parts);
/* SIGKILL of its daemon. */
void world_kill(struct world *world, unsigned node);
/* SIGSTOP, SIGCONT. */
void world_stop(struct world *world, unsigned node, enum world_part parts);
void world_continue(struct world *world, unsigned node, enum world_part parts);
/* The machine sleeps: its clock goes on, its timers do not, and nobody answers there. */
void world_suspend(struct world *world, unsigned node);
void world_resume(struct world *world, unsigned node);
/* Without power nobody answers, not even that nothing listens. */
void world_power(struct world *world, unsigned node, bool on);
/* A million is right. */
void world_set_rate(struct world *world, unsigned node, unsigned rate_ppm);
void world_step_wall(struct world *world, unsigned node, int64_t by_ms);
/* A crashed node is to start with the next schema. */
void world_upgrade(struct world *world, unsigned node);
/* An old copy of its data is put back while its database is down: the last 'rows' are gone. */
void world_forget(struct world *world, unsigned node, uint64_t rows);
/* A person with psql, past all that the gate asks of local.open(). */
void world_reopen(struct world *world, unsigned node);
/* Nothing passes from 'from' to 'to' any more. */
void world_cut(struct world *world, unsigned from, unsigned to, enum world_line lines);
void world_heal(struct world *world);
/* Of each message, in percent. Replication is a stream: it is delayed instead. */
void world_set_loss(struct world *world, unsigned percent);
/* A question between two daemons that comes twice, in percent. */
void world_set_double(struct world *world, unsigned percent);
/* Rows from 'publisher' to 'subscriber' wait while 'held'. */
void world_hold_stream(struct world *world, unsigned publisher, unsigned subscriber, bool held);
/* LOCK TABLE local.node by a person: what takes its row waits, and fails after a while. */
void world_lock(struct world *world, unsigned node, bool locked);
/* A client's write to the daemon of 'node', or past it, into its database. Returns its number. */
uint64_t world_write(struct world *world, unsigned node, bool direct);
/* The sync set that the primary is to come to. */
void world_want(struct world *world, unsigned k, unsigned voters);

/* The servers that the node would use answer, or do not; nothing that it does arrives. */
void world_servers(struct world *world, unsigned node, bool silent);
void world_outside_cut(struct world *world, unsigned node, bool cut);
void world_use_alternate(struct world *world, unsigned node, bool use);
/* No takeover by itself for so long; asked of 'node', which must be primary. */
bool world_pause(struct world *world, unsigned node, uint64_t for_ms);

/* ---- arbiters, by number from 0 ---- */

/* Chosen by a person, at the primary; WORLD_NONE: none. False: it is not primary, or at it.
 * Refused while it may not act, unless 'adopt' is the word that no other node does. */
bool world_choose_arbiter(struct world *world, unsigned node, unsigned arbiter, bool adopt);
void world_arbiter_cut(struct world *world, unsigned at, unsigned node, bool ask, bool answer);
void world_arbiter_power(struct world *world, unsigned at, bool on);
void world_arbiter_stop(struct world *world, unsigned at, bool stopped);
/* The lease ends before its time. */
void world_arbiter_revoke(struct world *world, unsigned at);
void world_arbiter_step(struct world *world, unsigned at, int64_t by_ms);
void world_arbiter_wipe(struct world *world, unsigned at);
void world_arbiter_backup(struct world *world, unsigned at);
void world_arbiter_restore(struct world *world, unsigned at);
/* No other node that runs acts by an arbiter, or asks one to: a person may say so. */
bool world_acts_alone(const struct world *world, unsigned node);
bool world_arbiter_is_well(const struct world *world, unsigned at);
/* That the last row of the primary's log chose; WORLD_NONE: none. */
unsigned world_arbiter_in_use(const struct world *world, unsigned node);

/* ---- questions ---- */

unsigned world_node(const struct world *world, const char *name); /* WORLD_NONE: no such node */
const char *world_name(const struct world *world, unsigned node);
size_t world_count(const struct world *world);
/* The node whose daemon is in PRIMARY, or WORLD_NONE. With two, the later epoch's. */
unsigned world_primary(const struct world *world);
enum node_state world_state(const struct world *world, unsigned node);
enum promo_state world_promo_state(const struct world *world, unsigned node);
bool world_is_up(const struct world *world, unsigned node, enum world_part part);
size_t world_set_aside(const struct world *world, unsigned node);
size_t world_epoch_count(const struct world *world); /* opened so far */
size_t world_acknowledged_count(const struct world *world);
struct world_counts {
    uint64_t takeovers; /* begun by Baton */
    uint64_t grants;    /* permissions to act that began, not those that were renewed */
    uint64_t effects;   /* that the outside took */
    uint64_t refused;   /* that it refused as too old */
};
struct world_counts world_counts(const struct world *world);
enum lease_state world_lease_state(const struct world *world, unsigned node);
/* "acknowledged", "unknown", "refused" or "waiting". */
const char *world_write_outcome(const struct world *world, uint64_t write);
/* One primary, all others follow it with the same log, nothing waits, nothing is lost. 'why' gets
 * what is not so. */
bool world_at_rest(struct world *world, struct buf *why);
/* One line for each node. */
void world_show(struct world *world, struct buf *into);
