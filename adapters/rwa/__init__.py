"""Tokenised funds and notes: what their tokens say of themselves beside the price."""
