#include "sites/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/str.h"

#define X(name) #name,
static const char *const node_state_names[] = { NODE_STATE_TABLE(X) };
static const char *const event_names[] = { NODE_EVENT_TABLE(X) };
static const char *const effect_names[] = { NODE_EFFECT_TABLE(X) };
#undef X

const char *
node_state_name(enum node_state state)
{
    return node_state_names[state];
}

bool
node_state_parse(const char *name, enum node_state *ret_state)
{
    for (size_t i = 0; i < ARRAY_COUNT(node_state_names); i++) {
        if (strcmp(node_state_names[i], name) == 0) {
            *ret_state = (enum node_state)i;
            return true;
        }
    }
    return false;
}

const char *
node_event_name(enum node_event_kind kind)
{
    return event_names[kind];
}

const char *
node_effect_name(enum node_effect_kind kind)
{
    return effect_names[kind];
}

struct step_context {
    const struct node_event *event;
    struct node_effects *effects;
};

static struct node_effect *
emit(struct step_context *context, enum node_effect_kind kind)
{
    ASSERT(context->effects->count < NODE_EFFECTS_MAX);
    struct node_effect *effect = &context->effects->list[context->effects->count++];
    *effect = (struct node_effect){ .kind = kind };
    return effect;
}

static void
arm_alarm(struct node *node, struct step_context *context, uint64_t after_ms)
{
    node->deadline_ms = context->event->now_ms + after_ms;
    emit(context, NODE_DO_ALARM)->at_ms = node->deadline_ms;
}

static void set_reason(struct node *node, const char *format, ...) PRINTF_LIKE(2, 3);

static void
set_reason(struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(node->reason, sizeof node->reason, format, arguments);
    va_end(arguments);
}

static bool
is_fresh(const struct node *node, const struct node_peer *peer, uint64_t now_ms)
{
    return peer->heard && now_ms - peer->heard_ms <= node->limits.fresh_ms;
}

static bool
acts_as_primary(const struct node_facts *facts)
{
    return facts->state == NODE_PRIMARY || facts->state == NODE_CLOSED ||
           facts->state == NODE_DRAINING;
}

const struct node_peer *
node_find_primary(const struct node *node, uint64_t now_ms)
{
    const struct node_peer *best = NULL;
    for (size_t i = 0; i < node->peer_count; i++) {
        const struct node_peer *peer = &node->peers[i];
        if (!is_fresh(node, peer, now_ms) || !acts_as_primary(&peer->facts) ||
            epoch_compare(&peer->facts.epoch, &node->own.promised) < 0 ||
            epoch_compare(&peer->facts.epoch, &node->own.epoch) < 0)
            continue;
        if (best == NULL || epoch_compare(&peer->facts.epoch, &best->facts.epoch) > 0)
            best = peer;
    }
    return best;
}

static bool
is_newer_schema(const struct node *node, const struct node_peer *peer)
{
    return peer->heard && peer->facts.schema > node->own.schema;
}

bool
node_may_follow(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->peer_count; i++) {
        if (strcmp(node->peers[i].name, name) == 0)
            return !is_newer_schema(node, &node->peers[i]);
    }
    return true;
}

/* Follows the primary, or stays out of it because of I14. */
static enum node_state
start_attach(struct node *node, struct step_context *context, const struct node_peer *primary)
{
    char text[EPOCH_TEXT_SIZE];
    if (is_newer_schema(node, primary)) {
        node->following[0] = '\0';
        set_reason(node,
                   "%s, primary of epoch %s, has schema %u, this node has %u: upgrade Baton on"
                   " this node",
                   primary->name, epoch_text(&primary->facts.epoch, text), primary->facts.schema,
                   node->own.schema);
        return NODE_FENCED;
    }
    ASSERT(str_copy(node->following, sizeof node->following, primary->name));
    node->following_epoch = primary->facts.epoch;
    node->silent_ms = 0;
    struct node_effect *effect = emit(context, NODE_DO_ATTACH);
    ASSERT(str_copy(effect->node, sizeof effect->node, primary->name));
    effect->epoch = primary->facts.epoch;
    set_reason(node, "attaching to %s, primary of epoch %s", primary->name,
               epoch_text(&primary->facts.epoch, text));
    return NODE_REJOINING;
}

/* Nothing later was promised here: our epoch may still be the newest. */
static bool
own_epoch_may_go_on(const struct node *node)
{
    return node->own.epoch.number != 0 && strcmp(node->own.epoch.holder, node->self) == 0 &&
           epoch_equal(&node->own.promised, &node->own.epoch) &&
           epoch_compare(&node->own.applied.epoch, &node->own.epoch) <= 0;
}

/* Who has rows of our own epoch that we have not? What we acknowledged is lost here: the data are
 * an old copy, put back. To go on would give their revisions to other rows (I7). */
static const struct node_peer *
find_ahead(const struct node *node, uint64_t now_ms)
{
    for (size_t i = 0; i < node->peer_count; i++) {
        const struct node_peer *peer = &node->peers[i];
        if (is_fresh(node, peer, now_ms) &&
            epoch_equal(&peer->facts.applied.epoch, &node->own.epoch) &&
            position_compare(&peer->facts.applied, &node->own.applied) > 0)
            return peer;
    }
    return NULL;
}

/* Who does not count may have been captured all the same, with --accept-data-loss. The arbiter
 * knows of that; without one only the members themselves do. */
static bool
must_hear_all(const struct node *node)
{
    return !node->leased && node->record.since[0] != '\0';
}

/* May we, who hold the newest epoch that anybody shows, go on under it? (I11) */
static bool
own_epoch_is_confirmed(const struct node *node, uint64_t now_ms)
{
    const char *names[NODE_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < node->peer_count; i++) {
        const struct node_peer *peer = &node->peers[i];
        if (!is_fresh(node, peer, now_ms) || peer->facts.promised.number == 0)
            continue; /* its database has not told it yet what it promised */
        if (epoch_compare(&peer->facts.promised, &node->own.epoch) > 0 ||
            epoch_compare(&peer->facts.epoch, &node->own.epoch) > 0 ||
            epoch_compare(&peer->facts.applied.epoch, &node->own.epoch) > 0)
            return false;
        names[count++] = peer->name;
    }
    if (must_hear_all(node) && count < node->peer_count)
        return false;
    return quorum_confirmed(&node->record, node->self, names, count);
}

static void
fence_database(struct node *node, struct step_context *context)
{
    (void)emit(context, NODE_DO_FENCE_DATABASE);
    node->fencing++;
}

static enum node_state
judge_fenced(struct node *node, struct step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    if (!node->database || node->fencing > 0 || now_ms < node->deadline_ms)
        return NODE_FENCED;
    if (node->unfenced) {
        fence_database(node, context);
        return NODE_FENCED;
    }
    const struct node_peer *primary = node_find_primary(node, now_ms);
    if (primary != NULL)
        return start_attach(node, context, primary);
    if (!own_epoch_may_go_on(node))
        return NODE_FENCED;
    const struct node_peer *ahead = find_ahead(node, now_ms);
    if (ahead != NULL) {
        set_reason(node,
                   "%s has rows up to revision %llu that this node wrote and lost, it ends at %llu:"
                   " was an old copy put back? a promotion brings them back",
                   ahead->name, (unsigned long long)ahead->facts.applied.revision,
                   (unsigned long long)node->own.applied.revision);
        return NODE_FENCED;
    }
    if (!own_epoch_is_confirmed(node, now_ms))
        return NODE_FENCED;
    if (node->leased && !epoch_equal(&node->granted, &node->own.epoch)) {
        if (!node->released) {
            emit(context, NODE_DO_WANT)->epoch = node->own.epoch;
            return NODE_FENCED;
        }
        (void)emit(context, NODE_DO_RENEW);
        node->deadline_ms = now_ms + node->limits.retry_ms;
        return NODE_FENCED;
    }
    (void)emit(context, NODE_DO_RESUME);
    node->deadline_ms = now_ms + node->limits.retry_ms;
    return NODE_FENCED;
}

/* Clients' writes are open here, or wait for it. */
static bool
may_hold_writes(const struct node *node)
{
    return node->state == NODE_PRIMARY || node->state == NODE_CLOSED ||
           node->state == NODE_DRAINING ||
           (node->state == NODE_CANDIDATE && node->before == NODE_PRIMARY);
}

bool
node_is_succeeded(const struct node *node, const struct epoch *epoch)
{
    return !may_hold_writes(node) || epoch_compare(epoch, &node->own.epoch) > 0;
}

/* ------------------------------------------------------------------ actions, one for each row */

static enum node_state
on_start(struct node *node, struct step_context *context)
{
    if (may_hold_writes(node)) /* its loss was not noticed */
        (void)emit(context, NODE_DO_WRITES_CLOSE);
    node->own = *context->event->facts;
    node->database = true;
    node->unfenced = false; /* it was fenced before it was asked for its row */
    /* Our database was asked twice, or a promotion did not hear of its loss: an OPEN may have been
     * sent after the fence whose answer this is. */
    if (node->state == NODE_CANDIDATE)
        fence_database(node, context);
    node->following[0] = '\0';
    node->deadline_ms = 0;
    set_reason(node, "started; the current epoch is not yet known from the peers");
    return judge_fenced(node, context);
}

static enum node_state
on_lost(struct node *node, struct step_context *context)
{
    node->database = false;
    node->following[0] = '\0';
    node->deadline_ms = 0;
    if (may_hold_writes(node))
        (void)emit(context, NODE_DO_WRITES_CLOSE);
    /* The connector servers stay as they are: nobody else acts yet, and most databases that are
     * lost are back within seconds. Nothing new is done until the epoch is confirmed. */
    set_reason(node, "the database %s: %s", context->event->ok ? "is not fit" : "does not answer",
               context->event->text == NULL ? "connection lost" : context->event->text);
    return NODE_FENCED;
}

static enum node_state
on_heard_fenced(struct node *node, struct step_context *context)
{
    return judge_fenced(node, context);
}

static enum node_state
on_tick_fenced(struct node *node, struct step_context *context)
{
    return judge_fenced(node, context);
}

/* In any state but FENCED: what was fenced was left behind, or is open anew. */
static enum node_state
on_fenced_late(struct node *node, struct step_context *context)
{
    if (node->fencing > 0)
        node->fencing--;
    node->unfenced = !context->event->ok;
    return node->state;
}

static enum node_state
on_fenced(struct node *node, struct step_context *context)
{
    bool again = node->unfenced;
    (void)on_fenced_late(node, context);
    if (again && !node->unfenced)
        set_reason(node, "fenced again; the current epoch is not yet known from the peers");
    if (node->unfenced && node->database) {
        set_reason(node, "its database is not fenced: %s",
                   context->event->text == NULL ? "no cause given" : context->event->text);
        arm_alarm(node, context, node->limits.retry_ms);
        return NODE_FENCED;
    }
    return judge_fenced(node, context);
}

static enum node_state
on_heard_following(struct node *node, struct step_context *context)
{
    const struct node_peer *primary = node_find_primary(node, context->event->now_ms);
    if (primary == NULL || (node->state == NODE_REJOINING && is_newer_schema(node, primary)))
        return node->state; /* ATTACHED comes in any case */
    if (epoch_compare(&primary->facts.epoch, &node->following_epoch) > 0 ||
        is_newer_schema(node, primary))
        return start_attach(node, context, primary);
    return node->state;
}

static enum node_state
on_tick_rejoining(struct node *node, struct step_context *context)
{
    (void)context;
    return node->state; /* ATTACHED comes in any case: each step of attaching has a deadline */
}

static enum node_state
on_tick_standby(struct node *node, struct step_context *context)
{
    uint64_t now_ms = context->event->now_ms;
    if (node->silent_ms == 0 || now_ms - node->silent_ms < node->limits.stream_ms)
        return NODE_STANDBY;
    const struct node_peer *primary = node_find_primary(node, now_ms);
    if (primary == NULL)
        return NODE_STANDBY; /* nobody to attach to: wait */
    return start_attach(node, context, primary);
}

static enum node_state
on_stream(struct node *node, struct step_context *context)
{
    if (context->event->ok)
        node->silent_ms = 0;
    else if (node->silent_ms == 0)
        node->silent_ms = context->event->now_ms;
    return on_tick_standby(node, context);
}

static enum node_state
on_attached(struct node *node, struct step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    if (!context->event->ok) {
        set_reason(node, "attaching to %s failed: %s", node->following,
                   context->event->text == NULL ? "no cause given" : context->event->text);
        node->following[0] = '\0';
        /* A fence that failed, or what a connection that broke had left in the server: it would
         * refuse the next attempt, too. */
        if (context->event->is_primary)
            fence_database(node, context);
        arm_alarm(node, context, node->limits.retry_ms);
        return NODE_FENCED;
    }
    node->own.applied = context->event->position;
    node->deadline_ms = 0;
    set_reason(node, "follows %s, primary of epoch %s", node->following,
               epoch_text(&node->following_epoch, text));
    return NODE_STANDBY;
}

/* Somebody else has our promise: what we are under an earlier epoch is over. A promotion of ours to
 * a later one is not: of two that run at once, the later wins. */
static enum node_state
on_captured(struct node *node, struct step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    node->own.promised = *epoch_max(&node->own.promised, &context->event->epoch);
    if (may_hold_writes(node)) {
        (void)emit(context, NODE_DO_WRITES_HOLD);
        (void)emit(context, NODE_DO_DEACTIVATE);
    }
    node->following[0] = '\0';
    node->deadline_ms = 0;
    if (node->state == NODE_CANDIDATE && context->event->ok) {
        node->before = NODE_FENCED;
        return NODE_CANDIDATE;
    }
    set_reason(node, "promised epoch %s to its holder", epoch_text(&context->event->epoch, text));
    return judge_fenced(node, context);
}

static enum node_state
step_down(struct node *node, struct step_context *context)
{
    fence_database(node, context);
    (void)emit(context, NODE_DO_WRITES_HOLD);
    (void)emit(context, NODE_DO_DEACTIVATE);
    node->deadline_ms = 0;
    node->challenged_ms = 0;
    return judge_fenced(node, context);
}

static enum node_state
on_lapsed(struct node *node, struct step_context *context)
{
    set_reason(node, "the lease is lost: %s",
               context->event->text == NULL ? "no cause given" : context->event->text);
    return step_down(node, context);
}

/* A renewal goes on: it leads to another epoch, and that one has to be granted. */
static enum node_state
on_lapsed_candidate(struct node *node, struct step_context *context)
{
    if (node->before != NODE_PRIMARY)
        return NODE_CANDIDATE;
    fence_database(node, context);
    (void)emit(context, NODE_DO_DEACTIVATE);
    node->before = NODE_FENCED;
    return NODE_CANDIDATE;
}

/* A primary in failsafe meets an arbiter again that grants its epoch no more: if it went on so,
 * the first member to be missed would end it. Or the arbiter has promised another epoch: it can
 * neither be told that fewer acknowledge, nor that all do again. */
static bool
is_outdated(const struct node *node)
{
    bool cannot_tell =
        node->record.arbiter != 0 && epoch_compare(&node->arbiter_promised, &node->own.epoch) > 0;
    return node->state == NODE_PRIMARY && ((node->leased && node->released) || cannot_tell);
}

static enum node_state
on_heard_primary(struct node *node, struct step_context *context)
{
    const struct node_peer *other = node_find_primary(node, context->event->now_ms);
    char text[EPOCH_TEXT_SIZE];
    if (other != NULL && epoch_compare(&other->facts.epoch, &node->own.epoch) > 0) {
        set_reason(node, "%s is primary of the later epoch %s", other->name,
                   epoch_text(&other->facts.epoch, text));
        return step_down(node, context);
    }
    bool challenged = is_outdated(node);
    for (size_t i = 0; i < node->peer_count; i++) {
        const struct node_peer *peer = &node->peers[i];
        if (!is_fresh(node, peer, context->event->now_ms))
            continue;
        if (epoch_compare(&peer->facts.applied.epoch, &node->own.epoch) > 0) {
            /* Overtaken: to come back now would be a failover, which a person orders. */
            set_reason(node, "%s holds rows of the later epoch %s", peer->name,
                       epoch_text(&peer->facts.applied.epoch, text));
            return step_down(node, context);
        }
        challenged |= epoch_compare(&peer->facts.promised, &node->own.epoch) > 0;
    }
    if (!challenged)
        node->challenged_ms = 0;
    else if (node->challenged_ms == 0)
        node->challenged_ms = context->event->now_ms;
    return node->state;
}

static bool
is_challenged_long(const struct node *node, uint64_t now_ms)
{
    return node->challenged_ms != 0 && now_ms - node->challenged_ms >= node->limits.challenge_ms;
}

/* A promotion that was given up has left later promises behind: those members refuse our rows.
 * The mend is a later epoch of our own (a Raft leader that sees a higher term does the same). */
static enum node_state
on_tick_primary(struct node *node, struct step_context *context)
{
    if (node->challenged_ms == 0 && is_outdated(node))
        node->challenged_ms = context->event->now_ms;
    if (is_challenged_long(node, context->event->now_ms)) {
        node->challenged_ms = context->event->now_ms; /* once for each span */
        (void)emit(context, NODE_DO_RENEW);
    }
    return node->state;
}

/* Our first row waits for members that have promised a later epoch to somebody: for ever. */
static enum node_state
on_tick_closed(struct node *node, struct step_context *context)
{
    if (!is_challenged_long(node, context->event->now_ms))
        return NODE_CLOSED;
    set_reason(node, "other members have promised a later epoch before our first row was "
                     "acknowledged");
    return step_down(node, context);
}

static void
freeze_database(struct node *node, struct step_context *context)
{
    (void)emit(context, NODE_DO_FREEZE_DATABASE);
    node->freezing = true;
}

static enum node_state
on_freeze(struct node *node, struct step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    node->freeze_epoch = context->event->epoch;
    node->thawing = false;
    node->thaw_wanted = false;
    (void)emit(context, NODE_DO_WRITES_HOLD);
    freeze_database(node, context);
    arm_alarm(node, context, node->limits.freeze_ms);
    set_reason(node, "frozen for epoch %s", epoch_text(&node->freeze_epoch, text));
    return NODE_DRAINING;
}

static enum node_state
on_freeze_again(struct node *node, struct step_context *context)
{
    /* The candidate repeats what it did not hear the answer of; another one must wait. */
    if (epoch_equal(&node->freeze_epoch, &context->event->epoch) && !node->freezing &&
        !node->thawing)
        freeze_database(node, context);
    return NODE_DRAINING;
}

static enum node_state
on_thaw(struct node *node, struct step_context *context)
{
    node->deadline_ms = 0;
    node->thaw_wanted = true;
    if (node->freezing || node->thawing)
        return NODE_DRAINING;
    emit(context, NODE_DO_THAW_DATABASE)->epoch = node->own.epoch;
    node->thawing = true;
    return NODE_DRAINING;
}

static enum node_state
on_tick_draining(struct node *node, struct step_context *context)
{
    if (node->deadline_ms == 0 || context->event->now_ms < node->deadline_ms)
        return NODE_DRAINING;
    return on_thaw(node, context);
}

static enum node_state
reopen(struct node *node, struct step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    (void)emit(context, NODE_DO_WRITES_OPEN);
    node->deadline_ms = 0;
    set_reason(node, "primary of epoch %s; a switchover was given up",
               epoch_text(&node->own.epoch, text));
    return NODE_PRIMARY;
}

static enum node_state
on_frozen(struct node *node, struct step_context *context)
{
    node->freezing = false;
    if (!context->event->ok) /* a writer would not end */
        return reopen(node, context);
    return node->thaw_wanted ? on_thaw(node, context) : NODE_DRAINING;
}

static enum node_state
on_reopened(struct node *node, struct step_context *context)
{
    node->thawing = false;
    if (context->event->ok)
        return reopen(node, context);
    arm_alarm(node, context, node->limits.retry_ms); /* again, unless a capture comes first */
    return NODE_DRAINING;
}

static enum node_state
on_begin(struct node *node, struct step_context *context)
{
    node->before = node->state;
    if (node->state == NODE_PRIMARY)
        (void)emit(context, NODE_DO_WRITES_HOLD);
    /* What attaches sets aside, and drops our slots then: also those that the promotion makes
     * (I12). A promise to somebody else leaves it under way in FENCED. */
    if (node->state == NODE_REJOINING || node->state == NODE_FENCED)
        (void)emit(context, NODE_DO_ATTACH_END);
    set_reason(node, "a promotion runs here");
    return NODE_CANDIDATE;
}

static enum node_state
on_opened(struct node *node, struct step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    node->own.epoch = context->event->epoch;
    node->own.promised = *epoch_max(&node->own.promised, &context->event->epoch);
    node->own.applied = context->event->position;
    node->following[0] = '\0';
    node->challenged_ms = 0;
    node->unfenced = false; /* open on purpose */
    set_reason(node, "primary of epoch %s, first row not yet acknowledged",
               epoch_text(&node->own.epoch, text));
    return NODE_CLOSED;
}

static enum node_state
on_acked(struct node *node, struct step_context *context)
{
    char text[EPOCH_TEXT_SIZE];
    (void)emit(context, NODE_DO_WRITES_OPEN);
    set_reason(node, "primary of epoch %s", epoch_text(&node->own.epoch, text));
    return NODE_PRIMARY;
}

static enum node_state
fail_beyond(struct node *node, struct step_context *context)
{
    set_reason(node, "a promotion here failed: %s",
               context->event->text == NULL ? "no cause given" : context->event->text);
    fence_database(node, context);
    if (node->before == NODE_PRIMARY)
        (void)emit(context, NODE_DO_DEACTIVATE);
    node->following[0] = '\0';
    arm_alarm(node, context, node->limits.retry_ms);
    return NODE_FENCED;
}

static enum node_state
on_failed(struct node *node, struct step_context *context)
{
    if (context->event->beyond || node->before == NODE_FENCED || node->before == NODE_REJOINING)
        return fail_beyond(node, context);
    set_reason(node, "a promotion here failed: %s",
               context->event->text == NULL ? "no cause given" : context->event->text);
    if (node->before == NODE_PRIMARY)
        (void)emit(context, NODE_DO_WRITES_OPEN);
    return node->before;
}

/* The epoch is open in our database and its first row is not acknowledged: never back to writing.
 */
static enum node_state
on_failed_closed(struct node *node, struct step_context *context)
{
    node->before = NODE_PRIMARY;
    return fail_beyond(node, context);
}

static enum node_state
on_nothing(struct node *node, struct step_context *context)
{
    (void)context;
    return node->state;
}

/* ------------------------------------------------------------------ the table */

#define TO(name) (1u << NODE_##name)
#define DOWN     (TO(FENCED) | TO(REJOINING))

static const struct node_rule {
    enum node_state from;
    enum node_event_kind on;
    enum node_state (*action)(struct node *, struct step_context *);
    unsigned to;
} node_rules[] = {
    { NODE_FENCED, NODE_EV_START, on_start, DOWN },
    { NODE_FENCED, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_FENCED, NODE_EV_HEARD, on_heard_fenced, DOWN },
    { NODE_FENCED, NODE_EV_TICK, on_tick_fenced, DOWN },
    { NODE_FENCED, NODE_EV_CAPTURED, on_captured, DOWN },
    { NODE_FENCED, NODE_EV_BEGIN, on_begin, TO(CANDIDATE) },
    { NODE_FENCED, NODE_EV_FENCED, on_fenced, DOWN },
    { NODE_FENCED, NODE_EV_STREAM, on_nothing, TO(FENCED) },
    { NODE_FENCED, NODE_EV_FROZEN, on_nothing, TO(FENCED) },
    { NODE_FENCED, NODE_EV_REOPENED, on_nothing, TO(FENCED) },
    { NODE_FENCED, NODE_EV_ATTACHED, on_nothing, TO(FENCED) },
    { NODE_FENCED, NODE_EV_LAPSED, on_nothing, TO(FENCED) },

    { NODE_REJOINING, NODE_EV_START, on_start, DOWN },
    { NODE_REJOINING, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_REJOINING, NODE_EV_HEARD, on_heard_following, TO(REJOINING) },
    { NODE_REJOINING, NODE_EV_TICK, on_tick_rejoining, TO(REJOINING) },
    { NODE_REJOINING, NODE_EV_CAPTURED, on_captured, DOWN },
    { NODE_REJOINING, NODE_EV_ATTACHED, on_attached, TO(STANDBY) | TO(FENCED) },
    { NODE_REJOINING, NODE_EV_BEGIN, on_begin, TO(CANDIDATE) },
    { NODE_REJOINING, NODE_EV_FENCED, on_fenced_late, TO(REJOINING) },
    { NODE_REJOINING, NODE_EV_STREAM, on_nothing, TO(REJOINING) },
    { NODE_REJOINING, NODE_EV_LAPSED, on_nothing, TO(REJOINING) },

    { NODE_STANDBY, NODE_EV_START, on_start, DOWN },
    { NODE_STANDBY, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_STANDBY, NODE_EV_HEARD, on_heard_following, TO(STANDBY) | DOWN },
    { NODE_STANDBY, NODE_EV_TICK, on_tick_standby, TO(STANDBY) | DOWN },
    { NODE_STANDBY, NODE_EV_CAPTURED, on_captured, DOWN },
    { NODE_STANDBY, NODE_EV_BEGIN, on_begin, TO(CANDIDATE) },
    { NODE_STANDBY, NODE_EV_FENCED, on_fenced_late, TO(STANDBY) },
    { NODE_STANDBY, NODE_EV_STREAM, on_stream, TO(STANDBY) | DOWN },
    { NODE_STANDBY, NODE_EV_LAPSED, on_nothing, TO(STANDBY) },

    { NODE_CANDIDATE, NODE_EV_START, on_start, TO(FENCED) },
    { NODE_CANDIDATE, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_CANDIDATE, NODE_EV_HEARD, on_nothing, TO(CANDIDATE) },
    { NODE_CANDIDATE, NODE_EV_TICK, on_nothing, TO(CANDIDATE) },
    { NODE_CANDIDATE, NODE_EV_CAPTURED, on_captured, TO(CANDIDATE) | DOWN },
    { NODE_CANDIDATE, NODE_EV_OPENED, on_opened, TO(CLOSED) },
    { NODE_CANDIDATE, NODE_EV_FAILED, on_failed, TO(PRIMARY) | TO(STANDBY) | TO(FENCED) },
    { NODE_CANDIDATE, NODE_EV_ATTACHED, on_nothing, TO(CANDIDATE) },
    { NODE_CANDIDATE, NODE_EV_FENCED, on_fenced_late, TO(CANDIDATE) },
    { NODE_CANDIDATE, NODE_EV_STREAM, on_nothing, TO(CANDIDATE) },
    { NODE_CANDIDATE, NODE_EV_LAPSED, on_lapsed_candidate, TO(CANDIDATE) },

    { NODE_CLOSED, NODE_EV_START, on_start, DOWN },
    { NODE_CLOSED, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_CLOSED, NODE_EV_HEARD, on_heard_primary, TO(CLOSED) | TO(FENCED) },
    { NODE_CLOSED, NODE_EV_TICK, on_tick_closed, TO(CLOSED) | TO(FENCED) },
    { NODE_CLOSED, NODE_EV_CAPTURED, on_captured, DOWN },
    { NODE_CLOSED, NODE_EV_ACKED, on_acked, TO(PRIMARY) },
    { NODE_CLOSED, NODE_EV_FAILED, on_failed_closed, TO(FENCED) },
    { NODE_CLOSED, NODE_EV_FENCED, on_fenced_late, TO(CLOSED) },
    { NODE_CLOSED, NODE_EV_STREAM, on_nothing, TO(CLOSED) },
    { NODE_CLOSED, NODE_EV_LAPSED, on_lapsed, TO(FENCED) },

    { NODE_PRIMARY, NODE_EV_START, on_start, DOWN },
    { NODE_PRIMARY, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_PRIMARY, NODE_EV_HEARD, on_heard_primary, TO(PRIMARY) | TO(FENCED) },
    { NODE_PRIMARY, NODE_EV_TICK, on_tick_primary, TO(PRIMARY) },
    { NODE_PRIMARY, NODE_EV_CAPTURED, on_captured, DOWN },
    { NODE_PRIMARY, NODE_EV_FREEZE, on_freeze, TO(DRAINING) },
    { NODE_PRIMARY, NODE_EV_THAW, on_nothing, TO(PRIMARY) },
    { NODE_PRIMARY, NODE_EV_BEGIN, on_begin, TO(CANDIDATE) },
    { NODE_PRIMARY, NODE_EV_FAILED, on_nothing, TO(PRIMARY) },
    { NODE_PRIMARY, NODE_EV_FENCED, on_fenced_late, TO(PRIMARY) },
    { NODE_PRIMARY, NODE_EV_STREAM, on_nothing, TO(PRIMARY) },
    { NODE_PRIMARY, NODE_EV_LAPSED, on_lapsed, TO(FENCED) },

    { NODE_DRAINING, NODE_EV_START, on_start, DOWN },
    { NODE_DRAINING, NODE_EV_LOST, on_lost, TO(FENCED) },
    { NODE_DRAINING, NODE_EV_HEARD, on_heard_primary, TO(DRAINING) | TO(FENCED) },
    { NODE_DRAINING, NODE_EV_TICK, on_tick_draining, TO(DRAINING) },
    { NODE_DRAINING, NODE_EV_CAPTURED, on_captured, DOWN },
    { NODE_DRAINING, NODE_EV_FREEZE, on_freeze_again, TO(DRAINING) },
    { NODE_DRAINING, NODE_EV_THAW, on_thaw, TO(DRAINING) },
    { NODE_DRAINING, NODE_EV_FROZEN, on_frozen, TO(DRAINING) | TO(PRIMARY) },
    { NODE_DRAINING, NODE_EV_REOPENED, on_reopened, TO(DRAINING) | TO(PRIMARY) },
    { NODE_DRAINING, NODE_EV_FENCED, on_fenced_late, TO(DRAINING) },
    { NODE_DRAINING, NODE_EV_STREAM, on_nothing, TO(DRAINING) },
    { NODE_DRAINING, NODE_EV_LAPSED, on_lapsed, TO(FENCED) },
};

static const struct node_rule *
find_rule(enum node_state from, enum node_event_kind on)
{
    for (size_t i = 0; i < ARRAY_COUNT(node_rules); i++) {
        if (node_rules[i].from == from && node_rules[i].on == on)
            return &node_rules[i];
    }
    return NULL;
}

void
node_init(struct node *node, const char *self, const struct node_limits *limits)
{
    *node = (struct node){ .limits = *limits, .state = NODE_FENCED };
    ASSERT(str_copy(node->self, sizeof node->self, self));
    set_reason(node, "started; the database was not yet asked");
}

void
node_set_peers(struct node *node, const char *const *names, size_t count)
{
    struct node_peer peers[NODE_MEMBERS_MAX] = { 0 };
    ASSERT(count <= NODE_MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < node->peer_count; j++) {
            if (strcmp(node->peers[j].name, names[i]) == 0)
                peers[i] = node->peers[j];
        }
        ASSERT(str_copy(peers[i].name, sizeof peers[i].name, names[i]));
    }
    memcpy(node->peers, peers, sizeof peers);
    node->peer_count = count;
}

void
node_note(struct node *node, const struct position *applied, const struct epoch *promised)
{
    if (applied != NULL) {
        node->own.applied = *applied;
        node->own.promised = *epoch_max(&node->own.promised, &applied->epoch);
    }
    if (promised != NULL)
        node->own.promised = *epoch_max(&node->own.promised, promised);
}

void
node_note_lease(struct node *node, bool leased, const struct epoch *granted)
{
    node->leased = leased;
    node->granted = granted == NULL ? (struct epoch){ 0 } : *granted;
}

void
node_note_arbiter(struct node *node, const struct epoch *promised)
{
    node->arbiter_promised = promised == NULL ? (struct epoch){ 0 } : *promised;
}

void
node_note_released(struct node *node, bool released)
{
    node->released = released;
}

static void
note_heard(struct node *node, const struct node_event *event)
{
    for (size_t i = 0; i < node->peer_count; i++) {
        if (strcmp(node->peers[i].name, event->facts->name) != 0)
            continue;
        node->peers[i].heard = true;
        node->peers[i].heard_ms = event->now_ms;
        node->peers[i].facts = *event->facts;
    }
}

enum err_code
node_step(struct node *node, const struct node_event *event, struct node_effects *ret_effects,
          struct err *err)
{
    ret_effects->count = 0;
    const struct node_rule *rule = find_rule(node->state, event->kind);
    if (rule == NULL)
        return err_set(err, ERR_CONFLICT, "node_no_rule", "%s has no place in %s",
                       event_names[event->kind], node_state_names[node->state]);
    if (event->record != NULL)
        node->record = *event->record;
    if (event->kind == NODE_EV_HEARD)
        note_heard(node, event);

    struct step_context context = { .event = event, .effects = ret_effects };
    struct epoch promised_before = node->own.promised;
    enum node_state next = rule->action(node, &context);
    ASSERT((rule->to & (1u << next)) != 0);
    ASSERT(event->kind == NODE_EV_START ||
           epoch_compare(&node->own.promised, &promised_before) >= 0); /* I3 */
    if (next != node->state)
        node->since_ms = event->now_ms;
    node->state = next;
    return ERR_NONE;
}

void
node_print_table(struct buf *into)
{
    for (unsigned from = 0; from < NODE_STATE_COUNT; from++) {
        for (unsigned on = 0; on < NODE_EV_COUNT; on++) {
            const struct node_rule *rule =
                find_rule((enum node_state)from, (enum node_event_kind)on);
            buf_printf(into, "%-10s %-9s ", node_state_names[from], event_names[on]);
            if (rule == NULL) {
                buf_add_text(into, "refused\n");
                continue;
            }
            const char *separator = "-> ";
            for (unsigned to = 0; to < NODE_STATE_COUNT; to++) {
                if ((rule->to & (1u << to)) == 0)
                    continue;
                buf_printf(into, "%s%s", separator, node_state_names[to]);
                separator = " | ";
            }
            buf_add_text(into, "\n");
        }
    }
}
