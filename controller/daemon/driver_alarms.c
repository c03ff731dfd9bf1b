/*
 * Tells when an alarm begins and when it is over: once each, to the log and to those who listen.
 *
 * One that is gone at the next look, a second later, is not worth the noise: roles just changed.
 *
 * What stands in the status is what is so now. Who was not looking learns here that there was
 * trouble, and for how long.
 */
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/view.h"

/* The alarm and whom it is about: what follows the first colon of its text may change. */
static char *
identity(struct json_object *alarm)
{
    const char *name = "";
    const char *text = "";
    (void)!json_get_string(alarm, "name", &name);
    (void)!json_get_string(alarm, "text", &text);
    return str_printf("%s %.*s", name, (int)strcspn(text, ":"), text);
}

static void
tell(struct driver *driver, struct json_object *alarm, const char *state, uint64_t for_ms)
{
    const char *name = "";
    const char *text = "";
    struct json_object *document = json_object_new_object();
    (void)!json_get_string(alarm, "name", &name);
    (void)!json_get_string(alarm, "text", &text);
    json_add_string(document, "name", name);
    json_add_string(document, "text", text);
    json_add_string(document, "state", state);
    json_add_u64(document, "for_ms", for_ms);
    log_warn("alarm", "name=%s state=%s for_ms=%llu text=\"%s\"", name, state,
             (unsigned long long)for_ms, text);
    driver_emit(driver, "alarm", document);
}

/* 'known' with what lasts: since when, and the newest text. */
static void
take(struct driver *driver, struct json_object *known, struct json_object *alarm)
{
    CLEANUP(freep) char *key = identity(alarm);
    struct json_object *entry = NULL;
    uint64_t since_ms = clock_now_ms();
    struct json_object *before = json_get(driver->alarms, key);
    bool told = false;
    if (json_get(known, key) != NULL)
        return;
    if (before != NULL) {
        (void)!json_get_u64(before, "since_ms", &since_ms);
        (void)!json_get_bool(before, "told", &told);
        if (!told)
            tell(driver, alarm, "raised", clock_now_ms() - since_ms);
    }
    ASSERT(json_object_deep_copy(alarm, &entry, NULL) == 0);
    json_add_u64(entry, "since_ms", since_ms);
    json_add_bool(entry, "told", before != NULL);
    json_add(known, key, entry);
}

void
driver_alarms_look(struct driver *driver)
{
    if (!driver->running || driver->core->stopping || !cache_loaded(driver->core->cache))
        return;
    CLEANUP(json_putp) struct json_object *list = view_alarms(driver->core);
    struct json_object *known = json_object_new_object();
    if (driver->alarms == NULL)
        driver->alarms = json_object_new_object();
    for (size_t i = 0; i < json_object_array_length(list); i++)
        take(driver, known, json_object_array_get_idx(list, i));
    json_object_object_foreach (driver->alarms, key, entry) {
        uint64_t since_ms = 0;
        bool told = false;
        if (json_get(known, key) == NULL && json_get_u64(entry, "since_ms", &since_ms) &&
            json_get_bool(entry, "told", &told) && told)
            tell(driver, entry, "over", clock_now_ms() - since_ms);
    }
    json_putp(&driver->alarms);
    driver->alarms = known;
}
