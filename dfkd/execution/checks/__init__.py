"""What is looked at before work is scheduled, and by `platform.doctor`: capacity and nodes."""
