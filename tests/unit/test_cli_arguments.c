/* The command line: every refusal with its hint, and the rules that the table itself must keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/arguments.h"

#define WORDS_MAX 80

struct line {
    const char *words[WORDS_MAX];
    size_t count;
};

/* Splits at single spaces; '_' stands for a space inside a word. */
static struct line
split(char *text)
{
    struct line line = { .count = 0 };
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        for (char *at = word; *at != '\0'; at++)
            *at = *at == '_' ? ' ' : *at;
        line.words[line.count++] = word;
    }
    return line;
}

static enum err_code
parse(const char *text, char copy[512], struct arguments *ret, struct err *err)
{
    (void)snprintf(copy, 512, "%s", text);
    struct line line = split(copy);
    err_clear(err);
    return arguments_parse(line.words, line.count, ret, err);
}

static void
test_refusals(void **state)
{
    static const struct {
        const char *line;
        const char *slug;
        const char *text;
        const char *mend;
    } rows[] = {
        { "pormote", "unknown_command", "unknown command 'pormote'",
          "did you mean 'baton promote'?" },
        { "stat", "unknown_command", "unknown command 'stat'", "did you mean 'baton status'?" },
        { "xyzzy", "unknown_command", "unknown command 'xyzzy'",
          "baton --help lists the commands" },
        { "config", "no_command", "config: what to do is missing", "baton config --help lists it" },
        { "config lst", "unknown_command", "unknown command 'config lst'",
          "did you mean 'baton config list'?" },
        { "config xyzzy", "unknown_command", "unknown command 'config xyzzy'",
          "baton config --help lists the commands" },
        { "status --jsn", "unknown_option", "status: unknown option --jsn",
          "did you mean --json?" },
        { "status --yes", "unknown_option", "status: takes no option --yes",
          "baton status --help lists its options" },
        { "promote west --accept", "unknown_option", "promote: unknown option --accept",
          "did you mean --accept-data-loss?" },
        { "status -x", "unknown_option", "unknown option '-x'",
          "options are long, such as --yes; what begins with '-' and is no option stands behind "
          "'--'" },
        { "--yes", "unknown_option", "baton: takes no option --yes",
          "options of a command stand behind its name" },
        { "promote west --reason", "option_value", "--reason: its value is missing", "" },
        { "promote west --yes=no", "option_value", "--yes takes no value", "" },
        { "promote west --reason=", "option_value", "--reason '': must be something", "" },
        { "promote west --reason a --reason b", "option_twice", "--reason stands twice", "" },
        { "promote", "operand_missing", "promote: SITE|NODE is missing", "baton promote --help" },
        { "promote west east", "operand_extra", "promote: 'east' is one word too many",
          "put a value with spaces in quotes; see baton promote --help" },
        { "config set key a b", "operand_extra", "config set: 'b' is one word too many",
          "put a value with spaces in quotes; see baton config set --help" },
        { "token create", "option_missing", "token create: --site is missing",
          "add --site SITE: the site that the node stands in" },
        { "token create --site EAST", "option_value",
          "--site 'EAST': must be 1 to 63 letters a-z, digits and '-', neither first nor last a "
          "'-'",
          "" },
        { "token create --site east --ttl soon", "option_value",
          "--ttl 'soon': must be a time such as 250ms, 90s, 5m, 1h or 7d", "" },
        { "token create --site east --ttl 0", "option_value",
          "--ttl '0': must be a time such as 250ms, 90s, 5m, 1h or 7d", "" },
        { "config history --limit -1", "option_value", "--limit '-1': must be a whole number", "" },
        { "config history --limit 99999999999999999999", "option_value",
          "--limit '99999999999999999999': must be a whole number", "" },
        { "config export --format toml", "option_value", "--format 'toml': must be json|yaml", "" },
        { "init --cluster prod --site east", "option_missing", "init: --node is missing",
          "add --node NAME: name of this node" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char copy[512];
        struct arguments arguments = { .help = true };
        struct err err;
        assert_int_equal(parse(rows[i].line, copy, &arguments, &err), ERR_INVALID);
        assert_string_equal(err.slug, rows[i].slug);
        assert_string_equal(err.text, rows[i].text);
        assert_string_equal(err.mend, rows[i].mend);
        assert_true(arguments.help); /* left alone on error */
    }
}

static void
test_options_stand_anywhere(void **state)
{
    static const char *const lines[] = {
        "config set app/x 5 --site east --reason new_colours --json",
        "--json config --site=east set --reason=new_colours app/x 5",
        "--reason new_colours --site east --json config set app/x 5",
        "config set --json --site east --reason new_colours -- app/x 5",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        char copy[512];
        struct arguments arguments;
        struct err err;
        assert_int_equal(parse(lines[i], copy, &arguments, &err), ERR_NONE);
        assert_string_equal(arguments.command->name, "config set");
        assert_int_equal(arguments.operand_count, 2);
        assert_string_equal(arguments.operands[0], "app/x");
        assert_string_equal(arguments.operands[1], "5");
        assert_string_equal(arguments_text(&arguments, OPTION_SCOPE, NULL), "east");
        assert_string_equal(arguments_text(&arguments, OPTION_REASON, NULL), "new colours");
        assert_true(arguments_flag(&arguments, OPTION_JSON));
        assert_false(arguments_flag(&arguments, OPTION_TEXT));
    }
}

/* What looks like an option and is a value. */
static void
test_operands_with_dashes(void **state)
{
    char copy[512];
    struct arguments arguments;
    struct err err;
    (void)state;
    assert_int_equal(parse("config set app/x -5", copy, &arguments, &err), ERR_NONE);
    assert_string_equal(arguments.operands[1], "-5");
    assert_int_equal(parse("config set app/x -", copy, &arguments, &err), ERR_NONE);
    assert_string_equal(arguments.operands[1], "-");
    assert_int_equal(parse("config set app/x -- --force", copy, &arguments, &err), ERR_NONE);
    assert_string_equal(arguments.operands[1], "--force");
    assert_int_equal(parse("promote west --reason --now", copy, &arguments, &err), ERR_NONE);
    assert_string_equal(arguments_text(&arguments, OPTION_REASON, NULL), "--now");
}

static void
test_repeated_and_numbers(void **state)
{
    char copy[512];
    struct arguments arguments;
    struct err err;
    (void)state;
    assert_int_equal(
        parse("promote west --override a --override b --reason c", copy, &arguments, &err),
        ERR_NONE);
    assert_int_equal(arguments.repeated_count, 2);
    assert_string_equal(arguments.repeated[0], "a");
    assert_string_equal(arguments.repeated[1], "b");
    assert_int_equal(parse("status --interval 250ms --watch", copy, &arguments, &err), ERR_NONE);
    assert_int_equal(arguments_duration_ms(&arguments, OPTION_INTERVAL, 7), 250);
    assert_int_equal(arguments_duration_ms(&arguments, OPTION_TTL, 7), 7);
    assert_int_equal(parse("promotion list --limit 3", copy, &arguments, &err), ERR_NONE);
    assert_int_equal(arguments_number(&arguments, OPTION_LIMIT, 7), 3);

    assert_int_equal(
        parse("witness init --cluster-ca a --cluster-ca=b --listen c", copy, &arguments, &err),
        ERR_NONE);
    assert_int_equal(arguments.repeated_count, 2);
    assert_string_equal(arguments.repeated[1], "b");

    char many[512] = "promote west";
    for (int i = 0; i <= OPTION_REPEAT_MAX; i++)
        (void)strcat(many, " --override a");
    assert_int_equal(parse(many, copy, &arguments, &err), ERR_INVALID);
    assert_string_equal(err.slug, "option_twice");
}

/* Who asks for help in the middle of a wrong line gets help. */
static void
test_help(void **state)
{
    char copy[512];
    struct arguments arguments;
    struct err err;
    (void)state;
    assert_int_equal(parse("--help", copy, &arguments, &err), ERR_NONE);
    assert_true(arguments.help && arguments.command == NULL && arguments.group == NULL);
    assert_int_equal(parse("config --help", copy, &arguments, &err), ERR_NONE);
    assert_true(arguments.help && arguments.command == NULL);
    assert_string_equal(arguments.group, "config");
    assert_int_equal(parse("promote -h", copy, &arguments, &err), ERR_NONE);
    assert_true(arguments.help);
    assert_string_equal(arguments.command->name, "promote");
    assert_int_equal(parse("", copy, &arguments, &err), ERR_NONE);
    assert_true(!arguments.help && arguments.command == NULL);
}

static void
test_bounds(void **state)
{
    const char *words[2 * COMMAND_OPERANDS_MAX + 2 * OPTION_COUNT];
    struct arguments arguments;
    struct err err;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        words[i] = "x";
    words[0] = "setaside";
    words[1] = "apply";
    assert_int_equal(arguments_parse(words, COMMAND_OPERANDS_MAX + 2, &arguments, &err), ERR_NONE);
    assert_int_equal(arguments_parse(words, COMMAND_OPERANDS_MAX + 3, &arguments, &err),
                     ERR_INVALID);
    assert_string_equal(err.slug, "operand_extra");
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        words[i] = "--json";
    assert_int_equal(arguments_parse(words, ARRAY_COUNT(words), &arguments, &err), ERR_INVALID);
}

/* ---- the table ---- */

static void
test_rows_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &command_rows[i];
        char start[64];
        (void)snprintf(start, sizeof start, "baton %s", command->name);
        assert_non_null(command->run);
        assert_in_range(strlen(command->text), 1, 57); /* one line of the overview */
        assert_non_null(strstr(command->example, start));
        assert_true(command->operands_max >= command->operands_min);
        assert_true((command->operands[0] == '\0') == (command->operands_max == 0));
        size_t options = 0;
        while (command->options[options] != OPTION_END)
            options++;
        assert_true(options < COMMAND_OPTIONS_MAX);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(command->name, command_rows[other].name);
        size_t used;
        const char *words[3] = { NULL };
        size_t count = 0;
        char *rest = NULL;
        for (char *word = strtok_r(start + 6, " ", &rest); word != NULL;
             word = strtok_r(NULL, " ", &rest))
            words[count++] = word;
        assert_ptr_equal(command_find(words, count, &used), command);
        assert_int_equal(used, count);
    }
}

/* The parser takes an argument before it knows the command: one name, one habit. */
static void
test_names_keep_their_habit(void **state)
{
    (void)state;
    for (int id = OPTION_END + 1; id < OPTION_COUNT; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        assert_true(option_has_argument(row) == (row->argument != NULL));
        assert_true((row->type == OPTION_TYPE_CHOICE) == (row->choices != NULL));
        for (int other = OPTION_END + 1; other < id; other++) {
            const struct option_row *twin = option_row((enum option_id)other);
            if (strcmp(twin->name, row->name) == 0)
                assert_true(option_has_argument(twin) == option_has_argument(row));
        }
    }
}

/* Each example, as it is printed, is accepted by the parser. */
static void
test_examples_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%s", command_rows[i].example);
        char *rest = NULL;
        for (char *line = strtok_r(text, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            struct line words = { .count = 0 };
            char *word_rest = NULL;
            char *start = strstr(line, "baton ");
            assert_non_null(start);
            start[strcspn(start, "<)")] = '\0';
            bool quoted = false;
            for (char *at = start; *at != '\0'; at++) {
                quoted = *at == '\'' ? !quoted : quoted;
                *at = quoted && *at == ' ' ? '_' : *at;
            }
            for (char *word = strtok_r(start, " ", &word_rest); word != NULL;
                 word = strtok_r(NULL, " ", &word_rest))
                words.words[words.count++] = word;
            struct arguments arguments;
            struct err err;
            err_clear(&err);
            if (arguments_parse(words.words + 1, words.count - 1, &arguments, &err) != ERR_NONE)
                fail_msg("%s: %s", command_rows[i].name, err.text);
            assert_ptr_equal(arguments.command, &command_rows[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_options_stand_anywhere),
        cmocka_unit_test(test_operands_with_dashes),
        cmocka_unit_test(test_repeated_and_numbers),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_names_keep_their_habit),
        cmocka_unit_test(test_examples_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
