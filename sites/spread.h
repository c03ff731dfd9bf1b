/*
 * spread.h -- over which instances of a connector requests are spread, and in which place of a
 * proxy each stands (A1). Pure: what was heard and what the proxy says come in as values.
 *
 *   instances --instance_spread()--> targets --+
 *                                              +--> spread_plan() --> one act for each place
 *   the proxy's places, as they are now -------+
 *
 * A proxy has a number of places, each for one instance; nothing of them is remembered here: a
 * place is an instance's by its address alone. So what somebody changed, or a proxy forgot when it
 * was restarted, is seen in the next comparison, and put right by the same rules.
 *
 *   R1  Only who is connected and well gets requests; and nobody does where the connector is not in
 *       use.
 *   R2  A node that has not had time to hear of all takes nobody out because it has not heard of
 *       him: a daemon that starts again costs no instance its work.
 *   R3  Who is in stays in his place. Who comes gets his old place, else one that nobody uses.
 *   R4  Who goes gets nobody new; what is connected to him may stay for 'drain_ms', then the place
 *       is free. A place in which somebody still finishes is nobody else's.
 *   R5  No address has two places, and that of the server in use has none: else it would get twice
 *       its share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPREAD_COUNT_MAX 256 /* of targets, and of places */

#define SPREAD_HOST_SIZE    46 /* an IPv6 address as text, with its NUL */
#define SPREAD_ADDRESS_SIZE 56 /* "[2001:db8::7]:8443" */

/* Where an instance takes requests. */
struct spread_address {
    char host[SPREAD_HOST_SIZE]; /* a number, as inet_ntop() writes it; "": nowhere */
    uint16_t port;
};

/*
 * Reads "192.0.2.7:8443" or "[2001:db8::7]:8443". NULL when it is one, else what is wrong with it.
 * No server stands at an unspecified, link-local or multicast address (address.h), or one that is
 * written as IPv4 within IPv6.
 */
const char *spread_address_read(const char *text, struct spread_address *ret);
/* "192.0.2.7:8443"; "" for nowhere. */
const char *spread_address_text(const struct spread_address *address,
                                char text[SPREAD_ADDRESS_SIZE]);
bool spread_address_equal(const struct spread_address *one, const struct spread_address *other);

/* An instance, as this node heard of it. */
struct spread_target {
    struct spread_address at;
    bool takes; /* connected and well */
};

/* One place of a proxy, as it is. */
enum spread_state { SPREAD_IN, SPREAD_DRAINING, SPREAD_OUT };
struct spread_place {
    enum spread_state state;
    struct spread_address at; /* where it sends requests; anything while nobody uses it */
    uint64_t since_ms;        /* it has been in 'state' for so long */
};

/* What has to be; all borrowed. */
struct spread_goal {
    const struct spread_target *targets; /* at most SPREAD_COUNT_MAX; no address twice */
    size_t target_count;
    bool settled;                        /* whoever is not among them is gone (R2) */
    bool in_use;                         /* the connector is in use here */
    const struct spread_address *server; /* that is in use beside them, or NULL */
    uint64_t drain_ms;                   /* 0: who goes is cut */
};

enum spread_act {
    SPREAD_STAY,
    SPREAD_LET_IN, /* to 'at', which may be where it is */
    SPREAD_DRAIN,
    SPREAD_CUT,
};
struct spread_step {
    enum spread_act act;
    struct spread_address at; /* LET_IN */
};

struct spread_sum {
    size_t placed;     /* who takes requests and has a place, after the steps */
    size_t left_out;   /* who takes requests and has none */
    uint64_t again_ms; /* look again after so long, when a drain is over; 0: there is none */
};

/* How many takers a proxy has, and places for them. */
struct spread_room {
    size_t takers; /* who takes requests and ought to have a place */
    size_t places;
};
/*
 * How many of them get no place before another is gone for good; 0: all do, if not at once. Who
 * waits for a place in which somebody finishes (R4) is not counted.
 */
size_t spread_short(const struct spread_room *room);

/* Writes one step for each place. 'count' at most SPREAD_COUNT_MAX. */
struct spread_sum spread_plan(const struct spread_goal *goal, const struct spread_place *places,
                              size_t count, struct spread_step *steps);
