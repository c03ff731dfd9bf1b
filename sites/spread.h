/*
 * spread.h -- over which instances of a connector requests are spread. Pure.
 *
 * The agent of an instance says where that takes requests: an address as a number, with a port, for
 * that is what a proxy takes at run time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SPREAD_HOST_SIZE    46 /* an IPv6 address as text, with its NUL */
#define SPREAD_ADDRESS_SIZE 56 /* "[2001:db8::7]:8443" */

/* Where an instance takes requests. */
struct spread_address {
    char host[SPREAD_HOST_SIZE]; /* a number, as inet_ntop() writes it; "": nowhere */
    uint16_t port;
};

/*
 * Reads "192.0.2.7:8443" or "[2001:db8::7]:8443". NULL when it is one, else what is wrong with it.
 * No server stands at an unspecified, link-local or multicast address, or one that is written as
 * IPv4 within IPv6.
 */
const char *spread_address_read(const char *text, struct spread_address *ret);
/* "192.0.2.7:8443"; "" for nowhere. */
const char *spread_address_text(const struct spread_address *address,
                                char text[SPREAD_ADDRESS_SIZE]);
bool spread_address_equal(const struct spread_address *one, const struct spread_address *other);
