#include "sites/address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

static bool
v4_allowed(const void *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    number = ntohl(number);
    return number >> 24 != 0 && number >> 28 < 14 && number >> 16 != 0xa9fe;
}

/* The IPv4 address within it; NULL: there is none. */
static const uint8_t *
v4_within(const struct in6_addr *address)
{
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const uint8_t six_to_four[2] = { 0x20, 0x02 };
    const uint8_t *bytes = address->s6_addr;
    if (memcmp(bytes, six_to_four, sizeof six_to_four) == 0)
        return bytes + sizeof six_to_four;
    return IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address) ||
                   memcmp(bytes, nat64, sizeof nat64) == 0
               ? bytes + sizeof nat64
               : NULL;
}

bool
address_allowed(const char *text)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, text, &four) == 1)
        return v4_allowed(&four);
    if (inet_pton(AF_INET6, text, &six) != 1)
        return true;
    const uint8_t *within = v4_within(&six);
    return (within == NULL || v4_allowed(within)) && !IN6_IS_ADDR_LINKLOCAL(&six) &&
           !IN6_IS_ADDR_MULTICAST(&six) && !IN6_IS_ADDR_UNSPECIFIED(&six);
}
