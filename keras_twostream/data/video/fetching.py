"""Videos at http and https addresses, downloaded before they are read.

A file has to be searched back and forth for exact frames, so a whole file is
fetched first. It lies in a folder that ends with the process.
"""

import atexit
import base64
import functools
import http.client
import itertools
import re
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO, TypeGuard

from keras_twostream.data.video import limits
from keras_twostream.errors import VideoError

SECONDS = 30.0  # of silence after which an address is given up
_PIECE = 2**20
_ADDRESS = re.compile(r"^https?://", re.IGNORECASE)


def is_address(source: object) -> TypeGuard[str]:
    """Return whether a source is an http or https address."""
    return isinstance(source, str) and bool(_ADDRESS.match(source))


@functools.cache
def fetched(address: str) -> Path:
    """Return a local copy of the video at an address.

    The same address is fetched once by a process.

    Args:
        address: An http or https address, perhaps with user and password.

    Raises:
        VideoError: If nothing answers, or the file is larger than
            `KERAS_TWOSTREAM_MAX_DOWNLOAD` megabytes.
    """
    shown = without_secrets(address)
    try:
        path = _folder() / f"{next(_numbers)}" / _name(address)
    except ValueError as error:
        raise VideoError(
            f"Cannot read {shown}: {error}. Check the address."
        ) from None
    path.parent.mkdir()
    try:
        with (
            _opener().open(_request(address), timeout=SECONDS) as page,
            path.open("wb") as file,
        ):
            _copy(page, file, shown)
    except (OSError, ValueError, http.client.HTTPException) as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        cause = getattr(error, "reason", None) or error
        raise VideoError(
            f"Cannot read {shown}: {cause}. Check the address, or download "
            "the video to a file."
        ) from error
    except VideoError:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise
    _sources[path] = shown
    return path


def source_of(path: Path) -> str | None:
    """Return the address that a file was fetched from, without secrets."""
    return _sources.get(path)


def without_secrets(address: str) -> str:
    """Return an address without user, password and query."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:  # nobody knows what of it is secret
        return f"{address.partition('://')[0]}://..."
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


_numbers = itertools.count(1)
_sources: dict[Path, str] = {}


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="keras_twostream_video_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _name(address: str) -> str:
    """Return a file's name that is safe on any disk."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(address).path)
    name = re.sub(r"[^\w.-]+", "_", path.rpartition("/")[2]).lstrip(".")
    return name[-100:] or "video"


def _request(address: str) -> urllib.request.Request:
    """Return the request, with user and password as a header."""
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    bare = parts._replace(netloc=host, fragment="").geturl()
    request = urllib.request.Request(bare)
    if parts.username:
        word = f"{parts.username}:{parts.password or ''}"
        plain = urllib.parse.unquote(word).encode()
        token = base64.b64encode(plain).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A handler that follows redirections to http and https alone."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not is_address(newurl):
            raise urllib.error.URLError(f"it redirects to {newurl[:100]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Redirects)


def _copy(page: http.client.HTTPResponse, file: BinaryIO, shown: str) -> None:
    most = limits.limit(limits.DOWNLOAD) * 1_000_000
    stated = page.headers.get("Content-Length", "")
    if stated.isdecimal():
        _check_size(int(stated), most, shown)
    done = 0
    while piece := page.read(_PIECE):
        done += len(piece)
        _check_size(done, most, shown)
        file.write(piece)
    if stated.isdecimal() and done < int(stated):
        raise VideoError(
            f"Cannot read {shown}: the connection ended after {done:,} of "
            f"{int(stated):,} bytes. Try again."
        )


def _check_size(size: int, most: int, shown: str) -> None:
    if size > most:
        raise VideoError(
            f"Cannot read {shown}: it has more than {most / 1e6:,.0f} MB. "
            f"Raise the limit, {limits.DOWNLOAD}, or download it to a file."
        )
