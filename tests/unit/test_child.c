#include "controller/loop/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/str.h"

struct seen {
    unsigned count;
    enum child_end end;
    int status;
    char output[8192];
    size_t output_size;
    bool truncated;
};

static void
on_done(void *data, const struct child_result *result)
{
    struct seen *seen = data;
    seen->count++;
    seen->end = result->end;
    seen->status = result->status;
    seen->output_size = result->output_size;
    seen->truncated = result->truncated;
    (void)snprintf(seen->output, sizeof seen->output, "%s", result->output);
    ev_break(ev_default_loop(EVFLAG_AUTO), EVBREAK_ALL);
}

/* Runs a shell script on the loop and waits for its end. */
static struct seen
run_shell(const char *script, struct child_options options)
{
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    struct seen seen = { 0 };
    struct child *child;
    struct err err;
    options.argv = argv;
    if (child_start(&options, on_done, &seen, &child, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    ev_run(ev_default_loop(EVFLAG_AUTO), 0);
    assert_int_equal(seen.count, 1);
    return seen;
}

static void
output_and_exit_code_come_back(void **state)
{
    (void)state;
    struct seen seen = run_shell("echo out; echo err >&2; exit 3", (struct child_options){ 0 });
    assert_int_equal(seen.end, CHILD_EXITED);
    assert_int_equal(seen.status, 3);
    assert_string_equal(seen.output, "out\nerr\n");
    assert_false(seen.truncated);
    seen = run_shell("kill -USR1 $$", (struct child_options){ 0 });
    assert_int_equal(seen.end, CHILD_SIGNALLED);
    assert_int_equal(seen.status, SIGUSR1);
}

static void
output_is_bounded(void **state)
{
    (void)state;
    struct seen seen = run_shell("i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i+1)); done",
                                 (struct child_options){ .output_max = 100 });
    assert_int_equal(seen.end, CHILD_EXITED);
    assert_int_equal(seen.status, 0);
    assert_int_equal(seen.output_size, 100);
    assert_true(seen.truncated);
}

static void
input_environment_and_folder_are_what_we_say(void **state)
{
    (void)state;
    const char *envp[] = { "BATON_X=1", NULL };
    struct seen seen =
        run_shell("cat; echo \"[$BATON_X$HOME]\"; pwd",
                  (struct child_options){
                      .input = "hello ", .input_size = 6, .envp = envp, .folder = "/usr" });
    assert_string_equal(seen.output, "hello [1]\n/usr\n");
}

/* Signals 32 and 33 are the C library's own: no program can set them, so whatever started us may
 * have left them ignored. */
#define LIBC_SIGNALS 0x180000000ULL

static void
nothing_is_inherited(void **state)
{
    (void)state;
    int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    assert_true(leak >= 0);
    (void)signal(SIGPIPE, SIG_IGN);
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    struct seen seen = run_shell("ls /proc/self/fd | wc -l; grep -E '^(SigBlk|SigIgn|NoNewPrivs):'"
                                 " /proc/self/status",
                                 (struct child_options){ 0 });
    (void)sigprocmask(SIG_UNBLOCK, &mask, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)close(leak);
    unsigned descriptors;
    char blocked[32];
    char ignored[32];
    unsigned privileges;
    assert_int_equal(sscanf(seen.output, "%u SigBlk: %31s SigIgn: %31s NoNewPrivs: %u",
                            &descriptors, blocked, ignored, &privileges),
                     4);
    assert_int_equal(descriptors, 4); /* 0, 1, 2 and the one that ls opened */
    assert_int_equal(privileges, 1);
    assert_int_equal(strtoull(blocked, NULL, 16) & ~LIBC_SIGNALS, 0);
    assert_int_equal(strtoull(ignored, NULL, 16) & ~LIBC_SIGNALS, 0);
}

/* The deadline is far beyond what a start takes on a busy machine, and the child would stay for
 * ever. */
static void
the_deadline_ends_the_whole_group(void **state)
{
    (void)state;
    struct seen seen = run_shell("trap '' TERM; (trap '' TERM; while :; do sleep 5; done) & "
                                 "echo $!; while :; do sleep 5; done",
                                 (struct child_options){ .deadline_ms = 2000 });
    assert_int_equal(seen.end, CHILD_TIMEOUT);
    assert_int_equal(seen.status, SIGKILL);
    pid_t behind = (pid_t)strtol(seen.output, NULL, 10);
    assert_true(behind > 1);
    /* Whoever adopts it reaps it; until then it is a zombie, which is dead enough. */
    uint64_t until = clock_now_ms() + 30000;
    bool gone = false;
    while (!gone && clock_now_ms() < until) {
        CLEANUP(freep) char *path = str_printf("/proc/%d/stat", (int)behind);
        CLEANUP(buf_done) struct buf text = { 0 };
        struct err err;
        gone = file_read(path, 4096, &text, &err) != ERR_NONE ||
               strstr(buf_text(&text), ") Z") != NULL;
        if (!gone)
            (void)poll(NULL, 0, 5);
    }
    assert_true(gone);
}

static void
a_polite_child_is_not_killed(void **state)
{
    (void)state;
    struct seen seen = run_shell("trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done",
                                 (struct child_options){ .deadline_ms = 2000 });
    assert_int_equal(seen.end, CHILD_TIMEOUT);
    assert_non_null(strstr(seen.output, "bye\n"));
}

static void
on_cancel_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    child_cancel(timer->data);
    child_cancel(timer->data);
}

static void
cancel_ends_it(void **state)
{
    (void)state;
    const char *argv[] = { "/bin/sleep", "600", NULL };
    struct seen seen = { 0 };
    struct child *child;
    struct err err;
    struct child_options options = { .argv = argv };
    assert_int_equal(child_start(&options, on_done, &seen, &child, &err), ERR_NONE);
    ev_timer timer;
    ev_timer_init(&timer, on_cancel_time, 0.01, 0.0);
    timer.data = child;
    ev_timer_start(ev_default_loop(EVFLAG_AUTO), &timer);
    ev_run(ev_default_loop(EVFLAG_AUTO), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.end, CHILD_CANCELLED);
}

static void
abandon_leaves_nothing(void **state)
{
    (void)state;
    const char *argv[] = { "/bin/sleep", "600", NULL };
    struct seen seen = { 0 };
    struct child *child;
    struct err err;
    struct child_options options = { .argv = argv };
    assert_int_equal(child_start(&options, on_done, &seen, &child, &err), ERR_NONE);
    pid_t pid = child_pid(child);
    child_abandon(child);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(seen.count, 0);
    child_abandon(NULL);
}

static void
what_cannot_start_says_why(void **state)
{
    (void)state;
    struct child *child = NULL;
    struct err err;
    struct seen seen = { 0 };
    const char *missing[] = { "/nowhere/program", NULL };
    struct child_options options = { .argv = missing };
    assert_int_equal(child_start(&options, on_done, &seen, &child, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/program"));
    const char *plain[] = { "/etc/passwd", NULL };
    options.argv = plain;
    assert_int_equal(child_start(&options, on_done, &seen, &child, &err), ERR_DENIED);
    const char *fine[] = { "/bin/true", NULL };
    options = (struct child_options){ .argv = fine, .folder = "/nowhere" };
    assert_int_equal(child_start(&options, on_done, &seen, &child, &err), ERR_NOT_FOUND);
    options = (struct child_options){ .argv = fine, .run_as = "no-such-user-here" };
    assert_int_equal(child_start(&options, on_done, &seen, &child, &err), ERR_NOT_FOUND);
    assert_string_equal(err.slug, "user_not_found");
    assert_null(child);
    assert_int_equal(seen.count, 0);
}

static void
another_user_is_really_another(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct seen seen = run_shell("id -un; grep -E '^(Groups|CapEff):' /proc/self/status",
                                 (struct child_options){ .run_as = "nobody" });
    char name[64];
    char capabilities[64];
    assert_int_equal(sscanf(seen.output, "%63s", name), 1);
    assert_string_equal(name, "nobody");
    assert_int_equal(sscanf(strstr(seen.output, "CapEff:"), "CapEff: %63s", capabilities), 1);
    assert_string_equal(capabilities, "0000000000000000");
}

static void
blocking_run_tells_the_last_line(void **state)
{
    (void)state;
    struct err err;
    CLEANUP(freep) char *output = NULL;
    const char *good[] = { "/bin/echo", "hello", NULL };
    struct child_options options = { .argv = good };
    assert_int_equal(child_run(&options, &output, &err), ERR_NONE);
    assert_string_equal(output, "hello\n");
    const char *bad[] = { "/bin/sh", "-c", "echo first; echo 'no room' >&2; exit 7", NULL };
    options.argv = bad;
    assert_int_equal(child_run(&options, &output, &err), ERR_IO);
    assert_non_null(strstr(err.text, "exit code 7: no room"));
    /* It closes its output and stays: the deadline must hold all the same. */
    const char *quiet[] = { "/bin/sh", "-c", "exec >/dev/null 2>&1; sleep 600", NULL };
    options = (struct child_options){ .argv = quiet, .deadline_ms = 200 };
    assert_int_equal(child_run(&options, &output, &err), ERR_TIMEOUT);
}

static void
spawned_child_appends_to_its_file_and_dies_with_us(void **state)
{
    (void)state;
    char path[] = "/tmp/baton-test-child-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    /* A process between us and it: when that one ends, the kernel must tell it. */
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t middle = fork();
    if (middle == 0) {
        const char *argv[] = { "/bin/sh", "-c", "echo started; exec sleep 600", NULL };
        struct child_options options = { .argv = argv,
                                         .output_path = path,
                                         .death_signal = SIGINT };
        pid_t pid = 0;
        struct err err;
        if (child_spawn(&options, &pid, &err) != ERR_NONE)
            pid = 0;
        (void)!write(report[1], &pid, sizeof pid);
        /* Until it has written, for else it might die before. */
        CLEANUP(buf_done) struct buf text = { 0 };
        while (pid != 0 && text.size == 0 && file_read(path, 100, &text, &err) == ERR_NONE)
            (void)poll(NULL, 0, 5);
        _exit(0);
    }
    pid_t pid = 0;
    assert_int_equal(read(report[0], &pid, sizeof pid), sizeof pid);
    assert_true(pid > 1);
    (void)waitpid(middle, NULL, 0);
    uint64_t until = clock_now_ms() + 30000;
    bool gone = false;
    while (!gone && clock_now_ms() < until) {
        CLEANUP(freep) char *stat = str_printf("/proc/%d/stat", (int)pid);
        CLEANUP(buf_done) struct buf text = { 0 };
        struct err err;
        gone = file_read(stat, 4096, &text, &err) != ERR_NONE ||
               strstr(buf_text(&text), ") Z") != NULL;
        if (!gone)
            (void)poll(NULL, 0, 5);
    }
    assert_true(gone);
    CLEANUP(buf_done) struct buf text = { 0 };
    struct err err;
    assert_int_equal(file_read(path, 100, &text, &err), ERR_NONE);
    assert_string_equal(buf_text(&text), "started\n");
    (void)unlink(path);
    (void)close(report[0]);
    (void)close(report[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_code_come_back),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(input_environment_and_folder_are_what_we_say),
        cmocka_unit_test(nothing_is_inherited),
        cmocka_unit_test(the_deadline_ends_the_whole_group),
        cmocka_unit_test(a_polite_child_is_not_killed),
        cmocka_unit_test(cancel_ends_it),
        cmocka_unit_test(abandon_leaves_nothing),
        cmocka_unit_test(what_cannot_start_says_why),
        cmocka_unit_test(another_user_is_really_another),
        cmocka_unit_test(blocking_run_tells_the_last_line),
        cmocka_unit_test(spawned_child_appends_to_its_file_and_dies_with_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
