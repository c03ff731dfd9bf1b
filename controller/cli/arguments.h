/*
 * arguments.h -- what stands behind "baton", taken apart and checked against the table of commands.
 *
 * Options may stand anywhere, as "--name value" or "--name=value"; "--" ends them. Names are never
 * abbreviated: "--accept" must not one day mean something else. "-" and "-5" are operands.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/cli/command.h"

struct arguments {
    const struct command *command; /* NULL: nothing, or a group alone, was asked for (help) */
    const char *group;             /* borrowed; "config" of "baton config --help"; else NULL */
    bool help;
    const char *operands[COMMAND_OPERANDS_MAX]; /* borrowed */
    size_t operand_count;
    const char *values[OPTION_COUNT];        /* borrowed; NULL: not given; "" for a flag */
    const char *repeated[OPTION_REPEAT_MAX]; /* borrowed; of the option that may be */
    size_t repeated_count;
};

/*
 * 'words' is argv without the program's name. ERR_INVALID slugs: "no_command", "unknown_command",
 * "unknown_option", "option_value", "option_twice", "option_missing", "operand_missing",
 * "operand_extra"; the nearest known word is suggested. With --help the rest is not insisted on.
 */
MUST_CHECK enum err_code arguments_parse(const char *const *words, size_t count,
                                         struct arguments *ret, struct err *err);

bool arguments_flag(const struct arguments *arguments, enum option_id id);
/* The checked value or the given default. */
const char *arguments_text(const struct arguments *arguments, enum option_id id,
                           const char *otherwise);
uint64_t arguments_number(const struct arguments *arguments, enum option_id id, uint64_t otherwise);
uint64_t arguments_duration_ms(const struct arguments *arguments, enum option_id id,
                               uint64_t otherwise);
