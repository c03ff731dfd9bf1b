#include "controller/loop/notify.h"

#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "controller/base/check.h"

struct notify {
    struct ev_loop *loop; /* borrowed */
    ev_timer watchdog;
};

static void
on_watchdog(struct ev_loop *loop, ev_timer *watchdog, int revents)
{
    (void)loop, (void)watchdog, (void)revents;
    (void)sd_notify(0, "WATCHDOG=1");
}

struct notify *
notify_open(struct ev_loop *loop)
{
    struct notify *notify = mem_zero(1, sizeof *notify);
    uint64_t period_us = 0;
    notify->loop = loop;
    ev_init(&notify->watchdog, on_watchdog);
    if (sd_watchdog_enabled(0, &period_us) > 0 && period_us > 0) {
        double pause_s = (double)period_us / 3e6;
        ev_timer_set(&notify->watchdog, pause_s, pause_s);
        ev_timer_start(loop, &notify->watchdog);
    }
    return notify;
}

void
notify_close(struct notify *notify)
{
    if (notify == NULL)
        return;
    ev_timer_stop(notify->loop, &notify->watchdog);
    free(notify);
}

void
notify_ready(const char *status)
{
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void
notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void
notify_reloading(void)
{
    (void)sd_notify(0, "RELOADING=1");
}

void
notify_status(const char *status)
{
    (void)sd_notifyf(0, "STATUS=%s", status);
}
