/* Who grants the lease: a real witness and a real etcd, behind one table of cases. */
#include "controller/arbiter/arbiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "controller/arbiter/arbiter_inner.h"
#include "tests/unit/arbiter_asking.h"

#define SHORT_MS     300  /* for calls that nobody answers */
#define SHORT_MS_MAX 5000 /* that such a call may take on a busy machine */
#define RACERS       4

static struct world *worlds[2];

/* ---- the cases ---- */

static void
test_grant(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_reply reply;
    reply = expect(world, pair.east, ARBITER_OP_READ, 0, "", ARBITER_DONE);
    record_is(&reply, 3, "east-1", false); /* held from the beginning: no free seat */
    assert_true(reply.remaining_ms > 0 && reply.remaining_ms <= WORLD_LEASE_MS + 999);
    reply = expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    assert_true(reply.clean);
    for (unsigned i = 0; i < 3; i++)
        reply = expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    assert_true(reply.clean);
    assert_true(reply.remaining_ms > 0);
    pair_close(&pair);
}

static void
test_held(struct world *world)
{
    struct pair pair = pair_open(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    struct arbiter_reply reply =
        expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_HELD);
    record_is(&reply, 3, "east-1", false);
    assert_true(reply.remaining_ms > 0 && reply.remaining_ms <= WORLD_LEASE_MS + 999);
    /* also by a later epoch of its own: it gives its lease back first */
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 4, "east-1", ARBITER_HELD);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

static void
test_stale(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_reply reply;
    (void)expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_DONE);
    (void)expect(world, pair.west, ARBITER_OP_ACQUIRE, 3, "west-1", ARBITER_GRANTED);
    /* the same number and an earlier holder: an epoch is a pair */
    reply = expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_STALE);
    record_is(&reply, 3, "west-1", false);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_STALE);
    (void)expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_STALE);
    world->expire(world); /* and stays so when the seat is free */
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 2, "east-1", ARBITER_STALE);
    reply = expect(world, pair.west, ARBITER_OP_READ, 0, "", ARBITER_DONE);
    record_is(&reply, 3, "west-1", false);
    assert_int_equal(reply.remaining_ms, 0);
    pair_close(&pair);
}

static void
test_expired(struct world *world)
{
    struct pair pair = pair_open(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    world->expire(world);
    struct arbiter_reply reply =
        expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_EXPIRED);
    record_is(&reply, 3, "east-1", false);
    assert_int_equal(reply.remaining_ms, 0);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 4, "east-1", ARBITER_EXPIRED); /* never had */
    reply = expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_GRANTED);
    assert_false(reply.clean); /* nobody has said that he stopped */
    reply = expect(world, pair.west, ARBITER_OP_RENEW, 4, "west-1", ARBITER_GRANTED);
    assert_false(reply.clean);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_STALE);
    pair_close(&pair);
}

/* In its own time, and not a moment before. */
static void
test_runs_out(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_ask held = call_of(ARBITER_OP_ACQUIRE, 3, "east-1");
    held.lease_ms = 1000;
    struct arbiter_reply last = ask(world, pair.east, &held);
    assert_int_equal(last.result, ARBITER_GRANTED);
    struct arbiter_reply reply;
    unsigned times = 0;
    do {
        struct arbiter_ask wanted = call_of(ARBITER_OP_ACQUIRE, 4, "west-1");
        reply = ask(world, pair.west, &wanted);
        times++;
        assert_true(clock_now_ms() - last.sent_ms < WORLD_PATIENCE_MS);
    } while (reply.result == ARBITER_HELD);
    assert_int_equal(reply.result, ARBITER_GRANTED);
    assert_true(reply.answered_ms - last.sent_ms >= 1000); /* A2 */
    assert_true(times > 1);
    pair_close(&pair);
}

static void
test_release(struct world *world)
{
    struct pair pair = pair_open(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    (void)expect(world, pair.east, ARBITER_OP_RELEASE, 4, "east-1",
                 ARBITER_EXPIRED); /* never had */
    struct arbiter_reply reply =
        expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_DONE);
    record_is(&reply, 3, "east-1", true);
    assert_int_equal(reply.remaining_ms, 0);
    reply = expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_DONE); /* once more */
    record_is(&reply, 3, "east-1", true);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_EXPIRED);
    reply = expect(world, pair.west, ARBITER_OP_ACQUIRE, 7, "west-1", ARBITER_GRANTED);
    assert_true(reply.clean);
    (void)expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_STALE);
    (void)expect(world, pair.west, ARBITER_OP_RENEW, 7, "west-1", ARBITER_GRANTED);
    pair_close(&pair);
}

/* The holder goes on under its own epoch as long as nobody took another; restarted, too. */
static void
test_same_holder(struct world *world)
{
    struct pair pair = pair_open(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    world->expire(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    arbiter_close(pair.east);
    pair.east = open_port(world, world->port, &world->east);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);

    /* who took it from one that had not stopped has to wait, after a restart as before */
    world->expire(world);
    (void)expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_GRANTED);
    arbiter_close(pair.west);
    pair.west = open_port(world, world->port, &world->west);
    struct arbiter_reply reply =
        expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_GRANTED);
    assert_false(reply.clean);
    pair_close(&pair);
}

/* A lease of another length is in force at once, both ways. */
static void
test_length(struct world *world)
{
    struct pair pair = pair_open(world);
    static const uint32_t lengths[] = { 60000, 60000, 1500, WORLD_LEASE_MS };
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct arbiter_ask what = call_of(ARBITER_OP_RENEW, 3, "east-1");
        what.lease_ms = lengths[i];
        struct arbiter_reply reply = ask(world, pair.east, &what);
        assert_int_equal(reply.result, ARBITER_GRANTED);
        reply = expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_HELD);
        assert_int_equal(reply.lease_ms, lengths[i]);
        assert_true(reply.remaining_ms <= lengths[i] + 999);
        assert_true(lengths[i] < 60000 || reply.remaining_ms > WORLD_LEASE_MS);
    }
    pair_close(&pair);
}

static void
test_empty(struct world *world)
{
    world->wipe(world);
    struct arbiter *east = open_port(world, world->port, &world->east);
    struct arbiter_reply reply;
    (void)expect(world, east, ARBITER_OP_READ, 0, "", ARBITER_EMPTY);
    (void)expect(world, east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_EMPTY);
    (void)expect(world, east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_EMPTY);
    reply = expect(world, east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_EMPTY);
    assert_false(reply.has_record);
    (void)expect(world, east, ARBITER_OP_CREATE, 3, "east-1", ARBITER_DONE);
    reply = expect(world, east, ARBITER_OP_CREATE, 9, "east-1", ARBITER_EXISTS);
    record_is(&reply, 3, "east-1", false);
    (void)expect(world, east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);

    /* adopted: the later of the two, never the earlier */
    adopt(world, east, 2, "west-1");
    reply = expect(world, east, ARBITER_OP_READ, 0, "", ARBITER_DONE);
    record_is(&reply, 3, "east-1", false);
    adopt(world, east, 5, "west-1");
    reply = expect(world, east, ARBITER_OP_ACQUIRE, 6, "east-1", ARBITER_HELD);
    record_is(&reply, 5, "west-1", false);

    world->wipe(world);
    (void)expect(world, east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_EMPTY);
    arbiter_close(east);
}

/* A backup is put back, in which an old primary still has its lease. */
static void
test_restored(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_reply reply;
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    world->backup(world);
    (void)expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_DONE);
    (void)expect(world, pair.west, ARBITER_OP_ACQUIRE, 7, "west-1", ARBITER_GRANTED);
    world->restore(world);

    reply = expect_known(world, pair.west, ARBITER_OP_RENEW, 7, "west-1", 7, "west-1",
                         ARBITER_RESTORED);
    record_is(&reply, 3, "east-1", false);
    /* from now on nobody gets anything, not even who knows of nothing later */
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_RESTORED);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_RESTORED);
    world->expire(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 9, "east-1", ARBITER_RESTORED);
    (void)expect_known(world, pair.west, ARBITER_OP_READ, 0, "", 7, "west-1", ARBITER_RESTORED);
    (void)expect(world, pair.east, ARBITER_OP_READ, 0, "", ARBITER_RESTORED);
    (void)expect(world, pair.east, ARBITER_OP_CREATE, 9, "east-1", ARBITER_EXISTS);

    adopt(world, pair.west, 7, "west-1");
    (void)expect_known(world, pair.west, ARBITER_OP_RENEW, 7, "west-1", 7, "west-1",
                       ARBITER_GRANTED);
    (void)expect_known(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", 3, "east-1",
                       ARBITER_STALE);
    pair_close(&pair);
}

/* The first to notice may be a reader. */
static void
test_restored_read(struct world *world)
{
    struct pair pair = pair_open(world);
    world->expire(world);
    (void)expect_known(world, pair.west, ARBITER_OP_READ, 0, "", 3, "east-1", ARBITER_DONE);
    (void)expect_known(world, pair.west, ARBITER_OP_READ, 0, "", 3, "east-2", ARBITER_RESTORED);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 4, "east-1", ARBITER_RESTORED);
    adopt(world, pair.east, 4, "east-1");
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 4, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

static void
test_restart(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_ask what = call_of(ARBITER_OP_ACQUIRE, 3, "east-1");
    what.lease_ms = 60000;
    struct arbiter_reply reply = ask(world, pair.east, &what);
    assert_int_equal(reply.result, ARBITER_GRANTED);
    world->stop(world);
    what.op = ARBITER_OP_RENEW;
    what.deadline_ms = SHORT_MS_MAX;
    reply = ask(world, pair.east, &what);
    assert_int_equal(reply.result, ARBITER_UNCLEAR);
    world->start(world);
    what.deadline_ms = WORLD_DEADLINE_MS;
    reply = ask(world, pair.east, &what); /* at once: no back-off stands between */
    assert_int_equal(reply.result, ARBITER_GRANTED);
    pair_close(&pair);
}

static void
test_clock_back(struct world *world)
{
    if (world->put_clock == NULL)
        return;
    struct pair pair = pair_open(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    world->put_clock(world, -800); /* as a step of NTP */
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    world->put_clock(world, -30000);
    struct arbiter_reply reply =
        expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_UNCLEAR);
    assert_string_equal(reply.err.slug, "arbiter_clock");
    (void)expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_UNCLEAR);
    (void)expect(world, pair.west, ARBITER_OP_READ, 0, "", ARBITER_UNCLEAR);
    adopt(world, pair.east, 3, "east-1");
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    world->put_clock(world, -30000);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_UNCLEAR);
    world->put_clock(world, 30000); /* or it comes back by itself */
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

/* ---- grants, notes and promises ---- */

static struct arbiter_reply
expect_grant(struct world *world, struct arbiter *arbiter, enum arbiter_op op, uint64_t grant,
             enum arbiter_result result)
{
    struct arbiter_ask what = call_of(op, 3, "east-1");
    what.grant = grant;
    struct arbiter_reply reply = ask(world, arbiter, &what);
    if (reply.result != result)
        fail_msg("%s: %s of grant %" PRIu64 ": %s", world->name, arbiter_op_name(op), grant,
                 arbiter_result_name(reply.result));
    return reply;
}

/* A6: the same epoch was acquired again, and what belongs to the time before comes late. */
static void
test_late(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_reply reply;
    uint64_t first = expect_grant(world, pair.east, ARBITER_OP_ACQUIRE, 0, ARBITER_GRANTED).grant;
    assert_true(first > 0);
    assert_int_equal(expect_grant(world, pair.east, ARBITER_OP_RENEW, first, ARBITER_GRANTED).grant,
                     first);
    uint64_t second = expect_grant(world, pair.east, ARBITER_OP_ACQUIRE, 0, ARBITER_GRANTED).grant;
    assert_int_equal(second, first + 1);
    (void)expect_grant(world, pair.east, ARBITER_OP_RENEW, first, ARBITER_EXPIRED);
    reply = expect_grant(world, pair.east, ARBITER_OP_RELEASE, first, ARBITER_EXPIRED);
    record_is(&reply, 3, "east-1", false);
    (void)expect_grant(world, pair.east, ARBITER_OP_RENEW, second, ARBITER_GRANTED);
    (void)expect_grant(world, pair.east, ARBITER_OP_RENEW, 0, ARBITER_GRANTED);
    adopt(world, pair.west, 3, "east-1"); /* a person's word is a grant as well */
    (void)expect_grant(world, pair.east, ARBITER_OP_RENEW, second, ARBITER_EXPIRED);
    uint64_t third = expect_grant(world, pair.east, ARBITER_OP_READ, 0, ARBITER_DONE).grant;
    (void)expect_grant(world, pair.east, ARBITER_OP_RELEASE, third, ARBITER_DONE);
    assert_int_equal(expect_grant(world, pair.east, ARBITER_OP_READ, 0, ARBITER_DONE).grant, third);
    reply = expect_grant(world, pair.east, ARBITER_OP_ACQUIRE, 0, ARBITER_EXPIRED); /* A8 */
    assert_true(reply.released);
    assert_int_equal(reply.grant, third);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 5, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

static struct arbiter_reply
expect_note(struct world *world, struct arbiter *arbiter, uint64_t epoch, uint64_t number,
            const char *note, enum arbiter_result result)
{
    bool west = epoch % 2 == 0; /* as the cases have it */
    struct arbiter_ask what = call_of(ARBITER_OP_NOTE, epoch, west ? "west-1" : "east-1");
    what.number = number;
    what.note = note;
    struct arbiter_reply reply = ask(world, arbiter, &what);
    if (reply.result != result)
        fail_msg("%s: note %" PRIu64 " '%s': %s (%s)", world->name, number, note,
                 arbiter_result_name(reply.result), reply.err.text);
    return reply;
}

static void
note_is(struct world *world, struct arbiter *arbiter, uint64_t number, const char *note)
{
    struct arbiter_reply reply = expect(world, arbiter, ARBITER_OP_READ, 0, "", ARBITER_DONE);
    assert_int_equal(reply.number, number);
    assert_string_equal(reply.note, note);
}

/* A5: of the holder, while it has the lease, and never an older one in the place of a newer. */
static void
test_note(struct world *world)
{
    struct pair pair = pair_open(world);
    char longest[ARBITER_NOTE_SIZE] = "";
    memset(longest, '"', sizeof longest - 1);
    note_is(world, pair.east, 0, "");
    (void)expect_note(world, pair.east, 3, 2, "{\"k\":0,\"why\":\"\\u00fc\"}", ARBITER_DONE);
    (void)expect_note(world, pair.east, 3, 2, "another", ARBITER_EXPIRED);
    (void)expect_note(world, pair.east, 3, 1, "", ARBITER_EXPIRED);
    (void)expect_note(world, pair.east, 5, 3, "never had", ARBITER_EXPIRED);
    note_is(world, pair.west, 2, "{\"k\":0,\"why\":\"\\u00fc\"}");
    (void)expect_note(world, pair.east, 3, 4, longest, ARBITER_DONE);
    (void)expect_note(world, pair.east, 3, 4, longest, ARBITER_DONE); /* its answer was lost */
    struct arbiter_ask what = call_of(ARBITER_OP_NOTE, 3, "east-1");
    what.grant =
        expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED).grant - 1;
    what.number = 5;
    struct arbiter_reply reply = ask(world, pair.east, &what);
    assert_int_equal(reply.result, ARBITER_EXPIRED);

    /* it outlives its holder's lease, and who comes next sees it in every answer */
    world->expire(world);
    (void)expect_note(world, pair.east, 3, 5, "too late", ARBITER_EXPIRED);
    reply = expect(world, pair.west, ARBITER_OP_ACQUIRE, 4, "west-1", ARBITER_GRANTED);
    assert_string_equal(reply.note, longest);
    reply = expect(world, pair.west, ARBITER_OP_RENEW, 4, "west-1", ARBITER_GRANTED);
    assert_string_equal(reply.note, longest);
    (void)expect_note(world, pair.east, 3, 5, "of before", ARBITER_STALE);
    (void)expect_note(world, pair.west, 4, 3, "", ARBITER_EXPIRED);
    (void)expect_note(world, pair.west, 4, 5, "", ARBITER_DONE);
    (void)expect(world, pair.west, ARBITER_OP_RELEASE, 4, "west-1", ARBITER_DONE);
    (void)expect_note(world, pair.west, 4, 6, "released", ARBITER_EXPIRED);
    note_is(world, pair.east, 5, "");
    pair_close(&pair);
}

/* A7: said by the holder, while it has the lease; an older list takes nothing back. */
static void
test_bar(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_ask what = call_of(ARBITER_OP_BAR, 3, "east-1");
    struct arbiter_ask theirs = call_of(ARBITER_OP_BAR, 4, "west-1");
    what.note = "{\"west-1\":2}";
    theirs.note = "{\"east-1\":2}";
    assert_int_equal(ask(world, pair.west, &theirs).result, ARBITER_EXPIRED);
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_DONE);
    what.note = "{}";
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_DONE);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    if (world->put_clock != NULL) { /* an etcd keeps no such list */
        struct arbiter_reply reply =
            expect(world, pair.west, ARBITER_OP_READ, 0, "", ARBITER_UNCLEAR);
        assert_string_equal(reply.err.slug, "arbiter_denied");
        assert_non_null(strstr(reply.err.text, "west-1, was removed"));
        world_sql(world, "truncate witness.barred");
    }
    world->expire(world);
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_EXPIRED);
    pair_close(&pair);
}

/* By a person's word nothing holds of before but the later note: of the record, or as brought. */
static void
test_note_created(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_ask what = call_of(ARBITER_OP_CREATE, 3, "east-1");
    what.number = 7;
    what.note = "brought";
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_EXISTS);
    note_is(world, pair.east, 0, "");
    world->wipe(world);
    (void)expect_note(world, pair.east, 3, 8, "", ARBITER_EMPTY);
    (void)expect(world, pair.west, ARBITER_OP_PROMISE, 4, "west-1", ARBITER_EMPTY);
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_DONE);
    note_is(world, pair.west, 7, "brought");
    (void)expect(world, pair.west, ARBITER_OP_PROMISE, 4, "west-1", ARBITER_DONE);
    what.adopt = true; /* A5 */
    what.number = 6;
    what.note = "earlier";
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_DONE);
    note_is(world, pair.west, 7, "brought");
    what.number = 7;
    what.note = "the same number";
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_DONE);
    adopt(world, pair.east, 3, "east-1");
    note_is(world, pair.west, 7, "brought");
    (void)expect_note(world, pair.east, 3, 7, "again", ARBITER_EXPIRED);
    (void)expect_note(world, pair.east, 3, 8, "again", ARBITER_DONE);
    what.number = 9;
    what.note = "";
    assert_int_equal(ask(world, pair.east, &what).result, ARBITER_DONE);
    note_is(world, pair.west, 9, "");
    pair_close(&pair);
}

/* A5: once a later epoch is promised, its candidate has heard the last word of the one before. */
static void
test_promise(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_reply reply;
    (void)expect_note(world, pair.east, 3, 1, "k=0", ARBITER_DONE);
    (void)expect(world, pair.east, ARBITER_OP_PROMISE, 3, "east-1", ARBITER_STALE);
    reply = expect(world, pair.west, ARBITER_OP_PROMISE, 6, "west-1", ARBITER_DONE);
    record_is(&reply, 3, "east-1", false);
    assert_string_equal(reply.note, "k=0");
    assert_true(reply.remaining_ms > 0);
    (void)expect(world, pair.west, ARBITER_OP_PROMISE, 6, "west-1", ARBITER_DONE);
    (void)expect(world, pair.west, ARBITER_OP_PROMISE, 4, "west-1", ARBITER_STALE);
    reply = expect_note(world, pair.east, 3, 2, "k=1", ARBITER_STALE);
    assert_true(reply.promised.number == 6 && strcmp(reply.promised.holder, "west-1") == 0);
    note_is(world, pair.west, 1, "k=0");
    /* the lease is another matter */
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    /* a later epoch of its own may say more */
    (void)expect(world, pair.east, ARBITER_OP_PROMISE, 7, "east-1", ARBITER_DONE);
    (void)expect(world, pair.east, ARBITER_OP_RELEASE, 3, "east-1", ARBITER_DONE);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 7, "east-1", ARBITER_GRANTED);
    (void)expect_note(world, pair.east, 7, 2, "k=1", ARBITER_DONE);
    (void)expect(world, pair.west, ARBITER_OP_PROMISE, 6, "west-1", ARBITER_STALE);
    /* also when nobody has the lease */
    world->expire(world);
    (void)expect(world, pair.west, ARBITER_OP_PROMISE, 8, "west-1", ARBITER_DONE);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 7, "east-1", ARBITER_GRANTED);
    (void)expect_note(world, pair.east, 7, 3, "", ARBITER_STALE);
    (void)expect_known(world, pair.west, ARBITER_OP_PROMISE, 8, "west-1", 9, "west-1",
                       ARBITER_RESTORED);
    pair_close(&pair);
}

/* ---- what does not answer, or answers nonsense ---- */

static uint64_t
expect_unclear(struct world *world, struct arbiter *arbiter, uint32_t deadline_ms)
{
    struct arbiter_ask what = call_of(ARBITER_OP_RENEW, 3, "east-1");
    what.deadline_ms = deadline_ms;
    struct arbiter_reply reply = ask(world, arbiter, &what);
    if (reply.result != ARBITER_UNCLEAR)
        fail_msg("%s: %s", world->name, arbiter_result_name(reply.result));
    assert_false(reply.has_record);
    return reply.answered_ms - reply.sent_ms;
}

static void
test_hangs(struct world *world)
{
    struct pair pair = pair_open(world);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    world->hang(world, true);
    uint64_t took = expect_unclear(world, pair.east, SHORT_MS);
    assert_true(took >= SHORT_MS && took < SHORT_MS_MAX);
    took = expect_unclear(world, pair.east, SHORT_MS);
    assert_true(took >= SHORT_MS && took < SHORT_MS_MAX);
    world->hang(world, false);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

/* A listener that takes connections and says nothing; or, with words, those to everybody. */
struct listener {
    ev_io io;
    int socket;
    uint16_t port;
    const char *words;
};

static void
on_connection(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop, (void)revents;
    struct listener *listener = CONTAINER_OF(io, struct listener, io);
    int connection = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    (void)!write(connection, listener->words, strlen(listener->words));
    (void)shutdown(connection, SHUT_WR);
    char rest[4096]; /* so that the end is no reset */
    (void)!recv(connection, rest, sizeof rest, MSG_DONTWAIT);
    (void)close(connection);
}

static void
listen_at(struct world *world, struct listener *listener, const char *words)
{
    listener->port = pg_fixture_port();
    listener->words = words;
    listener->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1; /* pg_fixture_port() keeps the port until somebody listens there */
    assert_int_equal(setsockopt(listener->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(listener->port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener->socket, 16), 0);
    ev_io_init(&listener->io, on_connection, listener->socket, EV_READ);
    if (words != NULL)
        ev_io_start(world->loop, &listener->io);
}

static void
listener_close(struct world *world, struct listener *listener)
{
    ev_io_stop(world->loop, &listener->io);
    (void)close(listener->socket);
}

static void
test_silent(struct world *world)
{
    struct listener listener;
    listen_at(world, &listener, NULL);
    struct arbiter *east = open_port(world, listener.port, &world->east);
    uint64_t took = expect_unclear(world, east, SHORT_MS);
    assert_true(took >= SHORT_MS && took < SHORT_MS_MAX);
    arbiter_close(east);
    listener_close(world, &listener);
}

static void
test_refused(struct world *world)
{
    struct arbiter *east = open_port(world, pg_fixture_port(), &world->east);
    assert_true(expect_unclear(world, east, WORLD_DEADLINE_MS) < WORLD_DEADLINE_MS);
    assert_true(expect_unclear(world, east, WORLD_DEADLINE_MS) < WORLD_DEADLINE_MS);
    arbiter_close(east);
}

static void
test_garbage(struct world *world)
{
    static const char *const words[] = {
        "", "N", "S", "Squark", "HTTP/1.1 200 OK\r\n\r\n{}", "\x16\x03\x01\x02\x00\x01\x00"
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct listener listener;
        listen_at(world, &listener, words[i]);
        struct arbiter *east = open_port(world, listener.port, &world->east);
        (void)expect_unclear(world, east, SHORT_MS_MAX);
        arbiter_close(east);
        listener_close(world, &listener);
    }
    if (world->spoil == NULL)
        return;
    struct pair pair = pair_open(world);
    world->spoil(world);
    struct arbiter_reply reply =
        expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_UNCLEAR);
    assert_string_equal(reply.err.slug, "arbiter_record");
    (void)expect(world, pair.west, ARBITER_OP_ACQUIRE, 9, "west-1", ARBITER_UNCLEAR);
    (void)expect(world, pair.west, ARBITER_OP_READ, 0, "", ARBITER_UNCLEAR);
    adopt(world, pair.east, 3, "east-1");
    note_is(world, pair.west, 0, "");
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

/* The first refuses, the second says nothing, the third is it; then it is asked first. */
static void
test_fail_over(struct world *world)
{
    struct pair pair = pair_open(world);
    struct listener silent;
    listen_at(world, &silent, NULL);
    const char *hosts[] = { "127.0.0.1", "127.0.0.1", "localhost" };
    uint16_t ports[] = { pg_fixture_port(), silent.port, world->port };
    struct arbiter *east = open_at(world, hosts, ports, 3, &world->east);
    struct arbiter_ask what = call_of(ARBITER_OP_ACQUIRE, 3, "east-1");
    what.deadline_ms = 3 * SHORT_MS_MAX;
    struct arbiter_reply reply = ask(world, east, &what);
    if (reply.result != ARBITER_GRANTED)
        fail_msg("%s: %s", world->name, reply.err.text);
    reply = expect(world, east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    assert_true(reply.answered_ms - reply.sent_ms < 2 * SHORT_MS_MAX);

    world->stop(world); /* nobody is left: each is tried once */
    (void)expect_unclear(world, east, 3 * SHORT_MS);
    world->start(world);
    what.op = ARBITER_OP_ACQUIRE;
    reply = ask(world, east, &what);
    assert_int_equal(reply.result, ARBITER_GRANTED);
    arbiter_close(east);
    listener_close(world, &silent);
    pair_close(&pair);
}

static void
test_name(struct world *world)
{
    struct pair pair = pair_open(world);
    const char *hosts[] = { "no..such..name", "localhost" };
    uint16_t ports[] = { world->port, world->port };
    struct arbiter *east = open_at(world, hosts, ports, 2, &world->east);
    (void)expect(world, east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    arbiter_close(east);
    east = open_at(world, hosts, ports, 1, &world->east); /* only the one that is not there */
    (void)expect_unclear(world, east, SHORT_MS);
    arbiter_close(east);
    east = open_at(world, hosts + 1, ports, 1, &world->east);
    arbiter_close(east); /* while it is looked up */
    pair_close(&pair);
}

static void
test_tls(struct world *world)
{
    struct pair pair = pair_open(world);
    const char *hosts[] = { "127.0.0.1" };
    struct arbiter_config config;
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);

    world->config(world, hosts, &world->port, 1, &config);
    free(config.ca);
    config.ca = str_dup(world->other_ca.certificate); /* not the one who signed the server */
    struct arbiter *east = open_with(world, &config, &world->east, WORLD_CLUSTER);
    (void)expect_unclear(world, east, SHORT_MS_MAX);
    arbiter_close(east);
    arbiter_config_done(&config);

    east = open_port(world, world->port, &world->nobody); /* a CA that it does not know */
    (void)expect_unclear(world, east, SHORT_MS_MAX);
    arbiter_close(east);
    (void)expect(world, pair.east, ARBITER_OP_RENEW, 3, "east-1", ARBITER_GRANTED);
    pair_close(&pair);
}

/* Clusters share a witness, and nodes a cluster: a certificate speaks for one of each. */
static void
test_strangers(struct world *world)
{
    if (world->put_clock == NULL) /* of an etcd, its operator decides */
        return;
    struct pair pair = pair_open(world);
    struct arbiter_config config;
    const char *hosts[] = { "127.0.0.1" };
    struct arbiter_reply reply;
    struct arbiter *other = open_port(world, world->port, &world->other);
    static const enum arbiter_op ops[] = { ARBITER_OP_CREATE,  ARBITER_OP_READ,
                                           ARBITER_OP_ACQUIRE, ARBITER_OP_RENEW,
                                           ARBITER_OP_RELEASE, ARBITER_OP_PROMISE,
                                           ARBITER_OP_NOTE,    ARBITER_OP_BAR };
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        reply = expect(world, other, ops[i], 3, "east-1", ARBITER_UNCLEAR);
        assert_string_equal(reply.err.slug, "arbiter_denied");
    }
    arbiter_close(other);
    reply = expect(world, pair.west, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_UNCLEAR);
    assert_string_equal(reply.err.slug, "arbiter_denied");

    /* and the other cluster has its own row */
    world->config(world, hosts, &world->port, 1, &config);
    other = open_with(world, &config, &world->other, WORLD_OTHER);
    (void)expect(world, other, ARBITER_OP_ACQUIRE, 1, "east-1", ARBITER_EMPTY);
    (void)expect(world, other, ARBITER_OP_CREATE, 1, "east-1", ARBITER_DONE);
    (void)expect(world, other, ARBITER_OP_ACQUIRE, 1, "east-1", ARBITER_GRANTED);
    (void)expect(world, pair.east, ARBITER_OP_ACQUIRE, 3, "east-1", ARBITER_GRANTED);
    arbiter_close(other);
    arbiter_config_done(&config);
    pair_close(&pair);
}

/* ---- several at once ---- */

/* Each wants an epoch of its own at the same moment; one seat, and never two for one epoch. */
static void
test_race(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter *racers[RACERS];
    struct asked asked[RACERS];
    for (size_t i = 0; i < RACERS; i++)
        racers[i] = open_port(world, world->port, i % 2 == 0 ? &world->east : &world->west);
    for (uint64_t round = 1; round <= 5; round++) {
        unsigned granted = 0;
        struct arbiter_reply reply;
        world->expire(world);
        memset(asked, 0, sizeof asked);
        for (size_t i = 0; i < RACERS; i++) {
            struct arbiter_ask what =
                call_of(ARBITER_OP_ACQUIRE, 10 * round + i / 2, i % 2 == 0 ? "east-1" : "west-1");
            (void)arbiter_start(racers[i], &what, on_reply, &asked[i]);
        }
        for (size_t i = 0; i < RACERS; i++) {
            assert_true(pg_fixture_until(world->loop, &asked[i].done, WORLD_PATIENCE_MS));
            granted += asked[i].reply.result == ARBITER_GRANTED;
        }
        assert_true(granted <= 1);
        reply = expect(world, pair.east, ARBITER_OP_READ, 0, "", ARBITER_DONE);
        for (size_t i = 0; i < RACERS; i++) {
            bool is = epoch_equal(&asked[i].reply.epoch, &reply.epoch);
            assert_true(asked[i].reply.result != ARBITER_GRANTED || is);
        }
    }
    for (size_t i = 0; i < RACERS; i++)
        arbiter_close(racers[i]);
    pair_close(&pair);
}

/* At the same moment: the note is refused, or it is in the answer to the promise (A5). */
static void
test_note_race(struct world *world)
{
    struct pair pair = pair_open(world);
    for (uint64_t round = 0; round < 20; round++) {
        struct asked asked[2] = { 0 };
        struct arbiter_ask note = call_of(ARBITER_OP_NOTE, 3, "east-1");
        struct arbiter_ask promise = call_of(ARBITER_OP_PROMISE, 4, "west-1");
        note.number = 1;
        note.note = "k=0";
        adopt(world, pair.east, 3, "east-1");
        for (size_t i = 0; i < 2; i++) {
            bool notes = (i + round) % 2 == 0;
            (void)arbiter_start(notes ? pair.east : pair.west, notes ? &note : &promise, on_reply,
                                &asked[notes ? 0 : 1]);
        }
        for (size_t i = 0; i < 2; i++)
            assert_true(pg_fixture_until(world->loop, &asked[i].done, WORLD_PATIENCE_MS));
        bool noted = asked[0].reply.result == ARBITER_DONE;
        bool promised = asked[1].reply.result == ARBITER_DONE;
        assert_true(promised); /* who lost the race asks again */
        assert_true(!noted || strcmp(asked[1].reply.note, "k=0") == 0);
    }
    pair_close(&pair);
}

static void
never(void *data, const struct arbiter_reply *reply)
{
    (void)data, (void)reply;
    fail();
}

static void
test_cancel(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter *east = open_port(world, world->port, &world->east);
    struct arbiter_ask what = call_of(ARBITER_OP_RENEW, 3, "east-1");
    struct asked asked = { 0 };
    struct arbiter_call *calls[3];
    arbiter_cancel(NULL);
    arbiter_cancel(arbiter_start(east, &what, never, NULL)); /* not begun */
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++)
        calls[i] = arbiter_start(east, &what, never, NULL);
    (void)arbiter_start(east, &what, on_reply, &asked);
    for (unsigned i = 0; i < 2; i++)
        ev_run(world->loop, EVRUN_ONCE); /* begun, and the connection is in the making */
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++)
        arbiter_cancel(calls[i]);
    assert_true(pg_fixture_until(world->loop, &asked.done, WORLD_PATIENCE_MS));
    assert_int_equal(asked.reply.result, ARBITER_GRANTED);

    (void)arbiter_start(east, &what, never, NULL);
    (void)ev_run(world->loop, EVRUN_ONCE); /* sent */
    (void)arbiter_start(east, &what, never, NULL);
    arbiter_close(east);
    arbiter_close(NULL);
    (void)ev_run(world->loop, EVRUN_NOWAIT);
    pair_close(&pair);
}

/* More at once than are let through; and a failing connection ends all that wait for it. */
static void
test_crowd(struct world *world)
{
    struct pair pair = pair_open(world);
    struct arbiter_ask what = call_of(ARBITER_OP_READ, 0, "");
    struct asked asked[ARBITER_CALLS_MAX + 2] = { 0 };
    unsigned busy = 0;
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++)
        (void)arbiter_start(pair.east, &what, on_reply, &asked[i]);
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        assert_true(pg_fixture_until(world->loop, &asked[i].done, WORLD_PATIENCE_MS));
        bool refused = strcmp(asked[i].reply.err.slug, "arbiter_busy") == 0;
        assert_true(refused || asked[i].reply.result == ARBITER_DONE);
        busy += refused;
    }
    assert_true(busy >= 2);

    const char *hosts[] = { "127.0.0.1", "127.0.0.1" };
    uint16_t ports[] = { pg_fixture_port(), world->port };
    struct arbiter *east = open_at(world, hosts, ports, 2, &world->east);
    memset(asked, 0, sizeof asked);
    for (size_t i = 0; i < 8; i++)
        (void)arbiter_start(east, &what, on_reply, &asked[i]);
    for (size_t i = 0; i < 8; i++) {
        assert_true(pg_fixture_until(world->loop, &asked[i].done, WORLD_PATIENCE_MS));
        assert_int_equal(asked[i].reply.result, ARBITER_DONE);
    }
    arbiter_close(east);
    pair_close(&pair);
}

/* ---- what needs no arbiter ---- */

static void
test_config(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"kind\":\"manual\"}",
        "{\"kind\":\"postgres\",\"dsn\":\"host=w port=7445\",\"ca\":\"-----BEGIN x\"}",
        "{\"kind\":\"postgres\",\"dsn\":\"host=/run/pg\"}",
        "{\"kind\":\"postgres\",\"dsn\":\"host=a,b sslmode=require passfile=/etc/x\"}",
        "{\"kind\":\"postgres\",\"dsn\":\"postgresql://a:1,b:2/x?sslrootcert=/x\"}",
        "{\"kind\":\"etcd\",\"endpoints\":[\"https://a:2379\",\"https://[::1]:2379/\"]}",
    };
    static const struct {
        const char *text;
        const char *says;
    } bad[] = {
        { "5", "kind" },
        { "{\"kind\":\"zookeeper\"}", "kind" },
        { "{\"kind\":\"manual\",\"dsn\":\"host=x\"}", "dsn" },
        { "{\"kind\":\"postgres\"}", "dsn" },
        { "{\"kind\":\"postgres\",\"dsn\":5}", "dsn" },
        { "{\"kind\":\"postgres\",\"dsn\":\"host=w\"}", "signed" },
        { "{\"kind\":\"postgres\",\"dsn\":\"host=w\",\"ca\":\"/etc/ca.crt\"}", "ca" },
        { "{\"kind\":\"postgres\",\"dsn\":\"port=1 sslmode=require\"}", "no host" },
        { "{\"kind\":\"postgres\",\"dsn\":\"host=w secret\"}", "parse" },
        { "{\"kind\":\"postgres\",\"dsn\":\"host=/x password=secret\"}", "password" },
        { "{\"kind\":\"postgres\",\"dsn\":\"host=/x port=1,2\"}", "as many" },
        { "{\"kind\":\"postgres\",\"dsn\":\"host=/x,/x,/x,/x,/x,/x,/x,/x,/x\"}", "as many" },
        { "{\"kind\":\"etcd\"}", "endpoints" },
        { "{\"kind\":\"etcd\",\"endpoints\":[]}", "endpoints" },
        { "{\"kind\":\"etcd\",\"endpoints\":[7]}", "endpoints" },
        { "{\"kind\":\"etcd\",\"endpoints\":[\"etcd:2379\"]}", "etcd:2379" },
        { "{\"kind\":\"etcd\",\"endpoints\":[\"https://u:p@etcd:2379\"]}", "no URL" },
        { "{\"kind\":\"etcd\",\"endpoints\":[\"https:///v3\"]}", "no URL" },
        { "{\"kind\":\"etcd\",\"endpoints\":[\"https://a/v3/kv\"]}", "no URL" },
        { "{\"kind\":\"etcd\",\"endpoints\":[\"https://a\"],\"user\":\"x\"}", "user" },
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct json_object *value = NULL;
        struct arbiter_config config;
        struct err err = { 0 };
        assert_int_equal(json_read(good[i], strlen(good[i]), &value, &err), ERR_NONE);
        if (arbiter_config_read(value, &config, &err) != ERR_NONE)
            fail_msg("%s: %s", good[i], err.text);
        arbiter_config_done(&config);
        json_object_put(value);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct json_object *value = NULL;
        struct arbiter_config config;
        struct err err = { 0 };
        assert_int_equal(json_read(bad[i].text, strlen(bad[i].text), &value, &err), ERR_NONE);
        assert_int_equal(arbiter_config_read(value, &config, &err), ERR_INVALID);
        if (strstr(err.text, bad[i].says) == NULL || strstr(err.text, "secret") != NULL)
            fail_msg("%s: %s", bad[i].text, err.text);
        json_object_put(value);
    }
}

/* ---- the table ---- */

#define CASE_TABLE(X)                                                                              \
    X(grant)                                                                                       \
    X(held)                                                                                        \
    X(stale)                                                                                       \
    X(expired)                                                                                     \
    X(runs_out)                                                                                    \
    X(release)                                                                                     \
    X(same_holder)                                                                                 \
    X(length)                                                                                      \
    X(empty)                                                                                       \
    X(restored)                                                                                    \
    X(restored_read)                                                                               \
    X(restart)                                                                                     \
    X(clock_back)                                                                                  \
    X(late)                                                                                        \
    X(note)                                                                                        \
    X(bar)                                                                                         \
    X(note_created)                                                                                \
    X(promise)                                                                                     \
    X(hangs)                                                                                       \
    X(silent)                                                                                      \
    X(refused)                                                                                     \
    X(garbage)                                                                                     \
    X(fail_over)                                                                                   \
    X(name)                                                                                        \
    X(tls)                                                                                         \
    X(strangers)                                                                                   \
    X(race)                                                                                        \
    X(note_race)                                                                                   \
    X(cancel)                                                                                      \
    X(crowd)

#define X(name)                                                                                    \
    static void postgres_##name(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        test_##name(worlds[0]);                                                                    \
    }                                                                                              \
    static void etcd_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        test_##name(worlds[1]);                                                                    \
    }
CASE_TABLE(X)
#undef X

static int
open_worlds(void **state)
{
    (void)state;
    worlds[0] = world_open("postgres");
    worlds[1] = world_open("etcd");
    return 0;
}

static int
close_worlds(void **state)
{
    (void)state;
    world_close(worlds[0]);
    world_close(worlds[1]);
    ev_loop_destroy(ev_default_loop(0));
    return 0;
}

int
main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_config),
#define X(name) cmocka_unit_test(postgres_##name), cmocka_unit_test(etcd_##name),
                                               CASE_TABLE(X)
#undef X
    };
    return cmocka_run_group_tests(tests, open_worlds, close_worlds);
}
