/* str, buf and err: text that is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/err.h"
#include "controller/base/str.h"

/* ---- str ---- */

static void
test_numbers(void **state)
{
    (void)state;
    uint64_t number = 7;
    assert_true(str_to_u64("0", 0, 9, &number) && number == 0);
    assert_true(str_to_u64("0009", 0, 9, &number) && number == 9);
    assert_true(str_to_u64("18446744073709551615", 0, UINT64_MAX, &number) && number == UINT64_MAX);
    number = 7;
    static const char *const bad[] = { "",    "-1", "+1", " 1",  "1 ",   "1x",
                                       "0x1", "10", "4",  "1.0", "\xd9", "18446744073709551616" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(str_to_u64(bad[i], 5, 9, &number));
    assert_false(str_to_u64("18446744073709551616", 0, UINT64_MAX, &number));
    assert_int_equal(number, 7);
}

static void
test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        { "0", 0 },       { "90", 90000 },   { "90s", 90000 },      { "250ms", 250 },
        { "5m", 300000 }, { "1h", 3600000 }, { "30d", 2592000000 }, { "0007s", 7000 },
    };
    uint64_t ms = 1;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(str_to_duration_ms(good[i].text, 2592000000, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    ms = 1;
    static const char *const bad[] = { "",
                                       "s",
                                       "-1s",
                                       "1.5h",
                                       "1 h",
                                       "1hh",
                                       "1w",
                                       "1H",
                                       "31d",
                                       "2592000001ms",
                                       "1m5s",
                                       "99999999999999999999d",
                                       "213503982335d" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(str_to_duration_ms(bad[i], 2592000000, &ms));
    assert_int_equal(ms, 1);
    /* the largest possible bound does not overflow */
    assert_false(str_to_duration_ms("9223372036854775807d", UINT64_MAX, &ms));
}

static void
test_names(void **state)
{
    (void)state;
    char longest[65];
    memset(longest, 'a', sizeof longest);
    longest[63] = '\0';
    assert_true(str_is_name("a") && str_is_name("east-1") && str_is_name("0") &&
                str_is_name(longest));
    longest[63] = 'a';
    longest[64] = '\0';
    static const char *const bad[] = { "", "-", "-a", "a-", "A", "a_b", "a.b", "a b", "\xc3\xbc" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(str_is_name(bad[i]));
    assert_false(str_is_name(longest));
}

static void
test_utf8(void **state)
{
    (void)state;
    static const char *const good[] = { "",
                                        "plain",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x9f\xbf",
        "\xe1\x80",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf1\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "a\xe2\x82",
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(str_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        size_t size = strlen(bad[i]);
        CLEANUP(freep) char *exact = mem_alloc(size);
        memcpy(exact, bad[i], size);
        assert_false(str_is_utf8(exact, size));
    }
    assert_true(str_is_utf8("a\0b", 3));
}

static void
test_base64url(void **state)
{
    (void)state;
    /* RFC 4648 section 10, and the two digits in which base64url differs */
    static const char *const pairs[][2] = {
        { "", "" },
        { "f", "Zg" },
        { "fo", "Zm8" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg" },
        { "fooba", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "-__-" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        CLEANUP(freep)
        char *text = str_base64url((const uint8_t *)pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text, pairs[i][1]);
        CLEANUP(freep) uint8_t *bytes = NULL;
        size_t size;
        assert_true(str_from_base64url(text, &bytes, &size));
        assert_int_equal(size, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], size);
    }
    /* padding, the other alphabet, a length that cannot be, left-over bits: refused */
    static const char *const bad[] = { "Zg==", "Zg=", "Z",   "Zm9vY", "+/+/",
                                       "Zm 8", "Zh",  "Zm9", "Zg\n" };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        uint8_t *bytes = NULL;
        size_t size = 0;
        assert_false(str_from_base64url(bad[i], &bytes, &size));
        assert_null(bytes);
    }
}

static void
test_every_byte_survives_the_encodings(void **state)
{
    (void)state;
    uint8_t all[256];
    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    for (size_t size = 0; size <= sizeof all; size++) {
        CLEANUP(freep) char *text = str_base64url(all, size);
        CLEANUP(freep) uint8_t *bytes = NULL;
        size_t got;
        assert_true(str_from_base64url(text, &bytes, &got));
        assert_int_equal(got, size);
        assert_memory_equal(bytes, all, size);
        char hex[2 * sizeof all + 1];
        uint8_t back[sizeof all];
        str_hex(hex, all, size);
        assert_true(str_from_hex(hex, back, size));
        assert_memory_equal(back, all, size);
    }
}

static void
test_hex(void **state)
{
    (void)state;
    uint8_t bytes[2];
    assert_true(str_from_hex("0aFf", bytes, 2));
    assert_int_equal(bytes[0], 10);
    assert_int_equal(bytes[1], 255);
    assert_false(str_from_hex("0aF", bytes, 2));
    assert_false(str_from_hex("0aFf0", bytes, 2));
    assert_false(str_from_hex("0xFf", bytes, 2));
    assert_false(str_from_hex("", bytes, 2));
}

static void
test_copies(void **state)
{
    (void)state;
    char to[4] = "old";
    assert_true(str_copy(to, sizeof to, "abc"));
    assert_string_equal(to, "abc");
    assert_false(str_copy(to, sizeof to, "abcd"));
    assert_string_equal(to, "");
    assert_null(str_dup(NULL));
    CLEANUP(freep) char *text = str_printf("%s-%d", "a", 5);
    assert_string_equal(text, "a-5");
    assert_true(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("ab", "abc"));
    assert_true(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("bc", "abc"));
}

/* ---- buf ---- */

static void
test_buf(void **state)
{
    (void)state;
    struct buf buf = { 0 };
    assert_string_equal(buf_text(&buf), "");
    buf_add(&buf, "", 0);
    buf_add_text(&buf, "hello ");
    buf_printf(&buf, "%s %d", "world", 7);
    assert_string_equal(buf_text(&buf), "hello world 7");
    assert_int_equal(buf.size, 13);
    buf_drop(&buf, 6);
    assert_string_equal(buf_text(&buf), "world 7");
    buf_drop(&buf, 0);
    buf_drop(&buf, 7);
    assert_string_equal(buf_text(&buf), "");
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&buf, "%u,", i);
    assert_int_equal(buf.size, 3890);
    assert_int_equal(buf.data[buf.size], '\0');
    buf_clear(&buf);
    assert_string_equal(buf_text(&buf), "");

    memcpy(buf_reserve(&buf, 3), "abc", 3);
    buf_grew(&buf, 2);
    CLEANUP(freep) char *taken = buf_take(&buf);
    assert_string_equal(taken, "ab");
    assert_null(buf.data);
    CLEANUP(freep) char *nothing = buf_take(&buf);
    assert_string_equal(nothing, "");
    buf_done(&buf);
    buf_done(&buf);
}

/* ---- err ---- */

static enum err_code
fail_deep(struct err *err)
{
    (void)err_set(err, ERR_UNAVAILABLE, "connect", "connection refused by %s", "10.0.0.1");
    return err_mend(err, "is it running?");
}

static void
test_err(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(fail_deep(&err), ERR_UNAVAILABLE);
    assert_int_equal(err_wrap(&err, "%s: store epoch %d", "bergen", 8), ERR_UNAVAILABLE);
    assert_string_equal(err.text, "bergen: store epoch 8: connection refused by 10.0.0.1");
    assert_string_equal(err.slug, "connect");
    assert_string_equal(err.mend, "is it running?");
    /* a new error forgets the next step of the old one */
    assert_int_equal(err_set(&err, ERR_INVALID, "x", "y"), ERR_INVALID);
    assert_string_equal(err.mend, "");
    err_clear(&err);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(fail_deep(NULL), ERR_INTERNAL);
    assert_int_equal(err_set(NULL, ERR_LIMIT, "x", "y"), ERR_LIMIT);
}

static void
test_err_from_errno(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(err_errno(&err, ENOENT, "open '%s'", "/x"), ERR_NOT_FOUND);
    assert_string_equal(err.text, "open '/x': No such file or directory");
    assert_int_equal(err_errno(&err, EACCES, "x"), ERR_DENIED);
    assert_int_equal(err_errno(&err, EPERM, "x"), ERR_DENIED);
    assert_int_equal(err_errno(&err, ENOSPC, "x"), ERR_IO);
    assert_int_equal(err_errno(NULL, ENOENT, "x"), ERR_NOT_FOUND);
}

static void
test_err_is_bounded(void **state)
{
    (void)state;
    struct err err = { 0 };
    for (unsigned i = 0; i < 200; i++)
        (void)(i == 0 ? err_set(&err, ERR_IO, "io", "deep") : err_wrap(&err, "layer %u", i));
    assert_true(strlen(err.text) < ERR_TEXT_SIZE);
    assert_memory_equal(err.text, "layer 199: layer 198: ", 22);
}

/* What is quoted may be cut inside a character, by a precision or by the end of the room. */
static void
test_err_is_utf8(void **state)
{
    (void)state;
    struct err err = { 0 };
    char word[ERR_TEXT_SIZE];
    for (size_t i = 0; i + 2 < sizeof word; i += 2)
        memcpy(word + i, "\xc3\xbc", 3);
    (void)err_set(&err, ERR_INVALID, "x", "no '%.3s'", word);
    assert_string_equal(err.text, "no '\xc3\xbc'");
    (void)err_mend(&err, "%.5s!", word);
    assert_string_equal(err.mend, "\xc3\xbc\xc3\xbc!");
    for (size_t lead = 0; lead < 2; lead++) {
        (void)err_set(&err, ERR_INVALID, "x", "%s%s", lead == 0 ? "" : "a", word);
        assert_true(str_is_utf8(err.text, strlen(err.text)));
        (void)err_wrap(&err, "%s%s", lead == 0 ? "" : "a", "bcd");
        assert_true(str_is_utf8(err.text, strlen(err.text)));
        (void)err_mend(&err, "%s%s", lead == 0 ? "" : "a", word);
        assert_true(str_is_utf8(err.mend, strlen(err.mend)));
    }
    char bad[] = "a\xc3"
                 "b\xed\xa0\x80"
                 "c\xf0\x9f\x98\x80"
                 "\x80\xe2\x82";
    str_keep_utf8(bad);
    assert_string_equal(bad, "abc\xf0\x9f\x98\x80");
}

static void
test_err_names(void **state)
{
    (void)state;
    for (enum err_code code = ERR_NONE; code <= ERR_INTERNAL; code++) {
        assert_int_equal(err_code_from_name(err_code_name(code)), code);
        assert_true(err_code_http(code) >= 200 && err_code_http(code) < 600);
        assert_int_equal(err_code_exit(code) == 0, code == ERR_NONE);
    }
    assert_int_equal(err_code_from_name("no such name"), ERR_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_every_byte_survives_the_encodings),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_buf),
        cmocka_unit_test(test_err),
        cmocka_unit_test(test_err_from_errno),
        cmocka_unit_test(test_err_is_bounded),
        cmocka_unit_test(test_err_is_utf8),
        cmocka_unit_test(test_err_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
