#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/setup_inner.h"
#include "controller/loop/pq.h"

#define DBNAME_SIZE_MAX 63

/* ---- the request ---- */

static enum err_code
wrong(struct err *err, const char *member, const char *why)
{
    return err_set(err, ERR_INVALID, "body_invalid", "'%s' %s", member, why);
}

static enum err_code
check_host_of(const char *member, const char *text, struct err *err)
{
    CLEANUP(freep) char *host = NULL;
    uint16_t port;
    struct err inner;
    if (home_split_address(text, HOME_PORT, &host, &port, &inner) != ERR_NONE ||
        strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        return wrong(err, member, "is no address that others can use");
    return ERR_NONE;
}

enum err_code
setup_read_request(struct json_object *body, struct setup_request *ret_request, struct err *err)
{
    struct setup_request request = { 0 };
    struct json_object *pg = json_get(body, "pg");
    uint64_t port;
    if (!json_get_string(body, "token_id", &request.token_id) || request.token_id[0] == '\0')
        return wrong(err, "token_id", "is missing");
    if (!json_get_string(body, "secret", &request.secret))
        return wrong(err, "secret", "is missing");
    if (!json_get_string(body, "node", &request.node) || !str_is_name(request.node))
        return wrong(err, "node", "is missing or no name");
    if (strlen(request.node) > SETUP_NODE_LENGTH_MAX)
        return wrong(err, "node", "is too long for its database role");
    if (!json_get_string(body, "csr", &request.csr) || strlen(request.csr) > CERT_PEM_SIZE_MAX)
        return wrong(err, "csr", "is missing or too long");
    if (!json_get_string(body, "address", &request.address))
        return wrong(err, "address", "is missing");
    enum err_code code = check_host_of("address", request.address, err);
    if (code != ERR_NONE)
        return code;
    if (!json_get_string(pg, "host", &request.pg_host))
        return wrong(err, "pg.host", "is missing");
    code = check_host_of("pg.host", request.pg_host, err);
    if (code != ERR_NONE)
        return code;
    if (!json_get_u64(pg, "port", &port) || port == 0 || port > UINT16_MAX)
        return wrong(err, "pg.port", "is missing or no port");
    if (!json_get_string(pg, "dbname", &request.pg_dbname) || request.pg_dbname[0] == '\0' ||
        strlen(request.pg_dbname) > DBNAME_SIZE_MAX)
        return wrong(err, "pg.dbname", "is missing or too long");
    request.pg_port = (uint16_t)port;
    *ret_request = request;
    return ERR_NONE;
}

enum err_code
setup_check_token(struct json_object *token, const struct setup_request *request, int64_t now_ms,
                  const char **ret_site, struct err *err)
{
    const char *hash = "";
    const char *site = "";
    const char *used_by = NULL;
    int64_t expires_ms = 0;
    bool known = json_get_string(token, "hash", &hash) && json_get_string(token, "site", &site) &&
                 json_get_i64(token, "expires_ms", &expires_ms);
    bool matches = token_matches(request->secret, hash);
    bool used = json_get_string(token, "used_by", &used_by);
    if (known && matches && !used && now_ms < expires_ms && str_is_name(site)) {
        *ret_site = site;
        return ERR_NONE;
    }
    (void)err_set(err, ERR_LOGIN, "token_invalid",
                  "the join token is unknown, used, revoked or expired");
    return err_mend(err, "make a new one on a member: baton token create");
}

/* What a certificate is good for is the host that it names: a machine that only says that it is
 * that host gets one that nobody believes of it. */
enum err_code
setup_check_host(const char *host, const char *address, struct err *err)
{
    CLEANUP(freep) char *asker = NULL;
    uint16_t port;
    if (host == NULL || host[0] == '\0')
        return ERR_NONE;
    enum err_code code = home_split_address(address, HOME_PORT, &asker, &port, err);
    if (code != ERR_NONE || strcasecmp(host, asker) == 0)
        return code;
    (void)err_set(err, ERR_DENIED, "token_host",
                  "the join token is for host '%s' alone, and this node is at '%s'", host, asker);
    return err_mend(err,
                    "join from '%s' with --advertise %s, or make a token for '%s': baton token"
                    " create --host",
                    host, host, asker);
}

/* ---- signing ---- */

static enum err_code
read_text(const char *folder, const char *name, char **ret_text, struct err *err)
{
    CLEANUP(freep) char *path = str_printf("%s/%s", folder, name);
    struct buf text = { 0 };
    enum err_code code = file_read(path, CERT_PEM_SIZE_MAX, &text, err);
    if (code == ERR_NONE)
        *ret_text = buf_take(&text);
    else
        buf_done(&text);
    return code;
}

static enum err_code
read_ca(const char *folder, struct cert_pair *ca, struct err *err)
{
    enum err_code code = read_text(folder, "ca.crt", &ca->certificate, err);
    if (code == ERR_NONE)
        code = read_text(folder, "ca.key", &ca->key, err);
    return code;
}

/* Signs for a node with the hosts of these two addresses. */
static enum err_code
sign(const char *folder, const char *cluster_id, const char *node, unsigned generation,
     const char *csr, const char *address, const char *pg_host, char **ret_certificate,
     struct err *err)
{
    struct cert_pair ca = { 0 };
    char *owned[2];
    const char *hosts[SETUP_HOSTS_MAX];
    struct cert_subject subject = { .node = node,
                                    .generation = generation,
                                    .cluster_id = cluster_id,
                                    .hosts = hosts,
                                    .host_count = setup_hosts(address, pg_host, owned, hosts) };
    enum err_code code = read_ca(folder, &ca, err);
    if (code == ERR_NONE)
        code = cert_sign(&ca, csr, &subject, ret_certificate, err);
    cert_pair_done(&ca);
    free(owned[0]);
    free(owned[1]);
    return code;
}

enum err_code
setup_sign_join(const char *folder, const char *cluster_id, const struct setup_request *request,
                unsigned generation, char **ret_certificate, struct err *err)
{
    if (generation > CERT_GENERATION_MAX) {
        (void)err_set(err, ERR_LIMIT, "name_worn", "%d nodes have had the name '%s'",
                      CERT_GENERATION_MAX, request->node);
        return err_mend(err, "choose another with --node");
    }
    return sign(folder, cluster_id, request->node, generation, request->csr, request->address,
                request->pg_host, ret_certificate, err);
}

unsigned
setup_generation(struct json_object *node)
{
    uint64_t generation;
    if (!json_get_u64(node, "generation", &generation) || generation > CERT_GENERATION_MAX)
        return 1;
    return (unsigned)generation;
}

enum err_code
setup_make_reply(const char *folder, const char *cluster, const char *cluster_id, const char *site,
                 const char *certificate, struct json_object *members,
                 struct json_object **ret_reply, struct err *err)
{
    CLEANUP(json_putp) struct json_object *kept = members;
    struct cert_pair ca = { 0 };
    enum err_code code = read_ca(folder, &ca, err);
    if (code == ERR_NONE) {
        struct json_object *reply = json_object_new_object();
        struct json_object *object = json_object_new_object();
        json_add_string(object, "name", cluster);
        json_add_string(object, "id", cluster_id);
        json_add(reply, "cluster", object);
        json_add_string(reply, "site", site);
        json_add_string(reply, "certificate", certificate);
        json_add_string(reply, "ca", ca.certificate);
        json_add_string(reply, "ca_key", ca.key);
        json_add(reply, "members", take_ptr(&kept));
        *ret_reply = reply;
    }
    cert_pair_done(&ca);
    return code;
}

enum err_code
setup_renew(const char *folder, struct err *err)
{
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(cert_secret_freep) char *key = NULL;
    CLEANUP(freep) char *csr = NULL;
    CLEANUP(freep) char *certificate = NULL;
    CLEANUP(freep) char *ca = NULL;
    enum err_code code = home_load(folder, &home, err);
    if (code == ERR_NONE)
        code = read_text(folder, "node.key", &key, err);
    if (code == ERR_NONE)
        code = read_text(folder, "ca.crt", &ca, err);
    if (code == ERR_NONE)
        code = cert_make_csr(key, home->node, &csr, err);
    if (code == ERR_NONE)
        code = sign(folder, home->cluster_id, home->node, home->generation, csr, home->advertise,
                    home->pg.host, &certificate, err);
    if (code != ERR_NONE)
        return err_wrap(err, "renew the certificate");
    CLEANUP(freep) char *chain = str_printf("%s%s", certificate, ca);
    CLEANUP(freep) char *path = home_path(home, "node.crt");
    return file_write_atomic(path, chain, strlen(chain), 0444, (uid_t)-1, (gid_t)-1, err);
}
