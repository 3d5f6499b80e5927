"""Wire: the one place that knows camelCase and BullMQ's field names. Pure functions between our words and theirs."""

from jobqueue.wire.data import decode_data, encode_data, payload_json
from jobqueue.wire.jobs import (
    NOTHING,
    PLACE,
    TELEMETRY,
    Fetched,
    NewJob,
    OnFailure,
    ParentRef,
    decode_fetched,
    decode_job,
    is_ghost,
    mended,
    pack_new_job,
    pairs,
    traced,
    traced_fields,
)
from jobqueue.wire.options import decode_backoff, decode_keep, encode_options

__all__ = [
    "NOTHING",
    "PLACE",
    "TELEMETRY",
    "Fetched",
    "NewJob",
    "OnFailure",
    "ParentRef",
    "decode_backoff",
    "decode_data",
    "decode_fetched",
    "decode_job",
    "decode_keep",
    "encode_data",
    "encode_options",
    "is_ghost",
    "mended",
    "pack_new_job",
    "pairs",
    "payload_json",
    "traced",
    "traced_fields",
]
