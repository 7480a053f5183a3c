"""The loopback Hub of the tests, in a process of its own."""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def hub(repos: Mapping[str, Mapping[str, bytes]]) -> Iterator[str]:
    """Serve repositories for a block, and yield the address.

    Args:
        repos: Contents by file, by "user/name".
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            _serve(repos, writing)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        yield os.read(reading, 1000).decode()
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _serve(repos: Mapping[str, Mapping[str, bytes]], pipe: int) -> None:
    from hub_server import LoopbackHub

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # clients are killed
    server = LoopbackHub()
    for name, files in repos.items():
        server.create(name, dict(files))
    os.write(pipe, server.endpoint.encode())
    signal.pause()
