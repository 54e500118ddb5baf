"""config/fastdds.xml keeps its promise: every 1080p frame at 30 Hz arrives, best effort, in another process."""

from benchmarks.transport import COUNT, SIZES, transfer


def test_1080p_at_30_hz_arrives_complete() -> None:
    assert transfer(SIZES["1920x1080"], profile=True)["received"] == COUNT
