#include <string.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/prompt.h"
#include "controller/cli/run.h"
#include "controller/cli/saved.h"
#include "controller/cli/trust.h"
#include "controller/cli/word.h"

#define USER_SIZE 128

/* ---- login ---- */

struct login {
    char *url;                 /* owned */
    char *ca;                  /* owned; PEM that the person vouched for */
    char *path;                /* owned; of the saved logins */
    struct json_object *saved; /* owned */
    char user[USER_SIZE];
    char password[PROMPT_PASSWORD_SIZE];
};

static void
login_done(struct login *login)
{
    free(login->url);
    free(login->ca);
    free(login->path);
    json_object_put(login->saved);
    explicit_bzero(login->password, sizeof login->password);
}

static enum err_code
find_server(struct cli *cli, struct login *login, struct err *err)
{
    const char *server = cli_value(cli, OPTION_SERVER);
    if (server == NULL)
        server = getenv("BATON_SERVER");
    if (server == NULL || server[0] == '\0')
        server = saved_default(login->saved);
    if (server == NULL) {
        (void)err_set(err, ERR_INVALID, "no_server", "login: which node?");
        return err_mend(err, "--server https://HOST:7443 (or BATON_SERVER)");
    }
    return connect_url(server, &login->url, err);
}

/* --ca, --pin, or the CA of an earlier login to this server. */
static enum err_code
find_ca(struct cli *cli, struct login *login, struct err *err)
{
    const char *file = cli_value(cli, OPTION_CA);
    const char *pin = cli_value(cli, OPTION_PIN);
    if (file != NULL && pin != NULL)
        return err_set(err, ERR_INVALID, "option_value", "--ca and --pin: one is enough");
    if (file != NULL)
        return trust_read_ca(file, &login->ca, err);
    if (pin != NULL)
        return trust_find_ca(login->url, pin, &login->ca, err);
    struct saved_login before;
    if (saved_find(login->saved, login->url, &before)) {
        login->ca = str_dup(before.ca);
        return ERR_NONE;
    }
    (void)err_set(err, ERR_INVALID, "no_ca",
                  "login: %s is not known here, and nobody vouches for it", login->url);
    return err_mend(err, "--ca FILE (ca.crt of any node), or --pin sha256:HEX as baton init "
                         "printed it");
}

static enum err_code
ask_login(struct cli *cli, struct login *login, struct err *err)
{
    const char *user = cli_value(cli, OPTION_USER);
    const char *file = cli_value(cli, OPTION_PASSWORD_FILE);
    enum err_code code = ERR_NONE;
    if (user != NULL && !str_copy(login->user, sizeof login->user, user))
        return err_set(err, ERR_INVALID, "option_value", "--user: too long");
    if (user == NULL) {
        if (!cli->notes_are_terminal)
            return err_set(err, ERR_INVALID, "option_missing",
                           "login: --user is missing, and there is no terminal to ask on");
        (void)fprintf(cli->notes, "User for %s: ", login->url);
        (void)fflush(cli->notes);
        code = prompt_line(login->user, sizeof login->user, err);
    }
    if (code != ERR_NONE)
        return code;
    if (file != NULL)
        return prompt_password_file(file, login->password, sizeof login->password, err);
    return prompt_password("Password", login->password, sizeof login->password, err);
}

static enum err_code
send_login(struct cli *cli, struct login *login, struct json_object **ret, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add_string(body, "user", login->user);
    json_add_string(body, "password", login->password);
    cli->connect = mem_zero(1, sizeof *cli->connect);
    cli->connect->url = str_dup(login->url);
    cli->connect->ca = str_dup(login->ca);
    cli->connect->timeout_ms =
        (unsigned)arguments_duration_ms(&cli->arguments, OPTION_TIMEOUT, CONNECT_TIMEOUT_MS);
    struct connect_request request = { .method = "POST", .path = "/v1/login", .body = body };
    return connect_call(cli, &request, ret, err);
}

enum err_code
run_login(struct cli *cli, struct err *err)
{
    CLEANUP(login_done) struct login login = { 0 };
    CLEANUP(json_putp) struct json_object *session = NULL;
    enum err_code code = saved_path(&login.path, err);
    if (code == ERR_NONE)
        code = saved_load(login.path, &login.saved, err);
    if (code == ERR_NONE)
        code = find_server(cli, &login, err);
    if (code == ERR_NONE)
        code = find_ca(cli, &login, err);
    if (code == ERR_NONE)
        code = ask_login(cli, &login, err);
    if (code == ERR_NONE)
        code = send_login(cli, &login, &session, err);
    if (code != ERR_NONE)
        return code;
    char until[WORD_SIZE];
    struct saved_login found = {
        .user = login.user,
        .role = word_string(session, "role"),
        .token = word_or(session, "token", ""),
        .expires_at = word_string(session, "expires_at"),
        .ca = login.ca,
    };
    if (found.token[0] == '\0')
        return err_set(err, ERR_PROTOCOL, "bad_reply", "%s: no token in the answer", login.url);
    saved_put(login.saved, login.url, &found);
    code = saved_store(login.path, login.saved, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        json_object_object_del(session, "token"); /* it stays in the file */
        cli_print_json(cli, session);
        return ERR_NONE;
    }
    struct table_look look = table_look(cli);
    table_text(&look, TABLE_PLAIN, "%s is %s at %s until %s UTC\n", login.user, found.role,
               login.url, word_time(found.expires_at, until));
    return ERR_NONE;
}

/* The login is forgotten here even when the node cannot be told. */
enum err_code
run_logout(struct cli *cli, struct err *err)
{
    CLEANUP(freep) char *path = NULL;
    CLEANUP(json_putp) struct json_object *saved = NULL;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    enum err_code code = connect_open(cli, &cli->connect, err);
    if (code != ERR_NONE)
        return code;
    if (cli->connect->folder != NULL) {
        (void)err_set(err, ERR_INVALID, "option_value", "logout: a data directory has no login");
        return err_mend(err, "--server URL");
    }
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    enum err_code told = connect_call(
        cli, &(struct connect_request){ .method = "POST", .path = "/v1/logout", .body = body },
        &answer, err);
    struct err unread;
    code = saved_path(&path, &unread);
    if (code == ERR_NONE)
        code = saved_load(path, &saved, &unread);
    if (code == ERR_NONE && saved_remove(saved, cli->connect->url))
        code = saved_store(path, saved, &unread);
    if (code != ERR_NONE) {
        *err = unread;
        return code;
    }
    if (told != ERR_NONE && told != ERR_LOGIN)
        return err_wrap(err, "the login is forgotten here, but its session goes on");
    cli_note(cli, "logged out from %s", cli->connect->url);
    return ERR_NONE;
}

/* ---- users ---- */

enum err_code
run_user_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/users", show_users, err);
}

/* Twice, because nobody sees what was typed. */
static enum err_code
ask_new_password(struct cli *cli, char *password, size_t size, struct err *err)
{
    const char *file = cli_value(cli, OPTION_PASSWORD_FILE);
    if (file != NULL)
        return prompt_password_file(file, password, size, err);
    char again[PROMPT_PASSWORD_SIZE];
    enum err_code code = prompt_password("New password", password, size, err);
    if (code == ERR_NONE)
        code = prompt_password("Again", again, sizeof again, err);
    if (code == ERR_NONE && strcmp(password, again) != 0)
        code = err_set(err, ERR_INVALID, "password", "the two passwords differ: nothing was done");
    explicit_bzero(again, sizeof again);
    return code;
}

enum err_code
run_user_set(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(buf_done) struct buf path = { 0 };
    char password[PROMPT_PASSWORD_SIZE];
    const char *role = cli_value(cli, OPTION_ROLE);
    bool wants_password = role == NULL || cli_flag(cli, OPTION_PASSWORD) ||
                          cli_value(cli, OPTION_PASSWORD_FILE) != NULL;
    password[0] = '\0';
    enum err_code code =
        wants_password ? ask_new_password(cli, password, sizeof password, err) : ERR_NONE;
    if (code != ERR_NONE)
        return code;
    if (password[0] != '\0')
        json_add_string(body, "password", password);
    if (role != NULL)
        json_add_string(body, "role", role);
    explicit_bzero(password, sizeof password);
    buf_add_text(&path, "/v1/users/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_write(cli, "PUT", buf_text(&path), body, cli_operand(cli, 0), err);
}

enum err_code
run_user_delete(struct cli *cli, struct err *err)
{
    const char *user = cli_operand(cli, 0);
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(freep) char *what = str_printf("delete user %s and end all their sessions", user);
    CLEANUP(freep) char *done = str_printf("deleted user %s", user);
    buf_add_text(&path, "/v1/users/");
    connect_escape(&path, user);
    enum err_code code = cli_confirm(cli, what, user, err);
    return code != ERR_NONE ? code : ask_write(cli, "DELETE", buf_text(&path), NULL, done, err);
}
