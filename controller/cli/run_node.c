#include <string.h>

#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/offline.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"

#define WATCH_MS         1000
#define WATCH_TIMEOUT_MS 5000
#define CLEAR_SCREEN     "\033[H\033[2J"

/* The last good screen stays, with its age, while the node does not answer. */
struct watched {
    struct json_object *status; /* owned */
    uint64_t at_ms;
};

static void
draw(struct cli *cli, const struct watched *watched, const struct err *err)
{
    struct table_look look = table_look(cli);
    char age[WORD_SIZE];
    if (cli->out_is_terminal)
        (void)fputs(CLEAR_SCREEN, cli->out);
    if (err != NULL) {
        table_text(&look, TABLE_BAD, "NO ANSWER: %s\n", err->text);
        if (watched->status != NULL)
            table_text(&look, TABLE_WARN, "what stands below is %s old\n\n",
                       word_age(clock_now_ms() - watched->at_ms, age));
    }
    if (watched->status != NULL)
        show_status(&look, watched->status);
    if (!cli->out_is_terminal)
        table_text(&look, TABLE_PLAIN, "\n");
    (void)fflush(cli->out);
}

static enum err_code
watch(struct cli *cli, struct err *err)
{
    struct watched watched = { 0 };
    uint64_t interval_ms = arguments_duration_ms(&cli->arguments, OPTION_INTERVAL, WATCH_MS);
    enum err_code code = ERR_NONE;
    for (bool first = true; !ferror(cli->out); first = false) {
        struct json_object *status = NULL;
        struct connect_request request = { .path = "/v1/status", .timeout_ms = WATCH_TIMEOUT_MS };
        code = connect_call(cli, &request, &status, err);
        /* Only silence is waited out: a refusal will not become better. */
        bool silent = code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_PROTOCOL;
        if (code != ERR_NONE && (first || !silent))
            break;
        if (code == ERR_NONE) {
            json_object_put(watched.status);
            watched = (struct watched){ .status = status, .at_ms = clock_now_ms() };
        }
        if (!cli_json(cli))
            draw(cli, &watched, code == ERR_NONE ? NULL : err);
        else if (code == ERR_NONE)
            cli_print_json(cli, status);
        cli_pause((unsigned)interval_ms);
    }
    json_object_put(watched.status);
    return code;
}

enum err_code
run_status(struct cli *cli, struct err *err)
{
    if (cli_flag(cli, OPTION_WATCH))
        return watch(cli, err);
    return ask_and_show(cli, "/v1/status", show_status, err);
}

/* The exit code says whether a check has failed; a warning is none. */
static enum err_code
doctor_verdict(struct json_object *doctor, struct err *err)
{
    unsigned failed = 0;
    for (size_t i = 0; i < word_count(doctor, "checks"); i++)
        failed += strcmp(word_string(word_item(doctor, "checks", i), "state"), "fail") == 0;
    if (failed == 0)
        return ERR_NONE;
    return err_set(err, ERR_CONFLICT, "doctor_failed", "doctor: %u check%s failed", failed,
                   failed == 1 ? "" : "s");
}

enum err_code
run_doctor(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *doctor = NULL;
    enum err_code code = connect_get(cli, "/v1/doctor", &doctor, err);
    const char *folder = connect_data_dir(cli);
    if (code != ERR_NONE && folder != NULL && cli->problem == NULL) {
        cli_note(cli, "batond does not answer (%s); looking at the files of %s", err->text, folder);
        doctor = offline_doctor(folder);
    } else if (code != ERR_NONE) {
        return code;
    }
    err_clear(err);
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, doctor);
    else
        show_doctor(&look, doctor);
    return doctor_verdict(doctor, err);
}

enum err_code
run_node_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/nodes", show_nodes, err);
}

enum err_code
run_node_remove(struct cli *cli, struct err *err)
{
    const char *node = cli_operand(cli, 0);
    CLEANUP(freep)
    char *what = str_printf(
        "remove %s: its certificate is refused and it can only come back by a new join", node);
    CLEANUP(freep) char *done = str_printf("removed %s", node);
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/nodes/");
    connect_escape(&path, node);
    enum err_code code = cli_confirm(cli, what, node, err);
    if (code == ERR_NONE)
        code = ask_write(cli, "DELETE", buf_text(&path), NULL, done, err);
    return code;
}

enum err_code
run_site_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/sites", show_sites, err);
}

enum err_code
run_token_create(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(json_putp) struct json_object *answer = NULL;
    json_add_string(body, "site", cli_value(cli, OPTION_SITE));
    if (cli_value(cli, OPTION_HOST) != NULL)
        json_add_string(body, "host", cli_value(cli, OPTION_HOST));
    if (cli_value(cli, OPTION_TTL) != NULL)
        json_add_u64(body, "ttl_s", arguments_duration_ms(&cli->arguments, OPTION_TTL, 0) / 1000);
    enum err_code code = connect_call(
        cli, &(struct connect_request){ .method = "POST", .path = "/v1/tokens", .body = body },
        &answer, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, answer);
        return ERR_NONE;
    }
    /* The token alone on standard output, so that it can be piped; it is shown once. */
    char until[WORD_SIZE];
    (void)fprintf(cli->out, "%s\n", word_string(answer, "token"));
    cli_note(cli, "token %s for one node of site %s, until %s UTC; on that host:",
             word_string(answer, "id"), word_string(answer, "site"),
             word_time(word_string(answer, "expires_at"), until));
    cli_note(cli, "  baton join TOKEN --node NAME --data-dir DIR");
    return ERR_NONE;
}

enum err_code
run_token_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/tokens", show_tokens, err);
}

enum err_code
run_token_revoke(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(freep) char *done = str_printf("revoked token %s", cli_operand(cli, 0));
    buf_add_text(&path, "/v1/tokens/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_write(cli, "DELETE", buf_text(&path), NULL, done, err);
}
