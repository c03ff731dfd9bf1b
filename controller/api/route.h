/*
 * route.h -- finds the row of the table for a method and a path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controller/api/auth.h"
#include "controller/api/routes.h"
#include "controller/base/err.h"
#include "controller/http/server.h"

#define ROUTE_PARAM_SIZE 512

enum route_id {
#define X(operation, verb, pattern, role, query) ROUTE_##operation,
    ROUTE_TABLE(X)
#undef X
        ROUTE_COUNT
};

struct route {
    const char *operation;
    enum http_verb verb;
    const char *pattern;
    enum caller_role role;
    const char *query; /* "a,b"; "*" is any */
};

extern const struct route routes[ROUTE_COUNT];

struct route_match {
    enum route_id id;
    char param[ROUTE_PARAM_SIZE]; /* of {name}, {id}, {key...} */
};

/*
 * HEAD is found as GET. ERR_NOT_FOUND, slug "route_not_found". ERR_INVALID, slug
 * "method_not_allowed": then 'ret_allow' holds the methods of the path for the Allow header.
 */
#define ROUTE_ALLOW_SIZE 64
MUST_CHECK enum err_code route_find(enum http_verb verb, const char *path,
                                    struct route_match *ret_match, char ret_allow[ROUTE_ALLOW_SIZE],
                                    struct err *err);
/* Whether every name of a raw query string is in the route's list. */
MUST_CHECK enum err_code route_check_query(const struct route *route, const char *query,
                                           struct err *err);
