#include "sites/notice.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/connector_inner.h"

#define AFTER_MS_MAX 3600000
#define EVENTS       "active|warning|error|disabled"

static const char *const words[] = {
#define X(symbol, word, name) [NOTICE_##symbol] = word,
    NOTICE_STATUS_TABLE(X)
#undef X
};

static const char *const names[] = {
#define X(symbol, word, name) [NOTICE_##symbol] = name,
    NOTICE_STATUS_TABLE(X)
#undef X
};

static const struct {
    const char *code;
    enum notice_status status;
} issues[] = {
#define X(symbol, code, status) [NOTICE_ISSUE_##symbol] = { code, NOTICE_##status },
    NOTICE_ISSUE_TABLE(X)
#undef X
};

const char *
notice_status_word(enum notice_status status)
{
    return words[status];
}

const char *
notice_issue_code(enum notice_issue issue)
{
    return issues[issue].code;
}

enum notice_issue
notice_issue_parse(const char *code)
{
    for (size_t i = 0; i < ARRAY_COUNT(issues); i++) {
        if (strcmp(issues[i].code, code) == 0)
            return (enum notice_issue)i;
    }
    return NOTICE_ISSUE_COUNT;
}

/* ---- how it is ---- */

/* Without a primary the rest is of a server that nobody uses. */
static bool
counts(const struct notice_facts *facts, enum notice_issue issue)
{
    return facts->issues[issue] != NULL &&
           (issue == NOTICE_ISSUE_NO_PRIMARY || facts->issues[NOTICE_ISSUE_NO_PRIMARY] == NULL);
}

enum notice_status
notice_judge(const struct notice_facts *facts)
{
    enum notice_status status = NOTICE_ACTIVE;
    if (!facts->wanted)
        return NOTICE_DISABLED;
    for (enum notice_issue i = 0; i < NOTICE_ISSUE_COUNT; i++) {
        if (counts(facts, i) && issues[i].status > status)
            status = issues[i].status;
    }
    return status == NOTICE_ACTIVE && facts->pending ? NOTICE_INITIALIZING : status;
}

/* ---- when it is told ---- */

static bool
is_trouble(enum notice_status status)
{
    return status == NOTICE_WARNING || status == NOTICE_ERROR;
}

bool
notice_step(struct notice_track *track, enum notice_status status, bool teller, uint64_t after_ms,
            uint64_t now_ms)
{
    if (!teller && !(track->any && is_trouble(track->told))) {
        *track = (struct notice_track){ 0 };
        return false;
    }
    if (status == NOTICE_INITIALIZING)
        return false;
    if (!track->looked || status != track->seen) {
        track->looked = true;
        track->seen = status;
        track->seen_ms = now_ms;
    }
    if (now_ms - track->seen_ms < after_ms || (track->any && status == track->told))
        return false;
    track->any = true;
    track->told = status;
    if (teller)
        return true;
    /* O2: the end is told by whoever told the beginning; another trouble is the teller's to tell.
     */
    *track = (struct notice_track){ 0 };
    return !is_trouble(status);
}

bool
notice_teller(const char *self, const char *primary, const char *const *there, size_t count)
{
    if (primary[0] != '\0')
        return strcmp(self, primary) == 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(there[i], self) < 0)
            return false;
    }
    return true;
}

/* ---- the document ---- */

static const char *
event_fault(const char *event)
{
    return shape_is_choice(EVENTS, event) ? NULL : "must be one of " EVENTS;
}

static const char *
name_fault(const char *name)
{
    return str_is_name(name) ? NULL : "must be the name of a connector: a-z, 0-9 and '-'";
}

static const struct shape event_item = {
    .name = "events",
    .type = SHAPE_TEXT,
    .min = 1,
    .max = 16,
    .text_fault = event_fault,
};

static const struct shape connector_item = {
    .name = "connectors",
    .type = SHAPE_TEXT,
    .min = 1,
    .max = CONNECTOR_NAME_SIZE - 1,
    .text_fault = name_fault,
};

static const struct shape notice_members[] = {
    CONNECTOR_RECEIVER_MEMBERS,
    CONNECTOR_CA_MEMBER(
        "PEM of the authority that signs the receiver's certificate; the system's when "
        "neither 'ca' nor 'pin' is set"),
    { .name = "sign",
      .type = SHAPE_OBJECT,
      .required = true,
      .inside = connector_sign_members,
      .more = connector_sign_faults,
      .text = "key that signs it: what nobody can check is what anybody can send" },
    { .name = "events",
      .type = SHAPE_LIST,
      .min = 1,
      .max = 4,
      .unique = true,
      .inside = &event_item,
      .text = "which states are told: active, warning, error, disabled; warning and error when not "
              "set" },
    { .name = "connectors",
      .type = SHAPE_LIST,
      .min = 1,
      .max = NOTICE_CONNECTORS_MAX,
      .unique = true,
      .inside = &connector_item,
      .text = "of which connectors; of every one when not set" },
    { .name = "after_ms",
      .type = SHAPE_INTEGER,
      .min = 0,
      .max = AFTER_MS_MAX,
      .text = "what passes sooner is not told; 2000 when not set" },
    CONNECTOR_TIMEOUT_MEMBER("for all tries together, before a longer pause; 30000 when not set"),
    { .name = NULL },
};

const struct shape notice_shape = {
    .name = "notice",
    .type = SHAPE_OBJECT,
    .inside = notice_members,
    .text = "whom to tell when a connector is in trouble",
};

void
notice_faults(struct json_object *document, struct fault_list *faults)
{
    shape_check(&notice_shape, document, "", faults);
}

static unsigned
read_statuses(struct json_object *list)
{
    unsigned statuses = 0;
    if (list == NULL)
        return 1U << NOTICE_WARNING | 1U << NOTICE_ERROR;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));
        for (enum notice_status status = 0; status < NOTICE_STATUS_COUNT; status++)
            statuses |= strcmp(names[status], name) == 0 ? 1U << status : 0;
    }
    return statuses;
}

enum err_code
notice_read(const char *name, struct json_object *document, struct notice **ret, struct err *err)
{
    struct fault_list faults = { 0 };
    uint64_t number;
    notice_faults(document, &faults);
    if (faults.count > 0)
        return fault_err(&faults, "bad_value", name, err);
    struct notice *notice = mem_zero(1, sizeof *notice);
    struct json_object *list = json_get(document, "connectors");
    (void)snprintf(notice->name, sizeof notice->name, "%s", name);
    notice->document = json_object_get(document);
    connector_read_receiver(document, &notice->receiver);
    notice->statuses = read_statuses(json_get(document, "events"));
    if (list != NULL)
        notice->connectors = connector_texts(list, &notice->connector_count);
    notice->timeout_ms = connector_number(document, "timeout_ms");
    if (notice->timeout_ms == 0)
        notice->timeout_ms = NOTICE_TIMEOUT_MS;
    notice->after_ms = json_get_u64(document, "after_ms", &number) ? number : NOTICE_AFTER_MS;
    *ret = notice;
    return ERR_NONE;
}

void
notice_free(struct notice *notice)
{
    if (notice == NULL)
        return;
    free(notice->connectors);
    json_putp(&notice->document);
    free(notice);
}

bool
notice_names(const struct notice *notice, const char *connector)
{
    for (size_t i = 0; i < notice->connector_count; i++) {
        if (strcmp(notice->connectors[i], connector) == 0)
            return true;
    }
    return notice->connectors == NULL;
}

bool
notice_wants(const struct notice *notice, enum notice_status status)
{
    return (notice->statuses & 1U << status) != 0;
}

struct json_object *
notice_body(const char *connector, enum notice_status status, const struct notice_facts *facts,
            const char *at)
{
    struct json_object *body = json_object_new_object();
    struct json_object *data = json_object_new_object();
    struct json_object *list = json_object_new_array();
    char type[NOTICE_EVENT_TYPE_SIZE];
    for (enum notice_issue i = 0; i < NOTICE_ISSUE_COUNT; i++) {
        if (!counts(facts, i))
            continue;
        struct json_object *issue = json_object_new_object();
        json_add_string(issue, "code", issues[i].code);
        json_add_string(issue, "text", facts->issues[i]);
        ASSERT(json_object_array_add(list, issue) == 0);
    }
    (void)snprintf(type, sizeof type, "connector_%s", names[status]);
    json_add_string(body, "event_type", type);
    json_add_string(body, "event_time", at);
    json_add_string(data, "id", connector);
    json_add_string(data, "name", connector);
    json_add_string(data, "type", "connector");
    json_add_string(data, "status", words[status]);
    json_add(data, "issues", list);
    json_add(body, "data", data);
    return body;
}
