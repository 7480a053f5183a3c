"""A Hub, and a web server, that answer with damaged files and headers."""

import functools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from campaign_parts.sample import Reading, Sample, digest
from keras_twostream.pretrained import (
    _hub_files,
    _safetensors,
    _sources,
    _web_files,
)

_HEADERS = ("ETag", "X-Repo-Commit", "Content-Length", "X-Linked-Size")
_VALUES = (
    *("", '"../../x"', "../", "a" * 40, "-1", "0", "1e9", "9" * 30, "\x7f"),
    *('"' + "0" * 64 + '"', "deadbeef", "W/" + '"' + "f" * 40 + '"', "é"),
)
_STATUSES = (200, 204, 206, 301, 302, 307, 400, 401, 403, 404, 407, 416, 429)
_LATER = (500, 502, 503, 504, 0)


def samples() -> Iterator[Sample]:
    """Yield a Hub's config, tensors and answers, and a web server's."""
    from campaign_parts.tensors import model_files

    config, tensors = model_files()
    files = {"config.json": config, "model.safetensors": tensors}
    for file in files:
        yield Sample(
            f"hub: {file}",
            "answers of servers",
            file,
            dict(files),
            functools.partial(_fetch, damaged=file),
            text=file == "config.json",
            exact=file == "model.safetensors",
        )
    yield Sample(
        "hub: headers and statuses",
        "answers of servers",
        "seed",
        {**files, "seed": bytes(64)},
        _fetch,
        exact=True,
    )
    yield Sample(
        "web: headers and statuses",
        "answers of servers",
        "seed",
        {**files, "seed": bytes(64)},
        _fetch_from_web,
        exact=True,
    )


def _fetch(folder: Path, damaged: str = "") -> Reading:
    """Load a repository of the loopback Hub up to its tensors."""
    from hub_server import LoopbackHub

    config = (folder / "config.json").read_bytes()
    tensors = (folder / "model.safetensors").read_bytes()
    _point_elsewhere(folder)
    time.sleep = lambda seconds: None
    server = LoopbackHub()
    _point_at(server.endpoint)
    server.create(
        "me/net", {"config.json": config, "model.safetensors": tensors}
    )
    if not damaged:
        _trouble(server, (folder / "seed").read_bytes())
    try:
        spec = _hub_files.spec_of("hf://me/net")
        (file,) = _sources.local_files(spec)
        found = _safetensors.read(file.path)
    except Exception as error:
        raise _with_place(error, folder) from error
    return Reading(len(found), digest(found, spec.options, spec.classes))


def _fetch_from_web(folder: Path) -> Reading:
    """Fetch a file from an address that is no Hub's."""
    from hub_server import LoopbackHub

    body = (folder / "model.safetensors").read_bytes()
    _point_elsewhere(folder)
    time.sleep = lambda seconds: None
    server = LoopbackHub()
    server.create("me/net", {"model.safetensors": body})
    _trouble(server, (folder / "seed").read_bytes())
    server.corrupt.clear()  # nobody has stated a hash that would notice
    url = f"{server.endpoint}/me/net/resolve/main/model.safetensors"
    try:
        path = _web_files.fetch(url, plain=True)
        found = _safetensors.read(path)
    except Exception as error:
        raise _with_place(error, folder) from error
    return Reading(len(found), digest(found, {"num_classes": 3}))


def _trouble(server, seed: bytes) -> None:
    """Let a server stumble and lie; a seed of zeros leaves it honest."""
    if not any(seed):
        return
    rng = random.Random(seed)
    if rng.random() < 0.6:
        names = rng.sample(_HEADERS, rng.choice((1, 1, 2)))
        server.headers = {name: rng.choice(_VALUES) for name in names}
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        status = rng.choice((*_STATUSES, *_LATER))
        waits = {"Retry-After": rng.choice(("0", "1", "soon", "-1", "9" * 9))}
        server.answers.append((status, waits if rng.random() < 0.5 else {}))
    if rng.random() < 0.3:
        server.truncate.add("model.safetensors")
    if rng.random() < 0.3:
        server.corrupt.add("model.safetensors")


def _point_elsewhere(folder: Path) -> None:
    from huggingface_hub import constants

    os.environ["KERAS_TWOSTREAM_HOME"] = str(folder / "home")
    constants.HF_HUB_CACHE = str(folder / "hub")
    constants.HF_TOKEN_PATH = str(folder / "token")


def _point_at(endpoint: str) -> None:
    from huggingface_hub import constants

    constants.ENDPOINT = endpoint
    place = "/{repo_id}/resolve/{revision}/{filename}"
    constants.HUGGINGFACE_CO_URL_TEMPLATE = endpoint + place


def _with_place(error: Exception, folder: Path) -> Exception:
    """Return our errors with the folder, which an address stands for here."""
    from keras_twostream.errors import TwoStreamError

    if isinstance(error, TwoStreamError) and "me/net" in str(error):
        return type(error)(f"{error} ({folder})")
    return error
