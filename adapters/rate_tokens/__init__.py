"""Tokens that grow in value against their underlying by a rate of their protocol: liquid staking and restaking."""
