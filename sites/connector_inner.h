/*
 * connector_inner.h -- what the files of connector.h share: checks of texts, and a row for each
 * driver with the members that it has.
 *
 * A new driver is a name in connector.h, a row in connector_driver.c, and a row in
 * controller/activation/action.c.
 */
#pragma once

#include "sites/connector.h"

#define CONNECTOR_LOWER  "abcdefghijklmnopqrstuvwxyz"
#define CONNECTOR_UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define CONNECTOR_DIGITS "0123456789"

#define CONNECTOR_TIMEOUT_MS_MIN 100
#define CONNECTOR_TIMEOUT_MS_MAX 600000

struct connector_driver_row {
    const char *name;
    const struct shape *shape;
    void (*read)(struct json_object *object, struct connector_action *action);
};

/* Faults of one text for struct shape: NULL when it is fine, else a static text. */
const char *connector_url_fault(const char *url);
const char *connector_ca_fault(const char *pem);
const char *connector_pin_fault(const char *pin);
const char *connector_secret_fault(const char *secret); /* "secret/NAME" */
const char *connector_path_fault(const char *path);     /* absolute, of a file */
bool connector_has_only(const char *text, const char *allowed);

/* Members that stand in several documents, each with its own words for people. */
#define CONNECTOR_CA_MEMBER(words)                                                                 \
    {                                                                                              \
        .name = "ca", .type = SHAPE_TEXT, .min = 1, .max = CONNECTOR_CA_SIZE_MAX,                  \
        .text_fault = connector_ca_fault, .text = (words)                                          \
    }
#define CONNECTOR_TIMEOUT_MEMBER(words)                                                            \
    {                                                                                              \
        .name = "timeout_ms", .type = SHAPE_INTEGER, .min = CONNECTOR_TIMEOUT_MS_MIN,              \
        .max = CONNECTOR_TIMEOUT_MS_MAX, .text = (words)                                           \
    }

/* Members of whoever is posted to: a webhook's, and those of a notice (notice.h). */
#define CONNECTOR_RECEIVER_MEMBERS                                                                 \
    { .name = "url",                                                                               \
      .type = SHAPE_TEXT,                                                                          \
      .required = true,                                                                            \
      .min = 1,                                                                                    \
      .max = CONNECTOR_URL_SIZE_MAX,                                                               \
      .text_fault = connector_url_fault,                                                           \
      .text = "https://HOST[:PORT][/PATH] that is posted to" },                                    \
        { .name = "pin",                                                                           \
          .type = SHAPE_TEXT,                                                                      \
          .min = 1,                                                                                \
          .max = 128,                                                                              \
          .text_fault = connector_pin_fault,                                                       \
          .text = "sha256:HEX of the receiver's public key; with 'ca' both must hold" },           \
        { .name = "expect_status",                                                                 \
          .type = SHAPE_INTEGER,                                                                   \
          .min = 200,                                                                              \
          .max = 299,                                                                              \
          .text = "HTTP status of a good answer; any of 200 to 299 when not set" },                \
    {                                                                                              \
        .name = "expect_body", .type = SHAPE_OBJECT, .inside = connector_body_members,             \
        .more = connector_body_faults, .text = "what a good answer says"                           \
    }
extern const struct shape connector_body_members[];
void connector_body_faults(struct json_object *body, const char *pointer,
                           struct fault_list *faults);
/* Reads them, 'ca', and 'sign'. */
void connector_read_receiver(struct json_object *object, struct connector_webhook *webhook);

/* Drivers with a file of their own. */
extern const struct shape connector_haproxy_shape;
void connector_haproxy_read(struct json_object *object, struct connector_action *action);
extern const struct shape connector_sign_members[];
void connector_sign_faults(struct json_object *sign, const char *pointer,
                           struct fault_list *faults);
extern const struct shape connector_webhook_shape;
void connector_webhook_read(struct json_object *object, struct connector_action *action);
/* Fills in what the connector says for its webhooks; after all else is read. */
void connector_webhook_complete(struct connector_webhook *webhook,
                                const struct connector *connector);
/* Rules between a webhook and the rest of the document. */
void connector_webhook_faults(struct json_object *document, const char *pointer,
                              struct fault_list *faults);
void connector_read_sign(struct json_object *object, struct connector_sign *sign);
extern const struct shape connector_dns_shape;
void connector_dns_read(struct json_object *object, struct connector_action *action);

/* Faults of one item of 'activation'. */
void connector_action_faults(struct json_object *action, const char *pointer,
                             struct fault_list *faults);
/* The reverse of connector_driver_name(); NULL for a name that is none of ours. */
const struct connector_driver_row *connector_driver_find(const char *name,
                                                         enum connector_driver *ret_driver);

/* Reading documents without faults. */
const char *connector_text(struct json_object *object, const char *name); /* NULL: not there */
uint64_t connector_number(struct json_object *object, const char *name);  /* 0: not there */
const char **connector_texts(struct json_object *list, size_t *ret_count);
void connector_read_server(struct json_object *object, struct connector_server *server);
