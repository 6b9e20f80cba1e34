"""A server on loopback that answers as S3 does: lists a bucket, and gives objects in parts to whoever has its key."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY_ID = "AKIAMADEUP"
CHANGED = ("2026-10-01T00:00:00.000Z", "Thu, 01 Oct 2026 00:00:00 GMT")


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """Serves the folders below ``root`` as buckets; gives what follows an address to be asked here."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            name, query = unquote(asked.path.strip("/")), parse_qs(asked.query)
            if f"Credential={KEY_ID}/" not in self.headers.get("Authorization", ""):
                self.answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
            elif "list-type" in query:
                self.answer(200, listing(name, query.get("prefix", [""])[0]).encode())
            elif not (root / name).is_file():
                self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
            else:
                content = (root / name).read_bytes()
                part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
                first, last = (int(part[1]), min(int(part[2]), len(content) - 1)) if part else (0, len(content) - 1)
                ranged = {"Content-Range": f"bytes {first}-{last}/{len(content)}"} if part else {}
                self.answer(206 if part else 200, content[first : last + 1], **ranged)

        do_HEAD = do_GET

        def answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for header, value in {**headers, "Last-Modified": CHANGED[1], "Content-Length": str(len(content))}.items():
                self.send_header(header, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    def listing(bucket: str, prefix: str) -> str:
        files = [path for path in sorted((root / bucket).rglob("*")) if path.is_file()]
        keys = {path.relative_to(root / bucket).as_posix(): path.stat().st_size for path in files}
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{CHANGED[0]}</LastModified><Size>{size}</Size></Contents>"
            for key, size in keys.items() if key.startswith(prefix)
        )  # fmt: skip
        return f"<ListBucketResult><Name>{bucket}</Name><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=eu-north-1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
