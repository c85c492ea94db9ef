"""The calibration record of the score: hourly histories, made-up accounts, what became of them, and how well it was foretold."""
