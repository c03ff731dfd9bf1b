/*
 * Do the time-outs leave room for the network as it is? (S6: N requests, and how many of them were
 * errors or came too late.) Each other member is asked for its state, by a new connection each
 * time, and the arbiter for its record: by the same time-outs as always, one after the other, all
 * paths beside each other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/fetch.h"
#include "sites/setting.h"

#define CHECK_ALL_MS 20000 /* no question is begun later; what was answered until then is told */

struct path {
    struct check *check;
    char name[NODE_NAME_SIZE]; /* of the member; "" is the arbiter */
    char url[DRIVER_ADDRESS_SIZE + 32];
    const char *settings; /* the key that bounds it */
    uint64_t limit_ms;
    struct fetch_client *client; /* owned; of a member */
    struct fetch *fetch;         /* under way, or NULL */
    struct arbiter *arbiter;     /* owned; of the arbiter */
    ev_timer next;               /* asks again: from outside of what has answered */
    uint64_t began_us;
    uint64_t asked;
    uint64_t answered;
    uint64_t connect_timeouts;
    uint64_t request_timeouts;
    uint64_t errors;
    uint64_t took_us[DRIVER_CHECK_MAX]; /* of those that were answered */
    char error[DRIVER_TEXT_SIZE];       /* the last one */
};

struct check {
    struct driver_task task;
    struct driver *driver; /* borrowed */
    uint64_t requests;
    uint64_t until_ms;
    size_t running;
    size_t count;
    struct path paths[NODE_MEMBERS_MAX + 1];
    driver_answer *done;
    void *data;
};

/* ------------------------------------------------------------------ the answer */

static int
by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void
add_ms(struct json_object *object, const char *name, const struct path *path, uint64_t at)
{
    json_add(object, name,
             path->answered == 0 ? NULL : json_object_new_uint64((path->took_us[at] + 500) / 1000));
}

static struct json_object *
path_json(struct path *path)
{
    struct json_object *object = json_object_new_object();
    qsort(path->took_us, path->answered, sizeof path->took_us[0], by_size);
    uint64_t last = path->answered == 0 ? 0 : path->answered - 1;
    bool failed = path->answered < path->asked || path->asked == 0;
    bool close_to = path->answered > 0 && path->took_us[last] / 1000 > path->limit_ms / 2;
    CLEANUP(freep)
    char *advice = str_printf("an answer took more than half of what %s allows", path->settings);
    json_add_string(object, "name", path->name[0] == '\0' ? "arbiter" : path->name);
    json_add_string(object, "kind", path->name[0] == '\0' ? "arbiter" : "member");
    json_add_string(object, "settings", path->settings);
    json_add_u64(object, "limit_ms", path->limit_ms);
    json_add_u64(object, "requests", path->asked);
    json_add_u64(object, "answered", path->answered);
    json_add_u64(object, "connect_timeouts", path->connect_timeouts);
    json_add_u64(object, "request_timeouts", path->request_timeouts);
    json_add_u64(object, "errors", path->errors);
    add_ms(object, "min_ms", path, 0);
    add_ms(object, "median_ms", path, last / 2);
    add_ms(object, "max_ms", path, last);
    json_add_string(object, "state", failed ? "fail" : close_to ? "warn" : "ok");
    json_add_string(object, "text", failed ? path->error : close_to ? advice : "");
    return object;
}

static void
free_check(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        struct path *path = &check->paths[i];
        ev_timer_stop(check->driver->core->loop, &path->next);
        fetch_cancel(path->fetch);
        fetch_client_close(path->client);
        arbiter_close(path->arbiter);
    }
    list_remove(&check->task.node);
    free(check);
}

static void
end_check(struct check *check)
{
    CLEANUP(json_putp) struct json_object *document = json_object_new_object();
    CLEANUP(freep) struct fault_list *faults = mem_zero(1, sizeof *faults);
    struct json_object *list = json_object_new_array();
    driver_answer *done = check->done;
    void *data = check->data;
    json_add_string(document, "node", check->driver->node.self);
    for (size_t i = 0; i < check->count; i++)
        (void)json_object_array_add(list, path_json(&check->paths[i]));
    json_add(document, "paths", list);
    setting_bound_faults(cache_settings(check->driver->core->cache), faults);
    json_add(document, "faults", fault_json(faults));
    free_check(check);
    done(data, document, NULL);
}

static void
stop_check(struct driver_task *task, const struct err *err)
{
    struct check *check = CONTAINER_OF(task, struct check, task);
    driver_answer *done = check->done;
    void *data = check->data;
    free_check(check);
    done(data, NULL, err);
}

/* ------------------------------------------------------------------ one question after the other
 */

static void
note_error(struct path *path, const struct err *err, uint64_t took_us)
{
    (void)snprintf(path->error, sizeof path->error, "%.*s", DRIVER_TEXT_SIZE - 1, err->text);
    if (strcmp(err->slug, "connect_timeout") == 0)
        path->connect_timeouts++;
    else if (err->code == ERR_TIMEOUT || took_us / 1000 >= path->limit_ms)
        path->request_timeouts++;
    else
        path->errors++;
}

static void
answered(struct path *path, const struct err *err)
{
    uint64_t took_us = clock_now_us() - path->began_us;
    if (err == NULL)
        path->took_us[path->answered++] = took_us;
    else
        note_error(path, err, took_us);
    path->fetch = NULL;
    ev_timer_start(path->check->driver->core->loop, &path->next);
}

static void
on_member(void *data, const struct fetch_reply *reply, const struct err *err)
{
    struct err fault;
    if (err == NULL && fetch_reply_err(reply, &fault) != ERR_NONE)
        err = &fault;
    answered(data, err);
}

static void
on_arbiter(void *data, const struct arbiter_reply *reply)
{
    answered(data, reply->result == ARBITER_UNCLEAR ? &reply->err : NULL);
}

static void
ask_next(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct path *path = CONTAINER_OF(timer, struct path, next);
    struct check *check = path->check;
    (void)loop, (void)revents;
    if (path->asked == check->requests || clock_now_ms() >= check->until_ms) {
        if (--check->running == 0)
            end_check(check);
        return;
    }
    path->asked++;
    path->began_us = clock_now_us();
    if (path->arbiter != NULL) {
        struct arbiter_ask ask = { .op = ARBITER_OP_READ, .deadline_ms = (uint32_t)path->limit_ms };
        (void)arbiter_start(path->arbiter, &ask, on_arbiter, path);
        return;
    }
    struct fetch_request request = { .url = path->url,
                                     .timeout_ms = (unsigned)path->limit_ms,
                                     .connect_timeout_ms = (unsigned)path->limit_ms };
    fetch_client_forget(path->client);
    path->fetch = fetch_start(path->client, &request, on_member, path);
}

/* ------------------------------------------------------------------ the paths */

static struct path *
add_path(struct check *check, const char *name, enum setting_id limit)
{
    struct path *path = &check->paths[check->count++];
    const struct setting_source *source = cache_settings(check->driver->core->cache);
    *path = (struct path){ .check = check,
                           .settings = setting_row(limit)->name,
                           .limit_ms = setting_u64(limit, source) };
    (void)snprintf(path->name, sizeof path->name, "%s", name);
    ev_timer_init(&path->next, ask_next, 0.0, 0.0);
    return path;
}

static enum err_code
add_member(struct check *check, const struct driver_peer *peer, struct err *err)
{
    const struct home *home = check->driver->core->home;
    CLEANUP(freep) char *ca = home_path(home, "ca.crt");
    CLEANUP(freep) char *cert = home_path(home, "node.crt");
    CLEANUP(freep) char *key = home_path(home, "node.key");
    struct fetch_trust trust = { .tls = { .ca = ca, .cert = cert, .key = key } };
    struct path *path = add_path(check, peer->name, SETTING_PEER_TIMEOUT_MS);
    (void)snprintf(path->url, sizeof path->url, "https://%s/v1/peer/state", peer->address);
    return fetch_client_open(check->driver->core->loop, &trust, &path->client, err);
}

static enum err_code
add_arbiter(struct check *check, struct err *err)
{
    struct path *path = add_path(check, "", SETTING_LEASE_RENEW_MS);
    return driver_open_arbiter(check->driver, NULL, &path->arbiter, err);
}

void
driver_check_timeouts(struct driver *driver, uint64_t requests, driver_answer *done, void *data)
{
    struct err err;
    enum err_code code = ERR_NONE;
    struct check *check = mem_zero(1, sizeof *check);
    ASSERT(requests >= 1 && requests <= DRIVER_CHECK_MAX);
    *check = (struct check){ .task = { .stop = stop_check },
                             .driver = driver,
                             .requests = requests,
                             .until_ms = clock_now_ms() + CHECK_ALL_MS,
                             .done = done,
                             .data = data };
    list_add_tail(&driver->tasks, &check->task.node);
    for (size_t i = 0; code == ERR_NONE && i < driver->peer_count; i++)
        code = add_member(check, &driver->peers[i], &err);
    if (code == ERR_NONE && driver->arbiter_kind != ARBITER_MANUAL)
        code = add_arbiter(check, &err);
    if (code != ERR_NONE) {
        free_check(check);
        done(data, NULL, &err);
        return;
    }
    if (check->count == 0) {
        end_check(check);
        return;
    }
    check->running = check->count;
    for (size_t i = 0; i < check->count; i++)
        ev_timer_start(driver->core->loop, &check->paths[i].next);
}

uint64_t
driver_check_own_ms(const struct driver *driver, const char *member)
{
    for (size_t i = 0; i < driver->peer_count; i++) {
        if (strcmp(driver->peers[i].name, member) == 0)
            return driver->peers[i].check_own_ms;
    }
    return 0;
}
