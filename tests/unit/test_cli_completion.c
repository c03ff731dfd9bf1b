/* The completion script, sourced by a real bash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/base/file.h"
#include "controller/base/str.h"
#include "controller/cli/help.h"

static char script[64];

static int
write_script(void **state)
{
    (void)state;
    (void)snprintf(script, sizeof script, "/tmp/test-completion-XXXXXX");
    int descriptor = mkstemp(script);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (file == NULL)
        return -1;
    help_completion_bash(file);
    return fclose(file);
}

static int
remove_script(void **state)
{
    (void)state;
    return unlink(script);
}

/* What bash offers when TAB is pressed behind the last word; the words are COMP_WORDS. */
static char *
complete(const char *words)
{
    CLEANUP(freep)
    char *command = str_printf("bash --norc -c 'set -u; compopt() { :; }; source %s; "
                               "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                               "_baton; echo \"${COMPREPLY[*]-}\"' 2>&1",
                               script, words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    CLEANUP(buf_done) struct buf text = { 0 };
    char line[4096];
    while (fgets(line, sizeof line, pipe) != NULL)
        buf_add_text(&text, line);
    assert_int_equal(pclose(pipe), 0);
    char *reply = buf_take(&text);
    if (str_ends(reply, "\n"))
        reply[strlen(reply) - 1] = '\0';
    return reply;
}

static void
test_words(void **state)
{
    static const struct {
        const char *words;
        const char *reply;
    } rows[] = {
        { "baton sta", "status" },
        { "baton pro", "promote promotion" },
        { "baton config ex", "export" },
        { "baton setaside \"\"",
          "list show apply discard --data-dir --server --json --timeout --help" },
        { "baton --json config ex", "export" },
        { "baton --data-dir /x config ex", "export" },
        { "baton promote west --acc", "--accept-data-loss" },
        { "baton promote --dry-run west --over", "--override" },
        { "baton status --w", "--watch" },
        { "baton config set key --if", "--if-match" },
        { "baton config export --format \"\"", "json yaml" },
        { "baton user set anna --role a", "admin" },
        { "baton promote --reason \"\"", "" },
        { "baton promote west --override conn", "connectors" },
        { "baton witness \"\"", "init run add sql --data-dir --server --json --timeout --help" },
        { "baton witness init --clu", "--cluster-ca" },
        { "baton nonsense --js", "--json" },
        { "baton completion b", "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CLEANUP(freep) char *reply = complete(rows[i].words);
        if (strcmp(reply, rows[i].reply) != 0)
            fail_msg("%s: '%s' and not '%s'", rows[i].words, reply, rows[i].reply);
    }
}

static void
test_files(void **state)
{
    (void)state;
    CLEANUP(freep) char *words = str_printf("baton login --ca %s", script);
    CLEANUP(freep) char *reply = complete(words);
    assert_string_equal(reply, script);
    CLEANUP(freep)
    char *again = str_printf("baton witness init --cluster-ca ca.crt --cluster-ca %s", script);
    CLEANUP(freep) char *second = complete(again);
    assert_string_equal(second, script);
}

/* Every command and each of its options is offered. */
static void
test_every_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        CLEANUP(freep) char *words = str_printf("baton %s --", command_rows[i].name);
        CLEANUP(freep) char *reply = complete(words);
        for (const unsigned short *at = command_rows[i].options; *at != OPTION_END; at++) {
            const struct option_row *row = option_row((enum option_id)(*at & ~COMMAND_REQUIRED));
            CLEANUP(freep) char *option = str_printf("--%s", row->name);
            if (strstr(reply, option) == NULL)
                fail_msg("%s: %s is not offered", words, option);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_every_option),
    };
    return cmocka_run_group_tests(tests, write_script, remove_script);
}
