/*
 * option.h -- every option of the command line, once: its name, its argument, its check, its help.
 *
 * A name always means the same thing and always has, or has not, an argument; only its help may
 * differ between commands, and then it has a row for each.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/err.h"

#define OPTION_REPEAT_MAX 16 /* how often a REPEATED or FILES option may stand */

enum option_type {
    OPTION_TYPE_FLAG,
    OPTION_TYPE_TEXT,
    OPTION_TYPE_NAME,     /* RFC 1123: cluster, site, node */
    OPTION_TYPE_NUMBER,   /* decimal, without sign */
    OPTION_TYPE_DURATION, /* 250ms, 90s, 5m, 1h, 30d; a bare number is seconds */
    OPTION_TYPE_FILE,
    OPTION_TYPE_FOLDER,
    OPTION_TYPE_CHOICE,   /* one of 'choices' */
    OPTION_TYPE_REPEATED, /* TEXT that may stand several times */
    OPTION_TYPE_FILES,    /* FILE that may stand several times */
};

/*    id, name, type, argument, choices, text */
#define OPTION_TABLE(X)                                                                            \
    X(DATA_DIR, "data-dir", FOLDER, "DIR", NULL,                                                   \
      "data directory of the node on this host; its certificate gives the right "                  \
      "(BATON_DATA_DIR)")                                                                          \
    X(SERVER, "server", TEXT, "URL", NULL,                                                         \
      "address of any node, https://HOST:7443, with a saved login (BATON_SERVER)")                 \
    X(JSON, "json", FLAG, NULL, NULL, "print the document of the API instead of a table")          \
    X(TIMEOUT, "timeout", DURATION, "TIME", NULL, "longest wait for one answer (30s)")             \
    X(HELP, "help", FLAG, NULL, NULL, "this help")                                                 \
    X(CLUSTER, "cluster", NAME, "NAME", NULL, "name of the new cluster")                           \
    X(SITE, "site", NAME, "SITE", NULL, "the site that the node stands in")                        \
    X(SCOPE, "site", NAME, "SITE", NULL,                                                           \
      "the value of this site alone; without it the value of the whole cluster")                   \
    X(NODE, "node", NAME, "NAME", NULL, "name of this node")                                       \
    X(LISTEN, "listen", TEXT, "ADDR:PORT", NULL, "where batond listens (0.0.0.0:7443)")            \
    X(FRONTEND_LISTEN, "listen", TEXT, "ADDR:PORT", NULL,                                          \
      "where clients of the first connector come in, of each further one a port higher "           \
      "(0.0.0.0:8443)")                                                                            \
    X(HOLD, "hold", FILE, "FILE", NULL,                                                            \
      "write a script for HAProxy to this file, by which clients that come while no server is in " \
      "use wait for one, 5 s at most")                                                             \
    X(PLACES, "instances", NUMBER, "COUNT", NULL,                                                  \
      "servers of each backend for instances of the connector, at most 256 (16)")                  \
    X(PROXY_MODE, "mode", CHOICE, "tcp|http", "tcp|http",                                          \
      "tcp: TLS passes through, connections are spread; http: TLS ends in HAProxy, requests are "  \
      "spread (tcp)")                                                                              \
    X(PROXY_CERTIFICATE, "certificate", TEXT, "FILE", NULL,                                        \
      "certificate and key of the frontends, for --mode http; a PEM file on HAProxy's host (no "   \
      "TLS)")                                                                                      \
    X(SERVER_CA, "server-ca", TEXT, "FILE", NULL,                                                  \
      "who signed the certificates of the servers, for --mode http; a PEM file on HAProxy's host " \
      "(the operating system's)")                                                                  \
    X(WITNESS_LISTEN, "listen", TEXT, "ADDR:PORT", NULL,                                           \
      "where the witness listens (0.0.0.0:7445)")                                                  \
    X(WITNESS_ADVERTISE, "advertise", TEXT, "HOST:PORT", NULL,                                     \
      "where nodes find the witness (the listen address, or the name of the host)")                \
    X(CLUSTER_CA, "cluster-ca", FILES, "FILE", NULL,                                               \
      "certificate of a cluster's CA (ca.crt of any node); may stand several times")               \
    X(GATE_LISTEN, "listen", TEXT, "ADDR:PORT", NULL, "where the gate listens (127.0.0.1:7446)")   \
    X(STATE, "state", FILE, "FILE", NULL, "where the gate keeps the highest epoch")                \
    X(CLUSTER_ID, "cluster-id", TEXT, "ID", NULL,                                                  \
      "id of the cluster, as baton status --json says")                                            \
    X(EPOCH, "epoch", TEXT, "EPOCH", NULL, "the lowest epoch that passes, such as 7/west-1 (any)") \
    X(SIGN_KEY, "key", FILES, "KEY_ID=FILE", NULL,                                                 \
      "a key of 'sign', mode 0600; may stand several times")                                       \
    X(WINDOW, "window", DURATION, "TIME", NULL,                                                    \
      "how far the clock of who signed may be from ours (5m)")                                     \
    X(CERT, "cert", FILE, "FILE", NULL, "certificate to listen with TLS; needed beyond this host") \
    X(CERT_KEY, "cert-key", FILE, "FILE", NULL, "its key")                                         \
    X(ADVERTISE, "advertise", TEXT, "HOST:PORT", NULL,                                             \
      "where other nodes find this one (the listen address, or the name of the host)")             \
    X(DATABASE, "database", TEXT, "managed|DSN", NULL,                                             \
      "managed: a PostgreSQL of its own; or the connection string of a superuser of an external "  \
      "one (managed)")                                                                             \
    X(PG_LISTEN, "pg-listen", TEXT, "ADDR", NULL,                                                  \
      "where the managed PostgreSQL listens (as --listen)")                                        \
    X(PG_ADVERTISE, "pg-advertise", TEXT, "HOST[:PORT]", NULL,                                     \
      "address of the database for other members (of --advertise, or of the DSN)")                 \
    X(PG_PORT, "pg-port", NUMBER, "PORT", NULL, "port of the managed PostgreSQL (7444)")           \
    X(RUN_AS, "run-as", TEXT, "USER", NULL,                                                        \
      "user that the managed PostgreSQL runs as (postgres when started by root)")                  \
    X(OWNER_DATABASE, "database", TEXT, "DSN", NULL,                                               \
      "connection string of a superuser of the external server; none for a managed one")           \
    X(ANY_ORDER, "any-order", FLAG, NULL, NULL,                                                    \
      "also where this node was primary last and others were not upgraded yet")                    \
    X(PASSWORD_FILE, "password-file", FILE, "FILE", NULL,                                          \
      "take the password from the first line of this file; - is standard input")                   \
    X(PASSWORD, "password", FLAG, NULL, NULL, "ask for a new password too")                        \
    X(TTL, "ttl", DURATION, "TIME", NULL, "how long the token works: 60s to 7d (1h)")              \
    X(AGENT_TTL, "ttl", DURATION, "TIME", NULL,                                                    \
      "how long the token works, at least 60s (until it is revoked)")                              \
    X(CONNECTOR_ID, "connector-id", NAME, "ID", NULL,                                              \
      "the connector that this is an instance of (BATON_CONNECTOR_ID, APONO_CONNECTOR_ID)")        \
    X(AGENT_TOKEN, "token", TEXT, "TOKEN", NULL,                                                   \
      "what baton connector token create printed; - is standard input (BATON_AGENT_TOKEN)")        \
    X(INSTANCE, "instance", NAME, "NAME", NULL,                                                    \
      "name of this instance among those of the connector (name of the host)")                     \
    X(VERSION, "version", TEXT, "VERSION", NULL,                                                   \
      "version of the connector; the same for all of its instances")                               \
    X(CONNECTOR_ADDRESS, "address", TEXT, "ADDR:PORT", NULL,                                       \
      "where this instance takes requests, as a number, for a HAProxy that spreads them "          \
      "(BATON_CONNECTOR_ADDRESS; none)")                                                           \
    X(AGENT_LISTEN, "listen", TEXT, "ADDR:PORT", NULL,                                             \
      "where /healthz is answered (0.0.0.0:8080)")                                                 \
    X(HEALTH, "health", TEXT, "URL", NULL,                                                         \
      "where the connector says that it is well, with a status of 200 to 299")                     \
    X(HEALTH_CA, "ca", FILE, "FILE", NULL,                                                         \
      "certificate of who signed that of --health (the operating system's)")                       \
    X(AGENT_NODE, "node", TEXT, "HOST:PORT", NULL,                                                 \
      "one more node to ask first; it tells where all are (those that the token names)")           \
    X(METADATA, "metadata", REPEATED, "KEY=VALUE", NULL,                                           \
      "a free field of the session, as region=eu-1; may stand several times")                      \
    X(HOST, "host", TEXT, "HOST", NULL,                                                            \
      "the only host that may join, by name or address, as it advertises itself (any)")            \
    X(REASON, "reason", TEXT, "TEXT", NULL, "why; recorded with the change")                       \
    X(IF_MATCH, "if-match", NUMBER, "REVISION", NULL,                                              \
      "only if the key still has this revision; 0: only if it does not exist")                     \
    X(VALUE_FILE, "file", FILE, "FILE", NULL,                                                      \
      "take the value from this JSON or YAML file; - is standard input")                           \
    X(SECRET_FILE, "file", FILE, "FILE", NULL, "take the secret from this file, byte for byte")    \
    X(STDIN, "stdin", FLAG, NULL, NULL,                                                            \
      "take the secret from standard input, without the line end at its end")                      \
    X(TEXT, "text", FLAG, NULL, NULL, "VALUE is text even if it looks like JSON")                  \
    X(AFTER, "after", NUMBER, "REVISION", NULL, "only what came after this revision")              \
    X(LIMIT, "limit", NUMBER, "COUNT", NULL, "at most this many, the newest")                      \
    X(PREFIX, "prefix", TEXT, "PREFIX", NULL, "only keys that begin so")                           \
    X(DRY_RUN, "dry-run", FLAG, NULL, NULL, "show what would be done, and do nothing")             \
    X(YES, "yes", FLAG, NULL, NULL, "ask nothing; for runbooks")                                   \
    X(FORMAT, "format", CHOICE, "json|yaml", "json|yaml",                                          \
      "format of the file (by its name, else json)")                                               \
    X(OUTPUT, "output", FILE, "FILE", NULL, "write to this file instead of standard output")       \
    X(PRUNE, "prune", FLAG, NULL, NULL, "also delete the keys that the file does not have")        \
    X(IF_PROMOTED, "if-promoted", NAME, "SITE|NODE", NULL,                                         \
      "add a column: what would hold if it were promoted now")                                     \
    X(ACCEPT_DATA_LOSS, "accept-data-loss", FLAG, NULL, NULL,                                      \
      "go on although acknowledged changes may be lost")                                           \
    X(OVERRIDE, "override", REPEATED, "CHECK", NULL,                                               \
      "skip exactly this check; needs --reason and is recorded; may stand several times")          \
    X(WATCH, "watch", FLAG, NULL, NULL, "show it again and again until interrupted")               \
    X(INTERVAL, "interval", DURATION, "TIME", NULL, "pause between two looks (1s)")                \
    X(USER, "user", NAME, "NAME", NULL, "user to log in as (asked for)")                           \
    X(CA, "ca", FILE, "FILE", NULL, "certificate of the cluster's CA (ca.crt of any node)")        \
    X(PIN, "pin", TEXT, "sha256:HEX", NULL,                                                        \
      "fingerprint of the CA's key, as baton init prints it")                                      \
    X(ROLE, "role", CHOICE, "viewer|operator|admin", "viewer|operator|admin",                      \
      "what the user may do")                                                                      \
    X(MAN, "man", CHOICE, "baton|settings", "baton|settings",                                      \
      "print the source of a manual page (scdoc)")                                                 \
    X(DSN, "dsn", TEXT, "DSN", NULL,                                                               \
      "postgres: where it is, as libpq reads it; without a password")                              \
    X(ENDPOINTS, "endpoints", TEXT, "URL,...", NULL,                                               \
      "etcd: https://HOST:2379, one for each of it")                                               \
    X(ARBITER_CA, "ca", FILE, "FILE", NULL,                                                        \
      "certificate of who signed the arbiter's (the operating system's)")                          \
    X(ARBITER_FILE, "file", FILE, "FILE", NULL,                                                    \
      "all of it from this file: arbiter.json, as baton witness init makes it")                    \
    X(ADOPT, "adopt", FLAG, NULL, NULL,                                                            \
      "whatever it says, and the arbiter of now: no other node may live by either")                \
    X(FOR, "for", DURATION, "TIME", NULL, "how long, at most 24h")                                 \
    X(UNTIL, "until", TEXT, "TIME", NULL, "until then: 2026-11-22T07:41:00Z, at most a day ahead") \
    X(BUDGET_SITE, "site", NAME, "SITE", NULL, "by the settings of this site (that of the node)")  \
    X(CHECK, "check", FLAG, NULL, NULL, "tell what the file holds, and whether it is whole")       \
    X(FORCE, "force", FLAG, NULL, NULL, "write over a file that exists")                           \
    X(NOT_A_MEMBER, "not-a-member", REPEATED, "HOST:PORT", NULL,                                   \
      "what answers there, or cannot be asked, is no member, as a person knows; may stand "        \
      "several times")                                                                             \
    X(REQUESTS, "requests", NUMBER, "COUNT", NULL, "to each, 1 to 100 (10)")

enum option_id {
    OPTION_END, /* ends a list of options */
#define X(id, ...) OPTION_##id,
    OPTION_TABLE(X)
#undef X
        OPTION_COUNT
};

struct option_row {
    const char *name;
    enum option_type type;
    const char *argument; /* name of the argument for people; NULL for a FLAG */
    const char *choices;  /* CHOICE: "a|b"; else NULL */
    const char *text;
};

/* Not for OPTION_END. */
const struct option_row *option_row(enum option_id id);
bool option_has_argument(const struct option_row *row);
/* ERR_INVALID slug "option_value": what is wrong with the argument and what is allowed. */
MUST_CHECK enum err_code option_check(const struct option_row *row, const char *value,
                                      struct err *err);
