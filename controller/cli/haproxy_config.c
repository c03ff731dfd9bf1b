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
write_defaults(const struct haproxy_config *config, struct buf *into)
{
    if (config->http)
        buf_add_text(into, "\n"
                           "defaults\n"
                           "    mode http\n"
                           "    option httplog\n"
                           "    option forwardfor\n"
                           "    timeout http-request 30s\n");
    else
        buf_add_text(into,
                     "\n"
                     "defaults\n"
                     "    # TLS passes through: certificates are those of the connector servers\n"
                     "    mode tcp\n"
                     "    option tcplog\n");
    buf_add_text(
        into,
        "    log global\n"
        "    option dontlognull\n"
        "    # Only a connection that does not come about is tried again, and at another server:\n"
        "    # what may have reached one is never sent twice.\n"
        "    option redispatch 1\n"
        "    retries 3\n");
    if (config->http)
        buf_add_text(into, "    retry-on conn-failure\n");
    buf_add_text(
        into,
        "    timeout connect 2s\n"
        "    timeout client 5m\n"
        "    timeout server 5m\n"
        "    timeout check 2s\n"
        "    load-server-state-from-file global\n"
        "    # a name is looked up by Baton; without an answer to HAProxy, this one stands in\n"
        "    default-server check inter 2s fastinter 500ms fall 2 rise 1 "
        "init-addr last,libc,127.0.0.1\n");
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
    write_defaults(config, into);
}

/* Of main and alternate, and of instances. */
static void
write_tls(const struct haproxy_config *config, const struct connector_server *server,
          struct buf *into)
{
    bool is_number = strchr(server->host, ':') != NULL ||
                     server->host[strspn(server->host, "0123456789.")] == '\0';
    if (!config->http)
        return;
    buf_printf(into, " ssl verify required ca-file %s",
               config->ca == NULL ? "@system-ca" : config->ca);
    if (server->set && is_number)
        buf_add_text(into, " # its url is a number: any name that the CA signed is fine");
    else if (server->set)
        buf_printf(into, " sni str(%s) check-sni %s verifyhost %s", server->host, server->host,
                   server->host);
}

/* Whose name instances have, and are asked by for their health: main, where there is one. */
static const struct connector_server *
named_server(const struct connector *connector)
{
    return connector->main.set ? &connector->main : &connector->alternate;
}

static void
write_server(const struct haproxy_config *config, const struct connector_server *server,
             const char *name, struct buf *into)
{
    bool is_v6 = strchr(server->host, ':') != NULL;
    if (!server->set)
        buf_printf(into, "    server %s 127.0.0.1:9 disabled", name);
    else
        buf_printf(into, is_v6 ? "    server %s [%s]:%u disabled" : "    server %s %s:%u disabled",
                   name, server->host, server->port);
    write_tls(config, server, into);
    buf_add_text(into, server->set ? "\n" : " # not configured\n");
}

/* Their address is a name, for HAProxy keeps that of a number over no reload. Sessions of one that
 * is found down are left alone: HAProxy 2.6 would end those that it has sent elsewhere already,
 * too.
 */
static void
write_places(const struct haproxy_config *config, const struct connector *connector,
             struct buf *into)
{
    if (config->instances == 0)
        return;
    buf_printf(into,
               "    # one for each instance; nobody is sent to one that died, after 2.5 s\n"
               "    server-template " CONNECTOR_HAPROXY_INSTANCE
               " 1-%u localhost:9 disabled observe layer4 error-limit 1",
               config->instances);
    write_tls(config, named_server(connector), into);
    buf_add_text(into, "\n");
}

/* Of a path: HAProxy would look for the end of a quote, and drop a backslash. */
static void
write_word(const char *word, struct buf *into)
{
    for (; *word != '\0'; word++)
        buf_printf(into, strchr("'\"\\", *word) != NULL ? "\\%c" : "%c", *word);
}

static void
write_health(const struct haproxy_config *config, const struct connector *connector,
             struct buf *into)
{
    const struct connector_server *server = named_server(connector);
    bool is_v6 = strchr(server->host, ':') != NULL;
    if (!config->http)
        return;
    buf_add_text(into, "    option httpchk\n"
                       "    http-check send meth GET uri ");
    write_word(connector->probe.path, into);
    buf_printf(into, is_v6 ? " ver HTTP/1.1 hdr Host [%s]\n" : " ver HTTP/1.1 hdr Host %s\n",
               server->set ? server->host : "localhost");
    if (connector->probe.expect_status == 0)
        buf_add_text(into, "    http-check expect status 200-399\n");
    else
        buf_printf(into, "    http-check expect status %u\n", connector->probe.expect_status);
}

static void
write_hold(const struct haproxy_config *config, const char *backend, struct buf *into)
{
    if (config->hold == NULL)
        return;
    if (config->http)
        buf_printf(into, "    http-request lua.baton_hold %s %d\n", backend, HAPROXY_HOLD_MS);
    else
        buf_printf(into,
                   "    tcp-request inspect-delay %dms\n"
                   "    tcp-request content lua.baton_hold %s %d\n",
                   2 * HAPROXY_HOLD_MS, backend, HAPROXY_HOLD_MS);
}

static void
write_connector(const struct haproxy_config *config, size_t at, struct buf *into)
{
    const struct connector *connector = config->connectors[at];
    const struct connector_haproxy *action = action_of(connector);
    const char *backend = backend_of(connector);
    bool is_v6 = strchr(config->address, ':') != NULL;
    buf_printf(into, "\nfrontend %s-in\n    bind %s%s%s:%u", backend, is_v6 ? "[" : "",
               config->address, is_v6 ? "]" : "", config->port + (unsigned)at);
    if (config->certificate != NULL)
        buf_printf(into, " ssl crt %s", config->certificate);
    buf_add_text(into, "\n");
    write_hold(config, backend, into);
    buf_printf(into,
               "    default_backend %s\n"
               "\nbackend %s\n"
               "    # Baton lets in one of main and alternate, and the instances share its work\n"
               "    balance leastconn\n",
               backend, backend);
    write_health(config, connector, into);
    write_server(config, &connector->main, action == NULL ? CONNECTOR_HAPROXY_MAIN : action->main,
                 into);
    write_server(config, &connector->alternate,
                 action == NULL ? CONNECTOR_HAPROXY_ALTERNATE : action->alternate, into);
    write_places(config, connector, into);
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
