"""Recognition of a folder's layout by the names of its files."""

import dataclasses
import os
import re
from pathlib import Path

from keras_twostream._files import expanded
from keras_twostream.errors import VideoError

_WORDS = "frame|thumb|image|img|out|output|screenshot|shot|snapshot|still"
# File names by (naming, role, pattern). The first match counts.
_NAMES = [
    ("flow_", "x", r"flow_x_(\d+)"),
    ("flow_", "y", r"flow_y_(\d+)"),
    ("xy", "x", r"x_(\d+)"),
    ("xy", "y", r"y_(\d+)"),
    ("img", "rgb", r"(?:img|image)[_-]?(\d+)"),
    ("frame", "rgb", rf"(?:(?:{_WORDS})[ ._-]?)?\(?(\d+)\)?"),
    ("charades", "x", r".+-(\d+)x"),
    ("charades", "y", r".+-(\d+)y"),
    ("charades", "rgb", r".+-(\d+)"),
]
_SUFFIXES = "jpe?g|jfif|png|bmp|webp|tiff?|p[gnp]m"
_PATTERNS = [
    (naming, role, re.compile(rf"{pattern}\.(?:{_SUFFIXES})", re.IGNORECASE))
    for naming, role, pattern in _NAMES
]
_COMPONENT = {"u": "x", "v": "y"}
_TREE = re.compile("flow|rgb|jpe?g|frame|image", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The files of one video.

    Attributes:
        name: The layout, see the package's table; "frames" without flow.
        path: The folder that was read.
        files: Dict from role ("rgb", "x", "y") to {index: path}.
        first: Lowest index of any role.
        shift: 1 where field k ends at image k (dense_flow), else 0.
    """

    name: str
    path: str
    files: dict[str, dict[int, str]]
    first: int
    shift: int

    @property
    def frames(self) -> int:
        """Number of images, or of those that the flow fields connect."""
        if self.files["rgb"]:
            return len(self.files["rgb"])
        return len(self.files["x"]) + 1

    @property
    def fields(self) -> int:
        """Number of flow fields with both components."""
        return len(self.files["x"].keys() & self.files["y"].keys())

    def missing(self, role: str) -> list[int]:
        """Return the missing indices between a role's first and last."""
        present = self.files[role]
        if not present:
            return []
        return sorted(set(range(self.first, max(present) + 1)) - set(present))


def read_layout(path: str | os.PathLike) -> Layout:
    """Return the layout of one video's folder of frames or flow.

    Flow in a tree beside that of the frames (jpegs_256 and tvl1_flow/u,
    tvl1_flow/v) is read too.

    Args:
        path: The folder.

    Raises:
        VideoError: If it does not exist, or holds no known file name.
    """
    path = expanded(path)
    if not path.is_dir():
        raise VideoError(f"Cannot read {path}: there is no such folder.")
    naming, files = _own_files(path)
    if not any(files.values()):
        raise VideoError(
            f"Cannot read {path}: no file in it is named as a frame or flow "
            "field of a known tool, such as img_00001.jpg, 00001.png, frame "
            "(1).jpg, flow_x_00001.jpg, x_00001.jpg, frame000001.jpg or "
            "ID-000001x.jpg. Pictures end in .jpg, .jpeg, .jfif, .png, .bmp, "
            ".webp, .tif, .tiff, .ppm, .pgm or .pnm; convert others."
        )
    if not (files["rgb"] and files["x"]):
        naming, files = _with_companions(path, naming, files)
    first = min(min(numbers) for numbers in files.values() if numbers)
    name = _name(naming, files, first)
    same = len(files["rgb"]) == len(files["x"])
    return Layout(
        name, str(path), files, first, int(name == "dense_flow" and same)
    )


def is_layout_file(name: str) -> bool:
    """Return whether a file is named as a tool names a frame or flow field."""
    return _classify(name) is not None


def is_tree(name: str) -> bool:
    """Return whether a folder is named for its content, as "flow_x" or "u"."""
    return name in _COMPONENT or _TREE.search(name) is not None


def _name(naming: str, files: dict[str, dict[int, str]], first: int) -> str:
    if not (files["x"] or files["y"]):
        return "frames"
    names = {
        "flow_": "denseflow" if first == 0 else "dense_flow",
        "xy": "mmaction2",
        "frame": "gpu_flow",
        "charades": "charades",
    }
    return names[naming]


def _own_files(path: Path) -> tuple[str, dict[str, dict[int, str]]]:
    """Return the naming of the flow (or else of the frames), and the files."""
    component = _COMPONENT.get(path.parent.name)
    naming = ""
    files: dict[str, dict[int, str]] = {"rgb": {}, "x": {}, "y": {}}
    for entry in sorted(os.listdir(path)):
        known = _classify(entry)
        if known is None:
            continue
        style, role, index = known
        if component and style == "frame":
            role = component
        _refuse_two(path, files[role].get(index), entry, index)
        if role != "rgb" or not naming:
            naming = style
        files[role][index] = str(path / entry)
    return naming, files


def _refuse_two(path: Path, there: str | None, entry: str, index: int) -> None:
    """Refuse a second picture of one number, which would replace the first."""
    if there is not None:
        raise VideoError(
            f"Cannot read {path}: {os.path.basename(there)} and {entry} have "
            f"the same number, {index}. Keep one picture of each."
        )


def _classify(name: str) -> tuple[str, str, int] | None:
    for naming, role, pattern in _PATTERNS:
        match = pattern.fullmatch(name)
        if match:
            return naming, role, int(match[1])
    return None


def _with_companions(
    path: Path, naming: str, files: dict[str, dict[int, str]]
) -> tuple[str, dict[str, dict[int, str]]]:
    """Add the files in other trees under the video's name."""
    for folder in _companions(path):
        other, beside = _own_files(folder)
        for role in files:
            if beside[role] and not files[role]:
                files[role] = beside[role]
                if role != "rgb":
                    naming = other
    return naming, files


def _companions(path: Path) -> list[Path]:
    """Return folders of the same name in the trees beside this one.

    Only trees named for their content count, such as jpegs_256 and
    tvl1_flow, because two class folders may hold the same name.
    """
    parent = path.absolute().parent
    tree = parent.parent if parent.name in _COMPONENT else parent
    if not _TREE.search(tree.name):
        return []
    trees = [
        folder
        for folder in sorted(tree.parent.iterdir())
        if folder.is_dir() and _TREE.search(folder.name)
    ]
    trees += [folder / part for folder in trees for part in _COMPONENT]
    homes = [folder / path.name for folder in trees if folder != parent]
    return [home for home in homes if home.is_dir()]
