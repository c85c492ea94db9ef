"""Recorded histories: read, written, and played through the alert rules on their own clock."""
