#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/api/session.h"
#include "controller/api/throttle.h"
#include "controller/base/check.h"
#include "controller/loop/password.h"

static const struct throttle_limits limits = { .failures_max = 5,
                                               .delay_ms = 1000,
                                               .delay_max_ms = 300000 };

static void
throttle_slows_down_after_the_limit(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    uint64_t now_ms = 1000000;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(throttle_try(throttle, "user anna", now_ms, &limits), 0);
    assert_int_equal(throttle_try(throttle, "user anna", now_ms, &limits), 1000);
    /* a refused try changes nothing */
    assert_int_equal(throttle_try(throttle, "user anna", now_ms + 400, &limits), 600);
    assert_int_equal(throttle_try(throttle, "user bert", now_ms, &limits), 0);
    now_ms += 1000;
    assert_int_equal(throttle_try(throttle, "user anna", now_ms, &limits), 0);
    assert_int_equal(throttle_try(throttle, "user anna", now_ms, &limits), 2000);
    for (unsigned i = 0; i < 20; i++) {
        now_ms += throttle_try(throttle, "user anna", now_ms, &limits);
        assert_int_equal(throttle_try(throttle, "user anna", now_ms, &limits), 0);
    }
    assert_int_equal(throttle_try(throttle, "user anna", now_ms, &limits), 300000);
    throttle_free(throttle);
}

static void
throttle_lets_few_of_many_guesses_through(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    unsigned evaluated = 0;
    /* ten thousand guesses, one each 20 ms */
    for (unsigned i = 0; i < 10000; i++)
        evaluated += throttle_try(throttle, "user anna", 1000 + i * 20, &limits) == 0;
    assert_true(evaluated <= 100);
    throttle_free(throttle);
}

static void
throttle_forgives_forgets_and_clears(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(throttle_try(throttle, "address ::1", 50, &limits), 0);
        throttle_forgive(throttle, "address ::1");
    }
    assert_int_equal(throttle_count(throttle), 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(throttle_try(throttle, "user anna", 50, &limits), 0);
    throttle_clear(throttle, "user anna");
    assert_int_equal(throttle_try(throttle, "user anna", 50, &limits), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(throttle_try(throttle, "user anna", 50, &limits), 0);
    assert_int_equal(
        throttle_try(throttle, "user anna", 50 + 1000 + THROTTLE_FORGET_MS + 1, &limits), 0);
    assert_int_equal(
        throttle_try(throttle, "user anna", 50 + 1000 + THROTTLE_FORGET_MS + 1, &limits), 0);
    throttle_forgive(throttle, "nobody");
    throttle_clear(throttle, "nobody");
    throttle_free(throttle);
}

/* Who is right leaves no delay behind: not even after wrong tries of another at the same address.
 */
static void
throttle_delays_nobody_for_who_was_right(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    uint64_t now_ms = 1000;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(throttle_try(throttle, "address ::1", now_ms, &limits), 0);
    for (unsigned i = 0; i < 2; i++) {
        now_ms += throttle_try(throttle, "address ::1", now_ms, &limits);
        assert_int_equal(throttle_try(throttle, "address ::1", now_ms, &limits), 0);
    }
    now_ms += throttle_try(throttle, "address ::1", now_ms, &limits);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(throttle_try(throttle, "address ::1", now_ms, &limits), 0);
        assert_int_not_equal(throttle_try(throttle, "address ::1", now_ms, &limits), 0);
        throttle_forgive(throttle, "address ::1");
    }
    assert_int_equal(throttle_try(throttle, "address ::1", now_ms, &limits), 0);
    assert_int_equal(throttle_try(throttle, "address ::1", now_ms, &limits), 8000);
    throttle_free(throttle);
}

static void
throttle_is_bounded_and_keeps_the_worst(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    char key[32];
    for (unsigned i = 0; i < 6; i++)
        (void)!throttle_try(throttle, "user anna", 1000, &limits);
    for (unsigned i = 0; i < 2 * THROTTLE_KEYS_MAX; i++) {
        (void)snprintf(key, sizeof key, "address %u", i);
        assert_int_equal(throttle_try(throttle, key, 1000 + i / 100, &limits), 0);
    }
    assert_int_equal(throttle_count(throttle), THROTTLE_KEYS_MAX);
    assert_int_not_equal(throttle_try(throttle, "user anna", 1500, &limits), 0);
    throttle_free(throttle);
}

static const struct session_limits session_limits = { .idle_ms = 1000, .max_ms = 5000 };

static void
sessions_end_when_idle_and_when_old(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char text[SESSION_TEXT_SIZE];
    char other[SESSION_TEXT_SIZE];
    sessions_begin(sessions, "anna", 7, 100, text);
    sessions_begin(sessions, "anna", 7, 100, other);
    assert_int_equal(strlen(text), 43); /* 256 bits */
    assert_string_not_equal(text, other);
    assert_null(sessions_find(sessions, "nonsense", 100, &session_limits));
    const struct session *session = sessions_find(sessions, text, 1099, &session_limits);
    assert_non_null(session);
    assert_string_equal(session->user, "anna");
    assert_int_equal(session->user_revision, 7);
    assert_null(sessions_find(sessions, other, 1100, &session_limits)); /* idle */
    assert_int_equal(sessions_count(sessions), 1);
    for (uint64_t now_ms = 1500; now_ms < 5100; now_ms += 500)
        assert_non_null(sessions_find(sessions, text, now_ms, &session_limits));
    assert_null(sessions_find(sessions, text, 5100, &session_limits)); /* old */
    assert_int_equal(sessions_count(sessions), 0);
    sessions_free(sessions);
}

static void
sessions_looked_at_are_not_used(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char text[SESSION_TEXT_SIZE];
    sessions_begin(sessions, "anna", 7, 100, text);
    assert_non_null(sessions_look(sessions, text, 1000, &session_limits));
    assert_null(sessions_look(sessions, text, 1100, &session_limits));
    sessions_end(sessions, text);
    assert_null(sessions_look(sessions, text, 200, &session_limits));
    sessions_end(sessions, text);
    sessions_free(sessions);
}

static void
sessions_are_bounded(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    char first[SESSION_TEXT_SIZE];
    char text[SESSION_TEXT_SIZE];
    char user[32];
    sessions_begin(sessions, "anna", 7, 1, first);
    for (unsigned i = 0; i < SESSION_USER_COUNT_MAX; i++)
        sessions_begin(sessions, "anna", 7, 2 + i, text);
    assert_int_equal(sessions_count(sessions), SESSION_USER_COUNT_MAX);
    assert_null(sessions_find(sessions, first, 2, &session_limits));
    assert_non_null(sessions_find(sessions, text, 50, &session_limits));
    for (unsigned i = 0; i < 2 * SESSION_COUNT_MAX; i++) {
        (void)snprintf(user, sizeof user, "user-%u", i);
        sessions_begin(sessions, user, 7, 100 + i, text);
    }
    assert_int_equal(sessions_count(sessions), SESSION_COUNT_MAX);
    sessions_begin(sessions, "bert", 7, 9000, text);
    sessions_begin(sessions, "bert", 7, 9000, text);
    sessions_end_user(sessions, "bert");
    assert_int_equal(sessions_count(sessions), SESSION_COUNT_MAX - 2);
    sessions_free(sessions);
}

static void
passwords_are_hashed_and_checked(void **state)
{
    (void)state;
    struct err err;
    char hash[PASSWORD_HASH_SIZE];
    char again[PASSWORD_HASH_SIZE];
    assert_int_equal(password_hash("correct horse battery", hash, &err), ERR_NONE);
    assert_int_equal(password_hash("correct horse battery", again, &err), ERR_NONE);
    assert_true(strncmp(hash, "$argon2id$", 10) == 0);
    assert_string_not_equal(hash, again);
    assert_true(password_verify("correct horse battery", hash));
    assert_false(password_verify("correct horse batterz", hash));
    assert_false(password_verify("correct horse battery", NULL));
    assert_false(password_verify("correct horse battery", "$argon2id$nonsense"));
}

static void
weak_passwords_are_refused(void **state)
{
    (void)state;
    struct err err;
    char longest[PASSWORD_SIZE_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[0] = 'y';
    longest[PASSWORD_SIZE_MAX + 1] = '\0';
    assert_int_equal(password_check(longest, &err), ERR_INVALID);
    longest[PASSWORD_SIZE_MAX] = '\0';
    assert_int_equal(password_check(longest, &err), ERR_NONE);
    assert_int_equal(password_check("elevenbytes", &err), ERR_INVALID);
    assert_string_equal(err.slug, "password_weak");
    assert_int_equal(password_check("twelve bytes", &err), ERR_NONE);
    assert_int_equal(password_check("aaaaaaaaaaaaaaaa", &err), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(throttle_slows_down_after_the_limit),
        cmocka_unit_test(throttle_lets_few_of_many_guesses_through),
        cmocka_unit_test(throttle_forgives_forgets_and_clears),
        cmocka_unit_test(throttle_delays_nobody_for_who_was_right),
        cmocka_unit_test(throttle_is_bounded_and_keeps_the_worst),
        cmocka_unit_test(sessions_end_when_idle_and_when_old),
        cmocka_unit_test(sessions_looked_at_are_not_used),
        cmocka_unit_test(sessions_are_bounded),
        cmocka_unit_test(passwords_are_hashed_and_checked),
        cmocka_unit_test(weak_passwords_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
