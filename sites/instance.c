#include "sites/instance.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define NAME_END        "~" /* behind every name */
#define SET_FIRST       16
#define VERSION_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+"

static bool
is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

/* NULL and "" are nothing, and nothing equals nothing. */
static bool
equal(const char *one, const char *other)
{
    return is_set(one) && is_set(other) && strcmp(one, other) == 0;
}

bool
instance_is_version(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length < INSTANCE_VERSION_SIZE && strspn(text, VERSION_LETTERS) == length;
}

bool
instance_is_session(const char *text)
{
    return strlen(text) == INSTANCE_SESSION_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == INSTANCE_SESSION_SIZE - 1;
}

/* ---- the set ---- */

static bool
is_of(const struct instance *instance, const char *connector)
{
    return strcmp(instance->connector, connector) == 0;
}

/* The first place in 'sorted' that is not before it. The instances of a connector stand together,
 * from the name "" to NAME_END: a node may have 4096, and looks at them every second. */
static size_t
place_of(const struct instance_set *set, const char *connector, const char *name)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct instance *instance = set->sorted[middle];
        int order = strcmp(instance->connector, connector);
        if (order < 0 || (order == 0 && strcmp(instance->name, name) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
instance_set_init(struct instance_set *set)
{
    *set = (struct instance_set){ 0 };
    list_init(&set->all);
}

static void
drop(struct instance_set *set, struct instance *instance)
{
    size_t at = place_of(set, instance->connector, instance->name);
    set->count--;
    memmove(&set->sorted[at], &set->sorted[at + 1], (set->count - at) * sizeof(struct instance *));
    list_remove(&instance->node);
    json_putp(&instance->metadata);
    free(instance);
}

void
instance_set_done(struct instance_set *set)
{
    while (set->count > 0)
        drop(set, set->sorted[set->count - 1]);
    free(set->sorted);
    set->sorted = NULL;
    set->capacity = 0;
}

struct instance *
instance_find(const struct instance_set *set, const char *connector, const char *name)
{
    size_t at = place_of(set, connector, name);
    if (at == set->count || !is_of(set->sorted[at], connector) ||
        strcmp(set->sorted[at]->name, name) != 0)
        return NULL;
    return set->sorted[at];
}

/* ---- who may register ---- */

static bool
metadata_fits(struct json_object *metadata)
{
    if (metadata == NULL)
        return true;
    if (!json_object_is_type(metadata, json_type_object) ||
        json_object_object_length(metadata) > INSTANCE_METADATA_MAX)
        return false;
    json_object_object_foreach (metadata, name, value) {
        if (strlen(name) > INSTANCE_METADATA_SIZE ||
            !json_object_is_type(value, json_type_string) ||
            json_object_get_string_len(value) > INSTANCE_METADATA_SIZE)
            return false;
    }
    return true;
}

static enum err_code
check_hello(const struct instance_hello *hello, struct err *err)
{
    const char *what = NULL;
    struct spread_address ignored;
    const char *where =
        hello->address == NULL ? NULL : spread_address_read(hello->address, &ignored);
    if (where != NULL)
        return err_set(err, ERR_INVALID, "instance_invalid", "address '%.100s' %s", hello->address,
                       where);
    if (!str_is_name(hello->connector))
        what = "the connector id is no name";
    else if (!str_is_name(hello->name))
        what = "the name of the instance is none: letters, digits and '-'";
    else if (!instance_is_version(hello->version))
        what = "the version must be 1 to 63 letters, digits and '.-_+'";
    else if (!instance_is_session(hello->session))
        what = "the session must be 32 hexadecimal digits";
    else if (!metadata_fits(hello->metadata))
        what = "metadata must be at most 16 short texts";
    if (what == NULL)
        return ERR_NONE;
    return err_set(err, ERR_INVALID, "instance_invalid", "%s", what);
}

/* Before anything is on record, who came first sets the version. */
static const char *
admitted_version(const struct instance_set *set, const char *connector, const char *self,
                 const struct instance_rules *rules)
{
    const struct instance *first = NULL;
    if (is_set(rules->admitted))
        return rules->admitted;
    list_each (at, &set->all) {
        const struct instance *instance = CONTAINER_OF(at, struct instance, node);
        if (is_of(instance, connector) && instance->connected &&
            strcmp(instance->name, self) != 0 && first == NULL)
            first = instance;
    }
    return first == NULL ? NULL : first->version;
}

static enum err_code
check_version(const struct instance_set *set, const struct instance_rules *rules,
              const struct instance_hello *hello, struct err *err)
{
    const char *admitted = admitted_version(set, hello->connector, hello->name, rules);
    if (!is_set(admitted) || equal(admitted, hello->version) || equal(rules->next, hello->version))
        return ERR_NONE; /* N1 */
    (void)err_set(err, ERR_CONFLICT, "instance_version",
                  "%s has version %s, and the instances of connector %s have %s%s%s: all must "
                  "have the same",
                  hello->name, hello->version, hello->connector, admitted,
                  is_set(rules->next) ? ", the next is " : "",
                  is_set(rules->next) ? rules->next : "");
    return err_mend(err,
                    "install %s there; or to upgrade all: baton config set "
                    "instance/%s/next_version %s, then one instance after the other",
                    is_set(rules->next) ? rules->next : admitted, hello->connector, hello->version);
}

static enum err_code
check_session(const struct instance *found, const struct instance_hello *hello, struct err *err)
{
    if (strcmp(found->session, hello->session) == 0) {
        if (!found->left)
            return ERR_NONE;
        return err_set(err, ERR_CONFLICT, "instance_left",
                       "%s of connector %s has ended this session", hello->name,
                       hello->connector); /* N3 */
    }
    bool later = hello->began_ms > found->began_ms ||
                 (hello->began_ms == found->began_ms && strcmp(hello->session, found->session) > 0);
    if (!found->connected || later)
        return ERR_NONE;
    (void)err_set(err, ERR_CONFLICT, "instance_taken",
                  "another agent is %s of connector %s, and began later", hello->name,
                  hello->connector); /* N4 */
    return err_mend(err, "give each agent a name of its own: --instance NAME");
}

static size_t
count_of(const struct instance_set *set, const char *connector)
{
    return place_of(set, connector, NAME_END) - place_of(set, connector, "");
}

/* One of them makes room: who is gone, the longest first. */
static bool
make_room(struct instance_set *set, const char *connector)
{
    struct instance *oldest = NULL;
    bool all_full = set->count >= INSTANCE_COUNT_MAX;
    if (!all_full && count_of(set, connector) < INSTANCE_CONNECTOR_MAX)
        return true;
    list_each (at, &set->all) {
        struct instance *instance = CONTAINER_OF(at, struct instance, node);
        if (!instance->connected && (all_full || is_of(instance, connector)) &&
            (oldest == NULL || instance->heard_ms < oldest->heard_ms))
            oldest = instance;
    }
    if (oldest == NULL)
        return false;
    drop(set, oldest);
    return true;
}

static struct instance *
add(struct instance_set *set, const struct instance_hello *hello)
{
    if (!make_room(set, hello->connector))
        return NULL;
    struct instance *instance = mem_zero(1, sizeof *instance);
    (void)snprintf(instance->connector, sizeof instance->connector, "%s", hello->connector);
    (void)snprintf(instance->name, sizeof instance->name, "%s", hello->name);
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? SET_FIRST : set->capacity * 2;
        set->sorted = mem_grow(set->sorted, set->capacity, sizeof(struct instance *));
    }
    size_t at = place_of(set, instance->connector, instance->name);
    memmove(&set->sorted[at + 1], &set->sorted[at], (set->count - at) * sizeof(struct instance *));
    set->sorted[at] = instance;
    set->count++;
    list_add_tail(&set->all, &instance->node);
    return instance;
}

/* That of a hello that was checked. */
static struct spread_address
address_of(const struct instance_hello *hello)
{
    struct spread_address address = { .port = 0 };
    if (hello->address != NULL)
        ASSERT(spread_address_read(hello->address, &address) == NULL);
    return address;
}

static void
take(struct instance *instance, const struct instance_hello *hello, uint64_t now_ms,
     int64_t wall_ms)
{
    (void)snprintf(instance->session, sizeof instance->session, "%s", hello->session);
    (void)snprintf(instance->token, sizeof instance->token, "%s", hello->token);
    (void)snprintf(instance->version, sizeof instance->version, "%s", hello->version);
    (void)snprintf(instance->text, sizeof instance->text, "%s",
                   hello->healthy || hello->text == NULL ? "" : hello->text);
    instance->address = address_of(hello);
    instance->began_ms = hello->began_ms;
    instance->heard_ms = now_ms;
    instance->last_connected_ms = wall_ms;
    instance->connected = true;
    instance->healthy = hello->healthy;
    instance->left = false;
    json_putp(&instance->metadata);
    instance->metadata = json_object_get(hello->metadata);
}

enum err_code
instance_hear(struct instance_set *set, const struct instance_rules *rules,
              const struct instance_hello *hello, uint64_t now_ms, int64_t wall_ms,
              bool *ret_changed, struct err *err)
{
    *ret_changed = false;
    if (check_hello(hello, err) != ERR_NONE)
        return err->code;
    struct instance *found = instance_find(set, hello->connector, hello->name);
    bool ours = found != NULL && strcmp(found->session, hello->session) == 0;
    enum err_code code = check_version(set, rules, hello, err);
    if (code == ERR_NONE && found != NULL)
        code = check_session(found, hello, err);
    if (code != ERR_NONE) {
        *ret_changed = ours && found->connected;
        if (*ret_changed)
            instance_end(found);
        return code;
    }
    bool was = found != NULL && found->connected;
    if (found == NULL)
        found = add(set, hello);
    if (found == NULL)
        return err_set(err, ERR_LIMIT, "too_many_instances",
                       "connector %s has %d instances, or this node %d: no more are taken",
                       hello->connector, INSTANCE_CONNECTOR_MAX, INSTANCE_COUNT_MAX);
    struct spread_address address = address_of(hello);
    *ret_changed = !was || !ours || found->healthy != hello->healthy ||
                   strcmp(found->version, hello->version) != 0 ||
                   !spread_address_equal(&found->address, &address);
    take(found, hello, now_ms, wall_ms);
    return ERR_NONE;
}

/* ---- who is there ---- */

void
instance_end(struct instance *instance)
{
    instance->connected = false;
}

bool
instance_leave(struct instance_set *set, const char *connector, const char *name,
               const char *session)
{
    struct instance *found = instance_find(set, connector, name);
    if (found == NULL || strcmp(found->session, session) != 0)
        return false;
    bool was = found->connected;
    instance_end(found);
    found->left = true;
    return was;
}

size_t
instance_lapse(struct instance_set *set, uint64_t silence_ms, uint64_t now_ms)
{
    size_t count = 0;
    list_each (at, &set->all) {
        struct instance *instance = CONTAINER_OF(at, struct instance, node);
        if (!instance->connected || now_ms - instance->heard_ms < silence_ms)
            continue;
        instance_end(instance);
        count++;
    }
    return count;
}

size_t
instance_spread(const struct instance_set *set, const char *connector,
                struct spread_target list[SPREAD_COUNT_MAX])
{
    size_t count = 0;
    size_t end = place_of(set, connector, NAME_END);
    for (size_t at = place_of(set, connector, ""); at < end; at++) {
        const struct instance *instance = set->sorted[at];
        if (instance->address.port == 0)
            continue;
        size_t i = 0;
        while (i < count && !spread_address_equal(&list[i].at, &instance->address))
            i++;
        if (i == count) {
            ASSERT(count < SPREAD_COUNT_MAX);
            list[count++] = (struct spread_target){ .at = instance->address };
        }
        list[i].takes = list[i].takes || (instance->connected && instance->healthy);
    }
    return count;
}
_Static_assert(SPREAD_COUNT_MAX >= INSTANCE_CONNECTOR_MAX, "all have room");

struct instance_counts
instance_count(const struct instance_set *set, const char *connector,
               const struct instance_rules *rules)
{
    struct instance_counts counts = { 0 };
    size_t end = place_of(set, connector, NAME_END);
    for (size_t at = place_of(set, connector, ""); at < end; at++) {
        const struct instance *instance = set->sorted[at];
        if (!instance->connected)
            continue;
        bool next = equal(instance->version, rules->next);
        counts.connected++;
        counts.working += instance->healthy;
        counts.next_working += instance->healthy && next;
        counts.old += !next;
    }
    return counts;
}

const char *
instance_admits(const struct instance_set *set, const char *connector,
                const struct instance_rules *rules, unsigned expected)
{
    const char *first = admitted_version(set, connector, "", rules);
    if (!is_set(rules->admitted))
        return first == NULL ? "" : first;
    if (!is_set(rules->next) || equal(rules->next, rules->admitted))
        return "";
    struct instance_counts counts = instance_count(set, connector, rules);
    bool enough = counts.next_working >= expected || counts.old == 0;
    return counts.next_working > 0 && enough ? rules->next : ""; /* N2 */
}

/* ---- the record ---- */

static struct json_object *
row(const char *name, const char *version, bool connected, int64_t last_ms)
{
    struct json_object *object = json_object_new_object();
    json_add_string(object, "name", name);
    json_add_string(object, "version", version);
    json_add_bool(object, "connected", connected);
    json_add(object, "last_connected_ms", connected ? NULL : json_object_new_int64(last_ms));
    return object;
}

static int
by_name(const void *one, const void *other)
{
    struct json_object *const *a = one;
    struct json_object *const *b = other;
    const char *name_a = "";
    const char *name_b = "";
    (void)!json_get_string(*a, "name", &name_a);
    (void)!json_get_string(*b, "name", &name_b);
    return strcmp(name_a, name_b);
}

/* Of those that the record has, and this node has not heard of. */
static struct json_object *
kept_row(struct json_object *old, bool settled, int64_t since_ms, int64_t wall_ms)
{
    const char *name;
    const char *version = "";
    bool connected = false;
    int64_t last_ms = since_ms;
    if (!json_get_string(old, "name", &name))
        return NULL;
    (void)!json_get_string(old, "version", &version);
    (void)!json_get_bool(old, "connected", &connected);
    if (!connected && json_get_i64(old, "last_connected_ms", &last_ms) &&
        wall_ms - last_ms > INSTANCE_FORGET_S * 1000LL)
        return NULL;
    return row(name, version, connected && !settled, last_ms);
}

struct json_object *
instance_record(const struct instance_set *set, const char *connector, struct json_object *old,
                const char *version, bool settled, int64_t since_ms, int64_t wall_ms)
{
    struct json_object *record = json_object_new_object();
    struct json_object *list = json_object_new_array();
    struct json_object *before = json_get(old, "instances");
    size_t end = place_of(set, connector, NAME_END);
    size_t count =
        json_object_is_type(before, json_type_array) ? json_object_array_length(before) : 0;
    for (size_t at = place_of(set, connector, ""); at < end; at++) {
        const struct instance *it = set->sorted[at];
        bool forgotten =
            !it->connected && wall_ms - it->last_connected_ms > INSTANCE_FORGET_S * 1000LL;
        if (!forgotten)
            (void)json_object_array_add(
                list, row(it->name, it->version, it->connected, it->last_connected_ms));
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = "";
        struct json_object *entry = json_object_array_get_idx(before, i);
        (void)!json_get_string(entry, "name", &name);
        struct json_object *kept = instance_find(set, connector, name) != NULL
                                       ? NULL
                                       : kept_row(entry, settled, since_ms, wall_ms);
        if (kept != NULL && json_object_array_length(list) < INSTANCE_CONNECTOR_MAX)
            (void)json_object_array_add(list, kept);
        else
            (void)json_object_put(kept);
    }
    json_object_array_sort(list, by_name);
    json_add_string(record, "version", version);
    json_add(record, "instances", list);
    return record;
}

/* ---- alarms ---- */

bool
instance_alarm(const char *connector, const struct instance_counts *counts,
               const struct instance_rules *rules, unsigned expected,
               struct instance_alarm *ret_alarm)
{
    bool upgrading = is_set(rules->next) && !equal(rules->next, rules->admitted);
    *ret_alarm = (struct instance_alarm){ 0 };
    if (counts->working == 0) {
        ret_alarm->name = "instances_none";
        (void)snprintf(ret_alarm->text, sizeof ret_alarm->text,
                       "connector %s: no instance works (%u connected, %u expected): what goes "
                       "through it is offline until one is back",
                       connector, counts->connected, expected);
    } else if (counts->working < expected) {
        ret_alarm->name = "instances_few";
        (void)snprintf(ret_alarm->text, sizeof ret_alarm->text,
                       "connector %s: %u of %u expected instances work%s%s", connector,
                       counts->working, expected, counts->working == 1 ? "s" : "",
                       counts->working == 1 ? ": when it stops too, the connector is offline" : "");
    } else if (counts->connected == 1 && upgrading) {
        ret_alarm->name = "instances_alone";
        (void)snprintf(ret_alarm->text, sizeof ret_alarm->text,
                       "connector %s: its only instance is to be upgraded to %s: start a second "
                       "one with that version first, or the connector is offline meanwhile",
                       connector, rules->next);
    }
    return ret_alarm->name != NULL;
}

bool
instance_room_alarm(const char *connector, const struct spread_room *room,
                    struct instance_alarm *ret_alarm)
{
    size_t without = spread_short(room);
    *ret_alarm = (struct instance_alarm){ 0 };
    if (without == 0)
        return false;
    ret_alarm->name = "instances_many";
    (void)snprintf(ret_alarm->text, sizeof ret_alarm->text,
                   "connector %s: %zu instance%s, and HAProxy has %zu place%s: %zu get%s no "
                   "requests; 'baton connector haproxy-config --instances' makes more",
                   connector, room->takers,
                   room->takers == 1 ? " takes requests" : "s take requests", room->places,
                   room->places == 1 ? "" : "s", without, without == 1 ? "s" : "");
    return true;
}
