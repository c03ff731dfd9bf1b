/*
 * When a node's schema may be migrated: secondaries at once, the last primary after the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/base/check.h"
#include "controller/base/str.h"
#include "sites/upgrade.h"

#define NOW 10000

/* b-1 of {a-1, b-1, c-1}, its own schema 10; it held epoch 2. */
struct bench {
    struct node peers;
    struct node_facts own;
};

static struct node_facts
make_facts(const char *name, uint64_t epoch, const char *promised, unsigned schema)
{
    struct node_facts facts = { .state = NODE_FENCED,
                                .epoch = epoch_make(epoch, name),
                                .promised = epoch_make(2, promised),
                                .applied = { .epoch = epoch_make(2, "b-1"), .revision = 5 },
                                .schema = schema };
    assert_true(str_copy(facts.name, sizeof facts.name, name));
    return facts;
}

static void
begin(struct bench *bench)
{
    static const struct node_limits limits = { .fresh_ms = 1000 };
    static const char *const peers[] = { "a-1", "c-1" };
    node_init(&bench->peers, "b-1", &limits);
    node_set_peers(&bench->peers, peers, 2);
    bench->own = make_facts("b-1", 2, "b-1", 10);
}

static void
hear(struct bench *bench, size_t at, unsigned schema, uint64_t heard_ms)
{
    struct node_peer *peer = &bench->peers.peers[at];
    peer->heard = true;
    peer->heard_ms = heard_ms;
    peer->facts = make_facts(peer->name, 0, "b-1", schema);
}

static void
check(const struct bench *bench, bool may, const char *text)
{
    char said[UPGRADE_TEXT_SIZE];
    assert_int_equal(upgrade_may_begin(&bench->peers, &bench->own, 11, NOW, said), may);
    assert_string_equal(said, text);
}

static void
a_secondary_begins_at_once(void **state)
{
    struct bench bench;
    (void)state;
    begin(&bench);
    bench.own = make_facts("b-1", 0, "a-1", 10); /* it never held one */
    check(&bench, true, "");
    begin(&bench);
    bench.own.promised = epoch_make(3, "a-1"); /* it gave its own away */
    check(&bench, true, "");
    begin(&bench);
    bench.own.applied.epoch = epoch_make(3, "a-1"); /* rows of a later one are here */
    check(&bench, true, "");
}

static void
the_last_primary_waits_for_the_others(void **state)
{
    struct bench bench;
    (void)state;
    begin(&bench);
    check(&bench, false,
          "b-1 was primary last, so the others get schema 11 before it: a-1 does not answer, c-1 "
          "does not answer");
    hear(&bench, 0, 10, NOW - 10);
    hear(&bench, 1, 11, NOW - 1001); /* too long ago */
    check(&bench, false,
          "b-1 was primary last, so the others get schema 11 before it: a-1 has 10, c-1 does not "
          "answer");
    hear(&bench, 0, 0, NOW - 10); /* its daemon answers, its database not yet */
    hear(&bench, 1, 11, NOW - 1000);
    check(&bench, false,
          "b-1 was primary last, so the others get schema 11 before it: a-1 does not answer");
    hear(&bench, 0, 12, NOW);
    check(&bench, true, "");
}

static void
alone_or_overtaken_it_begins(void **state)
{
    struct bench bench;
    (void)state;
    begin(&bench);
    node_set_peers(&bench.peers, NULL, 0);
    check(&bench, true, "");
    begin(&bench);
    hear(&bench, 0, 10, NOW);
    bench.peers.peers[0].facts.epoch = epoch_make(3, "a-1"); /* it is primary */
    check(&bench, true, "");
    begin(&bench);
    hear(&bench, 1, 10, NOW);
    bench.peers.peers[1].facts.applied.epoch = epoch_make(3, "a-1"); /* it follows one */
    check(&bench, true, "");
    begin(&bench);
    hear(&bench, 1, 10, NOW);
    bench.peers.peers[1].facts.promised = epoch_make(3, "a-1"); /* which was never opened */
    check(&bench, false,
          "b-1 was primary last, so the others get schema 11 before it: a-1 does not answer, c-1 "
          "has 10");
}

static void
a_long_list_is_cut(void **state)
{
    static const char *names[NODE_MEMBERS_MAX];
    static char texts[NODE_MEMBERS_MAX][NODE_NAME_SIZE];
    struct bench bench;
    char said[UPGRADE_TEXT_SIZE];
    (void)state;
    begin(&bench);
    for (size_t i = 0; i < NODE_MEMBERS_MAX; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "a-node-with-a-name-that-is-long-%zu", i);
        names[i] = texts[i];
    }
    node_set_peers(&bench.peers, names, NODE_MEMBERS_MAX);
    assert_false(upgrade_may_begin(&bench.peers, &bench.own, 11, NOW, said));
    assert_true(strlen(said) < sizeof said);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secondary_begins_at_once),
        cmocka_unit_test(the_last_primary_waits_for_the_others),
        cmocka_unit_test(alone_or_overtaken_it_begins),
        cmocka_unit_test(a_long_list_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
