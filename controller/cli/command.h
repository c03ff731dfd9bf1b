/*
 * command.h -- the one table of commands. A row makes the parser's rules, --help, the completion of
 * bash, and the manual page, so they cannot disagree.
 */
#pragma once

#include <stddef.h>

#include "controller/base/err.h"
#include "controller/cli/option.h"

struct cli;

#define COMMAND_OPTIONS_MAX  16
#define COMMAND_OPERANDS_MAX 64
#define COMMAND_REQUIRED     0x100 /* added to an option: the command does not work without it */

struct command {
    const char *name;     /* "config set" */
    const char *operands; /* as people read it: "KEY [VALUE]"; "" for none */
    unsigned operands_min;
    unsigned operands_max;
    unsigned short options[COMMAND_OPTIONS_MAX]; /* option ids up to OPTION_END */
    const char *text;                            /* one line */
    const char *more;    /* paragraphs with line ends, for help and manual; NULL: none */
    const char *example; /* whole lines as typed */
    enum err_code (*run)(struct cli *cli, struct err *err);
};

extern const struct command command_rows[];
extern const size_t command_count;

/* These every command takes; ends with OPTION_END. */
extern const unsigned short command_common_options[];

/* The command that the words begin with, the longest that fits; '*ret_used' words name it.
 * NULL when there is none. */
const struct command *command_find(const char *const *words, size_t count, size_t *ret_used);
/* Does a command's name begin with this word (and a space)? "config" does. */
bool command_is_group(const char *word);
/* Is the option one of the command's own or a common one? Gives the row to use, else OPTION_END. */
enum option_id command_option(const struct command *command, const char *name);
/* Is there anything at all of that name? */
bool command_option_exists(const char *name);
/* The nearest first word, verb of a group, or option; NULL when nothing is near. */
const char *command_nearest_word(const char *group, const char *word);
const char *command_nearest_option(const struct command *command, const char *name);
