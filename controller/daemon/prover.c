#include "controller/daemon/prover.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/daemon/acting.h"
#include "controller/daemon/driver_inner.h"
#include "controller/loop/pq.h"
#include "controller/loop/signature.h"
#include "sites/ready.h"
#include "sites/setting.h"
#include "sql.h"

#define PROVER_SOON_MS    300 /* one statement for many changes */
#define PROVER_TIMEOUT_MS 5000
#define PROVER_WHAT       "statement"

/* What one member told, or we did. */
struct told {
    char node[NODE_NAME_SIZE];
    char id[PROVER_ID_SIZE]; /* of what was taken or refused; "" for nothing yet */
    bool asking;
    struct json_object *signed_as; /* owned */
    struct json_object *statement; /* owned; NULL: it does not count */
    uint64_t taken_ms;
    uint64_t age_ms; /* it had then */
    char fault[PROVER_TEXT_SIZE];
};

/* Since when a site is not ready, as far as anybody has looked. */
struct lasting {
    char site[SITE_NAME_SIZE];
    uint64_t since_ms; /* 0: it is ready */
};

struct prover {
    struct core *core; /* borrowed */
    ev_timer alarm;
    struct cache_watcher watcher;
    struct told told[NODE_MEMBERS_MAX + 1]; /* ours is the first */
    size_t count;
    struct lasting sites[NODE_MEMBERS_MAX + 1];
    struct json_object *slot; /* owned; the worst, as last looked at; NULL: none */
    bool slot_asked;
};

static struct told *
find_told(const struct prover *prover, const char *node)
{
    for (size_t i = 0; i < prover->count; i++) {
        if (strcmp(prover->told[i].node, node) == 0)
            return (struct told *)&prover->told[i];
    }
    return NULL;
}

static void
forget(struct told *told)
{
    json_putp(&told->signed_as);
    json_putp(&told->statement);
}

static enum err_code
read_pem(const struct core *core, const char *name, struct buf *into, struct err *err)
{
    CLEANUP(freep) char *path = home_path(core->home, name);
    return file_read(path, CERT_PEM_SIZE_MAX, into, err);
}

/* For what holds a private key. */
static void
wipe(struct buf *text)
{
    char *secret = buf_take(text);
    cert_secret_freep(&secret);
}

/* ------------------------------------------------------------------ what is told */

struct keys {
    struct json_object *list;
    const struct setting_source *source;
    uint8_t secret[SIGNATURE_KEY_SIZE];
};

static void
add_key(struct keys *keys, enum setting_id id, const char *key)
{
    CLEANUP(setting_value_done) struct setting_value value;
    char digest[SIGNATURE_DIGEST_SIZE];
    setting_resolve(setting_row(id), key, keys->source, &value);
    signature_digest(keys->secret, key, value.value == NULL ? "" : json_text(value.value), digest);
    struct json_object *object = json_object_new_object();
    json_add_string(object, "key", key);
    json_add_string(object, "digest", digest);
    (void)json_object_array_add(keys->list, object);
}

/* Which server is used says something only where there are two. */
static void
add_flags(struct keys *keys, struct json_object *records)
{
    for (size_t i = 0; i < json_object_array_length(records); i++) {
        struct json_object *record = json_object_array_get_idx(records, i);
        const char *name;
        char key[SETTING_KEY_SIZE_MAX + 1];
        bool alternate = false;
        if (!json_get_string(record, "connector", &name) ||
            !json_get_bool(record, "alternate", &alternate) || !alternate)
            continue;
        (void)snprintf(key, sizeof key, "connector/%s/use_alternate_server", name);
        add_key(keys, SETTING_USE_ALTERNATE, key);
    }
}

/* Of the settings that have to go together; NULL without the cluster's key. */
static struct json_object *
keys_json(const struct prover *prover, struct json_object *records)
{
    struct keys keys = { .source = cache_settings(prover->core->cache) };
    CLEANUP(buf_done) struct buf ca = { 0 };
    struct err err;
    enum err_code code = read_pem(prover->core, "ca.key", &ca, &err);
    if (code == ERR_NONE)
        code = signature_subkey(buf_text(&ca), "drift", keys.secret, &err);
    wipe(&ca);
    if (code != ERR_NONE) {
        log_warn("prover.keys", "reason=\"%s\"", err.text);
        return NULL;
    }
    keys.list = json_object_new_array();
    for (int id = 0; id < SETTING_COUNT; id++) {
        const struct setting_row *row = setting_row((enum setting_id)id);
        if (setting_drift(row->id) != SETTING_DRIFT_FREE && strchr(row->name, '*') == NULL)
            add_key(&keys, row->id, row->name);
    }
    add_flags(&keys, records);
    return keys.list;
}

static void
add_disk(const struct core *core, struct json_object *object)
{
    struct statvfs disk;
    json_add_u64(object, "disk_least_mb",
                 setting_u64(SETTING_ALARM_DISK_FREE_MB, cache_settings(core->cache)));
    if (statvfs(core->home->folder, &disk) == 0)
        json_add_u64(object, "disk_free_mb",
                     (uint64_t)disk.f_bavail * disk.f_frsize / (1024 * 1024));
}

/* Of our own database; of one on another host only itself knows. */
static struct json_object *
wal_json(const struct prover *prover)
{
    const struct core *core = prover->core;
    struct json_object *object = json_object_new_object();
    struct statvfs disk;
    struct stat own;
    struct stat wal;
    CLEANUP(freep) char *path = home_path(core->home, "pg/data/pg_wal");
    if (core->managed != NULL && statvfs(path, &disk) == 0 && stat(path, &wal) == 0 &&
        stat(core->home->folder, &own) == 0) {
        json_add_u64(object, "free_mb", (uint64_t)disk.f_bavail * disk.f_frsize / (1024 * 1024));
        json_add_bool(object, "apart", own.st_dev != wal.st_dev);
    }
    json_add(object, "slot", json_object_get(prover->slot));
    return object;
}

static struct json_object *
slot_json(const PGresult *result)
{
    if (PQntuples(result) == 0)
        return NULL;
    struct json_object *object = json_object_new_object();
    json_add_string(object, "name", pq_text(result, 0, "name"));
    json_add_string(object, "state", pq_text(result, 0, "wal_status"));
    json_add_bool(object, "active", strcmp(pq_text(result, 0, "active"), "t") == 0);
    json_add_u64(object, "kept_mb", pq_u64(result, 0, "kept_mb"));
    json_add_u64(object, "most_mb", pq_u64(result, 0, "most_mb"));
    return object;
}

static bool
is_full(struct json_object *object)
{
    struct ready_slot slot = { .name = "", .state = "" };
    if (!json_get_string(object, "name", &slot.name) ||
        !json_get_string(object, "state", &slot.state) ||
        !json_get_u64(object, "kept_mb", &slot.kept_mb) ||
        !json_get_u64(object, "most_mb", &slot.most_mb))
        return false;
    return ready_slot_is_full(&slot);
}

/* The next statement tells it; at once, when it decides something. */
static void
on_slot(void *data, const PGresult *result, const struct err *err, bool warned)
{
    struct prover *prover = data;
    bool before = is_full(prover->slot);
    (void)warned;
    prover->slot_asked = false;
    if (err != NULL)
        return; /* "database" of the statement says so, if it lasts */
    json_putp(&prover->slot);
    prover->slot = slot_json(result);
    if (is_full(prover->slot) != before)
        prover_soon(prover);
}

static void
ask_slot(struct prover *prover)
{
    if (prover->slot_asked || pq_state(prover->core->ctl) != PQ_READY)
        return;
    prover->slot_asked = true;
    (void)pq_query(prover->core->ctl, sql_wal_kept, 0, NULL, on_slot, prover);
}

static struct json_object *
statement_json(const struct prover *prover)
{
    const struct core *core = prover->core;
    const struct driver *driver = core->driver;
    struct node_facts facts = driver_own_facts(driver);
    struct json_object *object = json_object_new_object();
    struct json_object *records = acting_records(core->acting);
    const char *postgres = pq_parameter(core->ctl, "server_version");
    char text[EPOCH_TEXT_SIZE];
    char now[CLOCK_TEXT_SIZE];
    json_add_string(object, "cluster", core->home->cluster_id);
    json_add_string(object, "node", core->home->node);
    json_add_string(object, "site", core->home->site);
    json_add_string(object, "made", clock_wall_text(clock_wall_ms(), now));
    json_add_string(object, "epoch", epoch_text(&facts.applied.epoch, text));
    json_add_u64(object, "revision", facts.applied.revision);
    json_add_string(object, "version", BATON_VERSION);
    json_add_u64(object, "schema", facts.schema);
    json_add_u64(object, "postgres", postgres == NULL ? 0 : strtoull(postgres, NULL, 10));
    json_add_bool(object, "database", driver->node.database);
    json_add_string(object, "arbiter",
                    driver->arbiter_kind == ARBITER_MANUAL ? "" : driver->lease.trouble);
    add_disk(core, object);
    json_add(object, "wal", wal_json(prover));
    if (driver->certificate_days >= 0)
        json_add_u64(object, "certificate_days", (uint64_t)driver->certificate_days);
    json_add(object, "keys", keys_json(prover, records));
    json_add(object, "records", records);
    return object;
}

/* ------------------------------------------------------------------ ours */

static enum err_code
sign(const struct prover *prover, struct json_object *statement, struct json_object **ret,
     struct err *err)
{
    CLEANUP(buf_done) struct buf key = { 0 };
    CLEANUP(buf_done) struct buf certificate = { 0 };
    CLEANUP(freep) char *signature = NULL;
    const char *text = json_text(statement);
    enum err_code code = read_pem(prover->core, "node.crt", &certificate, err);
    if (code == ERR_NONE)
        code = read_pem(prover->core, "node.key", &key, err);
    if (code == ERR_NONE)
        code = signature_make(buf_text(&key), PROVER_WHAT, text, &signature, err);
    wipe(&key);
    if (code != ERR_NONE)
        return code;
    struct json_object *object = json_object_new_object();
    json_add_string(object, "statement", text);
    json_add_string(object, "signature", signature);
    json_add_string(object, "certificate", buf_text(&certificate));
    *ret = object;
    return ERR_NONE;
}

static void
make(struct prover *prover)
{
    struct told *own = &prover->told[0];
    struct json_object *signed_as = NULL;
    CLEANUP(json_putp) struct json_object *statement = statement_json(prover);
    const char *signature = "";
    struct err err;
    forget(own);
    own->id[0] = '\0';
    if (sign(prover, statement, &signed_as, &err) != ERR_NONE) {
        log_warn("prover.sign", "reason=\"%s\"", err.text);
        (void)snprintf(own->fault, sizeof own->fault, "%.*s", PROVER_TEXT_SIZE - 1, err.text);
        return;
    }
    (void)!json_get_string(signed_as, "signature", &signature);
    (void)snprintf(own->id, sizeof own->id, "%.*s", PROVER_ID_SIZE - 1, signature);
    own->signed_as = signed_as;
    own->statement = take_ptr(&statement);
    own->taken_ms = clock_now_ms();
    driver_touch(prover->core->driver);
}

static void
wake_in(struct prover *prover, uint64_t after_ms)
{
    ev_timer_stop(prover->core->loop, &prover->alarm);
    ev_timer_set(&prover->alarm, (double)after_ms / 1000, 0.);
    ev_timer_start(prover->core->loop, &prover->alarm);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    struct prover *prover = CONTAINER_OF(alarm, struct prover, alarm);
    (void)loop, (void)revents;
    if (!cache_loaded(prover->core->cache) || prover->core->stopping)
        return; /* loading it wakes us */
    make(prover);
    ask_slot(prover);
    wake_in(prover, setting_u64(SETTING_READY_INTERVAL_MS, cache_settings(prover->core->cache)));
}

void
prover_soon(struct prover *prover)
{
    if (prover == NULL || prover->core->stopping)
        return;
    if (!ev_is_active(&prover->alarm) ||
        ev_timer_remaining(prover->core->loop, &prover->alarm) > PROVER_SOON_MS / 1000.)
        wake_in(prover, PROVER_SOON_MS);
}

static void
on_changed(struct cache_watcher *watcher, enum cache_change change, const char *key,
           const char *site)
{
    static const char *const prefixes[] = { "connector/", "secret/", "seal/",
                                            "ready.",     "probe.",  "alarm." };
    struct prover *prover = CONTAINER_OF(watcher, struct prover, watcher);
    bool ours = change != CACHE_SHARED;
    (void)site;
    for (size_t i = 0; i < ARRAY_COUNT(prefixes) && !ours; i++)
        ours = str_starts(key, prefixes[i]);
    if (ours)
        prover_soon(prover);
}

const char *
prover_id(const struct prover *prover)
{
    return prover->told[0].id;
}

struct json_object *
prover_answer(const struct prover *prover)
{
    const struct told *own = &prover->told[0];
    struct json_object *object = NULL;
    if (own->signed_as == NULL)
        return NULL;
    ASSERT(json_object_deep_copy(own->signed_as, &object, NULL) == 0);
    json_add_u64(object, "age_ms", clock_now_ms() - own->taken_ms);
    return object;
}

/* ------------------------------------------------------------------ those of others */

static enum err_code
check_signer(const char *certificate, const struct prover_signer *signer, struct err *err)
{
    struct cert_info info;
    if (cert_verify(signer->ca, certificate, signer->now_s, err) != ERR_NONE ||
        cert_read(certificate, &info, err) != ERR_NONE) {
        (void)err_wrap(err, "the certificate of its statement");
        return err->code;
    }
    if (strcmp(info.common_name, signer->login) != 0 ||
        strcmp(info.organization, signer->cluster_id) != 0)
        return err_set(err, ERR_DENIED, "statement", "its statement is signed by '%s'",
                       info.common_name);
    return ERR_NONE;
}

enum err_code
prover_read(struct json_object *answer, const struct prover_signer *signer,
            struct json_object **ret, struct err *err)
{
    const char *text = "";
    const char *signature = "";
    const char *certificate = "";
    const char *node = "";
    const char *cluster = "";
    CLEANUP(json_putp) struct json_object *statement = NULL;
    if (!json_get_string(answer, "statement", &text) ||
        !json_get_string(answer, "signature", &signature) ||
        !json_get_string(answer, "certificate", &certificate))
        return err_set(err, ERR_PROTOCOL, "statement", "what it told is no signed statement");
    if (signer->login[0] == '\0')
        return err_set(err, ERR_DENIED, "statement", "it is not known as a member");
    if (check_signer(certificate, signer, err) != ERR_NONE ||
        signature_check(certificate, PROVER_WHAT, text, signature, err) != ERR_NONE)
        return err->code;
    if (json_read(text, strlen(text), &statement, err) != ERR_NONE)
        return err_set(err, ERR_PROTOCOL, "statement", "its statement is not JSON");
    if (!json_get_string(statement, "node", &node) || strcmp(node, signer->node) != 0 ||
        !json_get_string(statement, "cluster", &cluster) ||
        strcmp(cluster, signer->cluster_id) != 0)
        return err_set(err, ERR_DENIED, "statement", "its statement is about another one");
    *ret = take_ptr(&statement);
    return ERR_NONE;
}

static enum err_code
verify(const struct prover *prover, const char *node, struct json_object *answer,
       struct json_object **ret_statement, struct err *err)
{
    const struct driver_peer *peer = driver_peer(prover->core->driver, node);
    CLEANUP(buf_done) struct buf ca = { 0 };
    if (read_pem(prover->core, "ca.crt", &ca, err) != ERR_NONE)
        return err->code;
    struct prover_signer signer = { .ca = buf_text(&ca),
                                    .cluster_id = prover->core->home->cluster_id,
                                    .node = node,
                                    .login = peer == NULL ? "" : peer->login,
                                    .now_s = clock_wall_ms() / 1000 };
    return prover_read(answer, &signer, ret_statement, err);
}

static void
take(struct prover *prover, struct told *told, struct json_object *answer)
{
    struct err err;
    uint64_t age_ms = 0;
    forget(told);
    told->fault[0] = '\0';
    if (verify(prover, told->node, answer, &told->statement, &err) != ERR_NONE) {
        log_warn("prover.refused", "node=%s reason=\"%s\"", told->node, err.text);
        (void)snprintf(told->fault, sizeof told->fault, "%.*s", PROVER_TEXT_SIZE - 1, err.text);
        return;
    }
    (void)!json_get_u64(answer, "age_ms", &age_ms);
    ASSERT(json_object_deep_copy(answer, &told->signed_as, NULL) == 0);
    json_object_object_del(told->signed_as, "age_ms");
    told->age_ms = age_ms;
    told->taken_ms = clock_now_ms();
}

/* Before its row is read nothing of it could be believed: it is asked later. */
static bool
is_member(const struct prover *prover, const char *node)
{
    const struct driver_peer *peer = driver_peer(prover->core->driver, node);
    return peer != NULL && peer->login[0] != '\0';
}

struct question {
    struct prover *prover; /* borrowed: outlives the driver's questions */
    char node[NODE_NAME_SIZE];
    char id[PROVER_ID_SIZE];
    uint64_t asked_ms;
};

static void
on_answer(void *context, struct json_object *answer, const struct err *err)
{
    struct question *question = context;
    struct prover *prover = question->prover;
    struct told *told = find_told(prover, question->node);
    if (told != NULL) {
        told->asking = false;
        if (err == NULL && is_member(prover, question->node)) {
            (void)snprintf(told->id, sizeof told->id, "%s", question->id);
            take(prover, told, answer);
            told->age_ms +=
                clock_now_ms() - question->asked_ms; /* it may have been long under way */
            driver_touch(prover->core->driver);
        } else if (err != NULL) {
            (void)snprintf(told->fault, sizeof told->fault, "%.*s", PROVER_TEXT_SIZE - 1,
                           err->text);
        }
    }
    free(question);
}

/* The place of a member; of one that has gone there is none any more. */
static struct told *
place_for(struct prover *prover, const char *node)
{
    struct told *told = find_told(prover, node);
    for (size_t i = 1; told == NULL && i < prover->count; i++) {
        if (driver_peer(prover->core->driver, prover->told[i].node) == NULL &&
            !prover->told[i].asking)
            told = &prover->told[i];
    }
    if (told == NULL && prover->count < ARRAY_COUNT(prover->told))
        told = &prover->told[prover->count++];
    if (told != NULL && strcmp(told->node, node) != 0) {
        forget(told);
        *told = (struct told){ 0 };
        (void)snprintf(told->node, sizeof told->node, "%s", node);
    }
    return told;
}

void
prover_heard(struct prover *prover, const char *node, const char *id)
{
    if (!is_member(prover, node))
        return;
    struct told *told = place_for(prover, node);
    if (told == NULL || told->asking || id[0] == '\0' || strcmp(told->id, id) == 0)
        return;
    struct question *question = mem_zero(1, sizeof *question);
    *question = (struct question){ .prover = prover, .asked_ms = clock_now_ms() };
    (void)snprintf(question->node, sizeof question->node, "%s", node);
    (void)snprintf(question->id, sizeof question->id, "%s", id);
    told->asking = true;
    driver_ask(prover->core->driver, node, "/v1/peer/ready", NULL, PROVER_TIMEOUT_MS, on_answer,
               question);
}

struct prover_view
prover_view(const struct prover *prover, const char *node)
{
    const struct told *told = find_told(prover, node);
    if (told == NULL)
        return (struct prover_view){ .fault = "it has told nothing yet" };
    return (struct prover_view){
        .statement = told->statement,
        .signed_as = told->signed_as,
        .age_ms = told->statement == NULL ? 0 : told->age_ms + clock_now_ms() - told->taken_ms,
        .fault = told->fault[0] == '\0' ? "it has told nothing yet" : told->fault,
    };
}

uint64_t
prover_lasts(struct prover *prover, const char *site, bool not_ready)
{
    struct lasting *lasting = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(prover->sites); i++) {
        struct lasting *one = &prover->sites[i];
        bool same = strcmp(one->site, site) == 0;
        if (same || (lasting == NULL && one->since_ms == 0)) /* its place, or a free one */
            lasting = one;
        if (same)
            break;
    }
    if (lasting == NULL)
        return 0;
    uint64_t now_ms = clock_now_ms();
    if (!not_ready)
        lasting->since_ms = 0;
    else if (lasting->since_ms == 0)
        lasting->since_ms = now_ms;
    (void)snprintf(lasting->site, sizeof lasting->site, "%s", site);
    return not_ready ? now_ms - lasting->since_ms : 0;
}

/* ------------------------------------------------------------------ life */

struct prover *
prover_new(struct core *core)
{
    struct prover *prover = mem_zero(1, sizeof *prover);
    prover->core = core;
    prover->count = 1;
    (void)snprintf(prover->told[0].node, sizeof prover->told[0].node, "%s", core->home->node);
    ev_timer_init(&prover->alarm, on_alarm, 0., 0.);
    prover->watcher.changed = on_changed;
    cache_watch(core->cache, &prover->watcher);
    return prover;
}

void
prover_free(struct prover *prover)
{
    if (prover == NULL)
        return;
    cache_unwatch(&prover->watcher);
    ev_timer_stop(prover->core->loop, &prover->alarm);
    for (size_t i = 0; i < prover->count; i++)
        forget(&prover->told[i]);
    json_putp(&prover->slot);
    free(prover);
}
