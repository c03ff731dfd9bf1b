/*
 * Choosing another arbiter while the cluster runs: its record is made first, for the epoch of the
 * primary; then the row "arbiter" tells every member. Until the row is there the primary asks
 * neither, and acts as long as all members follow it (LEASE_EV_HOLD).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/pq.h"
#include "sites/setting.h"

#define CHANGE_CREATE_MS  5000
#define CHANGE_FORWARD_MS 15000
#define TEST_MS           5000
#define TEST_FORWARD_MS   8000

/* The one that is asked for, or the one in force; NULL: neither. */
static struct json_object *
arbiter_value(const struct driver *driver, struct json_object *value)
{
    const struct cache_entry *entry = cache_get(driver->core->cache, "arbiter", "");
    return value == NULL && entry != NULL ? cache_value(entry) : value;
}

static enum err_code
open_config(struct driver *driver, const struct arbiter_config *config, struct arbiter **ret,
            struct err *err)
{
    const struct home *home = driver->core->home;
    CLEANUP(freep) char *cert = home_path(home, "node.crt");
    CLEANUP(freep) char *key = home_path(home, "node.key");
    struct arbiter_options options = { .loop = driver->core->loop,
                                       .config = config,
                                       .cluster_id = home->cluster_id,
                                       .node = home->node,
                                       .cert = cert,
                                       .key = key };
    return arbiter_open(&options, ret, err);
}

enum err_code
driver_open_arbiter(struct driver *driver, struct json_object *value, struct arbiter **ret,
                    struct err *err)
{
    struct arbiter_config config = { 0 };
    enum err_code code = ERR_NONE;
    value = arbiter_value(driver, value);
    if (value != NULL)
        code = arbiter_config_read(value, &config, err);
    if (code != ERR_NONE)
        return code;
    if (config.kind == ARBITER_MANUAL) {
        (void)err_set(err, ERR_CONFLICT, "no_arbiter", "there is no arbiter: people decide");
        code = err_mend(err, "baton arbiter set --help");
    } else {
        code = open_config(driver, &config, ret, err);
    }
    arbiter_config_done(&config);
    return code;
}

/* ------------------------------------------------------------------ a change */

struct change {
    struct driver_task task;   /* until the record is made; the writer ends the rest */
    struct driver *driver;     /* borrowed */
    struct arbiter *arbiter;   /* owned; the new one, until its record is made */
    struct json_object *value; /* owned */
    char author[DRIVER_WHO_SIZE];
    char reason[WRITER_REASON_SIZE_MAX + 1];
    driver_answer *done;
    void *data;
};

static void
close_later(void *context)
{
    arbiter_close(context);
}

static void
end_change(struct change *change, struct json_object *document, const struct err *err)
{
    struct change copy = *change;
    list_remove(&change->task.node);
    free(change);
    if (copy.arbiter != NULL) /* we may be inside of its answer */
        copy.driver->port.after(copy.driver, 0, close_later, copy.arbiter);
    copy.driver->changes_arbiter = false;
    driver_lease_configure(copy.driver); /* ends the HOLD, whichever arbiter it is */
    copy.done(copy.data, document, err);
    json_putp(&copy.value);
}

static void
on_row_written(void *data, const struct writer_result *result, const struct err *err)
{
    struct change *change = data;
    CLEANUP(json_putp) struct json_object *document = NULL;
    if (err == NULL) {
        document = json_object_new_object();
        json_add_u64(document, "revision", result->revision);
        json_add(document, "arbiter", json_object_get(change->value));
        tail_poke(change->driver->core->tail);
    }
    end_change(change, document, err);
}

static void
write_row(struct change *change)
{
    struct err err;
    struct json_object *group = writer_group(change->author, change->reason);
    writer_group_put(group, "arbiter", "", json_object_get(change->value), WRITER_ANY_REVISION);
    if (writer_submit(change->driver->core->writer, group, 0, on_row_written, change, NULL, &err) !=
        ERR_NONE)
        end_change(change, NULL, &err);
}

static void
stop_change(struct driver_task *task, const struct err *err)
{
    struct change *change = CONTAINER_OF(task, struct change, task);
    arbiter_close(take_ptr(&change->arbiter));
    end_change(change, NULL, err);
}

static void
on_created(void *data, const struct arbiter_reply *reply)
{
    struct change *change = data;
    struct err err;
    char text[EPOCH_TEXT_SIZE];
    list_remove(&change->task.node);
    if (reply->result == ARBITER_DONE) {
        write_row(change);
        return;
    }
    if (reply->result == ARBITER_EXISTS) {
        (void)err_set(&err, ERR_CONFLICT, "arbiter_has_record",
                      "that arbiter has a record of this cluster already, of epoch %s",
                      reply->has_record ? epoch_text(&reply->epoch, text) : "?");
        (void)err_mend(&err, "if no other cluster lives by it: the same with --adopt");
    } else {
        (void)err_set(
            &err, ERR_UNAVAILABLE, "arbiter_unreachable", "the record was not made there: %s",
            reply->err.text[0] == '\0' ? arbiter_result_name(reply->result) : reply->err.text);
        (void)err_mend(&err, "%s",
                       reply->err.mend[0] == '\0' ? "check its address, its CA and that it runs"
                                                  : reply->err.mend);
    }
    end_change(change, NULL, &err);
}

/* Who acted before us may still be granted his lease by the arbiter of now, and would never hear
 * that we have turned to another (I9). */
static enum err_code
refuse_to_turn(const struct driver *driver, struct err *err)
{
    (void)err_set(err, ERR_CONFLICT, "lease_not_held",
                  "the arbiter of now has not let %s act, so another node may still act by it: %s",
                  driver->node.self, driver->lease.reason);
    return err_mend(err, "wait until baton arbiter show says that it may; when you know that no "
                         "other node acts or can begin to: the same with --adopt");
}

static enum err_code
start_change(struct change *change, struct json_object *value, bool adopt, struct err *err)
{
    struct driver *driver = change->driver;
    struct arbiter_config config = { 0 };
    if (driver->changes_arbiter)
        return err_set(err, ERR_CONFLICT, "arbiter_changes", "the arbiter is being changed");
    if (driver_set_is_telling(driver)) {
        (void)err_set(err, ERR_CONFLICT, "arbiter_changes",
                      "who acknowledges is just being changed, or the arbiter is being told of it");
        return err_mend(err, "try again in a moment; if it stays so, baton status shows who does "
                             "not acknowledge");
    }
    enum err_code code = arbiter_config_read(value, &config, err);
    if (code != ERR_NONE)
        return code;
    if (!adopt && !driver->leased) {
        arbiter_config_done(&config);
        return refuse_to_turn(driver, err);
    }
    bool manual = config.kind == ARBITER_MANUAL;
    if (!manual)
        code = open_config(driver, &config, &change->arbiter, err);
    arbiter_config_done(&config);
    if (code != ERR_NONE)
        return code;
    driver->changes_arbiter = true;
    if (manual) {
        write_row(change);
        return ERR_NONE;
    }
    const struct setting_source *source = cache_settings(driver->core->cache);
    struct quorum_note note = driver_set_note(driver);
    CLEANUP(freep) char *text = quorum_note_text(&note);
    struct arbiter_ask ask = { .op = ARBITER_OP_CREATE,
                               .number = note.number,
                               .note = text,
                               .epoch = driver->node.own.epoch,
                               .lease_ms = (uint32_t)setting_u64(SETTING_LEASE_TTL_MS, source),
                               .deadline_ms = CHANGE_CREATE_MS,
                               .adopt = adopt };
    driver_lease_hold(driver);
    change->task.stop = stop_change;
    list_add_tail(&driver->tasks, &change->task.node);
    (void)arbiter_start(change->arbiter, &ask, on_created, change);
    return ERR_NONE;
}

struct forwarded {
    driver_answer *done;
    void *data;
};

static void
on_forwarded(void *context, struct json_object *document, const struct err *err)
{
    struct forwarded forwarded = *(struct forwarded *)context;
    free(context);
    forwarded.done(forwarded.data, document, err);
}

static void
forward(struct driver *driver, struct json_object *document, const char *author,
        driver_answer *done, void *data)
{
    struct driver_primary primary = driver_primary(driver);
    struct err err;
    if (primary.name[0] == '\0' || primary.self) {
        (void)err_set(&err, ERR_UNAVAILABLE, "no_primary",
                      "only the primary changes the arbiter, and there is none that is open");
        (void)err_mend(&err, "baton status");
        done(data, NULL, &err);
        return;
    }
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    struct forwarded *forwarded = mem_zero(1, sizeof *forwarded);
    *forwarded = (struct forwarded){ .done = done, .data = data };
    json_add_string(body, "author", author);
    json_add(body, "change", json_object_get(document));
    driver_ask(driver, primary.name, "/v1/peer/arbiter", body, CHANGE_FORWARD_MS, on_forwarded,
               forwarded);
}

void
driver_set_arbiter(struct driver *driver, struct json_object *document, const char *author,
                   driver_answer *done, void *data)
{
    struct err err;
    bool adopt = false;
    const char *reason = "";
    struct json_object *value = json_get(document, "arbiter");
    if (driver->node.state != NODE_PRIMARY) {
        forward(driver, document, author, done, data);
        return;
    }
    (void)!json_get_bool(document, "adopt", &adopt);
    (void)!json_get_string(document, "reason", &reason);
    struct change *change = mem_zero(1, sizeof *change);
    *change = (struct change){ .driver = driver, .done = done, .data = data };
    list_init(&change->task.node);
    (void)snprintf(change->author, sizeof change->author, "%s", author);
    (void)snprintf(change->reason, sizeof change->reason, "%s", reason);
    change->value = json_object_get(value);
    if (start_change(change, value, adopt, &err) == ERR_NONE)
        return;
    json_putp(&change->value);
    arbiter_close(change->arbiter);
    free(change);
    done(data, NULL, &err);
}

/* ------------------------------------------------------------------ a test */

struct test {
    struct driver_task task;
    struct driver *driver;   /* borrowed */
    struct arbiter *arbiter; /* owned */
    bool in_force;           /* it is the one that is set */
    repl_reply_fn *done;
    void *context;
};

static struct json_object *
record_json(const struct epoch *epoch, bool released, uint64_t remaining_ms, uint64_t age_ms)
{
    char text[EPOCH_TEXT_SIZE];
    struct json_object *record = json_object_new_object();
    json_add_string(record, "epoch", epoch_text(epoch, text));
    json_add_bool(record, "released", released);
    json_add_u64(record, "remaining_ms", remaining_ms);
    json_add_u64(record, "age_ms", age_ms);
    return record;
}

/* What the answer means to a person, and what to do about it. */
struct said {
    bool ok; /* as it should be */
    char text[ERR_TEXT_SIZE];
    const char *mend; /* borrowed */
};

static void
say_record(const struct arbiter_reply *reply, bool in_force, struct said *ret)
{
    char text[EPOCH_TEXT_SIZE];
    ret->ok = true;
    (void)snprintf(ret->text, sizeof ret->text, "it answers, and %s, of epoch %s",
                   in_force ? "has the record" : "has a record of this cluster already",
                   epoch_text(&reply->epoch, text));
    if (!in_force)
        ret->mend = "to use it all the same: baton arbiter set with --adopt";
}

static void
say_result(const struct arbiter_reply *reply, bool in_force, struct said *ret)
{
    *ret = (struct said){ .mend = "" };
    switch (reply->result) {
    case ARBITER_DONE:
        say_record(reply, in_force, ret);
        return;
    case ARBITER_EMPTY:
        ret->ok = !in_force;
        (void)snprintf(ret->text, sizeof ret->text, "it answers, %s",
                       in_force ? "but has lost the record of this cluster"
                                : "and knows nothing of this cluster yet");
        if (in_force)
            ret->mend = "find out how; then the same baton arbiter set as before";
        return;
    case ARBITER_RESTORED:
        (void)snprintf(ret->text, sizeof ret->text,
                       "it answers, but has forgotten an epoch that it had granted");
        ret->mend = "find out how; then the same baton arbiter set as before, with --adopt";
        return;
    case ARBITER_GRANTED: /* no answers to READ */
    case ARBITER_HELD:
    case ARBITER_STALE:
    case ARBITER_EXPIRED:
    case ARBITER_EXISTS:
    case ARBITER_UNCLEAR:
        break;
    }
    (void)snprintf(ret->text, sizeof ret->text, "%s", reply->err.text);
    ret->mend =
        reply->err.mend[0] == '\0' ? "check its address, its CA and that it runs" : reply->err.mend;
}

static struct test
end_test(struct test *test)
{
    struct test copy = *test;
    list_remove(&test->task.node);
    free(test);
    return copy;
}

static void
stop_test(struct driver_task *task, const struct err *err)
{
    struct test test = end_test(CONTAINER_OF(task, struct test, task));
    arbiter_close(test.arbiter);
    test.done(test.context, NULL, err);
}

static void
on_tested(void *data, const struct arbiter_reply *reply)
{
    struct test test = end_test(data);
    CLEANUP(json_putp) struct json_object *answer = json_object_new_object();
    struct said said;
    say_result(reply, test.in_force, &said);
    json_add_bool(answer, "ok", said.ok);
    json_add_string(answer, "result", arbiter_result_name(reply->result));
    json_add_string(answer, "text", said.text);
    json_add_string(answer, "mend", said.mend);
    json_add_u64(answer, "ms", reply->answered_ms - reply->sent_ms);
    json_add(answer, "record",
             reply->has_record ? record_json(&reply->epoch, reply->released, reply->remaining_ms, 0)
                               : NULL);
    test.driver->port.after(test.driver, 0, close_later, test.arbiter); /* we are inside of it */
    test.done(test.context, answer, NULL);
}

void
driver_test_arbiter_here(struct driver *driver, struct json_object *document, repl_reply_fn *done,
                         void *context)
{
    const struct cache_entry *entry = cache_get(driver->core->cache, "arbiter", "");
    struct arbiter *arbiter = NULL;
    struct err err;
    if (driver_open_arbiter(driver, json_get(document, "arbiter"), &arbiter, &err) != ERR_NONE) {
        done(context, NULL, &err);
        return;
    }
    struct test *test = mem_zero(1, sizeof *test);
    *test = (struct test){ .task = { .stop = stop_test },
                           .driver = driver,
                           .arbiter = arbiter,
                           .in_force = json_get(document, "arbiter") == NULL,
                           .done = done,
                           .context = context };
    struct arbiter_ask ask = { .op = ARBITER_OP_READ, .deadline_ms = TEST_MS };
    if (test->in_force && driver->lease.memory.arbiter == entry->revision)
        ask.known = driver->lease.memory.seen;
    list_add_tail(&driver->tasks, &test->task.node);
    (void)arbiter_start(arbiter, &ask, on_tested, test);
}

void
driver_test_arbiter(struct driver *driver, const char *only, struct json_object *document,
                    driver_answer *done, void *data)
{
    struct driver_question question = { .only = only,
                                        .path = "/v1/peer/arbiter/test",
                                        .body = document,
                                        .timeout_ms = TEST_FORWARD_MS,
                                        .self = driver_test_arbiter_here };
    struct arbiter *arbiter = NULL;
    struct err err;
    /* what nobody can ask is refused once, and not by each */
    if (driver_open_arbiter(driver, json_get(document, "arbiter"), &arbiter, &err) != ERR_NONE) {
        done(data, NULL, &err);
        return;
    }
    arbiter_close(arbiter);
    driver_ask_all(driver, &question, done, data);
}

/* ------------------------------------------------------------------ as it is */

static struct json_object *
set_json(const struct cache_entry *entry)
{
    if (entry == NULL)
        return NULL;
    struct json_object *set = json_object_new_object();
    json_add_u64(set, "revision", entry->revision);
    json_add_string(set, "author", entry->author);
    json_add_string(set, "at", entry->at);
    return set;
}

struct json_object *
driver_lease_json(struct driver *driver)
{
    const struct lease *lease = &driver->lease;
    uint64_t now_ms = clock_now_ms();
    struct json_object *object = json_object_new_object();
    const struct cache_entry *entry = cache_get(driver->core->cache, "arbiter", "");
    json_add_string(object, "node", driver->node.self);
    const char *kind = cache_loaded(driver->core->cache) ? arbiter_kind_name(ARBITER_MANUAL) : NULL;
    if (entry != NULL)
        (void)!json_get_string(cache_value(entry), "kind", &kind);
    json_add_string(object, "kind", kind);
    json_add(object, "arbiter", entry == NULL ? NULL : json_object_get(cache_value(entry)));
    json_add(object, "set", set_json(entry));
    json_add_string(object, "state", driver->lease_loaded ? lease_state_name(lease->state) : NULL);
    json_add_string(object, "reason", lease->reason);
    json_add_string(object, "alarm", lease_alarm_name(lease->alarm));
    json_add_string(object, "trouble", lease->trouble);
    json_add_bool(object, "may_act", driver->leased);
    json_add(object, "left_ms",
             lease->deadline_ms <= now_ms ? NULL
                                          : json_object_new_uint64(lease->deadline_ms - now_ms));
    struct json_object *record = NULL;
    if (lease->known) {
        uint64_t age_ms = now_ms - lease->record_ms;
        uint64_t left_ms =
            lease->record.remaining_ms > age_ms ? lease->record.remaining_ms - age_ms : 0;
        record = record_json(&lease->record.epoch, lease->record.released, left_ms, age_ms);
    }
    json_add(object, "record", record);
    return object;
}
