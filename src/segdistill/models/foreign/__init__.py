"""Networks of others behind the contract of this package's networks."""
