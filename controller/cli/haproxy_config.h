/*
 * haproxy_config.h -- a whole configuration of HAProxy for connectors whose driver is haproxy: text
 * from documents, nothing else.
 *
 * Its servers start disabled, so that a HAProxy that was restarted gives traffic to nobody before
 * Baton says so; a reload keeps what Baton said, by a state file. TLS passes through (mode tcp).
 * Backends balance by least connections, so that a connector's instances can stand beside its
 * servers.
 */
#pragma once

#include "controller/base/buf.h"
#include "sites/connector.h"

#define HAPROXY_CONFIG_SOCKET "/run/haproxy/admin.sock" /* where the connector names none */
#define HAPROXY_CONFIG_PORT   8443                      /* of the first frontend */
#define HAPROXY_HOLD_MS       5000

struct haproxy_config {
    const struct connector *const *connectors;
    size_t count;
    const char *group;   /* that batond runs in: it may use the stats socket */
    const char *address; /* of the frontends: "0.0.0.0", "::1" */
    uint16_t port;       /* of the first; each further one has the next */
    const char *hold;    /* path of the script of haproxy_hold_script(), or NULL */
};

/* ERR_LIMIT: no port is left for a frontend. */
MUST_CHECK enum err_code haproxy_config_write(const struct haproxy_config *config, struct buf *into,
                                              struct err *err);

/* Lua for HAProxy: who comes while no server is in use waits for one, HAPROXY_HOLD_MS at most,
 * instead of being turned away. */
extern const char haproxy_hold_script[];
