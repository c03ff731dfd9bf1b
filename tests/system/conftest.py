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
