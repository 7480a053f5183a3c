"""A Hub on this machine that the real huggingface_hub client talks to.

It keeps repositories in memory and answers the requests the client makes:
metadata, downloads (LFS files from another origin, as the real Hub does),
repository creation, LFS and regular uploads, commits.
"""

import base64
import dataclasses
import functools
import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LFS_BYTES = 2_000


@dataclasses.dataclass
class Repo:
    """One repository: its commits, and who may read it."""

    commits: dict[str, dict[str, bytes]] = dataclasses.field(
        default_factory=dict
    )
    refs: dict[str, str] = dataclasses.field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add or replace files, and move the branch."""
        tree = {**self.tree(branch), **files}
        names = json.dumps(
            [len(self.commits), *((n, _sha256(b)) for n, b in tree.items())]
        )
        sha = hashlib.sha1(names.encode()).hexdigest()
        self.commits[sha] = tree
        self.refs[branch] = sha
        return sha

    def tree(self, revision: str) -> dict[str, bytes]:
        return self.commits.get(self.refs.get(revision, revision), {})

    def sha(self, revision: str) -> str | None:
        sha = self.refs.get(revision, revision)
        return sha if sha in self.commits else None


class LoopbackHub:
    """The server, its repositories, and what was asked of it.

    Attributes:
        repos: From "user/name" to the repository.
        requests: How often each "METHOD path" was asked.
        tokens: Authorization headers seen by the file store (LFS origin).
        corrupt: File names served with a flipped byte.
        truncate: File names whose body ends early.
        status: An HTTP status to answer everything with, or None.
        answers: (status, headers) of the next answers; a status of 0 closes
            the connection without one.
        headers: Put over those of every file, "" takes one away.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: Counter = Counter()
        self.tokens: list[str | None] = []
        self.corrupt: set[str] = set()
        self.truncate: set[str] = set()
        self.status: int | None = None
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.headers: dict[str, str] = {}
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.store = f"http://localhost:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def create(self, repo_id: str, files: dict[str, bytes], **kind) -> str:
        """A repository with one commit; its hash."""
        repo = self.repos.setdefault(repo_id, Repo(**kind))
        return repo.commit(files)

    def bodies(self, filename: str) -> int:
        """Return the number of times that a file's body was sent."""
        return sum(
            count
            for request, count in self.requests.items()
            if request.startswith("BODY ") and request.endswith(filename)
        )

    def total(self) -> int:
        return sum(self.requests.values())


@functools.lru_cache(maxsize=64)
def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _git_sha(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        pass

    # === Routes ===

    def do_HEAD(self) -> None:
        self._route()

    do_GET = do_POST = do_PUT = do_HEAD

    def _route(self) -> None:
        self.path = unquote(urlsplit(self.path).path)
        self.hub.requests[f"{self.command} {self.path}"] += 1
        self.body = self._read_body()
        # Since its version 2.4 the client asks this once, unforeseen.
        aside = self.path.startswith("/api/agent-harnesses")
        if self.hub.answers and not aside:
            status, headers = self.hub.answers.pop(0)
            if status:
                return self._answer(status, b"", headers)
            self.close_connection = True
            return None
        if self.hub.status is not None:
            return self._answer(self.hub.status, b"")
        parts = self.path.strip("/").split("/")
        if parts[0] == "store":
            return self._store(parts)
        if parts[0] == "api":
            return self._api(parts[1:])
        if parts[2:5] == ["info", "lfs", "objects"]:
            return self._lfs_batch()
        return self._resolve(parts)

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            length = int(self.headers.get("Content-Length") or 0)
            return self.rfile.read(length)
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body, headers=None) -> None:
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {"Content-Length": str(len(body)), **(headers or {})}
        if "X-Repo-Commit" in headers:
            headers |= self.hub.headers
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"error": code}, {"X-Error-Code": code})

    def _repo(self, repo_id: str) -> Repo | None:
        repo = self.hub.repos.get(repo_id)
        known = self.headers.get("Authorization") == "Bearer hf_reader"
        if repo is None or (repo.private and not known):
            self._refuse(401, "RepoNotFound")
            return None
        if repo.gated and not known:
            self._refuse(403, "GatedRepo")
            return None
        return repo

    # === Downloads ===

    def _resolve(self, parts: list[str]) -> None:
        repo_id, revision = "/".join(parts[:2]), parts[3]
        name = "/".join(parts[4:])
        repo = self._repo(repo_id)
        if repo is None:
            return None
        sha = repo.sha(revision)
        if sha is None:
            return self._refuse(404, "RevisionNotFound")
        if name not in repo.commits[sha]:
            return self._refuse(404, "EntryNotFound")
        body = repo.commits[sha][name]
        headers = {"X-Repo-Commit": sha}
        if len(body) < LFS_BYTES:
            headers["ETag"] = f'"{_git_sha(body)}"'
            return self._send_file(name, body, headers)
        oid = _sha256(body)
        self.hub.blobs[oid] = body
        headers |= {
            "ETag": f'"{oid}"',
            "X-Linked-ETag": f'"{oid}"',
            "X-Linked-Size": str(len(body)),
            "Location": f"{self.hub.store}/store/{oid}/{name}",
        }
        return self._answer(302, b"", headers)

    def _store(self, parts: list[str]) -> None:
        oid = parts[1]
        if self.command == "PUT":
            self.hub.blobs[oid] = self.body
            return self._answer(200, b"")
        self.hub.tokens.append(self.headers.get("Authorization"))
        return self._send_file("/".join(parts[2:]), self.hub.blobs[oid], {})

    def _send_file(self, name: str, body: bytes, headers) -> None:
        if self.command == "GET":
            self.hub.requests[f"BODY {name}"] += 1
        if name in self.hub.corrupt:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if name not in self.hub.truncate or self.command == "HEAD":
            return self._answer(200, body, headers)
        self.close_connection = True
        self._answer(
            200, body[: len(body) // 2], {"Content-Length": str(len(body))}
        )

    # === API ===

    def _api(self, parts: list[str]) -> None:
        if parts[0] == "whoami-v2":
            return self._answer(200, {"name": "me", "type": "user"})
        if parts[0] == "validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if parts[:2] == ["repos", "create"]:
            return self._create()
        repo = self._repo("/".join(parts[1:3]))
        if repo is None:
            return None
        action = parts[3] if len(parts) > 3 else ""
        revision = parts[4] if len(parts) > 4 else "main"
        if action == "preupload":
            return self._preupload(repo, revision)
        if action == "commit":
            return self._commit("/".join(parts[1:3]), repo, revision)
        if action == "tree":
            return self._answer(200, self._tree(repo, revision))
        return self._info("/".join(parts[1:3]), repo, revision)

    def _info(self, repo_id: str, repo: Repo, revision: str) -> None:
        sha = repo.sha(revision)
        if sha is None and repo.commits:
            return self._refuse(404, "RevisionNotFound")
        names = [{"rfilename": name} for name in repo.tree(revision)]
        return self._answer(200, {
            "id": repo_id, "sha": sha, "siblings": names,
            "private": repo.private, "gated": repo.gated,
            "tags": [], "downloads": 0, "likes": 0,
        })  # fmt: skip

    def _tree(self, repo: Repo, revision: str) -> list[dict]:
        return [
            {
                "type": "file", "path": name, "oid": _git_sha(body),
                "size": len(body),
                **({"lfs": {"oid": _sha256(body), "size": len(body),
                            "pointerSize": 130}}
                   if len(body) >= LFS_BYTES else {}),
            }
            for name, body in repo.tree(revision).items()
        ]  # fmt: skip

    def _create(self) -> None:
        wanted = json.loads(self.body)
        owner = wanted.get("organization") or "me"
        repo_id = f"{owner}/{wanted['name']}"
        url = {"url": f"{self.hub.endpoint}/{repo_id}"}
        if repo_id in self.hub.repos:
            return self._answer(409, {"error": "exists", **url})
        self.hub.repos[repo_id] = Repo(private=bool(wanted.get("private")))
        self.hub.repos[repo_id].commit({".gitattributes": b""})
        return self._answer(200, url)

    def _preupload(self, repo: Repo, revision: str) -> None:
        tree = repo.tree(revision)
        files = []
        for file in json.loads(self.body)["files"]:
            large = file["size"] >= LFS_BYTES
            known = tree.get(file["path"])
            files.append({
                "path": file["path"],
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
                "oid": _git_sha(known) if known is not None else None,
            })  # fmt: skip
        return self._answer(200, {"files": files})

    def _lfs_batch(self) -> None:
        objects = []
        for item in json.loads(self.body)["objects"]:
            href = f"{self.hub.endpoint}/store/{item['oid']}/upload"
            actions = {"upload": {"href": href, "header": {}}}
            known = item["oid"] in self.hub.blobs
            objects.append({
                **item, "authenticated": True,
                **({} if known else {"actions": actions}),
            })  # fmt: skip
        return self._answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repo_id: str, repo: Repo, revision: str) -> None:
        files = {}
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        sha = repo.commit(files, revision)
        url = f"{self.hub.endpoint}/{repo_id}/commit/{sha}"
        return self._answer(200, {"commitOid": sha, "commitUrl": url})
