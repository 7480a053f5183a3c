"""The loop that every backend can compile and differentiate."""

import numpy as np
import pytest
from gradients import gradient
from keras import ops

from keras_twostream.flow._loop import repeat

pytestmark = pytest.mark.agnostic


def grown(x, times):
    """Return x after steps of x, n -> x + n, n + 1, from n = 0."""
    step = lambda x, n: (x + n, n + 1)  # noqa: E731
    return repeat(times, step, (x, ops.zeros(())))[0]


@pytest.mark.parametrize("times", [0, 1, 5])
def test_every_step_is_taken_and_no_more(times):
    result = ops.convert_to_numpy(grown(ops.ones((2,)), times))
    np.testing.assert_array_equal(result, 1 + sum(range(times)))


def test_gradients_pass_through_all_steps():
    def cube(x):
        (product, _) = repeat(3, lambda p, x: (p * x, x), (ops.ones(()), x))
        return product

    np.testing.assert_allclose(gradient(cube, np.float32(2.0)), 12.0)
