#include "controller/loop/knock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/base/clock.h"

static struct ev_loop *loop;

struct answer {
    unsigned count;
    enum knock_result result;
};

static void
on_answer(void *data, enum knock_result result)
{
    struct answer *answer = data;
    answer->count++;
    answer->result = result;
    ev_break(loop, EVBREAK_ALL);
}

/* A socket on a port of its own; it listens, or only keeps the port from others. */
static int
take_port(bool listens, uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, size), 0);
    if (listens)
        assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return taken;
}

static enum knock_result
knock_at(const char *host, uint16_t port, unsigned timeout_ms)
{
    struct answer answer = { 0 };
    (void)knock_start(loop, host, port, timeout_ms, on_answer, &answer);
    assert_int_equal(answer.count, 0);
    (void)ev_run(loop, 0);
    assert_int_equal(answer.count, 1);
    return answer.result;
}

static void
what_listens_opens(void **state)
{
    uint16_t port;
    int taken = take_port(true, &port);
    (void)state;
    assert_int_equal(knock_at("127.0.0.1", port, 20000), KNOCK_OPEN);
    assert_int_equal(knock_at("localhost", port, 20000), KNOCK_OPEN);
    (void)close(taken);
}

static void
what_does_not_listen_is_refused(void **state)
{
    uint16_t port;
    int taken = take_port(false, &port);
    (void)state;
    assert_int_equal(knock_at("127.0.0.1", port, 20000), KNOCK_REFUSED);
    (void)close(taken);
}

/* A queue that is full drops what comes: nobody says no. */
static void
who_says_nothing_is_silent(void **state)
{
    uint16_t port;
    int taken = take_port(true, &port);
    int fillers[16];
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)state;
    for (size_t i = 0; i < 16; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(knock_at("127.0.0.1", port, 200), KNOCK_SILENT);
    assert_int_equal(knock_at("no-such-host.invalid", port, 20000), KNOCK_SILENT);
    for (size_t i = 0; i < 16; i++)
        (void)close(fillers[i]);
    (void)close(taken);
}

static void
a_cancelled_one_is_not_answered(void **state)
{
    uint16_t port;
    int taken = take_port(true, &port);
    struct answer answer = { 0 };
    (void)state;
    knock_cancel(knock_start(loop, "127.0.0.1", port, 20000, on_answer, &answer));
    knock_cancel(NULL);
    assert_int_equal(knock_at("127.0.0.1", port, 20000), KNOCK_OPEN);
    assert_int_equal(answer.count, 0);
    (void)close(taken);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_listens_opens),
        cmocka_unit_test(what_does_not_listen_is_refused),
        cmocka_unit_test(who_says_nothing_is_silent),
        cmocka_unit_test(a_cancelled_one_is_not_answered),
    };
    loop = ev_default_loop(0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ev_loop_destroy(loop);
    return failed;
}
