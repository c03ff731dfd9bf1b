/*
 * driver.h -- carries out what sites/node and sites/promo decide, and feeds them what happens.
 *
 *   peers' answers, our database, requests, alarms -> one event at a time -> node_step, promo_step
 *   effects -> SQL on our database, HTTPS to the peers, the writer, the connector servers
 *
 * A step is never entered again from inside itself: what answers at once is queued.
 */
#pragma once

#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/lease.h"
#include "sites/node.h"
#include "sites/promo.h"
#include "sites/shape.h"

struct core;
struct driver;
struct http_request;

/* Needs core->{loop, home, cache, tail, writer, ctl, attach, peers}. Nothing happens before
 * driver_start(). */
struct driver *driver_new(struct core *core);
void driver_free(struct driver *driver);
/* After a change of the settings it reads. */
void driver_refresh_limits(struct driver *driver);
/* The control connection came, and the database is fit (ready); or it went ('err' says why). */
void driver_database(struct driver *driver, bool ready, const struct err *err);
/* It answers, and must not be used. */
void driver_unfit(struct driver *driver, const char *why);
/* Reads the columns of local.node_position. */
MUST_CHECK bool driver_read_position(const PGresult *result, struct node_facts *facts);
/* What a member says of itself, GET /v1/peer/state. */
MUST_CHECK bool driver_facts_from_json(struct json_object *document, struct node_facts *ret);
/* May our schema become 'to' now (sites/upgrade.h)? 'own': our row, 'members': answer of
 * sql_members. False: 'text', of UPGRADE_TEXT_SIZE, says what it waits for. */
MUST_CHECK bool driver_may_upgrade(const struct driver *driver, const struct node_facts *own,
                                   const PGresult *members, unsigned to, char *text);
/* Days left of our certificate, for the view. */
void driver_certificate(struct driver *driver, int days);
void driver_start(struct driver *driver);
/* Stops taking part: fences nothing (a stopped primary is fenced at its next start), releases
 * nothing, answers no peer any more. */
void driver_stop(struct driver *driver);

/* The node's role and the promotion that runs or ran last here. Borrowed. */
const struct node *driver_node(const struct driver *driver);
const struct promo *driver_promo(const struct driver *driver);

/* Who is primary as far as this node knows now: name, "" when unknown; address "HOST:PORT". */
struct driver_primary {
    char name[NODE_NAME_SIZE];
    char address[300];
    struct epoch epoch;
    bool self;
};
struct driver_primary driver_primary(const struct driver *driver);
/* Whether the member has answered nothing here for so long: silent, or refused. */
bool driver_is_gone(const struct driver *driver, const char *node, uint64_t for_ms);
/* A request to the member was broken off: whether it is still there is asked at once. */
void driver_doubts(struct driver *driver, const char *node);
/* members.mode: may one more node join? 'ret_lost': the member whose place it takes; "" for none.
 * Errors as of pair_admit(). */
MUST_CHECK enum err_code driver_admit(const struct driver *driver, char ret_lost[NODE_NAME_SIZE],
                                      struct err *err);

/*
 * Who takes the role when 'target', a site or a node, is promoted: the node itself; of a site the
 * primary if it is there, ourselves if we are, else the one that is furthest of those that answer.
 * ERR_NOT_FOUND: no member has that name or site.
 */
struct driver_candidate {
    char node[NODE_NAME_SIZE];
    char site[SITE_NAME_SIZE];
};
MUST_CHECK enum err_code driver_candidate(struct driver *driver, const char *target,
                                          struct driver_candidate *ret, struct err *err);

/* Grows whenever anything that view.h shows has changed. */
uint64_t driver_generation(const struct driver *driver);

/*
 * An order of a person, of the shape of driver_order_members and already authenticated as
 * 'author'. When the target is another node, the order is passed on to it. 'done' gets the answer's
 * document ({"id"}, or the plan of a dry run; borrowed) or an error, once.
 */
extern const struct shape driver_order_members[];
extern const struct shape driver_arbiter_members[]; /* of driver_set_arbiter() */
typedef void driver_answer(void *data, struct json_object *document, const struct err *err);
void driver_promote(struct driver *driver, struct json_object *order, const char *author,
                    driver_answer *done, void *data);
/*
 * The document of GET /v1/promotions/{id}, live while it runs. An id names the node that runs it
 * ("west-1.5f3a90c2"), and is asked there. ERR_NOT_FOUND when that node does not know it (any
 * more): ended promotions are the keys promotion/EPOCH of the shared log.
 */
void driver_promotion(struct driver *driver, const char *id, driver_answer *done, void *data);

/*
 * Requests of other members below /v1/peer/ (write is the API's): answers the request in any case.
 * 'peer' is the name in the verified certificate, a member's, not removed.
 */
void driver_serve_peer(struct driver *driver, struct http_request *request, const char *peer);

/* The local setting check.interval_ms of another member; 0: the cluster's holds there, or it did
 * not tell. */
uint64_t driver_check_own_ms(const struct driver *driver, const char *member);

/* Wakes on changes for event streams: role changes, promotion progress. One listener. */
typedef void driver_event(void *data, const char *kind, struct json_object *document);
void driver_on_event(struct driver *driver, driver_event *listener, void *data);

/*
 * {"arbiter": {"kind", ...}, "adopt": bool, "reason"}: who grants the lease from now on. Any node
 * may be asked; the primary does it. 'done' gets {"revision","arbiter"}, or ERR_INVALID,
 * ERR_CONFLICT (arbiter_has_record), ERR_UNAVAILABLE (arbiter_unreachable, no_primary).
 */
void driver_set_arbiter(struct driver *driver, struct json_object *document, const char *author,
                        driver_answer *done, void *data);
/* {"node","kind","arbiter","set","state","reason","alarm","trouble","may_act",
 * "left_ms","record":{"epoch","released","remaining_ms","age_ms"}|null}; owned by the caller. */
struct json_object *driver_lease_json(struct driver *driver);

/* Since the start, for /metrics. */
struct driver_counters {
    uint64_t arbiter_replies[LEASE_OP_COUNT][LEASE_RESULT_COUNT];
    uint64_t arbiter_us; /* that they took together */
    uint64_t leases_lost;
    uint64_t suspicions;   /* times that the primary had no answer */
    uint64_t takeovers;    /* begun here */
    uint64_t degradations; /* times that the arbiter was told that fewer acknowledgements count */
};
const struct driver_counters *driver_counters(const struct driver *driver);

/* Of driver_test_arbiter(): {"arbiter": {"kind", ...}}, or {} for the one in force. */
extern const struct shape driver_test_members[];
/*
 * Asks an arbiter from every member, or from 'only' one (not NULL): 'done' gets {"nodes":[{"node",
 * "site","error","answer":{"ok","result","text","mend","ms","record"}}]}, or ERR_INVALID, or
 * ERR_CONFLICT (no_arbiter).
 */
void driver_test_arbiter(struct driver *driver, const char *only, struct json_object *document,
                         driver_answer *done, void *data);

/* Why each member, or 'only' one (not NULL), takes over by itself, or does not: 'done' gets
 * {"nodes":[{"node","site","error","answer":{"node","site","primary","decision","because",
 * "wait_ms","place","able","rules":[{"name","verdict","text"}]}}]}. */
void driver_why(struct driver *driver, const char *only, driver_answer *done, void *data);
/* Our own answer of that; owned by the caller. */
struct json_object *driver_why_json(struct driver *driver);

/*
 * Asks every other member and the arbiter so often as members do, by the time-outs in force: 'done'
 * gets {"node","paths":[{"name","kind","settings","limit_ms","requests","answered",
 * "connect_timeouts","request_timeouts","errors","min_ms","median_ms","max_ms","state","text"}],
 * "faults":[{"pointer","text"}]}, the faults of setting_bound_faults().
 */
#define DRIVER_CHECK_MAX 100 /* requests */
void driver_check_timeouts(struct driver *driver, uint64_t requests, driver_answer *done,
                           void *data);
