#include "controller/api/intake.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/loop/fetch.h"
#include "sites/setting.h"

struct item {
    struct list node; /* in intake->waiting, intake->ready, a post, or (in our writer) nowhere */
    struct intake *intake;
    struct json_object *group; /* owned */
    unsigned flags;
    uint64_t until_ms; /* not sent by then: it fails */
    uint64_t retry_ms; /* not before, unless the primary changes */
    struct err last;   /* why it waits */
    writer_done_fn *done;
    void *data;
};

struct post {
    struct list node; /* in intake->posts */
    struct intake *intake;
    struct list items;
    char primary[NODE_NAME_SIZE];
    struct fetch *fetch;
    uint64_t moved_ms; /* another was first seen to be primary; 0: not */
};

struct intake {
    struct core *core;          /* borrowed */
    struct fetch_client *peers; /* borrowed */
    struct list waiting;        /* for somebody to be primary, or for a retry */
    size_t waiting_count;
    struct list ready;            /* for a post */
    struct list posts;            /* under way */
    ev_timer look;                /* runs while a post is under way */
    ev_timer tick;                /* runs while something waits */
    ev_prepare moved;             /* the same */
    uint64_t generation;          /* of the driver, at the last look */
    char primary[NODE_NAME_SIZE]; /* when it was last looked for */
    struct epoch primary_epoch;
    bool stopped;
    struct intake_counters counters;
};

static void route(struct item *item);
static void pump(struct intake *intake);

static void
finish(struct item *item, const struct writer_result *result, const struct err *err)
{
    list_remove(&item->node);
    item->done(item->data, result, err);
    (void)json_object_put(item->group);
    free(item);
}

/* ---- waiting ---- */

/* Tries again what is due, and all of it when somebody else is primary, or we are. */
static void
try_again(struct intake *intake)
{
    uint64_t now_ms = clock_now_ms();
    struct driver_primary primary = driver_primary(intake->core->driver);
    bool changed = strcmp(primary.name, intake->primary) != 0 ||
                   !epoch_equal(&primary.epoch, &intake->primary_epoch) ||
                   writer_mode(intake->core->writer) != WRITER_CLOSED;
    memcpy(intake->primary, primary.name, sizeof intake->primary);
    intake->primary_epoch = primary.epoch;

    struct list due;
    list_init(&due);
    list_each (at, &intake->waiting) {
        struct item *item = CONTAINER_OF(at, struct item, node);
        if (!changed && now_ms < item->retry_ms && now_ms < item->until_ms)
            continue;
        list_remove(at);
        list_add_tail(&due, at);
        intake->waiting_count--;
    }
    while (!list_empty(&due)) {
        struct item *item = CONTAINER_OF(due.next, struct item, node);
        list_remove(&item->node);
        if (now_ms >= item->until_ms) {
            finish(item, NULL, &item->last);
        } else {
            intake->counters.retries++;
            route(item);
        }
    }
    pump(intake);
    if (!list_empty(&intake->waiting))
        return;
    ev_timer_stop(intake->core->loop, &intake->tick);
    ev_prepare_stop(intake->core->loop, &intake->moved);
}

static void
on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    try_again(CONTAINER_OF(timer, struct intake, tick));
}

/* Before the loop sleeps: what waits for a switchover is then in the first commit after the epoch's
 * first row, and not behind it. */
static void
on_moved(struct ev_loop *loop, ev_prepare *moved, int events)
{
    (void)loop, (void)events;
    struct intake *intake = CONTAINER_OF(moved, struct intake, moved);
    uint64_t generation = driver_generation(intake->core->driver);
    if (generation == intake->generation && writer_mode(intake->core->writer) == WRITER_CLOSED)
        return;
    intake->generation = generation;
    try_again(intake);
}

/* Surely not done, and nobody could be asked: later again. */
static void
wait_for(struct item *item, const struct err *cause)
{
    struct intake *intake = item->intake;
    uint64_t now_ms = clock_now_ms();
    item->last = *cause;
    if (intake->stopped || now_ms >= item->until_ms) {
        finish(item, NULL, cause);
        return;
    }
    if (intake->waiting_count >= INTAKE_WAITING_MAX) {
        struct err err;
        (void)err_set(&err, ERR_UNAVAILABLE, "busy", "%zu writes wait here already: %s",
                      intake->waiting_count, cause->text);
        finish(item, NULL, &err);
        return;
    }
    item->retry_ms = now_ms + INTAKE_RETRY_MS;
    list_remove(&item->node);
    list_add_tail(&intake->waiting, &item->node);
    intake->waiting_count++;
    if (!ev_is_active(&intake->tick))
        ev_timer_again(intake->core->loop, &intake->tick);
    ev_prepare_start(intake->core->loop, &intake->moved);
}

/* ---- our own writer ---- */

static void
on_written(void *data, const struct writer_result *result, const struct err *err)
{
    struct item *item = data;
    if (err != NULL && err->code == ERR_FENCED && (item->flags & INTAKE_HERE) == 0)
        wait_for(item, err);
    else
        finish(item, result, err);
}

static void
route(struct item *item)
{
    struct err err;
    struct core *core = item->intake->core;
    if (writer_mode(core->writer) != WRITER_CLOSED || (item->flags & INTAKE_HERE) != 0) {
        enum err_code code = writer_submit(core->writer, json_object_get(item->group), 0,
                                           on_written, item, NULL, &err);
        if (code == ERR_NONE)
            return;
        on_written(item, NULL, &err);
        return;
    }
    struct driver_primary primary = driver_primary(core->driver);
    if (primary.name[0] == '\0' || primary.self) {
        (void)err_set(&err, ERR_UNAVAILABLE, "no_primary", "no primary takes writes");
        (void)err_mend(&err, "look at: baton status");
        wait_for(item, &err);
        return;
    }
    list_add_tail(&item->intake->ready, &item->node);
}

/* ---- the primary's, elsewhere ---- */

static void
finish_item(struct post *post, struct item *item, struct json_object *answer)
{
    struct err err;
    bool ok = false;
    const char *text = "";
    struct writer_result result = { 0 };
    if (json_get_bool(answer, "ok", &ok) && ok && json_get_u64(answer, "epoch", &result.epoch) &&
        json_get_string(answer, "holder", &text) &&
        str_copy(result.holder, sizeof result.holder, text) &&
        json_get_u64(answer, "txn", &result.first) &&
        json_get_u64(answer, "revision", &result.revision)) {
        finish(item, &result, NULL);
        return;
    }
    const char *code;
    const char *slug;
    const char *mend = "";
    if (ok || !json_get_string(answer, "code", &code) || !json_get_string(answer, "slug", &slug) ||
        !json_get_string(answer, "text", &text)) {
        (void)err_set(&err, ERR_UNKNOWN_OUTCOME, "unknown_outcome",
                      "%s answered something senseless, so the write may or may not be kept",
                      post->primary);
        (void)err_mend(&err, "read the keys again before you repeat it");
        finish(item, NULL, &err);
        return;
    }
    (void)!json_get_string(answer, "mend", &mend);
    (void)err_set(&err, err_code_from_name(code), slug, "%s", text);
    (void)err_mend(&err, "%s", mend);
    if (err.code == ERR_FENCED)
        wait_for(item, &err);
    else
        finish(item, NULL, &err);
}

/* Nothing of the whole post was answered one by one. */
static void
fail_post(struct post *post, const struct err *cause, bool not_done)
{
    struct err err = *cause;
    (void)err_wrap(&err, "%s", post->primary);
    while (!list_empty(&post->items)) {
        struct item *item = CONTAINER_OF(post->items.next, struct item, node);
        if (not_done && cause->code != ERR_INVALID && cause->code != ERR_LIMIT) {
            err.code = ERR_UNAVAILABLE;
            (void)!str_copy(err.slug, sizeof err.slug, "primary_unreachable");
            wait_for(item, &err);
        } else {
            finish(item, NULL, &err);
        }
    }
}

static void
take_reply(struct post *post, const struct fetch_reply *reply)
{
    struct err err;
    CLEANUP(json_putp) struct json_object *document = NULL;
    if (fetch_reply_err(reply, &err) != ERR_NONE) {
        /* refused as a whole: before anything was begun, unless the other side says otherwise */
        bool not_done = reply->status < 500 || reply->status == 503;
        if (!not_done && err.code != ERR_UNKNOWN_OUTCOME)
            err.code = ERR_UNKNOWN_OUTCOME;
        fail_post(post, &err, not_done);
        return;
    }
    struct json_object *groups = NULL;
    if (json_read(buf_text(&reply->body), reply->body.size, &document, &err) == ERR_NONE)
        groups = json_get(document, "groups");
    size_t count =
        json_object_is_type(groups, json_type_array) ? json_object_array_length(groups) : 0;
    for (size_t i = 0; !list_empty(&post->items); i++)
        finish_item(post, CONTAINER_OF(post->items.next, struct item, node),
                    i < count ? json_object_array_get_idx(groups, i) : NULL);
}

static void
end_post(struct post *post)
{
    struct intake *intake = post->intake;
    ASSERT(list_empty(&post->items));
    list_remove(&post->node);
    free(post);
    if (list_empty(&intake->posts))
        ev_timer_stop(intake->core->loop, &intake->look);
    pump(intake);
}

static void
on_post(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct post *post = data;
    if (reply != NULL) {
        take_reply(post, reply);
    } else {
        struct err cause = *err;
        bool not_done =
            err->code == ERR_UNAVAILABLE || err->code == ERR_THROTTLED || err->code == ERR_PROTOCOL;
        if (!not_done)
            cause.code = ERR_UNKNOWN_OUTCOME;
        driver_doubts(post->intake->core->driver, post->primary);
        fail_post(post, &cause, not_done);
    }
    end_post(post);
}

static bool
is_for(const struct post *post, const struct driver_primary *primary)
{
    return strcmp(post->primary, primary->name) == 0;
}

/* Who took over has every write that was acknowledged; what the old primary was sent and has not
 * answered may be among them. Nobody is served by waiting for a host that is gone. */
static void
give_up_post(struct post *post, const struct driver_primary *primary)
{
    struct err err;
    fetch_cancel(post->fetch);
    (void)err_set(&err, ERR_UNKNOWN_OUTCOME, "unknown_outcome",
                  "no answer, and %s is primary now: the write may or may not be kept",
                  primary->self ? "this node" : primary->name);
    (void)err_mend(&err, "read the keys again before you repeat it");
    fail_post(post, &err, false);
    end_post(post);
}

/* One at a time: who hears of it may change the list. */
static struct post *
find_late(struct intake *intake, const struct driver_primary *primary)
{
    uint64_t now_ms = clock_now_ms();
    list_each (at, &intake->posts) {
        struct post *post = CONTAINER_OF(at, struct post, node);
        if (primary->name[0] == '\0' || is_for(post, primary))
            post->moved_ms = 0;
        else if (post->moved_ms == 0)
            post->moved_ms = now_ms;
        if (post->moved_ms != 0 &&
            (now_ms - post->moved_ms >= INTAKE_MOVED_MS ||
             driver_is_gone(intake->core->driver, post->primary, INTAKE_GONE_MS)))
            return post;
    }
    return NULL;
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct intake *intake = CONTAINER_OF(timer, struct intake, look);
    struct driver_primary primary = driver_primary(intake->core->driver);
    struct post *late;
    (void)loop, (void)events;
    while ((late = find_late(intake, &primary)) != NULL)
        give_up_post(late, &primary);
}

/* Moves what fits one post from 'ready' to it. */
static void
fill_post(struct intake *intake, struct post *post, struct buf *body)
{
    size_t count = 0;
    buf_add_text(body, "{\"groups\":[");
    while (!list_empty(&intake->ready) && count < INTAKE_POST_GROUPS) {
        struct item *item = CONTAINER_OF(intake->ready.next, struct item, node);
        const char *text = json_text(item->group);
        size_t size = strlen(text);
        if (count > 0 && body->size + size > INTAKE_POST_SIZE_MAX)
            break;
        if (count++ > 0)
            buf_add_text(body, ",");
        buf_add(body, text, size);
        list_remove(&item->node);
        list_add_tail(&post->items, &item->node);
    }
    buf_add_text(body, "]}");
    intake->counters.forwarded += count;
    intake->counters.posts++;
}

/* Those to a primary that is none any more hold up nothing. */
static size_t
count_posts(const struct intake *intake, const struct driver_primary *primary)
{
    size_t count = 0;
    list_each (at, &intake->posts)
        count += is_for(CONTAINER_OF(at, struct post, node), primary);
    return count;
}

static void
pump(struct intake *intake)
{
    const struct setting_source *source = cache_settings(intake->core->cache);
    struct driver_primary primary = driver_primary(intake->core->driver);
    if (primary.name[0] == '\0' || primary.self) {
        /* it has changed while they were ready */
        while (!list_empty(&intake->ready)) {
            struct err err;
            struct item *item = CONTAINER_OF(intake->ready.next, struct item, node);
            (void)err_set(&err, ERR_UNAVAILABLE, "no_primary", "no primary takes writes");
            wait_for(item, &err);
        }
        return;
    }
    size_t under_way = count_posts(intake, &primary);
    for (; !list_empty(&intake->ready) && under_way < INTAKE_POSTS_MAX; under_way++) {
        CLEANUP(buf_done) struct buf body = { 0 };
        CLEANUP(freep) char *url = str_printf("https://%s/v1/peer/write", primary.address);
        struct post *post = mem_zero(1, sizeof *post);
        post->intake = intake;
        list_init(&post->items);
        memcpy(post->primary, primary.name, sizeof post->primary);
        fill_post(intake, post, &body);
        list_add_tail(&intake->posts, &post->node);
        uint64_t within_ms = setting_u64(SETTING_WRITE_HOLD_MS, source) +
                             setting_u64(SETTING_SYNC_COMMIT_WAIT_MS, source) +
                             INTAKE_POST_MARGIN_MS;
        struct fetch_request request = { .method = "POST",
                                         .url = url,
                                         .body = body.data,
                                         .body_size = body.size,
                                         .timeout_ms = (unsigned)within_ms };
        post->fetch = fetch_start(intake->peers, &request, on_post, post);
        if (!ev_is_active(&intake->look))
            ev_timer_again(intake->core->loop, &intake->look);
    }
}

/* ---- interface ---- */

struct intake *
intake_new(struct core *core, struct fetch_client *peers)
{
    struct intake *intake = mem_zero(1, sizeof *intake);
    intake->core = core;
    intake->peers = peers;
    list_init(&intake->waiting);
    list_init(&intake->ready);
    list_init(&intake->posts);
    ev_timer_init(&intake->look, on_look, INTAKE_LOOK_MS / 1000.0, INTAKE_LOOK_MS / 1000.0);
    ev_timer_init(&intake->tick, on_tick, INTAKE_TICK_MS / 1000.0, INTAKE_TICK_MS / 1000.0);
    ev_prepare_init(&intake->moved, on_moved);
    return intake;
}

void
intake_stop(struct intake *intake)
{
    struct err err;
    intake->stopped = true;
    ev_timer_stop(intake->core->loop, &intake->tick);
    ev_prepare_stop(intake->core->loop, &intake->moved);
    (void)err_set(&err, ERR_UNAVAILABLE, "stopping", "this node stops; the write was not sent");
    (void)err_mend(&err, "ask another member");
    while (!list_empty(&intake->waiting))
        finish(CONTAINER_OF(intake->waiting.next, struct item, node), NULL, &err);
    while (!list_empty(&intake->ready))
        finish(CONTAINER_OF(intake->ready.next, struct item, node), NULL, &err);
    intake->waiting_count = 0;
}

void
intake_free(struct intake *intake)
{
    if (intake == NULL)
        return;
    intake_stop(intake);
    ASSERT(list_empty(&intake->posts));
    ev_timer_stop(intake->core->loop, &intake->look);
    free(intake);
}

void
intake_submit(struct intake *intake, struct json_object *group, unsigned flags,
              writer_done_fn *done, void *data)
{
    const struct setting_source *source = cache_settings(intake->core->cache);
    struct item *item = mem_zero(1, sizeof *item);
    list_init(&item->node);
    item->intake = intake;
    item->group = group;
    item->flags = flags;
    item->until_ms = clock_now_ms() + setting_u64(SETTING_WRITE_HOLD_MS, source);
    item->done = done;
    item->data = data;
    if (intake->stopped) {
        struct err err;
        (void)err_set(&err, ERR_UNAVAILABLE, "stopping", "this node stops; the write was not sent");
        finish(item, NULL, &err);
        return;
    }
    route(item);
    pump(intake);
}

struct intake_counters
intake_counters(const struct intake *intake)
{
    struct intake_counters counters = intake->counters;
    counters.waiting_now = intake->waiting_count;
    return counters;
}
