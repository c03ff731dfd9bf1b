/*
 * haproxy_config.h -- a whole configuration of HAProxy for connectors whose driver is haproxy: text
 * from documents, nothing else.
 *
 * Its servers start disabled, so that a HAProxy that was restarted gives traffic to nobody before
 * Baton says so; a reload keeps what Baton said, by a state file. TLS passes through (mode tcp), or
 * ends here and begins again (mode http). Backends balance by least connections over the server in
 * use and the connector's instances, for each of which there is a place (haproxy.h).
 *
 * A request that may have reached a server is never sent to another: only a connection that did not
 * come about is tried elsewhere. So nothing is answered, or done, twice.
 */
#pragma once

#include "controller/base/buf.h"
#include "sites/connector.h"

#define HAPROXY_CONFIG_SOCKET "/run/haproxy/admin.sock" /* where the connector names none */
#define HAPROXY_CONFIG_PORT   8443                      /* of the first frontend */
#define HAPROXY_HOLD_MS       5000
#define HAPROXY_CONFIG_PLACES 16 /* for instances, where nothing else is said */

struct haproxy_config {
    const struct connector *const *connectors;
    size_t count;
    const char *group;       /* that batond runs in: it may use the stats socket */
    const char *address;     /* of the frontends: "0.0.0.0", "::1" */
    uint16_t port;           /* of the first; each further one has the next */
    const char *hold;        /* path of the script of haproxy_hold_script(), or NULL */
    unsigned instances;      /* places in each backend; 0: none */
    bool http;               /* mode http */
    const char *certificate; /* mode http: PEM with key, of the frontends; NULL: no TLS there */
    const char *ca;          /* mode http: file with the authority of the servers, or NULL */
};

/* ERR_LIMIT: no port is left for a frontend. */
MUST_CHECK enum err_code haproxy_config_write(const struct haproxy_config *config, struct buf *into,
                                              struct err *err);

/* Lua for HAProxy: who comes while no server is in use waits for one, HAPROXY_HOLD_MS at most,
 * instead of being turned away. */
extern const char haproxy_hold_script[];
