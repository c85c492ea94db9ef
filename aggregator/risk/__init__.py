"""Pure risk maths: what a portfolio is exposed to, what it loses in joint scenarios, when its margin accounts are liquidated.

No I/O, no clock, no global state. Way of the data: valuation → exposure → volatility and correlation → scenarios → haircuts,
requirement, liquidation, probability → `assess`.
"""
