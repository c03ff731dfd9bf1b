#include <stdio.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/run.h"
#include "controller/daemon/gate.h"

enum err_code
run_gate_init(struct cli *cli, struct err *err)
{
    const char *path = cli_value(cli, OPTION_STATE);
    enum err_code code =
        gate_init(path, cli_value(cli, OPTION_CLUSTER_ID), cli_value(cli, OPTION_EPOCH), err);
    if (code != ERR_NONE)
        return err_wrap(err, "gate init");
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_string(document, "state", path);
        cli_print_json(cli, document);
    } else {
        (void)fprintf(cli->out, "state       %s\n", path);
        (void)fprintf(cli->out, "next        baton gate run --state %s --key KEY_ID=FILE\n", path);
    }
    return ERR_NONE;
}

enum err_code
run_gate_run(struct cli *cli, struct err *err)
{
    struct gate_options options = {
        .state = cli_value(cli, OPTION_STATE),
        .listen = cli_value(cli, OPTION_GATE_LISTEN),
        .keys = cli->arguments.repeated,
        .key_count = cli->arguments.repeated_count,
        .cert = cli_value(cli, OPTION_CERT),
        .cert_key = cli_value(cli, OPTION_CERT_KEY),
    };
    const char *window = cli_value(cli, OPTION_WINDOW);
    if (window != NULL && !str_to_duration_ms(window, UINT32_MAX, &options.window_ms))
        return err_set(err, ERR_INVALID, "option_value", "--window '%s': at most 49d", window);
    enum err_code code = gate_run(&options, err);
    return code == ERR_NONE ? code : err_wrap(err, "gate run");
}
