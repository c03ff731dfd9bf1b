#include "controller/cli/cli.h"

#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "controller/base/json.h"
#include "controller/cli/connect.h"
#include "controller/cli/help.h"
#include "controller/cli/prompt.h"
#include "controller/cli/word.h"

#define WIDTH_MIN 40 /* below it a table is no longer a table */

bool
cli_flag(const struct cli *cli, enum option_id id)
{
    return arguments_flag(&cli->arguments, id);
}

const char *
cli_value(const struct cli *cli, enum option_id id)
{
    return arguments_text(&cli->arguments, id, NULL);
}

const char *
cli_operand(const struct cli *cli, size_t index)
{
    return index < cli->arguments.operand_count ? cli->arguments.operands[index] : NULL;
}

bool
cli_json(const struct cli *cli)
{
    return cli_flag(cli, OPTION_JSON);
}

void
cli_print_json(struct cli *cli, struct json_object *document)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
    if (cli->out_is_terminal)
        flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
    (void)fprintf(cli->out, "%s\n", json_object_to_json_string_ext(document, flags));
    (void)fflush(cli->out);
}

static void
print_problem(FILE *to, const struct err *err, struct json_object *problem)
{
    if (problem != NULL) {
        (void)fprintf(to, "%s\n", json_text(problem));
        return;
    }
    CLEANUP(json_putp) struct json_object *made = json_object_new_object();
    json_add_string(made, "type", "about:blank");
    json_add_string(made, "title", err_code_name(err->code));
    json_add_i64(made, "status", err_code_http(err->code));
    json_add_string(made, "detail", err->text);
    json_add_string(made, "code", err->slug);
    json_add_string(made, "kind", err_code_name(err->code));
    json_add_string(made, "mend", err->mend);
    (void)fprintf(to, "%s\n", json_text(made));
}

/* False when the one line has them all. */
static bool
faults_say_more(const char *line, struct json_object *problem)
{
    for (size_t i = 0; i < word_count(problem, "faults"); i++) {
        if (strstr(line, word_string(word_item(problem, "faults", i), "text")) == NULL)
            return true;
    }
    return false;
}

/* Each fault of a refused document and each check that stands in the way has its line, unless
 * 'line' says it already. */
static void
print_details(FILE *to, const char *line, struct json_object *problem)
{
    size_t faults = faults_say_more(line, problem) ? word_count(problem, "faults") : 0;
    for (size_t i = 0; i < faults; i++) {
        struct json_object *fault = word_item(problem, "faults", i);
        const char *pointer = word_or(fault, "pointer", "");
        (void)fprintf(to, "  %s: %s\n", pointer[0] == '\0' ? "(value)" : pointer,
                      word_string(fault, "text"));
    }
    for (size_t i = 0; i < word_count(problem, "checks"); i++) {
        struct json_object *check = word_item(problem, "checks", i);
        if (strcmp(word_string(check, "verdict"), "stop") == 0 &&
            strstr(line, word_string(check, "text")) == NULL)
            (void)fprintf(to, "  check %s: %s\n", word_string(check, "name"),
                          word_string(check, "text"));
    }
}

void
cli_print_err(FILE *to, const struct err *err, struct json_object *problem, bool json)
{
    if (json) {
        print_problem(to, err, problem);
        return;
    }
    (void)fprintf(to, "baton: %s\n", err->text);
    if (problem != NULL)
        print_details(to, err->text, problem);
    if (err->mend[0] != '\0')
        (void)fprintf(to, "  mend: %s\n", err->mend);
}

void
cli_note(struct cli *cli, const char *format, ...)
{
    if (cli_json(cli))
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("baton: ", cli->notes);
    (void)vfprintf(cli->notes, format, arguments);
    (void)fputc('\n', cli->notes);
    va_end(arguments);
}

enum err_code
cli_confirm(struct cli *cli, const char *what, const char *word, struct err *err)
{
    if (cli_flag(cli, OPTION_YES))
        return ERR_NONE;
    if (!cli->notes_are_terminal) {
        (void)err_set(err, ERR_INVALID, "confirmation_needed",
                      "%s: must be confirmed, and there is no terminal to ask on", what);
        return err_mend(err, "add --yes when you are sure");
    }
    char typed[256];
    (void)fprintf(cli->notes, "\n%s\nType '%s' to go on, anything else to stop: ", what, word);
    (void)fflush(cli->notes);
    enum err_code code = prompt_line(typed, sizeof typed, err);
    if (code != ERR_NONE)
        return code;
    if (strcmp(typed, word) != 0)
        return err_set(err, ERR_CANCELLED, "cancelled", "not confirmed: nothing was done");
    return ERR_NONE;
}

void
cli_pause(unsigned milliseconds)
{
    (void)poll(NULL, 0, (int)milliseconds);
}

static void
look_at_terminal(struct cli *cli)
{
    cli->out_is_terminal = isatty(STDOUT_FILENO) == 1;
    cli->notes_are_terminal = isatty(STDERR_FILENO) == 1 && isatty(STDIN_FILENO) == 1;
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    cli->color = cli->out_is_terminal && (no_color == NULL || no_color[0] == '\0') &&
                 terminal != NULL && strcmp(terminal, "dumb") != 0;
    struct winsize size;
    if (cli->out_is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        cli->width = size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

static enum err_code
run(struct cli *cli, int count, char **words, struct err *err)
{
    if (count > 0 && strcmp(words[0], "--version") == 0) {
        (void)fprintf(cli->out, "baton %s\n", BATON_VERSION);
        return ERR_NONE;
    }
    enum err_code code =
        arguments_parse((const char *const *)words, (size_t)count, &cli->arguments, err);
    if (code != ERR_NONE)
        return code;
    if (cli->arguments.help) {
        help_print(cli->out, cli->arguments.command, cli->arguments.group);
        return ERR_NONE;
    }
    if (cli->arguments.command == NULL) {
        help_print(cli->notes, NULL, NULL);
        return err_set(err, ERR_INVALID, "no_command", "no command");
    }
    return cli->arguments.command->run(cli, err);
}

/* --json must shape the error of a line that could not be parsed, too. */
static bool
wants_json(int count, char **words)
{
    for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--json") == 0)
            return true;
    }
    return false;
}

/* "baton status | head -1": who reads has seen enough, and that is no fault. */
static bool
reader_left(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int
cli_main(int count, char **words)
{
    (void)setlocale(LC_CTYPE, "");
    (void)signal(SIGPIPE, SIG_IGN);
    struct cli cli = { .out = stdout, .notes = stderr };
    look_at_terminal(&cli);
    struct err err;
    err_clear(&err);
    count = count > 0 ? count - 1 : 0;
    words++;
    enum err_code code = run(&cli, count, words, &err);
    if (code == ERR_NONE && (fflush(stdout) != 0 || ferror(stdout)) && !reader_left())
        code = err_set(&err, ERR_IO, "io", "write to standard output failed");
    if (code != ERR_NONE)
        cli_print_err(cli.notes, &err, cli.problem, wants_json(count, words));
    connect_free(cli.connect);
    json_object_put(cli.problem);
    return err_code_exit(code);
}
