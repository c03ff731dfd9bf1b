#include "sites/epoch.h"

#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

struct epoch
epoch_make(uint64_t number, const char *holder)
{
    struct epoch epoch = { .number = number };
    ASSERT(str_copy(epoch.holder, sizeof epoch.holder, holder));
    return epoch;
}

int
epoch_compare(const struct epoch *a, const struct epoch *b)
{
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return strcmp(a->holder, b->holder);
}

bool
epoch_equal(const struct epoch *a, const struct epoch *b)
{
    return epoch_compare(a, b) == 0;
}

const struct epoch *
epoch_max(const struct epoch *a, const struct epoch *b)
{
    return epoch_compare(a, b) >= 0 ? a : b;
}

const char *
epoch_text(const struct epoch *epoch, char text[EPOCH_TEXT_SIZE])
{
    if (epoch->number == 0)
        (void)snprintf(text, EPOCH_TEXT_SIZE, "-");
    else
        (void)snprintf(text, EPOCH_TEXT_SIZE, "%llu/%s", (unsigned long long)epoch->number,
                       epoch->holder);
    return text;
}

bool
epoch_parse(const char *text, struct epoch *ret_epoch)
{
    struct epoch epoch = { 0 };
    char number[24];
    if (strcmp(text, "-") == 0) {
        *ret_epoch = epoch;
        return true;
    }
    const char *slash = strchr(text, '/');
    if (slash == NULL || (size_t)(slash - text) >= sizeof number)
        return false;
    memcpy(number, text, (size_t)(slash - text));
    number[slash - text] = '\0';
    if (!str_to_u64(number, 1, INT64_MAX, &epoch.number) || !str_is_name(slash + 1) ||
        !str_copy(epoch.holder, sizeof epoch.holder, slash + 1))
        return false;
    *ret_epoch = epoch;
    return true;
}

int
position_compare(const struct position *a, const struct position *b)
{
    int order = epoch_compare(&a->epoch, &b->epoch);
    if (order != 0)
        return order;
    if (a->revision != b->revision)
        return a->revision < b->revision ? -1 : 1;
    return 0;
}
