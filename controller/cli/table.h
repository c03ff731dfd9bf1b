/*
 * table.h -- a table for people, on libsmartcols: wide characters, cut to the terminal, coloured.
 *
 *     CLEANUP(table_freep) struct table *table = table_new(&look);
 *     table_column(table, "NODE", 0);
 *     table_row(table);
 *     table_cell(table, TABLE_GOOD, "%s", name);
 *     table_print(table);
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "controller/base/own.h"

struct cli;
struct table;

/* Where and how anything is shown; tests give their own. */
struct table_look {
    FILE *out;      /* borrowed */
    unsigned width; /* columns; 0: nothing is cut */
    bool color;
};
struct table_look table_look(const struct cli *cli);

enum table_tone { TABLE_PLAIN, TABLE_GOOD, TABLE_WARN, TABLE_BAD, TABLE_DIM, TABLE_BOLD };

/* A column that gives way when the terminal is narrow is CUT, with "..." so that half an address
 * is not taken for a whole one, or continues on further lines (WRAP). */
#define TABLE_RIGHT 1u /* align to the right */
#define TABLE_CUT   2u
#define TABLE_WRAP  4u

struct table *table_new(const struct table_look *look);
void table_freep(struct table **holder);
void table_column(struct table *table, const char *name, unsigned flags);
void table_row(struct table *table);
/* The next cell of the row; an empty text shows nothing. */
void table_cell(struct table *table, enum table_tone tone, const char *format, ...)
    PRINTF_LIKE(3, 4);
size_t table_row_count(const struct table *table);
/* Nothing when it has no row. */
void table_print(struct table *table);

/* Text outside of a table, in the same colours: words that go on, on a narrow terminal, on further
 * lines behind 'indent' columns, where what stands before them has ended. */
void table_words(const struct table_look *look, enum table_tone tone, unsigned indent,
                 const char *format, ...) PRINTF_LIKE(4, 5);
/* The same, as it is. */
void table_text(const struct table_look *look, enum table_tone tone, const char *format, ...)
    PRINTF_LIKE(3, 4);
