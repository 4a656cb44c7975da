"""What holds for all tests, set before anything imports torch or rich."""

import os

# several workers on as many cores: more threads than one for each of them only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
# messages are not broken into lines at the width of the terminal that the tests happen to run in
os.environ["COLUMNS"] = "200"
