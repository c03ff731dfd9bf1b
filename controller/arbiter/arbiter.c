#include "controller/arbiter/arbiter.h"

#include <string.h>

#include "controller/arbiter/arbiter_inner.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

/* ---- names ---- */

const char *
arbiter_kind_name(enum arbiter_kind kind)
{
    static const char *const names[] = {
#define X(symbol, name) [ARBITER_##symbol] = name,
        ARBITER_KIND_TABLE(X)
#undef X
    };
    return names[kind];
}

const char *
arbiter_op_name(enum arbiter_op op)
{
    static const char *const names[] = {
#define X(symbol, name) [ARBITER_OP_##symbol] = name,
        ARBITER_OP_TABLE(X)
#undef X
    };
    return names[op];
}

const char *
arbiter_result_name(enum arbiter_result result)
{
    static const char *const names[] = {
#define X(symbol, name) [ARBITER_##symbol] = name,
        ARBITER_RESULT_TABLE(X)
#undef X
    };
    return names[result];
}

/* ---- the configuration ---- */

static enum err_code
wrong(struct err *err, const char *format, const char *what)
{
    return err_set(err, ERR_INVALID, "arbiter", format, what);
}

static bool
read_kind(struct json_object *value, enum arbiter_kind *ret)
{
    const char *name = NULL;
    if (!json_get_string(value, "kind", &name))
        return false;
    for (int kind = ARBITER_MANUAL; kind <= ARBITER_ETCD; kind++) {
        if (strcmp(name, arbiter_kind_name((enum arbiter_kind)kind)) == 0) {
            *ret = (enum arbiter_kind)kind;
            return true;
        }
    }
    return false;
}

/* A member that the kind does not know is a mistake, and one that we would forget in silence. */
static enum err_code
check_members(struct json_object *value, enum arbiter_kind kind, struct err *err)
{
    static const char *const known[][4] = {
        [ARBITER_MANUAL] = { "kind" },
        [ARBITER_POSTGRES] = { "kind", "dsn", "ca" },
        [ARBITER_ETCD] = { "kind", "endpoints", "ca" },
    };
    json_object_object_foreach (value, name, member) {
        bool found = false;
        (void)member;
        for (size_t i = 0; i < ARRAY_COUNT(known[kind]) && known[kind][i] != NULL; i++)
            found = found || strcmp(name, known[kind][i]) == 0;
        if (!found)
            return err_set(err, ERR_INVALID, "arbiter",
                           "an arbiter of kind '%s' has no member '%s'", arbiter_kind_name(kind),
                           name);
    }
    return ERR_NONE;
}

static enum err_code
read_endpoints(struct json_object *list, struct arbiter_config *config, struct err *err)
{
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (count == 0 || count > ARBITER_ENDPOINTS_MAX)
        return err_set(err, ERR_INVALID, "arbiter", "'endpoints' must be a list of 1 to %d URLs",
                       ARBITER_ENDPOINTS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        if (!json_object_is_type(entry, json_type_string))
            return err_set(err, ERR_INVALID, "arbiter", "'endpoints' must hold texts");
        config->endpoints[config->endpoint_count++] = str_dup(json_object_get_string(entry));
    }
    return ERR_NONE;
}

static enum err_code
read_config(struct json_object *value, struct arbiter_config *config, struct err *err)
{
    const char *text = NULL;
    if (!json_object_is_type(value, json_type_object) || !read_kind(value, &config->kind))
        return wrong(err, "'kind' must be %s", "manual, postgres or etcd");
    enum err_code code = check_members(value, config->kind, err);
    if (code != ERR_NONE)
        return code;
    if (json_get(value, "ca") != NULL) {
        if (!json_get_string(value, "ca", &text) || !str_starts(text, "-----BEGIN"))
            return wrong(err, "'ca' must be %s", "a certificate in PEM");
        config->ca = str_dup(text);
    }
    switch (config->kind) {
    case ARBITER_MANUAL:
        return ERR_NONE;
    case ARBITER_POSTGRES:
        if (!json_get_string(value, "dsn", &text))
            return wrong(err, "'%s' is missing or no text", "dsn");
        config->dsn = str_dup(text);
        return arbiter_postgres_check(config, err);
    case ARBITER_ETCD:
        code = read_endpoints(json_get(value, "endpoints"), config, err);
        return code == ERR_NONE ? arbiter_etcd_check(config, err) : code;
    }
    return ERR_NONE;
}

enum err_code
arbiter_config_read(struct json_object *value, struct arbiter_config *ret_config, struct err *err)
{
    struct arbiter_config config = { 0 };
    enum err_code code = read_config(value, &config, err);
    if (code == ERR_NONE)
        *ret_config = config;
    else
        arbiter_config_done(&config);
    return code;
}

void
arbiter_config_done(struct arbiter_config *config)
{
    free(config->dsn);
    for (size_t i = 0; i < config->endpoint_count; i++)
        free(config->endpoints[i]);
    free(config->ca);
    memset(config, 0, sizeof *config);
}

/* ---- what a record says ---- */

static enum arbiter_result
decide_later(const struct arbiter_ask *ask, const struct arbiter_record *record)
{
    switch (ask->op) {
    case ARBITER_OP_ACQUIRE:
        return record->alive ? ARBITER_HELD : ARBITER_GRANTED;
    case ARBITER_OP_RENEW:
    case ARBITER_OP_RELEASE:
    case ARBITER_OP_NOTE:
    case ARBITER_OP_BAR:
        return ARBITER_EXPIRED;
    case ARBITER_OP_PROMISE:
        return epoch_compare(&record->promised, &ask->epoch) > 0 ? ARBITER_STALE : ARBITER_DONE;
    case ARBITER_OP_CREATE:
    case ARBITER_OP_READ:
        break;
    }
    return ARBITER_DONE;
}

/* A5. The same note once more is no other one: its first answer may have been lost. */
static enum arbiter_result
decide_note(const struct arbiter_ask *ask, const struct arbiter_record *record, bool ours)
{
    bool newer = ask->number > record->number ||
                 (ask->number == record->number && strcmp(ask->note, record->note) == 0);
    if (epoch_compare(&record->promised, &ask->epoch) > 0)
        return ARBITER_STALE;
    return ours && record->alive && newer ? ARBITER_DONE : ARBITER_EXPIRED;
}

static enum arbiter_result
decide_same(const struct arbiter_ask *ask, const struct arbiter_record *record)
{
    bool ours = ask->grant == 0 || ask->grant == record->grant; /* A6 */
    switch (ask->op) {
    case ARBITER_OP_ACQUIRE: /* A8 */
        return record->released ? ARBITER_EXPIRED : ARBITER_GRANTED;
    case ARBITER_OP_RENEW:
        return ours && record->alive ? ARBITER_GRANTED : ARBITER_EXPIRED;
    case ARBITER_OP_RELEASE:
        return ours ? ARBITER_DONE : ARBITER_EXPIRED;
    case ARBITER_OP_PROMISE:
        return ARBITER_STALE;
    case ARBITER_OP_NOTE:
        return decide_note(ask, record, ours);
    case ARBITER_OP_BAR:
        return ours && record->alive ? ARBITER_DONE : ARBITER_EXPIRED;
    case ARBITER_OP_CREATE:
    case ARBITER_OP_READ:
        break;
    }
    return ARBITER_DONE;
}

enum arbiter_result
arbiter_decide(const struct arbiter_ask *ask, const struct arbiter_record *record)
{
    if (ask->op == ARBITER_OP_CREATE)
        return record == NULL || ask->adopt ? ARBITER_DONE : ARBITER_EXISTS;
    if (record == NULL)
        return ARBITER_EMPTY;
    if (record->suspect.number != 0 || epoch_compare(&record->epoch, &ask->known) < 0)
        return ARBITER_RESTORED;
    if (ask->op == ARBITER_OP_READ)
        return ARBITER_DONE;
    int order = epoch_compare(&ask->epoch, &record->epoch);
    if (order < 0)
        return ARBITER_STALE;
    return order > 0 ? decide_later(ask, record) : decide_same(ask, record);
}

/* ---- calls ---- */

uint32_t
arbiter_slice_ms(const struct arbiter_call *call, unsigned left)
{
    uint64_t now = clock_now_ms();
    uint64_t rest = call->deadline_ms > now ? call->deadline_ms - now : 0;
    uint64_t slice = left > 1 ? rest / left : rest;
    if (left > 1 && slice > ARBITER_SLICE_MS_MAX)
        slice = ARBITER_SLICE_MS_MAX;
    return slice > 0 ? (uint32_t)slice : 1;
}

static void
call_free(struct arbiter_call *call)
{
    ev_timer_stop(call->arbiter->loop, &call->alarm);
    list_remove(&call->node);
    call->arbiter->call_count--;
    free(call->note);
    free(call);
}

void
arbiter_finish(struct arbiter_call *call, enum arbiter_result result)
{
    struct arbiter *arbiter = call->arbiter;
    call->reply.result = result;
    call->reply.answered_ms = clock_now_ms();
    list_remove(&call->node); /* so that nobody finds it while 'done' runs */
    ev_timer_stop(arbiter->loop, &call->alarm);
    bool was_inside = arbiter->inside;
    arbiter->inside = true;
    call->done(call->data, &call->reply);
    arbiter->inside = was_inside;
    call_free(call);
}

void
arbiter_fail(struct arbiter_call *call, const struct err *err)
{
    call->reply.err = *err;
    arbiter_finish(call, ARBITER_UNCLEAR);
}

static void
arm(struct arbiter_call *call, uint32_t ms)
{
    struct ev_loop *loop = call->arbiter->loop;
    ev_timer_stop(loop, &call->alarm);
    ev_now_update(loop);
    ev_timer_set(&call->alarm, ms / 1000.0, 0.0);
    ev_timer_start(loop, &call->alarm);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct arbiter_call *call = CONTAINER_OF(alarm, struct arbiter_call, alarm);
    const struct arbiter_port *port = call->arbiter->port;
    if (!call->begun) {
        call->begun = true;
        arm(call, arbiter_slice_ms(call, 1));
        if (call->arbiter->call_count > ARBITER_CALLS_MAX) {
            struct err busy = { 0 };
            (void)err_set(&busy, ERR_THROTTLED, "arbiter_busy",
                          "the arbiter: %d calls are under way", ARBITER_CALLS_MAX);
            arbiter_fail(call, &busy);
            return;
        }
        port->start(call);
        return;
    }
    struct err late = { 0 };
    const char *before = call->reply.err.text; /* what an endpoint said */
    (void)err_set(&late, ERR_TIMEOUT, "arbiter_timeout",
                  "the arbiter did not answer within %u ms%s%s", call->ask.deadline_ms,
                  before[0] == '\0' ? "" : ": ", before);
    port->stop(call);
    arbiter_fail(call, &late);
}

struct arbiter_call *
arbiter_start(struct arbiter *arbiter, const struct arbiter_ask *ask, arbiter_done_fn *done,
              void *data)
{
    bool wants_epoch = ask->op != ARBITER_OP_READ;
    bool wants_lease = ask->op == ARBITER_OP_CREATE || ask->op == ARBITER_OP_ACQUIRE ||
                       ask->op == ARBITER_OP_RENEW;
    bool notes =
        ask->op == ARBITER_OP_CREATE || ask->op == ARBITER_OP_NOTE || ask->op == ARBITER_OP_BAR;
    ASSERT(ask->deadline_ms > 0 && ask->deadline_ms <= ARBITER_DEADLINE_MS_MAX);
    ASSERT(!wants_epoch || (ask->epoch.number > 0 && ask->epoch.number <= INT64_MAX &&
                            str_is_name(ask->epoch.holder)));
    ASSERT(ask->known.number <= INT64_MAX);
    ASSERT(!wants_lease ||
           (ask->lease_ms >= ARBITER_LEASE_MS_MIN && ask->lease_ms <= ARBITER_LEASE_MS_MAX));
    ASSERT(!ask->adopt || ask->op == ARBITER_OP_CREATE);
    ASSERT(ask->grant <= INT64_MAX && ask->number <= INT64_MAX);
    ASSERT(notes || (ask->note == NULL && ask->number == 0));
    ASSERT(ask->note == NULL || strlen(ask->note) < ARBITER_NOTE_SIZE);
    ASSERT(done != NULL);
    struct arbiter_call *call = mem_zero(1, arbiter->port->call_size);
    call->arbiter = arbiter;
    call->ask = *ask;
    call->note = str_dup(ask->note == NULL ? "" : ask->note);
    call->ask.note = call->note;
    call->done = done;
    call->data = data;
    call->reply.op = ask->op;
    call->reply.sent_ms = clock_now_ms(); /* A2 */
    call->deadline_ms = call->reply.sent_ms + ask->deadline_ms;
    list_add_tail(&arbiter->calls, &call->node);
    arbiter->call_count++;
    ev_init(&call->alarm, on_alarm);
    arm(call, 0);
    return call;
}

void
arbiter_cancel(struct arbiter_call *call)
{
    if (call == NULL)
        return;
    if (call->begun)
        call->arbiter->port->stop(call);
    call_free(call);
}

/* ---- opening ---- */

enum err_code
arbiter_open(const struct arbiter_options *options, struct arbiter **ret_arbiter, struct err *err)
{
    struct arbiter *arbiter = NULL;
    enum err_code code = ERR_NONE;
    switch (options->config->kind) {
    case ARBITER_MANUAL:
        ASSERT(false);
        break;
    case ARBITER_POSTGRES:
        code = arbiter_postgres_open(options, &arbiter, err);
        break;
    case ARBITER_ETCD:
        code = arbiter_etcd_open(options, &arbiter, err);
        break;
    }
    if (code != ERR_NONE)
        return code;
    arbiter->loop = options->loop;
    arbiter->cluster_id = str_dup(options->cluster_id);
    arbiter->node = str_dup(options->node);
    list_init(&arbiter->calls);
    *ret_arbiter = arbiter;
    return ERR_NONE;
}

void
arbiter_close(struct arbiter *arbiter)
{
    if (arbiter == NULL)
        return;
    ASSERT(!arbiter->inside);
    while (!list_empty(&arbiter->calls))
        arbiter_cancel(CONTAINER_OF(arbiter->calls.next, struct arbiter_call, node));
    ASSERT(arbiter->call_count == 0);
    free(take_ptr(&arbiter->cluster_id));
    free(take_ptr(&arbiter->node));
    arbiter->port->close(arbiter);
}

struct json_object *
arbiter_bar_next(struct json_object *told, struct json_object *wanted)
{
    struct json_object *next = NULL;
    size_t size = sizeof "{}";
    json_object_object_foreach (wanted, name, value) {
        uint64_t had = 0;
        uint64_t first = json_object_get_uint64(value);
        if (told != NULL)
            (void)!json_get_u64(told, name, &had);
        if (first <= had)
            continue;
        size += strlen(name) + sizeof "\"\":18446744073709551615,";
        if (size > ARBITER_NOTE_SIZE)
            break;
        if (next == NULL)
            next = json_object_new_object();
        json_add_u64(next, name, first);
    }
    return next;
}
