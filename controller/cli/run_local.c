#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
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
#include "controller/cli/transfer.h"
#include "controller/cli/word.h"

static char *
key_path(const char *key, const char *query)
{
    struct buf path = { 0 };
    buf_add_text(&path, "/v1/local/");
    connect_escape(&path, key);
    buf_add_text(&path, query);
    return buf_take(&path);
}

enum err_code
run_local_get(struct cli *cli, struct err *err)
{
    CLEANUP(freep) char *path = key_path(cli_operand(cli, 0), "");
    CLEANUP(json_putp) struct json_object *entry = NULL;
    enum err_code code = connect_get(cli, path, &entry, err);
    if (code != ERR_NONE)
        return code;
    if (cli_json(cli)) {
        cli_print_json(cli, entry);
        return ERR_NONE;
    }
    CLEANUP(freep) char *text = word_value(json_get(entry, "value"), SIZE_MAX);
    struct table_look look = table_look(cli);
    table_text(&look, TABLE_PLAIN, "%s\n", text);
    return ERR_NONE;
}

static enum err_code
put_local(struct cli *cli, const char *key, struct json_object *value, bool dry_run,
          struct json_object **ret, struct err *err)
{
    CLEANUP(freep) char *path = key_path(key, dry_run ? "?dry_run=true" : "");
    CLEANUP(json_putp) struct json_object *body = json_object_new_object();
    json_add(body, "value", json_object_get(value));
    struct connect_request request = { .method = "PUT", .path = path, .body = body };
    return connect_call(cli, &request, ret, err);
}

static enum err_code
delete_local(struct cli *cli, const char *key, struct json_object **ret, struct err *err)
{
    CLEANUP(freep) char *path = key_path(key, "");
    return connect_call(cli, &(struct connect_request){ .method = "DELETE", .path = path }, ret,
                        err);
}

enum err_code
run_local_set(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *value = NULL;
    CLEANUP(json_putp) struct json_object *answer = NULL;
    const char *key = cli_operand(cli, 0);
    enum err_code code = ask_value_of(cli, cli_operand(cli, 1), &value, err);
    if (code == ERR_NONE)
        code = put_local(cli, key, value, cli_flag(cli, OPTION_DRY_RUN), &answer, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        table_text(&look, TABLE_PLAIN, "%s: %s on this node\n", key,
                   cli_flag(cli, OPTION_DRY_RUN) ? "could be set" : "set");
    return ERR_NONE;
}

enum err_code
run_local_delete(struct cli *cli, struct err *err)
{
    CLEANUP(json_putp) struct json_object *answer = NULL;
    enum err_code code = delete_local(cli, cli_operand(cli, 0), &answer, err);
    if (code != ERR_NONE)
        return code;
    struct table_look look = table_look(cli);
    if (cli_json(cli))
        cli_print_json(cli, answer);
    else
        table_text(&look, TABLE_PLAIN, "%s: deleted on this node\n", cli_operand(cli, 0));
    return ERR_NONE;
}

enum err_code
run_local_list(struct cli *cli, struct err *err)
{
    return ask_and_show(cli, "/v1/local", show_local, err);
}

enum err_code
run_explain(struct cli *cli, struct err *err)
{
    CLEANUP(buf_done) struct buf path = { 0 };
    buf_add_text(&path, "/v1/explain/");
    connect_escape(&path, cli_operand(cli, 0));
    connect_query(&path, "if_promoted", cli_value(cli, OPTION_IF_PROMOTED));
    return ask_and_show(cli, buf_text(&path), show_explain, err);
}

/* ---- edit ---- */

struct edit {
    char path[64];              /* the file that the editor opens */
    const char *format;         /* "yaml" or "json" */
    struct json_object *before; /* owned; {KEY: VALUE} */
    struct json_object *after;  /* owned */
};

static void
edit_done(struct edit *edit)
{
    if (edit->path[0] != '\0')
        (void)unlink(edit->path);
    json_object_put(edit->before);
    json_object_put(edit->after);
}

static enum err_code
edit_start(struct cli *cli, struct edit *edit, struct err *err)
{
    CLEANUP(json_putp) struct json_object *list = NULL;
    CLEANUP(buf_done) struct buf text = { 0 };
    enum err_code code = connect_get(cli, "/v1/local", &list, err);
    if (code != ERR_NONE)
        return code;
    edit->before = json_object_new_object();
    for (size_t i = 0; i < word_count(list, "entries"); i++) {
        struct json_object *entry = word_item(list, "entries", i);
        json_add(edit->before, word_string(entry, "key"),
                 json_object_get(json_get(entry, "value")));
    }
    edit->format = arguments_text(&cli->arguments, OPTION_FORMAT, "yaml");
    if (strcmp(edit->format, "yaml") == 0)
        buf_printf(
            &text,
            "# Local settings of %s: no other node has them. Checked before anything is\n"
            "# written. A line that is removed is a setting that is deleted. The known ones:\n"
            "# man baton-settings (scope node).\n",
            word_string(list, "node"));
    transfer_write(edit->before, edit->format, &text);

    /* mkstemps: mode 0600, a new file, and an ending that the editor knows. */
    (void)snprintf(edit->path, sizeof edit->path, "/tmp/baton-local-XXXXXX.%s", edit->format);
    int descriptor = mkostemps(edit->path, 5, O_CLOEXEC);
    if (descriptor < 0) {
        edit->path[0] = '\0';
        return err_errno(err, errno, "make a file to edit in /tmp");
    }
    ssize_t written = write(descriptor, text.data, text.size);
    int number = errno;
    (void)close(descriptor);
    return written == (ssize_t)text.size ? ERR_NONE
                                         : err_errno(err, number, "write %s", edit->path);
}

/* By a shell, for $EDITOR may have arguments ("code --wait"). */
static enum err_code
run_editor(const char *path, struct err *err)
{
    const char *editor = getenv("VISUAL");
    if (editor == NULL || editor[0] == '\0')
        editor = getenv("EDITOR");
    if (editor == NULL || editor[0] == '\0')
        editor = "vi";
    /* Ctrl-C is the editor's: the terminal sends it to all three. */
    CLEANUP(freep) char *command = str_printf("trap : INT QUIT; %s \"$1\"", editor);
    void (*interrupt)(int) = signal(SIGINT, SIG_IGN);
    void (*quit)(int) = signal(SIGQUIT, SIG_IGN);
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGINT, interrupt);
        (void)signal(SIGQUIT, quit);
        (void)signal(SIGPIPE, SIG_DFL); /* what we ignore a program does not expect to */
        (void)execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
        _exit(127);
    }
    int number = errno;
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    (void)signal(SIGINT, interrupt);
    (void)signal(SIGQUIT, quit);
    if (child < 0)
        return err_errno(err, number, "start the editor");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return ERR_NONE;
    (void)err_set(err, ERR_CANCELLED, "editor", "editor '%s' failed: nothing was changed", editor);
    return err_mend(err, "set EDITOR to an editor that is installed");
}

/* Everything is checked before anything is written. */
static enum err_code
edit_check(struct cli *cli, struct edit *edit, struct err *err)
{
    json_object_put(edit->after);
    edit->after = NULL;
    enum err_code code = transfer_read(edit->path, edit->format, &edit->after, err);
    if (code != ERR_NONE)
        return code;
    if (edit->after == NULL)
        edit->after = json_object_new_object();
    if (!json_object_is_type(edit->after, json_type_object))
        return err_set(err, ERR_INVALID, "local_file", "must be a list of KEY: VALUE");
    json_object_object_foreach (edit->after, key, value) {
        struct json_object *old = NULL;
        CLEANUP(json_putp) struct json_object *answer = NULL;
        if (json_object_object_get_ex(edit->before, key, &old) && json_object_equal(old, value))
            continue;
        code = put_local(cli, key, value, true, &answer, err);
        if (code != ERR_NONE)
            return err_wrap(err, "%s", key);
    }
    return ERR_NONE;
}

static enum err_code
edit_write(struct cli *cli, struct edit *edit, unsigned *ret_count, struct err *err)
{
    enum err_code code = ERR_NONE;
    json_object_object_foreach (edit->after, key, value) {
        struct json_object *old = NULL;
        CLEANUP(json_putp) struct json_object *answer = NULL;
        if (json_object_object_get_ex(edit->before, key, &old) && json_object_equal(old, value))
            continue;
        code = put_local(cli, key, value, false, &answer, err);
        if (code != ERR_NONE)
            return err_wrap(err, "%s (after %u change%s)", key, *ret_count,
                            *ret_count == 1 ? "" : "s");
        ++*ret_count;
    }
    json_object_object_foreach (edit->before, old_key, old_value) {
        (void)old_value;
        CLEANUP(json_putp) struct json_object *answer = NULL;
        if (json_object_object_get_ex(edit->after, old_key, NULL))
            continue;
        code = delete_local(cli, old_key, &answer, err);
        if (code != ERR_NONE)
            return err_wrap(err, "%s (after %u change%s)", old_key, *ret_count,
                            *ret_count == 1 ? "" : "s");
        ++*ret_count;
    }
    return ERR_NONE;
}

/* True to open the editor again with the text as it is. */
static bool
edit_again(struct cli *cli, const struct err *err)
{
    char answer[16];
    struct err unread;
    cli_print_err(cli->notes, err, cli->problem, false);
    if (!cli->notes_are_terminal)
        return false;
    (void)fputs("Edit again? [Y/n] ", cli->notes);
    (void)fflush(cli->notes);
    return prompt_line(answer, sizeof answer, &unread) == ERR_NONE && answer[0] != 'n' &&
           answer[0] != 'N';
}

enum err_code
run_local_edit(struct cli *cli, struct err *err)
{
    CLEANUP(edit_done) struct edit edit = { 0 };
    enum err_code code = edit_start(cli, &edit, err);
    while (code == ERR_NONE) {
        code = run_editor(edit.path, err);
        if (code != ERR_NONE)
            return code;
        code = edit_check(cli, &edit, err);
        if (code == ERR_NONE)
            break;
        if (!edit_again(cli, err))
            return err_set(err, code, "local_edit", "nothing was changed");
        code = ERR_NONE;
    }
    unsigned count = 0;
    if (code == ERR_NONE)
        code = edit_write(cli, &edit, &count, err);
    if (code == ERR_NONE)
        cli_note(cli, "%u setting%s changed", count, count == 1 ? "" : "s");
    return code;
}
