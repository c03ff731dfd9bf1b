/*
 * The sync set, on the primary: who acknowledges, who is to, and what follows when too few do
 * (sites/degrade.h). Once a second, and at the moment when a COMMIT has waited for long enough.
 */
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/pq.h"
#include "sites/setting.h"
#include "sql.h"

#define SET_SAMPLE_MS     400  /* an acknowledgement may come so long after what it is for */
#define SET_SAMPLE_MS_MAX 5000 /* what was seen earlier may be of another server */
#define SET_AGAIN_MS_MIN  5

static void advance(struct driver *driver);

/* ------------------------------------------------------------------ who acknowledges */

static bool
standby_streams(const struct driver *driver, const char *node)
{
    for (size_t i = 0; driver->standbys != NULL && i < json_object_array_length(driver->standbys);
         i++) {
        struct json_object *row = json_object_array_get_idx(driver->standbys, i);
        const char *name;
        const char *state;
        if (json_get_string(row, "name", &name) && strcmp(name, node) == 0 &&
            json_get_string(row, "state", &state) && strcmp(state, "streaming") == 0)
            return true;
    }
    return false;
}

static bool
read_u64(const PGresult *result, int row, const char *name, uint64_t *ret)
{
    const char *text = pq_text(result, row, name);
    return text != NULL && str_to_u64(text, 0, INT64_MAX, ret);
}

static void
read_standbys(struct driver *driver, const PGresult *result)
{
    struct json_object *rows = json_object_new_array();
    driver->acking = (struct quorum_set){ 0 };
    for (int row = 0; row < PQntuples(result); row++) {
        struct json_object *standby = json_object_new_object();
        const char *name = pq_text(result, row, "name");
        const char *state = pq_text(result, row, "state");
        uint64_t bytes;
        json_add_string(standby, "name", name);
        json_add_string(standby, "state", state);
        json_add_string(standby, "sync_state", pq_text(result, row, "sync_state"));
        if (read_u64(result, row, "lag_bytes", &bytes))
            json_add_u64(standby, "lag_bytes", bytes);
        (void)json_object_array_add(rows, standby);
        /* One that stands still keeps its connection for a while; what it has tells. */
        bool has_all = !driver->mark_known ||
                       (read_u64(result, row, "flushed", &bytes) && bytes >= driver->mark);
        if (state != NULL && strcmp(state, "streaming") == 0 && has_all && str_is_name(name))
            (void)!quorum_add(&driver->acking, name, NULL);
    }
    json_putp(&driver->standbys);
    driver->standbys = rows;
}

static void
on_standbys(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    (void)warned;
    if (err != NULL || !driver->running)
        return;
    read_standbys(driver, result);
    advance(driver);
}

static void
on_commit_waits(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct driver *driver = data;
    uint64_t waited_ms;
    uint64_t flushed;
    uint64_t now_ms = clock_now_ms();
    (void)warned;
    if (err != NULL || !driver->running || !read_u64(result, 0, "waited_ms", &waited_ms) ||
        !read_u64(result, 0, "flushed", &flushed))
        return;
    driver->waited_ms = waited_ms;
    if (driver->flushed_ms != 0 && now_ms - driver->flushed_ms < SET_SAMPLE_MS)
        return;
    driver->mark_known =
        driver->flushed_ms != 0 && now_ms - driver->flushed_ms <= SET_SAMPLE_MS_MAX;
    driver->mark = driver->flushed;
    driver->flushed = flushed;
    driver->flushed_ms = now_ms;
}

/* Every member has the row, in our epoch or after it was opened. */
static bool
is_everywhere(const struct driver *driver, uint64_t revision)
{
    for (size_t i = 0; i < driver->peer_count; i++) {
        const struct driver_peer *peer = &driver->peers[i];
        if (peer->heard_ms == 0 || peer->facts.applied.revision < revision ||
            !epoch_equal(&peer->facts.applied.epoch, &driver->node.own.epoch))
            return false;
    }
    return true;
}

static struct quorum_set
wanted_set(const struct driver *driver, const struct quorum_record *record,
           const struct setting_durability *durability)
{
    struct degrade_member members[QUORUM_VOTERS_MAX];
    size_t count = 0;
    for (; count < driver->peer_count && count < ARRAY_COUNT(members); count++) {
        const char *name = driver->peers[count].name;
        members[count] = (struct degrade_member){ name, standby_streams(driver, name) };
    }
    return degrade_wanted(driver->core->home->node, members, count, record, durability);
}

/* ------------------------------------------------------------------ the steps */

static void
on_set_recorded(void *data, const struct writer_result *result, const struct err *err)
{
    struct driver *driver = data;
    driver->set_writing = false;
    if (err != NULL)
        log_warn("sync.record", "reason=\"%s\"", err->text);
    else if (result->revision > driver->acked_revision)
        driver->acked_revision = result->revision;
    if (err == NULL && driver->running)
        tail_poke(driver->core->tail); /* the next step follows when the cache has the row */
}

static void
on_names_set(void *data, const struct err *err)
{
    struct driver *driver = data;
    driver->arm = NULL;
    driver->names_known = err == NULL;
    if (err != NULL)
        log_warn("sync.names", "reason=\"%s\"", err->text);
    else if (driver->running)
        advance(driver);
}

static void
on_told(void *data, const struct arbiter_reply *reply)
{
    struct driver *driver = data;
    struct quorum_record record;
    driver->note_call = NULL;
    driver_note_heard(driver, reply);
    if (reply->result != ARBITER_DONE || !driver->running) {
        log_warn("sync.note", "result=%s reason=\"%s\"", arbiter_result_name(reply->result),
                 reply->err.text);
        return;
    }
    driver_record(driver, &record);
    driver->counters.degradations += driver->note.given_up && record.since[0] == '\0';
    advance(driver);
}

static void
write_record(struct driver *driver, const struct quorum_record *record)
{
    struct err err;
    struct json_object *group = writer_group(
        "baton", record->joint ? "the sync set changes: both count" : "the sync set has changed");
    writer_group_put(group, "sync/set", "", quorum_to_json(record), WRITER_ANY_REVISION);
    driver->writing_arbiter = record->arbiter;
    if (driver->recorded < record->noted)
        driver->recorded = record->noted;
    driver->set_writing = writer_submit(driver->core->writer, group, WRITER_PATIENT,
                                        on_set_recorded, driver, NULL, &err) == ERR_NONE;
    log_info("sync.set", "joint=%d turned=%d k=%u voters=%zu noted=%llu since=\"%s\"",
             record->joint, record->turned, record->now.k, record->now.count,
             (unsigned long long)record->noted, record->since);
}

static void
set_names(struct driver *driver, const struct quorum_set *set)
{
    struct quorum_set names = *set;
    log_info("sync.names", "k=%u voters=%zu", names.k, names.count);
    driver->names = names;
    repl_arm_cancel(take_ptr(&driver->arm));
    driver->arm = repl_arm_start(&driver->port, driver->core->home->node, NULL, 0, false,
                                 &driver->names, &driver->server_names, on_names_set, driver);
}

static void
carry_out(struct driver *driver, const struct degrade_action *action)
{
    if (strcmp(driver->obstacle, action->obstacle) != 0) {
        memcpy(driver->obstacle, action->obstacle, sizeof driver->obstacle);
        if (driver->obstacle[0] != '\0')
            log_warn("sync.waits", "ms=%llu reason=\"%s\"", (unsigned long long)driver->waited_ms,
                     driver->obstacle);
        driver_touch(driver);
    }
    switch (action->step) {
    case DEGRADE_STEP_NONE:
        break;
    case DEGRADE_STEP_RECORD:
        /* the writer takes none before the epoch's first row is acknowledged */
        if (driver->node.state == NODE_PRIMARY)
            write_record(driver, &action->record);
        break;
    case DEGRADE_STEP_NAMES:
        set_names(driver, &action->set);
        break;
    case DEGRADE_STEP_NOTE:
        log_warn("sync.tell", "number=%llu given_up=%d k=%u",
                 (unsigned long long)action->note.number, action->note.given_up,
                 action->note.set.k);
        driver->note_call = driver_note_tell(driver, &action->note, on_told);
        break;
    }
}

static void
look_again(struct driver *driver, uint64_t wait_ms)
{
    if (driver->waited_ms == 0 || driver->waited_ms >= wait_ms)
        return;
    uint64_t after_ms = wait_ms - driver->waited_ms + SET_AGAIN_MS_MIN;
    ev_timer_stop(driver->core->loop, &driver->set_again);
    ev_now_update(driver->core->loop);
    ev_timer_set(&driver->set_again, (double)after_ms / 1000.0, 0.0);
    ev_timer_start(driver->core->loop, &driver->set_again);
}

/* Who is primary, or would be but for the acknowledgement of its first row. */
static bool
is_to_advance(const struct driver *driver)
{
    enum node_state state = driver->node.state;
    bool waits = state == NODE_CLOSED && driver->promo.state == PROMO_STATE_ACKNOWLEDGING;
    return (waits || (state == NODE_PRIMARY && !promo_is_running(&driver->promo))) &&
           driver->arm == NULL && driver->note_call == NULL;
}

static void
advance(struct driver *driver)
{
    struct quorum_record record;
    struct degrade_action action;
    char time[CLOCK_TEXT_SIZE];
    if (!is_to_advance(driver) || !cache_loaded(driver->core->cache))
        return;
    if (!driver->names_known) { /* it was to have them, and did not confirm it */
        set_names(driver, &driver->names);
        return;
    }
    if (cache_position(driver->core->cache)->revision < driver->acked_revision)
        return; /* what we know is the record before the one that was written last */
    const struct setting_source *source = cache_settings(driver->core->cache);
    const struct cache_entry *entry = cache_get(driver->core->cache, "sync/set", "");
    bool has_arbiter = driver->arbiter != NULL;
    struct setting_durability durability =
        setting_durability(source, (unsigned)driver->peer_count, has_arbiter);
    driver_record(driver, &record);
    struct quorum_set wanted = wanted_set(driver, &record, &durability);
    const struct lease *lease = &driver->lease;
    struct degrade_view view = {
        .self = driver->core->home->node,
        .epoch = driver->node.own.epoch,
        .record = &record,
        .acknowledged = entry == NULL || entry->revision <= driver->acked_revision,
        .names = &driver->names,
        .wanted = &wanted,
        .writing = driver->set_writing,
        .writing_arbiter = driver->writing_arbiter,
        .recorded = driver->recorded,
        .acking = &driver->acking,
        .waited_ms = driver->waited_ms,
        .wait_ms = setting_u64(SETTING_SYNC_WAIT_MS, source),
        .arbiter = durability.available && has_arbiter ? driver->arbiter_revision : 0,
        .why = durability.available ? "durability 'available' needs an arbiter: baton arbiter set"
                                    : "durability is strict",
        .leased = lease->state != LEASE_STATE_FAILSAFE && lease->state != LEASE_STATE_NONE &&
                  !driver->changes_arbiter &&
                  lease_is_granted(lease, &driver->node.own.epoch, clock_now_ms()),
        .promised = driver->arbiter_promised,
        .note = driver_note(driver),
        .everywhere = entry != NULL && is_everywhere(driver, entry->revision),
        .revision = driver->node.own.applied.revision,
        .time = clock_wall_text(clock_wall_ms(), time),
    };
    degrade_next(&view, &action);
    carry_out(driver, &action);
    look_again(driver, view.wait_ms);
}

/* ------------------------------------------------------------------ when */

void
driver_set_look(struct driver *driver)
{
    (void)pq_query(driver->core->ctl, sql_commit_waits, 0, NULL, on_commit_waits, driver);
    (void)pq_query(driver->core->ctl, sql_standbys, 0, NULL, on_standbys, driver);
}

void
driver_set_changed(struct driver *driver)
{
    if (driver->node.state == NODE_PRIMARY && pq_state(driver->core->ctl) == PQ_READY)
        driver_set_look(driver);
}

bool
driver_set_is_telling(const struct driver *driver)
{
    struct quorum_record record;
    driver_record(driver, &record);
    return driver->note_call != NULL ||
           degrade_is_telling(&record, driver->note_known ? &driver->note : NULL,
                              &driver->node.own.epoch);
}

struct quorum_note
driver_set_note(const struct driver *driver)
{
    struct quorum_record record;
    driver_record(driver, &record);
    return degrade_note_to_carry(&record, driver->note_known ? &driver->note : NULL,
                                 &driver->node.own.epoch, driver->node.own.applied.revision);
}

static void
on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct driver *driver = timer->data;
    enum node_state state = driver->node.state;
    (void)loop, (void)revents;
    if ((state == NODE_PRIMARY || state == NODE_CLOSED) && pq_state(driver->core->ctl) == PQ_READY)
        driver_set_look(driver);
}

void
driver_set_start(struct driver *driver)
{
    ev_timer_init(&driver->set_again, on_again, 0.0, 0.0);
    driver->set_again.data = driver;
}

void
driver_set_stop(struct driver *driver)
{
    ev_timer_stop(driver->core->loop, &driver->set_again);
}
