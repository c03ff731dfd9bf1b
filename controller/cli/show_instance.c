#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/json.h"
#include "controller/cli/show.h"
#include "controller/cli/word.h"

static struct table *
make_table(const struct table_look *look)
{
    struct table *table = table_new(look);
    table_column(table, "CONNECTOR", 0);
    table_column(table, "INSTANCE", 0);
    table_column(table, "STATUS", 0);
    table_column(table, "HEALTH", TABLE_WRAP);
    table_column(table, "VERSION", 0);
    table_column(table, "ADDRESS", 0);
    table_column(table, "LAST CONNECTED (UTC)", 0);
    table_column(table, "SESSION", TABLE_CUT);
    return table;
}

static enum table_tone
status_tone(const char *status)
{
    if (strcmp(status, "CONNECTED") == 0)
        return TABLE_GOOD;
    return strcmp(status, "DISCONNECTED") == 0 ? TABLE_BAD : TABLE_WARN;
}

static void
add_health(struct table *table, struct json_object *instance)
{
    bool healthy;
    const char *text = word_or(instance, "text", "");
    if (!json_get_bool(instance, "healthy", &healthy))
        table_cell(table, TABLE_DIM, "?");
    else if (healthy)
        table_cell(table, TABLE_GOOD, "good");
    else
        table_cell(table, TABLE_BAD, "bad%s%s", *text == '\0' ? "" : ": ", text);
}

static void
add_rows(struct table *table, struct json_object *connector)
{
    char text[WORD_SIZE];
    for (size_t i = 0; i < word_count(connector, "instances"); i++) {
        struct json_object *instance = word_item(connector, "instances", i);
        const char *status = word_string(instance, "status");
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(connector, "connector"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(instance, "name"));
        table_cell(table, status_tone(status), "%s", status);
        add_health(table, instance);
        table_cell(table, TABLE_PLAIN, "%s", word_string(instance, "version"));
        table_cell(table, TABLE_PLAIN, "%s", word_or(instance, "address", "-"));
        table_cell(table, TABLE_PLAIN, "%s",
                   word_time(word_string(instance, "last_connected"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_or(json_get(instance, "session"), "id", "-"));
    }
}

static void
add_notes(const struct table_look *look, struct json_object *connector)
{
    const char *next = word_or(connector, "next_version", NULL);
    const char *alarm = word_or(connector, "alarm", NULL);
    if (next != NULL)
        table_text(look, TABLE_WARN, "%s is upgraded from %s to %s\n",
                   word_string(connector, "connector"), word_string(connector, "version"), next);
    if (alarm != NULL) {
        table_words(look, TABLE_BAD, 0, "%s", alarm);
        table_text(look, TABLE_PLAIN, "\n");
    }
}

void
show_instances_of(const struct table_look *look, struct json_object *connector)
{
    CLEANUP(table_freep) struct table *table = make_table(look);
    add_rows(table, connector);
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "%s has no instances\n", word_string(connector, "connector"));
    table_print(table);
    add_notes(look, connector);
}

void
show_instances(const struct table_look *look, struct json_object *list)
{
    bool settled = false;
    CLEANUP(table_freep) struct table *table = make_table(look);
    for (size_t i = 0; i < word_count(list, "connectors"); i++)
        add_rows(table, word_item(list, "connectors", i));
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "there are no instances\n");
    table_print(table);
    for (size_t i = 0; i < word_count(list, "connectors"); i++)
        add_notes(look, word_item(list, "connectors", i));
    if (!json_get_bool(list, "settled", &settled) || !settled)
        table_text(look, TABLE_WARN, "%s has just started and has not heard of all yet\n",
                   word_string(list, "node"));
}

void
show_agent_tokens(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "ID", 0);
    table_column(table, "CONNECTOR", 0);
    table_column(table, "STATE", 0);
    table_column(table, "EXPIRES (UTC)", 0);
    table_column(table, "MADE BY", 0);
    table_column(table, "MADE (UTC)", 0);
    for (size_t i = 0; i < word_count(list, "tokens"); i++) {
        struct json_object *token = word_item(list, "tokens", i);
        const char *state = word_string(token, "state");
        const char *expires = word_or(token, "expires_at", NULL);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(token, "id"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(token, "connector"));
        table_cell(table, strcmp(state, "open") == 0 ? TABLE_PLAIN : TABLE_DIM, "%s", state);
        table_cell(table, TABLE_PLAIN, "%s", expires == NULL ? "never" : word_time(expires, text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(token, "created_by"));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(token, "created_at"), text));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "there are no tokens\n");
    table_print(table);
}

void
show_instance_line(const struct table_look *look, struct json_object *status)
{
    size_t count = word_count(status, "instances");
    if (count == 0)
        return;
    CLEANUP(buf_done) struct buf line = { 0 };
    bool few = false;
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = word_item(status, "instances", i);
        uint64_t working = word_number(one, "working", 0);
        uint64_t expected = word_number(one, "expected", 1);
        few = few || working < expected;
        buf_printf(&line, "%s%s %llu of %llu", i == 0 ? "" : ", ", word_string(one, "connector"),
                   (unsigned long long)working, (unsigned long long)expected);
    }
    table_text(look, TABLE_PLAIN, "\n");
    table_words(look, few ? TABLE_WARN : TABLE_PLAIN, 11, "instances  %s", buf_text(&line));
    table_text(look, TABLE_PLAIN, "\n");
}
