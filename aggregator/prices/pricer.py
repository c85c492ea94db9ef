"""From feeds' answers, compositions and protocols' oracles to one price a token.

Where a price may come from, in order of preference:

1. a market feed of the token in USD;
2. a market feed of the token in another unit, times that unit's USD price;
3. what the token is made of at the canonical rate (composition on chain, else an exchange-rate feed), times the parts' prices;
4. a fund's net asset value;
5. for wrapped and bridged tokens: the price of what they stand for, named as an assumption;
6. a protocol's own oracle;
7. the same token's feeds or composition on another chain that was read.

Among 1 to 4 a fresh source goes before a stale one of higher preference, and a stale one before one at its bounds; what was passed over
is named. Where 1 to 4 have nothing fresh, a fresh price of 7 goes before the stale one; 5 and 6 do not, because they state no age of their
own. For tokens that are claims at a rate (staking and restaking tokens, vault shares) the market's price and the canonical value are both
taken, and the lower one is the value. Nothing is ever assumed to be worth 1; where nothing answers the price is MISSING, with the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from aggregator.model.composition import MAXIMUM_DEPTH, Composition
from aggregator.model.identifiers import Address, AssetId, ChainId, asset_chain, checksum
from aggregator.model.price import Price, PriceQuality
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswer, FeedAnswers
from aggregator.prices.estimate import Estimate, lower, product
from aggregator.prices.fair_value import composition_value
from aggregator.prices.feeds import USD, FeedKind
from aggregator.reading.adapter import OracleQuote
from aggregator.reading.registry import Registry

CLAIMS = frozenset({TokenKind.LST, TokenKind.LST_REBASING, TokenKind.LRT, TokenKind.YIELD_STABLE, TokenKind.BTC_LST, TokenKind.VAULT})
"""kinds that redeem at a rate: market price and canonical value are both meaningful"""
STAND_INS = frozenset(
    {TokenKind.NATIVE, TokenKind.WRAPPED_NATIVE, TokenKind.STABLE, TokenKind.VOLATILE, TokenKind.WRAPPED_BTC, TokenKind.RWA_GOLD}
)
"""kinds of which one unit stands for one unit of their factor"""
CANONICAL_CONFIDENCE = 0.95
ASSUMPTION_CONFIDENCE = 0.8
QUOTE_CONFIDENCE = 0.6
OTHER_CHAIN_CONFIDENCE = 0.8
DIVERGENCE_CONFIDENCE = 0.8
DIVERGENCE = Decimal("0.01")
"""how far outside the interval a protocol's oracle must be to be called diverging, as a fraction of the value"""
DISCOVERED = "discovered"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One way to a price; `order` is its place in the list of preferences."""

    order: int
    estimate: Estimate


class Pricer:
    """One book under construction. Look-ups are by symbol and chain for feeds, by asset for compositions and quotes."""

    def __init__(
        self, answers: Iterable[FeedAnswers], compositions: Iterable[Composition], quotes: Iterable[OracleQuote], listed: Registry
    ) -> None:
        self._listed = listed
        self._feeds: dict[tuple[ChainId, str], list[FeedAnswer]] = {}
        self._by_address: dict[tuple[ChainId, Address], FeedAnswer] = {}
        self._chains: list[ChainId] = []
        for chain in sorted(answers, key=lambda one: one.chain):
            self._chains.append(chain.chain)
            for answer in sorted(chain.feeds, key=lambda one: (one.feed.address, one.feed.asset or "")):
                self._feeds.setdefault((chain.chain, answer.feed.base), []).append(answer)
                self._by_address[chain.chain, answer.feed.address] = answer
        self._compositions = {one.asset: one for one in sorted(compositions, key=_composition_order, reverse=True)}
        self._quotes: dict[AssetId, list[OracleQuote]] = {}
        for quote in sorted(quotes, key=lambda one: (one.asset, one.protocol, one.oracle, one.price_usd)):
            self._quotes.setdefault(quote.asset, []).append(quote)
        self._tokens: dict[AssetId, Token] = {}
        self._by_symbol: dict[str, list[Token]] = {}

    def know(self, tokens: Iterable[Token]) -> None:
        """Tokens that may be asked for: the wanted ones, and listed ones that have a composition."""
        self._tokens = {token.asset: token for token in tokens}
        for asset in self._compositions:
            token = self._listed.token(asset)
            if token is not None:
                self._tokens.setdefault(asset, token)
        for asset in sorted(self._tokens):
            self._by_symbol.setdefault(self._tokens[asset].symbol, []).append(self._tokens[asset])

    def price(self, token: Token) -> Price:
        reasons: list[str] = []
        estimate = self._token(token, (), reasons)
        if estimate is None:
            detail = "; ".join(dict.fromkeys(reasons)) or "no source"
            return Price(token.asset, None, None, None, None, PriceQuality.MISSING, 0.0, (), detail)
        estimate = self._compared_with_quotes(token, estimate)
        confidence = min(1.0, max(0.0, estimate.confidence))
        low, high = max(Decimal(0), min(estimate.low, estimate.value)), max(estimate.high, estimate.value)
        return Price(
            token.asset,
            estimate.value,
            low,
            high,
            estimate.age_seconds,
            estimate.quality,
            confidence,
            estimate.sources,
            "; ".join(estimate.notes),
        )

    def _vouched(self, token: Token) -> Token | None:
        """The token as the registry or a manifest knows it; None where only the chain told of it, so that its symbol means nothing."""
        return self._listed.token(token.asset) or (token if token.source != DISCOVERED and token.factor != token.asset else None)

    def _token(self, token: Token, path: tuple[AssetId, ...], reasons: list[str]) -> Estimate | None:
        """Best estimate of one whole token in USD, or None with the reasons. `path` holds the tokens being priced further up."""
        if token.asset in path or len(path) >= MAXIMUM_DEPTH:
            reasons.append(f"{token.symbol} is made of itself")
            return None
        chain, vouched = asset_chain(token.asset), self._vouched(token)
        symbol = self._feed_symbol(vouched) if vouched is not None else None
        inside = (*path, token.asset)
        local: list[_Candidate] = []
        substitutes = [_Candidate(6, estimate) for estimate in self._quoted(token, chain)]
        elsewhere: list[_Candidate] = []
        made = self._composed(token, inside, reasons)
        canonical = [_Candidate(2, made)] if made is not None else []
        if vouched is None or symbol is None:
            local = canonical
        else:
            market = self._through_feeds(chain, symbol, FeedKind.MARKET, 0, (), reasons)
            canonical += self._through_feeds(chain, symbol, FeedKind.EXCHANGE_RATE, 3, (), reasons)
            local = _claim(market, canonical) if vouched.kind in CLAIMS else [*market, *canonical]
            local += self._through_feeds(chain, symbol, FeedKind.NAV, 4, (), reasons)
            if vouched.kind in STAND_INS and vouched.factor != symbol:
                substitutes += self._stands_for(chain, vouched, reasons)
            elsewhere = self._elsewhere(vouched, symbol, chain, inside)
        if not (local or substitutes or elsewhere) and not reasons:
            reasons.append(f"no feed, composition or oracle knows {token.symbol} on {chain}")
        return _decide(local, substitutes, elsewhere)

    def _feed_symbol(self, token: Token) -> str:
        """The name that feeds know a token by: its symbol, but the factor for a native currency that is its own factor, and its wrapper."""
        if token.kind in (TokenKind.NATIVE, TokenKind.WRAPPED_NATIVE):
            native = self._listed.native(asset_chain(token.asset))
            return native.factor if native.factor == native.symbol else token.symbol
        return token.factor if token.factor.lower() == token.symbol.lower() else token.symbol

    def _through_feeds(
        self, chain: ChainId, symbol: str, kind: FeedKind, order: int, path: tuple[str, ...], reasons: list[str]
    ) -> list[_Candidate]:
        """Feeds of `symbol` on one chain, each times the USD price of its quote. `order` of direct ones, one more of the others."""
        found = []
        for answer in self._feeds.get((chain, symbol), ()):
            feed = answer.feed
            if feed.kind is not kind:
                continue
            if answer.estimate is None:
                reasons.append(f"feed {feed.label} on {chain}: {answer.reason}")
            elif feed.quote == USD:
                found.append(_Candidate(order, answer.estimate))
            else:
                unit = self._unit(chain, feed.quote, (*path, symbol), reasons)
                if unit is not None:
                    found.append(_Candidate(order + 1, product(answer.estimate, unit)))
        return found

    def _unit(self, chain: ChainId, symbol: str, path: tuple[str, ...], reasons: list[str]) -> Estimate | None:
        """USD price of a feed's quote: by feeds of this chain, else by those of another one."""
        if symbol in path or len(path) >= MAXIMUM_DEPTH:
            return None
        candidates = self._symbol(chain, symbol, path, reasons)
        for place in self._chains:
            if place != chain:
                candidates += [_abroad(one, place) for one in self._symbol(place, symbol, path, [])]
        best = _best(candidates)
        if best is None:
            reasons.append(f"no USD price of {symbol}")
        return best

    def _symbol(self, chain: ChainId, symbol: str, path: tuple[str, ...], reasons: list[str]) -> list[_Candidate]:
        """Market price, else canonical rate, of a symbol on one chain."""
        found = self._through_feeds(chain, symbol, FeedKind.MARKET, 0, path, reasons)
        return found + self._through_feeds(chain, symbol, FeedKind.EXCHANGE_RATE, 2, path, reasons)

    def _composed(self, token: Token, path: tuple[AssetId, ...], reasons: list[str]) -> Estimate | None:
        composition = self._compositions.get(token.asset)
        if composition is None:
            return None
        if composition.denominator <= 0 or not composition.parts:
            reasons.append(f"{token.symbol} has no units to be made of")
            return None
        parts = []
        for part in composition.parts:
            known = self._tokens.get(part.asset) or self._listed.token(part.asset)
            if known is None:
                known = Token(part.asset, part.symbol, part.decimals, TokenKind.UNKNOWN, part.asset, DISCOVERED)
            why_not: list[str] = []
            estimate = self._token(known, path, why_not)
            if estimate is None:
                reasons.append(f"{token.symbol} holds {part.symbol} ({part.asset}), which has no price: {'; '.join(why_not)}")
                return None
            parts.append(estimate)
        value = composition_value(composition, token.decimals, parts)
        source = f"{token.symbol} by its {composition.kind} composition on {asset_chain(token.asset)}"
        return replace(value, confidence=value.confidence * CANONICAL_CONFIDENCE, sources=(source, *value.sources))

    def _stands_for(self, chain: ChainId, token: Token, reasons: list[str]) -> list[_Candidate]:
        unit = self._unit(chain, token.factor, (), reasons)
        if unit is None:
            return []
        return [_Candidate(5, unit.noted(f"assumes that one {token.symbol} is worth one {token.factor}", confidence=ASSUMPTION_CONFIDENCE))]

    def _quoted(self, token: Token, chain: ChainId) -> list[Estimate]:
        """Protocol oracles' prices. A quote from a feed that is known here is as old and as good as that feed."""
        found = []
        for quote in self._quotes.get(token.asset, ()):
            if quote.price_usd <= 0:
                continue
            source = f"oracle {checksum(quote.oracle)} of {quote.protocol} on {chain}"
            behind = self._by_address.get((chain, quote.source)) if quote.source is not None else None
            known = behind.estimate if behind is not None else None
            width, age, quality = DIVERGENCE, None, PriceQuality.FRESH
            notes: tuple[str, ...] = (f"{source} states no time",)
            if known is not None:
                width, age, quality, notes = known.high / known.value - 1, known.age_seconds, known.quality, known.notes
            confidence = QUOTE_CONFIDENCE if known is None else min(QUOTE_CONFIDENCE, known.confidence)
            low, high = quote.price_usd * max(Decimal(0), 1 - width), quote.price_usd * (1 + width)
            found.append(Estimate(quote.price_usd, low, high, age, quality, confidence, (source,), notes))
        return found

    def _elsewhere(self, token: Token, symbol: str, chain: ChainId, path: tuple[AssetId, ...]) -> list[_Candidate]:
        """The same listed token on other chains: its feeds there, or what it is made of there."""
        if self._listed.token(token.asset) is None:
            return []
        found: list[_Candidate] = []
        for place in self._chains:
            if place == chain:
                continue
            for kind in (FeedKind.MARKET, FeedKind.EXCHANGE_RATE, FeedKind.NAV):
                found += [_abroad(one, place) for one in self._through_feeds(place, symbol, kind, 7, (), [])]
            for twin in self._by_symbol.get(token.symbol, ()):
                if asset_chain(twin.asset) == place and twin.kind is token.kind and self._listed.token(twin.asset) is not None:
                    made = self._composed(twin, (*path, twin.asset), []) if twin.asset not in path else None
                    found += [_abroad(_Candidate(7, made), place)] if made is not None else []
        return found

    def _compared_with_quotes(self, token: Token, estimate: Estimate) -> Estimate:
        """Widen to and name a protocol oracle that stands clearly outside the interval."""
        for quote in self._quotes.get(token.asset, ()):
            slack = DIVERGENCE * estimate.value
            if quote.price_usd > 0 and not estimate.low - slack <= quote.price_usd <= estimate.high + slack:
                percent = (quote.price_usd / estimate.value - 1) * 100 if estimate.value else Decimal(0)
                note = f"oracle {checksum(quote.oracle)} of {quote.protocol} says {quote.price_usd} USD ({percent:+.2f} %)"
                estimate = estimate.covering(quote.price_usd, quote.price_usd).noted(note, confidence=DIVERGENCE_CONFIDENCE)
        return estimate


def _abroad(candidate: _Candidate, place: ChainId) -> _Candidate:
    note = f"taken from {place}"
    return _Candidate(candidate.order + 7, candidate.estimate.noted(note, confidence=OTHER_CHAIN_CONFIDENCE))


def _claim(market: Sequence[_Candidate], canonical: Sequence[_Candidate]) -> list[_Candidate]:
    """Market price and canonical value of a claim as one: the lower where both are equally good, else the better one.

    A stale counterpart still widens the interval: a discount that nobody has seen end may go on.
    """
    traded, redeemed = _chosen(market), _chosen(canonical)
    if traded is None or redeemed is None:
        return [*market, *canonical]
    if traded.estimate.quality is redeemed.estimate.quality:
        return [_Candidate(0, lower(traded.estimate, redeemed.estimate))]
    better, worse = sorted((traded, redeemed), key=_preference)
    estimate = better.estimate.noted(*(f"passed over: {note}" for note in worse.estimate.notes))
    if worse.estimate.quality is PriceQuality.STALE:
        estimate = estimate.covering(worse.estimate.low, worse.estimate.high)
    return [_Candidate(0, estimate)]


def _decide(local: Sequence[_Candidate], substitutes: Sequence[_Candidate], elsewhere: Sequence[_Candidate]) -> Estimate | None:
    """What is measured on the chain itself if it is fresh; see the rules at the head of this file for the rest."""
    best = _chosen(local)
    if best is None:
        return _best([*substitutes, *elsewhere])
    if best.estimate.quality is PriceQuality.BOUNDED:
        return _best([*local, *substitutes, *elsewhere])
    return _best([*local, *elsewhere])


def _chosen(candidates: Sequence[_Candidate]) -> _Candidate | None:
    return min(candidates, key=_preference, default=None)


def _preference(candidate: _Candidate) -> tuple[int, int, float, tuple[str, ...]]:
    estimate = candidate.estimate
    return (estimate.rank, candidate.order, -estimate.confidence, estimate.sources)


def _best(candidates: Sequence[_Candidate]) -> Estimate | None:
    """By quality, then preference, then confidence; what had preference and was not good enough is named."""
    chosen = _chosen(candidates)
    if chosen is None:
        return None
    passed_over = [c.estimate for c in candidates if c.order < chosen.order and c.estimate.rank > chosen.estimate.rank]
    notes = sorted({note for estimate in passed_over for note in estimate.notes})
    return chosen.estimate.noted(*(f"passed over: {note}" for note in notes))


def _composition_order(composition: Composition) -> tuple[AssetId, str, int, Sequence[tuple[AssetId, int]]]:
    return (composition.asset, composition.kind, composition.denominator, [(p.asset, p.numerator) for p in composition.parts])
