"""What a study or sweep would take, on this machine or on a cluster that is described."""
