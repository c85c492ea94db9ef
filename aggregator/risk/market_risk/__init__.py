"""The market part of a haircut: how far a price can fall before a liquidation is done, from its history alone.

`panel` holds daily histories side by side, `dynamic` is this project's model, and each baseline it is measured against has a module of
its own. Every forecast obeys one law: the haircut of day t depends on nothing after day t.
"""
