#include "sites/setting.h"

#include <inttypes.h>
#include <string.h>

#include "controller/base/json.h"
#include "sites/lease.h"

struct bounds {
    const struct setting_source *source;
    struct fault_list *faults;
};

static void
fail_at_most(const struct bounds *bounds, enum setting_id id, uint64_t value, uint64_t most,
             const char *why)
{
    char pointer[FAULT_POINTER_SIZE];
    if (value <= most)
        return;
    fault_pointer(pointer, "", setting_row(id)->name);
    fault_add(bounds->faults, pointer, "%" PRIu64 " %s, but at most %" PRIu64 ": %s", value,
              setting_row(id)->unit, most, why);
}

static void
check_lease(const struct bounds *bounds)
{
    uint64_t ttl_ms = setting_u64(SETTING_LEASE_TTL_MS, bounds->source);
    fail_at_most(bounds, SETTING_LEASE_RENEW_MS,
                 setting_u64(SETTING_LEASE_RENEW_MS, bounds->source),
                 (ttl_ms - lease_guard_ms(ttl_ms)) / 2,
                 "a lease of lease.ttl_ms must see two renewals before its guard begins");
}

/* The next look begins when the one before is over, if that takes longer than the pause. */
static void
check_peers(const struct bounds *bounds)
{
    uint64_t stale_ms = setting_u64(SETTING_PEER_STALE_MS, bounds->source);
    uint64_t timeout_ms = setting_u64(SETTING_PEER_TIMEOUT_MS, bounds->source);
    uint64_t most_ms = stale_ms - 2 * (uint64_t)setting_row(SETTING_PEER_POLL_MS)->min;
    static const char *const why =
        "two pauses and a peer.timeout_ms must fit in peer.stale_ms, or one lost answer makes a "
        "fact unknown; raise peer.stale_ms, or lower peer.timeout_ms or this";
    fail_at_most(bounds, SETTING_PEER_TIMEOUT_MS, timeout_ms, most_ms,
                 "peer.stale_ms must leave room for two looks beside a lost one; raise it, or "
                 "lower this");
    if (timeout_ms > most_ms)
        return;
    fail_at_most(bounds, SETTING_PEER_POLL_MS, setting_u64(SETTING_PEER_POLL_MS, bounds->source),
                 (stale_ms - timeout_ms) / 2, why);
    fail_at_most(bounds, SETTING_CHECK_INTERVAL_MS,
                 setting_u64(SETTING_CHECK_INTERVAL_MS, bounds->source),
                 (stale_ms - timeout_ms) / 2, why);
}

static void
check_probes(const struct bounds *bounds)
{
    fail_at_most(bounds, SETTING_PROBE_TIMEOUT_MS,
                 setting_u64(SETTING_PROBE_TIMEOUT_MS, bounds->source),
                 setting_u64(SETTING_PROBE_INTERVAL_MS, bounds->source),
                 "a probe must be over when the next is due; raise probe.interval_ms, or lower "
                 "this");
}

static void
check_instances(const struct bounds *bounds)
{
    fail_at_most(bounds, SETTING_INSTANCE_HEARTBEAT_MS,
                 setting_u64(SETTING_INSTANCE_HEARTBEAT_MS, bounds->source),
                 setting_u64(SETTING_INSTANCE_SILENCE_MS, bounds->source) / 2,
                 "one lost heartbeat is no silence: two must fit in instance.silence_ms; raise it, "
                 "or lower this");
}

static void
check_waits(const struct bounds *bounds)
{
    fail_at_most(bounds, SETTING_SYNC_WAIT_MS, setting_u64(SETTING_SYNC_WAIT_MS, bounds->source),
                 setting_u64(SETTING_SYNC_COMMIT_WAIT_MS, bounds->source),
                 "after sync.commit_wait_ms a write is answered with outcome unknown");
}

static bool
has_arbiter(const struct setting_source *source)
{
    struct setting_stored stored = { 0 };
    const char *kind;
    return source->find(source->data, SETTING_LAYER_CLUSTER, "",
                        setting_row(SETTING_SYSTEM_ARBITER)->name, &stored) &&
           json_get_string(stored.value, "kind", &kind) && strcmp(kind, "manual") != 0;
}

/* Without an arbiter is a choice of its own, not a fall-back. */
static void
check_unguarded(const struct bounds *bounds)
{
    static const enum setting_id ids[] = { SETTING_TAKEOVER_WITHIN_SITE,
                                           SETTING_TAKEOVER_ACROSS_SITES };
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        char pointer[FAULT_POINTER_SIZE];
        if (strcmp(setting_text(ids[i], bounds->source), "unguarded") != 0 ||
            !has_arbiter(bounds->source))
            continue;
        fault_pointer(pointer, "", setting_row(ids[i])->name);
        fault_add(bounds->faults, pointer,
                  "'unguarded' is for clusters without an arbiter, and this one has one; choose "
                  "automatic");
    }
}

void
setting_bound_faults(const struct setting_source *source, struct fault_list *faults)
{
    struct bounds bounds = { .source = source, .faults = faults };
    check_lease(&bounds);
    check_peers(&bounds);
    check_probes(&bounds);
    check_instances(&bounds);
    check_waits(&bounds);
    check_unguarded(&bounds);
}
