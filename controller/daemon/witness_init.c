#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/setup_inner.h"
#include "controller/daemon/witness_inner.h"
#include "controller/loop/pq.h"
#include "controller/postgres/migrate.h"
#include "sql.h"

#define JSON_SIZE_MAX  65536
#define UUID_LENGTH    36
#define LISTEN_DEFAULT "0.0.0.0"

/* ---- witness.json ---- */

enum err_code
witness_home_save(const struct home *home, struct err *err)
{
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    CLEANUP(freep) char *path = home_path(home, "witness.json");
    json_add_string(object, "id", home->cluster_id);
    json_add_string(object, "listen", home->pg.listen);
    json_add_u64(object, "port", home->pg.port);
    json_add_string(object, "advertise", home->advertise);
    json_add_string(object, "run_as", home->pg.run_as);
    json_add_string(object, "socket", home->pg.socket);
    const char *text = json_object_to_json_string_ext(
        object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    CLEANUP(freep) char *line = str_printf("%s\n", text);
    return file_write_atomic(path, line, strlen(line), 0600, (uid_t)-1, (gid_t)-1, err);
}

static bool
take_text(struct json_object *object, const char *name, char **ret)
{
    const char *text = NULL;
    if (!json_get_string(object, name, &text) || text[0] == '\0')
        return false;
    *ret = str_dup(text);
    return true;
}

static enum err_code
take_json(struct json_object *object, struct home *home, const char *path, struct err *err)
{
    uint64_t port = 0;
    bool run_as =
        json_get(object, "run_as") == NULL || take_text(object, "run_as", &home->pg.run_as);
    if (run_as && take_text(object, "id", &home->cluster_id) &&
        take_text(object, "listen", &home->pg.listen) && json_get_u64(object, "port", &port) &&
        port > 0 && port <= UINT16_MAX && take_text(object, "advertise", &home->advertise) &&
        take_text(object, "socket", &home->pg.socket)) {
        home->pg.port = (uint16_t)port;
        return ERR_NONE;
    }
    return err_set(err, ERR_INVALID, "witness_json", "'%s' is not what baton witness init wrote",
                   path);
}

static void
fill_managed(struct witness_home *witness)
{
    const struct home *home = witness->home;
    witness->pg_folder = home_path(home, "pg");
    witness->managed = (struct managed_config){
        .folder = witness->pg_folder,
        .socket = home->pg.socket,
        .listen = home->pg.listen,
        .port = home->pg.port,
        .run_as = home->pg.run_as,
        .witness = true,
    };
}

enum err_code
witness_home_load(const char *folder, struct witness_home *ret_home, struct err *err)
{
    CLEANUP(home_freep) struct home *home = mem_zero(1, sizeof *home);
    CLEANUP(json_putp) struct json_object *object = NULL;
    CLEANUP(buf_done) struct buf text = { 0 };
    home->folder = realpath(folder, NULL);
    if (home->folder == NULL)
        return err_errno(err, errno, "data directory '%s'", folder);
    CLEANUP(freep) char *path = home_path(home, "witness.json");
    enum err_code code = file_read(path, JSON_SIZE_MAX, &text, err);
    if (code == ERR_NOT_FOUND) {
        (void)err_set(err, ERR_NOT_FOUND, "witness_not_found", "'%s' holds no witness", folder);
        return err_mend(err, "make one: baton witness init --data-dir %s", folder);
    }
    if (code == ERR_NONE)
        code = json_read(buf_text(&text), text.size, &object, err);
    if (code == ERR_NONE)
        code = take_json(object, home, path, err);
    if (code != ERR_NONE)
        return code;
    home->database = str_dup(HOME_MANAGED);
    home->pg.dbname = str_dup(MANAGED_DATABASE);
    *ret_home = (struct witness_home){ .home = take_ptr(&home) };
    fill_managed(ret_home);
    return ERR_NONE;
}

void
witness_home_done(struct witness_home *home)
{
    home_free(home->home);
    free(home->pg_folder);
    memset(home, 0, sizeof *home);
}

/* ---- the clusters' CAs ---- */

static bool
is_uuid(const char *text)
{
    return strlen(text) == UUID_LENGTH && strspn(text, "0123456789abcdef-") == UUID_LENGTH;
}

/* The first certificate of the text, written anew, and nothing else of the file. */
static char *
first_certificate(const char *text, bool *ret_last_ca)
{
    BIO *in = BIO_new_mem_buf(text, -1);
    X509 *certificate = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO *out = BIO_new(BIO_s_mem());
    char *made = NULL;
    char *bytes = NULL;
    if (certificate != NULL && out != NULL && PEM_write_bio_X509(out, certificate) == 1) {
        long size = BIO_get_mem_data(out, &bytes);
        made = str_printf("%.*s", (int)size, bytes);
        *ret_last_ca = X509_get_pathlen(certificate) == 0;
    }
    BIO_free(in);
    BIO_free(out);
    X509_free(certificate);
    return made;
}

enum err_code
witness_read_ca(const char *path, char **ret_text, char **ret_cluster, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    struct cert_info info;
    bool last_ca = false;
    enum err_code code = file_read(path, CERT_PEM_SIZE_MAX, &text, err);
    if (code == ERR_NONE)
        code = cert_read(buf_text(&text), &info, err);
    if (code != ERR_NONE)
        return err_wrap(err, "--cluster-ca '%s'", path);
    CLEANUP(freep) char *made = first_certificate(buf_text(&text), &last_ca);
    if (made == NULL || !info.is_ca || !last_ca || !is_uuid(info.organization)) {
        (void)err_set(err, ERR_INVALID, "cluster_ca",
                      "--cluster-ca '%s': the certificate of '%s' is not of a cluster's CA", path,
                      info.common_name);
        return err_mend(err, "bring the file ca.crt of any node's data directory");
    }
    *ret_text = take_ptr(&made);
    *ret_cluster = str_dup(info.organization);
    return ERR_NONE;
}

enum err_code
witness_keep_ca(const struct home *home, const char *text, const char *cluster, struct err *err)
{
    CLEANUP(freep) char *folder = home_path(home, "clusters");
    CLEANUP(freep) char *path = str_printf("%s/%s.crt", folder, cluster);
    CLEANUP(buf_done) struct buf before = { 0 };
    enum err_code code = file_make_folder(folder, 0700, (uid_t)-1, (gid_t)-1, err);
    if (code != ERR_NONE)
        return code;
    if (file_exists(path)) {
        code = file_read(path, CERT_PEM_SIZE_MAX, &before, err);
        if (code != ERR_NONE || strcmp(buf_text(&before), text) == 0)
            return code;
        (void)err_set(err, ERR_CONFLICT, "cluster_ca", "cluster %s has another CA here", cluster);
        return err_mend(err, "if it really has a new one, remove '%s' first", path);
    }
    return file_write_atomic(path, text, strlen(text), 0444, (uid_t)-1, (gid_t)-1, err);
}

enum err_code
witness_add(const char *folder, const char *cluster_ca, char **ret_cluster, struct err *err)
{
    struct witness_home witness = { 0 };
    CLEANUP(freep) char *text = NULL;
    CLEANUP(freep) char *cluster = NULL;
    enum err_code code = witness_home_load(folder, &witness, err);
    if (code == ERR_NONE)
        code = witness_read_ca(cluster_ca, &text, &cluster, err);
    if (code == ERR_NONE)
        code = witness_keep_ca(witness.home, text, cluster, err);
    if (code == ERR_NONE)
        *ret_cluster = take_ptr(&cluster);
    witness_home_done(&witness);
    return code;
}

/* Appends every CA; '*ret_count' of them. */
static enum err_code
read_clusters(const struct home *home, struct buf *into, size_t *ret_count, struct err *err)
{
    CLEANUP(freep) char *folder = home_path(home, "clusters");
    DIR *list = opendir(folder);
    enum err_code code = ERR_NONE;
    const struct dirent *entry;
    size_t count = 0;
    if (list == NULL)
        return err_errno(err, errno, "folder '%s'", folder);
    while (code == ERR_NONE && (entry = readdir(list)) != NULL) {
        CLEANUP(freep) char *path = str_printf("%s/%s", folder, entry->d_name);
        CLEANUP(freep) char *text = NULL;
        CLEANUP(freep) char *cluster = NULL;
        if (!str_ends(entry->d_name, ".crt"))
            continue;
        if (count == WITNESS_CLUSTERS_MAX)
            code = err_set(err, ERR_LIMIT, "clusters", "'%s' holds more than %d CAs", folder,
                           WITNESS_CLUSTERS_MAX);
        if (code == ERR_NONE)
            code = witness_read_ca(path, &text, &cluster, err);
        CLEANUP(freep) char *name = str_printf("%s.crt", cluster == NULL ? "" : cluster);
        if (code == ERR_NONE && strcmp(name, entry->d_name) != 0)
            code = err_set(err, ERR_INVALID, "cluster_ca", "'%s' is the CA of cluster %s", path,
                           cluster);
        if (code == ERR_NONE)
            buf_add_text(into, text);
        count++;
    }
    (void)closedir(list);
    if (code == ERR_NONE && count == 0) {
        (void)err_set(err, ERR_INVALID, "clusters", "the witness serves no cluster");
        return err_mend(err, "baton witness add CA_FILE --data-dir %s", home->folder);
    }
    *ret_count = count;
    return code;
}

/* ---- its own certificate ---- */

enum err_code
witness_sign(const struct home *home, const struct cert_pair *ca, const char *key, char **ret_chain,
             struct err *err)
{
    CLEANUP(freep) char *csr = NULL;
    CLEANUP(freep) char *certificate = NULL;
    char *owned[2];
    const char *hosts[SETUP_HOSTS_MAX];
    struct cert_subject subject = { .node = WITNESS_NAME,
                                    .cluster_id = home->cluster_id,
                                    .hosts = hosts,
                                    .host_count =
                                        setup_hosts(home->advertise, NULL, owned, hosts) };
    enum err_code code = cert_make_csr(key, WITNESS_NAME, &csr, err);
    if (code == ERR_NONE)
        code = cert_sign(ca, csr, &subject, &certificate, err);
    if (code == ERR_NONE)
        *ret_chain = str_printf("%s%s", certificate, ca->certificate);
    free(owned[0]);
    free(owned[1]);
    return code;
}

enum err_code
witness_install_tls(const struct witness_home *witness, struct err *err)
{
    CLEANUP(buf_done) struct buf clusters = { 0 };
    CLEANUP(buf_done) struct buf chain = { 0 };
    CLEANUP(buf_done) struct buf key = { 0 };
    CLEANUP(freep) char *chain_path = home_path(witness->home, "node.crt");
    CLEANUP(freep) char *key_path = home_path(witness->home, "node.key");
    size_t count = 0;
    enum err_code code = read_clusters(witness->home, &clusters, &count, err);
    if (code == ERR_NONE)
        code = file_read(chain_path, CERT_PEM_SIZE_MAX, &chain, err);
    if (code == ERR_NONE)
        code = file_read(key_path, CERT_PEM_SIZE_MAX, &key, err);
    if (code == ERR_NONE)
        code = managed_install_tls(&witness->managed, buf_text(&clusters), buf_text(&chain),
                                   buf_text(&key), err);
    if (key.data != NULL)
        explicit_bzero(key.data, key.size);
    return code;
}

/* ---- init ---- */

static enum err_code
make_identity(struct setup *setup, struct cert_pair *ret_ca, struct err *err)
{
    struct home *home = setup->home;
    uint8_t bytes[16];
    char hex[2 * sizeof bytes + 1];
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(freep) char *chain = NULL;
    cert_random(bytes, sizeof bytes);
    str_hex(hex, bytes, sizeof bytes);
    home->cluster_id = str_printf("witness-%s", hex);
    enum err_code code = cert_make_ca(WITNESS_NAME, home->cluster_id, ret_ca, err);
    if (code == ERR_NONE)
        code = cert_make_key(&key, err);
    if (code == ERR_NONE)
        code = witness_sign(home, ret_ca, key, &chain, err);
    return code == ERR_NONE ? setup_save_identity(setup, ret_ca, chain, key, err) : code;
}

static enum err_code
keep_clusters(const struct setup *setup, const struct witness_init *init, struct err *err)
{
    enum err_code code = ERR_NONE;
    for (size_t i = 0; code == ERR_NONE && i < init->cluster_ca_count; i++) {
        CLEANUP(freep) char *text = NULL;
        CLEANUP(freep) char *cluster = NULL;
        code = witness_read_ca(init->cluster_ca[i], &text, &cluster, err);
        if (code == ERR_NONE)
            code = witness_keep_ca(setup->home, text, cluster, err);
    }
    return code;
}

static enum err_code
connect_owner(const struct setup *setup, const char *database, PGconn **ret, struct err *err)
{
    CLEANUP(freep) char *conninfo = NULL;
    enum err_code code = home_conninfo(setup->home, MANAGED_OWNER, &conninfo, err);
    if (code != ERR_NONE)
        return code;
    struct buf text = { 0 };
    buf_add_text(&text, conninfo);
    pq_add_pair(&text, "dbname", database);
    code = pq_connect_blocking(buf_text(&text), ret, err);
    buf_done(&text);
    return code;
}

static enum err_code
make_database(struct setup *setup, const struct witness_home *witness, struct err *err)
{
    CLEANUP(pq_finishp) PGconn *first = NULL;
    CLEANUP(pq_finishp) PGconn *connection = NULL;
    enum err_code code = setup_step(setup, err, "make the database folder (initdb)");
    if (code == ERR_NONE)
        code = managed_make(&setup->managed, err);
    if (code == ERR_NONE)
        code = witness_install_tls(witness, err);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "start PostgreSQL on port %u", setup->managed.port);
    if (code == ERR_NONE)
        code = managed_start_blocking(&setup->managed, &setup->pid, err);
    if (code == ERR_NONE)
        code = connect_owner(setup, "postgres", &first, err);
    if (code == ERR_NONE)
        code = pq_run_blocking(first,
                               "create database " MANAGED_DATABASE " owner " MANAGED_OWNER
                               " encoding 'UTF8' locale 'C' template template0",
                               0, NULL, NULL, err);
    if (code == ERR_NONE)
        code = connect_owner(setup, MANAGED_DATABASE, &connection, err);
    if (code == ERR_NONE)
        code = setup_step(setup, err, "make the schema");
    return code == ERR_NONE ? migrate_run_witness(connection, NULL, err) : code;
}

/* Where it is, and by which CA it is known: what the clusters are told. */
static enum err_code
write_arbiter(const struct setup *setup, const char *ca, char **ret_path, struct err *err)
{
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    CLEANUP(freep) char *path = home_path(setup->home, "arbiter.json");
    CLEANUP(freep) char *host = NULL;
    uint16_t port;
    enum err_code code =
        home_split_address(setup->home->advertise, setup->home->pg.port, &host, &port, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(freep) char *dsn = str_printf("host=%s port=%u", host, port);
    json_add_string(object, "kind", "postgres");
    json_add_string(object, "dsn", dsn);
    json_add_string(object, "ca", ca);
    CLEANUP(freep) char *line = str_printf("%s\n", json_text(object));
    code = file_write_atomic(path, line, strlen(line), 0444, (uid_t)-1, (gid_t)-1, err);
    if (code == ERR_NONE)
        *ret_path = take_ptr(&path);
    return code;
}

static enum err_code
make(struct setup *setup, const struct witness_init *init, struct witness_answer *answer,
     struct err *err)
{
    struct cert_pair ca = { 0 };
    struct cert_info info;
    struct witness_home witness = { 0 };
    enum err_code code = setup_step(setup, err, "make the witness's CA and certificate");
    if (code == ERR_NONE)
        code = make_identity(setup, &ca, err);
    if (code == ERR_NONE)
        code = keep_clusters(setup, init, err);
    if (code == ERR_NONE)
        code = cert_read(ca.certificate, &info, err);
    if (code == ERR_NONE) {
        str_hex(answer->pin, info.pin, sizeof info.pin);
        setup->managed.witness = true;
        witness = (struct witness_home){ .home = setup->home, .managed = setup->managed };
        code = make_database(setup, &witness, err);
    }
    if (code == ERR_NONE)
        code = setup_leave_database(setup, err);
    if (code == ERR_NONE)
        code = write_arbiter(setup, ca.certificate, &answer->arbiter, err);
    if (code == ERR_NONE)
        code = witness_home_save(setup->home, err); /* last: with witness.json it is one */
    if (code == ERR_NONE)
        answer->address = str_dup(setup->home->advertise);
    cert_pair_done(&ca);
    return code;
}

/* Before anything is made. */
static enum err_code
check_clusters(const struct witness_init *init, struct err *err)
{
    enum err_code code = ERR_NONE;
    if (init->cluster_ca_count == 0) {
        (void)err_set(err, ERR_INVALID, "option_missing", "--cluster-ca FILE is missing");
        return err_mend(err, "bring the file ca.crt of any node's data directory");
    }
    for (size_t i = 0; code == ERR_NONE && i < init->cluster_ca_count; i++) {
        CLEANUP(freep) char *text = NULL;
        CLEANUP(freep) char *cluster = NULL;
        code = witness_read_ca(init->cluster_ca[i], &text, &cluster, err);
    }
    return code;
}

enum err_code
witness_init(const struct witness_init *init, struct witness_answer *ret_answer, struct err *err)
{
    CLEANUP(freep) char *host = NULL;
    uint16_t port = 0;
    enum err_code code = check_clusters(init, err);
    if (code != ERR_NONE)
        return code;
    code = home_split_address(init->listen == NULL ? LISTEN_DEFAULT : init->listen, WITNESS_PORT,
                              &host, &port, err);
    if (code != ERR_NONE)
        return err_wrap(err, "--listen");
    bool v6 = strchr(host, ':') != NULL;
    CLEANUP(freep) char *listen = str_printf(v6 ? "[%s]:%u" : "%s:%u", host, port);
    struct setup setup;
    struct setup_node node = { .folder = init->folder,
                               .node = WITNESS_NAME,
                               .listen = listen,
                               .advertise = init->advertise,
                               .pg_port = port,
                               .run_as = init->run_as,
                               .say = init->say,
                               .data = init->data };
    struct witness_answer answer = { 0 };
    code = setup_plan(&setup, &node, WITNESS_NAME, WITNESS_NAME, err);
    if (code == ERR_NONE)
        code = setup_take_folder(&setup, err);
    if (code == ERR_NONE)
        code = make(&setup, init, &answer, err);
    setup_end(&setup, code);
    if (code == ERR_NONE)
        *ret_answer = answer;
    else
        witness_answer_done(&answer);
    return code;
}

void
witness_answer_done(struct witness_answer *answer)
{
    free(take_ptr(&answer->address));
    free(take_ptr(&answer->arbiter));
}

char *
witness_schema(void)
{
    struct buf text = { 0 };
    buf_add_text(&text, "begin;\n");
    for (size_t i = 0; i < sql_witness_migration_count; i++)
        buf_add_text(&text, sql_witness_migrations[i].text);
    buf_add_text(&text, "commit;\n");
    return buf_take(&text);
}
