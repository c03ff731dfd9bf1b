/* Settings that parts of batond keep a copy of: the log's level and the writer's limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/tuning.h"
#include "controller/daemon/writer.h"

static struct core core;

static int
open_parts(void **state)
{
    (void)state;
    struct err err;
    core = (struct core){ .loop = ev_default_loop(0), .cache = cache_new("east-1", "east") };
    log_init(NULL, LOG_LEVEL_INFO);
    /* nobody is there: groups only wait */
    return writer_new(core.loop, "host=/nonexistent user=baton dbname=baton", &core.writer, &err) !=
           ERR_NONE;
}

static int
close_parts(void **state)
{
    (void)state;
    writer_free(core.writer);
    cache_free(core.cache);
    log_init(NULL, LOG_LEVEL_INFO);
    return 0;
}

static bool
is_logged(enum log_level level)
{
    char path[] = "/tmp/baton-test-tuning-XXXXXX";
    int file = mkstemp(path);
    int saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && saved >= 0);
    (void)fflush(stderr);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    log_line(level, "tuning.test", "x=1");
    (void)fflush(stderr);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    (void)close(file);
    struct buf content = { 0 };
    assert_int_equal(file_read(path, 65536, &content, NULL), ERR_NONE);
    bool logged = content.size > 0;
    buf_done(&content);
    (void)unlink(path);
    return logged;
}

static void
on_done(void *data, const struct writer_result *result, const struct err *err)
{
    (void)data, (void)result, (void)err;
}

/* How many groups the writer lets wait. */
static unsigned
waiting_max(unsigned enough)
{
    unsigned count = 0;
    uint64_t ids[16];
    struct err err;
    assert_true(enough <= ARRAY_COUNT(ids));
    writer_hold(core.writer);
    while (count < enough) {
        struct json_object *group = writer_group("anna", NULL);
        writer_group_put(group, "app/x", "", json_object_new_int(1), WRITER_ANY_REVISION);
        if (writer_submit(core.writer, group, 0, on_done, NULL, &ids[count], &err) != ERR_NONE)
            break;
        count++;
    }
    for (unsigned i = 0; i < count; i++)
        writer_forget(core.writer, ids[i]);
    return count;
}

static void
load(void)
{
    cache_reload_begin(core.cache, true, true);
    cache_reload_end(core.cache);
}

static void
nothing_changes_before_the_cache_is_loaded(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    struct tuning *tuning = tuning_open(&core, LOG_LEVEL_DEBUG);
    assert_false(is_logged(LOG_LEVEL_WARN));
    load();
    assert_true(is_logged(LOG_LEVEL_DEBUG));
    tuning_close(tuning);
    tuning_close(NULL);
}

static void
the_level_is_the_nodes_own_else_the_command_lines(void **state)
{
    (void)state;
    load();
    struct tuning *tuning = tuning_open(&core, LOG_LEVEL_WARN);
    assert_false(is_logged(LOG_LEVEL_INFO));
    cache_put_local(core.cache, &(struct cache_row){ .key = "log.level", .text = "\"debug\"" });
    assert_true(is_logged(LOG_LEVEL_DEBUG));
    cache_put_local(core.cache, &(struct cache_row){ .key = "log.level", .text = "\"loud\"" });
    assert_false(is_logged(LOG_LEVEL_INFO));
    cache_put_local(core.cache, &(struct cache_row){ .key = "log.level", .text = "\"error\"" });
    assert_false(is_logged(LOG_LEVEL_WARN));
    cache_put_local(core.cache, &(struct cache_row){ .key = "log.level" });
    assert_true(is_logged(LOG_LEVEL_WARN));
    assert_false(is_logged(LOG_LEVEL_INFO));
    tuning_close(tuning);
}

static void
the_writer_hears_of_its_limits(void **state)
{
    (void)state;
    load();
    struct tuning *tuning = tuning_open(&core, LOG_LEVEL_INFO);
    assert_int_equal(waiting_max(8), 8);
    cache_put(core.cache, &(struct cache_row){ .key = "write.queue_max",
                                               .site = "",
                                               .text = "3",
                                               .author = "anna",
                                               .at = "",
                                               .revision = 1 });
    assert_int_equal(waiting_max(8), 3);
    cache_put(
        core.cache,
        &(struct cache_row){
            .key = "write.queue_max", .site = "", .author = "anna", .at = "", .revision = 2 });
    assert_int_equal(waiting_max(8), 8);
    tuning_close(tuning);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_changes_before_the_cache_is_loaded, open_parts,
                                        close_parts),
        cmocka_unit_test_setup_teardown(the_level_is_the_nodes_own_else_the_command_lines,
                                        open_parts, close_parts),
        cmocka_unit_test_setup_teardown(the_writer_hears_of_its_limits, open_parts, close_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
