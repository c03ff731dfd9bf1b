#include "sites/shape.h"

#include <inttypes.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"

bool
shape_is_choice(const char *choices, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = choices; length > 0 && at != NULL; at = strchr(at, '|')) {
        if (*at == '|')
            at++;
        size_t size = strcspn(at, "|");
        if (size == length && memcmp(at, word, length) == 0)
            return true;
    }
    return false;
}

static const char *
type_text(enum shape_type type)
{
    switch (type) {
    case SHAPE_ANY:
        return "a value";
    case SHAPE_BOOL:
        return "true or false";
    case SHAPE_INTEGER:
        return "an integer";
    case SHAPE_TEXT:
    case SHAPE_CHOICE:
        return "a text";
    case SHAPE_OBJECT:
    case SHAPE_MAP:
        return "an object";
    case SHAPE_LIST:
        return "a list";
    }
    ASSERT(false);
}

static bool
is_type(enum shape_type type, struct json_object *value)
{
    switch (type) {
    case SHAPE_ANY:
        return true;
    case SHAPE_BOOL:
        return json_object_is_type(value, json_type_boolean);
    case SHAPE_INTEGER:
        return json_object_is_type(value, json_type_int);
    case SHAPE_TEXT:
    case SHAPE_CHOICE:
        return json_object_is_type(value, json_type_string);
    case SHAPE_OBJECT:
    case SHAPE_MAP:
        return json_object_is_type(value, json_type_object);
    case SHAPE_LIST:
        return json_object_is_type(value, json_type_array);
    }
    ASSERT(false);
}

static void
check_integer(const struct shape *shape, struct json_object *value, const char *pointer,
              struct fault_list *faults)
{
    int64_t number = json_object_get_int64(value);
    if (number < shape->min || number > shape->max)
        fault_add(faults, pointer, "%" PRId64 " is not from %" PRId64 " to %" PRId64, number,
                  shape->min, shape->max);
}

static void
check_text(const struct shape *shape, struct json_object *value, const char *pointer,
           struct fault_list *faults)
{
    int64_t size = json_object_get_string_len(value);
    if (size < shape->min || size > shape->max) {
        fault_add(faults, pointer,
                  "a text of %" PRId64 " bytes, but %" PRId64 " to %" PRId64 " are allowed", size,
                  shape->min, shape->max);
        return;
    }
    const char *fault =
        shape->text_fault == NULL ? NULL : shape->text_fault(json_object_get_string(value));
    if (fault != NULL)
        fault_add(faults, pointer, "%s", fault);
}

static void
check_choice(const struct shape *shape, struct json_object *value, const char *pointer,
             struct fault_list *faults)
{
    char clip[FAULT_CLIP_SIZE];
    const char *word = json_object_get_string(value);
    if (!shape_is_choice(shape->choices, word))
        fault_add(faults, pointer, "'%s' is not one of %s", fault_clip(clip, word), shape->choices);
}

static const struct shape *
find_member(const struct shape *members, const char *name)
{
    for (; members->name != NULL; members++) {
        if (strcmp(members->name, name) == 0)
            return members;
    }
    return NULL;
}

static void
add_unknown(const struct shape *members, const char *name, const char *pointer,
            struct fault_list *faults)
{
    const struct shape *nearest = NULL;
    unsigned best = FAULT_FAR;
    for (; members->name != NULL; members++) {
        unsigned distance = fault_distance(name, members->name);
        if (distance < best) {
            best = distance;
            nearest = members;
        }
    }
    if (nearest == NULL)
        fault_add(faults, pointer, "not known here");
    else
        fault_add(faults, pointer, "not known here; did you mean '%s'?", nearest->name);
}

static void
check_object(const struct shape *shape, struct json_object *value, const char *pointer,
             struct fault_list *faults)
{
    char inner[FAULT_POINTER_SIZE];
    json_object_object_foreach (value, name, member) {
        const struct shape *known = find_member(shape->inside, name);
        fault_pointer(inner, pointer, name);
        if (known == NULL)
            add_unknown(shape->inside, name, inner, faults);
        else
            shape_check(known, member, inner, faults);
    }
    for (const struct shape *known = shape->inside; known->name != NULL; known++) {
        if (!known->required || json_object_object_get_ex(value, known->name, NULL))
            continue;
        fault_pointer(inner, pointer, known->name);
        fault_add(faults, inner, "missing, %s is needed", type_text(known->type));
    }
}

static void
check_map(const struct shape *shape, struct json_object *value, const char *pointer,
          struct fault_list *faults)
{
    int64_t count = json_object_object_length(value);
    if (count < shape->min || count > shape->max) {
        fault_add(faults, pointer,
                  "%" PRId64 " members, but %" PRId64 " to %" PRId64 " are allowed", count,
                  shape->min, shape->max);
        return;
    }
    char inner[FAULT_POINTER_SIZE];
    json_object_object_foreach (value, name, member) {
        fault_pointer(inner, pointer, name);
        const char *fault = shape->name_fault == NULL ? NULL : shape->name_fault(name);
        if (fault != NULL)
            fault_add(faults, inner, "%s", fault);
        shape_check(shape->inside, member, inner, faults);
    }
}

static void
check_unique(struct json_object *value, size_t index, const char *pointer,
             struct fault_list *faults)
{
    struct json_object *item = json_object_array_get_idx(value, index);
    for (size_t i = 0; i < index; i++) {
        if (json_object_equal(item, json_object_array_get_idx(value, i)) == 0)
            continue;
        char clip[FAULT_CLIP_SIZE];
        fault_add(faults, pointer, "'%s' stands twice",
                  fault_clip(clip, json_object_get_string(item)));
        return;
    }
}

static void
check_list(const struct shape *shape, struct json_object *value, const char *pointer,
           struct fault_list *faults)
{
    size_t count = json_object_array_length(value);
    if ((int64_t)count < shape->min || (int64_t)count > shape->max) {
        fault_add(faults, pointer, "%zu items, but %" PRId64 " to %" PRId64 " are allowed", count,
                  shape->min, shape->max);
        return;
    }
    char inner[FAULT_POINTER_SIZE];
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(value, i);
        fault_pointer_index(inner, pointer, i);
        shape_check(shape->inside, item, inner, faults);
        if (shape->unique && is_type(shape->inside->type, item)) /* null is equal to null */
            check_unique(value, i, inner, faults);
    }
}

void
shape_check(const struct shape *shape, struct json_object *value, const char *pointer,
            struct fault_list *faults)
{
    if (!is_type(shape->type, value)) {
        fault_add(faults, pointer, "must be %s", type_text(shape->type));
        return;
    }
    switch (shape->type) {
    case SHAPE_ANY:
    case SHAPE_BOOL:
        break;
    case SHAPE_INTEGER:
        check_integer(shape, value, pointer, faults);
        break;
    case SHAPE_TEXT:
        check_text(shape, value, pointer, faults);
        break;
    case SHAPE_CHOICE:
        check_choice(shape, value, pointer, faults);
        break;
    case SHAPE_OBJECT:
        check_object(shape, value, pointer, faults);
        break;
    case SHAPE_MAP:
        check_map(shape, value, pointer, faults);
        break;
    case SHAPE_LIST:
        check_list(shape, value, pointer, faults);
        break;
    }
    if (shape->more != NULL)
        shape->more(value, pointer, faults);
}
