#include "controller/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

#define FILE_TREE_DESCRIPTORS_MAX 16

static void
closep(int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor);
}

enum err_code
file_read(const char *path, size_t size_max, struct buf *into, struct err *err)
{
    CLEANUP(closep) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return err_errno(err, errno, "open '%s'", path);
    size_t total = 0;
    for (;;) {
        char *room = buf_reserve(into, 16384);
        ssize_t got = read(file, room, 16384);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read '%s'", path);
        if (got == 0)
            return ERR_NONE;
        total += (size_t)got;
        if (total > size_max)
            return err_set(err, ERR_LIMIT, "file_too_large", "'%s' has more than %zu bytes", path,
                           size_max);
        buf_grew(into, (size_t)got);
    }
}

static enum err_code
write_all(int file, const char *bytes, size_t size, const char *path, struct err *err)
{
    while (size > 0) {
        ssize_t done = write(file, bytes, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_errno(err, errno, "write '%s'", path);
        bytes += done;
        size -= (size_t)done;
    }
    return ERR_NONE;
}

static enum err_code
sync_folder_of(const char *path, struct err *err)
{
    CLEANUP(freep) char *folder = str_dup(path);
    char *slash = strrchr(folder, '/');
    const char *name = ".";
    if (slash == folder) {
        name = "/";
    } else if (slash != NULL) {
        *slash = '\0';
        name = folder;
    }
    CLEANUP(closep) int handle = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0 || fsync(handle) != 0)
        return err_errno(err, errno, "sync folder '%s'", name);
    return ERR_NONE;
}

enum err_code
file_write_atomic(const char *path, const void *bytes, size_t size, mode_t mode, uid_t uid,
                  gid_t gid, struct err *err)
{
    CLEANUP(freep) char *beside = str_printf("%s.%d.new", path, (int)getpid());
    CLEANUP(closep)
    int file =
        open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode & ~(mode_t)077);
    if (file < 0)
        return err_errno(err, errno, "create '%s'", beside);

    enum err_code code = write_all(file, bytes, size, beside, err);
    if (code == ERR_NONE && uid != (uid_t)-1 && fchown(file, uid, gid) != 0)
        code = err_errno(err, errno, "change owner of '%s'", beside);
    if (code == ERR_NONE && fchmod(file, mode) != 0)
        code = err_errno(err, errno, "change mode of '%s'", beside);
    if (code == ERR_NONE && fsync(file) != 0)
        code = err_errno(err, errno, "sync '%s'", beside);
    if (code == ERR_NONE && rename(beside, path) != 0)
        code = err_errno(err, errno, "rename to '%s'", path);
    if (code != ERR_NONE) {
        (void)unlink(beside);
        return code;
    }
    return sync_folder_of(path, err);
}

bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

enum err_code
file_make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err)
{
    if (mkdir(path, mode) != 0) {
        struct stat status;
        if (errno != EEXIST || stat(path, &status) != 0)
            return err_errno(err, errno, "make folder '%s'", path);
        if (!S_ISDIR(status.st_mode))
            return err_set(err, ERR_INVALID, "not_a_folder", "'%s' is not a folder", path);
        return ERR_NONE;
    }
    if (uid != (uid_t)-1 && chown(path, uid, gid) != 0)
        return err_errno(err, errno, "change owner of '%s'", path);
    if (chmod(path, mode) != 0)
        return err_errno(err, errno, "change mode of '%s'", path);
    return ERR_NONE;
}

static int
remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

enum err_code
file_remove_tree(const char *path, struct err *err)
{
    if (!file_exists(path))
        return ERR_NONE;
    if (nftw(path, remove_one, FILE_TREE_DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) != 0)
        return err_errno(err, errno, "remove '%s'", path);
    return ERR_NONE;
}
