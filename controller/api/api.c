#include "controller/api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/api/events.h"
#include "controller/api/serve.h"
#include "controller/api/status.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/loop/fetch.h"
#include "controller/loop/pq.h"
#include "sites/sealing.h"

#define API_SQL_MS 10000

/* ---- reading ---- */

const char *
call_param(const struct call *call)
{
    return call->match.param;
}

struct cache *
call_cache(const struct call *call)
{
    return call->api->core->cache;
}

static bool
is_json_type(const char *type)
{
    size_t length = strlen("application/json");
    return type != NULL && strncasecmp(type, "application/json", length) == 0 &&
           (type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

struct json_object *
call_body(struct call *call, const struct shape *shape, bool optional)
{
    struct err err;
    struct fault_list faults = { 0 };
    const struct http_request *request = call->request;
    if (request->body_size == 0 && optional) {
        call->body = json_object_new_object();
        return call->body;
    }
    if (!is_json_type(http_header(request, "Content-Type"))) {
        call_refuse(call, ERR_INVALID, "content_type", "the body must be application/json");
        return NULL;
    }
    if (request->body_size > API_BODY_SIZE_MAX && routes[call->match.id].role != CALLER_NODE) {
        call_refuse(call, ERR_LIMIT, "body_too_large", "the body has %zu bytes, at most %lu",
                    request->body_size, API_BODY_SIZE_MAX);
        return NULL;
    }
    if (json_read(request->body, request->body_size, &call->body, &err) != ERR_NONE) {
        call_fail(call, &err);
        return NULL;
    }
    shape_check(shape, call->body, "", &faults);
    if (call->body == NULL && faults.count == 0) /* a shape may leave it to the handler */
        fault_add(&faults, "", "must be an object");
    if (fault_err(&faults, "body_invalid", "body", &err) != ERR_NONE) {
        call_fail_with(call, &err, "faults", fault_json(&faults));
        return NULL;
    }
    return call->body;
}

bool
call_query_number(struct call *call, const char *name, uint64_t min, uint64_t max, uint64_t *ret)
{
    const char *text;
    if (!http_query(call->request, name, &text) || str_to_u64(text, min, max, ret))
        return true;
    call_refuse(call, ERR_INVALID, "query_invalid", "'%s' must be a number from %llu to %llu", name,
                (unsigned long long)min, (unsigned long long)max);
    return false;
}

bool
call_query_bool(struct call *call, const char *name, bool *ret)
{
    const char *text;
    if (!http_query(call->request, name, &text))
        return true;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *ret = text[0] == 't';
        return true;
    }
    call_refuse(call, ERR_INVALID, "query_invalid", "'%s' must be true or false", name);
    return false;
}

bool
call_query_site(struct call *call, const char **ret)
{
    *ret = NULL;
    if (!http_query(call->request, "site", ret))
        return true;
    if (**ret == '\0' || str_is_name(*ret))
        return true;
    call_refuse(call, ERR_INVALID, "query_invalid", "'site' must be the name of a site");
    return false;
}

bool
call_if_match(struct call *call, uint64_t *ret_revision)
{
    const char *text = http_header(call->request, "If-Match");
    char digits[24];
    *ret_revision = WRITER_ANY_REVISION;
    if (text == NULL)
        return true;
    size_t length = strlen(text);
    if (length > 2 && length < sizeof digits && text[0] == '"' && text[length - 1] == '"') {
        memcpy(digits, text + 1, length - 2);
        digits[length - 2] = '\0';
        if (str_to_u64(digits, 0, INT64_MAX, ret_revision))
            return true;
    }
    call_refuse(call, ERR_INVALID, "header_invalid",
                "If-Match must be a revision in quotes: \"42\"");
    return false;
}

static bool
percent_decode(const char *from, char *to, size_t to_size)
{
    size_t size = 0;
    for (; *from != '\0'; from++) {
        uint8_t byte = (uint8_t)*from;
        if (*from == '%') {
            char digits[3] = { from[1], from[1] == '\0' ? '\0' : from[2], '\0' };
            if (!str_from_hex(digits, &byte, 1))
                return false;
            from += 2;
        }
        if (byte < 0x20 || byte == 0x7f || size + 1 >= to_size)
            return false;
        to[size++] = (char)byte;
    }
    to[size] = '\0';
    return str_is_utf8(to, size);
}

bool
call_reason(struct call *call, char **ret_reason)
{
    const char *text = NULL;
    char decoded[3 * WRITER_REASON_SIZE_MAX + 1];
    *ret_reason = NULL;
    if (!json_get_string(call->body, "reason", &text)) {
        const char *header = http_header(call->request, "Baton-Reason");
        if (header == NULL)
            return true;
        if (!percent_decode(header, decoded, sizeof decoded)) {
            call_refuse(call, ERR_INVALID, "header_invalid",
                        "Baton-Reason must be percent-encoded UTF-8 without control characters");
            return false;
        }
        text = decoded;
    }
    if (strlen(text) > WRITER_REASON_SIZE_MAX) {
        call_refuse(call, ERR_LIMIT, "reason_too_long", "the reason has %zu bytes, at most %d",
                    strlen(text), WRITER_REASON_SIZE_MAX);
        return false;
    }
    *ret_reason = *text == '\0' ? NULL : str_dup(text);
    return true;
}

/* ---- ending ---- */

void
call_forget(struct call *call)
{
    struct api *api = call->api;
    api->calls_served[call->match.id]++;
    api->calls_us[call->match.id] += clock_now_us() - call->started_us;
    list_remove(&call->node);
    (void)json_object_put(call->body);
    if (call->state_free != NULL)
        call->state_free(call->state);
    free(call);
}

void
call_reply(struct call *call, int status, struct json_object *document)
{
    http_reply_json(call->request, status, document);
    call_forget(call);
}

void
call_reply_text(struct call *call, int status, const char *type, const char *text, size_t size)
{
    http_reply(call->request, status, type, text, size);
    call_forget(call);
}

static void
add_position(struct http_request *request, uint64_t epoch, const char *holder, uint64_t revision)
{
    char text[EPOCH_TEXT_SIZE];
    if (epoch > 0) {
        (void)snprintf(text, sizeof text, "%llu/%s", (unsigned long long)epoch, holder);
        http_add_header(request, "Baton-Epoch", text);
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)revision);
    http_add_header(request, "Baton-Revision", text);
}

void
call_reply_read(struct call *call, struct json_object *document)
{
    const struct cache_position *position = cache_position(call_cache(call));
    add_position(call->request, position->epoch, position->holder, position->revision);
    call_reply(call, 200, document);
}

void
call_fail_with(struct call *call, const struct err *err, const char *name,
               struct json_object *extra)
{
    int status = err_code_http(err->code);
    if (err->code == ERR_INTERNAL || err->code == ERR_IO)
        log_error("api.failed", "operation=%s reason=\"%s\"", routes[call->match.id].operation,
                  err->text);
    if (status >= 500)
        call->api->calls_failed[call->match.id]++;
    if (err->code == ERR_LOGIN)
        http_add_header(call->request, "WWW-Authenticate", "Bearer realm=\"baton\"");
    struct json_object *problem = http_problem(status, err);
    if (name != NULL)
        json_add(problem, name, extra);
    const char *text = json_text(problem);
    http_reply(call->request, status, "application/problem+json", text, strlen(text));
    (void)json_object_put(problem);
    call_forget(call);
}

void
call_fail(struct call *call, const struct err *err)
{
    call_fail_with(call, err, NULL, NULL);
}

void
call_refuse(struct call *call, enum err_code code, const char *slug, const char *format, ...)
{
    struct err err;
    char text[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)err_set(&err, code, slug, "%s", text);
    call_fail(call, &err);
}

bool
call_unloaded(struct call *call)
{
    if (cache_loaded(call_cache(call)))
        return false;
    struct err err;
    (void)err_set(&err, ERR_UNAVAILABLE, "database_unavailable",
                  "this node has not yet read its configuration");
    (void)err_mend(&err, "try again in a moment, or see why: baton doctor");
    call_fail(call, &err);
    return true;
}

/* ---- working ---- */

static void
on_rows(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)warned;
    struct call *call = data;
    if (err == NULL) {
        call->rows(call, result);
        return;
    }
    /* the database's own words for two things that have a name in the API */
    struct err shown = *err;
    if (result == NULL) {
        (void)!str_copy(shown.slug, sizeof shown.slug, "database_unavailable");
    } else if (strcmp(err->slug, "pruned") == 0) {
        (void)!str_copy(shown.slug, sizeof shown.slug, "log_pruned");
    } else if (strcmp(err->slug, "no_revision") == 0) {
        (void)!str_copy(shown.slug, sizeof shown.slug, "revision_not_found");
        shown.code = ERR_NOT_FOUND;
    }
    call_fail(call, &shown);
}

void
call_sql(struct call *call, const char *sql, size_t count, const char *const *values,
         call_rows *rows)
{
    struct err err;
    call->rows = rows;
    if (pq_state(call->api->pq) != PQ_READY) {
        (void)err_set(&err, ERR_UNAVAILABLE, "database_unavailable",
                      "the database of this node does not answer");
        (void)err_mend(&err, "see why: baton doctor");
        call_fail(call, &err);
        return;
    }
    struct pq_request request = { .sql = sql,
                                  .count = count,
                                  .values = values,
                                  .deadline_ms = API_SQL_MS,
                                  .done = on_rows,
                                  .data = call };
    (void)pq_send(call->api->pq, &request);
}

static void
on_written(void *data, const struct writer_result *result, const struct err *err)
{
    struct call *call = data;
    if (err != NULL) {
        call_fail(call, err);
        return;
    }
    fresh_note(call->api->fresh, result);
    if (call->written != NULL)
        call->written(call, result);
    else
        call_reply_written(call, 200, result);
}

void
call_write(struct call *call, struct json_object *group, call_written *written)
{
    call->written = written;
    intake_submit(call->api->intake, group, 0, on_written, call);
}

void
call_reply_written(struct call *call, int status, const struct writer_result *result)
{
    struct json_object *document = json_object_new_object();
    json_add_u64(document, "revision", result->revision);
    json_add(document, "epoch", doc_epoch(result->epoch, result->holder));
    add_position(call->request, result->epoch, result->holder, result->revision);
    call_reply(call, status, document);
}

/* ---- documents ---- */

static int
print_raw(struct json_object *value, struct printbuf *to, int level, int flags)
{
    (void)level, (void)flags;
    const char *text = json_object_get_userdata(value);
    return printbuf_memappend(to, text, (int)strlen(text));
}

struct json_object *
doc_raw(const char *text)
{
    struct json_object *value = json_object_new_object();
    json_object_set_serializer(value, print_raw, str_dup(text), json_object_free_userdata);
    return value;
}

struct json_object *
doc_epoch(uint64_t number, const char *holder)
{
    if (number == 0)
        return NULL;
    struct json_object *epoch = json_object_new_object();
    json_add_u64(epoch, "number", number);
    json_add_string(epoch, "holder", holder == NULL ? "" : holder);
    return epoch;
}

struct json_object *
doc_entry(const struct cache_entry *entry)
{
    struct json_object *document = json_object_new_object();
    json_add_string(document, "site", entry->site);
    json_add_string(document, "key", entry->key);
    json_add(document, "value", doc_value(entry->key, entry->text));
    json_add_u64(document, "revision", entry->revision);
    json_add_string(document, "author", entry->author);
    json_add_string(document, "at", entry->at);
    return document;
}

const char *
doc_time(const char *text, char to[32])
{
    if (text == NULL || strlen(text) < 19)
        return NULL;
    unsigned fraction = 0;
    unsigned digits = 0;
    if (text[19] == '.') {
        for (const char *at = text + 20; digits < 3 && *at >= '0' && *at <= '9'; at++, digits++)
            fraction = fraction * 10 + (unsigned)(*at - '0');
    }
    for (; digits < 3; digits++)
        fraction *= 10;
    (void)snprintf(to, 32, "%.10sT%.8s.%03uZ", text, text + 11, fraction);
    return to;
}

bool
doc_is_system(const char *key)
{
    const struct setting_row *row = setting_find(key);
    return row != NULL && row->scope == SETTING_SCOPE_SYSTEM;
}

struct json_object *
doc_value(const char *key, const char *text)
{
    struct err err;
    CLEANUP(json_putp) struct json_object *value = NULL;
    const struct setting_row *row = key == NULL ? NULL : setting_find(key);
    bool secret = key == NULL || str_starts(key, SEALING_PREFIX);
    if (text == NULL || (row != NULL && row->scope == SETTING_SCOPE_SYSTEM))
        return NULL;
    if (!secret)
        return doc_raw(text);
    return json_read(text, strlen(text), &value, &err) == ERR_NONE ? sealing_shown(value) : NULL;
}

/* ---- dispatch ---- */

static void (*const handlers[ROUTE_COUNT])(struct call *call) = {
#define X(operation, verb, pattern, role, query) [ROUTE_##operation] = serve_##operation,
    ROUTE_TABLE(X)
#undef X
};

static void
refuse_unrouted(struct http_request *request, const struct err *err, const char *allow)
{
    bool known = *allow != '\0';
    if (known)
        http_add_header(request, "Allow", allow);
    struct json_object *problem = http_problem(known ? 405 : err_code_http(err->code), err);
    const char *text = json_text(problem);
    http_reply(request, known ? 405 : err_code_http(err->code), "application/problem+json", text,
               strlen(text));
    (void)json_object_put(problem);
}

static bool
metrics_are_open(const struct api *api, const struct route_match *match)
{
    return match->id == ROUTE_metrics &&
           setting_bool(SETTING_METRICS_PUBLIC, cache_settings(api->core->cache));
}

/* A4 */
static bool
shows_what_was_written(const struct call *call)
{
    enum route_id id = call->match.id;
    static const bool at_once[ROUTE_COUNT] = {
        [ROUTE_metrics] = true,      [ROUTE_version] = true, [ROUTE_status] = true,
        [ROUTE_doctor] = true,       [ROUTE_events] = true,  [ROUTE_promote] = true,
        [ROUTE_config_write] = true, /* asks call_waits() itself, once it knows the keys */
    };
    if (id == ROUTE_login || id == ROUTE_join)
        return true;
    if (id == ROUTE_config_set) /* these are many, and only the database judges them */
        return !str_starts(call_param(call), "app/");
    return !at_once[id] && routes[id].role != CALLER_NONE && routes[id].role != CALLER_NODE;
}

static void
serve(struct call *call)
{
    struct err err;
    const struct route *route = &routes[call->match.id];
    bool open = route->role == CALLER_NONE || metrics_are_open(call->api, &call->match);
    enum err_code code = ERR_NONE;
    if (call->api->stopping)
        code = err_set(&err, ERR_UNAVAILABLE, "stopping", "this node stops");
    if (code == ERR_NONE)
        code = route_check_query(route, call->request->query, &err);
    if (code == ERR_NONE && !open)
        code = auth_caller(call->api->auth, call->request, &call->caller, &err);
    if (code == ERR_NONE && !open)
        code = auth_require(&call->caller, route->role, &err); /* A1 */
    if (code != ERR_NONE)
        call_fail(call, &err);
    else
        handlers[call->match.id](call);
}

bool
call_waits(struct call *call)
{
    if (call->waited || !fresh_wait(call->api->fresh, &call->waiter))
        return false;
    call->waited = true;
    json_putp(&call->body);
    return true;
}

static void
on_fresh(struct fresh_waiter *waiter)
{
    serve(CONTAINER_OF(waiter, struct call, waiter));
}

void
api_handle(void *data, struct http_request *request)
{
    struct err err;
    struct api *api = data;
    struct route_match match;
    char allow[ROUTE_ALLOW_SIZE];
    if (route_find(request->verb, request->path, &match, allow, &err) != ERR_NONE) {
        refuse_unrouted(request, &err, allow);
        return;
    }
    struct call *call = mem_zero(1, sizeof *call);
    call->api = api;
    call->request = request;
    call->match = match;
    call->started_us = clock_now_us();
    call->waiter.go_on = on_fresh;
    list_add_tail(&api->calls, &call->node);
    if (!shows_what_was_written(call) || !fresh_wait(api->fresh, &call->waiter))
        serve(call);
}

/* ---- life ---- */

static enum err_code
open_peers(struct api *api, struct err *err)
{
    CLEANUP(freep) char *ca = home_path(api->core->home, "ca.crt");
    CLEANUP(freep) char *cert = home_path(api->core->home, "node.crt");
    CLEANUP(freep) char *key = home_path(api->core->home, "node.key");
    struct fetch_trust trust = { .tls = { .ca = ca, .cert = cert, .key = key } };
    return fetch_client_open(api->core->loop, &trust, &api->peers, err);
}

static enum err_code
open_database(struct api *api, struct err *err)
{
    static const char *const setup[] = { "set synchronous_commit = local", "set timezone = 'UTC'",
                                         "set datestyle = 'ISO'" };
    CLEANUP(freep) char *conninfo = NULL;
    if (home_conninfo(api->core->home, "baton", &conninfo, err) != ERR_NONE)
        return err->code;
    struct pq_options options = { .loop = api->core->loop,
                                  .name = "api",
                                  .conninfo = conninfo,
                                  .setup = setup,
                                  .setup_count = ARRAY_COUNT(setup) };
    return pq_open(&options, &api->pq, err);
}

enum err_code
api_new(struct core *core, struct api **ret_api, struct err *err)
{
    struct api *api = mem_zero(1, sizeof *api);
    api->core = core;
    list_init(&api->calls);
    if (open_database(api, err) != ERR_NONE || open_peers(api, err) != ERR_NONE) {
        pq_close(api->pq);
        free(api);
        return err->code;
    }
    api->auth = auth_new(core);
    api->intake = intake_new(core, api->peers);
    api->fresh = fresh_new(core);
    api->events = events_new(core, api->pq);
    api->page = status_page_new(core);
    *ret_api = api;
    return ERR_NONE;
}

void
api_write(struct api *api, struct json_object *group, writer_done_fn *done, void *data)
{
    intake_submit(api->intake, group, 0, done, data);
}

void
api_reconnect(struct api *api)
{
    pq_reset(api->pq);
}

void
api_stop(struct api *api)
{
    if (api == NULL || api->stopping)
        return;
    api->stopping = true;
    fresh_stop(api->fresh);
    intake_stop(api->intake);
    events_stop(api->events);
}

void
api_free(struct api *api)
{
    if (api == NULL)
        return;
    api_stop(api);
    worker_close(api->slow);
    fetch_client_close(api->peers); /* answers what is under way */
    pq_close(api->pq);
    ASSERT(list_empty(&api->calls));
    events_free(api->events);
    status_page_free(api->page);
    intake_free(api->intake);
    fresh_free(api->fresh);
    auth_free(api->auth);
    free(api);
}
