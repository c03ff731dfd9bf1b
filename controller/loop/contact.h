/*
 * contact.h -- the first contact with a cluster: who answers at an address is believed only when
 * its chain holds a CA whose key has the pin that a person brought (token, or --pin).
 */
#pragma once

#include "controller/base/err.h"
#include "controller/loop/cert.h"

#define CONTACT_CONNECT_S 5

/*
 * Blocking; for the CLI only. 'address' is HOST:PORT. '*ret_pem' is the caller's: the CA's
 * certificate, for the requests that follow, which verify everything as usual.
 * ERR_UNAVAILABLE, slug "connect": nobody answers. ERR_DENIED, slug "pin_mismatch".
 */
MUST_CHECK enum err_code contact_find_ca(const char *address, const uint8_t pin[CERT_PIN_SIZE],
                                         char **ret_pem, struct err *err);
