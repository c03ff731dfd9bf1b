/*
 * arbiter_asking.h -- for tests: one call to an arbiter of arbiter_world.h, and what must come of
 * it.
 */
#pragma once

#include <inttypes.h>

#include "tests/unit/arbiter_world.h"

struct asked {
    bool done;
    struct arbiter_reply reply;
};

static inline void
on_reply(void *data, const struct arbiter_reply *reply)
{
    struct asked *asked = data;
    assert_false(asked->done);
    asked->done = true;
    asked->reply = *reply;
}

static inline struct arbiter *
open_with(struct world *world, const struct arbiter_config *config,
          const struct world_identity *identity, const char *cluster)
{
    struct err err = { 0 };
    struct arbiter *arbiter = NULL;
    struct arbiter_options options = { .loop = world->loop,
                                       .config = config,
                                       .cluster_id = cluster,
                                       .node = "east-1",
                                       .cert = identity->cert,
                                       .key = identity->key };
    pg_fixture_must(arbiter_open(&options, &arbiter, &err), &err, "open");
    return arbiter;
}

static inline struct arbiter *
open_at(struct world *world, const char *hosts[], const uint16_t ports[], size_t count,
        const struct world_identity *identity)
{
    struct arbiter_config config;
    world->config(world, hosts, ports, count, &config);
    struct arbiter *arbiter = open_with(world, &config, identity, WORLD_CLUSTER);
    arbiter_config_done(&config);
    return arbiter;
}

static inline struct arbiter *
open_port(struct world *world, uint16_t port, const struct world_identity *identity)
{
    const char *hosts[] = { "127.0.0.1" };
    return open_at(world, hosts, &port, 1, identity);
}

static inline struct arbiter_reply
ask(struct world *world, struct arbiter *arbiter, const struct arbiter_ask *what)
{
    struct asked asked = { 0 };
    uint64_t before = clock_now_ms();
    (void)arbiter_start(arbiter, what, on_reply, &asked);
    assert_false(asked.done); /* never from inside */
    assert_true(pg_fixture_until(world->loop, &asked.done, what->deadline_ms + WORLD_PATIENCE_MS));
    const struct arbiter_reply *reply = &asked.reply;
    assert_true(reply->sent_ms >= before && reply->answered_ms >= reply->sent_ms);
    assert_int_equal(reply->op, what->op);
    if (reply->result == ARBITER_UNCLEAR) {
        assert_int_not_equal(reply->err.code, ERR_NONE);
        assert_true(reply->err.text[0] != '\0');
    }
    if (reply->result == ARBITER_GRANTED) {
        assert_true(reply->has_record && epoch_equal(&reply->epoch, &what->epoch));
        assert_int_equal(reply->lease_ms, what->lease_ms);
        assert_false(reply->released);
    }
    return *reply;
}

static inline struct arbiter_ask
call_of(enum arbiter_op op, uint64_t number, const char *holder)
{
    return (struct arbiter_ask){ .op = op,
                                 .epoch = epoch_make(number, holder),
                                 .lease_ms = WORLD_LEASE_MS,
                                 .deadline_ms = WORLD_DEADLINE_MS };
}

/* One call, and what must come of it. */
static inline struct arbiter_reply
expect(struct world *world, struct arbiter *arbiter, enum arbiter_op op, uint64_t number,
       const char *holder, enum arbiter_result result)
{
    struct arbiter_ask what = call_of(op, number, holder);
    struct arbiter_reply reply = ask(world, arbiter, &what);
    if (reply.result != result)
        fail_msg("%s: %s %" PRIu64 "/%s: %s, not %s (%s)", world->name, arbiter_op_name(op), number,
                 holder, arbiter_result_name(reply.result), arbiter_result_name(result),
                 reply.err.text);
    return reply;
}

static inline struct arbiter_reply
expect_known(struct world *world, struct arbiter *arbiter, enum arbiter_op op, uint64_t number,
             const char *holder, uint64_t known, const char *known_holder,
             enum arbiter_result result)
{
    struct arbiter_ask what = call_of(op, number, holder);
    what.known = epoch_make(known, known_holder);
    struct arbiter_reply reply = ask(world, arbiter, &what);
    if (reply.result != result)
        fail_msg("%s: %s: %s, not %s (%s)", world->name, arbiter_op_name(op),
                 arbiter_result_name(reply.result), arbiter_result_name(result), reply.err.text);
    return reply;
}

static inline void
adopt(struct world *world, struct arbiter *arbiter, uint64_t number, const char *holder)
{
    struct arbiter_ask what = call_of(ARBITER_OP_CREATE, number, holder);
    what.adopt = true;
    struct arbiter_reply reply = ask(world, arbiter, &what);
    assert_int_equal(reply.result, ARBITER_DONE);
}

static inline void
record_is(const struct arbiter_reply *reply, uint64_t number, const char *holder, bool released)
{
    struct epoch epoch = epoch_make(number, holder);
    assert_true(reply->has_record);
    assert_true(epoch_equal(&reply->epoch, &epoch));
    assert_int_equal(reply->released, released);
}

/* What most cases begin with: a record, and two nodes that ask. */
struct pair {
    struct world *world;
    struct arbiter *east;
    struct arbiter *west;
};

static inline struct pair
pair_open(struct world *world)
{
    struct pair pair = { .world = world };
    world->wipe(world);
    pair.east = open_port(world, world->port, &world->east);
    pair.west = open_port(world, world->port, &world->west);
    struct arbiter_reply reply =
        expect(world, pair.east, ARBITER_OP_CREATE, 3, "east-1", ARBITER_DONE);
    record_is(&reply, 3, "east-1", false);
    return pair;
}

static inline void
pair_close(struct pair *pair)
{
    arbiter_close(pair->east);
    arbiter_close(pair->west);
}
