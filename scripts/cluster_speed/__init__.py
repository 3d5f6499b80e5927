"""How fast the queues of a cluster are, one on each of its masters, beside a queue on one of them."""
