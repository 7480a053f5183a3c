"""Iterators that a thread of their own runs ahead of their reader."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()
_PATIENCE = 0.05  # seconds between two looks at a thread that has to end


def ahead(items: Iterable[Item], depth: int = 1) -> Generator[Item, None, None]:
    """Yield items that a thread prepares while earlier ones are used.

    The thread begins with the first item and is gone when the generator ends
    or is closed. An error in the thread is raised here, in its place among
    the items.

    Args:
        items: Any iterable; only the thread touches it from now on.
        depth: Number of items that wait at most, beside the one in work.

    Yields:
        The items, in order.
    """
    waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(
        target=_prepare, args=(items, waiting, stopped), daemon=True
    )
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            # It may wait for room to hand over an item.
            with contextlib.suppress(queue.Empty):
                waiting.get_nowait()
            thread.join(_PATIENCE)


def _prepare(
    items: Iterable[Any], waiting: queue.Queue, stopped: threading.Event
) -> None:
    try:
        for item in items:
            if stopped.is_set():
                break
            waiting.put((item, None))
            if stopped.is_set():
                break
        _close(items)
        end: tuple[Any, BaseException | None] = (_END, None)
    except BaseException as error:  # whatever it is, the reader has to know
        end = (_END, error)
        with contextlib.suppress(Exception):
            _close(items)
    waiting.put(end)


def _close(items: Iterable[Any]) -> None:
    if hasattr(items, "close"):
        items.close()
