"""Runbooks as pages: what an alert's link leads to when no other address was given for them."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Template
from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PACKAGE = Path(__file__).parents[2]


def runbooks_root() -> Path:
    """The folder of runbooks: in the installed package, else in the checkout."""
    packaged = _PACKAGE / "monitoring_data" / "runbooks"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "docs" / "runbooks"


def routes(template: Template, send: Callable[[str], Response]) -> list[Route]:
    """`/runbooks/NAME.md`; only what stands in the folder at the start can be asked for."""
    files = {file.name: file for file in sorted(runbooks_root().glob("*.md"))}
    markdown = MarkdownIt("js-default")  # no HTML from the text

    async def show(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            known = ", ".join(files) or "none"
            return Response(f"There is no runbook {name}; known: {known}\n", status_code=404, media_type="text/plain")
        tokens = markdown.parse(files[name].read_text(encoding="utf-8"))
        _keep_outward_links(tokens)
        body = markdown.renderer.render(tokens, markdown.options, {})
        return send(template.render(title=name.removesuffix(".md").replace("_", " "), body=body))

    return [Route("/runbooks/{name}", show, methods=["GET"])]


def _keep_outward_links(tokens: list[Token]) -> None:
    """Links between files of the repository lead nowhere here; their text stays."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open" and not str(child.attrGet("href")).startswith(("http://", "https://", "#")):
                del child.attrs["href"]
