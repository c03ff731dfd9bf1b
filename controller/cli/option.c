#include "controller/cli/option.h"

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/shape.h"

#define OPTION_NUMBER_MAX      ((uint64_t)INT64_MAX)
#define OPTION_DURATION_MAX_MS (366ULL * 86400 * 1000)

static const struct option_row option_rows[] = {
#define X(id, name, type, argument, choices, text)                                                 \
    [OPTION_##id] = { name, OPTION_TYPE_##type, argument, choices, text },
    OPTION_TABLE(X)
#undef X
};

const struct option_row *
option_row(enum option_id id)
{
    ASSERT(id > OPTION_END && id < OPTION_COUNT);
    return &option_rows[id];
}

bool
option_has_argument(const struct option_row *row)
{
    return row->type != OPTION_TYPE_FLAG;
}

static enum err_code
refuse(const struct option_row *row, const char *value, const char *allowed, struct err *err)
{
    return err_set(err, ERR_INVALID, "option_value", "--%s '%s': must be %s", row->name, value,
                   allowed);
}

enum err_code
option_check(const struct option_row *row, const char *value, struct err *err)
{
    uint64_t number;
    switch (row->type) {
    case OPTION_TYPE_FLAG:
        break;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_REPEATED:
    case OPTION_TYPE_FILES:
    case OPTION_TYPE_FILE:
    case OPTION_TYPE_FOLDER:
        if (value[0] == '\0')
            return refuse(row, value, "something", err);
        break;
    case OPTION_TYPE_NAME:
        if (!str_is_name(value))
            return refuse(row, value,
                          "1 to 63 letters a-z, digits and '-', neither first nor last a '-'", err);
        break;
    case OPTION_TYPE_NUMBER:
        if (!str_to_u64(value, 0, OPTION_NUMBER_MAX, &number))
            return refuse(row, value, "a whole number", err);
        break;
    case OPTION_TYPE_DURATION:
        if (!str_to_duration_ms(value, OPTION_DURATION_MAX_MS, &number) || number == 0)
            return refuse(row, value, "a time such as 250ms, 90s, 5m, 1h or 7d", err);
        break;
    case OPTION_TYPE_CHOICE:
        if (!shape_is_choice(row->choices, value))
            return refuse(row, value, row->choices, err);
        break;
    }
    return ERR_NONE;
}
