#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/prover.h"
#include "controller/http/server.h"
#include "controller/loop/pq.h"
#include "sql.h"

#define SERVE_ROWS_MAX   1000
#define SERVE_POINTS_MAX 64 /* what local.points() gives at most */

/* What one request of a member needs until its answer. */
struct serve {
    struct driver *driver;        /* borrowed */
    struct http_request *request; /* ours to answer, once */
    struct json_object *body;     /* owned; NULL for a GET */
    char peer[NODE_NAME_SIZE];
    struct epoch epoch; /* of the body, none when it has none */
};

static void
serve_end(struct serve *serve)
{
    json_putp(&serve->body);
    free(serve);
}

static void
serve_err(struct serve *serve, const struct err *err)
{
    http_reply_err(serve->request, err);
    serve_end(serve);
}

static void
serve_json(struct serve *serve, struct json_object *document)
{
    http_reply_json(serve->request, 200, document);
    serve_end(serve);
}

static void
serve_fault(struct serve *serve, enum err_code code, const char *slug, const char *text)
{
    struct err err;
    (void)err_set(&err, code, slug, "%s", text);
    serve_err(serve, &err);
}

static void
add_position(struct json_object *document, const struct node_facts *facts)
{
    char text[EPOCH_TEXT_SIZE];
    json_add_u64(document, "revision", facts->applied.revision);
    json_add_string(document, "epoch", epoch_text(&facts->applied.epoch, text));
    json_add_string(document, "hash", facts->applied.hash);
}

/* ------------------------------------------------------------------ state, follow */

static void
serve_state(struct serve *serve)
{
    const char *suspect;
    if (http_query(serve->request, "suspect", &suspect))
        driver_takeover_suspect(serve->driver, suspect);
    serve_json(serve, driver_state_json(serve->driver));
}

static void
serve_follow(struct serve *serve)
{
    struct driver *driver = serve->driver;
    struct node_facts facts;
    struct driver_peer *peer = driver_peer(driver, serve->peer);
    if (!driver_facts_from_json(serve->body, &facts) || strcmp(facts.name, serve->peer) != 0) {
        serve_fault(serve, ERR_INVALID, "body_invalid", "the body is not the state of its sender");
        return;
    }
    if (peer != NULL)
        driver_peer_said(peer, &facts, serve->body);
    serve_json(serve, json_object_new_object());
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_HEARD, .facts = &facts });
    if (peer != NULL)
        driver_takeover_heard(driver, peer, clock_now_ms(), NULL);
}

/* ------------------------------------------------------------------ capture */

static void
on_captured(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct serve *serve = data;
    struct driver *driver = serve->driver;
    struct node_facts facts = { 0 };
    struct epoch before;
    char text[EPOCH_TEXT_SIZE];
    (void)warned;
    if (err != NULL || !driver_read_position(result, &facts) ||
        !driver_read_before(result, &before)) {
        struct err fault;
        (void)err_set(&fault, ERR_UNAVAILABLE, "no_position", "the database has no position");
        serve_err(serve, err == NULL ? &fault : err);
        return;
    }
    bool granted = strcmp(pq_text(result, 0, "granted"), "t") == 0;
    struct json_object *document = json_object_new_object();
    json_add_bool(document, "granted", granted);
    json_add_string(document, "promised", epoch_text(&facts.promised, text));
    json_add_string(document, "before", epoch_text(&before, text));
    add_position(document, &facts);
    log_info("peer.capture", "by=%s epoch=%s granted=%d", serve->peer,
             epoch_text(&serve->epoch, text), granted);
    struct epoch epoch = serve->epoch;
    serve_json(serve, document); /* durable before it is said: the row is committed */
    if (!granted)
        return;
    if (promo_is_running(&driver->promo))
        driver_post_promo(driver,
                          &(struct promo_event){ .kind = PROMO_EV_SUPERSEDED, .promised = epoch });
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_CAPTURED,
                                                   .epoch = epoch,
                                                   .ok = promo_is_running(&driver->promo) });
}

static void
serve_capture(struct serve *serve)
{
    char number[24];
    if (strcmp(serve->epoch.holder, serve->peer) != 0) { /* I1 */
        serve_fault(serve, ERR_DENIED, "not_holder", "only its holder may ask for an epoch");
        return;
    }
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)serve->epoch.number);
    const char *values[] = { number, serve->epoch.holder };
    (void)pq_query(serve->driver->core->ctl, sql_capture, 2, values, on_captured, serve);
}

/* ------------------------------------------------------------------ freeze, thaw */

static void
serve_freeze(struct serve *serve)
{
    struct driver *driver = serve->driver;
    if (driver->node.state != NODE_PRIMARY && driver->node.state != NODE_DRAINING) {
        serve_fault(serve, ERR_CONFLICT, "not_primary", driver->node.reason);
        return;
    }
    if (driver->node.state == NODE_DRAINING &&
        !epoch_equal(&driver->node.freeze_epoch, &serve->epoch)) {
        serve_fault(serve, ERR_CONFLICT, "frozen_for_other",
                    "this primary is frozen for another candidate");
        return;
    }
    if (driver->frozen_for != NULL) { /* the same candidate asks again: it reads this answer */
        struct err err;
        (void)err_set(&err, ERR_CONFLICT, "asked_again", "a later request takes this one's place");
        http_reply_err(take_ptr(&driver->frozen_for), &err);
    }
    driver->frozen_for = serve->request;
    struct epoch epoch = serve->epoch;
    serve_end(serve);
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_FREEZE, .epoch = epoch });
}

static void
serve_thaw(struct serve *serve)
{
    struct driver *driver = serve->driver;
    struct epoch epoch = serve->epoch;
    if (driver->node.state == NODE_DRAINING &&
        !epoch_equal(&driver->node.freeze_epoch, &serve->epoch)) {
        serve_fault(serve, ERR_CONFLICT, "frozen_for_other",
                    "this primary is frozen for another candidate");
        return;
    }
    serve_json(serve, json_object_new_object());
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_THAW, .epoch = epoch });
}

/* ------------------------------------------------------------------ attach: a slot for a member */

static void
on_slot_there(void *data, const struct err *err)
{
    struct serve *serve = data;
    struct driver *driver = serve->driver;
    const struct home *home = driver->core->home;
    struct node_facts facts = driver_own_facts(driver);
    if (err != NULL) {
        serve_err(serve, err);
        return;
    }
    const char *host;
    const char *dbname;
    uint64_t port;
    CLEANUP(freep) char *key = str_printf("node/%s", home->node);
    const struct cache_entry *entry = cache_get(driver->core->cache, key, "");
    struct json_object *pg = entry == NULL ? NULL : json_get(cache_value(entry), "pg");
    if (!json_get_string(pg, "host", &host) || !json_get_string(pg, "dbname", &dbname) ||
        !json_get_u64(pg, "port", &port)) {
        serve_fault(serve, ERR_CONFLICT, "no_database",
                    "where the database of this node is, is not known here");
        return;
    }
    struct json_object *document = json_object_new_object();
    json_add_u64(document, "head", facts.applied.revision);
    json_add_string(document, "host", host);
    json_add_u64(document, "port", port);
    json_add_string(document, "dbname", dbname);
    serve_json(serve, document);
}

static void
on_slots_seen(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct serve *serve = data;
    const char *members[] = { serve->peer };
    char name[REPL_NAME_SIZE];
    bool there = false;
    bool lost = false;
    (void)warned;
    if (err != NULL) {
        serve_err(serve, err);
        return;
    }
    (void)repl_name(serve->peer, name);
    for (int row = 0; row < PQntuples(result); row++) {
        if (strcmp(pq_text(result, row, "name"), name) != 0)
            continue;
        there = true;
        const char *status = pq_text(result, row, "wal_status");
        lost = status != NULL && strcmp(status, "lost") == 0;
    }
    if (there && !lost) {
        on_slot_there(serve, NULL);
        return;
    }
    (void)repl_arm_start(&serve->driver->port, serve->driver->core->home->node, members, 1, lost,
                         NULL, NULL, on_slot_there, serve);
}

static void
serve_attach(struct serve *serve)
{
    struct driver *driver = serve->driver;
    enum node_state state = driver->node.state;
    if ((state != NODE_PRIMARY && state != NODE_CLOSED) ||
        epoch_compare(&serve->epoch, &driver->node.own.epoch) != 0) {
        serve_fault(serve, ERR_CONFLICT, "not_primary", driver->node.reason);
        return;
    }
    /* It has perhaps just joined: on this connection its role is made before the slots are seen. */
    driver_sync_roles(driver);
    (void)pq_query(driver->core->ctl, sql_slots, 0, NULL, on_slots_seen, serve);
}

/* ------------------------------------------------------------------ prepare: a standing way back
 */

static void
on_prepared(void *data, const struct position *position, uint64_t setaside, const struct err *err)
{
    struct serve *serve = data;
    (void)position, (void)setaside;
    serve->driver->prepare = NULL;
    serve->driver->preparing = NULL;
    if (err != NULL)
        serve_err(serve, err);
    else
        serve_json(serve, json_object_new_object());
}

static void
end_prepare(struct driver *driver, enum err_code code, const char *slug, const char *text)
{
    if (driver->prepare == NULL)
        return;
    repl_attach_cancel(take_ptr(&driver->prepare));
    serve_fault(take_ptr(&driver->preparing), code, slug, text);
}

/* The last candidate that asks is served: one that was first and still needs us learns it now, and
 * not when its time to prepare is over. */
static void
serve_prepare(struct serve *serve)
{
    struct driver *driver = serve->driver;
    const struct home *home = driver->core->home;
    const struct cache_entry *entry;
    char key[NODE_NAME_SIZE + 8];
    if (driver->attach != NULL ||
        (driver->node.state != NODE_STANDBY && driver->node.state != NODE_PRIMARY)) {
        serve_fault(serve, ERR_CONFLICT, "not_settled", driver->node.reason);
        return;
    }
    if (!node_may_follow(&driver->node, serve->peer)) {
        serve_fault(serve, ERR_CONFLICT, "schema_newer",
                    "the candidate's schema is newer than the one of this node");
        return;
    }
    (void)snprintf(key, sizeof key, "node/%s", serve->peer);
    entry = cache_get(driver->core->cache, key, "");
    struct json_object *pg = entry == NULL ? NULL : json_get(cache_value(entry), "pg");
    if (pg == NULL) {
        serve_fault(serve, ERR_CONFLICT, "no_database", "the candidate's database is not known");
        return;
    }
    char *paths[3];
    home_database_tls(home, paths);
    char login[CERT_NAME_SIZE];
    struct repl_attach_tls tls = { .ca = paths[0],
                                   .certificate = paths[1],
                                   .key = paths[2],
                                   .login = cert_login(home->node, home->generation, login) };
    end_prepare(driver, ERR_CONFLICT, "asked_again", "another candidate has asked since");
    driver->preparing = serve;
    driver->prepare =
        repl_prepare_start(&driver->port, home->node, serve->peer, pg, &tls, on_prepared, serve);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        free(paths[i]);
}

/* ------------------------------------------------------------------ log, match, snapshot */

static void
on_rows(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct serve *serve = data;
    (void)warned;
    if (err != NULL) {
        serve_err(serve, err);
        return;
    }
    CLEANUP(buf_done) struct buf body = { 0 };
    buf_printf(&body, "{\"rows\":%s}", PQgetvalue(result, 0, 0));
    http_reply(serve->request, 200, "application/json", body.data, body.size);
    serve_end(serve);
}

static void
serve_log(struct serve *serve)
{
    const char *after;
    const char *limit;
    uint64_t number;
    if (!http_query(serve->request, "after", &after) || !str_to_u64(after, 0, INT64_MAX, &number) ||
        !http_query(serve->request, "limit", &limit) ||
        !str_to_u64(limit, 1, SERVE_ROWS_MAX, &number)) {
        serve_fault(serve, ERR_INVALID, "query_invalid",
                    "'after' and 'limit' (1 to 1000) must be numbers");
        return;
    }
    const char *values[] = { after, limit };
    (void)pq_query(serve->driver->core->ctl, sql_log_rows, 2, values, on_rows, serve);
}

static void
on_matched(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct serve *serve = data;
    uint64_t common = 0;
    uint64_t above = UINT64_MAX;
    (void)warned;
    if (err != NULL) {
        serve_err(serve, err);
        return;
    }
    const char *text = pq_text(result, 0, "revision");
    struct json_object *document = json_object_new_object();
    if (text != NULL && str_to_u64(text, 0, INT64_MAX, &common))
        json_add_u64(document, "common", common);
    struct json_object *points = json_get(serve->body, "points");
    for (size_t i = 0; i < json_object_array_length(points); i++) {
        uint64_t revision;
        if (json_get_u64(json_object_array_get_idx(points, i), "revision", &revision) &&
            revision > common && revision < above)
            above = revision;
    }
    if (above != UINT64_MAX)
        json_add_u64(document, "above", above);
    serve_json(serve, document);
}

static void
serve_match(struct serve *serve)
{
    const char *values[] = { json_text(json_get(serve->body, "points")) };
    (void)pq_query(serve->driver->core->ctl, sql_match, 1, values, on_matched, serve);
}

static void
on_snapshot(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct serve *serve = data;
    (void)warned;
    if (err != NULL) {
        serve_err(serve, err);
        return;
    }
    if (PQgetisnull(result, 0, 0)) {
        serve_fault(serve, ERR_UNAVAILABLE, "no_position", "the database has no position");
        return;
    }
    http_reply(serve->request, 200, "application/json", PQgetvalue(result, 0, 0),
               (size_t)PQgetlength(result, 0, 0));
    serve_end(serve);
}

static void
serve_snapshot(struct serve *serve)
{
    (void)pq_query(serve->driver->core->ctl, sql_snapshot_make, 0, NULL, on_snapshot, serve);
}

/* ------------------------------------------------------------------ deactivate, order, promotion
 */

static void
answer_released(struct serve *serve, bool ok, const char *text)
{
    struct json_object *document = json_object_new_object();
    const struct epoch *acted = &serve->driver->lease.memory.cleared;
    char epoch[EPOCH_TEXT_SIZE];
    json_add_bool(document, "released", ok);
    json_add_string(document, "acted", acted->number == 0 ? "" : epoch_text(acted, epoch));
    json_add_string(document, "text", text);
    serve_json(serve, document);
}

void
driver_released(struct driver *driver)
{
    struct serve *serve = take_ptr(&driver->released_for);
    if (serve != NULL)
        answer_released(serve, true, "");
}

/* Who takes over may act at once when the lease was given back, too; not when we may act again: we
 * were promoted while something was still being given up. */
static void
on_acting_released(void *data, bool ok, const char *text)
{
    struct serve *serve = data;
    struct driver *driver = serve->driver;
    if (ok && driver->leased) {
        ok = false;
        text = "this node was promoted again";
    }
    if (ok)
        driver_lease_stopped(driver);
    if (!ok || !driver_lease_is_releasing(driver) || driver->released_for != NULL)
        answer_released(serve, ok, text);
    else
        driver->released_for = serve;
}

static void
serve_deactivate(struct serve *serve)
{
    struct driver *driver = serve->driver;
    if (!node_is_succeeded(&driver->node, &serve->epoch)) {
        serve_fault(serve, ERR_CONFLICT, "still_primary", driver->node.reason);
        return;
    }
    driver->may_act = false;
    driver_lease_close(driver);
    acting_release(driver->core->acting, on_acting_released, serve);
}

/* Our word is given before it is sent (I9). */
static void
serve_word(struct serve *serve)
{
    uint64_t lease_ms = 0;
    (void)!json_get_u64(serve->body, "lease_ms", &lease_ms);
    struct json_object *document = json_object_new_object();
    json_add_bool(document, "given",
                  driver_lease_give_word(serve->driver, serve->peer, &serve->epoch, lease_ms));
    serve_json(serve, document);
}

static void
on_ordered(void *data, struct json_object *document, const struct err *err)
{
    struct serve *serve = data;
    if (err != NULL)
        serve_err(serve, err);
    else
        serve_json(serve, json_object_get(document));
}

static void
serve_order(struct serve *serve)
{
    const char *author = "";
    (void)!json_get_string(serve->body, "author", &author);
    driver_promote(serve->driver, json_get(serve->body, "order"), author, on_ordered, serve);
}

static void
serve_arbiter(struct serve *serve)
{
    const char *author = "";
    (void)!json_get_string(serve->body, "author", &author);
    driver_set_arbiter(serve->driver, json_get(serve->body, "change"), author, on_ordered, serve);
}

static void
serve_arbiter_test(struct serve *serve)
{
    driver_test_arbiter_here(serve->driver, serve->body, on_ordered, serve);
}

static void
serve_why(struct serve *serve)
{
    serve_json(serve, driver_why_json(serve->driver));
}

static void
serve_ready(struct serve *serve)
{
    struct json_object *document = prover_answer(serve->driver->core->prover);
    if (document == NULL)
        serve_fault(serve, ERR_UNAVAILABLE, "no_statement", "this node has proved nothing yet");
    else
        serve_json(serve, document);
}

static void
serve_promotion(struct serve *serve)
{
    const char *id;
    if (!http_query(serve->request, "id", &id)) {
        serve_fault(serve, ERR_INVALID, "query_invalid", "'id' is needed");
        return;
    }
    driver_promotion(serve->driver, id, on_ordered, serve);
}

/* ------------------------------------------------------------------ bodies */

static const char *
epoch_fault(const char *value)
{
    struct epoch epoch;
    return epoch_parse(value, &epoch) && epoch.number > 0 ? NULL : "not NUMBER/HOLDER";
}

static const char *
hash_fault(const char *value)
{
    return strspn(value, "0123456789abcdef") == HASH_TEXT_SIZE - 1 ? NULL : "not a SHA-256";
}

static const struct shape epoch_members[] = {
    { .name = "epoch",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 3,
      .max = EPOCH_TEXT_SIZE - 1,
      .text_fault = epoch_fault },
    { .name = NULL },
};
static const struct shape epoch_body = { .type = SHAPE_OBJECT, .inside = epoch_members };

static const struct shape word_members[] = {
    { .name = "epoch",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 3,
      .max = EPOCH_TEXT_SIZE - 1,
      .text_fault = epoch_fault },
    { .name = "lease_ms",
      .type = SHAPE_INTEGER,
      .required = true,
      .min = 1,
      .max = ARBITER_LEASE_MS_MAX },
    { .name = NULL },
};
static const struct shape word_body = { .type = SHAPE_OBJECT, .inside = word_members };

static const struct shape point_members[] = {
    { .name = "revision", .type = SHAPE_INTEGER, .required = true, .max = INT64_MAX },
    { .name = "hash",
      .type = SHAPE_TEXT,
      .required = true,
      .max = HASH_TEXT_SIZE - 1,
      .text_fault = hash_fault },
    { .name = "epoch", .type = SHAPE_INTEGER, .required = true, .max = INT64_MAX },
    { .name = "holder", .type = SHAPE_TEXT, .required = true, .max = NODE_NAME_SIZE - 1 },
    { .name = NULL },
};
static const struct shape point_list[] = {
    { .type = SHAPE_OBJECT, .inside = point_members },
};
static const struct shape match_members[] = {
    { .name = "points",
      .type = SHAPE_LIST,
      .required = true,
      .min = 1,
      .max = SERVE_POINTS_MAX,
      .inside = point_list },
    { .name = NULL },
};
static const struct shape match_body = { .type = SHAPE_OBJECT, .inside = match_members };

static const struct shape order_members[] = {
    { .name = "author", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 255 },
    { .name = "order", .type = SHAPE_OBJECT, .required = true, .inside = driver_order_members },
    { .name = NULL },
};
static const struct shape order_body = { .type = SHAPE_OBJECT, .inside = order_members };

const struct shape driver_arbiter_members[] = {
    { .name = "arbiter", .type = SHAPE_ANY, .required = true },
    { .name = "adopt", .type = SHAPE_BOOL },
    { .name = "reason", .type = SHAPE_TEXT, .min = 0, .max = WRITER_REASON_SIZE_MAX },
    { .name = NULL },
};
static const struct shape change_members[] = {
    { .name = "author", .type = SHAPE_TEXT, .required = true, .min = 1, .max = 255 },
    { .name = "change", .type = SHAPE_OBJECT, .required = true, .inside = driver_arbiter_members },
    { .name = NULL },
};
const struct shape driver_test_members[] = {
    { .name = "arbiter", .type = SHAPE_ANY },
    { .name = NULL },
};
static const struct shape test_body = { .type = SHAPE_OBJECT, .inside = driver_test_members };
static const struct shape change_body = { .type = SHAPE_OBJECT, .inside = change_members };

/* News may say more than this version knows. Only what is read of it is checked, by its reader. */
static const struct shape news_body = { .type = SHAPE_ANY };

/* ------------------------------------------------------------------ dispatch */

static const struct {
    enum http_verb verb;
    const char *path;
    void (*action)(struct serve *serve);
    const struct shape *body; /* NULL for a GET */
} serve_rows[] = {
    { HTTP_VERB_GET, "/v1/peer/state", serve_state, NULL },
    { HTTP_VERB_POST, "/v1/peer/follow", serve_follow, &news_body },
    { HTTP_VERB_POST, "/v1/peer/capture", serve_capture, &epoch_body },
    { HTTP_VERB_POST, "/v1/peer/freeze", serve_freeze, &epoch_body },
    { HTTP_VERB_POST, "/v1/peer/thaw", serve_thaw, &epoch_body },
    { HTTP_VERB_POST, "/v1/peer/attach", serve_attach, &epoch_body },
    { HTTP_VERB_POST, "/v1/peer/prepare", serve_prepare, &epoch_body },
    { HTTP_VERB_POST, "/v1/peer/deactivate", serve_deactivate, &epoch_body },
    { HTTP_VERB_POST, "/v1/peer/word", serve_word, &word_body },
    { HTTP_VERB_POST, "/v1/peer/order", serve_order, &order_body },
    { HTTP_VERB_POST, "/v1/peer/arbiter", serve_arbiter, &change_body },
    { HTTP_VERB_POST, "/v1/peer/arbiter/test", serve_arbiter_test, &test_body },
    { HTTP_VERB_GET, "/v1/peer/why", serve_why, NULL },
    { HTTP_VERB_GET, "/v1/peer/ready", serve_ready, NULL },
    { HTTP_VERB_GET, "/v1/peer/promotion", serve_promotion, NULL },
    { HTTP_VERB_GET, "/v1/peer/log", serve_log, NULL },
    { HTTP_VERB_POST, "/v1/peer/match", serve_match, &match_body },
    { HTTP_VERB_GET, "/v1/peer/snapshot", serve_snapshot, NULL },
};

static enum err_code
read_body(struct serve *serve, const struct shape *shape, struct err *err)
{
    const char *text;
    struct fault_list faults = { 0 };
    if (shape == NULL)
        return ERR_NONE;
    if (json_read(serve->request->body, serve->request->body_size, &serve->body, err) != ERR_NONE)
        return err->code;
    shape_check(shape, serve->body, "", &faults);
    if ((shape == &epoch_body || shape == &word_body) &&
        json_get_string(serve->body, "epoch", &text))
        (void)!epoch_parse(text, &serve->epoch);
    return fault_err(&faults, "body_invalid", "body", err);
}

void
driver_serve_peer(struct driver *driver, struct http_request *request, const char *peer)
{
    struct err err;
    struct serve *serve = mem_zero(1, sizeof *serve);
    serve->driver = driver;
    serve->request = request;
    (void)snprintf(serve->peer, sizeof serve->peer, "%s", peer);
    if (!driver->running) {
        serve_fault(serve, ERR_UNAVAILABLE, "stopping", "this node is stopping");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(serve_rows); i++) {
        if (serve_rows[i].verb != request->verb || strcmp(serve_rows[i].path, request->path) != 0)
            continue;
        if (read_body(serve, serve_rows[i].body, &err) != ERR_NONE)
            serve_err(serve, &err);
        else
            serve_rows[i].action(serve);
        return;
    }
    serve_fault(serve, ERR_NOT_FOUND, "route_not_found", "there is no such request");
}

void
driver_serve_stop(struct driver *driver)
{
    struct err err;
    end_prepare(driver, ERR_UNAVAILABLE, "stopping", "this node is stopping");
    (void)err_set(&err, ERR_UNAVAILABLE, "stopping", "this node is stopping");
    if (driver->frozen_for != NULL)
        http_reply_err(take_ptr(&driver->frozen_for), &err);
}
