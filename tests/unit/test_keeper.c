#include "controller/daemon/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/clock.h"

#define PATIENCE_MS 20000

/* What the daemon of a test does: it tells its process id, and then as it was told. */
enum deed { END_WITH_7, SLEEP, END_AT_SIGNAL, SLEEP_PAST_DEADLINE, KEEP_DEADLINE };

static int told[2];
static enum deed deed;
static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
    if (number == SIGTERM)
        ended = 1;
}

static int
work(void *data)
{
    pid_t pid = getpid();
    struct sigaction action = { .sa_handler = on_signal };
    (void)data;
    if (deed == END_AT_SIGNAL) {
        (void)sigaction(SIGTERM, &action, NULL);
        (void)sigaction(SIGHUP, &action, NULL);
    }
    if (deed == SLEEP_PAST_DEADLINE)
        keeper_deadline(clock_now_ms() + 100);
    if (write(told[1], &pid, sizeof pid) != (ssize_t)sizeof pid)
        return 1;
    while (deed != END_WITH_7 && !ended) {
        if (deed == KEEP_DEADLINE)
            keeper_deadline(clock_now_ms() + 2500);
        (void)poll(NULL, 0, 20);
    }
    return 7;
}

/* The keeper, in a process of its own. */
static pid_t
keep(enum deed what)
{
    deed = what;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(keeper_run(work, NULL));
    (void)close(told[1]);
    return pid;
}

/* The next daemon's process id; 0: none came. */
static pid_t
next_daemon(void)
{
    struct pollfd wait = { .fd = told[0], .events = POLLIN };
    pid_t pid = 0;
    if (poll(&wait, 1, PATIENCE_MS) != 1 || read(told[0], &pid, sizeof pid) != (ssize_t)sizeof pid)
        return 0;
    return pid;
}

static int
end(pid_t keeper)
{
    int status = -1;
    assert_int_equal(waitpid(keeper, &status, 0), keeper);
    (void)close(told[0]);
    return status;
}

/* Nobody holds the writing end any more: every daemon is gone. */
static void
assert_nobody_is_left(void)
{
    struct pollfd wait = { .fd = told[0], .events = POLLIN };
    char byte;
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    assert_int_equal(read(told[0], &byte, 1), 0);
}

static void
an_exit_code_is_handed_on(void **state)
{
    (void)state;
    pid_t keeper = keep(END_WITH_7);
    assert_int_not_equal(next_daemon(), 0);
    int status = end(keeper);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void
a_killed_daemon_is_started_again(void **state)
{
    (void)state;
    pid_t keeper = keep(SLEEP);
    pid_t first = next_daemon();
    assert_int_equal(kill(first, SIGKILL), 0);
    pid_t second = next_daemon();
    assert_int_not_equal(second, 0);
    assert_int_not_equal(second, first);
    assert_int_equal(kill(keeper, SIGTERM), 0); /* ends by it, and nobody comes again */
    assert_nobody_is_left();
    int status = end(keeper);
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
}

static void
signals_are_passed_on(void **state)
{
    (void)state;
    pid_t keeper = keep(END_AT_SIGNAL);
    assert_int_not_equal(next_daemon(), 0);
    assert_int_equal(kill(keeper, SIGHUP), 0);
    assert_int_equal(kill(keeper, SIGTERM), 0);
    int status = end(keeper);
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* I9: stopped in the middle, it cannot give up by itself. */
static void
who_stays_past_the_deadline_is_killed(void **state)
{
    (void)state;
    pid_t keeper = keep(SLEEP_PAST_DEADLINE);
    pid_t first = next_daemon();
    assert_int_equal(kill(first, SIGSTOP), 0);
    pid_t second = next_daemon();
    assert_int_not_equal(second, 0);
    assert_int_not_equal(second, first);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    assert_nobody_is_left(); /* the daemon ends with its keeper */
    (void)end(keeper);
}

static void
a_deadline_that_moves_on_harms_nobody(void **state)
{
    (void)state;
    pid_t keeper = keep(KEEP_DEADLINE);
    pid_t first = next_daemon();
    struct pollfd wait = { .fd = told[0], .events = POLLIN };
    assert_int_equal(poll(&wait, 1, 3500), 0); /* no second one */
    assert_int_equal(kill(first, 0), 0);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    assert_nobody_is_left();
    (void)end(keeper);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_code_is_handed_on),
        cmocka_unit_test(a_killed_daemon_is_started_again),
        cmocka_unit_test(signals_are_passed_on),
        cmocka_unit_test(who_stays_past_the_deadline_is_killed),
        cmocka_unit_test(a_deadline_that_moves_on_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
