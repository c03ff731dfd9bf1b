#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/ask.h"
#include "controller/cli/cli.h"
#include "controller/cli/connect.h"
#include "controller/cli/prompt.h"
#include "controller/cli/run.h"
#include "controller/cli/word.h"
#include "sites/sealing.h"

/* Room for all of it before the first byte: what is not moved leaves no copy behind. */
#define ROOM_SIZE (2 * SEALING_VALUE_SIZE_MAX)

static void
wipe(struct buf *buf)
{
    if (buf->data != NULL)
        explicit_bzero(buf->data, buf->capacity);
    buf_done(buf);
}

/* ---- the value: from a file, from standard input, or typed twice ---- */

static enum err_code
check_size(const struct buf *value, struct err *err)
{
    if (value->size > 0 && value->size <= SEALING_VALUE_SIZE_MAX)
        return ERR_NONE;
    (void)err_set(err, ERR_LIMIT, "secret_size", "a secret has 1 to %d bytes, not %s",
                  SEALING_VALUE_SIZE_MAX, value->size == 0 ? "none" : "more");
    return err_mend(err, "keep large things elsewhere, and their key here");
}

/* One line end at the end is the shell's, not the secret's. */
static enum err_code
read_stdin(struct buf *value, struct err *err)
{
    while (value->size <= SEALING_VALUE_SIZE_MAX + 1) {
        char *room = buf_reserve(value, SEALING_VALUE_SIZE_MAX + 2 - value->size);
        ssize_t got = read(STDIN_FILENO, room, SEALING_VALUE_SIZE_MAX + 2 - value->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read standard input");
        if (got == 0)
            break;
        buf_grew(value, (size_t)got);
    }
    if (value->size > 0 && value->data[value->size - 1] == '\n')
        value->size--;
    return ERR_NONE;
}

/* Twice, because nobody sees what was typed. */
static enum err_code
ask_twice(struct buf *value, struct err *err)
{
    CLEANUP(wipe) struct buf again = { 0 };
    const size_t size = SEALING_VALUE_SIZE_MAX + 1;
    char *first = buf_reserve(value, size);
    char *second = buf_reserve(&again, size);
    if (!isatty(STDIN_FILENO)) {
        (void)err_set(err, ERR_INVALID, "no_terminal", "there is no terminal to ask on");
        return err_mend(err, "use --stdin, or --file FILE");
    }
    enum err_code code = prompt_password("Secret", first, size, err);
    if (code == ERR_NONE)
        code = prompt_password("Again", second, size, err);
    if (code == ERR_NONE && strcmp(first, second) != 0)
        code = err_set(err, ERR_INVALID, "secret", "the two differ: nothing was done");
    if (code == ERR_NONE)
        buf_grew(value, strlen(first));
    return code;
}

static enum err_code
read_value(struct cli *cli, struct buf *value, struct err *err)
{
    const char *file = cli_value(cli, OPTION_SECRET_FILE);
    bool from_stdin = cli_flag(cli, OPTION_STDIN);
    (void)buf_reserve(value, ROOM_SIZE);
    if (cli_operand(cli, 1) != NULL) {
        (void)err_set(err, ERR_INVALID, "operand_extra",
                      "secret set: a secret on the command line is seen by everybody on this host");
        return err_mend(err, "choose another value, and give it by --stdin, --file FILE, or when "
                             "asked");
    }
    if (file != NULL && from_stdin)
        return err_set(err, ERR_INVALID, "option_value", "--file and --stdin: one is enough");
    enum err_code code = file != NULL ? file_read(file, SEALING_VALUE_SIZE_MAX, value, err)
                         : from_stdin ? read_stdin(value, err)
                                      : ask_twice(value, err);
    return code == ERR_NONE ? check_size(value, err) : code;
}

static struct json_object *
make_body(const struct buf *value)
{
    struct json_object *body = json_object_new_object();
    bool is_text =
        memchr(value->data, '\0', value->size) == NULL && str_is_utf8(value->data, value->size);
    if (is_text) {
        json_add(body, "value", json_object_new_string_len(value->data, (int)value->size));
    } else {
        char *text = str_base64url((const uint8_t *)value->data, value->size);
        json_add_string(body, "base64url", text);
        explicit_bzero(text, strlen(text));
        free(text);
    }
    return body;
}

enum err_code
run_secret_set(struct cli *cli, struct err *err)
{
    CLEANUP(wipe) struct buf value = { 0 };
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(json_putp) struct json_object *body = NULL;
    CLEANUP(freep) char *done = str_printf("sealed %s", cli_operand(cli, 0));
    enum err_code code = read_value(cli, &value, err);
    if (code != ERR_NONE)
        return code;
    body = make_body(&value);
    buf_add_text(&path, "/v1/secrets/");
    connect_escape(&path, cli_operand(cli, 0));
    return ask_write(cli, "PUT", buf_text(&path), body, done, err);
}

/* ---- the others ---- */

enum err_code
run_secret_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/secrets", show_secrets, err);
}

enum err_code
run_secret_delete(struct cli *cli, struct err *err)
{
    const char *name = cli_operand(cli, 0);
    CLEANUP(buf_done) struct buf path = { 0 };
    CLEANUP(freep) char *what = str_printf("delete secret %s, which nobody can bring back", name);
    CLEANUP(freep) char *done = str_printf("deleted secret %s", name);
    buf_add_text(&path, "/v1/secrets/");
    connect_escape(&path, name);
    enum err_code code = cli_confirm(cli, what, name, err);
    return code != ERR_NONE ? code : ask_write(cli, "DELETE", buf_text(&path), NULL, done, err);
}

enum err_code
run_secret_rotate(struct cli *cli, struct err *err)
{
    char revision[WORD_SIZE];
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    CLEANUP(json_putp) struct json_object *answer = NULL;
    struct connect_request request = { .method = "POST",
                                       .path = "/v1/datakey/rotate",
                                       .body = body };
    enum err_code code = connect_call(cli, &request, &answer, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        table_text(&look, TABLE_PLAIN, "%llu secrets are sealed by data key %s: revision %s\n",
                   (unsigned long long)word_number(answer, "count", 0),
                   word_string(answer, "key_id"), word_u64(answer, "revision", revision));
    return ERR_NONE;
}
