#include "sites/setting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/connector.h"
#include "sites/notice.h"
#include "sites/sealing.h"
#include "sites/shape.h"

#define INTEGER_CHOICES(unit)   NULL
#define TEXT_CHOICES(unit)      NULL
#define BOOL_CHOICES(unit)      NULL
#define ANY_CHOICES(unit)       NULL
#define CONNECTOR_CHOICES(unit) NULL
#define NOTICE_CHOICES(unit)    NULL
#define CHOICE_CHOICES(unit)    unit

static const struct setting_row rows[SETTING_COUNT] = {
#define X(symbol, key, kind, measure, least, most, preset, where, when, help)                      \
    [SETTING_##symbol] = {                                                                         \
        .id = SETTING_##symbol,                                                                    \
        .name = key,                                                                               \
        .type = SETTING_TYPE_##kind,                                                               \
        .unit = SETTING_TYPE_##kind == SETTING_TYPE_CHOICE ? "" : measure,                         \
        .choices = kind##_CHOICES(measure),                                                        \
        .min = least,                                                                              \
        .max = most,                                                                               \
        .default_text = preset,                                                                    \
        .scope = SETTING_SCOPE_##where,                                                            \
        .reload = SETTING_RELOAD_##when,                                                           \
        .text = help,                                                                              \
    },
    SETTING_TABLE(X)
#undef X
};

static const char *const type_names[] = {
#define X(type, name) [SETTING_TYPE_##type] = name,
    SETTING_TYPE_TABLE(X)
#undef X
};

static const char *const scope_names[] = {
    [SETTING_SCOPE_CLUSTER] = "cluster", [SETTING_SCOPE_SITE] = "site",
    [SETTING_SCOPE_NODE] = "node",       [SETTING_SCOPE_SYSTEM] = "system",
    [SETTING_SCOPE_SECRET] = "secret",
};

static const char *const layer_names[] = {
    [SETTING_LAYER_NODE] = "node",
    [SETTING_LAYER_SITE] = "site",
    [SETTING_LAYER_CLUSTER] = "cluster",
    [SETTING_LAYER_DEFAULT] = "default",
};

static const enum setting_drift drifts[SETTING_COUNT] = {
#define X(id, rule) [SETTING_##id] = SETTING_DRIFT_##rule,
    SETTING_DRIFT_TABLE(X)
#undef X
};

/* ---- the table ---- */

const struct setting_row *
setting_row(enum setting_id id)
{
    ASSERT((unsigned)id < SETTING_COUNT);
    return &rows[id];
}

const char *
setting_type_name(enum setting_type type)
{
    return type_names[type];
}

const char *
setting_scope_name(enum setting_scope scope)
{
    return scope_names[scope];
}

const char *
setting_layer_name(enum setting_layer layer)
{
    return layer_names[layer];
}

enum setting_drift
setting_drift(enum setting_id id)
{
    return drifts[id];
}

const char *
setting_drift_name(enum setting_drift drift)
{
    static const char *const names[] = { "free", "match", "differ" };
    return names[drift];
}

/* One segment of a key, up to '/' or the end, as a name of RFC 1123. */
static bool
is_name_segment(const char *key, size_t length)
{
    char name[64];
    if (length == 0 || length >= sizeof name)
        return false;
    memcpy(name, key, length);
    name[length] = '\0';
    return str_is_name(name);
}

static bool
matches(const char *pattern, const char *key)
{
    while (*pattern != '\0') {
        if (strcmp(pattern, "**") == 0)
            return *key != '\0';
        if (*pattern == '*') {
            size_t length = strcspn(key, "/");
            if (!is_name_segment(key, length))
                return false;
            key += length;
            pattern++;
        } else if (*pattern++ != *key++) {
            return false;
        }
    }
    return *key == '\0';
}

const struct setting_row *
setting_find(const char *key)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (matches(rows[i].name, key))
            return &rows[i];
    }
    return NULL;
}

struct json_object *
setting_default(const struct setting_row *row)
{
    if (row->default_text == NULL)
        return NULL;
    switch (row->type) {
    case SETTING_TYPE_BOOL:
        return json_object_new_boolean(strcmp(row->default_text, "true") == 0);
    case SETTING_TYPE_INTEGER: {
        uint64_t number;
        ASSERT(str_to_u64(row->default_text, 0, INT64_MAX, &number));
        return json_object_new_int64((int64_t)number);
    }
    case SETTING_TYPE_TEXT:
    case SETTING_TYPE_CHOICE:
        return json_object_new_string(row->default_text);
    case SETTING_TYPE_CONNECTOR:
    case SETTING_TYPE_NOTICE:
    case SETTING_TYPE_ANY:
        break;
    }
    return NULL;
}

/* "app/" followed by "**" becomes "app/%". */
static void
add_like(struct buf *pattern, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name != '*')
            buf_add(pattern, name, 1);
        else if (name[1] != '*')
            buf_add_text(pattern, "%");
    }
}

struct json_object *
setting_rules_json(void)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct buf pattern = { 0 };
        add_like(&pattern, rows[i].name);
        struct json_object *rule = json_object_new_object();
        json_add_string(rule, "pattern", buf_text(&pattern));
        json_add_string(rule, "scope", setting_scope_name(rows[i].scope));
        ASSERT(json_object_array_add(list, rule) == 0);
        buf_done(&pattern);
    }
    return list;
}

/* ---- checks ---- */

static size_t
count_parts(const char *key)
{
    size_t count = 1;
    for (; *key != '\0'; key++)
        count += *key == '/';
    return count;
}

/* The name in the table that 'key' may have been meant to be: near as a whole, or in its first
 * part; of two that are as near, the one of as many parts. */
static const char *
nearest_name(const char *key)
{
    const char *nearest = NULL;
    unsigned best = FAULT_FAR;
    size_t parts = count_parts(key);
    char first[SETTING_KEY_SIZE_MAX + 1];
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(key, "/"), key);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (rows[i].scope == SETTING_SCOPE_SYSTEM)
            continue;
        unsigned distance = fault_distance(key, rows[i].name);
        size_t stem = strcspn(rows[i].name, "/");
        if (rows[i].name[stem] == '/' && strchr(key, '/') != NULL) {
            char known[64];
            (void)snprintf(known, sizeof known, "%.*s", (int)stem, rows[i].name);
            unsigned by_stem = fault_distance(first, known);
            distance = by_stem < distance ? by_stem : distance;
        }
        if (distance < best ||
            (distance == best && nearest != NULL && count_parts(rows[i].name) == parts &&
             count_parts(nearest) != parts)) {
            best = distance;
            nearest = rows[i].name;
        }
    }
    return nearest;
}

#define KEY_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~@:+-"

static bool
is_spelled_well(const char *key)
{
    for (;;) {
        size_t length = strspn(key, KEY_BYTES);
        if (length == 0)
            return false;
        if (key[length] == '\0')
            return true;
        if (key[length] != '/')
            return false;
        key += length + 1;
    }
}

enum err_code
setting_check_key(const char *key, const struct setting_row **ret, struct err *err)
{
    char clip[FAULT_CLIP_SIZE];
    size_t size = strlen(key);
    if (size > SETTING_KEY_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "key_too_long", "key '%s' has %zu bytes, at most %d",
                       fault_clip(clip, key), size, SETTING_KEY_SIZE_MAX);
    if (!is_spelled_well(key)) {
        (void)err_set(err, ERR_INVALID, "key_spelling",
                      "key '%s' is not made of words joined by '/'",
                      str_is_utf8(key, size) ? fault_clip(clip, key) : "?");
        return err_mend(err, "use letters, digits and . _ ~ @ : + - in the words");
    }
    const struct setting_row *row = setting_find(key);
    if (row == NULL) {
        const char *nearest = nearest_name(key);
        (void)err_set(err, ERR_INVALID, "key_unknown", "key '%s' is not known",
                      fault_clip(clip, key));
        if (nearest != NULL)
            return err_mend(err, "did you mean '%s'? Your own keys go under app/", nearest);
        return err_mend(err, "your own keys go under app/; the manual page lists the others");
    }
    *ret = row;
    return ERR_NONE;
}

enum err_code
setting_check_place(const char *key, enum setting_layer layer, const char *site, struct err *err)
{
    const struct setting_row *row;
    enum err_code code = setting_check_key(key, &row, err);
    if (code != ERR_NONE)
        return code;
    char clip[FAULT_CLIP_SIZE];
    (void)fault_clip(clip, key);
    if (row->scope == SETTING_SCOPE_SYSTEM)
        return err_set(err, ERR_INVALID, "key_system", "key '%s' is written by Baton alone", clip);
    if (row->scope == SETTING_SCOPE_SECRET) {
        (void)err_set(err, ERR_INVALID, "key_secret",
                      "key '%s' is a secret, and a node seals it first", clip);
        return err_mend(err, "use: baton secret set %s", clip + strlen(SEALING_PREFIX));
    }
    if (layer == SETTING_LAYER_NODE && row->scope != SETTING_SCOPE_NODE) {
        (void)err_set(err, ERR_INVALID, "key_scope", "key '%s' is shared, not local to a node",
                      clip);
        return err_mend(err, "use: baton config set");
    }
    if (layer != SETTING_LAYER_NODE && row->scope == SETTING_SCOPE_NODE) {
        (void)err_set(err, ERR_INVALID, "key_scope",
                      "key '%s' is local to each node and is never shared", clip);
        return err_mend(err, "use on that node: baton local set");
    }
    if (layer == SETTING_LAYER_NODE || site[0] == '\0')
        return ERR_NONE;
    if (row->scope == SETTING_SCOPE_CLUSTER) {
        (void)err_set(err, ERR_INVALID, "key_scope",
                      "key '%s' has one value for the whole cluster, not one for a site", clip);
        return err_mend(err, "leave out the site");
    }
    if (!str_is_name(site))
        return err_set(err, ERR_INVALID, "site_spelling", "'%s' is not the name of a site",
                       str_is_utf8(site, strlen(site)) ? fault_clip(clip, site) : "?");
    return ERR_NONE;
}

static void
integer_faults(const struct setting_row *row, struct json_object *value, struct fault_list *faults)
{
    int64_t number = json_object_get_int64(value);
    if (!json_object_is_type(value, json_type_int))
        fault_add(faults, "", "must be an integer (%s) from %" PRId64 " to %" PRId64, row->unit,
                  row->min, row->max);
    else if (number < row->min || number > row->max)
        fault_add(faults, "", "%" PRId64 " %s is not from %" PRId64 " to %" PRId64, number,
                  row->unit, row->min, row->max);
}

static void
choice_faults(const struct setting_row *row, struct json_object *value, struct fault_list *faults)
{
    char clip[FAULT_CLIP_SIZE];
    if (!json_object_is_type(value, json_type_string)) {
        fault_add(faults, "", "must be a text, one of %s", row->choices);
        return;
    }
    const char *word = json_object_get_string(value);
    if (!shape_is_choice(row->choices, word))
        fault_add(faults, "", "'%s' is not one of %s", fault_clip(clip, word), row->choices);
}

void
setting_faults(const char *key, struct json_object *value, struct fault_list *faults)
{
    const struct setting_row *row = setting_find(key);
    if (row == NULL) {
        fault_add(faults, "", "the key is not known");
        return;
    }
    struct shape shape = { .min = row->min, .max = row->max };
    switch (row->type) {
    case SETTING_TYPE_BOOL:
        shape.type = SHAPE_BOOL;
        shape_check(&shape, value, "", faults);
        break;
    case SETTING_TYPE_TEXT:
        shape.type = SHAPE_TEXT;
        shape_check(&shape, value, "", faults);
        break;
    case SETTING_TYPE_INTEGER:
        integer_faults(row, value, faults);
        break;
    case SETTING_TYPE_CHOICE:
        choice_faults(row, value, faults);
        break;
    case SETTING_TYPE_CONNECTOR:
        connector_faults(value, faults);
        break;
    case SETTING_TYPE_NOTICE:
        notice_faults(value, faults);
        break;
    case SETTING_TYPE_ANY:
        break;
    }
}

/* A number whose exponent alone makes it too long, NULL when there is none. The database writes
 * such a number out before it judges it: nine bytes here are 131 000 there. */
static const char *
find_vast_number(struct json_object *value)
{
    const char *found = NULL;
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach (value, name, member) {
            (void)name;
            found = found == NULL ? find_vast_number(member) : found;
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; found == NULL && i < json_object_array_length(value); i++)
            found = find_vast_number(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_double)) {
        const char *text = json_object_get_string(value);
        const char *exponent = strpbrk(text, "eE");
        long number = exponent == NULL ? 0 : strtol(exponent + 1, NULL, 10);
        return number < -SETTING_NUMBER_LENGTH_MAX || number > SETTING_NUMBER_LENGTH_MAX ? text
                                                                                         : NULL;
    }
    return found;
}

enum err_code
setting_check_value(const char *key, struct json_object *value, struct err *err)
{
    char clip[FAULT_CLIP_SIZE];
    size_t size = strlen(json_text(value));
    if (size > SETTING_VALUE_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "value_too_large", "value of '%s' has %zu bytes, at most %d",
                       fault_clip(clip, key), size, SETTING_VALUE_SIZE_MAX);
    const char *number = find_vast_number(value);
    if (number != NULL) {
        (void)err_set(err, ERR_LIMIT, "number_too_long",
                      "value of '%s' has the number %s, which has more than 64 bits or %d digits",
                      fault_clip(clip, key), number, SETTING_NUMBER_LENGTH_MAX);
        return err_mend(err, "store it as a string");
    }
    struct fault_list faults = { 0 };
    setting_faults(key, value, &faults);
    return fault_err(&faults, "bad_value", fault_clip(clip, key), err);
}

enum err_code
setting_check_change(const char *key, enum setting_layer layer, const char *site, bool is_delete,
                     struct json_object *value, struct err *err)
{
    enum err_code code = setting_check_place(key, layer, site, err);
    if (code != ERR_NONE || is_delete)
        return code;
    return setting_check_value(key, value, err);
}

/* ---- effective values ---- */

static bool
has_layer(enum setting_scope scope, enum setting_layer layer)
{
    switch (layer) {
    case SETTING_LAYER_NODE:
        return scope == SETTING_SCOPE_NODE;
    case SETTING_LAYER_SITE:
        return scope == SETTING_SCOPE_SITE;
    case SETTING_LAYER_CLUSTER:
        return scope != SETTING_SCOPE_NODE;
    case SETTING_LAYER_DEFAULT:
        break;
    }
    return true;
}

bool
setting_layer_find(const struct setting_row *row, const char *key, enum setting_layer layer,
                   const struct setting_source *source, struct setting_stored *ret)
{
    if (layer == SETTING_LAYER_DEFAULT || !has_layer(row->scope, layer) ||
        (layer == SETTING_LAYER_NODE && !source->node_known))
        return false;
    *ret = (struct setting_stored){ 0 };
    return source->find(source->data, layer, layer == SETTING_LAYER_SITE ? source->site : "", key,
                        ret);
}

void
setting_resolve(const struct setting_row *row, const char *key, const struct setting_source *source,
                struct setting_value *ret)
{
    *ret = (struct setting_value){
        .row = row,
        .layer = SETTING_LAYER_DEFAULT,
        .known = row->scope != SETTING_SCOPE_NODE || source->node_known,
    };
    for (enum setting_layer layer = SETTING_LAYER_NODE; layer < SETTING_LAYER_DEFAULT; layer++) {
        struct setting_stored stored;
        if (!setting_layer_find(row, key, layer, source, &stored))
            continue;
        struct fault_list faults = { 0 };
        setting_faults(key, stored.value, &faults);
        if (faults.count > 0) {
            ret->refused = true;
            break;
        }
        ret->set = true;
        ret->layer = layer;
        ret->stored = stored;
        ret->value = json_object_get(stored.value);
        return;
    }
    ret->value = setting_default(row);
    ret->set = ret->value != NULL;
}

void
setting_value_done(struct setting_value *value)
{
    json_putp(&value->value);
}

uint64_t
setting_u64(enum setting_id id, const struct setting_source *source)
{
    const struct setting_row *row = setting_row(id);
    ASSERT(row->type == SETTING_TYPE_INTEGER && row->min >= 0);
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(row, row->name, source, &value);
    return (uint64_t)json_object_get_int64(value.value);
}

bool
setting_bool(enum setting_id id, const struct setting_source *source)
{
    const struct setting_row *row = setting_row(id);
    ASSERT(row->type == SETTING_TYPE_BOOL && strchr(row->name, '*') == NULL);
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(row, row->name, source, &value);
    return json_object_get_boolean(value.value) != 0;
}

const char *
setting_text(enum setting_id id, const struct setting_source *source)
{
    const struct setting_row *row = setting_row(id);
    ASSERT(row->type == SETTING_TYPE_CHOICE || row->type == SETTING_TYPE_TEXT);
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(row, row->name, source, &value);
    if (value.layer == SETTING_LAYER_DEFAULT)
        return row->default_text;
    return json_object_get_string(value.stored.value);
}

uint64_t
setting_check_interval_ms(const struct setting_source *source)
{
    uint64_t own_ms = setting_u64(SETTING_CHECK_INTERVAL_MS, source);
    return own_ms != 0 ? own_ms : setting_u64(SETTING_PEER_POLL_MS, source);
}

bool
setting_use_alternate(const char *connector, const struct setting_source *source)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    (void)snprintf(key, sizeof key, "connector/%s/use_alternate_server", connector);
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(setting_row(SETTING_USE_ALTERNATE), key, source, &value);
    return json_object_get_boolean(value.value) != 0;
}

unsigned
setting_instances_expected(const char *connector, const struct setting_source *source)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    (void)snprintf(key, sizeof key, "instance/%.63s/expected", connector);
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(setting_row(SETTING_INSTANCE_EXPECTED), key, source, &value);
    return (unsigned)json_object_get_int(value.value);
}

const char *
setting_next_version(const char *connector, const struct setting_source *source)
{
    char key[SETTING_KEY_SIZE_MAX + 1];
    (void)snprintf(key, sizeof key, "instance/%.63s/next_version", connector);
    CLEANUP(setting_value_done) struct setting_value value;
    setting_resolve(setting_row(SETTING_INSTANCE_NEXT_VERSION), key, source, &value);
    return value.set ? json_object_get_string(value.stored.value) : NULL;
}

/* ---- durability ---- */

#define STRICT_STANDBY_COUNT_MIN 2

struct setting_durability
setting_durability_effective(const char *chosen, unsigned k, unsigned standby_count,
                             bool has_arbiter)
{
    struct setting_durability durability = { .derived = chosen == NULL };
    if (chosen == NULL)
        durability.strict = standby_count >= STRICT_STANDBY_COUNT_MIN;
    else
        durability.strict = strcmp(chosen, "async") != 0;
    durability.available =
        chosen == NULL ? durability.strict && has_arbiter : strcmp(chosen, "available") == 0;
    durability.k = durability.strict ? k : 0;
    return durability;
}

struct setting_durability
setting_durability(const struct setting_source *source, unsigned standby_count, bool has_arbiter)
{
    return setting_durability_effective(setting_text(SETTING_DURABILITY, source),
                                        (unsigned)setting_u64(SETTING_SYNC_K, source),
                                        standby_count, has_arbiter);
}
