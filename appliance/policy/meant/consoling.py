"""What the section `console` of a text means."""

from __future__ import annotations

from typing import cast

from appliance.policy import limits
from appliance.policy.console import ConsoleSettings, Oidc, Person
from appliance.policy.meant.exporting import place
from appliance.policy.meant.lengths import seconds
from appliance.policy.meant.names import Names, named
from appliance.policy.roles import Role, permissions_of
from appliance.policy.written.consoletext import ConsoleOidcText, ConsolePersonText, ConsoleText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.text import Report, value_of

_DEFAULT = ConsoleSettings()
_DAY = 86_400


def console(text: ConsoleText | None, names: Names, report: Report) -> ConsoleSettings:
    if text is None:
        return _DEFAULT
    settings = ConsoleSettings(
        listen=tuple(dict.fromkeys(place(word, names, report) for word in text.listen)),
        port=_DEFAULT.port if text.port is None else int(text.port.value),
        name=value_of(text.host).lower(),
        approvals=_DEFAULT.approvals if text.approvals is None else int(text.approvals.value),
        idle=_DEFAULT.idle if text.idle is None else seconds(text.idle, 60, _DAY, "write 1 minute to 1 day", report),
        session=_DEFAULT.session
        if text.session is None
        else seconds(text.session, 300, 7 * _DAY, "write 5 minutes to 7 days", report),
        oidc=None if text.oidc is None else _oidc(text.oidc),
        people=_people(text.people, names, report),
    )
    if not text.flawed:
        _complete(text, settings, report)
    return settings


def _complete(text: ConsoleText, settings: ConsoleSettings, report: Report) -> None:
    """What would lock everybody out is said before it does."""
    if settings.listen and not settings.name:
        report.error(text.at, "the console has no name", "write `name: gateway.health.example`, what people type")
    if settings.listen and not settings.people:
        report.error(text.at, "nobody may use the console", "write `people` with their `roles`")
    if settings.session < settings.idle and text.session is not None:
        report.error(text.session.at, "a session would end before it is idle", "write a longer `session`")
    if text.approvals is None or any(one.flawed for one in text.people):
        return
    approvers = sum("approve" in permissions_of(one.roles) for one in settings.people)
    if approvers < settings.approvals:
        message = f"{settings.approvals} must approve, but {approvers or 'nobody'} of the people may"
        report.error(text.approvals.at, message, "give more of them the role `approver`")


def _people(texts: tuple[ConsolePersonText, ...], names: Names, report: Report) -> tuple[Person, ...]:
    if len(texts) > limits.MAX_CONSOLE_PEOPLE:
        report.error(texts[0].at, f"{len(texts):,} people", f"at most {limits.MAX_CONSOLE_PEOPLE}")
    found: list[Person] = []
    taken: dict[tuple[str, str], str] = {}  # what says who somebody is -> who it is
    for text in texts[: limits.MAX_CONSOLE_PEOPLE]:
        one = _person(text, names, report)
        for kind, word, value in (
            ("mail address", text.mail, one.mail.lower()),
            ("certificate", text.certificate, one.certificate),
        ):
            if word is None or not value:
                continue
            other = taken.setdefault((kind, value), one.id)
            if other != one.id:
                message = f"`{one.id}` would be taken for `{other}`: it is the same {kind}"
                report.error(word.at, message, f"give each a {kind} of their own")
        found.append(one)
    return tuple(found)


def _person(text: ConsolePersonText, names: Names, report: Report) -> Person:
    for word in text.zones:
        if word.value not in names.zones:
            guess = did_you_mean(word.value, list(names.zones))
            report.error(word.at, f"there is no zone `{word.value}`", guess or "name a zone")
    return Person(
        id=named(text.name).value,
        name=text.full_name.value,
        mail=text.mail.value,
        roles=tuple(dict.fromkeys(cast(Role, word.value) for word in text.roles)),
        zones=tuple(dict.fromkeys(word.value for word in text.zones)),
        certificate=value_of(text.certificate).lower(),
        break_glass=value_of(text.break_glass) == "yes",
    )


def _oidc(text: ConsoleOidcText) -> Oidc:
    return Oidc(text.issuer.value, text.client.value, value_of(text.claim) or "email")
