/*
 * The members of driver haproxy.
 */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/connector_inner.h"

#define SOCKET_SIZE_MAX 107      /* of a UNIX socket's path, without its NUL */
#define DRAIN_MS_MAX    86400000 /* a day */

static const char *
socket_fault(const char *place)
{
    static const char *const hosts[] = { "127.0.0.1:", "[::1]:", "localhost:" };
    uint64_t port;
    if (place[0] == '/' &&
        !connector_has_only(place, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "/._-"))
        return "must be a path of letters, digits and '/._-'"; /* it stands in haproxy.cfg */
    if (place[0] == '/')
        return strlen(place) > SOCKET_SIZE_MAX ? "is too long for the path of a UNIX socket"
                                               : connector_path_fault(place);
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        if (str_starts(place, hosts[i]))
            return str_to_u64(place + strlen(hosts[i]), 1, UINT16_MAX, &port)
                       ? NULL
                       : "has no valid port, a number from 1 to 65535";
    }
    return "must be the absolute path of HAProxy's stats socket, or 127.0.0.1:PORT or [::1]:PORT "
           "(whoever reaches it rules HAProxy, so not beyond this host)";
}

static const char *
name_fault(const char *name)
{
    return connector_has_only(name, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "_.:-")
               ? NULL
               : "must be a name as HAProxy has them: letters, digits, '-', '_', '.' and ':'";
}

/* "instance7" is a place of an instance. */
static bool
is_place(const char *name)
{
    size_t length = strlen(CONNECTOR_HAPROXY_INSTANCE);
    return name != NULL && str_starts(name, CONNECTOR_HAPROXY_INSTANCE) && name[length] != '\0' &&
           connector_has_only(name + length, CONNECTOR_DIGITS);
}

static void
same_name_faults(struct json_object *action, const char *pointer, struct fault_list *faults)
{
    const char *main = connector_text(action, "main");
    const char *alternate = connector_text(action, "alternate");
    char inner[FAULT_POINTER_SIZE];
    if (is_place(main) || is_place(alternate)) {
        fault_pointer(inner, pointer, is_place(main) ? "main" : "alternate");
        fault_add(faults, inner,
                  "'" CONNECTOR_HAPROXY_INSTANCE "' and a number are servers for instances");
    }
    if (strcmp(main == NULL ? CONNECTOR_HAPROXY_MAIN : main,
               alternate == NULL ? CONNECTOR_HAPROXY_ALTERNATE : alternate) != 0)
        return;
    fault_pointer(inner, pointer, alternate == NULL ? "main" : "alternate");
    fault_add(faults, inner, "main and alternate are two servers of the backend");
}

static const struct shape members[] = {
    { .name = "driver",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "haproxy",
      .text = "haproxy: switches the servers of a backend of a running HAProxy" },
    { .name = "socket",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 2,
      .max = 256,
      .text_fault = socket_fault,
      .text = "its stats socket, level admin: an absolute path, or 127.0.0.1:PORT" },
    { .name = "backend",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_HAPROXY_NAME_MAX,
      .text_fault = name_fault,
      .text = "name of the backend; the connector's when not set" },
    { .name = "main",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_HAPROXY_NAME_MAX,
      .text_fault = name_fault,
      .text = "the backend's server that is the main one; 'main' when not set" },
    { .name = "alternate",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_HAPROXY_NAME_MAX,
      .text_fault = name_fault,
      .text = "the backend's server that is the alternate; 'alternate' when not set" },
    { .name = "instances",
      .type = SHAPE_CHOICE,
      .choices = "beside|only|none",
      .text = "who gets requests while the connector is in use: its instances beside main or "
              "alternate, only they, or none of them; 'beside' when not set" },
    { .name = "drain_ms",
      .type = SHAPE_INTEGER,
      .min = 0,
      .max = DRAIN_MS_MAX,
      .text = "how long a server that is not in use any more keeps its connections; 0, when not "
              "set: they are cut at once" },
    CONNECTOR_TIMEOUT_MEMBER(
        "how long HAProxy may take; setting activation.timeout_ms when not set"),
    { .name = NULL },
};

const struct shape connector_haproxy_shape = {
    .name = "haproxy",
    .type = SHAPE_OBJECT,
    .inside = members,
    .more = same_name_faults,
};

void
connector_haproxy_read(struct json_object *object, struct connector_action *action)
{
    struct connector_haproxy *haproxy = &action->haproxy;
    const char *main = connector_text(object, "main");
    const char *alternate = connector_text(object, "alternate");
    haproxy->socket = connector_text(object, "socket");
    haproxy->backend = connector_text(object, "backend");
    haproxy->main = main == NULL ? CONNECTOR_HAPROXY_MAIN : main;
    haproxy->alternate = alternate == NULL ? CONNECTOR_HAPROXY_ALTERNATE : alternate;
    haproxy->drain_ms = connector_number(object, "drain_ms");
    const char *instances = connector_text(object, "instances");
    haproxy->instances = instances == NULL                ? CONNECTOR_INSTANCES_BESIDE
                         : strcmp(instances, "only") == 0 ? CONNECTOR_INSTANCES_ONLY
                         : strcmp(instances, "none") == 0 ? CONNECTOR_INSTANCES_NONE
                                                          : CONNECTOR_INSTANCES_BESIDE;
    action->timeout_ms = connector_number(object, "timeout_ms");
}
