"""The console at `/`: a page that talks to this gateway as any other client does.

The page itself needs no key: it holds nothing. What it shows is asked of the REST API with the visitor's key. It may load scripts
and styles from here alone, connect to this server alone, and stand in no frame.
"""

from fastapi import FastAPI, Request, Response

from agentvoicebox.console.files import PAGE, StaticFile, load_files
from agentvoicebox.http_server.refusal import error_body

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # asked each time, and answered by the ETag
    "Vary": "Accept-Encoding",
}
SHARED = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
CLIENT_MODULE = "realtime.js"  # which pages of others may import


def add_console(app: FastAPI) -> None:
    """Add the page and its files."""
    known = load_files()

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return _answer(request, known.get(PAGE))

    @app.get("/console/{name}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        return _answer(request, known.get(name), SHARED if name == CLIENT_MODULE else {})


def _answer(request: Request, file: StaticFile | None, more: dict[str, str] | None = None) -> Response:
    if file is None:
        body = error_body("unknown_url", "The console has no such file.")
        return Response(body, 404, media_type="application/json")
    headers = {**HEADERS, **(more or {}), "ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.content_type)
    return Response(file.body, headers=headers, media_type=file.content_type)
