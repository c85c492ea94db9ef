"""Alerts to people through apprise: e-mail, Telegram, Slack, Discord. Their addresses are apprise URLs, which hold secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from aggregator.model.errors import InputError
from aggregator.publish.alerts.addresses import AddressRefused, refuse_inside
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.escaping import link_free, plain
from aggregator.publish.alerts.threads import in_a_thread
from aggregator.publish.alerts.webhook import Outcome

if TYPE_CHECKING:
    from apprise import NotifyBase

SCHEMES = ("mailto", "mailtos", "tgram", "slack", "discord")
_MAIL_OPTIONS = frozenset(("from", "to", "cc", "bcc", "name", "mode", "smtp", "user", "pass"))
"""what may stand behind the `?` of a mail address; other options of apprise fetch keys or files"""
TIMEOUT_SECONDS = 60.0
SHOWN_NODES = 6
LONGEST_TITLE, LONGEST_TEXT = 200, 1_700
"""characters: together less than the shortest limit of a chat (Discord's 2,000), beyond which messages are refused and not cut"""
LONGEST_NAME = 120
AT_ONCE = 16
"""messages on their way: each takes a thread, as long as a mail server keeps it"""
PATIENCE_SECONDS = 5.0
"""how long a message waits for its turn before others are let through"""


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
    plainly = apprise.AppriseAsset(app_id="Crossmargin", app_desc="Crossmargin", app_url="", image_url_mask="", image_url_logo="")
    target = apprise.Apprise.instantiate(url, asset=plainly)
    if target is None:
        raise InputError(f"the {scheme}:// address is not complete; see apprise's documentation of it")
    setattr(target, "redirects", False)  # noqa: B010  apprise declares it as a class variable
    return target


class PeopleSender:
    """Sends to one person or channel at a time. `allow_private`: mail servers in one's own network."""

    def __init__(self, allow_private: bool = False, timeout: float = TIMEOUT_SECONDS) -> None:
        self._allow_private, self._timeout = allow_private, timeout
        self._slots = asyncio.Semaphore(AT_ONCE)

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
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            return Outcome(f"{scheme}: as many messages are on their way as may be")
        sending = partial(target.notify, body=text, title=title, body_format=apprise.NotifyFormat.TEXT)
        try:
            async with asyncio.timeout(self._timeout):
                sent = await in_a_thread(sending, self._slots.release)
        except TimeoutError:
            return Outcome(f"{scheme}: no answer within {self._timeout:g} s")
        except Exception as error:
            # a plugin's fault must not end the deliverer; its message may hold the address
            return Outcome(f"{scheme}: {type(error).__name__}")
        return Outcome() if sent else Outcome(f"{scheme}: not accepted")


def wording(alert: Alert) -> tuple[str, str]:
    """Title and text for people: plain, with nothing in names that could act, and short enough for every channel: of many figures the
    last are left out."""
    state = {"opened": "", "escalated": " (graver)", "resolved": " (over)"}.get(alert.state, "")
    if alert.state == "resolved" and "replaced" in alert.evidence:
        state = " (withdrawn: its blocks were replaced)"
    title = f"{alert.severity.upper()}{state}: {link_free(alert.subject, LONGEST_NAME)}: {alert.rule.replace('-', ' ')}"
    figures = [f"{name}: {link_free(_figure(value), LONGEST_NAME)}" for name, value in alert.evidence.items() if value not in (None, ())]
    reached = [link_free(node, LONGEST_NAME) for node in alert.path[:SHOWN_NODES]]
    more = f" and {len(alert.path) - SHOWN_NODES} more" if len(alert.path) > SHOWN_NODES else ""
    lines = [
        f"{alert.rule} at {alert.t}",
        f"path: {' → '.join(reached)}{more}",
        f"clears when: {plain(alert.clears_when)}",
        f"episode {alert.episode}, rules {alert.model}",
    ]
    left = LONGEST_TEXT - sum(len(line) + 1 for line in lines) - 2
    for place, figure in enumerate(figures):
        left -= len(figure) + 1
        if left < 0:
            figures[place:] = ["…"]
            break
    return plain(title, LONGEST_TITLE), "\n".join([lines[0], *figures, *lines[1:]])


def _figure(value: object) -> str:
    if isinstance(value, tuple | list):
        return "; ".join(str(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)
