"""The inspection profiles that every policy has."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.policy.model import Profile, Reaction, Signatures

# A packet of these speaks of harm that is being done; there is no honest reason for it.
CERTAIN = (
    "coin-mining",
    "command-and-control",
    "credential-theft",
    "domain-c2",
    "exploit-kit",
    "shellcode-detect",
    "successful-admin",
    "successful-user",
    "targeted-activity",
    "trojan-activity",
)
# And these of harm that is tried, which now and then an honest packet looks like.
HARM = (
    *CERTAIN,
    "attempted-admin",
    "attempted-dos",
    "attempted-user",
    "default-login-attempt",
    "denial-of-service",
    "misc-attack",
    "rpc-portmap-decode",
    "social-engineering",
    "successful-dos",
    "suspicious-filename-detect",
    "web-application-attack",
)


def _dropped(categories: Iterable[str]) -> tuple[Reaction, ...]:
    return tuple(Reaction(Signatures(category=category), "drop") for category in sorted(categories))


BUILT_IN_PROFILES = {
    "strict": Profile(
        "strict",
        "fail-closed",
        reactions=_dropped(HARM),
        description="every signature that speaks of harm drops; without inspection nothing passes",
    ),
    "standard": Profile(
        "standard",
        "fail-open",
        reactions=_dropped(CERTAIN),
        description="signatures alert, certain harm drops; without inspection flows pass",
    ),
}
