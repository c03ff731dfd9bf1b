/* What the gate decides, and what it reads back from its disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "controller/base/str.h"
#include "sites/gate.h"

#define CLUSTER "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"

/* I10, docs/decisions/0003: the pair counts, number first, then the holder. */
static void
a_later_activation_raises_and_an_earlier_one_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *highest;
        const char *asked;
        enum gate_verdict activation;
        enum gate_verdict probe;
    } rows[] = {
        { "-", "1/west-1", GATE_RAISE, GATE_PASS },
        { "7/west-1", "7/west-1", GATE_PASS, GATE_PASS },
        { "7/west-1", "8/east-1", GATE_RAISE, GATE_PASS },
        { "7/west-1", "6/west-1", GATE_REFUSE, GATE_REFUSE },
        { "7/west-1", "7/east-1", GATE_REFUSE, GATE_REFUSE },
        { "7/east-1", "7/west-1", GATE_RAISE, GATE_PASS },
        { "7/west-1", "6/zulu-9", GATE_REFUSE, GATE_REFUSE },
        { "10/a", "9/b", GATE_REFUSE, GATE_REFUSE },
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct gate_state gate = { 0 };
        struct epoch asked;
        assert_true(epoch_parse(rows[i].highest, &gate.highest));
        assert_true(epoch_parse(rows[i].asked, &asked));
        enum gate_verdict activation = gate_decide(&gate, &asked, true);
        enum gate_verdict probe = gate_decide(&gate, &asked, false);
        if (activation != rows[i].activation || probe != rows[i].probe)
            fail_msg("%s then %s: %s, %s", rows[i].highest, rows[i].asked,
                     gate_verdict_name(activation), gate_verdict_name(probe));
    }
}

/* No damage of one byte makes an epoch of another. */
static void
a_damaged_state_is_no_state(void **state)
{
    (void)state;
    struct gate_state gate = { .cluster = CLUSTER, .highest = { 71, "west-1" } };
    struct gate_state again;
    struct err err;
    CLEANUP(freep) char *text = gate_state_text(&gate);
    size_t size = strlen(text);
    assert_int_equal(gate_state_read(text, size, &again, &err), ERR_NONE);
    assert_string_equal(again.cluster, CLUSTER);
    assert_true(epoch_equal(&again.highest, &gate.highest));
    for (size_t at = 0; at < size; at++) {
        char kept = text[at];
        for (unsigned byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            if (gate_state_read(text, size, &again, &err) == ERR_NONE)
                assert_true(epoch_equal(&again.highest, &gate.highest));
        }
        text[at] = kept;
    }
    for (size_t cut = 0; cut + 1 < size; cut++)
        assert_int_equal(gate_state_read(text, cut, &again, &err), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_activation_raises_and_an_earlier_one_is_refused),
        cmocka_unit_test(a_damaged_state_is_no_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
