"""The live loop: heads are followed, owners read again when a block touches them, assessed, stored, told, signed, alerted."""
