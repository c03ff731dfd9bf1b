#include "sites/budget.h"

#include <inttypes.h>
#include <string.h>

#include "controller/base/check.h"
#include "sites/lease.h"
#include "sites/takeover.h"

#define X(symbol, name, text) name,
static const char *const case_names[] = { BUDGET_CASE_TABLE(X) };
#undef X
#define X(symbol, name, text) text,
static const char *const case_texts[] = { BUDGET_CASE_TABLE(X) };
#undef X

const char *
budget_case_name(enum budget_case which)
{
    return case_names[which];
}

const char *
budget_case_text(enum budget_case which)
{
    return case_texts[which];
}

const char *
budget_phase_name(enum budget_phase phase)
{
    static const char *const names[] = { "detect", "writes", "act" };
    return names[phase];
}

/* What the sums are made of. */
struct input {
    struct takeover_settings takeover;
    struct lease_config lease;
    bool has_arbiter;
    unsigned member_count;
    uint64_t poll_ms;
    uint64_t timeout_ms;
    uint64_t call_ms;
    uint64_t step_ms;
    uint64_t activation_ms;
};

static void
add(struct budget_path *path, enum budget_phase phase, uint64_t ms, const char *settings,
    const char *text)
{
    ASSERT(path->count < BUDGET_TERMS_MAX);
    path->terms[path->count++] =
        (struct budget_term){ .phase = phase, .settings = settings, .text = text, .ms = ms };
    for (unsigned later = phase; later < BUDGET_PHASE_COUNT; later++)
        path->until_ms[later] += ms;
}

/* A member more than the two that the failover is between. */
static bool
has_witnesses(const struct input *input)
{
    return input->member_count > 2;
}

static void
add_order(struct budget_path *path, const struct input *input)
{
    uint64_t step_ms = input->takeover.delay_ms > TAKEOVER_STEP_MS_MIN ? input->takeover.delay_ms
                                                                       : TAKEOVER_STEP_MS_MIN;
    if (has_witnesses(input))
        add(path, BUDGET_DETECT, (input->member_count - 2) * step_ms, "takeover.delay_ms",
            "every better candidate has its time, and does not use it");
}

static void
detect_process(struct budget_path *path, const struct input *input)
{
    add(path, BUDGET_DETECT, input->poll_ms, "peer.poll_ms",
        "until the primary is asked again, and its host refuses");
    if (has_witnesses(input))
        add(path, BUDGET_DETECT, input->poll_ms, "peer.poll_ms",
            "until another member, which saw it as late, is asked again");
    add(path, BUDGET_DETECT, input->takeover.delay_ms, "takeover.delay_ms",
        "it has to stay gone for so long");
    add_order(path, input);
}

static void
detect_host(struct budget_path *path, const struct input *input)
{
    uint64_t delay_ms = input->takeover.delay_ms;
    uint64_t silent_ms = input->poll_ms + input->timeout_ms;
    if (has_witnesses(input))
        silent_ms += input->poll_ms;
    uint64_t over_ms = input->lease.ttl_ms + 2 * input->lease.renew_ms;
    if (!input->has_arbiter)
        add(path, BUDGET_DETECT,
            silent_ms + (delay_ms > input->takeover.fresh_ms ? delay_ms : input->takeover.fresh_ms),
            "peer.poll_ms, peer.timeout_ms, peer.stale_ms, takeover.delay_ms",
            "unguarded: until nobody has heard of it for long enough");
    else if (silent_ms + delay_ms > over_ms)
        add(path, BUDGET_DETECT, silent_ms + delay_ms,
            "peer.poll_ms, peer.timeout_ms, takeover.delay_ms",
            "until nobody has heard of it for long enough; its lease has run out by then");
    else
        add(path, BUDGET_DETECT, over_ms, "lease.ttl_ms, lease.renew_ms",
            "until its lease, renewed just before, has run out and the arbiter was asked");
    add_order(path, input);
}

/* The steps of a failover, each with its deadline: see promo.h. */
static void
promote(struct budget_path *path, const struct input *input)
{
    add(path, BUDGET_WRITES, input->call_ms, "promote.call_ms", "every member is asked");
    add(path, BUDGET_WRITES, input->call_ms + input->step_ms, "promote.call_ms, promote.step_ms",
        "the members promise, those that are needed later than asked");
    add(path, BUDGET_WRITES, input->step_ms, "promote.step_ms",
        "rows that only another member has are pulled");
    add(path, BUDGET_WRITES, input->step_ms, "promote.step_ms", "slots are made");
    add(path, BUDGET_WRITES, input->step_ms, "promote.step_ms", "the database takes the epoch");
    add(path, BUDGET_WRITES, input->step_ms, "promote.step_ms", "the first row is acknowledged");
}

static void
act(struct budget_path *path, const struct input *input)
{
    uint64_t over_ms = input->lease.ttl_ms + 2 * input->lease.renew_ms;
    uint64_t now_ms = path->until_ms[BUDGET_WRITES];
    if (input->has_arbiter) {
        if (over_ms > now_ms)
            add(path, BUDGET_ACT, over_ms - now_ms, "lease.ttl_ms, lease.renew_ms",
                "until the rest of the old lease has run out");
        add(path, BUDGET_ACT, input->lease.ttl_ms, "lease.ttl_ms",
            "one more lease, unless the old primary is known to have stopped");
    }
    add(path, BUDGET_ACT, input->activation_ms, "activation.timeout_ms",
        "a connector server is made the one in use; a connector may set a time of its own");
}

static bool
is_automatic(const struct input *input)
{
    enum takeover_how wanted = input->has_arbiter ? TAKEOVER_AUTOMATIC : TAKEOVER_UNGUARDED;
    return input->takeover.within_site == wanted || input->takeover.across_sites == wanted;
}

void
budget_compute(const struct setting_source *source, bool has_arbiter, unsigned member_count,
               struct budget *ret)
{
    struct input input = {
        .takeover = takeover_settings_from(source),
        .lease = lease_config_from(source, has_arbiter ? 1 : 0),
        .has_arbiter = has_arbiter,
        .member_count = member_count,
        .poll_ms = setting_check_interval_ms(source),
        .timeout_ms = setting_u64(SETTING_PEER_TIMEOUT_MS, source),
        .call_ms = setting_u64(SETTING_PROMOTE_CALL_MS, source),
        .step_ms = setting_u64(SETTING_PROMOTE_STEP_MS, source),
        .activation_ms = setting_u64(SETTING_ACTIVATION_TIMEOUT_MS, source),
    };
    *ret = (struct budget){ .rto_ms = setting_u64(SETTING_RTO_MS, source) };
    ret->automatic = member_count > 1 && is_automatic(&input);
    if (!ret->automatic)
        return;
    detect_process(&ret->paths[BUDGET_PROCESS], &input);
    detect_host(&ret->paths[BUDGET_HOST], &input);
    for (unsigned i = 0; i < BUDGET_CASE_COUNT; i++) {
        promote(&ret->paths[i], &input);
        act(&ret->paths[i], &input);
    }
}

static bool
is_beyond(const struct budget *budget, enum budget_case which)
{
    return budget->rto_ms != 0 && budget->automatic &&
           budget->paths[which].until_ms[BUDGET_ACT] > budget->rto_ms;
}

static void
add_beyond(const struct budget *budget, enum budget_case which, struct fault_list *faults)
{
    const struct budget_path *path = &budget->paths[which];
    const struct budget_term *most = &path->terms[0];
    for (size_t at = 1; at < path->count; at++) {
        if (path->terms[at].ms > most->ms)
            most = &path->terms[at];
    }
    fault_add(faults, "/rto_ms",
              "%s: %" PRIu64 " ms may pass, and rto_ms allows %" PRIu64
              "; the largest part is %" PRIu64 " ms of %s",
              case_texts[which], path->until_ms[BUDGET_ACT], budget->rto_ms, most->ms,
              most->settings);
}

void
budget_faults(const struct budget *budget, struct fault_list *faults)
{
    for (unsigned i = 0; i < BUDGET_CASE_COUNT; i++) {
        if (is_beyond(budget, (enum budget_case)i))
            add_beyond(budget, (enum budget_case)i, faults);
    }
}

static bool
has_fault(const struct fault_list *faults, const struct fault *fault)
{
    for (size_t i = 0; i < faults->count; i++) {
        if (strcmp(faults->list[i].pointer, fault->pointer) == 0 &&
            strcmp(faults->list[i].text, fault->text) == 0)
            return true;
    }
    return false;
}

void
budget_change_faults(const struct budget_view *before, const struct budget_view *after,
                     struct fault_list *faults)
{
    struct fault_list old = { 0 };
    struct fault_list new = { 0 };
    struct budget was;
    struct budget is;
    setting_bound_faults(before->source, &old);
    setting_bound_faults(after->source, &new);
    for (size_t i = 0; i < new.count; i++) {
        if (!has_fault(&old, &new.list[i]))
            fault_add(faults, new.list[i].pointer, "%s", new.list[i].text);
    }
    budget_compute(before->source, before->has_arbiter, before->member_count, &was);
    budget_compute(after->source, after->has_arbiter, after->member_count, &is);
    for (unsigned i = 0; i < BUDGET_CASE_COUNT; i++) {
        bool no_worse = is_beyond(&was, (enum budget_case)i) && is.rto_ms >= was.rto_ms &&
                        is.paths[i].until_ms[BUDGET_ACT] <= was.paths[i].until_ms[BUDGET_ACT];
        if (is_beyond(&is, (enum budget_case)i) && !no_worse)
            add_beyond(&is, (enum budget_case)i, faults);
    }
}
