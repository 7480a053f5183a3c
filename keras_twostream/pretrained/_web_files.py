"""Files from https:// addresses, kept by their address."""

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from huggingface_hub.utils import tqdm

from keras_twostream import _files
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _verify
from keras_twostream.pretrained._locks import locked

_BLOCK = 1 << 20
_TIMEOUT = 30  # seconds without a byte


def is_cached(url: str) -> bool:
    """Whether the file at an address was downloaded before."""
    return os.path.exists(_place(url))


def fetch(url: str, *, force: bool = False, plain: bool = False) -> Path:
    """The file at an address, from the cache or downloaded whole.

    Args:
        url: Starts with https://, redirects included, unless `plain`.
        force: Download again even if it is cached.
        plain: Whether the way may be without encryption: the caller knows
            the file's hash, or was told to do without.

    Returns:
        Its path in this library's cache.

    Raises:
        WeightsError: If it cannot be had, or less than promised came.
    """
    path = _place(url)
    # Of a folder that may not be looked into, pathlib's own would raise.
    if os.path.exists(path) and not force:
        return path
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        raise WeightsError(
            f"{url} is not in the cache, and HF_HUB_OFFLINE forbids to fetch "
            "it. Unset HF_HUB_OFFLINE once, or run `keras-twostream weights "
            "pull` where there is a network."
        )
    with locked(path):
        # Another process may have fetched it while this one waited.
        if force or not path.exists():
            _download(url, path, plain)
    return path


def _place(url: str) -> Path:
    name = urllib.parse.urlsplit(url).path.rpartition("/")[2] or "file"
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    return _verify.cache_folder() / "files" / f"{digest}-{name}"


def _download(url: str, path: Path, plain: bool) -> None:
    try:
        with (
            _files.replacing(path) as (part,),
            urllib.request.urlopen(url, timeout=_TIMEOUT) as response,
        ):
            if not plain:
                _refuse_plain(response.geturl())
            expected = int(response.headers.get("Content-Length") or 0)
            received = _copy(response, part, path.name, expected)
            _check_whole(url, received, expected)
    except urllib.error.HTTPError as error:
        raise WeightsError(
            f"{url} answered {error.code} {error.reason}. The file may have "
            "moved: look for another weight with "
            "keras_twostream.list_weights()."
        ) from error
    except OSError as error:
        raise WeightsError(
            f"{url} is not in the cache and cannot be fetched: {error}. Check "
            f"the network, the proxy and the free space in {path.parent}; "
            "KERAS_TWOSTREAM_HOME chooses another folder."
        ) from error
    except http.client.HTTPException as error:
        raise WeightsError(
            f"The download of {url} failed or was cut off: {error!r}. Run it "
            "again."
        ) from error


def _copy(response, part: Path, name: str, expected: int) -> int:
    received = 0
    with (
        open(part, "wb") as file,
        tqdm(total=expected, desc=name, unit="B", unit_scale=True) as bar,
    ):
        while block := response.read(_BLOCK):
            file.write(block)
            received += len(block)
            bar.update(len(block))
    return received


def _check_whole(url: str, received: int, expected: int) -> None:
    if received < expected:
        raise WeightsError(
            f"The download of {url} was cut off after {received} of "
            f"{expected} bytes. Run it again."
        )


def _refuse_plain(url: str) -> None:
    if not url.startswith("https://"):
        raise WeightsError(
            f"The download was redirected to {url}, which is not https://."
        )
