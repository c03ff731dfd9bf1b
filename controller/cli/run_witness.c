#include <stdio.h>

#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/run.h"
#include "controller/daemon/witness.h"

struct teller {
    struct cli *cli;
    uint64_t begin_ms;
};

static void
say(void *data, const char *text)
{
    struct teller *teller = data;
    cli_note(teller->cli, "%5.1f s  %s", (double)(clock_now_ms() - teller->begin_ms) / 1000, text);
}

static enum err_code
read_folder(struct cli *cli, const char **ret_folder, struct err *err)
{
    *ret_folder = connect_data_dir(cli);
    if (*ret_folder != NULL)
        return ERR_NONE;
    (void)err_set(err, ERR_INVALID, "option_missing", "where the witness's data are is not said");
    return err_mend(err, "--data-dir DIR (or BATON_DATA_DIR)");
}

static void
print_witness(struct cli *cli, const char *folder, const struct witness_answer *answer)
{
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_string(document, "address", answer->address);
        json_add_string(document, "ca_pin", answer->pin);
        json_add_string(document, "arbiter", answer->arbiter);
        cli_print_json(cli, document);
        return;
    }
    (void)fprintf(cli->out, "witness     %s\n", answer->address);
    (void)fprintf(cli->out, "data        %s\n", folder);
    (void)fprintf(cli->out, "ca          sha256:%s\n", answer->pin);
    (void)fprintf(cli->out, "arbiter     %s   (no secret: bring it to a node)\n", answer->arbiter);
    (void)fprintf(cli->out, "next        baton witness run --data-dir %s\n", folder);
}

enum err_code
run_witness_init(struct cli *cli, struct err *err)
{
    struct teller teller = { .cli = cli, .begin_ms = clock_now_ms() };
    struct witness_answer answer = { 0 };
    struct witness_init init = {
        .listen = cli_value(cli, OPTION_WITNESS_LISTEN),
        .advertise = cli_value(cli, OPTION_WITNESS_ADVERTISE),
        .run_as = cli_value(cli, OPTION_RUN_AS),
        .cluster_ca = cli->arguments.repeated,
        .cluster_ca_count = cli->arguments.repeated_count,
        .say = say,
        .data = &teller,
    };
    enum err_code code = read_folder(cli, &init.folder, err);
    if (code != ERR_NONE)
        return code;
    code = witness_init(&init, &answer, err);
    if (code == ERR_NONE)
        print_witness(cli, init.folder, &answer);
    witness_answer_done(&answer);
    return code == ERR_NONE ? code : err_wrap(err, "witness init");
}

enum err_code
run_witness_run(struct cli *cli, struct err *err)
{
    const char *folder = NULL;
    enum err_code code = read_folder(cli, &folder, err);
    if (code == ERR_NONE)
        code = witness_run(folder, err);
    return code == ERR_NONE ? code : err_wrap(err, "witness run");
}

enum err_code
run_witness_add(struct cli *cli, struct err *err)
{
    const char *folder = NULL;
    CLEANUP(freep) char *cluster = NULL;
    enum err_code code = read_folder(cli, &folder, err);
    if (code == ERR_NONE)
        code = witness_add(folder, cli_operand(cli, 0), &cluster, err);
    if (code != ERR_NONE)
        return err_wrap(err, "witness add");
    if (cli_json(cli)) {
        CLEANUP(json_putp) struct json_object *document = json_object_new_object();
        json_add_string(document, "cluster_id", cluster);
        cli_print_json(cli, document);
    } else {
        (void)fprintf(cli->out, "cluster %s: let in\n", cluster);
    }
    return ERR_NONE;
}

enum err_code
run_witness_sql(struct cli *cli, struct err *err)
{
    (void)err;
    CLEANUP(freep) char *text = witness_schema();
    (void)fputs(text, cli->out);
    return ERR_NONE;
}
