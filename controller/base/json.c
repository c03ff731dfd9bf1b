#include "controller/base/json.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

/*
 * json-c decides what a value is; this scan before it refuses what json-c would let pass: single
 * quotes, comments, bare words, duplicate members, depth, integers out of range, trailing bytes.
 */
struct scan {
    const char *start;
    const char *at;
    const char *end;
    const char *fault; /* static text, NULL while all is well */
};

static bool
fail(struct scan *scan, const char *fault)
{
    if (scan->fault == NULL)
        scan->fault = fault;
    return false;
}

static void
skip_space(struct scan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) != NULL && *scan->at != '\0')
        scan->at++;
}

static bool
hex_digits(const char *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strchr("0123456789abcdefABCDEF", at[i]) == NULL || at[i] == '\0')
            return false;
    }
    return true;
}

static bool
scan_string(struct scan *scan)
{
    for (scan->at++; scan->at < scan->end; scan->at++) {
        if ((unsigned char)*scan->at < 0x20)
            return fail(scan, "control character in a string");
        if (*scan->at == '"') {
            scan->at++;
            return true;
        }
        if (*scan->at != '\\')
            continue;
        if (++scan->at == scan->end)
            break;
        if (*scan->at == 'u') {
            if (scan->end - scan->at < 5 || !hex_digits(scan->at + 1, 4))
                return fail(scan, "bad \\u escape");
            if (strncmp(scan->at + 1, "0000", 4) == 0)
                return fail(scan, "\\u0000 in a string");
            scan->at += 4;
        } else if (*scan->at == '\0' || strchr("\"\\/bfnrt", *scan->at) == NULL) {
            return fail(scan, "bad escape");
        }
    }
    return fail(scan, "string without end");
}

static size_t
scan_digits(struct scan *scan)
{
    size_t count = 0;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++)
        count++;
    return count;
}

static bool
scan_number(struct scan *scan)
{
    const char *first = scan->at;
    bool negative = *scan->at == '-';
    bool whole = true;
    if (negative)
        scan->at++;
    const char *digits = scan->at;
    size_t count = scan_digits(scan);
    if (count == 0 || (count > 1 && *digits == '0'))
        return fail(scan, "bad number");
    if (scan->at < scan->end && *scan->at == '.') {
        whole = false;
        scan->at++;
        if (scan_digits(scan) == 0)
            return fail(scan, "bad number");
    }
    if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E')) {
        whole = false;
        scan->at++;
        if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
            scan->at++;
        if (scan_digits(scan) == 0)
            return fail(scan, "bad number");
    }
    if (scan->at - first > 64)
        return fail(scan, "number with more than 64 characters");
    if (whole) {
        char text[72];
        uint64_t number;
        memcpy(text, digits, count);
        text[count] = '\0';
        if (!str_to_u64(text, 0, (uint64_t)INT64_MAX + (negative ? 1 : 0), &number))
            return fail(scan, "integer beyond 64 bits");
    }
    return true;
}

static bool
scan_word(struct scan *scan, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(scan->end - scan->at) < length || strncmp(scan->at, word, length) != 0)
        return fail(scan, "unexpected character");
    scan->at += length;
    return true;
}

static bool scan_value(struct scan *scan, unsigned depth);

static bool
scan_list(struct scan *scan, unsigned depth, char close, bool members)
{
    scan->at++;
    skip_space(scan);
    if (scan->at < scan->end && *scan->at == close) {
        scan->at++;
        return true;
    }
    for (;;) {
        skip_space(scan);
        if (members) {
            if (scan->at == scan->end || *scan->at != '"')
                return fail(scan, "member name in double quotes expected");
            if (!scan_string(scan))
                return false;
            skip_space(scan);
            if (scan->at == scan->end || *scan->at != ':')
                return fail(scan, "':' expected");
            scan->at++;
        }
        if (!scan_value(scan, depth + 1))
            return false;
        skip_space(scan);
        if (scan->at == scan->end)
            return fail(scan, "unexpected end");
        if (*scan->at == close) {
            scan->at++;
            return true;
        }
        if (*scan->at != ',')
            return fail(scan, "',' expected");
        scan->at++;
    }
}

static bool
scan_value(struct scan *scan, unsigned depth)
{
    if (depth > JSON_DEPTH_MAX)
        return fail(scan, "nested too deeply");
    skip_space(scan);
    if (scan->at == scan->end)
        return fail(scan, "unexpected end");
    switch (*scan->at) {
    case '{':
        return scan_list(scan, depth, '}', true);
    case '[':
        return scan_list(scan, depth, ']', false);
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        if (*scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9'))
            return scan_number(scan);
        return fail(scan, "unexpected character");
    }
}

/* json-c keeps the last of duplicate members; then fewer members come out than went in. */
static size_t
count_members(struct json_object *value)
{
    size_t count = 0;
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach (value, name, member) {
            (void)name;
            count += 1 + count_members(member);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            count += count_members(json_object_array_get_idx(value, i));
    }
    return count;
}

static size_t
count_colons(const char *text, size_t size)
{
    size_t count = 0;
    bool inside = false;
    for (size_t i = 0; i < size; i++) {
        if (inside && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            inside = !inside;
        else if (!inside && text[i] == ':')
            count++;
    }
    return count;
}

static void
tokener_freep(struct json_tokener **tokener)
{
    if (*tokener != NULL)
        json_tokener_free(*tokener);
}

enum err_code
json_read(const char *text, size_t size, struct json_object **ret, struct err *err)
{
    struct scan scan = { .start = text, .at = text, .end = text + size };
    if (size > INT32_MAX / 2)
        return err_set(err, ERR_LIMIT, "json", "JSON of %zu bytes is too large", size);
    if (!str_is_utf8(text, size))
        return err_set(err, ERR_INVALID, "json", "JSON is not valid UTF-8");
    if (scan_value(&scan, 0)) {
        skip_space(&scan);
        if (scan.at != scan.end)
            (void)fail(&scan, "text after the value");
    }
    if (scan.fault != NULL)
        return err_set(err, ERR_INVALID, "json", "not valid JSON: %s at byte %zu", scan.fault,
                       (size_t)(scan.at - scan.start));

    CLEANUP(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
    ASSERT(tokener != NULL);
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    /* a bare number ends only at a NUL: json-c is given one of our own */
    CLEANUP(freep) char *copy = mem_alloc(size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    CLEANUP(json_putp)
    struct json_object *value = json_tokener_parse_ex(tokener, copy, (int)(size + 1));
    if (json_tokener_get_error(tokener) != json_tokener_success)
        return err_set(err, ERR_INVALID, "json", "not valid JSON: %s",
                       json_tokener_error_desc(json_tokener_get_error(tokener)));
    if (count_members(value) != count_colons(text, size))
        return err_set(err, ERR_INVALID, "json", "not valid JSON: a member name stands twice");
    *ret = take_ptr(&value);
    return ERR_NONE;
}

void
json_putp(struct json_object **holder)
{
    (void)json_object_put(*holder);
    *holder = NULL;
}

struct json_object *
json_get(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object))
        return NULL;
    (void)json_object_object_get_ex(object, name, &value);
    return value;
}

bool
json_get_string(struct json_object *object, const char *name, const char **ret)
{
    struct json_object *value = json_get(object, name);
    if (!json_object_is_type(value, json_type_string))
        return false;
    *ret = json_object_get_string(value);
    return true;
}

bool
json_get_i64(struct json_object *object, const char *name, int64_t *ret)
{
    struct json_object *value = json_get(object, name);
    if (!json_object_is_type(value, json_type_int))
        return false;
    *ret = json_object_get_int64(value);
    return true;
}

bool
json_get_u64(struct json_object *object, const char *name, uint64_t *ret)
{
    int64_t number;
    if (!json_get_i64(object, name, &number) || number < 0)
        return false;
    *ret = (uint64_t)number;
    return true;
}

bool
json_get_bool(struct json_object *object, const char *name, bool *ret)
{
    struct json_object *value = json_get(object, name);
    if (!json_object_is_type(value, json_type_boolean))
        return false;
    *ret = json_object_get_boolean(value) != 0;
    return true;
}

void
json_add(struct json_object *object, const char *name, struct json_object *value)
{
    ASSERT(json_object_object_add(object, name, value) == 0);
}

void
json_add_string(struct json_object *object, const char *name, const char *text)
{
    if (text == NULL || str_is_utf8(text, strlen(text))) {
        json_add(object, name, text == NULL ? NULL : json_object_new_string(text));
        return;
    }
    CLEANUP(freep) char *mended = str_dup(text);
    str_keep_utf8(mended);
    json_add(object, name, json_object_new_string(mended));
}

void
json_add_u64(struct json_object *object, const char *name, uint64_t number)
{
    json_add(object, name, json_object_new_uint64(number));
}

void
json_add_i64(struct json_object *object, const char *name, int64_t number)
{
    json_add(object, name, json_object_new_int64(number));
}

void
json_add_bool(struct json_object *object, const char *name, bool flag)
{
    json_add(object, name, json_object_new_boolean(flag));
}

const char *
json_text(struct json_object *object)
{
    return json_object_to_json_string_ext(object,
                                          JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}
