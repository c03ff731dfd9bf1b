/*
 * template.h -- what a driver may say about an activation, and how it is written into text.
 *
 * One table holds the names. Each is '${name}' in a template, "name" in the JSON that the file
 * driver renders and BATON_NAME in an environment, so that the three cannot disagree.
 *
 * Escaping belongs to the format: JSON and env files are built from values, never by pasting text
 * into text. Only a free template is pasted into, so a value that could leave its line (a control
 * character) is refused there and everywhere.
 */
#pragma once

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define TEMPLATE_TEXT_MAX 131072 /* bytes of one rendered text */

/*    symbol        name           meaning; "" where no server is in use */
#define TEMPLATE_TABLE(X)                                                                          \
    X(CONNECTOR, "connector", "name of the connector")                                             \
    X(KIND, "kind", "activate or deactivate")                                                      \
    X(SERVER, "server", "main, alternate or none")                                                 \
    X(URL, "url", "address of the server")                                                         \
    X(HOST, "host", "host name in the url")                                                        \
    X(PORT, "port", "port in the url")                                                             \
    X(CREDENTIAL, "credential", "name of the secret for the server, never the secret itself")      \
    X(EPOCH, "epoch", "number of the epoch")                                                       \
    X(EPOCH_HOLDER, "epoch_holder", "node that holds the epoch")                                   \
    X(ACTION_ID, "action_id", "the same for every try of one change, never for two")               \
    X(NODE, "node", "node that acts")                                                              \
    X(SITE, "site", "site of that node")                                                           \
    X(CLUSTER, "cluster", "id of the cluster")

enum template_name {
#define X(symbol, name, text) TEMPLATE_##symbol,
    TEMPLATE_TABLE(X)
#undef X
        TEMPLATE_COUNT
};

/* Borrowed texts, one for each name; none is NULL. */
struct template_values {
    const char *text[TEMPLATE_COUNT];
};

/* "connector", "server", ...; borrowed for ever. */
const char *template_name_text(enum template_name name);

/* ERR_INVALID: a value is not UTF-8 or holds a control character. */
MUST_CHECK enum err_code template_values_check(const struct template_values *values,
                                               struct err *err);

/*
 * Appends 'text' to 'into' with every '${name}' replaced; '$${' gives '${'; any other '$' stays.
 * With 'values' NULL it only checks, and adds nothing.
 *
 * ERR_INVALID, slug "template": an unknown name or a missing '}', and at which byte.
 * ERR_LIMIT: the result would be larger than TEMPLATE_TEXT_MAX.
 */
MUST_CHECK enum err_code template_text(const char *text, const struct template_values *values,
                                       struct buf *into, struct err *err);

/* Appends a JSON object with every name of the table; epoch and port are numbers, or null. */
void template_json(const struct template_values *values, struct buf *into);

/* Appends BATON_NAME="value" lines that a POSIX shell, systemd's EnvironmentFile= and Docker
 * Compose read alike. */
void template_env(const struct template_values *values, struct buf *into);

/* "BATON_EPOCH_HOLDER" */
#define TEMPLATE_VARIABLE_SIZE 64
void template_variable(enum template_name name, char to[TEMPLATE_VARIABLE_SIZE]);
