"""Breaks the protocol on purpose, one rule at a time, and demands that the tests of this folder see it.

    mutants.py [NAME]     all, or those whose name contains NAME; prints what caught each

A mutant is a change of the shipped sources (sites/) or of the database's rules (tests/world/database.c),
made in a copy, which is compiled and run: storms first, then stories, then kills. A mutant that no longer
applies, or that nothing catches, fails.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-DBATON_VERSION=\"0\"", "-O1", "-w"]
LIBRARIES = ["-ljson-c", "-lsystemd"]
PROGRAMS = ["storm", "kill", "scenario"]
RUNS = [("storm", ["1", "120", "60"]), ("scenario", None), ("kill", ["5"])]

NODE, PROMO, QUORUM, EPOCH = "sites/node.c", "sites/promo.c", "sites/quorum.c", "sites/epoch.c"
CHECKS, CAPTURED = "sites/promo_checks.c", "sites/promo_quorum.c"
DATABASE, JOBS, UPKEEP = "tests/world/database.c", "tests/world/jobs.c", "tests/world/upkeep.c"

# name: [(file, what stands there exactly once, what takes its place), ...]
MUTANTS = {
    "no capture quorum (I5)": [
        (QUORUM, "return count_voters(set, captured, count) >= quorum_needed(set);", "return count >= 1;")],
    "one capture too few (I5)": [
        (QUORUM, "return set->k >= set->count ? 1 : set->count - set->k;",
         "return set->k + 1 >= set->count ? 1 : set->count - set->k - 1;")],
    "capture skips catch-up (I6)": [
        (PROMO, "    if (best->self)\n        return go_on_caught_up", "    if (best != NULL)\n        return go_on_caught_up")],
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
        (DATABASE, "db->opened_boot == db->boot &&\n           db->promised == db->epoch;", "db->opened_boot == db->boot;")],
    "the first row is not awaited (I4)": [
        (PROMO, "    emit(context, PROMO_DO_FIRST_ROW, NULL)->epoch = promo->epoch;\n    unsigned told",
         "    emit(context, PROMO_DO_FIRST_ROW, NULL)->epoch = promo->epoch;\n"
         "    (void)emit(context, PROMO_DO_WRITES_OPEN, NULL);\n    unsigned told")],
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
    "the old set does not count while it changes (I5)": [
        (QUORUM, "    if (record->joint && !captured_one(&record->old, captured, captured_count, old_primary))\n"
                 "        return false;\n    return captured_one", "    return captured_one")],
    "the new set acknowledges while it changes (I5)": [
        (QUORUM, "return record->joint ? &record->old : &record->now;", "return &record->now;")],
    "the next step of a change does not wait (I5)": [
        (QUORUM, "    if (!acknowledged) {", "    if (false) {")],
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
    "rows of the primary's epoch are a fork": [
        (JOBS, "head.epoch == attach->epoch ? head.revision : answer->revision", "answer->revision"),
        (DATABASE, "op->message.revision < db->log.count && db_head(db).epoch >= op->message.epoch", "false")],
    "a plan outlives a promise to another": [
        (PROMO, "PREPARING, PROMO_EV_SUPERSEDED, on_superseded_early", "PREPARING, PROMO_EV_SUPERSEDED, on_superseded")],
    "a pull keeps the old subscription (I4)": [
        (JOBS, "    do_op(world, node, JOB_PULL, OP_DETACH, daemon->pull.serial, WORLD_NONE);",
         "    ask(world, node, member, CALL_MATCH, daemon->pull.serial, epoch, 0);")],
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
    "a failed freeze stays frozen": [
        (NODE, "    if (!context->event->ok) /* a writer would not end */\n        return reopen(node, context);\n", "")],
}


def compile_one(source, target, folder):
    subprocess.run([COMPILER, *FLAGS, "-I", folder, "-c", source, "-o", target], check=True)


def sources():
    some = [*ROOT.glob("controller/base/*.c"), *ROOT.glob("tests/world/*.c")]
    some += [ROOT / name for name in (NODE, QUORUM, EPOCH)] + sorted(ROOT.glob("sites/promo*.c"))
    return [path.relative_to(ROOT) for path in some + [ROOT / f"tests/scenarios/{name}.c" for name in PROGRAMS]]


class Bench:
    """The unbroken objects, compiled once, and a copy of the sources to break."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("controller/base", "sites", "tests/world", "tests/scenarios"):
            shutil.copytree(ROOT / name, folder / name)
        self.objects = {str(name): folder / (str(name).replace("/", "_") + ".o") for name in sources()}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: compile_one(ROOT / name, self.objects[name], ROOT), self.objects))

    def link(self, program, replaced):
        objects = [replaced.get(name, path) for name, path in self.objects.items()
                   if not name.startswith("tests/scenarios/") or name == f"tests/scenarios/{program}.c"]
        target = self.folder / program
        subprocess.run([COMPILER, *objects, *LIBRARIES, "-o", target], check=True)
        return target

    def caught_by(self, changes):
        replaced = {}
        for name in {name for name, _, _ in changes}:
            text = (ROOT / name).read_text()
            for _, old, new in (change for change in changes if change[0] == name):
                if text.count(old) != 1:
                    raise ValueError(f"{name} has this {text.count(old)} times: {old!r}")
                text = text.replace(old, new)
            (self.folder / name).write_text(text)
            replaced[name] = self.folder / "broken" / (name.replace("/", "_") + ".o")
            replaced[name].parent.mkdir(exist_ok=True)
            compile_one(self.folder / name, replaced[name], self.folder)
        stories = sorted(str(path) for path in ROOT.glob("tests/scenarios/*.story"))
        for program, arguments in RUNS:
            run = subprocess.run([self.link(program, replaced), *(arguments or stories)], capture_output=True, text=True)
            if run.returncode != 0:
                lines = (run.stdout + run.stderr).strip().splitlines()
                said = next((line for line in lines if "I" in line and ":" in line), lines[0] if lines else "")
                return f"{program}: {said.strip()[:110]}"
        return None


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="baton-mutants-") as name:
        bench = Bench(pathlib.Path(name))
        for mutant, changes in MUTANTS.items():
            if wanted not in mutant:
                continue
            try:
                caught = bench.caught_by(changes)
            except ValueError as problem:
                caught, failed = None, failed + 1
                print(f"DOES NOT APPLY  {mutant}: {problem}")
                continue
            failed += caught is None
            print(f"{mutant:52} {caught or 'NOTHING CAUGHT IT'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
