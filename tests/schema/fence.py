"""Two sessions, a writer and a promotion step, in every order that their steps can have.

As PostgreSQL's own isolation tester does: steps are started in the order of the permutation; one that
waits for a lock is left waiting, and so are the later steps of its session, until it goes on.

The rule: what a freeze, a capture or a fence returned is the end of the log. A write that is not in it by
then is refused with 25006 or 40001, in every isolation level.
"""
import collections
import itertools
import select

import psycopg2
import psycopg2.extensions

from pg import adapt, change, group

READ, REPEATABLE, SERIALIZABLE = "read committed", "repeatable read", "serializable"
LEVELS = (READ, REPEATABLE, SERIALIZABLE)


ENDED = "57P01"  # a capture and a fence end who holds the lock for too long; on a busy machine, us


class Session:
    """Runs statements without waiting for them."""

    def __init__(self, node, user):
        self.connection = psycopg2.connect(host=str(node.server.path), port=node.server.port, dbname=node.database,
                                           user=user, options="-c synchronous_commit=local", async_=1)
        self.finish(10)
        self.cursor = self.connection.cursor()
        self.pid = self.connection.info.backend_pid
        self.queue = collections.deque()
        self.busy = None

    def finish(self, seconds):
        """True: nothing is under way any more."""
        while True:
            state = self.connection.poll()
            if state == psycopg2.extensions.POLL_OK:
                return True
            readable = [self.connection] if state == psycopg2.extensions.POLL_READ else []
            writable = [self.connection] if state == psycopg2.extensions.POLL_WRITE else []
            if not any(select.select(readable, writable, [], seconds)):
                return False


class Play:
    def __init__(self, node, **users):
        self.node = node
        self.users = users
        self.sessions = {}
        self.results = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for session in self.sessions.values():
            session.connection.close()

    def play(self, steps):
        """[(session, step, text)] in order. Returns {step: (SQLSTATE or 'ok', rows)}."""
        for who, user in self.users.items():
            if who not in self.sessions or self.sessions[who].connection.closed:
                self.sessions[who] = Session(self.node, user)
        self.results = {step: (ENDED, None) for _, step, _ in steps}
        for who, step, text in steps:
            self.sessions[who].queue.append((step, text))
            self.go_on()
        assert not any(s.busy or s.queue for s in self.sessions.values()), "both sessions wait"
        return self.results

    def go_on(self):
        """Lets both sessions come as far as they can."""
        moved = True
        while moved:
            moved = False
            for session in self.sessions.values():
                if session.busy is None and session.queue:
                    session.busy, text = session.queue.popleft()
                    try:
                        session.cursor.execute(text)
                    except psycopg2.Error:
                        assert session.connection.closed
                        session.busy = None
                        session.queue.clear()
                    moved = True
                if session.busy is not None:
                    moved = self.watch(session) or moved

    def watch(self, session):
        """Waits until the step has ended (True), or until it waits for the other session."""
        while True:
            try:
                if session.finish(0.002):
                    rows = session.cursor.fetchall() if session.cursor.description else None
                    self.results[session.busy] = ("ok", rows)
                    session.busy = None
                    return True
            except psycopg2.Error as error:
                self.results[session.busy] = (ENDED if session.connection.closed else error.pgcode, None)
                session.busy = None
                return True
            if self.waits(session):
                return False

    def waits(self, session):
        cursor = self.node.owner.cursor()
        cursor.execute("select cardinality(pg_blocking_pids(%s)) > 0", (session.pid,))
        return cursor.fetchone()[0]


def merges(left, right):
    """Every order of two lists that keeps the order of each."""
    for places in itertools.combinations(range(len(left) + len(right)), len(left)):
        merged, rest, own = [], iter(right), iter(left)
        for place in range(len(left) + len(right)):
            merged.append(next(own) if place in places else next(rest))
        yield merged


WRITES = {
    "write": "select shared.write('%s'::jsonb)" % adapt([group(change("app/late", 1))]),
    "insert": "insert into shared.log (key, value, author) values ('app/late', '1', 'me')",
}


def writer_steps(level, write, who="writer", prefix=""):
    return [(who, prefix + "begin", "begin isolation level " + level),
            (who, prefix + "look", "select count(*) from shared.log"),
            (who, prefix + "write", WRITES[write].replace("late", prefix + "late")), (who, prefix + "end", "commit")]


def outcome(results, prefix=""):
    return next((results[prefix + s][0] for s in ("write", "end") if results[prefix + s][0] != "ok"), "ok")


def control_steps(act, epoch, end):
    text = {"freeze": "select applied from local.freeze()", "fence": "select applied from local.fence()",
            "capture": "select (at_position).applied from local.capture(%d, 'west-1')" % epoch}[act]
    if end is None:
        return [("control", "act", text)]
    return [("control", "begin_act", "begin"), ("control", "act", text), ("control", "end_act", end)]


def reopen(node):
    """Primary of a new epoch, whatever happened before. Returns its number."""
    epoch = node.position()["promised"] + 1
    node.run("fence")  # only who fenced last opens
    node.open(epoch)
    return epoch


def violations(node, acts, levels, writes, ends):
    """Plays every permutation; returns those that break the rule, and how many were played."""
    broken, played = [], 0
    with Play(node, writer="baton_owner", control="baton") as play:
        for level, write, act, end in itertools.product(levels, writes, acts, ends):
            for order in merges(writer_steps(level, write), control_steps(act, 0, end)):
                epoch = reopen(node)
                before = node.applied()
                results = play.play([(who, step, text.replace("(0,", "(%d," % (epoch + 1)))
                                     for who, step, text in order])
                played += 1
                fault = judge(results, before, node.applied(), act, end)
                if fault:
                    broken.append((fault, level, write, act, [step for _, step, _ in order]))
    return broken, played


def judge(results, before, after, act, end):
    """What is wrong with how it went, or None."""
    code = outcome(results)
    if results["act"][0] != "ok":
        return "the act failed: %s" % results["act"][0]
    if code not in ("ok", "25006", "40001") and (act == "freeze" or code != ENDED):
        return "the writer got %s" % code
    if after != before + (code == "ok"):
        return "the write %s, but the log went from %d to %d" % (code, before, after)
    if end == "rollback":
        return None
    ((returned,),) = results["act"][1]
    if after != returned:
        return "returned %d, the log has %d" % (returned, after)
    return None


def open_violations(node, levels):
    """The other way round: before an opening nothing is written, after it all in the new epoch."""
    broken, played = [], 0
    with Play(node, writer="baton_owner", control="baton") as play:
        for level in levels:
            for order in merges(writer_steps(level, "insert"), [
                    ("control", "begin_act", "begin"), ("control", "act", "open"), ("control", "first", "first"),
                    ("control", "end_act", "commit")]):
                epoch = node.position()["promised"] + 1
                assert node.run("capture", epoch, node.name)[0]["granted"]
                texts = {"open": "select * from local.open(%d, '%s')" % (epoch, node.name),
                         "first": "select shared.write('%s'::jsonb)" % adapt([group(change("epoch", epoch))])}
                before = node.applied()
                results = play.play([(who, step, texts.get(text, text)) for who, step, text in order])
                played += 1
                code = outcome(results)
                new = node.own("select key, epoch from shared.log where revision > %s order by revision", before)
                want = [("epoch", epoch)] + [("app/late", epoch)] * (code == "ok")
                if code not in ("ok", "25006", "40001") or new != want:
                    broken.append((code, new, level, [step for _, step, _ in order]))
    return broken, played


def writer_violations(node, levels):
    """Two writers: each is in the log once or got 40001; the log has no gap; nobody deadlocks."""
    broken, played = [], 0
    reopen(node)
    with Play(node, writer="baton_owner", other="baton_owner") as play:
        for level in levels:
            for order in merges(writer_steps(level, "insert"), writer_steps(level, "write", "other", "other_")):
                before = node.applied()
                results = play.play(order)
                played += 1
                codes = [outcome(results), outcome(results, "other_")]
                allowed = ("ok",) if level == READ else ("ok", "40001")
                if any(c not in allowed for c in codes) or node.applied() != before + codes.count("ok"):
                    broken.append((codes, level, [step for _, step, _ in order]))
    return broken, played
