"""Files from https:// addresses, kept by their address."""

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from keras_twostream import _files
from keras_twostream._printing import printable
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _verify
from keras_twostream.pretrained._locks import locked

_BLOCK = 1 << 20
_TIMEOUT = 30  # seconds without a byte
_PAUSES = (1.0, 2.0, 4.0)  # seconds before the next tries
_LONGEST_WAIT = 120  # seconds
_PASSING = (
    urllib.error.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)
_MOVED = (
    "The file may have moved: look for another weight with "
    "keras_twostream.list_weights()."
)
_BY_STATUS = {
    401: "It asks for a password, which this library does not send.",
    403: "It is forbidden to you: ask its owner, or use another network.",
    407: "A proxy asks for a password: put it into HTTPS_PROXY.",
    429: "It got too many requests from here: wait some minutes.",
}

logger = logging.getLogger("keras_twostream")


def is_cached(url: str) -> bool:
    """Return whether the file at an address is in the cache."""
    return os.path.exists(_place(url))


def fetch(url: str, *, force: bool = False, plain: bool = False) -> Path:
    """Return the file at an address, from the cache or downloaded.

    Args:
        url: Starts with https://, redirects included, unless `plain`.
        force: Download again even if it is cached.
        plain: Whether the way may be without encryption: the caller knows
            the file's hash, or was told to do without.

    Returns:
        Its path in this library's cache.

    Raises:
        WeightsError: If it is unavailable, or arrives incomplete.
    """
    path = _place(url)
    # Of a folder that may not be looked into, pathlib's own would raise.
    if os.path.exists(path) and not force:
        return path
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        raise WeightsError(
            f"{url} {_state(path)}, and HF_HUB_OFFLINE forbids to fetch "
            "it. Unset HF_HUB_OFFLINE once, or run `keras-twostream weights "
            "pull` where there is a network."
        )
    with locked(path):
        # Another process may have fetched it while this one waited.
        if force or not path.exists():
            _download(url, path, plain)
    return path


def _state(path: Path) -> str:
    """Describe what is there of a file that cannot be fetched."""
    if os.path.exists(path):
        return "stays in the cache as it is; leave out --force to use it"
    return "is not in the cache"


def _place(url: str) -> Path:
    name = urllib.parse.urlsplit(url).path.rpartition("/")[2] or "file"
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    return _verify.cache_folder() / "files" / f"{digest}-{name}"


def _download(url: str, path: Path, plain: bool) -> None:
    try:
        with _files.replacing(path) as (part,):
            part.touch()
            for pause in _PAUSES:
                try:
                    return _receive(url, part, path.name, plain)
                except _PASSING as error:
                    wait = _wait(error, pause)
                    if wait is None:
                        raise
                    logger.warning(
                        "%s: %s. Going on in %g seconds.",
                        url,
                        printable(error),
                        wait,
                    )
                    time.sleep(wait)
            _receive(url, part, path.name, plain)
    except urllib.error.HTTPError as error:
        raise WeightsError(
            f"{url} answered {error.code} {printable(error.reason)}. "
            f"{_BY_STATUS.get(error.code, _MOVED)}"
        ) from error
    except OSError as error:
        raise WeightsError(
            f"{url} {_state(path)}, and cannot be fetched: {error}. Check "
            f"the network, the proxy and the free space in {path.parent}; "
            "KERAS_TWOSTREAM_HOME chooses another folder."
        ) from error
    except http.client.HTTPException as error:
        raise WeightsError(
            f"The download of {url} failed or was cut off: {error!r}. Nothing "
            "of it was kept. Run it again."
        ) from error


def _wait(error: Exception, pause: float) -> float | None:
    """Return seconds until a request may succeed, None if it never will."""
    if not isinstance(error, urllib.error.HTTPError):
        return pause
    if error.code not in (408, 429) and error.code < 500:
        return None
    asked = error.headers.get("Retry-After", "")
    wait = float(asked) if asked.isdecimal() else pause
    return wait if wait <= _LONGEST_WAIT else None


def _receive(url: str, part: Path, name: str, plain: bool) -> None:
    """Append the missing part of a file, or receive all of it."""
    start = part.stat().st_size
    request = urllib.request.Request(url)
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        _check_answer(url, response, plain)
        if response.status != 206:  # the server sends the whole file again
            start = 0
        left = _length(url, response)
        with open(part, "r+b") as file:
            file.truncate(start)
            file.seek(start)
            _copy(response, file, name, start, start + left)


def _length(url: str, response: http.client.HTTPResponse) -> int:
    """Return how many bytes an answer promises, 0 if it does not say."""
    stated = (response.headers.get("Content-Length") or "0").strip()
    if not stated.isdecimal():
        raise WeightsError(
            f"{url} answered with a length that is no number: "
            f"'{printable(stated)[:80]}'. Nothing was written. Try another "
            "network or proxy."
        )
    return int(stated)


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    name: str,
    start: int,
    expected: int,
) -> None:
    # The client imports much that asking for what is cached needs not.
    from huggingface_hub.utils import tqdm

    with tqdm(
        total=expected, initial=start, desc=name, unit="B", unit_scale=True
    ) as bar:
        while block := response.read(_BLOCK):
            file.write(block)
            bar.update(len(block))
    missing = expected - file.tell()
    if missing > 0:
        raise http.client.IncompleteRead(b"", missing)


def _check_answer(
    url: str, response: http.client.HTTPResponse, plain: bool
) -> None:
    address = response.geturl()
    if not plain and not address.startswith("https://"):
        raise WeightsError(
            f"The download was redirected to {address}, which is not https://."
        )
    if response.headers.get_content_type() == "text/html":
        raise WeightsError(
            f"{url} answered with a web page. This may be the sign-in page of "
            "your network: open a web page to sign in. Or the file has moved: "
            "look for another weight with keras_twostream.list_weights()."
        )
