#include "controller/cli/table.h"

#include <libsmartcols.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/cli/cli.h"

#define COLUMNS_MAX   16
#define SEPARATOR     "  "
#define CUT_WIDTH_MIN 6 /* a column that gives way keeps so many columns of the terminal */
#define CUT_MARK      "..."

struct table {
    struct table_look look;
    struct libscols_table *scols; /* owned */
    struct libscols_line *line;   /* owned by scols; the row being filled */
    size_t cell;
    unsigned flags[COLUMNS_MAX];
    size_t column_count;
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
    (void)scols_table_set_column_separator(table->scols, SEPARATOR);
    /* What does not fit is cut by us: libsmartcols leaves no mark where it cuts. */
    (void)scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
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
    ASSERT(table->column_count < COLUMNS_MAX);
    table->flags[table->column_count++] = flags;
    int scols_flags = (flags & TABLE_RIGHT) != 0 ? SCOLS_FL_RIGHT : 0;
    scols_flags |= (flags & TABLE_WRAP) != 0 ? SCOLS_FL_WRAP : 0;
    struct libscols_column *column = scols_table_new_column(table->scols, name, 0, scols_flags);
    ASSERT(column != NULL);
    if ((flags & TABLE_WRAP) != 0) {
        (void)scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
                                        NULL);
        (void)scols_column_set_safechars(column, "\n");
    }
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
    if (table->look.color && tones[tone].name != NULL && text[0] != '\0')
        (void)scols_cell_set_color(cell, tones[tone].name);
}

size_t
table_row_count(const struct table *table)
{
    return scols_table_get_nlines(table->scols);
}

/* ---- fitting ---- */

/* Bytes of the next character and its columns; what is no character is shown as "\\xNN". */
static size_t
step(const char *text, unsigned *ret_width)
{
    wchar_t wide;
    mbstate_t shift = { 0 };
    size_t size = mbrtowc(&wide, text, MB_CUR_MAX, &shift);
    if (size == (size_t)-1 || size == (size_t)-2 || size == 0) {
        *ret_width = 4;
        return 1;
    }
    int width = wcwidth(wide);
    *ret_width = width < 0 ? (unsigned)(4 * size) : (unsigned)width;
    return size;
}

static unsigned
width_of(const char *text)
{
    unsigned total = 0;
    while (*text != '\0') {
        unsigned width;
        text += step(text, &width);
        total += width;
    }
    return total;
}

static struct libscols_cell *
cell_at(const struct table *table, size_t row, size_t column)
{
    return scols_line_get_cell(scols_table_get_line(table->scols, row), column);
}

static unsigned
column_width(const struct table *table, size_t column)
{
    struct libscols_column *scols = scols_table_get_column(table->scols, column);
    unsigned widest = width_of(scols_column_get_name(scols));
    for (size_t row = 0; row < table_row_count(table); row++) {
        const char *text = scols_cell_get_data(cell_at(table, row, column));
        unsigned width = text == NULL ? 0 : width_of(text);
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* Takes from the widest that gives way until all fits, or nothing more can be given. */
static void
share_width(const struct table *table, unsigned widths[COLUMNS_MAX])
{
    unsigned total = (unsigned)((table->column_count - 1) * strlen(SEPARATOR));
    for (size_t i = 0; i < table->column_count; i++) {
        widths[i] = column_width(table, i);
        total += widths[i];
    }
    for (; total > table->look.width; total--) {
        size_t widest = COLUMNS_MAX;
        for (size_t i = 0; i < table->column_count; i++) {
            bool gives = (table->flags[i] & (TABLE_CUT | TABLE_WRAP)) != 0;
            if (gives && widths[i] > CUT_WIDTH_MIN &&
                (widest == COLUMNS_MAX || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == COLUMNS_MAX)
            return;
        widths[widest]--;
    }
}

static void
cut(const char *text, unsigned width, struct buf *into)
{
    unsigned room = width - (unsigned)strlen(CUT_MARK);
    for (unsigned used = 0; *text != '\0';) {
        unsigned wide;
        size_t size = step(text, &wide);
        if (used + wide > room)
            break;
        buf_add(into, text, size);
        used += wide;
        text += size;
    }
    buf_add_text(into, CUT_MARK);
}

/* Breaks at spaces; a word that is wider than the column is broken anywhere. */
static void
wrap(const char *text, unsigned width, struct buf *into)
{
    unsigned used = 0;
    while (*text != '\0') {
        size_t word_size = strcspn(text, " ");
        CLEANUP(freep) char *word = strndup(text, word_size);
        unsigned word_width = width_of(word);
        if (used > 0 && used + 1 + word_width > width) {
            buf_add_text(into, "\n");
            used = 0;
        } else if (used > 0) {
            buf_add_text(into, " ");
            used++;
        }
        for (const char *at = word; *at != '\0';) {
            unsigned wide;
            size_t size = step(at, &wide);
            if (used > 0 && used + wide > width) {
                buf_add_text(into, "\n");
                used = 0;
            }
            buf_add(into, at, size);
            used += wide;
            at += size;
        }
        text += word_size + (text[word_size] == ' ');
    }
}

static void
fit(struct table *table)
{
    unsigned widths[COLUMNS_MAX];
    share_width(table, widths);
    for (size_t column = 0; column < table->column_count; column++) {
        for (size_t row = 0; row < table_row_count(table); row++) {
            struct libscols_cell *cell = cell_at(table, row, column);
            const char *text = scols_cell_get_data(cell);
            CLEANUP(buf_done) struct buf fitted = { 0 };
            if (text == NULL || width_of(text) <= widths[column])
                continue;
            if ((table->flags[column] & TABLE_WRAP) != 0)
                wrap(text, widths[column], &fitted);
            else
                cut(text, widths[column], &fitted);
            ASSERT(scols_cell_set_data(cell, buf_text(&fitted)) == 0);
        }
    }
}

void
table_print(struct table *table)
{
    if (table_row_count(table) == 0)
        return;
    if (table->look.width > 0)
        fit(table);
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
    /* Colour ends before the line does: a pager shows line by line. */
    bool color = look->color && tone != TABLE_PLAIN;
    size_t size = strlen(text);
    bool ends_line = size > 0 && text[size - 1] == '\n';
    (void)fprintf(look->out, "%s%.*s%s%s", color ? tones[tone].sequence : "",
                  (int)(size - ends_line), text, color ? "\033[0m" : "", ends_line ? "\n" : "");
    free(text);
}

void
table_words(const struct table_look *look, enum table_tone tone, unsigned indent,
            const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    ASSERT(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    CLEANUP(buf_done) struct buf lines = { 0 };
    if (look->width > indent + CUT_WIDTH_MIN)
        wrap(text, look->width - indent, &lines);
    else
        buf_add_text(&lines, text);
    free(text);
    for (const char *line = buf_text(&lines); line != NULL;) {
        const char *end = strchr(line, '\n');
        size_t size = end == NULL ? strlen(line) : (size_t)(end - line);
        table_text(look, tone, "%.*s%s", (int)size, line, end == NULL ? "" : "\n");
        line = end == NULL ? NULL : end + 1;
        if (line != NULL)
            table_text(look, TABLE_PLAIN, "%*s", (int)indent, "");
    }
}
