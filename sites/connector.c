#include "sites/connector.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define URL_SCHEME      "https://"
#define HTTPS_PORT      443
#define PIN_PREFIX      "sha256:"
#define SECRET_PREFIX   "secret/"
#define FILE_MODE       0640
#define TIMEOUT_MS_MIN  100
#define TIMEOUT_MS_MAX  600000
#define INTERVAL_MS_MIN 500
#define INTERVAL_MS_MAX 3600000

static const char *const driver_names[] = {
    [CONNECTOR_DRIVER_FILE] = "file",
    [CONNECTOR_DRIVER_EXEC] = "exec",
};

static const char *const format_names[] = {
    [CONNECTOR_FORMAT_JSON] = "json",
    [CONNECTOR_FORMAT_ENV] = "env",
    [CONNECTOR_FORMAT_TEMPLATE] = "template",
};

/* ---- texts with rules of their own ---- */

static bool
has_only(const char *text, const char *allowed)
{
    return text[strspn(text, allowed)] == '\0';
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool
is_dns_name(const char *host)
{
    for (;;) {
        size_t length = strcspn(host, ".");
        if (length == 0 || length > 63 || host[0] == '-' || host[length - 1] == '-')
            return false;
        if (host[length] == '\0')
            return true;
        host += length + 1;
    }
}

/* Takes "https://HOST[:PORT][/PATH]" apart; returns what is wrong, or NULL. */
static const char *
split_url(const char *url, char host[CONNECTOR_HOST_SIZE], uint16_t *ret_port)
{
    if (!str_starts(url, URL_SCHEME))
        return "must begin with https://";
    for (const char *at = url; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
            return "has a blank, a control character or one beyond ASCII";
    }
    const char *place = url + strlen(URL_SCHEME);
    size_t length = strcspn(place, "/?#");
    char authority[CONNECTOR_HOST_SIZE + 16];
    if (strpbrk(place, "?#") != NULL)
        return "must not have a query or a fragment";
    if (length >= sizeof authority)
        return "has too long a host";
    memcpy(authority, place, length);
    authority[length] = '\0';
    if (strchr(authority, '@') != NULL)
        return "must not hold a user or password; use 'credential'";

    char *name = authority;
    char *end = strchr(authority, ':');
    if (authority[0] == '[') {
        end = strchr(authority, ']');
        if (end == NULL)
            return "has no host";
        *end++ = '\0';
        name++;
        if (!has_only(name, DIGITS "abcdefABCDEF:.") || strchr(name, ':') == NULL)
            return "has no valid address between the brackets";
    }
    uint64_t port = HTTPS_PORT;
    if (end != NULL && *end != '\0') {
        if (*end != ':' || !str_to_u64(end + 1, 1, UINT16_MAX, &port))
            return "has no valid port, a number from 1 to 65535";
        *end = '\0';
    }
    if (name == authority && (!has_only(name, LOWER UPPER DIGITS "-.") || !is_dns_name(name)))
        return "has no valid host";
    if (!str_copy(host, CONNECTOR_HOST_SIZE, name))
        return "has too long a host";
    *ret_port = (uint16_t)port;
    return NULL;
}

static const char *
url_fault(const char *url)
{
    char host[CONNECTOR_HOST_SIZE];
    uint16_t port;
    return split_url(url, host, &port);
}

static const char *
ca_fault(const char *pem)
{
    if (!str_starts(pem, "-----BEGIN CERTIFICATE-----") ||
        strstr(pem, "-----END CERTIFICATE-----") == NULL)
        return "must be PEM text, from '-----BEGIN CERTIFICATE-----' on (not a path: it is the "
               "same on every node)";
    return strstr(pem, "PRIVATE KEY") != NULL ? "must not hold a private key" : NULL;
}

static const char *
pin_fault(const char *pin)
{
    uint8_t bytes[CONNECTOR_PIN_SIZE];
    if (!str_starts(pin, PIN_PREFIX) || strlen(pin) != strlen(PIN_PREFIX) + 2 * sizeof bytes ||
        !str_from_hex(pin + strlen(PIN_PREFIX), bytes, sizeof bytes))
        return "must be 'sha256:' and the 64 hexadecimal digits of the public key's SHA-256";
    return NULL;
}

static const char *
credential_fault(const char *credential)
{
    if (!str_starts(credential, SECRET_PREFIX) || !str_is_name(credential + strlen(SECRET_PREFIX)))
        return "must be 'secret/NAME', the name of a secret and never the secret itself";
    return NULL;
}

static const char *
target_fault(const char *target)
{
    return str_is_name(target) ? NULL : "must be a name of a-z, 0-9 and '-', at most 63 bytes";
}

static const char *
probe_path_fault(const char *path)
{
    if (path[0] != '/')
        return "must begin with /";
    for (; *path != '\0'; path++) {
        if ((unsigned char)*path <= ' ' || (unsigned char)*path >= 0x7f || *path == '#')
            return "has a blank, '#', a control character or one beyond ASCII";
    }
    return NULL;
}

static const char *
file_path_fault(const char *path)
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
    if ((length != 3 && !(length == 4 && mode[0] == '0')) || !has_only(mode, "01234567"))
        return "must be an octal text such as '0640'";
    return NULL;
}

static const char *
owner_fault(const char *owner)
{
    const char *colon = strchr(owner, ':');
    if (!has_only(owner, LOWER UPPER DIGITS "_.-:") || owner[0] == ':' || owner[0] == '-' ||
        (colon != NULL && (colon[1] == '\0' || colon[1] == '-' || strchr(colon + 1, ':') != NULL)))
        return "must be 'user' or 'user:group'";
    return NULL;
}

static const char *
env_name_fault(const char *name)
{
    if (name[0] == '\0' || strchr(DIGITS, name[0]) != NULL || !has_only(name, UPPER DIGITS "_"))
        return "must be a name of A-Z, 0-9 and '_'";
    return str_starts(name, "BATON_") ? "names that begin with BATON_ are Baton's own" : NULL;
}

/* ---- rules between members ---- */

static void
probe_faults(struct json_object *probe, const char *pointer, struct fault_list *faults)
{
    int64_t interval;
    int64_t timeout;
    char inner[FAULT_POINTER_SIZE];
    if (!json_get_i64(probe, "interval_ms", &interval) ||
        !json_get_i64(probe, "timeout_ms", &timeout) || timeout <= interval)
        return;
    fault_pointer(inner, pointer, "timeout_ms");
    fault_add(faults, inner, "must not be longer than interval_ms");
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
      .text_fault = file_path_fault,
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
    { .name = "timeout_ms",
      .type = SHAPE_INTEGER,
      .min = TIMEOUT_MS_MIN,
      .max = TIMEOUT_MS_MAX,
      .text = "the program is ended after this long; setting activation.timeout_ms when not set" },
    { .name = "env",
      .type = SHAPE_MAP,
      .max = CONNECTOR_ENV_COUNT_MAX,
      .inside = &env_item,
      .name_fault = env_name_fault,
      .text = "variables beside Baton's own" },
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

/* Each driver has members of its own, so the driver is looked at first. */
static void
action_faults(struct json_object *action, const char *pointer, struct fault_list *faults)
{
    const char *driver;
    char inner[FAULT_POINTER_SIZE];
    char clip[FAULT_CLIP_SIZE];
    if (!json_object_is_type(action, json_type_object)) {
        fault_add(faults, pointer, "must be an object");
        return;
    }
    fault_pointer(inner, pointer, "driver");
    if (!json_get_string(action, "driver", &driver))
        fault_add(faults, inner, "missing, one of file|exec is needed");
    else if (strcmp(driver, "file") == 0)
        shape_check(&file_shape, action, pointer, faults);
    else if (strcmp(driver, "exec") == 0)
        shape_check(&exec_shape, action, pointer, faults);
    else if (shape_is_choice("haproxy|webhook|dns", driver))
        fault_add(faults, inner, "'%s' is not available in this version; use file or exec", driver);
    else
        fault_add(faults, inner, "'%s' is not one of file|exec", fault_clip(clip, driver));
}

/* Two actions on one file would undo each other. */
static void
path_faults(struct json_object *actions, const char *pointer, struct fault_list *faults)
{
    for (size_t i = 0; i < json_object_array_length(actions); i++) {
        const char *path;
        const char *other;
        if (!json_get_string(json_object_array_get_idx(actions, i), "path", &path))
            continue;
        for (size_t j = 0; j < i; j++) {
            if (!json_get_string(json_object_array_get_idx(actions, j), "path", &other) ||
                strcmp(path, other) != 0)
                continue;
            char item[FAULT_POINTER_SIZE];
            char inner[FAULT_POINTER_SIZE];
            fault_pointer_index(item, pointer, i);
            fault_pointer(inner, item, "path");
            fault_add(faults, inner, "is written by item %zu as well", j);
            break;
        }
    }
}

static void
document_faults(struct json_object *document, const char *pointer, struct fault_list *faults)
{
    const char *main_url;
    const char *alternate_url;
    char inner[FAULT_POINTER_SIZE];
    /* P3: main and alternate are different servers */
    if (json_get_string(json_get(document, "main"), "url", &main_url) &&
        json_get_string(json_get(document, "alternate"), "url", &alternate_url) &&
        strcmp(main_url, alternate_url) == 0) {
        char server[FAULT_POINTER_SIZE];
        fault_pointer(server, pointer, "alternate");
        fault_pointer(inner, server, "url");
        fault_add(faults, inner, "is the same as that of main");
    }
    struct json_object *actions = json_get(document, "activation");
    fault_pointer(inner, pointer, "activation");
    if (json_object_is_type(actions, json_type_array) &&
        json_object_array_length(actions) <= CONNECTOR_ACTION_COUNT_MAX)
        path_faults(actions, inner, faults);
}

static const struct shape server_members[] = {
    { .name = "url",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = CONNECTOR_URL_SIZE_MAX,
      .text_fault = url_fault,
      .text = "https://HOST[:PORT][/PATH]" },
    { .name = "ca",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_CA_SIZE_MAX,
      .text_fault = ca_fault,
      .text = "PEM of the authority that signs the server's certificate; the system's when not "
              "set" },
    { .name = "pin",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 128,
      .text_fault = pin_fault,
      .text = "sha256:HEX of the server's public key; with 'ca' both must hold" },
    { .name = "credential",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 128,
      .text_fault = credential_fault,
      .text = "secret/NAME, handed to the drivers as it is" },
    { .name = NULL },
};

static const struct shape probe_members[] = {
    { .name = "path",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 1024,
      .text_fault = probe_path_fault,
      .text = "asked for with GET at the server's host and port; '/' when not set" },
    { .name = "interval_ms",
      .type = SHAPE_INTEGER,
      .min = INTERVAL_MS_MIN,
      .max = INTERVAL_MS_MAX,
      .text = "pause between two probes; setting probe.interval_ms when not set" },
    { .name = "timeout_ms",
      .type = SHAPE_INTEGER,
      .min = TIMEOUT_MS_MIN,
      .max = 60000,
      .text = "how long a probe may take; setting probe.timeout_ms when not set" },
    { .name = "expect_status",
      .type = SHAPE_INTEGER,
      .min = 100,
      .max = 599,
      .text = "HTTP status of a good answer; any of 200 to 399 when not set" },
    { .name = NULL },
};

static const struct shape target_item = {
    .name = "target_connectors",
    .type = SHAPE_TEXT,
    .min = 1,
    .max = 63,
    .text_fault = target_fault,
};

static const struct shape action_item = {
    .name = "activation",
    .type = SHAPE_ANY,
    .more = action_faults,
};

static const struct shape connector_members[] = {
    { .name = "main", .type = SHAPE_OBJECT, .inside = server_members, .text = "the main server" },
    { .name = "alternate",
      .type = SHAPE_OBJECT,
      .inside = server_members,
      .text = "the server in use where use_alternate_server is set" },
    { .name = "target_connectors",
      .type = SHAPE_LIST,
      .max = CONNECTOR_TARGET_COUNT_MAX,
      .unique = true,
      .inside = &target_item,
      .text = "what the connector reaches; each must exist on both servers" },
    { .name = "probe",
      .type = SHAPE_OBJECT,
      .inside = probe_members,
      .more = probe_faults,
      .text = "how the servers are asked whether they live" },
    { .name = "activation",
      .type = SHAPE_LIST,
      .max = CONNECTOR_ACTION_COUNT_MAX,
      .inside = &action_item,
      .text = "drivers that bring a server into use, in their order" },
    { .name = NULL },
};

const struct shape connector_shape = {
    .name = "connector",
    .type = SHAPE_OBJECT,
    .inside = connector_members,
    .more = document_faults,
    .text = "a connector",
};

void
connector_faults(struct json_object *document, struct fault_list *faults)
{
    shape_check(&connector_shape, document, "", faults);
}

/* ---- reading a document without faults ---- */

static const char *
text_of(struct json_object *object, const char *name)
{
    const char *text = NULL;
    return json_get_string(object, name, &text) ? text : NULL;
}

static uint64_t
number_of(struct json_object *object, const char *name)
{
    uint64_t number = 0;
    return json_get_u64(object, name, &number) ? number : 0;
}

static void
read_server(struct json_object *object, struct connector_server *server)
{
    if (object == NULL)
        return;
    server->set = true;
    server->url = text_of(object, "url");
    ASSERT(split_url(server->url, server->host, &server->port) == NULL);
    server->ca = text_of(object, "ca");
    server->credential = text_of(object, "credential");
    const char *pin = text_of(object, "pin");
    if (pin != NULL) {
        ASSERT(str_from_hex(pin + strlen(PIN_PREFIX), server->pin, sizeof server->pin));
        server->pin_set = true;
    }
}

static const char **
read_texts(struct json_object *list, size_t *ret_count)
{
    size_t count = list == NULL ? 0 : json_object_array_length(list);
    const char **texts = mem_zero(count + 1, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = json_object_get_string(json_object_array_get_idx(list, i));
    *ret_count = count;
    return texts;
}

static void
read_action(struct json_object *object, struct connector_action *action)
{
    if (strcmp(text_of(object, "driver"), "exec") == 0) {
        size_t count;
        action->driver = CONNECTOR_DRIVER_EXEC;
        action->command = read_texts(json_get(object, "command"), &count);
        action->env = json_get(object, "env");
        action->timeout_ms = number_of(object, "timeout_ms");
        return;
    }
    action->driver = CONNECTOR_DRIVER_FILE;
    action->path = text_of(object, "path");
    action->template = text_of(object, "template");
    action->owner = text_of(object, "owner");
    const char *mode = text_of(object, "mode");
    action->mode = mode == NULL ? FILE_MODE : (unsigned)strtoul(mode, NULL, 8);
    const char *format = text_of(object, "format");
    for (size_t i = 0; i < ARRAY_COUNT(format_names); i++) {
        if (strcmp(format, format_names[i]) == 0)
            action->format = (enum connector_format)i;
    }
}

enum err_code
connector_read(const char *name, struct json_object *document, struct connector **ret,
               struct err *err)
{
    struct fault_list faults = { 0 };
    connector_faults(document, &faults);
    if (faults.count > 0)
        return fault_err(&faults, "bad_value", name, err);

    struct connector *connector = mem_zero(1, sizeof *connector);
    connector->name = str_dup(name);
    connector->document = json_object_get(document);
    read_server(json_get(document, "main"), &connector->main);
    read_server(json_get(document, "alternate"), &connector->alternate);
    connector->targets =
        read_texts(json_get(document, "target_connectors"), &connector->target_count);

    struct json_object *probe = json_get(document, "probe");
    const char *path = text_of(probe, "path");
    connector->probe.path = path == NULL ? "/" : path;
    connector->probe.interval_ms = number_of(probe, "interval_ms");
    connector->probe.timeout_ms = number_of(probe, "timeout_ms");
    connector->probe.expect_status = (unsigned)number_of(probe, "expect_status");

    struct json_object *actions = json_get(document, "activation");
    connector->action_count = actions == NULL ? 0 : json_object_array_length(actions);
    connector->actions = mem_zero(connector->action_count, sizeof *connector->actions);
    for (size_t i = 0; i < connector->action_count; i++)
        read_action(json_object_array_get_idx(actions, i), &connector->actions[i]);
    *ret = connector;
    return ERR_NONE;
}

void
connector_free(struct connector *connector)
{
    if (connector == NULL)
        return;
    for (size_t i = 0; i < connector->action_count; i++)
        free(connector->actions[i].command);
    free(connector->actions);
    free(connector->targets);
    free(connector->name);
    json_putp(&connector->document);
    free(connector);
}

void
connector_freep(struct connector **holder)
{
    connector_free(*holder);
    *holder = NULL;
}

const char *
connector_driver_name(enum connector_driver driver)
{
    return driver_names[driver];
}

const char *
connector_format_name(enum connector_format format)
{
    return format_names[format];
}

bool
connector_name_of_key(const char *key, char to[CONNECTOR_NAME_SIZE])
{
    if (!str_starts(key, "connector/"))
        return false;
    key += strlen("connector/");
    size_t length = strcspn(key, "/");
    if (length == 0 || length >= CONNECTOR_NAME_SIZE ||
        (key[length] != '\0' && strcmp(key + length, "/use_alternate_server") != 0))
        return false;
    memcpy(to, key, length);
    to[length] = '\0';
    return str_is_name(to);
}
