#include "controller/daemon/cache.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

/* Entries in order, so that a look-up is a binary search and a prefix is a run. */
struct shelf {
    struct cache_entry **entries; /* owned */
    size_t count;
    size_t capacity;
};

struct cache {
    char node[CACHE_NAME_SIZE];
    char site[CACHE_NAME_SIZE];
    struct shelf shared;
    struct shelf local;
    struct shelf shared_before; /* during a reload: what is given up at its end */
    struct shelf local_before;
    struct cache_position position;
    uint64_t generation;
    bool loaded;
    bool reloading;
    bool reloading_shared;
    struct list watchers;
    struct setting_source source;
};

static void
entry_free(struct cache_entry *entry)
{
    free(entry->key);
    free(entry->site);
    free(entry->text);
    free(entry->author);
    free(entry->at);
    (void)json_object_put(entry->parsed);
    free(entry);
}

static struct cache_entry *
entry_new(const struct cache_row *row)
{
    struct cache_entry *entry = mem_zero(1, sizeof *entry);
    entry->key = str_dup(row->key);
    entry->site = str_dup(row->site == NULL ? "" : row->site);
    entry->text = str_dup(row->text);
    entry->revision = row->revision;
    entry->epoch = row->epoch;
    entry->author = str_dup(row->author == NULL ? "" : row->author);
    entry->at = str_dup(row->at == NULL ? "" : row->at);
    return entry;
}

static int
compare(const struct cache_entry *entry, const char *key, const char *site)
{
    int order = strcmp(entry->key, key);
    return order != 0 ? order : strcmp(entry->site, site);
}

/* The first place whose entry is not before (key, site). */
static size_t
shelf_find(const struct shelf *shelf, const char *key, const char *site)
{
    size_t low = 0;
    size_t high = shelf->count;
    /* rows come in order when all is loaded: look at the end first */
    if (high > 0 && compare(shelf->entries[high - 1], key, site) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(shelf->entries[middle], key, site) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
shelf_holds(const struct shelf *shelf, size_t at, const char *key, const char *site)
{
    return at < shelf->count && compare(shelf->entries[at], key, site) == 0;
}

static void
shelf_put(struct shelf *shelf, const struct cache_row *row)
{
    const char *site = row->site == NULL ? "" : row->site;
    size_t at = shelf_find(shelf, row->key, site);
    bool there = shelf_holds(shelf, at, row->key, site);
    if (row->text == NULL) {
        if (!there)
            return;
        entry_free(shelf->entries[at]);
        shelf->count--;
        memmove(&shelf->entries[at], &shelf->entries[at + 1],
                (shelf->count - at) * sizeof(struct cache_entry *));
        return;
    }
    struct cache_entry *entry = entry_new(row);
    if (there) {
        entry_free(shelf->entries[at]);
        shelf->entries[at] = entry;
        return;
    }
    if (shelf->count == shelf->capacity) {
        shelf->capacity = shelf->capacity == 0 ? 64 : shelf->capacity * 2;
        shelf->entries = mem_grow(shelf->entries, shelf->capacity, sizeof(struct cache_entry *));
    }
    memmove(&shelf->entries[at + 1], &shelf->entries[at],
            (shelf->count - at) * sizeof(struct cache_entry *));
    shelf->entries[at] = entry;
    shelf->count++;
}

static void
shelf_done(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++)
        entry_free(shelf->entries[i]);
    free(shelf->entries);
    *shelf = (struct shelf){ 0 };
}

static const struct cache_entry *
shelf_get(const struct shelf *shelf, const char *key, const char *site)
{
    size_t at = shelf_find(shelf, key, site);
    return shelf_holds(shelf, at, key, site) ? shelf->entries[at] : NULL;
}

static const struct cache_entry *
shelf_next(const struct shelf *shelf, const char *prefix, const char *site, size_t *at)
{
    /* '*at' is one beyond the place that was answered last; 0 before the first answer */
    size_t place = *at == 0 ? shelf_find(shelf, prefix, "") : *at;
    for (; place < shelf->count; place++) {
        const struct cache_entry *entry = shelf->entries[place];
        if (!str_starts(entry->key, prefix))
            break;
        if (site == NULL || strcmp(entry->site, site) == 0) {
            *at = place + 1;
            return entry;
        }
    }
    return NULL;
}

static bool
find_stored(void *data, enum setting_layer layer, const char *site, const char *key,
            struct setting_stored *ret)
{
    const struct cache *cache = data;
    const struct cache_entry *entry =
        layer == SETTING_LAYER_NODE ? cache_local(cache, key) : cache_get(cache, key, site);
    if (entry == NULL)
        return false;
    *ret = (struct setting_stored){ .value = cache_value(entry),
                                    .author = entry->author,
                                    .at = entry->at,
                                    .revision = entry->revision };
    return true;
}

struct cache *
cache_new(const char *node, const char *site)
{
    struct cache *cache = mem_zero(1, sizeof *cache);
    ASSERT(str_copy(cache->node, sizeof cache->node, node));
    ASSERT(str_copy(cache->site, sizeof cache->site, site));
    list_init(&cache->watchers);
    cache->source = (struct setting_source){
        .find = find_stored, .data = cache, .site = cache->site, .node_known = true
    };
    return cache;
}

void
cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    ASSERT(list_empty(&cache->watchers));
    shelf_done(&cache->shared);
    shelf_done(&cache->local);
    shelf_done(&cache->shared_before);
    shelf_done(&cache->local_before);
    free(cache);
}

const char *
cache_node(const struct cache *cache)
{
    return cache->node;
}

const char *
cache_site(const struct cache *cache)
{
    return cache->site;
}

const struct setting_source *
cache_settings(const struct cache *cache)
{
    return &cache->source;
}

bool
cache_loaded(const struct cache *cache)
{
    return cache->loaded;
}

const struct cache_position *
cache_position(const struct cache *cache)
{
    return &cache->position;
}

uint64_t
cache_generation(const struct cache *cache)
{
    return cache->generation;
}

const struct cache_entry *
cache_get(const struct cache *cache, const char *key, const char *site)
{
    return shelf_get(&cache->shared, key, site);
}

const struct cache_entry *
cache_local(const struct cache *cache, const char *key)
{
    return shelf_get(&cache->local, key, "");
}

struct json_object *
cache_value(const struct cache_entry *entry)
{
    if (entry->parsed == NULL) {
        struct err err;
        /* the entry stays the same to all who look: only the parsed form is made when needed */
        struct cache_entry *own = (struct cache_entry *)(uintptr_t)entry;
        if (json_read(entry->text, strlen(entry->text), &own->parsed, &err) != ERR_NONE)
            return NULL;
    }
    return entry->parsed;
}

const struct cache_entry *
cache_next(const struct cache *cache, const char *prefix, const char *site, size_t *at)
{
    return shelf_next(&cache->shared, prefix, site, at);
}

const struct cache_entry *
cache_local_next(const struct cache *cache, const char *prefix, size_t *at)
{
    return shelf_next(&cache->local, prefix, NULL, at);
}

size_t
cache_count(const struct cache *cache)
{
    return cache->shared.count;
}

static void
tell(struct cache *cache, enum cache_change change, const char *key, const char *site)
{
    cache->generation++;
    if (cache->reloading)
        return;
    list_each (at, &cache->watchers) {
        struct cache_watcher *watcher = CONTAINER_OF(at, struct cache_watcher, node);
        watcher->changed(watcher, change, key, site);
    }
}

void
cache_watch(struct cache *cache, struct cache_watcher *watcher)
{
    list_init(&watcher->node);
    list_add_tail(&cache->watchers, &watcher->node);
}

void
cache_unwatch(struct cache_watcher *watcher)
{
    list_remove(&watcher->node);
}

void
cache_put(struct cache *cache, const struct cache_row *row)
{
    shelf_put(&cache->shared, row);
    tell(cache, CACHE_SHARED, row->key, row->site == NULL ? "" : row->site);
}

void
cache_put_local(struct cache *cache, const struct cache_row *row)
{
    shelf_put(&cache->local, row);
    tell(cache, CACHE_LOCAL, row->key, "");
}

void
cache_set_position(struct cache *cache, const struct cache_position *position)
{
    cache->position = *position;
}

void
cache_reload_begin(struct cache *cache, bool shared, bool local)
{
    ASSERT(!cache->reloading);
    cache->reloading = true;
    cache->reloading_shared = shared;
    if (shared) {
        cache->shared_before = cache->shared;
        cache->shared = (struct shelf){ 0 };
    }
    if (local) {
        cache->local_before = cache->local;
        cache->local = (struct shelf){ 0 };
    }
}

void
cache_reload_end(struct cache *cache)
{
    ASSERT(cache->reloading);
    cache->reloading = false;
    cache->loaded = cache->loaded || cache->reloading_shared;
    shelf_done(&cache->shared_before);
    shelf_done(&cache->local_before);
    tell(cache, CACHE_RELOAD, NULL, NULL);
}
