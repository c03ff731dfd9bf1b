/*
 * What this node knows of the arbiter, the lease and taking over by itself, as documents.
 */
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/daemon/driver_inner.h"
#include "controller/daemon/view.h"

struct json_object *
view_pause(struct core *core)
{
    const struct cache_entry *entry = cache_get(core->cache, "pause", "");
    struct json_object *value = entry == NULL ? NULL : cache_value(entry);
    struct json_object *object = json_object_new_object();
    const char *until = NULL;
    const char *reason = NULL;
    const char *by = NULL;
    int64_t until_ms = 0;
    int64_t now_ms = clock_wall_ms();
    bool paused = json_get_string(value, "until", &until) && clock_wall_parse(until, &until_ms) &&
                  until_ms > now_ms;
    if (paused) {
        (void)!json_get_string(value, "reason", &reason);
        (void)!json_get_string(value, "by", &by);
    }
    json_add_bool(object, "paused", paused);
    json_add_string(object, "until", paused ? until : NULL);
    json_add_string(object, "reason", reason);
    json_add_string(object, "by", by);
    json_add_string(object, "at", paused ? entry->at : NULL);
    json_add(object, "left_ms", paused ? json_object_new_int64(until_ms - now_ms) : NULL);
    return object;
}
