/*
 * fault.h -- everything that is wrong with a JSON document, each fault with its JSON pointer.
 *
 * A person who mends a document wants all its faults at once, so a check goes on after the first.
 * The list is bounded: what does not fit is counted in 'more'. A zeroed struct is an empty list.
 */
#pragma once

#include <json-c/json.h>

#include "controller/base/err.h"

#define FAULT_COUNT_MAX    32
#define FAULT_POINTER_SIZE 192 /* a longer pointer is cut and ends in "..." */
#define FAULT_TEXT_SIZE    256

struct fault {
    char pointer[FAULT_POINTER_SIZE]; /* RFC 6901; "" is the whole document */
    char text[FAULT_TEXT_SIZE];       /* what is wrong and what is allowed */
};

struct fault_list {
    size_t count;
    size_t more; /* faults beyond FAULT_COUNT_MAX */
    struct fault list[FAULT_COUNT_MAX];
};

void fault_add(struct fault_list *faults, const char *pointer, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* 'pointer' + "/" + 'name', with "~" and "/" in the name escaped, and "?" for control characters.
 */
void fault_pointer(char to[FAULT_POINTER_SIZE], const char *pointer, const char *name);
void fault_pointer_index(char to[FAULT_POINTER_SIZE], const char *pointer, size_t index);

/* ERR_NONE for an empty list, else ERR_INVALID with 'slug' and "what: /pointer: text; ...". */
enum err_code fault_err(const struct fault_list *faults, const char *slug, const char *what,
                        struct err *err);
/* [{"pointer","text"}]; the caller's. */
struct json_object *fault_json(const struct fault_list *faults);

/* A piece of outside text fit for one line of a message: at most 64 bytes, cut between characters,
 * without control characters. Returns 'to'. */
#define FAULT_CLIP_SIZE 68
const char *fault_clip(char to[FAULT_CLIP_SIZE], const char *text);

/* How many letters must change to make one word of the other; FAULT_FAR when it is too many, or
 * more than half of 'word', for a slip of the hand. */
#define FAULT_FAR 4
unsigned fault_distance(const char *word, const char *name);
