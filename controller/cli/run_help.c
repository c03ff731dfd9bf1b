#include <string.h>

#include "controller/base/json.h"
#include "controller/cli/cli.h"
#include "controller/cli/help.h"
#include "controller/cli/run.h"

enum err_code
run_completion(struct cli *cli, struct err *err)
{
    if (strcmp(cli_operand(cli, 0), "bash") != 0)
        return err_set(err, ERR_INVALID, "operand", "completion for '%s': only bash is there",
                       cli_operand(cli, 0));
    help_completion_bash(cli->out);
    return ERR_NONE;
}

enum err_code
run_help(struct cli *cli, struct err *err)
{
    const char *page = cli_value(cli, OPTION_MAN);
    if (page != NULL && strcmp(page, "settings") == 0) {
        help_man_settings(cli->out);
        return ERR_NONE;
    }
    if (page != NULL) {
        help_man_baton(cli->out);
        return ERR_NONE;
    }
    size_t used;
    const struct arguments *asked = &cli->arguments;
    const struct command *command = command_find(asked->operands, asked->operand_count, &used);
    const char *first = cli_operand(cli, 0);
    if (command == NULL && first != NULL && !command_is_group(first)) {
        (void)err_set(err, ERR_INVALID, "unknown_command", "unknown command '%s'", first);
        const char *near = command_nearest_word(NULL, first);
        return near == NULL ? err_mend(err, "baton help lists the commands")
                            : err_mend(err, "did you mean 'baton help %s'?", near);
    }
    help_print(cli->out, command, first);
    return ERR_NONE;
}

enum err_code
run_version(struct cli *cli, struct err *err)
{
    (void)err;
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_string(document, "version", BATON_VERSION);
        cli_print_json(cli, document);
    } else {
        (void)fprintf(cli->out, "baton %s\n", BATON_VERSION);
    }
    return ERR_NONE;
}
