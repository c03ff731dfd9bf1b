/*
 * takeover.h -- may this node become primary by itself, now? Pure policy: what is known comes in, a
 * verdict for each rule and a sentence about it come out ("baton why"), and from them the decision.
 *
 *   any rule FAIL -> NEVER (as things are),   else any WAIT -> WAIT,   else START
 *
 * Speed without a bet: what is acknowledged needs no clock (the capture keeps it), so a promotion
 * may begin as soon as the primary is known to be gone, before its lease has run out; it acts on
 * the outside when lease.h lets it. Gone means one of:
 *
 *   proof    every path to it is refused, for every member that answers, another one among them
 *            where there is one: its host says that nothing listens there any more
 *   lease    the arbiter says that its lease has run out or was released, and no member that
 *            answers still meets it as primary
 *   silence  (unguarded only: without an arbiter) nobody has an answer of it
 *
 * Silence alone is no proof: who hears nothing may be the one that is cut off. Nor is what was seen
 * before we stood still: a sight is good for as long as any other fact, from its question on.
 *
 *   I13 Only a voter of the record in force, that received until the primary was lost, and whose
 *       history was compared not long before, takes over by itself, and by what it saw lately.
 * The members decide each for itself. Who is not the best candidate waits a step longer for each
 * better one that can; two that start all the same do no harm: the later epoch wins.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/lease.h"
#include "sites/node.h"
#include "sites/quorum.h"

#define TAKEOVER_TEXT_SIZE   224
#define TAKEOVER_RECENT_MAX  64      /* automatic takeovers that are looked back on */
#define TAKEOVER_HOUR_MS     3600000 /* of takeover.per_hour_max */
#define TAKEOVER_STEP_MS_MIN 100     /* that a node waits for each better one */

/* ---- what is known ---- */

#define TAKEOVER_PATH_TABLE(X)                                                                     \
    X(UNTRIED, "not tried")                                                                        \
    X(ACTS, "answers as primary") /* HTTPS only */                                                 \
    X(ANSWERS, "answers")         /* but not as primary; also an error, or a refusal to say */     \
    X(SILENT, "silent")           /* no answer in time */                                          \
    X(REFUSED, "refused")         /* or the connection was ended: nothing listens there */

enum takeover_path_kind {
#define X(name, text) TAKEOVER_PATH_##name,
    TAKEOVER_PATH_TABLE(X)
#undef X
        TAKEOVER_PATH_COUNT
};
/* "refused" and so on: also what peers tell each other. */
const char *takeover_path_name(enum takeover_path_kind kind);
/* False when it is no kind's name. */
MUST_CHECK bool takeover_path_parse(const char *name, enum takeover_path_kind *ret_kind);

struct takeover_path {
    enum takeover_path_kind kind;
    uint64_t since_ms; /* when it was first so without a break, on our clock */
    uint64_t asked_ms; /* when the last question began that this answers; not when it was heard */
};
/*
 * What came of a question that began at 'asked_ms'. Who did not look for longer than 'fresh_ms'
 * (its process stood still, its machine slept) does not know what was meanwhile: it counts anew.
 */
void takeover_see(struct takeover_path *path, enum takeover_path_kind kind, uint64_t asked_ms,
                  uint64_t now_ms, uint64_t fresh_ms);
/* Whether it says something of now (I13): asked for lately; an answer that lay here while we stood
 * still was not. Silence takes a timeout, and the next question waits for it. */
MUST_CHECK bool takeover_path_is_fresh(const struct takeover_path *path, uint64_t now_ms,
                                       uint64_t fresh_ms);

/* What one member sees of the primary; UNTRIED when it looks at another one. */
struct takeover_sight {
    struct takeover_path https;
    struct takeover_path postgres;
};

struct takeover_peer {
    bool heard;
    uint64_t heard_ms;
    struct node_facts facts;
    unsigned priority;
    bool able; /* it says that it could take over, but for order and evidence */
    struct takeover_sight sight;
};

enum takeover_how { TAKEOVER_AUTOMATIC, TAKEOVER_MANUAL, TAKEOVER_UNGUARDED };

struct takeover_settings {
    enum takeover_how within_site;
    enum takeover_how across_sites;
    uint64_t delay_ms;
    uint64_t cooldown_ms;
    uint64_t per_hour_max;
    unsigned priority;  /* of this node */
    uint64_t fresh_ms;  /* what was heard longer ago is not known any more */
    uint64_t digest_ms; /* a comparison of histories is good for so long */
};
struct setting_source;
/* By this node's own setting, else by that of its site. */
uint64_t takeover_delay_ms(const struct setting_source *source);
struct takeover_settings takeover_settings_from(const struct setting_source *source);

enum takeover_digest { TAKEOVER_DIGEST_UNKNOWN, TAKEOVER_DIGEST_SAME, TAKEOVER_DIGEST_DIFFERENT };

struct takeover_view {
    uint64_t now_ms;
    struct takeover_settings settings;
    struct node_facts own;
    bool database; /* ours answers */

    char primary[NODE_NAME_SIZE]; /* the last one heard of; "" for none since this start */
    char primary_site[SITE_NAME_SIZE];
    uint64_t primary_ms; /* when it last answered as primary */
    struct takeover_sight sight;
    uint64_t streamed_ms; /* when our subscription to it last received; 0: never */
    enum takeover_digest digest;
    uint64_t digest_ms; /* when it was compared */

    const struct takeover_peer *peers; /* borrowed; all other members; the primary is passed over */
    size_t peer_count;
    const struct quorum_record *record; /* borrowed; in force, with what the arbiter was told */
    const struct lease *lease;          /* borrowed */
    bool connectors_ready;
    const char *connectors_text; /* borrowed */

    uint64_t paused_until_ms; /* also one that is over; 0: there was none lately */
    const char *pause_text;   /* borrowed; who and why; may be NULL */
    /* how long ago Baton last took over by itself, here or elsewhere in the cluster; newest first
     */
    uint64_t recent_ago_ms[TAKEOVER_RECENT_MAX];
    size_t recent_count;
};

/* ---- what follows from it ---- */

/*    symbol, name */
#define TAKEOVER_RULE_TABLE(X)                                                                     \
    X(ROLE, "role")             /* a standby with a database */                                    \
    X(PRIMARY, "primary")       /* who was primary is known */                                     \
    X(SETTING, "setting")       /* it is set to be automatic for this step */                      \
    X(ARBITER, "arbiter")       /* it answers, and its record can be believed */                   \
    X(PRIORITY, "priority")     /* this node may at all */                                         \
    X(SYNC, "sync")             /* I13: a voter */                                                 \
    X(STREAMING, "streaming")   /* I13: received until the end */                                  \
    X(DIGEST, "digest")         /* I13: of the same history */                                     \
    X(CONNECTORS, "connectors") /* the servers that it would use answer from here */               \
    X(QUORUM, "quorum")         /* enough voters can be asked for their promise */                 \
    X(PROMOTION, "promotion")   /* nobody else is at it */                                         \
    X(PAUSE, "pause")                                                                              \
    X(COOLDOWN, "cooldown")                                                                        \
    X(RATE, "rate")         /* not too many within the hour */                                     \
    X(EVIDENCE, "evidence") /* the primary is gone, for long enough */                             \
    X(ORDER, "order")       /* better candidates had their chance */

enum takeover_rule {
#define X(symbol, name) TAKEOVER_RULE_##symbol,
    TAKEOVER_RULE_TABLE(X)
#undef X
        TAKEOVER_RULE_COUNT
};
const char *takeover_rule_name(enum takeover_rule rule);

enum takeover_verdict { TAKEOVER_PASS, TAKEOVER_WAITS, TAKEOVER_FAIL };
const char *takeover_verdict_name(enum takeover_verdict verdict);

struct takeover_finding {
    enum takeover_verdict verdict;
    uint64_t until_ms; /* WAITS: when it may be otherwise by itself */
    char text[TAKEOVER_TEXT_SIZE];
};

enum takeover_decision { TAKEOVER_NEVER, TAKEOVER_WAIT, TAKEOVER_START };
const char *takeover_decision_name(enum takeover_decision decision);

struct takeover {
    struct takeover_finding findings[TAKEOVER_RULE_COUNT];
    enum takeover_decision decision;
    enum takeover_rule because; /* WAIT: the rule that takes longest; NEVER: the first that fails */
    uint64_t until_ms;          /* WAIT: look again then, or when something is heard */
    bool able;                  /* to be told to the others: see struct takeover_peer */
    unsigned rank;              /* better candidates that can */
    bool accept_data_loss;      /* START, unguarded: no quorum can be had without the primary */
};

void takeover_decide(const struct takeover_view *view, struct takeover *ret);
/* Nothing can be judged yet: every rule fails, for this reason. */
void takeover_withhold(const char *reason, struct takeover *ret);
