#include "controller/cli/word.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

const char *
word_age(uint64_t age_ms, char text[WORD_SIZE])
{
    unsigned long long age = age_ms;
    if (age < 100)
        (void)snprintf(text, WORD_SIZE, "now");
    else if (age < 10000)
        (void)snprintf(text, WORD_SIZE, "%llu.%llu s", age / 1000, age % 1000 / 100);
    else if (age < 120000)
        (void)snprintf(text, WORD_SIZE, "%llu s", age / 1000);
    else if (age < 2ULL * 3600 * 1000)
        (void)snprintf(text, WORD_SIZE, "%llu min", age / 60000);
    else if (age < 48ULL * 3600 * 1000)
        (void)snprintf(text, WORD_SIZE, "%llu h", age / 3600000);
    else
        (void)snprintf(text, WORD_SIZE, "%llu d", age / 86400000);
    return text;
}

const char *
word_duration(uint64_t duration_ms, char text[WORD_SIZE])
{
    unsigned long long duration = duration_ms;
    if (duration < 1000)
        (void)snprintf(text, WORD_SIZE, "%llu ms", duration);
    else if (duration < 60000 && duration % 1000 == 0)
        (void)snprintf(text, WORD_SIZE, "%llu s", duration / 1000);
    else if (duration < 60000)
        (void)snprintf(text, WORD_SIZE, "%llu.%02llu s", duration / 1000, duration % 1000 / 10);
    else
        (void)snprintf(text, WORD_SIZE, "%llu min %llu s", duration / 60000,
                       duration % 60000 / 1000);
    return text;
}

const char *
word_time(const char *time, char text[WORD_SIZE])
{
    int64_t unused;
    if (!clock_wall_parse(time, &unused))
        (void)snprintf(text, WORD_SIZE, "%s", time);
    else
        (void)snprintf(text, WORD_SIZE, "%.10s %.8s", time, time + 11);
    return text;
}

const char *
word_or(struct json_object *object, const char *name, const char *otherwise)
{
    const char *text;
    return json_get_string(object, name, &text) ? text : otherwise;
}

const char *
word_string(struct json_object *object, const char *name)
{
    return word_or(object, name, "?");
}

uint64_t
word_number(struct json_object *object, const char *name, uint64_t otherwise)
{
    uint64_t number;
    return json_get_u64(object, name, &number) ? number : otherwise;
}

const char *
word_u64(struct json_object *object, const char *name, char text[WORD_SIZE])
{
    uint64_t number;
    if (json_get_u64(object, name, &number))
        (void)snprintf(text, WORD_SIZE, "%llu", (unsigned long long)number);
    else
        (void)snprintf(text, WORD_SIZE, "?");
    return text;
}

const char *
word_epoch(struct json_object *object, const char *name, char text[WORD_SIZE])
{
    struct json_object *epoch = json_get(object, name);
    uint64_t number;
    const char *holder;
    if (json_get_u64(epoch, "number", &number) && json_get_string(epoch, "holder", &holder))
        (void)snprintf(text, WORD_SIZE, "%llu/%s", (unsigned long long)number, holder);
    else
        (void)snprintf(text, WORD_SIZE, "?");
    return text;
}

char *
word_value(struct json_object *value, size_t size_max)
{
    const char *whole = json_object_is_type(value, json_type_string)
                            ? json_object_get_string(value)
                            : json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE);
    char *text = str_dup(whole);
    if (strlen(text) <= size_max)
        return text;
    size_t end = size_max < 3 ? 0 : size_max - 3;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
    return text;
}

static size_t
count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (text = strstr(text, what); text != NULL; text = strstr(text + 1, what))
        count++;
    return count;
}

static void
shorten_pem(struct json_object *value)
{
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach (value, name, member) {
            (void)name;
            shorten_pem(member);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            shorten_pem(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_string)) {
        const char *text = json_object_get_string(value);
        size_t certificates = count_of(text, "-----BEGIN CERTIFICATE-----");
        char brief[WORD_SIZE] = "PEM";
        if (count_of(text, "-----BEGIN ") == 0)
            return;
        if (certificates > 0)
            (void)snprintf(brief, sizeof brief, "PEM, %zu certificate%s", certificates,
                           certificates == 1 ? "" : "s");
        (void)json_object_set_string(value, brief);
    }
}

char *
word_brief(struct json_object *value)
{
    CLEANUP(json_putp) struct json_object *copy = NULL;
    const char *key;
    if (json_object_is_type(value, json_type_object) && json_object_object_length(value) == 1 &&
        json_get_string(value, "sealed", &key))
        return str_printf("(sealed, key %s)", key);
    if (value != NULL && json_object_deep_copy(value, &copy, NULL) == 0)
        shorten_pem(copy);
    return word_value(copy, WORD_BRIEF_SIZE_MAX);
}

size_t
word_count(struct json_object *object, const char *name)
{
    struct json_object *array = json_get(object, name);
    return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

struct json_object *
word_item(struct json_object *object, const char *name, size_t index)
{
    return index < word_count(object, name)
               ? json_object_array_get_idx(json_get(object, name), index)
               : NULL;
}
