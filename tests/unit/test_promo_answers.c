/*
 * Which answers are for the promotion that runs: "b" of {a, b}, durability async. What its own
 * database and the others say to an earlier one comes whenever it likes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/check.h"
#include "sites/promo.h"

static const struct promo_limits limits = { 1000, 1000, 1000, 1000, 1000, 1000 };

struct bench {
    struct promo promo;
    struct promo_effects effects;
    uint64_t now_ms;
};

/* As an adapter keeps it with each question. */
struct question {
    uint64_t number;
    struct epoch epoch;
};

static void
step(struct bench *bench, struct promo_event event)
{
    struct err err = { 0 };
    event.now_ms = bench->now_ms;
    if (promo_step(&bench->promo, &event, &bench->effects, &err) != ERR_NONE)
        fail_msg("%s: %s", promo_event_name(event.kind), err.text);
}

static struct question
ask(const struct bench *bench)
{
    return (struct question){ .number = bench->promo.number, .epoch = bench->promo.epoch };
}

static bool
is_awaited(const struct bench *bench, const struct question *question)
{
    return promo_awaits(&bench->promo, question->number, &question->epoch);
}

static void
order(struct bench *bench, enum promo_mode mode)
{
    static const char *const members[] = { "a", "b" };
    struct node_facts own = { .name = "b",
                              .state = NODE_FENCED,
                              .epoch = epoch_make(3, "b"),
                              .promised = epoch_make(3, "b"),
                              .applied = { .epoch = epoch_make(3, "b"), .revision = 9 } };
    struct quorum_record record = { .now = { .k = 0 } };
    struct promo_order order = { .mode = mode,
                                 .accept_data_loss = true,
                                 .connectors_ready = true,
                                 .overrides = 1u << PROMO_CHECK_FREEZE };
    if (bench->promo.epoch.number != 0) /* the one before has promised it to itself */
        own.promised = bench->promo.epoch;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++)
        assert_int_equal(quorum_add(&record.now, members[i], NULL), ERR_NONE);
    assert_int_equal(promo_set(&bench->promo, &own, members, 2, &record, NULL), ERR_NONE);
    step(bench, (struct promo_event){ .kind = PROMO_EV_ORDER, .order = &order });
}

static struct bench
bench_new(void)
{
    struct bench bench = { .now_ms = 1000 };
    promo_init(&bench.promo, "b", &limits);
    return bench;
}

/* The question whether our database takes the epoch. */
static struct question
go_to_opening(struct bench *bench)
{
    struct position here = { .epoch = epoch_make(3, "b"), .revision = 9 };
    step(bench, (struct promo_event){ .kind = PROMO_EV_ANSWER, .node = "a" });
    assert_int_equal(bench->promo.state, PROMO_STATE_CAPTURING);
    step(bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED, .node = "a" });
    if (bench->promo.state == PROMO_STATE_CAPTURING)
        step(bench, (struct promo_event){ .kind = PROMO_EV_CAPTURED,
                                          .node = "b",
                                          .ok = true,
                                          .position = here,
                                          .promised = epoch_make(3, "b") });
    assert_int_equal(bench->promo.state, PROMO_STATE_ARMING);
    step(bench, (struct promo_event){ .kind = PROMO_EV_ARMED, .ok = true });
    assert_int_equal(bench->promo.state, PROMO_STATE_OPENING);
    return ask(bench);
}

/* Until it has chosen an epoch it has that of the one before. */
static void
test_who_asks_waits_for_no_earlier_one(void **state)
{
    (void)state;
    struct bench bench = bench_new();
    order(&bench, PROMO_FAILOVER);
    struct question earlier = go_to_opening(&bench);
    assert_true(is_awaited(&bench, &earlier));
    bench.now_ms += 1001;
    step(&bench, (struct promo_event){ .kind = PROMO_EV_TIMEOUT });
    assert_int_equal(bench.promo.state, PROMO_STATE_FAILED);
    assert_false(is_awaited(&bench, &earlier));

    order(&bench, PROMO_FAILOVER);
    assert_int_equal(bench.promo.state, PROMO_STATE_ASKING);
    assert_true(epoch_equal(&bench.promo.epoch, &earlier.epoch));
    assert_false(is_awaited(&bench, &earlier));
    struct question asked = ask(&bench);
    assert_true(is_awaited(&bench, &asked));
    struct question opening = go_to_opening(&bench);
    assert_false(is_awaited(&bench, &asked)); /* decided without it */
    assert_true(is_awaited(&bench, &opening));
}

/* Two resumptions go on under the same epoch. */
static void
test_a_resumption_waits_for_no_earlier_one(void **state)
{
    (void)state;
    struct bench bench = bench_new();
    order(&bench, PROMO_RESUMPTION);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ARMED, .ok = true });
    struct question earlier = ask(&bench);
    assert_true(is_awaited(&bench, &earlier));
    step(&bench, (struct promo_event){ .kind = PROMO_EV_LOST });
    assert_int_equal(bench.promo.state, PROMO_STATE_FAILED);

    order(&bench, PROMO_RESUMPTION);
    step(&bench, (struct promo_event){ .kind = PROMO_EV_ARMED, .ok = true });
    assert_int_equal(bench.promo.state, PROMO_STATE_OPENING);
    struct question later = ask(&bench);
    assert_true(epoch_equal(&later.epoch, &earlier.epoch));
    assert_false(is_awaited(&bench, &earlier));
    assert_true(is_awaited(&bench, &later));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_asks_waits_for_no_earlier_one),
        cmocka_unit_test(test_a_resumption_waits_for_no_earlier_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
