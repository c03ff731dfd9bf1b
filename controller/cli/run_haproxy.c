#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/haproxy_config.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"
#include "sites/spread.h"

#define CONNECTORS_MAX 1000
#define SERVICE_GROUP  "postgres" /* docs/baton.service */
#define GROUP_SIZE     64
#define SCRIPT_MODE    0644

struct list {
    struct connector *items[CONNECTORS_MAX]; /* owned */
    size_t count;
};

static void
list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        connector_free(list->items[i]);
}

static enum err_code
add(struct cli *cli, const char *name, struct list *list, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(json_putp) struct json_object *detail = NULL;
    buf_add_text(&path, "/v1/connectors/");
    connect_escape(&path, name);
    enum err_code code = connect_get(cli, buf_text(&path), &detail, err);
    if (code != ERR_NONE)
        return code;
    if (list->count == CONNECTORS_MAX)
        return err_set(err, ERR_LIMIT, "too_many_connectors", "more than %d connectors",
                       CONNECTORS_MAX);
    code = connector_read(name, json_get(detail, "config"), &list->items[list->count], err);
    if (code == ERR_NONE)
        list->count++;
    return code;
}

static bool
uses_haproxy(const struct connector *connector)
{
    for (size_t i = 0; i < connector->action_count; i++) {
        if (connector->actions[i].driver == CONNECTOR_DRIVER_HAPROXY)
            return true;
    }
    return false;
}

static bool
has(const struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

/* All of the cluster that have the driver; the API lists each for each node. */
static enum err_code
add_all(struct cli *cli, struct list *list, struct err *err)
{
    CLEANUP(json_putp) struct json_object *all = NULL;
    enum err_code code = connect_get(cli, "/v1/connectors", &all, err);
    for (size_t i = 0; code == ERR_NONE && i < word_count(all, "connectors"); i++) {
        const char *name = word_string(word_item(all, "connectors", i), "name");
        if (has(list, name))
            continue;
        code = add(cli, name, list, err);
        if (code == ERR_NONE && !uses_haproxy(list->items[list->count - 1]))
            connector_free(list->items[--list->count]);
    }
    if (code != ERR_NONE || list->count > 0)
        return code;
    (void)err_set(err, ERR_NOT_FOUND, "connector_not_found", "no connector has driver haproxy");
    return err_mend(err, "name the connectors; with this file running, give them {\"driver\": "
                         "\"haproxy\", \"socket\": \"" HAPROXY_CONFIG_SOCKET "\"}");
}

static enum err_code
add_named(struct cli *cli, struct list *list, struct err *err)
{
    enum err_code code = ERR_NONE;
    for (size_t i = 0; code == ERR_NONE && cli_operand(cli, i) != NULL; i++)
        code = add(cli, cli_operand(cli, i), list, err);
    return code;
}

/* "ADDR:PORT", "[ADDR]:PORT"; nothing keeps the defaults. */
static enum err_code
read_listen(const char *listen, char address[CONNECTOR_HOST_SIZE], uint16_t *ret_port,
            struct err *err)
{
    ASSERT(str_copy(address, CONNECTOR_HOST_SIZE, "0.0.0.0"));
    *ret_port = HAPROXY_CONFIG_PORT;
    if (listen == NULL)
        return ERR_NONE;
    const char *colon = strrchr(listen, ':');
    uint64_t port = 0;
    CLEANUP(freep) char *host = str_dup(listen[0] == '[' ? listen + 1 : listen);
    char *end = strrchr(host, listen[0] == '[' ? ']' : ':');
    if (end != NULL)
        *end = '\0';
    if (colon == NULL || end == NULL || host[0] == '\0' || strpbrk(host, " \t\n#'\"\\") != NULL ||
        !str_to_u64(colon + 1, 1, UINT16_MAX, &port) ||
        !str_copy(address, CONNECTOR_HOST_SIZE, host)) {
        (void)err_set(err, ERR_INVALID, "option_value", "--listen '%s' is no ADDR:PORT", listen);
        return err_mend(err, "for example --listen 0.0.0.0:8443");
    }
    *ret_port = (uint16_t)port;
    return ERR_NONE;
}

/* That of the data directory where there is one: batond runs in it. */
static void
find_group(const struct cli *cli, char name[GROUP_SIZE])
{
    struct stat status;
    const char *folder = connect_data_dir(cli);
    const struct group *group =
        folder != NULL && stat(folder, &status) == 0 ? getgrgid(status.st_gid) : NULL;
    if (group == NULL || !str_copy(name, GROUP_SIZE, group->gr_name))
        ASSERT(str_copy(name, GROUP_SIZE, SERVICE_GROUP));
}

/* HAProxy splits its lines at blanks, and finds relative names elsewhere. */
static enum err_code
check_path(const char *option, const char *path, struct err *err)
{
    if (path == NULL || (path[0] == '/' && strpbrk(path, " \t\n#'\"\\") == NULL))
        return ERR_NONE;
    return err_set(err, ERR_INVALID, "option_value",
                   "%s '%.200s': HAProxy needs an absolute path without blanks", option, path);
}

static enum err_code
read_more(struct cli *cli, struct haproxy_config *config, struct err *err)
{
    const char *mode = cli_value(cli, OPTION_PROXY_MODE);
    uint64_t instances = arguments_number(&cli->arguments, OPTION_PLACES, HAPROXY_CONFIG_PLACES);
    config->http = mode != NULL && strcmp(mode, "http") == 0;
    config->certificate = cli_value(cli, OPTION_PROXY_CERTIFICATE);
    config->ca = cli_value(cli, OPTION_SERVER_CA);
    config->instances = (unsigned)instances;
    if (instances > SPREAD_COUNT_MAX)
        return err_set(err, ERR_INVALID, "option_value",
                       "--instances %llu: a backend has at most %d", (unsigned long long)instances,
                       SPREAD_COUNT_MAX);
    if (!config->http && (config->certificate != NULL || config->ca != NULL)) {
        (void)err_set(err, ERR_INVALID, "option_value",
                      "--certificate and --server-ca are for --mode http");
        return err_mend(err, "without it TLS passes through, and HAProxy needs neither");
    }
    if (check_path("--hold", config->hold, err) != ERR_NONE ||
        check_path("--certificate", config->certificate, err) != ERR_NONE)
        return err->code;
    return check_path("--server-ca", config->ca, err);
}

static enum err_code
write_script(const char *path, struct err *err)
{
    return file_write_atomic(path, haproxy_hold_script, strlen(haproxy_hold_script), SCRIPT_MODE,
                             (uid_t)-1, (gid_t)-1, err);
}

enum err_code
run_connector_haproxy_config(struct cli *cli, struct err *err)
{
    CLEANUP(list_done) struct list list = { .count = 0 };
    CLEANUP(buf_done) struct buf text = { 0 };
    char address[CONNECTOR_HOST_SIZE];
    char group[GROUP_SIZE];
    struct haproxy_config config = { .group = group,
                                     .address = address,
                                     .hold = cli_value(cli, OPTION_HOLD) };
    enum err_code code =
        read_listen(cli_value(cli, OPTION_FRONTEND_LISTEN), address, &config.port, err);
    if (code == ERR_NONE)
        code = cli_operand(cli, 0) == NULL ? add_all(cli, &list, err) : add_named(cli, &list, err);
    if (code != ERR_NONE)
        return code;
    code = read_more(cli, &config, err);
    if (code != ERR_NONE)
        return code;
    find_group(cli, group);
    config.connectors = (const struct connector *const *)list.items;
    config.count = list.count;
    code = haproxy_config_write(&config, &text, err);
    if (code == ERR_NONE && config.hold != NULL)
        code = write_script(config.hold, err);
    if (code == ERR_NONE)
        (void)fwrite(text.data, 1, text.size, cli->out);
    return code;
}
