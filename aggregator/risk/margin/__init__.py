"""Margin methods behind one interface: the venues' own rules, the classical ones, and ours.

`interface` has the nouns (book, market, requirement, model); `registry.models()` finds every method by its id.
"""
