#include "sites/connector.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/connector_inner.h"

#define URL_SCHEME      "https://"
#define HTTPS_PORT      443
#define PIN_PREFIX      "sha256:"
#define SECRET_PREFIX   "secret/"
#define INTERVAL_MS_MIN 500
#define INTERVAL_MS_MAX 3600000

/* ---- texts with rules of their own ---- */

bool
connector_has_only(const char *text, const char *allowed)
{
    return text[strspn(text, allowed)] == '\0';
}

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

/* Takes "https://HOST[:PORT][/PATH]" apart; returns what is wrong, or NULL. An IPv6 address comes
 * as inet_ntop() writes it: what is told of it is compared with what others say. */
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
    char written[INET6_ADDRSTRLEN] = "";
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
        struct in6_addr number;
        if (inet_pton(AF_INET6, name, &number) != 1)
            return "has no valid address between the brackets";
        (void)inet_ntop(AF_INET6, &number, written, sizeof written);
    }
    uint64_t port = HTTPS_PORT;
    if (end != NULL && *end != '\0') {
        if (*end != ':' || !str_to_u64(end + 1, 1, UINT16_MAX, &port))
            return "has no valid port, a number from 1 to 65535";
        *end = '\0';
    }
    if (name == authority &&
        (!connector_has_only(name, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "-.") ||
         !is_dns_name(name)))
        return "has no valid host";
    if (!str_copy(host, CONNECTOR_HOST_SIZE, name == authority ? name : written))
        return "has too long a host";
    *ret_port = (uint16_t)port;
    return NULL;
}

const char *
connector_url_fault(const char *url)
{
    char host[CONNECTOR_HOST_SIZE];
    uint16_t port;
    return split_url(url, host, &port);
}

const char *
connector_ca_fault(const char *pem)
{
    if (!str_starts(pem, "-----BEGIN CERTIFICATE-----") ||
        strstr(pem, "-----END CERTIFICATE-----") == NULL)
        return "must be PEM text, from '-----BEGIN CERTIFICATE-----' on (not a path: it is the "
               "same on every node)";
    return strstr(pem, "PRIVATE KEY") != NULL ? "must not hold a private key" : NULL;
}

const char *
connector_pin_fault(const char *pin)
{
    uint8_t bytes[CONNECTOR_PIN_SIZE];
    if (!str_starts(pin, PIN_PREFIX) || strlen(pin) != strlen(PIN_PREFIX) + 2 * sizeof bytes ||
        !str_from_hex(pin + strlen(PIN_PREFIX), bytes, sizeof bytes))
        return "must be 'sha256:' and the 64 hexadecimal digits of the public key's SHA-256";
    return NULL;
}

const char *
connector_secret_fault(const char *credential)
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
    connector_webhook_faults(document, pointer, faults);
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
      .text_fault = connector_url_fault,
      .text = "https://HOST[:PORT][/PATH]" },
    CONNECTOR_CA_MEMBER(
        "PEM of the authority that signs the server's certificate; the system's when not "
        "set"),
    { .name = "pin",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 128,
      .text_fault = connector_pin_fault,
      .text = "sha256:HEX of the server's public key; with 'ca' both must hold" },
    { .name = "credential",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 128,
      .text_fault = connector_secret_fault,
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
      .min = CONNECTOR_TIMEOUT_MS_MIN,
      .max = 60000,
      .text = "how long a probe may take; setting probe.timeout_ms when not set" },
    { .name = "expect_status",
      .type = SHAPE_INTEGER,
      .min = 100,
      .max = 599,
      .text = "HTTP status of a good answer; any of 200 to 399 when not set" },
    { .name = "targets_path",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 1024,
      .text_fault = probe_path_fault,
      .text = "where a server lists its target connectors: JSON, names or objects with 'name'" },
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
    .more = connector_action_faults,
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
    { .name = "sign",
      .type = SHAPE_OBJECT,
      .inside = connector_sign_members,
      .more = connector_sign_faults,
      .text = "key that signs what is asked of the servers; without it requests say who asks, and "
              "do not prove it" },
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

const char *
connector_text(struct json_object *object, const char *name)
{
    const char *text = NULL;
    return json_get_string(object, name, &text) ? text : NULL;
}

uint64_t
connector_number(struct json_object *object, const char *name)
{
    uint64_t number = 0;
    return json_get_u64(object, name, &number) ? number : 0;
}

void
connector_read_server(struct json_object *object, struct connector_server *server)
{
    if (object == NULL)
        return;
    server->set = true;
    server->url = connector_text(object, "url");
    ASSERT(split_url(server->url, server->host, &server->port) == NULL);
    server->ca = connector_text(object, "ca");
    server->credential = connector_text(object, "credential");
    const char *pin = connector_text(object, "pin");
    if (pin != NULL) {
        ASSERT(str_from_hex(pin + strlen(PIN_PREFIX), server->pin, sizeof server->pin));
        server->pin_set = true;
    }
}

const char **
connector_texts(struct json_object *list, size_t *ret_count)
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
    const struct connector_driver_row *row =
        connector_driver_find(connector_text(object, "driver"), &action->driver);
    ASSERT(row != NULL);
    row->read(object, action);
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
    connector_read_server(json_get(document, "main"), &connector->main);
    connector_read_server(json_get(document, "alternate"), &connector->alternate);
    connector->targets =
        connector_texts(json_get(document, "target_connectors"), &connector->target_count);

    struct json_object *probe = json_get(document, "probe");
    const char *path = connector_text(probe, "path");
    connector->probe.path = path == NULL ? "/" : path;
    connector->probe.interval_ms = connector_number(probe, "interval_ms");
    connector->probe.timeout_ms = connector_number(probe, "timeout_ms");
    connector->probe.expect_status = (unsigned)connector_number(probe, "expect_status");
    connector->probe.targets_path = connector_text(probe, "targets_path");

    struct json_object *actions = json_get(document, "activation");
    connector->action_count = actions == NULL ? 0 : json_object_array_length(actions);
    connector->actions = mem_zero(connector->action_count, sizeof *connector->actions);
    for (size_t i = 0; i < connector->action_count; i++)
        read_action(json_object_array_get_idx(actions, i), &connector->actions[i]);
    connector_read_sign(json_get(document, "sign"), &connector->sign);
    for (size_t i = 0; i < connector->action_count; i++) {
        if (connector->actions[i].driver == CONNECTOR_DRIVER_WEBHOOK)
            connector_webhook_complete(&connector->actions[i].webhook, connector);
    }
    *ret = connector;
    return ERR_NONE;
}

void
connector_free(struct connector *connector)
{
    if (connector == NULL)
        return;
    for (size_t i = 0; i < connector->action_count; i++) {
        free(connector->actions[i].command);
        free(connector->actions[i].secrets);
    }
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
