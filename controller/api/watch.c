/*
 * watch.c -- is it alive, is it ready, is it primary; version; the doctor's checks.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "controller/api/serve.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/daemon/admit.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/view.h"
#include "controller/loop/cert.h"
#include "controller/loop/pq.h"
#include "controller/postgres/inspect.h"

static void
reply_health(struct call *call, bool ok, const char *text)
{
    struct json_object *document = json_object_new_object();
    json_add_bool(document, "ok", ok);
    json_add_string(document, "text", text);
    call_reply(call, ok ? 200 : 503, document);
}

void
serve_healthz(struct call *call)
{
    reply_health(call, true, "alive");
}

void
serve_readyz(struct call *call)
{
    const char *reason = "";
    char text[EPOCH_TEXT_SIZE + 32];
    char epoch[EPOCH_TEXT_SIZE];
    struct core *core = call->api->core;
    bool ready = view_ready(core, &reason);
    if (ready) {
        struct driver_primary primary = driver_primary(core->driver);
        (void)snprintf(text, sizeof text, "%s of epoch %s", primary.self ? "primary" : "standby",
                       epoch_text(&primary.epoch, epoch));
        reason = text;
    }
    reply_health(call, ready, reason);
}

void
serve_primary(struct call *call)
{
    struct core *core = call->api->core;
    enum node_state state = driver_node(core->driver)->state;
    bool open = state == NODE_PRIMARY && writer_mode(core->writer) == WRITER_OPEN;
    reply_health(call, open, open ? "primary" : node_state_name(state));
}

void
serve_standby(struct call *call)
{
    struct core *core = call->api->core;
    const char *reason = "";
    enum node_state state = driver_node(core->driver)->state;
    bool follows = state == NODE_STANDBY && view_ready(core, &reason);
    reply_health(call, follows, follows ? "standby" : node_state_name(state));
}

void
serve_version(struct call *call)
{
    struct json_object *document = json_object_new_object();
    json_add_string(document, "version", BATON_VERSION);
    json_add_u64(document, "api", 1);
    json_add_string(document, "node", call->api->core->home->node);
    call_reply(call, 200, document);
}

/* ---- doctor ---- */

/* Checks of one kind of result; the list is ordered when it is complete. */
struct doctor {
    struct json_object *lists[3]; /* fail, warn, ok: owned arrays */
};

static void
doctor_free(void *state)
{
    struct doctor *doctor = state;
    for (size_t i = 0; i < ARRAY_COUNT(doctor->lists); i++)
        (void)json_object_put(doctor->lists[i]);
    free(doctor);
}

static void
add_check(struct doctor *doctor, const char *name, enum inspect_state state, const char *text,
          const char *mend)
{
    static const size_t places[] = { [INSPECT_FAIL] = 0, [INSPECT_WARN] = 1, [INSPECT_OK] = 2 };
    struct json_object *check = json_object_new_object();
    json_add_string(check, "name", name);
    json_add_string(check, "state", inspect_state_name(state));
    json_add_string(check, "text", text);
    json_add_string(check, "mend", mend);
    (void)json_object_array_add(doctor->lists[places[state]], check);
}

static void
check_certificate(struct doctor *doctor, struct core *core, const char *file, const char *name)
{
    struct err err;
    struct cert_info info;
    char text[128];
    CLEANUP(buf_done) struct buf pem = { 0 };
    CLEANUP(freep) char *path = home_path(core->home, file);
    int64_t warn_days = (int64_t)setting_u64(SETTING_ALARM_CERT_DAYS, cache_settings(core->cache));
    if (file_read(path, CERT_PEM_SIZE_MAX, &pem, &err) != ERR_NONE ||
        cert_read(buf_text(&pem), &info, &err) != ERR_NONE) {
        add_check(doctor, name, INSPECT_FAIL, err.text, "restore it from a backup, or join anew");
        return;
    }
    int64_t days = (info.not_after_s - clock_wall_ms() / 1000) / 86400;
    (void)snprintf(text, sizeof text, "%s ends in %lld days", file, (long long)days);
    enum inspect_state state = days < 7           ? INSPECT_FAIL
                               : days < warn_days ? INSPECT_WARN
                                                  : INSPECT_OK;
    add_check(doctor, name, state, text,
              state == INSPECT_OK ? "" : "it is renewed by itself; look for cert.renew in the log");
}

static void
check_disk(struct doctor *doctor, struct core *core)
{
    struct statvfs disk;
    char text[160];
    uint64_t least_mb = setting_u64(SETTING_ALARM_DISK_FREE_MB, cache_settings(core->cache));
    if (statvfs(core->home->folder, &disk) != 0) {
        add_check(doctor, "disk", INSPECT_FAIL, "the data directory cannot be looked at", "");
        return;
    }
    uint64_t free_mb = (uint64_t)disk.f_bavail * disk.f_frsize / (1024 * 1024);
    (void)snprintf(text, sizeof text, "%llu MB are free, alarm.disk_free_mb is %llu",
                   (unsigned long long)free_mb, (unsigned long long)least_mb);
    add_check(doctor, "disk", free_mb < least_mb ? INSPECT_FAIL : INSPECT_OK, text,
              free_mb < least_mb ? "make room, or give the data directory a larger disk" : "");
}

static void
check_node(struct doctor *doctor, struct core *core)
{
    const char *reason = "";
    bool ready = view_ready(core, &reason);
    add_check(doctor, "node", ready ? INSPECT_OK : INSPECT_FAIL,
              ready ? "is primary, or follows the primary" : reason,
              ready ? "" : "see which members answer: baton status");
    CLEANUP(json_putp) struct json_object *alarms = view_alarms(core);
    if (!json_object_is_type(alarms, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(alarms); i++) {
        struct json_object *alarm = json_object_array_get_idx(alarms, i);
        const char *name = "alarm";
        const char *text = "";
        (void)!json_get_string(alarm, "name", &name);
        (void)!json_get_string(alarm, "text", &text);
        add_check(doctor, name, INSPECT_WARN, text, "");
    }
}

static void
check_members(struct doctor *doctor, struct core *core)
{
    CLEANUP(json_putp) struct json_object *document = view_nodes(core);
    struct json_object *nodes = json_get(document, "nodes");
    if (!json_object_is_type(nodes, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(nodes); i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);
        const char *name = "";
        const char *role = "unknown";
        const char *reason = "";
        const char *digest = "unknown";
        (void)!json_get_string(node, "name", &name);
        (void)!json_get_string(node, "role", &role);
        (void)!json_get_string(node, "reason", &reason);
        (void)!json_get_string(node, "digest", &digest);
        CLEANUP(freep) char *label = str_printf("member.%s", name);
        CLEANUP(freep)
        char *text =
            str_printf("%s, log %s%s%s", role, digest, *reason == '\0' ? "" : ": ", reason);
        bool bad = strcmp(role, "unknown") == 0 || strcmp(role, "fenced") == 0 ||
                   strcmp(digest, "different") == 0;
        add_check(doctor, label, bad ? INSPECT_WARN : INSPECT_OK, text,
                  bad ? "run baton doctor there" : "");
    }
}

size_t
doc_member_count(const struct cache *cache)
{
    size_t count = 0;
    const struct cache_entry *entry;
    for (size_t at = 0; (entry = cache_next(cache, "node/", "", &at)) != NULL;) {
        bool removed = false;
        if (!json_get_bool(cache_value(entry), "removed", &removed) || !removed)
            count++;
    }
    return count == 0 ? 1 : count;
}

static void
reply_doctor(struct call *call)
{
    struct doctor *doctor = call->state;
    struct json_object *document = json_object_new_object();
    struct json_object *checks = json_object_new_array();
    for (size_t i = 0; i < ARRAY_COUNT(doctor->lists); i++) {
        for (size_t j = 0; j < json_object_array_length(doctor->lists[i]); j++)
            (void)json_object_array_add(
                checks, json_object_get(json_object_array_get_idx(doctor->lists[i], j)));
    }
    json_add_string(document, "node", call->api->core->home->node);
    json_add(document, "checks", checks);
    call_reply(call, 200, document);
}

static void
check_schema(struct doctor *doctor, const struct core *core)
{
    const struct err *fault = admit_fault(core->admit);
    const struct err *tls = admit_tls_fault(core->admit);
    CLEANUP(freep) char *text = str_printf("schema %u, as this program knows it", core->schema);
    if (fault != NULL)
        add_check(doctor, "schema", INSPECT_FAIL, fault->text, fault->mend);
    else if (core->schema != 0)
        add_check(doctor, "schema", INSPECT_OK, text, "");
    if (tls != NULL)
        add_check(doctor, "pg.certificate", INSPECT_FAIL, tls->text, tls->mend);
}

static void
on_probed(void *data, const struct err *err)
{
    struct call *call = data;
    if (err == NULL)
        add_check(call->state, "pg.members", INSPECT_OK, "other members can connect", "");
    else
        add_check(call->state, "pg.members", INSPECT_FAIL, err->text, err->mend);
    reply_doctor(call);
}

static void
on_inspected(void *data, const PGresult *result, const struct err *err, bool warned)
{
    (void)warned;
    struct call *call = data;
    struct doctor *doctor = call->state;
    struct err fault;
    CLEANUP(freep) struct inspect_report *report = mem_zero(1, sizeof *report);
    if (err == NULL && inspect_read(result, INSPECT_DAEMON, doc_member_count(call_cache(call)),
                                    report, &fault) != ERR_NONE)
        err = &fault;
    if (err != NULL)
        add_check(doctor, "postgresql", INSPECT_FAIL, err->text, "look at the log of PostgreSQL");
    for (size_t i = 0; err == NULL && i < report->count; i++)
        add_check(doctor, report->list[i].name, report->list[i].state, report->list[i].text,
                  report->list[i].mend);
    admit_probe(call->api->core, on_probed, call);
}

static void
check_database(struct call *call)
{
    if (pq_state(call->api->pq) == PQ_READY) {
        (void)inspect_send(call->api->pq, on_inspected, call);
        return;
    }
    add_check(call->state, "postgresql", INSPECT_FAIL, "the database of this node does not answer",
              "look at the log of PostgreSQL and of batond");
    reply_doctor(call);
}

static void
on_arbiter(void *data, struct json_object *document, const struct err *err)
{
    struct call *call = data;
    struct json_object *answer = NULL;
    const char *text = err == NULL ? "this node has no answer of it" : err->text;
    const char *mend = err == NULL ? "" : err->mend;
    bool none = err != NULL && err->code == ERR_CONFLICT;
    bool ok = none;
    if (err == NULL)
        answer = json_get(json_object_array_get_idx(json_get(document, "nodes"), 0), "answer");
    (void)!json_get_bool(answer, "ok", &ok);
    (void)!json_get_string(answer, "text", &text);
    (void)!json_get_string(answer, "mend", &mend);
    add_check(call->state, "arbiter", ok ? INSPECT_OK : INSPECT_FAIL, text, none ? "" : mend);
    check_database(call);
}

/* From this node: each that could take over must reach it. */
static void
check_arbiter(struct call *call)
{
    struct core *core = call->api->core;
    driver_test_arbiter(core->driver, core->home->node, NULL, on_arbiter, call);
}

void
serve_doctor(struct call *call)
{
    struct core *core = call->api->core;
    struct doctor *doctor = mem_zero(1, sizeof *doctor);
    for (size_t i = 0; i < ARRAY_COUNT(doctor->lists); i++)
        doctor->lists[i] = json_object_new_array();
    call->state = doctor;
    call->state_free = doctor_free;
    check_node(doctor, core);
    check_members(doctor, core);
    check_certificate(doctor, core, "node.crt", "certificate");
    check_certificate(doctor, core, "ca.crt", "ca");
    check_disk(doctor, core);
    check_schema(doctor, core);
    check_arbiter(call);
}
