"""
Pools of the operator's catalogue file: an address, where its key is kept, and the upstream's quirks as data.

Guarantees: nothing that changes what an answer costs can be passed or renamed, no header that the gateway itself sets
can be overridden, and no secret is taken or repeated.
"""

import re

from jatevo.domain.catalogue import CHAT_FIELDS, COST_FIELDS, CountedBy, Modality, Pool, WhenClientLeaves
from jatevo.domain.documents import FIELD, ID, ID_MEANING, Table

MAX_FIELDS = 100
MAX_HEADERS = 20
MAX_CONCURRENCY = 100_000
WIRES = ("chat", "responses")
CAP_FIELDS = ("max_tokens", "max_completion_tokens")
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
POOL_FIELDS = frozenset(Pool.__slots__)

_REFERENCE = re.compile(r"env:(?!AWS_)[A-Za-z_][A-Za-z0-9_]{0,127}|(?:secret|ssm):[A-Za-z0-9/_+=.@:-]{1,512}", re.ASCII)
_REFERENCE_MEANING = (
    "a reference to where the key is kept, never the key itself: env:NAME (not AWS's own), secret:NAME or ssm:NAME"
)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_URL = re.compile(
    rf"https?://(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::(?P<port>[0-9]{{1,5}}))?(?:/[!-\"$->@-~]{{0,500}})?",
    re.ASCII,
)
_URL_MEANING = "a URL such as https://host.example/v1: http or https, without credentials, query or fragment"
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?", re.ASCII)
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)


def pool_from(table: Table) -> Pool:
    """Return the pool a table stands for, noting what is wrong with it."""
    pass_fields = frozenset(table.texts("pass_fields", FIELD, "the name of a field", MAX_FIELDS))
    refuse_fields = frozenset(table.texts("refuse_fields", FIELD, "the name of a field", MAX_FIELDS))
    roles = table.mapping("roles", FIELD, FIELD, "the name of a role", len(ROLES))
    refused = table.members("refuse_roles", ROLES, "is no role", at_least=0) if table.has("refuse_roles") else ()
    refuse_roles = frozenset(refused)
    _check_fields(table, pass_fields, refuse_fields)
    _check_roles(table, roles, refuse_roles)
    return Pool(
        id=table.text("id", ID, ID_MEANING),
        base_url=_url(table, "base_url").rstrip("/"),
        api_key=table.text("api_key", _REFERENCE, _REFERENCE_MEANING, secret=True) if table.has("api_key") else None,
        wire=table.members("wire", WIRES, "is not spoken here") if table.has("wire") else WIRES[:1],
        cap_field=table.one_of("cap_field", CAP_FIELDS),
        pass_fields=pass_fields,
        refuse_fields=refuse_fields,
        when_client_leaves=WhenClientLeaves(table.one_of("when_client_leaves", tuple(WhenClientLeaves))),
        tokenize_url=_url(table, "tokenize_url") if table.has("tokenize_url") else None,
        usage_per_choice=table.flag("usage_per_choice"),
        usage=CountedBy(table.one_of("usage", tuple(CountedBy))),
        rename_fields=_renamed(table),
        roles=roles,
        refuse_roles=refuse_roles,
        modalities=_modalities(table),
        headers=_headers(table, "headers"),
        zdr=_headers(table, "zdr") if table.has("zdr") else None,
        first_byte_s=table.optional_integer("first_byte_s", 1, 600, 0),
        concurrency=table.integer("concurrency", 1, MAX_CONCURRENCY) if table.has("concurrency") else None,
        private=table.flag("private"),
    )


def _check_fields(table: Table, passed: frozenset[str], refused: frozenset[str]) -> None:
    for name in sorted(passed & COST_FIELDS):
        table.problem("pass_fields", f"{name} changes what an answer costs: the gateway sets or refuses it itself")
    for name in sorted(passed & refused):
        table.problem("refuse_fields", f"{name} is listed in pass_fields as well")
    if "messages" in refused:
        table.problem("refuse_fields", "messages cannot be refused: nothing would be left to send")


def _check_roles(table: Table, roles: dict[str, str], refused: frozenset[str]) -> None:
    for name in sorted({*roles, *roles.values()} - {*ROLES}):
        table.problem("roles", f'"{name}" is no role; known: {", ".join(ROLES)}')
    for name in sorted(refused & roles.keys()):
        table.problem("refuse_roles", f"{name} is renamed in roles as well")
    for name in sorted(refused & {*roles.values()}):
        table.problem("roles", f"{name} is listed in refuse_roles")


def _renamed(table: Table) -> dict[str, str]:
    """Return the fields that go by another name: neither name may be one that the gateway sets."""
    renamed = table.mapping("rename_fields", FIELD, FIELD, "the name of a field", MAX_FIELDS)
    for name in sorted({*renamed, *renamed.values()} & (COST_FIELDS | {"messages"})):
        table.problem("rename_fields", f"{name} is the gateway's to set; the cap's name is cap_field")
    for name in sorted({*renamed.values()} & CHAT_FIELDS):
        table.problem("rename_fields", f"{name} is a field that clients may send themselves")
    if len({*renamed.values()}) < len(renamed):
        table.problem("rename_fields", "two fields would go by one name")
    return renamed


def _modalities(table: Table) -> frozenset[Modality]:
    if not table.has("modalities"):
        return frozenset(Modality)
    given = table.members("modalities", tuple(Modality), "is no modality")
    if given and Modality.TEXT not in given:
        table.problem("modalities", "text is always among them")
    return frozenset(Modality(word) for word in given if word in {*Modality})


def _headers(table: Table, name: str) -> dict[str, str]:
    headers = table.mapping(name, _HEADER, _HEADER_VALUE, "a header's name and its value", MAX_HEADERS)
    for header in headers:
        if header.lower() in _OWN_HEADERS:
            table.problem(f"{name}.{header}", "is the gateway's own to set")
    return {header.lower(): value for header, value in headers.items()}


def _url(table: Table, name: str) -> str:
    """Return a URL. One that does not fit is not repeated in the problem: it may contain credentials."""
    url = table.text(name, _URL, _URL_MEANING, secret=True)
    match = _URL.fullmatch(url)
    if match is not None and match["port"] is not None and not 0 < int(match["port"]) < 2**16:
        table.problem(name, "has a port that does not exist")
    return url
