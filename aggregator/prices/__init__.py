"""From many feeds to one price with its age, bounds, confidence and sources; fair values; and price history read from the feeds' rounds."""
