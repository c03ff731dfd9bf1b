#include "controller/postgres/inspect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sql.h"

#define VERSION_MIN 150000
#define VERSION_MAX 189999 /* newest that was tested; a newer one is a warning */

struct judging {
    struct inspect_report *report;
    struct json_object *settings; /* borrowed; may be NULL */
};

const char *
inspect_state_name(enum inspect_state state)
{
    static const char *const names[] = {
        [INSPECT_OK] = "ok", [INSPECT_WARN] = "warn", [INSPECT_FAIL] = "fail"
    };
    return names[state];
}

/* Room for the next check; the caller fills text and mend. */
static struct inspect_check *
add(struct inspect_report *report, const char *name, enum inspect_state state)
{
    ASSERT(report->count < INSPECT_CHECKS_MAX);
    struct inspect_check *check = &report->list[report->count++];
    memset(check, 0, sizeof *check);
    (void)snprintf(check->name, sizeof check->name, "pg.%s", name);
    check->state = state;
    report->failed += state == INSPECT_FAIL;
    report->warned += state == INSPECT_WARN;
    return check;
}

static void PRINTF_LIKE(2, 3) say(struct inspect_check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(check->text, sizeof check->text, format, arguments);
    va_end(arguments);
}

static void PRINTF_LIKE(2, 3) mend(struct inspect_check *check, const char *format, ...)
{
    va_list arguments;
    if (check->state == INSPECT_OK)
        return;
    va_start(arguments, format);
    (void)vsnprintf(check->mend, sizeof check->mend, format, arguments);
    va_end(arguments);
}

/* ---- settings that are a word ---- */

static const struct word_rule {
    const char *name;
    const char *wanted; /* words apart by '|' */
    enum inspect_state otherwise;
    bool restart;
    const char *why;
} word_rules[] = {
    { "server_encoding", "UTF8", INSPECT_FAIL, false, "texts of all nodes are UTF-8" },
    { "wal_level", "logical", INSPECT_FAIL, true, "members replicate logically" },
    { "fsync", "on", INSPECT_FAIL, false, "a commit must survive a power cut" },
    { "full_page_writes", "on", INSPECT_FAIL, false, "a commit must survive a power cut" },
    { "ssl", "on", INSPECT_FAIL, false, "members replicate over TLS" },
    { "session_replication_role", "origin", INSPECT_FAIL, false, "triggers are the fence" },
    { "default_transaction_read_only", "off", INSPECT_FAIL, false, "the daemon writes" },
    { "synchronous_commit", "local|off", INSPECT_WARN, false,
      "writes that are none of Baton's would wait for its standbys, on a standby without end" },
    { "password_encryption", "scram-sha-256", INSPECT_WARN, false,
      "md5 passwords can be replayed" },
    { "default_transaction_isolation", "read committed", INSPECT_WARN, false,
      "programs that write by SQL must expect to repeat" },
    { "restart_after_crash", "off", INSPECT_WARN, false,
      "a crash must end the server, so that its start time changes and it is fenced" },
};

static bool
word_in(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; length > 0; at++) {
        size_t size = strcspn(at, "|");
        if (size == length && strncmp(at, word, size) == 0)
            return true;
        at += size;
        if (*at == '\0')
            break;
    }
    return false;
}

static void
judge_word(const struct judging *judging, const struct word_rule *rule)
{
    const char *setting = NULL;
    bool known = json_get_string(judging->settings, rule->name, &setting);
    bool good = known && word_in(rule->wanted, setting);
    struct inspect_check *check =
        add(judging->report, rule->name, good ? INSPECT_OK : rule->otherwise);
    CLEANUP(freep)
    char *wanted = str_printf("%.*s", (int)strcspn(rule->wanted, "|"), rule->wanted);
    if (good)
        say(check, "%s is '%s'", rule->name, setting);
    else if (!known)
        say(check, "%s is not known, should be '%s'", rule->name, wanted);
    else
        say(check, "%s is '%s', should be '%s': %s", rule->name, setting, wanted, rule->why);
    if (strcmp(rule->name, "server_encoding") == 0)
        mend(check, "create the database anew: CREATE DATABASE baton ENCODING 'UTF8' TEMPLATE "
                    "template0");
    else
        mend(check, "ALTER SYSTEM SET %s = '%s'; then %s", rule->name, wanted,
             rule->restart ? "restart PostgreSQL" : "SELECT pg_reload_conf()");
}

/* ---- settings that are a number ---- */

static const struct number_rule {
    const char *name;
    int64_t min;
    int64_t min_each; /* and this many more for each member */
    int64_t max;
    int64_t wanted; /* what the mend sets; 0: the nearest that is fine */
    enum inspect_state otherwise;
    bool restart;
    bool or_zero; /* 0 is no limit, and fine */
    const char *unit;
} number_rules[] = {
    { "max_wal_senders", 5, 1, INT32_MAX, 0, INSPECT_FAIL, true, false, "" },
    { "max_replication_slots", 5, 2, INT32_MAX, 0, INSPECT_FAIL, true, false, "" },
    { "max_logical_replication_workers", 2, 1, INT32_MAX, 0, INSPECT_FAIL, true, false, "" },
    { "max_worker_processes", 6, 1, INT32_MAX, 0, INSPECT_FAIL, true, false, "" },
    { "max_connections", 30, 0, INT32_MAX, 0, INSPECT_FAIL, true, false, "" },
    { "wal_retrieve_retry_interval", 1, 0, 500, 0, INSPECT_WARN, false, false, "ms" },
    { "wal_sender_timeout", 1000, 0, 30000, 0, INSPECT_WARN, false, false, "ms" },
    { "wal_receiver_timeout", 1000, 0, 30000, 0, INSPECT_WARN, false, false, "ms" },
    { "max_slot_wal_keep_size", 64, 0, INT32_MAX, 1024, INSPECT_WARN, false, false, "MB" },
}, session_rules[] = { /* of the role: they end what takes long, and what waits */
    { "statement_timeout", 60000, 0, INT32_MAX, 0, INSPECT_WARN, false, true, "ms" },
    { "idle_session_timeout", 0, 0, 0, 0, INSPECT_WARN, false, true, "ms" },
};

static bool
read_number(const struct judging *judging, const char *name, int64_t *ret)
{
    const char *text = NULL;
    char *end = NULL;
    if (!json_get_string(judging->settings, name, &text))
        return false;
    *ret = strtoll(text, &end, 10);
    return end != text && *end == '\0';
}

/* The check, and what its number should be. */
static struct inspect_check *
judge_number(const struct judging *judging, const struct number_rule *rule, size_t node_count,
             int64_t *ret_wanted)
{
    int64_t number = 0;
    int64_t min = rule->min + rule->min_each * (int64_t)node_count;
    bool known = read_number(judging, rule->name, &number);
    bool good = known && ((number >= min && number <= rule->max) || (rule->or_zero && number == 0));
    struct inspect_check *check =
        add(judging->report, rule->name, good ? INSPECT_OK : rule->otherwise);
    if (good)
        say(check, "%s is %lld%s", rule->name, (long long)number, rule->unit);
    else if (!known)
        say(check, "%s is not known", rule->name);
    else if (number < min)
        say(check, "%s is %lld%s, at least %lld%s is needed", rule->name, (long long)number,
            rule->unit, (long long)min, rule->unit);
    else
        say(check, "%s is %lld%s, at most %lld%s works well", rule->name, (long long)number,
            rule->unit, (long long)rule->max, rule->unit);
    *ret_wanted = rule->wanted != 0 ? rule->wanted : number < min ? min : rule->max;
    return check;
}

static void
judge_numbers(const struct judging *judging, size_t node_count)
{
    for (size_t i = 0; i < ARRAY_COUNT(number_rules); i++) {
        const struct number_rule *rule = &number_rules[i];
        int64_t wanted;
        struct inspect_check *check = judge_number(judging, rule, node_count, &wanted);
        mend(check, "ALTER SYSTEM SET %s = '%lld%s'; then %s", rule->name, (long long)wanted,
             rule->unit, rule->restart ? "restart PostgreSQL" : "SELECT pg_reload_conf()");
    }
}

static void
judge_session(const struct judging *judging)
{
    for (size_t i = 0; i < ARRAY_COUNT(session_rules); i++) {
        int64_t wanted;
        struct inspect_check *check = judge_number(judging, &session_rules[i], 0, &wanted);
        mend(check, "ALTER ROLE baton SET %s = 0; then restart batond", session_rules[i].name);
    }
}

/* ---- what the role may do ---- */

static void
judge_right(struct inspect_report *report, struct json_object *facts, const char *fact,
            const char *name, bool wanted, const char *good, const char *bad, const char *remedy)
{
    bool value = false;
    bool known = json_get_bool(facts, fact, &value);
    struct inspect_check *check =
        add(report, name, known && value == wanted ? INSPECT_OK : INSPECT_FAIL);
    if (!known)
        say(check, "%s is not known", name);
    else
        say(check, "%s", value == wanted ? good : bad);
    mend(check, "%s", remedy);
}

static void
judge_admin(struct inspect_report *report, struct json_object *facts)
{
    const char *user = "";
    (void)!json_get_string(facts, "user", &user);
    CLEANUP(freep) char *bad = str_printf("role \"%.64s\" is no superuser", user);
    CLEANUP(freep) char *remedy = str_printf("ALTER ROLE \"%.64s\" SUPERUSER", user);
    judge_right(report, facts, "superuser", "superuser", true, "the role is a superuser", bad,
                remedy);
    /* Later Baton itself sets it. */
    const char *names = NULL;
    bool known = json_get_string(json_get(facts, "settings"), "synchronous_standby_names", &names);
    struct inspect_check *check = add(report, "synchronous_standby_names",
                                      known && names[0] == '\0' ? INSPECT_OK : INSPECT_FAIL);
    if (!known)
        say(check, "synchronous_standby_names is not known");
    else if (names[0] == '\0')
        say(check, "synchronous_standby_names is free for Baton");
    else
        say(check, "synchronous_standby_names is '%.128s', and Baton would set another", names);
    mend(check,
         "ALTER SYSTEM RESET synchronous_standby_names; then SELECT pg_reload_conf(); or use "
         "a server of its own for each node");
}

/* ---- what Baton has made ---- */

static void
judge_triggers(struct inspect_report *report, struct json_object *facts)
{
    struct json_object *off = json_get(facts, "triggers_off");
    bool known = json_object_is_type(off, json_type_array);
    size_t count = known ? json_object_array_length(off) : 0;
    struct inspect_check *check =
        add(report, "triggers", known && count == 0 ? INSPECT_OK : INSPECT_FAIL);
    if (!known) {
        say(check, "which triggers fire is not known");
        mend(check, "look at the log of PostgreSQL");
    } else if (count == 0) {
        say(check, "the triggers that refuse wrong writes are on");
    } else {
        struct json_object *first = json_object_array_get_idx(off, 0);
        const char *table = "?";
        const char *trigger = "?";
        const char *mode = "";
        (void)!json_get_string(first, "table", &table);
        (void)!json_get_string(first, "trigger", &trigger);
        (void)!json_get_string(first, "mode", &mode);
        say(check,
            "%zu triggers that refuse wrong writes fire not as they should, the first is %.64s of "
            "%.64s",
            count, trigger, table);
        mend(check, "ALTER TABLE %.64s ENABLE %.16sTRIGGER %.64s", table, mode, trigger);
    }
}

static void
judge_publication(struct inspect_report *report, struct json_object *facts)
{
    struct json_object *tables = json_get(facts, "published");
    bool good =
        json_object_is_type(tables, json_type_array) && json_object_array_length(tables) == 1 &&
        strcmp(json_object_get_string(json_object_array_get_idx(tables, 0)), "shared.log") == 0;
    struct inspect_check *check = add(report, "publication", good ? INSPECT_OK : INSPECT_FAIL);
    say(check, "%s",
        good ? "the publication baton is of shared.log alone"
             : "the publication baton is not of shared.log alone");
    mend(check, "DROP PUBLICATION IF EXISTS baton; CREATE PUBLICATION baton FOR TABLE shared.log "
                "WITH (publish = 'insert')");
}

static void
judge_made(struct inspect_report *report, struct json_object *facts)
{
    judge_right(report, facts, "owner", "owner", true,
                "the owner of the schema may run subscriptions",
                "the owner of the schema is no superuser with LOGIN, which subscriptions run as",
                "ALTER ROLE baton_owner SUPERUSER LOGIN");
    judge_right(report, facts, "checkpoint", "checkpoint", true, "Baton's functions may checkpoint",
                "Baton's functions may not checkpoint", "GRANT pg_checkpoint TO baton_owner");
    judge_triggers(report, facts);
    judge_publication(report, facts);
}

static void
judge_daemon(struct inspect_report *report, struct json_object *facts)
{
    judge_right(report, facts, "superuser", "no_superuser", false, "role baton is no superuser",
                "role baton is a superuser, and must not be one", "ALTER ROLE baton NOSUPERUSER");
    judge_right(report, facts, "alter_standbys", "alter_system", true,
                "role baton may set synchronous_standby_names",
                "role baton may not set synchronous_standby_names",
                "GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO baton");
    judge_right(report, facts, "reload", "reload", true, "role baton may reload the configuration",
                "role baton may not reload the configuration",
                "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO baton");
    judge_right(report, facts, "schema_local", "schema_local", true,
                "role baton may use schema local", "role baton may not use schema local",
                "GRANT USAGE ON SCHEMA local TO baton");
    judge_right(report, facts, "schema_shared", "schema_shared", true,
                "role baton may use schema shared", "role baton may not use schema shared",
                "GRANT USAGE ON SCHEMA shared TO baton");
}

/* ---- the rest ---- */

static void
judge_version(struct inspect_report *report, struct json_object *facts)
{
    int64_t version = 0;
    bool known = json_get_i64(facts, "version", &version);
    struct inspect_check *check =
        add(report, "version",
            !known || version < VERSION_MIN ? INSPECT_FAIL
                                            : (version > VERSION_MAX ? INSPECT_WARN : INSPECT_OK));
    say(check, "PostgreSQL %lld.%lld%s", (long long)version / 10000, (long long)version % 10000,
        check->state == INSPECT_OK ? "" : ", 15 to 18 is supported");
    mend(check, "install PostgreSQL 15 to 18");
}

static void
judge_tls(struct inspect_report *report, struct json_object *facts)
{
    bool local = false;
    bool tls = false;
    bool known = json_get_bool(facts, "local", &local) && json_get_bool(facts, "tls", &tls);
    struct inspect_check *check =
        add(report, "connection", known && (local || tls) ? INSPECT_OK : INSPECT_WARN);
    say(check, "%s",
        known && local ? "connected by its socket"
        : known && tls ? "connected over TLS"
                       : "connected over TCP without TLS");
    mend(check, "add sslmode=verify-full sslrootcert=FILE to the connection string");
}

static void
judge_pending(struct inspect_report *report, struct json_object *facts)
{
    struct json_object *pending = json_get(facts, "pending");
    bool known = json_object_is_type(pending, json_type_array);
    size_t count = known ? json_object_array_length(pending) : 0;
    struct inspect_check *check =
        add(report, "restart", known && count == 0 ? INSPECT_OK : INSPECT_WARN);
    if (!known)
        say(check, "settings that wait for a restart are not known");
    else if (count == 0)
        say(check, "no setting waits for a restart");
    else
        say(check, "%zu settings wait for a restart, the first is %.64s", count,
            json_object_get_string(json_object_array_get_idx(pending, 0)));
    mend(check, "restart PostgreSQL");
}

void
inspect_judge(struct json_object *facts, enum inspect_role role, size_t node_count,
              struct inspect_report *ret_report)
{
    memset(ret_report, 0, sizeof *ret_report);
    struct judging judging = { .report = ret_report, .settings = json_get(facts, "settings") };
    judge_version(ret_report, facts);
    judge_right(ret_report, facts, "recovery", "recovery", false, "the server takes writes",
                "the server is a physical standby and takes no writes",
                "use a server of its own for each node");
    judge_tls(ret_report, facts);
    for (size_t i = 0; i < ARRAY_COUNT(word_rules); i++)
        judge_word(&judging, &word_rules[i]);
    judge_numbers(&judging, node_count);
    judge_pending(ret_report, facts);
    if (role == INSPECT_ADMIN) {
        judge_admin(ret_report, facts);
        return;
    }
    judge_session(&judging);
    judge_daemon(ret_report, facts);
    judge_made(ret_report, facts);
}

enum err_code
inspect_read(const PGresult *result, enum inspect_role role, size_t node_count,
             struct inspect_report *ret_report, struct err *err)
{
    CLEANUP(json_putp) struct json_object *facts = NULL;
    const char *text = pq_text(result, 0, "facts");
    if (text == NULL)
        return err_set(err, ERR_PROTOCOL, "database", "the database told no facts");
    enum err_code code = json_read(text, strlen(text), &facts, err);
    if (code != ERR_NONE)
        return err_wrap(err, "facts of the database");
    inspect_judge(facts, role, node_count, ret_report);
    return ERR_NONE;
}

enum err_code
inspect_blocking(PGconn *connection, enum inspect_role role, size_t node_count,
                 struct inspect_report *ret_report, struct err *err)
{
    int version = PQserverVersion(connection);
    if (version < VERSION_MIN) {
        (void)err_set(err, ERR_CONFLICT, "database_unfit",
                      "PostgreSQL %d is too old, 15 to 18 is supported", version / 10000);
        return err_mend(err, "install PostgreSQL 15 to 18");
    }
    CLEANUP(pq_clearp) PGresult *result = NULL;
    enum err_code code = pq_run_blocking(connection, sql_inspect, 0, NULL, &result, err);
    if (code != ERR_NONE)
        return code;
    return inspect_read(result, role, node_count, ret_report, err);
}

uint64_t
inspect_send(struct pq *pq, pq_done_fn *done, void *data)
{
    return pq_query(pq, sql_inspect, 0, NULL, done, data);
}

enum err_code
inspect_require(const struct inspect_report *report, struct err *err)
{
    if (report->failed == 0)
        return ERR_NONE;
    const struct inspect_check *first = report->list;
    while (first->state != INSPECT_FAIL)
        first++;
    if (report->failed == 1)
        (void)err_set(err, ERR_CONFLICT, "database_unfit", "the database is not fit: %s",
                      first->text);
    else
        (void)err_set(err, ERR_CONFLICT, "database_unfit",
                      "the database is not fit: %s (and %zu more faults)", first->text,
                      report->failed - 1);
    return err_mend(err, "%s", first->mend);
}
