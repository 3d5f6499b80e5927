"""Outside: calls to addresses that somebody else has given, which must lead to nothing of ours."""
