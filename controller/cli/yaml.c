#include "controller/cli/yaml.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

/* ---- plain words ---- */

enum plain { PLAIN_TEXT, PLAIN_NULL, PLAIN_TRUE, PLAIN_FALSE, PLAIN_NUMBER, PLAIN_DOUBTFUL };

static bool
is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcasecmp(text, *words) == 0)
            return true;
    }
    return false;
}

/* The number grammar of JSON. */
static bool
is_json_number(const char *text)
{
    text += *text == '-';
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || (digits > 1 && text[0] == '0'))
        return false;
    text += digits;
    if (*text == '.') {
        digits = strspn(text + 1, "0123456789");
        if (digits == 0)
            return false;
        text += 1 + digits;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '+' || *text == '-';
        digits = strspn(text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    return *text == '\0';
}

/* Looks like a number to one reader or another: 012, +1, 0x1f, 1_000, 1., .5, 12:30, .inf */
static bool
is_number_to_some(const char *text)
{
    static const char *const words[] = { ".inf", "+.inf", "-.inf", ".nan", NULL };
    if (is_one_of(text, words))
        return true;
    text += *text == '-' || *text == '+';
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o' || text[1] == 'b'))
        return text[2] != '\0' && text[2 + strspn(text + 2, "0123456789abcdefABCDEF_")] == '\0';
    bool digit = text[0] >= '0' && text[0] <= '9';
    bool point = text[0] == '.' && text[1] >= '0' && text[1] <= '9';
    return (digit || point) && text[strspn(text, "0123456789_:")] == '\0' ? true
           : digit || point ? text[strspn(text, "0123456789_")] == '.' &&
                                  strchr(strchr(text, '.') + 1, '.') == NULL &&
                                  text[strspn(text, "0123456789_.eE+-")] == '\0'
                            : false;
}

static enum plain
resolve(const char *text)
{
    static const char *const doubtful[] = { "yes", "no", "on", "off", "y", "n", NULL };
    static const char *const nulls[] = { "null", "~", "", NULL };
    if (is_one_of(text, nulls))
        return PLAIN_NULL;
    if (strcasecmp(text, "true") == 0)
        return PLAIN_TRUE;
    if (strcasecmp(text, "false") == 0)
        return PLAIN_FALSE;
    if (is_json_number(text))
        return PLAIN_NUMBER;
    if (is_one_of(text, doubtful) || is_number_to_some(text))
        return PLAIN_DOUBTFUL;
    return PLAIN_TEXT;
}

/* ---- reading ---- */

struct level {
    struct json_object *container; /* owned by the level below, the lowest by the reader */
    char *key;                     /* owned; of the object member whose value comes next */
};

struct reader {
    yaml_parser_t parser;
    struct level levels[JSON_DEPTH_MAX];
    size_t depth;
    struct json_object *root; /* owned */
    bool done;
    struct err *err;
};

static enum err_code fail(struct reader *reader, const yaml_mark_t *mark, const char *format, ...)
    PRINTF_LIKE(3, 4);

static enum err_code
fail(struct reader *reader, const yaml_mark_t *mark, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return err_set(reader->err, ERR_INVALID, "yaml", "%zu:%zu: %s", mark->line + 1,
                   mark->column + 1, text);
}

/* Puts a value where the next one belongs. Takes the reference. */
static void
place(struct reader *reader, struct json_object *value)
{
    if (reader->depth == 0) {
        reader->root = value;
        return;
    }
    struct level *level = &reader->levels[reader->depth - 1];
    if (level->key == NULL) {
        (void)json_object_array_add(level->container, value);
    } else {
        (void)json_object_object_add(level->container, level->key, value);
        freep(&level->key);
    }
}

static bool
wants_key(const struct reader *reader)
{
    if (reader->depth == 0)
        return false;
    const struct level *level = &reader->levels[reader->depth - 1];
    return json_object_is_type(level->container, json_type_object) && level->key == NULL;
}

static enum err_code
read_key(struct reader *reader, const yaml_event_t *event)
{
    struct level *level = &reader->levels[reader->depth - 1];
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return fail(reader, &event->start_mark, "a NUL in a key");
    if (json_object_object_get_ex(level->container, text, NULL))
        return fail(reader, &event->start_mark, "'%.80s' stands here twice", text);
    level->key = str_dup(text);
    return ERR_NONE;
}

static enum err_code
read_number(struct reader *reader, const yaml_event_t *event, const char *text)
{
    struct json_object *value = NULL;
    struct err err;
    if (json_read(text, strlen(text), &value, &err) != ERR_NONE)
        return fail(reader, &event->start_mark, "'%.40s': number out of range", text);
    place(reader, value);
    return ERR_NONE;
}

static enum err_code
read_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    if (event->data.scalar.anchor != NULL)
        return fail(reader, &event->start_mark, "anchors are not taken");
    if (event->data.scalar.tag != NULL)
        return fail(reader, &event->start_mark, "tags are not taken");
    if (wants_key(reader))
        return read_key(reader, event);
    if (memchr(text, '\0', size) != NULL)
        return fail(reader, &event->start_mark, "a NUL in a text");
    enum plain plain =
        event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? resolve(text) : PLAIN_TEXT;
    switch (plain) {
    case PLAIN_TEXT:
        place(reader, json_object_new_string_len(text, (int)size));
        break;
    case PLAIN_NULL:
        place(reader, NULL);
        break;
    case PLAIN_TRUE:
    case PLAIN_FALSE:
        place(reader, json_object_new_boolean(plain == PLAIN_TRUE));
        break;
    case PLAIN_NUMBER:
        return read_number(reader, event, text);
    case PLAIN_DOUBTFUL:
        return fail(reader, &event->start_mark,
                    "'%.40s' is not the same to every reader of YAML: write true, false or a "
                    "decimal number, or put it in quotes",
                    text);
    }
    return ERR_NONE;
}

static enum err_code
read_start(struct reader *reader, const yaml_event_t *event, bool is_object)
{
    const yaml_char_t *anchor =
        is_object ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        is_object ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (anchor != NULL || tag != NULL)
        return fail(reader, &event->start_mark, "anchors and tags are not taken");
    if (wants_key(reader))
        return fail(reader, &event->start_mark, "a key must be text");
    if (reader->depth == JSON_DEPTH_MAX)
        return fail(reader, &event->start_mark, "deeper than %d levels", JSON_DEPTH_MAX);
    struct json_object *value = is_object ? json_object_new_object() : json_object_new_array();
    place(reader, value);
    reader->levels[reader->depth++] = (struct level){ .container = value };
    return ERR_NONE;
}

static enum err_code
read_event(struct reader *reader, const yaml_event_t *event, bool *seen_document)
{
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return ERR_NONE;
    case YAML_STREAM_END_EVENT:
        reader->done = true;
        return ERR_NONE;
    case YAML_DOCUMENT_START_EVENT:
        if (*seen_document)
            return fail(reader, &event->start_mark, "a second document; only one is taken");
        *seen_document = true;
        return ERR_NONE;
    case YAML_ALIAS_EVENT:
        return fail(reader, &event->start_mark, "aliases are not taken: write it out");
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return read_start(reader, event, false);
    case YAML_MAPPING_START_EVENT:
        return read_start(reader, event, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return ERR_NONE;
    }
    return ERR_NONE;
}

static enum err_code
read_all(struct reader *reader)
{
    bool seen_document = false;
    while (!reader->done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event)) {
            const char *problem = reader->parser.problem;
            if (reader->parser.error == YAML_READER_ERROR)
                return err_set(reader->err, ERR_INVALID, "yaml", "byte %zu: %s",
                               reader->parser.problem_offset, problem);
            return fail(reader, &reader->parser.problem_mark, "%s",
                        problem == NULL ? "cannot be read" : problem);
        }
        enum err_code code = read_event(reader, &event, &seen_document);
        yaml_event_delete(&event);
        if (code != ERR_NONE)
            return code;
    }
    return ERR_NONE;
}

enum err_code
yaml_read(const char *text, size_t size, struct json_object **ret, struct err *err)
{
    if (!str_is_utf8(text, size))
        return err_set(err, ERR_INVALID, "yaml", "1:1: not UTF-8");
    struct reader reader = { .err = err };
    ASSERT(yaml_parser_initialize(&reader.parser) == 1);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
    enum err_code code = read_all(&reader);
    yaml_parser_delete(&reader.parser);
    for (size_t i = 0; i < JSON_DEPTH_MAX; i++)
        free(reader.levels[i].key);
    if (code != ERR_NONE) {
        json_object_put(reader.root);
        return code;
    }
    *ret = reader.root;
    return ERR_NONE;
}

/* ---- writing ---- */

static int
append(void *data, unsigned char *bytes, size_t size)
{
    buf_add(data, bytes, size);
    return 1;
}

static void
emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
    ASSERT(yaml_emitter_emit(emitter, event) == 1);
}

static void
emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;
    ASSERT(yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                        (int)strlen(text), 1, 1, style) == 1);
    emit(emitter, &event);
}

/* Quoted whenever any reader could take it for something else. */
static void
emit_text(yaml_emitter_t *emitter, const char *text)
{
    bool plain = resolve(text) == PLAIN_TEXT;
    size_t size = strlen(text);
    bool block = size > 0 && text[size - 1] == '\n' && strchr(text, '\r') == NULL &&
                 text[strspn(text, " \t\n")] != '\0' && strchr(" \t\n", text[0]) == NULL;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if ((*at < 0x20 && *at != '\n') || *at == 0x7f)
            block = false;
    }
    emit_scalar(emitter, text,
                block    ? YAML_LITERAL_SCALAR_STYLE
                : !plain ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                         : YAML_ANY_SCALAR_STYLE);
}

static void
emit_value(yaml_emitter_t *emitter, struct json_object *value)
{
    yaml_event_t event;
    if (json_object_is_type(value, json_type_object)) {
        bool empty = json_object_object_length(value) == 0;
        ASSERT(yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                   empty ? YAML_FLOW_MAPPING_STYLE
                                                         : YAML_BLOCK_MAPPING_STYLE) == 1);
        emit(emitter, &event);
        json_object_object_foreach (value, name, member) {
            emit_text(emitter, name);
            emit_value(emitter, member);
        }
        ASSERT(yaml_mapping_end_event_initialize(&event) == 1);
        emit(emitter, &event);
    } else if (json_object_is_type(value, json_type_array)) {
        size_t count = json_object_array_length(value);
        ASSERT(yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                    count == 0 ? YAML_FLOW_SEQUENCE_STYLE
                                                               : YAML_BLOCK_SEQUENCE_STYLE) == 1);
        emit(emitter, &event);
        for (size_t i = 0; i < count; i++)
            emit_value(emitter, json_object_array_get_idx(value, i));
        ASSERT(yaml_sequence_end_event_initialize(&event) == 1);
        emit(emitter, &event);
    } else if (json_object_is_type(value, json_type_string)) {
        emit_text(emitter, json_object_get_string(value));
    } else {
        emit_scalar(emitter, value == NULL ? "null" : json_object_to_json_string(value),
                    YAML_PLAIN_SCALAR_STYLE);
    }
}

void
yaml_write(struct json_object *value, struct buf *into)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    ASSERT(yaml_emitter_initialize(&emitter) == 1);
    yaml_emitter_set_output(&emitter, append, into);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    ASSERT(yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) == 1);
    emit(&emitter, &event);
    ASSERT(yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) == 1);
    emit(&emitter, &event);
    emit_value(&emitter, value);
    ASSERT(yaml_document_end_event_initialize(&event, 1) == 1);
    emit(&emitter, &event);
    ASSERT(yaml_stream_end_event_initialize(&event) == 1);
    emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
}
