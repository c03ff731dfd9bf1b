#include <string.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"

#define POLL_MS         50
#define POLL_TIMEOUT_MS 3000
#define SILENCE_MS      60000 /* no answer for so long: we cannot say how it ends */
#define STEPS_MAX       64

/* ---- the order ---- */

static struct json_object *
order_body(struct cli *cli, bool dry_run)
{
    struct json_object *body = json_object_new_object();
    struct json_object *overrides = json_object_new_array();
    json_add_string(body, "target", cli_operand(cli, 0));
    if (cli_value(cli, OPTION_REASON) != NULL)
        json_add_string(body, "reason", cli_value(cli, OPTION_REASON));
    json_add_bool(body, "dry_run", dry_run);
    json_add_bool(body, "accept_data_loss", cli_flag(cli, OPTION_ACCEPT_DATA_LOSS));
    for (size_t i = 0; i < cli->arguments.repeated_count; i++)
        (void)json_object_array_add(overrides, json_object_new_string(cli->arguments.repeated[i]));
    json_add(body, "overrides", overrides);
    return body;
}

static enum err_code
order(struct cli *cli, bool dry_run, struct json_object **ret, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = order_body(cli, dry_run);
    struct connect_request request = { .method = "POST", .path = "/v1/promote", .body = body };
    return connect_call(cli, &request, ret, err);
}

/* The way on, for exactly this check. */
static enum err_code
mend_check(struct json_object *check, struct err *err)
{
    const char *name = word_string(check, "name");
    bool overridable = false;
    if (json_get_bool(check, "overridable", &overridable) && overridable)
        return err_mend(err, "mend the cause, or go on without it: --override %s --reason TEXT",
                        name);
    if (strcmp(name, "quorum") == 0 || strcmp(name, "sync") == 0)
        return err_mend(err,
                        "bring the missing members back; or take the possible loss on with "
                        "--accept-data-loss --reason TEXT: what the old primary wrote alone is "
                        "set aside when it returns, and can be applied then");
    return err_mend(err, "mend the cause; this check cannot be skipped");
}

static enum err_code
check_plan(struct json_object *plan, struct err *err)
{
    bool possible = false;
    if (json_get_bool(plan, "possible", &possible) && possible)
        return ERR_NONE;
    for (size_t i = 0; i < word_count(plan, "checks"); i++) {
        struct json_object *check = word_item(plan, "checks", i);
        if (strcmp(word_string(check, "verdict"), "stop") == 0) {
            (void)err_set(err, ERR_CONFLICT, "promotion_refused", "promote: check %s says no: %s",
                          word_string(check, "name"), word_string(check, "text"));
            return mend_check(check, err);
        }
    }
    return err_set(err, ERR_CONFLICT, "promotion_refused", "promote: not possible now");
}

static enum err_code
confirm(struct cli *cli, struct json_object *plan, struct err *err)
{
    struct json_object *to = json_get(plan, "to");
    struct json_object *from = json_get(plan, "from");
    bool lossy = true;
    bool is_failover = strcmp(word_string(plan, "kind"), "failover") == 0;
    if (!json_get_bool(json_get(plan, "data_loss"), "possible", &lossy))
        lossy = true;
    CLEANUP(freep)
    char *what = str_printf(
        "%s%s%s becomes primary", is_failover ? "FAILOVER, the old primary is not asked. " : "",
        lossy ? "ACKNOWLEDGED CHANGES MAY BE LOST. " : "", word_string(to, "node"));
    if (is_failover && from != NULL && !cli_flag(cli, OPTION_YES))
        cli_note(cli, "make sure that %s is off or cut off: it is not asked",
                 word_string(from, "node"));
    return cli_confirm(cli, what, cli_operand(cli, 0), err);
}

/* ---- the run ---- */

struct follow {
    struct cli *cli;
    struct table_look look;
    char *path;           /* owned */
    const char *id;       /* borrowed */
    bool told[STEPS_MAX]; /* the step's end is on the screen */
    bool live;            /* a line about the running step stands on 'notes' */
    uint64_t heard_ms;
};

static void
clear_live(struct follow *follow)
{
    if (follow->live)
        (void)fputs("\r\033[K", follow->cli->notes);
    follow->live = false;
}

/* On a terminal the running step has a line of its own that is drawn over. */
static void
draw_live(struct follow *follow, struct json_object *step)
{
    char took[WORD_SIZE];
    char deadline[WORD_SIZE];
    if (!follow->cli->notes_are_terminal || cli_json(follow->cli))
        return;
    uint64_t deadline_ms = word_number(step, "deadline_ms", 0);
    (void)fprintf(follow->cli->notes, "\r\033[K  running %s %s%s%s", word_string(step, "name"),
                  word_duration(word_number(step, "duration_ms", 0), took),
                  deadline_ms > 0 ? " of at most " : "",
                  deadline_ms > 0 ? word_duration(deadline_ms, deadline) : "");
    (void)fflush(follow->cli->notes);
    follow->live = true;
}

static void
tell_steps(struct follow *follow, struct json_object *promotion)
{
    struct json_object *running = NULL;
    for (size_t i = 0; i < word_count(promotion, "steps") && i < STEPS_MAX; i++) {
        struct json_object *step = word_item(promotion, "steps", i);
        const char *state = word_string(step, "state");
        if (strcmp(state, "running") == 0)
            running = step;
        if (follow->told[i] || strcmp(state, "running") == 0 || strcmp(state, "waiting") == 0)
            continue;
        follow->told[i] = true;
        clear_live(follow);
        if (!cli_json(follow->cli))
            show_step(&follow->look, step);
    }
    (void)fflush(follow->look.out);
    if (running != NULL)
        draw_live(follow, running);
}

/* Asks until it has ended. Whoever stops answering in between is asked again: nodes restart
 * connections while roles change. */
static enum err_code
follow_to_end(struct follow *follow, struct json_object **ret, struct err *err)
{
    follow->heard_ms = clock_now_ms();
    for (;;) {
        struct json_object *promotion = NULL;
        struct connect_request request = { .path = follow->path, .timeout_ms = POLL_TIMEOUT_MS };
        enum err_code code = connect_call(follow->cli, &request, &promotion, err);
        if (code == ERR_NONE) {
            follow->heard_ms = clock_now_ms();
            tell_steps(follow, promotion);
            if (strcmp(word_string(promotion, "state"), "running") != 0) {
                clear_live(follow);
                *ret = promotion;
                return ERR_NONE;
            }
            json_object_put(promotion);
        } else if (code == ERR_DENIED || code == ERR_LOGIN) {
            clear_live(follow);
            return code;
        }
        if (clock_now_ms() - follow->heard_ms > SILENCE_MS) {
            clear_live(follow);
            (void)err_set(err, ERR_UNKNOWN_OUTCOME, "unknown_outcome",
                          "promotion %s has begun, and nobody says how it goes on", follow->id);
            return err_mend(err,
                            "baton status and baton promotion show %s, here or at another "
                            "node; to repeat the command is safe",
                            follow->id);
        }
        cli_pause(POLL_MS);
    }
}

/* Only "done" is success; the promotion's own error decides the exit code. */
static enum err_code
judge_end(struct json_object *promotion, struct err *err)
{
    const char *state = word_string(promotion, "state");
    if (strcmp(state, "done") == 0)
        return ERR_NONE;
    struct json_object *error = json_get(promotion, "error");
    enum err_code code = err_code_from_name(word_or(error, "kind", "conflict"));
    if (code == ERR_NONE)
        code = ERR_CONFLICT;
    (void)err_set(err, code, word_or(error, "code", "promotion_failed"), "promotion %s %s: %s",
                  word_string(promotion, "id"), state,
                  word_or(error, "detail", "no cause is told"));
    const char *mend = word_or(error, "mend", "");
    return mend[0] == '\0' ? code : err_mend(err, "%s", mend);
}

static enum err_code
follow_promotion(struct cli *cli, const char *id, struct err *err)
{
    CLEANUP(json_putp) struct json_object *promotion = NULL;
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/promotions/");
    connect_escape(&path, id);
    struct follow follow = { .cli = cli, .look = table_look(cli), .id = id };
    follow.path = str_dup(buf_text(&path));
    enum err_code code = follow_to_end(&follow, &promotion, err);
    free(follow.path);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, promotion);
    } else {
        /* The steps stand above already, each with its time. */
        show_promotion_end(&follow.look, promotion);
        table_text(&follow.look, TABLE_DIM, "timeline: baton promotion show %s\n", id);
    }
    json_object_put(cli->problem);
    cli->problem = NULL;
    return judge_end(promotion, err);
}

enum err_code
run_promote(struct cli *cli, struct err *err)
{
    if (cli->arguments.repeated_count > 0 && cli_value(cli, OPTION_REASON) == NULL) {
        (void)err_set(err, ERR_INVALID, "reason_needed", "promote: --override without --reason");
        return err_mend(err, "say why the check is skipped: --reason TEXT; it is recorded");
    }
    CLEANUP(json_putp) struct json_object *plan = NULL;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    struct table_look look = table_look(cli);
    enum err_code code = order(cli, true, &plan, err);
    if (code != ERR_NONE)
        return code;
    bool dry_run = cli_flag(cli, OPTION_DRY_RUN);
    if (dry_run && cli_json(cli))
        cli_print_json(cli, plan);
    else if (!cli_json(cli))
        show_plan(&look, plan);
    (void)fflush(cli->out);
    code = check_plan(plan, err);
    if (code != ERR_NONE || dry_run)
        return code;
    code = confirm(cli, plan, err);
    if (code == ERR_NONE)
        code = order(cli, false, &answer, err);
    if (code != ERR_NONE)
        return code;
    const char *id;
    if (!json_get_string(answer, "id", &id)) {
        (void)err_set(err, ERR_UNKNOWN_OUTCOME, "unknown_outcome",
                      "promote: the answer names no promotion");
        return err_mend(err, "baton status and baton promotion list show whether it runs");
    }
    if (!cli_json(cli))
        table_text(&look, TABLE_PLAIN, "\npromotion %s has begun\n", id);
    return follow_promotion(cli, id, err);
}

enum err_code
run_promotion_list(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/promotions");
    connect_query(&path, "limit", cli_value(cli, OPTION_LIMIT));
    return ask_and_show(cli, buf_text(&path), show_promotions, err);
}

enum err_code
run_promotion_show(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/promotions/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_and_show(cli, buf_text(&path), show_promotion, err);
}
