/* What is taken as JSON can be written, read again, and is then the same. */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "tests/fuzz/fuzz.h"

static unsigned
depth_of(struct json_object *value)
{
    unsigned deepest = 0;
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach (value, name, member) {
            (void)name;
            unsigned depth = depth_of(member);
            deepest = depth > deepest ? depth : deepest;
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            unsigned depth = depth_of(json_object_array_get_idx(value, i));
            deepest = depth > deepest ? depth : deepest;
        }
    } else {
        return 0;
    }
    return deepest + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    CLEANUP(json_putp) struct json_object *value = NULL;
    if (json_read((const char *)data, size, &value, &err) != ERR_NONE) {
        ASSERT(value == NULL && err.text[0] != '\0');
        return 0;
    }
    ASSERT(str_is_utf8((const char *)data, size));
    ASSERT(depth_of(value) <= JSON_DEPTH_MAX + 1);

    CLEANUP(freep) char *text = str_dup(json_text(value));
    CLEANUP(json_putp) struct json_object *again = NULL;
    ASSERT(json_read(text, strlen(text), &again, &err) == ERR_NONE);
    ASSERT(strcmp(json_text(again), text) == 0);
    return 0;
}
