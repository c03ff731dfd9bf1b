/* Runs a fuzz target over the files of one folder, without a fuzzer: each build keeps what was
 * found. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/file.h"
#include "controller/base/str.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_SIZE_MAX (1024UL * 1024)

int
main(int count, char **arguments)
{
    if (count != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
        return 2;
    }
    DIR *folder = opendir(arguments[1]);
    if (folder == NULL) {
        perror(arguments[1]);
        return 1;
    }
    unsigned replayed = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        CLEANUP(freep) char *path = str_printf("%s/%s", arguments[1], entry->d_name);
        CLEANUP(buf_done) struct buf input = { 0 };
        struct err err;
        if (file_read(path, INPUT_SIZE_MAX, &input, &err) != ERR_NONE) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        /* a copy of the exact size, so that the sanitizers see a read beyond it */
        CLEANUP(freep) uint8_t *exact = malloc(input.size == 0 ? 1 : input.size);
        if (exact == NULL)
            return 1;
        if (input.size > 0)
            memcpy(exact, input.data, input.size);
        (void)LLVMFuzzerTestOneInput(exact, input.size);
        replayed++;
    }
    (void)closedir(folder);
    (void)printf("%u inputs\n", replayed);
    return replayed == 0;
}
