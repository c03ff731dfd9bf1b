#include "controller/loop/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 90000

static char folder[64];
static char path[96];
static int inbox;

static void
expect(const char *text)
{
    char got[512];
    struct pollfd wait = { .fd = inbox, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    ssize_t size = recv(inbox, got, sizeof got - 1, 0);
    assert_true(size > 0);
    got[size] = '\0';
    assert_string_equal(got, text);
}

static void
states_are_told(void **state)
{
    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    notify_ready("primary since 12:01, epoch 3");
    expect("READY=1\nSTATUS=primary since 12:01, epoch 3");
    notify_status("standby");
    expect("STATUS=standby");
    notify_reloading();
    expect("RELOADING=1");
    notify_stopping();
    expect("STOPPING=1");
}

static void
on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)io, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* It is the loop that feeds it: a loop that does not turn is noticed. */
static void
the_watchdog_is_fed_by_the_loop(void **state)
{
    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "60000", 1), 0);
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct notify *notify = notify_open(loop);
    ev_io io;
    ev_io_init(&io, on_readable, inbox, EV_READ);
    ev_io_start(loop, &io);
    for (unsigned i = 0; i < 3; i++) {
        ev_run(loop, 0);
        expect("WATCHDOG=1");
    }
    notify_close(notify);
    ev_io_stop(loop, &io);
    ev_loop_destroy(loop);
    (void)unsetenv("WATCHDOG_USEC");
}

static void
without_systemd_nothing_happens(void **state)
{
    char late[64]; /* a slow loop fed the watchdog once more */
    (void)state;
    while (recv(inbox, late, sizeof late, MSG_DONTWAIT) > 0)
        continue;
    (void)unsetenv("NOTIFY_SOCKET");
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct notify *notify = notify_open(loop);
    assert_non_null(notify);
    notify_ready("x");
    notify_stopping();
    struct pollfd wait = { .fd = inbox, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, 0), 0);
    notify_close(notify);
    notify_close(NULL);
    ev_loop_destroy(loop);
}

static int
make(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/baton-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/notify", folder);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    inbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return bind(inbox, (struct sockaddr *)&address, sizeof address) != 0;
}

static int
drop(void **state)
{
    (void)state;
    (void)close(inbox);
    (void)unlink(path);
    return rmdir(folder) != 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_told),
        cmocka_unit_test(the_watchdog_is_fed_by_the_loop),
        cmocka_unit_test(without_systemd_nothing_happens),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
