/*
 * Who was removed is named to the witness: its certificate is good for weeks after that, and the
 * witness reads no log. Said by the holder of the lease, again after each start and for each lease,
 * for what the witness has already does no harm. It keeps whom a call leaves out, so that many
 * names go in several calls.
 */
#include <string.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/daemon/driver_inner.h"

/* The first generation of the name that is let in. */
static uint64_t
first_let_in(struct json_object *node)
{
    uint64_t generation = 1;
    bool removed = false;
    (void)!json_get_u64(node, "generation", &generation);
    (void)!json_get_bool(node, "removed", &removed);
    return removed ? generation + 1 : generation;
}

/* All who were removed: their names, and the first generation of each that is let in. */
static struct json_object *
removed_names(const struct driver *driver)
{
    struct json_object *names = json_object_new_object();
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(driver->core->cache, "node/", "", &at)) != NULL;) {
        uint64_t first = first_let_in(cache_value(entry));
        if (first > 1)
            json_add_u64(names, entry->key + strlen("node/"), first);
    }
    return names;
}

static void
on_barred(void *data, const struct arbiter_reply *reply)
{
    struct driver *driver = data;
    CLEANUP(json_putp) struct json_object *names = take_ptr(&driver->barring);
    driver->bar_call = NULL;
    if (reply->result != ARBITER_DONE) { /* the next look asks again */
        log_debug("arbiter.bar", "result=%s reason=\"%s\"", arbiter_result_name(reply->result),
                  reply->err.text);
        return;
    }
    if (driver->barred == NULL)
        driver->barred = json_object_new_object();
    json_object_object_foreach (names, name, first) {
        json_add(driver->barred, name, json_object_get(first));
    }
    log_info("arbiter.bar", "names=\"%s\"", json_text(names));
}

void
driver_bar_stop(struct driver *driver)
{
    arbiter_cancel(take_ptr(&driver->bar_call));
    json_putp(&driver->barring);
    json_putp(&driver->barred);
    driver->bar_revision = 0;
}

void
driver_bar_look(struct driver *driver)
{
    const struct lease *lease = &driver->lease;
    uint64_t revision = cache_position(driver->core->cache)->revision;
    if (driver->arbiter == NULL || driver->arbiter_kind != ARBITER_POSTGRES ||
        lease->state != LEASE_STATE_HELD) {
        driver_bar_stop(driver);
        return;
    }
    if (driver->bar_call != NULL || driver->bar_revision == revision)
        return;
    CLEANUP(json_putp) struct json_object *removed = removed_names(driver);
    driver->barring = arbiter_bar_next(driver->barred, removed);
    if (driver->barring == NULL) {
        driver->bar_revision = revision;
        return;
    }
    struct arbiter_ask ask = { .op = ARBITER_OP_BAR,
                               .epoch = lease->epoch,
                               .known = lease->memory.seen,
                               .deadline_ms = (uint32_t)lease->config.renew_ms,
                               .note = json_text(driver->barring) };
    driver->bar_call = arbiter_start(driver->arbiter, &ask, on_barred, driver);
}
