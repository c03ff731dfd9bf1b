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

static void
check_peers(const struct bounds *bounds)
{
    fail_at_most(
        bounds, SETTING_PEER_POLL_MS, setting_u64(SETTING_PEER_POLL_MS, bounds->source),
        setting_u64(SETTING_PEER_STALE_MS, bounds->source) / 2,
        "a fact must be heard twice in peer.stale_ms, or one lost answer makes it unknown");
    fail_at_most(bounds, SETTING_CHECK_INTERVAL_MS,
                 setting_u64(SETTING_CHECK_INTERVAL_MS, bounds->source),
                 setting_u64(SETTING_PEER_STALE_MS, bounds->source) / 2,
                 "a fact must be heard twice in peer.stale_ms, or one lost answer makes it "
                 "unknown");
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
    check_waits(&bounds);
    check_unguarded(&bounds);
}
