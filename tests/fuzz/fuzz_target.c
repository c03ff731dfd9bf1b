/* Paths and queries, without HTTP around them. */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/http/target.h"
#include "tests/fuzz/fuzz.h"

static void
check_text(const char *text)
{
    ASSERT(str_is_utf8(text, strlen(text)));
    for (; *text != '\0'; text++)
        ASSERT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void
check_path(char *path)
{
    size_t size = strlen(path);
    if (!http_path_decode(path))
        return;
    ASSERT(path[0] == '/' && strlen(path) <= size);
    check_text(path);
    for (const char *segment = path; segment != NULL; segment = strchr(segment + 1, '/')) {
        size_t length = strcspn(segment + 1, "/");
        ASSERT(length > 0 || segment[1] == '\0');
        ASSERT(strncmp(segment + 1, ".", length) != 0 || length != 1);
        ASSERT(strncmp(segment + 1, "..", length) != 0 || length != 2);
    }
}

static void
check_query(const char *query)
{
    struct http_pairs pairs = { 0 };
    if (http_pairs_read(&pairs, query)) {
        ASSERT(pairs.count <= HTTP_QUERY_COUNT_MAX);
        for (unsigned i = 0; i < pairs.count; i++) {
            const char *name = pairs.text.data + pairs.name_at[i];
            const char *value = pairs.text.data + pairs.value_at[i];
            ASSERT(name[0] != '\0' && value + strlen(value) < pairs.text.data + pairs.text.size);
            check_text(name);
            check_text(value);
            ASSERT(http_pairs_find(&pairs, name) == value); /* none stands twice */
        }
    }
    http_pairs_done(&pairs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    ASSERT(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_query(text);
    check_path(text);
    free(text);
    return 0;
}
