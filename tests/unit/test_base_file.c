/* file, list, own, clock and log: what touches the system, or nearly nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/file.h"
#include "controller/base/list.h"
#include "controller/base/log.h"
#include "controller/base/str.h"

#define NOBODY 65534

static char folder[64];

static int
make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/baton-test-file-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) != ERR_NONE || file_exists(folder);
}

static char *
path_of(const char *name)
{
    return str_printf("%s/%s", folder, name);
}

static void
must_write(const char *path, const char *text)
{
    struct err err = { 0 };
    if (file_write_atomic(path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, &err) != ERR_NONE)
        fail_msg("%s", err.text);
}

static void
must_hold(const char *path, const char *text)
{
    struct buf content = { 0 };
    struct err err = { 0 };
    if (file_read(path, 65536, &content, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_string_equal(buf_text(&content), text);
    buf_done(&content);
}

static unsigned
count_entries(const char *path)
{
    unsigned count = 0;
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(entries);
    return count;
}

static void
test_read_is_bounded(void **state)
{
    (void)state;
    CLEANUP(freep) char *path = path_of("bounded");
    must_write(path, "12345");
    struct buf content = { 0 };
    struct err err = { 0 };
    buf_add_text(&content, ">");
    assert_int_equal(file_read(path, 5, &content, &err), ERR_NONE);
    assert_string_equal(buf_text(&content), ">12345");
    assert_int_equal(file_read(path, 4, &content, &err), ERR_LIMIT);
    assert_string_equal(err.slug, "file_too_large");
    assert_int_equal(file_read("/nonexistent", 4, &content, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "open '/nonexistent': "));
    assert_int_equal(file_read("/dev/zero", 100000, &content, &err), ERR_LIMIT);
    buf_done(&content);
}

static void
test_write_replaces_whole_files(void **state)
{
    (void)state;
    CLEANUP(freep) char *path = path_of("whole");
    must_write(path, "old and long");
    struct stat before;
    assert_int_equal(stat(path, &before), 0);
    must_write(path, "new");
    must_hold(path, "new");
    struct stat after;
    assert_int_equal(stat(path, &after), 0);
    /* never written in place: who has the old file open goes on reading the old one */
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(after.st_mode & 07777, 0600);
    must_write(path, "");
    must_hold(path, "");
}

static void
test_mode_is_exact_whatever_the_umask(void **state)
{
    (void)state;
    CLEANUP(freep) char *path = path_of("mode");
    mode_t old = umask(077);
    enum err_code code = file_write_atomic(path, "x", 1, 0644, (uid_t)-1, (gid_t)-1, NULL);
    (void)umask(old);
    assert_int_equal(code, ERR_NONE);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
}

/* The disk is full in the middle of the write: RLIMIT_FSIZE refuses the bytes beyond, as ENOSPC
 * would. The old file stays, and nothing is left beside it. */
static void
test_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    CLEANUP(freep) char *home = path_of("full");
    CLEANUP(freep) char *path = path_of("full/file");
    assert_int_equal(file_make_folder(home, 0700, (uid_t)-1, (gid_t)-1, NULL), ERR_NONE);
    must_write(path, "old");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static char large[100000];
        struct rlimit limit = { 4096, 4096 };
        (void)signal(SIGXFSZ, SIG_IGN);
        struct err err = { 0 };
        bool well = setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                    file_write_atomic(path, large, sizeof large, 0600, (uid_t)-1, (gid_t)-1,
                                      &err) == ERR_IO &&
                    strstr(err.text, "write '") != NULL;
        _exit(well ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    must_hold(path, "old");
    assert_int_equal(count_entries(home), 1);
}

static void
test_write_refuses_a_link_and_a_folder(void **state)
{
    (void)state;
    CLEANUP(freep) char *victim = path_of("victim");
    CLEANUP(freep) char *trap = str_printf("%s/target.%d.new", folder, (int)getpid());
    CLEANUP(freep) char *target = path_of("target");
    must_write(victim, "precious");
    assert_int_equal(symlink(victim, trap), 0);
    struct err err = { 0 };
    assert_int_not_equal(file_write_atomic(target, "x", 1, 0600, (uid_t)-1, (gid_t)-1, &err),
                         ERR_NONE);
    must_hold(victim, "precious");
    assert_int_equal(unlink(trap), 0);

    CLEANUP(freep) char *sub = path_of("sub");
    assert_int_equal(file_make_folder(sub, 0700, (uid_t)-1, (gid_t)-1, &err), ERR_NONE);
    assert_int_equal(file_write_atomic(sub, "x", 1, 0600, (uid_t)-1, (gid_t)-1, &err), ERR_IO);
    assert_int_equal(file_write_atomic("/nonexistent/x", "x", 1, 0600, (uid_t)-1, (gid_t)-1, &err),
                     ERR_NOT_FOUND);
}

static void
test_owner(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    CLEANUP(freep) char *path = path_of("owned");
    CLEANUP(freep) char *home = path_of("owned-folder");
    struct stat status;
    assert_int_equal(file_write_atomic(path, "x", 1, 0400, NOBODY, NOBODY, NULL), ERR_NONE);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_uid == NOBODY && (status.st_mode & 07777) == 0400);
    assert_int_equal(file_make_folder(home, 0750, NOBODY, NOBODY, NULL), ERR_NONE);
    assert_int_equal(stat(home, &status), 0);
    assert_true(status.st_uid == NOBODY && (status.st_mode & 07777) == 0750);
}

static void
test_folders(void **state)
{
    (void)state;
    CLEANUP(freep) char *home = path_of("tree");
    CLEANUP(freep) char *inner = path_of("tree/inner");
    CLEANUP(freep) char *file = path_of("tree/inner/file");
    CLEANUP(freep) char *outside = path_of("outside");
    CLEANUP(freep) char *link = path_of("tree/link");
    struct err err = { 0 };
    assert_int_equal(file_make_folder(inner, 0700, (uid_t)-1, (gid_t)-1, &err), ERR_NOT_FOUND);
    assert_int_equal(file_make_folder(home, 0700, (uid_t)-1, (gid_t)-1, &err), ERR_NONE);
    assert_int_equal(file_make_folder(home, 0700, (uid_t)-1, (gid_t)-1, &err), ERR_NONE);
    assert_int_equal(file_make_folder(inner, 0700, (uid_t)-1, (gid_t)-1, &err), ERR_NONE);
    must_write(file, "x");
    assert_int_equal(file_make_folder(file, 0700, (uid_t)-1, (gid_t)-1, &err), ERR_INVALID);
    assert_string_equal(err.slug, "not_a_folder");

    /* links are removed, what they point at is not */
    must_write(outside, "kept");
    assert_int_equal(symlink(folder, link), 0);
    assert_int_equal(file_remove_tree(home, &err), ERR_NONE);
    assert_false(file_exists(home));
    must_hold(outside, "kept");
    assert_int_equal(file_remove_tree(home, &err), ERR_NONE);
}

/* ---- list and own ---- */

struct item {
    int number;
    struct list node;
};

static void
test_list(void **state)
{
    (void)state;
    struct list head;
    struct item items[5];
    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_init(&items[i].node);
        list_remove(&items[i].node); /* in no list: fine */
        list_add_tail(&head, &items[i].node);
    }
    int seen = 0;
    list_each (at, &head) {
        struct item *item = CONTAINER_OF(at, struct item, node);
        assert_int_equal(item->number, seen++);
        if (item->number % 2 == 0)
            list_remove(at);
    }
    assert_int_equal(seen, 5);
    seen = 0;
    list_each (at, &head) {
        seen += CONTAINER_OF(at, struct item, node)->number;
    }
    assert_int_equal(seen, 1 + 3);
}

static void
test_take_ptr(void **state)
{
    (void)state;
    CLEANUP(freep) char *text = str_dup("x");
    CLEANUP(freep) char *other = take_ptr(&text);
    assert_null(text);
    assert_string_equal(other, "x");
}

/* ---- clock ---- */

static void
test_clock(void **state)
{
    (void)state;
    uint64_t before_us = clock_now_us();
    uint64_t now_ms = clock_now_ms();
    assert_true(before_us / 1000 <= now_ms && now_ms <= clock_now_us() / 1000);
    char text[CLOCK_TEXT_SIZE];
    assert_string_equal(clock_wall_text(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_wall_text(1795326063123, text), "2026-11-22T05:41:03.123Z");
    assert_true(clock_wall_ms() > 1600000000000);
}

/* ---- log ---- */

static void
test_log_is_one_line(void **state)
{
    (void)state;
    CLEANUP(freep) char *path = path_of("log");
    int saved = dup(STDERR_FILENO);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0);
    (void)fflush(stderr);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    log_init("east-1", LOG_LEVEL_INFO);
    log_warn("peer.refused", "node=%s reason=\"%s\"", "west-1", "two\nlines\r");
    log_debug("never", "shown=%d", 1);
    (void)fflush(stderr);
    log_init(NULL, LOG_LEVEL_INFO);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    (void)close(file);

    struct buf content = { 0 };
    assert_int_equal(file_read(path, 65536, &content, NULL), ERR_NONE);
    const char *text = buf_text(&content);
    assert_true(str_ends(text, " warn  east-1 peer.refused node=west-1 reason=\"two lines \"\n"));
    assert_ptr_equal(strchr(text, '\n'), text + content.size - 1);
    assert_null(strstr(text, "never"));
    buf_done(&content);
}

/* ---- check ---- */

static void
test_assertions_end_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(2);
        ASSERT(child != 0);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_is_bounded),
        cmocka_unit_test(test_write_replaces_whole_files),
        cmocka_unit_test(test_mode_is_exact_whatever_the_umask),
        cmocka_unit_test(test_failed_write_leaves_the_old_file),
        cmocka_unit_test(test_write_refuses_a_link_and_a_folder),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_take_ptr),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_log_is_one_line),
        cmocka_unit_test(test_assertions_end_the_process),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
