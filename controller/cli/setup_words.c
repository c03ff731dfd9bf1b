#include "controller/cli/setup_words.h"

#include "controller/base/clock.h"
#include "controller/base/str.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"

#define PORT_MAX 65535

struct setup_words
setup_words_begin(struct cli *cli)
{
    return (struct setup_words){ .cli = cli, .begin_ms = clock_now_ms() };
}

void
setup_words_say(void *words, const char *text)
{
    const struct setup_words *own = words;
    cli_note(own->cli, "%5.1f s  %s", (double)(clock_now_ms() - own->begin_ms) / 1000, text);
}

enum err_code
setup_words_read(struct cli *cli, struct setup_words *words, struct setup_node *node,
                 struct err *err)
{
    uint64_t port = 0;
    const char *typed = cli_value(cli, OPTION_PG_PORT);
    const char *folder = connect_data_dir(cli);
    *words = setup_words_begin(cli);
    if (folder == NULL) {
        (void)err_set(err, ERR_INVALID, "option_missing", "where the node's data go is not said");
        return err_mend(err, "--data-dir DIR (or BATON_DATA_DIR): an empty or new folder");
    }
    if (typed != NULL && !str_to_u64(typed, 1, PORT_MAX, &port))
        return err_set(err, ERR_INVALID, "option_value", "--pg-port '%s': must be 1 to %d", typed,
                       PORT_MAX);
    *node = (struct setup_node){
        .folder = folder,
        .node = cli_value(cli, OPTION_NODE),
        .listen = cli_value(cli, OPTION_LISTEN),
        .advertise = cli_value(cli, OPTION_ADVERTISE),
        .database = cli_value(cli, OPTION_DATABASE),
        .pg_listen = cli_value(cli, OPTION_PG_LISTEN),
        .pg_advertise = cli_value(cli, OPTION_PG_ADVERTISE),
        .pg_port = (uint16_t)port,
        .run_as = cli_value(cli, OPTION_RUN_AS),
        .say = setup_words_say,
        .data = words,
    };
    return ERR_NONE;
}
