"""What an adapter may ask for and must give: reads, manifest, capabilities, catalogue, the shared test kit.

An adapter never opens a connection. It builds reads on a pinned block, may feed the answer of one into another before either is known,
awaits what it needs in Python, and returns `Holdings`.
"""
