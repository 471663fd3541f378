"""Where results lie: whole files, leases, and the ledger of finished cells."""
