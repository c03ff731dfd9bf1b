#include "controller/activation/template.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

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

void
template_json(const struct template_values *values, struct buf *into)
{
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    for (unsigned i = 0; i < TEMPLATE_COUNT; i++)
        json_add(document, template_names[i], value_of((enum template_name)i, values));
    buf_add_text(into, json_object_to_json_string_ext(
                           document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    buf_add_text(into, "\n");
}

void
template_variable(enum template_name name, char to[TEMPLATE_VARIABLE_SIZE])
{
    (void)snprintf(to, TEMPLATE_VARIABLE_SIZE, "BATON_%s", template_name_text(name));
    for (char *at = to; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
}

void
template_env(const struct template_values *values, struct buf *into)
{
    for (unsigned i = 0; i < TEMPLATE_COUNT; i++) {
        char name[TEMPLATE_VARIABLE_SIZE];
        template_variable((enum template_name)i, name);
        buf_printf(into, "%s=\"", name);
        for (const char *at = values->text[i]; *at != '\0'; at++) {
            if (strchr("\"\\$`", *at) != NULL) /* what a shell would expand */
                buf_add(into, "\\", 1);
            buf_add(into, at, 1);
        }
        buf_add_text(into, "\"\n");
    }
}
