/* The drivers on real files and real programs. */
#include "activation_world.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>

#include "controller/activation/action.h"

struct answer {
    unsigned count;
    enum action_end end;
    int exit_code;
    bool truncated;
    uint64_t took_ms;
    char text[1200];
    char *output; /* owned */
};

static void
on_done(void *data, const struct action_result *result)
{
    struct answer *answer = data;
    answer->count++;
    answer->end = result->end;
    answer->exit_code = result->exit_code;
    answer->truncated = result->truncated;
    answer->took_ms = result->took_ms;
    (void)snprintf(answer->text, sizeof answer->text, "%s", result->text);
    free(answer->output);
    answer->output = str_dup(result->output);
}

static bool
is_answered(void *data)
{
    struct answer *answer = data;
    return answer->count > 0;
}

/* One order for the first action of a connector. */
struct call {
    struct world *world;
    struct connector *connector;
    struct action_order order;
    struct answer answer;
    struct action *action;
    char epoch[24];
};

static void
call_init(struct call *call, struct world *world, const char *action_json, uint64_t number,
          const char *holder, const char *action_id)
{
    struct err err;
    *call = (struct call){ .world = world };
    struct json_object *document = world_document(action_json);
    enum err_code code = connector_read("pam", document, &call->connector, &err);
    if (code != ERR_NONE)
        fail_msg("%s", err.text);
    json_object_put(document);
    (void)snprintf(call->epoch, sizeof call->epoch, "%llu", (unsigned long long)number);
    call->order = (struct action_order){
        .action = &call->connector->actions[0],
        .epoch = epoch_make(number, holder),
        .timeout_ms = call->connector->actions[0].timeout_ms,
        .values = { .text = { [TEMPLATE_CONNECTOR] = "pam",
                              [TEMPLATE_KIND] = "activate",
                              [TEMPLATE_SERVER] = "main",
                              [TEMPLATE_URL] = "https://tcf1.east:8443/",
                              [TEMPLATE_HOST] = "tcf1.east",
                              [TEMPLATE_PORT] = "8443",
                              [TEMPLATE_CREDENTIAL] = "secret/pam-main",
                              [TEMPLATE_EPOCH] = call->epoch,
                              [TEMPLATE_EPOCH_HOLDER] = holder,
                              [TEMPLATE_ACTION_ID] = action_id,
                              [TEMPLATE_NODE] = "west-1",
                              [TEMPLATE_SITE] = "west",
                              [TEMPLATE_CLUSTER] = "6f2f1f6e" } },
    };
    if (call->order.timeout_ms == 0)
        call->order.timeout_ms = 10000;
}

static void
call_done(struct call *call)
{
    connector_free(call->connector);
    free(call->answer.output);
}

static enum err_code
call_start(struct call *call, struct err *err)
{
    return action_start(call->world->worker, &call->order, on_done, &call->answer, &call->action,
                        err);
}

static void
call_run(struct call *call)
{
    struct err err;
    if (call_start(call, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_int_equal(call->answer.count, 0); /* never from inside */
    assert_true(world_until(call->world, is_answered, &call->answer));
    assert_int_equal(call->answer.count, 1);
}

/* ---- file ---- */

static char *
file_json(struct world *world, const char *more)
{
    return str_printf("{\"driver\":\"file\",\"path\":\"%s/out\",%s}", world->folder, more);
}

static enum action_end
write_file(struct world *world, const char *more, uint64_t number, const char *holder,
           const char *action_id, char *ret_text, size_t text_size)
{
    struct call call;
    char *json = file_json(world, more);
    call_init(&call, world, json, number, holder, action_id);
    free(json);
    call_run(&call);
    enum action_end end = call.answer.end;
    if (ret_text != NULL)
        (void)snprintf(ret_text, text_size, "%s", call.answer.text);
    call_done(&call);
    return end;
}

static void
a_file_is_rendered_in_each_format(void **state)
{
    struct world *world = *state;
    assert_int_equal(
        write_file(world, "\"format\":\"json\",\"mode\":\"0600\"", 1, "west-1", "a", NULL, 0),
        ACTION_OK);
    char *text = world_get(world, "out");
    struct json_object *object = NULL;
    struct err err;
    assert_int_equal(json_read(text, strlen(text), &object, &err), ERR_NONE);
    uint64_t port;
    assert_true(json_get_u64(object, "port", &port) && port == 8443);
    json_object_put(object);
    free(text);
    char *path = world_path(world, "out");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);

    assert_int_equal(write_file(world, "\"format\":\"env\"", 1, "west-1", "b", NULL, 0), ACTION_OK);
    assert_true(world_has(world, "out", "BATON_URL=\"https://tcf1.east:8443/\"\n"));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    free(path);

    assert_int_equal(write_file(world,
                                "\"format\":\"template\",\"template\":\"server ${host}:${port} # "
                                "${epoch}/${epoch_holder} $${x}\\n\"",
                                1, "west-1", "c", NULL, 0),
                     ACTION_OK);
    text = world_get(world, "out");
    assert_string_equal(text, "server tcf1.east:8443 # 1/west-1 ${x}\n");
    free(text);
}

/* I10, with nothing in memory: each call is a new one, as after a restart. */
static void
a_lower_epoch_is_refused(void **state)
{
    struct world *world = *state;
    char text[1200];
    assert_int_equal(write_file(world, "\"format\":\"env\"", 3, "west-1", "a", NULL, 0), ACTION_OK);
    char *before = world_get(world, "out");
    static const struct {
        uint64_t number;
        const char *holder;
    } lower[] = { { 2, "west-1" }, { 1, "zz" }, { 3, "east-1" } };
    for (size_t i = 0; i < ARRAY_COUNT(lower); i++) {
        assert_int_equal(write_file(world, "\"format\":\"env\"", lower[i].number, lower[i].holder,
                                    "b", text, sizeof text),
                         ACTION_REFUSED);
        assert_non_null(strstr(text, "was written under epoch 3/west-1"));
        char *after = world_get(world, "out");
        assert_string_equal(after, before);
        free(after);
    }
    free(before);

    /* The file may be gone, or never written: the sidecar alone decides. */
    char *path = world_path(world, "out");
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 2, "west-1", "b", NULL, 0),
                     ACTION_REFUSED);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 3, "west-2", "b", NULL, 0), ACTION_OK);
    assert_true(world_has(world, "out", "BATON_EPOCH_HOLDER=\"west-2\""));
}

static void
the_same_again_writes_nothing(void **state)
{
    struct world *world = *state;
    struct stat before, after, mark_before, mark_after;
    char text[1200];
    char *path = world_path(world, "out");
    char *mark = world_path(world, "out.baton");
    assert_int_equal(write_file(world, "\"format\":\"env\"", 3, "west-1", "a", NULL, 0), ACTION_OK);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(stat(mark, &mark_before), 0);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 3, "west-1", "a", text, sizeof text),
                     ACTION_OK);
    assert_non_null(strstr(text, "is as it has to be"));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(stat(mark, &mark_after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(mark_before.st_ino, mark_after.st_ino);

    /* Somebody changed the file: it is put right. */
    world_put(world, "out", "edited by hand\n", 0640);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 3, "west-1", "a", text, sizeof text),
                     ACTION_OK);
    assert_non_null(strstr(text, "wrote "));
    assert_true(world_has(world, "out", "BATON_EPOCH=\"3\""));
    free(path);
    free(mark);
}

/* Died between the sidecar and the file: the next try of the same epoch finishes it. */
static void
a_crash_between_sidecar_and_file_heals(void **state)
{
    struct world *world = *state;
    world_put(world, "out", "old\n", 0640);
    world_put(world, "out.baton",
              "{\"epoch\":5,\"holder\":\"west-1\",\"connector\":\"pam\",\"action_id\":\"a\"}\n",
              0644);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 4, "west-1", "b", NULL, 0),
                     ACTION_REFUSED);
    assert_true(world_has(world, "out", "old\n"));
    assert_int_equal(write_file(world, "\"format\":\"env\"", 5, "west-1", "a", NULL, 0), ACTION_OK);
    assert_true(world_has(world, "out", "BATON_EPOCH=\"5\""));
}

static void
a_sidecar_that_makes_no_sense_stops_everything(void **state)
{
    struct world *world = *state;
    static const char *const marks[] = {
        "",
        "{",
        "{\"epoch\":\"3\",\"holder\":\"west-1\",\"connector\":\"pam\",\"action_id\":\"a\"}",
        "{\"epoch\":3,\"holder\":\"WEST 1\",\"connector\":\"pam\",\"action_id\":\"a\"}",
        "{\"epoch\":3,\"connector\":\"pam\",\"action_id\":\"a\"}",
        "{\"epoch\":-3,\"holder\":\"west-1\",\"connector\":\"pam\",\"action_id\":\"a\"}",
    };
    char text[1200];
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        world_put(world, "out.baton", marks[i], 0644);
        assert_int_equal(
            write_file(world, "\"format\":\"env\"", 9, "west-1", "a", text, sizeof text),
            ACTION_FAILED);
        assert_non_null(strstr(text, "is not a record of an epoch; see which node wrote"));
        char *now = world_get(world, "out");
        assert_string_equal(now, "");
        free(now);
    }
    world_put(world, "out.baton",
              "{\"epoch\":1,\"holder\":\"west-1\",\"connector\":\"sap\",\"action_id\":\"a\"}\n",
              0644);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 9, "west-1", "a", text, sizeof text),
                     ACTION_FAILED);
    assert_non_null(strstr(text, "belongs to another connector"));
}

static void
what_cannot_be_written_is_said(void **state)
{
    struct world *world = *state;
    char text[1200];
    struct call call;
    char *json = str_printf("{\"driver\":\"file\",\"path\":\"%s/no/such/x\",\"format\":\"env\"}",
                            world->folder);
    call_init(&call, world, json, 1, "west-1", "a");
    free(json);
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_FAILED);
    assert_non_null(strstr(call.answer.text, "/no/such'"));
    assert_non_null(strstr(call.answer.text, "make the folder"));
    call_done(&call);

    /* A folder stands where the file has to be. */
    char *path = world_path(world, "out");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 1, "west-1", "a", text, sizeof text),
                     ACTION_FAILED);
    assert_non_null(strstr(text, "Is a directory"));
    assert_int_equal(rmdir(path), 0);
    free(path);

    assert_int_equal(write_file(world, "\"format\":\"env\",\"owner\":\"no-such-user\"", 1, "west-1",
                                "a", text, sizeof text),
                     ACTION_FAILED);
    assert_non_null(strstr(text, "this host has no user 'no-such-user'"));

    /* The folder is in the hands of another batond. */
    int folder = open(world->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(folder, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 1, "west-1", "a", text, sizeof text),
                     ACTION_FAILED);
    assert_non_null(strstr(text, "is locked by another program"));
    assert_int_equal(close(folder), 0);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 1, "west-1", "a", NULL, 0), ACTION_OK);
}

static void
the_owner_is_set(void **state)
{
    struct world *world = *state;
    struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL)
        skip();
    char *path = world_path(world, "out");
    struct stat status;
    assert_int_equal(write_file(world, "\"format\":\"env\",\"owner\":\"nobody:root\"", 1, "west-1",
                                "a", NULL, 0),
                     ACTION_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_uid, nobody->pw_uid);
    assert_int_equal(status.st_gid, 0);
    free(path);
}

static void
block_worker(void *data)
{
    int *gate = data;
    char byte;
    assert_int_equal(read(gate[0], &byte, 1), 1);
}

static void
unblocked(void *data, bool ran)
{
    (void)data, (void)ran;
}

/* The worker is busy, so the file is surely not begun when the cancellation comes. */
static void
a_cancelled_file_is_not_touched(void **state)
{
    struct world *world = *state;
    struct err err;
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(worker_submit(world->worker, block_worker, unblocked, gate, &err), ERR_NONE);
    struct call call, abandoned;
    char *json = file_json(world, "\"format\":\"env\"");
    call_init(&call, world, json, 1, "west-1", "a");
    call_init(&abandoned, world, json, 1, "west-1", "a");
    free(json);
    assert_int_equal(call_start(&call, &err), ERR_NONE);
    assert_int_equal(call_start(&abandoned, &err), ERR_NONE);
    action_cancel(call.action);
    action_cancel(call.action);
    action_abandon(abandoned.action);
    assert_int_equal(write(gate[1], "x", 1), 1);
    assert_true(world_until(world, is_answered, &call.answer));
    assert_int_equal(call.answer.end, ACTION_CANCELLED);
    assert_int_equal(close(gate[0]) | close(gate[1]), 0);

    /* After a later order through the same queue, the abandoned one surely was looked at. */
    char *mark = world_path(world, "out.baton");
    assert_false(file_exists(mark));
    free(mark);
    assert_int_equal(write_file(world, "\"format\":\"env\"", 1, "west-1", "b", NULL, 0), ACTION_OK);
    assert_int_equal(abandoned.answer.count, 0);
    call_done(&call);
    call_done(&abandoned);
}

static void
a_file_that_comes_too_late_is_not_written(void **state)
{
    struct world *world = *state;
    struct call call;
    char *json = file_json(world, "\"format\":\"env\"");
    call_init(&call, world, json, 1, "west-1", "a");
    free(json);
    call.order.timeout_ms = 0;
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_FAILED);
    assert_non_null(strstr(call.answer.text, "could not be written in time"));
    char *now = world_get(world, "out");
    assert_string_equal(now, "");
    free(now);
    call_done(&call);
}

static void
bad_orders_are_refused_at_once(void **state)
{
    struct world *world = *state;
    struct err err;
    struct call call;
    char *json = file_json(world, "\"format\":\"template\",\"template\":\"${host}\"");
    call_init(&call, world, json, 1, "west-1", "a");
    free(json);
    call.connector->actions[0].template = "${hots}";
    assert_int_equal(call_start(&call, &err), ERR_INVALID);
    call.connector->actions[0].template = "${host}";
    call.order.values.text[TEMPLATE_HOST] = "a\nb";
    assert_int_equal(call_start(&call, &err), ERR_INVALID);
    assert_int_equal(call.answer.count, 0);
    call_done(&call);

    call_init(&call, world, "{\"driver\":\"exec\",\"command\":[\"/no/such/program\"]}", 1, "west-1",
              "a");
    assert_int_equal(call_start(&call, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/no/such/program"));
    call_done(&call);
}

/* ---- exec ---- */

static void
exec_init(struct call *call, struct world *world, const char *script, const char *more)
{
    char *text = str_printf("#!/bin/sh\n%s\n", script);
    world_put(world, "script", text, 0755);
    char *json =
        str_printf("{\"driver\":\"exec\",\"command\":[\"%s/script\",\"%s\",\"${host}\"]%s}",
                   world->folder, world->folder, more);
    call_init(call, world, json, 3, "west-1", "pam:3:west-1:main:1:1");
    free(json);
    free(text);
}

static void
a_program_sees_the_order_and_nothing_else(void **state)
{
    struct world *world = *state;
    struct call call;
    assert_int_equal(setenv("LEAK", "secret", 1), 0);
    exec_init(&call, world, "echo \"$2\" >&2; env; exit 0", ",\"env\":{\"TCF\":\"$${x} ${url}\"}");
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_OK);
    assert_int_equal(call.answer.exit_code, 0);
    const char *output = call.answer.output;
    assert_true(str_starts(output, "tcf1.east\n"));
    static const char *const lines[] = {
        "BATON_CONNECTOR=pam\n",
        "BATON_KIND=activate\n",
        "BATON_SERVER=main\n",
        "BATON_URL=https://tcf1.east:8443/\n",
        "BATON_HOST=tcf1.east\n",
        "BATON_PORT=8443\n",
        "BATON_EPOCH=3\n",
        "BATON_EPOCH_HOLDER=west-1\n",
        "BATON_NODE=west-1\n",
        "BATON_ACTION_ID=pam:3:west-1:main:1:1\n",
        "BATON_SITE=west\n",
        "BATON_CLUSTER=6f2f1f6e\n",
        "BATON_CREDENTIAL=secret/pam-main\n",
        "LC_ALL=C\n",
        "PATH=/usr/local/sbin:",
        "TCF=${x} https://tcf1.east",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        if (strstr(output, lines[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", lines[i], output);
    }
    assert_null(strstr(output, "LEAK"));
    call_done(&call);
}

#define PLANTED "planted-in-exec-93"

static unsigned given;

static enum err_code
read_secret(void *data, const char *name, struct buf *to, struct err *err)
{
    (void)data;
    if (strcmp(name, "pam-main") == 0)
        buf_add_text(to, PLANTED "\n");
    else if (strcmp(name, "bytes") == 0)
        buf_add(to, "\0\377x", 3);
    else if (strcmp(name, "user") == 0)
        buf_add_text(to, "planted");
    else
        return err_set(err, ERR_NOT_FOUND, "secret_not_found", "there is no such secret");
    return ERR_NONE;
}

static void
on_given(void *data, const struct action_order *order)
{
    (void)data;
    assert_int_equal(order->action->secret_count, 2);
    given++;
}

static void
secrets_init(struct call *call, struct world *world, const char *script, const char *names)
{
    CLEANUP(freep) char *more = str_printf(",\"secrets\":[%s]", names);
    exec_init(call, world, script, more);
    call->order.which = EFFECTIVE_MAIN;
    call->order.secret = read_secret;
    call->order.given = on_given;
    given = 0;
}

#define BOTH "\"secret/pam-main\",\"secret/bytes\""

/* H1: by descriptors alone, which nobody can change, not even who may write to them. */
static void
a_program_is_given_the_secrets_that_are_named(void **state)
{
    struct world *world = *state;
    struct call call;
    secrets_init(&call, world,
                 "cat <&$BATON_SECRET_FD_PAM_MAIN >\"$1/got\"\n"
                 "cat <&$BATON_SECRET_FD_BYTES | od -An -tx1 >\"$1/bytes\"\n"
                 "cat \"$1/got\" | tr a-z A-Z\n"
                 "(echo more >&4) 2>/dev/null || echo sealed\n"
                 "tr '\\0' '\\n' </proc/$$/environ; tr '\\0' '\\n' </proc/$$/cmdline\n"
                 "ls /proc/$$/fd | tr '\\n' ' '",
                 BOTH);
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_OK);
    assert_true(world_has(world, "got", PLANTED "\n"));
    assert_true(world_has(world, "bytes", " 00 ff 78\n"));
    const char *output = call.answer.output;
    assert_non_null(strstr(output, "PLANTED-IN-EXEC-93"));
    assert_non_null(strstr(output, "sealed\n"));
    assert_non_null(strstr(output, "BATON_SECRET_FD_PAM_MAIN=4\n"));
    assert_non_null(strstr(output, "BATON_SECRET_FD_BYTES=5\n"));
    assert_null(strstr(output, PLANTED));
    assert_null(strstr(output, " 6 ")); /* and no other descriptor */
    assert_int_equal(given, 1);
    call_done(&call);
}

/* H2, and what is not there is told before anything runs. */
static void
a_secret_is_given_to_activate_alone(void **state)
{
    struct world *world = *state;
    struct call call;
    struct err err;
    secrets_init(&call, world, "env; ls /proc/$$/fd | tr '\\n' ' '", BOTH);
    call.order.which = EFFECTIVE_NONE;
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_OK);
    assert_null(strstr(call.answer.output, "BATON_SECRET_FD"));
    assert_null(strstr(call.answer.output, " 4 "));
    assert_int_equal(given, 0);
    call_done(&call);

    secrets_init(&call, world, "touch \"$1/ran\"", "\"secret/pam-main\",\"secret/none\"");
    assert_int_equal(call_start(&call, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "'secret/none': there is no such secret");
    call.order.secret = NULL;
    assert_int_equal(call_start(&call, &err), ERR_UNAVAILABLE);
    CLEANUP(freep) char *ran = world_path(world, "ran");
    assert_int_equal(access(ran, F_OK), -1);
    assert_int_equal(given, 0);
    call_done(&call);
}

/* H3: a program that tells its secret tells it to nobody. */
static void
a_secret_that_is_printed_is_masked(void **state)
{
    struct world *world = *state;
    struct call call;
    secrets_init(&call, world, "s=$(cat <&4); echo \"a $s$s b\"; echo \"login $s failed\"; exit 1",
                 BOTH);
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_FAILED);
    assert_string_equal(call.answer.output, "a (secret)(secret) b\nlogin (secret) failed\n");
    assert_string_equal(call.answer.text, "exit code 1: login (secret) failed");
    call_done(&call);
}

/* H3: nor the rest of it, where another value is its beginning. */
static void
a_secret_within_a_secret_is_masked(void **state)
{
    struct world *world = *state;
    struct call call;
    secrets_init(&call, world, "u=$(cat <&4) p=$(cat <&5); echo \"$u $p $u$p\"",
                 "\"secret/user\",\"secret/pam-main\"");
    call_run(&call);
    assert_string_equal(call.answer.output, "(secret) (secret) (secret)(secret)\n");
    call_done(&call);
}

/* H3: nor its beginning, where what is kept of the output ends in the middle of it. */
static void
a_secret_that_is_cut_off_is_masked(void **state)
{
    struct world *world = *state;
    struct call call;
    static const int lengths[] = { 3, 4, 9, sizeof PLANTED - 2 };
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        int left = lengths[i];
        CLEANUP(freep)
        char *script =
            str_printf("printf '%%%dd%%s' 0 \"$(cat <&4)\"", ACTION_OUTPUT_SIZE_MAX - left);
        secrets_init(&call, world, script, BOTH);
        call_run(&call);
        assert_true(call.answer.truncated);
        if (left > 3) { /* what is shorter stands everywhere */
            assert_null(strstr(call.answer.output, "plan"));
            assert_true(str_ends(call.answer.output, "0(secret)"));
        }
        call_done(&call);
    }
}

static void
exit_codes_have_a_meaning(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *script;
        enum action_end end;
        int exit_code;
        const char *text;
    } rows[] = {
        { "exit 0", ACTION_OK, 0, "exit code 0" },
        { "echo a; echo 'cannot reach vip'; exit 1", ACTION_FAILED, 1,
          "exit code 1: cannot reach vip" },
        { "printf 'bell\\007\\n\\n'; exit 7", ACTION_FAILED, 7, "exit code 7: bell?" },
        { "exit 88", ACTION_REFUSED, 88, "exit code 88" },
        { "kill -9 $$", ACTION_FAILED, -1, "killed by signal 9 (Killed)" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct call call;
        exec_init(&call, world, rows[i].script, "");
        call_run(&call);
        assert_string_equal(call.answer.text, rows[i].text);
        assert_int_equal(call.answer.end, rows[i].end);
        assert_int_equal(call.answer.exit_code, rows[i].exit_code);
        call_done(&call);
    }
}

static void
a_flood_of_output_is_bounded(void **state)
{
    struct world *world = *state;
    struct call call;
    exec_init(&call, world, "head -c 5000000 /dev/zero | tr '\\0' x; exit 3", "");
    call_run(&call);
    assert_int_equal(call.answer.exit_code, 3);
    assert_true(call.answer.truncated);
    assert_int_equal(strlen(call.answer.output), ACTION_OUTPUT_SIZE_MAX);
    call_done(&call);
}

static bool
is_gone(void *data)
{
    const pid_t *pid = data;
    if (kill(*pid, 0) != 0)
        return errno == ESRCH;
    /* Killed, but whoever inherited it has not looked: it does nothing any more. */
    char path[64], line[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)*pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return true;
    (void)!fgets(line, sizeof line, file);
    (void)fclose(file);
    const char *close = strrchr(line, ')');
    return close != NULL && close[1] != '\0' && (close[2] == 'Z' || close[2] == 'X');
}

static pid_t
pid_in(struct world *world, const char *name)
{
    char *text = world_get(world, name);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    free(text);
    assert_true(pid > 1);
    return pid;
}

/* It ignores SIGTERM, and so do its children, in the background and not. */
#define STUBBORN                                                                                   \
    "trap '' TERM; (trap '' TERM; echo $$ >/dev/null; while :; do read x <\"$1/fifo\"; done) & "   \
    "echo $! >\"$1/pid.new\"; mv \"$1/pid.new\" \"$1/pid\"; "                                      \
    "while :; do read x <\"$1/fifo\"; done"

static void
make_fifo(struct world *world)
{
    char *fifo = world_path(world, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    free(fifo);
}

static void
a_timeout_ends_the_whole_group(void **state)
{
    struct world *world = *state;
    struct call call;
    make_fifo(world);
    exec_init(&call, world, STUBBORN, ",\"timeout_ms\":2000");
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_FAILED);
    assert_non_null(strstr(call.answer.text, "not done after"));
    assert_true(call.answer.took_ms >= 2000);
    pid_t pid = pid_in(world, "pid");
    assert_true(world_until(world, is_gone, &pid));
    call_done(&call);
}

struct pid_file {
    struct world *world;
    char *path;
};

static bool
is_there(void *data)
{
    return file_exists(data);
}

static void
a_cancelled_program_is_killed_with_its_children(void **state)
{
    struct world *world = *state;
    struct call call;
    make_fifo(world);
    exec_init(&call, world, STUBBORN, ",\"timeout_ms\":60000");
    struct err err;
    assert_int_equal(call_start(&call, &err), ERR_NONE);
    char *path = world_path(world, "pid");
    assert_true(world_until(world, is_there, path));
    free(path);
    pid_t pid = pid_in(world, "pid");
    assert_false(is_gone(&pid));

    uint64_t before_ms = clock_now_ms();
    action_cancel(call.action);
    action_cancel(call.action);
    assert_true(world_until(world, is_answered, &call.answer));
    assert_int_equal(call.answer.end, ACTION_CANCELLED);
    assert_int_equal(call.answer.exit_code, -1);
    assert_true(clock_now_ms() - before_ms < 2000); /* no grace */
    assert_true(world_until(world, is_gone, &pid));
    call_done(&call);
}

static void
an_abandoned_program_is_killed_too(void **state)
{
    struct world *world = *state;
    struct call call;
    make_fifo(world);
    exec_init(&call, world, STUBBORN, ",\"timeout_ms\":60000");
    struct err err;
    assert_int_equal(call_start(&call, &err), ERR_NONE);
    char *path = world_path(world, "pid");
    assert_true(world_until(world, is_there, path));
    free(path);
    pid_t pid = pid_in(world, "pid");
    action_abandon(call.action);
    assert_true(world_until(world, is_gone, &pid));
    assert_int_equal(call.answer.count, 0);
    call_done(&call);
}

/* A daemon that it starts keeps its output open; the answer does not wait for it. */
static void
a_child_in_the_background_does_not_hold_the_answer(void **state)
{
    struct world *world = *state;
    struct call call;
    make_fifo(world);
    exec_init(&call, world, "(read x <\"$1/fifo\") & echo $! >\"$1/pid\"; echo started", "");
    call_run(&call);
    assert_int_equal(call.answer.end, ACTION_OK);
    assert_string_equal(call.answer.output, "started\n");
    pid_t pid = pid_in(world, "pid");
    assert_false(is_gone(&pid)); /* what it leaves behind on success is its own */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(world_until(world, is_gone, &pid));
    call_done(&call);
}

static int
setup(void **state)
{
    *state = world_new();
    return 0;
}

static int
teardown(void **state)
{
    world_free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_rendered_in_each_format),
        TEST(a_lower_epoch_is_refused),
        TEST(the_same_again_writes_nothing),
        TEST(a_crash_between_sidecar_and_file_heals),
        TEST(a_sidecar_that_makes_no_sense_stops_everything),
        TEST(what_cannot_be_written_is_said),
        TEST(the_owner_is_set),
        TEST(a_cancelled_file_is_not_touched),
        TEST(a_file_that_comes_too_late_is_not_written),
        TEST(bad_orders_are_refused_at_once),
        TEST(a_program_sees_the_order_and_nothing_else),
        TEST(a_program_is_given_the_secrets_that_are_named),
        TEST(a_secret_is_given_to_activate_alone),
        TEST(a_secret_that_is_printed_is_masked),
        TEST(a_secret_within_a_secret_is_masked),
        TEST(a_secret_that_is_cut_off_is_masked),
        TEST(exit_codes_have_a_meaning),
        TEST(a_flood_of_output_is_bounded),
        TEST(a_timeout_ends_the_whole_group),
        TEST(a_cancelled_program_is_killed_with_its_children),
        TEST(an_abandoned_program_is_killed_too),
        TEST(a_child_in_the_background_does_not_hold_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
