"""One module a protocol: `async def deploy(world)` puts it on the chains and records what it put there."""
