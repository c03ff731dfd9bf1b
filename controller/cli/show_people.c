#include "controller/cli/show.h"

#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/word.h"

static enum table_tone
state_tone(const char *state)
{
    if (strcmp(state, "open") == 0 || strcmp(state, "kept") == 0)
        return TABLE_WARN;
    return TABLE_DIM;
}

void
show_tokens(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "ID", 0);
    table_column(table, "SITE", 0);
    table_column(table, "HOST", 0);
    table_column(table, "STATE", 0);
    table_column(table, "EXPIRES (UTC)", 0);
    table_column(table, "MADE BY", 0);
    table_column(table, "USED BY", 0);
    for (size_t i = 0; i < word_count(list, "tokens"); i++) {
        struct json_object *token = word_item(list, "tokens", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(token, "id"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(token, "site"));
        table_cell(table, TABLE_PLAIN, "%s", word_or(token, "host", "any"));
        table_cell(table, state_tone(word_string(token, "state")), "%s",
                   word_string(token, "state"));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(token, "expires_at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(token, "created_by"));
        table_cell(table, TABLE_PLAIN, "%s", word_or(token, "used_by", "-"));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "there are no tokens\n");
    table_print(table);
}

void
show_users(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "USER", 0);
    table_column(table, "ROLE", 0);
    table_column(table, "CHANGED (UTC)", 0);
    table_column(table, "BY", 0);
    for (size_t i = 0; i < word_count(list, "users"); i++) {
        struct json_object *user = word_item(list, "users", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(user, "name"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(user, "role"));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(user, "changed_at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(user, "changed_by"));
    }
    table_print(table);
}

void
show_setaside_list(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "ID", TABLE_RIGHT);
    table_column(table, "TAKEN (UTC)", 0);
    table_column(table, "LOST AGAINST", 0);
    table_column(table, "CHANGES", TABLE_RIGHT);
    table_column(table, "UNDECIDED", TABLE_RIGHT);
    table_column(table, "APPLIED", TABLE_RIGHT);
    table_column(table, "DISCARDED", TABLE_RIGHT);
    for (size_t i = 0; i < word_count(list, "batches"); i++) {
        struct json_object *batch = word_item(list, "batches", i);
        bool open = word_number(batch, "kept", 1) > 0;
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_u64(batch, "id", text));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(batch, "taken_at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_epoch(batch, "against", text));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(batch, "rows", text));
        table_cell(table, open ? TABLE_WARN : TABLE_DIM, "%s", word_u64(batch, "kept", text));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(batch, "applied", text));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(batch, "discarded", text));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN,
                   "nothing is set aside on %s; each node keeps its own: ask the old primary\n",
                   word_string(list, "node"));
    table_print(table);
}

/* Did somebody else change the key in the meantime? Then an apply would undo that. */
static void
current_cell(struct table *table, struct json_object *row)
{
    struct json_object *current = json_get(row, "current");
    if (current == NULL) {
        table_cell(table, TABLE_DIM, "(not set)");
        return;
    }
    char revision[WORD_SIZE];
    CLEANUP(freep) char *value = word_brief(json_get(current, "value"));
    table_cell(table, TABLE_PLAIN, "%s  (%s at %s)", value, word_string(current, "author"),
               word_u64(current, "revision", revision));
}

void
show_setaside(const struct table_look *look, struct json_object *batch)
{
    char text[WORD_SIZE];
    char epoch[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_text(look, TABLE_PLAIN, "what %s wrote alone, until it met epoch %s at %s UTC\n",
               word_string(batch, "node"), word_epoch(batch, "against", epoch),
               word_time(word_string(batch, "taken_at"), text));
    table_column(table, "REVISION", TABLE_RIGHT);
    table_column(table, "KEY", 0);
    table_column(table, "SCOPE", 0);
    table_column(table, "SET ASIDE", TABLE_CUT);
    table_column(table, "HOLDS NOW", TABLE_CUT);
    table_column(table, "AUTHOR", 0);
    table_column(table, "STATE", 0);
    for (size_t i = 0; i < word_count(batch, "rows"); i++) {
        struct json_object *row = word_item(batch, "rows", i);
        bool deleted = false;
        bool hidden = false;
        const char *site = word_or(row, "site", "");
        CLEANUP(freep) char *value = word_brief(json_get(row, "value"));
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_u64(row, "revision", text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(row, "key"));
        table_cell(table, TABLE_PLAIN, "%s", site[0] == '\0' ? "cluster" : site);
        if (json_get_bool(row, "hidden", &hidden) && hidden)
            table_cell(table, TABLE_DIM, "(hidden)");
        else if (json_get_bool(row, "deleted", &deleted) && deleted)
            table_cell(table, TABLE_WARN, "(deleted)");
        else
            table_cell(table, TABLE_PLAIN, "%s", value);
        if (hidden)
            table_cell(table, TABLE_DIM, "(hidden)");
        else
            current_cell(table, row);
        table_cell(table, TABLE_PLAIN, "%s", word_string(row, "author"));
        table_cell(table, state_tone(word_string(row, "state")), "%s", word_string(row, "state"));
    }
    table_print(table);
}
