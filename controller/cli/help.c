#include "controller/cli/help.h"

#include <string.h>

#include "controller/base/str.h"
#include "sites/promo.h"

#define HELP_WIDTH 79

/* Text in lines of at most HELP_WIDTH, each 'indent' deep; the first starts at column 'at'. */
static void
print_wrapped(FILE *to, const char *text, unsigned indent, unsigned at)
{
    while (*text != '\0') {
        size_t size = strcspn(text, " \n");
        if (at > indent && at + 1 + size > HELP_WIDTH) {
            (void)fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            (void)fputc(' ', to);
            at++;
        }
        (void)fprintf(to, "%.*s", (int)size, text);
        at += (unsigned)size;
        text += size;
        if (*text == '\n') {
            (void)fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        }
        text += *text != '\0';
    }
    (void)fputc('\n', to);
}

static void
print_row(FILE *to, const char *left, const char *text, unsigned indent)
{
    int used = fprintf(to, "  %s", left);
    if ((unsigned)used + 2 > indent) {
        (void)fprintf(to, "\n%*s", (int)indent, "");
    } else {
        (void)fprintf(to, "%*s", (int)indent - used, "");
    }
    print_wrapped(to, text, indent, indent);
}

static void
print_options(FILE *to, const unsigned short *options)
{
    for (; *options != OPTION_END; options++) {
        const struct option_row *row = option_row((enum option_id)(*options & ~COMMAND_REQUIRED));
        CLEANUP(freep)
        char *left = str_printf("--%s%s%s", row->name, row->argument == NULL ? "" : " ",
                                row->argument == NULL ? "" : row->argument);
        CLEANUP(freep)
        char *text =
            str_printf("%s%s", row->text, (*options & COMMAND_REQUIRED) != 0 ? "; needed" : "");
        print_row(to, left, text, 26);
    }
}

static void
print_synopsis(FILE *to, const struct command *command)
{
    (void)fprintf(to, "baton %s", command->name);
    for (const unsigned short *at = command->options; *at != OPTION_END; at++) {
        const struct option_row *row = option_row((enum option_id)(*at & ~COMMAND_REQUIRED));
        if ((*at & COMMAND_REQUIRED) != 0)
            (void)fprintf(to, " --%s %s", row->name, row->argument);
    }
    if (command->operands[0] != '\0')
        (void)fprintf(to, " %s", command->operands);
    (void)fputs(" [OPTION...]\n", to);
}

/* "  $ baton ..." for each line. */
static void
print_example(FILE *to, const char *example, const char *prefix)
{
    while (*example != '\0') {
        size_t size = strcspn(example, "\n");
        (void)fprintf(to, "%s%.*s\n", prefix, (int)size, example);
        example += size + (example[size] == '\n');
    }
}

static void
print_command(FILE *to, const struct command *command)
{
    (void)fputs("usage: ", to);
    print_synopsis(to, command);
    (void)fputs("\n  ", to);
    print_wrapped(to, command->text, 2, 2);
    if (command->more != NULL) {
        (void)fputs("\n  ", to);
        print_wrapped(to, command->more, 2, 2);
    }
    if (command->options[0] != OPTION_END) {
        (void)fputs("\noptions\n", to);
        print_options(to, command->options);
    }
    (void)fputs("\noptions of every command\n", to);
    print_options(to, command_common_options);
    (void)fputs("\nexample\n", to);
    print_example(to, command->example, "  $ ");
}

static bool
in_group(const struct command *command, const char *group)
{
    size_t size = strlen(group);
    return strncmp(command->name, group, size) == 0 && command->name[size] == ' ';
}

static void
print_commands(FILE *to, const char *group)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &command_rows[i];
        if (group != NULL && !in_group(command, group))
            continue;
        CLEANUP(freep)
        char *left = group == NULL ? str_dup(command->name)
                                   : str_printf("%s %s", command->name, command->operands);
        print_row(to, left, command->text, group == NULL ? 20 : 36);
    }
}

void
help_print(FILE *to, const struct command *command, const char *group)
{
    if (command != NULL) {
        print_command(to, command);
        return;
    }
    if (group != NULL) {
        (void)fprintf(to, "usage: baton %s COMMAND [OPTION...]\n\ncommands\n", group);
        print_commands(to, group);
        (void)fprintf(to, "\nbaton %s COMMAND --help shows its options and an example.\n", group);
        return;
    }
    (void)fputs("usage: baton COMMAND [OPTION...]\n\n"
                "Moves the right to act between sites. In trouble, look first: baton status\n\n"
                "commands\n",
                to);
    print_commands(to, NULL);
    (void)fputs("\noptions of every command\n", to);
    print_options(to, command_common_options);
    (void)fputs("\nexample\n"
                "  $ baton status --data-dir /var/lib/baton\n"
                "  $ baton promote west --dry-run\n\n"
                "baton COMMAND --help shows its options and an example; man baton has it all.\n",
                to);
}

/* ---- completion ---- */

static void
completion_words(FILE *to, const unsigned short *options)
{
    for (; *options != OPTION_END; options++)
        (void)fprintf(to, " --%s",
                      option_row((enum option_id)(*options & ~COMMAND_REQUIRED))->name);
}

/* --override takes the names of the checks that can be skipped. */
static void
completion_checks(FILE *to)
{
    (void)fputs("COMPREPLY=($(compgen -W '", to);
    for (int check = 0; check < PROMO_CHECK_COUNT; check++) {
        if (promo_check_may_override((enum promo_check)check))
            (void)fprintf(to, "%s ", promo_check_name((enum promo_check)check));
    }
    (void)fputs("' -- \"$word\"))", to);
}

/* "case" lines for what may stand behind an option. */
static void
completion_values(FILE *to)
{
    for (int id = OPTION_END + 1; id < OPTION_COUNT; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        if (!option_has_argument(row))
            continue;
        bool earlier = false; /* one name may have two rows */
        for (int other = OPTION_END + 1; other < id; other++)
            earlier = earlier || strcmp(option_row((enum option_id)other)->name, row->name) == 0;
        if (earlier)
            continue;
        (void)fprintf(to, "    --%s) ", row->name);
        if (row->type == OPTION_TYPE_CHOICE) {
            CLEANUP(freep) char *words = str_dup(row->choices);
            for (char *at = words; *at != '\0'; at++)
                *at = *at == '|' ? ' ' : *at;
            (void)fprintf(to, "COMPREPLY=($(compgen -W '%s' -- \"$word\"))", words);
        } else if (id == OPTION_OVERRIDE) {
            completion_checks(to);
        } else if (row->type == OPTION_TYPE_FILE || row->type == OPTION_TYPE_FILES) {
            (void)fputs("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\"))", to);
        } else if (row->type == OPTION_TYPE_FOLDER) {
            (void)fputs("compopt -o filenames; COMPREPLY=($(compgen -d -- \"$word\"))", to);
        } else {
            (void)fputs("COMPREPLY=()", to);
        }
        (void)fputs("; return ;;\n", to);
    }
}

static void
completion_first_words(FILE *to)
{
    for (size_t i = 0; i < command_count; i++) {
        size_t size = strcspn(command_rows[i].name, " ");
        if (i == 0 || strncmp(command_rows[i - 1].name, command_rows[i].name, size) != 0 ||
            command_rows[i - 1].name[size] != ' ')
            (void)fprintf(to, "%s%.*s", i == 0 ? "" : " ", (int)size, command_rows[i].name);
    }
}

/* The word of a name after its first 'depth' words, "" when it has no more; '*ret_size' of it. */
static const char *
word_after(const char *name, unsigned depth, size_t *ret_size)
{
    for (; depth > 0 && name != NULL; depth--) {
        name = strchr(name, ' ');
        name = name == NULL ? NULL : name + 1;
    }
    *ret_size = name == NULL ? 0 : strcspn(name, " ");
    return name == NULL ? "" : name;
}

/* What may follow each group of 'depth' words: 1, "config"; 2, "connector token". */
static void
completion_groups(FILE *to, unsigned depth)
{
    const char *open = NULL;
    const char *before = "";
    for (size_t i = 0; i < command_count; i++) {
        size_t size;
        const char *name = command_rows[i].name;
        const char *word = word_after(name, depth, &size);
        if (size == 0)
            continue;
        size_t group = (size_t)(word - name);
        if (open == NULL || strncmp(open, name, group) != 0)
            (void)fprintf(to, "%s    '%.*s') words='%.*s", open == NULL ? "" : "' ;;\n",
                          (int)group - 1, name, (int)size, word);
        else if (strncmp(before, word, size) != 0 || strchr(" ", before[size]) == NULL)
            (void)fprintf(to, " %.*s", (int)size, word);
        open = name;
        before = word;
    }
    if (open != NULL)
        (void)fputs("' ;;\n", to);
}

void
help_completion_bash(FILE *to)
{
    (void)fputs(
        "# completion of baton for bash; made by: baton completion bash\n"
        "_baton() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} before='' first='' second='' third='' words='' at\n"
        "  COMPREPLY=()\n"
        "  [ \"$COMP_CWORD\" -gt 0 ] && before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "  case $before in\n",
        to);
    completion_values(to);
    (void)fputs("  esac\n"
                "  local skip=''\n"
                "  for ((at = 1; at < COMP_CWORD; at++)); do\n"
                "    if [ -n \"$skip\" ]; then skip=''; continue; fi\n"
                "    case ${COMP_WORDS[at]} in\n"
                "    ",
                to);
    bool first = true;
    for (int id = OPTION_END + 1; id < OPTION_COUNT; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        if (option_has_argument(row)) {
            (void)fprintf(to, "%s--%s", first ? "" : "|", row->name);
            first = false;
        }
    }
    (void)fputs(") skip=1 ;;\n"
                "    -*) ;;\n"
                "    *) if [ -z \"$first\" ]; then first=${COMP_WORDS[at]}\n"
                "       elif [ -z \"$second\" ]; then second=${COMP_WORDS[at]}\n"
                "       elif [ -z \"$third\" ]; then third=${COMP_WORDS[at]}; fi ;;\n"
                "    esac\n"
                "  done\n"
                "  if [ -z \"$first\" ]; then\n"
                "    words='",
                to);
    completion_first_words(to);
    (void)fputs("'\n"
                "  elif [ -z \"$second\" ]; then\n"
                "    case $first in\n",
                to);
    completion_groups(to, 1);
    (void)fputs("    esac\n"
                "  elif [ -z \"$third\" ]; then\n"
                "    case \"$first $second\" in\n",
                to);
    completion_groups(to, 2);
    (void)fputs("    esac\n"
                "  fi\n"
                "  case \"$first $second $third \" in\n",
                to);
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &command_rows[i];
        (void)fprintf(to, "  '%s '*) words+='", command->name);
        completion_words(to, command->options);
        (void)fputs("' ;;\n", to);
    }
    (void)fputs("  esac\n  words+='", to);
    completion_words(to, command_common_options);
    (void)fputs("'\n"
                "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "}\n"
                "complete -F _baton baton\n",
                to);
}
