/*
 * Taking over by itself: gathers what sites/takeover decides by, and begins the promotion when it
 * says so. A member that has no answer of the primary asks everybody ten times a second, and more
 * often at first; and it says whom it misses, so that the others look at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/knock.h"

#define TAKEOVER_FIRST_MS   20    /* between two looks when the primary begins to be missing */
#define TAKEOVER_SOON_MS    500   /* so long; then */
#define TAKEOVER_LOOK_MS    100   /* between two */
#define TAKEOVER_HASTE_MS   60000 /* so long; then at the usual pace */
#define TAKEOVER_AGAIN_MS   1000  /* after a takeover that failed */
#define TAKEOVER_HTTPS_PORT 7443

enum door { DOOR_HTTPS, DOOR_POSTGRES };

/* ------------------------------------------------------------------ what we see of the primary */

static uint64_t
fresh_ms(const struct driver *driver)
{
    return setting_u64(SETTING_PEER_STALE_MS, cache_settings(driver->core->cache));
}

static void
see(const struct driver *driver, struct takeover_path *path, enum takeover_path_kind kind,
    uint64_t asked_ms)
{
    takeover_see(path, kind, asked_ms, clock_now_ms(), fresh_ms(driver));
}

static bool
is_fresh(const struct driver *driver, const struct takeover_path *path)
{
    return takeover_path_is_fresh(path, clock_now_ms(), fresh_ms(driver));
}

static bool
is_primary_state(enum node_state state)
{
    return state == NODE_PRIMARY || state == NODE_CLOSED || state == NODE_DRAINING;
}

static void
forget_knocks(struct driver *driver)
{
    for (size_t i = 0; i < ARRAY_COUNT(driver->knocks); i++)
        knock_cancel(take_ptr(&driver->knocks[i]));
}

/* For people who listen. */
static void
tell(struct driver *driver, const char *what, const char *text)
{
    struct json_object *document = json_object_new_object();
    json_add_string(document, "node", driver->node.self);
    json_add_string(document, "what", what);
    json_add_string(document, "primary", driver->primary);
    json_add_string(document, "text", text);
    driver_emit(driver, "takeover", document);
}

static void
set_pace(struct driver *driver, bool suspects)
{
    struct ev_loop *loop = driver->core->loop;
    if (suspects == driver->suspects)
        return;
    driver->suspects = suspects;
    driver->suspects_ms = clock_now_ms();
    if (suspects || !is_primary_state(driver->node.state))
        tell(driver, suspects ? "suspects" : "answers", "");
    if (suspects) {
        log_info("takeover.suspects", "primary=%s", driver->primary);
        driver->counters.suspicions++;
        ev_timer_set(&driver->suspicion, 0.0, TAKEOVER_FIRST_MS / 1000.0);
        ev_timer_start(loop, &driver->suspicion);
    } else {
        ev_timer_stop(loop, &driver->suspicion);
        driver->postgres = (struct takeover_path){ .kind = TAKEOVER_PATH_UNTRIED };
        forget_knocks(driver);
    }
}

static void
note_primary(struct driver *driver)
{
    const struct node_peer *primary = node_find_primary(&driver->node, clock_now_ms());
    if (primary == NULL || is_primary_state(driver->node.state))
        return;
    if (strcmp(primary->name, driver->primary) != 0) {
        ASSERT(str_copy(driver->primary, sizeof driver->primary, primary->name));
        driver->postgres = (struct takeover_path){ .kind = TAKEOVER_PATH_UNTRIED };
        forget_knocks(driver);
    }
    (void)snprintf(driver->primary_site, sizeof driver->primary_site, "%s", primary->facts.site);
    driver->primary_ms = primary->heard_ms;
}

static void
on_https_knock(void *data, enum knock_result result)
{
    struct driver *driver = data;
    struct driver_peer *peer = driver_peer(driver, driver->primary);
    driver->knocks[DOOR_HTTPS] = NULL;
    if (peer != NULL && result == KNOCK_REFUSED)
        see(driver, &peer->https, TAKEOVER_PATH_REFUSED, driver->knock_ms[DOOR_HTTPS]);
    driver_takeover_look(driver);
}

static void
on_postgres_knock(void *data, enum knock_result result)
{
    struct driver *driver = data;
    driver->knocks[DOOR_POSTGRES] = NULL;
    see(driver, &driver->postgres,
        result == KNOCK_OPEN      ? TAKEOVER_PATH_ANSWERS
        : result == KNOCK_REFUSED ? TAKEOVER_PATH_REFUSED
                                  : TAKEOVER_PATH_SILENT,
        driver->knock_ms[DOOR_POSTGRES]);
    driver_takeover_look(driver);
}

static unsigned
knock_timeout_ms(const struct driver *driver)
{
    return (unsigned)setting_u64(SETTING_PEER_TIMEOUT_MS, cache_settings(driver->core->cache));
}

static void
knock_at_https(struct driver *driver, const struct driver_peer *peer)
{
    uint16_t port;
    CLEANUP(freep) char *host = NULL;
    if (driver->knocks[DOOR_HTTPS] != NULL ||
        home_split_address(peer->address, TAKEOVER_HTTPS_PORT, &host, &port, NULL) != ERR_NONE)
        return;
    driver->knock_ms[DOOR_HTTPS] = clock_now_ms();
    driver->knocks[DOOR_HTTPS] = knock_start(driver->core->loop, host, port,
                                             knock_timeout_ms(driver), on_https_knock, driver);
}

static void
knock_at_postgres(struct driver *driver)
{
    char key[NODE_NAME_SIZE + 8];
    const char *host;
    uint64_t port;
    (void)snprintf(key, sizeof key, "node/%s", driver->primary);
    const struct cache_entry *entry = cache_get(driver->core->cache, key, "");
    struct json_object *pg = entry == NULL ? NULL : json_get(cache_value(entry), "pg");
    if (driver->knocks[DOOR_POSTGRES] != NULL || !json_get_string(pg, "host", &host) ||
        !json_get_u64(pg, "port", &port) || port > UINT16_MAX)
        return;
    driver->knock_ms[DOOR_POSTGRES] = clock_now_ms();
    driver->knocks[DOOR_POSTGRES] =
        knock_start(driver->core->loop, host, (uint16_t)port, knock_timeout_ms(driver),
                    on_postgres_knock, driver);
}

void
driver_takeover_heard(struct driver *driver, struct driver_peer *peer, uint64_t asked_ms,
                      const struct err *err)
{
    if (!driver->running || !cache_loaded(driver->core->cache))
        return;
    if (err == NULL)
        see(driver, &peer->https,
            is_primary_state(peer->facts.state) ? TAKEOVER_PATH_ACTS : TAKEOVER_PATH_ANSWERS,
            asked_ms);
    else if (err->code != ERR_TIMEOUT && err->code != ERR_UNAVAILABLE)
        /* somebody is there, and says no */
        see(driver, &peer->https, TAKEOVER_PATH_ANSWERS, asked_ms);
    else if (peer->https.kind != TAKEOVER_PATH_REFUSED || !is_fresh(driver, &peer->https))
        see(driver, &peer->https, TAKEOVER_PATH_SILENT, asked_ms);
    note_primary(driver);
    if (strcmp(peer->name, driver->primary) == 0 && !is_primary_state(driver->node.state)) {
        set_pace(driver, peer->https.kind != TAKEOVER_PATH_ACTS);
        if (err != NULL)
            knock_at_https(driver, peer);
        if (driver->suspects)
            knock_at_postgres(driver);
    }
    if (driver->suspects)
        driver_takeover_look(driver);
}

void
driver_takeover_suspect(struct driver *driver, const char *name)
{
    struct driver_peer *peer = driver_peer(driver, name);
    if (driver->running && peer != NULL && peer->poll == NULL && !driver->suspects &&
        strcmp(name, driver->primary) == 0 && !is_primary_state(driver->node.state))
        driver_poll_peers(driver);
}

bool
driver_is_gone(const struct driver *driver, const char *node, uint64_t for_ms)
{
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct takeover_path *path = &driver->peers[i].https;
        if (strcmp(driver->peers[i].name, node) == 0)
            return (path->kind == TAKEOVER_PATH_SILENT || path->kind == TAKEOVER_PATH_REFUSED) &&
                   clock_now_ms() - path->since_ms >= for_ms;
    }
    return false;
}

void
driver_doubts(struct driver *driver, const char *node)
{
    driver_takeover_suspect(driver, node);
}

static void
on_suspicion(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct driver *driver = timer->data;
    uint64_t for_ms = clock_now_ms() - driver->suspects_ms;
    (void)revents;
    if (is_primary_state(driver->node.state))
        set_pace(driver, false);
    else if (for_ms < TAKEOVER_HASTE_MS)
        driver_poll_peers(driver);
    if (driver->suspects && for_ms >= TAKEOVER_SOON_MS && timer->repeat > 0.0) {
        timer->repeat = TAKEOVER_LOOK_MS / 1000.0;
        ev_timer_again(loop, timer);
    }
    driver_takeover_look(driver);
}

/* ------------------------------------------------------------------ what members tell each other
 */

static struct json_object *
path_json(const struct driver *driver, const struct takeover_path *path)
{
    static const struct takeover_path untried = { .kind = TAKEOVER_PATH_UNTRIED };
    struct json_object *object = json_object_new_object();
    if (path == NULL || !is_fresh(driver, path))
        path = &untried; /* of now we know nothing */
    json_add_string(object, "path", takeover_path_name(path->kind));
    json_add_u64(object, "for_ms",
                 path->kind == TAKEOVER_PATH_UNTRIED ? 0 : clock_now_ms() - path->since_ms);
    return object;
}

struct json_object *
driver_takeover_json(struct driver *driver)
{
    struct json_object *object = json_object_new_object();
    const struct driver_peer *peer = driver_peer(driver, driver->primary);
    json_add_bool(object, "able", driver->takeover.able);
    json_add_u64(object, "priority",
                 setting_u64(SETTING_TAKEOVER_PRIORITY, cache_settings(driver->core->cache)));
    json_add_u64(object, "check_interval_ms",
                 setting_check_interval_ms(cache_settings(driver->core->cache)));
    json_add_u64(object, "check_own_ms",
                 setting_u64(SETTING_CHECK_INTERVAL_MS, cache_settings(driver->core->cache)));
    json_add_u64(object, "takeover_delay_ms",
                 takeover_delay_ms(cache_settings(driver->core->cache)));
    json_add_string(object, "primary", driver->primary);
    json_add(object, "https", path_json(driver, peer == NULL ? NULL : &peer->https));
    json_add(object, "postgres", path_json(driver, &driver->postgres));
    return object;
}

static void
read_path(struct takeover_path *path, struct json_object *document, uint64_t asked_ms)
{
    const char *name;
    uint64_t for_ms;
    uint64_t now_ms = clock_now_ms();
    *path = (struct takeover_path){ .kind = TAKEOVER_PATH_UNTRIED, .asked_ms = asked_ms };
    if (json_get_string(document, "path", &name) && json_get_u64(document, "for_ms", &for_ms) &&
        takeover_path_parse(name, &path->kind))
        path->since_ms = for_ms < now_ms ? now_ms - for_ms : 0;
}

void
driver_takeover_read(struct driver_peer *peer, struct json_object *document)
{
    const char *primary = "";
    uint64_t priority = 0;
    if (!json_get_bool(document, "able", &peer->able))
        peer->able = false;
    (void)!json_get_u64(document, "priority", &priority);
    if (!json_get_u64(document, "check_interval_ms", &peer->check_interval_ms) ||
        !json_get_u64(document, "takeover_delay_ms", &peer->takeover_delay_ms))
        peer->check_interval_ms = peer->takeover_delay_ms = 0;
    if (!json_get_u64(document, "check_own_ms", &peer->check_own_ms))
        peer->check_own_ms = 0;
    (void)!json_get_string(document, "primary", &primary);
    peer->priority = (unsigned)priority;
    (void)snprintf(peer->primary, sizeof peer->primary, "%s", primary);
    read_path(&peer->sight.https, json_get(document, "https"), peer->asked_ms);
    read_path(&peer->sight.postgres, json_get(document, "postgres"), peer->asked_ms);
}

/* ------------------------------------------------------------------ the decision */

static struct takeover_peer
view_of_peer(const struct driver *driver, const struct driver_peer *peer)
{
    struct takeover_peer view = { .heard = peer->heard_ms != 0,
                                  .heard_ms = peer->heard_ms,
                                  .facts = peer->facts,
                                  .priority = peer->priority,
                                  .able = peer->able };
    if (!view.heard)
        (void)snprintf(view.facts.name, sizeof view.facts.name, "%s", peer->name);
    if (strcmp(peer->primary, driver->primary) == 0)
        view.sight = peer->sight;
    return view;
}

static void
view_digest(const struct driver *driver, const struct driver_peer *primary,
            struct takeover_view *view)
{
    (void)driver;
    if (primary == NULL || primary->digest == DRIVER_DIGEST_UNKNOWN)
        return;
    view->digest =
        primary->digest == DRIVER_DIGEST_SAME ? TAKEOVER_DIGEST_SAME : TAKEOVER_DIGEST_DIFFERENT;
    view->digest_ms = primary->digest_ms;
}

static void
view_pause(const struct driver *driver, struct takeover_view *view)
{
    const struct cache_entry *entry = cache_get(driver->core->cache, "pause", "");
    struct json_object *value = entry == NULL ? NULL : cache_value(entry);
    const char *until;
    int64_t until_ms;
    int64_t wall_ms = clock_wall_ms();
    if (!json_get_string(value, "until", &until) || !clock_wall_parse(until, &until_ms) ||
        (until_ms < wall_ms && (uint64_t)(wall_ms - until_ms) > view->now_ms))
        return;
    view->paused_until_ms = (uint64_t)((int64_t)view->now_ms + until_ms - wall_ms);
    (void)!json_get_string(value, "reason", &view->pause_text);
}

static void
add_recent(struct takeover_view *view, uint64_t ago_ms)
{
    size_t at = view->recent_count;
    if (at == TAKEOVER_RECENT_MAX)
        return;
    for (; at > 0 && view->recent_ago_ms[at - 1] > ago_ms; at--)
        view->recent_ago_ms[at] = view->recent_ago_ms[at - 1];
    view->recent_ago_ms[at] = ago_ms;
    view->recent_count++;
}

/* A takeover whose node died before it recorded the promotion: the epoch's own row tells. */
static void
view_recent_epoch(const struct driver *driver, struct takeover_view *view)
{
    char key[48];
    const char *text[3];
    uint64_t number;
    int64_t since_ms;
    int64_t wall_ms = clock_wall_ms();
    const struct cache_entry *entry = cache_get(driver->core->cache, "epoch", "");
    struct json_object *value = entry == NULL ? NULL : cache_value(entry);
    if (!json_get_u64(value, "number", &number) || !json_get_string(value, "kind", &text[0]) ||
        strcmp(text[0], "failover") != 0 || !json_get_string(value, "who", &text[1]) ||
        strcmp(text[1], "baton") != 0)
        return;
    if (!json_get_string(value, "since", &text[2]))
        text[2] = entry->at;
    (void)snprintf(key, sizeof key, "promotion/%llu", (unsigned long long)number);
    if (cache_get(driver->core->cache, key, "") != NULL || !clock_wall_parse(text[2], &since_ms))
        return;
    uint64_t ago_ms = since_ms < wall_ms ? (uint64_t)(wall_ms - since_ms) : 0;
    if (ago_ms < TAKEOVER_HOUR_MS)
        add_recent(view, ago_ms);
}

/* Only rows of the last hour count, and their times are those of the members' wall clocks. */
static void
view_recent(const struct driver *driver, struct takeover_view *view)
{
    const struct cache_entry *entry;
    int64_t wall_ms = clock_wall_ms();
    for (size_t at = 0; (entry = cache_next(driver->core->cache, "promotion/", "", &at)) != NULL;) {
        const char *by;
        const char *kind;
        const char *started;
        int64_t started_ms;
        struct json_object *value = cache_value(entry);
        if (!json_get_string(value, "by", &by) || strcmp(by, "baton") != 0 ||
            !json_get_string(value, "kind", &kind) || strcmp(kind, "failover") != 0 ||
            !json_get_string(value, "started_at", &started) ||
            !clock_wall_parse(started, &started_ms))
            continue;
        uint64_t ago_ms = started_ms < wall_ms ? (uint64_t)(wall_ms - started_ms) : 0;
        if (ago_ms < TAKEOVER_HOUR_MS)
            add_recent(view, ago_ms);
    }
    view_recent_epoch(driver, view);
}

static void
begin(struct driver *driver)
{
    struct promo_order order = { .mode = PROMO_SWITCHOVER,
                                 .takeover = true,
                                 .accept_data_loss = driver->takeover.accept_data_loss };
    order.connectors_ready = acting_ready(driver->core->acting, order.connectors_text);
    const struct driver_peer *primary = driver_peer(driver, driver->primary);
    if (primary != NULL && (primary->https.kind == TAKEOVER_PATH_SILENT ||
                            primary->https.kind == TAKEOVER_PATH_REFUSED))
        memcpy(order.gone, driver->primary, sizeof order.gone);
    driver->takeover_ms = clock_now_ms() + TAKEOVER_AGAIN_MS;
    driver_new_id(driver);
    log_info("takeover.start", "from=%s reason=\"%s\"", driver->primary,
             driver->takeover.findings[TAKEOVER_RULE_EVIDENCE].text);
    driver->counters.takeovers++;
    tell(driver, "begins", driver->takeover.findings[TAKEOVER_RULE_EVIDENCE].text);
    driver_start_promo(driver, &order, "baton",
                       driver->takeover.findings[TAKEOVER_RULE_EVIDENCE].text);
}

static void
look_at(struct driver *driver, uint64_t until_ms)
{
    struct ev_loop *loop = driver->core->loop;
    uint64_t now_ms = clock_now_ms();
    double in_s = until_ms > now_ms ? (double)(until_ms - now_ms + 1) / 1000.0 : 0.001;
    double repeat_s = driver->suspects ? driver->suspicion.repeat : 0.0;
    ev_now_update(loop);
    if (driver->suspects && in_s >= ev_timer_remaining(loop, &driver->suspicion))
        return;
    ev_timer_stop(loop, &driver->suspicion);
    ev_timer_set(&driver->suspicion, in_s, repeat_s);
    ev_timer_start(loop, &driver->suspicion);
}

void
driver_takeover_state(struct driver *driver, enum node_event_kind after)
{
    if (driver->node.state == NODE_STANDBY)
        driver->stood_by = true;
    else if (is_primary_state(driver->node.state) || after == NODE_EV_LOST ||
             after == NODE_EV_START)
        driver->stood_by = false;
}

/* Who has promised to a candidate that did not open is no standby until somebody does: such a one
 * may be the candidate itself, or the last one that is left. */
static bool
may_begin(const struct driver *driver)
{
    return !promo_is_running(&driver->promo) &&
           (driver->node.state == NODE_STANDBY ||
            (driver->node.state == NODE_FENCED && driver->stood_by));
}

void
driver_takeover_look(struct driver *driver)
{
    struct takeover_peer peers[NODE_MEMBERS_MAX];
    struct quorum_record record;
    char connectors[ACTING_TEXT_SIZE];
    if (!driver->running || !driver->lease_loaded || !cache_loaded(driver->core->cache)) {
        takeover_withhold("this node has not read its own records since it started",
                          &driver->takeover);
        return;
    }
    const struct setting_source *source = cache_settings(driver->core->cache);
    const struct driver_peer *primary = driver_peer(driver, driver->primary);
    struct takeover_view view = { .now_ms = clock_now_ms(),
                                  .settings = takeover_settings_from(source),
                                  .own = driver_own_facts(driver),
                                  .database = driver->node.database,
                                  .primary_ms = driver->primary_ms,
                                  .streamed_ms = driver->streaming_ms,
                                  .peers = peers,
                                  .peer_count = driver->peer_count,
                                  .record = &record,
                                  .lease = &driver->lease,
                                  .connectors_text = connectors };
    (void)snprintf(view.primary, sizeof view.primary, "%s", driver->primary);
    (void)snprintf(view.primary_site, sizeof view.primary_site, "%s", driver->primary_site);
    if (primary != NULL)
        view.sight.https = primary->https;
    view.sight.postgres = driver->postgres;
    driver_record_in_force(driver, &record);
    for (size_t i = 0; i < driver->peer_count; i++)
        peers[i] = view_of_peer(driver, &driver->peers[i]);
    view_digest(driver, primary, &view);
    view.connectors_ready = acting_ready(driver->core->acting, connectors);
    view_pause(driver, &view);
    view_recent(driver, &view);
    takeover_decide(&view, &driver->takeover);
    if (!may_begin(driver))
        return;
    if (driver->takeover.decision == TAKEOVER_START && view.now_ms >= driver->takeover_ms)
        begin(driver);
    else if (driver->takeover.decision == TAKEOVER_WAIT)
        look_at(driver, driver->takeover.until_ms);
}

struct json_object *
driver_why_json(struct driver *driver)
{
    struct json_object *object = json_object_new_object();
    struct json_object *rules = json_object_new_array();
    uint64_t now_ms = clock_now_ms();
    driver_takeover_look(driver);
    const struct takeover *takeover = &driver->takeover;
    json_add_string(object, "node", driver->node.self);
    json_add_string(object, "site", driver->core->home->site);
    json_add_string(object, "primary", driver->primary);
    json_add_string(object, "decision", takeover_decision_name(takeover->decision));
    json_add_string(object, "because",
                    takeover->decision == TAKEOVER_START ? ""
                                                         : takeover_rule_name(takeover->because));
    json_add_u64(object, "wait_ms",
                 takeover->decision == TAKEOVER_WAIT && takeover->until_ms > now_ms
                     ? takeover->until_ms - now_ms
                     : 0);
    json_add_u64(object, "place", takeover->rank + 1);
    json_add_bool(object, "able", takeover->able);
    for (size_t i = 0; i < TAKEOVER_RULE_COUNT; i++) {
        struct json_object *rule = json_object_new_object();
        json_add_string(rule, "name", takeover_rule_name((enum takeover_rule)i));
        json_add_string(rule, "verdict", takeover_verdict_name(takeover->findings[i].verdict));
        json_add_string(rule, "text", takeover->findings[i].text);
        (void)json_object_array_add(rules, rule);
    }
    json_add(object, "rules", rules);
    return object;
}

static void
why_here(struct driver *driver, struct json_object *body, repl_reply_fn *done, void *context)
{
    CLEANUP(json_putp) struct json_object *answer = driver_why_json(driver);
    (void)body;
    done(context, answer, NULL);
}

void
driver_why(struct driver *driver, const char *only, driver_answer *done, void *data)
{
    struct driver_question question = { .only = only,
                                        .path = "/v1/peer/why",
                                        .timeout_ms = knock_timeout_ms(driver),
                                        .self = why_here };
    driver_ask_all(driver, &question, done, data);
}

/* ------------------------------------------------------------------ life */

void
driver_takeover_start(struct driver *driver)
{
    ev_timer_init(&driver->suspicion, on_suspicion, 0.0, 0.0);
    driver->suspicion.data = driver;
}

void
driver_takeover_stop(struct driver *driver)
{
    ev_timer_stop(driver->core->loop, &driver->suspicion);
    forget_knocks(driver);
}
