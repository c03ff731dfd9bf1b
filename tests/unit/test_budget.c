/*
 * The sums of "baton budget": by the defaults, by the tightest settings, and what a declared rto_ms
 * refuses. The sums are written out here a second time, by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/json.h"
#include "controller/base/str.h"
#include "sites/budget.h"

struct store {
    const char *keys[16];
    struct json_object *values[16]; /* owned */
    size_t count;
};

static bool
find(void *data, enum setting_layer layer, const char *site, const char *key,
     struct setting_stored *ret)
{
    struct store *store = data;
    (void)site;
    for (size_t i = 0; layer == SETTING_LAYER_CLUSTER && i < store->count; i++) {
        if (strcmp(store->keys[i], key) == 0) {
            ret->value = store->values[i];
            return true;
        }
    }
    return false;
}

static void
put(struct store *store, const char *key, const char *text)
{
    struct err err;
    assert_true(store->count < ARRAY_COUNT(store->keys));
    store->keys[store->count] = key;
    if (json_read(text, strlen(text), &store->values[store->count++], &err) != ERR_NONE)
        fail_msg("%s", err.text);
}

static void
compute(struct store *store, bool has_arbiter, unsigned member_count, struct budget *ret)
{
    struct setting_source source = {
        .find = find, .data = store, .site = "west", .node_known = true
    };
    budget_compute(&source, has_arbiter, member_count, ret);
    for (unsigned i = 0; i < BUDGET_CASE_COUNT; i++) { /* the terms are the sums */
        uint64_t sum_ms[BUDGET_PHASE_COUNT] = { 0 };
        for (size_t at = 0; at < ret->paths[i].count; at++) {
            for (unsigned phase = ret->paths[i].terms[at].phase; phase < BUDGET_PHASE_COUNT;
                 phase++)
                sum_ms[phase] += ret->paths[i].terms[at].ms;
        }
        assert_memory_equal(sum_ms, ret->paths[i].until_ms, sizeof sum_ms);
    }
}

static void
store_done(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        json_putp(&store->values[i]);
}

static void
expect(const struct budget *budget, enum budget_case which, uint64_t detect_ms, uint64_t writes_ms,
       uint64_t act_ms)
{
    const uint64_t *until_ms = budget->paths[which].until_ms;
    assert_int_equal(until_ms[BUDGET_DETECT], detect_ms);
    assert_int_equal(until_ms[BUDGET_WRITES], detect_ms + writes_ms);
    assert_int_equal(until_ms[BUDGET_ACT], detect_ms + writes_ms + act_ms);
}

/* S1, S2, S13. */
static void
test_defaults(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct budget budget;
    compute(&store, true, 3, &budget);
    assert_true(budget.automatic);
    expect(&budget, BUDGET_PROCESS, 1000 + 1000 + 500 + 500, 2 * 1000 + 5 * 10000, 5000 + 30000);
    expect(&budget, BUDGET_HOST, 5000 + 2000 + 500, 2 * 1000 + 5 * 10000, 5000 + 30000);
    compute(&store, true, 2, &budget); /* nobody else to ask or to wait for */
    expect(&budget, BUDGET_PROCESS, 1000 + 500, 2 * 1000 + 5 * 10000, 5000 + 30000);
    expect(&budget, BUDGET_HOST, 5000 + 2000, 2 * 1000 + 5 * 10000, 5000 + 30000);
    compute(&store, true, 5, &budget);
    expect(&budget, BUDGET_PROCESS, 1000 + 1000 + 500 + 3 * 500, 52000, 35000);
}

static void
test_tight_settings(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct budget budget;
    put(&store, "peer.poll_ms", "100");
    put(&store, "peer.timeout_ms", "100");
    put(&store, "takeover.delay_ms", "0");
    put(&store, "promote.call_ms", "50");
    put(&store, "promote.step_ms", "100");
    put(&store, "activation.timeout_ms", "100");
    put(&store, "lease.ttl_ms", "2000");
    put(&store, "lease.renew_ms", "700");
    compute(&store, true, 3, &budget);
    /* the lease outlasts the promotion, and one more is waited for */
    expect(&budget, BUDGET_PROCESS, 100 + 100 + 0 + 100, 2 * 50 + 5 * 100, 2500 + 2000 + 100);
    expect(&budget, BUDGET_HOST, 2000 + 1400 + 100, 600, 2000 + 100);
    store_done(&store);
}

/* S3, S4. */
static void
test_slow_looks_outlast_the_lease(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct budget budget;
    put(&store, "takeover.delay_ms", "30000"); /* as in SAP's pair (S2) */
    compute(&store, true, 2, &budget);
    expect(&budget, BUDGET_HOST, 1000 + 2000 + 30000, 52000, 35000);
    store_done(&store);
}

/* Without an arbiter only what is unguarded is automatic, and no lease is waited for. */
static void
test_unguarded(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct budget budget;
    compute(&store, false, 2, &budget);
    assert_false(budget.automatic);
    assert_int_equal(budget.paths[BUDGET_HOST].count, 0);
    put(&store, "takeover.across_sites", "\"unguarded\"");
    compute(&store, false, 2, &budget);
    assert_true(budget.automatic);
    expect(&budget, BUDGET_HOST, 1000 + 2000 + 5000, 52000, 30000);
    compute(&store, true, 2, &budget); /* within the site it is automatic */
    assert_true(budget.automatic);
    put(&store, "takeover.within_site", "\"manual\"");
    compute(&store, true, 2, &budget);
    assert_false(budget.automatic);
    compute(&store, false, 1, &budget); /* nobody to take over */
    assert_false(budget.automatic);
    store_done(&store);
}

static void
test_rto(void **state)
{
    (void)state;
    struct store store = { 0 };
    struct budget budget;
    struct fault_list faults = { 0 };
    compute(&store, true, 3, &budget);
    budget_faults(&budget, &faults);
    assert_int_equal(faults.count, 0); /* not declared */
    put(&store, "rto_ms", "92000");
    compute(&store, true, 3, &budget);
    budget_faults(&budget, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].pointer, "/rto_ms");
    assert_string_equal(faults.list[0].text,
                        "the primary's host is silent: 94500 ms may pass, and rto_ms allows 92000; "
                        "the largest part is 30000 ms of activation.timeout_ms");
    put(&store, "activation.timeout_ms", "5000");
    compute(&store, true, 3, &budget);
    faults = (struct fault_list){ 0 };
    budget_faults(&budget, &faults);
    assert_int_equal(faults.count, 0);
    assert_string_equal(budget_case_name(BUDGET_HOST), "host");
    assert_string_equal(budget_case_text(BUDGET_HOST), "the primary's host is silent");
    assert_string_equal(budget_phase_name(BUDGET_ACT), "act");
    store_done(&store);
}

static void
change(struct store *before, struct store *after, bool has_arbiter, struct fault_list *faults)
{
    struct setting_source was = {
        .find = find, .data = before, .site = "west", .node_known = true
    };
    struct setting_source is = { .find = find, .data = after, .site = "west", .node_known = true };
    struct budget_view old = { .source = &was, .has_arbiter = has_arbiter, .member_count = 3 };
    struct budget_view new = { .source = &is, .has_arbiter = has_arbiter, .member_count = 3 };
    *faults = (struct fault_list){ 0 };
    budget_change_faults(&old, &new, faults);
}

/* A change is refused for what it makes wrong, and for nothing else. */
static void
test_changes(void **state)
{
    (void)state;
    struct store none = { 0 };
    struct store declared = { 0 };
    struct store slow = { 0 };
    struct store slower = { 0 };
    struct fault_list faults;
    put(&declared, "rto_ms", "94500");
    put(&slow, "rto_ms", "94500");
    put(&slow, "promote.step_ms", "10001");
    put(&slower, "rto_ms", "94500");
    put(&slower, "promote.step_ms", "10002");

    change(&none, &declared, true, &faults);
    assert_int_equal(faults.count, 0);
    change(&declared, &slow, true, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].pointer, "/rto_ms");
    change(&none, &slow, true, &faults);
    assert_int_equal(faults.count, 1);
    change(&declared, &slow, false, &faults); /* a person decides: nothing is promised */
    assert_int_equal(faults.count, 0);
    /* it was beyond before: better and as bad may be, worse may not */
    change(&slower, &slow, true, &faults);
    assert_int_equal(faults.count, 0);
    change(&slow, &slow, true, &faults);
    assert_int_equal(faults.count, 0);
    change(&slow, &slower, true, &faults);
    assert_int_equal(faults.count, 1);

    struct store pair = { 0 };
    put(&pair, "lease.renew_ms", "2300");
    change(&none, &pair, true, &faults);
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.list[0].pointer, "/lease.renew_ms");
    change(&pair, &pair, true, &faults);
    assert_int_equal(faults.count, 0);
    store_done(&declared);
    store_done(&slow);
    store_done(&slower);
    store_done(&pair);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_tight_settings),
        cmocka_unit_test(test_slow_looks_outlast_the_lease),
        cmocka_unit_test(test_unguarded),
        cmocka_unit_test(test_rto),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
