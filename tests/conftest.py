import logging
import os

import pytest
from hypothesis import settings

# no deadline: the machine may be busy; the same examples every time: a red test stays red
settings.register_profile("looptool", deadline=None, derandomize=True)
settings.load_profile("looptool")
logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request of a test server
if "PYTEST_XDIST_WORKER" in os.environ:  # workers that share the cores must not fight for them
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: the last one to begin keeps the other workers waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
