#include <string.h>

#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"

#define WATCH_MS         1000
#define WATCH_TIMEOUT_MS 5000

/* Monitoring goes by the exit code: what is not known is not ready, and is told apart. */
static enum err_code
judge(struct json_object *document, struct err *err)
{
    const char *verdict = word_string(document, "verdict");
    if (strcmp(verdict, "ready") == 0)
        return ERR_NONE;
    if (strcmp(verdict, "not_ready") == 0)
        return err_set(err, ERR_CONFLICT, "not_ready", "ready: no");
    return err_set(err, ERR_UNAVAILABLE, "ready_unknown", "ready: not known");
}

/* ---- --watch: what has changed ---- */

/* What is so now, each fact a member: of a site its verdict, of a node its reasons. Texts may
 * change every second ("4 revisions behind"), so they are not part of a fact's name. */
static struct json_object *
facts_of(struct json_object *document)
{
    struct json_object *facts = json_object_new_object();
    for (size_t i = 0; i < word_count(document, "sites"); i++) {
        struct json_object *site = word_item(document, "sites", i);
        CLEANUP(freep)
        char *verdict = str_printf("%s is %s", word_string(site, "name"),
                                   strcmp(word_string(site, "verdict"), "not_ready") == 0
                                       ? "not ready"
                                       : word_string(site, "verdict"));
        json_add_string(facts, verdict, "");
        for (size_t j = 0; j < word_count(site, "nodes"); j++) {
            struct json_object *node = word_item(site, "nodes", j);
            for (size_t k = 0; k < word_count(node, "reasons"); k++) {
                struct json_object *reason = word_item(node, "reasons", k);
                const char *connector = word_or(reason, "connector", "");
                CLEANUP(freep)
                char *name = str_printf("%s%s%s %s %s", word_string(node, "name"),
                                        connector[0] == '\0' ? "" : ", ", connector,
                                        word_string(reason, "weight"), word_string(reason, "code"));
                json_add_string(facts, name, word_string(reason, "text"));
            }
        }
    }
    return facts;
}

/* Verdicts that were are told by those that are. */
static bool
is_verdict(struct json_object *facts, const char *name)
{
    return word_string(facts, name)[0] == '\0';
}

static void
tell_changes(struct cli *cli, struct json_object *before, struct json_object *now)
{
    struct table_look look = table_look(cli);
    char wall[CLOCK_TEXT_SIZE];
    char time[WORD_SIZE];
    (void)word_time(clock_wall_text(clock_wall_ms(), wall), time);
    json_object_object_foreach (now, name, value) {
        if (json_object_object_get_ex(before, name, NULL))
            continue;
        table_text(&look, TABLE_PLAIN, "%s  %s%s%s\n", time, name,
                   is_verdict(now, name) ? "" : ": ", json_object_get_string(value));
    }
    json_object_object_foreach (before, gone, was) {
        (void)was;
        if (!is_verdict(before, gone) && !json_object_object_get_ex(now, gone, NULL))
            table_text(&look, TABLE_DIM, "%s  %s: over\n", time, gone);
    }
    (void)fflush(cli->out);
}

/* Returns what is so now; takes 'before', NULL at first. */
static struct json_object *
tell(struct cli *cli, struct json_object *before, struct json_object *document)
{
    struct json_object *now = facts_of(document);
    struct table_look look = table_look(cli);
    if (cli_json(cli)) {
        if (before == NULL || strcmp(json_text(before), json_text(now)) != 0)
            cli_print_json(cli, document);
        (void)fflush(cli->out);
    } else if (before == NULL) {
        show_ready(&look, document);
        table_text(&look, TABLE_DIM, "\nfrom now on what changes; interrupt to end\n");
        (void)fflush(cli->out);
    } else {
        tell_changes(cli, before, now);
    }
    json_object_put(before);
    return now;
}

static enum err_code
watch(struct cli *cli, const char *path, struct err *err)
{
    uint64_t interval_ms = arguments_duration_ms(&cli->arguments, OPTION_INTERVAL, WATCH_MS);
    struct json_object *facts = NULL;
    enum err_code code = ERR_NONE;
    bool silent = false;
    while (!ferror(cli->out)) {
        CLEANUP(json_putp) struct json_object *document = NULL;
        struct connect_request request = { .path = path, .timeout_ms = WATCH_TIMEOUT_MS };
        code = connect_call(cli, &request, &document, err);
        bool waits = code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_PROTOCOL;
        if (code != ERR_NONE && (facts == NULL || !waits))
            break; /* a refusal will not become better */
        if (code == ERR_NONE)
            facts = tell(cli, facts, document);
        else if (!silent)
            cli_note(cli, "no answer: %s", err->text);
        silent = code != ERR_NONE;
        cli_pause((unsigned)interval_ms);
    }
    json_object_put(facts);
    return code;
}

enum err_code
run_ready(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(json_putp) struct json_object *document = NULL;
    buf_add_text(&path, "/v1/ready");
    connect_query(&path, "site", cli_operand(cli, 0));
    if (cli_flag(cli, OPTION_WATCH))
        return watch(cli, buf_text(&path), err);
    enum err_code code = connect_get(cli, buf_text(&path), &document, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, document);
    else
        show_ready(&look, document);
    return judge(document, err);
}
