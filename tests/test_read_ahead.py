"""A thread that prepares items ahead, and leaves nothing behind."""

import threading

import pytest

from keras_twostream._read_ahead import ahead


def counting(until, made):
    for number in range(until):
        made.append(number)
        yield number


def test_items_come_in_order_from_one_other_thread():
    threads = set()

    def items():
        for number in range(20):
            threads.add(threading.current_thread())
            yield number

    assert list(ahead(items())) == list(range(20))
    assert len(threads) == 1 and threading.current_thread() not in threads


def test_no_more_is_prepared_than_may_wait():
    made, reached = [], threading.Event()

    def items():
        for number in counting(100, made):
            if number == 3:
                reached.set()
            yield number

    read = ahead(items(), depth=2)
    assert next(read) == 0
    # One that was read, two that wait, and one in the thread's hands.
    assert reached.wait(10) and not reached.clear()
    assert not reached.wait(0.1) and made == [0, 1, 2, 3]
    read.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise KeyError("two")

    read = ahead(items())
    assert next(read) == 1
    with pytest.raises(KeyError, match="two"):
        next(read)


@pytest.mark.parametrize("taken", [1, 3])
def test_closing_ends_the_thread_and_the_source(taken):
    before, closed = threading.active_count(), []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    read = ahead(items())
    for _ in range(taken):
        next(read)
    read.close()
    assert closed and threading.active_count() == before


def test_a_source_that_cannot_be_closed_is_an_error():
    class Source:
        def __iter__(self):
            return iter([1])

        def close(self):
            raise OSError("cannot close")

    read = ahead(Source())
    assert next(read) == 1
    with pytest.raises(OSError, match="cannot close"):
        next(read)
