import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cluster import Cluster, logs  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


def pytest_terminal_summary(terminalreporter):
    """What failed, once more at the end: whoever sees only the end of a long output sees why."""
    for kind in ("error", "failed"):
        for report in terminalreporter.stats.get(kind, []):
            crash = getattr(report.longrepr, "reprcrash", None)
            said = crash.message if crash else str(report.longrepr)
            place = "%s:%d" % (crash.path, crash.lineno) if crash else ""
            terminalreporter.write_line("==== %s (%s) %s" % (report.nodeid, report.when, place))
            terminalreporter.write_line("\n".join(line[:500] for line in said.splitlines()[:20]))


@pytest.fixture(scope="module")
def folder():
    made = pathlib.Path(tempfile.mkdtemp(prefix="baton-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def three(folder):
    """east-1, east-2 and west-1, settled; shared by the tests of a file, each leaves it settled."""
    with Cluster(folder / "three") as cluster:
        try:
            cluster.three()
        except BaseException:
            logs(cluster)
            raise
        yield cluster


@pytest.fixture(autouse=True)
def show_logs(request):
    yield
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed:
        for value in request.node.funcargs.values():
            if isinstance(value, Cluster):
                logs(value)
