"""Code in a process of its own, for what only a first import shows."""

import subprocess
import sys


def run(code, *arguments):
    """Run code to its end, and return the finished process."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done
