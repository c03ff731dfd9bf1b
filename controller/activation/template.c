#include "controller/activation/template.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define TEMPLATE_VARIABLE_MAX 128

static const char *const template_names[] = {
#define X(symbol, name, text) [TEMPLATE_##symbol] = name,
    TEMPLATE_TABLE(X)
#undef X
};

const char *
template_name_text(enum template_name name)
{
    ASSERT(name < TEMPLATE_COUNT);
    return template_names[name];
}

static bool
is_printable(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    }
    return true;
}

enum err_code
template_values_check(const struct template_values *values, struct err *err)
{
    for (unsigned i = 0; i < TEMPLATE_COUNT; i++) {
        const char *text = values->text[i];
        ASSERT(text != NULL);
        if (!is_printable(text) || !str_is_utf8(text, strlen(text)))
            return err_set(err, ERR_INVALID, "template",
                           "the value of '%s' holds a control character or is not UTF-8",
                           template_names[i]);
    }
    return ERR_NONE;
}

static bool
find_name(const char *text, size_t length, enum template_name *ret_name)
{
    for (unsigned i = 0; i < TEMPLATE_COUNT; i++) {
        if (strlen(template_names[i]) == length && memcmp(template_names[i], text, length) == 0) {
            *ret_name = (enum template_name)i;
            return true;
        }
    }
    return false;
}

static enum err_code
unknown_name(const char *text, size_t length, size_t at, struct err *err)
{
    struct buf names = { 0 };
    for (unsigned i = 0; i < TEMPLATE_COUNT; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", template_names[i]);
    err_set(err, ERR_INVALID, "template", "unknown placeholder '${%.*s}' at byte %zu",
            (int)(length < 64 ? length : 64), text, at);
    err_mend(err, "use one of %s; write '$${' for a plain '${'", buf_text(&names));
    buf_done(&names);
    return ERR_INVALID;
}

/* One stretch of a template: plain text, an escape or a placeholder. */
struct piece {
    const char *text; /* borrowed; what stands for it in the result */
    size_t size;
    const char *next; /* borrowed; where the template goes on */
};

static enum err_code
next_piece(const char *whole, const char *at, const struct template_values *values,
           struct piece *ret_piece, struct err *err)
{
    if (str_starts(at, "$${")) {
        *ret_piece = (struct piece){ .text = "${", .size = 2, .next = at + 3 };
        return ERR_NONE;
    }
    if (!str_starts(at, "${")) {
        size_t size = 1 + strcspn(at + 1, "$");
        *ret_piece = (struct piece){ .text = at, .size = size, .next = at + size };
        return ERR_NONE;
    }
    const char *close = strchr(at, '}');
    if (close == NULL) {
        err_set(err, ERR_INVALID, "template", "'${' at byte %zu has no '}'", (size_t)(at - whole));
        (void)err_mend(err, "write '$${' for a plain '${'");
        return ERR_INVALID;
    }
    enum template_name name;
    size_t length = (size_t)(close - at - 2);
    if (!find_name(at + 2, length, &name))
        return unknown_name(at + 2, length, (size_t)(at - whole), err);
    const char *text = values == NULL ? "" : values->text[name];
    *ret_piece = (struct piece){ .text = text, .size = strlen(text), .next = close + 1 };
    return ERR_NONE;
}

enum err_code
template_text(const char *text, const struct template_values *values, struct buf *into,
              struct err *err)
{
    size_t start = into->size;
    for (const char *at = text; *at != '\0';) {
        struct piece piece;
        enum err_code code = next_piece(text, at, values, &piece, err);
        if (code != ERR_NONE)
            return code;
        if (values != NULL) {
            if (into->size - start + piece.size > TEMPLATE_TEXT_MAX)
                return err_set(err, ERR_LIMIT, "template_too_large",
                               "the rendered text has more than %d bytes", TEMPLATE_TEXT_MAX);
            buf_add(into, piece.text, piece.size);
        }
        at = piece.next;
    }
    return ERR_NONE;
}

/* A number as a JSON number; text that is empty is null. */
static struct json_object *
number_or_null(const char *text)
{
    uint64_t number;
    if (!str_to_u64(text, 0, UINT64_MAX, &number))
        return NULL;
    return json_object_new_uint64(number);
}

static struct json_object *
value_of(enum template_name name, const struct template_values *values)
{
    if (name == TEMPLATE_EPOCH || name == TEMPLATE_PORT)
        return number_or_null(values->text[name]);
    return json_object_new_string(values->text[name]);
}

static enum err_code
copy_string(const char *text, const struct template_values *values, struct json_object **ret,
            struct err *err)
{
    if (strcmp(text, "${epoch}") == 0 || strcmp(text, "${port}") == 0) {
        *ret = value_of(text[2] == 'e' ? TEMPLATE_EPOCH : TEMPLATE_PORT, values);
        return ERR_NONE;
    }
    CLEANUP(buf_done) struct buf buf = { 0 };
    enum err_code code = template_text(text, values, &buf, err);
    if (code != ERR_NONE)
        return code;
    *ret = json_object_new_string_len(buf_text(&buf), (int)buf.size);
    return ERR_NONE;
}

/* Copies 'from' with its strings rendered. Depth is bounded: 'from' came through json_read(). */
static enum err_code
copy_rendered(struct json_object *from, const struct template_values *values,
              struct json_object **ret, struct err *err)
{
    enum err_code code = ERR_NONE;
    CLEANUP(json_putp) struct json_object *copy = NULL;
    if (json_object_is_type(from, json_type_string)) {
        code = copy_string(json_object_get_string(from), values, &copy, err);
    } else if (json_object_is_type(from, json_type_array)) {
        copy = json_object_new_array();
        for (size_t i = 0; code == ERR_NONE && i < json_object_array_length(from); i++) {
            struct json_object *item = NULL;
            code = copy_rendered(json_object_array_get_idx(from, i), values, &item, err);
            if (code == ERR_NONE)
                json_object_array_add(copy, item);
        }
    } else if (json_object_is_type(from, json_type_object)) {
        copy = json_object_new_object();
        struct json_object_iterator at = json_object_iter_begin(from);
        struct json_object_iterator end = json_object_iter_end(from);
        for (; code == ERR_NONE && !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
            struct json_object *item = NULL;
            code = copy_rendered(json_object_iter_peek_value(&at), values, &item, err);
            if (code == ERR_NONE)
                json_add(copy, json_object_iter_peek_name(&at), item);
        }
    } else {
        copy = json_object_get(from);
    }
    if (code == ERR_NONE)
        *ret = take_ptr(&copy);
    return code;
}

enum err_code
template_json(struct json_object *content, const struct template_values *values, struct buf *into,
              struct err *err)
{
    CLEANUP(json_putp) struct json_object *document = NULL;
    if (content == NULL) {
        document = json_object_new_object();
        for (unsigned i = 0; i < TEMPLATE_COUNT; i++)
            json_add(document, template_names[i], value_of((enum template_name)i, values));
    } else {
        enum err_code code = copy_rendered(content, values, &document, err);
        if (code != ERR_NONE)
            return code;
    }
    const char *text = json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY |
                                                                    JSON_C_TO_STRING_NOSLASHESCAPE);
    size_t size = strlen(text);
    if (size + 1 > TEMPLATE_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "template_too_large",
                       "the rendered text has more than %d bytes", TEMPLATE_TEXT_MAX);
    buf_add(into, text, size);
    buf_add_text(into, "\n");
    return ERR_NONE;
}

bool
template_is_variable(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > TEMPLATE_VARIABLE_MAX || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (const char *at = name; *at != '\0'; at++) {
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (*at >= '0' && *at <= '9') || *at == '_'))
            return false;
    }
    return true;
}

char *
template_variable(enum template_name name)
{
    char *variable = str_printf("BATON_%s", template_name_text(name));
    for (char *at = variable; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
    return variable;
}

/* Double quotes with a backslash before what a shell would expand. */
static enum err_code
add_variable(struct buf *into, size_t start, const char *name, const char *value, struct err *err)
{
    if (!is_printable(value))
        return err_set(err, ERR_INVALID, "template",
                       "the value of variable '%s' holds a control character", name);
    buf_printf(into, "%s=\"", name);
    for (const char *at = value; *at != '\0'; at++) {
        if (strchr("\"\\$`", *at) != NULL)
            buf_add(into, "\\", 1);
        buf_add(into, at, 1);
    }
    buf_add_text(into, "\"\n");
    if (into->size - start > TEMPLATE_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "template_too_large",
                       "the rendered text has more than %d bytes", TEMPLATE_TEXT_MAX);
    return ERR_NONE;
}

static enum err_code
add_content_variable(struct buf *into, size_t start, const char *name, struct json_object *text,
                     const struct template_values *values, struct err *err)
{
    if (!template_is_variable(name))
        return err_set(err, ERR_INVALID, "template", "'%s' is not a variable name", name);
    if (!json_object_is_type(text, json_type_string))
        return err_set(err, ERR_INVALID, "template", "the value of '%s' is not a text", name);
    CLEANUP(buf_done) struct buf value = { 0 };
    enum err_code code = template_text(json_object_get_string(text), values, &value, err);
    if (code != ERR_NONE)
        return err_wrap(err, "%s", name);
    return add_variable(into, start, name, buf_text(&value), err);
}

enum err_code
template_env(struct json_object *content, const struct template_values *values, struct buf *into,
             struct err *err)
{
    size_t start = into->size;
    enum err_code code = ERR_NONE;
    if (content == NULL) {
        for (unsigned i = 0; code == ERR_NONE && i < TEMPLATE_COUNT; i++) {
            CLEANUP(freep) char *name = template_variable((enum template_name)i);
            code = add_variable(into, start, name, values->text[i], err);
        }
        return code;
    }
    if (!json_object_is_type(content, json_type_object) ||
        json_object_object_length(content) > TEMPLATE_ENTRIES_MAX)
        return err_set(err, ERR_INVALID, "template",
                       "the content of an env file is an object with at most %d variables",
                       TEMPLATE_ENTRIES_MAX);
    struct json_object_iterator at = json_object_iter_begin(content);
    struct json_object_iterator end = json_object_iter_end(content);
    for (; code == ERR_NONE && !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
        code = add_content_variable(into, start, json_object_iter_peek_name(&at),
                                    json_object_iter_peek_value(&at), values, err);
    return code;
}
