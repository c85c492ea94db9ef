"""Local chains with the protocols' own compiled contracts at their production addresses.

Three nodes (chain ids 1, 42161 and 8453) run Aave v3.6, SparkLend, Uniswap v2, v3 and v4, Morpho Blue, Lido, staking
tokens, savings vaults, tokenised funds and price feeds. What a protocol publishes as an npm package is fetched with its
hash pinned and used as it is; what none publishes (stETH, vaults, funds, feeds) is a small contract of our own with the
same read surface, in ``contracts/``. No third-party code is kept in the project, and none leaves the cache.

::

    async with local_network(seed=1) as world:
        world.chains[1].url                                   # JSON-RPC
        lending.aave(world, 1).pool                           # what is deployed: one record a protocol
        await world.set_price_everywhere("ETH / USD", Decimal(2100))

From the ground up:

* ``packages``, ``compiling``, ``artifacts``: contracts, fetched and compiled once, by the hash of what goes in
* ``anvil``, ``node``: a node process that never outlives us, and ``LocalChain``, the client of one
* ``market``, ``history``: what things are worth, and a seeded past
* ``world``: ``World``, which every deployer, owner and scenario shares
* ``deploy/``: one module a protocol, each with its record type and what users of it do
* ``outlook``, ``life``, ``trading``, ``chronicle``: a month of the market, and how the feeds tell it afterwards
* ``owners/``: who is put on the chains, as data
* ``stages``, ``network``: the order of it all; building, keeping and starting
* ``controls``: what one does to a running network

The same seed gives the same chains down to the block hash: time starts at the first second of 2026 and goes on by what
is mined, senders are fixed, and chance comes from ``random.Random(seed)`` alone.
"""
