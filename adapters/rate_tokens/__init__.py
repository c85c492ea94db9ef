"""Tokens that grow in value against their underlying by a rate of their protocol: staking, restaking, and bridged vault shares."""
