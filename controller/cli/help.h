/*
 * help.h -- everything that is made from the tables of commands, options and settings: --help, the
 * manual pages' source, the completion of bash.
 */
#pragma once

#include <stdio.h>

#include "controller/cli/command.h"

/* Help of a command, of a group ("config"), or with neither the overview. */
void help_print(FILE *to, const struct command *command, const char *group);
/* Source of baton(1) and baton-settings(5) for scdoc. */
void help_man_baton(FILE *to);
void help_man_settings(FILE *to);
/* A script for bash, to be sourced. */
void help_completion_bash(FILE *to);
