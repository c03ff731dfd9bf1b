/*
 * prompt.h -- asks the person at the terminal (/dev/tty is not used: standard input is the answer,
 * standard error the question), and shows a line of progress on what takes over a second.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "controller/base/err.h"

#define PROMPT_PASSWORD_SIZE 257 /* with its NUL */

/* One line from standard input, without its end. ERR_CANCELLED at end of file; ERR_LIMIT. */
MUST_CHECK enum err_code prompt_line(char *to, size_t size, struct err *err);
/* Asks without echo; Ctrl-C gives the terminal back and is ERR_CANCELLED. */
MUST_CHECK enum err_code prompt_password(const char *question, char *to, size_t size,
                                         struct err *err);
/* The first line of a file, or of standard input for "-". Wipes its copy. */
MUST_CHECK enum err_code prompt_password_file(const char *path, char *to, size_t size,
                                              struct err *err);

/*
 * From a second on until prompt_progress_end(): "text ... 3 s" on 'to', which is a terminal, by a
 * thread of its own, for the main thread waits for an answer. NULL when 'to' is not a terminal.
 */
struct prompt_progress;
struct prompt_progress *prompt_progress_begin(FILE *to, bool is_terminal, const char *text);
void prompt_progress_end(struct prompt_progress *progress);
