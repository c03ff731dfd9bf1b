#include "controller/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "controller/base/clock.h"

#define LOG_LINE_SIZE 4096

static struct {
    char node[128];
    enum log_level level;
    bool journal;
} log_state = { .level = LOG_LEVEL_INFO };

static const char *const log_names[] = { "error", "warn", "info", "debug" };
static const int log_priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* sd_journal_send() drops lines silently where no journald runs, so it is used only when
 * systemd says that our standard error is the journal, and that is still so. */
static bool
stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    char ours[64];
    (void)snprintf(ours, sizeof ours, "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    return strcmp(stream, ours) == 0;
}

void
log_init(const char *node, enum log_level level)
{
    (void)snprintf(log_state.node, sizeof log_state.node, "%s", node == NULL ? "" : node);
    log_state.level = level;
    log_state.journal = stderr_is_journal();
}

void
log_set_level(enum log_level level)
{
    log_state.level = level;
}

bool
log_level_from_name(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_COUNT(log_names); i++) {
        if (strcmp(log_names[i], name) != 0)
            continue;
        *ret = (enum log_level)i;
        return true;
    }
    return false;
}

/* One event is one line, whatever it quotes, and no terminal takes a part of it for an order: C0,
 * DEL, and C1 as UTF-8 writes it. */
static void
clean(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if (*at < ' ' || *at == 0x7f)
            *at = ' ';
        else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
            at[0] = at[1] = ' ';
    }
}

void
log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level > log_state.level)
        return;
    char text[LOG_LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    clean(text);
    if (log_state.journal) {
        (void)sd_journal_send("PRIORITY=%d", log_priorities[level], "MESSAGE=%s %s", event, text,
                              "BATON_EVENT=%s", event, "BATON_NODE=%s", log_state.node, NULL);
        return;
    }
    char now[CLOCK_TEXT_SIZE];
    (void)fprintf(stderr, "%s %-5s %s%s%s %s\n", clock_wall_text(clock_wall_ms(), now),
                  log_names[level], log_state.node, log_state.node[0] == '\0' ? "" : " ", event,
                  text);
}
