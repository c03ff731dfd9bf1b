#include "controller/cli/haproxy_config.h"

#include <string.h>

#include "controller/base/str.h"

const char haproxy_hold_script[] =
    "-- Made by baton connector haproxy-config --hold.\n"
    "-- While no server of the backend is in use, as in the middle of a switchover, whoever comes\n"
    "-- waits for one instead of being turned away.\n"
    "local function baton_hold(txn, backend, longest_ms)\n"
    "    local waited_ms = 0\n"
    "    while txn.f:nbsrv(backend) == 0 and waited_ms < tonumber(longest_ms) do\n"
    "        core.msleep(10)\n"
    "        waited_ms = waited_ms + 10\n"
    "    end\n"
    "end\n"
    "\n"
    "core.register_action('baton_hold', { 'tcp-req', 'http-req' }, baton_hold, 2)\n";

/* The connector's first action with driver haproxy; NULL: it has none. */
static const struct connector_haproxy *
action_of(const struct connector *connector)
{
    for (size_t i = 0; i < connector->action_count; i++) {
        if (connector->actions[i].driver == CONNECTOR_DRIVER_HAPROXY)
            return &connector->actions[i].haproxy;
    }
    return NULL;
}

static const char *
socket_of(const struct connector *connector)
{
    const struct connector_haproxy *action = action_of(connector);
    return action == NULL ? HAPROXY_CONFIG_SOCKET : action->socket;
}

static const char *
backend_of(const struct connector *connector)
{
    const struct connector_haproxy *action = action_of(connector);
    return action == NULL || action->backend == NULL ? connector->name : action->backend;
}

static void
write_socket(const struct haproxy_config *config, size_t at, struct buf *into)
{
    const char *place = socket_of(config->connectors[at]);
    for (size_t i = 0; i < at; i++) {
        if (strcmp(socket_of(config->connectors[i]), place) == 0)
            return;
    }
    if (place[0] == '/')
        buf_printf(into, "    stats socket %s mode 660 group %s level admin expose-fd listeners\n",
                   place, config->group);
    else if (place[0] == '[')
        buf_printf(into, "    stats socket ipv6@%s level admin\n", place);
    else
        buf_printf(into, "    stats socket ipv4@127.0.0.1%s level admin\n", strrchr(place, ':'));
}

static void
write_head(const struct haproxy_config *config, struct buf *into)
{
    buf_add_text(
        into,
        "# HAProxy 2.6 or later, made by baton connector haproxy-config. Print it again when the\n"
        "# url of a server has changed.\n"
        "#\n"
        "# A reload keeps what Baton said, a restart forgets it, with this in\n"
        "# /etc/systemd/system/haproxy.service.d/baton.conf (and socat installed):\n"
        "#\n"
        "#     [Service]\n"
        "#     ExecStartPre=/bin/rm -f /run/haproxy/baton.state\n"
        "#     ExecReload=\n"
        "#     ExecReload=/usr/sbin/haproxy -Ws -f $CONFIG -c -q $EXTRAOPTS\n");
    buf_printf(
        into,
        "#     ExecReload=/bin/sh -c 'echo show servers state | socat - %s%s "
        ">/run/haproxy/baton.state'\n",
        socket_of(config->connectors[0])[0] == '/' ? "" : "TCP:", socket_of(config->connectors[0]));
    buf_add_text(into, "#     ExecReload=/bin/kill -USR2 $MAINPID\n"
                       "\n"
                       "global\n"
                       "    log /dev/log local0\n"
                       "    user haproxy\n"
                       "    group haproxy\n");
    for (size_t i = 0; i < config->count; i++)
        write_socket(config, i, into);
    buf_add_text(into, "    server-state-file /run/haproxy/baton.state\n");
    if (config->hold != NULL)
        buf_printf(into, "    lua-load %s\n", config->hold);
    buf_add_text(
        into,
        "\n"
        "defaults\n"
        "    # TLS passes through: certificates are those of the connector servers\n"
        "    mode tcp\n"
        "    log global\n"
        "    option tcplog\n"
        "    option dontlognull\n"
        "    option redispatch 1\n"
        "    retries 3\n"
        "    timeout connect 2s\n"
        "    timeout client 5m\n"
        "    timeout server 5m\n"
        "    timeout check 2s\n"
        "    load-server-state-from-file global\n"
        "    # a name is looked up by Baton; without an answer to HAProxy, this one stands in\n"
        "    default-server check inter 2s fall 2 rise 1 init-addr last,libc,127.0.0.1\n");
}

static void
write_server(const struct connector_server *server, const char *name, struct buf *into)
{
    if (!server->set)
        buf_printf(into, "    server %s 127.0.0.1:9 disabled # not configured\n", name);
    else if (strchr(server->host, ':') != NULL)
        buf_printf(into, "    server %s [%s]:%u disabled\n", name, server->host, server->port);
    else
        buf_printf(into, "    server %s %s:%u disabled\n", name, server->host, server->port);
}

static void
write_connector(const struct haproxy_config *config, size_t at, struct buf *into)
{
    const struct connector *connector = config->connectors[at];
    const struct connector_haproxy *action = action_of(connector);
    const char *backend = backend_of(connector);
    bool is_v6 = strchr(config->address, ':') != NULL;
    buf_printf(into, "\nfrontend %s-in\n    bind %s%s%s:%u\n", backend, is_v6 ? "[" : "",
               config->address, is_v6 ? "]" : "", config->port + (unsigned)at);
    if (config->hold != NULL)
        buf_printf(into,
                   "    tcp-request inspect-delay %dms\n"
                   "    tcp-request content lua.baton_hold %s %d\n",
                   2 * HAPROXY_HOLD_MS, backend, HAPROXY_HOLD_MS);
    buf_printf(into,
               "    default_backend %s\n"
               "\nbackend %s\n"
               "    # Baton lets in one of these two; further servers share the work with it\n"
               "    balance leastconn\n",
               backend, backend);
    write_server(&connector->main, action == NULL ? CONNECTOR_HAPROXY_MAIN : action->main, into);
    write_server(&connector->alternate,
                 action == NULL ? CONNECTOR_HAPROXY_ALTERNATE : action->alternate, into);
}

enum err_code
haproxy_config_write(const struct haproxy_config *config, struct buf *into, struct err *err)
{
    if (config->port + config->count > (size_t)UINT16_MAX + 1)
        return err_set(err, ERR_LIMIT, "listen", "%zu connectors need a port each, from %u on",
                       config->count, config->port);
    write_head(config, into);
    for (size_t i = 0; i < config->count; i++)
        write_connector(config, i, into);
    return ERR_NONE;
}
