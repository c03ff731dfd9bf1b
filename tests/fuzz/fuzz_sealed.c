/* A value that is taken for sealed says the same when it is written again, holds a nonce, a tag and
 * no more than is allowed, and is shown by its key alone. What is not taken leaves nothing behind.
 */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/sealing.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(sealing_value_done) struct sealing_value sealed = { 0 };
    if (json_read((const char *)data, size, &value, &err) != ERR_NONE)
        return 0;
    CLEANUP(json_putp) struct json_object *shown = sealing_shown(value);
    ASSERT(json_object_object_length(shown) == 1 && strlen(json_text(shown)) < 40);
    if (!sealing_read(value, &sealed)) {
        ASSERT(sealed.bytes == NULL);
        return 0;
    }
    size_t more = SEALING_NONCE_SIZE + SEALING_TAG_SIZE;
    ASSERT(sealed.size > more && sealed.size <= more + SEALING_VALUE_SIZE_MAX);
    ASSERT(strcmp(sealing_key_of(value), sealed.key) == 0);
    CLEANUP(json_putp)
    struct json_object *again = sealing_write(sealed.key, sealed.bytes, sealed.size);
    ASSERT(json_object_equal(again, value));
    return 0;
}
