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
    _Atomic bool despair;
    _Atomic bool acts;     /* the daemon that runs has, or had, a permission of its own */
    _Atomic unsigned turn; /* odd: the daemon was killed while it wrote what follows */
    struct keeper_will will;
    char arbiter[KEEPER_ARBITER_SIZE];
} * page;             /* shared by the two; NULL without a keeper */
static int wake = -1; /* the daemon writes when it sets a first deadline */

struct keeper {
    pid_t pid; /* of the daemon; 0: none runs */
    int signals;
    bool stopping;
    bool ended;
    int exit_code;
    uint64_t started_ms;
    uint64_t start_at_ms; /* none runs: when the next one is started */
    unsigned quick_deaths;

    struct keeper_will will; /* of one that died; without a grant: nothing to release */
    char arbiter[KEEPER_ARBITER_SIZE];
    pid_t release_pid; /* 0: none runs */
    uint64_t release_by_ms;
    uint64_t leave_by_ms; /* 'ended': how long what is left behind is waited for */
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

void
keeper_arbiter(const char *document)
{
    if (page == NULL)
        return;
    (void)atomic_fetch_add(&page->turn, 1);
    if (document == NULL || strlen(document) >= sizeof page->arbiter)
        document = "";
    (void)snprintf(page->arbiter, sizeof page->arbiter, "%s", document);
    (void)atomic_fetch_add(&page->turn, 1);
}

void
keeper_will(const struct keeper_will *will)
{
    if (page == NULL)
        return;
    (void)atomic_fetch_add(&page->turn, 1);
    page->will = will == NULL ? (struct keeper_will){ 0 } : *will;
    (void)atomic_fetch_add(&page->turn, 1);
    atomic_store(&page->acts, true);
}

void
keeper_despair(void)
{
    if (page == NULL || atomic_exchange(&page->despair, true))
        return;
    (void)!eventfd_write(wake, 1);
}

static void
begin_child(const struct keeper *keeper, pid_t parent)
{
    sigset_t none;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(127);
    (void)close(keeper->signals);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
be_daemon(const struct keeper *keeper, keeper_work *work, void *data, pid_t parent)
{
    char pid[24];
    begin_child(keeper, parent);
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
    atomic_store(&page->despair, false);
    atomic_store(&page->acts, false);
    page->will = (struct keeper_will){ 0 };
    atomic_store(&page->turn, 0);
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

/* What the one that died had given up is released already, or runs out. */
static void
inherit(struct keeper *keeper)
{
    if (atomic_load(&page->deadline_ms) == 0 || atomic_load(&page->turn) % 2 != 0 ||
        page->will.grant == 0 || page->arbiter[0] == '\0')
        return;
    keeper->will = page->will;
    memcpy(keeper->arbiter, page->arbiter, sizeof keeper->arbiter);
}

static void
on_end(struct keeper *keeper, int status)
{
    uint64_t now_ms = clock_now_ms();
    keeper->pid = 0;
    keeper->leave_by_ms = now_ms + KEEPER_LEFT_BEHIND_MS;
    inherit(keeper);
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
        if (pid == keeper->release_pid)
            keeper->release_pid = 0;
    }
}

/* ------------------------------------------------------------------ the lease of one that died */

/* Nothing is left of what died: all of it would be a child of ours by now, or below one. */
static bool
is_alone(const struct keeper *keeper)
{
    char path[64];
    char line[64] = "";
    char expected[24];
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    (void)!fgets(line, sizeof line, file);
    bool known = !ferror(file);
    (void)fclose(file);
    (void)snprintf(expected, sizeof expected, "%ld ", (long)keeper->pid);
    return known && strcmp(line, keeper->pid == 0 ? "" : expected) == 0;
}

static bool
is_to_release(struct keeper *keeper)
{
    if (keeper->pid != 0 && atomic_load(&page->acts))
        keeper->will.grant = 0; /* the one that runs went on with it */
    if (keeper->will.grant == 0 || keeper->release_pid != 0)
        return false;
    if (keeper->pid != 0)
        return atomic_load(&page->despair);
    return keeper->ended || clock_now_ms() < keeper->start_at_ms;
}

static void
tell_arbiter(struct keeper *keeper, keeper_release *release, void *data)
{
    char epoch[EPOCH_TEXT_SIZE];
    pid_t parent = getpid();
    if (!is_to_release(keeper) || !is_alone(keeper))
        return;
    log_info("keeper.release", "epoch=%s grant=%llu", epoch_text(&keeper->will.epoch, epoch),
             (unsigned long long)keeper->will.grant);
    (void)fflush(NULL);
    keeper->release_by_ms = clock_now_ms() + KEEPER_RELEASE_MS;
    keeper->release_pid = fork();
    if (keeper->release_pid == 0) {
        begin_child(keeper, parent);
        page = NULL; /* it is no daemon */
        exit(release(data, &keeper->will, keeper->arbiter));
    }
    if (keeper->release_pid < 0) {
        log_error("keeper.fork", "reason=\"%s\"", strerror(errno));
        keeper->release_pid = 0;
    }
    keeper->will.grant = 0; /* once; then it runs out */
}

/* Not waited for: what the kernel holds up must not hold up the watch. reap() buries it. */
static void
end_late_release(struct keeper *keeper)
{
    if (keeper->release_pid == 0 || clock_now_ms() < keeper->release_by_ms)
        return;
    (void)kill(keeper->release_pid, SIGKILL);
    keeper->release_pid = 0;
}

static bool
has_to_stay(const struct keeper *keeper)
{
    return keeper->release_pid != 0 ||
           (keeper->will.grant != 0 && clock_now_ms() < keeper->leave_by_ms);
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
    if (keeper->release_pid != 0)
        until_ms = keeper->release_by_ms;
    else if (keeper->pid == 0)
        until_ms = keeper->ended ? keeper->leave_by_ms : keeper->start_at_ms;
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
keeper_run(keeper_work *work, keeper_release *release, void *data)
{
    static struct keeper keeper = { .signals = -1 };
    if (!prepare(&keeper)) {
        log_error("keeper.start", "reason=\"%s\"", strerror(errno));
        return 1;
    }
    start(&keeper, work, data);
    while (!keeper.ended || has_to_stay(&keeper)) {
        struct pollfd fds[] = { { .fd = keeper.signals, .events = POLLIN },
                                { .fd = wake, .events = POLLIN } };
        (void)poll(fds, 2, pause_ms(&keeper));
        eventfd_t count;
        (void)!eventfd_read(wake, &count);
        read_signal(&keeper);
        enforce(&keeper);
        end_late_release(&keeper);
        tell_arbiter(&keeper, release, data);
        if (!keeper.ended && keeper.pid == 0 && clock_now_ms() >= keeper.start_at_ms)
            start(&keeper, work, data);
    }
    return keeper.exit_code;
}
