#include "controller/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/str.h"

static const struct {
    const char *name;
    int http;
    int exit;
} err_rows[] = {
#define X(symbol, http, exit, name) [symbol] = { name, http, exit },
    ERR_TABLE(X)
#undef X
};

enum err_code
err_set(struct err *err, enum err_code code, const char *slug, const char *format, ...)
{
    if (err == NULL)
        return code;
    err->code = code;
    err->mend[0] = '\0';
    (void)snprintf(err->slug, sizeof err->slug, "%s", slug);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    str_keep_utf8(err->text);
    return code;
}

enum err_code
err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return ERR_INTERNAL;
    char context[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);

    char inner[ERR_TEXT_SIZE];
    memcpy(inner, err->text, sizeof inner);
    size_t used = (size_t)snprintf(err->text, sizeof err->text, "%s: ", context);
    if (used < sizeof err->text)
        (void)snprintf(err->text + used, sizeof err->text - used, "%s", inner);
    str_keep_utf8(err->text);
    return err->code;
}

enum err_code
err_errno(struct err *err, int number, const char *format, ...)
{
    enum err_code code = ERR_IO;
    if (number == ENOENT)
        code = ERR_NOT_FOUND;
    else if (number == EACCES || number == EPERM)
        code = ERR_DENIED;
    if (err == NULL)
        return code;

    char context[ERR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    (void)err_set(err, code, err_code_name(code), "%s", strerror(number));
    return err_wrap(err, "%s", context);
}

enum err_code
err_mend(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return ERR_INTERNAL;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->mend, sizeof err->mend, format, arguments);
    va_end(arguments);
    str_keep_utf8(err->mend);
    return err->code;
}

void
err_clear(struct err *err)
{
    *err = (struct err){ .code = ERR_NONE };
}

const char *
err_code_name(enum err_code code)
{
    return err_rows[code].name;
}

int
err_code_http(enum err_code code)
{
    return err_rows[code].http;
}

int
err_code_exit(enum err_code code)
{
    return err_rows[code].exit;
}

enum err_code
err_code_from_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(err_rows); i++) {
        if (strcmp(err_rows[i].name, name) == 0)
            return (enum err_code)i;
    }
    return ERR_INTERNAL;
}
