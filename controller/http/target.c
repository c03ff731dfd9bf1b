#include "controller/http/target.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Decodes 'size' bytes from 'from' to 'to', which may be the same place, and ends with a NUL.
 * False for a bad escape, a control character, or bytes that are not UTF-8. */
static bool
decode(char *to, const char *from, size_t size, bool plus_is_space, size_t *ret_size)
{
    size_t used = 0;
    bool ascii = true;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)from[i];
        if (byte == '%') {
            if (size - i < 3)
                return false;
            int high = hex_digit(from[i + 1]);
            int low = hex_digit(from[i + 2]);
            if (high < 0 || low < 0)
                return false;
            byte = (unsigned char)(high * 16 + low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f)
            return false;
        ascii = ascii && byte < 0x80;
        to[used++] = (char)byte;
    }
    to[used] = '\0';
    *ret_size = used;
    return ascii || str_is_utf8(to, used);
}

/* 'segment' follows a '/' and ends with '/' or NUL. */
static bool
segment_is_safe(const char *segment, size_t length)
{
    if (length == 0)
        return segment[0] == '\0';
    return !(length == 1 && segment[0] == '.') &&
           !(length == 2 && segment[0] == '.' && segment[1] == '.');
}

bool
http_path_decode(char *path)
{
    size_t size;
    if (path[0] != '/' || !decode(path, path, strlen(path), false, &size))
        return false;
    for (const char *segment = path + 1;;) {
        const char *end = strchrnul(segment, '/');
        if (!segment_is_safe(segment, (size_t)(end - segment)))
            return false;
        if (*end == '\0')
            return true;
        segment = end + 1;
    }
}

static bool
add_pair(struct http_pairs *pairs, const char *from, size_t size)
{
    const char *equals = memchr(from, '=', size);
    size_t name_size = equals == NULL ? size : (size_t)(equals - from);
    if (name_size == 0 || pairs->count == HTTP_QUERY_COUNT_MAX)
        return false;

    char *base = pairs->text.data;
    size_t name_at = pairs->text.size;
    size_t used;
    if (!decode(base + name_at, from, name_size, true, &used))
        return false;
    if (http_pairs_find(pairs, base + name_at) != NULL)
        return false;
    size_t value_at = name_at + used + 1;
    base[value_at] = '\0';
    used = 0;
    if (equals != NULL && !decode(base + value_at, equals + 1, size - name_size - 1, true, &used))
        return false;
    pairs->text.size = value_at + used + 1;
    pairs->name_at[pairs->count] = (uint16_t)name_at;
    pairs->value_at[pairs->count] = (uint16_t)value_at;
    pairs->count++;
    return true;
}

bool
http_pairs_read(struct http_pairs *pairs, const char *query)
{
    http_pairs_clear(pairs);
    size_t left = strlen(query);
    if (left == 0)
        return true;
    if (left > HTTP_URL_SIZE_MAX)
        return false;
    /* decoding never grows, and each pair needs two NULs for its '=' and '&' */
    (void)buf_reserve(&pairs->text, left + 2 + HTTP_QUERY_COUNT_MAX);
    for (const char *at = query;;) {
        const char *end = strchrnul(at, '&');
        if (end > at && !add_pair(pairs, at, (size_t)(end - at)))
            return false;
        if (*end == '\0')
            return true;
        at = end + 1;
    }
}

const char *
http_pairs_find(const struct http_pairs *pairs, const char *name)
{
    for (unsigned i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->text.data + pairs->name_at[i], name) == 0)
            return pairs->text.data + pairs->value_at[i];
    }
    return NULL;
}

void
http_pairs_clear(struct http_pairs *pairs)
{
    buf_clear(&pairs->text);
    pairs->count = 0;
}

void
http_pairs_done(struct http_pairs *pairs)
{
    buf_done(&pairs->text);
    *pairs = (struct http_pairs){ 0 };
}
