/*
 * address.h -- to which addresses requests are made: those of servers, whoever names them. Pure.
 *
 * Not to link-local ones, where clouds keep their metadata, nor to multicast and unspecified ones;
 * nor to an IPv6 address that leads to such a one of IPv4, because it holds it: mapped (RFC 4291,
 * 2.5.5.2), compatible (2.5.5.1), of a NAT64 (64:ff9b::/96, RFC 6052) or of 6to4 (RFC 3056).
 */
#pragma once

#include <stdbool.h>

/* "192.0.2.1", "2001:db8::1". A text that is no address: true, for it is looked up first. */
bool address_allowed(const char *text);
