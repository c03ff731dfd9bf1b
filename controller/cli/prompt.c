#include "controller/cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/clock.h"
#include "controller/base/str.h"

#define PROGRESS_MS 1000

#define CONTROL_C  3
#define CONTROL_D  4
#define CONTROL_U  21
#define BACKSPACE  8
#define DELETE_KEY 127

/* Byte by byte, without a buffer: what stands behind the line belongs to the next reader. */
static enum err_code
read_line(int descriptor, char *to, size_t size, struct err *err)
{
    size_t used = 0;
    for (;;) {
        char byte;
        ssize_t got = read(descriptor, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read the answer");
        if (got == 0 && used == 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "no answer: nothing was done");
        if (got == 0 || byte == '\n')
            break;
        if (used + 1 == size)
            return err_set(err, ERR_LIMIT, "line_too_long", "the line is longer than %zu bytes",
                           size - 1);
        to[used++] = byte;
    }
    if (used > 0 && to[used - 1] == '\r')
        used--;
    to[used] = '\0';
    return ERR_NONE;
}

enum err_code
prompt_line(char *to, size_t size, struct err *err)
{
    return read_line(STDIN_FILENO, to, size, err);
}

/* Signals of the keyboard are off, so Ctrl-C arrives as a byte and the echo is surely put back. */
static enum err_code
read_hidden(char *to, size_t size, struct err *err)
{
    size_t used = 0;
    for (;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || byte == CONTROL_C || (byte == CONTROL_D && used == 0))
            return err_set(err, ERR_CANCELLED, "cancelled", "no password: nothing was done");
        if (byte == '\n' || byte == '\r')
            break;
        if (byte == BACKSPACE || byte == DELETE_KEY)
            used -= used > 0;
        else if (byte == CONTROL_U)
            used = 0;
        else if (used + 1 == size)
            return err_set(err, ERR_LIMIT, "line_too_long", "the password is longer than %zu bytes",
                           size - 1);
        else
            to[used++] = byte;
    }
    to[used] = '\0';
    return ERR_NONE;
}

enum err_code
prompt_password(const char *question, char *to, size_t size, struct err *err)
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        (void)err_set(err, ERR_INVALID, "no_terminal", "there is no terminal to ask '%s' on",
                      question);
        return err_mend(err, "use --password-file FILE, or - for standard input");
    }
    struct termios hidden = before;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    hidden.c_cc[VMIN] = 1;
    hidden.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden); /* before the question: nothing is echoed */
    (void)fprintf(stderr, "%s: ", question);
    (void)fflush(stderr);
    enum err_code code = read_hidden(to, size, err);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputc('\n', stderr);
    return code;
}

enum err_code
prompt_password_file(const char *path, char *to, size_t size, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_line(STDIN_FILENO, to, size, err);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return err_errno(err, errno, "open password file '%s'", path);
    enum err_code code = read_line(descriptor, to, size, err);
    (void)close(descriptor);
    return code == ERR_NONE ? code : err_wrap(err, "password file '%s'", path);
}

struct prompt_progress {
    pthread_t thread;
    int end;    /* owned; an eventfd that tells the thread to end */
    bool shown; /* the thread's, read after the join */
    FILE *to;   /* borrowed */
    char *text; /* owned */
};

static void *
show_progress(void *data)
{
    struct prompt_progress *progress = data;
    struct pollfd end = { .fd = progress->end, .events = POLLIN };
    uint64_t begin_ms = clock_now_ms();
    while (poll(&end, 1, PROGRESS_MS) <= 0) {
        (void)fprintf(progress->to, "\r\033[K%s ... %llu s", progress->text,
                      (unsigned long long)(clock_now_ms() - begin_ms) / 1000);
        (void)fflush(progress->to);
        progress->shown = true;
    }
    return NULL;
}

struct prompt_progress *
prompt_progress_begin(FILE *to, bool is_terminal, const char *text)
{
    if (!is_terminal)
        return NULL;
    struct prompt_progress *progress = mem_zero(1, sizeof *progress);
    progress->to = to;
    progress->text = str_dup(text);
    progress->end = eventfd(0, EFD_CLOEXEC);
    if (progress->end >= 0 && pthread_create(&progress->thread, NULL, show_progress, progress) == 0)
        return progress;
    if (progress->end >= 0)
        (void)close(progress->end);
    free(progress->text);
    free(progress);
    return NULL;
}

void
prompt_progress_end(struct prompt_progress *progress)
{
    if (progress == NULL)
        return;
    uint64_t one = 1;
    ASSERT(write(progress->end, &one, sizeof one) == (ssize_t)sizeof one);
    (void)pthread_join(progress->thread, NULL);
    if (progress->shown) {
        (void)fputs("\r\033[K", progress->to);
        (void)fflush(progress->to);
    }
    (void)close(progress->end);
    free(progress->text);
    free(progress);
}
