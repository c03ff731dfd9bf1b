#include "controller/cli/sse.h"

#include <string.h>

#include "controller/base/str.h"

#define BOM "\xef\xbb\xbf"

void
sse_done(struct sse *sse)
{
    buf_done(&sse->line);
    buf_done(&sse->data);
}

void
sse_reset(struct sse *sse)
{
    buf_clear(&sse->line);
    buf_clear(&sse->data);
    sse->kind[0] = '\0';
    sse->has_data = false;
    sse->after_cr = false;
    sse->started = false;
}

static bool
end_event(struct sse *sse, sse_found *found, void *data)
{
    bool wanted = true;
    if (sse->has_data) {
        struct sse_event event = {
            .kind = sse->kind[0] == '\0' ? "message" : sse->kind,
            .id = sse->id,
            .data = buf_text(&sse->data),
            .size = sse->data.size,
        };
        wanted = found(data, &event);
    }
    buf_clear(&sse->data);
    sse->has_data = false;
    sse->kind[0] = '\0';
    return wanted;
}

static void
take_field(struct sse *sse, const char *line)
{
    size_t size = strcspn(line, ":");
    const char *value = line + size + (line[size] == ':');
    value += *value == ' ';
    if (size == 4 && strncmp(line, "data", 4) == 0) {
        if (sse->has_data)
            buf_add(&sse->data, "\n", 1);
        buf_add_text(&sse->data, value);
        sse->has_data = true;
    } else if (size == 5 && strncmp(line, "event", 5) == 0) {
        if (!str_copy(sse->kind, sizeof sse->kind, value))
            sse->kind[0] = '\0';
    } else if (size == 2 && strncmp(line, "id", 2) == 0) {
        char before[SSE_WORD_SIZE];
        memcpy(before, sse->id, sizeof before);
        if (!str_copy(sse->id, sizeof sse->id, value))
            memcpy(sse->id, before, sizeof before);
    }
}

static bool
end_line(struct sse *sse, sse_found *found, void *data)
{
    const char *line = buf_text(&sse->line);
    if (!sse->started && str_starts(line, BOM))
        line += strlen(BOM);
    sse->started = true;
    bool wanted = true;
    if (line[0] == '\0')
        wanted = end_event(sse, found, data);
    else if (line[0] != ':')
        take_field(sse, line);
    buf_clear(&sse->line);
    return wanted;
}

enum err_code
sse_feed(struct sse *sse, const char *bytes, size_t size, sse_found *found, void *data,
         bool *ret_wanted, struct err *err)
{
    *ret_wanted = true;
    for (size_t i = 0; i < size; i++) {
        bool second_of_pair = bytes[i] == '\n' && sse->after_cr;
        sse->after_cr = bytes[i] == '\r';
        if (second_of_pair)
            continue;
        if (bytes[i] == '\r' || bytes[i] == '\n') {
            if (!end_line(sse, found, data)) {
                *ret_wanted = false;
                return ERR_NONE;
            }
            continue;
        }
        if (sse->line.size + sse->data.size >= SSE_LINE_SIZE_MAX)
            return err_set(err, ERR_LIMIT, "event_too_large", "an event is larger than %lu bytes",
                           SSE_LINE_SIZE_MAX);
        if (bytes[i] != '\0')
            buf_add(&sse->line, &bytes[i], 1);
    }
    return ERR_NONE;
}
