#include "controller/base/str.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"

char *
str_dup(const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

char *
str_printf(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    ASSERT(length >= 0);
    return text;
}

bool
str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool
str_ends(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

bool
str_copy(char *to, size_t to_size, const char *from)
{
    size_t size = strlen(from) + 1;
    if (size > to_size) {
        to[0] = '\0';
        return false;
    }
    memcpy(to, from, size);
    return true;
}

bool
str_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
            return false;
    }
    if (number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

bool
str_to_duration_ms(const char *text, uint64_t max_ms, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = { { "ms", 1 },          { "s", 1000 },     { "m", 60000 },
                  { "h", 3600 * 1000 }, { "d", 86400000 }, { "", 1000 } };
    size_t digits = strspn(text, "0123456789");
    char number[20];
    uint64_t count;
    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(text + digits, units[i].unit) != 0)
            continue;
        if (!str_to_u64(number, 0, max_ms / units[i].ms, &count))
            return false;
        *ret_ms = count * units[i].ms;
        return true;
    }
    return false;
}

bool
str_is_name(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > 63 || text[0] == '-' || text[length - 1] == '-')
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Bytes of the character at 'at'; 0: it is none. */
static size_t
character_size(const uint8_t *at, const uint8_t *end)
{
    uint8_t first = *at++;
    if (first < 0x80)
        return 1;
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || (size_t)(end - at) < more)
        return 0;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    if (first == 0xe0)
        low = 0xa0; /* overlong */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90; /* overlong */
    else if (first == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (*at < low || *at > high)
        return 0;
    for (unsigned i = 1; i < more; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return more + 1;
}

bool
str_is_utf8(const char *text, size_t size)
{
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + size;
    while (at < end) {
        size_t step = character_size(at, end);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

void
str_keep_utf8(char *text)
{
    const char *end = text + strlen(text);
    char *to = text;
    for (const char *at = text; at < end;) {
        size_t size = character_size((const uint8_t *)at, (const uint8_t *)end);
        memmove(to, at, size);
        to += size;
        at += size == 0 ? 1 : size;
    }
    *to = '\0';
}

void
str_hex(char *to, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
    to[2 * size] = '\0';
}

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

bool
str_from_hex(const char *text, uint8_t *to, size_t size)
{
    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
str_base64url(const uint8_t *bytes, size_t size)
{
    char *text = mem_alloc((size + 2) / 3 * 4 + 1);
    char *at = text;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8) | bytes[i];
        for (count += 8; count >= 6; count -= 6)
            *at++ = base64url_digits[(bits >> (count - 6)) & 63];
    }
    if (count > 0)
        *at++ = base64url_digits[(bits << (6 - count)) & 63];
    *at = '\0';
    return text;
}

bool
str_from_base64url(const char *text, uint8_t **ret_bytes, size_t *ret_size)
{
    size_t length = strlen(text);
    if (length % 4 == 1)
        return false;
    CLEANUP(freep) uint8_t *bytes = mem_alloc(length);
    size_t size = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    for (; *text != '\0'; text++) {
        const char *digit = strchr(base64url_digits, *text);
        if (digit == NULL)
            return false;
        bits = (bits << 6) | (uint32_t)(digit - base64url_digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[size++] = (uint8_t)(bits >> count);
        }
    }
    if ((bits & ((1u << count) - 1)) != 0) /* left-over bits must be zero: one text, one value */
        return false;
    *ret_bytes = take_ptr(&bytes);
    *ret_size = size;
    return true;
}
