/* The file of a backup: nobody reads or changes it without the password. S70. */
#include "controller/daemon/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/sealing.h"

#define CLUSTER  "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"
#define PASSWORD "correct horse battery"
#define SECRET   "planted-hunter2"
#define NODE     "{\"site\":\"east\",\"address\":\"10.0.0.1:7443\",\"generation\":1,\"removed\":false}"
#define HASH     "970b8d7c6ea698ad3976b8c138081dfda54a158e8be92c6f9a342143769c2527"

/* The least work that a file may ask for: these tests derive some dozen keys. */
static void
begin(struct archive *archive)
{
    struct err err;
    *archive = (struct archive){ .frame = { .log_n = BACKUP_LOG_N_MIN,
                                            .block = BACKUP_BLOCK,
                                            .parallel = 1,
                                            .salt = "0123456789abcde" } };
    const struct passkey_work work = { .log_n = BACKUP_LOG_N_MIN,
                                       .block = BACKUP_BLOCK,
                                       .parallel = 1,
                                       .salt = archive->frame.salt,
                                       .salt_size = BACKUP_SALT_SIZE };
    assert_int_equal(passkey_make(PASSWORD, &work, &archive->key, &err), ERR_NONE);
}

static void
add_row(struct json_object *config, const char *key, const char *value)
{
    struct json_object *row = json_object_new_object();
    json_add_string(row, "site", "");
    json_add_string(row, "key", key);
    json_add_string(row, "value", value);
    json_add_u64(row, "revision", 3);
    json_add_u64(row, "epoch", 1);
    json_add_string(row, "author", "anna");
    json_add_u64(row, "at", 1795373816610130);
    (void)json_object_array_add(config, row);
}

static void
add_sealed(struct json_object *config, const struct archive *archive, const char *key,
           const char *sealed_for, const char *plain)
{
    CLEANUP(buf_done) struct buf bytes = { 0 };
    CLEANUP(freep) char *bound = backup_bound(CLUSTER, sealed_for);
    seal_close(&archive->key.seal, bound, plain, strlen(plain), &bytes);
    CLEANUP(json_putp)
    struct json_object *value =
        sealing_write(archive->key.seal.id, (const uint8_t *)bytes.data, bytes.size);
    add_row(config, key, json_text(value));
}

/* As a node answers it. */
static struct json_object *
answer_of(const struct archive *archive, const char *sealed_for)
{
    static const char head[] =
        "{\"cluster\":\"demo\",\"cluster_id\":\"" CLUSTER
        "\",\"node\":\"east-1\",\"site\":\"east\",\"baton\":\"0.1.0\",\"schema\":12,"
        "\"taken_at\":\"2026-11-22T05:41:03.123Z\",\"taken_by\":\"anna\","
        "\"head\":{\"revision\":3,\"epoch\":1,\"holder\":\"east-1\",\"hash\":\"" HASH "\"},"
        "\"epochs\":[{\"epoch\":1,\"holder\":\"east-1\",\"revision\":1}],\"local\":[]}";
    struct err err;
    struct json_object *document = NULL;
    struct json_object *config = json_object_new_array();
    assert_int_equal(json_read(head, strlen(head), &document, &err), ERR_NONE);
    json_add_string(document, "key", archive->key.seal.id);
    add_row(config, "node/east-1", NODE);
    add_sealed(config, archive, "secret/pam", sealed_for, SECRET);
    add_sealed(config, archive, "user/anna", "user/anna", "{\"hash\":\"x\"}");
    json_add(document, "config", config);
    return document;
}

static void
make_text(struct buf *text)
{
    struct err err;
    CLEANUP(archive_done) struct archive archive;
    begin(&archive);
    CLEANUP(json_putp) struct json_object *document = answer_of(&archive, "secret/pam");
    if (archive_finish(&archive, document, text, &err) != ERR_NONE)
        fail_msg("%s", err.text);
}

static enum err_code
read_text(const void *bytes, size_t size, const char *password, struct archive *archive,
          struct err *err)
{
    CLEANUP(freep) char *path = str_printf("/tmp/test_archive.%d", (int)getpid());
    *err = (struct err){ 0 };
    assert_int_equal(file_write_atomic(path, bytes, size, 0600, (uid_t)-1, (gid_t)-1, err),
                     ERR_NONE);
    enum err_code code = archive_read(path, password, archive, err);
    (void)unlink(path);
    return code;
}

/* RFC 7914 section 12, its second vector. */
static void
test_scrypt_is_what_the_rfc_says(void **state)
{
    (void)state;
    struct err err;
    uint8_t wanted[2 * SEAL_KEY_SIZE];
    CLEANUP(passkey_done) struct passkey key;
    const struct passkey_work work = {
        .log_n = 10, .block = 8, .parallel = 16, .salt = (const uint8_t *)"NaCl", .salt_size = 4
    };
    assert_true(str_from_hex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                             "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
                             wanted, sizeof wanted));
    assert_int_equal(passkey_make("password", &work, &key, &err), ERR_NONE);
    assert_memory_equal(key.seal.bytes, wanted, SEAL_KEY_SIZE);
    assert_memory_equal(key.prove, wanted + SEAL_KEY_SIZE, SEAL_KEY_SIZE);
}

/* S70: what a password has sealed is read by it, and stands there in no other form. */
static void
test_a_backup_is_read_back(void **state)
{
    (void)state;
    struct err err;
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(archive_done) struct archive archive = { 0 };
    CLEANUP(seal_wipe) struct buf plain = { 0 };
    make_text(&text);
    assert_null(strstr(buf_text(&text), SECRET));
    assert_null(strstr(buf_text(&text), "hash\\\":"));
    if (read_text(text.data, text.size, PASSWORD, &archive, &err) != ERR_NONE)
        fail_msg("%s", err.text);
    assert_string_equal(archive.backup.cluster, "demo");
    assert_int_equal(archive.backup.secret_count, 1);
    assert_int_equal(archive.backup.user_count, 1);
    struct json_object *row = json_object_array_get_idx(archive.backup.config, 1);
    assert_int_equal(archive_open(&archive, row, &plain, &err), ERR_NONE);
    assert_string_equal(buf_text(&plain), SECRET);
}

static void
test_another_password_is_told(void **state)
{
    (void)state;
    struct err err;
    struct archive archive = { 0 };
    CLEANUP(buf_done) struct buf text = { 0 };
    make_text(&text);
    assert_int_equal(read_text(text.data, text.size, PASSWORD "!", &archive, &err), ERR_DENIED);
    assert_string_equal(err.slug, "backup_password");
    assert_null(strstr(err.text, PASSWORD));
    assert_int_equal(archive_check_password("short", &err), ERR_INVALID);
    assert_string_equal(err.slug, "password_weak");
}

/* Bytes all over the file; each derives a key, so not every one of them. */
static void
test_a_changed_byte_is_told(void **state)
{
    (void)state;
    struct err err;
    CLEANUP(buf_done) struct buf text = { 0 };
    make_text(&text);
    size_t first_line = (size_t)(strchr(text.data, '\n') - text.data);
    for (size_t at = 3; at < text.size; at += text.size / 20) {
        struct archive archive = { 0 };
        CLEANUP(buf_done) struct buf other = { 0 };
        buf_add(&other, text.data, text.size);
        other.data[at] ^= 1;
        assert_int_not_equal(read_text(other.data, other.size, PASSWORD, &archive, &err), ERR_NONE);
        if (at > first_line && at < text.size - 60)
            assert_string_equal(err.slug, "backup_altered");
    }
    struct archive archive = { 0 };
    assert_int_equal(read_text(text.data, text.size - 2, PASSWORD, &archive, &err), ERR_INVALID);
    assert_string_equal(err.slug, "backup_cut");
}

/* What a node seals for another name does not pass as this one: it is seen when the file is made.
 */
static void
test_a_value_under_another_name_is_refused(void **state)
{
    (void)state;
    struct err err;
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(archive_done) struct archive archive;
    begin(&archive);
    CLEANUP(json_putp) struct json_object *document = answer_of(&archive, "secret/other");
    assert_int_equal(archive_finish(&archive, document, &text, &err), ERR_INVALID);
    assert_string_equal(err.slug, "seal_broken");
}

/* Whoever makes one that nobody reads is told so, and not that he named the wrong file. */
static void
test_a_large_one_is_refused_when_it_is_made(void **state)
{
    (void)state;
    struct err err;
    CLEANUP(buf_done) struct buf text = { 0 };
    CLEANUP(archive_done) struct archive archive;
    begin(&archive);
    CLEANUP(json_putp) struct json_object *document = answer_of(&archive, "secret/pam");
    CLEANUP(freep) char *value = mem_zero(BACKUP_SIZE_MAX + 1, 1);
    memset(value, 'x', BACKUP_SIZE_MAX);
    add_row(json_get(document, "config"), "app/large", value);
    assert_int_equal(archive_finish(&archive, document, &text, &err), ERR_LIMIT);
    assert_string_equal(err.slug, "backup_large");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrypt_is_what_the_rfc_says),
        cmocka_unit_test(test_a_backup_is_read_back),
        cmocka_unit_test(test_another_password_is_told),
        cmocka_unit_test(test_a_changed_byte_is_told),
        cmocka_unit_test(test_a_value_under_another_name_is_refused),
        cmocka_unit_test(test_a_large_one_is_refused_when_it_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
