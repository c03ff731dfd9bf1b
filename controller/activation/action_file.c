/*
 * action_file.c -- the file driver: one file, rendered, replaced atomically, off the loop.
 *
 * All that touches the disk happens on the worker thread, in this order, under a lock on the
 * folder (another batond of this host may be told to write the same file):
 *
 *     read the sidecar -> refuse a lower epoch -> write the sidecar -> write the file
 *
 * Same epoch, action and content: nothing is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/activation/action_inner.h"
#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define MARK_SIZE_MAX 4096
#define MARK_MODE     0644
#define NAMES_SIZE    16384 /* for getpwnam_r() and getgrnam_r() */

/* Owned by the worker while it runs, by the loop before and after. */
struct file_job {
    struct action *action; /* borrowed; NULL once abandoned; only the loop looks at it */
    atomic_bool cancelled; /* the only member that both sides touch */
    char *path;            /* owned */
    char *mark_path;       /* owned */
    char *owner;           /* owned; NULL: as we are */
    char *connector;       /* owned */
    char *action_id;       /* owned */
    mode_t mode;
    struct buf content;
    struct epoch epoch;
    uint64_t deadline_ms;
    /* the answer */
    enum action_end end;
    char text[ERR_TEXT_SIZE + ERR_MEND_SIZE + 4];
};

static void
job_free(struct file_job *job)
{
    free(job->path);
    free(job->mark_path);
    free(job->owner);
    free(job->connector);
    free(job->action_id);
    buf_done(&job->content);
    free(job);
}

static void
closep(int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor);
}

/* ---- on the worker thread ---- */

/* The lock ends when '*ret_folder' is closed. */
static enum err_code
lock_folder(const char *path, int *ret_folder, struct err *err)
{
    CLEANUP(freep) char *folder = str_dup(path);
    char *slash = strrchr(folder, '/');
    ASSERT(slash != NULL); /* the path is absolute: sites/connector.h */
    slash[slash == folder ? 1 : 0] = '\0';
    CLEANUP(closep) int handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) {
        (void)err_errno(err, errno, "open folder '%s'", folder);
        return err_mend(err, "make the folder, or change 'path' of the file driver");
    }
    if (flock(handle, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, ERR_CONFLICT, "folder_locked",
                           "folder '%s' is locked by another program", folder);
        return err_errno(err, errno, "lock folder '%s'", folder);
    }
    *ret_folder = handle;
    handle = -1;
    return ERR_NONE;
}

struct mark {
    bool known;
    struct epoch epoch;
    bool same_action;
    bool same_connector;
};

static enum err_code
bad_mark(const struct file_job *job, struct err *err)
{
    (void)err_set(err, ERR_CONFLICT, "mark", "'%s' is not a record of an epoch", job->mark_path);
    return err_mend(err, "see which node wrote '%s' last, then remove '%s'", job->path,
                    job->mark_path);
}

static enum err_code
read_mark(const struct file_job *job, struct mark *ret_mark, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(json_putp) struct json_object *object = NULL;
    *ret_mark = (struct mark){ 0 };
    enum err_code code = file_read(job->mark_path, MARK_SIZE_MAX, &text, err);
    if (code == ERR_NOT_FOUND)
        return ERR_NONE;
    if (code == ERR_LIMIT)
        return bad_mark(job, err);
    if (code != ERR_NONE)
        return code;
    const char *holder, *action_id, *connector;
    if (json_read(buf_text(&text), text.size, &object, err) != ERR_NONE ||
        !json_get_u64(object, "epoch", &ret_mark->epoch.number) ||
        !json_get_string(object, "holder", &holder) || !str_is_name(holder) ||
        !str_copy(ret_mark->epoch.holder, sizeof ret_mark->epoch.holder, holder) ||
        !json_get_string(object, "action_id", &action_id) ||
        !json_get_string(object, "connector", &connector))
        return bad_mark(job, err);
    ret_mark->known = true;
    ret_mark->same_action = strcmp(action_id, job->action_id) == 0;
    ret_mark->same_connector = strcmp(connector, job->connector) == 0;
    return ERR_NONE;
}

static enum err_code
write_mark(const struct file_job *job, struct err *err)
{
    CLEANUP(json_putp) struct json_object *object = json_object_new_object();
    json_add_u64(object, "epoch", job->epoch.number);
    json_add_string(object, "holder", job->epoch.holder);
    json_add_string(object, "connector", job->connector);
    json_add_string(object, "action_id", job->action_id);
    CLEANUP(freep) char *text = str_printf("%s\n", json_text(object));
    return file_write_atomic(job->mark_path, text, strlen(text), MARK_MODE, (uid_t)-1, (gid_t)-1,
                             err);
}

static enum err_code
find_group(const char *name, gid_t *ret_gid, struct err *err)
{
    struct group group, *found = NULL;
    char names[NAMES_SIZE];
    int failed = getgrnam_r(name, &group, names, sizeof names, &found);
    if (failed != 0)
        return err_errno(err, failed, "look up group '%s'", name);
    if (found == NULL)
        return err_set(err, ERR_INVALID, "owner", "this host has no group '%s'", name);
    *ret_gid = group.gr_gid;
    return ERR_NONE;
}

/* "user" or "user:group" */
static enum err_code
find_owner(const char *owner, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
    *ret_uid = (uid_t)-1;
    *ret_gid = (gid_t)-1;
    if (owner == NULL)
        return ERR_NONE;
    CLEANUP(freep) char *user = str_dup(owner);
    char *colon = strchr(user, ':');
    if (colon != NULL)
        *colon = '\0';
    struct passwd entry, *found = NULL;
    char names[NAMES_SIZE];
    int failed = getpwnam_r(user, &entry, names, sizeof names, &found);
    if (failed != 0)
        return err_errno(err, failed, "look up user '%s'", user);
    if (found == NULL)
        return err_set(err, ERR_INVALID, "owner", "this host has no user '%s'", user);
    *ret_uid = entry.pw_uid;
    *ret_gid = entry.pw_gid;
    return colon == NULL ? ERR_NONE : find_group(colon + 1, ret_gid, err);
}

/* Is the file already what it has to be? */
static bool
is_current(const struct file_job *job, uid_t uid, gid_t gid)
{
    struct stat status;
    if (lstat(job->path, &status) != 0 || !S_ISREG(status.st_mode) ||
        (status.st_mode & 07777) != job->mode || (size_t)status.st_size != job->content.size ||
        (uid != (uid_t)-1 && (status.st_uid != uid || status.st_gid != gid)))
        return false;
    CLEANUP(buf_done) struct buf now = { 0 };
    return file_read(job->path, job->content.size, &now, NULL) == ERR_NONE &&
           now.size == job->content.size &&
           (now.size == 0 || memcmp(now.data, job->content.data, now.size) == 0);
}

static enum err_code
check_mark(struct file_job *job, const struct mark *mark, struct err *err)
{
    if (mark->known && !mark->same_connector) {
        (void)err_set(err, ERR_CONFLICT, "mark", "'%s' belongs to another connector", job->path);
        return err_mend(err, "give each connector a file of its own, or remove '%s'",
                        job->mark_path);
    }
    char seen[EPOCH_TEXT_SIZE], ours[EPOCH_TEXT_SIZE];
    if (epoch_compare(&job->epoch, &mark->epoch) < 0) {
        job->end = ACTION_REFUSED;
        return err_set(err, ERR_STALE, "stale_epoch", "'%s' was written under epoch %s, ours is %s",
                       job->path, epoch_text(&mark->epoch, seen), epoch_text(&job->epoch, ours));
    }
    return ERR_NONE;
}

static bool
is_over(struct file_job *job, struct err *err)
{
    if (atomic_load(&job->cancelled)) {
        job->end = ACTION_CANCELLED;
        (void)err_set(err, ERR_CANCELLED, "cancelled", "cancelled before '%s' was written",
                      job->path);
        return true;
    }
    if (clock_now_ms() >= job->deadline_ms) {
        (void)err_set(err, ERR_TIMEOUT, "timeout", "'%s' could not be written in time", job->path);
        return true;
    }
    return false;
}

static enum err_code
render_to_disk(struct file_job *job, struct err *err)
{
    CLEANUP(closep) int folder = -1;
    struct mark mark;
    uid_t uid;
    gid_t gid;
    enum err_code code = lock_folder(job->path, &folder, err);
    if (code == ERR_NONE)
        code = read_mark(job, &mark, err);
    if (code == ERR_NONE)
        code = check_mark(job, &mark, err);
    if (code == ERR_NONE)
        code = find_owner(job->owner, &uid, &gid, err);
    if (code != ERR_NONE)
        return code;
    if (is_over(job, err))
        return err->code;
    if (!(mark.same_action && epoch_equal(&mark.epoch, &job->epoch))) {
        code = write_mark(job, err); /* durable before the file: I10 */
        if (code != ERR_NONE)
            return code;
    }
    if (is_current(job, uid, gid)) {
        (void)snprintf(job->text, sizeof job->text, "'%s' is as it has to be", job->path);
        return ERR_NONE;
    }
    if (is_over(job, err))
        return err->code;
    code = file_write_atomic(job->path, buf_text(&job->content), job->content.size, job->mode, uid,
                             gid, err);
    if (code == ERR_NONE)
        (void)snprintf(job->text, sizeof job->text, "wrote %zu bytes to '%s'", job->content.size,
                       job->path);
    return code;
}

static void
run(void *data)
{
    struct file_job *job = data;
    struct err err = { 0 };
    job->end = ACTION_FAILED;
    if (is_over(job, &err) || render_to_disk(job, &err) != ERR_NONE)
        (void)snprintf(job->text, sizeof job->text, "%s%s%s", err.text,
                       err.mend[0] != '\0' ? "; " : "", err.mend);
    else
        job->end = ACTION_OK;
}

/* ---- on the loop ---- */

static void
on_done(void *data, bool ran)
{
    struct file_job *job = data;
    struct action *action = job->action;
    struct action_result result = { .end = ran ? job->end : ACTION_CANCELLED,
                                    .text = ran ? job->text : "batond is ending",
                                    .output = "",
                                    .exit_code = -1 };
    if (action != NULL)
        action_finish(action, &result);
    job_free(job);
}

static enum err_code
render(const struct action_order *order, struct buf *into, struct err *err)
{
    switch (order->action->format) {
    case CONNECTOR_FORMAT_JSON:
        template_json(&order->values, into);
        return ERR_NONE;
    case CONNECTOR_FORMAT_ENV:
        template_env(&order->values, into);
        return ERR_NONE;
    case CONNECTOR_FORMAT_TEMPLATE:
        return template_text(order->action->template, &order->values, into, err);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

static enum err_code
file_start(struct action *action, struct worker *worker, const struct action_order *order,
           struct err *err)
{
    struct file_job *job = mem_zero(1, sizeof *job);
    enum err_code code = render(order, &job->content, err);
    if (code == ERR_NONE) {
        job->action = action;
        job->path = str_dup(order->action->path);
        job->mark_path = str_printf("%s.baton", job->path);
        job->owner = str_dup(order->action->owner);
        job->connector = str_dup(order->values.text[TEMPLATE_CONNECTOR]);
        job->action_id = str_dup(order->values.text[TEMPLATE_ACTION_ID]);
        job->mode = order->action->mode;
        job->epoch = order->epoch;
        job->deadline_ms = clock_now_ms() + order->timeout_ms;
        atomic_init(&job->cancelled, false);
        code = worker_submit(worker, run, on_done, job, err);
    }
    if (code != ERR_NONE) {
        job_free(job);
        return code;
    }
    action->inner = job;
    return ERR_NONE;
}

static void
file_cancel(struct action *action)
{
    struct file_job *job = action->inner;
    atomic_store(&job->cancelled, true);
}

static void
file_abandon(struct action *action)
{
    struct file_job *job = action->inner;
    atomic_store(&job->cancelled, true);
    job->action = NULL; /* on_done() frees the job */
}

const struct action_driver action_file_driver = { .name = "file",
                                                  .fencing = FENCING_ALWAYS,
                                                  .start = file_start,
                                                  .cancel = file_cancel,
                                                  .abandon = file_abandon };
