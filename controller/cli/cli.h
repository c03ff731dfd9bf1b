/*
 * cli.h -- one run of the command line: what was asked, where answers go, who is asked.
 *
 * Answers go to 'out' and nothing else does, so that it can be piped; progress, questions, hints
 * and errors go to 'notes'. A failed command prints
 *
 *     baton: WHAT: CAUSE
 *       mend: NEXT STEP
 *
 * or with --json the problem document in one line, and ends with the exit code of its kind.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "controller/base/err.h"
#include "controller/cli/arguments.h"

struct connect;

#define CLI_WIDTH_NONE 0 /* not a terminal: nothing is cut */

struct cli {
    struct arguments arguments;
    FILE *out;   /* borrowed */
    FILE *notes; /* borrowed */
    bool out_is_terminal;
    bool notes_are_terminal;     /* and standard input too: questions can be asked */
    bool color;                  /* for 'out' */
    unsigned width;              /* columns of 'out', or CLI_WIDTH_NONE */
    struct connect *connect;     /* owned; made by the first request */
    struct json_object *problem; /* owned; the last problem document of the server, or NULL */
};

/* Everything: parse, run, print the error. Returns the exit code. */
int cli_main(int count, char **words);

bool cli_flag(const struct cli *cli, enum option_id id);
/* NULL when it was not given. */
const char *cli_value(const struct cli *cli, enum option_id id);
const char *cli_operand(const struct cli *cli, size_t index); /* NULL beyond the last */
bool cli_json(const struct cli *cli);

/* The document as one line, or indented on a terminal. */
void cli_print_json(struct cli *cli, struct json_object *document);
/* The error with its faults and checks when 'problem' has them; the same text for every command. */
void cli_print_err(FILE *to, const struct err *err, struct json_object *problem, bool json);
/* "baton: text" to 'notes'; nothing with --json. */
void cli_note(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * What cannot be undone is confirmed by typing 'word'. --yes answers for the person. Without a
 * terminal and without --yes: ERR_INVALID "confirmation_needed". ERR_CANCELLED: something else
 * was typed.
 */
MUST_CHECK enum err_code cli_confirm(struct cli *cli, const char *what, const char *word,
                                     struct err *err);
/* Waits; a signal ends the process as usual. */
void cli_pause(unsigned milliseconds);
