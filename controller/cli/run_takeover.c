#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/run.h"
#include "controller/cli/transfer.h"
#include "controller/cli/word.h"

#define CA_SIZE_MAX  65536
#define TEST_WAIT_MS 30000 /* every member asks, each within its own time */

/* ---- the arbiter ---- */

enum err_code
run_arbiter_show(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/arbiter", show_arbiter, err);
}

static enum err_code
refuse_option(const char *option, const char *kind, struct err *err)
{
    return err_set(err, ERR_INVALID, "option_value", "--%s says nothing of an arbiter of kind '%s'",
                   option, kind);
}

/* "https://a:2379,https://b:2379" */
static struct json_object *
split_endpoints(const char *text)
{
    struct json_object *list = json_object_new_array();
    for (;;) {
        size_t length = strcspn(text, ",");
        (void)json_object_array_add(list, json_object_new_string_len(text, (int)length));
        if (text[length] == '\0')
            return list;
        text += length + 1;
    }
}

static enum err_code
read_file(struct cli *cli, const char *kind, struct json_object **ret, struct err *err)
{
    const char *its_kind;
    CLEANUP(json_putp) struct json_object *value = NULL;
    enum err_code code = transfer_read(cli_value(cli, OPTION_ARBITER_FILE), NULL, &value, err);
    if (code != ERR_NONE)
        return code;
    if (!json_get_string(value, "kind", &its_kind) || strcmp(its_kind, kind) != 0)
        return err_set(err, ERR_INVALID, "option_value", "%s is not of an arbiter of kind '%s'",
                       cli_value(cli, OPTION_ARBITER_FILE), kind);
    *ret = take_ptr(&value);
    return ERR_NONE;
}

static enum err_code
add_ca(struct cli *cli, struct json_object *value, struct err *err)
{
    const char *path = cli_value(cli, OPTION_ARBITER_CA);
    CLEANUP(buf_done) struct buf pem = { 0 };
    if (path == NULL)
        return ERR_NONE;
    enum err_code code = file_read(path, CA_SIZE_MAX, &pem, err);
    if (code == ERR_NONE)
        json_add_string(value, "ca", buf_text(&pem));
    return code;
}

/* Options that a kind does not know are a mistake. */
static enum err_code
check_options(struct cli *cli, const char *kind, struct err *err)
{
    static const struct {
        enum option_id id;
        const char *kinds;
    } rows[] = {
        { OPTION_DSN, "postgres" },
        { OPTION_ENDPOINTS, "etcd" },
        { OPTION_ARBITER_CA, "postgres|etcd" },
        { OPTION_ARBITER_FILE, "postgres|etcd" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool known = strstr(rows[i].kinds, kind) != NULL;
        if (cli_value(cli, rows[i].id) != NULL && !known)
            return refuse_option(option_row(rows[i].id)->name, kind, err);
    }
    return ERR_NONE;
}

static enum err_code
refuse_missing(const char *kind, const char *options, struct err *err)
{
    (void)err_set(err, ERR_INVALID, "option_missing", "where the arbiter '%s' is, is not said",
                  kind);
    return err_mend(err, "%s", options);
}

static enum err_code
read_arbiter(struct cli *cli, const char *kind, struct json_object **ret, struct err *err)
{
    const char *dsn = cli_value(cli, OPTION_DSN);
    const char *endpoints = cli_value(cli, OPTION_ENDPOINTS);
    bool manual = strcmp(kind, "manual") == 0;
    bool postgres = strcmp(kind, "postgres") == 0;
    bool etcd = strcmp(kind, "etcd") == 0;
    if (!manual && !postgres && !etcd) {
        (void)err_set(err, ERR_INVALID, "operand", "no kind of arbiter is called '%s'", kind);
        return err_mend(err, "manual, postgres or etcd");
    }
    enum err_code code = check_options(cli, kind, err);
    if (code != ERR_NONE)
        return code;
    if (cli_value(cli, OPTION_ARBITER_FILE) != NULL)
        return read_file(cli, kind, ret, err);
    if (postgres && dsn == NULL)
        return refuse_missing(kind, "--file arbiter.json of a witness, or --dsn DSN", err);
    if (etcd && endpoints == NULL)
        return refuse_missing(kind, "--endpoints https://HOST:2379", err);
    CLEANUP(json_putp) struct json_object *value = json_object_new_object();
    json_add_string(value, "kind", kind);
    if (postgres)
        json_add_string(value, "dsn", dsn);
    if (etcd)
        json_add(value, "endpoints", split_endpoints(endpoints));
    code = add_ca(cli, value, err);
    if (code == ERR_NONE)
        *ret = take_ptr(&value);
    return code;
}

enum err_code
run_arbiter_set(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(json_putp) struct json_object *answer = NULL;
    const char *kind = cli_operand(cli, 0);
    bool adopt = cli_flag(cli, OPTION_ADOPT);
    enum err_code code = read_arbiter(cli, kind, &value, err);
    if (code == ERR_NONE && adopt)
        code = cli_confirm(cli,
                           "change the arbiter whatever the new one and the one of now say: no "
                           "other node may live by either",
                           "adopt", err);
    if (code != ERR_NONE)
        return code;
    json_add(body, "arbiter", take_ptr(&value));
    json_add_bool(body, "adopt", adopt);
    code = connect_call(
        cli, &(struct connect_request){ .method = "PUT", .path = "/v1/arbiter", .body = body },
        &answer, err);
    if (code != ERR_NONE)
        return code;
    char revision[WORD_SIZE];
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        table_text(&look, TABLE_PLAIN, "arbiter: %s, revision %s; see it: baton arbiter show\n",
                   kind, word_u64(answer, "revision", revision));
    return ERR_NONE;
}

/* The exit code says whether every member can use it. */
static enum err_code
test_verdict(struct json_object *tested, struct err *err)
{
    size_t bad = 0;
    size_t count = word_count(tested, "nodes");
    for (size_t i = 0; i < count; i++) {
        bool ok = false;
        bool known =
            json_get_bool(json_get(word_item(tested, "nodes", i), "answer"), "ok", &ok) && ok;
        bad += known ? 0 : 1;
    }
    if (bad == 0 && count > 0)
        return ERR_NONE;
    return err_set(err, ERR_CONFLICT, "arbiter_test",
                   "arbiter test: %zu of %zu members cannot use it", bad, count);
}

enum err_code
run_arbiter_test(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(json_putp) struct json_object *answer = NULL;
    const char *kind = cli_operand(cli, 0);
    enum err_code code = kind == NULL ? check_options(cli, "that is set", err)
                                      : read_arbiter(cli, kind, &value, err);
    if (code != ERR_NONE)
        return code;
    if (value != NULL)
        json_add(body, "arbiter", take_ptr(&value));
    struct connect_request request = {
        .method = "POST", .path = "/v1/arbiter/test", .body = body, .timeout_ms = TEST_WAIT_MS
    };
    code = connect_call(cli, &request, &answer, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        show_arbiter_tested(&look, answer);
    return test_verdict(answer, err);
}

/* ---- taking over ---- */

enum err_code
run_why(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/why");
    connect_query(&path, "node", cli_operand(cli, 0));
    return ask_and_show(cli, buf_text(&path), cli_operand(cli, 0) == NULL ? show_why : show_why_one,
                        err);
}

enum err_code
run_pause(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    const char *until = cli_value(cli, OPTION_UNTIL);
    bool has_for = cli_value(cli, OPTION_FOR) != NULL;
    if (!has_for && until == NULL)
        return ask_and_show(cli, "/v1/pause", show_pause, err);
    if (has_for && until != NULL)
        return err_set(err, ERR_INVALID, "option_value", "--for and --until: only one of them");
    if (cli_value(cli, OPTION_REASON) == NULL) {
        (void)err_set(err, ERR_INVALID, "option_missing", "a pause needs a reason");
        return err_mend(err, "--reason TEXT");
    }
    if (has_for)
        json_add_u64(body, "for_s", arguments_duration_ms(&cli->arguments, OPTION_FOR, 0) / 1000);
    else
        json_add_string(body, "until", until);
    return ask_write(cli, "PUT", "/v1/pause", body, "paused; it ends by itself", err);
}

enum err_code
run_resume(struct cli *cli, struct err *err)
{
    return ask_write(cli, "DELETE", "/v1/pause", NULL, "not paused any more", err);
}

/* ---- times ---- */

enum err_code
run_budget(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(json_putp) struct json_object *budget = NULL;
    buf_add_text(&path, "/v1/budget");
    connect_query(&path, "site", cli_value(cli, OPTION_BUDGET_SITE));
    enum err_code code = connect_get(cli, buf_text(&path), &budget, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, budget);
    else
        show_budget(&look, budget);
    for (size_t i = 0; i < word_count(budget, "cases"); i++) {
        bool within = true;
        struct json_object *one = word_item(budget, "cases", i);
        if (json_get_bool(one, "within_rto", &within) && !within)
            return err_set(err, ERR_CONFLICT, "budget_exceeded",
                           "budget: an outage may last longer than rto_ms");
    }
    return ERR_NONE;
}

enum err_code
run_check_timeouts(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(json_putp) struct json_object *answer = NULL;
    if (cli_value(cli, OPTION_REQUESTS) != NULL)
        json_add_u64(body, "requests", arguments_number(&cli->arguments, OPTION_REQUESTS, 0));
    struct connect_request request = {
        .method = "POST", .path = "/v1/check/timeouts", .body = body, .timeout_ms = TEST_WAIT_MS
    };
    enum err_code code = connect_call(cli, &request, &answer, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        show_timeouts(&look, answer);
    size_t failed = 0;
    for (size_t i = 0; i < word_count(answer, "paths"); i++)
        failed += strcmp(word_string(word_item(answer, "paths", i), "state"), "fail") == 0;
    if (failed == 0)
        return ERR_NONE;
    return err_set(err, ERR_CONFLICT, "timeouts_failed",
                   "check timeouts: %zu of %zu did not answer every time", failed,
                   word_count(answer, "paths"));
}
