#include "controller/cli/command.h"

#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/fault.h"

#define COMMAND_WORDS_MAX 3
#define COMMAND_WORD_SIZE 32

const unsigned short command_common_options[] = { OPTION_DATA_DIR, OPTION_SERVER, OPTION_JSON,
                                                  OPTION_TIMEOUT,  OPTION_HELP,   OPTION_END };

/* Copies word 'index' of "config set"; false when there is none. */
static bool
word_of(const char *name, size_t index, char to[COMMAND_WORD_SIZE])
{
    for (; index > 0; index--) {
        name = strchr(name, ' ');
        if (name == NULL)
            return false;
        name++;
    }
    size_t size = strcspn(name, " ");
    ASSERT(size < COMMAND_WORD_SIZE);
    memcpy(to, name, size);
    to[size] = '\0';
    return true;
}

static size_t
match_size(const char *name, const char *const *words, size_t count)
{
    size_t at = 0;
    char word[COMMAND_WORD_SIZE];
    for (; word_of(name, at, word); at++) {
        if (at == count || strcmp(word, words[at]) != 0)
            return 0;
    }
    return at;
}

const struct command *
command_find(const char *const *words, size_t count, size_t *ret_used)
{
    const struct command *best = NULL;
    size_t best_size = 0;
    for (size_t i = 0; i < command_count; i++) {
        size_t size = match_size(command_rows[i].name, words, count);
        if (size > best_size) {
            best = &command_rows[i];
            best_size = size;
        }
    }
    *ret_used = best_size;
    return best;
}

bool
command_is_group(const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i < command_count; i++) {
        if (strncmp(command_rows[i].name, word, size) == 0 && command_rows[i].name[size] == ' ')
            return true;
    }
    return false;
}

static enum option_id
find_in(const unsigned short *options, const char *name)
{
    for (; *options != OPTION_END; options++) {
        enum option_id id = (enum option_id)(*options & ~COMMAND_REQUIRED);
        if (strcmp(option_row(id)->name, name) == 0)
            return id;
    }
    return OPTION_END;
}

enum option_id
command_option(const struct command *command, const char *name)
{
    enum option_id id = OPTION_END;
    if (command != NULL)
        id = find_in(command->options, name);
    return id != OPTION_END ? id : find_in(command_common_options, name);
}

bool
command_option_exists(const char *name)
{
    for (int id = OPTION_END + 1; id < OPTION_COUNT; id++) {
        if (strcmp(option_row((enum option_id)id)->name, name) == 0)
            return true;
    }
    return false;
}

/* Keeps the nearer of two. */
static void
consider(const char *word, const char *candidate, const char **best, unsigned *best_distance)
{
    unsigned distance = fault_distance(word, candidate);
    if (distance < *best_distance) {
        *best = candidate;
        *best_distance = distance;
    }
    /* "stat" is far from "status" by letters, and still clear. */
    if (strlen(word) >= 3 && str_starts(candidate, word) && *best_distance > 1) {
        *best = candidate;
        *best_distance = 1;
    }
}

const char *
command_nearest_word(const char *group, const char *word)
{
    static char words[128][COMMAND_WORD_SIZE]; /* one for each row, so that 'best' stays valid */
    const char *best = NULL;
    unsigned best_distance = FAULT_FAR;
    ASSERT(command_count <= ARRAY_COUNT(words));
    for (size_t i = 0; i < command_count; i++) {
        char first[COMMAND_WORD_SIZE];
        ASSERT(word_of(command_rows[i].name, 0, first));
        if (group != NULL && strcmp(first, group) != 0)
            continue;
        if (word_of(command_rows[i].name, group == NULL ? 0 : 1, words[i]))
            consider(word, words[i], &best, &best_distance);
    }
    return best;
}

const char *
command_nearest_option(const struct command *command, const char *name)
{
    const char *best = NULL;
    unsigned best_distance = FAULT_FAR;
    const unsigned short *lists[] = { command == NULL ? NULL : command->options,
                                      command_common_options };
    for (size_t list = 0; list < ARRAY_COUNT(lists); list++) {
        for (const unsigned short *at = lists[list]; at != NULL && *at != OPTION_END; at++) {
            enum option_id id = (enum option_id)(*at & ~COMMAND_REQUIRED);
            consider(name, option_row(id)->name, &best, &best_distance);
        }
    }
    return best;
}
