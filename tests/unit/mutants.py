"""Breaks lease, takeover, budget, durability, readiness, sealing, backups, instances and spreading on purpose, one rule at a time, and demands that the tests of this folder see it.

    mutants.py [--quick] [--seeds N] [NAME ...]     all, or those whose name contains a NAME

A mutant is a change of a shipped source (sites/), made in a copy, which is compiled, linked with the tests and run.
One that no longer applies, or that nothing catches, fails. Those by which two may act (I9) have to be found by what
happens by chance (test_lease_pair), within N seeds; with --quick the cases of test_lease or few seeds will do.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", '-DBATON_VERSION="0"', "-O1", "-w"]
LIBRARIES = ["-lcmocka", "-ljson-c", "-lsystemd", "-lcrypto"]
BESIDE_SITES = ["controller/activation/sign.c", "controller/activation/sign_check.c", "controller/activation/sign_key.c",
                "controller/loop/digest.c"]
BY_CHANCE, QUICK_SEEDS = "test_lease_pair", "1500"
WORKERS = 2

LEASE, KNOWN, ASK = "sites/lease.c", "sites/lease_known.c", "sites/lease_ask.c"
TAKEOVER, BUDGET, BOUNDS = "sites/takeover.c", "sites/budget.c", "sites/setting_bounds.c"
DEGRADE, QUORUM, NODE = "sites/degrade.c", "sites/quorum.c", "sites/node.c"
READY, SEALING = "sites/ready.c", "sites/sealing.c"
INSTANCE, SPREAD, BACKUP = "sites/instance.c", "sites/spread.c", "sites/backup.c"
ADDRESS = "sites/address.c"
NOTICE, NOTICE_QUEUE = "sites/notice.c", "sites/notice_queue.c"
WORDS = "sites/promo_words.c"
PROMO, CAPTURE, CHECKS, WHO = ("sites/promo.c", "sites/promo_capture.c", "sites/promo_checks.c",
                               "sites/promo_quorum.c")

# name: (file, what stands there exactly once, what takes its place)
TWO_ACT = {
    "a lease counts from its answer": (
        KNOWN, "lease_end_of(context->event->reply->sent_ms, lease->ttl_ms)",
        "lease_end_of(context->event->now_ms, lease->ttl_ms)"),
    "no guard before the end": (KNOWN, "sent_ms + ttl_ms - guard_ms", "sent_ms + ttl_ms"),
    "who wakes too late goes on": (
        LEASE, "    if (expired)\n        run_rule(lease, &context, LEASE_EV_EXPIRE);\n", ""),
    "an unclear answer is a renewal": (
        KNOWN, "    case LEASE_RESULT_UNCLEAR:\n        lease_note_unclear(lease, context, reply->text);\n        return true;\n",
        "    case LEASE_RESULT_UNCLEAR:\n        *ret_result = LEASE_RESULT_GRANTED;\n        break;\n"),
    "nobody is waited for": (KNOWN, "    return lease_max_u64(over ? 0 : lease->wait_ms, lease->sworn_ms);", "    return 0;"),
    "any proof counts": (KNOWN, "epoch_equal(&lease->last, &lease->proved)", "lease->proved.number != 0"),
    "the record's own time does not count": (
        LEASE, "lease_max_u64(lease->ttl_ms, lease->config.ttl_ms),\n                                                lease->longest_ms)",
        "lease->ttl_ms, lease->config.ttl_ms)"),
    "what was shown before is forgotten": (KNOWN, "now_ms - lease->longest_seen_ms >= lease->longest_ms", "true"),
    "released while it acts": (ASK, "        return lease->stopped;", "        return true;"),
    "who never acted releases": (
        LEASE, "    return rest(lease); /* not released, if it was granted: who acted before may still act */",
        "    lease->repeat_ms = context->event->now_ms + lease->ttl_ms;\n    lease->ask_ms = context->event->now_ms;\n"
        "    lease->deadline_ms = 0;\n    lease->asking = false;\n    return LEASE_STATE_RELEASING;"),
    "failsafe with a member missing": (
        KNOWN, "    for (size_t i = 0; i < lease->member_count; i++)\n        oldest_ms =",
        "    for (size_t i = 0; i < lease->member_count; i++)\n        if (lease->members[i].asked_ms != 0)\n        oldest_ms ="),
    "failsafe by a word for an earlier epoch": (
        LEASE, "    if (!epoch_equal(&event->epoch, &lease->epoch))\n        return lease->state; /* an answer",
        "    if (false)\n        return lease->state; /* an answer"),
    "a refusal is a word": (LEASE, "event->ok ? lease_max_u64(member->asked_ms, event->asked_ms) : 0",
                            "lease_max_u64(member->asked_ms, event->asked_ms)"),
    "words outlive the epoch": (LEASE, "        lease->members[i].asked_ms = 0;", "        (void)i;"),
    "an arbiter that is being changed is asked": (ASK, "lease->config.arbiter == 0 || lease->hold", "lease->config.arbiter == 0"),
}
LEASE_MUTANTS = {
    "a word is not kept": (
        KNOWN, "lease_max_u64(over ? 0 : lease->wait_ms, lease->sworn_ms)", "(over ? 0 : lease->wait_ms)"),
    "failsafe counts from the answer": (
        LEASE, "lease_max_u64(member->asked_ms, event->asked_ms)", "event->now_ms"),
    "what was released is granted again": (KNOWN, "        return !record->released;", "        return true;"),
    "a start is no word": (LEASE, "    if (!lease->configured) /*", "    if (false) /*"),
    "a shorter lease counts later": (LEASE, "    if (lease->deadline_ms > shorter_ms) {", "    if (false) {"),
    "any release counts": (LEASE, "epoch_compare(&lease->prior, &lease->before) >= 0", "true"),
    "the fence comes before the stop": (
        LEASE, "    forbid(lease, context);\n    lease_emit(context, LEASE_DO_FENCE)->epoch = lease->epoch;\n",
        "    lease_emit(context, LEASE_DO_FENCE)->epoch = lease->epoch;\n    forbid(lease, context);\n"),
    "an answer to an earlier question counts": (
        KNOWN, "!lease->asking || reply->serial != lease->serial", "!lease->asking"),
    "a grant brings back what was lost": (
        LEASE, "{ LEASE_STATE_LOST, LEASE_EV_REPLY, on_nothing, TO(LOST) }",
        "{ LEASE_STATE_LOST, LEASE_EV_REPLY, on_granted, TO(LOST) | TO(HELD) }"),
    "an arbiter that forgot is believed": (
        KNOWN, "reply->known && epoch_compare(&reply->record.epoch, &lease->memory.seen) < 0", "false"),
    "an empty arbiter is asked for a lease": (ASK, "lease->empty || lease->restored", "lease->restored"),
    "an old reading names the last one": (KNOWN, "now_ms - lease->at_ms <= LEASE_READ_MS &&", "true &&"),
    "who follows another wants its lease": (
        LEASE, "{ LEASE_STATE_WANTED, LEASE_EV_WORD, on_word_wanting,", "{ LEASE_STATE_WANTED, LEASE_EV_WORD, on_word,"),
    "nothing is configured, and all is allowed": (
        LEASE, ".state = LEASE_STATE_IDLE, .hold = true, .stopped = true", ".state = LEASE_STATE_NONE, .stopped = true"),
    "a shorter renewal for ever": (KNOWN, "    lease->ttl_ms = lease->asked_ttl_ms;\n", ""),
    "permission outlives the deadline": (KNOWN, "(!lease_has_deadline(lease->state) || now_ms < lease->deadline_ms)", "true"),
    "what a RELEASE may still take away is granted": (
        KNOWN, "    if (epoch_equal(&lease->given_up, &lease->epoch))\n        return false;\n", ""),
    "an old confirmation counts": (KNOWN, "lease->granted_ms <= lease->wanted_ms + lease->ttl_ms / 2", "true"),
    "an interrupted wait goes on": (LEASE, "    lease->wait_ms = 0; /* nobody knows", "    /* nobody knows"),
    "a question names no grant": (
        ASK, "epoch_equal(&effect->epoch, &lease->epoch) ? lease->grant : lease->at.grant;", "0;"),
    "no lease is noted": (ASK, "    if (context->memory_changed)\n", "    if (false)\n"),
    "no alarm rings at the deadline": (ASK, "        wake_at(&next_ms, lease->deadline_ms);", "        (void)next_ms;"),
}
TAKEOVER_MUTANTS = {
    "silence is a proof": (TAKEOVER, "        return EYES_SILENT;\n    case TAKEOVER_PATH_REFUSED:", "        return EYES_GONE;\n    case TAKEOVER_PATH_REFUSED:"),
    "its database is not looked at": (TAKEOVER, "sight->postgres.kind == TAKEOVER_PATH_REFUSED ? EYES_GONE : EYES_SILENT", "EYES_GONE"),
    "a sight counts for ever (I13)": (TAKEOVER, "    return path->asked_ms + for_ms >= now_ms;", "    return true;"),
    "what was asked long ago is of now when it is heard now": (TAKEOVER, "        path->asked_ms = asked_ms;", "        path->asked_ms = now_ms;"),
    "who did not look counts on": (TAKEOVER, "path->kind == kind && path->asked_ms + fresh_ms >= asked_ms", "path->kind == kind"),
    "a database that was not asked lately is gone": (
        TAKEOVER, "!is_path_fresh(view, &sight->https) || !is_path_fresh(view, &sight->postgres)", "!is_path_fresh(view, &sight->https)"),
    "another that did not look says that it is gone": (
        TAKEOVER, "!is_path_fresh(view, &sight->https) || !is_path_fresh(view, &sight->postgres)", "!is_path_fresh(view, &sight->postgres)"),
    "who did not look judges by the lease and by silence": (TAKEOVER, "    else if (!is_path_fresh(view, &view->sight.https))\n", "    else if (false)\n"),
    "silence is old before its timeout": (TAKEOVER, "path->kind == TAKEOVER_PATH_REFUSED ? fresh_ms : 2 * fresh_ms", "fresh_ms"),
    "the others are not asked": (TAKEOVER, "seen.others == 0 || seen.answering > 0", "true"),
    "who meets the primary is overheard": (TAKEOVER, "    if (seen.acts != NULL)\n", "    if (false)\n"),
    "the first sign is enough": (TAKEOVER, "if (view->now_ms >= since_ms + hold_ms)", "if (true)"),
    "the last to see it gone does not count": (TAKEOVER, "    observed->since_ms = later(observed->since_ms, since_ms);", "    observed->since_ms = since_ms;"),
    "a lease that was read long ago is over": (TAKEOVER, "!lease->restored && ago(view, lease->record_ms) <= view->settings.fresh_ms", "!lease->restored"),
    "a restored record is believed": (TAKEOVER, "    else if (lease->restored)\n", "    else if (false)\n"),
    "no arbiter is as good": (TAKEOVER, "        if (arbiter)\n            pass(judge, \"%s is automatic\", key);", "        if (true)\n            pass(judge, \"%s is automatic\", key);"),
    "unguarded beside an arbiter": (TAKEOVER, "        if (arbiter)\n            fail(judge, \"%s is unguarded", "        if (false)\n            fail(judge, \"%s is unguarded"),
    "a restart at the wrong site": (TAKEOVER, "strcmp(view->own.site, view->primary_site) == 0 ? view->settings.within_site", "true ? view->settings.within_site"),
    "priority 0 takes over": (TAKEOVER, "    if (judge->view->settings.priority == 0)\n", "    if (false)\n"),
    "who is no voter takes over (I13)": (TAKEOVER, "    if (quorum_is_voter(judge->view->record, judge->view->own.name))", "    if (true)"),
    "who received nothing takes over (I13)": (TAKEOVER, "    else if (view->streamed_ms + view->settings.fresh_ms < view->primary_ms)", "    else if (false)"),
    "another history takes over (I13)": (TAKEOVER, "    case TAKEOVER_DIGEST_DIFFERENT:\n        fail(", "    case TAKEOVER_DIGEST_DIFFERENT:\n        pass("),
    "an old comparison counts (I13)": (TAKEOVER, "    if (age_ms > view->settings.digest_ms)", "    if (false)"),
    "connectors do not matter": (TAKEOVER, "    if (judge->view->connectors_ready)", "    if (true)"),
    "no quorum is needed": (TAKEOVER, "    if (has_quorum(view)) {", "    if (true) {"),
    "the dead primary makes the quorum": (TAKEOVER, "        bool asked =\n            !is_primary(view, &view->peers[i]) ||", "        bool asked = true ||"),
    "two promote at once": (TAKEOVER, "peer->facts.state == NODE_CANDIDATE", "false"),
    "a pause does not hold": (TAKEOVER, "    if (view->paused_until_ms <= view->now_ms)", "    if (true)"),
    "no cool-down": (TAKEOVER, "view->recent_ago_ms[0] >= view->settings.cooldown_ms", "true"),
    "once too often within the hour": (TAKEOVER, "    if (count < view->settings.per_hour_max) {", "    if (count <= view->settings.per_hour_max) {"),
    "the worst goes first": (TAKEOVER, "return a.priority > b.priority;", "return a.priority < b.priority;"),
    "who cannot is waited for": (TAKEOVER, "is_primary(view, peer) || !peer->able ||", "is_primary(view, peer) ||"),
    "nobody waits for a better one": (TAKEOVER, "    uint64_t extra_ms = rank * later(", "    uint64_t extra_ms = 0 * later("),
    "a failed rule is not heeded": (TAKEOVER, "            ret->decision = TAKEOVER_NEVER;\n", ""),
    "who does not count takes over (I13)": (
        TAKEOVER, "    if (quorum_is_voter(judge->view->record, judge->view->own.name))", "    if (true)"),
    "loss is accepted unasked": (TAKEOVER, "    } else if (is_unguarded(view)) {\n", "    } else if (true) {\n"),
}
BUDGET_MUTANTS = {
    "one lease too few": (BUDGET, "        add(path, BUDGET_ACT, input->lease.ttl_ms, \"lease.ttl_ms\",", "        add(path, BUDGET_ACT, 0, \"lease.ttl_ms\","),
    "the order costs nothing": (BUDGET, "(input->member_count - 2) * step_ms", "0"),
    "a slow look hides behind the lease": (BUDGET, "    else if (silent_ms + delay_ms > over_ms)", "    else if (false)"),
    "what a person decides has a bound": (BUDGET, "    if (!ret->automatic)\n        return;\n", ""),
    "rto_ms refuses nothing": (BUDGET, "budget->paths[which].until_ms[BUDGET_ACT] > budget->rto_ms", "false"),
}
SETTING_MUTANTS = {
    "one renewal is enough": (BOUNDS, "(ttl_ms - lease_guard_ms(ttl_ms)) / 2", "(ttl_ms - lease_guard_ms(ttl_ms))"),
}
DEGRADE_MUTANTS = {
    "a change of the set holds up who has nothing to carry": (DEGRADE, "record->arbiter != 0 && ever) ||", "record->arbiter != 0) ||"),
    "an arbiter is chosen while what it has to know changes": (DEGRADE, "(record->joint && record->arbiter != 0 && ever) ||", ""),
    "an arbiter is chosen before the note is recorded": (DEGRADE, "(known != NULL && quorum_note_holds(known, record, opened));", "false;"),
    "names before the arbiter was told (D1)": (
        DEGRADE, "    else\n        give_up(view, &rest, ret);\n}",
        "    else\n        ret->step = DEGRADE_STEP_NAMES, ret->set = rest;\n}"),
    "failsafe gives up as well (D1)": (
        DEGRADE, "    if (!view->leased || view->note == NULL)\n", "    if (view->note == NULL)\n"),
    "an arbiter that promised another is told (D1)": (
        DEGRADE, "    if (epoch_compare(&view->promised, &view->epoch) > 0)\n        return \"the arbiter was told",
        "    if (false)\n        return \"the arbiter was told"),
    "no arbiter is needed": (DEGRADE, "    if (view->arbiter == 0)\n        return view->why;\n", ""),
    "nobody has to know whom to ask (D2)": (
        DEGRADE, "    if (!is_agreed(view) || (view->writing && view->writing_arbiter != view->arbiter))", "    if (false)"),
    "another arbiter is being written (D2)": (
        DEGRADE, " || (view->writing && view->writing_arbiter != view->arbiter)", ""),
    "a record does not know of the note (D3)": (DEGRADE, "    ret->record.noted = view->note->number;\n", ""),
    "a note that a record being written knows of is used (D3)": (DEGRADE, " && view->note->number > view->recorded; /* D3 */", ";"),
    "the next note has the number of one that was recorded (D3)": (
        DEGRADE, "    number = number > view->recorded ? number : view->recorded;\n", ""),
    "taken back while one has not heard (D4)": (DEGRADE, "view->acknowledged && view->everywhere", "view->acknowledged"),
    "an arbiter that forgot is not told again (D4)": (DEGRADE, "view->note->number < record->noted;", "false;"),
    "the same, once as many count again (D4)": (DEGRADE, "!degraded && forgotten && !known", "false"),
    "who was never told carries a note of number 0": (DEGRADE, "        note.number = 1; /* with 0", "        note.number = 0; /* with 0"),
    "given up though enough acknowledge": (DEGRADE, "rest_of(view, view->names).k < view->names->k", "true"),
    "given up at once": (DEGRADE, "view->waited_ms >= view->wait_ms", "view->waited_ms > 0"),
    "what was carried was told": (DEGRADE, "is_told(view) && is_agreed(view) &&", "is_told(view) &&"),
    "a change of the set goes back to what was carried": (DEGRADE, " && !carried) {", ") {"),
    "another's note is ours": (DEGRADE, "           epoch_equal(&view->note->epoch, &view->epoch) &&\n", ""),
    "who is gone since still counts": (
        DEGRADE, "        told = quorum_has(&rest, view->note->set.voters[i]); /* else even less is left by now */\n", "        ;\n"),
    "two notes of one number": (
        DEGRADE, "(number > view->note->number ? number : view->note->number) + 1", "(number > view->note->number ? number : view->note->number)"),
    "whole again before they have caught up": (DEGRADE, "    if (record->since[0] == '\\0')\n        return *view->wanted;", "        return *view->wanted;"),
    "since when is forgotten": (DEGRADE, "view->record->since[0] != '\\0' ? view->record->since : view->time", "view->time"),
}
NOTE_MUTANTS = {
    "a note that was taken back holds": (QUORUM, "    return note->given_up && note->number > record->noted &&", "    return note->number > record->noted &&"),
    "a note outlives its record": (QUORUM, "note->given_up && note->number > record->noted &&", "note->given_up &&"),
    "a note outlives its epoch": (QUORUM, "epoch_compare(&note->epoch, opened) >= 0", "true"),
    "a note that nobody can read holds nobody up": (
        QUORUM, ".given_up = true,\n                                 .epoch = { .number = UINT64_MAX }", ".given_up = false"),
    "what another arbiter was told counts for who is started": (QUORUM, "record->arbiter == row ? note : NULL", "note"),
    "any old primary stands for all": (QUORUM, " && quorum_has(set, old_primary)", ""),
}
LATE_MUTANTS = {
    "a promise that is late is waited for by nobody": (CAPTURE, "bool again = !promo->patient && somebody_is_late(promo);", "bool again = false;"),
    "a promise is waited for without end": (CAPTURE, "bool again = !promo->patient && somebody_is_late(promo);", "bool again = somebody_is_late(promo);"),
    "who was not there is waited for": (CAPTURE, "if (member->asked && member->answered)", "if (member->asked)"),
    "who is late is waited for though it is enough": (CAPTURE, "    if (!again || is_enough(promo))\n", "    if (!again)\n"),
    "the old primary is waited for though it is late": (CAPTURE, "return promo->patient || old == NULL", "return old == NULL"),
    "who was patient once does not wait for the proof": (CAPTURE, "    promo->patient = false;\n", ""),
}
ANSWER_MUTANTS = {
    "what an earlier promotion asked is answered to this one": (WORDS, " && number == promo->number &&", " &&"),
    "all promotions have one number": (PROMO, "    promo->number++;\n", ""),
    "what it asked before it chose its epoch is waited for": (
        WORDS, "number == promo->number && epoch_equal(epoch, &promo->epoch)", "number == promo->number && epoch != NULL"),
    "an answer counts after the end": (WORDS, "    return promo_is_running(promo) && number", "    return number"),
}
ASKING_MUTANTS = {
    "what the arbiter has promised is no epoch": (CHECKS, "newest = promo->arbiter.newest;", "newest = { 0 };"),
    "to read the note is enough": (WHO, "return promo->arbiter.promised && promo->arbiter.row", "return promo->arbiter.told && promo->arbiter.row"),
    "any arbiter will do": (WHO, "promo->arbiter.promised && promo->arbiter.row == promo->log.arbiter", "promo->arbiter.promised"),
    "an arbiter that was chosen since will do": (WHO, "promo->arbiter.row == promo->log.arbiter", "promo->arbiter.row >= promo->log.arbiter"),
    "the same, for the check 'arbiter'": (CHECKS, "arbiter->told && arbiter->row != promo->log.arbiter", "false"),
    "while it changes a quorum is enough": (
        WHO, "    if (promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count))", "    if (promo_arbiter_changes(promo))"),
    "what changed when it captured is asked of what was pulled": (WHO, "promo->concluded ? promo->arbiter.changes : ", ""),
    "the number of a row that was set aside will do": (
        CAPTURE, "    promo->arbiter.promised &= !promo->arbiter.changes; /* it is of a row that may be set aside */\n", ""),
    "the same, for the check": (CHECKS, "promo_arbiter_changes(promo) && every_voter_answers(promo)", "promo_arbiter_changes(promo)"),
    "the old set is not asked while it changes": (
        QUORUM, "    if (record->joint && count_voters(&record->old, captured, captured_count) < record->old.count)\n        return false;\n", ""),
    "what one was told that our record does not name counts": (
        WHO, "    return promo->arbiter.told &&\n           !(promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count));",
        "    return promo->arbiter.told && count < 99;"),
    "it counts no more though not every voter promises": (
        WHO, "!(promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count));", "!(promo_arbiter_changes(promo) && count > 0);"),
    "the same, for the check 'sync' while it changes": (
        CHECKS, "bool told = promo_goes_by_the_note(promo);", "bool told = promo->arbiter.told;"),
    "a switchover asks nobody": (WHO, "promo->mode != PROMO_RESUMPTION && promo", "promo->mode == PROMO_FAILOVER && promo"),
    "a renewal asks nobody": (
        WHO, "promo->mode != PROMO_RESUMPTION && promo->log", "promo->mode != PROMO_RESUMPTION && promo->mode != PROMO_RENEWAL && promo->log"),
    "the note of the promise is not heeded": (
        CAPTURE, "    promo_find_record(promo); /* by what the arbiter and the members have promised by now */\n", ""),
    "an epoch that nobody heard of ends a note": (
        WHO, "note, &promo->own.applied.epoch)", "note, &promo->old_epoch)"),
    "the same, for the check 'sync'": (CHECKS, "note : NULL, &promo->own.applied.epoch)", "note : NULL, &promo->old_epoch)"),
    "an old primary of before the note stands for all (I5)": (WHO, "    if (!promo_old_is_last(promo))\n        return NULL;\n", ""),
    "the same, for the check 'quorum'": (CHECKS, " && promo_old_is_last(promo))", ")"),
    "an old primary of before a row stands for all (I5)": (
        WHO, "epoch_compare(&member->captured_at.epoch, &promo->old_epoch) > 0", "false"),
    "an old primary of before a row proves that the last one is out": (
        CAPTURE, "old->captured && promo_old_is_last(promo))", "old->captured)"),
    "what was pulled names another arbiter": (
        PROMO, "    else if (!promo_is_sure(promo))\n        promo_blame_arbiter(promo);\n", ""),
    "who does not count is promoted": (CHECKS, "    if (noted && !quorum_is_voter(&later, promo->self))", "    if (false)"),
    "an arbiter that is silent stops nobody": (CHECKS, "    else if (!arbiter->told)", "    else if (false)"),
}
NODE_MUTANTS = {
    "who counts nobody else asks nobody (I11)": (NODE, "    if (must_hear_all(node) && count < node->peer_count)", "    if (false)"),
}


READY_MUTANTS = {
    "who is silent is judged by what it was": (READY, "    if (!view->heard) {", "    if (false) {"),
    "unproved is ready": (READY, "    if (!view->proved) {", "    if (false) {"),
    "an old statement counts": (READY, "    if (view->age_ms > READY_STALE_INTERVALS * view->interval_ms) {", "    if (false) {"),
    "an old probe counts": (
        READY, "    if (record->age_ms + view->age_ms > READY_STALE_INTERVALS * view->interval_ms)", "    if (false)"),
    "a probe is as old as its statement": (READY, "    if (record->age_ms + view->age_ms >", "    if (view->age_ms >"),
    "a connector without record is passed over": (
        READY, "    if (record == NULL) {\n        add(", "    if (record == NULL) {\n        if (false) add("),
    "a record of another document counts": (READY, "record->revision != wanted->revision", "record->revision == 0"),
    "what was not tried is well (P5)": (READY, "            if (!failed) /*", "            if (false) /*"),
    "a failed check only warns": (
        READY, "        case READY_OUTCOME_FAILED:\n            add(", "        case READY_OUTCOME_FAILED:\n            if (false) add("),
    "a fenced node is ready": (READY, "view->state != NODE_PRIMARY && view->state != NODE_STANDBY", "false"),
    "how far behind does not matter": (READY, "view->head - view->revision > view->lag_max", "false"),
    "who does not count is ready (I13)": (READY, "    if (!view->voter)", "    if (false)"),
    "any history will do": (READY, "view->digest == READY_DIGEST_DIFFERENT", "false"),
    "no history is the same history": (READY, "view->digest == READY_DIGEST_UNKNOWN", "false"),
    "only an older schema matters (I14)": (
        READY, "view->schema != view->primary_schema)", "view->schema < view->primary_schema)"),
    "unknown weighs like a warning": (
        READY, "rules[rule].weight == READY_UNKNOWN_IS ? READY_UNKNOWN", "rules[rule].weight == READY_UNKNOWN_IS ? READY_YES"),
    "what found no place does not count": (
        READY, "    if (verdict > ret->verdict)\n", "    if (verdict > ret->verdict && ret->count < READY_REASONS_MAX)\n"),
    "the last reason decides": (READY, "    if (verdict > ret->verdict)\n", ""),
    "one node that is not ready spoils its site": (READY, "nodes[i] < best ? nodes[i] : best", "nodes[i] > best ? nodes[i] : best"),
    "a site without nodes is ready": (READY, "count == 0 ? READY_UNKNOWN : READY_NO", "count == 0 ? READY_YES : READY_NO"),
    "the drift of others is ours": (READY, "strcmp(drift->node, view->node) != 0", "false"),
    "the first node leads": (READY, "        if (strcmp(values[i].node, primary) == 0)\n            return &values[i];", "        (void)primary;"),
    "who leads is right, primary or not": (READY, "other != NULL && strcmp(lead->node, primary) != 0", "false"),
    "a flag forgotten at a site is not told (P4)": (READY, "                note(drifts, &values[j], lead, false);", "                ;"),
    "a flag forgotten at one node is not told (P4)": (READY, "        must_match(drifts, values + i, length, primary);\n        for", "        for"),
    "a full disk is ready (S60)": (READY, "view->disk_free_mb < view->disk_least_mb", "false"),
    "a full pg_wal is ready": (READY, "view->wal_free_mb < view->disk_least_mb", "false"),
    "one disk is told of twice": (READY, "view->wal_known && view->wal_apart", "view->wal_known"),
    "a slot that is nearly full is ready": (READY, "slot->kept_mb >= slot->most_mb - slot->most_mb / 10", "false"),
    "a slot is full only at its end": (READY, "slot->most_mb - slot->most_mb / 10", "slot->most_mb"),
    "a lost slot is ready": (READY, 'strcmp(slot->state, "lost") == 0', "false"),
    "a full slot raises no alarm": (READY, '[READY_RULE_SLOT] = "wal_slot"', "[READY_RULE_SLOT] = NULL"),
    "nobody thinks of what a slot may still keep": (READY, "view->wal_free_mb < slot->most_mb - slot->kept_mb", "false"),
    "a certificate that has ended only warns (S49)": (READY, "    if (view->certificate_days < 0)", "    if (false)"),
}
SEALING_MUTANTS = {
    "who is removed keeps the key (Z1)": (
        SEALING, "        if (find_member(members, member_count, node) == NULL)\n            add_step(plan, SEALING_TAKE",
        "        if (false)\n            add_step(plan, SEALING_TAKE"),
    "a removed node is a member (Z1)": (
        SEALING, "if (!members[i].removed && strcmp(members[i].name, name) == 0)",
        "if (strcmp(members[i].name, name) == 0)"),
    "who is removed is given the key (Z1)": (
        SEALING, "if (member->removed || member->public_key[0] == '\\0')",
        "if (member->public_key[0] == '\\0')"),
    "who told no public key is given one (Z1)": (
        SEALING, "if (member->removed || member->public_key[0] == '\\0')",
        "if (member->removed)"),
    "a box for an earlier key will do (Z1)": (
        SEALING, "sealing_box(keys, key, member->name, &to) == NULL ||\n            strcmp(to, member->public_key) != 0",
        "sealing_box(keys, key, member->name, &to) == NULL"),
    "everybody is given it again and again": (
        SEALING, "sealing_box(keys, key, member->name, &to) == NULL ||",
        "true ||"),
    "who lost it is forgotten (Z2)": (
        SEALING, "    case SEALING_TAKE:\n        remember(entry, step->node);\n",
        "    case SEALING_TAKE:\n"),
    "whose name was given again is forgotten (Z2)": (
        SEALING, "        if (had)\n            remember(entry, step->node);\n",
        ""),
    "whoever is given it once is to blame (Z2)": (
        SEALING, "        if (had)\n            remember(",
        "        remember("),
    "the current key is dropped when unused (Z3)": (
        SEALING, "current == NULL || strcmp(current, key) == 0",
        "current == NULL"),
    "without a current key all are dropped (Z3)": (
        SEALING, "current == NULL || strcmp(current, key) == 0",
        "current != NULL && strcmp(current, key) == 0"),
    "a key is dropped while it seals something": (
        SEALING, "        if (strcmp(used[i], key) == 0)\n            return true;",
        "        (void)used;"),
    "no key is ever dropped": (
        SEALING, "        if (!counts(keys, key, used, used_count))",
        "        if (false)"),
    "a plain text is sealed": (
        SEALING, "json_object_object_length(value) != 2 ||\n        ",
        ""),
    "any key id will do": (
        SEALING, "    return is_key_id(key) ? key : NULL;\n}\n\nbool",
        "    return key;\n}\n\nbool"),
    "an empty secret is one": (
        SEALING, "if (size <= more ||",
        "if (size < more ||"),
    "a secret has any size": (
        SEALING, "    if (size <= more || size > more + SEALING_VALUE_SIZE_MAX)",
        "    if (size <= more)"),
    "who has no key comes before": (
        SEALING, "bool can = !members[i].removed && sealing_box(keys, current, name, NULL) != NULL;",
        "bool can = !members[i].removed;"),
    "the primary waits its turn by name": (
        SEALING, "strcmp(self, primary) != 0 && strcmp(name, self) < 0",
        "strcmp(name, self) < 0"),
}
GATE, FENCING = "sites/gate.c", "sites/fencing.c"
SIGN, CHECK = "controller/activation/sign.c", "controller/activation/sign_check.c"
GATE_MUTANTS = {
    "gate: an epoch that is over gets past (I10)": (GATE, "    if (order < 0)", "    if (false)"),
    "gate: nothing raises it (I10)": (GATE, "order > 0 && activation ?", "false ?"),
    "gate: a probe raises it": (GATE, "order > 0 && activation ?", "order > 0 ?"),
    "gate: the number alone makes an epoch (I1)": (
        GATE, "epoch_compare(asked, &state->highest)",
        "(asked->number > state->highest.number) - (asked->number < state->highest.number)"),
    "gate: a damaged number is believed": (GATE, "again.number != state.highest.number ||", "false ||"),
    "gate: a damaged holder is believed": (GATE, "strcmp(again.holder, holder) != 0", "false"),
}
FENCING_MUTANTS = {
    "fencing: what compares nothing is fenced": (FENCING, "FENCING_NEVER:\n        return \"\";", "FENCING_NEVER:\n        return NULL;"),
    "fencing: a receiver needs no proof": (FENCING, "driver->proved ? NULL", "true ? NULL"),
    "fencing: a program needs nobody's word": (FENCING, "driver->told ? NULL", "true ? NULL"),
    "fencing: one fenced driver fences all": (FENCING, "            continue;", "            return true;"),
}
SIGN_MUTANTS = {
    "sign: any signature is good": (CHECK, "    return digest_equal(given, wanted);", "    return true;"),
    "sign: a part that nobody signed counts": (CHECK, "        if (covered != (value != NULL))", "        if (covered && value == NULL)"),
    "sign: a signature never ends": (CHECK, " && created_s >= now_s - window_s", ""),
    "sign: a signature of tomorrow is good": (CHECK, "created_s <= now_s + window_s && ", ""),
    "sign: the name of a key does not matter": (CHECK, "keys[i].size > 0 && strcmp(keys[i].id, id) == 0", "keys[i].size > 0"),
    "sign: one part stands for two": (CHECK, "        if ((input->covered & (1u << i)) != 0)\n            return false;\n", ""),
    "sign: any proof is one": (SIGN, "    if (!digest_equal(wanted, given))\n        return false;\n", ""),
    "sign: a proof is of any request": (SIGN, "%s\\n%s\\n\", epoch, signature)", "%s\\n\", epoch)"),
    "sign: a proof is of any epoch": (SIGN, "%s\\n%s\\n\", epoch, signature)", "%s\\n\", signature)"),
}
INSTANCE_MUTANTS = {
    "any version registers (A2)": (INSTANCE, "if (!is_set(admitted) || equal(admitted, hello->version) ||", "if (true ||"),
    "the next version is refused (A2)": (INSTANCE, "equal(rules->next, hello->version))", "false)"),
    "the first sets no version (A2)": (INSTANCE, "return first == NULL ? NULL : first->version;", "return NULL;"),
    "a refused session stays (A2)": (INSTANCE, "        if (*ret_changed)\n            instance_end(found);\n", ""),
    "one new instance is enough (A9)": (INSTANCE, "counts.next_working >= expected ||", "true ||"),
    "the old ones are waited for (A9)": (INSTANCE, "counts.next_working >= expected || counts.old == 0", "counts.old == 0"),
    "a new version that does not work is admitted": (
        INSTANCE, "counts.next_working += instance->healthy && next;", "counts.next_working += next;"),
    "no new instance is enough": (INSTANCE, "return counts.next_working > 0 && enough ?", "return enough ?"),
    "who left comes back (A5)": (INSTANCE, "        if (!found->left)\n            return ERR_NONE;", "        if (true)\n            return ERR_NONE;"),
    "any session may end another (A5)": (
        INSTANCE, "if (found == NULL || strcmp(found->session, session) != 0)", "if (found == NULL)"),
    "two with one name take turns": (INSTANCE, "bool later = hello->began_ms > found->began_ms ||", "bool later = true ||"),
    "an old session waits for one that is gone": (INSTANCE, "if (!found->connected || later)", "if (later)"),
    "of two that began together both stay": (INSTANCE, "strcmp(hello->session, found->session) > 0", "true"),
    "silence ends nothing (A4)": (INSTANCE, "now_ms - instance->heard_ms < silence_ms", "true"),
    "the silence is a moment longer (A4)": (INSTANCE, "now_ms - instance->heard_ms < silence_ms", "now_ms - instance->heard_ms <= silence_ms"),
    "health is not told (A8)": (INSTANCE, "!was || !ours || found->healthy != hello->healthy ||", "!was || !ours ||"),
    "a sick instance works (A8)": (INSTANCE, "counts.working += instance->healthy;", "counts.working++;"),
    "every heartbeat is recorded": (
        INSTANCE, 'connected ? NULL : json_object_new_int64(last_ms)', "json_object_new_int64(last_ms)"),
    "who was not heard yet is gone": (INSTANCE, "connected && !settled, last_ms", "false, last_ms"),
    "who was never heard stays": (INSTANCE, "connected && !settled, last_ms", "connected, last_ms"),
    "nobody is forgotten": (INSTANCE, "wall_ms - last_ms > INSTANCE_FORGET_S * 1000LL", "false"),
    "a lone one is no alarm (A9)": (INSTANCE, "counts->working < expected", "false"),
    "none is no alarm (A10)": (INSTANCE, "if (counts->working == 0) {", "if (false) {"),
    "an upgrade of the only one is no outage (A9)": (INSTANCE, "counts->connected == 1 && upgrading", "false"),
    "a new address is no news (A1)": (INSTANCE, "!spread_address_equal(&found->address, &address);", "false;"),
    "an address is not checked (A1)": (INSTANCE, "    if (where != NULL)\n        return", "    if (false)\n        return"),
    "any number registers": (INSTANCE, "count_of(set, connector) < INSTANCE_CONNECTOR_MAX", "true"),
}
BACKUP_MUTANTS = {
    "a file asks for any memory": (BACKUP, "BACKUP_LOG_N_MIN, BACKUP_LOG_N_MAX, &", "1, 64, &"),
    "a file asks for any time": (BACKUP, "1, BACKUP_PARALLEL_MAX, &", "1, 1000000, &"),
    "any spelling of the first line": (BACKUP, "code == ERR_NONE && !is_own_spelling(", "false && !is_own_spelling("),
    "a later format is tried": (BACKUP, "    if (format > BACKUP_FORMAT) {", "    if (false) {"),
    "the last line is not proved to end a line": (BACKUP, "line[-1] != '\\n' || line[LAST_LINE_SIZE - 1] != '\\n' ||", ""),
    "an unknown key of ours goes along": (BACKUP, "    return BACKUP_LEFT_OUT;", "    return BACKUP_PLAIN;"),
    "users go along in plain": (BACKUP, "row->scope == SETTING_SCOPE_SECRET || row->id == SETTING_SYSTEM_USER",
                                "row->scope == SETTING_SCOPE_SECRET"),
    "a token in a file is taken": (BACKUP, "    if (kind == BACKUP_LEFT_OUT)\n", "    if (false)\n"),
    "a plain secret in a file is taken": (BACKUP, "!sealing_read(value, &sealed) || strcmp", "sealing_read(value, &sealed) && strcmp"),
    "sealed by any key": (BACKUP, " || strcmp(sealed.key, backup->key) != 0", ""),
    "who was removed takes a place": (BACKUP, "backup->live_count += !member.removed;", "backup->live_count++;"),
    "a row later than the head": (BACKUP, 'if (number_of(row, "revision") > backup->revision)', "if (false)"),
    "an older program restores": (BACKUP, "compare_versions(backup->baton, version) <= 0", "true"),
    "an older schema restores": (BACKUP, " && backup->schema <= schema", ""),
    "versions are compared as text": (BACKUP, "compare_versions(backup->baton, version) <= 0",
                                      "strcmp(backup->baton, version) <= 0"),
    "a twin may be excused": (BACKUP, "if (asked[i].answer != BACKUP_MEMBER)",
                              "if (asked[i].answer != BACKUP_MEMBER || excused_count > 0)"),
    "who hangs is gone": (BACKUP, "asked[i].answer == BACKUP_SILENT ||", "asked[i].answer <= BACKUP_OTHER ||"),
    "who could not be asked is gone": (BACKUP, "asked[i].answer == BACKUP_SILENT ||", "asked[i].answer <= BACKUP_UNASKED ||"),
    "one word excuses all": (BACKUP, "if (strcmp(excused[i], address) == 0)", "if (true)"),
    "anything can be excused": (BACKUP, "        if (known)\n", "        if (true)\n"),
    "the epoch goes on as it was": (BACKUP, "return backup->epoch + BACKUP_EPOCH_STEP;", "return backup->epoch + 1;"),
    "settings of another node": (BACKUP, "return strcmp(backup->node, node) == 0;", "return true;"),
}

NOTICE_MUTANTS = {
    "everybody tells (O1)": (NOTICE, "        return strcmp(self, primary) == 0;", "        return true;"),
    "without a primary nobody tells (O1)": (NOTICE, "    return true;\n}\n\n/* ---- the document", "    return false;\n}\n\n/* ---- the document"),
    "the last by name tells (O1)": (NOTICE, "strcmp(there[i], self) < 0", "strcmp(there[i], self) > 0"),
    "who is no teller any more forgets what he told (O2)": (
        NOTICE, "!teller && !(track->any && is_trouble(track->told))", "!teller"),
    "who is no teller any more tells all (O2)": (NOTICE, "    return !is_trouble(status);\n}", "    return true;\n}"),
    "a new teller says nothing of what is well (O2)": (NOTICE, "(track->any && status == track->told)", "status == track->told"),
    "what passes is told (O3)": (NOTICE, "now_ms - track->seen_ms < after_ms || ", ""),
    "what passes counts from the first time (O3)": (NOTICE, "!track->looked || status != track->seen", "!track->looked"),
    "what is not known is told": (NOTICE, "    if (status == NOTICE_INITIALIZING)\n        return false;\n", ""),
    "to try again ends a trouble (O3)": (
        NOTICE, "    if (status == NOTICE_INITIALIZING)\n        return false;\n",
        "    if (status == NOTICE_INITIALIZING) {\n        track->looked = false;\n        return false;\n    }\n"),
    "the last issue decides": (NOTICE, " && issues[i].status > status", ""),
    "who has nothing is in trouble": (NOTICE, "    if (!facts->wanted)\n        return NOTICE_DISABLED;\n", ""),
    "servers count without a primary": (
        NOTICE, "(issue == NOTICE_ISSUE_NO_PRIMARY || facts->issues[NOTICE_ISSUE_NO_PRIMARY] == NULL)", "true"),
}
NOTICE_QUEUE_MUTANTS = {
    "what is under way is given up (O4)": (NOTICE_QUEUE, "queue->count > 0 && !queue->under_way &&", "queue->count > 0 &&"),
    "what is under way is sent again (O4)": (NOTICE_QUEUE, "queue->count == 0 || queue->under_way ||", "queue->count == 0 ||"),
    "nothing is ever too old (O4)": (NOTICE_QUEUE, "now_ms - first->since_ms > NOTICE_QUEUE_KEEP_MS", "false"),
    "the last is sent first (O4)": (NOTICE_QUEUE, "queue->first + queue->count++", "queue->first - queue->count++"),
    "a receiver is asked without a pause": (NOTICE_QUEUE, "now_ms < queue->again_ms", "false"),
    "pauses grow for ever": (NOTICE_QUEUE, "if (queue->pause_ms > NOTICE_QUEUE_PAUSE_MS_MAX)", "if (false)"),
    "the next one waits for the pause of the last": (NOTICE_QUEUE, "    queue->again_ms = 0;\n", ""),
    "trouble outlives what it was about": (NOTICE_QUEUE, "    queue->trouble[0] = '\\0';\n", ""),
}
SPREAD_MUTANTS = {
    "a link-local address is a server's": (ADDRESS, "number >> 16 != 0xa9fe", "true"),
    "a sick one gets requests (A10)": (SPREAD, "goal->in_use && target->takes &&", "goal->in_use &&"),
    "who is not in use gets requests": (SPREAD, "goal->in_use && target->takes &&", "target->takes &&"),
    "the server in use gets twice its share": (SPREAD, "(goal->server == NULL || !spread_address_equal(&target->at, goal->server))", "true"),
    "one address has two places": (SPREAD, " && !plan->has[target]) {", ") {"),
    "who was not heard yet is out (A4)": (SPREAD, "!known && !goal->settled && goal->in_use", "false"),
    "who was never heard stays in": (SPREAD, "!known && !goal->settled && goal->in_use", "!known && goal->in_use"),
    "who was not heard stays where nothing is in use": (SPREAD, "!goal->settled && goal->in_use && plan", "!goal->settled && plan"),
    "who goes is cut at once (S11)": (SPREAD, "if (passed_ms >= drain_ms) {", "if (true) {"),
    "who goes may stay for ever (S11)": (SPREAD, "if (passed_ms >= drain_ms) {", "if (drain_ms == 0) {"),
    "nobody comes back to see that a drain is over": (SPREAD, "    look_again_in(plan, drain_ms - passed_ms);\n", ""),
    "who finishes is thrown out of his place": (
        SPREAD, "    plan->kept[i] = true;\n    if (place->state == SPREAD_IN)", "    if (place->state == SPREAD_IN)"),
    "any place is taken": (SPREAD, "        if (plan->places[i].state == SPREAD_OUT)\n            return i;", "        return i;"),
    "who comes back gets no old place": (SPREAD, "for (int state = SPREAD_IN; state <= SPREAD_OUT; state++)", "for (int state = SPREAD_IN; state < SPREAD_OUT; state++)"),
    "who drains has the place before who is in": (SPREAD, "for (int state = SPREAD_IN; state <= SPREAD_OUT; state++) {\n        for (size_t i = 0; i < count; i++) {\n            if (places[i].state == (enum spread_state)state)", "{\n        for (size_t i = 0; i < count; i++) {"),
    "who has no place is not counted": (SPREAD, "            plan.sum.left_out++;", "            (void)i;"),
    "who has no place raises no alarm": (SPREAD, "room->takers > room->places ?", "false ?"),
    "one without a place raises no alarm": (SPREAD, "room->takers > room->places ?", "room->takers > room->places + 1 ?"),
    "an instance without address gets requests (A1)": (INSTANCE, "if (instance->address.port == 0)", "if (false)"),
    "one that is gone gets requests (A4)": (INSTANCE, "(instance->connected && instance->healthy)", "instance->healthy"),
    "the last of one address decides": (INSTANCE, "list[i].takes || (instance->connected", "(instance->connected"),
    "an address within an address is a server's": (SPREAD, " || (is_v6 && IN6_IS_ADDR_V4MAPPED(&six))", ""),
}


def command(*parts):
    subprocess.run([COMPILER, *(str(part) for part in parts)], check=True)


def compile_one(source, target):
    """A broken source finds its headers in ROOT: they are not what is broken."""
    command(*FLAGS, f'-DSOURCE_DIR="{ROOT}"', "-I", ROOT, "-I/usr/include/json-c", "-c", source, "-o", target)


def build(folder, names):
    """Unbroken, once: each source and its object."""
    objects = {str(name): folder / (str(name).replace("/", "_") + ".o") for name in names}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda name: compile_one(ROOT / name, objects[name]), objects))
    return objects


def said(run):
    line = re.search(r"seed.*|case .*|assert.*|.*[a-z]: error.*", run.stderr + run.stdout)
    return line.group(0)[:100] if line else f"ends with {run.returncode}"


def caught_by(objects, folder, change, tests, seeds):
    """The first test that fails, and why; None: each of them passes."""
    name, old, new = change
    text = (ROOT / name).read_text()
    if text.count(old) != 1:
        return f"DOES NOT APPLY: {name} has this {text.count(old)} times: {old!r}"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(text.replace(old, new))
    compile_one(folder / name, folder / "broken.o")
    for test in tests:
        parts = [folder / "broken.o" if source == name else path for source, path in objects.items()
                 if not source.startswith("tests/") or source == f"tests/unit/{test}.c"]
        command(*parts, *LIBRARIES, "-o", folder / test)
        run = subprocess.run([folder / test, *(["1", seeds] if test == BY_CHANCE else [])], capture_output=True, text=True,
                             errors="replace")
        if run.returncode != 0:
            return f"{test}: {said(run)}"
    return None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--seeds", default="30000")
    arguments.add_argument("names", nargs="*")
    arguments = arguments.parse_args()
    seeds = QUICK_SEEDS if arguments.quick else arguments.seeds
    groups = [(TWO_ACT, ["test_lease", BY_CHANCE] if arguments.quick else [BY_CHANCE]),
              (LEASE_MUTANTS, ["test_lease", BY_CHANCE]), (TAKEOVER_MUTANTS, ["test_takeover"]),
              (BUDGET_MUTANTS, ["test_budget"]), (SETTING_MUTANTS, ["test_setting"]),
              (DEGRADE_MUTANTS, ["test_degrade"]), (NOTE_MUTANTS, ["test_quorum"]),
              (ASKING_MUTANTS, ["test_promo_arbiter", "test_promo_voters"]), (ANSWER_MUTANTS, ["test_promo_answers"]),
              (LATE_MUTANTS, ["test_promo_late"]), (NODE_MUTANTS, ["test_node"]),
              (READY_MUTANTS, ["test_ready"]), (SEALING_MUTANTS, ["test_sealing"]), (BACKUP_MUTANTS, ["test_backup"]),
              (GATE_MUTANTS, ["test_gate_state"]), (FENCING_MUTANTS, ["test_fencing"]), (SIGN_MUTANTS, ["test_sign"]),
              (INSTANCE_MUTANTS, ["test_instance"]), (NOTICE_MUTANTS, ["test_notice"]),
              (NOTICE_QUEUE_MUTANTS, ["test_notice_queue"]),
              (SPREAD_MUTANTS, ["test_spread", "test_instance"])]
    rows = [(name, change, tests) for mutants, tests in groups for name, change in mutants.items()
            if not arguments.names or any(wanted in name for wanted in arguments.names)]
    with tempfile.TemporaryDirectory(prefix="baton-mutants-") as name:
        folder = pathlib.Path(name)
        tests = sorted({test for _, _, tests in rows for test in tests})
        sources = [*(path.relative_to(ROOT) for path in (*ROOT.glob("controller/base/*.c"), *ROOT.glob("sites/*.c"))),
                   *BESIDE_SITES]
        objects = build(folder, [*map(str, sources), *(f"tests/unit/{test}.c" for test in tests)])
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(lambda number: caught_by(objects, folder / str(number), *rows[number][1:], seeds),
                                  range(len(rows))))
    for (mutant, _, _), caught in zip(rows, found):
        print(f"{mutant:46} {caught or 'NOTHING CAUGHT IT'}")
    failed = sum(caught is None or caught.startswith("DOES NOT") for caught in found)
    print(f"{len(rows)} mutants, {failed} not caught")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
