#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/show.h"
#include "controller/cli/word.h"

#define LABEL_WIDTH 12 /* "record      " */

static bool
is(struct json_object *object, const char *name, const char *text)
{
    return strcmp(word_string(object, name), text) == 0;
}

static void
show_label(const struct table_look *look, const char *label)
{
    table_text(look, TABLE_PLAIN, "%-*s", LABEL_WIDTH, label);
}

/* A duration in a member; "?" when it is none. */
static const char *
word_ms(struct json_object *object, const char *name, char text[WORD_SIZE])
{
    uint64_t ms;
    return json_get_u64(object, name, &ms) ? word_duration(ms, text) : "?";
}

/* ---- the arbiter ---- */

static void
show_where(const struct table_look *look, struct json_object *value)
{
    const char *dsn = word_or(value, "dsn", "");
    for (size_t i = 0; i < word_count(value, "endpoints"); i++)
        table_text(look, TABLE_PLAIN, "  %s",
                   json_object_get_string(word_item(value, "endpoints", i)));
    if (dsn[0] != '\0')
        table_text(look, TABLE_PLAIN, "  %s", dsn);
    table_text(look, TABLE_PLAIN, "\n");
}

static enum table_tone
lease_tone(const char *state)
{
    static const struct {
        const char *state;
        enum table_tone tone;
    } rows[] = {
        { "HELD", TABLE_GOOD },     { "IDLE", TABLE_PLAIN },     { "NONE", TABLE_PLAIN },
        { "FAILSAFE", TABLE_WARN }, { "RELEASING", TABLE_WARN }, { "WANTED", TABLE_WARN },
        { "WAITING", TABLE_WARN },  { "LOST", TABLE_BAD },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(rows[i].state, state) == 0)
            return rows[i].tone;
    }
    return TABLE_WARN;
}

static void
show_record(const struct table_look *look, struct json_object *record)
{
    char left[WORD_SIZE];
    char age[WORD_SIZE];
    bool released = false;
    uint64_t age_ms = 0;
    show_label(look, "record");
    if (record == NULL) {
        table_text(look, TABLE_WARN, "not read yet\n");
        return;
    }
    bool known = json_get_bool(record, "released", &released);
    (void)!json_get_u64(record, "age_ms", &age_ms);
    table_text(look, TABLE_PLAIN, "epoch %s", word_string(record, "epoch"));
    if (known && released)
        table_text(look, TABLE_PLAIN, ", given back");
    else if (word_number(record, "remaining_ms", 1) == 0)
        table_text(look, TABLE_WARN, ", its lease is over");
    else
        table_text(look, TABLE_PLAIN, ", its lease lasts %s more at most",
                   word_ms(record, "remaining_ms", left));
    table_text(look, TABLE_DIM, " (asked %s ago)\n", word_age(age_ms, age));
}

void
show_arbiter(const struct table_look *look, struct json_object *arbiter)
{
    char text[WORD_SIZE];
    char at[WORD_SIZE];
    struct json_object *set = json_get(arbiter, "set");
    const char *kind = word_string(arbiter, "kind");
    const char *state = word_string(arbiter, "state");
    const char *reason = word_or(arbiter, "reason", "");
    const char *alarm = word_or(arbiter, "alarm", "");
    const char *trouble = word_or(arbiter, "trouble", "");
    uint64_t left_ms;
    show_label(look, "arbiter");
    table_text(look, TABLE_BOLD, "%s", kind);
    show_where(look, json_get(arbiter, "arbiter"));
    if (set != NULL)
        table_text(look, TABLE_PLAIN, "%*sset by %s at %s UTC, revision %s\n", LABEL_WIDTH, "",
                   word_string(set, "author"), word_time(word_string(set, "at"), at),
                   word_u64(set, "revision", text));
    if (strcmp(kind, "manual") == 0) {
        show_label(look, "");
        table_text(look, TABLE_PLAIN, "nobody grants a lease: people promote\n");
        return;
    }
    show_record(look, json_get(arbiter, "record"));
    show_label(look, "lease");
    table_text(look, lease_tone(state), "%s", state);
    table_text(look, TABLE_PLAIN, " on %s", word_string(arbiter, "node"));
    if (json_get_u64(arbiter, "left_ms", &left_ms))
        table_text(look, TABLE_PLAIN, ", %s left", word_duration(left_ms, text));
    table_text(look, TABLE_PLAIN, "\n");
    if (reason[0] != '\0') {
        show_label(look, "");
        table_words(look, TABLE_PLAIN, LABEL_WIDTH, "%s", reason);
        table_text(look, TABLE_PLAIN, "\n");
    }
    if (alarm[0] != '\0' || trouble[0] != '\0') {
        show_label(look, "alarm");
        table_words(look, TABLE_BAD, LABEL_WIDTH, "%s%s%s", alarm,
                    alarm[0] == '\0' || trouble[0] == '\0' ? "" : ": ", trouble);
        table_text(look, TABLE_PLAIN, "\n");
    }
}

void
show_arbiter_tested(const struct table_look *look, struct json_object *tested)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    char text[WORD_SIZE];
    table_column(table, "NODE", 0);
    table_column(table, "STATE", 0);
    table_column(table, "ANSWER", TABLE_RIGHT);
    table_column(table, "FOUND", TABLE_WRAP);
    for (size_t i = 0; i < word_count(tested, "nodes"); i++) {
        struct json_object *node = word_item(tested, "nodes", i);
        struct json_object *answer = json_get(node, "answer");
        const char *mend = word_or(answer, "mend", "");
        bool ok = false;
        bool known = json_get_bool(answer, "ok", &ok);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(node, "node"));
        table_cell(table, ok ? TABLE_GOOD : TABLE_BAD, "%s",
                   ok      ? "ok"
                   : known ? "fail"
                           : "no answer");
        table_cell(table, TABLE_PLAIN, "%s", known ? word_ms(answer, "ms", text) : "-");
        table_cell(table, TABLE_PLAIN, "%s%s%s",
                   known ? word_string(answer, "text") : word_string(node, "error"),
                   mend[0] == '\0' ? "" : "; mend: ", mend);
    }
    table_print(table);
}

/* ---- why ---- */

/* What it comes to: a member that lacks nothing but a lost primary is ready. */
struct summary {
    enum table_tone tone;
    const char *word;
    const char *rule; /* "" when nothing stands against it */
    const char *text;
};

static bool
is_about_primary(const char *rule)
{
    return strcmp(rule, "evidence") == 0 || strcmp(rule, "order") == 0;
}

static struct summary
summary_of(struct json_object *answer)
{
    struct summary summary = { .tone = TABLE_GOOD, .word = "ready", .rule = "", .text = "" };
    bool wait = false;
    for (size_t i = 0; i < word_count(answer, "rules"); i++) {
        struct json_object *rule = word_item(answer, "rules", i);
        const char *name = word_string(rule, "name");
        bool failed = is(rule, "verdict", "fail");
        if (is(rule, "verdict", "pass"))
            continue;
        /* the first that fails, else the first that waits; what is no lack comes last */
        if (is_about_primary(name) && summary.rule[0] != '\0')
            continue;
        if (summary.rule[0] != '\0' && !wait)
            break;
        if (summary.rule[0] != '\0' && !failed)
            continue;
        wait = !failed;
        summary.rule = name;
        summary.text = word_string(rule, "text");
    }
    if (is(answer, "decision", "start"))
        return (struct summary){ TABLE_GOOD, "TAKES OVER", "", "" };
    if (word_count(answer, "rules") == 0)
        return (struct summary){ TABLE_WARN, "?", "", "" };
    if (strcmp(summary.rule, "role") == 0 && strstr(summary.text, "is the primary") != NULL)
        return (struct summary){ TABLE_BOLD, "primary", "", summary.text };
    if (!is_about_primary(summary.rule)) {
        summary.tone = wait ? TABLE_WARN : TABLE_BAD;
        summary.word = wait ? "waits" : "cannot";
    }
    return summary;
}

static void
add_why(struct table *table, struct json_object *node)
{
    struct json_object *answer = json_get(node, "answer");
    table_row(table);
    table_cell(table, TABLE_PLAIN, "%s", word_string(node, "node"));
    table_cell(table, TABLE_PLAIN, "%s", word_or(node, "site", ""));
    if (answer == NULL) {
        table_cell(table, TABLE_BAD, "no answer");
        table_cell(table, TABLE_PLAIN, "-");
        table_cell(table, TABLE_PLAIN, "%s", word_string(node, "error"));
        return;
    }
    struct summary summary = summary_of(answer);
    table_cell(table, summary.tone, "%s", summary.word);
    table_cell(table, TABLE_PLAIN, "%s", summary.rule[0] == '\0' ? "-" : summary.rule);
    table_cell(table, TABLE_PLAIN, "%s", summary.text);
}

void
show_why(const struct table_look *look, struct json_object *list)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "NODE", 0);
    table_column(table, "SITE", 0);
    table_column(table, "TAKEOVER", 0);
    table_column(table, "RULE", 0);
    table_column(table, "FOUND", TABLE_WRAP);
    for (size_t i = 0; i < word_count(list, "nodes"); i++)
        add_why(table, word_item(list, "nodes", i));
    table_print(table);
    table_text(look, TABLE_DIM, "\nevery rule of one node: baton why NODE\n");
}

static void
show_rules(const struct table_look *look, struct json_object *answer)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "RULE", 0);
    table_column(table, "VERDICT", 0);
    table_column(table, "FOUND", TABLE_WRAP);
    for (size_t i = 0; i < word_count(answer, "rules"); i++) {
        struct json_object *rule = word_item(answer, "rules", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(rule, "name"));
        table_cell(table,
                   is(rule, "verdict", "pass")   ? TABLE_GOOD
                   : is(rule, "verdict", "wait") ? TABLE_WARN
                                                 : TABLE_BAD,
                   "%s", word_string(rule, "verdict"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(rule, "text"));
    }
    table_print(table);
}

void
show_why_one(const struct table_look *look, struct json_object *list)
{
    for (size_t i = 0; i < word_count(list, "nodes"); i++) {
        struct json_object *node = word_item(list, "nodes", i);
        struct json_object *answer = json_get(node, "answer");
        char text[WORD_SIZE];
        table_text(look, TABLE_BOLD, "%s (site %s): ", word_string(node, "node"),
                   word_string(node, "site"));
        if (answer == NULL) {
            table_text(look, TABLE_BAD, "no answer: %s\n", word_string(node, "error"));
            continue;
        }
        struct summary summary = summary_of(answer);
        table_text(look, summary.tone, "%s", summary.word);
        if (is(answer, "decision", "wait"))
            table_text(look, TABLE_PLAIN, ", looks again in %s", word_ms(answer, "wait_ms", text));
        table_text(look, TABLE_PLAIN, "\n\n");
        show_rules(look, answer);
    }
}

/* ---- the pause ---- */

void
show_pause(const struct table_look *look, struct json_object *pause)
{
    char until[WORD_SIZE];
    char left[WORD_SIZE];
    uint64_t left_ms = 0;
    bool paused = true;
    if (json_get_bool(pause, "paused", &paused) && !paused) {
        table_text(look, TABLE_GOOD, "not paused\n");
        return;
    }
    (void)!json_get_u64(pause, "left_ms", &left_ms);
    table_text(look, TABLE_WARN, "paused until %s UTC",
               word_time(word_string(pause, "until"), until));
    table_text(look, TABLE_PLAIN, " (%s more), by %s: %s\n", word_age(left_ms, left),
               word_string(pause, "by"), word_string(pause, "reason"));
}

/* ---- times ---- */

static void
show_case(const struct table_look *look, struct json_object *one, const char *rto)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    struct json_object *until = json_get(one, "until_ms");
    char text[3][WORD_SIZE];
    bool within;
    table_text(look, TABLE_BOLD, "\n%s\n", word_string(one, "text"));
    table_column(table, "PHASE", 0);
    table_column(table, "AT MOST", TABLE_RIGHT);
    table_column(table, "WHAT", TABLE_WRAP);
    table_column(table, "BY", TABLE_CUT);
    for (size_t i = 0; i < word_count(one, "terms"); i++) {
        struct json_object *term = word_item(one, "terms", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(term, "phase"));
        table_cell(table, TABLE_PLAIN, "%s", word_ms(term, "ms", text[0]));
        table_cell(table, TABLE_PLAIN, "%s", word_string(term, "text"));
        table_cell(table, TABLE_DIM, "%s", word_string(term, "settings"));
    }
    table_print(table);
    bool known = json_get_bool(one, "within_rto", &within);
    table_words(look,
                !known   ? TABLE_PLAIN
                : within ? TABLE_GOOD
                         : TABLE_BAD,
                2, "  begins after %s, writes after %s, connector servers after %s at most%s%s",
                word_ms(until, "detect", text[0]), word_ms(until, "writes", text[1]),
                word_ms(until, "act", text[2]),
                !known   ? ""
                : within ? ": within rto_ms, "
                         : ": BEYOND rto_ms, ",
                known ? rto : "");
    table_text(look, TABLE_PLAIN, "\n");
}

/* Settings that leave no room for one another. */
static void
show_unfit(const struct table_look *look, struct json_object *document)
{
    for (size_t i = 0; i < word_count(document, "faults"); i++) {
        struct json_object *fault = word_item(document, "faults", i);
        const char *pointer = word_string(fault, "pointer");
        table_words(look, TABLE_BAD, 4, "  %s: %s", *pointer == '/' ? pointer + 1 : pointer,
                    word_string(fault, "text"));
        table_text(look, TABLE_PLAIN, "\n");
    }
}

void
show_budget(const struct table_look *look, struct json_object *budget)
{
    char rto[WORD_SIZE];
    bool automatic = false;
    (void)!json_get_bool(budget, "automatic", &automatic);
    table_text(look, TABLE_PLAIN, "site %s: ", word_string(budget, "site"));
    bool declared = json_get(budget, "rto_ms") != NULL;
    if (!automatic) {
        table_text(look, declared ? TABLE_BAD : TABLE_WARN, "no bound%s%s: %s\n",
                   declared ? ", though rto_ms is " : "",
                   declared ? word_ms(budget, "rto_ms", rto) : "", word_string(budget, "why"));
        show_unfit(look, budget);
        return;
    }
    table_text(look, TABLE_PLAIN, "takeover by itself; %s%s\n",
               declared ? "rto_ms is " : "no rto_ms is declared",
               declared ? word_ms(budget, "rto_ms", rto) : "");
    for (size_t i = 0; i < word_count(budget, "cases"); i++)
        show_case(look, word_item(budget, "cases", i), declared ? rto : "");
    show_unfit(look, budget);
    table_text(look, TABLE_PLAIN, "\n");
    table_words(look, TABLE_DIM, 0,
                "Each step ends when it is done, usually long before; what takes longer is given "
                "up.");
    table_text(look, TABLE_PLAIN, "\n");
}

void
show_timeouts(const struct table_look *look, struct json_object *check)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    char text[WORD_SIZE];
    table_column(table, "FROM HERE TO", 0);
    table_column(table, "STATE", 0);
    table_column(table, "REQUESTS", TABLE_RIGHT);
    table_column(table, "ERRORS", TABLE_RIGHT);
    table_column(table, "CONNECT LATE", TABLE_RIGHT);
    table_column(table, "ANSWER LATE", TABLE_RIGHT);
    table_column(table, "MEDIAN", TABLE_RIGHT);
    table_column(table, "MAX", TABLE_RIGHT);
    table_column(table, "ALLOWED", TABLE_RIGHT);
    for (size_t i = 0; i < word_count(check, "paths"); i++) {
        struct json_object *path = word_item(check, "paths", i);
        bool none = word_number(path, "answered", 0) == 0;
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(path, "name"));
        table_cell(table,
                   is(path, "state", "ok")     ? TABLE_GOOD
                   : is(path, "state", "warn") ? TABLE_WARN
                                               : TABLE_BAD,
                   "%s", word_string(path, "state"));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(path, "requests", text));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(path, "errors", text));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(path, "connect_timeouts", text));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(path, "request_timeouts", text));
        table_cell(table, TABLE_PLAIN, "%s", none ? "-" : word_ms(path, "median_ms", text));
        table_cell(table, TABLE_PLAIN, "%s", none ? "-" : word_ms(path, "max_ms", text));
        table_cell(table, TABLE_PLAIN, "%s", word_ms(path, "limit_ms", text));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "there is nobody to ask: no other member, and no arbiter\n");
    table_print(table);
    for (size_t i = 0; i < word_count(check, "paths"); i++) {
        struct json_object *path = word_item(check, "paths", i);
        const char *said = word_or(path, "text", "");
        if (said[0] == '\0')
            continue;
        table_words(look, is(path, "state", "fail") ? TABLE_BAD : TABLE_WARN, 4, "  %s (%s): %s",
                    word_string(path, "name"), word_string(path, "settings"), said);
        table_text(look, TABLE_PLAIN, "\n");
    }
    show_unfit(look, check);
}
