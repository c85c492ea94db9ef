"""The one loop: reach the chains, read, put together, price, judge.

`snapshot.take` is the way data walks once: chains → adapters → one portfolio → prices; `aggregator.risk` judges what it returns.
"""
