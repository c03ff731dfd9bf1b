/*
 * err.h -- the one error type. The code is for the program, the text for the operator.
 *
 *     return err_set(err, ERR_INVALID, "key_too_long", "key '%s' has %zu bytes, at most %d", ...);
 *     return err_mend(err, "choose a shorter key");            // optional next step, same code
 *
 * 'slug' is the stable "code" of the API's problem documents (RFC 9457) and of --json output: it is
 * part of the interface. Texts are one line, lower case, outermost cause first ("bergen: store
 * epoch 8: connection refused"), name the input and never hold a secret.
 */
#pragma once

#include <stdbool.h>

#include "controller/base/own.h"

/*    symbol            HTTP  CLI exit  name */
#define ERR_TABLE(X)                                                                               \
    X(ERR_NONE, 200, 0, "none")                                                                    \
    X(ERR_INVALID, 400, 2, "invalid")    /* the input is wrong */                                  \
    X(ERR_DENIED, 403, 3, "denied")      /* not allowed to this caller */                          \
    X(ERR_LOGIN, 401, 3, "login_needed") /* nobody is logged in, or the wrong one */               \
    X(ERR_NOT_FOUND, 404, 4, "not_found")                                                          \
    X(ERR_CONFLICT, 409, 5, "conflict")               /* state does not allow it now */            \
    X(ERR_STALE, 412, 5, "precondition_failed")       /* If-Match did not match */                 \
    X(ERR_LIMIT, 413, 2, "limit")                     /* a named bound would be exceeded */        \
    X(ERR_FENCED, 503, 6, "fenced")                   /* this node may not act */                  \
    X(ERR_UNAVAILABLE, 503, 6, "unavailable")         /* a part we need does not answer */         \
    X(ERR_TIMEOUT, 504, 7, "timeout")                 /* not done in time, and surely not done */  \
    X(ERR_UNKNOWN_OUTCOME, 504, 8, "unknown_outcome") /* perhaps done, perhaps not (I4) */         \
    X(ERR_THROTTLED, 429, 6, "throttled")                                                          \
    X(ERR_IO, 500, 9, "io")                                                                        \
    X(ERR_PROTOCOL, 502, 9, "protocol") /* a peer said something senseless */                      \
    X(ERR_CANCELLED, 499, 9, "cancelled")                                                          \
    X(ERR_INTERNAL, 500, 9, "internal")

enum err_code {
#define X(symbol, http, exit, name) symbol,
    ERR_TABLE(X)
#undef X
};

#define ERR_SLUG_SIZE 48
#define ERR_TEXT_SIZE 768
#define ERR_MEND_SIZE 384

struct err {
    enum err_code code;
    char slug[ERR_SLUG_SIZE];
    char text[ERR_TEXT_SIZE];
    char mend[ERR_MEND_SIZE]; /* what to do next; may be empty */
};

/* Each returns the code it stored, so that a function can end with it. 'err' may be NULL. */
enum err_code err_set(struct err *err, enum err_code code, const char *slug, const char *format,
                      ...) PRINTF_LIKE(4, 5);
/* Puts "context: " before the text; code, slug and mend stay. */
enum err_code err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* From errno: ENOENT is ERR_NOT_FOUND, EACCES and EPERM ERR_DENIED, the rest ERR_IO. */
enum err_code err_errno(struct err *err, int number, const char *format, ...) PRINTF_LIKE(3, 4);
/* Adds the next step for the operator. */
enum err_code err_mend(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

void err_clear(struct err *err);
const char *err_code_name(enum err_code code);
int err_code_http(enum err_code code);
int err_code_exit(enum err_code code);
/* The code for a name of err_code_name(); ERR_INTERNAL when there is none. */
enum err_code err_code_from_name(const char *name);
