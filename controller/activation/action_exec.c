/*
 * action_exec.c -- the exec driver: a program with BATON_* variables, the secrets that the document
 * names (handout.h), and nothing else of ours.
 *
 * No shell, so a value is never read as a command. Arguments and variables may hold placeholders.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/activation/action_inner.h"
#include "controller/activation/handout.h"
#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/loop/child.h"

#define EXEC_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define EXEC_VARIABLES_MAX                                                                         \
    (TEMPLATE_COUNT + CONNECTOR_ENV_COUNT_MAX + CONNECTOR_SECRET_COUNT_MAX + 2)
#define EXEC_LINE_MAX 200 /* bytes of the program's last line in the text */

_Static_assert(CONNECTOR_SECRET_COUNT_MAX <= CHILD_KEEP_MAX, "each has a descriptor");

struct exec_inner {
    struct child *child; /* borrowed from the loop until on_done() */
    struct handout handout;
    bool cancelled;
};

/* Texts for argv or envp, NULL-terminated. */
struct texts {
    size_t count;
    char *list[EXEC_VARIABLES_MAX + 1]; /* owned */
};
_Static_assert(EXEC_VARIABLES_MAX >= CONNECTOR_COMMAND_COUNT_MAX, "a command fits");

static void
texts_done(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->list[i]);
}

static void
texts_add(struct texts *texts, char *text)
{
    ASSERT(texts->count < EXEC_VARIABLES_MAX);
    texts->list[texts->count++] = text;
}

static enum err_code
make_arguments(const struct action_order *order, struct texts *arguments, struct err *err)
{
    for (size_t i = 0; order->action->command[i] != NULL; i++) {
        CLEANUP(buf_done) struct buf text = { 0 };
        enum err_code code = template_text(order->action->command[i], &order->values, &text, err);
        if (code != ERR_NONE)
            return err_wrap(err, "argument %zu", i);
        texts_add(arguments, buf_take(&text));
    }
    return ERR_NONE;
}

static enum err_code
add_own_variable(const struct action_order *order, const char *name, struct json_object *value,
                 struct texts *variables, struct err *err)
{
    if (str_starts(name, "BATON_") || !json_object_is_type(value, json_type_string))
        return err_set(err, ERR_INVALID, "env", "variable '%s' is one of Baton's, or not a text",
                       name);
    CLEANUP(buf_done) struct buf text = { 0 };
    buf_printf(&text, "%s=", name);
    enum err_code code = template_text(json_object_get_string(value), &order->values, &text, err);
    if (code != ERR_NONE)
        return err_wrap(err, "variable '%s'", name);
    texts_add(variables, buf_take(&text));
    return ERR_NONE;
}

static enum err_code
make_variables(const struct action_order *order, struct texts *variables, struct err *err)
{
    struct json_object *env = order->action->env;
    for (unsigned i = 0; i < TEMPLATE_COUNT; i++) {
        char name[TEMPLATE_VARIABLE_SIZE];
        template_variable((enum template_name)i, name);
        texts_add(variables, str_printf("%s=%s", name, order->values.text[i]));
    }
    if (json_get(env, "PATH") == NULL)
        texts_add(variables, str_dup(EXEC_PATH));
    if (json_get(env, "LC_ALL") == NULL)
        texts_add(variables, str_dup("LC_ALL=C"));
    if (env == NULL)
        return ERR_NONE;
    if (json_object_object_length(env) > CONNECTOR_ENV_COUNT_MAX)
        return err_set(err, ERR_LIMIT, "env", "more than %d variables", CONNECTOR_ENV_COUNT_MAX);
    enum err_code code = ERR_NONE;
    struct json_object_iterator at = json_object_iter_begin(env);
    struct json_object_iterator end = json_object_iter_end(env);
    for (; code == ERR_NONE && !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
        code = add_own_variable(order, json_object_iter_peek_name(&at),
                                json_object_iter_peek_value(&at), variables, err);
    return code;
}

/* The last line that is not empty, cut to EXEC_LINE_MAX bytes; what is not printable becomes '?'.
 */
static void
last_line(const char *output, size_t size, char to[EXEC_LINE_MAX + 1])
{
    while (size > 0 && (output[size - 1] == '\n' || output[size - 1] == '\r'))
        size--;
    size_t start = size;
    while (start > 0 && output[start - 1] != '\n')
        start--;
    size_t length = size - start < EXEC_LINE_MAX ? size - start : EXEC_LINE_MAX;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)output[start + i];
        to[i] = byte < 0x20 || byte >= 0x7f ? '?' : (char)byte;
    }
    to[length] = '\0';
}

static enum action_end
judge(const struct exec_inner *inner, const struct child_result *ended, const struct buf *output,
      struct buf *text)
{
    char line[EXEC_LINE_MAX + 1];
    last_line(buf_text(output), output->size, line);
    if (inner->cancelled || ended->end == CHILD_CANCELLED) {
        buf_add_text(text, "cancelled");
        return ACTION_CANCELLED;
    }
    enum action_end end = ACTION_FAILED;
    switch (ended->end) {
    case CHILD_EXITED:
        buf_printf(text, "exit code %d", ended->status);
        if (ended->status == 0)
            end = ACTION_OK;
        else if (ended->status == ACTION_EXIT_REFUSED)
            end = ACTION_REFUSED;
        break;
    case CHILD_SIGNALLED:
        buf_printf(text, "killed by signal %d (%s)", ended->status, strsignal(ended->status));
        break;
    case CHILD_TIMEOUT:
        buf_printf(text, "not done after %llu ms, ended", (unsigned long long)ended->took_ms);
        break;
    case CHILD_CANCELLED:
        break;
    }
    if (line[0] != '\0')
        buf_printf(text, ": %s", line);
    return end;
}

static void
exec_free(struct exec_inner *inner)
{
    if (inner != NULL)
        handout_done(&inner->handout);
    free(inner);
}

static void
exec_freep(struct exec_inner **holder)
{
    exec_free(*holder);
}

static void
on_done(void *data, const struct child_result *ended)
{
    struct action *action = data;
    struct exec_inner *inner = action->inner;
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(buf_done) struct buf output = { 0 };
    handout_mask(&inner->handout, ended->output, ended->output_size, ended->truncated, &output);
    enum action_end end = judge(inner, ended, &output, &text);
    struct action_result result = { .end = end,
                                    .text = buf_text(&text),
                                    .output = buf_text(&output),
                                    .truncated = ended->truncated,
                                    .exit_code = ended->end == CHILD_EXITED ? ended->status : -1 };
    exec_free(inner);
    action_finish(action, &result);
}

static enum err_code
exec_start(struct action *action, struct worker *worker, const struct action_order *order,
           struct err *err)
{
    (void)worker;
    CLEANUP(texts_done) struct texts arguments = { 0 };
    CLEANUP(texts_done) struct texts variables = { 0 };
    enum err_code code = make_arguments(order, &arguments, err);
    if (code == ERR_NONE)
        code = make_variables(order, &variables, err);
    CLEANUP(exec_freep) struct exec_inner *inner = mem_zero(1, sizeof *inner);
    if (code == ERR_NONE)
        code = handout_make(order, CHILD_KEEP_FIRST, &inner->handout, err);
    if (code != ERR_NONE)
        return code;
    for (size_t i = 0; i < inner->handout.count; i++)
        texts_add(&variables, str_dup(inner->handout.variables[i]));
    struct child_options options = {
        .argv = (const char *const *)arguments.list,
        .envp = (const char *const *)variables.list,
        .deadline_ms = order->timeout_ms < UINT32_MAX ? (uint32_t)order->timeout_ms : UINT32_MAX,
        .output_max = ACTION_OUTPUT_SIZE_MAX,
        .keep = inner->handout.files,
        .keep_count = inner->handout.count,
    };
    code = child_start(&options, on_done, action, &inner->child, err);
    if (code != ERR_NONE)
        return code;
    if (inner->handout.count > 0 && order->given != NULL)
        order->given(order->secret_data, order);
    action->inner = take_ptr(&inner);
    return ERR_NONE;
}

static void
exec_cancel(struct action *action)
{
    struct exec_inner *inner = action->inner;
    if (inner->cancelled)
        return;
    inner->cancelled = true;
    child_cancel(inner->child);
    /* No grace: what this program does is no longer ours to do. It leads a group of its own. */
    if (kill(-child_pid(inner->child), SIGKILL) != 0)
        ASSERT(errno == ESRCH || errno == EPERM);
}

static void
exec_abandon(struct action *action)
{
    struct exec_inner *inner = action->inner;
    child_abandon(inner->child);
    exec_free(inner);
}

const struct action_driver action_exec_driver = { .name = "exec",
                                                  .fencing = FENCING_TOLD,
                                                  .start = exec_start,
                                                  .cancel = exec_cancel,
                                                  .abandon = exec_abandon };
