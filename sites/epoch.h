/*
 * epoch.h -- who may write, and how far a node is: epochs and positions.
 *
 * An epoch is a pair (number, holder): the number counts promotions, the holder is the one node
 * that it was granted to. Pairs are compared number first, then holder by bytes. So two people who
 * force a promotion on both sides of a cut still make two different epochs, one of them later, and
 * no epoch ever has two holders (I1). Number 0 is "none" and lower than any other.
 *
 * A position is how far a node's copy of the shared log reaches. It is compared epoch first, then
 * revision: a longer log of an older epoch is older (I6).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller/base/own.h"

#define SITE_NAME_SIZE  64 /* names are RFC 1123 labels: at most 63 bytes */
#define NODE_NAME_SIZE  64
#define EPOCH_TEXT_SIZE 96
#define HASH_TEXT_SIZE  65 /* SHA-256 in lower-case hexadecimal */

struct epoch {
    uint64_t number;
    char holder[NODE_NAME_SIZE]; /* "" for none */
};

struct position {
    struct epoch epoch;        /* of the row at 'revision' */
    uint64_t revision;         /* 0 for an empty log */
    char hash[HASH_TEXT_SIZE]; /* of the row at 'revision'; "" for an empty log */
};

struct epoch epoch_make(uint64_t number, const char *holder);
/* Negative, 0 or positive as 'a' is earlier than, the same as or later than 'b'. */
int epoch_compare(const struct epoch *a, const struct epoch *b);
bool epoch_equal(const struct epoch *a, const struct epoch *b);
const struct epoch *epoch_max(const struct epoch *a, const struct epoch *b);
/* "3/west-1", or "-" for none. */
const char *epoch_text(const struct epoch *epoch, char text[EPOCH_TEXT_SIZE]);
/* Reads epoch_text()'s form; false when it is not that. */
MUST_CHECK bool epoch_parse(const char *text, struct epoch *ret_epoch);

int position_compare(const struct position *a, const struct position *b);
