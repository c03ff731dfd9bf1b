#include "controller/loop/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/str.h"

#define BOUND "baton secret\n6f2f1f6e\nsecret/pam-main\nk1"
#define VALUE "correct horse battery staple"

static struct buf
sealed(const struct seal_key *key, const char *bound, const char *value, size_t size)
{
    struct buf to = { 0 };
    seal_close(key, bound, value, size, &to);
    assert_int_equal(to.size, SEAL_NONCE_SIZE + size + SEAL_TAG_SIZE);
    return to;
}

static enum err_code
open_it(const struct seal_key *key, const char *bound, const struct buf *from, struct buf *to,
        struct err *err)
{
    return seal_open(key, bound, (const uint8_t *)from->data, from->size, to, err);
}

static void
test_what_is_sealed_opens(void **state)
{
    (void)state;
    static char large[65536];
    const struct {
        const char *value;
        size_t size;
    } values[] = { { VALUE, sizeof VALUE - 1 }, { "x", 1 }, { "a\0b", 3 }, { large, 65536 } };
    struct seal_key key;
    seal_key_draw(&key);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        struct err err;
        CLEANUP(seal_wipe) struct buf opened = { 0 };
        CLEANUP(buf_done) struct buf box = sealed(&key, BOUND, values[i].value, values[i].size);
        assert_int_equal(open_it(&key, BOUND, &box, &opened, &err), ERR_NONE);
        assert_int_equal(opened.size, values[i].size);
        assert_memory_equal(opened.data, values[i].value, values[i].size);
    }
    seal_key_done(&key);
}

static void
test_nothing_of_the_value_is_seen_and_no_two_are_alike(void **state)
{
    (void)state;
    struct seal_key key;
    seal_key_draw(&key);
    CLEANUP(buf_done) struct buf first = sealed(&key, BOUND, VALUE, sizeof VALUE - 1);
    CLEANUP(buf_done) struct buf second = sealed(&key, BOUND, VALUE, sizeof VALUE - 1);
    assert_null(memmem(first.data, first.size, "horse", 5));
    assert_memory_not_equal(first.data, second.data, SEAL_NONCE_SIZE);
    assert_memory_not_equal(first.data + SEAL_NONCE_SIZE, second.data + SEAL_NONCE_SIZE,
                            sizeof VALUE - 1);
}

static void
assert_broken(const struct seal_key *key, const char *bound, const struct buf *box)
{
    struct err err;
    CLEANUP(seal_wipe) struct buf opened = { 0 };
    assert_int_equal(open_it(key, bound, box, &opened, &err), ERR_INVALID);
    assert_string_equal(err.slug, "seal_broken");
    assert_null(strstr(err.text, "horse"));
    assert_int_equal(opened.size, 0);
    if (opened.data != NULL)
        assert_null(memmem(opened.data, opened.capacity, "horse", 5)); /* wiped, not only unsaid */
}

static void
test_another_key_name_or_cluster_does_not_open(void **state)
{
    (void)state;
    static const char *const others[] = {
        "baton secret\n6f2f1f6e\nsecret/pam-alt\nk1",
        "baton secret\n6f2f1f6f\nsecret/pam-main\nk1",
        "baton secret\n6f2f1f6e\nsecret/pam-main\nk2",
        "",
    };
    struct seal_key key;
    struct seal_key other;
    seal_key_draw(&key);
    seal_key_draw(&other);
    assert_string_not_equal(key.id, other.id);
    CLEANUP(buf_done) struct buf box = sealed(&key, BOUND, VALUE, sizeof VALUE - 1);
    assert_broken(&other, BOUND, &box);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        assert_broken(&key, others[i], &box);
}

static void
test_every_bit_counts(void **state)
{
    (void)state;
    struct seal_key key;
    seal_key_draw(&key);
    CLEANUP(buf_done) struct buf box = sealed(&key, BOUND, VALUE, sizeof VALUE - 1);
    for (size_t bit = 0; bit < box.size * 8; bit++) {
        box.data[bit / 8] = (char)(box.data[bit / 8] ^ (1 << (bit % 8)));
        assert_broken(&key, BOUND, &box);
        box.data[bit / 8] = (char)(box.data[bit / 8] ^ (1 << (bit % 8)));
    }
    for (size_t size = box.size; size-- > 0;) {
        struct buf shorter = { .data = box.data, .size = size };
        assert_broken(&key, BOUND, &shorter);
    }
}

static char *
new_folder(void)
{
    char pattern[] = "/tmp/baton-seal-XXXXXX";
    assert_non_null(mkdtemp(pattern));
    return str_dup(pattern);
}

static void
test_the_nodes_key_is_made_once_and_kept(void **state)
{
    (void)state;
    struct err err;
    struct stat status;
    struct seal_identity first;
    struct seal_identity second;
    CLEANUP(freep) char *folder = new_folder();
    CLEANUP(freep) char *path = str_printf("%s/seal.key", folder);
    assert_int_equal(seal_identity_load(path, &first, &err), ERR_NONE);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0400);
    assert_int_equal(seal_identity_load(path, &second, &err), ERR_NONE);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
}

static void
test_a_file_that_is_no_key_stays_and_is_named(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "hunter2", "AAAA", "\n" };
    struct err err;
    struct seal_identity identity;
    CLEANUP(freep) char *folder = new_folder();
    CLEANUP(freep) char *path = str_printf("%s/seal.key", folder);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(
            file_write_atomic(path, texts[i], strlen(texts[i]), 0400, (uid_t)-1, (gid_t)-1, &err),
            ERR_NONE);
        assert_int_equal(seal_identity_load(path, &identity, &err), ERR_INVALID);
        assert_string_equal(err.slug, "seal_key");
        assert_non_null(strstr(err.text, path));
        assert_null(strstr(err.text, "hunter2"));
        assert_true(err.mend[0] != '\0');
        assert_true(file_exists(path));
    }
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
}

static void
make_identity(struct seal_identity *identity)
{
    struct err err;
    CLEANUP(freep) char *folder = new_folder();
    CLEANUP(freep) char *path = str_printf("%s/seal.key", folder);
    assert_int_equal(seal_identity_load(path, identity, &err), ERR_NONE);
    assert_int_equal(file_remove_tree(folder, &err), ERR_NONE);
}

static void
test_a_box_opens_for_its_owner_alone(void **state)
{
    (void)state;
    struct err err;
    struct seal_key key;
    struct seal_key got;
    struct seal_identity owner;
    struct seal_identity other;
    CLEANUP(freep) char *box = NULL;
    make_identity(&owner);
    make_identity(&other);
    seal_key_draw(&key);
    assert_int_equal(seal_box(&key, owner.public_key, &box, &err), ERR_NONE);
    assert_int_equal(seal_unbox(&owner, box, key.id, &got, &err), ERR_NONE);
    assert_memory_equal(&key, &got, sizeof key);
    assert_int_equal(seal_unbox(&other, box, key.id, &got, &err), ERR_INVALID);
    assert_string_equal(err.slug, "seal_box");
}

/* L1: whoever may write the shared log cannot slip a key of his own under a known id. */
static void
test_a_box_with_another_key_than_it_says_is_refused(void **state)
{
    (void)state;
    struct err err;
    struct seal_key key;
    struct seal_key foisted;
    struct seal_key got;
    struct seal_identity owner;
    CLEANUP(freep) char *box = NULL;
    make_identity(&owner);
    seal_key_draw(&key);
    seal_key_draw(&foisted);
    assert_int_equal(seal_box(&foisted, owner.public_key, &box, &err), ERR_NONE);
    assert_int_equal(seal_unbox(&owner, box, key.id, &got, &err), ERR_INVALID);
}

static void
test_what_is_no_box_and_no_public_key(void **state)
{
    (void)state;
    struct err err;
    struct seal_key key;
    struct seal_identity owner;
    CLEANUP(freep) char *box = NULL;
    make_identity(&owner);
    seal_key_draw(&key);
    static const char *const texts[] = { "", "AAAA", "!!!!",
                                         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct seal_key got;
        assert_int_equal(seal_unbox(&owner, texts[i], key.id, &got, &err), ERR_INVALID);
        assert_int_equal(seal_box(&key, texts[i], &box, &err), ERR_INVALID);
        assert_string_equal(err.slug, "seal_public");
    }
    /* a point of small order: what is boxed for it could be opened by everybody */
    assert_int_equal(seal_box(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &box, &err),
                     ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sealed_opens),
        cmocka_unit_test(test_nothing_of_the_value_is_seen_and_no_two_are_alike),
        cmocka_unit_test(test_another_key_name_or_cluster_does_not_open),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_the_nodes_key_is_made_once_and_kept),
        cmocka_unit_test(test_a_file_that_is_no_key_stays_and_is_named),
        cmocka_unit_test(test_a_box_opens_for_its_owner_alone),
        cmocka_unit_test(test_a_box_with_another_key_than_it_says_is_refused),
        cmocka_unit_test(test_what_is_no_box_and_no_public_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
