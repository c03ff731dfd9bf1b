/*
 * The members of the webhook driver, and of 'sign', which it shares with the connector itself.
 */
#include "sites/connector_inner.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

static const char *
key_id_fault(const char *id)
{
    return str_is_name(id) ? NULL : "must be a name of a-z, 0-9 and '-', at most 63 bytes";
}

void
connector_sign_faults(struct json_object *sign, const char *pointer, struct fault_list *faults)
{
    bool file = json_object_object_get_ex(sign, "key_file", NULL) != 0;
    bool secret = json_object_object_get_ex(sign, "key", NULL) != 0;
    if (file == secret)
        fault_add(faults, pointer, "needs exactly one of 'key_file' and 'key'");
}

const struct shape connector_sign_members[] = {
    { .name = "key_id",
      .type = SHAPE_TEXT,
      .required = true,
      .min = 1,
      .max = 63,
      .text_fault = key_id_fault,
      .text = "name of the key, told to the receiver; a new key gets a new name" },
    { .name = "key_file",
      .type = SHAPE_TEXT,
      .min = 2,
      .max = CONNECTOR_TEXT_SIZE_MAX,
      .text_fault = connector_path_fault,
      .text = "absolute path of the key on each node, mode 0600, at least 32 bytes" },
    { .name = "key",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = 128,
      .text_fault = connector_secret_fault,
      .text = "secret/NAME that holds the key, instead of key_file" },
    { .name = NULL },
};

void
connector_read_sign(struct json_object *object, struct connector_sign *sign)
{
    if (object == NULL)
        return;
    sign->set = true;
    sign->key_id = connector_text(object, "key_id");
    sign->key_file = connector_text(object, "key_file");
    sign->key = connector_text(object, "key");
}

static const char *
field_fault(const char *field)
{
    if (field[0] != '/')
        return "must be a JSON pointer, such as /status";
    for (; *field != '\0'; field++) {
        if (*field == '~' && field[1] != '0' && field[1] != '1')
            return "has a '~' that is neither ~0 nor ~1";
    }
    return NULL;
}

static void
equals_faults(struct json_object *value, const char *pointer, struct fault_list *faults)
{
    if (value == NULL || json_object_is_type(value, json_type_object) ||
        json_object_is_type(value, json_type_array) || json_object_is_type(value, json_type_double))
        fault_add(faults, pointer, "must be a text, a whole number, true or false");
}

void
connector_body_faults(struct json_object *body, const char *pointer, struct fault_list *faults)
{
    bool contains = json_object_object_get_ex(body, "contains", NULL) != 0;
    bool field = json_object_object_get_ex(body, "field", NULL) != 0;
    bool equals = json_object_object_get_ex(body, "equals", NULL) != 0;
    if (field != equals)
        fault_add(faults, pointer, "'field' and 'equals' go together");
    else if (!contains && !field)
        fault_add(faults, pointer, "needs 'contains', or 'field' and 'equals'");
}

const struct shape connector_body_members[] = {
    { .name = "contains",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_TEXT_SIZE_MAX,
      .text = "text that stands somewhere in the answer" },
    { .name = "field",
      .type = SHAPE_TEXT,
      .min = 1,
      .max = CONNECTOR_TEXT_SIZE_MAX,
      .text_fault = field_fault,
      .text = "JSON pointer to a member of the answer, such as /status" },
    { .name = "equals",
      .type = SHAPE_ANY,
      .more = equals_faults,
      .text = "what stands there: a text, a whole number, true or false" },
    { .name = NULL },
};

static const struct shape webhook_members[] = {
    { .name = "driver",
      .type = SHAPE_CHOICE,
      .required = true,
      .choices = "webhook",
      .text = "webhook: posts signed JSON; the receiver refuses a lower epoch" },
    CONNECTOR_RECEIVER_MEMBERS,
    CONNECTOR_CA_MEMBER(
        "PEM of the authority that signs the receiver's certificate; where 'ca' and 'pin' are "
        "not set: as for a server of the connector at that host and port, else the system's"),
    { .name = "sign",
      .type = SHAPE_OBJECT,
      .inside = connector_sign_members,
      .more = connector_sign_faults,
      .text = "key that signs it; the connector's own 'sign' when not set" },
    CONNECTOR_TIMEOUT_MEMBER("for all tries together; setting activation.timeout_ms when not set"),
    { .name = "refused_status",
      .type = SHAPE_INTEGER,
      .min = 400,
      .max = 499,
      .text = "HTTP status that means 'I have seen a later epoch'; 409 and 412 when not set" },
    { .name = NULL },
};

const struct shape connector_webhook_shape = {
    .name = "webhook",
    .type = SHAPE_OBJECT,
    .inside = webhook_members,
};

void
connector_read_receiver(struct json_object *object, struct connector_webhook *webhook)
{
    struct json_object *body = json_get(object, "expect_body");
    connector_read_server(object, &webhook->receiver);
    connector_read_sign(json_get(object, "sign"), &webhook->sign);
    webhook->expect_status = (unsigned)connector_number(object, "expect_status");
    webhook->contains = connector_text(body, "contains");
    webhook->field = connector_text(body, "field");
    webhook->equals = json_get(body, "equals");
}

void
connector_webhook_read(struct json_object *object, struct connector_action *action)
{
    connector_read_receiver(object, &action->webhook);
    action->timeout_ms = connector_number(object, "timeout_ms");
    action->webhook.refused_status = (unsigned)connector_number(object, "refused_status");
}

/* What the document says once for all of it. */
void
connector_webhook_complete(struct connector_webhook *webhook, const struct connector *connector)
{
    const struct connector_server *servers[] = { &connector->main, &connector->alternate };
    struct connector_server *receiver = &webhook->receiver;
    if (!webhook->sign.set)
        webhook->sign = connector->sign;
    for (size_t i = 0; receiver->ca == NULL && !receiver->pin_set && i < ARRAY_COUNT(servers);
         i++) {
        if (!servers[i]->set || servers[i]->port != receiver->port ||
            strcmp(servers[i]->host, receiver->host) != 0)
            continue;
        receiver->ca = servers[i]->ca;
        receiver->pin_set = servers[i]->pin_set;
        memcpy(receiver->pin, servers[i]->pin, sizeof receiver->pin);
    }
}

/* A webhook that nobody can check is one that anybody can send. */
void
connector_webhook_faults(struct json_object *document, const char *pointer,
                         struct fault_list *faults)
{
    struct json_object *actions = json_get(document, "activation");
    if (json_get(document, "sign") != NULL || !json_object_is_type(actions, json_type_array))
        return;
    char list[FAULT_POINTER_SIZE];
    fault_pointer(list, pointer, "activation");
    for (size_t i = 0; i < json_object_array_length(actions); i++) {
        struct json_object *action = json_object_array_get_idx(actions, i);
        const char *driver;
        char item[FAULT_POINTER_SIZE];
        char inner[FAULT_POINTER_SIZE];
        if (!json_get_string(action, "driver", &driver) || strcmp(driver, "webhook") != 0 ||
            json_get(action, "sign") != NULL)
            continue;
        fault_pointer_index(item, list, i);
        fault_pointer(inner, item, "sign");
        fault_add(faults, inner,
                  "missing, here or as 'sign' of the connector: the receiver has to "
                  "know who calls");
    }
}
