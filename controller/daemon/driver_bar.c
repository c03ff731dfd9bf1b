/*
 * Who was removed is named to the witness: its certificate is good for weeks after that, and the
 * witness reads no log. Said by the holder of the lease, again after each start and for each lease,
 * for what the witness has already does no harm.
 */
#include <stdio.h>
#include <string.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/buf.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
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

/* The witness keeps whom we leave out, so that what does not fit any more was told before. */
static char *
barred(const struct driver *driver)
{
    CLEANUP(json_putp) struct json_object *names = json_object_new_object();
    const struct cache_entry *entry;
    size_t size = 0;
    for (size_t at = 0; (entry = cache_next(driver->core->cache, "node/", "", &at)) != NULL;) {
        const char *name = entry->key + strlen("node/");
        uint64_t first = first_let_in(cache_value(entry));
        size += strlen(name) + sizeof "\"\":,18446744073709551615";
        if (first > 1 && size < ARBITER_NOTE_SIZE - sizeof "{}")
            json_add_u64(names, name, first);
    }
    return str_dup(json_text(names));
}

static void
on_barred(void *data, const struct arbiter_reply *reply)
{
    struct driver *driver = data;
    driver->bar_call = NULL;
    if (reply->result == ARBITER_DONE) {
        free(driver->barred);
        driver->barred = take_ptr(&driver->barring);
        log_info("arbiter.bar", "names=\"%s\"", driver->barred);
        return;
    }
    log_debug("arbiter.bar", "result=%s reason=\"%s\"", arbiter_result_name(reply->result),
              reply->err.text);
    free(take_ptr(&driver->barring)); /* the next look asks again */
}

void
driver_bar_stop(struct driver *driver)
{
    arbiter_cancel(take_ptr(&driver->bar_call));
    free(take_ptr(&driver->barring));
    free(take_ptr(&driver->barred));
}

void
driver_bar_look(struct driver *driver)
{
    const struct lease *lease = &driver->lease;
    if (driver->arbiter == NULL || driver->arbiter_kind != ARBITER_POSTGRES ||
        lease->state != LEASE_STATE_HELD) {
        driver_bar_stop(driver);
        return;
    }
    if (driver->bar_call != NULL)
        return;
    CLEANUP(freep) char *names = barred(driver);
    if (strcmp(names, driver->barred == NULL ? "{}" : driver->barred) == 0)
        return;
    struct arbiter_ask ask = { .op = ARBITER_OP_BAR,
                               .epoch = lease->epoch,
                               .known = lease->memory.seen,
                               .deadline_ms = (uint32_t)lease->config.renew_ms,
                               .note = names };
    driver->barring = take_ptr(&names);
    driver->bar_call = arbiter_start(driver->arbiter, &ask, on_barred, driver);
}
