/* What an etcd says that cannot do what it is asked: each version of its gateway says it in a way
 * of its own, and in the middle of a stream under a status that was told before. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/arbiter_asking.h"

struct gateway {
    ev_io io;
    const char *words; /* to everybody, whatever is asked */
};

static void
on_connection(struct ev_loop *loop, ev_io *io, int revents)
{
    struct gateway *gateway = CONTAINER_OF(io, struct gateway, io);
    (void)loop, (void)revents;
    int connection = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(connection >= 0);
    char question[4096];
    assert_true(recv(connection, question, sizeof question, 0) > 0);
    assert_true(write(connection, gateway->words, strlen(gateway->words)) > 0);
    (void)close(connection);
}

static uint16_t
gateway_open(struct world *world, struct gateway *gateway)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    ev_io_init(&gateway->io, on_connection, fd, EV_READ);
    ev_io_start(world->loop, &gateway->io);
    return ntohs(address.sin_port);
}

static struct arbiter_reply
answer_to(struct world *world, const char *words, enum arbiter_op op)
{
    struct gateway gateway = { .words = words };
    struct arbiter_config config = { .kind = ARBITER_ETCD, .endpoint_count = 1 };
    config.endpoints[0] = str_printf("http://127.0.0.1:%u", gateway_open(world, &gateway));
    struct arbiter *arbiter =
        open_with(world, &config, &(struct world_identity){ 0 }, WORLD_CLUSTER);
    struct arbiter_reply reply = expect(world, arbiter, op, 3, "east-1", ARBITER_UNCLEAR);
    arbiter_close(arbiter);
    arbiter_config_done(&config);
    ev_io_stop(world->loop, &gateway.io);
    (void)close(gateway.io.fd);
    return reply;
}

static void
the_reason_is_told(void **state)
{
    static const char *const words[] = {
        "HTTP/1.1 503 No\r\n\r\n{\"error\":\"no leader\",\"code\":14}",
        "HTTP/1.1 503 No\r\n\r\n{\"code\":14,\"message\":\"no leader\"}",
        "HTTP/1.1 503 No\r\n\r\n{\"error\":{\"message\":\"no leader\"}}\n",
        "HTTP/1.1 200 OK\r\n\r\n{\"error\":{\"message\":\"no leader\"}}\n",
    };
    (void)state;
    struct world world = { .name = "etcd", .loop = ev_default_loop(0) };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct arbiter_reply reply = answer_to(&world, words[i], ARBITER_OP_RENEW);
        assert_string_equal(reply.err.slug, "arbiter_refused");
        assert_non_null(strstr(reply.err.text, ": no leader"));
    }
    struct arbiter_reply reply =
        answer_to(&world, "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", ARBITER_OP_READ);
    assert_string_equal(reply.err.slug, "arbiter_refused");
    assert_non_null(strstr(reply.err.text, "502: no reason given"));
    ev_loop_destroy(world.loop);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reason_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
