"""The Ray rim: Ray Data scores, Ray Train spreads one cell over workers, Ray Tune searches, warm tasks compute many."""
