#include <string.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/prompt.h"
#include "controller/cli/run.h"
#include "controller/cli/setup_words.h"
#include "controller/cli/transfer.h"
#include "controller/daemon/setup.h"

#define TOKEN_LINE_SIZE (TOKEN_TEXT_SIZE_MAX + 2)

/* From the file, from the person, or NULL: one is drawn. */
static enum err_code
ask_admin_password(struct cli *cli, char *password, size_t size, const char **ret, struct err *err)
{
    *ret = NULL;
    const char *file = cli_value(cli, OPTION_PASSWORD_FILE);
    enum err_code code = ERR_NONE;
    password[0] = '\0';
    if (file != NULL)
        code = prompt_password_file(file, password, size, err);
    else if (cli->notes_are_terminal && !cli_flag(cli, OPTION_YES) && !cli_json(cli))
        code = prompt_password("Password for the administrator 'admin' (empty: one is made)",
                               password, size, err);
    if (code == ERR_NONE && password[0] != '\0')
        *ret = password;
    if (code == ERR_NONE && file != NULL && password[0] == '\0')
        return err_set(err, ERR_INVALID, "password", "password file '%s' begins with an empty line",
                       file);
    return code;
}

static void
print_node(struct cli *cli, const struct setup_node *node, const struct setup_answer *answer,
           const char *user)
{
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_string(document, "cluster", answer->cluster);
        json_add_string(document, "cluster_id", answer->cluster_id);
        json_add_string(document, "site", answer->site);
        json_add_string(document, "node", node->node);
        json_add_string(document, "ca_pin", answer->pin);
        if (user != NULL)
            json_add_string(document, "user", user);
        if (answer->admin_password[0] != '\0')
            json_add_string(document, "password", answer->admin_password);
        cli_print_json(cli, document);
        return;
    }
    (void)fprintf(cli->out, "cluster     %s (%s)\n", answer->cluster, answer->cluster_id);
    (void)fprintf(cli->out, "node        %s in site %s\n", node->node, answer->site);
    (void)fprintf(cli->out, "data        %s\n", node->folder);
    (void)fprintf(cli->out, "ca          sha256:%s\n", answer->pin);
    if (user != NULL)
        (void)fprintf(cli->out, "user        %s\n", user);
    if (answer->admin_password[0] != '\0')
        (void)fprintf(cli->out, "password    %s   (shown once: keep it)\n", answer->admin_password);
    (void)fprintf(cli->out, "next        batond --data-dir %s\n", node->folder);
}

enum err_code
run_init(struct cli *cli, struct err *err)
{
    struct setup_words words;
    struct setup_init init = { 0 };
    struct setup_answer answer = { 0 };
    char password[PROMPT_PASSWORD_SIZE];
    enum err_code code = setup_words_read(cli, &words, &init.node, err);
    if (code == ERR_NONE)
        code = ask_admin_password(cli, password, sizeof password, &init.admin_password, err);
    if (code != ERR_NONE)
        return code;
    init.cluster = cli_value(cli, OPTION_CLUSTER);
    init.site = cli_value(cli, OPTION_SITE);
    code = setup_init(&init, &answer, err);
    explicit_bzero(password, sizeof password);
    if (code == ERR_NONE)
        print_node(cli, &init.node, &answer, SETUP_ADMIN);
    explicit_bzero(&answer, sizeof answer);
    return code == ERR_NONE ? code : err_wrap(err, "init");
}

enum err_code
run_join(struct cli *cli, struct err *err)
{
    struct setup_words words;
    struct setup_node node;
    struct setup_answer answer = { 0 };
    char line[TOKEN_LINE_SIZE];
    const char *token = cli_operand(cli, 0);
    enum err_code code = setup_words_read(cli, &words, &node, err);
    if (code == ERR_NONE && strcmp(token, "-") == 0) {
        code = prompt_line(line, sizeof line, err);
        token = line;
    }
    if (code != ERR_NONE)
        return code;
    code = setup_join(&node, token, &answer, err);
    if (code == ERR_NONE)
        print_node(cli, &node, &answer, NULL);
    return code == ERR_NONE ? code : err_wrap(err, "join");
}

enum err_code
run_schema_upgrade(struct cli *cli, struct err *err)
{
    struct setup_words words = setup_words_begin(cli);
    struct setup_upgraded upgraded = { 0 };
    const struct setup_upgrade upgrade = { .folder = connect_data_dir(cli),
                                           .database = cli_value(cli, OPTION_OWNER_DATABASE),
                                           .any_order = cli_flag(cli, OPTION_ANY_ORDER),
                                           .say = setup_words_say,
                                           .data = &words };
    if (upgrade.folder == NULL) {
        (void)err_set(err, ERR_INVALID, "option_missing", "which node's schema is not said");
        return err_mend(err, "--data-dir DIR (or BATON_DATA_DIR)");
    }
    enum err_code code = setup_upgrade(&upgrade, &upgraded, err);
    if (code != ERR_NONE)
        return err_wrap(err, "schema upgrade");
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_u64(document, "from", upgraded.from);
        json_add_u64(document, "to", upgraded.to);
        cli_print_json(cli, document);
    } else if (upgraded.from == upgraded.to) {
        (void)fprintf(cli->out, "schema      %u, as this program needs it\n", upgraded.to);
    } else {
        (void)fprintf(cli->out, "schema      %u, was %u\n", upgraded.to, upgraded.from);
        (void)fprintf(cli->out, "next        batond --data-dir %s\n", upgrade.folder);
    }
    return ERR_NONE;
}
