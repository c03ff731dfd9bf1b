/*
 * shape.h -- what a JSON document may look like, as a table; one walk finds every fault.
 *
 *     static const struct shape probe_members[] = {
 *         { .name = "path", .type = SHAPE_TEXT, .min = 1, .max = 255, .text = "..." },
 *         { .name = NULL },
 *     };
 *
 * A member that the table does not know is a fault, and the nearest known name is suggested.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sites/fault.h"

enum shape_type {
    SHAPE_ANY,
    SHAPE_BOOL,
    SHAPE_INTEGER, /* min .. max */
    SHAPE_TEXT,    /* min .. max bytes */
    SHAPE_CHOICE,  /* one of 'choices' */
    SHAPE_OBJECT,  /* the members of 'inside', until a name of NULL */
    SHAPE_LIST,    /* min .. max items, each like inside[0] */
    SHAPE_MAP,     /* min .. max members with free names, each like inside[0] */
};

struct shape {
    const char *name; /* of the member; NULL ends a table of members */
    enum shape_type type;
    bool required;
    bool unique; /* LIST of TEXT: no item twice */
    int64_t min;
    int64_t max;
    const char *choices;                          /* CHOICE: "json|env|template" */
    const struct shape *inside;                   /* OBJECT, LIST, MAP */
    const char *(*text_fault)(const char *value); /* TEXT: NULL when fine, else a static text */
    const char *(*name_fault)(const char *name);  /* MAP: the same, for the names of members */
    /* ANY, OBJECT: rules beyond the table; called when the type is right. */
    void (*more)(struct json_object *value, const char *pointer, struct fault_list *faults);
    const char *text; /* for help and manual pages */
};

/* Adds each fault of 'value', which stands at 'pointer' of its document. */
void shape_check(const struct shape *shape, struct json_object *value, const char *pointer,
                 struct fault_list *faults);
/* Is 'word' one of the choices "a|b|c"? */
bool shape_is_choice(const char *choices, const char *word);
