#include "replication/repl_arm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sql.h"

/* A reload is not instant: 40 looks for 0.2 s, then seldom, for 5 s in all. A promotion's step
 * lasts longer. */
#define ARM_POLL_MS       5
#define ARM_POLL_LONG_MS  50
#define ARM_SHORT_MAX     40
#define ARM_READ_BACK_MAX 140
#define ARM_TIME_SIZE     64
#define ARM_REPEAT_MAX    5 /* of one slot, for an error inside of PostgreSQL */
#define ARM_RELOADS       2 /* after the names were read back, before the checkpoint */

struct repl_arm {
    const struct repl_port *port; /* borrowed */
    char self[NODE_NAME_SIZE];
    struct quorum_set others; /* whose slots we need */
    bool remake;
    bool with_names;
    bool dropped;             /* the slot at 'at' was dropped, make it next */
    bool cancelled;           /* waiting commits were ended once */
    struct repl_names *known; /* borrowed */
    struct buf names;
    char loaded[ARM_TIME_SIZE]; /* when the server had read its files, as it says */
    size_t at;
    unsigned tries;
    unsigned repeats;
    unsigned reloads;  /* seen since the names were read back */
    repl_arm_fn *done; /* NULL once cancelled */
    void *data;
};

static void
finish(struct repl_arm *arm, const struct err *err)
{
    if (arm->done != NULL)
        arm->done(arm->data, err);
    buf_done(&arm->names);
    free(arm);
}

static void go_on(struct repl_arm *arm);
static void read_back(void *context);

static void
on_waiters(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    (void)result;
    if (arm->done == NULL || err != NULL)
        finish(arm, err);
    else
        go_on(arm);
}

/*
 * A transaction that changed the catalog, and ended while a new slot waited for older ones, makes
 * PostgreSQL 15 lose its place: "snapshot reference is not owned by resource owner". What it leaves
 * is the slot, or none; the next try meets another moment.
 */
static bool
may_repeat(struct repl_arm *arm, const char *state)
{
    if (state == NULL || strcmp(state, "XX000") != 0 || arm->repeats == ARM_REPEAT_MAX)
        return false;
    arm->repeats++;
    arm->dropped = false; /* to be remade: dropped again first */
    return true;
}

static void
on_slot(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool there = state != NULL && strcmp(state, "42710") == 0 && !arm->remake;
    if (arm->done != NULL && may_repeat(arm, state)) {
        go_on(arm);
        return;
    }
    if (arm->done != NULL && state != NULL && strcmp(state, "55006") == 0 && !arm->cancelled) {
        /* A COMMIT waits for a standby that has no slot yet: only ending that wait lets the slot
         * be made. Its client hears "unknown outcome" (I4, I12). */
        arm->cancelled = true;
        arm->port->query(arm->port->data, sql_waiters_cancel, 0, NULL, on_waiters, arm);
        return;
    }
    if (arm->done == NULL || (err != NULL && !there)) {
        finish(arm, err);
        return;
    }
    if (arm->remake && !arm->dropped) {
        arm->dropped = true;
    } else {
        arm->dropped = false;
        arm->repeats = 0;
        arm->at++;
    }
    go_on(arm);
}

/* Another look after a while; false: it was the last. */
static bool
look_again(struct repl_arm *arm, repl_timer_fn *look)
{
    if (++arm->tries >= ARM_READ_BACK_MAX)
        return false;
    arm->port->after(arm->port->data, arm->tries < ARM_SHORT_MAX ? ARM_POLL_MS : ARM_POLL_LONG_MS,
                     look, arm);
    return true;
}

static void
on_settled(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    (void)result;
    if (arm->done != NULL && err == NULL)
        arm->known->settled = true;
    finish(arm, err);
}

static void look_at_load(void *context);
static void reload_again(struct repl_arm *arm);

static void
on_load(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    if (arm->done == NULL || err != NULL) {
        finish(arm, err);
        return;
    }
    if (strcmp(PQgetvalue(result, 0, 0), arm->loaded) != 0) {
        if (++arm->reloads < ARM_RELOADS)
            reload_again(arm);
        else
            arm->port->query(arm->port->data, sql_names_settle, 0, NULL, on_settled, arm);
        return;
    }
    if (look_again(arm, look_at_load))
        return;
    struct err fault;
    (void)err_set(&fault, ERR_UNAVAILABLE, "no_reload",
                  "PostgreSQL did not read its configuration again");
    (void)err_mend(&fault, "see the PostgreSQL log of this node");
    finish(arm, &fault);
}

static void
look_at_load(void *context)
{
    struct repl_arm *arm = context;
    arm->port->query(arm->port->data, "select pg_conf_load_time()::text", 0, NULL, on_load, arm);
}

static void
on_load_before(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    if (arm->done == NULL || err != NULL) {
        finish(arm, err);
        return;
    }
    (void)snprintf(arm->loaded, sizeof arm->loaded, "%s", PQgetvalue(result, 0, 0));
    arm->tries = 0;
    look_at_load(arm);
}

/*
 * The postmaster signals the checkpointer after the sessions. Once it has begun another reload it
 * is through with the one before, and the checkpointer, which looks at its signals before a
 * checkpoint, has sent every COMMIT to the names when the checkpoint is done. But what made us read
 * the names may have been somebody's reload of before they were written, which the checkpointer was
 * quicker with, and the next one that we see is our first. So it takes one more.
 */
static void
reload_again(struct repl_arm *arm)
{
    arm->port->query(arm->port->data, "select pg_conf_load_time()::text, pg_reload_conf()", 0, NULL,
                     on_load_before, arm);
}

static void
settle(struct repl_arm *arm)
{
    arm->reloads = 0;
    reload_again(arm);
}

static bool
is_as_asked(const struct repl_arm *arm, const PGresult *result)
{
    return PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), buf_text(&arm->names)) == 0;
}

static void
on_read_back(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    if (arm->done == NULL || err != NULL) {
        finish(arm, err);
        return;
    }
    if (is_as_asked(arm, result)) {
        arm->known->changing = false;
        if (arm->names.size > 0 && !arm->known->settled)
            settle(arm);
        else
            finish(arm, NULL);
        return;
    }
    if (look_again(arm, read_back))
        return;
    struct err fault;
    (void)err_set(&fault, ERR_UNAVAILABLE, "names_not_in_force",
                  "synchronous_standby_names is '%s' after the reload, not '%s'",
                  PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "", buf_text(&arm->names));
    (void)err_mend(&fault, "see the PostgreSQL log of this node; a value in a file that is read "
                           "later than postgresql.auto.conf would win");
    finish(arm, &fault);
}

static void
read_back(void *context)
{
    struct repl_arm *arm = context;
    arm->port->query(arm->port->data, "show synchronous_standby_names", 0, NULL, on_read_back, arm);
}

static void
on_reloaded(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    (void)result;
    if (arm->done == NULL || err != NULL) {
        finish(arm, err);
        return;
    }
    read_back(arm);
}

static void
on_named(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    (void)result;
    if (arm->done == NULL || err != NULL) {
        finish(arm, err);
        return;
    }
    arm->port->query(arm->port->data, "select pg_reload_conf()", 0, NULL, on_reloaded, arm);
}

/* ALTER SYSTEM takes no parameters and no function may run it; names are checked labels, so that
 * the only quotes in the text are ours. */
static void
set_names(struct repl_arm *arm)
{
    CLEANUP(freep)
    char *sql =
        str_printf("alter system set synchronous_standby_names = '%s'", buf_text(&arm->names));
    if (arm->names.size == 0)
        arm->known->settled = false;
    arm->known->changing = true;
    arm->tries = 0;
    arm->port->query(arm->port->data, sql, 0, NULL, on_named, arm);
}

static void
on_names_now(void *context, const PGresult *result, const struct err *err)
{
    struct repl_arm *arm = context;
    if (arm->done == NULL || err != NULL || is_as_asked(arm, result))
        finish(arm, err);
    else
        set_names(arm);
}

static void
go_on(struct repl_arm *arm)
{
    char name[REPL_NAME_SIZE];
    if (arm->at < arm->others.count) {
        const char *values[] = { repl_name(arm->others.voters[arm->at], name) };
        bool drop = arm->remake && !arm->dropped;
        arm->port->query(arm->port->data, drop ? sql_slot_drop : sql_slot_make, 1, values, on_slot,
                         arm);
        return;
    }
    if (!arm->with_names)
        finish(arm, NULL);
    else if (arm->known->settled && !arm->known->changing)
        arm->port->query(arm->port->data, "show synchronous_standby_names", 0, NULL, on_names_now,
                         arm);
    else
        set_names(arm);
}

static void
on_start(void *context)
{
    struct repl_arm *arm = context;
    if (arm->done == NULL)
        finish(arm, NULL);
    else
        go_on(arm);
}

struct repl_arm *
repl_arm_start(const struct repl_port *port, const char *self, const char *const *members,
               size_t count, bool remake, const struct quorum_set *set, struct repl_names *names,
               repl_arm_fn *done, void *data)
{
    struct repl_arm *arm = mem_zero(1, sizeof *arm);
    *arm = (struct repl_arm){
        .port = port, .remake = remake, .known = names, .done = done, .data = data
    };
    ASSERT(str_copy(arm->self, sizeof arm->self, self));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i], self) != 0)
            ASSERT(quorum_add(&arm->others, members[i], NULL) == ERR_NONE);
    }
    if (set != NULL) {
        arm->with_names = true;
        quorum_standby_names(set, self, &arm->names);
    }
    arm->port->after(arm->port->data, 0, on_start, arm);
    return arm;
}

void
repl_arm_cancel(struct repl_arm *arm)
{
    if (arm != NULL)
        arm->done = NULL;
}

static void
on_idle_dropped(void *context, const PGresult *result, const struct err *err)
{
    (void)context, (void)result, (void)err; /* best effort: the next look tries again */
}

static void
drop_listed(const struct repl_port *port, const PGresult *result, const struct err *err,
            bool idle_only)
{
    if (err != NULL)
        return;
    int name = PQfnumber(result, "name");
    int active = PQfnumber(result, "active");
    for (int row = 0; name >= 0 && active >= 0 && row < PQntuples(result); row++) {
        const char *values[] = { PQgetvalue(result, row, name) };
        if (!idle_only || PQgetvalue(result, row, active)[0] == 'f')
            port->query(port->data, sql_slot_drop, 1, values, on_idle_dropped, NULL);
    }
}

static void
on_idle_slots(void *context, const PGresult *result, const struct err *err)
{
    drop_listed(context, result, err, true);
}

static void
on_all_slots(void *context, const PGresult *result, const struct err *err)
{
    drop_listed(context, result, err, false);
}

void
repl_drop_idle_slots(const struct repl_port *port)
{
    port->query(port->data, sql_slots, 0, NULL, on_idle_slots, (void *)(uintptr_t)port);
}

void
repl_drop_slots(const struct repl_port *port)
{
    port->query(port->data, sql_slots, 0, NULL, on_all_slots, (void *)(uintptr_t)port);
}
