/*
 * inner.h -- what the files of the world share; nobody else includes it.
 *
 *   queue.c     events in the order of their time
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

#include "controller/base/check.h"
#include "tests/world/rng.h"
#include "tests/world/world.h"

#define WORLD_CALLS_MAX    64
#define WORLD_WRITES_MAX   64
#define WORLD_OPS_MAX      64
#define WORLD_POSTED_MAX   64
#define WORLD_PAGE_ROWS    20   /* rows of one answer to a pull */
#define WORLD_RECONNECT_MS 50   /* a subscription that failed tries again */
#define WORLD_STREAM_MS    5000 /* a connection that passes nothing for so long is broken */
#define WORLD_UPKEEP_MS    500

/* ---- rows ---- */

enum row_kind { ROW_PLAIN, ROW_EPOCH, ROW_RECORD };

struct row {
    uint64_t revision;
    uint64_t epoch;
    uint64_t value;  /* number of the client's write */
    uint64_t hash;   /* over the row before */
    uint32_t record; /* 1 + index into world->records when the row sets it, else 0 */
    enum row_kind kind;
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

struct facts {
    enum node_state state;
    uint64_t epoch;
    uint64_t promised;
    struct point applied;
    unsigned following; /* WORLD_NONE: nobody */
    bool streaming;
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
};

enum reply { REPLY_OK, REPLY_REFUSED, REPLY_UNREACHABLE, REPLY_TIMEOUT };

enum write_source { WRITE_CLIENT, WRITE_DIRECT, WRITE_FIRST, WRITE_RECORD };
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

struct event {
    uint64_t at_ms;
    uint64_t order;
    event_fn *run;
    unsigned node;
    unsigned peer;
    uint32_t life; /* of what must still live: a daemon, a database, a connection */
    uint32_t id;
    bool control; /* which queue of operations */
    struct message message;
    struct event *next; /* free list */
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
};

/* Whose step an operation is. */
enum job { JOB_NONE, JOB_ARM, JOB_ATTACH, JOB_PREPARE, JOB_PULL, JOB_SLOT, JOB_SYNC, JOB_PROMO };

struct op {
    enum op_kind kind;
    enum job job;
    unsigned peer;
    uint32_t life;
    uint64_t wait_until_ms; /* for a lock */
    bool ended;             /* executed: its answer is on the way */
    struct ticket ticket;
    struct message message; /* parameters, then results */
    unsigned names_k;
    unsigned names_mask;
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
    struct write write;
};

struct database {
    bool up;
    uint32_t boot; /* counts its starts */
    bool is_primary;
    bool frozen;
    uint64_t epoch;
    uint64_t promised;
    uint32_t opened_boot;
    struct row_list log;
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
    uint64_t epoch; /* of the promotion that asks */
    uint32_t serial;
    struct write write;
};

struct attach {
    bool active;
    uint32_t serial;
    unsigned primary;
    uint64_t epoch;
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
};

struct arm {
    bool active;
    uint32_t serial;
    unsigned at;
    bool remake;
};

enum writer_mode { WRITER_IS_CLOSED, WRITER_IS_HELD, WRITER_IS_OPEN };

struct daemon {
    bool up;
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
    unsigned heard; /* bit of each peer that was heard since the start of this daemon (I11) */
    bool database_asked;
    bool may_act;
    bool streaming;
    bool sync_busy;
    uint64_t acked; /* newest revision acknowledged in the epoch that is open here */
};

struct world_node {
    char name[NODE_NAME_SIZE];
    unsigned schema;
    struct database db;
    struct daemon daemon;
    /* check.c */
    uint64_t promise_seen;
};

struct posted {
    unsigned node;
    bool to_promo;
    struct node_event node_event;
    struct promo_event promo_event;
    struct node_facts facts;
    struct quorum_record record;
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
    unsigned cut[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* lines that do not pass from, to */
    unsigned loss_percent;
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

/* A zeroed event 'after_ms' from now; the caller fills it in. */
struct event *queue_add(struct world *world, uint64_t after_ms, event_fn *run, unsigned node);
struct event *queue_take(struct world *world); /* NULL: none */
const struct event *queue_first(const struct world *world);
void queue_release(struct world *world, struct event *event);
void queue_done(struct world *world);

/* ---- world.c ---- */

void say(struct world *world, enum world_topic topic, const char *format, ...) PRINTF_LIKE(3, 4);
/* 'ms' by chance between a quarter and the whole; 'ms' without chance. */
uint64_t some_ms(struct world *world, uint64_t ms);

/* ---- database.c ---- */

struct point db_head(const struct database *db);    /* what its transactions see */
struct point db_durable(const struct database *db); /* what is there after a crash */
size_t db_visible(const struct database *db);
bool db_writable(const struct database *db);
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
struct facts daemon_facts(const struct world *world, unsigned node);
struct node_facts facts_of(const struct world *world, unsigned node, const struct facts *facts);
const struct quorum_record *daemon_record(const struct world *world, unsigned node);
void daemon_started(struct world *world, unsigned node, const struct op *op);
bool daemon_begin(struct world *world, unsigned node, const struct promo_order *order);

/* ---- effects.c ---- */

/* Whether the promotion for 'epoch' still runs: an answer of an earlier one must not be taken for
 * it. */
bool effect_is_current(const struct world *world, unsigned node, uint64_t epoch);
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
unsigned set_mask(const struct world *world, const struct quorum_set *set);

/* ---- check.c ---- */

void check_fail(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
void check_row(struct world *world, unsigned node, const struct row *row, bool local);
void check_opened(struct world *world, unsigned node, const struct op *op);
/* Before the database is asked to open. True: without a quorum, and somebody took that on. */
bool check_opening(struct world *world, unsigned node);
void check_resuming(struct world *world, unsigned node);
void check_acknowledged(struct world *world, unsigned node, uint64_t revision);
void check_node(struct world *world, unsigned node);
void check_became(struct world *world, unsigned node, enum node_state before);
void check_first_row(struct world *world, unsigned node);
void check_what_if(struct world *world, bool always);
void check_rest(struct world *world, unsigned primary, struct buf *why);
void check_done(struct world *world);
