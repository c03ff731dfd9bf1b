#include "controller/daemon/gate.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "controller/activation/sign.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/http/server.h"
#include "controller/loop/notify.h"
#include "sites/gate.h"

#define STATE_MODE    0600
#define BODY_SIZE_MAX (1024UL * 1024) /* of a request whose proxy sends its body along */
#define STOP_MS       1000
#define SAME_LOG_MS   60000 /* a cause of refusals is logged once in so long */

struct gate {
    const struct gate_options *options; /* borrowed */
    struct ev_loop *loop;               /* borrowed; the default loop */
    struct http_server *server;
    struct notify *notify;
    struct sign_key *keys; /* owned; options->key_count of them */
    struct gate_state state;
    int lock;
    ev_signal term;
    ev_signal interrupt;
    ev_signal hangup;
    uint64_t passed;
    uint64_t refused;         /* an epoch that is over */
    uint64_t unknown;         /* who has no right to ask */
    char said[ERR_SLUG_SIZE]; /* newest cause in the log */
    uint64_t said_ms;
};

/* ---- the state ---- */

static enum err_code
read_state(const char *path, struct gate_state *ret, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    enum err_code code = file_read(path, GATE_STATE_SIZE_MAX, &text, err);
    if (code == ERR_NOT_FOUND) {
        (void)err_set(err, ERR_NOT_FOUND, "state_not_found", "there is no state '%s'", path);
        return err_mend(err, "a new gate: baton gate init; one that had a state: the same with "
                             "--epoch, as baton status shows it");
    }
    if (code == ERR_NONE)
        code = gate_state_read(buf_text(&text), text.size, ret, err);
    if (code == ERR_NONE || code == ERR_DENIED || code == ERR_IO)
        return code;
    (void)err_set(err, ERR_INVALID, "gate_state", "'%s' is not the record of a gate", path);
    return err_mend(err,
                    "it once held the highest epoch: remove it, and begin a new one with baton "
                    "gate init --epoch, as baton status shows it");
}

static enum err_code
write_state(const char *path, const struct gate_state *state, struct err *err)
{
    CLEANUP(freep) char *text = gate_state_text(state);
    return file_write_atomic(path, text, strlen(text), STATE_MODE, (uid_t)-1, (gid_t)-1, err);
}

/* Held as long as the process runs: two gates on one state would each forget what the other saw. */
static enum err_code
lock_state(const char *path, int *ret_lock, struct err *err)
{
    CLEANUP(freep) char *name = str_printf("%s.lock", path);
    int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, STATE_MODE);
    if (lock < 0)
        return err_errno(err, errno, "open '%s'", name);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *ret_lock = lock;
        return ERR_NONE;
    }
    int failed = errno;
    (void)close(lock);
    if (failed == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "gate_state", "another gate uses '%s'", path);
    return err_errno(err, failed, "lock '%s'", name);
}

enum err_code
gate_init(const char *path, const char *cluster, const char *epoch, struct err *err)
{
    struct gate_state state = { 0 };
    if (file_exists(path)) {
        (void)err_set(err, ERR_CONFLICT, "gate_state", "'%s' is there already", path);
        return err_mend(err, "a gate that forgets lets an old primary in: remove it only if you "
                             "know which epoch it held");
    }
    if (cluster[0] == '\0' || !str_copy(state.cluster, sizeof state.cluster, cluster))
        return err_set(err, ERR_INVALID, "option_value", "'%.80s' is no id of a cluster", cluster);
    if (epoch != NULL && (!epoch_parse(epoch, &state.highest) || state.highest.number == 0)) {
        (void)err_set(err, ERR_INVALID, "option_value", "'%.80s' is no epoch", epoch);
        return err_mend(err, "as baton status shows it, such as 7/west-1");
    }
    return write_state(path, &state, err);
}

/* ---- requests ---- */

static void
log_cause(struct gate *gate, const char *slug, const char *text, const char *address)
{
    uint64_t now_ms = clock_now_ms();
    if (strcmp(gate->said, slug) == 0 && now_ms - gate->said_ms < SAME_LOG_MS)
        return;
    (void)snprintf(gate->said, sizeof gate->said, "%s", slug);
    gate->said_ms = now_ms;
    log_warn("gate.refused", "code=%s from=%s reason=\"%s\"", slug, address, text);
}

static void
refuse(struct gate *gate, struct http_request *request, const struct err *err)
{
    log_cause(gate, err->slug, err->text, request->address);
    http_reply_err(request, err);
}

static enum err_code
raise_to(struct gate *gate, const struct sign_claim *claim, struct err *err)
{
    struct gate_state next = gate->state;
    char before[EPOCH_TEXT_SIZE], after[EPOCH_TEXT_SIZE];
    next.highest = claim->epoch;
    if (write_state(gate->options->state, &next, err) != ERR_NONE) {
        struct err cause = *err;
        return err_set(err, ERR_UNAVAILABLE, "gate_state", "the later epoch could not be kept: %s",
                       cause.text);
    }
    log_info("gate.raised", "from=%s to=%s node=%s delivery=%s",
             epoch_text(&gate->state.highest, before), epoch_text(&claim->epoch, after),
             claim->node, claim->delivery);
    gate->state = next; /* durable before anybody passes: I10 */
    return ERR_NONE;
}

static void
prove(const struct gate *gate, const struct sign_key *key, struct http_request *request)
{
    if (gate->state.highest.number == 0)
        return;
    CLEANUP(freep)
    char *proof = sign_proof(key, &gate->state.highest, http_header(request, "Signature"));
    http_add_header(request, "Baton-Fenced", proof);
}

static void
decide(struct gate *gate, struct http_request *request, const struct sign_claim *claim,
       const struct sign_key *key)
{
    struct err err = { 0 };
    char seen[EPOCH_TEXT_SIZE], asked[EPOCH_TEXT_SIZE];
    switch (gate_decide(&gate->state, &claim->epoch, claim->delivery != NULL)) {
    case GATE_RAISE:
        if (raise_to(gate, claim, &err) != ERR_NONE) {
            refuse(gate, request, &err);
            return;
        }
        break;
    case GATE_PASS:
        break;
    case GATE_REFUSE:
        gate->refused++;
        prove(gate, key, request);
        (void)err_set(&err, ERR_DENIED, "stale_epoch", "epoch %s of node %s is over: %s was here",
                      epoch_text(&claim->epoch, asked), claim->node,
                      epoch_text(&gate->state.highest, seen));
        refuse(gate, request, &err);
        return;
    }
    gate->passed++;
    prove(gate, key, request);
    http_reply(request, 204, NULL, NULL, 0);
}

static void
check(struct gate *gate, struct http_request *request)
{
    struct err err = { 0 };
    struct sign_claim claim;
    const struct sign_key *key;
    struct sign_received received = {
        .method = http_header(request, "X-Original-Method"),
        .target = http_header(request, "X-Original-URI"),
        .cluster = http_header(request, "Baton-Cluster"),
        .epoch = http_header(request, "Baton-Epoch"),
        .node = http_header(request, "Baton-Node"),
        .delivery = http_header(request, "Baton-Delivery"),
        .digest = http_header(request, "Content-Digest"),
        .input = http_header(request, "Signature-Input"),
        .signature = http_header(request, "Signature"),
    };
    if (received.method == NULL || received.target == NULL) {
        (void)err_set(&err, ERR_INVALID, "gate_setup", "nothing says what was asked of the server");
        (void)err_mend(&err, "let the proxy set X-Original-Method and X-Original-URI");
        refuse(gate, request, &err);
        return;
    }
    uint64_t window_ms = gate->options->window_ms != 0 ? gate->options->window_ms : GATE_WINDOW_MS;
    enum err_code code =
        sign_check(&received, gate->keys, gate->options->key_count, clock_wall_ms() / 1000,
                   (int64_t)((window_ms + 999) / 1000), &claim, &key, &err);
    if (code == ERR_NONE && strcmp(claim.cluster, gate->state.cluster) != 0)
        code = err_set(&err, ERR_DENIED, "other_cluster", "this gate serves cluster %s, not %.80s",
                       gate->state.cluster, claim.cluster);
    if (code != ERR_NONE) {
        gate->unknown++;
        refuse(gate, request, &err);
        return;
    }
    decide(gate, request, &claim, key);
}

static void
show(const struct gate *gate, struct http_request *request)
{
    struct json_object *document = json_object_new_object();
    char epoch[EPOCH_TEXT_SIZE];
    json_add_string(document, "cluster", gate->state.cluster);
    json_add_string(document, "epoch", epoch_text(&gate->state.highest, epoch));
    json_add_u64(document, "passed", gate->passed);
    json_add_u64(document, "refused", gate->refused);
    json_add_u64(document, "unknown", gate->unknown);
    http_reply_json(request, 200, document);
}

static void
on_request(void *data, struct http_request *request)
{
    struct gate *gate = data;
    bool reads = request->verb == HTTP_VERB_GET || request->verb == HTTP_VERB_HEAD;
    struct err err;
    if (strcmp(request->path, "/check") == 0) {
        check(gate, request);
    } else if (strcmp(request->path, "/state") == 0 && reads) {
        show(gate, request);
    } else if (strcmp(request->path, "/healthz") == 0 && reads) {
        http_reply(request, 200, "text/plain", "ok\n", 3);
    } else {
        (void)err_set(&err, ERR_NOT_FOUND, "path_not_found",
                      "a gate has /check, /state and /healthz");
        http_reply_err(request, &err);
    }
}

/* ---- what it needs ---- */

static void
wipe_keys(struct sign_key *keys, size_t count)
{
    for (size_t i = 0; keys != NULL && i < count; i++)
        sign_key_wipe(&keys[i]);
    free(keys);
}

static enum err_code
read_key(const char *option, struct sign_key *ret, struct err *err)
{
    char id[CONNECTOR_NAME_SIZE];
    size_t length = strcspn(option, "=");
    if (option[length] == '\0' || length == 0 || length >= sizeof id) {
        (void)err_set(err, ERR_INVALID, "option_value", "--key '%.80s': must be KEY_ID=FILE",
                      option);
        return err_mend(err, "KEY_ID is 'key_id' of the connector's 'sign'");
    }
    memcpy(id, option, length);
    id[length] = '\0';
    return sign_key_file(id, option + length + 1, ret, err);
}

static enum err_code
read_keys(struct gate *gate, struct err *err)
{
    size_t count = gate->options->key_count;
    if (count == 0 || count > GATE_KEYS_MAX)
        return err_set(err, ERR_INVALID, "option_missing", "--key must stand 1 to %d times",
                       GATE_KEYS_MAX);
    struct sign_key *keys = mem_zero(count, sizeof *keys);
    for (size_t i = 0; i < count; i++) {
        enum err_code code = read_key(gate->options->keys[i], &keys[i], err);
        if (code == ERR_NONE)
            continue;
        wipe_keys(keys, count);
        return code;
    }
    wipe_keys(gate->keys, count);
    gate->keys = keys;
    return ERR_NONE;
}

static bool
is_this_host(const char *listen)
{
    return str_starts(listen, "127.") || str_starts(listen, "[::1]:");
}

static enum err_code
open_server(struct gate *gate, struct err *err)
{
    const struct gate_options *options = gate->options;
    struct tls_identity identity = { .cert = options->cert, .key = options->cert_key };
    struct http_options http = {
        .listen = options->listen == NULL ? GATE_LISTEN : options->listen,
        .tls = options->cert == NULL ? NULL : &identity,
        .handler = on_request,
        .data = gate,
        .body_size_max = BODY_SIZE_MAX,
    };
    if ((options->cert == NULL) != (options->cert_key == NULL))
        return err_set(err, ERR_INVALID, "option_missing", "--cert and --cert-key go together");
    if (options->cert == NULL && !is_this_host(http.listen)) {
        (void)err_set(err, ERR_INVALID, "option_missing",
                      "--listen %s is reached from other hosts, and needs TLS", http.listen);
        return err_mend(err, "--cert FILE --cert-key FILE, or listen on 127.0.0.1");
    }
    return http_server_open(gate->loop, &http, &gate->server, err);
}

/* ---- signals ---- */

static void
on_stopped(void *data)
{
    struct gate *gate = data;
    ev_break(gate->loop, EVBREAK_ALL);
}

static void
on_stop_signal(struct ev_loop *loop, ev_signal *received, int revents)
{
    (void)loop, (void)revents;
    struct gate *gate = received->data;
    log_info("gate.stopping", "signal=%d", received->signum);
    notify_stopping();
    ev_signal_stop(gate->loop, &gate->term);
    ev_signal_stop(gate->loop, &gate->interrupt);
    http_server_stop(gate->server, STOP_MS, on_stopped, gate);
}

static void
on_hangup(struct ev_loop *loop, ev_signal *received, int revents)
{
    (void)loop, (void)revents;
    struct gate *gate = received->data;
    struct tls_identity identity = { .cert = gate->options->cert, .key = gate->options->cert_key };
    struct err err;
    notify_reloading();
    enum err_code code = read_keys(gate, &err);
    if (code == ERR_NONE && identity.cert != NULL)
        code = http_server_reload(gate->server, &identity, &err);
    if (code == ERR_NONE)
        log_info("gate.reload", "ok=1");
    else
        log_error("gate.reload", "reason=\"%s\"", err.text);
    notify_ready("keeps the highest epoch");
}

static void
watch(struct gate *gate)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&gate->term, on_stop_signal, SIGTERM);
    ev_signal_init(&gate->interrupt, on_stop_signal, SIGINT);
    ev_signal_init(&gate->hangup, on_hangup, SIGHUP);
    gate->term.data = gate->interrupt.data = gate->hangup.data = gate;
    ev_signal_start(gate->loop, &gate->term);
    ev_signal_start(gate->loop, &gate->interrupt);
    ev_signal_start(gate->loop, &gate->hangup);
}

/* ---- */

static enum err_code
start(struct gate *gate, struct err *err)
{
    gate->loop = ev_default_loop(EVFLAG_AUTO);
    enum err_code code = lock_state(gate->options->state, &gate->lock, err);
    if (code == ERR_NONE)
        code = read_state(gate->options->state, &gate->state, err);
    if (code == ERR_NONE)
        code = read_keys(gate, err);
    if (code == ERR_NONE)
        code = open_server(gate, err);
    return code;
}

enum err_code
gate_run(const struct gate_options *options, struct err *err)
{
    struct gate gate = { .options = options, .lock = -1 };
    char epoch[EPOCH_TEXT_SIZE];
    log_init("gate", LOG_LEVEL_INFO);
    enum err_code code = start(&gate, err);
    if (code == ERR_NONE) {
        watch(&gate);
        gate.notify = notify_open(gate.loop);
        notify_ready("keeps the highest epoch");
        log_info("gate.ready", "address=%s cluster=%s epoch=%s version=%s",
                 http_server_address(gate.server), gate.state.cluster,
                 epoch_text(&gate.state.highest, epoch), BATON_VERSION);
        (void)ev_run(gate.loop, 0);
        ev_signal_stop(gate.loop, &gate.hangup);
        notify_close(gate.notify);
    }
    if (gate.server != NULL)
        http_server_close(gate.server);
    wipe_keys(gate.keys, options->key_count);
    if (gate.lock >= 0)
        (void)close(gate.lock);
    return code;
}
