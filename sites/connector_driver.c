/*
 * The members of the drivers that need no more than a page: file and exec. And who is who.
 */
#include "sites/connector_inner.h"

#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define FILE_MODE 0640
#define DRIVERS   "file|exec|haproxy|webhook|dns"

static const char *const format_names[] = {
    [CONNECTOR_FORMAT_JSON] = "json",
    [CONNECTOR_FORMAT_ENV] = "env",
    [CONNECTOR_FORMAT_TEMPLATE] = "template",
};

const char *
connector_path_fault(const char *path)
{
    if (path[0] != '/' || str_ends(path, "/"))
        return "must be the absolute path of a file";
    if (strstr(path, "/../") != NULL || str_ends(path, "/.."))
        return "must not have '..' in it";
    return NULL;
}

static const char *
command_fault(const char *word)
{
    return word[0] == '\0' ? "is empty" : NULL;
}

static const char *
mode_fault(const char *mode)
{
    size_t length = strlen(mode);
    if ((length != 3 && !(length == 4 && mode[0] == '0')) || !connector_has_only(mode, "01234567"))
        return "must be an octal text such as '0640'";
    return NULL;
}

static const char *
owner_fault(const char *owner)
{
    const char *colon = strchr(owner, ':');
    if (!connector_has_only(owner, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "_.-:") ||
        owner[0] == ':' || owner[0] == '-' ||
        (colon != NULL && (colon[1] == '\0' || colon[1] == '-' || strchr(colon + 1, ':') != NULL)))
        return "must be 'user' or 'user:group'";
    return NULL;
}

static const char *
env_name_fault(const char *name)
{
    if (name[0] == '\0' || strchr(CONNECTOR_DIGITS, name[0]) != NULL ||
        !connector_has_only(name, CONNECTOR_UPPER CONNECTOR_DIGITS "_"))
        return "must be a name of A-Z, 0-9 and '_'";
    return str_starts(name, "BATON_") ? "names that begin with BATON_ are Baton's own" : NULL;
}

static void
file_faults(struct json_object *action, const char *pointer, struct fault_list *faults)
{
    const char *format;
    if (!json_get_string(action, "format", &format) ||
        !shape_is_choice("json|env|template", format))
        return;
    bool wanted = strcmp(format, "template") == 0;
    bool given = json_object_object_get_ex(action, "template", NULL) != 0;
    char inner[FAULT_POINTER_SIZE];
    fault_pointer(inner, pointer, "template");
    if (wanted && !given)
        fault_add(faults, inner, "missing, a text is needed with format 'template'");
    if (!wanted && given)
        fault_add(faults, inner, "is used with format 'template' only");
}

static void
exec_faults(struct json_object *action, const char *pointer, struct fault_list *faults)
{
    struct json_object *command = json_get(action, "command");
    if (!json_object_is_type(command, json_type_array) || json_object_array_length(command) == 0)
        return;
    const char *program = json_object_get_string(json_object_array_get_idx(command, 0));
    char list[FAULT_POINTER_SIZE];
    char inner[FAULT_POINTER_SIZE];
    fault_pointer(list, pointer, "command");
    fault_pointer_index(inner, list, 0);
    if (program != NULL && program[0] != '\0' && program[0] != '/')
        fault_add(faults, inner, "must be the absolute path of a program");
}

static const struct shape file_members[] = {
    { .name = "driver",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "file",
      .text = "file: renders a file atomically and refuses a lower epoch" },
    { .name = "path",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 2,
      .max = CONNECTOR_TEXT_SIZE_MAX,
      .text_fault = connector_path_fault,
      .text = "absolute path of the file" },
    { .name = "format",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "json|env|template",
      .text = "what is written" },
    { .name = "template",
      .type = SHAPE_TEXT,
      .max = CONNECTOR_TEMPLATE_SIZE_MAX,
      .text = "text with ${placeholders}, for format 'template'" },
    { .name = "mode",
      .type = SHAPE_TEXT,
      .max = 4,
      .text_fault = mode_fault,
      .text = "octal mode of the file, '0640' when not set" },
    { .name = "owner",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 65,
      .text_fault = owner_fault,
      .text = "'user' or 'user:group' that owns the file" },
    { .name = NULL },
};

static const struct shape command_item = {
    .name = "command",
    .type = SHAPE_TEXT,
    .max = CONNECTOR_TEXT_SIZE_MAX,
    .text_fault = command_fault,
};

static const struct shape env_item = {
    .name = "env",
    .type = SHAPE_TEXT,
    .max = CONNECTOR_TEXT_SIZE_MAX,
};

static const struct shape secret_item = {
    .name = "secrets",
    .type = SHAPE_TEXT,
    .min = 1,
    .max = 128,
    .text_fault = connector_secret_fault,
};

static const struct shape exec_members[] = {
    { .name = "driver",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "exec",
      .text = "exec: runs a program with BATON_* variables" },
    { .name = "command",
      .type = SHAPE_LIST,
      .required = true,
      .min = 1,
      .max = CONNECTOR_COMMAND_COUNT_MAX,
      .inside = &command_item,
      .text = "program, by its absolute path, and its arguments; no shell" },
    CONNECTOR_TIMEOUT_MEMBER(
        "the program is ended after this long; setting activation.timeout_ms when not set"),
    { .name = "env",
      .type = SHAPE_MAP,
      .max = CONNECTOR_ENV_COUNT_MAX,
      .inside = &env_item,
      .name_fault = env_name_fault,
      .text = "variables beside Baton's own" },
    { .name = "secrets",
      .type = SHAPE_LIST,
      .min = 1,
      .max = CONNECTOR_SECRET_COUNT_MAX,
      .unique = true,
      .inside = &secret_item,
      .text =
          "secret/NAME whose values it is given to activate, through descriptors: their numbers "
          "stand in BATON_SECRET_FD_NAME" },
    { .name = "fenced",
      .type = SHAPE_BOOL,
      .text =
          "the program refuses a lower epoch (exit code 88), as far as you know; false when not "
          "set" },
    { .name = NULL },
};

static const struct shape file_shape = {
    .name = "file",
    .type = SHAPE_OBJECT,
    .inside = file_members,
    .more = file_faults,
};

static const struct shape exec_shape = {
    .name = "exec",
    .type = SHAPE_OBJECT,
    .inside = exec_members,
    .more = exec_faults,
};

static void
read_file(struct json_object *object, struct connector_action *action)
{
    action->path = connector_text(object, "path");
    action->template = connector_text(object, "template");
    action->owner = connector_text(object, "owner");
    const char *mode = connector_text(object, "mode");
    action->mode = mode == NULL ? FILE_MODE : (unsigned)strtoul(mode, NULL, 8);
    const char *format = connector_text(object, "format");
    for (size_t i = 0; i < ARRAY_COUNT(format_names); i++) {
        if (strcmp(format, format_names[i]) == 0)
            action->format = (enum connector_format)i;
    }
}

static void
read_exec(struct json_object *object, struct connector_action *action)
{
    size_t count;
    action->command = connector_texts(json_get(object, "command"), &count);
    action->env = json_get(object, "env");
    if (json_get(object, "secrets") != NULL)
        action->secrets = connector_texts(json_get(object, "secrets"), &action->secret_count);
    action->refuses = json_get_bool(object, "fenced", &action->refuses) && action->refuses;
    action->timeout_ms = connector_number(object, "timeout_ms");
}

static const struct connector_driver_row rows[] = {
    [CONNECTOR_DRIVER_FILE] = { "file", &file_shape, read_file },
    [CONNECTOR_DRIVER_EXEC] = { "exec", &exec_shape, read_exec },
    [CONNECTOR_DRIVER_HAPROXY] = { "haproxy", &connector_haproxy_shape, connector_haproxy_read },
    [CONNECTOR_DRIVER_WEBHOOK] = { "webhook", &connector_webhook_shape, connector_webhook_read },
    [CONNECTOR_DRIVER_DNS] = { "dns", &connector_dns_shape, connector_dns_read },
};

const struct connector_driver_row *
connector_driver_find(const char *name, enum connector_driver *ret_driver)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        *ret_driver = (enum connector_driver)i;
        return &rows[i];
    }
    return NULL;
}

/* Each driver has members of its own, so the driver is looked at first. */
void
connector_action_faults(struct json_object *action, const char *pointer, struct fault_list *faults)
{
    const char *name;
    enum connector_driver driver;
    char inner[FAULT_POINTER_SIZE];
    char clip[FAULT_CLIP_SIZE];
    if (!json_object_is_type(action, json_type_object)) {
        fault_add(faults, pointer, "must be an object");
        return;
    }
    fault_pointer(inner, pointer, "driver");
    if (!json_get_string(action, "driver", &name)) {
        fault_add(faults, inner, "missing, one of %s is needed", DRIVERS);
        return;
    }
    const struct connector_driver_row *row = connector_driver_find(name, &driver);
    if (row != NULL)
        shape_check(row->shape, action, pointer, faults);
    else
        fault_add(faults, inner, "'%s' is not one of %s", fault_clip(clip, name), DRIVERS);
}

const char *
connector_driver_name(enum connector_driver driver)
{
    return rows[driver].name;
}

const char *
connector_format_name(enum connector_format format)
{
    return format_names[format];
}
