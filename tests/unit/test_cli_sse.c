/* Server-sent events: the same events however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/cli/sse.h"

static bool
note(void *data, const struct sse_event *event)
{
    struct buf *notes = data;
    assert_int_equal(strlen(event->data), event->size);
    buf_printf(notes, "<%s|%s|%s>", event->kind, event->id, event->data);
    return strcmp(event->data, "stop") != 0;
}

static void
feed(struct sse *sse, const char *text, size_t size, struct buf *notes)
{
    struct err err;
    bool wanted;
    assert_int_equal(sse_feed(sse, text, size, note, notes, &wanted, &err), ERR_NONE);
}

static void
test_in_any_pieces(void **state)
{
    static const char text[] = "\xef\xbb\xbf: hello\n\n"
                               "event: config\nid: 7\ndata: {\"a\":1}\n\n"
                               ": ping\n\n"
                               "data:one\ndata: two\n\n"
                               "event: node\r\ndata: crlf\r\n\r\n"
                               "id: 9\rdata: cr\r\r"
                               "event: nothing\n\n"
                               "retry: 5\nunknown\ndata\n\n"
                               "data: unfinished\n";
    static const char expected[] = "<config|7|{\"a\":1}>"
                                   "<message|7|one\ntwo>"
                                   "<node|7|crlf>"
                                   "<message|9|cr>"
                                   "<message|9|>";
    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        for (size_t second = cut; second < sizeof text; second += 7) {
            struct sse sse = { .has_data = false };
            CLEANUP(buf_done) struct buf notes = { 0 };
            feed(&sse, text, cut, &notes);
            feed(&sse, text + cut, second - cut, &notes);
            feed(&sse, text + second, sizeof text - 1 - second, &notes);
            assert_string_equal(buf_text(&notes), expected);
            sse_done(&sse);
        }
    }
}

/* A lost connection: half an event is forgotten, the id to resume from is not. */
static void
test_reset(void **state)
{
    struct sse sse = { .has_data = false };
    CLEANUP(buf_done) struct buf notes = { 0 };
    (void)state;
    feed(&sse, "id: 7\ndata: a\n\nevent: x\ndata: half\nda", 38, &notes);
    sse_reset(&sse);
    assert_string_equal(sse.id, "7");
    feed(&sse, "data: b\n\n", 9, &notes);
    assert_string_equal(buf_text(&notes), "<message|7|a><message|7|b>");
    sse_done(&sse);
}

static void
test_enough(void **state)
{
    struct sse sse = { .has_data = false };
    CLEANUP(buf_done) struct buf notes = { 0 };
    struct err err;
    bool wanted = true;
    (void)state;
    static const char text[] = "data: stop\n\ndata: more\n\n";
    assert_int_equal(sse_feed(&sse, text, sizeof text - 1, note, &notes, &wanted, &err), ERR_NONE);
    assert_false(wanted);
    assert_string_equal(buf_text(&notes), "<message||stop>");
    sse_done(&sse);
}

static void
test_bounds(void **state)
{
    struct sse sse = { .has_data = false };
    CLEANUP(buf_done) struct buf notes = { 0 };
    struct err err;
    bool wanted;
    char line[4096];
    enum err_code code = ERR_NONE;
    size_t fed = 0;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "data: ", 6);
    line[sizeof line - 1] = '\n';
    for (; code == ERR_NONE && fed <= 2 * SSE_LINE_SIZE_MAX; fed += sizeof line)
        code = sse_feed(&sse, line, sizeof line, note, &notes, &wanted, &err);
    assert_int_equal(code, ERR_LIMIT);
    assert_in_range(fed, SSE_LINE_SIZE_MAX / 2, SSE_LINE_SIZE_MAX + 2 * sizeof line);
    sse_done(&sse);

    /* An id or a kind that does not fit is as if it were not there. */
    memset(&sse, 0, sizeof sse);
    buf_clear(&notes);
    feed(&sse, "id: 1\ndata: a\n\nid: ", 19, &notes);
    memset(line, 'y', SSE_WORD_SIZE);
    feed(&sse, line, SSE_WORD_SIZE, &notes);
    feed(&sse, "\ndata: b\n\n", 10, &notes);
    assert_string_equal(buf_text(&notes), "<message|1|a><message|1|b>");
    sse_done(&sse);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_any_pieces),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_enough),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
