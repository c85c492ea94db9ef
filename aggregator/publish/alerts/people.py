"""Alerts to people through apprise: e-mail, Telegram, Slack, Discord. Their addresses are apprise URLs, which hold secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from aggregator.model.errors import InputError
from aggregator.publish.alerts.addresses import AddressRefused, refuse_inside
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.escaping import link_free
from aggregator.publish.alerts.webhook import Outcome

if TYPE_CHECKING:
    from apprise import NotifyBase

SCHEMES = ("mailto", "mailtos", "tgram", "slack", "discord")
_MAIL_OPTIONS = frozenset(("from", "to", "cc", "bcc", "name", "mode", "smtp", "user", "pass"))
"""what may stand behind the `?` of a mail address; other options of apprise fetch keys or files"""
TIMEOUT_SECONDS = 60.0
SHOWN_NODES = 6


def check_person(url: str) -> None:
    """InputError, without the URL in it, for one that would never be sent to."""
    _target(url)


def _target(url: str) -> NotifyBase:
    import apprise

    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise InputError(f"alerts go to {', '.join(f'{one}://' for one in SCHEMES)} and to webhooks")
    if scheme.startswith("mailto"):
        try:
            options = {name.lower() for name, _ in parse_qsl(urlsplit(url).query)}
        except ValueError:
            options = {""}
        if unknown := options - _MAIL_OPTIONS:
            raise InputError(f"a mail address takes no option {sorted(unknown)[0][:20]!r}")
    # what apprise says of a URL that it does not take may hold the URL
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    target = apprise.Apprise.instantiate(url)
    if target is None:
        raise InputError(f"the {scheme}:// address is not complete; see apprise's documentation of it")
    setattr(target, "redirects", False)  # noqa: B010  apprise declares it as a class variable
    return target


class PeopleSender:
    """Sends to one person or channel at a time. `allow_private`: mail servers in one's own network."""

    def __init__(self, allow_private: bool = False, timeout: float = TIMEOUT_SECONDS) -> None:
        self._allow_private, self._timeout = allow_private, timeout

    async def send(self, url: str, body: str) -> Outcome:
        """Send once; `body` is an alert's line. Never raises for what the receiver or the network does."""
        import apprise

        try:
            target = _target(url)
        except InputError as error:
            return Outcome(str(error), final=True)
        scheme = url.partition("://")[0].lower()
        mail_server: Any = getattr(target, "smtp_host", None)
        try:
            if mail_server and not self._allow_private:
                await refuse_inside(str(mail_server))
        except AddressRefused as error:
            return Outcome(f"{scheme}: {error}")
        except OSError:
            return Outcome(f"{scheme}: the mail server's name leads nowhere")
        title, text = wording(Alert.model_validate_json(body, strict=False))
        try:
            async with asyncio.timeout(self._timeout):
                sent = await asyncio.to_thread(target.notify, body=text, title=title, body_format=apprise.NotifyFormat.TEXT)
        except TimeoutError:
            return Outcome(f"{scheme}: no answer within {self._timeout:g} s")
        except Exception as error:
            # a plugin's fault must not end the deliverer; its message may hold the address
            return Outcome(f"{scheme}: {type(error).__name__}")
        return Outcome() if sent else Outcome(f"{scheme}: not accepted")


def wording(alert: Alert) -> tuple[str, str]:
    """Title and text for people: plain, and with nothing in names that could act."""
    state = {"opened": "", "escalated": " (graver)", "resolved": " (over)"}.get(alert.state, "")
    if alert.state == "resolved" and "replaced" in alert.evidence:
        state = " (withdrawn: its blocks were replaced)"
    title = f"{alert.severity.upper()}{state}: {link_free(alert.subject)}: {alert.rule.replace('-', ' ')}"
    figures = [f"{name}: {link_free(_figure(value))}" for name, value in alert.evidence.items() if value not in (None, ())]
    reached = [link_free(node) for node in alert.path[:SHOWN_NODES]]
    more = f" and {len(alert.path) - SHOWN_NODES} more" if len(alert.path) > SHOWN_NODES else ""
    lines = [
        f"{alert.rule} at {alert.t}",
        *figures,
        f"path: {' → '.join(reached)}{more}",
        f"clears when: {alert.clears_when}",
        f"episode {alert.episode}, rules {alert.model}",
    ]
    return title, "\n".join(lines)


def _figure(value: object) -> str:
    if isinstance(value, tuple | list):
        return "; ".join(str(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)
