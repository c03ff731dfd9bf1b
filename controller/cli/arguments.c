#include "controller/cli/arguments.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

#define ARGUMENT_NAME_SIZE 64

/* One option as it was typed, before we know the command. */
struct seen {
    char name[ARGUMENT_NAME_SIZE];
    const char *value; /* borrowed; NULL: none */
};

struct scan {
    struct seen seen[2 * OPTION_COUNT];
    size_t seen_count;
    const char *words[COMMAND_OPERANDS_MAX + 3];
    size_t word_count;
};

static bool
is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

/* Every option name has or has not an argument, whatever the command is. */
static bool
takes_argument(const char *name)
{
    for (int id = OPTION_END + 1; id < OPTION_COUNT; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        if (strcmp(row->name, name) == 0)
            return option_has_argument(row);
    }
    return false;
}

static enum err_code
scan_option(struct scan *scan, const char *const *words, size_t count, size_t *at, struct err *err)
{
    const char *word = words[*at];
    if (scan->seen_count == ARRAY_COUNT(scan->seen))
        return err_set(err, ERR_INVALID, "option_twice", "more than %zu options",
                       ARRAY_COUNT(scan->seen));
    struct seen *seen = &scan->seen[scan->seen_count++];
    *seen = (struct seen){ 0 };
    if (strcmp(word, "-h") == 0)
        word = "--help";
    if (word[1] != '-') {
        (void)err_set(err, ERR_INVALID, "unknown_option", "unknown option '%s'", word);
        return err_mend(err, "options are long, such as --yes; what begins with '-' and is no "
                             "option stands behind '--'");
    }

    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    if (size >= sizeof seen->name)
        return err_set(err, ERR_INVALID, "unknown_option", "unknown option '%.40s...'", word);
    memcpy(seen->name, name, size);
    seen->name[size] = '\0';
    if (name[size] == '=') {
        if (command_option_exists(seen->name) && !takes_argument(seen->name))
            return err_set(err, ERR_INVALID, "option_value", "--%s takes no value", seen->name);
        seen->value = name + size + 1;
    } else if (takes_argument(seen->name)) {
        if (*at + 1 == count)
            return err_set(err, ERR_INVALID, "option_value", "--%s: its value is missing",
                           seen->name);
        seen->value = words[++*at];
    }
    return ERR_NONE;
}

static enum err_code
scan_words(struct scan *scan, const char *const *words, size_t count, struct err *err)
{
    bool options_end = false;
    for (size_t at = 0; at < count; at++) {
        if (!options_end && strcmp(words[at], "--") == 0) {
            options_end = true;
        } else if (!options_end && is_option(words[at])) {
            enum err_code code = scan_option(scan, words, count, &at, err);
            if (code != ERR_NONE)
                return code;
        } else if (scan->word_count == ARRAY_COUNT(scan->words)) {
            return err_set(err, ERR_INVALID, "operand_extra", "more than %zu words",
                           ARRAY_COUNT(scan->words));
        } else {
            scan->words[scan->word_count++] = words[at];
        }
    }
    return ERR_NONE;
}

static bool
asks_help(const struct scan *scan)
{
    for (size_t i = 0; i < scan->seen_count; i++) {
        if (strcmp(scan->seen[i].name, "help") == 0)
            return true;
    }
    return false;
}

static enum err_code
refuse_command(const struct scan *scan, struct err *err)
{
    const char *word = scan->words[0];
    if (!command_is_group(word)) {
        (void)err_set(err, ERR_INVALID, "unknown_command", "unknown command '%s'", word);
        const char *near = command_nearest_word(NULL, word);
        return near == NULL ? err_mend(err, "baton --help lists the commands")
                            : err_mend(err, "did you mean 'baton %s'?", near);
    }
    if (scan->word_count == 1) {
        (void)err_set(err, ERR_INVALID, "no_command", "%s: what to do is missing", word);
        return err_mend(err, "baton %s --help lists it", word);
    }
    (void)err_set(err, ERR_INVALID, "unknown_command", "unknown command '%s %s'", word,
                  scan->words[1]);
    const char *near = command_nearest_word(word, scan->words[1]);
    return near == NULL ? err_mend(err, "baton %s --help lists the commands", word)
                        : err_mend(err, "did you mean 'baton %s %s'?", word, near);
}

static enum err_code
take_option(const struct seen *seen, struct arguments *ret, struct err *err)
{
    enum option_id id = command_option(ret->command, seen->name);
    if (id == OPTION_END) {
        const char *of = ret->command == NULL ? "baton" : ret->command->name;
        (void)err_set(err, ERR_INVALID, "unknown_option",
                      command_option_exists(seen->name) ? "%s: takes no option --%s"
                                                        : "%s: unknown option --%s",
                      of, seen->name);
        const char *near = command_nearest_option(ret->command, seen->name);
        if (near != NULL)
            return err_mend(err, "did you mean --%s?", near);
        return ret->command == NULL ? err_mend(err, "options of a command stand behind its name")
                                    : err_mend(err, "baton %s --help lists its options", of);
    }
    const struct option_row *row = option_row(id);
    enum err_code code = option_check(row, seen->value == NULL ? "" : seen->value, err);
    if (code != ERR_NONE)
        return code;
    if (row->type == OPTION_TYPE_REPEATED || row->type == OPTION_TYPE_FILES) {
        if (ret->repeated_count == OPTION_REPEAT_MAX)
            return err_set(err, ERR_INVALID, "option_twice", "--%s: more than %d times", row->name,
                           OPTION_REPEAT_MAX);
        ret->repeated[ret->repeated_count++] = seen->value;
    } else if (ret->values[id] != NULL && row->type != OPTION_TYPE_FLAG) {
        return err_set(err, ERR_INVALID, "option_twice", "--%s stands twice", row->name);
    }
    ret->values[id] = seen->value == NULL ? "" : seen->value;
    return ERR_NONE;
}

static enum err_code
check_operands(const struct arguments *arguments, struct err *err)
{
    const struct command *command = arguments->command;
    if (arguments->operand_count < command->operands_min) {
        (void)err_set(err, ERR_INVALID, "operand_missing", "%s: %s is missing", command->name,
                      command->operands);
        return err_mend(err, "baton %s --help", command->name);
    }
    if (arguments->operand_count > command->operands_max) {
        (void)err_set(err, ERR_INVALID, "operand_extra", "%s: '%s' is one word too many",
                      command->name, arguments->operands[command->operands_max]);
        return err_mend(err, "put a value with spaces in quotes; see baton %s --help",
                        command->name);
    }
    for (const unsigned short *at = command->options; *at != OPTION_END; at++) {
        enum option_id id = (enum option_id)(*at & ~COMMAND_REQUIRED);
        if ((*at & COMMAND_REQUIRED) != 0 && arguments->values[id] == NULL) {
            const struct option_row *row = option_row(id);
            (void)err_set(err, ERR_INVALID, "option_missing", "%s: --%s is missing", command->name,
                          row->name);
            return err_mend(err, "add --%s %s: %s", row->name, row->argument, row->text);
        }
    }
    return ERR_NONE;
}

enum err_code
arguments_parse(const char *const *words, size_t count, struct arguments *ret, struct err *err)
{
    struct scan scan = { .seen_count = 0 };
    enum err_code code = scan_words(&scan, words, count, err);
    if (code != ERR_NONE)
        return code;
    struct arguments found = { .help = asks_help(&scan) };
    size_t used = 0;
    found.command = command_find(scan.words, scan.word_count, &used);
    if (found.command == NULL && scan.word_count > 0) {
        if (!found.help || !command_is_group(scan.words[0]))
            return refuse_command(&scan, err);
        found.group = scan.words[0];
    }
    for (size_t i = used; found.command != NULL && i < scan.word_count; i++) {
        if (found.operand_count == COMMAND_OPERANDS_MAX)
            return err_set(err, ERR_INVALID, "operand_extra", "more than %d words",
                           COMMAND_OPERANDS_MAX);
        found.operands[found.operand_count++] = scan.words[i];
    }
    for (size_t i = 0; i < scan.seen_count; i++) {
        code = take_option(&scan.seen[i], &found, err);
        if (code != ERR_NONE)
            return code;
    }
    if (found.command != NULL && !found.help) {
        code = check_operands(&found, err);
        if (code != ERR_NONE)
            return code;
    }
    *ret = found;
    return ERR_NONE;
}

bool
arguments_flag(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id] != NULL;
}

const char *
arguments_text(const struct arguments *arguments, enum option_id id, const char *otherwise)
{
    return arguments->values[id] != NULL ? arguments->values[id] : otherwise;
}

uint64_t
arguments_number(const struct arguments *arguments, enum option_id id, uint64_t otherwise)
{
    uint64_t number = otherwise;
    if (arguments->values[id] != NULL)
        ASSERT(str_to_u64(arguments->values[id], 0, UINT64_MAX, &number));
    return number;
}

uint64_t
arguments_duration_ms(const struct arguments *arguments, enum option_id id, uint64_t otherwise)
{
    uint64_t number = otherwise;
    if (arguments->values[id] != NULL)
        ASSERT(str_to_duration_ms(arguments->values[id], UINT64_MAX, &number));
    return number;
}
