/*
 * connect.h -- which node is asked, with which right, and one request to it.
 *
 *   --data-dir D    the node on this host, by its own certificate: local administrator
 *   --server URL    any node, by a saved login, believing only the CA of that login
 *   BATON_DATA_DIR, BATON_SERVER, the last login: in this order, when neither option is given
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "controller/loop/fetch.h"

struct cli;

#define CONNECT_TIMEOUT_MS     30000
#define CONNECT_REPLY_SIZE_MAX (64UL * 1024 * 1024) /* a whole configuration */

struct connect {
    char *url;    /* owned; "https://HOST:PORT" without a last slash */
    char *folder; /* owned; the data directory, or NULL */
    char *ca;     /* owned; path or PEM */
    char *cert;   /* owned; path; NULL without a data directory */
    char *key;    /* owned; path */
    char *token;  /* owned, secret; NULL with a data directory */
    unsigned timeout_ms;
};

struct connect_request {
    const char *method;        /* NULL: GET */
    const char *path;          /* "/v1/status", query included */
    struct json_object *body;  /* borrowed; NULL: none */
    const char *if_match;      /* digits; NULL: none */
    const char *last_event_id; /* NULL: none */
    unsigned timeout_ms;       /* 0: the connection's */
};

/* Decides and reads files; nothing is sent. '*ret' is the caller's. ERR_INVALID slug "no_server".
 */
MUST_CHECK enum err_code connect_open(struct cli *cli, struct connect **ret, struct err *err);
void connect_free(struct connect *connect);

/* The data directory that was asked for by option or environment; NULL when none was. */
const char *connect_data_dir(const struct cli *cli);
/* "https://host:7443" of what a person typed: scheme and port are added, a last slash is cut.
 * '*ret' is the caller's. */
MUST_CHECK enum err_code connect_url(const char *text, char **ret, struct err *err);

/*
 * One request by the connection of 'cli' (opened when it is not). '*ret' is the caller's; it may be
 * NULL for JSON null. A problem document is left in cli->problem.
 */
MUST_CHECK enum err_code connect_call(struct cli *cli, const struct connect_request *request,
                                      struct json_object **ret, struct err *err);
MUST_CHECK enum err_code connect_get(struct cli *cli, const char *path, struct json_object **ret,
                                     struct err *err);
/* An event stream; returns when 'chunk' wants no more, or with the cause of its end. */
MUST_CHECK enum err_code connect_stream(struct cli *cli, const struct connect_request *request,
                                        fetch_chunk *chunk, void *data, struct err *err);

/* Appends "?name=value" or "&name=value", percent-encoded; nothing when 'value' is NULL. */
void connect_query(struct buf *path, const char *name, const char *value);
void connect_query_u64(struct buf *path, const char *name, uint64_t value);
/* Appends percent-encoded text, slashes as they are. */
void connect_escape(struct buf *path, const char *text);
