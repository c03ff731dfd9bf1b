#include "controller/daemon/home.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/pq.h"

#define HOST_SIZE_MAX     253
#define PASSWORD_SIZE_MAX 256
#define ROOTS_SIZE_MAX    (1024UL * 1024) /* a bundle of the system has some 250 KB */

/* ---- addresses ---- */

bool
home_is_host(const char *host)
{
    uint8_t address[16];
    if (host[0] == '\0' || strlen(host) > HOST_SIZE_MAX)
        return false;
    if (inet_pton(AF_INET6, host, address) == 1)
        return true;
    for (const char *at = host; *at != '\0'; at++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *at) == NULL)
            return false;
    }
    return true;
}

enum err_code
home_split_address(const char *text, uint16_t port_default, char **ret_host, uint16_t *ret_port,
                   struct err *err)
{
    const char *host = text;
    size_t length = strlen(text);
    const char *port = NULL;
    const char *colon = strrchr(text, ':');
    if (text[0] == '[') {
        host = text + 1;
        length = strcspn(host, "]");
        const char *rest = host + length;
        if (rest[0] == ']' && rest[1] == ':')
            port = rest + 2;
        else if (rest[0] != ']' || rest[1] != '\0')
            length = 0;
    } else if (colon != NULL && strchr(text, ':') == colon) {
        length = (size_t)(colon - text);
        port = colon + 1;
    }
    uint64_t number = port_default;
    CLEANUP(freep) char *name = str_printf("%.*s", (int)(length > 1024 ? 1024 : length), host);
    if (!home_is_host(name) || (port != NULL && !str_to_u64(port, 1, UINT16_MAX, &number))) {
        (void)err_set(err, ERR_INVALID, "address", "'%.128s' is no address", text);
        return err_mend(err, "write HOST:PORT, 192.0.2.1:7443 or [2001:db8::1]:7443");
    }
    *ret_host = take_ptr(&name);
    *ret_port = (uint16_t)number;
    return ERR_NONE;
}

/* ---- the struct ---- */

static void
free_peers(struct home_peer *peers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(peers[i].node);
        free(peers[i].address);
    }
    free(peers);
}

void
home_free(struct home *home)
{
    if (home == NULL)
        return;
    free(home->folder);
    free(home->cluster);
    free(home->cluster_id);
    free(home->node);
    free(home->site);
    free(home->listen);
    free(home->advertise);
    free(home->database);
    free(home->pg.listen);
    free(home->pg.run_as);
    free(home->pg.socket);
    free(home->pg.dbname);
    free(home->pg.host);
    free_peers(home->peers, home->peer_count);
    free(home);
}

void
home_freep(struct home **holder)
{
    home_free(*holder);
    *holder = NULL;
}

bool
home_managed(const struct home *home)
{
    return strcmp(home->database, HOME_MANAGED) == 0;
}

char *
home_path(const struct home *home, const char *name)
{
    return str_printf("%s/%s", home->folder, name);
}

/* ---- node.json ---- */

static enum err_code
wrong(struct err *err, const char *member)
{
    return err_set(err, ERR_INVALID, "node_json", "'%s' is missing or wrong", member);
}

static bool
take_text(struct json_object *object, const char *name, char **to)
{
    const char *text;
    if (!json_get_string(object, name, &text) || text[0] == '\0')
        return false;
    *to = str_dup(text);
    return true;
}

static bool
take_name(struct json_object *object, const char *name, char **to)
{
    return take_text(object, name, to) && str_is_name(*to);
}

static bool
take_address(struct json_object *object, const char *name, char **to)
{
    CLEANUP(freep) char *host = NULL;
    uint16_t port;
    struct err ignored;
    return take_text(object, name, to) &&
           home_split_address(*to, HOME_PORT, &host, &port, &ignored) == ERR_NONE;
}

static enum err_code
take_pg(struct json_object *pg, struct home *home, struct err *err)
{
    uint64_t port;
    if (!json_get_u64(pg, "port", &port) || port == 0 || port > UINT16_MAX)
        return wrong(err, "pg.port");
    home->pg.port = (uint16_t)port;
    if (!take_text(pg, "listen", &home->pg.listen))
        return wrong(err, "pg.listen");
    if (json_get(pg, "run_as") != NULL && !take_text(pg, "run_as", &home->pg.run_as))
        return wrong(err, "pg.run_as");
    if (!take_text(pg, "socket", &home->pg.socket) || home->pg.socket[0] != '/')
        return wrong(err, "pg.socket");
    if (!take_text(pg, "dbname", &home->pg.dbname))
        return wrong(err, "pg.dbname");
    if (json_get(pg, "host") != NULL && !take_text(pg, "host", &home->pg.host))
        return wrong(err, "pg.host");
    return ERR_NONE;
}

static enum err_code
take_peers(struct json_object *list, struct home *home, struct err *err)
{
    if (list == NULL)
        return ERR_NONE;
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > HOME_PEERS_MAX)
        return wrong(err, "peers");
    size_t count = json_object_array_length(list);
    home->peers = mem_zero(count + 1, sizeof *home->peers);
    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        struct home_peer *peer = &home->peers[home->peer_count++];
        if (!take_name(entry, "node", &peer->node) ||
            !take_address(entry, "address", &peer->address))
            return wrong(err, "peers");
    }
    return ERR_NONE;
}

static enum err_code
take_all(struct json_object *object, struct home *home, struct err *err)
{
    if (!take_name(object, "cluster", &home->cluster))
        return wrong(err, "cluster");
    if (!take_text(object, "cluster_id", &home->cluster_id))
        return wrong(err, "cluster_id");
    if (!take_name(object, "node", &home->node))
        return wrong(err, "node");
    uint64_t generation = 1;
    if (json_get(object, "generation") != NULL &&
        (!json_get_u64(object, "generation", &generation) || generation == 0 ||
         generation > CERT_GENERATION_MAX))
        return wrong(err, "generation");
    home->generation = (unsigned)generation;
    if (!take_name(object, "site", &home->site))
        return wrong(err, "site");
    if (!take_address(object, "listen", &home->listen))
        return wrong(err, "listen");
    if (!take_address(object, "advertise", &home->advertise))
        return wrong(err, "advertise");
    if (!take_text(object, "database", &home->database))
        return wrong(err, "database");
    enum err_code code = take_pg(json_get(object, "pg"), home, err);
    return code != ERR_NONE ? code : take_peers(json_get(object, "peers"), home, err);
}

enum err_code
home_load(const char *folder, struct home **ret_home, struct err *err)
{
    char *real = realpath(folder, NULL);
    if (real == NULL) {
        if (errno != ENOENT)
            return err_errno(err, errno, "data directory '%s'", folder);
        (void)err_set(err, ERR_NOT_FOUND, "node_not_found", "there is no data directory '%s'",
                      folder);
        return err_mend(err, "make a node with 'baton init' or 'baton join'");
    }
    CLEANUP(home_freep) struct home *home = mem_zero(1, sizeof *home);
    home->folder = real;
    CLEANUP(freep) char *path = home_path(home, "node.json");
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(json_putp) struct json_object *object = NULL;
    enum err_code code = file_read(path, HOME_JSON_SIZE_MAX, &text, err);
    if (code == ERR_NOT_FOUND) {
        (void)err_set(err, ERR_NOT_FOUND, "node_not_found", "'%s' holds no node", folder);
        return err_mend(err, "make a node with 'baton init' or 'baton join'");
    }
    if (code == ERR_NONE)
        code = json_read(buf_text(&text), text.size, &object, err);
    if (code == ERR_NONE)
        code = take_all(object, home, err);
    if (code != ERR_NONE)
        return err_wrap(err, "%s", path);
    *ret_home = take_ptr(&home);
    return ERR_NONE;
}

enum err_code
home_save(const struct home *home, struct err *err)
{
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    struct json_object *pg = json_object_new_object();
    struct json_object *peers = json_object_new_array();
    json_add_string(object, "cluster", home->cluster);
    json_add_string(object, "cluster_id", home->cluster_id);
    json_add_string(object, "node", home->node);
    json_add_u64(object, "generation", home->generation);
    json_add_string(object, "site", home->site);
    json_add_string(object, "listen", home->listen);
    json_add_string(object, "advertise", home->advertise);
    json_add_string(object, "database", home->database);
    json_add_u64(pg, "port", home->pg.port);
    json_add_string(pg, "listen", home->pg.listen);
    json_add_string(pg, "run_as", home->pg.run_as);
    json_add_string(pg, "socket", home->pg.socket);
    json_add_string(pg, "dbname", home->pg.dbname);
    json_add_string(pg, "host", home->pg.host);
    json_add(object, "pg", pg);
    for (size_t i = 0; i < home->peer_count; i++) {
        struct json_object *peer = json_object_new_object();
        json_add_string(peer, "node", home->peers[i].node);
        json_add_string(peer, "address", home->peers[i].address);
        (void)json_object_array_add(peers, peer);
    }
    json_add(object, "peers", peers);
    CLEANUP(freep) char *path = home_path(home, "node.json");
    CLEANUP(freep)
    char *text = str_printf("%s\n", json_object_to_json_string_ext(
                                        object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                    JSON_C_TO_STRING_NOSLASHESCAPE));
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

enum err_code
home_set_peers(struct home *home, const struct home_peer *peers, size_t count, struct err *err)
{
    if (count > HOME_PEERS_MAX)
        return err_set(err, ERR_LIMIT, "peers", "%zu members are more than %d", count,
                       HOME_PEERS_MAX);
    bool same = count == home->peer_count;
    for (size_t i = 0; same && i < count; i++)
        same = strcmp(peers[i].node, home->peers[i].node) == 0 &&
               strcmp(peers[i].address, home->peers[i].address) == 0;
    if (same)
        return ERR_NONE;
    struct home_peer *copies = mem_zero(count + 1, sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        copies[i].node = str_dup(peers[i].node);
        copies[i].address = str_dup(peers[i].address);
    }
    free_peers(home->peers, home->peer_count);
    home->peers = copies;
    home->peer_count = count;
    return home_save(home, err);
}

/* ---- the database ---- */

/* The DSN's own sslrootcert; the caller's. NULL: it names none. */
static char *
root_of_dsn(const char *dsn)
{
    char *found = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    for (PQconninfoOption *at = options; at != NULL && at->keyword != NULL; at++) {
        if (strcmp(at->keyword, "sslrootcert") == 0 && at->val != NULL && at->val[0] == '/')
            found = str_dup(at->val);
    }
    PQconninfoFree(options);
    return found;
}

enum err_code
home_add_roots(const struct home *home, const char *dsn, struct buf *conninfo, struct err *err)
{
    CLEANUP(freep) char *theirs = root_of_dsn(dsn);
    CLEANUP(freep) char *ours = home_path(home, "ca.crt");
    CLEANUP(freep) char *path = home_path(home, "db.ca");
    CLEANUP(buf_done) struct buf roots = { 0 };
    CLEANUP(buf_done) struct buf own = { 0 };
    CLEANUP(buf_done) struct buf before = { 0 };
    struct err ignored;
    if (theirs == NULL || file_read(theirs, ROOTS_SIZE_MAX, &roots, &ignored) != ERR_NONE ||
        file_read(ours, CERT_PEM_SIZE_MAX, &own, &ignored) != ERR_NONE)
        return ERR_NONE;
    buf_add_text(&roots, "\n");
    buf_add_text(&roots, buf_text(&own));
    enum err_code code = ERR_NONE;
    if (file_read(path, ROOTS_SIZE_MAX + CERT_PEM_SIZE_MAX, &before, &ignored) != ERR_NONE ||
        strcmp(buf_text(&before), buf_text(&roots)) != 0)
        code = file_write_atomic(path, roots.data, roots.size, 0444, (uid_t)-1, (gid_t)-1, err);
    if (code == ERR_NONE)
        pq_add_pair(conninfo, "sslrootcert", path);
    return code;
}

static enum err_code
external_conninfo(const struct home *home, const char *role, struct buf *text, struct err *err)
{
    CLEANUP(freep) char *path = home_path(home, "db.password");
    CLEANUP(freep) char *resolved = NULL;
    CLEANUP(buf_done) struct buf password = { 0 };
    enum err_code code = pq_resolve(home->database, &resolved, err);
    if (code == ERR_NONE)
        code = file_read(path, PASSWORD_SIZE_MAX, &password, err);
    if (code != ERR_NONE)
        return code;
    if (password.size == 0)
        return err_set(err, ERR_INVALID, "db_password", "'%s' is empty", path);
    password.data[strcspn(password.data, "\r\n")] = '\0';
    buf_add_text(text, resolved); /* of two equal keywords the later one counts */
    pq_add_pair(text, "user", role);
    pq_add_pair(text, "dbname", home->pg.dbname);
    pq_add_pair(text, "password", password.data);
    explicit_bzero(password.data, password.size);
    return home_add_roots(home, home->database, text, err);
}

enum err_code
home_conninfo(const struct home *home, const char *role, char **ret_conninfo, struct err *err)
{
    struct buf text = { 0 };
    if (home_managed(home)) {
        char port[8];
        (void)snprintf(port, sizeof port, "%u", home->pg.port);
        pq_add_pair(&text, "host", home->pg.socket);
        pq_add_pair(&text, "port", port);
        pq_add_pair(&text, "user", role);
        pq_add_pair(&text, "dbname", home->pg.dbname);
    } else {
        enum err_code code = external_conninfo(home, role, &text, err);
        if (code != ERR_NONE) {
            buf_done(&text);
            return code;
        }
    }
    *ret_conninfo = buf_take(&text);
    return ERR_NONE;
}

void
home_database_tls(const struct home *home, char *ret_paths[3])
{
    static const char *const names[] = { "ca.crt", "server.crt", "server.key" };
    CLEANUP(freep) char *folder = home_path(home, "pg/tls");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        ret_paths[i] = str_printf("%s/%s", home_managed(home) ? folder : "baton_tls", names[i]);
}

/* ---- the lock ---- */

#define LOCK_MS_MAX  1000 /* for one that was killed, and is not quite gone */
#define LOCK_POLL_MS 10

enum err_code
home_lock(const struct home *home, int *ret_descriptor, struct err *err)
{
    CLEANUP(freep) char *path = home_path(home, "batond.pid");
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return err_errno(err, errno, "open '%s'", path);
    uint64_t until_ms = clock_now_ms() + LOCK_MS_MAX;
    int locked = flock(file, LOCK_EX | LOCK_NB);
    while (locked != 0 && errno == EWOULDBLOCK && clock_now_ms() < until_ms) {
        (void)poll(NULL, 0, LOCK_POLL_MS);
        locked = flock(file, LOCK_EX | LOCK_NB);
    }
    if (locked != 0) {
        int number = errno;
        char pid[16] = "";
        ssize_t got = read(file, pid, sizeof pid - 1);
        (void)close(file);
        if (number != EWOULDBLOCK)
            return err_errno(err, number, "lock '%s'", path);
        pid[got > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        (void)err_set(err, ERR_CONFLICT, "in_use", "'%s' is used by process %s", home->folder,
                      pid[0] == '\0' ? "?" : pid);
        return err_mend(err, "stop that batond first");
    }
    char pid[16];
    int length = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(file, 0) != 0 || pwrite(file, pid, (size_t)length, 0) != length) {
        int number = errno;
        (void)close(file);
        return err_errno(err, number, "write '%s'", path);
    }
    *ret_descriptor = file;
    return ERR_NONE;
}
