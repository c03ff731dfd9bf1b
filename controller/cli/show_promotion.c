#include "controller/cli/show.h"

#include <string.h>

#include "controller/base/json.h"
#include "controller/cli/word.h"

static bool
is(struct json_object *object, const char *name, const char *text)
{
    return strcmp(word_string(object, name), text) == 0;
}

static enum table_tone
verdict_tone(struct json_object *check)
{
    if (is(check, "verdict", "ok"))
        return TABLE_GOOD;
    return is(check, "verdict", "stop") ? TABLE_BAD : TABLE_WARN;
}

static enum table_tone
step_tone(struct json_object *step)
{
    if (is(step, "state", "done"))
        return TABLE_GOOD;
    if (is(step, "state", "failed"))
        return TABLE_BAD;
    return is(step, "state", "running") ? TABLE_WARN : TABLE_DIM;
}

static void
show_checks(const struct table_look *look, struct json_object *plan)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "CHECK", 0);
    table_column(table, "VERDICT", 0);
    table_column(table, "FOUND", TABLE_WRAP);
    for (size_t i = 0; i < word_count(plan, "checks"); i++) {
        struct json_object *check = word_item(plan, "checks", i);
        bool can_skip = false;
        bool told = json_get_bool(check, "overridable", &can_skip);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(check, "name"));
        table_cell(table, verdict_tone(check), "%s", word_string(check, "verdict"));
        table_cell(table, TABLE_PLAIN, "%s%s%s%s", word_string(check, "text"),
                   told && can_skip && is(check, "verdict", "stop") ? " (skip it: --override " : "",
                   told && can_skip && is(check, "verdict", "stop") ? word_string(check, "name")
                                                                    : "",
                   told && can_skip && is(check, "verdict", "stop") ? ")" : "");
    }
    table_print(table);
}

static void
show_plan_connectors(const struct table_look *look, struct json_object *plan)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "CONNECTOR", 0);
    table_column(table, "NOW", 0);
    table_column(table, "THEN", 0);
    table_column(table, "REMARK", TABLE_WRAP);
    for (size_t i = 0; i < word_count(plan, "connectors"); i++) {
        struct json_object *connector = word_item(plan, "connectors", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(connector, "name"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(connector, "now"));
        table_cell(table, is(connector, "then", "error") ? TABLE_BAD : TABLE_PLAIN, "%s",
                   word_string(connector, "then"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(connector, "text"));
    }
    if (table_row_count(table) > 0)
        table_text(look, TABLE_PLAIN, "\n");
    table_print(table);
}

static void
show_way(const struct table_look *look, struct json_object *holder)
{
    struct json_object *from = json_get(holder, "from");
    struct json_object *to = json_get(holder, "to");
    table_text(look, TABLE_BOLD, "%s: ", word_string(holder, "kind"));
    if (from != NULL)
        table_text(look, TABLE_BOLD, "%s (%s)", word_string(from, "node"),
                   word_string(from, "site"));
    else
        table_text(look, TABLE_WARN, "no primary is known");
    table_text(look, TABLE_BOLD, " -> %s (%s)\n", word_string(to, "node"), word_string(to, "site"));
}

static void
show_plan_steps(const struct table_look *look, struct json_object *plan)
{
    for (size_t i = 0; i < word_count(plan, "steps"); i++) {
        struct json_object *step = word_item(plan, "steps", i);
        uint64_t deadline_ms = word_number(step, "deadline_ms", 0);
        char deadline[WORD_SIZE];
        table_text(look, TABLE_PLAIN, "%s%s", i == 0 ? "steps       " : "            ",
                   word_string(step, "name"));
        table_text(look, TABLE_DIM, "%s%s\n", deadline_ms > 0 ? "  at most " : "",
                   deadline_ms > 0 ? word_duration(deadline_ms, deadline) : "");
    }
}

void
show_plan(const struct table_look *look, struct json_object *plan)
{
    char epoch[WORD_SIZE];
    struct json_object *loss = json_get(plan, "data_loss");
    bool may_lose = true;
    bool loss_known = json_get_bool(loss, "possible", &may_lose);
    show_way(look, plan);
    table_text(look, TABLE_PLAIN, "epoch now   %s\n", word_epoch(plan, "epoch_now", epoch));
    table_text(look, TABLE_PLAIN, "data loss   ");
    table_text(look, may_lose ? TABLE_BAD : TABLE_GOOD, "%s",
               !loss_known ? "? "
               : may_lose  ? "POSSIBLE: "
                           : "none: ");
    table_text(look, TABLE_PLAIN, "%s\n", word_or(loss, "text", "not known"));
    show_plan_steps(look, plan);
    table_text(look, TABLE_PLAIN, "\n");
    show_checks(look, plan);
    show_plan_connectors(look, plan);
    show_plan_ready(look, plan);
}

void
show_step(const struct table_look *look, struct json_object *step)
{
    char started[WORD_SIZE];
    char took[WORD_SIZE];
    char deadline[WORD_SIZE];
    uint64_t number;
    table_text(look, step_tone(step), "  %-8s", word_string(step, "state"));
    table_text(look, TABLE_PLAIN, "%-14s +%-9s %9s", word_string(step, "name"),
               json_get_u64(step, "started_ms", &number) ? word_duration(number, started) : "?",
               json_get_u64(step, "duration_ms", &number) ? word_duration(number, took) : "?");
    number = word_number(step, "deadline_ms", 0);
    const char *text = word_or(step, "text", "");
    table_text(look, TABLE_DIM, " of %-*s", text[0] == '\0' ? 0 : 10,
               number > 0 ? word_duration(number, deadline) : "-");
    table_text(look, TABLE_PLAIN, "%s\n", text);
}

void
show_promotion_end(const struct table_look *look, struct json_object *promotion)
{
    char took[WORD_SIZE];
    char epoch[WORD_SIZE];
    char closed[WORD_SIZE];
    uint64_t number;
    const char *node = word_string(json_get(promotion, "to"), "node");
    word_duration(word_number(promotion, "duration_ms", 0), took);
    if (is(promotion, "state", "done")) {
        table_text(look, TABLE_GOOD, "done: %s is primary of epoch %s after %s", node,
                   word_epoch(promotion, "epoch", epoch), took);
        if (json_get_u64(promotion, "writes_closed_ms", &number))
            table_text(look, TABLE_PLAIN, "; writes were closed for %s",
                       word_duration(number, closed));
        table_text(look, TABLE_PLAIN, "\n");
        if (!is(promotion, "old_primary", "none"))
            table_text(look, TABLE_PLAIN, "old primary: %s\n",
                       word_string(promotion, "old_primary"));
        return;
    }
    struct json_object *error = json_get(promotion, "error");
    bool runs = is(promotion, "state", "running");
    table_text(look, runs ? TABLE_WARN : TABLE_BAD, "%s", word_string(promotion, "state"));
    table_text(look, TABLE_PLAIN, " after %s", took);
    if (is(promotion, "state", "reverted"))
        table_text(look, TABLE_PLAIN, "; the old primary goes on under its old epoch");
    table_text(look, TABLE_PLAIN, "\n");
    if (error != NULL) {
        table_text(look, TABLE_BAD, "cause: %s\n", word_string(error, "detail"));
        if (word_or(error, "mend", "")[0] != '\0')
            table_text(look, TABLE_PLAIN, "  mend: %s\n", word_string(error, "mend"));
    }
}

void
show_promotion(const struct table_look *look, struct json_object *promotion)
{
    char time[WORD_SIZE];
    bool lossy = false;
    show_way(look, promotion);
    table_text(look, TABLE_PLAIN, "id          %s\n", word_string(promotion, "id"));
    table_text(look, TABLE_PLAIN, "ordered     by %s at %s UTC%s%s\n", word_string(promotion, "by"),
               word_time(word_string(promotion, "started_at"), time),
               word_or(promotion, "reason", "")[0] == '\0' ? "" : ": ",
               word_or(promotion, "reason", ""));
    if (json_get_bool(promotion, "accept_data_loss", &lossy) && lossy)
        table_text(look, TABLE_WARN, "            with --accept-data-loss\n");
    for (size_t i = 0; i < word_count(promotion, "overrides"); i++)
        table_text(look, TABLE_WARN, "            with --override %s\n",
                   json_object_get_string(word_item(promotion, "overrides", i)));
    for (size_t i = 0; i < word_count(promotion, "steps"); i++)
        show_step(look, word_item(promotion, "steps", i));
    show_promotion_end(look, promotion);
}

/* "failover in 220 ms", "reverted after 5.31 s"; the id names the node that it was for. */
static void
add_outcome(struct table *table, struct json_object *promotion)
{
    char took[WORD_SIZE];
    bool done = is(promotion, "state", "done");
    (void)word_duration(word_number(promotion, "duration_ms", 0), took);
    if (done)
        table_cell(table, TABLE_GOOD, "%s in %s", word_string(promotion, "kind"), took);
    else
        table_cell(table, is(promotion, "state", "running") ? TABLE_WARN : TABLE_BAD, "%s after %s",
                   word_string(promotion, "state"), took);
}

/* Only what tells one from another: all the rest is for 'promotion show'. */
void
show_promotions(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "ID", 0);
    table_column(table, "STARTED (UTC)", 0);
    table_column(table, "FROM", 0);
    table_column(table, "WHAT HAPPENED", 0);
    table_column(table, "BY AND WHY", TABLE_WRAP);
    for (size_t i = 0; i < word_count(list, "promotions"); i++) {
        struct json_object *promotion = word_item(list, "promotions", i);
        const char *reason = word_or(promotion, "reason", "");
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(promotion, "id"));
        table_cell(table, TABLE_PLAIN, "%.16s",
                   word_time(word_string(promotion, "started_at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_or(json_get(promotion, "from"), "node", "-"));
        add_outcome(table, promotion);
        table_cell(table, TABLE_PLAIN, "%s%s%s", word_string(promotion, "by"),
                   reason[0] == '\0' ? "" : ": ", reason);
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "no promotion is on record\n");
    table_print(table);
}
