/*
 * contact.h -- the first contact with a cluster: who answers at an address is believed only when
 * its chain holds a CA whose key has the pin that a person brought (token, or --pin).
 */
#pragma once

#include <stddef.h>

#include "controller/base/err.h"
#include "controller/loop/cert.h"

#define CONTACT_CONNECT_S 5
#define CONTACT_ASK_MS    5000 /* of one address, once its name is looked up */
#define CONTACT_ASK_MAX   64

/*
 * Blocking; for the CLI only. 'address' is HOST:PORT. '*ret_pem' is the caller's: the CA's
 * certificate, for the requests that follow, which verify everything as usual.
 * ERR_UNAVAILABLE, slug "connect": nobody answers. ERR_DENIED, slug "pin_mismatch".
 */
MUST_CHECK enum err_code contact_find_ca(const char *address, const uint8_t pin[CERT_PIN_SIZE],
                                         char **ret_pem, struct err *err);

enum contact_answer {
    CONTACT_SILENT,  /* nobody: refused by the host, no way there, nothing in time */
    CONTACT_UNASKED, /* it is no HOST:PORT, or its name cannot be looked up */
    CONTACT_OTHER,   /* somebody takes the connection and shows no certificate of the cluster */
    CONTACT_MEMBER,  /* the certificate that is shown names the cluster */
};

struct contact {
    const char *address; /* borrowed; HOST:PORT */
    enum contact_answer answer;
};

/*
 * Who is there? Asks all side by side, at most CONTACT_ASK_MAX, each in a thread that ends with the
 * call. Blocking; for the CLI only. What a certificate says is believed without
 * a CA: who claims to be a member is not to be mistaken for nobody, and is given nothing.
 */
void contact_ask(const char *cluster_id, struct contact *contacts, size_t count);
