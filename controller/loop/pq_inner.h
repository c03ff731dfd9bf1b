/*
 * pq_inner.h -- what pq.c and pq_text.c share.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

#include "controller/base/err.h"

#define PQ_KEYWORDS_MAX 64

/* A parsed conninfo with our defaults, as PQconnectStartParams() takes it. */
struct pq_conninfo {
    PQconninfoOption *parsed;                  /* owned; NULL: empty */
    const char *keywords[PQ_KEYWORDS_MAX + 1]; /* borrowed from 'parsed', NULL-terminated */
    const char *values[PQ_KEYWORDS_MAX + 1];
};

/* ERR_INVALID: it does not parse, or names no host. */
MUST_CHECK enum err_code pq_conninfo_init(struct pq_conninfo *conninfo, const char *text,
                                          struct err *err);
void pq_conninfo_done(struct pq_conninfo *conninfo);
const char *pq_conninfo_get(const struct pq_conninfo *conninfo, const char *keyword);
/* True when connecting to it needs no name look-up. */
bool pq_conninfo_is_numeric(const struct pq_conninfo *conninfo);

/* libpq's message on one line. */
void pq_one_line(const char *message, char *to, size_t to_size);
