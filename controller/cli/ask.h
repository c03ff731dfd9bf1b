/*
 * ask.h -- the shapes that most commands have: get a document and show it, write and say what came
 * of it, a value out of what was typed.
 */
#pragma once

#include <json-c/json.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "controller/cli/show.h"

struct cli;

typedef void ask_show(const struct table_look *look, struct json_object *document);

/* GET, then --json or 'show'. */
MUST_CHECK enum err_code ask_and_show(struct cli *cli, const char *path, ask_show *show,
                                      struct err *err);
/* A write that answers {"revision","epoch"}; prints "WHAT: revision N (epoch E)". 'body' is
 * borrowed and may be NULL. */
MUST_CHECK enum err_code ask_write(struct cli *cli, const char *method, const char *path,
                                   struct json_object *body, const char *what, struct err *err);

/*
 * The value that a person typed: JSON when it is JSON, text when it is a plain word ("red",
 * "1.2.3", "/etc/x"). What begins like JSON and is none is refused: it was meant to be JSON.
 * '*ret' is the caller's, NULL for null.
 */
MUST_CHECK enum err_code ask_value(const char *typed, bool is_text, struct json_object **ret,
                                   struct err *err);
/* The same from the operand, "-" for standard input, or from --file. */
MUST_CHECK enum err_code ask_value_of(struct cli *cli, const char *operand,
                                      struct json_object **ret, struct err *err);
