#include "controller/daemon/tuning.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/writer.h"
#include "sites/setting.h"

struct tuning {
    struct core *core;    /* borrowed */
    enum log_level level; /* of the command line */
    struct cache_watcher watcher;
};

static enum log_level
wanted_level(const struct tuning *tuning)
{
    const struct setting_row *row = setting_row(SETTING_LOG_LEVEL);
    CLEANUP(setting_value_done) struct setting_value value;
    enum log_level level = tuning->level;
    setting_resolve(row, row->name, cache_settings(tuning->core->cache), &value);
    if (value.layer != SETTING_LAYER_DEFAULT)
        (void)log_level_from_name(json_object_get_string(value.value), &level);
    return level;
}

static void
apply(struct tuning *tuning)
{
    const struct core *core = tuning->core;
    const struct setting_source *source = cache_settings(core->cache);
    if (!cache_loaded(core->cache))
        return;
    log_set_level(wanted_level(tuning));
    writer_set_limits(core->writer,
                      (struct writer_limits){
                          .queue_max = setting_u64(SETTING_WRITE_QUEUE_MAX, source),
                          .hold_ms = setting_u64(SETTING_WRITE_HOLD_MS, source),
                          .commit_wait_ms = setting_u64(SETTING_SYNC_COMMIT_WAIT_MS, source),
                      });
}

static void
on_changed(struct cache_watcher *watcher, enum cache_change change, const char *key,
           const char *site)
{
    (void)site;
    const struct setting_row *row = change == CACHE_RELOAD ? NULL : setting_find(key);
    if (change == CACHE_RELOAD ||
        (row != NULL &&
         (row->id == SETTING_LOG_LEVEL || row->id == SETTING_WRITE_QUEUE_MAX ||
          row->id == SETTING_WRITE_HOLD_MS || row->id == SETTING_SYNC_COMMIT_WAIT_MS)))
        apply(CONTAINER_OF(watcher, struct tuning, watcher));
}

struct tuning *
tuning_open(struct core *core, enum log_level level)
{
    struct tuning *tuning = mem_zero(1, sizeof *tuning);
    tuning->core = core;
    tuning->level = level;
    tuning->watcher.changed = on_changed;
    cache_watch(core->cache, &tuning->watcher);
    apply(tuning);
    return tuning;
}

void
tuning_close(struct tuning *tuning)
{
    if (tuning == NULL)
        return;
    cache_unwatch(&tuning->watcher);
    free(tuning);
}
