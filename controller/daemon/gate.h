/*
 * gate.h -- `baton gate`: stands beside a connector server and is asked, by the proxy in front of
 * it or by the server itself, whether a request may pass. It keeps the highest epoch on disk.
 *
 *     batond --HTTPS--> nginx ----------------> connector server
 *                         '--auth_request--> gate: GET /check, with the headers of the request
 *
 *     answer   when
 *     204      signed by a key that we have, within the window, of our cluster, and not below the
 *              highest epoch (sites/gate.h)
 *     400      the proxy does not say what was asked (X-Original-Method, X-Original-URI)
 *     401      the signature is missing, wrong, too old, or by another key
 *     403      another cluster, or an earlier epoch ("stale_epoch")
 *     503      a later epoch could not be stored: nobody passes under it before it is
 *
 * 204 and "stale_epoch" carry the proof that requests of this kind are looked at (Baton-Fenced,
 * controller/activation/sign.h). GET /state tells people what the gate has seen, GET /healthz that
 * it runs.
 *
 * I10  as sites/gate.h has it. A state that is not there, or does not read, keeps the gate from
 *      starting: only gate_init() begins a new one.
 *
 * Blocking, for the command line; gate_run() has the process for itself.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"

#define GATE_LISTEN    "127.0.0.1:7446"
#define GATE_WINDOW_MS 300000
#define GATE_KEYS_MAX  16

struct gate_options {
    const char *state;       /* path */
    const char *listen;      /* ADDR:PORT; NULL: GATE_LISTEN */
    const char *const *keys; /* "KEY_ID=FILE" */
    size_t key_count;        /* 1 to GATE_KEYS_MAX */
    uint64_t window_ms;      /* 0: GATE_WINDOW_MS */
    const char *cert;        /* paths; both NULL: plain HTTP, on this host only */
    const char *cert_key;
};

/*
 * Begins a state for a cluster; 'epoch' is the lowest that passes ("7/west-1"), NULL for any.
 * ERR_CONFLICT: one is there. ERR_INVALID: not such an epoch or id.
 */
MUST_CHECK enum err_code gate_init(const char *path, const char *cluster, const char *epoch,
                                   struct err *err);
/* Until SIGTERM or SIGINT: ERR_NONE. SIGHUP reads keys and certificate again. */
MUST_CHECK enum err_code gate_run(const struct gate_options *options, struct err *err);
