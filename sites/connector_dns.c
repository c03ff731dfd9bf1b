/*
 * The members of driver dns.
 */
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/connector_inner.h"

#define TTL_DEFAULT 30
#define TTL_MAX     86400
#define LABEL_MAX   63

/* With or without the '.' at its end. */
static bool
is_name(const char *name)
{
    if (strlen(name) > CONNECTOR_DNS_NAME_MAX)
        return false;
    for (;;) {
        size_t length = strcspn(name, ".");
        if (length == 0 || length > LABEL_MAX || name[0] == '-')
            return false;
        if (name[length] == '\0' || name[length + 1] == '\0')
            return true;
        name += length + 1;
    }
}

static const char *
name_fault(const char *name)
{
    return is_name(name) &&
                   connector_has_only(name, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "-_.")
               ? NULL
               : "must be a name as 'pam.example.com'";
}

static const char *
address_fault(const char *address)
{
    return connector_has_only(address, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "-_.:")
               ? NULL
               : "must be an address, or for CNAME a name";
}

static const char *
server_fault(const char *server)
{
    uint64_t port;
    const char *colon = strrchr(server, ':');
    if (server[0] == '-' || server[0] == ':' ||
        !connector_has_only(server, CONNECTOR_LOWER CONNECTOR_UPPER CONNECTOR_DIGITS "-._:[]"))
        return "must be HOST, HOST:PORT or [ADDRESS]:PORT";
    if (colon == NULL || (strchr(server, ':') != colon && server[0] != '['))
        return NULL;
    return str_to_u64(colon + 1, 1, UINT16_MAX, &port)
               ? NULL
               : "has no valid port, a number from 1 to 65535";
}

static size_t
length_of(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

static char
lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool
is_within(const char *name, const char *zone)
{
    size_t name_length = length_of(name);
    size_t zone_length = length_of(zone);
    if (name_length < zone_length)
        return false;
    const char *end = name + name_length - zone_length;
    for (size_t i = 0; i < zone_length; i++) {
        if (lower(end[i]) != lower(zone[i]))
            return false;
    }
    return end == name || end[-1] == '.';
}

static bool
fits(const char *type, const char *address)
{
    if (strcmp(type, "A") == 0)
        return connector_has_only(address, CONNECTOR_DIGITS ".");
    if (strcmp(type, "AAAA") == 0)
        return strchr(address, ':') != NULL;
    return strchr(address, ':') == NULL && is_name(address);
}

static void
dns_faults(struct json_object *action, const char *pointer, struct fault_list *faults)
{
    static const char *const servers[] = { "main", "alternate" };
    const char *zone = connector_text(action, "zone");
    const char *name = connector_text(action, "name");
    const char *type = connector_text(action, "type");
    char inner[FAULT_POINTER_SIZE];
    if (zone != NULL && name != NULL && !is_within(name, zone)) {
        fault_pointer(inner, pointer, "name");
        fault_add(faults, inner, "is not within the zone");
    }
    for (size_t i = 0; i < ARRAY_COUNT(servers); i++) {
        const char *address = connector_text(action, servers[i]);
        if (address == NULL || type == NULL || fits(type, address))
            continue;
        fault_pointer(inner, pointer, servers[i]);
        fault_add(faults, inner, "is no value of a record of this type");
    }
}

static const struct shape members[] = {
    { .name = "driver",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "dns",
      .text = "dns: changes a record by signed dynamic update, fenced by the name server" },
    { .name = "server",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = 255,
      .text_fault = server_fault,
      .text = "the zone's primary name server, HOST[:PORT]; 53 when not set" },
    { .name = "zone",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = CONNECTOR_DNS_NAME_MAX,
      .text_fault = name_fault,
      .text = "zone that holds the record" },
    { .name = "name",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = CONNECTOR_DNS_NAME_MAX,
      .text_fault = name_fault,
      .text = "whole name of the record; _baton.NAME keeps the epoch" },
    { .name = "type",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "A|AAAA|CNAME",
      .text = "type of the record" },
    { .name = "ttl",
      .type = SHAPE_INTEGER,
      .min = 1,
      .max = TTL_MAX,
      .text = "seconds that resolvers may keep the record; 30 when not set" },
    { .name = "main",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_DNS_NAME_MAX,
      .text_fault = address_fault,
      .text = "value of the record for the main server; the host of its url when not set" },
    { .name = "alternate",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_DNS_NAME_MAX,
      .text_fault = address_fault,
      .text = "the same for the alternate" },
    { .name = "key_file",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 2,
      .max = CONNECTOR_TEXT_SIZE_MAX,
      .text_fault = connector_path_fault,
      .text = "absolute path of the TSIG key as tsig-keygen writes it, mode 0600" },
    { .name = "when_none",
      .type = SHAPE_CHOICE,
      .choices = "keep|remove",
      .text = "what becomes of the record when no server is in use: 'keep', when not set, as "
              "resolvers would remember for long that there is no such name" },
    CONNECTOR_TIMEOUT_MEMBER("how long all may take; setting activation.timeout_ms when not set"),
    { .name = NULL },
};

const struct shape connector_dns_shape = {
    .name = "dns",
    .type = SHAPE_OBJECT,
    .inside = members,
    .more = dns_faults,
};

void
connector_dns_read(struct json_object *object, struct connector_action *action)
{
    struct connector_dns *dns = &action->dns;
    const char *when_none = connector_text(object, "when_none");
    dns->server = connector_text(object, "server");
    dns->zone = connector_text(object, "zone");
    dns->name = connector_text(object, "name");
    dns->type = connector_text(object, "type");
    dns->ttl = (unsigned)connector_number(object, "ttl");
    if (dns->ttl == 0)
        dns->ttl = TTL_DEFAULT;
    dns->main = connector_text(object, "main");
    dns->alternate = connector_text(object, "alternate");
    dns->key_file = connector_text(object, "key_file");
    dns->remove = when_none != NULL && strcmp(when_none, "remove") == 0;
    action->timeout_ms = connector_number(object, "timeout_ms");
}
