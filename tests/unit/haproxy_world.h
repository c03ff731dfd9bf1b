/*
 * haproxy_world.h -- a real HAProxy in the folder of activation_world.h: backend 'pam' with two
 * servers and three for instances, as they are after its start in use for nobody, 'half' with one,
 * and 'bound' with 256 for instances, which stay out while that of 'half' does. No port is taken.
 */
#pragma once

#include "activation_world.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "controller/loop/child.h"

#define HAPROXY "/usr/sbin/haproxy"

struct proxy {
    struct world *world;
    struct child *child;
    char *config;
    char *place;
    bool ended;
};

static inline void
on_proxy_ended(void *data, const struct child_result *result)
{
    struct proxy *proxy = data;
    (void)result;
    proxy->child = NULL;
    proxy->ended = true;
}

static inline bool
has_ended(void *data)
{
    return ((struct proxy *)data)->ended;
}

/* What it says to one line; "" when nobody is there. Owned by the caller. */
static inline char *
ask(const char *place, const char *line)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct buf answer = { 0 };
    assert_true(str_copy(name.sun_path, sizeof name.sun_path, place));
    int handle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(handle >= 0);
    if (connect(handle, (const struct sockaddr *)&name, sizeof name) == 0) {
        char *text = str_printf("%s\n", line);
        ssize_t size = (ssize_t)strlen(text);
        assert_int_equal(send(handle, text, strlen(text), MSG_NOSIGNAL), size);
        free(text);
        while ((size = recv(handle, buf_reserve(&answer, 4096), 4096, 0)) > 0)
            buf_grew(&answer, (size_t)size);
    }
    (void)close(handle);
    return buf_take(&answer);
}

static inline bool
answers(void *data)
{
    struct proxy *proxy = data;
    char *text = ask(proxy->place, "show info");
    bool there = text[0] != '\0';
    free(text);
    return there;
}

static inline void
proxy_start(struct proxy *proxy)
{
    const char *const argv[] = { HAPROXY, "-db", "-f", proxy->config, NULL };
    struct child_options options = { .argv = argv };
    struct err err;
    proxy->ended = false;
    if (child_start(&options, on_proxy_ended, proxy, &proxy->child, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_true(world_until(proxy->world, answers, proxy));
}

static inline void
proxy_stop(struct proxy *proxy)
{
    child_signal(proxy->child, SIGKILL);
    assert_true(world_until(proxy->world, has_ended, proxy));
}

static inline int
proxy_setup(void **state)
{
    struct world *world = world_new();
    struct proxy *proxy = mem_zero(1, sizeof *proxy);
    proxy->world = world;
    proxy->config = world_path(world, "haproxy.cfg");
    proxy->place = world_path(world, "admin");
    char *text = str_printf("global\n"
                            "    stats socket %s/admin mode 600 level admin\n"
                            "    stats socket %s/operator mode 600 level operator\n"
                            "defaults\n"
                            "    mode tcp\n"
                            "    timeout connect 1s\n    timeout client 1m\n    timeout server 1m\n"
                            "frontend pam\n    bind unix@%s/front\n    default_backend pam\n"
                            "backend pam\n"
                            "    server main 127.0.0.1:9 disabled\n"
                            "    server alternate 127.0.0.1:9 disabled\n"
                            "    server-template instance 1-3 localhost:9 disabled "
                            "init-addr last,libc,127.0.0.1\n"
                            "backend half\n    server main 127.0.0.1:9 check disabled\n"
                            "backend bound\n    server-template instance 1-256 127.0.0.1:9 "
                            "track half/main\n",
                            world->folder, world->folder, world->folder);
    world_put(world, "haproxy.cfg", text, 0600);
    free(text);
    proxy_start(proxy);
    *state = proxy;
    return 0;
}

static inline int
proxy_teardown(void **state)
{
    struct proxy *proxy = *state;
    if (proxy->child != NULL)
        proxy_stop(proxy);
    free(proxy->config);
    free(proxy->place);
    world_free(proxy->world);
    free(proxy);
    return 0;
}

static inline void
says(struct proxy *proxy, const char *main, const char *alternate)
{
    char *answer = ask(proxy->place, "show servers state pam");
    assert_non_null(strstr(answer, main));
    assert_non_null(strstr(answer, alternate));
    free(answer);
}

static inline void
tell(struct proxy *proxy, const char *line)
{
    free(ask(proxy->place, line));
}
