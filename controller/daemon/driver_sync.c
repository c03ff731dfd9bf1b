#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/cert.h"
#include "controller/loop/pq.h"
#include "sites/setting.h"
#include "sql.h"

/* In upkeeps, one a second. */
#define SYNC_PRUNE_EVERY      60
#define SYNC_SETASIDE_EVERY   3
#define SYNC_SLOTS_EVERY      5
#define SYNC_SILENT_AFTER     10 /* without an answer of our database, on two connections */
#define SYNC_STUCK_AFTER      60 /* the same on one, which may have long work to do */
#define SYNC_STRAY_AFTER      30 /* a subscription of a switchover that was given up */
#define SYNC_IDLE_SLOTS_AFTER 10 /* a standby's own slots that nobody reads */

static void
ignore_result(void *data, const PGresult *result, const struct err *err, bool warned)
{
    const char *what = data;
    (void)result, (void)warned;
    if (err != NULL)
        log_warn("upkeep", "what=%s reason=\"%s\"", what, err->text);
}

/* ------------------------------------------------------------------ key rules and member roles */

/* Before anything else is asked: whoever writes in the first second meets the rules of this
 * version. */
void
driver_load_key_rules(struct driver *driver)
{
    static char what[] = "key rules";
    CLEANUP(json_putp) struct json_object *rules = setting_rules_json();
    const char *values[] = { json_text(rules) };
    (void)pq_query(driver->core->ctl, sql_key_rules_load, 1, values, ignore_result, what);
}

static void
on_roles_synced(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    static char what[] = "member roles";
    ignore_result(what, result, err, warned);
    if (err != NULL)
        driver->roles_count = 0; /* again at the next upkeep */
}

void
driver_sync_roles(struct driver *driver)
{
    CLEANUP(buf_done) struct buf names = { 0 };
    const struct home *home = driver->core->home;
    if (driver->roles_count == driver->peer_count + 1 &&
        driver->roles_generation == driver->members_generation)
        return;
    /* ours too: with it 'baton doctor' comes in as another member would; names are labels and a dot
     * and need no quoting */
    char own[CERT_NAME_SIZE];
    buf_printf(&names, "{%s", cert_login(home->node, home->generation, own));
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (driver->peers[i].login[0] == '\0')
            return; /* its row is not read yet */
        buf_printf(&names, ",%s", driver->peers[i].login);
    }
    buf_add_text(&names, "}");
    const char *values[] = { buf_text(&names) };
    driver->roles_count = driver->peer_count + 1;
    driver->roles_generation = driver->members_generation;
    (void)pq_query(driver->core->ctl, sql_peer_role_sync, 1, values, on_roles_synced, driver);
}

static bool
slot_is_a_members(const struct driver *driver, const char *slot)
{
    char name[REPL_NAME_SIZE];
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(repl_name(driver->peers[i].name, name), slot) == 0)
            return true;
    }
    return false;
}

/* Nobody will read a removed member's slot, and it would keep the server's log for ever. */
static void
on_slots(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    static char what[] = "slot of a removed member";
    (void)warned;
    if (err != NULL || !driver->running || driver->node.state != NODE_PRIMARY)
        return;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = pq_text(result, row, "name");
        if (strcmp(pq_text(result, row, "active"), "f") != 0 || slot_is_a_members(driver, name))
            continue;
        const char *values[] = { name };
        log_info("slot.drop", "slot=%s", name);
        (void)pq_query(driver->core->ctl, sql_slot_drop, 1, values, ignore_result, what);
    }
}

/* What a standby says while it catches up counts for no COMMIT that waits, and when it has caught
 * up it says nothing more until there is something new: a COMMIT that nobody follows could wait
 * until the next one. So there is something new. */
void
driver_wake_standbys(void *data)
{
    struct driver *driver = data;
    static char what[] = "wake standbys";
    if (driver->running && driver->names.k > 0 &&
        (driver->node.state == NODE_PRIMARY || driver->node.state == NODE_CLOSED))
        (void)pq_query(driver->core->ctl, sql_standbys_wake, 0, NULL, ignore_result, what);
}

/* ------------------------------------------------------------------ our subscriptions */

static void
on_stray_dropped(void *context, const PGresult *result, const struct err *err)
{
    (void)context, (void)result;
    if (err != NULL)
        log_warn("upkeep", "what=\"stray subscription\" reason=\"%s\"", err->text);
}

static void
drop_stray(struct driver *driver, const char *name)
{
    const char *values[] = { name };
    log_info("upkeep.stray", "subscription=%s", name);
    driver->port.query(driver, sql_sub_detach, 1, values, on_stray_dropped, driver);
}

static void
on_subs(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    char ours[REPL_NAME_SIZE];
    bool streaming = false;
    bool stray = false;
    (void)warned;
    bool standby = driver->node.state == NODE_STANDBY;
    if (err != NULL || !driver->running || (!standby && driver->node.state != NODE_PRIMARY))
        return;
    if (standby)
        (void)repl_name(driver->node.following, ours);
    else
        ours[0] = '\0'; /* a primary receives from nobody */
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = pq_text(result, row, "name");
        if (strcmp(name, ours) != 0) {
            stray = true;
            if (driver->stray_seconds >= SYNC_STRAY_AFTER)
                drop_stray(driver, name);
            continue;
        }
        streaming = strcmp(pq_text(result, row, "running"), "t") == 0 &&
                    pq_text(result, row, "received") != NULL;
    }
    driver->stray_seconds = stray ? driver->stray_seconds + 1 : 0;
    if (!standby)
        return;
    if (streaming)
        driver->streaming_ms = clock_now_ms();
    if (streaming != driver->streaming)
        driver_touch(driver);
    driver->streaming = streaming;
    driver_post_node(driver, &(struct node_event){ .kind = NODE_EV_STREAM, .ok = streaming });
}

/* ------------------------------------------------------------------ digests */

struct digest {
    struct driver *driver;
    char node[NODE_NAME_SIZE];
    uint64_t revision;
};

static void
on_digest(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct digest digest = *(struct digest *)data;
    struct driver_peer *peer = driver_peer(digest.driver, digest.node);
    uint64_t common = 0;
    (void)warned;
    free(data);
    if (err != NULL || peer == NULL)
        return;
    const char *text = pq_text(result, 0, "revision");
    bool same =
        text != NULL && str_to_u64(text, 0, INT64_MAX, &common) && common == digest.revision;
    if (!same)
        log_warn("digest.different", "node=%s revision=%llu", digest.node,
                 (unsigned long long)digest.revision);
    peer->digest = same ? DRIVER_DIGEST_SAME : DRIVER_DIGEST_DIFFERENT;
    peer->digest_ms = clock_now_ms();
    driver_touch(digest.driver);
}

/* The head hash of a member against ours at the same revision; it chains over all before it. */
static void
compare_digests(struct driver *driver)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t interval_ms =
        setting_u64(SETTING_DIGEST_INTERVAL_MS, cache_settings(driver->core->cache));
    for (size_t i = 0; i < driver->peer_count; i++) {
        struct driver_peer *peer = &driver->peers[i];
        const struct position *at = &peer->facts.applied;
        /* a member that has set its own history aside is well again at once */
        bool due = peer->digest != DRIVER_DIGEST_SAME || now_ms - peer->digest_ms >= interval_ms;
        if (!due || peer->heard_ms == 0 || at->revision == 0 ||
            at->revision > driver->node.own.applied.revision)
            continue;
        struct json_object *point = json_object_new_object();
        json_add_u64(point, "revision", at->revision);
        json_add_string(point, "hash", at->hash);
        json_add_u64(point, "epoch", at->epoch.number);
        json_add_string(point, "holder", at->epoch.holder);
        CLEANUP(json_putp) struct json_object *points = json_object_new_array();
        (void)json_object_array_add(points, point);
        struct digest *digest = mem_zero(1, sizeof *digest);
        *digest = (struct digest){ .driver = driver, .revision = at->revision };
        memcpy(digest->node, peer->name, sizeof digest->node);
        const char *values[] = { json_text(points) };
        (void)pq_query(driver->core->ctl, sql_match, 1, values, on_digest, digest);
        peer->digest_ms = now_ms;
    }
}

/* ------------------------------------------------------------------ our own row */

/* I11: opened past the daemon, though nobody but its own session should be able to. */
static bool
is_open_unasked(const struct driver *driver, const PGresult *result)
{
    const char *is_primary = pq_text(result, 0, "is_primary");
    return driver->node.state == NODE_FENCED && driver->node.database && driver->fences == 0 &&
           is_primary != NULL && is_primary[0] == 't';
}

/* A promise that was given past the daemon (a person with psql, a restored row) counts all the
 * same: the database refuses rows by it, so the others must hear of it. */
static void
on_own_row(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    struct node_facts row = { 0 };
    const struct node *node = &driver->node;
    (void)warned;
    if (err == NULL)
        driver->silent_seconds = 0;
    if (err != NULL || !driver->running || promo_is_running(&driver->promo) ||
        !driver_read_position(result, &row))
        return;
    if (is_open_unasked(driver, result))
        driver_post_node(
            driver, &(struct node_event){ .kind = NODE_EV_FENCED, .text = "its row says primary" });
    if (epoch_compare(&row.promised, &node->own.promised) <= 0 ||
        ((node->state == NODE_STANDBY || node->state == NODE_REJOINING) &&
         epoch_equal(&row.promised, &node->following_epoch)))
        return;
    driver_post_node(driver,
                     &(struct node_event){ .kind = NODE_EV_CAPTURED, .epoch = row.promised });
}

/* ------------------------------------------------------------------ once a second */

static void
on_setaside(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    uint64_t kept = 0;
    (void)warned;
    if (err != NULL)
        return;
    for (int row = 0; row < PQntuples(result); row++) {
        uint64_t count;
        const char *text = pq_text(result, row, "kept");
        if (text != NULL && str_to_u64(text, 0, INT64_MAX, &count))
            kept += count;
    }
    if (kept > driver->setaside_kept)
        log_warn("node.setaside", "kept=%llu text=\"written here alone; see baton setaside list\"",
                 (unsigned long long)kept);
    if (kept != driver->setaside_kept)
        driver_touch(driver);
    driver->setaside_kept = kept;
}

static void
prune(struct driver *driver)
{
    static char what[] = "log prune";
    char text[2][24];
    const struct setting_source *source = cache_settings(driver->core->cache);
    (void)snprintf(text[0], sizeof text[0], "%llu",
                   (unsigned long long)setting_u64(SETTING_LOG_KEEP_ROWS, source));
    (void)snprintf(text[1], sizeof text[1], "%llu",
                   (unsigned long long)setting_u64(SETTING_LOG_KEEP_DAYS, source));
    const char *values[] = { text[0], text[1] };
    (void)pq_query(driver->core->ctl, sql_log_prune, 2, values, ignore_result, what);
}

static void
on_names_kept(void *data, const struct err *err)
{
    struct driver *driver = data;
    driver->arm = NULL;
    driver->names_known = err == NULL;
    if (err != NULL)
        log_warn("sync.names", "reason=\"%s\"", err->text);
}

/* A standby has the names that it would need as primary: the first ones after none cost a
 * checkpoint, which is not for the way of a promotion. It commits nothing that would wait. */
static void
keep_names(struct driver *driver)
{
    struct quorum_record record;
    if (driver->arm != NULL || promo_is_running(&driver->promo))
        return;
    driver_record(driver, &record);
    const struct quorum_set *set = quorum_acknowledging(&record);
    if (driver->names_known && quorum_equal(set, &driver->names))
        return;
    driver->names = *set;
    driver->arm = repl_arm_start(&driver->port, driver->core->home->node, NULL, 0, false,
                                 &driver->names, &driver->server_names, on_names_kept, driver);
}

/* A server that is stopped, or whose disk hangs, keeps its connections: nothing ends them. Seconds
 * are counted, not measured: those in which we slept ourselves say nothing about it. */
static bool
database_is_silent(struct driver *driver)
{
    driver->silent_seconds++;
    if (driver->silent_seconds < SYNC_SILENT_AFTER ||
        (driver->silent_seconds < SYNC_STUCK_AFTER && tail_connected(driver->core->tail)))
        return false;
    log_warn("database.silent", "seconds=%u", driver->silent_seconds);
    driver->silent_seconds = 0;
    pq_reset(driver->core->ctl);
    return true;
}

/* It locks what rows are taken in under: not while a node comes back, which it would hold up. */
static void
rehearse_once(struct driver *driver)
{
    if (!driver->rehearses || driver->node.state == NODE_REJOINING ||
        promo_is_running(&driver->promo))
        return;
    driver->rehearses = false;
    (void)pq_query(driver->core->ctl, sql_rehearse, 0, NULL, NULL, NULL);
    writer_rehearse(driver->core->writer);
}

void
driver_upkeep(struct driver *driver)
{
    enum node_state state = driver->node.state;
    uint64_t in_state_ms = clock_now_ms() - driver->node.since_ms;
    if (pq_state(driver->core->ctl) != PQ_READY || !cache_loaded(driver->core->cache)) {
        driver->silent_seconds = 0;
        return;
    }
    if (database_is_silent(driver))
        return;
    driver->upkeep_count++;
    driver_refresh_limits(driver);
    rehearse_once(driver);
    driver_sync_roles(driver);
    compare_digests(driver);
    (void)pq_query(driver->core->ctl, sql_position, 0, NULL, on_own_row, driver);
    if (driver->upkeep_count % SYNC_SETASIDE_EVERY == 1)
        (void)pq_query(driver->core->ctl, sql_setaside_list, 0, NULL, on_setaside, driver);
    if (state == NODE_PRIMARY || state == NODE_CLOSED)
        driver_set_look(driver);
    if (state == NODE_PRIMARY && driver->upkeep_count % SYNC_SLOTS_EVERY == 0)
        (void)pq_query(driver->core->ctl, sql_slots, 0, NULL, on_slots, driver);
    if (state == NODE_STANDBY || (state == NODE_PRIMARY && driver->prepare == NULL))
        (void)pq_query(driver->core->ctl, sql_subs, 0, NULL, on_subs, driver);
    if (state == NODE_STANDBY && !promo_is_running(&driver->promo) &&
        in_state_ms > SYNC_IDLE_SLOTS_AFTER * 1000 && driver->upkeep_count % SYNC_SLOTS_EVERY == 0)
        repl_drop_idle_slots(&driver->port);
    if (state == NODE_STANDBY)
        keep_names(driver);
    if (driver->upkeep_count % SYNC_PRUNE_EVERY == 0 &&
        (state == NODE_PRIMARY || state == NODE_STANDBY))
        prune(driver);
}
