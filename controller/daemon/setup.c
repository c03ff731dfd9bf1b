#include "controller/daemon/setup.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/pq.h"
#include "controller/postgres/migrate.h"
#include "sql.h"

#define LISTEN_DEFAULT    "0.0.0.0"
#define ROOT_RUN_AS       "postgres"
#define HOST_NAME_SIZE    256
#define SOCKET_NAME_BYTES 6

/* ---- signals: a person who presses Ctrl-C gets the clean-up too ---- */

static volatile sig_atomic_t signalled;
static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction signals_before[ARRAY_COUNT(signals)];

static void
on_signal(int number)
{
    signalled = number;
}

static void
catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    signalled = 0;
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
        (void)sigaction(signals[i], &action, &signals_before[i]);
}

static void
release_signals(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
        (void)sigaction(signals[i], &signals_before[i], NULL);
}

enum err_code
setup_step(struct setup *setup, struct err *err, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (signalled != 0)
        return err_set(err, ERR_CANCELLED, "interrupted", "interrupted by signal %d",
                       (int)signalled);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (setup->node->say != NULL)
        setup->node->say(setup->node->data, text);
    return ERR_NONE;
}

/* ---- what was asked for ---- */

static enum err_code
check_name(const char *what, const char *option, const char *name, struct err *err)
{
    if (name != NULL && str_is_name(name))
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "name", "%s name '%.64s' is %s", what, name == NULL ? "" : name,
                  name == NULL ? "missing" : "no name");
    return err_mend(err, "%s takes small letters, digits and '-', at most 63 characters", option);
}

static enum err_code
check_node_name(const char *name, struct err *err)
{
    enum err_code code = check_name("node", "--node", name, err);
    if (code != ERR_NONE || strlen(name) <= SETUP_NODE_LENGTH_MAX)
        return code;
    (void)err_set(err, ERR_INVALID, "name", "node name '%.64s' is too long for its database role",
                  name);
    return err_mend(err, "--node takes at most %d characters", SETUP_NODE_LENGTH_MAX);
}

static bool
is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool
is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static char *
join_address(const char *host, uint16_t port)
{
    return strchr(host, ':') != NULL ? str_printf("[%s]:%u", host, port)
                                     : str_printf("%s:%u", host, port);
}

/* '*ret_host' is what it listens on, without the port. */
static enum err_code
plan_listen(struct setup *setup, char **ret_host, uint16_t *ret_port, struct err *err)
{
    const char *text = setup->node->listen == NULL ? LISTEN_DEFAULT : setup->node->listen;
    CLEANUP(freep) char *host = NULL;
    enum err_code code = home_split_address(text, HOME_PORT, &host, ret_port, err);
    if (code != ERR_NONE)
        return err_wrap(err, "--listen");
    if (!is_address(host)) {
        (void)err_set(err, ERR_INVALID, "address", "--listen: '%.128s' is not an IP address", host);
        return err_mend(err, "give an address of this host, or 0.0.0.0 for all");
    }
    setup->home->listen = join_address(host, *ret_port);
    *ret_host = take_ptr(&host);
    return ERR_NONE;
}

static enum err_code
plan_advertise(struct setup *setup, const char *listen_host, uint16_t listen_port, struct err *err)
{
    CLEANUP(freep) char *host = NULL;
    uint16_t port = listen_port;
    char name[HOST_NAME_SIZE] = "";
    const char *text = setup->node->advertise;
    if (text == NULL && !is_any(listen_host))
        text = listen_host;
    if (text == NULL && gethostname(name, sizeof name - 1) == 0)
        text = name;
    struct err reason = { 0 };
    if (text == NULL || home_split_address(text, listen_port, &host, &port, &reason) != ERR_NONE ||
        is_any(host) || (setup->node->advertise == NULL && strcmp(host, "localhost") == 0)) {
        (void)err_set(err, ERR_INVALID, "address", "'%.128s' is no address for other members",
                      text == NULL ? "" : text);
        return err_mend(err, "say how other members reach this node: --advertise HOST:PORT");
    }
    setup->home->advertise = join_address(host, port);
    setup->pg_host = take_ptr(&host);
    return ERR_NONE;
}

bool
setup_host_is_public(const char *host)
{
    return host[0] != '/' && host[0] != '@' && strcmp(host, "localhost") != 0 &&
           !str_starts(host, "127.") && strcmp(host, "::1") != 0;
}

/* Where the socket lies: in D, unless its path would be longer than the kernel takes. */
static char *
plan_socket(const char *folder, uint16_t port)
{
    CLEANUP(freep) char *path = str_printf("%s/pg/run/.s.PGSQL.%u", folder, port);
    if (strlen(path) <= MANAGED_SOCKET_SIZE_MAX)
        return str_printf("%s/pg/run", folder);
    uint8_t bytes[SOCKET_NAME_BYTES];
    char name[2 * SOCKET_NAME_BYTES + 1];
    cert_random(bytes, sizeof bytes);
    str_hex(name, bytes, sizeof bytes);
    return str_printf("/tmp/baton-%s", name);
}

static bool
is_ourselves(const char *user)
{
    char room[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    return getpwnam_r(user, &entry, room, sizeof room, &found) == 0 && found != NULL &&
           entry.pw_uid == geteuid() && entry.pw_uid != 0;
}

static enum err_code
plan_database(struct setup *setup, const char *listen_host, struct err *err)
{
    const struct setup_node *node = setup->node;
    struct home *home = setup->home;
    const char *run_as = node->run_as;
    if (node->pg_listen != NULL && !is_address(node->pg_listen)) {
        (void)err_set(err, ERR_INVALID, "address", "--pg-listen: '%.128s' is not an IP address",
                      node->pg_listen);
        return err_mend(err, "give an address of this host, or 0.0.0.0 for all");
    }
    home->pg.listen = str_dup(node->pg_listen == NULL ? listen_host : node->pg_listen);
    home->pg.port = node->pg_port == 0 ? HOME_PG_PORT : node->pg_port;
    home->pg.dbname = str_dup(MANAGED_DATABASE);
    setup->pg_port = home->pg.port;
    if (node->database == NULL || strcmp(node->database, HOME_MANAGED) == 0) {
        if (run_as == NULL && geteuid() == 0)
            run_as = ROOT_RUN_AS;
        if (run_as != NULL && is_ourselves(run_as))
            run_as = NULL;
        home->pg.run_as = str_dup(run_as);
        home->database = str_dup(HOME_MANAGED);
        return ERR_NONE;
    }
    CLEANUP(freep) char *host = NULL;
    enum err_code code =
        pq_server_part(node->database, &home->database, &host, &setup->pg_port, err);
    if (code != ERR_NONE)
        return err_wrap(err, "--database");
    home->pg.port = setup->pg_port;
    setup->admin = str_dup(node->database);
    if (setup_host_is_public(host)) {
        free(setup->pg_host);
        setup->pg_host = take_ptr(&host);
    }
    return ERR_NONE;
}

/* What others are told of the database, when a person says it. */
static enum err_code
plan_pg_advertise(struct setup *setup, struct err *err)
{
    const char *text = setup->node->pg_advertise;
    if (text != NULL) {
        CLEANUP(freep) char *host = NULL;
        enum err_code code = home_split_address(text, setup->pg_port, &host, &setup->pg_port, err);
        if (code == ERR_NONE && is_any(host)) {
            (void)err_set(err, ERR_INVALID, "address", "'%s' is no address for other members",
                          host);
            code = err_mend(err, "give the one that their databases connect to");
        }
        if (code != ERR_NONE)
            return err_wrap(err, "--pg-advertise");
        free(setup->pg_host);
        setup->pg_host = take_ptr(&host);
    }
    setup->home->pg.host = str_dup(setup->pg_host);
    return ERR_NONE;
}

/* Known now, and not after minutes from whoever tries to listen there. Whether batond may use a
 * port below 1024 is not ours to say: it can run as another user. */
static enum err_code
require_port(const char *host_option, const char *port_option, const char *host, uint16_t port,
             struct err *err)
{
    char service[8];
    const int yes = 1;
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    (void)snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return err_set(err, ERR_INVALID, "address", "%s: '%s' is no address", host_option, host);
    int number = 0;
    int probe = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0 || setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(probe, found->ai_addr, found->ai_addrlen) != 0)
        number = errno;
    freeaddrinfo(found);
    if (probe >= 0)
        (void)close(probe);
    CLEANUP(freep) char *address = join_address(host, port);
    if (number == EADDRINUSE) {
        (void)err_set(err, ERR_CONFLICT, "port_in_use", "%s is in use already", address);
        return err_mend(err, "end what listens there, or choose another port with %s", port_option);
    }
    if (number == 0 || number == EACCES)
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "address", "%s: nobody can listen on %s: %s", host_option,
                  address, strerror(number));
    return err_mend(err, "give an address of this host, or 0.0.0.0 for all");
}

enum err_code
setup_plan(struct setup *setup, const struct setup_node *node, const char *cluster,
           const char *site, struct err *err)
{
    memset(setup, 0, sizeof *setup);
    setup->node = node;
    setup->home = mem_zero(1, sizeof *setup->home);
    catch_signals();
    CLEANUP(freep) char *listen_host = NULL;
    uint16_t listen_port = 0;
    enum err_code code = check_name("cluster", "--cluster", cluster, err);
    if (code == ERR_NONE)
        code = check_name("site", "--site", site, err);
    if (code == ERR_NONE)
        code = check_node_name(node->node, err);
    if (code == ERR_NONE && (node->folder == NULL || node->folder[0] == '\0'))
        code = err_set(err, ERR_INVALID, "data_dir", "no data directory is named (--data-dir)");
    if (code == ERR_NONE)
        code = plan_listen(setup, &listen_host, &listen_port, err);
    if (code == ERR_NONE)
        code = plan_advertise(setup, listen_host, listen_port, err);
    if (code == ERR_NONE)
        code = plan_database(setup, listen_host, err);
    if (code == ERR_NONE)
        code = plan_pg_advertise(setup, err);
    if (code != ERR_NONE)
        return code;
    setup->home->cluster = str_dup(cluster);
    setup->home->site = str_dup(site);
    setup->home->node = str_dup(node->node);
    setup->home->generation = 1; /* until the cluster says another */
    code = require_port("--listen", "--listen", listen_host, listen_port, err);
    if (code != ERR_NONE || !home_managed(setup->home))
        return code;
    code =
        require_port("--pg-listen", "--pg-port", setup->home->pg.listen, setup->home->pg.port, err);
    if (code != ERR_NONE)
        return code;
    setup->managed.run_as = setup->home->pg.run_as;
    char *programs = NULL;
    unsigned major;
    code = managed_find_programs(&programs, &major, err);
    free(programs);
    return code;
}

/* ---- the data directory ---- */

static enum err_code
require_empty(const char *folder, struct err *err)
{
    DIR *list = opendir(folder);
    if (list == NULL)
        return err_errno(err, errno, "data directory '%s'", folder);
    const struct dirent *entry;
    bool empty = true;
    while ((entry = readdir(list)) != NULL)
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    (void)closedir(list);
    if (empty)
        return ERR_NONE;
    (void)err_set(err, ERR_CONFLICT, "not_empty", "data directory '%s' is not empty", folder);
    return err_mend(err, "name another one; a node never overwrites anything");
}

static enum err_code
use_existing(struct setup *setup, const char *folder, struct err *err)
{
    struct stat status;
    if (stat(folder, &status) != 0)
        return err_errno(err, errno, "data directory '%s'", folder);
    if (!S_ISDIR(status.st_mode)) {
        (void)err_set(err, ERR_INVALID, "not_a_folder", "'%s' is not a folder", folder);
        return err_mend(err, "name a folder that is empty or does not exist yet");
    }
    if (status.st_uid != geteuid()) {
        (void)err_set(err, ERR_DENIED, "not_ours", "data directory '%s' belongs to another user",
                      folder);
        return err_mend(err, "run as its owner, or change the owner (chown)");
    }
    setup->folder_mode = status.st_mode & 07777;
    return require_empty(folder, err);
}

enum err_code
setup_take_folder(struct setup *setup, struct err *err)
{
    const char *folder = setup->node->folder;
    struct home *home = setup->home;
    enum err_code code = ERR_NONE;
    if (mkdir(folder, 0700) == 0)
        setup->folder_made = true;
    else if (errno == EEXIST)
        code = use_existing(setup, folder, err);
    else
        code = err_errno(err, errno, "make data directory '%s'", folder);
    if (code != ERR_NONE)
        return code;
    home->folder = realpath(folder, NULL);
    if (home->folder == NULL)
        return err_errno(err, errno, "data directory '%s'", folder);
    setup->folder_taken = true;
    /* The database's user must pass through to its own part. */
    mode_t mode = home->pg.run_as == NULL ? 0700 : 0711;
    if (chmod(home->folder, mode) != 0)
        return err_errno(err, errno, "change mode of '%s'", home->folder);
    home->pg.socket = plan_socket(home->folder, home->pg.port);
    setup->pg_folder = home_path(home, "pg");
    setup->managed = (struct managed_config){
        .folder = setup->pg_folder,
        .socket = home->pg.socket,
        .listen = home->pg.listen,
        .port = home->pg.port,
        .run_as = home->pg.run_as,
    };
    return ERR_NONE;
}

static void
empty_folder(const char *folder)
{
    DIR *list = opendir(folder);
    const struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        CLEANUP(freep) char *path = str_printf("%s/%s", folder, entry->d_name);
        struct err err = { 0 };
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            file_remove_tree(path, &err) != ERR_NONE)
            log_error("setup.undo", "reason=\"%s\"", err.text);
    }
    if (list != NULL)
        (void)closedir(list);
}

static void
undo(struct setup *setup)
{
    struct err err = { 0 };
    setup_undo_database(setup);
    if (setup->home->folder == NULL) {
        if (setup->folder_made)
            (void)rmdir(setup->node->folder);
        return;
    }
    if (!setup->folder_taken)
        return;
    if (!str_starts(setup->home->pg.socket, setup->home->folder))
        (void)rmdir(setup->home->pg.socket);
    if (!setup->folder_made) {
        empty_folder(setup->home->folder);
        (void)chmod(setup->home->folder, setup->folder_mode);
    } else if (file_remove_tree(setup->home->folder, &err) != ERR_NONE) {
        log_error("setup.undo", "reason=\"%s\"", err.text);
    }
}

void
setup_end(struct setup *setup, enum err_code code)
{
    if (code != ERR_NONE)
        undo(setup);
    release_signals();
    home_free(setup->home);
    free(setup->pg_folder);
    free(setup->pg_host);
    cert_secret_freep(&setup->admin);
}

/* ---- identity ---- */

enum err_code
setup_save_identity(const struct setup *setup, const struct cert_pair *ca, const char *chain,
                    const char *key, struct err *err)
{
    const struct {
        const char *name;
        const char *text;
        mode_t mode;
    } files[] = {
        { "ca.crt", ca->certificate, 0444 },
        { "ca.key", ca->key, 0400 },
        { "node.crt", chain, 0444 },
        { "node.key", key, 0400 },
    };
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        CLEANUP(freep) char *path = home_path(setup->home, files[i].name);
        enum err_code code = file_write_atomic(path, files[i].text, strlen(files[i].text),
                                               files[i].mode, (uid_t)-1, (gid_t)-1, err);
        if (code != ERR_NONE)
            return code;
    }
    return ERR_NONE;
}

size_t
setup_hosts(const char *address, const char *pg_host, char *owned[2],
            const char *hosts[SETUP_HOSTS_MAX])
{
    struct err ignored;
    uint16_t port;
    size_t count = 0;
    owned[0] = NULL;
    owned[1] = str_dup(pg_host);
    if (home_split_address(address, HOME_PORT, &owned[0], &port, &ignored) == ERR_NONE)
        hosts[count++] = owned[0];
    if (owned[1] != NULL)
        hosts[count++] = owned[1];
    hosts[count++] = "localhost";
    hosts[count++] = "127.0.0.1";
    hosts[count++] = "::1";
    return count;
}

struct json_object *
setup_pg_json(const struct setup *setup)
{
    struct json_object *pg = json_object_new_object();
    json_add_string(pg, "host", setup->pg_host);
    json_add_u64(pg, "port", setup->pg_port);
    json_add_string(pg, "dbname", setup->home->pg.dbname);
    return pg;
}

/* ---- the database ---- */

enum err_code
setup_connect_owner(const struct setup *setup, const char *database, PGconn **ret_connection,
                    struct err *err)
{
    CLEANUP(freep) char *conninfo = NULL;
    enum err_code code = home_conninfo(setup->home, MANAGED_OWNER, &conninfo, err);
    if (code != ERR_NONE)
        return code;
    struct buf text = { 0 };
    buf_add_text(&text, conninfo);
    pq_add_pair(&text, "dbname", database);
    code = pq_connect_blocking(buf_text(&text), ret_connection, err);
    buf_done(&text);
    return code;
}

static enum err_code
make_managed(struct setup *setup, const char *ca_certificate, const char *certificate,
             const char *key, struct err *err)
{
    enum err_code code = setup_step(setup, err, "make the database folder (initdb)");
    if (code == ERR_NONE)
        code = managed_make(&setup->managed, err);
    if (code == ERR_NONE)
        code = managed_install_tls(&setup->managed, ca_certificate, certificate, key, err);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "start PostgreSQL on port %u", setup->managed.port);
    if (code == ERR_NONE)
        code = managed_start_blocking(&setup->managed, &setup->pid, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    code = setup_connect_owner(setup, "postgres", &connection, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection,
                               "create database " MANAGED_DATABASE " owner " MANAGED_OWNER
                               " encoding 'UTF8' locale 'C' template template0",
                               0, NULL, NULL, err);
    return code;
}

static enum err_code
make_schema(struct setup *setup, PGconn *connection, struct err *err)
{
    const struct home *home = setup->home;
    const char *values[] = { home->cluster_id, home->node, home->site };
    enum err_code code =
        setup_step(setup, err, "make the schema (%zu migrations)", sql_migration_count);
    if (code == ERR_NONE)
        code = migrate_run(connection, NULL, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(connection, sql_node_init, ARRAY_COUNT(values), values, NULL, err);
    return code;
}

enum err_code
setup_make_database(struct setup *setup, const char *ca_certificate, const char *certificate,
                    const char *key, PGconn **ret_connection, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    bool managed = home_managed(setup->home);
    enum err_code code = managed ? make_managed(setup, ca_certificate, certificate, key, err)
                                 : setup_external_make(setup, err);
    if (code == ERR_NONE)
        code = managed ? setup_connect_owner(setup, MANAGED_DATABASE, &connection, err)
                       : setup_external_connect(setup, &connection, err);
    if (code == ERR_NONE)
        code = make_schema(setup, connection, err);
    if (code == ERR_NONE && !managed)
        code = setup_external_password(setup, connection, err);
    if (code == ERR_NONE)
        *ret_connection = take_ptr(&connection);
    return code;
}

enum err_code
setup_leave_database(struct setup *setup, struct err *err)
{
    if (!home_managed(setup->home))
        return setup_external_check(setup, err);
    enum err_code code = setup_step(setup, err, "stop PostgreSQL");
    if (code != ERR_NONE)
        return code;
    pid_t pid = setup->pid;
    setup->pid = 0; /* whatever comes, it has been told, and perhaps reaped */
    return managed_stop_blocking(&setup->managed, pid, err);
}

void
setup_undo_database(struct setup *setup)
{
    struct err err = { 0 };
    if (setup->pid != 0 && managed_stop_blocking(&setup->managed, setup->pid, &err) != ERR_NONE)
        log_error("setup.undo", "reason=\"%s\"", err.text);
    setup->pid = 0;
    if (setup->admin != NULL)
        setup_external_undo(setup);
}
