"""Whether the service stays as it is for as long as it runs: memory, descriptors and tasks under a mixture of everything."""
