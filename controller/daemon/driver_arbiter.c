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

struct change {
    struct driver *driver;     /* borrowed */
    struct arbiter *arbiter;   /* owned; the new one, until its record is made */
    struct json_object *value; /* owned */
    char author[DRIVER_WHO_SIZE];
    char reason[PROMO_TEXT_SIZE];
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
on_created(void *data, const struct arbiter_reply *reply)
{
    struct change *change = data;
    struct err err;
    char text[EPOCH_TEXT_SIZE];
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

static enum err_code
start_change(struct change *change, struct json_object *value, bool adopt, struct err *err)
{
    struct driver *driver = change->driver;
    const struct home *home = driver->core->home;
    struct arbiter_config config = { 0 };
    CLEANUP(freep) char *cert = home_path(home, "node.crt");
    CLEANUP(freep) char *key = home_path(home, "node.key");
    if (driver->changes_arbiter)
        return err_set(err, ERR_CONFLICT, "arbiter_changes", "the arbiter is being changed");
    enum err_code code = arbiter_config_read(value, &config, err);
    if (code != ERR_NONE)
        return code;
    bool manual = config.kind == ARBITER_MANUAL;
    struct arbiter_options options = { .loop = driver->core->loop,
                                       .config = &config,
                                       .cluster_id = home->cluster_id,
                                       .node = home->node,
                                       .cert = cert,
                                       .key = key };
    if (!manual)
        code = arbiter_open(&options, &change->arbiter, err);
    arbiter_config_done(&config);
    if (code != ERR_NONE)
        return code;
    driver->changes_arbiter = true;
    if (manual) {
        write_row(change);
        return ERR_NONE;
    }
    const struct setting_source *source = cache_settings(driver->core->cache);
    struct arbiter_ask ask = { .op = ARBITER_OP_CREATE,
                               .epoch = driver->node.own.epoch,
                               .lease_ms = (uint32_t)setting_u64(SETTING_LEASE_TTL_MS, source),
                               .deadline_ms = CHANGE_CREATE_MS,
                               .adopt = adopt };
    driver_lease_hold(driver);
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

struct json_object *
driver_lease_json(struct driver *driver)
{
    const struct lease *lease = &driver->lease;
    uint64_t now_ms = clock_now_ms();
    char text[EPOCH_TEXT_SIZE];
    struct json_object *object = json_object_new_object();
    const struct cache_entry *entry = cache_get(driver->core->cache, "arbiter", "");
    json_add_string(object, "kind", arbiter_kind_name(driver->arbiter_kind));
    json_add(object, "arbiter", entry == NULL ? NULL : json_object_get(cache_value(entry)));
    json_add_string(object, "state",
                    driver->lease_loaded ? lease_state_name(lease->state) : "NONE");
    json_add_string(object, "reason", lease->reason);
    json_add_string(object, "alarm", lease_alarm_name(lease->alarm));
    json_add_bool(object, "may_act", driver->leased);
    json_add(object, "left_ms",
             lease->deadline_ms <= now_ms ? NULL
                                          : json_object_new_uint64(lease->deadline_ms - now_ms));
    struct json_object *record = NULL;
    if (lease->known) {
        uint64_t age_ms = now_ms - lease->record_ms;
        record = json_object_new_object();
        json_add_string(record, "epoch", epoch_text(&lease->record.epoch, text));
        json_add_bool(record, "released", lease->record.released);
        json_add_u64(record, "remaining_ms",
                     lease->record.remaining_ms > age_ms ? lease->record.remaining_ms - age_ms : 0);
        json_add_u64(record, "age_ms", age_ms);
    }
    json_add(object, "record", record);
    return object;
}
