#include "controller/cli/show.h"

#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/word.h"

/* "pam, sap"; the caller's. */
static char *
join_names(struct json_object *object, const char *name)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < word_count(object, name); i++)
        buf_printf(&text, "%s%s", i == 0 ? "" : ", ",
                   json_object_get_string(word_item(object, name, i)));
    return buf_take(&text);
}

static void
show_data_key(const struct table_look *look, struct json_object *key)
{
    char text[WORD_SIZE];
    struct buf has = { 0 };
    struct buf waits = { 0 };
    bool here = false;
    for (size_t i = 0; i < word_count(key, "members"); i++) {
        struct json_object *member = word_item(key, "members", i);
        struct buf *to = strcmp(word_string(member, "state"), "has") == 0 ? &has : &waits;
        buf_printf(to, "%s%s", to->size == 0 ? "" : ", ", word_string(member, "node"));
    }
    (void)!json_get_bool(key, "here", &here);
    table_text(look, TABLE_PLAIN, "data key %s, made %s UTC by %s, on %s\n", word_string(key, "id"),
               word_time(word_string(key, "made_at"), text), word_string(key, "made_by"),
               has.size == 0 ? "no member" : buf_text(&has));
    if (waits.size > 0)
        table_text(look, TABLE_WARN, "not on %s: what they have of secrets stays closed\n",
                   buf_text(&waits));
    if (!here)
        table_text(look, TABLE_BAD, "the node that was asked cannot open it\n");
    CLEANUP(freep) char *left = join_names(key, "left");
    if (left[0] != '\0')
        table_text(look, TABLE_WARN,
                   "%s has had it and should not have it any more: baton secret rotate\n", left);
    buf_done(&has);
    buf_done(&waits);
}

void
show_secrets(const struct table_look *look, struct json_object *document)
{
    char text[WORD_SIZE];
    struct json_object *key = json_get(document, "data_key");
    CLEANUP(table_freep) struct table *table = table_new(look);
    table_column(table, "NAME", 0);
    table_column(table, "HERE", 0);
    table_column(table, "SEALED BY", 0);
    table_column(table, "REVISION", TABLE_RIGHT);
    table_column(table, "CHANGED (UTC)", 0);
    table_column(table, "BY", 0);
    table_column(table, "CONNECTORS", TABLE_CUT);
    for (size_t i = 0; i < word_count(document, "secrets"); i++) {
        struct json_object *secret = word_item(document, "secrets", i);
        CLEANUP(freep) char *used_by = join_names(secret, "used_by");
        bool here = strcmp(word_string(secret, "state"), "here") == 0;
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(secret, "name"));
        table_cell(table, here ? TABLE_PLAIN : TABLE_BAD, "%s",
                   here ? "opens" : word_string(secret, "state"));
        table_cell(table, TABLE_DIM, "%s", word_string(secret, "key_id"));
        table_cell(table, TABLE_PLAIN, "%s", word_u64(secret, "revision", text));
        table_cell(table, TABLE_PLAIN, "%s", word_time(word_string(secret, "at"), text));
        table_cell(table, TABLE_PLAIN, "%s", word_string(secret, "author"));
        table_cell(table, TABLE_PLAIN, "%s", used_by[0] == '\0' ? "-" : used_by);
    }
    for (size_t i = 0; i < word_count(document, "missing"); i++) {
        struct json_object *missing = word_item(document, "missing", i);
        CLEANUP(freep) char *used_by = join_names(missing, "used_by");
        table_row(table);
        table_cell(table, TABLE_PLAIN, "%s", word_string(missing, "name"));
        table_cell(table, TABLE_WARN, "missing");
        for (unsigned column = 0; column < 4; column++)
            table_cell(table, TABLE_DIM, "-");
        table_cell(table, TABLE_PLAIN, "%s", used_by);
    }
    if (table_row_count(table) == 0)
        table_text(look, TABLE_PLAIN, "there are no secrets\n");
    if (key != NULL)
        show_data_key(look, key);
    table_print(table);
}
