#include "controller/cli/show.h"

#include <string.h>

#include "controller/base/json.h"
#include "controller/cli/word.h"
#include "sites/ready.h"

static bool
is(struct json_object *object, const char *name, const char *text)
{
    return strcmp(word_string(object, name), text) == 0;
}

/* Whatever is not told to be ready is not. */
static enum table_tone
verdict_tone(struct json_object *object)
{
    return is(object, "verdict", "ready")       ? TABLE_GOOD
           : is(object, "verdict", "not_ready") ? TABLE_BAD
                                                : TABLE_WARN;
}

static const char *
verdict_word(struct json_object *object)
{
    return is(object, "verdict", "ready")       ? "READY"
           : is(object, "verdict", "not_ready") ? "NOT READY"
                                                : "UNKNOWN";
}

/* ---- what was proved ---- */

static void
add_check(struct table *table, struct json_object *record, enum ready_check check)
{
    struct json_object *object = json_get(json_get(record, "checks"), ready_check_name(check));
    enum ready_outcome outcome = ready_outcome_parse(word_string(object, "outcome"));
    switch (outcome) {
    case READY_OUTCOME_UNKNOWN:
        table_cell(table, TABLE_WARN, "?");
        return;
    case READY_OUTCOME_NONE:
        table_cell(table, TABLE_DIM, "-");
        return;
    case READY_OUTCOME_OK:
        table_cell(table, TABLE_GOOD, "%s",
                   check == READY_CHECK_VERSION ? word_string(object, "text") : "ok");
        return;
    case READY_OUTCOME_WARN:
        table_cell(table, TABLE_WARN, "soon");
        return;
    case READY_OUTCOME_FAILED:
        table_cell(table, TABLE_BAD, "FAILS");
        return;
    }
}

static const enum ready_check shown[] = {
    READY_CHECK_REACH,  READY_CHECK_TLS,     READY_CHECK_CERTIFICATE, READY_CHECK_CREDENTIAL,
    READY_CHECK_HEALTH, READY_CHECK_TARGETS, READY_CHECK_VERSION,
};

static void
add_record(struct table *table, const char *site, const char *node, struct json_object *record)
{
    char age[WORD_SIZE];
    uint64_t age_ms;
    bool uses = is(record, "server", "main") || is(record, "server", "alternate");
    table_row(table);
    table_cell(table, TABLE_PLAIN, "%s", site);
    table_cell(table, TABLE_PLAIN, "%s", node);
    table_cell(table, TABLE_PLAIN, "%s", word_string(record, "connector"));
    table_cell(table, uses ? TABLE_PLAIN : TABLE_BAD, "%s", word_string(record, "server"));
    for (size_t i = 0; i < ARRAY_COUNT(shown); i++) {
        if (uses)
            add_check(table, record, shown[i]);
        else
            table_cell(table, TABLE_DIM, "-");
    }
    table_cell(table, TABLE_PLAIN, "%s",
               json_get_u64(record, "age_ms", &age_ms) ? word_age(age_ms, age) : "?");
}

static void
show_records(const struct table_look *look, struct json_object *document)
{
    static const char *const columns[] = { "REACH", "TLS", "CERT", "CRED", "HEALTH", "TARGETS" };
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "SITE", TABLE_CUT);
    table_column(table, "NODE", 0);
    table_column(table, "CONNECTOR", TABLE_CUT);
    table_column(table, "SERVER", 0);
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++)
        table_column(table, columns[i], 0);
    table_column(table, "VERSION", TABLE_CUT);
    table_column(table, "AGE", 0);
    for (size_t i = 0; i < word_count(document, "sites"); i++) {
        struct json_object *site = word_item(document, "sites", i);
        for (size_t j = 0; j < word_count(site, "nodes"); j++) {
            struct json_object *node = word_item(site, "nodes", j);
            for (size_t k = 0; k < word_count(node, "connectors"); k++)
                add_record(table, word_string(site, "name"), word_string(node, "name"),
                           word_item(node, "connectors", k));
        }
    }
    if (table_row_count(table) > 0)
        table_text(look, TABLE_PLAIN, "\n");
    table_print(table);
}

/* ---- why not ---- */

static enum table_tone
weight_tone(struct json_object *reason)
{
    return is(reason, "weight", "blocks") ? TABLE_BAD : TABLE_WARN;
}

static void
show_reasons(const struct table_look *look, struct json_object *node)
{
    for (size_t i = 0; i < word_count(node, "reasons"); i++) {
        struct json_object *reason = word_item(node, "reasons", i);
        const char *connector = word_or(reason, "connector", "");
        table_text(look, weight_tone(reason), "  %-7s  ", word_string(reason, "weight"));
        table_words(look, TABLE_PLAIN, 11, "%s%s%s: %s", word_string(node, "name"),
                    connector[0] == '\0' ? "" : ", ", connector, word_string(reason, "text"));
        table_text(look, TABLE_PLAIN, "\n%-11s", "");
        table_words(look, TABLE_DIM, 11, "mend: %s", word_string(reason, "mend"));
        table_text(look, TABLE_PLAIN, "\n");
    }
    uint64_t more = word_number(node, "more", 0);
    if (more > 0)
        table_text(look, TABLE_DIM, "           and %llu more of %s\n", (unsigned long long)more,
                   word_string(node, "name"));
}

static void
show_site(const struct table_look *look, struct json_object *site)
{
    table_text(look, TABLE_BOLD, "%s: ", word_string(site, "name"));
    table_text(look, verdict_tone(site), "%s", verdict_word(site));
    table_text(look, TABLE_DIM, " (%s)", word_string(site, "role"));
    for (size_t i = 0; i < word_count(site, "nodes"); i++) {
        struct json_object *node = word_item(site, "nodes", i);
        table_text(look, TABLE_PLAIN, "%s %s ", i == 0 ? ":" : ",", word_string(node, "name"));
        table_text(look, verdict_tone(node), "%s", verdict_word(node));
    }
    table_text(look, TABLE_PLAIN, "\n");
    for (size_t i = 0; i < word_count(site, "nodes"); i++)
        show_reasons(look, word_item(site, "nodes", i));
}

void
show_ready(const struct table_look *look, struct json_object *document)
{
    size_t count = word_count(document, "sites");
    if (count == 0)
        table_text(look, TABLE_WARN, "UNKNOWN: no site is told\n");
    for (size_t i = 0; i < count; i++)
        show_site(look, word_item(document, "sites", i));
    show_records(look, document);
}

void
show_plan_ready(const struct table_look *look, struct json_object *plan)
{
    struct json_object *ready = json_get(plan, "ready");
    if (ready == NULL)
        return;
    table_text(look, TABLE_PLAIN, "\nready now: ");
    table_text(look, verdict_tone(ready), "%s", verdict_word(ready));
    table_text(look, TABLE_PLAIN, "\n");
    show_reasons(look, ready);
}
