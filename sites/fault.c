#include "sites/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"

#define FAULT_WORD_LENGTH_MAX 64

void
fault_add(struct fault_list *faults, const char *pointer, const char *format, ...)
{
    if (faults->count == FAULT_COUNT_MAX) {
        faults->more++;
        return;
    }
    struct fault *fault = &faults->list[faults->count++];
    (void)snprintf(fault->pointer, sizeof fault->pointer, "%s", pointer);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
    str_keep_utf8(fault->pointer);
    str_keep_utf8(fault->text);
}

/* Ends 'to' at most at byte 'at' with "...", between characters and never inside one. */
static void
cut(char *to, size_t at)
{
    while (at > 0 && ((unsigned char)to[at] & 0xC0u) == 0x80u)
        at--;
    memcpy(to + at, "...", 4);
}

static char
printable(char byte)
{
    return (unsigned char)byte < 0x20 || byte == 0x7f ? '?' : byte;
}

void
fault_pointer(char to[FAULT_POINTER_SIZE], const char *pointer, const char *name)
{
    size_t used = (size_t)snprintf(to, FAULT_POINTER_SIZE, "%s/", pointer);
    for (; *name != '\0' && used + 3 < FAULT_POINTER_SIZE; name++) {
        if (*name == '~' || *name == '/') {
            to[used++] = '~';
            to[used++] = *name == '~' ? '0' : '1';
        } else {
            to[used++] = printable(*name);
        }
    }
    if (*name != '\0' || used >= FAULT_POINTER_SIZE)
        cut(to, FAULT_POINTER_SIZE - 4);
    else
        to[used] = '\0';
}

const char *
fault_clip(char to[FAULT_CLIP_SIZE], const char *text)
{
    size_t used = 0;
    for (; text[used] != '\0' && used + 1 < FAULT_CLIP_SIZE; used++)
        to[used] = printable(text[used]);
    if (text[used] != '\0')
        cut(to, FAULT_CLIP_SIZE - 4);
    else
        to[used] = '\0';
    return to;
}

void
fault_pointer_index(char to[FAULT_POINTER_SIZE], const char *pointer, size_t index)
{
    char name[24];
    (void)snprintf(name, sizeof name, "%zu", index);
    fault_pointer(to, pointer, name);
}

enum err_code
fault_err(const struct fault_list *faults, const char *slug, const char *what, struct err *err)
{
    if (faults->count == 0)
        return ERR_NONE;
    char text[ERR_TEXT_SIZE] = "";
    size_t used = 0;
    for (size_t i = 0; i < faults->count; i++) {
        char one[FAULT_POINTER_SIZE + FAULT_TEXT_SIZE + 8];
        const struct fault *fault = &faults->list[i];
        int length = snprintf(one, sizeof one, "%s%s%s%s", i == 0 ? "" : "; ", fault->pointer,
                              fault->pointer[0] == '\0' ? "" : ": ", fault->text);
        ASSERT(length > 0);
        size_t left = faults->count + faults->more - i;
        /* room is kept for the count of what does not fit */
        if (i > 0 && used + (size_t)length + 160 > sizeof text) {
            (void)snprintf(text + used, sizeof text - used, "; and %zu more", left);
            break;
        }
        memcpy(text + used, one, (size_t)length + 1);
        used += (size_t)length;
        if (i + 1 == faults->count && faults->more > 0)
            (void)snprintf(text + used, sizeof text - used, "; and %zu more", faults->more);
    }
    return err_set(err, ERR_INVALID, slug, "%s: %s", what, text);
}

struct json_object *
fault_json(const struct fault_list *faults)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < faults->count; i++) {
        struct json_object *fault = json_object_new_object();
        json_add_string(fault, "pointer", faults->list[i].pointer);
        json_add_string(fault, "text", faults->list[i].text);
        ASSERT(json_object_array_add(list, fault) == 0);
    }
    return list;
}

static unsigned
least(unsigned one, unsigned two, unsigned three)
{
    unsigned smaller = one < two ? one : two;
    return smaller < three ? smaller : three;
}

unsigned
fault_distance(const char *word, const char *name)
{
    size_t word_length = strlen(word);
    size_t name_length = strlen(name);
    if (word_length > FAULT_WORD_LENGTH_MAX || name_length > FAULT_WORD_LENGTH_MAX)
        return FAULT_FAR;

    unsigned row[FAULT_WORD_LENGTH_MAX + 1];
    for (unsigned i = 0; i <= name_length; i++)
        row[i] = i;
    for (size_t i = 1; i <= word_length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= name_length; j++) {
            unsigned changed = diagonal + (word[i - 1] == name[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, changed);
        }
    }
    unsigned distance = row[name_length];
    return distance < FAULT_FAR && distance * 2 <= word_length ? distance : FAULT_FAR;
}
