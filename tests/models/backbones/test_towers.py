"""Towers that run step by step."""

from keras_twostream.models.backbones.towers import Tower


def test_a_tower_runs_to_the_step_that_is_named():
    steps = {"one": lambda x: x + 1, "two": lambda x: 10 * x}
    tower = Tower("rgb", 1, 1, steps, in_3d=False)
    tower.run("none of them")
    assert tower.x == 1
    tower.run("one")
    assert (tower.x, list(tower.steps)) == (2, ["two"])
    tower.run()
    assert (tower.x, tower.steps) == (20, {})
