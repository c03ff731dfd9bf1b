/*
 * lease.h -- the permission to act on the outside, and how long it lasts. Pure: event in, effects
 * out; the clock is the caller's, and counts while the machine sleeps.
 *
 *   IDLE -want-> WANTED -granted, and whoever acted before acts no more-> HELD
 *                WANTED -granted, and he may still act-> WAITING -one more lease, or proof-> HELD
 *                WANTED, HELD -no word of the arbiter, and ALL members follow us-> FAILSAFE
 *   HELD, FAILSAFE -the deadline passes, or a later epoch was granted-> LOST: stop, then fence
 *   HELD, FAILSAFE -close-> RELEASING -nothing of ours acts, released-> IDLE
 *   WANTED, WAITING, LOST -close-> IDLE
 *   NONE: no arbiter is configured; a person's promotion is the permission, and it has no end.
 *
 * A deadline is counted from the moment before the question was sent and ends a guard early: so it
 * passes here before it passes at the arbiter, while the rates of two clocks differ by a tenth at
 * most. FAILSAFE counts in the same way from the questions to the members.
 *
 *   I9  No two nodes have a deadline that has not passed. Two ways lead to one, so a node that is
 *       granted an epoch acts only when both are over for everybody else:
 *         by the arbiter: the last one has released, or was this node, or is known to act no more,
 *           or one more lease has passed since the grant, because the arbiter may have let him go
 *           too early. The last one is the holder of the later of two epochs: of the arbiter's
 *           record, which may have been restored, and of what this node had promised or seen
 *           before ('before'). Only who was allowed to act may release, and what was released is
 *           never granted again: its holder takes a later epoch (lease_needs_later_epoch()). So a
 *           record that was put back from a copy makes others wait: who goes on under an epoch that
 *           he acted under does so at once only if that was confirmed lately, and a wait that was
 *           interrupted begins anew.
 *         by FAILSAFE: that takes the word of every member, so this node's own. Who has given it
 *           (WORD) does not act for so long as it holds; a start counts as a word.
 *   I10 Every permission names its epoch.
 *   I11 A machine that starts has no permission, whatever it had before. What it acted under last
 *       ('cleared') only saves it the wait.
 *   A deadline that has passed is dealt with before the event that finds it so: what acts is
 *   stopped, then the fence, and only then the event, which can bring no permission back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/epoch.h"
#include "sites/quorum.h"

#define LEASE_MEMBERS_MAX QUORUM_VOTERS_MAX
#define LEASE_EFFECTS_MAX 16
#define LEASE_TEXT_SIZE   192
#define LEASE_GUARD_MS    500 /* this long before the end at least, or a tenth */
#define LEASE_AGAIN_MS    50  /* between two questions to the arbiter at least */
/* What was read is good for an ACQUIRE that is granted so soon after: no lease is so short that
 * another could have come and gone between. */
#define LEASE_READ_MS 500

/* ---- what an arbiter is asked, and what it answers ---- */

#define LEASE_OP_TABLE(X)                                                                          \
    X(READ)    /* the record */                                                                    \
    X(ACQUIRE) /* 'epoch': later than the record's, which has run out or was released; or the      \
                  record's own, run out or not */                                                  \
    X(RENEW)   /* 'epoch' is the record's and has not run out */                                   \
    X(RELEASE) /* 'epoch' is the record's, by this 'grant': nothing acts under it any more */

enum lease_op {
#define X(name) LEASE_OP_##name,
    LEASE_OP_TABLE(X)
#undef X
        LEASE_OP_COUNT
};
const char *lease_op_name(enum lease_op op);

#define LEASE_RESULT_TABLE(X)                                                                      \
    X(GRANTED)  /* ACQUIRE, RENEW: from 'sent_ms' on */                                            \
    X(DONE)     /* READ, RELEASE */                                                                \
    X(TAKEN)    /* ACQUIRE: another has it */                                                      \
    X(STALE)    /* the record has a later epoch */                                                 \
    X(EXPIRED)  /* RENEW, RELEASE: too late; nobody has taken it yet */                            \
    X(EMPTY)    /* there is no record: an alarm, never a free seat */                              \
    X(RESTORED) /* the record is older than one that was shown before: an alarm, too */            \
    X(UNCLEAR)  /* anything else; nothing may be concluded from it */

enum lease_result {
#define X(name) LEASE_RESULT_##name,
    LEASE_RESULT_TABLE(X)
#undef X
        LEASE_RESULT_COUNT
};
const char *lease_result_name(enum lease_result result);

/* As it is after the call. */
struct lease_record {
    struct epoch epoch;    /* the latest ever granted; its holder has the lease, or had it */
    uint64_t lease_ms;     /* as granted */
    uint64_t remaining_ms; /* at most, by the arbiter's clock; 0: has run out, or was released */
    bool released;
    bool clean;     /* when 'epoch' was granted, the one before had been released */
    uint64_t grant; /* counts every ACQUIRE that was granted */
};

struct lease_reply {
    enum lease_result result;
    uint32_t serial;  /* of the question */
    uint64_t sent_ms; /* our clock, taken before it was sent */
    bool known;       /* 'record' was shown; never with EMPTY or UNCLEAR */
    struct lease_record record;
    const char *text; /* UNCLEAR: why, borrowed; may be NULL */
};

/* ---- the machine ---- */

#define LEASE_STATE_TABLE(X)                                                                       \
    X(NONE)      /* no arbiter */                                                                  \
    X(IDLE)      /* nothing to hold; the record is read */                                         \
    X(WANTED)    /* primary, asking */                                                             \
    X(WAITING)   /* granted; whoever acted before may still act */                                 \
    X(HELD)      /* may act */                                                                     \
    X(FAILSAFE)  /* may act: the arbiter is not heard, and all members follow us */                \
    X(LOST)      /* may act no more; being fenced */                                               \
    X(RELEASING) /* gave it up; told to the arbiter once nothing of ours acts */

enum lease_state {
#define X(name) LEASE_STATE_##name,
    LEASE_STATE_TABLE(X)
#undef X
        LEASE_STATE_COUNT
};
const char *lease_state_name(enum lease_state state);

#define LEASE_EVENT_TABLE(X)                                                                       \
    X(CONFIGURE) /* which arbiter, and its times; ends a HOLD */                                   \
    X(WANT)      /* we are primary of 'epoch', or are to go on as such: the peers have just        \
                    confirmed it; once more whenever they do */                                    \
    X(REPLY)     /* the arbiter's, or that of the port: each ASK_ARBITER has one */                \
    X(CONFIRM)   /* 'node' was asked at 'asked_ms'; ok: its promise is 'epoch', it follows it, and \
                    nothing of it acts under another */                                            \
    X(WORD)    /* we tell the holder of 'epoch', who asked, that we follow it: his question was a  \
                  CONFIRM for him; he may act on it for 'lease_ms'. Before the answer is sent */   \
    X(PROVED)  /* the holder of 'epoch' was allowed to act under it, and acts no more */           \
    X(TICK)    /* the alarm */                                                                     \
    X(EXPIRE)  /* made by lease_step() itself when the deadline has passed */                      \
    X(HOLD)    /* the arbiter is about to be changed: ask it nothing until CONFIGURE */            \
    X(CLOSE)   /* we are primary no more; our database is fenced, or promised to another */        \
    X(STOPPED) /* after MAY_ACT false: nothing of ours acts any more */

enum lease_event_kind {
#define X(name) LEASE_EV_##name,
    LEASE_EVENT_TABLE(X)
#undef X
        LEASE_EV_COUNT
};
const char *lease_event_name(enum lease_event_kind kind);

#define LEASE_EFFECT_TABLE(X)                                                                      \
    X(ASK_ARBITER) /* 'op' for 'epoch' and 'lease_ms'; it has once shown memory.seen; answer REPLY \
                      by 'at_ms' */                                                                \
    X(ASK_MEMBERS) /* all others whether they follow 'epoch', for 'lease_ms'; WORD there, CONFIRM  \
                      here when one answers */                                                     \
    X(MAY_ACT)     /* 'may': under 'epoch', until 'at_ms' (0: no end); else stop what runs, then   \
                      STOPPED */                                                                   \
    X(GATE)        /* the database takes writes until 'at_ms'; 0: no end */                        \
    X(WATCHDOG)    /* what outlives a stuck loop fences at 'at_ms', and may release 'epoch' when   \
                      this process is gone; 0: off */                                              \
    X(FENCE)       /* the node is primary no more, at once; CLOSE when it is not */                \
    X(NOTE)        /* keep 'memory' durably; nothing waits for it */                               \
    X(REPORT)      /* the alarm or the reason has changed: log, status */                          \
    X(ALARM)       /* TICK at 'at_ms' */

enum lease_effect_kind {
#define X(name) LEASE_DO_##name,
    LEASE_EFFECT_TABLE(X)
#undef X
        LEASE_DO_COUNT
};
const char *lease_effect_name(enum lease_effect_kind kind);

#define LEASE_ALARM_TABLE(X)                                                                       \
    X(NONE, "")                                                                                    \
    X(UNREACHABLE, "arbiter_unreachable")                                                          \
    X(EMPTY, "arbiter_empty")                                                                      \
    X(RESTORED, "arbiter_restored") /* it has forgotten an epoch that it had granted */            \
    X(LOST, "lease_lost")

enum lease_alarm {
#define X(name, text) LEASE_ALARM_##name,
    LEASE_ALARM_TABLE(X)
#undef X
        LEASE_ALARM_COUNT
};
/* The name of the alarm, "" for NONE. */
const char *lease_alarm_name(enum lease_alarm alarm);

struct lease_config {
    uint64_t arbiter; /* which one: revision of the row that chose it; 0: none, a person decides */
    uint64_t ttl_ms;
    uint64_t renew_ms; /* between two renewals, and what an answer may take */
};

/* What survives a restart. */
struct lease_memory {
    uint64_t arbiter;     /* that 'seen' is of */
    struct epoch seen;    /* the latest that this arbiter ever showed */
    struct epoch cleared; /* the latest of our own under which we were allowed to act */
};

struct lease_member {
    char name[NODE_NAME_SIZE];
    uint64_t asked_ms; /* when it was asked what it last confirmed; 0: it has not */
};

struct lease {
    char self[NODE_NAME_SIZE];
    struct lease_config config;
    struct lease_memory memory;
    enum lease_state state;
    struct lease_member members[LEASE_MEMBERS_MAX]; /* the others */
    size_t member_count;
    bool hold;              /* no questions to the arbiter; also before the first CONFIGURE */
    struct epoch epoch;     /* that we hold or want; number 0 for none */
    struct epoch before;    /* the latest that was known here before it */
    uint64_t wanted_ms;     /* the last WANT of 'epoch' */
    uint64_t granted_ms;    /* the last answer that it is granted by */
    struct epoch proved;    /* whose holder acts no more, and was allowed to */
    uint64_t ttl_ms;        /* in force: of the last grant */
    uint64_t deadline_ms;   /* WAITING, HELD, FAILSAFE; else 0 */
    bool stopped;           /* nothing of ours acts */
    bool again;             /* to ACQUIRE, not to RENEW: it ran out, or the arbiter is another */
    struct epoch given_up;  /* the latest that a RELEASE was asked for: one that is late counts for
                               a later grant, when the arbiter was put back before it */
    uint64_t grant;         /* the last of 'epoch'; 0: not known */
    struct epoch prior;     /* the latest below 'epoch' that the record showed since the WANT */
    struct lease_record at; /* WANTED: what was read ... */
    uint64_t at_ms;         /* ... by a question sent then; 0 for not yet */
    bool last_known;        /* WAITING: */
    struct epoch last;      /* the last one that could act before us */
    bool clean;             /* WAITING: he had released */
    uint64_t wait_ms;       /* until he cannot any more, kept while 'epoch' stays; 0: not granted */
    struct epoch sworn;     /* whom our word was given to last */
    uint64_t sworn_ms;      /* and until when it holds */
    bool configured;
    /* questions */
    bool asking;
    enum lease_op op;
    uint32_t serial;
    uint64_t asked_ms;
    uint64_t asked_ttl_ms;
    uint64_t ask_ms;    /* the next one, at the earliest */
    uint64_t gather_ms; /* the next one to the members */
    uint64_t repeat_ms; /* LOST: the next FENCE; RELEASING: given up */
    uint64_t alarm_ms;  /* the TICK that was ordered last; 0 for none */
    /* what is known of the arbiter */
    bool known; /* 'record', by a question sent at 'record_ms' */
    struct lease_record record;
    uint64_t record_ms;
    uint64_t longest_ms; /* lease_ms that it showed; a shorter one, which may be that of a copy,
                            counts when it was shown for so long */
    uint64_t longest_seen_ms; /* when it was shown last */
    uint64_t over_ms;         /* since when 'record' is known to be over; 0: it is not */
    uint64_t unclear_ms;      /* since when nothing may be concluded from it; 0: something may */
    bool empty;
    bool restored;
    char trouble[LEASE_TEXT_SIZE]; /* why it is unclear; "" when it is not */
    enum lease_alarm alarm;
    char reason[LEASE_TEXT_SIZE]; /* why the state was entered, for people */
};

struct lease_event {
    enum lease_event_kind kind;
    uint64_t now_ms;                   /* never less than in the step before */
    const struct lease_config *config; /* CONFIGURE */
    struct epoch epoch;                /* WANT, CONFIRM, WORD, PROVED */
    uint64_t lease_ms;                 /* WORD */
    struct epoch before;               /* WANT: the latest epoch, promises included, that was known
                                          here before we promised this one to ourselves */
    const struct lease_reply *reply;   /* REPLY */
    const char *node;                  /* CONFIRM */
    uint64_t asked_ms;                 /* CONFIRM: before the question was sent */
    bool ok;                           /* CONFIRM */
};

struct lease_effect {
    enum lease_effect_kind kind;
    enum lease_op op;
    uint32_t serial;
    struct epoch epoch;
    uint64_t lease_ms;
    uint64_t grant; /* ASK_ARBITER: RENEW, RELEASE: it belongs to that one; 0: to any */
    uint64_t at_ms;
    bool may;
    struct lease_memory memory;
};

struct lease_effects {
    size_t count;
    struct lease_effect list[LEASE_EFFECTS_MAX];
};

/* IDLE, and nothing is asked or allowed until the first CONFIGURE. 'memory' is copied; NULL for
 * nothing kept. */
void lease_init(struct lease *lease, const char *self, const struct lease_memory *memory);

/* The other members; what was confirmed by those that stay is kept. At most LEASE_MEMBERS_MAX. */
void lease_set_members(struct lease *lease, const char *const *names, size_t count);

/* ERR_CONFLICT: an EXPIRE that is not due; nothing has changed. Every other pair has a rule. */
MUST_CHECK enum err_code lease_step(struct lease *lease, const struct lease_event *event,
                                    struct lease_effects *ret_effects, struct err *err);

/* Asked again where it is used (I9): may anything on the outside be started now, under
 * lease->epoch? Who starts it leaves room for its own longest time before lease->deadline_ms. */
bool lease_may_act(const struct lease *lease, uint64_t now_ms);
/* Whether a holder that was fenced may go on under 'epoch': the arbiter has granted it anew, or all
 * members have confirmed it, or there is no arbiter (I11: the peers are asked beside that). */
bool lease_is_granted(const struct lease *lease, const struct epoch *epoch, uint64_t now_ms);
/* Whether 'epoch' was released, so that only a later one can be granted: a renewal is needed. Who
 * acts in FAILSAFE goes on until the arbiter is heard again. */
bool lease_needs_later_epoch(const struct lease *lease);
/* Whether nobody else can hold a lease of the arbiter that there is now: only then may it be
 * changed without a person's word that no other node acts. */
bool lease_may_change_arbiter(const struct lease *lease, uint64_t now_ms);
/* How long before the arbiter's end ours is. */
uint64_t lease_guard_ms(uint64_t ttl_ms);

/* The times as set, the renewal so often that a lease sees two of them. */
struct setting_source;
struct lease_config lease_config_from(const struct setting_source *source, uint64_t arbiter);

/* The matrix of states and events as text, one line each. */
struct buf;
void lease_print_table(struct buf *into);
