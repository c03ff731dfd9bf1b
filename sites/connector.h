/*
 * connector.h -- the document behind connector/NAME: checked, then read into structs.
 *
 *     {"main":      {"url": "https://tcf1.east:8443/", "ca": PEM, "pin": "sha256:HEX",
 *                    "credential": "secret/pam-main"},
 *      "alternate": {...},
 *      "target_connectors": ["active-directory"],      every one on both servers (P5)
 *      "probe":     {"path": "/health", "interval_ms": 10000, "timeout_ms": 2000,
 *                    "expect_status": 200, "targets_path": "/connectors"},
 *      "activation": [{"driver": "file", "path": "/etc/x.json", "format": "json", "mode": "0640"},
 *                     {"driver": "exec", "command": ["/usr/bin/x"], "timeout_ms": 5000},
 *                     {"driver": "webhook", "url": "https://tcf1.east:8443/baton",
 *                      "expect_body": {"field": "/status", "equals": "switched"}}],
 *      "sign":      {"key_id": "k1", "key_file": "/etc/baton/pam.key"}}
 *
 * 'credential' names a secret (sealing.h), never the secret itself. All members
 * but the drivers' own may be missing: an empty document is a connector with no server yet (P6).
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "sites/fault.h"
#include "sites/shape.h"

#define CONNECTOR_URL_SIZE_MAX      1024
#define CONNECTOR_HOST_SIZE         256 /* a DNS name or an address, with its NUL */
#define CONNECTOR_CA_SIZE_MAX       65536
#define CONNECTOR_PIN_SIZE          32
#define CONNECTOR_TARGET_COUNT_MAX  256
#define CONNECTOR_ACTION_COUNT_MAX  16
#define CONNECTOR_COMMAND_COUNT_MAX 64
#define CONNECTOR_ENV_COUNT_MAX     64
#define CONNECTOR_SECRET_COUNT_MAX  16
#define CONNECTOR_TEXT_SIZE_MAX     4096 /* a path, an argument, a value of env */
#define CONNECTOR_TEMPLATE_SIZE_MAX 65536

struct connector_server {
    bool set;                       /* false: all else is empty */
    const char *url;                /* borrowed from the document, as are the texts below */
    char host[CONNECTOR_HOST_SIZE]; /* without brackets; IPv6 as inet_ntop() writes it */
    uint16_t port;                  /* 443 when the URL has none */
    const char *ca;                 /* PEM; NULL: the system's */
    bool pin_set;
    uint8_t pin[CONNECTOR_PIN_SIZE]; /* SHA-256 of the public key (SubjectPublicKeyInfo) */
    const char *credential;          /* "secret/NAME", or NULL */
};

struct connector_probe {
    const char *path;         /* "/" when not set */
    uint64_t interval_ms;     /* 0: setting probe.interval_ms */
    uint64_t timeout_ms;      /* 0: setting probe.timeout_ms */
    unsigned expect_status;   /* 0: any of 200-399 */
    const char *targets_path; /* where a server lists its target connectors; NULL: nowhere */
};

/* The key that signs requests to servers of the connector: a file of each node, or a secret. */
struct connector_sign {
    bool set;
    const char *key_id;
    const char *key_file; /* absolute; or NULL */
    const char *key;      /* "secret/NAME"; or NULL */
};

struct connector_webhook {
    struct connector_server receiver; /* url, host, port, ca, pin */
    struct connector_sign sign;       /* always set */
    unsigned expect_status;           /* 0: any of 200-299 */
    unsigned refused_status;          /* 0: 409 and 412 */
    const char *contains;             /* NULL: not asked for */
    const char *field;                /* JSON pointer; NULL: not asked for */
    struct json_object *equals;       /* borrowed */
};

enum connector_driver {
    CONNECTOR_DRIVER_FILE,
    CONNECTOR_DRIVER_EXEC,
    CONNECTOR_DRIVER_HAPROXY,
    CONNECTOR_DRIVER_WEBHOOK,
    CONNECTOR_DRIVER_DNS,
};
enum connector_format { CONNECTOR_FORMAT_JSON, CONNECTOR_FORMAT_ENV, CONNECTOR_FORMAT_TEMPLATE };

#define CONNECTOR_HAPROXY_MAIN      "main"
#define CONNECTOR_HAPROXY_ALTERNATE "alternate"
#define CONNECTOR_HAPROXY_INSTANCE  "instance" /* and a number: servers for instances */
#define CONNECTOR_HAPROXY_NAME_MAX  63         /* bytes */

/* Who gets the requests of a connector that is in use. */
enum connector_instances {
    CONNECTOR_INSTANCES_BESIDE, /* its server, and its instances */
    CONNECTOR_INSTANCES_ONLY,
    CONNECTOR_INSTANCES_NONE,
};

struct connector_haproxy {
    const char *socket;  /* absolute path, "127.0.0.1:PORT", "[::1]:PORT" or "localhost:PORT" */
    const char *backend; /* NULL: named as the connector */
    const char *main;    /* names of servers of the backend */
    const char *alternate;
    uint64_t drain_ms; /* 0: connections are cut at once */
    enum connector_instances instances;
};

#define CONNECTOR_DNS_NAME_MAX 240 /* bytes; "_baton." goes before it */

struct connector_dns {
    const char *server; /* "HOST", "HOST:PORT" or "[ADDRESS]:PORT" */
    const char *zone;
    const char *name; /* whole name, within the zone */
    const char *type; /* "A", "AAAA" or "CNAME" */
    unsigned ttl;     /* seconds */
    const char *main; /* value of the record; NULL: the host of the server's url */
    const char *alternate;
    const char *key_file;
    bool remove; /* the record goes when no server is in use; else it stays */
};

struct connector_action {
    enum connector_driver driver;
    /* file */
    const char *path; /* absolute */
    enum connector_format format;
    const char *template; /* CONNECTOR_FORMAT_TEMPLATE only */
    unsigned mode;        /* 0640 when not set */
    const char *owner;    /* "user" or "user:group"; NULL: batond's own */
    /* exec */
    const char **command;    /* owned array, ends with NULL; the first is an absolute path */
    struct json_object *env; /* borrowed; object of texts, or NULL */
    bool refuses;            /* the program is said to refuse a lower epoch */
    const char **secrets;    /* owned array: "secret/NAME", which it is given to activate */
    size_t secret_count;
    /* haproxy */
    struct connector_haproxy haproxy;
    /* webhook */
    struct connector_webhook webhook;
    /* dns */
    struct connector_dns dns;
    /* exec, haproxy, webhook and dns */
    uint64_t timeout_ms; /* 0: setting activation.timeout_ms */
};

struct connector {
    char *name;                   /* owned */
    struct json_object *document; /* owned reference */
    struct connector_server main;
    struct connector_server alternate;
    struct connector_probe probe;
    struct connector_sign sign;
    const char **targets; /* owned array */
    size_t target_count;
    struct connector_action *actions; /* owned */
    size_t action_count;
};

/* Adds every fault of the document; adds nothing when it is fine. */
void connector_faults(struct json_object *document, struct fault_list *faults);
/* '*ret' is the caller's. ERR_INVALID "bad_value" with the faults when the document has any. */
MUST_CHECK enum err_code connector_read(const char *name, struct json_object *document,
                                        struct connector **ret, struct err *err);
void connector_free(struct connector *connector);
void connector_freep(struct connector **holder);

const char *connector_driver_name(enum connector_driver driver);
const char *connector_format_name(enum connector_format format);

/* NAME of "connector/NAME" or "connector/NAME/use_alternate_server", copied to 'to'; false for any
 * other key. */
#define CONNECTOR_NAME_SIZE 64
MUST_CHECK bool connector_name_of_key(const char *key, char to[CONNECTOR_NAME_SIZE]);

/* For help, manual and docs. */
extern const struct shape connector_shape;
