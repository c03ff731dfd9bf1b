#include "sites/fencing.h"

#include <stdio.h>

#include "controller/base/check.h"

/* NULL when it is fenced, else what is missing. */
static const char *
missing(const struct fencing_driver *driver)
{
    switch (driver->kind) {
    case FENCING_NEVER:
        return "";
    case FENCING_ALWAYS:
        return NULL;
    case FENCING_TOLD:
        return driver->told ? NULL : " (nobody says that it is)";
    case FENCING_PROVED:
        return driver->proved ? NULL : " (its receiver has not proved it)";
    }
    ASSERT(false);
    return "";
}

bool
fencing_judge(const struct fencing_driver *drivers, size_t count, char text[FENCING_TEXT_SIZE])
{
    size_t used = 0;
    bool fenced = true;
    ASSERT(count > 0);
    for (size_t i = 0; i < count; i++) {
        const char *why = missing(&drivers[i]);
        if (why == NULL)
            continue;
        if (used < FENCING_TEXT_SIZE)
            used += (size_t)snprintf(text + used, FENCING_TEXT_SIZE - used, "%s%s%s",
                                     fenced ? "not fenced at the resource: " : ", ",
                                     drivers[i].name, why);
        fenced = false;
    }
    if (fenced)
        (void)snprintf(text, FENCING_TEXT_SIZE, "fenced at the resource");
    return fenced;
}
