#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/file.h"
#include "controller/base/log.h"
#include "controller/base/str.h"
#include "controller/postgres/managed_inner.h"

#define STAT_SIZE_MAX 1024
#define FOLDER_SIZE   4096

struct process {
    char name[32];
    char state; /* 'Z': ended, and not asked for by its parent */
    pid_t parent;
};

static bool
read_process(pid_t pid, struct process *ret)
{
    /* "PID (NAME) STATE PARENT ..."; a name may hold anything, ')' too. */
    char path[64];
    uint64_t parent;
    CLEANUP(buf_done) struct buf text = { 0 };
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (file_read(path, STAT_SIZE_MAX, &text, NULL) != ERR_NONE)
        return false;
    const char *name = strchr(buf_text(&text), '(');
    const char *end = strrchr(buf_text(&text), ')');
    if (name == NULL || end == NULL || strlen(end) < 5)
        return false;
    CLEANUP(freep) char *number = str_printf("%.*s", (int)strcspn(end + 4, " "), end + 4);
    if (!str_to_u64(number, 0, INT32_MAX, &parent))
        return false;
    (void)snprintf(ret->name, sizeof ret->name, "%.*s", (int)(end - name - 1), name + 1);
    ret->state = end[2];
    ret->parent = (pid_t)parent;
    return true;
}

/* Where and as whom a server of this node works. */
struct place {
    char folder[FOLDER_SIZE];
    dev_t device;
    ino_t inode;
    uid_t uid;
};

static bool
find_place(const struct managed_config *config, struct place *ret)
{
    struct stat status;
    CLEANUP(freep) char *data = str_printf("%s/data", config->folder);
    CLEANUP(freep) char *real = realpath(data, NULL);
    if (real == NULL || strlen(real) >= sizeof ret->folder || stat(real, &status) != 0)
        return false;
    (void)snprintf(ret->folder, sizeof ret->folder, "%s", real);
    ret->device = status.st_dev;
    ret->inode = status.st_ino;
    ret->uid = status.st_uid;
    return true;
}

static bool
is_of(pid_t pid, uid_t uid)
{
    char path[64];
    struct stat status;
    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return stat(path, &status) == 0 && status.st_uid == uid;
}

/* A container that shares our processes has a folder of its own under the same name. The name comes
 * first, so that no folder of others is touched: their disk may hang. */
static bool
works_in(pid_t pid, const struct place *place)
{
    char path[64];
    char folder[FOLDER_SIZE];
    struct stat status;
    (void)snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    ssize_t size = readlink(path, folder, sizeof folder);
    return size >= 0 && (size_t)size == strlen(place->folder) &&
           memcmp(folder, place->folder, (size_t)size) == 0 && stat(path, &status) == 0 &&
           status.st_dev == place->device && status.st_ino == place->inode;
}

/* A process of a PostgreSQL server; not the shell of a person who looks at the files. */
static bool
is_server_process(pid_t pid, const struct place *place)
{
    struct process process;
    return works_in(pid, place) && is_of(pid, place->uid) && read_process(pid, &process) &&
           strcmp(process.name, "postgres") == 0;
}

/* Calls for each until it says to stop. */
static bool
each_server_process(const struct place *place, bool (*visit)(pid_t pid, void *data), void *data)
{
    DIR *folder = opendir("/proc");
    bool stopped = false;
    if (folder == NULL)
        return false;
    for (struct dirent *entry; !stopped && (entry = readdir(folder)) != NULL;) {
        uint64_t pid;
        if (str_to_u64(entry->d_name, 2, INT32_MAX, &pid) && is_server_process((pid_t)pid, place))
            stopped = visit((pid_t)pid, data);
    }
    (void)closedir(folder);
    return stopped;
}

static bool
take_first(pid_t pid, void *data)
{
    *(pid_t *)data = pid;
    return true;
}

struct managed_old
managed_find_old(const struct managed_config *config)
{
    struct managed_old old = { .kind = MANAGED_OLD_GONE };
    struct process process;
    struct place place;
    pid_t pid;
    bool ready;
    if (!find_place(config, &place))
        return old;
    if (managed_read_pid(config, &pid, &ready)) {
        old.pid = pid;
        if (works_in(pid, &place)) {
            old.kind = MANAGED_OLD_RUNS;
            return old;
        }
        /* PostgreSQL takes its pid for a server that runs, as kill() does. */
        if (read_process(pid, &process) && process.state == 'Z' && is_of(pid, place.uid)) {
            old.kind = MANAGED_OLD_UNREAPED;
            old.parent = process.parent;
            return old;
        }
    }
    if (each_server_process(&place, take_first, &old.pid))
        old.kind = MANAGED_OLD_BACKENDS;
    return old;
}

static bool
kill_one(pid_t pid, void *data)
{
    /* Held by a descriptor and looked at again: the number may be another process's by now. */
    const struct place *place = data;
    int process = pidfd_open(pid, 0);
    if (process < 0)
        return false;
    if (is_server_process(pid, place)) {
        log_warn("postgres.old", "pid=%d signal=KILL", (int)pid);
        (void)pidfd_send_signal(process, SIGKILL, NULL, 0);
    }
    (void)close(process);
    return false;
}

void
managed_end_old(const struct managed_config *config, const struct managed_old *old)
{
    struct place place;
    switch (old->kind) {
    case MANAGED_OLD_RUNS:
        log_warn("postgres.old", "pid=%d signal=INT", (int)old->pid);
        (void)kill(old->pid, SIGINT);
        return;
    case MANAGED_OLD_BACKENDS:
        /* Without a postmaster they serve nobody; the next start recovers from the log. */
        if (find_place(config, &place))
            (void)each_server_process(&place, kill_one, &place);
        return;
    case MANAGED_OLD_UNREAPED:
    case MANAGED_OLD_GONE:
        return;
    }
}

enum err_code
managed_old_err(const struct managed_config *config, const struct managed_old *old, struct err *err)
{
    switch (old->kind) {
    case MANAGED_OLD_RUNS:
        return err_set(err, ERR_CONFLICT, "postgresql_runs",
                       "another PostgreSQL (pid %d) runs in '%s/data'", (int)old->pid,
                       config->folder);
    case MANAGED_OLD_BACKENDS:
        return err_set(err, ERR_CONFLICT, "postgresql_remains",
                       "a process (pid %d) of a PostgreSQL that was killed still works in "
                       "'%s/data'",
                       (int)old->pid, config->folder);
    case MANAGED_OLD_UNREAPED:
        (void)err_set(err, ERR_CONFLICT, "postgresql_unreaped",
                      "PostgreSQL (pid %d) has ended, but its parent (pid %d) has not reaped it",
                      (int)old->pid, (int)old->parent);
        return err_mend(err, "in a container, run an init as process 1");
    case MANAGED_OLD_GONE:
        break;
    }
    return ERR_NONE;
}
