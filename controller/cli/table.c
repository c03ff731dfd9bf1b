#include "controller/cli/table.h"

#include <libsmartcols.h>
#include <stdarg.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/cli/cli.h"

/* Where a column that gives way starts to: a share of the width below which it is not squeezed. */
#define CUT_SHARE 0.10

struct table {
    struct table_look look;
    struct libscols_table *scols; /* owned */
    struct libscols_line *line;   /* owned by scols; the row being filled */
    size_t cell;
};

/* By name for libsmartcols, as escape sequence for text. */
static const struct {
    const char *name;
    const char *sequence;
} tones[] = {
    [TABLE_PLAIN] = { NULL, "" },
    [TABLE_GOOD] = { "green", "\033[32m" },
    [TABLE_WARN] = { "yellow", "\033[33m" },
    [TABLE_BAD] = { "\033[1;31m", "\033[1;31m" },
    [TABLE_DIM] = { "\033[2m", "\033[2m" },
    [TABLE_BOLD] = { "\033[1m", "\033[1m" },
};

struct table_look
table_look(const struct cli *cli)
{
    return (struct table_look){ .out = cli->out, .width = cli->width, .color = cli->color };
}

struct table *
table_new(const struct table_look *look)
{
    struct table *table = mem_zero(1, sizeof *table);
    table->look = *look;
    table->scols = scols_new_table();
    ASSERT(table->scols != NULL);
    (void)scols_table_set_stream(table->scols, look->out);
    (void)scols_table_enable_colors(table->scols, look->color);
    (void)scols_table_set_column_separator(table->scols, "  ");
    (void)scols_table_set_termforce(table->scols, look->width == 0 ? SCOLS_TERMFORCE_NEVER
                                                                   : SCOLS_TERMFORCE_ALWAYS);
    if (look->width > 0)
        (void)scols_table_set_termwidth(table->scols, look->width);
    return table;
}

void
table_freep(struct table **holder)
{
    if (*holder != NULL)
        scols_unref_table((*holder)->scols);
    free(*holder);
    *holder = NULL;
}

void
table_column(struct table *table, const char *name, unsigned flags)
{
    int scols_flags = 0;
    double hint = 0;
    if ((flags & TABLE_RIGHT) != 0)
        scols_flags |= SCOLS_FL_RIGHT;
    if ((flags & TABLE_CUT) != 0) {
        scols_flags |= SCOLS_FL_TRUNC;
        hint = CUT_SHARE;
    }
    if ((flags & TABLE_WRAP) != 0) {
        scols_flags |= SCOLS_FL_WRAP;
        hint = CUT_SHARE;
    }
    ASSERT(scols_table_new_column(table->scols, name, hint, scols_flags) != NULL);
}

void
table_row(struct table *table)
{
    table->line = scols_table_new_line(table->scols, NULL);
    ASSERT(table->line != NULL);
    table->cell = 0;
}

void
table_cell(struct table *table, enum table_tone tone, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ASSERT(table->line != NULL && table->cell < scols_table_get_ncols(table->scols));
    struct libscols_cell *cell = scols_line_get_cell(table->line, table->cell++);
    ASSERT(scols_cell_set_data(cell, text) == 0);
    if (table->look.color && tones[tone].name != NULL)
        (void)scols_cell_set_color(cell, tones[tone].name);
}

size_t
table_row_count(const struct table *table)
{
    return scols_table_get_nlines(table->scols);
}

void
table_print(struct table *table)
{
    if (table_row_count(table) > 0)
        (void)scols_print_table(table->scols);
}

/* Texts of others must not steer the terminal. */
static void
make_harmless(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if ((*at < 0x20 && *at != '\n') || *at == 0x7f)
            *at = '?';
        else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
            at[0] = at[1] = '?';
    }
}

void
table_text(const struct table_look *look, enum table_tone tone, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    ASSERT(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    make_harmless(text);
    bool color = look->color && tone != TABLE_PLAIN;
    (void)fprintf(look->out, "%s%s%s", color ? tones[tone].sequence : "", text,
                  color ? "\033[0m" : "");
    free(text);
}
