/*
 * action_dns.c -- the dns driver: dig reads, nsupdate writes, dig looks whether it is so (dns.h).
 *
 * Why these programs, and no library: docs/decisions/0024.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/activation/action_inner.h"
#include "controller/activation/dns.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"
#include "controller/loop/child.h"
#include "controller/loop/resolve.h"

#define DIG       "/usr/bin/dig"
#define NSUPDATE  "/usr/bin/nsupdate"
#define TRIES_MAX 3 /* updates that another one overtook */

enum phase { PHASE_READ, PHASE_UPDATE, PHASE_PROVE };

struct dns_inner {
    struct action *action; /* borrowed: ours is its member 'inner' */
    struct child *child;   /* borrowed from the loop until on_done() */
    enum phase phase;
    bool check;
    bool cancelled;
    unsigned tries;
    uint64_t deadline_ms;
    struct connector_dns options; /* its texts are in 'texts' */
    char *texts[7];               /* owned */
    char value[DNS_VALUE_SIZE];
    struct dns_goal goal; /* 'options' and 'value' are ours */
    bool different;       /* the record was not as it has to be */
    char was[DNS_VALUE_SIZE];
};

static void
inner_free(struct dns_inner *inner)
{
    for (size_t i = 0; i < ARRAY_COUNT(inner->texts); i++)
        free(inner->texts[i]);
    free(inner);
}

static void
end(struct dns_inner *inner, enum action_end how, const char *text, const char *output)
{
    struct action *action = inner->action;
    struct action_result result = { .end = how,
                                    .text = text,
                                    .output = output,
                                    .exit_code = -1,
                                    .changed = how == ACTION_OK && inner->different };
    inner->action = NULL;
    action_finish(action, &result);
    inner_free(inner);
}

static void
fail(struct dns_inner *inner, const struct err *err, const char *output)
{
    CLEANUP(freep)
    char *text = str_printf("%s%s%s", err->text, err->mend[0] != '\0' ? "; " : "", err->mend);
    end(inner, ACTION_FAILED, text, output);
}

/* ---- the two programs ---- */

static void on_done(void *data, const struct child_result *ended);

static enum err_code
run(struct dns_inner *inner, const char *const argv[], const char *input, struct err *err)
{
    uint64_t now_ms = clock_now_ms();
    if (now_ms >= inner->deadline_ms)
        return err_set(err, ERR_TIMEOUT, "timeout", "name server '%s' was not done in time",
                       inner->options.server);
    uint64_t left_ms = inner->deadline_ms - now_ms;
    struct child_options options = {
        .argv = argv,
        .input = input,
        .input_size = input == NULL ? 0 : strlen(input),
        .deadline_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX,
        .output_max = ACTION_OUTPUT_SIZE_MAX,
    };
    enum err_code code = child_start(&options, on_done, inner, &inner->child, err);
    if (code == ERR_NOT_FOUND)
        (void)err_mend(err, "install the package bind9-dnsutils");
    return code;
}

static enum err_code
start_dig(struct dns_inner *inner, enum phase phase, struct err *err)
{
    char host[CONNECTOR_HOST_SIZE], port[8], mark[DNS_NAME_SIZE], record[DNS_NAME_SIZE];
    dns_server(inner->options.server, host, port);
    dns_mark_name(&inner->options, mark);
    dns_record_name(&inner->options, record);
    CLEANUP(freep) char *at = str_printf("@%s", host);
    const char *const argv[] = { DIG,
                                 "-r", /* no file of a user's home */
                                 "-k",
                                 inner->options.key_file,
                                 at,
                                 "-p",
                                 port,
                                 "+tcp",
                                 "+norecurse",
                                 "+noall",
                                 "+comments",
                                 "+answer",
                                 "+tries=1",
                                 mark,
                                 "TXT",
                                 record,
                                 inner->options.type,
                                 NULL };
    inner->phase = phase;
    return run(inner, argv, NULL, err);
}

static enum err_code
start_update(struct dns_inner *inner, const char *script, struct err *err)
{
    const char *const argv[] = { NSUPDATE, "-v", "-k", inner->options.key_file, NULL };
    inner->phase = PHASE_UPDATE;
    inner->tries++;
    return run(inner, argv, script, err);
}

/* ---- what they said ---- */

static void
succeed(struct dns_inner *inner, const struct dns_view *view)
{
    const char *name = inner->options.name;
    CLEANUP(buf_done) struct buf text = { 0 };
    if (inner->goal.server == EFFECTIVE_NONE)
        buf_printf(&text, "'%s' belongs to no server%s", name,
                   view->value_count > 0 ? "; its record stays" : "");
    else
        buf_printf(&text, "'%s' is %s %s", name, inner->options.type, inner->value);
    if (inner->check && inner->different)
        buf_printf(&text, "; put right: it was '%s'", inner->was);
    end(inner, ACTION_OK, buf_text(&text), "");
}

static enum err_code
take_view(struct dns_inner *inner, const struct dns_view *view, struct err *err)
{
    struct dns_plan plan = dns_plan(view, &inner->goal);
    CLEANUP(buf_done) struct buf script = plan.script;
    if (plan.refused) {
        char seen[EPOCH_TEXT_SIZE], ours[EPOCH_TEXT_SIZE];
        CLEANUP(freep)
        char *text =
            str_printf("'%s' was changed under epoch %s, ours is %s", inner->options.name,
                       epoch_text(&view->epoch, seen), epoch_text(&inner->goal.epoch, ours));
        end(inner, ACTION_REFUSED, text, "");
        return ERR_NONE;
    }
    if (script.size == 0) {
        succeed(inner, view);
        return ERR_NONE;
    }
    if (inner->phase == PHASE_PROVE) {
        (void)err_set(err, ERR_CONFLICT, "dns_record",
                      "'%s' was updated, and is not %s %s afterwards, but '%s' in %u records",
                      inner->options.name, inner->options.type, inner->value, view->value,
                      view->value_count);
        return err_mend(err, "look for records of another type at that name, and write addresses "
                             "as the name server does");
    }
    if (plan.different) {
        inner->different = true;
        (void)snprintf(inner->was, sizeof inner->was, "%s", view->value);
    }
    return start_update(inner, buf_text(&script), err);
}

/* Another update came between: what it wrote decides. */
static bool
was_overtaken(const char *output)
{
    return strstr(output, "update failed: YXRRSET") != NULL ||
           strstr(output, "update failed: NXRRSET") != NULL;
}

static enum err_code
take_update(struct dns_inner *inner, const struct child_result *ended, struct err *err)
{
    if (ended->status == 0)
        return start_dig(inner, PHASE_PROVE, err);
    if (was_overtaken(ended->output) && inner->tries < TRIES_MAX)
        return start_dig(inner, PHASE_READ, err);
    const char *why = strstr(ended->output, "update failed: ");
    (void)err_set(err, ERR_UNAVAILABLE, "dns_update",
                  "name server '%s' did not take the update%s%.*s", inner->options.server,
                  why == NULL ? "" : ": ",
                  why == NULL ? 0 : (int)strcspn(why + strlen("update failed: "), "\n"),
                  why == NULL ? "" : why + strlen("update failed: "));
    return err_mend(err,
                    "it must be the zone's primary, and let the key update '%s' and '_baton.%s'",
                    inner->options.name, inner->options.name);
}

static enum err_code
take_output(struct dns_inner *inner, const struct child_result *ended, struct err *err)
{
    struct dns_view view;
    if (ended->end != CHILD_EXITED)
        return err_set(err, ERR_TIMEOUT, "timeout", "name server '%s' was not done in time",
                       inner->options.server);
    if (inner->phase == PHASE_UPDATE)
        return take_update(inner, ended, err);
    if (ended->status != 0) {
        (void)err_set(err, ERR_UNAVAILABLE, "dns_server", "name server '%s' does not answer",
                      inner->options.server);
        return err_mend(err,
                        "see 'server' and 'key_file' of the driver; what dig says stands below");
    }
    enum err_code code = dns_read(ended->output, &inner->options, &view, err);
    return code == ERR_NONE ? take_view(inner, &view, err)
                            : err_wrap(err, "name server '%s'", inner->options.server);
}

static void
on_done(void *data, const struct child_result *ended)
{
    struct dns_inner *inner = data;
    struct err err = { 0 };
    inner->child = NULL;
    if (inner->cancelled || ended->end == CHILD_CANCELLED)
        end(inner, ACTION_CANCELLED, "cancelled", "");
    else if (take_output(inner, ended, &err) != ERR_NONE)
        fail(inner, &err, ended->output);
}

/* ---- the driver ---- */

static void
keep_options(struct dns_inner *inner, const struct connector_dns *options)
{
    const char *const from[] = { options->server,  options->zone, options->name,
                                 options->type,    options->main, options->alternate,
                                 options->key_file };
    _Static_assert(ARRAY_COUNT(from) == ARRAY_COUNT(inner->texts), "all are kept");
    for (size_t i = 0; i < ARRAY_COUNT(from); i++)
        inner->texts[i] = str_dup(from[i]);
    inner->options = *options;
    inner->options.server = inner->texts[0];
    inner->options.zone = inner->texts[1];
    inner->options.name = inner->texts[2];
    inner->options.type = inner->texts[3];
    inner->options.main = inner->texts[4];
    inner->options.alternate = inner->texts[5];
    inner->options.key_file = inner->texts[6];
}

static enum err_code
find_value(struct dns_inner *inner, const struct action_order *order, struct err *err)
{
    const struct connector_dns *options = &inner->options;
    bool main = order->which == EFFECTIVE_MAIN;
    const char *set = main ? options->main : options->alternate;
    if (order->which == EFFECTIVE_NONE)
        return ERR_NONE;
    if (set == NULL && strcmp(options->type, "CNAME") != 0 &&
        (!resolve_is_address(order->server->host) ||
         (strchr(order->server->host, ':') != NULL) != (strcmp(options->type, "AAAA") == 0))) {
        (void)err_set(err, ERR_INVALID, "dns_value",
                      "the host '%s' of the server is no value of type %s", order->server->host,
                      options->type);
        return err_mend(err, "set '%s' of the driver, or type CNAME",
                        effective_server_name(order->which));
    }
    ASSERT(str_copy(inner->value, sizeof inner->value, set == NULL ? order->server->host : set));
    size_t length = strlen(inner->value);
    if (length > 1 && inner->value[length - 1] == '.')
        inner->value[length - 1] = '\0';
    return ERR_NONE;
}

static enum err_code
check_key(const char *path, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        (void)err_errno(err, errno, "look at key_file '%s'", path);
        return err_mend(err, "make it by 'tsig-keygen NAME', and let batond's user own it");
    }
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_INVALID, "dns_key", "key_file '%s' is not a file", path);
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0)
        return ERR_NONE;
    (void)err_set(err, ERR_DENIED, "dns_key",
                  "key_file '%s': others than its owner may use it (mode %04o)", path,
                  (unsigned)status.st_mode & 07777);
    return err_mend(err, "chmod 600 '%s'", path);
}

static enum err_code
dns_start(struct action *action, struct worker *worker, const struct action_order *order,
          struct err *err)
{
    (void)worker;
    struct dns_inner *inner = mem_zero(1, sizeof *inner);
    inner->action = action;
    inner->check = order->check;
    inner->deadline_ms = clock_now_ms() + order->timeout_ms;
    keep_options(inner, &order->action->dns);
    inner->goal = (struct dns_goal){ .options = &inner->options,
                                     .server = order->which,
                                     .value = inner->value,
                                     .epoch = order->epoch };
    enum err_code code = find_value(inner, order, err);
    if (code == ERR_NONE)
        code = check_key(inner->options.key_file, err);
    if (code == ERR_NONE)
        code = start_dig(inner, PHASE_READ, err);
    if (code != ERR_NONE) {
        inner_free(inner);
        return code;
    }
    action->inner = inner;
    return ERR_NONE;
}

static void
dns_cancel(struct action *action)
{
    struct dns_inner *inner = action->inner;
    if (inner->cancelled)
        return;
    inner->cancelled = true;
    child_cancel(inner->child);
    child_signal(inner->child, SIGKILL); /* no grace: what it does is no longer ours to do */
}

static void
dns_abandon(struct action *action)
{
    struct dns_inner *inner = action->inner;
    child_abandon(inner->child);
    inner_free(inner);
}

const struct action_driver action_dns_driver = { .name = "dns",
                                                 .can_check = true,
                                                 .fencing = FENCING_ALWAYS,
                                                 .start = dns_start,
                                                 .cancel = dns_cancel,
                                                 .abandon = dns_abandon };
