#include "controller/activation/post.h"

#include <inttypes.h>
#include <json-c/json_pointer.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/fetch.h"
#include "sites/address.h"

#define TRY_MS_MAX      10000 /* one try; all of them have the deadline of the order */
#define PAUSE_MS_FIRST  200
#define PAUSE_MS_MAX    5000
#define ANSWER_SIZE_MAX 65536

struct post {
    post_done_fn *done;
    void *data;           /* borrowed */
    struct ev_loop *loop; /* borrowed; the default loop */
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
post_free(struct post *post)
{
    ev_timer_stop(post->loop, &post->alarm);
    fetch_cancel(post->fetch);
    fetch_client_close(post->client);
    sign_headers_done(&post->headers);
    sign_key_wipe(&post->key);
    json_putp(&post->equals);
    free(post->url);
    free(post->cluster);
    free(post->node);
    free(post->delivery);
    free(post->body);
    free(post->contains);
    free(post->field);
    free(post);
}

static void
wake_in(struct post *post, uint64_t after_ms)
{
    ev_timer_stop(post->loop, &post->alarm);
    ev_timer_set(&post->alarm, (double)after_ms / 1000, 0.);
    ev_timer_start(post->loop, &post->alarm);
}

/* ---- the answer ---- */

/* It is over; the rest follows from the loop, outside of fetch. */
static void
end_with(struct post *post, enum action_end end, const char *text)
{
    post->over = true;
    post->end = end;
    if (post->tries > 1)
        (void)snprintf(post->text, sizeof post->text, "%s (try %u)", text, post->tries);
    else
        (void)snprintf(post->text, sizeof post->text, "%s", text);
    wake_in(post, 0);
}

/* It may be better later, if there is a later. */
static void
again_or_fail(struct post *post, const char *text)
{
    uint64_t now_ms = clock_now_ms();
    unsigned doublings = post->tries < 8 ? post->tries - 1 : 7;
    uint64_t pause_ms = (uint64_t)PAUSE_MS_FIRST << doublings;
    if (pause_ms > PAUSE_MS_MAX)
        pause_ms = PAUSE_MS_MAX;
    if (now_ms + pause_ms >= post->deadline_ms)
        end_with(post, ACTION_FAILED, text);
    else
        wake_in(post, pause_ms);
}

/* NULL when the answer's body is as wanted. */
static const char *
body_wrong(const struct post *post, const struct buf *body)
{
    if (post->contains != NULL &&
        memmem(buf_text(body), body->size, post->contains, strlen(post->contains)) == NULL)
        return "the answer does not hold the text of expect_body";
    if (post->field == NULL)
        return NULL;
    CLEANUP(json_putp) struct json_object *document = NULL;
    struct json_object *member = NULL;
    if (json_read(buf_text(body), body->size, &document, NULL) != ERR_NONE || document == NULL)
        return "the answer is not JSON, and expect_body wants a field of it";
    if (json_pointer_get(document, post->field, &member) != 0)
        return "the answer has not the field that expect_body names";
    return json_object_equal(member, post->equals) != 0
               ? NULL
               : "the field that expect_body names has another value";
}

static bool
is_refusal(const struct post *post, int status)
{
    return post->refused_status != 0 ? status == (int)post->refused_status
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
judge(struct post *post, const struct fetch_reply *reply)
{
    char text[ERR_TEXT_SIZE];
    char epoch[EPOCH_TEXT_SIZE];
    struct epoch seen;
    bool proof = sign_proof_check(&post->key, sign_headers_get(&post->headers, "Signature"),
                                  fetch_reply_header(reply, "Baton-Fenced"), &seen);
    bool good = post->expect_status != 0 ? reply->status == (int)post->expect_status
                                         : reply->status >= 200 && reply->status <= 299;
    post->proved = proof && epoch_compare(&seen, &post->epoch) >= 0;
    (void)snprintf(text, sizeof text, "status %d in %" PRIu64 " ms", reply->status,
                   (reply->total_us + 500) / 1000);
    if (proof && epoch_compare(&seen, &post->epoch) > 0) {
        (void)snprintf(text, sizeof text, "status %d: the receiver has seen epoch %s",
                       reply->status, epoch_text(&seen, epoch));
        end_with(post, ACTION_REFUSED, text);
    } else if (is_refusal(post, reply->status)) {
        (void)snprintf(text, sizeof text, "status %d: the receiver has seen a later epoch",
                       reply->status);
        end_with(post, ACTION_REFUSED, text);
    } else if (good) {
        const char *wrong = body_wrong(post, &reply->body);
        end_with(post, wrong == NULL ? ACTION_OK : ACTION_FAILED, wrong == NULL ? text : wrong);
    } else if (is_passing(reply->status)) {
        again_or_fail(post, text);
    } else {
        if (post->expect_status != 0)
            (void)snprintf(text, sizeof text, "status %d, wanted %u", reply->status,
                           post->expect_status);
        end_with(post, ACTION_FAILED, text);
    }
}

static void
on_answer(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct post *post = data;
    post->fetch = NULL;
    if (reply != NULL) {
        judge(post, reply);
    } else if (err->code == ERR_UNAVAILABLE || err->code == ERR_UNKNOWN_OUTCOME ||
               err->code == ERR_TIMEOUT) {
        again_or_fail(post, err->text);
    } else {
        char text[ERR_TEXT_SIZE + ERR_MEND_SIZE + 2];
        (void)snprintf(text, sizeof text, "%s%s%s", err->text, err->mend[0] != '\0' ? "; " : "",
                       err->mend);
        end_with(post, ACTION_FAILED, text);
    }
}

/* ---- a try ---- */

static void
begin_try(struct post *post)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t left_ms = now_ms < post->deadline_ms ? post->deadline_ms - now_ms : 0;
    if (left_ms == 0) {
        end_with(post, ACTION_FAILED, "not answered in time");
        return;
    }
    struct sign_message message = {
        .method = "POST",
        .target = sign_target(post->url),
        .claim = { .cluster = post->cluster,
                   .epoch = post->epoch,
                   .node = post->node,
                   .delivery = post->delivery },
        .body = post->body,
        .body_size = strlen(post->body),
        .now_s = clock_wall_ms() / 1000, /* each try says its own time */
    };
    struct fetch_header headers[SIGN_HEADERS_MAX];
    sign_headers_done(&post->headers);
    sign_headers(&message, &post->key, &post->headers);
    for (size_t i = 0; i < post->headers.count; i++)
        headers[i] = (struct fetch_header){ .name = post->headers.list[i].name,
                                            .value = post->headers.list[i].value };
    struct fetch_request request = {
        .method = "POST",
        .url = post->url,
        .address_allowed = address_allowed,
        .headers = headers,
        .header_count = post->headers.count,
        .body = post->body,
        .body_size = message.body_size,
        .timeout_ms = (unsigned)(left_ms < TRY_MS_MAX ? left_ms : TRY_MS_MAX),
        .reply_size_max = ANSWER_SIZE_MAX,
    };
    post->tries++;
    post->fetch = fetch_start(post->client, &request, on_answer, post);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct post *post = CONTAINER_OF(alarm, struct post, alarm);
    if (!post->over) {
        begin_try(post);
        return;
    }
    char text[ERR_TEXT_SIZE];
    post_done_fn *done = post->done;
    void *data = post->data;
    struct post_result result = { .end = post->end, .text = text, .proved = post->proved };
    memcpy(text, post->text, sizeof text);
    post_free(post);
    done(data, &result);
}

/* ---- from outside ---- */

enum err_code
post_start(const struct post_order *order, post_done_fn *done, void *data, struct post **ret,
           struct err *err)
{
    const struct connector_webhook *wanted = order->wanted;
    const struct connector_server *receiver = &wanted->receiver;
    struct fetch_trust trust = {
        .tls = { .ca = receiver->ca },
        .pin = receiver->pin_set ? receiver->pin : NULL,
        .system_trust = receiver->ca == NULL && !receiver->pin_set,
    };
    struct post *post = mem_zero(1, sizeof *post);
    post->loop = ev_default_loop(EVFLAG_AUTO);
    ev_timer_init(&post->alarm, on_alarm, 0., 0.);
    enum err_code code = ERR_NONE;
    if (!address_allowed(receiver->host))
        code = err_set(err, ERR_DENIED, "address_denied",
                       "no request is made to link-local and multicast addresses");
    if (code == ERR_NONE)
        code = sign_key_read(&wanted->sign, order->secret, order->secret_data, &post->key, err);
    if (code == ERR_NONE)
        code = fetch_client_open(post->loop, &trust, &post->client, err);
    if (code != ERR_NONE) {
        post_free(post);
        return code;
    }
    post->done = done;
    post->data = data;
    post->url = str_dup(receiver->url);
    post->cluster = str_dup(order->cluster);
    post->node = str_dup(order->node);
    post->delivery = str_dup(order->delivery);
    post->body = str_dup(order->body);
    post->epoch = order->epoch;
    post->expect_status = wanted->expect_status;
    post->refused_status = wanted->refused_status;
    post->contains = str_dup(wanted->contains);
    post->field = str_dup(wanted->field);
    post->equals = json_object_get(wanted->equals);
    post->deadline_ms = clock_now_ms() + order->timeout_ms;
    *ret = post;
    begin_try(post);
    return ERR_NONE;
}

void
post_cancel(struct post *post)
{
    fetch_cancel(post->fetch);
    post->fetch = NULL;
    if (!post->over)
        end_with(post, ACTION_CANCELLED, "cancelled");
}

void
post_abandon(struct post *post)
{
    if (post != NULL)
        post_free(post);
}
