"""The protocol of docs/protocol.md: every method tuned alike on four tasks, then compared once."""
