/*
 * handout.h -- the secrets that a program of driver exec is given, each through a descriptor.
 *
 *     connector: {"driver": "exec", "command": ["/usr/bin/x"], "secrets": ["secret/pam-main"]}
 *     program:   BATON_SECRET_FD_PAM_MAIN=4            read it to its end: the value, byte for byte
 *
 *   H1  A value is in no argument, no variable and no file: a descriptor of memory (memfd), sealed
 *       against every change, that is gone with the last who holds it.
 *   H2  Only what the connector's document names, and only to activate: a program that gives up is
 *       run by nodes that are not, or soon not, the one that acts.
 *   H3  A value that the program prints is masked before its output is kept anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controller/activation/action.h"
#include "controller/base/buf.h"
#include "controller/base/err.h"

#define HANDOUT_VARIABLE_SIZE 96 /* "BATON_SECRET_FD_NAME=N" */

struct handout {
    size_t count;
    int files[CONNECTOR_SECRET_COUNT_MAX]; /* owned */
    char variables[CONNECTOR_SECRET_COUNT_MAX][HANDOUT_VARIABLE_SIZE];
};

/*
 * For the program of 'order', whose descriptors will be 'first' and following. '*ret' is the
 * caller's; empty when there is nothing to give. Errors as of order->secret, with the secret's
 * name; ERR_UNAVAILABLE "no_secrets" where there are none; ERR_IO: no memory file.
 */
MUST_CHECK enum err_code handout_make(const struct action_order *order, int first,
                                      struct handout *ret, struct err *err);
void handout_done(struct handout *handout);
/* H3: each value that stands in the text becomes "(secret)"; 'cut': so does the beginning of one
 * with which it ends. */
void handout_mask(const struct handout *handout, const char *text, size_t size, bool cut,
                  struct buf *to);
