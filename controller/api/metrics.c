#include "controller/api/metrics.h"

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "controller/api/events.h"
#include "controller/api/serve.h"
#include "controller/api/status.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/registry.h"
#include "controller/daemon/tail.h"
#include "controller/daemon/view.h"
#include "controller/daemon/view_ready.h"
#include "controller/loop/pq.h"

/* ---- text ---- */

void
metrics_family(struct buf *text, const char *name, enum metrics_type type, const char *help)
{
    static const char *const types[] = { "gauge", "counter", "summary" };
    buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void
add_escaped(struct buf *text, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            buf_add_text(text, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(text, "\\%c", *value);
        else
            buf_add(text, value, 1);
    }
}

void
metrics_sample(struct buf *text, const char *name, double value, ...)
{
    const char *label;
    bool first = true;
    va_list labels;
    buf_add_text(text, name);
    va_start(labels, value);
    while ((label = va_arg(labels, const char *)) != NULL) {
        const char *its = va_arg(labels, const char *);
        buf_printf(text, "%s%s=\"", first ? "{" : ",", label);
        add_escaped(text, its);
        buf_add_text(text, "\"");
        first = false;
    }
    va_end(labels);
    if (isnan(value))
        buf_printf(text, "%s NaN\n", first ? "" : "}");
    else
        buf_printf(text, "%s %.17g\n", first ? "" : "}", value);
}

void
metrics_one(struct buf *text, const char *name, enum metrics_type type, double value,
            const char *help)
{
    metrics_family(text, name, type, help);
    metrics_sample(text, name, value, NULL);
}

/* ---- what is told ---- */

#define GAUGE(name, value, help)   metrics_one(text, name, METRICS_GAUGE, (double)(value), help)
#define COUNTER(name, value, help) metrics_one(text, name, METRICS_COUNTER, (double)(value), help)

static void
add_node(struct buf *text, struct core *core)
{
    const struct cache_position *position = cache_position(core->cache);
    const struct node *node = driver_node(core->driver);
    const char *reason;
    metrics_family(text, "baton_info", METRICS_GAUGE, "Who this is; always 1.");
    metrics_sample(text, "baton_info", 1, "cluster", core->home->cluster, "site", core->home->site,
                   "node", core->home->node, "version", BATON_VERSION, NULL);
    metrics_family(text, "baton_node_state", METRICS_GAUGE,
                   "1 for the state that this node is in, 0 for all others.");
    for (unsigned state = 0; state < NODE_STATE_COUNT; state++)
        metrics_sample(text, "baton_node_state", node->state == (enum node_state)state, "state",
                       node_state_name((enum node_state)state), NULL);
    GAUGE("baton_ready", view_ready(core, &reason) ? 1 : 0,
          "1 when this node is primary or follows the primary.");
    GAUGE("baton_writes_open", writer_mode(core->writer) == WRITER_OPEN ? 1 : 0,
          "1 while this node takes writes as primary.");
    GAUGE("baton_epoch", position->epoch, "Epoch of the newest row of the log on this node.");
    GAUGE("baton_revision", position->revision, "Newest revision of the log on this node.");
    GAUGE("baton_log_base", position->log_base, "Revision up to which the log is pruned here.");
    GAUGE("baton_config_entries", cache_count(core->cache), "Entries of the shared configuration.");
}

/* A number of a member's document; not known is NaN and never 0. */
static double
number_of(struct json_object *object, const char *name, double scale)
{
    int64_t number;
    return json_get_i64(object, name, &number) ? (double)number * scale : (double)NAN;
}

static void
add_members(struct buf *text, struct core *core)
{
    static const struct {
        const char *name;
        const char *member;
        double scale;
        const char *help;
    } rows[] = {
        { "baton_member_revision", "revision", 1,
          "Newest revision on each member, as known here." },
        { "baton_member_lag_revisions", "lag_revisions", 1, "Revisions behind the primary." },
        { "baton_member_age_seconds", "age_ms", 0.001, "Age of what is known of each member." },
    };
    CLEANUP(json_putp) struct json_object *document = view_nodes(core);
    struct json_object *nodes = json_get(document, "nodes");
    size_t count = nodes == NULL ? 0 : json_object_array_length(nodes);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        metrics_family(text, rows[i].name, METRICS_GAUGE, rows[i].help);
        for (size_t j = 0; j < count; j++) {
            struct json_object *node = json_object_array_get_idx(nodes, j);
            const char *name = "";
            const char *site = "";
            (void)!json_get_string(node, "name", &name);
            (void)!json_get_string(node, "site", &site);
            metrics_sample(text, rows[i].name, number_of(node, rows[i].member, rows[i].scale),
                           "node", name, "site", site, NULL);
        }
    }
    static const struct {
        const char *name;
        const char *label;
        const char *help;
    } words[] = {
        { "baton_member_role", "role", "1 with the role of each member, as known here." },
        { "baton_member_digest", "digest", "1 with how the log of each member compares." },
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        metrics_family(text, words[i].name, METRICS_GAUGE, words[i].help);
        for (size_t j = 0; j < count; j++) {
            struct json_object *node = json_object_array_get_idx(nodes, j);
            const char *name = "";
            const char *word = "unknown";
            (void)!json_get_string(node, "name", &name);
            (void)!json_get_string(node, words[i].label, &word);
            metrics_sample(text, words[i].name, 1, "node", name, words[i].label, word, NULL);
        }
    }
}

static void
add_connectors(struct buf *text, struct core *core)
{
    CLEANUP(json_putp) struct json_object *document = view_connectors(core);
    struct json_object *list = json_get(document, "connectors");
    size_t count = list == NULL ? 0 : json_object_array_length(list);
    metrics_family(
        text, "baton_connector_server", METRICS_GAUGE,
        "1 with the server in use and the one that would be, of each connector and node.");
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *name = "";
        const char *node = "";
        const char *effective = "none";
        const char *would_use = "none";
        (void)!json_get_string(one, "name", &name);
        (void)!json_get_string(one, "node", &node);
        (void)!json_get_string(one, "effective", &effective);
        (void)!json_get_string(one, "would_use", &would_use);
        metrics_sample(text, "baton_connector_server", 1, "connector", name, "node", node,
                       "effective", effective, "would_use", would_use, NULL);
    }
    metrics_family(
        text, "baton_connector_probe_ok", METRICS_GAUGE,
        "Whether the server in use, or the latent one of a standby, answered its probe.");
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *name = "";
        const char *node = "";
        bool ok = false;
        struct json_object *probe = json_get(one, "probe");
        if (probe == NULL)
            probe = json_get(one, "latent_probe");
        (void)!json_get_string(one, "name", &name);
        (void)!json_get_string(one, "node", &node);
        bool known = json_get_bool(probe, "ok", &ok);
        metrics_sample(text, "baton_connector_probe_ok", known ? (double)ok : (double)NAN,
                       "connector", name, "node", node, NULL);
    }
}

/* 1, 0, and NaN for what is not known. */
static double
verdict_of(struct json_object *object)
{
    const char *verdict = "";
    (void)!json_get_string(object, "verdict", &verdict);
    return strcmp(verdict, "ready") == 0 ? 1 : strcmp(verdict, "not_ready") == 0 ? 0 : (double)NAN;
}

static void
add_ready(struct buf *text, struct core *core)
{
    CLEANUP(json_putp) struct json_object *document = view_ready_document(core, NULL, false);
    struct json_object *sites = json_get(document, "sites");
    metrics_family(text, "baton_site_ready", METRICS_GAUGE,
                   "Whether each site could do the work if it were promoted now; NaN: not known.");
    for (size_t i = 0; i < json_object_array_length(sites); i++) {
        struct json_object *site = json_object_array_get_idx(sites, i);
        const char *name = "";
        (void)!json_get_string(site, "name", &name);
        metrics_sample(text, "baton_site_ready", verdict_of(site), "site", name, NULL);
    }
    for (unsigned family = 0; family < 2; family++) {
        if (family == 0)
            metrics_family(text, "baton_member_ready", METRICS_GAUGE, "The same of each member.");
        else
            metrics_family(text, "baton_member_proof_age_seconds", METRICS_GAUGE,
                           "Age of what each member has proved of its servers.");
        for (size_t i = 0; i < json_object_array_length(sites); i++) {
            struct json_object *nodes = json_get(json_object_array_get_idx(sites, i), "nodes");
            for (size_t j = 0; j < json_object_array_length(nodes); j++) {
                struct json_object *node = json_object_array_get_idx(nodes, j);
                const char *name = "";
                (void)!json_get_string(node, "name", &name);
                if (family == 0)
                    metrics_sample(text, "baton_member_ready", verdict_of(node), "node", name,
                                   NULL);
                else
                    metrics_sample(text, "baton_member_proof_age_seconds",
                                   number_of(node, "age_ms", 0.001), "node", name, NULL);
            }
        }
    }
}

static void
add_lease(struct buf *text, struct core *core)
{
    CLEANUP(json_putp) struct json_object *lease = driver_lease_json(core->driver);
    struct json_object *record = json_get(lease, "record");
    const char *state = "";
    const char *kind = "";
    bool may_act = false;
    uint64_t left_ms = 0;
    (void)!json_get_string(lease, "state", &state);
    (void)!json_get_string(lease, "kind", &kind);
    (void)!json_get_bool(lease, "may_act", &may_act);
    (void)!json_get_u64(lease, "left_ms", &left_ms);
    metrics_family(text, "baton_arbiter_info", METRICS_GAUGE, "1 with the kind of the arbiter.");
    metrics_sample(text, "baton_arbiter_info", 1, "kind", kind, NULL);
    metrics_family(text, "baton_lease_state", METRICS_GAUGE,
                   "1 for the state of the lease on this node, 0 for all others.");
    for (unsigned i = 0; i < LEASE_STATE_COUNT; i++) {
        const char *name = lease_state_name((enum lease_state)i);
        metrics_sample(text, "baton_lease_state", strcmp(name, state) == 0, "state", name, NULL);
    }
    GAUGE("baton_lease_may_act", may_act ? 1 : 0,
          "1 while this node may act on the outside as far as the lease goes.");
    GAUGE("baton_lease_remaining_seconds", (double)left_ms / 1000,
          "How long the lease of this node lasts if it is not renewed; 0 without one.");
    GAUGE("baton_arbiter_record_age_seconds", number_of(record, "age_ms", 0.001),
          "Since the arbiter last showed its record.");
    GAUGE("baton_arbiter_record_remaining_seconds", number_of(record, "remaining_ms", 0.001),
          "How long the lease in the arbiter lasts at most, whoever has it.");
}

static void
add_durability(struct buf *text, struct core *core)
{
    CLEANUP(json_putp) struct json_object *durability = view_durability(core);
    const char *since;
    GAUGE("baton_sync_acknowledgements", number_of(durability, "k", 1),
          "Members beside the primary that must have a write, as known here.");
    GAUGE("baton_degraded", json_get_string(durability, "degraded_since", &since) ? 1 : 0,
          "1 while fewer acknowledgements count than were promised, as known here.");
    COUNTER("baton_degradations_total", driver_counters(core->driver)->degradations,
            "Times that this node, as primary, told the arbiter that fewer count.");
}

static void
add_questions(struct buf *text, const struct driver_counters *counters)
{
    uint64_t count = 0;
    metrics_family(text, "baton_arbiter_replies_total", METRICS_COUNTER,
                   "Answers of the arbiter, by question and result; unclear: none that counts.");
    for (unsigned op = 0; op < LEASE_OP_COUNT; op++) {
        for (unsigned result = 0; result < LEASE_RESULT_COUNT; result++) {
            uint64_t these = counters->arbiter_replies[op][result];
            count += these;
            if (these > 0)
                metrics_sample(text, "baton_arbiter_replies_total", (double)these, "question",
                               lease_op_name((enum lease_op)op), "result",
                               lease_result_name((enum lease_result)result), NULL);
        }
    }
    metrics_family(text, "baton_arbiter_seconds", METRICS_SUMMARY,
                   "Time until the arbiter answered, or did not.");
    metrics_sample(text, "baton_arbiter_seconds_sum", (double)counters->arbiter_us / 1e6, NULL);
    metrics_sample(text, "baton_arbiter_seconds_count", (double)count, NULL);
}

static void
add_takeover(struct buf *text, struct core *core)
{
    static const char *const modes[] = { "automatic", "unguarded", "manual",
                                         "paused",    "blocked",   "unknown" };
    const struct driver_counters *counters = driver_counters(core->driver);
    CLEANUP(json_putp) struct json_object *takeover = view_takeover(core);
    CLEANUP(json_putp) struct json_object *pause = view_pause(core);
    const char *mode = "";
    uint64_t left_ms = 0;
    (void)!json_get_string(takeover, "mode", &mode);
    (void)!json_get_u64(pause, "left_ms", &left_ms);
    metrics_family(text, "baton_takeover_mode", METRICS_GAUGE,
                   "1 for who decides when the primary is lost now, 0 for all others.");
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++)
        metrics_sample(text, "baton_takeover_mode", strcmp(modes[i], mode) == 0, "mode", modes[i],
                       NULL);
    GAUGE("baton_takeover_candidates", json_object_array_length(json_get(takeover, "able")),
          "Members that could take over, as known here.");
    GAUGE("baton_takeover_paused_seconds", (double)left_ms / 1000,
          "How long the pause lasts; 0 without one.");
    COUNTER("baton_takeovers_total", counters->takeovers, "Takeovers that this node began.");
    COUNTER("baton_suspicions_total", counters->suspicions,
            "Times that the primary had no answer for this node.");
    COUNTER("baton_leases_lost_total", counters->leases_lost,
            "Times that this node lost its lease, and fenced itself.");
    add_questions(text, counters);
}

static void
add_alarms(struct buf *text, struct core *core)
{
    CLEANUP(json_putp) struct json_object *alarms = view_alarms(core);
    metrics_family(text, "baton_alarms", METRICS_GAUGE, "Alarms of this node, by name.");
    size_t count =
        json_object_is_type(alarms, json_type_array) ? json_object_array_length(alarms) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = "";
        (void)!json_get_string(json_object_array_get_idx(alarms, i), "name", &name);
        size_t same = 0;
        bool seen = false;
        for (size_t j = 0; j < count; j++) {
            const char *other = "";
            (void)!json_get_string(json_object_array_get_idx(alarms, j), "name", &other);
            same += strcmp(name, other) == 0;
            seen = seen || (j < i && strcmp(name, other) == 0);
        }
        if (!seen) /* several of one name are one sample */
            metrics_sample(text, "baton_alarms", (double)same, "name", name, NULL);
    }
}

static void
add_instances(struct buf *text, struct core *core)
{
    struct registry_counters counters = registry_counters(core->registry);
    metrics_family(text, "baton_instances", METRICS_GAUGE,
                   "Instances of connectors that this node has heard of, by state.");
    metrics_sample(text, "baton_instances",
                   (double)(counters.connected_now - counters.unhealthy_now), "state", "connected",
                   NULL);
    metrics_sample(text, "baton_instances", (double)counters.unhealthy_now, "state", "unhealthy",
                   NULL);
    metrics_sample(text, "baton_instances", (double)counters.disconnected_now, "state",
                   "disconnected", NULL);
    COUNTER("baton_heartbeats_total", counters.heartbeats, "Heartbeats of agents.");
    COUNTER("baton_heartbeats_refused_total", counters.refused,
            "Heartbeats of agents that were refused: another version, or a taken name.");
    COUNTER("baton_instance_records_total", counters.records,
            "Writes to the shared log because an instance came or went.");
}

static void
add_writes(struct buf *text, struct core *core)
{
    struct writer_stats stats = writer_stats(core->writer);
    struct intake_counters intake = intake_counters(core->api->intake);
    metrics_family(text, "baton_writes_total", METRICS_COUNTER,
                   "Writes that this node took in as primary, by what became of them.");
    metrics_sample(text, "baton_writes_total", (double)stats.groups_done, "outcome", "acknowledged",
                   NULL);
    metrics_sample(text, "baton_writes_total", (double)stats.groups_failed, "outcome", "refused",
                   NULL);
    metrics_sample(text, "baton_writes_total", (double)stats.groups_unknown, "outcome", "unknown",
                   NULL);
    COUNTER("baton_write_changes_total", stats.changes, "Changes in acknowledged writes.");
    COUNTER("baton_write_commits_total", stats.batches, "Commits that writes shared.");
    metrics_family(text, "baton_write_seconds", METRICS_SUMMARY,
                   "From taking a write in to its acknowledgement.");
    metrics_sample(text, "baton_write_seconds_sum", (double)stats.latency_us_sum / 1e6, NULL);
    metrics_sample(text, "baton_write_seconds_count", (double)stats.groups_done, NULL);
    GAUGE("baton_writes_queued", stats.queued, "Writes that wait for their commit.");
    GAUGE("baton_write_commit_age_seconds", (double)stats.in_flight_ms / 1000,
          "How long the commit under way has been waiting; 0 without one.");
    GAUGE("baton_writes_held", intake.waiting_now, "Writes held until a primary takes them.");
    COUNTER("baton_writes_forwarded_total", intake.forwarded, "Writes passed on to the primary.");
}

static void
add_http(struct buf *text, const struct http_counters *http)
{
    static const char *const classes[] = { "0xx", "1xx", "2xx", "3xx", "4xx", "5xx" };
    GAUGE("baton_http_connections", http->connections_now, "Open connections.");
    COUNTER("baton_http_connections_total", http->connections, "Connections taken.");
    COUNTER("baton_http_handshake_failures_total", http->handshake_failures,
            "TLS handshakes that failed.");
    COUNTER("baton_http_requests_total", http->requests, "Requests that reached a handler.");
    GAUGE("baton_http_requests_pending", http->pending_now, "Requests that wait for their answer.");
    metrics_family(text, "baton_http_replies_total", METRICS_COUNTER, "Answers, by status.");
    for (size_t i = 1; i < ARRAY_COUNT(classes); i++)
        metrics_sample(text, "baton_http_replies_total", (double)http->replies[i], "status",
                       classes[i], NULL);
    metrics_family(text, "baton_http_refused_total", METRICS_COUNTER,
                   "Requests and connections that were refused before a handler.");
    for (unsigned i = 1; i < HTTP_REFUSAL_COUNT; i++)
        metrics_sample(text, "baton_http_refused_total", (double)http->refused[i], "reason",
                       http_refusal_slug((enum http_refusal)i), NULL);
    COUNTER("baton_http_timeouts_total", http->timeouts, "Connections ended by a deadline.");
    COUNTER("baton_http_clients_gone_total", http->gone, "Clients that left before their answer.");
    COUNTER("baton_http_received_bytes_total", http->received_size, "Bytes of requests.");
    COUNTER("baton_http_sent_bytes_total", http->sent_size, "Bytes of answers.");
    COUNTER("baton_http_streams_dropped_total", http->streams_dropped,
            "Event streams dropped because their client did not read.");
}

static void
add_api(struct buf *text, struct api *api)
{
    struct auth_counters auth = auth_counters(api->auth);
    struct events_counters events = events_counters(api->events);
    metrics_family(text, "baton_api_seconds", METRICS_SUMMARY, "Time to answer, by operation.");
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (api->calls_served[i] == 0)
            continue;
        metrics_sample(text, "baton_api_seconds_sum", (double)api->calls_us[i] / 1e6, "operation",
                       routes[i].operation, NULL);
        metrics_sample(text, "baton_api_seconds_count", (double)api->calls_served[i], "operation",
                       routes[i].operation, NULL);
    }
    metrics_family(text, "baton_api_failures_total", METRICS_COUNTER,
                   "Answers with status 500 and above, by operation.");
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (api->calls_served[i] > 0)
            metrics_sample(text, "baton_api_failures_total", (double)api->calls_failed[i],
                           "operation", routes[i].operation, NULL);
    }
    metrics_family(text, "baton_logins_total", METRICS_COUNTER, "Tries to log in, by result.");
    metrics_sample(text, "baton_logins_total", (double)auth.logins, "result", "good", NULL);
    metrics_sample(text, "baton_logins_total", (double)auth.failures, "result", "wrong", NULL);
    metrics_sample(text, "baton_logins_total", (double)auth.throttled, "result", "throttled", NULL);
    COUNTER("baton_certificates_refused_total", auth.refused_certificates,
            "Certificates of removed members, revoked, or of other clusters.");
    GAUGE("baton_sessions", auth.sessions_now, "People logged in at this node.");
    GAUGE("baton_event_listeners", events.listeners_now, "Open event streams.");
    COUNTER("baton_events_total", events.events, "Events published.");
    COUNTER("baton_event_resets_total", events.resets, "Listeners told to read all again.");
    COUNTER("baton_status_renders_total", status_page_renders(api->page),
            "How often the status document was rendered.");
}

static void
add_databases(struct buf *text, struct core *core)
{
    metrics_family(text, "baton_database_connected", METRICS_GAUGE,
                   "Whether each connection to this node's PostgreSQL stands.");
    metrics_sample(text, "baton_database_connected", writer_connected(core->writer), "connection",
                   "writer", NULL);
    metrics_sample(text, "baton_database_connected", tail_connected(core->tail), "connection",
                   "tail", NULL);
    metrics_sample(text, "baton_database_connected", pq_state(core->api->pq) == PQ_READY,
                   "connection", "api", NULL);
}

static void
add_process(struct buf *text)
{
    struct rusage usage;
    struct err err;
    size_t count = 0;
    CLEANUP(buf_done) struct buf statm = { 0 };
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        (void)closedir(folder);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        COUNTER("process_cpu_seconds_total",
                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
                "Processor time of batond.");
    unsigned long pages = 0;
    unsigned long resident = 0;
    if (file_read("/proc/self/statm", 4096, &statm, &err) == ERR_NONE &&
        sscanf(buf_text(&statm), "%lu %lu", &pages, &resident) == 2)
        GAUGE("process_resident_memory_bytes", resident * (unsigned long)sysconf(_SC_PAGESIZE),
              "Memory of batond.");
    if (count > 3)
        GAUGE("process_open_fds", count - 3, "Open descriptors of batond.");
}

void
serve_metrics(struct call *call)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    struct core *core = call->api->core;
    add_node(&text, core);
    add_members(&text, core);
    add_connectors(&text, core);
    add_ready(&text, core);
    add_lease(&text, core);
    add_durability(&text, core);
    add_takeover(&text, core);
    add_alarms(&text, core);
    add_instances(&text, core);
    add_writes(&text, core);
    if (core->server != NULL)
        add_http(&text, http_server_counters(core->server));
    add_api(&text, call->api);
    add_databases(&text, core);
    add_process(&text);
    call_reply_text(call, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.size);
}
