/*
 * action_webhook.c -- the webhook driver: signed JSON, posted over HTTPS until it is answered.
 *
 * All tries of one change, also those of a batond that was started again, have one delivery id, so
 * a receiver that has carried it out can say so without doing it twice; that is why a try whose
 * outcome is unknown may be followed by another. Of an answer only the status, the proof of the
 * epoch (sign.h) and whether the validators hold go on: a receiver's text is not shown to anybody.
 *
 * The rules against requests that go where they should not (server side request forgery): HTTPS
 * only, to the address that was checked, no redirect, no proxy, bounded in time and size.
 */
#include <inttypes.h>
#include <json-c/json_pointer.h>
#include <stdio.h>
#include <string.h>

#include "controller/activation/action_inner.h"
#include "controller/activation/probe.h"
#include "controller/activation/sign.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/fetch.h"

#define TRY_MS_MAX      10000 /* one try; all of them have the deadline of the order */
#define PAUSE_MS_FIRST  200
#define PAUSE_MS_MAX    5000
#define ANSWER_SIZE_MAX 65536

struct webhook {
    struct action *action; /* borrowed */
    struct ev_loop *loop;  /* borrowed; the default loop */
    struct fetch_client *client;
    struct fetch *fetch; /* while a try is under way */
    ev_timer alarm;      /* the next try, or the end */
    bool over;
    /* what is sent */
    char *url; /* owned, as the texts below */
    char *cluster;
    char *node;
    char *delivery;
    char *body;
    struct epoch epoch;
    struct sign_key key;
    struct sign_headers headers; /* of the last try */
    /* what is wanted */
    unsigned expect_status;
    unsigned refused_status;
    char *contains;
    char *field;
    struct json_object *equals; /* owned reference */
    /* how it stands */
    uint64_t deadline_ms;
    unsigned tries;
    enum action_end end;
    bool proved;
    char text[ERR_TEXT_SIZE];
};

static void
webhook_free(struct webhook *webhook)
{
    ev_timer_stop(webhook->loop, &webhook->alarm);
    fetch_cancel(webhook->fetch);
    fetch_client_close(webhook->client);
    sign_headers_done(&webhook->headers);
    sign_key_wipe(&webhook->key);
    json_putp(&webhook->equals);
    free(webhook->url);
    free(webhook->cluster);
    free(webhook->node);
    free(webhook->delivery);
    free(webhook->body);
    free(webhook->contains);
    free(webhook->field);
    free(webhook);
}

static void
wake_in(struct webhook *webhook, uint64_t after_ms)
{
    ev_timer_stop(webhook->loop, &webhook->alarm);
    ev_timer_set(&webhook->alarm, (double)after_ms / 1000, 0.);
    ev_timer_start(webhook->loop, &webhook->alarm);
}

/* ---- the answer ---- */

/* It is over; the rest follows from the loop, outside of fetch. */
static void
end_with(struct webhook *webhook, enum action_end end, const char *text)
{
    webhook->over = true;
    webhook->end = end;
    if (webhook->tries > 1)
        (void)snprintf(webhook->text, sizeof webhook->text, "%s (try %u)", text, webhook->tries);
    else
        (void)snprintf(webhook->text, sizeof webhook->text, "%s", text);
    wake_in(webhook, 0);
}

/* It may be better later, if there is a later. */
static void
again_or_fail(struct webhook *webhook, const char *text)
{
    uint64_t now_ms = clock_now_ms();
    unsigned doublings = webhook->tries < 8 ? webhook->tries - 1 : 7;
    uint64_t pause_ms = (uint64_t)PAUSE_MS_FIRST << doublings;
    if (pause_ms > PAUSE_MS_MAX)
        pause_ms = PAUSE_MS_MAX;
    if (now_ms + pause_ms >= webhook->deadline_ms)
        end_with(webhook, ACTION_FAILED, text);
    else
        wake_in(webhook, pause_ms);
}

/* NULL when the answer's body is as wanted. */
static const char *
body_wrong(const struct webhook *webhook, const struct buf *body)
{
    if (webhook->contains != NULL &&
        memmem(buf_text(body), body->size, webhook->contains, strlen(webhook->contains)) == NULL)
        return "the answer does not hold the text of expect_body";
    if (webhook->field == NULL)
        return NULL;
    CLEANUP(json_putp) struct json_object *document = NULL;
    struct json_object *member = NULL;
    if (json_read(buf_text(body), body->size, &document, NULL) != ERR_NONE || document == NULL)
        return "the answer is not JSON, and expect_body wants a field of it";
    if (json_pointer_get(document, webhook->field, &member) != 0)
        return "the answer has not the field that expect_body names";
    return json_object_equal(member, webhook->equals) != 0
               ? NULL
               : "the field that expect_body names has another value";
}

static bool
is_refusal(const struct webhook *webhook, int status)
{
    return webhook->refused_status != 0 ? status == (int)webhook->refused_status
                                        : status == 409 || status == 412;
}

/* The receiver, or something between, says that it may be asked again. */
static bool
is_passing(int status)
{
    static const int statuses[] = { 408, 425, 429, 500, 502, 503, 504 };
    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        if (statuses[i] == status)
            return true;
    }
    return false;
}

static void
judge(struct webhook *webhook, const struct fetch_reply *reply)
{
    char text[ERR_TEXT_SIZE];
    char epoch[EPOCH_TEXT_SIZE];
    struct epoch seen;
    bool proof = sign_proof_check(&webhook->key, sign_headers_get(&webhook->headers, "Signature"),
                                  fetch_reply_header(reply, "Baton-Fenced"), &seen);
    bool good = webhook->expect_status != 0 ? reply->status == (int)webhook->expect_status
                                            : reply->status >= 200 && reply->status <= 299;
    webhook->proved = proof && epoch_compare(&seen, &webhook->epoch) >= 0;
    (void)snprintf(text, sizeof text, "status %d in %" PRIu64 " ms", reply->status,
                   (reply->total_us + 500) / 1000);
    if (proof && epoch_compare(&seen, &webhook->epoch) > 0) {
        (void)snprintf(text, sizeof text, "status %d: the receiver has seen epoch %s",
                       reply->status, epoch_text(&seen, epoch));
        end_with(webhook, ACTION_REFUSED, text);
    } else if (is_refusal(webhook, reply->status)) {
        (void)snprintf(text, sizeof text, "status %d: the receiver has seen a later epoch",
                       reply->status);
        end_with(webhook, ACTION_REFUSED, text);
    } else if (good) {
        const char *wrong = body_wrong(webhook, &reply->body);
        end_with(webhook, wrong == NULL ? ACTION_OK : ACTION_FAILED, wrong == NULL ? text : wrong);
    } else if (is_passing(reply->status)) {
        again_or_fail(webhook, text);
    } else {
        if (webhook->expect_status != 0)
            (void)snprintf(text, sizeof text, "status %d, wanted %u", reply->status,
                           webhook->expect_status);
        end_with(webhook, ACTION_FAILED, text);
    }
}

static void
on_answer(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct webhook *webhook = data;
    webhook->fetch = NULL;
    if (reply != NULL) {
        judge(webhook, reply);
    } else if (err->code == ERR_UNAVAILABLE || err->code == ERR_UNKNOWN_OUTCOME ||
               err->code == ERR_TIMEOUT) {
        again_or_fail(webhook, err->text);
    } else {
        char text[ERR_TEXT_SIZE + ERR_MEND_SIZE + 2];
        (void)snprintf(text, sizeof text, "%s%s%s", err->text, err->mend[0] != '\0' ? "; " : "",
                       err->mend);
        end_with(webhook, ACTION_FAILED, text);
    }
}

/* ---- a try ---- */

static void
begin_try(struct webhook *webhook)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t left_ms = now_ms < webhook->deadline_ms ? webhook->deadline_ms - now_ms : 0;
    if (left_ms == 0) {
        end_with(webhook, ACTION_FAILED, "not answered in time");
        return;
    }
    struct sign_message message = {
        .method = "POST",
        .target = sign_target(webhook->url),
        .claim = { .cluster = webhook->cluster,
                   .epoch = webhook->epoch,
                   .node = webhook->node,
                   .delivery = webhook->delivery },
        .body = webhook->body,
        .body_size = strlen(webhook->body),
        .now_s = clock_wall_ms() / 1000, /* each try says its own time */
    };
    struct fetch_header headers[SIGN_HEADERS_MAX];
    sign_headers_done(&webhook->headers);
    sign_headers(&message, &webhook->key, &webhook->headers);
    for (size_t i = 0; i < webhook->headers.count; i++)
        headers[i] = (struct fetch_header){ .name = webhook->headers.list[i].name,
                                            .value = webhook->headers.list[i].value };
    struct fetch_request request = {
        .method = "POST",
        .url = webhook->url,
        .address_allowed = probe_address_allowed,
        .headers = headers,
        .header_count = webhook->headers.count,
        .body = webhook->body,
        .body_size = message.body_size,
        .timeout_ms = (unsigned)(left_ms < TRY_MS_MAX ? left_ms : TRY_MS_MAX),
        .reply_size_max = ANSWER_SIZE_MAX,
    };
    webhook->tries++;
    webhook->fetch = fetch_start(webhook->client, &request, on_answer, webhook);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct webhook *webhook = CONTAINER_OF(alarm, struct webhook, alarm);
    if (!webhook->over) {
        begin_try(webhook);
        return;
    }
    char text[ERR_TEXT_SIZE];
    struct action *action = webhook->action;
    struct action_result result = {
        .end = webhook->end, .text = text, .output = "", .exit_code = -1, .proved = webhook->proved
    };
    memcpy(text, webhook->text, sizeof text);
    webhook_free(webhook);
    action_finish(action, &result);
}

/* ---- the driver ---- */

static char *
make_body(const struct action_order *order, const char *delivery)
{
    const char *const *values = order->values.text;
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    struct json_object *epoch = json_object_new_object();
    char time[CLOCK_TEXT_SIZE];
    json_add_u64(epoch, "number", order->epoch.number);
    json_add_string(epoch, "holder", order->epoch.holder);
    json_add_string(body, "delivery_id", delivery);
    json_add_string(body, "cluster", values[TEMPLATE_CLUSTER]);
    json_add_string(body, "connector", values[TEMPLATE_CONNECTOR]);
    json_add_string(body, "kind", values[TEMPLATE_KIND]);
    json_add_string(body, "server", values[TEMPLATE_SERVER]);
    json_add_string(body, "url", values[TEMPLATE_URL][0] == '\0' ? NULL : values[TEMPLATE_URL]);
    json_add(body, "epoch", epoch);
    json_add_string(body, "node", values[TEMPLATE_NODE]);
    json_add_string(body, "site", values[TEMPLATE_SITE]);
    json_add_string(body, "action_id", values[TEMPLATE_ACTION_ID]);
    json_add_string(body, "time", clock_wall_text(clock_wall_ms(), time));
    return str_dup(json_text(body));
}

static enum err_code
webhook_start(struct action *action, struct worker *worker, const struct action_order *order,
              struct err *err)
{
    (void)worker;
    const struct connector_webhook *wanted = &order->action->webhook;
    const struct connector_server *receiver = &wanted->receiver;
    struct fetch_trust trust = {
        .tls = { .ca = receiver->ca },
        .pin = receiver->pin_set ? receiver->pin : NULL,
        .system_trust = receiver->ca == NULL && !receiver->pin_set,
    };
    struct webhook *webhook = mem_zero(1, sizeof *webhook);
    webhook->loop = ev_default_loop(EVFLAG_AUTO);
    ev_timer_init(&webhook->alarm, on_alarm, 0., 0.);
    enum err_code code = ERR_NONE;
    if (!probe_address_allowed(receiver->host))
        code = err_set(err, ERR_DENIED, "address_denied",
                       "no request is made to link-local and multicast addresses");
    if (code == ERR_NONE)
        code = sign_key_read(&wanted->sign, order->secret, order->secret_data, &webhook->key, err);
    if (code == ERR_NONE)
        code = fetch_client_open(webhook->loop, &trust, &webhook->client, err);
    if (code != ERR_NONE) {
        webhook_free(webhook);
        return code;
    }
    webhook->action = action;
    webhook->url = str_dup(receiver->url);
    webhook->cluster = str_dup(order->values.text[TEMPLATE_CLUSTER]);
    webhook->node = str_dup(order->values.text[TEMPLATE_NODE]);
    webhook->delivery = str_printf("%s/%s/%zu", webhook->cluster,
                                   order->values.text[TEMPLATE_ACTION_ID], order->place);
    webhook->body = make_body(order, webhook->delivery);
    webhook->epoch = order->epoch;
    webhook->expect_status = wanted->expect_status;
    webhook->refused_status = wanted->refused_status;
    webhook->contains = str_dup(wanted->contains);
    webhook->field = str_dup(wanted->field);
    webhook->equals = json_object_get(wanted->equals);
    webhook->deadline_ms = clock_now_ms() + order->timeout_ms;
    action->inner = webhook;
    begin_try(webhook);
    return ERR_NONE;
}

static void
webhook_cancel(struct action *action)
{
    struct webhook *webhook = action->inner;
    fetch_cancel(webhook->fetch);
    webhook->fetch = NULL;
    if (!webhook->over)
        end_with(webhook, ACTION_CANCELLED, "cancelled");
}

static void
webhook_abandon(struct action *action)
{
    webhook_free(action->inner);
}

const struct action_driver action_webhook_driver = { .name = "webhook",
                                                     .fencing = FENCING_PROVED,
                                                     .start = webhook_start,
                                                     .cancel = webhook_cancel,
                                                     .abandon = webhook_abandon };
