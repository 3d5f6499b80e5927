"""What any producer may have written, for hypothesis: JSON values, and texts that are not even that."""

from __future__ import annotations

import json

from hypothesis import strategies as st

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
FOREIGN = JSON.map(json.dumps) | st.text() | st.sampled_from(["", "{", "1e999", "[" * 500, "NaN", "null", "9" * 5_000])
