/* What a backup holds, and when it may become a cluster again. S70, S71. */
#include "sites/backup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/setting.h"

#define CLUSTER "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"
#define KEY     "1111111111111111"
#define HASH    "970b8d7c6ea698ad3976b8c138081dfda54a158e8be92c6f9a342143769c2527"
#define SEALED                                                                                     \
    "{\\\"key\\\":\\\"" KEY "\\\",\\\"sealed\\\":\\\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\\\"}"
#define SALT  "AAECAwQFBgcICQoLDA0ODw"
#define FIRST "baton-backup 1 scrypt 17 8 1 " SALT "\n"
#define LAST  "hmac-sha256 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

/* ---- the file ---- */

static void
expect_frame(const char *text, size_t size, const char *slug)
{
    struct err err = { 0 };
    struct backup_frame frame;
    enum err_code code = backup_frame_read(text, size, &frame, &err);
    if (code == ERR_NONE || strcmp(err.slug, slug) != 0)
        fail_msg("'%s': %d %s, not %s", text, code, err.slug, slug);
    assert_true(err.mend[0] != '\0');
}

static void
test_a_frame_is_read_back(void **state)
{
    (void)state;
    struct err err;
    struct backup_frame frame = { .log_n = 17, .block = 8, .parallel = 1 };
    struct backup_frame read;
    CLEANUP(buf_done) struct buf text = { 0 };
    for (size_t i = 0; i < sizeof frame.salt; i++)
        frame.salt[i] = (uint8_t)i;
    memset(frame.mac, 7, sizeof frame.mac);
    backup_frame_begin(&frame, &text);
    assert_string_equal(buf_text(&text), FIRST);
    buf_add_text(&text, "{\n}\n");
    backup_frame_end(frame.mac, &text);
    assert_int_equal(backup_frame_read(text.data, text.size, &read, &err), ERR_NONE);
    assert_int_equal(read.log_n, 17);
    assert_memory_equal(read.salt, frame.salt, sizeof read.salt);
    assert_memory_equal(read.mac, frame.mac, sizeof read.mac);
    assert_memory_equal(text.data + read.document_at, "{\n}\n", read.document_size);
    assert_int_equal(read.document_size, 4);
    assert_int_equal(read.proved_size, strlen(FIRST) + 4);
}

/* B2: what an unproved file asks for is bounded before anything is derived. */
static void
test_no_file_asks_for_much(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "\n",
        "{\"baton_config\": 1}\n",
        "baton-backup\n",
        "baton-backup 0 scrypt 17 8 1 " SALT "\n",
        "baton-backup 1 argon2 17 8 1 " SALT "\n",
        "baton-backup 1 scrypt 19 8 1 " SALT "\n",
        "baton-backup 1 scrypt 13 8 1 " SALT "\n",
        "baton-backup 1 scrypt 63 8 1 " SALT "\n",
        "baton-backup 1 scrypt 17 9 1 " SALT "\n",
        "baton-backup 1 scrypt 17 8 5 " SALT "\n",
        "baton-backup 1 scrypt 17 8 0 " SALT "\n",
        "baton-backup 1 scrypt 17 8 1\n",
        "baton-backup 1 scrypt 17 8 1 AAEC\n",
        "baton-backup 1 scrypt 17 8 1 " SALT " 1\n",
        "baton-backup 1  scrypt 17 8 1 " SALT "\n",
        "baton-backup 1 scrypt 017 8 1 " SALT "\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        CLEANUP(freep) char *whole = str_printf("%s{}\n%s", lines[i], LAST);
        expect_frame(whole, strlen(whole), "backup_form");
    }
    static const char later[] = "baton-backup 2 anything\n{}\n" LAST;
    expect_frame(later, strlen(later), "backup_newer");
}

/* Cut anywhere behind its first line, or lengthened, a file is no whole one. */
static void
test_a_cut_file_is_told(void **state)
{
    (void)state;
    static const char whole[] = FIRST "{}\n" LAST;
    struct err err;
    struct backup_frame frame;
    assert_int_equal(backup_frame_read(whole, strlen(whole), &frame, &err), ERR_NONE);
    for (size_t size = strlen(FIRST) - 1; size < strlen(whole); size++)
        expect_frame(whole, size, "backup_cut");
    static const char more[] = FIRST "{}\n" LAST "\n";
    expect_frame(more, strlen(more), "backup_cut");
    static const char joined[] = FIRST "{}" LAST;
    expect_frame(joined, strlen(joined), "backup_cut");
    CLEANUP(freep) char *unended = str_dup(whole);
    unended[strlen(unended) - 1] = '.';
    expect_frame(unended, strlen(unended), "backup_cut");
    for (size_t size = 0; size < strlen("baton-backup 1 scrypt 17 8 1 "); size++)
        expect_frame(whole, size, "backup_form");
}

/* ---- the document ---- */

static char *
document_of(const char *rows, const char *more)
{
    return str_printf(
        "{\"cluster\":\"demo\",\"cluster_id\":\"" CLUSTER
        "\",\"node\":\"east-1\",\"site\":\"east\","
        "\"baton\":\"0.1.0\",\"schema\":12,\"taken_at\":\"2026-11-22T05:41:03.123Z\","
        "\"taken_by\":\"anna\",\"key\":\"" KEY "\","
        "\"head\":{\"revision\":40,\"epoch\":3,\"holder\":\"west-1\",\"hash\":\"" HASH "\"},"
        "\"epochs\":[{\"epoch\":1,\"holder\":\"east-1\",\"revision\":1},"
        "{\"epoch\":3,\"holder\":\"west-1\",\"revision\":31}],"
        "\"config\":[%s],\"local\":[{\"key\":\"log.level\",\"value\":\"\\\"debug\\\"\","
        "\"author\":\"anna\"}]%s}",
        rows, more);
}

static char *
row_of(const char *key, const char *value, unsigned revision)
{
    return str_printf("{\"site\":\"\",\"key\":\"%s\",\"value\":\"%s\",\"revision\":%u,\"epoch\":1,"
                      "\"author\":\"anna\",\"at\":1795373816610130}",
                      key, value, revision);
}

#define NODE(site, address, removed)                                                               \
    "{\\\"site\\\":\\\"" site "\\\",\\\"address\\\":\\\"" address                                  \
    "\\\",\\\"generation\\\":2,\\\"removed\\\":" removed "}"

/* The members east-1, west-1 and west-0, who was removed; and a row of the test's own, or "". */
static enum err_code
read_with(const char *row, const char *more, struct json_object **ret_document,
          struct backup *ret_backup, struct err *err)
{
    CLEANUP(freep) char *east = row_of("node/east-1", NODE("east", "10.0.0.1:7443", "false"), 3);
    CLEANUP(freep) char *west = row_of("node/west-1", NODE("west", "10.0.0.2:7443", "false"), 9);
    CLEANUP(freep) char *gone = row_of("node/west-0", NODE("west", "10.0.0.3:7443", "true"), 12);
    CLEANUP(freep)
    char *rows = str_printf("%s,%s,%s%s%s", east, west, gone, row[0] == '\0' ? "" : ",", row);
    CLEANUP(freep) char *text = document_of(rows, more);
    if (json_read(text, strlen(text), ret_document, err) != ERR_NONE)
        fail_msg("%s: %s", text, err->text);
    return backup_read(*ret_document, ret_backup, err);
}

static void
test_a_document_is_read(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct backup backup;
    CLEANUP(json_putp) struct json_object *document = NULL;
    CLEANUP(freep) char *row = row_of("secret/pam", SEALED, 40);
    if (read_with(row, "", &document, &backup, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_string_equal(backup.holder, "west-1");
    assert_int_equal(backup.revision, 40);
    assert_int_equal(backup.secret_count, 1);
    assert_int_equal(backup.user_count, 0);
    assert_int_equal(backup.member_count, 3);
    assert_true(backup_member(&backup, "west-0")->removed);
    assert_string_equal(backup_member(&backup, "west-1")->address, "10.0.0.2:7443");
    assert_int_equal(backup_member(&backup, "west-1")->generation, 2);
    assert_null(backup_member(&backup, "south-1"));
    assert_true(backup_local_fits(&backup, "east-1"));
    assert_false(backup_local_fits(&backup, "west-1"));
    assert_int_equal(backup_epoch(&backup), 1003); /* B5 */
    backup_done(&backup);
}

/* Who was removed is remembered for ever: only members that are left are bounded. */
static void
test_any_number_of_members_may_have_been(void **state)
{
    (void)state;
    for (unsigned live = BACKUP_MEMBERS_MAX - 2; live <= BACKUP_MEMBERS_MAX - 1; live++) {
        struct err err = { 0 };
        struct backup backup;
        CLEANUP(buf_done) struct buf rows = { 0 };
        CLEANUP(json_putp) struct json_object *document = NULL;
        for (unsigned i = 0; i < 2 * BACKUP_MEMBERS_MAX + live; i++) {
            CLEANUP(freep) char *key = str_printf("node/n-%u", i);
            CLEANUP(freep)
            char *row = row_of(key,
                               i < 2 * BACKUP_MEMBERS_MAX ? NODE("west", "10.0.0.3:7443", "true")
                                                          : NODE("west", "10.0.0.4:7443", "false"),
                               12);
            buf_printf(&rows, "%s%s", i == 0 ? "" : ",", row);
        }
        enum err_code code = read_with(buf_text(&rows), "", &document, &backup, &err);
        if ((code == ERR_NONE) != (live + 2 <= BACKUP_MEMBERS_MAX))
            fail_msg("%u and two more: %d %s", live, code, err.text);
        if (code == ERR_NONE) {
            assert_int_equal(backup.member_count, 3 + 2 * BACKUP_MEMBERS_MAX + live);
            backup_done(&backup);
        } else {
            assert_non_null(strstr(err.text, "more members than can be"));
        }
    }
}

/* B1, whoever wrote it: a secret that is not sealed by the password, and what gives a right. */
static void
test_what_no_backup_holds(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
        unsigned revision;
        const char *text;
    } rows[] = {
        { "secret/pam", "\\\"hunter2\\\"", 5, "not sealed" },
        { "secret/pam",
          "{\\\"key\\\":\\\"2222222222222222\\\",\\\"sealed\\\":"
          "\\\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\\\"}",
          5, "not sealed" },
        { "user/anna", "{\\\"hash\\\":\\\"x\\\"}", 5, "not sealed" },
        { "token/1", "{}", 5, "no backup holds that" },
        { "agent/1", "{}", 5, "no backup holds that" },
        { "seal/keys", "{}", 5, "no backup holds that" },
        { "app/x", "1", 41, "later than the head" },
        { "node/south-1", "1", 5, "no member" },
        { "node/south-1", "{", 5, "no JSON" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct err err = { 0 };
        struct backup backup;
        CLEANUP(json_putp) struct json_object *document = NULL;
        CLEANUP(freep) char *row = row_of(rows[i].key, rows[i].value, rows[i].revision);
        assert_int_equal(read_with(row, "", &document, &backup, &err), ERR_INVALID);
        assert_string_equal(err.slug, "backup_form");
        if (strstr(err.text, rows[i].text) == NULL || strstr(err.text, rows[i].key) == NULL ||
            strstr(err.text, "hunter2") != NULL)
            fail_msg("%s: %s", rows[i].key, err.text);
    }
    struct err err = { 0 };
    struct backup backup;
    CLEANUP(json_putp) struct json_object *document = NULL;
    assert_int_equal(read_with("", ",\"more\":1", &document, &backup, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "/more"));
}

/* Each key of Baton's own was decided on; a new one stays at home until somebody does. */
static void
test_every_kind_of_key_is_decided(void **state)
{
    (void)state;
    static const struct {
        enum setting_id id;
        enum backup_kind kind;
    } own[] = {
        { SETTING_SYSTEM_CLUSTER, BACKUP_PLAIN },  { SETTING_SYSTEM_EPOCH, BACKUP_PLAIN },
        { SETTING_SYSTEM_NODE, BACKUP_PLAIN },     { SETTING_SYSTEM_TOKEN, BACKUP_LEFT_OUT },
        { SETTING_SYSTEM_AGENT, BACKUP_LEFT_OUT }, { SETTING_SYSTEM_INSTANCES, BACKUP_PLAIN },
        { SETTING_SYSTEM_USER, BACKUP_SEALED },    { SETTING_SYSTEM_SEAL, BACKUP_LEFT_OUT },
        { SETTING_SYSTEM_SYNC, BACKUP_PLAIN },     { SETTING_SYSTEM_ARBITER, BACKUP_PLAIN },
        { SETTING_SYSTEM_PAUSE, BACKUP_PLAIN },    { SETTING_SYSTEM_PROMOTION, BACKUP_PLAIN },
    };
    for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
        const struct setting_row *row = setting_row(id);
        CLEANUP(freep) char *key = str_dup(row->name);
        for (char *star = key; (star = strchr(star, '*')) != NULL;)
            *star = 'x';
        enum backup_kind kind = row->scope == SETTING_SCOPE_SECRET   ? BACKUP_SEALED
                                : row->scope == SETTING_SCOPE_SYSTEM ? (enum backup_kind) - 1
                                                                     : BACKUP_PLAIN;
        for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
            if (own[i].id == id)
                kind = own[i].kind;
        }
        if (backup_kind_of(key) != kind)
            fail_msg("%s: %d, not %d", key, backup_kind_of(key), kind);
    }
    assert_int_equal(backup_kind_of("of/another/version"), BACKUP_PLAIN);
}

/* ---- may it be restored? ---- */

static void
test_only_as_new_or_newer(void **state)
{
    (void)state;
    static const struct {
        const char *taken;
        const char *here;
        uint64_t schema; /* of the backup; here it is 12 */
        bool fine;
    } cases[] = {
        { "0.1.0", "0.1.0", 12, true },   { "0.1.0", "0.1.1", 12, true },
        { "0.9.0", "0.10.0", 12, true },  { "1.0.0", "0.10.0", 12, false },
        { "0.1.2", "0.1.1", 12, false },  { "0.1.0", "0.1.0", 13, false },
        { "0.1.0", "0.2.0", 11, true },   { "0.2.0", "0.2.0-rc1", 12, true },
        { "0.2", "0.2.0", 12, true },     { "0.2.0", "", 12, false },
        { "0.10.0", "0.9.9", 12, false }, { "0.1.0", "0.2.0", 13, false },
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct err err = { 0 };
        struct backup backup = { .baton = cases[i].taken, .schema = cases[i].schema };
        enum err_code code = backup_check_version(&backup, cases[i].here, 12, &err);
        if ((code == ERR_NONE) != cases[i].fine)
            fail_msg("%s on %s: %s", cases[i].taken, cases[i].here, err.text);
        if (!cases[i].fine) {
            assert_int_equal(code, ERR_CONFLICT);
            assert_string_equal(err.slug, "backup_newer");
            assert_non_null(strstr(err.text, cases[i].taken));
        }
    }
}

static enum err_code
twins(enum backup_answer east, enum backup_answer west, const char *excused, struct err *err)
{
    const struct backup backup = { .cluster = "demo", .cluster_id = CLUSTER };
    const struct backup_asked asked[] = { { "east-1", "10.0.0.1:7443", east },
                                          { "west-1", "10.0.0.2:7443", west } };
    *err = (struct err){ 0 };
    return backup_check_twins(&backup, asked, 2, &excused, excused == NULL ? 0 : 1, err);
}

/* B4, S71: never two from one backup. */
static void
test_a_twin_is_named_and_nobody_excuses_it(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(twins(BACKUP_SILENT, BACKUP_SILENT, NULL, &err), ERR_NONE);
    assert_int_equal(twins(BACKUP_SILENT, BACKUP_MEMBER, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_lives");
    assert_non_null(strstr(err.text, "west-1 at 10.0.0.2:7443"));
    assert_int_equal(twins(BACKUP_SILENT, BACKUP_MEMBER, "10.0.0.2:7443", &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_lives");
    assert_int_equal(twins(BACKUP_OTHER, BACKUP_MEMBER, "10.0.0.1:7443", &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_lives");
    /* the one that is surely a member is told first */
    assert_int_equal(twins(BACKUP_OTHER, BACKUP_MEMBER, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_lives");
}

static void
test_what_answers_there_has_to_be_named(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(twins(BACKUP_OTHER, BACKUP_SILENT, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_unclear");
    assert_non_null(strstr(err.mend, "--not-a-member 10.0.0.1:7443"));
    assert_int_equal(twins(BACKUP_OTHER, BACKUP_SILENT, "10.0.0.1:7443", &err), ERR_NONE);
    assert_int_equal(twins(BACKUP_OTHER, BACKUP_OTHER, "10.0.0.1:7443", &err), ERR_CONFLICT);
    assert_non_null(strstr(err.text, "10.0.0.2:7443"));
    /* and so has what nobody could ask */
    assert_int_equal(twins(BACKUP_SILENT, BACKUP_UNASKED, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_unclear");
    assert_non_null(strstr(err.text, "10.0.0.2:7443, the address of west-1, could not be asked"));
    assert_non_null(strstr(err.mend, "--not-a-member 10.0.0.2:7443"));
    assert_int_equal(twins(BACKUP_SILENT, BACKUP_UNASKED, "10.0.0.2:7443", &err), ERR_NONE);
    assert_int_equal(twins(BACKUP_MEMBER, BACKUP_UNASKED, "10.0.0.2:7443", &err), ERR_CONFLICT);
    assert_string_equal(err.slug, "twin_lives");
    assert_int_equal(twins(BACKUP_OTHER, BACKUP_SILENT, "10.0.0.1", &err), ERR_INVALID);
    assert_string_equal(err.slug, "not_a_member");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_is_read_back),
        cmocka_unit_test(test_no_file_asks_for_much),
        cmocka_unit_test(test_a_cut_file_is_told),
        cmocka_unit_test(test_a_document_is_read),
        cmocka_unit_test(test_any_number_of_members_may_have_been),
        cmocka_unit_test(test_what_no_backup_holds),
        cmocka_unit_test(test_every_kind_of_key_is_decided),
        cmocka_unit_test(test_only_as_new_or_newer),
        cmocka_unit_test(test_a_twin_is_named_and_nobody_excuses_it),
        cmocka_unit_test(test_what_answers_there_has_to_be_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
