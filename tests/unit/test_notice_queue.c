/* What waits for a receiver of notices: in which order, how long, and when it is tried (O4). */
#include "sites/notice_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/check.h"
#include "controller/base/str.h"

static void
add(struct notice_queue *queue, const char *body, uint64_t now_ms)
{
    struct notice_item *item = notice_queue_add(queue, now_ms);
    assert_non_null(item);
    item->body = str_dup(body);
}

static void
expect_next(struct notice_queue *queue, const char *body, uint64_t now_ms)
{
    const struct notice_item *item = notice_queue_next(queue, now_ms);
    assert_non_null(item);
    assert_string_equal(item->body, body);
}

static void
test_one_at_a_time_in_their_order(void **state)
{
    (void)state;
    CLEANUP(notice_queue_done) struct notice_queue queue = { 0 };
    assert_null(notice_queue_next(&queue, 0));
    add(&queue, "first", 10);
    add(&queue, "second", 20);
    expect_next(&queue, "first", 30);
    assert_null(notice_queue_next(&queue, 30));
    assert_string_equal(notice_queue_sent(&queue)->body, "first");
    notice_queue_ended(&queue, true, "status 200", 40);
    expect_next(&queue, "second", 40);
    notice_queue_ended(&queue, true, "status 200", 50);
    assert_null(notice_queue_next(&queue, 1000000));
    assert_int_equal(queue.count, 0);
}

static void
test_what_is_not_heard_is_tried_again_after_longer_and_longer(void **state)
{
    (void)state;
    CLEANUP(notice_queue_done) struct notice_queue queue = { 0 };
    uint64_t now_ms = 1000;
    uint64_t pause_ms = NOTICE_QUEUE_PAUSE_MS_FIRST;
    add(&queue, "first", now_ms);
    add(&queue, "second", now_ms);
    for (size_t i = 0; i < 9; i++) {
        expect_next(&queue, "first", now_ms);
        notice_queue_ended(&queue, false, "status 503", now_ms);
        assert_string_equal(queue.trouble, "status 503");
        assert_null(notice_queue_next(&queue, now_ms + pause_ms - 1));
        now_ms += pause_ms;
        pause_ms =
            2 * pause_ms < NOTICE_QUEUE_PAUSE_MS_MAX ? 2 * pause_ms : NOTICE_QUEUE_PAUSE_MS_MAX;
    }
    expect_next(&queue, "first", now_ms);
    notice_queue_ended(&queue, true, "", now_ms);
    assert_string_equal(queue.trouble, "");
    expect_next(&queue, "second", now_ms);
    notice_queue_ended(&queue, false, "status 503", now_ms);
    assert_int_equal(queue.again_ms, now_ms + NOTICE_QUEUE_PAUSE_MS_FIRST);
}

static void
test_what_is_too_old_is_given_up(void **state)
{
    (void)state;
    CLEANUP(notice_queue_done) struct notice_queue queue = { 0 };
    assert_null(notice_queue_old(&queue, NOTICE_QUEUE_KEEP_MS + 1));
    add(&queue, "first", 100);
    add(&queue, "second", 200);
    expect_next(&queue, "first", 200);
    notice_queue_ended(&queue, false, "status 503", NOTICE_QUEUE_KEEP_MS);
    assert_null(notice_queue_old(&queue, 100 + NOTICE_QUEUE_KEEP_MS));
    assert_string_equal(notice_queue_old(&queue, 101 + NOTICE_QUEUE_KEEP_MS)->body, "first");
    notice_queue_drop(&queue);
    assert_string_equal(queue.trouble, ""); /* nobody waits for it any more */
    assert_null(notice_queue_old(&queue, 101 + NOTICE_QUEUE_KEEP_MS));
    expect_next(&queue, "second", 101 + NOTICE_QUEUE_KEEP_MS); /* whom the pause was not for */
}

/* Its answer is of it, and not of what comes after it, or of nothing. */
static void
test_what_is_under_way_is_not_given_up(void **state)
{
    (void)state;
    CLEANUP(notice_queue_done) struct notice_queue queue = { 0 };
    uint64_t late_ms = 2 * NOTICE_QUEUE_KEEP_MS;
    add(&queue, "first", 0);
    add(&queue, "second", late_ms);
    expect_next(&queue, "first", NOTICE_QUEUE_KEEP_MS);
    assert_null(notice_queue_old(&queue, late_ms));
    notice_queue_ended(&queue, true, "status 200", late_ms);
    assert_int_equal(queue.count, 1);
    expect_next(&queue, "second", late_ms);
    notice_queue_ended(&queue, false, "status 503", 2 * late_ms);
    assert_non_null(notice_queue_old(&queue, 2 * late_ms));
}

static void
test_it_is_bounded(void **state)
{
    (void)state;
    CLEANUP(notice_queue_done) struct notice_queue queue = { 0 };
    char body[24];
    for (size_t round = 0; round < 3; round++) { /* also where it begins in its middle */
        for (size_t i = queue.count; i < NOTICE_QUEUE_MAX; i++) {
            (void)snprintf(body, sizeof body, "%zu.%zu", round, i);
            add(&queue, body, i);
        }
        assert_null(notice_queue_add(&queue, 100));
        for (size_t i = 0; i < NOTICE_QUEUE_MAX - 5; i++) {
            assert_non_null(notice_queue_next(&queue, 100));
            notice_queue_ended(&queue, true, "", 100);
        }
    }
    expect_next(&queue, "2.59", 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time_in_their_order),
        cmocka_unit_test(test_what_is_not_heard_is_tried_again_after_longer_and_longer),
        cmocka_unit_test(test_what_is_too_old_is_given_up),
        cmocka_unit_test(test_what_is_under_way_is_not_given_up),
        cmocka_unit_test(test_it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
