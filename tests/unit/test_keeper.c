#include "controller/daemon/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/clock.h"

#define PATIENCE_MS 90000

/* What the daemon of a test does: it tells its process id, and then as it was told. */
enum deed { END_WITH_7, SLEEP, END_AT_SIGNAL, SLEEP_PAST_DEADLINE, KEEP_DEADLINE, ACT, DESPAIR };

/* What is told beside process ids. */
#define LEFT_BEHIND_ENDS (-1)
#define RELEASED         (-2)

static int told[2];
static enum deed deed;
static bool leaves_behind;
static volatile sig_atomic_t ended;
static unsigned *lives; /* daemons so far; shared */

static void
on_signal(int number)
{
    if (number == SIGTERM)
        ended = 1;
}

static void
tell(pid_t what)
{
    assert_int_equal(write(told[1], &what, sizeof what), (int)sizeof what);
}

/* As a program that was started for a connector, and lives on: until the next daemon runs, or for a
 * moment when none comes. */
static void
leave_behind(void)
{
    pid_t daemon = getpid();
    unsigned life = *lives;
    if (fork() != 0)
        return;
    while (getppid() == daemon)
        (void)poll(NULL, 0, 10);
    for (unsigned i = 0;
         i < 2000 && (deed != DESPAIR ? i < 20 : *(volatile unsigned *)lives == life); i++)
        (void)poll(NULL, 0, 10);
    tell(LEFT_BEHIND_ENDS);
    _exit(0);
}

static void
act(void)
{
    struct keeper_will will = { .epoch = epoch_make(4, "a-1"), .grant = 9 };
    keeper_arbiter("{\"kind\": \"etcd\"}");
    keeper_will(&will);
    keeper_deadline(clock_now_ms() + 60000);
    if (leaves_behind)
        leave_behind();
}

static int
release(void *data, const struct keeper_will *will, const char *arbiter)
{
    (void)data;
    assert_string_equal(arbiter, "{\"kind\": \"etcd\"}");
    assert_int_equal(will->grant, 9);
    tell(RELEASED);
    return 0;
}

static int
work(void *data)
{
    pid_t pid = getpid();
    struct sigaction action = { .sa_handler = on_signal };
    (void)data;
    (*lives)++;
    if (deed == DESPAIR && *lives > 1)
        keeper_despair();
    else if (deed == DESPAIR || deed == ACT)
        act();
    if (deed == END_AT_SIGNAL) {
        (void)sigaction(SIGTERM, &action, NULL);
        (void)sigaction(SIGHUP, &action, NULL);
    }
    if (deed == SLEEP_PAST_DEADLINE)
        keeper_deadline(clock_now_ms() + 100);
    if (write(told[1], &pid, sizeof pid) != (ssize_t)sizeof pid)
        return 1;
    while (deed != END_WITH_7 && deed != ACT && !ended) {
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
    *lives = 0;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(keeper_run(work, release, NULL));
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

static void
the_lease_of_one_that_ended_is_released(void **state)
{
    (void)state;
    leaves_behind = false;
    pid_t keeper = keep(ACT);
    assert_true(next_daemon() > 0);
    assert_int_equal(next_daemon(), RELEASED);
    assert_int_equal(WEXITSTATUS(end(keeper)), 7);
}

/* I9: what it had started may still act. */
static void
nothing_is_released_before_all_has_ended(void **state)
{
    (void)state;
    leaves_behind = true;
    pid_t keeper = keep(ACT);
    assert_true(next_daemon() > 0);
    assert_int_equal(next_daemon(), LEFT_BEHIND_ENDS);
    assert_int_equal(next_daemon(), RELEASED);
    assert_int_equal(WEXITSTATUS(end(keeper)), 7);
}

static void
who_waits_to_be_started_again_holds_nothing(void **state)
{
    (void)state;
    leaves_behind = false;
    pid_t keeper = keep(DESPAIR);
    pid_t first = next_daemon();
    assert_int_equal(kill(first, SIGKILL), 0); /* so soon that the next one waits */
    assert_int_equal(next_daemon(), RELEASED);
    assert_true(next_daemon() > 0);
    assert_int_equal(kill(keeper, SIGTERM), 0);
    assert_nobody_is_left();
    (void)end(keeper);
}

static void
the_next_one_may_despair(void **state)
{
    (void)state;
    leaves_behind = true; /* until the next one runs */
    pid_t keeper = keep(DESPAIR);
    pid_t first = next_daemon();
    assert_int_equal(kill(first, SIGKILL), 0);
    pid_t second = next_daemon();
    pid_t end_of_orphan = next_daemon();
    assert_true(second > 0 || end_of_orphan > 0); /* the two come in any order */
    assert_true(second == LEFT_BEHIND_ENDS || end_of_orphan == LEFT_BEHIND_ENDS);
    assert_int_equal(next_daemon(), RELEASED);
    assert_int_equal(kill(keeper, SIGTERM), 0);
    assert_nobody_is_left();
    (void)end(keeper);
}

int
main(void)
{
    lives = mmap(NULL, sizeof *lives, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(lives != MAP_FAILED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_code_is_handed_on),
        cmocka_unit_test(a_killed_daemon_is_started_again),
        cmocka_unit_test(signals_are_passed_on),
        cmocka_unit_test(who_stays_past_the_deadline_is_killed),
        cmocka_unit_test(a_deadline_that_moves_on_harms_nobody),
        cmocka_unit_test(the_lease_of_one_that_ended_is_released),
        cmocka_unit_test(nothing_is_released_before_all_has_ended),
        cmocka_unit_test(who_waits_to_be_started_again_holds_nothing),
        cmocka_unit_test(the_next_one_may_despair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
