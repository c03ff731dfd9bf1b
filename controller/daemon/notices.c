#include "controller/daemon/notices.h"

#include <ev.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/activation/post.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/registry.h"
#include "controller/daemon/secrets.h"
#include "controller/daemon/view.h"
#include "sites/instance.h"
#include "sites/notice.h"
#include "sites/notice_queue.h"
#include "sites/setting.h"

#define ID_SIZE 8 /* random bytes of a delivery */

/* One notice/NAME. */
struct receiver {
    struct notices *all;   /* borrowed */
    struct notice *notice; /* owned; NULL: this place is free */
    uint64_t revision;
    bool seen; /* in the walk under way */
    struct notice_queue queue;
    struct post *post; /* of what is under way */
};

/* One connector, and what was told of it to whom. */
struct told {
    char connector[CONNECTOR_NAME_SIZE];
    bool here; /* in the walk under way */
    struct notice_track tracks[NOTICES_MAX];
};

struct notices {
    struct core *core; /* borrowed */
    ev_timer tick;
    uint64_t started_ms;
    struct receiver receivers[NOTICES_MAX];
    bool too_many;
    struct told *told; /* owned; ordered by name */
    size_t told_count;
};

/* ---- the queue of one ---- */

static void
add(struct receiver *receiver, const char *connector, enum notice_status status,
    const struct notice_facts *facts)
{
    const struct home *home = receiver->all->core->home;
    uint8_t id[ID_SIZE];
    char hex[2 * ID_SIZE + 1];
    char at[CLOCK_TEXT_SIZE];
    struct notice_item *item = notice_queue_add(&receiver->queue, clock_now_ms());
    if (item == NULL) {
        log_warn("notice.dropped", "notice=%s connector=%s status=%s reason=\"%d wait already\"",
                 receiver->notice->name, connector, notice_status_word(status), NOTICE_QUEUE_MAX);
        return;
    }
    ASSERT(RAND_bytes(id, sizeof id) == 1);
    str_hex(hex, id, sizeof id);
    (void)snprintf(item->delivery, sizeof item->delivery, "%s/notice/%s", home->cluster_id, hex);
    (void)snprintf(item->connector, sizeof item->connector, "%s", connector);
    CLEANUP(json_putp)
    struct json_object *body =
        notice_body(connector, status, facts, clock_wall_text(clock_wall_ms(), at));
    item->status = status;
    item->body = str_dup(json_text(body));
}

static void
on_posted(void *data, const struct post_result *result)
{
    struct receiver *receiver = data;
    struct notice_queue *queue = &receiver->queue;
    const struct notice_item *item = notice_queue_sent(queue);
    /* who has heard of a later epoch hears from somebody else */
    bool heard = result->end == ACTION_OK || result->end == ACTION_REFUSED;
    receiver->post = NULL;
    if (heard)
        log_info(result->end == ACTION_OK ? "notice.sent" : "notice.refused",
                 "notice=%s connector=%s status=%s delivery=%s text=\"%s\"", receiver->notice->name,
                 item->connector, notice_status_word(item->status), item->delivery, result->text);
    notice_queue_ended(queue, heard, result->text, clock_now_ms());
    if (!heard)
        log_warn("notice.failed", "notice=%s connector=%s delivery=%s again_ms=%llu reason=\"%s\"",
                 receiver->notice->name, item->connector, item->delivery,
                 (unsigned long long)queue->pause_ms, result->text);
}

static void
send_next(struct receiver *receiver)
{
    struct err err;
    const struct core *core = receiver->all->core;
    const struct node *node = &core->driver->node;
    const struct notice_item *item;
    uint64_t now_ms = clock_now_ms();
    while ((item = notice_queue_old(&receiver->queue, now_ms)) != NULL) {
        log_warn("notice.dropped", "notice=%s connector=%s delivery=%s reason=\"too old\"",
                 receiver->notice->name, item->connector, item->delivery);
        notice_queue_drop(&receiver->queue);
    }
    item = notice_queue_next(&receiver->queue, now_ms);
    if (item == NULL)
        return;
    struct post_order order = { .wanted = &receiver->notice->receiver,
                                .cluster = core->home->cluster_id,
                                .node = core->home->node,
                                .delivery = item->delivery,
                                .body = item->body,
                                .epoch = *epoch_max(&node->own.epoch, &node->following_epoch),
                                .timeout_ms = receiver->notice->timeout_ms,
                                .secret = secrets_read,
                                .secret_data = core->secrets };
    if (post_start(&order, on_posted, receiver, &receiver->post, &err) != ERR_NONE)
        on_posted(receiver, &(struct post_result){ .end = ACTION_FAILED, .text = err.text });
}

static void
forget(struct receiver *receiver)
{
    post_abandon(take_ptr(&receiver->post));
    notice_queue_done(&receiver->queue);
    notice_free(take_ptr(&receiver->notice));
}

/* ---- whom ---- */

static struct receiver *
receiver_of(struct notices *notices, const char *name)
{
    struct receiver *empty = NULL;
    for (size_t i = 0; i < NOTICES_MAX; i++) {
        struct receiver *receiver = &notices->receivers[i];
        if (receiver->notice == NULL && empty == NULL)
            empty = receiver;
        if (receiver->notice != NULL && strcmp(receiver->notice->name, name) == 0)
            return receiver;
    }
    return empty;
}

/* A place that was another's tells all anew. */
static void
forget_tracks(struct notices *notices, size_t place)
{
    for (size_t i = 0; i < notices->told_count; i++)
        notices->told[i].tracks[place] = (struct notice_track){ 0 };
}

static void
read_one(struct notices *notices, const struct cache_entry *entry)
{
    struct err err;
    struct notice *notice;
    const char *name = entry->key + strlen(NOTICE_PREFIX);
    const struct setting_row *row = setting_find(entry->key);
    if (row == NULL || row->id != SETTING_NOTICE)
        return;
    struct receiver *receiver = receiver_of(notices, name);
    if (receiver == NULL) {
        notices->too_many = true;
        return;
    }
    receiver->seen = true;
    if (receiver->notice != NULL && receiver->revision == entry->revision)
        return;
    if (notice_read(name, cache_value(entry), &notice, &err) != ERR_NONE) {
        receiver->seen = false; /* written past us; status and explain say that it does not count */
        return;
    }
    if (receiver->notice == NULL)
        forget_tracks(notices, (size_t)(receiver - notices->receivers));
    notice_free(receiver->notice);
    receiver->notice = notice;
    receiver->revision = entry->revision;
    receiver->queue.again_ms = 0;
}

/* False: there is nobody to tell. */
static bool
read_receivers(struct notices *notices)
{
    const struct cache_entry *entry;
    bool any = false;
    notices->too_many = false;
    for (size_t i = 0; i < NOTICES_MAX; i++)
        notices->receivers[i].seen = false;
    for (size_t at = 0; (entry = cache_next(notices->core->cache, NOTICE_PREFIX, "", &at)) != NULL;)
        read_one(notices, entry);
    for (size_t i = 0; i < NOTICES_MAX; i++) {
        if (!notices->receivers[i].seen && notices->receivers[i].notice != NULL)
            forget(&notices->receivers[i]);
        any = any || notices->receivers[i].notice != NULL;
    }
    return any;
}

/* ---- how it is ---- */

/* What one look knows. */
struct sight {
    bool teller;
    bool primary;                   /* somebody is */
    struct json_object *connectors; /* as the primary tells of them; borrowed */
    struct json_object *instances;  /* a member for each connector that has some; borrowed */
    uint64_t now_ms;
};

static const char *
text_of(struct json_object *object)
{
    const char *text = "";
    (void)!json_get_string(object, "text", &text);
    return text;
}

/* Which server, and whether it answers: as the primary tells of itself. */
static void
judge_server(struct json_object *connector, struct notice_facts *facts)
{
    const char *would_use = "none";
    const char *state = "";
    bool ok;
    (void)!json_get_string(connector, "would_use", &would_use);
    if (strcmp(would_use, "none") == 0)
        return;
    struct json_object *activation = json_get(connector, "activation");
    struct json_object *probe = json_get(connector, "probe");
    struct json_object *credential = json_get(connector, "credential");
    facts->wanted = true;
    if (strcmp(would_use, effective_server_name(EFFECTIVE_ERROR)) == 0 &&
        !json_get_string(connector, "hint", &facts->issues[NOTICE_ISSUE_NO_SERVER]))
        facts->issues[NOTICE_ISSUE_NO_SERVER] = "there is no server to use";
    if (json_get_string(activation, "state", &state) && strcmp(state, "failed") == 0)
        facts->issues[NOTICE_ISSUE_ACTIVATION_FAILED] = text_of(activation);
    if (strcmp(state, "running") == 0 || strcmp(state, "waiting") == 0)
        facts->pending = true;
    if (!json_get_bool(probe, "ok", &ok))
        facts->pending = true;
    else if (!ok)
        facts->issues[NOTICE_ISSUE_SERVER_UNREACHABLE] = text_of(probe);
    if (json_get_string(credential, "state", &state) &&
        strcmp(state, secrets_state_name(SECRETS_HERE)) != 0 &&
        !json_get_string(credential, "name", &facts->issues[NOTICE_ISSUE_CREDENTIAL]))
        facts->issues[NOTICE_ISSUE_CREDENTIAL] = "its secret is not there";
    if (view_repair_is_fresh(json_get(connector, "repair")))
        facts->issues[NOTICE_ISSUE_REPAIRED] = text_of(json_get(connector, "repair"));
}

static void
add_issue(const struct instance_alarm *alarm, struct notice_facts *facts)
{
    enum notice_issue issue = notice_issue_parse(alarm->name);
    if (issue != NOTICE_ISSUE_COUNT)
        facts->issues[issue] = alarm->text;
}

/* The texts of its issues are those of 'alarms'. */
static void
judge_instances(const struct notices *notices, const struct sight *sight, const char *connector,
                struct instance_alarm alarms[2], struct notice_facts *facts)
{
    if (json_get(sight->instances, connector) == NULL)
        return;
    facts->wanted = true;
    if (registry_alarm(notices->core->registry, connector, &alarms[0]))
        add_issue(&alarms[0], facts);
    if (acting_room_alarm(notices->core->acting, connector, &alarms[1]))
        add_issue(&alarms[1], facts);
}

/* ---- what is told ---- */

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct told *)a)->connector, ((const struct told *)b)->connector);
}

static struct told *
told_of(struct notices *notices, const char *connector)
{
    struct told key = { 0 };
    if (!str_copy(key.connector, sizeof key.connector, connector))
        return NULL;
    struct told *found =
        notices->told_count == 0
            ? NULL
            : bsearch(&key, notices->told, notices->told_count, sizeof key, by_name);
    if (found != NULL)
        return found;
    notices->told = mem_grow(notices->told, notices->told_count + 1, sizeof key);
    notices->told[notices->told_count++] = key;
    qsort(notices->told, notices->told_count, sizeof key, by_name);
    return bsearch(&key, notices->told, notices->told_count, sizeof key, by_name);
}

static void
look_at(struct notices *notices, const struct sight *sight, const char *name,
        struct json_object *connector)
{
    struct told *told = told_of(notices, name);
    struct notice_facts facts = { 0 };
    struct instance_alarm alarms[2];
    if (told == NULL || told->here)
        return;
    told->here = true;
    judge_server(connector, &facts);
    judge_instances(notices, sight, name, alarms, &facts);
    if (!sight->primary)
        facts.issues[NOTICE_ISSUE_NO_PRIMARY] =
            "nobody is known to be primary, so no server of it is in use";
    enum notice_status status = notice_judge(&facts);
    for (size_t i = 0; i < NOTICES_MAX; i++) {
        struct receiver *receiver = &notices->receivers[i];
        if (receiver->notice != NULL && notice_names(receiver->notice, name) &&
            notice_step(&told->tracks[i], status, sight->teller, receiver->notice->after_ms,
                        sight->now_ms) &&
            notice_wants(receiver->notice, status))
            add(receiver, name, status, &facts);
    }
}

/* The ones that are gone are disabled; then they are forgotten. */
static void
look_at_gone(struct notices *notices, const struct sight *sight)
{
    size_t kept = 0;
    for (size_t i = 0; i < notices->told_count; i++) {
        struct told *told = &notices->told[i];
        bool open = told->here;
        if (!told->here) {
            char name[CONNECTOR_NAME_SIZE];
            memcpy(name, told->connector, sizeof name);
            look_at(notices, sight, name, NULL);
            for (size_t at = 0; at < NOTICES_MAX; at++)
                open = open || (told->tracks[at].any && told->tracks[at].told != NOTICE_DISABLED);
        }
        if (open)
            notices->told[kept++] = *told;
    }
    notices->told_count = kept;
}

static void
look_at_all(struct notices *notices, const struct sight *sight)
{
    for (size_t i = 0; i < notices->told_count; i++)
        notices->told[i].here = false;
    for (size_t i = 0; i < json_object_array_length(sight->connectors); i++) {
        struct json_object *connector = json_object_array_get_idx(sight->connectors, i);
        const char *name;
        if (json_get_string(connector, "name", &name))
            look_at(notices, sight, name, connector);
    }
    json_object_object_foreach (sight->instances, name, flag) {
        (void)flag;
        look_at(notices, sight, name, NULL);
    }
    look_at_gone(notices, sight);
}

/* ---- who tells ---- */

static bool
is_teller(const struct notices *notices, const struct driver_primary *primary, uint64_t now_ms)
{
    const struct driver *driver = notices->core->driver;
    const char *there[NODE_MEMBERS_MAX];
    size_t count = 0;
    uint64_t stale_ms = setting_u64(SETTING_PEER_STALE_MS, cache_settings(notices->core->cache));
    /* Who has just started has heard of nobody, and that nobody is primary is no news. */
    if (primary->name[0] == '\0' && now_ms - notices->started_ms < 2 * stale_ms)
        return false;
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        if (peer->heard_ms != 0 && now_ms - peer->heard_ms <= stale_ms)
            there[count++] = peer->name;
    }
    return notice_teller(notices->core->home->node, primary->name, there, count);
}

static void
look(struct notices *notices)
{
    const struct core *core = notices->core;
    const struct driver *driver = core->driver;
    struct driver_primary primary = driver_primary(driver);
    const struct driver_peer *peer = driver_peer((struct driver *)driver, primary.name);
    uint64_t now_ms = clock_now_ms();
    CLEANUP(json_putp) struct json_object *own = acting_connectors(core->acting);
    CLEANUP(json_putp) struct json_object *names = registry_names(core->registry);
    CLEANUP(json_putp) struct json_object *instances = json_object_new_object();
    for (size_t i = 0; i < json_object_array_length(names); i++)
        json_add_bool(instances, json_object_get_string(json_object_array_get_idx(names, i)), true);
    struct sight sight = { .teller = is_teller(notices, &primary, now_ms),
                           .primary = primary.name[0] != '\0',
                           .connectors = own,
                           .instances = instances,
                           .now_ms = now_ms };
    if (sight.primary && !primary.self)
        sight.connectors = json_get(peer == NULL ? NULL : peer->document, "connectors");
    if (json_object_is_type(sight.connectors, json_type_array))
        look_at_all(notices, &sight);
}

static void
on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct notices *notices = CONTAINER_OF(timer, struct notices, tick);
    (void)loop, (void)revents;
    if (notices->core->stopping || !cache_loaded(notices->core->cache) ||
        !notices->core->driver->running || !read_receivers(notices))
        return;
    look(notices);
    for (size_t i = 0; i < NOTICES_MAX; i++) {
        if (notices->receivers[i].notice != NULL)
            send_next(&notices->receivers[i]);
    }
}

/* ---- life ---- */

struct notices *
notices_new(struct core *core)
{
    struct notices *notices = mem_zero(1, sizeof *notices);
    notices->core = core;
    notices->started_ms = clock_now_ms();
    for (size_t i = 0; i < NOTICES_MAX; i++)
        notices->receivers[i].all = notices;
    ev_timer_init(&notices->tick, on_tick, NOTICES_TICK_MS / 1000.0, NOTICES_TICK_MS / 1000.0);
    ev_timer_start(core->loop, &notices->tick);
    return notices;
}

void
notices_free(struct notices *notices)
{
    if (notices == NULL)
        return;
    ev_timer_stop(notices->core->loop, &notices->tick);
    for (size_t i = 0; i < NOTICES_MAX; i++)
        forget(&notices->receivers[i]);
    free(notices->told);
    free(notices);
}

void
notices_alarms(const struct notices *notices, struct json_object *list)
{
    if (notices == NULL)
        return;
    if (notices->too_many)
        view_add_alarm(list, "notices_many", "only %d of notice/NAME are heeded: delete some",
                       NOTICES_MAX);
    for (size_t i = 0; i < NOTICES_MAX; i++) {
        const struct receiver *receiver = &notices->receivers[i];
        if (receiver->notice != NULL && receiver->queue.trouble[0] != '\0')
            view_add_alarm(list, "notice_failed", "notice/%s: %zu wait: %s", receiver->notice->name,
                           receiver->queue.count, receiver->queue.trouble);
    }
}
