#include "controller/cli/show.h"

#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/word.h"

static const char *
scope_name(struct json_object *row)
{
    const char *site = word_or(row, "site", "");
    return site[0] == '\0' ? "cluster" : site;
}

static void
value_cell(struct table *table, enum table_tone tone, struct json_object *value)
{
    CLEANUP(freep) char *text = word_brief(value);
    table_cell(table, tone, "%s", text);
}

static bool
flag_of(struct json_object *row, const char *name)
{
    bool flag = false;
    return json_get_bool(row, name, &flag) && flag;
}

/* The value of a row of the log; a deletion and a hidden value are words, not values. */
static void
row_value_cell(struct table *table, struct json_object *row)
{
    if (flag_of(row, "hidden"))
        table_cell(table, TABLE_DIM, "(hidden)");
    else if (flag_of(row, "deleted"))
        table_cell(table, TABLE_WARN, "(deleted)");
    else
        value_cell(table, TABLE_PLAIN, json_get(row, "value"));
}

void
show_entries(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "KEY", 0);
    table_column(table, "SCOPE", 0);
    table_column(table, "VALUE", TABLE_CUT);
    table_column(table, "REVISION", TABLE_RIGHT);
    table_column(table, "AUTHOR", 0);
    table_column(table, "CHANGED (UTC)", 0);
    for (size_t i = 0; i < word_count(list, "entries"); i++) {
        struct json_object *entry = word_item(list, "entries", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(entry, "key"));
        table_cell(table, TABLE_PLAIN, "%s", scope_name(entry));
        value_cell(table, TABLE_PLAIN, json_get(entry, "value"));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(entry, "revision", text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(entry, "author"));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(entry, "at"), text));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "nothing is configured\n");
    table_print(table);
}

void
show_history(const struct table_look *look, struct json_object *history)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "REVISION", TABLE_RIGHT);
    table_column(table, "EPOCH", 0);
    table_column(table, "CHANGED (UTC)", 0);
    table_column(table, "AUTHOR", 0);
    table_column(table, "KEY", 0);
    table_column(table, "SCOPE", 0);
    table_column(table, "VALUE", TABLE_CUT);
    table_column(table, "REASON", TABLE_CUT);
    for (size_t i = 0; i < word_count(history, "rows"); i++) {
        struct json_object *row = word_item(history, "rows", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_u64(row, "revision", text));
        table_cell(table, TABLE_PLAIN, "%s", word_epoch(row, "epoch", text));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(row, "at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(row, "author"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(row, "key"));
        table_cell(table, TABLE_PLAIN, "%s", scope_name(row));
        row_value_cell(table, row);
        table_cell(table, TABLE_PLAIN, "%s", word_or(row, "reason", ""));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "no change is on record; a key must be given whole\n");
    table_print(table);
    if (flag_of(history, "more"))
        table_text(look, TABLE_DIM, "there are more: --after, --limit\n");
}

void
show_row(const struct table_look *look, struct json_object *row)
{
    char revision[WORD_SIZE];
    char time[WORD_SIZE];
    CLEANUP(freep)
    char *value = flag_of(row, "hidden")    ? str_dup("(hidden)")
                  : flag_of(row, "deleted") ? str_dup("(deleted)")
                                            : word_brief(json_get(row, "value"));
    const char *reason = word_or(row, "reason", "");
    table_text(look, TABLE_DIM, "%s %s ", word_time(word_string(row, "at"), time),
               word_u64(row, "revision", revision));
    table_text(look, TABLE_PLAIN, "%s [%s] = %s", word_string(row, "key"), scope_name(row), value);
    table_text(look, TABLE_DIM, "  by %s%s%s\n", word_string(row, "author"),
               reason[0] == '\0' ? "" : ": ", reason);
}

/* What holds now for the site and key of a change. */
static struct json_object *
entry_of(struct json_object *entries, struct json_object *change)
{
    for (size_t i = 0; i < word_count(entries, "entries"); i++) {
        struct json_object *entry = word_item(entries, "entries", i);
        if (strcmp(word_string(entry, "key"), word_string(change, "key")) == 0 &&
            strcmp(word_or(entry, "site", ""), word_or(change, "site", "")) == 0)
            return entry;
    }
    return NULL;
}

void
show_changes(const struct table_look *look, struct json_object *changes,
             struct json_object *entries)
{
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "KEY", 0);
    table_column(table, "SCOPE", 0);
    if (entries != NULL)
        table_column(table, "NOW", TABLE_CUT);
    table_column(table, "THEN", TABLE_CUT);
    for (size_t i = 0; i < json_object_array_length(changes); i++) {
        struct json_object *change = json_object_array_get_idx(changes, i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(change, "key"));
        table_cell(table, TABLE_PLAIN, "%s", scope_name(change));
        if (entries != NULL) {
            struct json_object *entry = entry_of(entries, change);
            if (entry == NULL)
                table_cell(table, TABLE_DIM, "(not set)");
            else
                value_cell(table, TABLE_DIM, json_get(entry, "value"));
        }
        if (flag_of(change, "delete"))
            table_cell(table, TABLE_WARN, "(deleted)");
        else
            value_cell(table, TABLE_PLAIN, json_get(change, "value"));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "no difference: nothing to do\n");
    table_print(table);
}

void
show_local(const struct table_look *look, struct json_object *list)
{
    char text[WORD_SIZE];
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_text(look, TABLE_PLAIN, "local settings of %s; no other node has them\n",
               word_string(list, "node"));
    table_column(table, "KEY", 0);
    table_column(table, "VALUE", TABLE_CUT);
    table_column(table, "AUTHOR", 0);
    table_column(table, "CHANGED (UTC)", 0);
    for (size_t i = 0; i < word_count(list, "entries"); i++) {
        struct json_object *entry = word_item(list, "entries", i);
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(entry, "key"));
        value_cell(table, TABLE_PLAIN, json_get(entry, "value"));
        table_cell(table, TABLE_PLAIN, "%s", word_string(entry, "author"));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(entry, "at"), text));
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "none is set: the defaults hold\n");
    table_print(table);
}

/* ---- explain ---- */

static struct json_object *
layer_of(struct json_object *side, const char *name)
{
    for (size_t i = 0; i < word_count(side, "layers"); i++) {
        struct json_object *layer = word_item(side, "layers", i);
        if (strcmp(word_string(layer, "layer"), name) == 0)
            return layer;
    }
    return NULL;
}

/* "* true  (anna, 2026-11-22 05:40:11)"; the star marks the layer that decides. */
static void
layer_cell(struct table *table, struct json_object *side, const char *name)
{
    struct json_object *layer = layer_of(side, name);
    bool is_node = strcmp(name, "node") == 0;
    if (is_node && side != NULL && !flag_of(side, "known")) {
        table_cell(table, TABLE_WARN, "? not known here");
        return;
    }
    if (layer == NULL) {
        table_cell(table, TABLE_DIM, "-");
        return;
    }
    char at[WORD_SIZE];
    CLEANUP(freep) char *value = word_brief(json_get(layer, "value"));
    const char *author = word_or(layer, "author", "");
    bool used = flag_of(layer, "used");
    bool has_author = author[0] != '\0';
    table_cell(table, used ? TABLE_BOLD : TABLE_DIM, "%s%s%s%s%s%s%s", used ? "* " : "  ", value,
               has_author ? "  (" : "", author, has_author ? ", " : "",
               has_author ? word_time(word_string(layer, "at"), at) : "", has_author ? ")" : "");
}

static void
result_cell(struct table *table, struct json_object *side)
{
    if (!flag_of(side, "known")) {
        table_cell(table, TABLE_WARN, "? not known");
        return;
    }
    CLEANUP(freep) char *value = word_brief(json_get(side, "value"));
    bool set = json_get(side, "from") != NULL;
    table_cell(table, set ? TABLE_BOLD : TABLE_DIM, "%s%s", set ? value : "(not set)",
               flag_of(side, "refused") ? "  (a stored value is not allowed and was passed over)"
                                        : "");
}

static void
server_cell(struct table *table, struct json_object *side, const char *member)
{
    struct json_object *connector = json_get(side, "connector");
    const char *server = word_string(connector, member);
    bool uses_alternate;
    if (!json_get_bool(connector, "use_alternate_server", &uses_alternate))
        table_cell(table, TABLE_WARN, "? not known");
    else
        table_cell(table, strcmp(server, "error") == 0 ? TABLE_BAD : TABLE_PLAIN, "%s", server);
}

static void
text_cell(struct table *table, struct json_object *side, const char *member)
{
    table_cell(table, TABLE_PLAIN, "%s", word_or(json_get(side, "connector"), member, ""));
}

/* A secret that is missing is seen before it is needed. */
static void
credential_cell(struct table *table, struct json_object *side)
{
    bool there = false;
    struct json_object *credential = json_get(json_get(side, "connector"), "credential");
    if (credential == NULL)
        table_cell(table, TABLE_PLAIN, "%s", "");
    else if (json_get_bool(credential, "there", &there) && there)
        table_cell(table, TABLE_PLAIN, "%s", word_string(credential, "name"));
    else
        table_cell(table, TABLE_BAD, "%s is missing", word_string(credential, "name"));
}

static bool
has_credential(struct json_object *side)
{
    return json_get(json_get(side, "connector"), "credential") != NULL;
}

void
show_explain(const struct table_look *look, struct json_object *explain)
{
    static const char *const layers[] = { "node", "site", "cluster", "default" };
    struct json_object *sides[] = { json_get(explain, "now"), json_get(explain, "if_promoted") };
    size_t count = sides[1] == NULL ? 1 : 2;
    const char *unit = word_or(sides[0], "unit", "");
    table_text(look, TABLE_BOLD, "%s", word_string(sides[0], "key"));
    table_text(look, TABLE_PLAIN, "  %s%s%s, scope %s\n%s\n\n", word_string(sides[0], "type"),
               unit[0] == '\0' ? "" : " in ", unit, word_string(sides[0], "scope"),
               word_or(sides[0], "text", ""));

    CLEANUP(table_freep) struct table *table = table_new(look);
    CLEANUP(freep) char *now = str_printf("NOW ON %s", word_string(sides[0], "node"));
    CLEANUP(freep)
    char *then = str_printf("ON %s IF %s WERE PROMOTED", word_string(sides[1], "node"),
                            word_string(sides[1], "site"));
    table_column(table, "LAYER", 0);
    table_column(table, now, TABLE_WRAP);
    if (count == 2)
        table_column(table, then, TABLE_WRAP);
    for (size_t i = 0; i < ARRAY_COUNT(layers); i++) {
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", layers[i]);
        for (size_t side = 0; side < count; side++)
            layer_cell(table, sides[side], layers[i]);
    }
    table_row(table);
    table_cell(table, TABLE_BOLD, "value");
    for (size_t side = 0; side < count; side++)
        result_cell(table, sides[side]);
    static const char *const members[] = { "in_use", "would_use", "url", "hint" };
    static const char *const names[] = { "server in use", "would use", "address", "remark" };
    for (size_t i = 0; json_get(sides[0], "connector") != NULL && i < ARRAY_COUNT(members); i++) {
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", names[i]);
        for (size_t side = 0; side < count; side++) {
            if (i < 2)
                server_cell(table, sides[side], members[i]);
            else
                text_cell(table, sides[side], members[i]);
        }
    }
    if (has_credential(sides[0]) || has_credential(sides[1])) {
        table_row(table);
        table_cell(table, TABLE_PLAIN, "credential");
        for (size_t side = 0; side < count; side++)
            credential_cell(table, sides[side]);
    }
    table_print(table);
}
