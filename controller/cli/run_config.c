#include <string.h>

#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/run.h"
#include "controller/cli/sse.h"
#include "controller/cli/transfer.h"
#include "controller/cli/word.h"
#include "sites/sealing.h"

#define WATCH_RETRY_MS     500
#define WATCH_RETRY_MAX_MS 5000
#define CHANGES_MAX        1000 /* of one atomic write; the server's limit */

static void
key_path(struct cli *cli, struct buf *path)
{
    buf_add_text(path, "/v1/config/");
    connect_escape(path, cli_operand(cli, 0));
    connect_query(path, "site", cli_value(cli, OPTION_SCOPE));
}

/* A text as it is, so that a shell can use it; anything else as JSON. */
static void
print_value(struct cli *cli, struct json_object *value)
{
    struct table_look look = table_look(cli);
    const char *text = json_object_is_type(value, json_type_string)
                           ? json_object_get_string(value)
                           : json_object_to_json_string_ext(
                                 value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                            JSON_C_TO_STRING_NOSLASHESCAPE);
    if (cli->out_is_terminal)
        table_text(&look, TABLE_PLAIN, "%s\n", text);
    else
        (void)fprintf(cli->out, "%s\n", text);
}

enum err_code
run_config_get(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(json_putp) struct json_object *entry = NULL;
    key_path(cli, &path);
    enum err_code code = connect_get(cli, buf_text(&path), &entry, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, entry);
        return ERR_NONE;
    }
    if (!str_starts(cli_operand(cli, 0), SEALING_PREFIX)) {
        print_value(cli, json_get(entry, "value"));
        return ERR_NONE;
    }
    CLEANUP(freep) char *sealed = word_brief(json_get(entry, "value"));
    struct table_look look = table_look(cli);
    table_text(&look, TABLE_PLAIN, "%s\n", sealed);
    return ERR_NONE;
}

enum err_code
run_config_set(struct cli *cli, struct err *err)
{
    struct json_object *value = NULL;
    enum err_code code = ask_value_of(cli, cli_operand(cli, 1), &value, err);
    if (code != ERR_NONE)
        return code;
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(buf_done) struct buf path = { 0 };
    json_add(body, "value", value);
    key_path(cli, &path);
    return ask_write(cli, "PUT", buf_text(&path), body, cli_operand(cli, 0), err);
}

enum err_code
run_config_delete(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(freep) char *done = str_printf("deleted %s", cli_operand(cli, 0));
    key_path(cli, &path);
    return ask_write(cli, "DELETE", buf_text(&path), NULL, done, err);
}

enum err_code
run_config_list(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/config");
    connect_query(&path, "prefix", cli_operand(cli, 0));
    connect_query(&path, "site", cli_value(cli, OPTION_SCOPE));
    return ask_and_show(cli, buf_text(&path), show_entries, err);
}

enum err_code
run_config_history(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/history");
    connect_query(&path, "key", cli_operand(cli, 0));
    connect_query(&path, "after", cli_value(cli, OPTION_AFTER));
    connect_query(&path, "limit", cli_value(cli, OPTION_LIMIT));
    return ask_and_show(cli, buf_text(&path), show_history, err);
}

/* ---- rollback ---- */

static struct json_object *
rollback_body(struct cli *cli, bool dry_run)
{
    struct json_object *body = json_object_new_object();
    json_add_u64(body, "revision", strtoull(cli_operand(cli, 0), NULL, 10));
    if (cli_value(cli, OPTION_PREFIX) != NULL)
        json_add_string(body, "prefix", cli_value(cli, OPTION_PREFIX));
    json_add_bool(body, "dry_run", dry_run);
    return body;
}

static enum err_code
rollback(struct cli *cli, bool dry_run, struct json_object **ret, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = rollback_body(cli, dry_run);
    struct connect_request request = { .method = "POST", .path = "/v1/rollback", .body = body };
    return connect_call(cli, &request, ret, err);
}

enum err_code
run_config_rollback(struct cli *cli, struct err *err)
{
    uint64_t revision;
    const char *typed = cli_operand(cli, 0);
    if (!str_to_u64(typed, 0, INT64_MAX, &revision))
        return err_set(err, ERR_INVALID, "operand", "revision '%s': must be a whole number", typed);
    CLEANUP(json_putp) struct json_object *plan = NULL;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    struct table_look look = table_look(cli);
    enum err_code code = rollback(cli, true, &plan, err);
    if (code != ERR_NONE)
        return code;
    size_t count = word_count(plan, "changes");
    bool dry_run = cli_flag(cli, OPTION_DRY_RUN);
    if (cli_json(cli) && (dry_run || count == 0)) {
        cli_print_json(cli, plan);
        return ERR_NONE;
    }
    if (!cli_json(cli))
        show_changes(&look, json_get(plan, "changes"), NULL);
    if (dry_run || count == 0)
        return ERR_NONE;
    CLEANUP(freep)
    char *what =
        str_printf("%zu change%s back to revision %s", count, count == 1 ? "" : "s", typed);
    code = cli_confirm(cli, what, typed, err);
    if (code == ERR_NONE)
        code = rollback(cli, false, &answer, err);
    if (code != ERR_NONE)
        return code;
    char text[WORD_SIZE];
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        table_text(&look, TABLE_PLAIN, "rolled back: revision %s\n",
                   word_u64(answer, "revision", text));
    return ERR_NONE;
}

/* ---- files ---- */

static enum err_code
read_config(struct cli *cli, const char *prefix, struct json_object **ret, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/config");
    connect_query(&path, "prefix", prefix);
    return connect_get(cli, buf_text(&path), ret, err);
}

enum err_code
run_config_export(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *list = NULL;
    enum err_code code = read_config(cli, cli_operand(cli, 0), &list, err);
    if (code != ERR_NONE)
        return code;
    const char *output = cli_value(cli, OPTION_OUTPUT);
    const char *format = transfer_format(output, cli_value(cli, OPTION_FORMAT));
    CLEANUP(json_putp) struct json_object *file = transfer_export(list);
    CLEANUP(buf_done) struct buf text = { 0 };
    transfer_write(file, format, &text);
    if (output == NULL) {
        (void)fwrite(text.data, 1, text.size, cli->out);
        return ERR_NONE;
    }
    code = file_write_atomic(output, text.data, text.size, 0640, (uid_t)-1, (gid_t)-1, err);
    if (code == ERR_NONE)
        cli_note(cli, "%zu entries of revision %llu written to %s", word_count(list, "entries"),
                 (unsigned long long)word_number(list, "revision", 0), output);
    return code;
}

/* Shows the difference, asks, writes it as one. Takes the reference of 'changes'. */
static enum err_code
import_changes(struct cli *cli, struct json_object *list, struct json_object *changes,
               struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add(body, "changes", changes);
    size_t count = json_object_array_length(changes);
    struct table_look look = table_look(cli);
    if (cli_json(cli) && (cli_flag(cli, OPTION_DRY_RUN) || count == 0))
        cli_print_json(cli, body);
    else if (!cli_json(cli))
        show_changes(&look, changes, list);
    if (count == 0 || cli_flag(cli, OPTION_DRY_RUN))
        return ERR_NONE;
    if (count > CHANGES_MAX) {
        (void)err_set(err, ERR_LIMIT, "too_many_changes",
                      "import: %zu changes, and one write takes at most %d", count, CHANGES_MAX);
        return err_mend(err, "import it in parts: --prefix app/a, --prefix app/b ...");
    }
    CLEANUP(freep) char *what = str_printf("import %zu change%s", count, count == 1 ? "" : "s");
    enum err_code code = cli_confirm(cli, what, "import", err);
    return code != ERR_NONE ? code : ask_write(cli, "POST", "/v1/config", body, "imported", err);
}

enum err_code
run_config_import(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *file = NULL;
    CLEANUP(json_putp) struct json_object *list = NULL;
    struct json_object *changes = NULL;
    const char *path = cli_operand(cli, 0);
    const char *prefix = arguments_text(&cli->arguments, OPTION_PREFIX, "");
    enum err_code code = transfer_read(path, cli_value(cli, OPTION_FORMAT), &file, err);
    if (code == ERR_NONE)
        code = read_config(cli, prefix[0] == '\0' ? NULL : prefix, &list, err);
    if (code == ERR_NONE) {
        code = transfer_diff(file, list, prefix, cli_flag(cli, OPTION_PRUNE), &changes, err);
        if (code != ERR_NONE)
            return err_wrap(err, "%s", path);
    }
    return code != ERR_NONE ? code : import_changes(cli, list, changes, err);
}

/* ---- watch ---- */

struct watcher {
    struct cli *cli;
    struct sse sse;
    const char *prefix;
    bool heard; /* since the connection was made */
    enum err_code code;
    struct err *err;
};

static bool
on_event(void *data, const struct sse_event *event)
{
    struct watcher *watcher = data;
    CLEANUP(json_putp) struct json_object *row = NULL;
    struct err unread;
    if (strcmp(event->kind, "reset") == 0)
        cli_note(watcher->cli, "some changes were missed: baton config history has them");
    if (strcmp(event->kind, "config") != 0 ||
        json_read(event->data, event->size, &row, &unread) != ERR_NONE)
        return true;
    if (!str_starts(word_string(row, "key"), watcher->prefix))
        return true;
    struct table_look look = table_look(watcher->cli);
    if (cli_json(watcher->cli))
        (void)fprintf(watcher->cli->out, "%s\n", json_text(row));
    else
        show_row(&look, row);
    return fflush(watcher->cli->out) == 0;
}

static bool
on_chunk(void *data, const char *bytes, size_t size)
{
    struct watcher *watcher = data;
    bool wanted = true;
    watcher->heard = true;
    watcher->code = sse_feed(&watcher->sse, bytes, size, on_event, watcher, &wanted, watcher->err);
    return wanted && watcher->code == ERR_NONE;
}

enum err_code
run_config_watch(struct cli *cli, struct err *err)
{
    struct watcher watcher = { .cli = cli, .err = err };
    watcher.prefix = cli_operand(cli, 0) == NULL ? "" : cli_operand(cli, 0);
    unsigned pause_ms = WATCH_RETRY_MS;
    enum err_code code;
    for (bool connected_once = false;;) {
        struct connect_request request = { .path = "/v1/events" };
        if (watcher.sse.id[0] != '\0')
            request.last_event_id = watcher.sse.id;
        watcher.heard = false;
        code = connect_stream(cli, &request, on_chunk, &watcher, err);
        if (watcher.code != ERR_NONE)
            code = watcher.code;
        connected_once = connected_once || watcher.heard;
        bool lost = code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_PROTOCOL;
        if (!connected_once || (code != ERR_NONE && !lost) || ferror(cli->out))
            break;
        pause_ms = watcher.heard ? WATCH_RETRY_MS : pause_ms * 2;
        pause_ms = pause_ms > WATCH_RETRY_MAX_MS ? WATCH_RETRY_MAX_MS : pause_ms;
        cli_note(cli, "the stream has ended (%s); trying again",
                 code == ERR_NONE ? "closed by the node" : err->text);
        sse_reset(&watcher.sse);
        cli_pause(pause_ms);
    }
    sse_done(&watcher.sse);
    return code;
}
