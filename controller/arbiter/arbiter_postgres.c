/*
 * One connection to one endpoint at a time, made when something is asked. Several hosts in the DSN
 * are one database that moves between them; they are tried in turn. What was not sent may be sent
 * to the next one, what may have been carried out is UNCLEAR.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controller/arbiter/arbiter_inner.h"
#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/pq.h"
#include "controller/loop/resolve.h"
#include "sql.h"

#define PORT_DEFAULT    "5432"
#define USER_DEFAULT    "baton_witness"
#define DATABASE        "baton"
#define NUMBER_SIZE     24
#define ASK_VALUES      11
#define READ_ONLY_STATE "25006" /* a standby: the one that may write is another */

struct endpoint {
    char *host;                /* owned; NULL: only the address is known */
    char *port;                /* owned */
    char *address;             /* owned; NULL: not looked up yet; "": needs none (a socket) */
    bool is_name;              /* whose address is looked up, and again when it does not answer */
    struct resolve *resolving; /* owned; NULL: none under way */
    struct postgres *postgres;
};

struct postgres {
    struct arbiter base;
    struct endpoint endpoints[ARBITER_ENDPOINTS_MAX];
    size_t endpoint_count;
    size_t current;
    char *conninfo; /* owned; all but where to */
    int ca;         /* of a file without name that holds the CA; -1: none */
    struct pq *pq;  /* owned; to 'current'; NULL: none */
    bool lost;      /* 'pq' has no connection, and none in the making */
    unsigned generation;
};

struct postgres_call {
    struct arbiter_call base;
    uint64_t request; /* of pq; 0: none */
    bool waiting;     /* for any address */
    bool repeated;
    unsigned generation;
};

/* ---- the DSN ---- */

static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL && options->val[0] != '\0' ? options->val : NULL;
    }
    return NULL;
}

static size_t
list_count(const char *list)
{
    size_t count = list == NULL ? 0 : 1;
    for (; list != NULL && *list != '\0'; list++)
        count += *list == ',';
    return count;
}

/* The caller's; NULL when there is none. A list of one counts for all. */
static char *
list_member(const char *list, size_t index)
{
    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < index && list_count(list) > 1 && *list != '\0'; i++) {
        list += strcspn(list, ",");
        list += *list == ',';
    }
    size_t length = strcspn(list, ",");
    return length == 0 ? NULL : str_printf("%.*s", (int)length, list);
}

static bool
is_socket(const char *host)
{
    return host != NULL && (host[0] == '/' || host[0] == '@');
}

static enum err_code
wrong(struct err *err, const char *why, const char *mend)
{
    (void)err_set(err, ERR_INVALID, "arbiter", "the arbiter's 'dsn' %s", why);
    return err_mend(err, "%s", mend);
}

static enum err_code
check_options(const PQconninfoOption *options, bool has_ca, struct err *err)
{
    const char *host = option_value(options, "host");
    const char *address = option_value(options, "hostaddr");
    const char *port = option_value(options, "port");
    size_t count = list_count(host != NULL ? host : address);
    if (count == 0)
        return wrong(err, "names no host", "add host=NAME or hostaddr=ADDRESS");
    if (count > ARBITER_ENDPOINTS_MAX || (address != NULL && list_count(address) != count) ||
        (list_count(port) > 1 && list_count(port) != count))
        return wrong(err, "does not name as many hosts, addresses and ports",
                     "name at most 8 hosts, and as many ports or one");
    if (option_value(options, "password") != NULL || option_value(options, "sslpassword") != NULL)
        return wrong(err, "holds a password, which every member would see",
                     "let the nodes' certificates do, or name a file of each node: passfile=PATH");
    const char *mode = option_value(options, "sslmode");
    bool verifies = mode == NULL ? !is_socket(host) : str_starts(mode, "verify-");
    if (verifies && !has_ca && option_value(options, "sslrootcert") == NULL)
        return wrong(err, "does not say who may have signed the server's certificate",
                     "give 'ca', the certificate of that CA");
    return ERR_NONE;
}

/* '*ret_options' is the caller's (PQconninfoFree). */
static enum err_code
parse(const struct arbiter_config *config, PQconninfoOption **ret_options, struct err *err)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(config->dsn, &message);
    PQfreemem(message); /* it quotes the text at fault, which may be a piece of a password */
    if (options == NULL)
        return wrong(err, "does not parse", "write keyword=value pairs or postgresql://...");
    enum err_code code = check_options(options, config->ca != NULL, err);
    if (code == ERR_NONE)
        *ret_options = options;
    else
        PQconninfoFree(options);
    return code;
}

enum err_code
arbiter_postgres_check(const struct arbiter_config *config, struct err *err)
{
    PQconninfoOption *options = NULL;
    enum err_code code = parse(config, &options, err);
    if (code == ERR_NONE)
        PQconninfoFree(options);
    return code;
}

static void
add_default(const PQconninfoOption *options, struct buf *pairs, const char *keyword,
            const char *value)
{
    if (value != NULL && option_value(options, keyword) == NULL)
        pq_add_pair(pairs, keyword, value);
}

/* All but where to: what the DSN says, and what it leaves to us. */
static char *
make_conninfo(const struct arbiter_options *from, const PQconninfoOption *options, int ca)
{
    static const char *const where[] = { "host", "hostaddr", "port" };
    /* A connection that the network forgot is found out within a renewal or two. */
    static const char *const defaults[][2] = {
        { "user", USER_DEFAULT },   { "dbname", DATABASE },         { "tcp_user_timeout", "3000" },
        { "keepalives_idle", "2" }, { "keepalives_interval", "1" }, { "keepalives_count", "3" },
    };
    struct buf pairs = { 0 };
    for (const PQconninfoOption *at = options; at->keyword != NULL; at++) {
        bool skip = at->val == NULL || at->val[0] == '\0';
        for (size_t i = 0; i < ARRAY_COUNT(where); i++)
            skip = skip || strcmp(at->keyword, where[i]) == 0;
        if (!skip)
            pq_add_pair(&pairs, at->keyword, at->val);
    }
    for (size_t i = 0; i < ARRAY_COUNT(defaults); i++)
        add_default(options, &pairs, defaults[i][0], defaults[i][1]);
    CLEANUP(freep) char *ca_path = ca < 0 ? NULL : str_printf("/proc/self/fd/%d", ca);
    if (!is_socket(option_value(options, "host")))
        add_default(options, &pairs, "sslmode", "verify-full");
    add_default(options, &pairs, "sslrootcert", ca_path);
    add_default(options, &pairs, "sslcert", from->cert);
    add_default(options, &pairs, "sslkey", from->key);
    add_default(options, &pairs, "application_name", from->node);
    return buf_take(&pairs);
}

/* libpq reads a CA from a file only, and again for each connection. */
static enum err_code
keep_ca(const char *text, int *ret_file, struct err *err)
{
    size_t size = strlen(text);
    int file = memfd_create("baton-arbiter-ca", MFD_CLOEXEC);
    if (file < 0)
        return err_errno(err, errno, "keep the arbiter's CA");
    if (write(file, text, size) != (ssize_t)size) {
        (void)close(file);
        return err_errno(err, EIO, "keep the arbiter's CA");
    }
    *ret_file = file;
    return ERR_NONE;
}

/* ---- answers ---- */

static bool
read_result(const char *name, enum arbiter_result *ret)
{
    for (int result = ARBITER_GRANTED; result < ARBITER_UNCLEAR; result++) {
        if (name != NULL && strcmp(name, arbiter_result_name((enum arbiter_result)result)) == 0) {
            *ret = (enum arbiter_result)result;
            return true;
        }
    }
    return false;
}

static bool
read_flag(const char *text, bool *ret)
{
    if (text == NULL || (strcmp(text, "t") != 0 && strcmp(text, "f") != 0))
        return false;
    *ret = text[0] == 't';
    return true;
}

static bool
read_number(const char *text, uint64_t max, uint64_t *ret)
{
    return text != NULL && str_to_u64(text, 0, max, ret);
}

static bool
read_note(const PGresult *result, struct arbiter_reply *reply)
{
    uint64_t promised = 0;
    const char *holder = pq_text(result, 0, "promised_holder");
    const char *note = pq_text(result, 0, "note");
    if (!read_number(pq_text(result, 0, "promised"), INT64_MAX, &promised) || holder == NULL ||
        (promised != 0 && !str_is_name(holder)) || note == NULL)
        return false;
    reply->promised = epoch_make(promised, promised == 0 ? "" : holder);
    return read_number(pq_text(result, 0, "number"), INT64_MAX, &reply->number) &&
           str_copy(reply->note, sizeof reply->note, note);
}

static bool
read_record(const PGresult *result, struct arbiter_reply *reply)
{
    uint64_t number = 0;
    uint64_t lease = 0;
    uint64_t remaining = 0;
    const char *holder = pq_text(result, 0, "holder");
    if (!read_number(pq_text(result, 0, "epoch"), INT64_MAX, &number) || number == 0 ||
        holder == NULL || !str_is_name(holder) ||
        !read_number(pq_text(result, 0, "lease_ms"), INT32_MAX, &lease) ||
        !read_number(pq_text(result, 0, "remaining_ms"), INT32_MAX, &remaining) ||
        !read_flag(pq_text(result, 0, "released"), &reply->released) ||
        !read_flag(pq_text(result, 0, "clean"), &reply->clean))
        return false;
    if (!read_number(pq_text(result, 0, "grant_serial"), INT64_MAX, &reply->grant) ||
        !read_note(result, reply))
        return false;
    reply->has_record = true;
    reply->epoch = epoch_make(number, holder);
    reply->lease_ms = (uint32_t)lease;
    reply->remaining_ms = (uint32_t)remaining;
    return true;
}

/* A4: also an answer that is no answer to what was asked. */
static void
take_row(struct arbiter_call *call, const PGresult *result)
{
    struct err err = { 0 };
    enum arbiter_result answer;
    struct arbiter_reply *reply = &call->reply;
    bool sense = PQntuples(result) == 1 && read_result(pq_text(result, 0, "result"), &answer) &&
                 (answer == ARBITER_EMPTY || read_record(result, reply));
    if (sense && answer == ARBITER_GRANTED)
        sense = epoch_equal(&reply->epoch, &call->ask.epoch) &&
                reply->lease_ms == call->ask.lease_ms && !reply->released &&
                (call->ask.op == ARBITER_OP_ACQUIRE || call->ask.op == ARBITER_OP_RENEW);
    if (sense) {
        arbiter_finish(call, answer);
        return;
    }
    reply->has_record = false;
    (void)err_set(&err, ERR_PROTOCOL, "arbiter_answer", "the witness's answer makes no sense");
    arbiter_fail(call, &err);
}

/* ---- the connection ---- */

static void try_now(struct postgres_call *call);

static void
drop(struct postgres *postgres)
{
    struct pq *old = take_ptr(&postgres->pq);
    postgres->generation++;
    pq_close(old); /* others that wait there are told so, and look for the next one themselves */
}

static void
on_state(void *data, enum pq_state state, const struct err *err)
{
    struct postgres *postgres = data;
    (void)err;
    postgres->lost = state == PQ_WAITING;
}

static void
on_resolved(void *data, const char *address, const struct err *err)
{
    struct endpoint *endpoint = data;
    struct postgres *postgres = endpoint->postgres;
    endpoint->resolving = NULL;
    if (address != NULL) {
        free(endpoint->address);
        endpoint->address = str_dup(address);
    } else {
        log_warn("arbiter.dns", "reason=\"%s\"", err->text);
    }
    /* One after the other, and the list anew each time: each may end, and start or cancel others.
     * Without an address they go on waiting for their deadline, or for another endpoint. */
    for (bool again = address != NULL; again;) {
        again = false;
        list_each (at, &postgres->base.calls) {
            struct postgres_call *call = CONTAINER_OF(at, struct postgres_call, base.node);
            if (!call->waiting)
                continue;
            call->waiting = false;
            try_now(call);
            again = true;
            break;
        }
    }
}

static void
look_up(struct endpoint *endpoint)
{
    struct err err = { 0 };
    if (endpoint->host == NULL || is_socket(endpoint->host) || resolve_is_address(endpoint->host) ||
        endpoint->resolving != NULL)
        return;
    if (resolve_start(endpoint->postgres->base.loop, endpoint->host, on_resolved, endpoint,
                      &endpoint->resolving, &err) != ERR_NONE)
        log_warn("arbiter.dns", "reason=\"%s\"", err.text);
}

/* To the first one from 'current' on that has an address. ERR_NOT_FOUND: none has. */
static enum err_code
connect_now(struct postgres *postgres, struct err *err)
{
    static const char *const setup[] = { "set synchronous_commit = on", "set lock_timeout = '2s'" };
    size_t count = postgres->endpoint_count;
    size_t tried = 0;
    while (tried < count && postgres->endpoints[postgres->current].address == NULL) {
        look_up(&postgres->endpoints[postgres->current]);
        postgres->current = (postgres->current + 1) % count;
        tried++;
    }
    if (tried == count)
        return err_set(err, ERR_NOT_FOUND, "address_not_found", "no endpoint has an address yet");
    const struct endpoint *endpoint = &postgres->endpoints[postgres->current];
    struct buf conninfo = { 0 };
    buf_add_text(&conninfo, postgres->conninfo);
    if (endpoint->host != NULL)
        pq_add_pair(&conninfo, "host", endpoint->host);
    if (endpoint->address[0] != '\0')
        pq_add_pair(&conninfo, "hostaddr", endpoint->address);
    pq_add_pair(&conninfo, "port", endpoint->port);
    struct pq_options options = { .loop = postgres->base.loop,
                                  .name = "arbiter",
                                  .conninfo = buf_text(&conninfo),
                                  .setup = setup,
                                  .setup_count = ARRAY_COUNT(setup),
                                  .on_state = on_state,
                                  .data = postgres,
                                  .queue_max = ARBITER_CALLS_MAX };
    postgres->lost = false;
    enum err_code code = pq_open(&options, &postgres->pq, err);
    buf_done(&conninfo);
    return code;
}

/* ---- calls ---- */

static void
try_next(struct postgres_call *call, const struct err *err)
{
    struct postgres *postgres = (struct postgres *)call->base.arbiter;
    bool others = call->base.tried < postgres->endpoint_count;
    if (call->generation == postgres->generation) {
        look_up(&postgres->endpoints[postgres->current]); /* it may have moved */
        postgres->current = (postgres->current + 1) % postgres->endpoint_count;
        drop(postgres);
    }
    if (!others) {
        arbiter_fail(&call->base, err);
        return;
    }
    call->base.reply.err = *err;
    try_now(call);
}

static void
on_answer(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct postgres_call *call = data;
    struct postgres *postgres = (struct postgres *)call->base.arbiter;
    call->request = 0;
    if (err == NULL && !warned) {
        take_row(&call->base, result);
        return;
    }
    struct err why = { 0 };
    if (err == NULL) {
        (void)err_set(&why, ERR_UNKNOWN_OUTCOME, "arbiter_warning", "the witness: %s",
                      postgres->pq == NULL ? "" : pq_warning(postgres->pq));
        arbiter_fail(&call->base, &why);
        return;
    }
    why = *err;
    (void)err_wrap(&why, "the witness");
    bool not_sent = result == NULL && (err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT ||
                                       err->code == ERR_CANCELLED);
    bool elsewhere = result != NULL && (err->code == ERR_UNAVAILABLE ||
                                        strcmp(pq_sqlstate(result), READ_ONLY_STATE) == 0);
    if (not_sent || elsewhere) {
        try_next(call, &why);
        return;
    }
    /* The connection broke, as when the server is restarted. What is asked once more is the same
     * (a lease ends by 'sent_ms', which stays), but for CREATE, whose second answer is another. */
    bool broke = err->code == ERR_UNKNOWN_OUTCOME && strcmp(err->slug, "deadline") != 0;
    if (broke && !call->repeated && call->base.ask.op != ARBITER_OP_CREATE) {
        call->repeated = true;
        postgres->lost = postgres->lost || call->generation == postgres->generation;
        try_now(call);
        return;
    }
    arbiter_fail(&call->base, &why);
}

static const char *
number_text(uint64_t number, char text[NUMBER_SIZE])
{
    (void)snprintf(text, NUMBER_SIZE, "%llu", (unsigned long long)number);
    return text;
}

static void
send_ask(struct postgres *postgres, struct postgres_call *call)
{
    const struct arbiter_ask *ask = &call->base.ask;
    char numbers[5][NUMBER_SIZE];
    bool has_epoch = ask->epoch.number != 0;
    bool knows = ask->known.number != 0;
    const char *values[ASK_VALUES] = {
        arbiter_op_name(ask->op),
        postgres->base.cluster_id,
        has_epoch ? number_text(ask->epoch.number, numbers[0]) : NULL,
        has_epoch ? ask->epoch.holder : NULL,
        knows ? number_text(ask->known.number, numbers[1]) : NULL,
        knows ? ask->known.holder : NULL,
        number_text(ask->lease_ms, numbers[2]),
        ask->adopt ? "t" : "f",
        number_text(ask->grant, numbers[3]),
        number_text(ask->number, numbers[4]),
        ask->note,
    };
    unsigned left = call->base.tried < postgres->endpoint_count
                        ? (unsigned)postgres->endpoint_count - call->base.tried
                        : 1;
    struct pq_request request = { .sql = sql_witness_ask,
                                  .count = ASK_VALUES,
                                  .values = values,
                                  .deadline_ms = arbiter_slice_ms(&call->base, left),
                                  .prepare = true,
                                  .done = on_answer,
                                  .data = call };
    call->base.tried++;
    call->generation = postgres->generation;
    call->request = pq_send(postgres->pq, &request);
}

static void
try_now(struct postgres_call *call)
{
    struct postgres *postgres = (struct postgres *)call->base.arbiter;
    struct err err = { 0 };
    enum err_code code = ERR_NONE;
    if (postgres->pq != NULL && postgres->lost)
        drop(postgres); /* it would come back by itself, and later than we can wait */
    if (postgres->pq == NULL)
        code = connect_now(postgres, &err);
    if (code == ERR_NONE)
        send_ask(postgres, call);
    else if (code == ERR_NOT_FOUND)
        call->waiting = true;
    else
        arbiter_fail(&call->base, &err);
}

static void
start(struct arbiter_call *base)
{
    try_now((struct postgres_call *)base);
}

static void
stop(struct arbiter_call *base)
{
    struct postgres_call *call = (struct postgres_call *)base;
    struct postgres *postgres = (struct postgres *)base->arbiter;
    call->waiting = false;
    if (call->request == 0 || call->generation != postgres->generation)
        return;
    pq_forget(postgres->pq, call->request);
    call->request = 0;
    if (pq_state(postgres->pq) != PQ_READY)
        postgres->lost = true; /* the next call does not wait for what this one has waited for */
}

static void
close_all(struct arbiter *base)
{
    struct postgres *postgres = (struct postgres *)base;
    for (size_t i = 0; i < postgres->endpoint_count; i++) {
        struct endpoint *endpoint = &postgres->endpoints[i];
        resolve_cancel(endpoint->resolving);
        free(endpoint->host);
        free(endpoint->port);
        free(endpoint->address);
    }
    pq_close(postgres->pq);
    if (postgres->ca >= 0)
        (void)close(postgres->ca);
    free(postgres->conninfo);
    free(postgres);
}

static const struct arbiter_port postgres_port = {
    .call_size = sizeof(struct postgres_call),
    .start = start,
    .stop = stop,
    .close = close_all,
};

static void
add_endpoints(struct postgres *postgres, const PQconninfoOption *options)
{
    const char *hosts = option_value(options, "host");
    const char *addresses = option_value(options, "hostaddr");
    const char *ports = option_value(options, "port");
    postgres->endpoint_count = list_count(hosts != NULL ? hosts : addresses);
    for (size_t i = 0; i < postgres->endpoint_count; i++) {
        struct endpoint *endpoint = &postgres->endpoints[i];
        endpoint->postgres = postgres;
        endpoint->host = list_member(hosts, i);
        endpoint->address = list_member(addresses, i);
        endpoint->port = list_member(ports, i);
        if (endpoint->port == NULL)
            endpoint->port = str_dup(PORT_DEFAULT);
        if (endpoint->address == NULL && endpoint->host != NULL) {
            if (is_socket(endpoint->host))
                endpoint->address = str_dup("");
            else if (resolve_is_address(endpoint->host))
                endpoint->address = str_dup(endpoint->host);
        }
        endpoint->is_name = endpoint->address == NULL;
    }
}

enum err_code
arbiter_postgres_open(const struct arbiter_options *options, struct arbiter **ret_arbiter,
                      struct err *err)
{
    PQconninfoOption *parsed = NULL;
    int ca = -1;
    enum err_code code = parse(options->config, &parsed, err);
    if (code != ERR_NONE)
        return code;
    if (options->config->ca != NULL)
        code = keep_ca(options->config->ca, &ca, err);
    if (code == ERR_NONE) {
        struct postgres *postgres = mem_zero(1, sizeof *postgres);
        postgres->base.port = &postgres_port;
        postgres->base.loop = options->loop;
        postgres->ca = ca;
        postgres->conninfo = make_conninfo(options, parsed, ca);
        add_endpoints(postgres, parsed);
        for (size_t i = 0; i < postgres->endpoint_count; i++) {
            if (postgres->endpoints[i].address == NULL)
                look_up(&postgres->endpoints[i]);
        }
        *ret_arbiter = &postgres->base;
    }
    PQconninfoFree(parsed);
    return code;
}
