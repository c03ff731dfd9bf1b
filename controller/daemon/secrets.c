#include "controller/daemon/secrets.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/view.h"
#include "controller/loop/seal.h"
#include "sites/notice.h"

#define STEPS_MAX 512

_Static_assert(SEAL_ID_SIZE == SEALING_ID_SIZE, "one form of key ids");
_Static_assert(SEAL_NONCE_SIZE == SEALING_NONCE_SIZE, "one form of sealed values");
_Static_assert(SEAL_TAG_SIZE == SEALING_TAG_SIZE, "one form of sealed values");
_Static_assert(SEAL_PUBLIC_SIZE == SEALING_PUBLIC_SIZE, "one form of public keys");

struct secrets {
    struct core *core; /* borrowed */
    secrets_write_fn *write;
    void *write_data; /* borrowed */
    struct cache_watcher watcher;
    ev_timer look;
    bool writing;
    uint64_t changed_ms; /* when what 'look' is for changed last */
    bool identified;     /* 'identity' is known */
    struct seal_identity identity;
    struct seal_key held[SECRETS_HELD_MAX];
    size_t held_count;
};

/* ------------------------------------------------------------------ what is there */

static const struct cache_entry *
keys_entry(const struct secrets *secrets)
{
    return cache_get(secrets->core->cache, SEALING_KEYS, "");
}

static struct json_object *
keys_now(const struct secrets *secrets)
{
    const struct cache_entry *entry = keys_entry(secrets);
    return entry == NULL ? NULL : cache_value(entry);
}

static const struct cache_entry *
next_secret(const struct secrets *secrets, size_t *at)
{
    return cache_next(secrets->core->cache, SEALING_PREFIX, "", at);
}

/* "secret/NAME" of NAME or "secret/NAME"; NULL: no name. */
static const char *
secret_key(const char *name, char to[SETTING_KEY_SIZE_MAX + 1])
{
    const char *bare = str_starts(name, SEALING_PREFIX) ? name + strlen(SEALING_PREFIX) : name;
    (void)snprintf(to, SETTING_KEY_SIZE_MAX + 1, "%s%.200s", SEALING_PREFIX, bare);
    return sealing_is_secret(to) ? to : NULL;
}

static enum err_code
identify(struct secrets *secrets, struct err *err)
{
    if (secrets->identified)
        return ERR_NONE;
    CLEANUP(freep) char *path = home_path(secrets->core->home, "seal.key");
    enum err_code code = seal_identity_load(path, &secrets->identity, err);
    secrets->identified = code == ERR_NONE;
    return code;
}

struct members {
    struct sealing_member *list; /* owned; the texts are the cache's */
    size_t count;
};

static void
members_done(struct members *members)
{
    free(members->list);
}

/* We know our own public key, whether we have told it or not. */
static struct members
members_now(const struct secrets *secrets)
{
    struct members members = { 0 };
    const struct cache_entry *entry;
    const struct cache *cache = secrets->core->cache;
    for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;) {
        struct sealing_member member = { .name = entry->key + strlen("node/"), .public_key = "" };
        (void)!json_get_bool(cache_value(entry), "removed", &member.removed);
        (void)!json_get_string(cache_value(entry), "seal_key", &member.public_key);
        if (secrets->identified && strcmp(member.name, secrets->core->home->node) == 0)
            member.public_key = secrets->identity.public_key;
        members.list = mem_grow(members.list, members.count + 1, sizeof *members.list);
        members.list[members.count++] = member;
    }
    return members;
}

/* The ids of the keys that something is sealed by; borrowed from the cache. */
static size_t
used_now(const struct secrets *secrets, const char *used[SEALING_COUNT_MAX])
{
    size_t count = 0;
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = next_secret(secrets, &at)) != NULL;) {
        const char *key = sealing_key_of(cache_value(entry));
        bool known = key == NULL;
        for (size_t i = 0; !known && i < count; i++)
            known = strcmp(used[i], key) == 0;
        if (!known && count < SEALING_COUNT_MAX)
            used[count++] = key;
    }
    return count;
}

/* ------------------------------------------------------------------ keys */

static const struct seal_key *
held_key(const struct secrets *secrets, const char *id)
{
    for (size_t i = 0; i < secrets->held_count; i++) {
        if (strcmp(secrets->held[i].id, id) == 0)
            return &secrets->held[i];
    }
    return NULL;
}

/* The oldest makes room: it can be opened again. */
static const struct seal_key *
hold_key(struct secrets *secrets, const struct seal_key *key)
{
    if (secrets->held_count == SECRETS_HELD_MAX) {
        memmove(&secrets->held[0], &secrets->held[1],
                (SECRETS_HELD_MAX - 1) * sizeof secrets->held[0]);
        secrets->held_count--;
    }
    secrets->held[secrets->held_count] = *key;
    return &secrets->held[secrets->held_count++];
}

/* The data key, out of our own box. */
static enum err_code
find_key(struct secrets *secrets, const char *id, const struct seal_key **ret_key, struct err *err)
{
    *ret_key = held_key(secrets, id);
    if (*ret_key != NULL)
        return ERR_NONE;
    struct err why = { 0 };
    struct seal_key key;
    const char *box = sealing_box(keys_now(secrets), id, secrets->core->home->node, NULL);
    enum err_code code = box == NULL ? ERR_NOT_FOUND : identify(secrets, &why);
    if (code == ERR_NONE)
        code = seal_unbox(&secrets->identity, box, id, &key, &why);
    if (code == ERR_NONE) {
        *ret_key = hold_key(secrets, &key);
        seal_key_done(&key);
        return ERR_NONE;
    }
    (void)err_set(err, ERR_UNAVAILABLE, "seal_key_missing", "%s has not got data key %s%s%s",
                  secrets->core->home->node, id, why.text[0] == '\0' ? "" : ": ", why.text);
    if (why.mend[0] != '\0')
        return err_mend(err, "%s", why.mend);
    return err_mend(err,
                    "a member that has it gives it within seconds: baton secret list. When none "
                    "has it any more, delete the secrets and set them again");
}

/* ------------------------------------------------------------------ reading */

static char *
bound_to(const struct secrets *secrets, const char *key, const char *id)
{
    return sealing_bound(secrets->core->home->cluster_id, key, id);
}

static enum err_code
open_value(struct secrets *secrets, const char *name, struct json_object *value, struct buf *to,
           struct err *err)
{
    const struct seal_key *key;
    CLEANUP(sealing_value_done) struct sealing_value sealed = { 0 };
    if (!sealing_read(value, &sealed))
        return err_set(err, ERR_INVALID, "seal_broken", "'%s' is not sealed", name);
    CLEANUP(freep) char *bound = bound_to(secrets, name, sealed.key);
    enum err_code code = find_key(secrets, sealed.key, &key, err);
    if (code == ERR_NONE)
        code = seal_open(key, bound, sealed.bytes, sealed.size, to, err);
    return code == ERR_NONE ? code : err_wrap(err, "%s", name);
}

static enum err_code
open_entry(struct secrets *secrets, const struct cache_entry *entry, struct buf *to,
           struct err *err)
{
    return open_value(secrets, entry->key, cache_value(entry), to, err);
}

enum err_code
secrets_read(void *data, const char *name, struct buf *to, struct err *err)
{
    struct secrets *secrets = data;
    char text[SETTING_KEY_SIZE_MAX + 1];
    const char *key = secret_key(name, text);
    const struct cache_entry *entry = key == NULL ? NULL : cache_get(secrets->core->cache, key, "");
    if (entry != NULL)
        return open_entry(secrets, entry, to, err);
    if (!cache_loaded(secrets->core->cache))
        return err_set(err, ERR_UNAVAILABLE, "config_unknown",
                       "this node has not yet read its configuration");
    (void)err_set(err, ERR_NOT_FOUND, "secret_not_found", "there is no secret '%.63s'", name);
    return err_mend(err, "baton secret set NAME; baton secret list shows the names");
}

const char *
secrets_state_name(enum secrets_state state)
{
    static const char *const names[] = {
        [SECRETS_HERE] = "here", [SECRETS_LOCKED] = "locked", [SECRETS_MISSING] = "missing"
    };
    return names[state];
}

enum secrets_state
secrets_state(struct secrets *secrets, const char *name)
{
    struct err err;
    char text[SETTING_KEY_SIZE_MAX + 1];
    const struct seal_key *key;
    const char *wanted = secret_key(name, text);
    const struct cache_entry *entry =
        wanted == NULL ? NULL : cache_get(secrets->core->cache, wanted, "");
    if (entry == NULL)
        return SECRETS_MISSING;
    const char *id = sealing_key_of(cache_value(entry));
    return id != NULL && find_key(secrets, id, &key, &err) == ERR_NONE ? SECRETS_HERE
                                                                       : SECRETS_LOCKED;
}

/* ------------------------------------------------------------------ giving keys */

static struct json_object *
copy_of(struct json_object *value)
{
    struct json_object *copy = NULL;
    if (value != NULL)
        ASSERT(json_object_deep_copy(value, &copy, NULL) == 0);
    return copy;
}

/* Carries out in 'keys' what can be done here. Returns how many steps that were. */
static size_t
carry_out(struct secrets *secrets, struct json_object *keys, const char *const *used,
          size_t used_count)
{
    struct err err;
    size_t done = 0;
    CLEANUP(members_done) struct members members = members_now(secrets);
    CLEANUP(freep) struct sealing_step *steps = mem_zero(STEPS_MAX, sizeof *steps);
    size_t count =
        sealing_plan(keys, members.list, members.count, used, used_count, steps, STEPS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct seal_key *key;
        CLEANUP(freep) char *box = NULL;
        if (steps[i].kind == SEALING_GIVE &&
            (find_key(secrets, steps[i].key, &key, &err) != ERR_NONE ||
             seal_box(key, steps[i].public_key, &box, &err) != ERR_NONE))
            continue; /* another member can, or nobody */
        sealing_apply(keys, &steps[i], box);
        done++;
    }
    return done;
}

static void
look_after(struct secrets *secrets, uint64_t after_ms)
{
    if (secrets->core->stopping)
        return;
    ev_timer_stop(secrets->core->loop, &secrets->look);
    ev_timer_set(&secrets->look, (double)after_ms / 1000, 0);
    ev_timer_start(secrets->core->loop, &secrets->look);
}

static void
on_written(void *data, const struct writer_result *result, const struct err *err)
{
    struct secrets *secrets = data;
    (void)result;
    secrets->writing = false;
    if (err != NULL && err->code != ERR_STALE && !secrets->core->stopping)
        log_warn("secrets.write", "reason=\"%s\"", err->text);
    /* stale: somebody was quicker; and what changed while this was under way was not looked at */
    look_after(secrets, err == NULL ? SECRETS_LOOK_MS : SECRETS_AGAIN_MS);
}

static void
write_one(struct secrets *secrets, const char *reason, const struct cache_entry *entry,
          struct json_object *value)
{
    struct json_object *group = writer_group(secrets->core->home->node, reason);
    writer_group_put(group, entry->key, "", value, entry->revision);
    secrets->writing = true;
    secrets->write(secrets->write_data, group, on_written, secrets);
}

/* True: our public key was not told, and is on its way. */
static bool
tell_public(struct secrets *secrets, const struct cache_entry *node)
{
    const char *told = "";
    (void)!json_get_string(cache_value(node), "seal_key", &told);
    if (strcmp(told, secrets->identity.public_key) == 0)
        return false;
    struct json_object *value = copy_of(cache_value(node));
    json_add_string(value, "seal_key", secrets->identity.public_key);
    write_one(secrets, "to be given the data key of the secrets", node, value);
    return true;
}

static const struct cache_entry *
own_node(const struct secrets *secrets)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    bool removed = false;
    (void)snprintf(key, sizeof key, "node/%s", secrets->core->home->node);
    const struct cache_entry *node = cache_get(secrets->core->cache, key, "");
    if (node != NULL)
        (void)!json_get_bool(cache_value(node), "removed", &removed);
    return removed ? NULL : node;
}

static uint64_t
turn_ms(const struct secrets *secrets)
{
    CLEANUP(members_done) struct members members = members_now(secrets);
    struct driver_primary primary = driver_primary(secrets->core->driver);
    return SECRETS_TURN_MS * sealing_turn(keys_now(secrets), members.list, members.count,
                                          primary.name, secrets->core->home->node);
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct err err;
    struct secrets *secrets = CONTAINER_OF(timer, struct secrets, look);
    const struct cache_entry *entry = keys_entry(secrets);
    const struct cache_entry *node = own_node(secrets);
    const char *used[SEALING_COUNT_MAX];
    if (entry == NULL || node == NULL || secrets->writing || secrets->core->stopping) /* Y2 */
        return;
    if (driver_primary(secrets->core->driver).name[0] == '\0') {
        look_after(secrets, SECRETS_AGAIN_MS);
        return;
    }
    if (identify(secrets, &err) != ERR_NONE) {
        log_error("secrets.key", "reason=\"%s\" mend=\"%s\"", err.text, err.mend);
        return;
    }
    if (tell_public(secrets, node))
        return;
    uint64_t now_ms = clock_now_ms();
    uint64_t due_ms = secrets->changed_ms + turn_ms(secrets);
    if (now_ms < due_ms) {
        look_after(secrets, due_ms - now_ms);
        return;
    }
    CLEANUP(json_putp) struct json_object *keys = copy_of(cache_value(entry));
    size_t used_count = used_now(secrets, used);
    if (carry_out(secrets, keys, used, used_count) > 0)
        write_one(secrets, "data key of the secrets: given to who lacks it", entry,
                  take_ptr(&keys));
}

static void
on_change(struct cache_watcher *watcher, enum cache_change change, const char *key,
          const char *site)
{
    struct secrets *secrets = CONTAINER_OF(watcher, struct secrets, watcher);
    (void)site;
    bool ours = change == CACHE_RELOAD ||
                (change == CACHE_SHARED && (str_starts(key, "node/") || str_starts(key, "seal/") ||
                                            str_starts(key, SEALING_PREFIX)));
    if (!ours || keys_entry(secrets) == NULL)
        return;
    secrets->changed_ms = clock_now_ms();
    look_after(secrets, SECRETS_LOOK_MS);
}

struct secrets *
secrets_new(struct core *core, secrets_write_fn *write, void *data)
{
    struct secrets *secrets = mem_zero(1, sizeof *secrets);
    secrets->core = core;
    secrets->write = write;
    secrets->write_data = data;
    secrets->watcher.changed = on_change;
    ev_timer_init(&secrets->look, on_look, 0, 0);
    cache_watch(core->cache, &secrets->watcher);
    return secrets;
}

void
secrets_free(struct secrets *secrets)
{
    if (secrets == NULL)
        return;
    ev_timer_stop(secrets->core->loop, &secrets->look);
    cache_unwatch(&secrets->watcher);
    for (size_t i = 0; i < SECRETS_HELD_MAX; i++)
        seal_key_done(&secrets->held[i]);
    seal_identity_done(&secrets->identity);
    free(secrets);
}

/* ------------------------------------------------------------------ writing */

static void
put_sealed(struct secrets *secrets, const struct seal_key *key, const char *name, uint64_t revision,
           const void *value, size_t size, struct json_object *group)
{
    CLEANUP(buf_done) struct buf sealed = { 0 };
    CLEANUP(freep) char *bound = bound_to(secrets, name, key->id);
    seal_close(key, bound, value, size, &sealed);
    writer_group_put(group, name, "",
                     sealing_write(key->id, (const uint8_t *)sealed.data, sealed.size), revision);
}

/* Adds a new current key to 'group', with a box for each member that can be given one. */
static const struct seal_key *
put_new_key(struct secrets *secrets, struct json_object *group)
{
    struct seal_key drawn;
    char now[CLOCK_TEXT_SIZE];
    const struct cache_entry *entry = keys_entry(secrets);
    struct json_object *keys = copy_of(keys_now(secrets));
    seal_key_draw(&drawn);
    const struct seal_key *key = hold_key(secrets, &drawn);
    seal_key_done(&drawn);
    sealing_add_key(&keys, key->id, clock_wall_text(clock_wall_ms(), now),
                    secrets->core->home->node);
    (void)carry_out(secrets, keys, NULL, 0); /* all that there is, is sealed by the new one */
    writer_group_put(group, SEALING_KEYS, "", keys, entry == NULL ? 0 : entry->revision);
    return key;
}

/* One more of 'size' bytes, beside those that there are. */
static enum err_code
check_room(const struct secrets *secrets, const char *key, size_t size, struct err *err)
{
    size_t count = 1;
    size_t total = size * 4 / 3 + 100;
    const struct cache_entry *entry;
    if (size == 0 || size > SEALING_VALUE_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "secret_size", "a secret has 1 to %d bytes, not %zu",
                       SEALING_VALUE_SIZE_MAX, size);
    for (size_t at = 0; (entry = next_secret(secrets, &at)) != NULL;) {
        if (strcmp(entry->key, key) == 0)
            continue;
        count++;
        total += strlen(entry->text);
    }
    if (count <= SEALING_COUNT_MAX && total <= SEALING_TOTAL_SIZE_MAX)
        return ERR_NONE;
    (void)err_set(err, ERR_LIMIT, "secrets_full",
                  "%zu secrets with %zu bytes; together they may be %d, with %lu bytes", count,
                  total, SEALING_COUNT_MAX, SEALING_TOTAL_SIZE_MAX);
    return err_mend(err, "delete what is not used: baton secret list");
}

static bool
has_secrets(const struct secrets *secrets)
{
    size_t at = 0;
    return next_secret(secrets, &at) != NULL;
}

enum err_code
secrets_put(struct secrets *secrets, const char *name, const void *value, size_t size,
            uint64_t if_match, struct json_object *group, struct err *err)
{
    char text[SETTING_KEY_SIZE_MAX + 1];
    const struct seal_key *key = NULL;
    const char *wanted = secret_key(name, text);
    if (wanted == NULL) {
        (void)err_set(err, ERR_INVALID, "name_invalid", "'%.63s' is no name for a secret", name);
        return err_mend(err, "use a-z, 0-9 and - , at most 63");
    }
    const struct cache_entry *entry = cache_get(secrets->core->cache, wanted, "");
    const char *current = sealing_current(keys_now(secrets));
    enum err_code code = check_room(secrets, wanted, size, err);
    if (code == ERR_NONE)
        code = identify(secrets, err);
    if (code == ERR_NONE && current != NULL)
        code = find_key(secrets, current, &key, err);
    if (code == ERR_UNAVAILABLE && !has_secrets(secrets))
        code = ERR_NONE; /* nobody misses a key that seals nothing */
    if (code != ERR_NONE)
        return code;
    if (key == NULL)
        key = put_new_key(secrets, group);
    if (if_match == WRITER_ANY_REVISION)
        if_match = entry == NULL ? 0 : entry->revision;
    put_sealed(secrets, key, wanted, if_match, value, size, group);
    return ERR_NONE;
}

enum err_code
secrets_rotate(struct secrets *secrets, struct json_object *group, char ret_key[SEALING_ID_SIZE],
               size_t *ret_count, struct err *err)
{
    size_t count = 0;
    const struct cache_entry *entry;
    if (keys_entry(secrets) == NULL)
        return err_set(err, ERR_CONFLICT, "no_data_key",
                       "there is no data key yet: the first secret makes one");
    enum err_code code = identify(secrets, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(seal_key_done) struct seal_key key = *put_new_key(secrets, group);
    for (size_t at = 0; (entry = next_secret(secrets, &at)) != NULL; count++) {
        CLEANUP(seal_wipe) struct buf value = { 0 };
        if (open_entry(secrets, entry, &value, err) != ERR_NONE) {
            char text[ERR_TEXT_SIZE];
            memcpy(text, err->text, sizeof text);
            (void)err_set(err, ERR_CONFLICT, "secret_locked", "%s", text);
            return err_mend(err, "rotate on a member that can open it, or set it again first");
        }
        put_sealed(secrets, &key, entry->key, entry->revision, value.data, value.size, group);
    }
    memcpy(ret_key, key.id, SEALING_ID_SIZE);
    *ret_count = count;
    return ERR_NONE;
}

enum err_code
secrets_reseal(struct secrets *secrets, const char *key, struct json_object *value,
               const struct seal_key *to, const char *bound, struct json_object **ret,
               struct err *err)
{
    CLEANUP(seal_wipe) struct buf plain = { 0 };
    CLEANUP(buf_done) struct buf sealed = { 0 };
    if (open_value(secrets, key, value, &plain, err) != ERR_NONE) {
        char text[ERR_TEXT_SIZE];
        memcpy(text, err->text, sizeof text);
        (void)err_set(err, ERR_CONFLICT, "secret_locked", "%s", text);
        return err_mend(err, "ask a member that can open it: baton secret list shows who has the "
                             "data key");
    }
    seal_close(to, bound, plain.data, plain.size, &sealed);
    *ret = sealing_write(to->id, (const uint8_t *)sealed.data, sealed.size);
    return ERR_NONE;
}

/* ------------------------------------------------------------------ showing */

/* Every text of a connector that names a secret: {"secret/NAME": [CONNECTOR, ...]}. */
static void
add_uses(struct json_object *uses, const char *connector, struct json_object *value)
{
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            add_uses(uses, connector, json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach (value, name, member) {
            (void)name;
            add_uses(uses, connector, member);
        }
    } else if (json_object_is_type(value, json_type_string) &&
               sealing_is_secret(json_object_get_string(value))) {
        const char *key = json_object_get_string(value);
        struct json_object *list = json_get(uses, key);
        if (list == NULL) {
            list = json_object_new_array();
            json_add(uses, key, list);
        }
        size_t count = json_object_array_length(list);
        if (count == 0 || /* entries come in order: the same name twice stands together */
            strcmp(json_object_get_string(json_object_array_get_idx(list, count - 1)), connector) !=
                0)
            (void)json_object_array_add(list, json_object_new_string(connector));
    }
}

struct json_object *
secrets_uses(struct secrets *secrets)
{
    struct json_object *uses = json_object_new_object();
    const struct cache_entry *entry;
    for (size_t at = 0;
         (entry = cache_next(secrets->core->cache, "connector/", NULL, &at)) != NULL;) {
        char name[CONNECTOR_NAME_SIZE];
        if (connector_name_of_key(entry->key, name))
            add_uses(uses, name, cache_value(entry));
    }
    for (size_t at = 0; (entry = cache_next(secrets->core->cache, NOTICE_PREFIX, "", &at)) != NULL;)
        add_uses(uses, entry->key, cache_value(entry));
    return uses;
}

static struct json_object *
members_json(struct json_object *keys, const char *id, const struct members *members)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < members->count; i++) {
        struct json_object *member = json_object_new_object();
        if (members->list[i].removed) {
            (void)json_object_put(member);
            continue;
        }
        json_add_string(member, "node", members->list[i].name);
        json_add_string(member, "state",
                        sealing_box(keys, id, members->list[i].name, NULL) != NULL ? "has"
                                                                                   : "waits");
        (void)json_object_array_add(list, member);
    }
    return list;
}

static struct json_object *
data_key_json(struct secrets *secrets)
{
    struct err err;
    const struct seal_key *key;
    struct json_object *left = NULL;
    struct json_object *keys = keys_now(secrets);
    const char *id = sealing_current(keys);
    if (id == NULL)
        return NULL;
    CLEANUP(members_done) struct members members = members_now(secrets);
    struct json_object *document = json_object_new_object();
    struct json_object *entry = json_get(json_get(keys, "keys"), id);
    (void)sealing_left(keys, id, &left);
    json_add_string(document, "id", id);
    json_add(document, "made_at", json_object_get(json_get(entry, "made_at")));
    json_add(document, "made_by", json_object_get(json_get(entry, "made_by")));
    json_add_bool(document, "here", find_key(secrets, id, &key, &err) == ERR_NONE);
    json_add(document, "members", members_json(keys, id, &members));
    json_add(document, "left", left == NULL ? json_object_new_array() : json_object_get(left));
    return document;
}

static struct json_object *
uses_of(struct json_object *uses, const char *key)
{
    struct json_object *list = json_get(uses, key);
    return list == NULL ? json_object_new_array() : json_object_get(list);
}

static struct json_object *
missing_json(struct secrets *secrets, struct json_object *uses)
{
    struct json_object *list = json_object_new_array();
    json_object_object_foreach (uses, key, used_by) {
        if (secrets_state(secrets, key) != SECRETS_MISSING)
            continue;
        struct json_object *one = json_object_new_object();
        json_add_string(one, "name", key + strlen(SEALING_PREFIX));
        json_add(one, "used_by", json_object_get(used_by));
        (void)json_object_array_add(list, one);
    }
    return list;
}

struct json_object *
secrets_view(struct secrets *secrets)
{
    struct json_object *document = json_object_new_object();
    struct json_object *list = json_object_new_array();
    CLEANUP(json_putp) struct json_object *uses = secrets_uses(secrets);
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = next_secret(secrets, &at)) != NULL;) {
        struct json_object *one = json_object_new_object();
        json_add_string(one, "name", entry->key + strlen(SEALING_PREFIX));
        json_add_string(one, "key_id", sealing_key_of(cache_value(entry)));
        json_add_string(one, "state", secrets_state_name(secrets_state(secrets, entry->key)));
        json_add_u64(one, "revision", entry->revision);
        json_add_string(one, "author", entry->author);
        json_add_string(one, "at", entry->at);
        json_add(one, "used_by", uses_of(uses, entry->key));
        (void)json_object_array_add(list, one);
    }
    json_add_string(document, "node", secrets->core->home->node);
    json_add(document, "data_key", data_key_json(secrets));
    json_add(document, "secrets", list);
    json_add(document, "missing", missing_json(secrets, uses));
    return document;
}

void
secrets_alarms(struct secrets *secrets, struct json_object *list)
{
    struct err err;
    const struct seal_key *key;
    struct json_object *left = NULL;
    struct json_object *keys = keys_now(secrets);
    const char *id = sealing_current(keys);
    const char *self = secrets->core->home->node;
    if (id == NULL || own_node(secrets) == NULL)
        return;
    CLEANUP(members_done) struct members members = members_now(secrets);
    for (size_t i = 0; i < members.count; i++) {
        const char *name = members.list[i].name;
        if (!members.list[i].removed && strcmp(name, self) != 0 &&
            sealing_box(keys, id, name, NULL) == NULL)
            view_add_alarm(list, "secrets_waiting", "%s has not got the data key of the secrets",
                           name);
    }
    if (find_key(secrets, id, &key, &err) != ERR_NONE)
        view_add_alarm(list, "secrets_locked", "no secret can be opened here: %s", err.text);
    if (sealing_left(keys, id, &left) > 0)
        view_add_alarm(list, "secrets_rotate",
                       "%s has had the data key of the secrets and should not have it any more: "
                       "baton secret rotate",
                       json_object_get_string(json_object_array_get_idx(left, 0)));
}
