#include "controller/daemon/agent.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/home.h"
#include "controller/daemon/token.h"
#include "controller/http/server.h"
#include "controller/loop/cert.h"
#include "controller/loop/contact.h"
#include "controller/loop/fetch.h"
#include "controller/loop/worker.h"
#include "sites/instance.h"

#define NODES_MAX         HOME_PEERS_MAX
#define HEARTBEAT_MS      10000 /* until a node has said */
#define SILENCE_MS        30000
#define HEARTBEAT_MS_MIN  100
#define HEARTBEAT_MS_MAX  3600000
#define REPLY_SIZE_MAX    65536
#define UNLISTED_FAILURES 3
#define DOUBLE_MAX        6
#define WHY_SIZE          INSTANCE_TEXT_SIZE

struct agent;

struct agent_node {
    struct agent *agent; /* borrowed */
    char *address;       /* owned; HOST:PORT */
    ev_timer timer;      /* the next heartbeat */
    struct fetch *fetch; /* under way, or NULL */
    unsigned failures;   /* in a row */
    uint64_t good_ms;    /* of the last answer that took it; 0: never */
    bool connected;      /* the last answer took it */
    bool refused;        /* it was reached, and said no */
    bool again;          /* something changed while one was under way */
    char why[WHY_SIZE];
};

struct agent {
    const struct agent_options *options; /* borrowed */
    struct token token;
    char session[INSTANCE_SESSION_SIZE];
    int64_t began_ms;
    struct ev_loop *loop; /* borrowed; the default loop */
    struct worker *worker;
    struct fetch_client *client; /* to the nodes; NULL until their CA was found */
    struct fetch_client *prober; /* to the connector */
    struct http_server *server;
    struct agent_node *nodes[NODES_MAX];
    size_t node_count;
    bool finding; /* the CA, on the worker thread */
    uint64_t heartbeat_ms;
    uint64_t silence_ms;
    uint64_t good_ms; /* of any node; 0: in no session yet */
    ev_timer check;
    struct fetch *checking;
    unsigned check_failures;
    bool checked;
    bool healthy;
    char why[WHY_SIZE];
    ev_signal term;
    ev_signal interrupt;
    ev_timer end;
    unsigned leaving; /* answers that the end waits for */
    bool stopping;
};

/* ---- chance and pauses ---- */

/* Half to all of it, so that many agents do not come at once. */
static double
jitter_s(uint64_t ms)
{
    uint8_t bytes[2];
    cert_random(bytes, sizeof bytes);
    double part = 0.5 + (bytes[0] * 256.0 + bytes[1]) / 65536.0 / 2.0;
    return (double)ms / 1000.0 * part;
}

static void
arm(struct agent *agent, ev_timer *timer, double after_s)
{
    ev_timer_stop(agent->loop, timer);
    if (agent->stopping)
        return;
    ev_timer_set(timer, after_s, 0.0);
    ev_timer_start(agent->loop, timer);
}

static void
begin_session(struct agent *agent)
{
    uint8_t bytes[(INSTANCE_SESSION_SIZE - 1) / 2];
    cert_random(bytes, sizeof bytes);
    str_hex(agent->session, bytes, sizeof bytes);
    agent->began_ms = clock_wall_ms();
    agent->good_ms = 0;
}

/* ---- which nodes there are ---- */

static void on_beat_due(struct ev_loop *loop, ev_timer *timer, int revents);

static struct agent_node *
find_node(const struct agent *agent, const char *address)
{
    for (size_t i = 0; i < agent->node_count; i++) {
        if (strcmp(agent->nodes[i]->address, address) == 0)
            return agent->nodes[i];
    }
    return NULL;
}

static void
add_node(struct agent *agent, const char *address)
{
    if (find_node(agent, address) != NULL || agent->node_count == NODES_MAX)
        return;
    struct agent_node *node = mem_zero(1, sizeof *node);
    node->agent = agent;
    node->address = str_dup(address);
    ev_timer_init(&node->timer, on_beat_due, 0.0, 0.0);
    agent->nodes[agent->node_count++] = node;
    if (agent->checked) /* else it begins with the first check */
        arm(agent, &node->timer, 0.0);
}

static void
remove_node(struct agent *agent, size_t index)
{
    struct agent_node *node = agent->nodes[index];
    ev_timer_stop(agent->loop, &node->timer);
    fetch_cancel(node->fetch);
    free(node->address);
    free(node);
    agent->nodes[index] = agent->nodes[--agent->node_count];
}

static bool
lists(struct json_object *list, const char *address)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *one = "";
        (void)!json_get_string(json_object_array_get_idx(list, i), "address", &one);
        if (strcmp(one, address) == 0)
            return true;
    }
    return false;
}

/* Who is new is asked too. Who is listed no more goes only when it does not answer either: the one
 * that said so may itself be the one that was removed. */
static void
learn_nodes(struct agent *agent, struct json_object *list)
{
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0)
        return;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *address;
        CLEANUP(freep) char *host = NULL;
        uint16_t port;
        struct err ignored;
        if (json_get_string(json_object_array_get_idx(list, i), "address", &address) &&
            home_split_address(address, HOME_PORT, &host, &port, &ignored) == ERR_NONE)
            add_node(agent, address);
    }
    for (size_t i = agent->node_count; i-- > 0;) {
        const struct agent_node *node = agent->nodes[i];
        if (node->failures >= UNLISTED_FAILURES && !lists(list, node->address)) {
            log_info("agent.node_gone", "address=%s", node->address);
            remove_node(agent, i);
        }
    }
}

/* ---- whom to believe ---- */

struct finding {
    struct agent *agent;
    char *address; /* owned */
    uint8_t pin[CERT_PIN_SIZE];
    char *ca; /* owned */
    enum err_code code;
    struct err err;
};

static void
run_finding(void *job)
{
    struct finding *finding = job;
    finding->code = contact_find_ca(finding->address, finding->pin, &finding->ca, &finding->err);
}

static void failed(struct agent_node *node, const struct err *err, bool refused);

static void
end_finding(void *job, bool ran)
{
    struct finding *finding = job;
    struct agent *agent = finding->agent;
    struct agent_node *node = find_node(agent, finding->address);
    agent->finding = false;
    if (ran && finding->code == ERR_NONE) {
        struct fetch_trust trust = { .tls = { .ca = finding->ca } };
        finding->code = fetch_client_open(agent->loop, &trust, &agent->client, &finding->err);
    }
    if (ran && finding->code == ERR_NONE) {
        for (size_t i = 0; i < agent->node_count; i++)
            arm(agent, &agent->nodes[i]->timer, 0.0);
    } else if (ran && node != NULL) {
        failed(node, &finding->err, finding->code == ERR_DENIED);
    }
    free(finding->address);
    free(finding->ca);
    free(finding);
}

/* T2. One look at a time; the others wait for its end. */
static void
find_ca(struct agent_node *node)
{
    struct agent *agent = node->agent;
    struct err err;
    if (agent->finding) {
        arm(agent, &node->timer, AGENT_AGAIN_MS / 1000.0);
        return;
    }
    struct finding *finding = mem_zero(1, sizeof *finding);
    finding->agent = agent;
    finding->address = str_dup(node->address);
    memcpy(finding->pin, agent->token.pin, sizeof finding->pin);
    agent->finding = true;
    if (worker_submit(agent->worker, run_finding, end_finding, finding, &err) == ERR_NONE)
        return;
    agent->finding = false;
    free(finding->address);
    free(finding);
    failed(node, &err, false);
}

/* ---- heartbeats ---- */

static struct json_object *
who_json(const struct agent *agent)
{
    struct json_object *body = json_object_new_object();
    json_add_string(body, "token_id", agent->token.id);
    json_add_string(body, "secret", agent->token.secret);
    json_add_string(body, "connector", agent->options->connector);
    json_add_string(body, "instance", agent->options->instance);
    json_add_string(body, "session", agent->session);
    return body;
}

static struct fetch *
post(struct agent_node *node, const char *path, struct json_object *body, fetch_done *done)
{
    CLEANUP(freep) char *url = str_printf("https://%s%s", node->address, path);
    const char *text = json_text(body);
    const struct fetch_request request = { .method = "POST",
                                           .url = url,
                                           .body = text,
                                           .body_size = strlen(text),
                                           .timeout_ms = AGENT_BEAT_TIMEOUT_MS,
                                           .reply_size_max = REPLY_SIZE_MAX };
    return fetch_start(node->agent->client, &request, done, node);
}

/* Who does not answer is asked as often as one that does, after a few quick tries; who says no,
 * less often: a person has to do something first. */
static void
failed(struct agent_node *node, const struct err *err, bool refused)
{
    struct agent *agent = node->agent;
    uint64_t most_ms = refused ? AGENT_REFUSED_MS_MAX : agent->heartbeat_ms;
    uint64_t pause_ms = (uint64_t)AGENT_AGAIN_MS
                        << (node->failures < DOUBLE_MAX ? node->failures : DOUBLE_MAX);
    if (node->connected || node->failures == 0 || strcmp(node->why, err->text) != 0)
        log_warn(refused ? "agent.refused" : "agent.unreachable",
                 "node=%s reason=\"%s\" mend=\"%s\"", node->address, err->text, err->mend);
    (void)snprintf(node->why, sizeof node->why, "%.*s", WHY_SIZE - 1, err->text);
    node->failures++;
    node->connected = false;
    node->refused = refused;
    arm(agent, &node->timer, jitter_s(pause_ms < most_ms ? pause_ms : most_ms));
}

static void
take_intervals(struct agent *agent, struct json_object *answer)
{
    uint64_t ms;
    if (json_get_u64(answer, "heartbeat_ms", &ms) && ms >= HEARTBEAT_MS_MIN &&
        ms <= HEARTBEAT_MS_MAX)
        agent->heartbeat_ms = ms;
    if (json_get_u64(answer, "silence_ms", &ms) && ms >= HEARTBEAT_MS_MIN && ms <= HEARTBEAT_MS_MAX)
        agent->silence_ms = ms;
}

static void
taken(struct agent_node *node, struct json_object *answer)
{
    struct agent *agent = node->agent;
    if (!node->connected)
        log_info("agent.connected", "node=%s session=%s", node->address, agent->session);
    node->connected = true;
    node->refused = false;
    node->failures = 0;
    node->why[0] = '\0';
    node->good_ms = agent->good_ms = clock_now_ms();
    take_intervals(agent, answer);
    double next_s = node->again ? 0.0 : (double)agent->heartbeat_ms / 1000.0;
    node->again = false;
    arm(agent, &node->timer, next_s);
    learn_nodes(agent, json_get(answer, "nodes"));
}

static void
on_beat(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct agent_node *node = data;
    struct err fault;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    node->fetch = NULL;
    if (node->agent->stopping)
        return;
    if (err == NULL &&
        (fetch_reply_err(reply, &fault) != ERR_NONE ||
         json_read(buf_text(&reply->body), reply->body.size, &answer, &fault) != ERR_NONE))
        err = &fault;
    if (err == NULL) {
        taken(node, answer);
        return;
    }
    if (strcmp(err->slug, "instance_left") == 0)
        begin_session(node->agent);
    node->again = false;
    failed(node, err, reply != NULL && reply->status < 500);
}

static void
beat(struct agent_node *node)
{
    struct agent *agent = node->agent;
    if (agent->good_ms != 0 && clock_now_ms() - agent->good_ms > agent->silence_ms) {
        begin_session(agent); /* T1 */
        log_info("agent.session", "session=%s", agent->session);
    }
    CLEANUP(json_putp) struct json_object *body = who_json(agent);
    json_add_string(body, "version", agent->options->version);
    json_add_i64(body, "began_ms", agent->began_ms);
    json_add_bool(body, "healthy", agent->healthy);
    json_add_string(body, "text", agent->why);
    if (agent->options->address != NULL)
        json_add_string(body, "address", agent->options->address);
    if (agent->options->metadata != NULL)
        json_add(body, "metadata", json_object_get(agent->options->metadata));
    node->fetch = post(node, "/v1/agent/beat", body, on_beat);
}

static void
on_beat_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct agent_node *node = CONTAINER_OF(timer, struct agent_node, timer);
    if (node->fetch != NULL)
        node->again = true;
    else if (node->agent->client == NULL)
        find_ca(node);
    else
        beat(node);
}

/* ---- the connector's health ---- */

static void
tell_all(struct agent *agent)
{
    for (size_t i = 0; i < agent->node_count; i++) {
        struct agent_node *node = agent->nodes[i];
        if (node->fetch != NULL)
            node->again = true;
        else if (!node->refused)
            arm(agent, &node->timer, 0.0);
    }
}

static void
on_checked(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct agent *agent = data;
    struct err fault;
    bool was = agent->healthy;
    bool first = !agent->checked;
    agent->checking = NULL;
    if (agent->stopping)
        return;
    if (err == NULL && fetch_reply_err(reply, &fault) != ERR_NONE)
        err = &fault;
    agent->check_failures = err == NULL ? 0 : agent->check_failures + 1;
    if (err == NULL)
        agent->healthy = true;
    else if (first || agent->check_failures >= AGENT_HEALTH_TRIES)
        agent->healthy = false;
    (void)snprintf(agent->why, sizeof agent->why, "%.*s", WHY_SIZE - 1,
                   agent->healthy || err == NULL ? "" : err->text);
    agent->checked = true;
    if (first || was != agent->healthy) {
        log_info("agent.health", "healthy=%d reason=\"%s\"", agent->healthy, agent->why);
        tell_all(agent);
    }
    bool soon = err != NULL && agent->check_failures < AGENT_HEALTH_TRIES;
    arm(agent, &agent->check,
        (double)(soon ? AGENT_HEALTH_RETRY_MS : agent->heartbeat_ms) / 1000.0);
}

static void
on_check_due(struct ev_loop *loop, ev_timer *check, int revents)
{
    (void)loop, (void)revents;
    struct agent *agent = CONTAINER_OF(check, struct agent, check);
    const struct fetch_request request = { .url = agent->options->health,
                                           .timeout_ms = AGENT_HEALTH_TIMEOUT_MS };
    agent->checking = fetch_start(agent->prober, &request, on_checked, agent);
}

/* ---- /healthz ---- */

static struct json_object *
nodes_json(const struct agent *agent)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < agent->node_count; i++) {
        const struct agent_node *node = agent->nodes[i];
        struct json_object *one = json_object_new_object();
        json_add_string(one, "address", node->address);
        json_add_string(one, "state",
                        node->connected ? "connected"
                                        : (node->refused ? "refused" : "unreachable"));
        json_add_string(one, "text", node->why);
        (void)json_object_array_add(list, one);
    }
    return list;
}

static void
on_request(void *data, struct http_request *request)
{
    const struct agent *agent = data;
    struct err err;
    if (strcmp(request->path, "/healthz") != 0) {
        (void)err_set(&err, ERR_NOT_FOUND, "route_not_found", "only /healthz is here");
        http_reply_err(request, &err);
        return;
    }
    struct json_object *document = json_object_new_object();
    json_add_string(document, "status", agent->healthy ? "ok" : "failing");
    json_add_string(document, "text", agent->checked ? agent->why : "not checked yet");
    json_add_string(document, "connector", agent->options->connector);
    json_add_string(document, "instance", agent->options->instance);
    json_add_string(document, "version", agent->options->version);
    json_add_string(document, "session", agent->session);
    json_add(document, "nodes", nodes_json(agent));
    http_reply_json(request, agent->healthy ? 200 : 503, document); /* T3 */
}

/* ---- the end ---- */

static void
on_left(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct agent_node *node = data;
    struct agent *agent = node->agent;
    (void)reply, (void)err;
    node->fetch = NULL;
    if (--agent->leaving == 0)
        ev_break(agent->loop, EVBREAK_ALL);
}

static void
on_end(struct ev_loop *loop, ev_timer *end, int revents)
{
    (void)end, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void
on_stop_signal(struct ev_loop *loop, ev_signal *received, int revents)
{
    (void)revents;
    struct agent *agent = received->data;
    if (agent->stopping)
        return;
    log_info("agent.stopping", "signal=%d", received->signum);
    agent->stopping = true;
    ev_timer_stop(loop, &agent->check);
    CLEANUP(json_putp) struct json_object *body = who_json(agent);
    for (size_t i = 0; i < agent->node_count; i++) {
        struct agent_node *node = agent->nodes[i];
        ev_timer_stop(loop, &node->timer);
        fetch_cancel(node->fetch);
        node->fetch = NULL;
        if (node->good_ms == 0 || agent->client == NULL)
            continue;
        agent->leaving++;
        node->fetch = post(node, "/v1/agent/leave", body, on_left);
    }
    if (agent->leaving == 0)
        ev_break(loop, EVBREAK_ALL);
    ev_timer_set(&agent->end, AGENT_LEAVE_MS / 1000.0, 0.0);
    ev_timer_start(loop, &agent->end);
}

/* ---- life ---- */

static enum err_code
check_options(struct agent *agent, struct err *err)
{
    const struct agent_options *options = agent->options;
    enum err_code code = token_decode_agent(options->token, &agent->token, err);
    if (code != ERR_NONE)
        return code;
    if (strcmp(agent->token.connector, options->connector) != 0) {
        (void)err_set(err, ERR_INVALID, "token", "the token is for connector '%s', not for '%.63s'",
                      agent->token.connector, options->connector); /* A3 */
        return err_mend(err, "baton connector token create %.63s, on a node", options->connector);
    }
    if (!str_is_name(options->instance)) {
        (void)err_set(err, ERR_INVALID, "instance_name", "'%.63s' is no name for an instance",
                      options->instance);
        return err_mend(err, "--instance NAME: a-z, 0-9 and '-'");
    }
    if (!instance_is_version(options->version))
        return err_set(err, ERR_INVALID, "instance_version",
                       "--version '%.63s': must be 1 to 63 letters, digits and '.-_+'",
                       options->version);
    struct spread_address ignored;
    const char *fault =
        options->address == NULL ? NULL : spread_address_read(options->address, &ignored);
    if (fault != NULL)
        return err_set(err, ERR_INVALID, "option_value", "--address '%.100s' %s", options->address,
                       fault);
    if (!str_starts(options->health, "http://") && !str_starts(options->health, "https://"))
        return err_set(err, ERR_INVALID, "url", "--health '%.200s': must be an http(s) URL",
                       options->health);
    return ERR_NONE;
}

static enum err_code
add_known_nodes(struct agent *agent, struct err *err)
{
    for (size_t i = 0; i < agent->options->node_count; i++) {
        CLEANUP(freep) char *host = NULL;
        uint16_t port;
        const char *address = agent->options->nodes[i];
        if (str_starts(address, "https://"))
            address += strlen("https://");
        if (home_split_address(address, HOME_PORT, &host, &port, err) != ERR_NONE)
            return err_wrap(err, "--node '%.200s'", address);
        CLEANUP(freep)
        char *whole =
            str_printf(strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
        add_node(agent, whole);
    }
    for (size_t i = 0; i < agent->token.address_count; i++)
        add_node(agent, agent->token.addresses[i]);
    return ERR_NONE;
}

static void
watch_all(struct agent *agent)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&agent->term, on_stop_signal, SIGTERM);
    ev_signal_init(&agent->interrupt, on_stop_signal, SIGINT);
    agent->term.data = agent->interrupt.data = agent;
    ev_signal_start(agent->loop, &agent->term);
    ev_signal_start(agent->loop, &agent->interrupt);
    ev_timer_init(&agent->check, on_check_due, 0.0, 0.0);
    ev_timer_init(&agent->end, on_end, 0.0, 0.0);
    ev_timer_start(agent->loop, &agent->check);
}

static enum err_code
start(struct agent *agent, struct err *err)
{
    const struct fetch_trust trust = { .tls = { .ca = agent->options->health_ca },
                                       .system_trust = agent->options->health_ca == NULL,
                                       .plain_http = true };
    const struct http_options http = { .listen = agent->options->listen,
                                       .handler = on_request,
                                       .data = agent,
                                       .connections_max = 64 };
    enum err_code code = check_options(agent, err);
    if (code != ERR_NONE)
        return code;
    agent->loop = ev_default_loop(EVFLAG_AUTO);
    code = add_known_nodes(agent, err);
    if (code == ERR_NONE)
        code = worker_open(agent->loop, &agent->worker, err);
    if (code == ERR_NONE)
        code = fetch_client_open(agent->loop, &trust, &agent->prober, err);
    if (code == ERR_NONE)
        code = http_server_open(agent->loop, &http, &agent->server, err);
    if (code != ERR_NONE)
        return code;
    begin_session(agent);
    watch_all(agent);
    log_info("agent.ready", "connector=%s instance=%s version=%s healthz=%s",
             agent->options->connector, agent->options->instance, agent->options->version,
             http_server_address(agent->server));
    return ERR_NONE;
}

static void
finish(struct agent *agent)
{
    agent->stopping = true;
    fetch_cancel(agent->checking);
    if (agent->worker != NULL)
        worker_close(agent->worker);
    while (agent->node_count > 0)
        remove_node(agent, agent->node_count - 1);
    if (agent->client != NULL)
        fetch_client_close(agent->client);
    if (agent->prober != NULL)
        fetch_client_close(agent->prober);
    if (agent->server != NULL) {
        http_server_close(agent->server);
        ev_signal_stop(agent->loop, &agent->term);
        ev_signal_stop(agent->loop, &agent->interrupt);
        ev_timer_stop(agent->loop, &agent->check);
        ev_timer_stop(agent->loop, &agent->end);
    }
    token_done(&agent->token);
}

enum err_code
agent_run(const struct agent_options *options, struct err *err)
{
    struct agent *agent = mem_zero(1, sizeof *agent);
    agent->options = options;
    agent->heartbeat_ms = HEARTBEAT_MS;
    agent->silence_ms = SILENCE_MS;
    log_init(options->instance, LOG_LEVEL_INFO);
    enum err_code code = start(agent, err);
    if (code == ERR_NONE)
        (void)ev_run(agent->loop, 0);
    finish(agent);
    free(agent);
    return code;
}
