#include "controller/cli/transfer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/word.h"
#include "controller/cli/yaml.h"
#include "sites/sealing.h"

#define TRANSFER_VERSION 1
#define READ_STEP        65536

/* Secrets stay where they are: a file has none, and what it lacks of them is not missing. */
static bool
is_secret(struct json_object *entry)
{
    return str_starts(word_or(entry, "key", ""), SEALING_PREFIX);
}

struct json_object *
transfer_export(struct json_object *list)
{
    struct json_object *file = json_object_new_object();
    struct json_object *cluster = json_object_new_object();
    struct json_object *sites = json_object_new_object();
    for (size_t i = 0; i < word_count(list, "entries"); i++) {
        struct json_object *entry = word_item(list, "entries", i);
        const char *site = word_or(entry, "site", "");
        struct json_object *scope = cluster;
        if (is_secret(entry))
            continue;
        if (site[0] != '\0') {
            scope = json_get(sites, site);
            if (scope == NULL) {
                scope = json_object_new_object();
                json_add(sites, site, scope);
            }
        }
        json_add(scope, word_string(entry, "key"), json_object_get(json_get(entry, "value")));
    }
    json_add_i64(file, "baton_config", TRANSFER_VERSION);
    json_add_u64(file, "revision", word_number(list, "revision", 0));
    json_add(file, "cluster", cluster);
    json_add(file, "sites", sites);
    return file;
}

/* The entries by site and key; the caller's. */
static struct json_object *
make_index(struct json_object *list)
{
    struct json_object *index = json_object_new_object();
    for (size_t i = 0; i < word_count(list, "entries"); i++) {
        struct json_object *entry = word_item(list, "entries", i);
        CLEANUP(freep)
        char *name = str_printf("%s\n%s", word_or(entry, "site", ""), word_string(entry, "key"));
        json_add(index, name, json_object_get(entry));
    }
    return index;
}

static struct json_object *
find_entry(struct json_object *index, const char *site, const char *key)
{
    CLEANUP(freep) char *name = str_printf("%s\n%s", site, key);
    return json_get(index, name);
}

/* With the key's own revision, 0 for one that does not exist. */
static struct json_object *
add_change(struct json_object *changes, const char *site, const char *key,
           struct json_object *entry)
{
    struct json_object *change = json_object_new_object();
    if (site[0] != '\0')
        json_add_string(change, "site", site);
    json_add_string(change, "key", key);
    json_add_u64(change, "if_match", entry == NULL ? 0 : word_number(entry, "revision", 0));
    (void)json_object_array_add(changes, change);
    return change;
}

static void
diff_scope(struct json_object *scope, const char *site, struct json_object *index,
           const char *prefix, struct json_object *changes)
{
    if (scope == NULL)
        return;
    json_object_object_foreach (scope, key, value) {
        if (!str_starts(key, prefix))
            continue;
        struct json_object *entry = find_entry(index, site, key);
        if (entry != NULL && json_object_equal(json_get(entry, "value"), value))
            continue;
        json_add(add_change(changes, site, key, entry), "value", json_object_get(value));
    }
}

static enum err_code
refuse(const char *what, const char *why, struct err *err)
{
    (void)err_set(err, ERR_INVALID, "config_file", "%s: %s", what, why);
    return err_mend(err, "baton config export shows what such a file looks like");
}

static enum err_code
check_file(struct json_object *file, struct err *err)
{
    int64_t version;
    if (!json_object_is_type(file, json_type_object))
        return refuse("(whole file)", "must be an object", err);
    if (!json_get_i64(file, "baton_config", &version) || version != TRANSFER_VERSION)
        return refuse("baton_config", "must be 1: is this a file of baton config export?", err);
    json_object_object_foreach (file, name, value) {
        if (strcmp(name, "baton_config") == 0 || strcmp(name, "revision") == 0)
            continue;
        if (strcmp(name, "cluster") != 0 && strcmp(name, "sites") != 0)
            return refuse(name, "unknown member; known are cluster and sites", err);
        if (value != NULL && !json_object_is_type(value, json_type_object))
            return refuse(name, "must be an object", err);
    }
    struct json_object *sites = json_get(file, "sites");
    if (sites == NULL)
        return ERR_NONE;
    json_object_object_foreach (sites, site, scope) {
        CLEANUP(freep) char *what = str_printf("sites.%s", site);
        if (!str_is_name(site))
            return refuse(what, "not the name of a site", err);
        if (!json_object_is_type(scope, json_type_object))
            return refuse(what, "must be an object", err);
    }
    return ERR_NONE;
}

enum err_code
transfer_diff(struct json_object *file, struct json_object *list, const char *prefix, bool prune,
              struct json_object **ret_changes, struct err *err)
{
    enum err_code code = check_file(file, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(json_putp) struct json_object *index = make_index(list);
    struct json_object *changes = json_object_new_array();
    struct json_object *cluster = json_get(file, "cluster");
    struct json_object *sites = json_get(file, "sites");
    diff_scope(cluster, "", index, prefix, changes);
    if (sites != NULL) {
        json_object_object_foreach (sites, site, scope) {
            diff_scope(scope, site, index, prefix, changes);
        }
    }
    for (size_t i = 0; prune && i < word_count(list, "entries"); i++) {
        struct json_object *entry = word_item(list, "entries", i);
        const char *key = word_string(entry, "key");
        const char *site = word_or(entry, "site", "");
        struct json_object *scope = site[0] == '\0' ? cluster : json_get(sites, site);
        bool kept = scope != NULL && json_object_object_get_ex(scope, key, NULL);
        if (!kept && str_starts(key, prefix) && !is_secret(entry))
            json_add_bool(add_change(changes, site, key, entry), "delete", true);
    }
    *ret_changes = changes;
    return ERR_NONE;
}

const char *
transfer_format(const char *path, const char *format)
{
    if (format != NULL)
        return format;
    return path != NULL && (str_ends(path, ".yaml") || str_ends(path, ".yml")) ? "yaml" : "json";
}

static enum err_code
read_input(struct buf *into, struct err *err)
{
    for (;;) {
        ssize_t got = read(STDIN_FILENO, buf_reserve(into, READ_STEP), READ_STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read standard input");
        if (got == 0)
            return ERR_NONE;
        buf_grew(into, (size_t)got);
        if (into->size > TRANSFER_SIZE_MAX)
            return err_set(err, ERR_LIMIT, "file_too_large", "standard input: more than %lu bytes",
                           TRANSFER_SIZE_MAX);
    }
}

enum err_code
transfer_read(const char *path, const char *format, struct json_object **ret, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    bool is_input = strcmp(path, "-") == 0;
    const char *name = is_input ? "standard input" : path;
    enum err_code code =
        is_input ? read_input(&text, err) : file_read(path, TRANSFER_SIZE_MAX, &text, err);
    if (code != ERR_NONE)
        return code;
    if (strcmp(transfer_format(path, format), "yaml") == 0)
        code = yaml_read(buf_text(&text), text.size, ret, err);
    else
        code = json_read(buf_text(&text), text.size, ret, err);
    return code == ERR_NONE ? code : err_wrap(err, "%s", name);
}

void
transfer_write(struct json_object *document, const char *format, struct buf *into)
{
    if (strcmp(format, "yaml") == 0) {
        yaml_write(document, into);
        return;
    }
    buf_add_text(into, json_object_to_json_string_ext(
                           document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    buf_add_text(into, "\n");
}
