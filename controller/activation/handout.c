#include "controller/activation/handout.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "controller/loop/seal.h"

#define SECRET_PREFIX "secret/"
#define MASK          "(secret)"
#define MASKED_MIN    4 /* bytes; what is shorter stands everywhere */

/* A descriptor at its beginning, of what nobody can change any more. */
static enum err_code
make_file(const char *name, const struct buf *value, int *ret_file, struct err *err)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int file = memfd_create("baton-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return err_errno(err, errno, "make a memory file for '%s'", name);
    size_t written = 0;
    while (written < value->size) {
        ssize_t got = write(file, value->data + written, value->size - written);
        if (got < 0 && errno != EINTR)
            break;
        written += got < 0 ? 0 : (size_t)got;
    }
    if (written < value->size || fchmod(file, 0400) != 0 || lseek(file, 0, SEEK_SET) != 0 ||
        fcntl(file, F_ADD_SEALS, seals) != 0) {
        int number = errno;
        (void)close(file);
        return err_errno(err, number, "fill a memory file for '%s'", name);
    }
    *ret_file = file;
    return ERR_NONE;
}

/* "secret/pam-main": BATON_SECRET_FD_PAM_MAIN. Names have no '_', so no two become one. */
static void
name_variable(const char *name, int number, char to[HANDOUT_VARIABLE_SIZE])
{
    char upper[HANDOUT_VARIABLE_SIZE];
    ASSERT(str_copy(upper, sizeof upper, name));
    for (char *at = upper; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    (void)snprintf(to, HANDOUT_VARIABLE_SIZE, "BATON_SECRET_FD_%.64s=%d", upper, number);
}

enum err_code
handout_make(const struct action_order *order, int first, struct handout *ret, struct err *err)
{
    const struct connector_action *action = order->action;
    struct handout made = { 0 };
    enum err_code code = ERR_NONE;
    *ret = made;
    if (order->which == EFFECTIVE_NONE || action->secret_count == 0)
        return ERR_NONE;
    if (order->secret == NULL)
        return err_set(err, ERR_UNAVAILABLE, "no_secrets", "secrets are not available here");
    for (size_t i = 0; code == ERR_NONE && i < action->secret_count; i++) {
        CLEANUP(seal_wipe) struct buf value = { 0 };
        const char *name = action->secrets[i] + strlen(SECRET_PREFIX);
        code = order->secret(order->secret_data, name, &value, err);
        if (code == ERR_NONE)
            code = make_file(name, &value, &made.files[i], err);
        if (code != ERR_NONE) {
            code = err_wrap(err, "'%s'", action->secrets[i]);
            break;
        }
        name_variable(name, first + (int)i, made.variables[i]);
        made.count++;
    }
    if (code != ERR_NONE)
        handout_done(&made);
    else
        *ret = made;
    return code;
}

void
handout_done(struct handout *handout)
{
    for (size_t i = 0; i < handout->count; i++)
        (void)close(handout->files[i]);
    handout->count = 0;
}

/* Without the line end that a program would not print again; empty: too short to look for. */
static void
read_value(int file, struct buf *value)
{
    struct stat about; /* never lseek(): the place is shared with who reads */
    if (fstat(file, &about) != 0 || about.st_size <= 0)
        return;
    char *room = buf_reserve(value, (size_t)about.st_size);
    ssize_t got = pread(file, room, (size_t)about.st_size, 0);
    if (got <= 0)
        return;
    buf_grew(value, (size_t)got);
    while (value->size > 0 && strchr(" \t\r\n", value->data[value->size - 1]) != NULL)
        value->size--;
    if (value->size < MASKED_MIN)
        value->size = 0;
}

/* How long the longest value is that stands there: one may be the beginning of another. Where the
 * text was cut, what is left of a value counts, too. */
static size_t
value_at(const struct buf *values, size_t count, const char *at, size_t left, bool cut)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = values[i].size;
        if (cut && left < size && left >= MASKED_MIN)
            size = left;
        if (size > longest && size <= left && memcmp(at, values[i].data, size) == 0)
            longest = size;
    }
    return longest;
}

void
handout_mask(const struct handout *handout, const char *text, size_t size, bool cut, struct buf *to)
{
    struct buf values[CONNECTOR_SECRET_COUNT_MAX] = { 0 };
    for (size_t i = 0; i < handout->count; i++)
        read_value(handout->files[i], &values[i]);
    for (size_t at = 0; at < size;) {
        size_t secret = value_at(values, handout->count, text + at, size - at, cut);
        if (secret > 0)
            buf_add_text(to, MASK);
        else
            buf_add(to, text + at, 1);
        at += secret > 0 ? secret : 1;
    }
    for (size_t i = 0; i < handout->count; i++)
        seal_wipe(&values[i]);
}
