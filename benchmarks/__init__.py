"""Measurements. Each prints a table of ratios against a named peer or a physical limit, all taken in one run on one machine."""
