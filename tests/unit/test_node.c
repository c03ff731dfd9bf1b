/*
 * Every rule of the role machine: each row of the printed table is reached by a case here, and each
 * state that it may lead to; a refused pair changes nothing. What the rules are good for together
 * is the business of tests/scenarios.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/buf.h"
#include "controller/base/str.h"
#include "sites/node.h"

#define NOW        10000
#define CASES_SEEN 256

/* b-1 of {a-1, b-1, c-1}, k = 1, which held epoch 1 and has five rows of it. */
struct bench {
    struct node node;
    struct node_event event;
    struct node_facts facts;
    char text[512]; /* the effects */
};

typedef void arrange_fn(struct bench *bench);

struct node_case {
    enum node_state from;
    enum node_event_kind on;
    arrange_fn *arrange; /* may be NULL */
    enum node_state to;
    const char *effects;
};

static struct node_facts
make_facts(const char *name, enum node_state state, uint64_t epoch, uint64_t promised,
           uint64_t applied)
{
    struct node_facts facts = {
        .state = state,
        .epoch = epoch_make(epoch, epoch == 0 ? "" : name),
        .promised = epoch_make(promised, promised == 1 ? "b-1" : "c-1"),
        .applied = { .epoch = epoch_make(applied, applied == 1 ? "b-1" : name), .revision = 5 }
    };
    assert_true(str_copy(facts.name, sizeof facts.name, name));
    return facts;
}

static void
hear(struct bench *bench, const struct node_facts *facts)
{
    for (size_t i = 0; i < bench->node.peer_count; i++) {
        struct node_peer *peer = &bench->node.peers[i];
        if (strcmp(peer->name, facts->name) == 0)
            *peer = (struct node_peer){ .heard = true, .heard_ms = NOW - 10, .facts = *facts };
    }
    for (size_t i = 0; i < bench->node.peer_count; i++)
        assert_true(str_copy(bench->node.peers[i].name, NODE_NAME_SIZE, i == 0 ? "a-1" : "c-1"));
}

static void
begin(struct bench *bench, enum node_state from, enum node_event_kind on)
{
    static const struct node_limits limits = {
        .fresh_ms = 1000, .retry_ms = 100, .freeze_ms = 500, .challenge_ms = 300, .stream_ms = 200
    };
    static const char *const peers[] = { "a-1", "c-1" };
    memset(bench, 0, sizeof *bench);
    node_init(&bench->node, "b-1", &limits);
    node_set_peers(&bench->node, peers, 2);
    bench->node.state = from;
    bench->node.before = NODE_STANDBY;
    bench->node.database = true;
    bench->node.own = make_facts("b-1", from, 1, 1, 1);
    bench->node.record.now.k = 1;
    assert_int_equal(quorum_add(&bench->node.record.now, "a-1", NULL), ERR_NONE);
    assert_int_equal(quorum_add(&bench->node.record.now, "b-1", NULL), ERR_NONE);
    assert_int_equal(quorum_add(&bench->node.record.now, "c-1", NULL), ERR_NONE);
    if (from == NODE_STANDBY || from == NODE_REJOINING) {
        assert_true(str_copy(bench->node.following, sizeof bench->node.following, "a-1"));
        bench->node.following_epoch = epoch_make(2, "a-1");
    }
    bench->event.kind = on;
    bench->event.now_ms = NOW;
    bench->event.ok = true;
    bench->event.epoch = epoch_make(3, on == NODE_EV_OPENED ? "b-1" : "c-1");
    bench->facts = make_facts(on == NODE_EV_START ? "b-1" : "a-1", NODE_STANDBY, 0, 1, 1);
    bench->event.facts = &bench->facts;
}

static void
render(struct bench *bench, const struct node_effects *effects)
{
    char text[EPOCH_TEXT_SIZE];
    size_t used = 0;
    for (size_t i = 0; i < effects->count; i++) {
        const struct node_effect *effect = &effects->list[i];
        used += (size_t)snprintf(bench->text + used, sizeof bench->text - used, "%s%s",
                                 used == 0 ? "" : " ", node_effect_name(effect->kind));
        if (effect->kind == NODE_DO_ALARM)
            used += (size_t)snprintf(bench->text + used, sizeof bench->text - used, "+%llu",
                                     (unsigned long long)(effect->at_ms - NOW));
        if (effect->epoch.number != 0)
            used += (size_t)snprintf(bench->text + used, sizeof bench->text - used, ":%s",
                                     epoch_text(&effect->epoch, text));
    }
}

/* ------------------------------------------------------------------ circumstances */

static void
later_primary(struct bench *bench)
{
    struct node_facts facts = make_facts("a-1", NODE_PRIMARY, 2, 2, 2);
    facts.promised = epoch_make(2, "a-1");
    hear(bench, &facts);
    if (bench->event.kind == NODE_EV_HEARD)
        bench->facts = facts;
}

static void
much_later_primary(struct bench *bench)
{
    struct node_facts facts = make_facts("c-1", NODE_CLOSED, 4, 2, 2);
    hear(bench, &facts);
    if (bench->event.kind == NODE_EV_HEARD)
        bench->facts = facts;
}

static void
earlier_primary(struct bench *bench)
{
    struct node_facts facts = make_facts("a-1", NODE_PRIMARY, 1, 1, 1);
    bench->node.own.promised = epoch_make(2, "c-1");
    bench->node.own.epoch = (struct epoch){ 0 };
    hear(bench, &facts);
}

static void
later_primary_of_long_ago(struct bench *bench)
{
    later_primary(bench);
    bench->node.peers[0].heard_ms = NOW - 1001;
    bench->event.kind = NODE_EV_TICK;
}

static void
confirmed(struct bench *bench)
{
    struct node_facts facts = make_facts("c-1", NODE_FENCED, 0, 1, 1);
    if (bench->event.kind == NODE_EV_START)
        bench->facts = bench->node.own;
    hear(bench, &facts);
    if (bench->event.kind == NODE_EV_HEARD)
        bench->facts = facts;
}

static void
confirmed_not_granted(struct bench *bench)
{
    struct epoch earlier = epoch_make(1, "a-1");
    confirmed(bench);
    node_note_lease(&bench->node, true, &earlier);
}

static void
confirmed_and_given_back(struct bench *bench)
{
    confirmed_not_granted(bench);
    node_note_released(&bench->node, true);
}

static void
confirmed_and_granted(struct bench *bench)
{
    confirmed(bench);
    node_note_lease(&bench->node, true, &bench->node.own.epoch);
}

/* Nobody but this node counts. */
static void
alone(struct bench *bench)
{
    quorum_remove(&bench->node.record.now, "a-1");
    quorum_remove(&bench->node.record.now, "c-1");
    bench->node.record.now.k = 0;
    assert_true(str_copy(bench->node.record.since, sizeof bench->node.record.since, "2026"));
}

static void
alone_and_granted(struct bench *bench)
{
    alone(bench);
    node_note_lease(&bench->node, true, &bench->node.own.epoch);
}

static void
alone_and_one_confirms(struct bench *bench)
{
    confirmed(bench);
    alone(bench);
}

static void
alone_and_all_confirm(struct bench *bench)
{
    struct node_facts facts = make_facts("a-1", NODE_FENCED, 0, 1, 1);
    confirmed(bench);
    hear(bench, &facts);
    alone(bench);
}

static void
confirmed_a_while_ago(struct bench *bench)
{
    confirmed(bench);
    bench->node.peers[1].heard_ms = NOW - 1001;
}

/* Its batond runs, and has not heard from its database yet. */
static void
heard_of_one_that_knows_nothing(struct bench *bench)
{
    confirmed(bench);
    bench->node.peers[1].facts.promised = (struct epoch){ 0 };
}

static void
refuted(struct bench *bench)
{
    struct node_facts facts = make_facts("a-1", NODE_STANDBY, 0, 3, 1);
    confirmed(bench);
    hear(bench, &facts);
}

static void
has_lost_rows(struct bench *bench)
{
    confirmed(bench);
    bench->node.own.applied.revision = 3;
}

static void
retries_later(struct bench *bench)
{
    confirmed(bench);
    bench->node.deadline_ms = NOW + 1;
}

static void
was_primary(struct bench *bench)
{
    bench->node.before = NODE_PRIMARY;
}

static void
was_fenced(struct bench *bench)
{
    bench->node.before = NODE_FENCED;
}

static void
beyond(struct bench *bench)
{
    bench->event.beyond = true;
}

static void
beyond_was_primary(struct bench *bench)
{
    was_primary(bench);
    beyond(bench);
}

static void
not_ok(struct bench *bench)
{
    bench->event.ok = false;
    bench->event.text = "for a reason";
}

static void
is_primary(struct bench *bench)
{
    not_ok(bench);
    bench->event.is_primary = true;
}

static void
silent_for_long(struct bench *bench)
{
    later_primary(bench);
    bench->node.silent_ms = NOW - 200;
    bench->event.ok = false;
}

/* I14: whom we would follow has a schema that we have not. */
static void
newer_schema(struct bench *bench)
{
    if (bench->event.kind == NODE_EV_HEARD)
        much_later_primary(bench);
    else
        silent_for_long(bench);
    for (size_t i = 0; i < bench->node.peer_count; i++)
        bench->node.peers[i].facts.schema = 12;
    bench->facts.schema = 12;
    bench->node.own.schema = 11;
}

static void
silent_for_long_alone(struct bench *bench)
{
    bench->node.silent_ms = NOW - 200;
    bench->event.ok = false;
}

static void
later_promise(struct bench *bench)
{
    bench->facts = make_facts("a-1", NODE_FENCED, 0, 3, 1);
}

static void
rows_of_a_later_epoch(struct bench *bench)
{
    bench->facts = make_facts("a-1", NODE_FENCED, 0, 2, 2);
}

static void
challenged_for_long(struct bench *bench)
{
    bench->node.challenged_ms = NOW - 300;
}

static void
challenged_for_long_and_overtaken(struct bench *bench)
{
    challenged_for_long(bench);
    later_primary(bench);
}

static void
challenged_a_moment_ago(struct bench *bench)
{
    bench->node.challenged_ms = NOW - 299;
}

/* Each member says that all is well, and so does its lease, but for a while. */
static void
given_back(struct bench *bench)
{
    struct epoch held = bench->node.own.epoch;
    node_note_lease(&bench->node, true, &held);
    node_note_released(&bench->node, true);
}

static void
wait_and_hear(struct bench *bench)
{
    struct node_event heard = { .kind = NODE_EV_HEARD,
                                .now_ms = NOW - 300,
                                .facts = &bench->facts };
    struct node_effects effects;
    assert_int_equal(node_step(&bench->node, &heard, &effects, NULL), ERR_NONE);
    assert_int_equal(effects.count, 0);
    heard.now_ms = NOW - 1;
    assert_int_equal(node_step(&bench->node, &heard, &effects, NULL), ERR_NONE);
}

static void
given_back_for_long(struct bench *bench)
{
    given_back(bench);
    wait_and_hear(bench);
}

/* It takes no word of ours any more, and may have to be told of us. */
static void
promised_by_the_arbiter(struct bench *bench)
{
    struct epoch later = epoch_make(1, "c-1");
    bench->node.record.arbiter = 7;
    node_note_arbiter(&bench->node, &later);
}

static void
promised_by_the_arbiter_for_long(struct bench *bench)
{
    promised_by_the_arbiter(bench);
    wait_and_hear(bench);
}

static void
promised_by_an_arbiter_that_is_not_heard(struct bench *bench)
{
    promised_by_the_arbiter(bench);
    node_note_arbiter(&bench->node, NULL);
    wait_and_hear(bench);
}

static void
promised_by_an_arbiter_that_is_not_told(struct bench *bench)
{
    promised_by_the_arbiter(bench);
    bench->node.record.arbiter = 0;
    wait_and_hear(bench);
}

static void
captured_by_a_primary(struct bench *bench)
{
    struct node_facts facts = make_facts("c-1", NODE_PRIMARY, 3, 3, 1);
    hear(bench, &facts);
    bench->event.ok = false;
}

static void
captured(struct bench *bench)
{
    bench->event.ok = false;
}

static void
frozen_long_enough(struct bench *bench)
{
    bench->node.deadline_ms = NOW;
}

static void
frozen_for_it(struct bench *bench)
{
    bench->node.freeze_epoch = bench->event.epoch;
}

static void
freezing_for_it(struct bench *bench)
{
    frozen_for_it(bench);
    bench->node.freezing = true;
}

static void
thawing_for_it(struct bench *bench)
{
    frozen_for_it(bench);
    bench->node.thawing = true;
}

static void
thaw_wanted(struct bench *bench)
{
    bench->node.freezing = true;
    bench->node.thaw_wanted = true;
}

static void
fencing(struct bench *bench)
{
    bench->node.fencing = 1;
}

static void
fencing_beside_a_primary(struct bench *bench)
{
    fencing(bench);
    later_primary(bench);
}

static void
fencing_twice_beside_a_primary(struct bench *bench)
{
    later_primary(bench);
    bench->node.fencing = 2;
}

static void
fencing_and_granted(struct bench *bench)
{
    confirmed_and_granted(bench);
    fencing(bench);
}

static void
unfenced_beside_a_primary(struct bench *bench)
{
    later_primary(bench);
    bench->node.unfenced = true;
}

static void
not_ok_for_it_is_gone(struct bench *bench)
{
    fencing(bench);
    bench->node.database = false;
    bench->event.ok = false;
}

/* ------------------------------------------------------------------ the cases */

#define DOWN "FENCE_DATABASE WRITES_HOLD DEACTIVATE"

static const struct node_case cases[] = {
    { NODE_FENCED, NODE_EV_START, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_START, confirmed, NODE_FENCED, "RESUME" },
    { NODE_FENCED, NODE_EV_START, later_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_FENCED, NODE_EV_LOST, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_HEARD, NULL, NODE_FENCED, "RESUME" }, /* a-1 confirms */
    { NODE_FENCED, NODE_EV_HEARD, later_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_FENCED, NODE_EV_HEARD, newer_schema, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, confirmed, NODE_FENCED, "RESUME" },
    { NODE_FENCED, NODE_EV_TICK, confirmed_a_while_ago, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, heard_of_one_that_knows_nothing, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, refuted, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, has_lost_rows, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, retries_later, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, earlier_primary, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, later_primary_of_long_ago, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, later_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_FENCED, NODE_EV_CAPTURED, captured, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING, "ATTACH:3/c-1" },
    { NODE_FENCED, NODE_EV_FENCED, fencing, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_FENCED, fencing_beside_a_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_FENCED, NODE_EV_FENCED, fencing_twice_beside_a_primary, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_FENCED, fencing_and_granted, NODE_FENCED, "RESUME" },
    { NODE_FENCED, NODE_EV_FENCED, not_ok, NODE_FENCED, "ALARM+100" },
    { NODE_FENCED, NODE_EV_FENCED, not_ok_for_it_is_gone, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, fencing_beside_a_primary, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_HEARD, fencing_beside_a_primary, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, unfenced_beside_a_primary, NODE_FENCED, "FENCE_DATABASE" },
    { NODE_FENCED, NODE_EV_HEARD, unfenced_beside_a_primary, NODE_FENCED, "FENCE_DATABASE" },
    { NODE_FENCED, NODE_EV_START, unfenced_beside_a_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_FENCED, NODE_EV_FROZEN, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_REOPENED, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_BEGIN, NULL, NODE_CANDIDATE, "ATTACH_END" },
    { NODE_FENCED, NODE_EV_ATTACHED, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_STREAM, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_LAPSED, NULL, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, confirmed_not_granted, NODE_FENCED, "WANT:1/b-1" },
    { NODE_FENCED, NODE_EV_TICK, confirmed_and_given_back, NODE_FENCED, "RENEW" },
    { NODE_FENCED, NODE_EV_TICK, confirmed_and_granted, NODE_FENCED, "RESUME" },
    { NODE_FENCED, NODE_EV_TICK, alone_and_granted, NODE_FENCED, "RESUME" },
    { NODE_FENCED, NODE_EV_TICK, alone, NODE_FENCED, "" }, /* no arbiter any more */
    { NODE_FENCED, NODE_EV_TICK, alone_and_one_confirms, NODE_FENCED, "" },
    { NODE_FENCED, NODE_EV_TICK, alone_and_all_confirm, NODE_FENCED, "RESUME" },

    { NODE_REJOINING, NODE_EV_START, NULL, NODE_FENCED, "" },
    { NODE_REJOINING, NODE_EV_START, later_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_REJOINING, NODE_EV_LOST, NULL, NODE_FENCED, "" },
    { NODE_REJOINING, NODE_EV_HEARD, later_primary, NODE_REJOINING,
      "" }, /* the one it attaches to */
    { NODE_REJOINING, NODE_EV_HEARD, much_later_primary, NODE_REJOINING, "ATTACH:4/c-1" },
    { NODE_REJOINING, NODE_EV_HEARD, newer_schema, NODE_REJOINING, "" },
    { NODE_REJOINING, NODE_EV_TICK, NULL, NODE_REJOINING, "" },
    { NODE_REJOINING, NODE_EV_CAPTURED, captured, NODE_FENCED, "" },
    { NODE_REJOINING, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING, "ATTACH:3/c-1" },
    { NODE_REJOINING, NODE_EV_BEGIN, NULL, NODE_CANDIDATE, "ATTACH_END" },
    { NODE_REJOINING, NODE_EV_ATTACHED, NULL, NODE_STANDBY, "" },
    { NODE_REJOINING, NODE_EV_ATTACHED, not_ok, NODE_FENCED, "ALARM+100" },
    { NODE_REJOINING, NODE_EV_ATTACHED, is_primary, NODE_FENCED, "FENCE_DATABASE ALARM+100" },
    { NODE_REJOINING, NODE_EV_FENCED, NULL, NODE_REJOINING, "" },
    { NODE_REJOINING, NODE_EV_STREAM, NULL, NODE_REJOINING, "" },
    { NODE_REJOINING, NODE_EV_LAPSED, NULL, NODE_REJOINING, "" },

    { NODE_STANDBY, NODE_EV_START, NULL, NODE_FENCED, "" },
    { NODE_STANDBY, NODE_EV_START, later_primary, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_STANDBY, NODE_EV_LOST, NULL, NODE_FENCED, "" },
    { NODE_STANDBY, NODE_EV_HEARD, later_primary, NODE_STANDBY, "" },
    { NODE_STANDBY, NODE_EV_HEARD, much_later_primary, NODE_REJOINING, "ATTACH:4/c-1" },
    { NODE_STANDBY, NODE_EV_HEARD, newer_schema, NODE_FENCED, "" },
    { NODE_STANDBY, NODE_EV_TICK, NULL, NODE_STANDBY, "" },
    { NODE_STANDBY, NODE_EV_TICK, silent_for_long_alone, NODE_STANDBY, "" },
    { NODE_STANDBY, NODE_EV_TICK, silent_for_long, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_STANDBY, NODE_EV_TICK, newer_schema, NODE_FENCED, "" },
    { NODE_STANDBY, NODE_EV_CAPTURED, captured, NODE_FENCED, "" },
    { NODE_STANDBY, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING, "ATTACH:3/c-1" },
    { NODE_STANDBY, NODE_EV_BEGIN, NULL, NODE_CANDIDATE, "" },
    { NODE_STANDBY, NODE_EV_FENCED, NULL, NODE_STANDBY, "" },
    { NODE_STANDBY, NODE_EV_STREAM, NULL, NODE_STANDBY, "" },
    { NODE_STANDBY, NODE_EV_STREAM, not_ok, NODE_STANDBY, "" },
    { NODE_STANDBY, NODE_EV_STREAM, silent_for_long, NODE_REJOINING, "ATTACH:2/a-1" },
    { NODE_STANDBY, NODE_EV_STREAM, newer_schema, NODE_FENCED, "" },
    { NODE_STANDBY, NODE_EV_LAPSED, NULL, NODE_STANDBY, "" },

    /* what it was asked meanwhile may come behind the fence of the start */
    { NODE_CANDIDATE, NODE_EV_START, NULL, NODE_FENCED, "FENCE_DATABASE" },
    { NODE_CANDIDATE, NODE_EV_START, was_primary, NODE_FENCED, "WRITES_CLOSE FENCE_DATABASE" },
    { NODE_CANDIDATE, NODE_EV_START, later_primary, NODE_FENCED, "FENCE_DATABASE" },
    { NODE_CANDIDATE, NODE_EV_LOST, NULL, NODE_FENCED, "" },
    { NODE_CANDIDATE, NODE_EV_LOST, was_primary, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_CANDIDATE, NODE_EV_HEARD, later_primary, NODE_CANDIDATE, "" },
    { NODE_CANDIDATE, NODE_EV_TICK, NULL, NODE_CANDIDATE, "" },
    { NODE_CANDIDATE, NODE_EV_CAPTURED, NULL, NODE_CANDIDATE, "" }, /* ours is later */
    { NODE_CANDIDATE, NODE_EV_CAPTURED, was_primary, NODE_CANDIDATE, "WRITES_HOLD DEACTIVATE" },
    { NODE_CANDIDATE, NODE_EV_CAPTURED, captured, NODE_FENCED, "" },
    { NODE_CANDIDATE, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING, "ATTACH:3/c-1" },
    { NODE_CANDIDATE, NODE_EV_OPENED, NULL, NODE_CLOSED, "" },
    { NODE_CANDIDATE, NODE_EV_FAILED, NULL, NODE_STANDBY, "" },
    { NODE_CANDIDATE, NODE_EV_FAILED, was_primary, NODE_PRIMARY, "WRITES_OPEN" },
    { NODE_CANDIDATE, NODE_EV_FAILED, was_fenced, NODE_FENCED, "FENCE_DATABASE ALARM+100" },
    { NODE_CANDIDATE, NODE_EV_FAILED, beyond, NODE_FENCED, "FENCE_DATABASE ALARM+100" },
    { NODE_CANDIDATE, NODE_EV_FAILED, beyond_was_primary, NODE_FENCED,
      "FENCE_DATABASE DEACTIVATE ALARM+100" },
    { NODE_CANDIDATE, NODE_EV_ATTACHED, NULL, NODE_CANDIDATE, "" },
    { NODE_CANDIDATE, NODE_EV_FENCED, NULL, NODE_CANDIDATE, "" },
    { NODE_CANDIDATE, NODE_EV_STREAM, NULL, NODE_CANDIDATE, "" },
    { NODE_CANDIDATE, NODE_EV_LAPSED, NULL, NODE_CANDIDATE, "" },
    { NODE_CANDIDATE, NODE_EV_LAPSED, was_primary, NODE_CANDIDATE, "FENCE_DATABASE DEACTIVATE" },

    { NODE_CLOSED, NODE_EV_START, NULL, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_CLOSED, NODE_EV_START, later_primary, NODE_REJOINING, "WRITES_CLOSE ATTACH:2/a-1" },
    { NODE_CLOSED, NODE_EV_LOST, NULL, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_CLOSED, NODE_EV_HEARD, NULL, NODE_CLOSED, "" },
    { NODE_CLOSED, NODE_EV_HEARD, later_promise, NODE_CLOSED, "" },
    { NODE_CLOSED, NODE_EV_HEARD, rows_of_a_later_epoch, NODE_FENCED, DOWN },
    { NODE_CLOSED, NODE_EV_HEARD, later_primary, NODE_FENCED, DOWN },
    { NODE_CLOSED, NODE_EV_TICK, NULL, NODE_CLOSED, "" },
    { NODE_CLOSED, NODE_EV_TICK, challenged_a_moment_ago, NODE_CLOSED, "" },
    { NODE_CLOSED, NODE_EV_TICK, challenged_for_long, NODE_FENCED, DOWN },
    { NODE_CLOSED, NODE_EV_TICK, challenged_for_long_and_overtaken, NODE_FENCED, DOWN },
    { NODE_CLOSED, NODE_EV_CAPTURED, captured, NODE_FENCED, "WRITES_HOLD DEACTIVATE" },
    { NODE_CLOSED, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING,
      "WRITES_HOLD DEACTIVATE ATTACH:3/c-1" },
    { NODE_CLOSED, NODE_EV_ACKED, NULL, NODE_PRIMARY, "WRITES_OPEN" },
    { NODE_CLOSED, NODE_EV_FAILED, NULL, NODE_FENCED, "FENCE_DATABASE DEACTIVATE ALARM+100" },
    { NODE_CLOSED, NODE_EV_FENCED, NULL, NODE_CLOSED, "" },
    { NODE_CLOSED, NODE_EV_STREAM, NULL, NODE_CLOSED, "" },
    { NODE_CLOSED, NODE_EV_LAPSED, NULL, NODE_FENCED, DOWN },
    { NODE_CLOSED, NODE_EV_LAPSED, later_primary, NODE_FENCED, DOWN },

    { NODE_PRIMARY, NODE_EV_START, NULL, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_PRIMARY, NODE_EV_START, later_primary, NODE_REJOINING, "WRITES_CLOSE ATTACH:2/a-1" },
    { NODE_PRIMARY, NODE_EV_LOST, NULL, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_PRIMARY, NODE_EV_HEARD, NULL, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_HEARD, later_promise, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_HEARD, rows_of_a_later_epoch, NODE_FENCED, DOWN },
    { NODE_PRIMARY, NODE_EV_HEARD, later_primary, NODE_FENCED, DOWN },
    { NODE_PRIMARY, NODE_EV_TICK, NULL, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_TICK, challenged_a_moment_ago, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_TICK, challenged_for_long, NODE_PRIMARY, "RENEW" },
    { NODE_PRIMARY, NODE_EV_TICK, given_back, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_TICK, given_back_for_long, NODE_PRIMARY, "RENEW" },
    { NODE_CLOSED, NODE_EV_TICK, given_back_for_long, NODE_CLOSED, "" },
    { NODE_PRIMARY, NODE_EV_TICK, promised_by_the_arbiter, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_TICK, promised_by_the_arbiter_for_long, NODE_PRIMARY, "RENEW" },
    { NODE_PRIMARY, NODE_EV_TICK, promised_by_an_arbiter_that_is_not_heard, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_TICK, promised_by_an_arbiter_that_is_not_told, NODE_PRIMARY, "" },
    { NODE_CLOSED, NODE_EV_TICK, promised_by_the_arbiter_for_long, NODE_CLOSED, "" },
    { NODE_PRIMARY, NODE_EV_CAPTURED, captured, NODE_FENCED, "WRITES_HOLD DEACTIVATE" },
    { NODE_PRIMARY, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING,
      "WRITES_HOLD DEACTIVATE ATTACH:3/c-1" },
    { NODE_PRIMARY, NODE_EV_FREEZE, NULL, NODE_DRAINING, "WRITES_HOLD FREEZE_DATABASE ALARM+500" },
    { NODE_PRIMARY, NODE_EV_THAW, NULL, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_BEGIN, NULL, NODE_CANDIDATE, "WRITES_HOLD" },
    { NODE_PRIMARY, NODE_EV_FAILED, NULL, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_FENCED, NULL, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_STREAM, NULL, NODE_PRIMARY, "" },
    { NODE_PRIMARY, NODE_EV_LAPSED, NULL, NODE_FENCED, DOWN },
    { NODE_PRIMARY, NODE_EV_LAPSED, later_primary, NODE_FENCED, DOWN },
    { NODE_PRIMARY, NODE_EV_LAPSED, confirmed_not_granted, NODE_FENCED, DOWN },

    { NODE_DRAINING, NODE_EV_START, NULL, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_DRAINING, NODE_EV_START, later_primary, NODE_REJOINING, "WRITES_CLOSE ATTACH:2/a-1" },
    { NODE_DRAINING, NODE_EV_LOST, NULL, NODE_FENCED, "WRITES_CLOSE" },
    { NODE_DRAINING, NODE_EV_HEARD, NULL, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_HEARD, rows_of_a_later_epoch, NODE_FENCED, DOWN },
    { NODE_DRAINING, NODE_EV_HEARD, later_primary, NODE_FENCED, DOWN },
    { NODE_DRAINING, NODE_EV_TICK, NULL, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_TICK, frozen_long_enough, NODE_DRAINING, "THAW_DATABASE:1/b-1" },
    { NODE_DRAINING, NODE_EV_CAPTURED, captured, NODE_FENCED, "WRITES_HOLD DEACTIVATE" },
    { NODE_DRAINING, NODE_EV_CAPTURED, captured_by_a_primary, NODE_REJOINING,
      "WRITES_HOLD DEACTIVATE ATTACH:3/c-1" },
    { NODE_DRAINING, NODE_EV_FREEZE, NULL, NODE_DRAINING, "" }, /* for another */
    { NODE_DRAINING, NODE_EV_FREEZE, frozen_for_it, NODE_DRAINING, "FREEZE_DATABASE" },
    { NODE_DRAINING, NODE_EV_FREEZE, freezing_for_it, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_FREEZE, thawing_for_it, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_THAW, NULL, NODE_DRAINING, "THAW_DATABASE:1/b-1" },
    { NODE_DRAINING, NODE_EV_THAW, freezing_for_it, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_THAW, thawing_for_it, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_FROZEN, NULL, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_FROZEN, thaw_wanted, NODE_DRAINING, "THAW_DATABASE:1/b-1" },
    { NODE_DRAINING, NODE_EV_FROZEN, not_ok, NODE_PRIMARY, "WRITES_OPEN" },
    { NODE_DRAINING, NODE_EV_REOPENED, NULL, NODE_PRIMARY, "WRITES_OPEN" },
    { NODE_DRAINING, NODE_EV_REOPENED, not_ok, NODE_DRAINING, "ALARM+100" },
    { NODE_DRAINING, NODE_EV_FENCED, NULL, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_STREAM, NULL, NODE_DRAINING, "" },
    { NODE_DRAINING, NODE_EV_LAPSED, NULL, NODE_FENCED, DOWN },
    { NODE_DRAINING, NODE_EV_LAPSED, later_primary, NODE_FENCED, DOWN },
};

static void
test_every_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct node_case *it = &cases[i];
        struct bench bench;
        struct node_effects effects;
        struct err err;
        begin(&bench, it->from, it->on);
        if (it->arrange != NULL)
            it->arrange(&bench);
        assert_int_equal(node_step(&bench.node, &bench.event, &effects, &err), ERR_NONE);
        render(&bench, &effects);
        if (bench.node.state != it->to || strcmp(bench.text, it->effects) != 0)
            fail_msg("case %zu, %s in %s: came to %s with '%s', not to %s with '%s'", i,
                     node_event_name(it->on), node_state_name(it->from),
                     node_state_name(bench.node.state), bench.text, node_state_name(it->to),
                     it->effects);
        assert_true(bench.node.state == it->from || bench.node.since_ms == NOW);
        assert_true(bench.node.reason[0] != '\0');
    }
}

static bool
is_reached(enum node_state from, enum node_event_kind on, enum node_state to)
{
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (cases[i].from == from && cases[i].on == on && cases[i].to == to)
            return true;
    }
    return false;
}

/* S20, S21: The printed table promises no more and no less than the cases reach. */
static void
test_every_row_and_every_target_is_reached(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf table = { 0 };
    node_print_table(&table);
    char *line = table.data;
    for (unsigned from = 0; from < NODE_STATE_COUNT; from++) {
        for (unsigned on = 0; on < NODE_EV_COUNT; on++) {
            char *end = strchr(line, '\n');
            *end = '\0';
            const char *targets = strstr(line, "-> ");
            for (unsigned to = 0; to < NODE_STATE_COUNT; to++) {
                const char *name = node_state_name((enum node_state)to);
                bool promised = targets != NULL && strstr(targets, name) != NULL;
                if (promised != is_reached((enum node_state)from, (enum node_event_kind)on,
                                           (enum node_state)to))
                    fail_msg("'%s': %s is %sreached by a case", line, name, promised ? "not " : "");
            }
            line = end + 1;
        }
    }
}

static void
test_what_is_refused_changes_nothing(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (unsigned from = 0; from < NODE_STATE_COUNT; from++) {
        for (unsigned on = 0; on < NODE_EV_COUNT; on++) {
            struct bench bench;
            struct node_effects effects = { .count = 7 };
            struct err err;
            bool known = false;
            for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
                known |= cases[i].from == from && cases[i].on == on;
            if (known)
                continue;
            begin(&bench, (enum node_state)from, (enum node_event_kind)on);
            struct node before = bench.node;
            assert_int_equal(node_step(&bench.node, &bench.event, &effects, &err), ERR_CONFLICT);
            assert_int_equal(effects.count, 0);
            assert_string_equal(err.slug, "node_no_rule");
            assert_memory_equal(&before, &bench.node, sizeof before);
            refused++;
        }
    }
    assert_true(refused > 0);
}

static void
test_a_promise_never_falls(void **state)
{
    (void)state;
    struct bench bench;
    struct node_effects effects;
    struct epoch low = epoch_make(2, "a-1");
    struct epoch high = epoch_make(5, "c-1");
    begin(&bench, NODE_STANDBY, NODE_EV_CAPTURED);
    bench.event.ok = false;
    bench.event.epoch = high;
    assert_int_equal(node_step(&bench.node, &bench.event, &effects, NULL), ERR_NONE);
    bench.event.epoch = low;
    assert_int_equal(node_step(&bench.node, &bench.event, &effects, NULL), ERR_NONE);
    node_note(&bench.node, NULL, &low);
    struct position older = { .epoch = low, .revision = 9 };
    node_note(&bench.node, &older, NULL);
    assert_true(epoch_equal(&bench.node.own.promised, &high));
    assert_int_equal(bench.node.own.applied.revision, 9);
    struct position newer = { .epoch = epoch_make(6, "a-1"), .revision = 10 };
    node_note(&bench.node, &newer, NULL);
    assert_true(epoch_equal(&bench.node.own.promised, &newer.epoch));
}

static void
test_only_a_schema_that_is_none_newer_is_followed(void **state)
{
    (void)state;
    struct bench bench;
    struct node_effects effects;
    begin(&bench, NODE_STANDBY, NODE_EV_HEARD);
    assert_true(node_may_follow(&bench.node, "c-1")); /* not heard of */
    newer_schema(&bench);
    assert_int_equal(node_step(&bench.node, &bench.event, &effects, NULL), ERR_NONE);
    assert_false(node_may_follow(&bench.node, "c-1"));
    assert_string_equal(bench.node.reason, "c-1, primary of epoch 4/c-1, has schema 12, this node "
                                           "has 11: upgrade Baton on this node");
    bench.node.own.schema = 12;
    assert_true(node_may_follow(&bench.node, "c-1"));
    bench.event.kind = NODE_EV_TICK;
    assert_int_equal(node_step(&bench.node, &bench.event, &effects, NULL), ERR_NONE);
    assert_int_equal(bench.node.state, NODE_REJOINING);
}

/* What a promotion asks of the old primary may come when that one is primary again: found by the
 * simulator, which then had a primary that might never act. */
static void
test_who_is_primary_of_a_later_epoch_is_not_succeeded(void **state)
{
    static const enum node_state holders[] = { NODE_CLOSED, NODE_PRIMARY, NODE_DRAINING };
    (void)state;
    struct bench bench;
    struct epoch earlier = epoch_make(1, "a-1");
    struct epoch later = epoch_make(1, "c-1");
    for (size_t i = 0; i < ARRAY_COUNT(holders); i++) {
        begin(&bench, holders[i], NODE_EV_TICK);
        assert_false(node_is_succeeded(&bench.node, &earlier));
        assert_false(node_is_succeeded(&bench.node, &bench.node.own.epoch));
        assert_true(node_is_succeeded(&bench.node, &later));
    }
    begin(&bench, NODE_CANDIDATE, NODE_EV_TICK);
    assert_true(node_is_succeeded(&bench.node, &earlier));
    bench.node.before = NODE_PRIMARY; /* a renewal: it still holds what it had */
    assert_false(node_is_succeeded(&bench.node, &earlier));
    begin(&bench, NODE_FENCED, NODE_EV_TICK);
    assert_true(node_is_succeeded(&bench.node, &earlier));
    begin(&bench, NODE_STANDBY, NODE_EV_TICK);
    assert_true(node_is_succeeded(&bench.node, &earlier));
}

static void
test_members_that_stay_keep_what_was_heard(void **state)
{
    static const char *const others[] = { "c-1", "d-1" };
    (void)state;
    struct bench bench;
    begin(&bench, NODE_FENCED, NODE_EV_TICK);
    confirmed(&bench);
    node_set_peers(&bench.node, others, 2);
    assert_int_equal(bench.node.peer_count, 2);
    assert_string_equal(bench.node.peers[0].name, "c-1");
    assert_true(bench.node.peers[0].heard);
    assert_false(bench.node.peers[1].heard);
}

static void
test_names_are_read_back(void **state)
{
    (void)state;
    enum node_state found;
    for (unsigned i = 0; i < NODE_STATE_COUNT; i++) {
        assert_true(node_state_parse(node_state_name((enum node_state)i), &found));
        assert_int_equal(found, i);
    }
    assert_false(node_state_parse("primary", &found));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case),
        cmocka_unit_test(test_every_row_and_every_target_is_reached),
        cmocka_unit_test(test_what_is_refused_changes_nothing),
        cmocka_unit_test(test_a_promise_never_falls),
        cmocka_unit_test(test_only_a_schema_that_is_none_newer_is_followed),
        cmocka_unit_test(test_who_is_primary_of_a_later_epoch_is_not_succeeded),
        cmocka_unit_test(test_members_that_stay_keep_what_was_heard),
        cmocka_unit_test(test_names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
