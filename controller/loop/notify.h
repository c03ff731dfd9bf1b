/*
 * notify.h -- tells systemd how we are (sd_notify): READY, STOPPING, a status line, and the
 * watchdog, fed from the loop itself so that a stalled loop is noticed. Does nothing elsewhere.
 */
#pragma once

#include <ev.h>

struct notify;

/* Feeds the watchdog three times in its period, if systemd asked for one. Never NULL. */
struct notify *notify_open(struct ev_loop *loop);
void notify_close(struct notify *notify);
void notify_ready(const char *status);
void notify_stopping(void);
void notify_reloading(void);
/* "primary since 12:01, epoch 3": shown by systemctl status. */
void notify_status(const char *status);
