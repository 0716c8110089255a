"""Who may look at a dashboard: nobody whom a foreign web page has sent.

A page that somebody reads in a browser can let the name of its own site point to this host's
loopback (DNS rebinding), and a WebSocket may be opened from any page. So a request has to be for a
name of this host, and to come from a page of it. This module travels to the scheduler by value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\]]+)(?::\d*)?")
_ORIGIN = re.compile(rf"https?://({_AUTHORITY.pattern})")


def is_foreign(
    headers: Mapping[str, str], names: Collection[str], *, addresses: bool = False
) -> bool:
    """Return whether a request is for another host than this, or sent by a page of another one.

    Parameters
    ----------
    headers : mapping
        Of the request.
    names : collection of str
        Names of this host, in lower case, beside those of the loopback.
    addresses : bool
        Whether any numerical address is taken for this host; none of them can be rebound.

    Examples
    --------
    >>> is_foreign({"Host": "localhost:8787", "Origin": "http://localhost:8787"}, ())
    False
    >>> is_foreign({"Host": "site.example:8787"}, ())
    True
    >>> is_foreign({"Host": "localhost:8787", "Origin": "http://site.example"}, ())
    True
    """
    host, origin = headers.get("Host"), headers.get("Origin")
    if host is not None and not _is_here(host, names, addresses):
        return True
    if origin is None:
        return False
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return True
    return found[1].lower() != (host or "").lower() and _name(found[1]) not in names


def _name(authority: str) -> str:
    found = _AUTHORITY.fullmatch(authority)
    return found[1].lower().strip("[]").removesuffix(".") if found else ""


def _is_here(authority: str, names: Collection[str], addresses: bool) -> bool:
    name = _name(authority)
    if name == "localhost" or name in names:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return addresses or address.is_loopback


class Refused(RequestHandler):
    """Answers what is foreign."""

    def prepare(self) -> None:
        """Refuse whatever it is."""
        refuse(self)


def refuse(handler: RequestHandler) -> None:
    """Answer a foreign request."""
    handler.set_status(403)
    handler.set_header("Content-Type", "text/plain; charset=utf-8")
    handler.finish(
        "Refused: asked for under a foreign name, or by a page of another site. Use 127.0.0.1 or "
        "localhost, or name the host of your proxy under 'dashboard_hosts' in the cluster profile."
    )


def guard_dashboard(application: Application, names: Collection[str]) -> None:
    """Let a web application answer nobody whom a foreign page has sent."""
    find = application.find_handler

    def find_or_refuse(request: HTTPServerRequest, **options: Any) -> Any:
        if is_foreign(request.headers, names):
            return application.get_handler_delegate(request, Refused)
        return find(request, **options)

    application.find_handler = find_or_refuse  # type: ignore[method-assign]
