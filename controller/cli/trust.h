/*
 * trust.h -- the cluster's CA, as a person vouches for it at a login: by its file, or by the
 * fingerprint of its key. Nobody is believed at first sight.
 */
#pragma once

#include "controller/base/err.h"

/* '*ret_pem' is the caller's. ERR_INVALID slug "ca_file": it is no certificate of a CA. */
MUST_CHECK enum err_code trust_read_ca(const char *path, char **ret_pem, struct err *err);
/*
 * Asks the server for its certificates and takes the one with the key "sha256:HEX". The result is
 * what the person named, so the asking itself need not be believed.
 * ERR_INVALID slug "pin"; ERR_DENIED slug "pin_mismatch"; ERR_UNAVAILABLE slug "connect".
 */
MUST_CHECK enum err_code trust_find_ca(const char *url, const char *pin, char **ret_pem,
                                       struct err *err);
