"""Print the lowest version of each dependency that pyproject.toml accepts."""

import re
import tomllib

# The lowest that is built for this Python, where that is later.
NEWER = {"numpy": "2.0.*"}

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
for wanted in project["dependencies"]:
    name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", wanted).groups()
    print(f"{name}=={NEWER.get(name, version + '.*')}")
