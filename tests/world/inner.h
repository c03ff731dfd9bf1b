/*
 * inner.h -- what the files of the world share; nobody else includes it.
 *
 *   queue.c     events in the order of their time
 *   host.c      a machine: its clock, its power, what stands still on it, the keeper
 *   database.c  one node's database: the gate, the waits for acknowledgement, the role functions
 *   stream.c    subscriptions: rows travel, acknowledgements come back
 *   net.c       questions between daemons, with delay, loss and cuts
 *   daemon.c    feeds the machines: starts, looks at peers, alarms
 *   effects.c   carries out what the machines decide
 *   jobs.c      what takes several steps: arm, attach, prepare, pull
 *   serve.c     answers the other daemons
 *   client.c    writes and what became of them
 *   upkeep.c    the sync set
 *   check.c     the invariants
 *   world.c     making, commands, questions, text
 *
 * Inside the world an epoch is one number, 16 * number + holder + 1, which compares as the pair
 * does, because the nodes are named in ascending order. Hashes are 64 bits.
 */
#pragma once

#include "controller/activation/plan.h"
#include "controller/base/check.h"
#include "sites/degrade.h"
#include "sites/effective.h"
#include "sites/lease.h"
#include "sites/takeover.h"
#include "tests/world/rng.h"
#include "tests/world/world.h"

#define WORLD_HOSTS_MAX    (WORLD_NODES_MAX + WORLD_ARBITERS_MAX)
#define WORLD_CALLS_MAX    256
#define WORLD_WRITES_MAX   64
#define WORLD_OPS_MAX      64
#define WORLD_POSTED_MAX   64
#define WORLD_PAGE_ROWS    20   /* rows of one answer to a pull */
#define WORLD_RECONNECT_MS 50   /* a subscription that failed tries again */
#define WORLD_STREAM_MS    5000 /* a connection that passes nothing for so long is broken */
#define WORLD_UPKEEP_MS    500

/* ---- rows ---- */

enum row_kind { ROW_PLAIN, ROW_EPOCH, ROW_RECORD, ROW_NOTE };

struct row {
    uint64_t revision;
    uint64_t epoch;
    uint64_t value;  /* number of the client's write */
    uint64_t hash;   /* over the row before */
    uint32_t record; /* 1 + index into world->records when the row sets it, else 0 */
    uint32_t note;   /* 1 + index into world->notes when it says that, else 0 */
    enum row_kind kind;
};

/* What else a row may say. */
struct note {
    enum { NOTE_ARBITER, NOTE_PAUSE, NOTE_TAKEOVER, NOTE_EPOCH } kind;
    unsigned arbiter; /* NOTE_ARBITER; WORLD_NONE: none, a person decides */
    int64_t wall_ms;  /* NOTE_TAKEOVER, NOTE_EPOCH: when it began; NOTE_PAUSE: until when */
    uint64_t epoch;   /* NOTE_TAKEOVER, NOTE_EPOCH (on its own row): that Baton took by itself */
};

struct row_list {
    struct row *list; /* owned */
    size_t count;
    size_t capacity;
};

void rows_add(struct row_list *rows, const struct row *row);
uint64_t row_hash(uint64_t before, const struct row *row);

struct point {
    uint64_t epoch;
    uint64_t revision;
    uint64_t hash;
};

/* ---- messages, questions, events ---- */

struct sight {
    enum takeover_path_kind kind;
    uint64_t for_ms;
};

struct facts {
    enum node_state state;
    uint64_t epoch;
    uint64_t promised;
    struct point applied;
    unsigned following; /* WORLD_NONE: nobody */
    bool streaming;
    bool acts; /* a server is to be in use there, or one is being given up */
    /* of taking over */
    bool able;
    unsigned priority;
    unsigned primary; /* that it looks at; WORLD_NONE: none */
    struct sight https;
    struct sight postgres;
};

enum call_kind {
    CALL_STATE, /* a look at a peer */
    CALL_ASK,   /* the same question, of a promotion */
    CALL_PREPARE,
    CALL_FREEZE,
    CALL_THAW,
    CALL_CAPTURE,
    CALL_FOLLOW,
    CALL_RELEASE,
    CALL_MATCH,
    CALL_SLOT,
    CALL_ROWS,
    CALL_WRITE,
    CALL_CONFIRM, /* a look at a peer, for the lease */
};

enum reply { REPLY_OK, REPLY_REFUSED, REPLY_UNREACHABLE, REPLY_TIMEOUT };

enum write_source { WRITE_CLIENT, WRITE_DIRECT, WRITE_FIRST, WRITE_RECORD, WRITE_NOTE };
enum outcome { OUTCOME_WAITING, OUTCOME_ACKNOWLEDGED, OUTCOME_UNKNOWN, OUTCOME_REFUSED };

/* Who waits for an answer. */
struct ticket {
    bool open;
    unsigned from;
    uint32_t life;
    uint32_t id;
};

struct write {
    uint64_t number; /* of the client's write; 0 for our own rows */
    enum write_source source;
    uint32_t life; /* of the daemon that runs it */
    uint32_t record;
    uint32_t note;
    bool changes_arbiter;
    bool fenced;          /* refused by the gate, which takes no writes */
    uint64_t promo;       /* WRITE_FIRST: its promotion's number */
    uint64_t epoch;       /* WRITE_FIRST: of its promotion */
    struct ticket ticket; /* passed on by another daemon */
    uint64_t deadline_ms; /* while held */
};

struct message {
    enum call_kind call;
    enum reply reply;
    const char *text; /* static */
    uint64_t epoch;
    uint64_t promised;
    struct point point;
    uint64_t revision;
    uint32_t serial;
    uint32_t record;
    bool flag;
    struct facts facts;
    struct row_list rows; /* owned by the event that carries it */
    struct write write;
};

struct event;
typedef void event_fn(struct world *world, struct event *event);

/* Those of lease_op, and what else an arbiter is asked. */
enum wire_op {
    WIRE_READ = LEASE_OP_READ,
    WIRE_ACQUIRE = LEASE_OP_ACQUIRE,
    WIRE_RENEW = LEASE_OP_RENEW,
    WIRE_RELEASE = LEASE_OP_RELEASE,
    WIRE_CREATE = LEASE_OP_COUNT, /* by a person: the record is to be made */
    WIRE_PROMISE,
    WIRE_NOTE,
};

/* Whose question it is. */
enum { QUESTION_LEASE, QUESTION_CHANGE, QUESTION_PROMO, QUESTION_NOTE, QUESTION_COUNT };

/* A question to an arbiter, and its answer. */
struct wire {
    enum wire_op op;
    bool adopt; /* WIRE_CREATE: whatever is there */
    uint64_t epoch;
    uint64_t known; /* the latest that the asker knows to have been granted there */
    uint64_t lease_ms;
    uint64_t grant;      /* that it belongs to; 0: any */
    uint64_t changes;    /* etcd: as it was looked at */
    uint64_t lease;      /* etcd: its lease, by number */
    uint64_t ask_number; /* WIRE_CREATE, WIRE_NOTE: of the note ... */
    uint32_t ask_told;   /* ... 1 + index into world->told; 0: "" */
    enum lease_result result;
    bool has_record; /* what follows holds */
    uint64_t record_epoch;
    uint64_t record_lease_ms;
    uint64_t remaining_ms;
    bool released;
    bool clean;
    uint64_t record_grant;
    uint64_t promised;
    uint64_t number;
    uint32_t told;
};

/* Who carries it out: what stands still does so later. */
enum actor { ACTOR_NOBODY, ACTOR_HOST, ACTOR_DAEMON, ACTOR_DATABASE };

struct event {
    uint64_t at_ms;
    uint64_t order;
    uint64_t due_us; /* a timer: not before the clock of its host says so; 0: none */
    event_fn *run;
    enum actor actor;
    unsigned node;
    unsigned peer;
    uint32_t life; /* of what must still live: a daemon, a database, a connection */
    uint32_t id;
    bool control; /* which queue of operations */
    struct message message;
    struct wire wire;
    struct event *next; /* free, or waiting for what stands still */
};

/* ---- the database ---- */

enum op_kind {
    OP_FENCE, /* ends waits first */
    OP_START, /* the same, and its answer is START */
    OP_FREEZE,
    OP_THAW,
    OP_CAPTURE, /* ends waits first */
    OP_OPEN,
    OP_RESUME,
    OP_SLOT,   /* of 'peer' */
    OP_NAMES,  /* of record 'record' (old when joint) */
    OP_DETACH, /* all but 'peer', or all */
    OP_DETACH_OWN,
    OP_SETASIDE, /* above 'revision' against 'epoch' */
    OP_DROP_SLOTS,
    OP_CATCHUP,   /* 'rows' for 'epoch' */
    OP_SUBSCRIBE, /* to 'peer' */
    OP_GATE,      /* writes are taken for 'revision' ms, 0: without end */
    OP_NOTE,      /* 'memory' */
    OP_ACTS,      /* what is known of our effects: 'change', 'activation' */
    OP_INTENT,    /* 'change' is about to be made */
    OP_REPORT,    /* it has come to 'activation' */
};

/* Whose step an operation is. */
enum job {
    JOB_NONE,
    JOB_NODE, /* OP_FENCE: the role machine waits for its answer */
    JOB_ARM,
    JOB_ATTACH,
    JOB_PREPARE,
    JOB_PULL,
    JOB_SLOT,
    JOB_SYNC,
    JOB_PROMO,
    JOB_LEASE,
    JOB_ACTING,
};

struct op {
    enum op_kind kind;
    enum job job;
    unsigned peer;
    uint32_t life;
    uint64_t promo;         /* JOB_PROMO: the number of the promotion */
    uint64_t wait_until_ms; /* for a lock */
    bool ended;             /* executed: its answer is on the way */
    struct ticket ticket;
    struct message message; /* parameters, then results */
    unsigned names_k;
    unsigned names_mask;
    struct lease_memory memory;
    struct activation_change change;
    enum activation_state activation;
    bool remake;
    bool loss; /* OP_OPEN: without a quorum, by order */
};

struct op_queue {
    struct op ops[WORLD_OPS_MAX];
    size_t first;
    size_t count;
};

struct slot {
    bool exists;
    bool active;
    size_t confirmed; /* index into the publisher's stream */
};

struct sub {
    bool exists;
    size_t origin; /* what was taken from the publisher's stream; durable with the rows */
    /* of the running connection */
    bool connected;
    bool trying;
    bool sending;
    bool held;
    uint32_t connection;
    size_t acked;       /* as the publisher has heard */
    uint64_t broken_ms; /* since when nothing passes; 0: it passes */
};

struct waiter {
    bool active;
    size_t stream_index;
    uint64_t since_ms; /* by the clock of its host */
    struct write write;
};

struct database {
    bool up;
    bool stopped;
    uint32_t boot; /* counts its starts */
    bool is_primary;
    bool frozen;
    bool locked; /* somebody has the table local.node whom a fence does not end */
    uint64_t epoch;
    uint64_t promised;
    uint32_t opened_boot;
    uint64_t fenced_by; /* local.node.fences: the session of the last one; 0: there was none */
    /* local.tenure, by the wall clock of the host; 'tenure' false: no end */
    bool tenure;
    int64_t tenure_since_ms;
    int64_t tenure_until_ms;
    struct lease_memory memory;
    /* local.activation: the last change */
    struct activation_change change;
    enum activation_state activation;
    struct row_list log;
    size_t *telling; /* owned; which rows of it say more than a client's write */
    size_t telling_count;
    size_t telling_capacity;
    struct row_list stream; /* every row in the order in which it entered, forks included */
    struct row_list aside;
    uint32_t record; /* in force in the log, 0: none */
    struct slot slots[WORLD_NODES_MAX];
    struct sub subs[WORLD_NODES_MAX]; /* by publisher */
    unsigned names_k;
    unsigned names_mask;
    struct waiter waiter;
    struct write queue[WORLD_WRITES_MAX];
    size_t queue_first;
    size_t queue_count;
    bool pumping;
    struct op_queue control;
    struct op_queue attach;
};

enum gate {
    GATE_TAKEN,
    GATE_DUPLICATE,
    GATE_LOCKED,
    GATE_PRIMARY,
    GATE_GAP,
    GATE_STALE,
    GATE_PROMISED,
    GATE_HASH,
    GATE_FORK,
};

/* ---- the daemon ---- */

struct call {
    uint32_t id; /* 0: free */
    enum call_kind kind;
    unsigned to;
    uint64_t promo;    /* the number of the promotion that asks */
    uint64_t epoch;    /* of the promotion that asks; CALL_CONFIRM: that is asked about */
    uint64_t asked_ms; /* by the clock of its host */
    uint32_t serial;
    struct write write;
};

struct attach {
    bool active;
    uint32_t serial;
    unsigned primary;
    uint64_t epoch;
    struct point compared; /* the head of our log when it was asked where the two part */
    uint64_t low;
    uint64_t head;
    unsigned waited_ms;
};

struct prepare {
    bool active;
    uint32_t serial;
    unsigned candidate;
    uint64_t until_ms;
    struct ticket ticket;
};

struct pull {
    bool active;
    uint32_t serial;
    unsigned member;
    uint64_t until;
    uint64_t epoch;
    struct point compared; /* as of an attach */
    bool arbiter_changes;  /* check.c: in our log as it was before */
};

struct arm {
    bool active;
    uint32_t serial;
    unsigned at;
    bool remake;
    struct quorum_set set; /* of the promotion that asked, which may be over when it comes to it */
};

/* What is under way to an arbiter. */
struct question {
    uint32_t id;     /* 0: nothing */
    uint32_t serial; /* of the lease's question */
    unsigned arbiter;
    uint64_t sent_ms;
};

enum acting_phase { ACTING_IDLE, ACTING_STORING, ACTING_RUNNING, ACTING_STOPPING };
enum acting_asker { ASKER_NOBODY, ASKER_DEACTIVATE, ASKER_LEASE };

/* controller/daemon/acting.c and controller/activation/manager.c, with one connector. */
struct acting {
    enum effective_role role;
    const char *primary_site; /* borrowed */
    struct epoch epoch;
    bool may_act;
    bool giving_up;
    bool restore_asked;
    bool restored;
    bool soon;
    enum acting_asker asker; /* who waits until all is given up */
    struct ticket ticket;    /* ASKER_DEACTIVATE */
    enum activation_gate gate;
    bool wanted;
    struct activation_change desired;
    struct activation_record record;
    enum acting_phase phase;
    uint32_t effect; /* that runs; those of before have escaped */
    uint32_t alarm;
};

/* What one daemon sees of another. */
struct acquaintance {
    bool polling;
    bool heard;
    uint64_t heard_ms;
    struct node_facts facts;
    struct takeover_path https;
    bool able;
    unsigned priority;
    unsigned primary;
    struct takeover_sight sight;
    enum takeover_digest digest;
    uint64_t digest_ms;
};

/* controller/daemon/driver_takeover.c */
struct watch {
    struct acquaintance peers[WORLD_NODES_MAX];
    unsigned primary; /* the last one heard of; WORLD_NONE: none */
    uint64_t primary_ms;
    struct takeover_path postgres;
    uint32_t knock[2];    /* at its HTTPS, at its database; 0: none under way */
    uint64_t knock_ms[2]; /* when each began */
    uint32_t knock_last;
    bool suspects;
    uint64_t suspects_ms;
    uint64_t again_ms; /* no takeover before */
    uint32_t alarm;
    uint64_t streaming_ms; /* our subscription was last seen to receive; 0: never */
    bool able;
};

enum writer_mode { WRITER_IS_CLOSED, WRITER_IS_HELD, WRITER_IS_OPEN };

struct daemon {
    bool up;
    bool stopped; /* SIGSTOP */
    uint32_t life;
    struct node node;
    struct promo promo;
    uint32_t node_alarm; /* only the last one set rings */
    uint32_t promo_alarm;
    enum writer_mode writer;
    struct write held[WORLD_WRITES_MAX];
    size_t held_count;
    struct call calls[WORLD_CALLS_MAX];
    uint32_t call_last;
    struct attach attach;
    struct prepare prepare;
    struct pull pull;
    struct arm arm;
    uint32_t serial_last;
    struct ticket frozen_for;
    uint32_t boot_seen; /* the start of its database that it knows of */
    unsigned heard;     /* bit of each peer that was heard since the start of this daemon (I11) */
    bool database_asked;
    bool may_act; /* as far as promotions go */
    bool streaming;
    bool names_busy;
    bool set_writing;         /* a row of the sync set is being written ... */
    uint64_t writing_arbiter; /* ... that names this arbiter */
    uint64_t recorded;        /* the newest note that one of them knows of */
    size_t mark;              /* how far the stream was at the look before the last ... */
    bool mark_known;
    size_t sample; /* ... and at the last, then */
    uint64_t sample_ms;
    uint64_t acked; /* newest revision acknowledged in the epoch that is open here */
    bool takeover;  /* the promotion that runs is Baton's own */
    int64_t began_wall_ms;
    uint64_t began_ms; /* world time */
    struct lease lease;
    bool lease_loaded;
    bool leased;      /* may_act, as far as the lease goes */
    uint64_t gate_ms; /* our database takes writes until then; 0: no end */
    uint64_t arbiter_revision;
    unsigned arbiter; /* WORLD_NONE: none */
    struct question questions[QUESTION_COUNT];
    /* what the arbiter has beside the lease */
    bool note_known;
    struct quorum_note note;
    uint64_t note_ms;
    uint64_t arbiter_promised;
    bool telling;           /* it is being told */
    uint64_t inquiry_promo; /* the number of the promotion that asks */
    uint64_t inquiry_epoch;
    uint64_t inquiry_row;
    uint32_t question_last;
    unsigned change_to; /* the arbiter that is being chosen */
    bool changes;
    uint32_t lease_alarm;
    uint32_t give_up;
    struct ticket released_for; /* it waits until the lease is given back */
    struct acting acting;
    struct watch watch;
    unsigned silent_looks; /* at a database that does not answer */
};

/* A machine. 'boot' goes on while it is suspended (CLOCK_BOOTTIME), 'mono' does not (its timers).
 */
struct host {
    bool down;      /* without power: nobody says that nothing listens there */
    bool suspended; /* everything stands still, and nothing is answered */
    unsigned rate_ppm;
    uint64_t seen_ms; /* when the two clocks said what follows */
    uint64_t boot_us;
    uint64_t mono_us;
    int64_t wall_offset_ms; /* of the wall clock, beside 'boot' */
    struct event *waiting;  /* owned list: for what stands still; oldest first */
    struct event *waiting_last;
    /* the keeper */
    uint64_t deadline_ms; /* boot; 0: none */
    uint64_t started_ms;  /* boot; when it started the daemon */
    unsigned quick_deaths;
    bool watching;
    uint32_t watch;   /* only the last look at the deadline counts */
    uint32_t restart; /* only the last start that was planned */
};

/* The latest change that a receiver has taken. */
struct heard {
    uint64_t epoch;
    uint64_t sequence;
};

struct world_node {
    char name[NODE_NAME_SIZE];
    char site[SITE_NAME_SIZE];
    unsigned schema;
    bool use_alternate;  /* of its connector */
    bool servers_silent; /* those that it would use do not answer */
    bool outside_cut;    /* nothing that it does reaches the outside */
    struct database db;
    struct daemon daemon;
    /* check.c */
    uint64_t promise_seen;
    bool permitted;     /* may act, as the lease has said, ... */
    uint64_t permit_ms; /* ... until then by the clock of its host; 0: no end */
    uint64_t permit_epoch;
    unsigned permit_arbiter;
    uint64_t daemon_down_ms;   /* when it was last seen down; world time */
    uint64_t database_down_ms; /* the same */
    struct heard receiver;     /* by what it acts on alone */
    bool receiver_active;
};

/* Who grants the lease. */
struct arbiter {
    enum world_arbiter kind;
    unsigned unreachable; /* bit of each node that cannot ask it ... */
    unsigned unheard;     /* ... whose answers are lost */
    bool there;           /* it has a record */
    uint64_t epoch;
    uint64_t lease_ms;
    int64_t ends_ms; /* by its own clock */
    bool released, clean;
    uint64_t grant;
    uint64_t promised;
    uint64_t number;
    uint32_t told;
    uint64_t suspect;
    int64_t clock_ms; /* the latest that it has seen */
    uint64_t changes;
    uint64_t lease; /* etcd: that the key is bound to */
    uint64_t lease_last;
    struct arbiter *backup; /* owned */
    bool alive;             /* in a backup: as it was then */
    uint64_t over_ms;       /* check.c: world time at which it was last seen to be over */
    uint64_t promised_once; /* check.c: the latest ever */
    bool carried;           /* its note came with a person's word, after whatever it had promised */
};

/* What all nodes act on. It refuses what is older than what it has heard (I10). */
struct outside {
    struct heard heard;
    unsigned active; /* WORLD_NONE: nobody */
    uint64_t accepted;
    uint64_t refused;
};

struct posted {
    unsigned node;
    bool to_promo;
    struct node_event node_event;
    struct promo_event promo_event;
    struct node_facts facts;
    struct quorum_record record;
    struct quorum_note note;
    struct promo_order order;
};

struct client_write {
    enum outcome outcome;
    unsigned entry; /* the daemon that the client asked */
    uint32_t life;
    bool direct;
    bool acknowledged; /* by a database: COMMIT without warning */
};

struct known_row { /* every row that ever was, by (epoch, revision) */
    uint64_t epoch;
    uint64_t revision;
    uint64_t hash;
};

struct world {
    struct world_config config;
    struct rng rng;
    uint64_t now_ms;
    uint64_t began_ms;
    uint64_t order_last;
    uint64_t event_count;
    struct event **heap; /* owned */
    size_t heap_count;
    size_t heap_capacity;
    struct event *unused; /* owned list */

    size_t count;
    struct world_node nodes[WORLD_NODES_MAX];
    struct host hosts[WORLD_HOSTS_MAX]; /* of the nodes, then of the arbiters */
    struct arbiter arbiters[WORLD_ARBITERS_MAX];
    struct outside outside;
    uint32_t effect_last;
    struct world_counts counts;
    struct note *notes; /* owned */
    size_t note_count;
    unsigned cut[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* lines that do not pass from, to */
    unsigned loss_percent;
    unsigned double_percent;
    struct quorum_note *told; /* owned; what arbiters were told */
    size_t told_count;
    struct quorum_record *records; /* owned */
    size_t record_count;
    struct quorum_set wanted;
    struct client_write *writes; /* owned; by number - 1 */
    size_t write_count;
    size_t write_capacity;

    struct posted posted[WORLD_POSTED_MAX];
    size_t posted_first;
    size_t posted_count;
    bool stepping;

    world_say *say;
    void *say_data;

    /* check.c */
    uint64_t *acked; /* owned; hash of each revision that is in the acknowledged history */
    size_t acked_count;
    size_t acked_capacity;
    bool loss_accepted; /* somebody took loss on: nothing is promised until the next rest */
    uint64_t *opened;   /* owned; epochs */
    size_t opened_count;
    struct known_row *known; /* owned; open addressing */
    size_t known_count;
    size_t known_capacity;
    struct row_list written; /* every row that a client wrote, wherever */
    uint64_t what_if_skipped;
    struct took_over {
        uint64_t began_ms;
        uint64_t epoch;
    } takeovers[TAKEOVER_RECENT_MAX]; /* that opened an epoch */
    size_t takeover_count;
    uint64_t paused_ms; /* no takeover before; 0: any time */
    bool walls_set;
    char violation[512];
};

/* ---- epochs ---- */

static inline uint64_t
code_make(uint64_t number, unsigned holder)
{
    return number * 16 + holder + 1;
}

static inline unsigned
code_holder(uint64_t code)
{
    return code == 0 ? WORLD_NONE : (unsigned)(code % 16) - 1;
}

/* Milliseconds since the story began, for text. */
static inline unsigned long long
stamp(const struct world *world)
{
    return world->now_ms - world->began_ms;
}

struct epoch code_epoch(const struct world *world, uint64_t code);
uint64_t code_from(const struct world *world, const struct epoch *epoch);
const char *code_text(const struct world *world, uint64_t code, char text[EPOCH_TEXT_SIZE]);
struct position point_position(const struct world *world, const struct point *point);
struct point point_from(const struct world *world, const struct position *position);
bool point_before(const struct point *a, const struct point *b);

/* ---- queue.c ---- */

/* A zeroed event 'after_ms' from now; the caller fills it in. Nobody in particular carries it out:
 * the network, a client, a person. */
struct event *queue_add(struct world *world, uint64_t after_ms, event_fn *run, unsigned node);
/* Something reaches the daemon or the database of 'node'. */
struct event *queue_daemon(struct world *world, uint64_t after_ms, event_fn *run, unsigned node);
struct event *queue_database(struct world *world, uint64_t after_ms, event_fn *run, unsigned node);
/* A timer of the daemon of 'node', by the clock of its host. */
struct event *queue_timer(struct world *world, uint64_t after_ms, event_fn *run, unsigned node);
/* Once more, at its 'at_ms'. */
void queue_put(struct world *world, struct event *event);
struct event *queue_take(struct world *world); /* NULL: none */
const struct event *queue_first(const struct world *world);
void queue_release(struct world *world, struct event *event);
void queue_done(struct world *world);

/* ---- host.c ---- */

void host_init(struct world *world, unsigned node);
void host_done(struct world *world, unsigned node);
uint64_t host_now_ms(const struct world *world, unsigned node); /* what clock_now_ms() says there */
int64_t host_wall_ms(const struct world *world, unsigned node);
/* True: the event is kept for later, because who carries it out stands still or the time of its
 * timer has not come. */
bool host_defers(struct world *world, struct event *event);
/* Whether a knock at the daemon or the database is answered by the machine at least. */
bool host_answers(const struct world *world, unsigned node);
void host_suspend(struct world *world, unsigned index, bool suspended);
/* The daemon tells its keeper; 0: no deadline. */
void host_deadline(struct world *world, unsigned node, uint64_t deadline_ms);
void host_daemon_started(struct world *world, unsigned node);
/* What stood still and is gone, or goes on: what waited for it comes now. */
void host_wake(struct world *world, unsigned node);

/* ---- world.c ---- */

void say(struct world *world, enum world_topic topic, const char *format, ...) PRINTF_LIKE(3, 4);
const char *part_name(enum world_part parts);
/* 'ms' by chance between a quarter and the whole; 'ms' without chance. */
uint64_t some_ms(struct world *world, uint64_t ms);

/* ---- arbiter.c ---- */

/* Answered by lease_answered(). */
void arbiter_ask(struct world *world, unsigned node, unsigned which, uint32_t serial, unsigned at,
                 const struct wire *wire, uint64_t timeout_ms);
/* The epoch whose lease runs there; 0: none. */
uint64_t arbiter_holds(const struct world *world, unsigned at);
void arbiter_found(struct world *world, unsigned at, uint64_t epoch);
void arbiters_done(struct world *world);

/* ---- note.c ---- */

uint32_t told_add(struct world *world, const struct quorum_note *note);
struct quorum_note told_read(const struct world *world, uint64_t number, uint32_t told);
/* Any answer of the arbiter in use. */
void note_heard(struct world *world, unsigned node, const struct question *question,
                const struct wire *wire);
void note_answered(struct world *world, unsigned node, unsigned which, const struct wire *wire);
void note_stop(struct world *world, unsigned node);
void note_inquire(struct world *world, unsigned node, const struct promo_effect *effect);
/* What is known of the arbiter in use, when our record names it; else NULL. */
const struct quorum_note *note_named(const struct world *world, unsigned node);
/* Whose acknowledgements count, by the log and by what the arbiter is known to have been told. */
struct quorum_record daemon_in_force(const struct world *world, unsigned node);
/* What a new arbiter is told at once. */
void note_carry(struct world *world, unsigned node, struct wire *wire);
bool note_is_telling(const struct world *world, unsigned node);
/* The next step of the sync set. */
void note_advance(struct world *world, unsigned node);

/* ---- lease.c ---- */

void lease_start(struct world *world, unsigned node);
void lease_load(struct world *world, unsigned node, const struct lease_memory *memory);
void lease_configure(struct world *world, unsigned node);
void lease_answered(struct world *world, unsigned node, unsigned which,
                    const struct question *question, const struct wire *wire);
void lease_confirmed(struct world *world, unsigned node, const struct call *call,
                     const struct message *answer);
bool lease_give_word(struct world *world, unsigned node, unsigned from,
                     const struct message *message);
void lease_gate_database(struct world *world, unsigned node);
void lease_given_up(struct world *world, unsigned node, bool ok);
void lease_want(struct world *world, unsigned node, const struct epoch *epoch,
                const struct epoch *before);
void lease_close(struct world *world, unsigned node);
void lease_stopped(struct world *world, unsigned node);
void lease_proved(struct world *world, unsigned node, const struct epoch *epoch);
void lease_upkeep(struct world *world, unsigned node);
void lease_turn(struct world *world, unsigned node);
void lease_choice_written(struct world *world, unsigned node);
/* The last row that chose one, as far as the log of the node goes. */
unsigned arbiter_of_log(const struct world *world, unsigned node, uint64_t *ret_revision);

/* ---- acting.c ---- */

void acting_start(struct world *world, unsigned node);
void acting_look(struct world *world, unsigned node);
/* What its connector is told has changed. */
void acting_changed(struct world *world, unsigned node);
void acting_release(struct world *world, unsigned node, enum acting_asker asker,
                    const struct ticket *ticket);
void acting_end(struct world *world, unsigned node);
void acting_op_done(struct world *world, unsigned node, const struct op *op);
bool acting_is_settled(const struct world *world, unsigned node);
bool acting_says(const struct world *world, unsigned node);

/* ---- takeover.c ---- */

void takeover_start(struct world *world, unsigned node);
void takeover_heard(struct world *world, unsigned node, unsigned from, const struct message *answer,
                    uint64_t asked_ms);
void takeover_told(struct world *world, unsigned node, unsigned from, enum node_state state);
void takeover_suspected(struct world *world, unsigned node, unsigned primary);
void takeover_tell(const struct world *world, unsigned node, struct facts *facts);
void takeover_look(struct world *world, unsigned node);
void takeover_compare(struct world *world, unsigned node);

/* ---- database.c ---- */

struct point db_head(const struct database *db);    /* what its transactions see */
struct point db_durable(const struct database *db); /* what is there after a crash */
size_t db_visible(const struct database *db);
bool db_writable(const struct world *world, unsigned node);
void db_submit(struct world *world, unsigned node, bool control, const struct op *op);
void db_write(struct world *world, unsigned node, const struct write *write);
enum gate db_take(struct world *world, unsigned node, const struct row *row, uint64_t catchup_for);
void db_check_waiter(struct world *world, unsigned node);
void db_crash(struct world *world, unsigned node);
void db_start(struct world *world, unsigned node);
const char *gate_name(enum gate gate);
/* Of the row that set the record in force; 0 for none. */
uint64_t db_record_revision(const struct database *db);
uint32_t db_record_of(const struct database *db, size_t count);
/* From the newest to the oldest of those that say more than a client's write, within the first
 * 'count' rows: '*at' begins with db->telling_count. NULL: no more. */
const struct row *db_telling(const struct database *db, size_t count, size_t *at);
void log_add(struct database *db, const struct row *row);
void log_cut(struct database *db, size_t count);

/* ---- stream.c ---- */

void stream_wake(struct world *world, unsigned publisher);
void stream_connect(struct world *world, unsigned subscriber, unsigned publisher);
void stream_break(struct world *world, unsigned subscriber, unsigned publisher);
void stream_start(struct world *world, unsigned node); /* its database is up */
void stream_stop(struct world *world, unsigned node);

/* ---- net.c ---- */

bool net_is_cut(const struct world *world, unsigned from, unsigned to, enum world_line line);
void net_call(struct world *world, unsigned from, unsigned to, uint64_t timeout_ms,
              const struct message *message);
void net_reply(struct world *world, unsigned node, struct ticket *ticket, enum reply reply,
               const struct message *message);

/* ---- daemon.c ---- */

void daemon_start(struct world *world, unsigned node);
void daemon_crash(struct world *world, unsigned node);
void daemon_database(struct world *world, unsigned node, bool up);
void daemon_applied(struct world *world, unsigned node);
void daemon_post_node(struct world *world, unsigned node, const struct node_event *event);
void daemon_post_promo(struct world *world, unsigned node, const struct promo_event *event);
void daemon_run_posted(struct world *world);
void daemon_look(struct world *world, unsigned node);
/* Soon, and again until it is frozen no more. */
void daemon_look_frozen(struct world *world, unsigned node);
struct facts daemon_facts(const struct world *world, unsigned node);
struct node_facts facts_of(const struct world *world, unsigned node, const struct facts *facts);
const struct quorum_record *daemon_record(const struct world *world, unsigned node);
void daemon_started(struct world *world, unsigned node, const struct op *op);
bool daemon_begin(struct world *world, unsigned node, const struct promo_order *order);

/* ---- effects.c ---- */

/* Whether the promotion still runs that asked: an answer of an earlier one must not be taken for
 * it. */
bool effect_is_current(const struct world *world, unsigned node, uint64_t number, uint64_t epoch);
void effect_node(struct world *world, unsigned node, const struct node_effect *effect);
void effect_promo(struct world *world, unsigned node, const struct promo_effect *effect);
/* An operation for the daemon has its answer. */
void effect_op_done(struct world *world, unsigned node, struct op *op);
/* A question has its answer; 'call' is what was asked. */
void effect_call_done(struct world *world, unsigned node, const struct call *call,
                      struct message *answer);

/* ---- jobs.c ---- */

void job_arm(struct world *world, unsigned node, bool remake);
void job_attach(struct world *world, unsigned node, unsigned primary, uint64_t epoch);
void job_prepare(struct world *world, unsigned node, unsigned candidate, uint64_t until_ms,
                 const struct ticket *ticket);
void job_pull(struct world *world, unsigned node, unsigned member, uint64_t until, uint64_t epoch);
void job_op_done(struct world *world, unsigned node, struct op *op);
void job_call_done(struct world *world, unsigned node, const struct call *call,
                   struct message *answer);

/* ---- serve.c ---- */

void serve(struct world *world, unsigned node, unsigned from, const struct ticket *ticket,
           const struct message *message);
void serve_op_done(struct world *world, unsigned node, struct op *op);
/* The lease is given back. */
void serve_released(struct world *world, unsigned node);
/* What acting_release() came to, for who took over. */
void serve_given_up(struct world *world, unsigned node, struct ticket *ticket, bool ok);

/* ---- client.c ---- */

void client_ask(struct world *world, unsigned node, const struct write *write);
void client_set_writer(struct world *world, unsigned node, enum writer_mode mode);
void client_end(struct world *world, const struct write *write, enum outcome outcome);
void client_write_done(struct world *world, unsigned node, const struct write *write,
                       enum outcome outcome, uint64_t revision);
void client_passed_on(struct world *world, unsigned node, const struct call *call,
                      const struct message *answer);
void client_daemon_gone(struct world *world, unsigned node);
void client_tick(struct world *world, unsigned node);

/* ---- upkeep.c ---- */

void upkeep(struct world *world, unsigned node);
void upkeep_op_done(struct world *world, unsigned node, const struct op *op);
struct quorum_set upkeep_wanted(const struct world *world, unsigned primary);
uint32_t record_add(struct world *world, const struct quorum_record *record);
uint32_t note_add(struct world *world, const struct note *note);
unsigned set_mask(const struct world *world, const struct quorum_set *set);

/* ---- check.c ---- */

void check_fail(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
void check_row(struct world *world, unsigned node, const struct row *row, bool local);
void check_opened(struct world *world, unsigned node, const struct op *op);
/* Before the database is asked to open. True: without a quorum, and somebody took that on. */
bool check_opening(struct world *world, unsigned node);
void check_goes_on(struct world *world, unsigned node);
/* Its log has chosen another arbiter than its record names. */
bool check_arbiter_changes(const struct world *world, unsigned node);
void check_resuming(struct world *world, unsigned node);
void check_acknowledged(struct world *world, unsigned node, uint64_t revision);
void check_node(struct world *world, unsigned node);
void check_became(struct world *world, unsigned node, enum node_state before);
void check_first_row(struct world *world, unsigned node);
void check_what_if(struct world *world, bool always);
/* The lease says whether it may act (I9). */
void check_permit(struct world *world, unsigned node, const struct lease_effect *effect);
/* It tells another that it acts no more (I9). */
void check_gave_up(struct world *world, unsigned node);
/* It acts on the outside, now (I9, I10): it begins to, or what it began arrives. */
void check_effect(struct world *world, unsigned node, uint64_t epoch, bool begins);
/* Baton takes over by itself. */
void check_takeover(struct world *world, unsigned node, unsigned primary, bool loss);
void check_took_over(struct world *world, uint64_t began_ms, uint64_t epoch);
/* The arbiter in use knows of nothing that is not so any more. */
bool check_note_is_back(const struct world *world, unsigned primary);
void check_rest(struct world *world, unsigned primary, struct buf *why);
void check_done(struct world *world);
