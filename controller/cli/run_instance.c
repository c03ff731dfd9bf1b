#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/prompt.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"
#include "controller/daemon/agent.h"

#define TOKEN_LINE_SIZE 8192
#define HOST_SIZE       256

enum err_code
run_connector_instances(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    if (cli_operand(cli, 0) == NULL)
        return ask_and_show(cli, "/v1/instances?limit=1000", show_instances, err);
    buf_add_text(&path, "/v1/instances/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_and_show(cli, buf_text(&path), show_instances_of, err);
}

enum err_code
run_connector_token_create(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(json_putp) struct json_object *answer = NULL;
    json_add_string(body, "connector", cli_operand(cli, 0));
    if (cli_value(cli, OPTION_AGENT_TTL) != NULL)
        json_add_u64(body, "ttl_s",
                     arguments_duration_ms(&cli->arguments, OPTION_AGENT_TTL, 0) / 1000);
    enum err_code code = connect_call(
        cli,
        &(struct connect_request){ .method = "POST", .path = "/v1/agent/tokens", .body = body },
        &answer, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, answer);
        return ERR_NONE;
    }
    /* The token alone on standard output, so that it can be piped; it is shown once. */
    char until[WORD_SIZE];
    const char *expires = word_or(answer, "expires_at", NULL);
    (void)fprintf(cli->out, "%s\n", word_string(answer, "token"));
    cli_note(cli, "token %s for the instances of connector %s, until %s%s; beside each of them:",
             word_string(answer, "id"), word_string(answer, "connector"),
             expires == NULL ? "it is revoked" : word_time(expires, until),
             expires == NULL ? "" : " UTC");
    cli_note(
        cli,
        "  baton agent --connector-id %s --token - --version V --address ADDR:PORT --health URL",
        word_string(answer, "connector"));
    return ERR_NONE;
}

enum err_code
run_connector_token_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/agent/tokens", show_agent_tokens, err);
}

enum err_code
run_connector_token_revoke(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(freep) char *done = str_printf("revoked token %s", cli_operand(cli, 0));
    buf_add_text(&path, "/v1/agent/tokens/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_write(cli, "DELETE", buf_text(&path), NULL, done, err);
}

/* ---- the agent ---- */

/* What was typed, else the first of these variables that is set (A1). */
static const char *
from_environment(const char *typed, const char *const *names)
{
    for (; typed == NULL && *names != NULL; names++)
        typed = getenv(*names);
    return typed != NULL && *typed == '\0' ? NULL : typed;
}

static enum err_code
missing(struct err *err, const char *what, const char *how)
{
    (void)err_set(err, ERR_INVALID, "option_missing", "%s is not said", what);
    return err_mend(err, "%s", how);
}

/* Of "KEY=VALUE", as often as it stands. */
static enum err_code
read_metadata(struct cli *cli, struct json_object *metadata, struct err *err)
{
    for (size_t i = 0; i < cli->arguments.repeated_count; i++) {
        const char *pair = cli->arguments.repeated[i];
        const char *equal = strchr(pair, '=');
        if (equal == NULL || equal == pair)
            return err_set(err, ERR_INVALID, "option_value",
                           "--metadata '%.100s': must be KEY=VALUE", pair);
        CLEANUP(freep) char *key = str_printf("%.*s", (int)(equal - pair), pair);
        json_add_string(metadata, key, equal + 1);
    }
    return ERR_NONE;
}

/* The name of the host up to the first dot, in small letters. */
static const char *
own_name(char name[HOST_SIZE])
{
    if (gethostname(name, HOST_SIZE) != 0)
        name[0] = '\0';
    name[HOST_SIZE - 1] = '\0';
    name[strcspn(name, ".")] = '\0';
    for (char *at = name; *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    return name;
}

static enum err_code
read_agent(struct cli *cli, struct agent_options *options, char *line, char name[HOST_SIZE],
           struct err *err)
{
    static const char *const ids[] = { "BATON_CONNECTOR_ID", "APONO_CONNECTOR_ID",
                                       "apono.connectorId", "connectorId", NULL };
    static const char *const tokens[] = { "BATON_AGENT_TOKEN", NULL };
    static const char *const addresses[] = { "BATON_CONNECTOR_ADDRESS", NULL };
    *options = (struct agent_options){
        .connector = from_environment(cli_value(cli, OPTION_CONNECTOR_ID), ids),
        .token = from_environment(cli_value(cli, OPTION_AGENT_TOKEN), tokens),
        .instance = cli_value(cli, OPTION_INSTANCE),
        .version = cli_value(cli, OPTION_VERSION),
        .address = from_environment(cli_value(cli, OPTION_CONNECTOR_ADDRESS), addresses),
        .listen = cli_value(cli, OPTION_AGENT_LISTEN),
        .health = cli_value(cli, OPTION_HEALTH),
        .health_ca = cli_value(cli, OPTION_HEALTH_CA),
    };
    if (options->connector == NULL)
        return missing(err, "the id of the connector",
                       "--connector-id ID (or BATON_CONNECTOR_ID, APONO_CONNECTOR_ID)");
    if (options->token == NULL)
        return missing(err, "the token", "--token - (or BATON_AGENT_TOKEN)");
    if (strcmp(options->token, "-") == 0) {
        if (prompt_line(line, TOKEN_LINE_SIZE, err) != ERR_NONE)
            return err->code;
        options->token = line;
    }
    if (options->instance == NULL)
        options->instance = own_name(name);
    if (options->listen == NULL)
        options->listen = AGENT_LISTEN;
    return ERR_NONE;
}

enum err_code
run_agent(struct cli *cli, struct err *err)
{
    char line[TOKEN_LINE_SIZE];
    char name[HOST_SIZE];
    struct agent_options options;
    CLEANUP(json_putp) struct json_object *metadata = json_object_new_object();
    const char *node = cli_value(cli, OPTION_AGENT_NODE);
    enum err_code code = read_agent(cli, &options, line, name, err);
    if (code == ERR_NONE)
        code = read_metadata(cli, metadata, err);
    if (code == ERR_NONE) {
        options.metadata = metadata;
        options.nodes = &node;
        options.node_count = node == NULL ? 0 : 1;
        code = agent_run(&options, err);
    }
    explicit_bzero(line, sizeof line);
    return code == ERR_NONE ? code : err_wrap(err, "agent");
}
