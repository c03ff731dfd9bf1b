#include "controller/loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"

#define GROUPS_MAX     64
#define ASIDE          32 /* descriptors from here on are nobody's target */
#define INPUT_SIZE_MAX 65536
#define READ_SIZE      16384
#define DRAIN_MS_MAX   200 /* after its end, for output that a grandchild still holds open */
#define DEFAULT_PATH   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct user {
    bool change;
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    int group_count;
};

/* Where a child failed before its program began; sent through a pipe as plain bytes. */
enum stage { STAGE_STREAMS, STAGE_USER, STAGE_OUTPUT, STAGE_FOLDER, STAGE_EXEC };
struct failure {
    enum stage stage;
    int number;
};

static void
close_one(int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor);
    *descriptor = -1;
}

/* Looked up before the fork: between fork and exec nothing may lock or allocate. */
static enum err_code
find_user(const char *name, struct user *ret_user, struct err *err)
{
    struct user user = { 0 };
    if (name != NULL) {
        char room[4096];
        struct passwd entry;
        struct passwd *found = NULL;
        int number = getpwnam_r(name, &entry, room, sizeof room, &found);
        if (found == NULL && number != 0)
            return err_errno(err, number, "look up user '%s'", name);
        if (found == NULL)
            return err_set(err, ERR_NOT_FOUND, "user_not_found", "no user '%s' on this host", name);
        user.uid = entry.pw_uid;
        user.gid = entry.pw_gid;
        user.change = geteuid() != user.uid;
        user.group_count = GROUPS_MAX;
        if (user.change && geteuid() != 0) {
            (void)err_set(err, ERR_DENIED, "not_root", "cannot run as '%s'", name);
            return err_mend(err, "run as root or as that user");
        }
        if (user.change && getgrouplist(name, user.gid, user.groups, &user.group_count) < 0)
            return err_set(err, ERR_LIMIT, "groups", "user '%s' is in more than %d groups", name,
                           GROUPS_MAX);
    }
    *ret_user = user;
    return ERR_NONE;
}

static _Noreturn void
give_up(int report, enum stage stage)
{
    struct failure failure = { .stage = stage, .number = errno };
    (void)!write(report, &failure, sizeof failure);
    _exit(127);
}

static void
reset_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: async-signal-safe calls only, for another thread may have held a lock at fork. */
static _Noreturn void
become(const struct child_options *options, const struct user *user, const int streams[2],
       int report, pid_t parent)
{
    static const char *const plain[] = { DEFAULT_PATH, "LC_ALL=C", NULL };
    reset_signals();
    (void)setsid();
    int kept[CHILD_KEEP_MAX];
    /* First out of each other's way, wherever they came to lie. */
    int input = fcntl(streams[0], F_DUPFD_CLOEXEC, ASIDE);
    int output = fcntl(streams[1], F_DUPFD_CLOEXEC, ASIDE);
    report = fcntl(report, F_DUPFD_CLOEXEC, ASIDE);
    for (size_t i = 0; i < options->keep_count; i++)
        kept[i] = fcntl(options->keep[i], F_DUPFD_CLOEXEC, ASIDE);
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
        dup3(report, 3, O_CLOEXEC) < 0)
        give_up(report, STAGE_STREAMS);
    report = 3;
    for (size_t i = 0; i < options->keep_count; i++) {
        if (dup2(kept[i], CHILD_KEEP_FIRST + (int)i) < 0)
            give_up(report, STAGE_STREAMS);
    }
    (void)close_range(CHILD_KEEP_FIRST + (unsigned)options->keep_count, ~0U, 0);

    if (user->change && (setgroups((size_t)user->group_count, user->groups) != 0 ||
                         setresgid(user->gid, user->gid, user->gid) != 0 ||
                         setresuid(user->uid, user->uid, user->uid) != 0))
        give_up(report, STAGE_USER);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        give_up(report, STAGE_USER);
    /* After the change of user, which clears it. If we died before, nobody would ever tell. */
    int death = options->death_signal == 0 ? SIGKILL : options->death_signal;
    if (prctl(PR_SET_PDEATHSIG, death, 0, 0, 0) != 0)
        give_up(report, STAGE_USER);
    if (getppid() != parent)
        _exit(127);
    if (options->output_path != NULL) {
        /* As the user that it runs as, who may own the folder and must not lead us elsewhere. */
        int file = open(options->output_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
        if (file < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0)
            give_up(report, STAGE_OUTPUT);
        (void)close(file);
    }
    if (chdir(options->folder == NULL ? "/" : options->folder) != 0)
        give_up(report, STAGE_FOLDER);
    const char *const *envp = options->envp == NULL ? plain : options->envp;
    (void)execve(options->argv[0], (char *const *)(uintptr_t)options->argv,
                 (char *const *)(uintptr_t)envp);
    give_up(report, STAGE_EXEC);
}

static enum err_code
say_failure(const struct child_options *options, const struct failure *failure, struct err *err)
{
    switch (failure->stage) {
    case STAGE_USER:
        return err_errno(err, failure->number, "run '%s' as '%s'", options->argv[0],
                         options->run_as == NULL ? "ourselves" : options->run_as);
    case STAGE_FOLDER:
        return err_errno(err, failure->number, "enter folder '%s' for '%s'", options->folder,
                         options->argv[0]);
    case STAGE_STREAMS:
        return err_errno(err, failure->number, "connect the streams of '%s'", options->argv[0]);
    case STAGE_OUTPUT:
        return err_errno(err, failure->number, "open '%s'", options->output_path);
    case STAGE_EXEC:
        return err_errno(err, failure->number, "run '%s'", options->argv[0]);
    }
    return err_set(err, ERR_INTERNAL, "child", "run '%s'", options->argv[0]);
}

/* Forks; returns once the program runs or has failed to start. */
static enum err_code
fork_child(const struct child_options *options, const int streams[2], pid_t *ret_pid,
           struct err *err)
{
    struct user user;
    enum err_code code = find_user(options->run_as, &user, err);
    if (code != ERR_NONE)
        return code;
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return err_errno(err, errno, "make a pipe");

    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(options, &user, streams, report[1], parent);
    int fork_errno = errno;
    close_one(&report[1]);
    struct failure failure;
    ssize_t got = 0;
    if (pid > 0) {
        /* Ends when exec closes the pipe: the time of a fork, not of the program. */
        do {
            got = read(report[0], &failure, sizeof failure);
        } while (got < 0 && errno == EINTR);
    }
    close_one(&report[0]);
    if (pid < 0)
        return err_errno(err, fork_errno, "fork for '%s'", options->argv[0]);
    if (got == (ssize_t)sizeof failure) {
        (void)waitpid(pid, NULL, 0);
        return say_failure(options, &failure, err);
    }
    *ret_pid = pid;
    return ERR_NONE;
}

/* What the child gets as 0 and as 1 and 2. '*ret_output' is our end, or -1. */
static enum err_code
open_streams(const struct child_options *options, int streams[2], int *ret_output, struct err *err)
{
    streams[0] = streams[1] = *ret_output = -1;
    if (options->input == NULL) {
        streams[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (streams[0] < 0)
            return err_errno(err, errno, "open '/dev/null'");
    } else {
        /* A pipe holds 64 KiB, so this never waits for the child to read. */
        int ends[2];
        if (options->input_size > INPUT_SIZE_MAX)
            return err_set(err, ERR_LIMIT, "input_too_large", "input for '%s' has %zu bytes",
                           options->argv[0], options->input_size);
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
            return err_errno(err, errno, "make a pipe");
        streams[0] = ends[0];
        ssize_t written = write(ends[1], options->input, options->input_size);
        int number = errno;
        (void)close(ends[1]);
        if (written != (ssize_t)options->input_size)
            return err_errno(err, written < 0 ? number : EIO, "hand input to '%s'",
                             options->argv[0]);
        int flags = fcntl(ends[0], F_GETFL);
        (void)fcntl(ends[0], F_SETFL, flags & ~O_NONBLOCK);
    }
    if (options->output_path != NULL) {
        streams[1] = open("/dev/null", O_WRONLY | O_CLOEXEC); /* until it opens its file itself */
        return streams[1] >= 0 ? ERR_NONE : err_errno(err, errno, "open '/dev/null'");
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "make a pipe");
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *ret_output = ends[0];
    streams[1] = ends[1];
    return ERR_NONE;
}

/* '*ret_output' is the reading end of its output, -1 with output_path. */
static enum err_code
begin(const struct child_options *options, pid_t *ret_pid, int *ret_output, struct err *err)
{
    int streams[2];
    int output;
    ASSERT(options->argv[0] != NULL && options->keep_count <= CHILD_KEEP_MAX);
    enum err_code code = open_streams(options, streams, &output, err);
    if (code == ERR_NONE)
        code = fork_child(options, streams, ret_pid, err);
    close_one(&streams[0]);
    close_one(&streams[1]);
    if (code != ERR_NONE)
        close_one(&output);
    else
        *ret_output = output;
    return code;
}

enum err_code
child_spawn(const struct child_options *options, pid_t *ret_pid, struct err *err)
{
    int output = -1;
    ASSERT(options->output_path != NULL);
    return begin(options, ret_pid, &output, err);
}

/* ---- on the loop ---- */

struct child {
    struct ev_loop *loop; /* borrowed; the default loop */
    ev_child ended;
    ev_io readable;
    ev_timer alarm; /* deadline, then grace, then drain */
    pid_t pid;
    int output; /* -1: none, or at its end */
    struct buf kept;
    size_t output_max;
    bool truncated;
    bool exited;
    int wait_status;
    bool timed_out;
    bool cancelled;
    uint64_t started_ms;
    child_done_fn *done;
    void *data;
};

static void
stop_watchers(struct child *child)
{
    ev_child_stop(child->loop, &child->ended);
    ev_io_stop(child->loop, &child->readable);
    ev_timer_stop(child->loop, &child->alarm);
}

static void
free_child(struct child *child)
{
    stop_watchers(child);
    close_one(&child->output);
    buf_done(&child->kept);
    free(child);
}

static void
set_alarm(struct child *child, uint32_t ms)
{
    ev_timer_stop(child->loop, &child->alarm);
    ev_now_update(child->loop);
    ev_timer_set(&child->alarm, ms / 1000.0, 0.0);
    ev_timer_start(child->loop, &child->alarm);
}

/* The whole group: a shell's own children must not stay behind. It is there from before exec. */
static void
kill_group(pid_t pid, int number)
{
    (void)kill(-pid, number);
}

static void
finish(struct child *child)
{
    struct child_result result = {
        .end = CHILD_EXITED,
        .status = WIFEXITED(child->wait_status) ? WEXITSTATUS(child->wait_status)
                                                : WTERMSIG(child->wait_status),
        .output = buf_text(&child->kept),
        .output_size = child->kept.size,
        .truncated = child->truncated,
        .took_ms = clock_now_ms() - child->started_ms,
    };
    if (child->cancelled)
        result.end = CHILD_CANCELLED;
    else if (child->timed_out)
        result.end = CHILD_TIMEOUT;
    else if (!WIFEXITED(child->wait_status))
        result.end = CHILD_SIGNALLED;
    stop_watchers(child);
    child->done(child->data, &result);
    free_child(child);
}

/* Reads what is there. False at the end of the output. */
static bool
read_output(int output, struct buf *kept, size_t output_max, bool *truncated)
{
    char block[READ_SIZE];
    for (;;) {
        ssize_t got = read(output, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN;
        if (got == 0)
            return false;
        size_t room = output_max - kept->size;
        size_t take = (size_t)got < room ? (size_t)got : room;
        buf_add(kept, block, take);
        *truncated = *truncated || take < (size_t)got;
        if ((size_t)got < sizeof block)
            return true;
    }
}

static void
on_readable(struct ev_loop *loop, ev_io *readable, int revents)
{
    (void)revents;
    struct child *child = CONTAINER_OF(readable, struct child, readable);
    if (read_output(child->output, &child->kept, child->output_max, &child->truncated))
        return;
    ev_io_stop(loop, readable);
    close_one(&child->output);
    if (child->exited)
        finish(child);
}

static void
on_ended(struct ev_loop *loop, ev_child *ended, int revents)
{
    (void)revents;
    struct child *child = CONTAINER_OF(ended, struct child, ended);
    ev_child_stop(loop, ended);
    child->exited = true;
    child->wait_status = ended->rstatus;
    if (child->timed_out || child->cancelled)
        kill_group(child->pid, SIGKILL); /* whoever of the group ignored the SIGTERM */
    if (child->output < 0) {
        finish(child);
        return;
    }
    /* What it wrote may still be in the pipe; a grandchild in the background may hold it open. */
    set_alarm(child, DRAIN_MS_MAX);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *alarm, int revents)
{
    (void)loop, (void)revents;
    struct child *child = CONTAINER_OF(alarm, struct child, alarm);
    if (child->exited) {
        finish(child);
        return;
    }
    if (!child->timed_out && !child->cancelled) {
        child->timed_out = true;
        kill_group(child->pid, SIGTERM);
    } else {
        kill_group(child->pid, SIGKILL);
    }
    set_alarm(child, CHILD_GRACE_MS);
}

enum err_code
child_start(const struct child_options *options, child_done_fn *done, void *data,
            struct child **ret_child, struct err *err)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    struct child *child = mem_zero(1, sizeof *child);
    child->loop = loop;
    child->done = done;
    child->data = data;
    child->output_max = options->output_max == 0 ? CHILD_OUTPUT_SIZE_MAX : options->output_max;
    child->started_ms = clock_now_ms();
    enum err_code code = begin(options, &child->pid, &child->output, err);
    if (code != ERR_NONE) {
        free(child);
        return code;
    }
    ev_child_init(&child->ended, on_ended, child->pid, 0);
    ev_child_start(loop, &child->ended);
    ev_io_init(&child->readable, on_readable, child->output, EV_READ);
    if (child->output >= 0)
        ev_io_start(loop, &child->readable);
    ev_timer_init(&child->alarm, on_alarm, 0.0, 0.0);
    if (options->deadline_ms != 0)
        set_alarm(child, options->deadline_ms);
    *ret_child = child;
    return ERR_NONE;
}

void
child_cancel(struct child *child)
{
    if (child->exited || child->cancelled)
        return;
    child->cancelled = true;
    kill_group(child->pid, SIGTERM);
    set_alarm(child, CHILD_GRACE_MS);
}

void
child_signal(struct child *child, int number)
{
    if (!child->exited)
        (void)kill(child->pid, number);
}

pid_t
child_pid(const struct child *child)
{
    return child->pid;
}

void
child_abandon(struct child *child)
{
    if (child == NULL)
        return;
    if (!child->exited) {
        kill_group(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0);
    }
    free_child(child);
}

/* ---- blocking ---- */

/* The last line that is not empty, for the error text. */
static void
last_line(const struct buf *kept, char *to, size_t to_size)
{
    const char *text = buf_text(kept);
    size_t end = kept->size;
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r' || text[end - 1] == ' '))
        end--;
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    (void)snprintf(to, to_size, "%.*s", (int)(end - start), text + start);
}

static int
poll_ms(uint64_t deadline_ms)
{
    uint64_t now = clock_now_ms();
    uint64_t left = now < deadline_ms ? deadline_ms - now : 0;
    return left > 60000 ? 60000 : (int)left;
}

/* True when the process has ended by the deadline; it is not reaped. */
static bool
wait_end(pid_t pid, uint64_t deadline_ms)
{
    struct pollfd wait = { .fd = pidfd_open(pid, 0), .events = POLLIN };
    if (wait.fd < 0)
        return false;
    int ready = 0;
    while (ready <= 0 && clock_now_ms() < deadline_ms)
        ready = poll(&wait, 1, poll_ms(deadline_ms));
    close_one(&wait.fd);
    return ready > 0;
}

/* Reads until the end of the output or the deadline. True when it was in time. */
static bool
gather(int output, uint64_t deadline_ms, struct buf *kept, size_t output_max)
{
    bool truncated = false;
    while (clock_now_ms() < deadline_ms) {
        struct pollfd wait = { .fd = output, .events = POLLIN };
        int ready = poll(&wait, 1, poll_ms(deadline_ms));
        if (ready > 0 && !read_output(output, kept, output_max, &truncated))
            return true;
    }
    return false;
}

enum err_code
child_run(const struct child_options *options, char **ret_output, struct err *err)
{
    pid_t pid;
    int output = -1;
    ASSERT(options->output_path == NULL);
    uint64_t started_ms = clock_now_ms();
    enum err_code code = begin(options, &pid, &output, err);
    if (code != ERR_NONE)
        return code;
    uint64_t deadline_ms =
        options->deadline_ms == 0 ? UINT64_MAX : started_ms + options->deadline_ms;
    CLEANUP(buf_done) struct buf kept = { 0 };
    size_t output_max = options->output_max == 0 ? CHILD_OUTPUT_SIZE_MAX : options->output_max;
    bool in_time = gather(output, deadline_ms, &kept, output_max) && wait_end(pid, deadline_ms);
    if (!in_time) {
        kill_group(pid, SIGTERM);
        if (!wait_end(pid, clock_now_ms() + CHILD_GRACE_MS))
            kill_group(pid, SIGKILL);
    }
    close_one(&output);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;

    char line[ERR_TEXT_SIZE / 2];
    last_line(&kept, line, sizeof line);
    if (!in_time)
        return err_set(err, ERR_TIMEOUT, "child_timeout", "'%s' did not end within %u ms: %s",
                       options->argv[0], options->deadline_ms, line);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_IO, "child_failed", "'%s' was ended by signal %d: %s",
                       options->argv[0], WTERMSIG(status), line);
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_IO, "child_failed", "'%s' failed with exit code %d: %s",
                       options->argv[0], WEXITSTATUS(status), line);
    *ret_output = buf_take(&kept);
    return ERR_NONE;
}
