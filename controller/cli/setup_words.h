/*
 * setup_words.h -- a new node as the options of init, join and restore describe it, and the steps
 * of its making as a person sees them.
 */
#pragma once

#include <stdint.h>

#include "controller/base/err.h"
#include "controller/daemon/setup.h"

struct cli;

struct setup_words {
    struct cli *cli; /* borrowed */
    uint64_t begin_ms;
};

struct setup_words setup_words_begin(struct cli *cli);
/* For setup_say_fn: steps take seconds (initdb), each is told as it begins, with the time since the
 * start. 'words' is a struct setup_words. */
void setup_words_say(void *words, const char *text);
/* 'node' borrows from the arguments and from 'words', which is begun here. ERR_INVALID slugs
 * "option_missing", "option_value". */
MUST_CHECK enum err_code setup_words_read(struct cli *cli, struct setup_words *words,
                                          struct setup_node *node, struct err *err);
