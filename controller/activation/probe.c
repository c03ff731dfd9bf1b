#include "controller/activation/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/fetch.h"
#include "sites/address.h"

#define JITTER_PERCENT 10

/* One server of one connector. */
struct target {
    struct list node;
    struct prober *prober; /* borrowed */
    char connector[CONNECTOR_NAME_SIZE];
    enum effective_server server;
    bool listed;       /* in the last probe_want() */
    uint64_t revision; /* of the document that said the following */
    /* what to do */
    char *url;     /* owned; with the path */
    char *address; /* owned; host, for the check of its address */
    char *ca;      /* owned; PEM or NULL */
    bool pin_set;
    uint8_t pin[CONNECTOR_PIN_SIZE];
    unsigned expect_status;
    char *targets_url; /* owned; NULL: no list is asked for */
    char *targets;     /* owned; the wanted names, each with a line end */
    char *key_id;      /* owned, as the next two; NULL: requests are not signed */
    char *key_file;
    char *key_secret;
    uint64_t interval_ms; /* 0: that of the settings */
    uint64_t timeout_ms;
    /* how it stands */
    struct fetch_roots *roots;   /* owned; a share; NULL: not read yet */
    struct fetch_client *client; /* owned; from the start of a probe until after its end */
    struct fetch *fetch;         /* borrowed; while a probe is under way */
    struct sign_key *key;        /* owned; as long as 'client' */
    char *signature;             /* owned; of the newest request; NULL for none */
    uint64_t next_ms;
    bool changed; /* to be told */
    struct probe_result result;
    char health[PROBE_TEXT_SIZE]; /* of the first of the two questions */
};

struct prober {
    struct ev_loop *loop; /* borrowed */
    ev_timer alarm;
    struct probe_settings settings;
    uint64_t random;
    probe_changed_fn *changed;
    void *data;    /* borrowed */
    char *cluster; /* owned; NULL: not identified */
    char *node;    /* owned */
    sign_secret_fn *secret;
    void *secret_data; /* borrowed */
    struct epoch epoch;
    struct list targets;
    size_t target_count;
    size_t under_way;
};

const char *
probe_state_name(enum probe_state state)
{
    static const char *const names[] = { "unknown", "ok", "failed", "stale" };
    return names[state];
}

static bool
same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* ---- time ---- */

static uint64_t
random_below(struct prober *prober, uint64_t bound)
{
    /* xorshift64*: spreading needs no secret */
    prober->random ^= prober->random >> 12;
    prober->random ^= prober->random << 25;
    prober->random ^= prober->random >> 27;
    return (prober->random * UINT64_C(2685821657736338717) >> 32) % bound;
}

static uint64_t
interval_of(const struct target *target)
{
    const struct probe_settings *settings = &target->prober->settings;
    uint64_t interval = target->interval_ms != 0 ? target->interval_ms : settings->interval_ms;
    return settings->longest_ms != 0 && interval > settings->longest_ms ? settings->longest_ms
                                                                        : interval;
}

static uint64_t
timeout_of(const struct target *target)
{
    return target->timeout_ms != 0 ? target->timeout_ms : target->prober->settings.timeout_ms;
}

static uint64_t
next_interval(struct target *target)
{
    uint64_t interval = interval_of(target);
    uint64_t spread = interval * JITTER_PERCENT / 100;
    return interval - spread + random_below(target->prober, 2 * spread + 1);
}

static void
wake_in(struct prober *prober, uint64_t after_ms)
{
    ev_timer_stop(prober->loop, &prober->alarm);
    ev_timer_set(&prober->alarm, (double)after_ms / 1000, 0.);
    ev_timer_start(prober->loop, &prober->alarm);
}

/* ---- one probe ---- */

static void
set_result(struct target *target, enum probe_step step, const char *text)
{
    struct probe_result *result = &target->result;
    enum probe_state state = step == PROBE_STEP_ALL ? PROBE_OK : PROBE_FAILED;
    if (result->state != state || result->step != step)
        target->changed = true;
    result->failure_count = state == PROBE_FAILED ? result->failure_count + 1 : 0;
    result->state = state;
    result->step = step;
    result->ok = state == PROBE_OK;
    result->targets_asked = target->targets_url != NULL;
    result->at_ms = clock_now_ms();
    (void)snprintf(result->text, sizeof result->text, "%s", text);
}

/* {"version": "2.19.1"}; anything else is no version. */
static void
read_version(const struct fetch_reply *reply, char version[PROBE_VERSION_SIZE])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.+-_~";
    CLEANUP(json_putp) struct json_object *document = NULL;
    const char *text;
    version[0] = '\0';
    if (json_read(buf_text(&reply->body), reply->body.size, &document, NULL) == ERR_NONE &&
        json_get_string(document, "version", &text) && text[strspn(text, allowed)] == '\0' &&
        !str_copy(version, PROBE_VERSION_SIZE, text))
        version[0] = '\0';
}

/* Fills 'text' in any case. */
static enum probe_step
judge_health(const struct target *target, const struct fetch_reply *reply,
             char text[PROBE_TEXT_SIZE])
{
    uint64_t latency_ms = target->result.latency_ms;
    bool ok = target->expect_status == 0 ? reply->status >= 200 && reply->status <= 399
                                         : reply->status == (int)target->expect_status;
    if (ok)
        (void)snprintf(text, PROBE_TEXT_SIZE, "%d in %" PRIu64 " ms", reply->status, latency_ms);
    else if (target->expect_status == 0)
        (void)snprintf(text, PROBE_TEXT_SIZE, "status %d, wanted 200 to 399", reply->status);
    else
        (void)snprintf(text, PROBE_TEXT_SIZE, "status %d, wanted %u", reply->status,
                       target->expect_status);
    return ok ? PROBE_STEP_ALL : PROBE_STEP_HEALTH;
}

/* The cause without "GET URL: " before it: whoever reads it knows which server it is about. */
static const char *
cause_of(const char *url, const struct err *err)
{
    CLEANUP(freep) char *prefix = str_printf("GET %s: ", url);
    return str_starts(err->text, prefix) ? err->text + strlen(prefix) : err->text;
}

static enum probe_step
step_of(const struct err *err)
{
    static const struct {
        const char *slug;
        enum probe_step step;
    } rows[] = {
        { "tls_untrusted", PROBE_STEP_TLS },      { "pin_mismatch", PROBE_STEP_TLS },
        { "tls_handshake", PROBE_STEP_TLS },      { "tls_material", PROBE_STEP_TLS },
        { "timeout", PROBE_STEP_HEALTH },         { "bad_reply", PROBE_STEP_HEALTH },
        { "reply_too_large", PROBE_STEP_HEALTH },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].slug, err->slug) == 0)
            return rows[i].step;
    }
    return PROBE_STEP_REACH;
}

static void
end_probe(struct target *target, enum probe_step step, const char *text)
{
    target->fetch = NULL;
    target->prober->under_way--;
    set_result(target, step, text);
    wake_in(target->prober, 0); /* tells, and starts what waits, from outside of fetch */
}

/* ["a", {"name": "b"}], or that below "connectors" or "target_connectors". */
static struct json_object *
list_of(struct json_object *document)
{
    static const char *const names[] = { "connectors", "target_connectors" };
    struct json_object *list = document;
    for (size_t i = 0; i < ARRAY_COUNT(names) && !json_object_is_type(list, json_type_array); i++)
        list = json_get(document, names[i]);
    return json_object_is_type(list, json_type_array) ? list : NULL;
}

static bool
list_has(struct json_object *list, const char *name, size_t length)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *text = NULL;
        if (json_object_is_type(item, json_type_string))
            text = json_object_get_string(item);
        else
            (void)!json_get_string(item, "name", &text);
        if (text != NULL && strlen(text) == length && strncmp(text, name, length) == 0)
            return true;
    }
    return false;
}

/* P5. Fills 'text' with what is wrong; "" when every wanted name is there. */
static void
judge_targets(const struct target *target, const struct fetch_reply *reply,
              char text[PROBE_TEXT_SIZE])
{
    CLEANUP(json_putp) struct json_object *document = NULL;
    size_t used = 0;
    text[0] = '\0';
    if (reply->status < 200 || reply->status > 299) {
        (void)snprintf(text, PROBE_TEXT_SIZE, "its list of target connectors: status %d",
                       reply->status);
        return;
    }
    struct json_object *list =
        json_read(buf_text(&reply->body), reply->body.size, &document, NULL) == ERR_NONE
            ? list_of(document)
            : NULL;
    if (list == NULL) {
        (void)snprintf(text, PROBE_TEXT_SIZE, "its list of target connectors is not one");
        return;
    }
    for (const char *name = target->targets; *name != '\0';) {
        size_t length = strcspn(name, "\n");
        if (!list_has(list, name, length) && used < PROBE_TEXT_SIZE)
            used += (size_t)snprintf(text + used, PROBE_TEXT_SIZE - used, "%s%.*s",
                                     used == 0 ? "it lacks target connector " : ", ", (int)length,
                                     name);
        name += length + 1;
    }
}

static void
on_targets(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct target *target = data;
    char text[PROBE_TEXT_SIZE];
    if (reply != NULL)
        judge_targets(target, reply, text);
    else
        (void)snprintf(text, sizeof text, "its list of target connectors: %.*s",
                       (int)sizeof text - 64, cause_of(target->targets_url, err));
    if (text[0] != '\0')
        end_probe(target, PROBE_STEP_TARGETS, text);
    else
        end_probe(target, PROBE_STEP_ALL, target->health);
}

/* Says who asks, and under which epoch; signed where the connector has a key. */
static void
ask(struct target *target, const char *url, fetch_done *done)
{
    struct prober *prober = target->prober;
    struct sign_headers said = { 0 };
    struct fetch_header headers[SIGN_HEADERS_MAX];
    struct sign_message message = {
        .method = "GET",
        .target = sign_target(url),
        .claim = { .cluster = prober->cluster, .epoch = prober->epoch, .node = prober->node },
        .now_s = clock_wall_ms() / 1000,
    };
    if (prober->cluster != NULL)
        sign_headers(&message, target->key, &said);
    for (size_t i = 0; i < said.count; i++)
        headers[i] =
            (struct fetch_header){ .name = said.list[i].name, .value = said.list[i].value };
    free(target->signature);
    target->signature = str_dup(sign_headers_get(&said, "Signature"));
    struct fetch_request request = {
        .url = url,
        .timeout_ms = (unsigned)timeout_of(target),
        .connect_timeout_ms = (unsigned)timeout_of(target),
        .reply_size_max = PROBE_REPLY_SIZE_MAX,
        .address_allowed = address_allowed,
        .headers = headers,
        .header_count = said.count,
    };
    target->fetch = fetch_start(target->client, &request, done, target);
    sign_headers_done(&said);
}

/* Does who answers keep the highest epoch, and is ours lower? Then 'text' says so. */
static bool
judge_fence(struct target *target, const struct fetch_reply *reply, char text[PROBE_TEXT_SIZE])
{
    struct epoch seen;
    char theirs[EPOCH_TEXT_SIZE], ours[EPOCH_TEXT_SIZE];
    target->result.fenced = sign_proof_check(target->key, target->signature,
                                             fetch_reply_header(reply, "Baton-Fenced"), &seen);
    if (!target->result.fenced || epoch_compare(&seen, &target->prober->epoch) <= 0)
        return true;
    (void)snprintf(text, PROBE_TEXT_SIZE, "status %d: it has seen epoch %s, and refuses our %s",
                   reply->status, epoch_text(&seen, theirs),
                   epoch_text(&target->prober->epoch, ours));
    return false;
}

static void
on_health(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct target *target = data;
    target->result.latency_ms = 0;
    target->result.not_after_s = 0;
    target->result.version[0] = '\0';
    target->result.fenced = false;
    if (reply == NULL) {
        end_probe(target, step_of(err), cause_of(target->url, err));
        return;
    }
    target->result.latency_ms = (reply->total_us + 500) / 1000;
    target->result.not_after_s = reply->not_after_s;
    read_version(reply, target->result.version);
    enum probe_step step = judge_fence(target, reply, target->health)
                               ? judge_health(target, reply, target->health)
                               : PROBE_STEP_HEALTH;
    if (step != PROBE_STEP_ALL || target->targets_url == NULL) {
        end_probe(target, step, target->health);
        return;
    }
    ask(target, target->targets_url, on_targets);
}

/* Whom to trust is read once, for all servers that say the same. */
static void
find_roots(struct target *target)
{
    if (target->roots != NULL && fetch_roots_current(target->roots))
        return;
    fetch_roots_free(target->roots);
    target->roots = NULL;
    if (target->ca == NULL && target->pin_set)
        return;
    list_each (at, &target->prober->targets) {
        struct target *other = CONTAINER_OF(at, struct target, node);
        if (other->roots != NULL && same_text(other->ca, target->ca) &&
            fetch_roots_current(other->roots)) {
            target->roots = fetch_roots_share(other->roots);
            return;
        }
    }
    target->roots = fetch_roots_read(target->ca);
}

/* One for each probe: nothing else is kept, neither a connection nor the memory of idle clients. */
static enum err_code
open_client(struct target *target, struct err *err)
{
    ASSERT(target->client == NULL);
    find_roots(target);
    struct fetch_trust trust = {
        .tls = { .ca = target->ca },
        .pin = target->pin_set ? target->pin : NULL,
        .system_trust = target->ca == NULL && !target->pin_set,
        .roots = target->roots,
    };
    return fetch_client_open(target->prober->loop, &trust, &target->client, err);
}

static enum err_code
read_key(struct target *target, struct err *err)
{
    struct prober *prober = target->prober;
    struct connector_sign sign = { .set = target->key_id != NULL,
                                   .key_id = target->key_id,
                                   .key_file = target->key_file,
                                   .key = target->key_secret };
    if (target->key == NULL)
        target->key = mem_zero(1, sizeof *target->key);
    return sign_key_read(&sign, prober->secret, prober->secret_data, target->key, err);
}

/* What a probe needs while it is under way. */
static void
close_client(struct target *target)
{
    fetch_client_close(target->client);
    target->client = NULL;
    if (target->key != NULL)
        sign_key_wipe(target->key);
    free(target->key);
    target->key = NULL;
    free(target->signature);
    target->signature = NULL;
}

static void
start(struct target *target, uint64_t now_ms)
{
    struct err err;
    target->next_ms = now_ms + next_interval(target);
    if (!address_allowed(target->address)) {
        set_result(target, PROBE_STEP_REACH, "link-local and multicast addresses are not probed");
        return;
    }
    if (read_key(target, &err) != ERR_NONE) {
        set_result(target, PROBE_STEP_REACH, err.text);
        return;
    }
    if (open_client(target, &err) != ERR_NONE) {
        set_result(target, PROBE_STEP_TLS, err.text);
        return;
    }
    target->prober->under_way++;
    ask(target, target->url, on_health);
}

/* ---- all of them ---- */

static void
tell_changes(struct prober *prober)
{
    /* From the start after each call: the receiver may have changed the list. */
    for (bool again = true; again;) {
        again = false;
        list_each (at, &prober->targets) {
            struct target *target = CONTAINER_OF(at, struct target, node);
            if (!target->changed)
                continue;
            target->changed = false;
            if (prober->changed == NULL)
                continue;
            struct probe_result result = target->result;
            char connector[CONNECTOR_NAME_SIZE];
            memcpy(connector, target->connector, sizeof connector);
            prober->changed(prober->data, connector, target->server, &result);
            again = true;
            break;
        }
    }
}

/* Not from inside 'done', where a client must not be closed. */
static void
close_clients(struct prober *prober)
{
    list_each (at, &prober->targets) {
        struct target *target = CONTAINER_OF(at, struct target, node);
        if (target->fetch == NULL)
            close_client(target);
    }
}

/* The one that has waited longest; NULL when none is due. '*wake_ms' becomes the time to the next
 * that is not due yet. */
static struct target *
most_overdue(const struct prober *prober, uint64_t now_ms, uint64_t *wake_ms)
{
    struct target *found = NULL;
    *wake_ms = UINT64_MAX;
    list_each (at, &prober->targets) {
        struct target *target = CONTAINER_OF(at, struct target, node);
        if (target->fetch != NULL)
            continue;
        if (target->next_ms <= now_ms) {
            if (found == NULL || target->next_ms < found->next_ms)
                found = target;
        } else if (target->next_ms - now_ms < *wake_ms) {
            *wake_ms = target->next_ms - now_ms;
        }
    }
    return found;
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct prober *prober = CONTAINER_OF(alarm, struct prober, alarm);
    uint64_t now_ms = clock_now_ms();
    uint64_t wake_ms = UINT64_MAX;
    close_clients(prober);
    while (prober->under_way < PROBE_PARALLEL_MAX) {
        struct target *target = most_overdue(prober, now_ms, &wake_ms);
        if (target == NULL)
            break;
        start(target, now_ms);
    }
    tell_changes(prober);
    /* With all places taken the end of a probe wakes us. */
    if (prober->under_way < PROBE_PARALLEL_MAX && wake_ms != UINT64_MAX &&
        !ev_is_active(&prober->alarm))
        wake_in(prober, wake_ms);
}

static void
target_stop(struct target *target)
{
    if (target->fetch != NULL) {
        fetch_cancel(target->fetch);
        target->fetch = NULL;
        target->prober->under_way--;
    }
    close_client(target);
    fetch_roots_free(target->roots);
    target->roots = NULL;
    free(target->key_id);
    free(target->key_file);
    free(target->key_secret);
    target->key_id = target->key_file = target->key_secret = NULL;
    free(target->url);
    free(target->address);
    free(target->ca);
    free(target->targets_url);
    free(target->targets);
    target->url = target->address = target->ca = target->targets_url = target->targets = NULL;
}

static void
target_free(struct target *target)
{
    list_remove(&target->node);
    target_stop(target);
    target->prober->target_count--;
    free(target);
}

struct prober *
probe_open(struct ev_loop *loop, const struct probe_settings *settings, uint64_t seed,
           probe_changed_fn *changed, void *data)
{
    ASSERT(settings->interval_ms > 0 && settings->timeout_ms > 0);
    struct prober *prober = mem_zero(1, sizeof *prober);
    prober->loop = loop;
    prober->settings = *settings;
    prober->random = seed != 0 ? seed : 1;
    prober->changed = changed;
    prober->data = data;
    list_init(&prober->targets);
    ev_timer_init(&prober->alarm, on_alarm, 0., 0.);
    return prober;
}

void
probe_close(struct prober *prober)
{
    if (prober == NULL)
        return;
    ev_timer_stop(prober->loop, &prober->alarm);
    list_each (at, &prober->targets)
        target_free(CONTAINER_OF(at, struct target, node));
    free(prober->cluster);
    free(prober->node);
    free(prober);
}

void
probe_configure(struct prober *prober, const struct probe_settings *settings)
{
    if (settings->interval_ms == prober->settings.interval_ms &&
        settings->timeout_ms == prober->settings.timeout_ms &&
        settings->longest_ms == prober->settings.longest_ms)
        return;
    ASSERT(settings->interval_ms > 0 && settings->timeout_ms > 0);
    prober->settings = *settings;
    /* A shorter interval counts at once. */
    uint64_t now_ms = clock_now_ms();
    list_each (at, &prober->targets) {
        struct target *target = CONTAINER_OF(at, struct target, node);
        uint64_t latest_ms = now_ms + next_interval(target);
        if (target->next_ms > latest_ms)
            target->next_ms = latest_ms;
    }
    wake_in(prober, 0);
}

void
probe_identify(struct prober *prober, const struct probe_self *self)
{
    ASSERT(prober->cluster == NULL);
    prober->cluster = str_dup(self->cluster);
    prober->node = str_dup(self->node);
    prober->secret = self->secret;
    prober->secret_data = self->data;
}

void
probe_epoch(struct prober *prober, const struct epoch *epoch)
{
    prober->epoch = *epoch;
}

static struct target *
target_find(const struct prober *prober, const char *connector, enum effective_server server)
{
    list_each (at, &prober->targets) {
        struct target *target = CONTAINER_OF(at, struct target, node);
        if (target->server == server && strcmp(target->connector, connector) == 0)
            return target;
    }
    return NULL;
}

static struct target *
target_new(struct prober *prober, const char *connector, enum effective_server server)
{
    if (prober->target_count >= PROBE_TARGETS_MAX) {
        log_error("probe.too_many", "connector=%s max=%d", connector, PROBE_TARGETS_MAX);
        return NULL;
    }
    struct target *target = mem_zero(1, sizeof *target);
    target->prober = prober;
    target->server = server;
    ASSERT(str_copy(target->connector, sizeof target->connector, connector));
    list_add_tail(&prober->targets, &target->node);
    prober->target_count++;
    return target;
}

/* url without its last '/', then the path, which begins with one. */
static char *
join_url(const char *url, const char *path)
{
    size_t length = strlen(url);
    if (length > 0 && url[length - 1] == '/')
        length--;
    return str_printf("%.*s%s", (int)length, url, path);
}

/* Each with a line end, which no name has; NULL when nothing is to be asked for. */
static char *
join_targets(const struct connector *connector)
{
    CLEANUP(buf_done) struct buf names = { 0 };
    if (connector->target_count == 0 || connector->probe.targets_path == NULL)
        return NULL;
    for (size_t i = 0; i < connector->target_count; i++)
        buf_printf(&names, "%s\n", connector->targets[i]);
    return str_dup(buf_text(&names));
}

static void
want_server(struct prober *prober, const struct connector *connector,
            const struct connector_server *server, enum effective_server which, uint64_t revision)
{
    if (!server->set)
        return;
    struct target *target = target_find(prober, connector->name, which);
    if (target == NULL)
        target = target_new(prober, connector->name, which);
    if (target == NULL)
        return;
    CLEANUP(freep) char *url = join_url(server->url, connector->probe.path);
    CLEANUP(freep) char *targets = join_targets(connector);
    CLEANUP(freep)
    char *targets_url =
        targets == NULL ? NULL : join_url(server->url, connector->probe.targets_path);
    bool same = same_text(url, target->url) && same_text(server->ca, target->ca) &&
                same_text(targets_url, target->targets_url) &&
                same_text(targets, target->targets) && server->pin_set == target->pin_set &&
                memcmp(server->pin, target->pin, sizeof target->pin) == 0 &&
                connector->probe.expect_status == target->expect_status &&
                same_text(connector->sign.key_id, target->key_id) &&
                same_text(connector->sign.key_file, target->key_file) &&
                same_text(connector->sign.key, target->key_secret);
    bool sooner = connector->probe.interval_ms != target->interval_ms;
    target->listed = true;
    target->revision = revision;
    target->interval_ms = connector->probe.interval_ms;
    target->timeout_ms = connector->probe.timeout_ms;
    if (!same) {
        target_stop(target);
        target->url = take_ptr(&url);
        target->targets_url = take_ptr(&targets_url);
        target->targets = take_ptr(&targets);
        target->address = str_dup(server->host);
        target->ca = str_dup(server->ca);
        target->key_id = str_dup(connector->sign.key_id);
        target->key_file = str_dup(connector->sign.key_file);
        target->key_secret = str_dup(connector->sign.key);
        target->pin_set = server->pin_set;
        memcpy(target->pin, server->pin, sizeof target->pin);
        target->expect_status = connector->probe.expect_status;
        target->result = (struct probe_result){ .state = PROBE_UNKNOWN };
        target->changed = false;
    }
    if (!same || sooner)
        target->next_ms = 0;
}

/* Were the servers of this connector made from the same document? Then they stay as they are. */
static bool
keep_listed(struct prober *prober, const struct probe_desired *desired)
{
    static const enum effective_server servers[] = { EFFECTIVE_MAIN, EFFECTIVE_ALTERNATE };
    bool kept = false;
    for (size_t i = 0; desired->revision != 0 && i < ARRAY_COUNT(servers); i++) {
        struct target *target = target_find(prober, desired->connector, servers[i]);
        if (target != NULL && target->revision == desired->revision)
            kept = target->listed = true;
    }
    return kept;
}

void
probe_want(struct prober *prober, const struct probe_desired *list, size_t count)
{
    list_each (at, &prober->targets)
        CONTAINER_OF(at, struct target, node)->listed = false;
    for (size_t i = 0; i < count; i++) {
        struct connector *connector;
        struct err err;
        if (list[i].document == NULL || keep_listed(prober, &list[i]))
            continue;
        if (connector_read(list[i].connector, list[i].document, &connector, &err) != ERR_NONE) {
            log_warn("probe.bad_document", "connector=%s reason=\"%s\"", list[i].connector,
                     err.text);
            continue;
        }
        want_server(prober, connector, &connector->main, EFFECTIVE_MAIN, list[i].revision);
        want_server(prober, connector, &connector->alternate, EFFECTIVE_ALTERNATE,
                    list[i].revision);
        connector_free(connector);
    }
    list_each (at, &prober->targets) {
        struct target *target = CONTAINER_OF(at, struct target, node);
        if (!target->listed)
            target_free(target);
    }
    wake_in(prober, 0);
}

void
probe_view(const struct prober *prober, const char *connector, enum effective_server server,
           struct probe_result *ret)
{
    const struct target *target = target_find(prober, connector, server);
    *ret = target == NULL ? (struct probe_result){ .state = PROBE_UNKNOWN } : target->result;
    if (ret->state == PROBE_UNKNOWN)
        (void)snprintf(ret->text, sizeof ret->text, "%s",
                       target == NULL ? "no such server" : "not probed yet");
    else if (clock_now_ms() - ret->at_ms > PROBE_STALE_INTERVALS * interval_of(target)) {
        ret->state = PROBE_STALE;
        ret->ok = false;
    }
}
