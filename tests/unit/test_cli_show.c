/*
 * What people see, against text files in git. The documents stand beside them; tests/docs checks
 * that they are what the API may answer ("broken" ones are what it may not).
 *
 *     build/tests/test_cli_show --rewrite     puts what is shown now into the files: read the diff
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "controller/cli/show.h"

#define GOLDEN    SOURCE_DIR "/tests/unit/golden/cli_"
#define SIZE_MAX_ (1024UL * 1024)

static bool rewrite;

typedef void show_fn(const struct table_look *look, struct json_object *document);

/* Changes are shown beside what holds now. */
static void
show_entries_as_changes(const struct table_look *look, struct json_object *list)
{
    static const char text[] = "[{\"key\":\"app/colour\",\"value\":\"blue\"},"
                               "{\"key\":\"app/colour\",\"site\":\"west\",\"delete\":true},"
                               "{\"key\":\"app/new\",\"value\":null}]";
    CLEANUP(json_putp) struct json_object *changes = NULL;
    struct err err;
    assert_int_equal(json_read(text, strlen(text), &changes, &err), ERR_NONE);
    show_changes(look, changes, list);
    show_changes(look, changes, NULL);
}

static void
show_rows(const struct table_look *look, struct json_object *history)
{
    struct json_object *rows = json_get(history, "rows");
    for (size_t i = 0; i < json_object_array_length(rows); i++)
        show_row(look, json_object_array_get_idx(rows, i));
}

static const struct row {
    const char *document;
    const char *text;
    show_fn *show;
    unsigned width; /* 0: not a terminal */
    bool color;
} rows[] = {
    { "status_healthy", "status_healthy", show_status, 0, false },
    { "status_healthy", "status_healthy_80", show_status, 80, false },
    { "status_healthy", "status_healthy_color", show_status, 120, true },
    { "status_lost", "status_lost", show_status, 0, false },
    { "status_paused", "status_paused", show_status, 80, false },
    { "status_failsafe", "status_failsafe", show_status, 80, false },
    { "status_degraded", "status_degraded", show_status, 80, false },
    { "status_degraded", "status_degraded_color", show_status, 0, true },
    { "status_healthy", "nodes", show_nodes, 0, false },
    { "status_lost", "status_lost_color", show_status, 120, true },
    { "status_no_primary", "status_no_primary", show_status, 0, false },
    { "status_no_primary", "status_no_primary_color", show_status, 0, true },
    { "status_stale", "status_stale", show_status, 0, false },
    { "status_just_promoted", "status_just_promoted", show_status, 0, false },
    { "status_stale", "status_stale_color", show_status, 0, true },
    { "status_flag_without_alternate", "status_flag_without_alternate", show_status, 0, false },
    { "broken_status", "broken_status", show_status, 0, false },
    { "broken_status", "broken_status_color", show_status, 0, true },
    { "broken_empty", "broken_empty_status", show_status, 0, false },
    { "broken_empty", "broken_empty_plan", show_plan, 0, false },
    { "broken_empty", "broken_empty_promotion", show_promotion, 0, false },
    { "broken_empty", "broken_empty_explain", show_explain, 0, false },
    { "broken_empty", "broken_empty_setaside", show_setaside, 0, false },
    { "plan_switchover", "plan_switchover", show_plan, 100, false },
    { "plan_refused", "plan_refused", show_plan, 80, false },
    { "promotion_done", "promotion_done", show_promotion, 0, false },
    { "promotion_reverted", "promotion_reverted", show_promotion, 0, false },
    { "promotions", "promotions", show_promotions, 0, false },
    { "promotions", "promotions_80", show_promotions, 80, false },
    { "promotions_none", "promotions_none", show_promotions, 0, false },
    { "explain_promoted", "explain_promoted", show_explain, 120, false },
    { "explain_layers", "explain_layers", show_explain, 0, false },
    { "explain_unknown", "explain_unknown", show_explain, 0, false },
    { "entries", "entries", show_entries, 0, false },
    { "entries", "entries_80", show_entries, 80, false },
    { "entries", "changes", show_entries_as_changes, 0, false },
    { "history", "history", show_history, 0, false },
    { "history", "rows", show_rows, 0, false },
    { "local", "local", show_local, 0, false },
    { "doctor", "doctor", show_doctor, 60, false },
    { "setaside", "setaside", show_setaside, 0, false },
    { "setaside_list", "setaside_list", show_setaside_list, 0, false },
    { "tokens", "tokens", show_tokens, 0, false },
    { "instances_one", "instances_one", show_instances_of, 0, false },
    { "instances_list", "instances_list", show_instances, 120, false },
    { "instances_one", "instances_color", show_instances_of, 100, true },
    { "agent_tokens", "agent_tokens", show_agent_tokens, 0, false },
    { "status_instances", "status_instances", show_status, 120, false },
    { "broken_empty", "broken_empty_instances", show_instances, 0, false },
    { "users", "users", show_users, 0, false },
    { "sites", "sites", show_sites, 0, false },
    { "connector", "connector", show_connector, 0, false },
    { "arbiter", "arbiter", show_arbiter, 0, false },
    { "arbiter_failsafe", "arbiter_failsafe", show_arbiter, 80, false },
    { "arbiter_manual", "arbiter_manual", show_arbiter, 0, false },
    { "arbiter_tested", "arbiter_tested", show_arbiter_tested, 80, false },
    { "why", "why", show_why, 80, false },
    { "why", "why_color", show_why, 120, true },
    { "why_one", "why_one", show_why_one, 80, false },
    { "ready", "ready", show_ready, 100, false },
    { "ready_not", "ready_not", show_ready, 100, false },
    { "ready_not", "ready_not_color", show_ready, 120, true },
    { "pause", "pause", show_pause, 0, false },
    { "pause_none", "pause_none", show_pause, 0, false },
    { "budget", "budget", show_budget, 80, false },
    { "budget_none", "budget_none", show_budget, 0, false },
    { "timeouts", "timeouts", show_timeouts, 0, false },
    { "broken_empty", "broken_empty_arbiter", show_arbiter, 0, false },
    { "broken_empty", "broken_empty_why", show_why, 0, false },
    { "broken_empty", "broken_empty_ready", show_ready, 0, false },
    { "broken_empty", "broken_empty_pause", show_pause, 0, false },
    { "broken_empty", "broken_empty_budget", show_budget, 0, false },
    { "broken_empty", "broken_empty_timeouts", show_timeouts, 0, false },
};

static void
read_text(const char *name, const char *ending, struct buf *into)
{
    CLEANUP(freep) char *path = str_printf(GOLDEN "%s%s", name, ending);
    struct err err;
    if (file_read(path, SIZE_MAX_, into, &err) != ERR_NONE)
        fail_msg("%s", err.text);
}

static char *
shown(const struct row *row, size_t *ret_size)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(json_putp) struct json_object *document = NULL;
    struct err err;
    char *out = NULL;
    read_text(row->document, ".json", &text);
    if (json_read(text.data, text.size, &document, &err) != ERR_NONE)
        fail_msg("%s: %s", row->document, err.text);
    struct table_look look = { .width = row->width, .color = row->color };
    look.out = open_memstream(&out, ret_size);
    row->show(&look, document);
    assert_int_equal(fclose(look.out), 0);
    return out;
}

/* S6. */
static void
test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t size;
        CLEANUP(freep) char *out = shown(&rows[i], &size);
        CLEANUP(freep) char *path = str_printf(GOLDEN "%s.txt", rows[i].text);
        CLEANUP(buf_done) struct buf expected = { 0 };
        struct err err;
        if (rewrite)
            assert_int_equal(file_write_atomic(path, out, size, 0644, (uid_t)-1, (gid_t)-1, &err),
                             ERR_NONE);
        read_text(rows[i].text, ".txt", &expected);
        if (strcmp(out, buf_text(&expected)) != 0)
            fail_msg("%s: shown is\n%s", path, out);
    }
}

/* No terminal is steered by what a peer or a file says. */
static void
test_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t size;
        CLEANUP(freep) char *out = shown(&rows[i], &size);
        if (rows[i].color)
            continue;
        assert_null(strchr(out, '\033'));
        assert_null(strchr(out, '\a'));
        assert_null(strchr(out, '\r'));
    }
}

/* On a terminal no line of a table is wider than it is. */
static void
test_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t size;
        CLEANUP(freep) char *out = shown(&rows[i], &size);
        bool is_table = rows[i].show == show_entries || rows[i].show == show_doctor ||
                        rows[i].show == show_why || rows[i].show == show_why_one ||
                        rows[i].show == show_budget || rows[i].show == show_ready ||
                        rows[i].show == show_arbiter_tested;
        if (rows[i].width == 0 || rows[i].color || !is_table)
            continue;
        char *rest = NULL;
        for (char *line = strtok_r(out, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            wchar_t wide[1024];
            size_t length = mbstowcs(wide, line, ARRAY_COUNT(wide));
            assert_in_range(wcswidth(wide, length), 0, rows[i].width);
        }
    }
}

/* Unknown is never well, whatever is missing. */
static void
test_verdict_needs_every_fact(void **state)
{
    static const char *const paths[][2] = {
        { "primary", NULL },    { "durability", NULL },    { "durability", "satisfied" },
        { "nodes", "role" },    { "nodes", "age_ms" },     { "nodes", "digest" },
        { "nodes", "state" },   { "connectors", "probe" }, { "takeover", NULL },
        { "takeover", "mode" },
    };
    (void)state;
    for (size_t i = 0; i <= ARRAY_COUNT(paths); i++) {
        CLEANUP(buf_done) struct buf text = { 0 };
        CLEANUP(json_putp) struct json_object *status = NULL;
        struct err err;
        read_text("status_healthy", ".json", &text);
        assert_int_equal(json_read(text.data, text.size, &status, &err), ERR_NONE);
        if (i == ARRAY_COUNT(paths)) {
            assert_string_equal(show_status_verdict(status).text, "all is well");
            assert_int_equal(show_status_verdict(status).tone, TABLE_GOOD);
            continue;
        }
        struct json_object *member = json_get(status, paths[i][0]);
        if (json_object_is_type(member, json_type_array))
            member = json_object_array_get_idx(member, 0);
        if (paths[i][1] == NULL)
            json_object_object_del(status, paths[i][0]);
        else
            json_object_object_del(member, paths[i][1]);
        assert_int_not_equal(show_status_verdict(status).tone, TABLE_GOOD);
    }
}

int
main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_harmless),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_verdict_needs_every_fact),
    };
    rewrite = count == 2 && strcmp(words[1], "--rewrite") == 0;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
