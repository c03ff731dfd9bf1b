#include "sites/sealing.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"

/* ---- secret/NAME ---- */

static bool
is_key_id(const char *text)
{
    return strlen(text) == SEALING_ID_SIZE - 1 && strspn(text, "0123456789abcdef") == strlen(text);
}

const char *
sealing_key_of(struct json_object *value)
{
    const char *key;
    const char *sealed;
    if (!json_object_is_type(value, json_type_object) || json_object_object_length(value) != 2 ||
        !json_get_string(value, "key", &key) || !json_get_string(value, "sealed", &sealed))
        return NULL;
    return is_key_id(key) ? key : NULL;
}

bool
sealing_read(struct json_object *value, struct sealing_value *ret_value)
{
    const char *sealed = "";
    const char *key = sealing_key_of(value);
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size;
    const size_t more = SEALING_NONCE_SIZE + SEALING_TAG_SIZE;
    if (key == NULL || !json_get_string(value, "sealed", &sealed) ||
        !str_from_base64url(sealed, &bytes, &size))
        return false;
    if (size <= more || size > more + SEALING_VALUE_SIZE_MAX)
        return false;
    memcpy(ret_value->key, key, SEALING_ID_SIZE);
    ret_value->bytes = take_ptr(&bytes);
    ret_value->size = size;
    return true;
}

struct json_object *
sealing_write(const char *key, const uint8_t *bytes, size_t size)
{
    CLEANUP(freep) char *text = str_base64url(bytes, size);
    struct json_object *value = json_object_new_object();
    json_add_string(value, "key", key);
    json_add_string(value, "sealed", text);
    return value;
}

struct json_object *
sealing_shown(struct json_object *value)
{
    struct json_object *shown = json_object_new_object();
    json_add_string(shown, "sealed", sealing_key_of(value));
    return shown;
}

void
sealing_value_done(struct sealing_value *value)
{
    free(value->bytes);
    value->bytes = NULL;
}

bool
sealing_is_secret(const char *key)
{
    return str_starts(key, SEALING_PREFIX) && str_is_name(key + strlen(SEALING_PREFIX));
}

char *
sealing_bound(const char *cluster_id, const char *secret, const char *key)
{
    return str_printf("baton secret\n%s\n%s\n%s", cluster_id, secret, key);
}

/* ---- seal/keys ---- */

static struct json_object *
find_key(struct json_object *keys, const char *key)
{
    return json_get(json_get(keys, "keys"), key);
}

const char *
sealing_current(struct json_object *keys)
{
    const char *current;
    return json_get_string(keys, "current", &current) && is_key_id(current) ? current : NULL;
}

const char *
sealing_box(struct json_object *keys, const char *key, const char *node, const char **ret_to)
{
    const char *box = NULL;
    const char *to = "";
    struct json_object *entry = json_get(json_get(find_key(keys, key), "boxes"), node);
    if (!json_get_string(entry, "box", &box) || !json_get_string(entry, "to", &to))
        return NULL;
    if (ret_to != NULL)
        *ret_to = to;
    return box;
}

size_t
sealing_left(struct json_object *keys, const char *key, struct json_object **ret_names)
{
    struct json_object *names = json_get(find_key(keys, key), "left");
    if (!json_object_is_type(names, json_type_array))
        names = NULL;
    if (ret_names != NULL)
        *ret_names = names;
    return names == NULL ? 0 : json_object_array_length(names);
}

void
sealing_add_key(struct json_object **keys, const char *key, const char *at, const char *by)
{
    struct json_object *entry = json_object_new_object();
    if (*keys == NULL)
        *keys = json_object_new_object();
    if (!json_object_is_type(json_get(*keys, "keys"), json_type_object))
        json_add(*keys, "keys", json_object_new_object());
    json_add_string(entry, "made_at", at);
    json_add_string(entry, "made_by", by);
    json_add(entry, "boxes", json_object_new_object());
    json_add(entry, "left", json_object_new_array());
    json_add(json_get(*keys, "keys"), key, entry);
    json_add_string(*keys, "current", key);
}

/* ---- who is given what ---- */

struct plan {
    struct sealing_step *steps;
    size_t count;
    size_t max;
};

static void
add_step(struct plan *plan, enum sealing_kind kind, const char *key, const char *node,
         const char *public_key)
{
    if (plan->count == plan->max)
        return;
    struct sealing_step *step = &plan->steps[plan->count];
    step->kind = kind;
    if (str_copy(step->key, sizeof step->key, key) &&
        str_copy(step->node, sizeof step->node, node) &&
        str_copy(step->public_key, sizeof step->public_key, public_key))
        plan->count++;
}

static const struct sealing_member *
find_member(const struct sealing_member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!members[i].removed && strcmp(members[i].name, name) == 0)
            return &members[i];
    }
    return NULL;
}

static bool
counts(struct json_object *keys, const char *key, const char *const *used, size_t used_count)
{
    const char *current = sealing_current(keys);
    if (current == NULL || strcmp(current, key) == 0) /* Z3; and who does not know it drops none */
        return true;
    for (size_t i = 0; i < used_count; i++) {
        if (strcmp(used[i], key) == 0)
            return true;
    }
    return false;
}

static void
plan_key(struct plan *plan, struct json_object *keys, const char *key,
         const struct sealing_member *members, size_t member_count)
{
    struct json_object *boxes = json_get(find_key(keys, key), "boxes");
    json_object_object_foreach (boxes, node, box) {
        (void)box;
        if (find_member(members, member_count, node) == NULL)
            add_step(plan, SEALING_TAKE, key, node, "");
    }
    for (size_t i = 0; i < member_count; i++) {
        const struct sealing_member *member = &members[i];
        const char *to;
        if (member->removed || member->public_key[0] == '\0')
            continue;
        if (sealing_box(keys, key, member->name, &to) == NULL ||
            strcmp(to, member->public_key) != 0)
            add_step(plan, SEALING_GIVE, key, member->name, member->public_key);
    }
}

size_t
sealing_plan(struct json_object *keys, const struct sealing_member *members, size_t member_count,
             const char *const *used, size_t used_count, struct sealing_step *steps, size_t max)
{
    struct plan plan = { .steps = steps, .max = max };
    struct json_object *list = json_get(keys, "keys");
    if (!json_object_is_type(list, json_type_object))
        return 0;
    json_object_object_foreach (list, key, entry) {
        (void)entry;
        if (!is_key_id(key))
            continue;
        if (!counts(keys, key, used, used_count))
            add_step(&plan, SEALING_FORGET, key, "", "");
        else if (json_object_is_type(json_get(entry, "boxes"), json_type_object))
            plan_key(&plan, keys, key, members, member_count);
    }
    return plan.count;
}

/* Z2 */
static void
remember(struct json_object *entry, const char *node)
{
    struct json_object *left = json_get(entry, "left");
    if (!json_object_is_type(left, json_type_array)) {
        left = json_object_new_array();
        json_add(entry, "left", left);
    }
    for (size_t i = 0; i < json_object_array_length(left); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(left, i));
        if (name != NULL && strcmp(name, node) == 0)
            return;
    }
    (void)json_object_array_add(left, json_object_new_string(node));
}

void
sealing_apply(struct json_object *keys, const struct sealing_step *step, const char *box)
{
    struct json_object *entry = find_key(keys, step->key);
    struct json_object *boxes = json_get(entry, "boxes");
    struct json_object *given;
    bool had = sealing_box(keys, step->key, step->node, NULL) != NULL;
    switch (step->kind) {
    case SEALING_GIVE:
        if (had)
            remember(entry, step->node);
        given = json_object_new_object();
        json_add_string(given, "to", step->public_key);
        json_add_string(given, "box", box);
        json_add(boxes, step->node, given);
        break;
    case SEALING_TAKE:
        remember(entry, step->node);
        json_object_object_del(boxes, step->node);
        break;
    case SEALING_FORGET:
        json_object_object_del(json_get(keys, "keys"), step->key);
        break;
    }
}

size_t
sealing_turn(struct json_object *keys, const struct sealing_member *members, size_t member_count,
             const char *primary, const char *self)
{
    size_t turn = 0;
    const char *current = sealing_current(keys);
    for (size_t i = 0; i < member_count && current != NULL; i++) {
        const char *name = members[i].name;
        bool can = !members[i].removed && sealing_box(keys, current, name, NULL) != NULL;
        bool before =
            strcmp(name, primary) == 0 || (strcmp(self, primary) != 0 && strcmp(name, self) < 0);
        if (can && before && strcmp(name, self) != 0)
            turn++;
    }
    return turn;
}
