"""Signed scores: `GET /v1/scores/{owner}/attestation`, `GET /v1/epochs/newest`, and the gateway that contracts are sent to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from aggregator.api.context import app_of
from aggregator.api.middleware import spend
from aggregator.api.operation import OWNER_PARAMETER, Body, Operation, Query, body_of, json_response, query_of
from aggregator.api.owners import COLD_COST, current, named_owner
from aggregator.api.problem import Problem
from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.live.attesting import Attester
from aggregator.engine.schema import Document
from aggregator.model.identifiers import Address, checksum, parse_address
from aggregator.publish.attestation.document import ScoreAttestation
from aggregator.publish.attestation.gateway import answer
from aggregator.publish.attestation.signer import SignerError
from aggregator.publish.attestation.statement import Domain, MarginScore

log = logging.getLogger(__name__)

HEX_DATA = r"^0x[0-9a-fA-F]{0,1024}(\.json)?$"
ADDRESS = r"^0x[0-9a-fA-F]{40}$"


class AttestationQuery(Query):
    """For which contract it is to be good; `epoch`: from this epoch with its proof, `newest` for the last one, instead of the present."""

    chain_id: Annotated[int, Field(ge=0, lt=2**53)]
    verifier: Annotated[str, Field(pattern=ADDRESS)]
    epoch: Annotated[str | None, Field(pattern=r"^(newest|[0-9]{1,19})$")] = None


class LookupBody(Body):
    """What ERC-3668 clients send where the URL has no place for the data."""

    data: Annotated[str, Field(pattern=HEX_DATA)]
    sender: Annotated[str, Field(pattern=ADDRESS)]


class LookupDocument(Document):
    """`data`: what the contract's callback decodes."""

    data: str


class EpochSummary(Document):
    """`proofs`: see an owner's attestation with `epoch`."""

    epoch: int
    root: str
    count: int
    as_of: int
    valid_until: int
    signer: str


async def attestation(request: web.Request) -> web.StreamResponse:
    with _signing():
        return _fresh(await _attestation(request))


async def _attestation(request: web.Request) -> ScoreAttestation:
    signing = _attester(request)
    owner, asked = await named_owner(request), query_of(request, AttestationQuery)
    domain = Domain(asked.chain_id, parse_address(asked.verifier))
    if asked.epoch is None:
        await current(request, owner)
        return await signing.attestation(owner, domain)
    number = await _number(signing, asked.epoch)
    if number is not None and not signing.at_hand(number):
        spend(request, COLD_COST - 1)
    try:
        if number is not None:
            return await signing.included(owner, domain, number)
    except KeyError:
        pass
    raise Problem(404, "not-in-epoch", "that epoch is not kept, or has no score of this owner: only watched owners stand in epochs")


async def _number(signing: Attester, asked: str) -> int | None:
    """Of the epoch that is asked for; None where that can be none."""
    if asked == "newest":
        newest_epoch = await signing.newest()
        return newest_epoch.number if newest_epoch is not None else None
    return number if (number := int(asked)) < 2**63 else None


async def newest(request: web.Request) -> web.StreamResponse:
    signing = _attester(request)
    one = await signing.newest()
    if one is None:
        raise Problem(503, "no-epoch", "no epoch has been sealed yet", {"Retry-After": "5"})
    return json_response(
        EpochSummary(
            epoch=one.number,
            root=one.root,
            count=one.count,
            as_of=one.as_of,
            valid_until=one.valid_until,
            signer=checksum(signing.signer.address),
        )
    )


async def lookup(request: web.Request) -> web.StreamResponse:
    return await _lookup(request, request.match_info["data"])


async def lookup_by_post(request: web.Request) -> web.StreamResponse:
    return await _lookup(request, (await body_of(request, LookupBody)).data)


async def _lookup(request: web.Request, data: str) -> web.StreamResponse:
    signing = _attester(request)

    async def score_of(address: Address) -> MarginScore:
        owner = OwnerAddress(address)
        await current(request, owner)
        return await signing.statement(owner)

    with _signing():
        return _fresh(LookupDocument(data=await answer(data.removesuffix(".json"), score_of, signing.signer)))


def _fresh(document: BaseModel) -> web.Response:
    """What nobody on the way may keep: it is good for minutes."""
    response = json_response(document)
    response.headers["Cache-Control"] = "no-store"
    return response


@contextmanager
def _signing() -> Iterator[None]:
    """A signer that fails is no fault of whoever asked. Problem 503; why is in the log."""
    try:
        yield
    except SignerError as error:
        log.error("no score was signed: %s", error)
        raise Problem(503, "no-signature", "the signer failed; why is in the service's log", {"Retry-After": "5"}) from None


def _attester(request: web.Request) -> Attester:
    signing = app_of(request).attester
    if signing is None:
        raise Problem(404, "no-signer", "this service signs nothing: no signing key is set")
    return signing


routes = (
    Operation(
        "GET",
        "/v1/scores/{owner}/attestation",
        "attestation",
        "The signed margin score of an owner, for one verifying contract",
        attestation,
        answer=ScoreAttestation,
        query=AttestationQuery,
        problems=(404, 503),
        parameters=(OWNER_PARAMETER,),
    ),
    Operation(
        "GET", "/v1/epochs/newest", "newestEpoch", "The Merkle root of the newest epoch", newest, answer=EpochSummary, problems=(404, 503)
    ),
    Operation(
        "GET",
        "/v1/ccip/{sender}/{data}",
        "lookup",
        "The gateway of the verifying contract (ERC-3668)",
        lookup,
        answer=LookupDocument,
        problems=(404, 503),
        parameters=(("sender", "the contract that asks", ADDRESS), ("data", "its call data", HEX_DATA)),
    ),
    Operation(
        "POST",
        "/v1/ccip",
        "lookupByPost",
        "The same for clients that send the data as a body",
        lookup_by_post,
        answer=LookupDocument,
        body=LookupBody,
        problems=(404, 503),
    ),
)
