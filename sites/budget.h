/*
 * budget.h -- how long an outage may last at worst, from the settings alone ("baton budget"). Pure.
 *
 *   failure --DETECT--> a promotion begins --WRITES--> writes are open --ACT--> a connector server
 *                                                                               is active again
 *
 * Every term is a bound that the code keeps: what takes longer is given up, so the sum is the
 * longest that a takeover which succeeds can take. Usual times are far below, because steps end
 * when they are done. Terms that run beside each other are counted once: the longer one.
 * Where a person decides there is no bound, and none is computed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/fault.h"
#include "sites/setting.h"

#define BUDGET_TERMS_MAX 16

/*    symbol, name, text */
#define BUDGET_CASE_TABLE(X)                                                                       \
    X(PROCESS, "process", "the primary's processes are gone, and its host says so")                \
    X(HOST, "host", "the primary's host is silent")

enum budget_case {
#define X(symbol, name, text) BUDGET_##symbol,
    BUDGET_CASE_TABLE(X)
#undef X
        BUDGET_CASE_COUNT
};
const char *budget_case_name(enum budget_case which);
const char *budget_case_text(enum budget_case which);

enum budget_phase { BUDGET_DETECT, BUDGET_WRITES, BUDGET_ACT, BUDGET_PHASE_COUNT };
const char *budget_phase_name(enum budget_phase phase);

struct budget_term {
    enum budget_phase phase;
    const char *settings; /* the keys that it comes from */
    const char *text;
    uint64_t ms;
};

struct budget_path {
    struct budget_term terms[BUDGET_TERMS_MAX];
    size_t count;
    uint64_t until_ms[BUDGET_PHASE_COUNT]; /* from the failure to the end of each phase */
};

struct budget {
    bool automatic; /* false: a person decides, 'paths' is empty */
    struct budget_path paths[BUDGET_CASE_COUNT];
    uint64_t rto_ms; /* as declared; 0: not */
};

/*
 * For the site of 'source'. 'member_count': all nodes of the cluster. 'has_arbiter': without one
 * nothing is automatic but what is unguarded.
 */
void budget_compute(const struct setting_source *source, bool has_arbiter, unsigned member_count,
                    struct budget *ret);

/* A fault at "/rto_ms" for each case that could take longer than declared, with its largest term.
 */
void budget_faults(const struct budget *budget, struct fault_list *faults);

/* What a change of settings is judged by. */
struct budget_view {
    const struct setting_source *source; /* borrowed; of one site */
    bool has_arbiter;
    unsigned member_count;
};

/*
 * What speaks against a change: pairs of settings that do not fit any more (setting_bound_faults())
 * and cases beyond rto_ms. What was so before and becomes no worse is no fault of the change: it
 * can be mended step by step.
 */
void budget_change_faults(const struct budget_view *before, const struct budget_view *after,
                          struct fault_list *faults);
