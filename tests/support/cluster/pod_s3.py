"""An S3 API for one namespace and one session: standard library only, so that any image with Python can serve it.

``python pod_s3.py [PORT]`` serves every bucket, in memory, on all addresses; port 0 is any, and is printed. It
believes every signature, and knows what our storage asks for: objects with metadata, ranges, conditions, listings,
uploads in parts. Clients must send bodies as they are (`request_checksum_calculation=when_required`).
"""

from __future__ import annotations

import hashlib
import itertools
import re
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

_PAGE = 1000


class Thing:
    """An object, or an upload that isn't finished."""

    def __init__(self, key: str, data: bytes, etag: str, headers: dict[str, str]) -> None:
        self.key = key
        self.data = data
        self.etag = etag
        self.headers = headers
        self.time = time.time()
        self.parts: dict[int, bytes] = {}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, Thing] = {}
    uploads: dict[str, Thing] = {}
    buckets: set[str] = set()
    guard = threading.RLock()
    numbers = itertools.count(1)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        path = unquote(url.path).lstrip("/")
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        bucket, _, key = path.partition("/")
        with self.guard:
            if self.command == "PUT" and not key:
                self.buckets.add(bucket)
                return self._answer(200)
            if bucket not in self.buckets:
                return self._refuse(404, "NoSuchBucket")
            if not key:
                return self._list_uploads(bucket, query) if "uploads" in query else self._list(bucket, query)
            if "uploads" in query or "uploadId" in query:
                return self._in_parts(path, query, body)
            if self.command == "PUT":
                thing = self._put(path, body, hashlib.md5(body).hexdigest(), self._metadata())
                return self._answer(200, headers={"ETag": f'"{thing.etag}"'})
            if self.command == "DELETE":
                self.objects.pop(path, None)
                return self._answer(204)
            return self._get(path)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _metadata(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}

    def _put(self, path: str, data: bytes, etag: str, headers: dict[str, str]) -> Thing:
        thing = self.objects[path] = Thing(path, data, etag, headers)
        return thing

    def _get(self, path: str) -> None:
        thing = self.objects.get(path)
        if thing is None:
            return self._refuse(404, "NoSuchKey")
        wanted = self.headers.get("If-Match", "").strip('"')
        if wanted and wanted != thing.etag:
            return self._refuse(412, "PreconditionFailed")
        headers = {
            "ETag": f'"{thing.etag}"',
            "Last-Modified": formatdate(thing.time, usegmt=True),
            "Accept-Ranges": "bytes",
            **thing.headers,
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            return self._answer(200, thing.data, headers)
        size = len(thing.data)
        start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
        if start >= size:
            return self._refuse(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return self._answer(206, thing.data[start:stop], headers)

    def _in_parts(self, path: str, query: dict[str, str], body: bytes) -> None:
        if self.command == "POST" and "uploads" in query:
            name = f"upload-{next(self.numbers)}"
            self.uploads[name] = Thing(path, b"", "", self._metadata())
            return self._xml("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")
        upload = self.uploads.get(query["uploadId"])
        if upload is None or upload.key != path:
            return self._refuse(404, "NoSuchUpload")
        if self.command == "PUT":
            upload.parts[int(query["partNumber"])] = body
            return self._answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
        del self.uploads[query["uploadId"]]
        if self.command == "DELETE":
            return self._answer(204)
        parts = [upload.parts[number] for number in sorted(upload.parts)]
        digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
        thing = self._put(path, b"".join(parts), f"{digest}-{len(parts)}", upload.headers)
        return self._xml("CompleteMultipartUploadResult", f"<ETag>&quot;{thing.etag}&quot;</ETag>")

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        start = f"{bucket}/{query.get('prefix', '')}"
        after = query.get("continuation-token", "")
        found = [path for path in sorted(self.objects) if path.startswith(start) and path > after]
        page, rest = found[:_PAGE], found[_PAGE:]
        text = f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        if rest:
            text += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        for path in page:
            thing = self.objects[path]
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(thing.time))
            text += (
                f"<Contents><Key>{escape(path.partition('/')[2])}</Key><LastModified>{when}</LastModified>"
                f"<ETag>&quot;{thing.etag}&quot;</ETag><Size>{len(thing.data)}</Size></Contents>"
            )
        return self._xml("ListBucketResult", text)

    def _list_uploads(self, bucket: str, query: dict[str, str]) -> None:
        start = f"{bucket}/{query.get('prefix', '')}"
        text = "".join(
            f"<Upload><Key>{escape(thing.key.partition('/')[2])}</Key><UploadId>{name}</UploadId></Upload>"
            for name, thing in self.uploads.items()
            if thing.key.startswith(start)
        )
        return self._xml("ListMultipartUploadsResult", f"<IsTruncated>false</IsTruncated>{text}")

    def _xml(self, name: str, text: str) -> None:
        self._answer(200, f"<{name}>{text}</{name}>".encode(), {"Content-Type": "application/xml"})

    def _refuse(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self._answer(status, text, {"Content-Type": "application/xml"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def make_server(port: int) -> ThreadingHTTPServer:
    """Return a server on all addresses."""
    return ThreadingHTTPServer(("", port), Handler)


if __name__ == "__main__":
    server = make_server(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(server.server_address[1], flush=True)
    server.serve_forever()
