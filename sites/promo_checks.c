#include "sites/promo_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_finding(struct promo *promo, enum promo_check check, enum promo_verdict verdict,
                        const char *format, ...) PRINTF_LIKE(4, 5);

static void
set_finding(struct promo *promo, enum promo_check check, enum promo_verdict verdict,
            const char *format, ...)
{
    struct promo_finding *finding = &promo->findings[check];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    finding->verdict = verdict;
    if (verdict == PROMO_STOP && promo_check_may_override(check) &&
        (promo->order.overrides & (1u << check)) != 0)
        finding->verdict = PROMO_OVERRIDDEN;
}

const struct promo_member *
promo_find_primary(const struct promo *promo)
{
    const struct promo_member *primary = NULL;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        enum node_state state = member->facts.state;
        if (!member->answered || member->self)
            continue;
        if (state != NODE_PRIMARY && state != NODE_DRAINING && state != NODE_CLOSED)
            continue;
        if (primary == NULL || epoch_compare(&member->facts.epoch, &primary->facts.epoch) > 0)
            primary = member;
    }
    return primary;
}

bool
promo_would_follow(const struct promo *promo, const struct promo_member *member)
{
    unsigned schema = member->facts.schema; /* 0: its database was not yet asked */
    return !member->answered || schema == 0 || schema >= promo->own.schema;
}

/* The newest epoch that anybody has shown; a primary of an older one is no primary any more. */
struct epoch
promo_newest_epoch(const struct promo *promo)
{
    struct epoch newest = promo->arbiter.newest;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (!member->answered)
            continue;
        newest = *epoch_max(&newest, &member->facts.epoch);
        newest = *epoch_max(&newest, &member->facts.promised);
        newest = *epoch_max(&newest, &member->facts.applied.epoch);
    }
    return newest;
}

struct epoch
promo_newest_applied_epoch(const struct promo *promo)
{
    struct epoch newest = { 0 };
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (!member->answered)
            continue;
        newest = *epoch_max(&newest, &member->facts.applied.epoch);
        newest = *epoch_max(&newest, &member->facts.epoch);
    }
    return newest;
}

/* Revisions that the primary had, at least, and that are not here. */
static unsigned long long
missing(const struct promo *promo, const struct quorum_note *note)
{
    uint64_t here = promo->own.applied.revision;
    return note->revision > here ? note->revision - here : 0;
}

static void
check_quorum(struct promo *promo)
{
    const char *names[PROMO_MEMBERS_MAX];
    const char *old = NULL; /* as promo.c asks after the captures */
    char text[EPOCH_TEXT_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (!member->answered)
            continue;
        names[count++] = member->name;
        if (strcmp(member->name, promo->old_primary) == 0 &&
            epoch_equal(&member->facts.promised, &promo->old_epoch) && promo_old_is_last(promo))
            old = member->name;
    }
    size_t needed = quorum_needed(&promo->record.now);
    if (quorum_captured(&promo->record, names, count, old) &&
        quorum_captured(&promo->log, names, count, old))
        set_finding(promo, PROMO_CHECK_QUORUM, PROMO_OK,
                    "answering: %zu of %zu members, needed: %zu", count, promo->member_count,
                    needed);
    else if (promo->order.accept_data_loss)
        set_finding(promo, PROMO_CHECK_QUORUM, PROMO_OVERRIDDEN,
                    "answering: %zu of %zu members, needed: %zu; the loss is accepted", count,
                    promo->member_count, needed);
    else if (promo->record.now.k == 0 && promo->record.since[0] != '\0')
        set_finding(promo, PROMO_CHECK_QUORUM, PROMO_STOP,
                    "since %s a write is acknowledged when the primary alone has it, and it does "
                    "not answer",
                    promo->record.since);
    else if (promo->record.now.k == 0)
        set_finding(promo, PROMO_CHECK_QUORUM, PROMO_STOP,
                    "durability is async: only a primary knows what it has acknowledged, and not "
                    "every voter that may have been primary since epoch %s answers",
                    epoch_text(&promo->old_epoch, text));
    else
        set_finding(promo, PROMO_CHECK_QUORUM, PROMO_STOP,
                    "answering: %zu of %zu members, needed to hold every acknowledged write: %zu",
                    count, promo->member_count, needed);

    const struct quorum_note *note = &promo->arbiter.note;
    bool told = promo_goes_by_the_note(promo);
    struct quorum_record later =
        quorum_in_force(&promo->log, told ? note : NULL, &promo->own.applied.epoch);
    bool noted = later.noted > promo->log.noted ||
                 (told && note->given_up && later.since[0] != '\0' && note->number == later.noted);
    if (noted && !quorum_is_voter(&later, promo->self))
        set_finding(
            promo, PROMO_CHECK_SYNC, promo->order.accept_data_loss ? PROMO_OVERRIDDEN : PROMO_STOP,
            "%s goes on without %s since %s; at revision %llu then, %llu are here: at "
            "least %llu are missing",
            note->epoch.holder[0] == '\0' ? "the primary" : note->epoch.holder, promo->self,
            note->since[0] == '\0' ? "some time" : note->since, (unsigned long long)note->revision,
            (unsigned long long)promo->own.applied.revision, missing(promo, note));
    else if (quorum_is_voter(&promo->record, promo->self))
        set_finding(promo, PROMO_CHECK_SYNC, PROMO_OK, "%s is in the recorded sync set",
                    promo->self);
    else
        set_finding(promo, PROMO_CHECK_SYNC,
                    promo->order.accept_data_loss ? PROMO_OVERRIDDEN : PROMO_STOP,
                    promo->record.joint
                        ? "the sync set is changing, and %s is not in both, the old and the new"
                        : "%s is not in the recorded sync set",
                    promo->self);
}

static bool
every_voter_answers(const struct promo *promo)
{
    const char *names[PROMO_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < promo->member_count; i++) {
        if (promo->members[i].answered)
            names[count++] = promo->members[i].name;
    }
    return quorum_is_all(&promo->log, names, count);
}

static void
check_arbiter(struct promo *promo)
{
    const struct promo_arbiter *arbiter = &promo->arbiter;
    if (promo->log.arbiter == 0)
        set_finding(promo, PROMO_CHECK_ARBITER, PROMO_OK,
                    "not asked: no primary goes on alone by the durability that is set");
    else if (promo_arbiter_changes(promo) && every_voter_answers(promo))
        set_finding(promo, PROMO_CHECK_ARBITER, PROMO_OK,
                    "it was just being changed; but every voter answers, and whoever went on alone "
                    "is one of them");
    else if (arbiter->told && arbiter->row != promo->log.arbiter)
        set_finding(promo, PROMO_CHECK_ARBITER,
                    promo->order.accept_data_loss ? PROMO_OVERRIDDEN : PROMO_STOP,
                    "the arbiter was just being changed when %s was last heard of: who went on "
                    "alone may have told the one before",
                    promo->old_primary[0] == '\0' ? "the primary" : promo->old_primary);
    else if (!arbiter->told)
        set_finding(promo, PROMO_CHECK_ARBITER,
                    promo->order.accept_data_loss ? PROMO_OVERRIDDEN : PROMO_STOP,
                    "whether the old primary went on alone is not known: %s", arbiter->text);
    else
        set_finding(promo, PROMO_CHECK_ARBITER, PROMO_OK,
                    promo->degraded
                        ? "it was told that the old primary went on with fewer acknowledgements"
                        : "it was not told of any primary that goes on alone");
}

/* Where the promise may be given up, too few make it wait until the arbiter was told. */
static bool
may_give_up(const struct promo *promo)
{
    return promo->record.arbiter != 0 && promo->record.agreed && promo->arbiter.told;
}

/* Strict durability waits: a primary whose writes nobody can acknowledge is none. To open it all
 * the same is the operator's word that the others are off. */
static void
check_acks(struct promo *promo)
{
    struct promo_acks acks = promo_count_acks(promo);
    unsigned k = acks.wanted;
    unsigned others = acks.possible;
    if (others >= k)
        set_finding(promo, PROMO_CHECK_ACKS, PROMO_OK,
                    "acknowledgements of a write: %u needed, %u possible", k, others);
    else if (promo->order.accept_data_loss)
        set_finding(promo, PROMO_CHECK_ACKS, PROMO_OVERRIDDEN,
                    "acknowledgements of a write: %u needed, %u possible: %u will be needed", k,
                    others, others);
    else if (may_give_up(promo))
        set_finding(promo, PROMO_CHECK_ACKS, PROMO_WARN,
                    "acknowledgements of a write: %u needed, %u possible: writes wait until the "
                    "arbiter has granted the lease and was told that fewer count",
                    k, others);
    else
        set_finding(promo, PROMO_CHECK_ACKS, PROMO_STOP,
                    "acknowledgements of a write: %u needed, %u possible: writes would wait", k,
                    others);
}

static void
check_schema(struct promo *promo, const struct promo_member *primary)
{
    unsigned own = promo->own.schema;
    if (promo->mode == PROMO_SWITCHOVER && own < primary->facts.schema) {
        set_finding(promo, PROMO_CHECK_SCHEMA, PROMO_STOP, "schema %u here, %u at %s", own,
                    primary->facts.schema, primary->name);
        return;
    }
    for (size_t i = 0; i < promo->member_count; i++) {
        const struct promo_member *member = &promo->members[i];
        if (promo_would_follow(promo, member))
            continue;
        set_finding(promo, PROMO_CHECK_SCHEMA, PROMO_WARN,
                    "schema %u here; %s has %u, and follows only when it is upgraded", own,
                    member->name, member->facts.schema);
        return;
    }
    set_finding(promo, PROMO_CHECK_SCHEMA, PROMO_OK, "schema %u", own);
}

static void
check_primary(struct promo *promo, const struct promo_member *primary)
{
    char text[EPOCH_TEXT_SIZE];
    (void)epoch_text(&promo->old_epoch, text);
    if (promo->mode == PROMO_SWITCHOVER && promo->order.takeover)
        set_finding(promo, PROMO_CHECK_PRIMARY, PROMO_STOP,
                    "%s answers as primary of epoch %s after all", primary->name, text);
    else if (promo->mode == PROMO_SWITCHOVER)
        set_finding(promo, PROMO_CHECK_PRIMARY, PROMO_OK, "%s answers as primary of epoch %s",
                    primary->name, text);
    else if (promo->mode == PROMO_RENEWAL)
        set_finding(promo, PROMO_CHECK_PRIMARY, PROMO_OK, "%s renews its own epoch after %s",
                    promo->self, text);
    else
        set_finding(promo, PROMO_CHECK_PRIMARY, PROMO_WARN,
                    "nobody answers as primary; last epoch %s: this is a failover", text);

    if (promo->mode != PROMO_SWITCHOVER)
        set_finding(promo, PROMO_CHECK_STREAMING, PROMO_OK, "not asked in a %s",
                    promo_mode_name(promo->mode));
    else if (!promo->own.streaming || strcmp(promo->own.following, primary->name) != 0)
        set_finding(promo, PROMO_CHECK_STREAMING, PROMO_STOP, "%s does not receive from %s",
                    promo->self, primary->name);
    else
        set_finding(promo, PROMO_CHECK_STREAMING, PROMO_OK,
                    "%s receives from %s, revision %llu of %llu", promo->self, primary->name,
                    (unsigned long long)promo->own.applied.revision,
                    (unsigned long long)primary->facts.applied.revision);
}

void
promo_run_checks(struct promo *promo, const struct promo_member *primary)
{
    set_finding(promo, PROMO_CHECK_MEMBER, PROMO_OK, "%s of site %s", promo->self, promo->own.site);
    check_primary(promo, primary);
    check_schema(promo, primary);
    check_quorum(promo);
    check_arbiter(promo);
    check_acks(promo);
    if (promo->order.history_differs)
        set_finding(promo, PROMO_CHECK_DIGEST, PROMO_STOP,
                    "the log here holds another history than the primary's");
    else
        set_finding(promo, PROMO_CHECK_DIGEST, PROMO_OK, "no other history is known");
    if (promo->order.connectors_ready || promo->mode == PROMO_RENEWAL)
        set_finding(promo, PROMO_CHECK_CONNECTORS, PROMO_OK, "%s",
                    promo->order.connectors_text[0] == '\0' ? "the servers it would use answer"
                                                            : promo->order.connectors_text);
    else
        set_finding(promo, PROMO_CHECK_CONNECTORS,
                    promo->mode == PROMO_SWITCHOVER ? PROMO_STOP : PROMO_WARN, "%s",
                    promo->order.connectors_text);
    if ((promo->order.overrides & (1u << PROMO_CHECK_FREEZE)) != 0)
        set_finding(promo, PROMO_CHECK_FREEZE, PROMO_OVERRIDDEN,
                    "the old primary will not be asked to stop");
    else
        set_finding(promo, PROMO_CHECK_FREEZE, PROMO_OK, "%s",
                    promo->mode == PROMO_SWITCHOVER ? "the old primary will stop taking writes"
                                                    : "nobody to freeze");
}
