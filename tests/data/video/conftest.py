"""Files that were once read wrongly, outside the project."""

import pytest


@pytest.fixture(scope="session")
def faults(shared):
    """The folder of small inputs that used to fail."""
    folder = shared.parent / "faults"
    if not folder.is_dir():
        pytest.skip("the folder of faults is not beside this checkout")
    return folder
