"""Plants faults in the shipped decision code, one at a time, and demands that the simulator, a story or a kill finds each.

    mutants.py [NAME]             all, or those whose name contains NAME
    mutants.py --rewrite [NAME]   the same, and writes docs/mutants.md

A mutant is a change of the shipped sources (sites/, controller/activation/plan.c), of how the daemon of
the invented world uses them, which is how batond does (controller/daemon/driver*.c), or of the rules of its
database (schema/migrations). It is compiled, linked and run: first what found it last, by the page;
then seeds, stories and kills. One that does not apply, or that nothing finds, fails.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "mutants.md"
COMPILER = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-DBATON_VERSION=\"0\"", "-O1", "-w"]
LIBRARIES = ["-ljson-c", "-lsystemd"]
PROGRAMS = {"sim": ["sim", "faults"], "scenario": ["scenario"], "kill": ["kill"]}
FOLDERS = {"sim": "tests/sim", "scenario": "tests/scenarios", "kill": "tests/scenarios"}
SEEDS_FIRST, SEEDS = 600, 10000  # before the stories, and in all

NODE, PROMO, CAPTURE, QUORUM = "sites/node.c", "sites/promo.c", "sites/promo_capture.c", "sites/quorum.c"
EPOCH = "sites/epoch.c"
CHECKS, LEASE, KNOWN, ASK, TAKEOVER = ("sites/promo_checks.c", "sites/lease.c", "sites/lease_known.c", "sites/lease_ask.c",
                                       "sites/takeover.c")
DEGRADE, WORDS = "sites/degrade.c", "sites/promo_words.c"
PLAN, CAPTURED = "controller/activation/plan.c", "sites/promo_quorum.c"
DATABASE, JOBS, UPKEEP, DAEMON, EFFECTS = [f"tests/world/{name}.c" for name in
                                           ("database", "jobs", "upkeep", "daemon", "effects")]
HOLDER, SERVE, WATCH, ARBITER, WORLD = [f"tests/world/{name}.c" for name in
                                        ("lease", "serve", "takeover", "arbiter", "world")]

# name: [(file, what stands there exactly once, what takes its place), ...]
MUTANTS = {
    "no capture quorum (I5)": [
        (QUORUM, "return count_voters(set, captured, count) >= quorum_needed(set);", "return count >= 1;")],
    "one capture too few (I5)": [
        (QUORUM, "return set->k >= set->count ? 1 : set->count - set->k;",
         "return set->k + 1 >= set->count ? 1 : set->count - set->k - 1;")],
    "capture skips catch-up (I6)": [
        (CAPTURE, "    if (best->self)\n        return promo_go_on_caught_up", "    if (best != NULL)\n        return promo_go_on_caught_up")],
    "best by revision alone (I6)": [
        (EPOCH, "    int order = epoch_compare(&a->epoch, &b->epoch);\n    if (order != 0)\n        return order;\n", "")],
    "rows below the promise are taken (I3)": [
        (DATABASE, "if (row->epoch < db->promised && (", "if (false && (")],
    "the promise falls (I3)": [
        (DATABASE, "    if (db->promised > op->message.epoch)\n        return false;\n", "")],
    "a restarted holder goes on unconfirmed (I11)": [
        (NODE, "return quorum_confirmed(&node->record, node->self, names, count);", "return true;")],
    "one confirmation too few (I11)": [
        (QUORUM, "return count_voters(set, confirmed, count) >= needed;",
         "return count_voters(set, confirmed, count) + 1 >= needed;")],
    "a thaw ignores the promise": [
        (DATABASE, "if (!db->is_primary || db->epoch != op->message.epoch || db->promised != db->epoch) {",
         "db->is_primary = true;\n    if (db->epoch != op->message.epoch) {"),
        (DATABASE, "db->opened_boot == db->boot &&\n           db->promised == db->epoch && tenure_holds(world, node);", "db->opened_boot == db->boot;")],
    "the first row is not awaited (I4)": [
        (PROMO, "    promo_emit(context, PROMO_DO_FIRST_ROW, NULL)->epoch = promo->epoch;\n    unsigned told",
         "    promo_emit(context, PROMO_DO_FIRST_ROW, NULL)->epoch = promo->epoch;\n"
         "    (void)promo_emit(context, PROMO_DO_WRITES_OPEN, NULL);\n    unsigned told")],
    "an unknown outcome is an acknowledgement (I4)": [
        (PROMO, "    if (!event->ok) {\n        /* Unknown is not", "    if (false) {\n        /* Unknown is not")],
    "set aside is thrown away (I8)": [
        (DATABASE, "        rows_add(&db->aside, &db->log.list[i]);", "        (void)i;")],
    "a newer schema is followed (I14)": [
        (NODE, "return peer->heard && peer->facts.schema > node->own.schema;", "return false;")],
    "who will not follow is counted on (I14)": [
        (CHECKS, "return !member->answered || schema == 0 || schema >= promo->own.schema;",
         "return schema < 100;")],
    "an epoch is taken twice (I1)": [
        (PROMO, "promo->epoch = epoch_make(newest.number + 1, promo->self);",
         "promo->epoch = epoch_make(newest.number == 0 ? 1 : newest.number, promo->self);")],
    "no slots before the first row (I12)": [
        (PROMO, "    return enter_arming(promo, context);\n}\n\nstatic enum promo_state\ndecide",
         "    return enter_opening(promo, context);\n}\n\nstatic enum promo_state\ndecide")],
    "an attach goes on below a promotion (I12)": [
        (EFFECTS, "        world->nodes[node].daemon.attach.active = false;\n", "")],
    "the old set does not count while it changes (I5)": [
        (QUORUM, "    if (record->joint && !captured_one(&record->old, captured, captured_count, old_primary))\n"
                 "        return false;\n    return captured_one", "    return captured_one")],
    "the new set acknowledges while it changes (I5)": [
        (QUORUM, "return record->joint && !record->turned ? &record->old : &record->now;", "return &record->now;")],
    "the new set counts alone before it has acknowledged (I5)": [
        (QUORUM, "        ret_record->joint = !record->turned;\n        ret_record->turned = !record->turned;",
         "        ret_record->joint = ret_record->turned = false;")],
    "the next step of a change does not wait (I5)": [
        (QUORUM, "    if (!acknowledged) {", "    if (false) {")],
    "names go by a note that a record being written knows of (I5)": [
        (DEGRADE, " && view->note->number > view->recorded; /* D3 */", ";")],
    "a voter of one set is enough (I5)": [
        (QUORUM, "(!record->joint || quorum_has(&record->old, node))", "true")],
    "names are not set anew (I5)": [
        (PROMO, "promo->armed && quorum_equal(&promo->armed_for, quorum_acknowledging(&promo->record))", "promo->armed")],
    "the quorum is not asked again after the pull (I5)": [
        (PROMO, "    if ((!promo_has_quorum(promo) || !quorum_is_voter(&promo->record, promo->self)) &&\n"
                "        !promo->order.accept_data_loss)\n", "    if (false)\n")],
    "with k = 0 any old primary is a proof (I5)": [
        (CAPTURED, "strcmp(member->name, promo->old_primary) == 0 &&\n"
                "            epoch_equal(&member->promised_before, &promo->old_epoch))",
         "strcmp(member->name, promo->old_primary) == 0)")],
    "with k = 0 who knew of no primary after him is a proof (I5)": [
        (CAPTURED, "epoch_compare(&member->captured_at.epoch, &promo->old_epoch) > 0", "false")],
    "rows of the primary's epoch are a fork": [
        (JOBS, "head->epoch == attach->epoch ? head->revision : answer->revision", "answer->revision"),
        (DATABASE, "op->message.revision < db->log.count && db_head(db).epoch >= op->message.epoch", "false")],
    "a plan outlives a promise to another": [
        (PROMO, "PREPARING, PROMO_EV_SUPERSEDED, on_superseded_early", "PREPARING, PROMO_EV_SUPERSEDED, on_superseded")],
    "a pull keeps the old subscription (I4)": [
        (JOBS, "    do_op(world, node, JOB_PULL, OP_DETACH, daemon->pull.serial, WORLD_NONE);",
         "    ask_match(world, node, member, daemon->pull.serial, epoch, &daemon->pull.compared);")],
    "who gave rows up promises nothing": [
        (DATABASE, "        if (db->promised < op->message.epoch)\n            db->promised = op->message.epoch;\n", "")],
    "a standby goes back to an earlier primary (I3)": [
        (NODE, "        node->own.promised = *epoch_max(&node->own.promised, &applied->epoch);\n", ""),
        (DATABASE, "    if (op->message.epoch < db->promised) {\n        op->message.text = \"a later epoch is promised\";\n"
                   "        return false;\n    }\n", "")],
    "a promotion outlives its node's role": [
        (PROMO, "    { PROMO_STATE_ACKNOWLEDGING, PROMO_EV_LOST, on_lost, TO(FAILED) },\n", "")],
    "a closed primary waits for ever": [
        (NODE, "    if (!is_challenged_long(node, context->event->now_ms))\n        return NODE_CLOSED;", "    return NODE_CLOSED;")],
    "a first row that is refused is waited for": [
        (PROMO, "    if (event->fenced)\n        return fail_fenced(promo, context);\n", "")],
    "who is in failsafe waits for a lease that is granted no more": [
        (NODE, "((node->leased && node->released) || cannot_tell)", "cannot_tell")],
    "a promise that the arbiter was left with is not outdone": [
        (NODE, "((node->leased && node->released) || cannot_tell)", "node->leased && node->released")],
    "who changes the arbiter is stuck until a person comes": [
        (CAPTURED, "    if (promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count))\n        return true;\n", ""),
        (CHECKS, "promo_arbiter_changes(promo) && every_voter_answers(promo)", "false")],
    "who changes the arbiter goes by what the new one was told (I5)": [
        (CAPTURED, "           !(promo_arbiter_changes(promo) && quorum_is_all(&promo->log, names, count));", "           count < 99;")],
    "who is started goes by what another arbiter was told (I11)": [
        (QUORUM, "return record->arbiter == row ? note : NULL;", "return note;")],
    "what was carried to an arbiter was told (I5)": [
        (DEGRADE, "is_told(view) && is_agreed(view) &&", "is_told(view) &&")],
    "an answer to an earlier promotion counts (I1)": [
        (WORDS, " && number == promo->number &&", " &&")],
    "an arbiter that has forgotten cannot be chosen anew while the set changes": [
        (DEGRADE, "record->arbiter != 0 && ever) ||", "record->arbiter != 0) ||")],
    "a promotion gives up on promises that come late": [
        (CAPTURE, "bool again = !promo->patient && somebody_is_late(promo);", "bool again = false;")],
    "an OPEN behind the fence of a start is left (I11)": [
        (NODE, "    if (node->state == NODE_CANDIDATE)\n        fence_database(node, context);\n", "")],
    "a database that takes itself for primary is not fenced again": [
        (NODE, "        if (context->event->is_primary)\n            fence_database(node, context);\n", "")],
    "who was fenced by another session opens (I11)": [
        (DATABASE, "db->fenced_by != 0 && db->fenced_by", "false && db->fenced_by")],
    "a fence that failed is not repeated (I11)": [
        (NODE, "    node->unfenced = !context->event->ok;\n", "")],
    "nobody waits for a fence (I11)": [
        (NODE, "node->fencing > 0 || now_ms", "now_ms")],
    "a failed freeze stays frozen": [
        (NODE, "    if (!context->event->ok) /* a writer would not end */\n        return reopen(node, context);\n", "")],
    # ---- lease
    "the deadline counts from the answer (I9)": [
        (KNOWN, "uint64_t deadline_ms = lease_end_of(context->event->reply->sent_ms, lease->ttl_ms);",
         "uint64_t deadline_ms = lease_end_of(context->event->now_ms, lease->ttl_ms);")],
    "no guard before the end (I9)": [
        (KNOWN, "return ttl_ms > guard_ms ? sent_ms + ttl_ms - guard_ms : sent_ms;", "return sent_ms + ttl_ms + 0 * guard_ms;")],
    "a taker does not wait (I9)": [
        (KNOWN, "return lease_max_u64(over ? 0 : lease->wait_ms, lease->sworn_ms);", "return lease->sworn_ms + 0 * over;")],
    "a word is not kept (I9)": [
        (KNOWN, "return lease_max_u64(over ? 0 : lease->wait_ms, lease->sworn_ms);", "return over ? 0 : lease->wait_ms;")],
    "no word is given at all (I9)": [
        (HOLDER, ".kind = LEASE_EV_WORD", ".kind = LEASE_EV_TICK")],
    "a late refusal renews (I9)": [
        (LEASE, "if (result == LEASE_RESULT_GRANTED && lease_take_grant(lease, context))", "if (lease_take_grant(lease, context))")],
    "an unclear answer renews (I9)": [
        (KNOWN, "    case LEASE_RESULT_UNCLEAR:\n        lease_note_unclear(lease, context, reply->text);\n        return true;",
         "    case LEASE_RESULT_UNCLEAR:\n        *ret_result = LEASE_RESULT_GRANTED;\n        break;")],
    "failsafe with a member missing (I9)": [
        (KNOWN, "oldest_ms = lease_min_u64(oldest_ms, lease->members[i].asked_ms);",
         "oldest_ms = lease->members[i].asked_ms == 0 ? oldest_ms : lease_min_u64(oldest_ms, lease->members[i].asked_ms);")],
    "failsafe counts from the answer (I9)": [
        (LEASE, "event->ok ? lease_max_u64(member->asked_ms, event->asked_ms) : 0", "event->ok ? event->now_ms : 0")],
    "it is given back while something still acts (I9)": [
        (ASK, "        *ret_op = LEASE_OP_RELEASE;\n        return lease->stopped;", "        *ret_op = LEASE_OP_RELEASE;\n        return true;")],
    "who may not act yet gives it back (I9)": [
        (LEASE, "    return rest(lease); /* not released, if it was granted: who acted before may still act */",
         "    return on_close(lease, context);"),
        (LEASE, "static enum lease_state\non_close_wanting(", "static enum lease_state on_close(struct lease *, struct lease_step_context *);\n\n"
                "static enum lease_state\non_close_wanting(")],
    "a lost lease fences nothing": [
        (LEASE, "    lease_emit(context, LEASE_DO_FENCE)->epoch = lease->epoch;\n    lease->repeat_ms = context->event->now_ms + lease->config.renew_ms;\n    lease->deadline_ms = 0;",
         "    lease->repeat_ms = context->event->now_ms + lease->config.renew_ms;\n    lease->deadline_ms = 0;")],
    "a lost lease stops nothing (I9)": [
        (LEASE, "    lease_emit(context, LEASE_DO_MAY_ACT)->epoch = lease->epoch;\n}", "}")],
    "an arbiter that forgot is believed (I9)": [
        (KNOWN, "        *ret_result = LEASE_RESULT_RESTORED;\n    if (*ret", "        (void)0;\n    if (*ret"),
        (ARBITER, "    if (it->suspect != 0 || it->epoch < wire->known)\n        return LEASE_RESULT_RESTORED;\n", "")],
    "an empty arbiter is a free seat (I9)": [
        (ARBITER, "    if (!it->there)\n        return LEASE_RESULT_EMPTY;\n", "    if (!it->there)\n        return wire->op == LEASE_OP_ACQUIRE ? LEASE_RESULT_GRANTED : LEASE_RESULT_DONE;\n"),
        (KNOWN, "    case LEASE_RESULT_EMPTY:\n        lease_note_unclear(lease, context, \"the arbiter has no record of this cluster\");\n        return true;\n", "    case LEASE_RESULT_EMPTY:\n")],
    "another arbiter is taken for the same (I9)": [
        (LEASE, "    if (changed)\n        forget_arbiter(lease, context);", "    (void)changed;")],
    "a restarted holder does not ask the arbiter (I11)": [
        (NODE, "    if (node->leased && !epoch_equal(&node->granted, &node->own.epoch)) {", "    if (false) {")],
    "a lease that is lost leaves the node primary": [
        (NODE, "    set_reason(node, \"the lease is lost: %s\",\n               context->event->text == NULL ? \"no cause given\" : context->event->text);\n    return step_down(node, context);",
         "    return node->state;")],
    "who knows no promise of his own confirms (I11)": [
        (NODE, "if (!is_fresh(node, peer, now_ms) || peer->facts.promised.number == 0)", "if (!is_fresh(node, peer, now_ms))")],
    # ---- how the daemon uses them
    "who wakes goes on before it looks at the clock (I9)": [
        (WORLD, "        lease_turn(world, event->node);", "        (void)0;")],
    "the lease outlives the role": [
        (DAEMON, "    if (event->kind == NODE_EV_CAPTURED || (node->state != before && node->state == NODE_REJOINING))", "    if (event->kind == NODE_EV_CAPTURED)")],
    "a promise is forgotten with its promotion": [
        (EFFECTS, "    if (op->kind == OP_CAPTURE) { /* whatever has become of the promotion */",
         "    if (op->kind == OP_CAPTURE && effect_is_current(world, node, op->promo, op->message.epoch)) {")],
    "a switchover that is given up takes the permission": [
        (DAEMON, "    if (!may_act_again(node))", "    if (node->state != NODE_PRIMARY)")],
    "who was overtaken has the lease given up": [
        (NODE, "return !may_hold_writes(node) || epoch_compare(epoch, &node->own.epoch) > 0;",
         "return node->state != NODE_PRIMARY || epoch_compare(epoch, &node->own.epoch) > 0;")],
    "who acts again says that it gave up (I9)": [
        (SERVE, "    if (daemon->leased)\n        ok = false;\n", "")],
    "a record that is made anew forgets what was told (I5)": [
        (ARBITER, "if (wire->ask_number > it->number || !it->there) { /* A5 */", "{")],
    "an arbiter is left while another may act by it (I9)": [
        (HOLDER, "    if (!adopt && !daemon->leased) {", "    if (false) {")],
    # ---- effects
    "the gate lets everything through (I9)": [
        (PLAN, "    case ACTIVATION_GATE_CLOSED:\n        return \"this node is fenced\";", "    case ACTIVATION_GATE_CLOSED:\n        return NULL;")],
    "a standby activates (I9)": [
        (PLAN, "        return server == EFFECTIVE_NONE ? NULL : \"this node is not the primary\";", "        return NULL;")],
    # ---- taking over
    "silence is proof": [
        (TAKEOVER, "    case TAKEOVER_PATH_SILENT:\n        return EYES_SILENT;", "    case TAKEOVER_PATH_SILENT:\n        return EYES_GONE;")],
    "a path that was not tried is proof": [
        (TAKEOVER, "    return sight->postgres.kind == TAKEOVER_PATH_REFUSED ? EYES_GONE : EYES_SILENT;",
         "    return sight->postgres.kind == TAKEOVER_PATH_REFUSED || sight->postgres.kind == TAKEOVER_PATH_UNTRIED ? EYES_GONE : EYES_SILENT;"),
        (TAKEOVER, "|| !is_path_fresh(view, &sight->postgres))",
         "|| (sight->postgres.kind != TAKEOVER_PATH_UNTRIED && !is_path_fresh(view, &sight->postgres)))")],
    "a database that lives is no sign of life": [
        (TAKEOVER, "    return sight->postgres.kind == TAKEOVER_PATH_REFUSED ? EYES_GONE : EYES_SILENT;", "    return EYES_GONE;")],
    "a lease that runs is over": [
        (TAKEOVER, "    else if (record != NULL && (record->released || record->remaining_ms == 0))\n        hold_for",
         "    else if (record != NULL)\n        hold_for")],
    "takes over without an arbiter": [
        (TAKEOVER, "            fail(judge, \"%s is automatic, but there is no arbiter: baton arbiter set\", key);", "            pass(judge, \"%s\", key);"),
        (TAKEOVER, "        fail(judge, \"%s, and the arbiter does not say that its lease is over\", no_proof(&seen));", "        pass(judge, \"%s\", no_proof(&seen));")],
    "no pause between two takeovers": [
        (TAKEOVER, "    else if (view->recent_ago_ms[0] >= view->settings.cooldown_ms)", "    else if (true)")],
    "any number of takeovers within the hour": [
        (TAKEOVER, "    if (count < view->settings.per_hour_max) {", "    if (true) {")],
    "takes over while that is paused": [
        (TAKEOVER, "    if (view->paused_until_ms <= view->now_ms)\n        pass(judge, \"not paused\");", "    if (true)\n        pass(judge, \"not paused\");")],
    "what was once seen of a database counts for ever": [
        (WATCH, "        watch->alarm++;\n        watch->postgres = (struct takeover_path){ .kind = TAKEOVER_PATH_UNTRIED };\n", "        watch->alarm++;\n"),
        (TAKEOVER, "    return path->asked_ms + for_ms >= now_ms;", "    return true;")],
    "what was seen before it stood still counts as of now (I13)": [
        (TAKEOVER, "    return path->asked_ms + for_ms >= now_ms;", "    return true;")],
    "a takeover that was not recorded does not count": [
        (WATCH, "(note->kind == NOTE_EPOCH && !epoch_seen &&", "(false && !epoch_seen &&")],
    "the order of candidates is ignored": [
        (TAKEOVER, "    uint64_t extra_ms = rank * later(view->settings.delay_ms, TAKEOVER_STEP_MS_MIN);", "    uint64_t extra_ms = 0;")],
}


def compile_one(source, target):
    subprocess.run([COMPILER, *FLAGS, "-I", ROOT, "-c", source, "-o", target], check=True)


def sources():
    """Paths below the root: what every program is made of, and each program's own."""
    common = [path for folder in ("controller/base", "sites", "tests/world")
              for path in sorted((ROOT / folder).glob("*.c"))] + [ROOT / PLAN]
    own = [ROOT / FOLDERS[program] / f"{name}.c" for program, names in PROGRAMS.items() for name in names]
    return [str(path.relative_to(ROOT)) for path in common], [str(path.relative_to(ROOT)) for path in own]


class Bench:
    """The unbroken objects, compiled once; broken ones are linked in their place."""

    def __init__(self, folder):
        self.folder = folder
        self.common, own = sources()
        self.objects = {name: folder / (name.replace("/", "_") + ".o") for name in self.common + own}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda name: compile_one(ROOT / name, self.objects[name]), self.objects))
        self.stories = sorted(str(path) for path in ROOT.glob("tests/scenarios/*.story"))

    def break_sources(self, folder, changes):
        """{source: object} of what is changed; ValueError when a change does not apply."""
        replaced = {}
        for name in {name for name, _, _ in changes}:
            text = (ROOT / name).read_text()
            for _, old, new in (change for change in changes if change[0] == name):
                if text.count(old) != 1:
                    raise ValueError(f"{name} has this {text.count(old)} times: {old!r}")
                text = text.replace(old, new)
            broken = folder / name.replace("/", "_")
            broken.write_text(text)
            replaced[name] = broken.with_suffix(".o")
            compile_one(broken, replaced[name])
        return replaced

    def link(self, folder, program, replaced):
        names = self.common + [f"{FOLDERS[program]}/{name}.c" for name in PROGRAMS[program]]
        target = folder / program
        if not target.exists():
            subprocess.run([COMPILER, *[replaced.get(name, self.objects[name]) for name in names], *LIBRARIES, "-o", target],
                           check=True)
        return target

    def run(self, program, arguments):
        """What it says when it fails, else None."""
        try:
            run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=1200)
        except subprocess.TimeoutExpired:
            return "hangs"
        return (run.stdout + run.stderr).strip() if run.returncode != 0 else None

    def find(self, number, changes, known):
        """(who found it, what it said), or None. 'known' is tried first, then all."""
        folder = self.folder / str(number)
        folder.mkdir()
        replaced = self.break_sources(folder, changes)
        tries = [("sim", ["--failures", "1", "1", str(SEEDS_FIRST)]), ("scenario", self.stories), ("kill", ["5"]),
                 ("sim", ["--failures", "1", str(SEEDS_FIRST + 1), str(SEEDS - SEEDS_FIRST)])]
        if known.startswith("seed "):
            tries.insert(0, ("sim", [known.split()[1], "1"]))
        elif known.startswith("story "):
            tries.insert(0, ("scenario", [str(ROOT / "tests" / "scenarios" / f"{known.split()[1]}.story")]))
        elif known.startswith("kill"):
            tries.insert(0, tries[2])
        for program, arguments in tries:
            said = self.run(self.link(folder, program, replaced), arguments)
            if said is not None:
                return name_finder(program, said), said
        return None

    def judge(self, number, mutant, known):
        """(found or None, what to print)"""
        try:
            result = self.find(number, MUTANTS[mutant], known)
        except (ValueError, subprocess.CalledProcessError) as problem:
            return None, f"DOES NOT APPLY  {mutant}: {problem}"
        shutil.rmtree(self.folder / str(number))
        if result is None:
            return None, f"{mutant:60} NOTHING FOUND IT"
        found = (result[0], summary(result[1]))
        return found, f"{mutant:60} {': '.join(found)}"


def name_finder(program, said):
    if program == "sim":
        found = re.search(r"seed (\d+)", said)
        return f"seed {found.group(1)}" if found else "sim"
    if program == "scenario":
        found = re.search(r"([\w-]+)\.story", said)
        return f"story {found.group(1)}" if found else "stories"
    return "kill"


def summary(said):
    """The first line that names an invariant, an assertion, or what does not come to rest."""
    line = next((line for line in said.splitlines() if ": " in line and not line.endswith(" runs")),
                said.splitlines()[0] if said else "")
    line = re.sub(r"^seed \d+, event \d+, at \d+ ms: ", "", line)
    return re.sub(r"(^| )/\S+/", r"\1", line).strip()[:110]


def read_page():
    """{mutant: who found it} of the page as it is."""
    if not PAGE.exists():
        return {}
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M)
    return {name: finder for name, finder, _ in rows[1:]}  # after the head


def write_page(found):
    lines = ["# Planted faults", "",
             "Each row is one line of the decision code that was made wrong on purpose, and what found it: a seed of the",
             "simulator (`tests/sim/sim SEED 1`), a story (`tests/scenarios/NAME.story`) or the kills at every event",
             "(`tests/scenarios/kill.c`). The changes themselves stand in `tests/sim/mutants.py`, which makes them again in each",
             "run of the tests and fails when nothing finds one; `tests/sim/mutants.py --rewrite` writes this page.", "",
             "| what was made wrong | found by | which said |", "|---|---|---|"]
    lines += [f"| {name} | {finder} | {said.replace('|', '/')} |" for name, (finder, said) in found.items()]
    PAGE.write_text("\n".join(lines) + "\n")


def main():
    arguments = sys.argv[1:]
    rewrite = arguments[:1] == ["--rewrite"]
    wanted = (arguments[1:] if rewrite else arguments)[:1] or [""]
    known = read_page()
    found, failed = {}, 0
    if not rewrite and set(known) != set(MUTANTS):
        failed += 1
        print(f"docs/mutants.md lists others: mutants.py --rewrite  {sorted(set(known) ^ set(MUTANTS))}")
    names = [mutant for mutant in MUTANTS if wanted[0] in mutant]
    with tempfile.TemporaryDirectory(prefix="baton-mutants-") as folder:
        bench = Bench(pathlib.Path(folder))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            judged = pool.map(lambda at: bench.judge(at, names[at], known.get(names[at], "")), range(len(names)))
            for mutant, (result, text) in zip(names, judged):
                print(text, flush=True)
                failed += result is None
                if result is not None:
                    found[mutant] = result
    print(f"{len(found)} planted faults found, {failed} not")
    if rewrite and wanted == [""] and failed == 0:
        write_page(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
