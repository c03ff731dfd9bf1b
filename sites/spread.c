#include "sites/spread.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/str.h"

/* ---- addresses ---- */

static const char no_address[] =
    "must be an address as a number, with its port: 192.0.2.7:8443 or [2001:db8::7]:8443";
static const char no_server[] = "is an address at which no server can stand";

static bool
v4_serves(const struct in_addr *address)
{
    uint32_t number = ntohl(address->s_addr);
    return number >> 24 != 0 && number >> 28 < 14 && number >> 16 != 0xa9fe;
}

static bool
v6_serves(const struct in6_addr *address)
{
    return !IN6_IS_ADDR_LINKLOCAL(address) && !IN6_IS_ADDR_MULTICAST(address) &&
           !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_V4MAPPED(address);
}

const char *
spread_address_read(const char *text, struct spread_address *ret)
{
    struct in_addr four;
    struct in6_addr six;
    uint64_t port;
    char host[SPREAD_ADDRESS_SIZE];
    bool is_v6 = text[0] == '[';
    if (!str_copy(host, sizeof host, text + is_v6))
        return no_address;
    char *end = strrchr(host, is_v6 ? ']' : ':');
    if (end == NULL || (is_v6 && end[1] != ':') ||
        !str_to_u64(end + 1 + is_v6, 1, UINT16_MAX, &port))
        return no_address;
    *end = '\0';
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, is_v6 ? (void *)&six : (void *)&four) != 1)
        return no_address;
    if (is_v6 ? !v6_serves(&six) : !v4_serves(&four))
        return no_server;
    struct spread_address address = { .port = (uint16_t)port };
    (void)inet_ntop(is_v6 ? AF_INET6 : AF_INET, is_v6 ? (void *)&six : (void *)&four, address.host,
                    sizeof address.host);
    *ret = address;
    return NULL;
}

const char *
spread_address_text(const struct spread_address *address, char text[SPREAD_ADDRESS_SIZE])
{
    bool is_v6 = strchr(address->host, ':') != NULL;
    if (address->host[0] == '\0')
        text[0] = '\0';
    else
        (void)snprintf(text, SPREAD_ADDRESS_SIZE, is_v6 ? "[%s]:%u" : "%s:%u", address->host,
                       address->port);
    return text;
}

bool
spread_address_equal(const struct spread_address *one, const struct spread_address *other)
{
    return one->port == other->port && strcmp(one->host, other->host) == 0;
}
