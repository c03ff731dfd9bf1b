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
#include "controller/daemon/setup.h"
#include "controller/loop/cert.h"
#include "sites/pair.h"
#include "sites/setting.h"

#define PEER_ANSWER_SIZE_MAX (256UL * 1024 * 1024) /* a snapshot: what jsonb can hold at most */

struct driver_peer *
driver_peer(struct driver *driver, const char *name)
{
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(driver->peers[i].name, name) == 0)
            return &driver->peers[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ members */

static void
peer_done(struct driver_peer *peer)
{
    fetch_cancel(peer->poll);
    json_putp(&peer->document);
    *peer = (struct driver_peer){ 0 };
}

static void
peer_take(struct driver *driver, struct driver_peer *list, size_t *count, const char *name,
          const char *site, const char *address, unsigned generation)
{
    if (*count == NODE_MEMBERS_MAX || strcmp(name, driver->core->home->node) == 0)
        return;
    struct driver_peer *to = &list[(*count)++];
    struct driver_peer *old = driver_peer(driver, name);
    *to = (struct driver_peer){ .driver = driver };
    if (old != NULL) {
        *to = *old;
        fetch_cancel(take_ptr(&old->poll)); /* its receiver would be a place that is gone */
        to->poll = NULL;
        old->document = NULL;
    }
    (void)snprintf(to->name, sizeof to->name, "%s", name);
    (void)snprintf(to->site, sizeof to->site, "%s", site);
    to->login[0] = '\0';
    if (generation > 0)
        (void)cert_login(name, generation, to->login);
    (void)snprintf(to->address, sizeof to->address, "%s", address);
}

static size_t
read_from_cache(struct driver *driver, struct driver_peer *list)
{
    const struct cache *cache = driver->core->cache;
    const struct cache_entry *entry;
    size_t count = 0;
    for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;) {
        struct json_object *value = cache_value(entry);
        const char *site;
        const char *address;
        bool removed = false;
        if (json_get_bool(value, "removed", &removed) && removed)
            continue;
        if (json_get_string(value, "site", &site) && json_get_string(value, "address", &address))
            peer_take(driver, list, &count, entry->key + strlen("node/"), site, address,
                      setup_generation(value));
    }
    return count;
}

/* Our own row is here, so all that joined before us are. */
static bool
members_are_known(const struct driver *driver)
{
    char key[NODE_NAME_SIZE + 8];
    (void)snprintf(key, sizeof key, "node/%s", driver->core->home->node);
    return cache_get(driver->core->cache, key, "") != NULL;
}

/* For a start before the database answers. */
static void
remember_members(struct driver *driver)
{
    struct home_peer list[NODE_MEMBERS_MAX];
    struct err err;
    for (size_t i = 0; i < driver->peer_count; i++)
        list[i] = (struct home_peer){ .node = driver->peers[i].name,
                                      .address = driver->peers[i].address };
    if (home_set_peers(driver->core->home, list, driver->peer_count, &err) != ERR_NONE)
        log_warn("driver.remember", "reason=\"%s\"", err.text);
}

void
driver_read_members(struct driver *driver)
{
    struct driver_peer list[NODE_MEMBERS_MAX];
    const char *names[NODE_MEMBERS_MAX];
    bool known = members_are_known(driver);
    size_t count = known ? read_from_cache(driver, list) : 0;
    if (!known) { /* not loaded yet, or a node that has only just joined */
        const struct home *home = driver->core->home;
        for (size_t i = 0; i < home->peer_count; i++)
            peer_take(driver, list, &count, home->peers[i].node, "", home->peers[i].address, 0);
    }
    for (size_t i = 0; i < driver->peer_count; i++)
        peer_done(&driver->peers[i]);
    memcpy(driver->peers, list, count * sizeof list[0]);
    driver->peer_count = count;
    for (size_t i = 0; i < count; i++)
        names[i] = driver->peers[i].name;
    node_set_peers(&driver->node, names, count);
    driver_lease_members(driver);
    if (known)
        remember_members(driver);
    driver->members_generation++;
    driver_touch(driver);
}

static struct pair_member
pair_member_of(const struct driver *driver, const struct driver_peer *peer)
{
    /* of whom nothing was heard: since this node is what it is */
    uint64_t since_ms = peer->heard_ms != 0 ? peer->heard_ms : driver->node.since_ms;
    struct pair_member member = { .silent_ms = clock_now_ms() - since_ms,
                                  .interval_ms = peer->check_interval_ms };
    (void)snprintf(member.name, sizeof member.name, "%s", peer->name);
    if (member.interval_ms == 0)
        member.interval_ms = setting_u64(SETTING_PEER_POLL_MS, cache_settings(driver->core->cache));
    return member;
}

enum err_code
driver_admit(const struct driver *driver, char ret_lost[NODE_NAME_SIZE], struct err *err)
{
    const struct setting_source *source = cache_settings(driver->core->cache);
    struct driver_primary primary = driver_primary(driver);
    struct pair_member standbys[NODE_MEMBERS_MAX + 1] = { 0 };
    const struct pair_member *lost;
    size_t count = 0;
    if (!primary.self) /* we are one, and here */
        (void)snprintf(standbys[count++].name, NODE_NAME_SIZE, "%s", driver->node.self);
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(driver->peers[i].name, primary.name) != 0)
            standbys[count++] = pair_member_of(driver, &driver->peers[i]);
    }
    enum err_code code =
        pair_admit(strcmp(setting_text(SETTING_MEMBERS_MODE, source), "pair") == 0, standbys, count,
                   setting_u64(SETTING_PEER_STALE_MS, source), &lost, err);
    (void)snprintf(ret_lost, NODE_NAME_SIZE, "%s",
                   code != ERR_NONE || lost == NULL ? "" : lost->name);
    return code;
}

void
driver_peers_done(struct driver *driver)
{
    for (size_t i = 0; i < driver->peer_count; i++)
        peer_done(&driver->peers[i]);
    driver->peer_count = 0;
}

/* ------------------------------------------------------------------ facts */

bool
driver_facts_from_json(struct json_object *document, struct node_facts *ret)
{
    const char *text[8];
    uint64_t schema;
    struct node_facts facts = { 0 };
    struct json_object *applied = json_get(document, "applied");
    if (!json_get_string(document, "node", &text[0]) ||
        !json_get_string(document, "site", &text[1]) ||
        !json_get_string(document, "state", &text[2]) ||
        !json_get_string(document, "epoch", &text[3]) ||
        !json_get_string(document, "promised", &text[4]) ||
        !json_get_u64(document, "schema", &schema) ||
        !json_get_u64(applied, "revision", &facts.applied.revision) ||
        !json_get_string(applied, "epoch", &text[5]) ||
        !json_get_string(applied, "hash", &text[6]) ||
        !json_get_string(document, "following", &text[7]) ||
        !json_get_bool(document, "streaming", &facts.streaming))
        return false;
    facts.schema = (unsigned)schema;
    if (!str_is_name(text[0]) || !str_copy(facts.name, sizeof facts.name, text[0]) ||
        !str_copy(facts.site, sizeof facts.site, text[1]) ||
        !node_state_parse(text[2], &facts.state) || !epoch_parse(text[3], &facts.epoch) ||
        !epoch_parse(text[4], &facts.promised) || !epoch_parse(text[5], &facts.applied.epoch) ||
        !str_copy(facts.applied.hash, sizeof facts.applied.hash, text[6]) ||
        !str_copy(facts.following, sizeof facts.following, text[7]))
        return false;
    *ret = facts;
    return true;
}

struct json_object *
driver_state_json(struct driver *driver)
{
    struct node_facts facts = driver_own_facts(driver);
    struct json_object *document = json_object_new_object();
    struct json_object *applied = json_object_new_object();
    char text[EPOCH_TEXT_SIZE];
    uint64_t now_ms = clock_now_ms();
    json_add_string(document, "node", facts.name);
    json_add_string(document, "site", facts.site);
    json_add_string(document, "state", node_state_name(facts.state));
    json_add_string(document, "reason", driver->node.reason);
    json_add_u64(document, "since_ms", now_ms - driver->node.since_ms);
    json_add_string(document, "epoch", epoch_text(&facts.epoch, text));
    json_add_string(document, "promised", epoch_text(&facts.promised, text));
    json_add_u64(applied, "revision", facts.applied.revision);
    json_add_string(applied, "epoch", epoch_text(&facts.applied.epoch, text));
    json_add_string(applied, "hash", facts.applied.hash);
    json_add(document, "applied", applied);
    json_add_u64(document, "schema", facts.schema);
    json_add_bool(document, "streaming", facts.streaming);
    json_add_string(document, "following", facts.following);
    json_add_string(document, "version", BATON_VERSION);
    json_add_string(document, "address", driver->core->home->advertise);
    json_add_u64(document, "setaside", driver->lost_rows);
    if (driver->standbys != NULL && driver->node.state == NODE_PRIMARY)
        json_add(document, "standbys", json_object_get(driver->standbys));
    json_add(document, "connectors", acting_connectors(driver->core->acting));
    json_add(document, "lease", driver_lease_news(driver));
    json_add(document, "takeover", driver_takeover_json(driver));
    json_add_string(document, "statement", prover_id(driver->core->prover));
    return document;
}

/* ------------------------------------------------------------------ asking */

struct ask {
    struct driver *driver; /* borrowed */
    repl_reply_fn *done;
    void *context;
    struct err early; /* the answer, when there was nobody to ask */
};

static void
end_ask(struct ask *ask, struct json_object *document, const struct err *err)
{
    struct ask copy = *ask;
    free(ask);
    copy.done(copy.context, document, err);
}

static void
on_asked(void *data, const struct fetch_reply *reply, const struct err *err)
{
    CLEANUP(json_putp) struct json_object *document = NULL;
    struct err fault;
    if (err != NULL) {
        end_ask(data, NULL, err);
        return;
    }
    if (fetch_reply_err(reply, &fault) != ERR_NONE ||
        (reply->body.size > 0 &&
         json_read(buf_text(&reply->body), reply->body.size, &document, &fault) != ERR_NONE)) {
        end_ask(data, NULL, &fault);
        return;
    }
    end_ask(data, document, NULL);
}

static void
on_asked_nobody(void *context)
{
    struct ask *ask = context;
    struct err err = ask->early;
    end_ask(ask, NULL, &err);
}

void
driver_ask(struct driver *driver, const char *name, const char *path, struct json_object *body,
           unsigned timeout_ms, repl_reply_fn *done, void *context)
{
    struct ask *ask = mem_zero(1, sizeof *ask);
    *ask = (struct ask){ .driver = driver, .done = done, .context = context };
    const struct driver_peer *peer = driver_peer(driver, name);
    if (peer == NULL) {
        (void)err_set(&ask->early, ERR_NOT_FOUND, "node_not_found", "'%s' is not a member", name);
        driver->port.after(driver, 0, on_asked_nobody, ask);
        return;
    }
    CLEANUP(freep) char *url = str_printf("https://%s%s", peer->address, path);
    const char *text = body == NULL ? NULL : json_text(body);
    struct fetch_request request = {
        .method = body == NULL ? "GET" : "POST",
        .url = url,
        .body = text,
        .body_size = text == NULL ? 0 : strlen(text),
        .timeout_ms = timeout_ms,
        .connect_timeout_ms = timeout_ms,
        .reply_size_max = PEER_ANSWER_SIZE_MAX,
    };
    (void)fetch_start(driver->core->peers, &request, on_asked, ask);
}

/* ------------------------------------------------------------------ polling */

void
driver_peer_said(struct driver_peer *peer, const struct node_facts *facts,
                 struct json_object *document)
{
    bool again =
        peer->facts.state == NODE_PRIMARY && epoch_equal(&peer->facts.epoch, &facts->epoch);
    peer->error[0] = '\0';
    peer->heard_ms = clock_now_ms();
    if (facts->state != NODE_PRIMARY)
        peer->claims_ms = 0;
    else if (!again)
        peer->claims_ms = peer->heard_ms;
    peer->facts = *facts;
    json_putp(&peer->document);
    peer->document = json_object_get(document);
}

static void
take_answer(struct driver_peer *peer, struct json_object *document)
{
    struct driver *driver = peer->driver;
    struct node_facts facts;
    const char *statement;
    if (!driver_facts_from_json(document, &facts) || strcmp(facts.name, peer->name) != 0) {
        (void)snprintf(peer->error, sizeof peer->error, "answers, but not as member %s",
                       peer->name);
        return;
    }
    driver_peer_said(peer, &facts, document);
    if (peer->site[0] == '\0') /* its row is not read yet */
        memcpy(peer->site, facts.site, sizeof peer->site);
    driver_takeover_read(peer, json_get(document, "takeover"));
    if (json_get_string(document, "statement", &statement))
        prover_heard(driver->core->prover, peer->name, statement);
    driver_touch(driver);
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_HEARD, .facts = &facts });
}

/* We are frozen for a candidate: asked since then, it is not there, or runs no promotion any more.
 * Should it live after all, it captures us as it would one that was never frozen. */
static void
look_at_candidate(struct driver_peer *peer, const struct err *err)
{
    struct driver *driver = peer->driver;
    const struct node *node = &driver->node;
    if (node->state != NODE_DRAINING || peer->asked_ms < node->since_ms ||
        strcmp(node->freeze_epoch.holder, peer->name) != 0 ||
        (err == NULL && peer->facts.state == NODE_CANDIDATE))
        return;
    log_warn("freeze.given_up", "candidate=%s reason=\"%s\"", peer->name,
             err == NULL ? node_state_name(peer->facts.state) : err->text);
    driver_post_node(driver,
                     &(struct node_event){ .kind = NODE_EV_THAW, .epoch = node->freeze_epoch });
}

static void
on_polled(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct driver_peer *peer = data;
    CLEANUP(json_putp) struct json_object *document = NULL;
    struct err fault;
    peer->poll = NULL;
    if (err == NULL && fetch_reply_err(reply, &fault) == ERR_NONE &&
        json_read(buf_text(&reply->body), reply->body.size, &document, &fault) == ERR_NONE) {
        take_answer(peer, document);
        driver_takeover_heard(peer->driver, peer, peer->asked_ms, NULL);
        look_at_candidate(peer, NULL);
        return;
    }
    (void)snprintf(peer->error, sizeof peer->error, "%.*s", DRIVER_TEXT_SIZE - 1,
                   err == NULL ? fault.text : err->text);
    driver_touch(peer->driver);
    driver_takeover_heard(peer->driver, peer, peer->asked_ms, err == NULL ? &fault : err);
    if (err != NULL)
        look_at_candidate(peer, err);
}

void
driver_poll_soon(struct driver *driver)
{
    driver->poll.repeat = DRIVER_FAST_POLL_MS / 1000.0;
    ev_timer_again(driver->core->loop, &driver->poll);
}

void
driver_poll_peers(struct driver *driver)
{
    uint64_t timeout_ms =
        cache_loaded(driver->core->cache)
            ? setting_u64(SETTING_PEER_TIMEOUT_MS, cache_settings(driver->core->cache))
            : 2000;
    for (size_t i = 0; i < driver->peer_count; i++) {
        struct driver_peer *peer = &driver->peers[i];
        if (peer->poll != NULL)
            continue;
        CLEANUP(freep)
        char *url = str_printf("https://%s/v1/peer/state%s%s", peer->address,
                               driver->suspects ? "?suspect=" : "",
                               driver->suspects ? driver->primary : "");
        struct fetch_request request = { .url = url,
                                         .timeout_ms = (unsigned)timeout_ms,
                                         .connect_timeout_ms = (unsigned)timeout_ms };
        peer->asked_ms = clock_now_ms();
        peer->poll = fetch_start(driver->core->peers, &request, on_polled, peer);
    }
}
