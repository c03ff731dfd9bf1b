/*
 * cache.h -- what this node's database holds, in memory: the shared config, the local settings and
 * the position they stand at. It is loaded once and kept current by tail.h; it never asks anybody.
 *
 *   C1  The cache shows what is committed here, in commit order, and never anything else.
 *   C2  Entries are ordered by key, then site (bytes); '' is the cluster scope and comes first.
 *   C3  A watcher hears of each change after the cache shows it, and of a reload as one event.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/list.h"
#include "controller/base/own.h"
#include "sites/setting.h"

#define CACHE_HASH_SIZE 65 /* SHA-256 as hexadecimal text */
#define CACHE_NAME_SIZE 64 /* names of nodes and sites */

struct cache_entry {
    char *key;         /* owned */
    char *site;        /* owned; "" is the cluster scope; always "" for local settings */
    char *text;        /* owned; the value as compact JSON */
    uint64_t revision; /* of the change that made it; 0 for local settings */
    uint64_t epoch;
    char *author; /* owned */
    char *at;     /* owned; "2026-11-22T05:41:03.123Z" */
    /* private */
    struct json_object *parsed; /* owned; see cache_value() */
};

struct cache_position {
    uint64_t revision; /* applied */
    uint64_t epoch;    /* of the row at 'revision' */
    char holder[CACHE_NAME_SIZE];
    char hash[CACHE_HASH_SIZE]; /* head hash at 'revision'; "" while nothing is loaded */
    uint64_t log_base;          /* rows of the log up to it are no longer kept here */
};

struct cache;

struct cache *cache_new(const char *node, const char *site); /* both copied: who we are */
void cache_free(struct cache *cache);
const char *cache_node(const struct cache *cache);
const char *cache_site(const struct cache *cache);

/* False until the first load: nothing may be decided by an empty cache. */
bool cache_loaded(const struct cache *cache);
const struct cache_position *cache_position(const struct cache *cache);
/* Grows with every change, shared or local. */
uint64_t cache_generation(const struct cache *cache);

/* Borrowed until the next change of the cache; NULL when there is none. */
const struct cache_entry *cache_get(const struct cache *cache, const char *key, const char *site);
const struct cache_entry *cache_local(const struct cache *cache, const char *key);
/* The parsed value, borrowed from the entry; parsed once. NULL for JSON null. */
struct json_object *cache_value(const struct cache_entry *entry);

/*
 * Walks the entries in order: 'prefix' "" is all; 'site' NULL is every scope. '*at' starts at 0.
 *     for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;)
 * The cache must not change in between.
 */
const struct cache_entry *cache_next(const struct cache *cache, const char *prefix,
                                     const char *site, size_t *at);
const struct cache_entry *cache_local_next(const struct cache *cache, const char *prefix,
                                           size_t *at);
size_t cache_count(const struct cache *cache);

/* What sites/setting.h asks for this node's effective values: setting_u64(SETTING_X, source).
 * Borrowed from the cache. */
const struct setting_source *cache_settings(const struct cache *cache);

/* Kinds of change that a watcher hears of. */
enum cache_change {
    CACHE_SHARED, /* one shared key was put or removed */
    CACHE_LOCAL,  /* one local setting was put or removed */
    CACHE_RELOAD, /* everything may be different: key and site are NULL */
};

struct cache_watcher {
    struct list node; /* private */
    /* 'key' and 'site' are borrowed for the call. The cache may be read, not changed. */
    void (*changed)(struct cache_watcher *watcher, enum cache_change change, const char *key,
                    const char *site);
};

void cache_watch(struct cache *cache, struct cache_watcher *watcher);
void cache_unwatch(struct cache_watcher *watcher);

/* ---- for tail.h and tests: changes. Texts are copied. ---- */

struct cache_row {
    const char *key;
    const char *site;
    const char *text; /* NULL removes the entry */
    uint64_t revision;
    uint64_t epoch;
    const char *author;
    const char *at;
};

void cache_put(struct cache *cache, const struct cache_row *row);
void cache_put_local(struct cache *cache, const struct cache_row *row);
void cache_set_position(struct cache *cache, const struct cache_position *position);
/* Between the two the watchers are silent; at the end they hear CACHE_RELOAD once. */
void cache_reload_begin(struct cache *cache, bool shared, bool local);
void cache_reload_end(struct cache *cache);
