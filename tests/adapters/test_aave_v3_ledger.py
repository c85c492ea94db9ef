"""Scaled balances out of logs, against tokens that mint, burn and transfer as each generation of the contracts does."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from adapters.aave_v3.ledger import BALANCE_TRANSFER, BURN, COLLATERAL_OFF, COLLATERAL_ON, E_MODE_SET, MINT, Ledger, TokenRole, balance
from adapters.aave_v3.maths import Generation
from aggregator.model.identifiers import Address
from aggregator.model.units import RAY, mul_div_down, mul_div_half_up, mul_div_up
from aggregator.reading.reads import Log

POOL, TOKEN = Address("0x" + "aa" * 20), Address("0x" + "bb" * 20)
USERS = [Address(f"0x{number:040x}") for number in (1, 2, 3)]


def topic(address: Address) -> str:
    return "0x" + address[2:].rjust(64, "0")


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


@dataclass
class Token:
    """ScaledBalanceTokenBase: what it stores, and the logs that it writes."""

    role: TokenRole
    generation: Generation
    scaled: dict[Address, int] = field(default_factory=dict)
    last: dict[Address, int] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)

    def at(self, scaled: int, index: int) -> int:
        return balance(scaled, index, self.role, self.generation)

    def change(self, user: Address, amount: int, index: int) -> None:
        """Mint an amount above 0 or burn one below, rounded as the pool rounds it."""
        held, before = self.scaled.get(user, 0), self.last.get(user, RAY)
        if self.generation < Generation.V3_5:
            moved = mul_div_half_up(abs(amount), RAY, index)
        else:
            up = (self.role is TokenRole.VARIABLE) == (amount > 0)  # against the user, whichever way
            moved = (mul_div_up if up else mul_div_down)(abs(amount), RAY, index)
        moved = moved if amount > 0 else -min(moved, held)
        if moved == 0:
            return
        increase = self.at(held, index) - self.at(held, before)
        self.scaled[user], self.last[user] = held + moved, index
        if self.generation < Generation.V3_5:
            exact = amount if amount > 0 else -min(abs(amount), self.at(held, index))
            # a whole balance burnt is its rounded amount, which scales back to all of it
            told = exact + increase
        else:
            told = self.at(held + moved, index) - self.at(held, before)
        if amount > 0 or told > 0:
            self._write(MINT, user, told, increase, index)
        else:
            self._write(BURN, user, -told, increase, index)

    def _write(self, event: str, user: Address, value: int, increase: int, index: int) -> None:
        named = (topic(POOL), topic(user)) if event == MINT else (topic(user), topic(POOL))
        self.logs.append(Log(TOKEN, (event, *named), words(value, increase, index), len(self.logs), 0))

    def transfer(self, giver: Address, taker: Address, scaled: int, index: int) -> None:
        moved = min(scaled, self.scaled.get(giver, 0))
        if moved and giver != taker:
            self.scaled[giver] -= moved
            self.scaled[taker] = self.scaled.get(taker, 0) + moved
            self.logs.append(Log(TOKEN, (BALANCE_TRANSFER, topic(giver), topic(taker)), words(moved, index), len(self.logs), 0))


actions = st.lists(
    st.tuples(
        st.sampled_from(["change", "change", "transfer"]),
        st.sampled_from(USERS),
        st.sampled_from(USERS),
        st.integers(-(10**24), 10**24).filter(bool),
        st.integers(0, 10**24),
    ),
    max_size=25,
)


@given(actions, st.sampled_from([Generation.V3_0, Generation.V3_3, Generation.V3_5, Generation.V3_6]), st.sampled_from(list(TokenRole)[:2]))
def test_the_ledger_is_the_tokens_storage(
    history: list[tuple[str, Address, Address, int, int]], generation: Generation, role: TokenRole
) -> None:
    token, index = Token(role, generation), RAY
    for what, user, other, amount, growth in history:
        index += growth
        if what == "change":
            token.change(user, amount, index)
        elif role is TokenRole.SUPPLY:
            token.transfer(user, other, abs(amount), index)
    ledger = Ledger(until=0)
    ledger.fold(token.logs, POOL, {TOKEN: role}, generation)
    assert ledger.scaled.get(TOKEN, {}) == {user: scaled for user, scaled in token.scaled.items() if scaled}
    assert not ledger.doubtful


def test_switches_and_e_modes_are_what_was_said_last() -> None:
    ledger, user, asset = Ledger(until=0), USERS[0], Address("0x" + "cc" * 20)
    on = Log(POOL, (COLLATERAL_ON, topic(asset), topic(user)), b"", 1, 0)
    off = Log(POOL, (COLLATERAL_OFF, topic(asset), topic(user)), b"", 2, 0)
    mode = [Log(POOL, (E_MODE_SET, topic(user)), words(category), 3 + category, 0) for category in (2, 0)]
    ledger.fold([on, mode[0]], POOL, {}, Generation.V3_6)
    assert ledger.collateral[asset] == {user} and ledger.e_modes == {user: 2}
    ledger.fold([off, mode[1]], POOL, {}, Generation.V3_6)
    assert ledger.collateral[asset] == set() and ledger.e_modes == {}


def test_more_given_than_there_was_makes_a_token_doubtful() -> None:
    ledger = Ledger(until=0)
    log = Log(TOKEN, (BALANCE_TRANSFER, topic(USERS[0]), topic(USERS[1])), words(5, RAY), 1, 0)
    ledger.fold([log], POOL, {TOKEN: TokenRole.SUPPLY}, Generation.V3_6)
    assert ledger.doubtful == {TOKEN}
