#include "controller/activation/haproxy.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

/* srv_admin_state of 'show servers state'. Bit 0x04 only tells that the file said 'disabled'. */
#define ADMIN_MAINT 0x63u /* by hand, by another server, by its name that is not known, ... */
#define ADMIN_DRAIN 0x18u
#define OP_STOPPED  0u

#define LINE_MAX_BYTES 1024 /* of HAProxy's answer, that we look at */
#define WORDS_MAX      40
#define MARK_PARTS     5
#define PLACE          CONNECTOR_HAPROXY_INSTANCE
#define SERVER_SIZE    (CONNECTOR_HAPROXY_NAME_MAX + 1)

static const char *const state_names[] = { "ready", "drain", "maint" };

const char *
haproxy_state_name(enum haproxy_state state)
{
    return state_names[state];
}

/* Backends may be named "a-b" and "a.b", variables may not: what is not a letter or digit becomes
 * its code, so that no two backends share a variable. */
static void
variable_of(const char *backend, char name[HAPROXY_VARIABLE_SIZE])
{
    size_t used = (size_t)snprintf(name, HAPROXY_VARIABLE_SIZE, "proc.baton_");
    for (const char *at = backend; *at != '\0'; at++) {
        ASSERT(used + 4 < HAPROXY_VARIABLE_SIZE);
        used += (size_t)snprintf(name + used, HAPROXY_VARIABLE_SIZE - used,
                                 isalnum((unsigned char)*at) ? "%c" : "_%02x", (unsigned char)*at);
    }
}
_Static_assert(sizeof "proc.baton_" + 3 * (size_t)CONNECTOR_HAPROXY_NAME_MAX + 4 <
                   HAPROXY_VARIABLE_SIZE,
               "a variable's name fits");

void
haproxy_question(const char *backend, struct buf *line)
{
    char variable[HAPROXY_VARIABLE_SIZE];
    variable_of(backend, variable);
    buf_printf(line, "get var %s;show servers state %s", variable, backend);
}

/* ---- what HAProxy says ---- */

/* Splits in place at blanks. */
static size_t
split(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    return count;
}

/* Which word of a line is which, from the line with '#'. */
struct columns {
    bool known;
    size_t name, address, port, admin, operation, since;
};

static bool
find_column(char *const words[], size_t count, const char *name, size_t *ret_at)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(words[i], name) == 0) {
            *ret_at = i - 1; /* the '#' is a word of its own */
            return true;
        }
    }
    return false;
}

static void
read_columns(char *line, struct columns *columns)
{
    char *words[WORDS_MAX];
    size_t count = split(line, words);
    columns->known = find_column(words, count, "srv_name", &columns->name) &&
                     find_column(words, count, "srv_addr", &columns->address) &&
                     find_column(words, count, "srv_port", &columns->port) &&
                     find_column(words, count, "srv_admin_state", &columns->admin) &&
                     find_column(words, count, "srv_op_state", &columns->operation) &&
                     find_column(words, count, "srv_time_since_last_change", &columns->since);
}

/* A place of an instance: "instance" and a number that does not begin with 0. */
static bool
read_number(const char *name, unsigned *ret_number)
{
    uint64_t number;
    if (!str_starts(name, PLACE) || name[strlen(PLACE)] == '0' ||
        !str_to_u64(name + strlen(PLACE), 1, UINT32_MAX, &number))
        return false;
    *ret_number = (unsigned)number;
    return true;
}

static void
add_place(struct haproxy_view *view, const struct haproxy_server *server, unsigned number,
          uint64_t since_s)
{
    static const enum spread_state states[] = {
        [HAPROXY_READY] = SPREAD_IN, [HAPROXY_DRAIN] = SPREAD_DRAINING, [HAPROXY_MAINT] = SPREAD_OUT
    };
    size_t at = view->place_count;
    if (at == SPREAD_COUNT_MAX)
        return;
    view->numbers[at] = number;
    view->up[at] = server->up;
    view->places[at] = (struct spread_place){ .state = states[server->state],
                                              .since_ms = since_s * 1000,
                                              .at.port = server->port };
    /* an address that is longer than any is nobody's */
    (void)!str_copy(view->places[at].at.host, sizeof view->places[at].at.host, server->address);
    view->place_count++;
}

static void
read_row(char *line, const struct columns *columns, const struct haproxy_goal *goal,
         struct haproxy_view *view)
{
    char *words[WORDS_MAX];
    size_t count = split(line, words);
    uint64_t admin, operation, port, since_s;
    unsigned number = 0;
    struct haproxy_server place;
    if (count <= columns->name || count <= columns->address || count <= columns->port ||
        count <= columns->admin || count <= columns->operation || count <= columns->since)
        return;
    struct haproxy_server *server = strcmp(words[columns->name], goal->main) == 0 ? &view->main
                                    : strcmp(words[columns->name], goal->alternate) == 0
                                        ? &view->alternate
                                    : read_number(words[columns->name], &number) ? &place
                                                                                 : NULL;
    if (server == NULL || !str_to_u64(words[columns->since], 0, UINT32_MAX, &since_s) ||
        !str_to_u64(words[columns->admin], 0, UINT32_MAX, &admin) ||
        !str_to_u64(words[columns->operation], 0, UINT32_MAX, &operation) ||
        !str_to_u64(words[columns->port], 0, UINT16_MAX, &port) ||
        !str_copy(server->address, sizeof server->address, words[columns->address]))
        return;
    server->known = true;
    server->port = (uint16_t)port;
    server->up = operation != OP_STOPPED;
    server->state = (admin & ADMIN_MAINT) != 0   ? HAPROXY_MAINT
                    : (admin & ADMIN_DRAIN) != 0 ? HAPROXY_DRAIN
                                                 : HAPROXY_READY;
    if (server == &place)
        add_place(view, server, number, since_s);
}

/* "3:west-1:main:1763829000123:192.0.2.7"; what does not read is no mark. */
static void
read_mark(char *text, struct haproxy_mark *mark)
{
    char *parts[MARK_PARTS];
    uint64_t number, changed;
    for (size_t i = 0; i < MARK_PARTS; i++) {
        parts[i] = text;
        text = i + 1 < MARK_PARTS ? strchr(text, ':') : NULL;
        if (text != NULL)
            *text++ = '\0';
        else if (i + 1 < MARK_PARTS)
            return;
    }
    bool named = false;
    for (int server = EFFECTIVE_NONE; server <= EFFECTIVE_ALTERNATE; server++) {
        if (strcmp(parts[2], effective_server_name((enum effective_server)server)) == 0) {
            mark->server = (enum effective_server)server;
            named = true;
        }
    }
    mark->known = named && str_to_u64(parts[0], 0, UINT64_MAX, &number) && str_is_name(parts[1]) &&
                  str_copy(mark->epoch.holder, sizeof mark->epoch.holder, parts[1]) &&
                  str_to_u64(parts[3], 0, INT64_MAX, &changed) &&
                  str_copy(mark->address, sizeof mark->address, parts[4]);
    if (mark->known) {
        mark->epoch.number = number;
        mark->changed_ms = (int64_t)changed;
    }
}
_Static_assert(EFFECTIVE_NONE < EFFECTIVE_MAIN && EFFECTIVE_MAIN < EFFECTIVE_ALTERNATE,
               "read_mark() walks them");

/* "proc.baton_pam: type=str value=<...>" */
static void
read_variable(char *line, const char *variable, struct haproxy_mark *mark)
{
    char *value = strstr(line, "value=<");
    size_t length = strlen(line);
    size_t name = strlen(variable);
    if (strncmp(line, variable, name) != 0 || line[name] != ':' || value == NULL ||
        line[length - 1] != '>')
        return;
    line[length - 1] = '\0';
    read_mark(value + strlen("value=<"), mark);
}

static enum err_code
read_line(char *line, const char *variable, const struct haproxy_goal *goal,
          struct columns *columns, struct haproxy_view *view, struct err *err)
{
    if (str_starts(line, "Permission denied")) {
        (void)err_set(err, ERR_DENIED, "haproxy_level", "HAProxy denies it on this socket");
        return err_mend(err, "add 'level admin' to its 'stats socket' line");
    }
    if (str_starts(line, "Can't find backend") || str_starts(line, "No such backend")) {
        (void)err_set(err, ERR_NOT_FOUND, "backend_not_found", "HAProxy has no backend '%s'",
                      goal->backend);
        return err_mend(err, "see 'show backend' on its socket, or change 'backend' of the driver; "
                             "'baton connector haproxy-config' prints one");
    }
    if (str_starts(line, "proc."))
        read_variable(line, variable, &view->mark);
    else if (line[0] == '#')
        read_columns(line, columns);
    else if (columns->known && line[0] != '\0')
        read_row(line, columns, goal, view);
    return ERR_NONE;
}

enum err_code
haproxy_read(const char *answer, const struct haproxy_goal *goal, struct haproxy_view *ret_view,
             struct err *err)
{
    char variable[HAPROXY_VARIABLE_SIZE];
    struct haproxy_view view = { 0 };
    struct columns columns = { 0 };
    variable_of(goal->backend, variable);
    while (*answer != '\0') {
        char line[LINE_MAX_BYTES];
        size_t length = strcspn(answer, "\n");
        if (length < sizeof line) {
            memcpy(line, answer, length);
            line[length] = '\0';
            enum err_code code = read_line(line, variable, goal, &columns, &view, err);
            if (code != ERR_NONE)
                return code;
        }
        answer += length + (answer[length] == '\n');
    }
    if (!columns.known) {
        (void)err_set(err, ERR_PROTOCOL, "haproxy_answer",
                      "what answers does not tell the state of servers as HAProxy does");
        return err_mend(err, "is 'socket' the stats socket of HAProxy 2.6 or later?");
    }
    *ret_view = view;
    return ERR_NONE;
}

/* ---- what is to be done ---- */

/* One of main and alternate is in use. */
static bool
uses_server(const struct haproxy_goal *goal)
{
    return goal->server != EFFECTIVE_NONE && goal->instances != CONNECTOR_INSTANCES_ONLY;
}

static bool
is_marked(const struct haproxy_view *view, const struct haproxy_goal *goal)
{
    return view->mark.known && view->mark.server == goal->server &&
           epoch_equal(&view->mark.epoch, &goal->epoch);
}

const char *
haproxy_marked_address(const struct haproxy_view *view, const struct haproxy_goal *goal)
{
    return is_marked(view, goal) && view->mark.address[0] != '\0' ? view->mark.address : NULL;
}

static void
set_state(struct haproxy_plan *plan, const struct haproxy_goal *goal, const char *server,
          enum haproxy_state state)
{
    buf_printf(&plan->line, ";set server %s/%s state %s", goal->backend, server,
               haproxy_state_name(state));
}

static void
tell(struct haproxy_plan *plan, const char *server, const char *what)
{
    plan->different = true;
    buf_printf(&plan->why, "%s%s %s", plan->why.size == 0 ? "" : ", ", server, what);
}

static void
plan_cut(const struct haproxy_goal *goal, const char *name, struct haproxy_plan *plan)
{
    set_state(plan, goal, name, HAPROXY_MAINT);
    buf_printf(&plan->line, ";shutdown sessions server %s/%s", goal->backend, name);
}

/* A server that is not to be in use. */
static void
plan_out(const struct haproxy_goal *goal, const char *name, const struct haproxy_server *server,
         uint64_t drain_ms, struct haproxy_plan *plan)
{
    if (!server->known || server->state == HAPROXY_MAINT)
        return;
    if (drain_ms > 0 && (plan->again_ms == 0 || plan->again_ms > drain_ms))
        plan->again_ms = drain_ms;
    if (drain_ms > 0 && server->state == HAPROXY_DRAIN)
        return;
    if (server->state == HAPROXY_READY)
        tell(plan, name, "was ready");
    if (drain_ms > 0)
        set_state(plan, goal, name, HAPROXY_DRAIN);
    else
        plan_cut(goal, name, plan);
}

static void
plan_in(const struct haproxy_goal *goal, const char *name, const struct haproxy_server *server,
        struct haproxy_plan *plan)
{
    bool moved = strcmp(server->address, goal->address) != 0 || server->port != goal->port;
    if (moved) {
        char what[2 * HAPROXY_ADDRESS_SIZE];
        (void)snprintf(what, sizeof what, "was at %s port %u", server->address, server->port);
        tell(plan, name, what);
        if (server->state != HAPROXY_MAINT && goal->drain_ms == 0)
            plan_cut(goal, name, plan);
        buf_printf(&plan->line, ";set server %s/%s addr %s port %u", goal->backend, name,
                   goal->address, goal->port);
    }
    if (server->state != HAPROXY_READY)
        tell(plan, name, server->state == HAPROXY_MAINT ? "was in maint" : "was in drain");
    if (server->state != HAPROXY_READY || moved)
        set_state(plan, goal, name, HAPROXY_READY);
}

/* ---- instances ---- */

static bool
is_full(struct haproxy_plan *plan)
{
    plan->more = plan->more || plan->line.size >= HAPROXY_LINE_SIZE;
    return plan->more;
}

static void
plan_place(const struct haproxy_view *view, const struct haproxy_goal *goal, size_t i,
           const struct spread_step *step, struct haproxy_plan *plan)
{
    char name[SERVER_SIZE];
    const struct spread_place *place = &view->places[i];
    (void)snprintf(name, sizeof name, PLACE "%u", view->numbers[i]);
    switch (step->act) {
    case SPREAD_STAY:
        break;
    case SPREAD_DRAIN:
        set_state(plan, goal, name, HAPROXY_DRAIN);
        break;
    case SPREAD_CUT:
        plan_cut(goal, name, plan);
        break;
    case SPREAD_LET_IN:
        if (!spread_address_equal(&place->at, &step->at)) {
            if (place->state != SPREAD_OUT)
                plan_cut(goal, name, plan);
            buf_printf(&plan->line, ";set server %s/%s addr %s port %u", goal->backend, name,
                       step->at.host, step->at.port);
        }
        set_state(plan, goal, name, HAPROXY_READY);
        break;
    }
}

/* Those who come, or those who go. */
static void
plan_places(const struct haproxy_view *view, const struct haproxy_goal *goal,
            const struct spread_step *steps, bool come, struct haproxy_plan *plan)
{
    for (size_t i = 0; i < view->place_count; i++) {
        if (steps[i].act != SPREAD_STAY && (steps[i].act == SPREAD_LET_IN) == come &&
            !is_full(plan))
            plan_place(view, goal, i, &steps[i], plan);
    }
}

/* What is to be of each place, and how many were not as they have to be, without news of them. */
static void
decide_places(const struct haproxy_view *view, const struct haproxy_goal *goal,
              struct spread_step *steps, struct haproxy_plan *plan)
{
    struct spread_goal spread = goal->spread;
    struct spread_address server = { .port = goal->port };
    size_t different = 0;
    bool alone = goal->instances == CONNECTOR_INSTANCES_ONLY;
    spread.in_use = goal->server != EFFECTIVE_NONE && goal->instances != CONNECTOR_INSTANCES_NONE;
    spread.drain_ms = goal->drain_ms;
    if (spread.in_use && !alone && str_copy(server.host, sizeof server.host, goal->address))
        spread.server = &server;
    plan->spread = spread_plan(&spread, view->places, view->place_count, steps);
    for (size_t i = 0; i < view->place_count; i++) {
        enum spread_state state = view->places[i].state;
        bool ends_drain = state == SPREAD_DRAINING && steps[i].act == SPREAD_CUT;
        different += steps[i].act != SPREAD_STAY && !ends_drain;
        bool stays = state == SPREAD_IN && steps[i].act == SPREAD_STAY;
        plan->in_count += stays || steps[i].act == SPREAD_LET_IN;
        plan->up_count += stays && view->up[i];
    }
    if (plan->spread.again_ms > 0)
        plan->again_ms = plan->spread.again_ms;
    if (different == 0 || goal->news)
        return;
    char many[24];
    (void)snprintf(many, sizeof many, "%zu", different);
    tell(plan, many,
         different == 1 ? "place of an instance was different"
                        : "places of instances were different");
}

/* How long a drain still has to go. The mark may be of a node whose clock is ahead. */
static uint64_t
drain_left_ms(const struct haproxy_goal *goal, int64_t changed_ms, int64_t now_ms)
{
    if (now_ms <= changed_ms)
        return goal->drain_ms;
    uint64_t passed_ms = (uint64_t)(now_ms - changed_ms);
    return passed_ms < goal->drain_ms ? goal->drain_ms - passed_ms : 0;
}

static void
plan_mark(const struct haproxy_view *view, const struct haproxy_goal *goal, int64_t changed_ms,
          struct haproxy_plan *plan)
{
    char variable[HAPROXY_VARIABLE_SIZE];
    const char *address = uses_server(goal) ? goal->address : "";
    if (is_marked(view, goal) && strcmp(view->mark.address, address) == 0)
        return;
    variable_of(goal->backend, variable);
    buf_printf(&plan->line,
               ";experimental-mode on;set var %s str(%" PRIu64 ":%s:%s:%" PRId64 ":%s)", variable,
               goal->epoch.number, goal->epoch.holder, effective_server_name(goal->server),
               changed_ms, address);
}

static enum err_code
check_wanted(const struct haproxy_view *view, const struct haproxy_goal *goal, struct err *err)
{
    const char *missing = goal->instances == CONNECTOR_INSTANCES_ONLY           ? NULL
                          : goal->server == EFFECTIVE_MAIN && !view->main.known ? goal->main
                          : goal->server == EFFECTIVE_ALTERNATE && !view->alternate.known
                              ? goal->alternate
                          : !view->main.known && !view->alternate.known ? goal->main
                                                                        : NULL;
    if (missing == NULL)
        return ERR_NONE;
    (void)err_set(err, ERR_NOT_FOUND, "server_not_found",
                  "backend '%s' of HAProxy has no server '%s'", goal->backend, missing);
    return err_mend(err,
                    "add 'server %s ADDRESS:PORT disabled' there, or name its servers in "
                    "'main' and 'alternate' of the driver",
                    missing);
}

/* The server in use, and the instances that get a place. */
static void
plan_comers(const struct haproxy_view *view, const struct haproxy_goal *goal,
            const struct spread_step *steps, struct haproxy_plan *plan)
{
    if (goal->server == EFFECTIVE_MAIN && uses_server(goal))
        plan_in(goal, goal->main, &view->main, plan);
    if (goal->server == EFFECTIVE_ALTERNATE && uses_server(goal))
        plan_in(goal, goal->alternate, &view->alternate, plan);
    plan_places(view, goal, steps, true, plan);
}

/* All others. */
static void
plan_goers(const struct haproxy_view *view, const struct haproxy_goal *goal,
           const struct spread_step *steps, uint64_t drain_ms, struct haproxy_plan *plan)
{
    if (goal->server != EFFECTIVE_MAIN || !uses_server(goal))
        plan_out(goal, goal->main, &view->main, drain_ms, plan);
    if (goal->server != EFFECTIVE_ALTERNATE || !uses_server(goal))
        plan_out(goal, goal->alternate, &view->alternate, drain_ms, plan);
    plan_places(view, goal, steps, false, plan);
}

enum err_code
haproxy_plan(const struct haproxy_view *view, const struct haproxy_goal *goal, int64_t now_ms,
             struct haproxy_plan *ret_plan, struct err *err)
{
    *ret_plan = (struct haproxy_plan){ 0 };
    enum err_code code = check_wanted(view, goal, err);
    if (code != ERR_NONE)
        return code;
    if (view->mark.known && epoch_compare(&view->mark.epoch, &goal->epoch) > 0) {
        ret_plan->refused = true;
        return ERR_NONE;
    }
    bool same = view->mark.known && view->mark.server == goal->server;
    int64_t changed_ms = same ? view->mark.changed_ms : now_ms;
    uint64_t drain_ms = drain_left_ms(goal, changed_ms, now_ms);
    struct spread_step steps[SPREAD_COUNT_MAX];

    plan_mark(view, goal, changed_ms, ret_plan);
    decide_places(view, goal, steps, ret_plan);
    if (goal->drain_ms > 0) /* never a moment without a server */
        plan_comers(view, goal, steps, ret_plan);
    if (!ret_plan->more)
        plan_goers(view, goal, steps, drain_ms, ret_plan);
    if (goal->drain_ms == 0 && !ret_plan->more) /* never two */
        plan_comers(view, goal, steps, ret_plan);
    if (ret_plan->line.size > 0)
        buf_drop(&ret_plan->line, 1); /* the first ';' */
    return ERR_NONE;
}

void
haproxy_plan_done(struct haproxy_plan *plan)
{
    buf_done(&plan->line);
    buf_done(&plan->why);
}
