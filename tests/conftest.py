import logging
import os

from hypothesis import settings

# no deadline: the machine may be busy; the same examples every time: a red test stays red
settings.register_profile("looptool", deadline=None, derandomize=True)
settings.load_profile("looptool")
logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request of a test server
if "PYTEST_XDIST_WORKER" in os.environ:  # workers that share the cores must not fight for them
    os.environ["OMP_NUM_THREADS"] = "1"
