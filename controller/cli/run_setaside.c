#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"

static enum err_code
batch_path(struct cli *cli, const char *action, struct buf *path, struct err *err)
{
    uint64_t id;
    const char *typed = cli_operand(cli, 0);
    if (!str_to_u64(typed, 1, INT64_MAX, &id)) {
        (void)err_set(err, ERR_INVALID, "operand", "batch '%s': must be a number", typed);
        return err_mend(err, "baton setaside list shows them");
    }
    buf_printf(path, "/v1/setaside/%s%s", typed, action);
    return ERR_NONE;
}

enum err_code
run_setaside_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/setaside", show_setaside_list, err);
}

enum err_code
run_setaside_show(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    enum err_code code = batch_path(cli, "", &path, err);
    return code != ERR_NONE ? code : ask_and_show(cli, buf_text(&path), show_setaside, err);
}

/* The revisions behind the batch, or all that are undecided. */
static enum err_code
decide_body(struct cli *cli, struct json_object **ret, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    struct json_object *rows = json_object_new_array();
    json_add(body, "rows", rows);
    for (size_t i = 1; cli_operand(cli, i) != NULL; i++) {
        uint64_t revision;
        if (!str_to_u64(cli_operand(cli, i), 1, INT64_MAX, &revision))
            return err_set(err, ERR_INVALID, "operand", "revision '%s': must be a number",
                           cli_operand(cli, i));
        (void)json_object_array_add(rows, json_object_new_uint64(revision));
    }
    if (json_object_array_length(rows) == 0)
        json_object_object_del(body, "rows");
    *ret = take_ptr(&body);
    return ERR_NONE;
}

static enum err_code
decide(struct cli *cli, const char *action, const char *question, const char *done, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(json_putp) struct json_object *body = NULL;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    enum err_code code = batch_path(cli, action, &path, err);
    if (code == ERR_NONE)
        code = decide_body(cli, &body, err);
    if (code == ERR_NONE)
        code = cli_confirm(cli, question, cli_operand(cli, 0), err);
    if (code == ERR_NONE)
        code = connect_call(
            cli,
            &(struct connect_request){ .method = "POST", .path = buf_text(&path), .body = body },
            &answer, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, answer);
        return ERR_NONE;
    }
    char count[WORD_SIZE];
    char revision[WORD_SIZE];
    struct table_look look = table_look(cli);
    table_text(&look, TABLE_PLAIN, "%s: %s", done, word_u64(answer, "count", count));
    if (json_get(answer, "revision") != NULL)
        table_text(&look, TABLE_PLAIN, ", revision %s", word_u64(answer, "revision", revision));
    table_text(&look, TABLE_PLAIN, "\n");
    return ERR_NONE;
}

enum err_code
run_setaside_apply(struct cli *cli, struct err *err)
{
    return decide(cli, "/apply",
                  "apply: the set-aside values are written again and replace what holds now",
                  "applied", err);
}

enum err_code
run_setaside_discard(struct cli *cli, struct err *err)
{
    return decide(cli, "/discard", "discard: the set-aside values will not be applied any more",
                  "discarded", err);
}

enum err_code
run_connector_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/connectors", show_connectors, err);
}

enum err_code
run_connector_show(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/connectors/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_and_show(cli, buf_text(&path), show_connector, err);
}
