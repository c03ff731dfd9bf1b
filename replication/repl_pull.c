#include "replication/repl_pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "replication/repl_attach.h"
#include "sql.h"

struct repl_pull {
    const struct repl_port *port; /* borrowed */
    char member[NODE_NAME_SIZE];
    struct epoch epoch;
    uint64_t applied;
    uint64_t until;
    repl_pull_fn *done; /* NULL once cancelled */
    void *data;
};

const char *
repl_name(const char *node, char name[REPL_NAME_SIZE])
{
    (void)snprintf(name, REPL_NAME_SIZE, "baton_%s", node);
    for (char *at = name; *at != '\0'; at++) {
        if (*at == '-')
            *at = '_';
    }
    return name;
}

static void
finish(struct repl_pull *pull, const struct err *err)
{
    if (pull->done != NULL)
        pull->done(pull->data, pull->applied, err);
    free(pull);
}

static void ask_page(struct repl_pull *pull);

static void
on_caught_up(void *context, const PGresult *result, const struct err *err)
{
    struct repl_pull *pull = context;
    uint64_t applied;
    if (pull->done == NULL || err != NULL) {
        finish(pull, err);
        return;
    }
    if (PQntuples(result) != 1 || !str_to_u64(PQgetvalue(result, 0, 0), 0, INT64_MAX, &applied) ||
        applied <= pull->applied) {
        struct err fault;
        (void)err_set(&fault, ERR_PROTOCOL, "pull_stuck",
                      "rows after revision %llu from %s "
                      "brought nothing",
                      (unsigned long long)pull->applied, pull->member);
        finish(pull, &fault);
        return;
    }
    pull->applied = applied;
    ask_page(pull);
}

static void
on_page(void *context, struct json_object *document, const struct err *err)
{
    struct repl_pull *pull = context;
    if (pull->done == NULL || err != NULL) {
        finish(pull, err);
        return;
    }
    struct json_object *rows = json_get(document, "rows");
    if (!json_object_is_type(rows, json_type_array) || json_object_array_length(rows) == 0) {
        struct err fault;
        (void)err_set(&fault, ERR_PROTOCOL, "pull_short",
                      "%s has no rows after revision %llu, %llu was said to be there", pull->member,
                      (unsigned long long)pull->applied, (unsigned long long)pull->until);
        finish(pull, &fault);
        return;
    }
    char number[24];
    (void)snprintf(number, sizeof number, "%" PRIu64, pull->epoch.number);
    const char *values[] = { json_text(rows), number, pull->epoch.holder };
    pull->port->query(pull->port->data, sql_catchup_for, 3, values, on_caught_up, pull);
}

static void
on_nothing_to_do(void *context)
{
    finish(context, NULL);
}

static void
ask_page(struct repl_pull *pull)
{
    char path[96];
    if (pull->applied >= pull->until) {
        pull->port->after(pull->port->data, 0, on_nothing_to_do, pull);
        return;
    }
    (void)snprintf(path, sizeof path, "/v1/peer/log?after=%llu&limit=%d",
                   (unsigned long long)pull->applied, REPL_PAGE_ROWS);
    pull->port->ask(pull->port->data, pull->member, path, NULL, REPL_ASK_MS, on_page, pull);
}

struct repl_pull *
repl_pull_start(const struct repl_port *port, const char *member, const struct epoch *epoch,
                uint64_t applied, uint64_t until, repl_pull_fn *done, void *data)
{
    struct repl_pull *pull = mem_zero(1, sizeof *pull);
    *pull = (struct repl_pull){ .port = port,
                                .epoch = *epoch,
                                .applied = applied,
                                .until = until,
                                .done = done,
                                .data = data };
    ASSERT(str_copy(pull->member, sizeof pull->member, member));
    ask_page(pull);
    return pull;
}

void
repl_pull_cancel(struct repl_pull *pull)
{
    if (pull != NULL)
        pull->done = NULL; /* the one outstanding answer frees it */
}
