#include "controller/daemon/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/clock.h"
#include "controller/base/log.h"

#define KEEPER_GRACE_MS 50   /* for a daemon that gives up at the deadline itself */
#define KEEPER_QUICK_MS 5000 /* one that died sooner than this waits before it is started again */
#define KEEPER_PAUSE_MS 1000
#define KEEPER_DEATHS_MAX                                                                          \
    5 /* so many quick ones in a row, and the service manager has to see it                        \
       */

static struct page {
    _Atomic uint64_t deadline_ms; /* 0: none */
} * page;                         /* shared by the two; NULL without a keeper */
static int wake = -1;             /* the daemon writes when it sets a first deadline */

struct keeper {
    pid_t pid; /* of the daemon; 0: none runs */
    int signals;
    bool stopping;
    bool ended;
    int exit_code;
    uint64_t started_ms;
    uint64_t start_at_ms; /* none runs: when the next one is started */
    unsigned quick_deaths;
};

void
keeper_deadline(uint64_t deadline_ms)
{
    if (page == NULL)
        return;
    uint64_t before = atomic_exchange(&page->deadline_ms, deadline_ms);
    if (before == 0 && deadline_ms != 0)
        (void)!eventfd_write(wake, 1);
}

static _Noreturn void
be_daemon(const struct keeper *keeper, keeper_work *work, void *data, pid_t parent)
{
    sigset_t none;
    char pid[24];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(127);
    (void)close(keeper->signals);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (getenv("WATCHDOG_PID") != NULL) { /* the loop is what systemd is to watch */
        (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
        (void)setenv("WATCHDOG_PID", pid, 1);
    }
    exit(work(data));
}

static void
start(struct keeper *keeper, keeper_work *work, void *data)
{
    pid_t parent = getpid();
    atomic_store(&page->deadline_ms, 0);
    keeper->started_ms = clock_now_ms();
    keeper->start_at_ms = 0;
    (void)fflush(NULL); /* or both would write what is left */
    keeper->pid = fork();
    if (keeper->pid == 0)
        be_daemon(keeper, work, data, parent);
    if (keeper->pid < 0) {
        log_error("keeper.fork", "reason=\"%s\"", strerror(errno));
        keeper->pid = 0;
        keeper->start_at_ms = clock_now_ms() + KEEPER_PAUSE_MS;
    }
}

static void
on_end(struct keeper *keeper, int status)
{
    uint64_t now_ms = clock_now_ms();
    keeper->pid = 0;
    if (WIFEXITED(status)) {
        keeper->exit_code = WEXITSTATUS(status);
        keeper->ended = true;
        return;
    }
    int number = WTERMSIG(status);
    bool quick = now_ms - keeper->started_ms < KEEPER_QUICK_MS;
    keeper->quick_deaths = quick ? keeper->quick_deaths + 1 : 0;
    keeper->exit_code = 128 + number;
    keeper->ended = keeper->stopping || keeper->quick_deaths > KEEPER_DEATHS_MAX;
    keeper->start_at_ms = now_ms + (quick ? KEEPER_PAUSE_MS : 0);
    log_error("keeper.died", "signal=%d restart=%d after_ms=%llu", number, !keeper->ended,
              (unsigned long long)(now_ms - keeper->started_ms));
}

/* Also what the daemon has left behind: it is ours now. */
static void
reap(struct keeper *keeper)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == keeper->pid)
            on_end(keeper, status);
    }
}

static void
read_signal(struct keeper *keeper)
{
    struct signalfd_siginfo info;
    if (read(keeper->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    int number = (int)info.ssi_signo;
    if (number == SIGCHLD) {
        reap(keeper);
        return;
    }
    keeper->stopping = keeper->stopping || number == SIGTERM || number == SIGINT;
    if (keeper->pid > 0)
        (void)kill(keeper->pid, number);
    else if (keeper->stopping)
        keeper->ended = true;
}

/* How long nothing happens unless a signal comes; -1: for ever. */
static int
pause_ms(const struct keeper *keeper)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t until_ms = atomic_load(&page->deadline_ms);
    if (keeper->pid == 0)
        until_ms = keeper->start_at_ms;
    else if (until_ms == 0)
        return -1;
    else
        until_ms += KEEPER_GRACE_MS;
    if (until_ms <= now_ms)
        return 0;
    /* poll() stands still while the machine is suspended, and a deadline does not */
    return until_ms - now_ms > 1000 ? 1000 : (int)(until_ms - now_ms);
}

static void
enforce(struct keeper *keeper)
{
    uint64_t deadline_ms = atomic_load(&page->deadline_ms);
    uint64_t now_ms = clock_now_ms();
    if (keeper->pid == 0 || deadline_ms == 0 || now_ms < deadline_ms + KEEPER_GRACE_MS)
        return;
    log_error("keeper.deadline", "late_ms=%llu text=\"it did not give up: killed\"",
              (unsigned long long)(now_ms - deadline_ms));
    (void)kill(keeper->pid, SIGKILL);
    int status;
    if (waitpid(keeper->pid, &status, 0) == keeper->pid)
        on_end(keeper, status);
}

static bool
prepare(struct keeper *keeper)
{
    sigset_t set;
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)sigaddset(&set, numbers[i]);
    void *memory =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    page = memory;
    wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    keeper->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return wake >= 0 && keeper->signals >= 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0 &&
           prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

int
keeper_run(keeper_work *work, void *data)
{
    struct keeper keeper = { .signals = -1 };
    if (!prepare(&keeper)) {
        log_error("keeper.start", "reason=\"%s\"", strerror(errno));
        return 1;
    }
    start(&keeper, work, data);
    while (!keeper.ended) {
        struct pollfd fds[] = { { .fd = keeper.signals, .events = POLLIN },
                                { .fd = wake, .events = POLLIN } };
        (void)poll(fds, 2, pause_ms(&keeper));
        eventfd_t count;
        (void)!eventfd_read(wake, &count);
        read_signal(&keeper);
        enforce(&keeper);
        if (!keeper.ended && keeper.pid == 0 && clock_now_ms() >= keeper.start_at_ms)
            start(&keeper, work, data);
    }
    return keeper.exit_code;
}
