#include "controller/cli/connect.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/prompt.h"
#include "controller/cli/saved.h"
#include "controller/daemon/home.h"

#define HEADERS_MAX       5
#define STREAM_SILENCE_MS 45000 /* three pings of the server */

void
connect_free(struct connect *connect)
{
    if (connect == NULL)
        return;
    free(connect->url);
    free(connect->folder);
    free(connect->ca);
    free(connect->cert);
    free(connect->key);
    if (connect->token != NULL)
        explicit_bzero(connect->token, strlen(connect->token));
    free(connect->token);
    free(connect);
}

const char *
connect_data_dir(const struct cli *cli)
{
    const char *folder = cli_value(cli, OPTION_DATA_DIR);
    if (folder == NULL && cli_value(cli, OPTION_SERVER) == NULL)
        folder = getenv("BATON_DATA_DIR");
    return folder != NULL && folder[0] != '\0' ? folder : NULL;
}

enum err_code
connect_url(const char *text, char **ret, struct err *err)
{
    const char *rest = strstr(text, "://");
    if (rest != NULL && !str_starts(text, "https://")) {
        (void)err_set(err, ERR_INVALID, "url", "server '%s': only https is spoken", text);
        return err_mend(err, "write https://HOST:%d", HOME_PORT);
    }
    rest = rest == NULL ? text : rest + 3;
    CLEANUP(freep) char *place = str_dup(rest);
    size_t size = strlen(place);
    if (size > 0 && place[size - 1] == '/')
        place[size - 1] = '\0';
    if (strpbrk(place, "/?#@ ") != NULL || place[0] == '\0') {
        (void)err_set(err, ERR_INVALID, "url", "server '%s': not an address", text);
        return err_mend(err, "write https://HOST:%d and nothing behind it", HOME_PORT);
    }
    CLEANUP(freep) char *host = NULL;
    uint16_t port;
    enum err_code code = home_split_address(place, HOME_PORT, &host, &port, err);
    if (code != ERR_NONE)
        return err_wrap(err, "server '%s'", text);
    bool is_v6 = strchr(host, ':') != NULL;
    *ret = str_printf(is_v6 ? "https://[%s]:%u" : "https://%s:%u", host, port);
    return ERR_NONE;
}

/* A node that listens on every address is asked by the loopback. */
static enum err_code
open_folder(const char *folder, struct connect *connect, struct err *err)
{
    CLEANUP(home_freep) struct home *home = NULL;
    CLEANUP(freep) char *host = NULL;
    uint16_t port;
    enum err_code code = home_load(folder, &home, err);
    if (code == ERR_NONE)
        code = home_split_address(home->listen, HOME_PORT, &host, &port, err);
    if (code != ERR_NONE)
        return code;
    const char *reach = host;
    if (strcmp(host, "0.0.0.0") == 0)
        reach = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        reach = "::1";
    bool is_v6 = strchr(reach, ':') != NULL;
    connect->url = str_printf(is_v6 ? "https://[%s]:%u" : "https://%s:%u", reach, port);
    connect->folder = str_dup(home->folder);
    connect->ca = home_path(home, "ca.crt");
    connect->cert = home_path(home, "node.crt");
    connect->key = home_path(home, "node.key");
    return ERR_NONE;
}

static enum err_code
refuse_nowhere(struct err *err)
{
    (void)err_set(err, ERR_INVALID, "no_server",
                  "no node to ask: neither --data-dir nor --server, and no saved login");
    return err_mend(err,
                    "on a node: --data-dir DIR (or BATON_DATA_DIR); elsewhere: baton login "
                    "--server https://HOST:%d --ca ca.crt",
                    HOME_PORT);
}

static enum err_code
open_server(const char *asked, struct connect *connect, struct err *err)
{
    CLEANUP(freep) char *path = NULL;
    CLEANUP(json_putp) struct json_object *document = NULL;
    CLEANUP(freep) char *url = NULL;
    enum err_code code = saved_path(&path, err);
    if (code == ERR_NONE)
        code = saved_load(path, &document, err);
    if (code != ERR_NONE)
        return code;
    if (asked == NULL)
        asked = saved_default(document);
    if (asked == NULL)
        return refuse_nowhere(err);
    code = connect_url(asked, &url, err);
    if (code != ERR_NONE)
        return code;
    struct saved_login login;
    if (!saved_find(document, url, &login)) {
        (void)err_set(err, ERR_LOGIN, "login_needed", "no saved login for %s", url);
        return err_mend(err, "baton login --server %s --ca ca.crt", url);
    }
    connect->url = take_ptr(&url);
    connect->ca = str_dup(login.ca);
    connect->token = str_dup(login.token);
    return ERR_NONE;
}

enum err_code
connect_open(struct cli *cli, struct connect **ret, struct err *err)
{
    if (cli_value(cli, OPTION_DATA_DIR) != NULL && cli_value(cli, OPTION_SERVER) != NULL)
        return err_set(err, ERR_INVALID, "option_value",
                       "--data-dir and --server: only one of them says who is asked");
    struct connect *connect = mem_zero(1, sizeof *connect);
    uint64_t timeout_ms =
        arguments_duration_ms(&cli->arguments, OPTION_TIMEOUT, CONNECT_TIMEOUT_MS);
    connect->timeout_ms = timeout_ms > UINT32_MAX / 2 ? UINT32_MAX / 2 : (unsigned)timeout_ms;

    const char *folder = connect_data_dir(cli);
    const char *server = cli_value(cli, OPTION_SERVER);
    if (server == NULL && folder == NULL)
        server = getenv("BATON_SERVER");
    if (server != NULL && server[0] == '\0')
        server = NULL;
    enum err_code code =
        folder != NULL ? open_folder(folder, connect, err) : open_server(server, connect, err);
    if (code != ERR_NONE) {
        connect_free(connect);
        return code;
    }
    *ret = connect;
    return ERR_NONE;
}

struct prepared {
    struct fetch_trust trust;
    struct fetch_request request;
    struct fetch_header headers[HEADERS_MAX];
    struct buf url;
    struct buf authorization;
    struct buf if_match;
    struct buf reason;
};

static void
prepared_done(struct prepared *prepared)
{
    if (prepared->authorization.data != NULL)
        explicit_bzero(prepared->authorization.data, prepared->authorization.size);
    buf_done(&prepared->url);
    buf_done(&prepared->authorization);
    buf_done(&prepared->if_match);
    buf_done(&prepared->reason);
}

static void
add_header(struct prepared *prepared, const char *name, const char *value)
{
    ASSERT(prepared->request.header_count < HEADERS_MAX);
    prepared->headers[prepared->request.header_count++] =
        (struct fetch_header){ .name = name, .value = value };
}

static void
prepare(struct cli *cli, const struct connect_request *request, struct prepared *prepared)
{
    const struct connect *connect = cli->connect;
    *prepared = (struct prepared){ 0 };
    prepared->trust.tls.ca = connect->ca;
    prepared->trust.tls.cert = connect->cert;
    prepared->trust.tls.key = connect->key;
    buf_printf(&prepared->url, "%s%s", connect->url, request->path);
    if (connect->token != NULL) {
        buf_printf(&prepared->authorization, "Bearer %s", connect->token);
        add_header(prepared, "Authorization", buf_text(&prepared->authorization));
    }
    if (request->if_match != NULL) {
        buf_printf(&prepared->if_match, "\"%s\"", request->if_match);
        add_header(prepared, "If-Match", buf_text(&prepared->if_match));
    }
    bool is_write = request->method != NULL && strcmp(request->method, "GET") != 0;
    bool told = json_get(request->body, "reason") != NULL;
    const char *reason = is_write && !told ? cli_value(cli, OPTION_REASON) : NULL;
    if (reason != NULL) {
        connect_escape(&prepared->reason, reason);
        add_header(prepared, "Baton-Reason", buf_text(&prepared->reason));
    }
    if (request->last_event_id != NULL)
        add_header(prepared, "Last-Event-ID", request->last_event_id);

    prepared->request.method = request->method;
    prepared->request.url = buf_text(&prepared->url);
    prepared->request.headers = prepared->headers;
    prepared->request.timeout_ms =
        request->timeout_ms != 0 ? request->timeout_ms : connect->timeout_ms;
    prepared->request.reply_size_max = CONNECT_REPLY_SIZE_MAX;
    if (request->body != NULL) {
        prepared->request.body = json_text(request->body);
        prepared->request.body_size = strlen(prepared->request.body);
    }
}

/* What to do next, where the answerer could not say it. */
static enum err_code
explain_failure(const struct cli *cli, enum err_code code, struct err *err)
{
    const struct connect *connect = cli->connect;
    if (code == ERR_UNAVAILABLE && cli->problem == NULL) {
        if (connect->folder != NULL)
            return err_mend(err,
                            "is it running? batond --data-dir %s; the other nodes can be "
                            "asked with --server; baton doctor looks at a stopped node",
                            connect->folder);
        return err_mend(err, "is the address right, and the node running? ask another with "
                             "--server");
    }
    if (err->mend[0] != '\0')
        return code;
    if (code == ERR_LOGIN && connect->token != NULL)
        return err_mend(err, "log in again: baton login --server %s", connect->url);
    if (code == ERR_UNKNOWN_OUTCOME)
        return err_mend(err, "look whether it was done before you repeat it");
    return code;
}

static enum err_code
ensure_open(struct cli *cli, struct err *err)
{
    json_object_put(cli->problem);
    cli->problem = NULL;
    return cli->connect != NULL ? ERR_NONE : connect_open(cli, &cli->connect, err);
}

static enum err_code
check_status(struct cli *cli, const struct fetch_reply *reply, struct err *err)
{
    enum err_code code = fetch_reply_err(reply, err);
    struct json_object *problem = NULL;
    struct err unread;
    if (code != ERR_NONE && str_starts(reply->type, "application/problem+json") &&
        json_read(buf_text(&reply->body), reply->body.size, &problem, &unread) == ERR_NONE)
        cli->problem = problem;
    return code;
}

enum err_code
connect_call(struct cli *cli, const struct connect_request *request, struct json_object **ret,
             struct err *err)
{
    enum err_code code = ensure_open(cli, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(prepared_done) struct prepared prepared;
    CLEANUP(fetch_reply_done) struct fetch_reply reply = { 0 };
    prepare(cli, request, &prepared);
    CLEANUP(freep) char *text = str_printf("waiting for %s", cli->connect->url);
    struct prompt_progress *progress =
        prompt_progress_begin(cli->notes, cli->notes_are_terminal && !cli_json(cli), text);
    code = fetch_once(&prepared.trust, &prepared.request, &reply, err);
    prompt_progress_end(progress);
    if (code == ERR_NONE)
        code = check_status(cli, &reply, err);
    if (code != ERR_NONE)
        return explain_failure(cli, code, err);
    struct json_object *document = NULL;
    struct err unread;
    if (json_read(buf_text(&reply.body), reply.body.size, &document, &unread) != ERR_NONE) {
        (void)err_set(err, ERR_PROTOCOL, "bad_reply", "%s: answer to %s: %s", cli->connect->url,
                      request->path, unread.text);
        return err_mend(err, "is this a node of Baton, of this version?");
    }
    *ret = document;
    return ERR_NONE;
}

enum err_code
connect_get(struct cli *cli, const char *path, struct json_object **ret, struct err *err)
{
    return connect_call(cli, &(struct connect_request){ .path = path }, ret, err);
}

enum err_code
connect_stream(struct cli *cli, const struct connect_request *request, fetch_chunk *chunk,
               void *data, struct err *err)
{
    enum err_code code = ensure_open(cli, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(prepared_done) struct prepared prepared;
    CLEANUP(fetch_reply_done) struct fetch_reply reply = { 0 };
    prepare(cli, request, &prepared);
    prepared.request.timeout_ms = STREAM_SILENCE_MS;
    code = fetch_stream(&prepared.trust, &prepared.request, chunk, data, &reply, err);
    if (code == ERR_NONE)
        code = check_status(cli, &reply, err);
    return code == ERR_NONE ? code : explain_failure(cli, code, err);
}

void
connect_escape(struct buf *path, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buf_add(path, text, 1);
        else
            buf_printf(path, "%%%02X", (unsigned char)*text);
    }
}

void
connect_query(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "%c%s=", strchr(buf_text(path), '?') == NULL ? '?' : '&', name);
    connect_escape(path, value);
}

void
connect_query_u64(struct buf *path, const char *name, uint64_t value)
{
    buf_printf(path, "%c%s=%llu", strchr(buf_text(path), '?') == NULL ? '?' : '&', name,
               (unsigned long long)value);
}
