/*
 * etcd, by the JSON gateway of its API v3. Two keys for each cluster:
 *
 *   baton/CLUSTER/record  the record as JSON. Not bound to a lease, so that the epoch survives it.
 *                         The revision of etcd is no epoch: a restored backup lowers it.
 *   baton/CLUSTER/lease   the epoch as text, bound to a lease of etcd: there as long as that lives
 *
 * Every call looks first, at both keys in one linearizable transaction; decides here; and then
 * changes something on the condition that both keys are still what was looked at. A renewal keeps
 * alive the lease that the key was bound to. The gateway's traps: numbers of 64 bits are texts,
 * what is zero or false is missing, and keeping a dead lease alive is answered with 200 and no TTL.
 *
 * An endpoint that fails is left for the next one. What may have changed something is not asked
 * twice: UNCLEAR, and the next call will see.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/arbiter/arbiter_inner.h"
#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/fetch.h"

#define URL_LENGTH_MAX     512
#define REPLY_SIZE_MAX     65536
#define RECORD_SIZE_MAX    16384 /* in base64; a note is JSON in JSON */
#define KEY_RECORD         "record"
#define KEY_LEASE          "lease"
#define CONNECT_PART       2 /* an endpoint may take this part of its time to connect */
#define LOOKS_MAX          3 /* of one call: after each lost comparison it looks again */
#define LEASE_ID_SIZE      24
#define REVISION_SIZE      24
#define LEASE_TTL_SPARE_MS 999 /* whole seconds are granted: rounded up, so it is never early */
#define ERROR_TEXT_MAX     200

struct etcd {
    struct arbiter base;
    char *endpoints[ARBITER_ENDPOINTS_MAX]; /* owned; without a '/' at the end */
    size_t endpoint_count;
    size_t current; /* that answered last, or comes next */
    struct fetch_client *client;
};

struct etcd_call;
/* With the JSON of a 200; it goes on, or ends the call. */
typedef void step_fn(struct etcd_call *call, struct json_object *answer);

struct etcd_call {
    struct arbiter_call base;
    struct fetch *fetch;
    const char *path; /* of what is asked: "/v3/kv/txn" */
    char *body;       /* owned */
    step_fn *then;
    bool changes; /* it may have been carried out though no answer came */
    size_t endpoint;
    unsigned looks;
    enum arbiter_result result; /* that the last step ends with */

    /* As looked at. The texts are etcd's own numbers; "0" where there is no key. */
    bool has_record;
    struct arbiter_record record;
    char record_revision[REVISION_SIZE];
    char lease_revision[REVISION_SIZE];
    char lease_id[LEASE_ID_SIZE];  /* that the key is bound to; "" for none */
    char granted[LEASE_ID_SIZE];   /* a new one, not bound yet */
    struct arbiter_record planned; /* that is written */
};

/* ---- the configuration ---- */

enum err_code
arbiter_etcd_check(const struct arbiter_config *config, struct err *err)
{
    for (size_t i = 0; i < config->endpoint_count; i++) {
        const char *url = config->endpoints[i];
        const char *rest = strstr(url, "://");
        size_t length = strlen(url);
        bool fine = length <= URL_LENGTH_MAX && rest != NULL && rest[3] != '\0' &&
                    (str_starts(url, "https://") || str_starts(url, "http://")) &&
                    strpbrk(url, "@?# ") == NULL && str_is_utf8(url, length);
        const char *slash = fine ? strchr(rest + 3, '/') : NULL;
        if (fine && (slash == NULL || slash[1] == '\0') && slash != rest + 3)
            continue;
        (void)err_set(err, ERR_INVALID, "arbiter", "endpoint '%.128s' is no URL of an etcd", url);
        return err_mend(err, "write https://HOST:2379");
    }
    return ERR_NONE;
}

/* ---- JSON out ---- */

/* The keys are ours and the values are JSON of ours: neither is large. */
static char *
base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = strlen(text);
    struct buf to = { 0 };
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        three |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        three |= i + 2 < size ? bytes[i + 2] : 0;
        char four[] = { digits[three >> 18], digits[three >> 12 & 63],
                        i + 1 < size ? digits[three >> 6 & 63] : '=',
                        i + 2 < size ? digits[three & 63] : '=' };
        buf_add(&to, four, sizeof four);
    }
    return buf_take(&to);
}

static void
add_base64(struct json_object *object, const char *name, const char *text)
{
    CLEANUP(freep) char *encoded = base64(text);
    json_add_string(object, name, encoded);
}

static void
add_key(struct json_object *object, const struct etcd_call *call, const char *which)
{
    CLEANUP(freep) char *key = str_printf("baton/%s/%s", call->base.arbiter->cluster_id, which);
    add_base64(object, "key", key);
}

static void
add_operation(struct json_object *list, const char *name, struct json_object *operation)
{
    struct json_object *entry = json_object_new_object();
    json_add(entry, name, operation);
    (void)json_object_array_add(list, entry);
}

static void
add_range(struct json_object *list, const struct etcd_call *call, const char *which)
{
    struct json_object *range = json_object_new_object();
    add_key(range, call, which);
    add_operation(list, "requestRange", range);
}

static void
add_compare(struct json_object *list, const struct etcd_call *call, const char *which,
            const char *revision)
{
    struct json_object *compare = json_object_new_object();
    add_key(compare, call, which);
    json_add_string(compare, "target", "MOD");
    json_add_string(compare, "result", "EQUAL");
    json_add_string(compare, "modRevision", revision);
    (void)json_object_array_add(list, compare);
}

static void
add_put(struct json_object *list, const struct etcd_call *call, const char *which,
        const char *value, const char *lease)
{
    struct json_object *put = json_object_new_object();
    add_key(put, call, which);
    add_base64(put, "value", value);
    if (lease[0] != '\0')
        json_add_string(put, "lease", lease);
    add_operation(list, "requestPut", put);
}

static char *
record_text(const struct arbiter_record *record)
{
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    char text[EPOCH_TEXT_SIZE];
    json_add_u64(object, "epoch", record->epoch.number);
    json_add_string(object, "holder", record->epoch.holder);
    json_add_u64(object, "lease_ms", record->lease_ms);
    json_add_bool(object, "released", record->released);
    json_add_bool(object, "clean", record->clean);
    if (record->suspect.number != 0)
        json_add_string(object, "suspect", epoch_text(&record->suspect, text));
    json_add_u64(object, "grant", record->grant);
    if (record->promised.number != 0)
        json_add_string(object, "promised", epoch_text(&record->promised, text));
    json_add_u64(object, "number", record->number);
    json_add_string(object, "note", record->note);
    return str_dup(json_text(object));
}

/* ---- JSON in ---- */

/* etcd writes names with underscores, its later versions may write them in the other way. */
static struct json_object *
member(struct json_object *object, const char *name, const char *other)
{
    struct json_object *found = json_get(object, name);
    return found != NULL ? found : json_get(object, other);
}

/* A number of 64 bits: a text, or missing for 0. False: something else. */
static bool
number_text(struct json_object *object, const char *name, const char *other, char *to,
            size_t to_size)
{
    struct json_object *found = member(object, name, other);
    uint64_t number;
    const char *text = found == NULL ? "0"
                       : json_object_is_type(found, json_type_string)
                           ? json_object_get_string(found)
                           : NULL;
    return text != NULL && str_to_u64(text, 0, INT64_MAX, &number) && str_copy(to, to_size, text);
}

static int
base64_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* The caller's; NULL: it is none. */
static char *
from_base64(const char *text)
{
    size_t size = strlen(text);
    struct buf to = { 0 };
    if (size % 4 != 0 || size > RECORD_SIZE_MAX)
        return NULL;
    for (size_t i = 0; i < size; i += 4) {
        size_t padding = i + 4 < size ? 0 : (size_t)(text[i + 3] == '=') + (text[i + 2] == '=');
        uint32_t three = 0;
        bool fine = true;
        for (size_t j = 0; j < 4; j++) {
            int value = j + padding >= 4 ? 0 : base64_value(text[i + j]);
            fine = fine && value >= 0;
            three = three << 6 | (uint32_t)(value & 63);
        }
        if (!fine) {
            buf_done(&to);
            return NULL;
        }
        const char bytes[] = { (char)(three >> 16), (char)(three >> 8), (char)three };
        buf_add(&to, bytes, 3 - padding);
    }
    return buf_take(&to);
}

/* The one key of a range's answer. NULL: there is none. */
static struct json_object *
key_of(struct json_object *responses, size_t index)
{
    struct json_object *response = json_object_array_get_idx(responses, index);
    struct json_object *keys = json_get(member(response, "response_range", "responseRange"), "kvs");
    return json_object_is_type(keys, json_type_array) ? json_object_array_get_idx(keys, 0) : NULL;
}

/* True also when it is not there. */
static bool
read_epoch(struct json_object *object, const char *name, struct epoch *epoch)
{
    const char *text = NULL;
    return json_get(object, name) == NULL ||
           (json_get_string(object, name, &text) && epoch_parse(text, epoch));
}

static bool
read_note(struct json_object *object, struct arbiter_record *record)
{
    const char *note = NULL;
    return json_get_u64(object, "grant", &record->grant) && record->grant <= INT64_MAX &&
           json_get_u64(object, "number", &record->number) && record->number <= INT64_MAX &&
           json_get_string(object, "note", &note) &&
           str_copy(record->note, sizeof record->note, note) &&
           read_epoch(object, "promised", &record->promised);
}

static bool
read_record(struct json_object *key, struct arbiter_record *record)
{
    const char *encoded = NULL;
    const char *holder = NULL;
    uint64_t lease = 0;
    CLEANUP(json_putp) struct json_object *object = NULL;
    if (!json_get_string(key, "value", &encoded))
        return false;
    CLEANUP(freep) char *text = from_base64(encoded);
    if (text == NULL || json_read(text, strlen(text), &object, NULL) != ERR_NONE ||
        !json_get_u64(object, "epoch", &record->epoch.number) || record->epoch.number == 0 ||
        record->epoch.number > INT64_MAX || !json_get_string(object, "holder", &holder) ||
        !str_is_name(holder) || !json_get_u64(object, "lease_ms", &lease) || lease == 0 ||
        lease > ARBITER_LEASE_MS_MAX || !json_get_bool(object, "released", &record->released) ||
        !json_get_bool(object, "clean", &record->clean))
        return false;
    record->epoch = epoch_make(record->epoch.number, holder);
    record->lease_ms = (uint32_t)lease;
    return read_epoch(object, "suspect", &record->suspect) && read_note(object, record);
}

/* Fills the call with what both keys say. False: that makes no sense. */
static bool
read_look(struct etcd_call *call, struct json_object *answer)
{
    struct json_object *responses = json_get(answer, "responses");
    if (!json_object_is_type(responses, json_type_array) ||
        json_object_array_length(responses) != 2)
        return false;
    struct json_object *record = key_of(responses, 0);
    struct json_object *lease = key_of(responses, 1);
    call->has_record = record != NULL;
    memset(&call->record, 0, sizeof call->record);
    if (!number_text(record, "mod_revision", "modRevision", call->record_revision,
                     sizeof call->record_revision) ||
        !number_text(lease, "mod_revision", "modRevision", call->lease_revision,
                     sizeof call->lease_revision) ||
        !number_text(lease, "lease", "lease", call->lease_id, sizeof call->lease_id))
        return false;
    if (lease == NULL || strcmp(call->lease_id, "0") == 0)
        call->lease_id[0] = '\0';
    /* A key without a lease would be there for ever: somebody's hand. It is nobody's seat. */
    call->record.alive = lease != NULL;
    return record == NULL || read_record(record, &call->record);
}

static uint64_t
read_ttl_ms(struct json_object *object)
{
    char text[REVISION_SIZE];
    uint64_t seconds = 0;
    if (!number_text(object, "TTL", "TTL", text, sizeof text) ||
        !str_to_u64(text, 0, ARBITER_LEASE_MS_MAX, &seconds))
        return 0; /* also -1, of a lease that is not there */
    return seconds * 1000;
}

/* ---- requests ---- */

static void ask_endpoint(struct etcd_call *call);

static void
fail(struct etcd_call *call, enum err_code code, const char *slug, const char *why)
{
    struct err err = { 0 };
    (void)err_set(&err, code, slug, "etcd: %s", why);
    free(take_ptr(&call->body));
    arbiter_fail(&call->base, &err);
}

static void
finish(struct etcd_call *call, enum arbiter_result result)
{
    free(take_ptr(&call->body));
    arbiter_finish(&call->base, result);
}

/* To the next endpoint, when nothing can have been changed. */
static void
go_on(struct etcd_call *call, const struct err *err, bool sent)
{
    struct etcd *etcd = (struct etcd *)call->base.arbiter;
    call->base.reply.err = *err;
    if (call->endpoint == etcd->current)
        etcd->current = (etcd->current + 1) % etcd->endpoint_count;
    if (!(sent && call->changes) && call->base.tried < etcd->endpoint_count) {
        ask_endpoint(call);
        return;
    }
    free(take_ptr(&call->body));
    arbiter_fail(&call->base, err);
}

/* Why it was not done, in an answer that is not 200, or that is one and says so all the same: once
 * a stream has begun its status is 200, whatever comes. */
static void
say_refusal(const struct fetch_reply *reply, struct json_object *answer, struct err *err)
{
    const char *text = NULL;
    if (!json_get_string(answer, "error", &text) && !json_get_string(answer, "message", &text) &&
        !json_get_string(json_get(answer, "error"), "message", &text))
        text = "no reason given";
    (void)err_set(err, ERR_UNKNOWN_OUTCOME, "arbiter_refused", "etcd: status %d: %.*s",
                  reply->status, ERROR_TEXT_MAX, str_is_utf8(text, strlen(text)) ? text : "?");
}

static void
on_reply(void *data, const struct fetch_reply *reply, const struct err *failure)
{
    struct etcd_call *call = data;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    struct err err = { 0 };
    call->fetch = NULL;
    if (failure != NULL) {
        err = *failure;
        (void)err_wrap(&err, "etcd");
        go_on(call, &err, err.code == ERR_UNKNOWN_OUTCOME || err.code == ERR_LIMIT);
        return;
    }
    size_t size = reply->body.size;
    while (size > 0 && reply->body.data[size - 1] == '\n') /* a stream of one */
        size--;
    bool is_object = json_read(buf_text(&reply->body), size, &answer, &err) == ERR_NONE &&
                     json_object_is_type(answer, json_type_object);
    if (reply->status != 200 || (is_object && json_get(answer, "error") != NULL)) {
        say_refusal(reply, is_object ? answer : NULL, &err);
        go_on(call, &err, true);
        return;
    }
    if (!is_object) {
        (void)err_set(&err, ERR_PROTOCOL, "arbiter_answer", "etcd: the answer is no JSON object");
        go_on(call, &err, true);
        return;
    }
    call->then(call, answer);
}

static void
ask_endpoint(struct etcd_call *call)
{
    struct etcd *etcd = (struct etcd *)call->base.arbiter;
    unsigned left = (unsigned)etcd->endpoint_count - call->base.tried;
    unsigned slice = arbiter_slice_ms(&call->base, call->changes ? 1 : left);
    call->endpoint = etcd->current;
    CLEANUP(freep) char *url = str_printf("%s%s", etcd->endpoints[call->endpoint], call->path);
    struct fetch_request request = {
        .method = "POST",
        .url = url,
        .body = call->body,
        .body_size = strlen(call->body),
        .timeout_ms = slice,
        .connect_timeout_ms = left > 1 ? slice / CONNECT_PART + 1 : slice,
        .reply_size_max = REPLY_SIZE_MAX,
    };
    call->base.tried++;
    call->fetch = fetch_start(etcd->client, &request, on_reply, call);
}

/* The next step. 'changes': it is not asked a second time after it may have arrived. */
static void
ask(struct etcd_call *call, const char *path, struct json_object *body, bool changes, step_fn *then)
{
    free(call->body);
    call->body = str_dup(json_text(body));
    json_object_put(body);
    call->path = path;
    call->changes = changes;
    call->then = then;
    call->base.tried = 0;
    ask_endpoint(call);
}

static struct json_object *
lease_body(const char *id)
{
    struct json_object *body = json_object_new_object();
    json_add_string(body, "ID", id);
    return body;
}

/* ---- the steps ---- */

/* What the caller is told of the record, before or after its change. */
static void
tell(struct etcd_call *call, const struct arbiter_record *record, uint64_t remaining_ms)
{
    struct arbiter_reply *reply = &call->base.reply;
    reply->has_record = true;
    reply->epoch = record->epoch;
    reply->lease_ms = record->lease_ms;
    reply->remaining_ms = record->released ? 0 : (uint32_t)remaining_ms;
    reply->released = record->released;
    reply->clean = record->clean;
    reply->grant = record->grant;
    reply->promised = record->promised;
    reply->number = record->number;
    memcpy(reply->note, record->note, sizeof reply->note);
}

/* It answers with whole seconds, rounded down, and -1 for a lease that is not there. */
static void
on_remaining(struct etcd_call *call, struct json_object *answer)
{
    const char *ttl = NULL;
    bool gone = json_get_string(answer, "TTL", &ttl) && ttl[0] == '-';
    uint64_t most_ms = call->record.lease_ms + LEASE_TTL_SPARE_MS;
    uint64_t remaining_ms = read_ttl_ms(answer) + LEASE_TTL_SPARE_MS;
    tell(call, &call->record, gone ? 0 : remaining_ms < most_ms ? remaining_ms : most_ms);
    finish(call, call->result);
}

/* Ends with 'result' and the record as it was looked at; asks how long its lease is, if it is. */
static void
finish_as_looked(struct etcd_call *call, enum arbiter_result result)
{
    call->result = result;
    if (call->has_record && call->record.alive && call->lease_id[0] != '\0') {
        ask(call, "/v3/lease/timetolive", lease_body(call->lease_id), false, on_remaining);
        return;
    }
    if (call->has_record)
        tell(call, &call->record, call->record.alive ? call->record.lease_ms : 0);
    finish(call, result);
}

static void look(struct etcd_call *call);

/*
 * Who lost the comparison changed nothing: it looks again, and decides by what holds now. In a
 * switchover the old primary's release meets the promise of the next. Not with a lease that was
 * made for this call: what was acquired meanwhile is another's.
 */
static void
on_changed(struct etcd_call *call, struct json_object *answer)
{
    bool succeeded = false; /* and missing when it is not */
    if (!json_get_bool(answer, "succeeded", &succeeded) || !succeeded) {
        if (call->result == ARBITER_RESTORED) /* it stays what it is, and is found out again */
            finish_as_looked(call, ARBITER_RESTORED);
        else if (call->granted[0] == '\0' && call->looks < LOOKS_MAX)
            look(call);
        else
            fail(call, ERR_CONFLICT, "arbiter_lost_race",
                 "another changed the record at the same time");
        return;
    }
    bool held = call->granted[0] != '\0' || call->record.alive;
    tell(call, &call->planned, held ? call->planned.lease_ms : 0);
    finish(call, call->result);
}

/* Writes 'planned', and binds the lease's key to 'granted' or removes it, if nobody was faster. */
static void
change(struct etcd_call *call, enum arbiter_result result)
{
    struct json_object *body = json_object_new_object();
    struct json_object *compare = json_object_new_array();
    struct json_object *success = json_object_new_array();
    char epoch[EPOCH_TEXT_SIZE];
    CLEANUP(freep) char *text = record_text(&call->planned);
    add_compare(compare, call, KEY_RECORD, call->record_revision);
    add_compare(compare, call, KEY_LEASE, call->lease_revision);
    add_put(success, call, KEY_RECORD, text, "");
    if (call->granted[0] != '\0') {
        add_put(success, call, KEY_LEASE, epoch_text(&call->planned.epoch, epoch), call->granted);
    } else if (call->planned.released) {
        struct json_object *range = json_object_new_object();
        add_key(range, call, KEY_LEASE);
        add_operation(success, "requestDeleteRange", range);
    }
    json_add(body, "compare", compare);
    json_add(body, "success", success);
    call->result = result;
    ask(call, "/v3/kv/txn", body, true, on_changed);
}

static void
on_lease(struct etcd_call *call, struct json_object *answer)
{
    uint64_t ttl_ms = read_ttl_ms(answer);
    if (!number_text(answer, "ID", "ID", call->granted, sizeof call->granted) ||
        strcmp(call->granted, "0") == 0 || ttl_ms < call->planned.lease_ms) {
        fail(call, ERR_PROTOCOL, "arbiter_answer", "it did not give a lease as long as asked for");
        return;
    }
    change(call, call->result);
}

/* Writes 'planned' under a new lease. */
static void
grant(struct etcd_call *call, enum arbiter_result result)
{
    struct json_object *body = json_object_new_object();
    char seconds[REVISION_SIZE];
    (void)snprintf(seconds, sizeof seconds, "%" PRIu32,
                   (call->planned.lease_ms + LEASE_TTL_SPARE_MS) / 1000);
    json_add_string(body, "TTL", seconds);
    call->result = result;
    ask(call, "/v3/lease/grant", body, false, on_lease);
}

static void
on_kept(struct etcd_call *call, struct json_object *answer)
{
    struct json_object *result = json_get(answer, "result");
    uint64_t ttl_ms = read_ttl_ms(result);
    if (!json_object_is_type(result, json_type_object)) {
        fail(call, ERR_PROTOCOL, "arbiter_answer", "the answer says nothing of the lease");
    } else if (ttl_ms == 0) { /* it died since we looked */
        tell(call, &call->record, 0);
        finish(call, ARBITER_EXPIRED);
    } else if (ttl_ms < call->base.ask.lease_ms) {
        fail(call, ERR_PROTOCOL, "arbiter_answer", "it does not keep the lease as long as asked");
    } else {
        tell(call, &call->record, call->record.lease_ms);
        finish(call, ARBITER_GRANTED);
    }
}

/* A lease of etcd has the length that it was made with: another length is another lease. */
static void
renew(struct etcd_call *call)
{
    if (call->record.lease_ms == call->base.ask.lease_ms && call->lease_id[0] != '\0') {
        ask(call, "/v3/lease/keepalive", lease_body(call->lease_id), false, on_kept);
        return;
    }
    call->planned = call->record;
    call->planned.lease_ms = call->base.ask.lease_ms;
    grant(call, ARBITER_GRANTED);
}

/* A3: what is suspect stays so, whoever asks next. */
static void
mark_restored(struct etcd_call *call)
{
    const struct epoch *known = &call->base.ask.known;
    if (epoch_compare(&call->record.suspect, known) >= 0) {
        finish_as_looked(call, ARBITER_RESTORED);
        return;
    }
    call->planned = call->record;
    call->planned.suspect = *known;
    change(call, ARBITER_RESTORED);
}

static void
plan_note(struct etcd_call *call)
{
    call->planned.number = call->base.ask.number;
    ASSERT(str_copy(call->planned.note, sizeof call->planned.note, call->base.ask.note));
}

static void
plan_grant(struct etcd_call *call)
{
    const struct arbiter_ask *wish = &call->base.ask;
    bool later = epoch_compare(&wish->epoch, &call->record.epoch) > 0;
    call->planned.lease_ms = wish->lease_ms;
    call->planned.released = false;
    call->planned.grant = call->record.grant % INT64_MAX + 1; /* also of what makes no sense */
    if (wish->op == ARBITER_OP_ACQUIRE) {
        call->planned.epoch = wish->epoch;
        call->planned.clean = later ? call->record.released : call->record.clean;
        return;
    }
    if (later || !call->has_record)
        call->planned.epoch = wish->epoch;
    call->planned.clean = true;
    call->planned.suspect = epoch_make(0, "");
    call->planned.promised = epoch_make(0, "");
    if (wish->number > call->record.number || !call->has_record) /* A5 */
        plan_note(call);
}

static void
carry_out(struct etcd_call *call, enum arbiter_result result)
{
    call->planned = call->record;
    switch (call->base.ask.op) {
    case ARBITER_OP_READ:
        finish_as_looked(call, result);
        return;
    case ARBITER_OP_CREATE:
    case ARBITER_OP_ACQUIRE:
        plan_grant(call);
        grant(call, result);
        return;
    case ARBITER_OP_RENEW:
        renew(call);
        return;
    case ARBITER_OP_RELEASE:
        call->planned.released = true;
        break;
    case ARBITER_OP_PROMISE:
        call->planned.promised = call->base.ask.epoch;
        break;
    case ARBITER_OP_NOTE:
        plan_note(call);
        break;
    case ARBITER_OP_BAR: /* who writes to an etcd is its own users' matter */
        finish_as_looked(call, result);
        return;
    }
    change(call, result);
}

static void
on_look(struct etcd_call *call, struct json_object *answer)
{
    bool adopts = call->base.ask.adopt; /* over whatever stands there */
    bool sense = read_look(call, answer);
    if (!sense && (!adopts || !call->has_record)) {
        fail(call, ERR_PROTOCOL, "arbiter_record", "its record of this cluster makes no sense");
        return;
    }
    if (!sense) {
        call->record.number = 0;
        call->record.note[0] = '\0';
    }
    enum arbiter_result result =
        arbiter_decide(&call->base.ask, call->has_record ? &call->record : NULL);
    if (result == ARBITER_GRANTED || result == ARBITER_DONE)
        carry_out(call, result);
    else if (result == ARBITER_RESTORED)
        mark_restored(call);
    else
        finish_as_looked(call, result);
}

/* ---- the port ---- */

static void
look(struct etcd_call *call)
{
    struct json_object *body = json_object_new_object();
    struct json_object *success = json_object_new_array();
    add_range(success, call, KEY_RECORD);
    add_range(success, call, KEY_LEASE);
    json_add(body, "success", success);
    call->looks++;
    ask(call, "/v3/kv/txn", body, false, on_look);
}

static void
start(struct arbiter_call *base)
{
    look((struct etcd_call *)base);
}

static void
stop(struct arbiter_call *base)
{
    struct etcd_call *call = (struct etcd_call *)base;
    struct etcd *etcd = (struct etcd *)base->arbiter;
    if (call->fetch != NULL && call->endpoint == etcd->current)
        etcd->current = (etcd->current + 1) % etcd->endpoint_count;
    fetch_cancel(take_ptr(&call->fetch));
    free(take_ptr(&call->body));
}

static void
close_all(struct arbiter *base)
{
    struct etcd *etcd = (struct etcd *)base;
    fetch_client_close(etcd->client);
    for (size_t i = 0; i < etcd->endpoint_count; i++)
        free(etcd->endpoints[i]);
    free(etcd);
}

static const struct arbiter_port etcd_port = {
    .call_size = sizeof(struct etcd_call),
    .start = start,
    .stop = stop,
    .close = close_all,
};

enum err_code
arbiter_etcd_open(const struct arbiter_options *options, struct arbiter **ret_arbiter,
                  struct err *err)
{
    const struct arbiter_config *config = options->config;
    struct fetch_trust trust = {
        .tls = { .ca = config->ca, .cert = options->cert, .key = options->key },
        .system_trust = config->ca == NULL
    };
    enum err_code code = arbiter_etcd_check(config, err);
    if (code != ERR_NONE)
        return code;
    for (size_t i = 0; i < config->endpoint_count; i++)
        trust.plain_http = trust.plain_http || str_starts(config->endpoints[i], "http://");
    struct fetch_client *client = NULL;
    code = fetch_client_open(options->loop, &trust, &client, err);
    if (code != ERR_NONE)
        return code;
    struct etcd *etcd = mem_zero(1, sizeof *etcd);
    etcd->base.port = &etcd_port;
    etcd->client = client;
    for (size_t i = 0; i < config->endpoint_count; i++) {
        char *url = str_dup(config->endpoints[i]);
        if (str_ends(url, "/"))
            url[strlen(url) - 1] = '\0';
        etcd->endpoints[etcd->endpoint_count++] = url;
    }
    *ret_arbiter = &etcd->base;
    return ERR_NONE;
}
