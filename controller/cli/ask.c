#include "controller/cli/ask.h"

#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/transfer.h"
#include "controller/cli/word.h"

enum err_code
ask_and_show(struct cli *cli, const char *path, ask_show *show, struct err *err)
{
    CLEANUP(json_putp) struct json_object *document = NULL;
    enum err_code code = connect_get(cli, path, &document, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, document);
        return ERR_NONE;
    }
    struct table_look look = table_look(cli);
    show(&look, document);
    return ERR_NONE;
}

enum err_code
ask_write(struct cli *cli, const char *method, const char *path, struct json_object *body,
          const char *what, struct err *err)
{
    CLEANUP(json_putp) struct json_object *answer = NULL;
    struct connect_request request = {
        .method = method,
        .path = path,
        .body = body,
        .if_match = cli_value(cli, OPTION_IF_MATCH),
    };
    enum err_code code = connect_call(cli, &request, &answer, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, answer);
        return ERR_NONE;
    }
    char revision[WORD_SIZE];
    char epoch[WORD_SIZE];
    struct table_look look = table_look(cli);
    table_text(&look, TABLE_PLAIN, "%s: revision %s, epoch %s\n", what,
               word_u64(answer, "revision", revision), word_epoch(answer, "epoch", epoch));
    return ERR_NONE;
}

enum err_code
ask_value(const char *typed, bool is_text, struct json_object **ret, struct err *err)
{
    if (!is_text) {
        enum err_code code = json_read(typed, strlen(typed), ret, err);
        if (code == ERR_NONE)
            return code;
        if (typed[0] == '\0' || strchr("{[\"", typed[0]) != NULL) {
            (void)err_wrap(err, "value");
            return err_mend(err, "quote it for the shell: '{\"a\": 1}'; or --text if it is text");
        }
    }
    if (!str_is_utf8(typed, strlen(typed)))
        return err_set(err, ERR_INVALID, "value", "the value is not UTF-8");
    *ret = json_object_new_string(typed);
    return ERR_NONE;
}

enum err_code
ask_value_of(struct cli *cli, const char *operand, struct json_object **ret, struct err *err)
{
    const char *file = cli_value(cli, OPTION_VALUE_FILE);
    if ((operand != NULL) == (file != NULL)) {
        (void)err_set(err, ERR_INVALID, "operand_missing",
                      operand == NULL ? "no value is given" : "a value and --file are given");
        return err_mend(err, "give VALUE, or --file FILE, or - for standard input");
    }
    if (file == NULL && strcmp(operand, "-") == 0)
        file = "-";
    if (file != NULL)
        return transfer_read(file, NULL, ret, err);
    return ask_value(operand, cli_flag(cli, OPTION_TEXT), ret, err);
}
