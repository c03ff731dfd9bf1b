#include "controller/api/route.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/str.h"

const struct route routes[ROUTE_COUNT] = {
#define X(operation, verb, pattern, role, query)                                                   \
    [ROUTE_##operation] = { #operation, HTTP_VERB_##verb, pattern, CALLER_##role, query },
    ROUTE_TABLE(X)
#undef X
};

static bool
take_param(const char *from, size_t length, char param[ROUTE_PARAM_SIZE])
{
    if (length == 0 || length >= ROUTE_PARAM_SIZE)
        return false;
    memcpy(param, from, length);
    param[length] = '\0';
    return true;
}

/* A pattern has at most one parameter: the last one of it counts. */
static bool
fits(const char *pattern, const char *path, char param[ROUTE_PARAM_SIZE])
{
    for (; *pattern != '\0'; pattern++, path++) {
        if (*pattern != '{') {
            if (*pattern != *path)
                return false;
            continue;
        }
        const char *end = strchr(pattern, '}');
        if (end[-1] == '.')
            return take_param(path, strlen(path), param);
        size_t length = strcspn(path, "/");
        if (!take_param(path, length, param))
            return false;
        pattern = end;
        path += length - 1;
    }
    return *path == '\0';
}

enum err_code
route_find(enum http_verb verb, const char *path, struct route_match *ret_match,
           char ret_allow[ROUTE_ALLOW_SIZE], struct err *err)
{
    enum http_verb wanted = verb == HTTP_VERB_HEAD ? HTTP_VERB_GET : verb;
    bool known = false;
    ret_allow[0] = '\0';
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!fits(routes[i].pattern, path, ret_match->param))
            continue;
        if (routes[i].verb == wanted) {
            ret_match->id = (enum route_id)i;
            if (strchr(routes[i].pattern, '{') == NULL)
                ret_match->param[0] = '\0';
            return ERR_NONE;
        }
        size_t used = strlen(ret_allow);
        (void)snprintf(ret_allow + used, ROUTE_ALLOW_SIZE - used, "%s%s%s", known ? ", " : "",
                       http_verb_name(routes[i].verb),
                       routes[i].verb == HTTP_VERB_GET ? ", HEAD" : "");
        known = true;
    }
    if (!known)
        return err_set(err, ERR_NOT_FOUND, "route_not_found", "no such path: '%.200s'", path);
    (void)err_set(err, ERR_INVALID, "method_not_allowed", "'%.200s' does not take %s", path,
                  http_verb_name(verb));
    return err_mend(err, "it takes %s", ret_allow);
}

static bool
listed(const char *list, const char *name, size_t length)
{
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        if (size == length && memcmp(list, name, length) == 0)
            return true;
        list += size + (list[size] == ',' ? 1 : 0);
    }
    return false;
}

enum err_code
route_check_query(const struct route *route, const char *query, struct err *err)
{
    if (strcmp(route->query, "*") == 0)
        return ERR_NONE;
    while (*query != '\0') {
        size_t length = strcspn(query, "&");
        size_t name = strcspn(query, "=&");
        if (length > 0 && !listed(route->query, query, name)) {
            (void)err_set(err, ERR_INVALID, "query_invalid", "no query parameter '%.*s' here",
                          (int)(name > 80 ? 80 : name), query);
            return *route->query == '\0' ? err->code : err_mend(err, "known: %s", route->query);
        }
        query += length + (query[length] == '&' ? 1 : 0);
    }
    return ERR_NONE;
}
