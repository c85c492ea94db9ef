"""What an owner simply holds: native currency and tokens, and on request what no registry lists."""
